"""What a game must offer so that every method can play it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Game", "start_state"]

Array = NDArray[Any]


class Game(ABC):
    """A two-player game ``min_x max_y f(x, y)`` by its field ``F(z) = (grad_x f, -grad_y f)``.

    ``z = (x, y)`` is the concatenation of both players' variables in the last axis; all leading
    axes are starts or seeds. General-sum games put ``grad_y`` of the second player's own loss in
    the second place. Nothing is ever written into the arrays that are passed in.

    Examples
    --------
    >>> import numpy as np
    >>> from dynamics.games import Bilinear
    >>> isinstance(Bilinear(1.0), Game)
    True
    """

    __slots__ = ()

    @property
    @abstractmethod
    def dimensions(self) -> tuple[int, int]:
        """The lengths ``(m, n)`` of ``x`` and ``y``."""

    @property
    def is_linear(self) -> bool:
        """Whether the field is affine."""
        return False

    @abstractmethod
    def field_x(self, z: Array) -> Array:
        """The first player's part of the field, shape (..., m)."""

    @abstractmethod
    def field_y(self, z: Array) -> Array:
        """The second player's part of the field, shape (..., n)."""

    def field(self, z: Array) -> Array:
        """``F(z) = (grad_x f, -grad_y f)`` for states of shape (..., m + n)."""
        return np.concatenate([self.field_x(z), self.field_y(z)], axis=-1)

    @abstractmethod
    def jacobian(self, z: Array) -> Array:
        """The Jacobian of the field, shape (..., m + n, m + n)."""

    @property
    @abstractmethod
    def equilibrium(self) -> Array | None:
        """A point where the field vanishes, shape (m + n,), or None."""

    def project(self, z: Array) -> Array:
        """The nearest feasible state; the identity where all of space is feasible."""
        return z


def start_state(game: Game, z0: Any) -> Array:
    """A fresh float copy of start points, checked against the game.

    Parameters
    ----------
    game : Game
        Gives the dimension ``m + n``.
    z0 : array_like, shape (..., m + n)
        Starts; integers are accepted.

    Raises
    ------
    ValueError
        Wrong last axis, or entries that are not finite.
    TypeError
        Entries that are no real numbers.

    Examples
    --------
    >>> from dynamics.games import Bilinear
    >>> start_state(Bilinear(1.0), [1, 2])
    array([1., 2.])
    >>> start_state(Bilinear(1.0), [1.0, 2.0, 3.0])
    Traceback (most recent call last):
    ...
    ValueError: `z0` must have shape (..., 2) for a game of dimensions (1, 1), got (3,)
    """
    z = np.array(z0)
    if z.dtype.kind not in "iuf":
        raise TypeError(f"`z0` must hold real numbers, got dtype {z.dtype}")
    z = z.astype(np.float64)
    m, n = game.dimensions
    if z.ndim == 0 or z.shape[-1] != m + n:
        raise ValueError(
            f"`z0` must have shape (..., {m + n}) for a game of dimensions ({m}, {n}), "
            f"got {z.shape}"
        )
    if not np.isfinite(z).all():
        raise ValueError("`z0` must be finite; remove NaN and infinite entries")
    return z
