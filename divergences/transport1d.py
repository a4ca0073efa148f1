"""W_p on the line: samples with or without weights, and the integral forms beside each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.cumulative import CumulativeW1, w1_circular, w1_cumulative
from divergences.masses import check_flag, is_tensor
from divergences.plans1d import (
    LinePlan,
    LinePotential,
    checked_line,
    kantorovich_potential_1d,
    transport_plan_1d,
)
from divergences.points import as_points, as_weights, check_order, refuse_columns, shape_of
from divergences.samples1d import power_sum

__all__ = [
    "CumulativeW1",
    "LinePlan",
    "LinePotential",
    "kantorovich_potential_1d",
    "transport_plan_1d",
    "w1_circular",
    "w1_cumulative",
    "wasserstein",
    "wasserstein_cdf",
    "wasserstein_quantile",
]


def wasserstein(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    *,
    p: float = 1,
    normalize: bool = False,
) -> Any:
    r"""W_p of two samples on the line.

    .. math:: W_p(P, Q) = \Big(\int_0^1 |F^{-1}(t) - G^{-1}(t)|^p \, dt\Big)^{1/p}.

    Parameters
    ----------
    x, y : array_like, shape (..., n) and (..., m)
        Positions, in any order; leading axes, equal in both, are a batch. Integers are exact.
        Tensors stay tensors, on their device, and are differentiable.
    x_weights, y_weights : array_like, shapes of ``x`` and ``y``, optional
        Probabilities; None means equal weights. Atoms of weight zero are ignored wherever they
        stand.
    p : float
        From 1 to inf; the p-th root is taken.
    normalize : bool
        Divide weights that are counts by their totals.

    Returns
    -------
    float, or array of the leading shape, or tensor
        For tensors the computation runs in float64 and the value has the dtype of the input.

    Raises
    ------
    TypeError, ValueError
        Positions that are not finite real numbers, weights that are not probabilities, shapes
        that do not fit.
    OverflowError
        If the distance exceeds the largest float.

    Notes
    -----
    Samples are positions, not heights: for histograms use ``w1_cumulative``. Equal sizes cost two
    sorts. Without weights the relative error is a few units of rounding: sizes that differ
    overlap in cells of integer length, so that repeating every sample changes nothing. With
    weights the error is ``(n + m) u`` times the range of the data. Where the two distributions have
    a quantile in common the value is not differentiable; the tensor version returns the
    subgradient that is zero there.

    References
    ----------
    .. [1] F. Santambrogio, "Optimal Transport for Applied Mathematicians" (2015),
       Proposition 2.17 and Theorem 2.9.

    Examples
    --------
    >>> wasserstein([0, 1, 3], [5, 6, 8])
    5.0
    >>> wasserstein([0, 1], [0, 1], [1, 3], [3, 1], normalize=True)
    0.5
    >>> wasserstein([0.0, 2.0], [0.0, 0.0], p=2)
    1.4142135623730951
    """
    check_flag(normalize, "normalize")
    order = check_order(p)
    refuse_columns(x, "x", "sample")
    refuse_columns(y, "y", "sample")
    if any(is_tensor(v) for v in (x, y)):
        from divergences.tensors1d import wasserstein_of_tensors

        return wasserstein_of_tensors(x, y, x_weights, y_weights, order, normalize)
    a = as_weights(x_weights, "x_weights", shape_of(x), "x", normalize=normalize)
    b = as_weights(y_weights, "y_weights", shape_of(y), "y", normalize=normalize)
    # Without weights finiteness is checked after sorting: it costs a pass otherwise.
    early = a is not None or b is not None
    X = as_points(x, "x", weights=a, check_finite=early)
    Y = as_points(y, "y", weights=b, check_finite=early)
    if X.shape[:-1] != Y.shape[:-1]:
        raise ValueError(
            f"`x` and `y` must have equal leading axes, got shapes {X.shape} and {Y.shape}; "
            "samples stand on the last axis"
        )
    if X.ndim == 1:
        return power_sum(X, Y, a, b, order)
    values = np.empty(X.shape[:-1])
    for row in np.ndindex(values.shape):
        values[row] = power_sum(
            X[row], Y[row], None if a is None else a[row], None if b is None else b[row], order
        )
    return values


def _line(
    x: Any, y: Any, x_weights: Any, y_weights: Any, normalize: bool
) -> tuple[
    NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float
]:
    """Sorted positions with their masses, and the total mass."""
    check_flag(normalize, "normalize")
    X, Y, a, b, total = checked_line(x, y, x_weights, y_weights, normalize)
    i, j = np.argsort(X, kind="stable"), np.argsort(Y, kind="stable")
    return X[i], a[i], Y[j], b[j], total


def wasserstein_quantile(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    *,
    p: float = 1,
    normalize: bool = False,
) -> float:
    r"""W_p as the integral of the distance of quantile functions, for comparison in proofs.

    .. math:: \Big(\int_0^1 |F^{-1}(t) - G^{-1}(t)|^p\, dt\Big)^{1/p}

    Walks through both samples from the left and pairs masses as they come; it shares no arithmetic
    with ``wasserstein_cdf``, nor with the blocks of ``wasserstein``.

    Parameters
    ----------
    x, y : array_like, shape (n,) and (m,)
    x_weights, y_weights, p, normalize
        As in ``wasserstein``.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        As ``wasserstein``.

    References
    ----------
    .. [1] C. Villani, "Topics in Optimal Transportation" (2003), Theorem 2.18.

    Examples
    --------
    >>> wasserstein_quantile([0, 1, 3], [5, 6, 8])
    5.0
    """
    order = check_order(p)
    *line, total = _line(x, y, x_weights, y_weights, normalize)
    xs, a, ys, b = (v.tolist() for v in line)
    i = j = 0
    left, right = a[0], b[0]
    cells = []
    while True:
        mass = min(left, right)
        if mass > 0.0:
            cells.append((mass, abs(xs[i] - ys[j])))
        left, right = left - mass, right - mass
        if left <= right:
            i += 1
            if i == len(xs):
                break
            left = a[i]
        else:
            j += 1
            if j == len(ys):
                break
            right = b[j]
    # A supremum must not see the masses that are rounding of the weights.
    least = (len(xs) + len(ys)) * 2.0**-52 * total if order == math.inf else 0.0
    top = max((distance for mass, distance in cells if mass > least), default=0.0)
    if order == math.inf or top == 0.0:
        return float(top)
    mean = math.fsum(mass * (distance / top) ** order for mass, distance in cells)
    return float(top * (mean / total) ** (1.0 / order))


def wasserstein_cdf(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    *,
    normalize: bool = False,
) -> float:
    r"""W_1 as the area between two distribution functions, for comparison in proofs.

    .. math:: W_1(P, Q) = \int_{-\infty}^{\infty} |F(z) - G(z)|\, dz

    Parameters
    ----------
    x, y : array_like, shape (n,) and (m,)
    x_weights, y_weights, normalize
        As in ``wasserstein``.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        As ``wasserstein``.

    Notes
    -----
    Only for ``p = 1``: for other orders the area between the graphs is not the transport cost.

    References
    ----------
    .. [1] S. S. Vallender, "Calculation of the Wasserstein distance between probability
       distributions on the line", Theory Probab. Appl. 18 (1974), Theorem.

    Examples
    --------
    >>> wasserstein_cdf([0, 1, 3], [5, 6, 8])
    5.0
    """
    xs, a, ys, b, total = _line(x, y, x_weights, y_weights, normalize)
    z = np.unique(np.concatenate((xs, ys)))
    F = np.append(0.0, np.cumsum(a))[np.searchsorted(xs, z[:-1], side="right")]
    G = np.append(0.0, np.cumsum(b))[np.searchsorted(ys, z[:-1], side="right")]
    return math.fsum((np.abs(F - G) * (z[1:] - z[:-1])).tolist()) / total
