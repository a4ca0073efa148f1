"""Cells of a mesh cut along the sign of one number given at their vertices: no coordinates here.

Cells are columns of vertex indices: simplices, or in the plane convex polygons, whose columns are
filled up with their first vertex. An edge that joins a positive vertex to a negative one has a key;
a vertex is made on each such edge, once for all cells around it, and the cells are divided there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lipschitz.region_values import NEGATIVE, POSITIVE, Codes

__all__ = ["BOTH", "NO_EDGE", "Cells", "divide", "edge_keys", "joined", "made_simple"]

BOTH = POSITIVE | NEGATIVE
NO_EDGE = int(np.iinfo(np.int64).max)

Cells = NDArray[np.int64]
Index = NDArray[np.intp]
Lookup = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""From keys of edges to the vertices made on them."""


def edge_keys(cells: Cells, codes: Codes, *, polygons: bool) -> NDArray[np.int64]:
    """For every edge of every cell its key, or `NO_EDGE` where the sign does not change.

    Parameters
    ----------
    cells : array of int, shape (corners, cells)
    codes : array of uint8, shape (vertices,)
    polygons : bool
        Edges join neighbours in a column; otherwise all pairs.

    Examples
    --------
    >>> edge_keys(np.array([[0], [1], [2]]), np.array([1, 2, 2], np.uint8), polygons=True).tolist()
    [[1], [9223372036854775807], [2]]
    """
    signs = codes[cells]
    pairs = _pairs(len(cells), polygons)
    keys = np.full((len(pairs), cells.shape[1]), NO_EDGE)
    for row, (p, q) in enumerate(pairs):
        changes = np.flatnonzero(((signs[p] | signs[q]) & BOTH) == BOTH)
        a, b = cells[p, changes], cells[q, changes]
        keys[row, changes] = (np.minimum(a, b) << 32) | np.maximum(a, b)
    return keys


def _pairs(corners: int, polygons: bool) -> list[tuple[int, int]]:
    if polygons:
        return [(i, (i + 1) % corners) for i in range(corners)]
    return list(itertools.combinations(range(corners), 2))


def made_simple(cells: Cells, codes: Codes) -> tuple[Cells, Index]:
    """Polygons whose sign changes exactly twice, the others divided into triangles.

    Rounding may leave a polygon with more changes, or with vertices of no sign elsewhere. Where
    cells have positive and negative vertices, triangles are always simple.

    Returns
    -------
    cells, origin
        The new columns and the old one each comes from.

    Examples
    --------
    >>> square = np.array([[0], [1], [2], [3]])
    >>> made_simple(square, np.array([1, 2, 1, 2], np.uint8))[0]
    array([[0, 0],
           [1, 2],
           [2, 3],
           [0, 0]])
    """
    signs = codes[cells]
    real = _real(cells)
    keys = edge_keys(cells, codes, polygons=True)
    changes = (keys != NO_EDGE).sum(axis=0) + (((signs & BOTH) == 0) & real).sum(axis=0)
    wild = np.flatnonzero(changes != 2)
    tame = np.flatnonzero(changes == 2)
    made, origins = [cells[:, tame]], [tame]
    for column in wild:
        corners = cells[real[:, column], column]
        for b, c in itertools.pairwise(corners[1:]):
            triangle = np.full((len(cells), 1), corners[0])
            triangle[1, 0], triangle[2, 0] = b, c
            made.append(triangle)
            origins.append(np.array([column]))
    return np.hstack(made), np.concatenate(origins)


def _real(cells: Cells) -> NDArray[np.bool_]:
    """Which entries of polygons are corners rather than filling."""
    real = np.asarray(cells != cells[0])
    real[0] = True
    return real


def divide(cells: Cells, codes: Codes, made: Lookup, *, polygons: bool) -> tuple[Cells, Index]:
    """Cells without a change of sign that make up the given ones, and where each comes from.

    Parameters
    ----------
    cells : array of int, shape (corners, cells)
        Those without a change are returned as they are; polygons must be simple.
    codes : array of uint8, shape (vertices,)
    made : callable
        From keys of edges to the vertices on them, which have neither sign.
    polygons : bool

    Examples
    --------
    >>> codes = np.array([1, 2, 2, 4, 4], np.uint8)
    >>> lookup = lambda keys: keys + 2  # vertex 3 on the edge (0, 1), vertex 4 on the edge (0, 2)
    >>> divide(np.array([[0], [1], [2]]), codes, lookup, polygons=True)[0]
    array([[0, 3],
           [3, 1],
           [4, 2],
           [0, 4]])
    """
    return (_halved if polygons else _bisected)(cells, codes, made)


def _bisected(cells: Cells, codes: Codes, made: Lookup) -> tuple[Cells, Index]:
    """One edge after the other, in the order of the keys, so that neighbours agree on faces."""
    origin = np.arange(cells.shape[1])
    pairs = np.array(_pairs(len(cells), False))
    finished, origins = [], []
    while True:
        keys = edge_keys(cells, codes, polygons=False)
        pair = keys.argmin(axis=0)
        key = keys[pair, np.arange(len(pair))]
        done = key == NO_EDGE
        finished.append(cells[:, done])
        origins.append(origin[done])
        if done.all():
            return np.hstack(finished), np.concatenate(origins)
        cells, origin, pair = cells[:, ~done], origin[~done], pair[~done]
        middle = made(key[~done])
        halves = [cells, cells.copy()]
        for half, end in zip(halves, pairs[pair].T, strict=True):
            half[end, np.arange(len(end))] = middle
        cells, origin = np.hstack(halves), np.concatenate([origin, origin])


def _halved(cells: Cells, codes: Codes, made: Lookup) -> tuple[Cells, Index]:
    """Both sides of polygons: corners of one sign, those of none, and the new ones, in order."""
    signs = codes[cells] & BOTH
    crossed = np.bitwise_or.reduce(signs, axis=0) == BOTH
    whole, split = np.flatnonzero(~crossed), np.flatnonzero(crossed)
    keys = edge_keys(cells[:, split], codes, polygons=True)
    corners = np.repeat(cells[:, split], 2, axis=0)
    new = keys != NO_EDGE
    corners[1::2][new] = made(keys[new])
    parts, origins = [cells[:, whole]], [whole]
    for other in (NEGATIVE, POSITIVE):
        keep = np.repeat(_real(cells[:, split]) & (signs[:, split] != other), 2, axis=0)
        keep[1::2] = new
        order = np.argsort(~keep, axis=0, kind="stable")
        part = np.take_along_axis(corners, order, axis=0)
        count = keep.sum(axis=0)
        part = np.where(np.arange(len(part))[:, None] < count, part, part[0])
        parts.append(part[: int(count.max(initial=1))])
        origins.append(split)
    return joined(*parts), np.concatenate(origins)


def joined(*parts: Cells) -> Cells:
    """Columns side by side, the shorter ones filled up with their first entry.

    Examples
    --------
    >>> joined(np.array([[0], [1]]), np.array([[2], [3], [4]]))
    array([[0, 2],
           [1, 3],
           [0, 4]])
    """
    rows = max(len(part) for part in parts)
    return np.hstack(
        [np.vstack([part, np.repeat(part[:1], rows - len(part), 0)]) for part in parts]
    )
