"""A network as a chain of matrices and slopes: what a semidefinite bound reads of it.

``x -> W_1 x -> phi_1 -> W_2 phi_1 -> ... -> W_(k+1) phi_k``. Between two inputs every hidden neuron
changes by ``dphi = s dv`` with a slope ``a <= s <= b``; biases cancel. Convolutions, pooling by
average and whatever else is linear become dense matrices with a bound of their rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evidence import NotCertified
from evidence.validation import as_float_array
from lipschitz.blocks import Block, block_matrix, linear_blocks
from lipschitz.layers import Activation, Dense, LinearLayer, Reshape
from lipschitz.layers.balls import Ball
from lipschitz.layers.contract import Array, store
from lipschitz.network import Network

__all__ = ["FeedForward", "feed_forward", "is_chain"]

_MEMORY_LIMIT = 2**31
"""Bytes for the matrices, their error bounds and the work on them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeedForward:
    """Matrices with error bounds, and the slopes of the activations between them.

    Parameters
    ----------
    weights : tuple of arrays, shapes (n_1, n_0), ..., (n_(k+1), n_k)
        Rows are outputs.
    errors : tuple of arrays, same shapes
        Entrywise bounds of the distance of the true weights from the stored ones; zeros if exact.
    slope_lower, slope_upper : tuple of arrays, shapes (n_1,), ..., (n_k,)
        Smallest and largest difference quotient of every hidden neuron's activation.

    Raises
    ------
    TypeError, ValueError
        Weights that are not finite matrices, shapes that do not chain, slopes out of order.

    Examples
    --------
    >>> one = np.array([1.0])
    >>> net = FeedForward.exact([[[2.0]], [[3.0]]], slope_lower=[0.0 * one], slope_upper=[one])
    >>> net.widths
    (1, 1, 1)
    """

    weights: tuple[Array, ...]
    errors: tuple[Array, ...]
    slope_lower: tuple[Array, ...]
    slope_upper: tuple[Array, ...]

    def __post_init__(self) -> None:
        weights = tuple(
            as_float_array(w, f"weights[{i}]", ndim=2) for i, w in enumerate(self.weights)
        )
        if not weights:
            raise ValueError("`weights` must hold at least one matrix, got none")
        for i in range(1, len(weights)):
            if weights[i].shape[1] != weights[i - 1].shape[0]:
                raise ValueError(
                    f"`weights[{i}]` of shape {weights[i].shape} must take the "
                    f"{weights[i - 1].shape[0]} outputs of `weights[{i - 1}]`; rows are outputs"
                )
        shapes = [w.shape for w in weights]
        errors = _matching(self.errors, "errors", shapes)
        if any(e.min() < 0.0 for e in errors):
            raise ValueError("`errors` must not be negative; they bound the error of each weight")
        hidden: list[tuple[int, ...]] = [(len(w),) for w in weights[:-1]]
        lower = _matching(self.slope_lower, "slope_lower", hidden)
        upper = _matching(self.slope_upper, "slope_upper", hidden)
        for i, (a, b) in enumerate(zip(lower, upper, strict=True)):
            if (a > b).any():
                j = int(np.argmax(a > b))
                raise ValueError(
                    f"`slope_lower[{i}]` must not exceed `slope_upper[{i}]`, got {a[j]:.17g} > "
                    f"{b[j]:.17g} at neuron {j}; swap the two"
                )
        store(self, weights=weights, errors=errors, slope_lower=lower, slope_upper=upper)

    @classmethod
    def exact(
        cls,
        weights: list[Array] | tuple[Array, ...],
        *,
        slope_lower: list[Array] | tuple[Array, ...],
        slope_upper: list[Array] | tuple[Array, ...],
    ) -> FeedForward:
        """With weights that are exactly the floats given.

        Examples
        --------
        >>> FeedForward.exact([[[2.0]]], slope_lower=(), slope_upper=()).errors
        (array([[0.]]),)
        """
        arrays = tuple(as_float_array(w, f"weights[{i}]", ndim=2) for i, w in enumerate(weights))
        return cls(
            weights=arrays,
            errors=tuple(np.broadcast_to(0.0, w.shape) for w in arrays),
            slope_lower=tuple(slope_lower),
            slope_upper=tuple(slope_upper),
        )

    @property
    def widths(self) -> tuple[int, ...]:
        """``(n_0, n_1, ..., n_(k+1))``: input, hidden layers, output."""
        return (self.weights[0].shape[1], *(len(w) for w in self.weights))


def feed_forward(network: Network, *, memory_limit: int = _MEMORY_LIMIT) -> FeedForward:
    """The chain of matrices and slopes of a network without branches.

    Parameters
    ----------
    network : Network
        Linear layers (branches that are linear are fine) and activations, one after the other.
    memory_limit : int
        Bytes that the dense matrices and the work on them may take.

    Returns
    -------
    FeedForward
        Of ``network.fold()``.

    Raises
    ------
    NotCertified
        If a nonlinear layer is no activation, if activations are joined or skipped (a residual
        network), or if the matrices would need more memory; it is raised before they are formed.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> net = feed_forward(from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]], activation="tanh"))
    >>> net.widths, net.slope_lower, net.slope_upper
    ((1, 2, 1), (array([0., 0.]),), (array([1., 1.]),))
    """
    folded = network.fold()
    sizes = [math.prod(shape) for shape in folded.shapes]
    arguments, activations = _backbone(folded)
    _check_memory([(sizes[out], sizes[source]) for source, out, _ in arguments], memory_limit)
    balls = [_matrix(folded, *argument, size=sizes[argument[0]]) for argument in arguments]
    return FeedForward(
        weights=tuple(center for center, _ in balls),
        errors=tuple(radius for _, radius in balls),
        slope_lower=tuple(np.full(n, layer.slope_lower) for layer, n in activations),
        slope_upper=tuple(np.full(n, layer.slope_upper) for layer, n in activations),
    )


def is_chain(network: Network) -> bool:
    """Whether no activation is skipped or joined: `feed_forward` then knows the network's form.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> is_chain(from_arrays([[[1.0]], [[1.0]]]))
    True
    """
    blocks = {block.target: block for block in linear_blocks(network)}
    value = len(network.nodes)
    while value > 0:
        sources = blocks[value].sources if value in blocks else (value,)
        if len(sources) != 1:
            return False
        if sources[0] == 0:
            return True
        inputs = network.nodes[sources[0] - 1].inputs
        if len(inputs) != 1:
            return False
        value = inputs[0]
    return True


Argument = tuple[int, int, Block | None]
"""Source value, value that is linear in it, and the block between (None: they are the same)."""


def _backbone(network: Network) -> tuple[list[Argument], list[tuple[Activation, int]]]:
    """From the output backwards: the linear blocks and the activations between them."""
    blocks = {block.target: block for block in linear_blocks(network)}
    value = len(network.nodes)
    arguments: list[Argument] = []
    activations: list[tuple[Activation, int]] = []
    while True:
        block = blocks.get(value)
        sources = (value,) if block is None else block.sources
        if len(sources) != 1:
            raise NotCertified(
                f"value {value} of the network reads {len(sources)} earlier ones (a residual or "
                "skip connection); it is no chain, pass the network itself to `semidefinite_bound`"
            )
        arguments.append((sources[0], value, block))
        if sources[0] == 0:
            return arguments[::-1], activations[::-1]
        node = network.nodes[sources[0] - 1]
        if not isinstance(node.layer, Activation):
            raise NotCertified(
                f"node {node.name!r} ({type(node.layer).__name__}) is neither linear nor an "
                "activation with slopes; split the network there, or use `product_bound`"
            )
        activations.append((node.layer, math.prod(node.layer.output_shape)))
        value = node.inputs[0]


def _check_memory(shapes: list[tuple[int, int]], limit: int) -> None:
    # Matrices, radii and one more copy while they are formed; for the bound, the square blocks
    # of every value.
    entries = sum(3 * rows * columns for rows, columns in shapes)
    entries += 4 * max(max(rows, columns) ** 2 for rows, columns in shapes)
    if 8 * entries > limit:
        raise NotCertified(
            f"dense matrices of shapes {shapes} and the work on them take {8 * entries} bytes, "
            f"more than `memory_limit` = {limit}; split the network and multiply the bounds of "
            "its pieces, or use `product_bound`"
        )


def _matrix(network: Network, source: int, value: int, block: Block | None, *, size: int) -> Ball:
    if block is None:
        return np.eye(size), np.broadcast_to(0.0, (size, size))
    layers = [network.nodes[j].layer for j in block.nodes]
    linear = [layer for layer in layers if not isinstance(layer, Reshape)]
    if len(linear) == 1 and isinstance(linear[0], Dense) and not linear[0].leading:
        dense = linear[0]
        exact = np.broadcast_to(0.0, dense.weight.shape)
        return dense.weight, exact if dense.weight_error is None else dense.weight_error
    if not all(isinstance(layer, LinearLayer) for layer in layers):
        raise TypeError(f"`network` has a nonlinear node before value {value}")
    return block_matrix(network, block, source)


def _matching(
    arrays: tuple[Array, ...], name: str, shapes: list[tuple[int, ...]]
) -> tuple[Array, ...]:
    given = tuple(arrays)
    if len(given) != len(shapes):
        raise ValueError(
            f"`{name}` must hold {len(shapes)} arrays, got {len(given)}; one per layer"
        )
    checked = []
    for i, (array, shape) in enumerate(zip(given, shapes, strict=True)):
        # `as_float_array` would make a zero that is broadcast to a matrix dense.
        is_zero = (
            isinstance(array, np.ndarray) and array.dtype == np.float64 and not any(array.strides)
        )
        checked.append(
            array if is_zero and not array.any() else as_float_array(array, f"{name}[{i}]")
        )
        if checked[-1].shape != shape:
            raise ValueError(
                f"`{name}[{i}]` must have shape {shape}, got {checked[-1].shape}; it belongs to "
                "the weights of that layer"
            )
    return tuple(checked)
