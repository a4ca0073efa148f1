"""Gradient descent-ascent: simultaneous (Jacobi) and alternating (Gauss-Seidel)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dynamics.methods.base import ORDERS, Method, State, scaled, steps_of
from dynamics.protocols import Array, Game
from dynamics.step_rules import Pair, StepRule, as_step_rule
from evidence.validation import choice

__all__ = ["GDA", "sweep"]


@dataclass(frozen=True, slots=True, init=False)
class GDA(Method):
    """Gradient descent-ascent ``z+ = z - eta F(z)``, the players at once or in turn.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``eta``, or one for each player. Negative steps are allowed and flagged in results.
    order : {"simultaneous", "alternating_xy", "alternating_yx"}
        ``alternating_xy``: ``x`` moves first and ``y`` answers the new ``x``. The two alternating
        orders have the same eigenvalues and different conserved quantities.

    Notes
    -----
    On ``sigma x y`` with steps ``(a, b)``: ``(lambda - 1)^2 + a b sigma^2`` simultaneously,
    ``(lambda - 1)^2 + lambda a b sigma^2`` in turn.

    References
    ----------
    Zhang and Yu, *Convergence of gradient methods on bilinear zero-sum games*, ICLR 2020, Thm 3.1.

    Examples
    --------
    >>> from dynamics import Bilinear
    >>> game = Bilinear(1.0)
    >>> GDA(1.0, order="alternating_yx").step(game, (np.array([1.0, 1.0]),))
    (array([-1.,  2.]),)
    >>> GDA(0.5).characteristic_polynomial(1.0)
    array([ 1.  , -2.  ,  1.25])
    """

    step_size: StepRule
    order: str

    gradient_calls: ClassVar[int] = 1

    def __init__(self, step_size: Any, *, order: str = "simultaneous") -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))
        object.__setattr__(self, "order", choice(order, "order", ORDERS))

    @property
    def palindromic(self) -> bool:  # type: ignore[override]
        """Whether the eigenvalues come in reciprocal pairs: when the players alternate."""
        return self.order != "simultaneous"

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``."""
        (z,) = state
        return (sweep(game, z, z, steps_of(self.step_size, k, z), self.order),)

    def _polynomial(self, s: Any) -> list[Any]:
        a, b = self._constant_pair(self.step_size)
        coupling = a * b * s
        if self.order == "simultaneous":
            return [1, -2, 1 + coupling]
        return [1, coupling - 2, 1]


def sweep(game: Game, start: Array, look: Array, pair: Pair, order: str) -> Array:
    """``start - eta F``, the field taken at ``look`` and, for the second player, partly at the new.

    In alternating order the second player sees the first player's new variable in the place of
    its entry of ``look``.
    """
    m = game.dimensions[0]
    if order == "simultaneous":
        return game.project(start - scaled(pair, game.field(look), m))
    first = order == "alternating_xy"
    if first:
        x = start[..., :m] - pair[0] * game.field_x(look)
        new = game.project(np.concatenate([x, start[..., m:]], axis=-1))
        seen = np.concatenate([new[..., :m], look[..., m:]], axis=-1)
        y = start[..., m:] - pair[1] * game.field_y(seen)
        return game.project(np.concatenate([new[..., :m], y], axis=-1))
    y = start[..., m:] - pair[1] * game.field_y(look)
    new = game.project(np.concatenate([start[..., :m], y], axis=-1))
    seen = np.concatenate([look[..., :m], new[..., m:]], axis=-1)
    x = start[..., :m] - pair[0] * game.field_x(seen)
    return game.project(np.concatenate([x, new[..., m:]], axis=-1))
