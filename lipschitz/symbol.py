"""The symbol of a convolution: a matrix-valued trigonometric polynomial.

A strided convolution maps ``x`` to ``y[i] = sum_t K[t] x[s i + d t]``. Sorting the taps by the
residue of ``d t`` modulo the stride (polyphase components, stacked along the input channels) turns
it into a convolution of stride 1 with coefficients ``C[a]``, ``a = (d t) // s``, whose symbol is

    F(w) = sum_a exp(i <a, w>) C[a],       w in [0, 2 pi)^D.

On the lattice Z^D the operator norm is the supremum of ``sigma_max(F(w))`` over all ``w``; with
circular padding on ``s n`` pixels it is the maximum over the grid ``w = 2 pi j / n``. Groups are
diagonal blocks and have one symbol each. torch's "convolution" is a correlation, which replaces
``w`` by ``-w`` and changes no singular value; the transposed convolution is the adjoint.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence.rounding import (
    TINY,
    UNIT_ROUNDOFF,
    divide_down,
    mul_up,
    norm_lower,
    norm_upper,
    sub_down,
    sum_up,
)

__all__ = ["Reduction", "Symbol", "polyphase_symbols"]


@dataclass(frozen=True, slots=True, eq=False)
class Symbol:
    """``F(w) = sum_p exp(i <offsets[p], w>) coefficients[p]`` with real coefficients.

    Parameters
    ----------
    offsets : int array, shape (P, D)
        Distinct lattice points, at least 0 along every axis.
    coefficients : float64 array, shape (P, rows, columns)
        One matrix per offset, ``rows <= columns``.
    is_adjoint : bool
        Whether the rows stand for input channels: ``F(w)*`` up to a phase instead of ``F(w)``.
    """

    offsets: NDArray[np.int64]
    coefficients: NDArray[np.float64]
    is_adjoint: bool = False

    @property
    def rows(self) -> int:
        """The smaller side of the matrices."""
        return int(self.coefficients.shape[1])

    @property
    def columns(self) -> int:
        """The larger side of the matrices."""
        return int(self.coefficients.shape[2])

    @property
    def ndim(self) -> int:
        """Number of frequency axes."""
        return int(self.offsets.shape[1])

    @property
    def half_degrees(self) -> NDArray[np.float64]:
        """Half the spread of the offsets along each axis, the degree of the centred symbol."""
        return np.asarray(np.max(self.offsets, axis=0, initial=0) / 2.0)

    def size_bound(self) -> float:
        """``sum_p ||C_p||_F``, rounded up: a bound of ``||F(w)||_F`` for every frequency."""
        flat = self.coefficients.reshape(len(self.coefficients), -1)
        squares = np.einsum("pi,pi->p", flat, flat)
        # Squares and sums of n nonnegative numbers round by at most gamma(n + 2) relative.
        inflation = 1.0 + 2.0 * (flat.shape[1] + 4) * UNIT_ROUNDOFF
        return mul_up(sum_up(np.sqrt(squares)), inflation) + TINY

    def evaluate(self, frequencies: NDArray[np.float64]) -> NDArray[np.complex128]:
        """``F`` at frequencies of shape (B, D), in floating point; shape (B, rows, columns)."""
        phases = np.exp(1j * (frequencies @ self.offsets.T))
        flat = self.coefficients.reshape(len(self.coefficients), -1)
        values = phases.real @ flat + 1j * (phases.imag @ flat)
        return np.asarray(values.reshape(len(frequencies), self.rows, self.columns))

    def norm_from_below(
        self, frequency: NDArray[np.float64], vector: NDArray[np.complex128]
    ) -> float:
        """A lower bound of ``sigma_max(F(w))`` at the float ``w``, by ``||F(w)* u|| / ||u||``.

        The phase ``<a, w>`` is computed with error at most ``D u sum_i |a_i w_i|``, a grid
        frequency ``2 pi j / n`` is off by ``3 u`` relative, and cosines and sines by ``4 u``;
        products and sums follow the dot-product bound.
        """
        angles = self.offsets @ frequency
        phases = np.exp(-1j * angles)
        # C_p^T u, then the sum over p: dot products of length rows and P.
        images = np.einsum("pij,i->pj", self.coefficients, vector, optimize=True)
        image = phases @ images
        reach = float(np.max(self.offsets @ np.abs(frequency), initial=0.0))
        terms = 3 * (self.rows + len(self.offsets)) + 2 * (self.ndim + 2) * (reach + 1.0) + 24.0
        length = norm_upper(vector)
        error = terms * UNIT_ROUNDOFF * 1.001 * self.size_bound() * length
        return max(0.0, divide_down(sub_down(norm_lower(image), error), length))

    def reduced(self, grid: tuple[int, ...] | None = None) -> Reduction:
        """The same values on the torus, or on a DFT grid, with the fewest offsets and axes.

        Zero taps are dropped, offsets are shifted to start at 0 and divided by their greatest
        common divisor ``g`` along each axis, and axes without extent are removed. ``w -> g w``
        maps the torus onto itself and the grid of ``n`` frequencies onto that of ``n / gcd(g, n)``.
        """
        used = np.any(self.coefficients != 0.0, axis=(1, 2))
        if not used.any():
            used[0] = True
        offsets = self.offsets[used]
        offsets = offsets - offsets.min(axis=0)
        axes = tuple(i for i in range(self.ndim) if offsets[:, i].any())
        offsets = offsets[:, axes]
        steps = tuple(math.gcd(*(int(a) for a in column)) for column in offsets.T)
        offsets = offsets // np.array(steps, dtype=np.int64).reshape(1, -1)
        sizes = None
        if grid is not None:
            sizes = tuple(grid[i] // math.gcd(g, grid[i]) for i, g in zip(axes, steps, strict=True))
        symbol = Symbol(offsets, self.coefficients[used], self.is_adjoint)
        return Reduction(symbol=symbol, grid=sizes, axes=axes, steps=steps)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduction:
    """A symbol after `Symbol.reduced`, and the way back to the original frequencies."""

    symbol: Symbol
    grid: tuple[int, ...] | None
    axes: tuple[int, ...]
    steps: tuple[int, ...]

    def original(self, frequency: NDArray[np.float64], ndim: int) -> NDArray[np.float64]:
        """A frequency of the original symbol at which it takes the same value."""
        w = np.zeros(ndim)
        w[list(self.axes)] = frequency / np.array(self.steps, dtype=np.float64)
        return w


def polyphase_symbols(
    kernel: NDArray[np.float64],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> list[Symbol]:
    """One symbol per group of a convolution with kernel (C_out, C_in / groups, *k).

    Examples
    --------
    >>> [symbol] = polyphase_symbols(np.array([[[1.0, -2.0, 1.0]]]), (1,), (1,), 1)
    >>> abs(symbol.evaluate(np.array([[np.pi]])))[0, 0, 0].round(12)
    np.float64(4.0)
    """
    sizes = kernel.shape[2:]
    taps: dict[tuple[int, ...], dict[tuple[int, ...], tuple[int, ...]]] = {}
    for tap in itertools.product(*(range(k) for k in sizes)):
        reach = [d * t for d, t in zip(dilation, tap, strict=True)]
        block = tuple(q // s for q, s in zip(reach, stride, strict=True))
        residue = tuple(q % s for q, s in zip(reach, stride, strict=True))
        taps.setdefault(block, {})[residue] = tap
    residues = sorted({r for inner in taps.values() for r in inner})
    blocks = sorted(taps)
    c_out, c_in = kernel.shape[0] // groups, kernel.shape[1]
    coefficients = np.zeros((groups, len(blocks), c_out, len(residues) * c_in))
    grouped = kernel.reshape(groups, c_out, *kernel.shape[1:])
    for i, block in enumerate(blocks):
        for j, residue in enumerate(residues):
            if residue in taps[block]:
                index: tuple[Any, ...] = (..., *taps[block][residue])
                part = grouped[index]
                coefficients[:, i, :, j * c_in : (j + 1) * c_in] = part
    offsets = np.array(blocks, dtype=np.int64).reshape(len(blocks), -1)
    if c_out <= coefficients.shape[3]:
        return [Symbol(offsets, part) for part in coefficients]
    mirrored = offsets.max(axis=0) - offsets
    return [
        Symbol(mirrored, np.ascontiguousarray(part.transpose(0, 2, 1)), is_adjoint=True)
        for part in coefficients
    ]
