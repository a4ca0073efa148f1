"""LipSDP-Neuron through a modelling layer: what the semidefinite bound is compared with.

The linear matrix inequality is stated for cvxpy in the form that its solvers like best (one
positive semidefinite variable equal to the affine matrix) and given to Clarabel or SCS with their
default accuracy. The number that comes back is the solver's, unchecked: that is the point.
"""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipschitz.sdp import FeedForward, prove_multipliers

__all__ = ["PeerSolution", "peer_is_proved", "solve_lmi"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSolution:
    """What a solver returned.

    Parameters
    ----------
    value : float
        Square root of its ``rho``: its bound of the Lipschitz constant, proved by nobody.
    multipliers : tuple of arrays
        Its ``t``, in the form that `lipschitz.sdp.prove_multipliers` takes.
    status : str
        The solver's own opinion.
    cpu_seconds : float
        Of the whole process: modelling layer, solver and its threads.
    """

    value: float
    multipliers: tuple[Array, ...]
    status: str
    cpu_seconds: float


def solve_lmi(net: FeedForward, solver: str) -> PeerSolution:
    """Minimise ``rho`` over diagonal multipliers with a general semidefinite solver.

    Parameters
    ----------
    net : FeedForward
        Its errors are ignored.
    solver : {"CLARABEL", "SCS"}

    Raises
    ------
    ImportError
        If cvxpy or the solver is not installed.

    Examples
    --------
    >>> net = FeedForward.exact([[[1.0], [-1.0]], [[1.0, -1.0]]],
    ...                         slope_lower=[np.zeros(2)], slope_upper=[np.ones(2)])
    >>> solve_lmi(net, "CLARABEL").value  # doctest: +SKIP
    2.0000000
    """
    cp: Any = import_module("cvxpy")

    started = time.process_time()
    n0, hidden = net.widths[0], net.widths[1:-1]
    neurons, size = sum(hidden), net.widths[0] + sum(hidden)
    before = np.zeros((neurons, size))  # v = before z
    row = column = 0
    for w in net.weights[:-1]:
        before[row : row + w.shape[0], column : column + w.shape[1]] = w
        row, column = row + w.shape[0], column + w.shape[1]
    after = np.hstack([np.zeros((neurons, n0)), np.eye(neurons)])  # phi = after z
    a, b = np.concatenate(net.slope_lower), np.concatenate(net.slope_upper)
    low, high = after - a[:, None] * before, after - b[:, None] * before
    output = np.zeros((net.widths[-1], size))
    output[:, size - hidden[-1] :] = net.weights[-1]
    start = np.zeros((size, size))
    start[:n0, :n0] = np.eye(n0)

    rho, t = cp.Variable(nonneg=True), cp.Variable(neurons, nonneg=True)
    cone = cp.Variable((size, size), PSD=True)
    sector = low.T @ cp.diag(t) @ high
    form = rho * start - output.T @ output + 0.5 * (sector + sector.T)
    problem = cp.Problem(cp.Minimize(rho), [cone == form])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "solution may be inaccurate": the status says so too
        try:
            problem.solve(solver=solver)
        except cp.error.SolverError as error:
            return PeerSolution(
                value=math.nan, multipliers=(), status=str(error), cpu_seconds=_since(started)
            )
    if rho.value is None:
        return PeerSolution(
            value=math.nan, multipliers=(), status=problem.status, cpu_seconds=_since(started)
        )
    cuts = np.cumsum(hidden)[:-1]
    return PeerSolution(
        value=math.sqrt(max(float(rho.value), 0.0)),
        multipliers=tuple(np.split(np.asarray(t.value, dtype=np.float64), cuts)),
        status=problem.status,
        cpu_seconds=_since(started),
    )


def peer_is_proved(net: FeedForward, solution: PeerSolution) -> bool:
    """Whether the solver's own multipliers prove the solver's own value.

    Examples
    --------
    >>> nothing = PeerSolution(value=1.0, multipliers=(), status="optimal", cpu_seconds=0.0)
    >>> one = FeedForward.exact([[[2.0]], [[1.0]]], slope_lower=[[0.0]], slope_upper=[[1.0]])
    >>> peer_is_proved(one, nothing)
    False
    """
    return prove_multipliers(net, solution.multipliers, solution.value)


def _since(started: float) -> float:
    return time.process_time() - started
