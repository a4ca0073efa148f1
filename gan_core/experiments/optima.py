"""Trained discriminators reach the closed-form optima of their objectives."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from gan_core.critics import train_critics
from gan_core.data import Discrete
from gan_core.experiments.result import Experiment, prediction
from gan_core.objectives import objective
from gan_core.settings import wgan_gp

__all__ = ["discriminator_optima"]

Array = NDArray[np.float64]

_TOLERANCES = {"minimax": 0.005, "least_squares": 0.005, "hinge": 0.02}


def discriminator_optima(*, seeds: int = 32, steps: int = 600, first_seed: int = 0) -> Experiment:
    """The smallest loss is ``2 log 2 - 2 JS``, ``1/2 sum p q / (p + q)``, ``2 sum min(p, q)``.

    Two normal laws of unit variance, discretised to a grid, so that the loss of a trained
    discriminator is an exact expectation: never below the optimum, and within 0.5 % of it (2 % for
    the hinge loss, whose optimal critic jumps).

    Parameters
    ----------
    seeds, steps, first_seed : int

    Examples
    --------
    >>> discriminator_optima(seeds=4, steps=400).is_confirmed
    True
    """
    begin = time.process_time()
    grid = np.linspace(-4.0, 7.0, 45)
    shifts = (0.5, 1.5)
    p = _normal(grid, 0.0)
    real = Discrete(points=grid[:, None], weights=p)
    moved = [Discrete(points=grid[:, None], weights=_normal(grid, shift)) for shift in shifts]
    predictions = []
    for name, relative in _TOLERANCES.items():
        run = train_critics(
            wgan_gp(
                objective=name,
                penalty=None,
                critic_hidden=(32, 32),
                activation="leaky_relu",
                step_size=1e-2,
                batch=256,
                dtype="float32",
            ),
            real,
            moved,
            seeds=range(first_seed, first_seed + seeds),
            steps=steps,
        )
        optimum = objective(name).optimal_loss
        if optimum is None:
            continue
        for row, shift in enumerate(shifts):
            least = optimum(p, _normal(grid, shift))
            predictions += [
                prediction(
                    f"{name} loss at distance {shift:g}",
                    least,
                    run.loss[row],
                    tolerance=relative * least,
                    source=objective(name).meaning,
                ),
                prediction(
                    f"{name} loss at distance {shift:g} is never below the optimum",
                    least,
                    run.loss[row],
                    tolerance=1e-6,
                    relation="at least",
                    source=objective(name).meaning,
                ),
            ]
    return Experiment(
        name="discriminator_optima",
        statement="Discriminators trained to the end have the loss that theory predicts.",
        predictions=tuple(predictions),
        seconds=time.process_time() - begin,
    )


def _normal(grid: Array, mean: float) -> Array:
    """A unit normal on the grid, in sum 1."""
    density: Array = np.exp(-0.5 * (grid - mean) ** 2) / math.sqrt(2.0 * math.pi)
    density /= density.sum()
    return density
