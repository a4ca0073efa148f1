"""Descent on the logarithms of the multipliers: for networks that are deep or wide.

The objective is that of `lipschitz.sdp.recursion.log_gradient`: one evaluation costs a Cholesky
factorisation and a few products for every layer, so that time grows linearly with depth. A barrier
that shrinks from 1e-2 to 1e-5 keeps the eliminated matrices definite; limited-memory quasi-Newton
steps (Nocedal and Wright, *Numerical Optimization*, 2nd ed., algorithm 7.4) do the rest. The
logarithm of the constant is what is minimised: constants of 1e-8, or 1e8, cost the same accuracy.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from lipschitz.layers.contract import Array
from lipschitz.sdp.presolve import Problem
from lipschitz.sdp.recursion import log_gradient, value_of

__all__ = ["Descent", "descend"]

_BARRIERS: Final = (1e-2, 1e-3, 1e-4, 1e-5)
_MEMORY: Final = 20
_ITERATIONS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """The best multipliers seen, the constant they give in floats, and the work done."""

    multipliers: list[Array]
    value: float
    evaluations: int


def descend(problem: Problem, start: list[Array], deadline: float, rtol: float = 1e-7) -> Descent:
    """Improve multipliers (for ``rho = 1``) until they stand still, or time is up.

    Parameters
    ----------
    problem : Problem
    start : list of arrays
        Feasible.
    deadline : float
        In the seconds of ``time.monotonic``.
    rtol : float
        Decrease of ``log L^2`` in one step that counts as none.
    """
    cuts = np.cumsum([len(t) for t in start])[:-1]

    def split(logs: Array) -> list[Array]:
        return [np.exp(part) for part in np.split(logs, cuts)]

    best, value = start, value_of(problem, start)
    logs, evaluations = np.log(np.concatenate(start)), 0
    for barrier in _BARRIERS:
        tolerance = rtol * max(1.0, barrier / _BARRIERS[-1])
        search = _Search(problem, barrier, split)
        logs = search.run(logs, deadline, tolerance)
        evaluations += search.evaluations
        reached = value_of(problem, split(logs))
        if reached < value:
            best, value = split(logs), reached
        if time.monotonic() > deadline:
            break
    return Descent(multipliers=best, value=value, evaluations=evaluations)


class _Search:
    """Quasi-Newton steps for one barrier."""

    def __init__(self, problem: Problem, barrier: float, split) -> None:  # type: ignore[no-untyped-def]
        self.problem, self.barrier, self.split = problem, barrier, split
        self.steps: list[Array] = []
        self.changes: list[Array] = []
        self.evaluations = 0

    def run(self, logs: Array, deadline: float, tolerance: float) -> Array:
        """From a point to the barrier's minimum, or as far as floats lead."""
        current = self._evaluate(logs)
        if current is None:
            return logs
        objective, gradient = current
        for _ in range(_ITERATIONS):
            if time.monotonic() > deadline:
                break
            direction = self._direction(gradient)
            slope = float(gradient @ direction)
            if not slope < 0.0:
                self.steps, self.changes = [], []
                direction, slope = -gradient, -float(gradient @ gradient)
            length = min(1.0, 2.0 / max(float(np.abs(direction).max()), 1e-300))
            found = self._line_search(logs, objective, direction, slope, length)
            if found is None:
                break
            length, new_objective, new_gradient = found
            self._remember(length * direction, new_gradient - gradient)
            logs = logs + length * direction
            decrease = objective - new_objective
            objective, gradient = new_objective, new_gradient
            if decrease < tolerance:
                break
        return logs

    def _evaluate(self, logs: Array) -> tuple[float, Array] | None:
        self.evaluations += 1
        return log_gradient(self.problem, self.split(logs), self.barrier)

    def _line_search(
        self, logs: Array, objective: float, direction: Array, slope: float, length: float
    ) -> tuple[float, float, Array] | None:
        """Backtracking to a sufficient decrease; infeasible points count as infinite."""
        for _ in range(40):
            found = self._evaluate(logs + length * direction)
            if found is not None and found[0] <= objective + 1e-4 * length * slope:
                return length, *found
            length *= 0.25 if found is None else 0.5
        return None

    def _direction(self, gradient: Array) -> Array:
        q, weights = gradient.copy(), []
        for s, y in zip(reversed(self.steps), reversed(self.changes), strict=True):
            weights.append((s @ q) / (s @ y))
            q -= weights[-1] * y
        if self.steps:
            s, y = self.steps[-1], self.changes[-1]
            q *= (s @ y) / (y @ y)
        else:
            q *= min(1.0, 0.1 / (float(np.abs(gradient).max()) + 1e-300))
        for (s, y), weight in zip(
            zip(self.steps, self.changes, strict=True), reversed(weights), strict=True
        ):
            q += s * (weight - (y @ q) / (s @ y))
        return -q

    def _remember(self, step: Array, change: Array) -> None:
        curvature = float(step @ change)
        if curvature > 1e-12 * float(np.linalg.norm(step) * np.linalg.norm(change)):
            self.steps, self.changes = [*self.steps, step], [*self.changes, change]
            self.steps, self.changes = self.steps[-_MEMORY:], self.changes[-_MEMORY:]
