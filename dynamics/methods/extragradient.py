"""Extragradient: look ahead, then move by the field found there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dynamics.methods.base import ORDERS, Method, State, scaled, steps_of
from dynamics.methods.gradient import sweep
from dynamics.protocols import Array, Game
from dynamics.step_rules import Pair, StepRule, as_step_rule
from evidence.validation import choice

__all__ = ["Extragradient", "PastExtragradient"]

ALTERNATIONS = ("restarted", "phased")


@dataclass(frozen=True, slots=True, init=False)
class Extragradient(Method):
    """Extragradient ``w = z - gamma F(z)``, ``z+ = z - alpha F(w)``.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``alpha``, of the update.
    extrapolation : number, pair, Schedule or function of the iteration, optional
        ``gamma``, of the look-ahead; that of ``step_size`` if left out.
    order : {"simultaneous", "alternating_xy", "alternating_yx"}
        Who moves first.
    alternation : {"restarted", "phased"}, optional
        Needed for alternating orders, of which there are two that differ. ``restarted``: the
        first player makes its whole extragradient step, then the second one does, as if the
        iteration began at the new variable (Zhang and Yu). ``phased``: both players look ahead in
        turn, then both update in turn.

    Notes
    -----
    Zhang and Yu write ``beta1 = alpha2 gamma1`` and ``beta2 = alpha1 gamma2``; then the
    polynomials are ``(lambda - 1 + beta1 s)(lambda - 1 + beta2 s) + alpha1 alpha2 s``
    simultaneously and with ``lambda alpha1 alpha2 s`` as the last term if restarted,
    ``s = sigma^2``.

    References
    ----------
    Zhang and Yu, ICLR 2020, Theorem 3.2.

    Examples
    --------
    >>> Extragradient(0.5).characteristic_polynomial(1.0)
    array([ 1.    , -1.5   ,  0.8125])
    >>> Extragradient(0.5, order="alternating_xy")
    Traceback (most recent call last):
    ...
    ValueError: `alternation` must be one of 'restarted', 'phased', got None
    """

    step_size: StepRule
    extrapolation: StepRule
    order: str
    alternation: str | None

    gradient_calls: ClassVar[int] = 2

    def __init__(
        self,
        step_size: Any,
        extrapolation: Any = None,
        *,
        order: str = "simultaneous",
        alternation: str | None = None,
    ) -> None:
        update = as_step_rule(step_size, "step_size")
        look = update if extrapolation is None else as_step_rule(extrapolation, "extrapolation")
        object.__setattr__(self, "step_size", update)
        object.__setattr__(self, "extrapolation", look)
        object.__setattr__(self, "order", choice(order, "order", ORDERS))
        if order == "simultaneous":
            if alternation is not None:
                raise ValueError(
                    f"`alternation` = {alternation!r} says nothing in simultaneous order; leave it "
                    "out, or pass order='alternating_xy' or 'alternating_yx'"
                )
        else:
            choice(alternation, "alternation", ALTERNATIONS)
        object.__setattr__(self, "alternation", alternation)

    def _rules(self) -> tuple[StepRule, ...]:
        return (self.step_size, self.extrapolation)

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``."""
        (z,) = state
        alpha, gamma = steps_of(self.step_size, k, z), steps_of(self.extrapolation, k, z)
        if self.alternation == "restarted":
            return (_restarted(game, z, alpha, gamma, self.order),)
        look = sweep(game, z, z, gamma, self.order)
        return (sweep(game, z, look, alpha, self.order),)

    def _polynomial(self, s: Any) -> list[Any]:
        a1, a2 = self._constant_pair(self.step_size)
        g1, g2 = self._constant_pair(self.extrapolation)
        coupling = a1 * a2 * s
        if self.alternation == "phased":
            kept = 1 - (a1 * g2 if self.order == "alternating_xy" else a2 * g1) * s
            return [1, coupling * (1 - g1 * g2 * s) - kept - 1, kept]
        b1, b2 = a2 * g1 * s, a1 * g2 * s
        damping = (1 - b1) * (1 - b2)
        if self.order == "simultaneous":
            return [1, b1 + b2 - 2, damping + coupling]
        return [1, b1 + b2 + coupling - 2, damping]


def _restarted(game: Game, z: Array, alpha: Pair, gamma: Pair, order: str) -> Array:
    """One player's whole extragradient step after the other's."""
    m = game.dimensions[0]
    for player in (0, 1) if order == "alternating_xy" else (1, 0):
        look = game.project(z - scaled(gamma, game.field(z), m))
        if player == 0:
            x = z[..., :m] - alpha[0] * game.field_x(look)
            z = game.project(np.concatenate([x, z[..., m:]], axis=-1))
        else:
            y = z[..., m:] - alpha[1] * game.field_y(look)
            z = game.project(np.concatenate([z[..., :m], y], axis=-1))
    return z


@dataclass(frozen=True, slots=True, init=False)
class PastExtragradient(Method):
    """Popov's method ``w = z - eta F(w_prev)``, ``z+ = z - eta F(w)``: one gradient per iteration.

    Its look-ahead points are the iterates of :class:`OptimisticGDA` with the same ``eta``, so that
    both have the same eigenvalues.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``eta``.

    References
    ----------
    Gidel et al., *A variational inequality perspective on GANs*, ICLR 2019, section 3.2.

    Examples
    --------
    >>> from dynamics import Bilinear
    >>> PastExtragradient(0.5).iteration_matrix(Bilinear(1.0)).shape
    (4, 4)
    """

    step_size: StepRule

    gradient_calls: ClassVar[int] = 1
    memory: ClassVar[int] = 1

    def __init__(self, step_size: Any) -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))

    def _remembered(self, game: Game, z: Array) -> State:
        return (game.field(z),)

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``: the iterate and the field at the look-ahead point."""
        z, past = state
        pair, m = steps_of(self.step_size, k, z), game.dimensions[0]
        found = game.field(game.project(z - scaled(pair, past, m)))
        return game.project(z - scaled(pair, found, m)), found

    def _polynomial(self, s: Any) -> list[Any]:
        a, b = self._constant_pair(self.step_size)
        coupling = a * b * s
        return [1, -2, 1 + 4 * coupling, -4 * coupling, coupling]
