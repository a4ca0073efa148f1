"""The shipped constants are right: no secant is steeper than the bound, and some approach it.

Random piecewise linear functions, polynomials and networks; slopes in exact arithmetic or in balls.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from lipschitz import from_arrays, lipschitz_enclosure, lower_bound
from lipschitz.cone import double_cone_violation
from lipschitz.function_domains import Interval, SlitAnnulus
from lipschitz.function_norms import gradient_norm_for_ground_cost
from lipschitz.function_piecewise import PiecewiseLinear
from lipschitz.function_secants import secant_slopes, steepest_secant
from lipschitz.functions import lipschitz_constant_of

proves = pytest.mark.proves
x, y = sympy.symbols("x y", real=True)
fractions = st.fractions(min_value=-50, max_value=50, max_denominator=12)


# ---- piecewise linear functions: exact on both sides ---------------------------------------------
@st.composite
def piecewise_linear(draw):
    knots = sorted(draw(st.sets(fractions, min_size=2, max_size=7)))
    values = draw(st.lists(fractions, min_size=len(knots), max_size=len(knots)))
    return PiecewiseLinear(knots, values)


@proves("lipschitz-secant-definition", strength="instance-proved", role="conforms")
@proves("lipschitz-double-cone", strength="instance-proved", role="conforms")
@settings(max_examples=60, deadline=None)
@given(f=piecewise_linear(), points=st.sets(fractions, min_size=2, max_size=8))
def test_no_secant_is_steeper_than_the_steepest_piece_and_one_is_as_steep(f, points):
    K = f.lipschitz_constant()
    assert double_cone_violation(f, sorted(points | {*f.knots}), K) is None
    # On the steepest piece itself the slope is attained: any smaller cone is entered.
    i = f.steepest_piece()
    ends = [f.knots[i], f.knots[i + 1]]
    assert abs(f(ends[1]) - f(ends[0])) == K * (ends[1] - ends[0])
    if K > 0:
        assert double_cone_violation(f, ends, K * Fraction(9, 10)) is not None


# ---- polynomials ---------------------------------------------------------------------------------
def horner(coefficients):
    def value(t):
        total = Fraction(0)
        for a in coefficients:
            total = total * t + a
        return total

    return value


@proves("gradient-bound-implies-lipschitz", strength="instance-proved", role="conforms")
@proves("lipschitz-implies-gradient-bound", strength="instance-proved", role="conforms")
@settings(max_examples=30, deadline=None)
@given(
    coefficients=st.lists(st.integers(-9, 9), min_size=2, max_size=6),
    lower=st.integers(-4, 3),
    width=st.integers(1, 4),
    points=st.sets(st.fractions(0, 1, max_denominator=64), min_size=2, max_size=8),
)
def test_secants_of_polynomials_stay_below_the_constant_and_approach_it(
    coefficients, lower, width, points
):
    upper = lower + width
    f = horner(coefficients)
    formula = sympy.Poly(coefficients, x).as_expr()
    found = lipschitz_constant_of(lambda t: formula.subs(x, t), Interval(lower, upper))
    slopes = secant_slopes(f, [lower + width * t for t in points])
    assert all(secant.slope.lower <= found.bound.upper for secant in slopes)

    # A secant of length h at the point found differs from f' there by at most h/2 sup |f''|.
    h, R = Fraction(1, 2**20), max(abs(lower), abs(upper))
    degree = len(coefficients) - 1
    M = sum(
        k * (k - 1) * abs(a) * R ** max(k - 2, 0)
        for k, a in zip(range(degree, -1, -1), coefficients, strict=True)
    )
    [at] = [Fraction(v) for v in found.point or (float(lower),)]
    near = at + h if at + h <= upper else at - h
    steep = steepest_secant(f, [at, near]).slope.upper
    assert steep + h * M / 2 >= Fraction(found.bound.lower)
    assert found.bound.rtol <= 2e-6 or found.bound.upper == 0


# ---- networks ------------------------------------------------------------------------------------
@proves("lipschitz-secant-definition", strength="instance-proved", role="conforms")
@pytest.mark.parametrize("norm", [1, 2, math.inf])
@pytest.mark.parametrize("seed", range(4))
def test_secants_of_networks_stay_below_the_bound_and_approach_the_lower_one(seed, norm):
    rng = np.random.default_rng([146, seed])
    weights = [rng.normal(size=s) for s in ((6, 2), (5, 6), (1, 5))]
    network = from_arrays(weights, [rng.normal(size=len(w)) for w in weights])
    bound = lipschitz_enclosure(network, norm, rng=rng, starts=8, steps=60).bound
    points = rng.normal(scale=2.0, size=(7, 2)).tolist()
    assert all(s.slope.lower <= bound.upper for s in secant_slopes(network, points, norm=norm))

    found = lower_bound(network, norm=norm, rng=rng, starts=8, steps=60)
    step = found.direction / np.abs(found.direction).max() * 2.0**-20
    near = found.point + step
    steep = steepest_secant(network, [found.point.tolist(), near.tolist()], norm=norm)
    # Rounding x + step moves it by 2^-53 |x| <= 2^-33 |x| |step|; the network is linear there.
    slack = bound.upper * 2.0**-32 * (1.0 + float(np.abs(found.point).max()))
    assert steep.slope.upper >= found.bound.lower - slack


# ---- the slides' examples ------------------------------------------------------------------------
@proves("example-ax-lipschitz-modulus", strength="enclosure", role="conforms")
@proves("example-abs-lipschitz", strength="enclosure", role="conforms")
@proves("example-sin-lipschitz", strength="enclosure", role="conforms")
@pytest.mark.parametrize(
    ("function", "constant"), [(-7 * x, 7), (sympy.Abs(x), 1), (sympy.sin(x), 1)]
)
def test_the_examples_have_the_constants_of_the_slides(function, constant):
    bound = lipschitz_constant_of(function).bound
    assert constant in bound
    assert bound.upper == constant


@proves("counterexample-square-not-lipschitz", strength="certificate", role="conforms")
@proves("counterexample-exp-not-lipschitz", strength="enclosure", role="conforms")
@proves("counterexample-step-not-lipschitz", strength="certificate", role="conforms")
@pytest.mark.parametrize("function", [x**2, sympy.exp(x), sympy.Heaviside(x, 1)])
@pytest.mark.parametrize("constant", [1e-3, 1.0, 1e12])
def test_the_counterexamples_have_a_secant_above_every_constant(function, constant):
    found = lipschitz_constant_of(function)
    assert found.bound.upper == math.inf
    assert found.divergence.secant_above(constant).slope.lower > constant


@proves("gradient-bound-implies-lipschitz", strength="enclosure", role="conforms")
def test_without_convexity_the_bound_of_the_gradient_is_not_taken_for_a_constant():
    angle = sympy.Lambda((x, y), sympy.atan2(y, x))
    across = lipschitz_constant_of(angle, SlitAnnulus(1, 2, Fraction(1, 1000)))
    # (pi - 1/1000) / sin(1/1000) on the unit circle; 3140.59 at (-1, +-1/1000) is off it.
    assert 3140.59 < across.bound.lower <= across.bound.upper < 3140.60


@proves("lipschitz-implies-gradient-bound", strength="certificate", role="conforms")
def test_an_affine_function_needs_the_dual_norm_of_its_gradient():
    for ground, constant in ((1, 4), (math.inf, 7)):
        bound = lipschitz_constant_of(3 * x + 4 * y, norm=ground).bound
        assert bound.lower == bound.upper == constant
        assert gradient_norm_for_ground_cost([3.0, 4.0], ground).lower == constant
    assert 5 in lipschitz_constant_of(3 * x + 4 * y).bound
