"""The Jacobian of a network over a piece of its inputs, as few unknown slopes as possible.

Where the bounds of `lipschitz.linear_bounds` leave an activation one slope, it is a number and the
neuron disappears into the matrices around it. A neuron with slopes ``a <= s <= b`` contributes
``dphi = a dv + (b - a) u`` with one unknown ``u = t dv``, ``0 <= t <= 1``. What is left is

    dv = V_x dx + V_u u   (V_u strictly lower triangular),      dy = C_x dx + C_u u,

for any network of linear layers, activations, branches and decided maxima. The matrices carry an
entrywise bound of their rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified
from lipschitz.layers import Activation, LinearLayer
from lipschitz.layers.balls import (
    Ball,
    add,
    ball_of_bounds,
    bounds_of_ball,
    exactly,
    matmul,
    multiply,
)
from lipschitz.linear_bounds import ValueBounds
from lipschitz.operators import operator_norm
from lipschitz.tangents import enclose_linear

__all__ = ["SlopeForm", "jacobian_interval", "norm_above", "slope_form"]

Array = NDArray[np.float64]

_LARGEST = 40_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlopeForm:
    """``dv = V_x dx + V_u u`` and ``dy = C_x dx + C_u u`` with ``u = t dv``, ``t`` in [0, 1].

    Parameters
    ----------
    inputs : int
        Number ``n`` of entries of ``dx``.
    arguments : (center, radius), shape (N, n + N)
        ``[V_x, V_u]``.
    outputs : (center, radius), shape (m, n + N)
        ``[C_x, C_u]``.
    layers : tuple of slice
        The unknowns of each activation node, in order; none reads its own layer.
    places : tuple of (node, array of flat indices)
        Where the unknowns of each slice belong.
    """

    inputs: int
    arguments: Ball
    outputs: Ball
    layers: tuple[slice, ...]
    places: tuple[tuple[int, NDArray[np.intp]], ...]

    @property
    def unknowns(self) -> int:
        """``N``."""
        return len(self.arguments[0])


def slope_form(bounds: ValueBounds) -> SlopeForm:
    """The form of a network on the piece for which the bounds hold.

    Raises
    ------
    NotCertified
        If a maximum is undecided, or the matrices would be too large.

    Examples
    --------
    >>> from lipschitz.domains import Box
    >>> from lipschitz.linear_bounds import bound_values
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0], [-1.0]], [[2.0, 3.0]]])
    >>> form = slope_form(bound_values(network, Box([1.0], [2.0])))
    >>> form.unknowns, form.outputs[0]
    (0, array([[2.]]))
    >>> slope_form(bound_values(network, Box([-1.0], [2.0]))).unknowns
    2
    """
    network = bounds.network
    n = math.prod(network.input_shape)
    slopes = {
        j: bounds.slopes(j)
        for j, node in enumerate(network.nodes)
        if isinstance(node.layer, Activation)
    }
    unknowns = sum(int((low < high).sum()) for low, high in slopes.values())
    if (n + unknowns) * max(math.prod(s) for s in network.shapes) > _LARGEST:
        raise NotCertified(
            f"the Jacobian with {unknowns} undecided slopes needs matrices of more than {_LARGEST} "
            "entries; use a smaller `domain` or `product_bound`"
        )
    # One row per entry of (dx, u): how a value changes with it. Rows are added as unknowns appear.
    free = bounds.domain.free.ravel().astype(np.float64)
    tangents: list[Ball] = [exactly(np.diag(free).reshape(n, *network.input_shape))]
    arguments: list[Ball] = []
    layers: list[slice] = []
    places: list[tuple[int, NDArray[np.intp]]] = []
    count = n
    for j, node in enumerate(network.nodes):
        inputs = [_extended(tangents[i], count) for i in node.inputs]
        if isinstance(node.layer, LinearLayer):
            tangents.append(enclose_linear(node.layer, *inputs))
        elif j in slopes:
            low, high = slopes[j]
            which = np.flatnonzero(low < high)
            (center, radius), size = inputs[0], len(which)
            arguments.append(
                (center.reshape(count, -1)[:, which], radius.reshape(count, -1)[:, which])
            )
            layers.append(slice(count - n, count - n + size))
            places.append((j, which))
            tangents.append(_through(inputs[0], low, high, which))
            count += size
        else:
            raise NotCertified(
                f"node {node.name!r} ({type(node.layer).__name__}) has no slopes; "
                "split the network there, or use `product_bound`"
            )
    padded = [_extended(ball, count) for ball in arguments]
    empty = np.zeros((count, 0))
    center, radius = _extended(tangents[-1], count)
    return SlopeForm(
        inputs=n,
        arguments=(
            np.concatenate([empty, *(c for c, _ in padded)], axis=1).T.copy(),
            np.concatenate([empty, *(r for _, r in padded)], axis=1).T.copy(),
        ),
        outputs=(center.reshape(count, -1).T.copy(), radius.reshape(count, -1).T.copy()),
        layers=tuple(layers),
        places=tuple(places),
    )


def _extended(ball: Ball, count: int) -> Ball:
    """The same change, which does not depend on the unknowns that came later."""
    missing = count - len(ball[0])
    if missing == 0:
        return ball
    zeros = np.zeros((missing, *ball[0].shape[1:]))
    return np.concatenate([ball[0], zeros]), np.concatenate([ball[1], zeros])


def _through(argument: Ball, low: Array, high: Array, which: NDArray[np.intp]) -> Ball:
    """``a dv + (b - a) u`` with a new row for every ``u``."""
    center, radius = multiply(argument, exactly(low[None]))
    shape = (len(which), *low.shape)
    spread, doubt = np.zeros((len(which), low.size)), np.zeros((len(which), low.size))
    width = add(exactly(high), exactly(-low))
    rows = np.arange(len(which))
    spread[rows, which] = width[0].ravel()[which]
    doubt[rows, which] = width[1].ravel()[which]
    spread, doubt = spread.reshape(shape), doubt.reshape(shape)
    return np.concatenate([center, spread]), np.concatenate([radius, doubt])


# ---- intervals ----------------------------------------------------------------------------------
def jacobian_interval(form: SlopeForm) -> Ball:
    """Centre and radius of a matrix that contains every Jacobian of the form.

    The intersection of two evaluations: unknowns by inputs, forward, and outputs by unknowns,
    backward.

    Examples
    --------
    >>> from lipschitz.domains import Box
    >>> from lipschitz.linear_bounds import bound_values
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0], [-1.0]], [[2.0, 3.0]]])  # 2 relu(x) + 3 relu(-x)
    >>> center, radius = jacobian_interval(slope_form(bound_values(network, Box([-1.0], [1.0]))))
    >>> low, high = bounds_of_ball(center, radius)
    >>> bool(-3.0 - 1e-9 < low[0, 0] <= -3.0), bool(2.0 <= high[0, 0] < 2.0 + 1e-9)
    (True, True)
    """
    low, high = bounds_of_ball(*_forward(form))
    low_2, high_2 = bounds_of_ball(*_backward(form))
    # Both contain the Jacobians, so that the intersection is not empty.
    return ball_of_bounds(np.maximum(low, low_2), np.minimum(high, high_2))


def _forward(form: SlopeForm) -> Ball:
    """``u`` as intervals of multiples of ``dx``, layer by layer, and then ``dy``."""
    n = form.inputs
    center, radius = np.zeros((form.unknowns, n)), np.zeros((form.unknowns, n))
    for part in form.layers:
        dv = _combined(form.arguments, part, n, (center, radius), part.start)
        center[part], radius[part] = _gated(dv)
    return _combined(form.outputs, slice(None), n, (center, radius), form.unknowns)


def _combined(matrix: Ball, rows: slice, n: int, u: Ball, known: int) -> Ball:
    """``M_x + M_u u`` for the unknowns before ``known``."""
    direct = matrix[0][rows, :n], matrix[1][rows, :n]
    if known == 0:
        return direct
    through = matrix[0][rows, n : n + known], matrix[1][rows, n : n + known]
    return add(direct, matmul(through, (u[0][:known], u[1][:known])))


def _backward(form: SlopeForm) -> Ball:
    """What each output owes to ``dv`` and ``dx``, from the last unknowns to the first."""
    n = form.inputs
    owed = form.outputs[0].copy(), form.outputs[1].copy()
    for part in reversed(form.layers):
        if part.start == part.stop:
            continue
        columns = slice(n + part.start, n + part.stop)
        weight = _gated((owed[0][:, columns], owed[1][:, columns]))
        before = slice(0, n + part.start)
        rows = form.arguments[0][part, before], form.arguments[1][part, before]
        change = add((owed[0][:, before], owed[1][:, before]), matmul(weight, rows))
        owed[0][:, before], owed[1][:, before] = change
    return owed[0][:, :n], owed[1][:, :n]


def _gated(ball: Ball) -> Ball:
    """All ``t x`` with ``t`` in [0, 1] and ``x`` in the ball."""
    low, high = bounds_of_ball(*ball)
    return ball_of_bounds(np.minimum(low, 0.0), np.maximum(high, 0.0))


def norm_above(jacobian: Ball, norm: float) -> float:
    """An upper bound of the norm from l_p to l_p of every matrix in the ball.

    The largest norm of a matrix with ``|J| <= M`` entrywise is at most that of ``M``, for the three
    norms; for l2 the norm of the centre plus that of the radius may be smaller.
    """
    low, high = bounds_of_ball(*jacobian)
    largest = np.maximum(np.abs(low), np.abs(high))
    if not np.isfinite(largest).all():
        return math.inf
    upper = operator_norm(largest, norm, norm).upper
    if norm == 2 and min(largest.shape) > 1:
        upper = min(upper, operator_norm(jacobian[0], 2, 2, error=jacobian[1]).upper)
    return upper
