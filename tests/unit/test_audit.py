"""The audit of critics finds what it should, says where, and is silent about sound parts."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from evidence import NotCertified
from lipschitz import from_torch
from lipschitz.findings import Finding, audit
from lipschitz.penalty_probe import PENALTY_PROBLEMS, probe_penalty


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def whats(findings):
    return [(f.where, f.what.split(":")[0]) for f in findings]


# ---- modules -------------------------------------------------------------------------------------
def test_a_sound_critic_has_no_findings():
    critic = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(4 * 36, 1)
    )
    assert audit(critic, input_shape=(1, 8, 8), penalty=penalty()) == ()


@pytest.mark.parametrize(
    ("part", "what"),
    [
        (nn.BatchNorm1d(3), "BatchNorm1d in training mode"),
        (nn.BatchNorm1d(3, track_running_stats=False).eval(), "BatchNorm1d in training mode"),
        (nn.Dropout(0.2), "Dropout in training mode"),
        (nn.LayerNorm(3), "LayerNorm"),
        (nn.RMSNorm(3), "RMSNorm"),
        (nn.GroupNorm(1, 3), "GroupNorm"),
        (nn.InstanceNorm1d(3, affine=True), "InstanceNorm1d"),
        (nn.MultiheadAttention(4, 2), "MultiheadAttention"),
        (nn.GELU(), "GELU"),
    ],
)
def test_a_part_is_found_by_its_path(part, what):
    critic = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.ReLU(), part))
    assert whats(audit(critic)) == [("1.1", what)]


@pytest.mark.parametrize(
    "part",
    [
        nn.BatchNorm2d(3).eval(),
        nn.Dropout(0.5).eval(),
        nn.InstanceNorm1d(3, track_running_stats=True).eval(),
        nn.Softmax(dim=1),
        nn.Tanh(),
    ],
)
def test_parts_with_a_constant_are_not_found(part):
    assert audit(nn.Sequential(part, nn.Linear(3, 1))) == ()


def test_the_constant_of_layer_normalisation_is_certified():
    norm = nn.LayerNorm(4, eps=1e-4)
    norm.weight.data = torch.tensor([2.0, 2.0, 2.0, 2.0])
    (finding,) = audit(nn.Sequential(norm, nn.Linear(4, 1)))
    # 2 / sqrt(1e-4), with eps the float nearest to 1e-4.
    assert finding.numbers[0][1].rtol < 1e-14
    assert abs(finding.numbers[0][1].lower - 200.0) < 1e-9


def test_spectral_norm_of_a_convolution_shows_both_numbers():
    layer = parametrizations.spectral_norm(nn.Conv2d(3, 8, 3, padding=1), n_power_iterations=50)
    (finding,) = audit(nn.Sequential(layer, nn.ReLU(), nn.Flatten()))
    numbers = dict(finding.numbers)
    assert finding.where == "0"
    assert abs(numbers["norm of the reshaped kernel"].upper - 1) < 1e-3
    assert numbers["norm of the layer"].lower > 1.5


def test_spectral_norm_that_has_not_converged_is_found_on_dense_layers():
    (finding,) = audit(nn.Sequential(parametrizations.spectral_norm(nn.Linear(60, 50))))
    assert "has not converged" in finding.what
    assert finding.numbers[0][1].lower > 1.0
    layer = parametrizations.spectral_norm(nn.Linear(60, 50), n_power_iterations=5000)
    assert audit(nn.Sequential(layer)) == ()


def test_windows_that_do_not_overlap_are_normalised_correctly():
    layer = parametrizations.spectral_norm(nn.Conv2d(3, 4, 2, stride=2), n_power_iterations=2000)
    assert audit(nn.Sequential(layer, nn.Flatten())) == ()


def test_the_older_spectral_norm_is_found_too():
    layer = nn.utils.spectral_norm(nn.Conv1d(2, 3, 5))
    for _ in range(100):
        layer(torch.zeros(1, 2, 9))
    assert whats(audit(nn.Sequential(layer))) == [("0", "spectral_norm of a convolution")]


def test_an_audit_changes_nothing():
    critic = nn.Sequential(
        parametrizations.spectral_norm(nn.Linear(4, 4)), nn.BatchNorm1d(4), nn.Linear(4, 1)
    )
    critic[0].parametrizations.weight[0].eval()
    modes = [m.training for m in critic.modules()]
    state = copy.deepcopy(critic.state_dict())
    audit(critic, input_shape=(4,), penalty=penalty())
    assert [m.training for m in critic.modules()] == modes
    assert all(torch.equal(v, state[k]) for k, v in critic.state_dict().items())


# ---- functions in forward ------------------------------------------------------------------------
class Forward(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.function(x))


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (torch.exp, "exp"),
        (lambda x: x**2, "pow"),
        (lambda x: x * x.sigmoid(), "mul of two computed arrays"),
        (lambda x: nn.functional.scaled_dot_product_attention(x, x, x), "scaled_dot_product"),
    ],
)
def test_functions_without_a_constant_are_found(function, what):
    findings = audit(Forward(function))
    assert len(findings) == 1
    assert findings[0].what.startswith(what)


def test_a_scaling_by_a_shape_is_not_a_product_of_arrays():
    assert audit(Forward(lambda x: x * x.shape[1])) == ()


def test_a_bounded_output_caps_the_dual_value():
    findings = audit(nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()))
    assert whats(findings) == [("1", "Sigmoid at the output")]


def test_a_forward_that_cannot_be_traced_is_left_alone():
    assert audit(Forward(lambda x: x if x.sum() > 0 else -x)) == ()


# ---- samples that see each other -----------------------------------------------------------------
def test_minibatch_statistics_are_found_by_running_the_critic():
    critic = Forward(lambda x: x + x.std(0).mean())
    assert audit(critic) == ()
    (finding,) = audit(critic, input_shape=(4,))
    assert "depends on the others" in finding.what


def test_a_critic_that_treats_samples_alone_passes_the_run():
    critic = Forward(lambda x: nn.functional.dropout(x, 0.5))
    assert audit(critic, input_shape=(4,)) == ()


def test_batch_normalisation_is_reported_once():
    critic = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    assert len(audit(critic, input_shape=(4,))) == 1


# ---- penalties -----------------------------------------------------------------------------------
def penalty(norm=lambda g: g.flatten(1).norm(dim=1), draw=torch.rand, graph=True, fine=None):
    def gradient_penalty(critic, real, fake):
        share = draw(len(real), 1, 1, 1)
        x = (real + share * (fake - real)).requires_grad_()
        (g,) = torch.autograd.grad(critic(x).sum(), x, create_graph=graph)
        return (fine or (lambda s: 10 * ((s - 1) ** 2).mean()))(norm(g))

    return gradient_penalty


def r1(critic, real, fake):
    x = real.requires_grad_()
    (g,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return 5 * (g**2).flatten(1).sum(1).mean()


@pytest.mark.parametrize(
    "right",
    [
        penalty(),
        penalty(fine=lambda s: (s - 1).clamp(min=0).square().mean()),
        penalty(fine=lambda s: (s**2 - 1).square().mean()),
        penalty(fine=lambda s: (s - 1).square().sum()),
        penalty(draw=lambda *n: torch.rand(()).expand(*n)),
        r1,
    ],
    ids=["two-sided", "one-sided", "squared norms", "sum over the batch", "one share", "R1"],
)
def test_penalties_of_the_norm_per_sample_pass(right):
    assert probe_penalty(right) == ()


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (penalty(lambda g: g.norm(2, dim=1)), "channels only"),
        (penalty(lambda g: g.norm()), "whole batch"),
        (penalty(lambda g: g.abs()), "more than the norm"),
        (penalty(lambda g: g.norm(dim=-1)), "more than the norm"),
        (penalty(lambda g: g.flatten(1).norm(1, dim=1)), "more than the norm"),
        (penalty(graph=False), "no gradient"),
        (penalty(lambda g: (g**2).flatten(1).sum(1).sqrt()), "infinite or NaN"),
        (penalty(draw=torch.randn), "off the segments"),
        (penalty(draw=lambda n, *_: torch.rand(n, 1, 4, 5)), "off the segments"),
        (lambda critic, real, fake: (real - fake).square().mean(), "not those of the critic"),
    ],
)
def test_each_mistake_of_a_penalty_is_named(wrong, what):
    (found,) = probe_penalty(wrong)
    assert what in found
    assert found in PENALTY_PROBLEMS


def test_the_channel_norm_passes_a_gradient_of_32():
    # The fine of a critic of slope 32 on 1 x 32 x 32 images, each pixel's derivative being 1.
    class Sum(nn.Module):
        def forward(self, x):
            return x.flatten(1).sum(1)

    real, fake = torch.zeros(2, 1, 32, 32), torch.ones(2, 1, 32, 32)
    assert float(penalty(lambda g: g.norm(2, dim=1))(Sum(), real, fake)) == 0.0
    assert abs(float(penalty()(Sum(), real, fake)) - 10 * 31**2) < 0.1


def test_the_audit_reports_the_penalty_with_reason_and_way_out():
    (finding,) = audit(nn.Linear(2, 1), penalty=penalty(lambda g: g.norm()))
    assert (finding.where, finding.what) == ("penalty", "a norm over the whole batch")
    assert "flatten(1)" in finding.way_out
    assert str(finding) == "penalty: a norm over the whole batch"


# ---- bad input -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: audit(3), "`module` must be a torch.nn.Module"),
        (lambda: audit(nn.Linear(3, 1), input_shape=(4,)), r"`input_shape` = \(4,\) cannot be fed"),
        (lambda: audit(nn.Linear(3, 1), penalty=1), "`penalty` must be callable"),
        (lambda: probe_penalty(lambda c, r, f: c(r)), "must return a scalar tensor"),
        (lambda: probe_penalty(penalty(), batch_size=1), "`batch_size` must be at least 2"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_a_finding_prints_where_and_what():
    assert str(Finding(where="", what="a", why="b", way_out="c")) == "the critic: a"


# ---- refusals of the reader ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (nn.LayerNorm(4), r"\(LayerNorm\) is not supported: .*max \|gamma\| / sqrt\(eps\)"),
        (nn.GroupNorm(2, 4), "max .gamma. / sqrt"),
        (nn.MultiheadAttention(4, 1), "several|attention has no Lipschitz constant"),
        (Forward(torch.exp), "its slope grows without bound"),
        (
            Forward(lambda x: nn.functional.scaled_dot_product_attention(x, x, x)),
            "attention has no Lipschitz constant",
        ),
    ],
)
def test_reading_a_network_refuses_with_the_reason(part, reason):
    with pytest.raises(NotCertified, match=reason):
        from_torch(nn.Sequential(part), (4,))


def test_reading_batch_normalisation_in_training_mode_is_refused():
    with pytest.raises(ValueError, match=r"training mode at '0' \(BatchNorm1d\)"):
        from_torch(nn.Sequential(nn.BatchNorm1d(4)), (4,))
