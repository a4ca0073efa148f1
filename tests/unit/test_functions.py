"""Constants of ordinary functions: enclosures against known answers, and clear refusals."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy

from evidence import NotCertified
from lipschitz.domains import Ball, Box
from lipschitz.function_domains import (
    ConvexPolygon,
    Interval,
    IntervalUnion,
    SlitAnnulus,
    UShape,
)
from lipschitz.function_paths import path_ratio
from lipschitz.functions import lipschitz_constant_of

x, y = sympy.symbols("x y", real=True)
RTOL = 2e-6  # twice what is asked for: the lower side is a sample


# ---- the slides' examples ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("function", "constant"),
    [
        (-3 * x, 3),
        (sympy.Abs(x), 1),
        (sympy.sin(x), 1),
        (sympy.tanh(x), 1),
        (sympy.atan(2 * x), 2),
        (sympy.log(1 + sympy.exp(x)), 1),
        (sympy.sqrt(1 + x**2), 1),
        (sympy.Max(0, x, 2 * x - 1), 2),
        (sympy.exp(-(x**2) / 2), math.exp(-0.5)),
        (1 / (1 + sympy.exp(-x)), 0.25),
        (sympy.Piecewise((x, x > 0), (0, True)), 1),
    ],
)
def test_constants_on_the_line_are_enclosed(function, constant):
    result = lipschitz_constant_of(function)
    # One ulp for the float that stands for the constant.
    assert result.bound.lower <= constant * (1 + 2e-16)
    assert result.bound.upper >= constant * (1 - 2e-16)
    assert result.bound.rtol <= RTOL
    assert result.has_constant is True


@pytest.mark.parametrize(
    "function",
    [
        x**2,
        x**3,
        sympy.exp(x),
        sympy.exp(-x),
        sympy.Heaviside(x, 1),
        sympy.sign(x),
        sympy.Piecewise((1, x >= 0), (0, True)),
        x**2 + y**2,
        x * sympy.Abs(x),
    ],
)
@pytest.mark.parametrize("constant", [0.5, 10.0, 1e9])
def test_functions_without_a_constant_have_a_secant_above_every_one(function, constant):
    result = lipschitz_constant_of(function)
    assert result.has_constant is False
    assert result.bound.upper == math.inf
    assert result.divergence.secant_above(constant).slope.lower > constant


def test_the_same_functions_have_constants_on_smaller_domains():
    assert lipschitz_constant_of(x**2, Interval(-3, 3)).exact == 6
    assert lipschitz_constant_of(sympy.exp(x), Interval(-math.inf, 2)).exact == sympy.exp(2)
    assert lipschitz_constant_of(sympy.Heaviside(x, 1), Interval(1, 2)).bound.upper == 0


def test_a_root_is_not_lipschitz_at_zero_and_is_away_from_it():
    steep = lipschitz_constant_of(sympy.sqrt(x), Interval(0, 1))
    assert steep.has_constant is False
    assert lipschitz_constant_of(sympy.sqrt(x), Interval(Fraction(1, 4), 1)).exact == 1


def test_what_is_not_decided_is_said_to_be_so():
    result = lipschitz_constant_of(x * sympy.sin(x), time_limit=0.2)
    assert result.bound.upper == math.inf
    assert result.has_constant is None


@pytest.mark.parametrize(
    "function", [1 / x, sympy.atan(1 / x), sympy.floor(x), sympy.log(x), sympy.tan(2 * x)]
)
def test_functions_that_may_jump_are_refused(function):
    with pytest.raises(NotCertified, match="`function`"):
        lipschitz_constant_of(function, Interval(-1, 1))


def test_a_case_that_jumps_inside_is_refused():
    with pytest.raises(NotCertified, match="is not 0"):
        lipschitz_constant_of(
            sympy.Piecewise((sympy.atan(1 / x), x < 5), (sympy.atan(sympy.Rational(1, 5)), True)),
            Interval(-1, 1),
        )


@pytest.mark.parametrize(
    "beside",
    [
        10**8 * (1 - sympy.cos(x)) / x,
        10**9 * x * sympy.exp(-1 / x),
        10**9 * (sympy.exp(x) - 1) * sympy.sin(x) / x,
        x**2 * sympy.sin(1 / x),
        sympy.sin(x) / x - 1,
    ],
)
@pytest.mark.parametrize("end", [1, 100])
def test_a_singular_formula_with_a_limit_is_never_said_to_jump(beside, end):
    # All are Lipschitz: at 0 the formula has no value, and its limit is the value of the other case
    with pytest.raises(NotCertified, match="x is not 0"):
        lipschitz_constant_of(sympy.Piecewise((beside, x > 0), (0, True)), Interval(-1, end))


def test_a_pole_beside_a_value_is_a_jump_by_enclosures():
    result = lipschitz_constant_of(sympy.Piecewise((1 / x, x > 0), (0, True)), Interval(-1, 1))
    assert result.has_constant is False
    assert result.divergence.reason.endswith("the values to the right stay away from it")
    assert result.divergence.secant_above(1e12).slope.lower > 1e12


def test_a_jump_in_the_last_place_is_a_jump_and_equal_roots_are_none():
    almost = sympy.Piecewise((0.1 * x, x < 1), (0.3 * x - 0.2, True))
    assert lipschitz_constant_of(almost, Interval(0, 2)).has_constant is False
    root = sympy.Piecewise((sympy.sqrt(2) * sympy.sqrt(3), x < 0), (sympy.sqrt(6 + x), True))
    assert lipschitz_constant_of(root, Interval(-1, 1)).has_constant is True


def test_a_condition_that_changes_at_a_pole_is_refused():
    # Beside 0 the condition changes although its two sides are equal at 1 only
    step = sympy.Piecewise((1, (x - 1) / x > 0), (0, True))
    with pytest.raises(NotCertified, match="x is not 0"):
        lipschitz_constant_of(step, Interval(-1, 0.5))


def test_secants_of_a_jump_stay_inside_the_domain():
    step = lipschitz_constant_of(sympy.Piecewise((1, x > 0), (0, True)), Interval(-0.25, 0.25))
    secant = step.divergence.secant_above(0.5)
    assert all(abs(place) <= 0.25 for (place,) in (secant.first, secant.second))


# ---- several variables and norms -----------------------------------------------------------------
@pytest.mark.parametrize(("norm", "constant"), [(2, math.sqrt(41.25)), (1, 5.0), (math.inf, 9.5)])
def test_an_affine_function_has_the_dual_norm_of_its_gradient(norm, constant):
    z = sympy.Symbol("z", real=True)
    result = lipschitz_constant_of(4 * x - 5 * y + z / 2, norm=norm)
    assert result.bound.lower <= constant <= result.bound.upper
    assert result.bound.rtol <= 4e-16


@pytest.mark.parametrize("norm", [1, 2, math.inf])
def test_sampled_gradients_approach_the_bound_and_never_exceed_it(norm):
    f = sympy.sin(x) * sympy.cos(y) + x * y / 4
    result = lipschitz_constant_of(f, Box([-2.0, -2.0], [2.0, 2.0]), norm=norm)
    gradient = [sympy.lambdify((x, y), sympy.diff(f, v)) for v in (x, y)]
    X, Y = np.meshgrid(np.linspace(-2, 2, 401), np.linspace(-2, 2, 401))
    g = np.abs([np.broadcast_to(d(X, Y), X.shape) for d in gradient])
    sizes = {1: g.max(axis=0), 2: np.hypot(*g), math.inf: g.sum(axis=0)}[norm]
    # A dozen roundings of numbers below 4.
    assert sizes.max() <= result.bound.upper * (1 + 1e-14)
    assert result.bound.lower - sizes.max() <= 1e-3
    assert result.bound.rtol <= RTOL


def test_disc_and_polygon_are_covered_by_their_charts():
    square = x**2 + y**2
    assert lipschitz_constant_of(square, Ball([0.0, 0.0], 1.5)).bound.contains(
        lipschitz_constant_of(3 * x + 0 * y, Interval()).bound
    )
    triangle = ConvexPolygon(((0, 0), (3, 0), (0, 4)))
    assert 8 in lipschitz_constant_of(square, triangle).bound


def test_a_kink_of_two_variables_is_enclosed_if_not_converged_to():
    bound = lipschitz_constant_of(sympy.Max(x, y), Box([-1.0, -1.0], [1.0, 1.0])).bound
    assert 1.0 - 1e-6 <= bound.lower <= 1.0 <= bound.upper  # the gradients are (1, 0) and (0, 1)
    assert bound.upper <= 1.4143


def test_a_norm_has_constant_one_although_its_gradient_is_undefined_at_zero():
    assert lipschitz_constant_of(sympy.sqrt(x**2 + y**2)).bound.upper == 1.0


# ---- domains that are not convex -----------------------------------------------------------------
def test_the_angle_has_a_gradient_of_one_and_the_constant_313_across_the_slit():
    angle = sympy.Lambda((x, y), sympy.atan2(y, x))
    result = lipschitz_constant_of(angle, SlitAnnulus(1, 2, Fraction(1, 100)))
    # (pi - 1/100) / sin(1/100); a few ulp for this line.
    exact = (math.pi - 0.01) / math.sin(0.01)
    assert abs(result.bound.lower - exact) <= 1e-12 * exact
    assert result.bound.rtol <= RTOL


def test_across_a_slit_without_a_gap_no_constant_exists():
    angle = sympy.Lambda((x, y), sympy.atan2(y, x))
    result = lipschitz_constant_of(angle, SlitAnnulus(1, 2))
    assert result.bound.upper == math.inf
    assert result.bound.lower > 1e6


def test_a_u_allows_201_and_every_function_stays_below():
    u = UShape(10, Fraction(1, 10))
    assert path_ratio(u).lower == path_ratio(u).upper == 201
    result = lipschitz_constant_of(sympy.Lambda((x, y), y), u)
    assert result.bound.lower >= 1.0
    assert result.bound.upper == 201.0


def test_an_angle_on_a_disc_jumps_and_is_refused():
    with pytest.raises(NotCertified, match="off its cut"):
        lipschitz_constant_of(
            sympy.Lambda((x, y), (x**2 + y**2) * sympy.atan2(y, x)), Ball([0.0, 0.0], 1.0)
        )


def test_transcendental_coefficients_have_no_closed_form_and_an_enclosure():
    result = lipschitz_constant_of(sympy.pi * x**3 + sympy.sqrt(2) * x, Interval(-1, 1))
    assert 3 * math.pi + math.sqrt(2) == pytest.approx(result.bound.upper, rel=RTOL)


def test_between_two_intervals_the_derivative_says_nothing():
    two = IntervalUnion((Interval(0, 1), Interval(Fraction(3, 2), 2)))
    step = sympy.Piecewise((0, x < Fraction(5, 4)), (7, True))
    result = lipschitz_constant_of(step, two)
    assert 14 in result.bound
    assert result.bound.rtol <= RTOL
    assert path_ratio(two).upper == math.inf


@pytest.mark.parametrize("seed", range(20))
def test_no_path_ratio_is_exceeded_by_paths_on_the_inner_circle_and_around_the_slot(seed):
    rng = np.random.default_rng([4, seed])
    gap = Fraction(int(rng.integers(1, 100)), 100)
    ratio = path_ratio(SlitAnnulus(1, 2, gap)).upper
    r1, r2 = rng.uniform(1, 2, 2)
    t1, t2 = rng.uniform(-1, 1, 2) * (math.pi - float(gap))
    wide = abs(t1 - t2) - math.acos(1 / r1) - math.acos(1 / r2)
    chord = math.sqrt(max(r1**2 + r2**2 - 2 * r1 * r2 * math.cos(t1 - t2), 1e-300))
    string = math.sqrt(r1**2 - 1) + math.sqrt(r2**2 - 1) + wide if wide > 0 else chord
    assert string / chord <= ratio * (1 + 1e-12)


# ---- arguments -----------------------------------------------------------------------------------
def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`norm` must be 1, 2 or inf"):
        lipschitz_constant_of(x, norm=3)
    with pytest.raises(ValueError, match="`domain` has dimension 2"):
        lipschitz_constant_of(x, Box([0.0, 0.0], [1.0, 1.0]))
    with pytest.raises(TypeError, match="`domain` must be"):
        lipschitz_constant_of(x, "everywhere")
    with pytest.raises(TypeError, match="does not return a formula"):
        lipschitz_constant_of(math.exp)
    with pytest.raises(ValueError, match="3 dimensions"):
        lipschitz_constant_of(lambda a, b, c: a, Ball([0.0, 0.0, 0.0], 1.0))
    with pytest.raises(NotCertified, match="gamma"):
        lipschitz_constant_of(sympy.gamma(x), Interval(1, 2))
