"""Piecewise linear functions of one variable, exactly: the constant is the steepest piece."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

__all__ = ["PiecewiseLinear"]


@dataclass(frozen=True, slots=True)
class PiecewiseLinear:
    """The continuous function through given points, linear between them, in exact arithmetic.

    Beyond the first and the last knot the function continues its outermost pieces. Its Lipschitz
    constant on any interval is the largest modulus of a slope of a piece that meets it: the secant
    between two points is an average of slopes, weighted by lengths.

    Parameters
    ----------
    knots : sequence of int, float or Fraction, shape (n,)
        Strictly increasing, ``n >= 2``; floats are taken as the exact numbers they are.
    values : sequence of int, float or Fraction, shape (n,)
        The function there.

    Raises
    ------
    ValueError, TypeError
        If there are fewer than two knots, they are out of order, or a number is not finite.

    Examples
    --------
    >>> tent = PiecewiseLinear([0, 1, 2], [0, 1, Fraction(1, 3)])
    >>> tent.slopes, tent(Fraction(3, 2))
    ((Fraction(1, 1), Fraction(-2, 3)), Fraction(2, 3))
    >>> tent.lipschitz_constant(), tent.lipschitz_constant(1, 5)
    (Fraction(1, 1), Fraction(2, 3))
    """

    knots: tuple[Fraction, ...]
    values: tuple[Fraction, ...]

    def __init__(self, knots: Sequence[Any], values: Sequence[Any]) -> None:
        x, y = _exact(knots, "knots"), _exact(values, "values")
        if len(x) < 2 or len(x) != len(y):
            raise ValueError(
                f"`knots` and `values` must be equally long, at least 2, got {len(x)} and {len(y)}"
            )
        for a, b in itertools.pairwise(x):
            if not a < b:
                raise ValueError(
                    f"`knots` must increase, got {a} before {b}; a jump has no Lipschitz constant"
                )
        object.__setattr__(self, "knots", x)
        object.__setattr__(self, "values", y)

    @property
    def slopes(self) -> tuple[Fraction, ...]:
        """Slopes of the pieces between the knots."""
        pairs = zip(itertools.pairwise(self.knots), itertools.pairwise(self.values), strict=True)
        return tuple((d - c) / (b - a) for (a, b), (c, d) in pairs)

    def __call__(self, x: int | float | Fraction) -> Fraction:
        """The exact value at a point."""
        i = min(max(bisect_right(self.knots, x) - 1, 0), len(self.knots) - 2)
        return self.values[i] + self.slopes[i] * (Fraction(x) - self.knots[i])

    def steepest_piece(self, lower: Any = None, upper: Any = None) -> int:
        """Index of a piece with the largest modulus of slope among those that meet an interval.

        Raises
        ------
        ValueError
            If the interval is empty or a point.
        """
        if lower is not None and upper is not None and not lower < upper:
            raise ValueError(f"`lower` must be less than `upper`, got {lower} and {upper}")
        last = len(self.knots) - 2
        first = 0 if lower is None else min(max(bisect_right(self.knots, lower) - 1, 0), last)
        # A piece that begins where the interval ends has no point in common with its inside.
        ends = self.knots[1:-1]
        final = last if upper is None else sum(1 for knot in ends if knot < upper)
        return max(range(first, final + 1), key=lambda i: abs(self.slopes[i]))

    def lipschitz_constant(self, lower: Any = None, upper: Any = None) -> Fraction:
        """The exact Lipschitz constant, on the line or between `lower` and `upper`.

        Raises
        ------
        ValueError
            If the interval is empty or a point.
        """
        return abs(self.slopes[self.steepest_piece(lower, upper)])


def _exact(numbers: Sequence[Any], name: str) -> tuple[Fraction, ...]:
    try:
        return tuple(Fraction(v) for v in numbers)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(
            f"`{name}` must be finite ints, floats or Fractions: {error}; convert arrays by "
            "`.tolist()`"
        ) from error
