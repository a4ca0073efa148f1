"""Anchored methods: pulled back to the start, ever less, for the last iterate's sake."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar

from dynamics.methods.base import Method, State, scaled, steps_of
from dynamics.methods.implicit import resolvent
from dynamics.protocols import Array, Game
from dynamics.step_rules import as_pair
from evidence.validation import choice, positive_float

__all__ = ["AnchoredExtragradient", "Halpern"]

_VARIANTS = ("EAG-C", "EAG-V", "FEG")


@dataclass(frozen=True, slots=True, init=False)
class AnchoredExtragradient(Method):
    """Extra anchored gradient (EAG-C, EAG-V) and fast extragradient (FEG).

    EAG looks ahead to ``w = z + (z0 - z)/(k + 2) - a_k F(z)`` and moves to
    ``z + (z0 - z)/(k + 2) - a_k F(w)``, with ``a_k`` constant (C) or decreasing (V). FEG, with
    ``b = 1/(k + 1)``, looks ahead to ``w = z + b (z0 - z) - (1 - b) a F(z)`` and moves to
    ``z + b (z0 - z) - a F(w)``.

    Parameters
    ----------
    step_size : number
        ``a``: at most ``1/(8 R)`` for EAG-C, below ``3/(4 R)`` at the start of EAG-V, ``1/R`` for
        FEG, to have the theorems' rates for an ``R``-Lipschitz field.
    variant : {"EAG-C", "EAG-V", "FEG"}
        Which one.
    lipschitz : number, optional
        ``R``; needed by EAG-V, whose steps depend on it.

    Notes
    -----
    The anchor is the start of each trajectory, which the state carries; it is not the origin.

    References
    ----------
    Yoon and Ryu, *Accelerated algorithms for smooth convex-concave minimax problems*, ICML 2021,
    section 2; Lee and Kim, *Fast extra gradient methods*, NeurIPS 2021, equation 3 with rho = 0.

    Examples
    --------
    >>> from dynamics import Bilinear
    >>> game, method = Bilinear(1.0, b=[2.0]), AnchoredExtragradient(1.0, variant="FEG")
    >>> state = method.initial_state(game, [1.0, 0.0])
    >>> for k in range(4):
    ...     state = method.step(game, state, k)
    >>> float(abs(game.field(state[0])).max()) < 1e-12  # F vanishes at every fourth step
    True
    """

    step_size: Any
    variant: str
    lipschitz: float | None

    gradient_calls: ClassVar[int] = 2
    memory: ClassVar[int] = 1

    def __init__(self, step_size: Any, *, variant: str, lipschitz: float | None = None) -> None:
        step = as_pair(step_size, "step_size")
        object.__setattr__(self, "step_size", step)
        object.__setattr__(self, "variant", choice(variant, "variant", _VARIANTS))
        if variant == "EAG-V":
            if lipschitz is None:
                raise ValueError("`lipschitz` must be given for EAG-V, whose steps depend on it")
            lipschitz = positive_float(lipschitz, "lipschitz")
            if step[0] != step[1] or not 0.0 < float(step[0]) * lipschitz < 1.0:
                raise ValueError(
                    f"`step_size` of EAG-V must be one number in (0, 1/lipschitz), got {step}"
                )
        object.__setattr__(self, "lipschitz", lipschitz)

    @property
    def is_stationary(self) -> bool:
        """False: the pull towards the start changes with the iteration."""
        return False

    @property
    def period(self) -> int | None:
        """None: the iteration never repeats."""
        return None

    def _remembered(self, game: Game, z: Array) -> State:
        return (z,)

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``: the iterate and the anchor."""
        z, anchor = state
        m = game.dimensions[0]
        pair = steps_of(self.step_size, k, z)
        if self.variant == "EAG-V":
            size = _decreasing_steps(float(self.step_size[0]) * (self.lipschitz or 1.0), k)
            size /= self.lipschitz or 1.0
            pair = (size, size)
        shift = 1 if self.variant == "FEG" else 2
        pulled = z + (anchor - z) / (k + shift)
        weight = 1 - _unit(z) / (k + 1) if self.variant == "FEG" else 1
        look = game.project(pulled - scaled((pair[0] * weight, pair[1] * weight), game.field(z), m))
        return game.project(pulled - scaled(pair, game.field(look), m)), anchor


@dataclass(frozen=True, slots=True, init=False)
class Halpern(Method):
    """Halpern's iteration on the proximal point map ``z+ = z0/(k+2) + (k+1)/(k+2) J(z)``.

    ``J`` is the resolvent of :class:`ProximalPoint` with the same step.

    Parameters
    ----------
    step_size : number or pair
        ``eta`` of the resolvent.

    References
    ----------
    Lieder, *On the convergence rate of the Halpern-iteration*, Optim. Lett. 15 (2021).

    Examples
    --------
    >>> from dynamics import Bilinear
    >>> method, game = Halpern(1.0), Bilinear(1.0)
    >>> method.step(game, method.initial_state(game, [1.0, 1.0]), 0)[0]
    array([0.5, 1. ])
    """

    step_size: Any

    gradient_calls: ClassVar[int] = 1
    memory: ClassVar[int] = 1

    def __init__(self, step_size: Any) -> None:
        object.__setattr__(self, "step_size", as_pair(step_size, "step_size"))

    @property
    def is_stationary(self) -> bool:
        """False: the pull towards the start changes with the iteration."""
        return False

    @property
    def period(self) -> int | None:
        """None: the iteration never repeats."""
        return None

    def _remembered(self, game: Game, z: Array) -> State:
        return (z,)

    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k``: the iterate and the anchor."""
        z, anchor = state
        moved = resolvent(game, z, steps_of(self.step_size, k, z))
        return moved + (anchor - moved) / (k + 2), anchor


def _unit(z: Array) -> Any:
    """One, in the arithmetic of ``z``."""
    return Fraction(1) if z.dtype == object else 1.0


def _decreasing_steps(first: float, k: int) -> float:
    """``a_k R`` of EAG-V for ``a_0 R = first`` (Yoon and Ryu 2021, equation 5)."""
    steps = _step_table(first)
    while len(steps) <= k:
        j, a = len(steps) - 1, steps[-1]
        steps.append(a * (1.0 - a * a / ((1.0 - a * a) * (j + 1) * (j + 3))))
    return steps[k]


@lru_cache(maxsize=16)
def _step_table(first: float) -> list[float]:
    """A table that grows as iterations ask for it."""
    return [first]
