"""Local l1 and l-infinity constants: exact on the line, proved whatever the solver says."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from evidence import NotCertified
from lipschitz.domains import Ball, Box
from lipschitz.linear_bounds import bound_values
from lipschitz.lower import verify_witness
from lipschitz.milp import local_constant_milp
from lipschitz.milp_chain import layered_chain
from lipschitz.milp_model import Layered, gradient_program, safe_minimum
from lipschitz.milp_solver import middle_of_region, relaxed_optimum
from lipschitz.network import Network
from lipschitz.sweeps import HardGates
from tests.exact_networks import mlp, norm_power, slopes_on_the_line

INF = math.inf


def random_mlp(rng: np.random.Generator, sizes: tuple[int, ...], kind: str = "relu") -> Network:
    weights = [rng.standard_normal((m, n)) for n, m in itertools.pairwise(sizes)]
    return mlp(weights, [rng.standard_normal(len(w)) for w in weights], kind)


def steepest(network: Network, points: np.ndarray, norm: float) -> float:
    gates = HardGates(network, points)
    columns = [gates.push(np.broadcast_to(e, points.shape)) for e in np.eye(points.shape[1])]
    return max(float(np.linalg.norm(j, norm)) for j in np.stack(columns, axis=-1))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("norm", [1, INF])
def test_constants_on_the_line_are_enclosed_and_closed(seed: int, norm: float) -> None:
    rng = np.random.default_rng([90, seed])
    network = random_mlp(rng, (1, 4, 3, 2), ["relu", "leaky_relu"][seed % 2])
    # So wide a box meets every piece of these networks with room.
    found = local_constant_milp(network, Box([-1e3], [1e3]), norm=norm, rng=rng, rtol=1e-5)
    exact = max(norm_power(slope, norm) for slope in slopes_on_the_line(network))
    assert Fraction(found.bound.lower) <= exact <= Fraction(found.bound.upper)
    assert found.finished
    # The twin: an upper side that is wrong in the sixth digit would be noticed.
    assert Fraction(found.bound.upper) * (1 - Fraction(1, 10**4)) < exact


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("norm", [1, INF])
def test_sampled_slopes_stay_below_and_witnesses_hold(seed: int, norm: float) -> None:
    rng = np.random.default_rng([91, seed])
    sizes = (int(rng.integers(2, 4)), 5, 4, int(rng.integers(1, 4)))
    network = random_mlp(rng, sizes, ["relu", "leaky_relu"][seed % 2])
    center = rng.standard_normal(sizes[0])
    box = Box(center - 0.5, center + 0.5)
    found = local_constant_milp(network, box, norm=norm, rng=rng, time_limit=5.0)
    assert steepest(network, box.sample(rng, 500), norm) <= found.bound.upper * (1 + 1e-10)
    assert found.bound.rtol <= 1e-5 or not found.finished
    if found.bound.lower > 0.0:
        proved = verify_witness(network, found.point, found.direction, norm=norm)
        assert proved == pytest.approx(found.bound.lower, rel=1e-6)
    if found.finished and math.isfinite(found.solver_lower):
        # The solver's own tolerances are 1e-6 and so.
        assert found.solver_lower == pytest.approx(found.bound.upper, rel=1e-4)


def test_weights_that_a_solver_drops_do_not_make_the_bound_wrong() -> None:
    network = mlp(
        [[[1.0, 1e-37], [-1.0, 1e-37]], [[2.0, 3e-37], [1e-37, 1.0]], [[1.0, -1.0]]],
        [[0.0, 0.5], [0.1, -0.2], [0.0]],
    )
    box, rng = Box([-1.0, -1.0], [1.0, 1.0]), np.random.default_rng(92)
    found = local_constant_milp(network, box, norm=INF, rng=rng, time_limit=5.0)
    assert steepest(network, box.sample(rng, 2000), INF) <= found.bound.upper
    assert found.bound.upper < 10.0


@pytest.mark.parametrize("norm", [1, INF])
def test_any_multipliers_give_a_bound(norm: float) -> None:
    rng = np.random.default_rng(93)
    network = random_mlp(rng, (2, 5, 5, 1))
    box = Box([-1.0, -1.0], [1.0, 1.0])
    chain = layered_chain(network.fold())
    bounds = bound_values(chain.network, box)
    assert bounds is not None
    program = gradient_program(chain.layered(bounds), forward=norm == 1, index=0)
    gates = HardGates(network, box.sample(rng, 500))
    row = gates.pull(np.ones((500, 1)))
    largest = np.abs(row).sum(axis=1).max() if norm == INF else np.abs(row[:, 0]).max()
    best = -relaxed_optimum(program).upper
    for _ in range(20):
        y = rng.standard_normal(len(program.right)) * 10.0 ** rng.uniform(-3, 3)
        assert -safe_minimum(program, y) >= largest
        assert safe_minimum(program, y) <= best + 1e-6 * abs(best)
    assert -best >= largest


def test_no_time_still_gives_an_enclosure() -> None:
    rng = np.random.default_rng(94)
    network = random_mlp(rng, (3, 10, 10, 2))
    box = Box(-np.ones(3), np.ones(3))
    found = local_constant_milp(network, box, norm=INF, rng=rng, time_limit=1e-9)
    assert not found.finished
    assert math.isnan(found.solver_lower)
    assert steepest(network, box.sample(rng, 300), INF) <= found.bound.upper < INF


def test_a_network_without_undecided_gates_needs_no_tree() -> None:
    rng = np.random.default_rng(95)
    network = random_mlp(rng, (3, 6, 2))
    center = rng.standard_normal(3)
    found = local_constant_milp(network, Box(center, center + 1e-9), norm=INF, rng=rng)
    assert found.unstable == 0
    assert found.bound.upper == pytest.approx(steepest(network, center[None], INF), rel=1e-9)


def test_what_is_no_program_is_refused() -> None:
    rng = np.random.default_rng(96)
    network = random_mlp(rng, (2, 3, 1))
    with pytest.raises(TypeError, match="`domain` must be a Box"):
        local_constant_milp(network, Ball([0.0, 0.0], 1.0), norm=1, rng=rng)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`norm` must be one of"):
        local_constant_milp(network, Box([0.0, 0.0], [1.0, 1.0]), norm=2, rng=rng)
    with pytest.raises(ValueError, match="`time_limit` must be positive"):
        local_constant_milp(network, ([0.0, 0.0], [1.0, 1.0]), norm=1, rng=rng, time_limit=0.0)
    smooth = random_mlp(rng, (2, 3, 1), "tanh")
    with pytest.raises(NotCertified, match="not piecewise linear"):
        local_constant_milp(smooth, Box([0.0, 0.0], [1.0, 1.0]), norm=1, rng=rng)


@pytest.mark.parametrize("left", [-0.5, 0.0, 0.25, 1.0])
@pytest.mark.parametrize("forward", [True, False])
def test_an_argument_that_is_zero_throughout_proves_nothing_empty(left, forward):
    one, zero = np.ones((1, 1)), np.zeros((1, 1))
    flat = Layered(
        weights=[one, 3.0 * one],
        errors=[zero, zero],
        biases=[np.zeros(1)],
        bias_errors=[np.zeros(1)],
        lower=[np.zeros(1), np.zeros(1)],
        upper=[np.ones(1), np.zeros(1)],
        left=[left],
    )
    # At the kink either slope may be the one that counts: 3 left or 3.
    assert relaxed_optimum(gradient_program(flat, forward=forward, index=0)).upper >= 3.0


@pytest.mark.parametrize("left", [-0.5, 0.0, 0.25])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_an_argument_of_one_sign_has_its_slope(left, side):
    one, zero = np.ones((1, 1)), np.zeros((1, 1))
    low, high = (0.0, 1.0) if side > 0 else (-1.0, 0.0)
    decided = Layered(
        weights=[one, 3.0 * one],
        errors=[zero, zero],
        biases=[np.zeros(1)],
        bias_errors=[np.zeros(1)],
        lower=[np.array([low]), np.array([low])],
        upper=[np.array([high]), np.array([high])],
        left=[left],
    )
    slope = 3.0 if side > 0 else 3.0 * abs(left)
    upper = relaxed_optimum(gradient_program(decided, forward=True, index=0)).upper
    # A dozen roundings of numbers of this size.
    assert slope <= upper <= slope + 1e-13


@pytest.mark.parametrize("size", [1e200, 1e308])
def test_a_region_whose_norms_overflow_has_no_middle_and_warns_nobody(size):
    rows = np.full((2, 2), size)
    chain = Layered(
        weights=[rows, rows, np.ones((1, 2))],
        errors=[0.0 * rows, 0.0 * rows, np.zeros((1, 2))],
        biases=[np.ones(2), np.ones(2)],
        bias_errors=[np.zeros(2), np.zeros(2)],
        lower=[np.zeros(2), np.zeros(2), np.zeros(2)],
        upper=[np.ones(2), np.ones(2), np.ones(2)],
        left=[0.0, 0.0],
    )
    assert middle_of_region(chain, [np.ones(2, bool), np.ones(2, bool)]) is None
