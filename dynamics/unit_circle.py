"""The exact trichotomy: all roots inside the unit circle, none outside, or some outside.

Rational polynomials only. Roots on the circle are common roots of a polynomial and its reciprocal;
they are counted by Sturm's theorem after the substitution ``u = lambda + 1/lambda``, so that no
root is ever computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from dynamics.schur import schur_cohn

__all__ = ["CircleVerdict", "circle_verdict", "rational_polynomial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CircleVerdict:
    """Where the roots of a rational polynomial lie.

    Attributes
    ----------
    side : int
        1: all strictly inside the unit circle; 0: none outside, some on it; -1: some outside.
    on_circle : int
        How many distinct roots lie on the circle (0 if ``side`` is -1: not counted).
    multiplicity : int
        The largest multiplicity among them.

    Examples
    --------
    >>> circle_verdict([1, 2, 1])
    CircleVerdict(side=0, on_circle=1, multiplicity=2)
    """

    side: int
    on_circle: int
    multiplicity: int


def circle_verdict(coefficients: Sequence[Any]) -> CircleVerdict:
    """Decide exactly where the roots of a rational polynomial lie.

    Parameters
    ----------
    coefficients : sequence of int, float, Fraction or flint.fmpq
        Leading coefficient first; floats are the rationals that they are.

    Raises
    ------
    ValueError
        The zero polynomial.

    Examples
    --------
    >>> circle_verdict([Fraction(1), Fraction(-1), Fraction(1, 4)]).side
    1
    >>> circle_verdict([1, -3, 1]).side, circle_verdict([1, 4, 4, 1]).side
    (-1, -1)
    >>> circle_verdict([1, 0, 2, 0, 1])  # (lambda^2 + 1)^2
    CircleVerdict(side=0, on_circle=2, multiplicity=2)
    """
    p = rational_polynomial(coefficients)
    if p.degree() < 0:
        raise ValueError("`coefficients` must not all be 0")
    fast = _side_by_balls(p)
    if fast:
        return CircleVerdict(side=fast, on_circle=0, multiplicity=0)
    on_circle = multiplicity = 0
    for factor, power in p.factor_squarefree()[1]:
        common = factor.gcd(_reciprocal(factor))
        found = _roots_on_circle(common)
        # What the factor shares with its reciprocal comes in pairs r, 1/r unless on the circle.
        rest = factor // common
        inside = _side_by_balls(rest) or schur_cohn(rest.coeffs()[::-1])
        if found < common.degree() or inside != 1:
            return CircleVerdict(side=-1, on_circle=0, multiplicity=0)
        on_circle += found
        multiplicity = max(multiplicity, power if found else 0)
    side = 0 if on_circle else 1
    return CircleVerdict(side=side, on_circle=on_circle, multiplicity=multiplicity)


def _side_by_balls(p: Any) -> int:
    """:func:`schur_cohn` in balls: as good as rationals unless a comparison is nearly equal."""
    from flint import arb, ctx

    with ctx.workprec(1024 + 64 * max(0, p.degree())):
        return schur_cohn([arb(c) for c in reversed(p.coeffs())])


def rational_polynomial(coefficients: Sequence[Any]) -> Any:
    """A ``flint.fmpq_poly`` from coefficients, leading first.

    Examples
    --------
    >>> rational_polynomial([1, 0.5])
    x + 1/2
    """
    from flint import fmpq_poly

    return fmpq_poly([_rational(c) for c in reversed(coefficients)])


def _rational(value: Any) -> Any:
    from flint import fmpq

    if isinstance(value, float):
        return fmpq(*value.as_integer_ratio())
    return fmpq(value.numerator, value.denominator) if isinstance(value, Fraction) else fmpq(value)


def _reciprocal(p: Any) -> Any:
    """``x^n p(1/x)``."""
    from flint import fmpq_poly

    return fmpq_poly(p.coeffs()[::-1])


def _roots_on_circle(h: Any) -> int:
    """Distinct roots on the unit circle of a squarefree polynomial that is its own reciprocal."""
    from flint import fmpq_poly

    found = 0
    for end in (1, -1):
        if h.degree() > 0 and h(end) == 0:
            h, found = h // fmpq_poly([-end, 1]), found + 1
    half = h.degree() // 2
    if half <= 0:
        return found
    coefficients = h.coeffs()
    # x^j + x^-j is a polynomial of degree j in u = x + 1/x: t_j = u t_{j-1} - t_{j-2}.
    u, before, now = fmpq_poly([0, 1]), fmpq_poly([2]), fmpq_poly([0, 1])
    q = fmpq_poly([coefficients[half]])
    for j in range(1, half + 1):
        q = q + coefficients[half + j] * now
        before, now = now, u * now - before
    return found + 2 * _roots_between(q, -2, 2)


def _roots_between(q: Any, low: int, high: int) -> int:
    """Sturm's theorem for a squarefree polynomial without roots at the ends."""
    chain = [q, q.derivative()]
    while chain[-1].degree() > 0:
        chain.append(-(chain[-2] % chain[-1]))
    return _sign_changes(chain, low) - _sign_changes(chain, high)


def _sign_changes(chain: list[Any], x: int) -> int:
    values = [v for v in (p(x) for p in chain) if v != 0]
    return sum((a < 0) != (b < 0) for a, b in pairwise(values))
