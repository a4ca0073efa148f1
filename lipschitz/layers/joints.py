"""Layers without weights: reshaping, permuting, adding and joining arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evidence.validation import nonnegative_int, positive_int
from lipschitz.layers.contract import (
    Array,
    LinearLayer,
    Moving,
    Shape,
    SingleInput,
    shape_tuple,
    store,
)

__all__ = ["Add", "Concatenate", "Identity", "Permute", "Reshape"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reshape(SingleInput, Moving):
    """The same numbers, in row-major order, in another shape.

    Examples
    --------
    >>> Reshape(input_shape=(2, 3), target_shape=(6,)).apply(np.ones((4, 2, 3))).shape
    (4, 6)
    """

    input_shape: Shape
    target_shape: Shape

    def __post_init__(self) -> None:
        source = shape_tuple(self.input_shape, "input_shape")
        target = shape_tuple(self.target_shape, "target_shape")
        if math.prod(source) != math.prod(target):
            raise ValueError(
                f"`target_shape` = {target} must hold as many numbers as `input_shape` = {source}: "
                f"{math.prod(target)} is not {math.prod(source)}"
            )
        store(self, input_shape=source, target_shape=target)

    @property
    def output_shape(self) -> Shape:
        """The new shape."""
        return self.target_shape

    def linear(self, *xs: Array) -> Array:
        """The same numbers in the new shape."""
        return xs[0].reshape(xs[0].shape[0], *self.target_shape)

    def adjoint(self, y: Array) -> tuple[Array, ...]:
        """The same numbers in the old shape."""
        return (y.reshape(y.shape[0], *self.input_shape),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Identity(SingleInput, Moving):
    """``x -> x``: dropout in inference, for example."""

    input_shape: Shape

    def __post_init__(self) -> None:
        store(self, input_shape=shape_tuple(self.input_shape, "input_shape"))

    @property
    def output_shape(self) -> Shape:
        """The input's shape."""
        return self.input_shape

    def linear(self, *xs: Array) -> Array:
        """``x``."""
        return xs[0]

    def adjoint(self, y: Array) -> tuple[Array, ...]:
        """``y``."""
        return (y,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Permute(SingleInput, Moving):
    """Axis ``i`` of the output is axis ``axes[i]`` of the input (batch axis not counted).

    Examples
    --------
    >>> Permute(input_shape=(8, 9, 3), axes=(2, 0, 1)).output_shape
    (3, 8, 9)
    """

    input_shape: Shape
    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        shape = shape_tuple(self.input_shape, "input_shape")
        axes = tuple(nonnegative_int(a, f"axes[{i}]") for i, a in enumerate(self.axes))
        if sorted(axes) != list(range(len(shape))):
            raise ValueError(
                f"`axes` must be a permutation of the {len(shape)} axes of `input_shape` = "
                f"{shape}, got {axes}; the batch axis is not counted"
            )
        store(self, input_shape=shape, axes=axes)

    @property
    def output_shape(self) -> Shape:
        """The permuted shape."""
        return tuple(self.input_shape[a] for a in self.axes)

    def linear(self, *xs: Array) -> Array:
        """The array with its axes permuted."""
        return np.transpose(xs[0], (0, *(a + 1 for a in self.axes)))

    def adjoint(self, y: Array) -> tuple[Array, ...]:
        """The inverse permutation."""
        inverse = np.argsort(self.axes)
        return (np.transpose(y, (0, *(int(a) + 1 for a in inverse))),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Add(SingleInput, LinearLayer):
    """``(x_1, ..., x_count) -> x_1 + ... + x_count``: the join of a residual block.

    Examples
    --------
    >>> Add(input_shape=(2,), count=2).apply(np.ones((1, 2)), np.ones((1, 2)))
    array([[2., 2.]])
    """

    input_shape: Shape
    count: int = 2

    def __post_init__(self) -> None:
        store(
            self,
            input_shape=shape_tuple(self.input_shape, "input_shape"),
            count=positive_int(self.count, "count"),
        )

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """``count`` times the same shape."""
        return (self.input_shape,) * self.count

    @property
    def output_shape(self) -> Shape:
        """The inputs' common shape."""
        return self.input_shape

    @property
    def terms(self) -> int:
        """``count`` summands."""
        return self.count

    def linear(self, *xs: Array) -> Array:
        """The sum, from left to right."""
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total

    def adjoint(self, y: Array) -> tuple[Array, ...]:
        """``y`` for every input."""
        return (y,) * self.count

    def magnitude(self, *rs: Array) -> Array:
        """The sum: the weights are 1."""
        return self.linear(*rs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Concatenate(Moving):
    """The inputs one after the other along ``axis`` (batch axis not counted).

    Examples
    --------
    >>> Concatenate(shapes=((1, 4), (2, 4)), axis=0).output_shape
    (3, 4)
    """

    shapes: tuple[Shape, ...]
    axis: int = 0

    def __post_init__(self) -> None:
        shapes = tuple(shape_tuple(s, f"shapes[{i}]") for i, s in enumerate(self.shapes))
        axis = nonnegative_int(self.axis, "axis")
        if not shapes or axis >= len(shapes[0]):
            raise ValueError(
                f"`axis` = {axis} must be an axis of `shapes` = {shapes}; "
                "the batch axis is not counted"
            )
        if len({(len(s), s[:axis], s[axis + 1 :]) for s in shapes}) != 1:
            raise ValueError(f"`shapes` must agree outside axis {axis}, got {shapes}")
        store(self, shapes=shapes, axis=axis)

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """The shapes of the parts."""
        return self.shapes

    @property
    def output_shape(self) -> Shape:
        """The shape of the whole."""
        first, axis = self.shapes[0], self.axis
        return (*first[:axis], sum(s[axis] for s in self.shapes), *first[axis + 1 :])

    def linear(self, *xs: Array) -> Array:
        """The parts, joined."""
        return np.concatenate(xs, axis=self.axis + 1)

    def adjoint(self, y: Array) -> tuple[Array, ...]:
        """The parts, cut apart."""
        cuts = np.cumsum([s[self.axis] for s in self.shapes])[:-1]
        return tuple(np.split(y, cuts, axis=self.axis + 1))
