"""One hidden layer by search over signs, against brute force and against regions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from evidence import NotCertified
from lipschitz import from_arrays, verify_witness
from lipschitz.layers import Activation, Dense, Scale
from lipschitz.network import Network, chain
from lipschitz.one_hidden import one_hidden_constant
from lipschitz.one_hidden_relaxation import dual_weights, good_signs
from lipschitz.one_hidden_search import longest_sum
from lipschitz.regions import exact_by_regions

# The search stops at a relative width of 1e-9 of the square.
EXACT = 1e-8


def all_signs(count):
    return np.array(list(itertools.product((-1.0, 1.0), repeat=count)))


def largest_over_patterns(weight, last, slope=0.0):
    """The largest gradient norm over all patterns, whether they occur or not: brute force."""
    gates = 0.5 * (1 + slope) + 0.5 * (1 - slope) * all_signs(len(weight))
    return np.linalg.norm((gates * last) @ weight, axis=1).max()


def random_layer(rng, neurons, inputs):
    return rng.standard_normal((neurons, inputs)), rng.standard_normal((1, neurons))


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.3, -1.0, 2.0])
def test_independent_rows_attain_the_largest_pattern(slope):
    for seed in range(20):
        rng = np.random.default_rng([51, seed])
        neurons = int(rng.integers(1, 11))
        weight, last = random_layer(rng, neurons, neurons + int(rng.integers(0, 4)))
        activation = "relu" if slope == 0.0 else ("leaky_relu", slope)
        network = from_arrays([weight, last], [rng.standard_normal(neurons), None], activation)
        found = one_hidden_constant(network)
        best = largest_over_patterns(weight, last, slope)
        assert found.is_complete
        # Brute force rounds by at most a few hundred units.
        assert found.bound.lower * (1 - 1e-13) <= best <= found.bound.upper * (1 + 1e-13)
        assert found.bound.rtol <= EXACT


def test_the_search_encloses_the_constant_where_not_all_patterns_occur():
    for seed in range(12):
        rng = np.random.default_rng([52, seed])
        neurons, inputs = int(rng.integers(3, 9)), int(rng.integers(1, 3))
        weight, last = random_layer(rng, neurons, inputs)
        if seed % 3 == 0:
            weight[1] = -2 * weight[0]
        if seed % 4 == 0:
            weight[2] = 0.0
        network = from_arrays([weight, last], [rng.standard_normal(neurons), None])
        found = one_hidden_constant(network, time_limit=1.0)
        exact = exact_by_regions(network).bound
        assert found.bound.overlaps(exact)
        assert found.bound.lower <= exact.upper
        assert found.bound.upper >= exact.lower


def test_the_point_attains_the_lower_side():
    rng = np.random.default_rng(53)
    weight, last = random_layer(rng, 12, 20)
    network = from_arrays([weight, last], [10.0 * rng.standard_normal(12), None])
    found = one_hidden_constant(network)
    assert verify_witness(network, found.point, found.direction) == found.bound.lower


def test_neurons_on_one_hyperplane_count_once():
    rng = np.random.default_rng(54)
    weight, last = random_layer(rng, 5, 8)
    bias = rng.standard_normal(5)
    doubled = np.vstack([weight, -2.0 * weight, 4.0 * weight])
    biases = np.concatenate([bias, -2.0 * bias, 4.0 * bias])
    outer = np.hstack([last, 0.5 * last, -0.125 * last])
    found = one_hidden_constant(from_arrays([doubled, outer], [biases, None]))
    gates = (all_signs(5) + 1) / 2
    patterns = np.hstack([gates, 1 - gates, gates]) * outer
    best = np.linalg.norm(patterns @ doubled, axis=1).max()
    assert found.neurons == 5
    assert found.bound.lower * (1 - 1e-13) <= best <= found.bound.upper * (1 + 1e-13)
    assert found.bound.rtol <= EXACT


def test_weights_of_all_signs_and_sizes_are_proved():
    for seed in range(40):
        rng = np.random.default_rng([55, seed])
        rows = rng.standard_normal((int(rng.integers(1, 9)), int(rng.integers(1, 6))))
        rows *= 10.0 ** rng.uniform(-6, 0, (len(rows), 1))
        squares = np.linalg.norm(all_signs(len(rows)) @ rows, axis=1) ** 2
        weights = rng.standard_normal(len(rows)) + rng.integers(0, 3)  # any weights are a proof
        found = longest_sum(rows, weights, np.ones(len(rows)), rtol=1e-9, deadline=math.inf)
        assert found.is_complete
        assert found.square_upper >= squares.max() * (1 - 1e-13)
        assert np.linalg.norm(found.signs @ rows) ** 2 >= squares.max() * (1 - 2e-9)


@pytest.mark.parametrize("seed", range(40))
def test_leaves_are_bounds_after_rounding_however_small_the_tolerance(seed):
    rng = np.random.default_rng([57, seed])
    rows = rng.standard_normal((int(rng.integers(2, 7)), int(rng.integers(1, 4))))
    rows[1] = -rows[0] * (1.0 + 1e-9 * rng.standard_normal())  # sums that cancel
    columns = [[Fraction(v) for v in column] for column in rows.T.tolist()]
    best = max(
        sum(sum(s * v for s, v in zip(signs, column, strict=True)) ** 2 for column in columns)
        for signs in itertools.product((-1, 1), repeat=len(rows))
    )
    weights = np.einsum("ij,ij->i", rows, rows) * len(rows)
    found = longest_sum(rows, weights, np.ones(len(rows)), rtol=1e-300, deadline=math.inf)
    assert found.is_complete
    assert best <= Fraction(found.square_upper)
    assert found.square_upper <= float(best) * (1 + 1e-12)  # a few dozen roundings


def test_a_search_out_of_time_still_bounds():
    rng = np.random.default_rng(56)
    rows = rng.standard_normal((12, 12))
    best = np.linalg.norm(all_signs(12) @ rows, axis=1).max()
    weights = dual_weights(rows, rtol=1e-6, time_limit=10.0)
    cut_short = longest_sum(rows, weights, np.ones(12), rtol=1e-9, deadline=-math.inf)
    assert not cut_short.is_complete
    assert best**2 <= cut_short.square_upper * (1 + 1e-13)


def test_rounding_the_relaxation_finds_the_best_signs_of_small_sums():
    hits = 0
    for seed in range(30):
        rows = np.random.default_rng([57, seed]).standard_normal((10, 6))
        signs = good_signs(rows, np.random.default_rng(seed))
        best = np.linalg.norm(all_signs(10) @ rows, axis=1).max()
        hits += np.linalg.norm(signs @ rows) >= best * (1 - 1e-12)
    # A heuristic, so a count: it finds the optimum of nearly every sum of ten vectors.
    assert hits >= 27


def test_a_critic_of_sixty_four_inputs_is_exact():
    rng = np.random.default_rng(0)
    weight, last = random_layer(rng, 32, 64)
    found = one_hidden_constant(from_arrays([weight, last], [rng.standard_normal(32), None]))
    assert found.is_complete
    assert found.bound.rtol <= EXACT


def test_rounded_weights_widen_the_bound():
    layers = [
        ("fc", Dense(weight=[[1.0, 0.0], [0.0, 2.0]], weight_error=np.full((2, 2), 1e-6))),
        ("bn", Scale(input_shape=(2,), scale=[1.0, 1.0])),
        ("relu", Activation(kind="relu", input_shape=(2,))),
        ("out", Dense(weight=[[3.0, 4.0]])),
    ]
    bound = one_hidden_constant(Network(input_shape=(2,), nodes=chain(layers))).bound
    assert bound.upper >= np.hypot(3.0, 8.0) + 1e-6
    assert bound.lower <= np.hypot(3.0, 8.0) - 1e-6
    assert bound.rtol < 1e-5


@pytest.mark.parametrize("exponent", [-300, -30, 30, 300])
def test_the_scale_of_the_weights_does_not_matter(exponent):
    rng = np.random.default_rng(58)
    weight, last = random_layer(rng, 6, 6)
    plain = one_hidden_constant(from_arrays([weight, last])).bound
    scaled = one_hidden_constant(from_arrays([weight, np.ldexp(last, exponent)])).bound
    assert scaled.rtol <= EXACT
    assert plain.overlaps(
        type(plain)(math.ldexp(scaled.lower, -exponent), math.ldexp(scaled.upper, -exponent))
    )


# ---- small and bad networks ----------------------------------------------------------------------
def test_dead_and_single_neurons():
    assert one_hidden_constant(from_arrays([[[0.0, 0.0]], [[1.0]]])).bound.upper == 0.0
    assert one_hidden_constant(from_arrays([[[3.0, 4.0]], [[0.0]]])).bound.upper == 0.0
    assert 5.0 in one_hidden_constant(from_arrays([[[3.0, 4.0]], [[1.0]]])).bound


def test_other_networks_are_refused_with_the_way_out():
    with pytest.raises(NotCertified, match=r"one hidden layer.*semidefinite_bound"):
        one_hidden_constant(from_arrays([np.eye(2), np.eye(2)]))
    with pytest.raises(NotCertified, match="one hidden layer"):
        one_hidden_constant(from_arrays([np.eye(2), np.eye(2), np.ones((1, 2))]))
    with pytest.raises(NotCertified, match="one hidden layer"):
        one_hidden_constant(from_arrays([np.ones((1, 2))]))
    with pytest.raises(NotCertified, match="no linear regions"):
        one_hidden_constant(from_arrays([np.eye(2), np.ones((1, 2))], activation="tanh"))


def test_bad_options_are_named():
    network = from_arrays([np.eye(2), np.ones((1, 2))])
    with pytest.raises(ValueError, match="`rtol`"):
        one_hidden_constant(network, rtol=-1.0)
    with pytest.raises(ValueError, match="`time_limit`"):
        one_hidden_constant(network, time_limit=0.0)
