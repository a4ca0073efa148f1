"""Entrywise activations: values, derivatives, and balls that contain them.

numpy states no error bound for ``exp``, ``expm1``, ``log1p`` and ``tanh``. Every enclosure here
assumes 8 units in the last place for each (its own tests ask for 4). Each formula below combines at
most two such calls with a few rounded operations and without cancellation: a relative error below
``2 * 8 * 2**-52`` and a few roundings, for which ``2**-47`` is allowed, and ``2**-1068`` absolute
for underflow. The argument ``b x`` of a softplus is rounded as well, which moves ``exp(b x)`` by at
most ``745 * 2**-53`` relative before it underflows: ``2**-43`` is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from evidence.validation import choice
from lipschitz.layers.balls import (
    SMALLEST,
    Ball,
    ball_of_bounds,
    bounds_of_ball,
    round_down,
    round_up,
)
from lipschitz.layers.contract import Array, Layer, Shape, SingleInput, shape_tuple, store

__all__ = ["ACTIVATIONS", "Activation"]

_UNDERFLOW: Final = 2.0**-1068


@dataclass(frozen=True, slots=True, kw_only=True)
class _Formula:
    """A function of ``(x, parameter)`` and its left derivative, each monotone on each side of 0.

    ``value_exact`` and ``slope_exact`` say for ``x <= 0`` and ``x >= 0`` whether the floating-point
    result has no error.
    """

    value: Callable[[Array, float], Array]
    slope: Callable[[Array, float], Array]
    value_exact: tuple[bool, bool] = (False, False)
    slope_exact: tuple[bool, bool] = (False, False)
    default: float | None = None
    accuracy: float = 2.0**-47


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x > 0.0, 1.0, small) / (1.0 + small)


def _sigmoid_slope(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return small / (1.0 + small) ** 2


def _tanh_slope(x: Array) -> Array:
    small = np.exp(-np.abs(x)) ** 2
    return 4.0 * small / (1.0 + small) ** 2


def _softplus(x: Array, b: float) -> Array:
    with np.errstate(over="ignore"):
        scaled = b * x
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(scaled))) / b


def _softplus_slope(x: Array, b: float) -> Array:
    with np.errstate(over="ignore"):
        return _sigmoid(b * x)


def _elu(x: Array, a: float) -> Array:
    return np.where(x > 0.0, x, a * np.expm1(np.minimum(x, 0.0)))


def _elu_slope(x: Array, a: float) -> Array:
    return np.where(x > 0.0, 1.0, a * np.exp(np.minimum(x, 0.0)))


_FORMULAS: Final = {
    "relu": _Formula(
        value=lambda x, _: np.maximum(x, 0.0),
        slope=lambda x, _: (x > 0.0).astype(np.float64),
        value_exact=(True, True),
        slope_exact=(True, True),
    ),
    "leaky_relu": _Formula(
        value=lambda x, a: np.where(x > 0.0, x, a * np.minimum(x, 0.0)),
        slope=lambda x, a: np.where(x > 0.0, 1.0, a),
        value_exact=(False, True),
        slope_exact=(True, True),
        default=0.01,
    ),
    "sigmoid": _Formula(value=lambda x, _: _sigmoid(x), slope=lambda x, _: _sigmoid_slope(x)),
    "tanh": _Formula(value=lambda x, _: np.tanh(x), slope=lambda x, _: _tanh_slope(x)),
    "softplus": _Formula(value=_softplus, slope=_softplus_slope, default=1.0, accuracy=2.0**-43),
    "elu": _Formula(
        value=_elu,
        slope=_elu_slope,
        value_exact=(False, True),
        slope_exact=(False, True),
        default=1.0,
    ),
}
ACTIVATIONS: Final = tuple(_FORMULAS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activation(SingleInput, Layer):
    """One function of one variable, applied to every entry.

    =============== =============================== ===========================
    kind            value                           slopes
    =============== =============================== ===========================
    ``relu``        max(x, 0)                       [0, 1]
    ``leaky_relu``  x if x > 0 else a x             [min(a, 1), max(a, 1)]
    ``sigmoid``     1 / (1 + exp(-x))               [0, 1/4]
    ``tanh``        tanh(x)                         [0, 1]
    ``softplus``    log(1 + exp(b x)) / b, b > 0    [0, 1]
    ``elu``         x if x > 0 else a (exp(x) - 1)  [min(a, 0), max(a, 1)]
    =============== =============================== ===========================

    Parameters
    ----------
    kind : str
        A name of the table.
    input_shape : tuple of int
    parameter : float, optional
        ``a`` (default 0.01 for ``leaky_relu``, 1 for ``elu``) or ``b`` (default 1).

    Raises
    ------
    ValueError
        An unknown name, a parameter where there is none, or one that is not finite.

    Notes
    -----
    The slopes bound every difference quotient and are attained or approached.

    Examples
    --------
    >>> layer = Activation(kind="leaky_relu", input_shape=(2,), parameter=-2.0)
    >>> layer.slope_lower, layer.slope_upper
    (-2.0, 1.0)
    >>> layer.apply(np.array([[-1.0, 3.0]]))
    array([[2., 3.]])
    """

    kind: str
    input_shape: Shape
    parameter: float | None = None

    def __post_init__(self) -> None:
        formula = _FORMULAS[choice(self.kind, "kind", ACTIVATIONS)]
        parameter = formula.default if self.parameter is None else float(self.parameter)
        if parameter is not None and formula.default is None:
            raise ValueError(
                f"`parameter` = {parameter} has no meaning for {self.kind!r}; leave it out"
            )
        if parameter is not None and not math.isfinite(parameter):
            raise ValueError(f"`parameter` must be finite, got {parameter}")
        # Outside these bounds `b x` or `1 / b` overflows for ordinary arguments.
        if self.kind == "softplus" and not 1e-100 <= (parameter or 0.0) <= 1e100:
            raise ValueError(f"`parameter` of 'softplus' must be positive, got {parameter}")
        store(self, input_shape=shape_tuple(self.input_shape, "input_shape"), parameter=parameter)

    @property
    def output_shape(self) -> Shape:
        """The input's shape."""
        return self.input_shape

    @property
    def slope_lower(self) -> float:
        """The smallest difference quotient."""
        if self.kind == "leaky_relu":
            return min(self._parameter, 1.0)
        return min(self._parameter, 0.0) if self.kind == "elu" else 0.0

    @property
    def slope_upper(self) -> float:
        """The largest difference quotient."""
        if self.kind in ("leaky_relu", "elu"):
            return max(self._parameter, 1.0)
        return 0.25 if self.kind == "sigmoid" else 1.0

    @property
    def is_smooth(self) -> bool:
        """Whether the function has a derivative everywhere."""
        kinked = ("relu", "leaky_relu", "elu")
        return self.kind not in kinked or (self.parameter == 1.0)

    def apply(self, *xs: Array) -> Array:
        """The function in float64."""
        return _FORMULAS[self.kind].value(xs[0], self._parameter)

    def derivative(self, x: Array) -> Array:
        """The derivative in float64; at a kink the one from the left."""
        return _FORMULAS[self.kind].slope(x, self._parameter)

    def enclose(self, *balls: Ball) -> Ball:
        """Ball around all values on a ball of arguments."""
        ((center, radius),) = balls
        formula = _FORMULAS[self.kind]
        return self._range(formula.value, formula.value_exact, center, radius, 0.0)

    def enclose_derivative(self, center: Array, radius: Array) -> Ball:
        """Ball around all derivatives on a ball of arguments, both one-sided ones at a kink.

        It contains every difference quotient of two points in the ball of arguments.

        Examples
        --------
        >>> relu = Activation(kind="relu", input_shape=(3,))
        >>> relu.enclose_derivative(np.array([[-1.0, 0.0, 3.0]]), np.full((1, 3), 0.5))
        (array([[0. , 0.5, 1. ]]), array([[0. , 0.5, 0. ]]))
        """
        formula = _FORMULAS[self.kind]
        return self._range(formula.slope, formula.slope_exact, center, radius, SMALLEST)

    @property
    def _parameter(self) -> float:
        return 0.0 if self.parameter is None else self.parameter

    def _range(
        self,
        function: Callable[[Array, float], Array],
        exact: tuple[bool, bool],
        center: Array,
        radius: Array,
        right_of_zero: float,
    ) -> Ball:
        """Hull of ``function`` over the arguments: it is monotone on each side of 0."""
        lower, upper = bounds_of_ball(center, radius)
        below, above = lower <= 0.0, upper >= 0.0
        least, greatest = np.full_like(lower, np.inf), np.full_like(lower, -np.inf)
        sides = (
            (below, exact[0], np.minimum(lower, 0.0), np.minimum(upper, 0.0)),
            (above, exact[1], np.maximum(lower, right_of_zero), np.maximum(upper, right_of_zero)),
        )
        accuracy = _FORMULAS[self.kind].accuracy
        for inside, is_exact, *ends in sides:
            for end in ends:
                value = function(end, self._parameter)
                slack = 0.0 if is_exact else np.abs(value) * accuracy + _UNDERFLOW
                low, high = value - slack, value + slack
                if not is_exact:
                    low, high = round_down(low), round_up(high)
                least = np.where(inside, np.minimum(least, low), least)
                greatest = np.where(inside, np.maximum(greatest, high), greatest)
        return ball_of_bounds(least, greatest)
