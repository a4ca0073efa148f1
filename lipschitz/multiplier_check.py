"""The whole check of a semidefinite certificate, for a reader who trusts nobody.

A network is linear maps and activations. Let ``z`` be the change of the input and of all activation
outputs between two inputs, ``z = (dx, dphi_1, ..., dphi_k)``. Then

- the change of activation ``i``'s argument is ``dv_i = M_i z``: a matrix times earlier changes;
- the change of the output is ``dy = C z``;
- entry by entry ``dphi = s dv`` with a slope ``a <= s <= b``, so that
  ``q := (dphi - a dv) (dphi - b dv) <= 0``.

**Theorem** (Fazlyab et al. 2019, Theorem 2, with diagonal multipliers). If all ``t_j >= 0`` and

    S = rho |dx|^2 - |C z|^2 + sum_j t_j q_j(z)   is positive semidefinite as a form in z,

then ``|dy|^2 <= rho |dx|^2``. *Proof.* For the ``z`` of two inputs, ``rho |dx|^2 - |dy|^2 =
S(z) - sum_j t_j q_j >= S(z) >= 0``. Residual sums, skips and concatenations only change which
earlier entries ``M_i`` reads; where the multipliers came from is of no consequence.

`multipliers_prove` forms S with a bound of every rounding error and proves it positive definite by
one Cholesky factorisation (`evidence.is_positive_definite`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified, is_positive_definite
from evidence.rounding import mul_down
from lipschitz.blocks import block_matrix, linear_blocks
from lipschitz.layers import Activation, LinearLayer
from lipschitz.layers.balls import SMALLEST, Ball, add, exactly, inflate, matmul, multiply
from lipschitz.network import Network

__all__ = ["multipliers_prove", "quadratic_form"]

Array = NDArray[np.float64]

_LARGEST = 10_000  # rows of S: 0.8 GB, and as much for each of a few copies
_SMALLEST = 2.0**-1000


def multipliers_prove(network: Network, multipliers: Sequence[Array], upper: float) -> bool:
    """Whether these multipliers prove that the network's Lipschitz constant is at most ``upper``.

    Parameters
    ----------
    network : Network
        Linear layers and activations, joined in any way.
    multipliers : sequence of arrays
        ``t`` of every activation layer in the network's order, each of as many entries as the
        layer.
    upper : float
        In l2 on both sides.

    Returns
    -------
    bool
        True is a theorem about the real-arithmetic network; False says that this is no proof.

    Raises
    ------
    NotCertified
        If the network holds another kind of nonlinear layer, or is too large for one matrix.

    References
    ----------
    Fazlyab, Robey, Hassani, Morari, Pappas, *Efficient and Accurate Estimation of Lipschitz
    Constants for Deep Neural Networks*, NeurIPS 2019, Theorem 2 (LipSDP-Neuron).

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> identity = from_arrays([[[1.0], [-1.0]], [[1.0, -1.0]]])  # relu(x) - relu(-x)
    >>> multipliers_prove(identity, [np.array([4.0, 4.0])], 2.000001)
    True
    >>> multipliers_prove(identity, [np.array([4.0, 4.0])], 1.999999)
    False
    """
    if not (upper > 0.0 and math.isfinite(upper)):
        return False
    with np.errstate(all="ignore"):  # what overflows is refused below
        form = quadratic_form(network, multipliers, mul_down(upper, upper))
        return form is not None and _is_proved_definite(*form)


def quadratic_form(network: Network, multipliers: Sequence[Array], rho: float) -> Ball | None:
    """``S`` as a symmetric centre and an entrywise radius; None if the multipliers do not fit.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> center, radius = quadratic_form(from_arrays([[[3.0]], [[1.0]]]), [np.array([2.0])], 9.0)
    >>> center
    array([[ 9., -3.],
           [-3.,  1.]])
    """
    rows, arguments, output = _layout(network)
    given = [np.asarray(t, dtype=np.float64).reshape(-1) for t in multipliers]
    if [len(t) for t in given] != [rows[v].stop - rows[v].start for v in arguments]:
        return None
    # Below 2**-1000 halves and products may underflow; no useful multiplier is that small.
    if not all(np.isfinite(t).all() and ((t == 0.0) | (t >= _SMALLEST)).all() for t in given):
        return None
    size = max(part.stop for part in rows.values())
    form = np.zeros((size, size)), np.zeros((size, size))
    _add(form, rows[0], rows[0], exactly(rho * np.eye(rows[0].stop)))
    for left, c in output.items():
        for right, d in output.items():
            center, radius = matmul((c[0].T, c[1].T), d)
            _add(form, rows[left], rows[right], (-center, radius))
    for (value, matrices), t in zip(arguments.items(), given, strict=True):
        layer = network.nodes[value - 1].layer
        if not isinstance(layer, Activation):
            raise TypeError(f"`network` has a node {network.nodes[value - 1].name!r} in between")
        _add(form, rows[value], rows[value], exactly(np.diag(t)))
        a, b = layer.slope_lower, layer.slope_upper
        half = multiply(add(exactly(np.array(a)), exactly(np.array(b))), exactly(-0.5 * t))
        outer = multiply(multiply(exactly(np.array(a)), exactly(np.array(b))), exactly(t))
        for left, m in matrices.items():
            cross = multiply((half[0][:, None], half[1][:, None]), m)
            _add(form, rows[value], rows[left], cross)
            _add(form, rows[left], rows[value], (cross[0].T, cross[1].T))
            if outer[0].any() or outer[1].any():
                weighted = multiply((outer[0][:, None], outer[1][:, None]), m)
                for right, n in matrices.items():
                    product = matmul((weighted[0].T, weighted[1].T), n)
                    _add(form, rows[left], rows[right], product)
    center, radius = form
    # S is symmetric: whatever lies within the radius of the centre and of its transpose lies
    # within the larger radius of their mean, halved exactly.
    mean = 0.5 * center + 0.5 * center.T
    gap = np.abs(center - mean)
    return mean, inflate(np.maximum(radius, radius.T) + gap + np.abs(mean) * 2.0**-52, 4)


def _layout(
    network: Network,
) -> tuple[dict[int, slice], dict[int, dict[int, Ball]], dict[int, Ball]]:
    """Rows of every value in ``z``; the matrices ``M`` of each activation's argument; and ``C``."""
    for node in network.nodes:
        if not isinstance(node.layer, (LinearLayer, Activation)):
            raise NotCertified(
                f"node {node.name!r} ({type(node.layer).__name__}) is neither linear nor an "
                "activation; split the network there"
            )
    sizes = [math.prod(shape) for shape in network.shapes]
    values = [0, *(j + 1 for j, n in enumerate(network.nodes) if isinstance(n.layer, Activation))]
    if sum(sizes[v] for v in values) > _LARGEST:
        raise NotCertified(
            f"the matrix would have {sum(sizes[v] for v in values)} rows, more than {_LARGEST}; "
            "split the network"
        )
    ends = np.cumsum([sizes[v] for v in values]).tolist()
    rows = {v: slice(end - sizes[v], end) for v, end in zip(values, ends, strict=True)}
    blocks = {block.target: block for block in linear_blocks(network)}

    def sources(value: int) -> dict[int, Ball]:
        if value in rows:
            return {value: exactly(np.eye(sizes[value]))}
        block = blocks[value]
        return {source: block_matrix(network, block, source) for source in block.sources}

    arguments = {v: sources(network.nodes[v - 1].inputs[0]) for v in values[1:]}
    return rows, arguments, sources(len(network.nodes))


def _add(form: Ball, rows: slice, columns: slice, part: Ball) -> None:
    """Add a block to the form, in place."""
    center, radius = add((form[0][rows, columns], form[1][rows, columns]), part)
    form[0][rows, columns], form[1][rows, columns] = center, radius


def _is_proved_definite(center: Array, radius: Array) -> bool:
    """Whether every symmetric matrix within the radius of the centre is positive definite.

    Rows and columns are first scaled by powers of two, which is exact, to a diagonal near one. A
    symmetric matrix of entries at most ``E`` has a spectral norm of at most the largest row sum.
    """
    diagonal = center.diagonal()
    if not (np.isfinite(center).all() and np.isfinite(radius).all() and (diagonal > 0.0).all()):
        return False
    exponents = -np.round(0.5 * np.log2(diagonal)).astype(np.int64)
    powers = exponents[:, None] + exponents
    scaled, error = np.ldexp(center, powers), np.ldexp(radius, powers)
    if not (np.isfinite(scaled).all() and np.isfinite(error).all()):
        return False
    # One scaling is exact but for underflow, at most half of the smallest float an entry.
    error = error + 2.0 * SMALLEST
    largest = float(inflate(error.sum(axis=1), len(error) + 2).max())
    return is_positive_definite(scaled, math.nextafter(largest, math.inf))
