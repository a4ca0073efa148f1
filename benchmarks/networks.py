"""Whole networks and those of their layers that are no convolutions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.comparison import LayerTask, measure_layer
from benchmarks.harness import Case, Measurement, measure
from benchmarks.models import named_layers
from benchmarks.running import limited_threads
from evidence import Enclosure
from lipschitz.layers import Convolution, Layer
from lipschitz.network import Network

__all__ = ["OtherLayerTask", "NetworkTask", "Task", "measure_task", "network_tasks"]

_NORMS = {"l2": 2.0, "l1": 1.0, "linf": math.inf}


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


Task = LayerTask | OtherLayerTask | NetworkTask


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


def measure_task(task: Task) -> list[dict[str, Any]]:
    """Measurements of one task, as plain data."""
    if isinstance(task, LayerTask):
        return measure_layer(task)
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
    """The enclosure; and the plain product of the norms, which is found on the way."""
    from lipschitz.network_bound import NetworkBound, lipschitz_enclosure

    results: list[NetworkBound] = []
    # In a short time, few starts that are climbed far give more than many that are not.
    starts, steps = (8, 60) if task.search_seconds < 2.0 else (64, 300)

    def enclosure() -> Enclosure:
        results.append(
            lipschitz_enclosure(
                task.network,
                _NORMS[task.norm],
                rng=np.random.default_rng([task.seed, list(_NORMS).index(task.norm)]),
                starts=starts,
                steps=steps,
                time_limit=task.search_seconds,
            )
        )
        return results[-1].bound

    case = Case(
        group=task.group,
        instance="whole network",
        quantity=task.norm,
        method="ours",
        call=enclosure,
        claim="proved",
        note="composition",
    )
    ours = measure(case, repeats=0)
    product = dataclasses.replace(
        ours,
        method="product",
        lower=results[-1].upper.plain.lower,
        upper=results[-1].upper.plain.upper,
        seconds=(),
        note="product of the norms",
    )
    return [ours, product]
