"""Powers of a matrix far beyond the range of floats, with a proved bound of their error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import mul
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.rounding import TINY, UNIT_ROUNDOFF, gamma
from evidence.validation import as_float_array, nonnegative_int

__all__ = ["ScaledPower", "scaled_power", "spectral_norm_upper"]

Array = NDArray[np.float64]
Matrix = NDArray[Any]
Factor = TypeVar("Factor")

_LARGEST_IN_INTEGERS = 8
_BITS = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledPower:
    """``M**k`` as ``matrix * 2**exponent``, and how wrong that may be.

    Parameters
    ----------
    matrix : array, shape (n, n)
        Largest entry of magnitude between 1/2 and 1, or all zeros.
    exponent : int
        Of two; without limit.
    norm : float
        A proved upper bound of the spectral norm of ``matrix``.
    error : float
        A proved bound: ``|| matrix - 2**-exponent M**k ||_2 <= error``, for the power in real
        arithmetic of the matrix ``M`` that was given.

    Examples
    --------
    >>> power = scaled_power([[0.5, 0.0], [0.0, 0.25]], 4000)
    >>> float(power.matrix[0, 0]), power.exponent, power.error < 1e-15
    (0.5, -3999, True)
    """

    matrix: Array
    exponent: int
    norm: float
    error: float


def scaled_power(matrix: ArrayLike, exponent: int) -> ScaledPower:
    """``M**k`` by repeated squaring, with a binary exponent of its own and an error bound.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
        Finite floats, or an array of objects that holds fractions.
    exponent : int
        ``k >= 0``.

    Returns
    -------
    ScaledPower

    Raises
    ------
    TypeError, ValueError
        If the matrix is not square and finite, or the exponent is no int at least 0.

    Notes
    -----
    Up to 8 rows, and for fractions, the products are taken in integers of 320 bits with a count of
    the units they may be wrong by, and rounded to floats once, at the end: the error is about one
    rounding, for any ``k``. Larger matrices are multiplied in floats, scaled by powers of two, and
    the bound is carried along: with ``P = M^a + E`` and ``Q = M^b + F`` the computed product ``R``
    has

        || R - M^(a+b) || <= ||P|| ||F|| + ||E|| ||Q|| + ||E|| ||F|| + gamma(n) ||P||_F ||Q||_F.

    For an orthogonal matrix it grows like ``k`` roundings. Either way the error is relative to the
    whole power: what a vector has in a slower direction than the dominant one need not be accurate
    relative to itself.

    References
    ----------
    Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., (3.13) and section 18.1.

    Examples
    --------
    The norm of simultaneous gradient descent-ascent on ``x y`` at step 1 after a million steps is
    ``sqrt(2)**1000000``, far beyond the largest float:

    >>> power = scaled_power([[1.0, -1.0], [1.0, 1.0]], 10**6)
    >>> power.exponent, power.matrix.tolist(), power.error < 1e-15
    (500001, [[0.5, 0.0], [0.0, 0.5]], True)
    """
    is_rational = isinstance(matrix, np.ndarray) and matrix.dtype == object
    M: Matrix = np.asarray(matrix) if is_rational else as_float_array(matrix, "matrix", ndim=2)
    if M.ndim != 2 or M.shape[0] != M.shape[1]:
        raise ValueError(f"`matrix` must be square, got shape {M.shape}")
    k = nonnegative_int(exponent, "exponent")
    if k == 0:
        return ScaledPower(matrix=np.eye(len(M)), exponent=0, norm=1.0, error=0.0)
    if is_rational or len(M) <= _LARGEST_IN_INTEGERS:
        return _power_in_integers(M, k)
    return _power_in_floats(M, k)


def _binary_power(base: Factor, k: int, product: Callable[[Factor, Factor], Factor]) -> Factor:
    if k == 1:
        return base
    half = _binary_power(product(base, base), k // 2, product)
    return product(half, base) if k & 1 else half


# ---- integers -----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Integers:
    """Entries ``rows * 2**exponent``, at most ``largest``, each wrong by at most ``units``."""

    rows: list[list[int]]
    largest: int
    units: int
    exponent: int


def _largest(rows: list[list[int]]) -> int:
    return max(max(max(row), -min(row)) for row in rows)


def _power_in_integers(M: Matrix, k: int) -> ScaledPower:
    power = _binary_power(_as_integers(M), k, _integer_product)
    size = _largest(power.rows)
    bits = size.bit_length()
    one = 1 << bits
    # The quotient of two integers is correctly rounded, and at most 1 in magnitude.
    matrix = np.array([[value / one for value in row] for row in power.rows])
    error = len(M) * (UNIT_ROUNDOFF + power.units / one * (1.0 + 4.0 * UNIT_ROUNDOFF) + TINY)
    is_zero = size == power.units == 0
    return ScaledPower(
        matrix=matrix,
        exponent=power.exponent + bits if size else 0,
        norm=spectral_norm_upper(matrix),
        error=0.0 if is_zero else error * (1.0 + 8.0 * UNIT_ROUNDOFF),
    )


def _as_integers(M: Matrix) -> _Integers:
    ratios = [[x.as_integer_ratio() for x in row] for row in M.tolist()]
    sizes = [p.bit_length() - q.bit_length() for row in ratios for p, q in row if p]
    exponent = max(sizes, default=0) - _BITS
    up, down = max(-exponent, 0), max(exponent, 0)
    quotients = [[divmod(p << up, q << down) for p, q in row] for row in ratios]
    rows = [[quotient for quotient, _ in row] for row in quotients]
    # Of floats, only those 2**267 times smaller than the largest leave a remainder.
    exact = all(remainder == 0 for row in quotients for _, remainder in row)
    return _Integers(rows, _largest(rows), 0 if exact else 1, exponent)


def _integer_product(P: _Integers, Q: _Integers) -> _Integers:
    n = len(P.rows)
    columns = list(zip(*Q.rows, strict=True))
    rows = [[sum(map(mul, row, column)) for column in columns] for row in P.rows]
    units = n * (P.largest * Q.units + P.units * Q.largest + P.units * Q.units)
    largest, exponent = _largest(rows), P.exponent + Q.exponent
    excess = largest.bit_length() - _BITS
    if excess > 0:
        rows = [[value >> excess for value in row] for row in rows]
        # Both the entries and their count of units lose less than one unit.
        largest, units, exponent = (largest >> excess) + 1, (units >> excess) + 2, exponent + excess
    return _Integers(rows, largest, units, exponent)


# ---- floats -------------------------------------------------------------------------------------
def _power_in_floats(M: Array, k: int) -> ScaledPower:
    return _binary_power(_normalised(M, 0, 0.0), k, _float_product)


def _float_product(P: ScaledPower, Q: ScaledPower) -> ScaledPower:
    n = len(P.matrix)
    error = (
        P.norm * Q.error
        + P.error * Q.norm
        + P.error * Q.error
        + gamma(n) * _frobenius(P.matrix) * _frobenius(Q.matrix)
        + n * TINY
    )
    # All terms are nonnegative: evaluating them costs fewer than 16 roundings.
    return _normalised(P.matrix @ Q.matrix, P.exponent + Q.exponent, error * (1.0 + gamma(16)))


def _normalised(matrix: Array, exponent: int, error: float) -> ScaledPower:
    shift = int(np.frexp(np.abs(matrix).max())[1])
    # Powers of two are exact; what becomes subnormal is covered by n * TINY.
    scaled = np.ldexp(matrix, -shift)
    return ScaledPower(
        matrix=scaled,
        exponent=exponent + shift if scaled.any() else 0,
        norm=spectral_norm_upper(scaled),
        error=float(np.ldexp(error, -shift)),
    )


def _frobenius(matrix: Array) -> float:
    """The Frobenius norm, rounded up."""
    return float(np.sqrt(np.vdot(matrix, matrix))) * (1.0 + gamma(matrix.size + 4)) + TINY


def spectral_norm_upper(matrix: Array) -> float:
    """A proved upper bound of ``||P||_2``, from ``||P||^2 = ||G||`` with ``G = P^T P``.

    ``||G||`` is at most the largest absolute row sum, and ``||G|| = ||G^2||^(1/2)`` makes that
    sharper: for an orthogonal matrix the bound is 1 up to rounding. Entries of magnitude at most 1.

    Examples
    --------
    >>> 1.0 <= spectral_norm_upper(np.eye(3)[::-1]) < 1.0 + 1e-14
    True
    """
    n = len(matrix)
    size = _frobenius(matrix)
    if n <= 2:
        return size
    G = matrix.T @ matrix
    bound = _symmetric_norm(0.5 * (G + G.T), 4)
    # The mean of G and its transpose is as near to the real product as G, up to one rounding.
    return min(size, float(np.sqrt(bound + gamma(n + 2) * size * size)) * (1.0 + gamma(8)))


def _symmetric_norm(G: Array, depth: int) -> float:
    if depth == 0:
        return float(np.abs(G).sum(axis=1).max()) * (1.0 + gamma(len(G) + 1))
    n, size = len(G), _frobenius(G)
    H = G @ G
    squared = _symmetric_norm(0.5 * (H + H.T), depth - 1) + gamma(n + 2) * size * size + n * TINY
    return float(np.sqrt(squared)) * (1.0 + gamma(8))
