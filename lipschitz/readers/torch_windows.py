"""torch's convolutions, pooling and padding on the computed arrays of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from evidence import NotCertified
from lipschitz.layers.contract import Array
from lipschitz.layers.padding import Widths
from lipschitz.readers.builder import NetworkBuilder, Value

__all__ = [
    "Handler",
    "adaptive_avg_pool",
    "array_of",
    "avg_pool",
    "conv",
    "conv_transpose",
    "max_pool",
    "pad",
]

Handler = Callable[..., Any]
Ints = int | Sequence[int]

_PAD_MODES: Final = {
    "constant": "zeros",
    "circular": "circular",
    "reflect": "reflect",
    "replicate": "replicate",
}


def array_of(constant: Any) -> Array:
    """A float64 array from a tensor or number; refuses anything else, and computed arrays."""
    if isinstance(constant, Value):
        raise NotCertified(
            "takes a weight that is computed from the network's input; only constant ones give a "
            "layer with a Lipschitz constant (a product of two computed arrays has none)"
        )
    if isinstance(constant, (int, float)):
        return np.asarray(float(constant))
    array: Array = constant.detach().double().numpy()
    if not np.isfinite(array).all():
        raise ValueError("uses a constant that is not finite")
    return array


def _per_axis(value: Ints, axes: int) -> tuple[int, ...]:
    entries = (value,) * axes if isinstance(value, int) else tuple(value)
    return entries * axes if len(entries) == 1 else entries


def conv(
    net: NetworkBuilder,
    input: Value,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
    *,
    mode: str = "zeros",
) -> Value:
    """``torch.nn.functional.conv{1,2,3}d``, with the padding modes of the modules."""
    kernel = array_of(weight)
    axes = kernel.ndim - 2
    spread = _per_axis(dilation, axes)
    widths: Widths
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(spread, kernel.shape[2:], strict=True)]
        widths = tuple((t // 2, t - t // 2) for t in totals)
    elif padding == "valid":
        widths = ((0, 0),) * axes
    else:
        widths = tuple((p, p) for p in _per_axis(padding, axes))  # type: ignore[arg-type]
    return net.convolution(
        input,
        kernel,
        bias=None if bias is None else array_of(bias),
        stride=_per_axis(stride, axes),
        dilation=spread,
        groups=groups,
        padding=mode,
        pad_width=widths,
    )


def conv_transpose(
    net: NetworkBuilder,
    input: Value,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Value:
    kernel = array_of(weight)
    axes = kernel.ndim - 2
    return net.convolution(
        input,
        kernel,
        bias=None if bias is None else array_of(bias),
        stride=_per_axis(stride, axes),
        dilation=_per_axis(dilation, axes),
        groups=groups,
        pad_width=_per_axis(padding, axes),
        transposed=True,
        output_padding=_per_axis(output_padding, axes),
    )


def max_pool(axes: int) -> Handler:
    def handler(
        net: NetworkBuilder,
        input: Value,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Value:
        if return_indices:
            raise NotCertified("returns indices, which are not supported")
        return net.max_pool(
            input,
            axes,
            kernel_size=_per_axis(kernel_size, axes),
            stride=_per_axis(stride or kernel_size, axes),
            pad_width=_per_axis(padding, axes),
            dilation=_per_axis(dilation, axes),
            ceil_mode=ceil_mode,
        )

    return handler


def avg_pool(axes: int) -> Handler:
    def handler(
        net: NetworkBuilder,
        input: Value,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Value:
        if divisor_override is not None:
            raise NotCertified("sets `divisor_override`, which is not supported")
        return net.average_pool(
            input,
            axes,
            kernel_size=_per_axis(kernel_size, axes),
            stride=_per_axis(stride or kernel_size, axes),
            pad_width=_per_axis(padding, axes),
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
        )

    return handler


def adaptive_avg_pool(axes: int) -> Handler:
    def handler(net: NetworkBuilder, input: Value, output_size: Any) -> Value:
        sizes = input.shape[2:]
        wanted = output_size if isinstance(output_size, Sequence) else (output_size,) * axes
        outputs = [n if m is None else m for n, m in zip(sizes, wanted, strict=True)]
        if any(n % m for n, m in zip(sizes, outputs, strict=True)):
            raise NotCertified(
                f"averages {tuple(sizes)} down to {tuple(outputs)} in windows of different sizes, "
                "which is not supported; use output sizes that divide the input's"
            )
        kernel_size = tuple(n // m for n, m in zip(sizes, outputs, strict=True))
        return net.average_pool(input, axes, kernel_size=kernel_size, stride=kernel_size)

    return handler


def pad(
    net: NetworkBuilder,
    input: Value,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Value:
    if min(pad, default=0) < 0:
        raise NotCertified(f"crops by negative widths {tuple(pad)}, which is not supported")
    # torch lists pairs from the last axis to the first.
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    widths = [(0, 0)] * (len(input.shape) - len(pairs)) + pairs
    return net.pad(input, widths, _PAD_MODES[mode], 0.0 if value is None else float(value))
