"""Small networks in exact arithmetic: values, one-sided derivatives, and constants on the line.

Written from the definitions on lists of ``Fraction``; nothing here rounds and nothing is shared
with the package but the description of a network.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lipschitz.layers import (
    Activation,
    Add,
    Concatenate,
    Dense,
    Identity,
    MaxPool,
    Reshape,
    Scale,
)
from lipschitz.network import Network, Node

__all__ = [
    "directional_derivative",
    "exact_value",
    "is_norm_bound",
    "matrix_of",
    "mlp",
    "norm_power",
    "pieces_on_the_line",
    "slopes_on_the_line",
]

Vector = list[Fraction]


def mlp(weights: Sequence[Any], biases: Sequence[Any], kind: str = "relu") -> Network:
    """Dense layers with one activation between any two."""
    nodes: list[Node] = []
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        layer = Dense(weight=np.asarray(weight, float), bias=np.asarray(bias, float))
        nodes.append(Node(name=f"dense {i}", layer=layer, inputs=(len(nodes),)))
        if i + 1 < len(weights):
            gate = Activation(kind=kind, input_shape=layer.output_shape)
            nodes.append(Node(name=f"{kind} {i}", layer=gate, inputs=(len(nodes),)))
    return Network(input_shape=nodes[0].layer.input_shapes[0], nodes=tuple(nodes))


def exact_value(network: Network, x: Sequence[Fraction]) -> list[Vector]:
    """All values of the network at one point, as flat lists."""
    return _sweep(network, x, None)[0]


def directional_derivative(
    network: Network, x: Sequence[Fraction], v: Sequence[Fraction]
) -> Vector:
    """``lim (f(x + t v) - f(x)) / t`` for ``t`` down to 0, kinks included."""
    derivatives = _sweep(network, x, v)[1]
    return derivatives[-1]


def _sweep(
    network: Network, x: Sequence[Fraction], v: Sequence[Fraction] | None
) -> tuple[list[Vector], list[Vector]]:
    values: list[Vector] = [[Fraction(t) for t in x]]
    slopes: list[Vector] = [[Fraction(t) for t in (v if v is not None else [0] * len(x))]]
    for node in network.nodes:
        a, da = [values[i] for i in node.inputs], [slopes[i] for i in node.inputs]
        layer = node.layer
        if isinstance(layer, Dense):
            bias = [0.0] * len(layer.weight) if layer.bias is None else layer.bias
            values.append(
                [_dot(r, a[0]) + Fraction(b) for r, b in zip(layer.weight, bias, strict=True)]
            )
            slopes.append([_dot(r, da[0]) for r in layer.weight])
        elif isinstance(layer, Scale):
            scale = np.broadcast_to(layer.scale, layer.input_shape).ravel()
            shift = np.zeros(()) if layer.shift is None else layer.shift
            shift = np.broadcast_to(shift, layer.input_shape).ravel()
            rows = zip(scale, a[0], shift, strict=True)
            values.append([Fraction(s) * t + Fraction(b) for s, t, b in rows])
            slopes.append([Fraction(s) * t for s, t in zip(scale, da[0], strict=True)])
        elif isinstance(layer, Activation):
            left = Fraction(layer.parameter or 0)
            assert layer.kind in ("relu", "leaky_relu")
            values.append([t if t > 0 else left * t for t in a[0]])
            pairs = zip(a[0], da[0], strict=True)
            slopes.append([d if t > 0 or (t == 0 and d > 0) else left * d for t, d in pairs])
        elif isinstance(layer, Add):
            values.append([sum(t, Fraction(0)) for t in zip(*a, strict=True)])
            slopes.append([sum(t, Fraction(0)) for t in zip(*da, strict=True)])
        elif isinstance(layer, Concatenate):
            assert all(len(s) == 1 for s in layer.shapes)
            values.append(list(itertools.chain(*a)))
            slopes.append(list(itertools.chain(*da)))
        elif isinstance(layer, MaxPool):
            best, steepest = _maxima(layer, a[0], da[0])
            values.append(best)
            slopes.append(steepest)
        elif isinstance(layer, (Identity, Reshape)):
            values.append(a[0])
            slopes.append(da[0])
        else:
            raise TypeError(type(layer).__name__)
    return values, slopes


def _maxima(layer: MaxPool, a: Vector, da: Vector) -> tuple[Vector, Vector]:
    """One spatial axis, no padding."""
    ((k,), (s,), (d,)) = layer.kernel_size, layer.stride, layer.dilation
    channels, size = layer.input_shape
    best, steepest = [], []
    for c, w in itertools.product(range(channels), range(layer.output_shape[1])):
        seen = [c * size + w * s + t * d for t in range(k)]
        top = max(a[i] for i in seen)
        best.append(top)
        steepest.append(max(da[i] for i in seen if a[i] == top))
    return best, steepest


def _dot(row: Any, x: Vector) -> Fraction:
    return sum((Fraction(float(w)) * t for w, t in zip(row, x, strict=True)), Fraction(0))


def pieces_on_the_line(network: Network) -> list[tuple[Fraction, Fraction]]:
    """Two points inside every linear piece of a network with one input, from left to right."""
    cuts: list[Fraction] = []
    for depth, node in enumerate(network.nodes):
        if not isinstance(node.layer, Activation):
            continue
        found = set(cuts)
        for p, q in _inside(cuts):
            at_p = exact_value(network, [p])[node.inputs[0]]
            at_q = exact_value(network, [q])[node.inputs[0]]
            low, high = _ends(cuts, p)
            for y, z in zip(at_p, at_q, strict=True):
                if y != z:
                    zero = p - y * (q - p) / (z - y)
                    if (low is None or low < zero) and (high is None or zero < high):
                        found.add(zero)
        cuts = sorted(found)
        del depth
    return _inside(cuts)


def slopes_on_the_line(network: Network) -> list[Vector]:
    """The derivative on every linear piece of a network with one input."""
    slopes = []
    for p, q in pieces_on_the_line(network):
        y, z = exact_value(network, [p])[-1], exact_value(network, [q])[-1]
        slopes.append([(b - a) / (q - p) for a, b in zip(y, z, strict=True)])
    return slopes


def _inside(cuts: list[Fraction]) -> list[tuple[Fraction, Fraction]]:
    if not cuts:
        return [(Fraction(0), Fraction(1))]
    pairs = [(cuts[0] - 2, cuts[0] - 1)]
    pairs += [((2 * a + b) / 3, (a + 2 * b) / 3) for a, b in itertools.pairwise(cuts)]
    return [*pairs, (cuts[-1] + 1, cuts[-1] + 2)]


def _ends(cuts: list[Fraction], p: Fraction) -> tuple[Fraction | None, Fraction | None]:
    below = [c for c in cuts if c < p]
    above = [c for c in cuts if c > p]
    return (below[-1] if below else None), (above[0] if above else None)


def norm_power(vector: Sequence[Any], norm: float) -> Fraction:
    """The 1-norm, the square of the 2-norm, or the largest entry: exact."""
    sizes = [abs(Fraction(t)) for t in vector]
    if norm == 1:
        return sum(sizes, Fraction(0))
    return sum((t * t for t in sizes), Fraction(0)) if norm == 2 else max(sizes)


def matrix_of(layer: Any) -> np.ndarray:
    """The matrix of a linear layer, exact where the weights are small integers."""
    size = int(np.prod(layer.input_shapes[0], dtype=int))
    columns = layer.linear(np.eye(size).reshape(size, *layer.input_shapes[0]))
    return np.ascontiguousarray(columns.reshape(size, -1).T)


def is_norm_bound(matrix: np.ndarray, bound: float) -> bool:
    """Whether ``bound >= ||matrix||_2``, decided by exact Gaussian elimination.

    ``bound^2 I - A^T A`` is positive semidefinite if and only if elimination with diagonal pivots
    meets no negative pivot, and only zero rows under zero pivots.
    """
    a = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    rows = [[Fraction(float(t)) for t in column] for column in a.T]
    n = len(rows)
    g = [
        [-sum((s * t for s, t in zip(p, q, strict=True)), Fraction(0)) for q in rows] for p in rows
    ]
    for i in range(n):
        g[i][i] += Fraction(bound) ** 2
    left = list(range(n))
    while left:
        pivot = max(left, key=lambda i: g[i][i])
        left.remove(pivot)
        if g[pivot][pivot] < 0 or (
            g[pivot][pivot] == 0 and any(g[i][j] for i in [pivot, *left] for j in [pivot, *left])
        ):
            return False
        if g[pivot][pivot] == 0:
            return True
        for i in left:
            factor = g[i][pivot] / g[pivot][pivot]
            if factor:
                for j in left:
                    g[i][j] -= factor * g[pivot][j]
    return True
