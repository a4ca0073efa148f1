"""One hidden layer and one output: the gradient as a sum of vectors with signs.

With ``phi_j = mean_j v_j + half_j s_j v_j`` and ``s_j = sign(v_j)``, the gradient of ``f(x) = sum_j
c_j phi_j(w_j . x + b_j)`` is

    g(s) = m_0 + sum_j s_j m_j,    m_0 = sum_j c_j mean_j w_j,    m_j = c_j half_j w_j,

so that the Lipschitz constant is the largest ``||g(s)||_2`` over the sign vectors that occur.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence.rounding import add_up, norm_upper
from lipschitz.layers import balls
from lipschitz.layers.balls import Ball
from lipschitz.layers.contract import Array
from lipschitz.region_chain import KinkedChain
from lipschitz.region_hyperplanes import twins

__all__ = ["SignedRows", "signed_rows"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignedRows:
    """The vectors ``m_0, m_1, ...`` in floating point, and what rounding them may cost.

    Parameters
    ----------
    rows : array, shape (1 + count, d)
        One for each hyperplane that the gradient jumps at; ``m_0`` first.
    error : float
        No ``||g(s)||`` differs by more from that of the rows.
    neurons : array of int, shape (count,)
        A neuron for each hyperplane.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> from lipschitz.region_chain import kinked_chain
    >>> absolute = kinked_chain(from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]]))
    >>> signed_rows(absolute).rows
    array([[0.],
           [1.]])
    """

    rows: Array
    error: float
    neurons: NDArray[np.intp]


def signed_rows(chain: KinkedChain) -> SignedRows:
    """The vectors of a chain with one hidden layer and one output.

    Neurons that share a hyperplane (twins) are merged: their signs are equal or opposite.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> from lipschitz.region_chain import kinked_chain
    >>> found = signed_rows(kinked_chain(from_arrays([[[1.0], [3.0]], [[2.0, 0.0]]])))
    >>> found.rows.tolist(), found.neurons.tolist(), found.error < 1e-15
    ([[1.0], [1.0]], [0], True)
    """
    weight, last = chain.weights[0], (chain.weights[1][0][0], chain.weights[1][1][0])
    left, right = balls.exactly(0.5 * chain.left[0]), balls.exactly(0.5 * chain.right[0])
    middle = _scaled(balls.multiply(balls.add(right, left), last), weight)
    jumps = _scaled(balls.multiply(balls.add(right, (-left[0], left[1])), last), weight)
    representative, sign = twins(weight, chain.biases[0])
    merged: dict[int, Ball] = {}
    for j in np.flatnonzero((jumps[0] != 0.0).any(axis=1) | (jumps[1] != 0.0).any(axis=1)):
        own = sign[j] * jumps[0][j], jumps[1][j]
        i = int(representative[j])
        merged[i] = balls.add(merged[i], own) if i in merged else own
    total = balls.exactly(np.zeros(weight[0].shape[1]))
    for center, radius in zip(*middle, strict=True):
        total = balls.add(total, (center, radius))
    parts = [total, *merged.values()]
    error = 0.0
    for _, radius in parts:
        error = add_up(error, norm_upper(radius))
    return SignedRows(
        rows=np.array([center for center, _ in parts]),
        error=error,
        neurons=np.array([*merged], np.intp),
    )


def _scaled(factors: Ball, rows: Ball) -> Ball:
    return balls.multiply((factors[0][:, None], factors[1][:, None]), rows)
