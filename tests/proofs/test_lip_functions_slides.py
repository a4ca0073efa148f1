"""What a Lipschitz function is, and the slides' examples and counterexamples."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves


# ---- definitions ---------------------------------------------------------------------------------
def check_secants_and_differences(differences):
    """``K d - w = d (K - q)`` with the slope q of the secant, ``w = q d``, and the distance d > 0.

    A product with a positive factor has the sign of the other one: both conditions are one.
    """
    check_identity(lambda K, q, d: differences(K, q, d), lambda K, q, d: d * (K - q))


@proves("lipschitz-secant-definition", strength="identity")
def test_bounded_secants_and_bounded_differences_are_the_same():
    check_secants_and_differences(lambda K, q, d: K * d - q * d)


@proves("lipschitz-secant-definition", role="must_fail")
def test_squared_differences_are_another_condition():
    check_secants_and_differences(lambda K, q, d: K * d - (q * d) ** 2)


def check_cone(inside):
    """A point (h, v) as seen from the apex; ``inside(K, |h|, |v|) > 0`` in the open double cone.

    ``inside = (|v| - K |h|) (|v| + K |h|)``: the second factor is not negative, and where it is 0
    so is the first. Hence not inside iff ``|v| <= K |h|``, for K, |h|, |v| >= 0.
    """
    check_identity(
        lambda K, h, v: inside(K, h, v),
        lambda K, h, v: (v - K * h) * (v + K * h),
    )


@proves("lipschitz-double-cone", strength="identity")
def test_a_graph_outside_every_vertical_cone_is_that_of_a_lipschitz_function():
    check_cone(lambda K, h, v: v**2 - (K * h) ** 2)


@proves("lipschitz-double-cone", role="must_fail")
def test_a_cone_that_lies_on_its_side_says_something_else():
    check_cone(lambda K, h, v: (K * h) ** 2 - v**2)


def refute_that_smooth_means_lipschitz(absolute_is_smooth, square_is_lipschitz):
    """|x| has secants of slope at most 1, x^2 has a derivative with secants of slope 2.

    The other two slopes exceed every constant K: that of the derivative of |x| between -h and h,
    and that of x^2 between K + 1 and 0.
    """
    for K in (1, 10, 10**6):
        h = Fraction(1, 2 * K)
        jump = Fraction(1 - (-1)) / (h - (-h))
        secant = Fraction((K + 1) ** 2 - 0, K + 1)
        assert (jump <= K) == absolute_is_smooth
        assert (secant <= K) == square_is_lipschitz


@proves("lipschitz-smooth-terminology", strength="certificate", role="refutes")
def test_the_slides_example_is_not_smooth_and_their_counterexample_is(record_witness):
    refute_that_smooth_means_lipschitz(absolute_is_smooth=False, square_is_lipschitz=False)
    check_identity(lambda x, y: 2 * x - 2 * y, lambda x, y: 2 * (x - y))  # x^2 is 2-smooth
    record_witness(
        absolute_value="Lipschitz with 1, its derivative jumps by 2: not smooth",
        square="2-smooth, its secant from 0 to K + 1 has slope K + 1: not Lipschitz",
    )


@proves("lipschitz-smooth-terminology", role="must_fail")
def test_the_two_properties_do_not_agree_on_these_functions():
    refute_that_smooth_means_lipschitz(absolute_is_smooth=True, square_is_lipschitz=False)


def refute_strictly_less(constant):
    """f(x) = constant x satisfies ``||f||_L <= 1``; is its constant less than 1?"""
    assert constant <= 1
    assert not constant < 1


@proves("lipschitz-ball-strictly-less-than-one", strength="certificate", role="refutes")
def test_the_identity_is_in_the_ball_and_its_constant_is_not_less_than_one(record_witness):
    refute_strictly_less(1)
    # Between the atoms 0 and 1 it attains W_1 = 1; every L < 1 is surpassed by (1 + L) / 2 < 1.
    check_identity(lambda L: (1 + L) - 2 * L, lambda L: 1 - L)
    check_identity(lambda L: 2 - (1 + L), lambda L: 1 - L)
    record_witness(f="f(x) = x", constant=1, supremum_of_the_smaller_ones="1, not attained")


@proves("lipschitz-ball-strictly-less-than-one", role="must_fail")
def test_a_contraction_is_no_counterexample():
    refute_strictly_less(Fraction(1, 2))


# ---- examples ------------------------------------------------------------------------------------
def refute_slope(a):
    """f(x) = a x between -1 and 0: the secant is steeper than a."""
    assert abs(a * 0 - a * -1) > a * abs(0 - -1)


@proves("example-ax-lipschitz", strength="certificate", role="refutes")
def test_a_falling_line_is_not_lipschitz_with_its_slope(record_witness):
    refute_slope(-1)
    record_witness(a=-1, x=0, y=-1, difference=1, bound=-1)


@proves("example-ax-lipschitz", role="must_fail")
def test_a_rising_line_is_no_counterexample():
    refute_slope(2)


def check_line(squared_constant):
    """``|a x - a y|^2 = squared_constant |x - y|^2`` for all x, y: an upper bound and attained."""
    check_identity(
        lambda a, x, y: (a * x - a * y) ** 2,
        lambda a, x, y: squared_constant(a) * (x - y) ** 2,
    )


@proves("example-ax-lipschitz-modulus", strength="identity")
def test_every_secant_of_a_line_has_the_modulus_of_its_slope():
    check_line(lambda a: a**2)


@proves("example-ax-lipschitz-modulus", role="must_fail")
def test_no_secant_of_a_line_has_twice_its_slope():
    check_line(lambda a: 4 * a**2)


def check_absolute_value(numerator, denominator):
    """``(|x| - |y|)^2 <= constant^2 (x - y)^2`` for the constant^2 given as a fraction.

    p = |x| and q = |y|: with ``p^2 = x^2``, ``q^2 = y^2`` and ``p q >= x y``.
    """
    check_nonnegative_combination(
        lambda x, y, p, q: numerator * (x - y) ** 2 - denominator * (p - q) ** 2,
        lambda x, y, p, q: [2 * denominator, denominator, denominator],
        lambda x, y, p, q: [p * q - x * y, x**2 - p**2, y**2 - q**2],
    )


@proves("example-abs-lipschitz", strength="identity", scope="upper bound")
def test_the_absolute_value_is_1_lipschitz():
    check_absolute_value(1, 1)


@proves("example-abs-lipschitz", role="must_fail")
def test_the_absolute_value_is_not_half_lipschitz():
    check_absolute_value(1, 4)


@proves("example-abs-lipschitz", strength="identity", scope="least")
def test_on_the_positive_half_line_every_secant_has_slope_one():
    check_line(lambda a: a**2)  # |x| = 1 x there


@proves("example-abs-lipschitz", role="must_fail")
def test_on_the_positive_half_line_no_secant_is_steeper():
    check_line(lambda a: 4 * a**2)


def check_sine(numerator, denominator):
    """``sin'^2 <= constant^2`` for the constant^2 given as a fraction.

    The derivative of sin = s is cos = c, and ``c^2 + s^2 = 1``.
    """
    import sympy

    x = sympy.Symbol("x", real=True)
    assert sympy.diff(sympy.sin(x), x) == sympy.cos(x)
    check_identity(
        lambda s, c: numerator - denominator * c**2,
        lambda s, c: denominator * (s**2 + (1 - s**2 - c**2)),
    )


@proves("example-sin-lipschitz", strength="identity", scope="upper bound", lemmas=("sin' = cos",))
def test_the_sine_is_1_lipschitz():
    check_sine(1, 1)


@proves("example-sin-lipschitz", role="must_fail")
def test_the_sine_is_not_bounded_by_four_fifths():
    check_sine(16, 25)


def check_slope_at_zero(constant):
    """At 0 the derivative has its largest value, which is a lower bound of every constant."""
    import sympy

    x = sympy.Symbol("x", real=True)
    assert sympy.diff(sympy.sin(x), x).subs(x, 0) == constant


@proves("example-sin-lipschitz", strength="identity", scope="least", lemmas=("sin' = cos",))
def test_no_smaller_constant_bounds_the_sine():
    check_slope_at_zero(1)


@proves("example-sin-lipschitz", role="must_fail")
def test_the_slope_of_the_sine_at_zero_is_not_smaller():
    check_slope_at_zero(Fraction(99, 100))


# ---- counterexamples -----------------------------------------------------------------------------
def check_square_exceeds(far):
    """``|x^2 - 0| - K |x - 0| = K + 1 > 0`` at x = far(K), for all K >= 0 at once."""
    check_identity(lambda K: far(K) ** 2 - K * far(K), lambda K: K + 1)


@proves("counterexample-square-not-lipschitz", strength="identity")
def test_the_secant_from_zero_to_k_plus_one_is_steeper_than_k():
    check_square_exceeds(lambda K: K + 1)


@proves("counterexample-square-not-lipschitz", role="must_fail")
def test_the_secant_from_zero_to_k_is_not():
    check_square_exceeds(lambda K: K)


@proves("counterexample-square-not-lipschitz", strength="identity", role="supports")
def test_on_a_bounded_interval_the_square_is_lipschitz():
    # |x + y| <= 2 R on [-R, R], attained in the limit x, y -> R.
    check_identity(lambda x, y: x**2 - y**2, lambda x, y: (x + y) * (x - y))
    check_nonnegative_combination(
        lambda R, x, y: 2 * R - (x + y), lambda R, x, y: [1, 1], lambda R, x, y: [R - x, R - y]
    )


def check_exponential_exceeds(E_at_least):
    """``(e^(y+1) - e^y) / 1 - K = E F - K >= 1``, ``E = e^y`` and ``F = e - 1 >= 1``, for all K."""
    check_nonnegative_combination(
        lambda K, E, F: E * F - K - 1,
        lambda K, E, F: [E, 1],
        lambda K, E, F: [F - 1, E - E_at_least(K)],
    )


@proves("counterexample-exp-not-lipschitz", strength="identity", lemmas=("e^t >= 1 + t for all t",))
def test_the_secant_from_k_to_k_plus_one_is_steeper_than_k():
    check_exponential_exceeds(lambda K: 1 + K)


@proves("counterexample-exp-not-lipschitz", role="must_fail")
def test_the_secant_from_zero_to_one_is_not_steeper_than_every_constant():
    check_exponential_exceeds(lambda K: 1)


def check_step_exceeds(distance_times_constant):
    """Between 0 and -d the step jumps by 1; ``1 - K d = 1/2`` at ``d = 1 / (2 K)``, all K > 0."""
    check_identity(
        lambda K, d: 2 * (1 - K * d), lambda K, d: 1 + (1 - distance_times_constant * K * d)
    )


@proves("counterexample-step-not-lipschitz", strength="identity")
def test_across_the_jump_short_secants_are_steeper_than_k():
    check_step_exceeds(2)


@proves("counterexample-step-not-lipschitz", role="must_fail")
def test_across_the_jump_longer_secants_are_not():
    check_step_exceeds(1)
