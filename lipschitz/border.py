"""Norms of convolutions with a border, at one input size: dense, or padded grid and Lanczos."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence import Enclosure, spectral_norm_enclosure
from evidence.rounding import (
    TINY,
    add_up,
    divide_down,
    gamma,
    mul_up,
    norm_lower,
    norm_upper,
    sqrt_up,
    sub_down,
)
from evidence.validation import int_tuple
from lipschitz.block_maximum import largest_block
from lipschitz.convolution_geometry import Geometry, IntOrTuple
from lipschitz.frequency_search import Maximum
from lipschitz.layers.convolution import Convolution
from lipschitz.layers.padding import Widths, multiplicity, padded_sizes, width_pairs
from lipschitz.layers.windows import output_sizes
from lipschitz.symbol import Symbol, polyphase_symbols

__all__ = ["norm_with_border"]

_DENSE_SIDE = 512
_DENSE_OTHER_SIDE = 4096
_BASIS_BYTES = 2**26
_WORK = 4e9  # multiplications spent on a lower bound


def norm_with_border(
    geometry: Geometry,
    input_shape: IntOrTuple,
    padding: str,
    pad_width: Any,
    extra: tuple[int, ...],
    rtol: float,
) -> Enclosure:
    """Enclose the norm of a layer whose border matters, see `lipschitz.spectral_norm`."""
    if pad_width is None:
        pad_width = [((w - 1) // 2, (w - 1) - (w - 1) // 2) for w in geometry.span]
    sizes = int_tuple(input_shape, "input_shape", len(geometry.sizes))
    if geometry.transposed:
        crop = width_pairs(pad_width, "pad_width", sizes, "zeros")
        sizes = _transposed_output(geometry, sizes, crop, extra)
    widths: Widths = width_pairs(pad_width, "pad_width", sizes, padding)
    padded = padded_sizes(sizes, widths)
    outputs = output_sizes(padded, geometry.sizes, geometry.stride, geometry.dilation)
    if geometry.is_zero:
        return Enclosure.exact(0.0, "kernel of zeros")
    layer = _forward_layer(geometry, sizes, padding, widths)
    sides = (math.prod(layer.input_shape), math.prod(layer.output_shape))
    if min(sides) <= _DENSE_SIDE and max(sides) <= _DENSE_OTHER_SIDE:
        dense = _dense_norm(layer)
        return geometry.unscaled(dense.lower, dense.upper, "dense")

    # The windows of the padded input never wrap on a circular grid that holds all of it.
    grid = tuple(-(-n // s) for n, s in zip(padded, geometry.stride, strict=True))
    symbols = geometry.symbols()
    best, block = largest_block(symbols, grid, rtol)
    copies = multiplicity(sizes, widths, padding)
    upper = mul_up(best.upper, sqrt_up(float(copies)))
    # Windows that start at different pixels are different rows of the circular operator.
    wraps_once = all(
        (m - 1) * s < n for m, s, n in zip(outputs, geometry.stride, sizes, strict=True)
    )
    if padding == "circular" and copies > 1 and wraps_once:
        # Some rows of the circular operator on the input itself, at stride 1 if need be.
        exact = all(n % s == 0 for n, s in zip(sizes, geometry.stride, strict=True))
        steps = geometry.stride if exact else (1,) * len(sizes)
        rows = polyphase_symbols(geometry.kernel, steps, geometry.dilation, geometry.groups)
        own = tuple(n // s for n, s in zip(sizes, steps, strict=True))
        upper = min(upper, largest_block(rows, own, rtol)[0].upper)
    start = _start_vector(layer, best, symbols[block], block)
    lower = _lanczos_lower(layer, start)
    name = "padded grid" if copies == 1 else f"padded grid * sqrt({copies})"
    return geometry.unscaled(min(lower, upper), upper, f"{name}, Lanczos")


def _transposed_output(
    geometry: Geometry, sizes: tuple[int, ...], crop: Widths, extra: tuple[int, ...]
) -> tuple[int, ...]:
    """Output sizes: the input of the zero-padded convolution whose adjoint this layer is."""
    outputs = []
    for n, s, w, (before, after), e in zip(
        sizes, geometry.stride, geometry.span, crop, extra, strict=True
    ):
        if e >= s:
            raise ValueError(
                f"`output_padding` = {extra} must be smaller than `stride` = {geometry.stride}"
            )
        outputs.append((n - 1) * s + w - before - after + e)
    if min(outputs) < 1:
        raise ValueError(f"`pad_width` = {crop} crops the whole output of sizes {tuple(outputs)}")
    return tuple(outputs)


def _forward_layer(
    geometry: Geometry, sizes: tuple[int, ...], padding: str, widths: Widths
) -> Convolution:
    """The convolution as an operator; a transposed one is the adjoint of its forward layer."""
    kernel = geometry.kernel
    return Convolution(
        kernel=kernel,
        input_shape=(kernel.shape[1] * geometry.groups, *sizes),
        stride=geometry.stride,
        dilation=geometry.dilation,
        groups=geometry.groups,
        padding=padding,
        pad_width=widths,
    )


def _dense_norm(layer: Convolution) -> Enclosure:
    """Norm of the dense matrix, whose entries are sums of few weights."""
    inputs, outputs = math.prod(layer.input_shape), math.prod(layer.output_shape)
    if inputs <= outputs:
        identity = np.eye(inputs).reshape(inputs, *layer.input_shape)
        matrix = layer.linear(identity).reshape(inputs, -1)
    else:
        identity = np.eye(outputs).reshape(outputs, *layer.output_shape)
        matrix = layer.adjoint(identity)[0].reshape(outputs, -1)
    enclosure = spectral_norm_enclosure(matrix)
    if layer.padding == "zeros":  # every entry is one weight
        return enclosure
    # Each entry of a row rounds by gamma times its weights, which add up to the row sums of |K|.
    per_channel = norm_upper(np.abs(layer.kernel).sum(axis=tuple(range(1, layer.kernel.ndim))))
    positions = math.sqrt(math.prod(layer.output_shape[1:])) * 1.001
    error = mul_up(gamma(math.prod(layer.kernel_size) + 2), mul_up(positions, per_channel * 1.001))
    return Enclosure(
        max(0.0, sub_down(enclosure.lower, error)), add_up(enclosure.upper, error), "dense"
    )


def _start_vector(
    layer: Convolution, best: Maximum, symbol: Symbol, group: int
) -> NDArray[np.float64]:
    """A wave at the best frequency under a window, in the channels of its group.

    On a large grid its image is already as long as the supremum but for O(1/n^2).
    """
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(layer.input_shape)
    if best.vector is None:
        return noise
    vector = best.vector
    if symbol.is_adjoint:
        vector = symbol.evaluate(best.frequency[None])[0].conj().T @ vector
    outputs = layer.output_shape[1:]
    phase, window = np.zeros(outputs), np.ones(outputs)
    for axis, n in enumerate(outputs):
        shape = [1] * len(outputs)
        shape[axis] = n
        index = np.arange(n)
        phase = phase + (best.frequency[axis] * index).reshape(shape)
        window = window * np.sin(math.pi * (index + 0.5) / n).reshape(shape)
    wave = window * np.exp(1j * phase)
    image = np.zeros(layer.output_shape)
    width = len(vector)
    image[group * width : (group + 1) * width] = (
        vector.reshape(-1, *[1] * len(outputs)) * wave
    ).real
    start = np.asarray(layer.adjoint(image[None])[0][0])
    length = float(np.linalg.norm(start))
    if length == 0.0:
        return noise
    return start / length + 1e-3 * noise / float(np.linalg.norm(noise))


def _lanczos_lower(layer: Convolution, start: NDArray[np.float64]) -> float:
    """A certified lower bound of the operator norm: ``||A v|| / ||v||`` for a Ritz vector ``v``."""
    vector = _ritz_vector(layer, start)
    shaped = vector.reshape(1, *layer.input_shape)
    image = layer.linear(shaped)
    size = norm_upper(layer.magnitude(np.abs(shaped)))
    error = add_up(mul_up(2.0 * gamma(layer.terms + 4), size), TINY)
    return max(0.0, divide_down(sub_down(norm_lower(image), error), norm_upper(vector)))


def _ritz_vector(layer: Convolution, start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Top Ritz vector of ``A* A`` after a few Lanczos steps with full reorthogonalisation."""
    size = start.size
    per_step = 2.0 * math.prod(layer.output_shape) * layer.kernel[0].size
    steps = int(min(48, max(3, _WORK / per_step), max(2, _BASIS_BYTES // (8 * size)), size))
    basis = np.empty((steps, size))
    vector = start.ravel() / np.linalg.norm(start)
    projected = np.zeros((steps, steps))
    for j in range(steps):
        basis[j] = vector
        shaped = vector.reshape(1, *layer.input_shape)
        image = layer.adjoint(layer.linear(shaped))[0].ravel()
        coefficients = basis[: j + 1] @ image
        projected[j, : j + 1] = projected[: j + 1, j] = coefficients
        rest = image - coefficients @ basis[: j + 1]
        rest -= (basis[: j + 1] @ rest) @ basis[: j + 1]
        length = float(np.linalg.norm(rest))
        if j + 1 == steps or length <= 1e-13 * abs(coefficients[j]):
            break
        vector = rest / length
    used = j + 1
    top = np.linalg.eigh(projected[:used, :used])[1][:, -1]
    return np.asarray(top @ basis[:used])
