"""The convolution as a layer of a network: exact shapes, adjoint and rounding of one operator.

Bounds of its norm are in `lipschitz.convolution`; this file only evaluates it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evidence.validation import choice, int_tuple, positive_int
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
from lipschitz.layers.padding import (
    PADDINGS,
    Widths,
    multiplicity,
    pad,
    pad_adjoint,
    padded_sizes,
    width_pairs,
)
from lipschitz.layers.windows import Tap, correlate, output_sizes, scatter, window_span

__all__ = ["Convolution"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convolution(SingleInput, LinearLayer):
    """A convolution (correlation, as in torch and ONNX) in 1, 2 or 3 dimensions, or its transpose.

    Forward: pad, then ``y[o, p] = b[o] + sum_{c, t} K[o, c, t] x[c, p * stride + t * dilation]``.
    Transposed: the adjoint of the zero-padded forward convolution with the same kernel, so that
    ``pad_width`` crops the output; ``output_padding`` adds rows at its end.

    Parameters
    ----------
    kernel : array_like
        ``(C_out, C_in / groups, *k)``; transposed ``(C_in, C_out / groups, *k)``.
    input_shape : tuple of int
        ``(C_in, *sizes)``, without the batch axis.
    bias : array_like, shape (C_out,), optional
    stride, dilation : int or sequence of int
    groups : int
    padding : {"zeros", "circular", "reflect", "replicate"}
        What ``pad_width`` inserts; a transposed convolution has ``"zeros"`` only.
    pad_width : int, sequence of int, or sequence of (before, after)
    transposed : bool
    output_padding : int or sequence of int
        Transposed only.
    weight_error, bias_error : array_like, optional
        Entrywise error bounds of ``kernel`` and ``bias``, same shapes.

    Raises
    ------
    TypeError, ValueError
        Anything that does not describe such an operator, a kernel larger than the padded input
        included.

    Examples
    --------
    >>> layer = Convolution(kernel=[[[1.0, -2.0, 1.0]]], input_shape=(1, 4), pad_width=1)
    >>> layer.apply(np.array([[[1.0, 2.0, 4.0, 8.0]]]))
    array([[[  0.,   1.,   2., -12.]]])
    """

    kernel: Array
    input_shape: Shape
    bias: Array | None = None
    stride: tuple[int, ...] = 1  # type: ignore[assignment]
    dilation: tuple[int, ...] = 1  # type: ignore[assignment]
    groups: int = 1
    padding: str = "zeros"
    pad_width: Widths = 0  # type: ignore[assignment]
    transposed: bool = False
    output_padding: tuple[int, ...] = 0  # type: ignore[assignment]
    weight_error: Array | None = None
    bias_error: Array | None = None

    def __post_init__(self) -> None:
        kernel = frozen_array(self.kernel, "kernel", (3, 4, 5))
        axes = kernel.ndim - 2
        shape = shape_tuple(self.input_shape, "input_shape")
        if len(shape) != axes + 1:
            raise ValueError(
                f"`input_shape` must be (channels, {axes} sizes) for a kernel of shape "
                f"{kernel.shape}, got {shape}"
            )
        choice(self.padding, "padding", PADDINGS)
        if self.transposed and self.padding != "zeros":
            raise ValueError(
                f"`padding` must be 'zeros' for a transposed convolution, got {self.padding!r}; "
                "describe another padding by a Pad layer before it"
            )
        groups = positive_int(self.groups, "groups")
        _check_channels(kernel, shape[0], groups, self.transposed)
        store(
            self,
            kernel=kernel,
            input_shape=shape,
            groups=groups,
            stride=int_tuple(self.stride, "stride", axes),
            dilation=int_tuple(self.dilation, "dilation", axes),
            output_padding=int_tuple(self.output_padding, "output_padding", axes, minimum=0),
            pad_width=width_pairs(self.pad_width, "pad_width", shape[1:], self.padding),
            weight_error=error_array(self.weight_error, "weight_error", kernel.shape),
        )
        if any(self.output_padding) and not self.transposed:
            raise ValueError(
                f"`output_padding` = {self.output_padding} needs a transposed convolution"
            )
        steps = zip(self.output_padding, self.stride, self.dilation, strict=True)
        if any(extra >= max(step, spread) for extra, step, spread in steps if extra):
            raise ValueError(
                f"`output_padding` = {self.output_padding} must be below stride = {self.stride} "
                f"or dilation = {self.dilation}, whichever is larger"
            )
        outputs = (self.output_shape[0],)
        bias = None if self.bias is None else frozen_array(self.bias, "bias", 1)
        if bias is not None and bias.shape != outputs:
            raise ValueError(
                f"`bias` must have shape {outputs} for a kernel of shape {kernel.shape}, "
                f"got {bias.shape}"
            )
        store(self, bias=bias, bias_error=error_array(self.bias_error, "bias_error", outputs))

    # ---- geometry -----------------------------------------------------------------------------
    @property
    def kernel_size(self) -> Shape:
        """The kernel's spatial sizes."""
        return self.kernel.shape[2:]

    @property
    def _uncropped(self) -> Shape:
        """Spatial sizes of the padded input, or of the transposed output before cropping."""
        if not self.transposed:
            return padded_sizes(self.input_shape[1:], self.pad_width)
        spans = window_span(self.kernel_size, self.dilation)
        sizes = zip(self.input_shape[1:], self.stride, spans, self.output_padding, strict=True)
        return tuple((n - 1) * s + w + extra for n, s, w, extra in sizes)

    @property
    def output_shape(self) -> Shape:
        """``(C_out, *sizes)``."""
        if not self.transposed:
            sizes = output_sizes(self._uncropped, self.kernel_size, self.stride, self.dilation)
            return (self.kernel.shape[0], *sizes)
        pairs = zip(self._uncropped, self.pad_width, strict=True)
        cropped = tuple(n - before - after for n, (before, after) in pairs)
        if min(cropped) < 1:
            raise ValueError(
                f"`pad_width` = {self.pad_width} crops the whole output of sizes {self._uncropped}"
            )
        return (self.kernel.shape[1] * self.groups, *cropped)

    @property
    def terms(self) -> int:
        """Taps times the larger number of channels of a group, times the padding's repetitions."""
        c_out, c_in = int(self.kernel.shape[0]) // self.groups, int(self.kernel.shape[1])
        repeats = 1
        if not self.transposed:
            repeats = multiplicity(self.input_shape[1:], self.pad_width, self.padding)
        return math.prod(self.kernel_size) * max(c_in, c_out * repeats)

    # ---- evaluation ---------------------------------------------------------------------------
    @property
    def offset(self) -> Array | None:
        """The bias, as a column of channels."""
        return None if self.bias is None else self._column(self.bias)

    @property
    def offset_error(self) -> Array | None:
        """The bias' error bound, as a column of channels."""
        return None if self.bias_error is None else self._column(self.bias_error)

    def linear(self, *xs: Array) -> Array:
        """The convolution without its bias."""
        return self._forward(self.kernel, xs[0])

    def adjoint(self, y: Array) -> tuple[Array, ...]:
        """The transpose of ``linear``."""
        if self.transposed:
            return (self._correlate(self.kernel, pad(y, self.pad_width, "zeros")),)
        spread = self._scatter(self.kernel, y)
        return (pad_adjoint(spread, self.pad_width, self.padding),)

    def magnitude(self, *rs: Array) -> Array:
        """The convolution with ``|kernel|``."""
        return self._forward(np.abs(self.kernel), rs[0])

    def error_magnitude(self, *rs: Array) -> Array | None:
        """The convolution with the kernel's error bounds."""
        return None if self.weight_error is None else self._forward(self.weight_error, rs[0])

    def _forward(self, kernel: Array, x: Array) -> Array:
        if self.transposed:
            crop = zip(self._uncropped, self.pad_width, strict=True)
            keep: Tap = (..., *(slice(before, n - after) for n, (before, after) in crop))
            return self._scatter(kernel, x)[keep]
        return self._correlate(kernel, pad(x, self.pad_width, self.padding))

    def _correlate(self, kernel: Array, x: Array) -> Array:
        windows = self.input_shape[1:] if self.transposed else self.output_shape[1:]
        return correlate(
            x, kernel, windows, stride=self.stride, dilation=self.dilation, groups=self.groups
        )

    def _scatter(self, kernel: Array, y: Array) -> Array:
        return scatter(
            y,
            kernel,
            self._uncropped,
            stride=self.stride,
            dilation=self.dilation,
            groups=self.groups,
        )

    def _column(self, values: Array) -> Array:
        return values.reshape(-1, *(1,) * len(self.kernel_size))


def _check_channels(kernel: Array, channels: int, groups: int, transposed: bool) -> None:
    outer, inner = kernel.shape[:2]
    if outer % groups:
        raise ValueError(
            f"`groups` = {groups} must divide the {outer} channels on the first axis of `kernel`"
        )
    expected = outer if transposed else inner * groups
    if channels != expected:
        layout = "(C_in, C_out / groups, *k)" if transposed else "(C_out, C_in / groups, *k)"
        raise ValueError(
            f"`input_shape` has {channels} channels where `kernel` of shape {kernel.shape}, laid "
            f"out {layout} with {groups} groups, needs {expected}"
        )
