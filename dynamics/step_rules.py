"""What a step size may be: a number, one number per player, or a schedule of either."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

__all__ = ["Pair", "Schedule", "StepRule", "as_pair", "as_step_rule", "pair_at"]

Pair = tuple[Any, Any]
"""One number for ``x`` and one for ``y``: int, float, ``Fraction`` or a sympy expression."""


@dataclass(frozen=True, init=False)
class Schedule:
    """Step sizes that change with the iteration and repeat from the start when they run out.

    Parameters
    ----------
    steps : iterable
        Step sizes, each a number or a pair ``(for x, for y)``; at least one. Iteration ``k`` uses
        entry ``k % len(steps)``, so that a schedule is a cycle with a monodromy matrix.

    Raises
    ------
    ValueError
        An empty schedule, zero or infinite entries.
    TypeError
        Entries that are no real numbers.

    Examples
    --------
    >>> Schedule([1, (0.5, -0.5)]).at(3)
    (0.5, -0.5)
    >>> Schedule([])
    Traceback (most recent call last):
    ...
    ValueError: `steps` must hold at least one step size, got an empty schedule
    """

    steps: tuple[Pair, ...]

    def __init__(self, steps: Iterable[Any]) -> None:
        pairs = tuple(as_pair(s, f"steps[{i}]") for i, s in enumerate(steps))
        if not pairs:
            raise ValueError("`steps` must hold at least one step size, got an empty schedule")
        object.__setattr__(self, "steps", pairs)

    def __len__(self) -> int:
        return len(self.steps)

    def at(self, k: int) -> Pair:
        """The pair of step sizes of iteration ``k``."""
        return self.steps[k % len(self.steps)]


StepRule = Pair | Schedule | Callable[[int], Any]


def as_step_rule(value: Any, name: str) -> StepRule:
    """A pair, a schedule or a function of the iteration, checked.

    Examples
    --------
    >>> as_step_rule(1, "step_size"), as_step_rule((0.5, 2.0), "step_size")
    ((1, 1), (0.5, 2.0))
    """
    if isinstance(value, Schedule) or (callable(value) and not _is_symbolic(value)):
        return value  # type: ignore[no-any-return]
    return as_pair(value, name)


def pair_at(rule: StepRule, k: int, name: str = "step_size") -> Pair:
    """The pair of step sizes of iteration ``k``."""
    if isinstance(rule, tuple):
        return rule
    return rule.at(k) if isinstance(rule, Schedule) else as_pair(rule(k), f"{name}({k})")


def as_pair(value: Any, name: str, *, zero: bool = False) -> Pair:
    """One finite number for each player; a single number is used for both.

    Examples
    --------
    >>> as_pair(0.0, "step_size")
    Traceback (most recent call last):
    ...
    ValueError: `step_size` must not be 0, since the method would not move; pass a positive number
    >>> as_pair(1j, "step_size")
    Traceback (most recent call last):
    ...
    TypeError: `step_size` must be a real number or a pair of them, got 1j
    """
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        if len(value) != 2:
            raise ValueError(
                f"`{name}` must be a number or a pair (for x, for y), got {len(value)} entries; "
                "pass Schedule(...) for a sequence of step sizes"
            )
        return (
            _number(value[0], f"{name}[0]", zero),
            _number(value[1], f"{name}[1]", zero),
        )
    number = _number(value, name, zero)
    return number, number


def _number(value: Any, name: str, zero: bool) -> Any:
    if _is_symbolic(value):
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        if getattr(value, "shape", None) == () and hasattr(value, "item"):
            return _number(value.item(), name, zero)  # a zero-dimensional array or tensor
        raise TypeError(f"`{name}` must be a real number or a pair of them, got {value!r}")
    number = value if isinstance(value, (int, Fraction)) else float(value)
    if not math.isfinite(number):
        raise ValueError(f"`{name}` must be finite, got {number}; pass a positive number")
    if number == 0 and not zero:
        raise ValueError(
            f"`{name}` must not be 0, since the method would not move; pass a positive number"
        )
    return number


def _is_symbolic(value: Any) -> bool:
    """A sympy expression, recognised without importing sympy."""
    return type(value).__module__.split(".")[0] == "sympy" and hasattr(value, "free_symbols")
