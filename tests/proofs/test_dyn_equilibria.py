"""Nash equilibria of zero-sum games: what the worst case gives, and what an equilibrium is not."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves

HALF = Fraction(1, 2)
SADDLE = "minmax-solution-is-nash"


# ---- the solution of min max ---------------------------------------------------------------------
def check_saddle(gap):
    """``V(x, y*) - V(x*, y) >= 0`` for all x and y, so that ``(x*, y*)`` is an equilibrium.

    ``A = V(x*, y) <= min max = m + gap`` since x* attains the outer minimum, and
    ``B = V(x, y*) >= max min = m`` since y* attains the outer maximum. With y = y* and x = x* in
    turn both are ``V(x*, y*)``.
    """
    check_nonnegative_combination(
        lambda A, B, m, g: B - A,
        lambda A, B, m, g: [1, 1],
        lambda A, B, m, g: [m + gap(g) - A, B - m],
    )


def check_gan_value(peak):
    """For every p and D in (0, 1): ``D (1 - D) <= 1/4``, hence ``V(p_d, D) <= V(p_d, 1/2)``.

    ``V(p_d, D) = sum p_d log(D (1 - D))``, and ``V(p_g, 1/2) = -log 4`` for every p_g.
    """
    check_identity(lambda D: peak - 4 * D * (1 - D), lambda D: (2 * D - 1) ** 2)


@proves(SADDLE, strength="identity", scope="any game")
def test_optimal_worst_cases_that_agree_are_an_equilibrium():
    check_saddle(lambda g: 0)


@proves(
    SADDLE,
    strength="identity",
    scope="the GAN over all densities",
    lemmas=("the logarithm increases", "at p_g = p_d and D = 1/2 the value is -log 4 on each side"),
)
def test_the_gan_game_has_the_saddle_point_of_equal_laws():
    check_gan_value(1)


@proves(SADDLE, role="must_fail")
def test_with_a_gap_between_min_max_and_max_min_the_proof_fails():
    check_saddle(lambda g: g)


@proves(SADDLE, role="must_fail")
def test_the_best_discriminator_of_equal_laws_does_not_gain_more():
    check_gan_value(2)


def check_no_equilibrium(value, x0, better_x, better_y):
    """At every pair of a grid somebody gains by leaving alone."""
    grid = [Fraction(k, 8) for k in range(9)]
    for x in grid:
        for y in grid:
            here = value(x, y)
            assert value(better_x(x, y), y) < here or value(x, better_y(x, y)) > here
    return max(value(x0, y) for y in grid), max(min(value(x, y) for x in grid) for y in grid)


@proves(SADDLE, strength="certificate", role="needs_hypothesis", hypothesis="equal-values")
def test_a_chase_on_the_unit_interval_has_a_min_max_and_no_equilibrium():
    # f = (x - y)^2: x = y gives 0, and then y leaves for the far end, for every pair at once.
    min_max, max_min = check_no_equilibrium(
        lambda x, y: (x - y) ** 2, HALF, lambda x, y: y, lambda x, y: Fraction(x <= HALF)
    )
    assert (min_max, max_min) == (Fraction(1, 4), 0)
    # min_x max_y = 1/4 at x = 1/2 only: the larger of x^2 and (1-x)^2 is at least their mean.
    check_identity(lambda x: 4 * (x**2 + (1 - x) ** 2) - 2, lambda x: 2 * (2 * x - 1) ** 2)


@proves(SADDLE, role="must_fail")
def test_the_bilinear_game_has_an_equilibrium():
    check_no_equilibrium(
        lambda x, y: (2 * x - 1) * (2 * y - 1), HALF,
        lambda x, y: Fraction(y < HALF), lambda x, y: Fraction(x > HALF),
    )  # fmt: skip


@proves(SADDLE, strength="certificate", role="needs_hypothesis", hypothesis="each-its-own")
def test_a_best_answer_to_the_minimiser_is_not_enough():
    # f = x y: x = 0 minimises the worst case, and every y is a best answer to it.
    def value(x, y):
        return x * y

    assert all(value(0, 5) >= value(0, y) for y in range(-9, 10))
    assert value(-1, 5) < value(0, 5)


# ---- what an equilibrium is not ------------------------------------------------------------------
def refute_regardless(opponent):
    """(0, 0) is an equilibrium of x y; against another action of the opponent x = 0 is not best."""
    check_identity(lambda x, y: x * 0 - 0 * 0, lambda x, y: x * 0)
    check_identity(lambda x, y: 0 * 0 - 0 * y, lambda x, y: x * 0)
    better = -opponent
    assert better * opponent < 0 * opponent
    return better


@proves("nash-definition-regardless-of-opponent", strength="certificate", role="refutes")
def test_in_equilibrium_an_action_is_best_against_one_action_only(record_witness):
    better = refute_regardless(opponent=1)
    record_witness(game="min over x, max over y of x y", equilibrium=(0, 0), opponent=1,
                   better_than_zero=better)  # fmt: skip


@proves("nash-definition-regardless-of-opponent", role="must_fail")
def test_against_the_action_in_equilibrium_nothing_is_better():
    refute_regardless(opponent=0)
