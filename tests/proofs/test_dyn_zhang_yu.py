"""Zhang and Yu (2020) for all parameters at once, by a solver of polynomial inequalities.

Every statement is about real numbers ``A = a1 a2 s > 0``, ``C = (a1 b2 + a2 b1) s`` and
``R = b1 b2 s``, ``s = sigma^2``: the characteristic polynomials depend on nothing else, and such
a1, a2, b1, b2 exist if and only if ``C^2 >= 4 A R``. In these letters each is decided in a fraction
of a second; in a1, b1, b2 some take minutes and some are not decided.
"""

from __future__ import annotations

from fractions import Fraction

import pytest
import z3

from tests.identities import check_identity
from tests.inequalities import JURY, cubic, decide, quadratic, quartic, within

proves = pytest.mark.proves

A, C, R, S, P = z3.Reals("A C R S P")
# S = b1 + b2 and P = b1 b2 for extragradient (per s and s^2) and momentum.
WEIGHTS = (A > 0, C * C >= 4 * A * R)
SUMS = (A > 0, S * S >= 4 * P)


# ---- gradient descent-ascent, extragradient ------------------------------------------------------
def check_never(product):
    """``l^2 + p l + product`` has not both roots inside, for any p."""
    p = z3.Real("p")
    decide(z3.Not(quadratic(p, product)), A > 0)


@proves("zhang-yu-gradient-descent-never", strength="solver", lemmas=(JURY,))
def test_gradient_descent_ascent_never_converges():
    check_never(1 + A)
    check_never(z3.RealVal(1))


@proves("zhang-yu-gradient-descent-never", role="must_fail")
def test_a_smaller_product_of_the_eigenvalues_would_do():
    check_never(1 - A)


def extragradient(A, S, P, in_turn):
    """Inside the unit circle, from the polynomials, at steps and weights per s and s^2."""
    if in_turn:
        return quadratic(S - 2 + A, 1 - S + P)
    return quadratic(S - 2, 1 - S + P + A)


def check_extragradient_nested(bound):
    decide(
        z3.Implies(extragradient(A, S, P, False), extragradient(A, S, P, True)),
        *SUMS,
        bound,
    )


@proves("zhang-yu-extragradient-nested", strength="solver", lemmas=(JURY,))
def test_where_simultaneous_extragradient_converges_so_does_alternating():
    check_extragradient_nested(S + A < 2)


@proves("zhang-yu-extragradient-nested", role="must_fail")
def test_not_without_the_condition_on_the_sum():
    check_extragradient_nested(S + A < 4)


# ---- optimistic steps ----------------------------------------------------------------------------
def optimistic(A, C, R, in_turn):
    if in_turn:
        return cubic(A - 2, 1 - C, R)
    return quartic(z3.RealVal(-2), 1 + A, -C, R)


def printed(A, C, R, in_turn):
    """Theorem 3.3 in the letters of this file: four inequalities, in turn three."""
    if in_turn:
        return z3.And(A - C + R > 0, A + C + R < 4, A * R + C + 1 > (1 + R) * (1 + R))
    last = A * (1 - R) * (1 - R) + C * C < (1 + R) * (2 * C + R * (R - 3))
    return z3.And(within(R, 1), A - C + R > 0, A + C + R > -4, last)


def check_letters():
    """The published inequalities, times powers of s, are those of `printed`."""
    check_identity(
        lambda a, b, d, s: (a - b) * (a - d) * s,
        lambda a, b, d, s: a * a * s - a * (b + d) * s + b * d * s,
    )
    check_identity(
        lambda a, b, d, s: (a + b) * (a + d) * s,
        lambda a, b, d, s: a * a * s + a * (b + d) * s + b * d * s,
    )
    # A (1 - R)^2 + C^2, and in turn A R + C + 1.
    check_identity(
        lambda a, b, d, s: a**2 * s * (b**2 * s + 1) * (d**2 * s + 1),
        lambda a, b, d, s: a**2 * s * (1 - b * d * s) ** 2 + (a * (b + d) * s) ** 2,
    )
    check_identity(
        lambda a, b, d: (a * b + 1) * (a * d + 1),
        lambda a, b, d: a**2 * (b * d) + a * (b + d) + 1,
    )


def check_optimistic(in_turn, *more):
    check_letters()
    condition = z3.And(printed(A, C, R, in_turn), *more)
    decide(condition == optimistic(A, C, R, in_turn), *WEIGHTS)


@proves("zhang-yu-optimistic-simultaneous", strength="solver", lemmas=(JURY,))
def test_the_four_inequalities_say_when_simultaneous_optimistic_steps_converge():
    check_optimistic(False)


@proves("zhang-yu-optimistic-simultaneous", role="must_fail")
def test_with_a_fifth_they_say_less():
    check_optimistic(False, C < 1)


@proves("zhang-yu-optimistic-alternating", strength="solver", lemmas=(JURY,))
def test_with_a_fourth_inequality_they_say_when_alternating_ones_converge():
    check_optimistic(True, within(R, 1))


@proves("zhang-yu-optimistic-alternating", role="must_fail")
def test_without_it_they_say_too_much():
    check_optimistic(True)


def refute_three_inequalities(alpha, beta1, beta2):
    """The three hold at sigma = 1, and the characteristic polynomial has a root below -1.

    It is computed from the iteration; a change of sign between two rationals encloses the root.
    """
    assert (alpha - beta1) * (alpha - beta2) > 0
    assert (alpha + beta1) * (alpha + beta2) < 4
    assert (alpha * beta1 + 1) * (alpha * beta2 + 1) > (1 + beta1 * beta2) ** 2
    p, q, r = alpha**2 - 2, 1 - alpha * (beta1 + beta2), beta1 * beta2
    check_iteration(alpha, beta1, beta2, [1, p, q, r])
    low, high = Fraction(-512488541977, 10**11), Fraction(-512488541976, 10**11)
    left, right = (t**3 + p * t**2 + q * t + r for t in (low, high))
    assert left < 0 < right
    return low


def check_iteration(alpha, beta1, beta2, coefficients):
    """By Cayley-Hamilton: four iterates of each basis state satisfy the recurrence."""
    for start in range(4):
        x, y, p, q = (Fraction(start == k) for k in range(4))
        orbit = []
        for _ in range(5):
            orbit.append((x, y, p, q))
            new = x - alpha * y + beta1 * q
            x, y, p, q = new, y + alpha * new - beta2 * x, x, y
        combined = [
            sum(c * z[i] for c, z in zip(coefficients, orbit[4:0:-1], strict=True))
            for i in range(4)
        ]
        assert combined == [0] * 4


PRINTED = "zhang-yu-optimistic-alternating-as-printed"


@proves(PRINTED, strength="certificate", role="refutes")
def test_three_inequalities_hold_and_the_iterates_grow_fivefold(record_witness):
    refute_three_inequalities(3, -1, -2)
    record_witness(alpha=3, beta1=-1, beta2=-2, sigma=1, polynomial="l^3 + 7 l^2 + 10 l + 2",
                   root="between -5.12488541977 and -5.12488541976")  # fmt: skip


@proves(PRINTED, role="must_fail")
def test_with_a_positive_correction_there_is_no_counterexample():
    refute_three_inequalities(1, Fraction(1, 2), 0)


@proves("zhang-yu-optimistic-alternating", strength="solver", role="supports")
def test_the_three_are_enough_if_one_correction_is_not_negative():
    # Both negative means C < 0 < R; then and only then may R be 1 or more.
    decide(
        z3.Implies(printed(A, C, R, True), optimistic(A, C, R, True)),
        *WEIGHTS,
        z3.Not(z3.And(C < 0, R > 0)),
    )


def check_optimistic_nested(first_in_turn):
    decide(
        z3.Implies(optimistic(A, C, R, first_in_turn), optimistic(A, C, R, not first_in_turn)),
        *WEIGHTS,
    )


@proves("zhang-yu-optimistic-nested", strength="solver", lemmas=(JURY,))
def test_where_simultaneous_optimistic_steps_converge_so_do_alternating_ones():
    check_optimistic_nested(False)


@proves("zhang-yu-optimistic-nested", role="must_fail")
def test_not_the_other_way_round():
    check_optimistic_nested(True)


# ---- momentum ------------------------------------------------------------------------------------
def momentum_coefficients(in_turn):
    return (
        -S - 2 + (A if in_turn else 0),
        P + 2 * S + 1 + (0 if in_turn else A),
        -2 * P - S,
        P,
    )


def momentum(A):
    """Theorem 3.4, alternating; ``4 (1 + b1)(1 + b2) = 4 (1 + S + P)``."""
    return z3.And(
        within(P, 1),
        within(S + 2 - A, P + 3),
        A < 4 * (1 + S + P),
        A * P < (1 - P) * (2 * P - S),
    )


def check_momentum_never(in_turn):
    decide(z3.Not(quartic(*momentum_coefficients(in_turn))), *SUMS)


def check_momentum(condition):
    decide(condition == quartic(*momentum_coefficients(True)), *SUMS)


def check_negative_weight(consequence):
    decide(z3.Implies(momentum(A), consequence), *SUMS)


MOMENTUM = "zhang-yu-momentum"


@proves(MOMENTUM, strength="solver", scope="simultaneous: never", lemmas=(JURY,))
def test_simultaneous_momentum_never_converges():
    check_momentum_never(False)


@proves(MOMENTUM, strength="solver", scope="alternating: iff", lemmas=(JURY,))
def test_the_inequalities_say_when_alternating_momentum_converges():
    check_momentum(momentum(A))


@proves(MOMENTUM, strength="solver", scope="alternating: a negative weight")
def test_one_weight_has_to_be_negative():
    # Both at least 0 means S >= 0 and P >= 0.
    check_negative_weight(z3.Or(S < 0, P < 0))


@proves(MOMENTUM, role="must_fail")
def test_alternating_momentum_may_converge():
    check_momentum_never(True)


@proves(MOMENTUM, role="must_fail")
def test_without_the_last_inequality_they_say_too_much():
    check_momentum(z3.And(within(P, 1), within(S + 2 - A, P + 3), A < 4 * (1 + S + P)))


@proves(MOMENTUM, role="must_fail")
def test_not_both_weights_have_to_be_negative():
    check_negative_weight(z3.And(S < 0, P > 0))


# ---- one parameter -------------------------------------------------------------------------------
def check_one_parameter(extra, together, in_turn):
    """Extragradient with gamma = alpha: ``S = 2 A, P = A^2``. OGD with beta = alpha / 2.

    The bounds are on ``A = alpha^2 s``, and ``alpha = 2 eta`` for optimistic steps.
    """
    for order in (False, True):
        decide(extragradient(A, 2 * A, A * A, order) == (extra > A), A > 0)
    decide(optimistic(A, A, A / 4, False) == (together > 3 * A), A > 0)
    decide(optimistic(A, A, A / 4, True) == (in_turn > 9 * A), A > 0)


ONE = "step-limits-of-one-parameter"


@proves(ONE, strength="solver", lemmas=(JURY,))
def test_the_step_limits_of_the_methods_with_one_parameter():
    check_one_parameter(1, 4, 16)


@proves(ONE, role="must_fail")
def test_alternating_optimistic_steps_do_not_allow_longer_ones():
    check_one_parameter(1, 4, 17)


# ---- which singular values matter ----------------------------------------------------------------
def check_extremes(low, high):
    """What holds at the squared singular values t1 < t2 holds at 1 between them."""
    t1, t2 = z3.Reals("t1 t2")
    between = (t1 > 0, low(t1), high(t2))
    for in_turn in (False, True):
        decide(
            z3.Implies(
                z3.And(*(optimistic(A * t, C * t, R * t, in_turn) for t in (t1, t2))),
                optimistic(A, C, R, in_turn),
            ),
            *WEIGHTS, *between,
        )  # fmt: skip
        decide(
            z3.Implies(
                z3.And(*(extragradient(A * t, S * t, P * t * t, in_turn) for t in (t1, t2))),
                extragradient(A, S, P, in_turn),
            ),
            *SUMS, *between,
        )  # fmt: skip
    decide(z3.Implies(z3.And(momentum(A * t1), momentum(A * t2)), momentum(A)), *SUMS, *between)


@proves("extreme-singular-values-decide", strength="solver", lemmas=(JURY,))
def test_the_largest_and_the_smallest_singular_value_decide():
    check_extremes(lambda t: t < 1, lambda t: t > 1)


@proves("extreme-singular-values-decide", role="must_fail")
def test_the_largest_alone_does_not():
    check_extremes(lambda t: t > 1, lambda t: t > 1)
