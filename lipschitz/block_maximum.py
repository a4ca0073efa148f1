"""The largest of several symbols: groups of channels are diagonal blocks of one operator."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evidence import spectral_norm_enclosure
from evidence.rounding import add_up, divide_up, mul_up, sqrt_up
from lipschitz.frequency_grid import grid_maximum
from lipschitz.frequency_search import Maximum
from lipschitz.symbol import Symbol
from lipschitz.torus import torus_supremum

__all__ = ["largest_block"]


def largest_block(
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


def _maximum_of(symbol: Symbol, grid: tuple[int, ...] | None, rtol: float, floor: float) -> Maximum:
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
    if len(symbols) == 1:
        return np.array([math.inf])
    if first.rows > 1 or len(symbols) < 4:
        return np.array([s.size_bound() for s in symbols])
    half_degrees = first.half_degrees
    counts = [max(1, math.ceil(12 * first.ndim * d)) for d in half_degrees]
    angle = math.pi * float(np.sum(half_degrees / np.array(counts)))
    nodes = np.indices(counts).reshape(first.ndim, -1).T * (2.0 * math.pi / np.array(counts))
    phases = np.exp(1j * (nodes @ first.offsets.T))
    # Angles are rounded relative to their size, at most 2 pi times the largest offsets.
    reach = 2.0 * math.pi * float(np.sum(first.offsets.max(axis=0))) * (first.ndim + 3)
    bounds = []
    for symbol in symbols:
        values = phases @ symbol.coefficients[:, 0, :]
        largest = float(
            np.max(
                np.einsum("wi,wi->w", values.real, values.real)
                + np.einsum("wi,wi->w", values.imag, values.imag)
            )
        )
        size = symbol.size_bound()
        rounding = (3 * len(phases.T) + first.columns + 80 + reach) * 2.0**-50 * size
        proved = add_up(sqrt_up(mul_up(largest, 1.0 + (first.columns + 8) * 2.0**-50)), rounding)
        bounds.append(divide_up(proved, math.cos(angle) * (1.0 - 2.0**-40)))
    return np.array(bounds)
