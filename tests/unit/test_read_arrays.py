"""Networks from weight matrices and from LipSDP's ``.mat`` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lipschitz.layers import Activation, Dense
from lipschitz.readers.read_arrays import from_arrays, from_mat

Array = NDArray[np.float64]


def matrices() -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) for shape in ((7, 5), (4, 7), (2, 4))]


def test_the_layers_are_the_matrices_with_activations_between() -> None:
    weights = matrices()
    network = from_arrays(weights, activation=["relu", ("leaky_relu", 0.3)])
    assert [node.name for node in network.nodes] == [
        "layer 1",
        "relu 1",
        "layer 2",
        "leaky_relu 2",
        "layer 3",
    ]
    assert (network.input_shape, network.output_shape) == ((5,), (2,))
    dense = [layer for layer in network.layers if isinstance(layer, Dense)]
    assert all(np.array_equal(layer.weight, w) for layer, w in zip(dense, weights, strict=True))
    slopes = [layer.slope_lower for layer in network.layers if isinstance(layer, Activation)]
    assert slopes == [0.0, 0.3]


def test_the_value_is_the_formula() -> None:
    weights = matrices()
    biases = [np.ones(7), None, np.array([1.0, -1.0])]
    network = from_arrays(weights, biases, "tanh")
    x = np.random.default_rng(1).standard_normal((6, 5))
    hidden = np.tanh(np.tanh(x @ weights[0].T + 1.0) @ weights[1].T)
    center, radius = network.enclose(x)
    # The formula here rounds like the network's own evaluation.
    assert (np.abs(hidden @ weights[2].T + biases[2] - center) <= 2.0 * radius).all()


def test_one_matrix_is_a_linear_network() -> None:
    network = from_arrays([[[1.0, 2.0]]], activation="sigmoid")
    assert len(network.nodes) == 1
    assert from_arrays([np.ones((1, 2), np.float32)]).apply(np.ones((1, 2)))[0, 0] == 2.0


def test_the_identity_is_no_layer() -> None:
    network = from_arrays(matrices(), activation=["identity", "relu"])
    assert [node.name for node in network.nodes] == ["layer 1", "layer 2", "relu 2", "layer 3"]
    assert len(network.fold().nodes) == 3


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ([], {}, "`weights` must be a nonempty list"),
        (np.ones((2, 2)), {}, "`weights` must be a nonempty list"),
        ([np.ones(3)], {}, r"`weights\[0\]` must have 2 dimensions"),
        ([np.full((2, 2), np.inf)], {}, r"`weights\[0\]` must be finite"),
        ([np.ones((2, 2), np.float16)], {}, r"`weights\[0\]` has dtype float16"),
        ([np.ones((2, 2), int)], {}, r"`weights\[0\]` must be a float32 or float64 array"),
        ([np.ones((0, 2))], {}, r"`weights\[0\]` must not be empty"),
        (
            [np.ones((5, 7)), np.ones((7, 4)), np.ones((4, 2))],
            {},
            r"`weights\[1\]` of shape \(7, 4\) takes 4 inputs.*gives 5.*transpose them all",
        ),
        (
            [np.ones((4, 7)), np.ones((7, 5))],
            {},
            r"`weights\[1\]` of shape \(7, 5\).*transpose them all|check the order",
        ),
        ([np.ones((3, 2)), np.ones((3, 2))], {}, "check the order of the list"),
        ([np.ones((3, 2))], {"biases": [np.ones(2)]}, r"`biases\[0\]` must have 3 entries"),
        ([np.ones((3, 2))], {"biases": [np.ones((3, 1))]}, r"`biases\[0\]` must have 1 dim"),
        ([np.ones((3, 2))], {"biases": []}, "one vector or None for each of the 1 matrices"),
        ([np.ones((3, 2))], {"biases": 3.0}, "`biases` must be a list"),
        ([np.ones((2, 2))] * 2, {"activation": "gelu"}, "one of relu, .* got 'gelu'"),
        ([np.ones((2, 2))] * 2, {"activation": None}, "`activation` must be a name"),
        ([np.ones((2, 2))] * 2, {"activation": ["relu", "relu"]}, "the 1 gaps .* got 2"),
        ([np.ones((2, 2))] * 2, {"activation": ("relu", 0.1)}, "no meaning for 'relu'"),
    ],
)
def test_arrays_that_are_no_network_are_refused(
    weights: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        from_arrays(weights, **options)


# ---- .mat ---------------------------------------------------------------------------------------
def save(path: Path, **variables: Any) -> Path:
    io = pytest.importorskip("scipy.io")
    io.savemat(str(path), variables)
    return path


def cells(arrays: list[Array], columns: bool) -> NDArray[Any]:
    content = np.empty((len(arrays), 1) if columns else (1, len(arrays)), dtype=object)
    for i, array in enumerate(arrays):
        content.ravel()[i] = array
    return content


@pytest.mark.parametrize("columns", [True, False])
def test_a_cell_array_of_weights_is_read(columns: bool, tmp_path: Path) -> None:
    weights = matrices()
    network = from_mat(save(tmp_path / "net.mat", weights=cells(weights, columns)))
    assert network.source == "net.mat"
    assert network.notes == ("the file holds no biases: they are taken as 0",)
    x = np.ones((1, 5))
    assert np.array_equal(network.apply(x), from_arrays(weights).apply(x))


def test_biases_in_the_file_are_used(tmp_path: Path) -> None:
    weights = matrices()
    biases = [np.full((n, 1), 0.5) for n in (7, 4, 2)]
    path = save(tmp_path / "net.mat", weights=cells(weights, False), biases=cells(biases, False))
    network = from_mat(path, activation="elu")
    assert network.notes == ()
    expected = from_arrays(weights, [np.full(n, 0.5) for n in (7, 4, 2)], "elu")
    assert np.array_equal(network.apply(np.ones((1, 5))), expected.apply(np.ones((1, 5))))


def test_a_single_matrix_is_a_network(tmp_path: Path) -> None:
    assert from_mat(save(tmp_path / "net.mat", weights=np.ones((2, 3)))).input_shape == (3,)


def test_files_that_are_no_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"`path` = .*nothing\.mat"):
        from_mat(tmp_path / "nothing.mat")
    (tmp_path / "text.mat").write_bytes(b"no matrices here, and long enough to look like a header")
    with pytest.raises(ValueError, match="not a MATLAB file that scipy reads"):
        from_mat(tmp_path / "text.mat")
    with pytest.raises(ValueError, match=r"cell array 'weights', got variables \['w'\]"):
        from_mat(save(tmp_path / "w.mat", w=np.ones((2, 2))))
    with pytest.raises(ValueError, match=r"`weights\[1\]` of shape"):
        from_mat(save(tmp_path / "order.mat", weights=cells(matrices()[::-1], False)))
