"""What a discriminator or a critic attains: never more than the divergence, and when equal."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from divergences.discrete import js, kl
from divergences.generators import GENERATORS, f_divergence
from divergences.variational import (
    critic_value,
    donsker_varadhan,
    fenchel_lower_bound,
    gan_value,
    gan_value_gap,
    gan_value_of_logits,
    nonsaturating_gradient,
    nonsaturating_loss,
    optimal_discriminator,
    saturating_gradient,
    saturating_loss,
)

LOG4 = math.log(4.0)


@st.composite
def instances(draw: st.DrawFn):  # type: ignore[no-untyped-def]
    """Two distributions with zeros among the masses, and a function on the outcomes."""
    n = draw(st.integers(1, 6))
    weights = st.lists(st.integers(0, 9), min_size=n, max_size=n)
    p, q = np.array(draw(weights), float), np.array(draw(weights), float)
    assume(p.sum() > 0 and q.sum() > 0)
    values = np.array(draw(st.lists(st.floats(-4, 4), min_size=n, max_size=n)))
    return p / p.sum(), q / q.sum(), values


# ---- discriminators ------------------------------------------------------------------------------
@settings(max_examples=80, deadline=None)
@given(instances())
def test_no_discriminator_exceeds_twice_js_less_log_four_and_the_optimal_one_attains_it(case):
    p, q, logits = case
    best = 2.0 * js(p, q) - LOG4
    D = 1.0 / (1.0 + np.exp(-logits))
    assert gan_value(p, q, D) <= best + 1e-13
    assert gan_value(p, q, optimal_discriminator(p, q)) == pytest.approx(best, rel=1e-13, abs=1e-13)


def test_js_itself_is_not_the_maximum_of_the_game():
    # The formula without "2" and "- log 4" that is sometimes printed.
    p, q = [0.5, 0.5], [0.9, 0.1]
    assert gan_value(p, q, optimal_discriminator(p, q)) == pytest.approx(-1.1827959109614972)
    assert js(p, q) == pytest.approx(0.10174922507919676)


@settings(max_examples=80, deadline=None)
@given(instances())
def test_the_gap_is_the_difference_of_the_values(case):
    p, q, logits = case
    D = 1.0 / (1.0 + np.exp(-logits))
    difference = gan_value(p, q, optimal_discriminator(p, q)) - gan_value(p, q, D)
    assert gan_value_gap(p, q, D) == pytest.approx(difference, rel=1e-12, abs=1e-13)


def test_the_gap_of_a_nearly_optimal_discriminator_keeps_its_digits():
    # At D = 1/2 + e with p = q the gap is -log(1 - 4 e^2) = 4 e^2 (1 + O(e^2)).
    e = 2.0**-30
    gap = gan_value_gap([1.0], [1.0], [0.5 + e])
    assert gap == pytest.approx(4.0 * e * e, rel=1e-15, abs=0)
    naive = gan_value([1.0], [1.0], [0.5]) - gan_value([1.0], [1.0], [0.5 + e])
    assert naive != pytest.approx(4.0 * e * e, rel=1e-15, abs=0)


def test_a_discriminator_that_excludes_what_has_mass_is_worth_minus_infinity():
    assert gan_value([0.5, 0.5], [0.5, 0.5], [0.0, 0.5]) == -math.inf
    assert gan_value([0.5, 0.5], [0.5, 0.5], [1.0, 0.5]) == -math.inf
    assert gan_value_gap([0.5, 0.5], [0.5, 0.5], [1.0, 0.5]) == math.inf
    assert gan_value([1.0, 0.0], [0.0, 1.0], [1.0, 0.0]) == 0.0


@settings(max_examples=60, deadline=None)
@given(instances())
def test_logits_and_probabilities_give_one_value(case):
    p, q, logits = case
    D = 1.0 / (1.0 + np.exp(-logits))
    assert gan_value_of_logits(p, q, logits) == pytest.approx(gan_value(p, q, D), rel=1e-13)


def test_logits_keep_what_the_sigmoid_rounds_away():
    assert gan_value_of_logits([1, 0], [0, 1], [800.0, 40.0]) == pytest.approx(-40.0)
    assert gan_value([1, 0], [0, 1], [1.0, 1.0]) == -math.inf  # sigmoid(40) rounds to 1


def test_values_of_a_batch_are_those_of_its_rows():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(4), 3), rng.dirichlet(np.ones(4), 3)
    D = rng.uniform(size=(3, 4))
    rows = [gan_value(p[i], q[i], D[i]) for i in range(3)]
    np.testing.assert_allclose(gan_value(p, q, D), rows, rtol=1e-14)
    assert optimal_discriminator(p, q).shape == (3, 4)
    np.testing.assert_allclose(gan_value(p, q, D[0])[0], rows[0], rtol=1e-14)
    with pytest.raises(ValueError, match=r"one value per outcome, shape \(3, 4\), got \(3,\)"):
        gan_value(p, q, D[:, 0])


# ---- critics -------------------------------------------------------------------------------------
@settings(max_examples=80, deadline=None)
@given(instances())
def test_donsker_varadhan_never_exceeds_kl_and_the_log_ratio_attains_it(case):
    p, q, T = case
    assert donsker_varadhan(p, q, T) <= kl(p, q) + 1e-13
    if kl(p, q) < math.inf:
        both = (p > 0) & (q > 0)
        # Outcomes without p-mass want T = -infinity; -800 is as good in floats.
        best = np.where(both, np.log(np.where(both, p, 1.0) / np.where(both, q, 1.0)), -800.0)
        assert donsker_varadhan(p, q, best + 7.0) == pytest.approx(kl(p, q), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("name", [n for n, g in GENERATORS.items() if g.conjugate is not None])
@settings(max_examples=60, deadline=None)
@given(case=instances())
def test_no_critic_exceeds_an_f_divergence_and_the_derivative_attains_it(name, case):
    p, q, T = case
    exact = f_divergence(p, q, name)
    assert fenchel_lower_bound(p, q, T, name) <= exact + 1e-12 * (1.0 + abs(exact))
    if (p > 0).all() and (q > 0).all():
        best = GENERATORS[name].derivative(p / q)
        assert fenchel_lower_bound(p, q, best, name) == pytest.approx(exact, rel=1e-11, abs=1e-12)


def test_a_critic_whose_conjugate_overflows_has_no_value():
    assert fenchel_lower_bound([0.5, 0.5], [0.5, 0.5], [1e4, 0.0], "kl") == -math.inf


def test_tensors_are_taken_as_arrays_unless_they_carry_a_graph():
    import torch

    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    assert gan_value(half, half, half) == -LOG4
    with pytest.raises(TypeError, match=r"`discriminator` is a tensor that requires grad; pass"):
        gan_value([0.5, 0.5], [0.5, 0.5], half.requires_grad_())


def test_a_critic_above_the_slope_at_infinity_does_not_pretend_to_be_a_bound():
    # q has no mass on the first outcome, where T = 3 would claim TV >= 3.
    assert fenchel_lower_bound([1.0, 0.0], [0.0, 1.0], [3.0, -0.5], "total_variation") == -math.inf
    assert fenchel_lower_bound([1.0, 0.0], [0.0, 1.0], [0.5, -0.5], "total_variation") == 1.0


@settings(max_examples=80, deadline=None)
@given(instances(), st.integers(0, 2**30))
def test_the_certified_bound_of_a_critic_is_below_w1_on_the_line(case, seed):
    p, q, f = case
    n = p.size
    points = np.sort(np.random.default_rng(seed).choice(64, size=n, replace=False)) / 8.0
    result = critic_value(p, q, f, np.abs(points[:, None] - points[None, :]))
    a, b = ([Fraction(float(x)) for x in v] for v in (p, q))
    a, b = ([x / sum(v) for x in v] for v in (a, b))
    w1, flow = Fraction(0), Fraction(0)
    for i in range(n - 1):
        flow += a[i] - b[i]
        w1 += abs(flow) * Fraction(float(points[i + 1] - points[i]))
    assert Fraction(result.w1.lower) <= w1
    assert result.w1.upper == math.inf
    exact = sum((x - y) * Fraction(float(v)) for x, y, v in zip(a, b, f, strict=True))
    assert result.value == pytest.approx(float(exact), rel=1e-12, abs=1e-13)
    slopes = [
        abs(Fraction(float(f[i])) - Fraction(float(f[j]))) / Fraction(float(points[j] - points[i]))
        for i in range(n)
        for j in range(i + 1, n)
    ]
    assert max(slopes, default=Fraction(0)) <= Fraction(result.lipschitz_constant)
    # The error of the sum is at most 4 gamma(n + 8) times 2 max|f| <= 1e-13.
    if exact > 1e-9 and slopes:
        assert result.w1.lower >= float(exact / max(slopes)) * (1 - 1e-4 * 1e-8) - 1e-12


def test_the_optimal_critic_attains_w1_and_a_steep_one_claims_no_more():
    d = [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    p, q = [1, 0, 0], [0, 0, 1]
    for scale in (1.0, 7.0, 1e-200, 1e200):
        result = critic_value(p, q, np.array([2.0, 1.0, 0.0]) * scale, d)
        assert result.value == 2.0 * scale
        assert 2.0 * (1 - 1e-13) <= result.w1.lower <= 2.0


@pytest.mark.parametrize("f", [[1.0, 1.0, 1.0], [0.0, 1.0, 2.0], [1e308, 0.0, -1e308]])
def test_a_useless_critic_has_the_bound_zero(f):
    d = [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert critic_value([1, 0, 0], [0, 0, 1], f, d).w1.lower == 0.0


@pytest.mark.parametrize(
    ("distances", "text"),
    [
        ([[0, 1], [2, 0]], "must be symmetric, but differ from their transpose by 1"),
        ([[0, -1], [-1, 0]], "must be finite and nonnegative"),
        ([[0, math.nan], [math.nan, 0]], "must be finite"),
        ([[1, 1], [1, 0]], "must be 0 on the diagonal, got 1"),
        ([[0, 1, 1]], r"must have shape \(2, 2\), got \(1, 3\)"),
    ],
)
def test_distances_that_are_none_are_refused(distances, text):
    with pytest.raises(ValueError, match=text):
        critic_value([1, 0], [0, 1], [0.0, 1.0], distances)


# ---- generator losses ----------------------------------------------------------------------------
def path(t: float) -> np.ndarray:
    """Distributions along a curve, and the derivative by an exact formula below."""
    w = np.array([math.exp(t), math.exp(-2 * t), 1.0])
    return w / w.sum()


def velocity(t: float) -> np.ndarray:
    q = path(t)
    logs = np.array([1.0, -2.0, 0.0])
    return q * (logs - q @ logs)


@pytest.mark.parametrize("t", [-1.0, 0.2, 1.5])
def test_with_frozen_discriminator_the_gradients_are_those_of_the_divergences(t):
    p, q, dq = np.array([0.6, 0.3, 0.1]), path(t), velocity(t)
    D = optimal_discriminator(p, q)
    h = 1e-5

    def slope(function):  # type: ignore[no-untyped-def]
        return (function(path(t + h)) - function(path(t - h))) / (2 * h)

    # Central differences err by h^2 / 6 times a third derivative of order one, and 1e-16 / h.
    two_js = slope(lambda x: 2 * js(p, x))
    reverse = slope(lambda x: kl(x, p) - 2 * js(x, p))
    assert saturating_gradient(D) @ dq == pytest.approx(two_js, abs=1e-8)
    assert nonsaturating_gradient(D) @ dq == pytest.approx(reverse, abs=1e-8)
    # The same with D frozen in the losses themselves.
    assert saturating_gradient(D) @ dq == pytest.approx(
        slope(lambda x: saturating_loss(x, D)), abs=1e-8
    )
    assert nonsaturating_gradient(D) @ dq == pytest.approx(
        slope(lambda x: nonsaturating_loss(x, D)), abs=1e-8
    )


def test_the_values_of_the_nonsaturating_loss_are_not_those_of_the_divergence():
    p, q = np.array([0.6, 0.3, 0.1]), path(0.2)
    D = optimal_discriminator(p, q)
    assert abs(nonsaturating_loss(q, D) - (kl(q, p) - 2 * js(p, q))) > 0.1


def test_losses_at_the_ends_are_infinite_where_there_is_mass_only():
    assert saturating_loss([1.0, 0.0], [1.0, 1.0]) == -math.inf
    assert nonsaturating_loss([1.0, 0.0], [0.0, 0.0]) == math.inf
    assert nonsaturating_loss([1.0, 0.0], [1.0, 0.0]) == 0.0
    np.testing.assert_array_equal(saturating_gradient([1.0, 0.0]), [-math.inf, 0.0])
