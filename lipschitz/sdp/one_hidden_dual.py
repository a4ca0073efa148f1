"""One hidden layer and one output: multipliers from a semidefinite program of MAX-CUT kind.

With ``phi_j = m_j v_j + r_j s_j v_j``, ``|s_j| <= 1``, the output's gradient is ``B s`` for
``s = (1, s_1, ..., s_n)`` and ``B = [sum_j c_j m_j w_j, c_1 r_1 w_1, ..., c_n r_n w_n]``. Its norm
is largest at a vertex of the cube, and for every ``y > 0`` with ``diag(y) >= B^T B``

    |B s|^2 <= sum_j y_j s_j^2 <= sum_j y_j .

The multipliers ``t_j = c_j^2 rho / y_j`` with ``rho = sum_j y_j`` then prove ``L^2 <= rho`` in the
form of `lipschitz.sdp.proof`: eliminate its ``phi`` and compare Schur complements. The primal
program ``max <B^T B, X>, X >= 0, diag X = 1`` is solved in factors ``X = V^T V`` by setting one
column of ``V`` after the other to its best value (the mixing method), at a cost of ``O(n n_0)``
times the rank for a pass; its columns give ``y`` up to a factor, which is the largest eigenvalue of
the ``n_0 x n_0`` matrix ``B diag(1/y) B^T``.

References
----------
Wang, Chang, Kolter, *The mixing method: low-rank coordinate descent for semidefinite programming
with diagonal constraints*, 2017; Wang, Prakash, Chen, *A quantitative geometric approach to
neural-network smoothness*, NeurIPS 2022, for the equality of the two programs.
"""

from __future__ import annotations

import math
import time

import numpy as np

from lipschitz.sdp.interior_point import InteriorPoint
from lipschitz.sdp.presolve import Problem

__all__ = ["applies_to", "multipliers_by_mixing"]


def applies_to(problem: Problem) -> bool:
    """One hidden layer, one output, and no neuron that is linear."""
    if len(problem.weights) != 2 or len(problem.weights[1]) != 1:
        return False
    return bool((problem.slope_upper[0] > problem.slope_lower[0]).all())


def multipliers_by_mixing(problem: Problem, deadline: float, rtol: float) -> InteriorPoint:
    """Multipliers for ``rho = 1`` and both values of the program.

    Parameters
    ----------
    problem : Problem
        One that `applies_to` accepts.
    deadline : float
        In the seconds of ``time.monotonic``.
    rtol : float
        Relative gap of the constant at which to stop.
    """
    from scipy.linalg.blas import dger

    w, c = problem.weights[0], problem.weights[1][0]
    a, b = problem.slope_lower[0], problem.slope_upper[0]
    if w.shape[1] > w.shape[0]:
        w = np.ascontiguousarray(np.asarray(np.linalg.qr(w.T, mode="r")).T)
    columns = np.concatenate([((0.5 * (a + b) * c) @ w)[None], (0.5 * (b - a) * c)[:, None] * w])
    squares = np.einsum("ij,ij->i", columns, columns)
    count, rank = len(columns), math.ceil(math.sqrt(2 * len(columns))) + 1
    v = np.random.default_rng(0).standard_normal((count, rank))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    moved = np.asfortranarray(columns.T @ v)  # B V
    lengths = np.zeros(count)
    best, best_value, primal, passes = np.ones(count), math.inf, 0.0, 0
    while True:
        for i in range(count):
            pull = columns[i] @ moved - squares[i] * v[i]
            lengths[i] = math.sqrt(pull @ pull)
            if lengths[i] > 0.0:
                new = pull / lengths[i]
                moved = dger(1.0, columns[i], new - v[i], a=moved, overwrite_a=1)
                v[i] = new
        passes += 1
        moved = np.asfortranarray(columns.T @ v)
        primal = math.sqrt(float((moved * moved).sum()))
        y = np.maximum(lengths + squares, 1e-14 * float((lengths + squares).max()))
        # Optimal y make diag(y) - B^T B singular; a little more leaves room for the proof.
        repair = np.linalg.eigvalsh((columns.T / y) @ columns)[-1] * (1.0 + 0.01 * rtol)
        value = math.sqrt(float(y.sum()) * float(repair))
        if value < best_value:
            best, best_value = y * repair, value
        if best_value <= primal * (1.0 + rtol) or time.monotonic() > deadline:
            break
    return InteriorPoint(
        multipliers=[np.maximum(c * c, 1e-30 * float((c * c).max())) / best[1:]],
        value=best_value,
        primal=min(primal, best_value),
        iterations=passes,
    )
