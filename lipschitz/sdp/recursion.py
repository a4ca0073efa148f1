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

__all__ = ["Elimination", "eliminate", "log_gradient", "value_of"]


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


def log_gradient(
    problem: Problem, multipliers: list[Array], barrier: float
) -> tuple[float, Array] | None:
    """``log L^2 - barrier * sum_i log det(T_i^(-1) P_i)``, and its gradient in ``log t``.

    With several outputs the largest eigenvalue is smoothed by a power mean that tends to it with
    the barrier. The logarithm of the determinant keeps iterates feasible and makes the problem
    smooth where the optimal ``P_i`` are singular.
    """
    result = eliminate(problem, multipliers)
    if result is None:
        return None
    objective, weight = _log_largest(result.halves[-1], barrier)
    for factor, t in zip(result.factors[1:], multipliers, strict=True):
        objective -= barrier * float(2.0 * np.log(factor.diagonal()).sum() - np.log(t).sum())
    if not math.isfinite(objective):
        return None
    gradient = _adjoint(problem, result, weight, barrier)
    return objective, np.concatenate(gradient)


def _log_largest(half: Array, barrier: float) -> tuple[float, Array]:
    """Smoothed ``log lambda_max(half^T half)`` and its derivative in that matrix."""
    if half.shape[1] == 1:
        square = float((half * half).sum())
        return math.log(square), np.full((1, 1), 1.0 / square)
    eigenvalues, vectors = np.linalg.eigh(half.T @ half)
    power = min(400.0, max(8.0, 0.1 / barrier))
    ratio = np.maximum(eigenvalues, 1e-300) / eigenvalues[-1]
    total = float((ratio**power).sum())
    slopes = ratio ** (power - 1.0) / total / eigenvalues[-1]
    smooth = math.log(eigenvalues[-1]) + math.log(total) / power
    return smooth, (vectors * slopes) @ vectors.T


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
