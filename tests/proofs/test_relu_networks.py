"""Gradients of ReLU networks at one input: not an upper bound, and not always a gradient."""

from __future__ import annotations

from fractions import Fraction

import pytest

proves = pytest.mark.proves


def relu(value):
    return max(value, 0)


# ---- the gradient at an input --------------------------------------------------------------------
def refute_gradient_bound(gradient_bound):
    """f = relu: the slope between 0 and 1 is 1; which bound stays below it?"""
    slope = Fraction(relu(1) - relu(0), 1 - 0)
    assert gradient_bound < slope
    return slope


@proves("input-gradient-upper-bounds-lipschitz", strength="certificate", role="refutes")
def test_the_gradient_of_relu_at_a_negative_input_is_below_its_slope(record_witness):
    # relu vanishes on a neighbourhood of -1, so its gradient there is 0.
    assert relu(Fraction(-3, 2)) == relu(Fraction(-1, 2)) == 0
    slope = refute_gradient_bound(0)
    record_witness(f="relu", at=-1, norm_of_gradient=0, slope_between_0_and_1=slope)


@proves("input-gradient-upper-bounds-lipschitz", role="must_fail")
def test_the_largest_gradient_over_all_inputs_is_not_refuted():
    refute_gradient_bound(max(0, 1))  # the slopes of the two pieces of relu


# ---- automatic differentiation at a kink ---------------------------------------------------------
def zero_network(x, relu):
    """Identically 0: relu(t) - relu(-t) = t at t = x + 1 and at t = x."""
    return relu(x + 1) - relu(-x - 1) - relu(x) + relu(-x) - 1


def check_vanishes(network):
    """The pieces (-oo, -1], [-1, 0], [0, oo) are affine: two zeros on each make them zero."""
    for x in (-2, -1, Fraction(-1, 2), 0, 1):
        assert network(x, relu) == 0


def reverse_mode(x):
    """What backpropagation returns for the network: the chain rule with relu'(0) = 0."""

    def step(t):
        return int(t > 0)

    return step(x + 1) + step(-x - 1) - step(x) - step(-x)


def torch_gradient(x):
    import torch

    point = torch.tensor(float(x), dtype=torch.float64, requires_grad=True)
    zero_network(point, torch.relu).backward()
    return int(point.grad)


def refute_autograd(points):
    """The network is constant, so every generalised gradient is 0; what does backward return?"""
    check_vanishes(zero_network)
    values = [reverse_mode(x) for x in points]
    assert values == [torch_gradient(x) for x in points]
    assert all(value != 0 for value in values)
    return values


@proves("relu-autograd-gradient-at-kinks", strength="certificate", role="refutes")
def test_autograd_reports_slopes_of_a_network_that_is_identically_zero(record_witness):
    values = refute_autograd([0, -1])
    assert values == [1, -1]
    record_witness(
        f="relu(x+1) - relu(-x-1) - relu(x) + relu(-x) - 1 = 0 for all x",
        at=(0, -1),
        autograd=values,
        Lipschitz_constant=0,
    )


@proves("relu-autograd-gradient-at-kinks", role="must_fail")
def test_autograd_off_the_kinks_is_not_refuted():
    refute_autograd([Fraction(1, 2), -2])


@proves("relu-autograd-gradient-at-kinks", role="must_fail")
def test_a_network_that_does_not_vanish_is_no_witness():
    check_vanishes(lambda x, relu: zero_network(x, relu) + relu(x - 1) + relu(x))


@proves("relu-autograd-gradient-at-kinks", strength="certificate", role="supports")
def test_autograd_may_also_miss_a_slope():
    # relu(x) - relu(-x) = x has slope 1 everywhere, backpropagation with relu'(0) = 0 returns 0.
    import torch

    point = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (torch.relu(point) - torch.relu(-point)).backward()
    assert point.grad == 0
