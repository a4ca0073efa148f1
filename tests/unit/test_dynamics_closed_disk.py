"""Inequalities for the closed disk, and columns of rationals, against slower exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamics.closed_disk import sides_of_integers
from dynamics.rational_columns import RationalColumn, over_one_denominator
from dynamics.unit_circle import circle_verdict

# ---- the trichotomy ------------------------------------------------------------------------------


def columns(polynomials):
    return [np.array(column, dtype=object) for column in zip(*polynomials, strict=True)]


def sides(polynomials):
    return sides_of_integers(columns(polynomials)).tolist()


@pytest.mark.parametrize(("degree", "most"), [(1, 6), (2, 6), (3, 4), (4, 3)])
def test_small_integer_polynomials_have_the_side_that_sturm_and_gcds_give(degree, most):
    tails = product(range(-most, most + 1), repeat=degree)
    listed = [(first, *tail) for tail in tails for first in (1, 2)]
    assert sides(listed) == [circle_verdict(p).side for p in listed]


ON_CIRCLE = [[1, -1], [1, 1], [5, -6, 5], [1, 0, 1], [1, 1, 1], [13, 10, 13], [2, -1, 2]]
IN_PAIRS = [[2, -5, 2], [6, 13, 6], [1, -3, 1], [4, 0, 17, 0, 4]]
OTHERS = [[1, 0], [2, -1], [3, 2], [1, -2], [4, 1, 3], [3, -1, 4], [10**40, 10**40 - 1]]


def times(p, q):
    found = [0] * (len(p) + len(q) - 1)
    for (i, a), (k, b) in product(enumerate(p), enumerate(q)):
        found[i + k] += a * b
    return found


def test_every_product_of_factors_on_the_circle_inside_and_outside_is_placed_by_its_factors():
    side_of = {
        **{tuple(f): 0 for f in ON_CIRCLE},
        **{tuple(f): -1 for f in IN_PAIRS},
        **dict(zip(map(tuple, OTHERS), (1, 1, 1, -1, 1, -1, 1), strict=True)),
    }
    found = {degree: [] for degree in (1, 2, 3, 4)}
    for count in (1, 2, 3, 4):
        for chosen in product(side_of, repeat=count):
            if sum(len(f) - 1 for f in chosen) <= 4:
                p = [1]
                for factor in chosen:
                    p = times(p, factor)
                worst = min(side_of[f] for f in chosen)
                found[len(p) - 1].append((p, worst))
    for listed in found.values():
        assert sides([p for p, _ in listed]) == [worst for _, worst in listed]
    assert sum(len(listed) for listed in found.values()) > 1000


def test_a_cubic_without_a_negative_margin_may_have_a_root_outside():
    assert sides_of_integers([1, 4, 4, 1]) == -1  # margins at least 0, a root at -2.6


def test_plain_integers_stand_for_columns_of_any_shape():
    middle = np.array([[-3, -2], [2, 10**30]], dtype=object)
    assert sides_of_integers([1, 0, middle, 0, 1]).tolist() == [[-1, 0], [0, -1]]
    assert sides_of_integers([1, 0, 0, 0, -1]).shape == ()


def test_degrees_above_four_are_refused():
    with pytest.raises(ValueError, match="degree 1 to 4"):
        sides_of_integers([1, 0, 0, 0, 0, 0])


# ---- columns -------------------------------------------------------------------------------------

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.lists(FLOATS, min_size=1, max_size=5)


def fractions(column, rows):
    return [Fraction(int(v), column.denominator) for v in np.broadcast_to(column.numerators, rows)]


@given(ROWS)
def test_a_column_holds_exactly_its_floats(values):
    column = RationalColumn.of_floats(np.array(values))
    assert fractions(column, len(values)) == [Fraction(v) for v in values]


@pytest.mark.parametrize(
    "values",
    [
        [5e-324, 1.7976931348623157e308],
        [0.0, 5e-324],
        [-0.0, 2.0**80],
        [0.0, 0.0],
        [0.0, -3.0],
        [2.0**70, 3 * 2.0**69],
        [-(2.0**53 - 1), 2.0**62],
        [1.0, 2.0**61],  # the last powers that fit in 64 bits, and the first that do not
        [1.0, -(2.0**62)],
        [1.0, 2.0**63],
        [1.0 + 2.0**-52, 2.0**12],
    ],
)
def test_a_column_holds_the_smallest_and_the_largest_floats_together(values):
    column = RationalColumn.of_floats(np.array(values))
    assert fractions(column, 2) == [Fraction(v) for v in values]


@given(ROWS, FLOATS, st.fractions(), st.integers(min_value=1, max_value=8))
def test_formulas_on_columns_are_formulas_on_fractions(values, number, fraction, divisor):
    def formula(x, a, b):
        return [1 - x * a / divisor + b, -(x + 2 * a) * (x - b), 3, b * b - 1]

    x = RationalColumn.of_floats(np.array(values))
    raw = formula(x, RationalColumn.of_number(number), RationalColumn.of_number(fraction))
    found = over_one_denominator(raw)
    scale = Fraction(found[2], 3)  # one positive factor for all values and all rows
    assert scale > 0
    exact = [formula(Fraction(v), Fraction(number), fraction) for v in values]
    for i, numerators in enumerate(found):
        expected = [scale * row[i] for row in exact]
        assert np.broadcast_to(numerators, len(values)).tolist() == expected


def test_a_symbol_is_no_number_of_a_column():
    with pytest.raises(TypeError, match="must be a number"):
        RationalColumn.of_number("eta")
