"""Slow, independent references: written from the definitions, sharing no code with the packages.

Everything here is a plain loop over indices. It works in any exact arithmetic numpy can hold
(``dtype=object`` with ``Fraction`` or ``int``) as well as in floats, and is meant for matrices of
a few thousand entries.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "convolution_matrix",
    "convolution_output_shape",
    "exact_dot",
    "exact_matmul",
    "exact_transpose",
]

PadWidth = int | Sequence[int] | Sequence[tuple[int, int]] | None


def convolution_matrix(
    kernel: NDArray[Any],
    input_shape: Sequence[int] | int,
    *,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding: str = "circular",
    pad_width: PadWidth = None,
    transposed: bool = False,
    output_padding: int | Sequence[int] = 0,
) -> NDArray[Any]:
    """Dense matrix of a convolution layer, entry by entry from the definition.

    The layer is ``y[o, p] = sum_{c, t} kernel[o, c, t] x[c, s p + d t - before]`` where an index
    outside the input is dropped (``zeros``), wrapped (``circular``), mirrored (``reflect``) or
    clamped (``replicate``). The transposed layer scatters instead of gathering; its circular form
    lives on ``s n`` positions and is the adjoint of the circular layer on that grid.

    Parameters
    ----------
    kernel : array, shape (C_out, C_in / groups, *k); transposed: (C_in, C_out / groups, *k)
        The weights as torch stores them, of any dtype; one or more spatial axes.
    input_shape : sequence of int
        Spatial sizes of the input.
    stride, dilation, output_padding : int or sequence of int
        Per spatial axis.
    groups : int
        Number of channel groups.
    padding : {"circular", "zeros", "reflect", "replicate"}
        What stands outside the input; reflect and replicate only without ``transposed``.
    pad_width : None, int, ints per axis or (before, after) pairs per axis
        None takes ``d (k - 1)`` split as torch's ``padding="same"``: the smaller half before.

    Returns
    -------
    array, shape (C_out * prod(output), C_in * prod(input)), dtype of ``kernel``
        Rows are the output in C order of (channel, *position), columns the input likewise.

    Examples
    --------
    >>> convolution_matrix(np.array([[[1, -2, 1]]]), 3, padding="zeros")
    array([[-2,  1,  0],
           [ 1, -2,  1],
           [ 0,  1, -2]])
    >>> convolution_matrix(np.array([[[1, -2, 1]]]), 1)
    array([[0]])
    """
    kernel = np.asarray(kernel)
    sizes = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
    dims = kernel.ndim - 2
    if len(sizes) != dims:
        raise ValueError(f"`input_shape` must have {dims} entries, got {sizes}")
    if transposed and padding not in ("circular", "zeros"):
        raise ValueError(f"`padding` = {padding!r} has no transposed form here")
    s, d = _per_axis(stride, dims), _per_axis(dilation, dims)
    widths = _pad_widths(pad_width, kernel.shape[2:], d)
    out_sizes = convolution_output_shape(
        kernel.shape,
        sizes,
        stride=s,
        dilation=d,
        padding=padding,
        pad_width=widths,
        transposed=transposed,
        output_padding=output_padding,
    )
    if transposed:
        c_in, c_out = kernel.shape[0], kernel.shape[1] * groups
        per_in, per_out = c_in // groups, kernel.shape[1]
    else:
        c_in, c_out = kernel.shape[1] * groups, kernel.shape[0]
        per_in, per_out = kernel.shape[1], c_out // groups

    matrix = np.zeros((c_out, *out_sizes, c_in, *sizes), dtype=kernel.dtype)
    anchors = sizes if transposed else out_sizes
    fields = out_sizes if transposed else sizes
    for g, i, o in itertools.product(range(groups), range(per_in), range(per_out)):
        x_channel, y_channel = g * per_in + i, g * per_out + o
        for t in itertools.product(*map(range, kernel.shape[2:])):
            weight = kernel[(x_channel, o, *t) if transposed else (y_channel, i, *t)]
            for p in itertools.product(*map(range, anchors)):
                q = tuple(
                    _fold(s[a] * p[a] + d[a] * t[a] - widths[a][0], fields[a], padding)
                    for a in range(dims)
                )
                if -1 in q:
                    continue
                y_at, x_at = (q, p) if transposed else (p, q)
                matrix[(y_channel, *y_at, x_channel, *x_at)] += weight
    rows = c_out * int(np.prod(out_sizes, dtype=int))
    return matrix.reshape(rows, c_in * int(np.prod(sizes, dtype=int)))


def convolution_output_shape(
    kernel_shape: Sequence[int],
    input_shape: Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    padding: str = "circular",
    pad_width: PadWidth = None,
    transposed: bool = False,
    output_padding: int | Sequence[int] = 0,
) -> tuple[int, ...]:
    """Spatial sizes of the output of ``convolution_matrix``.

    Examples
    --------
    >>> convolution_output_shape((8, 3, 3, 3), (32, 31), stride=2, padding="zeros", pad_width=1)
    (16, 16)
    """
    dims = len(kernel_shape) - 2
    s, d = _per_axis(stride, dims), _per_axis(dilation, dims)
    extra = _per_axis(output_padding, dims)
    widths = _pad_widths(pad_width, kernel_shape[2:], d)
    sizes = []
    for a, n in enumerate(input_shape):
        reach = d[a] * (kernel_shape[2 + a] - 1)
        if transposed and padding == "circular":
            size = n * s[a]
        elif transposed:
            size = (n - 1) * s[a] - sum(widths[a]) + reach + 1 + extra[a]
        elif padding == "circular" and pad_width is None:
            size = -(-n // s[a])
        else:
            size = (n + sum(widths[a]) - reach - 1) // s[a] + 1
        if size < 1:
            raise ValueError(f"`input_shape` = {tuple(input_shape)} leaves no output on axis {a}")
        sizes.append(size)
    return tuple(sizes)


def exact_dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    """``sum a_i b_i`` in the arithmetic of the entries, starting from the integer 0.

    Examples
    --------
    >>> from fractions import Fraction
    >>> exact_dot([Fraction(1, 3), 2], [3, Fraction(1, 2)])
    Fraction(2, 1)
    """
    return sum((x * y for x, y in zip(a, b, strict=True)), 0)


def exact_matmul(a: Sequence[Sequence[Any]], b: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Matrix product as nested lists, in the arithmetic of the entries.

    Examples
    --------
    >>> from fractions import Fraction
    >>> exact_matmul([[1, Fraction(1, 2)]], [[2], [4]])
    [[Fraction(4, 1)]]
    """
    columns = exact_transpose(b)
    return [[exact_dot(row, column) for column in columns] for row in a]


def exact_transpose(a: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Transpose of nested lists.

    Examples
    --------
    >>> exact_transpose([[1, 2]])
    [[1], [2]]
    """
    return [list(column) for column in zip(*a, strict=True)]


def _per_axis(value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    values = (value,) * dims if isinstance(value, int) else tuple(value)
    if len(values) != dims:
        raise ValueError(f"expected {dims} values per axis, got {values}")
    return values


def _pad_widths(
    pad_width: PadWidth, kernel_sizes: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    if pad_width is None:
        totals = [d * (k - 1) for d, k in zip(dilation, kernel_sizes, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    if isinstance(pad_width, int):
        return ((pad_width, pad_width),) * len(kernel_sizes)
    pairs = tuple((w, w) if isinstance(w, int) else (int(w[0]), int(w[1])) for w in pad_width)
    if len(pairs) != len(kernel_sizes):
        raise ValueError(f"`pad_width` must have {len(kernel_sizes)} entries, got {pad_width}")
    return pairs


def _fold(index: int, size: int, padding: str) -> int:
    """Position inside ``range(size)`` that stands at ``index``, or -1 for a zero."""
    if 0 <= index < size:
        return index
    if padding == "zeros":
        return -1
    if padding == "circular":
        return index % size
    if padding == "replicate":
        return min(max(index, 0), size - 1)
    if padding == "reflect":
        mirrored = -index if index < 0 else 2 * (size - 1) - index
        if not 0 <= mirrored < size:
            raise ValueError(f"reflect padding reaches beyond an input of size {size}")
        return mirrored
    raise ValueError(f"`padding` must be circular, zeros, reflect or replicate, got {padding!r}")
