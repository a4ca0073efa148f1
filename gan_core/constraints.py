"""Constraints on a critic's weights: clipping after each step, or weights as functions of others.

A parametrisation maps free weights to effective ones. The critic's gradient is computed for the
effective weights and pulled back to the free ones by autograd, one product with the Jacobian.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evidence.validation import positive_float, positive_int
from gan_core.networks import StackedMLP

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Bjorck", "Clipping", "Parametrization", "SpectralNormalization"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clipping:
    """Every parameter, biases included, is clipped to ``[-bound, bound]`` after each step.

    Parameters
    ----------
    bound : float
        ``c`` of WGAN's Algorithm 1, in the weights' own unit.

    Raises
    ------
    ValueError
        A bound that is not positive: every weight would be 0.

    Examples
    --------
    >>> Clipping(bound=0.01).bound
    0.01
    """

    bound: float = 0.01

    def __post_init__(self) -> None:
        positive_float(self.bound, "bound")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralNormalization:
    """Weights divided by an estimate of their spectral norm, from below, by power iteration.

    Parameters
    ----------
    iterations : int
        Steps per use; the vectors are kept from use to use (warm start).

    References
    ----------
    Miyato et al., *Spectral normalization for generative adversarial networks*, ICLR 2018.

    Examples
    --------
    >>> SpectralNormalization().iterations
    1
    """

    iterations: int = 1

    def __post_init__(self) -> None:
        positive_int(self.iterations, "iterations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bjorck:
    """Orthonormal weights by Bjorck's iteration ``W <- 3/2 W - 1/2 W W^T W``.

    Parameters
    ----------
    iterations : int

    References
    ----------
    Anil, Lucas, Grosse, *Sorting out Lipschitz function approximation*, ICML 2019, section 4.2.

    Examples
    --------
    >>> Bjorck().iterations
    12
    """

    iterations: int = 12

    def __post_init__(self) -> None:
        positive_int(self.iterations, "iterations")


class Parametrization:
    """A stack whose weights are a function of another stack's.

    Parameters
    ----------
    free : StackedMLP
        What is trained.
    rule : SpectralNormalization or Bjorck

    Examples
    --------
    >>> import torch
    >>> free = StackedMLP([2, 2])
    >>> free.weights[0][:] = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    >>> Parametrization(free, Bjorck(iterations=30)).effective().weights[0].abs().round(decimals=4)
    tensor([[[1., 0.],
             [0., 1.]]])
    """

    def __init__(self, free: StackedMLP, rule: SpectralNormalization | Bjorck) -> None:
        import torch

        self.free = free
        self.rule = rule
        self.net = StackedMLP(
            free.sizes,
            members=free.members,
            activation=free.activation,
            slope=free.slope,
            dtype=str(free.parameters.dtype).removeprefix("torch."),
            device=str(free.parameters.device),
        )
        self.vectors = [
            torch.nn.functional.normalize(torch.ones_like(w[:, :, :1]), dim=1)
            for w in free.stored_weights
        ]
        self._graph: list[tuple[Tensor, Tensor]] = []

    def effective(self) -> StackedMLP:
        """The stack with the effective weights; its memory is reused by the next call."""
        import torch

        self._graph = []
        for layer, weight in enumerate(self.free.stored_weights):
            leaf = weight.detach().requires_grad_(True)
            with torch.enable_grad():
                value = (
                    _orthonormal(leaf, self.rule.iterations)
                    if isinstance(self.rule, Bjorck)
                    else self._normalized(leaf, layer)
                )
            self._graph.append((leaf, value))
            self.net.stored_weights[layer].copy_(value.detach())
            self.net.stored_biases[layer].copy_(self.free.stored_biases[layer])
        return self.net

    def pull_back(self) -> Tensor:
        """The gradient for the free parameters, from ``net.gradient`` of the effective ones."""
        import torch

        for layer, (leaf, value) in enumerate(self._graph):
            (gradient,) = torch.autograd.grad(value, leaf, self.net.stored_weight_gradients[layer])
            self.free.stored_weight_gradients[layer].copy_(gradient)
            self.free.stored_bias_gradients[layer].copy_(self.net.stored_bias_gradients[layer])
        return self.free.gradient

    def _normalized(self, weight: Tensor, layer: int) -> Tensor:
        import torch

        normalize = torch.nn.functional.normalize
        with torch.no_grad():
            u = self.vectors[layer]
            for _ in range(self.rule.iterations):
                v = normalize((weight * u).sum(1).unsqueeze(2), dim=1)
                u = normalize((weight * v.transpose(1, 2)).sum(2, keepdim=True), dim=1)
            self.vectors[layer] = u
        estimate = (u * weight * v.transpose(1, 2)).sum((1, 2), keepdim=True)
        return weight / estimate.clamp_min(1e-12)


def _orthonormal(weight: Tensor, iterations: int) -> Tensor:
    import torch

    rows = weight.abs().sum(1, keepdim=True).amax(2, keepdim=True)
    columns = weight.abs().sum(2, keepdim=True).amax(1, keepdim=True)
    # ||W||_2^2 <= ||W||_1 ||W||_inf: singular values in (0, 1], where the iteration converges to 1.
    w = weight / (rows * columns).sqrt().clamp_min(1e-12)
    is_tall = w.shape[1] > w.shape[2]
    for _ in range(iterations):
        transposed = w.transpose(1, 2)
        if is_tall:
            w = 1.5 * w - 0.5 * torch.bmm(w, torch.bmm(transposed, w))
        else:
            w = 1.5 * w - 0.5 * torch.bmm(torch.bmm(w, transposed), w)
    return w
