"""Norms of matrices and of single layers against exact arithmetic."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evidence import Enclosure
from lipschitz.layer_norms import layer_norm
from lipschitz.layers import (
    Activation,
    Add,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    Identity,
    MaxPool,
    Pad,
    Permute,
    Reshape,
    Scale,
)
from lipschitz.operators import (
    DUAL,
    NORMS,
    operator_norm,
    vector_norm_lower,
    vector_norm_upper,
)
from lipschitz.signs import infinity_to_one, infinity_to_two
from tests.exact_networks import is_norm_bound, matrix_of, norm_power

Matrix = NDArray[np.float64]
PAIRS = list(itertools.product(NORMS, NORMS))
INF = math.inf


@st.composite
def integer_matrices(draw: st.DrawFn) -> Matrix:
    """Small integer matrices, scaled by a power of two: every norm is known exactly."""
    m, n = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    entries = draw(st.lists(st.integers(-9, 9), min_size=m * n, max_size=m * n))
    scale = 2.0 ** draw(st.sampled_from([-600, -3, 0, 500]))
    return np.array(entries, dtype=np.float64).reshape(m, n) * scale


def exact_power(matrix: Matrix, p: float, q: float) -> Fraction:
    """``||A||_{p->q}`` to the power of `norm_power`; not for 2->2."""
    if p == 1:
        return max(norm_power(column, q) for column in matrix.T)
    if q == INF:
        # |a.x| <= ||a||_{p*} ||x||_p, with equality for some x.
        return max(norm_power(row, DUAL[p]) for row in matrix)
    if p == 2:
        return exact_power(matrix.T, INF, 2)
    signs = itertools.product((-1, 1), repeat=matrix.shape[1])
    exact = [[Fraction(float(t)) for t in row] for row in matrix]
    images = ([sum(a * s for a, s in zip(r, x, strict=True)) for r in exact] for x in signs)
    return max(norm_power(y, q) for y in images)


def is_squared(p: float, q: float) -> bool:
    return q == 2 or (p == 2 and q != 2)


def holds(enclosure: Enclosure, power: Fraction, squared: bool) -> bool:
    """Whether the enclosure contains the exact norm."""
    if not squared:
        return power in enclosure
    return Fraction(enclosure.lower) ** 2 <= power <= Fraction(enclosure.upper) ** 2


# ---- matrices -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("p", "q"), [pair for pair in PAIRS if pair != (2, 2)])
@given(matrix=integer_matrices())
@settings(max_examples=25, deadline=None)
def test_every_norm_is_enclosed_exactly(matrix: Matrix, p: float, q: float) -> None:
    found = operator_norm(matrix, p, q)
    assert holds(found, exact_power(matrix, p, q), is_squared(p, q))
    assert found.rtol <= 1e-13


@given(matrix=integer_matrices())
@settings(max_examples=25, deadline=None)
def test_the_spectral_norm_is_enclosed(matrix: Matrix) -> None:
    found = operator_norm(matrix, 2, 2)
    assert is_norm_bound(matrix, found.upper)
    assert found.lower == 0.0 or not is_norm_bound(matrix, math.nextafter(found.lower, 0.0))


def test_a_wrong_dual_exponent_is_noticed() -> None:
    # The must-fail twin: the p-norm of a row instead of its p*-norm.
    matrix = np.array([[3.0, -4.0]])
    assert holds(operator_norm(matrix, INF, INF), Fraction(7), False)
    assert not holds(operator_norm(matrix, INF, INF), norm_power(matrix[0], INF), False)
    assert not holds(operator_norm(matrix, 1, INF), norm_power(matrix[0], 1), False)


def test_integer_row_and_column_sums_are_exact() -> None:
    matrix = np.arange(12.0).reshape(3, 4)
    assert operator_norm(matrix, 1, 1) == Enclosure.exact(21.0, "largest column")
    assert operator_norm(matrix, INF, INF) == Enclosure.exact(38.0, "largest row")
    assert operator_norm(matrix, 1, INF) == Enclosure.exact(11.0, "largest column")


@pytest.mark.parametrize("seed", range(6))
def test_relaxed_sign_norms_contain_the_maximum_over_all_signs(seed: int) -> None:
    rng = np.random.default_rng([1, seed])
    # 13 and 14 signs are beyond the enumeration, and still few enough to enumerate here.
    matrix = rng.integers(-9, 10, (14, 13)).astype(np.float64)
    signs = 1.0 - 2.0 * ((np.arange(2**12)[None] >> np.arange(13)[:, None]) & 1)
    images = matrix @ signs
    square = int((images**2).sum(axis=0).max())
    total = int(np.abs(images).sum(axis=0).max())
    two, one = infinity_to_two(matrix), infinity_to_one(matrix)
    assert holds(two, Fraction(square), True)
    assert holds(one, Fraction(total), False)
    assert two.upper <= math.sqrt(math.pi / 2.0) * 1.001 * math.sqrt(square)
    assert one.upper <= 1.7823 * 1.001 * total


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_a_matrix_and_its_transpose_have_dual_norms(p: float, q: float) -> None:
    matrix = np.random.default_rng(2).standard_normal((20, 30))
    transposed = np.ascontiguousarray(matrix.T)
    assert operator_norm(matrix, p, q).overlaps(operator_norm(transposed, DUAL[q], DUAL[p]))


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_no_vector_is_stretched_by_more_than_the_norm(p: float, q: float) -> None:
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal((40, 25))
    upper = operator_norm(matrix, p, q).upper
    vectors = np.hstack([rng.standard_normal((25, 200)), np.sign(rng.standard_normal((25, 200)))])
    ratios = np.linalg.norm(matrix @ vectors, q, axis=0) / np.linalg.norm(vectors, p, axis=0)
    # A few hundred roundings of a relative 2**-52 each.
    assert ratios.max() <= upper * (1.0 + 1e-12)


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_errors_of_the_entries_are_inside(p: float, q: float) -> None:
    rng = np.random.default_rng(4)
    matrix = rng.standard_normal((6, 5))
    error = np.abs(rng.standard_normal((6, 5))) * 0.1
    found = operator_norm(matrix, p, q, error=error)
    assert found.contains(operator_norm(matrix, p, q))
    for corner in (error, -error, error * np.sign(rng.standard_normal((6, 5)))):
        other = operator_norm(matrix + corner * (1.0 - 1e-9), p, q)
        assert found.lower <= other.upper
        assert other.lower <= found.upper
    grown = operator_norm(np.abs(matrix) + 2.0 * error, 1, 1)
    # The twin: twice the error is not inside.
    assert operator_norm(np.abs(matrix), 1, 1, error=error).upper < grown.lower


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_huge_and_tiny_entries_keep_their_bounds(p: float, q: float) -> None:
    matrix = np.array([[1.0, 2.0, -1.0], [0.5, -1.5, 1.0]])
    middle = operator_norm(matrix, p, q)
    for exponent in (-1060, 1000):
        scaled = operator_norm(np.ldexp(matrix, exponent), p, q)
        assert Fraction(scaled.lower) <= Fraction(middle.upper) * Fraction(2) ** exponent
        assert Fraction(scaled.upper) >= Fraction(middle.lower) * Fraction(2) ** exponent
    largest = operator_norm(np.full((3, 3), 1.7e308), p, q)
    assert largest.lower <= 1.8e308
    assert largest.upper >= 1.7e308


def test_a_zero_matrix_has_norm_zero() -> None:
    for p, q in PAIRS:
        found = operator_norm(np.zeros((20, 30)), p, q)
        assert (found.lower, found.upper) == (0.0, 0.0)


def test_many_equal_rows_do_not_cost_the_bound() -> None:
    # More entries than are summed exactly: the rough bounds must still be bounds.
    matrix = np.full((1100, 1000), 0.1)
    found = operator_norm(matrix, INF, INF)
    assert Fraction(0.1) * 1000 in found
    assert found.rtol < 1e-11


def test_vector_norms_bracket_exact_sums() -> None:
    values = np.random.default_rng(5).standard_normal(5000) * 1e3
    for norm in NORMS:
        power = norm_power(values, norm)
        low, high = vector_norm_lower(values, norm), vector_norm_upper(values, norm)
        exponent = 2 if norm == 2 else 1
        assert Fraction(low) ** exponent <= power <= Fraction(high) ** exponent
        assert high - low <= 1e-11 * high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0]], 3, 2), "`norm_in` must be one of"),
        (([[1.0]], 2, "2"), "`norm_out` must be one of"),
        (([1.0], 2, 2), "`matrix` must have 2 dimensions"),
        (([[math.nan]], 1, 1), "`matrix` must be finite"),
        ((np.ones((2, 2), dtype=int), 1, 1), "`matrix` must be a float32 or float64"),
    ],
)
def test_bad_matrices_and_norms_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        operator_norm(*arguments)  # type: ignore[arg-type]


def test_bad_errors_are_refused() -> None:
    with pytest.raises(ValueError, match="`error` must have the shape"):
        operator_norm([[1.0]], 1, 1, error=[[1.0, 2.0]])
    with pytest.raises(ValueError, match="`error` must not be negative"):
        operator_norm([[1.0]], 1, 1, error=[[-1.0]])


# ---- layers -------------------------------------------------------------------------------------
def random_integer_layers() -> list[object]:
    """Linear layers with small integer weights, whose matrices are exact."""
    rng = np.random.default_rng(6)
    layers: list[object] = [
        Dense(weight=rng.integers(-5, 6, (3, 4)).astype(float), leading=(2,)),
        Scale(input_shape=(2, 3), scale=rng.integers(-5, 6, (2, 1)).astype(float)),
        Reshape(input_shape=(2, 3), target_shape=(6,)),
        Permute(input_shape=(2, 3), axes=(1, 0)),
        Identity(input_shape=(3,)),
    ]
    for padding in ("zeros", "circular", "reflect", "replicate"):
        for stride in (1, 2):
            kernel = rng.integers(-5, 6, (2, 2, 3)).astype(float)
            layers.append(
                Convolution(
                    kernel=kernel,
                    input_shape=(2, 5),
                    stride=stride,
                    padding=padding,
                    pad_width=((2, 1),),
                )
            )
        layers.append(Pad(input_shape=(2, 4), widths=((0, 0), (2, 3)), mode=padding))
    kernel = rng.integers(-5, 6, (2, 1, 3)).astype(float)
    layers.append(
        Convolution(
            kernel=kernel,
            input_shape=(2, 4),
            stride=2,
            groups=2,
            transposed=True,
            pad_width=1,
            output_padding=1,
        )
    )
    for stride, width, count, ceil in itertools.product((1, 2), (0, 1), (True, False), (0, 1)):
        layers.append(
            AveragePool(
                input_shape=(2, 7),
                kernel_size=2 if width == 0 else 4,
                stride=stride,
                pad_width=width,
                count_include_pad=count,
                ceil_mode=bool(ceil),
            )
        )
    return layers


def exact_matrix(layer: object) -> Matrix:
    return matrix_of(layer)


@pytest.mark.parametrize("layer", random_integer_layers(), ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("norm", NORMS)
def test_linear_layers_have_the_norm_of_their_matrix(layer: object, norm: float) -> None:
    matrix = exact_matrix(layer)
    found = layer_norm(layer, norm)  # type: ignore[arg-type]
    if isinstance(layer, AveragePool):
        # Entries 1/3 are rounded in the matrix: one rounding of each of at most 14 entries.
        exact = float(np.linalg.norm(matrix, norm))
        assert found.lower <= exact * (1.0 + 1e-14)
        assert exact * (1.0 - 1e-14) <= found.upper
    elif norm == 2:
        assert is_norm_bound(matrix, found.upper)
        assert found.lower == 0.0 or not is_norm_bound(matrix, math.nextafter(found.lower, 0.0))
    else:
        assert holds(found, exact_power(matrix, norm, norm), False)
    assert found.rtol <= 1e-6 or isinstance(layer, Convolution)


def test_one_border_pixel_changes_the_sums_and_is_counted() -> None:
    # Column sums: a pixel at the border is seen by two taps only.
    layer = Convolution(kernel=[[[5.0, 1.0, 1.0]]], input_shape=(1, 1), pad_width=1)
    assert Fraction(1) in layer_norm(layer, 1)
    wide = Convolution(kernel=[[[5.0, 1.0, 1.0]]], input_shape=(1, 8), pad_width=1)
    assert Fraction(7) in layer_norm(wide, 1)
    # The twin: the sum over all taps is not the norm of the small layer.
    assert Fraction(7) not in layer_norm(layer, 1)


@pytest.mark.parametrize("padding", ["reflect", "replicate", "circular"])
def test_large_padded_convolutions_keep_tight_row_sums(padding: str) -> None:
    rng = np.random.default_rng(7)
    kernel = rng.standard_normal((3, 2, 3, 3))
    layer = Convolution(kernel=kernel, input_shape=(2, 24, 26), padding=padding, pad_width=1)
    found = layer_norm(layer, INF)
    assert found.rtol < 1e-12
    exact = max(sum((abs(Fraction(t)) for t in k.ravel()), Fraction(0)) for k in kernel)
    assert exact in found


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [5, 8])
def test_max_pooling_constants_are_attained(stride: int, size: int) -> None:
    layer = MaxPool(input_shape=(1, size), kernel_size=3, stride=stride)
    seen = [0] * size
    for w in range(layer.output_shape[1]):
        for t in range(3):
            seen[w * stride + t] += 1
    most = max(seen)
    assert layer_norm(layer, 1) == Enclosure.exact(float(most), "windows that see one entry")
    assert layer_norm(layer, INF).upper == 1.0
    assert holds(layer_norm(layer, 2), Fraction(most), True)
    # Attained: raise the entry that most windows see, where it is the largest.
    x = np.zeros((1, 1, size))
    y = x.copy()
    y[0, 0, seen.index(most)] = 1.0
    change = layer.apply(y) - layer.apply(x)
    assert float((change**2).sum()) == most


def test_dilated_strided_pooling_counts_only_windows_that_see_an_entry() -> None:
    # Taps at 0, 2, 4 with stride 2: every even entry is seen by three windows, no odd one.
    layer = MaxPool(input_shape=(1, 20), kernel_size=3, stride=2, dilation=2)
    assert layer_norm(layer, 1).upper == 3.0
    # With stride 4 only two of the three taps meet.
    layer = MaxPool(input_shape=(1, 30), kernel_size=3, stride=4, dilation=2)
    assert layer_norm(layer, 1).upper == 2.0


def test_activations_have_their_largest_slope() -> None:
    assert layer_norm(Activation(kind="sigmoid", input_shape=(2,)), 2).upper == 0.25
    steep = Activation(kind="leaky_relu", input_shape=(2,), parameter=-3.0)
    assert layer_norm(steep, 1) == Enclosure.exact(3.0, "largest slope")


def test_joints_are_maps_of_their_stacked_inputs() -> None:
    add = Add(input_shape=(3,), count=4)
    assert [layer_norm(add, norm).upper for norm in NORMS] == [1.0, 2.0, 4.0]
    join = Concatenate(shapes=((2,), (3,)))
    assert [layer_norm(join, norm).upper for norm in NORMS] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("norm", NORMS)
def test_weight_errors_of_layers_are_inside(norm: float) -> None:
    rng = np.random.default_rng(8)
    kernel, error = rng.standard_normal((2, 2, 3)), np.full((2, 2, 3), 0.01)
    for make in (
        lambda k, e: Convolution(kernel=k, input_shape=(2, 6), pad_width=1, weight_error=e),
        lambda k, e: Dense(weight=k[0], weight_error=None if e is None else e[0]),
        lambda k, e: Scale(
            input_shape=(3,), scale=k[0, 0], weight_error=None if e is None else e[0, 0]
        ),
    ):
        found = layer_norm(make(kernel, error), norm)
        plain = layer_norm(make(kernel, None), norm)
        assert found.lower < plain.lower
        assert plain.upper < found.upper
        for corner in (error, -error, error * np.sign(kernel)):
            other = layer_norm(make(kernel + corner * (1.0 - 1e-9), None), norm)
            assert found.overlaps(other)
            assert other.upper <= found.upper * (1.0 + 1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_a_kernel_of_zeros_has_norm_zero(norm: float) -> None:
    for padding in ("zeros", "reflect"):
        layer = Convolution(
            kernel=np.zeros((2, 2, 3)), input_shape=(2, 5), padding=padding, pad_width=1
        )
        found = layer_norm(layer, norm)
        assert (found.lower, found.upper) == (0.0, 0.0)


def test_unknown_norms_and_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="`norm` must be one of 1, 2, inf, got 3"):
        layer_norm(Identity(input_shape=(1,)), 3)
    with pytest.raises(TypeError, match="has no norm here"):
        layer_norm(object())  # type: ignore[arg-type]
