"""The transportation simplex in integers, started from a float solver's basis.

Every supply is enlarged by one unit of an infinitesimal, and the last demand by all of them, so
that no two subsets of supplies and demands balance: every basis is nondegenerate, every pivot
lowers the cost, and the method ends. Multiplying the masses by ``2 n + 1`` makes the infinitesimal
an ordinary integer whose multiples, at most ``n``, never reach one unit of mass.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

__all__ = ["optimal_basis"]

Arc = tuple[int, int]


class _Tree(NamedTuple):
    parent: list[int]
    order: list[int]


def optimal_basis(
    costs: list[list[int | None]], supplies: list[int], demands: list[int]
) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Optimal flows on the basic arcs, and the potentials of the columns.

    Parameters
    ----------
    costs : n rows of m integers, None where a move is forbidden
    supplies, demands : positive integers of equal totals

    Returns
    -------
    flows : list of (row, column, flow)
        Flow may be zero on a basic arc; on a forbidden arc it is positive only if no plan exists.
    potentials : list of int
        Of the columns; those of the rows follow by the c-transform.

    Examples
    --------
    >>> sorted(optimal_basis([[0, 1], [1, 0]], [2, 1], [1, 2])[0])
    [(0, 0, 1), (0, 1, 1), (1, 1, 1)]
    """
    n, m = len(supplies), len(demands)
    largest = max((abs(c) for row in costs for c in row if c is not None), default=0)
    dear = (n + m) * (2 * largest + 1)  # more than any detour saves
    C = [[dear if c is None else c for c in row] for row in costs]
    unit = 2 * n + 1
    a = [unit * s + 1 for s in supplies]
    b = [unit * d for d in demands]
    b[-1] += n
    flows = _start(C, a, b)
    while True:
        tree = _rooted(flows, n, m)
        potential = _tree_potentials(C, tree, n)
        entering = _most_negative(C, potential, n, m)
        if entering is None:
            break
        _pivot(flows, tree, entering, n)
    # The infinitesimal part of a flow lies between -n and n.
    rounded = [(i, j, (flow + n) // unit) for (i, j), flow in flows.items()]
    return rounded, potential[n:]


def _start(C: list[list[int]], a: list[int], b: list[int]) -> dict[Arc, int]:
    """A feasible basis: the float solver's if it survives exact arithmetic, else a greedy one."""
    ranked = _ranked_arcs(C, a, b)
    tree_arcs = _spanning_tree(ranked, len(a), len(b))
    flows = _tree_flows(tree_arcs, a, b)
    if min(flows.values()) > 0:
        return flows
    return _greedy(ranked, a, b)


def _ranked_arcs(C: list[list[int]], a: list[int], b: list[int]) -> list[Arc]:
    """All arcs, those that a float solution uses first, then by reduced cost."""
    n, m = len(a), len(b)
    plan, reduced = np.zeros((n, m)), np.array(C, dtype=object)
    try:
        from divergences.network_simplex import by_network_simplex

        costs = np.array([[float(c) for c in row] for row in C])
        p = np.array([float(x) for x in a])
        q = np.array([float(x) for x in b])
        if np.isfinite(costs).all() and max(p.max(), q.max()) < 1e300:
            found = by_network_simplex(p / p.sum(), q / q.sum(), costs, costs)
            if found is not None:
                plan = found.plan
                reduced = costs - found.u[:, None] - found.v
    except (OverflowError, ImportError):
        pass
    arcs = [(i, j) for i in range(n) for j in range(m)]
    arcs.sort(key=lambda arc: (-plan[arc], reduced[arc]))
    return arcs


def _spanning_tree(arcs: list[Arc], n: int, m: int) -> list[Arc]:
    """The first arcs that close no cycle (Kruskal)."""
    leader = list(range(n + m))

    def find(node: int) -> int:
        while leader[node] != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    chosen = []
    for i, j in arcs:
        s, t = find(i), find(n + j)
        if s != t:
            leader[s] = t
            chosen.append((i, j))
            if len(chosen) == n + m - 1:
                break
    return chosen


def _greedy(arcs: list[Arc], a: list[int], b: list[int]) -> dict[Arc, int]:
    """Saturate arcs in their order; without degeneracy the arcs used form a tree."""
    left, wanted = a.copy(), b.copy()
    flows = {}
    for i, j in arcs:
        amount = min(left[i], wanted[j])
        if amount > 0:
            flows[i, j] = amount
            left[i] -= amount
            wanted[j] -= amount
    return flows


def _rooted(flows: dict[Arc, int] | list[Arc], n: int, m: int) -> _Tree:
    """The tree rooted at row 0: parents, and nodes in the order of a search from the root."""
    neighbours: list[list[int]] = [[] for _ in range(n + m)]
    for i, j in flows:
        neighbours[i].append(n + j)
        neighbours[n + j].append(i)
    parent = [-1] * (n + m)
    order = [0]
    for node in order:
        for other in neighbours[node]:
            if other != parent[node]:
                parent[other] = node
                order.append(other)
    return _Tree(parent, order)


def _arc(node: int, other: int, n: int) -> Arc:
    return (node, other - n) if node < n else (other, node - n)


def _tree_flows(arcs: list[Arc], a: list[int], b: list[int]) -> dict[Arc, int]:
    """The only flow on a spanning tree that meets supplies and demands."""
    n = len(a)
    tree = _rooted(arcs, n, len(b))
    missing = [*a, *b]
    flows = {}
    for node in reversed(tree.order[1:]):
        above = tree.parent[node]
        flows[_arc(node, above, n)] = missing[node]
        missing[above] -= missing[node]
    return flows


def _tree_potentials(C: list[list[int]], tree: _Tree, n: int) -> list[int]:
    """``u_i + v_j = c_ij`` on the tree, zero at its root."""
    potential = [0] * len(tree.parent)
    for node in tree.order[1:]:
        above = tree.parent[node]
        i, j = _arc(node, above, n)
        potential[node] = C[i][j] - potential[above]
    return potential


def _most_negative(C: list[list[int]], potential: list[int], n: int, m: int) -> Arc | None:
    best, where = 0, None
    v = potential[n:]
    for i in range(n):
        u, row = potential[i], C[i]
        reduced = min(c - x for c, x in zip(row, v, strict=True)) - u
        if reduced < best:
            best = reduced
            where = (i, next(j for j in range(m) if row[j] - v[j] - u == reduced))
    return where


def _path_to_root(node: int, tree: _Tree) -> list[int]:
    path = [node]
    while tree.parent[path[-1]] >= 0:
        path.append(tree.parent[path[-1]])
    return path


def _pivot(flows: dict[Arc, int], tree: _Tree, entering: Arc, n: int) -> None:
    """Push flow around the cycle that the entering arc closes until an arc runs dry."""
    up, down = _path_to_root(entering[0], tree), _path_to_root(n + entering[1], tree)
    while len(up) > 1 and len(down) > 1 and up[-2] == down[-2]:
        up.pop()
        down.pop()
    # From the row along the tree to the column: arcs alternately lose and gain.
    path = up + down[-2::-1]
    cycle = [_arc(s, t, n) for s, t in pairwise(path)]
    losing, gaining = cycle[::2], cycle[1::2]
    leaving = min(losing, key=lambda arc: flows[arc])
    amount = flows[leaving]
    for arc in losing:
        flows[arc] -= amount
    for arc in gaining:
        flows[arc] += amount
    flows[entering] = amount
    del flows[leaving]
