"""The Peking slides on KL and JS: separated supports, expected logits, what KL - 2 JS pulls at.

With ``u = p_g / p_r`` a divergence is a mean of f(u) under p_r. Adding ``c (u - 1)`` to f changes
nothing, so f is normalised to ``f(1) = f'(1) = 0``: f(u) is then the price of the ratio u.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.logarithms import exact_js, exact_kl, exact_log

proves = pytest.mark.proves

HALF = Fraction(1, 2)


# ---- separated supports --------------------------------------------------------------------------
def check_separated(ratio):
    """Where p_g = 0, ``p_r = ratio m`` for the midpoint m, and likewise with the roles exchanged.

    Each law then contributes half of log(ratio), its masses adding up to one.
    """
    check_identity(lambda p_r: 2 * p_r, lambda p_r: ratio * (p_r + 0 * p_r))
    check_identity(lambda p_g: 2 * p_g, lambda p_g: ratio * (0 * p_g + p_g))
    assert 2 * HALF * exact_log(ratio) == exact_log(2)
    laws = [Fraction(1, 6), Fraction(5, 6), 0], [0, 0, Fraction(1)]
    assert exact_js(*laws) == exact_log(ratio)


@proves("js-separated-supports", strength="identity")
def test_separated_laws_have_the_divergence_log_two():
    check_separated(2)


@proves("js-separated-supports", role="must_fail")
def test_separated_laws_without_the_halves_of_the_midpoint_are_rejected():
    check_separated(4)


# ---- the logit of the optimal discriminator ------------------------------------------------------
def check_logit(numerator, denominator):
    """``numerator(D) / denominator(D) = p_g / p_r`` for D = p_r / (p_r + p_g), as functions."""
    import sympy

    p_r, p_g = sympy.symbols("p_r p_g", positive=True)
    D = p_r / (p_r + p_g)
    assert sympy.cancel(numerator(D) / denominator(D) - p_g / p_r) == 0


@proves("kl-as-expected-logit", strength="identity")
def test_the_ratio_of_the_densities_is_that_of_the_discriminators_outputs():
    check_logit(lambda D: 1 - D, lambda D: D)


@proves("kl-as-expected-logit", role="must_fail")
def test_the_ratio_with_the_labels_exchanged_is_rejected():
    check_logit(lambda D: D, lambda D: 1 - D)


def refute_without_logarithms(p_g, p_r):
    """KL(P_g || P_r) against ``E_g (1 - D*) - E_g D*``."""
    mean = sum(g * r / (r + g) for g, r in zip(p_g, p_r, strict=True))
    assert exact_kl(p_g, p_r) != 1 - 2 * mean
    return exact_kl(p_g, p_r), 1 - 2 * mean


@proves("kl-logs-dropped", strength="certificate", role="refutes")
def test_dropping_the_logarithms_changes_the_divergence(record_witness):
    p_g, p_r = (Fraction(3, 4), Fraction(1, 4)), (Fraction(1, 4), Fraction(3, 4))
    kl, stated = refute_without_logarithms(p_g, p_r)
    assert kl == HALF * exact_log(3) > Fraction(1, 2) > stated == Fraction(1, 4)
    record_witness(P_g=p_g, P_r=p_r, KL=str(kl), stated=stated)


@proves("kl-logs-dropped", role="must_fail")
def test_equal_laws_do_not_show_the_dropped_logarithms():
    refute_without_logarithms((HALF, HALF), (HALF, HALF))


# ---- KL - 2 JS -----------------------------------------------------------------------------------
def check_attraction(multiple):
    """KL - multiple * 2 JS is convex in P_g and least, 0, at P_g = P_r only.

    Its normalised generator vanishes with its derivative at 1 and has a positive second one.
    """
    import sympy

    u = sympy.Symbol("u", positive=True)
    kl = u * sympy.log(u)
    two_js = u * sympy.log(u) - (1 + u) * sympy.log((1 + u) / 2)
    f = kl - multiple * two_js - (u - 1)
    assert f.subs(u, 1) == sympy.diff(f, u).subs(u, 1) == 0
    assert sympy.cancel(sympy.diff(f, u, 2)).is_positive is True


def check_midpoint_identity(multiple):
    """``KL(P_g || P_r) - 2 JS = multiple KL(M || P_r)``, with symbols for log u, log((1 + u) / 2).

    p_r ( u log u - [u log(2u / (1 + u)) - log((1 + u) / 2)] ) on the left, 2 m / p_r = 1 + u.
    """
    check_identity(
        lambda u, A, B: 2 * (u * A - (u * (A - B) - B)), lambda u, A, B: multiple * (1 + u) * B
    )


CONVEX = ("a convex function with its only minimum at the end of a segment falls along it",)


@proves("kl-minus-2js-is-a-divergence", strength="identity", scope=("identity",))
def test_the_difference_is_twice_a_divergence_of_the_midpoint():
    check_midpoint_identity(2)


@proves("kl-minus-2js-is-a-divergence", role="must_fail")
def test_the_difference_is_not_once_that_divergence():
    check_midpoint_identity(1)


@proves("kl-minus-2js-is-a-divergence", strength="identity", scope=("attraction",), lemmas=CONVEX)
def test_the_difference_attracts_from_everywhere():
    check_attraction(1)


@proves("kl-minus-2js-is-a-divergence", role="must_fail")
def test_with_a_little_more_js_it_would_repel():
    check_attraction(Fraction(101, 100))


@proves(
    "kl-minus-2js-pulls-in-opposite-directions", strength="identity", role="refutes", lemmas=CONVEX
)
def test_every_straight_step_towards_the_data_lowers_the_loss(record_witness):
    check_attraction(1)
    record_witness(
        identity="KL(P_g || P_r) - 2 JS = 2 KL((P_r + P_g)/2 || P_r) >= 0",
        generator="(1 + u) log((1 + u)/2) - (u - 1), second derivative 1/(1 + u) > 0",
        minimum="0, at P_g = P_r only",
    )


@proves("kl-minus-2js-pulls-in-opposite-directions", role="must_fail")
def test_a_loss_with_more_js_is_not_defended():
    check_attraction(2)


@proves("kl-minus-2js-is-a-divergence", strength="certificate", role="supports")
def test_the_loss_falls_along_a_path_of_laws_in_exact_logarithms():
    start, end = [Fraction(7, 8), Fraction(1, 8), 0], [Fraction(1, 8), Fraction(3, 8), HALF]
    values = []
    for step in range(9):
        p_g = [a + Fraction(step, 8) * (b - a) for a, b in zip(start, end, strict=True)]
        values.append(exact_kl(p_g, end) - 2 * exact_js(p_g, end))
        middle = [(a + b) / 2 for a, b in zip(p_g, end, strict=True)]
        assert values[-1] == 2 * exact_kl(middle, end)
    assert all(a > b for a, b in itertools.pairwise(values))
    assert values[-1] == 0


# ---- fakes and dropped modes ---------------------------------------------------------------------
def check_fakes_cost_more(price):
    """Dropping (u < 1) costs at most 1 per unit 1 - u; faking (u > e^(1 + c)) at least c per u.

    With L for log u: L <= 0 in the first case, L - 1 - c >= 0 in the second.
    """
    check_nonnegative_combination(
        lambda u, L: (1 - u) - price(u, L), lambda u, L: [u], lambda u, L: [-L]
    )
    check_nonnegative_combination(
        lambda u, L, c: price(u, L) - c * u,
        lambda u, L, c: [u, 1],
        lambda u, L, c: [L - 1 - c, L * 0 + 1],
    )


@proves("kl-punishes-fake-more-than-dropping", strength="identity")
def test_fakes_have_an_unbounded_price_and_dropped_modes_a_price_of_one():
    check_fakes_cost_more(lambda u, L: u * L - u + 1)


@proves("kl-punishes-fake-more-than-dropping", role="must_fail")
def test_in_the_reverse_divergence_the_prices_are_exchanged():
    check_fakes_cost_more(lambda u, L: -L + u - 1)


def check_price_of_dropping(generator, price):
    """The normalised generator at u = 0: what a dropped unit of real mass costs."""
    import sympy

    u = sympy.Symbol("u", positive=True)
    f = generator(u, sympy.log)
    f = f - f.subs(u, 1) - sympy.diff(f, u).subs(u, 1) * (u - 1)
    assert sympy.simplify(sympy.limit(f, u, 0, "+") - price(sympy.log)) == 0


LIMITS = ("u log u tends to 0 with u",)


@proves("minus-2js-encourages-mode-dropping", strength="identity", lemmas=LIMITS)
def test_subtracting_2_js_makes_dropping_a_mode_cheaper():
    check_price_of_dropping(lambda u, log: u * log(u), lambda log: 1)
    check_price_of_dropping(lambda u, log: (1 + u) * log((1 + u) / 2), lambda log: 1 - log(2))
    assert 1 - exact_log(2) < 1


@proves("minus-2js-encourages-mode-dropping", role="must_fail")
def test_subtracting_2_js_does_not_make_dropping_free():
    check_price_of_dropping(lambda u, log: (1 + u) * log((1 + u) / 2), lambda log: 0)


@proves(
    "minus-2js-encourages-mode-dropping",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="compared-with-kl",
)
def test_a_dropped_mode_still_costs_something():
    # 1 - log 2 > 0; and dropping 1/100 of the mass costs a little more than (1 - log 2) / 100.
    p_g, p_r = [Fraction(1), Fraction(0)], [Fraction(99, 100), Fraction(1, 100)]
    loss = exact_kl(p_g, p_r) - 2 * exact_js(p_g, p_r)
    assert loss > (1 - exact_log(2)) * Fraction(1, 100) > 0
