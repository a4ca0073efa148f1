"""The curriculum's exercises on earth movers, and W_1 as an integral probability metric."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.logarithms import LogSum, exact_kl, exact_log
from tests.transport_certificates import check_optimal, distances, monotone_plan

proves = pytest.mark.proves

HALF, THIRD, QUARTER = Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)


def check_emd(points, p, q, value):
    """By a plan and a 1-Lipschitz potential whose slope is minus the sign of the CDFs' gap."""
    gap, potential = Fraction(0), [Fraction(0)]
    for k in range(len(points) - 1):
        gap += p[k] - q[k]
        slope = (gap < 0) - (gap > 0)
        potential.append(potential[-1] + slope * (points[k + 1] - points[k]))
    check_optimal(
        distances(points, points),
        p,
        q,
        plan=monotone_plan(p, q),
        potentials=(potential, [-f for f in potential]),
        value=value,
    )


# ---- W_1 over 1-Lipschitz functions --------------------------------------------------------------
def check_one_function_suffices(constant):
    """From prices ``u(x) + v(y) <= d(x, y)`` to one function ``f(x) = inf_y d(x, y) - v(y)``.

    At y the infimum for x' is attained, or nearly: ``f(x') = d(x', y) - v(y)``.
    """
    # f is Lipschitz: f(x) <= d(x, y) - v(y), and the triangle inequality at x, x', y.
    check_nonnegative_combination(
        lambda d_xz, d_xy, d_zy, v_y, f_x: constant * d_xz - (f_x - (d_zy - v_y)),
        lambda d_xz, d_xy, d_zy, v_y, f_x: [1, 1],
        lambda d_xz, d_xy, d_zy, v_y, f_x: [d_xz + d_zy - d_xy, d_xy - v_y - f_x],
    )
    # f gains no less than the prices: f >= u, and f(y) <= d(y, y) - v(y) = -v(y).
    check_nonnegative_combination(
        lambda f_x, f_y, u_x, v_y: (f_x - f_y) - (u_x + v_y),
        lambda f_x, f_y, u_x, v_y: [1, 1],
        lambda f_x, f_y, u_x, v_y: [f_x - u_x, -v_y - f_y],
    )
    # No f gains more than a plan with masses g costs: the pair (f, -f) are prices.
    check_nonnegative_combination(
        lambda g, d_xy, f_x, f_y: g * d_xy - g * (f_x - f_y),
        lambda g, d_xy, f_x, f_y: [g],
        lambda g, d_xy, f_x, f_y: [d_xy - (f_x - f_y)],
    )


KANTOROVICH = ("Kantorovich duality (Villani 2009, theorem 5.10)",)


@proves("w1-is-an-ipm", strength="identity", lemmas=KANTOROVICH)
def test_two_price_functions_are_one_lipschitz_function():
    check_one_function_suffices(1)


@proves("w1-is-an-ipm", role="must_fail")
def test_constant_functions_do_not_suffice():
    check_one_function_suffices(0)


@proves("w1-is-an-ipm", strength="instance-proved", role="supports")
def test_critics_reach_the_cost_of_transport_on_random_laws():
    rng = random.Random(2)
    for _ in range(100):
        points = sorted(rng.sample(range(-50, 50), 6))
        weights = [[rng.randint(0, 9) for _ in points] for _ in range(2)]
        p, q = ([Fraction(w + (k == 0), sum(ws) + 1) for k, w in enumerate(ws)] for ws in weights)
        cdfs = zip(itertools.accumulate(p), itertools.accumulate(q), strict=True)
        steps = [b - a for a, b in itertools.pairwise(points)]
        value = sum(abs(F - G) * step for (F, G), step in zip(cdfs, steps, strict=False))
        check_emd(points, p, q, value)


def check_phi_divergence(phi):
    """``p log(p / q) = q phi(p / q)``, for a symbol log(u); phi is convex and phi(1) = 0."""
    import sympy

    check_identity(lambda q, u, log_u: (q * u) * log_u, lambda q, u, log_u: q * phi(u, log_u))
    u = sympy.Symbol("u", positive=True)
    function = phi(u, sympy.log(u))
    assert function.subs(u, 1) == 0
    assert sympy.diff(function, u, 2).is_positive is True


@proves("ipm-vs-phi-divergence-examples", strength="identity", scope=("KL",))
def test_kl_is_the_phi_divergence_of_u_log_u():
    check_phi_divergence(lambda u, log_u: u * log_u)


@proves("ipm-vs-phi-divergence-examples", role="must_fail")
def test_minus_log_u_is_the_generator_of_another_divergence():
    check_phi_divergence(lambda u, log_u: -log_u)


@proves("ipm-vs-phi-divergence-examples", strength="identity", scope=("W_1",), lemmas=KANTOROVICH)
def test_w1_is_a_supremum_over_lipschitz_functions():
    check_one_function_suffices(1)


@proves("ipm-vs-phi-divergence-examples", role="must_fail")
def test_w1_is_no_supremum_over_constant_functions():
    check_one_function_suffices(0)


def check_mmd(kernel_form):
    """Features (a1, a2), (b1, b2) of two points and masses that differ by (s, -s).

    The unit ball of the features' functions gains at most the norm of the difference ``delta`` of
    the mean features (Cauchy-Schwarz), and ``delta / |delta|`` gains it; its square is a quadratic
    form of the kernel.
    """
    check_identity(
        lambda a1, a2, b1, b2, s: (s * a1 - s * b1) ** 2 + (s * a2 - s * b2) ** 2,
        lambda a1, a2, b1, b2, s: kernel_form(
            s, a1 * a1 + a2 * a2, a1 * b1 + a2 * b2, b1 * b1 + b2 * b2
        ),
    )


@proves(
    "ipm-vs-phi-divergence-examples",
    strength="identity",
    scope=("MMD",),
    lemmas=("the same for any numbers of points and features: both sides are sums over them",),
)
def test_mmd_squared_is_the_quadratic_form_of_the_kernel():
    check_mmd(lambda s, k_aa, k_ab, k_bb: s * k_aa * s - 2 * s * k_ab * s + s * k_bb * s)


@proves("ipm-vs-phi-divergence-examples", role="must_fail")
def test_mmd_without_the_cross_term_is_rejected():
    check_mmd(lambda s, k_aa, k_ab, k_bb: s * k_aa * s + s * k_bb * s)


# ---- W_1 neither blows up nor saturates ----------------------------------------------------------
def check_finite(bound):
    """Each mass g of a plan moves at most by an origin o: in all, E d(x, o) + E d(o, y)."""
    check_nonnegative_combination(
        lambda g, d_xo, d_oy, d_xy: g * bound(d_xo, d_oy) - g * d_xy,
        lambda g, d_xo, d_oy, d_xy: [g],
        lambda g, d_xo, d_oy, d_xy: [d_xo + d_oy - d_xy],
    )


@proves("w-does-not-blow-up", strength="identity", scope=("does not blow up",))
def test_w1_is_at_most_the_sum_of_the_first_moments():
    check_finite(lambda d_xo, d_oy: d_xo + d_oy)


@proves("w-does-not-blow-up", role="must_fail")
def test_one_first_moment_alone_is_no_bound():
    check_finite(lambda d_xo, d_oy: d_xo)


def check_one_coupling(value):
    """Unit masses at 0 and at theta, for any theta: one plan, the potential ``f(x) = -x``."""
    check_identity(lambda theta: theta, value)
    for theta in (Fraction(1, 1000), Fraction(1), Fraction(1000)):
        check_emd([0, theta], [1, 0], [0, 1], value(theta))


@proves("w-does-not-blow-up", strength="certificate", scope=("does not saturate",))
def test_w1_of_two_points_is_their_distance():
    check_one_coupling(lambda theta: theta)


@proves("w-does-not-blow-up", role="must_fail")
def test_w1_of_two_points_is_not_constant():
    check_one_coupling(lambda theta: 0 * theta + 1)


@proves(
    "w-does-not-blow-up",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="first-moments",
)
def test_without_a_first_moment_w1_may_be_infinite():
    # P = unit mass at 0, Q(2^k) = 2^-k: one plan, and its first n terms cost n.
    for n in (1, 10, 100):
        assert sum(Fraction(1, 2**k) * abs(2**k - 0) for k in range(1, n + 1)) == n


# ---- the exercises -------------------------------------------------------------------------------
def check_exercise(laws, emd, kld):
    """Stated distances of pairs of laws on {0, 1, ...}, named by their letters."""
    points = range(len(next(iter(laws.values()))))
    for (a, b), value in emd.items():
        check_emd(points, laws[a], laws[b], value)
    for (a, b), value in kld.items():
        assert exact_kl(laws[a], laws[b]) == value


GROUP_1 = {"P": (HALF, HALF), "Q": (3 * QUARTER, QUARTER), "R": (QUARTER, 3 * QUARTER)}
EMD_1 = {"PQ": QUARTER, "QP": QUARTER, "PP": 0, "PR": QUARTER, "QR": HALF}
FORTH = exact_log(2) - HALF * exact_log(3)
BACK = 3 * QUARTER * exact_log(3) - exact_log(2)
KLD_1 = {"PQ": FORTH, "QP": BACK, "PP": LogSum(), "PR": FORTH, "QR": HALF * exact_log(3)}

GROUP_2 = {
    "P": (HALF, HALF, 0, 0),
    "Q": (THIRD, THIRD, THIRD, 0),
    "R": (HALF, HALF, 0, 0),
    "S": (0, 0, HALF, HALF),
}
EMD_2 = {"PQ": HALF, "QP": HALF, "RS": 2}
KLD_2 = {"PQ": exact_log(Fraction(3, 2)), "QP": math.inf, "RS": math.inf}

GROUP_3 = {
    "P": (QUARTER, 3 * QUARTER, 0, 0),
    "Q": (0, 3 * QUARTER, QUARTER, 0),
    "R": (0, QUARTER, 3 * QUARTER, 0),
    "S": (0, 0, QUARTER, 3 * QUARTER),
}
EMD_3 = {"PQ": HALF, "PR": 1, "QR": HALF, "PS": 2, "RS": 1}


@proves("emd-kld-exercise-group-1", strength="certificate")
def test_first_exercise_on_two_points():
    check_exercise(GROUP_1, EMD_1, KLD_1)


@proves("emd-kld-exercise-group-1", role="must_fail")
def test_first_exercise_with_a_symmetric_divergence_is_rejected():
    check_exercise(GROUP_1, EMD_1, KLD_1 | {"QP": FORTH})


@proves("emd-kld-exercise-group-2", strength="certificate")
def test_second_exercise_with_disjoint_supports():
    check_exercise(GROUP_2, EMD_2, KLD_2)


@proves("emd-kld-exercise-group-2", role="must_fail")
def test_second_exercise_with_masses_that_move_one_step_is_rejected():
    check_exercise(GROUP_2, EMD_2 | {"RS": 1}, KLD_2)


@proves("emd-exercise-group-3", strength="certificate")
def test_third_exercise_on_four_points():
    check_exercise(GROUP_3, EMD_3, {})


@proves("emd-exercise-group-3", role="must_fail")
def test_third_exercise_with_total_variation_for_distance_is_rejected():
    check_exercise(GROUP_3, EMD_3 | {"PS": 1}, {})


def refute_being_a_law(masses):
    assert sum(masses) != 1
    return sum(masses)


@proves("dfl-q-not-normalised", strength="certificate", role="refutes")
def test_three_times_thirty_three_hundredths_are_not_one(record_witness):
    record_witness(Q="(0.33, 0.33, 0.33)", total=refute_being_a_law([Fraction(33, 100)] * 3))


@proves("dfl-q-not-normalised", role="must_fail")
def test_three_thirds_are_one():
    refute_being_a_law([THIRD] * 3)
