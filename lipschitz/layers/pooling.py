"""Pooling over sliding windows: averages (linear) and maxima (piecewise linear)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evidence.validation import int_tuple
from lipschitz.layers.balls import Ball, ball_of_bounds, bounds_of_ball
from lipschitz.layers.contract import (
    Array,
    Layer,
    LinearLayer,
    Shape,
    SingleInput,
    shape_tuple,
    store,
)
from lipschitz.layers.padding import Widths, pad, pad_adjoint, padded_sizes, width_pairs
from lipschitz.layers.windows import Tap, output_sizes, tap_slices, window_span

__all__ = ["AveragePool", "MaxPool"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AveragePool(SingleInput, LinearLayer):
    """The mean of every window of every channel; zeros are padded.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, *sizes)``.
    kernel_size, stride, dilation : int or sequence of int
    pad_width : int, sequence of int, or sequence of (before, after)
    count_include_pad : bool
        Divide by the number of entries of the padded input in the window, else of the input.
    ceil_mode : bool
        Keep the last, incomplete window if it starts inside the input or the padding before it;
        what lies beyond the padding is never counted.

    Notes
    -----
    The exact function divides by the integer count, which the rounding of ``linear`` covers:
    ``terms`` is the number of taps plus one. The weights ``1 / count`` are not stored.

    Examples
    --------
    >>> layer = AveragePool(input_shape=(1, 5), kernel_size=2, stride=2, ceil_mode=True)
    >>> layer.apply(np.array([[[1.0, 3.0, 5.0, 7.0, 9.0]]]))
    array([[[2., 6., 9.]]])
    """

    input_shape: Shape
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...] = 1  # type: ignore[assignment]
    dilation: tuple[int, ...] = 1  # type: ignore[assignment]
    pad_width: Widths = 0  # type: ignore[assignment]
    count_include_pad: bool = True
    ceil_mode: bool = False
    windows: Shape = field(init=False)
    counts: Array = field(init=False)

    def __post_init__(self) -> None:
        _check_windows(self)
        inside = np.ones((1, 1, *self.input_shape[1:]))
        if self.count_include_pad:
            inside = pad(inside, self.pad_width, "zeros", 1.0)
            ones = pad(inside, _overhang(self), "zeros")
        else:
            ones = pad(inside, _total_pad(self), "zeros")
        counts = self._sum(ones)[0, 0]
        if not counts.all():
            raise ValueError(
                f"`pad_width` = {self.pad_width} leaves windows of size {self.kernel_size} that "
                "see no input; pad less"
            )
        store(self, counts=counts)

    @property
    def output_shape(self) -> Shape:
        """``(channels, *windows)``."""
        return (self.input_shape[0], *self.windows)

    @property
    def terms(self) -> int:
        """Taps, and one division."""
        return math.prod(self.kernel_size) + 1

    def linear(self, *xs: Array) -> Array:
        """The means."""
        return self._sum(pad(xs[0], _total_pad(self), "zeros")) / self.counts

    def adjoint(self, y: Array) -> tuple[Array, ...]:
        """Every mean's share given back to the entries of its window."""
        share = y / self.counts
        x = np.zeros((*y.shape[:2], *padded_sizes(self.input_shape[1:], _total_pad(self))))
        for tap in _taps(self):
            x[tap] += share
        return (pad_adjoint(x, _total_pad(self), "zeros"),)

    def magnitude(self, *rs: Array) -> Array:
        """The means: the weights are not negative."""
        return self.linear(*rs)

    def _sum(self, padded: Array) -> Array:
        total = np.zeros((*padded.shape[:2], *self.windows))
        for tap in _taps(self):
            total += padded[tap]
        return total


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaxPool(SingleInput, Layer):
    """The maximum of every window of every channel; padding never wins.

    Parameters
    ----------
    input_shape : tuple of int
        ``(channels, *sizes)``.
    kernel_size, stride, dilation : int or sequence of int
    pad_width : int, sequence of int, or sequence of (before, after)
    ceil_mode : bool
        As in `AveragePool`.

    Examples
    --------
    >>> layer = MaxPool(input_shape=(1, 4), kernel_size=2, stride=2)
    >>> x = np.array([[[1.0, 3.0, 8.0, 2.0]]])
    >>> layer.apply(x), layer.winners(x), layer.gap(x)
    (array([[[3., 8.]]]), array([[[1, 2]]]), array([[[2., 6.]]]))
    """

    input_shape: Shape
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...] = 1  # type: ignore[assignment]
    dilation: tuple[int, ...] = 1  # type: ignore[assignment]
    pad_width: Widths = 0  # type: ignore[assignment]
    ceil_mode: bool = False
    windows: Shape = field(init=False)

    def __post_init__(self) -> None:
        _check_windows(self)
        seen = self._padded(np.zeros((1, 1, *self.input_shape[1:])))
        if not np.isfinite(self._largest(seen)).all():
            raise ValueError(
                f"`pad_width` = {self.pad_width} leaves windows of size {self.kernel_size} that "
                "see no input; pad less"
            )

    @property
    def output_shape(self) -> Shape:
        """``(channels, *windows)``."""
        return (self.input_shape[0], *self.windows)

    def apply(self, *xs: Array) -> Array:
        """The maxima; nothing is rounded."""
        return self._largest(self._padded(xs[0]))

    def enclose(self, *balls: Ball) -> Ball:
        """The maximum is monotone: it maps bounds to bounds."""
        ((center, radius),) = balls
        if not np.any(radius):
            return self.apply(center), np.zeros((center.shape[0], *self.output_shape))
        lower, upper = bounds_of_ball(center, radius)
        return ball_of_bounds(self.apply(lower), self.apply(upper))

    # ---- the active linear piece --------------------------------------------------------------
    def winners(self, x: Array) -> NDArray[np.intp]:
        """Flat index into ``input_shape`` of each window's first maximum, for every sample."""
        index = np.arange(math.prod(self.input_shape), dtype=np.float64)
        labels = self._padded(index.reshape(1, *self.input_shape))
        padded = self._padded(x)
        best = np.full((x.shape[0], *self.output_shape), -np.inf)
        winner = np.zeros(best.shape)
        for tap in _taps(self):
            better = padded[tap] > best
            best = np.where(better, padded[tap], best)
            winner = np.where(better, labels[tap], winner)
        return winner.astype(np.intp)

    def gap(self, x: Array) -> Array:
        """Each window's maximum minus its second largest entry (``inf`` if it sees one entry)."""
        padded = self._padded(x)
        best = np.full((x.shape[0], *self.output_shape), -np.inf)
        second = best
        for tap in _taps(self):
            seen = padded[tap]
            second = np.maximum(second, np.minimum(best, seen))
            best = np.maximum(best, seen)
        return best - second

    def take(self, winners: NDArray[np.intp], x: Array) -> Array:
        """The linear piece with these winners: the entries of ``x`` at ``winners``."""
        flat = x.reshape(x.shape[0], -1)
        chosen = winners.reshape(winners.shape[0], -1)
        taken = np.take_along_axis(flat, np.broadcast_to(chosen, (len(flat), chosen.shape[1])), 1)
        return taken.reshape(x.shape[0], *self.output_shape)

    def put(self, winners: NDArray[np.intp], y: Array) -> Array:
        """The adjoint of `take`: every ``y`` added to the entry that won its window."""
        size = math.prod(self.input_shape)
        chosen = np.broadcast_to(winners, y.shape).reshape(y.shape[0], -1)
        x = np.zeros((y.shape[0], size))
        np.add.at(x, (np.arange(y.shape[0])[:, None], chosen), y.reshape(y.shape[0], -1))
        return x.reshape(y.shape[0], *self.input_shape)

    def _padded(self, x: Array) -> Array:
        return pad(x, _total_pad(self), "zeros", -np.inf)

    def _largest(self, padded: Array) -> Array:
        largest = np.full((*padded.shape[:2], *self.windows), -np.inf)
        for tap in _taps(self):
            np.maximum(largest, padded[tap], out=largest)
        return largest


Pool = AveragePool | MaxPool


def _check_windows(layer: Pool) -> None:
    """Check the geometry and store it in full."""
    shape = shape_tuple(layer.input_shape, "input_shape")
    axes = len(shape) - 1
    if not 1 <= axes <= 3:
        raise ValueError(f"`input_shape` must be (channels, 1 to 3 sizes), got {shape}")
    kernel_size = int_tuple(layer.kernel_size, "kernel_size", axes)
    stride = int_tuple(layer.stride, "stride", axes)
    dilation = int_tuple(layer.dilation, "dilation", axes)
    pad_width = width_pairs(layer.pad_width, "pad_width", shape[1:], "zeros")
    spans = window_span(kernel_size, dilation)
    if any(max(pair) >= span for pair, span in zip(pad_width, spans, strict=True)):
        raise ValueError(
            f"`pad_width` = {pad_width} leaves windows of size {kernel_size} that see no input; "
            "pad less"
        )
    windows = output_sizes(padded_sizes(shape[1:], pad_width), kernel_size, stride, dilation)
    if layer.ceil_mode:
        rounded_up = []
        for n, (before, after), w, s in zip(shape[1:], pad_width, spans, stride, strict=True):
            count = -((w - n - before - after) // s) + 1
            # A window that starts beyond the input would see padding only: it is dropped.
            rounded_up.append(count - ((count - 1) * s >= n + before))
        windows = tuple(rounded_up)
    store(
        layer,
        input_shape=shape,
        kernel_size=kernel_size,
        stride=stride,
        dilation=dilation,
        pad_width=pad_width,
        windows=windows,
    )


def _overhang(layer: Pool) -> Widths:
    """How far the last windows reach beyond the padded input; only with ``ceil_mode``."""
    sizes = padded_sizes(layer.input_shape[1:], layer.pad_width)
    spans = window_span(layer.kernel_size, layer.dilation)
    ends = zip(layer.windows, layer.stride, spans, sizes, strict=True)
    return tuple((0, max(0, (m - 1) * s + w - n)) for m, s, w, n in ends)


def _total_pad(layer: Pool) -> Widths:
    pairs = zip(layer.pad_width, _overhang(layer), strict=True)
    return tuple((before, after + extra) for (before, after), (_, extra) in pairs)


def _taps(layer: Pool) -> Iterator[Tap]:
    return tap_slices(layer.kernel_size, layer.stride, layer.dilation, layer.windows)
