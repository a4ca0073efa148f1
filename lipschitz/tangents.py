"""One-sided directional derivatives of a network, enclosed in floating point.

Every layer is locally Lipschitz and has one-sided directional derivatives
``Df(x; v) = lim_{t -> 0+} (f(x + t v) - f(x)) / t``, and for such functions the chain rule

    D(f o g)(x; v) = Df(g(x); Dg(x; v))

holds at *every* point, kinks included. A pair of balls, one around the value and one around the
derivative, is pushed through the network: a linear layer maps both, an activation multiplies the
derivative by an interval that contains its one-sided slopes on the ball of values, and a maximum
has the derivative of one of the entries that may attain it. Gates that the value ball decides are
exact; the others cost width, never truth.

References
----------
Shapiro, *On concepts of directional differentiability*, J. Optim. Theory Appl. 66 (1990),
proposition 3.6; Scholtes, *Introduction to Piecewise Differentiable Equations* (2012), theorem
3.1.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified
from evidence.rounding import gamma
from lipschitz.layers import Activation, AveragePool, Layer, LinearLayer, MaxPool
from lipschitz.layers.balls import SMALLEST, Ball, ball_of_bounds, bounds_of_ball, exactly, inflate
from lipschitz.layers.balls import multiply as multiply_balls
from lipschitz.layers.padding import pad
from lipschitz.layers.windows import tap_slices, window_span
from lipschitz.network import Network

__all__ = [
    "directional_derivative",
    "enclose_linear",
    "push_tangent",
    "window_pads",
    "window_table",
]

Array = NDArray[np.float64]


def directional_derivative(network: Network, point: Array, direction: Array) -> tuple[Ball, Ball]:
    """Balls around ``f(x)`` and ``Df(x; v)``, for the real-arithmetic network.

    Parameters
    ----------
    network : Network
    point, direction : array, shape (batch, *network.input_shape)
        The floats are taken as exact.

    Returns
    -------
    (value, derivative) : pairs (center, radius) of arrays, shape (batch, *network.output_shape)

    Raises
    ------
    NotCertified
        If a value or a derivative overflows.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> absolute = from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]])
    >>> x, v = np.array([[-3.0]]), np.array([[1.0]])
    >>> _, (center, radius) = directional_derivative(absolute, x, v)
    >>> center, bool(radius[0, 0] < 1e-14)
    (array([[-1.]]), True)
    """
    values, tangents = network.balls(point), [exactly(direction)]
    for node in network.nodes:
        below = [values[i] for i in node.inputs]
        with np.errstate(over="ignore", invalid="ignore"):
            ball = push_tangent(node.layer, below, [tangents[i] for i in node.inputs])
        if not (np.isfinite(ball[0]).all() and np.isfinite(ball[1]).all()):
            raise NotCertified(
                f"the derivative of node {node.name!r} overflows float64, so that it cannot be "
                "enclosed; use a smaller `direction`"
            )
        tangents.append(ball)
    return values[-1], tangents[-1]


def push_tangent(layer: Layer, values: list[Ball], tangents: list[Ball]) -> Ball:
    """Ball around the layer's directional derivative, for every value and direction in the balls.

    Raises
    ------
    TypeError
        If the layer is of no known kind.
    """
    if isinstance(layer, LinearLayer):
        return enclose_linear(layer, *tangents)
    if isinstance(layer, Activation):
        return multiply_balls(layer.enclose_derivative(*values[0]), tangents[0])
    if isinstance(layer, MaxPool):
        return _through_maximum(layer, values[0], tangents[0])
    raise TypeError(f"`layer` of kind {type(layer).__name__} has no directional derivative here")


def enclose_linear(layer: LinearLayer, *balls: Ball) -> Ball:
    """Ball around ``W v`` for every admissible ``W`` and every ``v`` in the balls.

    The radius is ``|W| r + E (|c| + r) + gamma(terms) |W| |c|``, as in `LinearLayer.enclose`.
    """
    centers, radii = [c for c, _ in balls], [r for _, r in balls]
    center = layer.linear(*centers)
    if layer.moves_only:
        return center, layer.magnitude(*radii)
    sizes = [np.abs(c) for c in centers]
    radius = gamma(layer.terms) * layer.magnitude(*sizes) + layer.terms * SMALLEST
    if any(np.any(r) for r in radii):
        radius = radius + layer.magnitude(*radii)
    doubt = layer.error_magnitude(*(s + r for s, r in zip(sizes, radii, strict=True)))
    if doubt is not None:
        radius = radius + doubt
    return center, inflate(radius, layer.terms + 8)


def _through_maximum(layer: MaxPool, value: Ball, tangent: Ball) -> Ball:
    """The derivative of a maximum is that of one of the entries that attain it."""
    lower, upper = bounds_of_ball(*value)
    least, greatest = bounds_of_ball(*tangent)
    table = window_table(layer)
    absent = table < 0
    seen_upper = _gather(upper, table)
    seen_upper[..., absent] = -np.inf
    seen_lower = _gather(lower, table)
    seen_lower[..., absent] = -np.inf
    # An entry whose upper bound lies below another's lower bound does not attain the maximum.
    active = seen_upper >= seen_lower.max(axis=-1, keepdims=True)
    below = np.where(active, _gather(least, table), np.inf).min(axis=-1)
    above = np.where(active, _gather(greatest, table), -np.inf).max(axis=-1)
    shape = (value[0].shape[0], *layer.output_shape)
    return ball_of_bounds(below.reshape(shape), above.reshape(shape))


def _gather(x: Array, table: NDArray[np.intp]) -> Array:
    flat = x.reshape(*x.shape[:2], -1)
    return flat[:, :, table]


def window_pads(layer: AveragePool | MaxPool) -> tuple[tuple[int, int], ...]:
    """Widths ``(before, after)`` that hold every window of a pooling layer, also the last one."""
    spans = window_span(layer.kernel_size, layer.dilation)
    sizes = layer.input_shape[1:]
    axes = zip(layer.windows, layer.stride, spans, sizes, layer.pad_width, strict=True)
    return tuple(
        (before, max(after, (m - 1) * s + w - n - before)) for m, s, w, n, (before, after) in axes
    )


def window_table(layer: MaxPool) -> NDArray[np.intp]:
    """Flat spatial index of every tap of every window, shape (windows, taps); -1 for padding."""
    sizes = layer.input_shape[1:]
    index = np.arange(np.prod(sizes, dtype=int), dtype=np.float64).reshape(sizes)
    labels = pad(index, window_pads(layer), "zeros", -1.0)
    taps = tap_slices(layer.kernel_size, layer.stride, layer.dilation, layer.windows)
    return np.stack([labels[tap].ravel() for tap in taps], axis=-1).astype(np.intp)
