"""Estimates from samples: exact small cases, consistency, bands that cover, refusals."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from divergences.estimation import kl_nearest_neighbours, w1_dkw_band, w1_plug_in

EPS = float(np.finfo(np.float64).eps)


# ---- KL by nearest neighbours -------------------------------------------------------------------
def by_definition(x: Any, y: Any, k: int) -> float:
    """The estimator of Wang, Kulkarni and Verdu, with loops."""
    n, m, d = len(x), len(y), x.shape[1]
    total = 0.0
    for i in range(n):
        rho = sorted(math.dist(x[i], x[j]) for j in range(n) if j != i)[k - 1]
        nu = sorted(math.dist(x[i], z) for z in y)[k - 1]
        total += math.log(nu / rho)
    return d * total / n + math.log(m / (n - 1))


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_estimator_is_the_published_formula(d: int, k: int) -> None:
    rng = np.random.default_rng([d, k])
    x, y = rng.normal(size=(30, d)), rng.normal(size=(20, d)) + 1
    expected = by_definition(x, y, k)
    # 30 logarithms of sums of d squares, and their mean.
    assert kl_nearest_neighbours(x, y, neighbours=k) == pytest.approx(expected, abs=200 * EPS)


def test_the_error_falls_with_the_sample_size() -> None:
    exact = math.log(2.0) - 0.25
    rng = np.random.default_rng(1)
    errors = []
    for n in (100, 30_000):
        runs = [
            kl_nearest_neighbours(rng.normal(0, 1, n), rng.normal(1, 2, n), neighbours=5)
            for _ in range(8)
        ]
        errors.append(float(np.sqrt(np.mean((np.array(runs) - exact) ** 2))))
    assert errors[1] < 0.2 * errors[0]


def test_a_large_divergence_is_underestimated() -> None:
    # KL = 1250: no sample of 1000 can show that.
    rng = np.random.default_rng(2)
    assert kl_nearest_neighbours(rng.normal(0, 1, 1000), rng.normal(50, 1, 1000)) < 20.0


@pytest.mark.parametrize(
    ("x", "y", "k", "words"),
    [
        ([0.0, 0.0, 1.0], [2.0, 3.0], 1, "`x` has 2 distances of 0"),
        ([0.0, 1.0, 3.0], [3.0, 4.0], 1, "`y` has 1 distances of 0"),
        ([0.0], [1.0], 1, "`x` must hold at least 2"),
        ([0.0, 1.0], [1.5], 2, "`x` must hold at least 3"),
        ([0.0, 1.0, 2.0], [1.5], 2, "`y` must hold at least 2"),
        ([[0.0, 1.0], [2.0, 3.0]], [1.0, 2.0], 1, "dimension 2"),
        ([0.0, 1.0], [math.nan], 1, "`y` must be finite"),
        ([], [1.0], 1, "`x` must not be empty"),
        ([0.0, 1.0], [2.0], 0, "`neighbours` must be at least 1"),
    ],
)
def test_what_the_estimator_cannot_use_is_one_sentence(x: Any, y: Any, k: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kl_nearest_neighbours(x, y, neighbours=k)


# ---- W1 of samples ------------------------------------------------------------------------------
def test_the_plug_in_is_the_mean_gap_of_order_statistics() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=1000), rng.normal(size=1000)
    expected = float(np.mean(np.abs(np.sort(x) - np.sort(y))))
    assert w1_plug_in(x, y).value == pytest.approx(expected, rel=2000 * EPS)


def test_the_average_plug_in_error_stays_below_the_bound() -> None:
    # P = Q = U(0, 1): J = int sqrt(u (1 - u)) du = pi / 8.
    rng = np.random.default_rng(4)
    n = 400
    runs = [w1_plug_in(rng.random(n), rng.random(n)) for _ in range(50)]
    bound = 2.0 * math.pi / 8.0 / math.sqrt(n)
    assert np.mean([run.value for run in runs]) < bound
    assert np.mean([run.expected_error for run in runs]) == pytest.approx(bound, rel=0.05)


def test_the_average_plug_in_is_too_large() -> None:
    rng = np.random.default_rng(5)
    assert np.mean([w1_plug_in(rng.random(20), rng.random(20)).value for _ in range(50)]) > 0.05


# ---- the band -----------------------------------------------------------------------------------
def test_the_band_covers_at_least_as_often_as_it_says() -> None:
    # W_1(U(0,1), U(0,1)^2) = 1/2 - 1/3. Coverage is in fact far above 1/2: with confidence 0.5, 200
    # runs would stay below 100 hits with probability at most 1/2 each; all but a few hit.
    rng = np.random.default_rng(6)
    exact = 1.0 / 6.0
    hits = sum(
        exact in w1_dkw_band(rng.random(50), rng.random(70) ** 2, confidence=0.5, support=(0, 1))
        for _ in range(200)
    )
    assert hits >= 190


def exact_band(x: list[float], y: list[float], r: Fraction, s: Fraction) -> tuple[Any, Any]:
    """Smallest and largest int |F - G| over the two bands on [0, 1], in fractions."""
    points = sorted({Fraction(0), Fraction(1), *map(Fraction, x), *map(Fraction, y)})
    low = high = Fraction(0)
    for a, b in itertools.pairwise(points):
        f = Fraction(sum(Fraction(v) <= a for v in x), len(x))
        g = Fraction(sum(Fraction(v) <= a for v in y), len(y))
        f0, f1 = max(f - r, 0), min(f + r, 1)
        g0, g1 = max(g - s, 0), min(g + s, 1)
        low += (b - a) * max(f0 - g1, g0 - f1, 0)
        high += (b - a) * max(f1 - g0, g1 - f0)
    return low, high


def test_the_band_contains_the_exact_band_after_rounding() -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        x, y = rng.random(40).tolist(), (rng.random(30) ** 4).tolist()
        band = w1_dkw_band(x, y, confidence=0.9, support=(0.0, 1.0))
        # The radius itself, to forty digits and then rounded down: the true one is larger.
        from mpmath import mp, mpf

        with mp.workdps(40):
            r, s = (
                Fraction(str(mp.sqrt(mp.log(4 / mpf("0.1")) / (2 * n)))) - Fraction(1, 10**35)
                for n in (40, 30)
            )
        low, high = exact_band(x, y, r, s)
        assert Fraction(band.lower) <= low
        assert Fraction(band.upper) >= high
        assert band.lower >= float(low) - 1e-13
        assert band.upper <= float(high) + 1e-13
        assert band.estimate in band


def test_without_a_support_only_the_lower_side_is_known() -> None:
    x = np.linspace(0.0, 1.0, 500)
    band = w1_dkw_band(x, x + 10.0)
    assert band.upper == math.inf
    assert 8.0 < band.lower < 10.0
    assert w1_dkw_band(x, x + 1e-3).lower == 0.0


def test_the_upper_side_never_exceeds_the_length_of_the_support() -> None:
    band = w1_dkw_band([0.0], [1.0], support=(0.0, 1.0))
    assert band.upper >= 1.0
    assert band.upper == pytest.approx(1.0, rel=4 * EPS)
    assert band.lower == 0.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"confidence": 0.0}, "`confidence`"),
        ({"confidence": 1.0}, "`confidence`"),
        ({"confidence": math.nan}, "`confidence`"),
        ({"confidence": True}, "`confidence`"),
        ({"support": (0.0, 0.5)}, "outside `support`"),
        ({"support": (0.5, 2.0)}, "outside `support`"),
        ({"support": (1.0, 0.0)}, "`support` must be two finite"),
        ({"support": (0.0, math.inf)}, "`support` must be two finite"),
        ({"x": [math.inf]}, "`x` must be finite"),
        ({"y": []}, "`y` must not be empty"),
        ({"y": [[1.0]]}, "`y` must have 1 dim"),
    ],
)
def test_what_the_band_cannot_use_is_one_sentence(arguments: dict[str, Any], words: str) -> None:
    good: dict[str, Any] = {"x": [0.25, 0.5], "y": [0.3, 1.0]}
    with pytest.raises(ValueError, match=words):
        w1_dkw_band(**{**good, **arguments})
