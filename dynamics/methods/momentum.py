"""Momentum: heavy ball, with positive or negative weight, and Nesterov's look-ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dynamics.methods.base import ORDERS, Method, State, scaled, steps_of
from dynamics.methods.gradient import sweep
from dynamics.protocols import Array, Game
from dynamics.step_rules import Pair, StepRule, as_pair, as_step_rule
from evidence.validation import choice

__all__ = ["HeavyBall", "Nesterov"]


@dataclass(frozen=True, slots=True, init=False)
class HeavyBall(Method):
    """Heavy ball ``z+ = z - alpha F(z) + beta (z - z_prev)``; negative momentum is ``beta < 0``.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``alpha``.
    momentum : number or pair
        ``beta``, of any sign, also 0.
    order : {"simultaneous", "alternating_xy", "alternating_yx"}
        Who moves first.

    Notes
    -----
    The polynomial is ``(lambda - 1)^2 (lambda - b1)(lambda - b2) + lambda^2 a1 a2 s``, in turn with
    ``lambda^3``. torch's SGD scales differently: its buffer is ``v = beta v + g``, the step
    ``z - alpha v``, which is this method for a constant ``alpha``.

    References
    ----------
    Zhang and Yu, ICLR 2020, Theorem 3.4; Gidel et al., *Negative momentum for improved game
    dynamics*, AISTATS 2019.

    Examples
    --------
    >>> HeavyBall(1.0, -0.5, order="alternating_xy").characteristic_polynomial(1.0)
    array([ 1.  ,  0.  , -0.75,  0.5 ,  0.25])
    """

    step_size: StepRule
    momentum: Pair
    order: str

    gradient_calls: ClassVar[int] = 1
    memory: ClassVar[int] = 1

    def __init__(self, step_size: Any, momentum: Any, *, order: str = "simultaneous") -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))
        object.__setattr__(self, "momentum", as_pair(momentum, "momentum", zero=True))
        object.__setattr__(self, "order", choice(order, "order", ORDERS))

    def _remembered(self, game: Game, z: Array) -> State:
        return (z,)

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``: the iterate and the one before."""
        z, before = state
        pair, m = steps_of(self.step_size, k, z), game.dimensions[0]
        start = z + scaled(steps_of(self.momentum, k, z), z - before, m)
        return sweep(game, start, z, pair, self.order), z

    def _polynomial(self, s: Any) -> list[Any]:
        a1, a2 = self._constant_pair(self.step_size)
        b1, b2 = self.momentum
        total, product, coupling = b1 + b2, b1 * b2, a1 * a2 * s
        at_once = self.order == "simultaneous"
        second = product + 2 * total + 1
        return [
            1,
            -total - 2 if at_once else coupling - total - 2,
            second + coupling if at_once else second,
            -2 * product - total,
            product,
        ]


@dataclass(frozen=True, slots=True, init=False)
class Nesterov(Method):
    """Nesterov momentum ``v = z + beta (z - z_prev)``, ``z+ = v - alpha F(v)``.

    In turn, the second player takes its gradient at the first player's *next* look-ahead point
    ``x+ + beta (x+ - x)``.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``alpha``.
    momentum : number or pair
        ``beta``, of any sign.
    order : {"simultaneous", "alternating_xy", "alternating_yx"}
        Who moves first.

    Notes
    -----
    With ``q_i = (1 + b_i) lambda - b_i`` the polynomial is
    ``(lambda^2 - q_1)(lambda^2 - q_2) + a1 a2 s q_1 q_2``, in turn with ``lambda`` before the last
    term.

    Examples
    --------
    >>> Nesterov(1.0, 0.5).characteristic_polynomial(1.0)
    array([ 1. , -3. ,  5.5, -3. ,  0.5])
    """

    step_size: StepRule
    momentum: Pair
    order: str

    gradient_calls: ClassVar[int] = 1
    memory: ClassVar[int] = 1

    def __init__(self, step_size: Any, momentum: Any, *, order: str = "simultaneous") -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))
        object.__setattr__(self, "momentum", as_pair(momentum, "momentum", zero=True))
        object.__setattr__(self, "order", choice(order, "order", ORDERS))

    def _remembered(self, game: Game, z: Array) -> State:
        return (z,)

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``: the iterate and the one before."""
        z, before = state
        pair, m = steps_of(self.step_size, k, z), game.dimensions[0]
        beta = steps_of(self.momentum, k, z)
        ahead = z + scaled(beta, z - before, m)
        if self.order == "simultaneous":
            return game.project(ahead - scaled(pair, game.field(ahead), m)), z
        x, y = slice(0, m), slice(m, None)
        if self.order == "alternating_xy":
            new_x = ahead[..., x] - pair[0] * game.field_x(ahead)
            seen = _joined(new_x + beta[0] * (new_x - z[..., x]), ahead[..., y])
            new_y = ahead[..., y] - pair[1] * game.field_y(seen)
        else:
            new_y = ahead[..., y] - pair[1] * game.field_y(ahead)
            seen = _joined(ahead[..., x], new_y + beta[1] * (new_y - z[..., y]))
            new_x = ahead[..., x] - pair[0] * game.field_x(seen)
        return game.project(_joined(new_x, new_y)), z

    def _polynomial(self, s: Any) -> list[Any]:
        a1, a2 = self._constant_pair(self.step_size)
        b1, b2 = self.momentum
        total, product, coupling = b1 + b2, b1 * b2, a1 * a2 * s
        # q_1 q_2 = top lambda^2 - middle lambda + product
        top, middle = 1 + total + product, total + 2 * product
        base = [1, -total - 2, product + 2 * total + 1, -2 * product - total, product]
        added = [coupling * top, -(coupling * middle), coupling * product]
        at = 2 if self.order == "simultaneous" else 1
        for i, term in enumerate(added):
            base[at + i] = base[at + i] + term
        return base


def _joined(x: Array, y: Array) -> Array:
    return np.concatenate([x, y], axis=-1)
