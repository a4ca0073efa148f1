"""The Lipschitz constant of one convolution layer by the DFT, line by line as a term paper has it.

The printed proof has four slips, each refuted here by a witness of a few numbers; its conclusion
holds, for circular padding and stride 1, and is proved here for every size, kernel and number of
channels. Filters act by ``(h * f)(p) = sum_t h_t f(p + t)``, as a convolution layer does.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from tests.cyclotomic import Cyclotomic, dft, largest_eigenvalue_at_most, root
from tests.identities import check_identity, check_nonnegative_combination
from tests.oracles import convolution_matrix

proves = pytest.mark.proves


def energy(values):
    """``sum |v|^2`` of rational or cyclotomic numbers."""
    return sum((v * v.conjugate() for v in values), 0)


def layer_output(kernel, image, **keywords):
    """One circular convolution layer applied to one image, through its dense matrix."""
    matrix = convolution_matrix(np.array(kernel, dtype=object), len(image[0]), **keywords)
    return list(matrix @ np.array([value for channel in image for value in channel], dtype=object))


# ---- "||T f||^2 = sum_d sum_c ||h_cd * f_c||^2" ------------------------------------------------
def printed_norm(kernel, image):
    """The printed formula: each filter's output squared on its own."""
    return sum(
        energy(layer_output([[kernel[d][c]]], [image[c]]))
        for d in range(len(kernel))
        for c in range(len(image))
    )


def norm_after_summing_channels(kernel, image):
    """What a layer does: sum over the input channels, then square."""
    size = len(image[0])
    outputs = [
        [layer_output([[kernel[d][c]]], [image[c]]) for c in range(len(image))]
        for d in range(len(kernel))
    ]
    return sum(energy([sum(o[p] for o in per_d) for p in range(size)]) for per_d in outputs)


def refute_norm_formula(formula):
    kernel = [[[1], [1]]]  # one output channel, two input channels, 1 x 1 filters
    images = ([[1], [1]], [[1], [-1]])
    true = tuple(energy(layer_output(kernel, image)) for image in images)
    claimed = tuple(formula(kernel, image) for image in images)
    assert true != claimed
    return claimed, true


@proves("conv-norm-definition-misses-cross-terms", strength="certificate", role="refutes")
def test_the_printed_norm_loses_the_sum_over_input_channels(record_witness):
    claimed, true = refute_norm_formula(printed_norm)
    assert (claimed, true) == ((2, 2), (4, 0))
    record_witness(
        layer="1 x 1 filters 1 and 1, two input channels, one pixel",
        f="(1, 1) and (1, -1)",
        printed=claimed,
        true=true,
    )


@proves("conv-norm-definition-misses-cross-terms", role="must_fail")
def test_the_corrected_norm_is_not_refuted():
    refute_norm_formula(norm_after_summing_channels)


# ---- Parseval ------------------------------------------------------------------------------------
def refute_parseval(factor, square, signals):
    for x in signals:
        claimed = sum((square(value) for value in dft(x)), 0) * factor(len(x))
        assert claimed != energy(x), f"the formula is right at {x}"


def plain_square(value):
    return value * value


def squared_modulus(value):
    return value * value.conjugate()


@proves("conv-parseval-factor", strength="certificate", role="refutes")
def test_the_printed_parseval_halves_a_unit_impulse(record_witness):
    refute_parseval(lambda n: Fraction(1, n) ** 2, plain_square, [(1, 0)])
    transform = dft((1, 0))
    assert transform == [1, 1]
    record_witness(x=(1, 0), printed=Fraction(1, 4) * 2, true=1)


@proves("conv-parseval-factor", strength="certificate", role="refutes")
def test_squares_without_modulus_cancel_even_with_the_right_factor(record_witness):
    refute_parseval(lambda n: Fraction(1, n), plain_square, [(0, 1, 0, 0)])
    assert sum((value * value for value in dft((0, 1, 0, 0))), 0) == 0
    record_witness(x=(0, 1, 0, 0), with_factor_1_over_N=0, true=1)


@proves("conv-parseval-factor", role="must_fail")
def test_parseval_with_modulus_and_factor_one_over_n_is_not_refuted():
    refute_parseval(lambda n: Fraction(1, n), squared_modulus, [(1, 0), (0, 1, 0, 0)])


# ---- a squared norm equal to a ratio -------------------------------------------------------------
def refute_equal_to_ratio(quantity):
    kernel, image = [[[1]]], [[2]]  # one pixel, the filter 1: T is the identity
    spectrum = dft(image[0])
    ratio = Fraction(4, 4)
    assert energy(spectrum) == 4  # M_w = 1, so numerator and denominator are both |f^|^2
    squares = energy(layer_output(kernel, image)), energy(image[0])
    assert quantity(*squares) != ratio
    return quantity(*squares), ratio


@proves("conv-norm-equals-ratio", strength="certificate", role="refutes")
def test_the_squared_norm_is_not_the_ratio(record_witness):
    left, right = refute_equal_to_ratio(lambda output, image: output)
    record_witness(f="2 on one pixel", h=1, left_side=left, right_side=right)


@proves("conv-norm-equals-ratio", role="must_fail")
def test_the_quotient_of_squared_norms_is_the_ratio():
    refute_equal_to_ratio(lambda output, image: Fraction(output, image))


# ---- transpose instead of conjugate transpose ----------------------------------------------------
TWO_FILTERS = [[[Fraction(1, 2), 0, Fraction(-1, 2), 0]], [[0, Fraction(1, 2), 0, Fraction(-1, 2)]]]
COSINE = [[1, 0, -1, 0]]


def refute_bound(squared_norm_of_column):
    """One input channel, so M_w is a column and lambda_max of its Gram matrix one number."""
    spectra = [dft([h[0][-t % 4] for t in range(4)]) for h in TWO_FILTERS]
    bounds = [squared_norm_of_column([spectrum[w] for spectrum in spectra]) for w in range(4)]
    gain = Fraction(energy(layer_output(TWO_FILTERS, COSINE)), energy(COSINE[0]))
    rational = [Fraction(next(q for q in range(-8, 9) if bound == q)) for bound in bounds]
    assert gain > max(rational)
    return gain, max(rational)


@proves("conv-transpose-instead-of-hermitian", strength="certificate", role="refutes")
def test_the_plain_transpose_bounds_a_layer_of_norm_root_two_by_zero(record_witness):
    gain, bound = refute_bound(lambda column: sum((v * v for v in column), 0))
    assert (gain, bound) == (2, 0)
    record_witness(
        filters="(1, 0, -1, 0)/2 and (0, 1, 0, -1)/2 on 4 points",
        f=COSINE[0],
        bound=bound,
        ratio_of_squared_norms=gain,
    )


@proves("conv-transpose-instead-of-hermitian", role="must_fail")
def test_the_conjugate_transpose_is_not_refuted():
    refute_bound(energy)


# ---- the conclusion ------------------------------------------------------------------------------
SPECTRAL_LEMMAS = (
    "induction over the number of points, of taps and of axes",
    "the complex extension of a real matrix has the same l2 norm",
    "sigma_max is the largest gain of a matrix, and is attained",
)


def check_shift_is_diagonalised(last_entry_comes_back):
    """Evaluation at a root of unity turns the shift into a multiplication.

    A signal on n points is the polynomial ``f = g + c x^(n-1)``; shifting it multiplies by x and
    brings ``c x^n`` back as c. With w^n = 1 and v = w^(n-1) = 1/w, its value at w goes from
    ``G + c v`` to ``w G + c``, which must be w times as much up to multiples of ``1 - w v = 0``.
    """
    check_identity(
        lambda G, c, w, v: w * G + last_entry_comes_back * c,
        lambda G, c, w, v: w * (G + c * v) + c * (1 - w * v),
    )


def check_taps_add_up(shift_eigenvalue):
    """Horner's rule: if h' acts by H and h = a + (shift) h', then h acts by a + w H."""
    check_identity(
        lambda a, w, H, F: a * F + shift_eigenvalue(w) * (H * F),
        lambda a, w, H, F: (a + w * H) * F,
    )


def check_largest_block_bounds(sign):
    """Two blocks with gains at most M: what they give together has gain at most M (induction)."""
    check_nonnegative_combination(
        lambda M2, a, b, p, q: M2 * (a + b) - (p + q),
        lambda M2, a, b, p, q: [1, 1],
        lambda M2, a, b, p, q: [M2 * a - p, sign * (M2 * b - q)],
    )


@proves(
    "conv-lipschitz-fft-formula",
    strength="identity",
    scope="upper bound",
    lemmas=SPECTRAL_LEMMAS,
)
def test_the_dft_turns_a_circular_layer_into_independent_matrices():
    check_shift_is_diagonalised(1)
    check_taps_add_up(lambda w: w)
    check_largest_block_bounds(+1)


def check_real_part_attains(gain_of_imaginary_part):
    """If neither part of a complex image reached gain s, the whole would not: so one of them does.

    ``T`` is real, so the squared norms of T u and u are the sums of those of the parts.
    """
    check_identity(
        lambda p, q, s, a, b: (s * a - p) + gain_of_imaginary_part * (s * b - q),
        lambda p, q, s, a, b: s * (a + b) - (p + q),
    )


@proves(
    "conv-lipschitz-fft-formula",
    strength="identity",
    scope="attained by a real image",
    lemmas=SPECTRAL_LEMMAS,
)
def test_the_real_or_the_imaginary_part_of_a_plane_wave_attains_the_maximum():
    check_shift_is_diagonalised(1)
    check_taps_add_up(lambda w: w)
    check_real_part_attains(1)


@proves("conv-lipschitz-fft-formula", role="must_fail")
def test_a_shift_that_drops_its_last_entry_is_not_diagonalised():
    check_shift_is_diagonalised(0)


@proves("conv-lipschitz-fft-formula", role="must_fail")
def test_a_block_beyond_the_bound_is_not_bounded():
    check_largest_block_bounds(-1)


@proves("conv-lipschitz-fft-formula", role="must_fail")
def test_one_part_alone_need_not_attain_the_maximum():
    check_real_part_attains(0)


@proves("conv-lipschitz-fft-formula", role="must_fail")
def test_taps_with_the_inverse_frequency_do_not_add_up():
    check_taps_add_up(lambda w: w * w)


def symbol(kernel, frequency, order, sizes):
    """``M_w[o][c] = sum_t h[o, c, t] w^t`` at the DFT frequency with these indices."""
    steps = [order // n for n in sizes]
    c_out, c_in, *taps = kernel.shape
    zero = root(order) * 0
    entries = [[zero for _ in range(c_in)] for _ in range(c_out)]
    for o, c in itertools.product(range(c_out), range(c_in)):
        for t in itertools.product(*map(range, taps)):
            power = sum(j * s * f for j, s, f in zip(t, steps, frequency, strict=True))
            entries[o][c] = entries[o][c] + root(order, power) * int(kernel[(o, c, *t)])
    return entries


def singular_polynomial(rows):
    """Coefficients, constant first, of det(x - M* M) for one or two input channels."""
    columns = list(zip(*rows, strict=True))
    gram = [
        [sum((a.conjugate() * b for a, b in zip(u, v, strict=True)), 0) for v in columns]
        for u in columns
    ]
    if len(gram) == 1:
        return [-gram[0][0], 1]
    (a, b), (c, d) = gram
    return [a * d - b * c, -(a + d), 1]


def check_spectrum(kernel, sizes, conjugate=True):
    """All singular values at once: the dense matrix against the frequencies, exactly."""
    import flint

    order = int(np.lcm.reduce(sizes))
    matrix = convolution_matrix(kernel, sizes)
    dense = flint.fmpz_mat((matrix.T @ matrix).astype(object).tolist()).charpoly()
    product = [Cyclotomic(order, flint.fmpq_poly([1]))]
    for frequency in itertools.product(*map(range, sizes)):
        rows = symbol(kernel, frequency, order, sizes)
        factor = singular_polynomial(rows) if conjugate else [-(rows[0][0] * rows[0][0]), 1]
        terms = [root(order) * 0 for _ in range(len(product) + len(factor) - 1)]
        for (i, a), (j, b) in itertools.product(enumerate(product), enumerate(factor)):
            terms[i + j] = terms[i + j] + a * b
        product = terms
    assert len(product) == dense.degree() + 1
    assert all(product[j] == int(dense[j]) for j in range(len(product)))


@proves("conv-lipschitz-fft-formula", strength="instance-proved", role="supports")
@pytest.mark.parametrize(
    ("channels", "taps", "sizes"),
    [
        ((1, 1), (2,), (3,)),
        ((2, 1), (3,), (4,)),
        ((1, 2), (3,), (5,)),
        ((2, 2), (4,), (3,)),
        ((3, 2), (1,), (6,)),
        ((1, 1), (2, 2), (2, 3)),
        ((2, 2), (3, 2), (2, 2)),
        ((1, 1), (2, 1, 2), (2, 2, 3)),
    ],
)
def test_every_singular_value_of_small_circular_layers_is_one_of_the_symbol(channels, taps, sizes):
    rng = np.random.default_rng([*channels, *taps, *sizes])
    check_spectrum(rng.integers(-4, 5, (*channels, *taps)), sizes)


@proves("conv-lipschitz-fft-formula", role="must_fail")
def test_the_symbol_without_conjugation_has_other_singular_values():
    check_spectrum(np.array([[[1, 2, -1]]]), (3,), conjugate=False)


@proves("conv-lipschitz-fft-formula", strength="instance-proved", role="conforms")
@pytest.mark.parametrize(
    ("channels", "taps", "sizes"),
    [
        ((1, 1), (3,), (5,)),
        ((3, 2), (3,), (4,)),
        ((2, 2), (2, 3), (3, 4)),
        ((1, 2), (1, 2, 2), (2,) * 3),
    ],
)
def test_the_shipped_norm_encloses_the_exact_norm_of_small_layers(channels, taps, sizes):
    from lipschitz import spectral_norm

    kernel = np.random.default_rng([*channels, *taps]).integers(-9, 10, (*channels, *taps))
    enclosure = spectral_norm(kernel.astype(float), sizes)
    matrix = convolution_matrix(kernel, sizes)
    gram = (matrix.T @ matrix).tolist()
    assert largest_eigenvalue_at_most(gram, Fraction(enclosure.upper) ** 2)
    assert not largest_eigenvalue_at_most(gram, Fraction(np.nextafter(enclosure.lower, 0.0)) ** 2)
    assert enclosure.rtol < 1e-5


@proves(
    "conv-lipschitz-fft-formula",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="circular",
)
def test_with_zero_padding_the_formula_is_too_small():
    # h = (1, -1) on 3 points: max_w |1 - w|^2 = 3 over the cube roots of unity.
    assert [energy([1 - root(3, j)]) for j in range(3)] == [0, 3, 3]
    matrix = convolution_matrix(np.array([[[1, -1]]]), 3, padding="zeros")
    assert not largest_eigenvalue_at_most(matrix.T @ matrix, 3)


@proves(
    "conv-lipschitz-fft-formula",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="stride-one",
)
def test_with_a_stride_the_formula_is_only_a_bound():
    # h = (1, -1) on 2 points with stride 2: |1 - w|^2 = 4 at w = -1, but the layer is one row.
    assert energy([1 - root(2)]) == 4
    matrix = convolution_matrix(np.array([[[1, -1]]]), 2, stride=2)
    assert matrix.tolist() == [[1, -1]]
    assert largest_eigenvalue_at_most(matrix.T @ matrix, 2)
