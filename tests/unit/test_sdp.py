"""Semidefinite bounds: sound on random networks, equal to another solver's, sane at extremes."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from evidence import NotCertified
from lipschitz.layers import Activation, Add, Dense, MaxPool
from lipschitz.network import Network, Node, chain
from lipschitz.operators import operator_norm
from lipschitz.readers.read_arrays import from_arrays
from lipschitz.sdp import FeedForward, feed_forward, prove_multipliers, semidefinite_bound

KINDS = [
    ("relu", None, 0.0, 1.0),
    ("leaky_relu", 0.1, 0.1, 1.0),
    ("sigmoid", None, 0.0, 0.25),
    ("leaky_relu", -0.5, -0.5, 1.0),
    ("elu", 2.0, 0.0, 2.0),
    ("tanh", None, 0.0, 1.0),
]


def normal_weights(widths, rng):
    return [rng.standard_normal((m, n)) / math.sqrt(n) for n, m in pairwise(widths)]


def with_slopes(weights, lower, upper):
    hidden = [len(w) for w in weights[:-1]]
    return FeedForward.exact(
        weights,
        slope_lower=[np.full(n, lower) for n in hidden],
        slope_upper=[np.full(n, upper) for n in hidden],
    )


def largest_vertex_norm(weights, lower, upper, rng, count=60):
    """Norms of Jacobians whose slopes all sit at an end: none may exceed a slope-only bound."""
    best = 0.0
    for _ in range(count):
        jacobian = weights[0]
        for w in weights[1:]:
            slopes = rng.choice([lower, upper], size=len(jacobian))
            jacobian = w @ (slopes[:, None] * jacobian)
        best = max(best, float(np.linalg.norm(jacobian, 2)))
    return best * (1.0 - 1e-12)  # the rounding of products of a few small matrices


# ---- soundness -----------------------------------------------------------------------------------
@pytest.mark.parametrize("block", range(6))
def test_no_vertex_jacobian_exceeds_the_bound_and_every_bound_is_proved(block):
    rng = np.random.default_rng([4, block])
    kind, parameter, lower, upper = KINDS[block]
    for k in range(50):
        widths = rng.integers(1, 9, size=rng.integers(2, 7))
        weights = [w * 2.0 ** rng.integers(-3, 4) for w in normal_weights(widths, rng)]
        if k % 3 == 0:
            for w in weights:
                w[rng.random(w.shape) < 0.5] = 0.0
        network = from_arrays(weights, activation=kind if parameter is None else (kind, parameter))
        result = semidefinite_bound(network, effort=("fast", "default")[k % 2])
        assert result.bound.upper >= largest_vertex_norm(weights, lower, upper, rng)
        if result.bound.upper > 0.0:
            assert prove_multipliers(feed_forward(network), result.multipliers, result.bound.upper)


def test_the_default_bound_is_never_above_the_closed_form_or_the_product():
    rng = np.random.default_rng(1)
    for _ in range(20):
        weights = normal_weights(rng.integers(1, 12, size=4), rng)
        network = from_arrays(weights)
        best = semidefinite_bound(network).bound.upper
        assert best <= semidefinite_bound(network, effort="fast").bound.upper
        product = math.prod(np.linalg.norm(w, 2) for w in weights)
        assert best <= product * (1.0 + 1e-8)  # a bound proved with a relative slack below 1e-8


def test_primal_and_dual_meet_to_one_part_in_ten_to_the_eight():
    network = from_arrays(normal_weights((10, 50, 50, 1), np.random.default_rng(0)))
    result = semidefinite_bound(network)
    assert 0.0 <= result.gap < 2e-8


@pytest.mark.parametrize(("kind", "parameter", "lower", "upper"), KINDS)
def test_an_independent_solver_finds_the_same_optimum(kind, parameter, lower, upper):
    pytest.importorskip("cvxpy")
    from benchmarks.sdp_peers import solve_lmi

    weights = normal_weights((3, 6, 5, 2), np.random.default_rng(2))
    net = with_slopes(weights, lower, upper)
    ours = semidefinite_bound(net)
    peer = solve_lmi(net, "CLARABEL")
    # Clarabel stops at relative accuracy 1e-8 of rho, in units where rho may be large.
    assert ours.bound.upper == pytest.approx(peer.value, rel=1e-5)
    assert ours.primal == pytest.approx(peer.value, rel=1e-5)


def test_one_wide_hidden_layer_is_solved_by_coordinates_to_the_same_value():
    weights = normal_weights((5, 401, 1), np.random.default_rng(3))
    wide = semidefinite_bound(from_arrays(weights))
    assert "coordinates" in wide.method
    assert wide.gap < 2e-4
    narrow = [weights[0][:60], weights[1][:, :60]]
    from lipschitz.sdp.one_hidden_dual import multipliers_by_mixing
    from lipschitz.sdp.presolve import presolved

    problem = presolved(feed_forward(from_arrays(narrow)))
    mixed = problem.norm_of_network(multipliers_by_mixing(problem, math.inf, 1e-4).value)
    assert mixed == pytest.approx(semidefinite_bound(from_arrays(narrow)).bound.upper, rel=2e-4)


# ---- weights known up to an error ----------------------------------------------------------------
def test_the_bound_covers_all_weights_within_their_errors():
    rng = np.random.default_rng(5)
    weights = normal_weights((4, 6, 3), rng)
    errors = tuple(1e-3 * np.abs(w) for w in weights)
    net = FeedForward(
        weights=tuple(weights),
        errors=errors,
        slope_lower=(np.zeros(6),),
        slope_upper=(np.ones(6),),
    )
    result = semidefinite_bound(net)
    assert prove_multipliers(net, result.multipliers, result.bound.upper)
    for _ in range(50):
        moved = [
            w + e * rng.choice([-1.0, 1.0], w.shape) for w, e in zip(weights, errors, strict=True)
        ]
        assert largest_vertex_norm(moved, 0.0, 1.0, rng, 20) <= result.bound.upper
    # The exact network's multipliers and constant leave no room for errors.
    exact = semidefinite_bound(with_slopes(weights, 0.0, 1.0))
    assert not prove_multipliers(net, exact.multipliers, exact.bound.upper)


# ---- degenerate networks -------------------------------------------------------------------------
def test_a_network_of_one_layer_has_its_matrix_norm():
    weight = np.random.default_rng(6).standard_normal((4, 3))
    upper = semidefinite_bound(from_arrays([weight])).bound.upper
    norm = operator_norm(weight, 2, 2)
    assert norm.lower <= upper <= norm.upper * (1.0 + 1e-8)


def test_widths_of_one():
    network = from_arrays([[[3.0]], [[-2.0]], [[5.0]]])
    assert semidefinite_bound(network).bound.upper == pytest.approx(30.0, rel=1e-8)


def test_zero_weights_make_the_constant_zero_exactly():
    result = semidefinite_bound(from_arrays([np.zeros((3, 2)), np.ones((1, 3))]))
    assert result.bound.lower == result.bound.upper == 0.0


def test_dead_neurons_change_nothing():
    rng = np.random.default_rng(7)
    small = normal_weights((3, 4, 4, 2), rng)
    padded = [np.zeros((7, 3)), np.zeros((7, 7)), np.zeros((2, 7))]
    for big, part in zip(padded, small, strict=True):
        big[: len(part), : part.shape[1]] = part
    padded[0][4:6] = rng.standard_normal((2, 3))  # read by neurons that nobody reads
    padded[1][4:6, :6] = rng.standard_normal((2, 6))
    padded[1][:4, 6] = 1.0  # a neuron without a row, read by all
    exact = semidefinite_bound(from_arrays(small)).bound.upper
    result = semidefinite_bound(from_arrays(padded))
    assert result.bound.upper == pytest.approx(exact, rel=1e-7)
    assert prove_multipliers(
        feed_forward(from_arrays(padded)), result.multipliers, result.bound.upper
    )


def test_duplicated_neurons_count_once_if_they_share_their_weight():
    weights = normal_weights((3, 5, 2), np.random.default_rng(8))
    doubled = [np.concatenate([weights[0]] * 2), np.concatenate([0.5 * weights[1]] * 2, axis=1)]
    once = semidefinite_bound(from_arrays(weights)).bound.upper
    assert semidefinite_bound(from_arrays(doubled)).bound.upper == pytest.approx(once, rel=1e-7)


@pytest.mark.parametrize("powers", [(150, -150, 0), (-150, 150, 0), (300, -300, 0), (-300, 0, 0)])
def test_layers_of_very_different_size_lose_nothing(powers):
    weights = normal_weights((3, 5, 4, 2), np.random.default_rng(9))
    scaled = [np.ldexp(w, p) for w, p in zip(weights, powers, strict=True)]
    expected = np.ldexp(semidefinite_bound(from_arrays(weights)).bound.upper, sum(powers))
    result = semidefinite_bound(from_arrays(scaled))
    assert result.bound.upper == pytest.approx(float(expected), rel=1e-7)


def test_what_no_multipliers_can_hold_is_bounded_by_the_product():
    weights = [np.ldexp(w, 330) for w in normal_weights((3, 4, 2, 1), np.random.default_rng(10))]
    result = semidefinite_bound(from_arrays(weights))
    assert result.method == "product of norms"
    assert result.multipliers == ()
    with pytest.raises(NotCertified, match="rescale"):
        semidefinite_bound(from_arrays([np.ldexp(w, 300) for w in weights]))


def test_neurons_that_are_always_on_or_always_off():
    rng = np.random.default_rng(11)
    weights = normal_weights((6, 8, 8, 2), rng)
    lower = [rng.choice([0.0, 1.0], 8) for _ in range(2)]
    upper = [np.where(rng.random(8) < 0.5, 1.0, a) for a in lower]
    net = FeedForward.exact(weights, slope_lower=lower, slope_upper=upper)
    bound = semidefinite_bound(net)
    free = semidefinite_bound(with_slopes(weights, 0.0, 1.0))
    assert bound.bound.upper <= free.bound.upper * (1.0 + 1e-6)
    middle = weights[2] @ (upper[1][:, None] * weights[1]) @ (upper[0][:, None] * weights[0])
    assert bound.bound.upper >= np.linalg.norm(middle, 2) * (1.0 - 1e-12)


# ---- time, memory, arguments ---------------------------------------------------------------------
def test_an_infeasible_time_limit_returns_what_is_proved_so_far():
    network = from_arrays(normal_weights((10, 40, 40, 1), np.random.default_rng(12)))
    result = semidefinite_bound(network, time_limit=1e-9)
    assert "closed form" in result.method
    assert prove_multipliers(feed_forward(network), result.multipliers, result.bound.upper)


def test_a_network_too_large_for_memory_is_refused_with_a_way_out():
    network = from_arrays(normal_weights((300, 300, 1), np.random.default_rng(13)))
    with pytest.raises(NotCertified, match=r"\d+ bytes.*split the network"):
        feed_forward(network, memory_limit=10**6)


def test_bad_arguments_are_named():
    network = from_arrays([[[1.0]], [[1.0]]])
    with pytest.raises(ValueError, match="`effort`"):
        semidefinite_bound(network, effort="most")
    with pytest.raises(ValueError, match="`time_limit`"):
        semidefinite_bound(network, time_limit=0.0)
    with pytest.raises(ValueError, match="`rtol`"):
        semidefinite_bound(network, rtol=-1.0)
    with pytest.raises(TypeError, match="`network` must be a Network or a FeedForward"):
        semidefinite_bound([np.ones((1, 1))])


def test_maximum_pooling_is_no_slope_and_is_refused_by_name():
    pool = MaxPool(input_shape=(1, 4), kernel_size=2, stride=2)
    network = Network(input_shape=(1, 4), nodes=chain([("pool", pool)]))
    with pytest.raises(NotCertified, match="'pool'"):
        feed_forward(network)


def test_a_residual_network_is_no_chain():
    dense = Dense(weight=np.eye(2))
    relu = Activation(kind="relu", input_shape=(2,))
    nodes = [
        Node(name="dense", layer=dense, inputs=(0,)),
        Node(name="relu", layer=relu, inputs=(1,)),
        Node(name="sum", layer=Add(input_shape=(2,), count=2), inputs=(0, 2)),
    ]
    with pytest.raises(NotCertified, match="residual"):
        feed_forward(Network(input_shape=(2,), nodes=nodes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": ()}, "at least one matrix"),
        ({"weights": (np.ones((2, 3)), np.ones((1, 3)))}, "must take the 2 outputs"),
        ({"weights": (np.full((2, 3), np.nan), np.ones((1, 2)))}, "must be finite"),
        ({"errors": (-np.ones((2, 3)), np.ones((1, 2)))}, "must not be negative"),
        ({"errors": (np.ones((2, 3)),)}, "must hold 2 arrays"),
        ({"slope_lower": (np.ones(3),)}, "must have shape"),
        ({"slope_lower": (np.full(2, 2.0),)}, "must not exceed"),
    ],
)
def test_a_chain_that_fits_nowhere_is_refused(change, message):
    fields = {
        "weights": (np.ones((2, 3)), np.ones((1, 2))),
        "errors": (np.zeros((2, 3)), np.zeros((1, 2))),
        "slope_lower": (np.zeros(2),),
        "slope_upper": (np.ones(2),),
    }
    with pytest.raises(ValueError, match=message):
        FeedForward(**(fields | change))


@pytest.mark.parametrize("seed", [3, 40, 103])
def test_weights_from_1e_minus_150_to_1e100_warn_nobody(seed: int) -> None:
    # Warnings are errors here. Seed 103 overflows in an optimiser, the others do not.
    rng = np.random.default_rng([3, seed])
    sizes = rng.integers(1, 4, 4).tolist()
    shapes = [(m, n) for n, m in pairwise(sizes)]
    weights = [rng.standard_normal(s) * 10.0 ** rng.uniform(-150, 100, s) for s in shapes]
    found = semidefinite_bound(from_arrays(weights), time_limit=1.0)
    assert 0.0 <= found.primal <= found.bound.upper < math.inf
