"""Whole networks and those of their layers that are no convolutions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.comparison import LayerTask, measure_layer
from benchmarks.harness import Case, Measurement, measure
from benchmarks.models import named_layers
from benchmarks.running import limited_threads
from benchmarks.sdp_rows import SdpTask, measure_program, random_network
from evidence import Enclosure
from lipschitz.layers import Convolution, Layer
from lipschitz.network import Network

if TYPE_CHECKING:
    from lipschitz.certificate import Certificate

__all__ = [
    "WHOLE",
    "NetworkTask",
    "OtherLayerTask",
    "Task",
    "exact_tasks",
    "measure_task",
    "network_tasks",
]

WHOLE = "whole network"

_NORMS = {"l2": 2.0, "l1": 1.0, "linf": math.inf}
_PATIENCE = 6.0
"""Time for all methods together over that of the search from below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherLayerTask:
    """A layer that is no convolution: its Lipschitz constant in l2."""

    group: str
    name: str
    layer: Layer
    repeats: int = 5
    threads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTask:
    """A whole network: its Lipschitz constant in one norm.

    Parameters
    ----------
    group : str
    network : Network
    norm : {"l2", "l1", "linf"}
    search_seconds : float
        How long the search from below may take.
    seed, threads : int
    """

    group: str
    network: Network
    norm: str
    search_seconds: float
    seed: int = 0
    threads: int = 1


Task = LayerTask | OtherLayerTask | NetworkTask | SdpTask


def network_tasks(
    name: str,
    network: Network,
    *,
    repeats: int,
    full: bool,
    threads: int,
    search_seconds: float,
    seed: int,
) -> list[Task]:
    """One task per layer, in the order of the network, then one per norm of the whole."""
    tasks: list[Task] = []
    for row, layer in named_layers(network).items():
        if isinstance(layer, Convolution):
            tasks.append(
                LayerTask(
                    group=name,
                    name=row,
                    layer=layer,
                    repeats=repeats,
                    full=full,
                    threads=threads,
                )
            )
        else:
            tasks.append(
                OtherLayerTask(group=name, name=row, layer=layer, repeats=repeats, threads=threads)
            )
    tasks += [
        NetworkTask(
            group=name,
            network=network,
            norm=norm,
            search_seconds=search_seconds,
            seed=seed,
            threads=threads,
        )
        for norm in _NORMS
    ]
    return tasks


def exact_tasks(*, full: bool, seed: int, threads: int) -> list[Task]:
    """Random networks whose constants can be had exactly, in l2."""
    sizes = {
        "random 2-64-64-1": (2, 64, 64, 1),
        "random 64-32-1": (64, 32, 1),
    }
    if full:
        sizes |= {"random 2-128-128-1": (2, 128, 128, 1), "random 784-256-1": (784, 256, 1)}
    return [
        NetworkTask(
            group=name,
            network=random_network(shape, seed),
            norm="l2",
            search_seconds=10.0 if full else 0.5,
            seed=seed,
            threads=threads,
        )
        for name, shape in sizes.items()
    ]


def measure_task(task: Task) -> list[dict[str, Any]]:
    """Measurements of one task, as plain data."""
    if isinstance(task, LayerTask):
        return measure_layer(task)
    if isinstance(task, SdpTask):
        return measure_program(task)
    with limited_threads(task.threads):
        if isinstance(task, OtherLayerTask):
            return [m.as_dict() for m in _measure_layer(task)]
        return [m.as_dict() for m in _measure_network(task)]


def _measure_layer(task: OtherLayerTask) -> Sequence[Measurement]:
    from lipschitz.layer_norms import layer_norm

    case = Case(
        group=task.group,
        instance=task.name,
        quantity="layer",
        method="ours",
        call=lambda: layer_norm(task.layer, 2),
        claim="proved",
    )
    return [measure(case, repeats=task.repeats)]


def _measure_network(task: NetworkTask) -> Sequence[Measurement]:
    """The certificate, and what every method on the way to it gave."""
    from lipschitz.certification import certify

    results: list[Certificate] = []

    def sandwich() -> Enclosure:
        results.append(
            certify(
                task.network,
                norm=_NORMS[task.norm],
                effort="default",
                time_limit=task.search_seconds * _PATIENCE,
                search_seconds=task.search_seconds,
                rng=np.random.default_rng([task.seed, list(_NORMS).index(task.norm)]),
            )
        )
        return results[-1].bound

    case = Case(
        group=task.group,
        instance=WHOLE,
        quantity=task.norm,
        method="ours",
        call=sandwich,
        claim="proved",
    )
    ours = measure(case, repeats=0)
    if not results:  # refused: the measurement carries the estimate
        return [ours]
    certificate = results[-1]
    ours = dataclasses.replace(ours, note=certificate.bound.method)
    listed = [ours]
    for attempt in certificate.attempts:
        if math.isnan(attempt.value):
            continue
        is_upper = attempt.side == "upper"
        listed.append(
            dataclasses.replace(
                ours,
                method=f"{attempt.method}, {attempt.side}",
                lower=0.0 if is_upper else attempt.value,
                upper=attempt.value if is_upper else math.inf,
                seconds=(attempt.seconds,),
                mebibytes=math.nan,
                note=attempt.note,
            )
        )
    return listed
