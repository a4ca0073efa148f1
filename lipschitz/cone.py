"""The double cone: a function is K-Lipschitz if its graph never enters the cone of slope K.

``|f(y) - f(x)| <= K |y - x|`` for all x and y says that the graph, seen from any of its points,
stays outside the open double cone ``|v| > K |h|`` that opens upward and downward there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from evidence import NotCertified
from lipschitz.function_secants import Secant, secant_slopes

__all__ = ["ConeViolation", "double_cone_violation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConeViolation:
    """A point of a graph inside the double cone at another one.

    Parameters
    ----------
    apex, inside : Fraction
        The arguments of the two points.
    excess : float
        Lower bound of ``|f(inside) - f(apex)| / |inside - apex| - K``, positive.

    Examples
    --------
    >>> double_cone_violation(lambda x: x * x, [0, 1, 3], 2)
    ConeViolation(apex=Fraction(1, 1), inside=Fraction(3, 1), excess=2.0)
    """

    apex: Fraction
    inside: Fraction
    excess: float


def double_cone_violation(
    function: Any, points: Sequence[Any], constant: float | Fraction
) -> ConeViolation | None:
    """The pair of points that lies deepest inside the double cone of slope K, if there is one.

    Parameters
    ----------
    function : sympy expression, PiecewiseLinear or callable on Fractions
        Of one variable.
    points : sequence of int, float or Fraction
        Where the graph is looked at; at least two, all different.
    constant : float or Fraction
        K, at least 0.

    Returns
    -------
    ConeViolation or None
        A violation proves that f is not K-Lipschitz. None is proved as well, but about these
        points only: it says nothing about the points between.

    Raises
    ------
    ValueError
        If K is negative, infinite or NaN.
    NotCertified
        If a slope is too close to K for its enclosure to decide.

    Examples
    --------
    The cone may be touched: |x| is 1-Lipschitz.

    >>> double_cone_violation(abs, [-1, 0, 2], 1) is None
    True
    >>> double_cone_violation(abs, [-1, 0, 2], 0.5).excess
    0.5
    """
    if not 0 <= constant < math.inf:
        raise ValueError(f"`constant` must be a finite number from 0, got {constant}")
    K = Fraction(constant)
    secants = secant_slopes(function, points)
    steepest = max(secants, key=_surely)
    if _surely(steepest) > K:
        excess = _surely(steepest) - K
        rounded = float(excess)
        return ConeViolation(
            apex=steepest.first[0],
            inside=steepest.second[0],
            excess=rounded if rounded <= excess else math.nextafter(rounded, 0.0),
        )
    undecided = [s for s in secants if s.exact is None and s.slope.upper > K]
    if undecided:
        raise NotCertified(
            f"`constant` = {float(K):.17g} is too close to the slope of a secant, which is only "
            f"known to lie in {undecided[0].slope}; pass a larger or a smaller one",
            estimate=undecided[0].slope.lower,
        )
    return None


def _surely(secant: Secant) -> Fraction:
    """The slope, or what it is at least."""
    return Fraction(secant.slope.lower) if secant.exact is None else secant.exact
