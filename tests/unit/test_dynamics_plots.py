"""Pictures of games show the numbers they are given."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dynamics import GDA, OGD, Bilinear, DiracGAN, Extragradient, Quadratic
from dynamics.flows import flow
from dynamics.orbits import orbit
from dynamics.plots import (
    plot_eigenvalue_paths,
    plot_energy_drift,
    plot_phase_portrait,
    plot_rate_curves,
)
from dynamics.region_plots import plot_stability_region
from dynamics.stability_maps import RegionMap, stability_region

ROOT = Path(__file__).resolve().parents[2]


def rendered(ax):
    buffer = io.BytesIO()
    ax.figure.savefig(buffer, format="png")
    return buffer.getvalue().startswith(b"\x89PNG")


def test_a_phase_portrait_draws_every_start_of_every_path():
    game = Bilinear(1.0, b=[1.0], c=[-2.0])
    starts = np.array([[1.0, 1.0], [2.0, 0.0]])
    path = orbit(game, GDA(0.1), starts, 10, save=1)
    followed = flow(game, starts, np.linspace(0.0, 1.0, 5))
    ax = plot_phase_portrait(game, {"orbit": path, "flow": followed})
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(lines["orbit"].get_xydata(), path.states[:, 0])
    np.testing.assert_array_equal(lines["flow"].get_xydata(), followed.states[:, 0])
    # Two paths with two starts each, a mark at each start, and the equilibrium.
    assert len(ax.lines) == 9
    assert ax.lines[-1].get_xydata().tolist() == [game.equilibrium.tolist()]
    assert rendered(ax)


def test_the_arrows_of_a_portrait_point_along_the_flow():
    game = DiracGAN("gan")
    ax = plot_phase_portrait(game, {"path": orbit(game, GDA(0.1), [1.0, 0.0], 30, save=1)})
    [arrows] = ax.collections
    velocity = -game.field(arrows.get_offsets())
    cosines = (velocity[:, 0] * arrows.U + velocity[:, 1] * arrows.V) / np.hypot(*velocity.T)
    np.testing.assert_allclose(cosines, 1.0)


def test_only_games_in_the_plane_have_a_portrait():
    with pytest.raises(ValueError, match=r"must have dimensions \(1, 1\)"):
        plot_phase_portrait(Bilinear([[1.0, 2.0]]), {})


def test_rate_curves_mark_the_best_step():
    u = np.linspace(0.0, 1.2, 121)
    ax = plot_rate_curves(u, {"EG": np.sqrt(1.0 - u**2 + u**4), "sim": np.sqrt(1.0 + u**2)})
    marks = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert [mark.get_xdata()[0] for mark in marks] == [pytest.approx(0.71)]
    assert rendered(ax)
    with pytest.raises(ValueError, match="must have 121 values each"):
        plot_rate_curves(u, {"short": [1.0]})


def test_eigenvalues_are_drawn_where_they_are():
    eta = np.linspace(0.1, 1.0, 10)
    values = np.stack([1 + 1j * eta, 1 - 1j * eta], axis=1)
    ax = plot_eigenvalue_paths(eta, values)
    points = ax.collections[0].get_offsets()
    np.testing.assert_allclose(points[:, 0] + 1j * points[:, 1], values.ravel())
    assert rendered(ax)
    with pytest.raises(ValueError, match=r"`eigenvalues` must be finite, of shape \(10, r\)"):
        plot_eigenvalue_paths(eta, values[:3])


def test_the_drift_that_is_drawn_is_the_drift_of_the_path():
    game = Bilinear(1.0)
    path = orbit(game, GDA(0.1, order="alternating_xy"), [1.0, 0.0], 100, save=10)
    followed = flow(game, [1.0, 0.0], np.arange(1.0, 50.0), way="solver")
    ax = plot_energy_drift({"in turn": path, "flow": followed})
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), np.maximum(path.changes, 1e-17))
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), followed.changes)
    assert ax.get_xlabel() == "step or time"
    assert rendered(ax)
    unknown = orbit(Quadratic(1.0, 1.0, 1.0), GDA(0.1), [1.0, 0.0], 10)
    with pytest.raises(ValueError, match="no known invariant for 'damped'"):
        plot_energy_drift({"damped": unknown})


# ---- regions ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def region():
    steps, corrections = np.linspace(0.05, 2.0, 40), np.linspace(-1.0, 1.5, 50)
    method = OGD(1.0, 0.0, order="alternating_xy")
    return stability_region(method, {"step_size": steps, "correction": corrections})


def test_a_map_shows_every_verdict_in_its_place(region):
    ax = plot_stability_region(region)
    cells = np.asarray(ax.collections[0].get_array()).reshape(50, 40)
    np.testing.assert_array_equal(cells == 0, region.verdicts.T == RegionMap.STABLE)
    np.testing.assert_array_equal(cells == 2, region.verdicts.T == RegionMap.UNSTABLE)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step size", "correction")
    assert f"{100 * region.share(RegionMap.STABLE):.4g} %" in ax.get_title()
    assert rendered(ax)


def test_the_boundary_separates_stable_from_other_cells(region):
    radii = np.full(region.verdicts.shape, 1.2)
    ax = plot_stability_region(region, radii=radii)
    vertices = np.concatenate([path.vertices for path in ax.collections[-1].get_paths()])
    x, y = (region.parameters[name].ravel() for name in ("step_size", "correction"))
    # Half way between two cells of different verdicts.
    i = np.clip(np.searchsorted(x, vertices[:, 0]), 1, 39)
    j = np.clip(np.searchsorted(y, vertices[:, 1]), 1, 49)
    stable = region.verdicts == RegionMap.STABLE
    around = np.stack([stable[i - a, j - b] for a in (0, 1) for b in (0, 1)])
    assert (around.any(axis=0) & ~around.all(axis=0)).all()
    assert rendered(ax)


def test_maps_that_are_no_grid_of_two_parameters_are_refused(region):
    line = stability_region(Extragradient(1.0, 1.0), {"step_size": np.array([0.5, 1.5])})
    with pytest.raises(ValueError, match="must vary two parameters"):
        plot_stability_region(line)
    with pytest.raises(ValueError, match="`radii` must have the shape"):
        plot_stability_region(region, radii=np.ones((3, 3)))


# ---- all ----------------------------------------------------------------------------------------
def test_axes_that_are_given_are_used(region):
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert plot_phase_portrait(Bilinear(1.0), {}, ax=ax) is ax
    assert plot_stability_region(region, ax=ax) is ax


def test_drawing_chooses_no_backend():
    program = (
        "from dynamics.plots import plot_rate_curves; plot_rate_curves([0, 1], {'a': [1, 1]});"
        "import sys; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
