"""Clipped weights are inside their interval as real numbers, in every data type."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from lipschitz import (
    clip_weights,
    clipped_layer_norm,
    clipping_bound,
    clipping_threshold,
    from_arrays,
    lower_bound,
)

CS = [0.1, 0.3, 0.01, 1.0 / 3.0, 0.5, 1e-7]


@pytest.mark.parametrize("c", CS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_no_entry_of_an_array_is_above_c_and_the_next_number_is(dtype, c):
    clipped = clip_weights(np.array([5.0, -5.0, 0.0], dtype), c)
    assert clipped.dtype == dtype
    end = Fraction(*clipped[0].as_integer_ratio())
    assert end <= Fraction(c)
    above = np.nextafter(clipped[0], dtype(math.inf))
    assert Fraction(*above.as_integer_ratio()) > Fraction(c)
    assert clipped[1] == -clipped[0]
    assert clipped[2] == 0.0


@pytest.mark.parametrize("c", CS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_no_entry_of_a_tensor_is_above_c_and_the_next_number_is(dtype, c):
    clipped = clip_weights(torch.tensor([5.0, -5.0, 0.0], dtype=dtype), c)
    assert clipped.dtype == dtype
    assert Fraction(float(clipped[0])) <= Fraction(c)
    above = torch.nextafter(clipped[0], torch.tensor(math.inf, dtype=dtype))
    assert Fraction(float(above)) > Fraction(c)
    assert float(clipped[1]) == -float(clipped[0])


def test_integers_become_floats_inside_the_interval():
    assert clip_weights(np.array([7, -7]), 0.1).tolist() == [0.1, -0.1]
    assert float(clip_weights(torch.tensor([7]), 0.1)[0]) <= 0.1


def test_a_bound_beyond_the_data_type_changes_nothing():
    largest = np.finfo(np.float32).max
    assert clip_weights(np.array([largest, 1.0], np.float32), 1e300).tolist() == [largest, 1.0]
    assert (
        clip_weights(torch.tensor([1e38, 1.0]), 1e300).tolist()
        == torch.tensor([1e38, 1.0]).tolist()
    )


def test_clipping_keeps_its_gradient():
    w = torch.tensor([0.05, 5.0], requires_grad=True)
    clip_weights(w, 0.1).sum().backward()
    assert w.grad.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("c", [0.1, 0.3])
def test_the_guarantee_holds_for_weights_clipped_in_single_precision(c):
    w = clip_weights(torch.full((64, 64), 5.0), c).double().numpy()
    # The norm of a matrix of equal entries is 64 times the entry, exactly.
    assert Fraction(64) * Fraction(float(w[0, 0])) <= Fraction(
        clipped_layer_norm((64, 64), c).upper
    )


def test_at_the_threshold_single_precision_networks_are_one_lipschitz():
    shapes = [(8, 2), (8, 8), (1, 8)]
    c = clipping_threshold(shapes)
    assert clipping_bound(shapes, c).guarantees_one
    weights = [clip_weights(np.full(s, 9.0, np.float32), c).astype(np.float64) for s in shapes]
    found = lower_bound(from_arrays(weights), rng=np.random.default_rng(0))
    assert found.bound.lower <= 1.0
