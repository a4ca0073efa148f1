"""Directed rounding of float64 arithmetic, and error-bounded sums and norms.

Everything rests on two facts. IEEE-754 additions, multiplications, divisions and square roots are
correctly rounded, so that the float next to a rounded result lies on the other side of the exact
one. And a dot product of length ``n``, summed in any order, with or without fused multiply-add,
satisfies ``|fl(x.y) - x.y| <= gamma(n) |x|.|y|`` with ``gamma(n) = n u / (1 - n u)``,
``u = 2**-53`` (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 3.1;
Jeannerod and Rump, SIAM J. Matrix Anal. Appl. 34 (2013)). BLAS products are such dot products;
Strassen-type kernels, which no BLAS used here has, are not.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "TINY",
    "UNIT_ROUNDOFF",
    "add_down",
    "add_up",
    "divide_down",
    "divide_up",
    "gamma",
    "ldexp_down",
    "ldexp_up",
    "mul_down",
    "mul_up",
    "norm_lower",
    "norm_upper",
    "sqrt_down",
    "sqrt_up",
    "sub_down",
    "sub_up",
    "sum_down",
    "sum_up",
]

UNIT_ROUNDOFF = 2.0**-53
TINY = 2.0**-900
"""More than every underflow error of a computation whose data are scaled to magnitude one."""


def _above(rounded: float, exact: Fraction) -> float:
    return rounded if Fraction(rounded) >= exact else math.nextafter(rounded, math.inf)


def _below(rounded: float, exact: Fraction) -> float:
    return rounded if Fraction(rounded) <= exact else math.nextafter(rounded, -math.inf)


def _is_finite(*values: float) -> bool:
    return all(math.isfinite(v) for v in values)


def add_up(a: float, b: float) -> float:
    """Smallest float at or above ``a + b``; exact sums stay exact.

    Examples
    --------
    >>> add_up(1.0, 2.0), add_up(1.0, 2.0**-60) > 1.0
    (3.0, True)
    """
    rounded = a + b
    if not _is_finite(a, b):
        return rounded
    if math.isinf(rounded):
        return math.inf if rounded > 0 else -math.nextafter(math.inf, 0.0)
    return _above(rounded, Fraction(a) + Fraction(b))


def add_down(a: float, b: float) -> float:
    """Largest float at or below ``a + b``."""
    return -add_up(-a, -b)


def sub_up(a: float, b: float) -> float:
    """Smallest float at or above ``a - b``."""
    return add_up(a, -b)


def sub_down(a: float, b: float) -> float:
    """Largest float at or below ``a - b``."""
    return -add_up(-a, b)


def mul_up(a: float, b: float) -> float:
    """Smallest float at or above ``a * b``; exact products stay exact.

    Examples
    --------
    >>> mul_up(3.0, 0.5), Fraction(mul_up(0.1, 0.1)) >= Fraction(0.1) ** 2
    (1.5, True)
    """
    rounded = a * b
    if not _is_finite(a, b):
        return rounded
    if math.isinf(rounded):
        return math.inf if rounded > 0 else -math.nextafter(math.inf, 0.0)
    return _above(rounded, Fraction(a) * Fraction(b))


def mul_down(a: float, b: float) -> float:
    """Largest float at or below ``a * b``."""
    return -mul_up(-a, b)


def divide_up(a: float, b: float) -> float:
    """Smallest float at or above ``a / b``, for ``b`` not zero."""
    rounded = a / b
    if not _is_finite(a, b):
        return rounded
    if math.isinf(rounded):
        return math.inf if rounded > 0 else -math.nextafter(math.inf, 0.0)
    return _above(rounded, Fraction(a) / Fraction(b))


def divide_down(a: float, b: float) -> float:
    """Largest float at or below ``a / b``, for ``b`` not zero."""
    return -divide_up(-a, b)


def sqrt_up(a: float) -> float:
    """Smallest float whose square is at least ``a >= 0``.

    Examples
    --------
    >>> sqrt_up(4.0), sqrt_down(4.0), sqrt_down(2.0) < sqrt_up(2.0)
    (2.0, 2.0, True)
    """
    root = math.sqrt(a)
    if math.isinf(root) or Fraction(root) ** 2 >= Fraction(a):
        return root
    return math.nextafter(root, math.inf)


def sqrt_down(a: float) -> float:
    """Largest float whose square is at most ``a >= 0``."""
    root = math.sqrt(a)
    if math.isinf(root) or Fraction(root) ** 2 <= Fraction(a):
        return root
    return math.nextafter(root, 0.0)


def gamma(n: int) -> float:
    """Upper bound of ``n u / (1 - n u)``, the relative error of a dot product of length ``n``.

    Raises
    ------
    ValueError
        If ``n u >= 1/2``: a product that long has no usable error bound.

    Examples
    --------
    >>> gamma(0), gamma(1) > 2.0**-53
    (0.0, True)
    """
    if n == 0:
        return 0.0
    if n < 0 or n >= 2**52:
        raise ValueError(f"`n` must be a count from 0 to 2**52 - 1, got {n}")
    return divide_up(n * UNIT_ROUNDOFF, sub_down(1.0, n * UNIT_ROUNDOFF))


def sum_up(values: NDArray[np.float64]) -> float:
    """Upper bound of the exact sum of a real array, within a few units in the last place.

    Examples
    --------
    >>> sum_up(np.array([1e16, 1.0, -1e16])) >= 1.0
    True
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    if flat.size <= 4096:
        try:
            return (
                math.nextafter(math.fsum(flat.tolist()), math.inf) if flat.size > 1 else _only(flat)
            )
        except OverflowError:
            return math.inf
    error = gamma(flat.size) * float(np.sum(np.abs(flat))) * (1.0 + 2.0**-20)
    return add_up(float(np.sum(flat)), error)


def sum_down(values: NDArray[np.float64]) -> float:
    """Lower bound of the exact sum of a real array."""
    return -sum_up(-np.asarray(values, dtype=np.float64))


def _only(flat: NDArray[np.float64]) -> float:
    return float(flat[0]) if flat.size else 0.0


def norm_upper(values: NDArray[Any]) -> float:
    """Upper bound of the exact Euclidean norm of a real or complex array of any shape.

    The array is scaled by a power of two, so that neither overflow nor underflow matters.

    Examples
    --------
    >>> norm_upper(np.array([3e200, 4e200])) >= 5e200
    True
    """
    return _norm(values, upward=True)


def norm_lower(values: NDArray[Any]) -> float:
    """Lower bound of the exact Euclidean norm of a real or complex array of any shape."""
    return _norm(values, upward=False)


def _norm(values: NDArray[Any], *, upward: bool) -> float:
    x = np.ascontiguousarray(values)
    x = (
        x.astype(np.complex128).view(np.float64).ravel()
        if np.iscomplexobj(x)
        else x.astype(np.float64).ravel()
    )
    largest = float(np.max(np.abs(x), initial=0.0))
    if largest == 0.0:
        return 0.0
    if not math.isfinite(largest):
        return math.inf if upward else 0.0
    exponent = math.frexp(largest)[1]
    x = np.ldexp(x, -exponent)
    square = float(np.dot(x, x))
    # |fl(x.x) - x.x| <= gamma(n) x.x; the squares that underflow add up to less than TINY.
    if upward:
        root = sqrt_up(add_up(mul_up(square, add_up(1.0, 2.0 * gamma(x.size))), TINY))
    else:
        root = sqrt_down(max(0.0, sub_down(mul_down(square, 1.0 - 2.0 * gamma(x.size)), TINY)))
    return (ldexp_up if upward else ldexp_down)(root, exponent)


def ldexp_up(value: float, exponent: int) -> float:
    """An upper bound of ``value * 2**exponent``, exact in the normal range.

    Examples
    --------
    >>> ldexp_up(3.0, -1), ldexp_up(1.0, 5000), ldexp_up(1.0, -5000)
    (1.5, inf, 5e-324)
    """
    try:
        scaled = math.ldexp(value, exponent)
    except OverflowError:
        return math.inf if value > 0.0 else -math.nextafter(math.inf, 0.0)
    if value == 0.0 or abs(scaled) >= 2.0**-1020:
        return scaled
    return math.nextafter(scaled, math.inf)


def ldexp_down(value: float, exponent: int) -> float:
    """A lower bound of ``value * 2**exponent``, exact in the normal range."""
    return -ldexp_up(-value, exponent)
