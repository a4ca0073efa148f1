"""Four small networks on 8 x 8 digits, whose trained weights are in the repository.

Three are critics as in WGAN-GP (Gulrajani et al. 2017), trained to tell scikit-learn's digits from
a generator's; one classifies the digits. They are factories in the sense of the command line:

    python -m benchmarks.lipschitz benchmarks.critics:strided_critic \\
        --weights benchmarks/weights/strided_critic.safetensors --input-shape 1,8,8
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

__all__ = [
    "FACTORIES",
    "INPUT_SHAPE",
    "classifier",
    "load",
    "mlp_critic",
    "residual_critic",
    "strided_critic",
    "weights_path",
]

INPUT_SHAPE = (1, 8, 8)


class Residual(nn.Module):
    """``x + conv(relu(conv(relu(x))))``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the input."""
        branch: Tensor = self.second(self.relu(self.first(self.relu(x))))
        return x + branch


def mlp_critic() -> nn.Module:
    """64-64-64-1 with ReLU."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Linear(64, 1),
    )


def strided_critic() -> nn.Module:
    """Three convolutions, two of them with stride 2, as in DCGAN's discriminator."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 16, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(128, 1),
    )


def residual_critic() -> nn.Module:
    """Two residual blocks between a convolution and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1),
        Residual(12),
        nn.AvgPool2d(2),
        Residual(12),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(192, 1),
    )


def classifier() -> nn.Module:
    """Two convolutions with batch normalisation and pooling, then ten logits."""
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 10),
    )


FACTORIES: dict[str, Callable[[], nn.Module]] = {
    "mlp_critic": mlp_critic,
    "strided_critic": strided_critic,
    "residual_critic": residual_critic,
    "classifier": classifier,
}


def weights_path(name: str) -> Path:
    """Where the weights of a network are kept."""
    return Path(__file__).parent / "weights" / f"{name}.safetensors"


def load(name: str) -> nn.Module:
    """A network with its trained weights, in evaluation mode and double precision.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    if name not in FACTORIES:
        raise ValueError(f"`name` must be one of {', '.join(FACTORIES)}, got {name!r}")
    module = FACTORIES[name]()
    module.load_state_dict(load_file(weights_path(name)))
    return module.eval().double()
