"""W1 of images by flows between neighbours: the dense program's number, and an exact critic."""

from __future__ import annotations

import numpy as np
import pytest

from divergences import pixel_grid
from divergences.cumulative import w1_cumulative
from divergences.pixel_grid import w1_pixel_grid
from divergences.transport import optimal_transport
from evidence import NotCertified

EPS = np.finfo(float).eps
SHAPES = [(1, 1), (1, 5), (5, 1), (3, 1, 4), (7,), (2, 3, 4), (6, 7), (1, 1, 3)]


def images(shape, seed=0, empty=0.0):
    rng = np.random.default_rng(seed)
    pair = [rng.random(shape) * (rng.random(shape) >= empty) + 1e-9 for _ in range(2)]
    return [image / image.sum() for image in pair]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("empty", [0.0, 0.7])
def test_the_flow_costs_what_the_dense_program_costs(shape, empty):
    p, q = images(shape, empty=empty)
    h = 0.5
    result = w1_pixel_grid(p, q, spacing=h)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    points = grid.reshape(-1, len(shape)) * h
    dense = optimal_transport(points, points, p.ravel(), q.ravel(), ground="l1")
    assert result.value == pytest.approx(dense.cost, rel=1e-11, abs=64 * EPS)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_flow_carries_one_image_to_the_other(shape):
    p, q = images(shape, 1)
    result = w1_pixel_grid(p, q)
    leaving = np.zeros(shape)
    for axis, flow in enumerate(result.flows):
        before, after = [(0, 0)] * len(shape), [(0, 0)] * len(shape)
        before[axis], after[axis] = (0, 1), (1, 0)
        leaving += np.pad(flow, before) - np.pad(flow, after)
    np.testing.assert_allclose(leaving, p - q, atol=64 * p.size * EPS)
    assert result.value == pytest.approx(
        sum(np.abs(f).sum() for f in result.flows), rel=1e-13, abs=EPS
    )


@pytest.mark.parametrize("spacing", [1.0, 0.25])
def test_the_critic_is_one_lipschitz_exactly_and_attains_the_distance(spacing):
    p, q = images((16, 16), 2)
    result = w1_pixel_grid(p, q, spacing=spacing)
    for axis in range(2):
        assert set(np.abs(np.diff(result.potential, axis=axis)).ravel()) <= {0.0, spacing}
    attained = float((result.potential * (p - q)).sum())
    assert attained == pytest.approx(result.value, rel=1e-12)
    assert result.gap <= 1e-12


def test_a_row_of_pixels_is_a_histogram_on_the_line():
    p, q = images((40,), 3)
    line = w1_cumulative(p, q)
    grid = w1_pixel_grid(p, q)
    assert grid.value == pytest.approx(line.value, rel=1e-12)
    np.testing.assert_allclose(grid.flows[0], line.flows[:-1], atol=200 * EPS)


def test_equal_images_need_no_flow():
    p, _ = images((4, 4))
    result = w1_pixel_grid(p, p)
    assert (result.value, result.gap) == (0.0, 0.0)
    assert all((flow == 0.0).all() for flow in result.flows)


def test_counts_are_images_if_they_may_be_normalised():
    p = np.array([[255, 0], [0, 0]], np.uint8)
    q = np.array([[0, 0], [0, 200]], np.uint8)
    assert w1_pixel_grid(p, q, normalize=True).value == 2.0
    with pytest.raises(ValueError, match="`image_p` must sum to 1, got 255"):
        w1_pixel_grid(p, q)


def test_a_wrong_flow_is_refused_and_not_returned(monkeypatch):
    """The must-fail twin: flows that miss the images, and potentials that prove too little."""
    p, q = images((5, 5))
    true_flow = pixel_grid.sparse_flow

    def halved(*arguments):
        i, j, mass, u, code = true_flow(*arguments)
        return i, j, mass / 2, u, code

    def flat(*arguments):
        i, j, mass, u, code = true_flow(*arguments)
        return i, j, mass, np.zeros_like(u), code

    def steep(*arguments):
        i, j, mass, u, code = true_flow(*arguments)
        return i, j, mass, 2 * u, code

    def stopped(*arguments):
        i, j, mass, u, _ = true_flow(*arguments)
        return i, j, mass, u, 3

    for wrong, text in (
        (halved, "proves only"),
        (flat, "proves only"),
        (steep, "proves only"),
        (stopped, "no optimal flow"),
    ):
        monkeypatch.setattr(pixel_grid, "sparse_flow", wrong)
        with pytest.raises(NotCertified, match=text):
            w1_pixel_grid(p, q)


@pytest.mark.parametrize(
    ("p", "q", "error", "text"),
    [
        ([[1.0]], [[0.5, 0.5]], ValueError, "equal shapes"),
        ([[np.nan, 1.0]], [[0.5, 0.5]], ValueError, "`image_p` must be finite"),
        ([[-0.5, 1.5]], [[0.5, 0.5]], ValueError, "`image_p` must be nonnegative"),
        ([[]], [[]], ValueError, "`image_p` must not be empty"),
        (np.ma.masked_array([[1.0]]), [[1.0]], TypeError, "masked array"),
        ([[1j]], [[1.0]], TypeError, "`image_p`"),
        (1.0, 1.0, ValueError, "`image_p`"),
    ],
)
def test_what_is_no_image_is_refused(p, q, error, text):
    with pytest.raises(error, match=text):
        w1_pixel_grid(p, q)
