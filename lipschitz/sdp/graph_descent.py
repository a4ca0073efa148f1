"""Multipliers for a network with branches: closed forms, then quasi-Newton steps on their logs.

Every iterate proves a bound, so that the search may stop at any time. The closed forms choose
``t_k`` from ``G_kk`` alone: ``t = 1 / (2 h^2 d)`` is feasible for every diagonal ``diag(d) >= G``,
for example row sums of ``|G|`` (Gershgorin), the same in the Perron vector's scale, or the largest
eigenvalue (the closed form of ECLipsE-Fast, Xu and Sivaranjani, NeurIPS 2024).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lipschitz.layers.contract import Array
from lipschitz.sdp.graph_elimination import Choose, Elimination

__all__ = ["Multipliers", "closed_forms", "descend", "given"]

_GAPS = (0.1, 0.02, 4e-3, 8e-4, 1.6e-4, 3.2e-5, 6.4e-6)
_MEMORY = 20
_LARGE, _ROUGH = 5e9, 0.01
"""Operations of an evaluation from which the barriers above 0.01 run in single precision."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Multipliers:
    """Multipliers of a reduced network and what they prove, up to rounding.

    Parameters
    ----------
    rho : float
        The square of the bound.
    values : tuple of arrays
        For the form scaled to ``rho = 1``; multiply by ``rho`` for a proof.
    method : str
    iterations : int
        Evaluations of the objective.

    Examples
    --------
    >>> Multipliers(rho=9.0, values=(np.array([2.0]),), method="given", iterations=0).rho
    9.0
    """

    rho: float
    values: tuple[Array, ...]
    method: str
    iterations: int


def closed_forms(system: Elimination) -> Multipliers | None:
    """The best of the closed forms; None if rounding makes all of them infeasible.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> from lipschitz.sdp.graph_elimination import reduced
    >>> from lipschitz.sdp.graph_matrices import graph_model
    >>> system = reduced(graph_model(from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]])))  # |x|
    >>> 1.0 <= closed_forms(system).rho <= 2.0
    True
    """
    rules = {"row sums": _row_sums, "Perron row sums": _perron_sums, "eigenvalue": _eigenvalue}
    best: Multipliers | None = None
    for name, rule in rules.items():
        factors = system.factors(_choice(system, rule))
        if factors is not None and (best is None or factors.rho < best.rho):
            best = Multipliers(
                rho=factors.rho, values=factors.multipliers, method=name, iterations=0
            )
    return best


def given(system: Elimination, start: Sequence[Array]) -> Multipliers | None:
    """Multipliers of all neurons, for ``rho = 1``, restricted to those that take part.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> from lipschitz.sdp.graph_elimination import reduced
    >>> from lipschitz.sdp.graph_matrices import graph_model
    >>> system = reduced(graph_model(from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]])))  # |x|
    >>> round(given(system, [np.ones(2)]).rho, 9), given(system, [np.full(2, 5.0)])
    (2.0, None)
    """
    values = tuple(
        np.asarray(t, dtype=np.float64)[mask] for t, mask in zip(start, system.alive, strict=True)
    )
    if not all(np.isfinite(t).all() and (t > 0.0).all() for t in values):
        return None
    factors = system.factors(lambda k, _: values[k - 1])
    if factors is None:
        return None
    return Multipliers(rho=factors.rho, values=values, method="given", iterations=0)


def _choice(system: Elimination, rule: Callable[[Array], Array]) -> Choose:
    def choose(gate: int, gram: Array) -> Array:
        d = rule(gram)
        floor = max(float(d.max(initial=0.0)) * 1e-14, 1e-280)
        return 0.5 / (system.halves[gate - 1] ** 2 * np.maximum(d, floor))

    return choose


def _row_sums(gram: Array) -> Array:
    return np.asarray(np.abs(gram).sum(axis=1))


def _perron_sums(gram: Array) -> Array:
    magnitude = np.abs(gram)
    x = np.ones(len(gram))
    for _ in range(30):
        y = magnitude @ x
        top = float(y.max(initial=0.0))
        if top == 0.0:
            break
        x = np.maximum(y / top, 1e-9)
    return np.asarray((magnitude @ x) / x)


def _eigenvalue(gram: Array) -> Array:
    # Power steps from below and two percent on top: too little is noticed as infeasible.
    x = np.ones(len(gram)) + 0.01 * np.cos(np.arange(len(gram)))
    top = 0.0
    for _ in range(40):
        x = gram @ x
        top = float(np.abs(x).max(initial=0.0))
        if top == 0.0:
            break
        x /= top
    bound = float(np.abs(gram).sum(axis=1).max(initial=0.0))
    return np.full(len(gram), min(1.02 * top, bound))


# ---- quasi-Newton steps -------------------------------------------------------------------------
def descend(
    system: Elimination,
    start: Multipliers,
    *,
    deadline: float,
    rtol: float = 1e-5,
) -> Multipliers:
    """Lower ``rho`` by L-BFGS on ``log t`` along a sequence of barriers, until a deadline.

    With ``n`` rows in all blocks a barrier of weight ``mu`` costs ``log rho`` about ``n mu``.

    Parameters
    ----------
    system : Elimination
    start : Multipliers
    deadline : float
        Of `time.perf_counter`.
    rtol : float
        The last barrier costs about this much of ``rho``.

    Returns
    -------
    Multipliers
        Of the smallest ``rho`` met; never worse than `start`.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> from lipschitz.sdp.graph_elimination import reduced
    >>> from lipschitz.sdp.graph_matrices import graph_model
    >>> system = reduced(graph_model(from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]])))  # |x|
    >>> start = given(system, [np.array([0.5, 1.0])])
    >>> found = descend(system, start, deadline=time.perf_counter() + 5.0)
    >>> start.rho > 1.5, abs(found.rho - 1.0) < 1e-3
    (True, True)
    """
    theta = np.log(np.concatenate(start.values)) if start.values else np.zeros(0)
    if theta.size == 0:
        return start
    best, is_large = start, system.flops() > _LARGE
    if is_large:
        rough = _Search(system.single(), start, deadline)
        for gap in (g for g in _GAPS if g > _ROUGH):
            theta = rough.minimise(theta, gap / theta.size, 0.02 * gap)
        exact = _evaluated(system, rough.best, rough.evaluations)
        if exact is not None and exact.rho < best.rho:
            best = exact
    search = _Search(system, best, deadline)
    for gap in (g for g in _GAPS if g <= _ROUGH or not is_large):
        if search.is_over:
            break
        theta = search.minimise(theta, gap / theta.size, 0.02 * gap)
        if gap <= rtol:
            break
    return search.best


def _evaluated(system: Elimination, found: Multipliers, iterations: int) -> Multipliers | None:
    """Multipliers from single precision with the bound that they give in double precision."""
    factors = system.factors(lambda k, _: found.values[k - 1])
    if factors is None:
        return None
    return replace(found, rho=factors.rho, iterations=iterations)


class _Search:
    """L-BFGS with backtracking into the region where the objective is finite."""

    def __init__(self, system: Elimination, start: Multipliers, deadline: float) -> None:
        self.system, self.best, self.deadline = system, start, deadline
        self.cuts = np.cumsum([len(t) for t in start.values])[:-1]
        self.evaluations = 0
        self.slowest = 0.0

    @property
    def is_over(self) -> bool:
        """Whether one more evaluation may pass the deadline."""
        return time.perf_counter() + self.slowest > self.deadline

    def evaluate(self, theta: Array, mu: float) -> tuple[float, Array]:
        """The objective and its gradient; infinite outside the feasible set."""
        begin = time.perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):
            values = tuple(np.split(np.exp(theta), self.cuts))
        found = self.system.objective(values, mu)
        self.evaluations += 1
        self.slowest = max(self.slowest, time.perf_counter() - begin)
        if found is None:
            return math.inf, theta
        rho, value, gradient = found
        if rho < self.best.rho:
            self.best = Multipliers(
                rho=rho, values=values, method="quasi-Newton", iterations=self.evaluations
            )
        return value, np.concatenate(gradient)

    def minimise(self, theta: Array, mu: float, decrease: float) -> Array:
        """L-BFGS at one barrier (Nocedal and Wright, *Numerical Optimization*, algorithm 7.5)."""
        value, gradient = self.evaluate(theta, mu)
        steps: list[Array] = []
        changes: list[Array] = []
        small = 0
        while math.isfinite(value) and not self.is_over and small < 3:
            direction = -_two_loops(gradient, steps, changes)
            slope = float(direction @ gradient)
            if not slope < 0.0:
                if not steps:
                    break
                steps, changes = [], []
                continue
            length = min(1.0, 2.0 / float(np.abs(direction).max()))
            while True:
                new_value, new_gradient = self.evaluate(theta + length * direction, mu)
                if new_value <= value + 1e-4 * length * slope or length < 1e-9 or self.is_over:
                    break
                length *= 0.5 if math.isfinite(new_value) else 0.25
            if not new_value < value:
                if not steps or self.is_over:
                    break
                steps, changes = [], []
                continue
            step, change = length * direction, new_gradient - gradient
            norms = float(np.linalg.norm(step) * np.linalg.norm(change))
            if float(step @ change) > 1e-12 * norms:
                steps, changes = [*steps, step][-_MEMORY:], [*changes, change][-_MEMORY:]
            small = small + 1 if value - new_value < decrease else 0
            theta, value, gradient = theta + step, new_value, new_gradient
        return theta


def _two_loops(gradient: Array, steps: list[Array], changes: list[Array]) -> Array:
    q = gradient.copy()
    if not steps:
        return q * min(1.0, 0.1 / float(np.abs(gradient).max() + 1e-300))
    pairs = [(s, y, float(s @ y)) for s, y in zip(steps, changes, strict=True)]
    shares = []
    for s, y, product in reversed(pairs):
        shares.append(float(s @ q) / product)
        q -= shares[-1] * y
    s, y, product = pairs[-1]
    q *= product / float(y @ y)
    for (s, y, product), share in zip(pairs, reversed(shares), strict=True):
        q += s * (share - float(y @ q) / product)
    return q
