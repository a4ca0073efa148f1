"""The algorithms as printed: constants, counts, signs, indices; the presets that follow them."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves


# ---- constants -----------------------------------------------------------------------------------
def check_defaults(preset, **printed):
    """The preset's fields are the floats nearest to the printed decimals."""
    settings = preset()
    for name, value in printed.items():
        assert getattr(settings, name) == value, name
    return settings


@proves("wgan-algorithm-defaults", strength="certificate")
def test_the_preset_wgan_has_the_printed_defaults():
    from gan_core.settings import wgan

    settings = check_defaults(
        wgan,
        objective="wgan",
        optimizer="rmsprop",
        step_size=0.00005,
        generator_step_size=None,
        batch=64,
        critic_steps=5,
        penalty=None,
    )
    assert settings.constraint.bound == 0.01


@proves("wgan-algorithm-defaults", role="must_fail")
def test_the_other_preset_does_not_have_the_defaults_of_wgan():
    from gan_core.settings import wgan_gp

    check_defaults(wgan_gp, optimizer="rmsprop", step_size=0.00005)


@proves("wgan-gp-algorithm-defaults", strength="certificate")
def test_the_preset_wgan_gp_has_the_printed_defaults():
    from gan_core.settings import wgan_gp

    settings = check_defaults(
        wgan_gp,
        objective="wgan",
        optimizer="adam",
        step_size=0.0001,
        generator_step_size=None,
        betas=(0.0, 0.9),
        critic_steps=5,
        constraint=None,
    )
    assert settings.penalty.coefficient == 10
    assert settings.penalty.center == 1
    assert settings.penalty.points == "interpolates"
    assert not settings.penalty.one_sided


@proves("wgan-gp-algorithm-defaults", role="must_fail")
def test_the_other_preset_does_not_have_the_defaults_of_wgan_gp():
    from gan_core.settings import wgan

    check_defaults(wgan, optimizer="adam", step_size=0.0001)


# ---- counts --------------------------------------------------------------------------------------
def count(first, last):
    """Iterations of ``for t = first, ..., last``, both included."""
    return len(range(first, last + 1))


def refute_count(first):
    assert count(first, 5) != 5
    return count(first, 5)


@proves("wgan-algorithm-off-by-one", strength="certificate", role="refutes")
def test_from_zero_to_five_is_six(record_witness):
    assert refute_count(0) == 6
    record_witness(n_critic=5, iterations=6)


@proves("wgan-algorithm-off-by-one", role="must_fail")
def test_from_one_to_five_is_five():
    refute_count(1)


def check_count(first):
    """The loop has ``last - first + 1`` iterations."""
    check_identity(lambda n: n - first + 1, lambda n: n)


@proves("n-critic-counts-critic-steps", strength="identity")
def test_a_loop_from_one_counts_its_last_index():
    check_count(1)


@proves("n-critic-counts-critic-steps", role="must_fail")
def test_a_loop_from_zero_does_not():
    check_count(0)


def small_ensemble(**changes):
    from gan_core.data import Ring
    from gan_core.ensemble import Ensemble
    from gan_core.settings import wgan

    sizes = {"critic_hidden": (4,), "generator_hidden": (4,), "batch": 8}
    return Ensemble(wgan(**sizes, **changes), Ring(), seeds=[0, 1])


@proves("n-critic-counts-critic-steps", strength="tested", role="conforms")
@pytest.mark.parametrize("critic_steps", [1, 5])
def test_the_ensemble_makes_exactly_so_many_steps(critic_steps):
    ensemble = small_ensemble(critic_steps=critic_steps)
    ensemble.iterate(3)
    assert ensemble.iterations == ensemble.generator_optimizer.steps == 3
    assert ensemble.steps == ensemble.critic_optimizer.steps == 3 * critic_steps


# ---- signs ---------------------------------------------------------------------------------------
def check_first_order(direction):
    """A function's change along ``direction(gradient, scales)`` has no negative part.

    Gradients (g, h), positive scales (r, s) of RMSProp, and squares are not negative.
    """
    check_nonnegative_combination(
        lambda g, h, r, s: g * direction(g, r) + h * direction(h, s),
        lambda g, h, r, s: [r, s],
        lambda g, h, r, s: [g**2, h**2],
    )


SQUARES = ("squares are not negative", "RMSProp's scales are positive")


@proves("wgan-algorithm-update-signs", strength="identity", scope="critic", lemmas=SQUARES)
def test_the_critic_climbs_its_estimate():
    check_first_order(lambda gradient, scale: scale * gradient)


@proves("wgan-algorithm-update-signs", strength="identity", scope="generator", lemmas=SQUARES)
def test_the_generator_climbs_the_critics_opinion_of_its_samples():
    # theta - alpha RMSProp(g_theta), where g_theta is minus the gradient of E f(g(z)).
    check_first_order(lambda gradient, scale: -(scale * -gradient))


@proves("wgan-algorithm-update-signs", role="must_fail")
def test_a_step_with_the_other_sign_does_not_climb():
    check_first_order(lambda gradient, scale: -scale * gradient)


@proves("wgan-algorithm-update-signs", strength="tested", role="conforms")
def test_the_shipped_steps_move_critic_and_generator_towards_the_data():
    import torch

    from gan_core.gradients import critic_gradient, generator_gradient
    from gan_core.networks import StackedMLP
    from gan_core.objectives import OBJECTIVES
    from gan_core.optimizers import Optimizer

    # Data at 2, samples at 0, critic w x with w = 1/4 and generator z + b with z = 0.
    critic, generator = (StackedMLP([1, 1], dtype="float64") for _ in range(2))
    critic.weights[0][:] = 0.25
    generator.weights[0][:] = 1.0
    real = torch.full((1, 1, 1), 2.0, dtype=torch.float64)
    critic_gradient(critic, real, 0 * real, OBJECTIVES["wgan"])
    assert float(critic.weight_gradients[0]) == -2.0  # of the loss, which is descended
    Optimizer(critic.parameters, kind="rmsprop", step_size=0.01).step(critic.gradient)
    assert float(critic.weights[0]) > 0.25
    slope = float(critic.weights[0])
    generator_gradient(generator, critic, 0 * real, OBJECTIVES["wgan"])
    assert float(generator.bias_gradients[0]) == -slope
    Optimizer(generator.parameters, kind="rmsprop", step_size=0.01).step(generator.gradient)
    assert 0.0 < float(generator.biases[0]) < 2.0


# ---- an index ------------------------------------------------------------------------------------
def refute_average(batch):
    """``D(G(z))`` is 0 or 1, evenly; the variances of one sample and of the mean of a batch."""
    printed = Fraction(1, 4)
    mean = sum(
        Fraction(math.comb(batch, k), 2**batch) * (Fraction(k, batch) - Fraction(1, 2)) ** 2
        for k in range(batch + 1)
    )
    assert printed != mean
    return printed, mean


@proves("wgan-gp-algorithm-missing-index", strength="certificate", role="refutes")
def test_without_the_index_the_variance_is_sixty_four_times_as_large(record_witness):
    printed, mean = refute_average(64)
    assert printed == 64 * mean
    record_witness(m=64, D_of_G="0 or 1, evenly", variance_printed=printed, variance_meant=mean)


@proves("wgan-gp-algorithm-missing-index", role="must_fail")
def test_with_a_batch_of_one_nothing_is_lost():
    refute_average(1)


# ---- one critic step -----------------------------------------------------------------------------
def check_generator_step(objective):
    """d/dtheta of the objective is that of ``-D(G(z))``, D frozen."""
    import sympy

    x, z, theta, e = sympy.symbols("x z theta e")
    D, G = sympy.Function("D"), sympy.Function("G")
    whole = objective(sympy, D, x, G(z, theta), e)
    assert sympy.simplify(sympy.diff(whole + D(G(z, theta)), theta)) == 0


@proves("pku-algorithm-one-critic-step", strength="identity")
def test_the_data_have_no_part_in_the_generators_step():
    check_generator_step(lambda sympy, D, x, sample, e: D(x) - D(sample))


@proves("pku-algorithm-one-critic-step", role="must_fail")
def test_a_penalty_at_interpolates_would_have():
    check_generator_step(
        lambda sympy, D, x, sample, e: D(x) - D(sample) + D(e * x + (1 - e) * sample) ** 2
    )


@proves("pku-algorithm-one-critic-step", strength="tested", role="conforms")
def test_the_shipped_ensemble_runs_it_and_clips_after_every_step():
    from gan_core.constraints import Clipping

    ensemble = small_ensemble(critic_steps=1, constraint=Clipping(bound=1.0), step_size=0.7)
    for _ in range(4):
        ensemble.iterate()
        assert float(ensemble.critic.parameters.abs().max()) == 1.0
    assert ensemble.steps == ensemble.iterations == 4
