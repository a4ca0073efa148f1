"""Flips of gates on weights of any size: a search that may find nothing and never fails."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lipschitz import from_arrays
from lipschitz.facets import cross_facets
from lipschitz.local import local_bound
from lipschitz.milp import local_constant_milp


def _leaky(layer):
    return replace(layer, kind="leaky_relu", parameter=0.5) if hasattr(layer, "kind") else layer


def crossed(network, point, *, norm=2.0, seed=0):
    with np.errstate(all="ignore"):
        return cross_facets(
            network,
            norm=norm,
            point=np.asarray(point, float),
            direction=np.ones(len(point)),
            rounds=8,
            rng=np.random.default_rng(seed),
            deadline=math.inf,
            inside=lambda x: x,
            free=1.0,
        )


@pytest.mark.parametrize("seed", range(8))
def test_a_point_on_every_kink_at_once_is_no_error(seed):
    rng = np.random.default_rng([9, seed])
    network = from_arrays([rng.standard_normal((5, 3)), rng.standard_normal((2, 5))])
    # With ReLUs the slope at the origin would be 0, and no flip would promise anything.
    leaky = [replace(n, layer=_leaky(n.layer)) for n in network.nodes]
    value, _, _ = crossed(replace(network, nodes=tuple(leaky)), np.zeros(3), seed=seed)
    assert value > 0.0


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e150, 1e200, 1e308])
@pytest.mark.parametrize("seed", range(4))
def test_gains_and_arguments_that_vanish_or_overflow_are_no_error(size, seed):
    rng = np.random.default_rng([8, seed])
    weights = [size * rng.uniform(-1, 1, (6, 2)), rng.uniform(-1, 1, (2, 6)) / size**0.5]
    value, point, direction = crossed(from_arrays(weights), rng.standard_normal(2), seed=seed)
    assert not value < 0.0
    assert point.shape == direction.shape == (2,)


@pytest.mark.parametrize("bound", [local_bound, local_constant_milp])
@pytest.mark.parametrize("seed", range(3))
def test_weights_from_1e_minus_62_to_1e16_are_enclosed(bound, seed):
    weights = [
        [[-1.4901161193847656e-08], [-3.877409121342317e-26]],
        [
            [-3.602879701896397e16, -7.205759403792794e16],
            [1.458519205748705e-62, -9.723461371658034e-63],
        ],
    ]
    biases = [[2.635549485807631e-82, 0.0], [1.0587911840678754e-22, 4.421718300208356e-75]]
    network, box = from_arrays(weights, biases), ([0.0], [1.0])
    found = bound(network, box, norm=math.inf, rng=np.random.default_rng(seed), time_limit=5.0)
    # Beyond the kink at 2e-74 both ReLUs are shut, before it the first alone is open.
    slope = 1.4901161193847656e-08 * 3.602879701896397e16
    assert found.bound.upper >= slope * (1 - 1e-15)
    assert found.bound.lower <= slope * (1 + 1e-15)
