"""Which neurons of a layer share a hyperplane: decided in exact arithmetic.

Neurons ``v`` and ``c v`` change their sign together, everywhere if ``c > 0`` and with opposite
signs if ``c < 0``: ``relu(v)`` and ``relu(-v)`` are never open together, and `lipschitz.
region_mesh` and `lipschitz.region_patterns` know one hyperplane for both.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lipschitz.layers.balls import Ball
from lipschitz.layers.contract import Array

__all__ = ["Ties", "twins"]

Ties = tuple[NDArray[np.intp], Array]
"""A representative and a sign for every neuron of a layer."""


def twins(weight: Ball, bias: Ball) -> Ties:
    """For every neuron the first one whose ``(w, b)`` is a multiple of its own, and the sign.

    Parameters
    ----------
    weight, bias : (center, radius)
        Neurons with rounded weights are their own twins.

    Returns
    -------
    representative : array of int, shape (n,)
    sign : array, shape (n,)
        1 if the two are positive together, -1 if one is positive where the other is negative.

    Examples
    --------
    >>> w, zero = np.array([[1.0, 3.0], [-2.0, -6.0], [1.0, 4.0]]), np.zeros(3)
    >>> twins((w, 0 * w), (zero, zero))
    (array([0, 0, 2]), array([ 1., -1.,  1.]))
    """
    rows = np.column_stack([weight[0], bias[0]])
    rounded = weight[1].any(axis=1) | (bias[1] != 0.0)
    representative, sign = np.arange(len(rows)), np.ones(len(rows))
    # Proportional floats may differ in every quotient's last digit: a coarse key first, with
    # its neighbours, then exactly.
    length = np.abs(rows).max(axis=1)
    found: dict[tuple[int, ...], list[int]] = {}
    for j in np.flatnonzero((length > 0.0) & ~rounded):
        pivot = rows[j, np.argmax(np.abs(rows[j]) >= 0.5 * length[j])]
        key = tuple(np.round(rows[j] / pivot, 6).tolist())
        for i in found.setdefault(key, []):
            ratio = _ratio(rows[i], rows[j])
            if ratio is not None:
                representative[j], sign[j] = i, 1.0 if ratio > 0 else -1.0
                break
        else:
            found[key].append(int(j))
    return representative, sign


def _ratio(a: Array, b: Array) -> Fraction | None:
    """``a / b`` if the two are proportional."""
    first = int(np.flatnonzero(a)[0])
    if b[first] == 0.0:
        return None
    ratio = Fraction(a[first]) / Fraction(b[first])
    same = all(Fraction(x) == ratio * Fraction(y) for x, y in zip(a, b, strict=True))
    return ratio if same else None
