"""Pictures show what they are given, and leave no trace in matplotlib's global state."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from evidence import Enclosure
from lipschitz.plots import plot_enclosures, plot_spectrum

ROOT = Path(__file__).resolve().parents[2]


def symbol_of_laplacian(n: int) -> np.ndarray:
    """``|2 - 2 cos w|`` on an n-grid in the order of ``numpy.fft``: the kernel [-1, 2, -1]."""
    return np.abs(2.0 - 2.0 * np.cos(2.0 * np.pi * np.arange(n) / n))


def drawn(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


@pytest.mark.parametrize("n", [7, 8])
def test_curves_run_from_minus_pi_to_pi_and_are_periodic(n: int) -> None:
    values = np.stack([symbol_of_laplacian(n), np.zeros(n)], axis=1)
    ax = plot_spectrum(values)
    largest = next(line for line in ax.lines if line.get_label() == "largest")
    x, y = (np.asarray(data) for data in largest.get_data())
    # One position is rounded once in 2 pi j / n and once in the cosine.
    np.testing.assert_allclose(y, np.abs(2.0 - 2.0 * np.cos(x)), atol=16 * np.finfo(float).eps)
    assert x[-1] - x[0] == pytest.approx(2.0 * math.pi)
    assert ax.get_xlim() == (-math.pi, math.pi)


def test_the_map_puts_every_frequency_in_its_place() -> None:
    values = np.zeros((8, 6, 2))
    values[1, 5] = [3.0, 1.0]  # vertical frequency +1, horizontal frequency -1
    ax = plot_spectrum(values, supremum=Enclosure(3.0, 3.5, "torus"))
    image = cast(AxesImage, ax.images[0])
    pixels = np.asarray(image.get_array())
    left, right, bottom, top = image.get_extent()
    row, column = np.argwhere(pixels == 3.0)[0]
    horizontal = left + (column + 0.5) * (right - left) / 6
    vertical = bottom + (row + 0.5) * (top - bottom) / 8
    assert (horizontal, vertical) == pytest.approx((-2 * math.pi / 6, 2 * math.pi / 8))
    [peak] = ax.lines
    assert np.ravel(peak.get_data()) == pytest.approx([horizontal, vertical])
    assert drawn(cast(Figure, ax.figure)).startswith(b"\x89PNG")


def test_the_proved_bound_is_drawn_above_the_curves() -> None:
    ax = plot_spectrum(symbol_of_laplacian(16)[:, None], supremum=Enclosure(4.0, 4.25))
    [bound] = [line for line in ax.lines if line.get_label() == "proved bound"]
    assert set(np.ravel(bound.get_ydata())) == {4.25}


def test_enclosures_are_drawn_from_lower_to_upper_with_the_first_on_top() -> None:
    ax = plot_enclosures([Enclosure(1.0, 2.0), Enclosure(1.5, 1.75)], ["a", "b"])
    bars = [line for line in ax.lines if len(np.ravel(line.get_xdata())) == 2]
    assert [tuple(np.ravel(bar.get_xdata())) for bar in bars] == [(1.0, 2.0), (1.5, 1.75)]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert ax.get_xscale() == "linear"


def test_an_open_side_ends_in_an_arrow_and_not_in_a_number() -> None:
    ax = plot_enclosures([Enclosure.at_least(1.0), Enclosure(2.0, 3.0)], ["ascent", "both"])
    markers = [cast(Line2D, line).get_marker() for line in ax.lines]
    assert markers.count(">") == 1
    assert markers.count("|") == 3


def test_far_apart_positive_numbers_share_a_logarithmic_axis() -> None:
    assert plot_enclosures([Enclosure(1.0, 30.0)], ["far"]).get_xscale() == "log"
    assert plot_enclosures([Enclosure(0.0, 30.0)], ["zero"]).get_xscale() == "linear"


@pytest.mark.parametrize("value", [0.0, 2.5])
def test_a_single_exact_number_can_be_drawn(value: float) -> None:
    ax = plot_enclosures([Enclosure.exact(value)], ["exact"])
    assert ax.get_xlim()[0] < value < ax.get_xlim()[1]
    assert drawn(cast(Figure, ax.figure))


def test_the_axes_that_are_passed_are_the_axes_that_come_back() -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot_spectrum(symbol_of_laplacian(8)[:, None], ax=left) is left
    assert plot_enclosures([Enclosure(1.0, 2.0)], ["a"], ax=right) is right
    assert len(figure.axes) == 2


@pytest.mark.parametrize("shape", [(4,), (2, 2, 2, 2)])
def test_values_without_a_place_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="`values`"):
        plot_spectrum(np.ones(shape))


def test_labels_must_match_and_something_must_be_known() -> None:
    with pytest.raises(ValueError, match="same length"):
        plot_enclosures([Enclosure(1.0, 2.0)], [])
    with pytest.raises(ValueError, match="same length"):
        plot_enclosures([], [])
    with pytest.raises(ValueError, match="nothing to draw for 'unknown'"):
        plot_enclosures([Enclosure(-math.inf, math.inf)], ["unknown"])


def test_pyplot_is_never_touched() -> None:
    program = (
        "import sys, numpy as np\n"
        "from evidence import Enclosure\n"
        "from lipschitz.plots import plot_enclosures, plot_spectrum\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plot_spectrum(np.ones((4, 4, 1)))\n"
        "plot_enclosures([Enclosure(1.0, 2.0)], ['a'])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
