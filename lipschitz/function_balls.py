"""Values of a sympy expression at one point, as Arb balls.

Arb's balls contain the exact value whatever the rounding (Johansson, IEEE Trans. Comput. 66
(2017)). sympy is used for the structure of the expression only: none of its numerics is trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import reduce
from typing import Any

from evidence.verdict import NotCertified

__all__ = ["as_ball", "ball_bounds", "ball_value", "holds"]

_UNARY = frozenset(
    [
        "exp", "log", "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth",
        "asin", "acos", "atan", "asinh", "acosh", "atanh", "erf",
    ]
)  # fmt: skip


def as_ball(value: Any) -> Any:
    """A ball around an int, a float or a Fraction; exact for floats.

    Examples
    --------
    >>> as_ball(0.5).is_exact(), as_ball(Fraction(1, 3)).is_exact()
    (True, False)
    """
    from flint import arb

    if isinstance(value, arb):
        return value
    exact = Fraction(value)
    return arb(exact.numerator) / arb(exact.denominator)


def ball_bounds(ball: Any) -> tuple[float, float]:
    """Floats below and above everything in a ball; infinite if the ball says nothing.

    Examples
    --------
    >>> low, high = ball_bounds(as_ball(Fraction(1, 3)))
    >>> low < Fraction(1, 3) < high, high - low < 1e-15
    (True, True)
    """
    import math

    if not ball.is_finite():
        return -math.inf, math.inf
    low, high = float(ball.lower()), float(ball.upper())
    # float() rounds to nearest; the exact comparison says whether one step is needed.
    if not ball.lower() >= low:
        low = math.nextafter(low, -math.inf)
    if not ball.upper() <= high:
        high = math.nextafter(high, math.inf)
    return low, high


def ball_value(expression: Any, point: Mapping[Any, Any]) -> Any:
    """A ball around the value of a real sympy expression.

    Parameters
    ----------
    expression : sympy expression
    point : mapping of sympy symbols to balls
        One for each free symbol.

    Returns
    -------
    flint.arb

    Raises
    ------
    NotCertified
        If the expression has a function without a ball version here, or a case that cannot be
        decided at this precision.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> abs(ball_value(sympy.sin(x) ** 2 + sympy.cos(x) ** 2, {x: as_ball(0.3)}) - 1) < 1e-14
    True
    """
    import sympy
    from flint import arb

    if expression in point:
        return point[expression]
    name = type(expression).__name__
    if expression.is_Rational:
        return arb(int(expression.p)) / arb(int(expression.q))
    if expression.is_Float:
        exact = sympy.Rational(expression)
        return arb(int(exact.p)) / arb(int(exact.q))
    if name in ("Pi", "Exp1"):
        return arb.pi() if name == "Pi" else arb(1).exp()
    if name == "Piecewise":
        return _piecewise(expression, point)
    arguments = [ball_value(a, point) for a in expression.args]
    if name == "Add":
        return reduce(lambda a, b: a + b, arguments)
    if name == "Mul":
        return reduce(lambda a, b: a * b, arguments)
    if name == "Pow":
        return _power(expression, *arguments)
    if name in ("Max", "Min"):
        return reduce(lambda a, b: a.max(b) if name == "Max" else a.min(b), arguments)
    if name == "atan2":
        return arb.atan2(*arguments)
    if name == "Abs":
        return abs(arguments[0])
    if name in ("sign", "Heaviside"):
        sign = _sign(arguments[0])
        return sign if name == "sign" else (sign + 1) / 2
    if name in _UNARY and arguments:
        return getattr(arguments[0], name)()
    raise NotCertified(f"`function` contains {name}, for which there is no ball arithmetic here")


def _sign(ball: Any) -> Any:
    from flint import arb

    if ball > 0 or ball < 0:
        return arb(1 if ball > 0 else -1)
    return arb(0) if ball.is_zero() else arb(0, 1)


def _power(expression: Any, base: Any, exponent: Any) -> Any:
    power = expression.exp
    if power.is_Integer:
        return _integer_power(base, int(power))
    if power.is_Rational and int(power.q) == 2:
        return _integer_power(base.sqrt(), int(power.p))
    return (base.log() * exponent).exp()


def _integer_power(base: Any, n: int) -> Any:
    """By multiplications: Arb's power of a ball around 0 is not a number."""
    from flint import arb

    if n < 0:
        return 1 / _integer_power(base, -n)
    result = arb(1)
    while n:
        result = result * base if n % 2 else result
        base, n = base * base, n // 2
    return result


def _piecewise(expression: Any, point: Mapping[Any, Any]) -> Any:
    for value, condition in expression.args:
        if holds(condition, point):
            return ball_value(value, point)
    raise NotCertified("`function` is not defined at a point: no case of its Piecewise applies")


def holds(condition: Any, point: Mapping[Any, Any]) -> bool:
    """Whether a condition holds at a point, decided in balls.

    Raises
    ------
    NotCertified
        If the precision does not decide it.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> holds(x >= 1, {x: as_ball(1)}), holds(x < 1, {x: as_ball(2)})
    (True, False)
    """
    name = type(condition).__name__
    if name in ("BooleanTrue", "BooleanFalse"):
        return name == "BooleanTrue"
    if name in ("And", "Or"):
        parts = [holds(part, point) for part in condition.args]
        return all(parts) if name == "And" else any(parts)
    if name == "Not":
        return not holds(condition.args[0], point)
    if not condition.is_Relational:
        raise NotCertified(f"`function` has the condition {condition}, which is not a comparison")
    difference = ball_value(condition.lhs, point) - ball_value(condition.rhs, point)
    if not (difference > 0 or difference < 0 or difference.is_zero()):
        raise NotCertified(f"`function` has the condition {condition}, undecided at a point")
    sign = 1 if difference > 0 else -1 if difference < 0 else 0
    wanted = {
        "StrictGreaterThan": (1,),
        "GreaterThan": (0, 1),
        "StrictLessThan": (-1,),
        "LessThan": (-1, 0),
        "Equality": (0,),
        "Unequality": (-1, 1),
    }
    return sign in wanted[name]
