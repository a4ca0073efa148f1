"""Where is a network steep? A search for points and directions, uncertified on purpose.

The gradient of ``||J(x)||`` vanishes almost everywhere for piecewise linear networks, so that the
search climbs a smoothed objective: gates open over a width ``tau`` that shrinks from the size of
the values to a hundredth of it, while ``u`` and ``v`` follow the top singular pair. Crossing single
facets improves what it finds, and kicks followed by a short climb lead from one local maximum to
the next (basin hopping). The result becomes a bound only in `lipschitz.lower`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipschitz.domains import Ball, Box
from lipschitz.facets import cross_facets
from lipschitz.network import Network
from lipschitz.operators import DUAL
from lipschitz.sweeps import HardGates, SmoothSweep, dual_vector, value_scales

__all__ = ["Candidate", "search"]

Array = NDArray[np.float64]

_LEARNING_RATES = (0.05, 0.5)
_SCREENED_NUMBERS = 4_000_000
_KEPT = 8
_WHOLE_JACOBIAN = 64
_CROSSINGS = 12
_PATIENCE = 30
_STEPS_PER_RUN = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """A point, a direction, and the quotient ``||J(x) v|| / ||v||`` in plain floating point."""

    point: Array
    direction: Array
    estimate: float
    size: float
    """Length scale of the point's coordinates, for the next step."""


def search(
    network: Network,
    *,
    norm: float,
    starts: int,
    steps: int,
    rng: np.random.Generator,
    time_limit: float = math.inf,
    domain: Box | Ball | None = None,
) -> list[Candidate]:
    """Candidates for the steepest point and direction, best first.

    Parameters
    ----------
    network : Network
    norm : {1, 2, inf}
        On both sides of the network.
    starts, steps : int
        Starting points (8 to 64 times as many are looked at), and steps of their ascent; after a
        third of the way only the better quarter goes on. At most ``steps / 3`` kicks follow. With
        ``steps = 300`` all of this is done up to three times.
    rng : numpy.random.Generator
    time_limit : float
        Seconds; the search stops between two steps.
    domain : Box or Ball, optional
        Holds all points.

    Returns
    -------
    list of Candidate
        At most eight, best first; never empty.
    """
    climber = _Climber(network, float(norm), rng, domain)
    # Steep networks may overflow on the way; what is not finite never becomes a candidate.
    with np.errstate(all="ignore"):
        return climber.climb(starts, steps, time_limit)


class _Climber:
    """The moves of the search; each takes candidates and returns candidates, best first."""

    def __init__(
        self, network: Network, norm: float, rng: np.random.Generator, domain: Box | Ball | None
    ) -> None:
        self.network, self.norm, self.rng, self.domain = network, norm, rng, domain
        self.axes = (-1, *([1] * len(network.input_shape)))
        self.free = 1.0 if domain is None else domain.free.astype(np.float64)

    def climb(self, starts: int, steps: int, time_limit: float) -> list[Candidate]:
        """The whole search, repeated from new points while the steps and the time allow it."""
        deadline = time.perf_counter() + 0.95 * time_limit
        if all(layer.is_linear for layer in self.network.layers):
            return self.sharpen(self.screen(_KEPT))
        found: list[Candidate] = []
        for _ in range(max(1, steps // _STEPS_PER_RUN)):
            found = _distinct([*found, *self.run(starts, steps, deadline)])
            if time.perf_counter() > deadline:
                break
        return self.sharpen(found)

    def run(self, starts: int, steps: int, deadline: float) -> list[Candidate]:
        """Screen, climb, then hop from one local maximum to the next until that stops to help."""
        begin = time.perf_counter()
        early, late = (begin + share * (deadline - begin) for share in (0.15, 0.3))
        found = self.screen(starts)
        found = self.ascend(found, steps // 3, (1.0, 0.1), early)
        found = found[: max(4, starts // 4)]
        found = self.ascend(found, steps - steps // 3, (0.3, 0.02), late)
        found = self.cross(found[:_KEPT], 2, deadline)
        stalled = 0
        for _ in range(steps // 3):
            if stalled == _PATIENCE or time.perf_counter() > deadline:
                break
            hopped = self.kick(found[:4], 16)
            hopped = self.ascend(hopped, min(60, steps), (0.2, 0.02), deadline)
            hopped = self.cross(hopped[:4], 1, deadline)
            stalled += 1
            if hopped[0].estimate > found[0].estimate * (1.0 + 1e-6):
                stalled = 0
            found = _distinct([*found, *hopped])
        return found

    def screen(self, count: int) -> list[Candidate]:
        """The better half of many random points, and some of the others."""
        numbers = sum(math.prod(s) for s in self.network.shapes)
        many = count * min(64, max(8, _SCREENED_NUMBERS // (numbers * count)))
        shape = (many, *self.network.input_shape)
        if self.domain is not None:
            points = self.domain.sample(self.rng, many)
            sizes = np.full(many, max(self.domain.reach, 1e-300))
        else:
            sizes = 10.0 ** self.rng.uniform(-1.0, 2.0, many)
            points = sizes.reshape(self.axes) * self.rng.standard_normal(shape)
        parts = [slice(i, i + count) for i in range(0, many, count)]
        found: list[Candidate] = []
        for part in parts:
            directions = self.rng.standard_normal((count, *self.network.input_shape))
            found += self._measure(points[part], directions, sizes[part], 3)[0]
        found.sort(key=_estimate, reverse=True)
        best, rest = found[: (count + 1) // 2], found[(count + 1) // 2 :]
        others = self.rng.permutation(len(rest))[: count - len(best)]
        return best + [rest[i] for i in others]

    def ascend(
        self,
        starts: Sequence[Candidate],
        steps: int,
        taus: tuple[float, float],
        deadline: float,
    ) -> list[Candidate]:
        """Adam on ``log(u^T J_tau(x) v)`` while ``tau`` shrinks; the best point of every start."""
        points, directions, sizes = _stack(starts)
        best = list(starts)
        sweep = SmoothSweep(self.network, value_scales(self.network, points))
        _, v, u = self._measure(points, directions, sizes, 2)
        mean, square = np.zeros_like(points), np.zeros_like(points)
        low, high = np.log(_LEARNING_RATES)
        rates = np.exp(self.rng.uniform(low, high, len(points))).reshape(self.axes)
        for step in range(steps):
            if time.perf_counter() > deadline:
                break
            progress = step / max(steps - 1, 1)
            tau = taus[0] * (taus[1] / taus[0]) ** progress
            gradient, pulled, image = sweep.gradients(points, v, u, tau)
            value = np.einsum("bi,bi->b", _flat(u), _flat(image)).reshape(self.axes)
            gradient = gradient / np.maximum(np.abs(value), 1e-300)
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.99 * square + 0.01 * gradient * gradient
            root = np.sqrt(square / (1.0 - 0.99 ** (step + 1)))
            move = mean / (1.0 - 0.9 ** (step + 1)) / np.maximum(root, 1e-300)
            rate = rates * (1.0 - 0.9 * progress) * sizes.reshape(self.axes)
            moved = points + rate * move
            points = self._inside(np.where(np.isfinite(moved), moved, points))
            u = dual_vector(image, DUAL[self.norm])
            v = dual_vector(pulled * self.free, self.norm) * self.free
            if step % 10 == 9 or step == steps - 1:
                seen, v, u = self._measure(points, v, sizes, 2)
                best = [max(a, b, key=_estimate) for a, b in zip(best, seen, strict=True)]
        return sorted(best, key=_estimate, reverse=True)

    def cross(self, starts: Sequence[Candidate], count: int, deadline: float) -> list[Candidate]:
        """`cross_facets` from the first ``count`` candidates."""
        found = list(starts)
        for i, start in enumerate(found[:count]):
            value, point, direction = cross_facets(
                self.network,
                norm=self.norm,
                point=start.point,
                direction=start.direction,
                rounds=_CROSSINGS,
                rng=self.rng,
                deadline=deadline,
                inside=self._inside,
                free=self.free,
            )
            found[i] = max(start, Candidate(point, direction, value, start.size), key=_estimate)
        return sorted(found, key=_estimate, reverse=True)

    def kick(self, starts: Sequence[Candidate], count: int) -> list[Candidate]:
        """Random steps of many sizes away from the candidates."""
        origin = self.rng.integers(0, len(starts), count)
        points, directions, _ = _stack([starts[i] for i in origin])
        # Far from the origin the biases no longer matter: try other distances on the same ray too.
        stretch = np.where(self.rng.random(count) < 0.1, 10.0 ** self.rng.uniform(-1, 1, count), 1)
        points = points * stretch.reshape(self.axes)
        sizes = np.mean(np.abs(_flat(points)), axis=1) + 1e-9
        lengths = sizes * 10.0 ** self.rng.uniform(-1.5, 0.3, count)
        moves = lengths.reshape(self.axes) * self.rng.standard_normal(points.shape)
        trial = self._inside(points + moves)
        return self._measure(trial, directions, np.minimum(sizes, 3.0 * lengths), 3)[0]

    def sharpen(self, found: Sequence[Candidate]) -> list[Candidate]:
        """The best candidates, each with its best direction."""
        points, directions, sizes = _stack(found[:_KEPT])
        best = self._measure(points, directions, sizes, 100)[0]
        if math.prod(self.network.output_shape) <= _WHOLE_JACOBIAN:
            best = [max(c, self._steepest(c), key=_estimate) for c in best]
        return sorted(best, key=_estimate, reverse=True)

    def _steepest(self, candidate: Candidate) -> Candidate:
        """The best direction at the candidate's point, from its whole Jacobian."""
        outputs = math.prod(self.network.output_shape)
        repeated = np.repeat(candidate.point[None], outputs, axis=0)
        units = np.eye(outputs).reshape(outputs, *self.network.output_shape)
        jacobian = _flat(HardGates(self.network, repeated).pull(units) * self.free)
        if not np.isfinite(jacobian).all():
            return candidate
        if self.norm == 2:
            direction = np.linalg.svd(jacobian, full_matrices=False)[2][0]
        elif self.norm == 1:
            direction = np.zeros(jacobian.shape[1])
            direction[np.argmax(np.abs(jacobian).sum(axis=0))] = 1.0
        else:
            row = jacobian[np.argmax(np.abs(jacobian).sum(axis=1))]
            direction = np.where(row < 0.0, -1.0, 1.0)
        start = direction.reshape(1, *candidate.point.shape)
        return self._measure(candidate.point[None], start, np.array([candidate.size]), 1)[0][0]

    def _measure(
        self, points: Array, directions: Array, sizes: Array, steps: int
    ) -> tuple[list[Candidate], Array, Array]:
        """Quotients with hard gates, by a few steps of the power iteration."""
        values, v, u = HardGates(self.network, points, self.free).power(
            self.norm, directions, steps
        )
        pairs = zip(points, v, values.tolist(), sizes.tolist(), strict=True)
        return [Candidate(x, d, value, size) for x, d, value, size in pairs], v, u

    def _inside(self, points: Array) -> Array:
        return points if self.domain is None else self.domain.nearest(points)


def _estimate(candidate: Candidate) -> float:
    return candidate.estimate


def _stack(candidates: Sequence[Candidate]) -> tuple[Array, Array, Array]:
    points = np.stack([c.point for c in candidates])
    directions = np.stack([c.direction for c in candidates])
    return points, directions, np.array([c.size for c in candidates])


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """The best candidates with different estimates, so that copies do not crowd others out."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=_estimate, reverse=True):
        if not kept or candidate.estimate < kept[-1].estimate * (1.0 - 1e-7):
            kept.append(candidate)
    return kept[:_KEPT]


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1)
