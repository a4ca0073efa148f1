"""Lines above and below an activation on an interval, proved; the same for a maximum.

A line ``alpha z + beta`` lies below ``phi`` on ``[l, u]`` if ``beta`` is at most the minimum of
``g(z) = phi(z) - alpha z``. For a piecewise linear ``phi`` the minimum is at ``l``, ``u`` or the
kink. For the others ``[l, u]`` is cut into pieces ``[a, b]``, on which ``phi'`` lies in ``[c, d]``,
and ``g(z) >= max(g(a) + min(0, (c - alpha)(b - a)), g(b) - max(0, (d - alpha)(b - a)))`` by the
mean value theorem. Any slope ``alpha`` is sound; the best of a few is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence.rounding import UNIT_ROUNDOFF, gamma
from lipschitz.layers import Activation, MaxPool
from lipschitz.layers.balls import SMALLEST, ball_of_bounds, bounds_of_ball, round_down, round_up
from lipschitz.tangents import window_table

__all__ = ["Lines", "MaximumRelaxation", "enclosing_lines", "relax_maximum", "slope_interval"]

Array = NDArray[np.float64]

_PIECES = 16
_PIECEWISE_LINEAR = ("relu", "leaky_relu")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """``lower_slope z + lower_offset <= phi(z) <= upper_slope z + upper_offset``, entrywise.

    Examples
    --------
    >>> relu = Activation(kind="relu", input_shape=(1,))
    >>> lines = enclosing_lines(relu, np.array([-1.0]), np.array([3.0]))
    >>> lines.lower_slope, lines.upper_slope
    (array([1.]), array([0.75]))
    """

    lower_slope: Array
    lower_offset: Array
    upper_slope: Array
    upper_offset: Array

    def backward(self, a: Array) -> tuple[Array, Array]:
        """``a'`` and ``c`` with ``<a, phi(z)> >= <a', z> + c``, but for `loss`."""
        above, below = np.maximum(a, 0.0), np.minimum(a, 0.0)
        part = above * self.lower_slope + below * self.upper_slope
        constant = _flat(above) @ self.lower_offset.ravel()
        return part, constant + _flat(below) @ self.upper_offset.ravel()

    def loss(self, size: Array) -> Array:
        """What the rounding of `backward` costs a unit of ``|a|``, for ``|z| <= size``."""
        slope = np.maximum(np.abs(self.lower_slope), np.abs(self.upper_slope))
        offset = np.maximum(np.abs(self.lower_offset), np.abs(self.upper_offset))
        loss = UNIT_ROUNDOFF * slope * size + gamma(offset.size + 3) * offset
        total: Array = (loss + SMALLEST * size) * (1.0 + 2.0**-48) + SMALLEST
        return total


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaximumRelaxation:
    """A maximum lies above its likeliest winner, and below that one or the largest upper bound.

    Parameters
    ----------
    layer : MaxPool
    winners : int array, shape (1, *layer.output_shape)
    decided : bool array, shape (*layer.output_shape)
        Where no other entry can be the maximum.
    upper : array, shape (*layer.output_shape)
    """

    layer: MaxPool
    winners: NDArray[np.intp]
    decided: NDArray[np.bool_]
    upper: Array

    def backward(self, a: Array) -> tuple[Array, Array]:
        """``a'`` and ``c`` with ``<a, max(x)> >= <a', x> + c``, but for `loss`."""
        linear = np.where((a > 0.0) | self.decided, a, 0.0)
        return self.layer.put(self.winners, linear), _flat(a - linear) @ self.upper.ravel()

    def loss(self, size: Array) -> Array:
        """What the rounding of `backward` costs a unit of ``|a|``, for ``|x| <= size``."""
        taps = int(np.prod(self.layer.kernel_size))
        largest = self.layer.apply(size[None])[0]
        rounding = gamma(taps) * largest + gamma(self.upper.size + 3) * np.abs(self.upper)
        total: Array = rounding * (1.0 + 2.0**-48) + SMALLEST
        return total


def slope_interval(layer: Activation, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Bounds of the slopes of an activation on ``[lower, upper]``.

    For almost every input whose argument lies in the interval: at a kink on the interval's end only
    the slope towards its inside counts, since the inputs that attain it fill no volume, or the
    argument is constant around them and its slope does not matter.

    Examples
    --------
    >>> relu = Activation(kind="relu", input_shape=(3,))
    >>> slope_interval(relu, np.array([-1.0, 0.0, -1.0]), np.array([0.0, 1.0, 1.0]))
    (array([0., 1., 0.]), array([0., 1., 1.]))
    """
    center, radius = layer.enclose_derivative(*ball_of_bounds(lower[None], upper[None]))
    low, high = (side[0] for side in bounds_of_ball(center, radius))
    low = np.clip(low, layer.slope_lower, layer.slope_upper)
    high = np.clip(high, layer.slope_lower, layer.slope_upper)
    if not layer.is_smooth:
        right, left = layer.derivative(np.array([1.0, -1.0]))
        positive, negative = lower >= 0.0, (upper <= 0.0) & (lower < 0.0)
        low, high = np.where(positive, right, low), np.where(positive, right, high)
        if layer.kind in _PIECEWISE_LINEAR:
            low, high = np.where(negative, left, low), np.where(negative, left, high)
    return low, high


def enclosing_lines(layer: Activation, lower: Array, upper: Array) -> Lines:
    """Lines below and above an activation on ``[lower, upper]``, close to it in the middle."""
    center, radius = layer.enclose(ball_of_bounds(lower[None], upper[None]))
    least, greatest = (side[0] for side in bounds_of_ball(center, radius))
    best_low, best_high = (np.zeros_like(lower), least), (np.zeros_like(lower), greatest)
    middle = 0.5 * lower + 0.5 * upper
    values = layer.apply(np.stack([lower, upper]))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        chord = (values[1] - values[0]) / (upper - lower)
        ends = layer.derivative(np.stack([np.nextafter(lower, upper), upper]))
        for slope in (chord, ends[0], ends[1]):
            slope = np.clip(np.nan_to_num(slope), layer.slope_lower, layer.slope_upper)
            below, above = _offsets(layer, lower, upper, slope)
            higher = slope * middle + below > best_low[0] * middle + best_low[1]
            best_low = (np.where(higher, slope, best_low[0]), np.where(higher, below, best_low[1]))
            under = slope * middle + above < best_high[0] * middle + best_high[1]
            best_high = (np.where(under, slope, best_high[0]), np.where(under, above, best_high[1]))
    return Lines(
        lower_slope=best_low[0],
        lower_offset=best_low[1],
        upper_slope=best_high[0],
        upper_offset=best_high[1],
    )


def _offsets(layer: Activation, lower: Array, upper: Array, slope: Array) -> tuple[Array, Array]:
    """Bounds of the minimum and maximum of ``phi(z) - slope z``; not finite if they overflow."""
    if layer.kind in _PIECEWISE_LINEAR:
        points = np.stack([lower, np.clip(np.zeros_like(lower), lower, upper), upper])
        low, high = _tilted(layer, points, slope)
        return low.min(axis=0), high.max(axis=0)
    steps = np.linspace(0.0, 1.0, _PIECES + 1).reshape(-1, *(1,) * lower.ndim)
    points = np.clip((1.0 - steps) * lower + steps * upper, lower, upper)
    points[0], points[-1] = lower, upper
    points = np.maximum.accumulate(points, axis=0)
    low, high = _tilted(layer, points, slope)
    ball = layer.enclose_derivative(*ball_of_bounds(points[:-1], points[1:]))
    least, greatest = bounds_of_ball(*ball)
    width = round_up(points[1:] - points[:-1])
    fall = round_up(np.maximum(0.0, round_up(slope - least)) * width)
    rise = round_up(np.maximum(0.0, round_up(greatest - slope)) * width)
    below = np.maximum(round_down(low[:-1] - fall), round_down(low[1:] - rise))
    above = np.minimum(round_up(high[:-1] + rise), round_up(high[1:] + fall))
    return below.min(axis=0), above.max(axis=0)


def _tilted(layer: Activation, points: Array, slope: Array) -> tuple[Array, Array]:
    """Bounds of ``phi(z) - slope z`` at points."""
    value = layer.enclose((points, np.zeros_like(points)))
    low, high = bounds_of_ball(*value)
    product = slope * points
    return round_down(low - round_up(product)), round_up(high - round_down(product))


def relax_maximum(layer: MaxPool, lower: Array, upper: Array) -> MaximumRelaxation:
    """The relaxation of a maximum whose entries lie in ``[lower, upper]``."""
    table = window_table(layer)
    low, high = (side.reshape(len(side), -1)[:, table] for side in (lower, upper))
    low[:, table < 0], high[:, table < 0] = -np.inf, -np.inf
    best = low.argmax(axis=-1)
    floor = low.max(axis=-1)
    np.put_along_axis(high, best[..., None], -np.inf, axis=-1)
    decided = (high.max(axis=-1) <= floor).reshape(layer.output_shape)
    spatial = int(np.prod(layer.input_shape[1:]))
    chosen = table[np.arange(len(table)), best] + spatial * np.arange(len(lower))[:, None]
    return MaximumRelaxation(
        layer=layer,
        winners=chosen.reshape(1, *layer.output_shape).astype(np.intp),
        decided=decided,
        upper=layer.apply(upper[None])[0],
    )


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1)
