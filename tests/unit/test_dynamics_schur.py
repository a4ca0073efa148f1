"""Margins, recursions and the exact trichotomy against roots chosen beforehand."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamics.grid_margins import margin_error, smallest_margin
from dynamics.majorants import Majorant
from dynamics.polynomials import radius_enclosure
from dynamics.schur import jury_margins, schur_cohn
from dynamics.unit_circle import circle_verdict

RATIONALS = st.fractions(min_value=-2, max_value=2, max_denominator=12)


def times(p, q):
    found = [Fraction(0)] * (len(p) + len(q) - 1)
    for (i, a), (j, b) in product(enumerate(p), enumerate(q)):
        found[i + j] += a * b
    return found


@st.composite
def polynomials_with_known_roots(draw, most=4):
    """A rational polynomial, the squares of its roots' moduli and their multiplicities."""
    p, squares = [Fraction(1)], []
    while len(p) - 1 < most and (len(p) == 1 or draw(st.booleans())):
        if most - len(p) + 1 >= 2 and draw(st.booleans()):
            # (x - c)^2 + d^2 with |root|^2 = c^2 + d^2, d != 0; sometimes on the circle.
            c, d = draw(st.sampled_from([(Fraction(3, 5), Fraction(4, 5)), (None, None)]))
            if c is None:
                c, d = draw(RATIONALS), draw(RATIONALS.filter(lambda v: v != 0))
            p = times(p, [1, -2 * c, c * c + d * d])
            squares += [c * c + d * d] * 2
        else:
            root = draw(st.one_of(RATIONALS, st.sampled_from([Fraction(1), Fraction(-1)])))
            p = times(p, [1, -root])
            squares.append(root * root)
    return p, max(squares)


@given(polynomials_with_known_roots(most=7))
def test_the_trichotomy_is_that_of_the_largest_root(drawn):
    p, largest = drawn
    expected = 1 if largest < 1 else 0 if largest == 1 else -1
    assert circle_verdict(p).side == expected


@given(polynomials_with_known_roots())
def test_margins_are_positive_exactly_where_all_roots_are_inside(drawn):
    p, largest = drawn
    smallest = min(jury_margins(p))
    assert (smallest > 0) == (largest < 1)
    if smallest < 0:
        assert largest > 1  # a negative margin proves a root strictly outside


@given(polynomials_with_known_roots(most=7))
def test_the_recursion_decides_nothing_wrongly(drawn):
    p, largest = drawn
    decided = schur_cohn(p)
    assert decided != 1 or largest < 1
    assert decided != -1 or largest > 1
    assert decided == 1 or largest >= 1


@given(polynomials_with_known_roots(most=6))
def test_the_radius_lies_in_its_enclosure(drawn):
    from flint import arb, ctx, fmpq

    p, largest = drawn
    with ctx.workprec(1024):
        balls = [arb(fmpq(c.numerator, c.denominator)) for c in p]
    e = radius_enclosure([balls], float(largest) ** 0.5 * 1.001)
    assert Fraction(e.lower) ** 2 <= largest <= Fraction(e.upper) ** 2
    assert e.upper - e.lower <= 1e-5 * e.upper


def test_every_small_integer_cubic_and_quartic_agrees_with_its_margins():
    for c in product(range(-3, 4), repeat=4):
        p = [1, *c] if c[3] else [1, *c[:3]]
        smallest, side = min(jury_margins(p)), circle_verdict(p).side
        assert (smallest > 0) == (side == 1)
        assert smallest >= 0 or side == -1


@pytest.mark.parametrize(
    ("p", "side", "on_circle", "multiplicity"),
    [
        ([1, -2, 1], 0, 1, 2),
        ([1, 0, 1], 0, 2, 1),
        ([1, 0, 2, 0, 1], 0, 2, 2),
        ([1, 4, 4, 1], -1, 0, 0),  # all margins at least 0, yet a root at -2.6
        ([2, -5, 2], -1, 0, 0),
        ([1, -3, 3, -1], 0, 1, 3),
        ([1, 1, 1, 1, 1], 0, 4, 1),
        ([1, 0, 0, 0], 1, 0, 0),
    ],
)
def test_roots_on_the_circle_are_counted(p, side, on_circle, multiplicity):
    found = circle_verdict(p)
    assert (found.side, found.on_circle, found.multiplicity) == (side, on_circle, multiplicity)


def test_three_published_inequalities_of_alternating_ogd_miss_an_unstable_cubic():
    # alpha = 3, beta = (-1, -2), sigma = 1: all three hold, the spectral radius is 5.12.
    a, b1, b2 = 3, -1, -2
    assert (a - b1) * (a - b2) > 0
    assert (a + b1) * (a + b2) < 4
    assert (a * b1 + 1) * (a * b2 + 1) > (1 + b1 * b2) ** 2
    assert circle_verdict([1, 7, 10, 2]).side == -1


COEFFICIENTS = st.floats(min_value=-4, max_value=4)


@given(st.lists(COEFFICIENTS, min_size=2, max_size=4), st.booleans())
def test_the_error_bound_covers_the_rounding_of_the_smallest_margin(tail, as_arrays):
    c = [1, *(np.array([v, 0.5 * v]) if as_arrays else v for v in tail)]
    computed = np.broadcast_to(smallest_margin(c), (2,))
    bound = margin_error([1, *(Majorant(abs(v)) for v in tail)])
    for i in (0, 1):
        exact_c = [1, *(Fraction(float(v[i])) if as_arrays else Fraction(v) for v in c[1:])]
        exact = min(jury_margins(exact_c))
        assert abs(Fraction(float(computed[i])) - exact) <= Fraction(bound)


def test_coefficients_are_not_overwritten_by_the_grid():
    rng = np.random.default_rng(0)
    for degree in (2, 3, 4):
        c = [rng.normal(size=(3, 4)) for _ in range(degree + 1)]
        kept = [v.copy() for v in c]
        smallest_margin(c)
        assert all(np.array_equal(a, b) for a, b in zip(c, kept, strict=True))


def test_degrees_without_closed_margins_are_refused():
    with pytest.raises(ValueError, match="degree 1 to 4"):
        jury_margins([1, 0, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="must not all be 0"):
        circle_verdict([0, 0])
