"""What weight clipping does to the value of a critic: a ceiling, and a power of the bound."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gan_core.constraints import Clipping
from gan_core.data import Discrete
from gan_core.ensemble import Ensemble
from gan_core.experiments.result import Experiment, prediction
from gan_core.settings import wgan
from gan_core.streams import generator_of
from gan_core.theory import clipping_ceiling

if TYPE_CHECKING:
    from gan_core.networks import StackedMLP

__all__ = ["clipping_exponents", "trained_under_clipping"]

Array = NDArray[np.float64]

_WIDTH = 64


def trained_under_clipping(
    layers: int,
    clips: Sequence[float],
    seeds: Sequence[int],
    steps: int,
    *,
    width: int = _WIDTH,
    has_biases: bool = True,
) -> StackedMLP:
    """Critics between (1, 0) and the origin that start inside the box, alike for every bound.

    All parameters start uniform on ``[-c / 2, c / 2]``, with numbers that depend on the seed alone,
    and move by 2 % of c per step. A usual initialisation, clipped, puts most weights of a small
    box onto its faces before training begins.

    Parameters
    ----------
    layers : int
    clips : sequence of float
    seeds : sequence of int
    steps, width : int
    has_biases : bool
        Without biases a critic is homogeneous in its weights.

    Returns
    -------
    StackedMLP
        Condition by condition; leaky ReLU, since ReLU units that die early keep their weights.

    Examples
    --------
    >>> trained_under_clipping(2, [0.1], [0, 1], 5, width=4).members
    2
    """
    import torch

    ensemble = Ensemble(
        wgan(
            critic_hidden=(width,) * (layers - 1),
            constraint=Clipping(),
            activation="leaky_relu",
            batch=1,  # both laws are points
            conditions={"clip": tuple(clips), "step_size": [0.02 * c for c in clips]},
            dtype="float64",
        ),
        Discrete(points=[[1.0, 0.0]]),
        seeds,
        generated=Discrete(points=[[0.0, 0.0]]),
    )
    # The usual 1e-8 is a unit of its own beside gradients of size (h c)^(L-1).
    ensemble.critic_optimizer.epsilon = 1e-100
    critic = ensemble.critic
    count = critic.parameters.shape[1]
    for row, c in enumerate(clips):
        for column, seed in enumerate(seeds):
            drawn = torch.rand(
                count, generator=generator_of(seed, "inside the box"), dtype=torch.float64
            )
            critic.parameters[row * len(seeds) + column] = c * (drawn - 0.5)
    for step in range(steps + 1):
        if not has_biases:
            for bias in critic.biases:
                bias.zero_()
        if step < steps:
            ensemble.critic_step()
    return critic


def clipping_exponents(*, seeds: int = 32, steps: int = 250, first_seed: int = 0) -> Experiment:
    """A clipped critic reads W1 as at most ``h^(L-1) c^L``, and as a multiple of ``c^L``.

    For a unit shift along one axis the ceiling is exact, and no trained critic exceeds it. Without
    biases a critic is homogeneous of degree L in its weights, and training inside a box of another
    size is the same training in other units: values of three bounds lie on a line of slope L in
    logarithms.

    Parameters
    ----------
    seeds, steps, first_seed : int

    Returns
    -------
    Experiment
        Reported: the exponents *with* biases and the attained share of the ceiling. A bias, of size
        c, is added to sums of size up to h c^2: it decides the gates while ``h c`` is small, and
        a network whose gates are all decided alike attains more. The share falls with c, and with
        it the exponent below L, however long the training.

    Notes
    -----
    The bounds are powers of two apart, so that training without biases is equal up to the last
    bit, and exponents up to the rounding of logarithms; 1e-12.

    Examples
    --------
    >>> clipping_exponents(seeds=6, steps=120).is_confirmed
    True
    """
    begin = time.process_time()
    clips = (0.05, 0.1, 0.2)
    chosen = range(first_seed, first_seed + seeds)
    predictions, reported = [], []
    for layers in (2, 3, 4):
        for has_biases in (False, True):
            critic = trained_under_clipping(layers, clips, chosen, steps, has_biases=has_biases)
            values = _values(critic).reshape(len(clips), seeds)
            which = f"{layers} layers, {'with' if has_biases else 'no'} biases"
            shares = []
            for row, c in enumerate(clips):
                ceiling = clipping_ceiling(_WIDTH, layers, c)
                shares.append(values[row] / ceiling)
                predictions.append(
                    prediction(
                        f"value, {which}, c = {c:g}",
                        ceiling,
                        values[row],
                        tolerance=1e-12 * ceiling,
                        relation="at most",
                        source="h^(L-1) c^L",
                    )
                )
            slopes = np.polyfit(np.log(clips), np.log(np.maximum(values, 1e-300)), 1)[0]
            if has_biases:
                reported.append((f"exponent of c, {which}", slopes))
                reported += [
                    (f"attained share of the ceiling, {which}, c = {c:g}", share)
                    for c, share in zip(clips, shares, strict=True)
                ]
            else:
                predictions.append(
                    prediction(
                        f"exponent of c, {which}",
                        float(layers),
                        slopes,
                        tolerance=1e-12,
                        source="f is homogeneous of degree L in its weights",
                    )
                )
    return Experiment(
        name="clipping_exponents",
        statement="A clipped value is at most h^(L-1) c^L, and without biases a multiple of c^L.",
        predictions=tuple(predictions),
        reported=tuple(reported),
        seconds=time.process_time() - begin,
    )


def _values(critic: StackedMLP) -> Array:
    """``f(1, 0) - f(0, 0)``, shape (members,)."""
    import torch

    ends = torch.tensor([[1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    f = critic(ends.expand(critic.members, -1, -1))[..., 0]
    return np.asarray((f[:, 0] - f[:, 1]).numpy())
