"""Semidefinite bounds of networks with branches: sound, no worse than products, and re-provable."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evidence import NotCertified
from lipschitz.layers import Activation, Add, Dense
from lipschitz.lower import lower_bound
from lipschitz.multiplier_check import multipliers_prove
from lipschitz.network import Network, Node
from lipschitz.product import product_bound
from lipschitz.readers.read_arrays import from_arrays
from lipschitz.sdp import semidefinite_bound
from lipschitz.sdp.graph import graph_bound
from lipschitz.sdp.graph_elimination import reduced
from lipschitz.sdp.graph_matrices import GraphModel, graph_memory, graph_model
from lipschitz.sdp.graph_proof import _is_definite, prove_graph, prove_model
from tests.graph_networks import largest_slope, random_graph, with_max_pooling


def scaled(multipliers, factor):
    return tuple(factor * t for t in multipliers)


# ---- soundness ----------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(20))
def test_slopes_stay_below_the_bound_and_the_bound_below_the_product(seed: int) -> None:
    for index in range(10):
        rng = np.random.default_rng([40, seed, index])
        network = random_graph(rng)
        found = graph_bound(network)
        upper = found.bound.upper
        # Quotients of steps of 1e-2 and more of numbers near 10: relative rounding below 1e-11.
        assert largest_slope(network, rng, 200) <= upper * (1.0 + 1e-11)
        # A composition of l2 norms is a feasible point; other norms may do better than that.
        assert upper <= product_bound(network).plain.upper * (1.0 + 1e-9) or not found.multipliers
        assert prove_graph(network, found.multipliers, upper)


@pytest.mark.parametrize("seed", range(6))
def test_certified_slopes_at_points_found_by_ascent_stay_below_the_bound(seed: int) -> None:
    rng = np.random.default_rng([41, seed])
    network = random_graph(rng)
    attained = lower_bound(network, rng=rng, starts=4, steps=40, time_limit=1.0).bound.lower
    assert attained <= graph_bound(network).bound.upper


@pytest.mark.parametrize("seed", range(12))
def test_two_checkers_agree_on_honest_and_on_corrupted_certificates(seed: int) -> None:
    rng = np.random.default_rng([42, seed])
    network = random_graph(rng)
    found = graph_bound(network, effort="tight")
    upper, multipliers = found.bound.upper, found.multipliers
    assert multipliers_prove(network.fold(), multipliers, upper * (1.0 + 1e-9))
    for changed, constant in (
        (multipliers, 0.99 * upper),
        (scaled(multipliers, -1.0), upper),
        (scaled(multipliers, math.nan), upper),
        (scaled(multipliers, 1e-3), upper),
        (scaled(multipliers, 1e3), upper),
        (multipliers[:-1], upper),
        (tuple(t[:-1] for t in multipliers), upper),
    ):
        assert not prove_graph(network, changed, constant)
        assert not multipliers_prove(network.fold(), changed, constant)


def test_a_bound_below_an_attained_slope_is_never_proved() -> None:
    # The must-fail twin of the soundness tests: |x| = relu(x) + relu(-x) has constant 1.
    network = from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]])
    rng = np.random.default_rng(43)
    for _ in range(300):
        t = 10.0 ** rng.uniform(-3.0, 3.0, 2)
        assert not prove_graph(network, [t], 1.0 - 1e-12)


# ---- against other implementations --------------------------------------------------------------
@pytest.mark.parametrize("seed", range(4))
def test_an_interior_point_solver_finds_no_better_multipliers(seed: int) -> None:
    cp = pytest.importorskip("cvxpy")
    rng = np.random.default_rng([44, seed])
    network = random_graph(rng)
    model = graph_model(network)
    ends = np.cumsum([*model.sizes])
    rows = [slice(int(end) - n, int(end)) for end, n in zip(ends, model.sizes, strict=True)]

    def selector(part):
        whole = np.zeros((len(next(iter(part.values()))[0]), int(ends[-1])))
        for variable, (center, _) in part.items():
            whole[:, rows[variable]] = center
        return whole

    rho, form = cp.Variable(), 0
    first = np.zeros((int(ends[-1]),) * 2)
    first[rows[0], rows[0]] = np.eye(model.sizes[0])
    c = selector(model.maps[-1])
    form = rho * first - c.T @ c
    multipliers = []
    for i, (a, b) in enumerate(model.slopes):
        t = cp.Variable(model.sizes[i + 1], nonneg=True)
        multipliers.append(t)
        m = selector(model.maps[i])
        e = np.eye(int(ends[-1]))[rows[i + 1]]
        left, right = e - a * m, e - b * m
        form = form + 0.5 * (left.T @ cp.diag(t) @ right + right.T @ cp.diag(t) @ left)
    problem = cp.Problem(cp.Minimize(rho), [0.5 * (form + form.T) >> 0])
    problem.solve(solver="CLARABEL")
    optimum = math.sqrt(float(rho.value))
    ours = graph_bound(network, effort="tight").bound.upper
    # The solver stops within about 1e-6 of its optimum, on either side.
    assert ours == pytest.approx(optimum, rel=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_a_chain_gets_the_bound_of_the_method_for_chains(seed: int) -> None:
    rng = np.random.default_rng([45, seed])
    network = from_arrays([rng.standard_normal(s) for s in ((6, 3), (5, 6), (2, 5))])
    chain = semidefinite_bound(network)
    graph = graph_bound(network, effort="tight")
    assert graph.bound.upper == pytest.approx(chain.bound.upper, rel=1e-6)
    assert prove_graph(network, chain.multipliers, chain.bound.upper * (1.0 + 1e-9))


def test_gradients_of_the_objective_are_those_of_differences() -> None:
    rng = np.random.default_rng(46)
    for _ in range(5):
        system = reduced(graph_model(random_graph(rng)))
        start = system.factors(
            lambda k, gram, s=system: 0.4 / (s.halves[k - 1] ** 2 * np.abs(gram).sum(axis=1))
        )
        theta = [np.log(t) for t in start.multipliers]
        _, _, gradient = system.objective([np.exp(x) for x in theta], 0.05)
        direction = [rng.standard_normal(x.shape) for x in theta]

        def along(step, system=system, theta=theta, direction=direction):
            moved = [np.exp(x + step * d) for x, d in zip(theta, direction, strict=True)]
            return system.objective(moved, 0.05)[1]

        # Central differences: an error of h^2 and rounding of 1e-16 / h, both below 1e-8.
        slope = (along(1e-5) - along(-1e-5)) / 2e-5
        expected = sum(float(g @ d) for g, d in zip(gradient, direction, strict=True))
        assert slope == pytest.approx(expected, rel=1e-6, abs=1e-7)


# ---- residual blocks ----------------------------------------------------------------------------
def test_a_residual_block_that_contracts_is_not_charged_one_plus_its_constant() -> None:
    # x - relu(x) / 2 has slopes in [1/2, 1]: the product says 3/2, its own multipliers say 1.
    nodes = (
        Node(name="relu", layer=Activation(kind="relu", input_shape=(1,)), inputs=(0,)),
        Node(name="half", layer=Dense(weight=[[-0.5]]), inputs=(1,)),
        Node(name="sum", layer=Add(input_shape=(1,)), inputs=(0, 2)),
    )
    network = Network(input_shape=(1,), nodes=nodes)
    assert product_bound(network).bound.upper >= 1.5
    assert graph_bound(network).bound.upper <= 1.0 + 1e-9


# ---- bad and degenerate input -------------------------------------------------------------------
@pytest.mark.parametrize(
    ("weights", "constant"),
    [
        ([[[3.0]]], 3.0),  # no hidden layer
        ([[[3.0], [0.0]], [[2.0, 5.0]]], 6.0),  # a neuron that nothing moves
        ([[[3.0], [7.0]], [[2.0, 0.0]]], 6.0),  # a neuron that nobody reads
        ([[[3.0], [3.0]], [[1.0, 1.0]]], 6.0),  # duplicated neurons
        ([[[3e-150]], [[2e-150]]], 6e-300),
        ([[[3e80]], [[2e60]]], 6e140),
    ],
)
def test_degenerate_networks_get_their_constant(weights, constant: float) -> None:
    network = from_arrays(weights)
    found = graph_bound(network)
    assert constant <= found.bound.upper <= constant * (1.0 + 1e-6)


def test_a_constant_network_is_bounded_by_next_to_nothing() -> None:
    network = from_arrays([[[1.0], [2.0]], [[0.0, 0.0]]])
    assert graph_bound(network).bound.upper <= 2.0**-30


def test_maximum_pooling_is_refused_with_the_way_out() -> None:
    with pytest.raises(NotCertified, match="split_bound"):
        graph_bound(with_max_pooling(np.random.default_rng(47)))


def test_too_little_memory_is_refused_before_anything_is_formed() -> None:
    network = from_arrays([np.ones((300, 300)), np.ones((1, 300))])
    assert graph_memory(network) > 10**6
    with pytest.raises(NotCertified, match="split_bound"):
        graph_bound(network, memory_limit=10**6)


def test_errors_of_folded_weights_cost_what_they_may_change() -> None:
    def with_error(radius: float) -> Network:
        hidden = Dense(weight=[[2.0], [-2.0]], weight_error=[[radius], [radius]])
        nodes = (
            Node(name="hidden", layer=hidden, inputs=(0,)),
            Node(name="relu", layer=Activation(kind="relu", input_shape=(2,)), inputs=(1,)),
            Node(name="out", layer=Dense(weight=[[1.0, 1.0]]), inputs=(2,)),
        )
        return Network(input_shape=(1,), nodes=nodes)

    found = graph_bound(with_error(0.0))
    assert prove_graph(with_error(0.0), found.multipliers, found.bound.upper)
    assert not prove_graph(with_error(1e-3), found.multipliers, found.bound.upper)
    assert graph_bound(with_error(1e-3)).bound.upper >= 2.001


def test_slopes_whose_product_underflows_still_have_a_square() -> None:
    # Slopes between -1e-200 and 1e-200 of 1e200 x: the constant is 1.
    exactly_one, zero = np.array([[1.0]]), np.array([[0.0]])
    maps = ({0: (np.array([[1e200]]), zero)}, {1: (exactly_one, zero)})
    model = GraphModel(sizes=(1, 1), slopes=((-1e-200, 1e-200),), maps=maps)
    assert not prove_model(model, [np.array([2.0])], 0.5)


@pytest.mark.parametrize("upper", [1e-160, 1e-300, 5e-324])
def test_a_bound_whose_square_underflows_is_not_proved(upper: float) -> None:
    network = from_arrays([[[1e-200]], [[1e-200]]])
    assert not prove_graph(network, [np.array([2.0])], upper)
    assert prove_graph(network, [np.array([2.0])], 1e-140)


def test_rows_of_sizes_from_1e_minus_300_to_1e300_are_scaled_to_one() -> None:
    diagonal = np.array([2.0**-1000, 1.0, 2.0**1000])
    off = 0.5 * np.outer(np.sqrt(diagonal), np.sqrt(diagonal))  # eigenvalues 1/2 and 2 once scaled
    matrix = np.where(np.eye(3) > 0, diagonal, off)
    zero = np.zeros((3, 3))
    assert _is_definite(matrix, zero)
    assert not _is_definite(matrix, 1.1 * off)
    assert not _is_definite(np.where(np.eye(3) > 0, diagonal, -1.01 * off), zero)
