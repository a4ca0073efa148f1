"""The shipped objectives and measures compute what the claims say: exact answers beside them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from gan_core.objectives import OBJECTIVES
from tests.logarithms import LogSum, exact_js, exact_log

proves = pytest.mark.proves

EPS = 2.0**-52


def random_laws(seed):
    """Two laws with masses k / 64, exact in binary."""
    rng = np.random.default_rng([55, seed])
    n = int(rng.integers(2, 9))
    laws = 1 + rng.multinomial(64 - n, np.ones(n) / n, size=2)
    return [[Fraction(int(k), 64) for k in law] for law in laws]


def floats(*laws):
    return [np.array(law, dtype=float) for law in laws]


@proves("optimal-discriminator-formula", strength="tested", role="conforms")
@pytest.mark.parametrize("seed", range(10))
def test_the_optimal_logits_and_probabilities_are_the_share_of_the_data(seed):
    from divergences.variational import optimal_discriminator

    p, q = random_laws(seed)
    share = np.array([float(a / (a + b)) for a, b in zip(p, q, strict=True)])
    logits = OBJECTIVES["minimax"].optimal_critic(*floats(p, q))
    # Two logarithms, an exponential and a quotient, of logits below log 64 in size.
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), share, rtol=32 * EPS)
    np.testing.assert_allclose(optimal_discriminator(*floats(p, q)), share, rtol=4 * EPS)


@proves("undertrained-discriminator-underestimates-jsd", strength="tested", role="conforms")
@pytest.mark.parametrize("seed", range(10))
def test_the_shipped_gap_is_what_the_value_lacks(seed):
    from divergences.variational import gan_value_gap

    p, q = random_laws(seed)
    rng = np.random.default_rng([252, seed])
    D = [Fraction(int(k), 32) for k in rng.integers(1, 32, size=len(p))]
    value = sum(
        (a * exact_log(d) + b * exact_log(1 - d) for a, b, d in zip(p, q, D, strict=True)),
        LogSum(),
    )
    gap = float((2 * exact_js(p, q) - exact_log(4) - value).ball())
    # Sixteen terms below 2 log 64 or so, each with a few roundings.
    assert abs(gan_value_gap(*floats(p, q, D)) - gap) <= 512 * EPS


@proves("optimal-discriminator-loss-is-jsd", strength="tested", role="conforms")
@pytest.mark.parametrize("seed", range(10))
def test_the_shipped_estimate_recovers_the_jsd_from_the_least_loss(seed):
    from gan_core.measures import jensen_shannon_estimate

    p, q = random_laws(seed)
    loss = OBJECTIVES["nonsaturating"].optimal_loss(*floats(p, q))
    exact = float(exact_js(p, q).ball())
    assert abs(float(jensen_shannon_estimate(loss)) - exact) <= 256 * EPS


@proves("gan-global-optimum", strength="tested", role="conforms")
@pytest.mark.parametrize("seed", range(10))
def test_the_least_loss_is_largest_between_equal_laws(seed):
    p, q = floats(*random_laws(seed))
    optimal = OBJECTIVES["minimax"].optimal_loss
    assert math.isclose(optimal(p, p), math.log(4), rel_tol=64 * EPS)
    assert np.array_equal(p, q) or optimal(p, q) < math.log(4)


@proves("wgan-objective", strength="tested", role="conforms")
def test_the_shipped_losses_of_a_wgan_are_minus_the_gain_and_minus_the_opinion():
    import torch

    real, fake = torch.tensor([[3.0, 1.0]]), torch.tensor([[-1.0, 0.5]])
    shipped = OBJECTIVES["wgan"]
    assert float(shipped.critic_loss(real, fake)) == -(2.0 - -0.25)
    assert float(shipped.generator_loss(fake)) == 0.25
    # A constant added to the critic cancels in its loss.
    assert torch.equal(shipped.critic_loss(real + 7, fake + 7), shipped.critic_loss(real, fake))


@proves("critic-loss-detects-overfitting", strength="tested", role="conforms")
def test_the_shipped_gap_is_the_gain_on_training_less_that_on_validation_data():
    import torch

    from gan_core.measures import overfitting_gap

    training, validation = torch.tensor([[3.0, 1.0]]), torch.tensor([[0.5, 0.0, 1.0]])
    assert overfitting_gap(training, validation).tolist() == [1.5]
