"""Read a network from a torch module, check it against the module in float64, or refuse."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from evidence import NotCertified
from evidence.validation import generator
from lipschitz.layers.contract import Array, Shape, shape_tuple
from lipschitz.network import Network
from lipschitz.readers.builder import NetworkBuilder, Value
from lipschitz.readers.extraction import DOUBLE_TOLERANCE, check_extraction
from lipschitz.readers.refusals import reason_for
from lipschitz.readers.torch_functions import function_table, method_table, takes_constant_first
from lipschitz.readers.torch_modules import module_table

if TYPE_CHECKING:
    from torch import nn

__all__ = ["from_torch"]


def from_torch(
    module: nn.Module,
    input_shape: Sequence[int],
    *,
    rng: np.random.Generator | None = None,
) -> Network:
    """The network that a torch module computes in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU, with finite float32 or float64 parameters; it is copied, not changed.
    input_shape : tuple of int
        Shape of one sample, without the batch axis.
    rng : numpy.random.Generator, optional
        Draws the inputs of the comparison; a fixed seed by default.

    Returns
    -------
    Network
        The function of real arithmetic with the module's weights; float32 weights are converted
        exactly.

    Raises
    ------
    TypeError
        Not a module, parameters that are off the CPU or neither float32 nor float64.
    ValueError
        Training mode with batch normalisation or dropout, NaN or infinite parameters, an input
        shape that the module does not take.
    NotCertified
        A module, function or method that is not supported (named by its dotted path), a forward
        pass that cannot be traced, a product of two computed arrays, or an extracted network whose
        values differ from the module's in float64 by more than 1e-10 relative.

    Notes
    -----
    The forward pass is traced symbolically (``torch.fx``): a branch that depends on the data
    cannot be. Weights that the module computes (spectral normalisation, weight normalisation) are
    taken as evaluated in float64 in evaluation mode. A softplus with threshold 20 is taken as
    ``log(1 + exp(beta x)) / beta`` throughout.

    Examples
    --------
    >>> import torch
    >>> critic = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    >>> from_torch(critic, (4,)).output_shape
    (1,)
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"`module` must be a torch.nn.Module, got {type(module).__name__}")
    shape = shape_tuple(input_shape, "input_shape")
    if not shape:
        raise ValueError("`input_shape` must have an axis; the batch axis is not counted")
    draws = np.random.default_rng(0) if rng is None else generator(rng)
    _refuse_training(module)
    _check_tensors(module)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        original = _double_copy(module)
        plain, notes = _with_plain_weights(_double_copy(module))
        network = _translate(plain, shape, type(module).__name__, notes)
        forward = _forward(original, shape)
        what = f"the module {type(module).__name__}"
        check_extraction(network, forward, what=what, tolerance=DOUBLE_TOLERANCE, rng=draws)
    return network


# ---- the module ---------------------------------------------------------------------------------
def _refuse_training(module: nn.Module) -> None:
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.modules.dropout import _DropoutNd

    for path, part in module.named_modules():
        if part.training and isinstance(part, (_BatchNorm, _DropoutNd)):
            raise ValueError(
                f"`module` is in training mode at {_shown(path)} ({type(part).__name__}), where it "
                "is no function of one sample; call module.eval()"
            )


def _check_tensors(module: nn.Module) -> None:
    import torch
    from torch.nn.parameter import is_lazy

    for path, tensor in chain(module.named_parameters(), module.named_buffers()):
        if is_lazy(tensor):
            raise ValueError(f"`module` has no values yet at {path!r}; run it on an input once")
        if tensor.device.type != "cpu":
            raise TypeError(f"`module` has {path!r} on device {tensor.device}; call module.cpu()")
        if not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        if tensor.dtype not in (torch.float32, torch.float64):
            raise TypeError(
                f"`module` has {path!r} of type {tensor.dtype}; only float32 and float64 are "
                "supported: call module.double() if these are the exact weights"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"`module` has NaN or infinite entries at {path!r}")


def _double_copy(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module).double().eval()
    except RuntimeError as error:  # cached weights that are part of an autograd graph
        raise ValueError(
            f"`module` cannot be copied ({_line(error)}); run it once under torch.no_grad(), or "
            "remove the weight normalisation"
        ) from error


def _with_plain_weights(module: nn.Module) -> tuple[nn.Module, list[str]]:
    """The module with normalised weights replaced by their values, and notes about computed ones.

    Parametrised weights stay as they are and are evaluated on access: removing a parametrisation
    from a copy would change the class that the copy shares with the original.
    """
    from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm
    from torch.nn.utils.spectral_norm import SpectralNorm
    from torch.nn.utils.weight_norm import WeightNorm

    notes = []
    for path, part in list(module.named_modules()):
        if parametrize.is_parametrized(part):
            for name in list(part.parametrizations):
                notes.append(f"{_shown(path)}: {name} as its parametrisation evaluates to")
        for hook in list(part._forward_pre_hooks.values()):
            if isinstance(hook, (SpectralNorm, WeightNorm)):
                remove = (
                    remove_spectral_norm if isinstance(hook, SpectralNorm) else remove_weight_norm
                )
                remove(part, hook.name)
                notes.append(f"{_shown(path)}: {hook.name} as its normalisation evaluates to")
        if part._forward_pre_hooks or part._forward_hooks:
            raise NotCertified(
                f"`module` has forward hooks at {_shown(path)}, whose effect cannot be read; "
                "remove them"
            )
    return module, notes


def _shown(path: str) -> str:
    return repr(path) if path else "its root"


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _forward(module: nn.Module, shape: Shape) -> Callable[[Array], Array]:
    import torch

    def evaluate(x: Array) -> Array:
        try:
            result: Array = module(torch.from_numpy(x.copy())).numpy()
        except (RuntimeError, TypeError, AttributeError) as error:
            raise NotCertified(
                f"`module` does not run in float64 on inputs of shape {shape} ({_line(error)}), "
                "so that the extracted network cannot be compared with it"
            ) from error
        return result

    return evaluate


# ---- the forward pass ---------------------------------------------------------------------------
def _translate(module: nn.Module, shape: Shape, name: str, notes: list[str]) -> Network:
    from torch import fx, nn

    if fx.Tracer().is_leaf_module(module, ""):
        # torch's own modules are layers, not to be traced into.
        module = nn.Sequential(module)
    graph = _trace(module)
    interpreter = _Interpreter(module, NetworkBuilder(input_shape=(1, *shape), notes=notes))
    for node in graph.nodes:
        interpreter.run(node)
    result = interpreter.result
    if not isinstance(result, Value):
        raise NotCertified(
            "`module` must return one tensor that depends on its input, got "
            f"{type(result).__name__}"
        )
    return interpreter.net.finish(result, name)


def _trace(module: nn.Module) -> Any:
    from torch import fx

    signature = inspect.signature(module.forward)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    required = [
        p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL
    ]
    if len(required) > 1:
        raise NotCertified(f"`module` takes several inputs {required}; only one is supported")
    fixed = {p.name: p.default for p in parameters[1:] if p.default is not p.empty}
    try:
        return fx.Tracer().trace(module, concrete_args=fixed or None)
    except Exception as error:  # tracing runs the module's own code
        raise NotCertified(
            f"the forward pass of `module` cannot be traced ({_line(error)}); a network whose "
            "branches depend on the data has no fixed layers"
        ) from error


class _Interpreter:
    """Runs a traced graph on computed arrays and constants."""

    def __init__(self, module: nn.Module, net: NetworkBuilder) -> None:
        self.module, self.net = module, net
        self.result: Any = None
        self._known: dict[Any, Any] = {}
        self._functions, self._methods = function_table(), method_table()
        self._modules = module_table()

    def run(self, node: Any) -> None:
        """Record the value of one node."""
        from torch import fx

        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: self._known[n])
        self.net.name = node.target if node.op == "call_module" else node.name
        try:
            self._known[node] = self._value(node, args, kwargs)
        except (ValueError, TypeError, NotCertified) as error:
            kind = NotCertified if isinstance(error, NotCertified) else ValueError
            raise kind(f"{self._where(node)} {error}") from error

    def _value(self, node: Any, args: Any, kwargs: Any) -> Any:
        if node.op == "placeholder":
            is_first = not self._known
            return self.net.input if is_first else node.args[0] if node.args else None
        if node.op == "get_attr":
            return _attribute(self.module, node.target)
        if node.op == "output":
            self.result = args[0]
            return args[0]
        if not _holds_value((args, kwargs)):
            return _constant(self.module, node, args, kwargs)
        if node.op == "call_module":
            part = self.module.get_submodule(node.target)
            handler = self._modules.get(_class(part))
            if handler is None:
                reason = reason_for(_class(part).__name__)
                raise NotCertified(
                    f"is not supported{reason}; supported are {_names(self._modules)}"
                )
            return handler(self.net, part, *args, **kwargs)
        table: dict[Any, Any] = self._functions if node.op == "call_function" else self._methods
        if node.target not in table:
            name = node.target if isinstance(node.target, str) else _name(node.target)
            raise NotCertified(f"is not supported{reason_for(name)}; supported are {_names(table)}")
        handler = table[node.target]
        first = args[0] if args else kwargs.get("input")
        if not (isinstance(first, Value) or takes_constant_first(handler)):
            raise NotCertified("takes a constant first and a computed array later: not supported")
        return handler(self.net, *args, **kwargs)

    def _where(self, node: Any) -> str:
        if node.op == "call_module":
            part = self.module.get_submodule(node.target)
            return f"the module {node.target!r} ({type(part).__name__})"
        target = node.target if isinstance(node.target, str) else _name(node.target)
        path = _path(node)
        sort = "function" if node.op == "call_function" else "method"
        return f"the {sort} {target!r}{f' in {path!r}' if path else ''}"


def _class(part: nn.Module) -> type:
    """The module's class, before a parametrisation derived another from it."""
    from torch.nn.utils import parametrize

    return type(part).__bases__[0] if parametrize.is_parametrized(part) else type(part)


def _path(node: Any) -> str:
    """The module in whose forward pass the node was recorded."""
    stack = node.meta.get("nn_module_stack") or {}
    return str(list(stack.values())[-1][0]) if stack else ""


def _attribute(module: nn.Module, target: str) -> Any:
    value: Any = module
    for name in target.split("."):
        value = getattr(value, name)
    return value


def _constant(module: nn.Module, node: Any, args: Any, kwargs: Any) -> Any:
    """What a node computes from constants alone, in float64."""
    if node.op == "call_module":
        return module.get_submodule(node.target)(*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], node.target)(*args[1:], **kwargs)
    return node.target(*args, **kwargs)


def _holds_value(entry: Any) -> bool:
    if isinstance(entry, dict):
        return _holds_value(tuple(entry.values()))
    if isinstance(entry, (list, tuple)):
        return any(_holds_value(e) for e in entry)
    return isinstance(entry, Value)


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", function))


def _names(table: dict[Any, Any]) -> str:
    return ", ".join(sorted({key if isinstance(key, str) else _name(key) for key in table}))
