"""Quantiles of a distribution function by bracketing, many at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__: list[str] = []

Array = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)
_STEPS = 400


def invert_increasing(
    excess: Callable[[Array, NDArray[np.intp]], Array], low: Array, high: Array
) -> Array:
    """Zeros of increasing functions, one per entry, each between ``low`` and ``high``.

    Steps of regula falsi with the Illinois correction and halvings take turns; an entry is done
    when its bracket is two units of rounding wide.

    Parameters
    ----------
    excess : callable
        ``excess(x, indices)`` gives the functions with these indices at the points ``x``; at least
        zero to the right of the zero sought.
    low, high : array, shape (n,)

    Returns
    -------
    array, shape (n,)

    Examples
    --------
    >>> targets = np.array([2.0, 9.0])
    >>> invert_increasing(lambda x, i: x * x - targets[i], np.zeros(2), np.full(2, 10.0)).round(12)
    array([1.41421356, 3.        ])
    """
    a, b = low.copy(), high.copy()
    active = np.flatnonzero(b > a)
    fa, fb = np.full(a.shape, np.nan), np.full(a.shape, np.nan)
    with np.errstate(all="ignore"):
        fa[active], fb[active] = excess(a[active], active), excess(b[active], active)
        for step in range(_STEPS):
            left, right = a[active], b[active]
            wide = right - left > 2.0 * EPS * np.maximum(np.abs(left), np.abs(right))
            active, left, right = active[wide], left[wide], right[wide]
            if active.size == 0:
                break
            middle = 0.5 * left + 0.5 * right
            if step % 2 == 0:
                falsi = right - fb[active] * ((right - left) / (fb[active] - fa[active]))
                middle = np.where((falsi > left) & (falsi < right), falsi, middle)
            values = excess(middle, active)
            reached = values >= 0.0
            to_left, to_right = active[reached], active[~reached]
            b[to_left], fb[to_left] = middle[reached], values[reached]
            a[to_right], fa[to_right] = middle[~reached], values[~reached]
            if step % 2 == 0:  # the end that stayed counts half: it moves next time
                fa[to_left] *= 0.5
                fb[to_right] *= 0.5
    return 0.5 * a + 0.5 * b
