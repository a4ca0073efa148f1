"""Methods that use products with the Jacobian: consensus, symplectic adjustment, competition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dynamics.exact_linear_algebra import solve_in_ring
from dynamics.methods.base import Method, State, scaled, steps_of
from dynamics.protocols import Array, Game
from dynamics.step_rules import Pair, StepRule, as_pair, as_step_rule

__all__ = ["CompetitiveGradient", "ConsensusOptimization", "SymplecticGradientAdjustment"]


@dataclass(frozen=True, slots=True, init=False)
class ConsensusOptimization(Method):
    """Consensus optimisation ``z+ = z - eta (F + gamma J^T F)``: descend ``|F|^2`` as well.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``eta``.
    strength : number
        ``gamma``, the weight of ``grad |F|^2 / 2 = J^T F``.

    Notes
    -----
    On a bilinear game it is the extragradient method with ``gamma`` as its extrapolation, and the
    symplectic gradient adjustment. The cost of one product with ``J^T`` is counted as a gradient.

    References
    ----------
    Mescheder, Nowozin and Geiger, *The numerics of GANs*, NeurIPS 2017.

    Examples
    --------
    >>> ConsensusOptimization(0.5, 0.5).characteristic_polynomial(1.0)
    array([ 1.    , -1.5   ,  0.8125])
    """

    step_size: StepRule
    strength: Any

    gradient_calls: ClassVar[int] = 2

    def __init__(self, step_size: Any, strength: Any) -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))
        object.__setattr__(self, "strength", _single(strength, "strength"))

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``."""
        (z,) = state
        F, J = game.field(z), game.jacobian(z)
        return (_adjusted(game, z, F, J, steps_of(self.step_size, k, z), self.strength, k),)

    def _polynomial(self, s: Any) -> list[Any]:
        return _damped_rotation(self._constant_pair(self.step_size), self.strength, s)


@dataclass(frozen=True, slots=True, init=False)
class SymplecticGradientAdjustment(Method):
    """Symplectic gradient adjustment ``z+ = z - eta (F + lambda A^T F)``, ``A = (J - J^T) / 2``.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``eta``.
    strength : number
        ``lambda``; its sign is not aligned automatically.

    References
    ----------
    Balduzzi et al., *The mechanics of n-player differentiable games*, ICML 2018.

    Examples
    --------
    >>> SymplecticGradientAdjustment(0.5, 0.5).characteristic_polynomial(1.0)
    array([ 1.    , -1.5   ,  0.8125])
    """

    step_size: StepRule
    strength: Any

    gradient_calls: ClassVar[int] = 2

    def __init__(self, step_size: Any, strength: Any) -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))
        object.__setattr__(self, "strength", _single(strength, "strength"))

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``."""
        (z,) = state
        F, J = game.field(z), game.jacobian(z)
        turning = (J - np.swapaxes(J, -1, -2)) / 2
        return (_adjusted(game, z, F, turning, steps_of(self.step_size, k, z), self.strength, k),)

    def _polynomial(self, s: Any) -> list[Any]:
        return _damped_rotation(self._constant_pair(self.step_size), self.strength, s)


@dataclass(frozen=True, slots=True, init=False)
class CompetitiveGradient(Method):
    """Competitive gradient descent: both players solve the bilinear local game for their steps.

    ``z+ = z - eta (I + eta K)^-1 F`` where ``K`` holds the off-diagonal blocks of the Jacobian.
    On a bilinear game it is the proximal point method.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``eta``.

    References
    ----------
    Schaefer and Anandkumar, *Competitive gradient descent*, NeurIPS 2019, equation 4.

    Examples
    --------
    >>> CompetitiveGradient(1).characteristic_polynomial(2)
    array([ 5., -2.,  1.])
    """

    step_size: StepRule

    gradient_calls: ClassVar[int] = 2

    def __init__(self, step_size: Any) -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``."""
        (z,) = state
        pair, m = steps_of(self.step_size, k, z), game.dimensions[0]
        J = np.array(game.jacobian(z[(0,) * (z.ndim - 1)] if game.is_linear else z))
        J[..., :m, :m] = 0
        J[..., m:, m:] = 0
        identity = np.eye(J.shape[-1], dtype=int).astype(J.dtype)
        system = identity + np.swapaxes(scaled(pair, np.swapaxes(J, -1, -2), m), -1, -2)
        move = solve_in_ring(system, scaled(pair, game.field(z), m))
        return (game.project(z - move),)

    def _polynomial(self, s: Any) -> list[Any]:
        a, b = self._constant_pair(self.step_size)
        return [1 + a * b * s, -2, 1]


def _single(value: Any, name: str) -> Any:
    """One number that may be 0 or negative."""
    if isinstance(value, (tuple, list)):
        raise TypeError(f"`{name}` must be a single number, got {value!r}")
    return as_pair(value, name, zero=True)[0]


def _adjusted(
    game: Game, z: Array, F: Array, matrix: Array, pair: Pair, strength: Any, k: int
) -> Array:
    """``z - eta (F + strength matrix^T F)``."""
    weight = steps_of((strength, strength), k, z)[0]
    pulled = np.einsum("...ji,...j->...i", matrix, F)
    return game.project(z - scaled(pair, F + weight * pulled, game.dimensions[0]))


def _damped_rotation(pair: Pair, strength: Any, s: Any) -> list[Any]:
    a, b = pair
    first, second = a * strength * s, b * strength * s
    return [1, first + second - 2, (1 - first) * (1 - second) + a * b * s]
