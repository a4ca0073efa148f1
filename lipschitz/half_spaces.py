"""Pieces that no input belongs to, found by half-spaces of inputs and proved by Farkas' lemma."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evidence.rounding import gamma
from lipschitz.layers import Activation
from lipschitz.layers.balls import SMALLEST, inflate, round_up
from lipschitz.linear_bounds import Sweep, ValueBounds, linear_below
from lipschitz.network import Network

__all__ = ["is_empty"]

Array = NDArray[np.float64]

_MOST = 400


def is_empty(bounds: ValueBounds) -> bool:
    """Whether the linear bounds prove that no input has values within the bounds.

    For every entry ``z`` of a value that a nonlinear layer reads, ``z >= <a, x> + c`` and
    ``z <= u`` give a half-space ``<a, x> <= u - c`` of inputs (and one more from above). If
    multipliers ``y >= 0`` make the minimum of ``<sum y a, x>`` over the domain larger than
    ``sum y (u - c)``, no input lies in all of them (Farkas). The multipliers come from a linear
    program, the proof from the minimum over the domain.

    Examples
    --------
    >>> from lipschitz.domains import Box
    >>> from lipschitz.linear_bounds import bound_values
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0, 1.0], [1.0, -1.0]], [[1.0, 1.0]]])
    >>> box = Box([0.1, -1.0], [1.0, 1.0])
    >>> cut = {1: (np.array([-2.0, -2.0]), np.array([0.0, 0.0]))}  # x + y <= 0 and x - y <= 0
    >>> is_empty(bound_values(network, box, cuts=cut))
    True
    """
    from scipy.optimize import linprog

    rows, sides = _half_spaces(bounds)
    hull = bounds.domain.hull
    lower, upper = hull.lower.ravel(), hull.upper.ravel()
    if len(rows) == 0:
        return False
    scale = np.abs(rows).max(axis=1)
    scale = np.where(scale > 0.0, scale, 1.0)
    matrix, right = rows / scale[:, None], sides / scale
    # min s subject to A x - s <= b: its multipliers are the ones that are asked for.
    matrix = np.concatenate([matrix, -np.ones((len(matrix), 1))], axis=1)
    cost = np.concatenate([np.zeros(len(lower)), [1.0]])
    limits = [*zip(lower, upper, strict=True), (-1.0, None)]
    found = linprog(cost, A_ub=matrix, b_ub=right, bounds=limits, method="highs")
    if found.status != 0 or not found.fun > 0.0:
        return False
    y = np.maximum(-found.ineqlin.marginals, 0.0) / scale
    chosen = y > 0.0
    y, rows, sides = y[chosen], rows[chosen], sides[chosen]
    count = len(y)
    together = y @ rows
    # The rounding of the sums, for inputs in the hull: see `least` for the rest.
    size = np.maximum(np.abs(lower), np.abs(upper))
    lost = gamma(count + 2) * float(y @ (np.abs(rows) @ size) + y @ np.abs(sides))
    lost += (count + 1) * SMALLEST * float(size.sum() + count)
    slack = float(inflate(np.array(2.0 * lost), count + len(size) + 8))
    return float(bounds.domain.least(together[None])[0]) - float(y @ sides) > slack


def _half_spaces(bounds: ValueBounds) -> tuple[Array, Array]:
    """Rows ``a`` and sides ``b`` with ``<a, x> <= b`` for every input of the piece."""
    network = bounds.network
    sweep = Sweep(network, bounds.domain, list(bounds.lower), list(bounds.upper))
    read = sorted({node.inputs[0] for node in network.nodes if not node.layer.is_linear})
    rows, sides = [], []
    for value in read:
        limit = np.concatenate([bounds.upper[value].ravel(), -bounds.lower[value].ravel()])
        # Bounds that nobody cut follow from the domain; a cut at a kink leaves a zero.
        chosen = np.flatnonzero(limit == 0.0) if _has_kinks(network, value) else range(len(limit))
        if value == 0 or not 0 < len(chosen) <= _MOST:
            continue
        size = len(limit) // 2
        signs = np.concatenate([np.eye(size), -np.eye(size)])[chosen]
        signs, limit = signs.reshape(-1, *network.shapes[value]), limit[chosen]
        a, c = linear_below(sweep, value, signs)
        if a is None:
            continue
        a, side = a.reshape(len(a), -1), round_up(limit - c)
        finite = np.isfinite(a).all(axis=1) & np.isfinite(side)
        rows.append(a[finite])
        sides.append(side[finite])
    if not rows:
        return np.zeros((0, 0)), np.zeros(0)
    return np.concatenate(rows), np.concatenate(sides)


def _has_kinks(network: Network, value: int) -> bool:
    readers = [n.layer for n in network.nodes if n.inputs[0] == value and not n.layer.is_linear]
    return all(isinstance(layer, Activation) and not layer.is_smooth for layer in readers)
