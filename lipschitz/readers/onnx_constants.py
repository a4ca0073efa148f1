"""Constants inside an ONNX graph: stored ones, shapes, and what is computed from them alone.

Only operators that move numbers, and integer arithmetic on shapes, are evaluated: neither rounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lipschitz.readers.builder import Value
from lipschitz.readers.onnx_node import Constant, Operator

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["CONSTANT_OPERATORS", "fold_constant"]

_MOVING: Final = frozenset(
    (
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Dropout",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Reshape",
        "Shape",
        "Slice",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    )
)
_INTEGER_ARITHMETIC: Final = frozenset(("Add", "Cast", "Div", "Mul", "Sub"))
CONSTANT_OPERATORS: Final = ("Constant", "ConstantOfShape", "Expand", "Gather", "Shape", "Slice")
"""Operators that are supported on constants only."""


def fold_constant(node: NodeProto, operator: Operator, opset: int) -> Constant | None:
    """The node's value if it follows from constants without rounding, else None.

    Raises
    ------
    ValueError
        Floating-point arithmetic on constants: its result would be rounded weights.
    """
    if node.op_type == "Shape" and isinstance(operator.inputs[0], Value):
        shape = np.array(operator.inputs[0].shape, dtype=np.int64)
        return shape[operator.attributes.get("start", 0) : operator.attributes.get("end")]
    arrays = [a for a in operator.inputs if a is not None]
    if any(isinstance(a, Value) for a in arrays):
        return None
    integers = all(a.dtype.kind in "iub" for a in arrays if isinstance(a, np.ndarray))
    if node.op_type == "Cast" and _widens(operator, arrays):
        integers = True
    if node.op_type not in _MOVING and not (node.op_type in _INTEGER_ARITHMETIC and integers):
        raise ValueError(
            "computes with constants in floating point, so that the weights are not those in the "
            "file; fold the constants before exporting"
        )
    return _evaluate(node, arrays, opset)


def _widens(operator: Operator, arrays: list[Any]) -> bool:
    from onnx import TensorProto

    same = {"float32": (TensorProto.FLOAT, TensorProto.DOUBLE), "float64": (TensorProto.DOUBLE,)}
    return operator.attributes["to"] in same.get(arrays[0].dtype.name, ())


def _evaluate(node: NodeProto, arrays: list[Any], opset: int) -> Constant:
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    names = [name for name in node.input if name]
    inputs = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in dict(zip(names, arrays, strict=True)).items()
    ]
    output = helper.make_empty_tensor_value_info(node.output[0])
    graph = helper.make_graph([node], "constant", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    results: Any = ReferenceEvaluator(model).run(None, dict(zip(names, arrays, strict=True)))
    return np.asarray(results[0])
