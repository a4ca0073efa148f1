"""The picture behind ``--plot``: six panels about gradient methods on two-player games."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.dynamics_maps import iteration_matrices
from benchmarks.running import UsageError

__all__ = ["draw_dynamics"]


def draw_dynamics(path: Path) -> None:
    """Draw trajectories, a stability map, rates, eigenvalues, drift and local errors.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(17.0, 10.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    _trajectories(axes[0, 0])
    _map(axes[0, 1])
    _rates(axes[0, 2])
    _eigenvalues(axes[1, 0])
    _drift(axes[1, 1])
    _local_errors(axes[1, 2])
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise UsageError(f"`--plot` = {str(path)!r} cannot be written: {error}") from error


def _trajectories(ax: Any) -> None:
    from dynamics import GDA, Bilinear, Extragradient, OptimisticGDA
    from dynamics.flows import flow
    from dynamics.orbits import orbit
    from dynamics.plots import plot_phase_portrait

    game, start = Bilinear(1.0), [1.0, 0.0]
    methods = {
        "at once, 0.15": GDA(0.15),
        "in turn, 0.5": GDA(0.5, order="alternating_xy"),
        "extragradient, 0.3": Extragradient(0.3),
        "optimistic, 0.2": OptimisticGDA(0.2),
    }
    paths: dict[str, Any] = {"flow": flow(game, start, np.linspace(0.0, 2.0 * np.pi, 200))}
    for label, method in methods.items():
        paths[label] = orbit(game, method, start, 60, save=1)
    plot_phase_portrait(game, paths, ax=ax)
    ax.set_title("Sixty steps on $xy$", fontsize=10)


def _map(ax: Any) -> None:
    from dynamics import OGD
    from dynamics.region_plots import plot_stability_region
    from dynamics.stability_maps import stability_region

    alpha, beta = 0.01 * np.arange(1.0, 201.0), np.linspace(-1.0, 1.5, 200)
    method = OGD(1.0, 0.0, order="alternating_xy")
    region = stability_region(method, {"step_size": alpha, "correction": beta})
    matrices = iteration_matrices("optimistic", "alternating_xy", alpha, beta)
    radii = np.abs(np.linalg.eigvals(matrices)).max(axis=-1).reshape(200, 200)
    plot_stability_region(region, radii=radii, ax=ax)
    ax.set_title(f"Optimistic steps in turn; {ax.get_title()}", fontsize=10)


def _rates(ax: Any) -> None:
    import dynamics as d
    from dynamics.plots import plot_rate_curves

    game, u = d.Bilinear(1.0), np.linspace(0.005, 1.2, 240)
    families: dict[str, Callable[[float], Any]] = {
        "at once": d.GDA,
        "in turn": lambda s: d.GDA(s, order="alternating_xy"),
        "extragradient": d.Extragradient,
        "optimistic": d.OptimisticGDA,
        "proximal point": d.ProximalPoint,
    }
    curves = {
        label: [
            float(np.abs(np.linalg.eigvals(family(s).iteration_matrix(game))).max())
            for s in u.tolist()
        ]
        for label, family in families.items()
    }
    plot_rate_curves(u, curves, ax=ax)
    ax.set_title("Spectral radius of one iteration", fontsize=10)


def _eigenvalues(ax: Any) -> None:
    from dynamics import Bilinear, OptimisticGDA
    from dynamics.plots import plot_eigenvalue_paths

    game, steps = Bilinear(1.0), np.linspace(0.005, 0.8, 320)
    values = [np.linalg.eigvals(OptimisticGDA(s).iteration_matrix(game)) for s in steps.tolist()]
    plot_eigenvalue_paths(steps, np.array(values), ax=ax)
    ax.set_title("Eigenvalues of optimistic steps", fontsize=10)


def _drift(ax: Any) -> None:
    from dynamics import GDA, Bilinear
    from dynamics.flows import flow
    from dynamics.orbits import orbit
    from dynamics.plots import plot_energy_drift

    game, start = Bilinear(1.0), [1.0, 0.0]
    times = np.linspace(10.0, 2000.0, 100)
    paths: dict[str, Any] = {
        "in turn, by powers": orbit(game, GDA(1.0, order="alternating_xy"), start, 2000, save=20),
        "flow by DOP853, rtol 1e-10": flow(game, start, times, way="solver"),
        "flow by the midpoint rule": flow(game, start, times, way="midpoint", step_size=0.25),
        "flow, exact": flow(game, start, times),
    }
    plot_energy_drift(paths, ax=ax)
    ax.set_title("What is conserved", fontsize=10)


def _local_errors(ax: Any) -> None:
    from dynamics import DiracGAN
    from dynamics.modified_fields import local_errors

    sizes = [0.2, 0.1, 0.05, 0.025, 0.0125]
    starts = [[1.0, 1.0], [0.5, -1.0]]
    for order, colour, words in (
        ("simultaneous", "#1f5fa8", "at once"),
        ("alternating_xy", "#b8322a", "in turn"),
    ):
        found = local_errors(DiracGAN("gan"), starts, sizes, order=order)  # type: ignore[arg-type]
        for errors, slope, style, field in (
            (found.plain, found.plain_order, "o-", "field"),
            (found.corrected, found.corrected_order, "s--", "modified field"),
        ):
            label = f"{words}, {field}: order {slope:.2f}"
            ax.plot(found.step_sizes, errors, style, color=colour, markersize=4, label=label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("step size")
    ax.set_ylabel("distance of one step from the flow")
    ax.grid(color="#9aa3ad", alpha=0.3, linewidth=0.6)
    ax.legend(fontsize=9, frameon=False)
    ax.set_title("Backward error analysis of the Dirac-GAN", fontsize=10)
