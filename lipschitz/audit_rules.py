"""The rules of `lipschitz.findings`: what a kind of torch module or function does to a constant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from evidence import Enclosure
from evidence.matrices import spectral_norm_enclosure
from evidence.rounding import divide_down, divide_up, sqrt_down, sqrt_up
from lipschitz.convolution import spectral_norm_torus
from lipschitz.findings import Finding
from lipschitz.normalization import layer_normalization_constant

if TYPE_CHECKING:
    from torch import nn

__all__ = ["function_problems", "module_problems"]


def module_problems(module: nn.Module) -> Iterator[Finding]:
    """Findings about the modules a critic consists of, in order."""
    for path, part in module.named_modules():
        for rule in (_batch_norm, _dropout, _sample_norm, _attention, _steep, _spectral_norm):
            yield from rule(path, part)


# ---- normalisation ------------------------------------------------------------------------------
def _batch_norm(path: str, part: Any) -> Iterator[Finding]:
    from torch.nn.modules.batchnorm import _BatchNorm

    if not isinstance(part, _BatchNorm) or not (part.training or part.running_mean is None):
        return
    gain = _largest(part.weight)
    root = _root(part.eps)
    yield Finding(
        where=path,
        what=f"{type(part).__name__} in training mode: no function of one sample",
        why="it subtracts the batch's mean: dD(x_i)/dx_j is not 0, the sum of its outputs over the "
        "batch does not depend on x at all, and as a map of the batch it has the constant "
        "max |gamma| / sqrt(eps)",
        way_out="normalise each sample by itself (LayerNorm, with its own constant), or not at "
        "all; in evaluation mode it is an affine layer",
        numbers=(("constant of the batch's map", _quotient(gain, root)),),
    )


def _sample_norm(path: str, part: Any) -> Iterator[Finding]:
    from torch import nn
    from torch.nn.modules.instancenorm import _InstanceNorm

    name = type(part).__name__
    if isinstance(part, nn.LayerNorm):
        gains = [_array(part.weight, int(np.prod(part.normalized_shape)))]
        constant = _sample_constant(gains, part.eps)
    elif isinstance(part, _InstanceNorm):
        if part.track_running_stats and not part.training:
            return
        constant = _quotient(_largest(part.weight), _root(part.eps))
    elif isinstance(part, nn.GroupNorm):
        constant = _quotient(_largest(part.weight), _root(part.eps))
        constant = Enclosure.at_most(constant.upper, "constant input")  # gains differ in a group
    elif isinstance(part, nn.RMSNorm):
        # torch takes the machine epsilon of the input's type if none is given.
        eps = 2.0**-23 if part.eps is None else part.eps
        constant = _quotient(_largest(part.weight), _root(eps))
    else:
        return
    yield Finding(
        where=path,
        what=f"{name}: the constant max |gamma| / sqrt(eps), taken at constant inputs",
        why="g (x - mean) / sqrt(var + eps) has slope g / sqrt(eps) where the variance is 0; it "
        "acts on one sample, so that a gradient penalty is meaningful, but no product of layer "
        "norms is small",
        way_out="raise eps (the constant falls like its root), or use weights of norm 1 and no "
        "normalisation",
        numbers=(("Lipschitz constant", constant),),
    )


def _sample_constant(gains: list[Any], eps: float) -> Enclosure:
    if not eps > 0.0:
        return Enclosure.at_least(0.0, "eps = 0: not Lipschitz")
    return layer_normalization_constant(gains[0], eps=eps)


def _array(gain: Any, size: int) -> Any:
    return np.ones(size) if gain is None else gain.detach().double().cpu().numpy().ravel()


def _largest(gain: Any) -> float:
    return 1.0 if gain is None else float(gain.detach().double().abs().max())


def _root(eps: float) -> tuple[float, float]:
    return sqrt_down(eps), sqrt_up(eps)


def _quotient(gain: float, root: tuple[float, float]) -> Enclosure:
    if root[0] == 0.0:
        return Enclosure.at_least(0.0, "eps = 0: not Lipschitz")
    return Enclosure(divide_down(gain, root[1]), divide_up(gain, root[0]), "constant input")


# ---- random, unbounded and steep parts ----------------------------------------------------------
def _dropout(path: str, part: Any) -> Iterator[Finding]:
    from torch.nn.modules.dropout import _DropoutNd

    if isinstance(part, _DropoutNd) and part.training and part.p > 0.0:
        yield Finding(
            where=path,
            what=f"{type(part).__name__} in training mode: a random function",
            why="each evaluation is another function, with slopes scaled by 1 / (1 - p); the "
            "supremum over critics and its gradient penalty are about one",
            way_out="remove it, or call eval()",
        )


def _attention(path: str, part: Any) -> Iterator[Finding]:
    from torch import nn

    if isinstance(part, nn.MultiheadAttention):
        yield _attention_finding(path, "MultiheadAttention")


def _attention_finding(path: str, name: str) -> Finding:
    return Finding(
        where=path,
        what=f"{name}: dot-product attention has no Lipschitz constant",
        why="the Jacobian of softmax(x x^T) x contains the covariance of the tokens under the "
        "attention weights, which grows like the square of the input (Kim, Papamakarios and "
        "Mnih, ICML 2021, Theorem 3.1)",
        way_out="use L2 attention with tied queries and keys, or restrict the claim to a box",
    )


# Largest slopes, rounded up; GELU also for the tanh form.
_SLOPES = {
    "GELU": 1.1290,
    "SiLU": 1.0999,
    "Mish": 1.0885,
    "Hardswish": 1.5,
    "SELU": 1.7581,
}
_UNBOUNDED = {
    "exp": "its slope grows without bound",
    "square": "its slope grows without bound",
    "pow": "its slope grows without bound unless the exponent is 1",
    "log": "its slope grows without bound at 0",
    "sqrt": "its slope grows without bound at 0",
    "reciprocal": "its slope grows without bound at 0",
}

_PRODUCTS = {"matmul", "bmm", "mul", "multiply", "einsum", "baddbmm"}
_ABOUT_SHAPES = {"size", "dim", "numel", "getattr", "len"}


def _steep(path: str, part: Any) -> Iterator[Finding]:
    name = type(part).__name__
    if name in _SLOPES and type(part).__module__.startswith("torch.nn"):
        yield Finding(
            where=path,
            what=f"{name}: slopes up to {_SLOPES[name]:.5g}",
            why="an activation steeper than 1 multiplies the bound of every layer it follows",
            way_out="use ReLU, LeakyReLU, tanh or MaxMin, or count the factor",
        )


# ---- spectral normalisation ---------------------------------------------------------------------
def _spectral_norm(path: str, part: Any) -> Iterator[Finding]:
    found = _normalised_weight(part)
    if found is None:
        return
    weight, axis = found
    if not np.isfinite(weight).all() or not weight.any():
        return
    reshaped = spectral_norm_enclosure(np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1))
    if weight.ndim > 2:
        layer = spectral_norm_torus(
            weight,
            stride=tuple(part.stride),
            dilation=tuple(part.dilation),
            groups=part.groups,
            transposed="Transpose" in type(part).__name__,
        )
        if layer.lower > reshaped.upper or layer.upper < reshaped.lower:
            yield Finding(
                where=path,
                what="spectral_norm of a convolution: it bounds the reshaped kernel, not the layer",
                why="reshaped <= layer <= sqrt(prod ceil(k / s)) reshaped on images that hold a "
                "window; the layer is not 1-Lipschitz",
                way_out="divide by the certified norm: lipschitz.constraints.spectrally_normalized",
                numbers=(("norm of the reshaped kernel", reshaped), ("norm of the layer", layer)),
            )
    # Float32 leaves a few units of 2**-24 of the norm 1.
    if reshaped.lower > 1.0 + 2.0**-20:
        yield Finding(
            where=path,
            what="spectral_norm has not converged: the normalised weight has a norm above 1",
            why="power iteration approaches the largest singular value from below",
            way_out="run more iterations, or divide by a certified norm: "
            "lipschitz.constraints.spectrally_normalized",
            numbers=(("norm of the reshaped weight", reshaped),),
        )


def _normalised_weight(part: Any) -> tuple[Any, int] | None:
    """What torch's spectral normalisation makes of the weight, and the axis it takes for rows."""
    import torch
    from torch.nn.utils import parametrize
    from torch.nn.utils.parametrizations import _SpectralNorm
    from torch.nn.utils.spectral_norm import SpectralNorm

    if parametrize.is_parametrized(part, "weight"):
        for parametrization in part.parametrizations["weight"]:
            if isinstance(parametrization, _SpectralNorm):
                # Reading the weight in training mode would advance the power iteration.
                modes = [(m, m.training) for m in part.modules()]
                with torch.no_grad():
                    part.eval()
                    weight = part.weight.double().cpu().numpy()
                for m, mode in modes:
                    m.training = mode
                return weight, int(parametrization.dim)
    for hook in getattr(part, "_forward_pre_hooks", {}).values():
        if isinstance(hook, SpectralNorm) and hook.name == "weight":
            with torch.no_grad():
                weight = hook.compute_weight(part, do_power_iteration=False)
            return weight.detach().double().cpu().numpy(), int(hook.dim)
    return None


# ---- functions inside forward -------------------------------------------------------------------
def function_problems(module: nn.Module) -> Iterator[Finding]:
    """Findings about functions called in ``forward``, as far as it can be traced."""
    from torch import fx

    if fx.Tracer().is_leaf_module(module, ""):
        return
    try:
        graph = fx.Tracer().trace(module)
    except Exception:  # tracing runs the module's own code, which may do anything
        return
    computed: set[Any] = set()
    for node in graph.nodes:
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        if node.op == "output":
            yield from _output(module, node)
        if node.op == "placeholder" or (
            computed.intersection(node.all_input_nodes) and name not in _ABOUT_SHAPES
        ):
            computed.add(node)
        if node.op not in ("call_function", "call_method"):
            continue
        stack = node.meta.get("nn_module_stack") or {}
        path = str(list(stack.values())[-1][0]) if stack else ""
        if name == "scaled_dot_product_attention":
            yield _attention_finding(path, name)
        elif name in _PRODUCTS and len(computed.intersection(node.all_input_nodes)) > 1:
            yield Finding(
                where=path,
                what=f"{name} of two computed arrays: no Lipschitz constant on the whole space",
                why="the slope in one factor is the other factor, which grows with the input; "
                "dot-product attention is of this kind",
                way_out="restrict the claim to a bounded domain, or use a linear layer",
            )
        elif name in _UNBOUNDED:
            yield Finding(
                where=path,
                what=f"{name}: no Lipschitz constant on the whole space",
                why=_UNBOUNDED[name],
                way_out="restrict the claim to a bounded domain, or use another function",
            )


def _output(module: nn.Module, node: Any) -> Iterator[Finding]:
    from torch import nn

    last = node.args[0]
    if getattr(last, "op", None) == "call_module":
        part = module.get_submodule(last.target)
        if isinstance(part, (nn.Sigmoid, nn.Tanh)):
            width = 1 if isinstance(part, nn.Sigmoid) else 2
            yield Finding(
                where=last.target,
                what=f"{type(part).__name__} at the output: the dual value cannot exceed {width}",
                why=f"E D(x) - E D(y) <= sup D - inf D = {width}, whatever the distance is",
                way_out="end a Wasserstein critic in a linear layer",
            )
