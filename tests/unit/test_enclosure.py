"""Enclosures stay enclosures under arithmetic, and say what they are."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import Enclosure

floats = st.floats(-1e6, 1e6)
positive = st.floats(0.0, 1e6)


@st.composite
def enclosures(draw: st.DrawFn, bounds: st.SearchStrategy[float] = floats) -> Enclosure:
    a, b = sorted((draw(bounds), draw(bounds)))
    return Enclosure(a, b, "drawn")


@given(enclosures(), enclosures(), st.fractions(0, 1), st.fractions(0, 1))
def test_sum_and_product_contain_the_exact_sum_and_product(
    e: Enclosure, f: Enclosure, s: Fraction, t: Fraction
) -> None:
    x = Fraction(e.lower) + s * (Fraction(e.upper) - Fraction(e.lower))
    y = Fraction(f.lower) + t * (Fraction(f.upper) - Fraction(f.lower))
    assert x + y in e + f
    assert x * y in e * f
    assert max(x, y) in e.maximum(f)


@given(enclosures(positive), st.fractions(0, 1))
def test_square_root_contains_the_exact_root(e: Enclosure, s: Fraction) -> None:
    x = Fraction(e.lower) + s * (Fraction(e.upper) - Fraction(e.lower))
    root = e.sqrt()
    assert Fraction(root.lower) ** 2 <= x <= Fraction(root.upper) ** 2


@given(floats, floats)
def test_arithmetic_of_exact_numbers_is_one_unit_wide_at_most(a: float, b: float) -> None:
    total = Enclosure.exact(a) + Enclosure.exact(b)
    assert total.upper <= math.nextafter(total.lower, math.inf)


@pytest.mark.parametrize("value", [Fraction(1, 3), 2**53 + 1, Fraction(10**30 + 1, 7)])
def test_numbers_between_two_floats_are_enclosed(value: Fraction) -> None:
    assert value in Enclosure.exact(value)
    assert value in Enclosure.exact(0.0) + value


def test_exact_arithmetic_stays_exact() -> None:
    e = 2 * Enclosure.exact(3.0) + 1
    assert (e.lower, e.upper, e.width, e.rtol) == (7.0, 7.0, 0.0, 0.0)


def test_one_sided_bounds_print_as_what_they_are() -> None:
    assert str(Enclosure.at_least(1.5, "ascent")) == ">= 1.5 (lower bound only: ascent)"
    assert str(Enclosure.at_most(1.5)) == "<= 1.5 (upper bound only)"
    assert str(Enclosure(-math.inf, math.inf)) == "unknown"
    assert not Enclosure.at_least(1.0).is_two_sided


@given(enclosures())
def test_the_printed_interval_contains_the_enclosure(e: Enclosure) -> None:
    text = str(e)
    if text.endswith("exactly (drawn)"):
        assert e.lower == e.upper
        return
    low, high = text[1 : text.index("]")].split(", ")
    assert Fraction(low) <= Fraction(e.lower)
    assert Fraction(e.upper) <= Fraction(high)


def test_zero_times_an_unknown_side_is_zero() -> None:
    product = Enclosure.exact(0.0) * Enclosure.at_least(1.0)
    assert (product.lower, product.upper) == (0.0, 0.0)


def test_intersection_of_disjoint_proofs_is_refused() -> None:
    with pytest.raises(ValueError, match="contradict"):
        Enclosure(0.0, 1.0, "a").intersection(Enclosure(2.0, 3.0, "b"))
    assert (Enclosure(0.0, 2.0) & Enclosure(1.0, 3.0)) == Enclosure(1.0, 2.0)


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        (math.nan, 1.0, "NaN"),
        (0.0, math.nan, "NaN"),
        (2.0, 1.0, "exceed"),
        (math.inf, math.inf, "no real number"),
        (-math.inf, -math.inf, "no real number"),
    ],
)
def test_impossible_bounds_are_refused(lower: float, upper: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Enclosure(lower, upper)


def test_square_root_of_a_possibly_negative_number_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        Enclosure(-1.0, 1.0).sqrt()
