"""One harness for all benchmarks: cases, measurements, and the contradictions between them.

A benchmark here is also a proof. Every number is kept with what it claims to be, and the harness
compares the claims: two enclosures of one quantity must overlap, and an enclosure must contain
a value that is known by other means. :func:`contradictions` lists what does not fit.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from benchmarks.memory import PeakMemory
from evidence import Enclosure, NotCertified

__all__ = [
    "Case",
    "Claim",
    "Environment",
    "Measurement",
    "Side",
    "contradictions",
    "measure",
    "timed",
]

Result = TypeVar("Result")

Claim = Literal["proved", "estimate", "other quantity", "upper in exact arithmetic"]
"""What a number is. Only an :class:`~evidence.Enclosure` is ``proved``."""

Side = Literal["", "exact", "below"]
"""What a peer's number says about its quantity up to its own rounding, if it says anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One method on one instance.

    Parameters
    ----------
    group, instance : str
        The section of the table, and the layer or network in it.
    quantity : str
        Which number is sought; enclosures of one quantity of one instance must overlap.
    method : str
    call : callable
        Takes nothing; returns an ``Enclosure`` if ``claim`` is ``"proved"``, else a float.
    claim : str
        One of :data:`Claim`.
    side : str
        ``"exact"``: the value is the quantity, up to a relative error ``rtol`` from rounding;
        ``"below"``: it is at most the quantity times ``1 + rtol``.
    rtol : float
    at_most : str
        A quantity of the same instance that is mathematically at least this one.
    note : str
    """

    group: str
    instance: str
    quantity: str
    method: str
    call: Callable[[], Enclosure | float]
    claim: Claim = "estimate"
    side: Side = ""
    rtol: float = 0.0
    at_most: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a case gave, and how long it took.

    ``lower`` and ``upper`` belong to a proved enclosure and ``value`` to everything else; what
    does not apply is NaN. ``seconds`` are wall-clock times of the single calls, ``mebibytes`` the
    memory needed at the peak of the first one.
    """

    group: str
    instance: str
    quantity: str
    method: str
    claim: Claim
    lower: float = math.nan
    upper: float = math.nan
    value: float = math.nan
    seconds: tuple[float, ...] = ()
    mebibytes: float = math.nan
    side: Side = ""
    rtol: float = 0.0
    at_most: str = ""
    note: str = ""

    @property
    def fastest(self) -> float:
        """Smallest time in seconds; NaN if nothing was timed."""
        return min(self.seconds, default=math.nan)

    @property
    def median(self) -> float:
        """Median time in seconds; NaN if nothing was timed."""
        return statistics.median(self.seconds) if self.seconds else math.nan

    @property
    def gap(self) -> float:
        """``upper / lower - 1``: 0 if the two are equal, ``inf`` if one side is open."""
        if self.lower == self.upper:
            return 0.0
        return self.upper / self.lower - 1.0 if self.lower > 0.0 else math.inf

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON data, for a checkpoint."""
        return {**dataclasses.asdict(self), "seconds": list(self.seconds)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The inverse of :meth:`as_dict`."""
        return cls(**{**data, "seconds": tuple(data["seconds"])})


def measure(case: Case, *, repeats: int = 5, budget: float = 0.1) -> Measurement:
    """Call a case a few times: once to warm up, then until ``repeats`` or the budget is reached.

    A call that alone takes longer than the budget is its own first measurement, and is repeated
    once if it takes less than five budgets; its warm-up was then a smaller instance, which is the
    business of whoever lists the cases.

    Parameters
    ----------
    case : Case
    repeats : int
        At most so many timed calls.
    budget : float
        Seconds after which no further call is started.

    Returns
    -------
    Measurement
        If the case raises ``NotCertified``, the estimate that travels on it, as an estimate.

    Raises
    ------
    TypeError
        If a case that claims to be proved returns no enclosure, or the other way round.

    Examples
    --------
    >>> case = Case(group="", instance="", quantity="two", method="sum", call=lambda: 1.0 + 1.0)
    >>> measured = measure(case, repeats=3)
    >>> measured.value, len(measured.seconds)
    (2.0, 3)
    """
    description: dict[str, Any] = {
        field.name: getattr(case, field.name)
        for field in dataclasses.fields(case)
        if field.name != "call"
    }
    try:
        with PeakMemory() as peak:
            result, warm_up = timed(case.call)
        seconds = [warm_up] if warm_up > budget or repeats < 1 else []
        spent = warm_up
        while len(seconds) < repeats and (
            spent <= budget or (len(seconds) == 1 and spent <= 5.0 * budget)
        ):
            result, elapsed = timed(case.call)
            seconds.append(elapsed)
            spent += elapsed
    except NotCertified as refusal:
        estimate = math.nan if refusal.estimate is None else float(refusal.estimate)
        description.update(claim="estimate", side="", note=f"not certified: {refusal}")
        return Measurement(value=estimate, **description)
    description.update(seconds=tuple(seconds), mebibytes=peak.mebibytes)
    if isinstance(result, Enclosure) != (case.claim == "proved"):
        raise TypeError(
            f"`call` of {case.method!r} must return an Enclosure if and only if its `claim` is "
            f"'proved', got {type(result).__name__} for {case.claim!r}"
        )
    if isinstance(result, Enclosure):
        if not case.note:
            description["note"] = result.method
        return Measurement(lower=result.lower, upper=result.upper, **description)
    return Measurement(value=float(result), **description)


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """What a call returns, and its wall-clock seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


# ---- a benchmark is also a proof ----------------------------------------------------------------
def contradictions(measurements: Iterable[Measurement]) -> list[str]:
    """What cannot all be true, in sentences; empty if everything fits.

    Checked for every quantity of every instance: proved enclosures overlap pairwise; each of them
    contains the values that are exact up to their stated rounding, and lies above those from
    below; and where one quantity is mathematically at most another, so are the bounds.

    Examples
    --------
    >>> one = Measurement(group="", instance="layer", quantity="norm", method="a", claim="proved",
    ...                   lower=1.0, upper=2.0)
    >>> two = dataclasses.replace(one, method="b", lower=3.0, upper=4.0)
    >>> contradictions([one, two])
    ['layer, norm: a proves [1, 2], b proves [3, 4]']
    """
    found: list[str] = []
    quantities: dict[tuple[str, str, str], list[Measurement]] = {}
    for measurement in measurements:
        key = (measurement.group, measurement.instance, measurement.quantity)
        quantities.setdefault(key, []).append(measurement)
    for (group, instance, quantity), members in quantities.items():
        title = ", ".join(word for word in (group, instance, quantity) if word)
        proved = [m for m in members if m.claim == "proved"]
        for a, b in itertools.combinations(proved, 2):
            if max(a.lower, b.lower) > min(a.upper, b.upper):
                found.append(f"{title}: {_says(a)}, {_says(b)}")
        for enclosure, peer in itertools.product(proved, members):
            value, slack = peer.value, peer.rtol * abs(peer.value)
            if (peer.side == "exact" and enclosure.lower > value + slack) or (
                peer.side in ("exact", "below") and enclosure.upper < value - slack
            ):
                found.append(
                    f"{title}: {_says(enclosure)}, but {peer.method} gives {value:.17g} "
                    f"({peer.side} up to a relative {peer.rtol:.1e})"
                )
        for smaller in proved:
            larger = quantities.get((group, instance, smaller.at_most), [])
            for bound in (m for m in larger if m.claim == "proved"):
                if smaller.lower > bound.upper:
                    found.append(
                        f"{title}: {_says(smaller)}, above {bound.quantity}, for which "
                        f"{_says(bound)}"
                    )
    return found


def _says(m: Measurement) -> str:
    return f"{m.method} proves [{m.lower:.17g}, {m.upper:.17g}]"


# ---- where it was measured ----------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The machine, the versions, the threads and the seed behind a table."""

    command: tuple[str, ...]
    started: str
    python: str
    system: str
    processor: str
    cores: int
    threads: int
    jobs: int
    seed: int
    versions: dict[str, str]
    libraries: tuple[str, ...]

    @classmethod
    def here(cls, *, command: Sequence[str], threads: int, jobs: int, seed: int) -> Self:
        """Describe this machine and process."""
        from threadpoolctl import threadpool_info

        names = ("wasserproof", "numpy", "scipy", "torch", "onnx", "POT", "scikit-learn")
        libraries = sorted(
            f"{info['internal_api']} {info['version'] or ''}".strip() for info in threadpool_info()
        )
        return cls(
            command=tuple(command),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            python=platform.python_version(),
            system=f"{platform.system()} {platform.machine()}",
            processor=_processor(),
            cores=os.cpu_count() or 1,
            threads=threads,
            jobs=jobs,
            seed=seed,
            versions={name: version for name in names if (version := _version(name))},
            libraries=tuple(dict.fromkeys(libraries)),
        )

    def sentence(self) -> str:
        """One line for the foot of a table."""
        versions = ", ".join(
            f"{name} {self.versions[name]}" for name in ("numpy", "torch") if name in self.versions
        )
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        jobs = f", {self.jobs} processes" if self.jobs > 1 else ""
        return f"{self.processor}, {threads}{jobs}, Python {self.python}, {versions}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
