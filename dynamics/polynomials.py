"""Characteristic polynomials over other numbers: rationals, balls, polynomials in sigma^2."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from dynamics.methods.base import Method
from dynamics.schur import schur_cohn
from evidence.enclosure import Enclosure

__all__ = [
    "enclosure_of_ball",
    "polynomial_in_square",
    "radius_enclosure",
    "with_numbers",
]

PRECISION = 1024
"""Bits of the ball arithmetic: margins are products of up to ten differences near 2^-46."""


def with_numbers(method: Method, convert: Callable[[Any], Any], **replaced: Any) -> Any:
    """A copy of the method whose constant step sizes and weights are other numbers.

    Parameters
    ----------
    method : Method
        Left as it is.
    convert : callable
        Applied to each number.
    **replaced
        Fields to overwrite, with what is not checked again.

    Examples
    --------
    >>> from dynamics.methods import GDA
    >>> with_numbers(GDA(0.5), Fraction).step_size
    (Fraction(1, 2), Fraction(1, 2))
    """
    twin = copy.copy(method)
    for field in dataclasses.fields(method):  # type: ignore[arg-type]
        value = replaced.get(field.name, getattr(method, field.name))
        if field.name not in replaced and not isinstance(value, (str, bool)):
            if isinstance(value, tuple):
                first = convert(value[0])
                value = (first, first if value[1] is value[0] else convert(value[1]))
            elif isinstance(value, (int, float, Fraction)):
                value = convert(value)
        object.__setattr__(twin, field.name, value)
    return twin


def polynomial_in_square(method: Method) -> list[Any]:
    """Coefficients, leading first, as ``flint.fmpq_poly`` in ``s = sigma^2``, exact.

    Examples
    --------
    >>> from dynamics.methods import GDA
    >>> polynomial_in_square(GDA(0.5))
    [1, (-2), 1/4*x + 1]
    """
    from flint import fmpq_poly

    twin = with_numbers(method, as_fmpq)
    return [fmpq_poly([c]) if not isinstance(c, fmpq_poly) else c
            for c in (_settled(c) for c in twin._polynomial(fmpq_poly([0, 1])))]  # fmt: skip


def _settled(value: Any) -> Any:
    return value if hasattr(value, "degree") else as_fmpq(value)


def as_fmpq(value: Any) -> Any:
    """The ``flint.fmpq`` that an int, a float or a Fraction is.

    Raises
    ------
    TypeError
        A symbolic number.
    """
    from flint import fmpq

    if isinstance(value, fmpq):
        return value
    if isinstance(value, float):
        return fmpq(*value.as_integer_ratio())
    if isinstance(value, (int, Fraction)):
        return fmpq(value.numerator, value.denominator)
    raise TypeError(f"`step_size` must be a number to decide stability, got {value!r}")


def radius_enclosure(polynomials: Sequence[Sequence[Any]], estimate: float) -> Enclosure:
    """Enclose the largest modulus of a root of several polynomials.

    Parameters
    ----------
    polynomials : sequence of sequences of flint.arb
        Coefficients, leading first.
    estimate : float
        About the answer; a poor one costs time only.

    Returns
    -------
    Enclosure
        About 13 digits for polynomials known to more; as tight as the balls allow otherwise.

    Notes
    -----
    All roots have modulus below ``r`` if and only if those of ``p(r lambda)`` lie inside the unit
    circle, which :func:`schur_cohn` decides without computing a root. Defective eigenvalues, at
    which floating-point eigenvalues lose half of their digits, cost nothing here.

    Examples
    --------
    >>> from flint import arb
    >>> quartic = [arb(c) for c in (1.0, -2.0, 1.5, -0.5, 0.0625)]  # (lambda - 1/2)^4
    >>> e = radius_enclosure([quartic], 0.5001)
    >>> 0.5 in e, e.width < 1e-11
    (True, True)
    """
    from flint import ctx

    degree = max(len(p) for p in polynomials)
    with ctx.workprec(PRECISION + 64 * degree):
        trimmed = [_without_zero_roots(p) for p in polynomials]
        trimmed = [p for p in trimmed if len(p) > 1]
        if not trimmed:
            return Enclosure.exact(0.0, "nilpotent")

        def inside(r: float) -> bool:
            return all(schur_cohn(_scaled(p, r)) == 1 for p in trimmed)

        def outside(r: float) -> bool:
            return any(schur_cohn(_scaled(p, r)) == -1 for p in trimmed)

        guess = estimate if 0.0 < estimate < float("inf") else 1.0
        lower, upper = 0.0, float("inf")
        slack = 2.0**-46
        while slack < 2.0**40 and upper == float("inf"):
            upper = guess * (1.0 + slack) if inside(guess * (1.0 + slack)) else upper
            slack *= 16.0
        slack = 2.0**-46
        while slack < 1.0 and lower == 0.0:
            lower = guess * (1.0 - slack) if outside(guess * (1.0 - slack)) else lower
            slack *= 16.0
        for _ in range(60):
            if not upper - lower > 2.0**-46 * upper or upper == float("inf"):
                break
            # A comparison may be undecided at the answer itself, hardly at three points.
            for share in (0.5, 0.4142, 0.6180):
                middle = lower + share * (upper - lower)
                if inside(middle):
                    upper = middle
                    break
                if outside(middle):
                    lower = middle
                    break
            else:
                break
    return Enclosure(lower, upper, "Schur-Cohn in balls")


def _without_zero_roots(p: Sequence[Any]) -> list[Any]:
    kept = list(p)
    while len(kept) > 1 and kept[-1] == 0:
        kept.pop()
    return kept


def _scaled(p: Sequence[Any], r: float) -> list[Any]:
    """The coefficients of ``p(r lambda)``."""
    from flint import arb

    power, scaled = arb(1), []
    for c in reversed(p):
        scaled.append(c * power)
        power = power * arb(r)
    return scaled[::-1]


def enclosure_of_ball(ball: Any, method: str) -> Enclosure:
    """The floats around a ``flint.arb``."""
    if not ball.is_finite():
        return Enclosure(-np.inf, np.inf, method)
    ends = []
    for end in (ball.lower(), ball.upper()):
        mantissa, exponent = end.man_exp()
        ends.append(Fraction(int(mantissa)) * Fraction(2) ** int(exponent))
    return Enclosure(ends[0], ends[1], method)  # type: ignore[arg-type]
