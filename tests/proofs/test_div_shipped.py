"""The shipped divergences and transport costs do what the claims say: exact answers beside them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from divergences.discrete import js, kl
from divergences.transport import optimal_transport
from divergences.transport1d import w1_cumulative
from tests.logarithms import exact_js, exact_kl
from tests.transport_certificates import check_optimal, distances, monotone_plan

proves = pytest.mark.proves

EPS = float(np.finfo(float).eps)
# What the package promises for masses that are exact in binary.
RELATIVE_ERROR = 1e-13


def dyadic_laws(seed):
    """Two laws with masses k / 1024, exact in binary; some masses of the first are 0."""
    rng = np.random.default_rng([107, seed])
    n = int(rng.integers(2, 9))
    q = 1 + rng.multinomial(1024 - n, np.ones(n) / n)
    p = rng.multinomial(1024, rng.dirichlet(np.full(n, 0.5)))
    return [[Fraction(int(k), 1024) for k in law] for law in (p, q)]


def near(value, exact, rtol):
    """Whether a float is within a relative error of an exact sum of logarithms."""
    low, high = sorted(exact * (1 + sign * Fraction(rtol)) for sign in (-1, 1))
    return low <= Fraction(value) <= high


@proves("kl-infinite-where-model-vanishes", strength="tested", role="conforms")
def test_kl_is_infinite_where_the_model_vanishes_and_only_there():
    assert kl([0.5, 0.5], [1, 0]) == math.inf
    assert kl([1, 0], [0.5, 0.5]) == math.log(2)
    assert kl([1, 0], [1, 0]) == 0


@proves("parallel-lines-kl", strength="tested", role="conforms")
@proves("parallel-lines-js", strength="tested", role="conforms")
def test_lines_apart_and_lines_that_coincide():
    lines = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert kl(lines, lines[::-1]).tolist() == [math.inf, math.inf]
    assert js(lines, lines[::-1]).tolist() == [math.log(2)] * 2
    assert kl(lines, lines).tolist() == js(lines, lines).tolist() == [0, 0]


@proves("mle-argmin-equals-kl-argmin", strength="tested", role="conforms")
@pytest.mark.parametrize("seed", range(20))
def test_kl_agrees_with_exact_logarithms(seed):
    p, q = dyadic_laws(seed)
    assert near(kl([float(v) for v in p], [float(v) for v in q]), exact_kl(p, q), RELATIVE_ERROR)


@proves("jsd-bounds-and-symmetry", strength="tested", role="conforms")
@pytest.mark.parametrize("seed", range(20))
def test_js_agrees_with_exact_logarithms_and_keeps_its_bounds(seed):
    p, q = dyadic_laws(seed)
    value = js([float(v) for v in p], [float(v) for v in q])
    assert near(value, exact_js(p, q), RELATIVE_ERROR)
    assert 0 <= value <= math.log(2)
    assert value == js([float(v) for v in q], [float(v) for v in p])


@proves("emd-four-piles-value", strength="certificate", role="conforms")
def test_the_four_piles_are_five_apart_with_the_deltas_of_the_solution():
    result = w1_cumulative([3, 2, 1, 4], [1, 2, 4, 3])
    assert result.value == 5
    assert list(result.flows) == [2, 2, -1, 0]


@proves("w1-1d-cdf-formula", strength="instance-proved", role="conforms")
@pytest.mark.parametrize("seed", range(20))
def test_the_cumulative_formula_is_proved_optimal_on_random_piles(seed):
    rng = np.random.default_rng([182, 1, seed])
    n = int(rng.integers(2, 8))
    p, q = (rng.multinomial(30, np.ones(n) / n).tolist() for _ in range(2))
    result = w1_cumulative(p, q)
    steps = [0, *(-np.sign(np.asarray(result.flows[:-1], dtype=int))).tolist()]
    potential = np.cumsum(steps).tolist()
    check_optimal(
        distances(range(n), range(n)),
        p,
        q,
        plan=monotone_plan(p, q),
        potentials=(potential, [-f for f in potential]),
        value=result.value,
    )


@proves("parallel-lines-w", strength="tested", role="conforms")
@pytest.mark.parametrize("theta", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("ground", ["l1", "l2", "linf"])
def test_transport_between_lines_costs_their_distance(theta, ground):
    # n terms of theta / n, each rounded once, and their sum: n + 1 roundings.
    n = 16
    heights = np.arange(n) / n
    first = np.column_stack([np.zeros(n), heights])
    second = np.column_stack([np.full(n, theta), heights])
    result = optimal_transport(first, second, ground=ground)
    assert abs(result.value - theta) <= (n + 1) * EPS * theta


@proves("kr-duality", strength="tested", role="conforms")
@pytest.mark.parametrize("seed", range(10))
def test_plan_and_potentials_of_a_transport_have_the_same_value(seed):
    # Both sides are sums of at most n^2 products of numbers below the largest cost.
    rng = np.random.default_rng([137, seed])
    n = 12
    x, y = rng.normal(size=(2, n, 2))
    result = optimal_transport(x, y)
    u, v = result.potentials
    largest = result.costs.max()
    assert np.all(u[:, None] + v[None, :] <= result.costs + 8 * n * EPS * largest)
    assert abs(u.mean() + v.mean() - result.value) <= 8 * n * EPS * largest
