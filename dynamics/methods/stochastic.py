"""Extragradient that sees one random term of a finite sum: the same twice, or two of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dynamics.finite_sums import FiniteSum
from dynamics.methods.base import Method, State, scaled, steps_of
from dynamics.protocols import Array, Game
from dynamics.step_rules import StepRule, as_step_rule
from evidence.validation import choice, generator

__all__ = ["StochasticExtragradient"]


@dataclass(frozen=True, slots=True, init=False)
class StochasticExtragradient(Method):
    """``w = z - gamma F_i(z)``, ``z+ = z - alpha F_j(w)`` with random terms ``i`` and ``j``.

    Parameters
    ----------
    step_size : number, pair, Schedule or function of the iteration
        ``alpha``.
    extrapolation : the same, optional
        ``gamma``; that of ``step_size`` if left out.
    sample : {"same", "independent"}
        Whether ``j = i`` or a second draw. With independent draws the method can diverge at every
        step size.
    rng : numpy.random.Generator
        Drawn from at every step, one index (or two) per start.

    References
    ----------
    Mishchenko et al., *Revisiting stochastic extragradient*, AISTATS 2020; Chavdarova et al.,
    *Reducing noise in GAN training with variance reduced extragradient*, NeurIPS 2019.

    Examples
    --------
    >>> game = FiniteSum([0.0, 2.0])
    >>> rng = np.random.default_rng(0)
    >>> same = StochasticExtragradient(0.1, sample="same", rng=rng)
    >>> other = StochasticExtragradient(0.1, sample="independent", rng=rng)
    >>> round(same.squared_growth(game), 4), round(other.squared_growth(game), 4)
    (0.9808, 1.0004)
    """

    step_size: StepRule
    extrapolation: StepRule
    sample: str
    rng: np.random.Generator

    gradient_calls: ClassVar[int] = 2

    def __init__(
        self,
        step_size: Any,
        extrapolation: Any = None,
        *,
        sample: str,
        rng: np.random.Generator,
    ) -> None:
        update = as_step_rule(step_size, "step_size")
        look = update if extrapolation is None else as_step_rule(extrapolation, "extrapolation")
        object.__setattr__(self, "step_size", update)
        object.__setattr__(self, "extrapolation", look)
        object.__setattr__(self, "sample", choice(sample, "sample", ("same", "independent")))
        object.__setattr__(self, "rng", generator(rng))

    def _rules(self) -> tuple[StepRule, ...]:
        return (self.step_size, self.extrapolation)

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``; draws one or two indices for each start."""
        (z,) = state
        terms, m = _terms(game), game.dimensions[0]
        first = self.rng.integers(len(terms.matrices), size=z.shape[:-1])
        second = first
        if self.sample == "independent":
            second = self.rng.integers(len(terms.matrices), size=z.shape[:-1])
        gamma, alpha = steps_of(self.extrapolation, k, z), steps_of(self.step_size, k, z)
        look = z - scaled(gamma, terms.sample_field(z, first), m)
        return (z - scaled(alpha, terms.sample_field(look, second), m),)

    def iteration_matrix(self, game: Game, k: int = 0) -> Array:
        """The matrix of the expected iteration, shape (m + n, m + n).

        It says nothing about convergence of the iterates: see :meth:`squared_growth`.
        """
        pairs, _ = self._matrices(_terms(game), k)
        return np.asarray(pairs.mean(axis=0))

    def squared_growth(self, game: Game, k: int = 0) -> float:
        """The largest factor by which one step can multiply ``E |z|^2``; a norm, not a rate.

        It is the top eigenvalue of ``E M^T M`` over the random iteration matrices ``M``; on
        scalar games every start has this factor.
        """
        _, second_moment = self._matrices(_terms(game), k)
        return float(np.linalg.eigvalsh(second_moment)[-1])

    def _matrices(self, terms: FiniteSum, k: int) -> tuple[Array, Array]:
        """All iteration matrices, equally likely, and the mean of ``M^T M``."""
        count, d, m = len(terms.matrices), sum(terms.dimensions), terms.dimensions[0]
        basis = np.eye(d)
        gamma, alpha = steps_of(self.extrapolation, k, basis), steps_of(self.step_size, k, basis)
        i, j = np.divmod(np.arange(count * count), count)
        if self.sample == "same":
            i = j = np.arange(count)
        starts = np.broadcast_to(basis, (len(i), d, d))
        index = np.broadcast_to(i[:, None], (len(i), d))
        look = starts - scaled(gamma, terms.sample_field(starts, index), m)
        index = np.broadcast_to(j[:, None], (len(j), d))
        moved = starts - scaled(alpha, terms.sample_field(look, index), m)
        matrices = np.swapaxes(moved, -1, -2)
        return matrices, np.asarray(np.einsum("kij,kil->jl", matrices, matrices) / len(i))


def _terms(game: Game) -> FiniteSum:
    if not isinstance(game, FiniteSum):
        raise TypeError(f"`game` must be a FiniteSum for random terms, got {type(game).__name__}")
    return game
