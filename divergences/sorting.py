"""Sorting positions together with what belongs to them, at the speed of a plain sort.

``numpy.argsort`` of float64 moves index and key separately. Packing the leading bits of the key
and the index into one 64-bit integer lets the vectorised ``numpy.sort`` of integers do the work;
the few pairs that agree in the leading bits are repaired afterwards, so that the result is exactly
sorted whatever the data.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["both", "sorted_with_order"]

T = TypeVar("T")

_SHORT = 4096
_LONGEST = 2**26
_REPAIRS = 8
_WORTH_A_THREAD = 200_000


def sorted_with_order(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """``x`` in ascending order, and the order: ``x[order]``.

    Parameters
    ----------
    x : array of float64, shape (n,)
        Without NaN. Equal entries come in any order.

    Examples
    --------
    >>> sorted_with_order(np.array([3.0, -1.0, 2.0]))
    (array([-1.,  2.,  3.]), array([1, 2, 0]))
    """
    if not _SHORT < x.size <= _LONGEST:
        order = np.argsort(x)
        return x[order], order
    bits = (x.size - 1).bit_length()
    index = np.int64((1 << bits) - 1)
    raw = np.ascontiguousarray(x).view(np.int64)
    # IEEE numbers of one sign order like integers; negative ones run backwards.
    key = raw >> 63
    key &= np.int64(0x7FFFFFFFFFFFFFFF)
    key ^= raw
    key &= ~index
    key |= np.arange(x.size, dtype=np.int64)
    key.sort()
    key &= index
    return _repaired(x.take(key), key)


def _repaired(
    values: NDArray[np.float64], order: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Finish a sequence that is sorted but for close neighbours."""
    for _ in range(_REPAIRS):
        wrong = np.flatnonzero(values[1:] < values[:-1])
        if wrong.size == 0:
            return values, order
        if wrong.size > values.size // 64:
            break
        # Swaps of overlapping pairs would interfere: take the first of each run.
        apart = np.append(True, np.diff(wrong) > 1)
        left = wrong[apart]
        for array in (values, order):
            array[left], array[left + 1] = array[left + 1], array[left]
    again = np.argsort(values, kind="stable")
    return values[again], order[again]


def both(first: Callable[[], T], second: Callable[[], T], size: int) -> tuple[T, T]:
    """Two independent computations that release the interpreter lock, side by side if large."""
    if size < _WORTH_A_THREAD:
        return first(), second()
    with ThreadPoolExecutor(max_workers=1) as pool:
        other = pool.submit(second)
        return first(), other.result()
