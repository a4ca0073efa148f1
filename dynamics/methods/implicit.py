"""Implicit methods: the proximal point method and the implicit midpoint rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dynamics.exact_linear_algebra import solve_in_ring
from dynamics.methods.base import Method, State, scaled, steps_of
from dynamics.protocols import Array, Game
from dynamics.step_rules import Pair, StepRule, as_step_rule
from evidence.verdict import NotCertified

__all__ = ["ImplicitMidpoint", "ProximalPoint", "resolvent"]

_NEWTON_STEPS = 50


@dataclass(frozen=True, slots=True, init=False)
class ProximalPoint(Method):
    """The proximal point method ``z+ = z - eta F(z+)``: implicit, stable for every positive step.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``eta``.

    Raises
    ------
    ValueError
        At a step, if the linear equation for ``z+`` is singular.
    NotCertified
        At a step, if Newton's method does not solve the equation of a nonlinear game.

    Notes
    -----
    ``(1 + a b s) lambda^2 - 2 lambda + 1``. One linear solve for linear games; Newton's method,
    to rounding, for others.

    References
    ----------
    Rockafellar, *Monotone operators and the proximal point algorithm*, SIAM J. Control Optim. 14
    (1976).

    Examples
    --------
    >>> ProximalPoint(1).characteristic_polynomial(2)
    array([ 5., -2.,  1.])
    """

    step_size: StepRule

    gradient_calls: ClassVar[int] = 1

    def __init__(self, step_size: Any) -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``."""
        (z,) = state
        return (resolvent(game, z, steps_of(self.step_size, k, z)),)

    def _polynomial(self, s: Any) -> list[Any]:
        a, b = self._constant_pair(self.step_size)
        return [1 + a * b * s, -2, 1]


@dataclass(frozen=True, slots=True, init=False)
class ImplicitMidpoint(Method):
    """The implicit midpoint rule ``z+ = z - eta F((z + z+) / 2)``: conserves ``|z|^2`` exactly.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``eta``.

    Notes
    -----
    On a bilinear game it is the Cayley transform of the field, an orthogonal matrix for equal
    steps: every eigenvalue has modulus 1, for every step.

    References
    ----------
    Hairer, Lubich and Wanner, *Geometric Numerical Integration*, 2nd ed., Theorem IV.2.1.

    Examples
    --------
    >>> ImplicitMidpoint(2).characteristic_polynomial(1)
    array([2., 0., 2.])
    """

    step_size: StepRule

    gradient_calls: ClassVar[int] = 1
    palindromic: ClassVar[bool] = True

    def __init__(self, step_size: Any) -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``."""
        (z,) = state
        a, b = steps_of(self.step_size, k, z)
        # w = z - (eta / 2) F(w) is the midpoint, and z+ = 2 w - z.
        return (game.project(2 * resolvent(game, z, (a / 2, b / 2)) - z),)

    def _polynomial(self, s: Any) -> list[Any]:
        a, b = self._constant_pair(self.step_size)
        quarter = a * b * s / 4
        return [1 + quarter, 2 * quarter - 2, 1 + quarter]


def resolvent(game: Game, z: Array, pair: Pair) -> Array:
    """The solution ``w`` of ``w + eta F(w) = z`` for each start.

    Raises
    ------
    ValueError
        If the linearised equation is singular.
    NotCertified
        If Newton's method has not converged after 50 steps.

    Examples
    --------
    >>> from dynamics import Bilinear
    >>> resolvent(Bilinear(1.0), np.array([1.0, 1.0]), (1.0, 1.0))
    array([0., 1.])
    """
    m, d = game.dimensions[0], sum(game.dimensions)
    identity = np.eye(d, dtype=int).astype(z.dtype)
    w = z
    for _ in range(_NEWTON_STEPS):
        residual = w + scaled(pair, game.field(w), m) - z
        J = game.jacobian(w[(0,) * (w.ndim - 1)] if game.is_linear else w)
        system = identity + np.swapaxes(scaled(pair, np.swapaxes(J, -1, -2), m), -1, -2)
        change = solve_in_ring(system, residual)
        w = w - change
        if game.is_linear:
            return game.project(w)
        # Newton's method converges quadratically: the next change would be rounding.
        if np.all(np.abs(change) <= 1e-9 * (1.0 + np.abs(w))):
            residual = w + scaled(pair, game.field(w), m) - z
            return game.project(w - solve_in_ring(system, residual))
    raise NotCertified(
        f"`step_size` = {pair} leaves the implicit equation unsolved after {_NEWTON_STEPS} Newton "
        "steps; use a smaller step",
        estimate=float(np.max(np.abs(change))),
    )
