"""The optimal plan and the optimal critic on the line, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.masses import check_flag
from divergences.points import as_points, as_weights, check_order, shape_of
from divergences.samples1d import line_weights, monotone_coupling, root_of_mean
from evidence.validation import as_float_array

__all__ = ["LinePlan", "LinePotential", "kantorovich_potential_1d", "transport_plan_1d"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinePlan:
    """An optimal plan between two samples on the line, as a list of moves.

    Attributes
    ----------
    value : float
        W_p of the plan.
    source, target : array of int, shape (k,)
        Indices into ``x`` and ``y``; at most ``n + m - 1`` moves.
    mass : array, shape (k,)
        Mass of every move, positive.

    Examples
    --------
    >>> transport_plan_1d([0.0, 1.0], [2.0]).mass
    array([0.5, 0.5])
    """

    value: float
    source: NDArray[np.intp]
    target: NDArray[np.intp]
    mass: NDArray[np.float64]

    def dense(self, n: int, m: int) -> NDArray[np.float64]:
        """The plan as an (n, m) matrix."""
        matrix = np.zeros((n, m))
        np.add.at(matrix, (self.source, self.target), self.mass)
        return matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinePotential:
    """A 1-Lipschitz critic: piecewise linear with slopes -1, 0 and 1, constant outside.

    Attributes
    ----------
    value : float
        ``E_P f - E_Q f``, which equals W_1.
    knots : array, shape (k,)
        Ascending; the atoms of both samples.
    slopes : array, shape (k - 1,)
        Exactly -1, 0 or 1 between neighbouring knots: ``-sign(F - G)``.
    values : array, shape (k,)
        The critic at the knots, zero at the first.

    Examples
    --------
    >>> f = kantorovich_potential_1d([0.0], [2.0])
    >>> f([-1.0, 0.0, 0.5, 2.0, 9.0])
    array([ 0. ,  0. , -0.5, -2. , -2. ])
    """

    value: float
    knots: NDArray[np.float64]
    slopes: NDArray[np.float64]
    values: NDArray[np.float64]

    def __call__(self, z: ArrayLike) -> Any:
        """The critic at any positions, of any shape."""
        positions = as_float_array(z, "z")
        return np.interp(positions, self.knots, self.values)


def checked_line(
    x: Any, y: Any, x_weights: Any, y_weights: Any, normalize: bool
) -> tuple[
    NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float
]:
    """Positions, masses and total mass of two samples on the line, in the order given."""
    a = as_weights(x_weights, "x_weights", shape_of(x), "x", normalize=normalize)
    b = as_weights(y_weights, "y_weights", shape_of(y), "y", normalize=normalize)
    X = as_points(x, "x", ndim=1, weights=a)
    Y = as_points(y, "y", ndim=1, weights=b)
    return X, Y, *line_weights(len(X), len(Y), a, b)


def transport_plan_1d(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    *,
    p: float = 1,
    normalize: bool = False,
) -> LinePlan:
    """The monotone plan: the k-th quantile goes to the k-th quantile.

    Optimal for every cost ``|x - y|^p`` with ``p >= 1``, and the only optimal plan for ``p > 1``.

    Parameters
    ----------
    x, y : array_like, shape (n,) and (m,)
    x_weights, y_weights, p, normalize
        As in ``wasserstein``.

    Returns
    -------
    LinePlan
        Its masses add up to the weights within ``(n + m) 2**-53``.

    Raises
    ------
    TypeError, ValueError
        As ``wasserstein``.

    References
    ----------
    .. [1] F. Santambrogio, "Optimal Transport for Applied Mathematicians" (2015), Theorem 2.9.

    Examples
    --------
    >>> plan = transport_plan_1d([3, 0], [1, 2, 4, 5], [0.5, 0.5])
    >>> plan.source, plan.target, plan.value
    (array([1, 1, 0, 0]), array([0, 1, 2, 3]), 1.5)
    """
    check_flag(normalize, "normalize")
    order = check_order(p)
    X, Y, a, b, total = checked_line(x, y, x_weights, y_weights, normalize)
    i, j = np.argsort(X, kind="stable"), np.argsort(Y, kind="stable")
    rows, columns, mass = monotone_coupling(a[i], b[j])
    source, target = i[rows], j[columns]
    value = root_of_mean(np.abs(X[source] - Y[target]), mass, total, order)
    return LinePlan(value=value, source=source, target=target, mass=mass / total)


def kantorovich_potential_1d(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    *,
    normalize: bool = False,
) -> LinePotential:
    r"""An optimal critic for W_1 on the line.

    .. math:: f' = -\operatorname{sign}(F - G), \qquad
              E_P f - E_Q f = \int |F - G| = W_1(P, Q).

    Parameters
    ----------
    x, y : array_like, shape (n,) and (m,)
    x_weights, y_weights, normalize
        As in ``wasserstein``.

    Returns
    -------
    LinePotential

    Raises
    ------
    TypeError, ValueError
        As ``wasserstein``.

    Notes
    -----
    1-Lipschitz by its slopes, whatever was rounded in ``F - G``; its values at the knots carry the
    rounding of a running sum. Where ``F = G`` the slope is free in [-1, 1] and 0 is taken. The
    gradient of ``W_1`` with respect to the weights is this function, up to a constant.

    References
    ----------
    .. [1] F. Santambrogio, "Optimal Transport for Applied Mathematicians" (2015), Section 3.1.

    Examples
    --------
    >>> f = kantorovich_potential_1d([0, 1], [1, 2])
    >>> f.value, f.slopes
    (1.0, array([-1., -1.]))
    """
    check_flag(normalize, "normalize")
    X, Y, a, b, total = checked_line(x, y, x_weights, y_weights, normalize)
    knots, at = np.unique(np.concatenate((X, Y)), return_inverse=True)
    jumps = np.bincount(at, weights=np.concatenate((a, -b)), minlength=len(knots))
    difference = np.add.accumulate(jumps)[:-1]
    # Differences below the rounding of the sums count as equality.
    difference[np.abs(difference) <= (len(X) + len(Y)) * 2.0**-53 * total] = 0.0
    slopes = 0.0 - np.sign(difference)
    values = np.append(0.0, np.add.accumulate(slopes * np.diff(knots)))
    value = math.fsum((values * jumps).tolist()) / total
    return LinePotential(value=value, knots=knots, slopes=slopes, values=values)
