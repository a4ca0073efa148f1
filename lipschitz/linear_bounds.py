"""Certified bounds of every value of a network over a box or a ball of inputs.

**Intervals** go forward, layer by layer. **Linear bounds** go backward: a linear functional
``<a, v>`` of a value ``v`` is bounded from below by a linear functional of the values before it,
until only inputs are left, whose minimum over the domain is known (CROWN: Zhang et al., *Efficient
neural network robustness certification with general activation functions*, NeurIPS 2018, theorem
3.2). An activation with arguments in ``[l, u]`` lies between two lines (`lipschitz.relaxations`).
Both are sound for every network that the layers know: branches, convolutions, pooling.

**Rounding.** A step backward computes ``a' = fl(W^T a)``. Since ``|a' - W^T a| <= gamma |W|^T |a|``
and the value before it has entries at most ``s``, the step costs at most ``gamma <|a|, |W| s>``,
one number per row; errors of stored weights cost ``<|a|, E s>`` in the same way. Everything that
was lost is subtracted, so that the result is a lower bound in real arithmetic.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified
from evidence.rounding import UNIT_ROUNDOFF, gamma
from lipschitz.domains import Domain
from lipschitz.layers import Activation, LinearLayer, MaxPool
from lipschitz.layers.balls import (
    SMALLEST,
    Ball,
    ball_of_bounds,
    bounds_of_ball,
    inflate,
    round_down,
)
from lipschitz.network import Network
from lipschitz.relaxations import (
    Lines,
    MaximumRelaxation,
    enclosing_lines,
    relax_maximum,
    slope_interval,
)

__all__ = ["Sweep", "ValueBounds", "bound_values", "linear_below"]

Array = NDArray[np.float64]

_NUMBERS_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValueBounds:
    """Intervals that hold all values of a network, for every input in a domain.

    Parameters
    ----------
    network : Network
    domain : Box, Ball or their intersection
    lower, upper : tuple of arrays
        For the input and every node's output, shapes ``network.shapes``.

    Examples
    --------
    >>> from lipschitz.domains import Box
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]])
    >>> bounds = bound_values(network, Box([1.0], [2.0]))
    >>> bool(bounds.lower[1][0] <= 1.0 and bounds.upper[1][1] >= -1.0)
    True
    >>> [slopes.tolist() for slopes in bounds.slopes(1)]
    [[1.0, 0.0], [1.0, 0.0]]
    """

    network: Network
    domain: Domain
    lower: tuple[Array, ...]
    upper: tuple[Array, ...]

    def ball(self, value: int) -> Ball:
        """One value's interval as centre and radius, with a batch axis of length 1."""
        return ball_of_bounds(self.lower[value][None], self.upper[value][None])

    def slopes(self, node: int) -> tuple[Array, Array]:
        """Least and greatest slopes of an activation node, entry by entry."""
        use = self.network.nodes[node]
        if not isinstance(use.layer, Activation):
            raise TypeError(f"node {use.name!r} is no activation, so it has no slopes")
        i = use.inputs[0]
        return slope_interval(use.layer, self.lower[i], self.upper[i])

    def unstable(self, node: int) -> NDArray[np.bool_]:
        """Entries of an activation node whose slope is not one number."""
        low, high = self.slopes(node)
        return low < high


@dataclass(slots=True)
class Sweep:
    """Bounds under construction, and the relaxations that they have already decided."""

    network: Network
    domain: Domain
    lower: list[Array]
    upper: list[Array]
    relaxed: dict[int, Lines | MaximumRelaxation] = field(default_factory=dict)
    losses: dict[int, tuple[Array, float]] = field(default_factory=dict)

    def size(self, value: int) -> Array:
        """Largest absolute value of every entry."""
        return np.maximum(np.abs(self.lower[value]), np.abs(self.upper[value]))

    def ball(self, value: int) -> Ball:
        """One value's interval as centre and radius."""
        return ball_of_bounds(self.lower[value][None], self.upper[value][None])


def bound_values(
    network: Network,
    domain: Domain,
    *,
    within: ValueBounds | None = None,
    cuts: Mapping[int, tuple[Array, Array]] | None = None,
    linear: bool = True,
    deadline: float = math.inf,
) -> ValueBounds | None:
    """Bound all values over a domain, or prove that no input of the domain has the values asked.

    Parameters
    ----------
    network : Network
    domain : Box or Ball
    within : ValueBounds, optional
        Bounds known already, on a larger domain, say.
    cuts : mapping of int to (lower, upper), optional
        Keep only inputs for which these values lie in these intervals.
    linear : bool
        Also go backward, from every value that a nonlinear layer reads.
    deadline : float
        In the time of `time.perf_counter`; after it intervals alone are used.

    Returns
    -------
    ValueBounds or None
        None if no such input exists.

    Raises
    ------
    NotCertified
        If a value overflows.

    Examples
    --------
    >>> from lipschitz.domains import Box
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> same = from_arrays([[[1.0], [-1.0]], [[1.0, -1.0]], [[1.0]]])  # x = relu(x) - relu(-x)
    >>> for linear in (False, True):
    ...     bounds = bound_values(same, Box([-1.0], [1.0]), linear=linear)
    ...     print(round(bounds.lower[3][0], 6), round(bounds.upper[3][0], 6))
    -1.0 1.0
    -1.0 1.0
    >>> bound_values(same, Box([-1.0], [1.0]), cuts={3: (np.array([2.0]), np.array([3.0]))})
    """
    hull = domain.hull
    sweep = Sweep(network=network, domain=domain, lower=[hull.lower], upper=[hull.upper])
    read = {node.inputs[0] for node in network.nodes if not node.layer.is_linear}
    if not _restrict(sweep, 0, within, cuts):
        return None
    for j, node in enumerate(network.nodes):
        with np.errstate(over="ignore", invalid="ignore"):
            ball = node.layer.enclose(*(sweep.ball(i) for i in node.inputs))
            low, high = (side[0] for side in bounds_of_ball(*ball))
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise NotCertified(
                f"the values of node {node.name!r} overflow float64, so that they cannot be "
                "enclosed; use a smaller `domain`"
            )
        sweep.lower.append(low)
        sweep.upper.append(high)
        if not _restrict(sweep, j + 1, within, cuts):
            return None
        if linear and j + 1 in read:
            _tighten(sweep, j + 1, deadline)
            if (sweep.lower[-1] > sweep.upper[-1]).any():
                return None
    return ValueBounds(
        network=network, domain=domain, lower=tuple(sweep.lower), upper=tuple(sweep.upper)
    )


def _restrict(
    sweep: Sweep,
    value: int,
    within: ValueBounds | None,
    cuts: Mapping[int, tuple[Array, Array]] | None,
) -> bool:
    """Intersect the last bounds with what is known; False if nothing is left."""
    known = [] if within is None else [(within.lower[value], within.upper[value])]
    if cuts is not None and value in cuts:
        known.append(cuts[value])
    for low, high in known:
        sweep.lower[value] = np.maximum(sweep.lower[value], low)
        sweep.upper[value] = np.minimum(sweep.upper[value], high)
    return not (sweep.lower[value] > sweep.upper[value]).any()


def _tighten(sweep: Sweep, value: int, deadline: float) -> None:
    """Linear bounds of the entries that the reading activation has not yet decided."""
    low, high = sweep.lower[value].ravel(), sweep.upper[value].ravel()
    reader = next(
        n.layer for n in sweep.network.nodes if n.inputs[0] == value and not n.layer.is_linear
    )
    undecided = low < high
    if isinstance(reader, Activation) and reader.kind in ("relu", "leaky_relu"):
        undecided &= (low < 0.0) & (high > 0.0)
    rows = np.flatnonzero(undecided)
    shape = sweep.network.shapes[value]
    largest = max(math.prod(s) for s in sweep.network.shapes[: value + 1])
    step = max(1, _NUMBERS_AT_ONCE // (2 * largest))
    low, high = low.copy(), high.copy()
    for first in range(0, len(rows), step):
        if time.perf_counter() > deadline:
            break
        part = rows[first : first + step]
        signs = np.zeros((2 * len(part), len(low)))
        signs[np.arange(len(part)), part] = 1.0
        signs[len(part) + np.arange(len(part)), part] = -1.0
        least = _least(sweep, value, signs.reshape(-1, *shape))
        low[part] = np.fmax(low[part], least[: len(part)])
        high[part] = np.fmin(high[part], -least[len(part) :])
    sweep.lower[value], sweep.upper[value] = low.reshape(shape), high.reshape(shape)


def _least(sweep: Sweep, value: int, covectors: Array) -> Array:
    """Lower bounds of ``<a, value>`` over the domain, row by row; NaN where they overflow."""
    first, total = linear_below(sweep, value, covectors)
    with np.errstate(over="ignore", invalid="ignore"):
        return total if first is None else round_down(total + sweep.domain.least(first))


def linear_below(sweep: Sweep, value: int, covectors: Array) -> tuple[Array | None, Array]:
    """Rows ``a'`` and numbers ``c`` with ``<a, value> >= <a', x> + c`` for every input ``x``."""
    batch = len(covectors)
    sums: list[Array | None] = [None] * value + [covectors]
    total = np.zeros(batch)
    with np.errstate(over="ignore", invalid="ignore"):
        for j in range(value - 1, -1, -1):
            a = sums[j + 1]
            if a is None:
                continue
            node = sweep.network.nodes[j]
            sums[j + 1] = None
            parts, constant = _backward(sweep, j, a)
            total = round_down(total + constant)
            for i, part in zip(node.inputs, parts, strict=True):
                before = sums[i]
                if before is None:
                    sums[i] = part
                    continue
                sums[i] = together = before + part
                lost = UNIT_ROUNDOFF * (_flat(np.abs(together)) @ sweep.size(i).ravel())
                total = round_down(total - inflate(lost, together[0].size + 4))
    return sums[0], total


def _backward(sweep: Sweep, j: int, a: Array) -> tuple[tuple[Array, ...], Array]:
    """Covectors ``a'`` and constants ``c`` with ``<a, layer(x)> >= <a', x> + c``."""
    layer, inputs = sweep.network.nodes[j].layer, sweep.network.nodes[j].inputs
    sizes = _flat(np.abs(a))
    if isinstance(layer, LinearLayer):
        if j not in sweep.losses:
            sweep.losses[j] = _losses(layer, [sweep.size(i)[None] for i in inputs])
        loss, underflow = sweep.losses[j]
        lost = inflate(sizes @ loss + underflow, sizes.shape[1] + 4)
        constant = -lost
        if layer.offset is not None:
            offset = np.broadcast_to(layer.offset, layer.output_shape).ravel()
            constant = round_down(_flat(a) @ offset - lost)
        return layer.adjoint(a), constant
    if j not in sweep.relaxed:
        low, high = sweep.lower[inputs[0]], sweep.upper[inputs[0]]
        if isinstance(layer, Activation):
            sweep.relaxed[j] = enclosing_lines(layer, low, high)
        elif isinstance(layer, MaxPool):
            sweep.relaxed[j] = relax_maximum(layer, low, high)
        else:
            raise TypeError(f"`layer` of kind {type(layer).__name__} has no linear bounds here")
    relaxed = sweep.relaxed[j]
    part, constant = relaxed.backward(a)
    lost = inflate(sizes @ relaxed.loss(sweep.size(inputs[0])).ravel(), sizes.shape[1] + 4)
    return (part,), round_down(constant - lost)


def _losses(layer: LinearLayer, sizes: list[Array]) -> tuple[Array, float]:
    """What a unit of ``|a|`` loses at most in one step backward through a linear layer, entrywise.

    ``gamma |W| s`` for the rounding of the adjoint, ``E s`` for the errors of the weights, those of
    the offset, and the rounding of the inner product with it.
    """
    loss = gamma(layer.terms) * layer.magnitude(*sizes)[0].ravel()
    doubt = layer.error_magnitude(*sizes)
    if doubt is not None:
        loss = loss + doubt[0].ravel()
    if layer.offset is not None:
        offset = np.abs(np.broadcast_to(layer.offset, layer.output_shape).ravel())
        loss = loss + gamma(offset.size + 2) * offset
    if layer.offset_error is not None:
        loss = loss + np.broadcast_to(layer.offset_error, layer.output_shape).ravel()
    underflow = (layer.terms + 1) * SMALLEST * float(sum(np.sum(s) + s.size for s in sizes))
    return inflate(loss, layer.terms + 8), underflow


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1)
