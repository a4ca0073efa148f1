"""Neither does the dual make W_1 tractable over networks, nor does gradient ascent solve it."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

proves = pytest.mark.proves

PETERSEN = [
    *((i, (i + 1) % 5) for i in range(5)),
    *((5 + i, 5 + (i + 2) % 5) for i in range(5)),
    *((i, i + 5) for i in range(5)),
]
GRAPHS = {
    "K3": list(itertools.combinations(range(3), 2)),
    "C5": [(i, (i + 1) % 5) for i in range(5)],
    "K4": list(itertools.combinations(range(4), 2)),
    "Petersen": PETERSEN,
}


# ---- gradient ascent on a critic -----------------------------------------------------------------
def relu(t):
    return max(t, Fraction(0))


def dual_value(v, w, b):
    """``E_P D - E_Q D`` of the critic ``D(x) = v relu(w x + b)`` for P at 1 and Q at 0."""
    return v * relu(w + b) - v * relu(b)


def refute_ascent(v, w, b):
    """1-Lipschitz in a whole neighbourhood, where the objective is constant and not the maximum.

    Both atoms see ``w x + b < 0`` with room to spare, so the critic vanishes at them for all
    parameters nearby: every derivative of the objective is 0 and gradient ascent stays.
    """
    step = Fraction(1, 8)
    nearby = list(itertools.product(*([t - step, t, t + step] for t in (v, w, b))))
    for v_, w_, b_ in nearby:
        assert abs(v_ * w_) <= 1
        assert max(b_, w_ + b_) < 0
        assert dual_value(v_, w_, b_) == 0
    assert dual_value(1, 1, 0) == 1  # x -> relu(x) is 1-Lipschitz and attains W_1 = 1


@proves("dual-makes-problem-tractable", strength="certificate", role="refutes")
def test_gradient_ascent_never_leaves_a_critic_that_is_dead_at_the_data(record_witness):
    start = {"v": Fraction(1), "w": Fraction(1, 2), "b": Fraction(-1)}
    refute_ascent(**start)
    record_witness(critic="v relu(w x + b), P at 1, Q at 0", **start, value=0, gradient=0, W1=1)


@proves("dual-makes-problem-tractable", role="must_fail")
def test_a_critic_that_is_alive_is_no_counterexample():
    refute_ascent(v=Fraction(1), w=Fraction(1, 2), b=Fraction(-1, 4))


# ---- the constraint ------------------------------------------------------------------------------
def maximum_cut(nodes, edges):
    """Over all bipartitions, with the last node on side 0."""
    sides = itertools.product((0, 1), repeat=nodes - 1)
    return max(sum((*s, 0)[i] != (*s, 0)[j] for i, j in edges) for s in sides)


def squared_constant(nodes, edges, ridge):
    """``Lip^2`` of ``f(x) = sum_j relu(<w_j, x>)``, W = [incidence, sqrt(ridge) I].

    The rows of W are independent, so every activation pattern s in {0, 1}^n occurs on an open
    set; the gradient there is W^T s, and the Gram matrix W W^T = Laplacian + ridge I is rational.
    """
    gram = [[Fraction(0)] * nodes for _ in range(nodes)]
    for i in range(nodes):
        gram[i][i] += ridge
    for i, j in edges:
        gram[i][i] += 1
        gram[j][j] += 1
        gram[i][j] -= 1
        gram[j][i] -= 1
    patterns = itertools.product((0, 1), repeat=nodes)
    return max(
        sum(gram[i][j] for i in on for j in on)
        for on in ([i for i in range(nodes) if s[i]] for s in patterns)
    )


def refute_by_maximum_cut(edges, ridge, expected):
    """Whether a critic of one hidden layer is K-Lipschitz says whether a graph has a large cut."""
    nodes = 1 + max(map(max, edges))
    square = squared_constant(nodes, edges, ridge / nodes)
    assert square // 1 == maximum_cut(nodes, edges)
    assert square == expected


@proves("dual-makes-problem-tractable", strength="certificate", role="refutes")
@pytest.mark.parametrize(
    ("graph", "expected"),
    [("K3", "7/3"), ("C5", "43/10"), ("K4", "17/4"), ("Petersen", "123/10")],
)
def test_the_lipschitz_constraint_of_a_critic_solves_maximum_cut(graph, expected, record_witness):
    refute_by_maximum_cut(GRAPHS[graph], Fraction(1, 2), Fraction(expected))
    record_witness(graph=graph, squared_constant=expected, maximum_cut="its integer part")


@proves("dual-makes-problem-tractable", role="must_fail")
def test_with_a_large_ridge_the_constant_does_not_tell_the_cut():
    refute_by_maximum_cut(GRAPHS["K3"], Fraction(6), Fraction(7, 3))
