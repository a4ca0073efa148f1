"""The rows of the dynamics benchmark: what is run, beside which peer, and what is asked."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import dynamics_peers as peers
from benchmarks.dynamics_references import DIRAC_FINALS, DIRAC_LIMITS, half_printed
from benchmarks.harness import Case, Claim, Measurement, Side, measure
from benchmarks.running import limited_threads
from evidence import Enclosure

__all__ = ["ORBITS", "DynamicsTask", "case", "measure_dynamics", "scaled", "tasks"]

Array = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)
ORBITS = "Orbits"
WORST = "Worst cases over all games with sigma at most 1"
DIRAC = "The Dirac-GAN"
_SKEWED = 1e-6  # six digits


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicsTask:
    """What one worker measures.

    Parameters
    ----------
    group, name, kind : str
        Section and row of the table; what is measured.
    size : tuple of int
        Starts and steps, or points on a side, or dimension and pairs.
    asked : float
        How many times longer the peer should take at least; 0 if nothing is asked.
    option : str
        What distinguishes rows of one kind.
    """

    group: str
    name: str
    kind: str
    size: tuple[int, ...] = ()
    asked: float = 0.0
    option: str = ""
    seed: int = 0
    repeats: int = 5
    threads: int = 1


def measure_dynamics(task: DynamicsTask) -> list[dict[str, Any]]:
    """Measurements of a row, as plain data (:meth:`Measurement.as_dict`)."""
    with limited_threads(task.threads):
        return [m.as_dict() for m in _kinds()[task.kind](task)]


def tasks(*, quick: bool, full: bool, seed: int, threads: int) -> list[DynamicsTask]:
    """All rows: small instances with ``quick``; the peers' larger samples with ``full``."""
    repeats = 1 if quick else 7

    def row(group: str, name: str, kind: str, size: tuple[int, ...], **named: Any) -> DynamicsTask:
        if quick:  # what is asked is asked of the full sizes
            named.pop("asked", None)
        return DynamicsTask(
            group=group, name=name, kind=kind, size=size, seed=seed, threads=threads,
            repeats=repeats, **named,
        )  # fmt: skip

    starts, steps = (1000, 1000) if quick else (10**5, 10**4)
    seeds, length = (100, 50) if quick else (10**4, 10**3)
    from benchmarks.dynamics_maps import map_tasks

    found = [
        row(ORBITS, f"{_short(starts)} starts x {_short(steps)} steps, linear", "linear orbit",
            (starts, steps), asked=1000.0),
        row(ORBITS, "log-norm after 1e6 steps", "long orbit", (10**6,)),
        row(ORBITS, f"{_short(seeds)} seeds x {_short(length)} steps, by losses",
            "nonlinear orbit", (seeds, length, 2 if quick else 20 if full else 3), asked=1000.0),
    ]  # fmt: skip
    found += map_tasks(row, quick=quick, full=full)
    for method, iterations, metric in _WORST_CASES[:: 4 if quick else 1]:
        name = f"{method}, {iterations} step{'s' if iterations > 1 else ''}, {metric}"
        found.append(row(WORST, name, "worst case", (iterations,), option=f"{method} {metric}"))
    for name in DIRAC_LIMITS:
        found.append(row(DIRAC, f"{name}: stable up to", "dirac limits", (), option=name))
    for name in DIRAC_FINALS:
        found.append(row(DIRAC, f"{name}: |z| at 500", "dirac finals", (), option=name))
    return found


def _short(count: int) -> str:
    return f"{count:.0e}".replace("e+0", "e")


# ---- cases --------------------------------------------------------------------------------------
def case(
    task: DynamicsTask,
    method: str,
    call: Callable[[], Enclosure | float],
    *,
    quantity: str = "value",
    claim: Claim = "estimate",
    side: Side = "exact",
    rtol: float = 0.0,
    note: str = "",
) -> Case:
    """A case of a row."""
    return Case(
        group=task.group, instance=task.name, quantity=quantity, method=method, call=call,
        claim=claim, side="" if claim == "proved" else side, rtol=rtol, note=note,
    )  # fmt: skip


def scaled(measurement: Measurement, part: float, whole: float, what: str) -> Measurement:
    """The measurement of a part of the work, with the time of the whole.

    Examples
    --------
    >>> part = Measurement(group="", instance="", quantity="", method="", claim="estimate",
    ...                    seconds=(0.5,))
    >>> whole = scaled(part, 2, 1000, "points")
    >>> whole.seconds, whole.note
    ((250.0,), 'time of 2 of 1000 points, scaled')
    """
    return dataclasses.replace(
        measurement,
        seconds=tuple(s * whole / part for s in measurement.seconds),
        note=f"time of {part:g} of {whole:g} {what}, scaled",
    )


# ---- orbits -------------------------------------------------------------------------------------
def _linear_orbit(task: DynamicsTask) -> list[Measurement]:
    from dynamics import GDA, Bilinear
    from dynamics.orbits import orbit

    starts, steps = task.size
    z = np.random.default_rng([task.seed, 1]).standard_normal((starts, 2))
    game, method, eta = Bilinear(1.0), GDA(0.01, order="alternating_xy"), 0.01
    finals: dict[str, Array] = {}

    def ours() -> float:
        finals["ours"] = orbit(game, method, z, steps).states[0]
        return 0.0

    def numpy() -> float:
        finals["numpy"] = peers.stepped_in_place(z, eta, steps)
        return 0.0

    measured = [
        measure(case(task, "ours", ours), repeats=20 * task.repeats),
        measure(case(task, "numpy", numpy), repeats=2, budget=0.3),
    ]
    # A step rounds four times, numbers of the size of the orbit's ellipse; T steps do so T times.
    return [
        dataclasses.replace(m, value=float(np.sum(finals[m.method] ** 2)), rtol=8 * steps * EPS)
        for m in measured
    ]


def _long_orbit(task: DynamicsTask) -> list[Measurement]:
    from dynamics import GDA, Bilinear
    from dynamics.orbits import orbit

    (steps,) = task.size

    def exact() -> Enclosure:
        from flint import arb, ctx

        with ctx.workprec(200):  # |z|^2 = 2 * 2^T
            ball = arb(2).log() * (steps + 1) / 2
            middle = float(ball.mid())
        return Enclosure(
            math.nextafter(middle, -math.inf), math.nextafter(middle, math.inf), "closed form"
        )

    def ours() -> float:
        return float(orbit(Bilinear(1.0), GDA(1.0), [1.0, 1.0], steps).log_norms[0])

    return [
        measure(case(task, "balls", exact, claim="proved")),
        measure(case(task, "ours", ours, rtol=4 * EPS), repeats=task.repeats),
    ]


def _nonlinear_orbit(task: DynamicsTask) -> list[Measurement]:
    import torch

    from dynamics import GDA, DifferentiableGame
    from dynamics.orbits import orbit

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.logsigmoid((x * y).sum(-1))

    seeds, steps, sample = task.size
    z = np.random.default_rng([task.seed, 2]).standard_normal((seeds, 2))
    game = DifferentiableGame(loss, (1, 1), equilibrium=[0.0, 0.0])
    # What is compared: the first seeds, with different weights.
    weights = np.arange(1.0, 2.0 * sample + 1.0).reshape(sample, 2)

    def ours() -> float:
        return float(np.sum(weights * orbit(game, GDA(0.1), z, steps).states[0][:sample]))

    def loop() -> float:
        return float(np.sum(weights * peers.per_seed_autograd(loss, z[:sample], 0.1, steps)))

    # The rounding of a step, grown by at most 1 + 0.1^2 / 4 in each of them.
    rtol = 8 * steps * EPS
    measured = measure(case(task, "per seed", loop, rtol=rtol), repeats=1, budget=0.0)
    return [
        measure(case(task, "ours", ours, rtol=rtol), repeats=task.repeats, budget=1.0),
        scaled(measured, sample, seeds, "seeds"),
    ]


# ---- worst cases --------------------------------------------------------------------------------
_WORST_CASES = (
    ("GDA", 1, "distance"),
    ("GDA", 3, "distance"),
    ("EG", 1, "field"),
    ("EG", 2, "field"),
    ("EG", 3, "field"),
    ("EG", 5, "field"),
    ("EAG-C", 2, "field"),
    ("EAG-C", 4, "field"),
    ("FEG", 2, "field"),
    ("FEG", 4, "field"),
)


def _worst_case(task: DynamicsTask) -> list[Measurement]:
    (iterations,) = task.size
    method, metric = task.option.split()
    found = [
        measure(
            case(task, "ours", lambda: _supremum(method, iterations, metric), rtol=_SKEWED),
            repeats=1,
        )
    ]
    if not peers.has_pepit():
        note = "PEPit is not installed (extra `dev`)"
        return [dataclasses.replace(found[0], note=note)]
    peer = case(
        task, "PEPit", lambda: peers.pepit_worst_case(method, iterations, metric), rtol=_SKEWED
    )
    return [*found, measure(peer, repeats=1)]


def _supremum(name: str, iterations: int, metric: str) -> float:
    """The largest value over ``sigma`` in (0, 1], on a grid and then between its neighbours."""
    from scipy.optimize import minimize_scalar

    from dynamics import GDA, AnchoredExtragradient, Bilinear, Extragradient

    method = {
        "GDA": GDA(0.1),
        "EG": Extragradient(0.5**0.5),
        "EAG-C": AnchoredExtragradient(0.125, variant="EAG-C"),
        "FEG": AnchoredExtragradient(1.0, variant="FEG"),
    }[name]

    def value(sigma: float) -> float:
        game = Bilinear(float(sigma))
        state = method.initial_state(game, [1.0, 0.0])
        for k in range(iterations):
            state = method.step(game, state, k)
        squared = float(np.sum(state[0] ** 2))
        return squared if metric == "distance" else squared * float(sigma) ** 2

    grid = np.linspace(0.0, 1.0, 257)[1:]
    values = [value(s) for s in grid]
    best = int(np.argmax(values))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    refined = minimize_scalar(lambda s: -value(s), bounds=(low, high), method="bounded")
    return max(values[best], -float(refined.fun))


# ---- the Dirac-GAN ------------------------------------------------------------------------------
def _dirac(name: str) -> Any:
    import dynamics as d

    loss, _, regularizer = name.partition(", ")
    kind, _, strength = regularizer.partition(" ")
    size = float(strength.removeprefix("at ") or 0.0)
    regularizers: dict[str, Callable[[], Any]] = {
        "": lambda: None,
        "R1": lambda: d.R1(size),
        "noise": lambda: d.InstanceNoise(size),
        "consensus": lambda: d.Consensus(size),
        "clipped": lambda: d.Clipping(size),
    }
    if name.startswith("WGAN-GP"):
        return d.DiracGAN("wgan", regularizer=d.GradientPenalty(0.7, 1.0))
    return d.DiracGAN(loss.lower(), regularizer=regularizers[kind]())


def _dirac_limits(task: DynamicsTask) -> list[Measurement]:
    from dynamics import GDA
    from dynamics.spectra import stability

    game, found = _dirac(task.option), []
    orders = ("simultaneous", "alternating_xy")
    for order, limit in zip(orders, DIRAC_LIMITS[task.option], strict=True):

        def between(order: str = order) -> Enclosure:
            def verdict(step: float) -> str:
                return stability(game, GDA(step, order=order)).verdict

            stable = _last(lambda step: verdict(step) == "stable")[0]
            unstable = _last(lambda step: verdict(step) != "unstable")[1]
            return Enclosure(stable, unstable, "verdicts on both sides")

        def formula(limit: float = limit) -> float:
            return limit

        named: Any = {"quantity": order}
        found.append(measure(case(task, "ours", between, claim="proved", **named), repeats=1))
        # The formula is rounded a few times.
        found.append(measure(case(task, "formula", formula, rtol=8 * EPS, **named), repeats=1))
    return found


def _last(holds: Callable[[float], bool]) -> tuple[float, float]:
    """Forty halvings of [0, 8] for the step up to which something holds."""
    low, high = 0.0, 8.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, high


def _dirac_finals(task: DynamicsTask) -> list[Measurement]:
    from dynamics import GDA
    from dynamics.orbits import orbit

    game, found = _dirac(task.option), []
    orders = ("simultaneous", "alternating_xy")
    for order, text in zip(orders, DIRAC_FINALS[task.option], strict=True):
        path = functools.partial(orbit, game, GDA(0.2, order=order), [1.0, 1.0], 500)

        def ours(path: Callable[[], Any] = path) -> float:
            return float(np.linalg.norm(path().states))

        def printed(text: str = text) -> float:
            return float(text)

        rtol = 1.01 * half_printed(text) / float(text)
        found.append(measure(case(task, "ours", ours, quantity=order), repeats=1))
        found.append(measure(case(task, "notebook", printed, quantity=order, rtol=rtol), repeats=1))
    return found


@functools.cache
def _kinds() -> dict[str, Callable[[DynamicsTask], list[Measurement]]]:
    from benchmarks.dynamics_maps import MAP_KINDS

    return {
        "linear orbit": _linear_orbit,
        "long orbit": _long_orbit,
        "nonlinear orbit": _nonlinear_orbit,
        "worst case": _worst_case,
        "dirac limits": _dirac_limits,
        "dirac finals": _dirac_finals,
        **MAP_KINDS,
    }
