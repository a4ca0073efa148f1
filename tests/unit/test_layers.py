"""Linear layers: shapes, values, adjoints and rounding, against definitions in exact arithmetic."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evidence.rounding import gamma
from lipschitz.layers import (
    Add,
    AveragePool,
    Concatenate,
    Convolution,
    Dense,
    Identity,
    LinearLayer,
    Pad,
    Permute,
    Reshape,
    Scale,
)
from lipschitz.layers.padding import PADDINGS
from tests.oracles import convolution_matrix

Array = NDArray[np.float64]
SEEDS = range(40)


def random_convolution(rng: np.random.Generator, *, bias: bool = True) -> Convolution:
    """A small convolution with everything that can be asked of one, in 1 to 3 dimensions."""
    axes = int(rng.integers(1, 4))
    groups, transposed = int(rng.integers(1, 3)), bool(rng.random() < 0.4)
    outer, inner = (int(n) for n in rng.integers(1, 3, 2))
    kernel_size = rng.integers(1, 4, axes)
    stride, dilation = rng.integers(1, 4, axes), rng.integers(1, 3, axes)
    spans = dilation * (kernel_size - 1) + 1
    sizes = spans + rng.integers(0, 3, axes) if not transposed else rng.integers(2, 4, axes)
    padding = "zeros" if transposed else str(rng.choice(PADDINGS))
    limit = spans // 2 if transposed else np.minimum(sizes - 1, 2)
    pairs = [(int(rng.integers(0, n + 1)), int(rng.integers(0, n + 1))) for n in limit]
    extra = rng.integers(0, stride) if transposed else np.zeros(axes, int)
    kernel = rng.standard_normal((groups * outer, inner, *kernel_size))
    channels = groups * (outer if transposed else inner)
    outputs = groups * (inner if transposed else outer)
    return Convolution(
        kernel=kernel,
        bias=rng.standard_normal(outputs) if bias else None,
        input_shape=(channels, *(int(n) for n in sizes)),
        stride=tuple(int(n) for n in stride),
        dilation=tuple(int(n) for n in dilation),
        groups=groups,
        padding=padding,
        pad_width=tuple(pairs),
        transposed=transposed,
        output_padding=tuple(int(n) for n in extra),
    )


def random_layer(rng: np.random.Generator) -> LinearLayer:
    """Any linear layer."""
    shape = tuple(int(n) for n in rng.integers(1, 5, 3))
    kind = int(rng.integers(0, 10))
    if kind == 0:
        weight = rng.standard_normal((3, shape[-1]))
        return Dense(weight=weight, bias=rng.standard_normal(3), leading=shape[:-1])
    if kind == 1:
        scale = rng.standard_normal((shape[0], 1, 1))
        return Scale(input_shape=shape, scale=scale, shift=rng.standard_normal(shape))
    if kind == 2:
        return Reshape(input_shape=shape, target_shape=(shape[0] * shape[1], shape[2]))
    if kind == 3:
        return Permute(input_shape=shape, axes=tuple(int(a) for a in rng.permutation(3)))
    if kind == 4:
        return Add(input_shape=shape, count=int(rng.integers(1, 4)))
    if kind == 5:
        axis = int(rng.integers(0, 3))
        other = tuple(n + 2 * (i == axis) for i, n in enumerate(shape))
        return Concatenate(shapes=(shape, other, shape), axis=axis)
    if kind == 6:
        mode = str(rng.choice(PADDINGS))
        widths = [(int(rng.integers(0, n)), int(rng.integers(0, n))) for n in shape]
        return Pad(input_shape=shape, widths=tuple(widths), mode=mode)
    if kind == 7:
        return AveragePool(
            input_shape=(shape[0], shape[1] + 2, shape[2] + 2),
            kernel_size=(2, 3),
            stride=(2, 1),
            pad_width=((1, 0), (1, 1)),
            count_include_pad=bool(rng.integers(2)),
            ceil_mode=bool(rng.integers(2)),
        )
    return random_convolution(rng) if kind == 8 else Identity(input_shape=shape)


def exact(x: Array) -> NDArray[Any]:
    """The floats as fractions."""
    return np.vectorize(Fraction, otypes=[object])(x)


def exact_matrix(layer: LinearLayer) -> NDArray[Any]:
    """The matrix of a layer in fractions, from its definition."""
    if isinstance(layer, Convolution):
        return convolution_matrix(
            exact(layer.kernel),
            layer.input_shape[1:],
            stride=layer.stride,
            dilation=layer.dilation,
            groups=layer.groups,
            padding=layer.padding,
            pad_width=layer.pad_width,
            transposed=layer.transposed,
            output_padding=layer.output_padding,
        )
    raise NotImplementedError


# ---- convolution --------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", SEEDS)
def test_a_convolution_encloses_its_matrix_applied_in_exact_arithmetic(seed: int) -> None:
    layer = random_convolution(np.random.default_rng([1, seed]))
    rng = np.random.default_rng([2, seed])
    x = rng.standard_normal((1, *layer.input_shape))
    radius = rng.random(x.shape) * rng.choice([0.0, 1e-3])
    center, width = layer.enclose((x, radius))
    inside = exact(x) + exact(radius) * exact(rng.choice([-1.0, 0.0, 1.0], x.shape))
    truth = exact_matrix(layer) @ inside.ravel()
    bias = np.repeat(exact(np.asarray(layer.bias)), len(truth) // len(np.asarray(layer.bias)))
    distance = np.abs(truth + bias - exact(center.ravel()))
    assert (distance <= exact(width.ravel())).all()


def test_an_enclosure_without_its_rounding_term_is_refuted() -> None:
    # The must-fail twin: the centre alone is not the exact value.
    layer = random_convolution(np.random.default_rng(5), bias=False)
    x = np.random.default_rng(6).standard_normal((1, *layer.input_shape))
    center, _ = layer.enclose((x, np.zeros_like(x)))
    truth = exact_matrix(layer) @ exact(x).ravel()
    assert any(truth != exact(center.ravel()))


def test_memory_blocks_do_not_change_a_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = random_convolution(np.random.default_rng(3))
    integral = replace(layer, kernel=np.rint(4 * layer.kernel), bias=None)
    x = np.rint(8 * np.random.default_rng(4).standard_normal((2, *layer.input_shape)))
    at_once = integral.apply(x), integral.adjoint(integral.apply(x))[0]
    monkeypatch.setattr("lipschitz.layers.windows._BLOCK", 1)
    one_by_one = integral.apply(x), integral.adjoint(integral.apply(x))[0]
    # Sums of small integers are exact in any order.
    assert all(np.array_equal(a, b) for a, b in zip(at_once, one_by_one, strict=True))


def test_a_convolution_agrees_with_torch() -> None:
    functional = pytest.importorskip("torch.nn.functional")
    import torch

    rng = np.random.default_rng(7)
    x, kernel = rng.standard_normal((3, 4, 9, 8)), rng.standard_normal((6, 2, 3, 2))
    layer = Convolution(
        kernel=kernel, input_shape=(4, 9, 8), stride=(2, 1), dilation=2, groups=2, pad_width=(1, 2)
    )
    theirs = functional.conv2d(
        torch.from_numpy(x),
        torch.from_numpy(kernel),
        stride=(2, 1),
        dilation=2,
        groups=2,
        padding=(1, 2),
    )
    # Both are sums of `terms` products in some order.
    bound = 2.0 * gamma(layer.terms + 2) * layer.magnitude(np.abs(x))
    assert (np.abs(layer.apply(x) - theirs.numpy()) <= bound).all()


# ---- all linear layers --------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(120))
def test_the_adjoint_is_the_transpose(seed: int) -> None:
    rng = np.random.default_rng([3, seed])
    layer = random_layer(rng)
    xs = [rng.standard_normal((1, *shape)) for shape in layer.input_shapes]
    y = rng.standard_normal((1, *layer.output_shape))
    forward = np.vdot(layer.linear(*xs), y)
    backward = sum(np.vdot(x, b) for x, b in zip(xs, layer.adjoint(y), strict=True))
    # |fl(W x) - W x| <= gamma(terms) |W||x|, the same for the adjoint, and two dot products of at
    # most `size` entries; size = |y|.|W||x| bounds all of them.
    size = np.vdot(np.abs(y), layer.magnitude(*map(np.abs, xs)))
    length = sum(x.size for x in xs) + y.size
    assert abs(forward - backward) <= 2.0 * gamma(layer.terms + length + 2) * size


@pytest.mark.parametrize("seed", range(60))
def test_magnitude_is_the_layer_with_absolute_weights(seed: int) -> None:
    rng = np.random.default_rng([4, seed])
    layer = random_layer(rng)
    sizes = [int(np.prod(shape)) for shape in layer.input_shapes]
    columns = []
    for i, (shape, size) in enumerate(zip(layer.input_shapes, sizes, strict=True)):
        xs = [np.zeros((size, *s)) for s in layer.input_shapes]
        xs[i] = np.eye(size).reshape(size, *shape)
        columns.append(layer.linear(*xs).reshape(size, -1))
    matrix = np.concatenate(columns).T
    rs = [rng.random((1, *shape)) for shape in layer.input_shapes]
    expected = np.abs(matrix) @ np.concatenate([r.ravel() for r in rs])
    measured = layer.magnitude(*rs).ravel()
    # Where taps meet on one entry (reflect, circular), the matrix adds before taking |.|.
    slack = 4.0 * gamma(layer.terms + sum(sizes) + 2) * measured
    assert (expected <= measured + slack).all()
    if not (isinstance(layer, Convolution) and layer.padding != "zeros"):
        assert (measured <= expected + slack).all()


@pytest.mark.parametrize("seed", range(60))
def test_a_batch_is_the_samples_one_by_one(seed: int) -> None:
    rng = np.random.default_rng([5, seed])
    layer = random_layer(rng)
    xs = [rng.standard_normal((3, *shape)) for shape in layer.input_shapes]
    together = layer.apply(*xs)
    assert together.shape == (3, *layer.output_shape)
    single = np.concatenate([layer.apply(*(x[i : i + 1] for x in xs)) for i in range(3)])
    # BLAS may order the sums differently for another number of columns.
    size = layer.magnitude(*map(np.abs, xs))
    size = size if layer.offset is None else size + np.abs(layer.offset)
    assert (np.abs(together - single) <= 2.0 * gamma(layer.terms + 2) * size).all()


@pytest.mark.parametrize("seed", range(60))
def test_perturbed_inputs_and_weights_stay_in_the_ball(seed: int) -> None:
    rng = np.random.default_rng([6, seed])
    layer = random_layer(rng)
    moved = layer
    if isinstance(layer, (Dense, Scale, Convolution)):
        name = {Dense: "weight", Scale: "scale", Convolution: "kernel"}[type(layer)]
        stored = getattr(layer, name)
        error = 1e-3 * rng.random(stored.shape)
        layer = replace(layer, weight_error=error)
        moved = replace(layer, **{name: stored + error * rng.choice([-1, 1], error.shape)})
        name = "shift" if isinstance(layer, Scale) else "bias"
        stored = np.asarray(getattr(layer, name))
        error = rng.random(stored.shape)
        layer = replace(layer, bias_error=error)
        moved = replace(moved, **{name: stored + error * rng.choice([-1, 1], error.shape)})
    xs = [rng.standard_normal((2, *shape)) for shape in layer.input_shapes]
    radii = [1e-2 * rng.random(x.shape) for x in xs]
    center, radius = layer.enclose(*zip(xs, radii, strict=True))
    shifted = [x + r * rng.choice([-1, 1], x.shape) for x, r in zip(xs, radii, strict=True)]
    # The perturbations are of size 1e-3, the rounding of this comparison of size 1e-15.
    assert (np.abs(moved.apply(*shifted) - center) <= radius * (1.0 + 1e-9)).all()


@pytest.mark.parametrize("seed", range(150))
def test_terms_bound_the_summands_of_every_entry(seed: int) -> None:
    layer = random_convolution(np.random.default_rng([7, seed]), bias=False)
    # With a kernel of ones, an entry's sum of weights is the number of its summands.
    ones = replace(layer, kernel=np.ones_like(layer.kernel))
    forward = ones.linear(np.ones((1, *layer.input_shape)))
    backward = ones.adjoint(np.ones((1, *layer.output_shape)))[0]
    assert max(forward.max(), backward.max()) <= layer.terms


def test_layers_that_only_move_numbers_add_no_radius() -> None:
    x = np.array([[1.0, 2.0, 3.0]])
    for layer in (
        Identity(input_shape=(3,)),
        Permute(input_shape=(3,), axes=(0,)),
        Reshape(input_shape=(3,), target_shape=(1, 3)),
        Pad(input_shape=(3,), widths=((1, 1),), value=2.0),
    ):
        center, radius = layer.enclose((x, np.zeros_like(x)))
        assert not radius.any()
        assert np.array_equal(center, layer.apply(x))


def test_stored_weights_cannot_be_changed_from_outside() -> None:
    weight = np.ones((2, 2))
    layer = Dense(weight=weight)
    weight[0, 0] = 5.0
    assert layer.weight[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        layer.weight[0, 0] = 5.0


# ---- refusals -----------------------------------------------------------------------------------
KERNEL = np.ones((2, 2, 3, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": np.full((1, 1, 3), np.nan), "input_shape": (1, 5)}, "`kernel` must be finite"),
        ({"kernel": np.ones((1, 1, 3), np.float16), "input_shape": (1, 5)}, "float16"),
        ({"kernel": np.ones((1, 1, 3), int), "input_shape": (1, 5)}, "dtype int64"),
        ({"kernel": np.ones((1, 1, 3), complex), "input_shape": (1, 5)}, "dtype complex128"),
        ({"kernel": np.ones((1, 0, 3)), "input_shape": (1, 5)}, "must not be empty"),
        ({"kernel": np.ones((1, 1)), "input_shape": (1, 5)}, "must have 3 or 4 or 5 dimensions"),
        ({"input_shape": (2, 5)}, r"must be \(channels, 2 sizes\)"),
        ({"input_shape": (3, 5, 5)}, "has 3 channels where `kernel`"),
        ({"groups": 4}, "must divide the 2 channels"),
        ({"stride": 0}, "`stride.*must be at least 1"),
        ({"dilation": (1, 0)}, r"`dilation\[1\]` must be at least 1"),
        ({"input_shape": (2, 2, 5)}, "more than the padded input"),
        ({"padding": "same"}, "`padding` must be one of"),
        ({"padding": "reflect", "pad_width": 5}, "exceeds 4 on an axis of size 5"),
        ({"padding": "circular", "pad_width": 6}, "exceeds 5 on an axis of size 5"),
        ({"padding": "reflect", "transposed": True}, "must be 'zeros' for a transposed"),
        ({"transposed": True, "pad_width": 4}, "crops the whole output"),
        ({"output_padding": 1}, "needs a transposed convolution"),
        ({"transposed": True, "output_padding": 1}, "must be below stride"),
        ({"pad_width": (1, 1, 1)}, "one entry for each of the 2 spatial axes"),
        ({"pad_width": -1}, "must be at least 0"),
        ({"bias": np.ones(3)}, r"`bias` must have shape \(2,\)"),
        ({"weight_error": np.ones((2, 2))}, "`weight_error` must be nonnegative with shape"),
    ],
)
def test_a_convolution_that_does_not_exist_is_refused(
    options: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"kernel": KERNEL, "input_shape": (2, 5, 5), **options}
    with pytest.raises((TypeError, ValueError), match=message):
        Convolution(**arguments)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Dense(weight=np.ones(3)), "`weight` must have 2 dimensions"),
        (lambda: Dense(weight=np.ones((2, 3)), bias=np.ones(3)), r"\(out, in\)"),
        (lambda: Scale(input_shape=(3,), scale=np.ones((2, 3))), "without enlarging"),
        (lambda: Scale(input_shape=(3,), scale=1.0, weight_error=-1.0), "nonnegative"),
        (lambda: Reshape(input_shape=(3,), target_shape=(2,)), "2 is not 3"),
        (lambda: Permute(input_shape=(3, 4), axes=(0, 0)), "must be a permutation"),
        (lambda: Add(input_shape=(3,), count=0), "`count` must be at least 1"),
        (lambda: Concatenate(shapes=((2, 3), (3, 2)), axis=0), "agree outside axis 0"),
        (lambda: Concatenate(shapes=((2,),), axis=1), "must be an axis"),
        (lambda: Pad(input_shape=(3,), widths=((1, 1),), mode="mirror"), "must be one of"),
        (lambda: Pad(input_shape=(3,), widths=((1, 1),), value=np.inf), "must be finite"),
        (lambda: Identity(input_shape=(0,)), "must be at least 1"),
        (lambda: Identity(input_shape=3), "tuple of ints"),  # type: ignore[arg-type]
    ],
)
def test_a_layer_that_does_not_exist_is_refused(build: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        build()
