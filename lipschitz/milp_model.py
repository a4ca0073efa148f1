"""Gradients of a ReLU network on a box as a mixed-integer linear program, and proofs about it.

Every undecided ReLU has a binary gate. Its value and the product of its gate with a derivative are
described by the usual four inequalities each, with the certified bounds of
`lipschitz.linear_bounds` as constants, rounded outward: every row of the program holds for the
real-arithmetic network.

**Bounds that do not trust the solver.** Whatever numbers ``y <= 0`` a solver returns as multipliers
of the rows ``A x <= b``, every ``x`` in the box ``[l, u]`` with ``A x <= b`` has

    c.x >= b.y + sum_j min over x_j in [l_j, u_j] of (c - A^T y)_j x_j

(Neumaier and Shcherbina, *Safe bounds in linear and mixed-integer linear programming*, Math.
Program. 99 (2004)). The right-hand side is evaluated here with all rounding accounted for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence.rounding import gamma
from lipschitz.layers.balls import SMALLEST, inflate, round_down, round_up

__all__ = ["Layered", "Program", "gradient_program", "safe_minimum"]

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layered:
    """What the program reads of a chain of matrices and ReLUs on a box.

    Parameters
    ----------
    weights, errors : lists of arrays, shapes (n_1, n_0), ..., (n_(k+1), n_k)
    biases, bias_errors : lists of arrays, shapes (n_1,), ..., (n_k,)
    lower, upper : lists of arrays, shapes (n_0,), (n_1,), ..., (n_k,)
        Of the input and of every pre-activation.
    left : list of float
        Slope of each activation left of 0; it is 1 on the right.
    """

    weights: list[Array]
    errors: list[Array]
    biases: list[Array]
    bias_errors: list[Array]
    lower: list[Array]
    upper: list[Array]
    left: list[float]


@dataclass(slots=True, kw_only=True, eq=False)
class Program:
    """``min c.x`` subject to ``A x <= b``, ``lower <= x <= upper``, gates binary.

    Parameters
    ----------
    cost, matrix, right, lower, upper : arrays and a sparse matrix
    integral : array of 0 and 1
    inputs : array of int
        Where the network's input stands in ``x``.
    gates : list of (indices of variables, layer, indices of neurons)
    signs : dict of int to int
        For entries of unknown sign, the variable that is 1 where they are positive.
    """

    cost: Array
    matrix: Any
    right: Array
    lower: Array
    upper: Array
    integral: NDArray[np.int64]
    inputs: Indices
    gates: list[tuple[Indices, int, Indices]]
    signs: dict[int, int]


class _Builder:
    """Variables and rows as they come."""

    def __init__(self) -> None:
        self.lower: list[Array] = []
        self.upper: list[Array] = []
        self.integral: list[int] = []
        self.rows: list[tuple[Indices, Array, float]] = []
        self.count = 0

    def variables(self, lower: Array, upper: Array, integral: int = 0) -> Indices:
        self.lower.append(lower)
        self.upper.append(upper)
        self.integral += [integral] * len(lower)
        self.count += len(lower)
        return np.arange(self.count - len(lower), self.count)

    def at_most(self, variables: Any, coefficients: Any, right: float) -> None:
        self.rows.append((np.asarray(variables), np.asarray(coefficients, float), right))

    def size(self, variables: Indices) -> Array:
        low, high = np.concatenate(self.lower), np.concatenate(self.upper)
        return np.asarray(np.maximum(np.abs(low), np.abs(high))[variables])


def gradient_program(layered: Layered, *, forward: bool, index: int) -> Program:
    """The program whose minimum is minus the largest l1 norm of a row or column of the Jacobian.

    Parameters
    ----------
    layered : Layered
    forward : bool
        True for column ``index`` (derivatives by one input), False for row ``index`` (of one
        output).
    index : int
    """
    b = _Builder()
    inputs = b.variables(layered.lower[0], layered.upper[0])
    hidden = range(len(layered.biases))
    gates: list[tuple[Indices, int, Indices]] = []
    variable_of: list[dict[int, int]] = []
    below = inputs
    for k in hidden:
        low, high = layered.lower[k + 1], layered.upper[k + 1]
        undecided = np.flatnonzero((low < 0.0) & (high > 0.0))
        gate = b.variables(np.zeros(len(undecided)), np.ones(len(undecided)), 1)
        gates.append((gate, k, undecided))
        variable_of.append(dict(zip(undecided.tolist(), gate.tolist(), strict=True)))
        below = _values(b, layered, k, below, variable_of[k])
    weights = layered.weights if forward else [w.T for w in layered.weights[::-1]]
    errors = layered.errors if forward else [e.T for e in layered.errors[::-1]]
    order = list(hidden) if forward else list(hidden)[::-1]
    start, doubt = weights[0][:, index], errors[0][:, index]
    g = b.variables(round_down(start - doubt), round_up(start + doubt))
    for step, k in enumerate(order):
        gated = _gated(b, layered, k, g, variable_of[k])
        g = _image(b, weights[step + 1], errors[step + 1], gated)
    sizes, signs = _absolute(b, g)
    lower, upper = np.concatenate(b.lower), np.concatenate(b.upper)
    cost = np.zeros(b.count)
    cost[sizes] = -1.0
    return Program(
        cost=cost,
        matrix=_sparse(b),
        right=np.array([row[2] for row in b.rows]),
        lower=lower,
        upper=upper,
        integral=np.array(b.integral, dtype=np.int64),
        inputs=inputs,
        gates=gates,
        signs=signs,
    )


def _sparse(b: _Builder) -> Any:
    from scipy.sparse import csr_matrix

    if not b.rows:
        return csr_matrix((0, b.count))
    rows = np.concatenate([np.full(len(r[0]), i) for i, r in enumerate(b.rows)])
    columns = np.concatenate([r[0] for r in b.rows])
    entries = np.concatenate([r[1] for r in b.rows])
    return csr_matrix((entries, (rows, columns)), shape=(len(b.rows), b.count))


def _values(b: _Builder, net: Layered, k: int, below: Indices, gate: dict[int, int]) -> Indices:
    """Variables of the activations' values ``r = max(z, left z)`` with ``z = W h + b``."""
    w, doubt = net.weights[k], net.errors[k] @ b.size(below) + net.bias_errors[k]
    doubt = inflate(doubt, w.shape[1] + 4)
    low, high, left = net.lower[k + 1], net.upper[k + 1], net.left[k]
    ends = np.stack([np.where(t > 0.0, t, left * t) for t in (low, high, np.clip(0.0, low, high))])
    out = b.variables(round_down(ends.min(axis=0)), round_up(ends.max(axis=0)))
    for i in range(len(w)):
        bias, d, row = float(net.biases[k][i]), float(doubt[i]), w[i]
        at = np.concatenate([[out[i]], below])
        above, under = math.nextafter(bias + d, math.inf), math.nextafter(bias - d, -math.inf)
        if i not in gate:
            if low[i] >= 0.0:
                b.at_most(at, np.concatenate([[1.0], -row]), above)
                b.at_most(at, np.concatenate([[-1.0], row]), -under)
            else:  # the value has its interval; what is known of z cuts the inputs
                right = math.nextafter(float(high[i]) - under, math.inf)
                b.at_most(below, row, right)
                if left != 0.0:
                    z = b.variables(low[i : i + 1], high[i : i + 1])
                    b.at_most(np.concatenate([z, below]), np.concatenate([[1.0], -row]), above)
                    b.at_most(np.concatenate([z, below]), np.concatenate([[-1.0], row]), -under)
                    b.at_most([out[i], z[0]], [1.0, -left], 0.0)
                    b.at_most([out[i], z[0]], [-1.0, left], 0.0)
            continue
        if left != 0.0:
            z = b.variables(low[i : i + 1], high[i : i + 1])
            b.at_most(np.concatenate([z, below]), np.concatenate([[1.0], -row]), above)
            b.at_most(np.concatenate([z, below]), np.concatenate([[-1.0], row]), -under)
            b.at_most([z[0], gate[i]], [1.0, -high[i]], 0.0)  # z <= high a
            b.at_most([z[0], gate[i]], [-1.0, -low[i]], -low[i])  # z >= low (1 - a)
            _switch(b, (int(out[i]), int(z[0]), gate[i]), left, max(-low[i], high[i]))
            continue
        full = np.concatenate([at, [gate[i]]])
        b.at_most(at, np.concatenate([[-1.0], row]), -under)  # r >= z
        # r <= z - low (1 - a), and r <= high a
        right = math.nextafter(above - low[i], math.inf)
        b.at_most(full, np.concatenate([[1.0], -row, [-low[i]]]), right)
        b.at_most([out[i], gate[i]], [1.0, -high[i]], 0.0)
    return out


def _gated(b: _Builder, net: Layered, k: int, g: Indices, gate: dict[int, int]) -> Indices:
    """Variables ``w = slope * g``: ``left g`` where the gate is shut and ``g`` where it is open."""
    low, high, left = net.lower[k + 1], net.upper[k + 1], net.left[k]
    g_low, g_high = (np.concatenate(side)[g] for side in (b.lower, b.upper))
    # An argument that is 0 throughout says nothing about its slope: anything between is allowed.
    is_open, shut = (low >= 0.0) & (high > 0.0), (low < 0.0) & (high <= 0.0)
    ends = np.stack([g_low, g_high, left * g_low, left * g_high])
    below, above = round_down(ends.min(axis=0)), round_up(ends.max(axis=0))
    below = np.where(is_open, g_low, np.where(shut, round_down(ends[2:].min(axis=0)), below))
    above = np.where(is_open, g_high, np.where(shut, round_up(ends[2:].max(axis=0)), above))
    if left == 0.0:
        below, above = np.where(shut, 0.0, below), np.where(shut, 0.0, above)
    w = b.variables(below, above)
    for i in range(len(w)):
        if i in gate:
            largest = max(abs(float(g_low[i])), abs(float(g_high[i])))
            _switch(b, (int(w[i]), int(g[i]), gate[i]), left, largest)
            if left == 0.0:  # tighter, with the sign of g
                down, up = min(float(g_low[i]), 0.0), max(float(g_high[i]), 0.0)
                b.at_most([w[i], gate[i]], [1.0, -up], 0.0)
                b.at_most([w[i], gate[i]], [-1.0, down], 0.0)
                b.at_most([w[i], g[i], gate[i]], [1.0, -1.0, -down], -down)
                b.at_most([w[i], g[i], gate[i]], [-1.0, 1.0, up], up)
        elif is_open[i] or shut[i]:
            slope = left if shut[i] else 1.0
            b.at_most([w[i], g[i]], [1.0, -slope], 0.0)
            b.at_most([w[i], g[i]], [-1.0, slope], 0.0)
    return w


def _switch(b: _Builder, at: tuple[int, int, int], left: float, largest: float) -> None:
    """``w = g`` where the gate is open and ``w = left g`` where it is shut, for ``|g| <= largest``.

    ``|w - g| <= (1 - a) m`` and ``|w - left g| <= a m`` with ``m = (1 + |left|) largest``.
    """
    m = math.nextafter(math.nextafter((1.0 + abs(left)) * largest, math.inf), math.inf)
    for sign in (1.0, -1.0):
        b.at_most(at, [sign, -sign, m], m)
        b.at_most(at, [sign, -sign * left, -m], 0.0)


def _image(b: _Builder, matrix: Array, error: Array, w: Indices) -> Indices:
    """Variables ``g = M w``."""
    low, high = (np.concatenate(side)[w] for side in (b.lower, b.upper))
    center, radius = 0.5 * low + 0.5 * high, np.maximum(round_up(high - low), 0.0)
    radius = round_up(0.5 * radius + 2.0**-52 * np.abs(center))
    size = np.abs(matrix) @ (np.abs(center) + radius)
    doubt = inflate(error @ b.size(w), len(w) + 4)
    middle = matrix @ center
    spread = np.abs(matrix) @ radius + gamma(len(w) + 2) * size + len(w) * SMALLEST + doubt
    spread = inflate(spread, len(w) + 8)
    g = b.variables(round_down(middle - spread), round_up(middle + spread))
    for i in range(len(g)):
        at = np.concatenate([[g[i]], w])
        b.at_most(at, np.concatenate([[1.0], -matrix[i]]), float(doubt[i]))
        b.at_most(at, np.concatenate([[-1.0], matrix[i]]), float(doubt[i]))
    return g


def _absolute(b: _Builder, g: Indices) -> tuple[Indices, dict[int, int]]:
    """Variables ``t <= |g|``, each with a binary for the sign of ``g``."""
    low, high = (np.concatenate(side)[g] for side in (b.lower, b.upper))
    t = b.variables(np.zeros(len(g)), np.maximum(np.abs(low), np.abs(high)))
    mixed = np.flatnonzero((low < 0.0) & (high > 0.0))
    sign = b.variables(np.zeros(len(mixed)), np.ones(len(mixed)), 1)
    positive = dict(zip(mixed.tolist(), sign.tolist(), strict=True))
    for i in range(len(g)):
        if i in positive:
            down, up = 2.0 * float(low[i]), 2.0 * float(high[i])
            # t <= g + 2 |low| (1 - s)   and   t <= -g + 2 high s
            b.at_most([t[i], g[i], positive[i]], [1.0, -1.0, -down], -down)
            b.at_most([t[i], g[i], positive[i]], [1.0, 1.0, -up], 0.0)
        else:
            b.at_most([t[i], g[i]], [1.0, -1.0 if low[i] >= 0.0 else 1.0], 0.0)
    return t, positive


def safe_minimum(program: Program, multipliers: Array) -> float:
    """A proved lower bound of the minimum, gates relaxed, from any multipliers of the rows.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> program = Program(
    ...     cost=np.array([-1.0]), matrix=csr_matrix([[2.0]]), right=np.array([1.0]),
    ...     lower=np.zeros(1), upper=np.ones(1), integral=np.zeros(1, dtype=int),
    ...     inputs=np.array([0]), gates=[], signs={},
    ... )
    >>> safe_minimum(program, np.array([-0.5])) <= -0.5, safe_minimum(program, np.zeros(1)) <= -1.0
    (True, True)
    """
    y = np.minimum(np.nan_to_num(multipliers), 0.0)
    rows, columns = program.matrix.shape
    reduced = program.cost - program.matrix.T @ y
    sizes = np.abs(program.cost) + abs(program.matrix).T @ np.abs(y)
    error = inflate(gamma(rows + 2) * sizes + rows * SMALLEST, rows + 4)
    low, high = reduced - error, reduced + error
    low, high = round_down(low), round_up(high)
    ends = np.stack([s * x for s in (low, high) for x in (program.lower, program.upper)])
    least = ends.min(axis=0)
    least = least - np.abs(least) * 2.0**-52 - SMALLEST
    total = float(least.sum()) + float(program.right @ y)
    size = float(np.abs(least).sum()) + float(np.abs(program.right) @ np.abs(y))
    slack = inflate(np.array(gamma(rows + columns + 4) * size + rows * SMALLEST), rows + columns)
    return float(round_down(np.array(total - slack)))
