"""The Lipschitz constant of a function on a finite metric space, rounded upward."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.masses import detached

__all__ = ["as_distances", "largest_slope"]


def largest_slope(values: NDArray[np.float64], distances: ArrayLike) -> float:
    """Upper bound of ``max |f(x) - f(y)| / d(x, y)``, within two units in the last place.

    Examples
    --------
    >>> 2.0 <= largest_slope(np.array([0.0, 1.0]), [[0.0, 0.5], [0.5, 0.0]]) <= 2.000000000000001
    True
    """
    d = as_distances(distances, values.size)
    largest = 0.0
    # Row by row, in memory of n; each rounded difference and quotient is moved up by one float.
    for i in range(values.size):
        with np.errstate(over="ignore"):
            rise = np.abs(values - values[i])
        moved = rise > 0.0
        if moved.any():
            with np.errstate(divide="ignore", over="ignore"):
                rise_up = np.nextafter(rise[moved], math.inf)
                slope = np.nextafter(rise_up / d[i][moved], math.inf)
            largest = max(largest, float(slope.max()))
    return largest


def as_distances(distances: Any, n: int) -> NDArray[np.float64]:
    """A symmetric, nonnegative matrix with zero diagonal; the triangle inequality is not asked."""
    array = np.asarray(detached(distances, "distances"))
    if isinstance(distances, np.ma.MaskedArray) or array.dtype.kind not in "iuf":
        raise TypeError(f"`distances` must hold real numbers, got dtype {array.dtype}")
    d = array.astype(np.float64)
    if d.shape != (n, n):
        raise ValueError(f"`distances` must have shape {(n, n)}, got {d.shape}")
    if np.isnan(d).any() or d.min() < 0.0 or np.isinf(d).any():
        raise ValueError("`distances` must be finite and nonnegative")
    if not np.array_equal(d, d.T):
        gap = float(np.max(np.abs(d - d.T)))
        raise ValueError(
            f"`distances` must be symmetric, but differ from their transpose by {gap:.3g}; "
            "pass np.maximum(d, d.T) if that is rounding"
        )
    if np.diagonal(d).any():
        raise ValueError(
            f"`distances` must be 0 on the diagonal, got {float(np.max(np.diagonal(d))):.17g}"
        )
    return d
