"""Pictures of transport show the numbers they are given."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from divergences.plans1d import kantorovich_potential_1d
from divergences.plots import plot_against_parameter, plot_cdfs, plot_plan, plot_potential
from divergences.transport import optimal_transport
from divergences.transport1d import wasserstein

ROOT = Path(__file__).resolve().parents[2]


def rendered(ax):
    buffer = io.BytesIO()
    ax.figure.savefig(buffer, format="png")
    return buffer.getvalue().startswith(b"\x89PNG")


def test_the_shaded_area_is_the_distance():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(6), rng.standard_normal(4)
    ax = plot_cdfs(x, y)
    polygons = [path.vertices for path in ax.collections[0].get_paths()]
    area = 0.0
    for v in polygons:
        area += 0.5 * abs(np.sum(v[:-1, 0] * v[1:, 1] - v[1:, 0] * v[:-1, 1]))
    # Where the functions cross the polygon touches itself; signed parts would cancel there.
    assert area <= wasserstein(x, y) + 1e-12
    F, G = (np.array(line.get_data()) for line in ax.lines)
    gap = np.abs(F[1] - G[1])[:-1] @ np.diff(F[0])
    assert gap == pytest.approx(wasserstein(x, y), rel=1e-12)
    assert ax.get_title() == f"$W_1$ = {wasserstein(x, y):.6g}"
    assert rendered(ax)


def test_every_move_of_a_plan_is_a_line_between_its_points():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((5, 2)), rng.standard_normal((3, 2))
    result = optimal_transport(x, y)
    ax = plot_plan(result, x, y)
    segments = ax.collections[0].get_segments()
    i, j = np.nonzero(result.plan)
    np.testing.assert_allclose(segments, np.stack((x[i], y[j]), axis=1))
    assert rendered(ax)
    with pytest.raises(ValueError, match="planar clouds of a plan"):
        plot_plan(result, y, x)


def test_the_critic_is_drawn_through_its_knots_with_steep_parts_in_colour():
    f = kantorovich_potential_1d([0.0, 1.0, 5.0], [1.0, 2.0, 4.0])
    ax = plot_potential(f)
    np.testing.assert_array_equal(ax.lines[0].get_data(), (f.knots, f.values))
    assert len(ax.lines) == 2 + np.count_nonzero(f.slopes)
    assert rendered(ax)
    flat = plot_potential(kantorovich_potential_1d([0.0, 1.0], [0.0, 1.0]))
    assert flat.get_legend() is None


def test_infinite_distances_stand_at_the_edge_and_are_named():
    theta = np.linspace(-1, 1, 5)
    kl = np.where(theta == 0, 0.0, np.inf)
    ax = plot_against_parameter(theta, {"W1": np.abs(theta), "KL": kl})
    labels = [line.get_label() for line in ax.lines]
    assert labels == ["W1", "KL", "KL = inf"]
    x, y = ax.lines[2].get_data()
    assert x.tolist() == theta[kl == np.inf].tolist()
    assert min(y) > 1.0
    assert rendered(ax)
    for bad in ([0.0], [np.nan] * 5):
        with pytest.raises(ValueError, match="`curves"):
            plot_against_parameter(theta, {"bad": bad})


def test_axes_that_are_given_are_used():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert plot_cdfs([0.0], [1.0], ax=ax) is ax


def test_drawing_chooses_no_backend():
    program = (
        "from divergences.plots import plot_cdfs; plot_cdfs([0], [1]);"
        "import sys; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
