"""The table of generators: convexity, conjugates and limits, each against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from divergences.discrete import chi2, hellinger, js, kl, reverse_kl, total_variation
from divergences.generators import GENERATORS, Generator, f_divergence
from divergences.variational import fenchel_lower_bound

WITH_CONJUGATE = [g for g in GENERATORS.values() if g.conjugate is not None]
POINTS = np.concatenate([np.geomspace(1e-6, 1e6, 2001), [1.0]])


def named(generators):  # type: ignore[no-untyped-def]
    return [g.name for g in generators]


def symbolic() -> dict[str, object]:
    """Every generator again, as a sympy expression typed in from the literature."""
    import sympy

    x = sympy.Symbol("x", positive=True)
    log, sqrt, half = sympy.log, sympy.sqrt, sympy.Rational(1, 2)
    return {
        "kl": x * log(x),
        "reverse_kl": -log(x),
        "js": half * (x * log(2 * x / (x + 1)) + log(2 / (x + 1))),
        "gan": x * log(x / (x + 1)) + log(1 / (x + 1)),
        "total_variation": sympy.Abs(x - 1) / 2,
        "squared_hellinger": (1 - 2 * sqrt(x) + x) / 2,
        "chi2": x**2 - 2 * x + 1,
        "reverse_chi2": 1 / x - 2 + x,
        "jeffreys": x * log(x) - log(x),
        "triangular": (x - 1) ** 2 / (x + 1),
    }


@pytest.mark.parametrize("generator", GENERATORS.values(), ids=GENERATORS)
def test_functions_derivatives_and_limits_are_those_of_the_formula(generator):
    import sympy

    expression = symbolic()[generator.name]
    x = sympy.Symbol("x", positive=True)
    slope = sympy.diff(expression, x)
    for point in (
        sympy.Rational(1, 7),
        sympy.Rational(9, 10),
        sympy.Rational(3),
        sympy.Rational(50),
    ):
        at = float(point)
        assert float(generator.f(at)) == pytest.approx(float(expression.subs(x, point)), rel=1e-13)
        assert float(generator.derivative(at)) == pytest.approx(
            float(slope.subs(x, point)), rel=1e-13
        )
    at_zero, far = sympy.limit(expression, x, 0, "+"), sympy.limit(expression / x, x, sympy.oo)
    assert generator.at_zero == pytest.approx(float(at_zero), rel=1e-15)
    assert generator.slope_at_infinity == pytest.approx(float(far), rel=1e-15)


@pytest.mark.parametrize("generator", WITH_CONJUGATE, ids=named(WITH_CONJUGATE))
def test_young_fenchel_holds_with_equality_at_the_derivative(generator):
    t = generator.derivative(POINTS)
    left, right = generator.f(POINTS) + generator.conjugate(t), POINTS * t
    # Near the end of the domain f* is steep, and the rounding of t what limits the digits.
    middle = (POINTS > 1e-2) & (POINTS < 1e2)
    np.testing.assert_allclose(left[middle], right[middle], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("generator", WITH_CONJUGATE, ids=named(WITH_CONJUGATE))
@settings(max_examples=60, deadline=None)
@given(t=st.floats(-20.0, 5.0))
def test_the_conjugate_is_the_supremum(generator, t):
    value = float(generator.conjugate(t))
    low, high = generator.domain
    assert low == -math.inf
    # As many points of (0, inf) as a grid has: none may exceed the supremum, 0 included.
    candidates = t * POINTS - generator.f(POINTS)
    lower = max(float(candidates.max()), -generator.at_zero)
    assert value >= lower - 1e-12 * (1.0 + abs(lower))
    if t > high:
        assert value == math.inf
    elif t < high - 1e-4 and value < 1e3:
        # The maximiser lies in the grid, whose ratio 1.0138 costs a second-order amount.
        assert value == pytest.approx(lower, rel=2e-2, abs=2e-2)


@pytest.mark.parametrize("generator", WITH_CONJUGATE, ids=named(WITH_CONJUGATE))
def test_a_conjugate_shifted_by_a_little_is_noticed(generator):
    t = generator.derivative(np.array([0.5, 2.0]))
    x = np.array([0.5, 2.0])
    wrong = generator.f(x) + generator.conjugate(t) - 1e-6
    assert not np.allclose(wrong, x * t, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("kl", kl),
        ("reverse_kl", reverse_kl),
        ("js", js),
        ("total_variation", total_variation),
        ("squared_hellinger", lambda p, q: hellinger(p, q) ** 2),
        ("chi2", chi2),
        ("reverse_chi2", lambda p, q: chi2(q, p)),
    ],
)
def test_a_generator_and_its_divergence_agree_with_the_formula(name, function):
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(8), 10), rng.dirichlet(np.ones(8), 10)
    p[0, :3], q[1, 3:] = 0.0, 0.0
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    g = GENERATORS[name]
    # The same functions under another name are evaluated as the formula stands.
    plain = Generator(name="plain", formula=g.formula, f=g.f, at_zero=g.at_zero,
                      slope_at_infinity=g.slope_at_infinity)  # fmt: skip
    np.testing.assert_allclose(f_divergence(p, q, name), function(p, q), rtol=1e-12)
    np.testing.assert_allclose(f_divergence(p, q, plain), function(p, q), rtol=1e-12)


def test_the_gan_generator_is_twice_js_less_log_four():
    p, q = [0.75, 0.25, 0.0], [0.25, 0.5, 0.25]
    assert f_divergence(p, q, "gan") == pytest.approx(2 * js(p, q) - math.log(4), rel=1e-14)
    assert f_divergence(p, p, "gan") == pytest.approx(-math.log(4), rel=1e-15)


def test_jeffreys_is_the_sum_of_both_kl_and_triangular_is_bounded_by_two():
    p, q = [0.75, 0.25], [0.25, 0.75]
    assert f_divergence(p, q, "jeffreys") == pytest.approx(kl(p, q) + kl(q, p), rel=1e-14)
    assert f_divergence([1.0, 0.0], [0.0, 1.0], "triangular") == 2.0
    assert f_divergence([1.0, 0.0], [0.0, 1.0], "jeffreys") == math.inf


def test_ratios_beyond_floats_take_the_limits():
    assert f_divergence([1.0, 1e-320], [1e-320, 1.0], "triangular") == pytest.approx(2.0)


def test_a_generator_that_yields_nan_is_refused():
    broken = Generator(name="broken", formula="sqrt(x - 1)", f=lambda x: np.sqrt(x - 1.0),
                       at_zero=0.0, slope_at_infinity=0.0)  # fmt: skip
    with pytest.raises(ValueError, match="`generator` 'broken' gives NaN"):
        f_divergence([0.1, 0.9], [0.5, 0.5], broken)


def test_a_generator_without_conjugate_has_no_fenchel_bound():
    with pytest.raises(ValueError, match="'jeffreys' has no conjugate"):
        fenchel_lower_bound([1.0], [1.0], [0.0], "jeffreys")


def test_the_table_is_read_only():
    with pytest.raises(TypeError):
        GENERATORS["kl"] = GENERATORS["js"]  # type: ignore[index]
