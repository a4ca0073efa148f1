"""Pooling layers against their definition, torch, and themselves."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lipschitz.layers import AveragePool, MaxPool

Array = NDArray[np.float64]


def random_pool(rng: np.random.Generator, kind: type) -> Any:
    """A pooling layer in 1 to 3 dimensions whose every window sees an input."""
    axes = int(rng.integers(1, 4))
    kernel_size = tuple(int(k) for k in rng.integers(1, 4, axes))
    dilation = tuple(int(d) for d in rng.integers(1, 3, axes))
    pad = tuple((int(rng.integers(0, k // 2 + 1)),) * 2 for k in kernel_size)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True)]
    options = {"count_include_pad": bool(rng.integers(2))} if kind is AveragePool else {}
    return kind(
        input_shape=(2, *(int(w + rng.integers(0, 4)) for w in spans)),
        kernel_size=kernel_size,
        stride=tuple(int(s) for s in rng.integers(1, 4, axes)),
        dilation=dilation,
        pad_width=pad,
        ceil_mode=bool(rng.integers(2)),
        **options,
    )


def windows(layer: Any, x: Array) -> dict[tuple[int, ...], list[tuple[tuple[int, ...], float]]]:
    """For every output position the entries that its window sees, padding as None positions."""
    seen: dict[tuple[int, ...], list[Any]] = {}
    for position in itertools.product(*map(range, layer.output_shape[1:])):
        entries = []
        for tap in itertools.product(*map(range, layer.kernel_size)):
            at = tuple(
                p * s + t * d - before
                for p, s, t, d, (before, _) in zip(
                    position, layer.stride, tap, layer.dilation, layer.pad_width, strict=True
                )
            )
            inside = all(0 <= a < n for a, n in zip(at, x.shape, strict=True))
            padded = all(
                -b <= a < n + e for a, n, (b, e) in zip(at, x.shape, layer.pad_width, strict=True)
            )
            entries.append((at, float(x[at]) if inside else 0.0, inside, padded))
        seen[position] = entries
    return seen


@pytest.mark.parametrize("seed", range(40))
def test_average_pooling_encloses_the_exact_means(seed: int) -> None:
    rng = np.random.default_rng([1, seed])
    layer = random_pool(rng, AveragePool)
    x = rng.standard_normal((1, *layer.input_shape))
    center, radius = layer.enclose((x, np.zeros_like(x)))
    for channel in range(2):
        for position, entries in windows(layer, x[0, channel]).items():
            counted = [e for e in entries if (e[3] if layer.count_include_pad else e[2])]
            mean = sum(Fraction(value) for _, value, _, _ in counted) / len(counted)
            at = (0, channel, *position)
            assert abs(mean - Fraction(float(center[at]))) <= Fraction(float(radius[at]))


@pytest.mark.parametrize("seed", range(40))
def test_max_pooling_is_the_largest_entry_of_every_window(seed: int) -> None:
    rng = np.random.default_rng([2, seed])
    layer = random_pool(rng, MaxPool)
    x = rng.standard_normal((1, *layer.input_shape))
    y, winners, gap = layer.apply(x), layer.winners(x), layer.gap(x)
    for channel in range(2):
        for position, entries in windows(layer, x[0, channel]).items():
            values = sorted(value for _, value, inside, _ in entries if inside)
            at = (0, channel, *position)
            assert y[at] == values[-1]
            assert x.ravel()[winners[at]] == values[-1]
            assert gap[at] == (values[-1] - values[-2] if len(values) > 1 else np.inf)


@pytest.mark.parametrize("seed", range(20))
def test_the_active_piece_of_a_maximum_has_the_right_adjoint(seed: int) -> None:
    rng = np.random.default_rng([3, seed])
    layer = random_pool(rng, MaxPool)
    x = np.rint(4.0 * rng.standard_normal((2, *layer.input_shape)))
    y = np.rint(4.0 * rng.standard_normal((2, *layer.output_shape)))
    winners = layer.winners(x)
    assert np.array_equal(layer.take(winners, x), layer.apply(x))
    # Small integers: both sums are exact.
    assert np.vdot(layer.take(winners, x), y) == np.vdot(x, layer.put(winners, y))


def test_the_first_of_equal_entries_wins() -> None:
    layer = MaxPool(input_shape=(1, 4), kernel_size=3)
    x = np.array([[[1.0, 2.0, 2.0, 2.0]]])
    assert layer.winners(x).tolist() == [[[1, 1]]]
    assert layer.gap(x).tolist() == [[[0.0, 0.0]]]


@pytest.mark.parametrize("seed", range(20))
def test_the_maximum_of_perturbed_inputs_stays_in_the_ball(seed: int) -> None:
    rng = np.random.default_rng([4, seed])
    layer = random_pool(rng, MaxPool)
    x = rng.standard_normal((1, *layer.input_shape))
    r = rng.random(x.shape)
    center, radius = layer.enclose((x, r))
    for _ in range(5):
        y = layer.apply(x + r * rng.uniform(-1.0, 1.0, x.shape))
        assert (np.abs(y - center) <= radius).all()


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", [AveragePool, MaxPool])
def test_incomplete_windows_are_those_of_torch(seed: int, kind: type) -> None:
    functional = pytest.importorskip("torch.nn.functional")
    import torch

    rng = np.random.default_rng([5, seed])
    kernel_size, stride = int(rng.integers(2, 4)), int(rng.integers(1, 8))
    pad = int(rng.integers(0, kernel_size // 2 + 1))
    n = int(rng.integers(kernel_size, 9))
    x = rng.standard_normal((1, 2, n))
    layer = kind(
        input_shape=(2, n), kernel_size=kernel_size, stride=stride, pad_width=pad, ceil_mode=True
    )
    pool: Callable[..., Any] = functional.avg_pool1d if kind is AveragePool else None
    pool = pool or functional.max_pool1d
    theirs = pool(torch.from_numpy(x), kernel_size, stride, pad, ceil_mode=True).numpy()
    ours, width = layer.enclose((x, np.zeros_like(x)))
    assert ours.shape == theirs.shape
    assert (np.abs(ours - theirs) <= 2.0 * width).all()


@pytest.mark.parametrize("kind", [AveragePool, MaxPool])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (3,)}, "must be \\(channels, 1 to 3 sizes\\)"),
        ({"kernel_size": 7}, "more than the padded input"),
        ({"kernel_size": (2, 2)}, "one entry for each of the 1 spatial axes"),
        ({"stride": 0}, "must be at least 1"),
        ({"pad_width": 3}, "see no input; pad less"),
    ],
)
def test_pooling_that_does_not_exist_is_refused(
    kind: type, options: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"input_shape": (1, 5), "kernel_size": 2, **options}
    if kind is AveragePool:
        arguments["count_include_pad"] = False
    with pytest.raises((TypeError, ValueError), match=message):
        kind(**arguments)
