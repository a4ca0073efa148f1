"""Pictures of spectra and of enclosures. Every function draws on an `Axes` and returns it.

Nothing is shown and no global state of matplotlib is touched: without ``ax`` a figure of its own is
made, which the caller finds as ``ax.figure`` and which is freed with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from evidence import Enclosure
from evidence.validation import as_float_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_enclosures", "plot_spectrum"]

_BLUE, _GREY, _RED = "#1f5fa8", "#9aa3ad", "#b8322a"


def plot_spectrum(
    values: ArrayLike, *, supremum: Enclosure | None = None, ax: Axes | None = None
) -> Axes:
    """Singular values of a convolution's symbol over the frequencies.

    Parameters
    ----------
    values : array_like, shape (n, r) or (n_1, n_2, r)
        The singular values at every frequency of a DFT grid, in the order of ``numpy.fft``:
        frequency ``2 pi j / n`` first along each axis. One axis: ``r`` curves. Two axes: a map of
        the largest value at each frequency.
    supremum : Enclosure, optional
        A proved enclosure of the supremum over all frequencies, drawn as a line (one axis) or
        written beside the colours (two axes).
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If ``values`` has another number of axes.

    Examples
    --------
    >>> w = 2 * np.pi * np.arange(64) / 64
    >>> ax = plot_spectrum(np.abs(2 - 2 * np.cos(w))[:, None], supremum=Enclosure(4.0, 4.1))
    >>> ax.get_xlabel()
    'frequency'
    """
    spectrum = as_float_array(values, "values", ndim=(2, 3))
    axes = new_axes() if ax is None else ax
    if spectrum.ndim == 2:
        _draw_curves(axes, spectrum, supremum)
    else:
        _draw_map(axes, spectrum.max(axis=2), supremum)
    return axes


def _draw_curves(axes: Axes, spectrum: np.ndarray, supremum: Enclosure | None) -> None:
    n = len(spectrum)
    # From -pi to pi, both ends included: the curves are periodic.
    order = np.concatenate([np.arange(-(n // 2), (n + 1) // 2), [-(n // 2)]])
    frequencies = 2.0 * math.pi * np.append(order[:-1], -order[0] if n % 2 == 0 else n - n // 2) / n
    curves = spectrum[order % n]
    axes.plot(frequencies, curves[:, 1:], color=_GREY, linewidth=0.7)
    axes.plot(frequencies, curves[:, 0], color=_BLUE, linewidth=1.8, label="largest")
    if supremum is not None:
        axes.axhline(
            supremum.upper, color=_RED, linewidth=1.0, linestyle="--", label="proved bound"
        )
        axes.legend(loc="lower left", frameon=False)
    axes.set_xlim(-math.pi, math.pi)
    axes.set_ylim(bottom=0.0)
    axes.set_xticks([-math.pi, 0.0, math.pi], ["$-\\pi$", "0", "$\\pi$"])
    axes.set_xlabel("frequency")
    axes.set_ylabel("singular values of the symbol")


def _draw_map(axes: Axes, largest: np.ndarray, supremum: Enclosure | None) -> None:
    # The cell of frequency 0 is centred on 0; for an even size, that of -pi ends the map.
    extent = []
    for n in (largest.shape[1], largest.shape[0]):
        first = -(n // 2) - 0.5
        extent += [2.0 * math.pi * first / n, 2.0 * math.pi * (first + n) / n]
    image = axes.imshow(
        np.fft.fftshift(largest),
        origin="lower",
        extent=(extent[0], extent[1], extent[2], extent[3]),
        aspect="equal",
        cmap="viridis",
        interpolation="nearest",
    )
    label = "largest singular value"
    if supremum is not None:
        label += f" (supremum {supremum.lower:.6g})"
    figure = axes.get_figure()
    if figure is not None:
        figure.colorbar(image, ax=axes, label=label, fraction=0.046, pad=0.04)
    row, column = np.unravel_index(int(np.argmax(largest)), largest.shape)
    peak = [
        2.0 * math.pi * ((index + n // 2) % n - n // 2) / n
        for index, n in ((int(column), largest.shape[1]), (int(row), largest.shape[0]))
    ]
    axes.plot(
        *peak,
        marker="o",
        fillstyle="none",
        color=_RED,
        markersize=11,
        markeredgewidth=1.8,
        clip_on=False,
    )
    ticks, names = [-math.pi, 0.0, math.pi], ["$-\\pi$", "0", "$\\pi$"]
    axes.set_xticks(ticks, names)
    axes.set_yticks(ticks, names)
    axes.set_xlabel("horizontal frequency")
    axes.set_ylabel("vertical frequency")


def plot_enclosures(
    enclosures: Sequence[Enclosure], labels: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Enclosures as horizontal intervals, the first on top.

    A bound that is known on one side only is drawn with an arrow towards the unknown side, and
    an enclosure that is too narrow to be seen as a bar. The axis is logarithmic if all numbers are
    positive and more than a factor of 20 apart.

    Parameters
    ----------
    enclosures : sequence of Enclosure
        At least one finite number each.
    labels : sequence of str
        One for each.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are none, the lengths differ, or an enclosure has no finite side.

    Examples
    --------
    >>> ax = plot_enclosures([Enclosure(1.0, 2.0), Enclosure.at_least(1.5)], ["sdp", "ascent"])
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['sdp', 'ascent']
    """
    if not enclosures or len(enclosures) != len(labels):
        raise ValueError(
            f"`enclosures` and `labels` must have the same length, at least 1, got "
            f"{len(enclosures)} and {len(labels)}"
        )
    finite = [x for e in enclosures for x in (e.lower, e.upper) if math.isfinite(x)]
    for label, enclosure in zip(labels, enclosures, strict=True):
        if not (math.isfinite(enclosure.lower) or math.isfinite(enclosure.upper)):
            raise ValueError(f"`enclosures` has nothing to draw for {label!r}: both sides are open")
    axes = new_axes() if ax is None else ax
    low, high = min(finite), max(finite)
    logarithmic = low > 0.0 and high > 20.0 * low
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    left = low / (high / low) ** 0.08 if logarithmic else low - margin
    right = high * (high / low) ** 0.08 if logarithmic else high + margin
    if logarithmic:
        axes.set_xscale("log")
    for row, enclosure in enumerate(enclosures):
        a, b = max(enclosure.lower, left), min(enclosure.upper, right)
        axes.plot([a, b], [row, row], color=_BLUE, linewidth=3.0, solid_capstyle="butt")
        for x, known, arrow in ((a, enclosure.lower, "<"), (b, enclosure.upper, ">")):
            marker = "|" if math.isfinite(known) else arrow
            axes.plot(
                [x],
                [row],
                marker=marker,
                color=_BLUE,
                markersize=9,
                markeredgewidth=1.6,
                clip_on=False,
            )
    axes.set_xlim(left, right)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), list(labels))
    axes.grid(axis="x", color=_GREY, alpha=0.35, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def new_axes() -> Axes:
    """Axes of a figure unknown to pyplot: nothing to close, and no backend is chosen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()
