"""Clipping, normalisation, orthogonal weights, sorting and penalties, by their theorems."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from evidence import spectral_norm_enclosure
from lipschitz import constraints as c
from lipschitz import (
    from_arrays,
    from_torch,
    lower_bound,
    operator_norm,
    product_bound,
    spectral_norm,
    spectral_norm_torus,
)
from tests.oracles import convolution_matrix

EPS = 2.0**-52


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


# ---- clipping ------------------------------------------------------------------------------------
def test_clipping_returns_the_nearest_point_of_the_box_for_arrays_and_tensors():
    w = draw(0, 5, 4)
    assert np.array_equal(c.clip_weights(w, 0.3), np.clip(w, -0.3, 0.3))
    assert torch.equal(
        c.clip_weights(torch.from_numpy(w), 0.3), torch.from_numpy(w).clamp(-0.3, 0.3)
    )


@pytest.mark.parametrize("sizes", [(2, 64, 64, 1), (3, 5), (1, 1, 1), (7, 2, 9, 4)])
@pytest.mark.parametrize("norm", [1, 2, math.inf])
def test_the_network_of_equal_weights_attains_the_clipping_bound(sizes, norm):
    weights = [np.full((m, n), 0.3) for n, m in itertools.pairwise(sizes)]
    result = c.clipping_bound([w.shape for w in weights], 0.3, norm=norm)
    product = weights[0]
    for w in weights[1:]:
        product = w @ product
    # Positive inputs keep every ReLU open, so that this product is the network's derivative.
    attained = operator_norm(product, norm, norm)
    n = sum(sizes)
    assert result.bound.rtol <= 4 * EPS
    assert result.bound.lower * (1 - 8 * n * EPS) <= attained.upper
    assert attained.lower <= result.bound.upper * (1 + 8 * n * EPS)


def test_the_clipping_bound_is_the_product_of_the_formula():
    bound = c.clipping_bound([(64, 2), (64, 64), (1, 64)], 0.125).bound
    # prod c^2 n_in n_out in exact arithmetic.
    squared = Fraction(1, 64) ** 3 * 2 * 64**4
    assert Fraction(bound.lower) ** 2 <= squared <= Fraction(bound.upper) ** 2
    assert c.clipping_bound([(64, 2), (1, 64)], 0.5, norm=math.inf).bound.lower == 0.25 * 2 * 64
    assert c.clipping_bound([(64, 2), (1, 64)], 0.5, norm=1).bound.upper == 0.25 * 64


@pytest.mark.parametrize(("k", "s"), [(1, 1), (3, 1), (3, 2), (4, 2), (5, 3), (2, 3), (7, 4)])
def test_the_kernel_of_ones_has_the_largest_norm_that_clipping_allows(k, s):
    ones = np.ones((2, 3, k))
    largest = c.clipped_layer_norm(ones.shape, 1.0, stride=s)
    assert largest.overlaps(spectral_norm_torus(ones, stride=s))
    signs = np.sign(draw(k * 10 + s, 2, 3, k))
    assert spectral_norm_torus(signs, stride=s).lower <= largest.upper
    loose = math.sqrt(2 * 3 * k * -(-k // s))
    assert largest.lower <= loose * (1 + 4 * EPS)
    # The plain formula is attained if and only if the stride divides the kernel size or exceeds it.
    assert (largest.upper >= loose * (1 - 4 * EPS)) == (k % s == 0 or k < s)


@pytest.mark.parametrize(("k", "s"), [(3, 1), (3, 2), (4, 2), (2, 3)])
@pytest.mark.parametrize("norm", [1, math.inf])
def test_l1_and_linf_norms_of_clipped_convolutions_are_column_and_row_sums(k, s, norm):
    matrix = np.abs(convolution_matrix(np.ones((2, 3, k)), 4 * s * k, stride=s))
    sums = matrix.sum(axis=0 if norm == 1 else 1)
    value = c.clipped_layer_norm((2, 3, k), 1.0, norm=norm, stride=s)
    assert value.lower == value.upper == sums.max()


def test_groups_and_dilation_are_counted():
    # Two groups of (4 in, 3 out); taps at distance 2 under stride 2 all see the same phase.
    value = c.clipped_layer_norm((6, 4, 3), 1.0, groups=2, dilation=2, stride=2)
    kernel = np.ones((6, 4, 3))
    assert value.overlaps(spectral_norm_torus(kernel, stride=2, dilation=2, groups=2))


def test_the_clipping_threshold_is_the_largest_guarantee():
    shapes = [(64, 2), (64, 64), (1, 64)]
    threshold = c.clipping_threshold(shapes)
    assert c.clipping_bound(shapes, threshold).guarantees_one
    assert c.clipping_bound(shapes, threshold * (1 + 1e-12)).bound.lower > 1.0


def test_the_worst_clipped_network_bounds_clipped_convolutional_networks():
    torch.manual_seed(0)
    critic = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.LeakyReLU(0.2),
        torch.nn.Conv2d(4, 4, 4, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * 3 * 3, 1),
    ).double()
    with torch.no_grad():
        for p in critic.parameters():
            p.copy_(c.clip_weights(10 * p, 0.05))
    network = from_torch(critic, (1, 6, 6))
    guarantee = product_bound(c.worst_clipped_network(network, 0.05)).bound
    assert product_bound(network).bound.upper <= guarantee.upper
    shapes = [(4, 1, 3, 3), (4, 4, 4, 4), (1, 36)]
    assert (
        guarantee.upper <= c.clipping_bound(shapes, 0.05, strides=[1, 2, 1]).bound.upper * 1.00001
    )


def test_signs_of_a_scaling_do_not_cancel_in_the_worst_clipped_network():
    gap = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1))
    gap.double().eval()
    with torch.no_grad():
        gap[1].weight.copy_(torch.tensor([1.0, -1.0]))
        gap[0].weight.copy_(torch.tensor([[1.0], [1.0]]))
        gap[2].weight.copy_(torch.tensor([[1.0, -1.0]]))
    network = from_torch(gap, (1,))
    guarantee = product_bound(c.worst_clipped_network(network, 1.0)).bound
    assert guarantee.upper >= product_bound(network).bound.upper > 1.9


def test_half_the_clipping_range_divides_the_bound_by_two_to_the_depth():
    one, half = (c.clipping_bound([(8, 4), (8, 8), (1, 8)], x).bound for x in (1.0, 0.5))
    assert (one * 0.125).overlaps(half)


# ---- spectral normalisation ----------------------------------------------------------------------
@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 7), (40, 30), (4, 3, 3), (4, 3, 3, 3), (2, 2, 2, 2, 2)]
)
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_a_normalised_weight_is_proved_to_have_norm_at_most_one(shape, scale):
    result = c.spectrally_normalized(scale * draw(1, *shape))
    assert result.norm.upper <= 1.0
    assert result.norm.lower >= 1 - 1e-5
    again = (spectral_norm_enclosure if len(shape) == 2 else spectral_norm_torus)(result.weight)
    assert again.upper <= 1.0


def test_normalised_strided_convolutions_do_not_expand_at_any_size():
    weight = c.spectrally_normalized(draw(2, 4, 3, 4, 4), stride=2).weight
    for size in (4, 6, 10):
        assert spectral_norm(weight, (size, size), stride=2, padding="zeros").upper <= 1 + 1e-6


def test_the_reshaped_norm_is_below_the_layer_and_above_it_on_a_tiny_image():
    ones = np.ones((1, 1, 3, 3))
    large, tiny = (
        c.compare_reshaped_norm(ones, (32, 32), padding="zeros"),
        c.compare_reshaped_norm(ones, (1, 1), padding="zeros"),
    )
    assert large.ratio.lower > 8.9 / 3
    assert 3 in large.reshaped
    assert tiny.ratio.upper < 1 / 2
    assert tiny.layer.contains(spectral_norm_enclosure([[1.0]]))


def test_without_overlap_the_reshaped_norm_is_the_norm():
    result = c.compare_reshaped_norm(draw(3, 5, 2, 3, 3), stride=3)
    assert result.reshaped.overlaps(result.layer)


# ---- orthogonal weights --------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (9, 4), (4, 9), (60, 50)])
@pytest.mark.parametrize("make", [c.bjorck, c.cayley])
def test_parametrisations_are_orthogonal_up_to_rounding(make, shape):
    result = c.orthogonality_bound(make(draw(4, *shape)))
    if make is c.cayley or shape not in [(5, 5), (60, 50)]:
        assert result.residual.upper <= 200 * max(shape) * EPS
    assert result.norm.upper <= 1 + 200 * max(shape) * EPS
    assert result.smallest.upper <= result.norm.upper


def test_bjorck_never_expands_however_few_the_iterations():
    for iterations in range(1, 8):
        w = c.bjorck(draw(5, 12, 8), iterations=iterations)
        assert spectral_norm_enclosure(w).upper <= 1 + 100 * EPS


def test_bjorck_converges_to_the_polar_factor():
    w = draw(6, 7, 4)
    u, _, vt = np.linalg.svd(w, full_matrices=False)
    assert np.abs(c.bjorck(w, iterations=40) - u @ vt).max() <= 1e-13


@pytest.mark.parametrize("make", [c.bjorck, c.cayley])
def test_tensors_give_the_same_numbers_and_gradients(make):
    w = draw(7, 6, 4)
    t = torch.from_numpy(w.copy()).requires_grad_()
    out = make(t)
    assert np.abs(out.detach().numpy() - make(w)).max() <= 1e-13
    out[0, 0].backward()
    step = 1e-6
    moved = w.copy()
    moved[1, 2] += step
    slope = (make(moved)[0, 0] - make(w)[0, 0]) / step
    # One-sided difference: error of order step times the second derivative, here below 10.
    assert abs(float(t.grad[1, 2]) - slope) <= 10 * step + 1e-9


def test_the_orthogonality_bound_contains_all_singular_values():
    for seed in range(20):
        w = c.bjorck(draw(seed, 6, 4), iterations=5)
        result = c.orthogonality_bound(w)
        values = np.linalg.svd(w, compute_uv=False)
        assert result.smallest.lower <= values[-1] * (1 + 1e-14)
        assert values[0] * (1 - 1e-14) <= result.norm.upper


# ---- sorting -------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [1, 2, 3, 6])
@pytest.mark.parametrize("p", [1, 1.5, 2, 3, math.inf])
def test_group_sort_does_not_expand_in_any_lp(size, p):
    x, y = draw(8, 50, 12), draw(9, 50, 12)
    before = np.linalg.norm(x - y, ord=p, axis=1)
    after = np.linalg.norm(c.group_sort(x, size) - c.group_sort(y, size), ord=p, axis=1)
    assert (after <= before * (1 + 20 * EPS)).all()


def test_group_sort_preserves_the_norm_of_every_gradient():
    x = torch.randn(12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for size in (2, 3, 12):
        jacobian = torch.autograd.functional.jacobian(lambda v, n=size: c.group_sort(v, n), x)
        assert torch.equal(jacobian.sum(0), torch.ones(12, dtype=torch.float64))
        assert torch.equal(jacobian @ jacobian.T, torch.eye(12, dtype=torch.float64))


def test_max_min_puts_the_larger_of_a_pair_first_along_any_axis():
    x = draw(10, 3, 4, 5)
    for axis in (1, -2):
        out = c.max_min(x, axis=axis)
        assert np.array_equal(out[:, 0], np.maximum(x[:, 0], x[:, 1]))
        assert np.array_equal(out[:, 3], np.minimum(x[:, 2], x[:, 3]))
    assert torch.equal(
        c.max_min(torch.from_numpy(x), axis=1), torch.from_numpy(c.max_min(x, axis=1))
    )


def test_max_min_and_norm_one_weights_make_the_absolute_value():
    up, down = np.array([[1.0], [-1.0]]) / math.sqrt(2), np.array([[1.0, -1.0]]) / math.sqrt(2)
    x = np.linspace(-2, 2, 9)[None]
    assert np.abs(down @ c.max_min(up @ x, axis=0) - np.abs(x)).max() <= 4 * EPS


# ---- normalisation -------------------------------------------------------------------------------
def test_the_jacobian_of_batch_normalisation_is_torchs():
    x = torch.from_numpy(draw(11, 6))
    ours = c.batch_normalization_jacobian(x, gain=1.5, eps=1e-3)
    layer = torch.nn.BatchNorm1d(1, eps=1e-3, dtype=torch.float64)
    torch.nn.init.constant_(layer.weight, 1.5)
    theirs = torch.autograd.functional.jacobian(lambda v: layer(v[:, None])[:, 0], x).numpy()
    assert np.abs(ours - theirs).max() <= 1e-12
    assert np.abs(ours.sum(0)).max() <= 1e-13
    assert np.abs(ours.sum(1)).max() <= 1e-13


@pytest.mark.parametrize("size", [2, 3, 10])
def test_equal_samples_attain_the_constant_of_batch_normalisation(size):
    jacobian = c.batch_normalization_jacobian(np.ones(size), gain=-2.0)
    constant = c.batch_normalization_constant([-2.0, 1.0])
    assert abs(np.linalg.norm(jacobian, 2) / constant.upper - 1) <= 1e-14
    for seed in range(10):
        other = c.batch_normalization_jacobian(1e-3 * draw(seed, size), gain=-2.0)
        assert np.linalg.norm(other, 2) <= constant.upper


@pytest.mark.parametrize("gain", [np.ones(5), np.array([1.0, -3.0, 0.5]), np.array([0.0, 2.0])])
def test_the_constant_of_layer_normalisation_is_attained_at_constant_inputs(gain):
    constant = c.layer_normalization_constant(gain, eps=1e-4)
    layer = torch.nn.LayerNorm(len(gain), eps=1e-4, dtype=torch.float64)
    layer.weight.data = torch.from_numpy(gain.copy())

    def norm_at(x):
        jacobian = torch.autograd.functional.jacobian(layer, torch.from_numpy(x))
        return float(torch.linalg.matrix_norm(jacobian, 2))

    assert abs(norm_at(np.ones(len(gain))) / constant.upper - 1) <= 1e-12
    assert constant.rtol <= 1e-12
    for seed in range(10):
        assert norm_at(0.1 * draw(seed, len(gain))) <= constant.upper


# ---- gradient penalties --------------------------------------------------------------------------
@pytest.mark.parametrize(("distance", "weight"), [(1.0, 10.0), (0.3, 0.1), (20.0, 10.0)])
def test_no_slope_beats_the_penalised_critic(distance, weight):
    best = c.penalized_critic(distance, weight)
    slopes = np.linspace(0, 3 * best.slope, 3001)
    values = distance * slopes - weight * (slopes - 1) ** 2
    assert values.max() <= best.objective * (1 + 8 * EPS)
    assert abs(slopes[values.argmax()] - best.slope) <= best.slope / 1000


def test_debiasing_inverts_the_value():
    for d in (1e-9, 0.5, 3.0, 1e6):
        value = c.penalized_critic(d, 10.0).value
        assert abs(c.debiased_distance(value, 10.0) / d - 1) <= 8 * EPS


def test_ascent_on_the_misprinted_objective_flees_from_its_slope():
    s = c.misprinted_penalty_slope(1.0, 10.0)
    for start, grows in [(s - 0.01, False), (s + 0.01, True)]:
        slope = start
        for _ in range(200):
            slope += 0.01 * (1.0 + 20.0 * (slope - 1.0) * np.sign(slope))
            if not 0 < slope < 100:
                break
        assert (slope > 100) == grows


# ---- in torch ------------------------------------------------------------------------------------
def test_an_orthogonal_max_min_critic_is_one_lipschitz_after_training_steps():
    from torch.nn.utils import parametrize

    torch.manual_seed(0)
    layers = [torch.nn.Linear(2, 8), torch.nn.Linear(8, 8), torch.nn.Linear(8, 1)]
    for layer in layers:
        layer.double()
        parametrize.register_parametrization(layer, "weight", c.as_parametrization(c.cayley))
    sort = c.as_parametrization(c.max_min)
    critic = torch.nn.Sequential(layers[0], sort, layers[1], sort, layers[2])
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.05)
    x = torch.randn(64, 2, dtype=torch.float64)
    for _ in range(20):
        optimizer.zero_grad()
        (critic(x + 3).mean() - critic(x).mean()).backward()
        optimizer.step()
    uppers = [c.orthogonality_bound(layer.weight.detach()).norm.upper for layer in layers]
    assert math.prod(uppers) <= 1 + 1e-13
    gap = float((critic(x) - critic(x + 3)).mean().detach())
    assert 0 < gap <= math.sqrt(18) * (1 + 1e-12)


def test_a_clipped_network_is_not_one_lipschitz():
    net = from_arrays([np.full((64, 2), 0.1), np.full((64, 64), 0.1), np.full((1, 64), 0.1)])
    found = lower_bound(net, rng=np.random.default_rng(0)).bound
    assert found.lower > 5.79
    assert found.lower <= c.clipping_bound([(64, 2), (64, 64), (1, 64)], 0.1).bound.upper


# ---- bad input -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: c.clip_weights([1.0], 0.1), "`weights` must be a numpy array or a torch tensor"),
        (lambda: c.clip_weights(np.ones(2), 0.0), "`c` must be positive"),
        (lambda: c.clipping_bound([], 0.1), "`shapes` must not be empty"),
        (lambda: c.clipping_bound([(3, 2), (1, 4)], 0.1), "does not read the 3 outputs"),
        (lambda: c.clipping_bound([(3, 2)], 0.1, strides=[1, 2]), "`strides` must have one entry"),
        (lambda: c.clipped_layer_norm((3,), 0.1), r"`shape` must be \(out, in"),
        (lambda: c.clipped_layer_norm((3, 2, 3), 1.0, groups=2), "`groups` = 2 must divide"),
        (lambda: c.clipped_layer_norm((3, 2), 1.0, norm=3), "`norm` must be one of"),
        (lambda: c.bjorck(np.zeros((2, 2))), "`weight` must not be zero"),
        (lambda: c.bjorck(np.ones((2, 2, 2))), "`weight` must be a nonempty matrix"),
        (lambda: c.cayley([[1.0]]), "`weight` must be a numpy array or a torch tensor"),
        (lambda: c.group_sort(np.ones(3), 2), "`group_size` = 2 must divide the length 3"),
        (lambda: c.group_sort(np.ones(4), 2, axis=1), "`axis` = 1 does not exist"),
        (lambda: c.spectrally_normalized(np.zeros((2, 2))), "`weight` must not be zero"),
        (lambda: c.spectrally_normalized([[math.nan]]), "`weight` must be finite"),
        (lambda: c.compare_reshaped_norm(np.zeros((1, 1, 3))), "`kernel` must not be zero"),
        (lambda: c.layer_normalization_constant([1.0], eps=0.0), "`eps` must be positive"),
        (lambda: c.batch_normalization_jacobian([1.0]), "`batch` must have at least 2 samples"),
        (lambda: c.penalized_critic(1.0, -1.0), "`weight` must be positive"),
        (lambda: c.orthogonality_bound([[1e200]]), "`weight` is too large"),
        (lambda: c.as_parametrization(3), "`function` must map a tensor"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
