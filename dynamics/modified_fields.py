"""Backward error analysis: the flow that gradient descent-ascent follows to one order more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from dynamics.flows import flow
from dynamics.methods import GDA
from dynamics.protocols import Array, Game
from dynamics.starts import checked_starts
from evidence.validation import choice

__all__ = ["LocalErrors", "ModifiedField", "local_errors", "modified_field"]

_UNIT_TIME = np.array([1.0])


@dataclass(frozen=True, slots=True, eq=False)
class ModifiedField(Game):
    """The field whose flow over time 1 is one step of a method, up to the third order in its steps.

    A game of its own, so that :func:`~dynamics.flows.flow` and the pictures take it. Time counts
    iterations.

    Parameters
    ----------
    game : Game
        The game that is played.
    pair : (float, float)
        The step sizes ``(a, b)``.
    order : str
        Who moves first.
    corrections : int
        0: the scaled field ``P = (a F_x, b F_y)`` itself; 1: with the first correction.

    Notes
    -----
    Simultaneous steps follow ``-(P + P' P / 2)``: in the Taylor series of the flow, ``P' P / 2``
    is what one Euler step leaves out. A player who answers the other's new variable has already
    taken the coupling into account, ``(0, P_yx P_x)`` if ``x`` moves first, which is subtracted.

    References
    ----------
    Rosca, Wu, Dherin and Barrett, *Discretization drift in two-player games*, ICML 2021, Theorems
    3.1 and 3.2. Hairer, Lubich and Wanner, *Geometric Numerical Integration*, 2nd ed., section
    IX.1.

    Examples
    --------
    Simultaneous steps on ``x y`` drift outwards by ``h^2 / 2`` in every iteration:

    >>> from dynamics.games import Bilinear
    >>> ModifiedField(Bilinear(1.0), (0.1, 0.1), "simultaneous").field(np.array([1.0, 0.0]))
    array([-0.005, -0.1  ])
    """

    game: Game
    pair: tuple[float, float]
    order: str
    corrections: int = 1

    @property
    def dimensions(self) -> tuple[int, int]:
        """The lengths ``(m, n)`` of ``x`` and ``y``."""
        return self.game.dimensions

    @property
    def is_linear(self) -> bool:
        """Whether the game is."""
        return self.game.is_linear

    @property
    def equilibrium(self) -> Array | None:
        """That of the game."""
        return self.game.equilibrium

    def field_x(self, z: Array) -> Array:
        """The first player's part, shape (..., m)."""
        return self.field(z)[..., : self.dimensions[0]]

    def field_y(self, z: Array) -> Array:
        """The second player's part, shape (..., n)."""
        return self.field(z)[..., self.dimensions[0] :]

    def field(self, z: Array) -> Array:
        """The modified field, shape (..., m + n)."""
        scale = self._scale()
        P = scale * self.game.field(z)
        if not self.corrections:
            return np.asarray(P)
        weights = self._weights()
        slopes = scale[:, None] * self.game.jacobian(z)
        return np.asarray(P + np.einsum("...ij,...j->...i", weights * slopes, P))

    def jacobian(self, z: Array) -> Array:
        """The Jacobian for linear games, shape (..., m + n, m + n); ``TypeError`` for others."""
        if not self.is_linear:
            raise TypeError("the Jacobian of a modified field needs second derivatives of the game")
        J = self._scale()[:, None] * self.game.jacobian(z)
        return np.asarray(J + self.corrections * (self._weights() * J) @ J)

    def _scale(self) -> Array:
        return np.repeat(np.array(self.pair, dtype=np.float64), self.dimensions)

    def _weights(self) -> Array:
        """What each block of ``P' P`` counts: 1/2, and -1/2 where the answer saw the new."""
        m = self.dimensions[0]
        weights = np.full((sum(self.dimensions),) * 2, 0.5)
        if self.order == "alternating_xy":
            weights[m:, :m] = -0.5
        elif self.order == "alternating_yx":
            weights[:m, m:] = -0.5
        return weights


def modified_field(game: Game, method: GDA) -> ModifiedField:
    """The field that gradient descent-ascent with constant steps follows to third order.

    Parameters
    ----------
    game : Game
        With a Jacobian.
    method : GDA
        Simultaneous or alternating, with constant step sizes.

    Returns
    -------
    ModifiedField

    Raises
    ------
    TypeError
        Other methods, or step sizes that change.

    Examples
    --------
    The modified flow of simultaneous steps spirals outwards as the method does:

    >>> from dynamics.games import Bilinear
    >>> game, method = Bilinear(1.0), GDA(0.1)
    >>> followed = flow(modified_field(game, method), [1.0, 0.0], [100.0]).states[0]
    >>> bool(abs(np.linalg.norm(followed) - 1.01**50) < 0.01)
    True
    """
    if not isinstance(method, GDA) or not isinstance(method.step_size, tuple):
        raise TypeError(
            f"`method` must be GDA with constant steps, got {method!r}; "
            "no modified field of others is known here"
        )
    a, b = method.step_size
    return ModifiedField(game, (float(a), float(b)), method.order)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalErrors:
    """How far one step is from the flow over the same time, with and without correction.

    Parameters
    ----------
    step_sizes : array, shape (k,)
    plain, corrected : arrays, shape (k,)
        Largest distance over the starts, from the flow of the field and of the modified field.
    plain_order, corrected_order : float
        Slopes in a double logarithmic plot: 2 and 3 in theory, as the steps go to 0.

    Examples
    --------
    >>> from dynamics.games import Bilinear
    >>> found = local_errors(Bilinear(1.0), [1.0, 1.0], [0.1, 0.01])
    >>> round(found.plain_order, 2), round(found.corrected_order, 2)
    (2.0, 3.0)
    """

    step_sizes: Array
    plain: Array
    corrected: Array
    plain_order: float
    corrected_order: float


def local_errors(
    game: Game,
    starts: ArrayLike,
    step_sizes: Sequence[float],
    *,
    ratio: float = 1.0,
    order: Literal["simultaneous", "alternating_xy", "alternating_yx"] = "simultaneous",
) -> LocalErrors:
    """Local errors of gradient descent-ascent against its plain and its modified flow.

    Parameters
    ----------
    game : Game
    starts : array_like, shape (..., m + n)
    step_sizes : sequence of float
        At least two, of the first player.
    ratio : float
        Step of the second player over that of the first.
    order : str
        Who moves first.

    Returns
    -------
    LocalErrors

    Raises
    ------
    ValueError
        Fewer than two steps, or an error of zero, which has no order.

    Examples
    --------
    >>> from dynamics.games import Bilinear
    >>> found = local_errors(
    ...     Bilinear(1.0), [1.0, 1.0], [0.01, 0.001], ratio=2.0, order="alternating_xy"
    ... )
    >>> round(found.plain_order, 1), round(found.corrected_order, 1)
    (2.0, 3.0)
    """
    points = checked_starts(game, starts, "starts")
    chosen = choice(order, "order", ("simultaneous", "alternating_xy", "alternating_yx"))
    sizes = np.array(step_sizes, dtype=np.float64)
    if sizes.ndim != 1 or len(sizes) < 2:
        raise ValueError(f"`step_sizes` must hold at least two steps, got {step_sizes!r}")
    errors = np.empty((2, len(sizes)))
    for index, eta in enumerate(sizes.tolist()):
        pair = (eta, eta * ratio)
        (stepped,) = GDA(pair, order=chosen).step(game, (points,))
        for corrections in (0, 1):
            followed = flow(
                ModifiedField(game, pair, chosen, corrections), points, _UNIT_TIME, rtol=1e-13
            )
            distances = np.linalg.norm(stepped - followed.states[0], axis=-1)
            errors[corrections, index] = distances.max()
    if not errors.all():
        raise ValueError("`starts` give an error of exactly 0, which has no order; move them")
    slopes = [float(np.polyfit(np.log(sizes), np.log(row), 1)[0]) for row in errors]
    return LocalErrors(
        step_sizes=sizes,
        plain=errors[0],
        corrected=errors[1],
        plain_order=slopes[0],
        corrected_order=slopes[1],
    )
