"""HiGHS on the programs of `lipschitz.milp_model`: it proposes, nothing here trusts it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipschitz.milp_model import Layered, Program, safe_minimum

__all__ = ["Relaxed", "integer_optimum", "middle_of_region", "relaxed_optimum"]

Array = NDArray[np.float64]

_TINY = 1e-9  # smaller coefficients are dropped by HiGHS, which may then report infeasibility
_FEASIBILITY = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relaxed:
    """The program with gates between 0 and 1.

    Parameters
    ----------
    upper : float
        A proved upper bound of the largest l1 norm; ``-inf`` if the piece is proved empty.
    solution : array or None
        What the solver proposes for all variables.
    """

    upper: float
    solution: Array | None


def relaxed_optimum(program: Program) -> Relaxed:
    """Bound the program by the multipliers of its linear relaxation.

    If the solver finds it infeasible, multipliers of the program that minimises the largest
    violation are asked for: a positive proved minimum is a proof that the piece is empty.
    """
    from scipy.optimize import linprog

    matrix, right = _presentable(program)
    bounds = np.stack([program.lower, program.upper], axis=1)
    found = linprog(program.cost, A_ub=matrix, b_ub=right, bounds=bounds, method="highs")
    if found.status == 0:
        upper = -safe_minimum(program, found.ineqlin.marginals)
        return Relaxed(upper=upper, solution=np.asarray(found.x))
    nothing = -safe_minimum(program, np.zeros(len(program.right)))
    if found.status != 2:
        return Relaxed(upper=nothing, solution=None)
    relaxed = _with_violation(program)
    matrix, right = _presentable(relaxed)
    bounds = np.stack([relaxed.lower, relaxed.upper], axis=1)
    found = linprog(relaxed.cost, A_ub=matrix, b_ub=right, bounds=bounds, method="highs")
    if found.status == 0 and safe_minimum(relaxed, found.ineqlin.marginals) > 0.0:
        return Relaxed(upper=-math.inf, solution=None)
    return Relaxed(upper=nothing, solution=None)


def integer_optimum(
    program: Program, time_limit: float, rtol: float
) -> tuple[float, float, Array | None]:
    """What HiGHS says: its best value, its bound, and its best point.

    Estimates up to the solver's tolerances; NaN, inf and None if it found nothing.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    matrix, right = _presentable(program)
    constraints = [] if matrix is None else [LinearConstraint(matrix, -np.inf, right)]
    found = milp(
        program.cost,
        integrality=program.integral,
        bounds=Bounds(program.lower, program.upper),
        constraints=constraints,
        options={"time_limit": time_limit, "mip_rel_gap": rtol},
    )
    bound = getattr(found, "mip_dual_bound", None)
    upper = math.inf if bound is None or not math.isfinite(bound) else -float(bound)
    if found.x is None:
        return math.nan, upper, None
    return -float(found.fun), upper, np.asarray(found.x)


def middle_of_region(layered: Layered, gates: list[NDArray[np.bool_]]) -> Array | None:
    """The input furthest from the kinks, among those with these gates; None if there is none.

    With the gates given every pre-activation is affine, ``z = A x + b``; the distance ``s`` to the
    nearest kink is maximised subject to ``z_k / ||A_k|| >= s`` or ``<= -s``, within the box.
    """
    from scipy.optimize import linprog

    low, high = layered.lower[0], layered.upper[0]
    matrix, offset = np.eye(len(low)), np.zeros(len(low))
    rows, sides = [], []
    layers = zip(layered.weights, layered.biases, gates, layered.left, strict=False)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is given up below
        for weight, bias, gate, left in layers:
            matrix, offset = weight @ matrix, weight @ offset + bias
            lengths = np.linalg.norm(matrix, axis=1)
            matters = lengths > 1e-12 * float(lengths.max(initial=0.0))
            sign = np.where(gate, -1.0, 1.0)[matters]
            rows.append(sign[:, None] * matrix[matters] / lengths[matters, None])
            sides.append(-sign * offset[matters] / lengths[matters])
            slope = np.where(gate, 1.0, left)
            matrix, offset = slope[:, None] * matrix, slope * offset
    table, right = np.concatenate(rows), np.concatenate(sides)
    if not (np.isfinite(table).all() and np.isfinite(right).all()):
        return None
    table = np.concatenate([table, np.ones((len(table), 1))], axis=1)
    cost = np.zeros(len(low) + 1)
    cost[-1] = -1.0
    limits = [*zip(low, high, strict=True), (0.0, None)]
    found = linprog(cost, A_ub=table, b_ub=right, bounds=limits, method="highs")
    return np.asarray(found.x[:-1]) if found.status == 0 else None


def _presentable(program: Program) -> tuple[Any, Array | None]:
    """Rows for the solver: without the coefficients it would drop, and wider by what they weigh."""
    if program.matrix.shape[0] == 0:
        return None, None
    matrix = program.matrix.copy()
    small = np.abs(matrix.data) < _TINY
    size = np.maximum(np.abs(program.lower), np.abs(program.upper))
    tiny = program.matrix.copy()
    tiny.data = np.where(small, np.abs(tiny.data), 0.0)
    matrix.data = np.where(small, 0.0, matrix.data)
    matrix.eliminate_zeros()
    return matrix, program.right + tiny @ size


def _with_violation(program: Program) -> Program:
    """Minimise ``s >= 0`` subject to ``A x - s <= b``."""
    from scipy.sparse import csr_matrix, hstack

    rows, columns = program.matrix.shape
    size = np.maximum(np.abs(program.lower), np.abs(program.upper))
    enough = 2.0 * float((abs(program.matrix) @ size + np.abs(program.right)).max()) + 1.0
    matrix = hstack([program.matrix, csr_matrix(-np.ones((rows, 1)))], format="csr")
    return replace(
        program,
        cost=np.concatenate([np.zeros(columns), [1.0]]),
        matrix=matrix,
        lower=np.concatenate([program.lower, [0.0]]),
        upper=np.concatenate([program.upper, [enough]]),
    )
