"""Four objectives on a ring of modes, many seeds each: a report, and checks of the measure itself.

No theory says which objective covers more modes of a toy, and the order changes with depth and step
size; what is tested here is the way of counting.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.validation import positive_int
from gan_core.data import Grid, Ring
from gan_core.ensemble import Ensemble
from gan_core.experiments.result import Experiment, prediction
from gan_core.measures import Coverage, mode_coverage, sample_transport
from gan_core.penalties import one_centered
from gan_core.settings import Settings, wgan_gp
from gan_core.streams import generator_of

__all__ = [
    "Comparison",
    "MedianInterval",
    "compare_objectives",
    "coverage_measures",
    "median_interval",
]

Array = NDArray[np.float64]

_SAMPLES = 2500


@dataclass(frozen=True, slots=True, kw_only=True)
class MedianInterval:
    """A median, and an interval that holds the median of the law of the seeds.

    Parameters
    ----------
    median, lower, upper : float
    level : float
        The interval holds it with at least this probability, whatever the law.

    Examples
    --------
    >>> print(median_interval(range(16)))
    7.5 [3, 12]
    """

    median: float
    lower: float
    upper: float
    level: float

    def __str__(self) -> str:
        return f"{self.median:.3g} [{self.lower:.3g}, {self.upper:.3g}]"


def median_interval(values: ArrayLike, level: float = 0.95) -> MedianInterval:
    """The shortest interval between order statistics that holds the median with some probability.

    ``[x_(k), x_(n + 1 - k)]`` misses the median with probability ``2 P(Bin(n, 1/2) < k)`` at most:
    exact, nothing is assumed of the law.

    Parameters
    ----------
    values : array_like, shape (n,)
    level : float
        Wanted; with fewer than six seeds 0.95 is not to be had, and the range with its lower level
        is returned.

    Examples
    --------
    >>> round(median_interval(range(16)).level, 4)
    0.9787
    """
    x = np.sort(np.asarray(values, dtype=np.float64).ravel())
    n = positive_int(len(x), "number of values")
    tails = np.cumsum([math.comb(n, i) for i in range(n)]) / 2.0**n  # P(Bin(n, 1/2) <= i)
    ranks = [k for k in range(1, (n + 1) // 2 + 1) if 1.0 - 2.0 * tails[k - 1] >= level]
    k = max(ranks, default=1)
    return MedianInterval(
        median=float(np.median(x)),
        lower=float(x[k - 1]),
        upper=float(x[n - k]),
        level=float(max(0.0, 1.0 - 2.0 * tails[k - 1])),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Objectives trained on the same data with the same seeds.

    Parameters
    ----------
    data : Ring or Grid
    coverage : mapping from str to Coverage
        For each objective.
    transport : mapping from str to array, shape (seeds,)
        W1 between 256 generated and 256 real samples.
    floor : array, shape (seeds,)
        W1 between two real samples of that size: no generator can be expected below it.
    samples : mapping from str to array, shape (seeds, count, 2)
    seconds : mapping from str to float
        CPU time of training.

    Examples
    --------
    >>> found = compare_objectives(seeds=2, iterations=5)
    >>> list(found.coverage)
    ['minimax', 'nonsaturating', 'least_squares', 'wgan_gp']
    """

    data: Ring | Grid
    coverage: Mapping[str, Coverage]
    transport: Mapping[str, Array]
    floor: Array
    samples: Mapping[str, Array]
    seconds: Mapping[str, float]

    def intervals(self, name: str) -> dict[str, MedianInterval]:
        """Medians over the seeds of one objective, with their intervals.

        Examples
        --------
        >>> sorted(compare_objectives(seeds=2, iterations=2).intervals("minimax"))
        ['W1', 'effective modes', 'high quality', 'modes']
        """
        found = self.coverage[name]
        return {
            "modes": median_interval(found.modes),
            "high quality": median_interval(found.high_quality),
            "effective modes": median_interval(found.effective_modes),
            "W1": median_interval(self.transport[name]),
        }

    def __str__(self) -> str:
        """A table: one line for each objective, medians with their intervals."""
        columns = ("modes", "effective modes", "high quality", "W1")
        rows: list[tuple[str, ...]] = [("objective", *columns, "CPU s")]
        level = 1.0
        for name in self.coverage:
            intervals = self.intervals(name)
            level = intervals["modes"].level
            rows.append((name, *(str(intervals[c]) for c in columns), f"{self.seconds[name]:.1f}"))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(r, widths, strict=True)) for r in rows]
        any_coverage = next(iter(self.coverage.values()))
        seeds = len(any_coverage.modes)
        lines.append(
            f"{seeds} seeds; medians, each interval holds the median with probability "
            f"{level:.3f}; real samples: {any_coverage.ceiling:.3f} of high quality, W1 "
            f"{np.median(self.floor):.3g}. No objective is shown to be better than another on "
            "other settings."
        )
        return "\n".join(line.rstrip() for line in lines)


def _settings(name: str) -> Settings:
    shared: dict[str, object] = {
        "critic_hidden": (64, 64),
        "generator_hidden": (64, 64),
        "activation": "leaky_relu",
        "step_size": 2e-3,
        "betas": (0.5, 0.9),
    }
    if name == "wgan_gp":
        return wgan_gp(penalty=one_centered(1.0), critic_steps=5, **shared)
    return wgan_gp(objective=name, penalty=None, critic_steps=1, **shared)


def compare_objectives(
    *,
    seeds: int = 16,
    iterations: int = 1000,
    first_seed: int = 0,
    data: Ring | Grid | None = None,
    objectives: Sequence[str] = ("minimax", "nonsaturating", "least_squares", "wgan_gp"),
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Train objectives on a ring of eight modes, many seeds each.

    Parameters
    ----------
    seeds : int
    iterations : int
        Generator steps; WGAN-GP takes five critic steps for each, the others one. Step sizes fall
        linearly to 0 over the second half.
    first_seed : int
    data : Ring or Grid, optional
        The ring of eight if left out.
    objectives : sequence of str
        ``wgan_gp``, or names of `OBJECTIVES` trained without a penalty.
    progress : callable, optional
        ``(done, total)`` in objectives.

    Returns
    -------
    Comparison
        Its ``str`` is the table; `gan_core.plots.plot_comparison` draws it.

    Notes
    -----
    Modes count by share, at least a quarter of an even one, since by the usual rule (one sample of
    2500 near enough) untrained noise covers almost all of them: `coverage_measures`.

    Examples
    --------
    >>> table = str(compare_objectives(seeds=2, iterations=5, objectives=["hinge"]))
    >>> table.splitlines()[1].split()[0]
    'hinge'
    """
    import torch

    law = Ring() if data is None else data
    chosen = list(range(first_seed, first_seed + positive_int(seeds, "seeds")))
    coverage, transport, samples, seconds = {}, {}, {}, {}
    real = torch.stack([law.sample(generator_of(s, "compared"), 512) for s in chosen]).numpy()
    for done, name in enumerate(objectives):
        begin = time.process_time()
        ensemble = Ensemble(_settings(name), law, chosen)
        for iteration in range(positive_int(iterations, "iterations")):
            factor = min(1.0, 2.0 - 2.0 * iteration / iterations)
            for _ in range(ensemble.settings.critic_steps):
                ensemble.critic_step(factor)
            ensemble.generator_step(factor)
        seconds[name] = time.process_time() - begin
        made = ensemble.samples(_SAMPLES).numpy()
        samples[name] = made
        coverage[name] = mode_coverage(made, law.centers, law.std)
        transport[name] = np.array(
            [sample_transport(x[:256], y[:256]) for x, y in zip(real, made, strict=True)]
        )
        if progress is not None:
            progress(done + 1, len(objectives))
    return Comparison(
        data=law,
        coverage=coverage,
        transport=transport,
        floor=np.array([sample_transport(x[:256], x[256:]) for x in real]),
        samples=samples,
        seconds=seconds,
    )


def coverage_measures(*, seeds: int = 32, first_seed: int = 0) -> Experiment:
    """The usual count of modes is passed by noise; the count by share is not.

    - Data have a share ``1 - exp(-4.5)`` of high quality and cover all modes: the ceiling.
    - Noise of one normal law covers, by the usual rule of one sample of 2500 within three standard
      deviations, ``sum_k 1 - (1 - p_k)^2500`` modes on average, which is nearly all of them. By
      share it covers almost none.

    Parameters
    ----------
    seeds, first_seed : int
        A seed draws 40 sets of 2500 samples and measures means over them.

    Notes
    -----
    ``p_k`` is a noncentral chi-square probability. Tolerances are five standard deviations of a
    mean over 40 sets, of a count of ``K`` modes at most ``sqrt(K / 4 / 40)``; half a mode by share.

    Examples
    --------
    >>> coverage_measures(seeds=2).is_confirmed
    True
    """
    from scipy.stats import binom, ncx2

    begin = time.process_time()
    repeats = 40
    predictions = []
    laws: tuple[tuple[Ring | Grid, str, float], ...] = (
        (Ring(), "ring", 0.7),
        (Grid(), "grid", math.sqrt(2.0)),
    )
    for index, (law, name, spread) in enumerate(laws):
        centers, k = law.centers, len(law.centers)
        squared = np.square(centers).sum(axis=1) / spread**2
        near = ncx2.cdf((3.0 * law.std / spread) ** 2, 2, squared)
        usual = float(np.sum(1.0 - (1.0 - near) ** _SAMPLES))
        measured: dict[str, list[float]] = {"usual": [], "share": [], "real": [], "quality": []}
        for seed in range(first_seed, first_seed + seeds):
            rng = np.random.default_rng([seed, index])
            noise = spread * rng.standard_normal((repeats, _SAMPLES, 2))
            found = mode_coverage(noise, centers, law.std)
            measured["usual"].append(float((found.counts >= 1).sum(axis=1).mean()))
            measured["share"].append(float(found.modes.mean()))
            modes = centers[rng.integers(k, size=(repeats, _SAMPLES))]
            data = modes + law.std * rng.standard_normal(modes.shape)
            own = mode_coverage(data, centers, law.std)
            measured["real"].append(float(own.modes.mean()))
            measured["quality"].append(float(own.high_quality.mean()))
        ceiling = 1.0 - math.exp(-4.5)
        predictions += [
            prediction(
                f"modes of noise by the usual rule, {name}",
                usual,
                measured["usual"],
                tolerance=5.0 * math.sqrt(k / 4.0 / repeats),
                source="noncentral chi-square law",
            ),
            prediction(
                f"modes of noise by share, {name}",
                float(binom.sf(math.ceil(_SAMPLES / (4 * k)) - 1, _SAMPLES, near).sum()),
                measured["share"],
                tolerance=0.5,
                source="binomial law",
            ),
            prediction(f"modes of data by share, {name}", k, measured["real"], tolerance=0.0),
            prediction(
                f"share of high quality of data, {name}",
                ceiling,
                measured["quality"],
                tolerance=5.0 * math.sqrt(ceiling * (1.0 - ceiling) / _SAMPLES / repeats),
                source="1 - exp(-4.5)",
            ),
        ]
    return Experiment(
        name="coverage_measures",
        statement="Noise passes the usual count of modes, and fails the count by share.",
        predictions=tuple(predictions),
        seconds=time.process_time() - begin,
    )
