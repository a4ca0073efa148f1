"""Which weights clipping drives to its bound, and in how many steps."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from evidence.validation import positive_float
from gan_core.constraints import Clipping
from gan_core.data import Discrete
from gan_core.ensemble import Ensemble
from gan_core.experiments.clipping import trained_under_clipping
from gan_core.experiments.result import Experiment, Prediction, prediction
from gan_core.settings import wgan
from gan_core.streams import generator_of

__all__ = ["steps_to_bound", "weights_driven_to_bound"]

_EDGE = 0.99
_DECAY = 0.99  # of RMSProp's mean square, the default of `Optimizer`


def steps_to_bound(distance: float, step_size: float, decay: float) -> int:
    """Steps of RMSProp that move a weight by this distance while its gradient does not change.

    The k-th step is ``step_size / sqrt(1 - decay^k)``, whatever the gradient.

    Parameters
    ----------
    distance, step_size : float
        Positive.
    decay : float
        Of the mean square, below 1.

    Examples
    --------
    >>> steps_to_bound(0.01, 5e-5, 0.99), steps_to_bound(0.01, 5e-5, 0.9)
    (98, 191)
    """
    left, size = positive_float(distance, "distance"), positive_float(step_size, "step_size")
    if not 0.0 <= decay < 1.0:
        raise ValueError(f"`decay` must be at least 0 and below 1, got {decay:.17g}")
    steps = 0
    while left > 0.0:
        steps += 1
        left -= size / math.sqrt(1.0 - decay**steps)
    return steps


def weights_driven_to_bound(
    *, seeds: int = 32, steps: int = 250, first_seed: int = 0
) -> Experiment:
    """Clipping drives what the objective is linear in to ``+-c``, in a predicted number of steps.

    A linear critic ends with weight c where the data have the larger mean, -c where they have the
    smaller one, and *where it started* where the means agree: a coordinate that tells nothing is
    not driven to -c, as is sometimes said. The same holds of the last layer of any critic, and of
    weights from an input that does not vary.

    Parameters
    ----------
    seeds, steps, first_seed : int

    Returns
    -------
    Experiment
        For the linear critic, WGAN's own settings (RMSProp 5e-5, c = 0.01) from a random start
        inside the box. For critics of 2, 3 and 4 layers the share of the last layer's weights with
        ``|w| >= 0.99 c``; reported, the share in the hidden layers, of which no theory speaks.

    Examples
    --------
    >>> weights_driven_to_bound(seeds=4, steps=120).is_confirmed
    True
    """
    begin = time.process_time()
    chosen = range(first_seed, first_seed + seeds)
    predictions = _linear(chosen)
    reported = []
    for layers in (2, 3, 4):
        bound = 0.1
        critic = trained_under_clipping(layers, [bound], chosen, steps)
        shares = [(w.abs() >= _EDGE * bound).double().mean((1, 2)).numpy() for w in critic.weights]
        predictions.append(
            prediction(
                f"share of the last layer's weights at the bound, {layers} layers",
                1.0,
                shares[-1],
                tolerance=0.05,
                source="the objective is linear in the last layer",
            )
        )
        still = critic.weights[0][:, 1].abs() >= 0.5 * bound
        predictions.append(
            prediction(
                f"weights that have left their start, input that does not vary, {layers} layers",
                0.0,
                still.sum(1).double().numpy(),
                tolerance=0.0,
                source="their gradient is 0",
            )
        )
        reported += [
            (f"share at the bound, layer {layer} of {layers}", share)
            for layer, share in enumerate(shares[:-1], 1)
        ]
    return Experiment(
        name="weights_driven_to_bound",
        statement="Weights that the objective is linear in go to +-c in a predicted time.",
        predictions=tuple(predictions),
        reported=tuple(reported),
        seconds=time.process_time() - begin,
    )


def _linear(seeds: Sequence[int]) -> list[Prediction]:
    """Final weights of a linear critic, and when they arrived."""
    import torch

    settings = wgan(critic_hidden=(), dtype="float64", batch=1)
    bound = settings.constraint.bound if isinstance(settings.constraint, Clipping) else math.nan
    ensemble = Ensemble(
        settings,
        Discrete(points=[[1.0, -0.5, 3.0]]),
        seeds,
        generated=Discrete(points=[[0.0, 0.0, 3.0]]),
    )
    weights = ensemble.critic.weights[0][:, :, 0]
    for row, seed in enumerate(seeds):
        drawn = torch.rand(3, generator=generator_of(seed, "inside the box"), dtype=torch.float64)
        weights[row] = 0.9 * bound * (2.0 * drawn - 1.0)
    start = weights.numpy().copy()
    signs = np.array([1.0, -1.0])
    expected = [
        [steps_to_bound(bound - sign * w, settings.step_size, _DECAY) for sign, w in pairs]
        for pairs in (zip(signs, row, strict=False) for row in start)
    ]
    arrived = np.zeros((len(seeds), 2))
    for step in range(1, int(np.max(expected)) + 10):
        ensemble.critic_step()
        at_bound = weights[:, :2].numpy() == signs * bound
        arrived = np.where(at_bound & (arrived == 0.0), step, arrived)
    end = np.concatenate([np.tile(signs * bound, (len(seeds), 1)), start[:, 2:]], axis=1)
    return [
        prediction(
            "linear critic: distance of the weights from (c, -c, start)",
            0.0,
            np.abs(weights.numpy() - end).max(axis=1),
            tolerance=0.0,
            source="bang-bang: the sign of the difference of the means",
        ),
        prediction(
            "linear critic: steps to the bound, measured less predicted",
            0.0,
            np.abs(arrived - expected).max(axis=1),
            tolerance=0.0,
            source="sum of step_size / sqrt(1 - decay^k)",
        ),
    ]
