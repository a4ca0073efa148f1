"""The curriculum's exercises in probability, from MacKay's chapter 2, and Bayes' rule."""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import comb

import pytest

from tests.identities import check_identity

proves = pytest.mark.proves


def binomial_by_draws(draws, fraction):
    """Law of the number of black balls, draw by draw with replacement, in whole numbers."""
    black, total = Fraction(fraction).as_integer_ratio()
    ways = [1]
    for _ in range(draws):
        after_white = [w * (total - black) for w in [*ways, 0]]
        after_black = [w * black for w in [0, *ways]]
        ways = [a + b for a, b in zip(after_white, after_black, strict=True)]
    return [Fraction(w, total**draws) for w in ways]


def moments(law):
    mean = sum(k * w for k, w in enumerate(law))
    return mean, sum((k - mean) ** 2 * w for k, w in enumerate(law))


# ---- 2.3: a test for a disease -------------------------------------------------------------------
def check_posterior_of_illness(stated):
    """All outcomes of (ill, positive) with their masses: 1 % ill, 95 % of each tested right."""
    joint = {
        (ill, positive): (Fraction(1, 100) if ill else Fraction(99, 100))
        * (Fraction(95, 100) if ill == positive else Fraction(5, 100))
        for ill, positive in itertools.product((True, False), repeat=2)
    }
    assert sum(joint.values()) == 1
    assert joint[True, True] / (joint[True, True] + joint[False, True]) == stated


@proves("mackay-2-3-disease", strength="certificate")
def test_one_positive_in_six_is_ill():
    check_posterior_of_illness(Fraction(19, 118))


@proves("mackay-2-3-disease", role="must_fail")
def test_the_reliability_of_the_test_is_not_the_posterior():
    check_posterior_of_illness(Fraction(95, 100))


# ---- 2.4 and 2.5: draws from an urn --------------------------------------------------------------
def check_urn(draws, mean, variance, law=None):
    """B = 2 black balls of K = 10; ``law`` is the stated one, by default the binomial."""
    fraction = Fraction(2, 10)
    drawn = binomial_by_draws(draws, fraction)
    if law is None:
        law = [comb(draws, k) * 2**k * 8 ** (draws - k) / Fraction(10**draws) for k in range(draws)]
        law.append(fraction**draws)
    assert drawn == law
    assert moments(drawn) == (mean, variance)


@proves("mackay-2-4-urn", strength="certificate")
@pytest.mark.parametrize(("draws", "mean", "variance"), [(5, 1, Fraction(4, 5)), (400, 80, 64)])
def test_draws_with_replacement_are_binomial(draws, mean, variance):
    check_urn(draws, mean, variance)


@proves("mackay-2-4-urn", role="must_fail")
def test_draws_without_replacement_have_another_law():
    law = [Fraction(comb(2, k) * comb(8, 5 - k), comb(10, 5)) for k in range(3)]
    check_urn(5, 1, Fraction(4, 5), law=[*law, 0, 0, 0])


def check_standardised_square(divisor):
    """One ball adds ``E (b - f)^2 = f (1 - f)`` to the variance: divided by it, N balls give 1."""
    check_identity(lambda N, f: N * (f * (1 - f) ** 2 + (1 - f) * f**2), lambda N, f: divisor(N, f))


@proves(
    "mackay-2-5-chi2",
    strength="identity",
    lemmas=("variances of independent variables add",),
    scope=("mean",),
)
def test_the_mean_of_z_is_one_for_every_urn():
    check_standardised_square(lambda N, f: N * f * (1 - f))


@proves("mackay-2-5-chi2", role="must_fail")
def test_dividing_by_the_mean_number_does_not_standardise():
    check_standardised_square(lambda N, f: N * f)


def check_small_z(stated):
    """z = (n - f N)^2 / (N f (1 - f)) for N = 5, f = 1/5: ``P(z < 1)``; also its mean."""
    law = binomial_by_draws(5, Fraction(1, 5))
    z = [(n - 1) ** 2 / Fraction(4, 5) for n in range(6)]
    assert sum(v * w for v, w in zip(z, law, strict=True)) == 1
    assert sum(w for v, w in zip(z, law, strict=True) if v < 1) == stated


@proves("mackay-2-5-chi2", strength="certificate", scope=("tail",))
def test_z_is_below_one_with_probability_256_in_625():
    check_small_z(Fraction(256, 625))


@proves("mackay-2-5-chi2", role="must_fail")
def test_z_is_not_below_one_with_the_gaussian_probability():
    check_small_z(Fraction(68, 100))


# ---- 2.6: eleven urns ----------------------------------------------------------------------------
def check_eleven_urns(evidence, urn_3, next_black):
    """Urn u = 0, ..., 10 has u black balls of 10; three of ten draws are black."""
    joint = [binomial_by_draws(10, Fraction(u, 10))[3] / 11 for u in range(11)]
    total = sum(joint)
    assert total == evidence
    assert joint[3] / total == urn_3
    assert sum(w * Fraction(u, 10) for u, w in enumerate(joint)) / total == next_black


EVIDENCE, URN_3 = Fraction(9099927, 110000000), Fraction(7411887, 25277575)


@proves("mackay-2-6-eleven-urns", strength="certificate")
def test_the_next_ball_is_black_with_almost_one_third():
    check_eleven_urns(EVIDENCE, URN_3, Fraction(673471, 2022206))


@proves("mackay-2-6-eleven-urns", role="must_fail")
def test_betting_on_the_likeliest_urn_gives_another_prediction():
    check_eleven_urns(EVIDENCE, URN_3, Fraction(3, 10))


# ---- 2.35: waiting for a six ---------------------------------------------------------------------
def check_waiting_for_a_six(between_sixes, around_the_clock):
    """Rolls until a six: ``G(s) = E s^n`` satisfies ``G = s (1/6 + 5/6 G)``, roll by roll.

    The clock strikes in an interval of n rolls with a chance in proportion to n, so the interval
    around it has the mean E n^2 / E n; it also consists of the rolls back to the last six and
    those on to the next, one roll being counted twice.
    """
    import sympy

    s = sympy.Symbol("s")
    G = s / (6 - 5 * s)
    assert sympy.cancel(G - s * (1 + 5 * G) / 6) == 0
    mean = sympy.diff(G, s).subs(s, 1)
    square = sympy.diff(G, s, 2).subs(s, 1) + mean
    assert mean == between_sixes
    assert square / mean == mean + mean - 1 == around_the_clock


@proves(
    "mackay-2-35-waiting-for-six",
    strength="identity",
    lemmas=("E n = G'(1) and E n (n - 1) = G''(1)", "inspection biases by size"),
)
def test_six_rolls_between_sixes_and_eleven_around_the_clock():
    check_waiting_for_a_six(6, 11)


@proves("mackay-2-35-waiting-for-six", role="must_fail")
def test_the_interval_around_the_clock_is_not_a_typical_one():
    check_waiting_for_a_six(6, 6)


# ---- 2.36: three brothers ------------------------------------------------------------------------
def check_brothers(before, after):
    """Fred older than Bob, among all orders of age, and among those with Fred older than Alf."""
    orders = [dict(zip("FAB", ages, strict=True)) for ages in itertools.permutations(range(3))]
    told = [age for age in orders if age["F"] > age["A"]]
    answers = [
        Fraction(sum(age["F"] > age["B"] for age in some), len(some)) for some in (orders, told)
    ]
    assert answers == [before, after]


@proves("mackay-2-36-answers", strength="certificate")
def test_being_older_than_alf_makes_fred_likelier_to_be_older_than_bob():
    check_brothers(Fraction(1, 2), Fraction(2, 3))


@proves("mackay-2-36-answers", role="must_fail")
def test_the_two_comparisons_are_not_independent():
    check_brothers(Fraction(1, 2), Fraction(1, 2))


# ---- Bayes' rule ---------------------------------------------------------------------------------
def check_bayes(rule):
    """``y_given_x p_x`` and ``x_given_y p_y`` are both ``p(y, x)``; so the rule's two sides agree.

    The definitions multiplied out are ``y_given_x p_x - joint = 0`` and its mirror image: the rule
    must be their difference.
    """
    check_identity(
        rule,
        lambda y_given_x, x_given_y, p_x, p_y, joint: (
            (y_given_x * p_x - joint) - (x_given_y * p_y - joint)
        ),
    )


@proves("bayes-rule", strength="identity")
def test_bayes_rule_is_the_difference_of_the_two_definitions():
    check_bayes(lambda y_given_x, x_given_y, p_x, p_y, joint: y_given_x * p_x - x_given_y * p_y)


@proves("bayes-rule", role="must_fail")
def test_bayes_rule_with_the_marginals_swapped_does_not_follow():
    check_bayes(lambda y_given_x, x_given_y, p_x, p_y, joint: y_given_x * p_y - x_given_y * p_x)


@proves("bayes-rule", strength="certificate", role="needs_hypothesis", hypothesis="x-possible")
def test_given_an_impossible_x_every_conditional_law_fits():
    p_x = joint = 0
    assert all(y_given_x * p_x == joint for y_given_x in (Fraction(1, 3), Fraction(2, 3)))


@proves("bayes-rule", strength="certificate", role="needs_hypothesis", hypothesis="y-possible")
def test_given_an_impossible_y_the_right_hand_side_is_not_determined():
    p_y = joint = 0
    assert all(x_given_y * p_y == joint for x_given_y in (Fraction(1, 3), Fraction(2, 3)))


# ---- logarithms and maximisers -------------------------------------------------------------------
def check_keeps_maximisers(transformation):
    """Strictly increasing on (0, infinity), so that f(a) < f(b) is the order of the images too."""
    import sympy

    u = sympy.Symbol("u", positive=True)
    assert sympy.diff(transformation(u), u).is_positive is True


@proves(
    "log-preserves-argmax",
    strength="identity",
    lemmas=("a function with positive derivative on an interval is strictly increasing",),
)
def test_the_logarithm_of_an_objective_has_the_same_maximisers():
    import sympy

    check_keeps_maximisers(sympy.log)


@proves("log-preserves-argmax", role="must_fail")
def test_the_logarithm_squared_of_an_objective_may_have_others():
    import sympy

    check_keeps_maximisers(lambda u: sympy.log(u) ** 2)


@proves("log-preserves-argmax", strength="certificate", role="supports")
def test_logarithms_of_the_terms_of_a_sum_do_change_the_maximiser():
    # 9 + 1 > 4 + 4, and log 9 + log 1 < log 4 + log 4 because 9 < 16.
    assert 9 + 1 > 4 + 4
    assert 9 * 1 < 4 * 4
