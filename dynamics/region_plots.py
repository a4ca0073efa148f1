"""Maps of step sizes: where a method converges, how fast, and the proved boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from dynamics.plots import new_axes
from dynamics.stability_maps import RegionMap
from evidence.validation import as_float_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_stability_region"]

_VERDICTS = (
    (RegionMap.STABLE, "stable", "#1f5fa8"),
    (RegionMap.MARGINAL, "marginal", "#e0a030"),
    (RegionMap.UNSTABLE, "unstable", "#e9e6e1"),
    (RegionMap.INCONCLUSIVE, "inconclusive", "#30363d"),
)
_INK = "#30363d"


def plot_stability_region(
    region: RegionMap, *, radii: ArrayLike | None = None, ax: Axes | None = None
) -> Axes:
    """A map of verdicts over two parameters, with the boundary of the stable cells.

    Parameters
    ----------
    region : RegionMap
        Over a grid of two parameters, each varying along one axis.
    radii : array_like, shape of the grid, optional
        Spectral radii, drawn as colours (up to 1.5) in the place of plain verdicts. They are
        floats; the boundary is that of the verdicts.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        A region that is no grid of two parameters, or radii of another shape.

    Examples
    --------
    >>> from dynamics import GDA
    >>> from dynamics.stability_maps import stability_region
    >>> steps = np.linspace(0.1, 4.0, 20)
    >>> region = stability_region(
    ...     GDA(1.0, order="alternating_xy"), {"step_size_x": steps, "step_size_y": steps}
    ... )
    >>> plot_stability_region(region).get_ylabel()
    'step size of y'
    """
    names, x, y, verdicts = _two_axes(region)
    axes = new_axes((6.4, 5.0)) if ax is None else ax
    if radii is None:
        _draw_verdicts(axes, x, y, verdicts)
    else:
        colours = as_float_array(radii, "radii", ndim=2)
        if colours.shape != region.verdicts.shape:
            raise ValueError(
                f"`radii` must have the shape {region.verdicts.shape} of the map, "
                f"got {colours.shape}"
            )
        turned = colours if verdicts is region.verdicts else colours.T
        _draw_radii(axes, x, y, turned)
    is_stable = verdicts == RegionMap.STABLE
    if is_stable.any() and not is_stable.all():
        axes.contour(x, y, is_stable.astype(float), levels=[0.5], colors=[_INK], linewidths=1.6)
    axes.set_xlabel(_words(names[0]))
    axes.set_ylabel(_words(names[1]))
    axes.set_title(f"stable: {100.0 * region.share(RegionMap.STABLE):.4g} % of cells", fontsize=10)
    return axes


def _two_axes(region: RegionMap) -> tuple[list[str], Any, Any, Any]:
    """Names, ticks and verdicts with the first parameter along the columns."""
    shapes = {name: values.shape for name, values in region.parameters.items()}
    names = list(shapes)
    spans = [[axis for axis, n in enumerate(shape) if n > 1] for shape in shapes.values()]
    if region.verdicts.ndim != 2 or len(names) != 2 or sorted(map(tuple, spans)) != [(0,), (1,)]:
        raise ValueError(
            f"`region` must vary two parameters along one axis each to be drawn, got {shapes}"
        )
    x, y = (region.parameters[name].ravel() for name in names)
    return names, x, y, region.verdicts if spans[0] == [1] else region.verdicts.T


def _words(name: str) -> str:
    field, _, player = name.rpartition("_")
    text = f"{field} of {player}" if field and player in ("x", "y") else name
    return text.replace("_", " ")


def _draw_verdicts(axes: Axes, x: Any, y: Any, verdicts: Any) -> None:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    index = np.zeros(verdicts.shape)
    shown = []
    for i, (verdict, label, colour) in enumerate(_VERDICTS):
        where = verdicts == verdict
        index[where] = i
        if where.any():
            shown.append(Patch(facecolor=colour, edgecolor=_INK, linewidth=0.5, label=label))
    colours = ListedColormap([colour for _, _, colour in _VERDICTS])
    axes.pcolormesh(x, y, index, cmap=colours, vmin=-0.5, vmax=3.5, rasterized=True)
    axes.legend(handles=shown, fontsize=9, framealpha=0.95, loc="upper right")


def _draw_radii(axes: Axes, x: Any, y: Any, radii: Any) -> None:
    from matplotlib.colors import TwoSlopeNorm

    image = axes.pcolormesh(
        x,
        y,
        np.minimum(radii, 1.5),
        cmap="RdBu_r",
        norm=TwoSlopeNorm(1.0, vmin=min(0.5, float(radii.min()) - 1e-9), vmax=1.5),
        rasterized=True,
    )
    figure = axes.get_figure()
    if figure is not None:
        label = "spectral radius (up to 1.5)"
        figure.colorbar(image, ax=axes, label=label, fraction=0.046, pad=0.04)
