"""``python -m benchmarks.train_digits``: how the weights in ``benchmarks/weights`` were made.

A minute on one core. The seed is fixed, but the last digits of a convolution depend on the
processor, and training amplifies them: another machine gives other weights of the same kind. The
bounds in the table are bounds of the networks with the weights in the repository.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from benchmarks import critics

__all__ = ["gradient_penalty", "main", "train_classifier", "train_critic"]

NOISE = 16


def load_digits() -> tuple[Tensor, Tensor]:
    """scikit-learn's 1797 digits: images of shape (1, 8, 8) in [0, 1], and labels."""
    from sklearn.datasets import load_digits as sklearn_digits

    images, labels = sklearn_digits(return_X_y=True)
    pixels = torch.as_tensor(images, dtype=torch.float32) / 16.0
    return pixels.reshape(-1, 1, 8, 8), torch.as_tensor(labels)


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """``E (||grad f(x)|| - 1)^2`` on segments between pairs (Gulrajani et al. 2017, eq. 3)."""
    share = torch.rand(len(real), 1, 1, 1)
    between = (share * real + (1.0 - share) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    lengths: Tensor = gradient.flatten(1).norm(dim=1)
    return (lengths - 1.0).square().mean()


def train_critic(critic: nn.Module, images: Tensor, *, steps: int, critic_steps: int = 5) -> float:
    """WGAN-GP with a small generator; returns the last estimate of the distance.

    Gulrajani et al. 2017, algorithm 1, with its penalty weight 10 and five critic steps, and
    Adam(1e-3, betas 0 and 0.9).
    """
    generator = nn.Sequential(
        nn.Linear(NOISE, 64), nn.ReLU(), nn.Linear(64, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8))
    )
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
    distance = torch.zeros(())
    for _ in range(steps):
        for _ in range(critic_steps):
            real = images[torch.randint(len(images), (64,))]
            fake = generator(torch.randn(64, NOISE)).detach()
            distance = critic(real).mean() - critic(fake).mean()
            loss = 10.0 * gradient_penalty(critic, real, fake) - distance
            critic_optimizer.zero_grad()
            torch.autograd.backward(loss)
            critic_optimizer.step()
        loss = -critic(generator(torch.randn(64, NOISE))).mean()
        generator_optimizer.zero_grad()
        torch.autograd.backward(loss)
        generator_optimizer.step()
    return float(distance.detach())


def train_classifier(classifier: nn.Module, images: Tensor, labels: Tensor, *, steps: int) -> float:
    """Cross entropy on the first 1400 digits; returns the accuracy on the rest."""
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
    for _ in range(steps):
        batch = torch.randint(1400, (64,))
        loss = torch.nn.functional.cross_entropy(classifier(images[batch]), labels[batch])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    classifier.eval()
    with torch.no_grad():
        return float((classifier(images[1400:]).argmax(1) == labels[1400:]).float().mean())


def main(arguments: list[str] | None = None) -> None:
    """Train every network and write its weights."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_digits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=600, help="generator steps (default: 600)")
    parser.add_argument(
        "--output", type=Path, default=critics.weights_path("x").parent, metavar="FOLDER"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    images, labels = load_digits()
    options.output.mkdir(parents=True, exist_ok=True)
    for name, factory in critics.FACTORIES.items():
        torch.manual_seed(options.seed)
        start = time.perf_counter()
        network = factory()
        if name == "classifier":
            accuracy = train_classifier(network, images, labels, steps=2 * options.steps)
            result = f"accuracy {accuracy:.3f} on held-out digits"
        else:
            distance = train_critic(network, images, steps=options.steps)
            result = f"critic's distance {distance:.3f}"
        state = {key: value.contiguous() for key, value in network.state_dict().items()}
        data = save(state)
        _write(options.output / f"{name}.safetensors", data)
        seconds = time.perf_counter() - start
        sys.stdout.write(f"{name:<16} {result:<36} {len(data):>7} bytes {seconds:6.1f} s\n")


def _write(path: Path, data: bytes) -> None:
    """Replace the file in one step."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


if __name__ == "__main__":
    main()
