"""Interval arithmetic on the extended real line, many boxes at a time.

An `Intervals` holds bounds ``lower <= x <= upper`` for a batch of real numbers, infinite ends
allowed. Sums and products are rounded outward by one float, since IEEE-754 operations are correctly
rounded; functions of the C library and of numpy by `ULPS` units in the last place, which is more
than either is known to be wrong by (4 ulp; what the package trusts is listed in its decisions).
Whatever is not defined on all of a box becomes the whole line: nothing is cut off silently.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Intervals", "apply_function", "supported_functions"]

Array = NDArray[np.float64]
ULPS = 8
LARGEST_ANGLE = 2.0**20


def _down(x: Array, steps: int = 1) -> Array:
    for _ in range(steps):
        x = np.nextafter(x, -np.inf)
    return x


def _up(x: Array, steps: int = 1) -> Array:
    return -_down(-x, steps)


def _times(a: Array, b: Array) -> Array:
    # 0 times an unbounded end is 0: the end is a supremum, never a value.
    return np.where((a == 0.0) | (b == 0.0), 0.0, a * b)


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Bounds of a batch of real numbers.

    Parameters
    ----------
    lower, upper : array, shape (batch,)
        ``lower <= upper``, infinite ends allowed, not NaN.

    Examples
    --------
    >>> x = Intervals(np.array([-1.0, 1.0]), np.array([2.0, np.inf]))
    >>> (x * x).lower, x.power(2).lower, x.reciprocal().upper[1] >= 1.0
    (array([-2.,  1.]), array([0., 1.]), np.True_)
    """

    lower: Array
    upper: Array

    @classmethod
    def of(cls, value: float, batch: int) -> Intervals:
        """The same float for the whole batch."""
        return cls(np.full(batch, value), np.full(batch, value))

    def __add__(self, other: Intervals) -> Intervals:
        lower = _down(self.lower + other.lower)
        # A sum of numbers that are not negative is not, whatever the rounding.
        lower = np.where((self.lower >= 0.0) & (other.lower >= 0.0), np.maximum(lower, 0.0), lower)
        upper = _up(self.upper + other.upper)
        upper = np.where((self.upper <= 0.0) & (other.upper <= 0.0), np.minimum(upper, 0.0), upper)
        return Intervals(lower, upper)

    def __neg__(self) -> Intervals:
        return Intervals(-self.upper, -self.lower)

    def __sub__(self, other: Intervals) -> Intervals:
        return self + (-other)

    def __mul__(self, other: Intervals) -> Intervals:
        pairs = [(a, b) for a in (self.lower, self.upper) for b in (other.lower, other.upper)]
        ends = [_times(a, b) for a, b in pairs]
        # Products by 0, 1 and -1 are exact, and are not widened.
        exact = [(np.abs(a) <= 1.0) & (a == np.rint(a)) | (np.abs(b) <= 1.0) & (b == np.rint(b))
                 for a, b in pairs]  # fmt: skip
        low = [np.where(e, p, _down(p)) for p, e in zip(ends, exact, strict=True)]
        high = [np.where(e, p, _up(p)) for p, e in zip(ends, exact, strict=True)]
        lower, upper = np.min(low, axis=0), np.max(high, axis=0)
        positive, negative = np.min(ends, axis=0) >= 0.0, np.max(ends, axis=0) <= 0.0
        return Intervals(
            np.where(positive, np.maximum(lower, 0.0), lower),
            np.where(negative, np.minimum(upper, 0.0), upper),
        )

    def reciprocal(self) -> Intervals:
        """``1 / x``; one-sided if 0 is an end, the whole line if 0 is inside."""
        a, b = self.lower, self.upper
        lower = np.where(b == 0.0, -np.inf, _down(1.0 / np.where(b == 0.0, 1.0, b)))
        upper = np.where(a == 0.0, np.inf, _up(1.0 / np.where(a == 0.0, 1.0, a)))
        lower = np.where(a >= 0.0, np.maximum(lower, 0.0), lower)
        upper = np.where(b <= 0.0, np.minimum(upper, 0.0), upper)
        inside = ((a < 0.0) & (b > 0.0)) | ((a == 0.0) & (b == 0.0))
        return Intervals(np.where(inside, -np.inf, lower), np.where(inside, np.inf, upper))

    def power(self, exponent: int) -> Intervals:
        """``x**n`` for an integer n, even powers without the dependency of ``x * x``."""
        if exponent < 0:
            return self.power(-exponent).reciprocal()
        if exponent == 0:
            return Intervals.of(1.0, len(self.lower))
        if exponent % 2 == 0:
            return self.absolute()._monomial(exponent)
        # Odd powers increase.
        low, high = (Intervals(end, end)._monomial(exponent) for end in (self.lower, self.upper))
        return Intervals(low.lower, high.upper)

    def _monomial(self, exponent: int) -> Intervals:
        result, base = None, self
        while exponent:
            if exponent % 2:
                result = base if result is None else result * base
            exponent //= 2
            base = base * base if exponent else base
        return self if result is None else result

    def root(self, exponent: float) -> Intervals:
        """``x**e`` for a real exponent; the whole line where x may be negative."""
        ends = [np.power(np.maximum(end, 0.0), exponent) for end in (self.lower, self.upper)]
        low, high = (ends[0], ends[1]) if exponent > 0 else (ends[1], ends[0])
        # The exponent may be rounded: x**(e + de) is off by the factor x**de, |log x| < 746.
        off = 2.0**-43 * max(1.0, abs(exponent))
        negative = self.lower < 0.0
        return Intervals(
            np.where(negative, -np.inf, np.maximum(_down(low * (1.0 - off), ULPS), 0.0)),
            np.where(negative, np.inf, _up(high * (1.0 + off), ULPS)),
        )

    def square_root(self) -> Intervals:
        """``sqrt(x)``; the whole line where x may be negative."""
        low, high = (np.sqrt(np.maximum(end, 0.0)) for end in (self.lower, self.upper))
        negative = self.lower < 0.0
        return Intervals(
            np.where(negative, -np.inf, np.maximum(_down(low), 0.0)),
            np.where(negative, np.inf, _up(high)),
        )

    def absolute(self) -> Intervals:
        """``|x|``."""
        a, b = self.lower, self.upper
        inside = (a <= 0.0) & (b >= 0.0)
        small = np.where(inside, 0.0, np.minimum(np.abs(a), np.abs(b)))
        return Intervals(small, np.maximum(np.abs(a), np.abs(b)))

    def maximum(self, other: Intervals) -> Intervals:
        """The larger of two."""
        return Intervals(np.maximum(self.lower, other.lower), np.maximum(self.upper, other.upper))

    def hull(self, other: Intervals) -> Intervals:
        """The smallest intervals that contain both."""
        return Intervals(np.minimum(self.lower, other.lower), np.maximum(self.upper, other.upper))

    def intersection(self, other: Intervals) -> Intervals:
        """What two enclosures of the same number give together."""
        return Intervals(np.maximum(self.lower, other.lower), np.minimum(self.upper, other.upper))


# ---- functions ----------------------------------------------------------------------------------
def _increasing(
    f: Callable[[Array], Array], least: float = -math.inf, greatest: float = math.inf
) -> Callable[[Intervals], Intervals]:
    def extended(x: Intervals) -> Intervals:
        low, high = _down(f(x.lower), ULPS), _up(f(x.upper), ULPS)
        return Intervals(np.maximum(low, least), np.minimum(high, greatest))

    return extended


def _within(
    f: Callable[[Array], Array], a: float, b: float, *, falling: bool = False
) -> Callable[[Intervals], Intervals]:
    """A monotone function on [a, b] only: the whole line as soon as the argument may leave it."""

    def extended(x: Intervals) -> Intervals:
        low, high = (x.upper, x.lower) if falling else (x.lower, x.upper)
        outside = (x.lower < a) | (x.upper > b)
        return Intervals(
            np.where(outside, -np.inf, _down(f(np.clip(low, a, b)), ULPS)),
            np.where(outside, np.inf, _up(f(np.clip(high, a, b)), ULPS)),
        )

    return extended


def _cosine(x: Intervals) -> Intervals:
    """Values at the ends, and 1 (or -1) if an even (odd) multiple of pi may be inside."""
    far = np.maximum(np.abs(x.lower), np.abs(x.upper)) > LARGEST_ANGLE
    a, b = (np.where(far, 0.0, end) for end in (x.lower, x.upper))
    # Quotients of at most 2^20 by pi are within 2^-30 of the true ones.
    first, last = a / math.pi - 2.0**-30, b / math.pi + 2.0**-30
    top = np.floor(last / 2.0) >= np.ceil(first / 2.0)
    bottom = np.floor((last - 1.0) / 2.0) >= np.ceil((first - 1.0) / 2.0)
    at_a, at_b = np.cos(a), np.cos(b)
    low = np.maximum(_down(np.minimum(at_a, at_b), ULPS), -1.0)
    high = np.minimum(_up(np.maximum(at_a, at_b), ULPS), 1.0)
    return Intervals(np.where(far | bottom, -1.0, low), np.where(far | top, 1.0, high))


def _sine(x: Intervals) -> Intervals:
    # sin x = cos(x - pi/2), with a quarter turn that is itself only known in an interval.
    quarter = math.pi / 2.0
    n = len(x.lower)
    shift = Intervals(np.full(n, quarter), np.full(n, math.nextafter(quarter, 2.0)))
    turned = _cosine(x - shift)
    if not (x.lower == x.upper).any():
        return turned
    thin = np.where(np.abs(x.lower) > LARGEST_ANGLE, 0.0, x.lower)
    value = np.sin(thin)
    near = (x.lower == x.upper) & (np.abs(x.lower) <= LARGEST_ANGLE)
    return Intervals(
        np.where(near, np.maximum(_down(value, ULPS), -1.0), turned.lower),
        np.where(near, np.minimum(_up(value, ULPS), 1.0), turned.upper),
    )


def _tangent(x: Intervals) -> Intervals:
    return _sine(x) * _cosine(x).reciprocal()


def _hyperbolic_cosine(x: Intervals) -> Intervals:
    return _increasing(np.cosh, 1.0)(x.absolute())


def _sign(x: Intervals) -> Intervals:
    """1, -1, or anything between: at a kink no value is trusted."""
    return Intervals(np.where(x.lower > 0.0, 1.0, -1.0), np.where(x.upper < 0.0, -1.0, 1.0))


def _step(x: Intervals) -> Intervals:
    return Intervals(np.where(x.lower > 0.0, 1.0, 0.0), np.where(x.upper < 0.0, 0.0, 1.0))


_FUNCTIONS: dict[str, Callable[[Intervals], Intervals]] = {
    "exp": _increasing(np.exp, 0.0),
    "log": _within(np.log, 0.0, math.inf),
    "sin": _sine,
    "cos": _cosine,
    "tan": _tangent,
    "sinh": _increasing(np.sinh),
    "cosh": _hyperbolic_cosine,
    "tanh": _increasing(np.tanh, -1.0, 1.0),
    "asinh": _increasing(np.arcsinh),
    "atan": _increasing(np.arctan),
    "asin": _within(np.arcsin, -1.0, 1.0),
    "acos": _within(np.arccos, -1.0, 1.0, falling=True),
    "Abs": Intervals.absolute,
    "sign": _sign,
    "Heaviside": _step,
}


def supported_functions() -> tuple[str, ...]:
    """Names, as in sympy, of the functions that have an interval extension here.

    Examples
    --------
    >>> {"exp", "tanh", "Abs"} <= set(supported_functions())
    True
    """
    return tuple(_FUNCTIONS)


def apply_function(name: str, x: Intervals) -> Intervals:
    """The interval extension of a function of one variable.

    Raises
    ------
    KeyError
        If the function is not supported.

    Examples
    --------
    >>> cosine = apply_function("cos", Intervals(np.array([0.0, 3.0]), np.array([1.0, np.inf])))
    >>> bool(0.5403 < cosine.lower[0] < 0.54031), cosine.upper[0], cosine.lower[1]
    (True, np.float64(1.0), np.float64(-1.0))
    """
    return _FUNCTIONS[name](x)
