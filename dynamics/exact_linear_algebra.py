"""Linear algebra over rationals, symbols and floats alike, for arrays of objects."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_flint_matrix", "rank_of", "solve_in_ring"]

Array = NDArray[Any]


def solve_in_ring(matrix: Array, right: Array) -> Array:
    """Solve ``matrix x = right`` for floats (LAPACK) or for objects that add, multiply and divide.

    Parameters
    ----------
    matrix : array, shape (..., d, d)
        Floats, or one matrix (d, d) of ``Fraction`` or sympy entries.
    right : array, shape (..., d)
        Right-hand sides.

    Raises
    ------
    ValueError
        If the matrix is singular.

    Examples
    --------
    >>> third = solve_in_ring(
    ...     np.array([[Fraction(3)]], dtype=object), np.array([Fraction(1)], dtype=object)
    ... )
    >>> third[0]
    Fraction(1, 3)
    """
    if matrix.dtype != object and right.dtype != object:
        try:
            return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0])
        except np.linalg.LinAlgError as error:
            raise ValueError(_SINGULAR) from error
    while matrix.ndim > 2:  # the Jacobian of a linear game is the same for every start
        matrix = matrix[0]
    return np.asarray(right @ _inverse(matrix).T)


_SINGULAR = (
    "`step_size` makes the implicit equation singular, so that the next iterate is not "
    "defined; use another step size"
)


def _inverse(matrix: Array) -> Array:
    """Gauss-Jordan elimination; any entry that is not zero can be a pivot in exact arithmetic."""
    n = len(matrix)
    work = np.concatenate([matrix.astype(object), np.eye(n, dtype=int).astype(object)], axis=1)
    for column in range(n):
        pivots = [row for row in range(column, n) if _is_nonzero(work[row, column])]
        if not pivots:
            raise ValueError(_SINGULAR)
        work[[column, pivots[0]]] = work[[pivots[0], column]]
        work[column] = work[column] * (_one_over(work[column, column]))
        for row in range(n):
            if row != column and _is_nonzero(work[row, column]):
                work[row] = work[row] - work[row, column] * work[column]
    return np.asarray(work[:, n:])


def _one_over(value: Any) -> Any:
    return Fraction(1) / value


def _is_nonzero(value: Any) -> bool:
    simplified = value.simplify() if hasattr(value, "free_symbols") else value
    return bool(simplified != 0)


def as_flint_matrix(matrix: Array) -> Any:
    """A ``flint.fmpq_mat`` of a matrix of floats or fractions, without rounding."""
    from flint import fmpq, fmpq_mat

    rows, columns = matrix.shape
    entries = [Fraction(v) for v in matrix.ravel().tolist()]
    return fmpq_mat(rows, columns, [fmpq(v.numerator, v.denominator) for v in entries])


def rank_of(matrix: Array) -> int:
    """The rank of a float matrix in rational arithmetic.

    Examples
    --------
    >>> rank_of(np.array([[1.0, 2.0], [0.5, 1.0]])), rank_of(np.array([[0.1, 1.0], [0.3, 3.0]]))
    (1, 2)
    """
    from flint import fmpz_mat

    # Powers of two make all entries integers and do not change the rank.
    fractions = [Fraction(v) for v in matrix.ravel().tolist()]
    scale = max(f.denominator for f in fractions)
    integers = [f.numerator * (scale // f.denominator) for f in fractions]
    rows, columns = matrix.shape
    return int(fmpz_mat(rows, columns, integers).rank())
