"""The sliced Wasserstein distance: the line's distance averaged over random directions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.masses import check_flag
from divergences.points import as_clouds, check_order
from divergences.samples1d import power_sum
from evidence.validation import generator, positive_int

__all__ = ["SlicedWasserstein", "sliced_wasserstein"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicedWasserstein:
    """An estimate over random directions, with its standard error.

    Attributes
    ----------
    value : float
        ``(mean of W_p^p over the directions) ** (1/p)``.
    standard_error : float
        Of the value, by the delta method; infinite for one direction. An estimate, not a bound.
    n_projections : int

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sliced_wasserstein([[0.0, 0.0]], [[0.0, 0.0]], rng=rng).value
    0.0
    """

    value: float
    standard_error: float
    n_projections: int


def sliced_wasserstein(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    p: float = 1,
    n_projections: int = 128,
    normalize: bool = False,
) -> SlicedWasserstein:
    r"""Sliced W_p of two clouds in R^d.

    .. math:: SW_p^p = E_{\theta \sim S^{d-1}}\, W_p^p(\theta_\# P, \theta_\# Q)

    Parameters
    ----------
    x, y : array_like, shape (n, d) and (m, d)
    x_weights, y_weights, normalize
        As in ``optimal_transport``.
    rng : numpy.random.Generator
        Draws the directions.
    p : float
        From 1, finite.
    n_projections : int

    Returns
    -------
    SlicedWasserstein

    Raises
    ------
    TypeError, ValueError
        As ``optimal_transport``.

    Notes
    -----
    A different distance, not an approximation of W_p: ``SW_p <= W_p`` for the l2 ground
    norm. On the line both agree.

    References
    ----------
    .. [1] N. Bonneel, J. Rabin, G. Peyre, H. Pfister, "Sliced and Radon Wasserstein barycenters of
       measures", J. Math. Imaging Vis. 51 (2015).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sliced_wasserstein([[0.0], [1.0]], [[2.0], [3.0]], rng=rng).value
    2.0
    """
    check_flag(normalize, "normalize")
    order = check_order(p)
    if order == math.inf:
        raise ValueError("`p` must be finite for an average over directions, got inf")
    count = positive_int(n_projections, "n_projections")
    draws = generator(rng)
    X, Y, a, b = as_clouds(x, y, x_weights, y_weights, normalize=normalize)
    equal = x_weights is None and y_weights is None
    directions = _directions(draws, count, X.shape[1])
    distances = np.array(
        [
            power_sum(X @ d, Y @ d, None if equal else a, None if equal else b, order)
            for d in directions
        ]
    )
    top = float(distances.max())
    if top == 0.0:
        return SlicedWasserstein(value=0.0, standard_error=0.0, n_projections=count)
    powers = (distances / top) ** order
    mean = float(powers.mean())
    error = math.inf if count == 1 else float(powers.std(ddof=1)) / math.sqrt(count)
    value = top * mean ** (1.0 / order)
    return SlicedWasserstein(
        value=value, standard_error=value * error / (order * mean), n_projections=count
    )


def _directions(rng: np.random.Generator, count: int, d: int) -> NDArray[np.float64]:
    """Uniform points of the unit sphere."""
    normals = rng.standard_normal((count, d))
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    directions: NDArray[np.float64] = normals / lengths
    return directions
