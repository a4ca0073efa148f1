"""Expectations of functions on the outcomes, which are arrays of their values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.masses import as_mass_pair, detached

__all__ = ["expected", "quotients", "shaped", "values_at_outcomes"]


def quotients(
    p: ArrayLike, q: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, ...]]:
    pair = as_mass_pair(p, q)
    return (*pair.quotients(), pair.shape)


def expected(masses: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``sum masses * values`` where outcomes without mass do not count, however large."""
    with np.errstate(invalid="ignore"):
        sums: NDArray[np.float64] = np.where(masses > 0.0, masses * values, 0.0).sum(axis=-1)
    return sums


def values_at_outcomes(
    values: ArrayLike, name: str, shape: tuple[int, ...] | None, batch: tuple[int, ...]
) -> NDArray[np.float64]:
    """Finite real values at the outcomes, one row per pair of distributions."""
    array = np.asarray(detached(values, name))
    if isinstance(values, np.ma.MaskedArray) or array.dtype.kind not in "iuf":
        raise TypeError(f"`{name}` must hold real numbers, got dtype {array.dtype}")
    array = array.astype(np.float64)
    if array.size == 0 or not np.all(np.isfinite(array)):
        raise ValueError(f"`{name}` must be finite and not empty, got {values!r}")
    if shape is None:
        return array
    n = shape[-1]
    try:
        fitting = array.ndim > 0 and array.shape[-1] == n
        rows = np.broadcast_to(array, (*batch, n)) if fitting else None
    except ValueError:
        rows = None
    if rows is None:
        raise ValueError(
            f"`{name}` must have one value per outcome, shape {(*batch, n)}, got {array.shape}"
        )
    return rows.reshape(shape)


def shaped(values: NDArray[np.float64], shape: tuple[int, ...]) -> Any:
    return float(values[0]) if shape == () else values.reshape(shape)
