"""The largest ``||sum_i s_i m_i||_2`` over signs: a relaxation above, good signs below.

Neither is a bound: `lipschitz.one_hidden_search` proves what it makes of them.
"""

from __future__ import annotations

import numpy as np

from lipschitz.layers.contract import Array
from lipschitz.sdp import FeedForward, semidefinite_bound

__all__ = ["dual_weights", "good_signs"]

_RANK = 48
_PASSES = 60
_DRAWS = 64
_CLIMBED = 8


def dual_weights(rows: Array, *, rtol: float, time_limit: float) -> Array:
    """Nearly optimal ``y`` with ``diag(y) >= M M^T`` up to rounding, and ``sum y`` small.

    Parameters
    ----------
    rows : array, shape (n, d)
        ``M``; its rows are the vectors.
    rtol, time_limit : float
        Of `semidefinite_bound`.

    Notes
    -----
    ``max_s ||M^T s||`` is the constant of the network ``x -> sum_i phi_i(m_i . x)`` with slopes
    between -1 and 1, and ``y_i = L^2 / t_i`` turns its multipliers into weights: eliminate ``phi``
    from their inequality.

    Examples
    --------
    >>> y = dual_weights(np.array([[1.0, 0.0], [1.0, 0.0]]), rtol=1e-6, time_limit=5.0)
    >>> np.round(y, 4)
    array([2., 2.])
    """
    n = len(rows)
    if rows.shape[1] > n:
        rows = _rotated(rows)
    one = np.ones(n)
    network = FeedForward.exact([rows, one[None]], slope_lower=(-one,), slope_upper=(one,))
    found = semidefinite_bound(network, rtol=rtol, time_limit=time_limit)
    squares = np.einsum("ij,ij->i", rows, rows)
    if not found.multipliers or not np.isfinite(found.multipliers[0]).all():
        return np.asarray(np.sqrt(squares) * np.sqrt(squares).sum())
    return np.asarray(found.bound.upper**2 / found.multipliers[0])


def good_signs(rows: Array, rng: np.random.Generator) -> Array:
    """Signs with a long ``M^T s``: the relaxation's factors, random hyperplanes, single flips.

    Parameters
    ----------
    rows : array, shape (n, d)
    rng : numpy.random.Generator

    Returns
    -------
    array of -1 and 1, shape (n,)
        With first entry 1.

    References
    ----------
    Goemans and Williamson, *Improved approximation algorithms for maximum cut and satisfiability
    problems using semidefinite programming*, J. ACM 42 (1995), section 2.

    Examples
    --------
    >>> good_signs(np.array([[1.0, 0.0], [-3.0, 0.5]]), np.random.default_rng(0))
    array([ 1., -1.])
    """
    n = len(rows)
    if rows.shape[1] > n:
        rows = _rotated(rows)
    factors = _unit_rows(rng.standard_normal((n, min(_RANK, n + 1))))
    for _ in range(_PASSES):
        factors = _unit_rows(rows @ (rows.T @ factors))
    signs = _signs(factors @ rng.standard_normal((factors.shape[1], _DRAWS)))
    lengths = np.einsum("ij,ij->j", rows.T @ signs, rows.T @ signs)
    signs = signs[:, np.argsort(-lengths)[:_CLIMBED]]
    image = rows @ (rows.T @ signs)
    squares = np.einsum("ij,ij->i", rows, rows)[:, None]
    columns = np.arange(signs.shape[1])
    for _ in range(4 * n + 16):
        # Flipping s_i changes ||M^T s||^2 by 4 (||m_i||^2 - s_i m_i . M^T s).
        gain = squares - signs * image
        best = gain.argmax(axis=0)
        helps = gain[best, columns] > 1e-12 * float(squares.max(initial=0.0))
        if not helps.any():
            break
        at = columns[helps]
        old = signs[best[helps], at]
        signs[best[helps], at] = -old
        image[:, at] -= 2.0 * (rows @ (rows[best[helps]].T * old))
    values = np.einsum("ij,ij->j", signs, image)
    winner = signs[:, int(values.argmax())]
    return np.asarray(winner * winner[0])


def _rotated(rows: Array) -> Array:
    """The same inner products, up to rounding, in as many dimensions as rows."""
    return np.ascontiguousarray(np.asarray(np.linalg.qr(rows.T, mode="r")).T)


def _unit_rows(a: Array) -> Array:
    lengths = np.sqrt(np.einsum("ij,ij->i", a, a))
    return np.asarray(a / np.where(lengths > 0.0, lengths, 1.0)[:, None])


def _signs(a: Array) -> Array:
    return np.where(a < 0.0, -1.0, 1.0)
