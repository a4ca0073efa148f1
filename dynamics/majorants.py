"""A number that stands for all values up to a size and all rounding errors up to a bound."""

from __future__ import annotations

from typing import Any

from evidence.rounding import TINY, UNIT_ROUNDOFF

__all__ = ["Majorant"]

_UP = 1.0 + 2.0**-40


class Majorant:
    """Bounds ``|v| <= size`` and ``|fl(v) - v| <= error`` through sums, products and quotients.

    Evaluating a formula on majorants of its inputs bounds the rounding error of the *same* formula
    on floats: each operation adds its own rounding, at most ``u |fl|`` plus an underflow. Sizes and
    errors may be floats (one bound for a whole array of evaluations) or arrays (one each). Ints
    are exact.

    Examples
    --------
    >>> x = Majorant(2.0)
    >>> y = x * x - 1
    >>> 5.0 < y.size < 5.0001, 8 * 2.0**-53 < y.error < 10 * 2.0**-53
    (True, True)
    """

    __slots__ = ("error", "size")

    def __init__(self, size: Any, error: Any = 0.0) -> None:
        self.size = size
        self.error = error

    def __add__(self, other: Any) -> Majorant:
        other = _as_majorant(other)
        return _rounded(self.size + other.size, self.error + other.error)

    __radd__ = __add__
    __sub__ = __add__
    __rsub__ = __add__

    def __neg__(self) -> Majorant:
        return self

    def __mul__(self, other: Any) -> Majorant:
        other = _as_majorant(other)
        error = self.error * other.size + (self.size + self.error) * other.error
        return _rounded(self.size * other.size, error)

    __rmul__ = __mul__

    def __truediv__(self, power_of_two: int) -> Majorant:
        if power_of_two not in (2, 4):
            return NotImplemented
        return Majorant(self.size / power_of_two, self.error / power_of_two + TINY)


def _as_majorant(value: Any) -> Majorant:
    return value if isinstance(value, Majorant) else Majorant(abs(float(value)))


def _rounded(size: Any, error: Any) -> Majorant:
    size = size * _UP
    return Majorant(size, (error + UNIT_ROUNDOFF * (size + error)) * _UP + TINY)
