"""Singular values and certified spectral norms of convolution layers.

Circular padding on a grid: the operator is block diagonal in the discrete Fourier basis (Sedghi,
Gupta and Long, *The Singular Values of Convolutional Layers*, ICLR 2019, Theorem 6), so that its
norm is a maximum over finitely many frequencies. Every size at once, and zero padding: the
supremum over all frequencies. See `lipschitz.torus` for the certificate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence import Enclosure, spectral_norm_enclosure
from evidence.rounding import add_up, divide_up, mul_up, sqrt_up
from evidence.validation import as_float_array, choice, int_tuple, positive_float, positive_int
from lipschitz.padding import PADDINGS, Widths, width_pairs
from lipschitz.symbol import Symbol, polyphase_symbols
from lipschitz.torus import Maximum, grid_maximum, torus_supremum
from lipschitz.windows import output_sizes, window_span

__all__ = ["singular_values", "spectral_norm", "spectral_norm_torus"]

IntOrTuple = int | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Geometry:
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
        low, high = math.ldexp(lower, self.exponent), math.ldexp(upper, self.exponent)
        if 0.0 < low < 2.0**-1000:  # the scaling may round down there
            low, high = math.nextafter(low, 0.0), math.nextafter(high, math.inf)
        return Enclosure(low, high, method)


def _geometry(
    kernel: ArrayLike,
    stride: IntOrTuple,
    dilation: IntOrTuple,
    groups: int,
    transposed: bool,
) -> _Geometry:
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
    return _Geometry(
        kernel=np.ldexp(weights, -exponent),
        exponent=exponent,
        stride=int_tuple(stride, "stride", axes),
        dilation=int_tuple(dilation, "dilation", axes),
        groups=groups,
        transposed=bool(transposed),
    )


def _circular_grid(
    geometry: _Geometry, input_shape: IntOrTuple, wrap: bool
) -> tuple[int, ...]:
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


def singular_values(
    kernel: ArrayLike,
    input_shape: IntOrTuple,
    *,
    stride: IntOrTuple = 1,
    dilation: IntOrTuple = 1,
    groups: int = 1,
    transposed: bool = False,
    wrap: bool = False,
) -> NDArray[np.float64]:
    """All singular values of a circular convolution, by FFT and small SVDs.

    Parameters
    ----------
    kernel : array_like, shape (C_out, C_in / groups, *k)
        Real float32 or float64 weights with 1 to 3 spatial axes; transposed: (C_in, C_out / groups,
        *k), as torch stores them.
    input_shape : int or tuple of int
        Spatial sizes of the input, divisible by the stride (any, if transposed).
    stride, dilation : int or tuple of int
        Per spatial axis, at least 1.
    groups : int
        Divides the channels on the first axis of the kernel.
    transposed : bool
        The transposed convolution; its singular values are those of the convolution it
        transposes, on an output of ``stride * input_shape`` pixels.
    wrap : bool
        Accept a kernel larger than the grid, which then wraps around more than once.

    Returns
    -------
    float array
        In descending order, as many as the smaller side of the operator's matrix; computed in
        floating point (errors of about 1e-15 times the largest), not certified.

    Raises
    ------
    ValueError, TypeError
        For arguments that describe no such operator.

    Notes
    -----
    Only half the spectrum is decomposed: a real kernel has the same singular values at ``w`` and
    ``-w``. Strides are handled through the polyphase components of the kernel.

    References
    ----------
    Sedghi, Gupta and Long, *The Singular Values of Convolutional Layers*, ICLR 2019, Theorem 6.

    Examples
    --------
    >>> singular_values([[[1.0, -2.0, 1.0]]], 4)
    array([4., 2., 2., 0.])
    """
    geometry = _geometry(kernel, stride, dilation, groups, transposed)
    grid = _circular_grid(geometry, input_shape, wrap)
    outer = geometry.kernel.shape[0] // geometry.groups
    inner = geometry.kernel.shape[1] * math.prod(geometry.stride)
    per_frequency = min(outer, inner)
    pieces = []
    for symbol in geometry.symbols():
        spectrum = _half_spectrum(symbol, grid)
        values = np.linalg.svd(spectrum.reshape(-1, symbol.rows, symbol.columns), compute_uv=False)
        padded = np.zeros((len(values), per_frequency))
        padded[:, : values.shape[1]] = values
        padded = padded.reshape(*spectrum.shape[: len(grid)], per_frequency)
        doubled = padded[..., 1 : (grid[-1] + 1) // 2, :]  # all but frequency 0 and n / 2
        pieces += [padded.ravel(), doubled.ravel()]
    values = np.sort(np.concatenate(pieces))[::-1]
    return np.ldexp(values, geometry.exponent)


def _half_spectrum(symbol: Symbol, grid: tuple[int, ...]) -> NDArray[np.complex128]:
    """``F`` on the DFT grid, the last axis up to half; shape (*half grid, rows, columns)."""
    folded = np.zeros((*grid, symbol.rows, symbol.columns))
    for offset, coefficient in zip(symbol.offsets, symbol.coefficients, strict=True):
        folded[tuple(int(a) % n for a, n in zip(offset, grid, strict=True))] += coefficient
    return np.asarray(np.fft.rfftn(folded, axes=tuple(range(len(grid)))))


def spectral_norm_torus(
    kernel: ArrayLike,
    *,
    stride: IntOrTuple = 1,
    dilation: IntOrTuple = 1,
    groups: int = 1,
    transposed: bool = False,
    rtol: float = 1e-6,
) -> Enclosure:
    """Certified supremum of the largest singular value over all frequencies.

    It is the norm of the convolution on the infinite lattice, and therefore bounds the layer on
    every input size, with circular padding, with zero padding and without padding (each of these
    operators is a compression of the infinite one, or a restriction to periodic signals). It is the
    smallest number that does so. The cost does not depend on any input size.

    Parameters
    ----------
    kernel, stride, dilation, groups, transposed
        As for `singular_values`.
    rtol : float
        Relative width of the enclosure asked for. Where the largest singular value is nearly
        constant in the frequency the width may come out larger; the enclosure is proved all the
        same.

    Returns
    -------
    Enclosure
        Exactly 0 for a kernel of zeros.

    Raises
    ------
    ValueError, TypeError
        For arguments that describe no such operator.

    References
    ----------
    M. Riesz, *Eine trigonometrische Interpolationsformel*, Jahresber. DMV 23 (1914); Duffin and
    Schaeffer, *Some inequalities concerning functions of exponential type*, Bull. AMS 43 (1938).

    Examples
    --------
    >>> print(spectral_norm_torus([[[1.0, -2.0, 1.0]]]))
    [3.999999, 4.000004] (torus)
    """
    geometry = _geometry(kernel, stride, dilation, groups, transposed)
    rtol = 0.99 * positive_float(rtol, "rtol")  # leaves room for the rounding of the lower side
    if geometry.is_zero:
        return Enclosure.exact(0.0, "kernel of zeros")
    best, _ = _largest(geometry.symbols(), None, rtol)
    return geometry.unscaled(best.lower, best.upper, "torus")


def spectral_norm(
    kernel: ArrayLike,
    input_shape: IntOrTuple,
    *,
    stride: IntOrTuple = 1,
    dilation: IntOrTuple = 1,
    groups: int = 1,
    transposed: bool = False,
    padding: str = "circular",
    pad_width: Any = None,
    output_padding: IntOrTuple = 0,
    rtol: float = 1e-6,
    wrap: bool = False,
) -> Enclosure:
    """Certified operator norm of a convolution layer at a given input size.

    Parameters
    ----------
    kernel, stride, dilation, groups, transposed
        As for `singular_values`.
    input_shape : int or tuple of int
        Spatial sizes of the input.
    padding : {"circular", "zeros", "reflect", "replicate"}
        What stands outside the input.
    pad_width : None, int, ints per axis or (before, after) pairs per axis
        How much; None keeps the size at stride 1: ``dilation * (k - 1)`` in all, the smaller half
        before. A transposed convolution crops its output by these widths.
    output_padding : int or tuple of int
        Transposed, zero padding only: rows added at the end of the output.
    rtol : float
        Relative width asked for. It is reached for circular padding, and whenever the operator is
        small enough for a dense certificate. In the other cases the enclosure is as wide as the
        bounds below are apart.
    wrap : bool
        Accept a circular kernel larger than the grid.

    Returns
    -------
    Enclosure
        Exactly 0 for a kernel of zeros.

    Raises
    ------
    ValueError, TypeError
        For arguments that describe no such operator.

    Notes
    -----
    Circular: the maximum over the DFT grid, enclosed. Zeros: the operator is a part of the circular
    one on the padded input (at least n + k - 1 pixels), whose norm is the upper bound; the circular
    operator of the *same* size bounds nothing ([1, -2, 1] at n = 1 gives 0 where the zero-padded
    norm is 2). Reflect and replicate, and circular padding of another width: the layer is the
    unpadded convolution after the map that copies pixels into the border; that map has norm
    ``sqrt(m)`` where ``m`` is the largest number of copies of one pixel, and the norms multiply.
    Lower bounds: Lanczos iteration on the true operator, then ``||A v|| / ||v||`` with every
    rounding bounded. Small operators are enclosed as dense matrices.

    Examples
    --------
    >>> print(spectral_norm([[[1.0, -2.0, 1.0]]], 4))
    [3.999999, 4.000004] (circular grid)
    >>> print(spectral_norm([[[1.0, -2.0, 1.0]]], 1, padding="zeros"))
    [1.999999, 2.000001] (dense)
    """
    geometry = _geometry(kernel, stride, dilation, groups, transposed)
    rtol = 0.99 * positive_float(rtol, "rtol")  # leaves room for the rounding of the lower side
    choice(padding, "padding", PADDINGS)
    if geometry.transposed and padding not in ("circular", "zeros"):
        raise ValueError(
            f"`padding` must be 'zeros' or 'circular' for a transposed convolution, got {padding!r}"
        )
    extra = int_tuple(output_padding, "output_padding", len(geometry.sizes), minimum=0)
    if any(extra) and not (geometry.transposed and padding == "zeros"):
        raise ValueError(
            f"`output_padding` = {extra} needs a transposed convolution with zero padding"
        )
    if padding == "circular" and pad_width is None:
        sizes = int_tuple(input_shape, "input_shape", len(geometry.sizes))
        divisible = all(n % s == 0 for n, s in zip(sizes, geometry.stride, strict=True))
        if geometry.transposed or divisible:
            grid = _circular_grid(geometry, input_shape, wrap)
            if geometry.is_zero:
                return Enclosure.exact(0.0, "kernel of zeros")
            best, _ = _largest(geometry.symbols(), grid, rtol)
            return geometry.unscaled(best.lower, best.upper, "circular grid")
    return _norm_with_border(geometry, input_shape, padding, pad_width, extra, rtol)


# ---- maxima over groups ---------------------------------------------------------------------------
def _largest(
    symbols: list[Symbol], grid: tuple[int, ...] | None, rtol: float
) -> tuple[Maximum, int]:
    """The maximum of several diagonal blocks, over the torus or over a grid, and the block."""
    bounds = _upper_bounds(symbols)
    order = [int(i) for i in np.argsort(-bounds)]
    block, best = order[0], _maximum_of(symbols[order[0]], grid, rtol, 0.0)
    upper = best.upper
    for i in order[1:]:
        if bounds[i] <= best.lower:
            upper = max(upper, float(bounds[i]))
            break
        found = _maximum_of(symbols[i], grid, rtol, best.lower)
        upper = max(upper, found.upper)
        if found.lower > best.lower:
            block, best = i, found
    return replace(best, upper=upper), block


def _maximum_of(
    symbol: Symbol, grid: tuple[int, ...] | None, rtol: float, floor: float
) -> Maximum:
    reduction = symbol.reduced(grid)
    reduced = reduction.symbol
    if reduced.ndim == 0:
        e = spectral_norm_enclosure(reduced.coefficients[0])
        nowhere = np.zeros(symbol.ndim)
        return Maximum(lower=e.lower, upper=e.upper, frequency=nowhere, vector=None, proofs=1)
    if reduction.grid is None:
        found = torus_supremum(reduced, rtol, floor)
    else:
        found = grid_maximum(reduced, reduction.grid, rtol, floor)
    return replace(found, frequency=reduction.original(found.frequency, symbol.ndim))


def _upper_bounds(symbols: list[Symbol]) -> NDArray[np.float64]:
    """Proved upper bounds of each block's supremum, cheap, to skip the small ones.

    A single row has ``sigma_max(F(w)) = ||F(w)||``, and the maximum over an N-grid divided by
    ``cos(sum_i pi d_i / N_i)`` bounds the supremum.
    """
    first = symbols[0]
    if first.rows > 1 or len(symbols) < 4:
        return np.array([s.size_bound() for s in symbols])
    half_degrees = first.half_degrees
    counts = [max(1, math.ceil(12 * first.ndim * d)) for d in half_degrees]
    angle = math.pi * float(np.sum(half_degrees / np.array(counts)))
    nodes = np.indices(counts).reshape(first.ndim, -1).T * (2.0 * math.pi / np.array(counts))
    phases = np.exp(1j * (nodes @ first.offsets.T))
    bounds = []
    for symbol in symbols:
        values = phases @ symbol.coefficients[:, 0, :]
        largest = float(np.max(np.einsum("wi,wi->w", values.real, values.real)
                               + np.einsum("wi,wi->w", values.imag, values.imag)))
        size = symbol.size_bound()
        rounding = (3 * len(phases.T) + first.columns + 80) * 2.0**-50 * size
        proved = add_up(sqrt_up(mul_up(largest, 1.0 + (first.columns + 8) * 2.0**-50)), rounding)
        bounds.append(divide_up(proved, math.cos(angle) * (1.0 - 2.0**-40)))
    return np.array(bounds)


# ---- borders --------------------------------------------------------------------------------------
_DENSE_SIDE = 512
_DENSE_OTHER_SIDE = 4096


def _norm_with_border(
    geometry: _Geometry,
    input_shape: IntOrTuple,
    padding: str,
    pad_width: Any,
    extra: tuple[int, ...],
    rtol: float,
) -> Enclosure:
    from lipschitz.border import dense_norm, forward_layer, lanczos_lower, start_vector
    from lipschitz.padding import multiplicity, padded_sizes

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
    layer = forward_layer(geometry.kernel, sizes, geometry, padding, widths)
    sides = (math.prod(layer.input_shape), math.prod(layer.output_shape))
    if min(sides) <= _DENSE_SIDE and max(sides) <= _DENSE_OTHER_SIDE:
        dense = dense_norm(layer)
        return geometry.unscaled(dense.lower, dense.upper, "dense")

    # The windows of the padded input never wrap on a circular grid that holds all of it.
    grid = tuple(-(-n // s) for n, s in zip(padded, geometry.stride, strict=True))
    symbols = geometry.symbols()
    best, block = _largest(symbols, grid, rtol)
    copies = multiplicity(sizes, widths, padding)
    upper = mul_up(best.upper, sqrt_up(float(copies)))
    wraps_once = all(
        m * s <= n for m, s, n in zip(outputs, geometry.stride, sizes, strict=True)
    )
    if padding == "circular" and copies > 1 and wraps_once:
        # Some rows of the circular operator on the input itself, at stride 1 if need be.
        exact = all(n % s == 0 for n, s in zip(sizes, geometry.stride, strict=True))
        steps = geometry.stride if exact else (1,) * len(sizes)
        rows = polyphase_symbols(geometry.kernel, steps, geometry.dilation, geometry.groups)
        own = tuple(n // s for n, s in zip(sizes, steps, strict=True))
        upper = min(upper, _largest(rows, own, rtol)[0].upper)
    start = start_vector(layer, best, symbols[block], block)
    lower = lanczos_lower(layer, start)
    name = "padded grid" if copies == 1 else f"padded grid * sqrt({copies})"
    return geometry.unscaled(min(lower, upper), upper, f"{name}, Lanczos")


def _transposed_output(
    geometry: _Geometry, sizes: tuple[int, ...], crop: Widths, extra: tuple[int, ...]
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
