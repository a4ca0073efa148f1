"""The checked description of a convolution that its bounds start from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence import Enclosure
from evidence.rounding import ldexp_down, ldexp_up
from evidence.validation import as_float_array, int_tuple, positive_int
from lipschitz.layers.windows import window_span
from lipschitz.symbol import Symbol, polyphase_symbols

__all__ = ["Geometry", "IntOrTuple", "checked_geometry", "circular_grid"]

IntOrTuple = int | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """A checked convolution, its kernel scaled by a power of two to magnitude one."""

    kernel: NDArray[np.float64]
    exponent: int
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    transposed: bool

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.kernel.shape[2:]

    @property
    def span(self) -> tuple[int, ...]:
        """Pixels between the first and the last tap, both counted."""
        return window_span(self.sizes, self.dilation)

    @property
    def is_zero(self) -> bool:
        return not self.kernel.any()

    def symbols(self) -> list[Symbol]:
        return polyphase_symbols(self.kernel, self.stride, self.dilation, self.groups)

    def unscaled(self, lower: float, upper: float, method: str) -> Enclosure:
        low, high = ldexp_down(lower, self.exponent), ldexp_up(upper, self.exponent)
        return Enclosure(max(0.0, low), high, method)


def checked_geometry(
    kernel: ArrayLike,
    stride: IntOrTuple,
    dilation: IntOrTuple,
    groups: int,
    transposed: bool,
) -> Geometry:
    weights = as_float_array(kernel, "kernel", ndim=(3, 4, 5))
    axes = weights.ndim - 2
    groups = positive_int(groups, "groups")
    if weights.shape[0] % groups:
        raise ValueError(
            f"`groups` = {groups} must divide the {weights.shape[0]} channels on the first axis "
            f"of `kernel`, which has shape {weights.shape}"
        )
    if not isinstance(transposed, (bool, np.bool_)):
        raise TypeError(f"`transposed` must be True or False, got {transposed!r}")
    largest = float(np.max(np.abs(weights)))
    exponent = math.frexp(largest)[1] if largest else 0
    return Geometry(
        kernel=np.ldexp(weights, -exponent),
        exponent=exponent,
        stride=int_tuple(stride, "stride", axes),
        dilation=int_tuple(dilation, "dilation", axes),
        groups=groups,
        transposed=bool(transposed),
    )


def circular_grid(geometry: Geometry, input_shape: IntOrTuple, wrap: bool) -> tuple[int, ...]:
    """Output frequencies of the circular operator: ``n / stride``, or ``n`` if transposed."""
    sizes = int_tuple(input_shape, "input_shape", len(geometry.sizes))
    if geometry.transposed:
        large = tuple(n * s for n, s in zip(sizes, geometry.stride, strict=True))
        grid = sizes
    else:
        for n, s in zip(sizes, geometry.stride, strict=True):
            if n % s:
                raise ValueError(
                    f"`input_shape` = {sizes} must be divisible by `stride` = {geometry.stride} "
                    "for a circular operator; pad the input, or use `spectral_norm`, which bounds "
                    "this case"
                )
        large = sizes
        grid = tuple(n // s for n, s in zip(sizes, geometry.stride, strict=True))
    if not wrap and any(k > n for k, n in zip(geometry.span, large, strict=True)):
        raise ValueError(
            f"`kernel` spans {geometry.span} pixels, more than the {large} of the circular grid; "
            "pass `wrap=True` to let it wrap around more than once"
        )
    return grid
