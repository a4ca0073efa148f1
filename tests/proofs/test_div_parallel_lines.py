"""Laws on sets without overlap: parallel lines, perfect discriminators, jumps of KL and JS.

P is the law of (0, y) and Q that of (theta, y), y uniform. Their likelihood ratio depends on the
first coordinate only, so that KL and JS are those of the masses of {x = 0} and {x = theta}.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.logarithms import LogSum, exact_js, exact_kl, exact_log

proves = pytest.mark.proves

HALF = Fraction(1, 2)
SHIFTS = [1, HALF, Fraction(1, 10**9), -3]
RATIO = "KL and JS are those of the cells on which the likelihood ratio is constant"


def masses(theta):
    """The masses that P and Q give to the lines x = 0 and x = theta (one line, if theta is 0)."""
    lines = sorted({0, theta})
    return [int(x == 0) for x in lines], [int(x == theta) for x in lines]


# ---- KL ------------------------------------------------------------------------------------------
def check_kl(p, q, value):
    assert exact_kl(p, q) == value
    assert exact_kl(q, p) == value


@proves("parallel-lines-kl", strength="certificate", scope="theta is not 0", lemmas=(RATIO,))
@pytest.mark.parametrize("theta", SHIFTS)
def test_lines_apart_are_infinitely_far_in_kl(theta):
    assert masses(theta) in [([1, 0], [0, 1]), ([0, 1], [1, 0])]  # all that enters of theta
    check_kl(*masses(theta), math.inf)


@proves("parallel-lines-kl", strength="certificate", scope="theta is 0")
def test_a_line_has_no_divergence_from_itself():
    check_kl(*masses(0), 0)


@proves("parallel-lines-kl", role="must_fail")
def test_a_law_that_keeps_half_of_the_line_is_at_a_finite_kl():
    check_kl([1, 0], [HALF, HALF], math.inf)


# ---- JS ------------------------------------------------------------------------------------------
def check_js(p, q, value):
    assert exact_js(p, q) == value


@proves("parallel-lines-js", strength="certificate", scope="theta is not 0", lemmas=(RATIO,))
@pytest.mark.parametrize("theta", SHIFTS)
def test_lines_apart_have_the_js_log_two(theta):
    assert masses(theta) in [([1, 0], [0, 1]), ([0, 1], [1, 0])]  # all that enters of theta
    check_js(*masses(theta), exact_log(2))


@proves("parallel-lines-js", strength="certificate", scope="theta is 0")
def test_a_line_has_no_js_from_itself():
    check_js(*masses(0), 0)


@proves("parallel-lines-js", role="must_fail")
def test_a_law_that_keeps_half_of_the_line_has_a_smaller_js():
    check_js([1, 0], [HALF, HALF], exact_log(2))


# ---- W -------------------------------------------------------------------------------------------
def check_shift(cost):
    """(0, y) -> (theta, y) is a coupling; it moves everything by (theta, 0).

    That vector has the length |theta| in every norm with ||(1, 0)|| = 1, here in l2.
    """
    check_identity(lambda theta: cost(theta) ** 2, lambda theta: theta**2 + (0 * theta) ** 2)


def check_critic(slope):
    """f(x, y) = slope x is 1-Lipschitz in linf, so in l2 and l1: both are larger than linf.

    ``|f(x, y) - f(x', y')|^2 <= |x - x'|^2``, and ``E_Q f - E_P f = slope (theta - 0)``, which is
    |theta| if the slope is the sign of theta.
    """
    check_nonnegative_combination(
        lambda dx2: dx2 - slope**2 * dx2, lambda dx2: [0], lambda dx2: [dx2]
    )
    check_identity(lambda theta: (slope * theta - slope * 0) ** 2, lambda theta: theta**2)


@proves("parallel-lines-w", strength="identity", scope="at most |theta|")
def test_a_shift_moves_one_line_to_the_other():
    check_shift(lambda theta: theta)
    check_shift(lambda theta: -theta)


@proves("parallel-lines-w", role="must_fail")
def test_a_shift_does_not_cost_twice_the_distance():
    check_shift(lambda theta: 2 * theta)


@proves(
    "parallel-lines-w",
    strength="identity",
    scope="at least |theta|",
    lemmas=("E_Q f - E_P f <= E||X - Y|| for a 1-Lipschitz f and every coupling",),
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_critic_of_slope_one_sees_the_whole_distance(sign):
    check_critic(sign)


@proves("parallel-lines-w", role="must_fail")
def test_a_critic_of_slope_two_is_not_lipschitz():
    check_critic(2)


# ---- sequences and parameters --------------------------------------------------------------------
def wasserstein(theta):
    """|theta|: proved as parallel-lines-w."""
    return abs(theta)


def check_sequence(position):
    """W -> 0 like 1/n while JS and KL do not move, at theta = position(n)."""
    for n in range(1, 40):
        theta = position(n)
        assert n * wasserstein(theta) <= 1
        check_js(*masses(theta), exact_log(2))
        check_kl(*masses(theta), math.inf)


@proves("js-discontinuous-w-continuous-sequence", strength="certificate")
def test_lines_that_approach_converge_in_w_only():
    check_sequence(lambda n: Fraction(1, n))


@proves("js-discontinuous-w-continuous-sequence", role="must_fail")
def test_a_line_that_stays_converges_in_js_too():
    check_sequence(lambda n: 0)


@proves("js-discontinuous-w-continuous-sequence", role="must_fail")
def test_a_line_that_stays_away_does_not_converge_in_w():
    check_sequence(lambda n: 1 + Fraction(1, n))


def check_segments(first, second, distance):
    """Segments given as {line: mass}: JS = log 2, and W_1 = distance between the two lines."""
    lines = sorted({*first, *second})
    check_js([first.get(x, 0) for x in lines], [second.get(x, 0) for x in lines], exact_log(2))
    assert wasserstein(max(second) - max(first)) == distance


@proves("jsd-gives-no-information-disjoint", strength="certificate", lemmas=(RATIO,))
@pytest.mark.parametrize("t", [t for t in SHIFTS if t > 0])
def test_js_of_disjoint_segments_does_not_depend_on_their_distance(t):
    check_segments({0: 1}, {t: 1}, t)


@proves("jsd-gives-no-information-disjoint", role="must_fail")
def test_js_of_segments_that_share_half_of_their_mass_is_smaller():
    check_segments({0: HALF, 1: HALF}, {1: HALF, 2: HALF}, 1)


def check_jump(divergence):
    """The generator g_theta(y) = (theta, y) is continuous in theta; the data are at theta = 0.

    The divergence exceeds 1/2 at theta = 1/n for every n, and is 0 at theta = 0.
    """
    assert divergence(0) == 0
    assert all(divergence(Fraction(1, n)) > HALF for n in range(1, 40))


@proves("gan-divergences-not-continuous-in-parameters", strength="certificate")
def test_js_and_kl_jump_where_the_generator_meets_the_data():
    check_jump(lambda theta: exact_js(*masses(theta)))
    check_jump(lambda theta: exact_kl(*masses(theta)))
    check_jump(lambda theta: exact_kl(*masses(theta)[::-1]))


@proves("gan-divergences-not-continuous-in-parameters", role="must_fail")
def test_w_does_not_jump():
    check_jump(wasserstein)


# ---- continuity of W in the parameters -----------------------------------------------------------
def check_modulus(bound):
    """``W(r, t) - W(r, s) <= W(s, t) <= E||g_s - g_t|| <= L d`` with L = E L(z), d = ||t - s||.

    So W is locally Lipschitz in theta, with s and t exchanged as well.
    """
    check_nonnegative_combination(
        lambda L, d, Wrt, Wrs, Wst, cost: bound(L, d) - (Wrt - Wrs),
        lambda L, d, Wrt, Wrs, Wst, cost: [1, 1, 1],
        lambda L, d, Wrt, Wrs, Wst, cost: [Wrs + Wst - Wrt, cost - Wst, L * d - cost],
    )


@proves(
    "w-continuous-and-ae-differentiable",
    strength="identity",
    lemmas=(
        "W_1 satisfies the triangle inequality",
        "(g_s(z), g_t(z)) is a coupling of P_s and P_t",
        "Rademacher: a locally Lipschitz function on R^m is differentiable almost everywhere",
    ),
)
def test_w_is_locally_lipschitz_in_the_parameters():
    check_modulus(lambda L, d: L * d)


@proves("w-continuous-and-ae-differentiable", role="must_fail")
def test_w_does_not_move_by_less_than_the_generator_may():
    check_modulus(lambda L, d: (L - 1) * d)


@proves(
    "w-continuous-and-ae-differentiable",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="locally-lipschitz",
)
def test_a_generator_that_jumps_makes_w_jump():
    # g_theta = 1{theta > 0}, data at 0: one coupling each, W = |g_theta - 0|.
    values = [abs(int(theta > 0) - 0) for theta in (0, Fraction(1, 10**6), Fraction(1, 10**12))]
    assert values == [0, 1, 1]


@proves(
    "w-continuous-and-ae-differentiable",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="first-moments",
)
def test_data_without_a_mean_are_infinitely_far_from_every_point():
    # P_r(k) = 1 / (k (k + 1)), k >= 1; P_theta a point at theta: W = E|X - theta| >= E X - |theta|,
    # and E X = sum 1 / (k + 1) is harmonic: the terms from 2^m to 2^(m + 1) - 1 add 1/3 at least.
    for m in range(8):
        block = range(2**m, 2 ** (m + 1))
        assert sum(k * Fraction(1, k * (k + 1)) for k in block) >= Fraction(1, 3)


# ---- disjoint supports ---------------------------------------------------------------------------
def refute_disjointness(meeting_point, shifts):
    """[-1, 1] x {0}, shifted by (a, b), meets {0} x [-1, 1]: at one point, for every shift.

    The meeting point is affine in the shift, and both segments are convex, so it is enough that
    it lies on both for the shifts at the corners of the box.
    """
    for shift in shifts:
        point = meeting_point(*shift)
        along, *off = (x - s for x, s in zip(point, shift, strict=True))
        assert abs(along) <= 1
        assert not any(off), "not on the first segment"
        assert abs(point[1]) <= 1
        assert not any((point[0], *point[2:])), "not on the second segment"


def corners(dimensions):
    return list(itertools.product((-HALF, HALF), repeat=dimensions))


@proves(
    "supports-disjoint-almost-surely",
    strength="certificate",
    role="refutes",
    lemmas=("a convex set that contains the corners of a box contains the box",),
)
def test_two_segments_cross_whatever_the_shift(record_witness):
    refute_disjointness(lambda a, b: (0, b), corners(2))
    # One common point has no mass on either segment: JS is log 2 all the same.
    assert exact_js([1, 0], [0, 1]) == exact_log(2)
    record_witness(
        first="[-1, 1] x {0} + (a, b)",
        second="{0} x [-1, 1]",
        shifts="all (a, b) in [-1/2, 1/2]^2",
        meet_at="(0, b)",
        probability_of_meeting=1,
    )


@proves("supports-disjoint-almost-surely", role="must_fail")
def test_two_segments_in_space_miss_each_other():
    refute_disjointness(lambda a, b, c: (0, b, c), corners(3))


@proves("supports-disjoint-almost-surely", strength="certificate", role="supports")
def test_an_atom_at_the_crossing_lowers_js():
    # Half of each mass sits at the crossing, the rest on the segments.
    assert exact_js([HALF, HALF, 0], [HALF, 0, HALF]) == HALF * exact_log(2)


def check_discriminator(numerator, denominator):
    """D = numerator / denominator at distances a from the real support and b from the fake one.

    D is 1 where a = 0, 0 where b = 0, and its denominator has no zero: not both are 0 at a point.
    """
    check_identity(lambda b: numerator(0 * b, b), lambda b: denominator(0 * b, b))
    check_identity(lambda a: numerator(a, 0 * a), lambda a: 0 * a)
    check_nonnegative_combination(
        lambda a, b: denominator(a, b), lambda a, b: [1, 1], lambda a, b: [a, b]
    )
    check_nonnegative_combination(
        lambda a, b: denominator(a, b) - numerator(a, b), lambda a, b: [1], lambda a, b: [a]
    )


@proves(
    "disjoint-supports-perfect-discriminator-exists",
    strength="identity",
    lemmas=("the distance from a closed set is continuous, and 0 on that set only",),
)
def test_the_share_of_the_distances_is_a_perfect_discriminator():
    check_discriminator(lambda a, b: b, lambda a, b: a + b)


@proves("disjoint-supports-perfect-discriminator-exists", role="must_fail")
def test_the_share_of_the_wrong_distance_is_not():
    check_discriminator(lambda a, b: a, lambda a, b: a + b)


@proves(
    "disjoint-supports-perfect-discriminator-exists",
    strength="identity",
    role="needs_hypothesis",
    hypothesis="closed",
    lemmas=("-c log c - (1 - c) log(1 - c) <= log 2",),
)
def test_open_intervals_that_touch_have_no_continuous_perfect_discriminator():
    # P_r uniform on (0, 1), P_g on (-1, 0): D(0) would be the limit of ones and of zeros. With a
    # Lipschitz constant K >= 1 and c = D(0), E log D + E log(1 - D) is at most the sum of the
    # integrals of log from c and from 1 - c to 1, over K, and so at most (log 2 - 1) / K < 0.
    import sympy

    c, u = sympy.symbols("c u", positive=True)
    part = sympy.integrate(sympy.log(u), (u, c, 1))
    entropy = -c * sympy.log(c) - (1 - c) * sympy.log(1 - c)
    assert sympy.expand(part + part.subs(c, 1 - c) - (entropy - 1)) == 0
    assert exact_log(2) - LogSum(Fraction(1)) < 0
