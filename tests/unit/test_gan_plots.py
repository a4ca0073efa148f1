"""Pictures of training show the numbers they are given."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_core.data import Ring
from gan_core.experiment_plots import plot_comparison, plot_experiment, plot_loss_curves
from gan_core.experiments.coverage import compare_objectives
from gan_core.experiments.loss_tracking import LossCurves
from gan_core.experiments.result import Experiment, prediction
from gan_core.networks import StackedMLP
from gan_core.plots import plot_curves, plot_layer_gradients, plot_samples, plot_value_surface

ROOT = Path(__file__).resolve().parents[2]


def rendered(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue().startswith(b"\x89PNG")


def test_a_value_surface_surrounds_both_clouds_and_marks_them():
    critic = StackedMLP([2, 8, 1])
    critic.initialize([torch.Generator().manual_seed(0)])
    real, made = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 1.0]])
    ax = plot_value_surface(critic, 0, real, made, count=21)
    marks = [c.get_offsets() for c in ax.collections if len(c.get_offsets()) == 2]
    np.testing.assert_array_equal(marks[0], real)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert left < 0.0
    assert right > 2.0
    assert bottom < 0.0
    assert top > 1.0
    assert rendered(ax.figure)


def test_a_constant_critic_is_drawn_flat():
    assert rendered(plot_value_surface(StackedMLP([2, 2, 1]), 0, [[0.0, 0.0]], count=5).figure)


def test_samples_are_told_apart_by_the_circles():
    centers = Ring().centers
    samples = np.concatenate([centers, [[0.0, 0.0], [9.0, 9.0]]])
    ax = plot_samples(samples, centers, 0.02)
    poor, good = (c.get_offsets() for c in ax.collections[:2])
    np.testing.assert_array_equal(good, centers)
    assert len(poor) == 2
    assert ax.get_title() == "high quality: 80 %, 1 outside"
    assert rendered(ax.figure)


def test_layer_gradients_are_medians_over_living_seeds():
    norms = np.array([[1.0, 0.1], [3.0, 0.3], [2.0, 0.2], [1.0, 0.0]])
    ax = plot_layer_gradients({"c = 0.1": norms}, name="gradient")
    [line] = ax.lines
    assert line.get_label() == "c = 0.1 (1 dead)"
    np.testing.assert_allclose(line.get_ydata(), [2.0, 0.2])
    assert rendered(ax.figure)
    with pytest.raises(ValueError, match="no seed with positive gradients"):
        plot_layer_gradients({"dead": np.zeros((2, 3))})


def test_curves_are_medians_with_bands_and_the_prediction():
    values = np.arange(12.0).reshape(4, 3)
    ax = plot_curves(np.arange(4), {"critic": values}, expected=1.05, name="value")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), values[:, 1])
    assert ax.lines[1].get_ydata()[0] == 1.05
    assert len(ax.collections) == 2
    assert rendered(ax.figure)
    with pytest.raises(ValueError, match="must have 3 records"):
        plot_curves(np.arange(3), {"critic": values})


def test_an_experiment_shows_where_every_seed_lies():
    rows = (
        prediction("equal", 1.0, [1.05, 0.95], tolerance=0.1),
        prediction("bound", 1.0, [0.2, 0.9], tolerance=0.0, relation="at most"),
        prediction("missed", 0.0, [5.0, np.nan], tolerance=0.1),
    )
    ax = plot_experiment(Experiment(name="x", statement="So.", predictions=rows, seconds=0.0))
    inside = ax.lines[0].get_xdata()
    np.testing.assert_allclose(inside, [0.5, -0.5])
    colours = {line.get_color() for line in ax.lines[6:9]}
    assert colours == {"#b8322a"}
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["equal\n= 1", "bound\n\u2264 1", "missed\n= 0"]
    assert rendered(ax.figure)


def test_loss_and_distance_have_an_axis_each():
    curves = LossCurves(
        iterations=np.array([1, 2, 3]),
        estimate=np.array([[3.0, 3.1], [2.0, 2.2], [1.0, 1.1]]),
        transport=np.array([[0.3, 0.3], [0.2, 0.2], [0.1, 0.1]]),
        name="wgan",
    )
    ax = plot_loss_curves(curves)
    assert ax.get_title() == "wgan: rank correlation 1.000 to 1.000"
    left, right = ax.figure.axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), [3.05, 2.1, 1.05])
    np.testing.assert_allclose(right.lines[0].get_ydata(), [0.3, 0.2, 0.1])
    assert rendered(ax.figure)


@pytest.mark.parametrize("names", [["hinge"], ["minimax", "nonsaturating", "hinge", "wgan_gp"]])
def test_a_comparison_shows_every_objective_and_every_seed(names):
    found = compare_objectives(seeds=3, iterations=2, objectives=names)
    axes = plot_comparison(found)
    assert [ax.get_title().splitlines()[0] for ax in axes[0][: len(names)]] == names
    modes = axes[1, 0]
    assert len(modes.lines[0].get_xdata()) == 3
    assert rendered(modes.figure.figure)


def test_drawing_needs_no_pyplot():
    code = (
        "import sys; from gan_core.plots import plot_curves; "
        "plot_curves([0.0, 1.0], {'a': [[1.0], [2.0]]}); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
