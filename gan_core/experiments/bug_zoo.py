"""Popular mistakes in gradient penalties, each with the wrong number that it must give.

Between two points at distance d in n dimensions a penalised critic has one slope s, and a mistake
in the penalty is another function of it, whose best slope is again known:

===============================  =====================================================
mistake                          slope
===============================  =====================================================
none                             ``1 + d / (2 lambda)``
norm over the whole batch of B   ``1 / sqrt(B) + d / (2 lambda B)``
gradient of the batch's mean     ``B + d B^2 / (2 lambda)``
norm of every entry              ``+-1 + n d / (2 lambda)``: either sign is an attractor
sum over the batch               ``1 + d / (2 lambda B)``
centred at 0                     ``d / (2 lambda)``
``(|g|^2 - 1)^2``                root of ``4 lambda s (s^2 - 1) = d``
normal instead of uniform t      ``1 + d / (2 lambda (Phi(1) - Phi(0)))``
penalty without its gradient     none: the value grows without bound
===============================  =====================================================

The value is ``s d`` throughout, and with the loss' sign swapped ``-s d``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gan_core.experiments.result import Experiment, prediction
from gan_core.gradients import critic_gradient
from gan_core.networks import StackedMLP
from gan_core.objectives import objective
from gan_core.optimizers import Optimizer
from gan_core.penalties import GradientPenalty
from gan_core.streams import Stream, generator_of
from lipschitz.gradient_penalty import gradient_penalty_slope

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["BUGS", "PenaltyBug", "penalty_bugs"]

_RELATIVE = 1e-3
_GROWN = 20.0

Array = NDArray[np.float64]
Fine = Callable[["Tensor"], "Tensor"]


def _mean(gradient: Tensor, *, norm: Tensor | None = None, center: float = 1.0) -> Tensor:
    lengths = gradient.norm(dim=2) if norm is None else norm
    return (lengths - center).square().mean(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PenaltyBug:
    """A mistake and what it makes of the value.

    Parameters
    ----------
    name : str
    fine : callable, Tensor (members, batch, size) -> Tensor (members,)
        What is minimised beside the loss, for ``lambda = 1``.
    slope : callable, (distance, coefficient, batch) -> float
        Predicted; infinite if the value grows without bound.
    signs : tuple of float
        More than one where several slopes, with this sign of their first term, attract.
    mix : {"uniform", "normal", "one", "coordinates"}
        How the interpolates are drawn: as they should, from the normal distribution, with one
        number for the whole batch, or with one for every coordinate of a sample.
    swapped : bool
        The loss has the wrong sign.
    relative : float
        Tolerance of the value. Where the best critic bends at the two points, which a network
        must find, 3 %: a third of the difference to the correct law.

    Examples
    --------
    >>> round(BUGS["norm over the whole batch"].slope(1.0, 10.0, 64), 4)
    0.1258
    """

    name: str
    fine: Fine
    slope: Callable[[float, float, int], float]
    signs: tuple[float, ...] = (1.0,)
    mix: str = "uniform"
    swapped: bool = False
    relative: float = _RELATIVE


def _quartic(d: float, weight: float, batch: int) -> float:
    real = [r.real for r in np.roots([4.0 * weight, 0.0, -4.0 * weight, -d]) if not r.imag]
    return float(max(real))


def _normal_share() -> float:
    """Probability that a standard normal variable lies in [0, 1]."""
    return 0.5 * math.erf(math.sqrt(0.5))


_CORRECT = _mean
_DIMENSIONS = 2

BUGS: dict[str, PenaltyBug] = {
    bug.name: bug
    for bug in (
        PenaltyBug(
            name="none",
            fine=_CORRECT,
            slope=lambda d, w, b: gradient_penalty_slope(d, w),
        ),
        PenaltyBug(
            name="norm over the whole batch",
            fine=lambda g: _mean(g, norm=g.flatten(1).norm(dim=1, keepdim=True)),
            slope=lambda d, w, b: 1.0 / math.sqrt(b) + d / (2.0 * w * b),
        ),
        PenaltyBug(
            name="gradient of the batch's mean",
            fine=lambda g: _mean(g / g.shape[1]),
            slope=lambda d, w, b: b + d * b * b / (2.0 * w),
        ),
        PenaltyBug(
            name="norm of every entry",
            fine=lambda g: _mean(g, norm=g.abs().flatten(1)),
            slope=lambda d, w, b: 1.0 + _DIMENSIONS * d / (2.0 * w),
            signs=(1.0, -1.0),
        ),
        PenaltyBug(
            name="sum over the batch",
            fine=lambda g: _mean(g) * g.shape[1],
            slope=lambda d, w, b: 1.0 + d / (2.0 * w * b),
        ),
        PenaltyBug(
            name="centred at 0",
            fine=lambda g: _mean(g, center=0.0),
            slope=lambda d, w, b: d / (2.0 * w),
        ),
        PenaltyBug(
            name="square of the squared norm less 1",
            fine=lambda g: _mean(g, norm=g.square().sum(2)),
            slope=_quartic,
        ),
        PenaltyBug(
            name="normal interpolates",
            fine=_CORRECT,
            slope=lambda d, w, b: 1.0 + d / (2.0 * w * _normal_share()),
            mix="normal",
            relative=0.03,
        ),
        PenaltyBug(
            name="one interpolation number for the batch",
            fine=_CORRECT,
            slope=lambda d, w, b: gradient_penalty_slope(d, w),
            mix="one",
        ),
        PenaltyBug(
            name="one interpolation number for every coordinate",
            fine=_CORRECT,
            slope=lambda d, w, b: gradient_penalty_slope(d, w),
            mix="coordinates",
        ),
        PenaltyBug(
            name="loss of the wrong sign",
            fine=_CORRECT,
            slope=lambda d, w, b: -gradient_penalty_slope(d, w),
            swapped=True,
        ),
        PenaltyBug(
            name="penalty without its gradient",
            fine=lambda g: _mean(g.detach()) + 0.0 * g.sum((1, 2)),
            slope=lambda d, w, b: math.inf,
        ),
    )
}
"""Every mistake by its name; the first is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stacked(GradientPenalty):
    """One rule for every group of members of a stack; derivatives by autograd."""

    rules: tuple[Fine, ...] = ()

    def value(self, gradient: Tensor, coefficient: Tensor | None = None) -> Tensor:
        import torch

        groups = gradient.chunk(len(self.rules))
        fines = [rule(g) for rule, g in zip(self.rules, groups, strict=True)]
        return self.coefficient * torch.cat(fines)

    def slope(self, gradient: Tensor, coefficient: Tensor | None = None) -> Tensor:
        import torch

        with torch.enable_grad():
            leaf = gradient.detach().requires_grad_(True)
            return torch.autograd.grad(self.value(leaf).sum(), leaf)[0]


def penalty_bugs(*, seeds: int = 32, steps: int = 1000, first_seed: int = 0) -> Experiment:
    """Every popular mistake in the penalty gives the wrong number that is predicted for it.

    A test of a penalty that accepts only ``d (1 + d / (2 lambda))`` therefore finds all but two of
    them: one interpolation number for a whole batch, or one for every coordinate, gives the same
    law between two points that differ in one coordinate.

    Parameters
    ----------
    seeds, steps, first_seed : int

    Examples
    --------
    >>> penalty_bugs(seeds=2, steps=800).is_confirmed
    True
    """
    begin = time.process_time()
    distance, weight, batch = 1.0, 10.0, 16
    values = _trained_values(distance, weight, batch, range(first_seed, first_seed + seeds), steps)
    predictions = []
    for bug, value in zip(BUGS.values(), values, strict=True):
        slope = bug.slope(distance, weight, batch)
        grows = math.isinf(slope)
        if len(bug.signs) > 1:
            value = np.where(value < 0.0, value + 2.0 * distance, value)
        predicted = _GROWN if grows else slope * distance
        predictions.append(
            prediction(
                f"value, mistake: {bug.name}",
                predicted,
                value,
                tolerance=0.0 if grows else bug.relative * abs(predicted),
                relation="at least" if grows else "equals",
                source="the best slope under that penalty",
            )
        )
    return Experiment(
        name="penalty_bugs",
        statement="Each popular mistake in a gradient penalty has its own wrong number.",
        predictions=tuple(predictions),
        seconds=time.process_time() - begin,
    )


def _trained_values(
    distance: float, weight: float, batch: int, seeds: Sequence[int], steps: int
) -> Array:
    """Values of critics trained under every mistake, shape (mistakes, seeds)."""
    import torch

    bugs = [bug for bug in BUGS.values() for _ in seeds]
    member_seeds = [seed for _ in BUGS for seed in seeds]
    critic = StackedMLP((_DIMENSIONS, 32, 32, 1), members=len(bugs), activation="leaky_relu")
    critic.initialize([generator_of(seed, "initial critic") for seed in member_seeds])
    optimizer = Optimizer(critic.parameters, step_size=5e-3)
    mixes = Stream(member_seeds, "mix", [_draw(bug.mix, batch) for bug in bugs], batch=batch)
    penalty = _Stacked(coefficient=weight, rules=tuple(bug.fine for bug in BUGS.values()))
    real = torch.zeros(len(bugs), batch, _DIMENSIONS)
    real[..., 0] = distance
    generated = torch.zeros_like(real)
    swapped = torch.tensor([bug.swapped for bug in bugs])
    # A loss of the wrong sign has the two distributions exchanged.
    real[swapped], generated[swapped] = generated[swapped], real[swapped]
    for step in range(steps):
        critic_gradient(
            critic, real, generated, objective("wgan"), penalty=penalty, mix=mixes.next()
        )
        optimizer.step(critic.gradient, min(1.0, 2.0 - 2.0 * step / steps))
    ends = torch.tensor([[distance, 0.0], [0.0, 0.0]]).expand(len(bugs), -1, -1)
    f = critic(ends)[..., 0].double().numpy()
    return np.asarray(f[:, 0] - f[:, 1]).reshape(len(BUGS), len(seeds))


def _draw(kind: str, batch: int) -> Callable[[torch.Generator, int], Tensor]:
    import torch

    def draw(generator: torch.Generator, count: int) -> Tensor:
        if kind == "coordinates":
            return torch.rand(count, _DIMENSIONS, generator=generator)
        if kind == "normal":
            numbers = torch.randn(count, 1, generator=generator)
        elif kind == "one":
            numbers = torch.rand(count // batch, 1, generator=generator)
            numbers = numbers.repeat_interleave(batch, dim=0)
        else:
            numbers = torch.rand(count, 1, generator=generator)
        return numbers.expand(count, _DIMENSIONS)

    return draw
