"""Bounds of values: never exceeded by a value, exact arithmetic included, and tighter backward."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from evidence import NotCertified
from lipschitz.domains import Ball, BallInBox, Box, as_domain, is_within
from lipschitz.layers import (
    Activation,
    Add,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    MaxPool,
    Reshape,
    Scale,
)
from lipschitz.linear_bounds import ValueBounds, bound_values
from lipschitz.network import Network, Node, chain
from lipschitz.relaxations import enclosing_lines, slope_interval
from tests.exact_networks import exact_value, mlp

KINDS = ["relu", "leaky_relu", "tanh", "sigmoid", "softplus", "elu"]


def random_mlp(rng: np.random.Generator, sizes: tuple[int, ...], kind: str = "relu") -> Network:
    weights = [rng.standard_normal((m, n)) for n, m in itertools.pairwise(sizes)]
    return mlp(weights, [rng.standard_normal(len(w)) for w in weights], kind)


def image_network(rng: np.random.Generator) -> Network:
    """Convolution, both poolings, a skip, a concatenation and a scaling."""
    layers = [
        ("conv", Convolution(kernel=rng.standard_normal((2, 1, 3, 3)), input_shape=(1, 6, 6))),
        ("relu", Activation(kind="relu", input_shape=(2, 4, 4))),
        ("max", MaxPool(input_shape=(2, 4, 4), kernel_size=2, stride=1)),
        ("mean", AveragePool(input_shape=(2, 3, 3), kernel_size=2, stride=1)),
        ("flat", Reshape(input_shape=(2, 2, 2), target_shape=(8,))),
        ("dense", Dense(weight=rng.standard_normal((8, 8)), bias=rng.standard_normal(8))),
        ("tanh", Activation(kind="tanh", input_shape=(8,))),
    ]
    nodes = list(chain(layers))
    nodes.append(Node(name="sum", layer=Add(input_shape=(8,), count=2), inputs=(7, 5)))
    nodes.append(Node(name="join", layer=Concatenate(shapes=((8,), (8,))), inputs=(8, 6)))
    scale = Scale(input_shape=(16,), scale=rng.standard_normal(16), shift=rng.standard_normal(16))
    nodes.append(Node(name="scale", layer=scale, inputs=(9,)))
    nodes.append(Node(name="gate", layer=Activation(kind="relu", input_shape=(16,)), inputs=(10,)))
    return Network(input_shape=(1, 6, 6), nodes=tuple(nodes))


def holds(bounds: ValueBounds, points: np.ndarray) -> bool:
    """Whether the values at the points are inside, up to the rounding of `Network.values`."""
    values = bounds.network.values(points)
    slack = [1e-12 * (1.0 + np.abs(v).max()) for v in values]
    sides = zip(values, bounds.lower, bounds.upper, slack, strict=True)
    return all((v >= l - s).all() and (v <= u + s).all() for v, l, u, s in sides)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_values_stay_inside_on_boxes_and_balls(kind: str, seed: int) -> None:
    rng = np.random.default_rng([60, seed])
    network = random_mlp(rng, (3, 7, 6, 2), kind)
    center, radius = rng.standard_normal(3), 10.0 ** rng.uniform(-3, 1)
    for domain in (Box(center - radius, center + radius), Ball(center, radius)):
        points = domain.sample(rng, 500)
        wide, tight = (bound_values(network, domain, linear=use) for use in (False, True))
        assert wide is not None
        assert tight is not None
        assert holds(wide, points)
        assert holds(tight, points)
        # Up to the roundings between: the tighter of two intervals is computed anew at every node.
        sides = zip(tight.lower, wide.lower, strict=True)
        assert all((t >= w - 1e-13 * (1.0 + np.abs(w))).all() for t, w in sides)
        # The twin: bounds of a smaller domain do not hold on this one.
        if radius > 0.1:
            small = bound_values(network, Ball(center, 1e-3 * radius))
            assert small is not None
            assert not holds(small, points)


@pytest.mark.parametrize("seed", range(5))
def test_values_of_images_stay_inside(seed: int) -> None:
    rng = np.random.default_rng([61, seed])
    network = image_network(rng)
    center, radius = rng.standard_normal((1, 6, 6)), 10.0 ** rng.uniform(-2, 0.5)
    for domain in (Box(center - radius, center + radius), Ball(center, radius)):
        bounds = bound_values(network, domain)
        assert bounds is not None
        assert holds(bounds, domain.sample(rng, 300))


@pytest.mark.parametrize("seed", range(10))
def test_bounds_hold_in_exact_arithmetic(seed: int) -> None:
    rng = np.random.default_rng([62, seed])
    network = random_mlp(rng, (2, 5, 5, 1), ["relu", "leaky_relu"][seed % 2])
    corner = rng.standard_normal(2)
    side = 10.0 ** rng.uniform(-12, 1, 2)
    bounds = bound_values(network, Box(corner, corner + side))
    assert bounds is not None
    corners = itertools.product(
        *zip(bounds.lower[0].tolist(), bounds.upper[0].tolist(), strict=True)
    )
    for point in corners:
        values = exact_value(network, [Fraction(t) for t in point])
        for exact, low, high in zip(values, bounds.lower, bounds.upper, strict=True):
            entries = zip(exact, low.tolist(), high.tolist(), strict=True)
            assert all(Fraction(a) <= e <= Fraction(b) for e, a, b in entries)


def test_backward_bounds_see_cancellation() -> None:
    # relu(x) - relu(-x) + 3 relu(y) with x, y in [1, 2]: intervals of the difference are exact
    # only backward, where the two branches meet.
    network = mlp(
        [[[1.0], [1.0]], [[1.0, -1.0]], [[1.0]]], [[5.0, 5.0], [0.0], [0.0]]
    )  # relu(x + 5) - relu(x + 5) = 0
    wide, tight = (bound_values(network, Box([-1.0], [1.0]), linear=u) for u in (False, True))
    assert wide is not None
    assert tight is not None
    assert wide.upper[3][0] >= 2.0
    assert tight.upper[3][0] <= 1e-12


def test_cuts_restrict_the_inputs_or_prove_that_there_are_none() -> None:
    network = mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    box = Box([-1.0], [1.0])
    low, high = np.array([0.0, -1.0]), np.array([1.0, 0.0])
    half = bound_values(network, box, cuts={1: (low, high)})
    assert half is not None
    assert half.slopes(1)[0].tolist() == half.slopes(1)[1].tolist() == [1.0, 0.0]
    assert bound_values(network, box, cuts={1: (low + 5.0, high + 5.0)}) is None


@pytest.mark.parametrize("kind", KINDS)
def test_lines_stay_on_their_side_of_the_activation(kind: str) -> None:
    layer = Activation(kind=kind, input_shape=(400,))
    rng = np.random.default_rng(63)
    left = rng.standard_normal(400) * 10.0 ** rng.uniform(-6, 2, 400)
    right = left + 10.0 ** rng.uniform(-9, 2, 400)
    lines = enclosing_lines(layer, left, right)
    for t in np.linspace(0.0, 1.0, 41):
        z = np.clip((1.0 - t) * left + t * right, left, right)
        value = layer.apply(z[None])[0]
        slack = 1e-13 * (1.0 + np.abs(z) + np.abs(value))
        assert (lines.lower_slope * z + lines.lower_offset <= value + slack).all()
        assert (lines.upper_slope * z + lines.upper_offset >= value - slack).all()


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_contain_difference_quotients(kind: str) -> None:
    layer = Activation(kind=kind, input_shape=(300,))
    rng = np.random.default_rng(64)
    left = 3.0 * rng.standard_normal(300)
    right = left + 10.0 ** rng.uniform(-2, 1, 300)
    low, high = slope_interval(layer, left, right)
    ends = np.sort(left + (right - left) * rng.random((2, 300)), axis=0)
    quotient = np.diff(layer.apply(ends), axis=0)[0] / np.diff(ends, axis=0)[0]
    slack = 1e-9
    assert (low - slack <= quotient).all()
    assert (quotient <= high + slack).all()


def test_values_that_overflow_are_not_certified() -> None:
    network = mlp([[[1e300]], [[1e300]]], [[0.0], [0.0]])
    with pytest.raises(NotCertified, match="overflow"):
        bound_values(network, Box([1.0], [2.0]))


# ---- domains -------------------------------------------------------------------------------------
def test_the_least_value_of_a_linear_form_is_a_lower_bound_and_sharp() -> None:
    rng = np.random.default_rng(65)
    center, rows = rng.standard_normal(5), rng.standard_normal((20, 5))
    for domain in (Box(center - 0.5, center + 0.25), Ball(center, 0.7)):
        least = domain.least(rows)
        points = domain.sample(rng, 4000)
        assert (rows @ points.T >= least[:, None] - 1e-12).all()
    box = Box(center - 0.5, center + 0.25)
    exact = [
        min(
            sum(Fraction(a) * Fraction(x) for a, x in zip(row, corner, strict=True))
            for corner in itertools.product(
                *zip(box.lower.tolist(), box.upper.tolist(), strict=True)
            )
        )
        for row in rows.tolist()
    ]
    assert all(
        Fraction(b) <= e <= Fraction(b) + Fraction(1, 10**12)
        for b, e in zip(box.least(rows).tolist(), exact, strict=True)
    )


def test_a_piece_of_a_ball_is_bounded_by_both() -> None:
    ball, box = Ball([0.0, 0.0], 1.0), Box([0.0, -1.0], [1.0, 1.0])
    piece = BallInBox(ball=ball, hull=box)
    rows = np.array([[1.0, 0.0], [-1.0, -1.0]])
    assert piece.least(rows) == pytest.approx([0.0, -math.sqrt(2.0)], abs=1e-12)


def test_points_on_the_border_are_not_within() -> None:
    ball, moving = Ball([0.0, 0.0], 1.0), np.ones(2, dtype=bool)
    assert is_within(ball, np.array([0.5, 0.5]), moving=moving)
    assert not is_within(ball, np.array([0.6, 0.8]), moving=moving)
    box = Box([0.0, 0.0], [1.0, 1.0])
    assert not is_within(box, np.array([0.0, 0.5]), moving=moving)
    assert is_within(box, np.array([0.0, 0.5]), moving=np.array([False, True]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box([0.0], [math.inf]), "`upper` must be finite"),
        (lambda: Box([math.nan], [1.0]), "`lower` must be finite"),
        (lambda: Box([0.0, 0.0], [1.0]), "must have one shape"),
        (lambda: Box([1.0], [0.0]), "`lower` must not exceed `upper`"),
        (lambda: Box([1.0], [1.0]), "must differ somewhere"),
        (lambda: Box([], []), "`lower` must not be empty"),
        (lambda: Ball([0.0], 0.0), "`radius` must be positive"),
        (lambda: Ball([0.0], math.nan), "`radius` must be positive"),
        (lambda: Ball([math.inf], 1.0), "`center` must be finite"),
        (lambda: Ball([1.7e308], 1.7e308), "must be finite with room"),
        (
            lambda: as_domain(Box([0.0], [1.0]), (2,)),
            "`domain` must have the network's input shape",
        ),
        (lambda: as_domain("box", (2,)), "`domain` must be a Box, a Ball or a pair"),
    ],
)
def test_bad_domains_are_refused(make, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()
