"""Linear programs of transport by POT's network simplex, by HiGHS, and the gap between their sides.

POT's solver is the fastest exact one, but it can return a wrong plan without a word: with entries
like 1e32, with infinite ones, at its default iteration limit. Nothing it returns is used before
its duality gap is known.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Solution", "by_highs", "by_network_simplex", "c_transform", "sparse_flow"]

_MOST_PIVOTS = 100_000_000
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """A plan and a feasible pair of potentials of one transport problem.

    Attributes
    ----------
    plan : array, shape (n, m)
    u, v : arrays, shapes (n,) and (m,)
        ``u_i + v_j <= cost_ij`` up to the rounding of one subtraction.
    primal, dual : float
        ``sum plan * cost`` and ``a . u + b . v``.
    solver : str
    """

    plan: Floats
    u: Floats
    v: Floats
    primal: float
    dual: float
    solver: str

    @property
    def gap(self) -> float:
        """Primal minus dual value, never negative."""
        return max(0.0, self.primal - self.dual)


def c_transform(costs: Floats, v: Floats, counted: NDArray[np.bool_] | None = None) -> Floats:
    """``u_i = min_j (c_ij - v_j)``, over the counted columns: the best partner of ``v``."""
    if counted is not None and not counted.all():
        costs, v = costs[:, counted], v[counted]
    reduced: Floats = (costs - v).min(axis=1)
    return reduced


def _completed(costs: Floats, plan: Floats, v: Floats, a: Floats, b: Floats, name: str) -> Solution:
    """Feasible potentials from any ``v``: atoms without mass have no say in ``u``."""
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite closes no gap
        return _with_potentials(costs, plan, v, a, b, name)


def _with_potentials(
    costs: Floats, plan: Floats, v: Floats, a: Floats, b: Floats, name: str
) -> Solution:
    moved = plan > 0.0
    primal = float(np.dot(plan[moved], costs[moved]))
    if primal == 0.0 and costs.min() >= 0.0:
        v = np.zeros(len(b))  # nothing is moved at a cost: potentials without rounding show it
    # A constant passes between u and v; centred they carry the least rounding.
    u = c_transform(costs, v - np.dot(b, v), b > 0.0)
    # Atoms that forbidden moves cut off from all mass come last, with whatever is low enough.
    cut_off = np.isposinf(u)
    v = np.zeros(len(b)) if cut_off.all() else c_transform(costs.T, u, ~cut_off)
    v[np.isposinf(v)] = 0.0
    if cut_off.any():
        last = c_transform(costs[cut_off], v)
        u[cut_off] = np.where(np.isposinf(last), 0.0, last)
    dual = float(np.dot(a, u) + np.dot(b, v))
    return Solution(plan=plan, u=u, v=v, primal=primal, dual=dual, solver=name)


def by_network_simplex(a: Floats, b: Floats, costs: Floats, full_costs: Floats) -> Solution | None:
    """POT's network simplex on finite costs; None if it fails or misses the masses.

    ``costs`` steer the solver, ``full_costs`` value its plan and complete its potentials.
    """
    from ot.lp import emd

    rows, columns = a > 0.0, b > 0.0
    full = bool(rows.all() and columns.all())
    A, B = (a, b) if full else (a[rows], b[columns])
    C = costs if full else np.ascontiguousarray(costs[np.ix_(rows, columns)])
    if min(A.min(), B.min()) < 1e-200:
        return None  # subnormal masses crash the solver
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan, log = emd(A, B, C, numItermax=_MOST_PIVOTS, log=True)
    v = log["v"]
    missing = np.abs(plan.sum(axis=1) - A).max(), np.abs(plan.sum(axis=0) - B).max()
    if not max(missing) <= 1e-12:
        return None
    if full:
        return _completed(full_costs, plan, v, a, b, "network simplex")
    whole, potential = np.zeros_like(costs), np.zeros(len(b))
    whole[np.ix_(rows, columns)] = plan
    potential[columns] = v
    return _completed(full_costs, whole, potential, a, b, "network simplex")


def by_highs(a: Floats, b: Floats, costs: Floats, full_costs: Floats) -> Solution | None:
    """The same program by HiGHS' dual simplex, forbidden moves left out; None if infeasible."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    C = costs[np.ix_(rows, columns)]
    finite = np.abs(C[np.isfinite(C)])
    if not len(finite):
        return None
    scale = float(np.median(finite)) or float(finite.max()) or 1.0
    with np.errstate(over="ignore", under="ignore"):
        scaled = C / scale
    i, j = np.nonzero(np.isfinite(scaled))
    arcs = np.arange(len(i))
    incidence = coo_array(
        (np.ones(2 * len(i)), (np.concatenate((i, len(rows) + j)), np.concatenate((arcs, arcs))))
    ).tocsr()
    incidence.resize(len(rows) + len(columns), len(i))
    masses = np.concatenate((a[rows], b[columns] * (a.sum() / b.sum())))
    result = linprog(
        scaled[i, j],
        A_eq=incidence,
        b_eq=masses * len(masses),
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if result.x is None or result.status != 0:
        return None
    plan, v = np.zeros_like(costs), np.zeros(len(b))
    plan[rows[i], columns[j]] = np.maximum(result.x, 0.0) / len(masses)
    v[columns] = result.eqlin.marginals[len(rows) :] * scale
    return _completed(full_costs, plan, v, a, b, "HiGHS")


def sparse_flow(
    a: Floats, b: Floats, source: NDArray[np.int64], target: NDArray[np.int64], costs: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats, int]:
    """POT's network simplex on a list of arcs: moves (from, to, mass), source potentials, code."""
    from ot.lp import emd
    from scipy.sparse import coo_matrix

    arcs = coo_matrix((costs, (source, target)), shape=(len(a), len(b)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan, log = emd(a, b, arcs, numItermax=_MOST_PIVOTS, log=True)
    plan = plan.tocoo()
    return (
        np.asarray(plan.row, np.int64),
        np.asarray(plan.col, np.int64),
        np.asarray(plan.data, np.float64),
        np.asarray(log["u"], np.float64),
        int(log["result_code"]),
    )
