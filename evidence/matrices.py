"""Proofs about dense matrices in floating point: positive definiteness and spectral norms.

A Cholesky factorisation that runs to completion is a proof. If LAPACK returns ``R`` for the
Hermitian float matrix ``S``, then ``R* R = S + E`` with ``|E| <= c |R|* |R|`` entrywise, where
``c = gamma(n + 1)`` in real arithmetic (Higham, *Accuracy and Stability of Numerical Algorithms*,
Theorem 10.3; any order of summation, hence also blocked algorithms). A complex product sum is two
real ones of twice the length, and reciprocal pivots cost a few more roundings: the slack below
covers both. Since ``R* R`` is positive semidefinite, the smallest eigenvalue of ``S`` is at least
``-||E|| >= -c || |R|* |R| ||``, and the last norm is bounded from the factor that was actually
computed (compare Rump, *Verification of positive definiteness*, BIT 46 (2006), who bounds it by
the trace).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.enclosure import Enclosure
from evidence.rounding import (
    TINY,
    UNIT_ROUNDOFF,
    add_up,
    divide_down,
    gamma,
    ldexp_down,
    ldexp_up,
    mul_up,
    norm_lower,
    norm_upper,
    sqrt_up,
    sub_down,
)
from evidence.validation import as_matrix

__all__ = ["cholesky_margin", "is_positive_definite", "spectral_norm_enclosure"]

_LAPACK = {"f": "spotrf", "d": "dpotrf", "F": "cpotrf", "D": "zpotrf"}


def cholesky_margin(matrix: NDArray[Any]) -> float | None:
    """A proved ``r >= 0`` with ``eigenvalues(S) >= -r``, or None if the factorisation breaks down.

    Parameters
    ----------
    matrix : array, shape (n, n)
        Fortran- or C-contiguous Hermitian float32, float64, complex64 or complex128 matrix; only
        one triangle is read. **Overwritten.** Entries should be scaled to magnitude one.

    Examples
    --------
    >>> cholesky_margin(np.array([[2.0, 1.0], [1.0, 2.0]])) < 1e-14
    True
    >>> cholesky_margin(np.array([[1.0, 2.0], [2.0, 1.0]])) is None
    True
    """
    from scipy.linalg import lapack

    n = len(matrix)
    # A C-contiguous Hermitian matrix read in Fortran order is its transpose, which has the same
    # eigenvalues; nothing is copied.
    target = matrix if matrix.flags.f_contiguous else matrix.T
    factorize = getattr(lapack, _LAPACK[matrix.dtype.char])
    factor, info = factorize(target, lower=1, clean=0, overwrite_a=1)
    if info != 0:
        return None
    real = factor.T  # row j holds column j of the lower factor
    width = 1
    if np.iscomplexobj(factor):
        # |re| + |im| multiplies: a complex product sum of n terms is two real ones of 2n terms.
        real, width = real.view(factor.real.dtype), 2
    magnitude = np.abs(real)
    magnitude *= _triangle(n, width)

    # Entry (i, j) sums min(i, j) products, so |E_ij| <= sqrt(d_i d_j) (|R|* |R|)_ij with
    # d_i = (2 i + 16) u, counting from one.
    unit = float(np.finfo(real.dtype).eps) / 2.0
    if (2 * n + 16) * unit > 0.1:
        return None
    weight = np.sqrt((2.0 * np.arange(n) + 18.0) * unit).astype(real.dtype)

    def times_bound(x: NDArray[Any]) -> NDArray[Any]:
        x = weight * x
        image = magnitude @ (x if width == 1 else np.repeat(x, 2))
        back = image @ magnitude
        return np.asarray(weight * (back if width == 1 else back.reshape(-1, 2).sum(axis=1)))

    # A symmetric nonnegative B has norm at most max_i (B x)_i / x_i (Collatz-Wielandt).
    x = times_bound(np.ones(n, dtype=real.dtype))
    if not np.all(x > 0.0):
        return None
    y = times_bound(x)
    # Products of nonnegative numbers round by at most gamma(2 n + 8) in all.
    bound = float(np.max(y / x)) * (1.0 + 12.0 * (n + 8) * unit) / (1.0 - (2 * n + 18) * unit)
    if not math.isfinite(bound):
        return None
    return bound + n * n * float(np.finfo(real.dtype).tiny)


@lru_cache(maxsize=16)
def _triangle(n: int, width: int) -> NDArray[np.float32]:
    """Ones on and above the diagonal, each repeated ``width`` times along the row."""
    return np.repeat(np.triu(np.ones((n, n), np.float32)), width, axis=1)


def is_positive_definite(matrix: ArrayLike, error: float = 0.0) -> bool:
    """Prove that every Hermitian matrix within spectral distance ``error`` is positive definite.

    Parameters
    ----------
    matrix : array_like, shape (n, n)
        Real symmetric or complex Hermitian float64 matrix; it must be *exactly* Hermitian.
    error : float
        Spectral-norm distance, at least 0.

    Returns
    -------
    bool
        True is a theorem about the float matrix given. False says only that no proof was found,
        which happens for indefinite matrices and for nearly singular ones.

    Raises
    ------
    ValueError
        If the matrix is not square, not exactly Hermitian, or not finite.

    References
    ----------
    Rump, *Verification of positive definiteness*, BIT 46 (2006), 433-452.

    Examples
    --------
    >>> is_positive_definite([[2.0, 1.0], [1.0, 2.0]])
    True
    >>> is_positive_definite([[1.0, 1.0], [1.0, 1.0]])
    False
    >>> is_positive_definite([[2.0, 1.0], [1.0, 2.0]], error=1.5)
    False
    """
    a = as_matrix(matrix, "matrix")
    if a.shape[0] != a.shape[1]:
        raise ValueError(f"`matrix` must be square, got shape {a.shape}; pass A.T @ A for a norm")
    if not np.array_equal(a, a.conj().T):
        raise ValueError(
            "`matrix` must be exactly Hermitian; symmetrise it as (A + A.T) / 2 and add the "
            "distance to `error`"
        )
    if not error >= 0.0 or math.isinf(error):
        raise ValueError(f"`error` must be a finite number at least 0, got {error!r}")
    diagonal = a.diagonal().real
    if np.any(diagonal <= 0.0):
        return False
    exponent = math.frexp(float(np.max(np.abs(a.view(np.float64)))))[1]
    a, error = _ldexp(a, -exponent), ldexp_up(error, -exponent)
    if error >= 1.0:  # more than any entry, hence than the smallest eigenvalue
        return False
    n = len(a)
    shift = add_up(error, 64.0 * n * UNIT_ROUNDOFF)
    for _ in range(4):
        shifted = a.copy()
        # The diagonal rounds by at most one unit of the largest entry, which is at most 2 here.
        shifted.flat[:: n + 1] -= shift
        margin = cholesky_margin(shifted)
        if margin is None:
            return False
        needed = add_up(error, add_up(margin, add_up(4.0 * UNIT_ROUNDOFF, TINY)))
        if needed <= shift:
            return True
        shift = mul_up(needed, 1.0 + 2.0**-10)
    return False


def spectral_norm_enclosure(matrix: ArrayLike) -> Enclosure:
    """Rigorous enclosure of the spectral norm (largest singular value) of a dense matrix.

    Parameters
    ----------
    matrix : array_like, shape (m, n)
        Real or complex float64 matrix (float32 is converted exactly).

    Returns
    -------
    Enclosure
        Of ``max ||A v||_2 / ||v||_2``, exact for the floats given; relative width about 1e-13 for
        n = 10 and 1e-10 for n = 1000. A zero matrix gives exactly 0.

    Raises
    ------
    ValueError, TypeError
        If the matrix is empty, not two-dimensional, not finite or of another type.

    Notes
    -----
    Lower side: ``||A v|| / ||v||`` for the computed top singular vector, with the rounding of the
    product bounded entrywise. Upper side: ``t I - A* A`` is proved positive definite.

    Examples
    --------
    >>> e = spectral_norm_enclosure([[1.0, 2.0], [3.0, 4.0]])
    >>> 5.4649857042 < e.lower < e.upper < 5.4649857043 and e.rtol < 1e-13
    True
    """
    a = as_matrix(matrix, "matrix")
    largest = float(np.max(np.abs(a.view(np.float64))))
    if largest == 0.0:
        return Enclosure.exact(0.0, "zero matrix")
    exponent = math.frexp(largest)[1]
    a = _ldexp(a, -exponent)
    if a.shape[0] < a.shape[1]:
        a = np.ascontiguousarray(a.conj().T)
    if a.shape[1] == 1:
        lower, upper = norm_lower(a), norm_upper(a)
    else:
        lower = _norm_from_below(a)
        upper = _norm_from_above(a)
    return Enclosure(
        max(0.0, ldexp_down(lower, exponent)),
        ldexp_up(upper, exponent),
        "dense",
    )


def _ldexp(a: NDArray[Any], exponent: int) -> NDArray[Any]:
    return np.ldexp(a.view(np.float64), exponent).view(a.dtype)


def _product_constant(length: int, is_complex: bool) -> float:
    """Entrywise relative error of a product sum of ``length`` real or complex terms."""
    return mul_up(1.5, gamma(2 * length + 2)) if is_complex else gamma(length)


def _norm_from_below(a: NDArray[Any]) -> float:
    gram = a.conj().T @ a
    n = len(gram)
    if n <= 96:
        vector = np.linalg.eigh(gram)[1][:, -1]
    else:
        from scipy.linalg import eigh

        vectors = eigh(gram, subset_by_index=[n - 1, n - 1], check_finite=False)[1]
        # LAPACK may find no eigenvalue where entries span hundreds of orders of magnitude.
        vector = vectors[:, 0] if vectors.shape[1] else np.linalg.eigh(gram)[1][:, -1]
    image = a @ vector
    constant = _product_constant(n, np.iscomplexobj(a))
    error = mul_up(constant, norm_upper(np.abs(a) @ np.abs(vector)) * (1.0 + 4 * n * 2.0**-52))
    above = add_up(norm_upper(vector), 0.0)
    return max(
        divide_down(sub_down(norm_lower(image), add_up(error, TINY)), above),
        _largest_column(a),
    )


def _largest_column(a: NDArray[Any]) -> float:
    """The longest column is attained at a unit vector: never worse than a poor eigenvector."""
    best = int(np.argmax(np.einsum("ij,ij->j", a.conj(), a).real))
    return norm_lower(a[:, best])


def _norm_from_above(a: NDArray[Any]) -> float:
    m, n = a.shape
    gram = a.conj().T @ a
    gram = np.tril(gram, -1)
    gram = gram + gram.conj().T
    gram.flat[:: n + 1] = np.einsum("ij,ij->j", a.conj(), a).real
    frobenius = norm_upper(a)
    # || fl(A*A) - A*A ||_2 <= c || |A|^T |A| ||_2 <= c ||A||_F^2
    gram_error = mul_up(_product_constant(m, np.iscomplexobj(a)), mul_up(frobenius, frobenius))
    gram_error = add_up(gram_error, TINY)
    top = float(np.linalg.eigvalsh(gram)[-1]) if n <= 96 else _top_eigenvalue(gram)
    excess = 4.0 * n * UNIT_ROUNDOFF * top + 2.0 * gram_error
    for _ in range(40):
        bound = top + excess
        shifted = -gram
        # fl(t - g_ii) is off by at most u max(t, g_ii) <= u (t + g_ii).
        shifted.flat[:: n + 1] += bound
        margin = cholesky_margin(shifted)
        if margin is not None:
            proved = add_up(bound, add_up(margin, add_up(gram_error, 4 * UNIT_ROUNDOFF * bound)))
            return min(sqrt_up(proved), frobenius)
        excess *= 4.0
        if bound > mul_up(frobenius, frobenius):
            break
    return frobenius


def _top_eigenvalue(gram: NDArray[Any]) -> float:
    from scipy.linalg import eigvalsh

    n = len(gram)
    top = eigvalsh(gram, subset_by_index=[n - 1, n - 1], check_finite=False)
    return float(top[0]) if len(top) else float(np.linalg.eigvalsh(gram)[-1])
