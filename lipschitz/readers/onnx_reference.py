"""onnx's reference evaluator, in float64 and around two of its errors.

Up to version 1.23 the evaluator reads the padding of a `MaxPool` of stride 1 in the wrong order,
and cannot run a `ConvTranspose` with groups or with ``output_shape`` alone. The classes here call
other parts of its own code for these, so that it remains an implementation that shares nothing
with this package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lipschitz.layers.contract import Array, Shape

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["EvaluatorFailedError", "in_float64", "reference"]


class EvaluatorFailedError(Exception):
    """onnx's reference evaluator cannot run the model in this precision."""


def reference(model: ModelProto, name: str, shape: Shape, dtype: type) -> Callable[[Array], Array]:
    """The model as a function of a batch of samples, evaluated one by one.

    Parameters
    ----------
    model : onnx.ModelProto
    name : str
        Its input.
    shape : tuple of int
        The input's full shape, for one sample.
    dtype : numpy type
        The precision of the input.

    Returns
    -------
    callable
        Raises `EvaluatorFailedError` where the evaluator raises anything.
    """
    from onnx.reference import ReferenceEvaluator

    def evaluate(x: Array) -> Array:
        try:
            evaluator = ReferenceEvaluator(model, new_ops=_repaired())
            feeds = [{name: sample.reshape(shape).astype(dtype)} for sample in x]
            outputs: list[Any] = [evaluator.run(None, feed) for feed in feeds]
        except Exception as error:  # whatever an operator's implementation stumbles over
            raise EvaluatorFailedError(str(error)) from error
        return np.stack([np.asarray(o[0], dtype=np.float64) for o in outputs])

    return evaluate


def _repaired() -> list[Any]:
    """Replacements for the operators that the evaluator gets wrong."""
    from onnx.reference.ops import op_conv_transpose, op_max_pool

    pool: Any = op_max_pool.MaxPool
    transposed: Any = op_conv_transpose.ConvTranspose

    class MaxPool(pool):  # type: ignore[misc]
        """Always by the code that is right for every stride."""

        op_domain = ""

        def _run(self, x: Any, **options: Any) -> Any:
            if options.get("auto_pad") in (None, "NOTSET"):
                return self._max_pool(x, **options)
            return super()._run(x, **options)

    class ConvTranspose(transposed):  # type: ignore[misc]
        """Group by group, and with the paddings that ``output_shape`` implies."""

        op_domain = ""

        def _run(self, X: Any, W: Any, B: Any = None, **options: Any) -> Any:
            groups = options.pop("group", None) or 1
            if options.get("output_shape") and options.get("auto_pad") in (None, "NOTSET"):
                # Its branch for SAME_LOWER is what the specification says for NOTSET as well.
                options |= {"auto_pad": "SAME_LOWER", "pads": None}
            bias = [None] * groups if B is None else np.split(B, groups)
            parts = zip(np.split(X, groups, axis=1), np.split(W, groups), bias, strict=True)
            done = [super(ConvTranspose, self)._run(*part, group=1, **options)[0] for part in parts]
            return (np.concatenate(done, axis=1),)

    return [MaxPool, ConvTranspose]


def in_float64(model: ModelProto) -> ModelProto:
    """The same graph with float64 weights and values: float32 weights are converted exactly."""
    import onnx
    from onnx import AttributeProto, TensorProto, numpy_helper

    def widened(tensor: Any) -> Any:
        if tensor.data_type != TensorProto.FLOAT:
            return tensor
        return numpy_helper.from_array(
            numpy_helper.to_array(tensor).astype(np.float64), tensor.name
        )

    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph = wide.graph
    tensors = [widened(t) for t in graph.initializer]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
    for info in (*graph.input, *graph.output):
        if info.type.tensor_type.elem_type == TensorProto.FLOAT:
            info.type.tensor_type.elem_type = TensorProto.DOUBLE
    del graph.value_info[:]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                attribute.t.CopyFrom(widened(attribute.t))
            elif node.op_type == "Cast" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
            elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
                is_single = attribute.name == "value_float"
                value = np.asarray(attribute.f if is_single else attribute.floats, np.float64)
                tensor = numpy_helper.from_array(value)
                attribute.CopyFrom(onnx.helper.make_attribute("value", tensor))
    return wide
