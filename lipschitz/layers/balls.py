"""Centre-radius arithmetic on float64 arrays: every result contains the exact one.

A ball ``(center, radius)`` stands for all real arrays ``x`` with ``|x - center| <= radius`` in
every entry. The centre is computed in ordinary floating point; the radius takes the propagated
radii, the rounding of the centre (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd
ed., section 3.1, for products and sums in any order) and the rounding of the radius itself, for
which `inflate` adds a relative ``2 gamma(n)`` and an absolute bound of the underflow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evidence.rounding import UNIT_ROUNDOFF, gamma

__all__ = [
    "SMALLEST",
    "Ball",
    "add",
    "ball_of_bounds",
    "bounds_of_ball",
    "exactly",
    "inflate",
    "matmul",
    "multiply",
    "normalisation",
    "reciprocal",
    "round_down",
    "round_up",
]

Array = NDArray[np.float64]
Ball = tuple[Array, Array]

SMALLEST = 2.0**-1074
"""The smallest positive float64: twice the error that underflow adds to one product."""

TINIEST_NORMAL = 2.0**-1022


def round_up(x: Array) -> Array:
    """The floats next above."""
    return np.nextafter(x, np.inf)


def round_down(x: Array) -> Array:
    """The floats next below."""
    return np.nextafter(x, -np.inf)


def inflate(radius: Array, operations: int) -> Array:
    """Upper bound of a nonnegative quantity evaluated with ``operations`` rounded operations.

    A sum of products of nonnegative floats in which no term passes through more than
    ``operations`` roundings is at least ``(1 - gamma(operations))`` times the exact value, less
    the underflow of its products; ``1 / (1 - g) <= 1 + 2 g`` for ``g <= 1/2``.

    Examples
    --------
    >>> bool(inflate(np.array([1.0]), 4)[0] > 1.0), inflate(np.array([0.0]), 0)
    (True, array([0.]))
    """
    if operations == 0:
        return radius
    grown = radius * (1.0 + 2.0 * gamma(operations + 2)) + operations * SMALLEST
    return round_up(round_up(grown))


def exactly(x: Array) -> Ball:
    """The ball that holds ``x`` alone."""
    return x, np.zeros_like(x)


def ball_of_bounds(lower: Array, upper: Array) -> Ball:
    """The ball that contains every number from ``lower`` to ``upper``; equal bounds stay exact.

    Examples
    --------
    >>> ball_of_bounds(np.array([0.0, 2.0]), np.array([1.0, 2.0]))
    (array([0.5, 2. ]), array([0.5, 0. ]))
    """
    center = 0.5 * lower + 0.5 * upper
    center = np.where(lower == upper, lower, center)
    return center, np.maximum(_distance_up(upper, center), _distance_up(center, lower))


def bounds_of_ball(center: Array, radius: Array) -> tuple[Array, Array]:
    """Lower and upper bounds of every number in the ball; radius 0 stays exact."""
    lower, upper = center - radius, center + radius
    exact = radius == 0.0
    return np.where(exact, center, round_down(lower)), np.where(exact, center, round_up(upper))


def _distance_up(high: Array, low: Array) -> Array:
    """Upper bound of ``high - low >= 0``, exact where the subtraction is (Knuth's two-sum)."""
    difference = high - low
    recovered = difference - high
    error = (high - (difference - recovered)) + (-low - recovered)
    return np.where(error == 0.0, difference, round_up(difference))


def multiply(a: Ball, b: Ball) -> Ball:
    """Entrywise product with broadcasting."""
    (x, p), (y, q) = a, b
    center = x * y
    radius = np.abs(x) * q + p * (np.abs(y) + q)
    if not _product_is_exact(x, y):
        radius = radius + np.abs(center) * UNIT_ROUNDOFF + SMALLEST
    return center, (inflate(radius, 6) if np.any(radius) else radius)


def _product_is_exact(x: Array, y: Array) -> bool:
    """Whether one factor consists of -1, 0 and 1, so that nothing is rounded."""
    return any(bool(np.all((z == 0.0) | (np.abs(z) == 1.0))) for z in (x, y))


def add(a: Ball, b: Ball) -> Ball:
    """Entrywise sum with broadcasting."""
    (x, p), (y, q) = a, b
    center = x + y
    rounding = np.abs(center) * UNIT_ROUNDOFF if np.any(x) and np.any(y) else 0.0
    radius = p + q + rounding
    return center, (inflate(radius, 4) if np.any(radius) else radius)


def matmul(a: Ball, b: Ball) -> Ball:
    """Matrix product ``a @ b`` of balls.

    Examples
    --------
    >>> center, radius = matmul(exactly(np.array([[0.1, 0.2]])), exactly(np.array([[3.0], [4.0]])))
    >>> bool(radius[0, 0] > 0.0), bool(radius[0, 0] < 1e-15)
    (True, True)
    """
    (x, p), (y, q) = a, b
    n = x.shape[-1]
    center = x @ y
    x_size, y_size = np.abs(x), np.abs(y)
    radius = gamma(n) * (x_size @ y_size) + n * SMALLEST
    if np.any(q):
        radius = radius + x_size @ q
    if np.any(p):
        radius = radius + p @ (y_size + q)
    return center, inflate(radius, n + 6)


def reciprocal(x: Array) -> Ball:
    """``1 / x``, without error where the rounded quotient is exact (powers of two).

    Raises
    ------
    ValueError
        If an entry of ``x`` is zero, or so small that its reciprocal overflows.
    """
    with np.errstate(divide="ignore", over="ignore"):
        center = 1.0 / x
    if not np.isfinite(center).all():
        raise ValueError("the divisor holds zeros, or numbers whose reciprocal overflows")
    is_power_of_two = np.abs(np.frexp(x)[0]) == 0.5
    bound = inflate(np.abs(center) * UNIT_ROUNDOFF + SMALLEST, 2)
    return center, np.where(is_power_of_two & (np.abs(center) >= TINIEST_NORMAL), 0.0, bound)


def normalisation(
    gain: Array, shift: Array, mean: Array, variance: Array, epsilon: float
) -> tuple[Ball, Ball]:
    """Batch normalisation in inference as ``scale * x + offset``.

    ``scale = gain / sqrt(variance + epsilon)`` and ``offset = shift - mean * scale``. Sum, square
    root and quotient are each correctly rounded, so that ``scale`` has a relative error below
    ``gamma(3)``.

    Raises
    ------
    ValueError
        If ``variance + epsilon`` is not positive.
    """
    total = variance + epsilon
    if not (total > 0.0).all():
        raise ValueError(
            f"the variance plus epsilon = {epsilon:.17g} must be positive, got {total.min():.17g}"
        )
    center = gain / np.sqrt(total)
    scale = center, inflate(gamma(3) * np.abs(center) + SMALLEST, 4)
    return scale, add(exactly(shift), multiply(exactly(-mean), scale))
