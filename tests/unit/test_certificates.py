"""Exact transport: the optimum as a fraction, and certificates that can be refuted."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from divergences import exact_simplex
from divergences.certificates import exact_transport
from divergences.cumulative import w1_cumulative
from divergences.transport import optimal_transport

masses = st.integers(0, 6)


@st.composite
def problems(draw, largest=6):
    n, m = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    p = draw(st.lists(masses, min_size=n, max_size=n).filter(any))
    q = draw(st.lists(masses, min_size=m, max_size=m).filter(any))
    cost = st.integers(-3, 6)
    costs = draw(st.lists(st.lists(cost, min_size=m, max_size=m), min_size=n, max_size=n))
    return costs, p, q


def by_vertices(costs, p, q):
    """The cheapest basic plan: every spanning set of n + m - 1 cells is tried."""
    n, m = len(p), len(q)
    cells = list(itertools.product(range(n), range(m)))
    best = None
    for chosen in itertools.combinations(cells, n + m - 1):
        left, open_cells, cost, feasible = [*p, *q], set(chosen), Fraction(0), True
        while open_cells:
            degree = {}
            for i, j in open_cells:
                degree.setdefault(i, []).append((i, j))
                degree.setdefault(n + j, []).append((i, j))
            leaf = next((node for node, around in degree.items() if len(around) == 1), None)
            if leaf is None:
                break
            i, j = degree[leaf][0]
            amount = left[leaf]
            left[i] -= amount
            left[n + j] -= amount
            cost += amount * costs[i][j]
            open_cells.remove((i, j))
            feasible = feasible and amount >= 0
        if feasible and not open_cells and not any(left) and (best is None or cost < best):
            best = cost
    return best


@settings(max_examples=60, deadline=None)
@given(problems(largest=3))
def test_the_optimum_is_the_cheapest_vertex(problem):
    costs, p, q = problem
    p, q = [Fraction(x, sum(p)) for x in p], [Fraction(x, sum(q)) for x in q]
    result = exact_transport(costs, p, q)
    assert result.value == by_vertices(costs, p, q)


@settings(max_examples=60, deadline=None)
@given(problems(), st.booleans())
def test_every_result_is_proved_whatever_basis_it_starts_from(problem, cold):
    costs, p, q = problem
    if cold:  # without a float solver: arcs in any order
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                exact_simplex,
                "_ranked_arcs",
                lambda C, a, b: list(itertools.product(range(len(a)), range(len(b)))),
            )
            result = exact_transport(costs, p, q, normalize=True)
    else:
        result = exact_transport(costs, p, q, normalize=True)
    exact_p = [Fraction(x, sum(p)) for x in p]
    exact_q = [Fraction(x, sum(q)) for x in q]
    assert result.proves(costs, exact_p, exact_q)
    assert len(result.plan) <= len(p) + len(q) - 1


def example():
    costs = [[0, 1, 4], [1, 0, 1], [4, 1, 0]]
    p, q = [2, 1, 1], [1, 1, 2]
    return costs, p, q, exact_transport(costs, p, q)


def test_a_forged_certificate_proves_nothing():
    costs, p, q, honest = example()
    assert honest.proves(costs, p, q)
    i, j, mass = honest.plan[0]
    u, v = honest.potentials
    forgeries = [
        {"value": honest.value - 1},
        {"plan": honest.plan[1:]},
        {"plan": ((i, j, mass + 1), *honest.plan[1:])},
        {"plan": (*honest.plan, (0, 0, Fraction(-1)), (0, 0, Fraction(1)))},
        {"potentials": ((u[0] + 1, *u[1:]), v)},
        {"potentials": ((u[0] - 1, *u[1:]), v)},
        {"potentials": (u[1:], v)},
    ]
    for change in forgeries:
        assert not dataclasses.replace(honest, **change).proves(costs, p, q)
    assert not honest.proves(costs, q, p)


def test_on_the_line_it_is_the_delta_formula():
    rng = np.random.default_rng(0)
    for _ in range(10):
        p = [int(k) for k in rng.integers(0, 9, 8)]
        q = [int(k) for k in rng.permutation(p)]
        costs = [[abs(i - j) for j in range(8)] for i in range(8)]
        assert exact_transport(costs, p, q).value == w1_cumulative(p, q).value


def test_floats_are_the_binary_fractions_they_are():
    result = exact_transport([[0.1]], [1], [1])
    assert result.value == Fraction(0.1) != Fraction(1, 10)
    with pytest.raises(ValueError, match="equal totals exactly"):
        exact_transport([[0.0]] * 10, [0.1] * 10, [1.0])
    assert exact_transport([[0.0]] * 10, [0.1] * 10, [1.0], normalize=True).value == 0


def test_the_float_optimum_lies_within_its_gap_of_the_exact_one():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((25, 3)), rng.standard_normal((30, 3))
    floats = optimal_transport(x, y)
    exact = exact_transport(floats.costs, [1] * 25, [1] * 30, normalize=True)
    # 1/25 and 1/30 are rounded in the float problem: 55 masses, costs below 10.
    assert abs(floats.cost - float(exact.value)) <= floats.gap + 55 * 2.0**-53 * 10


def test_entries_of_1e32_are_no_obstacle_to_fractions():
    costs = [[10**32, 1, 10**32], [2, 10**32, 5], [10**32, 3, 1]]
    assert exact_transport(costs, [1, 1, 1], [1, 1, 1]).value == 1 + 2 + 1


def test_forbidden_moves_are_left_out_and_impossible_ones_named():
    inf = math.inf
    result = exact_transport([[0, inf], [1, 0]], [1, 2], [2, 1])
    assert result.value == 1
    assert result.proves([[0, inf], [1, 0]], [1, 2], [2, 1])
    with pytest.raises(ValueError, match="`costs` forbids every plan"):
        exact_transport([[0, inf], [1, 0]], [2, 1], [1, 2])


@pytest.mark.parametrize(
    ("costs", "p", "q", "error", "text"),
    [
        ([[math.nan]], [1], [1], ValueError, "`costs` must be finite, got nan"),
        ([[1]], [math.inf], [1], ValueError, "`p` must be finite, got inf"),
        ([[1]], [-1], [-1], ValueError, "`p` must be nonnegative, got -1 at index 0"),
        ([[1]], [0], [0], ValueError, "`p` must have positive total mass"),
        ([[1]], [1], [2], ValueError, "equal totals exactly, got 1 and 2"),
        ([[1, 2]], [1], [1], ValueError, r"`costs` must have shape \(1, 1\)"),
        ([[1]], [True], [True], TypeError, "ints, fractions or floats, got bool"),
        ([["a"]], [1], [1], TypeError, "ints, fractions or floats, got str"),
        ([[1j]], [1], [1], TypeError, "ints, fractions or floats, got complex"),
        (None, [1], [1], TypeError, "`costs` must be a list or an array"),
        ([[1]], np.ma.masked_array([1.0]), [1], TypeError, "masked array"),
        ([[1]], [], [1], ValueError, "`p` must have positive total mass"),
    ],
)
def test_what_is_no_problem_of_transport_is_refused(costs, p, q, error, text):
    with pytest.raises(error, match=text):
        exact_transport(costs, p, q)
