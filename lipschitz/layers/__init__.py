"""The kinds of layers of a `lipschitz.network.Network`, on one page.

Linear (``is_linear``): `Dense`, `Convolution`, `Scale`, `AveragePool`, `Pad`, `Reshape`, `Permute`,
`Add`, `Concatenate`, `Identity`. Not linear: `Activation`, `MaxPool`.
"""

from __future__ import annotations

from lipschitz.layers.activations import ACTIVATIONS, Activation
from lipschitz.layers.contract import Layer, LinearLayer
from lipschitz.layers.convolution import Convolution
from lipschitz.layers.dense import Dense, Scale
from lipschitz.layers.joints import Add, Concatenate, Identity, Permute, Reshape
from lipschitz.layers.padding import Pad
from lipschitz.layers.pooling import AveragePool, MaxPool

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Add",
    "AveragePool",
    "Concatenate",
    "Convolution",
    "Dense",
    "Identity",
    "Layer",
    "LinearLayer",
    "MaxPool",
    "Pad",
    "Permute",
    "Reshape",
    "Scale",
]
