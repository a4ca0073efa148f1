"""Games with an affine field over any numbers: floats, rationals, symbols."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dynamics.protocols import Array, Game

__all__ = ["LinearGame", "as_rationals", "block_jacobian", "linear_solution"]


@dataclass(frozen=True, slots=True, init=False, eq=False)
class LinearGame(Game):
    """A game with the affine field ``F(z) = J z + q``, over floats, rationals or symbols.

    The linearisation of a nonlinear game is one, and so is the exact rational twin of a bilinear
    game: entries may be floats, or any numbers in arrays of objects (``Fraction``, sympy), and
    every method of this package that has an iteration matrix then computes it in that arithmetic.

    Parameters
    ----------
    matrix : array, shape (m + n, m + n)
        The Jacobian ``J`` of the field.
    offset : array, shape (m + n,)
        The constant part ``q``.
    dimensions : (int, int)
        The lengths ``(m, n)`` of ``x`` and ``y``.

    Examples
    --------
    >>> import numpy as np
    >>> rotation = LinearGame(
    ...     matrix=np.array([[0.0, 1.0], [-1.0, 0.0]]), offset=np.zeros(2), dimensions=(1, 1)
    ... )
    >>> rotation.field(np.array([[1.0, 2.0], [0.0, 1.0]]))
    array([[ 2., -1.],
           [ 1.,  0.]])
    """

    matrix: Array
    offset: Array
    sizes: tuple[int, int]

    def __init__(self, *, matrix: Array, offset: Array, dimensions: tuple[int, int]) -> None:
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "offset", offset)
        object.__setattr__(self, "sizes", dimensions)

    @property
    def dimensions(self) -> tuple[int, int]:
        """The lengths ``(m, n)`` of ``x`` and ``y``."""
        return self.sizes

    @property
    def is_linear(self) -> bool:
        """True: the field is affine."""
        return True

    def field_x(self, z: Array) -> Array:
        """The first player's part of the field, shape (..., m)."""
        m = self.sizes[0]
        return np.asarray(z @ self.matrix[:m].T + self.offset[:m])

    def field_y(self, z: Array) -> Array:
        """The second player's part of the field, shape (..., n)."""
        m = self.sizes[0]
        return np.asarray(z @ self.matrix[m:].T + self.offset[m:])

    def field(self, z: Array) -> Array:
        """``F(z) = (grad_x f, -grad_y f)`` for states of shape (..., m + n)."""
        return np.asarray(z @ self.matrix.T + self.offset)

    def jacobian(self, z: Array) -> Array:
        """The Jacobian of the field, shape (..., m + n, m + n)."""
        return np.broadcast_to(self.matrix, (*np.shape(z)[:-1], *self.matrix.shape))

    @property
    def equilibrium(self) -> Array | None:
        """A point where the field vanishes (least norm if there are many), or None."""
        if self.matrix.dtype == object:
            raise TypeError("`equilibrium` is computed for games over floats only")
        return linear_solution(self.matrix, -self.offset)

    def rational(self) -> LinearGame:
        """The same game over the rationals that its floats are."""
        return LinearGame(
            matrix=as_rationals(self.matrix),
            offset=as_rationals(self.offset),
            dimensions=self.dimensions,
        )


def as_rationals(array: Array) -> Array:
    """An object array of the fractions that the floats are."""
    rational = np.empty(array.size, dtype=object)
    rational[:] = [Fraction(v) for v in array.ravel().tolist()]
    return rational.reshape(array.shape)


def block_jacobian(P: Array | None, A: Array, Q: Array | None) -> Array:
    """``[[P, A], [-A^T, Q]]``, with zeros for what is None."""
    m, n = A.shape
    J = np.zeros((m + n, m + n))
    J[:m, m:], J[m:, :m] = A, -A.T
    if P is not None:
        J[:m, :m] = P
    if Q is not None:
        J[m:, m:] = Q
    return J


def linear_solution(matrix: Array, right: Array) -> Array | None:
    """The least-norm solution, or None where the residual is more than rounding explains."""
    solution = np.linalg.lstsq(matrix, right, rcond=None)[0]
    scale = np.linalg.norm(matrix, 2) * np.linalg.norm(solution) + np.linalg.norm(right)
    residual = np.linalg.norm(matrix @ solution - right)
    # A backward stable solver leaves a residual of a modest multiple of n u times this scale.
    return solution if residual <= 64 * max(matrix.shape) * 2.0**-53 * scale else None
