"""Exact constants by linear regions, against fractions, samples and hand-made networks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from lipschitz import from_arrays, lower_bound, verify_witness
from lipschitz.layers import Activation, Dense, Scale
from lipschitz.network import Network, chain
from lipschitz.rational_regions import exact_rational_constant
from lipschitz.regions import exact_by_regions
from tests.exact_networks import norm_power, slopes_on_the_line

# What 64 roundings per product and three layers can lose, with room for cancellation.
TIGHT = 1e-10
NORMS = (1, 2, math.inf)


def gaussian(rng, *widths, bias=0.3, activation="relu"):
    weights = [rng.standard_normal((b, a)) / math.sqrt(a) for a, b in itertools.pairwise(widths)]
    biases = [bias * rng.standard_normal(b) for b in widths[1:]]
    return from_arrays(weights, biases, activation)


def integer_network(rng, *widths):
    weights = [rng.integers(-2, 3, (b, a)).astype(float) for a, b in itertools.pairwise(widths)]
    biases = [rng.integers(-2, 3, b).astype(float) for b in widths[1:]]
    return from_arrays(weights, biases)


def degenerate(rng, *widths):
    """Neurons that repeat, that share a hyperplane, that are parallel, and that are dead."""
    weights, biases = [], []
    for a, b in itertools.pairwise(widths):
        w, c = rng.standard_normal((b, a)), rng.standard_normal(b)
        for j in range(1, b):
            kind = rng.integers(6)
            if kind == 0:
                factor = rng.choice([1.0, -1.0, 3.0, 0.3])
                w[j], c[j] = w[j - 1] * factor, c[j - 1] * factor
            elif kind == 1:
                w[j] = w[j - 1]
            elif kind == 2:
                w[j] = 0.0
        weights.append(w)
        biases.append(c)
    return from_arrays(weights, biases)


def random_network(seed):
    rng = np.random.default_rng([41, seed])
    inputs = int(rng.integers(1, 4))
    most = {1: 7, 2: 5, 3: 3}[inputs]
    widths = [inputs, *rng.integers(1, most + 1, rng.integers(1, 4)).tolist(), 1]
    activation = ["relu", ("leaky_relu", 0.01), ("leaky_relu", -1.0)][int(rng.integers(3))]
    make = [
        lambda: gaussian(rng, *widths, activation=activation),
        lambda: gaussian(rng, *widths, bias=0.0),
        lambda: integer_network(rng, *widths),
        lambda: degenerate(rng, *widths),
    ][seed % 4]
    domain = None
    if rng.random() < 0.4:
        lower = rng.integers(-2, 2, inputs).astype(float)
        domain = (lower, lower + rng.integers(1, 3, inputs))
    return make(), domain, rng


@pytest.mark.parametrize("block", range(8))
def test_float_and_rational_regions_agree_on_random_networks(block):
    for seed in range(40 * block, 40 * block + 40):
        network, domain, _ = random_network(seed)
        norm = NORMS[seed % 3]
        exact = exact_rational_constant(network, norm=norm, domain=domain)
        found = exact_by_regions(network, norm=norm, domain=domain)
        assert found.bound.overlaps(exact.bound), seed
        assert found.bound.rtol <= TIGHT, seed


def test_no_directional_derivative_is_steeper():
    for seed in range(20):
        network, domain, rng = random_network(seed)
        found = exact_by_regions(network, domain=domain)
        search = lower_bound(network, rng=rng, starts=4, steps=20, domain=domain, time_limit=5.0)
        assert search.bound.lower <= found.bound.upper


def test_secants_are_never_steeper_than_the_constant_on_their_box():
    for seed in range(40):
        network, _, rng = random_network(seed)
        box = (-np.ones(network.input_shape), np.ones(network.input_shape))
        bound = exact_by_regions(network, domain=box).bound
        x, y = rng.uniform(-1.0, 1.0, (2, 200, *network.input_shape))
        rise = np.linalg.norm(network.apply(x) - network.apply(y), axis=1)
        # The values are off by a few units of their magnitudes, here below 1e-10.
        assert (rise <= bound.upper * np.linalg.norm(x - y, axis=1) + 1e-10).all()


def test_the_slopes_of_a_network_on_the_line_are_those_listed_there():
    for seed in range(30):
        rng = np.random.default_rng([42, seed])
        network = integer_network(rng, 1, 4, 3, 2)
        for norm in NORMS:
            power = max(norm_power(slope, norm) for slope in slopes_on_the_line(network))
            assert exact_rational_constant(network, norm=norm).power == power
            root = math.sqrt(power) if norm == 2 else float(power)
            bound = exact_by_regions(network, norm=norm).bound
            # `root` is rounded once more than the bound allows for.
            assert bound.lower * (1 - 1e-15) <= root <= bound.upper * (1 + 1e-15)


def test_the_witness_proves_the_lower_side_again():
    for seed in range(12):
        network, domain, _ = random_network(4 * seed)
        for norm in NORMS:
            found = exact_by_regions(network, norm=norm, domain=domain)
            again = verify_witness(network, found.point, found.direction, norm=norm)
            assert again >= found.bound.lower * (1 - TIGHT)


def test_several_outputs_agree_with_samples_of_the_jacobian():
    rng = np.random.default_rng(43)
    network = gaussian(rng, 2, 6, 5, 3)
    for norm in NORMS:
        found = exact_by_regions(network, norm=norm)
        steps = rng.standard_normal((4000, 2)) * 10.0 ** rng.uniform(-1, 2, (4000, 1))
        h = 1e-7
        columns = [(network.apply(steps + h * e) - network.apply(steps)) / h for e in np.eye(2)]
        norms = [np.linalg.norm(j, norm) for j in np.stack(columns, axis=2)]
        # Differences at kinks are mixtures; rounding adds 1e-16 / h times the values.
        assert max(norms) <= found.bound.upper * (1 + 1e-5)
        assert found.bound.rtol <= TIGHT


def test_two_hidden_layers_of_sixty_four_neurons_are_exact():
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((b, a)) / math.sqrt(a) for a, b in ((2, 64), (64, 64), (64, 1))]
    biases = [0.1 * rng.standard_normal(n) for n in (64, 64, 1)]
    found = exact_by_regions(from_arrays(weights, biases))
    assert found.is_complete
    assert found.bound.rtol <= 1e-11
    assert 5000 < found.regions < 12000
    # The value found by clipping polygons, a different program.
    assert abs(found.bound.lower - 1.189609) < 1e-6


# ---- hand-made networks --------------------------------------------------------------------------
def value(network, **options):
    bound = exact_by_regions(network, **options).bound
    assert bound.rtol <= TIGHT
    return round(bound.lower, 9)


def test_a_kink_on_the_border_of_the_box_does_not_count():
    relu = from_arrays([[[1.0]], [[1.0]]])
    assert value(relu, domain=([-1.0], [0.0])) == 0.0
    assert value(relu, domain=([0.0], [1.0])) == 1.0
    assert value(relu, domain=([-1.0], [1e-300])) == 1.0


def test_a_region_thinner_than_rounding_is_found():
    # Slope 10 between 1 and 1 + 2**-52 only; relu(x - 1) - relu(x - 1 - 2**-52), times 10.
    network = from_arrays([[[1.0], [1.0]], [[10.0, -10.0]]], [[-1.0, -1.0 - 2.0**-52], None])
    assert value(network) == 10.0
    assert exact_by_regions(network).bound.contains(exact_rational_constant(network).bound)


def test_a_network_that_vanishes_has_constant_zero():
    zero = from_arrays([[[1.0], [1.0], [-1.0]], [[1.0, -1.0, 0.0]]])
    assert value(zero) == 0.0
    assert exact_rational_constant(zero).power == 0


def test_lines_through_one_point_do_not_multiply():
    angles = np.linspace(0.0, np.pi, 40, endpoint=False) + 0.1
    rows = np.column_stack([np.cos(angles), np.sin(angles)])
    center = np.array([0.3, 0.7])
    fan = from_arrays([rows, np.ones((1, 40))], [-rows @ center, None])
    found = exact_by_regions(fan)
    # The gradient in a sector sums the rows on its side; the longest sum, over half the turn.
    sums = [np.linalg.norm(rows[(rows @ u) > 0].sum(axis=0)) for u in _directions(4000)]
    assert found.bound.upper >= max(sums)
    assert found.bound.lower <= max(sums) * (1 + 1e-9)


def _directions(count):
    angles = np.linspace(0.0, 2 * np.pi, count)
    return np.column_stack([np.cos(angles), np.sin(angles)])


def test_parallel_lines_and_repeated_neurons_are_exact():
    rows = np.repeat([[1.0, 2.0]], 12, axis=0)
    network = from_arrays([rows, np.array([[1.0, -1.0] * 6])], [np.arange(12.0) / 3, None])
    assert value(network) == round(math.sqrt(5.0), 9)
    same = from_arrays([rows, np.ones((1, 12))])
    assert value(same) == round(12 * math.sqrt(5.0), 9)


def test_leaky_slopes_of_one_have_no_kink():
    network = from_arrays([[[1.0, 1.0], [1.0, -1.0]], [[1.0, 1.0]]], activation=("leaky_relu", 1.0))
    found = exact_by_regions(network)
    assert (found.regions, round(found.bound.lower, 9)) == (1, 2.0)


def test_a_network_without_hidden_layer_is_its_matrix():
    assert value(from_arrays([[[3.0, 4.0]]])) == 5.0
    assert value(from_arrays([[[3.0, 4.0], [1.0, 1.0]]]), norm=1) == 5.0


def test_an_activation_at_the_end_counts():
    nodes = [
        ("fc", Dense(weight=[[2.0], [-2.0]])),
        ("relu", Activation(kind="relu", input_shape=(2,))),
    ]
    assert value(Network(input_shape=(1,), nodes=chain(nodes))) == 2.0


def test_rounded_weights_are_enclosed_with_their_errors():
    layers = [
        ("fc", Dense(weight=[[1.0, 0.5], [0.25, -1.0]], bias=[0.1, 0.2])),
        (
            "bn",
            Scale(input_shape=(2,), scale=[1 / 3, 0.7], shift=[0.1, 0.1], weight_error=[1e-9, 0.0]),
        ),
        ("relu", Activation(kind="relu", input_shape=(2,))),
        ("out", Dense(weight=[[1.0, 1.0]])),
    ]
    bound = exact_by_regions(Network(input_shape=(2,), nodes=chain(layers))).bound
    assert 1e-10 < bound.rtol < 1e-8
    for error in (-1e-9, 0.0, 1e-9):
        exact = np.hypot(*((1 / 3 + error) * np.array([1.0, 0.5]) + 0.7 * np.array([0.25, -1.0])))
        alone = (1 / 3 + error) * np.hypot(1.0, 0.5), 0.7 * np.hypot(0.25, 1.0)
        assert bound.lower <= max(exact, *alone) * (1 + 1e-12)
        assert bound.upper >= max(exact, *alone) * (1 - 1e-12)


def test_scales_far_from_one_do_not_matter():
    for factor in (2.0**-300, 1e-8, 1e8, 2.0**300):
        network = from_arrays(
            [[[1.0, 2.0], [3.0, -1.0]], [[factor, 2 * factor]]], [[1.0, 2.0], None]
        )
        bound = exact_by_regions(network).bound
        exact = max(np.hypot(7, 0), np.hypot(6, 2), np.hypot(1, 2)) * factor
        assert bound.lower * (1 - TIGHT) <= exact <= bound.upper * (1 + TIGHT)
