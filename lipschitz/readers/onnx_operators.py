"""The ONNX operators that a network may consist of, one function each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from evidence import NotCertified
from lipschitz.layers import balls
from lipschitz.layers.balls import Ball
from lipschitz.layers.contract import Array
from lipschitz.readers import onnx_windows
from lipschitz.readers.builder import NetworkBuilder, Value
from lipschitz.readers.onnx_constants import CONSTANT_OPERATORS
from lipschitz.readers.onnx_node import Operator

__all__ = ["OPERATORS"]

Handler = Callable[[Operator, NetworkBuilder], Value]


# ---- affine -------------------------------------------------------------------------------------
def _gemm(op: Operator, net: NetworkBuilder) -> Value:
    alpha, beta = float(op.attributes["alpha"]), float(op.attributes["beta"])
    if not isinstance(op.inputs[0], Value):
        x = op.value(1) if op.attributes["transB"] else net.permute(op.value(1), (1, 0))
        matrix = op.weights(0, "matrix A")
        y = net.dense(x, _times(alpha, matrix.T if op.attributes["transA"] else matrix))
        return _plus(op, net, net.permute(y, (1, 0)), beta)
    x = net.permute(op.value(0), (1, 0)) if op.attributes["transA"] else op.value(0)
    matrix = op.weights(1, "matrix B")
    weight = _times(alpha, matrix if op.attributes["transB"] else matrix.T)
    if op.has(2) and not isinstance(op.inputs[2], Value):
        row = op.weights(2, "matrix C")
        outputs = weight[0].shape[:1]
        if row.shape in ((), (1,), (1, 1), outputs, (1, *outputs)):
            return net.dense(x, weight, _times(beta, np.broadcast_to(row.ravel(), outputs)))
    return _plus(op, net, net.dense(x, weight), beta)


def _plus(op: Operator, net: NetworkBuilder, y: Value, beta: float) -> Value:
    """``y + beta C`` with the third input of Gemm."""
    if not op.has(2):
        return y
    if isinstance(op.inputs[2], Value):
        other = op.value(2)
        return net.add([y, other if beta == 1.0 else net.scale(other, beta, None)])
    return net.scale(y, 1.0, _times(beta, op.weights(2, "matrix C")))


def _times(factor: float, weight: Array) -> Ball:
    weight = np.ascontiguousarray(weight)
    return balls.multiply(balls.exactly(np.asarray(factor)), balls.exactly(weight))


def _matmul(op: Operator, net: NetworkBuilder) -> Value:
    if isinstance(op.inputs[0], Value):
        x, matrix = op.value(0), op.weights(1, "right factor")
        if matrix.ndim == 1:
            y = net.dense(x, matrix[None, :])
            return net.reshape(y, y.shape[:-1])
        return net.dense(x, np.swapaxes(matrix, -1, -2))
    x, matrix = op.value(1), op.weights(0, "left factor")
    rank = len(x.shape)
    if rank == 1:
        return net.dense(x, matrix)
    swap = (*range(rank - 2), rank - 1, rank - 2)
    return net.permute(net.dense(net.permute(x, swap), matrix), swap)


def _add(op: Operator, net: NetworkBuilder) -> Value:
    values = [v for v in op.inputs if isinstance(v, Value)]
    constants = [i for i, v in enumerate(op.inputs) if not isinstance(v, Value)]
    total = values[0] if len(values) == 1 else net.add(values)
    for i in constants:
        total = net.scale(total, 1.0, op.weights(i, "constant summand"))
    return total


def _sub(op: Operator, net: NetworkBuilder) -> Value:
    if not isinstance(op.inputs[0], Value):
        return net.scale(op.value(1), -1.0, op.weights(0, "constant minuend"))
    if isinstance(op.inputs[1], Value):
        return net.add([op.value(0), net.scale(op.value(1), -1.0, None)])
    return net.scale(op.value(0), 1.0, -op.weights(1, "constant subtrahend"))


def _mul(op: Operator, net: NetworkBuilder) -> Value:
    i = 0 if isinstance(op.inputs[0], Value) else 1
    return net.scale(op.value(i), op.weights(1 - i, "other factor"), None)


def _div(op: Operator, net: NetworkBuilder) -> Value:
    if not isinstance(op.inputs[0], Value):
        raise NotCertified("divides by a computed array, which has no Lipschitz constant")
    return net.scale(op.value(0), balls.reciprocal(op.weights(1, "divisor")), None)


def _batch_normalization(op: Operator, net: NetworkBuilder) -> Value:
    # Before opset 14 training is recognised by the further outputs, then by the attribute.
    if op.attributes.get("training_mode", 0) or op.outputs > 1:
        raise ValueError("is in training mode, where it mixes samples; export in inference mode")
    if op.attributes.get("spatial", 1) != 1:
        raise NotCertified("with `spatial` = 0 is not supported; use statistics per channel")
    gain, shift, mean, variance = (
        op.weights(i, name) for i, name in enumerate(("scale", "bias", "mean", "variance"), start=1)
    )
    scale, offset = balls.normalisation(
        gain, shift, mean, variance, float(op.attributes["epsilon"])
    )
    return net.per_channel(op.value(0), scale, offset)


# ---- activations --------------------------------------------------------------------------------
def _activation(kind: str, attribute: str | None = None) -> Handler:
    def handler(op: Operator, net: NetworkBuilder) -> Value:
        parameter = None if attribute is None else float(op.attributes[attribute])
        return net.activation(op.value(0), kind, parameter)

    return handler


# ---- moving -------------------------------------------------------------------------------------
def _identity(op: Operator, net: NetworkBuilder) -> Value:
    return op.value(0)


def _dropout(op: Operator, net: NetworkBuilder) -> Value:
    training = op.has(2) and bool(np.asarray(op.inputs[2]).any())
    if training:
        raise ValueError("is in training mode, where it is random; export in inference mode")
    return op.value(0)


def _cast(op: Operator, net: NetworkBuilder) -> Value:
    from onnx import TensorProto

    if op.attributes["to"] not in (TensorProto.DOUBLE, op.float_type):
        name = TensorProto.DataType.Name(op.attributes["to"])
        raise NotCertified(f"rounds to {name}, which is not a Lipschitz function; leave it out")
    return op.value(0)


def _flatten(op: Operator, net: NetworkBuilder) -> Value:
    x, axis = op.value(0), int(op.attributes["axis"])
    axis += len(x.shape) if axis < 0 else 0
    return net.reshape(x, (math.prod(x.shape[:axis]), -1))


def _reshape(op: Operator, net: NetworkBuilder) -> Value:
    x, target = op.value(0), op.ints(1, "shape")
    if not op.attributes.get("allowzero", 0):
        target = tuple(x.shape[i] if n == 0 else n for i, n in enumerate(target))
    return net.reshape(x, target)


def _transpose(op: Operator, net: NetworkBuilder) -> Value:
    x = op.value(0)
    return net.permute(x, op.attributes.get("perm") or range(len(x.shape))[::-1])


def _squeeze(op: Operator, net: NetworkBuilder) -> Value:
    x, axes = op.value(0), op.ints_of("axes", 1)
    ones = tuple(i for i, n in enumerate(x.shape) if n == 1)
    return net.squeeze(x, ones if axes is None else axes)


def _unsqueeze(op: Operator, net: NetworkBuilder) -> Value:
    return net.unsqueeze(op.value(0), op.ints_of("axes", 1) or ())


def _concat(op: Operator, net: NetworkBuilder) -> Value:
    values = [op.value(i) for i in range(len(op.inputs))]
    return net.concatenate(values, int(op.attributes["axis"]))


def _reduce_mean(op: Operator, net: NetworkBuilder) -> Value:
    x = op.value(0)
    axes = op.ints_of("axes", 1) or tuple(range(len(x.shape)))
    return net.mean(x, axes, bool(op.attributes["keepdims"]))


def _constants_only(op: Operator, net: NetworkBuilder) -> Value:
    raise NotCertified("is supported for constants only, not on computed arrays")


OPERATORS: Final[dict[str, Handler]] = {
    "Add": _add,
    "AveragePool": onnx_windows.average_pool,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Concat": _concat,
    "Conv": onnx_windows.conv,
    "ConvTranspose": onnx_windows.conv_transpose,
    "Div": _div,
    "Dropout": _dropout,
    "Elu": _activation("elu", "alpha"),
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": onnx_windows.global_average_pool,
    "Identity": _identity,
    "LeakyRelu": _activation("leaky_relu", "alpha"),
    "MatMul": _matmul,
    "MaxPool": onnx_windows.max_pool,
    "Mul": _mul,
    "Pad": onnx_windows.pad,
    "ReduceMean": _reduce_mean,
    "Relu": _activation("relu"),
    "Reshape": _reshape,
    "Sigmoid": _activation("sigmoid"),
    "Softplus": _activation("softplus"),
    "Squeeze": _squeeze,
    "Sub": _sub,
    "Sum": _add,
    "Tanh": _activation("tanh"),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    **dict.fromkeys(CONSTANT_OPERATORS, _constants_only),
}
"""Supported operators by name, with those that are supported on constants only."""
