"""The networks of a benchmark run: the embedded critics, or what the user names.

A model is an ``.onnx`` file, a ``.mat`` file of weight matrices as LipSDP writes them, or
``package.module:factory`` for a function that returns a torch module.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import critics
from benchmarks.running import UsageError
from evidence import NotCertified
from lipschitz.layers import AveragePool, Convolution, Dense, Layer, MaxPool, Scale
from lipschitz.network import Network

__all__ = ["embedded", "layer_name", "named_layers", "read"]

_OPERATION = re.compile(r"(?:^|_)(?:biasadd|matmul|add|gemm|conv)$", re.IGNORECASE)


def embedded() -> dict[str, Network]:
    """The critics trained on digits, whose weights are in the repository."""
    from lipschitz.readers.read_torch import from_torch

    return {name: from_torch(critics.load(name), critics.INPUT_SHAPE) for name in critics.FACTORIES}


def read(
    argument: str, *, weights: Path | None = None, shape: tuple[int, ...] | None = None
) -> Network:
    """The network that a command-line argument names.

    Raises
    ------
    UsageError
        One sentence that says what is wrong with the argument, the file, or the module.
    """
    try:
        if ":" in argument and not os.path.exists(argument):
            return _from_factory(argument, weights, shape)
        for option, value in (("--weights", weights), ("--input-shape", shape)):
            if value is not None:
                raise UsageError(
                    f"`{option}` belongs to a torch module, but {argument!r} names a file; "
                    "leave it out, or name `package.module:factory`"
                )
        return _from_file(argument)
    except NotCertified as refusal:
        raise UsageError(f"{argument}: {refusal}") from refusal
    except (OSError, TypeError, ValueError) as error:
        raise UsageError(f"{argument}: {error}") from error


def _from_file(argument: str) -> Network:
    from lipschitz.readers.read_arrays import from_mat
    from lipschitz.readers.read_onnx import from_onnx

    suffix = Path(argument).suffix.lower()
    if suffix == ".onnx":
        return from_onnx(argument)
    if suffix == ".mat":
        return from_mat(argument)
    raise UsageError(
        f"{argument!r} is no model that can be read; name an .onnx file, a .mat file, or "
        "`package.module:factory` for a torch module"
    )


def _from_factory(argument: str, weights: Path | None, shape: tuple[int, ...] | None) -> Network:
    from lipschitz.readers.read_torch import from_torch

    module_name, _, factory_name = argument.partition(":")
    if shape is None:
        raise UsageError(
            f"`--input-shape` is needed for the torch module {argument!r}: the shape of one "
            "sample, without the batch axis, for example `--input-shape 3,32,32`"
        )
    # As for `python -m`: a module in the working directory can be named.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{argument!r} cannot be imported: {error}") from error
    except AttributeError as error:
        raise UsageError(f"module {module_name!r} has no {factory_name!r}") from error
    if not callable(factory):
        raise UsageError(f"{argument!r} is a {type(factory).__name__}, not a function or class")
    try:
        module: Any = factory()
    except TypeError as error:
        raise UsageError(f"{argument!r} must take no arguments: {error}") from error
    _load_weights(module, argument, weights)
    return from_torch(module.eval() if hasattr(module, "eval") else module, shape)


def _load_weights(module: Any, argument: str, weights: Path | None) -> None:
    if weights is None:
        return
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not weights.is_file():
        raise UsageError(f"`--weights` = {str(weights)!r} is not a file")
    try:
        state = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise UsageError(
            f"`--weights` = {str(weights)!r} is not a safetensors file: {error}"
        ) from error
    try:
        module.load_state_dict(state)
    except (RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"`--weights` = {str(weights)!r} does not fit {argument!r}: {reason}"
        ) from error


# ---- names for rows -----------------------------------------------------------------------------
def named_layers(network: Network) -> dict[str, Layer]:
    """The layers of a network whose norm is not plainly 1, by a short name unique in it.

    Activations, reshapes and biases are left out, and so are sums and concatenations, which are
    part of the whole network's bound.
    """
    rows: dict[str, Layer] = {}
    for node in network.nodes:
        layer = node.layer
        if isinstance(layer, Scale) and bool(np.all(layer.scale == 1.0)):
            continue
        if isinstance(layer, Convolution | Dense | Scale | AveragePool | MaxPool):
            name = f"{short_name(node.name)} {layer_name(layer)}"
            while name in rows:
                name += "'"
            rows[name] = layer
    return rows


def short_name(name: str) -> str:
    """The part of a node's name that tells it from others.

    Examples
    --------
    >>> [short_name(name) for name in ("net/conv2d_1/BiasAdd", "1.first", "Conv_0", "h_2_MatMul")]
    ['conv2d_1', '1.first', 'Conv_0', 'h_2']
    """
    parts = [part for part in name.split("+")[0].split("/") if part]
    while len(parts) > 1 and not _OPERATION.sub("", parts[-1]):
        parts.pop()
    return (_OPERATION.sub("", parts[-1]) or parts[-1]) if parts else name


def layer_name(layer: Layer) -> str:
    """What a layer is, in a few characters.

    Examples
    --------
    >>> layer_name(Dense(weight=[[1.0, 2.0]]))
    '2->1'
    """
    if isinstance(layer, Convolution):
        sizes = "x".join(str(k) for k in layer.kernel_size)
        channels = f"{layer.input_shape[0]}->{layer.output_shape[0]}"
        words = [channels, sizes if len(layer.kernel_size) > 1 else f"{sizes} (1-D)"]
        for mark, values in (("/", layer.stride), ("*", layer.dilation)):
            if any(value != 1 for value in values):
                different = _distinct(values)
                words.append(mark + different)
        if layer.groups > 1:
            words.append(f"g{layer.groups}")
        if layer.transposed:
            words.append("T")
        return " ".join(words)
    if isinstance(layer, Dense):
        outputs, inputs = layer.weight.shape
        return f"{inputs}->{outputs}"
    return {"Scale": "scale", "AveragePool": "average", "MaxPool": "maximum"}.get(
        type(layer).__name__, type(layer).__name__
    )


def _distinct(values: Sequence[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else ",".join(str(value) for value in values)
