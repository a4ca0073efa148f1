"""Jacobian products of a network for a batch of points, in plain floating point.

Nothing here is certified: these are the searches' inner loops. Gates are either the hard ones of
the network or smoothed, so that a derivative of the derivative exists.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipschitz.layers import Activation, LinearLayer, MaxPool
from lipschitz.network import Network, Node
from lipschitz.operators import DUAL

__all__ = ["HardGates", "SmoothSweep", "dual_vector", "value_scales"]

Array = NDArray[np.float64]
Gate = Array | NDArray[np.intp] | None


class HardGates:
    """The Jacobian of a network at every point of a batch, as a pair of linear maps.

    Parameters
    ----------
    network : Network
    points : array, shape (batch, *network.input_shape)
    free : array of 0 and 1, shape (*network.input_shape), optional
        Entries of a direction that may differ from 0 in `power`.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([np.array([[2.0], [-1.0]]), np.array([[1.0, 1.0]])])
    >>> gates = HardGates(network, np.array([[3.0], [-3.0]]))
    >>> gates.push(np.ones((2, 1))).ravel()
    array([ 2., -1.])
    """

    def __init__(self, network: Network, points: Array, free: Array | float = 1.0) -> None:
        self._network, self._free = network, free
        self._gates: list[Gate] = []
        self.values: list[Array] = [points]
        for node in network.nodes:
            inputs = [self.values[i] for i in node.inputs]
            self._gates.append(_hard_gate(node, inputs[0]))
            self.values.append(node.layer.apply(*inputs))

    def push(self, directions: Array) -> Array:
        """``J(x_b) v_b`` for every sample ``b``."""
        return self.tangents(directions)[-1]

    def pull(self, covectors: Array) -> Array:
        """``J(x_b)^T u_b`` for every sample ``b``."""
        return self.cotangents({len(self._network.nodes): covectors})[0]

    def tangents(self, directions: Array) -> list[Array]:
        """The directional derivative of every value of the network."""
        tangents: list[Array] = [directions]
        for node, gate in zip(self._network.nodes, self._gates, strict=True):
            tangents.append(_forward(node, gate, [tangents[i] for i in node.inputs]))
        return tangents

    def cotangents(self, seeds: dict[int, Array]) -> list[Array]:
        """Derivatives of ``sum_i <seeds[i], value i>`` by every value of the network."""
        nodes = self._network.nodes
        sums: list[Array | None] = [seeds.get(i) for i in range(len(nodes) + 1)]
        for j in range(len(nodes) - 1, -1, -1):
            above = sums[j + 1]
            if above is not None:
                _spread(sums, nodes[j].inputs, _backward(nodes[j], self._gates[j], above))
        shapes = self._network.shapes
        batch = len(self.values[0])
        return [_or_zero(s, (batch, *shape)) for s, shape in zip(sums, shapes, strict=True)]

    def power(self, norm: float, directions: Array, steps: int) -> tuple[Array, Array, Array]:
        """Power iteration for ``max ||J v||_p / ||v||_p`` (Boyd; Hager's method for p = 1).

        Returns
        -------
        values, directions, covectors
            The best quotient seen for each sample, and its unit vectors.
        """
        v = dual_vector(directions * self._free, norm) * self._free
        best = np.full(len(v), -1.0)
        best_v, best_u = v, np.zeros((len(v), *self._network.output_shape))
        for _ in range(steps):
            image = self.push(v)
            u = dual_vector(image, DUAL[norm])
            values = np.einsum("bi,bi->b", _flat(u), _flat(image))
            better = values > best
            best = np.where(better, values, best)
            best_v = np.where(_column(better, v), v, best_v)
            best_u = np.where(_column(better, u), u, best_u)
            v = dual_vector(self.pull(u) * self._free, norm) * self._free
        return best, best_v, best_u


@dataclass(frozen=True, slots=True)
class SmoothSweep:
    """``g(x) = u^T J_tau(x) v`` with smoothed gates, and its gradients, for a batch.

    A kink of slopes ``a`` (left) and ``b`` (right) becomes ``a + (b - a) sigmoid(z / tau)``;
    smooth activations stay as they are. With ``a = phi(z)`` and ``da = phi'(z) dz`` the reverse
    sweep is ``z_bar = phi'(z) a_bar + phi''(z) dz da_bar`` and ``dz_bar = phi'(z) da_bar``.

    Parameters
    ----------
    network : Network
    scales : sequence of arrays, shape (batch,)
        Typical size of every value, for every sample; ``tau`` is measured in it.
    """

    network: Network
    scales: tuple[Array, ...]

    def gradients(
        self, points: Array, directions: Array, covectors: Array, tau: float
    ) -> tuple[Array, Array, Array]:
        """``dg/dx``, ``J_tau^T u`` and ``J_tau v``."""
        nodes = self.network.nodes
        values: list[Array] = [points]
        tangents: list[Array] = [directions]
        slopes: list[Gate] = []
        bends: list[Array | None] = []
        for node in nodes:
            zs, dzs = [values[i] for i in node.inputs], [tangents[i] for i in node.inputs]
            if isinstance(node.layer, Activation):
                width = (tau * self.scales[node.inputs[0]]).reshape(-1, *(1,) * (zs[0].ndim - 1))
                value, slope, bend = _smoothed(node.layer, zs[0], width)
                values.append(value)
                tangents.append(slope * dzs[0])
                slopes.append(slope)
                bends.append(bend * dzs[0])
                continue
            gate = _hard_gate(node, zs[0])
            values.append(node.layer.apply(*zs))
            tangents.append(_forward(node, gate, dzs))
            slopes.append(gate)
            bends.append(None)
        image = tangents[-1]
        value_bars: list[Array | None] = [None] * (len(nodes) + 1)
        tangent_bars: list[Array | None] = [None] * len(nodes) + [covectors]
        for j in range(len(nodes) - 1, -1, -1):
            node, dz_bend = nodes[j], bends[j]
            above, value_above = tangent_bars[j + 1], value_bars[j + 1]
            if above is not None:
                _spread(tangent_bars, node.inputs, _backward(node, slopes[j], above))
            if value_above is not None:
                _spread(value_bars, node.inputs, _backward(node, slopes[j], value_above))
            if above is not None and dz_bend is not None:
                _spread(value_bars, node.inputs, (dz_bend * above,))
        shape = points.shape
        return _or_zero(value_bars[0], shape), _or_zero(tangent_bars[0], shape), image


def value_scales(network: Network, points: Array) -> tuple[Array, ...]:
    """Mean absolute size of every value, for every sample; 1 where all entries are zero."""
    sizes = [np.mean(np.abs(_flat(value)), axis=1) for value in network.values(points)]
    return tuple(np.where((size > 0.0) & (size < np.inf), size, 1.0) for size in sizes)


def dual_vector(values: Array, norm: float) -> Array:
    """For each sample the vector with ``||v||_norm <= 1`` that has the largest inner product.

    Examples
    --------
    >>> dual_vector(np.array([[3.0, -4.0]]), 2)
    array([[ 0.6, -0.8]])
    >>> dual_vector(np.array([[3.0, -4.0]]), 1)
    array([[ 0., -1.]])
    """
    flat = _flat(values)
    if norm == 2:
        largest = np.abs(flat).max(axis=1, keepdims=True)
        scaled = flat / np.where(largest > 0.0, largest, 1.0)
        length = np.sqrt(np.einsum("bi,bi->b", scaled, scaled))[:, None]
        unit = scaled / np.where(length > 0.0, length, 1.0)
    elif norm == 1:
        unit = np.zeros_like(flat)
        rows, best = np.arange(len(flat)), np.argmax(np.abs(flat), axis=1)
        unit[rows, best] = np.where(flat[rows, best] < 0.0, -1.0, 1.0)
    else:
        unit = np.where(flat < 0.0, -1.0, 1.0)
    return unit.reshape(values.shape)


def _hard_gate(node: Node, argument: Array) -> Gate:
    if isinstance(node.layer, Activation):
        return node.layer.derivative(argument)
    return node.layer.winners(argument) if isinstance(node.layer, MaxPool) else None


def _smoothed(layer: Activation, z: Array, width: Array) -> tuple[Array, Array, Array]:
    """Value, slope and bend (second derivative) of the smoothed activation."""
    if layer.is_smooth:
        step = 1e-3 * width
        bend = (layer.derivative(z + step) - layer.derivative(z - step)) / (2.0 * step)
        return layer.apply(z), layer.derivative(z), bend
    left, right = (float(layer.derivative(np.array([s]))[0]) for s in (-1.0, 1.0))
    t = np.clip(z / width, -40.0, 40.0)
    gate = 1.0 / (1.0 + np.exp(-t))
    softplus = width * np.logaddexp(0.0, t) + np.maximum(z - 40.0 * width, 0.0)
    jump = right - left
    return left * z + jump * softplus, left + jump * gate, (jump / width) * gate * (1.0 - gate)


def _forward(node: Node, gate: Gate, tangents: list[Array]) -> Array:
    layer = node.layer
    if isinstance(layer, LinearLayer):
        return layer.linear(*tangents)
    if isinstance(layer, MaxPool):
        return layer.take(gate, tangents[0])  # type: ignore[arg-type]
    return tangents[0] * gate  # type: ignore[operator]


def _backward(node: Node, gate: Gate, above: Array) -> tuple[Array, ...]:
    layer = node.layer
    if isinstance(layer, LinearLayer):
        return layer.adjoint(above)
    if isinstance(layer, MaxPool):
        return (layer.put(gate, above),)  # type: ignore[arg-type]
    return (above * gate,)  # type: ignore[operator]


def _spread(sums: list[Array | None], inputs: Iterable[int], parts: Iterable[Array]) -> None:
    for i, part in zip(inputs, parts, strict=True):
        before = sums[i]
        sums[i] = part if before is None else before + part


def _or_zero(value: Array | None, shape: tuple[int, ...]) -> Array:
    return np.zeros(shape) if value is None else value


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1)


def _column(mask: NDArray[np.bool_], like: Array) -> NDArray[np.bool_]:
    return mask.reshape(-1, *([1] * (like.ndim - 1)))
