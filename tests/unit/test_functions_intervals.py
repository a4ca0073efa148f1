"""Interval arithmetic contains what Arb's balls say, also at infinite ends."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import NotCertified
from lipschitz.cone import double_cone_violation
from lipschitz.function_balls import as_ball, ball_value
from lipschitz.function_norms import (
    dual_norm,
    gradient_norm_for_ground_cost,
    steepest_direction,
)
from lipschitz.function_piecewise import PiecewiseLinear
from lipschitz.function_plots import plot_double_cone
from lipschitz.function_programs import IntervalProgram
from lipschitz.function_secants import secant_slopes, steepest_secant

x = sympy.Symbol("x", real=True)
FORMULAS = [
    x**3 - 2 * x + sympy.Rational(1, 3),
    x**2 * sympy.exp(-(x**2)),
    sympy.sin(x) * sympy.cos(3 * x),
    sympy.tanh(x) ** 3 / (1 + x**2),
    sympy.atan(x) - sympy.sqrt(1 + x**4),
    sympy.Max(x, 1 - x, 0) - sympy.Abs(x - 1),
    (1 + x**2) ** sympy.Rational(1, 3),
    sympy.log(1 + sympy.exp(x)),
    sympy.cosh(x / 4) + sympy.sinh(x / 3),
    sympy.Piecewise((x**2, x < 1), (2 * x - 1, True)),
]
numbers = st.floats(-30, 30, allow_nan=False, width=32)


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
@settings(max_examples=60, deadline=None)
@given(a=numbers, b=numbers, t=st.floats(0, 1))
def test_enclosures_over_an_interval_contain_the_balls_at_its_points(formula, a, b, t):
    low, high = min(a, b), max(a, b)
    point = min(max(low + t * (high - low), low), high)
    [found] = IntervalProgram([formula], [x]).over(np.array([[low]]), np.array([[high]]))
    ball = ball_value(formula, {x: as_ball(point)})
    assert ball.lower() <= float(found.upper[0])
    assert ball.upper() >= float(found.lower[0])


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_a_half_line_contains_its_points(formula):
    ends = np.array([[-np.inf], [-3.0], [2.0]]), np.array([[-2.0], [np.inf], [np.inf]])
    [found] = IntervalProgram([formula], [x]).over(*ends)
    for i, point in enumerate((-100.0, 50.0, 700.0)):
        ball = ball_value(formula, {x: as_ball(point)})
        assert ball.lower() <= float(found.upper[i])
        assert ball.upper() >= float(found.lower[i])


# ---- ground norms --------------------------------------------------------------------------------
def test_an_l1_cost_needs_linf_gradients():
    g = [3.0, -4.0, 0.5]
    assert math.sqrt(25.25) in gradient_norm_for_ground_cost(g, 2)
    assert gradient_norm_for_ground_cost(g, 1).lower == 4.0
    assert gradient_norm_for_ground_cost(g, math.inf).upper == 7.5


@pytest.mark.parametrize(("p", "q"), [(1, math.inf), (2, 2), (math.inf, 1), (4, Fraction(4, 3))])
def test_dual_exponents(p, q):
    assert dual_norm(p) == float(q)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=6).filter(any))
def test_the_steepest_direction_attains_the_dual_norm(gradient):
    g = np.array(gradient, dtype=float)
    for ground, order in ((1, 1), (2, 2), (math.inf, np.inf)):
        v = steepest_direction(g, ground)
        rise = float(g @ v)
        bound = gradient_norm_for_ground_cost(g, ground)
        # Two roundings for the norm of v and the product.
        assert rise <= bound.upper * np.linalg.norm(v, order) * (1 + 4e-16)
        assert rise >= bound.lower * np.linalg.norm(v, order) * (1 - 4e-16)


# ---- secants, pieces and cones -------------------------------------------------------------------
def test_floats_are_refused_because_their_secants_may_be_too_steep():
    with pytest.raises(TypeError, match="int or a Fraction"):
        steepest_secant(math.sin, [0, 1])
    with pytest.raises(ValueError, match="different"):
        secant_slopes(x, [1, 1])
    with pytest.raises(ValueError, match="at least two"):
        secant_slopes(x, [1])


def test_pieces_that_only_touch_the_interval_do_not_count():
    steps = PiecewiseLinear([0, 1, 2, 3], [0, 5, 6, -1])
    assert steps.lipschitz_constant() == 7
    assert steps.lipschitz_constant(1, 2) == 1
    assert steps.lipschitz_constant(Fraction(1, 2), 1) == 5
    assert steps.lipschitz_constant(10, 11) == 7
    with pytest.raises(ValueError, match="`knots` must increase"):
        PiecewiseLinear([0, 0], [0, 1])
    with pytest.raises(TypeError, match="`values` must be finite"):
        PiecewiseLinear([0, 1], [0, math.inf])


def test_a_cone_that_is_too_close_to_decide_is_refused():
    slope = steepest_secant(sympy.sin(x), [0, 1]).slope
    assert double_cone_violation(sympy.sin(x), [0, 1], 1) is None
    assert double_cone_violation(sympy.sin(x), [0, 1], 0.5) is not None
    with pytest.raises(NotCertified, match="too close"):
        double_cone_violation(sympy.sin(x), [0, 1], slope.lower)
    with pytest.raises(ValueError, match="`constant`"):
        double_cone_violation(sympy.sin(x), [0, 1], -1)


def test_the_picture_paints_what_is_inside_a_cone():
    ax = plot_double_cone(lambda t: t * t, 2.0, [0.0], lower=-3.0, upper=3.0)
    red = next(line for line in ax.lines if line.get_label() == "inside a cone")
    positions, heights = (np.asarray(data) for data in red.get_data())
    # From the vertex, t^2 > 2 |t| beyond 2.
    assert np.array_equal(np.isfinite(heights), np.abs(positions) > 2.0 + 1e-12)
    assert all(line.get_label() != "inside a cone" for line in plot_double_cone(
        math.sin, 1.0, [0.0, 1.0], lower=-4.0, upper=4.0).lines)  # fmt: skip
    with pytest.raises(ValueError, match="`apexes`"):
        plot_double_cone(math.sin, 1.0, [9.0], lower=-4.0, upper=4.0)
