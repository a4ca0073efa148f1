"""Norms of matrices as maps between l1, l2 and l-infinity, each as a proved enclosure.

``||A||_{p->q} = max ||A x||_q / ||x||_p`` is the smallest Lipschitz constant of ``x -> A x + b``
from l_p to l_q. Six of the nine are easy: unit vectors are the extreme points of the l1 ball, so

    ||A||_{1->q}   = the largest q-norm of a column,
    ||A||_{p->inf} = the largest p*-norm of a row,     1/p + 1/p* = 1,

and ``||A||_{2->2}`` is the largest singular value. The other three, from l-infinity or into l1,
are maxima over sign vectors and NP-hard; `lipschitz.signs` encloses them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.enclosure import Enclosure
from evidence.matrices import spectral_norm_enclosure
from evidence.rounding import (
    add_up,
    gamma,
    mul_up,
    norm_lower,
    norm_upper,
    sqrt_up,
    sub_down,
)
from evidence.validation import as_float_array, choice
from lipschitz.signs import infinity_to_one, infinity_to_two, normalised, rescaled

__all__ = [
    "DUAL",
    "NORMS",
    "largest_row_norm",
    "operator_norm",
    "vector_norm_lower",
    "vector_norm_upper",
]

NORMS: tuple[float, ...] = (1, 2, math.inf)
"""The norms this package knows: 1, 2 and `math.inf`."""

DUAL: dict[float, float] = {1.0: math.inf, 2.0: 2.0, math.inf: 1.0}
"""``p*`` with ``1/p + 1/p* = 1``: ``||u||_{p*}`` is the norm of ``x -> u.x`` on l_p."""

_LARGEST_FLOAT = math.nextafter(math.inf, 0.0)
_EXACT_ENTRIES = 1_000_000


def operator_norm(
    matrix: ArrayLike, norm_in: float, norm_out: float, *, error: ArrayLike | None = None
) -> Enclosure:
    """Enclose ``max ||A x||_q / ||x||_p``, the Lipschitz constant of a dense layer.

    Parameters
    ----------
    matrix : array_like, shape (m, n)
        Real float64 (or float32) matrix.
    norm_in, norm_out : {1, 2, inf}
        ``p`` and ``q``.
    error : array_like, shape (m, n), optional
        Entrywise distance ``|A - matrix| <= error`` to the matrix the enclosure speaks of.

    Returns
    -------
    Enclosure
        Proved for every ``A`` within ``error``. Relative width at most a few units in the last
        place for 1->q and p->inf, about 1e-13 (n = 10) to 1e-10 (n = 1000) for 2->2. The
        NP-hard inf->1, inf->2 and 2->1 are as tight for up to 12 signs and otherwise within a
        factor 1.783 (inf->1) or 1.2534 (the other two) at the optimum of their relaxations.

    Raises
    ------
    ValueError, TypeError
        If the matrix is empty, not two-dimensional or not finite, a norm is not 1, 2 or inf, or
        `error` is negative or of another shape.

    Notes
    -----
    Triangle inequality for `error`: the norms differ by at most the norm of the difference.
    1->q and p->inf norms are monotone in ``|A|``, which gives both sides entrywise.

    References
    ----------
    Horn and Johnson, *Matrix Analysis*, 2nd ed., section 5.6; Tropp, *Topics in Sparse
    Approximation* (2004), table 4.1, for the list of the nine.

    Examples
    --------
    >>> A = [[3.0, -4.0], [0.0, 1.0]]
    >>> print(operator_norm(A, 1, 1), operator_norm(A, float("inf"), float("inf")), sep="; ")
    5 exactly (largest column); 7 exactly (largest row)
    >>> e = operator_norm(A, 2, float("inf"))
    >>> e.lower <= 5.0 <= e.upper and e.rtol < 1e-14
    True
    """
    a = as_float_array(matrix, "matrix", ndim=2)
    p = float(choice(norm_in, "norm_in", NORMS))
    q = float(choice(norm_out, "norm_out", NORMS))
    radius = None if error is None else _as_error(error, a.shape)
    if p == 1.0:
        return _largest_row(a.T, q, None if radius is None else radius.T, "largest column")
    if q == math.inf:
        return _largest_row(a, DUAL[p], radius, "largest row")
    if p == q == 2.0:
        scaled, exponent = normalised(a)
        middle = spectral_norm_enclosure(scaled)
        if exponent is not None:
            middle = rescaled(middle.lower, middle.upper, exponent, middle.method)
    elif p == math.inf and q == 1.0:
        middle = infinity_to_one(a)
    else:
        middle = infinity_to_two(a if p == math.inf else np.ascontiguousarray(a.T))
    if radius is None or not radius.any():
        return middle
    slack = _distance(radius, p, q)
    return Enclosure(
        max(0.0, sub_down(middle.lower, slack)), add_up(middle.upper, slack), middle.method
    )


def _as_error(error: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    radius = as_float_array(error, "error", ndim=2)
    if radius.shape != shape:
        raise ValueError(f"`error` must have the shape {shape} of `matrix`, got {radius.shape}")
    if radius.min() < 0.0:
        raise ValueError(f"`error` must not be negative, got {radius.min():.17g}")
    return radius


def _distance(radius: NDArray[np.float64], p: float, q: float) -> float:
    """Upper bound of the p->q norm of every matrix below ``radius``, for 2->2, inf->1, inf->2."""
    frobenius = norm_upper(radius)
    if p == q == 2.0:
        rows = largest_row_norm(radius, 1.0)[1]
        columns = largest_row_norm(radius.T, 1.0)[1]
        return min(frobenius, sqrt_up(mul_up(rows, columns)))
    # ||x||_2 <= sqrt(n) ||x||_inf in front and ||y||_1 <= sqrt(m) ||y||_2 behind.
    scale = 1.0
    if p == math.inf:
        scale = mul_up(scale, sqrt_up(radius.shape[1]))
    if q == 1.0:
        scale = mul_up(scale, sqrt_up(radius.shape[0]))
    return mul_up(frobenius, scale)


def _largest_row(
    a: NDArray[np.float64], norm: float, radius: NDArray[np.float64] | None, method: str
) -> Enclosure:
    magnitude = np.abs(a)
    if radius is None or not radius.any():
        lower, upper = largest_row_norm(magnitude, norm)
    else:
        with np.errstate(over="ignore"):
            above = np.nextafter(magnitude + radius, math.inf)
        below = np.maximum(np.nextafter(magnitude - radius, -math.inf), 0.0)
        lower = largest_row_norm(below, norm)[0]
        upper = largest_row_norm(above, norm)[1]
    return Enclosure(lower, upper, method)


def largest_row_norm(magnitude: NDArray[np.float64], norm: float) -> tuple[float, float]:
    """Bounds of the largest 1-, 2- or inf-norm of a row of a nonnegative matrix.

    Sums in any order are within ``gamma(n)`` of the exact ones, which leaves few candidate rows;
    those are summed exactly (1-norm, correctly rounded) or to a few units in the last place.

    Examples
    --------
    >>> largest_row_norm(np.array([[1.0, 2.0], [3.0, 0.5]]), 1.0)
    (3.5, 3.5)
    """
    largest = float(magnitude.max(initial=0.0))
    if norm == math.inf or largest == 0.0:
        return largest, largest
    if math.isinf(largest):
        return _LARGEST_FLOAT, math.inf
    exponent = math.frexp(largest)[1]
    scaled = np.ldexp(magnitude, -exponent)
    rough = scaled.sum(axis=1) if norm == 1.0 else np.einsum("ij,ij->i", scaled, scaled)
    # A row further than 8 gamma below the largest rough value cannot be the largest exactly.
    slack = 8.0 * gamma(scaled.shape[1] + 2)
    best = np.flatnonzero(rough >= rough.max() * (1.0 - slack))
    if best.size * scaled.shape[1] > _EXACT_ENTRIES:
        order = np.argsort(rough[best])[::-1][: max(1, _EXACT_ENTRIES // scaled.shape[1])]
        pairs = [_row_norm(magnitude[i], norm) for i in best[order]]
        lower = max(low for low, _ in pairs)
        return lower, mul_up(max(high for _, high in pairs), add_up(1.0, 2.0 * slack))
    pairs = [_row_norm(magnitude[i], norm) for i in best]
    return max(low for low, _ in pairs), max(high for _, high in pairs)


def _row_norm(row: NDArray[np.float64], norm: float) -> tuple[float, float]:
    if norm == 2.0:
        return norm_lower(row), norm_upper(row)
    return _sum_of_nonnegative(row)


def _sum_of_nonnegative(values: NDArray[np.float64]) -> tuple[float, float]:
    """The exact sum, or the two neighbouring floats between which it lies."""
    entries = values.ravel().tolist()
    try:
        total = math.fsum(entries)
    except OverflowError:
        return _LARGEST_FLOAT, math.inf
    # fsum is correctly rounded, so that the sign of the remainder is the sign of the error.
    remainder = math.fsum([*entries, -total])
    if remainder == 0.0:
        return total, total
    if remainder > 0.0:
        return total, math.nextafter(total, math.inf)
    return math.nextafter(total, -math.inf), total


def vector_norm_upper(values: NDArray[np.float64], norm: float) -> float:
    """Upper bound of the exact 1-, 2- or inf-norm of an array, flattened.

    Examples
    --------
    >>> vector_norm_upper(np.array([3.0, -4.0]), 1.0)
    7.0
    """
    return largest_row_norm(np.abs(values).reshape(1, -1), float(norm))[1]


def vector_norm_lower(values: NDArray[np.float64], norm: float) -> float:
    """Lower bound of the exact 1-, 2- or inf-norm of an array, flattened."""
    return largest_row_norm(np.abs(values).reshape(1, -1), float(norm))[0]
