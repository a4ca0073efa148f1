"""Norms of the Jacobians of linear regions, for many activation patterns at once.

The Jacobian of a pattern is ``W_k D_{k-1} W_{k-1} ... D_1 W_1`` with the slopes on the diagonals.
`jacobians` computes all of them in plain floating point, `norms_upper` bounds all norms from above
within a relative 2e-4 and one common rounding error; the few patterns that matter are then enclosed
one by one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evidence import Enclosure
from evidence.rounding import gamma, norm_upper
from lipschitz.layers import balls
from lipschitz.layers.balls import Ball
from lipschitz.layers.contract import Array
from lipschitz.operators import operator_norm
from lipschitz.region_chain import KinkedChain
from lipschitz.region_patterns import Words, unpacked

__all__ = ["common_error", "enclose_jacobian", "enclose_norm", "jacobians", "norms_upper", "slopes"]

_SQUARINGS = 12
_CHUNK_ENTRIES = 2**21


def slopes(chain: KinkedChain, words: Words) -> list[Array]:
    """The slopes of all neurons in the given patterns, one array (patterns, n_i) per hidden layer.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> from lipschitz.region_chain import kinked_chain
    >>> chain = kinked_chain(from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]]))
    >>> slopes(chain, np.array([[2]], np.uint64))
    [array([[0., 1.]])]
    """
    gates = unpacked(words, chain.hidden)
    found, first = [], 0
    for left, right in zip(chain.left, chain.right, strict=True):
        found.append(np.where(gates[:, first : first + len(left)], right, left))
        first += len(left)
    return found


def jacobians(chain: KinkedChain, words: Words) -> Array:
    """All Jacobians in plain floating point, shape (patterns, outputs, inputs).

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> from lipschitz.region_chain import kinked_chain
    >>> chain = kinked_chain(from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]]))
    >>> jacobians(chain, np.array([[1], [2], [3]], np.uint64)).ravel()
    array([ 1., -1.,  0.])
    """
    matrices = [w for w, _ in chain.weights]
    forward = len(matrices[-1]) > matrices[0].shape[1]
    # Start at the narrower end: rows of ``W_k``, or columns of ``W_1``.
    steps = [w.T for w in matrices] if forward else matrices[::-1]
    rows = min(len(matrices[-1]), matrices[0].shape[1])
    chunk = max(1, _CHUNK_ENTRIES // (rows * max(chain.widths)))
    parts = []
    for start in range(0, max(1, len(words)), chunk):
        gates = slopes(chain, words[start : start + chunk])
        gates = gates if forward else gates[::-1]
        count = len(words[start : start + chunk])
        product = np.repeat(steps[0][None], count, axis=0)
        for gate, step in zip(gates, steps[1:], strict=True):
            gated = product * gate[:, None, :]
            product = (gated.reshape(-1, len(step)) @ step).reshape(count, rows, -1)
        parts.append(product.transpose(0, 2, 1) if forward else product)
    return np.concatenate(parts)


def common_error(chain: KinkedChain) -> Array:
    """Entrywise bound of the error of every Jacobian that `jacobians` returns, and of its entries.

    Shape (outputs, inputs). Products of magnitudes with the steepest slopes dominate those of every
    pattern; the radius of a ball product is monotone in the magnitudes, up to their own rounding,
    which the factor 1.01 covers.
    """
    center, radius = _magnitudes(chain)
    rounding = gamma(4 * sum(n + 4 for n in chain.widths))
    return np.asarray(1.01 * (radius + rounding * (center + radius)))


def _magnitudes(chain: KinkedChain) -> Ball:
    factors = [(np.abs(center), radius) for center, radius in chain.weights]
    product = factors[0]
    for left, right, factor in zip(chain.left, chain.right, factors[1:], strict=True):
        steepest = np.maximum(np.abs(left), np.abs(right))[:, None]
        product = balls.matmul(factor, balls.multiply(balls.exactly(steepest), product))
    return product


def norms_upper(stack: Array, error: Array, norm: float) -> Array:
    """Upper bounds of the norms of all matrices within ``error`` of those of a stack.

    Parameters
    ----------
    stack : array, shape (count, m, n)
    error : array, shape (m, n)
        Entrywise.
    norm : {1, 2, inf}
        On both sides.

    Notes
    -----
    For ``norm=2``, ``s_max(A)^(2 K) <= trace (A^T A)^K`` with ``K = 2**12``: at most 1.0002 times
    too large for three columns. The Gram matrix is scaled to trace one and squared 12 times; each
    squaring of a symmetric matrix of trace one is off by less than 40 units of roundoff relative to
    its largest eigenvalue, and is halved by every square root taken afterwards.

    Examples
    --------
    >>> norms_upper(np.array([[[3.0, 4.0]]]), np.zeros((1, 2)), 2.0) >= 5.0
    array([ True])
    """
    rows, columns = stack.shape[1:]
    if norm != 2.0:
        sums = np.abs(stack).sum(axis=1 if norm == 1.0 else 2).max(axis=1, initial=0.0)
        slack = error.sum(axis=0 if norm == 1.0 else 1).max()
        return np.asarray((sums + slack) * (1.0 + 4.0 * gamma(rows + columns + 4)))
    a = stack if columns <= rows else stack.transpose(0, 2, 1)
    largest = np.abs(a).max(axis=(1, 2))
    scale = np.where(largest > 0.0, largest, 1.0)
    a = a / scale[:, None, None]
    gram = np.einsum("pij,pik->pjk", a, a)
    total = np.trace(gram, axis1=1, axis2=2)
    bound = np.ones(len(a))
    if gram.shape[1] > 1:
        traces = []
        power = gram / np.where(total > 0.0, total, 1.0)[:, None, None]
        for _ in range(_SQUARINGS):
            power = np.einsum("pij,pjk->pik", power, power)
            trace = np.trace(power, axis1=1, axis2=2)
            trace = np.where(trace > 0.0, trace, 1.0)
            power = power / trace[:, None, None]
            traces.append(trace)
        for trace in traces[::-1]:
            bound = np.sqrt(trace * bound)
    # The Gram matrix is off by gamma(rows) times the trace, at most `n` times the eigenvalue.
    relative = 1.0 + 1e-12 + 4.0 * min(rows, columns) * gamma(max(rows, columns) + 8)
    return np.asarray((scale * np.sqrt(total * bound) + norm_upper(error)) * relative)


def enclose_jacobian(chain: KinkedChain, words: Words, mask: Words | None = None) -> Ball:
    """Ball around the Jacobian of one pattern; neurons in the mask may have either slope."""
    gates = [gate[0] for gate in slopes(chain, words[None])]
    loose: list[NDArray[np.bool_]] | None = None
    if mask is not None:
        flags, first = unpacked(mask[None], chain.hidden)[0], 0
        loose = []
        for gate in gates:
            loose.append(flags[first : first + len(gate)])
            first += len(gate)
    product = chain.weights[0]
    for i, gate in enumerate(gates):
        slope = balls.exactly(gate)
        if loose is not None:
            left, right = chain.left[i], chain.right[i]
            wide = balls.ball_of_bounds(np.minimum(left, right), np.maximum(left, right))
            slope = np.where(loose[i], wide[0], gate), np.where(loose[i], wide[1], 0.0)
        gated = balls.multiply((slope[0][:, None], slope[1][:, None]), product)
        product = balls.matmul(chain.weights[i + 1], gated)
    return product


def enclose_norm(jacobian: Ball, norm: float) -> Enclosure:
    """Of the norm of every matrix in the ball; `norm` on both sides."""
    return operator_norm(jacobian[0], norm, norm, error=jacobian[1])
