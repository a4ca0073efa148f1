"""The rows of the training benchmark: seeds times critic steps per CPU second, beside two loops."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import Measurement
from benchmarks.running import limited_threads

__all__ = ["GanTask", "measure_training", "tasks"]

REFERENCE = "reference loop"
CAREFUL = "careful loop"
_CRITIC_STEPS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class GanTask:
    """What one worker measures.

    Parameters
    ----------
    name : str
    width, batch, members : int
        Three hidden layers of ``width``; ``members`` seeds in one stack.
    faster : tuple of (str, float)
        What is asked: a peer, and how many times fewer CPU seconds we should take.
    device : str
    fast_product : bool
        Whether float32 products may use the faster library (``set_float32_matmul_precision``).
    slices : int
        Rounds in which all methods take turns.
    seconds : float
        CPU time of one method in one round.
    """

    name: str
    width: int
    batch: int
    members: int
    faster: tuple[tuple[str, float], ...] = ()
    device: str = "cpu"
    fast_product: bool = False
    slices: int = 5
    seconds: float = 0.4
    seed: int = 0
    threads: int = 1


def tasks(*, quick: bool, device: str, seed: int, threads: int) -> list[GanTask]:
    """All rows."""
    shared: dict[str, Any] = {"device": device, "seed": seed, "threads": threads}
    if quick:
        shared.update(slices=2, seconds=0.1)
    rows = [
        ("3 x 32, batch 64", 32, 64, 32, ((REFERENCE, 15.0), (CAREFUL, 10.0)), False),
        ("3 x 64, batch 64", 64, 64, 16, ((REFERENCE, 7.0),), False),
        ("3 x 64, batch 64, fast", 64, 64, 16, ((REFERENCE, 7.0), (CAREFUL, 5.0)), True),
        ("3 x 64, batch 256", 64, 256, 8, ((REFERENCE, 3.0),), False),
        ("3 x 512, batch 256", 512, 256, 4, ((REFERENCE, 1.3),), False),
        ("3 x 512, batch 256, fast", 512, 256, 4, ((REFERENCE, 2.0),), True),
    ]
    return [
        GanTask(
            name=name,
            width=width,
            batch=batch,
            members=members if device == "cpu" else 256,
            faster=faster,
            fast_product=fast,
            **shared,
        )
        for name, width, batch, members, faster, fast in rows
    ]


def measure_training(task: GanTask) -> list[dict[str, Any]]:
    """CPU seconds per seed and critic step of every method, in turns (plain data)."""
    import torch

    before = torch.get_float32_matmul_precision()
    with limited_threads(task.threads):
        try:
            iterate = _methods(task)
            if task.fast_product:
                torch.set_float32_matmul_precision("medium")
            times: dict[str, list[float]] = {name: [] for name in iterate}
            for name, (call, _) in iterate.items():
                _product(task, name)
                call()
            for _ in range(task.slices):
                for name, (call, members) in iterate.items():
                    _product(task, name)
                    times[name].append(_per_step(call, members, task))
            product = _product_rate(task.device)
        finally:
            torch.set_float32_matmul_precision(before)
    rate = _operations(task) / min(times["ours"])
    notes = {"ours": f"{rate / product:.2f} of {product / 1e9:.0f} GF/s"}
    return [
        Measurement(
            group="Training WGAN-GP on the ring",
            instance=task.name,
            quantity="seconds per seed and critic step",
            method=name,
            claim="estimate",
            seconds=tuple(values),
            value=1.0 / min(values),
            note=notes.get(name, ""),
        ).as_dict()
        for name, values in times.items()
    ]


def _product(task: GanTask, name: str) -> None:
    """The faster product is ours to choose; the peers run as their users run them."""
    import torch

    fast = task.fast_product and name == "ours"
    torch.set_float32_matmul_precision("medium" if fast else "highest")


def _methods(task: GanTask) -> dict[str, tuple[Callable[[], None], int]]:
    from benchmarks.gan_peers import CarefulLoop, ReferenceLoop
    from gan_core.data import Ring
    from gan_core.ensemble import Ensemble
    from gan_core.penalties import one_centered
    from gan_core.settings import wgan_gp

    hidden = (task.width,) * 3
    settings = wgan_gp(
        critic_hidden=hidden,
        generator_hidden=hidden,
        batch=task.batch,
        penalty=one_centered(0.1),
        betas=(0.5, 0.9),
        device=task.device,
    )
    seeds = range(task.seed, task.seed + task.members)
    ours = Ensemble(settings, Ring(radius=2.0 / 1.414, std=0.02 / 1.414), seeds)
    return {
        "ours": (ours.iterate, task.members),
        REFERENCE: (ReferenceLoop(task.width, task.batch, task.seed).iterate, 1),
        CAREFUL: (CarefulLoop(task.width, task.batch, task.seed).iterate, 1),
    }


def _per_step(call: Callable[[], None], members: int, task: GanTask) -> float:
    """Seconds per seed and critic step: CPU time, or wall time where a device computes."""
    clock = time.process_time if task.device == "cpu" else time.perf_counter
    count, begin = 0, clock()
    while True:
        call()
        _synchronize(task.device)
        count += 1
        spent = clock() - begin
        if spent >= task.seconds:
            return spent / (count * members * _CRITIC_STEPS)


def _synchronize(device: str) -> None:
    if device != "cpu":
        import torch

        torch.cuda.synchronize()


# ---- how much of the machine ---------------------------------------------------------------------
def _operations(task: GanTask) -> float:
    """Floating point operations of a critic step, its share of a generator step included.

    Ten passes of a batch through the critic's weights (forward, backward and weights for data,
    samples and interpolates, and the penalty's push forward), one through the generator's; and a
    fifth of four through the critic's and three through the generator's.
    """
    hidden = 2 * task.width**2
    critic, generator = hidden + 3 * task.width, hidden + 4 * task.width
    return 2.0 * task.batch * (10 * critic + generator + (2 * critic + 3 * generator) / 5.0)


def _product_rate(device: str) -> float:
    """Operations per second of one large float32 product."""
    import torch

    size = 1024 if device == "cpu" else 8192
    a = torch.ones(size, size, device=device)
    best = 0.0
    for _ in range(4):
        _synchronize(device)
        begin = time.perf_counter()
        a @ a
        _synchronize(device)
        best = max(best, 2.0 * size**3 / (time.perf_counter() - begin))
    return best
