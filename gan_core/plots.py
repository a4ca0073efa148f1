"""Pictures of training: critics and samples in the plane, gradients layer by layer, curves.

Every function draws on an ``Axes`` and returns it. Nothing is shown and no global state of
matplotlib is touched: without ``ax`` a figure of its own is made, found as ``ax.figure``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.validation import as_float_array, nonnegative_float
from gan_core.measures import value_surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gan_core.networks import StackedMLP

__all__ = ["plot_curves", "plot_layer_gradients", "plot_samples", "plot_value_surface"]

Array = NDArray[np.float64]

COLOURS = ("#1f5fa8", "#b8322a", "#2e8b57", "#7b52ab", "#c77f1a", "#17808c")
_BLUE, _RED, _GREEN, _ORANGE = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[4]
_GREY, _INK = "#9aa3ad", "#30363d"


def plot_value_surface(
    critic: StackedMLP,
    member: int,
    real: ArrayLike,
    generated: ArrayLike | None = None,
    *,
    count: int = 121,
    ax: Axes | None = None,
) -> Axes:
    """Level lines of a planar critic, with the samples it judges.

    Parameters
    ----------
    critic : StackedMLP
        With two inputs.
    member : int
    real, generated : array_like, shape (n, 2)
        Drawn as points; the window surrounds them.
    count : int
        Grid points along each axis.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        A critic or samples that are not planar.

    Examples
    --------
    >>> import torch
    >>> from gan_core.networks import StackedMLP
    >>> critic = StackedMLP([2, 4, 1])
    >>> critic.initialize([torch.Generator().manual_seed(0)])
    >>> plot_value_surface(critic, 0, [[0.0, 0.0], [1.0, 1.0]], count=9).get_title()
    'critic, member 0'
    """
    clouds = [(_planar(real, "real"), "real", _INK, "o")]
    if generated is not None:
        clouds.append((_planar(generated, "generated"), "generated", _ORANGE, "^"))
    points = np.concatenate([cloud for cloud, *_ in clouds])
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    half = 0.65 * max(float(np.ptp(points, axis=0).max()), 1e-6)
    lower, upper = middle - half, middle + half
    x, y, values = value_surface(critic, member, lower.tolist(), upper.tolist(), count)
    axes = new_axes((6.2, 5.2)) if ax is None else ax
    # A constant critic has no levels: one that is level to rounding is drawn flat.
    spread = max(float(np.ptp(values)), 1e-9)
    levels = np.linspace(values.min(), values.min() + spread, 21)
    filled = axes.contourf(x, y, values, levels=levels, cmap="RdYlBu_r", alpha=0.75)
    axes.contour(x, y, values, levels=levels[::2], colors="white", linewidths=0.6)
    figure = axes.get_figure()
    if figure is not None:
        bar = figure.colorbar(filled, ax=axes, label="critic", fraction=0.046, pad=0.03)
        bar.set_ticks(np.linspace(levels[0], levels[-1], 5).tolist())
        bar.ax.set_yticklabels([f"{v:.2g}" for v in np.linspace(levels[0], levels[-1], 5)])
    for cloud, label, colour, marker in clouds:
        axes.scatter(
            cloud[:, 0],
            cloud[:, 1],
            s=11,
            color=colour,
            marker=marker,
            edgecolors="white",
            linewidths=0.3,
            label=label,
            zorder=3,
        )
    axes.set_aspect("equal")
    axes.set_title(f"critic, member {member}")
    axes.legend(frameon=True, framealpha=0.9, fontsize=9, loc="upper right")
    return axes


def plot_samples(
    samples: ArrayLike,
    centers: ArrayLike,
    std: float,
    *,
    deviations: float = 3.0,
    ax: Axes | None = None,
) -> Axes:
    """Samples in the plane over the modes they should cover.

    A circle of three standard deviations stands around every mode; samples inside one are of high
    quality.

    Parameters
    ----------
    samples : array_like, shape (count, 2)
    centers : array_like, shape (modes, 2)
    std : float
    deviations : float
        Radius of the circles in standard deviations.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Samples or centres that are not planar.

    Examples
    --------
    >>> plot_samples([[0.0, 0.0], [0.5, 0.5]], [[0.0, 0.0], [1.0, 1.0]], 0.1).get_title()
    'high quality: 50 %'
    """
    from matplotlib.collections import EllipseCollection

    x, c = _planar(samples, "samples"), _planar(centers, "centers")
    radius = nonnegative_float(std, "std") * deviations
    distance = np.sqrt(((x[:, None] - c[None]) ** 2).sum(axis=2)).min(axis=1)
    good = distance <= radius
    axes = new_axes((5.0, 5.0)) if ax is None else ax
    for some, colour, order in ((~good, _GREY, 2), (good, _BLUE, 3)):
        axes.scatter(
            x[some, 0], x[some, 1], s=3, color=colour, linewidths=0, alpha=0.7, zorder=order
        )
    width = np.full(len(c), 2.0 * radius)
    axes.add_collection(
        EllipseCollection(
            width.tolist(),
            width.tolist(),
            np.zeros(len(c)).tolist(),
            units="xy",
            offsets=c,
            offset_transform=axes.transData,
            facecolors="none",
            edgecolors=_RED,
            linewidths=1.0,
            zorder=4,
        )
    )
    half = 1.25 * max(float(np.abs(c - c.mean(axis=0)).max()), 2.0 * radius, 1e-6)
    middle = c.mean(axis=0)
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    axes.set_aspect("equal")
    outside = int((np.abs(x - middle) > half).any(axis=1).sum())
    beyond = f", {outside} outside" if outside else ""
    axes.set_title(f"high quality: {100.0 * good.mean():.0f} %{beyond}", fontsize=10)
    return axes


def plot_layer_gradients(
    curves: Mapping[str, ArrayLike],
    *,
    name: str = "norm of the weights' gradient",
    ax: Axes | None = None,
) -> Axes:
    """Gradient norms of the layers, one line for each clip bound or penalty, logarithmic.

    Straight lines are powers: a slope down to the first layer is a vanishing gradient, a slope up
    an exploding one.

    Parameters
    ----------
    curves : mapping of labels to array_like, shape (seeds, layers)
        Positive. The line is the median over the seeds, the band reaches from the smallest to the
        largest.
    name : str
        Of the vertical axis: which gradient it is.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If no gradient of a curve is positive: an underflow, or a dead critic.

    Examples
    --------
    >>> plot_layer_gradients({"c = 0.1": [[1.0, 0.1, 0.01]]}).get_yscale()
    'log'
    """
    from matplotlib.ticker import MaxNLocator

    axes = new_axes((6.6, 4.6)) if ax is None else ax
    for (label, values), colour in zip(curves.items(), _cycled(len(curves)), strict=True):
        norms = as_float_array(np.asarray(values, dtype=float), f"curves[{label!r}]", ndim=2)
        norms = np.where(norms > 0.0, norms, np.nan)
        alive = np.isfinite(norms).all(axis=1)
        if not alive.any():
            raise ValueError(
                f"`curves[{label!r}]` has no seed with positive gradients in all layers; train in "
                "float64 or with a larger bound"
            )
        kept = norms[alive]
        layers = np.arange(1, kept.shape[1] + 1)
        axes.fill_between(
            layers, kept.min(axis=0), kept.max(axis=0), color=colour, alpha=0.18, linewidth=0
        )
        lost = "" if alive.all() else f" ({int((~alive).sum())} dead)"
        axes.plot(
            layers,
            np.median(kept, axis=0),
            color=colour,
            marker="o",
            markersize=3.5,
            label=f"{label}{lost}",
        )
    axes.set_yscale("log")
    axes.set_xlabel("layer, from the input")
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=_GREY, alpha=0.3, linewidth=0.6)
    axes.legend(frameon=False, fontsize=9)
    return axes


def plot_curves(
    steps: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    expected: float | None = None,
    name: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Losses or distances along training: medians over the seeds, with bands.

    Parameters
    ----------
    steps : array_like, shape (records,)
    curves : mapping of labels to array_like, shape (records, seeds)
        Dark band: the middle half of the seeds; light band: all of them.
    expected : float, optional
        What theory predicts, drawn as a line.
    name : str
        Of the vertical axis.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        A curve of another length, or numbers that are not finite.

    Examples
    --------
    >>> ax = plot_curves([0, 1], {"loss": [[1.0, 2.0], [0.5, 1.0]]}, name="critic's loss")
    >>> ax.get_ylabel()
    "critic's loss"
    """
    t = as_float_array(np.asarray(steps, dtype=float), "steps", ndim=1)
    axes = new_axes((6.6, 4.4)) if ax is None else ax
    for (label, values), colour in zip(curves.items(), _cycled(len(curves)), strict=True):
        draw_band(
            axes,
            t,
            as_float_array(np.asarray(values, dtype=float), f"curves[{label!r}]", ndim=2),
            label,
            colour,
        )
    if expected is not None:
        axes.axhline(expected, color=_INK, linewidth=1.0, linestyle="--", label="predicted")
    axes.set_xlabel("step")
    axes.set_ylabel(name)
    axes.grid(color=_GREY, alpha=0.3, linewidth=0.6)
    axes.legend(frameon=False, fontsize=9)
    return axes


def draw_band(axes: Axes, steps: Array, values: Array, label: str, colour: str) -> None:
    """A median line with bands of the middle half and of all seeds."""
    if len(values) != len(steps):
        raise ValueError(
            f"`curves` must have {len(steps)} records each to match `steps`, got {len(values)} for "
            f"{label!r}"
        )
    low, first, middle, third, high = np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0], axis=1)
    axes.fill_between(steps, low, high, color=colour, alpha=0.13, linewidth=0)
    axes.fill_between(steps, first, third, color=colour, alpha=0.25, linewidth=0)
    axes.plot(steps, middle, color=colour, linewidth=1.7, label=label)


def _planar(points: ArrayLike, name: str) -> Array:
    x = as_float_array(np.asarray(points, dtype=float), name, ndim=2)
    if x.shape[1] != 2:
        raise ValueError(f"`{name}` must have two columns to be drawn, got {x.shape[1]}")
    return x


def _cycled(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def new_axes(size: tuple[float, float]) -> Axes:
    """Axes as `dynamics.plots` makes them; imported late, since `import gan_core` is cheap."""
    from dynamics import plots

    return plots.new_axes(size)
