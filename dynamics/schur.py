"""When all roots of a real polynomial lie inside the unit circle: inequalities, not eigenvalues.

A *margin* is a polynomial in the coefficients that is positive wherever all roots are inside.
Every polynomial with all roots in the *closed* disk is a limit of such ones, so that a margin that
is negative proves a root strictly outside; all margins of the complete lists below being positive
proves that all roots are strictly inside (Jury 1964; Zhang and Yu 2020, Appendix B.2). Where the
smallest margin is zero the answer needs the exact methods of :mod:`dynamics.unit_circle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["jury_margins", "schur_cohn"]


def jury_margins(coefficients: Sequence[Any]) -> list[Any]:
    """The margins of a real polynomial of degree 1 to 4 with a positive leading coefficient.

    Parameters
    ----------
    coefficients : sequence
        Leading coefficient first; numbers of any kind that add and multiply (floats, arrays,
        rationals, balls, polynomials in another variable).

    Returns
    -------
    list
        All are positive if and only if all roots lie inside the unit circle. The first two bound
        the product of the roots, the next two are ``p(1)`` and ``(-1)^n p(-1)``.

    Raises
    ------
    ValueError
        If the degree is not 1 to 4.

    Notes
    -----
    Degree 3, divided by the cube of ``c0``: ``|r| < 1``, ``|p + r| < 1 + q``,
    ``q - p r < 1 - r^2``. Degree 4: the same for the cubic that one step of the Schur-Cohn
    recursion leaves, from which a factor that is positive anyway has been divided out.

    References
    ----------
    Jury, *Theory and application of the z-transform method*, 1964, chapter 3.

    Examples
    --------
    >>> jury_margins([1, -1, 0.5])
    [0.5, 1.5, 0.5, 2.5]
    >>> min(jury_margins([1, 7, 10, 2])) < 0  # three published inequalities hold; a root is -5.12
    True
    """
    degree = len(coefficients) - 1
    if not 1 <= degree <= 4:
        raise ValueError(
            f"`coefficients` must have degree 1 to 4, got {degree}; use schur_cohn for others"
        )
    if degree == 1:
        c0, c1 = coefficients
        return [c0 - c1, c0 + c1]
    even, odd = _sum(coefficients[degree % 2 :: 2]), _sum(coefficients[1 - degree % 2 :: 2])
    c0, last = coefficients[0], coefficients[-1]
    # `even` has the powers of the degree's parity removed: p(1) = even + odd in either case.
    at_one, at_minus_one = even + odd, even - odd
    if degree % 2:
        at_minus_one = odd - even
    ends = [c0 - last, c0 + last, at_one, at_minus_one]
    if degree == 2:
        return ends
    if degree == 3:
        _, p, q, r = coefficients
        return [*ends, c0 * (c0 - q) + r * (p - r)]
    _, c1, c2, c3, c4 = coefficients
    kept, moved, low = c0 * c0 - c4 * c4, c0 * c3 - c1 * c4, c0 - c4
    return [
        *ends,
        kept - moved,
        kept + moved,
        low * low * (c0 + c4 - c2) + moved * (c1 - c3),
    ]


def schur_cohn(coefficients: Sequence[Any]) -> int:
    """Where the roots of a real polynomial of any degree are, as far as comparisons decide it.

    Parameters
    ----------
    coefficients : sequence
        Leading coefficient first, not zero; exact rationals or balls. A comparison of balls holds
        only if it holds for all numbers in them.

    Returns
    -------
    int
        1: all roots inside the unit circle. -1: a root outside. 0: undecided, because a root may
        lie on the circle or the balls are too wide.

    Notes
    -----
    ``p`` with ``|c_n| < |c_0|`` has one root more inside than ``c_0 p - c_n p*`` (divided by the
    variable) and as many outside; with ``|c_n| > |c_0|`` the product of its roots exceeds 1.

    References
    ----------
    Henrici, *Applied and computational complex analysis* I, 1974, Theorem 6.8b.

    Examples
    --------
    >>> from fractions import Fraction
    >>> schur_cohn([Fraction(1), Fraction(0), Fraction(1, 4)])
    1
    >>> schur_cohn([1, -2, 1]), schur_cohn([1, -3, 1, 0])
    (0, -1)
    """
    c = list(coefficients)
    while len(c) > 1:
        first, last = abs(c[0]), abs(c[-1])
        if last > first:
            return -1
        if not last < first:
            return _ends(c)
        if last == 0:
            c = c[:-1]
            continue
        ratio = c[-1] / c[0]
        c = [a - ratio * b for a, b in zip(c[:-1], c[:0:-1], strict=True)]
    return 1


def _ends(c: list[Any]) -> int:
    """-1 if the polynomial changes its sign outside the circle, on the real line; else 0."""
    sign = 1 if c[0] > 0 else -1 if c[0] < 0 else 0
    at_one = sign * _sum(c)
    at_minus_one = sign * _sum([a if i % 2 == 0 else -a for i, a in enumerate(c)])
    return -1 if at_one < 0 or at_minus_one < 0 else 0


def _sum(terms: Sequence[Any]) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
