"""Proof that multipliers bound the Lipschitz constant of a network with branches.

Between two inputs the input changes by ``x``, gate ``i`` by ``f_i``, its argument by
``v_i = sum_s M_is f_s`` (with ``f_0 = x``) and the output by ``y = sum_s C_s f_s``. Entry by entry
``f = s v`` with a slope ``a <= s <= b``, so that ``q = (f - a v)(f - b v) <= 0``. With numbers
``t_ij >= 0`` let ``Q = rho |x|^2 + sum_ij t_ij q_ij`` as a quadratic form in ``z = (x, f_1, ...)``.

**Theorem.** If the symmetric matrix ``[[Q, C^T], [C, I]]`` is positive definite, then
``|y|^2 <= rho |x|^2``.

*Proof.* Its Schur complement says ``z^T (Q - C^T C) z >= 0`` for every ``z``. At the ``z`` of two
inputs, ``rho |x|^2 - |y|^2 >= -sum t q >= 0``.

Only diagonal multipliers are valid: nothing is claimed about two neurons together.

The rows of ``x`` are eliminated on paper where its block is ``rho I`` (no gate with two nonzero
slopes reads the input): their Schur complement subtracts ``B^T B / rho``. Every entry is computed
with a bound of its rounding and of the weights' errors; the bounds' largest row sum is a bound of
the spectral norm of all errors together, and `evidence.is_positive_definite` does the rest.

References
----------
Fazlyab, Robey, Hassani, Morari, Pappas, *Efficient and accurate estimation of Lipschitz constants
for deep neural networks*, NeurIPS 2019, Theorem 2, for chains and equal slopes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np

from evidence import is_positive_definite
from evidence.rounding import TINY, mul_down
from evidence.validation import positive_float
from lipschitz.layers.balls import Ball, add, exactly, inflate, matmul, multiply, reciprocal
from lipschitz.layers.contract import Array
from lipschitz.network import Network
from lipschitz.sdp.graph_matrices import MEMORY_LIMIT, GraphModel, graph_model

__all__ = ["prove_graph", "prove_model"]

_LEAST = 2.0**-1000
"""Of squared constants: the reciprocal of less may overflow."""


def prove_graph(
    network: Network,
    multipliers: Sequence[Array],
    upper: float,
    *,
    memory_limit: int = MEMORY_LIMIT,
) -> bool:
    """Prove ``||f(x) - f(y)||_2 <= upper ||x - y||_2`` from one multiplier for every neuron.

    Parameters
    ----------
    network : Network
        Linear layers and activations, joined in any way; it is folded first.
    multipliers : sequence of arrays
        For every activation of the folded network, in order, as many numbers as it has entries.
    upper : float
    memory_limit : int
        Bytes.

    Returns
    -------
    bool
        True is a theorem about the network in real arithmetic with these float64 weights, and with
        all weights within the stated errors of folded ones. False says only that these multipliers
        were not seen to prove it.

    Raises
    ------
    NotCertified
        If the network has a nonlinear layer that is no activation, or takes too much memory.
    ValueError
        If `upper` is not positive and finite.

    Notes
    -----
    Wherever the multipliers came from is irrelevant. What is trusted: see the module.

    References
    ----------
    Fazlyab et al., NeurIPS 2019, Theorem 2.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[3.0]], [[1.0]]])  # relu(3 x)
    >>> prove_graph(network, [np.array([2.0])], 3.0 + 1e-9)
    True
    >>> prove_graph(network, [np.array([2.0])], 3.0 - 1e-9)
    False
    """
    return prove_model(graph_model(network, memory_limit=memory_limit), multipliers, upper)


def prove_model(model: GraphModel, multipliers: Sequence[Array], upper: float) -> bool:
    """As `prove_graph`, about every network whose matrices lie in the model's balls.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> prove_model(graph_model(from_arrays([[[3.0]], [[1.0]]])), [np.array([-2.0])], 3.1)
    False
    """
    rho = mul_down(positive_float(upper, "upper"), upper)
    t = [np.asarray(values, dtype=np.float64) for values in multipliers]
    if [values.shape for values in t] != [(n,) for n in model.sizes[1:]]:
        return False
    if not all(np.isfinite(values).all() and (values >= 0.0).all() for values in t):
        return False
    if not rho > _LEAST:
        return False
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused
        center, radius = _matrix(model, t, rho)
        return _is_definite(center, radius)


def _matrix(model: GraphModel, t: Sequence[Array], rho: float) -> Ball:
    """Lower triangle of ``[[Q, C^T], [C, I]]``, without the rows of ``x`` if they cancel."""
    gates = len(t)
    is_free = all(
        a == 0.0 or b == 0.0
        for (a, b), maps in zip(model.slopes, model.maps[:-1], strict=True)
        if 0 in maps
    )
    sizes = [0 if is_free else model.sizes[0], *model.sizes[1:], model.outputs]
    ends = np.cumsum(sizes)
    rows = [slice(int(end) - n, int(end)) for n, end in zip(sizes, ends, strict=True)]
    center, radius = np.zeros((int(ends[-1]),) * 2), np.zeros((int(ends[-1]),) * 2)

    def put(i: int, j: int, block: Ball) -> None:
        part = rows[i], rows[j]
        center[part], radius[part] = add((center[part], radius[part]), block)

    # rho |x|^2 and |y|^2, then t (f^2 - (a + b) f v + a b v^2) for every gate.
    if not is_free:
        put(0, 0, exactly(rho * np.eye(sizes[0])))
    put(gates + 1, gates + 1, exactly(np.eye(model.outputs)))
    readers: dict[int, Ball] = {}  # B: the rows of x, transposed
    for i, maps in enumerate(model.maps, start=1):
        factor = exactly(np.ones((model.outputs, 1)))
        if i <= gates:
            a, b = (exactly(np.array(slope)) for slope in model.slopes[i - 1])
            weight = exactly(t[i - 1][:, None])
            put(i, i, exactly(np.diag(t[i - 1])))
            factor = multiply(multiply(add(a, b), exactly(np.array(-0.5))), weight)
            square = multiply(multiply(a, b), weight)
            if np.any(square[0]) or np.any(square[1]):
                for s, r in product(maps, maps):
                    if s >= r:
                        left = multiply(square, maps[s])
                        put(s, r, matmul((left[0].T, left[1].T), maps[r]))
        for s, matrix in maps.items():
            if s == 0 and is_free:
                readers[i] = multiply(factor, matrix)
            else:
                put(i, s, multiply(factor, matrix))
    inverse = reciprocal(np.array(rho))
    for i, j in product(readers, readers):
        if i >= j:
            other = readers[j][0].T, readers[j][1].T
            gram = multiply(matmul(readers[i], other), inverse)
            put(i, j, (-gram[0], gram[1]))
    return center, radius


def _is_definite(center: Array, radius: Array) -> bool:
    """Prove that every symmetric matrix whose lower triangle lies in the ball is definite.

    Rows and columns are scaled by powers of two, both at once: that is exact but for underflow of
    the result, at most ``2^-1074`` an entry (`TINY`).
    """
    diagonal = np.diagonal(center)
    if not (np.isfinite(center).all() and np.isfinite(radius).all() and (diagonal > 0.0).all()):
        return False
    scale = np.rint(-0.5 * np.log2(diagonal)).astype(np.int64)
    n = len(center)
    center, radius = np.tril(center), np.tril(radius)
    for array in (center, radius):
        for row, exponent in zip(array, scale, strict=True):
            np.ldexp(row, exponent + scale, out=row)
    center += np.tril(center, -1).T
    sums = radius.sum(axis=0) + radius.sum(axis=1)  # the diagonal twice: still a bound
    del radius
    error = float(inflate(sums, n + 4).max()) + n * TINY
    if not math.isfinite(error):
        return False
    return bool(np.isfinite(center).all()) and is_positive_definite(
        center, math.nextafter(error, math.inf)
    )
