"""Two-sided bounds of a real number that stay bounds after rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from evidence.rounding import (
    add_down,
    add_up,
    divide_up,
    mul_down,
    mul_up,
    sqrt_down,
    sqrt_up,
    sub_up,
)

__all__ = ["Enclosure"]


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A real number is known to lie in ``[lower, upper]``.

    Both sides are proved: ``lower <= x <= upper`` for the real number ``x`` in question, after
    every rounding. One-sided knowledge has ``upper = inf`` (a lower bound from samples, say) or
    ``lower = -inf``, and prints as what it is, so that it cannot be mistaken for a value.

    Arithmetic is outward rounded by one unit in the last place, which contains the exact result
    because IEEE-754 operations are correctly rounded (IEEE Std 754-2019, section 4.3).

    Parameters
    ----------
    lower, upper : float
        The bounds, ``lower <= upper``; not NaN; ``lower < inf`` and ``upper > -inf``.
    method : str
        How the bounds were proved, in a few words.

    Raises
    ------
    ValueError
        If a bound is NaN, the two are out of order, or the interval holds no real number.

    Examples
    --------
    >>> e = Enclosure(1.0, 2.0, "by hand")
    >>> 1.5 in e, e.width, (e + e).contains(Enclosure(2.0, 4.0, ""))
    (True, 1.0, True)
    >>> print(Enclosure(2.84390863, 2.84391147, "torus"))
    [2.843908, 2.843912] (torus)
    >>> print(Enclosure.at_least(1.25, "ascent"))
    >= 1.25 (lower bound only: ascent)
    """

    lower: float
    upper: float
    method: str = ""

    def __post_init__(self) -> None:
        lower, upper = float(self.lower), float(self.upper)
        # An int or a Fraction may lie between two floats; comparisons with floats are exact.
        lower = math.nextafter(lower, -math.inf) if lower > self.lower else lower
        upper = math.nextafter(upper, math.inf) if upper < self.upper else upper
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)
        if math.isnan(lower) or math.isnan(upper):
            raise ValueError(
                f"`lower` and `upper` must not be NaN, got {lower:.17g} and {upper:.17g}; "
                "an unknown side is -inf or inf"
            )
        if lower > upper:
            raise ValueError(
                f"`lower` must not exceed `upper`, got {lower:.17g} > {upper:.17g}; "
                "two proved bounds that cross mean that one of the proofs is wrong"
            )
        if lower == math.inf or upper == -math.inf:
            raise ValueError(
                f"`lower` = {lower:.17g} and `upper` = {upper:.17g} leave no real number; "
                "use -inf for an unknown lower side and inf for an unknown upper side"
            )

    # ---- constructors -------------------------------------------------------------------------
    @classmethod
    def exact(cls, value: float, method: str = "exact") -> Enclosure:
        """The number is the float ``value`` itself.

        Examples
        --------
        >>> print(Enclosure.exact(0.0, "kernel of zeros"))
        0 exactly (kernel of zeros)
        """
        return cls(value, value, method)

    @classmethod
    def at_least(cls, value: float, method: str = "") -> Enclosure:
        """Only a lower bound is known: ``[value, inf]``."""
        return cls(value, math.inf, method)

    @classmethod
    def at_most(cls, value: float, method: str = "") -> Enclosure:
        """Only an upper bound is known: ``[-inf, value]``."""
        return cls(-math.inf, value, method)

    # ---- the size of the enclosure ------------------------------------------------------------
    @property
    def width(self) -> float:
        """``upper - lower``, rounded up; ``inf`` for a one-sided bound."""
        return 0.0 if self.lower == self.upper else sub_up(self.upper, self.lower)

    @property
    def rtol(self) -> float:
        """Relative width ``(upper - lower) / |lower|``, rounded up; 0 if exact, ``inf`` if open."""
        if self.lower == self.upper:
            return 0.0
        smallest = 0.0 if self.lower <= 0.0 <= self.upper else min(abs(self.lower), abs(self.upper))
        if smallest == 0.0 or math.isinf(self.width):
            return math.inf
        return divide_up(self.width, smallest)

    @property
    def is_two_sided(self) -> bool:
        """Whether both sides are finite."""
        return math.isfinite(self.lower) and math.isfinite(self.upper)

    def __contains__(self, value: float) -> bool:
        """Whether the real number ``value`` lies inside; exact, also for int and Fraction."""
        return self.lower <= value <= self.upper

    def contains(self, other: Enclosure) -> bool:
        """Whether ``other`` lies inside this enclosure."""
        return self.lower <= other.lower and other.upper <= self.upper

    def overlaps(self, other: Enclosure) -> bool:
        """Whether the two can hold the same number; disjoint proofs contradict each other."""
        return max(self.lower, other.lower) <= min(self.upper, other.upper)

    # ---- arithmetic ---------------------------------------------------------------------------
    def __add__(self, other: Enclosure | float) -> Enclosure:
        other = _as_enclosure(other)
        return Enclosure(
            add_down(self.lower, other.lower),
            add_up(self.upper, other.upper),
            _join(self.method, "+", other.method),
        )

    __radd__ = __add__

    def __mul__(self, other: Enclosure | float) -> Enclosure:
        other = _as_enclosure(other)
        pairs = [(a, b) for a in (self.lower, self.upper) for b in (other.lower, other.upper)]
        return Enclosure(
            min(_times(mul_down, a, b) for a, b in pairs),
            max(_times(mul_up, a, b) for a, b in pairs),
            _join(self.method, "*", other.method),
        )

    __rmul__ = __mul__

    def sqrt(self) -> Enclosure:
        """Enclosure of the square root; the number must be known to be at least 0.

        Raises
        ------
        ValueError
            If ``lower`` is negative.
        """
        if self.lower < 0.0:
            raise ValueError(
                f"`lower` must be at least 0 for a square root, got {self.lower:.17g}; "
                "intersect with [0, inf] first if the number is known to be nonnegative"
            )
        return Enclosure(sqrt_down(self.lower), sqrt_up(self.upper), _call("sqrt", self.method))

    def maximum(self, *others: Enclosure | float) -> Enclosure:
        """Enclosure of the largest of several numbers.

        Examples
        --------
        >>> print(Enclosure(0.0, 2.0, "a").maximum(Enclosure(1.0, 1.5, "b")))
        [1, 2] (max(a, b))
        """
        everything = [self, *(_as_enclosure(o) for o in others)]
        return Enclosure(
            max(e.lower for e in everything),
            max(e.upper for e in everything),
            _call("max", ", ".join(dict.fromkeys(e.method for e in everything if e.method))),
        )

    def intersection(self, other: Enclosure) -> Enclosure:
        """What two proofs about the *same* number give together.

        Raises
        ------
        ValueError
            If the two are disjoint: one of the proofs is then wrong.

        Examples
        --------
        >>> Enclosure.at_least(1.0, "a").intersection(Enclosure.at_most(2.0, "b"))
        Enclosure(lower=1.0, upper=2.0, method='a & b')
        """
        if not self.overlaps(other):
            raise ValueError(
                f"`other` = {other} is disjoint from {self}: two proofs about one number "
                "contradict each other, so at least one of them is wrong"
            )
        return Enclosure(
            max(self.lower, other.lower),
            min(self.upper, other.upper),
            _join(self.method, "&", other.method),
        )

    __and__ = intersection

    # ---- words --------------------------------------------------------------------------------
    def __str__(self) -> str:
        note = f" ({self.method})" if self.method else ""
        if self.lower == self.upper:
            return f"{self.lower:.15g} exactly{note}"
        if math.isinf(self.lower) and math.isinf(self.upper):
            return f"unknown{note}"
        if math.isinf(self.upper):
            return f">= {_outward(self.lower, 7, False)} (lower bound only{_tail(self.method)})"
        if math.isinf(self.lower):
            return f"<= {_outward(self.upper, 7, True)} (upper bound only{_tail(self.method)})"
        digits = 7
        return (
            f"[{_outward(self.lower, digits, False)}, {_outward(self.upper, digits, True)}]{note}"
        )


def _as_enclosure(value: Enclosure | float) -> Enclosure:
    return value if isinstance(value, Enclosure) else Enclosure.exact(value, "")


def _times(operation: object, a: float, b: float) -> float:
    # 0 * inf is 0 here: an infinite side means "unknown", never an actual infinity.
    return 0.0 if a == 0.0 or b == 0.0 else float(operation(a, b))  # type: ignore[operator]


def _join(a: str, symbol: str, b: str) -> str:
    if not a or not b or a == b:
        return a or b
    return f"{a} {symbol} {b}"


def _call(name: str, inside: str) -> str:
    return f"{name}({inside})" if inside else name


def _tail(method: str) -> str:
    return f": {method}" if method else ""


def _outward(value: float, digits: int, upward: bool) -> str:
    """``value`` in decimal with ``digits`` significant digits, rounded away from the inside."""
    exact = Decimal(value)
    if exact == 0:
        return "0"
    quantum = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    rounding = ROUND_CEILING if upward else ROUND_FLOOR
    rounded = exact.quantize(quantum, rounding)
    text = f"{rounded:f}" if -5 <= rounded.adjusted() <= 15 else f"{rounded.normalize():E}"
    return text.rstrip("0").rstrip(".") if "." in text and "E" not in text else text
