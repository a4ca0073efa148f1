"""Branch and bound over boxes: a two-sided bound of the maximum of one smooth quantity.

Each box is bounded by the interval extension and by the mean value form
``S(c) + <grad S(box), box - c>``, whose excess shrinks with the square of the box; a box on which
``S`` is monotone in a coordinate shrinks to a face (Moore, Kearfott and Cloud, *Introduction to
Interval Analysis*, SIAM 2009, sections 6.2 and 8.3). The result does not depend on how boxes are
chosen, only on their enclosures.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence import Enclosure
from lipschitz.function_charts import Chart
from lipschitz.function_intervals import Intervals
from lipschitz.function_programs import IntervalProgram

__all__ = ["Maximum", "maximise_over_chart", "midpoints"]

Array = NDArray[np.float64]
BATCH = 2048
LARGEST_NUMBER_OF_BOXES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Maximum:
    """The supremum of a quantity over the image of a box.

    Parameters
    ----------
    value : Enclosure
    point : tuple of float or None
        Coordinates in the box where the quantity is at least ``value.lower``.
    boxes : int
        How many were bounded.

    Examples
    --------
    >>> Maximum(value=Enclosure(1.0, 1.5, "boxes"), point=(0.0,), boxes=1).boxes
    1
    """

    value: Enclosure
    point: tuple[float, ...] | None
    boxes: int


def maximise_over_chart(
    quantity: Any,
    chart: Chart,
    *,
    gradient: Sequence[Any] | None = None,
    alternatives: Sequence[Any] = (),
    rtol: float = 1e-6,
    time_limit: float = 10.0,
) -> Maximum:
    """Enclose the supremum of an expression over a chart's box.

    Parameters
    ----------
    quantity : sympy expression
        In the chart's symbols; nonnegative.
    chart : Chart
    gradient : sequence of sympy expressions, optional
        Partial derivatives, if the quantity is continuously differentiable: they make the search
        converge quadratically. Without them only the interval extension is used.
    alternatives : sequence of sympy expressions, optional
        Other forms of the same quantity; the sharpest enclosure on each box counts.
    rtol : float
        Stop when upper and lower differ by less, relatively.
    time_limit : float
        Seconds; what is proved until then is returned.

    Returns
    -------
    Maximum

    Raises
    ------
    NotCertified
        If a function in the quantity has no interval extension.

    Examples
    --------
    >>> import sympy
    >>> from lipschitz.function_domains import Interval
    >>> chart = Interval(0, 3).charts()[0]
    >>> t = chart.symbols[0]
    >>> found = maximise_over_chart(t * sympy.exp(-t), chart, gradient=[(1 - t) * sympy.exp(-t)])
    >>> found.value.lower <= math.exp(-1) <= found.value.upper, found.value.rtol < 2e-6
    (True, True)
    """
    program = IntervalProgram([quantity, *(gradient or ())], chart.symbols)
    forms = IntervalProgram(alternatives, chart.symbols)
    search = _Search(program, forms, chart, smooth=gradient is not None, rtol=rtol)
    deadline = time.monotonic() + time_limit
    while search.is_open and time.monotonic() < deadline:
        search.advance()
    return search.result()


class _Search:
    def __init__(
        self,
        program: IntervalProgram,
        forms: IntervalProgram,
        chart: Chart,
        *,
        smooth: bool,
        rtol: float,
    ) -> None:
        self.program, self.forms, self.smooth, self.rtol = program, forms, smooth, rtol
        self.inner = np.array(chart.inner)
        self.lower = np.array([chart.lower])
        self.upper = np.array([chart.upper])
        self.bounds = np.array([np.inf])
        self.best, self.retired, self.boxes = 0.0, 0.0, 0
        self.point: tuple[float, ...] | None = None

    @property
    def is_open(self) -> bool:
        return len(self.bounds) > 0 and self.boxes < LARGEST_NUMBER_OF_BOXES

    def result(self) -> Maximum:
        upper = max(self.retired, self.best, float(np.max(self.bounds, initial=0.0)))
        value = Enclosure(min(self.best, math.nextafter(math.inf, 0.0)), upper, "branch and bound")
        return Maximum(value=value, point=self.point, boxes=self.boxes)

    def advance(self) -> None:
        """Bisect the boxes with the largest bounds, and bound the halves."""
        order = np.argsort(-self.bounds)
        chosen, rest = order[:BATCH], order[BATCH:]
        lower, upper = self._halves(self.lower[chosen], self.upper[chosen])
        self.lower, self.upper = self.lower[rest], self.upper[rest]
        self.bounds = self.bounds[rest]
        bounds, lower, upper = self._bound(lower, upper)
        self.boxes += len(bounds)
        done = (lower == upper).all(axis=1)
        # A point cannot be bisected: its bound stands.
        self.retired = max(self.retired, float(np.max(bounds[done], initial=0.0)))
        self.lower = np.concatenate([self.lower, lower[~done]])
        self.upper = np.concatenate([self.upper, upper[~done]])
        self.bounds = np.concatenate([self.bounds, bounds[~done]])
        close = self.bounds <= self.best * (1.0 + self.rtol)
        self.retired = max(self.retired, float(np.max(self.bounds[close], initial=0.0)))
        self.lower, self.upper = self.lower[~close], self.upper[~close]
        self.bounds = self.bounds[~close]

    def _halves(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        index = np.arange(len(lower))
        with np.errstate(all="ignore"):
            width = upper - lower
            if self.smooth and len(lower[0]) > 1:
                # The axis along which the quantity may change most.
                slopes = self.program.over(lower, upper)[1:]
                change = np.stack([s.absolute().upper for s in slopes], axis=1) * width
                known = np.all(np.isfinite(change), axis=1, keepdims=True)
                width = np.where(known, change, width)
            axis = np.argmax(np.where(lower < upper, width, -1.0), axis=1)
            cut = midpoints(lower[index, axis], upper[index, axis])
        left, right = upper.copy(), lower.copy()
        left[index, axis], right[index, axis] = cut, cut
        return np.concatenate([lower, right]), np.concatenate([left, upper])

    def _bound(self, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
        values = self.program.over(lower, upper)
        bounds = values[0].upper
        if self.smooth:
            for axis, slope in enumerate(values[1:]):
                up = (slope.lower >= 0.0) & np.isfinite(upper[:, axis])
                down = ~up & (slope.upper <= 0.0) & np.isfinite(lower[:, axis])
                lower[:, axis] = np.where(up, upper[:, axis], lower[:, axis])
                upper[:, axis] = np.where(down, lower[:, axis], upper[:, axis])
            moved = self.program.over(lower, upper)
            bounds = np.minimum(bounds, moved[0].upper)
            bounds = np.minimum(bounds, self._mean_value(lower, upper, moved[1:]))
        for form in self.forms.over(lower, upper):
            bounds = np.minimum(bounds, form.upper)
        middle = np.where(lower == upper, lower, midpoints(lower, upper))
        self._sample(middle)
        return bounds, lower, upper

    def _mean_value(self, lower: Array, upper: Array, slopes: list[Intervals]) -> Array:
        middle = np.where(lower == upper, lower, midpoints(lower, upper))
        with np.errstate(all="ignore"):
            total = self.program.over(middle, middle)[0]
            for axis, slope in enumerate(slopes):
                at = Intervals(middle[:, axis], middle[:, axis])
                total = total + slope * (Intervals(lower[:, axis], upper[:, axis]) - at)
        return np.where(np.isnan(total.upper), np.inf, total.upper)

    def _sample(self, points: Array) -> None:
        """Proved values at points of the domain: the lower side."""
        points = np.clip(points, self.inner[:, 0], self.inner[:, 1])
        values = self.program.over(points, points)[0].lower
        values = np.where(np.isfinite(points).all(axis=1), values, 0.0)
        i = int(np.argmax(values))
        if values[i] > self.best:
            self.best, self.point = float(values[i]), tuple(float(x) for x in points[i])


def midpoints(lower: Array, upper: Array) -> Array:
    """Floats between two bounds; towards an infinite end in steps that double.

    Examples
    --------
    >>> midpoints(np.array([0.0, 3.0]), np.array([1.0, np.inf]))
    array([0.5, 6. ])
    """
    a, b = np.broadcast_arrays(lower, upper)
    left, right = np.isinf(a), np.isinf(b)
    start, end = np.where(left, 0.0, a), np.where(right, 0.0, b)
    with np.errstate(over="ignore"):
        middle = 0.5 * start + 0.5 * end
        rising = np.where(start < 0.0, 0.0, np.maximum(2.0 * start, 1.0))
        falling = np.where(end > 0.0, 0.0, np.minimum(2.0 * end, -1.0))
    middle = np.where(right & ~left, rising, np.where(left & ~right, falling, middle))
    return np.asarray(np.clip(np.where(left & right, 0.0, middle), a, b))
