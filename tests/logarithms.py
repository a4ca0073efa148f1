"""Rational combinations of 1 and the logarithms of primes: divergences of rational laws, exactly.

``KL((1/2, 1/2) || (3/4, 1/4)) = log 2 - (1/2) log 3`` has the form ``c + sum_p c_p log p`` with
rational coefficients. Such a number vanishes only if every coefficient does (unique factorisation;
no nonzero rational power of e is algebraic), so that equality is decided exactly and, for
different numbers, a ball of sufficient precision decides the order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

__all__ = ["LogSum", "exact_js", "exact_kl", "exact_log"]

Rational = int | Fraction


@dataclass(frozen=True)
class LogSum:
    """``constant + sum coefficient * log(prime)``, compared exactly.

    Examples
    --------
    >>> exact_log(6) == exact_log(2) + exact_log(3), exact_log(2) < exact_log(3)
    (True, True)
    >>> print(exact_log(Fraction(9, 8)) * Fraction(1, 2) - 1)
    -1 - 3/2 log 2 + log 3
    """

    constant: Fraction = Fraction(0)
    coefficients: tuple[tuple[int, Fraction], ...] = ()

    def _plus(self, other: LogSum | Rational, sign: int) -> LogSum:
        if isinstance(other, (int, Fraction)):
            other = LogSum(Fraction(other))
        total = dict(self.coefficients)
        for prime, value in other.coefficients:
            total[prime] = total.get(prime, Fraction(0)) + sign * value
        kept = tuple(sorted((p, v) for p, v in total.items() if v != 0))
        return LogSum(self.constant + sign * other.constant, kept)

    def __add__(self, other: LogSum | Rational) -> LogSum:
        return self._plus(other, 1)

    __radd__ = __add__

    def __sub__(self, other: LogSum | Rational) -> LogSum:
        return self._plus(other, -1)

    def __rsub__(self, other: Rational) -> LogSum:
        return -self + other

    def __neg__(self) -> LogSum:
        return self * -1

    def __mul__(self, factor: Rational) -> LogSum:
        if factor == 0:
            return LogSum()
        return LogSum(self.constant * factor, tuple((p, v * factor) for p, v in self.coefficients))

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (int, Fraction)):
            return self.constant == other and not self.coefficients
        if isinstance(other, LogSum):
            return self.constant == other.constant and self.coefficients == other.coefficients
        return False

    def __hash__(self) -> int:
        return hash(self.constant) if not self.coefficients else hash(self.coefficients)

    def sign(self) -> int:
        """-1, 0 or 1."""
        from flint import ctx

        if self == 0:
            return 0
        digits = ctx.prec
        try:
            for ctx.prec in (64, 256, 1024, 4096, 16384):
                ball = self.ball()
                if ball > 0:
                    return 1
                if ball < 0:
                    return -1
        finally:
            ctx.prec = digits
        raise ArithmeticError("16384 bits do not separate two different numbers")

    def ball(self) -> Any:
        """A ball of flint's current precision that contains the number."""
        from flint import arb, fmpq

        def exact(value: Fraction) -> Any:
            return arb(fmpq(value.numerator, value.denominator))

        logs = (exact(value) * arb(prime).log() for prime, value in self.coefficients)
        return sum(logs, exact(self.constant))

    def __lt__(self, other: LogSum | Rational) -> bool:
        return (self - other).sign() < 0

    def __gt__(self, other: LogSum | Rational) -> bool:
        return (self - other).sign() > 0

    def __le__(self, other: LogSum | Rational) -> bool:
        return (self - other).sign() <= 0

    def __ge__(self, other: LogSum | Rational) -> bool:
        return (self - other).sign() >= 0

    def __str__(self) -> str:
        terms = [str(self.constant)] if self.constant or not self.coefficients else []
        for prime, value in self.coefficients:
            size = "" if abs(value) == 1 else f"{abs(value)} "
            sign = "-" if value < 0 else "+"
            lead = f"{sign} " if terms else sign.replace("+", "")
            terms.append(f"{lead}{size}log {prime}")
        return " ".join(terms)


def exact_log(value: Rational) -> LogSum:
    """The logarithm of a positive rational number.

    Examples
    --------
    >>> print(exact_log(Fraction(3, 8)))
    -3 log 2 + log 3
    """
    from flint import fmpz

    value = Fraction(value)
    if value <= 0:
        raise ValueError(f"`value` must be positive, got {value}")
    total = LogSum()
    for number, sign in ((value.numerator, 1), (value.denominator, -1)):
        factors = tuple((int(p), Fraction(sign * e)) for p, e in fmpz(number).factor())
        total += LogSum(Fraction(0), factors)
    return total


def exact_kl(p: Sequence[Rational], q: Sequence[Rational]) -> LogSum | float:
    """``sum p log(p / q)`` from the definition; infinite if some ``p > 0 = q``.

    Examples
    --------
    >>> print(exact_kl([Fraction(1, 2)] * 2, [Fraction(3, 4), Fraction(1, 4)]))
    log 2 - 1/2 log 3
    >>> exact_kl([1, 0], [0, 1])
    inf
    """
    pairs = [(a, b) for a, b in zip(p, q, strict=True) if a]
    if not all(b for _, b in pairs):
        return math.inf
    return sum((exact_log(Fraction(a) / b) * a for a, b in pairs), LogSum())


def exact_js(p: Sequence[Rational], q: Sequence[Rational]) -> LogSum:
    """Half the sum of the divergences from the midpoint, from the definition.

    Examples
    --------
    >>> print(exact_js([1, 0], [0, 1]))
    log 2
    """
    half = Fraction(1, 2)
    middle = [half * (a + b) for a, b in zip(p, q, strict=True)]
    both = (exact_kl(p, middle), exact_kl(q, middle))
    return sum((half * value for value in both if isinstance(value, LogSum)), LogSum())
