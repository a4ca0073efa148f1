"""The picture behind ``--plot``: the time of every method, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Measurement
from benchmarks.running import UsageError

__all__ = ["draw_times"]

_MARKERS = {"ours": "o", "limit": "|", "scipy": "s", "POT": "D", "HiGHS": "^", "balls": "x"}


def draw_times(path: Path, measurements: Sequence[Measurement]) -> None:
    """Draw the fastest time of every method on a logarithmic axis, and write the file.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(m.instance for m in measurements))
    figure = Figure(figsize=(8.0, 1.0 + 0.32 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for method, marker in _MARKERS.items():
        times = [(m.fastest, names.index(m.instance)) for m in measurements if m.method == method]
        if times:
            axes.scatter(*zip(*times, strict=True), marker=marker, label=method)
    axes.set_xscale("log")
    axes.set_xlabel("seconds")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path, dpi=130)
    except (OSError, ValueError) as error:
        raise UsageError(f"`--plot` = {str(path)!r} cannot be written: {error}") from error
