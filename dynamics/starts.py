"""Start points of orbits and flows, checked once and never written to."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dynamics.protocols import Array, Game
from evidence.validation import as_float_array

__all__ = ["checked_starts"]


def checked_starts(game: Game, starts: ArrayLike, name: str) -> Array:
    """Finite floats of shape (..., m + n), possibly the caller's own array.

    Raises
    ------
    TypeError, ValueError
        Wrong shape, no entries, entries that are not real or not finite.

    Examples
    --------
    >>> from dynamics.games import Bilinear
    >>> checked_starts(Bilinear(1.0), [1, 2], "starts")
    array([1., 2.])
    """
    points = np.asarray(starts)
    if points.dtype.kind in "iu":
        points = points.astype(np.float64)
    points = as_float_array(points, name)
    m, n = game.dimensions
    if points.ndim == 0 or points.shape[-1] != m + n:
        raise ValueError(
            f"`{name}` must have shape (..., {m + n}) for a game of dimensions ({m}, {n}), "
            f"got {points.shape}"
        )
    return points
