"""Identities decided twice: the same formula expanded by sympy and by flint, independently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

__all__ = ["check_identity", "check_nonnegative_combination"]


def check_identity(left: Callable[..., Any], right: Callable[..., Any]) -> None:
    """Assert that two polynomial expressions are the same polynomial over the integers.

    Both are functions of the same named variables; the names become free symbols, so that the
    identity is proved for all values of them in every commutative ring. Each side is expanded in
    sympy's and in flint's polynomial rings; both engines must agree.

    Examples
    --------
    >>> check_identity(lambda a, b: (a + b) * (a - b), lambda a, b: a**2 - b**2)
    >>> check_identity(lambda a: (a + 1) ** 2, lambda a: a**2 + 1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AssertionError: the two sides differ by 2*a...
    """
    import flint
    import sympy

    names = list(signature(left).parameters)
    assert names == list(signature(right).parameters), "the two sides name other variables"

    symbols = sympy.symbols(names)
    difference = sympy.Poly(left(*symbols) - right(*symbols), *symbols, domain="ZZ")
    ring = flint.fmpz_mpoly_ctx.get(names, flint.Ordering.lex)
    residue = left(*ring.gens()) - right(*ring.gens())
    assert difference.is_zero == (residue == 0), "sympy and flint disagree"
    assert residue == 0, f"the two sides differ by {residue}"


def check_nonnegative_combination(
    quantity: Callable[..., Any],
    multipliers: Callable[..., Sequence[Any]],
    nonnegative: Callable[..., Sequence[Any]],
) -> None:
    """Assert that a quantity is a sum of products of things known to be nonnegative.

    ``quantity = sum(m * s)`` over the given multipliers and slacks is checked as an identity.
    A multiplier must be a polynomial without negative coefficients in variables that the caller's
    hypotheses say are nonnegative; that the slacks are is what the hypotheses say as well.

    Examples
    --------
    If ``x <= 2 y`` and ``y <= 3 z`` then ``x <= 6 z``:

    >>> check_nonnegative_combination(
    ...     lambda x, y, z: 6 * z - x,
    ...     lambda x, y, z: [1, 2],
    ...     lambda x, y, z: [2 * y - x, 3 * z - y])
    """

    import sympy

    symbols = sympy.symbols(list(signature(multipliers).parameters))
    for multiplier in multipliers(*symbols):
        coefficients = sympy.Poly(multiplier, *symbols, domain="ZZ").coeffs()
        assert min(coefficients) >= 0, f"the multiplier {multiplier} may be negative"

    def combination(*values: Any) -> Any:
        pairs = zip(multipliers(*values), nonnegative(*values), strict=True)
        return sum((m * s for m, s in pairs), values[0] * 0)

    combination.__signature__ = signature(quantity)  # type: ignore[attr-defined]
    check_identity(quantity, combination)
