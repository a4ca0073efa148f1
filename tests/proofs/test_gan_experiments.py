"""Trained networks beside what theory predicts of them, with the odds of being wrong.

Every experiment is a statistical test of its claim about the law of the seeds: more than a share of
them measures the prediction within its tolerance, see `gan_core.experiments.result`. It supports
the claim and decides nothing. Its twin is the same check with predictions that are wrong by a
little more than the tolerance: a check that had passed them would be worthless.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gan_core import experiments  # noqa: E402

EXPERIMENTS = {
    "penalty_law": ("gradient-penalty-optimal-slope", {"steps": 600}),
    "translated_digits": ("gradient-penalty-optimal-slope", {}),
    "parallel_lines_values": ("parallel-lines-w", {"steps": 500}),
    "one_dimensional_trap": ("wgan-gp-1d-trap", {"steps": 600}),
    "penalty_traps": ("wgan-gp-1d-trap", {}),
    "discriminator_optima": ("optimal-discriminator-loss-is-jsd", {"steps": 400}),
    "clipping_exponents": ("clipping-vanishing-exploding-with-depth", {}),
    "layer_gradients": ("clipping-vanishing-exploding-with-depth", {"seeds": 32}),
    "weights_driven_to_bound": ("clipping-pushes-weights-to-the-boundary", {}),
    "vanishing_gradient_bound": ("theorem-2-4-vanishing-generator-gradient", {}),
    "frozen_discriminator_gradient": ("frozen-discriminator-gradients", {}),
    "gradients_along_rays": ("wgan-gp-prop-1-unit-gradient", {}),
    "certified_cone": ("kr-duality", {"seeds": 32}),
    "penalty_bugs": ("popular-wrong-penalties", {}),
    "misprinted_sign": ("misprinted-penalty-is-bistable", {}),
    "sampling_floor": ("distance-of-a-uniform-sample", {}),
    "overfitted_critics": ("train-loss-rises-validation-drops", {"seeds": 32}),
    "loss_against_distance": ("value-tracks-distance-on-a-moving-gaussian", {"seeds": 32}),
    "coverage_measures": ("one-sample-per-mode-counts-noise-as-covering", {}),
    "dirac_orbits": ("simultaneous-steps-of-every-schedule-grow", {"steps": 200}),
    "dirac_drifts": ("alternating-steps-conserve-a-quadratic-form", {"steps": 2000}),
    "dirac_radii": ("trained-dirac-gans-cycle", {}),
    "clipped_cycles": ("trained-dirac-gans-cycle", {}),
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@functools.cache
def run(name):
    """An experiment's result; its twin looks at the same one."""
    return getattr(experiments, name)(**EXPERIMENTS[name][1])


def check(experiment):
    missed = [p.quantity for p in experiment.predictions if not p.is_confirmed]
    assert not missed, f"not confirmed: {missed}"


def wrong_by_a_little(experiment):
    """The experiment with one prediction moved beyond what its median measured."""
    first, *others = experiment.predictions
    beyond = 1.01 * first.tolerance + 1e-9 * (1.0 + abs(first.median))
    side = -1.0 if first.relation == "at most" else 1.0
    moved = dataclasses.replace(first, predicted=first.median + side * beyond)
    return dataclasses.replace(experiment, predictions=(moved, *others))


def cases(role):
    return [
        pytest.param(
            name,
            marks=pytest.mark.proves(claim, role=role)
            if role == "must_fail"
            else pytest.mark.proves(claim, role=role, strength="statistical"),
        )
        for name, (claim, _) in EXPERIMENTS.items()
    ]


@pytest.mark.parametrize("name", cases("supports"))
def test_training_measures_what_theory_predicts(name, record_odds):
    experiment = run(name)
    check(experiment)
    record_odds(alpha=experiment.alpha, power=min(p.power for p in experiment.predictions))


@pytest.mark.parametrize("name", cases("must_fail"))
def test_a_prediction_beyond_the_tolerance_is_noticed(name):
    check(wrong_by_a_little(run(name)))


def test_the_odds_are_those_of_a_binomial_law():
    """A claim about the median, with 32 seeds of which none may disagree."""
    fair = experiments.prediction("x", 0.0, np.zeros(32), tolerance=1.0)
    assert fair.alpha == 0.5**32
    assert fair.power == pytest.approx(0.999**32)
    lenient = experiments.prediction("x", 0.0, np.zeros(10), tolerance=1.0, misses=1)
    assert lenient.alpha == pytest.approx((1 + 10) * 0.5**10)
