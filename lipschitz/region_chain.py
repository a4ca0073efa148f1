"""A piecewise linear network as a chain: matrices and biases with error bounds, slopes of kinks.

What every exact method here reads of a network: ``x -> W_1 x + b_1 -> phi_1 -> ... -> W_k h + b_k``
with ``phi(t) = right t`` for ``t > 0`` and ``left t`` otherwise, neuron by neuron.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evidence import NotCertified
from lipschitz.blocks import Block, block_matrix, linear_blocks
from lipschitz.layers import Activation, Dense, Reshape
from lipschitz.layers.balls import Ball, exactly
from lipschitz.layers.contract import Array
from lipschitz.network import Network

__all__ = ["KinkedChain", "kinked_chain"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KinkedChain:
    """Affine maps with a kinked activation after each but the last.

    Parameters
    ----------
    weights, biases : tuples of (center, radius)
        Shapes ``(n_i, n_{i-1})`` and ``(n_i,)``; radius 0 where the floats are exact.
    left, right : tuples of arrays, shapes (n_i,)
        Slopes of the hidden neurons below and above 0.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> chain = kinked_chain(from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]]))
    >>> chain.widths, chain.left, chain.right, chain.is_exact
    ((1, 2, 1), (array([0., 0.]),), (array([1., 1.]),), True)
    """

    weights: tuple[Ball, ...]
    biases: tuple[Ball, ...]
    left: tuple[Array, ...]
    right: tuple[Array, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """``(n_0, ..., n_k)``: input, hidden layers, output."""
        return (self.weights[0][0].shape[1], *(len(w) for w, _ in self.weights))

    @property
    def is_exact(self) -> bool:
        """Whether all weights and biases are exactly the floats stored."""
        return not any(np.any(radius) for _, radius in (*self.weights, *self.biases))

    @property
    def hidden(self) -> int:
        """How many neurons have a kink in front of the next layer."""
        return sum(self.widths[1:-1])


def kinked_chain(network: Network) -> KinkedChain:
    """The chain of ``network.fold()``.

    Raises
    ------
    NotCertified
        If an activation is not piecewise linear, a nonlinear layer is no activation, or the
        network has branches with activations in them; the message names the node.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> try:
    ...     kinked_chain(from_arrays([[[1.0]], [[1.0]]], activation="tanh"))
    ... except NotCertified as error:
    ...     print(str(error)[:55])
    node 'tanh 1' is a 'tanh', which has no linear regions;
    """
    folded = network.fold()
    blocks = {block.target: block for block in linear_blocks(folded)}
    value = len(folded.nodes)
    weights: list[Ball] = []
    biases: list[Ball] = []
    slopes: list[tuple[Array, Array]] = []
    while True:
        source, matrix, constant = _affine(folded, blocks.get(value), value)
        weights.append(matrix)
        biases.append(constant)
        if source == 0:
            break
        node = folded.nodes[source - 1]
        slopes.append(_kink(node.name, node.layer))
        value = node.inputs[0]
    return KinkedChain(
        weights=tuple(weights[::-1]),
        biases=tuple(biases[::-1]),
        left=tuple(left for left, _ in slopes[::-1]),
        right=tuple(right for _, right in slopes[::-1]),
    )


def _affine(network: Network, block: Block | None, value: int) -> tuple[int, Ball, Ball]:
    """The source of a value, and the affine map from there: the identity if there is no block."""
    if block is None:
        size = math.prod(network.shapes[value])
        return value, exactly(np.eye(size)), exactly(np.zeros(size))
    if len(block.sources) != 1:
        raise NotCertified(
            f"node {network.nodes[value - 1].name!r} reads {len(block.sources)} nonlinear branches "
            "(a residual or skip connection), and the exact methods take chains only; use "
            "`lipschitz_enclosure` instead"
        )
    source = block.sources[0]
    # Reshaping keeps the order of the entries, hence the matrix.
    layers = [network.nodes[j].layer for j in block.nodes]
    layers = [layer for layer in layers if not isinstance(layer, Reshape)]
    layer = layers[0] if len(layers) == 1 else None
    if isinstance(layer, Dense) and not layer.leading:
        zero = np.zeros(len(layer.weight))
        error = layer.weight_error
        return (
            source,
            (layer.weight, np.zeros_like(layer.weight) if error is None else error),
            (
                zero if layer.bias is None else layer.bias,
                zero if layer.bias_error is None else layer.bias_error,
            ),
        )
    return source, block_matrix(network, block, source), _constant(network, block, source)


def _constant(network: Network, block: Block, source: int) -> Ball:
    """The block's value where its source vanishes."""
    values = {source: exactly(np.zeros((1, *network.shapes[source])))}
    for j in block.nodes:
        node = network.nodes[j]
        inputs = [values.get(i) or exactly(np.zeros((1, *network.shapes[i]))) for i in node.inputs]
        values[j + 1] = node.layer.enclose(*inputs)
    center, radius = values[block.target]
    return center.reshape(-1), radius.reshape(-1)


def _kink(name: str, layer: object) -> tuple[Array, Array]:
    if not isinstance(layer, Activation):
        raise NotCertified(
            f"node {name!r} ({type(layer).__name__}) is neither linear nor an activation, and the "
            "exact methods take chains of those only; use `lipschitz_enclosure` instead"
        )
    if layer.kind not in ("relu", "leaky_relu"):
        raise NotCertified(
            f"node {name!r} is a {layer.kind!r}, which has no linear regions; the exact methods "
            "take relu and leaky_relu, for others use `lipschitz_enclosure` or a local bound"
        )
    size = math.prod(layer.input_shape)
    left, right = layer.derivative(np.array([-1.0, 1.0]))
    return np.full(size, left), np.full(size, right)
