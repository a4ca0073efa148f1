"""Merge affine neighbours of a network: batch normalisation into convolutions, and the like.

The product of two layers' norms is never below the norm of their product, so that merging can only
tighten a product bound. Folded weights are rounded; the layers carry entrywise bounds of the
difference (`LinearLayer.weight_error`), computed in `lipschitz.layers.balls`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from lipschitz.layers import balls
from lipschitz.layers.balls import Ball
from lipschitz.layers.contract import Array, Layer
from lipschitz.layers.convolution import Convolution
from lipschitz.layers.dense import Dense, Scale
from lipschitz.layers.joints import Identity, Permute, Reshape
from lipschitz.layers.padding import Pad
from lipschitz.network import Network, Node

__all__ = ["fold", "merge"]

_LARGEST_PRODUCT: Final = 2**24
"""Entries of the largest product of two matrices that is formed (128 MB)."""


def fold(network: Network) -> Network:
    """The same function with every mergeable pair of neighbours replaced by one layer.

    A layer and its only reader are merged where `merge` knows how; identities disappear. A merged
    node is named after its parts, joined by ``+``.

    Examples
    --------
    >>> from lipschitz.network import chain
    >>> layers = [("fc", Dense(weight=[[3.0]])), ("half", Scale(input_shape=(1,), scale=0.5))]
    >>> folded = fold(Network(input_shape=(1,), nodes=chain(layers)))
    >>> folded.nodes[0].name, folded.nodes[0].layer.weight
    ('fc+half', array([[1.5]]))
    """
    nodes = list(network.nodes)
    while _drop_identity(nodes) or _merge_pair(nodes):
        pass
    return replace(network, nodes=tuple(nodes))


def _drop_identity(nodes: list[Node]) -> bool:
    for j, node in enumerate(nodes):
        is_output = j == len(nodes) - 1
        if not _is_identity(node.layer) or (is_output and (j == 0 or node.inputs != (j,))):
            continue
        source = node.inputs[0]
        del nodes[j]
        _rename(nodes, lambda i, j=j, source=source: source if i == j + 1 else i - (i > j + 1))  # type: ignore[misc]
        return True
    return False


def _is_identity(layer: Layer) -> bool:
    if isinstance(layer, Reshape):
        return layer.input_shape == layer.target_shape
    if isinstance(layer, Permute):
        return layer.axes == tuple(range(len(layer.axes)))
    if isinstance(layer, Pad):
        return not any(map(any, layer.widths))
    return isinstance(layer, Identity)


def _merge_pair(nodes: list[Node]) -> bool:
    for j, second in enumerate(nodes):
        if len(second.inputs) != 1 or second.inputs[0] == 0:
            continue
        i = second.inputs[0] - 1
        first = nodes[i]
        if len(first.inputs) != 1 or sum(i + 1 in node.inputs for node in nodes) != 1:
            continue
        merged = merge(first.layer, second.layer)
        if merged is None:
            continue
        nodes[j] = Node(name=f"{first.name}+{second.name}", layer=merged, inputs=first.inputs)
        del nodes[i]
        _rename(nodes, lambda v, i=i: v - (v > i + 1))  # type: ignore[misc]
        return True
    return False


def _rename(nodes: list[Node], new: Callable[[int], int]) -> None:
    """Renumber the values that the nodes read."""
    nodes[:] = [replace(node, inputs=tuple(new(i) for i in node.inputs)) for node in nodes]


# ---- pairs --------------------------------------------------------------------------------------
def merge(first: Layer, second: Layer) -> Layer | None:
    """One layer that is ``second`` after ``first``, or None if there is no such layer here.

    ======================== ==================================================================
    first, second            merged if
    ======================== ==================================================================
    Dense, Dense             same leading axes, product of at most 2**24 entries
    Dense, Scale and back    the scale depends on the last axis only
    Scale, Scale             always
    Convolution, Scale       the scale depends on the channel only
    Scale, Convolution       the same, and a shift only where padding keeps constants constant
    Pad, Convolution         the convolution's own padding is absent or of the same zeros
    Reshape twice, Permute   always
    twice
    ======================== ==================================================================
    """
    rule = _RULES.get((type(first), type(second)))
    return None if rule is None else rule(first, second)


def _weight(layer: Dense | Convolution | Scale) -> Ball:
    if isinstance(layer, Dense):
        return _ball(layer.weight, layer.weight_error)
    if isinstance(layer, Convolution):
        return _ball(layer.kernel, layer.weight_error)
    return _ball(layer.scale, layer.weight_error)


def _bias(layer: Dense | Convolution | Scale) -> Ball | None:
    stored = layer.shift if isinstance(layer, Scale) else layer.bias
    if stored is None and layer.bias_error is not None:
        stored = np.zeros_like(layer.bias_error)
    return None if stored is None else _ball(stored, layer.bias_error)


def _ball(center: Array, error: Array | None) -> Ball:
    return center, np.zeros_like(center) if error is None else error


def _fields(names: tuple[str, str], weight: Ball, bias: Ball | None) -> dict[str, Any]:
    fields = {names[0]: weight[0], "weight_error": weight[1]}
    constant = (None, None) if bias is None else bias
    return fields | {names[1]: constant[0], "bias_error": constant[1]}


def _plus(a: Ball | None, b: Ball | None) -> Ball | None:
    if a is None or b is None:
        return b if a is None else a
    return balls.add(a, b)


def _dense_dense(first: Dense, second: Dense) -> Layer | None:
    size = second.weight.shape[0] * first.weight.shape[1]
    if first.leading != second.leading or size > _LARGEST_PRODUCT:
        return None
    outer, inner = _weight(second), _bias(first)
    weight = balls.matmul(outer, _weight(first))
    moved = None if inner is None else _matvec(outer, inner)
    return replace(first, **_fields(("weight", "bias"), weight, _plus(moved, _bias(second))))


def _matvec(matrix: Ball, vector: Ball) -> Ball:
    center, radius = balls.matmul(matrix, (vector[0][:, None], vector[1][:, None]))
    return center[:, 0], radius[:, 0]


def _dense_scale(first: Dense, second: Scale) -> Layer | None:
    axis = len(first.leading)
    scale, shift = _along(_weight(second), second, axis), _along(_bias(second), second, axis)
    if scale is None or (shift is None and second.shift is not None):
        return None
    weight = balls.multiply((scale[0][:, None], scale[1][:, None]), _weight(first))
    inner = _bias(first)
    moved = None if inner is None else balls.multiply(scale, inner)
    return replace(first, **_fields(("weight", "bias"), weight, _plus(moved, shift)))


def _scale_dense(first: Scale, second: Dense) -> Layer | None:
    axis = len(second.leading)
    scale, shift = _along(_weight(first), first, axis), _along(_bias(first), first, axis)
    if scale is None or (shift is None and first.shift is not None):
        return None
    weight = balls.multiply(_weight(second), scale)
    moved = None if shift is None else _matvec(_weight(second), shift)
    return replace(second, **_fields(("weight", "bias"), weight, _plus(moved, _bias(second))))


def _scale_scale(first: Scale, second: Scale) -> Layer | None:
    inner = _bias(first)
    scale = balls.multiply(_weight(second), _weight(first))
    moved = None if inner is None else balls.multiply(_weight(second), inner)
    return replace(first, **_fields(("scale", "shift"), scale, _plus(moved, _bias(second))))


def _convolution_scale(first: Convolution, second: Scale) -> Layer | None:
    scale, shift = _along(_weight(second), second, 0), _along(_bias(second), second, 0)
    if scale is None or (shift is None and second.shift is not None):
        return None
    kernel = _scale_channels(first, scale, outputs=True)
    inner = _bias(first)
    moved = None if inner is None else balls.multiply(scale, inner)
    return replace(first, **_fields(("kernel", "bias"), kernel, _plus(moved, shift)))


def _scale_convolution(first: Scale, second: Convolution) -> Layer | None:
    scale, shift = _along(_weight(first), first, 0), _along(_bias(first), first, 0)
    if scale is None or (shift is None and first.shift is not None):
        return None
    moved = None
    if shift is not None and (np.any(shift[0]) or np.any(shift[1])):
        keeps_constants = second.padding != "zeros" or not any(map(any, second.pad_width))
        if second.transposed or not keeps_constants:
            return None
        moved = _sum_over_taps(second, shift)
    kernel = _scale_channels(second, scale, outputs=False)
    return replace(second, **_fields(("kernel", "bias"), kernel, _plus(moved, _bias(second))))


def _scale_channels(layer: Convolution, scale: Ball, *, outputs: bool) -> Ball:
    """The kernel with its output or input channels scaled."""
    kernel, error = _weight(layer)
    grouped = (layer.groups, kernel.shape[0] // layer.groups, *kernel.shape[1:])
    on_first_axis = outputs != layer.transposed
    channels = (layer.groups, -1, 1) if on_first_axis else (layer.groups, 1, -1)
    column = (*channels, *(1,) * len(layer.kernel_size))
    center, radius = balls.multiply(
        (kernel.reshape(grouped), error.reshape(grouped)),
        (scale[0].reshape(column), scale[1].reshape(column)),
    )
    return center.reshape(kernel.shape), radius.reshape(kernel.shape)


def _sum_over_taps(layer: Convolution, constant: Ball) -> Ball:
    """What the convolution makes of an input that is constant in every channel."""
    kernel, error = _weight(layer)
    grouped = (layer.groups, kernel.shape[0] // layer.groups, -1)
    taps = kernel[0, 0].size
    repeated = [np.repeat(part, taps).reshape(layer.groups, -1, 1) for part in constant]
    center, radius = balls.matmul(
        (kernel.reshape(grouped), error.reshape(grouped)), (repeated[0], repeated[1])
    )
    return center.reshape(-1), radius.reshape(-1)


def _along(ball: Ball | None, layer: Scale, axis: int) -> Ball | None:
    """A constant of ``layer`` as a vector along ``axis``, or None if it varies along another."""
    if ball is None:
        return None
    shape = layer.input_shape
    size = (1,) * (len(shape) - ball[0].ndim) + ball[0].shape
    if any(n != 1 for i, n in enumerate(size) if i != axis):
        return None
    return _vector(ball[0], size[axis], shape[axis]), _vector(ball[1], size[axis], shape[axis])


def _vector(array: Array, present: int, wanted: int) -> Array:
    return np.ascontiguousarray(np.broadcast_to(array.reshape(present), (wanted,)))


def _pad_convolution(first: Pad, second: Convolution) -> Layer | None:
    own = any(map(any, second.pad_width))
    if second.transposed or any(first.widths[0]) or (first.mode == "zeros" and first.value):
        return None
    if own and not (first.mode == second.padding == "zeros"):
        return None
    pairs = zip(first.widths[1:], second.pad_width, strict=True)
    return replace(
        second,
        input_shape=first.input_shape,
        padding=first.mode,
        pad_width=tuple((a + c, b + d) for (a, b), (c, d) in pairs),
    )


def _reshape_reshape(first: Reshape, second: Reshape) -> Layer | None:
    return Reshape(input_shape=first.input_shape, target_shape=second.target_shape)


def _permute_permute(first: Permute, second: Permute) -> Layer | None:
    return Permute(input_shape=first.input_shape, axes=tuple(first.axes[a] for a in second.axes))


_RULES: Final[dict[tuple[type, type], Callable[..., Layer | None]]] = {
    (Dense, Dense): _dense_dense,
    (Dense, Scale): _dense_scale,
    (Scale, Dense): _scale_dense,
    (Scale, Scale): _scale_scale,
    (Convolution, Scale): _convolution_scale,
    (Scale, Convolution): _scale_convolution,
    (Pad, Convolution): _pad_convolution,
    (Reshape, Reshape): _reshape_reshape,
    (Permute, Permute): _permute_permute,
}
