"""Transport on the line: four piles of dirt, the CDF formula, better plans and shortest paths.

Crossings are symbols: at a cut t, r is the mass that a coupling moves from the left of t to the
right, l the mass it moves back, and s the mass that stays on the left.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.transport_certificates import check_optimal, distances, monotone_plan

proves = pytest.mark.proves

P = (3, 2, 1, 4)
Q = (1, 2, 4, 3)
PLACES = (1, 2, 3, 4)


# ---- the piles -----------------------------------------------------------------------------------
def check_piles(value, potential):
    """A plan and a 1-Lipschitz potential f, used as u = f and v = -f, prove each other optimal."""
    plan = [[1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 1, 3]]
    check_optimal(
        distances(PLACES, PLACES),
        P,
        Q,
        plan=plan,
        potentials=(potential, [-f for f in potential]),
        value=value,
    )


@proves("emd-four-piles-value", strength="certificate")
def test_the_four_piles_are_five_apart():
    check_piles(5, (0, -1, -2, -1))


@proves("emd-four-piles-value", role="must_fail")
def test_the_four_piles_are_not_four_apart():
    check_piles(4, (0, -1, -2, -1))


@proves("emd-four-piles-value", role="must_fail")
def test_a_potential_that_falls_throughout_proves_less():
    check_piles(5, (0, -1, -2, -3))


@proves("emd-four-piles-value", strength="certificate", role="supports")
def test_as_probabilities_the_piles_are_one_half_apart():
    p, q = ([Fraction(mass, 10) for mass in piles] for piles in (P, Q))
    potential = (0, -1, -2, -1)
    check_optimal(
        distances(PLACES, PLACES),
        p,
        q,
        plan=monotone_plan(p, q),
        potentials=(potential, [-f for f in potential]),
        value=Fraction(1, 2),
    )


# ---- the recurrence as printed -------------------------------------------------------------------
def refute_deltas(late):
    """delta_0 = 0 and delta_{i + late} = delta_{i + late - 1} + P_i - Q_i; P_0 = Q_0 = 0."""
    p, q = (0, *P), (0, *Q)
    deltas = [0]
    for i in range(1, 5):
        deltas.append(deltas[-1] + p[i - late] - q[i - late])
    assert deltas != [0, 2, 2, -1, 0]
    return deltas


@proves("emd-recurrence-index-shift", strength="certificate", role="refutes")
def test_the_printed_recurrence_is_late_by_one(record_witness):
    deltas = refute_deltas(late=1)
    assert deltas == [0, 0, 2, 2, -1]
    record_witness(printed=deltas, claimed=[0, 2, 2, -1, 0], with_P_0_and_Q_0=0)


@proves("emd-recurrence-index-shift", role="must_fail")
def test_the_recurrence_of_the_solution_is_not_refuted():
    refute_deltas(late=0)


# ---- the third step ------------------------------------------------------------------------------
def refute_plan(moves):
    """Carry out moves (shovelfuls, from, to) on the piles of P."""
    piles = dict(zip(PLACES, P, strict=True))
    for amount, source, target in moves:
        piles[source] -= amount
        piles[target] += amount
        assert piles[source] >= 0
    assert tuple(piles.values()) != Q
    return tuple(piles.values())


@proves("emd-plan-step-iii-direction", strength="certificate", role="refutes")
def test_the_third_step_leads_away_from_q(record_witness):
    piles = refute_plan([(2, 1, 2), (2, 2, 3), (1, 3, 4)])
    assert piles == (1, 2, 2, 5)
    record_witness(after_three_steps=piles, Q=Q)


@proves("emd-plan-step-iii-direction", role="must_fail")
def test_a_third_step_from_pile_four_to_pile_three_is_not_refuted():
    refute_plan([(2, 1, 2), (2, 2, 3), (1, 4, 3)])


# ---- the CDF formula -----------------------------------------------------------------------------
def check_every_coupling(cost):
    """At each cut, F_P = s + r, F_Q = s + l, and the coupling pays for r + l.

    (On ordered points F_P - F_Q is delta_i at the cuts from x_i up to x_{i+1}: it starts from 0
    and grows by P_i - Q_i at x_i.)
    ``cost(r, l)^2 >= (F_P - F_Q)^2``: the difference is 4 r l.
    """
    check_nonnegative_combination(
        lambda s, r, l: cost(r, l) ** 2 - ((s + r) - (s + l)) ** 2,
        lambda s, r, l: [4 * r],
        lambda s, r, l: [l],
    )


def check_one_way_coupling(cost):
    """If mass crosses each cut in one direction only, it pays |F_P - F_Q| there and no more."""
    check_identity(lambda s, r: cost(r, 0 * r) ** 2 + 0 * s, lambda s, r: ((s + r) - (s + 0)) ** 2)
    check_identity(lambda s, l: cost(0 * l, l) ** 2 + 0 * s, lambda s, l: ((s + 0) - (s + l)) ** 2)


FUBINI = "E|X - Y| is the integral over t of P(X <= t < Y) + P(Y <= t < X)"


@proves(
    "w1-1d-cdf-formula",
    strength="identity",
    scope="every coupling costs at least that",
    lemmas=(FUBINI,),
)
def test_the_mass_that_crosses_a_cut_is_at_least_the_difference_of_the_cdfs():
    check_every_coupling(lambda r, l: r + l)


@proves("w1-1d-cdf-formula", role="must_fail")
def test_the_mass_that_crosses_to_the_right_alone_may_be_less():
    check_every_coupling(lambda r, l: r)


@proves(
    "w1-1d-cdf-formula",
    strength="identity",
    scope="one coupling costs no more",
    lemmas=(FUBINI, "(F^-1(U), G^-1(U)) moves no mass both ways across a cut: it is increasing"),
)
def test_a_coupling_that_never_crosses_both_ways_pays_the_difference_of_the_cdfs():
    check_one_way_coupling(lambda r, l: r + l)


@proves("w1-1d-cdf-formula", role="must_fail")
def test_a_coupling_that_crosses_twice_pays_more():
    check_one_way_coupling(lambda r, l: 2 * r + l)


@proves("w1-1d-cdf-formula", strength="identity", role="supports")
def test_a_potential_sums_up_the_deltas_by_parts():
    # sum_{i <= n} f_i (p_i - q_i) = f_n delta_n - sum_{i < n} (f_{i+1} - f_i) delta_i, one point
    # more: with slopes -sign(delta_i) and delta_n = 0 the potential reaches sum |delta_i| gap_i.
    check_identity(
        lambda f, g, delta, r, S: (f * delta - S) + g * r,
        lambda f, g, delta, r, S: g * (delta + r) - (S + (g - f) * delta),
    )


def random_piles(seed):
    """Two laws of equal mass on common ordered points, with gaps."""
    rng = np.random.default_rng([182, seed])
    n = int(rng.integers(1, 7))
    points = np.cumsum(rng.integers(1, 9, n)).tolist()
    p, q = (rng.multinomial(20, np.ones(n) / n).tolist() for _ in range(2))
    return points, p, q


@proves("w1-1d-cdf-formula", strength="instance-proved", role="supports")
@pytest.mark.parametrize("seed", range(40))
def test_recurrence_plan_and_potential_agree_exactly(seed):
    points, p, q = random_piles(seed)
    deltas = list(itertools.accumulate(a - b for a, b in zip(p, q, strict=True)))
    gaps = [b - a for a, b in itertools.pairwise(points)]
    potential = [0]
    for delta, gap in zip(deltas[:-1], gaps, strict=True):
        potential.append(potential[-1] - gap * ((delta > 0) - (delta < 0)))
    check_optimal(
        distances(points, points),
        p,
        q,
        plan=monotone_plan(p, q),
        potentials=(potential, [-f for f in potential]),
        value=sum(abs(d) * gap for d, gap in zip(deltas[:-1], gaps, strict=True)),
    )


# ---- a better plan -------------------------------------------------------------------------------
def check_uncrossing(gain):
    """x, x + a to y, y + b with a, b > 0: the crossing plan minus the one in order."""
    check_identity(
        lambda x, y, a, b: (x - (y + b)) ** 2 + ((x + a) - y) ** 2,
        lambda x, y, a, b: (x - y) ** 2 + ((x + a) - (y + b)) ** 2 + gain(a, b),
    )


@proves("ot-squared-cost-picks-better-plan", strength="identity")
def test_uncrossing_two_moves_gains_twice_the_product_of_the_gaps():
    check_uncrossing(lambda a, b: 2 * a * b)


@proves("ot-squared-cost-picks-better-plan", role="must_fail")
def test_uncrossing_two_moves_gains_more_than_the_product_of_the_gaps():
    check_uncrossing(lambda a, b: a * b)


@proves("ot-squared-cost-picks-better-plan", strength="certificate", role="supports")
def test_for_the_plain_distance_the_two_plans_may_tie():
    assert abs(0 - 1) + abs(1 - 2) == abs(0 - 2) + abs(1 - 1)
    assert (0 - 1) ** 2 + (1 - 2) ** 2 < (0 - 2) ** 2 + (1 - 1) ** 2


# ---- shortest paths ------------------------------------------------------------------------------
def check_no_longer(x_t):
    """Along the path from x to y each point moves by t - s of its displacement."""
    check_identity(
        lambda x, y, s, t: x_t(x, y, t) - x_t(x, y, s), lambda x, y, s, t: (t - s) * (y - x)
    )


def check_no_shorter(bound):
    """From ``W <= W_0s + W_st + W_t1``, W_0s <= s W and W_t1 <= (1 - t) W to W_st >= bound W."""
    check_nonnegative_combination(
        lambda s, t, W, W0s, Wst, Wt1: Wst - bound(s, t) * W,
        lambda s, t, W, W0s, Wst, Wt1: [1, 1, 1],
        lambda s, t, W, W0s, Wst, Wt1: [W0s + Wst + Wt1 - W, s * W - W0s, (1 - t) * W - Wt1],
    )


@proves("ot-geodesic-between-distributions", strength="identity", scope="no longer")
def test_points_move_in_proportion_to_time():
    check_no_longer(lambda x, y, t: (1 - t) * x + t * y)


@proves("ot-geodesic-between-distributions", role="must_fail")
def test_points_that_accelerate_do_not():
    check_no_longer(lambda x, y, t: x + t**2 * (y - x))


@proves(
    "ot-geodesic-between-distributions",
    strength="identity",
    scope="no shorter",
    lemmas=("W_1 satisfies the triangle inequality",),
)
def test_no_part_of_the_path_is_a_short_cut():
    check_no_shorter(lambda s, t: t - s)


@proves("ot-geodesic-between-distributions", role="must_fail")
def test_no_part_of_the_path_is_as_long_as_all_of_it():
    check_no_shorter(lambda s, t: 1)


# ---- computing it --------------------------------------------------------------------------------
def refute_exhaustion(plan, points, targets, potentials):
    """Proves a plan between two clouds optimal (l1 distance) by as many comparisons as pairs."""
    costs = [[sum(abs(a - b) for a, b in zip(x, y, strict=True)) for y in targets] for x in points]
    value = sum(costs[i][j] * m for i, row in enumerate(plan) for j, m in enumerate(row))
    ones = [1] * len(points)
    check_optimal(costs, ones, ones, plan=plan, potentials=potentials(costs), value=value)
    return value


def clouds(n):
    rng = np.random.default_rng([182, n])
    return rng.integers(0, 100, (2, n, 2)).tolist()


def assignment(points, targets):
    """An optimal assignment in floating point; nothing is taken from here on trust."""
    from scipy.optimize import linear_sum_assignment

    costs = np.abs(np.array(points)[:, None] - np.array(targets)[None]).sum(axis=2)
    columns = linear_sum_assignment(costs)[1].tolist()
    return [[int(columns[i] == j) for j in range(len(targets))] for i in range(len(points))]


def potentials_of(plan):
    """Potentials that are tight along a plan: shortest paths over its residual graph, in integers.

    From v = 0 lower ``v_j`` to ``min_i cost_ij - u_i``, where ``u_i = cost_ik - v_k`` at the
    partner k of i, until nothing changes; for an optimal plan there is no negative cycle: it ends.
    """
    partner = [row.index(1) for row in plan]

    def find(costs):
        n = len(costs)
        v = [0] * n
        for _ in range(n + 1):
            u = [costs[i][partner[i]] - v[partner[i]] for i in range(n)]
            lower = [min(costs[i][j] - u[i] for i in range(n)) for j in range(n)]
            if lower == v:
                break
            v = [min(a, b) for a, b in zip(v, lower, strict=True)]
        return [costs[i][partner[i]] - v[partner[i]] for i in range(n)], v

    return find


@proves("w-primal-intractable", strength="certificate", role="refutes")
def test_an_optimum_among_more_plans_than_one_could_list_is_found_and_proved(record_witness):
    from math import factorial

    n = 40
    points, targets = clouds(n)
    plan = assignment(points, targets)
    value = refute_exhaustion(plan, points, targets, potentials_of(plan))
    assert factorial(n) > 10**47
    record_witness(
        laws=f"two clouds of {n} points of the plane, l1 distance",
        W=f"{value}/{n}",
        assignments=f"{n}! > 10^47",
        comparisons_in_the_proof=n * n,
    )


@proves("w-primal-intractable", role="must_fail")
def test_an_arbitrary_plan_cannot_be_proved_optimal():
    points, targets = clouds(40)
    plan = [[int(i == j) for j in range(40)] for i in range(40)]
    refute_exhaustion(plan, points, targets, potentials_of(plan))
