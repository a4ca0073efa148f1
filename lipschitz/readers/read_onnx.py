"""Read a network from an ONNX file, check it against onnx's reference evaluator, or refuse."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evidence import NotCertified
from evidence.validation import generator
from lipschitz.network import Network
from lipschitz.readers.builder import NetworkBuilder, Value
from lipschitz.readers.extraction import DOUBLE_TOLERANCE, SINGLE_TOLERANCE, check_extraction
from lipschitz.readers.onnx_constants import fold_constant
from lipschitz.readers.onnx_graph import (
    check_valid,
    ends,
    initializers,
    input_shape,
    load,
    node_name,
    opset,
    refuse_unsupported,
    topological_order,
)
from lipschitz.readers.onnx_node import Constant, Operator
from lipschitz.readers.onnx_operators import OPERATORS
from lipschitz.readers.onnx_reference import EvaluatorFailedError, in_float64, reference

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

__all__ = ["from_onnx"]


def from_onnx(path: str | os.PathLike[str], *, rng: np.random.Generator | None = None) -> Network:
    """The network stored in an ONNX file.

    Parameters
    ----------
    path : str or path
        A model with one floating-point input of fixed shape and one output. A first axis that is
        dynamic, or of length 1 with others after it, is taken as the batch axis; bounds are for
        one sample. Otherwise the whole input is one sample. ``Network.notes`` says which.
    rng : numpy.random.Generator, optional
        Draws the inputs of the comparison; a fixed seed by default, so that reading a file is
        reproducible.

    Returns
    -------
    Network
        The function of real arithmetic with the file's weights; float32 weights are converted
        exactly.

    Raises
    ------
    FileNotFoundError
        No such file, or no external data file.
    ValueError
        Not an ONNX model, a graph with a cycle, dynamic shapes, float16, integer or non-finite
        weights, several inputs or outputs, training mode.
    NotCertified
        An operator that is not supported (the message names it and lists those that are), a
        product of two computed arrays, or an extracted network whose values differ from those of
        onnx's reference evaluator in float64 by more than 1e-10 relative (1e-6 where that
        evaluator manages float32 only).

    Notes
    -----
    Opset 7 or later. Only nodes that the output depends on are read.

    Examples
    --------
    >>> import tempfile
    >>> import onnx
    >>> model = onnx.parser.parse_model('''
    ...     <ir_version: 8, opset_import: ["" : 13]>
    ...     critic (float[1, 2] x) => (float[1, 2] y) { y = Relu(x) }
    ... ''')
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     onnx.save(model, f"{folder}/critic.onnx")
    ...     network = from_onnx(f"{folder}/critic.onnx")
    >>> network.input_shape, network.output_shape
    ((2,), (2,))
    """
    draws = np.random.default_rng(0) if rng is None else generator(rng)
    try:
        return _read(Path(path), draws)
    except UnicodeDecodeError as error:
        raise ValueError(f"`path` = {str(path)!r} is corrupted: {error.reason}") from error


def _read(file: Path, rng: np.random.Generator) -> Network:
    model = load(file)
    graph = model.graph
    constants = initializers(model)
    source, output = ends(model, constants)
    order = topological_order(model, {source.name, *constants}, output)
    del graph.node[:]
    graph.node.extend(order)
    refuse_unsupported(model)
    check_valid(model)
    network = _translate(model, constants, source, output, str(file.name))
    _check(network, model, source, rng)
    return network


# ---- the graph ----------------------------------------------------------------------------------
def _translate(
    model: ModelProto,
    constants: dict[str, Constant],
    source: ValueInfoProto,
    output: str,
    file_name: str,
) -> Network:
    shape, note = input_shape(source)
    builder = NetworkBuilder(input_shape=shape, notes=[note])
    known: dict[str, Value | Constant] = {**constants, source.name: builder.input}
    for node in model.graph.node:
        builder.name = node_name(node)
        try:
            operator = Operator.of(
                node,
                opset=opset(model),
                inputs=[_look_up(name, known) for name in node.input],
                float_type=source.type.tensor_type.elem_type,
            )
            folded = fold_constant(node, operator, opset(model))
            if folded is None:
                known[node.output[0]] = OPERATORS[node.op_type](operator, builder)
            else:
                known[node.output[0]] = folded
        except (ValueError, TypeError, NotCertified) as error:
            kind = NotCertified if isinstance(error, NotCertified) else ValueError
            raise kind(f"node {node_name(node)!r} ({node.op_type}): {error}") from error
    result = known.get(output)
    if not isinstance(result, Value):
        raise ValueError(f"the output {output!r} does not depend on the input {source.name!r}")
    return builder.finish(result, file_name)


def _look_up(name: str, known: dict[str, Value | Constant]) -> Value | Constant | None:
    if name and name not in known:
        raise NotCertified(f"reads {name!r}, a further output of another node: not supported")
    return known[name] if name else None


# ---- the comparison -----------------------------------------------------------------------------
def _check(
    network: Network, model: ModelProto, source: ValueInfoProto, rng: np.random.Generator
) -> None:
    shape, _ = input_shape(source)
    what = "the ONNX model, as onnx's reference evaluator runs it,"
    state = rng.bit_generator.state
    try:
        original = reference(in_float64(model), source.name, shape, np.float64)
        check_extraction(network, original, what=what, tolerance=DOUBLE_TOLERANCE, rng=rng)
        return
    except EvaluatorFailedError:
        rng.bit_generator.state = state
    try:
        original = reference(model, source.name, shape, np.float32)
        check_extraction(network, original, what=what, tolerance=SINGLE_TOLERANCE, rng=rng)
    except EvaluatorFailedError as error:
        raise NotCertified(
            f"onnx's reference evaluator cannot run the model ({error}), so that the extracted "
            "network cannot be compared with it"
        ) from error
