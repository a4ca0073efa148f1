"""Windows that overlap: max pooling, and what the norm of a reshaped kernel says about a layer.

Both rest on one count: a point lies in at most ceil(k / s) windows of k points at stride s.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.cyclotomic import largest_eigenvalue_at_most
from tests.identities import check_identity, check_nonnegative_combination
from tests.oracles import convolution_matrix, exact_dot

proves = pytest.mark.proves


# ---- the count -----------------------------------------------------------------------------------
def check_count(stride_of_gaps):
    """c windows that see q begin at s p_1 < ... < s p_c, so ``s (c - 1) <= k - 1``.

    The first begins at q - (k - 1) or later, the last at q or earlier, and c integers span at
    least c - 1. Hence c <= floor((k - 1) / s) + 1 = ceil(k / s).
    """
    check_nonnegative_combination(
        lambda s, k, c, q, first, last: (k - 1) - stride_of_gaps(s) * (c - 1),
        lambda s, k, c, q, first, last: [1, 1, s],
        lambda s, k, c, q, first, last: [
            s * first - (q - (k - 1)),
            q - s * last,
            (last - first) - (c - 1),
        ],
    )


@proves(
    "window-count-is-the-ceiling",
    strength="identity",
    lemmas=(
        "c different integers span at least c - 1",
        "floor((k - 1) / s) + 1 = ceil(k / s) for positive integers",
        "a window of a grid is a product of windows of lines",
    ),
)
def test_windows_that_share_a_point_fit_into_one_window():
    check_count(lambda s: s)


@proves("window-count-is-the-ceiling", role="must_fail")
def test_windows_do_not_stand_one_further_apart():
    check_count(lambda s: s + 1)


def check_count_by_listing(count):
    for k in range(1, 9):
        for s in range(1, 9):
            seen = [sum(s * p <= q < s * p + k for p in range(-20, 20)) for q in range(s)]
            assert max(seen) == count(k, s)


@proves("window-count-is-the-ceiling", strength="instance-proved", role="supports")
def test_the_ceiling_is_the_largest_count_for_small_windows():
    check_count_by_listing(lambda k, s: -(-k // s))


@proves("window-count-is-the-ceiling", role="must_fail")
def test_the_floor_is_not_the_largest_count():
    check_count_by_listing(lambda k, s: max(1, k // s))


# ---- max pooling ---------------------------------------------------------------------------------
def check_maxima_are_close(which):
    """``max a - max b <= D`` if ``a_i - b_i <= D`` for all i: take the i with a_i = max a."""
    check_nonnegative_combination(
        lambda D, a, b, largest_b: D - (a - which(b, largest_b)),
        lambda D, a, b, largest_b: [1, 1],
        lambda D, a, b, largest_b: [D - (a - b), largest_b - b],
    )


def check_energy_of_windows(times):
    """Every window's change is at most that of one of its points; a point pays c times or less.

    By induction: e is the energy of one point more, in w <= c windows.
    """
    check_nonnegative_combination(
        lambda c, w, E, e, out: c * (E + e) - (out + times(w) * e),
        lambda c, w, E, e, out: [1, e],
        lambda c, w, E, e, out: [c * E - out, c - w],
    )


def pooled(signal, k, s):
    return [max(signal[p : p + k]) for p in range(0, len(signal) - k + 1, s)]


def check_multiples_below(next_multiple):
    """With k = s (m - 1) + r and 1 <= r <= s, the multiples of s below k are 0, s, ..., s (m - 1).

    That is m = ceil(k / s) of them; they are the windows, counted back from one that begins at a
    point, which still see the point.
    """
    check_nonnegative_combination(
        lambda s, m, r: (s * (m - 1) + r) - 1 - s * (m - 1), lambda s, m, r: [1],
        lambda s, m, r: [r - 1],
    )  # fmt: skip
    check_nonnegative_combination(
        lambda s, m, r: next_multiple(s, m) - (s * (m - 1) + r), lambda s, m, r: [1],
        lambda s, m, r: [s - r],
    )  # fmt: skip


def check_spike_gain(k, s, count):
    """One point above all others, at the beginning of a window, is the maximum where it is seen."""
    at = s * k
    spike = [int(i == at) for i in range(at + k)]
    change = pooled(spike, k, s)  # the signal 0 has the maxima 0
    assert exact_dot(change, change) == count(k, s)


POOLING_LEMMAS = (
    "induction over the points",
    "the maximum of the squares in a window is at most their sum",
)


@proves("max-pooling-by-overlap", strength="identity", scope=("linf",))
def test_maxima_differ_no_more_than_the_entries():
    check_maxima_are_close(lambda b, largest_b: largest_b)


@proves("max-pooling-by-overlap", role="must_fail")
def test_the_maximum_is_not_compared_with_an_arbitrary_entry():
    check_maxima_are_close(lambda b, largest_b: 2 * b - largest_b)


@proves("max-pooling-by-overlap", strength="identity", scope=("l2", "l1"), lemmas=POOLING_LEMMAS)
def test_every_point_pays_once_for_each_window_that_sees_it():
    # e is a squared change for l2 and an absolute change for l1.
    check_maxima_are_close(lambda b, largest_b: largest_b)
    check_energy_of_windows(lambda w: w)


@proves("max-pooling-by-overlap", role="must_fail")
def test_a_point_that_pays_twice_exceeds_the_bound():
    check_energy_of_windows(lambda w: 2 * w)


@proves(
    "max-pooling-by-overlap",
    strength="identity",
    scope=("l2 attained",),
    lemmas=("a spike of height 1 changes the maximum of every window that sees it by 1",),
)
def test_a_spike_where_a_window_begins_attains_the_l2_constant():
    check_multiples_below(lambda s, m: s * m)


@proves("max-pooling-by-overlap", strength="instance-proved", role="supports")
def test_a_spike_attains_the_l2_constant_of_small_windows():
    for k in range(1, 7):
        for s in range(1, 7):
            check_spike_gain(k, s, lambda k, s: -(-k // s))


@proves("max-pooling-by-overlap", role="must_fail")
def test_there_is_not_one_multiple_more_below_the_window_size():
    check_multiples_below(lambda s, m: s * (m - 1))


@proves("max-pooling-by-overlap", role="must_fail")
def test_a_spike_does_not_gain_the_whole_window():
    check_spike_gain(3, 2, lambda k, s: k)


@proves(
    "max-pooling-by-overlap",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="no-dilation",
)
def test_dilated_windows_share_points_that_the_count_misses():
    # k = 2, d = 2, s = 2: ceil(k / s) = 1, but the windows {0, 2} and {2, 4} share the point 2.
    def dilated(signal):
        return [max(signal[p], signal[p + 2]) for p in (0, 2)]

    change = [a - b for a, b in zip(dilated([0, 0, 1, 0, 0]), dilated([0] * 5), strict=True)]
    assert exact_dot(change, change) == 2


# ---- the reshaped kernel -------------------------------------------------------------------------
def check_patches_bound(times):
    """``|K patch|^2 <= R2 |patch|^2`` for each patch, and the patches hold each point c times."""
    check_nonnegative_combination(
        lambda R2, c, x2, patches, y2: R2 * times(c) * x2 - y2,
        lambda R2, c, x2, patches, y2: [1, R2],
        lambda R2, c, x2, patches, y2: [R2 * patches - y2, c * x2 - patches],
    )


def check_comb_attains(factor):
    """The kernel with ones at the m = ceil(k / s) multiples of s, on the indicator of them.

    Each output is m and stands where the indicator has a 1, so the ratio of squared norms is m^2;
    the reshaped kernel has squared norm m.
    """
    check_multiples_below(lambda s, m: s * m)
    check_identity(lambda m: m**2, lambda m: factor(m) * m)


@proves(
    "reshaped-kernel-times-overlap-bounds-layer",
    strength="identity",
    scope="upper bound",
    lemmas=("the energies of all patches sum to each point's energy times its windows",),
)
def test_overlapping_patches_bound_a_layer_by_its_reshaped_kernel():
    check_patches_bound(lambda c: c)


@proves("reshaped-kernel-times-overlap-bounds-layer", role="must_fail")
def test_without_the_overlap_the_reshaped_kernel_is_no_bound():
    check_patches_bound(lambda c: 1)


@proves(
    "reshaped-kernel-times-overlap-bounds-layer",
    strength="identity",
    scope="attained",
    lemmas=("a product of one-dimensional combs is a comb on the grid",),
)
def test_a_comb_attains_the_factor_for_every_window_and_stride():
    check_comb_attains(lambda m: m)


@proves("reshaped-kernel-times-overlap-bounds-layer", role="must_fail")
def test_a_comb_does_not_attain_a_larger_factor():
    check_comb_attains(lambda m: m + 1)


def check_comb_on_a_circle(k, s, squared_gain):
    comb = np.array([[[int(t % s == 0) for t in range(k)]]])
    m = -(-k // s)
    size = s * m
    matrix = convolution_matrix(comb, size, stride=s, pad_width=[(0, k - 1)])
    signal = np.array([int(q % s == 0) for q in range(size)])
    output = matrix @ signal
    assert exact_dot(comb.ravel(), comb.ravel()) == m
    assert exact_dot(output, output) == squared_gain(m) * exact_dot(signal, signal)


@proves("reshaped-kernel-times-overlap-bounds-layer", strength="instance-proved", role="supports")
def test_combs_on_small_circles_attain_the_factor():
    for k in range(1, 6):
        for s in range(1, 5):
            check_comb_on_a_circle(k, s, lambda m: m**2)


@proves("reshaped-kernel-times-overlap-bounds-layer", role="must_fail")
def test_a_comb_on_a_circle_does_not_gain_more():
    check_comb_on_a_circle(3, 2, lambda m: m**3)


@proves(
    "reshaped-kernel-times-overlap-bounds-layer",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="no-dilation",
)
def test_a_dilated_kernel_exceeds_the_factor():
    # Taps (1, 1) at distance 2, stride 2: the reshaped kernel has squared norm 2 and ceil(2/2) = 1,
    # but the output x[2p] + x[2p+2] doubles a constant: squared gain 4 on the even points.
    matrix = convolution_matrix(np.array([[[1, 1]]]), 4, stride=2, dilation=2, pad_width=[(0, 2)])
    output = matrix @ np.array([1, 0, 1, 0])
    assert (exact_dot(output, output), exact_dot([1, 0, 1, 0], [1, 0, 1, 0])) == (8, 2)


# ---- torch's spectral_norm parametrisation -------------------------------------------------------
def refute_normalised_layer(squared_norm_of):
    """The 3 x 3 kernel of ones, divided by a norm, applied to a constant image."""
    ones = np.ones((1, 1, 3, 3), dtype=int)
    matrix = convolution_matrix(ones, (4, 4))
    image = np.ones(16, dtype=int)
    output = matrix @ image
    squared = Fraction(exact_dot(output, output), exact_dot(image, image)) / squared_norm_of(ones)
    assert squared > 1
    return squared


@proves("spectral-norm-of-reshaped-kernel-is-layer-norm", strength="certificate", role="refutes")
def test_a_kernel_of_ones_normalised_by_its_reshaping_triples_a_constant_image(record_witness):
    # The reshaping is one row of nine ones, of norm 3.
    squared = refute_normalised_layer(lambda kernel: exact_dot(kernel.ravel(), kernel.ravel()))
    assert squared == 9
    record_witness(
        kernel="3 x 3 ones, one channel",
        norm_of_reshaped_kernel=3,
        norm_of_layer=9,
        after_normalisation=3,
    )


@proves("spectral-norm-of-reshaped-kernel-is-layer-norm", role="must_fail")
def test_a_kernel_of_ones_normalised_by_its_symbol_is_not_refuted():
    refute_normalised_layer(lambda kernel: int(kernel.sum()) ** 2)


@proves("spectral-norm-of-reshaped-kernel-is-layer-norm", strength="tested", role="supports")
def test_torch_normalises_by_the_reshaped_kernel():
    import torch

    layer = torch.nn.Conv2d(1, 1, 3, bias=False, dtype=torch.float64)
    torch.nn.init.ones_(layer.weight)
    layer = torch.nn.utils.parametrizations.spectral_norm(layer, n_power_iterations=5)
    # Power iteration on a rank-one matrix ends after one step; the rest is rounding.
    assert torch.allclose(layer.weight, torch.full_like(layer.weight, 1 / 3), rtol=1e-12)


@proves("reshaped-kernel-times-overlap-bounds-layer", strength="instance-proved", role="supports")
@pytest.mark.parametrize(
    ("k", "s", "size"), [(3, 1, 5), (3, 2, 6), (4, 2, 6), (2, 2, 4), (5, 3, 6)]
)
def test_integer_kernels_obey_the_overlap_bound(k, s, size):
    kernel = np.random.default_rng([k, s, size]).integers(-5, 6, (1, 2, k))
    matrix = convolution_matrix(kernel, size, stride=s)
    bound = -(-k // s) * exact_dot(kernel.ravel().tolist(), kernel.ravel().tolist())
    assert largest_eigenvalue_at_most((matrix.T @ matrix).tolist(), bound)
