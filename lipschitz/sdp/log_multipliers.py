"""Descent on the logarithms of the multipliers: for networks that are deep or wide.

The objective is `lipschitz.sdp.recursion.barrier_value`: one evaluation costs a Cholesky
factorisation and a few products for every layer, so that time grows linearly with depth. Limited-
memory quasi-Newton steps (Nocedal and Wright, *Numerical Optimization*, 2nd ed., algorithm 7.4)
follow its minimum while the barrier shrinks. Two things decide how fast they are:

*   With ``n`` neurons a barrier ``mu`` costs the logarithm of ``L^2`` about ``n mu``. The first
    costs 1 for every layer, which is what closed forms lose, and its minimum is quickly found;
    each stage is left when its steps gain little *of its own cost*, since steps from a point that
    is not central end at the boundary soon.
*   What is left for a layer scales with the multipliers of the layers before it. In the
    coordinates ``z`` with ``log t_i = z_i + (mean z_1 + ... + mean z_(i-1)) / 2`` a layer brings
    those after it along, half the way (all the way where ``t`` is small, and not at all where it
    is best: there what is left is stationary).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from lipschitz.layers.contract import Array
from lipschitz.sdp.presolve import Problem
from lipschitz.sdp.recursion import BarrierValue, barrier_value, value_of

__all__ = ["Descent", "descend"]

_FIRST, _SHRINK = 1.0, 4.0
_MEMORY, _WINDOW = 40, 10
_GAIN: Final = 3e-5
"""Gain of a step, as a share of the barrier's cost, below which a stage ends."""
_LEAST: Final = 3e-5
"""The same, as a share of the last barrier's cost: steps along the boundary can be very short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """The best multipliers seen, the constant they give in floats, and the work done."""

    multipliers: list[Array]
    value: float
    evaluations: int


def descend(problem: Problem, start: list[Array], deadline: float, rtol: float = 1e-2) -> Descent:
    """Improve multipliers (for ``rho = 1``) until the barrier costs little, or time is up.

    Parameters
    ----------
    problem : Problem
    start : list of arrays
        Feasible.
    deadline : float
        In the seconds of ``time.monotonic``.
    rtol : float
        The last barrier costs at most this much of ``L^2``. No promise: on networks whose optimum
        is known the constants found were within 5e-4 of it.

    Examples
    --------
    >>> from lipschitz.sdp.feedforward import FeedForward
    >>> from lipschitz.sdp.presolve import presolved
    >>> net = FeedForward.exact([[[1.0], [-1.0]], [[1.0, -1.0]]],
    ...                         slope_lower=[np.zeros(2)], slope_upper=[np.ones(2)])
    >>> problem = presolved(net)
    >>> found = descend(problem, [np.array([2.0, 3.0])], time.monotonic() + 5.0)
    >>> round(problem.norm_of_network(found.value), 3)
    2.0
    """
    search = _Search(problem, start, deadline)
    logs = np.log(np.concatenate(start))
    count = logs.size + len(problem.weights[-1])
    cost = _FIRST * len(start)
    while not search.is_over:
        logs = search.stage(logs, cost / count, max(_GAIN * cost, _LEAST * rtol))
        if cost <= rtol:
            break
        cost /= _SHRINK
    return Descent(multipliers=search.best, value=search.value, evaluations=search.evaluations)


class _Search:
    """Quasi-Newton steps, stage by stage; remembers the best multipliers met."""

    def __init__(self, problem: Problem, start: list[Array], deadline: float) -> None:
        self.problem, self.deadline = problem, deadline
        self.best, self.value = start, value_of(problem, start)
        self.sizes = np.array([len(t) for t in start])
        self.first = np.cumsum(self.sizes) - self.sizes
        self.evaluations, self.slowest = 0, 0.0
        self.steps: list[Array] = []
        self.changes: list[Array] = []

    @property
    def is_over(self) -> bool:
        """Whether one more evaluation may pass the deadline."""
        return time.monotonic() + self.slowest > self.deadline

    def stage(self, logs: Array, barrier: float, gain: float) -> Array:
        """From a point to the barrier's minimum, or as far as time and floats lead."""
        self.steps, self.changes = [], []
        point = self._evaluate(logs, barrier)
        met = []
        while point is not None and not self.is_over:
            met.append(point.objective)
            if len(met) > _WINDOW and met[-1 - _WINDOW] - met[-1] < _WINDOW * gain:
                break
            step = -self._scaled(point.gradient)
            found = self._line_search(logs, point, step, barrier)
            if found is None:
                if not self.steps:
                    break
                self.steps, self.changes = [], []
                continue
            length, new = found
            self._remember(length * step, new.gradient - point.gradient)
            logs, point = logs + length * self._outward(step), new
        return logs

    def _line_search(
        self, logs: Array, point: BarrierValue, step: Array, barrier: float
    ) -> tuple[float, BarrierValue] | None:
        """Backtracking to a sufficient decrease; infeasible points count as infinite."""
        slope = float(point.gradient @ step)
        if not slope < 0.0:
            return None
        outward = self._outward(step)
        length = min(1.0, 2.0 / float(np.abs(outward).max()))
        while length > 1e-10 and not self.is_over:
            new = self._evaluate(logs + length * outward, barrier)
            if new is not None and new.objective <= point.objective + 1e-4 * length * slope:
                return length, new
            length *= 0.25 if new is None else 0.5
        return None

    def _evaluate(self, logs: Array, barrier: float) -> BarrierValue | None:
        begin = time.monotonic()
        with np.errstate(all="ignore"):
            multipliers = np.split(np.exp(logs), self.first[1:])
            if not all(np.isfinite(t).all() and t.all() for t in multipliers):
                return None
            point = barrier_value(self.problem, multipliers, barrier)
        self.evaluations += 1
        self.slowest = max(self.slowest, time.monotonic() - begin)
        if point is None:
            return None
        if point.value < self.value:
            self.best, self.value = multipliers, point.value
        point.gradient = self._inward(point.gradient)
        return point

    def _outward(self, z: Array) -> Array:
        """From the coordinates to ``log t``."""
        means = np.add.reduceat(z, self.first) / self.sizes
        before = np.cumsum(means) - means
        return np.asarray(z + np.repeat(0.5 * before, self.sizes))

    def _inward(self, gradient: Array) -> Array:
        """The transpose: gradients in ``log t`` to gradients in the coordinates."""
        sums = np.add.reduceat(gradient, self.first)
        after = np.cumsum(sums[::-1])[::-1] - sums
        return np.asarray(gradient + np.repeat(0.5 * after / self.sizes, self.sizes))

    def _scaled(self, gradient: Array) -> Array:
        """The two loops: the inverse Hessian of the remembered steps, times the gradient."""
        q = gradient.copy()
        if not self.steps:
            return q * min(1.0, 0.1 / (float(np.abs(gradient).max()) + 1e-300))
        pairs = [(s, y, float(s @ y)) for s, y in zip(self.steps, self.changes, strict=True)]
        shares = []
        for s, y, product in reversed(pairs):
            shares.append(float(s @ q) / product)
            q -= shares[-1] * y
        s, y, product = pairs[-1]
        q *= product / float(y @ y)
        for (s, y, product), share in zip(pairs, reversed(shares), strict=True):
            q += s * (share - float(y @ q) / product)
        return q

    def _remember(self, step: Array, change: Array) -> None:
        curvature = float(step @ change)
        if curvature > 1e-12 * float(np.linalg.norm(step) * np.linalg.norm(change)):
            self.steps = [*self.steps, step][-_MEMORY:]
            self.changes = [*self.changes, change][-_MEMORY:]
