"""A network with branches as matrices between its gates: what its semidefinite bound reads of it.

The *variables* are the network's input and the outputs of its activations ("gates"), in order. The
argument of a gate and the network's output are linear in earlier variables: residual sums, skips,
concatenations, convolutions, average pooling and folded normalisations are all of one kind, a
matrix from one variable to one reader.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evidence import NotCertified
from lipschitz.blocks import Block, block_matrix, linear_blocks
from lipschitz.layers import Activation, Dense, LinearLayer, Reshape
from lipschitz.layers.balls import Ball
from lipschitz.layers.contract import Array
from lipschitz.network import Network

__all__ = ["MEMORY_LIMIT", "GraphModel", "graph_memory", "graph_model"]

MEMORY_LIMIT = 2**32
"""Bytes that the matrices of one bound and the work on them may take unless one says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphModel:
    """Matrices from variables to gates and to the output.

    Parameters
    ----------
    sizes : tuple of int
        Lengths of the variables: the input, then every gate's output.
    slopes : tuple of (float, float)
        The smallest and the largest difference quotient of every gate.
    maps : tuple of mappings from int to (center, radius)
        For every gate, and last for the output, the matrices from the variables that it reads,
        shape (rows, sizes[variable]), with entrywise bounds of their errors.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> model = graph_model(from_arrays([[[2.0]], [[3.0]]]))
    >>> model.sizes, model.slopes, sorted(model.maps[0]), model.maps[1][1][0]
    ((1, 1), ((0.0, 1.0),), [0], array([[3.]]))
    """

    sizes: tuple[int, ...]
    slopes: tuple[tuple[float, float], ...]
    maps: tuple[Mapping[int, Ball], ...]

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return len(next(iter(self.maps[-1].values()))[0])


def graph_model(network: Network, *, memory_limit: int = MEMORY_LIMIT) -> GraphModel:
    """The matrices between the gates of a network.

    Parameters
    ----------
    network : Network
        Linear layers and activations, joined in any way. It is folded first.
    memory_limit : int
        Bytes, see `graph_memory`.

    Returns
    -------
    GraphModel

    Raises
    ------
    NotCertified
        If there is a nonlinear layer that is no activation, or too little memory; it is raised
        before anything large is formed.

    Examples
    --------
    >>> from lipschitz.layers import Activation, Add
    >>> from lipschitz.network import Node
    >>> relu = Node(name="relu", layer=Activation(kind="relu", input_shape=(2,)), inputs=(0,))
    >>> add = Node(name="add", layer=Add(input_shape=(2,)), inputs=(0, 1))
    >>> model = graph_model(Network(input_shape=(2,), nodes=(relu, add)))
    >>> {variable: center.tolist() for variable, (center, _) in model.maps[-1].items()}
    {0: [[1.0, 0.0], [0.0, 1.0]], 1: [[1.0, 0.0], [0.0, 1.0]]}
    """
    folded = network.fold()
    needed = graph_memory(folded)
    if needed > memory_limit:
        raise NotCertified(
            f"the matrices of this network and the work on them take about {needed / 2**30:.2f} "
            f"GiB, more than `memory_limit` = {memory_limit / 2**30:.2f} GiB; use `split_bound`, "
            "which multiplies the bounds of smaller pieces"
        )
    sizes = [math.prod(shape) for shape in folded.shapes]
    gates = _gates(folded)
    variable = {value: i for i, value in enumerate((0, *gates))}
    readers = [*(folded.nodes[v - 1].inputs[0] for v in gates), len(folded.nodes)]
    blocks = {block.target: block for block in linear_blocks(folded)}
    maps = tuple(
        {variable[s]: _matrix(folded, blocks.get(v), s, sizes[s]) for s in _sources(blocks, v)}
        for v in readers
    )
    layers = [folded.nodes[v - 1].layer for v in gates]
    slopes = tuple((a.slope_lower, a.slope_upper) for a in layers if isinstance(a, Activation))
    return GraphModel(sizes=tuple(sizes[v] for v in variable), slopes=slopes, maps=maps)


def graph_memory(network: Network) -> int:
    """About how many bytes a semidefinite bound of the network takes, before any is allocated.

    Every matrix from a variable to a reader is kept twice (with its error) and copied while it is
    formed; the proof holds the square matrix of all gates (of the input as well, where it does not
    cancel) about five times.

    Raises
    ------
    NotCertified
        If the network has a nonlinear layer that is no activation.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> graph_memory(from_arrays([np.zeros((50, 784)), np.zeros((10, 50))])) < 5e6
    True
    """
    folded = network.fold()
    sizes = [math.prod(shape) for shape in folded.shapes]
    gates = _gates(folded)
    blocks = {block.target: block for block in linear_blocks(folded)}
    readers = [*(folded.nodes[v - 1].inputs[0] for v in gates), len(folded.nodes)]
    entries = sum(sizes[v] * sizes[s] for v in readers for s in _sources(blocks, v))
    rows = sum(sizes[v] for v in gates) + sizes[-1]
    if not all(_is_free(folded, v) for v in gates if 0 in _sources(blocks, v - 1)):
        rows += sizes[0]
    return 8 * (3 * entries + 5 * rows * rows)


def _is_free(network: Network, gate: int) -> bool:
    """Whether one slope is zero, so that the gate's form has no square of its argument."""
    layer = network.nodes[gate - 1].layer
    # Not their product, which may underflow.
    return isinstance(layer, Activation) and 0.0 in (layer.slope_lower, layer.slope_upper)


def _gates(network: Network) -> list[int]:
    """The values that activations put out."""
    for node in network.nodes:
        if not isinstance(node.layer, (LinearLayer, Activation)):
            raise NotCertified(
                f"node {node.name!r} ({type(node.layer).__name__}) is neither linear nor an "
                "activation with slopes; use `split_bound`, which cuts the network there"
            )
    return [j + 1 for j, n in enumerate(network.nodes) if isinstance(n.layer, Activation)]


def _sources(blocks: Mapping[int, Block], value: int) -> tuple[int, ...]:
    return blocks[value].sources if value in blocks else (value,)


def _matrix(network: Network, block: Block | None, source: int, size: int) -> Ball:
    if block is None:
        return np.eye(size), np.broadcast_to(0.0, (size, size))
    layers = [network.nodes[j].layer for j in block.nodes]
    linear = [layer for layer in layers if not isinstance(layer, Reshape)]
    if len(linear) == 1 and isinstance(linear[0], Dense) and not linear[0].leading:
        dense: Dense = linear[0]
        error: Array | None = dense.weight_error
        return dense.weight, np.broadcast_to(0.0, dense.weight.shape) if error is None else error
    return block_matrix(network, block, source)
