"""Networks: structure, evaluation, enclosures of rounding, and folding."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evidence import NotCertified
from lipschitz.folding import merge
from lipschitz.layers import (
    Activation,
    Add,
    Concatenate,
    Convolution,
    Dense,
    Identity,
    Layer,
    MaxPool,
    Pad,
    Permute,
    Reshape,
    Scale,
    balls,
)
from lipschitz.network import Network, Node, chain

Array = NDArray[np.float64]


def residual(rng: np.random.Generator) -> Network:
    """A small residual network with every kind of join."""
    shape = (3, 6, 5)
    kernels = [rng.standard_normal((3, 3, 3, 3)) / 3.0 for _ in range(2)]
    gain, variance = rng.standard_normal(3), rng.random(3)
    scale, offset = balls.normalisation(
        gain, rng.standard_normal(3), rng.standard_normal(3), variance, 1e-5
    )
    norm = Scale(
        input_shape=shape,
        scale=scale[0].reshape(3, 1, 1),
        weight_error=scale[1].reshape(3, 1, 1),
        shift=offset[0].reshape(3, 1, 1),
        bias_error=offset[1].reshape(3, 1, 1),
    )
    nodes = [
        Node(
            name="conv1",
            layer=Convolution(kernel=kernels[0], input_shape=shape, pad_width=1),
            inputs=(0,),
        ),
        Node(name="norm", layer=norm, inputs=(1,)),
        Node(name="relu", layer=Activation(kind="relu", input_shape=shape), inputs=(2,)),
        Node(name="drop", layer=Identity(input_shape=shape), inputs=(3,)),
        Node(
            name="conv2",
            layer=Convolution(
                kernel=kernels[1], input_shape=shape, pad_width=1, padding="circular"
            ),
            inputs=(4,),
        ),
        Node(name="add", layer=Add(input_shape=shape), inputs=(5, 0)),
        Node(name="cat", layer=Concatenate(shapes=(shape, shape)), inputs=(6, 3)),
        Node(
            name="pool",
            layer=MaxPool(input_shape=(6, 6, 5), kernel_size=2, stride=2),
            inputs=(7,),
        ),
        Node(name="flat", layer=Reshape(input_shape=(6, 3, 2), target_shape=(36,)), inputs=(8,)),
        Node(name="fc", layer=Dense(weight=rng.standard_normal((4, 36))), inputs=(9,)),
    ]
    return Network(input_shape=shape, nodes=tuple(nodes))


# ---- structure ----------------------------------------------------------------------------------
def test_shapes_and_users_follow_the_graph() -> None:
    network = residual(np.random.default_rng(0))
    assert network.output_shape == (4,)
    assert network.shapes[7:] == ((6, 6, 5), (6, 3, 2), (36,), (4,))
    assert network.users[3] == (3, 6)
    assert network.users[-1] == ()
    assert len(network.layers) == 10


def test_apply_gives_the_last_of_all_values() -> None:
    network = residual(np.random.default_rng(1))
    x = np.random.default_rng(2).standard_normal((2, 3, 6, 5))
    values = network.values(x)
    assert len(values) == 11
    assert np.array_equal(network.apply(x), values[-1])


def dense(name: str, out: int, given: int, inputs: tuple[int, ...]) -> Node:
    return Node(name=name, layer=Dense(weight=np.ones((out, given))), inputs=inputs)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((), "at least one node"),
        ((dense("a", 2, 3, (0,)), dense("a", 2, 2, (1,))), "repeats the name 'a'"),
        ((dense("a", 2, 3, (1,)),), "only 0 to 0 exist before it"),
        ((dense("a", 2, 3, (-1,)),), "only 0 to 0 exist before it"),
        ((dense("a", 2, 4, (0,)),), r"node 'a' \(Dense\) takes inputs of shapes \(\(4,\),\)"),
        ((dense("a", 2, 3, (0, 0)),), r"got \(\(3,\), \(3,\)\)"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(nodes: tuple[Node, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network(input_shape=(3,), nodes=nodes)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones(3), r"`x` must have shape \(batch, 3\), got \(3,\)"),
        (np.ones((2, 4)), r"must have shape \(batch, 3\)"),
        (np.full((1, 3), np.nan), "must be finite"),
        (np.ones((1, 3), np.float16), "float16"),
        (np.ones((1, 3), int), "int64"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(x: Any, message: str) -> None:
    network = Network(input_shape=(3,), nodes=(dense("a", 2, 3, (0,)),))
    with pytest.raises((ValueError, TypeError), match=message):
        network.apply(x)


# ---- enclosures ---------------------------------------------------------------------------------
def exact_network(weights: list[Array], x: Array) -> list[Fraction]:
    """A ReLU network without biases in exact arithmetic."""
    value = [Fraction(float(v)) for v in x]
    for i, weight in enumerate(weights):
        rows = [[Fraction(float(w)) for w in row] for row in weight]
        value = [sum((w * v for w, v in zip(row, value, strict=True)), Fraction(0)) for row in rows]
        if i < len(weights) - 1:
            value = [max(v, Fraction(0)) for v in value]
    return value


@pytest.mark.parametrize("seed", range(20))
def test_the_rounding_of_a_whole_network_is_enclosed(seed: int) -> None:
    from lipschitz.readers.read_arrays import from_arrays

    rng = np.random.default_rng([1, seed])
    weights = [rng.standard_normal((7, 5)), rng.standard_normal((6, 7)), np.ones((2, 6)) / 3.0]
    network = from_arrays(weights)
    x = rng.standard_normal((1, 5))
    center, radius = network.enclose(x)
    for c, r, true in zip(center[0], radius[0], exact_network(weights, x[0]), strict=True):
        assert abs(true - Fraction(float(c))) <= Fraction(float(r))
        assert r < 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_every_point_of_a_box_maps_into_the_enclosure(seed: int) -> None:
    rng = np.random.default_rng([2, seed])
    network = residual(rng)
    x = rng.standard_normal((1, *network.input_shape))
    r = 0.1 * rng.random(x.shape)
    center, radius = network.enclose(x, r)
    inside = x + r * rng.uniform(-1.0, 1.0, (20, *network.input_shape))
    _, rounding = network.enclose(inside)
    assert (np.abs(network.apply(inside) - center) <= radius + rounding).all()


def test_an_overflow_is_not_enclosed() -> None:
    double = Dense(weight=[[2.0]])
    network = Network(input_shape=(1,), nodes=chain([("a", double), ("b", double)]))
    with pytest.raises(NotCertified, match="node 'b' overflow float64"):
        network.enclose(np.array([[0.7e308]]))
    with pytest.raises(NotCertified, match="node 'a' overflow float64"):
        network.enclose(np.ones((1, 1)), 1e308)
    with pytest.raises(ValueError, match="`radius` must be nonnegative"):
        network.enclose(np.ones((1, 1)), -1.0)


# ---- folding ------------------------------------------------------------------------------------
def test_folding_keeps_the_function_and_shortens_the_chain() -> None:
    network = residual(np.random.default_rng(3))
    folded = network.fold()
    assert [node.name for node in folded.nodes][:2] == ["conv1+norm", "relu"]
    assert len(folded.nodes) == len(network.nodes) - 2
    x = np.random.default_rng(4).standard_normal((3, *network.input_shape))
    (a, p), (b, q) = network.enclose(x), folded.enclose(x)
    # Both balls hold the exact value, so that they must meet.
    assert (np.abs(a - b) <= p + q).all()
    assert q.max() < 1e-11


def exact_affine(layers: list[Layer], x: Array) -> list[Fraction]:
    """Affine layers in exact arithmetic, from their action on unit vectors."""
    value = [Fraction(float(v)) for v in x.ravel()]
    for layer in layers:
        assert isinstance(layer, (Dense, Scale, Convolution, Pad))
        shape = layer.input_shapes[0]
        size = int(np.prod(shape))
        basis = np.eye(size).reshape(size, *shape)
        columns = layer.linear(basis).reshape(size, -1)
        offset = layer.offset
        start = np.zeros(layer.output_shape) if offset is None else offset
        total = [Fraction(float(b)) for b in np.broadcast_to(start, layer.output_shape).ravel()]
        for v, column in zip(value, columns, strict=True):
            total = [t + v * Fraction(float(c)) for t, c in zip(total, column, strict=True)]
        value = total
    return value


def _dense(rng: np.random.Generator) -> Dense:
    return Dense(weight=rng.standard_normal((4, 4)), bias=rng.standard_normal(4))


def _channels(rng: np.random.Generator) -> Scale:
    shift = rng.standard_normal((4, 1, 1))
    return Scale(input_shape=(4, 5, 6), scale=rng.standard_normal((4, 1, 1)), shift=shift)


def _vector(rng: np.random.Generator) -> Scale:
    return Scale(input_shape=(4,), scale=rng.standard_normal(4), shift=rng.standard_normal(4))


def _convolution(rng: np.random.Generator, **options: Any) -> Convolution:
    arguments: dict[str, Any] = {"input_shape": (4, 5, 6), "groups": 2, "stride": 2}
    kernel = rng.standard_normal((4, 2, 3, 2))
    return Convolution(kernel=kernel, bias=rng.standard_normal(4), **{**arguments, **options})


PAIRS: dict[str, Callable[[np.random.Generator], tuple[Any, Any]]] = {
    "dense, dense": lambda g: (_dense(g), _dense(g)),
    "dense, scale": lambda g: (_dense(g), _vector(g)),
    "scale, dense": lambda g: (_vector(g), _dense(g)),
    "scale, scale": lambda g: (_channels(g), _channels(g)),
    "convolution, scale": lambda g: (
        _convolution(g, stride=1, pad_width=((1, 1), (0, 1))),
        _channels(g),
    ),
    "transposed, scale": lambda g: (
        _convolution(g, stride=1, transposed=True, pad_width=((1, 1), (1, 0))),
        _channels(g),
    ),
    "scale, convolution": lambda g: (_channels(g), _convolution(g)),
    "scale, circular convolution": lambda g: (
        _channels(g),
        _convolution(g, padding="circular", pad_width=1),
    ),
    "factor, transposed": lambda g: (
        Scale(input_shape=(4, 5, 6), scale=g.standard_normal((4, 1, 1))),
        _convolution(g, transposed=True),
    ),
    "factor, zero-padded": lambda g: (
        Scale(input_shape=(4, 5, 6), scale=g.standard_normal((4, 1, 1))),
        _convolution(g, pad_width=1),
    ),
    "pad, convolution": lambda g: (
        Pad(input_shape=(4, 5, 4), widths=((0, 0), (0, 0), (2, 0))),
        _convolution(g, pad_width=1),
    ),
    "reflect, convolution": lambda g: (
        Pad(input_shape=(4, 3, 4), widths=((0, 0), (1, 1), (2, 0)), mode="reflect"),
        _convolution(g),
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("seed", range(4))
def test_a_merged_pair_encloses_the_exact_composition(pair: str, seed: int) -> None:
    rng = np.random.default_rng([7, seed])
    first, second = PAIRS[pair](rng)
    merged = merge(first, second)
    assert merged is not None
    x = rng.standard_normal((1, *first.input_shape))
    center, radius = merged.enclose((x, np.zeros_like(x)))
    truth = exact_affine([first, second], x)
    for c, r, true in zip(center.ravel(), radius.ravel(), truth, strict=True):
        assert abs(true - Fraction(float(c))) <= Fraction(float(r))


@pytest.mark.parametrize("seed", range(10))
def test_the_weight_error_bounds_the_rounding_of_every_folded_entry(seed: int) -> None:
    rng = np.random.default_rng([8, seed])
    first, second = _dense(rng), _dense(rng)
    merged = merge(first, second)
    assert isinstance(merged, Dense)
    assert merged.weight_error is not None
    for i in range(4):
        for j in range(4):
            exact = sum(
                Fraction(float(second.weight[i, k])) * Fraction(float(first.weight[k, j]))
                for k in range(4)
            )
            error = abs(exact - Fraction(float(merged.weight[i, j])))
            assert error <= Fraction(float(merged.weight_error[i, j]))


def test_what_is_not_one_layer_is_not_merged() -> None:
    rng = np.random.default_rng(9)
    varying = Scale(input_shape=(4, 5, 6), scale=rng.standard_normal((4, 5, 6)))
    assert merge(varying, _convolution(rng)) is None
    # A shift before zero padding is not constant at the border.
    assert merge(_channels(rng), _convolution(rng, pad_width=1)) is None
    assert merge(_channels(rng), _convolution(rng, transposed=True)) is None
    constant = Pad(input_shape=(4, 3, 4), widths=((0, 0), (1, 1), (1, 1)), value=1.0)
    assert merge(constant, _convolution(rng)) is None
    assert merge(_dense(rng), Activation(kind="relu", input_shape=(4,))) is None


def test_a_value_with_two_readers_is_not_folded_away() -> None:
    rng = np.random.default_rng(10)
    nodes = (
        Node(name="a", layer=_dense(rng), inputs=(0,)),
        Node(name="b", layer=_dense(rng), inputs=(1,)),
        Node(name="add", layer=Add(input_shape=(4,)), inputs=(1, 2)),
    )
    assert len(Network(input_shape=(4,), nodes=nodes).fold().nodes) == 3


def test_moves_that_undo_each_other_disappear() -> None:
    layers: list[tuple[str, Layer]] = [
        ("there", Permute(input_shape=(2, 3, 4), axes=(2, 0, 1))),
        ("back", Permute(input_shape=(4, 2, 3), axes=(1, 2, 0))),
        ("flat", Reshape(input_shape=(2, 3, 4), target_shape=(24,))),
        ("half", Reshape(input_shape=(24,), target_shape=(4, 6))),
        ("relu", Activation(kind="relu", input_shape=(4, 6))),
    ]
    folded = Network(input_shape=(2, 3, 4), nodes=chain(layers)).fold()
    assert [node.name for node in folded.nodes] == ["flat+half", "relu"]
    x = np.random.default_rng(0).standard_normal((2, 2, 3, 4))
    assert np.array_equal(folded.apply(x), np.maximum(x.reshape(2, 4, 6), 0.0))


def test_a_lone_identity_stays() -> None:
    network = Network(input_shape=(2,), nodes=chain([("same", Identity(input_shape=(2,)))]))
    assert len(network.fold().nodes) == 1


# ---- ball arithmetic ----------------------------------------------------------------------------
@pytest.mark.parametrize("operation", ["multiply", "add", "matmul", "reciprocal"])
def test_ball_operations_contain_the_exact_results(operation: str) -> None:
    rng = np.random.default_rng(11)
    for scale in (1.0, 1e-160, 1e150):
        a, b = scale * rng.standard_normal((6, 6)), rng.standard_normal((6, 6))
        p, q = 1e-3 * np.abs(a) * rng.random((6, 6)), 1e-5 * rng.random((6, 6))
        fa, fb = np.vectorize(Fraction)(a + 0.0), np.vectorize(Fraction)(b + 0.0)
        # Corners of the balls, exactly: all centres and radii are floats.
        ea = fa + np.vectorize(Fraction)(p) * rng.choice([-1, 1], p.shape)
        eb = fb + np.vectorize(Fraction)(q) * rng.choice([-1, 1], q.shape)
        if operation == "reciprocal":
            center, radius = balls.reciprocal(a)
            truth = 1 / fa
        else:
            center, radius = getattr(balls, operation)((a, p), (b, q))
            by_name = {"multiply": ea * eb, "add": ea + eb, "matmul": ea @ eb}
            truth = by_name[operation]
        distance = np.abs(truth - np.vectorize(Fraction)(center))
        assert (distance <= np.vectorize(Fraction)(radius)).all()


def test_ball_products_count_both_radii_together() -> None:
    # [-1, 1] times [-1, 1] reaches 1: the product of the radii alone.
    ball = np.zeros((2, 2)), np.ones((2, 2))
    assert (balls.multiply(ball, ball)[1] >= 1.0).all()
    assert (balls.matmul(ball, ball)[1] >= 2.0).all()
    assert (balls.add(ball, ball)[1] >= 2.0).all()


def test_powers_of_two_have_exact_reciprocals() -> None:
    center, radius = balls.reciprocal(np.array([0.25, -8.0, 3.0]))
    assert center[:2].tolist() == [4.0, -0.125]
    assert radius[:2].tolist() == [0.0, 0.0]
    assert radius[2] > 0.0
    with pytest.raises(ValueError, match="zeros"):
        balls.reciprocal(np.array([0.0]))


def test_a_normalisation_contains_the_exact_factors() -> None:
    flint = pytest.importorskip("flint")
    flint.ctx.prec = 200
    rng = np.random.default_rng(12)
    gain, shift, mean = rng.standard_normal((3, 50))
    variance = rng.random(50)
    scale, offset = balls.normalisation(gain, shift, mean, variance, 1e-5)
    for i in range(50):
        arb = [flint.arb(float(v)) for v in (gain[i], shift[i], mean[i], variance[i], 1e-5)]
        factor = arb[0] / (arb[3] + arb[4]).sqrt()
        for (center, radius), true in ((scale, factor), (offset, arb[1] - arb[2] * factor)):
            assert bool(abs(true - flint.arb(float(center[i]))) <= flint.arb(float(radius[i])))
    with pytest.raises(ValueError, match="must be positive"):
        balls.normalisation(gain, shift, mean, variance - 2.0, 1e-5)
