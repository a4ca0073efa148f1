"""Optimistic gradients: correct the present gradient by the previous one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dynamics.methods.base import ORDERS, Method, State, scaled, steps_of
from dynamics.protocols import Array, Game
from dynamics.step_rules import Pair, Schedule, StepRule, as_pair, as_step_rule
from evidence.validation import choice

__all__ = ["OGD", "OptimisticGDA"]


@dataclass(frozen=True, slots=True, init=False)
class OGD(Method):
    """Optimistic gradient descent-ascent ``z+ = z - alpha F(z) + beta F(z_prev)``, two parameters.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``alpha``, the weight of the present gradient.
    correction : number, pair, Schedule or function of the iteration
        ``beta``, the weight of the previous gradient; may be 0 for one player.
    order : {"simultaneous", "alternating_xy", "alternating_yx"}
        Who moves first; the second player remembers the gradient it has *used*, which is the one
        at the first player's new variable.

    Notes
    -----
    Papers differ by a factor 2 in what they call the step size: :class:`OptimisticGDA` with
    ``eta`` is ``alpha = 2 eta``, ``beta = eta`` here, see :meth:`from_eta` and :attr:`eta`. The
    polynomial is ``lambda^2 (lambda - 1)^2 + (lambda a1 - b1)(lambda a2 - b2) s``, and in turn
    ``lambda`` times ``lambda (lambda - 1)^2 + (lambda a1 - b1)(lambda a2 - b2) s``.

    References
    ----------
    Zhang and Yu, ICLR 2020, Theorem 3.3.

    Examples
    --------
    >>> OGD(1.0, 0.5).characteristic_polynomial(1.0)
    array([ 1.  , -2.  ,  2.  , -1.  ,  0.25])
    >>> OGD(1.0, 0.5).eta, OGD.from_eta(0.5) == OGD(1.0, 0.5)
    (0.5, True)
    """

    step_size: StepRule
    correction: StepRule
    order: str

    gradient_calls: ClassVar[int] = 1
    memory: ClassVar[int] = 1

    def __init__(self, step_size: Any, correction: Any, *, order: str = "simultaneous") -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))
        if not isinstance(correction, Schedule) and not callable(correction):
            correction = as_pair(correction, "correction", zero=True)
        object.__setattr__(self, "correction", as_step_rule_or_zero(correction))
        object.__setattr__(self, "order", choice(order, "order", ORDERS))

    @classmethod
    def from_eta(cls, eta: Any, *, order: str = "simultaneous") -> OGD:
        """``alpha = 2 eta``, ``beta = eta``: the method of :class:`OptimisticGDA`."""
        a, b = as_pair(eta, "eta")
        return cls((2 * a, 2 * b), (a, b), order=order)

    @property
    def eta(self) -> Any:
        """The ``eta`` of :class:`OptimisticGDA`, a number or a pair.

        Raises
        ------
        ValueError
            If ``alpha`` is not ``2 beta``: the method has two parameters then.
        """
        alpha, beta = self._constant_pair(self.step_size), self._constant_pair(self.correction)
        if any(a != 2 * b for a, b in zip(alpha, beta, strict=True)):
            raise ValueError(
                f"`step_size` = {alpha} is not twice `correction` = {beta}, so that no single eta "
                "describes this method"
            )
        return beta[0] if beta[0] == beta[1] else beta

    def _rules(self) -> tuple[StepRule, ...]:
        return (self.step_size, self.correction)

    def _remembered(self, game: Game, z: Array) -> State:
        return (game.field(z),)

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``: the iterate and the gradients just used."""
        z, past = state
        pair = steps_of(self.step_size, k, z), steps_of(self.correction, k, z)
        return optimistic_sweep(game, z, past, pair, self.order)

    def _polynomial(self, s: Any) -> list[Any]:
        a1, a2 = self._constant_pair(self.step_size)
        b1, b2 = self._constant_pair(self.correction)
        coupling, cross, constant = a1 * a2 * s, (a1 * b2 + a2 * b1) * s, b1 * b2 * s
        if self.order == "simultaneous":
            return [1, -2, 1 + coupling, -cross, constant]
        return [1, coupling - 2, 1 - cross, constant]

    def _zero_roots(self) -> int:
        return 0 if self.order == "simultaneous" else 1


@dataclass(frozen=True, slots=True, init=False)
class OptimisticGDA(Method):
    """Optimistic gradient descent-ascent ``z+ = z - 2 eta F(z) + eta F(z_prev)``.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``eta``. In the two-parameter form :class:`OGD` it is ``alpha = 2 eta``, ``beta = eta``.
    order : {"simultaneous", "alternating_xy", "alternating_yx"}
        Who moves first.

    References
    ----------
    Daskalakis, Ilyas, Syrgkanis and Zeng, *Training GANs with optimism*, ICLR 2018.

    Examples
    --------
    >>> OptimisticGDA(0.5).as_ogd() == OGD(1.0, 0.5)
    True
    >>> OptimisticGDA(0.5).characteristic_polynomial(1.0)
    array([ 1.  , -2.  ,  2.  , -1.  ,  0.25])
    """

    step_size: StepRule
    order: str

    gradient_calls: ClassVar[int] = 1
    memory: ClassVar[int] = 1

    def __init__(self, step_size: Any, *, order: str = "simultaneous") -> None:
        object.__setattr__(self, "step_size", as_step_rule(step_size, "step_size"))
        object.__setattr__(self, "order", choice(order, "order", ORDERS))

    def as_ogd(self) -> OGD:
        """The same method in two parameters."""
        return OGD.from_eta(self._constant_pair(self.step_size), order=self.order)

    def _remembered(self, game: Game, z: Array) -> State:
        return (game.field(z),)

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``: the iterate and the gradients just used."""
        z, past = state
        eta = steps_of(self.step_size, k, z)
        return optimistic_sweep(game, z, past, ((2 * eta[0], 2 * eta[1]), eta), self.order)

    def _polynomial(self, s: Any) -> list[Any]:
        a, b = self._constant_pair(self.step_size)
        coupling = a * b * s
        if self.order == "simultaneous":
            return [1, -2, 1 + 4 * coupling, -4 * coupling, coupling]
        return [1, 4 * coupling - 2, 1 - 4 * coupling, coupling]

    def _zero_roots(self) -> int:
        return 0 if self.order == "simultaneous" else 1


def as_step_rule_or_zero(value: Any) -> StepRule:
    """A pair that may hold zeros, a schedule or a function, already checked."""
    return value  # type: ignore[no-any-return]


def optimistic_sweep(
    game: Game, z: Array, past: Array, pairs: tuple[Pair, Pair], order: str
) -> State:
    """``z - alpha F + beta F_prev`` in the given order, and the gradients that were used."""
    (alpha, beta), m = pairs, game.dimensions[0]
    if order == "simultaneous":
        found = game.field(z)
        new = z - scaled(alpha, found, m) + scaled(beta, past, m)
        return game.project(new), found
    first = order == "alternating_xy"
    found_x = game.field_x(z) if first else None
    if first:
        x = z[..., :m] - alpha[0] * found_x + beta[0] * past[..., :m]
        z = game.project(np.concatenate([x, z[..., m:]], axis=-1))
    found_y = game.field_y(z)
    y = z[..., m:] - alpha[1] * found_y + beta[1] * past[..., m:]
    z = game.project(np.concatenate([z[..., :m], y], axis=-1))
    if not first:
        found_x = game.field_x(z)
        x = z[..., :m] - alpha[0] * found_x + beta[0] * past[..., :m]
        z = game.project(np.concatenate([x, z[..., m:]], axis=-1))
    return z, np.concatenate([found_x, found_y], axis=-1)
