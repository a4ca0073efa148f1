"""Graphs as networks, and back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from evidence import Enclosure, NotCertified
from lipschitz.max_cut import max_cut_of_constant, network_of_graph
from lipschitz.one_hidden import one_hidden_constant


def complete(vertices):
    return np.ones((vertices, vertices), int) - np.eye(vertices, dtype=int)


def brute_force(adjacency):
    sides = np.array(list(itertools.product((0, 1), repeat=len(adjacency))))
    return int(max(s @ adjacency @ (1 - s) for s in sides))


def test_maximum_cuts_of_random_graphs_are_found():
    for seed in range(12):
        rng = np.random.default_rng([61, seed])
        vertices = int(rng.integers(2, 11))
        upper = np.triu(rng.random((vertices, vertices)) < 0.5, 1).astype(int)
        adjacency = upper + upper.T
        if not adjacency.any():
            continue
        bound = one_hidden_constant(network_of_graph(adjacency)).bound
        assert max_cut_of_constant(bound) == brute_force(adjacency)


def test_complete_graphs_are_cut_in_halves():
    for vertices in (2, 3, 7, 12):
        bound = one_hidden_constant(network_of_graph(complete(vertices))).bound
        assert max_cut_of_constant(bound) == (vertices // 2) * ((vertices + 1) // 2)


def test_isolated_vertices_and_several_components_do_no_harm():
    adjacency = np.zeros((7, 7), int)
    adjacency[:3, :3], adjacency[4:6, 4:6] = complete(3), complete(2)
    assert max_cut_of_constant(one_hidden_constant(network_of_graph(adjacency)).bound) == 3


def test_wide_bounds_decide_no_cut():
    with pytest.raises(NotCertified, match="several integers") as refusal:
        max_cut_of_constant(Enclosure(1.0, 2.0))
    assert refusal.value.estimate == 1
    with pytest.raises(NotCertified, match="or none"):
        max_cut_of_constant(Enclosure(1.1, 1.2))
    with pytest.raises(NotCertified, match="narrow"):
        max_cut_of_constant(Enclosure.at_least(1.0))


@pytest.mark.parametrize(
    ("adjacency", "words"),
    [
        ([[0, 1]], "square"),
        ([[0, 2], [2, 0]], "zeros and ones"),
        ([[0, 1], [0, 0]], "symmetric"),
        ([[1, 1], [1, 0]], "diagonal"),
        ([[0, 0], [0, 0]], "at least one edge"),
        ([[0.0, np.nan], [np.nan, 0.0]], "zeros and ones"),
    ],
)
def test_other_matrices_are_refused(adjacency, words):
    with pytest.raises(ValueError, match=words):
        network_of_graph(adjacency)
