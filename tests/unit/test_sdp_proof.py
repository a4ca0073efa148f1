"""The checker of multipliers says no to everything that is not a proof."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from lipschitz.sdp import FeedForward, prove_multipliers, semidefinite_bound


def network(widths, seed, lower=0.0, upper=1.0):
    rng = np.random.default_rng(seed)
    hidden = widths[1:-1]
    return FeedForward.exact(
        [rng.standard_normal((m, n)) / math.sqrt(n) for n, m in pairwise(widths)],
        slope_lower=[np.full(n, lower) for n in hidden],
        slope_upper=[np.full(n, upper) for n in hidden],
    )


@pytest.fixture(scope="module", params=[(0.0, 1.0), (0.1, 1.0), (-0.13, 1.13)])
def proved(request):
    net = network((6, 12, 9, 2), 0, *request.param)
    return net, semidefinite_bound(net)


def test_the_multipliers_found_are_accepted(proved):
    net, result = proved
    assert prove_multipliers(net, result.multipliers, result.bound.upper)


def test_no_multipliers_prove_less_than_the_optimum(proved):
    # The primal value is the optimum up to the gap, which is below 1e-7.
    net, result = proved
    assert result.gap < 1e-7
    assert not prove_multipliers(net, result.multipliers, result.bound.upper * (1.0 - 1e-6))


def test_every_multiplier_matters(proved):
    net, result = proved
    for i, t in enumerate(result.multipliers):
        for j in range(len(t)):
            for factor in (0.5, 2.0):
                changed = [s.copy() for s in result.multipliers]
                changed[i][j] *= factor
                assert not prove_multipliers(net, changed, result.bound.upper)


@pytest.mark.parametrize("value", [-1.0, 0.0, math.nan, math.inf, -math.inf])
def test_multipliers_that_are_not_positive_and_finite_are_rejected(proved, value):
    net, result = proved
    changed = [t.copy() for t in result.multipliers]
    changed[1][3] = value
    assert not prove_multipliers(net, changed, result.bound.upper)


@pytest.mark.parametrize("upper", [math.nan, math.inf, 0.0, -1.0, 1e-320])
def test_constants_that_bound_nothing_are_rejected(proved, upper):
    net, result = proved
    assert not prove_multipliers(net, result.multipliers, upper)


def test_multipliers_of_other_shapes_are_rejected(proved):
    net, result = proved
    first, second = result.multipliers
    upper = result.bound.upper
    for wrong in [(), (first,), (second, first), (first, second[:-1]), (first[:, None], second)]:
        assert not prove_multipliers(net, wrong, upper)
    assert not prove_multipliers(net, (first, second, second), upper)


def test_multipliers_of_another_network_are_rejected(proved):
    net, result = proved
    other = FeedForward.exact(
        [net.weights[0], 1.001 * net.weights[1], net.weights[2]],
        slope_lower=net.slope_lower,
        slope_upper=net.slope_upper,
    )
    assert not prove_multipliers(other, result.multipliers, result.bound.upper)


def test_wider_slopes_are_not_proved_by_multipliers_for_narrow_ones(proved):
    net, result = proved
    wider = FeedForward.exact(
        net.weights, slope_lower=net.slope_lower, slope_upper=[b + 1e-3 for b in net.slope_upper]
    )
    assert not prove_multipliers(wider, result.multipliers, result.bound.upper)


def test_a_larger_constant_with_multipliers_in_proportion_is_proved(proved):
    net, result = proved
    larger = [1.5625 * t for t in result.multipliers]
    assert prove_multipliers(net, larger, 1.25 * result.bound.upper * (1.0 + 1e-7))


def test_powers_of_two_change_nothing(proved):
    net, result = proved
    scaled = FeedForward.exact(
        [np.ldexp(net.weights[0], 200), net.weights[1], np.ldexp(net.weights[2], -350)],
        slope_lower=net.slope_lower,
        slope_upper=net.slope_upper,
    )
    # t scales with rho, and against the square of its layer's size.
    multipliers = [np.ldexp(t, -300 - 400) for t in result.multipliers]
    upper = math.ldexp(result.bound.upper, -150)
    assert prove_multipliers(scaled, multipliers, upper)
    assert not prove_multipliers(scaled, multipliers, upper * (1.0 - 1e-6))


@pytest.mark.parametrize("widths", [(3, 40, 2), (40, 3, 2), (2, 5, 40), (4, 2), (1, 1, 1)])
def test_the_proof_costs_less_than_one_part_in_a_hundred_million(widths):
    net = network(widths, 1)
    result = semidefinite_bound(net, effort="fast")
    shrunk = result.bound.upper * (1.0 - 1e-8)
    lowered = [t * (1.0 - 1e-8) ** 2 for t in result.multipliers]
    # The slack may cost 4e-9, and the recursion itself is far more accurate than that.
    assert not prove_multipliers(net, lowered, shrunk)


def test_the_proof_of_a_matrix_norm_is_sharp():
    net = FeedForward.exact([[[3.0, 4.0]]], slope_lower=(), slope_upper=())
    assert prove_multipliers(net, (), 5.0 * (1.0 + 1e-13))
    assert not prove_multipliers(net, (), 5.0 * (1.0 - 1e-15))


def test_depth_sixty_four_is_proved_with_little_inflation():
    net = network((16,) * 65 + (3,), 2)
    result = semidefinite_bound(net, effort="fast")
    lowered = [t * (1.0 - 1e-7) ** 2 for t in result.multipliers]
    assert prove_multipliers(net, result.multipliers, result.bound.upper)
    assert not prove_multipliers(net, lowered, result.bound.upper * (1.0 - 1e-7))


# ---- what a general solver calls optimal ---------------------------------------------------------
@pytest.mark.parametrize("solver", ["SCS", "CLARABEL"])
def test_a_general_solvers_optimal_value_is_refused(solver):
    # Random weights in the shape of LipSDP's example; both solvers say "optimal" and stop outside
    # of the cone, at values below the optimum.
    pytest.importorskip("cvxpy")
    from benchmarks.sdp_peers import peer_is_proved, solve_lmi

    net = network((2, 6, 8, 5, 2), 0)
    peer = solve_lmi(net, solver)
    ours = semidefinite_bound(net)
    assert peer.status == "optimal"
    assert peer.value == pytest.approx(ours.bound.upper, rel=1e-2)
    assert not peer_is_proved(net, peer)
    assert prove_multipliers(net, ours.multipliers, ours.bound.upper)
