"""Certified maxima of ``sigma_max(F(w))`` over the frequencies of a DFT grid."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from lipschitz.frequency_search import Cells, Incumbent, Maximum, up_to_conjugation
from lipschitz.gram import GramPolynomial
from lipschitz.symbol import Symbol
from lipschitz.torus import LARGEST_ANGLE, exclude_all, first_incumbent

__all__ = ["grid_maximum"]

_LISTED_PER_DEGREE = 200  # grids up to this many frequencies per degree are enumerated,
_MORE_IF_SMALL = 2  # more where many proofs are made at once,
_MORE_IN_SPACE = 8  # and in three dimensions, where boxes cover the balls of the norm poorly


def grid_maximum(symbol: Symbol, grid: tuple[int, ...], rtol: float, floor: float = 0.0) -> Maximum:
    """``max_j sigma_max(F(2 pi j / n))`` over a DFT grid, enclosed to relative width ``rtol``.

    Small grids are enumerated, one proof per frequency. On large ones cells are excluded as for
    the torus: if the supremum is at most ``S`` and a grid point had a value above ``T = S cos(a)``,
    then ``sigma_max(F(c)) >= S cos(a + r)`` at the centre of its cell.

    Parameters
    ----------
    symbol : Symbol
        Reduced (see `Symbol.reduced`), not zero, entries of magnitude one.
    grid : tuple of int
        Number of frequencies along each axis.
    rtol, floor
        As in `torus_supremum`.
    """
    shape = np.array(grid, dtype=np.int64)
    total = math.prod(grid) // 2 + 1
    degree = max(1.0, float(np.prod(2.0 * symbol.half_degrees)))
    gram = GramPolynomial(symbol)
    listed = _LISTED_PER_DEGREE * degree
    listed *= _MORE_IF_SMALL if gram.is_small else 1
    listed *= _MORE_IN_SPACE if symbol.ndim > 2 else 1
    if total <= listed:
        best = Incumbent(gram)
        points = np.indices(grid).reshape(len(grid), -1).T
        upper = _enumerate(best, up_to_conjugation(points, shape), shape, rtol, floor, 0.0)
    else:
        coarse = max(1e-3, rtol)
        best, sampled = first_incumbent(gram, coarse)
        supremum = exclude_all(gram, best, sampled, coarse, floor)
        best, upper = _exclude_off_grid(gram, supremum, shape, rtol, floor)
    return best.maximum(upper)


def _enumerate(
    best: Incumbent,
    points: NDArray[np.int64],
    shape: NDArray[np.int64],
    rtol: float,
    floor: float,
    proved_to: float,
) -> float:
    """Prove ``sigma_max <= upper`` at every listed point of the grid, raising the incumbent.

    In random order the incumbent changes about log(N) times (incremental maximum).
    """
    gram = best.gram
    frequencies = points * (2.0 * math.pi / shape)
    order = np.random.default_rng(0).permutation(len(frequencies))
    if best.vector is None:
        sample = frequencies[order[:12]]
        start = sample[int(np.argmax(gram.top_values(sample)))]
        best.offer(*_pair_at(gram, start))
    first = 0
    while first < len(order):
        block = frequencies[order[first : first + max(gram.batch, 4, first)]]
        first += len(block)
        while len(block):
            goal = max(best.target(rtol, floor), proved_to)
            block = block[~gram.at_most(block, goal * goal * (1.0 - 1e-15), slack=None)]
            proved_to = goal
            if len(block):
                before = best.value
                values = gram.top_values(block) if len(block) > 1 else np.zeros(1)
                best.offer(*_pair_at(gram, block[int(np.argmax(values))]))
                if best.value <= before:
                    rtol *= 2.0  # the rounding of the proof did not fit into the width
    return proved_to


def _pair_at(
    gram: GramPolynomial, frequency: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.complex128]]:
    value, vector = gram.top_pair(frequency)
    return value, frequency, vector


def _exclude_off_grid(
    gram: GramPolynomial,
    supremum: Maximum,
    shape: NDArray[np.int64],
    rtol: float,
    floor: float,
) -> tuple[Incumbent, float]:
    """Cells without a grid value above the target are excluded, the points of the rest listed."""
    half_degrees = gram.symbol.half_degrees
    ndim = len(half_degrees)
    best = Incumbent(gram)
    spacing = 2.0 * math.pi / shape
    corner = np.floor(supremum.frequency / spacing).astype(np.int64)
    around = corner + np.array(list(itertools.product((0, 1), repeat=ndim)), dtype=np.int64)
    for index in around:
        best.offer(*_pair_at(gram, index * spacing))
    point_radius = float(np.sum(half_degrees * spacing))
    goal = best.target(rtol, floor)
    cells = Cells.cover(half_degrees, max(0.12, _angle_to(goal, supremum.upper)))
    while True:
        goal = best.target(rtol, floor)
        angle = _angle_to(goal, supremum.upper)
        reach = angle + cells.radius * (1.0 + 1e-12) + 1e-14
        if reach < LARGEST_ANGLE:
            limit = (supremum.upper * math.cos(reach)) ** 2 * (1.0 - 1e-14)
            slack = max(0.0, goal * goal - limit)
            cells = cells.only(~gram.at_most(cells.centres, limit, slack=slack))
        if cells.radius <= 1.5 * point_radius or angle > cells.radius or not len(cells.index):
            break
        cells = cells.split()
    listed = [_grid_points_within(c, cells.radius, half_degrees, shape) for c in cells.centres]
    points = np.concatenate([*listed, around])
    upper = _enumerate(best, up_to_conjugation(points, shape), shape, rtol, floor, goal)
    return best, upper


def _angle_to(value: float, supremum: float) -> float:
    """An upper bound of ``arccos(value / supremum)``."""
    return math.acos(max(-1.0, min(1.0, value / supremum) - 4e-16)) + 1e-15


def _grid_points_within(
    centre: NDArray[np.float64],
    radius: float,
    half_degrees: NDArray[np.float64],
    shape: NDArray[np.int64],
) -> NDArray[np.int64]:
    spacing = 2.0 * math.pi / shape
    low = np.ceil((centre - radius / half_degrees) / spacing - 1e-9).astype(np.int64)
    high = np.floor((centre + radius / half_degrees) / spacing + 1e-9).astype(np.int64)
    axes = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    distance = (np.abs(points * spacing - centre) * half_degrees).sum(axis=1)
    return np.asarray(points[distance <= radius * (1.0 + 1e-9)])
