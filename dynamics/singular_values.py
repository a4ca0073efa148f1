"""Singular values with proved error bounds, so that a verdict knows what it is about."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence.enclosure import Enclosure
from evidence.rounding import (
    TINY,
    add_up,
    gamma,
    ldexp_down,
    ldexp_up,
    mul_down,
    mul_up,
    norm_upper,
    sqrt_down,
    sqrt_up,
    sub_down,
    sub_up,
)

__all__ = ["Singular", "singular_system"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Singular:
    """A singular value decomposition of a float matrix, numerically zero values left out.

    Attributes
    ----------
    values : array, shape (r,)
        Computed singular values, largest first.
    left, right : arrays, shapes (m, r) and (n, r)
        Computed singular vectors.
    enclosures : tuple of Enclosure
        Proved bounds of the exact singular values of the matrix, one for each computed value.
    threshold : float
        Values up to here were taken for zero.

    Examples
    --------
    >>> singular_system(np.array([[2.0, 0.0], [0.0, 0.0]])).values
    array([2.])
    """

    values: Array
    left: Array
    right: Array
    enclosures: tuple[Enclosure, ...]
    threshold: float


def singular_system(matrix: NDArray[Any]) -> Singular:
    """Singular values, vectors and proved enclosures of a float matrix.

    Notes
    -----
    If ``U`` and ``V`` are the computed vectors, ``a`` and ``b`` the norms of ``U^T U - I`` and
    ``V^T V - I``, the singular values of ``U S V^T`` are ``s_i`` up to a factor between
    ``sqrt((1 - a)(1 - b))`` and ``sqrt((1 + a)(1 + b))`` (Ostrowski; Horn and Johnson, *Topics in
    Matrix Analysis*, Theorem 3.3.16), and those of ``A`` differ from them by at most
    ``||A - U S V^T||`` (Weyl). All norms are bounded by Frobenius norms, the rounding of the
    products entrywise. A matrix with at most one entry in every row and column has its absolute
    entries as singular values, exactly.

    Examples
    --------
    >>> system = singular_system(np.array([[1.0, 1.0], [0.0, 1.0]]))
    >>> golden = (1.0 + 5.0**0.5) / 2.0
    >>> system.enclosures[0].lower < golden < system.enclosures[0].upper
    True
    >>> system.enclosures[0].rtol < 1e-13
    True
    """
    A = np.asarray(matrix, dtype=np.float64)
    pattern = A != 0.0
    if pattern.sum(axis=0).max() <= 1 and pattern.sum(axis=1).max() <= 1:
        return _monomial(A)
    exponent = math.frexp(float(np.max(np.abs(A))))[1]
    scaled = np.ldexp(A, -exponent)
    U, s, Vt = np.linalg.svd(scaled, full_matrices=False)
    defect = _Defects(scaled, U, s, Vt)
    threshold = float(max(A.shape)) * 2.0**-52 * float(s[0])
    keep = s > max(threshold, defect.distance)
    enclosures = tuple(
        Enclosure(
            max(0.0, ldexp_down(sub_down(mul_down(v, defect.shrink), defect.distance), exponent)),
            ldexp_up(add_up(mul_up(v, defect.stretch), defect.distance), exponent),
            "SVD with residual",
        )
        for v in s[keep].tolist()
    )
    values = np.ldexp(s[keep], exponent)
    return Singular(
        values=values,
        left=U[:, keep],
        right=Vt[keep].T,
        enclosures=enclosures,
        threshold=math.ldexp(max(threshold, defect.distance), exponent),
    )


def _monomial(A: Array) -> Singular:
    rows, columns = np.nonzero(A)
    order = np.argsort(-np.abs(A[rows, columns]), kind="stable")
    rows, columns = rows[order], columns[order]
    values = np.abs(A[rows, columns])
    left = np.zeros((A.shape[0], len(rows)))
    right = np.zeros((A.shape[1], len(rows)))
    left[rows, np.arange(len(rows))] = np.sign(A[rows, columns])
    right[columns, np.arange(len(rows))] = 1.0
    return Singular(
        values=values,
        left=left,
        right=right,
        enclosures=tuple(Enclosure.exact(v, "entry") for v in values.tolist()),
        threshold=0.0,
    )


class _Defects:
    """How far the computed factors are from a singular value decomposition, bounded."""

    def __init__(self, A: Array, U: Array, s: Array, Vt: Array) -> None:
        k = len(s)
        a, b = _departure(U), _departure(Vt.T)
        self.shrink = sqrt_down(max(0.0, mul_down(sub_down(1.0, a), sub_down(1.0, b))))
        self.stretch = sqrt_up(mul_up(add_up(1.0, a), add_up(1.0, b)))
        scaled = U * s
        residual = A - scaled @ Vt
        # U s rounds once, the product of length k by gamma(k), the difference once more.
        magnitude = (np.abs(scaled) @ np.abs(Vt)) * gamma(k + 2)
        rounding = add_up(norm_upper(magnitude), mul_up(2.0**-52, norm_upper(residual)))
        self.distance = add_up(add_up(norm_upper(residual), mul_up(rounding, 1.0 + 2.0**-20)), TINY)


def _departure(U: Array) -> float:
    """A bound of ``||U^T U - I||``."""
    m, k = U.shape
    gram = U.T @ U
    error = mul_up(norm_upper(np.abs(U).T @ np.abs(U)), mul_up(gamma(m + 2), 1.0 + 2.0**-20))
    gram.flat[:: k + 1] -= 1.0
    bound = add_up(norm_upper(gram), error)
    return min(1.0, sub_up(add_up(bound, mul_up(2.0**-52, bound)), -TINY))
