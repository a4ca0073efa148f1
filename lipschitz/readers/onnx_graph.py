"""An ONNX file as a checked graph: loaded, ordered, with one input and one output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evidence import NotCertified
from lipschitz.layers.contract import Shape
from lipschitz.readers.onnx_node import Constant
from lipschitz.readers.onnx_operators import OPERATORS

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

__all__ = [
    "check_valid",
    "ends",
    "initializers",
    "input_shape",
    "load",
    "node_name",
    "opset",
    "refuse_unsupported",
    "topological_order",
]


def load(file: Path) -> ModelProto:
    import onnx
    from onnx.external_data_helper import load_external_data_for_model

    if not file.is_file():
        raise FileNotFoundError(f"`path` = {str(file)!r} is not a file; pass an ONNX model")
    try:
        model = onnx.load(str(file), load_external_data=False)
    except Exception as error:  # protobuf raises many types for bytes that are no message
        raise ValueError(
            f"`path` = {str(file)!r} is not an ONNX model, or a corrupted one: {_line(error)}"
        ) from error
    if not model.graph.node:
        raise ValueError(f"`path` = {str(file)!r} holds no operators: it is empty or corrupted")
    try:
        load_external_data_for_model(model, str(file.parent))
    except Exception as error:  # onnx raises FileNotFoundError, ValidationError or ValueError
        raise FileNotFoundError(
            f"`path` = {str(file)!r} keeps weights in an external file that cannot be read: "
            f"{_line(error)}; put it next to the model"
        ) from error
    if model.functions:
        from onnx.inliner import inline_local_functions

        model = inline_local_functions(model)
    return model


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def initializers(model: ModelProto) -> dict[str, Constant]:
    from onnx import numpy_helper

    if model.graph.sparse_initializer:
        name = model.graph.sparse_initializer[0].values.name
        raise NotCertified(f"the weight {name!r} is stored sparsely, which is not supported")
    constants = {}
    for tensor in model.graph.initializer:
        try:
            constants[tensor.name] = numpy_helper.to_array(tensor)
        except Exception as error:  # the bytes do not fit the declared shape or type
            raise ValueError(f"the weight {tensor.name!r} is corrupted: {_line(error)}") from error
    return constants


def ends(model: ModelProto, constants: dict[str, Constant]) -> tuple[ValueInfoProto, str]:
    inputs = [v for v in model.graph.input if v.name not in constants]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise ValueError(
            f"the model must have one input and one output, got inputs {[v.name for v in inputs]} "
            f"and outputs {[v.name for v in model.graph.output]}; cut out a part with "
            "onnx.utils.extract_model"
        )
    return inputs[0], model.graph.output[0].name


def topological_order(model: ModelProto, given: set[str], output: str) -> list[NodeProto]:
    """The nodes that ``output`` depends on, each after those it reads."""
    producers = {name: node for node in model.graph.node for name in node.output if name}
    order: list[NodeProto] = []
    state: dict[int, str] = {}
    stack: list[tuple[str, bool]] = [(output, False)]
    while stack:
        name, is_ready = stack.pop()
        node = producers.get(name)
        if node is None:
            if name and name not in given:
                raise ValueError(f"the graph reads {name!r}, which nothing computes")
            continue
        if is_ready:
            state[id(node)] = "done"
            order.append(node)
        elif state.get(id(node)) == "open":
            raise ValueError(
                f"the graph has a cycle through {name!r} (node {node_name(node)!r}); "
                "a feed-forward network has none"
            )
        elif id(node) not in state:
            state[id(node)] = "open"
            stack.append((name, True))
            stack.extend((i, False) for i in node.input)
    return order


def node_name(node: NodeProto) -> str:
    return str(node.name or f"{node.op_type}_{node.output[0]}")


def refuse_unsupported(model: ModelProto) -> None:
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            prefix = f"{node.domain}::" if node.domain not in ("", "ai.onnx") else ""
            raise NotCertified(
                f"node {node_name(node)!r} is the operator {prefix}{node.op_type}, which is not "
                f"supported; supported are {', '.join(sorted(OPERATORS))}"
            )
    if opset(model) < 7:
        raise ValueError(
            f"the model has opset {opset(model)}, whose broadcasting differs; convert it to "
            "opset 7 or later with onnx.version_converter"
        )


def opset(model: ModelProto) -> int:
    return next((int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)


def check_valid(model: ModelProto) -> None:
    import onnx

    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ValueError(f"onnx finds the model invalid: {_line(error)}") from error


# ---- the input ----------------------------------------------------------------------------------
def input_shape(source: ValueInfoProto) -> tuple[Shape, str]:
    """The input's shape with the batch axis set to 1, and which axis that is, in words."""
    from onnx import TensorProto

    tensor = source.type.tensor_type
    if tensor.elem_type not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        known = TensorProto.DataType.Name(tensor.elem_type)
        raise ValueError(f"the input {source.name!r} must be FLOAT or DOUBLE, got {known}")
    if not tensor.HasField("shape"):
        raise ValueError(f"the input {source.name!r} has no shape; export with fixed sizes")
    sizes = [int(d.dim_value) if d.HasField("dim_value") else 0 for d in tensor.shape.dim]
    labels = [str(d.dim_param or d.dim_value or "?") for d in tensor.shape.dim]
    has_batch = len(sizes) > 1 and sizes[0] in (0, 1)
    dynamic = [i for i, n in enumerate(sizes) if n <= 0 and not (i == 0 and has_batch)]
    if dynamic or not sizes:
        raise ValueError(
            f"the input {source.name!r} has the dynamic shape [{', '.join(labels)}]; only a first "
            "axis, the batch, may be dynamic: export with fixed sizes"
        )
    if not has_batch:
        return tuple(sizes), f"the input {source.name!r} has no batch axis: all of it is one sample"
    length = "of length 1" if sizes[0] == 1 else f"dynamic ({labels[0]})"
    note = f"axis 0 of the input {source.name!r}, {length}, is the batch axis"
    return (1, *sizes[1:]), note
