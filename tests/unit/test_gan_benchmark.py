"""The training benchmark: its peers train the same thing, and its command line answers."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from benchmarks.gan import main  # noqa: E402
from benchmarks.gan_peers import CarefulLoop, ReferenceLoop  # noqa: E402
from benchmarks.gan_rows import tasks  # noqa: E402
from gan_core import OBJECTIVES, StackedMLP, critic_gradient, one_centered  # noqa: E402


def test_the_peers_take_the_gradient_that_we_take():
    for kind in (ReferenceLoop, CarefulLoop):
        loop = kind(width=8, batch=16, seed=0)
        loop.critic.double()
        net = StackedMLP([2, 8, 8, 8, 1], dtype="float64")
        linears = [layer for layer in loop.critic if isinstance(layer, torch.nn.Linear)]
        with torch.no_grad():
            for layer, weight, bias in zip(linears, net.weights, net.biases, strict=True):
                weight[0] = layer.weight.T
                bias[0, 0] = layer.bias
        stream = torch.Generator().manual_seed(1)
        real, fake = (torch.randn(16, 2, generator=stream, dtype=torch.float64) for _ in range(2))
        loop.stream = torch.Generator().manual_seed(2)
        mix = torch.rand(16, 1, generator=torch.Generator().manual_seed(2))
        loss = loop.critic(fake).mean() - loop.critic(real).mean() + loop.penalty(real, fake)
        theirs = torch.autograd.grad(loss, [layer.weight for layer in linears])
        critic_gradient(
            net,
            real[None],
            fake[None],
            OBJECTIVES["wgan"],
            penalty=one_centered(0.1),
            mix=mix[None].double(),
        )
        for their, our in zip(theirs, net.weight_gradients, strict=True):
            assert torch.allclose(their.T, our[0], rtol=1e-10, atol=1e-12)


def test_the_peers_train_without_nan():
    for kind in (ReferenceLoop, CarefulLoop):
        loop = kind(width=8, batch=16, seed=0)
        before = [p.clone() for p in loop.generator.parameters()]
        loop.iterate()
        after = list(loop.generator.parameters())
        assert all(torch.isfinite(p).all() for p in after)
        assert any((a != b).any() for a, b in zip(after, before, strict=True))
        assert all(p.requires_grad for p in loop.critic.parameters())


def test_one_row_is_measured_printed_and_written(tmp_path, capsys):
    path = tmp_path / "gan.json"
    assert main(["--quick", "--only", "3 x 32", "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "3 x 32, batch 64" in printed
    assert "over careful" in printed
    methods = {m["method"] for m in json.loads(path.read_text())["measurements"]}
    assert methods == {"ours", "reference loop", "careful loop"}


def test_unusable_options_get_one_sentence(capsys):
    for arguments, sentence in (
        (["--only", "nothing"], "matches no row"),
        (["--device", "toaster", "--quick", "--only", "3 x 32"], "`device` 'toaster'"),
        (["--json", "/nowhere/at/all.json"], "does not exist"),
    ):
        assert main(arguments) == 2
        assert sentence in capsys.readouterr().err


def test_every_row_says_what_is_asked():
    for task in tasks(quick=False, device="cpu", seed=0, threads=1):
        assert task.faster
