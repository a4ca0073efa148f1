"""The discrete divergences of torch tensors: the numbers of the arrays, and their derivatives."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from divergences import terms
from divergences.discrete import (
    chi2,
    cross_entropy,
    entropy,
    hellinger,
    js,
    js_distance,
    js_gap,
    kl,
    reverse_kl,
    total_variation,
)
from divergences.generators import Generator, f_divergence
from divergences.power import alpha_divergence, renyi

torch.set_num_threads(1)
SMOOTH = {
    "kl": kl,
    "reverse_kl": reverse_kl,
    "js": js,
    "js_distance": js_distance,
    "js_gap": js_gap,
    "hellinger": hellinger,
    "chi2": chi2,
    "cross_entropy": cross_entropy,
    "entropy": lambda p, q, **k: entropy(p, **k) + entropy(q, **k),
    "f_divergence": lambda p, q, **k: f_divergence(p, q, "reverse_chi2", **k),
    "alpha 0.3": lambda p, q, **k: alpha_divergence(p, q, alpha=0.3, **k),
    "alpha 3": lambda p, q, **k: alpha_divergence(p, q, alpha=3, **k),
    "renyi 0.5": lambda p, q, **k: renyi(p, q, order=0.5, **k),
    "renyi 4": lambda p, q, **k: renyi(p, q, order=4, **k),
}
ALL = {**SMOOTH, "total_variation": total_variation}


def batch(seed: int = 0, shape: tuple[int, ...] = (3, 6)) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    p, q = (rng.dirichlet(np.ones(shape[-1]), shape[:-1]) for _ in range(2))
    return torch.from_numpy(p), torch.from_numpy(q)


@pytest.mark.parametrize("function", ALL.values(), ids=ALL)
def test_tensors_give_the_numbers_of_arrays(function):
    p, q = batch()
    q[0] = p[0] * (1 + 1e-9 * torch.linspace(-1, 1, 6))
    q[0] /= q[0].sum()
    q[1, :2], q[1, 2:] = 0.0, q[1, 2:] / q[1, 2:].sum()
    values = function(p, q)
    assert isinstance(values, torch.Tensor)
    assert values.dtype == torch.float64
    np.testing.assert_allclose(values.numpy(), function(p.numpy(), q.numpy()), rtol=1e-13)
    counts = function(7 * p.T, 3 * q.T, axis=0, normalize=True)
    # Seven times a mass is rounded: where the masses differ by 1e-9 that is 1e-6 of the value.
    np.testing.assert_allclose(counts[1:].numpy(), values[1:].numpy(), rtol=1e-12)


@pytest.mark.parametrize("function", SMOOTH.values(), ids=SMOOTH)
def test_derivatives_agree_with_finite_differences(function):
    p, q = (x.requires_grad_() for x in batch(1, (2, 4)))
    assert torch.autograd.gradcheck(lambda a, b: function(a, b, normalize=True), (p, q))


@pytest.mark.parametrize("function", SMOOTH.values(), ids=SMOOTH)
def test_second_derivatives_agree_with_finite_differences(function):
    p, q = (x.requires_grad_() for x in batch(2, (2, 3)))
    assert torch.autograd.gradgradcheck(lambda a, b: function(a, b, normalize=True), (p, q))


@pytest.mark.parametrize("function", SMOOTH.values(), ids=SMOOTH)
def test_derivatives_through_a_softmax_do_not_depend_on_normalize(function):
    a, b = (torch.log(x).requires_grad_() for x in batch(3, (2, 5)))
    plain = torch.autograd.grad(function(a.softmax(-1), b.softmax(-1)).sum(), (a, b))
    divided = torch.autograd.grad(
        function(a.softmax(-1), b.softmax(-1), normalize=True).sum(), (a, b), allow_unused=True
    )
    for x, y in zip(plain, divided, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-14)
    assert torch.autograd.gradcheck(lambda x, y: function(x.softmax(-1), y.softmax(-1)), (a, b))


def test_the_derivative_of_kl_near_equality_keeps_its_digits():
    p, q = batch(4, (50,))
    q = p * (1 + 1e-9 * torch.cos(torch.arange(50.0, dtype=torch.float64)))
    q /= q.sum()
    p.requires_grad_()
    (slope,) = torch.autograd.grad(kl(p, q), p)
    exact = np.log1p(((p.detach() - q) / q).numpy())
    # The masses are divided by totals that are one up to rounding, a constant added to the slope.
    np.testing.assert_allclose(slope.numpy() - slope.numpy()[0], exact - exact[0], rtol=1e-6)


def test_slopes_at_the_boundary_are_one_sided_limits_and_never_nan():
    p = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64, requires_grad=True)
    by_p, by_q = torch.autograd.grad(kl(p, q), (p, q))
    assert by_p.tolist() == pytest.approx([math.log(2), -math.inf, 0.0])
    assert by_q.tolist() == pytest.approx([-1.0, 1.0, 0.0])
    for function in ALL.values():
        value = function(p, q, normalize=True)
        for slope in torch.autograd.grad(value, (p, q), allow_unused=True):
            assert slope is None or not torch.isnan(slope).any()


RULES = [terms.KL, terms.JS, terms.JS_GAP, terms.HELLINGER, terms.CHI2, terms.TOTAL_VARIATION,
         terms.CROSS_ENTROPY, terms.reversed_rule(terms.KL),
         *(terms.power_rule(a) for a in (-1.0, 0.3, 0.5, 2.0, 3.0))]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=[r.name for r in RULES])
@pytest.mark.parametrize("empty", ["p", "q"])
def test_slopes_where_one_mass_is_zero_are_limits_of_slopes_inside(rule, empty):
    def slopes(tiny: float) -> list[float]:
        p, q = (tiny, 0.5) if empty == "p" else (0.5, tiny)
        arrays = np.array([p]), np.array([q]), np.array([p - q])
        with np.errstate(all="ignore"):
            return [float(x[0]) for x in rule.partials(np, *arrays)]

    # Between 1e-290 and 1e-300 an infinite slope still grows, be it by a logarithm only.
    for at, near, nearer in zip(slopes(0.0), slopes(1e-290), slopes(1e-300), strict=True):
        if math.isinf(at):
            assert abs(nearer) > abs(near) or math.isinf(near)
            assert math.copysign(1.0, nearer) == math.copysign(1.0, at)
        else:
            assert at == pytest.approx(nearer, rel=1e-9)


@pytest.mark.parametrize("rule", RULES, ids=[r.name for r in RULES])
def test_an_outcome_without_mass_has_neither_value_nor_slope(rule):
    nothing = np.zeros(1)
    assert rule.summand(np, nothing, nothing, nothing) == 0.0
    assert [float(x[0]) for x in rule.partials(np, nothing, nothing, nothing)] == [0.0, 0.0]


@pytest.mark.parametrize("function", [js_distance, hellinger, total_variation])
def test_the_kink_at_equality_has_derivative_zero(function):
    p = torch.tensor([0.5, 0.5], requires_grad=True)
    (slope,) = torch.autograd.grad(function(p, p.detach()), p)
    assert slope.tolist() == [0.0, 0.0]


def test_saturated_js_still_has_the_slope_of_the_formula():
    p = torch.tensor([1.0, 1e-12], dtype=torch.float64)
    q = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(js(p, q), q)
    assert slope[1].item() == pytest.approx(0.5 * math.log(2))


def test_float32_comes_back_as_float32_computed_in_float64():
    p, q = (x.float() for x in batch(5, (4, 1000)))
    values = kl(p, q)
    assert values.dtype == torch.float32
    expected = kl(p.double(), q.double(), normalize=True)
    torch.testing.assert_close(values, expected.float(), rtol=1e-6, atol=0)
    logits = torch.zeros(4, 1000, requires_grad=True)
    js(logits.softmax(-1), q).sum().backward()
    assert logits.grad is not None
    assert logits.grad.dtype == torch.float32
    half = torch.tensor([0.5, 0.5])
    assert kl(half, half.double()).dtype == torch.float64


def test_counts_and_one_reference_work_as_for_arrays():
    assert kl(torch.tensor([2, 1, 1]), torch.tensor([1, 1, 2]), base=2, normalize=True) == 0.25
    p, q = batch(6)
    assert kl(p, q[0]).shape == (3,)
    assert kl(p[0], q[0]).shape == ()


def test_a_generator_of_ones_own_sees_tensors():
    square = Generator(
        name="square", formula="x^2 - 1", f=lambda x: x**2 - 1, at_zero=-1.0,
        slope_at_infinity=math.inf,
    )  # fmt: skip
    p, q = (x.requires_grad_() for x in batch(7, (2, 4)))
    torch.testing.assert_close(f_divergence(p, q, square), chi2(p, q))
    assert torch.autograd.gradcheck(lambda a, b: f_divergence(a, b, square, normalize=True), (p, q))
    with pytest.raises(TypeError, match="'jeffreys' has no form for tensors"):
        f_divergence(p, q, "jeffreys")


BAD = [
    ("nan", torch.tensor([math.nan, 1.0]), ValueError, "`p` must be finite, got nan"),
    ("inf", torch.tensor([math.inf, 1.0]), ValueError, "`p` must be finite, got inf"),
    ("negative", torch.tensor([-0.5, 1.5]), ValueError, "`p` must be nonnegative, got -0.5"),
    ("sum", torch.tensor([0.5, 0.6]), ValueError, "`p` must sum to 1"),
    ("no mass", torch.tensor([0.0, 0.0]), ValueError, "`p` must"),
    ("half", torch.tensor([0.5, 0.5]).half(), TypeError, "got dtype torch.float16"),
    ("bfloat16", torch.tensor([0.5, 0.5]).bfloat16(), TypeError, "got dtype torch.bfloat16"),
    ("bool", torch.tensor([True, False]), TypeError, "got dtype torch.bool"),
    ("complex", torch.tensor([0.5 + 0j, 0.5]), TypeError, "got dtype torch.complex64"),
    ("empty", torch.zeros(0), ValueError, "`p` must not be empty"),
    ("number", torch.tensor(0.5), ValueError, "must have an axis of outcomes"),
    ("length", torch.ones(1), ValueError, "equally many outcomes, got 1 and 2"),
    ("sparse", torch.tensor([0.5, 0.5]).to_sparse(), TypeError, "one that is sparse"),
    ("array", np.array([0.5, 0.5]), TypeError, "`q` must not be mixed with `p`"),
]


@pytest.mark.parametrize(("p", "error", "text"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
@pytest.mark.parametrize("function", ALL.values(), ids=ALL)
def test_tensors_that_are_no_distributions_are_refused(function, p, error, text):
    if function is ALL["entropy"] and ("mixed" in text or "equally many" in text):
        return  # it takes one argument
    with pytest.raises(error, match=text):
        function(p, torch.tensor([0.5, 0.5]))


def test_another_device_is_refused_and_the_meta_device_has_no_values():
    meta = torch.ones(2, device="meta") / 2
    with pytest.raises(ValueError, match="must be on one device, got meta and cpu"):
        kl(meta, torch.tensor([0.5, 0.5]))
    with pytest.raises(TypeError, match="meta device"):
        kl(meta, meta)


def test_arrays_never_import_torch():
    program = (
        "import sys; from divergences.discrete import kl, js; kl([0.5, 0.5], [1, 0]);"
        "js([0.5, 0.5], [1, 0]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("function", ALL.values(), ids=ALL)
def test_a_gpu_gives_the_numbers_of_the_processor(function):
    p, q = batch(8, (5, 700))
    on_gpu = function(p.cuda(), q.cuda())
    assert on_gpu.device.type == "cuda"
    torch.testing.assert_close(on_gpu.cpu(), function(p, q), rtol=1e-12, atol=0)
