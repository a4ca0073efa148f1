"""What the frequencies say about layers that pad with zeros, mirror, repeat, or take strides.

Proofs about indices are proofs about integers: that two places of a circle never coincide is a
sum of nonnegative integers plus one, for all sizes at once.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from tests.cyclotomic import largest_eigenvalue_at_most
from tests.identities import check_identity, check_nonnegative_combination
from tests.oracles import convolution_matrix

proves = pytest.mark.proves


def gram(matrix):
    return (matrix.T @ matrix).astype(object).tolist()


# ---- strides -------------------------------------------------------------------------------------
def check_polyphase_indices(remainder):
    """``s p + t``, wrapped around n points, is the component r at ``p + a``, wrapped around m.

    Here t = s a + r, and going round q times subtracts q n. With n = s m it subtracts q m from
    the component's index; ``remainder`` is what n has beyond that.
    """
    check_identity(
        lambda s, p, a, r, m, q: s * p + (s * a + r) - q * (s * m + remainder),
        lambda s, p, a, r, m, q: s * (p + a - q * m) + r,
    )


@proves(
    "stride-is-a-polyphase-convolution",
    strength="identity",
    lemmas=("division with remainder: every t is s a + r for one pair (a, r) with 0 <= r < s",),
)
def test_every_tap_of_a_strided_layer_is_a_tap_of_one_polyphase_component():
    check_polyphase_indices(0)


@proves("stride-is-a-polyphase-convolution", role="must_fail")
def test_a_size_that_the_stride_does_not_divide_mixes_the_components():
    check_polyphase_indices(1)


def polyphase(kernel, stride):
    """The kernel of the components: tap a of channel (c, r) is tap s a + r of channel c."""
    c_out, c_in, taps = kernel.shape
    result = np.zeros((c_out, c_in * stride, -(-taps // stride)), dtype=kernel.dtype)
    for o, c, t in itertools.product(range(c_out), range(c_in), range(taps)):
        result[o, c * stride + t % stride, t // stride] = kernel[o, c, t]
    return result


@proves("stride-is-a-polyphase-convolution", strength="instance-proved", role="supports")
@pytest.mark.parametrize(("taps", "stride", "size"), [(3, 2, 4), (5, 3, 6), (2, 2, 6), (1, 3, 3)])
def test_small_strided_matrices_equal_their_polyphase_form(taps, stride, size):
    kernel = np.random.default_rng([taps, stride, size]).integers(-9, 10, (2, 2, taps))
    direct = convolution_matrix(kernel, size, stride=stride, pad_width=[(0, taps - 1)])
    split = convolution_matrix(
        polyphase(kernel, stride), size // stride, pad_width=[(0, -(-taps // stride) - 1)]
    )
    components = np.arange(2 * size).reshape(2, size // stride, stride).swapaxes(1, 2)
    assert np.array_equal(direct[:, components.ravel()], split)


@proves(
    "stride-is-a-polyphase-convolution",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="stride-divides-size",
)
def test_on_three_points_a_stride_of_two_is_no_convolution_of_components():
    # h = (1, 1): the outputs x0 + x1 and x2 + x0 share x0, but components never overlap here.
    matrix = convolution_matrix(np.array([[[1, 1]]]), 3, stride=2, pad_width=[(0, 1)])
    assert matrix.tolist() == [[1, 1, 0], [1, 0, 1]]
    assert gram(matrix.T) == [[2, 1], [1, 2]]  # a sum over disjoint components gives diag(2, 2)


# ---- zero padding inside a larger circle ---------------------------------------------------------
def check_no_wrapping(shortfall):
    """On N = n + k - 1 + e points the taps of a window never come back round to the input.

    A window starts at a in [-(k-1), n-1], a tap is t in [0, k-1], an input point q in [0, n-1]:
    ``a + t`` and q agree modulo N only if they are equal, because |a + t - q| < N; and two
    windows are different rows, because |a - b| < N.
    """
    check_nonnegative_combination(
        lambda n, k, e, a, t, q: (n + k - 1 + e - shortfall) - (a + t - q) - 1,
        lambda n, k, e, a, t, q: [1, 1, 1, 1],
        lambda n, k, e, a, t, q: [n - 1 - a, k - 1 - t, q, e],
    )
    check_nonnegative_combination(
        lambda n, k, e, a, t, q: (n + k - 1 + e - shortfall) + (a + t - q) - 1,
        lambda n, k, e, a, t, q: [1, 1, 1, 1],
        lambda n, k, e, a, t, q: [a + k - 1, t, n - 1 - q, e],
    )
    check_nonnegative_combination(
        lambda n, k, e, a, b: (n + k - 1 + e - shortfall) - (a - b) - 1,
        lambda n, k, e, a, b: [1, 1, 1],
        lambda n, k, e, a, b: [n - 1 - a, b + k - 1, e],
    )


@proves(
    "zero-padding-is-a-submatrix-of-a-larger-circle",
    strength="identity",
    lemmas=("axes are independent: an index on a grid is a tuple of indices on circles",),
)
def test_on_a_circle_of_n_plus_k_minus_one_points_no_window_meets_itself():
    check_no_wrapping(0)


@proves("zero-padding-is-a-submatrix-of-a-larger-circle", role="must_fail")
def test_one_point_less_lets_the_windows_wrap():
    check_no_wrapping(1)


@proves(
    "zero-padding-is-a-submatrix-of-a-larger-circle", strength="instance-proved", role="supports"
)
@pytest.mark.parametrize(
    ("taps", "sizes", "stride", "dilation", "widths"),
    [
        ((3,), (4,), 1, 1, [(1, 1)]),
        ((3,), (2,), 2, 1, [(2, 3)]),
        ((4,), (1,), 1, 2, [(5, 7)]),
        ((2, 3), (3, 2), 1, 1, [(0, 1), (1, 2)]),
        ((2, 2), (2, 3), 2, 1, [(1, 0), (1, 1)]),
    ],
)
def test_rows_of_zero_padded_matrices_stand_in_the_larger_circle(
    taps, sizes, stride, dilation, widths
):
    kernel = np.random.default_rng([*taps, *sizes]).integers(1, 9, (1, 1, *taps))
    padded = convolution_matrix(
        kernel, sizes, stride=stride, dilation=dilation, padding="zeros", pad_width=widths
    )
    larger = [n + dilation * (k - 1) for n, k in zip(sizes, taps, strict=True)]
    circle = convolution_matrix(
        kernel, larger, dilation=dilation, pad_width=[(0, dilation * (k - 1)) for k in taps]
    )
    inside = [int(np.ravel_multi_index(q, larger)) for q in itertools.product(*map(range, sizes))]
    rows = {tuple(row) for row in circle[:, inside].tolist()}
    assert all(tuple(row) in rows for row in padded.tolist() if any(row))


# ---- one supremum for every size -----------------------------------------------------------------
def check_part_has_less_gain(part_is_the_submatrix):
    """``M2 |x|^2`` exceeds the energy of some rows by its excess over all rows plus the others."""
    check_nonnegative_combination(
        (lambda M2X, part, rest: M2X - part)
        if part_is_the_submatrix
        else (lambda M2X, part, rest: M2X - (part + rest)),
        lambda M2X, part, rest: [1, 1],
        (lambda M2X, part, rest: [M2X - (part + rest), rest])
        if part_is_the_submatrix
        else (lambda M2X, part, rest: [M2X - part, rest]),
    )


@proves(
    "torus-supremum-bounds-every-size",
    strength="identity",
    lemmas=(
        "the DFT frequencies of a circle lie on the torus",
        "columns of a matrix are the matrix on signals that vanish elsewhere",
        "the larger circle may have a multiple of the stride as its size and begin at a window",
    ),
)
def test_rows_and_columns_of_a_circular_matrix_have_no_larger_norm():
    check_part_has_less_gain(part_is_the_submatrix=True)


@proves("torus-supremum-bounds-every-size", role="must_fail")
def test_a_matrix_is_not_bounded_by_some_of_its_rows():
    check_part_has_less_gain(part_is_the_submatrix=False)


@proves("torus-supremum-bounds-every-size", strength="instance-proved", role="supports")
@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.parametrize("size", range(1, 9))
def test_the_second_difference_never_exceeds_its_supremum_four(size, padding):
    # The symbol of (1, -2, 1) is 2 cos w - 2, of largest modulus 4.
    matrix = convolution_matrix(np.array([[[1, -2, 1]]]), size, padding=padding)
    assert largest_eigenvalue_at_most(gram(matrix), 16)


@proves(
    "torus-supremum-bounds-every-size",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="stride-divides-size",
)
def test_a_circle_of_three_points_with_stride_two_exceeds_the_supremum():
    # h = (1, 1): the components' symbol is the constant row (1, 1), so the supremum is sqrt 2;
    # on 3 points the two windows share a point, and the squared norm is 3.
    matrix = convolution_matrix(np.array([[[1, 1]]]), 3, stride=2, pad_width=[(0, 1)])
    assert not largest_eigenvalue_at_most(gram(matrix), 2)
    assert largest_eigenvalue_at_most(gram(matrix), 3)


@proves(
    "torus-supremum-bounds-every-size",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="windows-once",
)
def test_circular_padding_that_repeats_a_window_exceeds_the_supremum():
    # The kernel (1) has the supremum 1; padded by one it reads the last point twice.
    matrix = convolution_matrix(np.array([[[1]]]), 3, pad_width=[(1, 0)])
    assert matrix.shape == (4, 3)
    assert not largest_eigenvalue_at_most(gram(matrix), 1)


@proves("torus-supremum-bounds-every-size", strength="instance-proved", role="conforms")
@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.parametrize(("taps", "stride"), [((3,), 1), ((4,), 2), ((2, 2), 1), ((3, 3), 2)])
def test_the_shipped_supremum_bounds_exact_norms_of_small_layers(taps, stride, padding):
    from lipschitz import spectral_norm_torus

    kernel = np.random.default_rng([*taps, stride]).integers(-6, 7, (2, 2, *taps))
    upper = Fraction(spectral_norm_torus(kernel.astype(float), stride=stride, rtol=1e-3).upper)
    for size in (2, 4) if padding == "circular" else (1, 2, 3, 4):
        matrix = convolution_matrix(kernel, (size,) * len(taps), stride=stride, padding=padding)
        assert largest_eigenvalue_at_most(gram(matrix), upper**2)


# ---- the circular value of the same size is no bound ---------------------------------------------
def refute_circular_bound(kernel, size, circle, squared_circular_norm):
    """The circular layer stays at the threshold that the zero-padded one exceeds."""
    kernel = np.array([[kernel]])
    zeros = convolution_matrix(kernel, size, padding="zeros")
    assert largest_eigenvalue_at_most(
        gram(convolution_matrix(kernel, circle)), squared_circular_norm
    )
    assert not largest_eigenvalue_at_most(gram(zeros), squared_circular_norm)


@proves(
    "circular-value-bounds-zero-padding-of-the-same-size", strength="certificate", role="refutes"
)
def test_on_one_pixel_the_second_difference_vanishes_on_the_circle_only(record_witness):
    refute_circular_bound([1, -2, 1], size=1, circle=1, squared_circular_norm=0)
    record_witness(kernel=(1, -2, 1), n=1, circular_norm=0, zero_padded_norm=2)


@proves(
    "circular-value-bounds-zero-padding-of-the-same-size", strength="certificate", role="refutes"
)
def test_the_difference_on_three_pixels_is_larger_with_zero_padding(record_witness):
    refute_circular_bound([1, -1], size=3, circle=3, squared_circular_norm=3)
    # 4 cos^2(pi/7) is the largest root of x^3 - 5 x^2 + 6 x - 1, which is -1 at x = 3.
    import flint

    matrix = convolution_matrix(np.array([[[1, -1]]]), 3, padding="zeros")
    assert flint.fmpz_mat(gram(matrix)).charpoly() == flint.fmpz_poly([-1, 6, -5, 1])
    record_witness(
        kernel=(1, -1), n=3, circular_norm="sqrt(3)", zero_padded_norm="2 cos(pi/7) > sqrt(3)"
    )


@proves("circular-value-bounds-zero-padding-of-the-same-size", role="must_fail")
def test_the_circle_of_n_plus_k_minus_one_points_is_not_refuted():
    refute_circular_bound([1, -2, 1], size=1, circle=3, squared_circular_norm=9)


# ---- padding by copies ---------------------------------------------------------------------------
def check_copies_bound(copies_of_second):
    """Two kinds of entries with at most m copies: m |x|^2 exceeds the energy of all copies."""
    check_nonnegative_combination(
        lambda m, m1, m2, x2, y2: m * (x2 + y2) - (m1 * x2 + copies_of_second(m2) * y2),
        lambda m, m1, m2, x2, y2: [x2, y2],
        lambda m, m1, m2, x2, y2: [m - m1, m - m2],
    )


PADDING_LEMMAS = ("induction over the entries", "a layer with padding is convolution after padding")


@proves(
    "padding-by-copies-costs-the-root-of-the-copies",
    strength="identity",
    scope="upper bound",
    lemmas=PADDING_LEMMAS,
)
def test_the_energy_of_the_copies_is_at_most_their_largest_number_times_the_energy():
    check_copies_bound(lambda m2: m2)


def check_every_copy_adds(energy_of_a_copy):
    """One copy more adds the entry's energy once: m copies of one entry alone have gain m."""
    check_identity(lambda m, x: m * x * x + energy_of_a_copy(x), lambda m, x: (m + 1) * x * x)


@proves(
    "padding-by-copies-costs-the-root-of-the-copies",
    strength="identity",
    scope="attained by the copying map",
    lemmas=("induction over the copies",),
)
def test_the_most_copied_entry_attains_the_bound():
    check_every_copy_adds(lambda x: x * x)


@proves("padding-by-copies-costs-the-root-of-the-copies", role="must_fail")
def test_an_entry_with_one_more_copy_breaks_the_bound():
    check_copies_bound(lambda m2: m2 + 1)


@proves("padding-by-copies-costs-the-root-of-the-copies", role="must_fail")
def test_a_copy_does_not_add_more_than_its_energy():
    check_every_copy_adds(lambda x: 2 * x * x)


@proves(
    "padding-by-copies-costs-the-root-of-the-copies", strength="instance-proved", role="supports"
)
@pytest.mark.parametrize(
    ("padding", "size", "width", "copies"),
    [("reflect", 3, 2, 3), ("reflect", 4, 1, 2), ("reflect", 5, 1, 2), ("replicate", 4, 2, 3)],
)
def test_mirrored_and_repeated_borders_copy_as_often_as_stated(padding, size, width, copies):
    # The kernel (1) with padding is the copying map itself.
    matrix = convolution_matrix(np.array([[[1]]]), size, padding=padding, pad_width=width)
    assert matrix.sum(axis=0).max() == copies
    assert largest_eigenvalue_at_most(gram(matrix), copies)
    assert not largest_eigenvalue_at_most(gram(matrix), copies - 1)
