"""Training of the Dirac-GAN: one weight each, by the gradient code of every other training.

Data are the point 0, the generator's samples the point ``theta``, the critic is ``f(x) = w x``.
`dynamics.DiracGAN` writes its critic with the other sign, ``psi = -w``; states here are
``(theta, psi)``, so that the two can be laid side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.validation import as_float_array, choice, positive_float, positive_int
from gan_core.gradients import critic_gradient, generator_gradient
from gan_core.networks import StackedMLP
from gan_core.objectives import objective
from gan_core.optimizers import Optimizer
from gan_core.penalties import GradientPenalty

if TYPE_CHECKING:
    import torch

__all__ = ["ORDERS", "DiracPath", "dirac_starts", "train_dirac"]

Array = NDArray[np.float64]

ORDERS = ("simultaneous", "alternating")
"""Alternating: the generator answers the critic's new weight."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiracPath:
    """States of several Dirac-GANs along training.

    Parameters
    ----------
    steps : array of int, shape (records,)
    states : array, shape (records, members, 2)
        ``(theta, psi)``.

    Examples
    --------
    >>> path = train_dirac("wgan", [[3.0, 4.0]], step_size=0.1, steps=2)
    >>> path.radius[0]
    array([5.])
    """

    steps: NDArray[np.int64]
    states: Array

    @property
    def radius(self) -> Array:
        """Distance from the equilibrium, shape (records, members)."""
        return np.asarray(np.hypot(self.states[..., 0], self.states[..., 1]))


def dirac_starts(seeds: int, first_seed: int, smallest: float = 0.5, largest: float = 1.5) -> Array:
    """One start for each seed: a uniform direction, a radius uniform between two bounds.

    Examples
    --------
    >>> dirac_starts(3, 0).shape
    (3, 2)
    """
    drawn = np.array(
        [np.random.default_rng([seed, 0]).random(2) for seed in _seeds(seeds, first_seed)]
    )
    angle = 2.0 * np.pi * drawn[:, 0]
    radius = smallest + (largest - smallest) * drawn[:, 1]
    return np.asarray(radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))


def _seeds(seeds: int, first_seed: int) -> range:
    return range(first_seed, first_seed + positive_int(seeds, "seeds"))


def train_dirac(
    name: str,
    starts: ArrayLike,
    *,
    step_size: float | ArrayLike,
    steps: int,
    order: str = "simultaneous",
    penalty: GradientPenalty | None = None,
    coefficient: ArrayLike | None = None,
    clip: float | ArrayLike | None = None,
    kind: str = "sgd",
    critic_steps: int = 1,
    save: int = 1,
) -> DiracPath:
    """Train Dirac-GANs with the losses, gradients and optimisers of `gan_core`.

    Parameters
    ----------
    name : str
        Of the objective.
    starts : array_like, shape (members, 2)
        ``(theta, psi)``.
    step_size : float or array_like, shape (members,)
        Of both players.
    steps : int
        Generator steps.
    order : {"simultaneous", "alternating"}
    penalty : GradientPenalty, optional
        The critic's gradient is the same everywhere, so that it does not matter at which points.
    coefficient : array_like, shape (members,), optional
        Of the penalty, in place of the one it carries.
    clip : float or array_like, shape (members,), optional
        Bound of the critic's weight after every step.
    kind : {"sgd", "adam", "rmsprop"}
    critic_steps : int
        Before every generator step, in alternating order.
    save : int
        Steps between saved states; the first and the last are saved in any case.

    Returns
    -------
    DiracPath

    Raises
    ------
    ValueError
        If an argument is out of range, or several critic steps are to be simultaneous with one.

    Examples
    --------
    Simultaneous steps of WGAN spiral outwards by ``sqrt(1 + h^2)`` each:

    >>> path = train_dirac("wgan", [[1.0, 0.0]], step_size=0.5, steps=2)
    >>> path.states[:, 0].tolist()
    [[1.0, 0.0], [1.0, 0.5], [0.75, 1.0]]
    """
    import torch

    terms = objective(name)
    first = as_float_array(np.asarray(starts, dtype=float), "starts", ndim=2)
    members = len(first)
    choice(order, "order", ORDERS)
    if positive_int(critic_steps, "critic_steps") > 1 and order == "simultaneous":
        raise ValueError(
            f"`critic_steps` = {critic_steps} needs `order='alternating'`: steps that follow each "
            "other are not simultaneous"
        )
    generator, critic = (StackedMLP([1, 1], members=members, dtype="float64") for _ in range(2))
    theta, weight = generator.biases[0][:, 0, 0], critic.weights[0][:, 0, 0]
    theta.copy_(torch.from_numpy(first[:, 0]))
    weight.copy_(torch.from_numpy(-first[:, 1]))
    sizes = _per_member(step_size, members, "step_size")
    for_critic, for_generator = (
        Optimizer(net.parameters, kind=kind, step_size=sizes) for net in (critic, generator)
    )
    bound = None if clip is None else _per_member(clip, members, "clip")
    weights = None if coefficient is None else _per_member(coefficient, members, "coefficient")
    origin = torch.zeros(members, 1, 1, dtype=torch.float64)

    def of_critic() -> None:
        critic_gradient(
            critic,
            origin,
            theta.reshape(-1, 1, 1),
            terms,
            penalty=penalty,
            coefficient=weights,
            mix=origin,
        )
        critic.bias_gradients[0].zero_()  # the critic of the Dirac-GAN has no bias

    def move_critic() -> None:
        for_critic.step(critic.gradient)
        if bound is not None:
            weight.clamp_(-bound, bound)

    kept = [_state(theta, weight)]
    at = [0]
    for step in range(1, positive_int(steps, "steps") + 1):
        if order == "simultaneous":
            of_critic()
            generator_gradient(generator, critic, origin, terms)
            move_critic()
        else:
            for _ in range(critic_steps):
                of_critic()
                move_critic()
            generator_gradient(generator, critic, origin, terms)
        for_generator.step(generator.gradient)
        if step % positive_int(save, "save") == 0 or step == steps:
            kept.append(_state(theta, weight))
            at.append(step)
    return DiracPath(steps=np.array(at, dtype=np.int64), states=np.stack(kept))


def _per_member(value: float | ArrayLike, members: int, name: str) -> torch.Tensor:
    import torch

    numbers = np.broadcast_to(np.asarray(value, dtype=float), members).copy()
    positive_float(float(numbers.min()), name)
    return torch.from_numpy(numbers)


def _state(theta: torch.Tensor, weight: torch.Tensor) -> Array:
    return np.stack([theta.numpy(), -weight.numpy()], axis=1)
