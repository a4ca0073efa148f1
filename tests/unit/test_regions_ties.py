"""Neurons on one hyperplane, repeated or opposite: exact constants in spite of them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from lipschitz import from_arrays
from lipschitz.layers import Activation, Dense
from lipschitz.network import Network, chain
from lipschitz.rational_regions import exact_rational_constant
from lipschitz.region_chain import kinked_chain
from lipschitz.region_hyperplanes import twins
from lipschitz.regions import exact_by_regions
from tests.exact_networks import norm_power, slopes_on_the_line

# What `ExactConstant.is_complete` promises for exact weights.
PROMISED = 1e-9
FACTORS = (-1.0, -1.0, -1.0, 1.0, 2.0, -0.5, -3.0)
"""Times three, a row of multiples of 2**-20 stays exact."""


def planted(rng, *widths, activation):
    """Rows on a grid; about half of them are multiples of earlier ones of their layer."""
    weights, biases = [], []
    for a, b in itertools.pairwise(widths):
        rows = np.round(rng.standard_normal((b, a + 1)) * 2**20) / 2**20
        if rng.random() < 0.3:
            rows[:, -1] = 0.0
        for j in range(1, b):
            if rng.random() < 0.5:
                rows[j] = rows[rng.integers(j)] * FACTORS[rng.integers(len(FACTORS))]
        weights.append(rows[:, :-1])
        biases.append(rows[:, -1])
    return from_arrays(weights, biases, activation)


def planted_network(seed):
    rng = np.random.default_rng([51, seed])
    inputs = 1 + seed % 2
    hidden = rng.integers(2, {1: 7, 2: 5}[inputs] + 1, 1 + seed // 2 % 2).tolist()
    activation = ["relu", ("leaky_relu", 0.01), ("leaky_relu", 0.2), ("leaky_relu", -1.0)][
        int(rng.integers(4))
    ]
    return planted(rng, inputs, *hidden, 1, activation=activation)


def pairs_layers(matrices, biases):
    """Matrices with MaxMin between: ``max(a, b) = relu(a - b) + b``, ``b = relu(b) - relu(-b)``."""
    layers = []
    for i, (weight, bias) in enumerate(zip(matrices, biases, strict=True)):
        layers.append((f"fc {i}", Dense(weight=weight, bias=bias)))
        if i == len(matrices) - 1:
            return Network(input_shape=(np.shape(matrices[0])[1],), nodes=chain(layers))
        half = len(weight) // 2
        one, none = np.eye(half), np.zeros((half, half))
        first = np.block([[one, -one], [one, none], [-one, none], [none, one], [none, -one]])
        last = np.block([[one, none, none, one, -one], [-one, one, -one, none, none]])
        layers += [
            (f"split {i}", Dense(weight=first)),
            (f"relu {i}", Activation(kind="relu", input_shape=(5 * half,))),
            (f"join {i}", Dense(weight=last)),
        ]
    raise AssertionError


def sorting_network(seed, *widths):
    rng = np.random.default_rng([52, seed])
    matrices = [rng.standard_normal((b, a)) / math.sqrt(a) for a, b in itertools.pairwise(widths)]
    return pairs_layers(matrices, [0.3 * rng.standard_normal(b) for b in widths[1:]])


@pytest.mark.parametrize("block", range(4))
def test_planted_multiples_leave_no_gap(block):
    for seed in range(25 * block, 25 * block + 25):
        network = planted_network(seed)
        norm = (1, 2, math.inf)[seed % 3]
        found = exact_by_regions(network, norm=norm)
        assert found.is_complete, seed
        assert found.bound.rtol <= PROMISED, seed
        exact = exact_rational_constant(network, norm=norm)
        assert found.bound.overlaps(exact.bound), seed


def test_planted_multiples_are_found_in_every_layer():
    tied = [0, 0]
    for seed in range(100):
        for layer, (owner, _) in enumerate(kinked_chain(planted_network(seed)).ties):
            tied[layer] += int((owner != np.arange(len(owner))).sum())
    assert min(tied) > 50


def test_slopes_on_the_line_agree_by_another_program():
    for seed in range(0, 40, 2):
        network = planted_network(seed)
        power = max(norm_power(slope, 2) for slope in slopes_on_the_line(network))
        bound = exact_by_regions(network).bound
        assert bound.lower * (1 - 1e-15) <= math.sqrt(power) <= bound.upper * (1 + 1e-15)


def test_the_identity_through_opposite_neurons_has_constant_one():
    found = exact_by_regions(from_arrays([[[1.0], [-1.0]], [[1.0, -1.0]]]))
    assert found.is_complete
    assert found.bound.rtol <= PROMISED
    assert 1.0 in found.bound


@pytest.mark.parametrize("widths", [(1, 4, 1), (2, 4, 1), (2, 4, 4, 1), (1, 6, 4, 1)])
def test_sorting_networks_have_the_constant_that_fractions_give(widths):
    for seed in range(3):
        network = sorting_network(seed, *widths)
        found = exact_by_regions(network)
        assert found.is_complete
        assert found.bound.rtol <= PROMISED
        assert found.bound.overlaps(exact_rational_constant(network).bound)


def test_a_sorting_network_without_biases_is_exact_although_all_kinks_meet():
    rng = np.random.default_rng(53)
    matrices = [rng.standard_normal(shape) for shape in ((8, 2), (8, 8), (1, 8))]
    found = exact_by_regions(pairs_layers(matrices, [None] * 3))
    assert found.is_complete
    assert found.bound.rtol <= PROMISED


def test_isometries_around_sorting_have_constant_at_most_one():
    rng = np.random.default_rng(54)
    turns = [np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (8, 8)]
    matrices = [turns[0][:, :2], turns[1], turns[1][:1] @ turns[0]]
    found = exact_by_regions(pairs_layers(matrices, [rng.standard_normal(8)] * 2 + [None]))
    # The factors are orthogonal up to a few units of roundoff times their size.
    assert found.bound.upper <= 1.0 + 1e-12


def test_multiples_within_the_error_of_weights_are_not_tied():
    def network(error):
        first = Dense(weight=[[1.0, 2.0], [-1.0, -2.0]], weight_error=error)
        layers = [
            ("fc", first),
            ("relu", Activation(kind="relu", input_shape=(2,))),
            ("out", Dense(weight=[[1.0, -1.0]])),
        ]
        return Network(input_shape=(2,), nodes=chain(layers))

    sure = exact_by_regions(network(None))
    assert sure.is_complete
    assert sure.bound.rtol <= PROMISED
    # The kinks may be two, and both neurons open (slope about 0) or shut between them.
    rounded = kinked_chain(network(np.full((2, 2), 1e-9)))
    assert rounded.ties[0][0].tolist() == [0, 1]
    assert not rounded.is_exact


def test_a_pattern_that_cannot_be_excluded_is_no_complete_answer():
    # relu(v) - relu(-v) with biases that may be off by 1e-9: for relu(v + e) - relu(e - v), both
    # neurons are open between -e and e, with slope 2.
    unsure = [
        ("fc", Dense(weight=[[1.0], [-1.0]], bias=[0.0, 0.0], bias_error=np.full(2, 1e-9))),
        ("relu", Activation(kind="relu", input_shape=(2,))),
        ("out", Dense(weight=[[1.0, -1.0]])),
    ]
    found = exact_by_regions(Network(input_shape=(1,), nodes=chain(unsure)))
    assert not found.is_complete
    assert found.bound.upper >= 2.0
    assert 1.0 in found.bound


def test_products_that_were_rounded_forget_the_ties_and_say_so():
    # The twin of the tests above: the same functions, but opposite rows only up to rounding.
    for seed in range(3):
        network = sorting_network(seed, 2, 8, 8, 1)
        exact, loose = exact_by_regions(network), exact_by_regions(network.fold())
        assert exact.is_complete
        assert not loose.is_complete
        assert loose.bound.rtol > 0.01
        assert loose.bound.upper > exact.bound.upper
        assert loose.bound.overlaps(exact.bound)


def test_signs_tied_the_wrong_way_round_are_noticed(monkeypatch):
    def wrong(weight, bias):
        owner, sign = twins(weight, bias)
        return owner, np.where(owner == np.arange(len(owner)), 1.0, -sign)

    network = from_arrays([[[1.0], [-1.0]], [[1.0, -1.0]]])
    monkeypatch.setattr("lipschitz.region_chain.twins", wrong)
    found = exact_by_regions(network)
    assert not (found.is_complete and 1.0 in found.bound)
