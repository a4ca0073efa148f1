"""How the gradient shrinks or grows from layer to layer of a deep critic, by its clip bound."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gan_core.data import Gaussian, SwissRoll
from gan_core.experiments.result import Experiment, prediction
from gan_core.gradients import critic_gradient
from gan_core.networks import StackedMLP
from gan_core.objectives import objective
from gan_core.optimizers import Optimizer
from gan_core.penalties import one_centered
from gan_core.streams import Stream, generator_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["layer_gradients"]

Array = NDArray[np.float64]

_WIDTH, _LAYERS, _BATCH = 32, 12, 64
_CLIPS = (0.01, 0.03, 0.1, 0.3)
_SOURCE = "one factor rho h c per layer"


def layer_gradients(*, seeds: int = 16, steps: int = 200, first_seed: int = 0) -> Experiment:
    """Clipping multiplies the backward signal by ``rho h c`` per layer; a gradient penalty by 1.

    Twelve layers of width 32 between a swiss roll and a normal law. The slope is that of ``log10``
    of the gradient's norm at the hidden layers, counted from the input: positive where gradients
    vanish on the way back, negative where they explode.

    Parameters
    ----------
    seeds, steps, first_seed : int

    Returns
    -------
    Experiment
        Random signs, before training: slope ``-log10(c sqrt(h / 2))``, so that the borderline is at
        the scale of He's initialisation, ``c = sqrt(2 / h) = 0.25``. After training the weights are
        no longer at random and the factor is ``rho h c``, at most ``h c``; no theory predicts rho,
        which is reported, but if it depends on c by less than a factor 2, then slopes fall by
        ``log10`` of the ratio of the bounds within ``log10 2``. Under a gradient penalty the slope
        is 0.

    Notes
    -----
    RMSProp's epsilon is 1e-30 here: with the usual 1e-8 the first layers of a critic clipped to
    0.01 do not move, since their gradients are smaller.

    Examples
    --------
    >>> layer_gradients(seeds=2, steps=100).is_confirmed
    True
    """
    begin = time.process_time()
    chosen = range(first_seed, first_seed + seeds)
    before, after, gains = _clipped(chosen, steps)
    predictions = [
        prediction(
            f"slope at random signs, c = {c:g}",
            -math.log10(c * math.sqrt(_WIDTH / 2.0)),
            before[row],
            tolerance=0.1,
            source="c sqrt(h / 2) per layer",
        )
        for row, c in enumerate(_CLIPS)
    ]
    for row, c in enumerate(_CLIPS):
        predictions.append(
            prediction(
                f"trained slope, c = {c:g}",
                -math.log10(_WIDTH * c),
                after[row],
                tolerance=1e-9,
                relation="at least",
                source="||W||_2 <= h c",
            )
        )
    predictions.append(
        prediction(
            f"fall of the trained slope from c = {_CLIPS[0]:g} to {_CLIPS[-1]:g}",
            math.log10(_CLIPS[-1] / _CLIPS[0]),
            after[0] - after[-1],
            tolerance=math.log10(2.0),
            source=_SOURCE,
        )
    )
    predictions.append(
        prediction(
            "trained slope under a gradient penalty",
            0.0,
            _penalized(chosen, steps),
            tolerance=0.1,
            source="Gulrajani et al. 2017, figure 1b",
        )
    )
    return Experiment(
        name="layer_gradients",
        statement="The backward signal of a clipped critic changes by a factor rho h c per layer.",
        predictions=tuple(predictions),
        reported=tuple((f"rho, c = {c:g}", gains[row]) for row, c in enumerate(_CLIPS)),
        seconds=time.process_time() - begin,
    )


def _clipped(seeds: Sequence[int], steps: int) -> tuple[Array, Array, Array]:
    """Slopes at random signs, trained slopes and rho, shape (clip bounds, seeds) each."""
    import torch

    members = [seed for _ in _CLIPS for seed in seeds]
    bound = torch.tensor(_CLIPS, dtype=torch.float64).repeat_interleave(len(seeds)).unsqueeze(1)
    critic = _critic(members)
    critic.parameters.sign_().mul_(bound)
    real, generated = _streams(members)
    before = _slopes(critic, real.next())
    optimizer = Optimizer(
        critic.parameters, kind="rmsprop", step_size=0.02 * bound[:, 0], epsilon=1e-30
    )
    for _ in range(steps):
        critic_gradient(critic, real.next(), generated.next(), objective("wgan"))
        optimizer.step(critic.gradient)
        critic.parameters.clamp_(-bound, bound)
    after = _slopes(critic, real.next())
    shape = len(_CLIPS), len(seeds)
    rho = 10.0 ** (-after) / (_WIDTH * bound[:, 0].numpy())
    return before.reshape(shape), after.reshape(shape), np.asarray(rho).reshape(shape)


def _penalized(seeds: Sequence[int], steps: int) -> Array:
    import torch

    critic = _critic(list(seeds))
    real, generated = _streams(list(seeds))
    uniform = [lambda generator, count: torch.rand(count, 1, generator=generator)] * len(seeds)
    mixes = Stream(list(seeds), "mix", uniform, batch=_BATCH, dtype=torch.float64)
    optimizer = Optimizer(critic.parameters, step_size=1e-3)
    for _ in range(steps):
        critic_gradient(
            critic,
            real.next(),
            generated.next(),
            objective("wgan"),
            penalty=one_centered(10.0),
            mix=mixes.next(),
        )
        optimizer.step(critic.gradient)
    return _slopes(critic, real.next())


def _critic(seeds: Sequence[int]) -> StackedMLP:
    sizes = (2, *(_WIDTH,) * (_LAYERS - 1), 1)
    critic = StackedMLP(sizes, members=len(seeds), dtype="float64")
    critic.initialize([generator_of(seed, "initial critic") for seed in seeds], "he")
    return critic


def _streams(seeds: Sequence[int]) -> tuple[Stream, Stream]:
    import torch

    roll, normal = SwissRoll(), Gaussian(mean=[0.0, 0.0], std=0.5)
    return (
        Stream(seeds, "real", [roll.sample] * len(seeds), batch=_BATCH, dtype=torch.float64),
        Stream(seeds, "generated", [normal.sample] * len(seeds), batch=_BATCH, dtype=torch.float64),
    )


def _slopes(critic: StackedMLP, x: Tensor) -> Array:
    """Of ``log10`` of the gradient's norm against the layer, shape (members,)."""
    import torch

    hidden = []
    value = x.clone().requires_grad_(True)
    for layer, (weight, bias) in enumerate(zip(critic.weights, critic.biases, strict=True)):
        value = torch.baddbmm(bias, value, weight)
        if layer < critic.depth - 1:
            value = critic.activate(value)
            hidden.append(value)
    gradients = torch.autograd.grad(value.sum(), hidden)
    norms = torch.stack([g.square().sum((1, 2)).sqrt() for g in gradients], dim=1).numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.polyfit(np.arange(len(hidden)), np.log10(norms).T, 1)[0]
    return np.asarray(slopes)
