"""Affine layers without windows: a matrix on the last axis, and entrywise scaling."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lipschitz.layers.contract import (
    Array,
    LinearLayer,
    Shape,
    SingleInput,
    error_array,
    frozen_array,
    shape_tuple,
    store,
)

__all__ = ["Dense", "Scale"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dense(SingleInput, LinearLayer):
    """``x -> x W^T + b`` on the last axis.

    Parameters
    ----------
    weight : array_like, shape (out, in)
    bias : array_like, shape (out,), optional
    leading : tuple of int
        Axes before the last one; every vector along the last axis is mapped by the same matrix.
    weight_error, bias_error : array_like, optional
        Entrywise error bounds of the stored weights, same shapes.

    Raises
    ------
    TypeError, ValueError
        Weights that are not finite float32 or float64 arrays of matching shapes.

    Examples
    --------
    >>> layer = Dense(weight=[[1.0, 2.0]], bias=[0.5])
    >>> layer.apply(np.array([[3.0, 4.0]])), layer.adjoint(np.array([[1.0]]))[0]
    (array([[11.5]]), array([[1., 2.]]))
    """

    weight: Array
    bias: Array | None = None
    leading: Shape = ()
    weight_error: Array | None = None
    bias_error: Array | None = None
    input_shape: Shape = field(init=False)

    def __post_init__(self) -> None:
        weight = frozen_array(self.weight, "weight", 2)
        bias = None if self.bias is None else frozen_array(self.bias, "bias", 1)
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ValueError(
                f"`bias` must have shape {weight.shape[:1]} for a weight of shape {weight.shape}, "
                f"got {bias.shape}; weights are (out, in)"
            )
        leading = shape_tuple(self.leading, "leading")
        store(
            self,
            weight=weight,
            bias=bias,
            leading=leading,
            weight_error=error_array(self.weight_error, "weight_error", weight.shape),
            bias_error=error_array(self.bias_error, "bias_error", weight.shape[:1]),
            input_shape=(*leading, weight.shape[1]),
        )

    @property
    def output_shape(self) -> Shape:
        """``(*leading, out)``."""
        return (*self.leading, self.weight.shape[0])

    @property
    def terms(self) -> int:
        """The longer side of the matrix."""
        return int(max(self.weight.shape))

    @property
    def offset(self) -> Array | None:
        """The bias."""
        return self.bias

    @property
    def offset_error(self) -> Array | None:
        """The bias' error bound."""
        return self.bias_error

    def linear(self, *xs: Array) -> Array:
        """``x W^T``."""
        return xs[0] @ self.weight.T

    def adjoint(self, y: Array) -> tuple[Array, ...]:
        """``y W``."""
        return (y @ self.weight,)

    def magnitude(self, *rs: Array) -> Array:
        """``r |W|^T``."""
        return rs[0] @ np.abs(self.weight).T

    def error_magnitude(self, *rs: Array) -> Array | None:
        """``r E^T``."""
        return None if self.weight_error is None else rs[0] @ self.weight_error.T


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale(SingleInput, LinearLayer):
    """``x -> scale * x + shift``, entry by entry with broadcasting over ``input_shape``.

    Batch normalisation in inference, and addition of, or multiplication by, constants.

    Parameters
    ----------
    input_shape : tuple of int
    scale : array_like, broadcastable to ``input_shape``
    shift : array_like, broadcastable to ``input_shape``, optional
    weight_error, bias_error : array_like, optional
        Entrywise error bounds of ``scale`` and ``shift``, same shapes.

    Raises
    ------
    TypeError, ValueError
        Constants that are not finite floats or would enlarge the input.

    Examples
    --------
    >>> layer = Scale(input_shape=(2, 2), scale=[[2.0], [3.0]], shift=1.0)
    >>> layer.apply(np.ones((1, 2, 2)))
    array([[[3., 3.],
            [4., 4.]]])
    """

    input_shape: Shape
    scale: Array
    shift: Array | None = None
    weight_error: Array | None = None
    bias_error: Array | None = None

    def __post_init__(self) -> None:
        shape = shape_tuple(self.input_shape, "input_shape")
        scale = frozen_array(self.scale, "scale")
        shift = None if self.shift is None else frozen_array(self.shift, "shift")
        for name, array in (("scale", scale), ("shift", shift)):
            if array is not None and not broadcasts(array.shape, shape):
                raise ValueError(
                    f"`{name}` of shape {array.shape} must broadcast to `input_shape` = {shape} "
                    "without enlarging it; reshape the constant"
                )
        shift_shape = () if shift is None else shift.shape
        store(
            self,
            input_shape=shape,
            scale=scale,
            shift=shift,
            weight_error=error_array(self.weight_error, "weight_error", scale.shape),
            bias_error=error_array(self.bias_error, "bias_error", shift_shape),
        )

    @property
    def output_shape(self) -> Shape:
        """The input's shape."""
        return self.input_shape

    @property
    def terms(self) -> int:
        """One product."""
        return 1

    @property
    def offset(self) -> Array | None:
        """The shift."""
        return self.shift

    @property
    def offset_error(self) -> Array | None:
        """The shift's error bound."""
        return self.bias_error

    def linear(self, *xs: Array) -> Array:
        """``scale * x``."""
        return xs[0] * self.scale

    def adjoint(self, y: Array) -> tuple[Array, ...]:
        """``scale * y``."""
        return (y * self.scale,)

    def magnitude(self, *rs: Array) -> Array:
        """``|scale| * r``."""
        return rs[0] * np.abs(self.scale)

    def error_magnitude(self, *rs: Array) -> Array | None:
        """``E * r``."""
        return None if self.weight_error is None else rs[0] * self.weight_error


def broadcasts(shape: Shape, target: Shape) -> bool:
    """Whether ``shape`` broadcasts to ``target`` without enlarging it.

    Examples
    --------
    >>> broadcasts((3, 1), (2, 3, 4)), broadcasts((3,), (1,))
    (True, False)
    """
    if len(shape) > len(target):
        return False
    pairs = zip(reversed(shape), reversed(target), strict=False)
    return all(a in (1, b) for a, b in pairs)
