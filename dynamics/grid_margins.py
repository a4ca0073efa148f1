"""The smallest margin of every cell of a grid of polynomials, in few passes over memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dynamics.majorants import Majorant
from dynamics.schur import jury_margins

__all__ = ["margin_error", "smallest_margin"]


def smallest_margin(coefficients: Sequence[Any], *, palindromic: bool = False) -> Any:
    """The smallest of the margins of :func:`jury_margins`, for floats and arrays of floats.

    Parameters
    ----------
    coefficients : sequence of numbers and arrays
        Leading coefficient first, degree 2 to 4, broadcastable against each other. None is written
        to.
    palindromic : bool
        The first and the last coefficient are known to be equal, whatever their computed values;
        their difference, a margin that is 0, is left out.

    Returns
    -------
    float or array
        ``min(a - b, a + b)`` is taken as ``a - |b|``, whose rounding is that of the smaller one.

    Examples
    --------
    >>> smallest_margin([1, -1.0, np.array([0.5, 2.0])])
    array([ 0.5, -1. ])
    """
    degree = len(coefficients) - 1
    c0, last = coefficients[0], coefficients[-1]
    ends = c0 + last if palindromic else c0 - abs(last)
    if degree == 2:
        _, c1, c2 = coefficients
        return _least(_less_magnitude(c0 + c2, c1 + 0.0), ends)
    if degree == 3:
        _, p, q, r = coefficients
        smallest = _less_magnitude(c0 + q, p + r)
        return _least(_least(smallest, c0 * (c0 - q) + r * (p - r)), ends)
    _, c1, c2, c3, c4 = coefficients
    smallest = _less_magnitude(c0 + c2 + c4, c1 + c3)
    moved = c0 * c3 - c1 * c4
    smallest = _least(smallest, _less_magnitude(c0 * c0 - c4 * c4, moved + 0.0))
    low = c0 - c4
    inner = _times((c0 + c4) - c2, low * low) + _times(moved, c1 - c3)
    return _least(_least(smallest, inner), ends)


def margin_error(majorants: Sequence[Any], *, palindromic: bool = False) -> float:
    """A bound of the rounding errors of :func:`smallest_margin`, from majorants of coefficients.

    Examples
    --------
    >>> 0.0 < margin_error([1, Majorant(1.0), Majorant(0.5)]) < 1e-14
    True
    """
    margins = jury_margins(majorants)[1 if palindromic else 0 :]
    return max((m.error for m in margins if isinstance(m, Majorant)), default=0.0)


# ---- in place of a fresh temporary, where its shape allows ---------------------------------------
def _less_magnitude(a: Any, fresh: Any) -> Any:
    """``a - |fresh|``."""
    fresh = np.abs(fresh, out=fresh if np.ndim(fresh) else None)
    return np.subtract(a, fresh, out=_room(fresh, a))


def _times(fresh: Any, b: Any) -> Any:
    return np.multiply(fresh, b, out=_room(fresh, b))


def _least(fresh: Any, b: Any) -> Any:
    return np.minimum(fresh, b, out=_room(fresh, b))


def _room(fresh: Any, other: Any) -> Any:
    shape = np.shape(fresh)
    fits = shape and shape == np.broadcast_shapes(shape, np.shape(other))
    return fresh if fits else None
