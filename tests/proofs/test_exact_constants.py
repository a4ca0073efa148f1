"""The Lipschitz constant of a ReLU network with one hidden layer can be any graph's maximum cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.identities import check_identity

proves = pytest.mark.proves


def graphs(vertices):
    """All graphs on labelled vertices with at least one edge, as lists of oriented edges."""
    pairs = list(itertools.combinations(range(vertices), 2))
    for count in range(1, len(pairs) + 1):
        yield from itertools.combinations(pairs, count)


def cut(edges, inside):
    return sum((i in inside) != (j in inside) for i, j in edges)


def subsets(vertices):
    for count in range(vertices + 1):
        yield from map(set, itertools.combinations(range(vertices), count))


def gradient(edges, active, tail=1, head=-1):
    """Of ``sum_i relu(b_i . x)``: ``b_i`` is `tail` at edges that leave ``i``, `head` at others."""
    return [tail * (i in active) + head * (j in active) for i, j in edges]


def arguments(edges, x, vertices, tail=1, head=-1):
    totals = [0] * vertices
    for (i, j), value in zip(edges, x, strict=True):
        totals[i] += tail * value
        totals[j] += head * value
    return totals


# ---- the reduction -------------------------------------------------------------------------------
def check_square_is_cut(tail, head):
    """``(tail s_i + head s_j)^2`` is the indicator of a cut edge for s in {0, 1}: polynomials.

    Every edge has one tail and one head, so the squared length of a gradient is the sum of these
    over the edges of any graph.
    """
    check_identity(
        lambda s, t: (tail * s + head * t) ** 2,
        # The last two terms vanish for s and t in {0, 1}.
        lambda s, t: s * (1 - t) + t * (1 - s) + (s * s - s) + (t * t - t),
    )


def check_largest_cut_occurs(edges, vertices, tail=1, head=-1):
    """The network's squared constant is the maximum cut, in integers, for one graph."""
    squares = {
        frozenset(s): sum(t * t for t in gradient(edges, s, tail, head)) for s in subsets(vertices)
    }
    most = max(cut(edges, s) for s in subsets(vertices))
    # Above: no set of active neurons has a longer gradient, whether it occurs or not.
    assert max(squares.values()) == most
    # Below: a largest cut occurs, with no argument at a kink that matters.
    best = next(s for s in squares if cut(edges, s) == most)
    totals = arguments(edges, gradient(edges, best, tail, head), vertices, tail, head)
    touched = set(itertools.chain(*edges))
    assert all((totals[i] > 0) if i in best else (totals[i] < 0) for i in touched)


LEMMAS = (
    "MAX-CUT is NP-hard (Karp 1972)",
    "the constant of a piecewise linear function is its largest gradient norm",
    "in a largest cut every vertex with an edge has one that is cut",
)


@proves("lipschitz-exact-np-hard", strength="identity", lemmas=LEMMAS)
def test_the_squared_constant_of_a_graphs_network_is_its_maximum_cut():
    check_square_is_cut(1, -1)
    for vertices in (2, 3, 4):
        for edges in graphs(vertices):
            check_largest_cut_occurs(edges, vertices)


@proves("lipschitz-exact-np-hard", role="must_fail")
def test_without_orientation_the_square_counts_something_else():
    check_square_is_cut(1, 1)


@proves("lipschitz-exact-np-hard", role="must_fail")
def test_without_orientation_the_constant_of_a_triangle_is_no_cut():
    check_largest_cut_occurs([(0, 1), (0, 2), (1, 2)], 3, 1, 1)


# ---- the shipped code ----------------------------------------------------------------------------
def check_decoded(edges, vertices, extra=0):
    from lipschitz.max_cut import max_cut_of_constant, network_of_graph
    from lipschitz.one_hidden import one_hidden_constant

    adjacency = np.zeros((vertices, vertices), int)
    for i, j in edges:
        adjacency[i, j] = adjacency[j, i] = 1
    found = max_cut_of_constant(one_hidden_constant(network_of_graph(adjacency)).bound)
    assert found == max(cut(edges, s) for s in subsets(vertices)) + extra


def random_graphs():
    rng = np.random.default_rng(20)
    for vertices in (3, 5, 6, 7, 8, 9, 10):
        pairs = list(itertools.combinations(range(vertices), 2))
        chosen = rng.random(len(pairs)) < rng.uniform(0.3, 1.0)
        yield [pair for pair, keep in zip(pairs, chosen, strict=True) if keep] or pairs, vertices


PETERSEN = [
    *((i, (i + 1) % 5) for i in range(5)),
    *((5 + i, 5 + (i + 2) % 5) for i in range(5)),
    *((i, i + 5) for i in range(5)),
]


@proves("lipschitz-exact-np-hard", strength="enclosure", role="conforms")
def test_maximum_cuts_are_read_off_certified_constants():
    for edges, vertices in random_graphs():
        check_decoded(edges, vertices)
    check_decoded([(min(e), max(e)) for e in PETERSEN], 10)


@proves("lipschitz-exact-np-hard", role="must_fail")
def test_no_cut_is_larger_than_the_constant_says():
    check_decoded([(0, 1), (0, 2), (1, 2)], 3, extra=1)
