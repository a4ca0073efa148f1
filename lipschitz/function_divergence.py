"""Proofs that a function of one variable has no Lipschitz constant: secants steeper than any K.

Two reasons are recognised. *Curvature*: if ``f'' >= c > 0`` on a half line then ``f'`` exceeds
every K there, and so does the secant from x to x + 1 for large x (``x^2``, ``exp``). *A jump*:
across a point where the one-sided limits differ the secants over h have slope of order ``1/h``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from evidence import NotCertified
from evidence.validation import positive_float
from lipschitz.function_balls import as_ball, ball_value, holds
from lipschitz.function_charts import Chart, chart_of_box
from lipschitz.function_domains import Interval
from lipschitz.function_expressions import check_continuity
from lipschitz.function_programs import IntervalProgram
from lipschitz.function_secants import Secant, steepest_secant

__all__ = ["Divergence", "curvature_divergence", "jump_divergence", "steep_end_divergence"]

MOST_STEPS = 1100
MOST_OPERATIONS = 60
BITS = 128
NARROWER = (0, 4, 10, 20, 40)
STARTS = (0, 1, 4, 16, 256, 65536)


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """A function has no Lipschitz constant on its domain, with a secant for every constant.

    Parameters
    ----------
    reason : str
        Why the secants exceed every constant.
    formula : sympy expression
        The function, in one variable.
    start : Fraction
        Where the half line begins, or the point of the jump.
    towards : int
        1 if the secants lie to the right of it, -1 if to the left.
    is_jump : bool
    reach : Fraction, optional
        How far the secants go from a jump at most.

    Examples
    --------
    >>> from lipschitz.functions import lipschitz_constant_of
    >>> square = lipschitz_constant_of(lambda x: x**2).divergence
    >>> square.reason
    "f'' >= 2 for x >= 0"
    >>> secant = square.secant_above(1000.0)
    >>> secant.slope.lower > 1000.0, float(secant.first[0]), float(secant.second[0])
    (True, 512.0, 513.0)
    """

    reason: str
    formula: Any
    start: Fraction
    towards: int
    is_jump: bool
    reach: Fraction = Fraction(1)

    def secant_above(self, constant: float) -> Secant:
        """A secant whose slope is proved to exceed the given constant.

        Raises
        ------
        ValueError, TypeError
            If `constant` is not positive and finite.
        NotCertified
            If none was found within distances of floats.

        Examples
        --------
        >>> from lipschitz.functions import lipschitz_constant_of
        >>> import sympy
        >>> step = lipschitz_constant_of(sympy.Heaviside(sympy.Symbol("x"), 1)).divergence
        >>> print(step.secant_above(100.0).slope)
        128 exactly (secant)
        """
        bound = positive_float(constant, "constant")
        for pair in self._pairs():
            secant = steepest_secant(self.formula, pair)
            if secant.slope.lower > bound:
                return secant
        raise NotCertified(f"`constant` = {bound:.17g} is too large for secants between floats")

    def _pairs(self) -> Iterator[list[Fraction]]:
        for j in range(MOST_STEPS):
            if self.is_jump:
                h = self.reach / 2**j
                yield [self.start, self.start + self.towards * h]
            else:
                x = self.start + self.towards * (2**j)
                yield [x, x + self.towards]


def curvature_divergence(formula: Any, symbol: Any, domain: Interval) -> Divergence | None:
    """Look for a half line on which the second derivative is bounded away from 0, with one sign.

    Parameters
    ----------
    formula : sympy expression
        Twice differentiable where it is proved to have ``|f''| >= c``.
    symbol : sympy symbol
    domain : Interval

    Returns
    -------
    Divergence or None
        None proves nothing.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> curvature_divergence(sympy.exp(x), x, Interval()).reason
    "f'' >= 1 for x >= 0"
    >>> curvature_divergence(sympy.sin(x), x, Interval()) is None
    True
    """
    import sympy

    for towards in (1, -1):
        if math.isfinite(domain.upper if towards > 0 else domain.lower):
            continue
        # On a half line through positive numbers |s| is s: no kink is left.
        s = sympy.Symbol("s", positive=True)
        second = sympy.diff(formula.subs(symbol, towards * s), s, 2)
        if second.atoms(sympy.DiracDelta, sympy.Derivative, sympy.Piecewise, sympy.sign):
            continue
        program = IntervalProgram([second], [s])
        edge = domain.lower if towards > 0 else domain.upper
        for start in STARTS:
            # Beyond a finite end of the domain the half line would leave it on the wrong side.
            begin = float(towards * start)
            if math.isfinite(edge) and towards * (begin - edge) < 0:
                continue
            curvature = program.over(np.array([[float(start)]]), np.array([[math.inf]]))[0]
            low, high = float(curvature.lower[0]), float(curvature.upper[0])
            if low > 0.0 or high < 0.0:
                side = f"f'' >= {_short(low)}" if low > 0.0 else f"f'' <= {_short(high)}"
                return Divergence(
                    reason=f"{side} for {symbol} {'>=' if towards > 0 else '<='} {begin:g}",
                    formula=formula,
                    start=Fraction(begin),
                    towards=towards,
                    is_jump=False,
                )
    return None


def _short(value: float) -> str:
    """A few digits, rounded towards 0, so that the statement stays true."""
    nearest = f"{value:.6g}"
    if abs(Fraction(nearest)) <= abs(Fraction(value)):
        return nearest
    smaller = value * (1.0 - 1e-6)
    return nearest if abs(value - float(nearest)) <= 1e-14 * abs(value) else f"{smaller:.6g}"


def steep_end_divergence(formula: Any, symbol: Any, domain: Interval) -> Divergence | None:
    """Look for an end of the domain at which the derivative tends to infinity.

    The limit is sympy's; the secants that show it are proved.

    Parameters
    ----------
    formula : sympy expression
    symbol : sympy symbol
    domain : Interval

    Returns
    -------
    Divergence or None
        None proves nothing.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> root = steep_end_divergence(sympy.sqrt(x), x, Interval(0, 1))
    >>> root.reason, root.secant_above(100.0).slope.lower
    ("f' tends to oo at x = 0", 128.0)
    """
    import sympy

    # Only roots and the like have finite values and infinite slopes; limits are slow otherwise.
    if not any(not power.exp.is_Integer for power in formula.atoms(sympy.Pow)):
        return None
    derivative = sympy.diff(formula, symbol)
    for end, towards, side in ((domain.lower, 1, "+"), (domain.upper, -1, "-")):
        if not math.isfinite(end) or formula.count_ops() > MOST_OPERATIONS:
            continue
        try:
            limit = sympy.limit(derivative, symbol, _rational(Fraction(end)), side)
        except (NotImplementedError, ValueError):
            continue
        if (
            limit in (sympy.oo, -sympy.oo)
            and formula.subs(symbol, _rational(Fraction(end))).is_finite
        ):
            return Divergence(
                reason=f"f' tends to {limit} at {symbol} = {end}",
                formula=formula,
                start=Fraction(end),
                towards=towards,
                is_jump=True,
                reach=_room(domain, Fraction(end), towards),
            )
    return None


def jump_divergence(formula: Any, symbol: Any, domain: Interval) -> Divergence | None:
    """Look for a jump of a function given by cases, inside the domain.

    A jump is claimed only where enclosures prove it: those of the value at a border and of the
    values beside it have no number in common, so that secants over h have slopes above ``gap / h``.

    Parameters
    ----------
    formula : sympy expression
    symbol : sympy symbol
    domain : Interval

    Returns
    -------
    Divergence or None
        None if the cases agree at all their borders: beside each of them the function is proved
        continuous, and the values of the two cases are equal, according to sympy.

    Raises
    ------
    NotCertified
        If the border of a case is not a rational number, or if neither a jump nor its absence is
        proved at one.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> jump_divergence(sympy.Piecewise((1, x >= 0), (0, True)), x, Interval(-1, 1)).reason
    'at x = 0 the value is 1, the limit from the left 0'
    >>> jump_divergence(sympy.Piecewise((x, x >= 0), (0, True)), x, Interval(-1, 1)) is None
    True
    """
    borders = _borders(formula, symbol, domain)
    for k, border in enumerate(borders):
        if not domain.lower <= border <= domain.upper:
            continue
        at = _value_at(formula, symbol, border)
        for towards in (1, -1):
            reach = _room(domain, border, towards)
            if reach == 0:
                continue
            if 0 <= k + towards < len(borders):
                # Halfway to the next border no condition has changed.
                reach = min(reach, abs(borders[k + towards] - border) / 2)
            branch = _branch_at(formula, symbol, border + towards * reach)
            jump = _jump(branch, symbol, at, border, towards * reach)
            if jump is not None:
                return Divergence(
                    reason=f"at {symbol} = {border} the value is {at}, {jump}",
                    formula=formula,
                    start=border,
                    towards=towards,
                    is_jump=True,
                    reach=reach,
                )
    return None


def _jump(branch: Any, symbol: Any, at: Any, border: Fraction, reach: Fraction) -> str | None:
    """What the values beside a border do if they keep away from the value there; None if not."""
    import sympy

    side = "right" if reach > 0 else "left"
    low, high = _number_bounds(at)
    try:
        check_continuity(branch, _chart(symbol, border, border + reach))
    except NotCertified:
        for narrower in NARROWER:
            beside = _chart(symbol, border, border + reach / 2**narrower)
            lower, upper = _over(branch, symbol, beside)
            if lower > high or upper < low:
                return f"the values to the {side} stay away from it"
        raise
    # A continuous function has its value as its limit.
    limit = branch.subs(symbol, _rational(border))
    lower, upper = _number_bounds(limit)
    if lower > high or upper < low:
        return f"the limit from the {side} {limit}"
    if sympy.simplify(limit - at) == 0:
        return None
    raise NotCertified(
        f"`function` may jump at {symbol} = {border}: whether {limit} is {at} is not decided; "
        "write the cases so that their values there can be compared"
    )


def _number_bounds(value: Any) -> tuple[Any, Any]:
    """Bounds of a number in balls; infinite where it is none."""
    from flint import arb, ctx

    if value.free_symbols or not (value.is_real and value.is_finite):
        return -math.inf, math.inf
    with ctx.workprec(BITS):
        ball = ball_value(value, {})
        return (ball.lower(), ball.upper()) if ball.is_finite() else (arb("-inf"), arb("inf"))


def _over(formula: Any, symbol: Any, chart: Chart) -> tuple[float, float]:
    program = IntervalProgram([formula], [symbol])
    values = program.over(np.array([chart.lower]), np.array([chart.upper]))[0]
    return float(values.lower[0]), float(values.upper[0])


def _chart(symbol: Any, *ends: Any) -> Chart:
    return chart_of_box((symbol,), (symbol,), ((min(ends), max(ends)),))


def _room(domain: Interval, place: Fraction, towards: int) -> Fraction:
    """How far the domain goes from a place, at most 1."""
    end = domain.upper if towards > 0 else domain.lower
    return min(abs(Fraction(end) - place), Fraction(1)) if math.isfinite(end) else Fraction(1)


def _branch_at(formula: Any, symbol: Any, place: Fraction) -> Any:
    """The formula with each case decided as it is at one point."""
    import sympy

    point = {symbol: as_ball(place)}
    cases = sorted(formula.atoms(sympy.Piecewise), key=lambda case: case.count_ops())
    for case in cases:
        chosen = [value for value, condition in case.args if holds(condition, point)]
        if not chosen:
            raise NotCertified(f"`function` is not defined at {symbol} = {place}")
        formula = formula.xreplace({case: chosen[0]})
    return formula


def _value_at(formula: Any, symbol: Any, place: Fraction) -> Any:
    return _branch_at(formula, symbol, place).subs(symbol, _rational(place))


def _rational(value: Fraction) -> Any:
    import sympy

    return sympy.Rational(value.numerator, value.denominator)


def _borders(formula: Any, symbol: Any, domain: Interval) -> list[Fraction]:
    """Where a condition may change: the zeros of differences that are continuous on the domain."""
    import sympy

    borders = set()
    for case in formula.atoms(sympy.Piecewise):
        for _, condition in case.args:
            for comparison in condition.atoms(sympy.core.relational.Relational):
                difference = comparison.lhs - comparison.rhs
                if not difference.is_polynomial(symbol):
                    check_continuity(difference, _chart(symbol, domain.lower, domain.upper))
                roots = sympy.solveset(difference, symbol, domain=sympy.S.Reals)
                if not isinstance(roots, sympy.FiniteSet):
                    raise NotCertified(f"`function` has the condition {comparison}, not understood")
                borders |= set(roots)
    if not all(border.is_Rational for border in borders):
        raise NotCertified(f"`function` changes its case at {borders}, not at rational numbers")
    return sorted(Fraction(int(border.p), int(border.q)) for border in borders)
