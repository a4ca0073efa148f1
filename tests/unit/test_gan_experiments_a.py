"""Predictions of penalties, clipping and theorems beside training, each with reduced seeds, and the
same checks on statements known to be false."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from evidence import Enclosure  # noqa: E402
from gan_core import (  # noqa: E402
    Discrete,
    StackedMLP,
    certified_transport,
    input_gradient,
    one_centered,
    penalized_value,
    train_critics,
    wgan_gp,
)
from gan_core.experiments import prediction  # noqa: E402
from gan_core.experiments.bug_zoo import BUGS, penalty_bugs  # noqa: E402
from gan_core.experiments.certified_critics import certified_cone  # noqa: E402
from gan_core.experiments.clipping import (  # noqa: E402
    clipping_exponents,
    trained_under_clipping,
)
from gan_core.experiments.depth import layer_gradients  # noqa: E402
from gan_core.experiments.frozen_discriminator import (  # noqa: E402
    frozen_discriminator_gradient,
)
from gan_core.experiments.rays import gradients_along_rays, off_ray_disagreement  # noqa: E402
from gan_core.experiments.saturation import steps_to_bound, weights_driven_to_bound  # noqa: E402
from gan_core.experiments.vanishing_gradients import vanishing_gradient_bound  # noqa: E402
from gan_core.experiments.wrong_sign import AddedPenalty, misprinted_sign  # noqa: E402
from gan_core.sorting_layers import max_min_layers  # noqa: E402

DISTANCE, COEFFICIENT, BATCH = 1.0, 10.0, 16  # as in `penalty_bugs`


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("experiment", "reduced"),
    [
        (gradients_along_rays, {"seeds": 6, "steps": 500}),
        (off_ray_disagreement, {"seeds": 16, "steps": 500}),
        (misprinted_sign, {"seeds": 6, "steps": 400}),
        (certified_cone, {"seeds": 2, "steps": 200}),
        (vanishing_gradient_bound, {"seeds": 6, "steps": 800}),
        (frozen_discriminator_gradient, {"seeds": 6}),
        (clipping_exponents, {"seeds": 6, "steps": 150}),
        (weights_driven_to_bound, {"seeds": 6, "steps": 150}),
        (layer_gradients, {"seeds": 3, "steps": 120}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_training_measures_what_is_predicted(experiment, reduced):
    result = experiment(first_seed=300, **reduced)
    failed = [(p.quantity, p.predicted, p.interval) for p in result.predictions]
    failed = [row for row, p in zip(failed, result.predictions, strict=True) if not p.is_confirmed]
    assert result.is_confirmed, failed
    assert result.alpha > 0.0
    assert all(np.isfinite(values).all() for _, values in result.reported)


# ---- the zoo ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def zoo():
    return penalty_bugs(seeds=4, steps=700, first_seed=300)


def test_each_mistake_in_the_penalty_gives_its_own_wrong_number(zoo):
    assert zoo.is_confirmed, [(p.quantity, p.interval) for p in zoo.predictions]
    assert len(zoo.predictions) == len(BUGS)


def test_the_law_fails_for_every_mistake_but_the_invisible_ones(zoo):
    law = penalized_value(DISTANCE, COEFFICIENT)
    passes = [
        name
        for name, measured in zip(BUGS, zoo.predictions, strict=True)
        if prediction(name, law, measured.measured, tolerance=1e-3 * law).is_confirmed
    ]
    assert passes == [
        "none",
        "one interpolation number for the batch",
        "one interpolation number for every coordinate",
    ]


def test_a_wrong_formula_for_a_mistake_is_noticed(zoo):
    for bug, measured in zip(BUGS.values(), zoo.predictions, strict=True):
        if math.isinf(bug.slope(DISTANCE, COEFFICIENT, BATCH)):
            continue
        wrong = replace(measured, predicted=measured.predicted * 1.05)
        assert not wrong.is_confirmed, bug.name


def test_the_published_penalty_over_the_whole_batch_reads_an_eighth():
    # (d / (2 lambda) + sqrt B) / B at the batch of 64 that published code uses
    bug = BUGS["norm over the whole batch"]
    assert bug.slope(1.0, 10.0, 64) == pytest.approx((1 / 20 + 8) / 64, rel=1e-15)


def test_the_quartic_penalty_has_a_stationary_slope():
    for d, weight in ((1.0, 10.0), (2.0, 0.3), (0.1, 100.0)):
        s = BUGS["square of the squared norm less 1"].slope(d, weight, 1)
        assert 4 * weight * s * (s * s - 1) == pytest.approx(d, rel=1e-9)


def test_a_dead_critic_has_finite_gradients_and_the_naive_norm_has_not():
    zero = torch.zeros(1, 4, 2, requires_grad=True)
    naive = ((zero.square().sum(2).sqrt() - 1.0) ** 2).sum()
    (broken,) = torch.autograd.grad(naive, zero)
    assert not bool(broken.isfinite().all())
    assert torch.equal(one_centered(10.0).slope(zero.detach()), torch.zeros(1, 4, 2))


# ---- the misprint -------------------------------------------------------------------------------
def test_the_added_penalty_is_minus_the_penalty_with_its_derivative():
    gradient = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).double()
    leaf = gradient.clone().requires_grad_(True)
    wrong = AddedPenalty(coefficient=3.0)
    (expected,) = torch.autograd.grad(wrong.value(leaf).sum(), leaf)
    assert torch.equal(wrong.value(gradient), -one_centered(3.0).value(gradient))
    assert torch.allclose(wrong.slope(gradient), expected, rtol=1e-14, atol=1e-15)


def test_with_the_correct_sign_no_critic_dies_or_explodes():
    run = train_critics(
        wgan_gp(critic_hidden=(16,), step_size=5e-3, activation="leaky_relu", batch=16),
        Discrete(points=[[1.0, 0.0]]),
        Discrete(points=[[0.0, 0.0]]),
        seeds=range(4),
        steps=500,
    )
    assert not prediction("dies", 0.0, run.dual_value[0], tolerance=0.02).is_confirmed
    grown = prediction("explodes", 10.0, run.dual_value[0], tolerance=0.0, relation="at least")
    assert not grown.is_confirmed


# ---- rays ---------------------------------------------------------------------------------------
def test_on_rays_the_norm_is_not_one():
    norms = next(
        p
        for p in gradients_along_rays(seeds=3, steps=400).predictions
        if p.quantity == "gradient norm, two points, lambda = 10"
    )
    assert not replace(norms, predicted=1.0).is_confirmed


# ---- certified critics --------------------------------------------------------------------------
def test_max_min_becomes_a_network_of_the_same_function():
    stack = StackedMLP([3, 8, 6, 1], members=2, activation="max_min", dtype="float64")
    stack.initialize([torch.Generator().manual_seed(seed) for seed in range(2)])
    x = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    for member in range(2):
        network = stack.network(member)
        center, radius = network.enclose(x[member].numpy())
        # Both sides round: the ball covers the network's, a few ulps the stack's.
        error = np.abs(stack(x)[member].numpy() - center)
        assert (error <= radius + 1e-14).all()


def test_max_min_layers_sort_each_pair():
    first, _, last = max_min_layers(6)
    x = np.random.default_rng(0).integers(-9, 9, (40, 6)).astype(float)
    a, b = x[:, :3], x[:, 3:]
    expected = np.concatenate([np.maximum(a, b), np.minimum(a, b)], axis=1)
    assert np.array_equal(last.apply(np.maximum(first.apply(x), 0.0)), expected)


def test_an_odd_number_of_features_is_refused():
    with pytest.raises(ValueError, match="`size` must be even, got 3"):
        max_min_layers(3)


def test_a_constant_that_is_too_small_makes_the_value_exceed_w1():
    critic = StackedMLP([2, 4, 1], dtype="float64")
    critic.initialize([torch.Generator().manual_seed(1)])
    slope = float(input_gradient(critic, torch.zeros(1, 1, 2).double()).norm())
    step = 1e-3 * input_gradient(critic, torch.zeros(1, 1, 2).double())[0, 0].numpy()
    ends = (step[None], np.zeros((1, 2)))
    w1 = float(np.linalg.norm(step))
    honest = certified_transport(critic, 0, *ends, Enclosure.at_most(slope * (1 + 1e-9), ""))
    wrong = certified_transport(critic, 0, *ends, Enclosure.at_most(0.5 * slope, ""))
    assert honest <= w1 < wrong


# ---- theorems 2.4 and 2.5 -----------------------------------------------------------------------
def test_a_bound_a_hundred_times_smaller_is_exceeded():
    bounded = vanishing_gradient_bound(seeds=3, steps=300).predictions[0]
    assert bounded.is_confirmed
    assert not replace(bounded, measured=100.0 * bounded.measured).is_confirmed


def test_without_holding_the_discriminator_the_gradients_differ():
    ((_, moved),) = frozen_discriminator_gradient(seeds=3).reported
    assert not prediction("difference", 0.0, moved, tolerance=1e-7).is_confirmed


# ---- clipping -----------------------------------------------------------------------------------
def test_the_exponent_with_biases_is_below_the_number_of_layers():
    result = clipping_exponents(seeds=3, steps=150)
    exponents = dict(result.reported)
    for layers in (3, 4):
        measured = exponents[f"exponent of c, {layers} layers, with biases"]
        assert not prediction("exponent", layers, measured, tolerance=1e-3).is_confirmed
        assert (measured < layers).all()


def test_critics_under_clipping_start_inside_the_box_and_stay_in_it():
    for steps in (1, 40):
        critic = trained_under_clipping(3, [0.1, 0.3], [0, 1], steps, width=8)
        for row, bound in enumerate((0.1, 0.3)):
            largest = float(critic.parameters[2 * row : 2 * row + 2].abs().max())
            assert largest <= bound
            # One step of RMSProp moves by at most ten step sizes, a fifth of the bound.
            assert steps > 1 or largest <= 0.7 * bound + 1e-12


@pytest.mark.parametrize(
    ("distance", "decay", "expected"), [(0.01, 0.99, 98), (0.01, 0.9, 191), (1e-9, 0.5, 1)]
)
def test_rmsprop_needs_so_many_steps_to_the_bound(distance, decay, expected):
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.RMSprop([weight], lr=5e-5, alpha=decay, eps=1e-30)
    steps = 0
    while float(weight.detach()) > -distance:
        weight.grad = torch.full_like(weight, 7.0)
        optimizer.step()
        steps += 1
    assert steps == expected == steps_to_bound(distance, 5e-5, decay)


def test_a_decay_of_one_is_refused():
    with pytest.raises(ValueError, match="`decay` must be at least 0 and below 1"):
        steps_to_bound(0.01, 5e-5, 1.0)
