"""Critics of images: the law of the gradient penalty in 64 dimensions."""

from __future__ import annotations

import time

import numpy as np

from gan_core.critics import train_critics
from gan_core.data import Translated
from gan_core.experiments.result import Experiment, prediction
from gan_core.images import digits
from gan_core.settings import wgan_gp
from gan_core.theory import penalized_value

__all__ = ["translated_digits"]


def translated_digits(*, seeds: int = 32, steps: int = 400, first_seed: int = 0) -> Experiment:
    """Digits against digits moved by a vector of length 2: the critic's value is 2.20, not 2.

    Every pixel of a digit is a coordinate. W1 of a translation is its length; at ``lambda = 10``
    the penalised value is ``2 (1 + 2 / 20)``.

    Parameters
    ----------
    seeds, steps, first_seed : int
        The direction is drawn from ``first_seed``, the same for all seeds.

    Examples
    --------
    >>> translated_digits(seeds=4, steps=300).is_confirmed
    True
    """
    begin = time.process_time()
    length, coefficient = 2.0, 10.0
    images = digits().sampler()
    direction = np.random.default_rng([first_seed, 1]).standard_normal(images.size)
    vector = length * direction / np.linalg.norm(direction)
    run = train_critics(
        wgan_gp(critic_hidden=(64, 64), step_size=2e-3, activation="leaky_relu"),
        Translated(sampler=images, by=vector),
        images,
        seeds=range(first_seed, first_seed + seeds),
        steps=steps,
    )
    value = penalized_value(length, coefficient)
    predictions = [
        prediction(
            "critic's value",
            value,
            run.dual_value[0],
            tolerance=0.005 * value,
            source="gradient-penalty law",
        )
    ]
    if run.distance is not None:
        predictions.append(
            prediction(
                "W1 with the bias removed",
                length,
                run.distance[0],
                tolerance=0.005 * length,
                source="inverse of the gradient-penalty law",
            )
        )
    return Experiment(
        name="translated_digits",
        statement="Digits moved by a vector of length 2 are at W1 = 2, and the critic says 2.20.",
        predictions=tuple(predictions),
        seconds=time.process_time() - begin,
    )
