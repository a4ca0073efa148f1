"""Semidefinite bounds: which method runs, for how long, and what is returned when time is up."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from evidence import Enclosure, NotCertified
from evidence.rounding import mul_up
from evidence.validation import choice, positive_float
from lipschitz.layers.contract import Array
from lipschitz.network import Network
from lipschitz.operators import operator_norm
from lipschitz.sdp.closed_forms import best_closed_form
from lipschitz.sdp.feedforward import FeedForward, feed_forward, is_chain
from lipschitz.sdp.interior_point import optimal_multipliers
from lipschitz.sdp.log_multipliers import descend
from lipschitz.sdp.one_hidden_dual import applies_to, multipliers_by_mixing
from lipschitz.sdp.presolve import Problem, balanced, presolved
from lipschitz.sdp.recursion import value_of
from lipschitz.sdp.result import SemidefiniteBound, proved_bound

__all__ = ["Effort", "semidefinite_bound"]

Effort = Literal["fast", "default", "tight"]

_EFFORTS: Final = ("fast", "default", "tight")
# Rows of the matrix up to which the interior-point method runs, at about 150 bytes an entry.
_INTERIOR: Final = {"default": 900, "tight": 2000}
_MIXING = 400
"""Hidden neurons from which one layer is solved by coordinates."""


def semidefinite_bound(
    network: Network | FeedForward,
    *,
    effort: Effort = "default",
    time_limit: float = 60.0,
    rtol: float = 1e-8,
) -> SemidefiniteBound:
    """The smallest constant that slope bounds of the activations can prove (LipSDP-Neuron).

    Parameters
    ----------
    network : Network or FeedForward
    effort : {"fast", "default", "tight"}
        Closed forms only; then the interior-point method up to 900 hidden neurons (inputs count
        where they are fewer than those of the first layer) and descent on the logarithms of the
        multipliers beyond; "tight" runs the former up to 2000.
    time_limit : float
        Seconds after which the best proved so far is returned. The closed forms always run.
    rtol : float
        Relative gap between the constants of the dual and the primal point at which to stop.

    Returns
    -------
    SemidefiniteBound
        Its upper side is proved in floating point, whatever the optimisers did.

    Raises
    ------
    NotCertified
        If the network has a layer without slopes, or is too large for memory; it says how to
        split it.
    ValueError, TypeError
        Another effort, a time limit or tolerance that is not positive, another type of network.

    Notes
    -----
    Hypotheses: every activation's difference quotients lie between its two slopes. Biases play no
    role. The bound is global; slopes narrowed to a region (a `FeedForward` made by hand) give a
    bound for that region if it is convex. Not claimed: that it is attained. It is 2 for the
    identity written as ``relu(x) - relu(-x)``.

    Time grows with the cube of the number of neurons for the interior-point method, memory with
    its square; both grow linearly with depth and cubically with width for the descent and for the
    proof.

    References
    ----------
    Fazlyab, Robey, Hassani, Morari, Pappas, *Efficient and Accurate Estimation of Lipschitz
    Constants for Deep Neural Networks*, NeurIPS 2019, Theorem 2.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> identity = from_arrays([[[1.0], [-1.0]], [[1.0, -1.0]]])
    >>> print(semidefinite_bound(identity).bound)
    <= 2.000001 (upper bound only: semidefinite, closed form)
    """
    choice(effort, "effort", _EFFORTS)
    limit = positive_float(time_limit, "time_limit")
    tolerance = positive_float(rtol, "rtol")
    if isinstance(network, Network):
        if not is_chain(network):
            from lipschitz.sdp.graph import graph_bound

            return graph_bound(network, effort=effort, time_limit=limit, rtol=tolerance)
        net = feed_forward(network)
    elif isinstance(network, FeedForward):
        net = network
    else:
        raise TypeError(
            f"`network` must be a Network or a FeedForward, got {type(network).__name__}; "
            "read it with `from_torch`, `from_onnx`, `from_mat` or `from_arrays`"
        )
    # Optimisers may overflow on extreme weights: what comes out is proved, or thrown away.
    with np.errstate(all="ignore"):
        return _Run(net, started=time.monotonic()).bound(effort, limit, tolerance)


@dataclass(slots=True)
class _Run:
    """The best proved so far."""

    net: FeedForward
    started: float
    upper: float = math.inf
    multipliers: tuple[Array, ...] = ()
    primal: float = 0.0
    method: str = ""
    iterations: int = 0
    deadline: float = field(default=math.inf)

    def bound(self, effort: Effort, limit: float, rtol: float) -> SemidefiniteBound:
        self.deadline = self.started + limit
        problem = presolved(self.net)
        if not all(w.size for w in problem.weights):
            ones = tuple(np.ones_like(a) for a in self.net.slope_lower)
            return self._result(Enclosure.exact(0.0, "constant network"), ones)
        start = best_closed_form(problem)
        if start is not None:
            self._prove(problem, start[1], "closed form")
            if effort != "fast" and len(problem.weights) > 1 and time.monotonic() < self.deadline:
                scaled = balanced(problem, start[1], start[2])
                self._optimise(scaled, _moved(problem, scaled, start[1]), effort, rtol)
        if math.isinf(self.upper):
            self._prove_product()
        return self._result(Enclosure.at_most(self.upper, self.method), self.multipliers)

    def _optimise(self, problem: Problem, start: list[Array], effort: str, rtol: float) -> None:
        first = min(problem.weights[0].shape)
        size = first + sum(len(t) for t in start)
        value = value_of(problem, start)
        if applies_to(problem) and len(start[0]) > _MIXING:
            mixed = multipliers_by_mixing(problem, self.deadline, max(rtol, 1e-4))
            self._prove(problem, mixed.multipliers, "coordinates", mixed.primal, mixed.iterations)
            return
        if size <= _INTERIOR[effort]:
            found = optimal_multipliers(problem, start, value, self.deadline, rtol)
            counts = found.primal, found.iterations
            self._prove(problem, found.multipliers, "interior point", *counts)
            wanted = problem.norm_of_network(found.value) * (1.0 + rtol)
            for earlier in found.before:
                if self.upper <= wanted:
                    break
                self._prove(problem, earlier, "interior point")
            if found.value <= found.primal * (1.0 + 100.0 * rtol):
                return
            start = found.multipliers
        descent = descend(problem, start, self.deadline)
        self._prove(problem, descent.multipliers, "descent", 0.0, descent.evaluations)

    def _prove(
        self,
        problem: Problem,
        multipliers: list[Array],
        method: str,
        primal: float = 0.0,
        iterations: int = 0,
    ) -> None:
        self.iterations += iterations
        self.primal = max(self.primal, problem.norm_of_network(primal))
        proved = proved_bound(self.net, problem, multipliers)
        if proved is not None and proved[0] < self.upper:
            self.upper, self.multipliers = proved
            self.method = f"semidefinite, {method}"

    def _prove_product(self) -> None:
        """Where floats give no multipliers: norms and slopes, without multipliers."""
        upper = 1.0
        for i, (w, e) in enumerate(zip(self.net.weights, self.net.errors, strict=True)):
            upper = mul_up(upper, operator_norm(w, 2, 2, error=e).upper)
            if i < len(self.net.slope_lower):
                slopes = self.net.slope_lower[i], self.net.slope_upper[i]
                upper = mul_up(upper, max(float(np.abs(s).max()) for s in slopes))
        if not math.isfinite(upper):
            raise NotCertified(
                "`network` has weights or slopes whose products overflow float64; rescale it"
            )
        self.upper, self.method = upper, "product of norms"

    def _result(self, bound: Enclosure, multipliers: tuple[Array, ...]) -> SemidefiniteBound:
        return SemidefiniteBound(
            bound=bound,
            primal=self.primal,
            gap=bound.upper / self.primal - 1.0 if self.primal > 0.0 else math.inf,
            multipliers=multipliers,
            method=bound.method,
            iterations=self.iterations,
            seconds=time.monotonic() - self.started,
        )


def _moved(old: Problem, new: Problem, multipliers: list[Array]) -> list[Array]:
    """The same multipliers in the units of a rescaled problem."""
    pairs = zip(multipliers, new.powers, old.powers, strict=True)
    return [np.ldexp(t, -2 * (after - before)) for t, after, before in pairs]
