"""Pieces of a domain: an upper bound of the Jacobian on each, and how to cut one in two.

The pieces of a domain cover it, so that the largest of their bounds is one for the domain. A piece
is cut along an input or at a value of a neuron's argument; where the argument of a ReLU is cut at
0, its slope is known on both sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified
from evidence.rounding import mul_up, sqrt_up
from lipschitz.domains import Ball, BallInBox, Box, Domain
from lipschitz.half_spaces import is_empty
from lipschitz.layers import Activation
from lipschitz.linear_bounds import ValueBounds, bound_values
from lipschitz.local_form import SlopeForm, jacobian_interval, norm_above, slope_form
from lipschitz.local_sdp import semidefinite_norm

__all__ = ["Piece", "halves", "piece_of"]

Array = NDArray[np.float64]

_FEW_INPUTS = 8
_FEW_UNKNOWNS = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """Bounds of the values on a part of the domain, and of the Jacobian's norm there.

    Parameters
    ----------
    bounds : ValueBounds
    upper : float
        Of the norm of every Jacobian on the piece, from l_p to l_p.
    form : SlopeForm or None
        None if it would be too large, or is not needed any more.
    method : str
        What gave `upper`.
    """

    bounds: ValueBounds
    upper: float
    form: SlopeForm | None
    method: str


def piece_of(
    bounds: ValueBounds, norm: float, *, enough: float, rtol: float, deadline: float
) -> Piece:
    """Bound the Jacobian on a piece by intervals and, unless that is enough, semidefinitely.

    Between the norms: ``||J||_inf <= sqrt(n) ||J||_2`` for ``n`` inputs and ``||J||_1 <= sqrt(m)
    ||J||_2`` for ``m`` outputs, since ``||x||_2 <= sqrt(n) ||x||_inf`` and ``||y||_1 <= sqrt(m)
    ||y||_2``.
    """
    try:
        form = slope_form(bounds)
    except NotCertified:
        return Piece(bounds=bounds, upper=math.inf, form=None, method="nothing")
    upper, method = norm_above(jacobian_interval(form), norm), "intervals"
    if upper > enough and form.unknowns:
        root = {2.0: 1, math.inf: int(bounds.domain.free.sum()), 1.0: len(form.outputs[0])}[norm]
        whole, _ = semidefinite_norm(form, rtol=rtol, deadline=deadline)
        bound = mul_up(whole, sqrt_up(float(root)))
        if bound < upper:
            upper, method = bound, "semidefinite bound"
    return Piece(bounds=bounds, upper=upper, form=form, method=method)


def halves(piece: Piece, *, deadline: float) -> list[ValueBounds] | None:
    """Bounds on the two halves of a piece, less the empty ones; None if it cannot be cut.

    Few inputs are cut themselves; many (or few unknown ReLUs) leave the cut to the neuron whose
    unknown slope matters most, ``|dv_j| |dy / du_j|`` by intervals.
    """
    bounds, form = piece.bounds, piece.form
    if form is None or is_empty(bounds):
        return None if form is None else []
    cut = None if _prefers_inputs(bounds, form) else _neuron_cut(bounds, form)
    # Where every slope is known, the piece may still be empty: smaller ones show it.
    cut = cut or _input_cut(bounds, form)
    if cut is None:
        return None
    found = []
    for domain, cuts in cut:
        half = bound_values(bounds.network, domain, within=bounds, cuts=cuts, deadline=deadline)
        if half is not None:
            found.append(half)
    return found


def _prefers_inputs(bounds: ValueBounds, form: SlopeForm) -> bool:
    """Whether cutting the inputs promises more: halves of a ReLU are final, others are not."""
    inputs = int(bounds.domain.free.sum())
    layers = [bounds.network.nodes[node].layer for node, which in form.places if len(which)]
    final = all(isinstance(layer, Activation) and _is_final(layer) for layer in layers)
    return inputs <= _FEW_INPUTS and not (final and form.unknowns <= _FEW_UNKNOWNS * inputs)


Cut = list[tuple[Domain, dict[int, tuple[Array, Array]]]]


def _input_cut(bounds: ValueBounds, form: SlopeForm) -> Cut | None:
    """Across the axis along which the unknown neurons change most."""
    hull = bounds.domain.hull
    lower, upper = np.maximum(hull.lower, bounds.lower[0]), np.minimum(hull.upper, bounds.upper[0])
    sides = (upper - lower).ravel()
    change = np.abs(form.arguments[0][:, : form.inputs])
    weight = np.abs(form.outputs[0][:, form.inputs :]).sum(axis=0)
    weight = weight + np.abs(form.arguments[0][:, form.inputs :]).sum(axis=0)
    score = sides * (weight @ change + 1e-9 * change.sum(axis=0) + 1e-300)
    axis = int(np.argmax(score))
    middle = 0.5 * lower.ravel()[axis] + 0.5 * upper.ravel()[axis]
    if not lower.ravel()[axis] < middle < upper.ravel()[axis]:
        return None
    below, above = upper.copy(), lower.copy()
    below.flat[axis] = above.flat[axis] = middle
    return [
        (_part(bounds.domain, Box(*corners)), {}) for corners in ((lower, below), (above, upper))
    ]


def _part(domain: Domain, box: Box) -> Domain:
    if isinstance(domain, Box):
        return box
    return BallInBox(ball=domain if isinstance(domain, Ball) else domain.ball, hull=box)


def _neuron_cut(bounds: ValueBounds, form: SlopeForm) -> Cut | None:
    """At the kink of a neuron, or in the middle of its arguments."""
    for k in np.argsort(-_influence(form)).tolist():
        part = next(i for i, s in enumerate(form.layers) if s.start <= k < s.stop)
        node, which = form.places[part]
        layer = bounds.network.nodes[node].layer
        value, entry = bounds.network.nodes[node].inputs[0], int(which[k - form.layers[part].start])
        low, high = bounds.lower[value], bounds.upper[value]
        left, right = float(low.flat[entry]), float(high.flat[entry])
        kinked = isinstance(layer, Activation) and not layer.is_smooth
        at = 0.0 if kinked and left < 0.0 < right else 0.5 * left + 0.5 * right
        if left < at < right:
            below, above = high.copy(), low.copy()
            below.flat[entry] = above.flat[entry] = at
            return [
                (bounds.domain, {value: (low, below)}),
                (bounds.domain, {value: (above, high)}),
            ]
    return None


def _is_final(layer: Activation) -> bool:
    """Whether the layer has one slope on each side of 0."""
    return layer.kind in ("relu", "leaky_relu")


def _influence(form: SlopeForm) -> Array:
    """``|dv_j| |dy / du_j|`` for every unknown, from interval magnitudes."""
    n = form.inputs
    moved = np.zeros((form.unknowns, n))
    sizes = np.abs(form.arguments[0])
    for part in form.layers:
        moved[part] = sizes[part, :n] + sizes[part, n : n + part.start] @ moved[: part.start]
    owed = np.abs(form.outputs[0][:, n:])
    for part in reversed(form.layers):
        before = slice(0, part.start)
        owed[:, before] += owed[:, part] @ sizes[part, n : n + part.start]
    with np.errstate(all="ignore"):  # an order to try them in, no bound
        influence: Array = np.linalg.norm(moved, axis=1) * np.linalg.norm(owed, axis=0)
    return np.asarray(np.nan_to_num(influence, nan=0.0))
