"""Lipschitz <=> bounded gradient, executable: the constant of an ordinary function on a domain.

A function that is differentiable on a convex domain is K-Lipschitz if and only if its gradient is
at most K there, in the dual norm (mean value theorem along segments; conversely the derivative
along ``v`` is a limit of secant slopes). So the constant is the supremum of a formula, which is
enclosed by interval branch and bound. On a domain that is not convex the gradient bounds nothing by
itself: the bound is multiplied by the path ratio of the domain, which may be infinite.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from evidence import Enclosure, NotCertified
from evidence.rounding import mul_up
from evidence.validation import positive_float
from lipschitz.domains import Ball, Box
from lipschitz.function_balls import ball_bounds, ball_value
from lipschitz.function_charts import Chart
from lipschitz.function_closed_forms import closed_form
from lipschitz.function_divergence import (
    Divergence,
    curvature_divergence,
    jump_divergence,
    steep_end_divergence,
)
from lipschitz.function_domains import Interval, IntervalUnion, SlitAnnulus, UShape
from lipschitz.function_expressions import Expression, check_continuity, read_expression
from lipschitz.function_forms import other_forms, partial_derivatives, shortest
from lipschitz.function_norms import dual_norm
from lipschitz.function_paths import FunctionDomain, charts_of, path_ratio
from lipschitz.function_piecewise import PiecewiseLinear
from lipschitz.function_search import Maximum, maximise_over_chart

__all__ = ["FunctionConstant", "lipschitz_constant_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionConstant:
    """The Lipschitz constant of an ordinary function on a domain.

    Parameters
    ----------
    bound : Enclosure
        Proved; ``upper = inf`` if there is no constant, or none was found (see `divergence`).
    exact : sympy number, Fraction or None
        A closed form, inside `bound`. For piecewise linear functions and for polynomials it is
        proved; for other functions sympy proposed it.
    point : tuple of float or None
        A point of the domain where the gradient has at least the norm ``bound.lower``; None if a
        secant gave the lower side.
    divergence : Divergence or None
        The proof that no constant exists, with a secant above any K.

    Examples
    --------
    >>> constant = lipschitz_constant_of(PiecewiseLinear([0, 1, 3], [0, 2, 1]))
    >>> constant.exact, constant.has_constant
    (Fraction(2, 1), True)
    """

    bound: Enclosure
    exact: Any = None
    point: tuple[float, ...] | None = None
    divergence: Divergence | None = None

    @property
    def has_constant(self) -> bool | None:
        """Whether the function is Lipschitz on the domain; None if that is not decided."""
        if math.isfinite(self.bound.upper):
            return True
        return None if self.divergence is None else False


def lipschitz_constant_of(
    function: Any,
    domain: FunctionDomain | Box | Ball | None = None,
    *,
    norm: float = 2,
    rtol: float = 1e-6,
    time_limit: float = 10.0,
) -> FunctionConstant:
    """Enclose the Lipschitz constant of a real function of one or several variables.

    The least K with ``|f(x) - f(y)| <= K ||x - y||_p`` for all x, y of the domain.

    Parameters
    ----------
    function : sympy expression, sympy.Lambda, callable on symbols, or PiecewiseLinear
        Built from ``+ - * / ** exp log sin cos tan sinh cosh tanh asinh atan Abs Max Min`` and
        the like; functions by cases (Piecewise, sign, Heaviside) in one variable only.
    domain : Interval, IntervalUnion, Box, Ball, ConvexPolygon, SlitAnnulus or UShape, optional
        The whole space if it is not given.
    norm : 1, 2 or inf, optional
        Ground norm p of the inputs; gradients are measured in its dual. Domains that are not
        convex take 2 only.
    rtol : float, optional
        Relative width asked of the bound; what is not reached shows in the bound.
    time_limit : float, optional
        Seconds for each search; what is proved until then is returned.

    Returns
    -------
    FunctionConstant

    Raises
    ------
    NotCertified
        If the function may be discontinuous on the domain, or a function has no interval version.
    TypeError, ValueError
        If an argument is of another kind, or the dimensions differ.

    Notes
    -----
    Upper side: the closed domain is covered by boxes, and on each the supremum of the squared
    dual norm of the gradient is bounded in outward-rounded interval arithmetic. Where the formula
    of the gradient has a sign or a step, all values between are allowed, so that kinks are
    covered. Continuity is proved first; at the borders of cases sympy shows that the two values
    are equal, balls that they differ.
    Lower side: the same arithmetic at single points, and secants in balls.
    A kink of several variables is enclosed but not converged to: its steps vary independently, so
    that `rtol` is not reached (``Max(x, y)`` has constant 1 in l2, and gets ``[1, 1.4143]``).
    A kink at the very end of an interval counts as if the function went on beyond it: the upper
    side is then that of a slightly larger interval.

    On an interval in several parts the secants between parts are maximised as well. On a slit
    annulus and a U the upper side is ``path_ratio * sup |grad f|``, which is attained by some
    function with this gradient bound, not necessarily by the one at hand.

    Examples
    --------
    >>> import sympy
    >>> x, y = sympy.symbols("x y", real=True)
    >>> lipschitz_constant_of(sympy.sin(x)).exact
    1
    >>> print(lipschitz_constant_of(x**3 - 2 * x, Interval(0, 1)).exact)
    2
    >>> print(lipschitz_constant_of(3 * x + 4 * y, norm=1).bound)
    4 exactly (gradient is constant)

    The square has no constant on the line, and 6 on [-3, 3]:

    >>> lipschitz_constant_of(x**2).has_constant
    False
    >>> lipschitz_constant_of(x**2, Interval(-3, 3)).exact
    6

    A gradient of norm at most 1 on a domain that is not convex:

    >>> angle = sympy.atan2(y, x)
    >>> across = lipschitz_constant_of(sympy.Lambda((x, y), angle), SlitAnnulus(1, 2, 0.01))
    >>> print(across.bound)
    [313.1644, 313.1645] (path ratio * gradient & secant)
    """
    q = dual_norm(norm)
    if q not in (1.0, 2.0, math.inf):
        raise ValueError(f"`norm` must be 1, 2 or inf, got {float(norm):.17g}")
    positive_float(rtol, "rtol")
    positive_float(time_limit, "time_limit")
    if isinstance(function, PiecewiseLinear):
        return _piecewise_linear(function, domain)
    expression = read_expression(function)
    charts = charts_of(domain, len(expression.symbols))
    if isinstance(domain, (SlitAnnulus, UShape)) and norm != 2:
        raise ValueError(f"`norm` must be 2 on a {type(domain).__name__}, got {float(norm):.17g}")
    lines = _lines(domain, expression)
    if lines:
        expression = _by_cases(expression)
    if (found := _no_constant(expression, lines, is_everywhere=domain is None)) is not None:
        return found
    for chart in charts:
        check_continuity(
            _pulled_back(expression.formula, expression, chart), chart, cases_agree=bool(lines)
        )
    line = lines[0] if len(lines) == 1 else None
    exact = closed_form(expression.formula, expression.symbols[0], line) if line else None
    maxima = list(_gradient_maxima(expression, charts, q, rtol, time_limit))
    bound, point = _largest(maxima)
    if isinstance(domain, IntervalUnion):
        jumps = _across_gaps(expression, domain, rtol, time_limit)
        bound = bound.maximum(*jumps)
        point = None
    elif isinstance(domain, (SlitAnnulus, UShape)):
        bound, point = _around(expression, domain, bound), None
    if exact is not None:
        bound = bound & exact.bound if exact.is_proved else bound
        if not bound.overlaps(exact.bound):
            exact = None
    return FunctionConstant(bound=bound, exact=exact.value if exact else None, point=point)


def _piecewise_linear(function: PiecewiseLinear, domain: Any) -> FunctionConstant:
    if domain is not None and not isinstance(domain, Interval):
        raise TypeError(f"`domain` must be an Interval, got {type(domain).__name__}")
    ends: tuple[Any, Any] = (None, None)
    if domain is not None:
        ends = tuple(e if math.isfinite(e) else None for e in (domain.lower, domain.upper))  # type: ignore[assignment]
    value = function.lipschitz_constant(*ends)
    return FunctionConstant(
        bound=Enclosure(value, value, "steepest piece"),  # type: ignore[arg-type]
        exact=value,
    )


def _lines(domain: Any, expression: Expression) -> tuple[Interval, ...]:
    """The intervals that make up the domain of a function of one variable."""
    if len(expression.symbols) != 1:
        return ()
    if domain is None:
        return (Interval(),)
    if isinstance(domain, Box):
        return (Interval(float(domain.lower.ravel()[0]), float(domain.upper.ravel()[0])),)
    if isinstance(domain, Ball):
        center, radius = Fraction(float(domain.center.ravel()[0])), Fraction(domain.radius)
        return (Interval(center - radius, center + radius),)
    return domain.parts if isinstance(domain, IntervalUnion) else (domain,)


def _has_cases(formula: Any) -> bool:
    import sympy

    return bool(formula.atoms(sympy.Piecewise))


def _by_cases(expression: Expression) -> Expression:
    import sympy

    formula = expression.formula
    if formula.atoms(sympy.sign, sympy.Heaviside):
        formula = formula.rewrite(sympy.Piecewise)
    return Expression(formula=formula, symbols=expression.symbols)


def _no_constant(
    expression: Expression, lines: Sequence[Interval], *, is_everywhere: bool
) -> FunctionConstant | None:
    found = None
    formula = expression.formula
    for line in lines:
        (symbol,) = expression.symbols
        if found is None and _has_cases(formula):
            found = jump_divergence(formula, symbol, line)
        if found is None and not line.is_bounded:
            found = curvature_divergence(formula, symbol, line)
        if found is None:
            found = steep_end_divergence(formula, symbol, line)
    if is_everywhere and not lines:
        # Along an axis through the origin a function of several variables is one of one variable.
        for symbol in expression.symbols:
            rest = {s: 0 for s in expression.symbols if s != symbol}
            found = found or curvature_divergence(formula.subs(rest), symbol, Interval())
    if found is None:
        return None
    try:
        lower = found.secant_above(1e6).slope.lower
    except NotCertified as error:
        raise NotCertified(
            f"`function` seems to have no constant ({found.reason}), but no steep secant was "
            "found; pass a domain without that place"
        ) from error
    return FunctionConstant(
        bound=Enclosure.at_least(lower, f"no constant: {found.reason}"), divergence=found
    )


# ---- gradients ----------------------------------------------------------------------------------
def _pulled_back(formula: Any, expression: Expression, chart: Chart) -> Any:
    inside = formula.xreplace(dict(zip(expression.symbols, chart.images, strict=True)))
    return inside.xreplace(dict(chart.identities))


def _squares(gradient: Sequence[Any], q: float) -> Iterator[Any]:
    """Expressions the largest of which is the squared q-norm of the gradient."""
    if q == 2.0:
        yield sum(g**2 for g in gradient)
    elif q == math.inf:
        yield from (g**2 for g in gradient)
    else:
        for signs in itertools.product((1, -1), repeat=len(gradient) - 1):
            yield sum(s * g for s, g in zip((1, *signs), gradient, strict=True)) ** 2


def _gradient_maxima(
    expression: Expression, charts: Sequence[Chart], q: float, rtol: float, time_limit: float
) -> Iterator[tuple[Maximum, Chart]]:
    import sympy

    formula = expression.formula
    if len(expression.symbols) == 1 and formula.atoms(sympy.Max, sympy.Min):
        # At a kink of several terms cases allow the slopes next to it only, sums of steps more.
        formula = formula.rewrite(sympy.Piecewise)
    gradient = [sympy.diff(formula, s) for s in expression.symbols]
    if any(g.atoms(sympy.DiracDelta) for g in gradient):
        raise NotCertified("`function` has a derivative that is no function; it may jump")
    for square in _squares(gradient, q):
        for chart in charts:
            quantity = shortest(_pulled_back(square, expression, chart))
            if not quantity.free_symbols:
                value = Enclosure(*ball_bounds(ball_value(quantity, {})), "gradient is constant")
                yield Maximum(value=value, point=_inside(chart), boxes=0), chart
                continue
            found = maximise_over_chart(
                quantity,
                chart,
                gradient=partial_derivatives(quantity, chart.symbols),
                alternatives=other_forms(quantity, chart.symbols),
                rtol=rtol,
                time_limit=time_limit,
            )
            yield found, chart


def _inside(chart: Chart) -> tuple[float, ...]:
    return tuple(min(max(0.0, low), high) for low, high in chart.inner)


def _largest(
    maxima: Sequence[tuple[Maximum, Chart]],
) -> tuple[Enclosure, tuple[float, ...] | None]:
    values = [found.value.sqrt() for found, _ in maxima]
    upper = max(v.upper for v in values)
    i = max(range(len(values)), key=lambda k: values[k].lower)
    found, chart = maxima[i]
    constant = all(found.boxes == 0 for found, _ in maxima)
    method = "gradient is constant" if constant else "gradient"
    return Enclosure(values[i].lower, upper, method), _image(found, chart)


def _image(found: Maximum, chart: Chart) -> tuple[float, ...] | None:
    if found.point is None:
        return None
    values = dict(zip(chart.symbols, found.point, strict=True))
    return tuple(float(image.subs(values)) for image in chart.images)


# ---- domains that are not convex ----------------------------------------------------------------
def _around(expression: Expression, domain: SlitAnnulus | UShape, gradient: Enclosure) -> Enclosure:
    ratio = path_ratio(domain)
    upper = mul_up(gradient.upper, ratio.upper) if gradient.upper else 0.0
    pair = domain.far_pair()
    f, g = (
        ball_value(expression.formula, dict(zip(expression.symbols, p, strict=True))) for p in pair
    )
    (x, y), (u, v) = pair
    run = ((u - x) * (u - x) + (v - y) * (v - y)).sqrt()
    secant = max(ball_bounds(abs(g - f) / run)[0], 0.0)
    return Enclosure(max(gradient.lower, secant), upper, "path ratio * gradient & secant")


def _across_gaps(
    expression: Expression, domain: IntervalUnion, rtol: float, time_limit: float
) -> Iterator[Enclosure]:
    """Secants between any two parts: a maximisation in two variables over a rectangle."""
    import sympy

    (symbol,) = expression.symbols
    for first, second in itertools.combinations(domain.parts, 2):
        (a,), (b,) = first.charts(), second.charts()
        s, t = sympy.symbols("t1 t2", real=True)
        f, g = (expression.formula.xreplace({symbol: v}) for v in (s, t))
        square = ((g - f) / (t - s)) ** 2
        chart = Chart(
            symbols=(s, t),
            images=(s, t),
            lower=(*a.lower, *b.lower),
            upper=(*a.upper, *b.upper),
            inner=(*a.inner, *b.inner),
        )
        found = maximise_over_chart(
            square,
            chart,
            gradient=partial_derivatives(square, (s, t)),
            rtol=rtol,
            time_limit=time_limit,
        )
        yield found.value.sqrt()
