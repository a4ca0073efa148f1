"""Slopes of secants: each is a lower bound of the Lipschitz constant, proved where it is claimed.

Values are exact (functions of Fractions) or enclosed by Arb balls (sympy expressions, networks), so
that a slope never exceeds the true one. Plain float functions are refused: a difference quotient
of rounded values over a short distance can be larger than the constant.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from evidence import Enclosure
from lipschitz.function_balls import as_ball, ball_bounds, ball_value
from lipschitz.function_norms import dual_norm
from lipschitz.network import Network

__all__ = ["Secant", "secant_slopes", "steepest_secant", "values_at"]

Point = tuple[Fraction, ...]
BITS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Secant:
    """The line through two points of a graph.

    Parameters
    ----------
    slope : Enclosure
        Of ``|f(x) - f(y)| / ||x - y||``; its lower side bounds the Lipschitz constant from below.
    first, second : tuple of Fraction
        The two points.
    exact : Fraction or None
        The slope itself, if it is known and rational.

    Examples
    --------
    >>> steep = steepest_secant(lambda x: x * x, [0, 1, 3])
    >>> steep.slope.lower, steep.first, steep.second
    (4.0, (Fraction(1, 1),), (Fraction(3, 1),))
    >>> print(steep.bound)
    >= 4 (lower bound only: secant)
    """

    slope: Enclosure
    first: Point
    second: Point
    exact: Fraction | None = None

    @property
    def bound(self) -> Enclosure:
        """What the secant says about the Lipschitz constant: a lower bound."""
        return Enclosure.at_least(self.slope.lower, "secant")


def secant_slopes(function: Any, points: Sequence[Any], *, norm: float = 2) -> list[Secant]:
    """Enclosures of the slopes of the secants between all pairs of points.

    Parameters
    ----------
    function : sympy expression, Network, PiecewiseLinear or callable
        A callable is given Fractions, one for each coordinate, and must return an int or a
        Fraction; an expression takes its variables in the order of their names.
    points : sequence of numbers or of sequences of numbers
        Ints, floats or Fractions, taken as exact; at least two, all different.
    norm : 1, 2 or inf, optional
        Ground norm of the inputs (and of a network's outputs).

    Returns
    -------
    list of Secant
        ``n (n - 1) / 2`` of them.

    Raises
    ------
    TypeError
        If a callable returns a float: its rounding error is unknown.
    ValueError
        If there are fewer than two points or two coincide.
    NotCertified
        If an expression has a function without ball arithmetic here.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> [print(secant.slope) for secant in secant_slopes(sympy.sin(x), [0, 0.5])]
    [0.958851, 0.9588511] (secant)
    [None]
    >>> secant_slopes(lambda x: float(x) ** 2, [0, 1])
    Traceback (most recent call last):
    ...
    TypeError: `function` must return an int or a Fraction for Fractions, got float; pass a \
sympy expression, or write the function without floats
    """
    dual_norm(norm)
    places = _places(points)
    values = values_at(function, places)
    secants = []
    for (x, f), (y, g) in itertools.combinations(zip(places, values, strict=True), 2):
        if x == y:
            raise ValueError(f"`points` must be different, got {tuple(map(str, x))} twice")
        slope, exact = _slope(x, f, y, g, norm)
        secants.append(Secant(slope=slope, first=x, second=y, exact=exact))
    return secants


def steepest_secant(function: Any, points: Sequence[Any], *, norm: float = 2) -> Secant:
    """The secant with the largest proved slope: a sampled lower bound of the Lipschitz constant.

    Parameters
    ----------
    function, points, norm
        As in `secant_slopes`.

    Returns
    -------
    Secant
        Its ``bound`` has ``upper = inf``: samples bound nothing from above.

    Examples
    --------
    >>> print(steepest_secant(lambda x: abs(x), [-1, Fraction(1, 3), 2]).bound)
    >= 1 (lower bound only: secant)
    """
    return max(secant_slopes(function, points, norm=norm), key=lambda s: s.slope.lower)


def values_at(function: Any, points: Sequence[Point]) -> list[tuple[Any, ...]]:
    """Values of a function at exact points, as Fractions or balls, one tuple per point.

    Examples
    --------
    >>> values_at(lambda x, y: x * y, [(Fraction(1, 2), Fraction(3))])
    [(Fraction(3, 2),)]
    """
    if isinstance(function, Network):
        from lipschitz.high_precision import derivative_balls

        found: list[tuple[Any, ...]] = []
        for p in points:
            x = np.array([float(v) for v in p])
            if any(Fraction(a) != b for a, b in zip(x.tolist(), p, strict=True)):
                raise ValueError("`points` of a network must be floats; round them first")
            x = x.reshape(function.input_shape)
            found.append(tuple(derivative_balls(function, x, np.zeros_like(x), BITS)[0].ravel()))
        return found
    if hasattr(function, "free_symbols"):
        from flint import ctx

        symbols = sorted(function.free_symbols, key=lambda s: s.name)
        with ctx.workprec(BITS):
            return [
                (ball_value(function, dict(zip(symbols, map(as_ball, p), strict=False))),)
                for p in points
            ]
    if not callable(function):
        raise TypeError(f"`function` must be callable or a sympy expression, got {function!r}")
    return [(_exact_value(function, p),) for p in points]


def _exact_value(function: Callable[..., Any], point: Point) -> Fraction:
    value = function(*point)
    if isinstance(value, bool) or not isinstance(value, (int, Fraction)):
        raise TypeError(
            f"`function` must return an int or a Fraction for Fractions, got "
            f"{type(value).__name__}; pass a sympy expression, or write the function without floats"
        )
    return Fraction(value)


def _slope(
    x: Point, f: tuple[Any, ...], y: Point, g: tuple[Any, ...], norm: float
) -> tuple[Enclosure, Fraction | None]:
    from flint import ctx

    run = [abs(b - a) for a, b in zip(x, y, strict=True)]
    with ctx.workprec(BITS):
        exact = all(isinstance(v, Fraction) for v in (*f, *g))
        rise = [abs(b - a) for a, b in zip(f, g, strict=True)]
        if exact and (norm != 2 or len(run) == 1):
            slope = _length(rise, norm) / _length(run, norm)
            return Enclosure(slope, slope, "secant"), Fraction(slope)
        ball = _length(list(map(as_ball, rise)), norm) / _length(list(map(as_ball, run)), norm)
    lower, upper = ball_bounds(ball)
    return Enclosure(max(lower, 0.0), upper, "secant"), None


def _length(vector: list[Any], norm: float) -> Any:
    if len(vector) == 1:
        return vector[0]
    if norm == math.inf:
        largest = vector[0]
        for v in vector[1:]:
            largest = largest.max(v) if hasattr(largest, "max") else max(largest, v)
        return largest
    if norm == 1:
        return sum(vector[1:], vector[0])
    if norm != 2:
        raise ValueError(f"`norm` must be 1, 2 or inf, got {norm:.17g}")
    return sum((v * v for v in vector[1:]), vector[0] * vector[0]).sqrt()


def _places(points: Sequence[Any]) -> list[Point]:
    places: list[Point] = []
    for p in points:
        entries = p if isinstance(p, (tuple, list, np.ndarray)) else (p,)
        try:
            places.append(tuple(Fraction(v) for v in np.asarray(entries, dtype=object).ravel()))
        except (TypeError, ValueError, OverflowError) as error:
            raise TypeError(
                f"`points` must hold finite ints, floats or Fractions: {error}"
            ) from error
    if len(places) < 2 or len({len(p) for p in places}) > 1:
        raise ValueError("`points` must be at least two, all of one dimension")
    return places
