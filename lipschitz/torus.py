"""Certified suprema of ``sigma_max(F(w))`` over all frequencies.

The certificate is an inequality of M. Riesz (1914), in the form of Duffin and Schaeffer (1938) and
Bernstein and Szego: a real trigonometric polynomial ``p`` of degree ``d`` with ``|p| <= M`` that
takes the value ``M cos(a)`` at ``w*`` satisfies ``p(w) >= M cos(a + d |w - w*|)`` as long as the
angle stays below pi. Let ``u, v`` be the top singular vectors of ``F(w*)``. With the offsets
centred, ``Re u* F(w) v`` is such a polynomial along every line through ``w*``, and its angle grows
by at most ``sum_i d_i |w_i - w*_i|`` with the half degrees ``d_i``. Hence with ``M`` the supremum,
attained at ``w*``,

    sigma_max(F(c)) >= M cos(r)          whenever sum_i d_i |c_i - w*_i| <= r < pi / 2.

A cell with centre ``c`` and radius ``r`` in that norm therefore cannot hold ``w*`` if
``sigma_max(F(c)) <= T cos r`` for a ``T < M``. Cells are excluded by one Cholesky factorisation
each, the rest is split, and when no cell is left ``M <= T`` is proved. The cost does not depend on
any input size. A second threshold serves flat symbols: at ``w*`` the gradient of ``u* G(w) u``
vanishes, so that ``sigma_max(F(c))^2 >= M^2 - kappa r^2 / 2`` with ``kappa`` a bound of its second
derivatives; the larger of the two is used.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from lipschitz.frequency_search import Cells, Incumbent, Maximum
from lipschitz.gram import GramPolynomial
from lipschitz.symbol import Symbol

__all__ = ["LARGEST_ANGLE", "exclude_all", "first_incumbent", "torus_supremum"]

LARGEST_ANGLE = 1.5  # below pi / 2, where the cosine bound says nothing
_CELL_BUDGET = 200_000


def torus_supremum(symbol: Symbol, rtol: float, floor: float = 0.0) -> Maximum:
    """``sup_w sigma_max(F(w))`` over the torus, enclosed to relative width about ``rtol``.

    Parameters
    ----------
    symbol : Symbol
        Reduced (see `Symbol.reduced`), with at least one axis, not zero, entries of magnitude one.
    rtol : float
        Where the largest singular value is nearly constant but not flat enough for the second
        threshold, the width grows until the number of cells stays bounded; never an error.
    floor : float
        The maximum of other symbols of interest: the upper side need only reach
        ``max(lower, floor) (1 + rtol)``, which is cheaper.
    """
    gram = GramPolynomial(symbol)
    best, sampled = first_incumbent(gram, rtol)
    return exclude_all(gram, best, sampled, rtol, floor)


def first_incumbent(gram: GramPolynomial, rtol: float) -> tuple[Incumbent, NDArray[np.float64]]:
    """Ascent from the best of a few frequencies; also the values seen at spread-out ones."""
    ndim = gram.symbol.ndim
    corners = math.pi * np.array(list(itertools.product((0, 1), repeat=ndim)), dtype=np.float64)
    count = 8 if gram.rows > 96 else 16
    spread = 2.0 * math.pi * np.random.default_rng(0).random((count, ndim))
    samples = np.concatenate([corners, spread])
    values = gram.top_values(samples)
    best = Incumbent(gram)
    tolerance = _gradient_tolerance(rtol, math.sqrt(max(float(values.max()), 0.0)))
    for j in np.argsort(-values)[:2]:
        best.ascend(samples[j], tolerance)
    return best, np.sqrt(np.maximum(values[len(corners) :], 0.0))


def _gradient_tolerance(rtol: float, scale: float) -> float:
    # A gradient g leaves about g^2 / (2 M) to the maximum: a twentieth of the width asked for.
    return 0.3 * math.sqrt(max(rtol, 1e-12)) * max(scale, 1e-300)


def _threshold(target: float, radius: float, curvature: float) -> float:
    """The larger of ``(T cos r)^2`` and ``T^2 - kappa r^2 / 2``, rounded down."""
    radius = radius * (1.0 + 1e-12) + 1e-14
    square = target * target
    by_cosine = square * math.cos(radius) ** 2 if radius < LARGEST_ANGLE else -math.inf
    by_curvature = square - 0.5 * curvature * radius * radius
    return max(by_cosine, by_curvature) - 1e-14 * square


def _starting_radius(
    sampled: NDArray[np.float64], target: float, ndim: int, smallest: float
) -> float:
    """The radius at which tests plus the splits they leave cost least, from sampled gaps."""
    ratio = np.clip(sampled / target, -1.0, 1.0)
    angles = 0.95 * np.sort(np.arccos(ratio))
    best_cost, best_radius = math.inf, 1.0
    for radius in np.geomspace(max(0.9 * smallest, 1e-3), 1.2, 60):
        cost, r, share = 0.0, float(radius), 1.0
        for _ in range(12):
            cost += r**-ndim * share
            share *= (float(np.searchsorted(angles, r)) + 0.3) / (len(angles) + 0.6)
            r /= 2.0
            if r < smallest:
                break
        if cost < best_cost:
            best_cost, best_radius = cost, float(radius)
    return best_radius


def exclude_all(
    gram: GramPolynomial,
    best: Incumbent,
    sampled: NDArray[np.float64],
    rtol: float,
    floor: float,
) -> Maximum:
    half_degrees = gram.symbol.half_degrees
    ndim = len(half_degrees)
    curvature = gram.curvature_bound()

    flat = math.sqrt(2.0 * rtol / max(curvature, 1e-300)) * best.value
    smallest = max(math.acos(1.0 / (1.0 + rtol)), flat)
    radius = min(_starting_radius(sampled, best.target(rtol, floor), ndim, smallest), 1.2)
    if flat > 1.0:
        radius = max(radius, min(flat, 3.0))
    cells = Cells.cover(half_degrees, radius)
    proved_to = 0.0
    while len(cells.index):
        goal = max(best.target(rtol, floor), proved_to)
        limit = _threshold(goal, cells.radius, curvature)
        keep = np.ones(len(cells.index), np.bool_)
        if limit > 0.0:
            centres = cells.centres
            open_cells = np.flatnonzero(~best.exceeds(centres, limit))
            done = gram.at_most(centres[open_cells], limit, slack=goal * goal - limit)
            keep[open_cells[done]] = False
        proved_to = goal
        cells = cells.only(keep)
        if not len(cells.index):
            break
        _look_for_better(best, cells, rtol, half_degrees)
        if 2**ndim * len(cells.index) > _CELL_BUDGET:
            rtol *= 4.0
            continue
        cells = cells.split()
    return best.maximum(proved_to)


def _look_for_better(
    best: Incumbent, cells: Cells, rtol: float, half_degrees: NDArray[np.float64]
) -> None:
    """Ascend from surviving cells that are not in the basin of the incumbent."""
    centres = cells.centres
    far = np.arange(len(centres))
    for peak in (best.frequency, -best.frequency, *best.peaks, *(-p for p in best.peaks)):
        distance = _torus_distance(centres[far] - peak, half_degrees)
        far = far[distance > 2.5 * cells.radius]
    if not len(far):
        return
    if len(far) > 24:
        far = np.random.default_rng(len(far)).choice(far, 24, replace=False)
    values = best.gram.top_values(centres[far])
    tolerance = _gradient_tolerance(rtol, best.value)
    for j in np.argsort(-values)[:2]:
        # Worth an ascent only if the rise left within a cell could reach the incumbent.
        if math.sqrt(max(values[j], 0.0)) > best.value * math.cos(min(0.5 * cells.radius, 1.5)):
            best.ascend(centres[far[j]], tolerance)


def _torus_distance(
    difference: NDArray[np.float64], half_degrees: NDArray[np.float64]
) -> NDArray[np.float64]:
    wrapped = np.abs((difference + math.pi) % (2.0 * math.pi) - math.pi)
    return np.asarray((wrapped * half_degrees).sum(axis=1))
