"""A mesh of simplices, refined until no neuron changes its sign inside one: rounding allowed for.

Cutting a simplex at a point ``m`` of one of its edges ``(p, q)`` into the one with ``m`` for ``q``
and the one with ``m`` for ``p`` covers it exactly, wherever on the edge ``m`` lies. Here ``m`` is
rounded, and the simplices still cover the domain:

**Theorem.** A continuous map of a polytope to itself that maps every face into itself is onto.

*Proof.* The segment from ``x`` to its image stays in the face of ``x``, so that the map is
homotopic to the identity through maps of that kind; on every face they have degree one by
induction, and a map that misses an interior point has degree zero.

Vertices are shared: an edge is cut once for all simplices around it, and the edges of a simplex are
cut in the order of their keys, so that neighbours cut a common face alike. The mesh is thus the
image of a triangulation under a piecewise linear map, and cutting keeps faces: a coordinate that
vanishes (or equals a side of the box) at both ends is kept as it is, one that is positive
(negative, between the sides) stays so in floating point. The polytopes are the box, or each orthant
of the whole space, seen from the centre of projection: ``(x, w)`` with ``w >= 0`` is the point ``x
/ w``, at infinity for ``w = 0``.

Signs are those of `lipschitz.region_values`. A vertex made on the kink of a neuron has an undecided
sign there for ever, and no simplex is cut twice for one neuron.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified
from lipschitz.layers.balls import Ball
from lipschitz.layers.contract import Array
from lipschitz.region_chain import KinkedChain
from lipschitz.region_cuts import BOTH, NO_EDGE, divide, edge_keys, joined, made_simple
from lipschitz.region_values import (
    EXACT,
    NEGATIVE,
    POSITIVE,
    UNDECIDED,
    Codes,
    HomogeneousChain,
)

__all__ = ["Mesh"]

_CHUNK = 8192
_OPPOSITE = np.array([EXACT, NEGATIVE, POSITIVE, 3, UNDECIDED], np.uint8)


class Mesh:
    """Simplices with the signs of all neurons at their vertices and a gate for each neuron.

    Parameters
    ----------
    chain : KinkedChain
    box : (lower, upper) or None
        Arrays of shape (d,); None for the whole space.

    Attributes
    ----------
    vertices : array, shape (count, d + 1)
    cells : array of int, shape (corners, count)
        Columns are indices of vertices: simplices, or polygons in the plane.
    gates : array of uint64, shape (words, count)
        Bit ``j`` is set where neuron ``j`` (hidden layers one after the other) is positive.
    firsts : tuple of int
        The number of the first neuron of every hidden layer.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> from lipschitz.region_chain import kinked_chain
    >>> chain = kinked_chain(from_arrays([[[1.0, 0.0]], [[1.0]]]))
    >>> mesh = Mesh(chain, None)
    >>> mesh.refine(deadline=np.inf, most=100), mesh.cells.shape, sorted(mesh.gates[0].tolist())
    (True, (3, 4), [0, 0, 1, 1])
    """

    def __init__(self, chain: KinkedChain, box: tuple[Array, Array] | None) -> None:
        self._chain, self._box = HomogeneousChain.of(chain), box
        self._widths = chain.widths[1:-1]
        self._ties = chain.ties
        self._polygons = chain.widths[0] == 2
        self._vertices, self.cells = _corners(box, chain.widths[0])
        self._count = len(self._vertices)
        self._codes: list[Codes] = []
        self.firsts = tuple(sum(self._widths[:i]) for i in range(len(self._widths)))
        words = max(1, -(-chain.hidden // 64))
        self.gates = np.zeros((words, self.cells.shape[1]), np.uint64)

    @property
    def vertices(self) -> Array:
        """One row each, ``(x, w)``."""
        return self._vertices[: self._count]

    @property
    def codes(self) -> list[Codes]:
        """Signs of every hidden layer, arrays of shape (neurons, vertices)."""
        return [codes[:, : self._count] for codes in self._codes]

    def refine(self, *, deadline: float, most: int) -> bool:
        """Cut until no neuron changes its sign in a simplex; False if time or room ran out."""
        first = 0
        for layer, width in enumerate(self._widths):
            self._codes.append(np.zeros((width, len(self._vertices)), np.uint8))
            for start in range(0, self._count, _CHUNK):
                self._read_signs(layer, slice(start, min(start + _CHUNK, self._count)))
            for neuron in range(width):
                if time.perf_counter() > deadline or self.cells.shape[1] > most:
                    return False
                owner = int(self._ties[layer][0][neuron])
                if owner == neuron:
                    here = self._codes[layer][neuron][self.cells]
                    self._cut(layer, neuron, np.bitwise_or.reduce(here, axis=0))
                    here = self._codes[layer][neuron][self.cells]
                    gates = np.bitwise_or.reduce(here, axis=0) & np.uint8(POSITIVE)
                else:  # also where the owner's sign is undecided in the whole cell
                    word, place = divmod(first + owner, 64)
                    gates = (self.gates[word] >> np.uint64(place)) & np.uint64(1)
                    gates ^= np.uint64(self._ties[layer][1][neuron] < 0.0)
                bit = first + neuron
                self.gates[bit // 64] |= gates.astype(np.uint64) << np.uint64(bit % 64)
            first += width
        return True

    def arguments(self, chosen: slice) -> Iterator[Ball]:
        """``|z^|`` and ``R_z`` of one hidden layer after the other, shape (vertices, neurons)."""
        known = [codes[:, chosen].T for codes in self.codes]
        for z, error in self._chain.sweep(self.vertices[chosen], known):
            yield np.abs(z), error

    @property
    def flips(self) -> NDArray[np.uint64]:
        """For every neuron the bits that change with its sign; none if tied to an earlier one."""
        neurons = np.arange(sum(self._widths))
        masks = np.zeros((len(neurons), len(self.gates)), np.uint64)
        bits = np.uint64(1) << (neurons % 64).astype(np.uint64)
        ties = zip(self.firsts, self._ties, strict=True)
        owner = np.concatenate([neurons[:0], *(first + tied for first, (tied, _) in ties)])
        np.bitwise_or.at(masks, (owner, neurons // 64), bits)
        return masks

    def _read_signs(self, layer: int, chosen: slice) -> None:
        known = [codes[:, chosen].T for codes in self._codes[: layer + 1]]
        for values in self._chain.sweep(self._vertices[chosen], known):
            last = values
        _check_finite(last)
        self._codes[layer][:, chosen] = self._with_twins(layer, self._chain.signs(layer, last)).T

    def _with_twins(self, layer: int, codes: Codes) -> Codes:
        """Neurons on one hyperplane have one sign, or opposite ones: exactly."""
        representative, sign = self._ties[layer]
        tied = np.flatnonzero(representative != np.arange(len(representative)))
        if len(tied) and not self._chain.is_smooth(layer):
            known = np.take(codes, representative[tied], axis=1)
            codes[:, tied] = np.where(sign[tied] > 0.0, known, _OPPOSITE[known])
        return codes

    # ---- cutting --------------------------------------------------------------------------------
    def _cut(self, layer: int, neuron: int, signs: Codes) -> None:
        crossed = np.flatnonzero((signs & BOTH) == BOTH)
        if len(crossed) == 0:
            return
        cells, origin = self.cells[:, crossed], crossed
        if self._polygons:
            cells, parent = made_simple(cells, self._codes[layer][neuron])
            origin = origin[parent]
        edges = edge_keys(cells, self._codes[layer][neuron], polygons=self._polygons)
        keys = np.unique(edges[edges != NO_EDGE])
        first = self._count
        self._add_vertices(keys, layer, neuron)
        cells, parent = divide(
            cells,
            self._codes[layer][neuron],
            lambda wanted: first + np.searchsorted(keys, wanted),
            polygons=self._polygons,
        )
        # The children inherit the gates known so far.
        gates, n = self.gates[:, origin[parent]], len(crossed)
        self.gates[:, crossed] = gates[:, :n]
        self.gates = np.hstack([self.gates, gates[:, n:]])
        both = joined(self.cells, cells)
        both[:, crossed] = both[:, self.cells.shape[1] :][:, :n]
        self.cells = np.delete(both, slice(self.cells.shape[1], self.cells.shape[1] + n), axis=1)

    # ---- new vertices ---------------------------------------------------------------------------
    def _add_vertices(self, keys: NDArray[np.int64], layer: int, neuron: int) -> None:
        """One vertex on every edge, where the neuron's argument vanishes up to rounding."""
        ends = keys >> 32, keys & 0xFFFFFFFF
        a, b = (self._vertices[e] for e in ends)
        s, t = (np.abs(self._chain.argument(layer, neuron, v)) for v in (a, b))
        made = _between(a, b, s, t) if self._box is None else _inside(a, b, s, t)
        new = slice(self._count, self._count + len(made))
        if new.stop > len(self._vertices):
            room = max(new.stop, 2 * len(self._vertices), 1024)
            self._vertices = _grown(self._vertices, room, axis=0)
            self._codes = [_grown(codes, room, axis=1) for codes in self._codes]
        self._vertices[new] = made
        self._count = new.stop
        hidden: Ball | None = None
        for i, stored in enumerate(self._codes):
            values = self._chain.arguments(i, made, hidden)
            _check_finite(values)
            codes = self._chain.signs(i, values)
            # Neurons that are done do not change their sign on the edge, whatever rounding says.
            done = self._widths[i] if i < layer else neuron
            known = ((stored[:done, ends[0]] | stored[:done, ends[1]]) & BOTH).T
            wrong = ((codes[:, :done] & BOTH) != 0) & (codes[:, :done] != known)
            codes[:, :done][wrong] = UNDECIDED
            if i == layer:
                codes[codes[:, neuron] != EXACT, neuron] = UNDECIDED
            codes = self._with_twins(i, codes)
            stored[:, new] = codes.T
            hidden = self._chain.activate(i, values, codes)


def _between(a: Array, b: Array, s: Array, t: Array) -> Array:
    """The ray of ``t a + s b``, without a quotient: small integers stay exact."""
    scale = np.frexp(np.maximum(s, t))[1]
    s, t = np.ldexp(s, -scale), np.ldexp(t, -scale)
    made = t[:, None] * a + s[:, None] * b
    return np.asarray(np.ldexp(made, -np.frexp(np.abs(made).max(axis=1))[1][:, None]))


def _inside(a: Array, b: Array, s: Array, t: Array) -> Array:
    """The point of the segment, with coordinates between those of its ends."""
    scale = np.frexp(np.maximum(s, t))[1]
    s, t = np.ldexp(s, -scale), np.ldexp(t, -scale)
    made = a + (s / (s + t))[:, None] * (b - a)
    return np.asarray(np.clip(made, np.minimum(a, b), np.maximum(a, b)))


def _corners(box: tuple[Array, Array] | None, dimension: int) -> tuple[Array, NDArray[np.int64]]:
    """The first mesh: an orthant for every sign vector, or the box cut along its diagonal."""
    cells: list[list[int]] = []
    if box is None:
        axes = np.vstack([np.eye(dimension), -np.eye(dimension)])
        corners = np.vstack(
            [np.eye(dimension + 1)[-1], np.hstack([axes, np.zeros((len(axes), 1))])]
        )
        for signs in itertools.product((0, 1), repeat=dimension):
            cells.append([0, *(1 + i + dimension * sign for i, sign in enumerate(signs))])
        return corners, np.array(cells, np.int64).T
    sides = list(itertools.product((0, 1), repeat=dimension))
    points = [[box[side][i] for i, side in enumerate(corner)] for corner in sides]
    corners = np.hstack([np.array(points), np.ones((len(sides), 1))])
    if dimension == 2:
        return corners, np.array([[0], [1], [3], [2]], np.int64)
    for order in itertools.permutations(range(dimension)):
        steps = [tuple(int(i in order[:n]) for i in range(dimension)) for n in range(dimension + 1)]
        cells.append([sides.index(step) for step in steps])
    return corners, np.array(cells, np.int64).T


def _grown(array: Any, room: int, axis: int) -> Any:
    shape = list(array.shape)
    shape[axis] = room - shape[axis]
    return np.concatenate([array, np.zeros(shape, array.dtype)], axis=axis)


def _check_finite(values: Ball) -> None:
    if not (np.isfinite(values[0]).all() and np.isfinite(values[1]).all()):
        raise NotCertified(
            "the values of a hidden layer overflow float64, so that their signs are unknown; "
            "scale the weights down by a power of two"
        )
