"""Padding of the spatial axes, its adjoint, and the layer that does nothing else.

Along one axis of ``n`` numbers a padding with widths ``(before, after)`` reads the numbers at

    circular   i mod n              (widths at most n)
    reflect    mirrored at the first and last number, which are not repeated (widths below n)
    replicate  the nearest number
    zeros      nothing: a constant, 0 unless said otherwise.

The adjoint adds every padded entry back to the number it was read from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evidence.validation import choice, nonnegative_int
from lipschitz.layers.contract import Array, LinearLayer, Shape, SingleInput, shape_tuple, store

__all__ = [
    "PADDINGS",
    "Pad",
    "Widths",
    "multiplicity",
    "pad",
    "pad_adjoint",
    "padded_sizes",
    "width_pairs",
]

Widths = tuple[tuple[int, int], ...]

PADDINGS: Final = ("zeros", "circular", "reflect", "replicate")
_WIDEST: Final = 2**16
_NUMPY_MODE: Final = {"circular": "wrap", "reflect": "reflect", "replicate": "edge"}


def width_pairs(value: Any, name: str, sizes: Sequence[int], mode: str) -> Widths:
    """Checked ``(before, after)`` widths for axes of the given sizes.

    An int pads both sides of every axis, a sequence of ints both sides of its axis.

    Examples
    --------
    >>> width_pairs((1, (0, 2)), "pad_width", (5, 5), "zeros")
    ((1, 1), (0, 2))
    >>> width_pairs(5, "pad_width", (5,), "reflect")
    Traceback (most recent call last):
    ...
    ValueError: `pad_width` = (5, 5) exceeds 4 on an axis of size 5 with 'reflect' padding
    """
    choice(mode, "padding", PADDINGS)
    per_axis = value if isinstance(value, Iterable) else (value,) * len(sizes)
    pairs = []
    for i, entry in enumerate(per_axis):
        both = tuple(entry) if isinstance(entry, Iterable) else (entry, entry)
        if len(both) != 2:
            raise ValueError(f"`{name}[{i}]` must be a pair (before, after), got {both}")
        pairs.append((nonnegative_int(both[0], name), nonnegative_int(both[1], name)))
    if len(pairs) != len(sizes):
        raise ValueError(
            f"`{name}` must have one entry for each of the {len(sizes)} spatial axes, got {pairs}"
        )
    for pair, size in zip(pairs, sizes, strict=True):
        if max(pair) > _WIDEST:
            raise ValueError(f"`{name}` = {pair} is wider than {_WIDEST}, which no layer needs")
        largest = {"circular": size, "reflect": size - 1}.get(mode)
        if largest is not None and max(pair) > largest:
            raise ValueError(
                f"`{name}` = {pair} exceeds {largest} on an axis of size {size} "
                f"with {mode!r} padding"
            )
    return tuple(pairs)


def padded_sizes(sizes: Sequence[int], widths: Widths) -> Shape:
    """Sizes of the spatial axes after padding."""
    return tuple(n + a + b for n, (a, b) in zip(sizes, widths, strict=True))


def pad(x: Array, widths: Widths, mode: str, value: float = 0.0) -> Array:
    """``x`` with its last ``len(widths)`` axes padded.

    Examples
    --------
    >>> pad(np.array([[1.0, 2.0, 3.0]]), ((1, 2),), "reflect")
    array([[2., 1., 2., 3., 2., 1.]])
    """
    if not any(map(any, widths)):
        return x
    everywhere = [(0, 0)] * (x.ndim - len(widths)) + list(widths)
    if mode == "zeros":
        return np.pad(x, everywhere, constant_values=value)
    padded: Array = np.pad(x, everywhere, mode=_NUMPY_MODE[mode])  # type: ignore[call-overload]
    return padded


def pad_adjoint(y: Array, widths: Widths, mode: str) -> Array:
    """The adjoint of `pad` (with value 0).

    Examples
    --------
    >>> pad_adjoint(np.array([[1.0, 10.0, 100.0, 1000.0]]), ((1, 1),), "circular")
    array([[1010.,  101.]])
    """
    for axis, (before, after) in enumerate(widths, start=y.ndim - len(widths)):
        if before == after == 0:
            continue
        size = y.shape[axis] - before - after
        y = np.moveaxis(y, axis, 0)
        inner = y[before : before + size]
        if mode != "zeros":
            inner = inner.copy()
            source = _source(size, (before, after), mode)
            for i in (*range(before), *range(before + size, len(source))):
                inner[source[i]] += y[i]
        y = np.moveaxis(inner, 0, axis)
    return y


def multiplicity(sizes: Sequence[int], widths: Widths, mode: str) -> int:
    """The largest number of padded entries read from one number.

    Examples
    --------
    >>> multiplicity((5, 5), ((1, 1), (2, 0)), "replicate")
    6
    """
    if mode == "zeros":
        return 1
    counts = (np.bincount(_source(n, w, mode)) for n, w in zip(sizes, widths, strict=True))
    return math.prod(int(c.max()) for c in counts)


def _source(size: int, width: tuple[int, int], mode: str) -> NDArray[np.intp]:
    """Where each padded entry of one axis is read from."""
    index: NDArray[np.intp] = np.arange(size)
    return np.pad(index, width, mode=_NUMPY_MODE[mode])  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pad(SingleInput, LinearLayer):
    """Padding as a layer of its own; ``widths`` has one pair for every axis but the batch axis.

    Parameters
    ----------
    input_shape : tuple of int
    widths : sequence of (before, after)
    mode : {"zeros", "circular", "reflect", "replicate"}
    value : float
        The constant that ``"zeros"`` inserts; it is the layer's bias.

    Examples
    --------
    >>> Pad(input_shape=(2,), widths=[(1, 0)], mode="zeros", value=5.0).apply(np.ones((1, 2)))
    array([[5., 1., 1.]])
    """

    input_shape: Shape
    widths: Widths
    mode: str = "zeros"
    value: float = 0.0

    def __post_init__(self) -> None:
        shape = shape_tuple(self.input_shape, "input_shape")
        value = float(self.value)
        if not math.isfinite(value):
            raise ValueError(f"`value` must be finite, got {value}")
        widths = width_pairs(self.widths, "widths", shape, self.mode)
        store(self, input_shape=shape, widths=widths, value=value)

    @property
    def output_shape(self) -> Shape:
        """The padded shape."""
        return padded_sizes(self.input_shape, self.widths)

    @property
    def terms(self) -> int:
        """The summands of the adjoint; ``linear`` does not round."""
        return multiplicity(self.input_shape, self.widths, self.mode)

    @property
    def moves_only(self) -> bool:
        """True: ``apply`` copies numbers and constants."""
        return True

    @property
    def offset(self) -> Array | None:
        """The inserted constant around zeros."""
        if self.mode != "zeros" or self.value == 0.0:
            return None
        return pad(np.zeros(self.input_shape), self.widths, "zeros", self.value)

    def apply(self, *xs: Array) -> Array:
        """The padded array."""
        return pad(xs[0], self.widths, self.mode, self.value)

    def linear(self, *xs: Array) -> Array:
        """The padded array, with zeros for the constant."""
        return pad(xs[0], self.widths, self.mode)

    def adjoint(self, y: Array) -> tuple[Array, ...]:
        """Every padded entry added back to its source."""
        return (pad_adjoint(y, self.widths, self.mode),)

    def magnitude(self, *rs: Array) -> Array:
        """``linear``: the weights are 0 and 1."""
        return self.linear(*rs)
