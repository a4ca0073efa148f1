"""Networks as plain data: what a certificate carries, so that nothing else is needed to check it.

Every layer is its class' name and its constructor's arguments. Arrays are written as the base64 of
their little-endian float64 bytes beside their shape, other floats as hexadecimal: what is read back
has the same bits. Reading builds objects through the constructors of `lipschitz.layers` alone, so
that data from a stranger can at worst be refused.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipschitz import layers
from lipschitz.network import Network, Node

__all__ = ["array_data", "network_data", "network_of_data", "read_array", "read_float"]

_KINDS = {
    name: getattr(layers, name)
    for name in layers.__all__
    if isinstance(getattr(layers, name), type) and dataclasses.is_dataclass(getattr(layers, name))
}


def array_data(array: NDArray[np.float64]) -> dict[str, Any]:
    """A float64 array as JSON can hold it.

    Examples
    --------
    >>> array_data(np.array([1.0, 2.0]))
    {'shape': [2], 'float64': 'AAAAAAAA8D8AAAAAAAAAQA=='}
    """
    raw = np.ascontiguousarray(array, dtype="<f8").tobytes()
    return {"shape": list(np.shape(array)), "float64": base64.b64encode(raw).decode("ascii")}


def read_array(data: Any, name: str) -> NDArray[np.float64]:
    """The array that `array_data` wrote.

    Raises
    ------
    ValueError
        If the data are not of that form; the message says ``name``.

    Examples
    --------
    >>> read_array({"shape": [2], "float64": "AAAAAAAA8D8AAAAAAAAAQA=="}, "x")
    array([1., 2.])
    """
    try:
        shape = tuple(int(size) for size in data["shape"])
        raw = base64.b64decode(data["float64"], validate=True)
        if min(shape, default=1) < 0 or len(raw) != 8 * math.prod(shape):
            raise ValueError(f"{len(raw)} bytes for shape {shape}")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` is no array of the certificate format ({error}); the file is damaged or "
            "was written by another program"
        ) from error
    return np.frombuffer(raw, dtype="<f8").astype(np.float64).reshape(shape)


def read_float(data: Any, name: str) -> float:
    """The float that ``float.hex`` wrote.

    Examples
    --------
    >>> read_float((0.1).hex(), "x")
    0.1
    """
    try:
        return float.fromhex(data)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` must be a hexadecimal float such as '0x1.8p+1', got {data!r}"
        ) from error


def network_data(network: Network) -> dict[str, Any]:
    """A network as nested dicts, lists, strings and integers.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> data = network_data(from_arrays([[[3.0]], [[2.0]]]))
    >>> [node["kind"] for node in data["nodes"]]
    ['Dense', 'Activation', 'Dense']
    """
    return {
        "input_shape": list(network.input_shape),
        "source": network.source,
        "notes": list(network.notes),
        "nodes": [
            {
                "name": node.name,
                "inputs": list(node.inputs),
                "kind": type(node.layer).__name__,
                "arguments": _arguments(node.layer),
            }
            for node in network.nodes
        ],
    }


def network_of_data(data: Any) -> Network:
    """The network that `network_data` wrote, bit by bit.

    Raises
    ------
    ValueError, TypeError
        If the data describe no network; the message names the node.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> again = network_of_data(network_data(from_arrays([[[3.0]], [[2.0]]])))
    >>> again.apply(np.array([[1.0]]))
    array([[6.]])
    """
    try:
        nodes = tuple(
            Node(name=node["name"], layer=_layer(node), inputs=tuple(node["inputs"]))
            for node in data["nodes"]
        )
        return Network(
            input_shape=tuple(data["input_shape"]),
            nodes=nodes,
            source=data["source"],
            notes=tuple(data["notes"]),
        )
    except KeyError as error:
        raise ValueError(
            f"`network` lacks the key {error}; it must be what `network_data` writes"
        ) from error


def _arguments(layer: layers.Layer) -> dict[str, Any]:
    if not dataclasses.is_dataclass(layer) or type(layer).__name__ not in _KINDS:
        raise TypeError(
            f"`network` holds a layer of kind {type(layer).__name__}; use lipschitz.layers"
        )
    return {
        field.name: _written(getattr(layer, field.name))
        for field in dataclasses.fields(layer)
        if field.init
    }


def _written(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return array_data(value)
    if isinstance(value, float):
        return {"hex": value.hex()}
    if isinstance(value, (tuple, list)):
        return [_written(part) for part in value]
    return value


def _layer(node: Any) -> layers.Layer:
    kind = _KINDS.get(node["kind"])
    if kind is None:
        raise ValueError(
            f"node {node['name']!r} is of the unknown kind {node['kind']!r}; known are "
            f"{', '.join(sorted(_KINDS))}"
        )
    arguments = {
        name: _read(value, f"{node['name']}.{name}") for name, value in node["arguments"].items()
    }
    try:
        layer: layers.Layer = kind(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"node {node['name']!r}: {error}") from error
    return layer


def _read(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return read_float(value["hex"], name) if "hex" in value else read_array(value, name)
    if isinstance(value, list):
        return tuple(_read(part, name) for part in value)
    return value
