"""The rows of the divergence benchmark: an instance, our answer, the peers, and what is asked."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import divergence_peers as peers
from benchmarks.divergence_references import exact_js, exact_kl
from benchmarks.harness import Case, Side, measure
from benchmarks.running import limited_threads
from evidence import Enclosure

__all__ = ["Ask", "DivergenceTask", "measure_divergence", "tasks"]

Array = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)
LINE = "W1 of two samples on the line"
HISTOGRAMS = "Many histograms at once"
NEAR = "Nearly equal distributions"
SPACE = "W1 in several dimensions"
DENSITIES = "Densities"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a row should reach.

    Parameters
    ----------
    faster : tuple of (str, float)
        A peer, and how many times longer than ours it should take at least.
    within : tuple of (str, float)
        A limit, and how many times its time ours may take at most.
    error : float
        Largest relative error, against the proved value; NaN if nothing is asked.
    """

    faster: tuple[tuple[str, float], ...] = ()
    within: tuple[tuple[str, float], ...] = ()
    error: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergenceTask:
    """What one worker measures.

    Parameters
    ----------
    group, name : str
        Section and row of the table.
    kind : str
        One of the instances of this module.
    size : int or float
        Number of points, pixels on a side, or distance from equality.
    full : bool
        Also run the peers that take seconds on this row.
    """

    group: str
    name: str
    kind: str
    size: float
    ask: Ask
    seed: int = 0
    repeats: int = 5
    threads: int = 1
    full: bool = False


def measure_divergence(task: DivergenceTask) -> list[dict[str, Any]]:
    """Measurements of all cases of a row, as plain data (:meth:`Measurement.as_dict`)."""
    build = _KINDS[task.kind]
    with limited_threads(task.threads):
        warm_up(task.kind)
        cases = build(task, np.random.default_rng([task.seed, int(1e6 * task.size) % 2**31]))
        measured = [measure(case, repeats=task.repeats, budget=0.5) for case in cases]
    return [m.as_dict() for m in measured]


@functools.cache
def warm_up(kind: str) -> None:
    """Run every method of a kind once on a tiny instance, so that imports are not timed."""
    size = 1e-3 if kind == "near equal" else 8
    tiny = DivergenceTask(group="", name="", kind=kind, size=size, ask=Ask())
    for case in _KINDS[kind](tiny, np.random.default_rng(0)):
        case.call()


def tasks(*, quick: bool, full: bool, seed: int, threads: int) -> list[DivergenceTask]:
    """All rows: small instances with ``quick``, those that take seconds with ``full``."""
    repeats = 1 if quick else 7

    def row(group: str, name: str, kind: str, size: float, ask: Ask) -> DivergenceTask:
        if quick:  # the times asked for are those of the full sizes
            ask = Ask(error=ask.error)
        return DivergenceTask(
            group=group,
            name=name,
            kind=kind,
            size=size,
            ask=ask,
            seed=seed,
            repeats=repeats,
            threads=threads,
            full=full,
        )

    sizes = [10**4] if quick else [10**5, 10**6] + ([10**7] if full else [])
    found = []
    for n in sizes:
        exponent = f"1e{round(math.log10(n))}"
        found.append(
            row(LINE, f"equal sizes, {exponent}", "equal", n, Ask(
                faster=(("scipy", 25.0), ("POT", 7.0)), within=(("limit", 1.3),)))
        )  # fmt: skip
    for n in [n for n in sizes if quick or n > 10**5]:
        exponent = f"1e{round(math.log10(n))}"
        asked = Ask(faster=(("scipy", 10.0), ("POT", 2.0)))
        found.append(row(LINE, f"unequal sizes, {exponent}", "unequal", n, asked))
    for n in sizes:
        exponent = f"1e{round(math.log10(n))}"
        asked = Ask(faster=(("scipy", 3.0), ("POT", 1.0)))
        found.append(row(LINE, f"weighted, {exponent}", "weighted", n, asked))
    count = 100 if quick else 1000
    for kind, least in (("W1", 15.0), ("KL", 6.0), ("JS", 4.0)):
        name = f"{kind}, {count} x 1000 bins"
        asked = Ask(faster=(("scipy", least),))
        found.append(row(HISTOGRAMS, name, f"histograms {kind}", count, asked))
    for distance in (1e-3, 1e-6, 1e-9):
        name = f"100 bins, relative {distance:.0e}"
        found.append(row(NEAR, name, "near equal", distance, Ask(error=1e-12)))
    n = 60 if quick else 300
    asked = Ask(faster=(("POT", 1.0 / 1.15),))
    found.append(row(SPACE, f"{n} weighted points in R^3", "space", n, asked))
    for side in [16] if quick else [64, 128]:
        asked = Ask(faster=(("POT", 20.0),)) if side == 64 else Ask()
        found.append(row(SPACE, f"{side} x {side} pixels, l1", "pixels", side, asked))
    for kind in ("KL", "JS", "W1"):
        asked = Ask(faster=(("scipy", 5.0),), error=1e-12)
        found.append(row(DENSITIES, f"{kind} of N(0, 1), N(1, 4)", f"densities {kind}", 0, asked))
    return found


# ---- the instances ------------------------------------------------------------------------------
Rng = np.random.Generator


def _case(
    task: DivergenceTask,
    method: str,
    call: Callable[[], Enclosure | float],
    *,
    quantity: str = "distance",
    side: Side = "exact",
    rtol: float = 0.0,
) -> Case:
    proved = method == "balls"
    limit = method == "limit"
    return Case(
        group=task.group,
        instance=task.name,
        quantity="time" if limit else quantity,
        method=method,
        call=call,
        claim="proved" if proved else "other quantity" if limit else "estimate",
        side="" if proved or limit else side,
        rtol=rtol,
    )


def _line_cases(
    task: DivergenceTask, arrays: tuple[Array, ...], limit: Callable[[Array], object]
) -> list[Case]:
    from divergences.transport1d import wasserstein

    def two() -> float:
        limit(arrays[0])
        limit(arrays[1])
        return 0.0

    # Sums of n terms, and cumulated weights for the peers: n rounding errors each.
    rtol = 8.0 * max(array.size for array in arrays) * EPS
    return [
        _case(task, "ours", lambda: float(wasserstein(*arrays)), rtol=rtol),
        _case(task, "scipy", lambda: peers.scipy_line(*arrays), rtol=rtol),
        _case(task, "POT", lambda: peers.pot_line(*arrays), rtol=rtol),
        _case(task, "limit", two),
    ]


def _equal(task: DivergenceTask, rng: Rng) -> list[Case]:
    n = int(task.size)
    x, y = rng.standard_normal(n), 1.1 * rng.standard_normal(n) + 0.1
    return _line_cases(task, (x, y), np.sort)


def _unequal(task: DivergenceTask, rng: Rng) -> list[Case]:
    n = int(task.size)
    x, y = rng.standard_normal(n), 1.1 * rng.standard_normal(int(0.7 * n)) + 0.1
    return _line_cases(task, (x, y), np.sort)


def _weighted(task: DivergenceTask, rng: Rng) -> list[Case]:
    n = int(task.size)
    x, y = rng.standard_normal(n), 1.1 * rng.standard_normal(n) + 0.1
    a, b = rng.random(n), rng.random(n)
    return _line_cases(task, (x, y, a / a.sum(), b / b.sum()), np.argsort)


def _probabilities(rng: Rng, rows: int, bins: int) -> tuple[Array, Array]:
    p, q = rng.random((2, rows, bins))
    return p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)


def _histograms(kind: str) -> Callable[[DivergenceTask, Rng], list[Case]]:
    def build(task: DivergenceTask, rng: Rng) -> list[Case]:
        from divergences.cumulative import w1_cumulative
        from divergences.discrete import js, kl

        p, q = _probabilities(rng, int(task.size), 1000)
        out = np.empty_like(p)

        def ours_w1() -> float:
            return float(np.mean(w1_cumulative(p, q).value))

        def ours_kl() -> float:
            return float(np.mean(kl(p, q)))

        def ours_js() -> float:
            return float(np.mean(js(p, q)))

        def difference() -> float:
            np.subtract(p, q, out=out)
            return 0.0

        def logarithm() -> float:
            np.log(p, out=out)
            return 0.0

        ours, scipy, limit = {
            "W1": (ours_w1, peers.scipy_histograms, difference),
            "KL": (ours_kl, peers.scipy_entropy, logarithm),
            "JS": (ours_js, peers.scipy_jensenshannon, logarithm),
        }[kind]
        rtol = 1000 * 64 * EPS  # sums of 1000 terms
        cases = [
            _case(task, "ours", ours, rtol=rtol),
            _case(task, "scipy", lambda: scipy(p, q), rtol=rtol),
            _case(task, "limit", limit),
        ]
        if kind == "W1":
            cases.insert(2, _case(task, "POT", lambda: peers.pot_histograms(p, q), rtol=rtol))
        return cases

    return build


def _near_equal(task: DivergenceTask, rng: Rng) -> list[Case]:
    from divergences.discrete import js, kl

    p = rng.random(100) + 0.5
    p /= p.sum()
    q = p * (1.0 + task.size * rng.standard_normal(100))
    q /= q.sum()
    return [
        _case(task, "balls", lambda: exact_kl(p, q), quantity="KL"),
        _case(task, "ours", lambda: float(kl(p, q)), quantity="KL", rtol=1e-12),
        _case(task, "scipy", lambda: peers.scipy_entropy(p, q), quantity="KL", side=""),
        _case(task, "balls", lambda: exact_js(p, q), quantity="JS"),
        _case(task, "ours", lambda: float(js(p, q)), quantity="JS", rtol=1e-12),
        _case(task, "scipy", lambda: peers.scipy_jensenshannon(p, q), quantity="JS", side=""),
    ]


def _space(task: DivergenceTask, rng: Rng) -> list[Case]:
    from divergences.transport import optimal_transport

    n = int(task.size)
    x, y = rng.standard_normal((2, n, 3))
    a, b = rng.random((2, n))
    arrays = x, y, a / a.sum(), b / b.sum()
    rtol = 1e-9  # what a simplex in floats promises
    cases = [
        _case(task, "ours", lambda: optimal_transport(*arrays).value, rtol=rtol),
        _case(task, "POT", lambda: peers.pot_space(*arrays), rtol=rtol),
        _case(task, "HiGHS", lambda: peers.highs_transport(*arrays), rtol=1e-6),
    ]
    if n <= 60 or task.full:
        cases.insert(1, _case(task, "scipy", lambda: peers.scipy_space(*arrays), rtol=1e-6))
    return cases


def _pixels(task: DivergenceTask, rng: Rng) -> list[Case]:
    from divergences.pixel_grid import w1_pixel_grid

    side = int(task.size)
    p, q = rng.random((2, side, side))
    p, q = p / p.sum(), q / q.sum()
    cases = [_case(task, "ours", lambda: w1_pixel_grid(p, q).value, rtol=1e-9)]
    if side <= 64:
        cases.append(_case(task, "POT", lambda: peers.cancelled_pot(p, q), rtol=1e-9))
    return cases


def _densities(kind: str) -> Callable[[DivergenceTask, Rng], list[Case]]:
    def build(task: DivergenceTask, rng: Rng) -> list[Case]:
        from scipy.stats import norm

        from divergences.balls import js_enclosure, kl_enclosure, w1_enclosure
        from divergences.continuous import js_densities, kl_densities
        from divergences.continuous_transport import wasserstein_cdf_continuous

        p, q = norm(0.0, 1.0), norm(1.0, 2.0)
        functions: dict[str, tuple[Any, Any, Any]] = {
            "KL": (kl_enclosure, kl_densities, peers.quad_kl),
            "JS": (js_enclosure, js_densities, peers.quad_js),
            "W1": (w1_enclosure, wasserstein_cdf_continuous, peers.quad_w1),
        }
        enclose, estimate, quad = functions[kind]
        found = estimate(p, q)
        return [
            _case(task, "balls", lambda: enclose(p, q)),
            _case(task, "ours", lambda: estimate(p, q).value, rtol=found.error / found.value),
            _case(task, "scipy", lambda: quad(p, q), side=""),
        ]

    return build


_KINDS: dict[str, Callable[[DivergenceTask, Rng], list[Case]]] = {
    "equal": _equal,
    "unequal": _unequal,
    "weighted": _weighted,
    "histograms W1": _histograms("W1"),
    "histograms KL": _histograms("KL"),
    "histograms JS": _histograms("JS"),
    "near equal": _near_equal,
    "space": _space,
    "pixels": _pixels,
    "densities KL": _densities("KL"),
    "densities JS": _densities("JS"),
    "densities W1": _densities("W1"),
}
