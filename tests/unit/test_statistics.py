"""Statistical tests keep their error rates, see what they promise to see, and say so."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evidence import statistics as st

LEVEL = {"alpha": 0.05, "power": 0.9}


def rate_is_at_most(hits, n, level):
    """Whether the hits are compatible with a probability of ``level``: mean plus 5 deviations."""
    return hits <= n * level + 5 * math.sqrt(n * level * (1 - level)) + 1


# ---- the mean of a bounded variable --------------------------------------------------------------
def two_values(rng, p, shape):
    return (rng.random(shape) < p).astype(float)


@pytest.mark.parametrize("p", [0.5, 0.1, 0.02])
def test_betting_refutes_a_true_mean_no_more_often_than_alpha(p):
    n = st.bounded_mean_size(0.1, 0, 1, **LEVEL)
    runs = two_values(np.random.default_rng(1), p, (1000, n))
    hits = sum(st.bounded_mean_test(x, p, 0, 1, delta=0.1, **LEVEL).refuted for x in runs)
    assert rate_is_at_most(hits, 1000, 0.05)


@pytest.mark.parametrize("shift", [-0.1, 0.1])
@pytest.mark.parametrize("mean", [0.5, 0.25])
def test_betting_sees_a_deviation_of_delta_with_the_stated_power(mean, shift):
    # Two values at the ends of the interval: the largest variance.
    n = st.bounded_mean_size(0.1, 0, 1, **LEVEL)
    runs = two_values(np.random.default_rng(2), mean + shift, (500, n))
    missed = sum(not st.bounded_mean_test(x, mean, 0, 1, delta=0.1, **LEVEL).refuted for x in runs)
    assert rate_is_at_most(missed, 500, 0.1)


def test_betting_adapts_to_a_small_variance():
    x = 0.5 + 0.001 * np.random.default_rng(3).uniform(-1, 1, 2000)
    result = st.bounded_mean_test(x + 0.05, 0.5, 0, 1, delta=0.2, alpha=1e-9, power=0.999)
    assert result.refuted  # a quarter of what the worst variance allows to see


def test_betting_is_about_the_interval_and_not_about_its_unit():
    x = np.random.default_rng(4).random(3000)
    one = st.bounded_mean_test(x, 0.55, 0, 1, delta=0.1)
    other = st.bounded_mean_test(200 * x - 100, 10.0, -100, 100, delta=20.0)
    assert abs(one.surprise - other.surprise) <= 1e-8 * abs(one.surprise)


def test_a_sample_outside_the_declared_interval_refutes():
    x = np.full(3000, 0.5)
    x[7] = 1.5
    result = st.bounded_mean_test(x, 0.5, 0, 1, delta=0.1)
    assert result.refuted
    assert result.surprise == math.inf
    assert "left" in result.law


def test_chunks_do_not_change_the_capital(monkeypatch):
    from evidence import betting

    x = np.random.default_rng(5).random(3000)
    whole = st.bounded_mean_test(x, 0.52, 0, 1, delta=0.1).surprise
    monkeypatch.setattr(betting, "_CHUNK", 7)
    assert abs(st.bounded_mean_test(x, 0.52, 0, 1, delta=0.1).surprise - whole) <= 1e-9


# ---- a distribution ------------------------------------------------------------------------------
def uniform(t):
    return np.clip(t, 0, 1)


def test_the_distribution_test_refutes_a_true_law_no_more_often_than_alpha():
    n = st.distribution_size(0.1, **LEVEL)
    runs = np.random.default_rng(6).random((1000, n))
    hits = sum(st.distribution_test(x, uniform, delta=0.1, **LEVEL).refuted for x in runs)
    assert rate_is_at_most(hits, 1000, 0.05)


def test_the_distribution_test_sees_a_distance_of_delta():
    n = st.distribution_size(0.1, **LEVEL)
    runs = np.random.default_rng(7).random((300, n))

    def shifted(t):  # at distance 0.1 from the uniform law
        return np.clip(t + 0.1, 0, 1) * (t >= 0)

    missed = sum(not st.distribution_test(x, shifted, delta=0.1, **LEVEL).refuted for x in runs)
    assert rate_is_at_most(missed, 300, 0.1)


def test_atoms_are_compared_from_both_sides():
    n = st.distribution_size(0.1, **LEVEL)
    x = np.random.default_rng(8).integers(0, 2, n).astype(float)

    def coin(t):
        return 0.5 * (t >= 0) + 0.5 * (t >= 1)

    assert not st.distribution_test(x, coin, delta=0.1, **LEVEL).refuted
    assert st.distribution_test(x, uniform, delta=0.1, **LEVEL).refuted


# ---- a probability -------------------------------------------------------------------------------
@pytest.mark.parametrize("p", [0.5, 0.03])
def test_the_binomial_test_has_its_exact_size_and_power(p):
    from scipy.stats import binom

    n = st.probability_size(p, 0.02, alpha=0.01, power=0.95)
    counts = np.arange(n + 1)
    refuted = np.array([st.probability_test(int(k), n, p, alpha=0.01).refuted for k in counts])
    assert binom.pmf(counts, n, p)[refuted].sum() <= 0.01
    for q in (p - 0.02, p + 0.02):
        assert binom.pmf(counts, n, q)[refuted].sum() >= 0.95


def test_the_binomial_size_is_below_hoeffdings():
    n = st.probability_size(0.5, 0.01)
    assert n <= (math.sqrt(math.log(2e9)) + math.sqrt(math.log(1e3))) ** 2 / 2e-4 + 2


def test_the_interval_covers_with_its_confidence():
    from scipy.stats import binom

    for n, p in [(20, 0.3), (50, 0.9), (7, 0.5)]:
        inside = 0.0
        for k in range(n + 1):
            interval = st.probability_interval(k, n, alpha=0.1)
            inside += binom.pmf(k, n, p) * (interval.lower <= p <= interval.upper)
        assert inside >= 0.9


def test_197_successes_show_a_rate_of_nine_tenths():
    n = st.all_successes_size(0.9)
    assert n == 197
    assert 0.9**n <= 1e-9 < 0.9 ** (n - 1)
    # The two-sided interval needs alpha / 2 on this side.
    assert st.probability_interval(n, n, alpha=2e-9).lower >= 0.9


def test_an_impossible_count_is_a_surprise_without_bound():
    result = st.probability_test(0, 10**6, 0.5)
    assert result.refuted
    assert result.surprise > 1e5


# ---- two groups ----------------------------------------------------------------------------------
def test_permutations_refute_equal_laws_no_more_often_than_alpha():
    rng = np.random.default_rng(9)
    hits = 0
    for _ in range(400):
        x, y = rng.integers(0, 3, 6).astype(float), rng.integers(0, 3, 5).astype(float)
        hits += st.permutation_test(x, y, rng=rng, alpha=0.1, permutations=99).refuted
    assert rate_is_at_most(hits, 400, 0.1)


def test_small_groups_are_regrouped_in_every_way():
    rng = np.random.default_rng(10)
    result = st.permutation_test([1.0, 2.0, 3.0], [7.0, 8.0, 9.0], rng=rng, alpha=0.1)
    # C(6, 3) = 20 regroupings, of which the observed one and its mirror image are as far apart.
    assert abs(result.surprise - math.log10(10)) <= 1e-12
    assert result.refuted
    assert result.law == "20 regroupings"


def test_far_groups_are_told_apart():
    rng = np.random.default_rng(11)
    x = rng.standard_normal(30)
    assert st.permutation_test(x, x + 3, rng=rng, alpha=1e-3, permutations=1999).refuted
    assert not st.permutation_test(x, x[::-1], rng=rng, alpha=1e-3, permutations=1999).refuted


# ---- policy --------------------------------------------------------------------------------------
def test_a_thousand_claims_spend_one_in_a_million():
    result = st.probability_test(5, 10, 0.5)
    assert result.alpha == st.CLAIM_ALPHA
    assert abs(st.total_alpha([result] * st.SLOTS) - st.SUITE_ALPHA) <= 1e-20


def test_streams_depend_on_the_claim_and_the_seed_only():
    draws = {
        (name, seed): st.claim_stream(name, seed).random()
        for name in ("kr-duality", "prop-1")
        for seed in (0, 1)
    }
    assert len(set(draws.values())) == 4
    assert st.claim_stream("prop-1", 1).random() == draws["prop-1", 1]


def test_results_state_what_would_have_been_seen():
    n = st.probability_size(0.5, 0.1)
    text = str(st.probability_test(n // 2, n, 0.5, delta=0.1))
    assert "not refuted at alpha = 1e-09" in text
    assert "would have seen 0.1 with probability 0.999" in text


# ---- bad input -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: st.bounded_mean_test([0.5], 0.5, 0, 1, delta=0.1), "must hold at least 2687"),
        (lambda: st.bounded_mean_test([0.5], 1.5, 0, 1, delta=0.1), "`mean` must lie between"),
        (lambda: st.bounded_mean_size(0.1, 1, 0), "`low` must be below `high`"),
        (lambda: st.bounded_mean_size(0.0, 0, 1), "`delta` must be positive"),
        (lambda: st.bounded_mean_size(0.1, 0, 1, alpha=0.0), "`alpha` must be a probability"),
        (lambda: st.distribution_test([0.5], uniform, delta=0.1), "must hold at least"),
        (
            lambda: st.distribution_test(np.zeros(9), lambda t: 2 + t, delta=0.9, **LEVEL),
            "`cdf` must map an array to probabilities",
        ),
        (
            lambda: st.distribution_test(np.arange(9) / 9, lambda t: 1 - t, delta=0.9, **LEVEL),
            "`cdf` must",
        ),
        (lambda: st.probability_test(3, 2, 0.5), "`successes` must be at most"),
        (lambda: st.probability_test(1, 2, 1.0), "`p` must be a probability"),
        (lambda: st.probability_test(1, 2, 0.5, delta=0.1), "`n` = 2 trials do not see"),
        (lambda: st.probability_size(0.5, 0.7), "`delta` = 0.7 leaves no probability"),
        (lambda: st.claim_stream(""), "`claim_id` must be the id of a claim"),
        (
            lambda: st.permutation_test([1.0], [2.0], rng=np.random.default_rng(0), alpha=0.01),
            "`alpha` = 0.01 cannot be reached by 2 regroupings",
        ),
        (lambda: st.permutation_test([1.0], [2.0], rng=0, alpha=0.5), "`rng` must be"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
