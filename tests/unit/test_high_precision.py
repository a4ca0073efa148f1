"""The ball-arithmetic engine against the float64 engine, exact fractions, and depth."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx

from lipschitz.high_precision import derivative_balls, slope_below
from lipschitz.layers import (
    Activation,
    Add,
    AveragePool,
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
)
from lipschitz.lower import lower_bound, verify_witness
from lipschitz.network import Network, Node, chain
from lipschitz.operators import NORMS
from lipschitz.tangents import directional_derivative
from tests import exact_networks
from tests.exact_networks import mlp

BITS = 128


def single(layer: Layer) -> Network:
    """A network of one layer; several inputs read the same value."""
    inputs = (0,) * len(layer.input_shapes)
    return Network(
        input_shape=layer.input_shapes[0],
        nodes=(Node(name="layer", layer=layer, inputs=inputs),),
    )


def layers_of_every_kind() -> list[Layer]:
    rng = np.random.default_rng(50)
    normal = rng.standard_normal
    layers: list[Layer] = [
        Dense(weight=normal((3, 4)), bias=normal(3), leading=(2,)),
        Dense(weight=normal((3, 4)), weight_error=np.full((3, 4), 1e-3), bias_error=np.ones(3)),
        Scale(input_shape=(2, 3), scale=normal((2, 1)), shift=normal(3)),
        Scale(input_shape=(2, 3), scale=normal(3), weight_error=np.full(3, 1e-3)),
        Reshape(input_shape=(2, 3), target_shape=(6,)),
        Permute(input_shape=(2, 3, 4), axes=(1, 2, 0)),
        Identity(input_shape=(3,)),
        Add(input_shape=(3,), count=3),
        Concatenate(shapes=((2, 3), (2, 3)), axis=1),
        Pad(input_shape=(2, 4), widths=((0, 0), (2, 1)), mode="zeros", value=0.3),
        Convolution(
            kernel=normal((4, 3, 2, 3)),
            input_shape=(3, 4, 5),
            bias=normal(4),
            transposed=False,
            weight_error=np.full((4, 3, 2, 3), 1e-4),
        ),
        Convolution(
            kernel=normal((4, 2, 3, 2)),
            input_shape=(4, 3, 4),
            bias=normal(4),
            groups=2,
            stride=2,
            dilation=(1, 2),
            transposed=True,
            pad_width=1,
            output_padding=(1, 0),
        ),
    ]
    for padding in ("zeros", "circular", "reflect", "replicate"):
        layers.append(Pad(input_shape=(2, 5), widths=((0, 0), (2, 3)), mode=padding))
        layers.append(
            Convolution(
                kernel=normal((4, 1, 3)),
                input_shape=(2, 7),
                groups=2,
                stride=2,
                dilation=2,
                padding=padding,
                pad_width=((2, 1),),
            )
        )
    for counted, ceil in itertools.product((True, False), (True, False)):
        layers.append(
            AveragePool(
                input_shape=(2, 6, 5),
                kernel_size=3,
                stride=2,
                pad_width=1,
                count_include_pad=counted,
                ceil_mode=ceil,
            )
        )
        layers.append(
            MaxPool(input_shape=(2, 6, 5), kernel_size=3, stride=2, pad_width=1, ceil_mode=ceil)
        )
    layers += [
        Activation(kind=kind, input_shape=(40,), parameter=parameter)
        for kind, parameter in (
            ("relu", None),
            ("leaky_relu", -0.3),
            ("sigmoid", None),
            ("tanh", None),
            ("softplus", 3.0),
            ("elu", 0.7),
        )
    ]
    return layers


def agree(ball: tuple[np.ndarray, np.ndarray], balls: np.ndarray) -> bool:
    """Whether the float64 balls and the Arb balls overlap, entry by entry."""
    center, radius = ball[0][0].ravel().tolist(), ball[1][0].ravel().tolist()
    entries = zip(center, radius, balls.ravel(), strict=True)
    return all(arb(c, r).overlaps(b) for c, r, b in entries)


@pytest.mark.parametrize("layer", layers_of_every_kind(), ids=lambda v: type(v).__name__)
def test_both_engines_agree_on_every_layer(layer: Layer) -> None:
    network = single(layer)
    rng = np.random.default_rng(51)
    x, v = rng.standard_normal((2, 1, *network.input_shape)) * 3.0
    value, derivative = directional_derivative(network, x, v)
    values, derivatives = derivative_balls(network, x[0], v[0], BITS)
    assert values.shape == derivatives.shape == network.output_shape
    assert agree(value, values)
    assert agree(derivative, derivatives)
    # The twin: engines that differed in the ninth digit would not overlap.
    if not np.any(derivative[1] > 1e-12):
        moved = (derivative[0] + 1e-9, derivative[1])
        assert not agree(moved, derivatives)


@pytest.mark.parametrize("kind", ["relu", "leaky_relu"])
def test_kinks_are_enclosed_and_exact_in_integers(kind: str) -> None:
    rng = np.random.default_rng(52)
    for _ in range(10):
        weights = [rng.integers(-3, 4, shape) for shape in ((4, 2), (3, 4))]
        network = mlp(weights, [rng.integers(-1, 2, len(w)) for w in weights], kind)
        for point in itertools.product((-1.0, 0.0, 1.0), repeat=2):
            x, v = np.array(point), np.array([1.0, -1.0])
            exact = exact_networks.directional_derivative(
                network, [Fraction(t) for t in x], [Fraction(t) for t in v]
            )
            _, balls = derivative_balls(network, x, v, 512)
            if kind == "relu":
                assert [ball == int(e) for ball, e in zip(balls, exact, strict=True)] == [True] * 3
            for norm in NORMS:
                found = slope_below(network, x, v, norm, 512)
                assert found <= exact_networks.norm_power(exact, norm)
                assert kind != "relu" or found == exact_networks.norm_power(exact, norm)


def test_ties_of_a_maximum_are_hulls() -> None:
    layer = MaxPool(input_shape=(1, 3), kernel_size=2, stride=1)
    x, v = np.array([[1.0, 1.0, 0.0]]), np.array([[5.0, -2.0, 9.0]])
    first, second = derivative_balls(single(layer), x, v, 64)[1][0]
    assert first.contains(5)
    assert first.contains(-2)
    assert second == -2


def deep(layers: int, width: int, seed: int) -> Network:
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((width, width)) / math.sqrt(width) for _ in range(layers)]
    return mlp(weights, [rng.standard_normal(width) * 0.1 for _ in range(layers)])


def test_depth_is_no_obstacle() -> None:
    network = deep(40, 32, 53)
    rng = np.random.default_rng(54)
    x, v = rng.standard_normal((2, 32))
    step = 1e-4
    quotient = np.linalg.norm(network.apply((x + step * v)[None]) - network.apply(x[None]))
    quotient /= step * np.linalg.norm(v)
    # In float64 the radii swallow the derivative; with enough bits it is there.
    assert verify_witness(network, x, v) == 0.0
    proved = verify_witness(network, x, v, bits=256)
    assert proved == pytest.approx(quotient, rel=1e-2)
    assert verify_witness(network, x, v, bits=512) == pytest.approx(proved, rel=1e-14)
    found = lower_bound(network, rng=rng, starts=2, steps=6)
    assert found.bits is not None
    again = verify_witness(network, found.point, found.direction, bits=found.bits)
    assert again == found.bound.lower > 0.0


@pytest.mark.parametrize("norm", NORMS)
def test_the_quotient_is_the_largest_float_below(norm: float) -> None:
    network = mlp([[[0.1, 0.7], [0.3, -0.9]]], [[0.0, 0.0]])
    x, v = np.array([0.0, 0.0]), np.array([0.3, 0.1])
    exact = exact_networks.directional_derivative(
        network, [Fraction(0)] * 2, [Fraction(t) for t in v]
    )
    ratio = exact_networks.norm_power(exact, norm) / exact_networks.norm_power(v, norm)
    power = 2 if norm == 2 else 1
    found = verify_witness(network, x, v, norm=norm, bits=512)
    assert Fraction(found) ** power <= ratio < Fraction(math.nextafter(found, math.inf)) ** power


def test_slopes_beyond_the_largest_float_are_bounds_all_the_same() -> None:
    steep = mlp([[[1e300]], [[1e300]]], [[0.0], [0.0]])
    for norm in NORMS:
        assert verify_witness(steep, [1.0], [1.0], norm=norm, bits=64) >= 1e150


def test_the_working_precision_is_put_back() -> None:
    before = ctx.prec
    derivative_balls(mlp([[[1.0]]], [[0.0]]), np.ones(1), np.ones(1), 777)
    assert ctx.prec == before


def test_bad_bits_are_refused() -> None:
    network = mlp([[[1.0]]], [[0.0]])
    with pytest.raises(ValueError, match="`bits` must be at least 1"):
        verify_witness(network, [1.0], [1.0], bits=0)


def test_a_network_of_many_kinds_gets_the_same_bound_from_both_engines() -> None:
    rng = np.random.default_rng(55)
    layers = [
        (
            "conv",
            Convolution(
                kernel=rng.standard_normal((4, 2, 3, 3)), input_shape=(2, 6, 6), pad_width=1
            ),
        ),
        ("elu", Activation(kind="elu", input_shape=(4, 6, 6), parameter=0.5)),
        ("max", MaxPool(input_shape=(4, 6, 6), kernel_size=2, stride=2)),
        ("scale", Scale(input_shape=(4, 3, 3), scale=rng.standard_normal((4, 1, 1)))),
        ("mean", AveragePool(input_shape=(4, 3, 3), kernel_size=3)),
        ("flat", Reshape(input_shape=(4, 1, 1), target_shape=(4,))),
        ("out", Dense(weight=rng.standard_normal((3, 4)))),
    ]
    network = Network(input_shape=(2, 6, 6), nodes=chain(layers))
    x, v = rng.standard_normal((2, 2, 6, 6))
    for norm in NORMS:
        double = verify_witness(network, x, v, norm=norm)
        many = verify_witness(network, x, v, norm=norm, bits=BITS)
        assert double <= many <= double * (1.0 + 1e-11)
