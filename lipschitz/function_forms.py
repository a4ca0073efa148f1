"""Equal forms of one formula: interval arithmetic is sharper on some of them than on others.

Whatever sympy rewrites here is meant to be equal; what is proved about the result holds for the
form that was evaluated. Only rational identities are used, and those between sines and cosines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["other_forms", "partial_derivatives", "shortest"]

MOST_OPERATIONS = 120


def shortest(formula: Any) -> Any:
    """The shortest of a few forms.

    Examples
    --------
    >>> import sympy
    >>> r, t = sympy.symbols("r t", real=True)
    >>> shortest((r * sympy.cos(t)) ** 2 / r**2 + sympy.sin(t) ** 2)
    1
    """
    import sympy

    if formula.count_ops() > MOST_OPERATIONS:
        return formula
    forms = [formula]
    trigonometric = bool(formula.atoms(sympy.sin, sympy.cos))
    others = formula.atoms(sympy.tanh, sympy.exp, sympy.sinh, sympy.cosh, sympy.Piecewise)
    for rewrite in (sympy.cancel, sympy.factor, sympy.trigsimp):
        if rewrite is sympy.trigsimp and (not trigonometric or others):
            continue
        try:
            forms += [rewrite(form) for form in forms[:2]]
        except Exception:
            # sympy fails in many ways; a shorter form is a courtesy, the one at hand will do.
            continue
    return min(forms, key=lambda form: int(form.count_ops()))


def other_forms(formula: Any, symbols: Sequence[Any]) -> list[Any]:
    """Forms whose enclosures stay finite towards infinity, if there are any.

    ``x^2 / (1 + x^2) = 1 - 1 / (1 + x^2)``, and ``e^x / (1 + e^x) = 1 / (1 + e^-x)``.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> other_forms(x**2 / (1 + x**2), [x])
    [1 - 1/(x**2 + 1)]
    """
    import sympy

    forms = []
    if formula.count_ops() <= MOST_OPERATIONS and len(symbols) == 1:
        if formula.is_rational_function(*symbols):
            forms.append(sympy.apart(formula, symbols[0]))
        powers = formula.atoms(sympy.exp)
        if powers:
            inverse = {e: 1 / sympy.Dummy(positive=True) for e in powers}
            turned = sympy.factor(formula.xreplace(inverse))
            back = {1 / v: sympy.exp(-e.args[0]) for e, v in inverse.items()}
            forms.append(turned.xreplace(back))
    return [form for form in forms if form != formula]


def partial_derivatives(formula: Any, symbols: Sequence[Any]) -> list[Any] | None:
    """Partial derivatives, or None if the formula has kinks or jumps.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> partial_derivatives(x**3, [x]), partial_derivatives(sympy.Abs(x), [x])
    ([3*x**2], None)
    """
    import sympy

    kinks = (
        sympy.Abs, sympy.Max, sympy.Min, sympy.sign, sympy.Heaviside, sympy.Piecewise,
        sympy.DiracDelta, sympy.Derivative,
    )  # fmt: skip
    if formula.atoms(*kinks):
        return None
    slopes = [sympy.diff(formula, symbol) for symbol in symbols]
    if any(slope.atoms(*kinks) for slope in slopes):
        return None
    return [
        sympy.factor_terms(s) if s.count_ops() > MOST_OPERATIONS else _factored(s) for s in slopes
    ]


def _factored(formula: Any) -> Any:
    import sympy

    try:
        return sympy.factor(formula)
    except (sympy.PolynomialError, NotImplementedError, ValueError):
        return formula
