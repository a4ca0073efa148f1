"""The training loop: history, checkpoints, resumption to the same bits, and a stop at NaN.

Presets of the two published algorithms are `gan_core.settings.wgan` and `wgan_gp`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evidence.execution import fingerprint
from evidence.files import replace_file
from evidence.validation import positive_int
from gan_core.data import Sampler
from gan_core.ensemble import Ensemble
from gan_core.settings import Settings

if TYPE_CHECKING:
    from gan_core.gradients import CriticStep

__all__ = ["TrainingRun", "train"]

Array = NDArray[np.float64]
Measure = Callable[[Ensemble], Array]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingRun:
    """A finished or stopped training.

    Parameters
    ----------
    iterations : array, shape (records,)
        Generator steps taken when each record was made.
    history : mapping from str to array, shape (records, conditions, seeds, ...)
        ``dual_value``, ``critic_loss`` and ``penalty`` of the last critic batch,
        ``generator_loss``, ``gradient_norms`` (of the critic's loss, per layer), ``at_bound``
        (share of the critic's parameters at the clip bound; nan without clipping), and every
        measure asked for.
    ensemble : Ensemble
    diagnosis : str
        Empty, or why training stopped early.

    Examples
    --------
    >>> from gan_core.data import Ring
    >>> from gan_core.settings import wgan_gp
    >>> small = wgan_gp(critic_hidden=(8,), generator_hidden=(8,), batch=16)
    >>> run = train(small, Ring(), seeds=[0, 1], iterations=4, every=2)
    >>> run.iterations, run.history["dual_value"].shape, run.diagnosis
    (array([2, 4]), (2, 1, 2), '')
    """

    iterations: NDArray[np.int64]
    history: Mapping[str, Array]
    ensemble: Ensemble
    diagnosis: str = ""


@dataclass(slots=True)
class _Records:
    """What has been recorded so far."""

    iterations: list[int] = field(default_factory=list)
    values: dict[str, list[Array]] = field(default_factory=dict)

    def add(self, iteration: int, row: Mapping[str, Array]) -> None:
        self.iterations.append(iteration)
        for name, value in row.items():
            self.values.setdefault(name, []).append(value)


def train(
    settings: Settings,
    data: Sampler | Sequence[Sampler],
    *,
    seeds: Sequence[int],
    iterations: int,
    every: int = 100,
    measures: Mapping[str, Measure] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TrainingRun:
    """Train ``len(seeds)`` GANs under every condition, together.

    Parameters
    ----------
    settings : Settings
    data : Sampler, or one for each condition
    seeds : sequence of int
        Distinct.
    iterations : int
        Generator steps in all, those of a resumed checkpoint included.
    every : int
        Iterations between records and checkpoints.
    measures : mapping from str to callable, optional
        More to record: ``Ensemble -> array of shape (members, ...)``.
    checkpoint : path, optional
        Written as a whole or not at all, at every record. If the file exists, training goes on
        from it and ends with the same bits as without the interruption.
    progress : callable, optional
        ``(done, total)``, called at every record.

    Returns
    -------
    TrainingRun

    Raises
    ------
    ValueError
        If an argument is out of range, or the checkpoint belongs to other settings, data, seeds or
        measures.

    Examples
    --------
    >>> from gan_core.data import Ring
    >>> from gan_core.settings import wgan
    >>> small = wgan(critic_hidden=(8,), generator_hidden=(8,))
    >>> run = train(small, Ring(), seeds=[0], iterations=1)
    >>> run.ensemble.steps  # n_critic
    5
    """
    positive_int(iterations, "iterations")
    positive_int(every, "every")
    chosen = dict(measures or {})
    ensemble = Ensemble(settings, data, seeds)
    records = _Records()
    configuration = _configuration(settings, data, seeds, every, chosen)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None:
        if not path.parent.is_dir():
            raise ValueError(f"`checkpoint`: the folder of {str(path)!r} does not exist; create it")
        if path.exists():
            _resume(path, configuration, ensemble, records)
    diagnosis = ""
    while ensemble.iterations < iterations and not diagnosis:
        count = min(every - ensemble.iterations % every, iterations - ensemble.iterations)
        row = _advance(ensemble, count, chosen)
        diagnosis = _diagnose(ensemble)
        records.add(ensemble.iterations, row)
        if path is not None and not diagnosis:
            _save(path, configuration, ensemble, records)
        if progress is not None:
            progress(ensemble.iterations, iterations)
    return TrainingRun(
        iterations=np.array(records.iterations, dtype=np.int64),
        history={name: np.stack(rows) for name, rows in records.values.items()},
        ensemble=ensemble,
        diagnosis=diagnosis,
    )


# ---- one record ---------------------------------------------------------------------------------
def _advance(ensemble: Ensemble, count: int, measures: Mapping[str, Measure]) -> dict[str, Array]:
    """Train for ``count`` iterations and measure after the last."""
    for _ in range(count):
        for _ in range(ensemble.settings.critic_steps):
            step = ensemble.critic_step()
        row = _of_critic(ensemble, step)
        row["generator_loss"] = ensemble.generator_step().double().cpu().numpy()
        ensemble.iterations += 1
    row.update({name: np.asarray(measure(ensemble)) for name, measure in measures.items()})
    shape = (ensemble.conditions, len(ensemble.seeds))
    return {name: value.reshape(*shape, *value.shape[1:]) for name, value in row.items()}


def _of_critic(ensemble: Ensemble, step: CriticStep) -> dict[str, Array]:
    import torch

    critic = ensemble.critic
    norms = [torch.linalg.vector_norm(g, dim=(1, 2)) for g in critic.weight_gradients]
    at_bound = critic.parameters.new_full((ensemble.members,), float("nan"))
    if ensemble.clip is not None:
        at_bound = (critic.parameters.abs() >= ensemble.clip).sum(1) / critic.parameter_count
    row = {
        "dual_value": step.real.mean(1) - step.generated.mean(1),
        "critic_loss": step.loss,
        "penalty": step.penalty,
        "gradient_norms": torch.stack(norms, dim=1),
        "at_bound": at_bound,
    }
    return {name: value.double().cpu().numpy() for name, value in row.items()}


def _diagnose(ensemble: Ensemble) -> str:
    """Which members hold numbers that are not finite, in one sentence."""
    nets = {"critic": ensemble.critic}
    if ensemble.generator is not None:
        nets["generator"] = ensemble.generator
    for name, net in nets.items():
        broken = ~net.parameters.isfinite().all(dim=1)
        if bool(broken.any()):
            member = int(broken.nonzero()[0, 0])
            seed = ensemble.member_seeds[member]
            condition = member // len(ensemble.seeds)
            return (
                f"stopped at iteration {ensemble.iterations}: the {name} of seed {seed} under "
                f"condition {condition} (of {int(broken.sum())} such members) holds NaN or inf; "
                "lower `step_size`, or constrain the critic"
            )
    return ""


# ---- checkpoints --------------------------------------------------------------------------------
def _configuration(
    settings: Settings,
    data: Sampler | Sequence[Sampler],
    seeds: Sequence[int],
    every: int,
    measures: Mapping[str, Measure],
) -> str:
    samplers = tuple(data) if isinstance(data, Sequence) else (data,)
    return fingerprint((settings, samplers, tuple(seeds), every, tuple(sorted(measures))))


def _save(path: Path, configuration: str, ensemble: Ensemble, records: _Records) -> None:
    import torch

    content = {
        "configuration": configuration,
        "ensemble": ensemble.state(),
        "iterations": records.iterations,
        "values": {name: torch.from_numpy(np.stack(rows)) for name, rows in records.values.items()},
    }
    replace_file(path, lambda stream: torch.save(content, stream))


def _resume(path: Path, configuration: str, ensemble: Ensemble, records: _Records) -> None:
    import torch

    try:
        content: Any = torch.load(path, weights_only=True)
        saved = content["configuration"]
    except Exception as error:
        raise ValueError(
            f"`checkpoint` {str(path)!r} cannot be read ({type(error).__name__}); it is no "
            "checkpoint of this program: name another file"
        ) from error
    if saved != configuration:
        raise ValueError(
            f"`checkpoint` {str(path)!r} belongs to other settings, data, seeds or measures; name "
            "another file, or train with those it was written under"
        )
    ensemble.load_state(content["ensemble"])
    records.iterations = list(content["iterations"])
    records.values = {name: list(rows.numpy()) for name, rows in content["values"].items()}
