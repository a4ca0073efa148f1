"""Zero-sum matrix games: mixed strategies on two simplices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dynamics.protocols import Array, Game
from evidence.validation import as_float_array

__all__ = ["MatrixGame"]


@dataclass(frozen=True, eq=False, init=False, slots=True)
class MatrixGame(Game):
    """The game ``min_x max_y x^T A y`` over probability vectors ``x`` and ``y``.

    Its field is that of the bilinear game, but states must stay on the simplices: play it with
    :class:`MultiplicativeWeights`, which does, and start inside (a strategy with an entry 0 keeps
    it for ever).

    Parameters
    ----------
    A : array_like, shape (m, n)
        What the first player pays to the second.

    Raises
    ------
    ValueError, TypeError
        Entries that are not finite or not real.

    Examples
    --------
    >>> pennies = MatrixGame([[1.0, -1.0], [-1.0, 1.0]])
    >>> pennies.equilibrium
    array([0.5, 0.5, 0.5, 0.5])
    >>> pennies.exploitability(np.array([0.6, 0.4, 0.5, 0.5]))
    array(0.2)
    """

    A: Array

    def __init__(self, A: ArrayLike) -> None:
        matrix = as_float_array(_floats(A), "A", ndim=2).copy()
        matrix.flags.writeable = False
        object.__setattr__(self, "A", matrix)

    @property
    def dimensions(self) -> tuple[int, int]:
        """The numbers of pure strategies ``(m, n)``."""
        return self.A.shape[0], self.A.shape[1]

    def field_x(self, z: Array) -> Array:
        """``A y``: the expected cost of each pure strategy, shape (..., m)."""
        return np.asarray(z[..., self.A.shape[0] :] @ self.A.T)

    def field_y(self, z: Array) -> Array:
        """``-A^T x``, shape (..., n)."""
        return np.asarray(-(z[..., : self.A.shape[0]] @ self.A))

    def jacobian(self, z: Array) -> Array:
        """The constant Jacobian ``[[0, A], [-A^T, 0]]``, shape (..., m + n, m + n)."""
        m, n = self.dimensions
        J = np.zeros((m + n, m + n))
        J[:m, m:], J[m:, :m] = self.A, -self.A.T
        return np.broadcast_to(J, (*np.shape(z)[:-1], *J.shape))

    @property
    def value(self) -> float:
        """The value of the game, by linear programming."""
        return _minimax(self.A)[1]

    @property
    def equilibrium(self) -> Array:
        """One pair of optimal mixed strategies, by linear programming, shape (m + n,)."""
        return np.concatenate([_minimax(self.A)[0], _minimax(-self.A.T)[0]])

    @property
    def is_smooth_at_equilibrium(self) -> bool:
        """False: strategies are confined to simplices, which a Jacobian does not know of."""
        return False

    def exploitability(self, z: Array) -> Array:
        """The duality gap ``max_j (A^T x)_j - min_i (A y)_i``, shape (...); 0 at equilibria."""
        best_reply = np.max(-self.field_y(z), axis=-1)
        return np.asarray(best_reply - np.min(self.field_x(z), axis=-1))

    def project(self, z: Array) -> Array:
        """The nearest pair of probability vectors (Euclidean)."""
        m = self.A.shape[0]
        return np.concatenate([_onto_simplex(z[..., :m]), _onto_simplex(z[..., m:])], axis=-1)

    def check_start(self, z: Array) -> None:
        """Refuse starts that are not strictly positive probability vectors.

        Raises
        ------
        ValueError
            Sums other than 1 beyond rounding, entries at most 0.
        """
        m = self.A.shape[0]
        for name, part in (("x", z[..., :m]), ("y", z[..., m:])):
            if not np.all(np.abs(part.sum(axis=-1) - 1.0) <= 1e-9):
                raise ValueError(f"`z0` must hold probability vectors; `{name}` does not sum to 1")
            if not np.all(part > 0.0):
                raise ValueError(
                    f"`z0` must be positive; an entry of `{name}` that is 0 stays 0 for ever, so "
                    "that a pure start looks like an equilibrium"
                )


def _floats(value: Any) -> Any:
    is_integers = isinstance(value, np.ndarray) and value.dtype.kind in "iu"
    return value.astype(np.float64) if is_integers else value


def _minimax(A: Array) -> tuple[Array, float]:
    """``x`` that minimises ``max_j (A^T x)_j``, and that maximum."""
    from scipy.optimize import linprog

    m, n = A.shape
    solved = linprog(
        np.r_[np.zeros(m), 1.0],
        A_ub=np.c_[A.T, -np.ones(n)],
        b_ub=np.zeros(n),
        A_eq=np.r_[np.ones(m), 0.0][None],
        b_eq=[1.0],
        bounds=[(0.0, None)] * m + [(None, None)],
        method="highs",
    )
    return np.asarray(solved.x[:m]), float(solved.x[m])


def _onto_simplex(v: Array) -> Array:
    """Sort, find the shift, cut at zero (Held, Wolfe and Crowder, 1974)."""
    descending = -np.sort(-v, axis=-1)
    count = np.arange(1, v.shape[-1] + 1)
    shifts = (np.cumsum(descending, axis=-1) - 1.0) / count
    kept = np.sum(descending > shifts, axis=-1, keepdims=True)
    return np.maximum(v - np.take_along_axis(shifts, kept - 1, axis=-1), 0.0)
