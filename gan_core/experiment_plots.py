"""Pictures of experiments: predicted beside measured, objectives side by side.

Every function takes a result, draws and returns ``Axes``; nothing is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_core.plots import COLOURS, draw_band, new_axes, plot_samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gan_core.experiments.coverage import Comparison
    from gan_core.experiments.loss_tracking import LossCurves
    from gan_core.experiments.result import Experiment, Prediction

__all__ = ["plot_comparison", "plot_experiment", "plot_loss_curves"]

_BLUE, _RED, _GREEN = COLOURS[0], COLOURS[1], COLOURS[2]
_GREY, _INK = "#9aa3ad", "#30363d"


def plot_experiment(experiment: Experiment, *, ax: Axes | None = None) -> Axes:
    """Every prediction as a row: where the seeds lie, in units of its tolerance.

    The predicted number is at 0 and what agrees with it is shaded, a half line for a bound. Rows
    are green if confirmed, red if not; the numbers themselves stand beside them.

    Parameters
    ----------
    experiment : Experiment
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from gan_core.experiments import Experiment, prediction
    >>> sure = prediction("one", 1.0, [1.0, 1.01], tolerance=0.1)
    >>> plot_experiment(
    ...     Experiment(name="a", statement="1 = 1.", predictions=(sure,), seconds=0.0)
    ... ).get_title(loc="left")
    '1 = 1.'
    """
    rows = experiment.predictions
    axes = new_axes((9.5, 1.5 + 0.42 * len(rows))) if ax is None else ax
    for row, p in enumerate(rows):
        _draw_row(axes, row, p)
    labels = [f"{p.quantity}\n{_SIGNS[p.relation]} {p.predicted:.4g}" for p in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-_EDGE, _EDGE)
    axes.axvline(0.0, color=_INK, linewidth=0.8, zorder=1)
    axes.set_xlabel("(measured - predicted) / tolerance, one mark per seed; medians at the right")
    axes.set_xticks([-2, -1, 0, 1, 2])
    axes.set_title(experiment.statement, fontsize=10, loc="left")
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return axes


_SIGNS = {"equals": "=", "at most": "\u2264", "at least": "\u2265"}
_EDGE = 2.2


def _draw_row(axes: Axes, row: int, p: Prediction) -> None:
    excess = p.measured - p.predicted
    unit = p.tolerance or float(np.nanmax(np.abs(excess), initial=0.0)) or 1.0
    x = excess / unit
    limit = 1.0 if p.tolerance else 0.0
    left = -_EDGE if p.relation == "at most" else -limit
    right = _EDGE if p.relation == "at least" else limit
    colour = _GREEN if p.is_confirmed else _RED
    axes.barh(
        row, right - left, left=left, height=0.7, color=colour, alpha=0.15, zorder=0, linewidth=0
    )
    shown = np.clip(np.where(np.isfinite(x), x, _EDGE), -2.1, 2.1)
    # Marks of many seeds are spread a little, the same way in every picture.
    spread = 0.5 * (((np.arange(len(x)) * 0.6180339887) % 1.0) - 0.5)
    inside = np.abs(x) <= 2.1
    axes.plot(shown[inside], row + spread[inside], "o", color=colour, markersize=3, zorder=3)
    axes.plot(
        shown[~inside & (shown > 0)],
        row + spread[~inside & (shown > 0)],
        ">",
        color=colour,
        markersize=4,
        zorder=3,
    )
    axes.plot(
        shown[~inside & (shown < 0)],
        row + spread[~inside & (shown < 0)],
        "<",
        color=colour,
        markersize=4,
        zorder=3,
    )
    axes.annotate(
        f"{p.median:.5g}",
        (1.01, row),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=8,
        color=colour,
        annotation_clip=False,
    )


def plot_loss_curves(curves: LossCurves, *, ax: Axes | None = None) -> Axes:
    """The critic's estimate (left axis) and W1 between samples (right axis) along training.

    Parameters
    ----------
    curves : LossCurves
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        The left one.

    Examples
    --------
    >>> from gan_core.data import Ring
    >>> from gan_core.experiments.loss_tracking import follow_losses
    >>> from gan_core.settings import wgan_gp
    >>> small = wgan_gp(critic_hidden=(8,), generator_hidden=(8,), batch=16)
    >>> curves = follow_losses(small, Ring(), seeds=[0], iterations=4, every=2, warm_up=0)
    >>> plot_loss_curves(curves).get_ylabel()
    'critic'
    """
    axes = new_axes((6.6, 4.4)) if ax is None else ax
    steps = curves.iterations.astype(np.float64)
    draw_band(axes, steps, curves.estimate, "critic", _BLUE)
    second = axes.twinx()
    draw_band(second, steps, curves.transport, "W1", _RED)
    what = "critic" if curves.name == "wgan" else "estimate of JS, nats"
    for each, name, colour in ((axes, what, _BLUE), (second, "W1 between samples", _RED)):
        each.set_ylabel(name, color=colour)
        each.tick_params(axis="y", colors=colour)
    axes.set_xlabel("generator step")
    low, high = np.nanmin(curves.correlations), np.nanmax(curves.correlations)
    axes.set_title(f"{curves.name}: rank correlation {low:.3f} to {high:.3f}", fontsize=10)
    axes.grid(color=_GREY, alpha=0.3, linewidth=0.6)
    return axes


def plot_comparison(comparison: Comparison) -> NDArray[np.object_]:
    """Objectives side by side: the samples of a median seed, and what all seeds measure.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    array of matplotlib.axes.Axes, shape (2, objectives)
        Above the samples; below, in the first places, modes, share of high quality and W1 with the
        intervals of their medians, the other places left out.

    Examples
    --------
    >>> from gan_core.experiments.coverage import compare_objectives
    >>> plot_comparison(compare_objectives(seeds=2, iterations=2)).shape
    (2, 4)
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(comparison.coverage)
    columns = max(len(names), 3)
    figure = Figure(figsize=(3.1 * columns, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    halves = np.asarray(figure.subfigures(2, 1, height_ratios=(1.1, 1.0)), dtype=object)
    top = np.asarray(halves[0].subplots(1, columns), dtype=object)
    for axes, name in zip(top, names, strict=False):
        found = comparison.coverage[name]
        middle = int(np.argsort(found.effective_modes, kind="stable")[len(found.modes) // 2])
        plot_samples(
            comparison.samples[name][middle],
            comparison.data.centers,
            comparison.data.std,
            ax=axes,
        )
        axes.set_title(f"{name}\n{axes.get_title()}", fontsize=9)
        axes.tick_params(labelsize=8)
    for axes in top[len(names) :]:
        axes.set_visible(False)
    bottom = halves[1].subplots(1, 3)
    modes = float(len(comparison.data.centers))
    ceiling = next(iter(comparison.coverage.values())).ceiling
    floor = float(np.median(comparison.floor))
    panels: tuple[tuple[str, Mapping[str, NDArray[Any]], float], ...] = (
        ("modes", {n: found.modes for n, found in comparison.coverage.items()}, modes),
        (
            "high quality",
            {n: found.high_quality for n, found in comparison.coverage.items()},
            ceiling,
        ),
        ("W1", comparison.transport, floor),
    )
    for axes, (title, values, reference) in zip(bottom, panels, strict=True):
        for column, name in enumerate(names):
            numbers = np.asarray(values[name], dtype=np.float64)
            spread = 0.4 * (((np.arange(len(numbers)) * 0.6180339887) % 1.0) - 0.5)
            axes.plot(column + spread, numbers, "o", color=_GREY, markersize=3, zorder=2)
            median = comparison.intervals(name)[title]
            axes.errorbar(
                column,
                median.median,
                yerr=[[median.median - median.lower], [median.upper - median.median]],
                color=_BLUE,
                marker="s",
                markersize=5,
                capsize=4,
                linewidth=1.6,
                zorder=3,
            )
        axes.axhline(reference, color=_INK, linewidth=0.9, linestyle="--", zorder=1)
        axes.set_xticks(range(len(names)), [n.replace("_", "\n") for n in names], fontsize=8)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_ylim(bottom=0.0)
        axes.set_title(f"{title}; dashed: real samples", fontsize=9)
        axes.tick_params(axis="y", labelsize=8)
        axes.grid(axis="y", color=_GREY, alpha=0.3, linewidth=0.6)
    grid = np.empty((2, columns), dtype=object)
    grid[0] = top
    grid[1, :3] = bottom
    return grid
