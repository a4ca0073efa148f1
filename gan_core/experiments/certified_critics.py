"""Critics with a certified constant beside the exact Wasserstein distance of finite measures."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from evidence import Enclosure
from evidence.rounding import mul_up
from gan_core.constraints import Bjorck, SpectralNormalization
from gan_core.critics import train_critics
from gan_core.data import Discrete
from gan_core.experiments.result import Experiment, prediction
from gan_core.measures import certified_transport, sample_transport
from gan_core.networks import StackedMLP
from gan_core.settings import wgan_gp

__all__ = ["certified_cone"]

_KANTOROVICH = "Kantorovich and Rubinstein: every 1-Lipschitz critic's value is at most W1"
_ANIL = "Anil, Lucas and Grosse 2019, Theorem 1: ReLU cannot keep the gradient's norm"


def certified_cone(*, seeds: int = 16, steps: int = 600, first_seed: int = 0) -> Experiment:
    """A critic's value over its certified constant is at most W1; sorting comes near, ReLU not.

    A point against 32 points on the unit circle around it: W1 is 1 and the optimal critic is the
    cone ``|x|``, whose gradient has norm 1 in all directions.

    Parameters
    ----------
    seeds, steps, first_seed : int

    Returns
    -------
    Experiment
        For spectrally normalised ReLU critics the constant is the largest slope over all linear
        regions (`lipschitz.exact_by_regions`), for orthonormal weights with MaxMin the product of
        `lipschitz.orthogonality_bound`. Reported: the values, whose size no theory predicts.

    Notes
    -----
    That a quotient never exceeds W1 holds after rounding, with no tolerance: outputs are evaluated
    in balls and the constant is an upper bound.

    Orthonormal weights come from an iteration in float32 that converges from below: what is above 1
    is rounding, at most some units of 6e-8 per layer.

    Two sorting layers can fold the plane twice, which makes the pyramid over a square,
    ``max(|x|, |y|)``, of value 0.901; further folds in the second layer, an octagon, 0.976.

    Examples
    --------
    >>> certified_cone(seeds=2, steps=200).is_confirmed
    True
    """
    begin = time.process_time()
    angles = 2.0 * math.pi * np.arange(32) / 32
    circle, center = np.stack([np.cos(angles), np.sin(angles)], axis=1), np.zeros((1, 2))
    exact = sample_transport(circle, center)
    shared = wgan_gp(critic_hidden=(32, 32), penalty=None, step_size=1e-2)
    constrained = {
        "spectral norm, ReLU": replace(shared, constraint=SpectralNormalization()),
        "Bjorck, MaxMin": replace(shared, constraint=Bjorck(), activation="max_min"),
    }
    values, quotients, constants = {}, {}, {}
    for name, settings in constrained.items():
        run = train_critics(
            settings,
            Discrete(points=circle),
            Discrete(points=center),
            seeds=range(first_seed, first_seed + seeds),
            steps=steps,
        )
        bounds = [_constant(run.critic, member) for member in range(seeds)]
        values[name] = run.dual_value[0]
        constants[name] = np.array([bound.upper for bound in bounds])
        quotients[name] = np.array(
            [
                certified_transport(run.critic, member, circle, center, bound)
                for member, bound in enumerate(bounds)
            ]
        )
    relu, sorting = values
    predictions = [
        prediction(
            f"value over certified constant, {name}",
            exact,
            quotient,
            tolerance=0.0,
            relation="at most",
            source=_KANTOROVICH,
        )
        for name, quotient in quotients.items()
    ]
    predictions += [
        prediction(
            f"certified constant, {sorting}",
            1.0,
            constants[sorting],
            tolerance=1e-6,
            relation="at most",
            source="orthonormal weights, and sorting is 1-Lipschitz",
        ),
        prediction(
            f"value, {sorting}",
            float(np.abs(circle).max(axis=1).mean()),
            values[sorting],
            tolerance=0.01,
            relation="at least",
            source="the pyramid over a square, which two sorting layers can make",
        ),
        prediction(
            f"value of {sorting} less that of {relu}",
            0.0,
            values[sorting] - values[relu],
            tolerance=0.0,
            relation="at least",
            source=_ANIL,
        ),
    ]
    return Experiment(
        name="certified_cone",
        statement="The value over a certified constant is at most W1; sorting critics come near.",
        predictions=tuple(predictions),
        reported=(
            *((f"value, {name}", value) for name, value in values.items()),
            *((f"certified constant, {name}", value) for name, value in constants.items()),
            *((f"value over constant, {name}", value) for name, value in quotients.items()),
        ),
        seconds=time.process_time() - begin,
    )


def _constant(critic: StackedMLP, member: int) -> Enclosure:
    from lipschitz import exact_by_regions, orthogonality_bound

    if critic.activation != "max_min":
        return exact_by_regions(critic.network(member)).bound
    upper = 1.0
    for weight in critic.weights:
        upper = mul_up(upper, orthogonality_bound(weight[member].double().numpy().T).norm.upper)
    return Enclosure.at_most(upper, "orthonormal weights")
