"""ONNX files: every operator against onnx's reference evaluator, and every refusal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evidence import NotCertified
from lipschitz.layers import Add, AveragePool, Convolution, Dense, Scale
from lipschitz.network import Network
from lipschitz.readers.read_onnx import from_onnx

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT, DOUBLE = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE

Array = NDArray[Any]


def weights(*shape: int, dtype: Any = np.float32, seed: int = 0) -> Array:
    """Gaussian weights, of moderate size so that sums keep the scale of the input."""
    values = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return (values / np.sqrt(max(1, values.size) ** 0.5)).astype(dtype)


def node(op: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    return helper.make_node(op, list(inputs), [output], name=f"the {op}", **attributes)


def model(
    nodes: Sequence[Any],
    input_shape: Sequence[int | str | None],
    constants: dict[str, Array] | None = None,
    *,
    opset: int = 17,
    element: int = FLOAT,
    outputs: Sequence[str] = ("y",),
) -> Any:
    """A model that reads ``x`` and computes ``y``."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("x", element, input_shape)],
        [helper.make_tensor_value_info(name, element, ["any"]) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def read(tmp_path: Path, proto: Any) -> Network:
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return from_onnx(path)


def one(
    tmp_path: Path,
    op: str,
    input_shape: Sequence[int],
    constants: dict[str, Array] | None = None,
    opset: int = 17,
    first: str = "x",
    **attributes: Any,
) -> Network:
    """The network of a single operator; its inputs are ``x`` and the constants in order."""
    names = list(constants or {})
    inputs = ["x", *names] if first == "x" else [*names, "x"]
    return read(
        tmp_path, model([node(op, inputs, "y", **attributes)], input_shape, constants, opset=opset)
    )


def agrees(network: Network, proto: Any, shape: Sequence[int]) -> bool:
    """Whether the network gives the values of the reference evaluator in float32."""
    from lipschitz.readers.onnx_reference import reference

    x = np.random.default_rng(9).standard_normal((1, *network.input_shape)).astype(np.float32)
    theirs = reference(proto, "x", tuple(shape), np.float32)(x)
    ours = network.apply(x)
    # Sums of at most 100 products in float32: 100 * 2**-24 relative to their sizes, which are
    # comparable to the largest output.
    return bool(np.abs(ours.ravel() - theirs.ravel()).max() <= 1e-5 * np.abs(theirs).max())


# ---- operators ----------------------------------------------------------------------------------
W = {"w": weights(6, 4)}
IMAGE = (1, 4, 7, 8)
KERNEL = {"w": weights(6, 2, 3, 2), "b": weights(6)}
NORM = {
    "scale": weights(4),
    "shift": weights(4),
    "mean": weights(4),
    "variance": np.abs(weights(4, seed=1)),
}

OPERATORS: dict[str, tuple[Any, ...]] = {
    "Gemm": ("Gemm", (1, 4), {"w": weights(4, 6)}, {}),
    "Gemm transposed": ("Gemm", (1, 4), W | {"c": weights(6)}, {"transB": 1}),
    "Gemm scaled": (
        "Gemm",
        (1, 4),
        W | {"c": weights(1, 6)},
        {"transB": 1, "alpha": 0.3, "beta": -1.7},
    ),
    "Gemm scalar bias": ("Gemm", (1, 4), W | {"c": weights(1)}, {"transB": 1}),
    "Gemm left transposed": (
        "Gemm",
        (4, 3),
        {"w": weights(4, 6), "c": weights(3, 1)},
        {"transA": 1, "alpha": 0.5},
    ),
    "MatMul": ("MatMul", (1, 4), {"w": weights(4, 6)}, {}),
    "MatMul stacked": ("MatMul", (1, 3, 4), {"w": weights(4, 6)}, {}),
    "MatMul vector": ("MatMul", (1, 4), {"w": weights(4)}, {}),
    "Add": ("Add", (1, 4), {"c": weights(4)}, {}),
    "Add image": ("Add", IMAGE, {"c": weights(1, 4, 1, 1)}, {}),
    "Add with more axes": ("Add", (1, 4), {"c": weights(1, 1, 4)}, {}),
    "Sub": ("Sub", (1, 1, 1, 5), {"c": weights(1, 1, 1, 5)}, {}),
    "Mul": ("Mul", IMAGE, {"c": weights(4, 7, 1)}, {}),
    "Div": ("Div", (1, 4), {"c": weights(4)}, {}),
    "Sum": ("Sum", (1, 4), {"a": weights(4), "b": weights(1)}, {}),
    "Conv": ("Conv", IMAGE, KERNEL, {"group": 2, "strides": [2, 1], "dilations": [1, 2]}),
    "Conv padded": ("Conv", IMAGE, KERNEL, {"group": 2, "pads": [0, 2, 1, 0]}),
    "Conv same upper": ("Conv", IMAGE, KERNEL, {"group": 2, "auto_pad": "SAME_UPPER"}),
    "Conv same lower": (
        "Conv",
        IMAGE,
        KERNEL,
        {"group": 2, "auto_pad": "SAME_LOWER", "strides": [2, 3]},
    ),
    "Conv same lower, odd": ("Conv", IMAGE, KERNEL, {"group": 2, "auto_pad": "SAME_LOWER"}),
    "Conv valid": ("Conv", IMAGE, KERNEL, {"group": 2, "auto_pad": "VALID"}),
    "Conv 1-D": ("Conv", (1, 2, 9), {"w": weights(3, 2, 4)}, {}),
    "Conv 3-D": ("Conv", (1, 2, 4, 5, 6), {"w": weights(3, 2, 2, 3, 2)}, {"strides": [1, 2, 2]}),
    "ConvTranspose": (
        "ConvTranspose",
        IMAGE,
        {"w": weights(4, 3, 3, 2), "b": weights(6)},
        {"group": 2, "strides": [2, 3], "pads": [0, 1, 1, 0], "output_padding": [1, 2]},
    ),
    "ConvTranspose shaped": (
        "ConvTranspose",
        (1, 2, 5, 5),
        {"w": weights(2, 3, 3, 3)},
        {"strides": [2, 2], "output_shape": [10, 9]},
    ),
    "ConvTranspose same": (
        "ConvTranspose",
        (1, 2, 5, 5),
        {"w": weights(2, 3, 3, 3), "b": weights(3)},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ),
    "BatchNormalization": ("BatchNormalization", IMAGE, NORM, {"epsilon": 1e-3}),
    "BatchNormalization flat": ("BatchNormalization", (1, 4), NORM, {}),
    "Relu": ("Relu", IMAGE, None, {}),
    "LeakyRelu": ("LeakyRelu", IMAGE, None, {"alpha": 0.2}),
    "LeakyRelu default": ("LeakyRelu", IMAGE, None, {}),
    "Sigmoid": ("Sigmoid", IMAGE, None, {}),
    "Tanh": ("Tanh", IMAGE, None, {}),
    "Softplus": ("Softplus", IMAGE, None, {}),
    "Elu": ("Elu", IMAGE, None, {"alpha": 1.5}),
    "MaxPool": ("MaxPool", IMAGE, None, {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1]}),
    "MaxPool 1-D": ("MaxPool", (1, 2, 9), None, {"kernel_shape": [3], "pads": [2, 1]}),
    "MaxPool 3-D": (
        "MaxPool",
        (1, 1, 4, 5, 4),
        None,
        {"kernel_shape": [2, 3, 2], "pads": [0, 1, 1, 1, 0, 0], "dilations": [1, 2, 1]},
    ),
    "MaxPool same": (
        "MaxPool",
        IMAGE,
        None,
        {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ),
    "MaxPool strided": ("MaxPool", IMAGE, None, {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "MaxPool ceil": (
        "MaxPool",
        (1, 2, 7, 7),
        None,
        {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    ),
    "AveragePool": (
        "AveragePool",
        IMAGE,
        None,
        {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [2, 1]},
    ),
    "AveragePool with padding": (
        "AveragePool",
        IMAGE,
        None,
        {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "count_include_pad": 1},
    ),
    "AveragePool same": (
        "AveragePool",
        IMAGE,
        None,
        {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ),
    "AveragePool ceil": (
        "AveragePool",
        (1, 2, 8, 8),
        None,
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    ),
    "GlobalAveragePool": ("GlobalAveragePool", IMAGE, None, {}),
    "ReduceMean": ("ReduceMean", IMAGE, None, {"axes": [2, 3], "keepdims": 0}),
    "ReduceMean of features": ("ReduceMean", (1, 6), None, {"axes": [-1], "keepdims": 1}),
    "Flatten": ("Flatten", IMAGE, None, {}),
    "Flatten from 2": ("Flatten", IMAGE, None, {"axis": 2}),
    "Reshape": ("Reshape", IMAGE, {"s": np.array([0, -1, 8])}, {}),
    "Transpose": ("Transpose", IMAGE, None, {"perm": [0, 2, 3, 1]}),
    "Transpose of the batch axis": ("Transpose", (1, 4, 3), None, {"perm": [2, 0, 1]}),
    "Transpose default": ("Transpose", (4, 3), None, {}),
    "Squeeze": ("Squeeze", (1, 1, 4), {"axes": np.array([1])}, {}),
    "Unsqueeze": ("Unsqueeze", (1, 4), {"axes": np.array([0, -1])}, {}),
    "Pad": ("Pad", IMAGE, {"p": np.array([0, 0, 1, 2, 0, 0, 0, 3]), "v": np.float32(0.5)}, {}),
    "Pad reflect": ("Pad", IMAGE, {"p": np.array([0, 0, 1, 2, 0, 0, 0, 3])}, {"mode": "reflect"}),
    "Pad edge": ("Pad", IMAGE, {"p": np.array([0, 1, 1, 2, 0, 0, 0, 3])}, {"mode": "edge"}),
    "Identity": ("Identity", (1, 4), None, {}),
    "Dropout": ("Dropout", (1, 4), None, {}),
    "Cast": ("Cast", (1, 4), None, {"to": FLOAT}),
}


@pytest.mark.parametrize("case", OPERATORS)
def test_an_operator_has_the_values_of_the_reference(case: str, tmp_path: Path) -> None:
    op, shape, constants, attributes = OPERATORS[case]
    names = ["x", *(constants or {})]
    proto = model([node(op, names, "y", **attributes)], shape, constants)
    assert agrees(read(tmp_path, proto), proto, shape)


@pytest.mark.parametrize(
    ("op", "shape", "constants", "attributes"),
    [
        ("MatMul", (4, 3), {"w": weights(6, 4)}, {}),
        ("MatMul", (4,), {"w": weights(6, 4)}, {}),
        ("MatMul", (1, 4, 3), {"w": weights(6, 4)}, {}),
        ("Gemm", (4, 3), {"w": weights(6, 4)}, {"alpha": 2.0}),
        ("Gemm", (3, 4), {"w": weights(4, 6)}, {"transA": 1, "transB": 1}),
        ("Sub", (1, 4), {"c": weights(4)}, {}),
        ("Mul", (1, 4), {"c": weights(4)}, {}),
    ],
)
def test_a_constant_may_stand_on_the_left(
    op: str, shape: tuple[int, ...], constants: Any, attributes: Any, tmp_path: Path
) -> None:
    proto = model(
        [node(op, ["w" if "w" in constants else "c", "x"], "y", **attributes)], shape, constants
    )
    assert agrees(read(tmp_path, proto), proto, shape)


@pytest.mark.parametrize("opset", [7, 9, 11, 13])
def test_older_opsets_are_read(opset: int, tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "w", "b"], "a", group=2),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "m", "c"], "y", transB=1),
    ]
    constants = KERNEL | {"m": weights(3, 6), "c": weights(3)}
    proto = model(nodes, IMAGE, constants, opset=opset)
    assert agrees(read(tmp_path, proto), proto, IMAGE)


def test_pads_and_axes_may_be_attributes_in_old_opsets(tmp_path: Path) -> None:
    nodes = [
        node("Pad", ["x"], "a", pads=[0, 0, 1, 0, 0, 2], value=0.25),
        node("Unsqueeze", ["a"], "b", axes=[1]),
        node("Squeeze", ["b"], "y", axes=[1]),
    ]
    proto = model(nodes, (1, 2, 3), opset=10)
    assert agrees(read(tmp_path, proto), proto, (1, 2, 3))


# ---- graphs -------------------------------------------------------------------------------------
def block() -> tuple[list[Any], dict[str, Array]]:
    nodes = [
        node("Conv", ["x", "w1", "b1"], "c1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], pads=[1, 1, 1, 1], name="second"),
        helper.make_node("Add", ["c2", "x"], ["sum"]),
        helper.make_node("Concat", ["sum", "r1"], ["cat"], axis=1),
        helper.make_node("Sub", ["cat", "cat2"], ["y"]),
        helper.make_node("Concat", ["r1", "sum"], ["cat2"], axis=-3),
    ]
    nodes = [*nodes[:5], nodes[6], nodes[5]]
    return nodes, {"w1": weights(3, 3, 3, 3), "b1": weights(3), "w2": weights(3, 3, 3, 3)}


def test_a_residual_block_with_concatenation_is_read(tmp_path: Path) -> None:
    nodes, constants = block()
    proto = model(nodes, (1, 3, 5, 5), constants)
    network = read(tmp_path, proto)
    assert agrees(network, proto, (1, 3, 5, 5))
    assert [n.name for n in network.nodes][:3] == ["the Conv", "Relu_r1", "second"]
    assert sum(isinstance(layer, Add) for layer in network.layers) == 2


def test_nodes_in_any_order_and_nodes_without_use_are_accepted(tmp_path: Path) -> None:
    nodes, constants = block()
    unused = [helper.make_node("Softmax", ["c1"], ["nothing"])]
    network = read(tmp_path, model([*nodes[::-1], *unused], (1, 3, 5, 5), constants))
    assert network.output_shape == (6, 5, 5)
    assert "Softmax" not in {type(layer).__name__ for layer in network.layers}


def test_float64_files_are_read_in_float64(tmp_path: Path) -> None:
    constants = {"w": weights(4, 6, dtype=np.float64)}
    network = read(
        tmp_path, model([node("MatMul", ["x", "w"], "y")], (1, 4), constants, element=DOUBLE)
    )
    layer = network.layers[0]
    assert isinstance(layer, Dense)
    assert np.array_equal(layer.weight, constants["w"].T)


def test_float32_weights_are_converted_exactly(tmp_path: Path) -> None:
    layer = one(tmp_path, "Conv", IMAGE, KERNEL, group=2).layers[0]
    assert isinstance(layer, Convolution)
    assert np.array_equal(layer.kernel, KERNEL["w"])
    assert layer.weight_error is None


def test_a_factor_that_rounds_leaves_an_error_bound(tmp_path: Path) -> None:
    scaled = one(tmp_path, "Gemm", (1, 4), W, transB=1, alpha=0.3).layers[0]
    assert isinstance(scaled, Dense)
    assert scaled.weight_error is not None
    divided = one(tmp_path, "Div", (1, 2), {"c": np.array([3.0, 4.0], np.float32)}).layers[0]
    assert isinstance(divided, Scale)
    assert divided.weight_error is not None
    assert divided.weight_error[0] > 0.0
    assert divided.weight_error[1] == 0.0


def test_a_batch_normalisation_folds_into_the_convolution_before_it(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "w"], "c", group=2),
        node("BatchNormalization", ["c", *NORM], "y"),
    ]
    proto = model(nodes, IMAGE, {"w": weights(4, 2, 3, 2)} | NORM)
    folded = read(tmp_path, proto).fold()
    assert len(folded.nodes) == 1
    assert agrees(folded, proto, IMAGE)


# ---- constants inside the graph -----------------------------------------------------------------
def test_shapes_computed_from_shapes_are_constants(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], "s"),
        node("Gather", ["s", "zero"], "n", axis=0),
        node("Unsqueeze", ["n", "axes"], "n1"),
        node("Concat", ["n1", "rest"], "target", axis=0),
        node("Reshape", ["x", "target"], "y"),
    ]
    constants = {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1])}
    proto = model(nodes, ("batch", 2, 3), constants)
    assert read(tmp_path, proto).output_shape == (6,)


def test_weights_may_be_constants_that_are_moved(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(weights(6, 4))
    nodes = [
        node("Constant", [], "w", value=tensor),
        node("Transpose", ["w"], "wt"),
        node("MatMul", ["x", "wt"], "a"),
        helper.make_node("Constant", [], ["half"], value_float=0.5),
        node("Mul", ["a", "half"], "y"),
    ]
    proto = model(nodes, (1, 4))
    assert agrees(read(tmp_path, proto), proto, (1, 4))


def test_weights_that_the_graph_rounds_are_refused(tmp_path: Path) -> None:
    nodes = [node("Mul", ["w", "w"], "w2"), node("MatMul", ["x", "w2"], "y")]
    with pytest.raises(ValueError, match=r"'the Mul' .* fold the constants before exporting"):
        read(tmp_path, model(nodes, (1, 4), {"w": weights(4, 6)}))


# ---- the batch axis -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("shape", "sample", "note"),
    [
        (("n", 3), (3,), r"axis 0 .* dynamic \(n\), is the batch axis"),
        ((None, 3), (3,), r"axis 0 .* dynamic \(\?\), is the batch axis"),
        ((1, 1, 1, 3), (1, 1, 3), "axis 0 .* of length 1, is the batch axis"),
        ((1, 784, 1), (784, 1), "axis 0 .* of length 1, is the batch axis"),
        ((784, 1), (784, 1), "has no batch axis"),
        ((5,), (5,), "has no batch axis"),
    ],
)
def test_the_batch_axis_is_named(
    shape: tuple[Any, ...], sample: tuple[int, ...], note: str, tmp_path: Path
) -> None:
    network = read(tmp_path, model([node("Relu", ["x"], "y")], shape))
    assert network.input_shape == sample
    assert len(network.notes) == 1
    assert re.search(note, network.notes[0])


@pytest.mark.parametrize("shape", [("n", "c", 3), (1, None, 3), ("n",), (), (2, 0)])
def test_dynamic_shapes_are_refused(shape: tuple[Any, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dynamic shape .*export with fixed sizes"):
        read(tmp_path, model([node("Relu", ["x"], "y")], shape))


def test_an_input_without_any_shape_is_refused(tmp_path: Path) -> None:
    proto = model([node("Relu", ["x"], "y")], (1, 3))
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(ValueError, match="shape"):
        read(tmp_path, proto)


def test_a_fixed_batch_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be exported with batch size 1"):
        one(tmp_path, "Conv", (2, 4, 7, 8), KERNEL, group=2)


# ---- files --------------------------------------------------------------------------------------
def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"`path` = .*nothing.onnx.* is not a file"):
        from_onnx(tmp_path / "nothing.onnx")
    with pytest.raises(FileNotFoundError, match="is not a file"):
        from_onnx(tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage" * 50, b"\x00" * 64])
def test_bytes_that_are_no_model_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"`path` = .*(corrupted|not an ONNX model)"):
        from_onnx(path)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    content = model([node("Gemm", ["x", "w"], "y", transB=1)], (1, 4), W).SerializeToString()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises((ValueError, NotCertified, FileNotFoundError)):
            from_onnx(path)


def test_weights_that_do_not_fill_their_shape_are_refused(tmp_path: Path) -> None:
    proto = model([node("MatMul", ["x", "w"], "y")], (1, 4), {"w": weights(4, 6)})
    proto.graph.initializer[0].raw_data = b"\x00" * 8
    with pytest.raises(ValueError, match="the weight 'w' is corrupted"):
        read(tmp_path, proto)


def test_missing_external_data_is_refused(tmp_path: Path) -> None:
    proto = model([node("MatMul", ["x", "w"], "y")], (1, 4), {"w": weights(4, 6)})
    path = tmp_path / "model.onnx"
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    onnx.save_model(proto, str(path), **options)
    assert from_onnx(path).output_shape == (6,)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(FileNotFoundError, match="external file that cannot be read"):
        from_onnx(path)


# ---- graphs that are refused --------------------------------------------------------------------
def test_a_cycle_is_refused(tmp_path: Path) -> None:
    nodes = [node("Add", ["x", "b"], "a"), node("Relu", ["a"], "b"), node("Relu", ["b"], "y")]
    with pytest.raises(ValueError, match="the graph has a cycle through"):
        read(tmp_path, model(nodes, (1, 3)))


def test_a_missing_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reads 'z', which nothing computes"):
        read(tmp_path, model([node("Relu", ["z"], "y")], (1, 3)))


def test_an_unknown_operator_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotCertified, match=r"operator Softmax, .*supported are Add, .*Unsqueeze"):
        read(tmp_path, model([node("Softmax", ["x"], "y")], (1, 3)))
    custom = helper.make_node("Fused", ["x"], ["y"], domain="com.example")
    with pytest.raises(NotCertified, match=r"operator com\.example::Fused"):
        read(tmp_path, model([custom], (1, 3)))


@pytest.mark.parametrize("op", ["Mul", "MatMul", "Div"])
def test_a_product_of_two_computed_arrays_is_refused(op: str, tmp_path: Path) -> None:
    with pytest.raises(NotCertified, match=f"'the {op}'.*no(ne)? Lipschitz|has none"):
        read(tmp_path, model([node(op, ["x", "x"], "y")], (1, 3)))


def test_division_by_a_computed_array_or_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotCertified, match="divides by a computed array"):
        read(tmp_path, model([node("Div", ["c", "x"], "y")], (1, 3), {"c": weights(3)}))
    with pytest.raises(ValueError, match="the divisor holds zeros"):
        one(tmp_path, "Div", (1, 3), {"c": np.zeros(3, np.float32)})


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (weights(4, 6).astype(np.float16), "type float16; only float32 and float64"),
        (np.ones((4, 6), np.int64), "type int64; only float32 and float64"),
        (np.full((4, 6), np.nan, np.float32), "must be finite"),
        (np.full((4, 6), np.inf, np.float32), "must be finite"),
    ],
)
def test_weights_that_are_not_finite_floats_are_refused(
    array: Array, message: str, tmp_path: Path
) -> None:
    proto = model([node("MatMul", ["x", "w"], "y")], (1, 4), {"w": array})
    with pytest.raises(ValueError, match=message):
        read(tmp_path, proto)


@pytest.mark.parametrize("element", [onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64])
def test_inputs_that_are_not_floats_are_refused(element: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be FLOAT or DOUBLE, got"):
        read(tmp_path, model([node("Relu", ["x"], "y")], (1, 3), element=element, opset=14))


def test_several_inputs_or_outputs_are_refused(tmp_path: Path) -> None:
    proto = model([node("Relu", ["x"], "y")], (1, 3))
    proto.graph.input.append(helper.make_tensor_value_info("x2", FLOAT, (1, 3)))
    with pytest.raises(ValueError, match=r"inputs \['x', 'x2'\]"):
        read(tmp_path, proto)
    two = [node("Relu", ["x"], "y"), helper.make_node("Tanh", ["x"], ["z"])]
    with pytest.raises(ValueError, match=r"outputs \['y', 'z'\]"):
        read(tmp_path, model(two, (1, 3), outputs=("y", "z")))


def test_training_mode_is_refused(tmp_path: Path) -> None:
    norm = helper.make_node(
        "BatchNormalization", ["x", *NORM], ["y", "m", "v"], name="bn", training_mode=1
    )
    with pytest.raises(ValueError, match=r"'bn' .*training mode"):
        read(tmp_path, model([norm], IMAGE, NORM))
    # Before opset 14, further outputs are what asks for training mode.
    old = helper.make_node("BatchNormalization", ["x", *NORM], ["y", "m", "v", "s", "t"], name="bn")
    with pytest.raises(ValueError, match=r"'bn' .*training mode"):
        read(tmp_path, model([old], IMAGE, NORM, opset=9))
    drop = node("Dropout", ["x", "ratio", "training"], "y")
    constants = {"ratio": np.float32(0.5), "training": np.array(True)}
    with pytest.raises(ValueError, match=r"'the Dropout' .*training mode"):
        read(tmp_path, model([drop], (1, 3), constants))
    off = read(tmp_path, model([drop], (1, 3), constants | {"training": np.array(False)}))
    assert off.output_shape == (3,)


def test_broadcasting_that_enlarges_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="would enlarge"):
        one(tmp_path, "Add", (1, 4), {"c": weights(3, 4)})


def test_an_output_that_ignores_the_input_is_refused(tmp_path: Path) -> None:
    proto = model([node("Identity", ["w"], "y")], (1, 3), {"w": weights(1, 3)})
    with pytest.raises(ValueError, match="does not depend on the input"):
        read(tmp_path, proto)


def test_old_opsets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="opset 6"):
        read(tmp_path, model([node("Relu", ["x"], "y")], (1, 3), opset=6))


# ---- the comparison -----------------------------------------------------------------------------
def test_a_reader_that_errs_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lipschitz.readers.onnx_operators import OPERATORS as HANDLERS

    monkeypatch.setitem(HANDLERS, "Tanh", HANDLERS["Sigmoid"])
    with pytest.raises(NotCertified, match=r"differs from it by .*no bound of it") as refusal:
        read(tmp_path, model([node("Tanh", ["x"], "y")], (1, 3)))
    assert refusal.value.estimate is not None


def test_a_difference_in_the_ninth_digit_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipschitz.readers.onnx_operators import OPERATORS as HANDLERS

    original = HANDLERS["MatMul"]

    def slightly_wrong(op: Any, net: Any) -> Any:
        return net.scale(original(op, net), 1.0 + 1e-9, None)

    monkeypatch.setitem(HANDLERS, "MatMul", slightly_wrong)
    with pytest.raises(NotCertified, match=r"allowed: 1e-10 relative"):
        one(tmp_path, "MatMul", (1, 4), {"w": weights(4, 6)})


def test_where_the_reference_fails_in_float64_it_is_run_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipschitz.readers import onnx_reference

    original = onnx_reference.reference

    def fails_in_float64(proto: Any, name: str, shape: Any, dtype: type) -> Any:
        def failing(x: Array) -> Array:
            raise onnx_reference.EvaluatorFailedError("no float64 here")

        return original(proto, name, shape, dtype) if dtype is allowed else failing

    monkeypatch.setattr("lipschitz.readers.read_onnx.reference", fails_in_float64)
    allowed: Any = np.float32
    assert one(tmp_path, "MatMul", (1, 4), {"w": weights(4, 6)}).output_shape == (6,)
    allowed = None
    with pytest.raises(NotCertified, match="cannot run the model"):
        one(tmp_path, "MatMul", (1, 4), {"w": weights(4, 6)})


def test_pooling_is_read_as_pooling(tmp_path: Path) -> None:
    network = one(tmp_path, "GlobalAveragePool", IMAGE)
    assert isinstance(network.layers[0], AveragePool)
    assert network.output_shape == (4, 1, 1)
