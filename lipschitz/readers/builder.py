"""Assemble a `Network` from operators that see a batch axis of length 1.

Files and modules speak of arrays with a batch axis, layers of single samples. A `Value` carries the
full shape; its sample is the shape without a leading axis of length 1, where there are at least
two axes. With one sample in the batch nothing can mix samples, so every operator that merely moves
numbers, the batch axis included, is an exact reshape or permutation of the one sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from evidence import NotCertified
from lipschitz.layers.activations import Activation
from lipschitz.layers.balls import Ball, exactly
from lipschitz.layers.contract import Array, Layer, Shape
from lipschitz.layers.convolution import Convolution
from lipschitz.layers.dense import Dense, Scale, broadcasts
from lipschitz.layers.joints import Add, Concatenate, Identity, Permute, Reshape
from lipschitz.layers.padding import Pad
from lipschitz.layers.pooling import AveragePool, MaxPool
from lipschitz.network import Network, Node

__all__ = ["NetworkBuilder", "Value", "axis_of", "resolve_shape", "sample_of"]


_LARGEST: Final = 2**28


@dataclass(frozen=True, slots=True)
class Value:
    """A computed array: its index in the network and its shape with the batch axis."""

    index: int
    shape: Shape

    @property
    def sample(self) -> Shape:
        """The shape that the layers see."""
        return sample_of(self.shape)


def sample_of(shape: Shape) -> Shape:
    """``shape`` without its leading axis of length 1, if another axis remains.

    Examples
    --------
    >>> sample_of((1, 3, 8, 8)), sample_of((784, 1)), sample_of((1,))
    ((3, 8, 8), (784, 1), (1,))
    """
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape


def axis_of(axis: int, rank: int) -> int:
    """A possibly negative axis, counted from the front.

    Examples
    --------
    >>> axis_of(-1, 3)
    2
    """
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} does not exist in an array with {rank} axes")
    return axis % rank


def resolve_shape(target: Sequence[int], shape: Shape) -> Shape:
    """The shape that ``reshape(target)`` gives to an array of ``shape``; one entry may be -1.

    Examples
    --------
    >>> resolve_shape((1, -1), (1, 2, 3))
    (1, 6)
    """
    size, known = math.prod(shape), math.prod(n for n in target if n != -1)
    free = [i for i, n in enumerate(target) if n == -1]
    if len(free) > 1 or any(n < -1 for n in target):
        raise ValueError(f"a shape may hold one -1 and no other negative entry, got {target}")
    if free and (known == 0 or size % known):
        raise ValueError(f"an array of shape {shape} cannot be reshaped to {tuple(target)}")
    result = tuple(size // known if n == -1 else int(n) for n in target)
    if math.prod(result) != size:
        raise ValueError(f"an array of shape {shape} cannot be reshaped to {tuple(target)}")
    return result


@dataclass(slots=True)
class NetworkBuilder:
    """Collects nodes; every method takes values and constants in full shape and adds layers.

    ``name`` is the name that the next nodes get; a second node of one name is numbered.
    """

    input_shape: Shape
    name: str = "node"
    nodes: list[Node] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def input(self) -> Value:
        """The network's input."""
        return Value(0, self.input_shape)

    def emit(self, layer: Layer, inputs: Sequence[int], shape: Shape) -> Value:
        """Add a layer whose output has the given full shape."""
        if math.prod(layer.output_shape) > _LARGEST:
            raise ValueError(
                f"gives an array of shape {layer.output_shape}, with more than 2**28 numbers for "
                "one sample"
            )
        index = self._append(layer, inputs)
        wanted = sample_of(shape)
        if layer.output_shape != wanted:
            layer = Reshape(input_shape=layer.output_shape, target_shape=wanted)
            index = self._append(layer, (index,))
        return Value(index, shape)

    def _append(self, layer: Layer, inputs: Sequence[int]) -> int:
        taken, name, count = {node.name for node in self.nodes}, self.name, 1
        while name in taken:
            count += 1
            name = f"{self.name}#{count}"
        self.nodes.append(Node(name=name, layer=layer, inputs=tuple(inputs)))
        return len(self.nodes)

    def _with_layout(self, value: Value, layout: Shape) -> int:
        """Index of ``value`` as an array of shape ``layout``."""
        if value.sample == layout:
            return value.index
        layer = Reshape(input_shape=value.sample, target_shape=layout)
        return self._append(layer, (value.index,))

    # ---- moving -------------------------------------------------------------------------------
    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """The same numbers in another shape, in which one entry may be -1."""
        full = resolve_shape(shape, value.shape)
        if sample_of(full) == value.sample:
            return Value(value.index, full)
        layer = Reshape(input_shape=value.sample, target_shape=sample_of(full))
        return self.emit(layer, (value.index,), full)

    def flatten(self, value: Value, start: int, stop: int = -1) -> Value:
        """Axes ``start`` to ``stop`` (inclusive) merged into one."""
        first, last = (axis_of(a, len(value.shape)) for a in (start, stop))
        merged = math.prod(value.shape[first : last + 1])
        return self.reshape(value, (*value.shape[:first], merged, *value.shape[last + 1 :]))

    def squeeze(self, value: Value, axes: Sequence[int]) -> Value:
        """Without these axes, which must have length 1."""
        drop = {axis_of(a, len(value.shape)) for a in axes}
        return self.reshape(value, tuple(n for i, n in enumerate(value.shape) if i not in drop))

    def unsqueeze(self, value: Value, axes: Sequence[int]) -> Value:
        """With new axes of length 1 at these places of the result."""
        rank = len(value.shape) + len(axes)
        new = {axis_of(a, rank) for a in axes}
        if len(new) != len(axes):
            raise ValueError(f"the new axes {tuple(axes)} repeat")
        sizes = iter(value.shape)
        return self.reshape(value, tuple(1 if i in new else next(sizes) for i in range(rank)))

    def permute(self, value: Value, axes: Sequence[int]) -> Value:
        """Axis ``i`` of the result is axis ``axes[i]`` of ``value``; the batch axis counts."""
        rank = len(value.shape)
        order = tuple(axis_of(a, rank) for a in axes)
        if sorted(order) != list(range(rank)):
            raise ValueError(f"{tuple(axes)} does not permute the axes of shape {value.shape}")
        shape = tuple(value.shape[a] for a in order)
        if value.sample == value.shape[1:] and order[0] == 0:
            layer = Permute(input_shape=value.sample, axes=tuple(a - 1 for a in order[1:]))
            return self.emit(layer, (value.index,), shape)
        index = self._with_layout(value, value.shape)
        return self.emit(Permute(input_shape=value.shape, axes=order), (index,), shape)

    def concatenate(self, values: Sequence[Value], axis: int) -> Value:
        """The values one after the other along ``axis``; the batch axis counts."""
        first = values[0].shape
        if any(len(v.shape) != len(first) for v in values):
            raise ValueError(f"cannot concatenate shapes {[v.shape for v in values]}")
        along = axis_of(axis, len(first))
        shape = (*first[:along], sum(v.shape[along] for v in values), *first[along + 1 :])
        skipped = 1 if along > 0 and all(v.sample == v.shape[1:] for v in values) else 0
        layer = Concatenate(shapes=tuple(v.shape[skipped:] for v in values), axis=along - skipped)
        indices = [self._with_layout(v, v.shape[skipped:]) for v in values]
        return self.emit(layer, indices, shape)

    def pad(self, value: Value, widths: Sequence[tuple[int, int]], mode: str, fill: float) -> Value:
        """Padding of every axis of the full shape."""
        if len(widths) != len(value.shape):
            raise ValueError(f"widths {tuple(widths)} do not fit an array of shape {value.shape}")
        skipped = len(value.shape) - len(value.sample)
        if any(map(any, widths[:skipped])):
            raise ValueError(f"widths {tuple(widths)} pad the batch axis, which mixes samples")
        shape = tuple(n + a + b for n, (a, b) in zip(value.shape, widths, strict=True))
        layer = Pad(input_shape=value.sample, widths=tuple(widths[skipped:]), mode=mode, value=fill)
        return self.emit(layer, (value.index,), shape)

    # ---- affine -------------------------------------------------------------------------------
    def dense(self, value: Value, weight: Ball | Array, bias: Ball | Array | None = None) -> Value:
        """``x W^T + b`` on the last axis, ``weight`` of shape (out, in)."""
        w = _ball(weight)
        if not value.shape or w[0].ndim != 2 or w[0].shape[1] != value.shape[-1]:
            raise ValueError(
                f"a weight of shape {w[0].shape} (out, in) cannot multiply the last axis of an "
                f"array of shape {value.shape}"
            )
        b = None if bias is None else _ball(bias)
        layer = Dense(
            weight=w[0],
            weight_error=w[1],
            bias=None if b is None else b[0],
            bias_error=None if b is None else b[1],
            leading=value.sample[:-1],
        )
        return self.emit(layer, (value.index,), (*value.shape[:-1], w[0].shape[0]))

    def scale(self, value: Value, scale: Ball | Array | float, shift: Ball | Array | None) -> Value:
        """``scale * x + shift``; constants broadcast over the full shape without enlarging it."""
        s = _ball(scale)
        t = None if shift is None else _ball(shift)
        rank = max([s[0].ndim] + ([] if t is None else [t[0].ndim]))
        if rank > len(value.shape):
            value = self.reshape(value, (1,) * (rank - len(value.shape)) + value.shape)
        skipped = len(value.shape) - len(value.sample)
        for part in (s, t):
            if part is not None and not broadcasts(part[0].shape, value.shape):
                raise ValueError(
                    f"a constant of shape {part[0].shape} would enlarge an array of shape "
                    f"{value.shape} by broadcasting; expand the array explicitly"
                )
        s = _without_batch(s, skipped, len(value.shape))
        t = None if t is None else _without_batch(t, skipped, len(value.shape))
        layer = Scale(
            input_shape=value.sample,
            scale=s[0],
            weight_error=s[1],
            shift=None if t is None else t[0],
            bias_error=None if t is None else t[1],
        )
        return self.emit(layer, (value.index,), value.shape)

    def per_channel(self, value: Value, scale: Ball, shift: Ball) -> Value:
        """``scale * x + shift`` with vectors along axis 1: a batch normalisation in inference."""
        if len(value.shape) < 2 or value.shape[1] != scale[0].size:
            raise ValueError(
                f"{scale[0].size} channels do not fit axis 1 of an array of shape {value.shape}"
            )
        column = (-1, *(1,) * (len(value.shape) - 2))
        s = scale[0].reshape(column), scale[1].reshape(column)
        return self.scale(value, s, (shift[0].reshape(column), shift[1].reshape(column)))

    def add(self, values: Sequence[Value]) -> Value:
        """The sum of values of one shape."""
        rank = max(len(v.shape) for v in values)
        same = [self.reshape(v, (1,) * (rank - len(v.shape)) + v.shape) for v in values]
        if len({v.shape for v in same}) != 1:
            raise ValueError(
                f"cannot add computed arrays of different shapes {[v.shape for v in values]}; "
                "broadcasting is supported for constants only"
            )
        layer = Add(input_shape=same[0].sample, count=len(same))
        return self.emit(layer, [v.index for v in same], same[0].shape)

    def convolution(self, value: Value, kernel: Array, **options: Any) -> Value:
        """A `Convolution` of a value of shape (1, channels, *sizes)."""
        self._check_images(value, kernel.ndim)
        layer = Convolution(kernel=kernel, input_shape=value.sample, **options)
        return self.emit(layer, (value.index,), (1, *layer.output_shape))

    # ---- not linear, and pooling --------------------------------------------------------------
    def activation(self, value: Value, kind: str, parameter: float | None = None) -> Value:
        """An `Activation`."""
        layer = Activation(kind=kind, input_shape=value.sample, parameter=parameter)
        return self.emit(layer, (value.index,), value.shape)

    def max_pool(self, value: Value, axes: int, **options: Any) -> Value:
        """A `MaxPool` over the last ``axes`` axes."""
        self._check_images(value, axes + 2)
        layer = MaxPool(input_shape=value.sample, **options)
        return self.emit(layer, (value.index,), (1, *layer.output_shape))

    def average_pool(self, value: Value, axes: int, **options: Any) -> Value:
        """An `AveragePool` over the last ``axes`` axes."""
        self._check_images(value, axes + 2)
        layer = AveragePool(input_shape=value.sample, **options)
        return self.emit(layer, (value.index,), (1, *layer.output_shape))

    def global_average(self, value: Value) -> Value:
        """The mean over all axes after the channels, which keep length 1."""
        return self.average_pool(value, len(value.shape) - 2, kernel_size=value.shape[2:])

    def mean(self, value: Value, axes: Sequence[int], keep: bool) -> Value:
        """The mean over the last axes; ``keep`` leaves them with length 1."""
        rank = len(value.shape)
        over = sorted({axis_of(a, rank) for a in axes})
        if over != list(range(rank - len(over), rank)) or not over or 0 in over:
            raise NotCertified(
                f"takes a mean over axes {tuple(axes)} of an array of shape {value.shape}; only "
                "means over the last axes, without the batch axis, are supported"
            )
        kept, last = value.shape[: over[0]], math.prod(value.shape[over[0] :])
        flat = self.reshape(value, (1, math.prod(kept), last))
        mean = self.average_pool(flat, 1, kernel_size=last)
        return self.reshape(mean, (*kept, *(1 for _ in over)) if keep else kept)

    def _check_images(self, value: Value, rank: int) -> None:
        if len(value.shape) != rank or value.shape[0] != 1:
            raise ValueError(
                f"needs an array of shape (1, channels, {rank - 2} sizes), got {value.shape}; a "
                "fixed batch of several samples must be exported with batch size 1"
            )

    # ---- the result ---------------------------------------------------------------------------
    def finish(self, output: Value, source: str) -> Network:
        """The network that computes ``output``; nodes it does not need are left out."""
        if output.index == 0:
            output = self.emit(Identity(input_shape=output.sample), (0,), output.shape)
        needed = {output.index}
        for j in range(output.index - 1, -1, -1):
            if j + 1 in needed:
                needed.update(self.nodes[j].inputs)
        kept = [0, *sorted(needed - {0})]
        position = {old: new for new, old in enumerate(kept)}
        nodes = tuple(
            Node(
                name=self.nodes[i - 1].name,
                layer=self.nodes[i - 1].layer,
                inputs=tuple(position[v] for v in self.nodes[i - 1].inputs),
            )
            for i in kept[1:]
        )
        return Network(
            input_shape=sample_of(self.input_shape),
            nodes=nodes,
            source=source,
            notes=tuple(self.notes),
        )


def _ball(constant: Ball | Array | float) -> Ball:
    return constant if isinstance(constant, tuple) else exactly(np.asarray(constant, np.float64))


def _without_batch(ball: Ball, skipped: int, rank: int) -> Ball:
    """Constants in the sample's coordinates: without the batch axis, if they have it."""
    if not skipped or ball[0].ndim < rank:
        return ball
    return ball[0].reshape(ball[0].shape[1:]), ball[1].reshape(ball[1].shape[1:])
