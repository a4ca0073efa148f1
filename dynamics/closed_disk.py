"""The exact trichotomy in degree 1 to 4 by polynomial inequalities alone: whole arrays at once.

Where no margin of :func:`dynamics.schur.jury_margins` is negative and one is 0, the roots may still
lie outside the unit circle. What decides is whether all roots lie in the *closed* disk, and this
needs no gcd, no Sturm chain and no division:

- ``|c_n| > c_0``: the product of the roots has modulus above 1.
- ``|c_n| < c_0``: the polynomial ``(c_0 p - c_n p*) / lambda`` has as many roots outside. The roots
  on the circle are common to ``p`` and ``p*`` and stay; without them Rouche's theorem applies.
- ``|c_n| = c_0``: the product of the moduli is 1, so that all roots in the closed disk means all
  *on* the circle. Then ``p* = p`` or ``p* = -p``, and with the roots 1 and -1 that this forces
  divided out, ``u = lambda + 1/lambda`` leaves a linear or quadratic polynomial whose roots must
  be real and lie in [-2, 2].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.schur import jury_margins

__all__ = ["sides_of_integers"]


def sides_of_integers(coefficients: Sequence[Any]) -> NDArray[np.int8]:
    """1 inside, 0 none outside and some on the circle, -1 some outside: for each polynomial.

    Parameters
    ----------
    coefficients : sequence of int and arrays of object
        Leading coefficient first and positive, degree 1 to 4; Python integers or other exact
        numbers, broadcastable against each other.

    Returns
    -------
    array of int8
        The broadcast shape; without a meaning where the leading coefficient is not positive.

    Raises
    ------
    ValueError
        If the degree is not 1 to 4.

    References
    ----------
    Henrici, *Applied and computational complex analysis* I, 1974, Theorem 6.8b.

    Examples
    --------
    >>> middle = np.array([-3, -2, 0, 2, 3], dtype=object)
    >>> sides_of_integers([1, 0, middle, 0, 1])  # lambda^4 + c lambda^2 + 1
    array([-1,  0,  0,  0, -1], dtype=int8)
    """
    shape = np.broadcast_shapes(*(np.shape(c) for c in coefficients))
    margins = jury_margins(coefficients)
    inside, outside = _all(m > 0 for m in margins), reduce(or_, (m < 0 for m in margins))
    signs = np.asarray(inside).astype(np.int8) - np.asarray(outside).astype(np.int8)
    sides = np.array(np.broadcast_to(signs, shape))
    open_cells = np.flatnonzero(sides == 0)
    # In degree 1 and 2 the closed inequalities describe the closed disk.
    if len(coefficients) > 3 and len(open_cells):
        kept = [_selected(c, shape, open_cells) for c in coefficients]
        sides.flat[open_cells] = np.where(_none_outside(kept), 0, -1)
    return sides


def _none_outside(c: Sequence[Any]) -> Any:
    """Whether all roots lie in the closed disk; the leading coefficient is positive."""
    if len(c) <= 3:
        return _all(m >= 0 for m in jury_margins(c))
    first, last = c[0], c[-1]
    size = abs(last)
    is_equal, is_less = size == first, size < first
    found = is_equal & _all_on_circle(c) if np.any(is_equal) else is_equal
    if np.any(is_less):
        step = [first * a - last * b for a, b in zip(c[:-1], c[:0:-1], strict=True)]
        found = found | (is_less & _none_outside(step))
    return found


def _all_on_circle(c: Sequence[Any]) -> Any:
    """Whether all roots of a polynomial of degree 3 or 4 lie on the circle; ``c0 > 0``.

    Margins that are not negative imply some of these conditions; they are all here so that the
    answer holds for every polynomial.
    """
    pairs = list(zip(c, reversed(c), strict=True))[: len(c) // 2 + len(c) % 2]
    is_palindrome = _all(a == b for a, b in pairs)
    is_antipalindrome = _all(a == -b for a, b in pairs)
    first, second = c[0], c[1]
    if len(c) == 4:
        # Without lambda + 1, or lambda - 1, the middle coefficient is c1 - c0, or c1 + c0.
        even = abs(second - first) <= 2 * first
        odd = abs(second + first) <= 2 * first
    else:
        # c0 u^2 + c1 u + c2 - 2 c0; without lambda^2 - 1 it is c0 u + c1.
        third, width = c[2], abs(second)
        is_real = second * second >= 4 * first * (third - 2 * first)
        even = is_real & (width <= 4 * first) & (2 * width <= 2 * first + third)
        odd = width <= 2 * first
    return (is_palindrome & even) | (is_antipalindrome & odd)


def _selected(value: Any, shape: tuple[int, ...], cells: NDArray[np.intp]) -> Any:
    return np.broadcast_to(value, shape).ravel()[cells] if np.ndim(value) else value


def _all(conditions: Iterable[Any]) -> Any:
    return reduce(and_, conditions)
