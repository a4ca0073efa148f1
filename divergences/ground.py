"""Ground costs between two clouds of points, and the checking of a given cost matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from divergences.points import power_of_two_scale
from evidence.validation import as_float_array, choice

__all__ = ["GROUNDS", "as_costs", "ground_distances"]

GROUNDS = ("l2", "l1", "linf", "sqeuclidean")
_NAMES = {"l2": "euclidean", "l1": "cityblock", "linf": "chebyshev", "sqeuclidean": "sqeuclidean"}


def ground_distances(
    x: NDArray[np.float64], y: NDArray[np.float64], ground: str
) -> NDArray[np.float64]:
    """Distances of every point of ``x`` to every point of ``y``, shape (n, m).

    Differences are taken before they are squared, so that near points stay accurate.

    Examples
    --------
    >>> ground_distances(np.zeros((1, 2)), np.ones((1, 2)), "l1")
    array([[2.]])
    """
    from scipy.spatial.distance import cdist

    name = _NAMES[choice(ground, "ground", GROUNDS)]
    exponent = power_of_two_scale(max(float(np.abs(x).max()), float(np.abs(y).max())))
    if exponent:
        x, y = np.ldexp(x, -exponent), np.ldexp(y, -exponent)
    try:
        distances: NDArray[np.float64] = cdist(x, y, name)
    except MemoryError as error:
        raise MemoryError(
            f"`x` and `y` need a cost matrix of {len(x)} x {len(y)} entries, which does not fit; "
            "take fewer points, or `sliced_wasserstein`"
        ) from error
    if exponent:
        shift = 2 * exponent if ground == "sqeuclidean" else exponent
        with np.errstate(over="ignore"):
            distances = np.ldexp(distances, shift)
        if not np.isfinite(distances).all():
            raise OverflowError(
                "the distances of `x` and `y` exceed the largest float; rescale the points"
            )
    return distances


def as_costs(value: Any, shape: tuple[int, int]) -> NDArray[np.float64]:
    """A cost matrix: finite entries, and inf where a move is forbidden; negative costs are allowed.

    Examples
    --------
    >>> as_costs([[0, 1], [1, float("inf")]], (2, 2))
    array([[ 0.,  1.],
           [ 1., inf]])
    """
    array = value
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        if value.size and max(abs(int(value.min())), abs(int(value.max()))) > 2**53:
            raise ValueError("`cost` holds integers beyond 2**53; use `exact_transport`")
        array = value.astype(np.float64)
    elif isinstance(value, (list, tuple)):
        try:
            array = np.asarray(value)
        except ValueError:
            array = value
        if isinstance(array, np.ndarray) and array.dtype.kind in "iu":
            array = array.astype(np.float64)
    forbidden = None
    if isinstance(array, np.ndarray) and array.dtype.kind == "f":
        forbidden = np.isposinf(array)
        array = np.where(forbidden, 0.0, array) if forbidden.any() else array
    costs = as_float_array(array, "cost", ndim=2)
    if costs.shape != shape:
        raise ValueError(
            f"`cost` must have one row per atom of `x` and one column per atom of `y`, "
            f"shape {shape}, got {costs.shape}"
        )
    if forbidden is not None and forbidden.any():
        costs = np.where(forbidden, np.inf, costs)
    return costs
