"""Layers of small image networks: their shapes, and what each is in torch and in `lipschitz`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evidence.validation import int_tuple

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lipschitz.layers import Convolution, Dense

__all__ = ["ImageLayer", "image_geometry", "plan"]

Array = NDArray[np.float64]
Shape = tuple[int, int, int]


def image_geometry(
    image_shape: Sequence[int], channels: Sequence[int]
) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Height and width, and the channels, of images that can be halved once per channel count.

    Raises
    ------
    ValueError, TypeError
        Sizes that are not two positive integers, no channels, or a side that is not a multiple of
        two to the power of their number.

    Examples
    --------
    >>> image_geometry([28, 28], [16, 32])
    ((28, 28), (16, 32))
    """
    height, width = int_tuple(tuple(image_shape), "image_shape", 2)
    counts = int_tuple(tuple(channels), "channels", len(tuple(channels)))
    if not counts:
        raise ValueError("`channels` must hold at least one number of channels, got ()")
    factor = 2 ** len(counts)
    if height % factor or width % factor:
        raise ValueError(
            f"`image_shape` must hold multiples of {factor}, halved by each of {len(counts)} "
            f"`channels`, got {(height, width)}; crop or pad the images, or use fewer channels"
        )
    return (height, width), counts


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayer:
    """One affine layer; convolutions have a border of one zero.

    Parameters
    ----------
    kind : {"dense", "down", "up", "same"}
        ``down`` is a 4 x 4 convolution of stride 2, ``up`` its transpose, ``same`` a 3 x 3
        convolution of stride 1.
    inputs, outputs : (int, int, int)
        Channels, height and width.

    Examples
    --------
    >>> layer = ImageLayer(kind="down", inputs=(1, 8, 8), outputs=(16, 4, 4))
    >>> layer.weight_shape, layer.bias_size
    ((16, 1, 4, 4), 16)
    """

    kind: str
    inputs: Shape
    outputs: Shape

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """As in torch."""
        if self.kind == "dense":
            return (math.prod(self.outputs), math.prod(self.inputs))
        if self.kind == "up":
            return (self.inputs[0], self.outputs[0], 4, 4)
        side = 4 if self.kind == "down" else 3
        return (self.outputs[0], self.inputs[0], side, side)

    @property
    def bias_size(self) -> int:
        """One number per output of a dense layer, per channel of a convolution."""
        return math.prod(self.outputs) if self.kind == "dense" else self.outputs[0]

    @property
    def terms(self) -> int:
        """Products in an output away from the border."""
        return self.inputs[0] * 4 if self.kind == "up" else math.prod(self.weight_shape[1:])

    @property
    def stride(self) -> int:
        """Of the convolution."""
        return 1 if self.kind == "same" else 2

    def convolve(self, x: Tensor, kernels: Tensor, bias: Tensor, groups: int) -> Tensor:
        """The convolution of ``groups`` networks whose channels lie one after the other."""
        from torch.nn import functional

        apply = functional.conv_transpose2d if self.kind == "up" else functional.conv2d
        return apply(x, kernels, bias, stride=self.stride, padding=1, groups=groups)

    def torch_layer(self, dtype: torch.dtype) -> torch.nn.Module:
        """The layer in torch, with parameters that are still to be set."""
        from torch import nn

        if self.kind == "dense":
            return nn.Linear(math.prod(self.inputs), math.prod(self.outputs), dtype=dtype)
        make = nn.ConvTranspose2d if self.kind == "up" else nn.Conv2d
        return make(
            self.inputs[0],
            self.outputs[0],
            self.weight_shape[-1],
            stride=self.stride,
            padding=1,
            dtype=dtype,
        )

    def lipschitz_layer(self, weight: Array, bias: Array) -> Dense | Convolution:
        """The layer in `lipschitz`; ``weight`` may be flattened."""
        from lipschitz.layers import Convolution, Dense

        if self.kind == "dense":
            return Dense(weight=weight.reshape(self.weight_shape), bias=bias)
        return Convolution(
            kernel=weight.reshape(self.weight_shape),
            input_shape=self.inputs,
            bias=bias,
            stride=(self.stride, self.stride),
            pad_width=1,  # type: ignore[arg-type]
            transposed=self.kind == "up",
        )


def plan(
    image_shape: tuple[int, int], channels: tuple[int, ...], latent_size: int | None
) -> tuple[ImageLayer, ...]:
    """The layers of a critic, or of a generator from noise of dimension ``latent_size``.

    Examples
    --------
    >>> [layer.kind for layer in plan((8, 8), (16, 32), None)]
    ['down', 'down', 'dense']
    >>> [layer.kind for layer in plan((8, 8), (16, 32), 2)]
    ['dense', 'up', 'up', 'same']
    """
    height, width = image_shape
    shapes: list[Shape] = [
        (count, height >> level, width >> level) for level, count in enumerate((1, *channels))
    ]
    if latent_size is None:
        down = (ImageLayer(kind="down", inputs=i, outputs=o) for i, o in itertools.pairwise(shapes))
        return (*down, ImageLayer(kind="dense", inputs=shapes[-1], outputs=(1, 1, 1)))
    full: Shape = (channels[0], height, width)
    rising: list[Shape] = [*reversed(shapes[1:]), full]
    up = (ImageLayer(kind="up", inputs=i, outputs=o) for i, o in itertools.pairwise(rising))
    first = ImageLayer(kind="dense", inputs=(latent_size, 1, 1), outputs=shapes[-1])
    return (first, *up, ImageLayer(kind="same", inputs=full, outputs=shapes[0]))
