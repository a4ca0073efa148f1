"""Monge's maps, the Sinkhorn divergence and slices: what each says about W_p, and what not."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from divergences import monge_maps
from divergences.monge_maps import NoMongeMap, monge
from divergences.sinkhorn import sinkhorn_divergence
from divergences.sliced import sliced_wasserstein
from divergences.transport import optimal_transport
from divergences.transport1d import wasserstein
from evidence import NotCertified

EPS = np.finfo(float).eps


# ---- maps ----------------------------------------------------------------------------------------
def cheapest_map(x, y, a, b):
    """Every map between the distinct atoms, tried one by one."""
    P, Q = {}, {}
    for point, mass in zip(x, a, strict=True):
        P[point] = P.get(point, 0) + Fraction(mass, sum(a))
    for point, mass in zip(y, b, strict=True):
        Q[point] = Q.get(point, 0) + Fraction(mass, sum(b))
    P, Q = ({z: m for z, m in D.items() if m} for D in (P, Q))
    best = None
    for images in itertools.product(Q, repeat=len(P)):
        pushed = dict.fromkeys(Q, Fraction(0))
        cost = Fraction(0)
        for (point, mass), image in zip(P.items(), images, strict=True):
            pushed[image] += mass
            cost += mass * abs(point - image)
        if pushed == Q and (best is None or cost < best):
            best = cost
    return best


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_map_is_the_cheapest_of_all_and_missing_exactly_when_there_is_none(data):
    sizes = st.integers(1, 4)
    n, m = data.draw(sizes), data.draw(sizes)
    x = data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    y = data.draw(st.lists(st.integers(0, 5), min_size=m, max_size=m))
    a = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any))
    b = data.draw(st.lists(st.integers(0, 3), min_size=m, max_size=m).filter(any))
    best = cheapest_map(x, y, a, b)
    if best is None:
        with pytest.raises(NoMongeMap, match="no map pushes `x` onto `y`"):
            monge(x, y, a, b)
        return
    result = monge(x, y, a, b)
    assert result.value == pytest.approx(float(best), abs=64 * EPS)
    paid = sum(
        Fraction(w, sum(a)) * abs(s - y[t]) for s, w, t in zip(x, a, result.targets, strict=True)
    )
    assert paid == best
    for value in set(y):
        pushed = sum(w for w, t in zip(a, result.targets, strict=True) if y[t] == value)
        wanted = sum(w for w, z in zip(b, y, strict=True) if z == value)
        assert Fraction(pushed, sum(a)) == Fraction(wanted, sum(b))


def test_monge_and_kantorovich_part_ways():
    with pytest.raises(NoMongeMap):
        monge([0.0], [-1.0, 1.0])
    assert monge([-1.0, 1.0], [0.0]).value == 1.0  # not symmetric
    assert monge([0, 1], [0, 1], [2, 1], [1, 2]).value == 1.0
    assert wasserstein([0, 1], [0, 1], [2, 1], [1, 2], normalize=True) == pytest.approx(1 / 3)
    assert monge([0, 1, 2], [0, 1, 2], [2, 1, 1], [1, 1, 2]).value == 1.5
    assert wasserstein([0, 1, 2], [0, 1, 2], [2, 1, 1], [1, 1, 2], normalize=True) == 0.5


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("ground", ["l2", "l1"])
def test_clouds_of_equal_size_have_a_map_as_cheap_as_any_plan(p, ground):
    rng = np.random.default_rng(p)
    x, y = rng.standard_normal((2, 30, 2))
    map_, plan = monge(x, y, ground=ground, p=p), optimal_transport(x, y, ground=ground, p=p)
    assert map_.value == pytest.approx(plan.value, rel=1e-12)
    assert sorted(map_.targets.tolist()) == list(range(30))


def test_coinciding_atoms_cannot_be_split():
    with pytest.raises(NoMongeMap, match="an atom of mass 1 must stay whole"):
        monge([0.0, 0.0], [-1.0, 1.0])
    with pytest.raises(NoMongeMap, match="cannot add up to"):
        monge([0.0, 1.0, 2.0], [0.0, 1.0])
    with pytest.raises(NoMongeMap, match="every way"):
        monge([0, 1, 2], [0, 1], [3, 3, 2], [4, 4])


def test_too_many_unequal_atoms_are_refused_and_not_guessed():
    n = 17
    with pytest.raises(NotCertified, match="not searched"):
        monge(np.arange(n), np.arange(n), list(range(1, n + 1)), list(range(n, 0, -1)))


def test_a_search_that_grows_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(monge_maps, "_MOST_NODES", 10)
    with pytest.raises(NotCertified, match="was stopped after 10 steps"):
        monge(np.arange(6), np.arange(3), [1, 2, 3, 4, 5, 6], [7, 7, 7])


# ---- Sinkhorn ------------------------------------------------------------------------------------
@pytest.mark.parametrize("regularisation", [1.0, 0.1])
@pytest.mark.parametrize("ground", ["l2", "sqeuclidean"])
def test_the_true_cost_lies_where_the_divergence_says(regularisation, ground):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((15, 2)), rng.standard_normal((12, 2)) + 1
    a, b = rng.dirichlet(np.ones(15)), rng.dirichlet(np.ones(12))
    result = sinkhorn_divergence(x, y, a, b, regularisation=regularisation, ground=ground)
    exact = optimal_transport(x, y, a, b, ground=ground).cost
    assert exact in result.true_cost
    assert result.cross >= exact - 1e-9
    assert result.self_x >= -1e-9
    assert result.value == pytest.approx(
        result.cross - (result.self_x + result.self_y) / 2, abs=8 * EPS
    )


def test_the_divergence_of_a_cloud_from_itself_is_zero_and_the_bias_does_not_hide():
    x = np.random.default_rng(1).standard_normal((10, 2))
    result = sinkhorn_divergence(x, x, regularisation=0.5)
    assert abs(result.value) <= 1e-8
    assert result.cross > 0.1  # the entropic cost itself is not zero
    other = sinkhorn_divergence(x, x + 1.0, regularisation=0.5)
    assert other.true_cost.width > 0.5 * math.log(10) * 1.5


def test_the_entropic_cost_of_two_coins_is_the_closed_form():
    epsilon, t = 0.7, 1.0
    k = math.exp(-t / epsilon)
    # Symmetric coins on {0, 1}: by symmetry pi = [[s, r], [r, s]] / 2 with r / s = k.
    r = k / (1 + k)
    divergence = math.log(2) + r * math.log(r) + (1 - r) * math.log(1 - r)
    coins = [[0.0], [1.0]]
    result = sinkhorn_divergence(coins, coins, regularisation=epsilon)
    assert result.cross == pytest.approx(t * r + epsilon * divergence, abs=1e-8)


def test_an_iteration_that_does_not_converge_is_refused():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 20, 2))
    with pytest.raises(NotCertified, match="misses the weights by") as refusal:
        sinkhorn_divergence(x, y, regularisation=1e-4, max_steps=5)
    assert refusal.value.estimate is not None


# ---- slices --------------------------------------------------------------------------------------
@pytest.mark.parametrize("p", [1, 2])
def test_on_the_line_slices_are_the_distance(p):
    rng = np.random.default_rng(p)
    x, y, a, b = (*rng.standard_normal((2, 9, 1)), *rng.dirichlet(np.ones(9), 2))
    line = wasserstein(x[:, 0], y[:, 0], a, b, p=p)
    result = sliced_wasserstein(x, y, a, b, p=p, rng=rng)
    assert result.value == pytest.approx(line, rel=1e-12)
    assert result.standard_error <= 1e-12


def test_slices_of_two_points_average_a_cosine():
    """E|cos| over the circle is 2 / pi; over the directions the error is normal."""
    result = sliced_wasserstein(
        [[0.0, 0.0]], [[1.0, 0.0]], rng=np.random.default_rng(0), n_projections=4000
    )
    # Five standard errors: a false alarm in 2e6, and the seed is fixed.
    assert abs(result.value - 2 / math.pi) <= 5 * result.standard_error
    assert result.standard_error <= 0.01


def test_slices_are_below_the_distance_and_reproducible():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 20, 3))
    first = sliced_wasserstein(x, y, rng=np.random.default_rng(7))
    again = sliced_wasserstein(x, y, rng=np.random.default_rng(7))
    assert first == again
    assert first.value < optimal_transport(x, y).value
    single = sliced_wasserstein(x, y, rng=rng, n_projections=1)
    assert single.standard_error == math.inf
    with pytest.raises(TypeError, match=r"`rng` must be a numpy.random.Generator"):
        sliced_wasserstein(x, y, rng=0)  # type: ignore[arg-type]
