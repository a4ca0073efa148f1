"""The misprinted objective of WGAN-GP: a penalty that is added under the maximum."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from gan_core.critics import train_critics
from gan_core.data import Discrete
from gan_core.ensemble import Ensemble
from gan_core.experiments.result import Experiment, prediction
from gan_core.gradients import input_gradient
from gan_core.penalties import GradientPenalty
from gan_core.settings import wgan_gp
from lipschitz.gradient_penalty import misprinted_penalty_slope

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AddedPenalty", "misprinted_sign"]

_SOURCE = "s d + lambda (s - 1)^2 falls below 1 - d / (2 lambda) and rises above"
_DISTANCE, _WEIGHT = 1.0, 10.0
_STARTS = (0.5, 0.94, 0.96, 1.5)
_DEAD, _EXPLODED = 0.02, 10.0


class AddedPenalty(GradientPenalty):
    """The penalty with the misprinted sign: what should be fined is rewarded.

    Examples
    --------
    >>> import torch
    >>> AddedPenalty(coefficient=10.0).value(torch.tensor([[[3.0, 4.0]]]))
    tensor([-160.])
    """

    __slots__ = ()

    def value(self, gradient: Tensor, coefficient: Tensor | None = None) -> Tensor:
        """Minus the penalty."""
        return -GradientPenalty.value(self, gradient, coefficient)

    def slope(self, gradient: Tensor, coefficient: Tensor | None = None) -> Tensor:
        """Minus its derivative."""
        return -GradientPenalty.slope(self, gradient, coefficient)


def misprinted_sign(*, seeds: int = 32, steps: int = 600, first_seed: int = 0) -> Experiment:
    """With ``+ lambda`` under the maximum a critic dies or explodes, by its slope at the start.

    A critic of slope s between two points at distance d climbs ``s d + lambda (|s| - 1)^2``, which
    has no maximum; but besides infinity the kink at 0 attracts, and between them lies the unstable
    slope ``1 - d / (2 lambda)``, 0.95 for ``d = 1`` and ``lambda = 10``. Critics are first trained
    to a slope on either side of it, then under the misprint. From a common initialisation, whose
    slopes are small, the critic dies in silence: "the wrong sign makes the critic explode" is false
    there.

    Parameters
    ----------
    seeds, steps, first_seed : int

    Notes
    -----
    Dead: slopes below 0.02 everywhere between the points. Exploded: a value above 10, where W1 is
    1 and the correct penalty gives 1.05.

    Examples
    --------
    >>> misprinted_sign(seeds=6, steps=400).is_confirmed
    True
    """
    import torch

    begin = time.process_time()
    threshold = misprinted_penalty_slope(_DISTANCE, _WEIGHT)
    chosen = range(first_seed, first_seed + seeds)
    real, generated = (Discrete(points=[[x, 0.0]]) for x in (_DISTANCE, 0.0))
    correct = wgan_gp(
        critic_hidden=(32, 32),
        activation="leaky_relu",
        batch=16,
        step_size=5e-3,
        # A penalty centred at 0 has the optimal slope d / (2 lambda).
        penalty=GradientPenalty(coefficient=1.0, center=0.0),
        conditions={"coefficient": [_DISTANCE / (2.0 * start) for start in _STARTS]},
    )
    prepared = train_critics(correct, real, generated, seeds=chosen, steps=steps).critic
    ensemble = Ensemble(
        wgan_gp(
            critic_hidden=(32, 32),
            activation="leaky_relu",
            batch=16,
            step_size=1e-3,
            penalty=AddedPenalty(coefficient=_WEIGHT),
        ),
        real,
        chosen,
        generated=[generated] * (len(_STARTS) + 1),
    )
    # The members of the last condition keep their initial parameters.
    ensemble.critic.parameters[: prepared.members] = prepared.parameters
    segment = torch.zeros(ensemble.members, 9, 2)
    segment[..., 0] = torch.linspace(0.1, 0.9, 9) * _DISTANCE
    initial = input_gradient(ensemble.critic, segment).norm(dim=2).amax(1)
    for step in range(steps):
        ensemble.critic_step(1.0 - step / steps)
    slopes = input_gradient(ensemble.critic, segment)[..., 0].double().numpy()
    slopes = slopes.reshape(len(_STARTS) + 1, seeds, -1)
    predictions = []
    for row, name in enumerate([*(f"from slope {s:g}" for s in _STARTS), "as initialised"]):
        explodes = row < len(_STARTS) and _STARTS[row] > threshold
        value = slopes[row].mean(axis=1) * _DISTANCE
        predictions.append(
            prediction(
                f"value, {name}" if explodes else f"largest slope, {name}",
                _EXPLODED if explodes else 0.0,
                value if explodes else np.abs(slopes[row]).max(axis=1),
                tolerance=0.0 if explodes else _DEAD,
                relation="at least" if explodes else "equals",
                source=_SOURCE,
            )
        )
    return Experiment(
        name="misprinted_sign",
        statement="Under + lambda, slopes below 1 - d / (2 lambda) die and steeper ones explode.",
        predictions=tuple(predictions),
        reported=(("slope as initialised", initial.double().numpy()[prepared.members :]),),
        seconds=time.process_time() - begin,
    )
