"""Charts: pieces of a domain as images of boxes, so that a supremum is one over boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

__all__ = ["Chart", "chart_of_box", "chart_symbols", "rational"]

Number = int | float | Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A piece of a domain as the image of a box.

    Parameters
    ----------
    symbols : tuple of sympy symbols
        Coordinates of the box.
    images : tuple of sympy expressions
        The coordinates of the domain as functions of them.
    lower, upper : tuple of float
        The box, rounded outward; infinite ends allowed.
    inner : tuple of (float, float)
        The box rounded inward: all of it lies in the domain.
    identities : tuple of pairs of sympy expressions
        What holds on this piece and no algebra knows, such as the angle of a point given by polar
        coordinates: the first is replaced by the second.

    Examples
    --------
    >>> t = chart_symbols(1)
    >>> chart = chart_of_box(t, t, ((0, Fraction(1, 3)),))
    >>> chart.upper[0] > Fraction(1, 3) > chart.inner[0][1]
    True
    """

    symbols: tuple[Any, ...]
    images: tuple[Any, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    inner: tuple[tuple[float, float], ...]
    identities: tuple[tuple[Any, Any], ...] = ()


def chart_symbols(n: int) -> tuple[Any, ...]:
    """Names for the coordinates of a box.

    Examples
    --------
    >>> chart_symbols(2)
    (t1, t2)
    """
    import sympy

    return tuple(sympy.Symbol(f"t{i + 1}", real=True) for i in range(n))


def chart_of_box(
    symbols: tuple[Any, ...], images: tuple[Any, ...], sides: tuple[tuple[Number, Number], ...]
) -> Chart:
    """A chart on the box with the given sides, which are rounded outward and inward.

    Examples
    --------
    >>> t = chart_symbols(1)
    >>> chart_of_box(t, t, ((0, 1),)).inner
    ((0.0, 1.0),)
    """
    ends = [(_bounds(lower), _bounds(upper)) for lower, upper in sides]
    return Chart(
        symbols=tuple(symbols),
        images=tuple(images),
        lower=tuple(a[0] for a, _ in ends),
        upper=tuple(b[1] for _, b in ends),
        inner=tuple((a[1], b[0]) for a, b in ends),
    )


def rational(value: Fraction) -> Any:
    """A Fraction as a sympy number.

    Examples
    --------
    >>> rational(Fraction(2, 3))
    2/3
    """
    import sympy

    return sympy.Rational(value.numerator, value.denominator)


def _bounds(end: Number) -> tuple[float, float]:
    """The floats next to a number, on both sides; comparisons with floats are exact."""
    value = float(end)
    return (
        math.nextafter(value, -math.inf) if value > end else value,
        math.nextafter(value, math.inf) if value < end else value,
    )
