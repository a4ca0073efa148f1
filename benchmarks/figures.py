"""The picture behind ``--plot``: a spectrum, bounds against time, and whole networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.comparison import EVERY_SIZE, PEERS, LayerTask
from benchmarks.harness import Measurement
from benchmarks.peers import as_stride_one
from benchmarks.running import UsageError
from evidence import Enclosure
from lipschitz.plots import plot_enclosures, plot_spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw", "plot_bounds_against_time", "spectrum_values"]

_GRID = 64
_COLOURS = ("#1f77b4", "#17becf", "#7b52ab", "#2e8b57", "#999999", "#e0a030", "#8c564b")
_LARGEST_WORK = 2e9  # multiplications for one map of singular values


def draw(path: Path, tasks: Sequence[Any], measurements: Sequence[Measurement]) -> None:
    """Draw whichever of the three panels the measurements allow, and write the file.

    Raises
    ------
    UsageError
        If there is nothing to draw, or the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layer = _drawable_layer(tasks)
    compared = any(m.method == peer.name for m in measurements for peer in PEERS)
    whole = [m for m in measurements if (m.instance, m.method) == ("whole network", "ours")]
    panels = [name for name, wanted in zip("abc", (layer, compared, whole), strict=True) if wanted]
    if not panels:
        raise UsageError(f"`--plot` = {str(path)!r}: nothing was measured that can be drawn")
    figure = Figure(figsize=(5.6 * len(panels), 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = dict(zip(panels, np.ravel(figure.subplots(1, len(panels))), strict=True))
    if layer is not None:
        plot_spectrum(spectrum_values(layer), supremum=_supremum(layer, measurements), ax=axes["a"])
        axes["a"].set_title(f"{layer.group}\n{layer.name}", fontsize=10)
    if compared:
        plot_bounds_against_time(measurements, ax=axes["b"])
    if whole:
        plot_enclosures(
            [Enclosure(m.lower, m.upper) for m in whole],
            [f"{m.group}, {m.quantity}" for m in whole],
            ax=axes["c"],
        )
        axes["c"].set_title("Lipschitz constants of whole networks", fontsize=10)
    try:
        figure.savefig(path, dpi=130)
    except (OSError, ValueError) as error:
        raise UsageError(f"`--plot` = {str(path)!r} cannot be written: {error}") from error


# ---- a spectrum ---------------------------------------------------------------------------------
def spectrum_values(task: LayerTask) -> NDArray[np.float64]:
    """Singular values at every frequency of a grid of 64 points per axis, shape (*grid, r)."""
    layer = task.layer
    grid = tuple(_GRID * s for s in layer.stride)
    kernels, shape = as_stride_one(
        np.array(layer.kernel),
        grid,
        stride=layer.stride,
        dilation=layer.dilation,
        groups=layer.groups,
    )
    axes = tuple(range(3, kernels.ndim))
    symbols = np.moveaxis(np.fft.fftn(kernels, shape, axes=axes), (1, 2), (-2, -1))
    values = np.linalg.svd(symbols, compute_uv=False)  # (groups, *grid, r)
    merged = np.moveaxis(values, 0, -2).reshape(*shape, -1)
    return np.asarray(np.sort(merged, axis=-1)[..., ::-1])


def _drawable_layer(tasks: Sequence[Any]) -> LayerTask | None:
    """The first layer in one or two dimensions whose spectrum costs little, two preferred."""
    found: list[LayerTask] = []
    for task in tasks:
        if isinstance(task, LayerTask) and len(task.layer.kernel_size) < 3:
            outer, inner = task.layer.kernel.shape[:2]
            inner *= math.prod(task.layer.stride)
            work = outer * inner * min(outer, inner) * _GRID ** len(task.layer.kernel_size)
            if work <= _LARGEST_WORK:
                found.append(task)
    return max(found, key=lambda task: len(task.layer.kernel_size), default=None)


def _supremum(task: LayerTask, measurements: Sequence[Measurement]) -> Enclosure | None:
    wanted = (task.group, task.name, EVERY_SIZE, "proved")
    for m in measurements:
        if (m.group, m.instance, m.quantity, m.claim) == wanted:
            return Enclosure(m.lower, m.upper, m.note)
    return None


# ---- bounds against time ------------------------------------------------------------------------
def plot_bounds_against_time(measurements: Sequence[Measurement], *, ax: Axes) -> Axes:
    """Every peer's value over its time, both divided by ours for the same quantity; logarithmic.

    A peer that speaks of another matrix is divided by our bound for every size. Layers on which
    ours takes less than 20 ms are drawn small.
    """
    proved = {(m.group, m.instance, m.quantity): m for m in measurements if m.claim == "proved"}
    for peer, colour in zip(PEERS, _COLOURS, strict=True):
        points: list[tuple[float, float, float, str]] = []
        for m in (m for m in measurements if m.method == peer.name and m.seconds):
            every_size = proved.get((m.group, m.instance, EVERY_SIZE))
            ours = proved.get((m.group, m.instance, m.quantity), every_size)
            if ours is not None and ours.upper > 0.0 and m.value > 0.0:
                size = 36.0 if ours.fastest > 0.02 else 9.0
                rim = "red" if m.note == "too low" else colour
                points.append((m.fastest / ours.fastest, m.value / ours.upper, size, rim))
        if points:
            x, y, sizes, rims = (list(column) for column in zip(*points, strict=True))
            ax.scatter(x, y, s=sizes, c=colour, edgecolors=rims, linewidths=1.4, label=peer.name)
    ax.scatter([1.0], [1.0], s=90, c="#111111", marker="D", label="ours, proved", zorder=3)
    ax.axhline(1.0, color="#111111", linewidth=0.8, zorder=0)
    ax.axvline(1.0, color="#111111", linewidth=0.8, zorder=0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    bottom, top = ax.get_ylim()
    ticks = [
        t for t in (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0) if bottom < t < top
    ]
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_yticks([], minor=True)
    ax.grid(color="#9aa3ad", alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel("time / our time for the same quantity")
    ax.set_ylabel("value / our proved upper bound")
    ax.set_title(
        "Bounds against time, one point per layer (small: under 20 ms)\n"
        "red rim: meant as an upper bound, but too low",
        fontsize=10,
    )
    ax.legend(fontsize=8, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    return ax
