"""Zero-sum games on all of space: bilinear and quadratic."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dynamics.exact_linear_algebra import rank_of
from dynamics.linear_games import LinearGame, as_rationals, block_jacobian, linear_solution
from dynamics.protocols import Array, Game
from dynamics.singular_values import Singular, singular_system
from evidence.enclosure import Enclosure
from evidence.validation import as_float_array

__all__ = ["Bilinear", "Quadratic"]


@dataclass(frozen=True, eq=False)
class Bilinear(Game):
    """The zero-sum game ``min_x max_y x^T A y + b^T x + c^T y``.

    Its field is ``F(z) = (A y + b, -A^T x - c)``; a saddle point solves ``A y = -b``,
    ``A^T x = -c``, and need not be 0, need not be unique and need not exist.

    Parameters
    ----------
    A : array_like, shape (m, n)
        The payoff matrix; a number stands for a 1 x 1 matrix.
    b : array_like, shape (m,), optional
        Linear term of ``x``; zero by default.
    c : array_like, shape (n,), optional
        Linear term of ``y``; zero by default.

    Raises
    ------
    ValueError, TypeError
        Entries that are not finite or not real, wrong shapes.

    Examples
    --------
    >>> import numpy as np
    >>> game = Bilinear([[3.0, 0.0], [0.0, 0.0]], b=[6.0, 0.0])
    >>> game.dimensions, game.singular_values, game.nullity
    ((2, 2), array([3.]), 2)
    >>> game.field(np.array([1.0, 1.0, 1.0, 1.0]))
    array([ 9.,  0., -3., -0.])
    >>> game.equilibrium
    array([ 0.,  0., -2.,  0.])
    """

    A: Array
    b: Array
    c: Array

    def __init__(
        self, A: ArrayLike, b: ArrayLike | None = None, c: ArrayLike | None = None
    ) -> None:
        matrix = _owned(as_float_array(_matrix_of_number(A), "A", ndim=2))
        m, n = matrix.shape
        object.__setattr__(self, "A", matrix)
        object.__setattr__(self, "b", _linear_term(b, "b", m))
        object.__setattr__(self, "c", _linear_term(c, "c", n))

    @property
    def dimensions(self) -> tuple[int, int]:
        """The lengths ``(m, n)`` of ``x`` and ``y``."""
        return self.A.shape[0], self.A.shape[1]

    @property
    def is_linear(self) -> bool:
        """True: the field is affine."""
        return True

    def field_x(self, z: Array) -> Array:
        """``grad_x f = A y + b``, shape (..., m)."""
        return np.asarray(z[..., self.A.shape[0] :] @ self.A.T + self.b)

    def field_y(self, z: Array) -> Array:
        """``-grad_y f = -A^T x - c``, shape (..., n)."""
        return np.asarray(-(z[..., : self.A.shape[0]] @ self.A + self.c))

    def field(self, z: Array) -> Array:
        """``F(z) = (A y + b, -A^T x - c)`` for states of shape (..., m + n)."""
        return np.concatenate([self.field_x(z), self.field_y(z)], axis=-1)

    def jacobian(self, z: Array) -> Array:
        """The constant Jacobian ``[[0, A], [-A^T, 0]]``, shape (..., m + n, m + n)."""
        J = block_jacobian(None, self.A, None)
        return np.broadcast_to(J, (*np.shape(z)[:-1], *J.shape))

    def value(self, z: Array) -> Array:
        """The payoff ``f(x, y)`` that ``x`` minimises and ``y`` maximises, shape (...)."""
        x, y = z[..., : self.A.shape[0]], z[..., self.A.shape[0] :]
        return np.asarray(np.einsum("...i,ij,...j->...", x, self.A, y) + x @ self.b + y @ self.c)

    @cached_property
    def singular_system(self) -> Singular:
        """The singular value decomposition with proved error bounds."""
        return singular_system(self.A)

    @property
    def singular_values(self) -> Array:
        """Computed singular values that are not numerically zero, largest first, shape (r,)."""
        return self.singular_system.values

    def singular_value_enclosures(self) -> tuple[Enclosure, ...]:
        """Proved enclosures of the singular values that are not numerically zero.

        Examples
        --------
        >>> [e.contains(e) and e.rtol < 1e-14 for e in Bilinear([[3.0, 1.0]])
        ...     .singular_value_enclosures()]
        [True]
        """
        return self.singular_system.enclosures

    @property
    def condition_number(self) -> float:
        """``kappa = sigma_1 / sigma_r`` over the singular values that are not zero."""
        values = self.singular_values
        return float(values[0] / values[-1]) if len(values) else math.nan

    @property
    def nullity(self) -> int:
        """Directions of ``z`` in which the game is flat: ``m + n - 2 r``."""
        return sum(self.dimensions) - 2 * len(self.singular_values)

    @property
    def nullity_is_exact(self) -> bool:
        """Whether the rank of the float matrix, in rational arithmetic, is the numerical one."""
        return rank_of(self.A) == len(self.singular_values)

    @property
    def equilibrium(self) -> Array | None:
        """The saddle point of least norm, or None if ``b`` or ``c`` is out of the range of A."""
        y = linear_solution(self.A, -self.b)
        x = linear_solution(self.A.T, -self.c)
        return None if x is None or y is None else np.concatenate([x, y])

    def range_projector(self) -> Array:
        """The orthogonal projector, shape (m + n, m + n), off the flat directions.

        ``z - z*`` projected by it is the distance to the set of saddle points, which is
        ``z* + kernel``.
        """
        left, right = self.singular_system.left, self.singular_system.right
        m = self.dimensions[0]
        projector = np.zeros((sum(self.dimensions),) * 2)
        projector[:m, :m] = left @ left.T
        projector[m:, m:] = right @ right.T
        return projector

    def rational(self) -> LinearGame:
        """The same game over the rationals that its floats are."""
        m, n = self.dimensions
        J = as_rationals(block_jacobian(None, self.A, None))
        q = as_rationals(np.concatenate([self.b, -self.c]))
        return LinearGame(matrix=J, offset=q, dimensions=(m, n))


@dataclass(frozen=True, eq=False)
class Quadratic(Game):
    """The zero-sum game ``min_x max_y x^T P x / 2 + x^T A y - y^T Q y / 2 + b^T x + c^T y``.

    Its field is ``F(z) = (P x + A y + b, -A^T x + Q y - c)``, which is monotone if and only if
    ``P`` and ``Q`` are positive semidefinite (convex-concave).

    Parameters
    ----------
    P : array_like, shape (m, m)
        Symmetric curvature of the first player.
    A : array_like, shape (m, n)
        Coupling.
    Q : array_like, shape (n, n)
        Symmetric curvature of the second player, entering with a minus sign.
    b, c : array_like, shapes (m,) and (n,), optional
        Linear terms; zero by default.

    Raises
    ------
    ValueError, TypeError
        Entries that are not finite or not real, wrong shapes, ``P`` or ``Q`` not symmetric.

    Examples
    --------
    >>> import numpy as np
    >>> game = Quadratic(1.0, 10.0, 1.0)
    >>> game.jacobian(np.zeros(2))
    array([[  1.,  10.],
           [-10.,   1.]])
    """

    P: Array
    A: Array
    Q: Array
    b: Array
    c: Array

    def __init__(
        self,
        P: ArrayLike,
        A: ArrayLike,
        Q: ArrayLike,
        b: ArrayLike | None = None,
        c: ArrayLike | None = None,
    ) -> None:
        matrix = _owned(as_float_array(_matrix_of_number(A), "A", ndim=2))
        m, n = matrix.shape
        object.__setattr__(self, "P", _symmetric(P, "P", m))
        object.__setattr__(self, "A", matrix)
        object.__setattr__(self, "Q", _symmetric(Q, "Q", n))
        object.__setattr__(self, "b", _linear_term(b, "b", m))
        object.__setattr__(self, "c", _linear_term(c, "c", n))

    @property
    def dimensions(self) -> tuple[int, int]:
        """The lengths ``(m, n)`` of ``x`` and ``y``."""
        return self.A.shape[0], self.A.shape[1]

    @property
    def is_linear(self) -> bool:
        """True: the field is affine."""
        return True

    def field_x(self, z: Array) -> Array:
        """``grad_x f = P x + A y + b``, shape (..., m)."""
        m = self.A.shape[0]
        return np.asarray(z[..., :m] @ self.P + z[..., m:] @ self.A.T + self.b)

    def field_y(self, z: Array) -> Array:
        """``-grad_y f = -A^T x + Q y - c``, shape (..., n)."""
        m = self.A.shape[0]
        return np.asarray(z[..., m:] @ self.Q - z[..., :m] @ self.A - self.c)

    def field(self, z: Array) -> Array:
        """``F(z) = (grad_x f, -grad_y f)`` for states of shape (..., m + n)."""
        return np.concatenate([self.field_x(z), self.field_y(z)], axis=-1)

    def jacobian(self, z: Array) -> Array:
        """The constant Jacobian ``[[P, A], [-A^T, Q]]``, shape (..., m + n, m + n)."""
        J = block_jacobian(self.P, self.A, self.Q)
        return np.broadcast_to(J, (*np.shape(z)[:-1], *J.shape))

    @property
    def equilibrium(self) -> Array | None:
        """The point where the field vanishes (least norm if there are many), or None."""
        return linear_solution(
            block_jacobian(self.P, self.A, self.Q), np.concatenate([-self.b, self.c])
        )

    def rational(self) -> LinearGame:
        """The same game over the rationals that its floats are."""
        return LinearGame(
            matrix=as_rationals(block_jacobian(self.P, self.A, self.Q)),
            offset=as_rationals(np.concatenate([self.b, -self.c])),
            dimensions=self.dimensions,
        )


def _matrix_of_number(value: Any) -> Any:
    is_number = isinstance(value, numbers.Number) and not isinstance(value, (bool, np.bool_))
    if is_number or getattr(value, "shape", None) == ():
        return [[float(value) if isinstance(value, numbers.Real) else value]]
    return _floats_of_integers(value)


def _floats_of_integers(value: Any) -> Any:
    is_integers = isinstance(value, np.ndarray) and value.dtype.kind in "iu"
    return value.astype(np.float64) if is_integers else value


def _owned(array: Array) -> Array:
    """A read-only copy: a game never changes when the caller's array does."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def _linear_term(value: Any, name: str, length: int) -> Array:
    if value is None:
        return _owned(np.zeros(length))
    if isinstance(value, numbers.Real) and length == 1:
        value = [value]
    term = as_float_array(_floats_of_integers(value), name, ndim=1)
    if term.shape != (length,):
        raise ValueError(f"`{name}` must have shape ({length},) to match `A`, got {term.shape}")
    return _owned(term)


def _symmetric(value: Any, name: str, size: int) -> Array:
    matrix = as_float_array(_matrix_of_number(value), name, ndim=2)
    if matrix.shape != (size, size):
        raise ValueError(
            f"`{name}` must have shape ({size}, {size}) to match `A`, got {matrix.shape}"
        )
    if not np.array_equal(matrix, matrix.T):
        raise ValueError(f"`{name}` must be exactly symmetric; pass ({name} + {name}.T) / 2")
    return _owned(matrix)
