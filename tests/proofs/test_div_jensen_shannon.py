"""The Jensen-Shannon divergence: its bounds, the GAN objective, and what it is not."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.logarithms import LogSum, exact_js, exact_kl, exact_log

proves = pytest.mark.proves

HALF = Fraction(1, 2)
QUARTER = Fraction(1, 4)
EQUAL = ((HALF, HALF), (HALF, HALF))
DISJOINT = ((1, 0), (0, 1))
CROSSED = ((QUARTER, 3 * QUARTER), (3 * QUARTER, QUARTER))


# ---- symmetry and bounds -------------------------------------------------------------------------
# At one point with masses p and q, a = log(p / m) and b = log(q / m), m = (p + q) / 2, the share of
# 2 JS is p a + q b.
def check_symmetry(share):
    check_identity(lambda p, q, a, b: share(p, q, a, b), lambda p, q, a, b: share(q, p, b, a))


def check_lower_bound(bound):
    """With t = p / m, ``log t >= 1 - 1/t`` gives 2 p a >= p - q, and 2 q b >= q - p likewise.

    A and B stand for p a and q b.
    """
    check_nonnegative_combination(
        lambda p, q, A, B: 2 * (A + B) - bound(p, q),
        lambda p, q, A, B: [1, 1],
        lambda p, q, A, B: [2 * A - (p - q), 2 * B - (q - p)],
    )


def check_upper_bound(bound):
    """As p <= 2 m and q <= 2 m, a and b are at most L = log 2; summed, ``2 JS <= 2 log 2``."""
    check_nonnegative_combination(lambda p, q: (p + q) - p, lambda p, q: [1], lambda p, q: [q])
    check_nonnegative_combination(
        lambda p, q, a, b, L: bound(p, q) * L - (p * a + q * b),
        lambda p, q, a, b, L: [p, q],
        lambda p, q, a, b, L: [L - a, L - b],
    )


@proves("jsd-bounds-and-symmetry", strength="identity", scope="symmetric")
def test_js_is_symmetric():
    check_symmetry(lambda p, q, a, b: p * a + q * b)


@proves("jsd-bounds-and-symmetry", role="must_fail")
def test_the_divergence_from_the_midpoint_of_one_law_is_not_symmetric():
    check_symmetry(lambda p, q, a, b: p * a)


@proves(
    "jsd-bounds-and-symmetry",
    strength="identity",
    scope="at least 0",
    lemmas=("log t >= 1 - 1/t",),
)
def test_js_is_never_negative():
    check_lower_bound(lambda p, q: 0 * p)


@proves("jsd-bounds-and-symmetry", role="must_fail")
def test_js_need_not_be_positive():
    check_lower_bound(lambda p, q: p + q)


@proves(
    "jsd-bounds-and-symmetry",
    strength="identity",
    scope="at most log 2",
    lemmas=("the logarithm increases",),
)
def test_js_never_exceeds_log_two():
    check_upper_bound(lambda p, q: p + q)


@proves("jsd-bounds-and-symmetry", role="must_fail")
def test_js_is_not_bounded_by_half_of_log_two():
    check_upper_bound(lambda p, q: p)


@proves("jsd-bounds-and-symmetry", strength="certificate", role="supports")
def test_js_attains_both_bounds():
    assert exact_js(*EQUAL) == 0
    assert exact_js(*DISJOINT) == exact_log(2)


# ---- the triangle inequality ---------------------------------------------------------------------
def refute_triangle(legs):
    """(1, 0) and (0, 1) by way of (1/2, 1/2): both legs are equal; ``legs`` of them are shorter."""
    direct = exact_js((1, 0), (0, 1))
    leg = exact_js((1, 0), (HALF, HALF))
    assert leg == exact_js((HALF, HALF), (0, 1))
    assert direct > legs * leg
    return direct, leg


@proves("jsd-is-a-distance", strength="certificate", role="refutes")
def test_js_is_shorter_by_way_of_the_midpoint(record_witness):
    direct, leg = refute_triangle(2)
    assert leg == Fraction(3, 4) * exact_log(Fraction(4, 3))
    record_witness(
        P=(1, 0), Q=(0, 1), M=(HALF, HALF), JS_P_Q=str(direct), JS_P_M=str(leg), JS_M_Q=str(leg)
    )


@proves("jsd-is-a-distance", role="must_fail")
def test_the_square_root_of_js_is_not_refuted():
    # sqrt(direct) > 2 sqrt(leg) would be direct > 4 leg.
    refute_triangle(4)


# ---- the GAN objective ---------------------------------------------------------------------------
def value_at_best(p, q):
    """``sum p log D + q log(1 - D)`` at D = p / (p + q): what the maximum is at least."""
    total = LogSum()
    for a, b in zip(p, q, strict=True):
        total += sum((c * exact_log(Fraction(c) / (a + b)) for c in (a, b) if c), LogSum())
    return total


def refute_maximum(maximum, p, q):
    assert maximum(p, q) != exact_js(p, q)
    return maximum(p, q)


@proves("jsd-equals-max-of-gan-objective", strength="identity", role="refutes")
def test_between_equal_laws_the_objective_stays_below_its_jsd(record_witness):
    # 1 - 4 D (1 - D) = (1 - 2 D)^2, so log D + log(1 - D) <= -log 4 for every discriminator.
    check_identity(lambda D: 1 - 4 * D * (1 - D), lambda D: (1 - 2 * D) ** 2)
    maximum = refute_maximum(value_at_best, *EQUAL)
    assert maximum == -exact_log(4)
    record_witness(p=EQUAL[0], q=EQUAL[1], maximum=f"{maximum} (at D = 1/2)", JSD=0)


@proves("jsd-equals-max-of-gan-objective", strength="certificate", role="refutes")
@pytest.mark.parametrize(("p", "q"), [DISJOINT, CROSSED])
def test_between_different_laws_the_jsd_is_positive_and_the_objective_never(p, q, record_witness):
    # No discriminator makes log D or log(1 - D) positive.
    refute_maximum(value_at_best, p, q)
    assert exact_js(p, q) > 0
    assert value_at_best(p, q) <= 0
    record_witness(p=p, q=q, maximum="at most 0", JSD=str(exact_js(p, q)))


@proves("jsd-equals-max-of-gan-objective", role="must_fail")
@pytest.mark.parametrize(("p", "q"), [EQUAL, DISJOINT, CROSSED])
def test_half_of_the_objective_raised_by_log_four_is_not_refuted(p, q):
    refute_maximum(lambda p, q: HALF * (value_at_best(p, q) + exact_log(4)), p, q)


# ---- uniform laws on the line --------------------------------------------------------------------
def js_of_shifted_uniforms(t):
    """JS of the uniform laws on [0, 1] and [t, 1 + t]: their ratio is constant on three cells."""
    t = min(abs(Fraction(t)), 1)
    return exact_js((t, 1 - t, 0), (0, 1 - t, t))


def refute_jump(t):
    value = js_of_shifted_uniforms(t)
    assert value != exact_log(2)
    return value


@proves("title-1d-uniforms-jsd", strength="certificate", role="refutes")
def test_uniform_laws_that_overlap_by_half_have_half_of_log_two(record_witness):
    record_witness(t=HALF, JS=str(refute_jump(HALF)))


@proves("title-1d-uniforms-jsd", role="must_fail")
def test_uniform_laws_that_do_not_overlap_are_no_counterexample():
    refute_jump(1)


@proves("title-1d-uniforms-jsd", strength="certificate", role="supports")
@pytest.mark.parametrize("t", [0, Fraction(1, 7), QUARTER, Fraction(-2, 3), 1, 5])
def test_js_of_shifted_uniforms_grows_in_proportion(t):
    assert js_of_shifted_uniforms(t) == min(abs(t), 1) * exact_log(2)


# ---- discrete laws -------------------------------------------------------------------------------
def refute_infinite(p, q):
    assert isinstance(exact_kl(p, q), LogSum)
    assert isinstance(exact_kl(q, p), LogSum)
    assert exact_js(p, q) < exact_log(2)
    return exact_kl(p, q), exact_js(p, q)


@proves("discrete-kl-infinite-js-saturated", strength="certificate", role="refutes")
def test_two_coins_have_a_finite_divergence(record_witness):
    p, q = (HALF, HALF), (3 * QUARTER, QUARTER)
    kl, js = refute_infinite(p, q)
    assert kl == exact_log(2) - HALF * exact_log(3)
    record_witness(p=p, q=q, KL=str(kl), JS=str(js))


@proves("discrete-kl-infinite-js-saturated", role="must_fail")
def test_corners_against_each_other_are_no_counterexample():
    refute_infinite(*DISJOINT)
