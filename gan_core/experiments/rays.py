"""The gradient of a trained critic along the rays that mass is transported on, and off them."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gan_core.critics import train_critics
from gan_core.data import Discrete
from gan_core.experiments.result import Experiment, prediction
from gan_core.gradients import input_gradient
from gan_core.penalties import one_centered
from gan_core.settings import wgan_gp
from lipschitz.gradient_penalty import gradient_penalty_slope

if TYPE_CHECKING:
    from gan_core.networks import StackedMLP

__all__ = ["gradients_along_rays", "off_ray_disagreement"]

Array = NDArray[np.float64]

_LAW = "gradient-penalty law along the rays of Proposition 1 (Gulrajani et al. 2017)"
_AGREEMENT = 0.01
_INSIDE = np.linspace(0.1, 0.9, 9)


def gradients_along_rays(*, seeds: int = 32, steps: int = 800, first_seed: int = 0) -> Experiment:
    """Along transport rays the critic's gradient has norm ``1 + W1 / (2 lambda)``, not 1.

    Proposition 1 gives the optimal 1-Lipschitz critic a gradient of norm 1 that points from
    generated to real along every segment of the optimal coupling. What WGAN-GP trains is another
    problem: the direction is the same, the norm is the law's. Two shapes where the optimal segments
    are those the interpolates are drawn on: two points, and a point against a circle around it.

    Parameters
    ----------
    seeds, steps, first_seed : int

    Notes
    -----
    Norms are means over the rays. Two points: cosines of the worst place. Circle: 24 rays, cosines
    on average, since a network of linear pieces has no radial gradient; within 1 %.

    Examples
    --------
    >>> gradients_along_rays(seeds=6, steps=500).is_confirmed
    True
    """
    begin = time.process_time()
    weights = (1.0, 10.0)
    angles = 2.0 * math.pi * np.arange(24) / 24
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    origin = Discrete(points=[[0.0, 0.0]])
    predictions = []
    for name, ends, norm_tolerance, cosine in (
        ("two points", circle[:1], 1e-3, 1.0 - 1e-4),
        ("a point and a circle", circle, 0.02, 0.99),
    ):
        run = train_critics(
            wgan_gp(
                critic_hidden=(64, 64),
                step_size=5e-3,
                activation="leaky_relu",
                conditions={"coefficient": weights},
            ),
            Discrete(points=ends),
            origin,
            seeds=range(first_seed, first_seed + seeds),
            steps=steps,
        )
        norms, cosines = _along(run.critic, ends)
        aligned = cosines.min(axis=1) if len(ends) == 1 else cosines.mean(axis=1)
        for row, weight in enumerate(weights):
            rows = slice(row * seeds, (row + 1) * seeds)
            slope = gradient_penalty_slope(1.0, weight)
            predictions += [
                prediction(
                    f"gradient norm, {name}, lambda = {weight:g}",
                    slope,
                    norms[rows].mean(axis=1),
                    tolerance=norm_tolerance * slope,
                    source=_LAW,
                ),
                prediction(
                    f"cosine to the ray, {name}, lambda = {weight:g}",
                    cosine,
                    aligned[rows],
                    tolerance=0.0,
                    relation="at least",
                    source="Gulrajani et al. 2017, Proposition 1",
                ),
            ]
    return Experiment(
        name="gradients_along_rays",
        statement="Along transport rays the critic's gradient is (1 + W1 / (2 lambda)) times the "
        "ray's direction.",
        predictions=tuple(predictions),
        seconds=time.process_time() - begin,
    )


def _along(critic: StackedMLP, ends: Array) -> tuple[Array, Array]:
    """Norms and cosines on the rays from 0 to the ends, shape (members, places)."""
    import torch

    places = (ends[:, None, :] * _INSIDE[:, None]).reshape(-1, 2)
    rays = np.repeat(ends / np.linalg.norm(ends, axis=1, keepdims=True), len(_INSIDE), axis=0)
    x = torch.from_numpy(places).to(critic.parameters)
    gradient = input_gradient(critic, x.expand(critic.members, -1, -1).contiguous())
    g = gradient.double().cpu().numpy()
    norms = np.linalg.norm(g, axis=2)
    return norms, (g * rays).sum(axis=2) / np.maximum(norms, 1e-300)


def off_ray_disagreement(*, seeds: int = 64, steps: int = 800, first_seed: int = 0) -> Experiment:
    """Optimal critics agree on the rays, up to a constant, and on nothing else.

    Between two points the objective looks at the segment only: any critic that has the law's slope
    there is optimal. Two seeds are compared on it, where they differ by less than 0.01, and at
    places whose distance from it is its length, where they differ by more.

    Parameters
    ----------
    seeds : int
        Even: seeds are compared in pairs that share none.
    steps, first_seed : int

    Examples
    --------
    >>> off_ray_disagreement(seeds=12, steps=500).is_confirmed
    True
    """
    import torch

    begin = time.process_time()
    run = train_critics(
        wgan_gp(
            critic_hidden=(32, 32),
            step_size=5e-3,
            activation="leaky_relu",
            penalty=one_centered(1.0),
        ),
        Discrete(points=[[1.0, 0.0]]),
        Discrete(points=[[0.0, 0.0]]),
        seeds=range(first_seed, first_seed + 2 * (seeds // 2)),
        steps=steps,
    )
    on = np.stack([np.linspace(0.0, 1.0, 11), np.zeros(11)], axis=1)
    off = np.array([[0.0, 1.0], [0.5, 1.0], [1.0, 1.0], [0.0, -1.0], [0.5, -1.0], [1.0, -1.0]])
    places = torch.from_numpy(np.concatenate([on, off])).to(run.critic.parameters)
    with torch.no_grad():
        values = run.critic(places.expand(run.critic.members, -1, -1))[..., 0].double().numpy()
    values -= values[:, :1]
    spread = np.abs(values[0::2] - values[1::2])
    return Experiment(
        name="off_ray_disagreement",
        statement="The optimal critic is unique, up to a constant, on transport rays only.",
        predictions=(
            prediction(
                "largest difference of two seeds on the ray",
                0.0,
                spread[:, : len(on)].max(axis=1),
                tolerance=_AGREEMENT,
                source=_LAW,
            ),
            prediction(
                "largest difference of two seeds off the ray",
                _AGREEMENT,
                spread[:, len(on) :].max(axis=1),
                tolerance=0.0,
                relation="at least",
                source="no term of the objective looks there",
            ),
        ),
        seconds=time.process_time() - begin,
    )
