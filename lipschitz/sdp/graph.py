"""Semidefinite bounds of networks with branches: residual sums, skips, concatenation."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from evidence import Enclosure, NotCertified
from evidence.validation import choice, positive_float
from lipschitz.layers.contract import Array
from lipschitz.network import Network
from lipschitz.product import product_bound
from lipschitz.sdp.graph_descent import Multipliers, closed_forms, descend, given
from lipschitz.sdp.graph_elimination import Elimination, reduced
from lipschitz.sdp.graph_interior import interior_point, interior_rows
from lipschitz.sdp.graph_matrices import MEMORY_LIMIT, GraphModel, graph_model
from lipschitz.sdp.graph_proof import prove_model
from lipschitz.sdp.result import SemidefiniteBound

__all__ = ["graph_bound", "lifted", "proof_seconds", "prove_best"]

_SLACKS: Final = tuple(10.0**k for k in range(-11, -1))
_INTERIOR: Final = {"default": 600, "tight": 1200}
"""Rows up to which the interior-point method runs, at about 200 bytes an entry."""
_CLOSE: Final = 1e-5
"""Relative gap of the interior-point method above which descent goes on."""
_GAPS: Final = {"default": 1e-3, "tight": 1e-5}


def graph_bound(
    network: Network,
    *,
    effort: Literal["fast", "default", "tight"] = "default",
    time_limit: float = 60.0,
    rtol: float = 1e-8,
    memory_limit: int = MEMORY_LIMIT,
    start: Sequence[Array] | None = None,
) -> SemidefiniteBound:
    """The smallest constant found that slope bounds of the activations can prove, in any graph.

    Parameters
    ----------
    network : Network
        Linear layers and activations, joined in any way; it is folded first.
    effort : {"fast", "default", "tight"}
        Closed forms only; the interior-point method up to 600 rows and descent beyond, until its
        barrier costs about 1e-3 of the bound; up to 1200 rows, and until 1e-5.
    time_limit : float
        Seconds after which the best proved so far is returned. The closed forms always run.
    rtol : float
        Relative gap at which the interior-point method stops.
    memory_limit : int
        Bytes that the matrices and the work on them may take, see `graph_memory`.
    start : sequence of arrays, optional
        Positive multipliers to begin with beside the closed forms, one for every neuron, for a
        ``rho`` of one. Whether they are feasible is found out.

    Returns
    -------
    SemidefiniteBound
        With a primal point where the interior-point method ran. `prove_graph` proves it again
        from the multipliers. If rounding defeats every multiplier tried, the bound is that of
        `product_bound`, without multipliers.

    Raises
    ------
    NotCertified
        A nonlinear layer that is no activation, or too little memory: use `split_bound`.
    ValueError
        An effort of another name, limits that are not positive.

    Notes
    -----
    A residual block ``x + g(x)`` gets multipliers of its own in the one form, and the shortcut is
    part of the linear maps. That is never worse than ``1 + L``, and better unless ``g`` can move
    along ``x`` by its full constant.

    References
    ----------
    Fazlyab, Robey, Hassani, Morari, Pappas, *Efficient and accurate estimation of Lipschitz
    constants for deep neural networks*, NeurIPS 2019, Theorem 2.

    Examples
    --------
    >>> from lipschitz.layers import Activation, Add, Dense
    >>> from lipschitz.network import Node
    >>> from lipschitz.sdp.graph_proof import prove_graph
    >>> nodes = [
    ...     Node(name="relu", layer=Activation(kind="relu", input_shape=(1,)), inputs=(0,)),
    ...     Node(name="minus", layer=Dense(weight=[[-1.0]]), inputs=(1,)),
    ...     Node(name="residual", layer=Add(input_shape=(1,)), inputs=(0, 2)),
    ... ]
    >>> network = Network(input_shape=(1,), nodes=nodes)  # x - relu(x) = min(x, 0)
    >>> result = graph_bound(network)
    >>> round(result.bound.upper, 9), prove_graph(network, result.multipliers, 1.0 - 1e-9)
    (1.0, False)
    """
    begin = time.perf_counter()
    choice(effort, "effort", ("fast", "default", "tight"))
    deadline = begin + positive_float(time_limit, "time_limit")
    tolerance = positive_float(rtol, "rtol")
    model = graph_model(network, memory_limit=memory_limit)
    system = reduced(model)
    best: tuple[float, tuple[Array, ...]] | None = None
    method, iterations, primal = "composition", 0, 0.0
    found = _better(closed_forms(system), None if start is None else given(system, start))
    if found is not None:
        reserve = 2.0 * proof_seconds(sum(model.sizes[1:]) + model.outputs)
        is_quick = reserve < 0.02 * time_limit or effort == "fast"
        if is_quick or time.perf_counter() + 3.0 * reserve > deadline:
            best, method = prove_best(model, system, found), f"semidefinite, {found.method}"
        if found.rho > 0.0 and effort != "fast" and time.perf_counter() + reserve < deadline:
            gap = max(_GAPS[effort], tolerance)
            descent = found
            if any(system.sizes) and interior_rows(system) <= _INTERIOR[effort]:
                middle = 0.5 * (time.perf_counter() + deadline - reserve)
                descent, primal = interior_point(system, found, deadline=middle, rtol=tolerance)
            if primal < (1.0 - _CLOSE) * math.sqrt(descent.rho):
                descent = descend(system, descent, deadline=deadline - reserve, rtol=gap)
            proved = prove_best(model, system, descent)
            iterations = descent.iterations
            if proved is not None and (best is None or proved[0] < best[0]):
                best, method = proved, f"semidefinite, {descent.method}"
    if best is None:
        best, method = (product_bound(network).bound.upper, ()), "composition"
    upper, multipliers = best
    if not math.isfinite(upper):
        raise NotCertified("the bound of this network overflows float64; rescale its weights")
    return SemidefiniteBound(
        bound=Enclosure.at_most(upper, method),
        primal=primal,
        gap=upper / primal - 1.0 if primal > 0.0 else math.inf,
        multipliers=multipliers,
        method=method,
        iterations=iterations,
        seconds=time.perf_counter() - begin,
    )


def proof_seconds(rows: int) -> float:
    """About how long one proof takes on one slow core: to plan with, nothing depends on it."""
    return 1e-3 + rows**3 / 2e10


def _better(first: Multipliers | None, second: Multipliers | None) -> Multipliers | None:
    known = [m for m in (first, second) if m is not None]
    return min(known, key=lambda m: m.rho) if known else None


def prove_best(
    model: GraphModel, system: Elimination, found: Multipliers
) -> tuple[float, tuple[Array, ...]] | None:
    """The smallest of a few inflated bounds that the multipliers are proved to give.

    The proof of the bound ``L (1 + r)`` gets multipliers scaled to it, so that the slack ``r``
    reaches every row of the form.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> model = graph_model(from_arrays([[[3.0]], [[1.0]]]))
    >>> system = reduced(model)
    >>> upper, multipliers = prove_best(model, system, closed_forms(system))
    >>> 3.0 < upper < 3.0 + 1e-9, prove_model(model, multipliers, upper)
    (True, True)
    """
    norm = math.sqrt(max(found.rho, 0.0))
    if not 0.0 < norm < math.inf:
        return None
    rows = sum(model.sizes[1:]) + model.outputs
    for slack in _SLACKS:
        if slack < rows**2 * 2.0**-55:
            continue  # hopeless: less than the rounding of the proof itself
        upper = norm * (1.0 + slack)
        multipliers = lifted(system, found.values, upper)
        if prove_model(model, multipliers, upper):
            return upper, multipliers
    return None


def lifted(system: Elimination, values: Sequence[Array], upper: float) -> tuple[Array, ...]:
    """Multipliers of all neurons for ``rho = upper**2``, from those that take part for 1.

    A neuron that nobody reads gets a number so small that its argument costs nothing, one that
    nothing moves gets one so large that its readers do not feel it.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> system = reduced(graph_model(from_arrays([[[3.0], [1.0]], [[1.0, 0.0]]])))
    >>> lifted(system, [np.array([0.25])], 3.0)[0] > 0.0
    array([ True,  True])
    """
    rho, full = upper * upper, []
    for k, t in enumerate(values):
        scale = float(np.max(t)) if t.size else 1.0
        every = np.where(system.moved[k], 2.0**-200, 2.0**200) * scale
        every[system.alive[k]] = t
        full.append(every * rho)
    return tuple(full)
