"""Sliding windows: sums over the taps of a kernel as matrix products, and their adjoint.

One matrix product takes a block of taps at a time: as few calls as the memory allows. Every result
is a sum of ordinary dot products, to which the standard error model of `evidence.rounding`
applies; FFT and Winograd convolutions have no such model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from lipschitz.layers.contract import Array, Shape

__all__ = ["Tap", "correlate", "output_sizes", "scatter", "tap_slices", "window_span"]

Tap = tuple[Any, ...]
"""An index of numpy: an ellipsis and one slice for each spatial axis."""

_BLOCK: Final = 2**21
"""Numbers gathered for one matrix product (16 MB); a single tap may exceed it."""


def window_span(kernel_size: Sequence[int], dilation: Sequence[int]) -> Shape:
    """How many numbers a window covers along each axis: ``d (k - 1) + 1``."""
    return tuple(d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True))


def output_sizes(
    sizes: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> Shape:
    """Number of windows along each axis of a padded input.

    Raises
    ------
    ValueError
        If a window is larger than the padded input.

    Examples
    --------
    >>> output_sizes((32, 32), (3, 3), (2, 2), (1, 1))
    (15, 15)
    """
    spans = window_span(kernel_size, dilation)
    if any(span > n for span, n in zip(spans, sizes, strict=True)):
        raise ValueError(
            f"`kernel_size` = {tuple(kernel_size)} with dilation {tuple(dilation)} spans {spans}, "
            f"more than the padded input {tuple(sizes)}; pad more or use a larger input"
        )
    return tuple((n - w) // s + 1 for n, w, s in zip(sizes, spans, stride, strict=True))


def tap_slices(
    kernel_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    windows: Sequence[int],
) -> Iterator[Tap]:
    """For each tap, in row-major order, the index of the padded entries it sees in all windows."""
    for tap in np.ndindex(*kernel_size):
        axes = zip(tap, dilation, stride, windows, strict=True)
        yield (..., *(slice(t * d, t * d + (m - 1) * s + 1, s) for t, d, s, m in axes))


def correlate(
    x: Array,
    kernel: Array,
    windows: Sequence[int],
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Array:
    """``y[o, p] = sum_{c, t} kernel[o, c, t] x[c, p * stride + t * dilation]`` for a batch.

    Parameters
    ----------
    x : array, shape (batch, C_in, *padded sizes)
    kernel : array, shape (C_out, C_in / groups, *kernel sizes)
    windows : sequence of int
        Number of windows along each axis.

    Returns
    -------
    array, shape (batch, C_out, *windows)
    """
    batch, c_in, c_out = x.shape[0], x.shape[1], kernel.shape[0]
    positions = batch * math.prod(windows)
    channels_first = np.moveaxis(x, 1, 0)
    weights = _tap_matrices(kernel, groups)
    y = np.zeros((groups, c_out // groups, positions))
    for first, block in _blocks(kernel.shape[2:], stride, dilation, windows, c_in * positions):
        seen = np.empty((groups, len(block), c_in // groups, positions))
        for i, tap in enumerate(block):
            seen[:, i] = channels_first[tap].reshape(groups, -1, positions)
        part = weights[:, :, first : first + len(block)].reshape(groups, c_out // groups, -1)
        y += part @ seen.reshape(groups, -1, positions)
    return np.ascontiguousarray(np.moveaxis(y.reshape(c_out, batch, *windows), 0, 1))


def scatter(
    y: Array,
    kernel: Array,
    sizes: Sequence[int],
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Array:
    """The adjoint of `correlate`: ``x[c, p * stride + t * dilation] += kernel[o, c, t] y[o, p]``.

    Parameters
    ----------
    y : array, shape (batch, C_out, *windows)
    kernel : array, shape (C_out, C_in / groups, *kernel sizes)
    sizes : sequence of int
        The padded sizes of ``x``.

    Returns
    -------
    array, shape (batch, C_in, *sizes)
    """
    batch, c_out, windows = y.shape[0], y.shape[1], y.shape[2:]
    c_in = kernel.shape[1] * groups
    positions = batch * math.prod(windows)
    values = np.ascontiguousarray(np.moveaxis(y, 1, 0)).reshape(groups, -1, positions)
    weights = _tap_matrices(kernel, groups)
    x = np.zeros((c_in, batch, *sizes))
    for first, block in _blocks(kernel.shape[2:], stride, dilation, windows, c_in * positions):
        part = weights[:, :, first : first + len(block)].reshape(groups, c_out // groups, -1)
        spread = np.swapaxes(part, 1, 2) @ values
        spread = spread.reshape(groups, len(block), c_in // groups, positions)
        for i, tap in enumerate(block):
            x[tap] += spread[:, i].reshape(c_in, batch, *windows)
    return np.ascontiguousarray(np.moveaxis(x, 0, 1))


def _tap_matrices(kernel: Array, groups: int) -> Array:
    """The kernel as (groups, C_out / groups, taps, C_in / groups)."""
    c_out, c_in = kernel.shape[:2]
    return np.swapaxes(kernel.reshape(groups, c_out // groups, c_in, -1), 2, 3)


def _blocks(
    kernel_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    windows: Sequence[int],
    numbers_per_tap: int,
) -> Iterator[tuple[int, list[Tap]]]:
    """The taps in blocks: the index of the first one, and their slices."""
    taps = list(tap_slices(kernel_size, stride, dilation, windows))
    size = max(1, _BLOCK // max(1, numbers_per_tap))
    for first in range(0, len(taps), size):
        yield first, taps[first : first + size]
