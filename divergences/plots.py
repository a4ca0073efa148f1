"""Pictures of transport: distribution functions, plans, critics, and distances against a parameter.

Every function draws on an ``Axes`` and returns it. Nothing is shown and no global state of
matplotlib is touched: without ``ax`` a figure of its own is made, found as ``ax.figure``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.plans1d import LinePotential, checked_line
from divergences.transport import Transport
from evidence.validation import as_float_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_against_parameter", "plot_cdfs", "plot_plan", "plot_potential"]

_BLUE, _RED, _GREY, _GREEN = "#1f5fa8", "#b8322a", "#9aa3ad", "#2e8b57"


def plot_cdfs(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    *,
    normalize: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Two distribution functions; the shaded area between them is W_1.

    Parameters
    ----------
    x, y, x_weights, y_weights, normalize
        As in ``wasserstein``, one-dimensional.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        As ``wasserstein``.

    Examples
    --------
    >>> ax = plot_cdfs([0, 1], [1, 2])
    >>> ax.get_title()
    '$W_1$ = 1'
    """
    X, Y, a, b, total = checked_line(x, y, x_weights, y_weights, normalize)
    knots, at = np.unique(np.concatenate((X, Y)), return_inverse=True)
    n = len(X)
    F, G = (
        np.add.accumulate(np.bincount(where, weights=w, minlength=len(knots))) / total
        for where, w in ((at[:n], a), (at[n:], b))
    )
    area = math.fsum((np.abs(F - G)[:-1] * np.diff(knots)).tolist())
    margin = 0.05 * (knots[-1] - knots[0] or 1.0)
    knots = np.concatenate(([knots[0] - margin], knots, [knots[-1] + margin]))
    F, G = (np.concatenate(([0.0], values, values[-1:])) for values in (F, G))
    axes = _new_axes() if ax is None else ax
    axes.fill_between(knots, F, G, step="post", color=_GREY, alpha=0.5, label="area $W_1$")
    axes.step(knots, F, where="post", color=_BLUE, label="$F$ of x")
    axes.step(knots, G, where="post", color=_RED, label="$G$ of y")
    axes.set_xlabel("position")
    axes.set_ylabel("mass to the left")
    axes.set_title(f"$W_1$ = {area:.6g}")
    axes.legend(loc="lower right")
    return axes


def plot_plan(result: Transport, x: ArrayLike, y: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """A plan between two clouds in the plane: a line for every move, as strong as its mass.

    Parameters
    ----------
    result : Transport
    x, y : array_like, shape (n, 2) and (m, 2)
        The clouds of the plan.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the clouds are not planar or do not fit the plan.

    Examples
    --------
    >>> from divergences.transport import optimal_transport
    >>> x, y = np.zeros((1, 2)), np.ones((2, 2))
    >>> plot_plan(optimal_transport(x, y), x, y).get_title()
    'cost 1.41421, gap 0'
    """
    from matplotlib.collections import LineCollection

    P, Q = as_float_array(x, "x", ndim=2), as_float_array(y, "y", ndim=2)
    if P.shape[1] != 2 or Q.shape[1] != 2 or (len(P), len(Q)) != result.plan.shape:
        raise ValueError(
            f"`x` and `y` must be the planar clouds of a plan of shape {result.plan.shape}, "
            f"got shapes {P.shape} and {Q.shape}"
        )
    i, j = np.nonzero(result.plan > 0.0)
    mass = result.plan[i, j]
    axes = _new_axes() if ax is None else ax
    axes.add_collection(
        LineCollection(
            list(np.stack((P[i], Q[j]), axis=1)),
            colors=_GREY,
            linewidths=0.3 + 2.0 * mass / mass.max(),
            zorder=1,
        )
    )
    axes.scatter(P[:, 0], P[:, 1], s=14, color=_BLUE, label="x", zorder=2)
    axes.scatter(Q[:, 0], Q[:, 1], s=14, color=_RED, marker="s", label="y", zorder=2)
    axes.set_aspect("equal")
    axes.set_title(f"cost {result.cost:.6g}, gap {result.gap:.2g}")
    axes.legend(loc="best")
    return axes


def plot_potential(potential: LinePotential, *, ax: Axes | None = None) -> Axes:
    """The optimal critic on the line, with the stretches where its slope is one in colour.

    Parameters
    ----------
    potential : LinePotential
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from divergences.plans1d import kantorovich_potential_1d
    >>> plot_potential(kantorovich_potential_1d([0, 1], [1, 2])).get_ylabel()
    'critic'
    """
    axes = _new_axes() if ax is None else ax
    knots, values = potential.knots, potential.values
    axes.plot(knots, values, color=_GREY, zorder=1)
    for slope, colour, label in ((1.0, _GREEN, "slope 1"), (-1.0, _BLUE, "slope -1")):
        steep = np.flatnonzero(potential.slopes == slope)
        for count, k in enumerate(steep):
            axes.plot(
                knots[k : k + 2],
                values[k : k + 2],
                color=colour,
                linewidth=2.0,
                label=label if count == 0 else None,
            )
    axes.plot(knots, values, ".", color="black", markersize=3)
    axes.set_xlabel("position")
    axes.set_ylabel("critic")
    axes.set_title(f"$E_P f - E_Q f$ = {potential.value:.6g}")
    if len(axes.get_legend_handles_labels()[1]):
        axes.legend(loc="best")
    return axes


def plot_against_parameter(
    theta: ArrayLike, curves: Mapping[str, ArrayLike], *, ax: Axes | None = None
) -> Axes:
    """Distances against a parameter; where one is infinite its curve ends at the upper edge.

    Parameters
    ----------
    theta : array_like, shape (k,)
    curves : mapping of labels to array_like, shape (k,)
        Values may be ``inf``, never NaN.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If a curve has another length or holds NaN.

    Examples
    --------
    Two parallel lines at distance theta:

    >>> theta = np.linspace(-1.0, 1.0, 5)
    >>> infinite = np.where(theta == 0.0, 0.0, np.inf)
    >>> ax = plot_against_parameter(theta, {"W1": np.abs(theta), "KL": infinite})
    >>> [line.get_label() for line in ax.lines]
    ['W1', 'KL', 'KL = inf']
    """
    positions = as_float_array(theta, "theta", ndim=1)
    axes = _new_axes() if ax is None else ax
    drawn = {label: _curve(values, label, len(positions)) for label, values in curves.items()}
    finite = [v[np.isfinite(v)] for v in drawn.values()]
    top = max((float(v.max()) for v in finite if v.size), default=1.0)
    edge = 1.1 * top if top > 0.0 else 1.0
    for label, values in drawn.items():
        infinite = np.isposinf(values)
        marker = "o" if np.isfinite(values).sum() == 1 else ""
        [line] = axes.plot(
            positions, np.where(infinite, np.nan, values), label=label, marker=marker
        )
        if infinite.any():
            axes.plot(
                positions[infinite],
                np.full(int(infinite.sum()), edge),
                linestyle="none",
                marker="^",
                color=line.get_color(),
                label=f"{label} = inf",
            )
    axes.set_xlabel("theta")
    axes.set_ylabel("distance")
    axes.legend(loc="best")
    return axes


def _curve(values: ArrayLike, label: str, length: int) -> NDArray[np.float64]:
    curve = np.asarray(values, dtype=np.float64)
    if curve.shape != (length,) or np.isnan(curve).any():
        raise ValueError(
            f"`curves[{label!r}]` must hold {length} numbers or inf, got shape {curve.shape}"
            + (" with NaN" if np.isnan(curve).any() else "")
        )
    return curve


def _new_axes() -> Axes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    return figure.subplots()
