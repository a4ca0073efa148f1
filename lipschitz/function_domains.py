"""Domains of ordinary functions: intervals, polygons, and three that are not convex.

A domain is described by charts: maps from boxes onto pieces of it. The bound of a gradient is then
a maximisation over boxes.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lipschitz.function_balls import as_ball, ball_bounds
from lipschitz.function_charts import Chart, chart_of_box, chart_symbols, rational

__all__ = ["ConvexPolygon", "Interval", "IntervalUnion", "SlitAnnulus", "UShape"]


@dataclass(frozen=True, slots=True)
class Interval:
    """The interval from `lower` to `upper`, either of which may be infinite.

    Parameters
    ----------
    lower, upper : int, float or Fraction
        ``lower < upper``.

    Raises
    ------
    ValueError, TypeError
        If an end is no number or the two are not in order.

    Examples
    --------
    >>> Interval(0, Fraction(1, 3)).is_bounded, Interval().is_bounded
    (True, False)
    >>> Interval(1, 0)
    Traceback (most recent call last):
    ...
    ValueError: `lower` must be less than `upper`, got 1 and 0; swap the ends?
    """

    lower: int | float | Fraction = -math.inf
    upper: int | float | Fraction = math.inf

    def __post_init__(self) -> None:
        for name, end in (("lower", self.lower), ("upper", self.upper)):
            if isinstance(end, bool) or not isinstance(end, (int, float, Fraction)) or end != end:
                raise TypeError(f"`{name}` must be an int, a float or a Fraction, got {end!r}")
        if not self.lower < self.upper:
            raise ValueError(
                f"`lower` must be less than `upper`, got {self.lower} and {self.upper}; "
                "swap the ends?"
            )

    @property
    def is_bounded(self) -> bool:
        """Whether both ends are finite."""
        return math.isfinite(self.lower) and math.isfinite(self.upper)

    def charts(self) -> tuple[Chart, ...]:
        """The interval itself."""
        (t,) = chart_symbols(1)
        return (chart_of_box((t,), (t,), ((self.lower, self.upper),)),)


@dataclass(frozen=True, slots=True)
class IntervalUnion:
    """Finitely many bounded closed intervals without common points: a domain in several parts.

    The derivative says nothing about the jump from one part to the next: the path ratio is
    infinite.

    Parameters
    ----------
    parts : sequence of Interval
        At least two, in increasing order, with gaps between them.

    Raises
    ------
    ValueError
        If they touch, are out of order or unbounded.

    Examples
    --------
    >>> len(IntervalUnion((Interval(0, 1), Interval(2, 3))).parts)
    2
    """

    parts: tuple[Interval, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if len(self.parts) < 2 or not all(part.is_bounded for part in self.parts):
            raise ValueError("`parts` must be at least two bounded intervals; use `Interval`")
        for a, b in itertools.pairwise(self.parts):
            if not a.upper < b.lower:
                raise ValueError(
                    f"`parts` must be in order with gaps between them, got {a.upper} before "
                    f"{b.lower}; join the parts that touch"
                )

    def charts(self) -> tuple[Chart, ...]:
        """One for each part."""
        return tuple(chart for part in self.parts for chart in part.charts())


@dataclass(frozen=True, slots=True)
class ConvexPolygon:
    """The convex hull of points in the plane, given in counterclockwise order.

    Parameters
    ----------
    vertices : sequence of pairs of int, float or Fraction
        Every three in a row turn left; decided exactly.

    Raises
    ------
    ValueError
        If they do not.

    Examples
    --------
    >>> len(ConvexPolygon(((0, 0), (1, 0), (1, 1), (0, 1))).charts())
    2
    >>> ConvexPolygon(((0, 0), (0, 1), (1, 0)))
    Traceback (most recent call last):
    ...
    ValueError: `vertices` must turn left at every vertex, but not at vertex 0; reverse the order?
    """

    vertices: tuple[tuple[Any, Any], ...]

    def __post_init__(self) -> None:
        corners = [(Fraction(x), Fraction(y)) for x, y in self.vertices]
        object.__setattr__(self, "vertices", tuple(corners))
        if len(corners) < 3:
            raise ValueError(f"`vertices` must be at least 3 points, got {len(corners)}")
        n = len(corners)
        for i in range(n):
            if _turn(corners[i - 1], corners[i], corners[(i + 1) % n]) <= 0:
                raise ValueError(
                    f"`vertices` must turn left at every vertex, but not at vertex {i}; "
                    "reverse the order?"
                )
        # Left turns alone allow a star: seen from the first vertex the others must turn left too.
        if any(_turn(corners[0], corners[i], corners[i + 1]) <= 0 for i in range(1, n - 1)):
            raise ValueError("`vertices` must go around once; pass the vertices of the hull")

    def charts(self) -> tuple[Chart, ...]:
        """A fan of triangles, each the image of the unit square."""
        import sympy

        s, t = chart_symbols(2)
        (ax, ay), *rest = self.vertices
        charts = []
        for (bx, by), (cx, cy) in itertools.pairwise(rest):
            images = tuple(
                rational(a) + s * (rational(b - a) + t * rational(c - b))
                for a, b, c in ((ax, bx, cx), (ay, by, cy))
            )
            charts.append(chart_of_box((s, t), tuple(map(sympy.expand, images)), ((0, 1),) * 2))
        return tuple(charts)


@dataclass(frozen=True, slots=True)
class SlitAnnulus:
    """``inner <= r <= outer`` in the plane without a wedge around the negative first axis.

    Polar angles run from ``-(pi - half_gap)`` to ``pi - half_gap``; with ``half_gap = 0`` a ray is
    missing. Two points on either side of the slit are close, but every path between them
    goes around the hole.

    Parameters
    ----------
    inner, outer : int, float or Fraction
        Radii, ``0 < inner < outer``.
    half_gap : int, float or Fraction, optional
        Half the angle of the wedge, from 0 to 1.

    Raises
    ------
    ValueError
        If the radii or the angle are out of range.

    Examples
    --------
    >>> from lipschitz.function_paths import path_ratio
    >>> print(path_ratio(SlitAnnulus(1, 2, Fraction(1, 100))))
    [313.1644, 313.1645] (around the hole)
    """

    inner: int | float | Fraction
    outer: int | float | Fraction
    half_gap: int | float | Fraction = 0

    def __post_init__(self) -> None:
        if not 0 < self.inner < self.outer < math.inf:
            raise ValueError(
                f"`inner` and `outer` must be radii with 0 < inner < outer, got {self.inner} and "
                f"{self.outer}"
            )
        if not 0 <= self.half_gap <= 1:
            raise ValueError(f"`half_gap` must be an angle from 0 to 1, got {self.half_gap}")

    def charts(self) -> tuple[Chart, ...]:
        """Polar coordinates."""
        import sympy
        from flint import arb

        r, angle = chart_symbols(2)
        low, high = ball_bounds(arb.pi() - as_ball(self.half_gap))
        turn = (-high, high)
        chart = chart_of_box(
            (r, angle),
            (r * sympy.cos(angle), r * sympy.sin(angle)),
            ((self.inner, self.outer), turn),
        )
        inner = (chart.inner[0], (-low, low))
        return (
            Chart(
                symbols=chart.symbols,
                images=chart.images,
                lower=chart.lower,
                upper=chart.upper,
                inner=inner,
                identities=((sympy.atan2(chart.images[1], chart.images[0]), angle),),
            ),
        )

    def far_pair(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Two points, as balls, whose path ratio is the largest (large, if there is no gap)."""
        from flint import arb

        gap = as_ball(self.half_gap or Fraction(1, 2**20))
        x, y = -as_ball(self.inner) * arb.cos(gap), as_ball(self.inner) * arb.sin(gap)
        return (x, y), (x, -y)


@dataclass(frozen=True, slots=True)
class UShape:
    """Two legs on a base: the rectangle ``|x| <= gap/2 + width``, ``-width <= y <= leg``, with a
    slot ``|x| < gap/2``, ``y > 0`` cut out.

    Parameters
    ----------
    leg, gap, width : int, float or Fraction
        Positive.

    Raises
    ------
    ValueError
        If one is not.

    Examples
    --------
    >>> from lipschitz.function_paths import path_ratio
    >>> print(path_ratio(UShape(10, Fraction(1, 10))))
    201 exactly (around the slot)
    """

    leg: int | float | Fraction
    gap: int | float | Fraction
    width: int | float | Fraction = 1

    def __post_init__(self) -> None:
        for name in ("leg", "gap", "width"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be positive, got {getattr(self, name)}")

    def charts(self) -> tuple[Chart, ...]:
        """Left leg, right leg and base, as rectangles."""
        x, y = chart_symbols(2)
        half, wide = Fraction(self.gap) / 2, Fraction(self.gap) / 2 + Fraction(self.width)
        up = (0, self.leg)
        boxes = (
            ((-wide, -half), up),
            ((half, wide), up),
            ((-wide, wide), (-self.width, 0)),
        )
        return tuple(chart_of_box((x, y), (x, y), box) for box in boxes)

    def far_pair(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """The inner tips of the two legs, as balls."""
        half, top = as_ball(Fraction(self.gap) / 2), as_ball(self.leg)
        return (-half, top), (half, top)


def _turn(a: tuple[Any, Any], b: tuple[Any, Any], c: tuple[Any, Any]) -> Fraction:
    return Fraction((b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]))
