"""Many small perceptrons at once: one network per seed and condition, one batched product.

The members of a stack share sizes and activation and nothing else. Their parameters are the rows of
one contiguous buffer, of which weights and biases are views, so that an optimiser is a handful of
operations on one tensor and a member is one row.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evidence.validation import choice, nonnegative_int, positive_int
from gan_core.sorting_layers import max_min_layers

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lipschitz import Network

__all__ = ["ACTIVATIONS", "StackedMLP"]

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "max_min")
_LINE = 16
INITIALIZATIONS = ("torch", "he", "orthogonal", "normal")


class StackedMLP:
    """``members`` multilayer perceptrons of one shape.

    Parameters
    ----------
    sizes : sequence of int
        Of the input, the hidden layers and the output.
    members : int
    activation : {"relu", "leaky_relu", "tanh", "max_min"}
        ``max_min`` sorts pairs of features (GroupSort of 2) and needs even hidden sizes.
    slope : float
        Of the leaky side.
    dtype : str
        ``float32`` or ``float64``.
    device : str

    Attributes
    ----------
    parameters : Tensor, shape (members, count)
        All parameters, between zeros that stay zero; ``weights[l]`` (members, in, out) and
        ``biases[l]`` (members, 1, out) are views of it.

    Raises
    ------
    ValueError, TypeError
        Sizes that are not positive integers, an unknown name, an odd hidden size under
        ``max_min``.

    Examples
    --------
    >>> import torch
    >>> nets = StackedMLP([2, 8, 1], members=3)
    >>> nets.initialize([torch.Generator().manual_seed(s) for s in range(3)])
    >>> nets(torch.zeros(3, 5, 2)).shape
    torch.Size([3, 5, 1])
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        members: int = 1,
        activation: str = "relu",
        slope: float = 0.2,
        dtype: str = "float32",
        device: str = "cpu",
    ) -> None:
        import torch

        self.sizes = tuple(positive_int(size, f"sizes[{i}]") for i, size in enumerate(sizes))
        if len(self.sizes) < 2:
            raise ValueError(
                f"`sizes` must name at least the input's and the output's size, got {self.sizes}"
            )
        self.members = positive_int(members, "members")
        self.activation = choice(activation, "activation", ACTIVATIONS)
        self.slope = float(slope)
        if self.activation == "max_min" and any(size % 2 for size in self.sizes[1:-1]):
            raise ValueError(
                f"`sizes` must be even in the hidden layers for 'max_min', got {self.sizes}"
            )
        kind: torch.dtype = getattr(torch, choice(dtype, "dtype", ("float32", "float64")))
        # Stored with hidden sizes and rows of whole cache lines: how a library rounds depends on
        # where a matrix begins in one, which must not depend on the member. The rest stays 0.
        pad = 1 if self.activation == "max_min" else _LINE
        hidden = [-(-size // pad) * pad for size in self.sizes[1:-1]]
        stored = (self.sizes[0], *hidden, self.sizes[-1])
        shapes = [shape for i, o in itertools.pairwise(stored) for shape in ((i, o), (1, o))]
        counts = [math.prod(shape) for shape in shapes]
        counts.append(-sum(counts) % _LINE)
        self.parameters = torch.zeros(self.members, sum(counts), dtype=kind, device=device)
        self.gradient = torch.zeros_like(self.parameters)
        self.stored_weights, self.stored_biases = self._views(self.parameters, shapes, counts)
        self.weights, self.biases = self._trimmed(self.stored_weights, self.stored_biases)
        self.stored_weight_gradients, self.stored_bias_gradients = self._views(
            self.gradient, shapes, counts
        )
        self.weight_gradients, self.bias_gradients = self._trimmed(
            self.stored_weight_gradients, self.stored_bias_gradients
        )
        self._scratch: dict[Any, Tensor] = {}

    def _views(
        self, buffer: Tensor, shapes: Sequence[tuple[int, ...]], counts: Sequence[int]
    ) -> tuple[list[Tensor], list[Tensor]]:
        import torch

        parts = torch.split(buffer, list(counts), dim=1)[:-1]
        views = [p.view(self.members, *shape) for p, shape in zip(parts, shapes, strict=True)]
        return views[0::2], views[1::2]

    def _trimmed(
        self, weights: list[Tensor], biases: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        sizes = itertools.pairwise(self.sizes)
        return (
            [w[:, :i, :o] for w, (i, o) in zip(weights, sizes, strict=True)],
            [b[:, :, :o] for b, o in zip(biases, self.sizes[1:], strict=True)],
        )

    @property
    def parameter_count(self) -> int:
        """Weights and biases of one member."""
        return sum((i + 1) * o for i, o in itertools.pairwise(self.sizes))

    @property
    def depth(self) -> int:
        """Number of affine layers."""
        return len(self.weights)

    # ---- parameters -------------------------------------------------------------------------
    def initialize(
        self,
        generators: Sequence[torch.Generator],
        scheme: str = "torch",
        scale: float = 0.02,
    ) -> None:
        """Draw the parameters of every member from its own generator (on the CPU).

        Parameters
        ----------
        generators : sequence of torch.Generator
            One for each member.
        scheme : {"torch", "he", "orthogonal", "normal"}
            Uniform on ``+-1 / sqrt(in)`` for weights and biases, as ``torch.nn.Linear``; normal
            with variance ``2 / in`` and no bias; random orthogonal; normal with deviation
            ``scale``.

        Raises
        ------
        ValueError
            If there are not as many generators as members.
        """
        import torch

        choice(scheme, "scheme", INITIALIZATIONS)
        if len(generators) != self.members:
            raise ValueError(
                f"`generators` must hold one generator per member, {self.members}, got "
                f"{len(generators)}"
            )
        kind = self.parameters.dtype
        with torch.no_grad():
            for member, stream in enumerate(generators):
                for weight, bias in zip(self.weights, self.biases, strict=True):
                    i, o = weight.shape[1:]
                    if scheme == "torch":
                        width = 1.0 / math.sqrt(i)
                        w = (2.0 * torch.rand(i, o, generator=stream, dtype=kind) - 1.0) * width
                        b = (2.0 * torch.rand(1, o, generator=stream, dtype=kind) - 1.0) * width
                    else:
                        w = torch.randn(i, o, generator=stream, dtype=kind)
                        b = torch.zeros(1, o, dtype=kind)
                        if scheme == "he":
                            w *= math.sqrt(2.0 / i)
                        elif scheme == "normal":
                            w *= scale
                        else:
                            q = torch.linalg.qr(w if i >= o else w.T)[0]
                            w = q if i >= o else q.T
                    weight[member] = w
                    bias[member] = b

    # ---- values -----------------------------------------------------------------------------
    def __call__(self, x: Tensor) -> Tensor:
        """Outputs for inputs of shape (members, batch, in), differentiable by autograd."""
        import torch

        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if layer < self.depth - 1:
                x = self.activate(x)
        return x

    def activate(self, x: Tensor) -> Tensor:
        """The activation function."""
        import torch

        if self.activation == "relu":
            return x.relu()
        if self.activation == "leaky_relu":
            return torch.nn.functional.leaky_relu(x, self.slope)
        if self.activation == "tanh":
            return x.tanh()
        a, b = x.chunk(2, dim=-1)
        return torch.cat([torch.maximum(a, b), torch.minimum(a, b)], dim=-1)

    def scratch(self, key: object, *shape: int) -> Tensor:
        """A buffer that is kept from call to call; every member's part begins a cache line."""
        buffer = self._scratch.get(key)
        if buffer is None or buffer.shape != shape:
            members, count = shape[0], math.prod(shape[1:])
            rows = self.parameters.new_empty(members, -(-count // _LINE) * _LINE)
            buffer = self._scratch[key] = rows[:, :count].view(shape)
        return buffer

    # ---- out of the stack -------------------------------------------------------------------
    def module(self, member: int = 0) -> torch.nn.Module:
        """One member as a ``torch.nn.Sequential`` with its own copy of the parameters.

        Examples
        --------
        >>> StackedMLP([2, 4, 1]).module()
        Sequential(
          (0): Linear(in_features=2, out_features=4, bias=True)
          (1): ReLU()
          (2): Linear(in_features=4, out_features=1, bias=True)
        )
        """
        import torch

        if self.activation == "max_min":
            raise ValueError(
                "`module` has no torch layer for 'max_min'; use `network`, or relu or leaky_relu"
            )
        self._member(member)
        layers: list[torch.nn.Module] = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            i, o = weight.shape[1:]
            linear = torch.nn.Linear(i, o, dtype=weight.dtype)
            with torch.no_grad():
                linear.weight.copy_(weight[member].T)
                linear.bias.copy_(bias[member, 0])
            layers += [linear, self._torch_activation()]
        return torch.nn.Sequential(*layers[:-1])

    def _torch_activation(self) -> torch.nn.Module:
        import torch

        if self.activation == "leaky_relu":
            return torch.nn.LeakyReLU(self.slope)
        return torch.nn.ReLU() if self.activation == "relu" else torch.nn.Tanh()

    def network(self, member: int = 0) -> Network:
        """One member as a `lipschitz.Network`, whose constant `lipschitz.certify` encloses.

        MaxMin becomes two linear maps around a ReLU (`gan_core.sorting_layers`).

        Examples
        --------
        >>> StackedMLP([2, 4, 1]).network().output_shape
        (1,)
        """
        from lipschitz import Network, chain
        from lipschitz.layers import Activation, Dense

        self._member(member)
        layers: list[tuple[str, Any]] = []
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True), 1):
            w = weight[member].detach().cpu().numpy().astype(np.float64)
            b = bias[member, 0].detach().cpu().numpy().astype(np.float64)
            layers.append((f"linear {layer}", Dense(weight=w.T.copy(), bias=b)))
            if layer == self.depth:
                break
            if self.activation == "max_min":
                named = enumerate(max_min_layers(len(b)), 1)
                layers += [(f"max_min {layer}, part {part}", piece) for part, piece in named]
                continue
            parameter = self.slope if self.activation == "leaky_relu" else None
            activation = Activation(
                kind=self.activation, input_shape=(len(b),), parameter=parameter
            )
            layers.append((f"{self.activation} {layer}", activation))
        return Network(input_shape=(self.sizes[0],), nodes=chain(layers))

    def _member(self, member: int) -> int:
        if nonnegative_int(member, "member") >= self.members:
            raise ValueError(f"`member` must be below {self.members}, got {member}")
        return member
