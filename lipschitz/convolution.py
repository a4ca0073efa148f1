"""Singular values and certified spectral norms of convolution layers.

Circular padding on a grid: the operator is block diagonal in the discrete Fourier basis (Sedghi,
Gupta and Long, *The Singular Values of Convolutional Layers*, ICLR 2019, Theorem 6), so that its
norm is a maximum over finitely many frequencies. Every size at once, and zero padding: the
supremum over all frequencies. See `lipschitz.torus` for the certificate.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence import Enclosure
from evidence.validation import choice, int_tuple, positive_float
from lipschitz.block_maximum import largest_block
from lipschitz.border import norm_with_border
from lipschitz.convolution_geometry import IntOrTuple, checked_geometry, circular_grid
from lipschitz.layers.padding import PADDINGS
from lipschitz.symbol import Symbol

__all__ = ["singular_values", "spectral_norm", "spectral_norm_torus"]


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
    geometry = checked_geometry(kernel, stride, dilation, groups, transposed)
    grid = circular_grid(geometry, input_shape, wrap)
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
    return np.asarray(np.ldexp(values, geometry.exponent), dtype=np.float64)


def _half_spectrum(symbol: Symbol, grid: tuple[int, ...]) -> NDArray[np.complex128]:
    """``F`` on the DFT grid, the last axis up to half; shape (*half grid, rows, columns)."""
    folded = np.zeros((*grid, symbol.rows, symbol.columns))
    for offset, coefficient in zip(symbol.offsets, symbol.coefficients, strict=True):
        folded[tuple(int(a) % n for a, n in zip(offset, grid, strict=True))] += coefficient
    return np.asarray(np.fft.rfftn(folded, axes=tuple(range(len(grid)))))


def _inner_rtol(rtol: float) -> float:
    """A little less than asked, which leaves room for the rounding of the lower side; at most 1."""
    return 0.99 * min(1.0, positive_float(rtol, "rtol"))


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
    every input size with zero padding and without padding (a compression of that operator), and
    with circular padding where the stride divides the size (its restriction to periodic signals).
    It is the smallest number that does so. The cost does not depend on any input size.

    Two things it does not bound: reflect and replicate padding, and circular padding on a size that
    the stride does not divide, where the last window overlaps the first; see `spectral_norm`.

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
    geometry = checked_geometry(kernel, stride, dilation, groups, transposed)
    rtol = _inner_rtol(rtol)
    if geometry.is_zero:
        return Enclosure.exact(0.0, "kernel of zeros")
    best, _ = largest_block(geometry.symbols(), None, rtol)
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
    geometry = checked_geometry(kernel, stride, dilation, groups, transposed)
    rtol = _inner_rtol(rtol)
    choice(padding, "padding", PADDINGS)
    if geometry.transposed and padding not in ("circular", "zeros"):
        raise ValueError(
            f"`padding` must be 'zeros' or 'circular' for a transposed convolution, got {padding!r}"
        )
    if geometry.transposed and padding == "circular" and pad_width is not None:
        raise ValueError(
            f"`pad_width` = {pad_width!r} has no meaning for a transposed circular convolution, "
            "which lives on `stride * input_shape` pixels; leave it out"
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
            grid = circular_grid(geometry, input_shape, wrap)
            if geometry.is_zero:
                return Enclosure.exact(0.0, "kernel of zeros")
            best, _ = largest_block(geometry.symbols(), grid, rtol)
            return geometry.unscaled(best.lower, best.upper, "circular grid")
    return norm_with_border(geometry, input_shape, padding, pad_width, extra, rtol)
