"""A primal-dual interior-point method for the semidefinite bound, gap 1e-8 in ten to twenty steps.

    dual     min rho           S(rho, t) = rho E + sum_j t_j A_j - B >= 0,  t >= 0
    primal   max <B, X>        <E, X> = 1,  <A_j, X> + z_j = 0,  X >= 0,  z >= 0

Predictor-corrector steps in the direction of Helmberg, Rendl, Vanderbei, Wolkowicz (SIAM J. Optim.
6 (1996)), Kojima and Monteiro: the Newton system is one dense matrix over the multipliers, formed
from Hadamard products (`lipschitz.sdp.rank_two`). The dual iterate stays feasible, the primal one
becomes feasible with the first full step.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from lipschitz.layers.contract import Array
from lipschitz.sdp.presolve import Problem
from lipschitz.sdp.rank_two import Constraints
from lipschitz.sdp.recursion import value_of

__all__ = ["InteriorPoint", "optimal_multipliers"]

_ITERATIONS = 100
_TRAIL = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class InteriorPoint:
    """Multipliers for ``rho = 1``, the constant they give, and the primal side's constant.

    ``before`` holds the multipliers of earlier steps, latest first: further from the boundary,
    hence easier to prove.
    """

    multipliers: list[Array]
    value: float
    primal: float
    iterations: int
    before: tuple[list[Array], ...] = ()


@dataclass(slots=True)
class _Iterate:
    rho: float
    t: Array
    s: Array
    x: Array
    z: Array


@dataclass(slots=True)
class _Step:
    rho: float
    t: Array
    s: Array
    x: Array
    z: Array


def optimal_multipliers(
    problem: Problem, start: list[Array], value: float, deadline: float, rtol: float = 1e-8
) -> InteriorPoint:
    """Minimise the constant over all multipliers.

    Parameters
    ----------
    problem : Problem
        Balanced, so that multipliers and constant are near one.
    start : list of arrays
        Feasible for ``rho = 1``, with the finite constant ``value``.
    deadline : float
        In the seconds of ``time.monotonic``.
    rtol : float
        Relative gap of the constant at which to stop.
    """
    constraints = Constraints(problem)
    rho = 2.0 * value**2
    t = np.concatenate(start) * rho
    weight = max(1.0 / constraints.inputs, rho / (constraints.size + constraints.neurons))
    here = _Iterate(
        rho=rho,
        t=t,
        s=constraints.combine(rho, t) - constraints.objective,
        x=np.eye(constraints.size) * weight,
        z=np.full(constraints.neurons, weight),
    )
    best, best_value, primal, iterations = start, value, 0.0, 0
    trail: list[list[Array]] = []
    while iterations < _ITERATIONS and time.monotonic() < deadline:
        moved = _newton(constraints, here)
        if moved is None:
            break
        iterations += 1
        trail = [constraints.split(here.t / here.rho), *trail[:_TRAIL]]
        primal = max(primal, _primal_value(constraints, here))
        if _gap(here) < 2.0 * rtol * here.rho and primal > 0.0:
            break
        if moved < 1e-4:
            break
    reached = constraints.split(here.t / here.rho)
    reached_value = value_of(problem, reached)
    if reached_value < best_value:
        best, best_value = reached, reached_value
    return InteriorPoint(
        multipliers=best,
        value=best_value,
        primal=min(primal, best_value),
        iterations=iterations,
        before=tuple(trail[1:]),
    )


def _gap(here: _Iterate) -> float:
    return float((here.x * here.s).sum() + here.z @ here.t)


def _primal_value(constraints: Constraints, here: _Iterate) -> float:
    """What the primal iterate proves up to rounding, its violations charged to the multipliers.

    For every dual point, ``rho <E, X> - <B, X> + sum_j t_j <A_j, X> = <S, X> >= 0``. The optimal
    multipliers are not known; the current ones stand for them.
    """
    trace, inner = constraints.inner(here.x)
    value = float((constraints.objective * here.x).sum())
    charged = value - 2.0 * float(here.t @ np.maximum(inner, 0.0))
    return math.sqrt(max(charged / trace, 0.0)) if trace > 0.0 else 0.0


def _newton(constraints: Constraints, here: _Iterate) -> float | None:
    """One predictor-corrector step in place; the shorter step length, None if it broke down."""
    from scipy.linalg import cho_factor, cho_solve
    from scipy.linalg.lapack import dpotri

    size = constraints.size + constraints.neurons
    mu = _gap(here) / size
    try:
        lower = np.linalg.cholesky(here.s)
    except np.linalg.LinAlgError:
        return None
    half = np.tril(dpotri(lower, lower=1)[0])
    inverse = half + np.tril(half, -1).T
    matrix = constraints.schur(here.x, inverse)
    matrix.reshape(-1)[constraints.neurons + 2 :: constraints.neurons + 2] += here.z / here.t
    scale = 1.0 / np.sqrt(matrix.diagonal())
    matrix *= scale[:, None]
    matrix *= scale
    factor = None
    for ridge in (1e-15, 1e-12, 1e-9):
        try:
            shifted = matrix.copy()
            shifted.reshape(-1)[:: len(matrix) + 1] += ridge
            factor = cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False)
            break
        except np.linalg.LinAlgError:
            continue
    if factor is None:
        return None
    trace, inner = constraints.inner(inverse)

    def direction(target: float, correction: tuple[Array, Array] | None) -> _Step:
        """Newton step towards ``X S = target I`` and ``z t = target``."""
        right = target * np.concatenate([[trace], inner + 1.0 / here.t])
        right[0] -= 1.0
        if correction is not None:
            first, rest = constraints.inner(correction[0])
            right[0] -= first
            right[1:] -= rest + correction[1]
        dy = scale * cho_solve(factor, scale * right, check_finite=False)
        product = constraints.times(float(dy[0]), dy[1:], inverse)
        dx = target * inverse - here.x - here.x @ product
        dz = target / here.t - here.z - here.z / here.t * dy[1:]
        if correction is not None:
            dx -= correction[0]
            dz -= correction[1]
        return _Step(
            rho=float(dy[0]),
            t=dy[1:],
            s=constraints.combine(float(dy[0]), dy[1:]),
            x=0.5 * (dx + dx.T),
            z=dz,
        )

    step = direction(0.0, None)
    primal = _length(here.x, step.x, here.z, step.z)
    dual = _length(here.s, step.s, here.t, step.t)
    predicted = ((here.x + primal * step.x) * (here.s + dual * step.s)).sum()
    predicted += (here.z + primal * step.z) @ (here.t + dual * step.t)
    centring = max(1e-3, min(1.0, predicted / size / mu)) ** 2 if min(primal, dual) > 0.1 else 0.5
    second = 0.5 * (step.x @ constraints.times(step.rho, step.t, inverse))
    step = direction(centring * mu, (second + second.T, step.z * step.t / here.t))
    primal = _length(here.x, step.x, here.z, step.z)
    dual = _length(here.s, step.s, here.t, step.t)
    here.x += primal * step.x
    here.z += primal * step.z
    here.rho += dual * step.rho
    here.t += dual * step.t
    here.s = constraints.combine(here.rho, here.t) - constraints.objective
    return min(primal, dual)


def _length(matrix: Array, change: Array, vector: Array, change_vector: Array) -> float:
    """At most a full step, and less than 98 % of the way to the boundary of both cones."""
    from scipy.linalg.lapack import dpotrf

    shrinks = change_vector < 0.0
    length = 1.0
    if shrinks.any():
        length = min(1.0, 0.98 * float(np.min(-vector[shrinks] / change_vector[shrinks])))
    while length > 1e-8:
        tried = matrix + (length / 0.98 if length < 1.0 else 1.0) * change
        # The transpose of a symmetric matrix in C order is the same matrix in LAPACK's order.
        if dpotrf(tried.T, lower=1, clean=0, overwrite_a=1)[1] == 0:
            break
        length *= 0.8
    return length
