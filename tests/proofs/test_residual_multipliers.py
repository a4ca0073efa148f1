"""Multipliers of residual blocks, of pieces joined, and of gates with a linear part taken out."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves


# ---- a residual block ----------------------------------------------------------------------------
def check_residual_multipliers(factor):
    """``L [(1 + L)^2 x^2 - (x + g)^2]`` from ``form = L^2 x^2 - g^2 + q``, with ``q <= 0``.

    One coordinate of x and g, and its share of the forms; those of all coordinates add up. The
    slack ``(L x - g)^2`` is a square, ``factor`` is L times what multiplies the branch's form.
    """
    check_nonnegative_combination(
        lambda L, x, g, q: L * ((1 + L) ** 2 * x**2 - (x + g) ** 2),
        lambda L, x, g, q: [1, factor(L), factor(L)],
        lambda L, x, g, q: [(L * x - g) ** 2, L**2 * x**2 - g**2 + q, -q],
    )


@proves("residual-blocks-by-their-own-multipliers", strength="identity")
def test_the_branch_multipliers_scaled_prove_one_plus_the_constant_of_the_branch():
    check_residual_multipliers(lambda L: 1 + L)


@proves("residual-blocks-by-their-own-multipliers", role="must_fail")
def test_the_branch_multipliers_unscaled_do_not():
    check_residual_multipliers(lambda L: L)


# ---- and it may be better ------------------------------------------------------------------------
def relu(x):
    return max(x, Fraction(0))


def refute_one_plus(branch_slope):
    """``x + c relu(x)``: the branch has constant |c|; a multiplier proves 1 for the sum.

    ``x^2 - (x + c f)^2 + t f (f - x)`` with ``t = -2 c`` and ``-1 <= c <= 0``.
    """
    c = Fraction(branch_slope)
    t = -2 * c
    check_identity(
        lambda c, x, f: x**2 - (x + c * f) ** 2 - 2 * c * f * (f - x),
        lambda c, x, f: -c * (2 + c) * f**2,
    )
    assert t >= 0
    assert -c * (2 + c) >= 0
    # The constants of the branch and of the sum are attained, the latter between -1 and 0.
    assert abs(c * relu(Fraction(1)) - c * relu(Fraction(0))) == abs(c)
    assert (0 + c * relu(Fraction(0))) - (-1 + c * relu(Fraction(-1))) == 1
    assert 1 + abs(c) > 1
    return t


@proves("residual-constant-is-one-plus-the-branch", strength="certificate", role="refutes")
def test_a_branch_that_works_against_its_shortcut_does_not_add_up(record_witness):
    multiplier = refute_one_plus(Fraction(-1, 2))
    record_witness(
        block="x - relu(x) / 2",
        constant_of_branch=Fraction(1, 2),
        constant_of_block=1,
        multiplier=multiplier,
    )


@proves("residual-constant-is-one-plus-the-branch", role="must_fail")
def test_a_branch_that_works_with_its_shortcut_is_no_counterexample():
    refute_one_plus(Fraction(1, 2))


# ---- pieces joined -------------------------------------------------------------------------------
def check_joined(weight):
    """``rho1 rho2 |x|^2 - |z|^2 + w q1 + q2`` from the forms of x -> y and y -> z.

    ``X, Y, Z`` are the squares, ``q1, q2`` the pieces' terms with their multipliers.
    """
    check_nonnegative_combination(
        lambda rho1, rho2, X, Y, Z, q1, q2: rho1 * rho2 * X - Z + weight(rho1, rho2) * q1 + q2,
        lambda rho1, rho2, X, Y, Z, q1, q2: [rho2, 1],
        lambda rho1, rho2, X, Y, Z, q1, q2: [rho1 * X - Y + q1, rho2 * Y - Z + q2],
    )


@proves("pieces-join-to-multipliers-of-the-whole", strength="identity")
def test_multipliers_of_the_first_piece_times_the_second_constant_join():
    check_joined(lambda rho1, rho2: rho2)


@proves("pieces-join-to-multipliers-of-the-whole", role="must_fail")
def test_multipliers_of_two_pieces_do_not_join_as_they_are():
    check_joined(lambda rho1, rho2: 1)


# ---- the linear part of a gate -------------------------------------------------------------------
def check_loop_transformation(rest):
    check_identity(
        lambda a, b, p, v: ((p + a * v) - a * v) * ((p + a * v) - b * v),
        lambda a, b, p, v: p * (p - rest(a, b) * v),
    )


@proves("a-gate-is-a-linear-part-and-a-gate-from-zero", strength="identity")
def test_taking_out_the_lower_slope_keeps_the_form():
    check_loop_transformation(lambda a, b: b - a)


@proves("a-gate-is-a-linear-part-and-a-gate-from-zero", role="must_fail")
def test_the_upper_slope_does_not_stay_what_it_was():
    check_loop_transformation(lambda a, b: b)
