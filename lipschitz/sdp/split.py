"""A certified bound for every network: semidefinite where it fits, a product of pieces otherwise.

Larger pieces prove more: the multipliers of two pieces, those of the first multiplied by the
second's constant, are multipliers of the two together and prove at least the product. What keeps
pieces small is memory, and time. So the search works from small pieces to large ones, begins each
with what its parts have proved, and takes the best chain of pieces it knows (dynamic programming
over the cuts).
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from dataclasses import dataclass, field

import numpy as np

from evidence import Enclosure, NotCertified
from evidence.validation import positive_float, positive_int
from lipschitz.layers import Activation
from lipschitz.layers.contract import Array
from lipschitz.network import Network
from lipschitz.product import product_bound
from lipschitz.sdp.bound import semidefinite_bound
from lipschitz.sdp.feedforward import feed_forward, is_chain
from lipschitz.sdp.graph import graph_bound, proof_seconds
from lipschitz.sdp.graph_matrices import MEMORY_LIMIT, graph_memory
from lipschitz.sdp.split_pieces import (
    SplitPiece,
    cut_values,
    piece_network,
    product_of,
    windows,
)

__all__ = ["SplitBound", "split_bound"]

_RATE = 4e7
"""Entries of convolutions' matrices that one slow core fills in a second, to plan with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitBound:
    """An upper bound of a Lipschitz constant in l2, and the pieces that prove it.

    Parameters
    ----------
    bound : Enclosure
        Its upper side is proved; there is no lower side.
    product : float
        The bound of `product_bound` for the whole network, for comparison.
    pieces : tuple of SplitPiece
        From the input to the output of ``network.fold()``; `prove_split` proves the bound from
        them and the network alone.
    seconds : float
        Wall time.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> result = split_bound(from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]]))  # |x|
    >>> round(result.bound.upper, 6), round(result.product, 6), len(result.pieces)
    (1.0, 2.0, 1)
    """

    bound: Enclosure
    product: float
    pieces: tuple[SplitPiece, ...]
    seconds: float


def split_bound(
    network: Network, *, time_limit: float = 60.0, memory_limit: int = MEMORY_LIMIT
) -> SplitBound:
    """Bound the Lipschitz constant of any network from above in l2; anytime.

    Parameters
    ----------
    network : Network
        Of any layers; it is folded first.
    time_limit : float
        Seconds. The product bound is always computed; no piece is begun that is not expected to
        end in time.
    memory_limit : int
        Bytes that the matrices of one piece and the work on them may take. Pieces that need more
        are split, or bounded by their layers.

    Returns
    -------
    SplitBound
        Never above the bound of `product_bound`.

    Raises
    ------
    ValueError, TypeError
        Limits that are not positive, or a layer of no known kind.

    Notes
    -----
    Max pooling and other nonlinear layers without slopes are pieces of their own, with the
    constants of `layer_norm`; if a shortcut passes by one, the whole block is bounded by its
    layers. Attained: no; see `semidefinite_bound`.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]])
    >>> result = split_bound(network, time_limit=1e-9)  # no time: the product
    >>> round(result.bound.upper, 6), [piece.rule for piece in result.pieces]
    (2.0, ['layers'])
    """
    begin = time.perf_counter()
    deadline = begin + positive_float(time_limit, "time_limit")
    limit = positive_int(memory_limit, "memory_limit")
    search = _Search(network=network.fold(), deadline=deadline, memory_limit=limit)
    pieces = search.run()
    upper = product_of(pieces)
    methods = {piece.rule for piece in pieces}
    if methods == {"layers"}:
        method = "composition"
    else:
        method = "semidefinite" if len(pieces) == 1 else "semidefinite pieces"
    return SplitBound(
        bound=Enclosure.at_most(upper, method),
        product=search.product,
        pieces=pieces,
        seconds=time.perf_counter() - begin,
    )


@dataclass(slots=True)
class _Search:
    """The best piece known between two cuts."""

    network: Network
    deadline: float
    memory_limit: int
    known: dict[tuple[int, int], SplitPiece] = field(default_factory=dict)
    product: float = math.inf

    def run(self) -> tuple[SplitPiece, ...]:
        """Small pieces, then large ones, until time is up; the best chain of them."""
        end = len(self.network.nodes)
        self.product = product_bound(self.network).bound.upper
        self._add(SplitPiece(first=0, last=end, rule="layers", upper=self.product))
        candidates = [w for w in windows(self.network) if self._fits(w)]
        large = [w for w in candidates if not any(_within(w, other) for other in candidates)]
        small = [w for w in candidates if not any(_within(other, w) for other in candidates)]
        small = [w for w in small if w not in large]
        if large == [(0, end)] and is_chain(self.network):
            small = []  # its own method is quick enough to begin with the whole
        if large:
            self._elementary()
        for stage, share in ((small, 0.15), (large, 1.0)):
            stage_end = time.perf_counter() + share * (self.deadline - time.perf_counter())
            costs = [self._seconds(w) for w in stage]
            for i, window in enumerate(stage):
                now = time.perf_counter()
                allowed = (stage_end - now) * costs[i] / sum(costs[i:])
                if costs[i] <= self.deadline - now and allowed > 0.0:
                    self._bound(window, max(allowed, costs[i]))
        return self._best(0, end)

    # ---- pieces ---------------------------------------------------------------------------------
    def _add(self, piece: SplitPiece) -> None:
        key = piece.first, piece.last
        if key not in self.known or piece.upper < self.known[key].upper:
            self.known[key] = piece

    def _elementary(self) -> None:
        """The pieces between neighbouring cuts by their layers, while there is time."""
        cuts = cut_values(self.network)
        for first, last in itertools.pairwise(cuts):
            if time.perf_counter() > self.deadline:
                return
            upper = product_bound(piece_network(self.network, first, last)).bound.upper
            self._add(SplitPiece(first=first, last=last, rule="layers", upper=upper))

    def _bound(self, window: tuple[int, int], seconds: float) -> None:
        part = piece_network(self.network, *window)
        with contextlib.suppress(NotCertified):
            if is_chain(part) and self._is_narrow(window):
                with contextlib.suppress(NotCertified):
                    # Too large for one chain of matrices is not too large for the other way.
                    feed_forward(part, memory_limit=min(self.memory_limit, 2**31))
                    found = semidefinite_bound(part, time_limit=seconds)
                    self._keep(window, found.bound.upper, found.multipliers)
                    return
            found = graph_bound(
                part,
                time_limit=seconds,
                effort="tight",
                memory_limit=self.memory_limit,
                start=self._joined(window),
            )
            self._keep(window, found.bound.upper, found.multipliers)

    def _keep(self, window: tuple[int, int], upper: float, multipliers: tuple[Array, ...]) -> None:
        if multipliers:
            first, last = window
            self._add(
                SplitPiece(
                    first=first, last=last, rule="multipliers", upper=upper, multipliers=multipliers
                )
            )

    def _joined(self, window: tuple[int, int]) -> tuple[Array, ...] | None:
        """Multipliers for ``rho = 1`` of a window from those of the best pieces inside."""
        try:
            pieces = self._best(*window)
        except KeyError:
            return None
        after: list[tuple[Array, ...]] = []
        factor = 1.0  # the constants of what comes before, squared
        for piece in pieces:
            # A hair more than its bound: room for the elimination.
            squared = (piece.upper * (1.0 + 1e-6)) ** 2
            gates = [
                node.layer
                for node in self.network.nodes[piece.first : piece.last]
                if isinstance(node.layer, Activation)
            ]
            if piece.rule == "multipliers":
                after.append(tuple(t / squared / factor for t in piece.multipliers))
            elif len(gates) == 1 and piece.last == piece.first + 1:
                after.append((np.full(math.prod(gates[0].input_shape), 2.0 / squared / factor),))
            elif gates:
                return None
            factor *= squared
        return tuple(t for part in after for t in part)

    # ---- plans ----------------------------------------------------------------------------------
    def _best(self, first: int, last: int) -> tuple[SplitPiece, ...]:
        """The chain of known pieces with the smallest product (Bellman)."""
        best: dict[int, tuple[float, tuple[SplitPiece, ...]]] = {first: (1.0, ())}
        for v in range(first + 1, last + 1):
            options = [
                (best[u][0] * piece.upper, (*best[u][1], piece))
                for (u, w), piece in self.known.items()
                if w == v and u in best
            ]
            if options:
                best[v] = min(options, key=lambda option: option[0])
        return best[last][1]

    def _is_narrow(self, window: tuple[int, int]) -> bool:
        """Whether the methods for chains are at their best: small, or deep rather than wide."""
        gates = self._gates(window)
        return sum(gates) <= 900 or max(gates) <= 300

    def _gates(self, window: tuple[int, int]) -> list[int]:
        nodes = self.network.nodes[window[0] : window[1]]
        return [math.prod(n.layer.output_shape) for n in nodes if isinstance(n.layer, Activation)]

    def _fits(self, window: tuple[int, int]) -> bool:
        try:
            return graph_memory(piece_network(self.network, *window)) <= self.memory_limit
        except NotCertified:
            return False

    def _seconds(self, window: tuple[int, int]) -> float:
        """About how long the closed forms of a piece and their proof take."""
        shapes = self.network.shapes
        sizes = [math.prod(shapes[v]) for v in range(window[0], window[1] + 1)]
        rows = sum(self._gates(window)) + sizes[-1]
        extraction = sum(sizes[i] * sizes[i + 1] for i in range(len(sizes) - 1))
        return 0.02 + 2.0 * proof_seconds(rows) + extraction / _RATE


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return inner != outer and outer[0] <= inner[0] and inner[1] <= outer[1]
