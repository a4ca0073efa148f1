"""Directional derivatives in ball arithmetic of any precision: a second engine, and one for depth.

The radii of `lipschitz.tangents` grow with the norms of the matrices ``|W|``, about sixfold a layer
for 64 random neurons, and leave nothing after 30 layers. Here every number is an Arb ball of `bits`
bits (Johansson, *Arb: efficient arbitrary-precision midpoint-radius interval arithmetic*, IEEE
Trans. Comput. 66 (2017)), so that the growth is met by starting smaller. The code shares nothing
with the float64 engine but the theorem.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipschitz.layers import (
    Activation,
    Add,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    Identity,
    Layer,
    MaxPool,
    Pad,
    Permute,
    Reshape,
    Scale,
)
from lipschitz.layers.padding import pad
from lipschitz.layers.windows import tap_slices, window_span
from lipschitz.network import Network
from lipschitz.tangents import window_pads

__all__ = ["derivative_balls", "slope_below"]

Array = NDArray[np.float64]
Balls = NDArray[Any]
"""Object arrays of `flint.arb`, without a batch axis."""


def derivative_balls(
    network: Network, point: Array, direction: Array, bits: int
) -> tuple[Balls, Balls]:
    """Arb balls around ``f(x)`` and the one-sided derivative ``Df(x; v)``.

    Parameters
    ----------
    network : Network
    point, direction : array, shape (*network.input_shape)
        The floats are taken as exact.
    bits : int
        Working precision.

    Returns
    -------
    value, derivative : object arrays of `flint.arb`, shape (*network.output_shape)

    Raises
    ------
    TypeError
        If a layer is of no known kind.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]])
    >>> derivative_balls(network, np.array([0.0]), np.array([-3.0]), 64)[1][0] == 3
    True
    """
    from flint import ctx

    with ctx.workprec(bits):
        values, slopes = [_exact(point)], [_exact(direction)]
        for node in network.nodes:
            a, da = [values[i] for i in node.inputs], [slopes[i] for i in node.inputs]
            values.append(_value(node.layer, a))
            slopes.append(_slope(node.layer, a, da))
    return values[-1], slopes[-1]


def slope_below(
    network: Network, point: Array, direction: Array, norm: float, bits: int
) -> Fraction:
    """A proved lower bound of ``||Df(x; v)||_p`` (of its square for ``p = 2``), as a fraction.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[3.0], [4.0]]])
    >>> slope_below(network, np.array([0.0]), np.array([1.0]), 2, 64)
    Fraction(25, 1)
    """
    from flint import ctx

    _, derivative = derivative_balls(network, point, direction, bits)
    with ctx.workprec(bits):
        sizes = [_as_fraction(ball.abs_lower()) for ball in derivative.ravel()]
    if norm == math.inf:
        return max(sizes)
    return sum((s**2 if norm == 2 else s for s in sizes), Fraction(0))


# ---- layers -------------------------------------------------------------------------------------
def _value(layer: Layer, inputs: list[Balls]) -> Balls:
    if isinstance(layer, Activation):
        value, _ = _functions(layer)
        return _map(value, inputs[0])
    if isinstance(layer, MaxPool):
        return _maximum(layer, inputs[0], inputs[0])
    y = _linear(layer, inputs)
    if isinstance(layer, Dense):
        return y if layer.bias is None else y + _inexact(layer.bias, layer.bias_error)
    if isinstance(layer, Convolution):
        if layer.bias is None:
            return y
        bias = _inexact(layer.bias, layer.bias_error)
        return y + bias.reshape(-1, *(1,) * len(layer.kernel_size))
    if isinstance(layer, Scale) and layer.shift is not None:
        return y + _inexact(layer.shift, layer.bias_error)
    if isinstance(layer, Pad) and layer.mode == "zeros" and layer.value:
        return pad(inputs[0], layer.widths, "zeros", layer.value)
    return y


def _slope(layer: Layer, at: list[Balls], along: list[Balls]) -> Balls:
    if isinstance(layer, Activation):
        _, slope = _functions(layer)
        return _map(slope, at[0], along[0])
    if isinstance(layer, MaxPool):
        return _maximum(layer, at[0], along[0])
    return _linear(layer, along)


def _linear(layer: Layer, inputs: list[Balls]) -> Balls:
    """The layer without its constants."""
    x = inputs[0]
    if isinstance(layer, Dense):
        rows = x.reshape(-1, x.shape[-1])
        y = _product(_inexact(layer.weight, layer.weight_error), rows.T)
        return y.T.reshape(layer.output_shape)
    if isinstance(layer, Convolution):
        return _convolution(layer, x)
    if isinstance(layer, Scale):
        scaled: Balls = x * np.broadcast_to(_inexact(layer.scale, layer.weight_error), x.shape)
        return scaled
    if isinstance(layer, AveragePool):
        seen = pad(x, window_pads(layer), "zeros", _zero())
        total = _total([seen[(slice(None), *tap)] for tap in _taps(layer)])
        mean: Balls = total / _exact(layer.counts)
        return mean
    if isinstance(layer, Add):
        return _total(inputs)
    if isinstance(layer, (Reshape, Permute, Identity, Concatenate, Pad)):
        moved: Balls = layer.linear(*(x[None] for x in inputs))[0]
        return moved
    raise TypeError(f"`layer` of kind {type(layer).__name__} has no directional derivative here")


def _convolution(layer: Convolution, x: Balls) -> Balls:
    groups = layer.groups
    kernel = _inexact(layer.kernel, layer.weight_error)
    kernel = kernel.reshape(groups, -1, *kernel.shape[1:])
    windows = x.shape[1:] if layer.transposed else layer.output_shape[1:]
    taps = list(tap_slices(layer.kernel_size, layer.stride, layer.dilation, windows))
    indices = list(np.ndindex(*layer.kernel_size))
    if not layer.transposed:
        padded = pad(x, layer.pad_width, layer.padding, _zero())
        fields = [
            padded[(slice(None), *tap)].reshape(groups, -1, math.prod(windows)) for tap in taps
        ]
        parts = []
        for g in range(groups):
            weights = np.concatenate([kernel[(g, ..., *t)] for t in indices], axis=1)
            parts.append(_product(weights, np.concatenate([f[g] for f in fields])))
        return np.concatenate(parts).reshape(-1, *windows)
    spans = window_span(layer.kernel_size, layer.dilation)
    sizes = zip(windows, layer.stride, spans, layer.output_padding, strict=True)
    uncropped = tuple((n - 1) * s + w + extra for n, s, w, extra in sizes)
    spread = np.full((layer.output_shape[0], *uncropped), _zero(), dtype=object)
    x = x.reshape(groups, -1, math.prod(windows))
    for tap, index in zip(taps, indices, strict=True):
        parts = [_product(kernel[(g, ..., *index)].T, x[g]) for g in range(groups)]
        place = (slice(None), *tap)
        spread[place] = spread[place] + np.concatenate(parts).reshape(-1, *windows)
    pairs = zip(spread.shape[1:], layer.pad_width, strict=True)
    keep = tuple(slice(before, n - after) for n, (before, after) in pairs)
    cropped: Balls = spread[(slice(None), *keep)]
    return cropped


def _maximum(layer: MaxPool, at: Balls, along: Balls) -> Balls:
    """The value of the maximum, or its derivative: the hull over the entries that may attain it."""
    from flint import arb

    lowest: Any = arb.neg_inf()
    seen = pad(at, window_pads(layer), "zeros", lowest)
    moved = pad(along, window_pads(layer), "zeros", lowest)
    places = [(slice(None), *tap) for tap in _taps(layer)]
    values = np.stack([seen[p] for p in places]).reshape(len(places), -1)
    results = np.stack([moved[p] for p in places]).reshape(len(places), -1)
    chosen = []
    for z, r in zip(values.T, results.T, strict=True):
        top = max(z, key=lambda ball: _as_float(ball))
        active = [b for a, b in zip(z, r, strict=True) if not a < top]
        hull = active[0]
        for ball in active[1:]:
            hull = hull.union(ball)
        chosen.append(hull)
    return _objects(chosen).reshape(layer.output_shape)


def _functions(layer: Activation) -> tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]:
    """``phi(z)`` and its one-sided derivative along ``dz``."""
    from flint import arb

    a = arb(layer.parameter if layer.parameter is not None else 0.0)
    one = arb(1)
    if layer.kind == "sigmoid":
        return lambda z: one / (one + (-z).exp()), lambda z, dz: dz * _bump(z)
    if layer.kind == "tanh":
        return lambda z: z.tanh(), lambda z, dz: dz * z.sech() ** 2
    if layer.kind == "softplus":
        return lambda z: (a * z).exp().log1p() / a, lambda z, dz: dz / (one + (-a * z).exp())
    if layer.kind == "elu":
        below: Callable[[Any], Any] = lambda z: a * z.expm1()  # noqa: E731
        left: Callable[[Any], Any] = lambda z: a * z.exp()  # noqa: E731
    elif layer.kind in ("relu", "leaky_relu"):
        below, left = (lambda z: a * z), (lambda z: a)
    else:
        raise TypeError(f"`layer` of kind {layer.kind} has no directional derivative here")

    def value(z: Any) -> Any:
        if z > 0:
            return z
        return below(z) if z <= 0 else z.union(below(z))

    def slope(z: Any, dz: Any) -> Any:
        if z > 0 or (z == 0 and dz > 0):
            return dz
        return dz * left(z) if z < 0 or (z == 0 and dz <= 0) else dz.union(dz * left(z))

    return value, slope


def _bump(z: Any) -> Any:
    """``sigmoid'(z) = 1 / (4 cosh(z / 2)^2)``."""
    return (z / 2).sech() ** 2 / 4


# ---- arrays of balls ----------------------------------------------------------------------------
def _objects(balls: Sequence[Any]) -> Balls:
    array = np.empty(len(balls), dtype=object)
    array[:] = balls
    return array


def _exact(values: Array) -> Balls:
    from flint import arb

    return _objects([arb(t) for t in values.ravel().tolist()]).reshape(values.shape)


def _inexact(values: Array, errors: Array | None) -> Balls:
    from flint import arb

    if errors is None:
        return _exact(values)
    pairs = zip(values.ravel().tolist(), errors.ravel().tolist(), strict=True)
    return _objects([arb(t, e) for t, e in pairs]).reshape(values.shape)


def _zero() -> Any:
    from flint import arb

    return arb(0)


def _map(function: Callable[..., Any], *arrays: Balls) -> Balls:
    columns = zip(*(a.ravel() for a in arrays), strict=True)
    return _objects([function(*entries) for entries in columns]).reshape(arrays[0].shape)


def _product(a: Balls, b: Balls) -> Balls:
    from flint import arb_mat

    entries = (arb_mat(a.tolist()) * arb_mat(b.tolist())).tolist()
    return _objects([t for row in entries for t in row]).reshape(a.shape[0], b.shape[1])


def _total(arrays: list[Balls]) -> Balls:
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total


def _taps(layer: AveragePool | MaxPool) -> list[tuple[slice, ...]]:
    return list(tap_slices(layer.kernel_size, layer.stride, layer.dilation, layer.windows))


def _as_fraction(exact: Any) -> Fraction:
    """An exact ball as a fraction; a bound that is not finite is no bound, hence 0."""
    if not exact.is_finite():
        return Fraction(0)
    mantissa, exponent = exact.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def _as_float(ball: Any) -> float:
    return float(ball.mid())
