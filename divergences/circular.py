"""W_1 of samples on a circle: the line's flow with the best place to cut it open."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from divergences.masses import check_flag
from divergences.plans1d import checked_line
from evidence.validation import positive_float

__all__ = ["wasserstein_circular"]


def wasserstein_circular(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    *,
    period: float = 1.0,
    normalize: bool = False,
) -> float:
    r"""W_1 of two samples on a circle, such as angles or times of day.

    .. math:: W_1(P, Q) = \min_c \int_0^T |F(t) - G(t) - c|\, dt,

    attained where ``c`` is a median of ``F - G`` over one period.

    Parameters
    ----------
    x, y : array_like, shape (n,) and (m,)
        Positions; any number of periods may be added to each.
    x_weights, y_weights, normalize
        As in ``wasserstein``.
    period : float
        Circumference ``T``.

    Returns
    -------
    float
        At most ``T / 2``.

    Raises
    ------
    TypeError, ValueError
        As ``wasserstein``, and a period that is not positive.

    Notes
    -----
    The remainder of a position is exact for ``period=1`` and rounded once otherwise (2 pi is no
    float: use turns rather than radians for exact answers).

    References
    ----------
    .. [1] J. Rabin, J. Delon, Y. Gousseau, "Transportation distances on the circle",
       J. Math. Imaging Vis. 41 (2011), Proposition 3.

    Examples
    --------
    Eleven o'clock and one o'clock are two hours apart:

    >>> wasserstein_circular([11.0], [1.0], period=12.0)
    2.0
    """
    check_flag(normalize, "normalize")
    T = positive_float(period, "period")
    X, Y, a, b, total = checked_line(x, y, x_weights, y_weights, normalize)
    turned = np.fmod(np.concatenate((X, Y)), T)  # fmod is exact; adding a period rounds once
    turned = np.where(turned < 0.0, turned + T, turned)
    order = np.argsort(turned, kind="stable")
    at = turned[order]
    difference = np.add.accumulate(np.concatenate((a, -b))[order]) / total
    gaps = np.append(np.diff(at), T - (at[-1] - at[0]))
    # The last difference is zero but for rounding, and belongs to the arc through the origin.
    difference[-1] = 0.0
    ranked = np.argsort(difference, kind="stable")
    below = np.add.accumulate(gaps[ranked])
    c = difference[ranked[np.searchsorted(below, below[-1] / 2.0)]]
    return math.fsum((np.abs(difference - c) * gaps).tolist())
