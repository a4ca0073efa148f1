"""An interior-point method for the multipliers of a network with branches, for small networks.

After the loop transformation a neuron's constraint matrix is ``A = (e v^T + v e^T) / 2`` with
``v = e - 2 h g``, where ``g`` is its row of the linear maps over all earlier variables. The rank is
two, as in a chain: the Hessian of the barrier is a few Hadamard products (compare
`lipschitz.sdp.rank_two`).
"""

from __future__ import annotations

import math
import time
from typing import Final

import numpy as np

from lipschitz.layers.contract import Array
from lipschitz.sdp.graph_descent import Multipliers
from lipschitz.sdp.graph_elimination import Elimination

__all__ = ["GraphConstraints", "interior_point", "interior_rows"]

_ITERATIONS: Final = 60


class GraphConstraints:
    """``S(rho, t) = rho E + sum_j t_j A_j - B`` of a reduced network, and its adjoint.

    Parameters
    ----------
    system : Elimination
        With at least one neuron.
    start : Multipliers
        Every variable is scaled by a power of two to make these multipliers and ``rho`` near one,
        which changes no float but its exponent.
    """

    def __init__(self, system: Elimination, start: Multipliers) -> None:
        stack = [system.inputs[i] for i in sorted(system.inputs)]
        rows = np.concatenate(stack) if stack else np.zeros((0, 1))
        if len(rows) < rows.shape[1]:
            # The triangular factor has the same Gram matrix and fewer columns.
            rows = np.asarray(np.linalg.qr(rows.T, mode="r")).T
        ends = np.cumsum([len(part) for part in stack])
        inputs = dict(zip(sorted(system.inputs), np.split(rows, ends[:-1]), strict=True))
        self.inputs = rows.shape[1]
        sizes = [self.inputs, *system.sizes]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        self.size, self.neurons = int(starts[-1]), int(starts[-1]) - self.inputs
        self.cuts = np.cumsum(system.sizes)[:-1]
        outputs = len(system.grams[system.gates + 1, system.gates + 1])
        maps = np.zeros((self.neurons + outputs, self.size))
        for i in range(1, system.gates + 2):
            first = int(starts[i]) - self.inputs
            last = first + (sizes[i] if i <= system.gates else outputs)
            parts = {0: inputs[i]} if i in inputs else {}
            for s, part in (parts | dict(system.maps[i - 1])).items():
                maps[first:last, int(starts[s]) : int(starts[s + 1])] = part
        half = np.repeat(system.halves, system.sizes)
        # phi' = 2^p phi with t' = t / 4^p near one, y' = 2^-q y with rho' = rho / 4^q near one.
        self.powers = np.rint(0.5 * np.log2(np.concatenate(start.values))).astype(np.int64)
        every = np.concatenate([np.zeros(self.inputs, dtype=np.int64), self.powers])
        output = round(0.5 * math.log2(start.rho))
        maps = np.ldexp(maps, -every[None, :])
        self.rows = np.ldexp(maps[: self.neurons], self.powers[:, None]) * (2.0 * half)[:, None]
        readers = np.ldexp(maps[self.neurons :], -output)
        self.objective = readers.T @ readers
        self.scaled_rho = math.ldexp(start.rho, -2 * output)
        self.unit = math.ldexp(1.0, output)

    def combine(self, rho: float, t: Array) -> Array:
        """``rho E + sum_j t_j A_j``."""
        s = np.zeros((self.size, self.size))
        s[self.inputs :] = -0.5 * t[:, None] * self.rows
        s += s.T
        diagonal = s.reshape(-1)[:: self.size + 1]
        diagonal[: self.inputs] += rho
        diagonal[self.inputs :] += t
        return s

    def root(self, y: Array) -> Array | None:
        """The lower Cholesky factor of ``S(rho, t)`` at ``y = (rho, t)``; None if indefinite."""
        if not (y > 0.0).all():
            return None
        try:
            return np.asarray(np.linalg.cholesky(self.combine(y[0], y[1:]) - self.objective))
        except np.linalg.LinAlgError:
            return None

    def hessian(self, z: Array) -> tuple[float, Array, Array]:
        """``<E, Z>``, ``<A_j, Z>``, and ``tr(A_j Z A_k Z)`` for all pairs, ``E`` first.

        With ``u = e_j`` and the ``v_j``, ``2 tr(A_j Z A_k Z) = (e_j Z v_k)(e_k Z v_j) +
        (e_j Z e_k)(v_j Z v_k)``: two Hadamard products.
        """
        n = self.inputs
        zv = z[:, n:] - z @ self.rows.T
        mixed, vv = zv[n:], zv[n:] - self.rows @ zv
        m = np.empty((self.neurons + 1, self.neurons + 1))
        pairs = 0.5 * (mixed * mixed.T + z[n:, n:] * vv)
        m[1:, 1:] = 0.5 * (pairs + pairs.T)
        m[0, 0] = float((z[:n, :n] ** 2).sum())
        m[0, 1:] = (z[:n, n:] * zv[:n]).sum(axis=0)
        m[1:, 0] = m[0, 1:]
        return float(np.trace(z[:n, :n])), mixed.diagonal(), m


def interior_rows(system: Elimination) -> int:
    """Rows of the matrices that the method works on."""
    rows = sum(len(part) for part in system.inputs.values())
    columns = max((part.shape[1] for part in system.inputs.values()), default=1)
    return min(rows, columns) + sum(system.sizes)


def interior_point(
    system: Elimination, start: Multipliers, *, deadline: float, rtol: float
) -> tuple[Multipliers, float]:
    """Nearly optimal multipliers, and the constant of a primal point (0 if there is none).

    Newton's method for ``rho - mu (log det S + sum_j log t_j)`` at decreasing ``mu``. Where its
    decrement is below one, ``X = mu (Z - Z dS Z)`` with ``Z = S^-1`` and the Newton step ``dS`` is
    feasible for the primal problem, and its distance from ``rho`` is known without forming it.

    Parameters
    ----------
    system : Elimination
    start : Multipliers
        Feasible.
    deadline : float
        Of `time.perf_counter`.
    rtol : float
        Relative gap of the constant at which to stop.

    References
    ----------
    Nesterov and Nemirovskii, *Interior-Point Polynomial Algorithms in Convex Programming* (1994),
    sections 2.2 and 4.2.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> from lipschitz.sdp.graph_descent import closed_forms
    >>> from lipschitz.sdp.graph_elimination import reduced
    >>> from lipschitz.sdp.graph_matrices import graph_model
    >>> system = reduced(graph_model(from_arrays([[[1.0], [-1.0]], [[1.0, -1.0]]])))
    >>> deadline = time.perf_counter() + 5.0
    >>> found, primal = interior_point(system, closed_forms(system), deadline=deadline, rtol=1e-7)
    >>> round(found.rho, 5), round(primal, 5)
    (4.0, 2.0)
    """
    constraints = GraphConstraints(system, start)
    t = 2.0 * np.ldexp(np.concatenate(start.values), -2 * constraints.powers)
    y = np.concatenate([[2.0], t]) * constraints.scaled_rho
    rows = constraints.size + constraints.neurons
    mu, primal, best = 0.3 * float(y[0]) / rows, 0.0, start
    root = constraints.root(y)
    for iteration in range(1, _ITERATIONS + 1):
        if root is None or time.perf_counter() > deadline:
            break
        trace, inner, matrix = constraints.hessian(_inverse(root))
        gradient = np.concatenate([[1.0 - mu * trace], -mu * (inner + 1.0 / y[1:])])
        step = _newton_step(matrix, gradient / mu, y)
        if step is None:
            break
        decrement = math.sqrt(max(-float(gradient @ step) / mu, 0.0))
        if decrement < 1.0:
            moved = trace * step[0] + inner @ step[1:] + (step[1:] / y[1:]).sum()
            gap = mu * (rows - float(moved))
            primal = max(primal, float(y[0]) - gap)
            if gap < 2.0 * rtol * y[0]:
                break
        length, root_new = 1.0, None
        if decrement > 0.3:
            length = min(1.0, 0.95 / max(float((-step / y).max()), 1e-300))
        for _ in range(40):
            root_new = constraints.root(y + length * step)
            if root_new is not None and (
                decrement <= 0.3 or _falls(constraints, y, step, length, root, root_new, mu)
            ):
                break
            length *= 0.6
        y, root = y + length * step, root_new
        if decrement < 1.5:
            mu *= 0.5 if decrement > 0.5 else 0.1
        if iteration % 8 == 0:
            best = _better(system, constraints, y, iteration, best)
    if root is not None:
        best = _better(system, constraints, y, iteration, best)
    return best, min(math.sqrt(primal) * constraints.unit, math.sqrt(best.rho))


def _newton_step(matrix: Array, gradient: Array, y: Array) -> Array | None:
    """Minus the inverse of ``matrix + diag(0, 1 / t^2)`` times the gradient."""
    from scipy.linalg import cho_factor, cho_solve

    scaled = matrix * y[:, None] * y  # in units of the variables the matrix is well scaled
    scaled.reshape(-1)[len(y) + 1 :: len(y) + 1] += 1.0
    scaled.reshape(-1)[:: len(y) + 1] *= 1.0 + 1e-14
    try:
        factor = cho_factor(scaled, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    return np.asarray(-y * cho_solve(factor, y * gradient, check_finite=False))


def _inverse(root: Array) -> Array:
    from scipy.linalg import cho_solve

    inverse = cho_solve((root, True), np.eye(len(root)), check_finite=False)
    return np.asarray(0.5 * (inverse + inverse.T))


def _falls(
    constraints: GraphConstraints,
    y: Array,
    step: Array,
    length: float,
    root: Array,
    root_new: Array,
    mu: float,
) -> bool:
    """Whether the barrier function is smaller at the new point."""
    new = y + length * step
    determinants = 2.0 * float(np.log(root_new.diagonal() / root.diagonal()).sum())
    change = float(new[0] - y[0]) - mu * (determinants + float(np.log(new[1:] / y[1:]).sum()))
    return change < 0.0


def _better(
    system: Elimination,
    constraints: GraphConstraints,
    y: Array,
    iteration: int,
    best: Multipliers,
) -> Multipliers:
    """The better of the best so far and the multipliers at hand."""
    joined = np.ldexp(y[1:] / y[0], 2 * constraints.powers)
    values = tuple(np.split(joined, constraints.cuts))
    factors = system.factors(lambda k, _: values[k - 1])
    if factors is None or not factors.rho < best.rho:
        return best
    return Multipliers(
        rho=factors.rho, values=values, method="interior point", iterations=iteration
    )
