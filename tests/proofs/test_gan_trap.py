"""The simplest training runs of WGAN-GP: nearly all fail, and the loss does not tell.

Data at 0, samples at theta, the critic ``psi x``; with ``lambda = 10`` and steps of 1/20 the runs
have closed forms.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from tests.identities import check_nonnegative_combination

proves = pytest.mark.proves


# ---- every start of moderate size ----------------------------------------------------------------
def two_sided(weight, psi):
    """The derivative of ``weight (psi - 1)^2``, for psi > 0."""
    return 2 * weight * (psi - 1)


def one_sided(weight, psi):
    """The derivative of ``weight max(psi - 1, 0)^2`` for psi < 1."""
    return 0 * weight * psi


def check_cone(penalty):
    """Any number of critic steps, then a generator's, stay in the cone ``0 <= psi <= v``.

    ``v = 2 lambda - theta = s + psi``, ``lambda = 1 + m``, ``2 eta lambda <= 1``, so that eta < 1.
    A critic step leads into ``(1 + eta) psi <= v``, from where the generator's ``v - eta psi``
    leads back. So v falls, by eta psi: it converges and psi tends to 0. Since a critic step makes
    psi at least eta v, v tends to 0 as well: theta to 2 lambda.
    """

    def moved(eta, m, s, psi):
        theta = 2 * (1 + m) - (s + psi)
        return psi + eta * (-theta - penalty(1 + m, psi))

    check_nonnegative_combination(
        lambda eta, m, s, psi: moved(eta, m, s, psi) - eta * (s + psi),
        lambda eta, m, s, psi: [psi],
        lambda eta, m, s, psi: [1 - 2 * eta * (1 + m)],
    )
    check_nonnegative_combination(
        lambda eta, m, s, psi: (s + psi) - (1 + eta) * moved(eta, m, s, psi),
        lambda eta, m, s, psi: [s, 2 * eta * m * s, eta * s, psi * (2 * eta * m + eta**2)
                                + 2 * eta**2 * m * psi],
        lambda eta, m, s, psi: [1 - 2 * eta * (1 + m), 1, 1 - eta, 1],
    )  # fmt: skip
    check_nonnegative_combination(
        # t = v - (1 + eta) psi before the generator's step.
        lambda eta, t, psi: (t + (1 + eta) * psi - eta * psi) - psi,
        lambda eta, t, psi: [1],
        lambda eta, t, psi: [t],
    )


LEMMAS = (
    "bounded monotone sequences converge",
    "(theta, psi) -> (-theta, -psi) exchanges the two halves",
)
RARELY = "wgan-gp-rarely-fails-to-converge"


@proves(RARELY, strength="identity", role="refutes", lemmas=LEMMAS)
def test_every_start_of_moderate_size_ends_twice_lambda_away(record_witness):
    # |psi| <= 1 and |theta| <= 19 lie in the cone psi + theta <= 2 lambda = 20 or its mirror image.
    check_cone(two_sided)
    assert 1 + 19 <= 2 * 10
    record_witness(
        P_r="1 at 0",
        P_g="1 at theta",
        D="psi x",
        penalty_weight=10,
        step="at most 1/20",
        critic_steps="any number of",
        starts="all with |theta| <= 19 and 0 < |psi| <= 1, the perfect theta = 0 included",
        limit="|theta| = W_1 = 20",
    )


@proves(RARELY, role="must_fail")
def test_the_one_sided_penalty_is_not_refuted():
    check_cone(one_sided)


@proves(RARELY, strength="tested", role="supports")
def test_the_shipped_steps_follow_the_closed_form_away_from_a_perfect_generator():
    import torch

    from gan_core.gradients import critic_gradient, generator_gradient
    from gan_core.networks import StackedMLP
    from gan_core.objectives import OBJECTIVES
    from gan_core.optimizers import Optimizer
    from gan_core.penalties import one_centered

    critic, generator = (StackedMLP([1, 1], dtype="float64") for _ in range(2))
    critic.weights[0][:] = 1.0
    real, mix = torch.zeros(1, 4, 1, dtype=torch.float64), torch.full((1, 4, 1), 0.5).double()
    players = [Optimizer(net.parameters, kind="sgd", step_size=0.05) for net in (critic, generator)]
    iterations = 1200
    for _ in range(iterations):
        fake = real + generator.biases[0]
        critic_gradient(critic, real, fake, OBJECTIVES["wgan"], penalty=one_centered(10), mix=mix)
        players[0].step(critic.gradient)
        generator_gradient(generator, critic, real, OBJECTIVES["wgan"])
        players[1].step(generator.gradient)
    # A critic's step sets psi = (20 - theta) / 20, so that 20 - theta shrinks by 399/400; rounding
    # errors of 20 eps per step are not amplified.
    exact = 20 - 20 * (399 / 400) ** iterations
    assert exact > 19
    assert abs(float(generator.biases[0]) - exact) <= iterations * 100 * 2.0**-52


# ---- what the loss says meanwhile ----------------------------------------------------------------
WEIGHT, STEP = 10, Fraction(1, 20)


def trained(theta, psi, iterations, critic_steps=5):
    """Negative critic loss, with the penalty, and distance before every generator step."""
    losses, distances = [], []
    for _ in range(iterations):
        for _ in range(critic_steps):
            psi += STEP * (-theta - two_sided(WEIGHT, psi))
        losses.append(psi * (0 - theta) - WEIGHT * (psi - 1) ** 2)
        distances.append(abs(theta))
        theta += STEP * psi
    return losses, distances


def best_critics(theta, _psi, iterations):
    """The same way of the samples, with the best 1-Lipschitz critic at every point of it."""
    _, distances = trained(theta, _psi, iterations)
    return distances, distances


def refute_tracking(run):
    """The loss falls all the time, the distance does so no longer than until the data are met."""
    losses, distances = run(Fraction(-10), Fraction(1), 700)
    assert all(a > b for a, b in itertools.pairwise(losses))
    nearest = distances.index(min(distances))
    assert 0 < nearest < len(distances) - 1
    assert all(a < b for a, b in itertools.pairwise(distances[nearest:]))
    assert distances[-1] > distances[0]
    return [(float(losses[i]), float(distances[i])) for i in (0, nearest, -1)]


@proves("loss-correlates-with-sample-quality", strength="certificate", role="refutes")
def test_the_loss_falls_to_its_minimum_while_the_samples_run_away(record_witness):
    states = refute_tracking(trained)
    shown = [f"{loss:.3f}, {distance:.3f}" for loss, distance in states]
    record_witness(
        data="1 at 0, samples from -10 on",
        D="psi x, 5 steps for each of the generator",
        penalty_weight=WEIGHT,
        step=STEP,
        negative_loss_and_W_at_0=shown[0],
        when_they_meet=shown[1],
        after_700=shown[2],
    )


@proves("loss-correlates-with-sample-quality", role="must_fail")
def test_the_loss_of_the_best_critic_is_not_refuted():
    refute_tracking(best_critics)
