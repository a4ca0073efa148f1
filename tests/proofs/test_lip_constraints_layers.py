"""Normalisation, orthogonal weights and sorting: what the layers of a constrained critic keep."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from lipschitz.constraints import batch_normalization_jacobian
from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves


# ---- normalisation that mixes samples ------------------------------------------------------------
def normalised(values):
    """``n (x_i - mean)`` and ``n^2 var``, polynomials: the output is their quotient's root."""
    n, total = len(values), sum(values)
    numerators = [n * x - total for x in values]
    return numerators, n * sum(x * x for x in values) - total**2


def check_samples_do_not_mix(groups_of):
    """Whether the output at sample i contains symbols of other samples, for a 3 x 3 batch."""
    import sympy

    batch = [[sympy.Symbol(f"x_{i}_{j}") for j in range(3)] for i in range(3)]
    for group in groups_of(batch):
        numerators, scale = normalised(group)
        for x, numerator in zip(group, numerators, strict=True):
            sample = str(x).split("_")[1]
            used = (sympy.expand(numerator).free_symbols) | sympy.expand(scale).free_symbols
            assert {str(s).split("_")[1] for s in used} == {sample}


def rows(batch):
    return batch


def columns(batch):
    return [list(column) for column in zip(*batch, strict=True)]


def check_depends_on_mates(groups_of):
    """The output at a fixed sample (1, 1) next to two companions, eps = 1/3, exact."""

    def first_output(mate):
        batch = [[Fraction(1), Fraction(1)], [mate, mate], [-mate, -mate]]
        group = groups_of(batch)[0]
        n = len(group)
        numerators, scale = normalised(group)
        # The square of (x - mean) / sqrt(var + eps), with its sign.
        top = Fraction(numerators[0])
        return top * abs(top) / (scale + Fraction(1, 3) * n * n)

    assert first_output(Fraction(2)) != first_output(Fraction(0))


@proves("batchnorm-incompatible-with-gp", strength="identity", scope="layer norm")
def test_layer_normalisation_uses_no_other_sample():
    check_samples_do_not_mix(rows)


@proves("batchnorm-incompatible-with-gp", strength="certificate", scope="batch norm")
def test_batch_normalisation_gives_a_sample_another_value_in_other_company():
    check_depends_on_mates(columns)


@proves("batchnorm-incompatible-with-gp", role="must_fail")
def test_batch_normalisation_does_use_other_samples():
    check_samples_do_not_mix(columns)


@proves("batchnorm-incompatible-with-gp", role="must_fail")
def test_layer_normalisation_gives_a_sample_the_same_value_in_any_company():
    check_depends_on_mates(rows)


@proves("batchnorm-incompatible-with-gp", strength="identity", role="supports")
def test_the_sum_over_a_batch_does_not_depend_on_it():
    # n (x_i - mean) adds up to 0: the gradient of the sum of D(x_i) = <a, z_i> + b is 0.
    check_identity(lambda x, y, z: sum(normalised([x, y, z])[0]), lambda x, y, z: 0 * x)


def off_diagonal_and_sum(layer):
    """Largest derivative across samples, and of the sum of all values behind a linear head."""
    import torch

    torch.manual_seed(0)
    x = torch.randn(4, 3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(layer, x)
    across = max(
        float(jacobian[i, :, j].abs().max())
        for i, j in itertools.product(range(4), repeat=2)
        if i != j
    )
    head = torch.randn(3, dtype=torch.float64)
    gradient = torch.autograd.functional.jacobian(lambda b: (layer(b) @ head).sum(), x)
    return across, float(gradient.abs().max())


@proves("batchnorm-incompatible-with-gp", strength="tested", role="supports")
def test_torchs_batch_norm_mixes_and_its_sum_is_flat_and_its_layer_norm_does_not_mix():
    import torch

    across, of_sum = off_diagonal_and_sum(torch.nn.BatchNorm1d(3, dtype=torch.float64))
    assert across > 0.1
    assert of_sum <= 1e-14  # a sum of 4 terms of size 1 that cancel: a few units of 2**-52
    across, of_sum = off_diagonal_and_sum(torch.nn.LayerNorm(3, dtype=torch.float64))
    assert across == 0.0
    assert of_sum > 0.1


@proves("batchnorm-incompatible-with-gp", strength="tested", role="conforms")
def test_the_shipped_jacobian_has_cross_terms_and_sums_to_zero():
    # x = -1, 0, 1 and eps = 1/3: var + eps = 1, so that J = I - 1/3 - x x^T / 3.
    jacobian = batch_normalization_jacobian([-1.0, 0.0, 1.0], eps=1 / 3)
    expected = np.array([[1, -1, 0], [-1, 2, -1], [0, -1, 1]]) / 3
    assert np.abs(jacobian - expected).max() <= 8 * 2.0**-52


# ---- Björck --------------------------------------------------------------------------------------
def check_below_one(coefficient):
    """``1 - s'  = (1 - s)^2 (1 + s / 2)``, doubled to stay in the integers."""
    check_identity(lambda s: 2 - s * (coefficient - s**2), lambda s: (1 - s) ** 2 * (2 + s))


def check_grows(coefficient):
    """``2 s' - 2 s = s (1 - s) (1 + s)``."""
    check_identity(lambda s: s * (coefficient - s**2) - 2 * s, lambda s: s * (1 - s) * (1 + s))


def check_quadratic(constant):
    """``constant e^2 - 2 (1 - s') = e^2 (1 - s)`` with e = 1 - s."""
    check_identity(
        lambda s: constant * (1 - s) ** 2 - (2 - s * (3 - s**2)), lambda s: (1 - s) ** 2 * (1 - s)
    )


SINGULAR = ("with W = U S V^T the image is U S (3 I - S^2) V^T / 2",)


@proves(
    "bjorck-iteration-does-not-expand",
    strength="identity",
    scope="stays below 1",
    lemmas=SINGULAR,
)
def test_singular_values_stay_at_most_one():
    check_below_one(3)


@proves("bjorck-iteration-does-not-expand", strength="identity", scope="grows", lemmas=SINGULAR)
def test_singular_values_in_the_unit_interval_grow():
    check_grows(3)


@proves("bjorck-iteration-does-not-expand", strength="identity", scope="quadratic", lemmas=SINGULAR)
def test_the_distance_to_one_is_squared():
    check_quadratic(3)


@proves("bjorck-iteration-does-not-expand", role="must_fail")
def test_another_coefficient_misses_one():
    check_below_one(4)


@proves("bjorck-iteration-does-not-expand", role="must_fail")
def test_another_coefficient_does_not_grow():
    check_grows(2)


@proves("bjorck-iteration-does-not-expand", role="must_fail")
def test_the_distance_to_one_is_not_its_square_alone():
    check_quadratic(2)


# ---- Cayley --------------------------------------------------------------------------------------
def check_gram(times):
    """``(I - A)^T (I - A) + 4 V^T V = (I + A)^T (I + A)`` for A = S + Q, S^T = -S, Q = V^T V.

    In letters that do not commute, so for matrices of every size.
    """
    import sympy

    S, Q = sympy.symbols("S Q", commutative=False)
    one = sympy.Integer(1)
    left = (one + S - Q) * (one - S - Q) + times * Q
    right = (one - S + Q) * (one + S + Q)
    assert sympy.expand(left - right) == 0


def check_invertible(skew):
    """``x^T (I + A) x - |x|^2 = x^T S x + |V x|^2``, and a skew S gives nothing."""
    check_nonnegative_combination(
        lambda x, y, s, q: (x * x + y * y + x * s * y + y * skew(s) * x + q**2) - (x * x + y * y),
        lambda x, y, s, q: [1],
        lambda x, y, s, q: [q**2],
    )


@proves(
    "cayley-columns-are-orthonormal",
    strength="identity",
    scope="orthonormal",
    lemmas=("W^T W = B^T ((I - A)^T (I - A) + 4 V^T V) B with B = (I + A)^-1",),
)
def test_the_gram_matrix_of_the_cayley_transform_is_the_identity():
    check_gram(4)


@proves(
    "cayley-columns-are-orthonormal",
    strength="identity",
    scope="invertible",
    lemmas=("pairs of coordinates are added", "x^T M x >= |x|^2 makes M injective"),
)
def test_a_skew_and_a_positive_part_leave_the_identity_invertible():
    check_invertible(lambda s: -s)


@proves("cayley-columns-are-orthonormal", role="must_fail")
def test_the_lower_block_is_not_scaled_by_one():
    check_gram(1)


@proves("cayley-columns-are-orthonormal", role="must_fail")
def test_a_symmetric_part_may_cancel_the_identity():
    check_invertible(lambda s: s)


# ---- sorting -------------------------------------------------------------------------------------
# (a, b) and (c, d) are ordered, p = b - a >= 0 and q = d - c >= 0; the second pair stood as (d, c).
# x = a - c decides all signs: a - d = x - q, b - c = x + p, b - d = x + p - q.
def check_swap_l2(times):
    """``(a - d)^2 + (b - c)^2 - (a - c)^2 - (b - d)^2 = 2 p q``."""
    check_nonnegative_combination(
        lambda p, q, x: (x - q) ** 2 + (x + p) ** 2 - times * (x**2 + (x + p - q) ** 2),
        lambda p, q, x: [2 * p],
        lambda p, q, x: [q],
    )


def check_swap_l1(after):
    """``|a - c| + |b - d| <= u + v`` for all signs, u = |a - d| >= +-(x - q), v = |b - c|."""
    cases = [
        (lambda p, q, x: 2 * x + p - q, lambda p, q, x, u, v: [u - (x - q), v - (x + p)]),
        (lambda p, q, x: q - 2 * x - p, lambda p, q, x, u, v: [u + (x - q), v + (x + p)]),
        (lambda p, q, x: q - p, lambda p, q, x, u, v: [u + (x - q), v - (x + p), p, p]),
        (lambda p, q, x: p - q, lambda p, q, x, u, v: [u + (x - q), v - (x + p), q, q]),
    ]
    for moduli, slacks in cases:
        _check_case(after, moduli, slacks)


def _check_case(after, moduli, slacks):
    count = len(slacks(0, 0, 0, 0, 0))
    check_nonnegative_combination(
        lambda p, q, x, u, v: u + v - after * moduli(p, q, x),
        lambda p, q, x, u, v: [1] * count,
        slacks,
    )


def check_swap_linf(after):
    """Each of |a - c|, |b - d| is at most M >= |a - d|, |b - c|, by its sign."""
    cases = [
        (lambda p, q, x: x, lambda p, q, x, M: [M - (x + p), p]),  # a - c <= b - c
        (lambda p, q, x: -x, lambda p, q, x, M: [M + (x - q), q]),  # c - a <= d - a
        (lambda p, q, x: x + p - q, lambda p, q, x, M: [M - (x + p), q]),  # b - d <= b - c
        (lambda p, q, x: q - x - p, lambda p, q, x, M: [M + (x - q), p]),  # d - b <= d - a
    ]
    for entry, slacks in cases:
        _check_entry(after, entry, slacks)


def _check_entry(after, entry, slacks):
    check_nonnegative_combination(
        lambda p, q, x, M: M - after * entry(p, q, x), lambda p, q, x, M: [1, 1], slacks
    )


SWAPS = (
    "sorting both vectors is a common permutation and swaps of pairs out of order in one of them",
)


@proves("group-sort-does-not-expand", strength="identity", scope="l2", lemmas=SWAPS)
def test_putting_a_pair_in_order_does_not_increase_the_l2_distance():
    check_swap_l2(1)


@proves("group-sort-does-not-expand", strength="identity", scope="l1", lemmas=SWAPS)
def test_putting_a_pair_in_order_does_not_increase_the_l1_distance():
    check_swap_l1(1)


@proves("group-sort-does-not-expand", strength="identity", scope="linf", lemmas=SWAPS)
def test_putting_a_pair_in_order_does_not_increase_the_largest_distance():
    check_swap_linf(1)


@proves("group-sort-does-not-expand", role="must_fail")
def test_sorting_does_not_halve_squared_distances():
    check_swap_l2(2)


@proves("group-sort-does-not-expand", role="must_fail")
def test_sorting_does_not_halve_l1_distances():
    check_swap_l1(2)


@proves("group-sort-does-not-expand", role="must_fail")
def test_sorting_does_not_halve_the_largest_distance():
    check_swap_linf(2)
