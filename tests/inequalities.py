"""Statements on all real numbers, decided by z3; and when the roots of a polynomial are small."""

from __future__ import annotations

from typing import Any

import z3

__all__ = ["JURY", "cubic", "decide", "quadratic", "quartic", "within"]

JURY = "Jury: all roots are inside the unit circle if and only if the inequalities hold"


def decide(statement: Any, *assumptions: Any, seconds: int = 10) -> None:
    """Assert that no real numbers satisfy the assumptions and violate the statement.

    Examples
    --------
    >>> x, y = z3.Reals("x y")
    >>> decide(2 * x * y <= x * x + y * y)
    >>> decide(x < 2, x * x < 9)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AssertionError: sat: [x = ...
    """
    solver = z3.SolverFor("QF_NRA")
    solver.set("timeout", 1000 * seconds)
    solver.add(*assumptions, z3.Not(statement))
    answer = solver.check()
    assert answer == z3.unsat, f"{answer}: {solver.model() if answer == z3.sat else 'undecided'}"


def within(value: Any, bound: Any) -> Any:
    """``|value| < bound``.

    Examples
    --------
    >>> x = z3.Real("x")
    >>> decide(x * x < 4, within(x, 2))
    """
    return z3.And(value < bound, -value < bound)


def quadratic(p: Any, q: Any) -> Any:
    """``l^2 + p l + q`` has all its roots inside the unit circle.

    Examples
    --------
    >>> b = z3.Real("b")
    >>> decide(quadratic(-b, z3.RealVal(0)) == within(b, 1))
    """
    return z3.And(within(q, 1), within(p, 1 + q))


def cubic(p: Any, q: Any, r: Any) -> Any:
    """``l^3 + p l^2 + q l + r`` has all its roots inside the unit circle.

    Examples
    --------
    >>> b, zero = z3.Real("b"), z3.RealVal(0)
    >>> decide(cubic(-b, zero, zero) == within(b, 1))
    """
    return z3.And(within(r, 1), within(p + r, 1 + q), q - p * r < 1 - r * r)


def quartic(c1: Any, c2: Any, c3: Any, c4: Any) -> Any:
    """``l^4 + c1 l^3 + c2 l^2 + c3 l + c4`` has all its roots inside the unit circle.

    Zhang and Yu 2020, Appendix B.2.

    Examples
    --------
    >>> b, zero = z3.Real("b"), z3.RealVal(0)
    >>> decide(quartic(-b, zero, zero, zero) == within(b, 1))
    """
    return z3.And(
        within(c4, 1),
        within(c3 - c1 * c4, 1 - c4 * c4),
        within(c1 + c3, 1 + c2 + c4),
        c2 * (1 - c4) * (1 - c4) < (1 + c4) * (1 - c4) * (1 - c4) + (c3 - c1 * c4) * (c1 - c3),
    )
