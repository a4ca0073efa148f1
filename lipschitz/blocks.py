"""Linear blocks: what lies between nonlinear layers of a network, as one matrix.

A value is a linear function (plus a constant) of its *sources*: the outputs of the last nonlinear
layers before it, or the input. A residual branch joined to its shortcut, a convolution followed by
pooling, or two matrices in a row are one matrix ``M`` each, and the norm of ``M`` is at most what
the composition rules make of the norms of its layers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from lipschitz.layers import LinearLayer
from lipschitz.layers.balls import Ball, exactly
from lipschitz.network import Network
from lipschitz.tangents import enclose_linear

__all__ = ["Block", "block_matrix", "linear_blocks"]

_COLUMNS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A value that is linear in its sources.

    Parameters
    ----------
    target : int
        The value: 0 is the network's input, ``j + 1`` the output of node ``j``.
    sources : tuple of int
        The values it is a linear function of, ascending.
    nodes : tuple of int
        The linear nodes on the way, ascending.
    """

    target: int
    sources: tuple[int, ...]
    nodes: tuple[int, ...]


def linear_blocks(network: Network) -> tuple[Block, ...]:
    """The maximal blocks: those whose value a nonlinear node reads, and the output's.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> weights = [[[1.0], [2.0]], [[1.0, 1.0]]]
    >>> [(b.target, b.sources, b.nodes) for b in linear_blocks(from_arrays(weights))]
    [(1, (0,), (0,)), (3, (2,), (2,))]
    """
    nodes = network.nodes
    sources: list[frozenset[int]] = [frozenset({0})]
    members: list[frozenset[int]] = [frozenset()]
    ends = {len(nodes)}
    for j, node in enumerate(nodes):
        if isinstance(node.layer, LinearLayer):
            sources.append(frozenset().union(*(sources[i] for i in node.inputs)))
            members.append(frozenset({j}).union(*(members[i] for i in node.inputs)))
        else:
            sources.append(frozenset({j + 1}))
            members.append(frozenset())
            ends.update(node.inputs)
    return tuple(
        Block(target=i, sources=tuple(sorted(sources[i])), nodes=tuple(sorted(members[i])))
        for i in sorted(ends)
        if members[i]
    )


def block_matrix(network: Network, block: Block, source: int) -> Ball:
    """Centre and radius of the matrix from one source to the block's target.

    Returns
    -------
    (center, radius) : arrays, shape (prod(target shape), prod(source shape))
        The rounding of every layer and the errors of its weights are inside the radius.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0, 2.0], [3.0, 4.0]]])
    >>> block_matrix(network, linear_blocks(network)[0], 0)[0]
    array([[1., 2.],
           [3., 4.]])
    """
    shapes = network.shapes
    size = math.prod(shapes[source])
    centers, radii = [], []
    for first in range(0, size, _COLUMNS):
        columns = np.zeros((min(_COLUMNS, size - first), size))
        columns.flat[first :: size + 1] = 1.0
        tangents = {source: exactly(columns.reshape(-1, *shapes[source]))}
        for j in block.nodes:
            node = network.nodes[j]
            if not any(i in tangents for i in node.inputs):
                continue
            inputs = [
                tangents.get(i) or exactly(np.zeros((len(columns), *shapes[i])))
                for i in node.inputs
            ]
            tangents[j + 1] = enclose_linear(cast(LinearLayer, node.layer), *inputs)
        center, radius = tangents[block.target]
        centers.append(center.reshape(len(columns), -1))
        radii.append(radius.reshape(len(columns), -1))
    return (
        np.ascontiguousarray(np.concatenate(centers).T),
        np.ascontiguousarray(np.concatenate(radii).T),
    )
