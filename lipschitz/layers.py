"""The kinds of layers of a `lipschitz.network.Network`, on one page.

Linear (``is_linear``): `Dense`, `Convolution`, `Scale`, `AveragePool`, `Pad`, `Reshape`, `Permute`,
`Add`, `Concatenate`, `Identity`. Not linear: `Activation`, `MaxPool`.
"""

from __future__ import annotations

from lipschitz.activations import ACTIVATIONS, Activation
from lipschitz.contract import Layer, LinearLayer
from lipschitz.convolution_layer import Convolution
from lipschitz.dense import Dense, Scale
from lipschitz.joints import Add, Concatenate, Identity, Permute, Reshape
from lipschitz.padding import Pad
from lipschitz.pooling import AveragePool, MaxPool

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
