"""The curriculum on KL and JS: when they vanish, what they miss, where they saturate.

A divergence is a sum over outcomes of ``q f(p / q)``; what holds for the generator f at every
ratio ``u = p / q`` holds for all laws, discrete or with densities.
"""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.logarithms import exact_js, exact_kl, exact_log

proves = pytest.mark.proves

HALF = Fraction(1, 2)
P, Q, R = (HALF, HALF), (Fraction(3, 4), Fraction(1, 4)), (Fraction(1, 4), Fraction(3, 4))


# ---- Gibbs' inequality ---------------------------------------------------------------------------
def check_gibbs(multiple):
    """KL = sum q f(p / q) with ``f(u) = u log u - multiple (u - 1)``, as p and q sum to one.

    f is zero with its derivative at u = 1 and strictly convex, hence positive everywhere else;
    where q = 0 < p the divergence is infinite, and ``f(0) = 1``.
    """
    import sympy

    check_identity(
        lambda q, u, log_u: (q * u) * log_u,
        lambda q, u, log_u: q * (u * log_u - multiple * (u - 1)) + multiple * (q * u - q),
    )
    u = sympy.Symbol("u", positive=True)
    f = u * sympy.log(u) - multiple * (u - 1)
    assert f.subs(u, 1) == sympy.diff(f, u).subs(u, 1) == 0
    assert sympy.diff(f, u, 2).is_positive is True


@proves(
    "mackay-2-26-gibbs",
    strength="identity",
    lemmas=("a strictly convex function exceeds its tangent except where they touch",),
)
def test_relative_entropy_is_positive_unless_the_laws_agree():
    check_gibbs(1)


@proves("mackay-2-26-gibbs", role="must_fail")
def test_the_entropy_function_without_the_right_tangent_is_rejected():
    check_gibbs(2)


def check_pinsker(constant):
    """``(2 u + 4)(u log u - u + 1) >= constant (u - 1)^2``, and so KL >= 2 TV^2 (constant 3).

    The difference h vanishes with its derivative at 1 and ``h'' = 4 (log u + 1/u - 1) >= 0``; by
    Cauchy-Schwarz ``(sum |p - q|)^2 <= sum (2 p + 4 q) / 3 * sum 3 (p - q)^2 / (2 p + 4 q)``, and
    the first sum is 2.
    """
    import sympy

    u = sympy.Symbol("u", positive=True)
    h = (2 * u + 4) * (u * sympy.log(u) - u + 1) - constant * (u - 1) ** 2
    assert h.subs(u, 1) == sympy.diff(h, u).subs(u, 1) == 0
    assert sympy.expand(sympy.diff(h, u, 2) - 4 * (sympy.log(u) + 1 / u - 1)) == 0


@proves(
    "kl-zero-iff-equal",
    strength="identity",
    lemmas=("log u >= 1 - 1/u", "Cauchy-Schwarz for sums and integrals"),
)
def test_divergence_zero_gives_every_event_the_same_probability():
    check_pinsker(3)


@proves("kl-zero-iff-equal", role="must_fail")
def test_pinskers_inequality_with_a_better_constant_is_rejected():
    check_pinsker(4)


# ---- what a small divergence does not say --------------------------------------------------------
def check_garbage(bound):
    """m = p / 100 + 99 q / 100: ``bound m >= p`` at every outcome, so KL(p || m) <= log(bound)."""
    check_nonnegative_combination(
        lambda p, q: bound * (p + 99 * q) - 100 * p,
        lambda p, q: [99 * bound],
        lambda p, q: [q],
    )


@proves("small-kl-does-not-mean-good-samples", strength="identity")
def test_ninety_nine_percent_of_garbage_cost_at_most_log_100():
    check_garbage(100)


@proves("small-kl-does-not-mean-good-samples", role="must_fail")
def test_ninety_nine_percent_of_garbage_may_cost_more_than_log_99():
    check_garbage(99)


@proves("small-kl-does-not-mean-good-samples", strength="certificate", role="supports")
def test_disjoint_garbage_costs_exactly_log_100():
    mixture = [Fraction(1, 200), Fraction(1, 200), Fraction(99, 100)]
    assert exact_kl([HALF, HALF, 0], mixture) == exact_log(100)


# ---- from the value of a discriminator to JS -----------------------------------------------------
def refute_log_of_a_product(a, b):
    product, stated = exact_log(a * b), exact_log(a + b)
    assert product != stated
    return product, stated


@proves("dfl-log-ab-equals-log-a-plus-b", strength="certificate", role="refutes")
def test_the_logarithm_of_one_times_one_is_not_that_of_two(record_witness):
    product, stated = refute_log_of_a_product(1, 1)
    record_witness(a=1, b=1, log_ab=str(product), stated=str(stated))


@proves("dfl-log-ab-equals-log-a-plus-b", role="must_fail")
def test_two_and_two_are_no_counterexample():
    refute_log_of_a_product(2, 2)


def refute_sum_equals_js(p, q):
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    total = exact_kl(p, middle) + exact_kl(q, middle)
    assert total != exact_js(p, q)
    return total, exact_js(p, q)


@proves("dfl-jsd-factor-two-lost", strength="certificate", role="refutes")
def test_the_two_divergences_from_the_midpoint_sum_to_twice_js(record_witness):
    total, js = refute_sum_equals_js([Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)])
    assert total == 2 * js == 2 * exact_log(2)
    record_witness(p="(1, 0)", q="(0, 1)", sum_of_divergences=str(total), js=str(js))


@proves("dfl-jsd-factor-two-lost", role="must_fail")
def test_equal_laws_do_not_show_the_lost_factor():
    refute_sum_equals_js(P, P)


# ---- saturation ----------------------------------------------------------------------------------
def check_saturation(other):
    """Where p lives, ``p / m = 2 p / (p + q) = 2``: half of log 2 from either law.

    And p has mass where q has none, so that KL(p || q) is infinite, by its definition.
    """
    check_identity(lambda p: 2 * p, lambda p: 2 * (p + other(p)))
    assert HALF * exact_log(2) + HALF * exact_log(2) == exact_log(2)
    assert exact_kl([1], [other(0)]) == math.inf


@proves("kld-jsd-saturate-on-low-dim-manifolds", strength="identity")
def test_on_disjoint_supports_js_is_log_two_and_kl_infinite():
    check_saturation(lambda p: 0 * p)


@proves("kld-jsd-saturate-on-low-dim-manifolds", role="must_fail")
def test_where_the_laws_agree_nothing_saturates():
    check_saturation(lambda p: p)


@proves(
    "kld-jsd-saturate-on-low-dim-manifolds",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="disjoint",
)
def test_different_supports_that_overlap_do_not_saturate():
    assert exact_kl([1, 0], P) == exact_log(2)
    assert exact_js([1, 0], P) < exact_log(2)


# ---- KL is no metric, W_1 is ---------------------------------------------------------------------
def check_asymmetry(p, q):
    assert exact_kl(p, q) != exact_kl(q, p)


@proves("kld-not-symmetric-not-metric", strength="certificate", scope=("KL is not symmetric",))
def test_kl_differs_from_its_reverse():
    check_asymmetry(P, Q)


@proves("kld-not-symmetric-not-metric", role="must_fail")
def test_another_pair_of_the_exercise_does_not_show_the_asymmetry():
    check_asymmetry(Q, R)


def check_broken_triangle(p, q, r):
    """The way through q is shorter than the way from p to r."""
    assert exact_kl(p, r) > exact_kl(p, q) + exact_kl(q, r)


@proves("kld-not-symmetric-not-metric", strength="certificate", scope=("KL breaks the triangle",))
def test_half_the_divergence_suffices_by_a_detour():
    check_broken_triangle(Q, P, R)
    assert exact_kl(Q, R) == 2 * (exact_kl(Q, P) + exact_kl(P, R)) == HALF * exact_log(3)


@proves("kld-not-symmetric-not-metric", role="must_fail")
def test_the_detour_by_an_end_is_not_shorter():
    check_broken_triangle(P, Q, R)


def check_metric_of_suprema(sign):
    """W_1 = sup of E_P f - E_Q f over a set F of functions with -F = F: with a, b, c the means.

    The triangle: each f gains ``(a - b) + (b - c)``. Symmetry: -f gains as much backwards.
    """
    check_identity(lambda a, b, c: a - c, lambda a, b, c: (a - b) + (b - c))
    check_identity(lambda a, b: a - b, lambda a, b: sign * b - sign * a)


@proves(
    "kld-not-symmetric-not-metric",
    strength="identity",
    scope=("W_1 is a metric",),
    lemmas=("bounded Lipschitz functions determine a law",),
)
def test_a_supremum_over_differences_of_means_is_a_metric():
    check_metric_of_suprema(-1)


@proves("kld-not-symmetric-not-metric", role="must_fail")
def test_without_the_negative_critics_there_is_no_symmetry():
    check_metric_of_suprema(1)
