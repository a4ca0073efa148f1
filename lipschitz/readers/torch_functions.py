"""torch's functions on the computed arrays of a network, with torch's own signatures.

Each function takes a `NetworkBuilder` first and then the arguments of the torch function it is
named after, so that Python itself binds positional and keyword arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evidence import NotCertified
from lipschitz.layers import balls
from lipschitz.readers import torch_windows
from lipschitz.readers.builder import NetworkBuilder, Value, axis_of
from lipschitz.readers.torch_windows import Handler, array_of

__all__ = ["batch_norm", "function_table", "method_table", "takes_constant_first"]


# ---- affine -------------------------------------------------------------------------------------
def _linear(net: NetworkBuilder, input: Value, weight: Any, bias: Any = None) -> Value:
    return net.dense(input, array_of(weight), None if bias is None else array_of(bias))


def batch_norm(
    net: NetworkBuilder,
    input: Value,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    if training or running_mean is None or running_var is None:
        raise ValueError(
            "normalises by the batch's own statistics, which mixes samples; use running statistics "
            "and call module.eval()"
        )
    mean, variance = array_of(running_mean), array_of(running_var)
    gain = np.ones_like(mean) if weight is None else array_of(weight)
    shift = np.zeros_like(mean) if bias is None else array_of(bias)
    return net.per_channel(input, *balls.normalisation(gain, shift, mean, variance, eps))


def _add(net: NetworkBuilder, input: Any, other: Any, *, alpha: float = 1) -> Value:
    if alpha != 1:
        other = _mul(net, other, alpha) if isinstance(other, Value) else alpha * other
    if isinstance(input, Value) and isinstance(other, Value):
        return net.add([input, other])
    value, constant = (input, other) if isinstance(input, Value) else (other, input)
    return net.scale(value, 1.0, array_of(constant))


def _sub(net: NetworkBuilder, input: Any, other: Any, *, alpha: float = 1) -> Value:
    if isinstance(other, Value):
        return _add(net, _mul(net, other, -alpha), input)
    return net.scale(input, 1.0, -array_of(alpha * other))


def _rsub(net: NetworkBuilder, input: Any, other: Any, *, alpha: float = 1) -> Value:
    return _sub(net, other, input, alpha=alpha)


def _mul(net: NetworkBuilder, input: Any, other: Any) -> Value:
    value, constant = (input, other) if isinstance(input, Value) else (other, input)
    return net.scale(value, array_of(constant), None)


def _div(net: NetworkBuilder, input: Any, other: Any, *, rounding_mode: Any = None) -> Value:
    if not isinstance(input, Value) or rounding_mode is not None:
        raise NotCertified("divides by a computed array, or rounds: no Lipschitz function")
    return net.scale(input, balls.reciprocal(array_of(other)), None)


def _neg(net: NetworkBuilder, input: Value) -> Value:
    return net.scale(input, -1.0, None)


def _matmul(net: NetworkBuilder, input: Any, other: Any) -> Value:
    if not isinstance(input, Value):
        raise NotCertified("multiplies by a matrix from the left; use torch.nn.Linear")
    matrix = array_of(other)
    return net.dense(input, np.swapaxes(matrix, -1, -2))


# ---- activations --------------------------------------------------------------------------------
def _relu(net: NetworkBuilder, input: Value, inplace: bool = False) -> Value:
    return net.activation(input, "relu")


def _leaky_relu(
    net: NetworkBuilder, input: Value, negative_slope: float = 0.01, inplace: bool = False
) -> Value:
    return net.activation(input, "leaky_relu", negative_slope)


def _elu(net: NetworkBuilder, input: Value, alpha: float = 1.0, inplace: bool = False) -> Value:
    return net.activation(input, "elu", alpha)


def _sigmoid(net: NetworkBuilder, input: Value) -> Value:
    return net.activation(input, "sigmoid")


def _tanh(net: NetworkBuilder, input: Value) -> Value:
    return net.activation(input, "tanh")


def _softplus(
    net: NetworkBuilder, input: Value, beta: float = 1.0, threshold: float = 20.0
) -> Value:
    if threshold < 20.0:
        raise NotCertified(
            f"jumps where it turns linear at beta x > threshold = {threshold}: not Lipschitz; use "
            "the default threshold of 20, where the jump is torch's approximation of softplus"
        )
    return net.activation(input, "softplus", beta)


# ---- moving -------------------------------------------------------------------------------------
def _dropout(
    net: NetworkBuilder,
    input: Value,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> Value:
    if training:
        raise ValueError("drops entries at random; pass `training=self.training` and call eval()")
    return input


def _flatten(net: NetworkBuilder, input: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    return net.flatten(input, start_dim, end_dim)


def _unflatten(net: NetworkBuilder, input: Value, dim: int, sizes: Sequence[int]) -> Value:
    axis = axis_of(dim, len(input.shape))
    return net.reshape(input, (*input.shape[:axis], *sizes, *input.shape[axis + 1 :]))


def _reshape(net: NetworkBuilder, input: Value, *shape: Any, **named: Any) -> Value:
    target = (*shape, *named.values())
    return net.reshape(input, target[0] if isinstance(target[0], Sequence) else target)


def _permute(net: NetworkBuilder, input: Value, *dims: Any, **named: Any) -> Value:
    order = (*dims, *named.values())
    return net.permute(input, order[0] if isinstance(order[0], Sequence) else order)


def _transpose(net: NetworkBuilder, input: Value, dim0: int, dim1: int) -> Value:
    order = list(range(len(input.shape)))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return net.permute(input, order)


def _squeeze(net: NetworkBuilder, input: Value, dim: Any = None) -> Value:
    chosen = range(len(input.shape)) if dim is None else (dim,) if isinstance(dim, int) else dim
    # Unlike ONNX, torch leaves axes of other lengths alone.
    return net.squeeze(input, [d for d in chosen if input.shape[d] == 1])


def _unsqueeze(net: NetworkBuilder, input: Value, dim: int) -> Value:
    return net.unsqueeze(input, (dim,))


def _cat(net: NetworkBuilder, tensors: Sequence[Any], dim: int = 0) -> Value:
    if not all(isinstance(t, Value) for t in tensors):
        raise NotCertified("concatenates constants with computed arrays, which is not supported")
    return net.concatenate(list(tensors), dim)


def _mean(net: NetworkBuilder, input: Value, dim: Any = None, keepdim: bool = False) -> Value:
    axes = range(1, len(input.shape)) if dim is None else (dim,) if isinstance(dim, int) else dim
    return net.mean(input, tuple(axes), keepdim)


def _same(net: NetworkBuilder, input: Value) -> Value:
    return input


def _size(net: NetworkBuilder, input: Value, dim: int | None = None) -> Any:
    return input.shape if dim is None else input.shape[dim]


def _dim(net: NetworkBuilder, input: Value) -> int:
    return len(input.shape)


def _getattr(net: NetworkBuilder, input: Value, name: str) -> Any:
    if name == "shape":
        return input.shape
    if name == "ndim":
        return len(input.shape)
    raise NotCertified(f"reads the attribute {name!r}, which is not supported")


def takes_constant_first(handler: Handler) -> bool:
    """Whether the first argument may be a constant, or a list."""
    return handler in (_add, _sub, _rsub, _mul, _div, _matmul, _cat)


def method_table() -> dict[str, Handler]:
    """Supported methods of tensors, by name."""
    return {
        "add": _add,
        "add_": _add,
        "contiguous": _same,
        "dim": _dim,
        "div": _div,
        "flatten": _flatten,
        "mean": _mean,
        "mul": _mul,
        "neg": _neg,
        "permute": _permute,
        "relu": _relu,
        "relu_": _relu,
        "reshape": _reshape,
        "sigmoid": _sigmoid,
        "size": _size,
        "squeeze": _squeeze,
        "sub": _sub,
        "tanh": _tanh,
        "transpose": _transpose,
        "unflatten": _unflatten,
        "unsqueeze": _unsqueeze,
        "view": _reshape,
    }


def function_table() -> dict[Any, Handler]:
    """Supported functions, by the function object that tracing records."""
    import operator

    import torch
    from torch.nn import functional

    table: dict[Any, Handler] = {
        getattr: _getattr,
        operator.add: _add,
        operator.iadd: _add,
        operator.sub: _sub,
        operator.isub: _sub,
        operator.mul: _mul,
        operator.imul: _mul,
        operator.truediv: _div,
        operator.itruediv: _div,
        operator.neg: _neg,
        operator.matmul: _matmul,
        torch.rsub: _rsub,
        torch.matmul: _matmul,
        torch.concat: _cat,
        functional.linear: _linear,
        functional.batch_norm: batch_norm,
        functional.pad: torch_windows.pad,
        torch.flatten: _flatten,
        torch.unflatten: _unflatten,
        functional.relu: _relu,
        functional.relu_: _relu,
        functional.leaky_relu: _leaky_relu,
        functional.elu: _elu,
        functional.softplus: _softplus,
        functional.sigmoid: _sigmoid,
        functional.tanh: _tanh,
        functional.dropout: _dropout,
        functional.dropout1d: _dropout,
        functional.dropout2d: _dropout,
        functional.dropout3d: _dropout,
        functional.alpha_dropout: _dropout,
    }
    names: dict[str, Handler] = {
        "add": _add,
        "cat": _cat,
        "div": _div,
        "mean": _mean,
        "mul": _mul,
        "neg": _neg,
        "permute": _permute,
        "relu": _relu,
        "reshape": _reshape,
        "sigmoid": _sigmoid,
        "squeeze": _squeeze,
        "sub": _sub,
        "tanh": _tanh,
        "transpose": _transpose,
        "unsqueeze": _unsqueeze,
    }
    table.update({getattr(torch, name): handler for name, handler in names.items()})
    for axes in (1, 2, 3):
        windows: dict[str, Handler] = {
            f"conv{axes}d": torch_windows.conv,
            f"conv_transpose{axes}d": torch_windows.conv_transpose,
            f"max_pool{axes}d": torch_windows.max_pool(axes),
            f"avg_pool{axes}d": torch_windows.avg_pool(axes),
            f"adaptive_avg_pool{axes}d": torch_windows.adaptive_avg_pool(axes),
        }
        table.update({getattr(functional, name): handler for name, handler in windows.items()})
        table[getattr(torch, f"conv{axes}d")] = torch_windows.conv
        table[getattr(torch, f"max_pool{axes}d")] = torch_windows.max_pool(axes)
    return table
