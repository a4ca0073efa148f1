"""What the listing of regions refuses, each in one sentence, and what it returns out of time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evidence import NotCertified
from lipschitz import from_arrays
from lipschitz.domains import Ball, Box
from lipschitz.layers import Activation, Add
from lipschitz.network import Network, Node
from lipschitz.rational_regions import exact_rational_constant
from lipschitz.regions import exact_by_regions


def test_more_than_three_inputs_are_refused_with_the_way_out():
    with pytest.raises(NotCertified, match=r"4 inputs.*one_hidden_constant"):
        exact_by_regions(from_arrays([np.ones((2, 4)), np.ones((1, 2))]))
    with pytest.raises(NotCertified, match="4 inputs"):
        exact_rational_constant(from_arrays([np.ones((2, 4)), np.ones((1, 2))]))


def test_activations_without_regions_are_refused():
    with pytest.raises(NotCertified, match=r"'tanh 1'.*no linear regions"):
        exact_by_regions(from_arrays([[[1.0]], [[1.0]]], activation="tanh"))


def test_residual_networks_are_refused():
    nodes = [
        Node(name="relu", layer=Activation(kind="relu", input_shape=(1,)), inputs=(0,)),
        Node(name="sum", layer=Add(input_shape=(1,)), inputs=(0, 1)),
    ]
    with pytest.raises(NotCertified, match=r"'sum'.*chains only"):
        exact_by_regions(Network(input_shape=(1,), nodes=tuple(nodes)))


@pytest.mark.parametrize(
    ("domain", "error", "words"),
    [
        (Ball([0.0, 0.0], 1.0), TypeError, "Box or a pair"),
        (Box([0.0, 0.0], [1.0, 0.0]), ValueError, "width in every axis"),
        ("box", TypeError, "Box"),
    ],
)
def test_bad_domains_are_named(domain, error, words):
    network = from_arrays([[[1.0, 1.0]], [[1.0]]])
    with pytest.raises(error, match=words):
        exact_by_regions(network, domain=domain)


def test_bad_options_are_named():
    network = from_arrays([[[1.0, 1.0]], [[1.0]]])
    with pytest.raises(ValueError, match="`norm`"):
        exact_by_regions(network, norm=3)
    with pytest.raises(ValueError, match="`time_limit`"):
        exact_by_regions(network, time_limit=0.0)
    with pytest.raises(ValueError, match="`most_regions`"):
        exact_rational_constant(network, most_regions=0)
    with pytest.raises(ValueError, match="nan"):
        from_arrays([[[math.nan]]])


def test_overflowing_values_are_refused():
    huge = from_arrays([[[1e300]], [[1e300]], [[1.0]]])
    with pytest.raises(NotCertified, match="overflow"):
        exact_by_regions(huge)


def test_when_time_or_room_is_short_other_bounds_are_returned():
    rng = np.random.default_rng(44)
    weights = [rng.standard_normal(shape) for shape in ((40, 2), (40, 40), (1, 40))]
    network = from_arrays(weights, [rng.standard_normal(40), rng.standard_normal(40), None])
    exact = exact_by_regions(network).bound
    for options in ({"time_limit": 1e-9}, {"most_cells": 10}):
        found = exact_by_regions(network, **options)
        assert not found.is_complete
        assert found.bound.contains(exact)
    with pytest.raises(NotCertified, match="more than `most_regions` = 10"):
        exact_rational_constant(network, most_regions=10)


def test_a_matrix_of_eigenvalues_is_no_fraction():
    with pytest.raises(NotCertified, match="eigenvalue"):
        exact_rational_constant(from_arrays([np.eye(2)]))
