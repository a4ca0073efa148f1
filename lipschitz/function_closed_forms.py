"""The largest modulus of a derivative on an interval in closed form, where sympy has one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from evidence import Enclosure, NotCertified
from lipschitz.function_balls import ball_bounds, ball_value
from lipschitz.function_domains import Interval

__all__ = ["ClosedForm", "closed_form"]

MOST_OPERATIONS = 60
FEW_OPERATIONS = 6
LARGEST_DEGREE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedForm:
    """A number written down by sympy, with an enclosure of its value in balls.

    Parameters
    ----------
    value : sympy number
    bound : Enclosure
        Of that number; two-sided about the supremum only if `is_proved`.
    is_proved : bool
        Whether it is proved to be the supremum: for polynomials with rational coefficients, whose
        critical points are isolated exactly.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> found = closed_form(x**3 / 3 - x, x, Interval(-1, 2))
    >>> found.value, found.is_proved
    (3, True)
    """

    value: Any
    bound: Enclosure
    is_proved: bool


def closed_form(formula: Any, symbol: Any, domain: Interval) -> ClosedForm | None:
    """The supremum of ``|f'|`` among the ends of an interval and the zeros of ``f''``.

    Parameters
    ----------
    formula : sympy expression
    symbol : sympy symbol
    domain : Interval

    Returns
    -------
    ClosedForm or None
        None if sympy does not find the critical points, or the supremum is not attained at one.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> closed_form(sympy.exp(-x**2 / 2), x, Interval(-3, 3)).value
    exp(-1/2)
    """
    import sympy

    kinks = formula.atoms(sympy.Abs, sympy.Max, sympy.Min, sympy.Piecewise, sympy.sign)
    if formula.count_ops() > MOST_OPERATIONS:
        return None
    try:
        derivative = sympy.diff(formula, symbol)
        if kinks:
            # Slopes of |x| and its kin: only where a derivative is constant off the kinks.
            return None
        points = _critical_points(sympy.diff(derivative, symbol), symbol, domain)
        ends = [_number(e) for e in (domain.lower, domain.upper) if math.isfinite(e)]
        sizes = [sympy.Abs(derivative.subs(symbol, p)) for p in [*points, *ends]]
        if not sizes:
            sizes = [sympy.Abs(derivative.subs(symbol, 0))]
        return _largest(sizes, derivative.is_polynomial(symbol) and domain.is_bounded)
    except (
        NotImplementedError,
        NotCertified,
        ValueError,
        TypeError,
        AttributeError,
        sympy.polys.polyerrors.BasePolynomialError,
    ):
        # sympy gives up in many ways; a closed form is a courtesy, the enclosure stands without it.
        return None


def _largest(sizes: list[Any], is_polynomial: bool) -> ClosedForm | None:
    import sympy

    bounds = [ball_bounds(ball_value(size, {})) for size in sizes]
    upper = max(b for _, b in bounds)
    i = max(range(len(sizes)), key=lambda k: bounds[k][0])
    if not math.isfinite(upper):
        return None
    value = sizes[i] if sizes[i].count_ops() > 12 else sympy.nsimplify(sizes[i], rational=False)
    value = sympy.simplify(sizes[i]) if sizes[i].count_ops() <= 12 else value
    bound = Enclosure(bounds[i][0], upper, "critical points")
    return ClosedForm(value=value, bound=bound, is_proved=is_polynomial)


def _critical_points(second: Any, symbol: Any, domain: Interval) -> list[Any]:
    """Zeros of f'' inside the domain; for periodic functions one period of them."""
    import sympy

    # Exponentials have no zeros, and zeros of the numerator are all there are.
    factors = sympy.Mul.make_args(sympy.factor(sympy.numer(sympy.together(second))))
    kept = sympy.Mul(*[f for f in factors if not isinstance(f, sympy.exp)])
    if kept.is_polynomial(symbol):
        if not kept.has(symbol):
            return []
        polynomial = sympy.Poly(kept, symbol)
        roots = polynomial.real_roots() if polynomial.degree() <= LARGEST_DEGREE else _refuse(kept)
    elif kept.count_ops() > FEW_OPERATIONS:
        # sympy's general solver may run for minutes, and cannot be interrupted.
        return _refuse(kept)
    else:
        limited = sympy.Interval(_number(domain.lower), _number(domain.upper))
        if not domain.is_bounded:
            period = sympy.periodicity(kept, symbol)
            limited = limited if period is None else sympy.Interval(0, period)
        found = sympy.solveset(kept, symbol, domain=limited)
        if not isinstance(found, sympy.FiniteSet):
            return [] if found is sympy.S.EmptySet else _refuse(found)
        roots = list(found)
    low, high = _number(domain.lower), _number(domain.upper)
    return [r for r in dict.fromkeys(roots) if bool(low <= r) and bool(r <= high)]


def _refuse(found: Any) -> list[Any]:
    raise NotCertified(f"`function` has critical points without a closed form: {found}")


def _number(end: int | float | Fraction) -> Any:
    import sympy

    if isinstance(end, float) and math.isinf(end):
        return sympy.oo if end > 0 else -sympy.oo
    exact = Fraction(end)
    return sympy.Rational(exact.numerator, exact.denominator)
