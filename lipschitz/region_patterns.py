"""Every activation pattern that a region may have, from a mesh whose signs are partly undecided.

In a cell, the sign of neuron ``k`` is that of its decided vertices, except in slivers next to the
undecided ones. Which signs can be wrong at one point *together*? Let ``S`` be wrong at ``x = sum
l_i v_i`` of a simplex, ``U_k`` its vertices where ``k`` is undecided, ``D_k`` those where it is
decided. By (*) of `lipschitz.region_values`

    sum_{D_k} l_i (|z_k(v_i)| - R)  <=  sum_{U_k} l_i (|z_k(v_i)| + R)      for k in S.

If every factor on the left is at least ``d`` times the largest on the right (vertices for which it
is not are counted into ``U_k``), then the vertex ``v`` with the largest ``l_i`` among all ``U_k``,
k in S, is in no ``D_k``: the mass of ``U_k`` is at most ``d l_v``. So ``S`` consists of neurons
that are undecided at one vertex ``v`` (or exactly zero there and undecided elsewhere in the cell),
at least one of them undecided. Generically as many hyperplanes meet in a vertex as there are
dimensions, and the patterns made by these flips are those of the neighbouring cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipschitz.region_mesh import Mesh
from lipschitz.region_values import EXACT, NEGATIVE, POSITIVE, UNDECIDED

__all__ = ["Patterns", "Words", "packed", "possible_patterns", "unpacked"]

Words = NDArray[np.uint64]
Index = NDArray[np.intp]

_CHUNK = 4096
_MOST_FLIPS = 8
"""Subsets of at most this many neurons at one vertex are listed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patterns:
    """Patterns as bits, neuron ``j`` in bit ``j % 64`` of word ``j // 64``.

    Parameters
    ----------
    cells : array of uint64, shape (count, words)
        The distinct patterns of cells, one for each linear region found.
    slivers : array of uint64, shape (count, words)
        Further ones that rounding does not rule out.
    crowded : array of uint64, shape (count, 2, words)
        Pairs of a pattern and a mask: any subset of the mask may be flipped.

    Examples
    --------
    >>> none = np.zeros((0, 1), np.uint64)
    >>> len(Patterns(cells=none, slivers=none, crowded=none[:, None].repeat(2, 1)).cells)
    0
    """

    cells: Words
    slivers: Words
    crowded: Words


def unpacked(words: Words, neurons: int) -> NDArray[np.bool_]:
    """Bits as an array of shape (count, neurons).

    Examples
    --------
    >>> unpacked(np.array([[5]], np.uint64), 3)
    array([[ True, False,  True]])
    """
    octets = np.ascontiguousarray(words, dtype="<u8").view(np.uint8)
    return np.unpackbits(octets, axis=1, bitorder="little", count=neurons).astype(np.bool_)


def packed(gates: NDArray[np.bool_], words: int) -> Words:
    """The inverse of `unpacked`.

    Examples
    --------
    >>> packed(np.array([[True, False, True]]), 1)
    array([[5]], dtype=uint64)
    """
    octets = np.zeros((len(gates), 8 * words), np.uint8)
    bits = np.packbits(gates, axis=1, bitorder="little")
    octets[:, : bits.shape[1]] = bits
    return octets.view("<u8").astype(np.uint64)


def possible_patterns(mesh: Mesh) -> Patterns:
    """The patterns of all linear regions that meet the mesh, and maybe a few more.

    Parameters
    ----------
    mesh : Mesh
        Refined to the end.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> from lipschitz.region_chain import kinked_chain
    >>> chain = kinked_chain(from_arrays([[[1.0, 0.0]], [[1.0]]]))
    >>> mesh = Mesh(chain, None)
    >>> mesh.refine(deadline=np.inf, most=100)
    True
    >>> possible_patterns(mesh).cells.tolist()
    [[0], [1]]
    """
    base = np.ascontiguousarray(mesh.gates.T)
    cells = _distinct(base)
    flips = mesh.flips
    sets, peculiar = _peculiar_sets(mesh)
    for column, vertex in _plain_vertices(mesh, peculiar):
        sets.setdefault((column, vertex), [])
    by_size: dict[int, list[tuple[int, list[int]]]] = {}
    undecided = _undecided(mesh)
    for (column, vertex), more in sets.items():
        members = sorted({*undecided.get(vertex, []), *more})
        by_size.setdefault(len(members), []).append((column, members))
    listed, crowded = [base[:0]], [np.zeros((0, 2, base.shape[1]), np.uint64)]
    for size, rows in by_size.items():
        start = base[[column for column, _ in rows]]
        masks = flips[np.array([members for _, members in rows], np.intp)]
        if size > _MOST_FLIPS:
            crowded.append(np.stack([start, np.bitwise_or.reduce(masks, axis=1)], axis=1))
            continue
        for subset in range(1, 2**size):
            chosen = [j for j in range(size) if subset >> j & 1]
            listed.append(start ^ np.bitwise_xor.reduce(masks[:, chosen], axis=1))
    return Patterns(
        cells=cells,
        slivers=_without(_distinct(np.concatenate(listed)), cells),
        crowded=_distinct_pairs(np.concatenate(crowded)),
    )


def _undecided(mesh: Mesh) -> dict[int, list[int]]:
    """For vertices with undecided signs, the neurons; of twins only the first."""
    found: dict[int, list[int]] = {}
    counts = np.asarray(mesh.flips.any(axis=1))
    for first, codes in zip(mesh.firsts, mesh.codes, strict=True):
        neurons, vertices = np.nonzero(codes == UNDECIDED)
        own = counts[neurons + first]
        pairs = zip((neurons[own] + first).tolist(), vertices[own].tolist(), strict=True)
        for k, v in pairs:
            found.setdefault(v, []).append(k)
    return found


def _plain_vertices(mesh: Mesh, peculiar: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Undecided vertices without peculiarities, each with one of its cells: one is enough.

    Where no sign is exactly zero, the patterns around a vertex are the flips of any one of them.
    """
    owner = np.zeros(len(mesh.vertices), np.intp)
    for row in mesh.cells:
        owner[row] = np.arange(mesh.cells.shape[1])
    wanted = np.zeros(len(mesh.vertices), np.bool_)
    for codes in mesh.codes:
        wanted |= (codes == UNDECIDED).any(axis=0)
    vertices = np.flatnonzero(wanted & ~peculiar)
    return list(zip(owner[vertices].tolist(), vertices.tolist(), strict=True))


def _peculiar_sets(
    mesh: Mesh,
) -> tuple[dict[tuple[int, int], list[int]], NDArray[np.bool_]]:
    """Pairs of a cell and a vertex that need a closer look, with what joins the undecided ones.

    A vertex is peculiar if a sign is exactly zero there, or decided by too little.
    """
    peculiar = np.zeros(len(mesh.vertices), np.bool_)
    undecided = np.zeros(len(mesh.vertices), np.bool_)
    for codes in mesh.codes:
        peculiar |= (codes == EXACT).any(axis=0)
        undecided |= (codes == UNDECIDED).any(axis=0)
    joins, active = _joining(mesh, peculiar)
    sets: dict[tuple[int, int], list[int]] = {pair: [] for pair in active}
    corners, columns = np.nonzero((peculiar & undecided)[mesh.cells])
    for pair in zip(columns.tolist(), mesh.cells[corners, columns].tolist(), strict=True):
        sets.setdefault(pair, [])
    for pair, neuron in joins:
        if pair in sets:
            sets[pair].append(neuron)
    return sets, peculiar


def _joining(
    mesh: Mesh, peculiar: NDArray[np.bool_]
) -> tuple[list[tuple[tuple[int, int], int]], set[tuple[int, int]]]:
    """Neurons that are nearly undecided, or zero at a vertex and undecided elsewhere in a cell."""
    cells = mesh.cells
    # Half a unit more than the theorem asks for covers the rounding of the comparisons.
    factor = mesh.vertices.shape[1] - 0.5
    suspects = _suspects(mesh, factor)
    joins: list[tuple[tuple[int, int], int]] = []
    active: set[tuple[int, int]] = set()
    if not any(len(neurons) for neurons in suspects):
        return joins, active
    for layer, (size, error) in enumerate(mesh.arguments(slice(None))):
        for k in suspects[layer]:
            codes = mesh.codes[layer][k]
            is_open = (codes == UNDECIDED)[cells]
            decided = (codes & (POSITIVE | NEGATIVE)) != 0
            most = np.where(is_open, (size[:, k] + error[:, k])[cells], 0.0).max(axis=0)
            least = np.where(decided, size[:, k] - error[:, k], np.inf)[cells]
            weak = (least < factor * most) & (most > 0.0)
            for kind in (weak, (codes == EXACT)[cells] & is_open.any(axis=0)):
                corners, columns = np.nonzero(kind)
                vertices = cells[corners, columns]
                peculiar[vertices] = True
                pairs = list(zip(columns.tolist(), vertices.tolist(), strict=True))
                neuron = mesh.firsts[layer] + int(k)
                joins += [(pair, neuron) for pair in pairs]
                if kind is weak:
                    active.update(pairs)
    return joins, active


def _suspects(mesh: Mesh, factor: float) -> list[NDArray[np.intp]]:
    """Neurons of every layer whose decided signs are not all well above its undecided ones."""
    most = [np.zeros(len(codes)) for codes in mesh.codes]
    least = [np.full(len(codes), np.inf) for codes in mesh.codes]
    for start in range(0, len(mesh.vertices), _CHUNK):
        chosen = slice(start, start + _CHUNK)
        for layer, (size, error) in enumerate(mesh.arguments(chosen)):
            codes = mesh.codes[layer][:, chosen].T
            open_ = np.where(codes == UNDECIDED, size + error, 0.0)
            np.maximum(most[layer], open_.max(axis=0), out=most[layer])
            decided = np.where((codes & (POSITIVE | NEGATIVE)) != 0, size - error, np.inf)
            np.minimum(least[layer], decided.min(axis=0), out=least[layer])
    suspects = []
    owns = np.asarray(mesh.flips.any(axis=1))
    for first, codes, high, low in zip(mesh.firsts, mesh.codes, most, least, strict=True):
        is_zero = (codes == EXACT).any(axis=1)
        suspected = (high > 0.0) & (is_zero | (low < factor * high))
        # Neurons tied to an earlier one flip with it.
        suspects.append(np.flatnonzero(suspected & owns[first : first + len(codes)]))
    return suspects


def _distinct(words: Words) -> Words:
    """The distinct rows, sorted."""
    if len(words) == 0:
        return words
    ordered = words[np.lexsort(words.T)]
    new = np.ones(len(ordered), np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return np.ascontiguousarray(ordered[new])


def _distinct_pairs(crowded: Words) -> Words:
    """Pairs that differ outside their masks, or in these."""
    fixed = crowded[:, 0] & ~crowded[:, 1]
    both = _distinct(np.concatenate([fixed, crowded[:, 1]], axis=1))
    return both.reshape(len(both), 2, crowded.shape[2])


def _without(words: Words, known: Words) -> Words:
    """The rows that are not among the known ones; both are distinct."""
    both = np.concatenate([known, words])
    order = np.lexsort(both.T)
    again = np.zeros(len(both), np.bool_)
    ordered = both[order]
    # The sort is stable, so that of two equal rows the known one comes first.
    again[order[1:]] = (ordered[1:] == ordered[:-1]).all(axis=1)
    return np.ascontiguousarray(words[~again[len(known) :]])
