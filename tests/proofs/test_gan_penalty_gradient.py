"""The gradient penalty as a computation: where it is taken, and how it is differentiated."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from tests.identities import check_identity

proves = pytest.mark.proves


# ---- where it is taken ---------------------------------------------------------------------------
def shares(pairs, gaps):
    """Mass of ``e x + (1 - e) y`` in gaps, from the sets of e: pairs are (x, y, mass)."""
    total = []
    for low, high in gaps:
        mass = Fraction(0)
        for x, y, weight in pairs:
            ends = sorted(Fraction(edge - y, x - y) for edge in (low, high))
            mass += weight * max(Fraction(0), min(ends[1], Fraction(1)) - max(ends[0], Fraction(0)))
        total.append(mass)
    return total


def check_mixture(pairs):
    """All pairs of {3, 7} and {4, 6}: every gap between neighbours has one third.

    Given a pair, ``x^ - (y + t (x - y)) = (e - t) (x - y)``: x^ lies before the point at the
    share t of the segment with probability t.
    """
    check_identity(
        lambda e, t, x, y: e * x + (1 - e) * y - (y + t * (x - y)),
        lambda e, t, x, y: (e - t) * (x - y),
    )
    third = Fraction(1, 3)
    assert shares(pairs, [(3, 4), (4, 6), (6, 7)]) == [third, third, third]


@proves(
    "gp-interpolation-sampling",
    strength="identity",
    lemmas=("total probability over the independent pairs",),
)
def test_the_interpolates_are_a_mixture_over_all_pairs():
    check_mixture([(x, y, Fraction(1, 4)) for x, y in itertools.product((3, 7), (4, 6))])


@proves("gp-interpolation-sampling", role="must_fail")
def test_they_are_not_drawn_from_the_pairs_of_the_optimal_plan():
    check_mixture([(3, 4, Fraction(1, 2)), (7, 6, Fraction(1, 2))])


@proves("gp-interpolation-sampling", strength="tested", role="conforms")
def test_the_shipped_interpolates_use_one_number_per_sample():
    import torch

    from gan_core.gradients import penalty_points
    from gan_core.penalties import one_centered

    generator = torch.Generator().manual_seed(247)
    real, fake = torch.rand(2, 3, 16, 5, generator=generator, dtype=torch.float64)
    mix = torch.rand(3, 16, 1, generator=generator, dtype=torch.float64)
    points = penalty_points(one_centered(), real, fake, mix)
    # Numbers in [0, 1]: a product, a difference and a sum, each rounded once.
    torch.testing.assert_close(points, mix * real + (1 - mix) * fake, rtol=0, atol=8 * 2.0**-52)


@proves("gp-interpolation-sampling", strength="statistical", role="conforms")
def test_the_ensemble_draws_the_numbers_for_every_sample_afresh_and_uniformly(record_odds):
    from evidence.statistics import distribution_size, distribution_test
    from gan_core.data import Ring
    from gan_core.ensemble import Ensemble
    from gan_core.settings import wgan_gp

    size = distribution_size(0.02)
    small = wgan_gp(critic_hidden=(2,), generator_hidden=(2,), batch=4096)
    ensemble = Ensemble(small, Ring(), seeds=[3])
    drawn = []
    while sum(len(part) for part in drawn) < size:
        mix = ensemble._streams["mix"].next()
        assert mix.shape == (1, 4096, 1)
        drawn.append(mix[0, :, 0].double().numpy().copy())
    samples = np.concatenate(drawn)
    assert len(np.unique(samples)) > 0.99 * len(samples)
    found = distribution_test(samples, lambda t: np.clip(t, 0, 1), delta=0.02)
    assert not found.refuted
    record_odds(alpha=found.alpha, power=found.power or 0.0)
    assert distribution_test(samples, lambda t: np.clip(t / 0.96, 0, 1), delta=0.02).refuted


# ---- how it is differentiated --------------------------------------------------------------------
def check_double(frozen_gates):
    """A critic ``a phi(w x + b)``: back-propagate, penalise, back-propagate through that.

    The same derivatives by differentiating the penalty as a formula. With ``frozen_gates`` the
    first pass is treated as a constant's, as when a graph is not kept.
    """
    import sympy

    a, w, b, x, L, u = sympy.symbols("a w b x L u")
    phi = sympy.Function("phi")
    first, second = (sympy.diff(phi(u), u, n).subs(u, w * x + b).doit() for n in (1, 2))
    # The first pass, backwards: d/dh = a, d/du = a phi'(u), d/dx = a phi'(u) w.
    at_sum = a * first
    gradient = at_sum * w
    # The second, backwards: from the penalty to the gradient to what it was made of.
    to_gradient = 2 * L * (gradient - 1)
    to_at_sum = to_gradient * w
    to_sum = to_at_sum * a * second * (0 if frozen_gates else 1)
    by_hand = {a: to_at_sum * first, w: to_gradient * at_sum + to_sum * x, b: to_sum}
    formula = L * (sympy.diff(a * phi(w * x + b), x) - 1) ** 2
    for parameter, derivative in by_hand.items():
        assert sympy.simplify((sympy.diff(formula, parameter) - derivative).doit()) == 0


def check_linear():
    """``grad_w (|w| - 1)^2 = 2 (|w| - 1) w / |w|``."""
    import sympy

    w, v = sympy.symbols("w v", positive=True)
    norm = sympy.sqrt(w**2 + v**2)
    for entry in (w, v):
        left = sympy.diff((norm - 1) ** 2, entry)
        assert sympy.simplify(left - 2 * (norm - 1) * entry / norm) == 0


@proves(
    "double-backprop-gradient-penalty",
    strength="identity",
    lemmas=("the chain rule: more layers and units are as one",),
)
def test_going_back_through_the_backward_pass_gives_the_penaltys_derivative():
    check_double(frozen_gates=False)
    check_linear()


@proves("double-backprop-gradient-penalty", role="must_fail")
def test_a_backward_pass_taken_for_constant_does_not():
    check_double(frozen_gates=True)


def penalised_loss(critic, real, fake, mix, weight, activation):
    """The whole loss of one hidden layer in numpy, its input gradient written out."""
    w, v = (layer[0].numpy() for layer in critic.weights)
    b, c = (layer[0].numpy() for layer in critic.biases)
    value, slope = activation

    def outputs(x):
        return value(x @ w + b) @ v + c

    points = mix * real + (1 - mix) * fake
    gradients = (slope(points @ w + b) * v[:, 0]) @ w.T
    norms = np.linalg.norm(gradients, axis=1)
    return outputs(fake).mean() - outputs(real).mean() + weight * ((norms - 1) ** 2).mean()


ACTIVATIONS = {
    "relu": (lambda u: np.maximum(u, 0), lambda u: (u > 0).astype(float)),
    "tanh": (np.tanh, lambda u: 1 - np.tanh(u) ** 2),
}


@proves("double-backprop-gradient-penalty", strength="tested", role="conforms")
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_the_shipped_gradient_agrees_with_difference_quotients(name):
    import torch

    from gan_core.gradients import critic_gradient
    from gan_core.networks import StackedMLP
    from gan_core.objectives import OBJECTIVES
    from gan_core.penalties import one_centered

    generator = torch.Generator().manual_seed(253)
    critic = StackedMLP([3, 5, 1], activation=name, dtype="float64")
    critic.initialize([generator])
    real, fake = torch.rand(2, 1, 8, 3, generator=generator, dtype=torch.float64) + 1.0
    mix = torch.rand(1, 8, 1, generator=generator, dtype=torch.float64)
    critic_gradient(critic, real, fake, OBJECTIVES["wgan"], penalty=one_centered(10.0), mix=mix)
    arrays = [tensor[0].numpy() for tensor in (real, fake, mix)]
    h = 1e-5
    for values, gradients in [
        *zip(critic.weights, critic.weight_gradients, strict=True),
        *zip(critic.biases, critic.bias_gradients, strict=True),
    ]:
        for index in np.ndindex(tuple(values.shape)):
            kept = float(values[index])
            sides = []
            for moved in (kept + h, kept - h):
                values[index] = moved
                sides.append(penalised_loss(critic, *arrays, 10.0, ACTIVATIONS[name]))
            values[index] = kept
            quotient = (sides[0] - sides[1]) / (2 * h)
            # h^2 / 6 times a third derivative of some hundreds, and 100 eps / h.
            assert abs(quotient - float(gradients[index])) <= 1e-7


@proves("double-backprop-gradient-penalty", strength="tested", role="conforms")
def test_a_dead_critic_has_a_gradient_of_zeros_and_no_nan():
    import torch

    from gan_core.penalties import one_centered

    dead = torch.zeros(1, 4, 3, requires_grad=True)
    naive = ((dead.square().sum(2).sqrt() - 1) ** 2).mean()
    assert torch.autograd.grad(naive, dead)[0].isnan().all()
    assert (one_centered(10.0).slope(dead.detach()) == 0).all()
