"""What a layer is: a function of arrays that knows its shapes, its adjoint and its rounding.

Shapes never contain the batch axis; every method works on arrays with one leading batch axis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence.rounding import gamma
from evidence.validation import as_float_array, positive_int
from lipschitz.layers.balls import SMALLEST, Ball, inflate

__all__ = [
    "Array",
    "Layer",
    "LinearLayer",
    "Moving",
    "Shape",
    "SingleInput",
    "error_array",
    "frozen_array",
    "shape_tuple",
    "store",
]

Array = NDArray[np.float64]
Shape = tuple[int, ...]


class Layer(ABC):
    """One node's function: from ``len(input_shapes)`` arrays to one array."""

    __slots__ = ()

    @property
    @abstractmethod
    def input_shapes(self) -> tuple[Shape, ...]:
        """Shapes of the inputs, without the batch axis."""

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """Shape of the output, without the batch axis."""

    @property
    def is_linear(self) -> bool:
        """Whether the layer is affine: ``linear`` plus a constant."""
        return False

    @abstractmethod
    def apply(self, *xs: Array) -> Array:
        """The layer's value in float64, for a batch."""

    @abstractmethod
    def enclose(self, *balls: Ball) -> Ball:
        """Centre and radius of a ball that holds the exact value for all inputs in ``balls``."""


class SingleInput(Layer):
    """A layer with one input, of shape ``input_shape``."""

    __slots__ = ()

    input_shape: Shape

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        """The one input's shape."""
        return (self.input_shape,)


class LinearLayer(Layer):
    """An affine layer ``x -> W x + b``.

    The exact weights may differ from the floats stored: a batch normalisation holds
    ``gamma / sqrt(var + eps)``, a folded layer a product. ``weight_error`` and ``bias_error`` then
    bound the differences entry by entry; ``None`` means that the floats are exact.

    With ``g = gamma(terms)``, the floating-point results of ``linear``, ``adjoint`` and
    ``magnitude`` differ from the exact ones for the stored floats by at most ``g |W| |x|``,
    ``g |W|^T |y|`` and ``g |W| r`` (plus underflow, ``terms * 2**-1074`` per entry): every entry
    is a sum of products in which no product passes through more than ``terms`` roundings.
    """

    __slots__ = ()

    @property
    def is_linear(self) -> bool:
        """True: the layer is affine."""
        return True

    @property
    @abstractmethod
    def terms(self) -> int:
        """Upper bound of the roundings behind one entry of ``linear`` or ``adjoint``."""

    @property
    def moves_only(self) -> bool:
        """Whether ``apply`` only moves numbers and inserts constants, so that it is exact."""
        return False

    @abstractmethod
    def linear(self, *xs: Array) -> Array:
        """``W x``: the layer without its bias."""

    @abstractmethod
    def adjoint(self, y: Array) -> tuple[Array, ...]:
        """``W^T y``, one array for each input."""

    @abstractmethod
    def magnitude(self, *rs: Array) -> Array:
        """``|W| r`` for nonnegative ``r``: how far the output moves if the inputs move by ``r``."""

    def error_magnitude(self, *rs: Array) -> Array | None:
        """``E r`` with the entrywise bound ``E`` of the weights' errors; None if they are exact."""
        return None

    @property
    def offset(self) -> Array | None:
        """What ``apply`` adds to ``linear``, broadcastable to the output; None if nothing."""
        return None

    @property
    def offset_error(self) -> Array | None:
        """Entrywise bound of the error of ``offset``, broadcastable to it; None if exact."""
        return None

    def apply(self, *xs: Array) -> Array:
        """``W x + b``."""
        y = self.linear(*xs)
        offset = self.offset
        return y if offset is None else y + offset

    def enclose(self, *balls: Ball) -> Ball:
        """Ball around ``W x + b`` for every admissible ``W``, ``b`` and ``x``.

        The radius is ``|W| r + E (|c| + r) + gamma(terms + 1) (|W| |c| + |b|) + |error of b|``,
        inflated for its own rounding.
        """
        centers, radii = [b[0] for b in balls], [b[1] for b in balls]
        center = self.apply(*centers)
        if self.moves_only:
            return center, self.magnitude(*radii)
        sizes = [np.abs(c) for c in centers]
        size = self.magnitude(*sizes)
        if self.offset is not None:
            size = size + np.abs(self.offset)
        # `size` itself may be too small by its rounding: `inflate` at the end covers the product.
        radius = gamma(self.terms + 1) * size + (self.terms + 1) * SMALLEST
        if any(np.any(r) for r in radii):
            radius = radius + self.magnitude(*radii)
        doubt = self.error_magnitude(*(s + r for s, r in zip(sizes, radii, strict=True)))
        if doubt is not None:
            radius = radius + doubt
        if self.offset_error is not None:
            radius = radius + self.offset_error
        return center, inflate(radius, self.terms + 8)


class Moving(LinearLayer):
    """A linear layer that only moves numbers: exact, with weights 0 and 1."""

    __slots__ = ()

    @property
    def terms(self) -> int:
        """No rounding."""
        return 0

    @property
    def moves_only(self) -> bool:
        """True."""
        return True

    def magnitude(self, *rs: Array) -> Array:
        """``linear``: the weights are 0 and 1."""
        return self.linear(*rs)


# ---- checks shared by the layers ----------------------------------------------------------------
def frozen_array(value: Any, name: str, ndim: int | tuple[int, ...] | None = None) -> Array:
    """A finite float64 copy that cannot be written to."""
    array = np.array(as_float_array(value, name, ndim=ndim), dtype=np.float64, order="C")
    array.setflags(write=False)
    return array


def error_array(value: Any, name: str, shape: Shape) -> Array | None:
    """A nonnegative array of the given shape, or None if it is absent or zero."""
    if value is None:
        return None
    array = frozen_array(value, name)
    if array.shape != shape or bool((array < 0.0).any()):
        raise ValueError(
            f"`{name}` must be nonnegative with shape {shape}, got shape {array.shape} and "
            f"minimum {array.min():.17g}; it bounds the error of each entry"
        )
    return array if array.any() else None


def shape_tuple(value: Any, name: str) -> Shape:
    """A shape: positive ints, without the batch axis."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise TypeError(f"`{name}` must be a tuple of ints without the batch axis, got {value!r}")
    return tuple(positive_int(n, f"{name}[{i}]") for i, n in enumerate(value))


def store(target: object, **fields: Any) -> None:
    """Write checked fields into a frozen dataclass, while it is being built."""
    for name, value in fields.items():
        object.__setattr__(target, name, value)
