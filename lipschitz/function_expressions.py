"""Ordinary functions as real sympy expressions, and the proof that they are continuous.

A bound of the derivative where it exists bounds nothing across a jump: the step function and
``atan(1/x)`` have bounded derivatives off 0. Before any derivative is looked at, every denominator
is shown to have no zero, every root and logarithm an argument in its domain, on the closed domain.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from evidence import NotCertified
from lipschitz.function_charts import Chart
from lipschitz.function_programs import IntervalProgram
from lipschitz.function_search import midpoints

__all__ = ["Expression", "check_continuity", "read_expression"]

MOST_BOXES = 20_000
_CONTINUOUS = frozenset(
    [
        "Add", "Mul", "Pow", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asinh",
        "atan", "asin", "acos", "atan2", "Abs", "Max", "Min",
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A real function of real variables.

    Parameters
    ----------
    formula : sympy expression
        In real symbols, floats replaced by the rational numbers they are.
    symbols : tuple of sympy symbols
        Its variables, in order.

    Examples
    --------
    >>> f = read_expression(lambda x, y: 0.5 * x - y)
    >>> f.formula, f.symbols
    (x/2 - y, (x, y))
    """

    formula: Any
    symbols: tuple[Any, ...]


def read_expression(function: Any) -> Expression:
    """Read a sympy expression, a ``sympy.Lambda`` or a callable that works on symbols.

    Parameters
    ----------
    function : sympy expression, sympy.Lambda or callable
        The variables of an expression are ordered by name; those of a Lambda and of a callable as
        in their signatures. The function meant is the one of the expression that sympy builds.

    Returns
    -------
    Expression

    Raises
    ------
    TypeError
        If a callable does not return an expression when it is given symbols.

    Examples
    --------
    >>> import math
    >>> read_expression(math.sin)
    Traceback (most recent call last):
    ...
    TypeError: `function` does not return a formula when it is called with symbols (Cannot convert \
expression to float); use sympy's functions in it, or `steepest_secant` for a lower bound
    """
    import sympy

    if isinstance(function, sympy.Lambda):
        symbols, formula = tuple(function.variables), function.expr
    elif isinstance(function, sympy.Expr):
        symbols = tuple(sorted(function.free_symbols, key=lambda s: str(s.name)))
        formula = function
    elif callable(function):
        symbols = tuple(sympy.Symbol(name, real=True) for name in _parameters(function))
        formula = _called(function, symbols)
    else:
        raise TypeError(f"`function` must be a formula or callable, got {function!r}")
    symbols = symbols or (sympy.Symbol("x", real=True),)
    real = {s: sympy.Symbol(s.name, real=True) for s in symbols}
    exact = {f: sympy.Rational(f) for f in formula.atoms(sympy.Float)}
    return Expression(formula=formula.xreplace(real | exact), symbols=tuple(real.values()))


def _parameters(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return ["x"]
    return [p.name for p in parameters if p.default is p.empty and p.kind <= 1]


def _called(function: Callable[..., Any], symbols: tuple[Any, ...]) -> Any:
    import sympy

    try:
        formula = function(*symbols) + sympy.Integer(0)
    except Exception as error:
        raise TypeError(
            f"`function` does not return a formula when it is called with symbols ({error}); use "
            "sympy's functions in it, or `steepest_secant` for a lower bound"
        ) from error
    if not isinstance(formula, sympy.Expr):
        raise TypeError(f"`function` must return one number, got {type(formula).__name__}")
    return formula


def check_continuity(formula: Any, chart: Chart, *, cases_agree: bool = False) -> None:
    """Prove that a formula is continuous on the closed box of a chart.

    Parameters
    ----------
    formula : sympy expression
        In the chart's symbols.
    chart : Chart
    cases_agree : bool, optional
        Whether the cases of every Piecewise are known to agree at their borders; each case is then
        asked to be continuous on the whole domain.

    Raises
    ------
    NotCertified
        If it contains a function that may jump (sign, Heaviside, floor, cases), or an argument
        may leave the domain of a root, a logarithm or a quotient.

    Examples
    --------
    >>> import sympy
    >>> from lipschitz.function_domains import Interval
    >>> chart = Interval(-1, 1).charts()[0]
    >>> (t,) = chart.symbols
    >>> check_continuity(1 / (1 + t**2), chart)
    >>> check_continuity(sympy.atan(1 / t), chart)
    Traceback (most recent call last):
    ...
    evidence.verdict.NotCertified: `function` may be discontinuous: that t1 is not 0 could not be \
proved on the whole domain; leave out a neighbourhood of its zeros
    """
    for node in _subexpressions(formula):
        name = type(node).__name__
        if cases_agree and name in ("Piecewise", "ExprCondPair"):
            continue
        if node.args and node.free_symbols and name not in _CONTINUOUS:
            raise NotCertified(
                f"`function` contains {name}, which may jump; write it with Abs, Max and Min"
            )
        for condition, text in _conditions(node):
            if not _is_positive(condition, chart):
                raise NotCertified(
                    f"`function` may be discontinuous: that {text} could not be proved on the "
                    "whole domain; leave out a neighbourhood of its zeros"
                )


def _subexpressions(formula: Any) -> list[Any]:
    """Everything that has a value: conditions of cases are left out."""
    import sympy
    from sympy.logic.boolalg import Boolean

    nodes: list[Any] = [formula]
    found: dict[Any, None] = {}
    while nodes:
        node = nodes.pop()
        if node not in found and not (
            isinstance(node, Boolean) and not isinstance(node, sympy.Symbol)
        ):
            found[node] = None
            nodes.extend(node.args)
    return list(found)


def _conditions(node: Any) -> list[tuple[Any, str]]:
    """What must be positive for a node to be continuous, with words for it."""
    import sympy

    name = type(node).__name__
    if not node.free_symbols:
        return []
    if name == "Pow" and node.exp.free_symbols and node.base != sympy.E:
        return [(node.base, f"{node.base} > 0")] if node.base.free_symbols else []
    if name == "Pow" and node.exp.is_number:
        base = node.base
        if node.exp.is_Integer:
            return [(base**2, f"{base} is not 0")] if node.exp < 0 else []
        if node.exp.is_negative:
            return [(base, f"{base} > 0")]
        # A root is continuous at 0: a margin that shrinks proves nothing, so >= 0 is asked.
        return [(_NotNegative(base), f"{base} >= 0")]
    if name == "log":
        return [(node.args[0], f"{node.args[0]} > 0")]
    if name == "tan":
        return [(sympy.cos(node.args[0]) ** 2, f"cos({node.args[0]}) is not 0")]
    if name in ("asin", "acos"):
        return [(_NotNegative(1 - node.args[0] ** 2), f"|{node.args[0]}| <= 1")]
    if name == "atan2":
        # Continuous off the negative half of the first axis.
        y, x = node.args
        return [(sympy.Max(x, sympy.Abs(y)), f"{node} is off its cut")]
    return []


@dataclass(frozen=True, slots=True)
class _NotNegative:
    """Asks for ``>= 0`` in the place of ``> 0``."""

    expression: Any


def _is_positive(condition: Any, chart: Chart) -> bool:
    """Bisect until the enclosure is positive on every box, or too many are left."""
    weak = isinstance(condition, _NotNegative)
    expression = condition.expression if weak else condition
    program = IntervalProgram([expression], chart.symbols)
    lower, upper = np.array([chart.lower]), np.array([chart.upper])
    seen = 0
    while len(lower) and seen < MOST_BOXES:
        seen += len(lower)
        least = program.over(lower, upper)[0].lower
        left = least < 0.0 if weak else least <= 0.0
        lower, upper = lower[left], upper[left]
        if not len(lower):
            return True
        width = np.where(lower < upper, upper - lower, -1.0)
        axis, index = np.argmax(width, axis=1), np.arange(len(lower))
        cut = midpoints(lower[index, axis], upper[index, axis])
        first, second = upper.copy(), lower.copy()
        first[index, axis], second[index, axis] = cut, cut
        lower, upper = np.concatenate([lower, second]), np.concatenate([first, upper])
    return False
