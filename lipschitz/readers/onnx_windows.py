"""ONNX operators that slide windows: convolutions, pooling, padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from evidence import NotCertified
from evidence.validation import int_tuple
from lipschitz.layers.contract import Array
from lipschitz.layers.padding import Widths
from lipschitz.layers.windows import window_span
from lipschitz.readers.builder import NetworkBuilder, Value
from lipschitz.readers.onnx_node import Operator

__all__ = ["average_pool", "conv", "conv_transpose", "global_average_pool", "max_pool", "pad"]

_PAD_MODES: Final = {
    "constant": "zeros",
    "reflect": "reflect",
    "edge": "replicate",
    "wrap": "circular",
}


def conv(op: Operator, net: NetworkBuilder) -> Value:
    x, kernel = op.value(0), op.weights(1, "kernel")
    sizes, stride, dilation, widths = _window(op, x, kernel.shape[2:])
    _refuse_kernel_shape(op, kernel)
    return net.convolution(
        x,
        kernel,
        bias=op.weights(2, "bias") if op.has(2) else None,
        stride=stride,
        dilation=dilation,
        pad_width=_automatic_pads(op, sizes, kernel.shape[2:], stride, dilation) or widths,
        groups=int(op.attributes.get("group", 1)),
    )


def conv_transpose(op: Operator, net: NetworkBuilder) -> Value:
    x, kernel = op.value(0), op.weights(1, "kernel")
    sizes, stride, dilation, widths = _window(op, x, kernel.shape[2:])
    _refuse_kernel_shape(op, kernel)
    extra = tuple(op.attributes.get("output_padding") or (0,) * len(sizes))
    wanted = op.attributes.get("output_shape")
    automatic = op.attributes["auto_pad"]
    if automatic.startswith("SAME") and not wanted:
        wanted = [n * s for n, s in zip(sizes, stride, strict=True)]
    if wanted:
        spans = window_span(kernel.shape[2:], dilation)
        parts = zip(sizes, stride, spans, extra, wanted[-len(sizes) :], strict=True)
        totals = [(n - 1) * s + w + e - m for n, s, w, e, m in parts]
        if min(totals) < 0:
            raise NotCertified(f"`output_shape` = {list(wanted)} exceeds what the input covers")
        widths = tuple(
            (t // 2, t - t // 2) if automatic == "SAME_UPPER" else (t - t // 2, t // 2)
            for t in totals
        )
    return net.convolution(
        x,
        kernel,
        bias=op.weights(2, "bias") if op.has(2) else None,
        stride=stride,
        dilation=dilation,
        pad_width=widths,
        groups=int(op.attributes.get("group", 1)),
        transposed=True,
        output_padding=extra,
    )


def _refuse_kernel_shape(op: Operator, kernel: Array) -> None:
    declared = op.attributes.get("kernel_shape")
    if declared is not None and tuple(declared) != kernel.shape[2:]:
        raise ValueError(
            f"`kernel_shape` = {list(declared)} contradicts a kernel of shape {kernel.shape}"
        )


def _window(
    op: Operator, x: Value, kernel_size: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], Widths]:
    """Sizes of the input, stride, dilation and explicit padding."""
    axes = len(kernel_size)
    stride = int_tuple(op.attributes.get("strides") or 1, "strides", axes)
    dilation = int_tuple(op.attributes.get("dilations") or 1, "dilations", axes)
    pads = tuple(op.attributes.get("pads") or (0,) * (2 * axes))
    if len(pads) != 2 * axes or min(pads) < 0:
        raise ValueError(f"`pads` must be {2 * axes} nonnegative integers, got {list(pads)}")
    return x.shape[2:], stride, dilation, tuple(zip(pads[:axes], pads[axes:], strict=True))


def _automatic_pads(
    op: Operator,
    sizes: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> Widths | None:
    """The padding that ``auto_pad`` asks for, or None if it leaves it to ``pads``."""
    automatic = op.attributes["auto_pad"]
    if automatic in ("", "NOTSET"):
        return None
    if automatic == "VALID":
        return ((0, 0),) * len(sizes)
    totals = [
        max((-(-n // s) - 1) * s + w - n, 0)
        for n, s, w in zip(sizes, stride, window_span(kernel_size, dilation), strict=True)
    ]
    upper = automatic == "SAME_UPPER"
    return tuple((t // 2, t - t // 2) if upper else (t - t // 2, t // 2) for t in totals)


def _pool_options(op: Operator) -> tuple[Value, dict[str, Any]]:
    x, kernel_size = op.value(0), op.attributes["kernel_shape"]
    kernel_size = int_tuple(kernel_size, "kernel_shape", len(kernel_size))
    sizes, stride, dilation, widths = _window(op, x, kernel_size)
    return x, {
        "axes": len(kernel_size),
        "kernel_size": kernel_size,
        "stride": stride,
        "dilation": dilation,
        "pad_width": _automatic_pads(op, sizes, kernel_size, stride, dilation) or widths,
        "ceil_mode": bool(op.attributes.get("ceil_mode", 0)),
    }


def max_pool(op: Operator, net: NetworkBuilder) -> Value:
    x, options = _pool_options(op)
    return net.max_pool(x, **options)


def average_pool(op: Operator, net: NetworkBuilder) -> Value:
    x, options = _pool_options(op)
    counted = bool(op.attributes.get("count_include_pad", 0))
    return net.average_pool(x, count_include_pad=counted, **options)


def global_average_pool(op: Operator, net: NetworkBuilder) -> Value:
    return net.global_average(op.value(0))


def pad(op: Operator, net: NetworkBuilder) -> Value:
    x, mode = op.value(0), _PAD_MODES[op.attributes["mode"]]
    pads = op.ints_of("pads", 1) or ()
    axes = op.ints(3, "axes") if op.has(3) else tuple(range(len(x.shape)))
    if len(pads) != 2 * len(axes) or min(pads, default=0) < 0:
        raise ValueError(f"`pads` must be {2 * len(axes)} nonnegative integers, got {list(pads)}")
    widths = [(0, 0)] * len(x.shape)
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        widths[axis] = (before, after)
    fill = float(op.weights(2, "value").item()) if op.has(2) else op.attributes.get("value", 0.0)
    return net.pad(x, widths, mode, fill)
