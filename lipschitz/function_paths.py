"""How much longer paths inside a domain are than straight lines, and charts of any domain.

On a convex domain a bound of the gradient is a Lipschitz constant. On a connected domain a
function with ``|grad f| <= K`` satisfies ``|f(x) - f(y)| <= K d(x, y)`` with the length ``d`` of
the shortest path inside, so that its constant is at most ``K sup d(x, y) / |x - y|``, and the
function ``d(x, .)`` shows that nothing smaller follows from K. That supremum, the *path ratio*, is
1 for convex domains, large for a U, infinite for a slit domain and for one in two parts.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from evidence import Enclosure
from lipschitz.domains import Ball, Box
from lipschitz.function_balls import as_ball, ball_bounds
from lipschitz.function_charts import Chart, chart_of_box, chart_symbols, rational
from lipschitz.function_domains import (
    ConvexPolygon,
    Interval,
    IntervalUnion,
    SlitAnnulus,
    UShape,
)

__all__ = ["FunctionDomain", "charts_of", "path_ratio"]

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
        return (_identity(((-math.inf, math.inf),) * dimension),)
    if isinstance(domain, Box):
        sides = zip(domain.lower.ravel().tolist(), domain.upper.ravel().tolist(), strict=True)
        charts: tuple[Chart, ...] = (_identity(tuple(sides)),)
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


def _identity(box: tuple[tuple[Any, Any], ...]) -> Chart:
    symbols = chart_symbols(len(box))
    return chart_of_box(symbols, symbols, box)


def _ball_charts(ball: Ball) -> tuple[Chart, ...]:
    import sympy

    center = [Fraction(float(c)) for c in ball.center.ravel()]
    radius = Fraction(ball.radius)
    if len(center) == 1:
        return (_identity(((center[0] - radius, center[0] + radius),)),)
    if len(center) > 2:
        raise ValueError(f"`domain` is a ball in {len(center)} dimensions; use a Box beyond 2")
    r, angle = chart_symbols(2)
    images = (
        rational(center[0]) + r * sympy.cos(angle),
        rational(center[1]) + r * sympy.sin(angle),
    )
    # A full turn and a little more: every angle is covered, and each one lies in the ball.
    turn = math.nextafter(math.pi, 4.0)
    return (chart_of_box((r, angle), images, ((0, radius), (-turn, turn))),)
