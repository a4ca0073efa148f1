"""sympy expressions as straight-line programs over intervals, for many boxes at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence.verdict import NotCertified
from lipschitz.function_balls import ball_bounds, ball_value
from lipschitz.function_intervals import Intervals, apply_function, supported_functions

__all__ = ["IntervalProgram"]

Array = NDArray[np.float64]
Step = Callable[[list[Intervals], int], Intervals]


@dataclass(slots=True)
class IntervalProgram:
    """Evaluates real expressions over boxes; common subexpressions once.

    Parameters
    ----------
    expressions : sequence of sympy expressions
    symbols : sequence of sympy symbols
        The axes of the boxes, in order.

    Raises
    ------
    NotCertified
        If a function has no interval extension here.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> program = IntervalProgram([x**2 - 1, sympy.Abs(x)], [x])
    >>> square, size = program.over(np.array([[-1.0]]), np.array([[2.0]]))
    >>> bool(square.lower[0] <= -1.0 and square.upper[0] >= 3.0), size.lower, size.upper
    (True, array([0.]), array([2.]))
    """

    expressions: Sequence[Any]
    symbols: Sequence[Any]
    _steps: list[Step] = field(default_factory=list, init=False)
    _slots: dict[Any, int] = field(default_factory=dict, init=False)
    _outputs: list[int] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        for i, symbol in enumerate(self.symbols):
            self._slots[symbol] = i
            self._steps.append(_nothing)
        self._outputs = [self._slot(expression) for expression in self.expressions]

    def over(self, lower: Array, upper: Array) -> list[Intervals]:
        """Enclosures of the expressions over boxes.

        Parameters
        ----------
        lower, upper : array, shape (batch, n)
            Infinite ends allowed.

        Returns
        -------
        list of Intervals
            One per expression, with `batch` entries.
        """
        n, batch = len(self.symbols), len(lower)
        values = [Intervals(lower[:, i], upper[:, i]) for i in range(n)]
        with np.errstate(all="ignore"):
            for step in self._steps[n:]:
                values.append(_defined(step(values, batch)))
        return [values[i] for i in self._outputs]

    # ---- compilation ----------------------------------------------------------------------------
    def _slot(self, expression: Any) -> int:
        if expression not in self._slots:
            step = self._compile(expression)
            self._slots[expression] = len(self._steps)
            self._steps.append(step)
        return self._slots[expression]

    def _compile(self, expression: Any) -> Step:
        name = type(expression).__name__
        if not expression.free_symbols:
            return _constant(*ball_bounds(ball_value(expression, {})))
        if name == "Symbol":
            raise NotCertified(f"`function` has the free symbol {expression}; name all variables")
        if name == "Piecewise":
            return self._piecewise(expression)
        if name == "Pow":
            return self._power(expression)
        arguments = [self._slot(argument) for argument in expression.args]
        if name == "Add":
            return lambda v, _: reduce(Intervals.__add__, (v[i] for i in arguments))
        if name == "Mul":
            return lambda v, _: reduce(Intervals.__mul__, (v[i] for i in arguments))
        if name == "Max":
            return lambda v, _: reduce(Intervals.maximum, (v[i] for i in arguments))
        if name == "Min":
            return lambda v, _: -reduce(Intervals.maximum, (-v[i] for i in arguments))
        if name in supported_functions():
            return lambda v, _: apply_function(name, v[arguments[0]])
        raise NotCertified(
            f"`function` or its derivative contains {name}, for which there is no interval "
            "arithmetic here; rewrite it by exp, log, sin, cos, tanh, atan, Abs, Max, Min"
        )

    def _power(self, expression: Any) -> Step:
        import sympy

        exponent = expression.exp
        if exponent.free_symbols:
            slot = self._slot(sympy.exp(exponent * sympy.log(expression.base)))
            return lambda v, _: v[slot]
        base = self._slot(expression.base)
        if exponent.is_Integer:
            power = int(exponent)
            return lambda v, _: v[base].power(power)
        if exponent.is_Rational and int(exponent.q) == 2:
            odd = int(exponent.p)
            return lambda v, _: v[base].square_root().power(odd)
        real = float(exponent)
        return lambda v, _: v[base].root(real)

    def _piecewise(self, expression: Any) -> Step:
        branches = [
            (self._slot(value), self._condition(condition)) for value, condition in expression.args
        ]

        def step(values: list[Intervals], batch: int) -> Intervals:
            result: Intervals | None = None
            open_ = np.ones(batch, dtype=bool)
            for slot, condition in branches:
                possible, certain = condition(values, batch)
                reached = open_ & possible
                branch = values[slot]
                # Where the branch cannot be taken, the empty interval adds nothing to the hull.
                empty = Intervals(
                    np.where(reached, branch.lower, np.inf),
                    np.where(reached, branch.upper, -np.inf),
                )
                result = empty if result is None else result.hull(empty)
                open_ &= ~certain
            return Intervals(
                np.where(open_, -np.inf, result.lower),  # type: ignore[union-attr]
                np.where(open_, np.inf, result.upper),  # type: ignore[union-attr]
            )

        return step

    def _condition(
        self, condition: Any
    ) -> Callable[[list[Intervals], int], tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
        """Where a condition may hold, and where it holds for certain."""
        name = type(condition).__name__
        if name in ("BooleanTrue", "BooleanFalse"):
            truth = name == "BooleanTrue"
            return lambda v, n: (np.full(n, truth), np.full(n, truth))
        if name in ("And", "Or"):
            parts = [self._condition(part) for part in condition.args]
            join = np.logical_and if name == "And" else np.logical_or
            return lambda v, n: tuple(
                join.reduce(list(sides)) for sides in zip(*(p(v, n) for p in parts), strict=True)
            )
        if not condition.is_Relational or name in ("Equality", "Unequality"):
            raise NotCertified(f"`function` has the condition {condition}; use < or >=")
        slot = self._slot(condition.gts - condition.lts)
        # At equality either may hold: the hull of both sides is taken.
        return lambda v, n: (v[slot].upper >= 0.0, v[slot].lower > 0.0)


def _nothing(values: list[Intervals], batch: int) -> Intervals:
    return values[0]


def _constant(low: float, high: float) -> Step:
    return lambda v, n: Intervals(np.full(n, low), np.full(n, high))


def _defined(x: Intervals) -> Intervals:
    """NaN, which no operation here should produce, becomes an unknown number."""
    return Intervals(
        np.where(np.isnan(x.lower), -np.inf, x.lower), np.where(np.isnan(x.upper), np.inf, x.upper)
    )
