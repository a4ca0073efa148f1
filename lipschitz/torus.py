"""Certified suprema of ``sigma_max(F(w))`` over all frequencies, and maxima over DFT grids.

The certificate is an inequality of M. Riesz (1914), in the form of Duffin and Schaeffer (1938) and
Bernstein and Szego: a real trigonometric polynomial ``p`` of degree ``d`` with ``|p| <= M`` that
takes the value ``M cos(a)`` at ``w*`` satisfies ``p(w) >= M cos(a + d |w - w*|)`` as long as the
angle stays below pi. Let ``u, v`` be the top singular vectors of ``F(w*)``; then along every line
``Re u* F(w) v``, centred, is such a polynomial with ``|<offset, w - w*>| <= sum_i d_i |w_i - w*_i|``
where ``d_i`` are the half degrees. Hence with ``M`` the supremum, attained at ``w*``,

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
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence.rounding import mul_up
from lipschitz.gram import GramPolynomial, RayleighPolynomial
from lipschitz.symbol import Symbol

__all__ = ["Maximum", "grid_maximum", "torus_supremum"]

_LARGEST_ANGLE = 1.5  # below pi / 2, where the cosine bound says nothing
_CELL_BUDGET = 200_000
_LISTED_PER_DEGREE = 200  # grids up to this many frequencies per degree are enumerated


@dataclass(frozen=True, slots=True, kw_only=True)
class Maximum:
    """A maximum of ``sigma_max(F(w))``: ``lower <= maximum <= upper``, both after rounding."""

    lower: float
    upper: float
    frequency: NDArray[np.float64]
    vector: NDArray[np.complex128] | None  # on the rows of the symbol
    proofs: int


class _Incumbent:
    """The best frequency so far, with its eigenvector and the Rayleigh polynomials seen."""

    def __init__(self, gram: GramPolynomial) -> None:
        self.gram = gram
        self.value = 0.0  # sigma, in floating point: a guide; certified at the end
        self.frequency = np.zeros(gram.symbol.ndim)
        self.vector: NDArray[np.complex128] | None = None
        self.polynomials: list[RayleighPolynomial] = []

    def offer(
        self, value: float, frequency: NDArray[np.float64], vector: NDArray[np.complex128]
    ) -> None:
        sigma = math.sqrt(max(value, 0.0))
        if sigma > self.value or self.vector is None:
            self.value, self.frequency, self.vector = sigma, frequency.copy(), vector

    def ascend(self, start: NDArray[np.float64], tolerance: float) -> None:
        """Local ascent of the top eigenvalue by BFGS with exact gradients."""
        from scipy.optimize import minimize

        state: dict[str, NDArray[np.complex128] | None] = {"vector": None}

        def objective(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value, vector = self.gram.top_pair(w, state["vector"])
            state["vector"] = vector
            polynomial = self.gram.rayleigh_polynomial(vector)
            self.offer(value, w, vector)
            sigma = math.sqrt(max(value, 1e-300))
            return -sigma, -polynomial.gradient(w) / (2.0 * sigma)

        minimize(objective, start, jac=True, method="BFGS", options={"gtol": tolerance, "maxiter": 25})
        if self.vector is not None:
            self.polynomials.append(self.gram.rayleigh_polynomial(self.vector))

    def target(self, rtol: float, floor: float) -> float:
        """What is to be proved: the incumbent and a width that leaves room for rounding."""
        value = max(self.value, floor)
        square = max(value * value, 1e-300)
        room = 4.0 * (self.gram.assembly_error / square + self.gram.rows**2 * 2.0**-50)
        return mul_up(value, 1.0 + max(rtol, room))

    def exceeds(self, frequencies: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
        """Where a known vector already shows that no proof of ``<= threshold`` can succeed."""
        above = np.zeros(len(frequencies), np.bool_)
        for polynomial in self.polynomials[-6:]:
            above |= polynomial.values(frequencies) > threshold
        return above

    def maximum(self, upper: float) -> Maximum:
        """The result, its lower side certified at the incumbent."""
        lower = 0.0
        if self.vector is not None:
            lower = self.gram.symbol.norm_from_below(self.frequency, self.vector)
        return Maximum(
            lower=lower,
            upper=upper,
            frequency=self.frequency,
            vector=self.vector,
            proofs=self.gram.proofs,
        )


@dataclass(slots=True)
class _Cells:
    """Cells of one size covering a part of the torus: diamonds in 2 dimensions, else boxes."""

    index: NDArray[np.int64]  # centres 2 pi index / modulus
    modulus: NDArray[np.int64]
    radius: float  # in the norm sum_i d_i |w_i|

    @property
    def centres(self) -> NDArray[np.float64]:
        return self.index * (2.0 * math.pi / self.modulus)

    @classmethod
    def cover(cls, half_degrees: NDArray[np.float64], radius: float) -> _Cells:
        """Cover the torus modulo ``w -> -w`` by cells of about the given radius.

        In two dimensions the balls of the norm are diamonds, which tile the plane on a
        checkerboard; in others they are covered by boxes.
        """
        ndim = len(half_degrees)
        if ndim == 2:
            modulus = 2 * np.maximum(1, np.ceil(math.pi * half_degrees / radius)).astype(np.int64)
            reach = float(np.max(2.0 * math.pi * half_degrees / modulus))
        else:
            count = np.ceil(math.pi * ndim * half_degrees / radius)
            modulus = 2 * np.maximum(2, count).astype(np.int64)
            reach = ndim * float(np.max(2.0 * math.pi * half_degrees / modulus))
        grid = np.indices(tuple(int(n) for n in modulus)).reshape(ndim, -1).T
        grid = grid[grid.sum(axis=1) % 2 == 0] if ndim == 2 else grid[np.all(grid % 2 == 0, axis=1)]
        return cls(_up_to_conjugation(grid, modulus), modulus, reach)

    def split(self) -> _Cells:
        ndim = self.index.shape[1]
        modulus = 2 * self.modulus
        if ndim == 2:
            steps = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)], dtype=np.int64)
        else:
            steps = np.array(list(itertools.product((1, -1), repeat=ndim)), dtype=np.int64)
        children = (2 * self.index[:, None, :] + steps[None]).reshape(-1, ndim)
        return _Cells(_up_to_conjugation(children, modulus), modulus, self.radius / 2.0)

    def only(self, keep: NDArray[np.bool_]) -> _Cells:
        return _Cells(self.index[keep], self.modulus, self.radius)


def _up_to_conjugation(
    index: NDArray[np.int64], modulus: NDArray[np.int64]
) -> NDArray[np.int64]:
    """One of each pair ``w, -w`` modulo the grid: real kernels have ``F(-w) = conj F(w)``."""
    index = index % modulus
    shape = tuple(int(n) for n in modulus)
    keys = np.ravel_multi_index(tuple(index.T), shape)
    mirrored = np.ravel_multi_index(tuple((-index % modulus).T), shape)
    return index[np.unique(np.minimum(keys, mirrored), return_index=True)[1]]


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
    best, sampled = _first_incumbent(gram, rtol)
    return _exclude_all(gram, best, sampled, rtol, floor)


def _first_incumbent(
    gram: GramPolynomial, rtol: float
) -> tuple[_Incumbent, NDArray[np.float64]]:
    """Ascent from the best of a few frequencies; also the values seen at spread-out ones."""
    ndim = gram.symbol.ndim
    corners = math.pi * np.array(list(itertools.product((0, 1), repeat=ndim)), dtype=np.float64)
    count = 8 if gram.rows > 96 else 16
    spread = 2.0 * math.pi * np.random.default_rng(0).random((count, ndim))
    samples = np.concatenate([corners, spread])
    values = gram.top_values(samples)
    best = _Incumbent(gram)
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
    by_cosine = square * math.cos(radius) ** 2 if radius < _LARGEST_ANGLE else -math.inf
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


def _exclude_all(
    gram: GramPolynomial,
    best: _Incumbent,
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
    cells = _Cells.cover(half_degrees, radius)
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
    best: _Incumbent, cells: _Cells, rtol: float, half_degrees: NDArray[np.float64]
) -> None:
    """Ascend from surviving cells that are not in the basin of the incumbent."""
    centres = cells.centres
    distance = np.minimum(
        _torus_distance(centres - best.frequency, half_degrees),
        _torus_distance(centres + best.frequency, half_degrees),
    )
    far = np.flatnonzero(distance > 2.5 * cells.radius)
    if not len(far):
        return
    if len(far) > 24:
        far = np.random.default_rng(len(far)).choice(far, 24, replace=False)
    values = best.gram.top_values(centres[far])
    tolerance = _gradient_tolerance(rtol, best.value)
    for j in np.argsort(-values)[:3]:
        # Worth an ascent only if the rise left within a cell could reach the incumbent.
        if math.sqrt(max(values[j], 0.0)) > best.value * math.cos(min(0.7 * cells.radius, 1.5)):
            best.ascend(centres[far[j]], tolerance)


def _torus_distance(
    difference: NDArray[np.float64], half_degrees: NDArray[np.float64]
) -> NDArray[np.float64]:
    wrapped = np.abs((difference + math.pi) % (2.0 * math.pi) - math.pi)
    return np.asarray((wrapped * half_degrees).sum(axis=1))


def grid_maximum(
    symbol: Symbol, grid: tuple[int, ...], rtol: float, floor: float = 0.0
) -> Maximum:
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
    if total <= _LISTED_PER_DEGREE * degree:
        gram = GramPolynomial(symbol)
        best = _Incumbent(gram)
        points = np.indices(grid).reshape(len(grid), -1).T
        upper = _enumerate(best, _up_to_conjugation(points, shape), shape, rtol, floor, 0.0)
    else:
        coarse = max(1e-3, rtol)
        gram = GramPolynomial(symbol)
        best, sampled = _first_incumbent(gram, coarse)
        supremum = _exclude_all(gram, best, sampled, coarse, floor)
        best, upper = _exclude_off_grid(gram, supremum, shape, rtol, floor)
    return best.maximum(upper)


def _enumerate(
    best: _Incumbent,
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
) -> tuple[_Incumbent, float]:
    """Cells without a grid value above the target are excluded, the points of the rest listed."""
    half_degrees = gram.symbol.half_degrees
    ndim = len(half_degrees)
    best = _Incumbent(gram)
    spacing = 2.0 * math.pi / shape
    corner = np.floor(supremum.frequency / spacing).astype(np.int64)
    around = corner + np.array(list(itertools.product((0, 1), repeat=ndim)), dtype=np.int64)
    for index in around:
        best.offer(*_pair_at(gram, index * spacing))
    point_radius = float(np.sum(half_degrees * spacing))
    goal = best.target(rtol, floor)
    cells = _Cells.cover(half_degrees, max(0.12, _angle_to(goal, supremum.upper)))
    while True:
        goal = best.target(rtol, floor)
        angle = _angle_to(goal, supremum.upper)
        reach = angle + cells.radius * (1.0 + 1e-12) + 1e-14
        if reach < _LARGEST_ANGLE:
            limit = (supremum.upper * math.cos(reach)) ** 2 * (1.0 - 1e-14)
            slack = max(0.0, goal * goal - limit)
            cells = cells.only(~gram.at_most(cells.centres, limit, slack=slack))
        if cells.radius <= 1.5 * point_radius or angle > cells.radius or not len(cells.index):
            break
        cells = cells.split()
    listed = [_grid_points_within(c, cells.radius, half_degrees, shape) for c in cells.centres]
    points = np.concatenate([*listed, around])
    upper = _enumerate(best, _up_to_conjugation(points, shape), shape, rtol, floor, goal)
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
