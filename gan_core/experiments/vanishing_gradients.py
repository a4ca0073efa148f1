"""Theorem 2.4 of Arjovsky and Bottou: the better the discriminator, the smaller the gradient."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gan_core.experiments.result import Experiment, prediction
from gan_core.gradients import critic_gradient, generator_gradient, input_gradient
from gan_core.networks import StackedMLP
from gan_core.objectives import objective
from gan_core.optimizers import Optimizer
from gan_core.streams import generator_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["vanishing_gradient_bound"]

Array = NDArray[np.float64]

_BOUND = "Arjovsky and Bottou 2017, Theorem 2.4"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Course:
    """Along training, shape (records, seeds) each."""

    distance: Array
    saturating: Array
    nonsaturating: Array
    jacobian: Array


def vanishing_gradient_bound(
    *, seeds: int = 32, steps: int = 1500, first_seed: int = 0
) -> Experiment:
    """The nearer D is to its optimum, the less it teaches: ``|gradient| < M eps / (1 - eps)``.

    The gradient is that of ``E log(1 - D(g(z)))``. A discriminator learns two finite supports, 64
    points each, in two clouds apart, while the generator stays. ``eps = sup |D - D*| + sup
    |grad D|`` over the supports, where ``D*`` is 1 or 0 and flat, and ``M^2 = E ||J g(z)||^2``,
    with the Jacobian in the parameters, are computed exactly at each record, as are the gradients
    of both generator losses.

    Parameters
    ----------
    seeds, steps, first_seed : int

    Returns
    -------
    Experiment
        The largest ratio of gradient and bound among the records where the bound says something
        (``eps < 1``); the fall of the saturating gradient from its peak to the end, in decimal
        orders; the growth of the non-saturating one from start to end. Reported: the share of
        records with ``eps < 1``; in the others the theorem says nothing.

    References
    ----------
    Arjovsky and Bottou, *Towards principled methods for training generative adversarial networks*,
    ICLR 2017, Theorem 2.4 and Corollary 2.1.

    Examples
    --------
    >>> vanishing_gradient_bound(seeds=4, steps=800).is_confirmed
    True
    """
    begin = time.process_time()
    course = _train(range(first_seed, first_seed + seeds), steps)
    is_valid = course.distance < 1.0
    eps = np.where(is_valid, course.distance, 0.5)
    ratio = np.where(is_valid, course.saturating / (course.jacobian * eps / (1.0 - eps)), -1.0)
    fall = np.log10(course.saturating.max(axis=0) / course.saturating[-1])
    growth = np.log10(course.nonsaturating[-1] / course.nonsaturating[0])
    return Experiment(
        name="vanishing_gradient_bound",
        statement="The saturating gradient is below M eps / (1 - eps) and vanishes with eps.",
        predictions=(
            prediction(
                "largest gradient over its bound, where eps < 1",
                1.0,
                ratio.max(axis=0),
                tolerance=1e-9,
                relation="at most",
                source=_BOUND,
            ),
            prediction(
                "records where eps < 1",
                1.0,
                is_valid.sum(axis=0),
                tolerance=0.0,
                relation="at least",
                source="the discriminator learns disjoint supports to any accuracy (Theorem 2.1)",
            ),
            prediction(
                "orders of magnitude that the saturating gradient falls",
                1.7,
                fall,
                tolerance=0.0,
                relation="at least",
                source=_BOUND,
            ),
            prediction(
                "orders of magnitude that the non-saturating gradient grows",
                1.0,
                growth,
                tolerance=0.0,
                relation="at least",
                source="its factor is 1 - D instead of D",
            ),
        ),
        reported=(
            ("share of records where eps < 1", is_valid.mean(axis=0)),
            ("last eps", course.distance[-1]),
        ),
        seconds=time.process_time() - begin,
    )


def _train(seeds: Sequence[int], steps: int, record: int = 25) -> _Course:
    import torch

    points = 64
    generator = _network((2, 16, 2), seeds, "initial generator")
    noise = _normal(seeds, "noise", points)
    with torch.no_grad():
        generated = generator(noise)
        center = generated.mean(1, keepdim=True)
        real = center + torch.tensor([2.0, 0.0], dtype=center.dtype)
        real = real + 0.1 * _normal(seeds, "data", points)
    critic = _network((2, 32, 32, 1), seeds, "initial critic")
    optimizer = Optimizer(critic.parameters, step_size=5e-3)
    rows = []
    for step in range(steps + 1):
        if step % record == 0:
            rows.append(
                (
                    _distance_to_optimum(critic, real, generated),
                    _gradient_norm(generator, critic, noise, "minimax"),
                    _gradient_norm(generator, critic, noise, "nonsaturating"),
                )
            )
        critic_gradient(critic, real, generated, objective("minimax"))
        optimizer.step(critic.gradient)
    distance, saturating, growing = (np.stack(column) for column in zip(*rows, strict=True))
    return _Course(
        distance=distance,
        saturating=saturating,
        nonsaturating=growing,
        jacobian=_root_mean_square_jacobian(generator, noise),
    )


def _network(sizes: Sequence[int], seeds: Sequence[int], purpose: str) -> StackedMLP:
    net = StackedMLP(sizes, members=len(seeds), activation="leaky_relu", dtype="float64")
    net.initialize([generator_of(seed, purpose) for seed in seeds])
    return net


def _normal(seeds: Sequence[int], purpose: str, count: int) -> Tensor:
    import torch

    draws = [
        torch.randn(count, 2, generator=generator_of(seed, purpose), dtype=torch.float64)
        for seed in seeds
    ]
    return torch.stack(draws)


def _gradient_norm(generator: StackedMLP, critic: StackedMLP, noise: Tensor, name: str) -> Array:
    generator_gradient(generator, critic, noise, objective(name))
    return np.asarray(generator.gradient.norm(dim=1).numpy())


def _distance_to_optimum(critic: StackedMLP, real: Tensor, generated: Tensor) -> Array:
    """``sup |D - D*| + sup |grad D|`` over both supports."""
    import torch

    x = torch.cat([real, generated], dim=1)
    f = critic(x)[..., 0]
    error = torch.cat([(-f[:, : real.shape[1]]).sigmoid(), f[:, real.shape[1] :].sigmoid()], dim=1)
    steepness = f.sigmoid() * (-f).sigmoid() * input_gradient(critic, x).norm(dim=2)
    return np.asarray((error.amax(1) + steepness.amax(1)).numpy())


def _root_mean_square_jacobian(generator: StackedMLP, noise: Tensor) -> Array:
    """``(E ||J_theta g(z)||^2)^(1/2)`` in the spectral norm, shape (members,).

    A copy of the generator for every ``z``, judged by a critic that is one coordinate.
    """
    import torch

    members, points = noise.shape[:2]
    copies = StackedMLP(
        generator.sizes,
        members=members * points,
        activation=generator.activation,
        slope=generator.slope,
        dtype="float64",
    )
    copies.parameters.copy_(generator.parameters.repeat_interleave(points, dim=0))
    rows = []
    for coordinate in range(2):
        critic = StackedMLP(
            (2, 1), members=copies.members, activation="leaky_relu", dtype="float64"
        )
        critic.weights[0][:, coordinate] = 1.0
        generator_gradient(copies, critic, noise.reshape(-1, 1, 2), objective("wgan"))
        rows.append(copies.gradient.clone())
    norms = torch.linalg.matrix_norm(torch.stack(rows, dim=1), ord=2)
    return np.asarray(norms.square().reshape(members, points).mean(1).sqrt().numpy())
