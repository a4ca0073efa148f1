"""Descent on log-multipliers: its gradient, its barrier, and where it ends on chains."""

from __future__ import annotations

import math
import time
from itertools import pairwise

import numpy as np
import pytest

from lipschitz.sdp import FeedForward, bound, prove_multipliers, semidefinite_bound
from lipschitz.sdp.closed_forms import best_closed_form
from lipschitz.sdp.log_multipliers import descend
from lipschitz.sdp.presolve import presolved
from lipschitz.sdp.recursion import barrier_value, value_of


def random_chain(widths, seed, lower=0.0, upper=1.0):
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((m, n)) / math.sqrt(n) for n, m in pairwise(widths)]
    return FeedForward.exact(
        weights,
        slope_lower=[np.full(n, lower) for n in widths[1:-1]],
        slope_upper=[np.full(n, upper) for n in widths[1:-1]],
    )


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(("lower", "upper"), [(0.0, 1.0), (-0.5, 1.0), (0.1, 2.0)])
def test_the_gradient_is_the_limit_of_difference_quotients(lower, upper, outputs):
    problem = presolved(random_chain((3, 5, 4, outputs), 0, lower, upper))
    start = best_closed_form(problem)[1]
    sizes = np.cumsum([len(t) for t in start])[:-1]
    direction = np.random.default_rng(1).standard_normal(9)

    def objective(h):
        moved = [t * np.exp(h * d) for t, d in zip(start, np.split(direction, sizes), strict=True)]
        return barrier_value(problem, moved, 1e-2).objective

    # Central differences: error h^2 times a third derivative, and rounding 1e-16 / h.
    h = 1e-5
    slope = float(barrier_value(problem, start, 1e-2).gradient @ direction)
    assert (objective(h) - objective(-h)) / (2 * h) == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("barrier", [1.0, 1e-2, 1e-6])
def test_the_barrier_is_the_least_over_rho_and_never_below_the_constant(barrier):
    problem = presolved(random_chain((4, 6, 5), 2))
    start = best_closed_form(problem)[1]
    point = barrier_value(problem, start, barrier)
    assert point.value == pytest.approx(value_of(problem, start), rel=1e-12)
    assert point.objective >= 2.0 * math.log(point.value)
    (t,), (w, c) = start, problem.weights
    left = np.diag(t) - np.outer(t, t) / 4.0 * (w @ w.T)
    m = c @ np.linalg.solve(left, c.T)
    hidden = np.linalg.slogdet(left / t)[1]

    def at(rho):
        outer = np.linalg.slogdet(np.eye(len(m)) - m / rho)[1]
        return math.log(rho) - barrier * (outer + hidden)

    grid = [at(point.value**2 * (1.0 + e)) for e in np.geomspace(1e-8, 1e3, 4001)]
    # The grid's step of 0.6 percent in a minimum without slope costs less than its square.
    assert point.objective == pytest.approx(min(grid), abs=1e-4 * max(1.0, barrier))
    assert point.objective <= min(grid) + 1e-9


@pytest.mark.parametrize("widths", [(8, 20, 20, 20, 3), (5,) * 12 + (1,)])
def test_descent_ends_within_one_part_in_a_thousand_of_the_optimum(widths):
    net = random_chain(widths, 3)
    optimum = semidefinite_bound(net)
    assert optimum.gap < 1e-6
    problem = presolved(net)
    start = best_closed_form(problem)[1]
    found = descend(problem, start, time.monotonic() + 60.0)
    constant = problem.norm_of_network(found.value)
    assert optimum.primal * (1.0 - 1e-6) <= constant <= optimum.primal * (1.0 + 1e-3)


def test_a_chain_too_large_for_interior_points_is_proved_by_descent(monkeypatch):
    net = random_chain((8, 20, 20, 20, 3), 5)
    optimum = semidefinite_bound(net)
    monkeypatch.setitem(bound._INTERIOR, "default", 0)
    found = semidefinite_bound(net)
    assert found.method == "semidefinite, descent"
    assert prove_multipliers(net, found.multipliers, found.bound.upper)
    assert optimum.primal * (1.0 - 1e-8) <= found.bound.upper <= optimum.primal * (1.0 + 1e-3)


def test_descent_out_of_time_returns_its_start():
    problem = presolved(random_chain((4, 6, 6, 2), 4))
    start = best_closed_form(problem)[1]
    found = descend(problem, start, time.monotonic() - 1.0)
    assert found.multipliers is start
    assert found.evaluations == 0
