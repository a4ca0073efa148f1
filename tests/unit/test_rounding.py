"""Directed rounding against exact rational arithmetic."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from evidence import rounding as r

finite = st.floats(-1e300, 1e300)
Operation = Callable[[float, float], float]


def exact(operator: str, a: float, b: float) -> Fraction:
    x, y = Fraction(a), Fraction(b)
    return {"add": x + y, "sub": x - y, "mul": x * y, "divide": x / y if y else Fraction(0)}[
        operator
    ]


@pytest.mark.parametrize("operator", ["add", "sub", "mul", "divide"])
@given(a=finite, b=finite)
def test_operations_bracket_the_exact_result_by_one_unit(operator: str, a: float, b: float) -> None:
    assume(operator != "divide" or abs(b) > 1e-5)
    truth = exact(operator, a, b)
    up: Operation = getattr(r, f"{operator}_up")
    down: Operation = getattr(r, f"{operator}_down")
    low, high = down(a, b), up(a, b)
    assert math.isinf(low) or Fraction(low) <= truth
    assert math.isinf(high) or Fraction(high) >= truth
    assert high <= math.nextafter(low, math.inf)


@given(st.floats(0.0, 1e300))
def test_square_roots_bracket_the_exact_root(a: float) -> None:
    low, high = r.sqrt_down(a), r.sqrt_up(a)
    assert Fraction(low) ** 2 <= Fraction(a) <= Fraction(high) ** 2
    assert high <= math.nextafter(low, math.inf)


def test_overflow_stays_on_the_right_side() -> None:
    largest = math.nextafter(math.inf, 0.0)
    assert r.mul_up(largest, 2.0) == math.inf
    assert r.mul_down(largest, 2.0) == largest
    assert r.add_down(largest, largest) == largest
    assert r.add_up(-largest, -largest) == -largest


arrays = hnp.arrays(
    np.float64, st.integers(1, 60), elements=st.floats(-1e150, 1e150, allow_subnormal=True)
)


@given(arrays)
def test_norms_bracket_the_exact_norm(x: np.ndarray) -> None:
    square = sum((Fraction(v) ** 2 for v in x.tolist()), Fraction(0))
    low, high = r.norm_lower(x), r.norm_upper(x)
    assert Fraction(low) ** 2 <= square <= Fraction(high) ** 2
    assert high <= low * (1 + 1e-13) or high < 1e-300


@given(arrays)
def test_sums_bracket_the_exact_sum(x: np.ndarray) -> None:
    total = sum((Fraction(v) for v in x.tolist()), Fraction(0))
    assert Fraction(r.sum_down(x)) <= total <= Fraction(r.sum_up(x))


def test_long_sums_bracket_the_exact_sum() -> None:
    x = np.random.default_rng(0).standard_normal(10_000) * 1e8
    total = sum((Fraction(v) for v in x.tolist()), Fraction(0))
    assert Fraction(r.sum_down(x)) <= total <= Fraction(r.sum_up(x))
    assert r.sum_up(x) - r.sum_down(x) <= 2.1 * r.gamma(10_000) * float(np.abs(x).sum())


def test_norm_of_a_complex_array_counts_both_parts() -> None:
    assert r.norm_lower(np.array([3.0 + 4.0j])) <= 5.0 <= r.norm_upper(np.array([3.0 + 4.0j]))


def test_single_precision_complex_arrays_keep_their_norm() -> None:
    assert r.norm_lower(np.array([3, 4], np.complex64)) <= 5.0
    assert r.norm_upper(np.array([3, 4], np.complex64)) >= 5.0


def test_a_sum_beyond_the_largest_float_is_infinite_above() -> None:
    assert r.sum_up(np.array([1e308, 1e308])) == math.inf


def test_norms_of_extreme_arrays_neither_overflow_nor_vanish() -> None:
    tiny = np.array([5e-324, 5e-324])
    assert 0.0 < r.norm_upper(tiny) <= 2e-323
    huge = np.full(4, 1e308)
    assert math.isinf(r.norm_upper(huge))
    assert r.norm_lower(huge) <= math.nextafter(math.inf, 0.0)
    assert r.norm_upper(np.zeros(3)) == 0.0


@given(st.integers(0, 2**30))
def test_gamma_is_an_upper_bound(n: int) -> None:
    u = Fraction(1, 2**53)
    assert Fraction(r.gamma(n)) >= n * u / (1 - n * u)


@pytest.mark.parametrize("n", [-1, 2**52])
def test_gamma_refuses_useless_lengths(n: int) -> None:
    with pytest.raises(ValueError, match="`n` must be a count"):
        r.gamma(n)


@given(
    hnp.arrays(np.float64, (2, 12), elements=st.floats(-1e3, 1e3, width=32)),
)
def test_dot_products_obey_the_error_model(xy: np.ndarray) -> None:
    x, y = xy
    truth = sum((Fraction(a) * Fraction(b) for a, b in zip(x, y, strict=True)), Fraction(0))
    size = sum((abs(Fraction(a) * Fraction(b)) for a, b in zip(x, y, strict=True)), Fraction(0))
    assert abs(Fraction(float(x @ y)) - truth) <= Fraction(r.gamma(12)) * size
