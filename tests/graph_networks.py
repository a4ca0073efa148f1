"""Random small networks with shortcuts, concatenation, convolutions and pooling, for tests."""

from __future__ import annotations

import math

import numpy as np

from lipschitz.layers import (
    Activation,
    Add,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    Layer,
    MaxPool,
    Reshape,
    Scale,
)
from lipschitz.network import Network, Node

KINDS = ("relu", "leaky_relu", "sigmoid", "tanh", "softplus", "elu")


class Builder:
    """Nodes appended one by one; `value` numbers the last one."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
        self.rng, self.shapes, self.nodes = rng, [shape], []

    @property
    def value(self) -> int:
        return len(self.nodes)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.shapes[-1]

    def put(self, layer: Layer, *inputs: int) -> int:
        chosen = inputs or (self.value,)
        self.nodes.append(Node(name=f"node {self.value}", layer=layer, inputs=chosen))
        self.shapes.append(layer.output_shape)
        return self.value

    def dense(self, rows: int, *inputs: int) -> int:
        columns = self.shapes[inputs[0] if inputs else self.value][0]
        weight = self.rng.standard_normal((rows, columns)) / math.sqrt(columns)
        return self.put(Dense(weight=weight, bias=self.rng.standard_normal(rows)), *inputs)

    def gate(self, kind: str | None = None) -> int:
        kind = kind or str(self.rng.choice(KINDS))
        parameter = float(self.rng.choice([-0.5, 0.2, 1.5])) if kind == "leaky_relu" else None
        return self.put(Activation(kind=kind, input_shape=self.shape, parameter=parameter))

    def convolution(self, channels: int, *inputs: int) -> int:
        shape = self.shapes[inputs[0] if inputs else self.value]
        kernel = self.rng.standard_normal((channels, shape[0], 3)) / math.sqrt(3 * shape[0])
        layer = Convolution(kernel=kernel, input_shape=shape, pad_width=1)
        return self.put(layer, *inputs)

    def network(self) -> Network:
        return Network(input_shape=self.shapes[0], nodes=tuple(self.nodes))


def random_graph(rng: np.random.Generator) -> Network:
    """A residual block, a concatenation with the input, and average pooling or a normalisation."""
    kind = str(rng.choice(KINDS)) if rng.random() < 0.7 else None
    if rng.random() < 0.3:
        return _convolutional(rng, kind)
    build = Builder(rng, (int(rng.integers(1, 4)),))
    build.dense(int(rng.integers(1, 5)))
    trunk = build.gate(kind)
    width = build.shape[0]
    for _ in range(int(rng.integers(1, 3))):
        build.dense(int(rng.integers(1, 5)), trunk)
        build.gate(kind)
        branch = build.dense(width)
        if rng.random() < 0.5:
            scale = rng.uniform(0.5, 2.0, width)
            branch = build.put(Scale(input_shape=(width,), scale=scale, shift=scale))
        build.put(Add(input_shape=(width,)), trunk, branch)
        trunk = build.gate(kind) if rng.random() < 0.5 else build.value
    if rng.random() < 0.5:
        build.put(Concatenate(shapes=(build.shapes[0], (width,))), 0, trunk)
    if rng.random() < 0.8:
        build.dense(int(rng.integers(1, 4)))
    return build.network()


def _convolutional(rng: np.random.Generator, kind: str | None) -> Network:
    build = Builder(rng, (1, 6))
    build.convolution(2)
    trunk = build.gate(kind)
    branch = build.convolution(2)
    build.put(Add(input_shape=(2, 6)), trunk, branch)
    build.gate(kind)
    build.put(AveragePool(input_shape=(2, 6), kernel_size=2, stride=2))
    build.put(Reshape(input_shape=(2, 3), target_shape=(6,)))
    build.dense(2)
    return build.network()


def with_max_pooling(rng: np.random.Generator) -> Network:
    """Convolution, gate, overlapping max pooling, and two dense layers."""
    build = Builder(rng, (1, 9))
    build.convolution(2)
    build.gate("relu")
    build.put(MaxPool(input_shape=(2, 9), kernel_size=3, stride=2))
    build.put(Reshape(input_shape=(2, 4), target_shape=(8,)))
    build.dense(5)
    build.gate("relu")
    build.dense(2)
    return build.network()


def largest_slope(network: Network, rng: np.random.Generator, count: int) -> float:
    """The largest of some difference quotients: at most the constant, up to rounding."""
    x = rng.standard_normal((count, *network.input_shape)) * 3.0
    steps = rng.standard_normal(x.shape) * 10.0 ** rng.uniform(
        -2.0, 1.0, (count,) + (1,) * (x.ndim - 1)
    )
    change = (network.apply(x + steps) - network.apply(x)).reshape(count, -1)
    distance = np.linalg.norm(steps.reshape(count, -1), axis=1)
    return float((np.linalg.norm(change, axis=1) / distance).max())
