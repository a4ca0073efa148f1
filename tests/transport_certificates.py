"""Optimal transport decided in exact arithmetic: a plan and potentials that prove each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

__all__ = ["cheapest_map", "check_optimal", "distances", "monotone_plan"]

Numbers = Sequence[Any]


def distances(x: Numbers, y: Numbers) -> list[list[Any]]:
    """``|x_i - y_j|`` of points on the line.

    Examples
    --------
    >>> distances([0, 1], [0, 3])
    [[0, 3], [1, 2]]
    """
    return [[abs(a - b) for b in y] for a in x]


def check_optimal(
    costs: Sequence[Numbers],
    p: Numbers,
    q: Numbers,
    *,
    plan: Sequence[Numbers],
    potentials: tuple[Numbers, Numbers],
    value: Any,
) -> None:
    """Assert that the least cost of moving p to q is ``value``, by a plan and by potentials.

    The plan shows that the least cost is at most ``value``. Potentials with
    ``u_i + v_j <= cost_ij`` show that it is at least ``value``: every plan G with these marginals
    costs ``sum G cost >= sum G (u + v) = sum p u + sum q v``.

    Examples
    --------
    >>> costs, plan = [[0, 1], [1, 0]], [[0, 1], [0, 0]]
    >>> check_optimal(costs, [1, 0], [0, 1], plan=plan, potentials=([0, -1], [0, 1]), value=1)
    >>> check_optimal(costs, [1, 0], [0, 1], plan=plan, potentials=([0, 0], [0, 0]), value=1)
    ... # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AssertionError: potentials prove 0, not 1...
    """
    cells = list(itertools.product(range(len(p)), range(len(q))))
    assert all(plan[i][j] >= 0 for i, j in cells), "the plan moves a negative mass"
    assert [sum(row) for row in plan] == list(p), "the plan does not start from p"
    assert [sum(column) for column in zip(*plan, strict=True)] == list(q), "it does not end in q"
    spent = sum(plan[i][j] * costs[i][j] for i, j in cells)
    assert spent == value, f"the plan costs {spent}, not {value}"
    u, v = potentials
    assert all(u[i] + v[j] <= costs[i][j] for i, j in cells), "the potentials exceed a cost"
    proved = _dot(p, u) + _dot(q, v)
    assert proved == value, f"potentials prove {proved}, not {value}"


def monotone_plan(p: Numbers, q: Numbers) -> list[list[Any]]:
    """The plan that fills the targets from left to right: the quantile coupling of atoms in order.

    Examples
    --------
    >>> monotone_plan([1, 2], [2, 1])
    [[1, 0], [1, 1]]
    """
    left, plan = list(q), [[0] * len(q) for _ in p]
    for i, mass in enumerate(p):
        for j in range(len(q)):
            plan[i][j] = min(mass, left[j])
            mass, left[j] = mass - plan[i][j], left[j] - plan[i][j]
    return plan


def cheapest_map(costs: Sequence[Numbers], p: Numbers, q: Numbers) -> Any:
    """Least cost over all maps of atoms to atoms that push p to q, or None if there is none.

    Examples
    --------
    >>> half = Fraction(1, 2)
    >>> cheapest_map([[1], [2]], [half, half], [1]), cheapest_map([[1, 2]], [1], [half, half])
    (Fraction(3, 2), None)
    """
    best = None
    for images in itertools.product(range(len(q)), repeat=len(p)):
        pushed = [
            sum((p[i] for i, j in enumerate(images) if j == k), Fraction(0))
            for k, _ in enumerate(q)
        ]
        if pushed == list(q):
            cost = sum(p[i] * costs[i][j] for i, j in enumerate(images))
            best = cost if best is None else min(best, cost)
    return best


def _dot(a: Numbers, b: Numbers) -> Any:
    return sum(x * y for x, y in zip(a, b, strict=True))
