"""The shipped divergences and transport costs against the curriculum's and the slides' claims."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from divergences.discrete import js, kl, total_variation
from divergences.gaussian import kl_gaussians
from divergences.transport import optimal_transport
from divergences.transport1d import w1_cumulative
from divergences.variational import critic_value, optimal_discriminator
from tests.logarithms import LogSum, exact_js, exact_kl, exact_log

proves = pytest.mark.proves

# What the package promises for masses that are exact in binary, with room for the sums here.
RELATIVE_ERROR = 1e-12
SEEDS = pytest.mark.parametrize("seed", range(10))
QUARTERS = tuple(Fraction(k, 4) for k in range(5))


def near(value, exact, scale=None):
    """Whether a float is within the promised error, relative to ``scale``, of an exact number."""
    slack = Fraction(RELATIVE_ERROR) * (exact if scale is None else scale)
    return exact - slack <= Fraction(value) <= exact + slack


def laws(seed):
    """Two laws on five points with positive masses k / 1024."""
    rng = np.random.default_rng([204, seed])
    counts = 1 + rng.multinomial(1019, rng.dirichlet(np.ones(5)), size=2)
    return [[Fraction(int(k), 1024) for k in row] for row in counts]


def floats(law):
    return [float(mass) for mass in law]


# ---- the exercises of the curriculum -------------------------------------------------------------
@proves("emd-kld-exercise-group-1", strength="tested", role="conforms")
def test_first_exercise():
    _, low, half, high, _ = QUARTERS
    P, Q, R = (half, half), (high, low), (low, high)
    pairs = [(P, Q), (Q, P), (P, P), (P, R), (Q, R)]
    assert [w1_cumulative(p, q).value for p, q in pairs] == [low, low, 0, low, half]
    assert all(near(kl(floats(p), floats(q)), exact_kl(p, q)) for p, q in pairs)


@proves("emd-kld-exercise-group-2", strength="tested", role="conforms")
def test_second_exercise():
    half, third = Fraction(1, 2), Fraction(1, 3)
    P, Q, S = (half, half, 0, 0), (third, third, third, 0), (0, 0, half, half)
    assert [w1_cumulative(p, q).value for p, q in ((P, Q), (Q, P), (P, S))] == [half, half, 2]
    assert kl(floats(Q), floats(P)) == kl(floats(P), floats(S)) == math.inf
    assert near(kl(floats(P), floats(Q)), exact_log(Fraction(3, 2)))


@proves("emd-exercise-group-3", strength="tested", role="conforms")
def test_third_exercise():
    _, low, _, high, _ = QUARTERS
    P, Q, R, S = (low, high, 0, 0), (0, high, low, 0), (0, low, high, 0), (0, 0, low, high)
    pairs = [(P, Q), (P, R), (Q, R), (P, S), (R, S)]
    half = Fraction(1, 2)
    assert [w1_cumulative(p, q).value for p, q in pairs] == [half, 1, half, 2, 1]


@proves("dfl-q-not-normalised", strength="tested", role="conforms")
def test_masses_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match="must sum to 1"):
        kl([0.5, 0.5, 0.0], [0.33, 0.33, 0.33])
    with pytest.raises(ValueError, match="sum"):
        optimal_transport([0, 1, 2], [0, 1, 2], [0.5, 0.5, 0.0], [0.33, 0.33, 0.33])


@proves("gaussian-kl-closed-form", strength="tested", role="conforms")
@SEEDS
def test_gaussians_on_the_line(seed):
    m1, m2, s1, s2 = (
        Fraction(int(k), 8) for k in np.random.default_rng([205, seed]).integers(1, 40, 4)
    )
    exact = exact_log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - Fraction(1, 2)
    value = kl_gaussians(float(m1), float(s1**2), float(m2), float(s2**2))
    assert near(value, exact, scale=1 + exact)


# ---- KL and JS -----------------------------------------------------------------------------------
@proves("mackay-2-26-gibbs", strength="tested", role="conforms")
@proves("kl-zero-iff-equal", strength="tested", role="conforms")
@SEEDS
def test_kl_vanishes_for_equal_laws_only(seed):
    p = floats(laws(seed)[0])
    moved = [p[0] + 2.0**-40, p[1] - 2.0**-40, *p[2:]]
    assert kl(p, p) == 0
    assert kl(p, moved) > 0


@proves("js-separated-supports", strength="tested", role="conforms")
@proves("kld-jsd-saturate-on-low-dim-manifolds", strength="tested", role="conforms")
@SEEDS
def test_separated_laws_saturate(seed):
    p, q = (floats(law) for law in laws(seed))
    value = js([*p, *[0.0] * 5], [*[0.0] * 5, *q])
    assert near(value, exact_log(2))
    assert value <= math.log(2)
    assert kl([*p, *[0.0] * 5], [*[0.0] * 5, *q]) == math.inf


@proves("kld-not-symmetric-not-metric", strength="tested", role="conforms")
def test_the_detour_by_the_middle_is_half_as_long():
    P, Q, R = [0.5, 0.5], [0.75, 0.25], [0.25, 0.75]
    assert near(kl(Q, R), exact_log(3) * Fraction(1, 2))
    assert near(kl(Q, P) + kl(P, R), exact_log(3) * Fraction(1, 4))


@proves("kl-minus-2js-is-a-divergence", strength="tested", role="conforms")
@SEEDS
def test_kl_minus_twice_js_is_twice_the_divergence_of_the_midpoint(seed):
    p_g, p_r = laws(seed)
    middle = [(a + b) / 2 for a, b in zip(p_g, p_r, strict=True)]
    exact = 2 * exact_kl(middle, p_r)
    assert exact == exact_kl(p_g, p_r) - 2 * exact_js(p_g, p_r)
    difference = kl(floats(p_g), floats(p_r)) - 2 * js(floats(p_g), floats(p_r))
    assert near(difference, exact, scale=exact_kl(p_g, p_r))
    assert near(2 * kl(floats(middle), floats(p_r)), exact)


@proves("kl-as-expected-logit", strength="tested", role="conforms")
@SEEDS
def test_kl_is_the_mean_logit_of_the_optimal_discriminator(seed):
    p_g, p_r = (np.array(floats(law)) for law in laws(seed))
    D = optimal_discriminator(p_r, p_g)
    exact = exact_kl(*laws(seed))
    # Each logit has an absolute error of a few roundings, and of the size of the logarithms.
    assert near(float(np.sum(p_g * np.log((1 - D) / D))), exact, scale=1 + exact)


@proves("tv-jsd-pinsker", strength="tested", role="conforms")
@SEEDS
def test_total_variation_and_js_bound_each_other(seed):
    p, q = (floats(law) for law in laws(seed))
    tv, divergence = total_variation(p, q), js(p, q)
    assert tv**2 <= 2 * divergence * (1 + RELATIVE_ERROR)
    assert divergence <= math.log(2) * tv * (1 + RELATIVE_ERROR)


# ---- transport -----------------------------------------------------------------------------------
@proves("gamma-tables-1-1-2-3-3-6", strength="tested", role="conforms")
def test_two_boxes_move_by_the_first_plan():
    found = optimal_transport([3, 7], [4, 6])
    assert (found.value, found.gap) == (1, 0)
    assert found.plan.tolist() == [[0.5, 0], [0, 0.5]]


@proves("emd-is-the-amount-of-dirt", strength="tested", role="conforms")
def test_the_distance_counts_the_way():
    assert optimal_transport([0], [2]).value == 2
    assert total_variation([1, 0], [0, 1]) == 1


@proves("w1-is-an-ipm", strength="tested", role="conforms")
@proves("kr-duality-with-k", strength="tested", role="conforms")
@SEEDS
def test_the_critic_of_a_plan_reaches_its_cost(seed):
    points = np.random.default_rng([206, seed]).integers(-8, 9, (5, 2)) * 1.0
    points[:, 0] += 100 * np.arange(5)
    p, q = (floats(law) for law in laws(seed))
    found = optimal_transport(points, points, p, q)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    for K in (1, 3):
        critic = critic_value(p, q, K * found.critic(points), distances)
        assert critic.value == pytest.approx(K * found.value, rel=1e-11)
        assert critic.lipschitz_constant == pytest.approx(K, rel=1e-11)


@proves("w1-bounded-by-diameter-times-tv", strength="tested", role="conforms")
@SEEDS
def test_the_cost_is_at_most_the_diameter_times_total_variation(seed):
    p, q = laws(seed)
    assert w1_cumulative(p, q).value <= 4 * sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


def test_a_wrong_number_is_not_near():
    assert not near(0.1438411, exact_log(2) - exact_log(3) * Fraction(1, 2))
    assert near(0.0, LogSum())
