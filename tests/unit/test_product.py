"""Composition rules: bounds from above, against exact constants of small networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from evidence import Enclosure, spectral_norm_enclosure
from lipschitz.blocks import block_matrix, linear_blocks
from lipschitz.layers import (
    Activation,
    Add,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    Layer,
    MaxPool,
    Reshape,
    Scale,
)
from lipschitz.network import Network, Node, chain
from lipschitz.operators import NORMS
from lipschitz.product import product_bound
from tests.exact_networks import is_norm_bound, mlp, norm_power, slopes_on_the_line

INF = math.inf


def is_at_least(bound: float, power: Fraction, norm: float) -> bool:
    """Whether a bound is at least the norm whose `norm_power` is given."""
    return Fraction(bound) ** (2 if norm == 2 else 1) >= power


def exact_constant(network: Network, norm: float) -> Fraction:
    """`norm_power` of the constant of a network on the line: its steepest piece."""
    return max(norm_power(slope, norm) for slope in slopes_on_the_line(network))


def random_line_network(rng: np.random.Generator) -> Network:
    """One input; dense layers, gates, a shortcut, and a concatenation at the end, all integer."""

    def weight(rows: int, columns: int) -> Dense:
        draw = rng.integers(-3, 4, (rows, columns + 1)).astype(float)
        return Dense(weight=draw[:, :-1], bias=draw[:, -1])

    def gate(size: int) -> Activation:
        if rng.random() < 0.5:
            return Activation(kind="relu", input_shape=(size,))
        return Activation(kind="leaky_relu", input_shape=(size,), parameter=-0.5)

    nodes = [
        Node(name="a", layer=weight(3, 1), inputs=(0,)),
        Node(name="a gate", layer=gate(3), inputs=(1,)),
        Node(name="b", layer=weight(3, 3), inputs=(2,)),
        Node(name="b gate", layer=gate(3), inputs=(3,)),
        Node(name="c", layer=weight(3, 3), inputs=(4,)),
        Node(name="residual", layer=Add(input_shape=(3,), count=2), inputs=(5, 2)),
        Node(name="join", layer=Concatenate(shapes=((3,), (3,))), inputs=(6, 4)),
        Node(name="join gate", layer=gate(6), inputs=(7,)),
        Node(name="out", layer=weight(2, 6), inputs=(8,)),
    ]
    return Network(input_shape=(1,), nodes=tuple(nodes))


def sequence(input_shape: tuple[int, ...], layers: Sequence[Layer]) -> Network:
    named = [(f"layer {i}", layer) for i, layer in enumerate(layers)]
    return Network(input_shape=input_shape, nodes=chain(named))


# ---- soundness ----------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("norm", NORMS)
def test_the_bound_is_at_least_the_exact_constant_on_the_line(seed: int, norm: float) -> None:
    network = random_line_network(np.random.default_rng([10, seed]))
    found = product_bound(network, norm)
    exact = exact_constant(network, norm)
    assert is_at_least(found.bound.upper, exact, norm)
    assert is_at_least(found.plain.upper, exact, norm)
    assert found.bound.upper <= found.plain.upper


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("norm", NORMS)
def test_two_points_are_never_further_apart_than_the_bound(seed: int, norm: float) -> None:
    rng = np.random.default_rng([11, seed])
    layers = [
        Convolution(kernel=rng.standard_normal((4, 2, 3, 3)), input_shape=(2, 8, 8), pad_width=1),
        Activation(kind="tanh", input_shape=(4, 8, 8)),
        MaxPool(input_shape=(4, 8, 8), kernel_size=3, stride=2),
        AveragePool(input_shape=(4, 3, 3), kernel_size=2, stride=1),
        Reshape(input_shape=(4, 2, 2), target_shape=(16,)),
        Dense(weight=rng.standard_normal((5, 16))),
        Activation(kind="softplus", input_shape=(5,)),
    ]
    network = sequence((2, 8, 8), layers)
    upper = product_bound(network, norm).bound.upper
    x = rng.standard_normal((300, 2, 8, 8))
    y = x + rng.standard_normal(x.shape) * 10.0 ** rng.uniform(-3, 1, (300, 1, 1, 1))
    change = np.linalg.norm(network.apply(y) - network.apply(x), norm, axis=1)
    distance = np.linalg.norm((y - x).reshape(300, -1), norm, axis=1)
    # Differences of numbers near 1 with step at least 1e-3: relative rounding below 1e-10.
    assert (change <= upper * distance * (1.0 + 1e-10)).all()


def test_a_wrong_rule_for_sums_is_refuted() -> None:
    # The must-fail twin: x + relu(x) has constant 2, and the maximum of the parts is 1.
    relu = Activation(kind="relu", input_shape=(1,))
    nodes = (
        Node(name="relu", layer=relu, inputs=(0,)),
        Node(name="sum", layer=Add(input_shape=(1,), count=2), inputs=(0, 1)),
    )
    network = Network(input_shape=(1,), nodes=nodes)
    exact = exact_constant(network, 2)
    assert is_at_least(product_bound(network).bound.upper, exact, 2)
    assert not is_at_least(1.0, exact, 2)


# ---- rules --------------------------------------------------------------------------------------
def branches(join: Layer, weights: Sequence[float]) -> Network:
    """Branches ``w x`` of the line with a gate, joined."""
    nodes: list[Node] = []
    outputs = []
    for i, w in enumerate(weights):
        nodes.append(Node(name=f"w {i}", layer=Dense(weight=[[w]]), inputs=(0,)))
        gate = Activation(kind="leaky_relu", input_shape=(1,), parameter=1.0)
        nodes.append(Node(name=f"gate {i}", layer=gate, inputs=(len(nodes),)))
        outputs.append(len(nodes))
    nodes.append(Node(name="join", layer=join, inputs=tuple(outputs)))
    return Network(input_shape=(1,), nodes=tuple(nodes))


def test_sums_add_the_constants() -> None:
    network = branches(Add(input_shape=(1,), count=3), [3.0, 4.0, 12.0])
    assert [product_bound(network, norm).bound.upper for norm in NORMS] == [19.0] * 3


@pytest.mark.parametrize(("norm", "expected"), [(1, 19.0), (2, 13.0), (INF, 12.0)])
def test_concatenations_combine_like_coordinates(norm: float, expected: float) -> None:
    network = branches(Concatenate(shapes=((1,),) * 3), [3.0, 4.0, 12.0])
    assert product_bound(network, norm).bound.upper == expected
    assert is_at_least(expected, exact_constant(network, norm), norm)


def test_a_residual_block_costs_one_plus_its_branch() -> None:
    size = 4
    nodes = [
        Node(name="in", layer=Dense(weight=2.0 * np.eye(size)), inputs=(0,)),
        Node(name="gate", layer=Activation(kind="relu", input_shape=(size,)), inputs=(1,)),
        Node(name="branch", layer=Dense(weight=3.0 * np.eye(size)), inputs=(2,)),
        Node(name="tanh", layer=Activation(kind="tanh", input_shape=(size,)), inputs=(3,)),
        Node(name="sum", layer=Add(input_shape=(size,), count=2), inputs=(2, 4)),
    ]
    found = product_bound(Network(input_shape=(size,), nodes=nodes))
    assert found.bound.upper == pytest.approx(2.0 * (1.0 + 3.0), rel=1e-12)


def test_a_nonnegative_rank_one_chain_attains_the_product() -> None:
    rng = np.random.default_rng(12)
    # W_i = u_i w_i^T with u_i parallel to w_(i+1): along w_1 every gate is open.
    directions = [rng.integers(1, 5, n).astype(float) for n in (3, 4, 2, 3)]
    weights = [np.outer(u, w) for w, u in pairwise(directions)]
    network = mlp(weights, [np.zeros(len(w)) for w in weights])
    power = Fraction(1)
    for vector in (directions[0], *(d for d in directions[1:-1] for _ in range(2)), directions[-1]):
        power *= norm_power(vector, 2)
    upper = product_bound(network).bound.upper
    assert is_at_least(upper, power, 2)
    assert upper**2 <= float(power) * (1.0 + 1e-9)


def test_other_norms_on_the_way_tighten_l1_and_linf() -> None:
    rng = np.random.default_rng(13)
    weights = [rng.standard_normal(s) for s in ((60, 30), (60, 60), (1, 60))]
    network = mlp(weights, [np.zeros(len(w)) for w in weights])
    for norm in (1, INF):
        found = product_bound(network, norm)
        assert found.bound.upper < 0.5 * found.plain.upper
        x, v = rng.standard_normal((2, 500, 30))
        v = np.sign(v) if norm == INF else np.eye(30)[rng.integers(0, 30, 500)]
        change = np.abs(network.apply(x + 0.1 * v) - network.apply(x))[:, 0]
        assert (change <= 0.1 * found.bound.upper * (1.0 + 1e-10)).all()


# ---- linear blocks ------------------------------------------------------------------------------
@pytest.mark.parametrize("norm", NORMS)
def test_a_linear_network_is_enclosed_from_both_sides(norm: float) -> None:
    rng = np.random.default_rng(14)
    kernel = rng.integers(-3, 4, (2, 1, 3)).astype(float)
    matrix = rng.integers(-3, 4, (3, 6)).astype(float)
    network = sequence(
        (1, 6),
        [
            Convolution(kernel=kernel, input_shape=(1, 6), pad_width=1),
            AveragePool(input_shape=(2, 6), kernel_size=2, stride=2),
            Reshape(input_shape=(2, 3), target_shape=(6,)),
            Dense(weight=matrix, bias=[1.0, 2.0, 3.0]),
        ],
    )
    # Weights are integers and halves: the matrix is exact.
    exact = (network.apply(np.eye(6)[:, None]) - network.apply(np.zeros((1, 1, 6)))).T
    found = product_bound(network, norm)
    assert found.bound.rtol < 1e-12
    if norm == 2:
        assert is_norm_bound(exact, found.bound.upper)
        assert not is_norm_bound(exact, math.nextafter(found.bound.lower, 0.0))
    else:
        rows = exact if norm == INF else exact.T
        assert max(norm_power(row, 1) for row in rows) in found.bound
    # The twin: the product of the layers' norms is not the constant.
    assert found.plain.upper > found.bound.upper * 1.01


def test_a_linear_branch_and_its_shortcut_become_one_matrix() -> None:
    weight = -0.5 * np.eye(3)
    nodes = (
        Node(name="branch", layer=Dense(weight=weight), inputs=(0,)),
        Node(name="sum", layer=Add(input_shape=(3,), count=2), inputs=(0, 1)),
    )
    found = product_bound(Network(input_shape=(3,), nodes=nodes))
    assert 0.5 in found.bound
    assert found.bound.rtol < 1e-12
    assert found.plain.upper == pytest.approx(1.5, rel=1e-12)


def test_a_sum_of_two_nonlinear_branches_uses_the_stacked_matrix() -> None:
    # M_1 = diag(1, 0), M_2 = diag(0, 1) after gates: the sum rule gives 2, the stack sqrt 2.
    gate = Activation(kind="relu", input_shape=(2,))
    nodes = (
        Node(name="gate 1", layer=gate, inputs=(0,)),
        Node(name="flip", layer=Scale(input_shape=(2,), scale=-1.0), inputs=(0,)),
        Node(name="gate 2", layer=gate, inputs=(2,)),
        Node(name="m 1", layer=Dense(weight=[[1.0, 0.0], [0.0, 0.0]]), inputs=(1,)),
        Node(name="m 2", layer=Dense(weight=[[0.0, 0.0], [0.0, 1.0]]), inputs=(3,)),
        Node(name="sum", layer=Add(input_shape=(2,), count=2), inputs=(4, 5)),
    )
    found = product_bound(Network(input_shape=(2,), nodes=nodes))
    assert found.plain.upper == pytest.approx(2.0, rel=1e-12)
    assert found.bound.upper == pytest.approx(math.sqrt(2.0), rel=1e-9)
    assert found.bound.upper >= 1.0  # relu(x_1) has constant 1


@pytest.mark.parametrize("seed", range(5))
def test_blocks_never_undercut_what_the_network_does(seed: int) -> None:
    rng = np.random.default_rng([15, seed])
    conv = Convolution(kernel=rng.standard_normal((2, 2, 3)), input_shape=(2, 7), pad_width=1)
    other = Convolution(kernel=rng.standard_normal((2, 2, 1)), input_shape=(2, 7))
    gate = Activation(kind="relu", input_shape=(2, 7))
    nodes = (
        Node(name="first", layer=conv, inputs=(0,)),
        Node(name="gate", layer=gate, inputs=(1,)),
        Node(name="second", layer=conv, inputs=(2,)),
        Node(name="short", layer=other, inputs=(0,)),
        Node(name="sum", layer=Add(input_shape=(2, 7), count=2), inputs=(3, 4)),
    )
    network = Network(input_shape=(2, 7), nodes=nodes)
    for norm in NORMS:
        found = product_bound(network, norm)
        assert len(found.blocks) == 1
        x = rng.standard_normal((400, 2, 7))
        v = rng.standard_normal((400, 2, 7))
        change = (network.apply(x + 1e-3 * v) - network.apply(x)).reshape(400, -1)
        ratio = np.linalg.norm(change, norm, axis=1) / np.linalg.norm(
            1e-3 * v.reshape(400, -1), norm, axis=1
        )
        assert (ratio <= found.bound.upper * (1.0 + 1e-10)).all()


def test_block_matrices_hold_the_exact_product() -> None:
    rng = np.random.default_rng(16)
    first, second = rng.standard_normal((4, 5)), rng.standard_normal((3, 4))
    network = sequence((5,), [Dense(weight=first), Dense(weight=second)])
    (block,) = linear_blocks(network)
    center, radius = block_matrix(network, block, 0)
    for i in range(3):
        for j in range(5):
            terms = zip(second[i], first[:, j], strict=True)
            exact = sum((Fraction(a) * Fraction(b) for a, b in terms), Fraction(0))
            assert abs(exact - Fraction(center[i, j])) <= Fraction(radius[i, j])
    assert 0.0 < radius.max() < 1e-13


# ---- rounding -----------------------------------------------------------------------------------
@pytest.mark.parametrize("norm", NORMS)
def test_the_product_of_many_layers_is_rounded_upward(norm: float) -> None:
    # 0.7 and 0.9 are not floats; 40 roundings to nearest would fall below the exact product.
    weights = [[[0.7]], [[0.9]]] * 20
    network = mlp(weights, [[0.0]] * 40)
    exact = (Fraction(0.7) * Fraction(0.9)) ** 20
    found = product_bound(network, norm)
    assert Fraction(found.bound.upper) >= exact
    assert Fraction(found.bound.upper) <= exact * (1 + Fraction(1, 10**11))
    naive = 1.0
    for w in weights:
        naive *= w[0][0]
    # The twin: the product in floating point is below the exact one.
    assert Fraction(naive) < exact


def test_errors_of_folded_weights_are_included() -> None:
    rng = np.random.default_rng(17)
    weight = rng.standard_normal((4, 4))
    scale, error = rng.standard_normal(4), np.full(4, 0.01)
    gate = Activation(kind="relu", input_shape=(4,))
    network = sequence(
        (4,), [Dense(weight=weight), Scale(input_shape=(4,), scale=scale, weight_error=error), gate]
    )
    upper = product_bound(network).bound.upper
    for sign in (1.0, -1.0, np.sign(scale)):
        moved = (scale + sign * error * (1.0 - 1e-9))[:, None] * weight
        assert spectral_norm_enclosure(moved).lower <= upper
    # The twin: without the error the bound would be too small.
    grown = (scale + np.sign(scale) * error)[:, None] * weight
    bare = sequence((4,), [Dense(weight=weight), Scale(input_shape=(4,), scale=scale), gate])
    assert product_bound(bare).bound.upper < spectral_norm_enclosure(grown).lower


def test_a_dead_network_has_constant_zero_and_an_overflowing_one_no_bound() -> None:
    dead = mlp([[[0.0], [0.0]], [[1.0, 2.0]]], [[1.0, 1.0], [0.0]])
    assert product_bound(dead).bound.upper == 0.0
    steep = mlp([[[1e300]], [[1e300]], [[1.0]]], [[0.0]] * 3)
    assert product_bound(steep).bound.upper == INF


# ---- the report ---------------------------------------------------------------------------------
def test_layers_are_reported_in_order_with_what_is_reached() -> None:
    found = product_bound(mlp([[[3.0], [4.0]], [[1.0, 2.0]]], [[0.0, 0.0], [0.0]]))
    assert [layer.kind for layer in found.layers] == ["Dense", "relu", "Dense"]
    assert Fraction(5) in found.layers[0].norm
    assert found.layers[-1].reached == found.bound.upper
    assert all(layer.seconds >= 0.0 for layer in found.layers)
    assert found.bound == Enclosure.at_most(found.bound.upper, "composition")


def test_unknown_norms_are_refused() -> None:
    network = mlp([[[1.0]]], [[0.0]])
    with pytest.raises(ValueError, match="`norm` must be one of 1, 2, inf"):
        product_bound(network, 1.5)
