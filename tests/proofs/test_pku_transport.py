"""The Peking slides on transport: dirt and work, two plans, K-Lipschitz critics, three bounds."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.logarithms import exact_js, exact_kl, exact_log
from tests.transport_certificates import check_optimal, distances

proves = pytest.mark.proves


# ---- dirt and work -------------------------------------------------------------------------------
def refute_amount_of_dirt(start, end):
    """A unit mass from start to end: the amount that moves against the earth mover's distance."""
    amount, work = 1, abs(end - start)
    check_optimal([[work]], [1], [1], plan=[[1]], potentials=([work], [0]), value=work)
    assert amount != work
    return amount, work


@proves("emd-is-the-amount-of-dirt", strength="certificate", role="refutes")
def test_moving_twice_as_far_costs_twice_as_much(record_witness):
    amount, work = refute_amount_of_dirt(0, 2)
    record_witness(P="1 at 0", Q="1 at 2", amount=amount, earth_movers_distance=work)


@proves("emd-is-the-amount-of-dirt", role="must_fail")
def test_one_step_does_not_tell_amount_from_work():
    refute_amount_of_dirt(0, 1)


# ---- the two plans -------------------------------------------------------------------------------
POSITIONS = (3, 4, 6, 7)


def pairs(labels):
    """Positions with the same label."""
    return [
        tuple(x for x, name in zip(POSITIONS, labels, strict=True) if name == label)
        for label in sorted(set(labels))
    ]


def check_two_plans(gamma_1, gamma_2):
    """Boxes at two of the positions move to the other two; a label joins a box and its target."""
    plans = [pairs(gamma_1), pairs(gamma_2)]
    sources = [
        s
        for s in itertools.combinations(POSITIONS, 2)
        if all(sum(x in s for x in pair) == 1 for plan in plans for pair in plan)
    ]
    assert sources == [(3, 7), (4, 6)], "the tables determine the boxes up to their direction"
    start, end = sources
    works = [sum(abs(x - y) for x, y in plan) for plan in plans]
    assert works == [2, 6]
    moved = [[int({x, y} in map(set, plans[0])) for y in end] for x in start]
    prices = [[abs(x - 5) for x in start], [-abs(y - 5) for y in end]]
    check_optimal(
        distances(start, end), [1, 1], [1, 1], plan=moved, potentials=tuple(prices), value=2
    )


@proves("gamma-tables-1-1-2-3-3-6", strength="certificate")
def test_the_first_plan_costs_two_and_is_optimal_and_the_second_costs_six():
    check_two_plans((1, 1, 2, 2), (2, 1, 2, 1))


@proves("gamma-tables-1-1-2-3-3-6", role="must_fail")
def test_a_second_plan_with_the_outer_boxes_paired_is_rejected():
    check_two_plans((1, 1, 2, 2), (1, 2, 2, 1))


# ---- K-Lipschitz critics -------------------------------------------------------------------------
def check_scaled_duality(factor):
    """f = K g is K-Lipschitz where g is 1-Lipschitz, and gains K times as much."""
    check_identity(
        lambda K, d, g_x, g_y: K * d - (K * g_x - K * g_y),
        lambda K, d, g_x, g_y: K * (d - (g_x - g_y)),
    )
    check_identity(lambda K, a, b: K * a - K * b, lambda K, a, b: factor(K) * (a - b))


@proves("kr-duality-with-k", strength="identity")
def test_k_lipschitz_critics_gain_k_times_w1():
    check_scaled_duality(lambda K: K)


@proves("kr-duality-with-k", role="must_fail")
def test_k_lipschitz_critics_do_not_gain_k_squared_times_w1():
    check_scaled_duality(lambda K: K * K)


# ---- W_1 and total variation ---------------------------------------------------------------------
def check_diameter_bound(distances_at_most):
    """Keep the common mass, send the excesses a_i to the gaps b_j in proportion: a_i b_j / T.

    T = a_1 + a_2 = b_1 + b_2 is the total variation. The plan's cost times T is the sum of
    a_i b_j d_ij, to be compared with C T^2.
    """
    check_nonnegative_combination(
        lambda C, a1, a2, b1, b2, d11, d12, d21, d22: (
            distances_at_most(C) * (a1 + a2) * (b1 + b2)
            - (a1 * b1 * d11 + a1 * b2 * d12 + a2 * b1 * d21 + a2 * b2 * d22)
        ),
        lambda C, a1, a2, b1, b2, d11, d12, d21, d22: [a1 * b1, a1 * b2, a2 * b1, a2 * b2],
        lambda C, a1, a2, b1, b2, d11, d12, d21, d22: [C - d11, C - d12, C - d21, C - d22],
    )
    # The plan leaves a_i: sum_j a_i b_j = a_i T.
    check_identity(lambda a, b1, b2: a * b1 + a * b2, lambda a, b1, b2: a * (b1 + b2))


@proves(
    "w1-bounded-by-diameter-times-tv",
    strength="identity",
    lemmas=("the same for any number of points, and for integrals: both sides are sums",),
)
def test_moving_the_excess_costs_at_most_the_diameter_per_unit():
    check_diameter_bound(lambda C: C)


@proves("w1-bounded-by-diameter-times-tv", role="must_fail")
def test_moving_the_excess_is_not_free():
    check_diameter_bound(lambda C: 0 * C)


@proves("w1-bounded-by-diameter-times-tv", strength="certificate", role="supports")
def test_two_unit_masses_attain_the_bound():
    check_optimal([[7]], [1], [1], plan=[[1]], potentials=([7], [0]), value=7)


# ---- JS and total variation ----------------------------------------------------------------------
def check_js_below(curvature):
    """With m the midpoint and ``v = (p - q) / (p + q)``: JS = E_m phi(v) and TV = E_m |v|.

    phi vanishes with its derivative at 0 and ``phi'' = 1 / (1 - v^2)``, which exceeds the stated
    curvature c; so phi >= c v^2 / 2 and, by Jensen, JS >= c TV^2 / 2.
    """
    import sympy

    v = sympy.Symbol("v", real=True)
    phi = ((1 + v) * sympy.log(1 + v) + (1 - v) * sympy.log(1 - v)) / 2
    # p = m (1 + v) and q = m (1 - v) have the midpoint m and the difference 2 m v.
    check_identity(lambda m, v: m * (1 + v) + m * (1 - v), lambda m, v: 2 * m)
    check_identity(lambda m, v: m * (1 + v) - m * (1 - v), lambda m, v: 2 * m * v)
    assert phi.subs(v, 0) == sympy.diff(phi, v).subs(v, 0) == 0
    assert sympy.cancel(sympy.diff(phi, v, 2) - curvature - v**2 / (1 - v**2)) == 0


@proves(
    "tv-jsd-pinsker",
    strength="identity",
    scope=("TV <= sqrt(2 JS)",),
    lemmas=("(E |v|)^2 <= E v^2", "Taylor's formula with a second derivative"),
)
def test_the_contrast_of_two_laws_has_curvature_at_least_one():
    check_js_below(1)


@proves("tv-jsd-pinsker", role="must_fail")
def test_the_contrast_has_no_greater_curvature():
    check_js_below(2)


def check_js_above(chord):
    """phi is even and convex, phi(0) = 0: it stays below its chord, ``phi(1) |v| = log 2 |v|``."""
    import sympy

    v = sympy.Symbol("v", real=True)
    phi = ((1 + v) * sympy.log(1 + v) + (1 - v) * sympy.log(1 - v)) / 2
    assert sympy.expand(phi - phi.subs(v, -v)) == 0
    assert sympy.cancel(sympy.diff(phi, v, 2) - 1 / (1 - v**2)) == 0
    assert sympy.limit(phi, v, 1, "-") == chord(sympy)


@proves(
    "tv-jsd-pinsker",
    strength="identity",
    scope=("JS <= log 2 TV",),
    lemmas=("a convex function lies below its chords", "x log x tends to 0 with x"),
)
def test_the_contrast_stays_below_its_chord():
    check_js_above(lambda sympy: sympy.log(2))


@proves("tv-jsd-pinsker", role="must_fail")
def test_the_chord_of_the_contrast_does_not_end_at_one_half():
    check_js_above(lambda sympy: sympy.Rational(1, 2))


# ---- W, JS, KL: which convergence implies which --------------------------------------------------
def check_js_by_kl(multiple):
    """``KL = 2 JS + 2 KL(M || P_r)``, the last term k not negative: multiple JS <= KL."""
    check_nonnegative_combination(
        lambda js, k: (2 * js + 2 * k) - multiple * js, lambda js, k: [2], lambda js, k: [k]
    )


@proves("divergence-ordering-w-js-kl", strength="identity", scope=("KL bounds JS",))
def test_js_is_at_most_half_of_kl():
    check_js_by_kl(2)


@proves("divergence-ordering-w-js-kl", role="must_fail")
def test_three_times_js_is_not_bounded_by_kl():
    check_js_by_kl(3)


def check_w_by_js(constant):
    """From W <= C T and T^2 <= 2 J to ``W^2 <= constant C^2 J``."""
    check_nonnegative_combination(
        lambda C, T, J, W: constant * C**2 * J - W**2,
        lambda C, T, J, W: [C**2, C * T + W],
        lambda C, T, J, W: [2 * J - T**2, C * T - W],
    )


@proves("divergence-ordering-w-js-kl", strength="identity", scope=("JS bounds W",))
def test_w_squared_is_at_most_twice_js_on_a_set_of_diameter_one():
    check_w_by_js(2)


@proves("divergence-ordering-w-js-kl", role="must_fail")
def test_w_squared_is_not_bounded_by_js_alone():
    check_w_by_js(1)


def check_not_conversely(start, end, n):
    """Unit masses at 0 and 1/n: W is 1/n and JS full.

    (1 - 1/n, 1/n) and (1, 0): JS is at most log(2) / n and KL infinite.
    """
    gap = Fraction(1, n)
    check_optimal([[gap]], [1], [1], plan=[[1]], potentials=([gap], [0]), value=gap)
    assert exact_js(start, end) == exact_log(2)
    p = [1 - gap, gap]
    assert 0 < exact_js(p, [1, 0]) <= gap * exact_log(2)
    assert exact_kl(p, [1, 0]) == math.inf


@proves(
    "divergence-ordering-w-js-kl",
    strength="certificate",
    scope=("neither conversely",),
    lemmas=("the bounds 1/n and log(2)/n hold for every n",),
)
@pytest.mark.parametrize("n", [2, 1000, 10**9])
def test_w_vanishes_without_js_and_js_without_kl(n):
    check_not_conversely([1, 0], [0, 1], n)


@proves("divergence-ordering-w-js-kl", role="must_fail")
def test_laws_on_the_same_point_do_not_separate_w_from_js():
    check_not_conversely([1, 0], [1, 0], 1000)


@proves(
    "divergence-ordering-w-js-kl",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="bounded",
)
@pytest.mark.parametrize("n", [2, 1000, 10**9])
def test_on_an_unbounded_space_w_may_grow_while_kl_vanishes(n):
    # 1 at 0 against 1 - 1/n at 0 and 1/n at n^2: one plan.
    q = [1 - Fraction(1, n), Fraction(1, n)]
    check_optimal([[0, n * n]], [1], q, plan=[q], potentials=([0], [0, n * n]), value=n)
    assert exact_kl([1, 0], q) == exact_log(Fraction(n, n - 1)) <= Fraction(1, n - 1)
