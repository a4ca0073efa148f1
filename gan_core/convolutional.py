"""Small convolutional critics and generators for gray images, one per member of a stack.

All members pass through one grouped convolution, a group for each. Their gradients are autograd's,
the penalty's by double backward: `gan_core.gradients` writes them out for perceptrons only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evidence.validation import choice, nonnegative_int, positive_int
from gan_core.convolutional_layers import image_geometry, plan
from gan_core.networks import INITIALIZATIONS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lipschitz import Network

__all__ = ["CONVOLUTIONAL_ACTIVATIONS", "StackedConvolution"]

CONVOLUTIONAL_ACTIVATIONS = ("relu", "leaky_relu", "tanh")


class StackedConvolution:
    """``members`` convolutional networks of one shape: critics, or generators of images.

    A critic halves the image with 4 x 4 convolutions of stride 2, to ``channels[0]``,
    ``channels[1]``, ... channels, and ends with a dense layer. A generator starts with a dense
    layer, doubles the image with 4 x 4 transposed convolutions in the reverse order, and ends with
    a 3 x 3 convolution. Images are flattened row by row wherever they enter or leave.

    Parameters
    ----------
    image_shape : (int, int)
        Height and width, multiples of ``2 ** len(channels)``.
    latent_size : int, optional
        Of a generator's noise; a critic if left out.
    channels : sequence of int
        From the image inwards.
    members : int
    activation : {"relu", "leaky_relu", "tanh"}
    slope : float
        Of the leaky side.
    squash : bool
        End a generator with tanh, for pixels in (-1, 1).
    dtype : str
        ``float32`` or ``float64``.
    device : str

    Attributes
    ----------
    parameters : Tensor, shape (members, count)
        A row is ``torch.nn.utils.parameters_to_vector`` of the member's `module`. ``weights[l]``,
        flattened to (members, first axis, rest), and ``biases[l]`` (members, 1, out) are views.
    gradient, weight_gradients, bias_gradients
        The same for gradients.

    Raises
    ------
    ValueError, TypeError
        Images that cannot be halved so often, an unknown name, ``squash`` on a critic.

    Notes
    -----
    Members share no number: each computes its own network, up to the order in which sums are
    rounded. That order may depend on the number of groups, so that, unlike those of `StackedMLP`,
    a member's bits may differ between a stack and the member alone. Equal stacks give equal bits.

    Examples
    --------
    >>> import torch
    >>> critics = StackedConvolution((8, 8), members=3)
    >>> critics.initialize([torch.Generator().manual_seed(s) for s in range(3)])
    >>> critics(torch.zeros(3, 5, 64)).shape
    torch.Size([3, 5, 1])
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        *,
        latent_size: int | None = None,
        channels: Sequence[int] = (16, 32),
        members: int = 1,
        activation: str = "leaky_relu",
        slope: float = 0.2,
        squash: bool = False,
        dtype: str = "float32",
        device: str = "cpu",
    ) -> None:
        import torch

        self.image_shape, self.channels = image_geometry(image_shape, channels)
        self.latent_size = None if latent_size is None else positive_int(latent_size, "latent_size")
        if squash and latent_size is None:
            raise ValueError("`squash` is for generators: a critic's output has no range")
        self.squash = squash
        self.members = positive_int(members, "members")
        self.activation = choice(activation, "activation", CONVOLUTIONAL_ACTIVATIONS)
        self.slope = float(slope)
        kind: torch.dtype = getattr(torch, choice(dtype, "dtype", ("float32", "float64")))
        self.layers = plan(self.image_shape, self.channels, self.latent_size)
        counts = [
            n for layer in self.layers for n in (math.prod(layer.weight_shape), layer.bias_size)
        ]
        self.parameters = torch.zeros(self.members, sum(counts), dtype=kind, device=device)
        self.gradient = torch.zeros_like(self.parameters)
        self.weights, self.biases = self._views(self.parameters, counts)
        self.weight_gradients, self.bias_gradients = self._views(self.gradient, counts)

    def _views(self, buffer: Tensor, counts: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
        import torch

        parts = torch.split(buffer, list(counts), dim=1)
        weights = [
            part.view(self.members, layer.weight_shape[0], -1)
            for part, layer in zip(parts[0::2], self.layers, strict=True)
        ]
        return weights, [part.view(self.members, 1, -1) for part in parts[1::2]]

    @property
    def parameter_count(self) -> int:
        """Weights and biases of one member."""
        return self.parameters.shape[1]

    @property
    def depth(self) -> int:
        """Number of affine layers."""
        return len(self.layers)

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
            Uniform on ``+-1 / sqrt(n)`` for weights and biases, ``n`` the weights per entry of
            their first axis, as torch's layers; normal with variance 2 over the number of products
            in an output and no bias; random with orthonormal rows or columns when flattened; normal
            with deviation ``scale``.

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
                for layer, weight, bias in zip(self.layers, self.weights, self.biases, strict=True):
                    rows, columns = weight.shape[1:]
                    bias[member] = 0.0
                    if scheme == "torch":
                        width = 1.0 / math.sqrt(columns)
                        drawn = torch.rand(rows, columns, generator=stream, dtype=kind)
                        weight[member] = (2.0 * drawn - 1.0) * width
                        drawn = torch.rand(bias.shape[2], generator=stream, dtype=kind)
                        bias[member, 0] = (2.0 * drawn - 1.0) * width
                        continue
                    w = torch.randn(rows, columns, generator=stream, dtype=kind)
                    if scheme == "orthogonal":
                        is_tall = rows >= columns
                        q = torch.linalg.qr(w if is_tall else w.T)[0]
                        weight[member] = q if is_tall else q.T
                    else:
                        weight[member] = w * (
                            scale if scheme == "normal" else math.sqrt(2.0 / layer.terms)
                        )

    # ---- values -----------------------------------------------------------------------------
    def __call__(self, x: Tensor) -> Tensor:
        """Outputs for inputs of shape (members, batch, in), differentiable by autograd."""
        return self.functional(self.weights, self.biases, x)

    def functional(self, weights: Sequence[Tensor], biases: Sequence[Tensor], x: Tensor) -> Tensor:
        """The outputs under other parameters, with the shapes of ``weights`` and ``biases``."""
        import torch

        batch = x.shape[1]
        for place, (layer, weight, bias) in enumerate(
            zip(self.layers, weights, biases, strict=True), 1
        ):
            if layer.kind == "dense":
                x = torch.baddbmm(bias, x, weight.transpose(1, 2))
            else:
                channels, *sides = layer.inputs
                # Channel m * channels + c of the one convolution is channel c of member m.
                grouped = x.transpose(0, 1).reshape(batch, self.members * channels, *sides)
                first, *rest = layer.weight_shape
                kernels = weight.reshape(self.members * first, *rest)
                grouped = layer.convolve(grouped, kernels, bias.reshape(-1), self.members)
                x = grouped.reshape(batch, self.members, -1).transpose(0, 1)
            if place < self.depth:
                x = self._activate(x)
        return x.tanh() if self.squash else x

    def _activate(self, x: Tensor) -> Tensor:
        import torch

        if self.activation == "leaky_relu":
            return torch.nn.functional.leaky_relu(x, self.slope)
        return x.relu() if self.activation == "relu" else x.tanh()

    # ---- out of the stack -------------------------------------------------------------------
    def module(self, member: int = 0) -> torch.nn.Module:
        """One member as a ``torch.nn.Sequential`` with its own copy of the parameters.

        Examples
        --------
        >>> StackedConvolution((8, 8), channels=[4]).module()
        Sequential(
          (0): Unflatten(dim=1, unflattened_size=(1, 8, 8))
          (1): Conv2d(1, 4, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1))
          (2): LeakyReLU(negative_slope=0.2)
          (3): Flatten(start_dim=1, end_dim=-1)
          (4): Linear(in_features=64, out_features=1, bias=True)
        )
        """
        import torch
        from torch import nn

        self._check(member)
        layers: list[nn.Module] = []
        for place, layer in enumerate(self.layers):
            is_dense = layer.kind == "dense"
            if place and is_dense:
                layers.append(nn.Flatten())
            elif not is_dense and (place == 0 or self.layers[place - 1].kind == "dense"):
                layers.append(nn.Unflatten(1, layer.inputs))
            layers += [layer.torch_layer(self.parameters.dtype), self._torch_activation()]
        layers.pop()
        if self.latent_size is not None:
            layers += [nn.Flatten(), *([nn.Tanh()] if self.squash else [])]
        module = nn.Sequential(*layers)
        row = self.parameters[member].detach().clone().cpu()
        torch.nn.utils.vector_to_parameters(row, module.parameters())
        return module

    def _torch_activation(self) -> torch.nn.Module:
        import torch

        if self.activation == "leaky_relu":
            return torch.nn.LeakyReLU(self.slope)
        return torch.nn.ReLU() if self.activation == "relu" else torch.nn.Tanh()

    def network(self, member: int = 0) -> Network:
        """One member as a `lipschitz.Network`, whose constant `lipschitz.certify` encloses.

        Examples
        --------
        >>> StackedConvolution((8, 8), latent_size=5).network().output_shape
        (64,)
        """
        from lipschitz import Network, chain
        from lipschitz.layers import Activation, Reshape

        self._check(member)
        pieces: list[tuple[str, Any]] = []
        size = self.latent_size or math.prod(self.image_shape)
        shape: tuple[int, ...] = (size,)
        for place, layer in enumerate(self.layers, 1):
            w, b = (
                v[place - 1][member].detach().cpu().numpy().astype(np.float64)
                for v in (self.weights, self.biases)
            )
            inputs = (math.prod(layer.inputs),) if layer.kind == "dense" else layer.inputs
            if shape != inputs:
                pieces.append((f"shape {place}", Reshape(input_shape=shape, target_shape=inputs)))
            affine = layer.lipschitz_layer(w, b[0])
            pieces.append((f"{layer.kind} {place}", affine))
            shape = affine.output_shape
            if place < self.depth:
                parameter = self.slope if self.activation == "leaky_relu" else None
                activation = Activation(
                    kind=self.activation, input_shape=shape, parameter=parameter
                )
                pieces.append((f"{self.activation} {place}", activation))
        if len(shape) > 1:
            flat = Reshape(input_shape=shape, target_shape=(math.prod(shape),))
            pieces.append(("pixels", flat))
            shape = flat.output_shape
        if self.squash:
            pieces.append(("squash", Activation(kind="tanh", input_shape=shape)))
        return Network(input_shape=(size,), nodes=chain(pieces))

    def _check(self, member: int) -> None:
        if nonnegative_int(member, "member") >= self.members:
            raise ValueError(f"`member` must be below {self.members}, got {member}")
