"""Training and validation loss of a critic: their means, a run where they part, and by how much."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from tests.identities import check_identity

proves = pytest.mark.proves


# ---- means over training and validation data -----------------------------------------------------
def check_mean(seen, expected):
    """One training sample from two points with masses p, q; critics a, b if it is the first point,
    c, d if the second (values at the first and at the second); a perfect generator.

    ``seen(critic, i, j)``: its value at the real sample it is judged on, i the training sample
    and j a fresh one. Times ``(p + q)^3``, to be homogeneous.
    """

    def gain(p, q, a, b, c, d):
        total = 0 * p
        for (i, m), (j, n) in itertools.product(enumerate((p, q)), repeat=2):
            critic = ((a, b), (c, d))[i]
            generated = p * critic[0] + q * critic[1]
            total = total + m * n * (seen(critic, i, j) * (p + q) - generated)
        return total

    check_identity(gain, expected)


def check_unfitted(reads):
    """A critic a, b that does not look at the training sample, on training or fresh data."""
    check_identity(
        lambda p, q, a, b: sum(
            m * n * ((a, b)[(i, j)[reads]] * (p + q) - (p * a + q * b))
            for (i, m), (j, n) in itertools.product(enumerate((p, q)), repeat=2)
        ),
        lambda p, q, a, b: 0 * (p + q + a + b),
    )


CLAIM = "critic-loss-detects-overfitting"
ZERO = "W_1 of two laws is 0 if they are equal, and only then"


@proves(CLAIM, strength="identity", scope="a critic chosen before")
@pytest.mark.parametrize("reads", [0, 1])
def test_a_critic_chosen_before_gains_nothing_on_either_data(reads):
    check_unfitted(reads)
    check_mean(lambda critic, i, j: critic[j], lambda p, q, a, b, c, d: 0 * (p + q + a + b + c + d))


@proves(CLAIM, strength="identity", scope="validation", lemmas=("two points are as any law",))
def test_a_fitted_critic_gains_nothing_on_fresh_data():
    check_mean(lambda critic, i, j: critic[j], lambda p, q, a, b, c, d: 0 * (p + q + a + b + c + d))


@proves(CLAIM, strength="identity", scope="training", lemmas=("two points are as any law", ZERO))
def test_a_fitted_critic_gains_on_its_training_data():
    # p q ((a - b) + (d - c)) > 0: the best critics at distance r have a - b = d - c = r.
    check_mean(
        lambda critic, i, j: critic[i],
        lambda p, q, a, b, c, d: p * q * ((a - b) + (d - c)) * (p + q),
    )


@proves(CLAIM, role="must_fail")
def test_a_fitted_critic_does_not_gain_nothing_on_its_training_data():
    check_mean(lambda critic, i, j: critic[i], lambda p, q, a, b, c, d: 0 * (p + q + a + b + c + d))


# ---- a run ---------------------------------------------------------------------------------------
def run(imbalance, second_input, steps=100):
    """WGAN-GP on the plane, in balls: by how much the training loss exceeds the other, and that.

    Data (0, s) with s = 1 or -1, a fair coin; training samples with the mean ``imbalance`` of s.
    Samples (-u, s), critic ``a x + b s``, which gains ``a u + b imbalance`` on the training data
    and ``a u`` on fresh ones; its gradient is (a, b) everywhere. Simultaneous steps.
    """
    from flint import arb, ctx

    digits, ctx.prec = ctx.prec, 400
    try:
        weight, fast, slow = 10, arb(1) / 50, arb(1) / 200
        a, b, u = arb(1), arb(0), arb(1) / 2
        losses = []
        for _ in range(steps):
            losses.append((b * imbalance, a * u))
            norm = (a * a + b * b).sqrt()
            pull = 2 * weight * (1 - 1 / norm)
            a, b, u = (
                a + fast * (u - pull * a),
                b + second_input * fast * (imbalance - pull * b),
                u - slow * a,
            )
        return losses
    finally:
        ctx.prec = digits


def check_run(losses):
    training = [excess + fresh for excess, fresh in losses]
    assert all(x < y for x, y in itertools.pairwise(training))
    assert all(x[1] > y[1] for x, y in itertools.pairwise(losses))
    return training


RUN = "train-loss-rises-validation-drops"


@proves(RUN, strength="enclosure")
def test_two_equal_samples_of_a_coin_drive_the_two_losses_apart():
    losses = run(imbalance=1, second_input=1)
    training = check_run(losses)
    assert training[0] == losses[0][1] == 0.5
    assert training[-1] > 0.99
    assert losses[-1][1] < 0.08


@proves(RUN, role="must_fail")
def test_a_balanced_training_set_does_not():
    check_run(run(imbalance=0, second_input=1))


@proves(RUN, strength="enclosure", role="needs_hypothesis", hypothesis="little-data")
def test_without_an_imbalance_the_two_losses_are_one():
    assert all(excess == 0 for excess, _ in run(imbalance=0, second_input=1))


@proves(RUN, strength="enclosure", role="needs_hypothesis", hypothesis="capacity")
def test_a_critic_that_does_not_see_the_coin_has_one_loss():
    assert all(excess == 0 for excess, _ in run(imbalance=1, second_input=0))


# ---- the distance of a sample --------------------------------------------------------------------
def check_deviation(factor):
    """``E |K - n t| = factor m C(n, m) t^m s^(n - m + 1)`` for m - 1 <= n t <= m, s = 1 - t.

    The mean of K - n t is 0, so that E |K - n t| is twice its mean over K >= m; with
    ``k - n t = k s - (n - k) t`` that sum telescopes.
    """
    for n in range(1, 7):
        for m in range(1, n + 1):
            check_identity(
                lambda t, s: sum(
                    2 * (k * s - (n - k) * t) * math.comb(n, k) * t**k * s ** (n - k)  # noqa: B023
                    for k in range(m, n + 1)  # noqa: B023
                ),
                lambda t, s: factor * m * math.comb(n, m) * t**m * s ** (n - m + 1),  # noqa: B023
            )


def expected_distance(n):
    """The formula, integrated in fractions."""
    total = Fraction(0)
    for m in range(1, n + 1):
        low, high = Fraction(m - 1, n), Fraction(m, n)
        integral = sum(
            (-1) ** j * math.comb(n - m + 1, j) * (high**e - low**e) / e
            for j in range(n - m + 2)
            for e in [m + j + 1]
        )
        total += 2 * m * math.comb(n, m) * integral
    return total / n


SAMPLE = "distance-of-a-uniform-sample"


@proves(
    SAMPLE,
    strength="identity",
    lemmas=(
        "n F_n(t) is binomial(n, t)",
        "expectation and integral are exchanged (Tonelli)",
        "(k + 1) C(n, k + 1) = (n - k) C(n, k), which makes the sum telescope for every n",
    ),
)
def test_the_mean_deviation_of_a_binomial_number_telescopes():
    check_deviation(2)


@proves(SAMPLE, role="must_fail")
def test_one_side_of_the_deviation_is_half_of_it():
    check_deviation(1)


@proves(SAMPLE, strength="certificate", role="supports")
def test_exact_means_of_small_samples_and_the_asymptotic_one():
    # n = 1: the mean of t^2/2 + (1 - t)^2/2; and the Brownian bridge's mean for many samples.
    assert [expected_distance(n) for n in (1, 2, 3)] == [
        Fraction(1, 3),
        Fraction(11, 48),
        Fraction(5, 27),
    ]
    for n in (25, 64):
        bridge = math.pi / 8 * math.sqrt(2 / (math.pi * n))
        assert 1 < float(expected_distance(n)) / bridge < 1 + 1 / n


@proves(SAMPLE, strength="tested", role="conforms")
def test_the_distance_of_simulated_samples_has_this_mean():
    # Means of 4000 distances in [0, 1], each with a deviation below 0.02: six deviations of the
    # mean are 0.002, here of a fixed seed.
    rng = np.random.default_rng([81, 25])
    samples = np.sort(rng.random((4000, 25)), axis=1)
    edges = np.arange(26) / 25
    # The cost of moving [k/n, (k+1)/n] to the k-th sample x: the integral of |t - x|.
    low, high = edges[:-1] - samples, edges[1:] - samples
    costs = (high * np.abs(high) - low * np.abs(low)) / 2
    assert abs(costs.sum(axis=1).mean() - float(expected_distance(25))) < 0.002
