"""torch's modules as calls of the functions in `lipschitz.readers.torch_functions`."""

from __future__ import annotations

from typing import Any

from evidence import NotCertified
from lipschitz.readers import torch_windows
from lipschitz.readers.builder import NetworkBuilder, Value, axis_of
from lipschitz.readers.torch_functions import batch_norm, function_table
from lipschitz.readers.torch_windows import Handler

__all__ = ["module_table"]


def module_table() -> dict[type, Handler]:
    """Supported modules: for each class a function of (builder, module, value)."""
    from torch import nn
    from torch.nn import functional

    functions = function_table()

    def calls(function: Any, *attributes: str) -> Handler:
        handler = functions[function]

        def convert(net: NetworkBuilder, module: Any, value: Value) -> Any:
            return handler(net, value, **{name: getattr(module, name) for name in attributes})

        return convert

    table: dict[type, Handler] = {
        nn.Linear: calls(functional.linear, "weight", "bias"),
        nn.ReLU: calls(functional.relu),
        nn.LeakyReLU: calls(functional.leaky_relu, "negative_slope"),
        nn.ELU: calls(functional.elu, "alpha"),
        nn.Sigmoid: calls(functional.sigmoid),
        nn.Tanh: calls(functional.tanh),
        nn.Softplus: calls(functional.softplus, "beta", "threshold"),
        nn.Flatten: _flatten,
        nn.Unflatten: _unflatten,
        nn.Identity: _identity,
        nn.AlphaDropout: _dropout,
        nn.Dropout: _dropout,
    }
    for axes in (1, 2, 3):
        modules: dict[str, Handler] = {
            "Conv": _convolution,
            "ConvTranspose": calls(
                getattr(functional, f"conv_transpose{axes}d"),
                *("weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
            ),
            "BatchNorm": _batch_norm,
            "MaxPool": calls(
                getattr(functional, f"max_pool{axes}d"),
                *("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
            ),
            "AvgPool": calls(
                getattr(functional, f"avg_pool{axes}d"),
                *("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
            ),
            "AdaptiveAvgPool": calls(
                getattr(functional, f"adaptive_avg_pool{axes}d"), "output_size"
            ),
            "Dropout": _dropout,
            "ZeroPad": _pad("constant"),
            "ConstantPad": _pad("constant"),
            "ReflectionPad": _pad("reflect"),
            "ReplicationPad": _pad("replicate"),
            "CircularPad": _pad("circular"),
        }
        table.update({getattr(nn, f"{name}{axes}d"): convert for name, convert in modules.items()})
    return table


def _convolution(net: NetworkBuilder, module: Any, value: Value) -> Value:
    return torch_windows.conv(
        net,
        value,
        module.weight,
        module.bias,
        module.stride,
        module.padding,
        module.dilation,
        module.groups,
        mode=module.padding_mode,
    )


def _batch_norm(net: NetworkBuilder, module: Any, value: Value) -> Any:
    return batch_norm(
        net,
        value,
        module.running_mean,
        module.running_var,
        module.weight,
        module.bias,
        training=module.training,
        eps=module.eps,
    )


def _pad(mode: str) -> Handler:
    def convert(net: NetworkBuilder, module: Any, value: Value) -> Any:
        fill = getattr(module, "value", 0.0)
        return torch_windows.pad(net, value, module.padding, mode, fill)

    return convert


def _flatten(net: NetworkBuilder, module: Any, value: Value) -> Value:
    return net.flatten(value, module.start_dim, module.end_dim)


def _unflatten(net: NetworkBuilder, module: Any, value: Value) -> Value:
    if not isinstance(module.dim, int):
        raise NotCertified("names its dimensions, which is not supported")
    axis = axis_of(module.dim, len(value.shape))
    sizes = tuple(module.unflattened_size)
    return net.reshape(value, (*value.shape[:axis], *sizes, *value.shape[axis + 1 :]))


def _identity(net: NetworkBuilder, module: Any, value: Value) -> Value:
    return value


def _dropout(net: NetworkBuilder, module: Any, value: Value) -> Value:
    if module.training:
        raise ValueError("drops entries at random; call module.eval()")
    return value
