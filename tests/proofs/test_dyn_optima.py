"""The best exponents on bilinear games: Zhang and Yu's section 4 and two that beat their grid."""

from __future__ import annotations

import pytest
import z3

from tests.identities import check_identity
from tests.inequalities import JURY, decide, quartic, within

proves = pytest.mark.proves

A, C, S, P, t, r = z3.Reals("A C S P t r")


def quadratic_below(p, q, numerator, denominator=1):
    """``l^2 + p l + q``: all roots of modulus less than ``numerator / denominator``."""
    n2, d2 = numerator * numerator, denominator * denominator
    return z3.And(within(q * d2, n2), within(p * denominator * numerator, n2 + q * d2))


# ---- extragradient -------------------------------------------------------------------------------
def check_no_better_extragradient(numerator):
    """No weights have a radius below ``numerator / (1 + t)`` at s = 1 and at s = t, t < 1."""
    for in_turn in (False, True):

        def below(s, in_turn=in_turn):
            p = S * s - 2 + (A * s if in_turn else 0)
            q = 1 - S * s + P * s * s + (0 if in_turn else A * s)
            return quadratic_below(p, q, numerator, 1 + t)

        both = z3.And(below(z3.RealVal(1)), below(t))
        decide(z3.Not(both), A > 0, S * S >= 4 * P, t > 0, t < 1)


def check_extragradient_limit(multiple):
    """At A = 0 and weights b each: eigenvalues ``1 - b`` and ``1 - b t``, opposite at b = 2/(1+t).

    ``(1 + t)(1 - b) = -(1 - t)``; for small A the polynomial moves little (roots are continuous).
    """
    check_identity(lambda t: (1 + t) - multiple, lambda t: -(1 - t))
    check_identity(lambda t: (1 + t) - multiple * t, lambda t: 1 - t)


EXTRA = "zhang-yu-extragradient-optimum"


@proves(EXTRA, strength="solver", scope="no less", lemmas=(JURY,))
def test_no_extragradient_is_better():
    check_no_better_extragradient(1 - t)


@proves(EXTRA, strength="identity", scope="approached", lemmas=("roots depend continuously",))
def test_equal_weights_approach_it_as_the_step_tends_to_zero():
    check_extragradient_limit(2)


@proves(EXTRA, role="must_fail")
def test_some_extragradient_is_better_than_one():
    check_no_better_extragradient(1 + t)


@proves(EXTRA, role="must_fail")
def test_half_the_weight_does_not_balance_the_ends():
    check_extragradient_limit(1)


# ---- alternating optimistic steps with one correction --------------------------------------------
def check_no_better_optimistic(square):
    """``l (l^2 + (A s - 2) l + 1 - C s)``: no A, C have a radius below r, ``r^2 = square(t)``."""

    def below(s):
        return quadratic_below(A * s - 2, 1 - C * s, r)

    both = z3.And(below(z3.RealVal(1)), below(t))
    decide(z3.Not(both), A > 0, t > 0, t < 1, r > 0, r * r * (1 + t) == square(t))


def check_optimistic_attained(step):
    """``A = step, C = 2 / (1 + t)``: q is ``-(1 - t) / (1 + t)`` and its negative at the two ends.

    Then both roots have ``|l|^2 = |q|``: at s = 1 they are ``+-r`` since p = 0; at s = t they are
    conjugate, since ``p^2 - 4 q = 4 (1 - t)^2 - 4 (1 - t) / (1 + t) = -4 t^2 (1 - t) / (1 + t)``.
    """
    check_identity(lambda t: (1 + t) - 2, lambda t: -(1 - t))
    check_identity(lambda t: (1 + t) - 2 * t, lambda t: 1 - t)
    check_identity(lambda t: step * 1 - 2, lambda t: t * 0)
    check_identity(
        lambda t: (step * t - 2) ** 2 * (1 + t) - 4 * (1 - t), lambda t: -4 * t**2 * (1 - t)
    )


OPTIMISTIC = "zhang-yu-one-correction-optimum"


@proves(OPTIMISTIC, strength="solver", scope="no less", lemmas=(JURY,))
def test_no_alternating_steps_with_one_correction_are_better():
    check_no_better_optimistic(lambda t: 1 - t)


@proves(OPTIMISTIC, strength="identity", scope="attained")
def test_the_published_parameters_attain_it():
    check_optimistic_attained(2)


@proves(OPTIMISTIC, role="must_fail")
def test_some_are_better_than_one():
    check_no_better_optimistic(lambda t: 1 + t)


@proves(OPTIMISTIC, role="must_fail")
def test_another_step_does_not_attain_it():
    check_optimistic_attained(3)


# ---- simultaneous optimistic steps on x y --------------------------------------------------------
def check_fourfold_root(root, sum_of_roots):
    """``l^2 (l - 1)^2 + (l a - b1)(l a - b2)`` is ``(l - root)^4`` at the stated parameters.

    Four roots with the sum 2 include one of modulus at least 2 / 4.
    """
    import sympy

    lam, a, b1, b2 = sympy.symbols("lambda alpha beta1 beta2")
    polynomial = sympy.expand(lam**2 * (lam - 1) ** 2 + (lam * a - b1) * (lam * a - b2))
    assert polynomial.coeff(lam, 3) == -sum_of_roots
    assert sum_of_roots == 4 * root
    two = sympy.sqrt(2)
    best = {a: 1 / two, b1: (two + 1) / 4, b2: (two - 1) / 4}
    assert sympy.expand(polynomial.subs(best) - (lam - root) ** 4) == 0


FOURFOLD = "optimum-of-simultaneous-optimistic-steps"


@proves(
    FOURFOLD,
    strength="identity",
    lemmas=("the largest of four moduli is at least the modulus of the mean",),
)
def test_one_half_is_the_mean_of_the_roots_and_attained():
    import sympy

    check_fourfold_root(sympy.Rational(1, 2), 2)


@proves(FOURFOLD, role="must_fail")
def test_the_grid_in_print_is_not_the_mean_of_the_roots():
    import sympy

    check_fourfold_root(sympy.Rational(3, 5), 2)


# ---- alternating momentum on x y -----------------------------------------------------------------
def check_threefold_root(root, seventh=7):
    """``(l - 1)^2 (l - b)^2 + A l^3 = (l + root)^3 (l + root / 9)``, ``A = 64 root / 9``."""
    import sympy

    lam = sympy.Symbol("lambda")
    b = 4 * sympy.sqrt(3) - seventh
    polynomial = (lam - 1) ** 2 * (lam - b) ** 2 + 64 * root / 9 * lam**3
    assert sympy.expand(polynomial - (lam + root) ** 3 * (lam + root / 9)) == 0


def check_no_better_momentum(radius):
    """No weights and step have all four roots of modulus below the radius, a decimal number."""
    b = z3.RealVal(radius)
    # The coefficients of p(b l) / b^4, whose roots are 1/b times those of p.
    inside = quartic((A - S - 2) / b, (P + 2 * S + 1) / b**2, (-2 * P - S) / b**3, P / b**4)
    decide(z3.Not(inside), A > 0, S * S >= 4 * P)


MOMENTUM = "optimum-of-alternating-momentum"


@proves(MOMENTUM, strength="identity", scope="attained")
def test_two_roots_of_three_minus_three_is_attained():
    import sympy

    check_threefold_root(2 * sympy.sqrt(3) - 3)


@proves(MOMENTUM, strength="solver", scope="no less than 0.46410161", lemmas=(JURY,))
def test_no_alternating_momentum_is_better():
    check_no_better_momentum("0.46410161")


@proves(MOMENTUM, role="must_fail")
def test_the_grid_in_print_is_not_a_threefold_root():
    import sympy

    check_threefold_root(sympy.Rational(1, 2))


@proves(MOMENTUM, role="must_fail")
def test_some_alternating_momentum_is_better_than_the_grid_in_print():
    check_no_better_momentum("0.5")
