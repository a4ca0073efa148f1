"""Critics trained between two fixed distributions: the workhorse of every check against theory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evidence.validation import positive_int
from gan_core.data import Discrete, Empirical, Sampler, Translated
from gan_core.ensemble import Ensemble
from gan_core.objectives import OBJECTIVES
from gan_core.settings import Settings
from gan_core.streams import generator_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from gan_core.networks import StackedMLP

__all__ = ["CriticRun", "train_critics"]

Array = NDArray[np.float64]

_EVALUATED = 8192
_FLOOR = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CriticRun:
    """Trained critics and what they say about the two distributions.

    Parameters
    ----------
    dual_value : array, shape (conditions, seeds)
        ``E f(real) - E f(generated)``, never with the penalty; positive for a critic that is large
        on data. Exact expectations where both distributions are finite, else means of 8192 fresh
        samples.
    loss : array, shape (conditions, seeds)
        The objective's critic loss under those expectations, without the penalty.
    history : array, shape (records, conditions, seeds)
        Dual value of the batch, every ``record`` steps.
    distance : array or None, shape (conditions, seeds)
        The dual value with the bias of the gradient penalty removed (`debiased_distance`); None
        without a penalty centred at 1. An estimate of W1, no bound.
    critic : StackedMLP
        The evaluated critics, condition by condition.
    ensemble : Ensemble

    Examples
    --------
    >>> from gan_core.data import Discrete
    >>> from gan_core.settings import wgan_gp
    >>> one = Discrete(points=[[0.0, 0.0]])
    >>> run = train_critics(wgan_gp(critic_hidden=(4,)), one, one, seeds=[0], steps=1)
    >>> run.dual_value  # the two distributions are the same
    array([[0.]])
    """

    dual_value: Array
    loss: Array
    history: Array
    distance: Array | None
    critic: StackedMLP
    ensemble: Ensemble


def train_critics(
    settings: Settings,
    real: Sampler | Sequence[Sampler],
    generated: Sampler | Sequence[Sampler],
    *,
    seeds: Sequence[int],
    steps: int,
    decay: bool = True,
    record: int = 50,
) -> CriticRun:
    """Train one critic per seed and condition between two fixed distributions.

    Parameters
    ----------
    settings : Settings
    real, generated : Sampler, or one for each condition
    seeds : sequence of int
    steps : int
    decay : bool
        Lower the step size linearly to a thousandth over the second half, for values with four
        digits.
    record : int

    Returns
    -------
    CriticRun

    Raises
    ------
    ValueError, TypeError
        As `Ensemble`.

    Notes
    -----
    In one dimension the two-sided penalty traps every critic that starts with the wrong sign: its
    slope would have to pass through 0, which is fined. Embed such data in the plane.

    Examples
    --------
    >>> from gan_core.data import Discrete
    >>> from gan_core.settings import wgan_gp
    >>> settings = wgan_gp(critic_hidden=(16,), step_size=0.02)
    >>> here, there = Discrete(points=[[0.0, 0.0]]), Discrete(points=[[1.0, 0.0]])
    >>> run = train_critics(settings, there, here, seeds=[0, 1], steps=400)
    >>> run.dual_value.round(3)  # W1 (1 + W1 / (2 lambda)), not W1 = 1
    array([[1.05, 1.05]])
    """
    steps, record = positive_int(steps, "steps"), positive_int(record, "record")
    ensemble = Ensemble(settings, real, seeds, generated=generated)
    shape = (ensemble.conditions, len(ensemble.seeds))
    history = []
    for step in range(steps):
        late = 2.0 * step / steps - 1.0
        taken = ensemble.critic_step(max(_FLOOR, 1.0 - max(0.0, late)) if decay else 1.0)
        if step % record == 0:
            value = taken.real.mean(1) - taken.generated.mean(1)
            history.append(value.double().cpu().numpy().reshape(shape))
    critic = ensemble.effective_critic()
    f_real, w_real = _outputs(ensemble, critic, ensemble.real, "evaluated real")
    f_fake, w_fake = _outputs(ensemble, critic, ensemble.generated or (), "evaluated generated")
    dual = (f_real * w_real).sum(1) - (f_fake * w_fake).sum(1)
    terms = OBJECTIVES[settings.objective]
    loss = (terms.real.value(f_real) * w_real).sum(1)
    loss = loss + (terms.generated.value(f_fake) * w_fake).sum(1)
    values = dual.cpu().numpy().reshape(shape)
    return CriticRun(
        dual_value=values,
        loss=loss.cpu().numpy().reshape(shape),
        history=np.asarray(history),
        distance=_distances(ensemble, values),
        critic=critic,
        ensemble=ensemble,
    )


def _distances(ensemble: Ensemble, values: Array) -> Array | None:
    from lipschitz.gradient_penalty import debiased_distance

    penalty = ensemble.settings.penalty
    if penalty is None or penalty.center != 1.0 or ensemble.settings.objective != "wgan":
        return None
    coefficients = np.full(values.shape, penalty.coefficient)
    if ensemble.coefficient is not None:
        coefficients = ensemble.coefficient.double().cpu().numpy().reshape(values.shape)
    if not (coefficients > 0.0).all():
        return None
    pairs = zip(values.flat, coefficients.flat, strict=True)
    return np.array([debiased_distance(max(v, 0.0), c) for v, c in pairs]).reshape(values.shape)


def _outputs(
    ensemble: Ensemble, critic: StackedMLP, samplers: Sequence[Sampler], purpose: str
) -> tuple[Tensor, Tensor]:
    """Outputs in float64 on points of every member, and the points' weights."""
    import torch

    drawn = [
        _points(sampler, generator_of(seed, purpose))
        for sampler in samplers
        for seed in ensemble.seeds
    ]
    parameters = critic.parameters
    x = torch.stack([points for points, _ in drawn]).to(parameters)
    with torch.no_grad():
        outputs = critic(x)[..., 0]
    return outputs.double().cpu(), torch.stack([weights for _, weights in drawn])


def _points(sampler: Sampler, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """All points of a finite distribution with their weights, else fresh samples."""
    import torch

    if isinstance(sampler, Discrete):
        return torch.from_numpy(np.asarray(sampler.points)), torch.from_numpy(sampler.probabilities)
    if isinstance(sampler, Empirical):
        rows = torch.from_numpy(np.asarray(sampler.points))
        return rows, torch.full((len(rows),), 1.0 / len(rows), dtype=torch.float64)
    if isinstance(sampler, Translated):
        points, weights = _points(sampler.sampler, generator)
        return points + torch.from_numpy(np.asarray(sampler.by)), weights
    points = sampler.sample(generator, _EVALUATED)
    return points, torch.full((_EVALUATED,), 1.0 / _EVALUATED, dtype=torch.float64)
