"""The semidefinite bound beside general solvers on the same program, in CPU seconds."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import Measurement
from benchmarks.running import limited_threads
from lipschitz.network import Network
from lipschitz.readers.read_arrays import from_arrays

__all__ = ["GROUP", "SdpTask", "measure_program", "sdp_tasks"]

GROUP = "LipSDP's program, solved"
_SIZES = {
    "random 10-30-30-1": (10, 30, 30, 1),
    "random 2-10-30-20-2": (2, 10, 30, 20, 2),
    "random 10-50-50-1": (10, 50, 50, 1),
    "random 2-64-64-1": (2, 64, 64, 1),
}
_WITHOUT_PEERS = {
    "random 784-256-256-10": (784, 256, 256, 10),
    "random 64, 3000 hidden, 1": (64, 3000, 1),
    "random 64 wide, 64 deep": (64,) * 66,
}
_QUICK = ("random 10-30-30-1", "random 2-10-30-20-2")


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpTask:
    """One network for all solvers.

    Parameters
    ----------
    name : str
    sizes : tuple of int
    solvers : tuple of str
        Of cvxpy.
    """

    name: str
    sizes: tuple[int, ...]
    solvers: tuple[str, ...]
    seed: int = 0
    threads: int = 1
    group: str = GROUP


def sdp_tasks(*, full: bool, seed: int, threads: int) -> list[SdpTask]:
    """Small networks with both solvers; with ``full`` those that take the solvers minutes."""
    tasks = [
        SdpTask(name=n, sizes=s, solvers=("CLARABEL", "SCS"), seed=seed, threads=threads)
        for n, s in _SIZES.items()
        if full or n in _QUICK
    ]
    if full:
        tasks += [
            SdpTask(name=n, sizes=s, solvers=(), seed=seed, threads=threads)
            for n, s in _WITHOUT_PEERS.items()
        ]
    return tasks


def random_network(sizes: tuple[int, ...], seed: int) -> Network:
    """Normal weights of variance 1 / in, small biases, ReLU."""
    rng = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(sizes))
    weights = [rng.standard_normal((o, i)) / math.sqrt(i) for i, o in pairs]
    return from_arrays(weights, [0.1 * rng.standard_normal(o) for _, o in pairs])


def measure_program(task: SdpTask) -> list[dict[str, Any]]:
    """Our certified optimum, then what the solvers say and whether their multipliers prove it."""
    from benchmarks.memory import PeakMemory
    from lipschitz.sdp import feed_forward, semidefinite_bound

    network = random_network(task.sizes, task.seed)
    common: dict[str, Any] = {"group": task.group, "instance": task.name, "quantity": "program"}
    with limited_threads(task.threads):
        semidefinite_bound(random_network((2, 3, 2), 0))  # imports are not timed
        with PeakMemory() as peak:
            begin = time.process_time()
            ours = semidefinite_bound(network)
            seconds = time.process_time() - begin
        inflation = ours.bound.upper / ours.primal - 1.0 if ours.primal > 0.0 else math.nan
        rows = [
            Measurement(
                method="ours",
                claim="proved",
                lower=0.0,
                upper=ours.bound.upper,
                value=ours.primal,
                seconds=(seconds,),
                mebibytes=peak.mebibytes,
                note=f"{ours.method.removeprefix('semidefinite, ')}, gap {inflation:.0e}",
                **common,
            )
        ]
        net = feed_forward(network)
        for solver in task.solvers:
            rows.append(_peer(net, solver, common))
    return [row.as_dict() for row in rows]


def _peer(net: Any, solver: str, common: dict[str, Any]) -> Measurement:
    from benchmarks.sdp_peers import peer_is_proved, solve_lmi

    try:
        found = solve_lmi(net, solver)
    except ImportError:
        return Measurement(method=solver, claim="estimate", note="not installed", **common)
    verdict = "proved" if peer_is_proved(net, found) else "refused by the checker"
    return Measurement(
        method=solver,
        claim="estimate",
        value=found.value,
        seconds=(found.cpu_seconds,),
        note=f"{found.status}; {verdict}",
        **common,
    )
