"""Readers of networks: torch modules, ONNX files, arrays of weights.

Each reader imports its library when it is called.
"""

from lipschitz.readers.read_arrays import from_arrays, from_mat
from lipschitz.readers.read_onnx import from_onnx
from lipschitz.readers.read_torch import from_torch

__all__ = ["from_arrays", "from_mat", "from_onnx", "from_torch"]
