"""Local constants: witnesses below, proofs above, and what happens as a domain shrinks or grows."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from evidence import NotCertified
from lipschitz.domains import Ball, Box
from lipschitz.layers import Activation, Add, Convolution, Dense, MaxPool, Reshape
from lipschitz.linear_bounds import bound_values
from lipschitz.local import local_bound
from lipschitz.local_form import jacobian_interval, norm_above, slope_form
from lipschitz.local_sdp import form_is_positive, semidefinite_norm
from lipschitz.lower import verify_witness
from lipschitz.network import Network, Node, chain
from lipschitz.operators import NORMS
from lipschitz.sweeps import HardGates
from tests.exact_networks import exact_value, mlp, norm_power, pieces_on_the_line

INF = math.inf
KINDS = ["relu", "leaky_relu", "tanh", "sigmoid", "softplus", "elu"]


def random_mlp(rng: np.random.Generator, sizes: tuple[int, ...], kind: str = "relu") -> Network:
    weights = [rng.standard_normal((m, n)) for n, m in itertools.pairwise(sizes)]
    return mlp(weights, [rng.standard_normal(len(w)) for w in weights], kind)


def jacobians(network: Network, points: np.ndarray) -> np.ndarray:
    """Shape (points, outputs, inputs)."""
    gates, size = HardGates(network, points), math.prod(network.input_shape)
    columns = []
    for unit in np.eye(size):
        direction = np.broadcast_to(unit.reshape(network.input_shape), points.shape)
        columns.append(gates.push(direction).reshape(len(points), -1))
    return np.stack(columns, axis=-1)


def steepest(network: Network, points: np.ndarray, norm: float) -> float:
    return max(float(np.linalg.norm(j, norm)) for j in jacobians(network, points))


# ---- both sides ----------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(200))
def test_sampled_slopes_and_witnesses_stay_below_the_upper_side(seed: int) -> None:
    rng = np.random.default_rng([70, seed])
    kind, norm = KINDS[seed % 6], NORMS[seed // 6 % 3]
    sizes = (*rng.integers(1, 6, 3).tolist(), int(rng.integers(1, 4)))
    network = random_mlp(rng, sizes, kind)
    center, radius = rng.standard_normal(sizes[0]), 10.0 ** rng.uniform(-3, 1)
    boxes = Box(center - radius, center + radius), Ball(center, radius)
    domain = boxes[seed // 18 % 2]
    found = local_bound(network, domain, norm=norm, rng=rng, time_limit=0.05)
    # Jacobians in floating point are correct to a few units of 1e-14 in sizes as small as these.
    assert steepest(network, domain.sample(rng, 100), norm) <= found.bound.upper * (1 + 1e-10)
    assert found.bound.lower <= found.bound.upper
    if found.bound.lower > 0.0 and found.direction.any():
        proved = verify_witness(network, found.point, found.direction, norm=norm)
        assert proved == pytest.approx(found.bound.lower, rel=1e-6)


def exact_on_segment(network: Network, low: Fraction, high: Fraction, norm: float) -> Fraction:
    """Largest slope of the pieces that meet ``(low, high)``, between two exact points of each."""
    best = Fraction(0)
    for p, q in pieces_on_the_line(network):
        slope = [
            (b - a) / (q - p)
            for a, b in zip(
                exact_value(network, [p])[-1], exact_value(network, [q])[-1], strict=True
            )
        ]
        cuts = [c for c in (p, q) if low < c < high]
        if cuts:
            best = max(best, norm_power(slope, norm))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_the_enclosure_closes_on_the_exact_constant_of_a_segment(seed: int) -> None:
    rng = np.random.default_rng([71, seed])
    network = random_mlp(rng, (1, 4, 3, 2), ["relu", "leaky_relu"][seed % 2])
    for norm in NORMS:
        found = local_bound(network, Box([-1.0], [1.0]), norm=norm, rng=rng, rtol=1e-6)
        exact = exact_on_segment(network, Fraction(-1), Fraction(1), norm)
        upper = Fraction(found.bound.upper) ** (2 if norm == 2 else 1)
        # Pieces are represented by two of their points, which may both lie outside.
        assert upper >= exact
        assert found.finished
        assert found.bound.rtol <= 1e-6


def test_a_domain_inside_one_piece_has_the_norm_of_its_jacobian() -> None:
    rng = np.random.default_rng(72)
    network = random_mlp(rng, (3, 8, 8, 2))
    center = rng.standard_normal(3)
    for norm in NORMS:
        expected = steepest(network, center[None], norm)
        found = local_bound(network, Ball(center, 1e-7), norm=norm, rng=rng, time_limit=2.0)
        assert found.bound.lower == pytest.approx(expected, rel=1e-9)
        assert found.bound.upper == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", ["tanh", "softplus", "elu"])
def test_smooth_constants_shrink_to_the_jacobian_at_the_centre(kind: str) -> None:
    rng = np.random.default_rng(73)
    network = random_mlp(rng, (2, 6, 6, 1), kind)
    center = rng.standard_normal(2)
    expected = steepest(network, center[None], 2)
    gaps = []
    for radius in (1e-1, 1e-2, 1e-3, 1e-4):
        bounds = bound_values(network, Ball(center, radius))
        assert bounds is not None
        gaps.append(semidefinite_norm(slope_form(bounds), rtol=1e-6)[0] / expected - 1.0)
    assert gaps == sorted(gaps, reverse=True)
    assert 0.0 <= gaps[-1] < 1e-2


def test_bounds_grow_with_the_domain_and_balls_lie_in_boxes() -> None:
    rng = np.random.default_rng(74)
    network = random_mlp(rng, (2, 10, 10, 1))
    center = rng.standard_normal(2)
    before = 0.0
    for radius in (1e-3, 1e-2, 1e-1, 1.0, 10.0):
        uppers = []
        for domain in (Ball(center, radius), Box(center - radius, center + radius)):
            bounds = bound_values(network, domain)
            assert bounds is not None
            uppers.append(semidefinite_norm(slope_form(bounds), rtol=1e-6)[0])
        # The search stops at a relative gap of 1e-6.
        assert uppers[0] <= uppers[1] * (1.0 + 1e-5)
        assert before <= uppers[0] * (1.0 + 1e-5)
        before = uppers[0]


def test_cutting_closes_what_the_whole_domain_leaves_open() -> None:
    rng = np.random.default_rng(75)
    network = random_mlp(rng, (2, 8, 8, 1))
    domain = Box([-1.0, -1.0], [1.0, 1.0])
    whole = local_bound(network, domain, rng=np.random.default_rng(1), rtol=10.0)
    cut = local_bound(network, domain, rng=np.random.default_rng(1), rtol=0.02, time_limit=20.0)
    assert whole.pieces == 1 < cut.pieces
    assert cut.finished
    assert cut.bound.upper < whole.bound.upper
    assert cut.bound.upper <= cut.bound.lower * 1.02 * (1.0 + 1e-12)


# ---- structure -----------------------------------------------------------------------------------
def test_residual_networks_are_bounded_by_their_own_form() -> None:
    rng = np.random.default_rng(76)
    gate = Activation(kind="relu", input_shape=(5,))
    nodes = (
        Node(name="a", layer=Dense(weight=rng.standard_normal((5, 3))), inputs=(0,)),
        Node(name="a gate", layer=gate, inputs=(1,)),
        Node(name="b", layer=Dense(weight=rng.standard_normal((5, 5))), inputs=(2,)),
        Node(name="b gate", layer=gate, inputs=(3,)),
        Node(name="sum", layer=Add(input_shape=(5,), count=2), inputs=(4, 2)),
        Node(name="out", layer=Dense(weight=rng.standard_normal((2, 5))), inputs=(5,)),
    )
    network = Network(input_shape=(3,), nodes=nodes)
    domain = Ball(np.zeros(3), 1.0)
    for norm in NORMS:
        found = local_bound(network, domain, norm=norm, rng=rng, time_limit=2.0)
        assert steepest(network, domain.sample(rng, 500), norm) <= found.bound.upper
        assert found.bound.upper < 10.0 * found.bound.lower


def test_images_with_maxima_get_the_bound_of_the_composition() -> None:
    rng = np.random.default_rng(77)
    layers = [
        ("conv", Convolution(kernel=rng.standard_normal((2, 1, 3, 3)), input_shape=(1, 6, 6))),
        ("relu", Activation(kind="relu", input_shape=(2, 4, 4))),
        ("max", MaxPool(input_shape=(2, 4, 4), kernel_size=2, stride=2)),
        ("flat", Reshape(input_shape=(2, 2, 2), target_shape=(8,))),
        ("out", Dense(weight=rng.standard_normal((2, 8)))),
    ]
    network = Network(input_shape=(1, 6, 6), nodes=chain(layers))
    domain = Ball(rng.standard_normal((1, 6, 6)), 0.5)
    found = local_bound(network, domain, rng=rng, time_limit=1.0)
    assert steepest(network, domain.sample(rng, 200), 2) <= found.bound.upper < INF


def test_axes_that_cannot_vary_do_not_count() -> None:
    network = mlp([[[3.0, 100.0]], [[1.0]]], [[0.0], [0.0]])
    found = local_bound(network, Box([1.0, 1.0], [2.0, 1.0]), rng=np.random.default_rng(78))
    assert found.bound.upper == pytest.approx(3.0, rel=1e-9)
    assert found.bound.lower == pytest.approx(3.0, rel=1e-9)


# ---- the parts -----------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(10))
def test_jacobians_lie_in_their_interval_and_the_semidefinite_bound_is_below_it(seed: int) -> None:
    rng = np.random.default_rng([79, seed])
    network = random_mlp(rng, (3, 8, 8, 2), KINDS[seed % 6])
    domain = Ball(rng.standard_normal(3), 10.0 ** rng.uniform(-1, 1))
    bounds = bound_values(network, domain)
    assert bounds is not None
    form = slope_form(bounds)
    center, radius = jacobian_interval(form)
    seen = jacobians(network, domain.sample(rng, 300))
    assert (np.abs(seen - center) <= radius + 1e-10 * (1.0 + np.abs(center))).all()
    upper, multipliers = semidefinite_norm(form, rtol=1e-4)
    assert np.linalg.norm(seen, 2, axis=(1, 2)).max() <= upper
    assert upper <= norm_above((center, radius), 2) * (1.0 + 1e-3)
    # The proof stands for itself, and a bound one percent smaller has none by these multipliers.
    assert form_is_positive(form, multipliers, upper * upper)
    assert form.unknowns == 0 or not form_is_positive(form, multipliers, 0.98 * upper * upper)


def test_multipliers_that_are_negative_or_not_numbers_prove_nothing() -> None:
    network = mlp([[[1.0], [-1.0]], [[1.0, -1.0]]], [[0.0, 0.0], [0.0]])
    bounds = bound_values(network, Box([-1.0], [1.0]))
    assert bounds is not None
    form = slope_form(bounds)
    assert form_is_positive(form, np.array([2.0, 2.0]), 4.001)
    assert not form_is_positive(form, np.array([2.0, -2.0]), 1e9)
    assert not form_is_positive(form, np.array([2.0, math.nan]), 4.001)
    assert not form_is_positive(form, np.array([2.0, 2.0]), math.nan)


def test_undecided_maxima_have_no_slopes() -> None:
    pool = MaxPool(input_shape=(1, 4), kernel_size=2, stride=2)
    bounds = bound_values(
        Network(input_shape=(1, 4), nodes=chain([("max", pool)])),
        Box(np.zeros((1, 4)), np.ones((1, 4))),
    )
    assert bounds is not None
    with pytest.raises(NotCertified, match="has no slopes"):
        slope_form(bounds)


# ---- time and bad input --------------------------------------------------------------------------
@pytest.mark.parametrize("norm", NORMS)
def test_no_time_still_gives_an_enclosure(norm: float) -> None:
    rng = np.random.default_rng(80)
    network = random_mlp(rng, (5, 20, 20, 3))
    found = local_bound(network, Ball(np.zeros(5), 1.0), norm=norm, rng=rng, time_limit=1e-9)
    assert not found.finished
    assert 0.0 <= found.bound.lower <= found.bound.upper < INF


def test_overflowing_domains_get_what_composition_proves() -> None:
    network = mlp([[[1e200]], [[1e-200]]], [[0.0], [0.0]])
    found = local_bound(network, Box([0.0], [1e200]), rng=np.random.default_rng(81), time_limit=0.5)
    assert found.bound.upper == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"norm": 3}, "`norm` must be one of"),
        ({"rtol": 0.0}, "`rtol` must be positive"),
        ({"time_limit": -1.0}, "`time_limit` must be positive"),
        ({"rng": 7}, "`rng` must be a numpy.random.Generator"),
        ({"domain": Ball([0.0, 0.0], 1.0)}, "`domain` must have the network's input shape"),
        ({"domain": 5.0}, "`domain` must be a Box, a Ball or a pair"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    network = mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    options: dict[str, object] = {
        "rng": np.random.default_rng(82),
        "domain": Box([0.0], [1.0]),
        **arguments,
    }
    with pytest.raises((ValueError, TypeError), match=message):
        local_bound(network, **options)  # type: ignore[arg-type]


def test_a_domain_declared_empty_keeps_the_bound_of_the_whole(monkeypatch):
    rng = np.random.default_rng(71)
    network, box = random_mlp(rng, (4, 8, 8, 2)), Box(-np.ones(4), np.ones(4))
    monkeypatch.setattr("lipschitz.local.halves", lambda piece, *, deadline: None)
    whole = local_bound(network, box, rtol=1e-9, rng=np.random.default_rng(0))
    monkeypatch.setattr("lipschitz.local.halves", lambda piece, *, deadline: [])
    found = local_bound(network, box, rtol=1e-9, rng=np.random.default_rng(0))
    assert not whole.finished
    assert found.bound.upper == whole.bound.upper < math.inf


def test_a_domain_whose_values_overflow_keeps_the_product_of_norms():
    network = mlp(
        [np.full((2, 1), 1e200), np.full((1, 2), 1e200), np.array([[1e-300]])],
        [np.full(2, 1e150), np.full(1, 0.0), np.zeros(1)],
        "relu",
    )
    found = local_bound(network, Box([-1e100], [1e100]), rng=np.random.default_rng(0), time_limit=1)
    assert 0.0 <= found.bound.lower <= found.bound.upper
