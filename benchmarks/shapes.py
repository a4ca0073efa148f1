"""The embedded convolution layers: shapes from well-known networks, and one of every kind.

The kernels are Gaussian with variance ``2 / (C_in k k)``, He's initialisation (2015), so that the
norms are of the size met at the start of training; trained kernels come from the networks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipschitz.layers.convolution import Convolution

__all__ = ["gaussian_kernel", "kinds", "well_known"]


def gaussian_kernel(shape: tuple[int, ...], *, rng: np.random.Generator) -> NDArray[np.float64]:
    """Standard normal numbers times ``sqrt(2 / (product of all axes but the first))``."""
    return rng.standard_normal(shape) * math.sqrt(2.0 / math.prod(shape[1:]))


def well_known(*, seed: int, quick: bool = False, full: bool = False) -> dict[str, Convolution]:
    """The layers of ResNet-18 on 224 x 224 images, one of each shape with stride 1.

    Parameters
    ----------
    seed : int
        Every kernel is drawn from ``numpy.random.default_rng(seed)``.
    quick : bool
        The three smallest only.
    full : bool
        Also 512 channels and larger inputs, on which the peers need minutes and gigabytes.
    """
    rows = [(64, 3, 7, 224), (64, 64, 3, 56), (128, 128, 3, 28)]
    if not quick:
        rows += [(256, 256, 3, 14)]
    if full:
        rows += [(512, 512, 3, 7), (64, 64, 3, 224), (512, 512, 3, 32)]
    layers = {}
    for outputs, inputs, k, n in rows:
        rng = np.random.default_rng(seed)
        layers[f"{inputs}->{outputs} {k}x{k}, n = {n}"] = Convolution(
            kernel=gaussian_kernel((outputs, inputs, k, k), rng=rng),
            input_shape=(inputs, n, n),
            pad_width=((k // 2, k // 2),) * 2,
        )
    return layers


def kinds(*, seed: int) -> dict[str, Convolution]:
    """One layer of every kind that is not a plain square convolution."""

    def make(
        kernel: tuple[int, ...], sizes: tuple[int, ...], pad: tuple[int, ...], **options: Any
    ) -> Convolution:
        rng = np.random.default_rng(seed)
        groups = options.get("groups", 1)
        inputs = kernel[0] if options.get("transposed") else kernel[1] * groups
        return Convolution(
            kernel=gaussian_kernel(kernel, rng=rng),
            input_shape=(inputs, *sizes),
            pad_width=tuple((p, p) for p in pad),
            **options,
        )

    return {
        "3->64 4x4 /2": make((64, 3, 4, 4), (64, 64), (1, 1), stride=(2, 2)),
        "64->32 4x4 /2 T": make((64, 32, 4, 4), (16, 16), (1, 1), stride=(2, 2), transposed=True),
        "128 depthwise 3x3": make((128, 1, 3, 3), (32, 32), (1, 1), groups=128),
        "32->32 3x3 *2": make((32, 32, 3, 3), (32, 32), (2, 2), dilation=(2, 2)),
        "32->64 1x9": make((64, 32, 1, 9), (8, 64), (0, 4)),
        "16->32 15 (1-D)": make((32, 16, 15), (256,), (7,)),
        "8->8 3x3x3": make((8, 8, 3, 3, 3), (8, 8, 8), (1, 1, 1)),
    }
