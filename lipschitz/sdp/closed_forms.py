"""Feasible multipliers in closed form: one pass through the layers, no optimisation.

A slope in ``[a, b]`` is ``m + r s`` with ``|s| <= 1``, ``m = (a + b) / 2``, ``r = (b - a) / 2``. If
``v^T V^(-1) v <= 1`` describes what ``v_i`` can be for a unit change of the input, then for every
diagonal ``D = T^(-1)`` with ``Q = D - R V R`` positive definite the same holds for ``phi_i`` with

    D + M (V + V R Q^(-1) R V) M .

Any diagonal ``G >= V`` gives such a ``D = R (R + |M|) G``, because ``Q >= R |M| G``; the factor
``r (r + |m|)`` minimises the result where ``V`` itself is diagonal. Three choices of ``G``:

``largest eigenvalue``  ``G = lambda_max(V) I``: the closed form of ECLipsE-Fast for slopes [0, 1];
``row sums``            ``G_j = sum_k |V_jk|`` (Gershgorin);
``Perron``              ``G_j = sum_k |V_jk| x_k / x_j`` with the positive eigenvector x of ``|V|``.

References
----------
Xu and Sivaranjani, *ECLipsE: Efficient compositional Lipschitz constant estimation for deep neural
networks*, NeurIPS 2024, Proposition 4 (the first choice).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from lipschitz.layers.contract import Array
from lipschitz.sdp.presolve import Problem
from lipschitz.sdp.recursion import value_of

__all__ = ["CHOICES", "best_closed_form", "closed_form"]


def _eigenvalue(v: Array) -> Array:
    return np.full(len(v), np.linalg.eigvalsh(v)[-1])


def _row_sums(v: Array) -> Array:
    return np.asarray(np.abs(v).sum(axis=1))


def _perron(v: Array) -> Array:
    size = np.abs(v)
    x = np.ones(len(v))
    for _ in range(30):
        x = size @ x
        x /= x.max()
    x = np.maximum(x, 1e-9)
    return np.asarray((size @ x) / x)


CHOICES: Final[dict[str, Callable[[Array], Array]]] = {
    "largest eigenvalue": _eigenvalue,
    "row sums": _row_sums,
    "Perron": _perron,
}


def closed_form(problem: Problem, choice: str) -> list[Array] | None:
    """Multipliers for ``rho = 1`` by one of `CHOICES`; None if floats do not suffice.

    Examples
    --------
    >>> from lipschitz.sdp.feedforward import FeedForward
    >>> from lipschitz.sdp.presolve import presolved
    >>> net = FeedForward.exact([[[1.0], [-1.0]], [[1.0, -1.0]]],
    ...                         slope_lower=[np.zeros(2)], slope_upper=[np.ones(2)])
    >>> closed_form(presolved(net), "row sums")
    [array([4., 4.])]
    """
    from scipy.linalg import solve_triangular

    reach = None  # the matrix D + M (...) M of the layer before; None is the identity
    multipliers = []
    for i, (a, b) in enumerate(zip(problem.slope_lower, problem.slope_upper, strict=True)):
        w = problem.weights[i]
        v = w @ w.T if reach is None else w @ reach @ w.T
        v = 0.5 * (v + v.T)
        m, r = 0.5 * (a + b), 0.5 * (b - a)
        # Neurons that are linear (r = 0) or odd (m = 0) get a little room.
        size = np.maximum(np.maximum(np.abs(a), np.abs(b)), 1e-150)
        radius, middle = np.maximum(r, 1e-5 * size), np.maximum(np.abs(m), 1e-5 * size)
        if reach is None and choice == "largest eigenvalue":
            g = np.full(len(w), np.linalg.norm(w, 2) ** 2)  # cheaper where the layer is wide
        else:
            g = CHOICES[choice](v)
        d = radius * (radius + middle) * np.maximum(g, 1e-14 * g.max(initial=0.0) + 1e-200)
        with np.errstate(over="ignore"):
            multipliers.append(1.0 / d)
        if i == len(problem.slope_lower) - 1:
            break
        rv = r[:, None] * v
        gap = -rv * r
        gap.flat[:: len(d) + 1] += d
        try:
            half = solve_triangular(np.linalg.cholesky(gap), rv, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        reach = m[:, None] * (v + half.T @ half) * m
        reach.flat[:: len(d) + 1] += d
    return multipliers if all(np.isfinite(t).all() for t in multipliers) else None


def best_closed_form(problem: Problem) -> tuple[str, list[Array], float] | None:
    """The choice with the smallest constant, its multipliers and that constant."""
    best: tuple[str, list[Array], float] | None = None
    for choice in CHOICES:
        multipliers = closed_form(problem, choice)
        value = math.inf if multipliers is None else value_of(problem, multipliers)
        if multipliers is not None and value < (math.inf if best is None else best[2]):
            best = choice, multipliers, value
    return best
