"""What weight clipping does to a critic: ceilings, exponents, weights at the bound."""

from __future__ import annotations

import time

import numpy as np

from gan_core.constraints import Clipping
from gan_core.critics import train_critics
from gan_core.data import Discrete
from gan_core.experiments.result import Experiment, prediction
from gan_core.measures import weights_at_bound
from gan_core.settings import wgan
from gan_core.theory import clipping_ceiling

__all__ = ["clipping_exponents"]

_WIDTH = 64


def clipping_exponents(*, seeds: int = 32, steps: int = 300, first_seed: int = 0) -> Experiment:
    """A clipped critic reads W1 as at most ``h^(L-1) c^L``, and as a multiple of ``c^L``.

    For a unit shift along one axis the ceiling is exact; no trained critic exceeds it, and the
    values of three clip bounds lie on a line of slope ``L`` in logarithms: the value has the unit
    of ``c^L``, not of W1.

    Parameters
    ----------
    seeds, steps, first_seed : int

    Examples
    --------
    >>> clipping_exponents(seeds=6, steps=150).is_confirmed
    True
    """
    begin = time.process_time()
    clips = (0.05, 0.1, 0.2)
    predictions, reported = [], []
    for layers in (2, 3, 4):
        run = train_critics(
            wgan(
                critic_hidden=(_WIDTH,) * (layers - 1),
                constraint=Clipping(),
                activation="leaky_relu",  # units that die early would scatter the exponents
                conditions={"clip": clips, "step_size": [0.02 * c for c in clips]},
                dtype="float64",
            ),
            Discrete(points=[[1.0, 0.0]]),
            Discrete(points=[[0.0, 0.0]]),
            seeds=range(first_seed, first_seed + seeds),
            steps=steps,
            decay=False,
        )
        for row, c in enumerate(clips):
            ceiling = clipping_ceiling(_WIDTH, layers, c)
            predictions.append(
                prediction(
                    f"value, {layers} layers, c = {c:g}",
                    ceiling,
                    run.dual_value[row],
                    tolerance=1e-12 * ceiling,
                    relation="at most",
                    source="h^(L-1) c^L",
                )
            )
        slopes = np.polyfit(np.log(clips), np.log(np.maximum(run.dual_value, 1e-300)), 1)[0]
        predictions.append(
            prediction(
                f"exponent of c, {layers} layers",
                float(layers),
                slopes,
                tolerance=0.5,  # the nearest whole number
                source="h^(L-1) c^L",
            )
        )
        share = np.concatenate(
            [
                weights_at_bound(run.critic, c)[row * seeds : (row + 1) * seeds]
                for row, c in enumerate(clips)
            ]
        )
        reported.append((f"share of weights at the bound, {layers} layers", share))
    return Experiment(
        name="clipping_exponents",
        statement="The value of a clipped critic is at most h^(L-1) c^L and grows like c^L.",
        predictions=tuple(predictions),
        reported=tuple(reported),
        seconds=time.process_time() - begin,
    )
