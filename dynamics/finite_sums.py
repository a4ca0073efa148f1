"""Bilinear games of which each step sees one random term."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dynamics.games import Bilinear
from dynamics.protocols import Array, Game
from evidence.validation import as_float_array

__all__ = ["FiniteSum"]


@dataclass(frozen=True, eq=False, init=False, slots=True)
class FiniteSum(Game):
    """The game ``min_x max_y (1/K) sum_i x^T A_i y`` of ``K`` terms.

    Parameters
    ----------
    matrices : array_like, shape (K, m, n) or (K,)
        The terms; numbers stand for 1 x 1 matrices.

    Examples
    --------
    >>> game = FiniteSum([0.5, 1.5])
    >>> game.field(np.array([1.0, 2.0]))
    array([ 2., -1.])
    >>> game.sample_field(np.array([1.0, 2.0]), np.array(1))
    array([ 3. , -1.5])
    """

    matrices: Array
    mean: Bilinear

    def __init__(self, matrices: ArrayLike) -> None:
        terms = as_float_array(matrices, "matrices", ndim=(1, 3)).copy()
        terms = terms.reshape(-1, 1, 1) if terms.ndim == 1 else terms
        terms.flags.writeable = False
        object.__setattr__(self, "matrices", terms)
        object.__setattr__(self, "mean", Bilinear(terms.mean(axis=0)))

    @property
    def dimensions(self) -> tuple[int, int]:
        """The lengths ``(m, n)`` of ``x`` and ``y``."""
        return self.mean.dimensions

    @property
    def is_linear(self) -> bool:
        """True: the mean field is linear."""
        return True

    @property
    def equilibrium(self) -> Array | None:
        """The origin, which is an equilibrium of every term."""
        return self.mean.equilibrium

    def field_x(self, z: Array) -> Array:
        """The first player's part of the mean field, shape (..., m)."""
        return self.mean.field_x(z)

    def field_y(self, z: Array) -> Array:
        """The second player's part of the mean field, shape (..., n)."""
        return self.mean.field_y(z)

    def jacobian(self, z: Array) -> Array:
        """The Jacobian of the mean field, shape (..., m + n, m + n)."""
        return self.mean.jacobian(z)

    def sample_field(self, z: Array, index: Array) -> Array:
        """The field of term ``index`` (one for each start, shape (...)), shape (..., m + n)."""
        m = self.dimensions[0]
        A = self.matrices[index]
        x = np.einsum("...ij,...j->...i", A, z[..., m:])
        y = -np.einsum("...ij,...i->...j", A, z[..., :m])
        return np.concatenate([x, y], axis=-1)
