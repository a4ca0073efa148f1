"""One-dimensional distances of tensors: the same numbers, and the right gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from divergences.cumulative import w1_circular, w1_cumulative
from divergences.plans1d import kantorovich_potential_1d
from divergences.transport1d import wasserstein

EPS = np.finfo(float).eps


def drawn(seed: int, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return [
        torch.rand(*shape, generator=rng, dtype=torch.float64).requires_grad_() for shape in shapes
    ]


@pytest.mark.parametrize(("n", "m"), [(5, 5), (6, 4), (7, 5)])
@pytest.mark.parametrize("p", [1, 2, 3])
def test_tensors_give_the_numbers_of_arrays_and_correct_gradients(n, m, p):
    x, y, a, b = drawn(n + 10 * p, (2, n), (2, m), (2, n), (2, m))
    arrays = [v.detach().numpy() for v in (x, y, a, b)]
    plain = wasserstein(x, y, p=p)
    weighted = wasserstein(x, y, a, b, p=p, normalize=True)
    np.testing.assert_allclose(plain.detach(), wasserstein(*arrays[:2], p=p), rtol=64 * EPS)
    np.testing.assert_allclose(
        weighted.detach(), wasserstein(*arrays, p=p, normalize=True), atol=64 * EPS
    )
    assert torch.autograd.gradcheck(lambda u, v: wasserstein(u, v, p=p), (x, y))
    assert torch.autograd.gradcheck(
        lambda u, v, c, d: wasserstein(u, v, c, d, p=p, normalize=True), (x, y, a, b)
    )


def test_the_gradient_in_the_weights_is_the_potential():
    x, y = (t.detach() for t in drawn(0, (6,), (4,)))
    a = torch.full((6,), 1 / 6, dtype=torch.float64, requires_grad=True)
    b = torch.full((4,), 1 / 4, dtype=torch.float64)
    wasserstein(x, y, a, b).backward()
    f = kantorovich_potential_1d(x.numpy(), y.numpy())(x.numpy())
    # Weights are divided by their total, which takes the mean of the potential away.
    np.testing.assert_allclose(a.grad, f - f.mean(), atol=32 * EPS)


def test_the_gradient_in_the_positions_is_the_slope_of_the_potential():
    x, y = drawn(1, (6,), (6,))
    wasserstein(x, y).backward()
    f = kantorovich_potential_1d(x.detach().numpy(), y.detach().numpy())
    step = 1e-9
    at = x.detach().numpy()
    slope = (f(at + step) - f(at - step)) / (2 * step)
    # A knot has two slopes; away from F = G the gradient is one of them, times the mass.
    assert np.all(np.abs(np.abs(x.grad.numpy() * 6) - 1.0) <= 8 * EPS)
    assert np.all(x.grad.numpy() * 6 * slope >= -1e-6)


def test_the_gradient_of_the_delta_formula_is_the_potential():
    p, q = torch.tensor([3.0, 2, 1, 4], requires_grad=True), torch.tensor([1.0, 2, 4, 3])
    result = w1_cumulative(p, q)
    result.value.backward()
    assert result.value.item() == 5.0
    assert result.flows.tolist() == [2.0, 2.0, -1.0, 0.0]
    # sum_{i >= k} sign(delta_i): differences -sign(delta_i), as the potential has.
    assert p.grad.tolist() == [1.0, 0.0, -1.0, 0.0]


def test_coinciding_samples_have_gradient_zero_and_not_nan():
    for p in (1, 2, 3):
        x = torch.zeros(3, requires_grad=True)
        value = wasserstein(x, torch.zeros(3), p=p)
        value.backward()
        assert value.item() == 0.0
        assert x.grad.tolist() == [0.0, 0.0, 0.0]


def test_the_dtype_of_the_input_comes_back_and_sums_run_in_float64():
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal(100_000).astype(np.float32) for _ in range(2))
    value = wasserstein(torch.from_numpy(x).requires_grad_(), torch.from_numpy(y))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(wasserstein(x, y), rel=2.0**-23)
    assert wasserstein(torch.ones(2), torch.zeros(3, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    ("x", "y", "error", "text"),
    [
        (torch.ones(3), np.ones(3), TypeError, "`y` must be a tensor like the other arguments"),
        (np.ones(3), torch.ones(3), TypeError, "`x` must be a tensor like the other arguments"),
        (torch.ones(3, device="meta"), torch.ones(3, device="meta"), ValueError, "meta tensor"),
        (torch.ones(3, device="meta"), torch.ones(3), ValueError, "meta"),
        (torch.ones(3, dtype=torch.int32), torch.ones(3), TypeError, "float32 or float64"),
        (torch.ones(3, dtype=torch.float16), torch.ones(3), TypeError, "float32 or float64"),
        (torch.tensor([0.0, torch.nan]), torch.ones(3), ValueError, "`x` must be finite"),
        (torch.ones(0), torch.ones(3), ValueError, "`x` must not be empty"),
        (torch.ones(2, 3), torch.ones(3), ValueError, "equal leading axes"),
    ],
)
def test_tensors_that_make_no_sense_are_refused(x, y, error, text):
    with pytest.raises(error, match=text):
        wasserstein(x, y)


def test_masses_of_tensors_are_checked():
    p = torch.tensor([0.5, 0.5])
    for bad, text in (
        (torch.tensor([0.5, 0.6]), "must have equal total mass"),
        (torch.tensor([1.5, -0.5]), "must be nonnegative"),
        (torch.tensor([0.0, 0.0]), "must have positive total mass"),
        (torch.tensor([1.0]), "equally many outcomes"),
    ):
        with pytest.raises(ValueError, match=text):
            w1_cumulative(p, bad)
    with pytest.raises(ValueError, match="must sum to 1"):
        wasserstein(p, p, torch.tensor([2.0, 2.0]), p)
    with pytest.raises(TypeError, match="the circular distance is not differentiated"):
        w1_circular(p, p)
    with pytest.raises(ValueError, match="`spacing` must be positive"):
        w1_cumulative(p, p, spacing=0.0)
