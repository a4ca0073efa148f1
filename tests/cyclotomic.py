"""Exact numbers of the field Q(w), w = exp(2 pi i / n): enough for every DFT of length n."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import flint

__all__ = ["Cyclotomic", "dft", "exact_product", "largest_eigenvalue_at_most", "root"]


class Cyclotomic:
    """``sum_j c_j w^j`` with rational ``c_j``, w = exp(2 pi i / n), reduced modulo Phi_n.

    Two numbers are equal exactly if their reduced polynomials are, because the cyclotomic
    polynomial Phi_n is the minimal polynomial of w over Q.

    Examples
    --------
    >>> i = root(4)
    >>> i * i == -1, i.conjugate() == -i, (1 + i) * (1 + i).conjugate() == 2
    (True, True, True)
    """

    def __init__(self, n: int, polynomial: flint.fmpq_poly) -> None:
        self.n = n
        self.polynomial = polynomial % _minimal_polynomial(n)

    def _of(self, other: Any) -> flint.fmpq_poly:
        if isinstance(other, Cyclotomic):
            if other.n != self.n:
                raise ValueError(f"roots of order {self.n} and {other.n} do not mix")
            return other.polynomial
        return flint.fmpq_poly([_rational(other)])

    def __add__(self, other: Any) -> Cyclotomic:
        return Cyclotomic(self.n, self.polynomial + self._of(other))

    __radd__ = __add__

    def __neg__(self) -> Cyclotomic:
        return Cyclotomic(self.n, -self.polynomial)

    def __sub__(self, other: Any) -> Cyclotomic:
        return Cyclotomic(self.n, self.polynomial - self._of(other))

    def __rsub__(self, other: Any) -> Cyclotomic:
        return -self + other

    def __mul__(self, other: Any) -> Cyclotomic:
        return Cyclotomic(self.n, self.polynomial * self._of(other))

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        return bool((self - other).polynomial == 0)

    def __hash__(self) -> int:
        return hash((self.n, str(self.polynomial)))

    def __repr__(self) -> str:
        return f"{self.polynomial} at w = exp(2 pi i / {self.n})"

    def conjugate(self) -> Cyclotomic:
        """The complex conjugate: w goes to w^(n-1)."""
        coefficients = [self.polynomial[j] for j in range(self.polynomial.degree() + 1)]
        mirrored = [flint.fmpq(0)] * self.n
        for j, coefficient in enumerate(coefficients):
            mirrored[-j % self.n] += coefficient
        return Cyclotomic(self.n, flint.fmpq_poly(mirrored))


def root(n: int, power: int = 1) -> Cyclotomic:
    """``exp(2 pi i power / n)``.

    Examples
    --------
    >>> root(6) * root(6, -1) == 1, root(6) + root(6, -1) == 1
    (True, True)
    """
    power %= n
    return Cyclotomic(n, flint.fmpq_poly([0] * power + [1]))


def dft(x: Sequence[Any]) -> list[Cyclotomic]:
    """Unnormalised DFT of a rational or cyclotomic signal, by its definition.

    Examples
    --------
    >>> dft([1, 0, 0]) == [1, 1, 1]
    True
    """
    n = len(x)
    zero = root(n) * 0
    return [sum((root(n, -j * k) * x[j] for j in range(n)), zero) for k in range(n)]


def exact_product(values: Sequence[Any]) -> Any:
    """Product from left to right, in the arithmetic of the values.

    Examples
    --------
    >>> exact_product([2, 3, 4])
    24
    """
    result = values[0]
    for value in values[1:]:
        result = result * value
    return result


def largest_eigenvalue_at_most(gram: Sequence[Sequence[Any]], threshold: Any) -> bool:
    """Whether every eigenvalue of a symmetric rational matrix is at most a rational threshold.

    Decided exactly: the characteristic polynomial p has real roots only, and all of them are at
    most T if and only if no coefficient of p(T + x) is negative (Descartes' rule of signs).

    Examples
    --------
    >>> largest_eigenvalue_at_most([[2, 1], [1, 2]], 3), largest_eigenvalue_at_most([[5]], 4)
    (True, False)
    """
    matrix = flint.fmpq_mat([[_rational(entry) for entry in row] for row in gram])
    polynomial = matrix.charpoly()
    shifted = polynomial(flint.fmpq_poly([_rational(threshold), 1]))
    return all(shifted[j] >= 0 for j in range(shifted.degree() + 1))


def _rational(value: Any) -> flint.fmpq:
    if isinstance(value, flint.fmpq):
        return value
    exact = Fraction(value)
    return flint.fmpq(int(exact.numerator), int(exact.denominator))


@cache
def _minimal_polynomial(n: int) -> flint.fmpq_poly:
    return flint.fmpq_poly(flint.fmpz_poly.cyclotomic(n))
