"""The reference implementations compute what their papers say, on cases that are known exactly."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from benchmarks.comparison import PEERS
from benchmarks.peers import (
    as_stride_one,
    dense_fft_svd,
    four_matrix_bound,
    gram_iteration,
    half_spectrum_svd,
    power_iteration,
    reshaped_norm,
    tensor_bound,
)
from tests.oracles import convolution_matrix

EPS = float(np.finfo(np.float64).eps)
# Singular values by LAPACK are backward stable (error a small multiple of n eps ||A||), and so is
# the FFT with log n in place of n; the matrices here have fewer than 1000 rows and columns.
RTOL = 1000 * EPS

LAYERS: list[dict[str, Any]] = [
    {"kernel": (5, 3, 3, 3), "n": (6, 6)},
    {"kernel": (3, 5, 3, 3), "n": (5, 4)},
    {"kernel": (4, 2, 4, 4), "n": (8, 8), "stride": (2, 2)},
    {"kernel": (4, 2, 3, 3), "n": (6, 6), "stride": (2, 3)},
    {"kernel": (2, 3, 2, 3), "n": (7, 5), "dilation": (3, 2)},
    {"kernel": (2, 3, 3, 3), "n": (12, 6), "stride": (2, 2), "dilation": (3, 2)},
    {"kernel": (6, 1, 3, 3), "n": (5, 5), "groups": 6},
    {"kernel": (4, 2, 3, 3), "n": (4, 4), "stride": (2, 2), "groups": 2},
    {"kernel": (2, 2, 5, 7), "n": (3, 4)},
    {"kernel": (3, 2, 5), "n": (9,)},
    {"kernel": (3, 2, 4), "n": (12,), "stride": (3,)},
    {"kernel": (2, 2, 2, 3, 2), "n": (3, 4, 2)},
]


def gaussian(shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(len(shape)).standard_normal(shape)


def layer(case: dict[str, Any]) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    dimension = len(case["n"])
    ones = (1,) * dimension
    options = {
        "stride": case.get("stride", ones),
        "dilation": case.get("dilation", ones),
        "groups": case.get("groups", 1),
    }
    return gaussian(case["kernel"]), options


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: str(case))
def test_the_fourier_peers_give_the_norm_of_the_circular_matrix(case: dict[str, Any]) -> None:
    kernel, options = layer(case)
    exact = np.linalg.norm(convolution_matrix(kernel, case["n"], **options), 2)
    kernels, shape = as_stride_one(kernel, case["n"], **options)
    assert dense_fft_svd(kernels, shape) == pytest.approx(exact, rel=RTOL)
    assert half_spectrum_svd(kernels, shape, library="torch") == pytest.approx(exact, rel=RTOL)
    assert half_spectrum_svd(kernels, shape, library="numpy") == pytest.approx(exact, rel=RTOL)


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: str(case))
def test_gram_iteration_decreases_to_the_norm_from_above(case: dict[str, Any]) -> None:
    kernel, options = layer(case)
    kernels, shape = as_stride_one(kernel, case["n"], **options)
    exact = dense_fft_svd(kernels, shape)
    values = [gram_iteration(kernels, shape, steps=steps) for steps in (0, 1, 2, 4, 6)]
    assert all(b <= a * (1 + RTOL) for a, b in itertools.pairwise(values))
    rank = min(kernels.shape[1:3])
    assert exact * (1 - RTOL) <= values[-1] <= exact * rank ** (2.0**-7) * (1 + RTOL)


@pytest.mark.parametrize("case", [c for c in LAYERS if min(c["n"]) >= 4], ids=str)
def test_power_iteration_approaches_the_zero_padded_norm_from_below(case: dict[str, Any]) -> None:
    kernel, options = layer(case)
    pad = tuple(k // 2 for k in kernel.shape[2:])
    matrix = convolution_matrix(kernel, case["n"], padding="zeros", pad_width=pad, **options)
    exact = np.linalg.norm(matrix, 2)
    value = power_iteration(kernel, case["n"], pad_width=pad, **options)
    assert 0.95 * exact <= value <= exact * (1 + RTOL)


def test_torch_normalises_another_matrix() -> None:
    kernel = np.ones((1, 1, 3, 3))
    kernels, shape = as_stride_one(kernel, (8, 8), stride=(1, 1), dilation=(1, 1))
    assert dense_fft_svd(kernels, shape) == pytest.approx(9.0, rel=RTOL)
    assert reshaped_norm(kernel) == pytest.approx(3.0, rel=RTOL)


def test_torch_runs_a_fixed_number_of_steps_and_stays_below_its_own_matrix() -> None:
    kernel = gaussian((8, 4, 3, 3))
    exact = np.linalg.norm(kernel.reshape(8, -1), 2)
    assert 0.9 * exact <= reshaped_norm(kernel) <= exact * (1 + RTOL)


def test_the_bounds_from_the_kernel_are_reached_by_a_kernel_of_ones() -> None:
    # sigma = 9 at frequency 0; sqrt(9) * ||reshaped|| = 3 * 3 for every reshaping and the tensor.
    kernels = np.ones((1, 1, 1, 3, 3))
    assert four_matrix_bound(kernels) == pytest.approx(9.0, rel=RTOL)
    assert tensor_bound(kernels) == pytest.approx(9.0, rel=RTOL)


def test_the_tensor_bound_is_exact_for_a_product_of_vectors() -> None:
    vectors = [gaussian((n,)) for n in (3, 4, 3, 2)]
    kernel = np.einsum("a,b,c,d->abcd", *vectors)
    expected = math.sqrt(6.0) * math.prod(float(np.linalg.norm(v)) for v in vectors)
    assert tensor_bound(kernel[None]) == pytest.approx(expected, rel=RTOL)


@pytest.mark.parametrize("case", [c for c in LAYERS if c.get("stride") is None], ids=str)
def test_converged_bounds_from_the_kernel_exceed_the_circular_norm(case: dict[str, Any]) -> None:
    kernel, options = layer(case)
    kernels, shape = as_stride_one(kernel, case["n"], **options)
    exact = dense_fft_svd(kernels, shape)
    assert four_matrix_bound(kernels, steps=2000) >= exact * (1 - RTOL)
    assert tensor_bound(kernels, steps=500) >= exact * (1 - RTOL)


def test_an_iterated_bound_can_be_below_what_it_bounds() -> None:
    # The must-fail twin of the test above: one step of either iteration is no upper bound.
    kernel = np.zeros((1, 1, 2, 1, 1))
    kernel[0, 0, :, 0, 0] = [100.0, 1e-3]
    kernels = np.concatenate([kernel, np.flip(kernel, 2)], axis=1)
    kernels[0, 1] *= 1.01
    exact = dense_fft_svd(kernels, (1, 1))
    assert four_matrix_bound(kernels, steps=1) < 0.9999 * exact
    assert tensor_bound(kernels, steps=1) < 0.9999 * exact


@pytest.mark.parametrize("kernel", [np.zeros((2, 3, 3, 3))])
def test_a_kernel_of_zeros_has_norm_zero(kernel: np.ndarray[Any, Any]) -> None:
    one = (1, 1)
    kernels, shape = as_stride_one(kernel, (4, 4), stride=one, dilation=one)
    assert dense_fft_svd(kernels, shape) == 0.0
    assert gram_iteration(kernels, shape) == pytest.approx(0.0, abs=1e-300)
    assert power_iteration(kernel, (4, 4), stride=one, dilation=one, pad_width=one) == 0.0
    assert reshaped_norm(kernel) == 0.0
    assert four_matrix_bound(kernels) == 0.0
    assert tensor_bound(kernels) == 0.0


def test_a_stride_that_does_not_divide_the_circle_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`stride` = .* must divide `input_shape`"):
        as_stride_one(np.ones((1, 1, 3)), (7,), stride=(2,), dilation=(1,))


def test_no_peer_is_called_proved() -> None:
    assert {peer.claim for peer in PEERS} == {
        "estimate",
        "other quantity",
        "upper in exact arithmetic",
    }
