"""Experiments of games, overfitting, losses, coverage and digits, each once with few seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gan_core.experiments.coverage import (
    compare_objectives,
    coverage_measures,
    median_interval,
)
from gan_core.experiments.digits import translated_digits
from gan_core.experiments.dirac_predictions import (
    clipped_cycles,
    dirac_drifts,
    dirac_orbits,
    dirac_radii,
    penalty_traps,
)
from gan_core.experiments.dirac_training import dirac_starts, train_dirac
from gan_core.experiments.loss_tracking import loss_against_distance
from gan_core.experiments.overfitting import overfitted_critics, sampling_floor
from gan_core.penalties import GradientPenalty


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


EXPERIMENTS = {
    "orbits": lambda: dirac_orbits(seeds=10, steps=200),
    "radii": lambda: dirac_radii(seeds=10),
    "drifts": lambda: dirac_drifts(seeds=10),
    "cycles": lambda: clipped_cycles(seeds=10),
    "traps": lambda: penalty_traps(seeds=10, steps=3000),
    "floor": lambda: sampling_floor(seeds=10),
    "overfitting": lambda: overfitted_critics(seeds=10, steps=300),
    "losses": lambda: loss_against_distance(seeds=6),
    "coverage": lambda: coverage_measures(seeds=10),
    "digits": lambda: translated_digits(seeds=10),
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_is_predicted_is_measured(name):
    found = EXPERIMENTS[name]()
    wrong = [
        f"{p.quantity}: {p.predicted:.6g} against {p.interval}"
        for p in found.predictions
        if not p.is_confirmed
    ]
    assert not wrong
    assert found.alpha <= len(found.predictions) * 0.5**6
    assert all(np.isfinite(values).all() for _, values in found.reported)


# ---- the same measurements on what is not so ----------------------------------------------------
def test_a_one_sided_penalty_does_not_rest_at_the_trap():
    path = train_dirac(
        "wgan",
        dirac_starts(4, 0),
        step_size=0.08,
        steps=2500,
        order="alternating",
        penalty=GradientPenalty(coefficient=10.0, one_sided=True),
    )
    assert (np.abs(path.states[-1, :, 0]) < 2.0).all()


def test_a_saturating_game_does_not_end_on_the_circle_of_the_other():
    path = train_dirac("minimax", dirac_starts(4, 0), step_size=0.4, steps=1000)
    assert (np.abs(path.radius[-1] - math.sqrt(0.8)) > 0.1).all()


def test_alternating_steps_are_not_the_simultaneous_map():
    starts = dirac_starts(4, 0)
    paths = [
        train_dirac("wgan", starts, step_size=0.1, steps=50, order=order).states
        for order in ("simultaneous", "alternating")
    ]
    assert (np.abs(paths[0] - paths[1]).max(axis=(0, 2)) > 1e-3).all()


def test_steps_that_follow_each_other_are_not_called_simultaneous():
    with pytest.raises(ValueError, match="`critic_steps` = 5 needs `order='alternating'`"):
        train_dirac("wgan", [[1.0, 0.0]], step_size=0.1, steps=1, critic_steps=5)


def test_sizes_of_steps_and_bounds_are_checked():
    with pytest.raises(ValueError, match="`clip` must be"):
        train_dirac("wgan", [[1.0, 0.0]], step_size=0.1, steps=1, clip=0.0)
    with pytest.raises(ValueError, match="`step_size` must be"):
        train_dirac("wgan", [[1.0, 0.0]], step_size=-0.1, steps=1)


# ---- four objectives in one call ----------------------------------------------------------------
def test_a_comparison_is_a_table_with_intervals_for_every_objective():
    calls = []
    found = compare_objectives(
        seeds=6, iterations=20, progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    lines = str(found).splitlines()
    assert [line.split()[0] for line in lines[1:5]] == list(found.coverage)
    assert "0.969" in lines[-1]  # 1 - 2 / 2^6, the most that six seeds can say of a median
    assert "No objective is shown to be better" in lines[-1]
    assert found.samples["minimax"].shape == (6, 2500, 2)


def test_a_seed_measures_the_same_whichever_others_are_compared():
    settings = {"iterations": 5, "objectives": ["hinge"]}
    many = compare_objectives(seeds=3, **settings)
    alone = compare_objectives(seeds=1, first_seed=2, **settings)
    np.testing.assert_array_equal(many.samples["hinge"][2], alone.samples["hinge"][0])


@pytest.mark.parametrize("n", [6, 16, 33])
def test_intervals_of_medians_hold_the_median_as_often_as_they_say(n):
    rng = np.random.default_rng(n)
    held, runs = 0, 2000
    for _ in range(runs):
        interval = median_interval(rng.exponential(size=n))
        held += interval.lower <= math.log(2.0) <= interval.upper
    # Exact for continuous laws; five standard deviations of a share of 2000.
    level = interval.level
    assert abs(held / runs - level) < 5.0 * math.sqrt(level * (1.0 - level) / runs)
