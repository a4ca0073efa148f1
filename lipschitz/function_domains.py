"""Domains of ordinary functions, convex or not, and how much longer paths are than straight lines.

On a convex domain a bound of the gradient is a Lipschitz constant. On a connected domain a
function with ``|grad f| <= K`` satisfies ``|f(x) - f(y)| <= K d(x, y)`` with the length ``d`` of
the shortest path inside, so that its constant is at most ``K sup d(x, y) / |x - y|``, and the
function ``d(x, .)`` shows that nothing smaller follows from K. That supremum, the *path ratio*, is
1 for convex domains, large for a U, infinite for a slit domain and for one in two parts.

A domain is described by charts: maps from boxes onto pieces of it. The bound of the gradient is
then a maximisation over boxes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from evidence import Enclosure
from lipschitz.domains import Ball, Box
from lipschitz.function_balls import as_ball, ball_bounds

__all__ = [
    "Chart",
    "ConvexPolygon",
    "Interval",
    "IntervalUnion",
    "SlitAnnulus",
    "UShape",
    "charts_of",
    "path_ratio",
]


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

    Examples
    --------
    >>> chart = Interval(0, 1).charts()[0]
    >>> chart.lower, chart.upper, chart.images == chart.symbols
    ((0.0,), (1.0,), True)
    """

    symbols: tuple[Any, ...]
    images: tuple[Any, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    inner: tuple[tuple[float, float], ...]


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
        (t,) = _symbols(1)
        return (_chart((t,), (t,), (self,)),)


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

        s, t = _symbols(2)
        (ax, ay), *rest = self.vertices
        charts = []
        for (bx, by), (cx, cy) in itertools.pairwise(rest):
            images = tuple(
                _rational(a) + s * (_rational(b - a) + t * _rational(c - b))
                for a, b, c in ((ax, bx, cx), (ay, by, cy))
            )
            charts.append(_chart((s, t), tuple(map(sympy.expand, images)), (Interval(0, 1),) * 2))
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

        r, angle = _symbols(2)
        low, high = ball_bounds(arb.pi() - as_ball(self.half_gap))
        turn = Interval(-high, high)
        chart = _chart(
            (r, angle),
            (r * sympy.cos(angle), r * sympy.sin(angle)),
            (Interval(self.inner, self.outer), turn),
        )
        inner = (chart.inner[0], (-low, low))
        return (
            Chart(
                symbols=chart.symbols,
                images=chart.images,
                lower=chart.lower,
                upper=chart.upper,
                inner=inner,
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
        x, y = _symbols(2)
        half, wide = Fraction(self.gap) / 2, Fraction(self.gap) / 2 + Fraction(self.width)
        up = Interval(0, self.leg)
        boxes = (
            (Interval(-wide, -half), up),
            (Interval(half, wide), up),
            (Interval(-wide, wide), Interval(-self.width, 0)),
        )
        return tuple(_chart((x, y), (x, y), box) for box in boxes)

    def far_pair(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """The inner tips of the two legs, as balls."""
        half, top = as_ball(Fraction(self.gap) / 2), as_ball(self.leg)
        return (-half, top), (half, top)


FunctionDomain = Interval | IntervalUnion | ConvexPolygon | SlitAnnulus | UShape


def path_ratio(domain: FunctionDomain) -> Enclosure:
    """``sup d(x, y) / |x - y|`` over the pairs of a domain, d being the length of paths inside.

    Parameters
    ----------
    domain : Interval, IntervalUnion, ConvexPolygon, SlitAnnulus or UShape

    Returns
    -------
    Enclosure
        1 exactly if the domain is convex; ``upper = inf`` and no finite lower bound beyond what
        was shown if it is infinite.

    Notes
    -----
    *U-shape.* With ``X = |x1 - x2|`` a path between the legs is at most ``X + y1 + y2`` long, so
    the ratio is at most ``1 + (y1 + y2) / X <= 1 + 2 leg / gap``, which the tips attain; if one
    point lies in the base a path along two sides of a rectangle gives at most ``sqrt 2``.

    *Slit annulus.* Shortest paths are taut strings around the hole. For points whose angles differ
    by ``D >= pi``, moving the outer one inward increases the ratio, and so does moving both inward
    together; on the inner circle it is ``(D/2) / sin(D/2)``, increasing in D. For ``D < pi`` an arc
    and a radial segment give at most ``sqrt(1 + pi^2/4) < 1.87``, less than the value at the
    largest D, since that is at least ``(pi - 1) / sin 1 > 2.5``.

    Examples
    --------
    >>> print(path_ratio(ConvexPolygon(((0, 0), (1, 0), (0, 1)))))
    1 exactly (convex)
    >>> path_ratio(SlitAnnulus(1, 2)).upper
    inf
    """
    if isinstance(domain, (Interval, ConvexPolygon)):
        return Enclosure.exact(1.0, "convex")
    if isinstance(domain, IntervalUnion):
        return Enclosure.at_least(math.nextafter(math.inf, 0.0), "no path between the parts")
    if isinstance(domain, UShape):
        ratio = 1 + 2 * Fraction(domain.leg) / Fraction(domain.gap)
        upper = max(ratio, Fraction(17, 12)) if ratio**2 < 2 else ratio  # 17/12 > sqrt 2
        return Enclosure(ratio, upper, "around the slot")  # type: ignore[arg-type]
    if domain.half_gap == 0:
        return Enclosure.at_least(math.nextafter(math.inf, 0.0), "across the slit")
    from flint import arb

    half = arb.pi() - as_ball(domain.half_gap)
    return Enclosure(*ball_bounds(half / arb.sin(half)), "around the hole")


# ---- charts -------------------------------------------------------------------------------------
def charts_of(domain: Any, dimension: int) -> tuple[Chart, ...]:
    """Charts of any domain of functions of `dimension` variables; None is the whole space.

    Boxes and balls of `lipschitz.domains` are understood; balls in at most two dimensions.

    Raises
    ------
    TypeError, ValueError
        If the domain is of another kind or dimension.

    Examples
    --------
    >>> charts_of(None, 2)[0].upper
    (inf, inf)
    """
    if domain is None:
        return (_identity((Interval(),) * dimension),)
    if isinstance(domain, Box):
        sides = zip(domain.lower.ravel().tolist(), domain.upper.ravel().tolist(), strict=True)
        charts: tuple[Chart, ...] = (_identity(tuple(Interval(a, b) for a, b in sides)),)
    elif isinstance(domain, Ball):
        charts = _ball_charts(domain)
    elif isinstance(domain, FunctionDomain):
        charts = domain.charts()
    else:
        raise TypeError(f"`domain` must be an Interval, a Box or the like, got {domain!r}")
    if len(charts[0].images) != dimension:
        raise ValueError(
            f"`domain` has dimension {len(charts[0].images)}, but `function` has {dimension} "
            "variables; use a sympy.Lambda to name those that do not occur"
        )
    return charts


def _identity(box: tuple[Interval, ...]) -> Chart:
    symbols = tuple(_symbols(len(box)))
    return _chart(symbols, symbols, box)


def _ball_charts(ball: Ball) -> tuple[Chart, ...]:
    import sympy

    center = [Fraction(float(c)) for c in ball.center.ravel()]
    radius = Fraction(ball.radius)
    if len(center) == 1:
        return (_identity((Interval(center[0] - radius, center[0] + radius),)),)
    if len(center) > 2:
        raise ValueError(f"`domain` is a ball in {len(center)} dimensions; use a Box beyond 2")
    r, angle = _symbols(2)
    images = (
        _rational(center[0]) + r * sympy.cos(angle),
        _rational(center[1]) + r * sympy.sin(angle),
    )
    # A full turn and a little more: every angle is covered, and each one lies in the ball.
    turn = Interval(-math.nextafter(math.pi, 4.0), math.nextafter(math.pi, 4.0))
    return (_chart((r, angle), images, (Interval(0, radius), turn)),)


def _symbols(n: int) -> Sequence[Any]:
    import sympy

    return [sympy.Symbol(f"t{i + 1}", real=True) for i in range(n)]


def _chart(symbols: tuple[Any, ...], images: tuple[Any, ...], box: tuple[Interval, ...]) -> Chart:
    ends = [(_bounds(side.lower), _bounds(side.upper)) for side in box]
    return Chart(
        symbols=symbols,
        images=images,
        lower=tuple(a[0] for a, _ in ends),
        upper=tuple(b[1] for _, b in ends),
        inner=tuple((a[1], b[0]) for a, b in ends),
    )


def _bounds(end: int | float | Fraction) -> tuple[float, float]:
    """The floats next to a number, on both sides; comparisons with floats are exact."""
    value = float(end)
    return (
        math.nextafter(value, -math.inf) if value > end else value,
        math.nextafter(value, math.inf) if value < end else value,
    )


def _rational(value: Fraction) -> Any:
    import sympy

    return sympy.Rational(value.numerator, value.denominator)


def _turn(a: tuple[Any, Any], b: tuple[Any, Any], c: tuple[Any, Any]) -> Fraction:
    return Fraction((b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]))
