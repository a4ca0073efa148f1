"""What the divergence benchmark is checked against: proved values, and one another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Measurement
from evidence import Enclosure

__all__ = ["disagreements", "exact_js", "exact_kl"]

Array = NDArray[np.float64]


def exact_kl(p: Array, q: Array) -> Enclosure:
    """``KL(p / sum p || q / sum q)`` of the floats as they are, proved in 300 bits."""
    return _sum_of_balls(p, q, lambda a, b: a * (a / b).log())


def exact_js(p: Array, q: Array) -> Enclosure:
    """The Jensen-Shannon divergence of the same two, proved in 300 bits."""

    def term(a: Any, b: Any) -> Any:
        return (a * (2 * a / (a + b)).log() + b * (2 * b / (a + b)).log()) / 2

    return _sum_of_balls(p, q, term)


def _sum_of_balls(p: Array, q: Array, term: Callable[[Any, Any], Any]) -> Enclosure:
    from flint import arb, ctx, fmpq

    exact = [[Fraction(float(mass)) for mass in masses] for masses in (p, q)]
    with ctx.workprec(300):
        a, b = (
            [arb(fmpq(m.numerator, m.denominator)) for m in (x / sum(masses) for x in masses)]
            for masses in exact
        )
        total = sum((term(x, y) for x, y in zip(a, b, strict=True)), arb(0))
        middle = float(total.mid())
        lower, upper = math.nextafter(middle, -math.inf), math.nextafter(middle, math.inf)
        if not (arb(lower) < total and total < arb(upper)):
            raise ArithmeticError("300 bits were too few for an enclosure of one unit")
    return Enclosure(lower, upper, "300-bit balls")


def disagreements(measurements: Sequence[Measurement]) -> list[str]:
    """Values of one quantity that are exact up to their rounding, and differ by more than that.

    Examples
    --------
    >>> a = Measurement(group="", instance="row", quantity="W1", method="ours", claim="estimate",
    ...                 value=1.0, side="exact", rtol=1e-9)
    >>> b = Measurement(group="", instance="row", quantity="W1", method="POT", claim="estimate",
    ...                 value=2.0, side="exact", rtol=1e-9)
    >>> disagreements([a, b])
    ['row, W1: ours gives 1, POT gives 2']
    """
    found = []
    for i, a in enumerate(measurements):
        for b in measurements[i + 1 :]:
            same = (a.group, a.instance, a.quantity) == (b.group, b.instance, b.quantity)
            slack = a.rtol * abs(a.value) + b.rtol * abs(b.value)
            if same and a.side == b.side == "exact" and not abs(a.value - b.value) <= slack:
                title = ", ".join(word for word in (a.group, a.instance, a.quantity) if word)
                found.append(
                    f"{title}: {a.method} gives {a.value:.17g}, {b.method} gives {b.value:.17g}"
                )
    return found
