"""Multiplicative weights on simplices, plain and optimistic, in logarithmic variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dynamics.matrix_games import MatrixGame
from dynamics.methods.base import ORDERS, Method, State, scaled, steps_of
from dynamics.protocols import Array, Game, start_state
from dynamics.step_rules import StepRule, as_step_rule
from evidence.validation import choice

__all__ = ["MultiplicativeWeights", "OptimisticMultiplicativeWeights"]


@dataclass(frozen=True, slots=True, init=False)
class MultiplicativeWeights(Method):
    """Multiplicative weights ``x+ ~ x exp(-eta A y)``, ``y+ ~ y exp(eta A^T x)``.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``eta``.
    order : {"simultaneous", "alternating_xy", "alternating_yx"}
        Who moves first.

    Notes
    -----
    The state carries logarithms of the weights, in which the update is gradient descent-ascent:
    probabilities near the boundary lose nothing to rounding.

    References
    ----------
    Bailey and Piliouras, *Multiplicative weights update in zero-sum games*, EC 2018.

    Examples
    --------
    >>> pennies = MatrixGame([[1.0, -1.0], [-1.0, 1.0]])
    >>> method = MultiplicativeWeights(0.1)
    >>> state = method.initial_state(pennies, [0.5, 0.5, 0.5, 0.5])
    >>> method.step(pennies, state)[0]
    array([0.5, 0.5, 0.5, 0.5])
    """

    step_size: StepRule
    order: str

    gradient_calls: ClassVar[int] = 1
    memory: ClassVar[int] = 1

    def __init__(self, step_size: Any, *, order: str = "simultaneous") -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))
        object.__setattr__(self, "order", choice(order, "order", ORDERS))

    def initial_state(self, game: Game, z0: Any) -> State:
        """Strategies and their logarithms.

        Raises
        ------
        TypeError
            A game that is no matrix game.
        ValueError
            Starts that are not strictly inside the simplices.
        """
        return _inside(game, z0)

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``: strategies and logarithms of weights."""
        z, dual = state
        m = game.dimensions[0]
        pair = steps_of(self.step_size, k, z)
        if self.order == "simultaneous":
            dual = dual - scaled(pair, game.field(z), m)
            return _weights(dual, m), dual
        dual = dual.copy()
        for player in (0, 1) if self.order == "alternating_xy" else (1, 0):
            if player == 0:
                dual[..., :m] -= pair[0] * game.field_x(z)
            else:
                dual[..., m:] -= pair[1] * game.field_y(z)
            z = _weights(dual, m)
        return z, dual

    def iteration_matrix(self, game: Game, k: int = 0) -> Array:
        """Not linear: there is none.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(f"`{type(self).__name__}` is not linear in its state; iterate it")


@dataclass(frozen=True, slots=True, init=False)
class OptimisticMultiplicativeWeights(Method):
    """Multiplicative weights with the exponent ``-2 eta F(z) + eta F(z_prev)``.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``eta``.

    References
    ----------
    Daskalakis and Panageas, *Last-iterate convergence: zero-sum games and constrained min-max
    optimization*, ITCS 2019.

    Examples
    --------
    >>> pennies = MatrixGame([[1.0, -1.0], [-1.0, 1.0]])
    >>> method = OptimisticMultiplicativeWeights(0.1)
    >>> state = method.initial_state(pennies, [0.6, 0.4, 0.5, 0.5])
    >>> for k in range(5000):
    ...     state = method.step(pennies, state, k)
    >>> float(pennies.exploitability(state[0])) < 1e-6
    True
    """

    step_size: StepRule

    gradient_calls: ClassVar[int] = 1
    memory: ClassVar[int] = 2

    def __init__(self, step_size: Any) -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))

    def initial_state(self, game: Game, z0: Any) -> State:
        """Strategies, their logarithms and the field at the start."""
        z, dual = _inside(game, z0)
        return z, dual, game.field(z)

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``: strategies, logarithms, the field just used."""
        z, dual, past = state
        m = game.dimensions[0]
        found = game.field(z)
        dual = dual - scaled(steps_of(self.step_size, k, z), 2.0 * found - past, m)
        return _weights(dual, m), dual, found

    def iteration_matrix(self, game: Game, k: int = 0) -> Array:
        """Not linear: there is none.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(f"`{type(self).__name__}` is not linear in its state; iterate it")


def _inside(game: Game, z0: Any) -> State:
    if not isinstance(game, MatrixGame):
        raise TypeError(
            f"`game` must be a MatrixGame for multiplicative weights, got {type(game).__name__}"
        )
    z = start_state(game, z0)
    game.check_start(z)
    return z, np.log(z)


def _weights(dual: Array, m: int) -> Array:
    return np.concatenate([_softmax(dual[..., :m]), _softmax(dual[..., m:])], axis=-1)


def _softmax(logits: Array) -> Array:
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
