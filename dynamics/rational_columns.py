"""Many rational numbers over one denominator: exact arithmetic at the speed of integers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.polynomials import as_fmpq

__all__ = ["RationalColumn", "over_one_denominator"]

_MANTISSA = 53
_FITS = 62  # bits of a signed 64-bit integer that cannot overflow


class RationalColumn:
    """The rationals ``numerators / denominator``: no rounding, no common factors taken out.

    Floats are integers over a power of two, so that a formula in sums and products of columns of
    floats costs one pass over Python integers per operation and no greatest common divisor.

    Attributes
    ----------
    numerators : int or array of object
        Python integers; a plain int stands for a column whose entries are all the same.
    denominator : int
        Positive.

    Examples
    --------
    >>> x = RationalColumn.of_floats(np.array([0.5, 0.1]))
    >>> y = x * x - 1
    >>> y.numerators[0] * 4 == -3 * y.denominator
    True
    >>> RationalColumn.of_floats(np.array([0.75, 0.75])).numerators
    3
    """

    __slots__ = ("denominator", "numerators")

    def __init__(self, numerators: Any, denominator: int = 1) -> None:
        self.numerators = numerators
        self.denominator = denominator

    @classmethod
    def of_number(cls, value: Any) -> RationalColumn:
        """The same number in every row: an int, a float, a Fraction or a ``flint.fmpq``.

        Raises
        ------
        TypeError
            A symbolic number.

        Examples
        --------
        >>> RationalColumn.of_number(-1.5).numerators
        -3
        """
        exact = as_fmpq(value)
        return cls(int(exact.p), int(exact.q))

    @classmethod
    def of_floats(cls, values: NDArray[np.float64]) -> RationalColumn:
        """Exactly these finite floats, shape (k,) with k > 0.

        Examples
        --------
        >>> RationalColumn.of_floats(np.array([3.0, 0.25])).numerators
        array([12, 1], dtype=object)
        """
        if np.all(values == values[0]):
            return cls.of_number(values[0].item())
        fractions, powers = np.frexp(values)
        mantissas = np.ldexp(fractions, _MANTISSA).astype(np.int64)
        # Trailing zero bits only make the integers long; 0 may have any exponent.
        trailing = np.frexp((mantissas & -mantissas).astype(np.float64))[1] - 1
        trailing[mantissas == 0] = 0
        odd, powers = mantissas >> trailing, powers - _MANTISSA + trailing
        least = int(np.min(powers[mantissas != 0]))
        shifts = np.maximum(powers.astype(np.int64) - least, 0)
        if np.all(np.frexp(odd.astype(np.float64))[1] + shifts <= _FITS):
            whole = (odd << shifts).astype(object)
        else:
            whole = odd.astype(object) << shifts.astype(object)
        return cls(whole << least, 1) if least > 0 else cls(whole, 1 << -least)

    def __add__(self, other: Any) -> RationalColumn:
        other = _as_column(other)
        if self.denominator == other.denominator:
            return RationalColumn(self.numerators + other.numerators, self.denominator)
        common = math.lcm(self.denominator, other.denominator)
        return RationalColumn(_raised(self, common) + _raised(other, common), common)

    __radd__ = __add__

    def __neg__(self) -> RationalColumn:
        return RationalColumn(-self.numerators, self.denominator)

    def __sub__(self, other: Any) -> RationalColumn:
        return self + -_as_column(other)

    def __rsub__(self, other: Any) -> RationalColumn:
        return _as_column(other) + -self

    def __mul__(self, other: Any) -> RationalColumn:
        other = _as_column(other)
        return RationalColumn(
            self.numerators * other.numerators, self.denominator * other.denominator
        )

    __rmul__ = __mul__

    def __truediv__(self, divisor: int) -> RationalColumn:
        if not isinstance(divisor, int) or divisor <= 0:
            return NotImplemented
        return RationalColumn(self.numerators, self.denominator * divisor)


def over_one_denominator(values: Sequence[RationalColumn | int]) -> list[Any]:
    """The numerators of columns and ints over the smallest denominator that they can share.

    Returns
    -------
    list of int and arrays of object
        All values times one positive integer, the same for all and for every row.

    Examples
    --------
    >>> over_one_denominator([1, RationalColumn(3, 4), RationalColumn(-1, 2)])
    [4, 3, -2]
    """
    columns = [_as_column(v) for v in values]
    common = math.lcm(*(c.denominator for c in columns))
    return [_raised(c, common) for c in columns]


def _as_column(value: Any) -> RationalColumn:
    return value if isinstance(value, RationalColumn) else RationalColumn(int(value))


def _raised(column: RationalColumn, common: int) -> Any:
    factor = common // column.denominator
    return column.numerators if factor == 1 else column.numerators * factor
