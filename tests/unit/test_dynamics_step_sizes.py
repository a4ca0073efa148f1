"""Step limits of the Dirac-GAN, best steps, and the rules for what a step size may be."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from dynamics import (
    GDA,
    OGD,
    R1,
    R2,
    Bilinear,
    Consensus,
    DiracGAN,
    Extragradient,
    GradientPenalty,
    HeavyBall,
    InstanceNoise,
    Nesterov,
    OptimisticGDA,
    ProximalPoint,
    Quadratic,
    Schedule,
    optimal_step_sizes,
    step_size_limit,
)

ALTERNATING = ("alternating_xy", "alternating_yx")


def alternating_limit(gamma, slope):
    """``(sqrt(g^2 + 4 f'^2) - g) / f'^2``, from ``1 + trace + determinant = 0``."""
    return (math.sqrt(gamma**2 + 4 * slope**2) - gamma) / slope**2


@pytest.mark.parametrize(
    ("game", "simultaneous", "alternating"),
    [
        (DiracGAN(regularizer=R1(0.3)), 1.2, alternating_limit(0.3, 0.5)),
        (DiracGAN(regularizer=R2(0.3)), 1.2, alternating_limit(0.3, 0.5)),
        (DiracGAN(regularizer=R1(1.0)), 4.0, alternating_limit(1.0, 0.5)),
        # Two real eigenvalues 1 +- sqrt(3/4): the larger one alone decides.
        (DiracGAN(regularizer=R1(2.0)), 2 / (1 + math.sqrt(0.75)), alternating_limit(2.0, 0.5)),
        (DiracGAN(regularizer=InstanceNoise(0.7)), 0.98, alternating_limit(0.245, 0.5)),
        (DiracGAN("wgan", regularizer=R1(0.3)), 0.3, alternating_limit(0.3, 1.0)),
        (DiracGAN("wgan", regularizer=R1(2.0)), 2.0, alternating_limit(2.0, 1.0)),
        (DiracGAN(regularizer=Consensus(1.0)), 1.6, 8 / 3),
        (DiracGAN("nsgan", regularizer=R1(0.3)), 1.2, alternating_limit(0.3, 0.5)),
    ],
)
def test_step_limits_of_the_dirac_gan(game, simultaneous, alternating):
    found = step_size_limit(game)
    # The linearisation is known to 1e-12, and a double eigenvalue -1 takes its square root.
    slack = 1e-11 * simultaneous
    assert found.lower - slack <= simultaneous <= found.upper + slack
    assert found.rtol < 1e-5
    for order in ALTERNATING:
        found = step_size_limit(game, order=order)
        assert found.lower - 1e-11 <= alternating <= found.upper + 1e-11
        assert found.rtol < 1e-10


@pytest.mark.parametrize(
    "game",
    [
        DiracGAN("gan"),
        DiracGAN("nsgan"),
        DiracGAN("wgan"),
        DiracGAN("wgan", regularizer=GradientPenalty(0.7)),
        Bilinear(1.0),
    ],
)
@pytest.mark.parametrize("order", ["simultaneous", *ALTERNATING])
def test_undamped_games_are_stable_for_no_step(game, order):
    found = step_size_limit(game, order=order)
    assert found.lower == found.upper == 0.0


def test_the_limit_of_a_quadratic_game_is_the_published_one():
    found = step_size_limit(Quadratic(1.0, 10.0, 1.0))
    assert Fraction(found.lower) < Fraction(2, 101) < Fraction(found.upper)
    assert found.rtol < 1e-12


@pytest.mark.parametrize(
    ("method", "kappa", "radius"),
    [
        (Extragradient(1.0), 1.0, math.sqrt(3) / 2),
        (Extragradient(1.0), 5.0, math.sqrt(1 - 25 / 676)),
        (Extragradient(1.0, order="alternating_xy", alternation="restarted"), 1.0, 0.2),
        (OptimisticGDA(1.0), 1.0, math.sqrt(0.5)),
        (OptimisticGDA(1.0), 2.0, 0.956016),
        (OptimisticGDA(1.0), 5.0, 0.993280),
        (OptimisticGDA(1.0, order="alternating_xy"), 1.0, 0.707107),
        (OGD(1.0, 1.0, order="alternating_xy"), 1.5, 9 / 17),
        (OGD(1.0, 1.0, order="alternating_xy"), 2.0, 2 / 3),
        (HeavyBall(1.0, 0.0, order="alternating_xy"), 1.0, 2 * math.sqrt(3) - 3),
    ],
)
def test_the_best_radius_is_the_known_one(method, kappa, radius):
    found = optimal_step_sizes(method, kappa)
    # A search at kinks: six digits, never below the optimum by more than the printed digits.
    assert abs(found.radius.upper - radius) < 2e-6


def test_nilpotent_and_fourfold_optima_are_named_by_their_theorem():
    half = optimal_step_sizes(OGD(1.0, 1.0), 1.0)
    assert (half.optimum, half.kind) == (0.5, "attained")
    # Rounded parameters move a fourfold root by about the fourth root of the rounding, 1e-4.
    assert 0.5 < half.radius.upper < 0.5 + 2e-4
    zero = optimal_step_sizes(OGD(1.0, 1.0, order="alternating_xy"), 1.0)
    assert zero.optimum == 0.0
    assert zero.radius.upper < 1e-5


def test_best_steps_scale_with_the_largest_singular_value():
    one = optimal_step_sizes(Extragradient(1.0), 2.0)
    ten = optimal_step_sizes(Extragradient(1.0), 2.0, largest=10.0)
    assert abs(one.method.step_size[0] - 10 * ten.method.step_size[0]) < 1e-15
    assert ten.sigmas[-1] == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("method", "kappa", "words"),
    [
        (GDA(1.0), 2.0, "has no best step size"),
        (ProximalPoint(1.0), 2.0, "has no best step size"),
        (Nesterov(1.0, 0.0), 2.0, "converge for no step size"),
        (Extragradient(1.0), 0.5, "`kappa` must be at least 1"),
    ],
)
def test_methods_without_a_best_step_are_refused(method, kappa, words):
    with pytest.raises(ValueError, match=words):
        optimal_step_sizes(method, kappa)


# ---- what a step size may be ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        (0, ValueError, "must not be 0"),
        (0.0, ValueError, "must not be 0"),
        ((0.1, 0), ValueError, r"`step_size\[1\]` must not be 0"),
        (1j, TypeError, "must be a real number"),
        ("0.1", TypeError, "must be a real number"),
        (True, TypeError, "must be a real number"),
        (None, TypeError, "must be a real number"),
        (float("nan"), ValueError, "must be finite"),
        (float("inf"), ValueError, "must be finite"),
        ((0.1, 0.2, 0.3), ValueError, "pass Schedule"),
        (np.array([0.1, 0.2]), TypeError, "must be a real number"),
    ],
)
def test_bad_step_sizes_are_refused_in_one_sentence(step, error, words):
    with pytest.raises(error, match=words):
        GDA(step)


def test_bad_schedules_are_refused():
    with pytest.raises(ValueError, match="empty schedule"):
        Schedule([])
    with pytest.raises(ValueError, match=r"`steps\[1\]` must not be 0"):
        Schedule([0.1, 0.0])
    method = GDA(lambda k: 1.0 / k if k else 0.0)
    with pytest.raises(ValueError, match=r"`step_size\(0\)` must not be 0"):
        method.step(Bilinear(1.0), (np.ones(2),), 0)


def test_integers_fractions_and_zero_dimensional_arrays_are_steps():
    start = (np.array([1.0, 1.0]),)
    for step in (1, 1.0, Fraction(1), np.float64(1.0), np.int64(1), np.array(1.0), (1, 1.0)):
        assert np.array_equal(GDA(step).step(Bilinear(1.0), start)[0], [0.0, 2.0])


def test_orders_have_no_default_where_they_matter():
    with pytest.raises(ValueError, match="`order` must be one of"):
        GDA(0.1, order="alternating")
    with pytest.raises(ValueError, match="`alternation` must be one of"):
        Extragradient(0.1, order="alternating_xy")
    with pytest.raises(ValueError, match="says nothing in simultaneous order"):
        Extragradient(0.1, alternation="phased")


@pytest.mark.parametrize(
    ("start", "error", "words"),
    [
        ([1.0], ValueError, "must have shape"),
        (1.0, ValueError, "must have shape"),
        ([1.0, np.nan], ValueError, "must be finite"),
        ([1j, 0.0], TypeError, "must hold real numbers"),
    ],
)
def test_bad_starts_are_refused_in_one_sentence(start, error, words):
    with pytest.raises(error, match=words):
        GDA(0.1).initial_state(Bilinear(1.0), start)


def test_schedules_change_the_step_and_repeat():
    game, method = Bilinear(1.0), GDA(Schedule([(1, -1), (-1, 1)]))
    state = method.initial_state(game, [3, 4])
    for k in range(2):
        state = method.step(game, state, k)
    assert np.array_equal(state[0], [0.0, 0.0])  # opposite signs reach the solution in two steps
    assert method.period == 2
    assert method.has_negative_steps
    assert method.step(game, (np.ones(2),), 2)[0].tolist() == [0.0, 0.0]
