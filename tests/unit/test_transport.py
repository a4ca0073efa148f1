"""Transport in R^d: right against linear programming, certified, and never silently wrong."""

from __future__ import annotations

import math

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from divergences import network_simplex, transport
from divergences.certificates import exact_transport
from divergences.ground import ground_distances
from divergences.transport import optimal_transport
from divergences.transport1d import wasserstein
from evidence import NotCertified

EPS = np.finfo(float).eps
GROUNDS = ("l2", "l1", "linf", "sqeuclidean")


def clouds(seed, n=9, m=7, d=2):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(1, 9, n), rng.integers(1, 9, m)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)), a / a.sum(), b / b.sum()


def by_definition(x, y, ground):
    norms = {
        "l2": lambda z: math.sqrt(sum(t * t for t in z)),
        "l1": lambda z: sum(abs(t) for t in z),
        "linf": lambda z: max(abs(t) for t in z),
        "sqeuclidean": lambda z: sum(t * t for t in z),
    }
    return np.array([[norms[ground](s - t) for t in y] for s in x])


def linear_program(costs, a, b):
    """An independent oracle: the textbook program by HiGHS' interior point method."""
    n, m = costs.shape
    rows = np.kron(np.eye(n), np.ones(m))
    columns = np.kron(np.ones(n), np.eye(m))
    return linprog(
        costs.ravel(), A_eq=np.vstack((rows, columns)), b_eq=np.append(a, b), method="highs-ipm"
    ).fun


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("p", [1, 2])
def test_the_cost_is_that_of_the_linear_program(ground, p):
    x, y, a, b = clouds(p)
    costs = by_definition(x, y, ground) ** p
    np.testing.assert_allclose(ground_distances(x, y, ground) ** p, costs, rtol=16 * EPS)
    result = optimal_transport(x, y, a, b, ground=ground, p=p)
    # HiGHS promises feasibility to 1e-7 per constraint.
    assert result.cost == pytest.approx(linear_program(costs, a, b), rel=1e-6)
    assert result.value == pytest.approx(result.cost ** (1 / p), rel=4 * EPS)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(GROUNDS))
def test_plan_and_potentials_prove_each_other_optimal(seed, ground):
    rng = np.random.default_rng(seed)
    n, m, d = rng.integers(1, 12, 3)
    x, y, a, b = clouds(seed, n, m, d)
    result = optimal_transport(x, y, a, b, ground=ground)
    u, v = result.potentials
    scale = result.costs.max()
    bound = 64 * EPS * (n + m)
    assert (result.plan >= 0).all()
    np.testing.assert_allclose(result.plan.sum(axis=1), a, atol=bound)
    np.testing.assert_allclose(result.plan.sum(axis=0), b, atol=bound)
    assert (u[:, None] + v - result.costs).max() <= bound * scale
    assert abs(result.cost - (a @ u + b @ v)) <= bound * scale
    assert result.gap <= bound * scale


def test_three_ground_norms_pair_with_three_dual_norms():
    x, y = [[0.0, 0.0]], [[1.0, 1.0]]
    assert optimal_transport(x, y, ground="l1").value == 2.0
    assert optimal_transport(x, y, ground="linf").value == 1.0
    assert optimal_transport(x, y).value == math.sqrt(2.0)
    assert optimal_transport(x, y, ground="sqeuclidean").value == 2.0
    assert optimal_transport(x, y, p=2).value == pytest.approx(math.sqrt(2.0), rel=2 * EPS)


@pytest.mark.parametrize("p", [1, 2])
def test_points_on_a_line_agree_with_the_closed_form(p):
    x, y, a, b = clouds(3, 20, 30, 1)
    line = wasserstein(x[:, 0], y[:, 0], a, b, p=p)
    for X, Y in ((x, y), (x[:, 0], y[:, 0])):
        assert optimal_transport(X, Y, a, b, p=p).value == pytest.approx(line, rel=1e-12)


# ---- critics -------------------------------------------------------------------------------------
@pytest.mark.parametrize("ground", ["l2", "l1", "linf"])
def test_the_critic_is_lipschitz_everywhere_and_attains_the_distance(ground):
    x, y, a, b = clouds(5, 25, 20)
    a[3] = b[4] = b[11] = 0.0
    a, b = a / a.sum(), b / b.sum()
    result = optimal_transport(x, y, a, b, ground=ground)
    z = np.vstack((x, y, np.random.default_rng(0).standard_normal((60, 2)) * 3))
    f = result.critic(z)
    slopes = np.abs(f[:, None] - f) - ground_distances(z, z, ground)
    assert slopes.max() <= 64 * EPS * np.abs(z).max()
    attained = a @ result.critic(x) - b @ result.critic(y)
    assert attained == pytest.approx(result.value, rel=1e-12)
    np.testing.assert_allclose(result.critic(x), result.potentials[0], atol=1e-12)


def test_the_potential_is_lipschitz_on_atoms_without_mass_where_a_solvers_duals_are_not():
    rng = np.random.default_rng(1)
    worst = 0.0
    for _ in range(5):
        x, y = rng.standard_normal((2, 40, 2))
        a = np.where(rng.random(40) < 0.5, 0.0, rng.random(40))
        b = np.where(rng.random(40) < 0.5, 0.0, rng.random(40))
        a, b = a / a.sum(), b / b.sum()
        steps = ground_distances(x, x, "l2")
        u = optimal_transport(x, y, a, b).potentials[0]
        assert (np.abs(u[:, None] - u) - steps).max() <= 1e-13
        dual = ot.emd(a, b, ground_distances(x, y, "l2"), log=True)[1]["u"]
        worst = max(worst, float((np.abs(dual[:, None] - dual) - steps).max()))
    assert worst > 1.0, "the trap this guards against is gone"


def test_a_cost_matrix_has_no_critic():
    result = optimal_transport(None, None, cost=[[1.0]])
    with pytest.raises(ValueError, match="`critic` needs points"):
        result.critic([[0.0]])


# ---- where POT is silently wrong -----------------------------------------------------------------
def badly_scaled(seed, n=40):
    """Mostly forbidden moves, written as 1e32, with a plan that avoids them."""
    rng = np.random.default_rng(seed)
    costs = rng.random((n, n)) * 100
    costs[rng.random((n, n)) < 0.8] = 1e32
    rows = np.arange(n)
    costs[rows, (rows + 3) % n] = rng.random(n) * 100
    a = rng.integers(1, 50, n)
    b = np.roll(a, 3)
    return costs, a, b


@pytest.mark.parametrize("seed", range(4))
def test_entries_of_1e32_do_not_drown_the_others(seed):
    costs, a, b = badly_scaled(seed)
    right = linear_program_without(costs, a / a.sum(), b / b.sum())
    result = optimal_transport(None, None, a, b, cost=costs, normalize=True)
    assert result.cost == pytest.approx(right, rel=1e-9)
    assert result.relative_gap <= 1e-9


def linear_program_without(costs, a, b):
    """The same program over the arcs that are not 1e32 only."""
    i, j = np.nonzero(costs < 1e31)
    n, m = costs.shape
    A = np.zeros((n + m, len(i)))
    A[i, np.arange(len(i))] = A[n + j, np.arange(len(i))] = 1.0
    return linprog(costs[i, j], A_eq=A, b_eq=np.append(a, b), method="highs-ds").fun


def test_the_trap_is_real():
    costs, a, b = badly_scaled(0)
    right = linear_program_without(costs, a / a.sum(), b / b.sum())
    assert ot.emd2(a / a.sum(), b / b.sum(), costs) > 1.2 * right


def test_forbidden_moves_are_left_out_and_impossible_ones_named():
    inf = math.inf
    result = optimal_transport(None, None, [0.5, 0.5], [0.5, 0.5], cost=[[0.2, inf], [0.1, 0.4]])
    assert result.cost == pytest.approx(0.3, rel=1e-9)
    assert result.plan[0, 1] == 0.0
    u, v = result.potentials
    assert (u[:, None] + v <= result.costs + 1e-12).all()
    with pytest.raises(ValueError, match="`cost` forbids every plan"):
        optimal_transport(None, None, [0.5, 0.5], [0.1, 0.9], cost=[[1.0, inf], [inf, 1.0]])
    with pytest.raises(ValueError, match="`cost` forbids every plan"):
        optimal_transport(None, None, cost=[[inf]])


def test_a_solver_stopped_early_is_noticed_and_another_one_asked(monkeypatch):
    x, y, a, b = clouds(0, 40, 40)
    right = optimal_transport(x, y, a, b)
    assert right.solver == "network simplex"
    monkeypatch.setattr(network_simplex, "_MOST_PIVOTS", 20)
    again = optimal_transport(x, y, a, b)
    assert again.solver == "HiGHS"
    assert again.cost == pytest.approx(right.cost, rel=1e-9)


def test_if_nobody_closes_the_gap_the_estimate_travels_on_the_refusal(monkeypatch):
    x, y, a, b = clouds(0, 40, 40)
    right = optimal_transport(x, y, a, b)

    def product(a, b, _, costs):
        plan = np.outer(a, b)
        primal, nothing = float((plan * costs).sum()), np.zeros(40)
        return network_simplex.Solution(
            plan=plan, u=nothing, v=nothing, primal=primal, dual=0.0, solver="product"
        )

    monkeypatch.setattr(transport, "by_network_simplex", product)
    monkeypatch.setattr(transport, "by_highs", lambda *_: None)
    with pytest.raises(NotCertified, match="the optimal cost lies between") as refusal:
        optimal_transport(x, y, a, b)
    assert refusal.value.estimate > right.cost
    monkeypatch.setattr(transport, "by_network_simplex", lambda *_: None)
    with pytest.raises(NotCertified, match="no solver found a plan"):
        optimal_transport(x, y, a, b)


@pytest.mark.slow
def test_four_thousand_points_are_past_the_default_iterations_of_the_solver():
    rng = np.random.default_rng(0)
    result = optimal_transport(rng.standard_normal((4000, 2)), rng.standard_normal((4000, 2)))
    assert result.relative_gap <= 1e-9


# ---- hard but legitimate -------------------------------------------------------------------------
def test_equal_clouds_are_at_distance_zero_exactly():
    x, _, a, _ = clouds(7, 30)
    order = np.random.default_rng(0).permutation(30)
    assert optimal_transport(x, x[order], a, a[order]).value == 0.0
    same = optimal_transport(None, None, a, a, cost=ground_distances(x, x, "l2"))
    assert (same.cost, same.gap) == (0.0, 0.0)


def test_nearly_equal_clouds_keep_their_digits():
    x = np.random.default_rng(0).standard_normal((100, 3))
    shift = 2.0**-40
    result = optimal_transport(x, x + shift)
    assert result.value == pytest.approx(math.sqrt(3.0) * shift, rel=1e-3)
    assert result.gap <= 1e-13


def test_far_outliers_that_cancel_excuse_no_error():
    x, y, a, b = clouds(2, 20, 20)
    near = optimal_transport(x, y, a, b)
    far = [[1e12, 0.0]]
    together = optimal_transport(
        np.vstack((x, far)), np.vstack((y, far)), np.append(a, 1.0) / 2, np.append(b, 1.0) / 2
    )
    assert together.value == pytest.approx(near.value / 2, rel=1e-9)


def test_subnormal_masses_and_huge_points_are_survived():
    result = optimal_transport([[0.0], [1.0]], [[0.0]], [1.0, 5e-324], [1.0])
    assert result.value <= 1e-300
    assert optimal_transport([[1e300]], [[-1e300]]).value == 2e300
    with pytest.raises(OverflowError, match="exceed the largest float"):
        optimal_transport([[1.7e308]], [[-1.7e308]])
    with pytest.raises(OverflowError, match="exceed the largest float"):
        optimal_transport([[1e200]], [[0.0]], p=2)


def test_negative_costs_are_costs():
    result = optimal_transport(None, None, cost=[[-1.0, 0.0], [0.0, -2.0]])
    assert result.cost == -1.5
    assert result.gap <= 8 * EPS


# ---- any magnitudes against fractions ------------------------------------------------------------
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_costs_of_any_magnitude_give_the_exact_optimum_or_a_refusal(data):
    entry = st.sampled_from([0.0, 1.0, -2.0, 1e-10, 1e32, 1e200, math.inf]) | st.floats(0, 1e3)
    sizes = st.integers(1, 5)
    n, m = data.draw(sizes), data.draw(sizes)
    rows = st.lists(entry, min_size=m, max_size=m)
    costs = np.array(data.draw(st.lists(rows, min_size=n, max_size=n)))
    a = data.draw(st.lists(st.integers(0, 5), min_size=n, max_size=n).filter(any))
    b = data.draw(st.lists(st.integers(0, 5), min_size=m, max_size=m).filter(any))
    try:
        exact = exact_transport(costs, a, b, normalize=True)
    except ValueError:
        with pytest.raises((ValueError, NotCertified)):
            optimal_transport(None, None, a, b, cost=costs, normalize=True)
        return
    try:
        result = optimal_transport(None, None, a, b, cost=costs, normalize=True)
    except NotCertified:
        return
    dearest = max(abs(float(costs[i, j])) for i, j, _ in exact.plan)
    # The accepted gap, and the rounding of the weights times the costs that are paid.
    bound = 1e-9 * abs(float(exact.value)) + (n + m) * 4 * EPS * dearest + result.gap
    assert abs(result.cost - float(exact.value)) <= bound
