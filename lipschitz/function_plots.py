"""The picture of the double cone on a graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from evidence.validation import positive_float
from lipschitz.plots import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_double_cone"]

_BLUE, _GREY, _RED = "#1f5fa8", "#9aa3ad", "#b8322a"
POINTS = 801


def plot_double_cone(
    function: Callable[[float], Any],
    constant: float,
    apexes: Any,
    *,
    lower: float,
    upper: float,
    ax: Axes | None = None,
) -> Axes:
    """Draw a graph with the double cones of slope K at some of its points.

    The part of the graph inside a cone is drawn in red: it shows that f is not K-Lipschitz. What
    is drawn are floats at sampled points; proofs are `double_cone_violation`'s.

    Parameters
    ----------
    function : callable
        Of one float.
    constant : float
        K, positive.
    apexes : sequence of float
        Where the cones stand, between `lower` and `upper`.
    lower, upper : float
        Ends of the interval that is drawn.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError, TypeError
        If K is not positive, the interval is empty, or an apex lies outside.

    Examples
    --------
    >>> ax = plot_double_cone(abs, 1.0, [0.0, 1.0], lower=-2.0, upper=2.0)
    >>> ax.get_title()
    'outside the cones of slope 1'
    >>> plot_double_cone(lambda x: x * x, 1.0, [0.0], lower=-2.0, upper=2.0).get_title()
    'inside the cones of slope 1 (red): not 1-Lipschitz'
    """
    K = positive_float(constant, "constant")
    if not lower < upper or math.isinf(upper - lower):
        raise ValueError(f"`lower` must be less than `upper`, got {lower:g} and {upper:g}")
    x = np.linspace(lower, upper, POINTS)
    y = np.array([float(function(float(t))) for t in x])
    axes = new_axes() if ax is None else ax
    inside = np.zeros(POINTS, dtype=bool)
    low, high = float(y.min()), float(y.max())
    margin = 0.12 * (high - low) or 1.0
    low, high = low - margin, high + margin
    for i, apex in enumerate(apexes):
        if not lower <= apex <= upper:
            raise ValueError(f"`apexes` must lie in [{lower:g}, {upper:g}], got {apex:g}")
        height = float(function(float(apex)))
        rise = K * np.abs(x - apex)
        # Rounding of two values and of their difference must not paint the border red.
        slack = 8.0 * np.finfo(float).eps * (np.abs(y) + abs(height) + K * (abs(apex) + np.abs(x)))
        inside |= np.abs(y - height) > rise + slack
        label = f"double cone, K = {K:g}" if i == 0 else None
        for start, end in ((height + rise, np.full(POINTS, high)),
                           (np.full(POINTS, low), height - rise)):  # fmt: skip
            axes.fill_between(
                x, start, end, where=(start <= end).tolist(), color=_GREY, alpha=0.35,
                linewidth=0.0, label=label,
            )  # fmt: skip
            label = None
        axes.plot([apex], [height], marker="o", color="black", markersize=5, zorder=4)
    axes.plot(x, y, color=_BLUE, linewidth=1.8, label="f", zorder=3)
    if inside.any():
        # Gaps in the line, not only markers: the curve changes its colour.
        axes.plot(x, np.where(inside, y, np.nan), color=_RED, linewidth=2.4, zorder=3.5,
                  label="inside a cone")  # fmt: skip
        axes.set_title(f"inside the cones of slope {K:g} (red): not {K:g}-Lipschitz")
    else:
        axes.set_title(f"outside the cones of slope {K:g}")
    axes.set_xlim(lower, upper)
    axes.set_ylim(low, high)
    axes.set_xlabel("x")
    axes.set_ylabel("f(x)")
    axes.legend(loc="best", frameon=True, framealpha=0.9)
    return axes
