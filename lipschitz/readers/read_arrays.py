"""Networks from plain weight matrices, and from the ``.mat`` files of LipSDP."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from evidence.validation import as_float_array
from lipschitz.layers.activations import ACTIVATIONS, Activation
from lipschitz.layers.contract import Array, Layer
from lipschitz.layers.dense import Dense
from lipschitz.network import Network, chain

__all__ = ["from_arrays", "from_mat"]

_NONE: Final = "identity"

ActivationSpec = str | tuple[str, float]


def from_arrays(
    weights: Sequence[Any],
    biases: Sequence[Any] | None = None,
    activation: ActivationSpec | Sequence[ActivationSpec] = "relu",
) -> Network:
    """The network ``W_L a_(L-1)(... a_1(W_1 x + b_1) ...) + b_L``.

    Parameters
    ----------
    weights : sequence of array_like, shapes (n_1, n_0), (n_2, n_1), ...
        Rows are outputs, as in torch and LipSDP.
    biases : sequence of array_like or None, optional
        One vector (or None) for each matrix; no biases by default.
    activation : str, (str, parameter), or a list of these
        Applied after every matrix but the last; a list has ``len(weights) - 1`` entries. The names
        are those of `lipschitz.layers.Activation`, and ``"identity"`` for none.

    Raises
    ------
    TypeError, ValueError
        Arrays that are not finite float matrices or whose shapes do not chain (the message names
        the first that does not), or an unknown activation.

    Notes
    -----
    Shapes that chain in both orders (square matrices) cannot reveal transposed weights.

    Examples
    --------
    >>> network = from_arrays([[[1.0], [-1.0]], [[1.0, 1.0]]])
    >>> network.apply(np.array([[-2.0]])), [node.name for node in network.nodes]
    (array([[2.]]), ['layer 1', 'relu 1', 'layer 2'])
    """
    if not isinstance(weights, (list, tuple)) or not weights:
        raise TypeError(
            "`weights` must be a nonempty list of matrices, one for each layer, "
            f"got {type(weights).__name__}"
        )
    matrices = [as_float_array(w, f"weights[{i}]", ndim=2) for i, w in enumerate(weights)]
    _check_chain(matrices)
    vectors = _biases(biases, matrices)
    between = _activations(activation, len(matrices) - 1)
    layers: list[tuple[str, Layer]] = []
    for i, (matrix, vector) in enumerate(zip(matrices, vectors, strict=True)):
        layers.append((f"layer {i + 1}", Dense(weight=matrix, bias=vector)))
        if i < len(between) and between[i][0] != _NONE:
            kind, parameter = between[i]
            layer = Activation(kind=kind, input_shape=(len(matrix),), parameter=parameter)
            layers.append((f"{kind} {i + 1}", layer))
    return Network(input_shape=(matrices[0].shape[1],), nodes=chain(layers), source="arrays")


def from_mat(
    path: str | os.PathLike[str],
    activation: ActivationSpec | Sequence[ActivationSpec] = "relu",
) -> Network:
    """The network in a MATLAB file as LipSDP reads it: a cell array ``weights``, maybe ``biases``.

    Parameters
    ----------
    path : str or path
        A ``.mat`` file up to version 7.
    activation : str, (str, parameter), or a list of these
        The file does not store it.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        Not a MATLAB file that scipy reads, no variable ``weights``, or weights that `from_arrays`
        refuses.

    Notes
    -----
    LipSDP's files hold no biases. Bounds by composition do not depend on them, the constant itself
    does; the network has none then, and `Network.notes` says so.

    Examples
    --------
    >>> import tempfile
    >>> from scipy.io import savemat
    >>> weights = np.empty((1, 2), object)
    >>> weights[0, 0], weights[0, 1] = np.array([[1.0, 2.0]]), np.array([[3.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     savemat(f"{folder}/critic.mat", {"weights": weights})
    ...     network = from_mat(f"{folder}/critic.mat")
    >>> network.apply(np.array([[1.0, 1.0]]))
    array([[9.]])
    """
    import scipy.io

    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"`path` = {str(file)!r} is not a file; pass a .mat file")
    try:
        content = scipy.io.loadmat(str(file))
    except Exception as error:  # scipy raises many types for bytes that are no MATLAB file
        raise ValueError(
            f"`path` = {str(file)!r} is not a MATLAB file that scipy reads, or a corrupted one "
            f"({type(error).__name__}); save it with version 7 or earlier"
        ) from error
    if "weights" not in content:
        names = sorted(name for name in content if not name.startswith("__"))
        raise ValueError(
            f"`path` = {str(file)!r} must hold a cell array 'weights', got variables {names}"
        )
    weights = _cells(content["weights"])
    biases = None
    notes: tuple[str, ...] = ("the file holds no biases: they are taken as 0",)
    if "biases" in content:
        biases, notes = [np.ravel(b) for b in _cells(content["biases"])], ()
    network = from_arrays(weights, biases, activation)
    return Network(
        input_shape=network.input_shape, nodes=network.nodes, source=file.name, notes=notes
    )


def _cells(value: Any) -> list[Any]:
    """The entries of a MATLAB cell array; a plain matrix is the only entry of its own."""
    return list(value.ravel()) if value.dtype == object else [value]


def _check_chain(matrices: list[Array]) -> None:
    for i in range(1, len(matrices)):
        before, after = matrices[i - 1].shape, matrices[i].shape
        if after[1] != before[0]:
            swapped = [m.shape[::-1] for m in matrices]
            fits = all(a[0] == b[1] for a, b in pairwise(swapped))
            hint = "transpose them all" if fits else "check the order of the list"
            raise ValueError(
                f"`weights[{i}]` of shape {after} takes {after[1]} inputs, but `weights[{i - 1}]` "
                f"of shape {before} gives {before[0]}; matrices are (outputs, inputs): {hint}"
            )


def _biases(biases: Sequence[Any] | None, matrices: list[Array]) -> list[Array | None]:
    if biases is None:
        return [None] * len(matrices)
    if not isinstance(biases, (list, tuple)):
        raise TypeError(f"`biases` must be a list of vectors, got {type(biases).__name__}")
    if len(biases) != len(matrices):
        raise ValueError(
            f"`biases` must hold one vector or None for each of the {len(matrices)} matrices, "
            f"got {len(biases)}"
        )
    vectors: list[Array | None] = []
    for i, (bias, matrix) in enumerate(zip(biases, matrices, strict=True)):
        vector = None if bias is None else as_float_array(bias, f"biases[{i}]", ndim=1)
        if vector is not None and vector.shape != matrix.shape[:1]:
            raise ValueError(
                f"`biases[{i}]` must have {matrix.shape[0]} entries for `weights[{i}]` of shape "
                f"{matrix.shape}, got {vector.size}"
            )
        vectors.append(vector)
    return vectors


def _activations(
    activation: ActivationSpec | Sequence[ActivationSpec], count: int
) -> list[tuple[str, float | None]]:
    if isinstance(activation, str) or _is_pair(activation):
        specs: list[Any] = [activation] * count
    elif isinstance(activation, (list, tuple)):
        specs = list(activation)
    else:
        raise TypeError(
            f"`activation` must be a name or a list of names, got {type(activation).__name__}; "
            f"the names are {', '.join(ACTIVATIONS)}"
        )
    if len(specs) != count:
        raise ValueError(
            f"`activation` must have one entry for each of the {count} gaps between the "
            f"{count + 1} matrices, got {len(specs)}"
        )
    pairs = [spec if _is_pair(spec) else (spec, None) for spec in specs]
    for kind, _ in pairs:
        if kind not in (*ACTIVATIONS, _NONE):
            known = ", ".join((*ACTIVATIONS, _NONE))
            raise ValueError(f"`activation` must be one of {known}, got {kind!r}")
    return pairs


def _is_pair(spec: Any) -> bool:
    """Whether ``spec`` is a name with its parameter."""
    is_pair = isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[0], str)
    return is_pair and isinstance(spec[1], (int, float))
