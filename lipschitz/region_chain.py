"""A piecewise linear network as a chain: matrices and biases with error bounds, slopes of kinks.

What every exact method here reads of a network: ``x -> W_1 x + b_1 -> phi_1 -> ... -> W_k h + b_k``
with ``phi(t) = right t`` for ``t > 0`` and ``left t`` otherwise, neuron by neuron.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evidence import NotCertified
from lipschitz.blocks import Block, block_matrix, linear_blocks
from lipschitz.layers import Activation, Dense, Identity, LinearLayer, Reshape
from lipschitz.layers.balls import Ball, exactly
from lipschitz.layers.contract import Array
from lipschitz.network import Network
from lipschitz.region_hyperplanes import Ties, twins

__all__ = ["Factors", "KinkedChain", "kinked_chain"]

Factors = tuple[tuple[Array, Array], ...]
"""Exact ``(W, b)``, the first to be applied first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KinkedChain:
    """Affine maps with a kinked activation after each but the last.

    Parameters
    ----------
    weights, biases : tuples of (center, radius)
        Shapes ``(n_i, n_{i-1})`` and ``(n_i,)``; radius 0 where the floats are exact.
    left, right : tuples of arrays, shapes (n_i,)
        Slopes of the hidden neurons below and above 0.
    factors : tuple of (tuple of (W, b)) or None
        Every affine map as a composition of maps whose floats are exact, if there is one: the
        product of two matrices is rounded, these are not.
    ties : tuple of (representative, sign)
        For every hidden layer which neurons share a hyperplane, see `lipschitz.region_hyperplanes`.
        The rows of the last matrix before the kinks decide: neurons whose rows and biases are
        proportional there are proportional as functions, whatever the layers below compute.

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
    factors: tuple[Factors | None, ...]
    ties: tuple[Ties, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """``(n_0, ..., n_k)``: input, hidden layers, output."""
        return (self.weights[0][0].shape[1], *(len(w) for w, _ in self.weights))

    @property
    def is_exact(self) -> bool:
        """Whether all affine maps are known exactly, by their factors."""
        return all(factors is not None for factors in self.factors)

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
    layers = _layers(network)
    value = len(folded.nodes)
    weights: list[Ball] = []
    biases: list[Ball] = []
    slopes: list[tuple[Array, Array]] = []
    factors: list[Factors | None] = []
    lasts: list[tuple[Ball, Ball]] = []
    while True:
        source, matrix, constant = _affine(folded, blocks.get(value), value)
        weights.append(matrix)
        biases.append(constant)
        found, last = next(layers)
        if found is None and not (matrix[1].any() or constant[1].any()):
            found = ((matrix[0], constant[0]),)
        factors.append(found)
        lasts.append(last or (matrix, constant))
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
        factors=tuple(factors[::-1]),
        ties=tuple(twins(*last) for last in lasts[:0:-1]),
    )


def _layers(network: Network) -> Iterator[tuple[Factors | None, tuple[Ball, Ball] | None]]:
    """Exact factors and the last matrix of every affine map, before anything is merged.

    From the output to the input, along the first inputs: a chain, or `kinked_chain` refuses.
    """
    value = len(network.nodes)
    while True:
        parts: list[tuple[Ball, Ball] | None] = []
        while value > 0 and isinstance(layer := network.nodes[value - 1].layer, LinearLayer):
            if not isinstance(layer, Reshape | Identity):  # these keep the order of the entries
                is_matrix = isinstance(layer, Dense) and not layer.leading
                parts.append(_balls(layer) if is_matrix and isinstance(layer, Dense) else None)
            value = network.nodes[value - 1].inputs[0]
        exact = [
            (part[0][0], part[1][0])
            for part in parts[::-1]
            if part is not None and not (part[0][1].any() or part[1][1].any())
        ]
        is_known = 0 < len(exact) == len(parts)
        yield tuple(exact) if is_known else None, parts[0] if parts else None
        if value == 0:
            return
        value = network.nodes[value - 1].inputs[0]


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
        return source, *_balls(layer)
    return source, block_matrix(network, block, source), _constant(network, block, source)


def _balls(layer: Dense) -> tuple[Ball, Ball]:
    zero = np.zeros(len(layer.weight))
    error = layer.weight_error
    return (
        (layer.weight, np.zeros_like(layer.weight) if error is None else error),
        (
            zero if layer.bias is None else layer.bias,
            zero if layer.bias_error is None else layer.bias_error,
        ),
    )


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
