"""Estimates: another type than bounds, and wrong in the ways that their pages say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evidence import Enclosure, NotCertified
from lipschitz.domains import Box
from lipschitz.estimates import (
    Estimate,
    clever_estimate,
    sampled_gradient_norm,
    seqlip_greedy_estimate,
)
from lipschitz.layers import MaxPool
from lipschitz.network import Network, chain
from lipschitz.product import product_bound
from tests.exact_networks import mlp


def test_an_estimate_is_no_enclosure_and_does_not_compare() -> None:
    guess = Estimate(value=1.0, what="a guess", warning="may be wrong")
    assert not isinstance(guess, Enclosure)
    assert not hasattr(guess, "upper")
    assert not hasattr(guess, "lower")
    assert "bounds nothing" in str(guess)
    for compare in (guess.__lt__, guess.__le__, guess.__gt__, guess.__ge__):
        with pytest.raises(TypeError, match="bounds nothing"):
            compare(2.0)
    assert guess != 1.0


def test_samples_prove_what_they_see_and_miss_a_spike() -> None:
    # The slope is 1000 on [0, 2e-9] and 0 elsewhere.
    spike = mlp([[[1e3], [1e3]], [[1.0, -1.0]]], [[0.0, -2e-6], [0.0]])
    rng = np.random.default_rng(100)
    missed = sampled_gradient_norm(spike, rng.uniform(-1.0, 1.0, (20_000, 1)))
    assert missed.estimate.value == 0.0
    assert missed.proved == 0.0
    seen = sampled_gradient_norm(spike, [[1e-9]])
    assert seen.proved == pytest.approx(1000.0, rel=1e-6)


@pytest.mark.parametrize("norm", [1, 2, math.inf])
def test_a_sampled_slope_is_at_most_the_product(norm: float) -> None:
    rng = np.random.default_rng(101)
    network = mlp(
        [rng.standard_normal((6, 3)), rng.standard_normal((2, 6))], [np.zeros(6), np.zeros(2)]
    )
    found = sampled_gradient_norm(network, rng.standard_normal((200, 3)), norm=norm)
    assert 0.0 < found.proved <= product_bound(network, norm).bound.upper
    assert found.proved == pytest.approx(found.estimate.value, rel=1e-9)


def test_clever_misses_a_spike_and_overshoots_a_ramp() -> None:
    rng = np.random.default_rng(102)
    # The slope is 1 on the left and 2 on a thousandth of the right, where no sample falls.
    spike = mlp([[[1.0], [1.0], [1.0]], [[1.0, 1.0, -1.0]]], [[1.0, -0.5, -0.5001], [0.0]])
    domain = Box([-1.0], [1.0])
    few = clever_estimate(spike, domain, batches=10, batch_size=4, rng=rng)
    assert few.value < 2.0 - 1e-6
    # Many steps of equal height: maxima look like a law without an end point.
    count = 40
    stairs = mlp([np.ones((count, 1)), np.ones((1, count))], [-np.linspace(0.0, 1.0, count), [0.0]])
    values = [
        clever_estimate(stairs, domain, batches=20, batch_size=2, rng=rng).value for _ in range(5)
    ]
    exact = float(count)
    assert max(values) > exact * (1.0 + 1e-6) or min(values) < exact * (1.0 - 1e-6)


def test_greedy_seqlip_falls_below_an_attained_slope_on_some_network() -> None:
    # A local search for the worst gates stops at a local maximum: the number bounds nothing.
    rng = np.random.default_rng(103)
    below = 0
    for _ in range(200):
        weights = [rng.standard_normal((4, 4)), rng.standard_normal((1, 4))]
        value = seqlip_greedy_estimate(mlp(weights, [np.zeros(4), [0.0]]), rng=rng).value
        gates = np.array(np.meshgrid(*[[0.0, 1.0]] * 4)).reshape(4, -1).T
        exact = max(np.linalg.norm((weights[1] * g) @ weights[0]) for g in gates)
        # With biases chosen freely every pattern of gates is attained by an input: rank 4.
        assert value <= exact * (1.0 + 1e-12)
        below += value < exact * (1.0 - 1e-6)
    assert below > 0


def test_greedy_seqlip_of_one_matrix_is_its_norm() -> None:
    rng = np.random.default_rng(104)
    matrix = rng.standard_normal((3, 4))
    value = seqlip_greedy_estimate(mlp([matrix], [np.zeros(3)]), rng=rng).value
    assert value == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-12)


def test_bad_arguments_are_refused() -> None:
    network, rng = mlp([[[1.0]]], [[0.0]]), np.random.default_rng(105)
    with pytest.raises(ValueError, match="`samples` must have shape"):
        sampled_gradient_norm(network, [1.0])
    with pytest.raises(ValueError, match="`batches` must be at least 1"):
        clever_estimate(network, Box([0.0], [1.0]), batches=0, rng=rng)
    with pytest.raises(TypeError, match="`rng` must be"):
        seqlip_greedy_estimate(network, rng=3)  # type: ignore[arg-type]
    pool = Network(
        input_shape=(1, 4),
        nodes=chain([("max", MaxPool(input_shape=(1, 4), kernel_size=2, stride=2))]),
    )
    with pytest.raises(NotCertified, match="SeqLip reads dense layers"):
        seqlip_greedy_estimate(pool, rng=rng)
