"""Splitting a network: cuts through which everything passes, pieces that prove the whole."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from lipschitz.layers import Activation, Add, Dense
from lipschitz.lower import lower_bound
from lipschitz.network import Network, Node
from lipschitz.product import product_bound
from lipschitz.readers.read_arrays import from_arrays
from lipschitz.sdp.graph_matrices import graph_memory
from lipschitz.sdp.split import split_bound
from lipschitz.sdp.split_pieces import (
    SplitPiece,
    cut_values,
    piece_network,
    product_of,
    prove_split,
    windows,
)
from tests.graph_networks import Builder, largest_slope, random_graph, with_max_pooling


def deep_residual(rng: np.random.Generator, blocks: int = 3, width: int = 6) -> Network:
    build = Builder(rng, (width,))
    build.dense(width)
    trunk = build.gate("relu")
    for _ in range(blocks):
        build.dense(width, trunk)
        build.gate("relu")
        branch = build.dense(width)
        build.put(Add(input_shape=(width,)), trunk, branch)
        trunk = build.gate("relu")
    build.dense(2)
    return build.network()


# ---- cuts ---------------------------------------------------------------------------------------
def test_a_network_is_the_composition_of_its_pieces() -> None:
    rng = np.random.default_rng(60)
    for seed in range(20):
        network = random_graph(np.random.default_rng([60, seed])).fold()
        cuts = cut_values(network)
        x = rng.standard_normal((5, *network.input_shape))
        y = x
        for first, last in itertools.pairwise(cuts):
            y = piece_network(network, first, last).apply(y)
        np.testing.assert_array_equal(y, network.apply(x))


def test_there_is_no_cut_inside_a_residual_block() -> None:
    network = deep_residual(np.random.default_rng(61), blocks=1)
    # 0 input, 1 dense, 2 gate, 3 dense, 4 gate, 5 dense, 6 sum, 7 gate, 8 dense
    assert cut_values(network) == (0, 1, 2, 6, 7, 8)
    with pytest.raises(ValueError, match="cuts"):
        piece_network(network, 0, 4)
    assert windows(network) == ((0, 6), (0, 8), (2, 6), (2, 8))


# ---- soundness ----------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(10))
def test_the_bound_lies_between_attained_slopes_and_the_product(seed: int) -> None:
    for index in range(4):
        rng = np.random.default_rng([62, seed, index])
        network = random_graph(rng) if index else with_max_pooling(rng)
        found = split_bound(network, time_limit=2.0)
        # Steps of 1e-2 and more of numbers near 10: relative rounding below 1e-11.
        assert largest_slope(network, rng, 200) <= found.bound.upper * (1.0 + 1e-11)
        assert found.bound.upper <= product_bound(network).bound.upper
        assert prove_split(network, found.pieces, found.bound.upper)


def test_certified_slopes_stay_below_the_bound_of_pieces() -> None:
    rng = np.random.default_rng(63)
    network = deep_residual(rng)
    attained = lower_bound(network, rng=rng, starts=8, steps=60, time_limit=2.0).bound.lower
    needed = graph_memory(network.fold())
    for memory_limit in (needed, needed // 2, needed // 4):
        found = split_bound(network, time_limit=5.0, memory_limit=memory_limit)
        assert attained <= found.bound.upper <= product_bound(network).bound.upper


def test_less_memory_means_smaller_pieces_and_a_larger_bound() -> None:
    network = deep_residual(np.random.default_rng(64))
    needed = graph_memory(network.fold())
    whole = split_bound(network, time_limit=5.0)
    parts = split_bound(network, time_limit=5.0, memory_limit=needed // 2)
    assert [piece.rule for piece in whole.pieces] == ["multipliers"]
    assert sum(piece.rule == "multipliers" for piece in parts.pieces) >= 2
    assert whole.bound.upper < parts.bound.upper < parts.product
    assert prove_split(network, parts.pieces, parts.bound.upper)


def test_maximum_pooling_is_a_piece_of_its_own() -> None:
    network = with_max_pooling(np.random.default_rng(65))
    found = split_bound(network, time_limit=5.0)
    assert found.bound.upper < found.product
    kinds = {piece.rule for piece in found.pieces}
    assert kinds == {"layers", "multipliers"}


# ---- anytime ------------------------------------------------------------------------------------
def test_without_time_the_product_is_returned() -> None:
    network = deep_residual(np.random.default_rng(66))
    found = split_bound(network, time_limit=1e-6)
    assert found.bound.upper == found.product == product_bound(network).bound.upper
    assert [piece.rule for piece in found.pieces] == ["layers"]
    assert prove_split(network, found.pieces, found.bound.upper)


def test_without_memory_the_product_is_returned() -> None:
    network = deep_residual(np.random.default_rng(67))
    assert split_bound(network, memory_limit=1000).bound.upper <= product_bound(network).bound.upper


@pytest.mark.parametrize("limits", [{"time_limit": 0.0}, {"memory_limit": 0}])
def test_limits_must_be_positive(limits) -> None:
    with pytest.raises(ValueError, match="must be"):
        split_bound(from_arrays([[[1.0]]]), **limits)


# ---- corrupted certificates ---------------------------------------------------------------------
def test_every_corruption_of_the_pieces_is_rejected() -> None:
    network = deep_residual(np.random.default_rng(68))
    needed = graph_memory(network.fold())
    found = split_bound(network, time_limit=5.0, memory_limit=needed // 2)
    upper, pieces = found.bound.upper, found.pieces
    assert prove_split(network, pieces, upper)
    index = next(i for i, piece in enumerate(pieces) if piece.rule == "multipliers")

    def with_piece(**changes):
        return (*pieces[:index], replace(pieces[index], **changes), *pieces[index + 1 :])

    honest = pieces[index]
    assert not prove_split(network, pieces, upper * (1.0 - 1e-6))
    assert not prove_split(network, pieces[:-1], upper)
    assert not prove_split(network, pieces[1:], upper)
    assert not prove_split(network, (), upper)
    assert not prove_split(network, with_piece(upper=0.9 * honest.upper), upper)
    assert not prove_split(network, with_piece(upper=0.0), upper)
    assert not prove_split(network, with_piece(rule="layers", upper=0.9 * honest.upper), upper)
    assert not prove_split(network, with_piece(first=honest.first + 1), upper)
    assert not prove_split(network, with_piece(multipliers=()), upper)
    halved = tuple(1e-2 * t for t in honest.multipliers)
    assert not prove_split(network, with_piece(multipliers=halved), upper)


def test_a_detour_past_a_cut_is_no_certificate() -> None:
    # x + relu(-x) is not the composition of its layers one after the other.
    relu = Node(name="relu", layer=Activation(kind="relu", input_shape=(1,)), inputs=(1,))
    minus = Node(name="minus", layer=Dense(weight=[[-1.0]]), inputs=(0,))
    add = Node(name="add", layer=Add(input_shape=(1,)), inputs=(0, 2))
    network = Network(input_shape=(1,), nodes=(minus, relu, add))
    pieces = (
        SplitPiece(first=0, last=2, rule="layers", upper=1.0 + 1e-9),
        SplitPiece(first=2, last=3, rule="layers", upper=1.0 + 1e-9),
    )
    assert not prove_split(network, pieces, product_of(pieces))
