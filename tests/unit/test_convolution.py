"""Convolution norms against the dense operator, in every variant, and every bad input."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from evidence import Enclosure
from lipschitz import border, singular_values, spectral_norm, spectral_norm_torus
from tests.oracles import convolution_matrix

EPS = float(np.finfo(np.float64).eps)


def random_case(rng: np.random.Generator) -> tuple[np.ndarray, tuple[int, ...], dict[str, Any]]:
    """A kernel, an input shape and options of one of all the supported layers."""
    ndim = int(rng.integers(1, 4))
    groups = int(rng.integers(1, 3))
    sizes = tuple(int(k) for k in rng.integers(1, [7, 5, 4][ndim - 1], ndim))
    stride = tuple(int(s) for s in rng.integers(1, 4 if ndim < 3 else 3, ndim))
    dilation = tuple(int(d) for d in rng.integers(1, 3, ndim))
    shape = (int(rng.integers(1, 4)) * groups, int(rng.integers(1, 4)), *sizes)
    kernel = rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4)
    style = rng.random()
    if style < 0.2:
        kernel = np.round(kernel)
    elif style < 0.3:
        kernel = np.ones(shape)
    elif style < 0.35:
        kernel = np.zeros(shape)
    transposed = bool(rng.random() < 0.3)
    modes = ["circular", "zeros"] if transposed else ["circular", "zeros", "reflect", "replicate"]
    padding = str(rng.choice(modes))
    inputs = tuple(int(n) for n in rng.integers(1, [30, 8, 5][ndim - 1], ndim))
    options: dict[str, Any] = {
        "stride": stride,
        "dilation": dilation,
        "groups": groups,
        "transposed": transposed,
        "padding": padding,
    }
    if padding == "circular":
        if not transposed and rng.random() < 0.8:
            inputs = tuple(n * s for n, s in zip(inputs, stride, strict=True))
    elif rng.random() < 0.5:
        options["pad_width"] = [tuple(int(p) for p in rng.integers(0, 3, 2)) for _ in sizes]
    if padding == "zeros" and transposed:
        options["output_padding"] = tuple(int(rng.integers(0, s)) for s in stride)
    return kernel, inputs, options


def check_case(rng: np.random.Generator, dense: bool) -> bool:
    kernel, inputs, options = random_case(rng)
    circular = options["padding"] == "circular"
    try:
        found = spectral_norm(kernel, inputs, **options, **({"wrap": True} if circular else {}))
    except ValueError as error:
        # Refused: the draw has a border wider than the input allows, or no window at all.
        if "`pad_width`" not in str(error) and "`kernel_size`" not in str(error):
            raise
        return False
    matrix = convolution_matrix(kernel, inputs, **options)
    exact = float(np.linalg.norm(matrix, 2)) if matrix.any() else 0.0
    rounding = 8 * EPS * max(matrix.shape) * exact  # of LAPACK's SVD, not of the enclosure
    label = f"{kernel.shape} {inputs} {options} {found}"
    assert found.lower - rounding <= exact <= found.upper + rounding, label
    assert (found.lower > 0.0) == (exact > 0.0), label
    divisible = all(n % s == 0 for n, s in zip(inputs, options["stride"], strict=True))
    if options["padding"] == "zeros" or (circular and (divisible or options["transposed"])):
        steps = {k: options[k] for k in ("stride", "dilation", "groups", "transposed")}
        assert exact <= spectral_norm_torus(kernel, **steps).upper + rounding, label
    if dense:
        assert found.rtol <= 1e-6, label
    return True


def test_four_hundred_random_layers_are_enclosed(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    checked = 0
    while checked < 200:
        checked += check_case(rng, dense=True)
    # The same without the dense certificate, so that grids, borders and Lanczos are tested.
    monkeypatch.setattr(border, "_DENSE_SIDE", 0)
    while checked < 400:
        checked += check_case(rng, dense=False)


@pytest.mark.exhaustive
def test_ten_thousand_random_layers_are_enclosed(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    for i in range(10_000):
        monkeypatch.setattr(border, "_DENSE_SIDE", 512 if i % 3 == 0 else 0)
        check_case(rng, dense=False)


def test_all_singular_values_of_two_hundred_circular_layers() -> None:
    rng = np.random.default_rng(2)
    checked = 0
    while checked < 200:
        kernel, inputs, options = random_case(rng)
        if options["padding"] != "circular":
            continue
        steps = {k: options[k] for k in ("stride", "dilation", "groups", "transposed")}
        if not options["transposed"] and any(
            n % s for n, s in zip(inputs, options["stride"], strict=True)
        ):
            with pytest.raises(ValueError, match="divisible"):
                singular_values(kernel, inputs, **steps, wrap=True)
            continue
        matrix = convolution_matrix(kernel, inputs, **options)
        exact = np.linalg.svd(matrix, compute_uv=False)
        found = singular_values(kernel, inputs, **steps, wrap=True)
        assert found.shape == exact.shape
        assert np.abs(found - exact).max() <= 16 * EPS * max(matrix.shape) * exact[0]
        checked += 1


def test_the_circular_value_of_the_same_size_is_no_bound_for_zero_padding() -> None:
    kernel = [[[1.0, -2.0, 1.0]]]
    assert spectral_norm(kernel, 1, wrap=True).upper < 1e-5
    assert 2.0 in spectral_norm(kernel, 1, padding="zeros")
    difference = [[[1.0, -1.0]]]
    circular = spectral_norm(difference, 3)
    zeros = spectral_norm(difference, 3, padding="zeros")
    assert math.sqrt(3.0) in circular
    assert 2 * math.cos(math.pi / 7) in zeros
    assert circular.upper < zeros.lower


def test_zero_padding_is_bounded_by_the_torus_and_the_larger_grid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(border, "_DENSE_SIDE", 0)
    kernel = np.random.default_rng(3).standard_normal((3, 2, 3, 3))
    zeros = spectral_norm(kernel, (6, 5), padding="zeros")
    larger = spectral_norm(kernel, (8, 7))
    torus = spectral_norm_torus(kernel)
    assert zeros.upper <= larger.upper * (1 + 2e-6) <= torus.upper * (1 + 4e-6)
    exact = np.linalg.norm(convolution_matrix(kernel, (6, 5), padding="zeros"), 2)
    assert zeros.lower >= exact * (1 - 1e-9)  # Lanczos has converged on so small an operator


def test_the_torus_is_no_bound_for_a_circular_size_that_the_stride_does_not_divide() -> None:
    # The last window then overlaps the first by more than a stride would allow.
    kernel = np.ones((1, 1, 5))
    found = spectral_norm(kernel, 5, stride=4)
    assert math.sqrt(10.0) in found  # two rows of five ones each: the same row twice
    assert spectral_norm_torus(kernel, stride=4).upper < 0.95 * found.lower


def test_torch_layers_have_the_norms_stated() -> None:
    generator = torch.Generator().manual_seed(0)
    for mode in ("zeros", "circular", "reflect", "replicate"):
        layer = torch.nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode, bias=False).double()
        with torch.no_grad():
            layer.weight.copy_(torch.randn(3, 2, 3, 3, generator=generator, dtype=torch.float64))
        basis = torch.eye(2 * 5 * 4, dtype=torch.float64).reshape(-1, 2, 5, 4)
        exact = float(torch.linalg.matrix_norm(layer(basis).detach().reshape(len(basis), -1), 2))
        found = spectral_norm(layer.weight.detach(), (5, 4), padding=mode, pad_width=1)
        assert found.lower - 1e-12 <= exact <= found.upper + 1e-12


def test_large_zero_padded_layer_is_enclosed_tightly_by_a_windowed_wave() -> None:
    kernel = np.random.default_rng(4).standard_normal((8, 8, 3, 3))
    found = spectral_norm(kernel, (64, 64), padding="zeros")
    assert "Lanczos" in found.method
    assert found.rtol < 0.01


def test_depthwise_layers_are_enclosed_group_by_group() -> None:
    kernel = np.random.default_rng(5).standard_normal((200, 1, 3, 3))
    found = spectral_norm_torus(kernel, groups=200)
    alone = [spectral_norm_torus(kernel[i : i + 1]) for i in range(200)]
    assert found.overlaps(alone[0].maximum(*alone[1:]))
    assert found.rtol <= 1e-6


@pytest.mark.parametrize("exponent", [-1070, -600, 0, 600, 1000, 1022])
def test_scaling_by_powers_of_two_scales_the_enclosure(exponent: int) -> None:
    kernel = np.array([[[1.0, -2.0, 1.0]]])
    scaled = np.ldexp(kernel, exponent)
    found = spectral_norm_torus(scaled)
    assert found.lower <= math.nextafter(math.inf, 0.0)
    assert math.inf == found.upper if exponent == 1022 else math.ldexp(4.0, exponent) in found


@pytest.mark.parametrize("shape", [(2, 3, 3), (2, 3, 3, 3), (1, 2, 2, 2, 2)])
def test_a_kernel_of_zeros_gives_exactly_zero(shape: tuple[int, ...]) -> None:
    kernel, sizes = np.zeros(shape), (4,) * (len(shape) - 2)
    results: list[Enclosure] = [spectral_norm_torus(kernel)]
    for padding in ("circular", "zeros", "reflect", "replicate"):
        results.append(spectral_norm(kernel, sizes, padding=padding))
    assert all((e.lower, e.upper) == (0.0, 0.0) for e in results)
    assert not singular_values(kernel, sizes).any()


def test_one_by_one_kernels_have_the_norm_of_their_matrix() -> None:
    matrix = np.random.default_rng(6).standard_normal((4, 3))
    found = spectral_norm_torus(matrix[:, :, None, None], stride=2)
    assert float(np.linalg.norm(matrix, 2)) in found
    assert found.rtol < 1e-13


def test_dilation_and_common_strides_do_not_change_the_supremum() -> None:
    kernel = np.random.default_rng(7).standard_normal((2, 2, 3, 3))
    plain = spectral_norm_torus(kernel)
    assert plain.overlaps(spectral_norm_torus(kernel, dilation=3))
    assert spectral_norm_torus(kernel, stride=2, dilation=2).overlaps(plain)


def test_transposed_layers_have_the_norm_of_the_layer_they_transpose() -> None:
    kernel = np.random.default_rng(8).standard_normal((4, 3, 4, 4))
    forward = spectral_norm(kernel, (8, 8), stride=2)
    assert forward.overlaps(spectral_norm(kernel, (4, 4), stride=2, transposed=True))


# ---- bad input --------------------------------------------------------------------------------
GOOD = np.ones((2, 2, 3, 3))


@pytest.mark.parametrize(
    ("kernel", "error", "message"),
    [
        (np.full((1, 1, 3), np.nan), ValueError, "`kernel` must be finite"),
        (np.full((1, 1, 3), np.inf), ValueError, "`kernel` must be finite"),
        (np.zeros((1, 0, 3)), ValueError, "`kernel` must not be empty"),
        (np.ones((1, 1, 3), complex), TypeError, "complex128"),
        (np.ones((1, 1, 3), int), TypeError, "int64"),
        (np.ones((1, 1, 3), bool), TypeError, "bool"),
        (np.ones((1, 1, 3), object), TypeError, "object"),
        (np.ones((1, 1, 3), np.float16), TypeError, "float16"),
        (np.ones((1, 1, 3), np.longdouble), TypeError, "longdouble|float128"),
        (np.ma.masked_array(np.ones((1, 1, 3))), TypeError, "masked"),
        (np.ones((3, 3)), ValueError, "dimensions"),
        (np.ones((1,) * 6), ValueError, "dimensions"),
        ([[[1.0, 2.0]], [[1.0]]], ValueError, "rectangular"),
        ("kernel", TypeError, "`kernel` must be"),
        (None, TypeError, "`kernel` must be"),
        (torch.ones(1, 1, 3, requires_grad=True), TypeError, r"kernel\.detach"),
        (torch.ones(1, 1, 3, device="meta"), TypeError, "device meta"),
        (torch.ones(1, 1, 3, dtype=torch.float16), TypeError, "float16"),
        (torch.ones(1, 1, 3, dtype=torch.bfloat16), TypeError, "bfloat16"),
        (torch.ones(1, 1, 3, dtype=torch.int32), TypeError, "int32"),
    ],
)
def test_kernels_without_a_meaning_are_refused(
    kernel: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        spectral_norm_torus(kernel)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stride": 0}, ValueError, "`stride` must be at least 1"),
        ({"stride": (1, 2, 3)}, ValueError, "2 spatial axes"),
        ({"stride": 1.5}, TypeError, "`stride` must be an int"),
        ({"stride": True}, TypeError, "`stride` must be an int"),
        ({"dilation": -1}, ValueError, "`dilation` must be at least 1"),
        ({"groups": 3}, ValueError, "`groups` = 3 must divide the 2 channels"),
        ({"groups": 0}, ValueError, "`groups` must be at least 1"),
        ({"transposed": 1}, TypeError, "`transposed` must be True or False"),
        ({"rtol": 0.0}, ValueError, "`rtol` must be positive"),
        ({"rtol": math.nan}, ValueError, "`rtol` must be positive"),
        ({"rtol": "tight"}, TypeError, "`rtol` must be a number"),
    ],
)
def test_options_without_a_meaning_are_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        spectral_norm_torus(GOOD, **options)


@pytest.mark.parametrize(
    ("input_shape", "options", "message"),
    [
        ((2, 8), {}, "`kernel` spans .* pass `wrap=True`"),
        ((8,), {}, "2 spatial axes"),
        ((0, 8), {}, "at least 1"),
        ((8, 8), {"padding": "same"}, "`padding` must be one of 'zeros'"),
        ((8, 8), {"padding": "reflect", "transposed": True}, "`padding` must be 'zeros'"),
        ((2, 2), {"padding": "zeros", "pad_width": 0}, "larger|exceeds|window|`kernel_size`"),
        ((2, 2), {"padding": "reflect", "pad_width": 2}, "`pad_width` = "),
        ((8, 8), {"padding": "zeros", "pad_width": -1}, "`pad_width` must be at least 0"),
        ((8, 8), {"output_padding": 1}, "`output_padding`"),
        ((8, 8), {"transposed": True, "pad_width": 1}, "no meaning"),
        (
            (8, 8),
            {"padding": "zeros", "transposed": True, "output_padding": 1},
            "must be smaller than `stride`",
        ),
    ],
)
def test_geometries_without_an_operator_are_refused(
    input_shape: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        spectral_norm(GOOD, input_shape, **options)


def test_a_kernel_larger_than_the_circular_grid_has_no_singular_values() -> None:
    with pytest.raises(ValueError, match="wrap=True"):
        singular_values(GOOD, (2, 8))
    with pytest.raises(ValueError, match="divisible by `stride`"):
        singular_values(GOOD, (9, 9), stride=2)
