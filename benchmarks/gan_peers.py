"""How others train small WGAN-GPs: one network, one seed, autograd.

`ReferenceLoop` follows the published toy script of *Improved training of Wasserstein GANs* (one
``nn.Module``, three backward calls per critic step, data drawn point by point in Python, an unused
batch in the generator step); `CarefulLoop` is what a careful user makes of it: one backward call,
vectorised data, a fused optimiser.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["CarefulLoop", "ReferenceLoop"]

_LATENT = 2


def _network(sizes: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _backward(loss: Tensor) -> None:
    call: Any = loss.backward  # untyped in torch
    call()


class ReferenceLoop:
    """The published loop.

    Parameters
    ----------
    width, batch : int
        Three hidden layers of ``width`` in both networks.
    seed : int
    coefficient : float
        Of the gradient penalty.
    """

    def __init__(self, width: int, batch: int, seed: int, coefficient: float = 0.1) -> None:
        self.stream = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        hidden = (width, width, width)
        self.critic = _network((2, *hidden, 1))
        self.generator = _network((_LATENT, *hidden, 2))
        self.batch, self.coefficient = batch, coefficient
        self.critic_optimizer, self.generator_optimizer = (
            torch.optim.Adam(net.parameters(), lr=1e-4, betas=(0.5, 0.9))
            for net in (self.critic, self.generator)
        )
        self.data = self._batches()

    def _batches(self) -> Iterator[Tensor]:
        centers = [(math.cos(k * math.pi / 4.0), math.sin(k * math.pi / 4.0)) for k in range(8)]
        while True:
            rows = []
            for _ in range(self.batch):
                point = torch.randn(2, generator=self.stream) * 0.02
                index = int(torch.randint(8, (), generator=self.stream))
                rows.append(
                    [2.0 * c + float(p) for c, p in zip(centers[index], point, strict=True)]
                )
            yield torch.tensor(rows) / 1.414

    def _noise(self) -> Tensor:
        return torch.randn(self.batch, _LATENT, generator=self.stream)

    def penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        """The gradient penalty at interpolates, by autograd's double backward."""
        mix = torch.rand(self.batch, 1, generator=self.stream)
        points = (mix * real + (1.0 - mix) * fake).requires_grad_(True)
        outputs = self.critic(points)
        (gradient,) = torch.autograd.grad(
            outputs, points, torch.ones_like(outputs), create_graph=True
        )
        norms: Tensor = gradient.norm(2, dim=1)
        return self.coefficient * ((norms - 1.0) ** 2).mean()

    def iterate(self) -> None:
        """Five critic steps and a generator step."""
        for _ in range(5):
            real = next(self.data)
            self.critic.zero_grad()
            _backward(-self.critic(real).mean())
            with torch.no_grad():
                fake = self.generator(self._noise())
            _backward(self.critic(fake).mean())
            _backward(self.penalty(real, fake))
            self.critic_optimizer.step()
        for parameter in self.critic.parameters():
            parameter.requires_grad_(False)
        self.generator.zero_grad()
        next(self.data)
        _backward(-self.critic(self.generator(self._noise())).mean())
        self.generator_optimizer.step()
        for parameter in self.critic.parameters():
            parameter.requires_grad_(True)


class CarefulLoop(ReferenceLoop):
    """The same mathematics with one backward call, vectorised data and fused Adam."""

    def __init__(self, width: int, batch: int, seed: int, coefficient: float = 0.1) -> None:
        super().__init__(width, batch, seed, coefficient)
        self.critic_optimizer, self.generator_optimizer = (
            torch.optim.Adam(net.parameters(), lr=1e-4, betas=(0.5, 0.9), fused=True)
            for net in (self.critic, self.generator)
        )
        angle = torch.arange(8) * (math.pi / 4.0)
        self.centers = 2.0 * torch.stack([angle.cos(), angle.sin()], dim=1)

    def _batches(self) -> Iterator[Tensor]:
        while True:
            index = torch.randint(8, (self.batch,), generator=self.stream)
            noise = torch.randn(self.batch, 2, generator=self.stream)
            yield (self.centers[index] + 0.02 * noise) / 1.414

    def iterate(self) -> None:
        """Five critic steps and a generator step."""
        for _ in range(5):
            real = next(self.data)
            with torch.no_grad():
                fake = self.generator(self._noise())
            outputs = self.critic(torch.cat([real, fake]))
            loss = outputs[self.batch :].mean() - outputs[: self.batch].mean()
            self.critic_optimizer.zero_grad()
            _backward(loss + self.penalty(real, fake))
            self.critic_optimizer.step()
        self.generator_optimizer.zero_grad()
        loss = -self.critic(self.generator(self._noise())).mean()
        parameters = list(self.generator.parameters())
        for parameter, gradient in zip(
            parameters, torch.autograd.grad(loss, parameters), strict=True
        ):
            parameter.grad = gradient
        self.generator_optimizer.step()
