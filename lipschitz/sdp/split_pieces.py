"""Pieces of a network, end to end: where it can be cut, and what proves the bound of a piece.

A value is a *cut* if everything passes through it: no node after it reads a value from before it.
The network is then one function after another, and its constant is at most the product of theirs.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evidence import NotCertified
from evidence.rounding import mul_up
from lipschitz.layers import LinearLayer
from lipschitz.layers.contract import Array
from lipschitz.network import Network, part
from lipschitz.product import product_bound
from lipschitz.sdp.feedforward import feed_forward, is_chain
from lipschitz.sdp.graph_matrices import MEMORY_LIMIT
from lipschitz.sdp.graph_proof import prove_graph
from lipschitz.sdp.proof import prove_multipliers

__all__ = ["SplitPiece", "cut_values", "piece_network", "product_of", "prove_split", "windows"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitPiece:
    """A part of the folded network through which everything passes, with its proved bound.

    Parameters
    ----------
    first, last : int
        The values of `Network.fold` that it leads from and to: 0 is the input, ``j + 1`` the
        output of node ``j``.
    rule : {"layers", "multipliers"}
        What proves it: `product_bound`, or `prove_graph`.
    upper : float
    multipliers : tuple of arrays
        One for each activation of the piece, for ``rho = upper**2``; empty for "layers".

    Examples
    --------
    >>> SplitPiece(first=0, last=3, rule="layers", upper=6.0).multipliers
    ()
    """

    first: int
    last: int
    rule: Literal["layers", "multipliers"]
    upper: float
    multipliers: tuple[Array, ...] = ()


def cut_values(network: Network) -> tuple[int, ...]:
    """The values through which everything passes, ascending: from 0 to the output.

    Examples
    --------
    >>> from lipschitz.layers import Activation, Add
    >>> from lipschitz.network import Node
    >>> relu = Node(name="relu", layer=Activation(kind="relu", input_shape=(2,)), inputs=(0,))
    >>> add = Node(name="add", layer=Add(input_shape=(2,)), inputs=(0, 1))
    >>> cut_values(Network(input_shape=(2,), nodes=(relu, add)))
    (0, 2)
    """
    values = range(len(network.nodes) + 1)
    # The earliest value that a node reads which comes after the value.
    reads = [min(node.inputs) for node in network.nodes]
    earliest = [*itertools.accumulate(reversed(reads), min)][::-1]
    return tuple(v for v in values if v == len(reads) or earliest[v] >= v)


def piece_network(network: Network, first: int, last: int) -> Network:
    """The function from one cut to a later one.

    Raises
    ------
    ValueError
        If one of the two is no cut, or they are not in order.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> [n.name for n in piece_network(from_arrays([[[3.0]], [[2.0]]]), 1, 3).nodes]
    ['relu 1', 'layer 2']
    """
    cuts = cut_values(network)
    if first not in cuts or last not in cuts or first >= last:
        raise ValueError(
            f"`first` and `last` must be two of the cuts {cuts} in order, got {first} and {last}"
        )
    return part(network, first, last)


def windows(network: Network) -> tuple[tuple[int, int], ...]:
    """Pieces with a nonlinear layer that do not begin or end with one that could be cut off.

    An activation at an end adds nothing to what its largest slope says. Cuts between two linear
    layers are of no use either.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> windows(from_arrays([[[3.0]], [[2.0]], [[1.0]]]))
    ((0, 3), (0, 5), (2, 5))
    """
    nodes, cuts, users = network.nodes, cut_values(network), network.users

    def is_gate(value: int) -> bool:
        return value > 0 and not isinstance(nodes[value - 1].layer, LinearLayer)

    starts, ends = [], []
    for v in cuts:
        gates = [not isinstance(nodes[j].layer, LinearLayer) for j in users[v]]
        alone = len(gates) == 1
        is_inside = v > 0 and not is_gate(v) and alone and not gates[0]
        # The gate that follows alone is cut off: its output is the better start.
        if v < len(nodes) and not is_inside and not (alone and gates[0] and v + 1 in cuts):
            starts.append(v)
        if v == len(nodes) or (v > 0 and not is_inside):
            trailing = is_gate(v) and nodes[v - 1].inputs[0] in cuts and v < len(nodes)
            if not trailing:
                ends.append(v)
    return tuple(
        (u, v) for u in starts for v in ends if u < v and any(is_gate(w) for w in range(u + 1, v))
    )


def product_of(pieces: Sequence[SplitPiece]) -> float:
    """The product of the pieces' bounds, rounded up.

    Examples
    --------
    >>> product_of([SplitPiece(first=0, last=1, rule="layers", upper=3.0)] * 2)
    9.0
    """
    total = 1.0
    for piece in pieces:
        total = 0.0 if piece.upper == 0.0 else mul_up(total, piece.upper)
    return total


def prove_split(
    network: Network,
    pieces: Sequence[SplitPiece],
    upper: float,
    *,
    memory_limit: int = MEMORY_LIMIT,
) -> bool:
    """Prove from the pieces that the Lipschitz constant is at most ``upper``, in l2.

    Parameters
    ----------
    network : Network
        It is folded first.
    pieces : sequence of SplitPiece
    upper : float
    memory_limit : int
        Bytes for the matrices of one piece.

    Returns
    -------
    bool
        True if the pieces lead from the input to the output without gap, each one's bound is
        proved anew, and their product is at most ``upper``. False says that this is no proof.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[3.0]], [[2.0]]])
    >>> piece = SplitPiece(first=0, last=3, rule="layers", upper=6.0 + 1e-9)
    >>> prove_split(network, [piece], 6.1), prove_split(network, [piece], 5.9)
    (True, False)
    """
    folded = network.fold()
    cuts = cut_values(folded)
    ends = [0, *(piece.last for piece in pieces)]
    if ends != [*(piece.first for piece in pieces), len(folded.nodes)] or not set(ends) <= {*cuts}:
        return False
    if any(u >= v for u, v in itertools.pairwise(ends)):
        return False
    return product_of(pieces) <= upper and all(
        _is_proved(piece_network(folded, piece.first, piece.last), piece, memory_limit)
        for piece in pieces
    )


def _is_proved(network: Network, piece: SplitPiece, memory_limit: int) -> bool:
    if not 0.0 <= piece.upper < math.inf:
        return False
    if piece.rule == "layers":
        return product_bound(network).bound.upper <= piece.upper
    if piece.rule != "multipliers" or piece.upper == 0.0:
        return False
    if is_chain(network):
        # The check of a chain needs less memory and loses less to rounding; either one suffices.
        with contextlib.suppress(NotCertified):
            chain = feed_forward(network, memory_limit=memory_limit)
            if prove_multipliers(chain, piece.multipliers, piece.upper):
                return True
    return prove_graph(network, piece.multipliers, piece.upper, memory_limit=memory_limit)
