"""Overfitting critics: what a critic says of a finite sample of the law that it compares with."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gan_core.data import Empirical, Gaussian
from gan_core.experiments.result import Experiment, prediction
from gan_core.gradients import critic_gradient
from gan_core.measures import overfitting_gap
from gan_core.networks import StackedMLP
from gan_core.objectives import objective
from gan_core.optimizers import Optimizer
from gan_core.penalties import one_centered
from gan_core.streams import Stream, generator_of

if TYPE_CHECKING:
    import torch

__all__ = ["overfitted_critics", "sampling_floor"]

Array = NDArray[np.float64]

_SIZES = (25, 100, 400)
_REPEATS = 400


def sampling_floor(*, seeds: int = 32, first_seed: int = 0) -> Experiment:
    """W1 of ``n`` uniform points to their own law is ``(pi / 8) sqrt(2 / (pi n))`` on average.

    ``n F_n(u)`` is binomial, so that ``E |F_n(u) - u|`` is close to ``sqrt(2 u (1 - u) / (pi n))``,
    and the integral of ``sqrt(u (1 - u))`` is ``pi / 8``. A perfect critic of a perfect generator
    says that number on its training data, and 0 on fresh data.

    Parameters
    ----------
    seeds, first_seed : int
        A seed draws 400 data sets of each size, and measures means over them.

    Notes
    -----
    The other side is `divergences`: W1 to a grid of midpoints, and the critic of
    ``kantorovich_potential_1d``. Tolerances: W1 of one data set scatters by 0.45 of its mean at
    most, the mean of 400 by 0.0225, five of which are 0.12. A 1-Lipschitz function of a uniform
    number scatters by at most ``sqrt(1 / 12)``, the mean of ``100 n`` values by 0.029 / sqrt(n),
    five of which are half of the floor.

    Examples
    --------
    >>> sampling_floor(seeds=2).is_confirmed
    True
    """
    from divergences import wasserstein
    from divergences.plans1d import kantorovich_potential_1d

    begin = time.process_time()
    predictions = []
    for index, n in enumerate(_SIZES):
        floor = math.pi / 8.0 * math.sqrt(2.0 / (math.pi * n))
        grid = (np.arange(4 * n) + 0.5) / (4 * n)
        train, fresh = np.empty(seeds), np.empty(seeds)
        for row, seed in enumerate(range(first_seed, first_seed + seeds)):
            rng = np.random.default_rng([seed, index])
            data = rng.random((_REPEATS, n))
            train[row] = np.mean(wasserstein(data, np.broadcast_to(grid, (_REPEATS, 4 * n))))
            values = []
            for sample, other in zip(data[:100], rng.random((100, n)), strict=True):
                critic = kantorovich_potential_1d(sample, grid)
                values.append(np.mean(critic(other)) - np.mean(critic(grid)))
            fresh[row] = np.mean(values)
        predictions += [
            prediction(
                f"mean W1 of {n} points to their law",
                floor,
                train,
                tolerance=0.12 * floor,
                source="(pi / 8) sqrt(2 / (pi n))",
            ),
            prediction(
                f"perfect critic's mean value on fresh data, n = {n}",
                0.0,
                fresh,
                tolerance=0.5 * floor,
                source="independence of critic and data",
            ),
        ]
    return Experiment(
        name="sampling_floor",
        statement="A perfect critic reads a finite sample of the generator's own law as W1 > 0.",
        predictions=tuple(predictions),
        seconds=time.process_time() - begin,
    )


def overfitted_critics(*, seeds: int = 16, steps: int = 1000, first_seed: int = 0) -> Experiment:
    """Between a law and itself a critic's value on training data is not 0, on fresh data it is.

    A normal law in 8 dimensions on both sides: the true W1 is 0. Critics see ``n`` data points
    (each seed its own) and unlimited generated ones. Trained without end on finite data, a critic
    would reach W1 of those data, of order ``n^(-1/8)``.

    Parameters
    ----------
    seeds, steps, first_seed : int

    Returns
    -------
    Experiment
        Predicted: no value on fresh data; no gap between training and fresh data if every batch is
        fresh; a gap that falls with ``n``, for every seed.
        Reported: the gaps, which depend on networks and steps.

    Notes
    -----
    Means over 8192 fresh points of a critic of slope about 1 scatter by 0.011, differences of two
    by 0.016; the tolerance of numbers that are 0 in theory is 0.1.

    Examples
    --------
    >>> overfitted_critics(seeds=4, steps=200).is_confirmed
    True
    """
    begin = time.process_time()
    sizes = (64, 256, 1024, 0)  # 0: fresh data in every batch
    law = Gaussian(mean=np.zeros(8))
    chosen = range(first_seed, first_seed + seeds)
    train, fresh = _trained_values(law, sizes, chosen, steps)
    gap = train - fresh
    names = ["n = 64", "n = 256", "n = 1024", "fresh data"]
    predictions = [
        prediction(
            f"value on validation data, {name}",
            0.0,
            fresh[row],
            tolerance=0.1,
            source="W1 of a law to itself",
        )
        for row, name in enumerate(names)
    ]
    predictions.append(
        prediction(
            "gap with fresh data in every batch",
            0.0,
            gap[3],
            tolerance=0.1,
            source="W1 of a law to itself",
        )
    )
    predictions += [
        prediction(
            f"gap at {names[row]} less that at {names[row + 1]}",
            0.0,
            gap[row] - gap[row + 1],
            tolerance=0.0,
            relation="at least",
            source="E W1(P_n, P) falls with n",
        )
        for row in range(2)
    ]
    return Experiment(
        name="overfitted_critics",
        statement="A critic overfits: it reads its training data as W1 > 0, fresh data as 0.",
        predictions=tuple(predictions),
        reported=tuple((f"gap, {name}", gap[row]) for row, name in enumerate(names)),
        seconds=time.process_time() - begin,
    )


def _trained_values(
    law: Gaussian, sizes: tuple[int, ...], seeds: range, steps: int
) -> tuple[Array, Array]:
    """Values on the critics' own data and on fresh data, shape (sizes, seeds) each.

    `train_critics` gives the seeds of one condition the same distribution; here each has its own
    data set.
    """
    import torch

    wgan, penalty = objective("wgan"), one_centered(10.0)
    members = [(size, seed) for size in sizes for seed in seeds]
    data = [
        Empirical(points=law.sample(generator_of(seed, f"{size} rows"), size).numpy())
        if size
        else law
        for size, seed in members
    ]
    every = [seed for _, seed in members]
    critic = StackedMLP((law.size, 64, 64, 1), members=len(members), activation="leaky_relu")
    critic.initialize([generator_of(seed, "initial critic") for seed in every])
    optimizer = Optimizer(critic.parameters, step_size=2e-3)
    kind = torch.float32
    real = Stream(every, "real", [d.sample for d in data], batch=64, dtype=kind)
    made = Stream(every, "generated", [law.sample] * len(members), batch=64, dtype=kind)
    mix = Stream(every, "mix", [_uniform] * len(members), batch=64, dtype=kind)
    for step in range(steps):
        critic_gradient(critic, real.next(), made.next(), wgan, penalty=penalty, mix=mix.next())
        optimizer.step(critic.gradient, min(1.0, 2.0 - 2.0 * step / steps))

    def mean_outputs(purpose: str, own: bool) -> torch.Tensor:
        """Shape (members, 1)."""
        rows = []
        for member, (d, seed) in enumerate(zip(data, every, strict=True)):
            if own and isinstance(d, Empirical):
                points = torch.from_numpy(np.asarray(d.points))
            else:
                points = law.sample(generator_of(seed, purpose), 8192)
            with torch.no_grad():
                rows.append(critic.module(member)(points.to(kind)).double().mean())
        return torch.stack(rows).reshape(-1, 1)

    generated = mean_outputs("evaluated generated", False)
    validation = mean_outputs("validation", False)
    seen = mean_outputs("evaluated real", True)
    shape = (len(sizes), len(seeds))
    return (
        overfitting_gap(seen, generated).reshape(shape),
        overfitting_gap(validation, generated).reshape(shape),
    )


def _uniform(generator: torch.Generator, count: int) -> torch.Tensor:
    import torch

    return torch.rand(count, 1, generator=generator)
