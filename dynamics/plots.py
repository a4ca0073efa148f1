"""Pictures of games: phase portraits, rates, eigenvalues, and what is conserved.

Every function draws on an ``Axes`` and returns it. Nothing is shown and no global state of
matplotlib is touched: without ``ax`` a figure of its own is made, found as ``ax.figure``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dynamics.flows import Flow
from dynamics.orbits import Orbit
from dynamics.protocols import Game
from evidence.validation import as_float_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLOURS",
    "new_axes",
    "plot_eigenvalue_paths",
    "plot_energy_drift",
    "plot_phase_portrait",
    "plot_rate_curves",
]

COLOURS = ("#1f5fa8", "#b8322a", "#2e8b57", "#7b52ab", "#c77f1a", "#17808c")
_GREY, _INK = "#9aa3ad", "#30363d"
_SMALLEST_DRIFT = 1e-17


def plot_phase_portrait(
    game: Game,
    paths: Mapping[str, Orbit | Flow],
    *,
    lines: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Trajectories of several methods over the flow field of a game in the plane.

    Parameters
    ----------
    game : Game
        One variable for each player.
    paths : mapping of labels to Orbit or Flow
        Saved often enough to be drawn; all their starts are.
    lines : bool
        Join the iterates of orbits by lines. Flows are always lines.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        A game that is not in the plane.

    Examples
    --------
    >>> from dynamics import GDA, Bilinear
    >>> from dynamics.orbits import orbit
    >>> game = Bilinear(1.0)
    >>> path = orbit(game, GDA(0.2), [1.0, 0.0], 20, save=1)
    >>> plot_phase_portrait(game, {"at once": path}).get_xlabel()
    'x (minimises)'
    """
    if game.dimensions != (1, 1):
        raise ValueError(f"`game` must have dimensions (1, 1) to be drawn, got {game.dimensions}")
    axes = new_axes((5.6, 5.4)) if ax is None else ax
    drawn = {label: path.states.reshape(len(path.states), -1, 2) for label, path in paths.items()}
    for (label, states), colour in zip(drawn.items(), _cycled(len(drawn)), strict=True):
        is_flow = isinstance(paths[label], Flow)
        for j in range(states.shape[1]):
            axes.plot(
                states[:, j, 0],
                states[:, j, 1],
                linestyle="-" if lines or is_flow else "none",
                marker="" if is_flow else "o",
                markersize=2.6,
                linewidth=1.6 if is_flow else 0.9,
                color=colour,
                label=label if j == 0 else None,
                zorder=3,
            )
            axes.plot(*states[0, j], marker="s", color=_INK, markersize=5, zorder=4)
    _make_square(axes)
    _draw_field(axes, game)
    if game.equilibrium is not None:
        axes.plot(*game.equilibrium, marker="+", color=_INK, markersize=11, markeredgewidth=1.8)
    axes.set_xlabel("x (minimises)")
    axes.set_ylabel("y (maximises)")
    if drawn:
        axes.legend(frameon=True, framealpha=0.9, fontsize=9, loc="upper right")
    return axes


def _make_square(axes: Axes) -> None:
    """Equal scales and a square window around what is drawn."""
    limits = np.array([axes.get_xlim(), axes.get_ylim()])
    middle, half = limits.mean(axis=1), 0.53 * float(np.ptp(limits, axis=1).max())
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    axes.set_aspect("equal")


def _draw_field(axes: Axes, game: Game) -> None:
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    # Half a cell inside, so that no arrow widens the window.
    ticks = (np.arange(19) + 0.5) / 19.0
    x, y = np.meshgrid(left + (right - left) * ticks, bottom + (top - bottom) * ticks)
    velocity = -game.field(np.stack([x, y], axis=-1))
    length = np.linalg.norm(velocity, axis=-1)
    directions = velocity / np.where(length > 0.0, length, 1.0)[..., None]
    axes.quiver(
        x,
        y,
        directions[..., 0],
        directions[..., 1],
        color=_GREY,
        alpha=0.6,
        pivot="mid",
        scale=32.0,
        width=0.0028,
        zorder=1,
    )


def plot_rate_curves(
    parameter: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    name: str = "step size times singular value",
    ax: Axes | None = None,
) -> Axes:
    """Spectral radii against a parameter; above the line at 1 iterates grow.

    The smallest radius of each curve is marked if it lies inside.

    Parameters
    ----------
    parameter : array_like, shape (k,)
    curves : mapping of labels to array_like, shape (k,)
    name : str
        Of the horizontal axis.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        A curve of another length.

    Examples
    --------
    >>> u = np.linspace(0.0, 1.2, 50)
    >>> ax = plot_rate_curves(u, {"extragradient": np.sqrt(1.0 - u**2 + u**4)})
    >>> ax.get_ylabel()
    'spectral radius'
    """
    u = as_float_array(parameter, "parameter", ndim=1)
    axes = new_axes((6.6, 4.6)) if ax is None else ax
    axes.axhline(1.0, color=_INK, linewidth=0.9, zorder=1)
    for (label, values), colour in zip(curves.items(), _cycled(len(curves)), strict=True):
        rho = as_float_array(values, f"curves[{label!r}]", ndim=1)
        if len(rho) != len(u):
            raise ValueError(
                f"`curves` must have {len(u)} values each to match `parameter`, got {len(rho)} "
                f"for {label!r}"
            )
        best = int(np.argmin(rho))
        axes.plot(u, rho, color=colour, linewidth=1.7, label=label)
        if 0 < best < len(u) - 1 and rho[best] < 1.0 - 1e-9:
            axes.plot(u[best], rho[best], marker="o", color=colour, markersize=5)
    axes.set_xlim(u[0], u[-1])
    axes.set_xlabel(name)
    axes.set_ylabel("spectral radius")
    axes.grid(color=_GREY, alpha=0.3, linewidth=0.6)
    axes.legend(frameon=False, fontsize=9, ncols=2)
    return axes


def plot_eigenvalue_paths(
    parameter: ArrayLike, eigenvalues: ArrayLike, *, name: str = "step size", ax: Axes | None = None
) -> Axes:
    """Eigenvalues in the complex plane as a parameter moves, and the unit circle.

    Parameters
    ----------
    parameter : array_like, shape (k,)
    eigenvalues : array_like of complex, shape (k, r)
        In any order at each parameter: they are drawn as points.
    name : str
        Of the parameter, beside the colours.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Eigenvalues for another number of parameters.

    Examples
    --------
    >>> eta = np.linspace(0.1, 1.0, 10)
    >>> ax = plot_eigenvalue_paths(eta, np.stack([1 + 1j * eta, 1 - 1j * eta], axis=1))
    >>> ax.get_xlabel()
    'real part'
    """
    t = as_float_array(parameter, "parameter", ndim=1)
    values = np.asarray(eigenvalues, dtype=np.complex128)
    if values.ndim != 2 or len(values) != len(t) or not np.isfinite(values).all():
        raise ValueError(
            f"`eigenvalues` must be finite, of shape ({len(t)}, r) to match `parameter`, "
            f"got {values.shape}"
        )
    axes = new_axes((6.2, 5.2)) if ax is None else ax
    angle = np.linspace(0.0, 2.0 * np.pi, 361)
    axes.fill(np.cos(angle), np.sin(angle), color=_GREY, alpha=0.13, zorder=0)
    axes.plot(np.cos(angle), np.sin(angle), color=_INK, linewidth=0.9, zorder=1)
    points = axes.scatter(
        values.real.ravel(),
        values.imag.ravel(),
        c=np.repeat(t, values.shape[1]),
        s=9.0,
        cmap="viridis",
        zorder=2,
    )
    axes.plot(values[0].real, values[0].imag, "s", color=_INK, markersize=4, zorder=3)
    figure = axes.get_figure()
    if figure is not None:
        figure.colorbar(points, ax=axes, label=name, fraction=0.046, pad=0.04)
    _make_square(axes)
    axes.set_xlabel("real part")
    axes.set_ylabel("imaginary part")
    return axes


def plot_energy_drift(paths: Mapping[str, Orbit | Flow], *, ax: Axes | None = None) -> Axes:
    """Relative change of each path's invariant over time; logarithmic, largest over the starts.

    Parameters
    ----------
    paths : mapping of labels to Orbit or Flow
        With a known invariant. What has not changed at all is drawn at 1e-17.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        A path without a known invariant.

    Examples
    --------
    >>> from dynamics import GDA, Bilinear
    >>> from dynamics.orbits import orbit
    >>> path = orbit(Bilinear(1.0), GDA(0.1, order="alternating_xy"), [1.0, 0.0], 100, save=10)
    >>> plot_energy_drift({"in turn": path}).get_ylabel()
    'relative change of the invariant'
    """
    axes = new_axes((6.6, 4.4)) if ax is None else ax
    kinds = set()
    for (label, path), colour in zip(paths.items(), _cycled(len(paths)), strict=True):
        if path.invariant is None:
            raise ValueError(f"`paths` has no known invariant for {label!r}; leave it out")
        times = path.times if isinstance(path, Flow) else path.steps
        kinds.add("time" if isinstance(path, Flow) else "step")
        drift = np.maximum(path.changes, _SMALLEST_DRIFT)
        axes.plot(
            times, drift, color=colour, linewidth=1.4, marker="o", markersize=2.5, label=label
        )
    axes.set_yscale("log")
    axes.set_xlabel(" or ".join(sorted(kinds)))
    axes.set_ylabel("relative change of the invariant")
    axes.grid(color=_GREY, alpha=0.3, linewidth=0.6)
    if paths:
        axes.legend(frameon=False, fontsize=9)
    return axes


def _cycled(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def new_axes(size: tuple[float, float]) -> Axes:
    """Axes of a figure unknown to pyplot: nothing to close, and no backend is chosen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()
