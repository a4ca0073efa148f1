"""The best constant that given multipliers prove: block elimination, its value and its gradient.

With ``P_0 = I`` and ``t > 0`` eliminate one layer after the other from the form of
`lipschitz.sdp.proof`, for ``rho = 1`` and without the output:

    N_i = P_(i-1) + W_i^T Q_i W_i,    P_i = T_i - H_i W_i N_i^(-1) W_i^T H_i.

``P_i`` is what is left for ``phi_i``: ``|x|^2 + sum ... >= phi_i^T P_i phi_i``. The multipliers are
feasible if every ``N_i`` and ``P_k`` are positive definite, and the best constant is then

    L^2 = largest eigenvalue of W_(k+1) P_k^(-1) W_(k+1)^T.

Plain floating point: these numbers steer optimisers, and `prove_multipliers` judges the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lipschitz.layers.contract import Array
from lipschitz.sdp.presolve import Problem

__all__ = ["BarrierValue", "Elimination", "barrier_value", "eliminate", "value_of"]


@dataclass(slots=True)
class Elimination:
    """The factors of one run, for the gradient."""

    multipliers: list[Array]
    factors: list[Array]
    """Cholesky factors of ``N_1, ..., N_k, P_k``."""
    halves: list[Array]
    """``C^(-1) W^T`` for these factors ``C`` and ``W_1, ..., W_(k+1)``."""


def eliminate(problem: Problem, multipliers: list[Array], slack: float = 0.0) -> Elimination | None:
    """Run the recursion; None if the multipliers are not feasible.

    ``slack`` takes away that part of every ``T_i`` and of ``P_0``: what is feasible and bounded
    with it stays so under errors of this relative size.
    """
    from scipy.linalg import solve_triangular

    left = None  # None is a multiple of the identity
    identity = 1.0 - slack
    factors, halves = [], []
    for i, w in enumerate(problem.weights):
        if i < len(multipliers):
            t, a, b = multipliers[i], problem.slope_lower[i], problem.slope_upper[i]
            q = t * a * b
        else:
            q = np.zeros(0)
        if q.any():
            left = np.eye(w.shape[1]) * identity if left is None else left
            left = left + w.T @ (q[:, None] * w)
        if left is None:
            factor = np.array(math.sqrt(identity))
            half = w.T / factor
        else:
            try:
                factor = np.linalg.cholesky(left)
            except np.linalg.LinAlgError:
                return None
            half = solve_triangular(factor, w.T, lower=True, check_finite=False)
        factors.append(factor)
        halves.append(half)
        if i < len(multipliers):
            scaled = half * (0.5 * t * (a + b))
            left = scaled.T @ scaled
            np.negative(left, out=left)
            left.flat[:: len(t) + 1] += (1.0 - slack) * t
    return Elimination(multipliers=multipliers, factors=factors, halves=halves)


def value_of(problem: Problem, multipliers: list[Array], slack: float = 0.0) -> float:
    """The best constant that these multipliers prove; inf if they are not feasible.

    Examples
    --------
    >>> from lipschitz.sdp.feedforward import FeedForward
    >>> from lipschitz.sdp.presolve import presolved
    >>> net = FeedForward.exact([[[1.0], [-1.0]], [[1.0, -1.0]]],
    ...                         slope_lower=[np.zeros(2)], slope_upper=[np.ones(2)])
    >>> problem = presolved(net)
    >>> round(problem.norm_of_network(value_of(problem, [np.array([4.0, 4.0])])), 12)
    2.0
    """
    if len(multipliers) == 1 and len(multipliers[0]) > problem.weights[0].shape[1]:
        return _value_of_wide_layer(problem, multipliers[0], slack)
    result = eliminate(problem, multipliers, slack)
    if result is None:
        return math.inf
    value = float(np.linalg.norm(result.halves[-1], 2)) if result.halves[-1].size else 0.0
    return value if math.isfinite(value) else math.inf


def _value_of_wide_layer(problem: Problem, t: Array, slack: float) -> float:
    """One hidden layer: eliminating it first leaves a matrix of the size of the input."""
    from scipy.linalg import solve_triangular

    w, c = problem.weights
    a, b = problem.slope_lower[0], problem.slope_upper[0]
    h = 0.5 * (a + b) / (1.0 - slack)  # H T^(-1)
    left = w.T @ ((t * (a * b - 0.5 * (a + b) * h))[:, None] * w)
    left.flat[:: len(left) + 1] += 1.0 - slack
    try:
        factor = np.linalg.cholesky(left)
    except np.linalg.LinAlgError:
        return math.inf
    half = solve_triangular(factor, (h[:, None] * w).T @ c.T, lower=True, check_finite=False)
    rows = c / np.sqrt(t * (1.0 - slack))
    return float(np.linalg.norm(np.concatenate([half.T, rows], axis=1), 2))


@dataclass(slots=True)
class BarrierValue:
    """What a descent needs to know at one point."""

    value: float
    """The constant itself, without barrier."""
    objective: float
    gradient: Array
    """In ``log t``, of all layers one after the other."""


def barrier_value(
    problem: Problem, multipliers: list[Array], barrier: float
) -> BarrierValue | None:
    """The logarithm of the constant's square behind a barrier; None where that is infinite.

    With ``M = W_(k+1) P_k^(-1) W_(k+1)^T`` the objective is the minimum over ``rho`` of

        log rho - barrier * (log det(I - M / rho) + sum_i log det(T_i^(-1) P_i)).

    These determinants are at most 1, so that the objective is above ``log L^2``; their logarithms
    keep iterates feasible and the problem smooth, and cost about ``barrier`` for every neuron.

    Examples
    --------
    >>> from lipschitz.sdp.feedforward import FeedForward
    >>> from lipschitz.sdp.presolve import presolved
    >>> net = FeedForward.exact([[[1.0], [-1.0]], [[1.0, -1.0]]],
    ...                         slope_lower=[np.zeros(2)], slope_upper=[np.ones(2)])
    >>> point = barrier_value(presolved(net), [np.array([2.0, 2.0])], 1e-9)
    >>> bool(abs(point.objective - 2.0 * np.log(point.value)) < 1e-6)
    True
    """
    result = eliminate(problem, multipliers)
    if result is None:
        return None
    eigenvalues, vectors = np.linalg.eigh(result.halves[-1].T @ result.halves[-1])
    largest = float(eigenvalues[-1])
    if not 0.0 < largest < math.inf:
        return None
    ratio = np.clip(eigenvalues / largest, 0.0, 1.0)
    excess = _best_excess(ratio, barrier)
    room = excess + (1.0 - ratio)  # (rho - eigenvalues) / largest
    objective = math.log(largest) + math.log1p(excess)
    objective -= barrier * float(np.log(room).sum() - len(room) * math.log1p(excess))
    for factor, t in zip(result.factors[1:], multipliers, strict=True):
        objective -= barrier * float(2.0 * np.log(factor.diagonal()).sum() - np.log(t).sum())
    if not math.isfinite(objective):
        return None
    weight = (vectors * (barrier / room / largest)) @ vectors.T
    gradient = np.concatenate(_adjoint(problem, result, weight, barrier))
    return BarrierValue(value=math.sqrt(largest), objective=objective, gradient=gradient)


def _best_excess(ratio: Array, barrier: float) -> float:
    """``rho / lambda_max - 1`` at the minimum over ``rho``: the root of a convex function.

    Newton's method from the left of the root of ``barrier sum_i ratio_i / (x + 1 - ratio_i) = 1``
    never passes it; the largest ratio alone puts the root at ``barrier``.
    """
    excess = barrier
    for _ in range(100):
        room = excess + (1.0 - ratio)
        shares = barrier * ratio / room
        step = float(shares.sum() - 1.0) / float((shares / room).sum())
        excess += max(step, 0.0)
        if step <= 1e-14 * excess:
            break
    return excess


def _adjoint(problem: Problem, result: Elimination, weight: Array, barrier: float) -> list[Array]:
    """Derivatives in ``log t``, from the last layer to the first."""
    from scipy.linalg import solve_triangular
    from scipy.linalg.lapack import dpotri

    def back(factor: Array, half: Array) -> Array:
        if factor.ndim == 0:
            return half / factor
        solved = solve_triangular(factor, half, lower=True, trans="T", check_finite=False)
        return np.asarray(solved)

    def inverse(factor: Array) -> Array:
        lower = np.tril(dpotri(factor, lower=1)[0])
        return np.asarray(lower + np.tril(lower, -1).T)

    outer = back(result.factors[-1], result.halves[-1])
    bar = -(outer @ weight) @ outer.T - barrier * inverse(result.factors[-1])  # in P_k
    gradient: list[Array] = []
    for i in range(len(result.multipliers) - 1, -1, -1):
        t, a, b = result.multipliers[i], problem.slope_lower[i], problem.slope_upper[i]
        half, h = result.halves[i], 0.5 * t * (a + b)
        slope = bar.diagonal() - (a + b) * ((bar * (half.T @ half)) @ h) + barrier / t
        ab = a * b
        if i > 0 or ab.any():
            inner = back(result.factors[i], half)  # N^(-1) W^T
            bar = (inner @ (h[:, None] * bar * h)) @ inner.T
            if i > 0:
                bar -= barrier * inverse(result.factors[i])
            if ab.any():
                w = problem.weights[i]
                slope = slope + ab * np.einsum("ij,ij->i", w @ bar, w)
        gradient.append(t * slope)
    return gradient[::-1]
