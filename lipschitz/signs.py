"""The three operator norms that are maxima over sign vectors: inf->2, its transpose 2->1, inf->1.

The cube ``||x||_inf <= 1`` has the sign vectors as extreme points, so that

    ||A||_{inf->2} = max_s ||A s||_2 = ||A^T||_{2->1},      ||A||_{inf->1} = max_{s,t} t^T A s.

Both are NP-hard. Upper side: for positive weights ``d`` (one for each column) and ``e`` (one for
each row), with ``D = diag(d)`` and ``E = diag(e)``, Cauchy-Schwarz gives

    ||A s||_2 <= ||A D||_2 ||D^-1 s||_2                    = ||A D||_2 (sum d_j^-2)^(1/2),
    t^T A s   <= ||E^-1 t||_2 ||E A D||_2 ||D^-1 s||_2.

Every choice of weights is a proof; the best one is the dual of a semidefinite relaxation, whose
gap is at most ``sqrt(pi / 2) = 1.2534`` and Grothendieck's constant ``K_G < 1.7823``. The weights
come from a few steps of the primal (unit vectors instead of signs), whose roundings also start
the local search for the lower side.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evidence.enclosure import Enclosure
from evidence.matrices import spectral_norm_enclosure
from evidence.rounding import (
    TINY,
    UNIT_ROUNDOFF,
    add_up,
    gamma,
    mul_up,
    norm_lower,
    norm_upper,
    sub_down,
    sum_down,
    sum_up,
)

__all__ = ["infinity_to_one", "infinity_to_two", "normalised", "rescaled"]

_ENUMERATED_SIGNS = 12
_COLUMNS = 24
_STEPS = 40

Matrix = NDArray[np.float64]


def infinity_to_two(a: Matrix) -> Enclosure:
    """Enclose ``max ||A s||_2`` over sign vectors ``s``; exact up to rounding for few columns.

    Parameters
    ----------
    a : array, shape (m, n)

    References
    ----------
    Nesterov, *Semidefinite relaxation and nonconvex quadratic optimization*, Optim. Methods
    Softw. 9 (1998), theorem 2.1, for the gap ``pi / 2`` of the squares.

    Examples
    --------
    >>> e = infinity_to_two(np.array([[1.0, 1.0], [1.0, -1.0]]))
    >>> e.lower <= 2.0 <= e.upper and e.rtol < 1e-14
    True
    """
    a, exponent = normalised(a)
    if exponent is None:
        return Enclosure.exact(0.0, "zero matrix")
    n = a.shape[1]
    if n <= _ENUMERATED_SIGNS:
        signs = _all_signs(n)
        images = a @ signs
        squares = np.einsum("ij,ij->j", images, images)
        error = mul_up(gamma(n + 2), norm_upper(np.abs(a).sum(axis=1)))
        best = _candidates(squares, len(a))
        upper = add_up(max(norm_upper(images[:, j]) for j in best), error)
        lower = max(_length_below(a, signs[:, j]) for j in best[:4])
        return rescaled(lower, upper, exponent, "all sign vectors")
    vectors = _unit_rows(a.T @ _waves(len(a)))
    for _ in range(_STEPS):
        gradient = a.T @ (a @ vectors)
        vectors = _unit_rows(gradient)
    # The dual weights of the relaxation are the lengths of the rows of the gradient.
    weights = _inverse_roots(np.sqrt(np.einsum("ij,ij->i", gradient, gradient)))
    upper = min(_weighted_columns(a, weights), _weighted_columns(a, np.ones(n)))
    signs = _signs(np.hstack([vectors, gradient[:, :1]]))
    for _ in range(_STEPS):
        signs = _signs(a.T @ (a @ signs))
    images = a @ signs
    best_column = int(np.argmax(np.einsum("ij,ij->j", images, images)))
    lower = _length_below(a, signs[:, best_column])
    return rescaled(lower, upper, exponent, "weighted Cauchy-Schwarz")


def infinity_to_one(a: Matrix) -> Enclosure:
    """Enclose ``max t^T A s`` over sign vectors; exact up to rounding for few rows or columns.

    Parameters
    ----------
    a : array, shape (m, n)

    References
    ----------
    Alon and Naor, *Approximating the cut-norm via Grothendieck's inequality*, SIAM J. Comput. 35
    (2006), section 2.

    Examples
    --------
    >>> e = infinity_to_one(np.array([[1.0, 1.0], [1.0, -1.0]]))
    >>> e.lower <= 2.0 <= e.upper and e.rtol < 1e-14
    True
    """
    if a.shape[0] < a.shape[1]:
        a = np.ascontiguousarray(a.T)
    a, exponent = normalised(a)
    if exponent is None:
        return Enclosure.exact(0.0, "zero matrix")
    m, n = a.shape
    if n <= _ENUMERATED_SIGNS:
        signs = _all_signs(n)
        sums = np.abs(a @ signs).sum(axis=0)
        error = mul_up(gamma(n + m + 2), sum_up(np.abs(a)))
        lower = max(_sum_below(a, signs[:, j]) for j in np.argsort(sums)[::-1][:4])
        return rescaled(lower, add_up(float(sums.max()), error), exponent, "all sign vectors")
    right = _unit_rows(a.T @ _waves(m))
    for _ in range(_STEPS):
        left_gradient = a @ right
        right_gradient = a.T @ _unit_rows(left_gradient)
        right = _unit_rows(right_gradient)
    row_weights = _inverse_roots(np.sqrt(np.einsum("ij,ij->i", left_gradient, left_gradient)))
    column_weights = _inverse_roots(np.sqrt(np.einsum("ij,ij->i", right_gradient, right_gradient)))
    upper = min(
        _weighted_both(a, row_weights, column_weights),
        _weighted_both(a, np.ones(m), np.ones(n)),
        sum_up(np.abs(a)),
    )
    signs = _signs(np.hstack([right, right_gradient[:, :1]]))
    for _ in range(_STEPS):
        signs = _signs(a.T @ _signs(a @ signs))
    best = int(np.argmax(np.abs(a @ signs).sum(axis=0)))
    return rescaled(_sum_below(a, signs[:, best]), upper, exponent, "weighted Cauchy-Schwarz")


# ---- certified pieces -------------------------------------------------------------------------
def _length_below(a: Matrix, signs: Matrix) -> float:
    """Lower bound of ``||A s||_2``: products with signs are exact, sums are within gamma."""
    error = mul_up(gamma(a.shape[1] + 2), norm_upper(np.abs(a).sum(axis=1)))
    return max(0.0, sub_down(norm_lower(a @ signs), error))


def _sum_below(a: Matrix, signs: Matrix) -> float:
    """Lower bound of ``||A s||_1``."""
    error = mul_up(gamma(a.shape[1] + 2), sum_up(np.abs(a)))
    return max(0.0, sub_down(sum_down(np.abs(a @ signs)), error))


def _weighted_columns(a: Matrix, weights: Matrix) -> float:
    """``||A D||_2 (sum d_j^-2)^(1/2)``, rounded up."""
    return mul_up(_norm_of_product(a * weights), _inverse_length(weights))


def _weighted_both(a: Matrix, row_weights: Matrix, column_weights: Matrix) -> float:
    """``(sum e_i^-2)^(1/2) ||E A D||_2 (sum d_j^-2)^(1/2)``, rounded up."""
    middle = _norm_of_product(row_weights[:, None] * a * column_weights)
    return mul_up(mul_up(_inverse_length(row_weights), middle), _inverse_length(column_weights))


def _norm_of_product(rounded: Matrix) -> float:
    """Upper bound of the norm of entrywise products that ``rounded`` holds after two roundings.

    Weights lie in ``[2**-40, 2**40]`` and entries are at most one, so that a product either is
    rounded with relative error ``u`` or is smaller than `TINY`.
    """
    slack = add_up(mul_up(4.0 * UNIT_ROUNDOFF, norm_upper(rounded)), TINY)
    return add_up(spectral_norm_enclosure(rounded).upper, slack)


def _inverse_length(weights: Matrix) -> float:
    return norm_upper(np.nextafter(1.0 / weights, math.inf))


def rescaled(lower: float, upper: float, exponent: int, method: str) -> Enclosure:
    """``[lower, upper] * 2**exponent``, rounded outward where it leaves the normal range."""
    try:
        above = math.ldexp(upper, exponent)
    except OverflowError:
        above = math.inf
    below = math.ldexp(min(lower, upper), exponent) if above < math.inf else 0.0
    if below < 2.0**-1000:
        below = max(0.0, math.nextafter(below, -math.inf))
    if above < 2.0**-1000:
        above = math.nextafter(above, math.inf)
    return Enclosure(below, above, method)


# ---- heuristic pieces: they choose signs and weights, never a bound ----------------------------
def normalised(a: Matrix) -> tuple[Matrix, int | None]:
    """The matrix scaled by a power of two to entries of magnitude one; None if it is zero.

    Entries that underflow are below ``2**-1000`` of the largest one and vanish in the slack that
    every bound of this module has.
    """
    largest = float(np.abs(a).max())
    if largest == 0.0:
        return a, None
    exponent = math.frexp(largest)[1]
    return np.ldexp(a, -exponent), exponent


def _all_signs(n: int) -> Matrix:
    """All sign vectors with last entry +1, as columns: ``s`` and ``-s`` give the same norm."""
    bits = (np.arange(2 ** (n - 1))[None, :] >> np.arange(n)[:, None]) & 1
    signs: Matrix = 1.0 - 2.0 * bits.astype(np.float64)
    return signs


def _candidates(squares: Matrix, length: int) -> NDArray[np.intp]:
    close = squares >= squares.max() * (1.0 - 8.0 * gamma(length + 2))
    chosen = np.flatnonzero(close)
    return chosen[np.argsort(squares[chosen])[::-1]]


def _waves(m: int) -> Matrix:
    """The first orthogonal cosines: deterministic directions in general position."""
    columns = np.arange(min(m, _COLUMNS))
    waves: Matrix = np.cos(np.pi * (np.arange(m)[:, None] + 0.5) * columns / m)
    return waves


def _unit_rows(rows: Matrix) -> Matrix:
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    safe = np.where(length > 0.0, length, 1.0)
    unit = rows / safe[:, None]
    unit[length == 0.0, 0] = 1.0
    return unit


def _signs(values: Matrix) -> Matrix:
    signs: Matrix = np.where(values >= 0.0, 1.0, -1.0)
    return signs


def _inverse_roots(lengths: Matrix) -> Matrix:
    """Weights ``d_j ~ lengths_j^(-1/2)``, clipped so that dead columns cost nothing visible."""
    scale = float(lengths.max(initial=0.0))
    if scale == 0.0:
        return np.ones_like(lengths)
    weights: Matrix = np.clip((lengths / scale + 2.0**-60) ** -0.5, 1.0, 2.0**30)
    return weights
