"""The engine behind W_p of samples on the line: sort, then add up in blocks.

Equal sizes pair the sorted samples. Unequal sizes without weights overlap in cells of the two
quantile functions whose lengths are integers over the least common multiple, so that no mass is
ever rounded. Weighted samples are merged and the signed cumulative mass integrated (``p = 1``), or
their cumulative masses are merged and the distance of quantiles integrated (``p > 1``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from divergences.points import power_of_two_scale
from divergences.sorting import both, sorted_with_order
from evidence.validation import as_float_array

__all__ = [
    "line_weights",
    "mean_power",
    "monotone_coupling",
    "power_sum",
    "root_of_mean",
    "sorted_pair",
]

_BLOCK = 16384
Floats = NDArray[np.float64]
Samples = NDArray[np.floating[Any]]


def sorted_pair(x: Samples, y: Samples) -> tuple[Samples, Samples]:
    """Both sorted along the last axis and checked to be finite: NaN and inf end up at the ends."""
    xs, ys = both(lambda: np.sort(x, axis=-1), lambda: np.sort(y, axis=-1), x.size + y.size)
    for ordered, original, name in ((xs, x, "x"), (ys, y, "y")):
        if not np.isfinite(ordered[..., [0, -1]]).all():
            as_float_array(original, name)  # words the error
    return xs, ys


def largest_magnitude(*sorted_arrays: Samples) -> float:
    return max(float(np.abs(a[..., [0, -1]].astype(np.float64)).max()) for a in sorted_arrays)


def power_sum(x: Samples, y: Samples, a: Floats | None, b: Floats | None, p: float) -> float:
    """W_p of two samples, one-dimensional arrays, weights None (equal) or probabilities.

    Raises
    ------
    OverflowError
        If the distance exceeds the largest float.
    """
    if a is None and b is None:
        xs, ys = sorted_pair(x, y)
        if x.size == y.size:
            return _scaled(mean_power, xs, ys, p)
        return _scaled(_unequal_sizes, xs, ys, p)
    a = np.full(x.size, 1.0 / x.size) if a is None else a
    b = np.full(y.size, 1.0 / y.size) if b is None else b
    (xs, i), (ys, j) = both(
        lambda: sorted_with_order(np.asarray(x, np.float64)),
        lambda: sorted_with_order(np.asarray(y, np.float64)),
        x.size + y.size,
    )
    wa, wb = a.take(i), b.take(j)
    if p == 1.0:
        return _scaled(lambda s, t, _: _merged(_wide(s), _wide(t), wa, wb), xs, ys, p)
    return _scaled(lambda s, t, q: _weighted_quantiles(_wide(s), _wide(t), wa, wb, q), xs, ys, p)


def _scaled(
    method: Callable[[Samples, Samples, float], float], xs: Samples, ys: Samples, p: float
) -> float:
    """Apply a method to samples of ordinary size; powers of two are exact."""
    exponent = power_of_two_scale(largest_magnitude(xs, ys))
    if exponent:
        xs, ys = (np.ldexp(v.astype(np.float64), -exponent) for v in (xs, ys))
    value = float(method(xs, ys, p))
    try:
        return math.ldexp(value, exponent)
    except OverflowError as error:
        raise OverflowError(
            "the distance of `x` and `y` exceeds the largest float; rescale the samples"
        ) from error


def _wide(values: Samples) -> Floats:
    return np.asarray(values, dtype=np.float64)


def mean_power(xs: Samples, ys: Samples, p: float) -> float:
    """``(mean |x_(i) - y_(i)|^p)^(1/p)`` of sorted samples of equal sizes."""
    n = xs.size
    if p == 1.0:
        parts = []
        work = np.empty(min(_BLOCK, n))
        for start in range(0, n, _BLOCK):
            stop = min(start + _BLOCK, n)
            d = work[: stop - start]
            np.subtract(xs[start:stop], ys[start:stop], out=d, dtype=np.float64)
            np.abs(d, out=d)
            parts.append(float(d.sum()))
        return math.fsum(parts) / n
    d = np.abs(np.subtract(xs, ys, dtype=np.float64))
    return root_of_mean(d, np.ones(n), float(n), p)


def root_of_mean(d: Floats, w: Floats, total: float, p: float) -> float:
    """``(sum w d^p / total)^(1/p)``, scaled by the largest distance against under- and overflow.

    The supremum for ``p = inf`` leaves out masses that are rounding of the weights.
    """
    counted = w > len(w) * 2.0**-52 * total if p == math.inf else w > 0.0
    top = float(d[counted].max(initial=0.0))
    if p == math.inf or top == 0.0:
        return top
    return float(top * float(np.dot(w, (d / top) ** p) / total) ** (1.0 / p))


def _unequal_sizes(xs: Samples, ys: Samples, p: float) -> float:
    """Cells of the two quantile functions, in integers over the least common multiple."""
    if xs.size < ys.size:
        xs, ys = ys, xs
    common = math.gcd(xs.size, ys.size)
    n, m = xs.size // common, ys.size // common  # an x-cell has length m, a y-cell length n >= m
    parts: list[float] = []
    top = 0.0
    if p != 1.0:
        top = _largest_in_cells(xs, ys, n, m)
        if top == 0.0 or p == math.inf:
            return top
    for start in range(0, xs.size, _BLOCK):
        x = xs[start : start + _BLOCK]
        left = np.arange(start, start + x.size, dtype=np.int64) * m
        j = left // n
        first = np.minimum((j + 1) * n - left, m)  # of the cell's length m lies over y_j
        y0 = ys[j]
        y1 = ys[np.minimum(j + 1, ys.size - 1)]
        d0 = np.abs(np.subtract(x, y0, dtype=np.float64))
        d1 = np.abs(np.subtract(x, y1, dtype=np.float64))
        if p != 1.0:
            d0, d1 = (d0 / top) ** p, (d1 / top) ** p
        w0 = first.astype(np.float64)
        parts.append(float(np.dot(w0, d0) + np.dot(m - w0, d1)))
    mean = math.fsum(parts) / m / xs.size
    return mean if p == 1.0 else top * mean ** (1.0 / p)


def _largest_in_cells(xs: Samples, ys: Samples, n: int, m: int) -> float:
    top = 0.0
    for start in range(0, xs.size, _BLOCK):
        x = xs[start : start + _BLOCK].astype(np.float64)
        left = np.arange(start, start + x.size, dtype=np.int64) * m
        for j in (left // n, (left + m - 1) // n):
            top = max(top, float(np.abs(x - ys[j]).max()))
    return top


def _merged(xs: Floats, ys: Floats, wa: Floats, wb: Floats) -> float:
    """``integral |F - G|`` of weighted samples: blocks of the merged sequence."""
    ends = np.append(xs[_BLOCK - 1 :: _BLOCK], math.inf)
    stops = np.searchsorted(ys, ends, side="right")
    parts = []
    mass = 0.0
    last = min(float(xs[0]), float(ys[0]))
    i = j = 0
    for stop in stops.tolist():
        z = np.concatenate((xs[i : i + _BLOCK], ys[j:stop]))
        w = np.concatenate((wa[i : i + _BLOCK], -wb[j:stop]))
        i, j = i + _BLOCK, stop
        if z.size == 0:
            continue
        z, order = sorted_with_order(z)
        delta = w.take(order)
        parts.append(abs(mass) * (float(z[0]) - last))
        delta[0] += mass
        np.add.accumulate(delta, out=delta)
        mass, last = float(delta[-1]), float(z[-1])
        np.abs(delta, out=delta)
        parts.append(float(np.dot(delta[:-1], z[1:] - z[:-1])))
    return math.fsum(parts)


def line_weights(
    n: int, m: int, a: Floats | None, b: Floats | None
) -> tuple[Floats, Floats, float]:
    """Masses of both samples and their total; without weights they are integers, hence exact."""
    if a is None and b is None:
        common = math.gcd(n, m)
        return np.full(n, float(m // common)), np.full(m, float(n // common)), n * m / common
    return (
        np.full(n, 1.0 / n) if a is None else a,
        np.full(m, 1.0 / m) if b is None else b,
        1.0,
    )


def monotone_coupling(wa: Floats, wb: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """North-west corner rule on sorted masses: rows, columns and masses of the cells.

    Both vectors must have one total, up to rounding; their cumulative sums are merged, and cells of
    mass zero are left out.
    """
    ca, cb = np.add.accumulate(wa), np.add.accumulate(wb)
    ca[-1] = cb[-1] = max(float(ca[-1]), float(cb[-1]))
    cuts = np.concatenate((ca, cb))
    cuts.sort(kind="stable")  # two ascending runs: one merge
    mass = np.diff(cuts, prepend=0.0)
    keep = mass > 0.0
    cuts, mass = cuts[keep], mass[keep]
    return np.searchsorted(ca, cuts), np.searchsorted(cb, cuts), mass


def _weighted_quantiles(xs: Floats, ys: Floats, wa: Floats, wb: Floats, p: float) -> float:
    i, j, mass = monotone_coupling(wa, wb)
    return root_of_mean(np.abs(xs[i] - ys[j]), mass, float(mass.sum()), p)
