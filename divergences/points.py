"""Positions of atoms and their weights: what transport accepts, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.masses import as_masses
from evidence.validation import as_float_array

__all__ = [
    "as_clouds",
    "as_points",
    "as_weights",
    "check_order",
    "power_of_two_scale",
    "refuse_columns",
    "shape_of",
]

_EXACT_INTEGERS = 2**53


def as_points(
    value: Any,
    name: str,
    *,
    ndim: int | tuple[int, ...] | None = None,
    weights: NDArray[np.float64] | None = None,
    check_finite: bool = True,
    keep_finite: bool = False,
) -> NDArray[Any]:
    """Positions as a float array, integers converted exactly.

    Parameters
    ----------
    value : array_like
        float64, float32, or integers up to ``2**53``.
    name : str
        The argument's name in messages.
    ndim : int or tuple of int, optional
        Accepted numbers of dimensions.
    weights : array, shape of the leading axes of ``value``, optional
        Checked weights. An atom without mass is moved onto the heaviest one of its row, so that
        its position, even NaN, does not matter.
    keep_finite : bool
        Move only those atoms without mass that are not finite.
    check_finite : bool
        False leaves this to the caller, who must; such an array keeps its dtype.

    Raises
    ------
    TypeError, ValueError
        Everything ``evidence.validation.as_float_array`` refuses, pandas objects, and integers
        that no float64 holds.

    Examples
    --------
    >>> as_points([0, 1], "x"), as_points([0.0, float("nan")], "x", weights=np.array([1.0, 0.0]))
    (array([0., 1.]), array([0., 0.]))
    """
    if type(value).__module__.split(".")[0] == "pandas":
        raise TypeError(
            f"`{name}` must be an array, got a pandas {type(value).__name__}, whose index would be "
            f"ignored; align it and pass `{name}.to_numpy()`"
        )
    if isinstance(value, (int, float)) or (hasattr(value, "ndim") and value.ndim == 0):
        raise ValueError(f"`{name}` must have an axis of atoms, got the single number {value}")
    array = _integers_as_floats(value, name)
    if weights is not None and not weights.all():
        array = _without_empty_atoms(array, name, weights, keep_finite)
    if check_finite:
        return as_float_array(array, name, ndim=ndim)
    plain = isinstance(array, np.ndarray) and not isinstance(array, np.ma.MaskedArray)
    if not plain or array.dtype.char not in "df" or not array.dtype.isnative or array.size == 0:
        return as_float_array(array, name, ndim=ndim)
    if ndim is not None and array.ndim not in (ndim if isinstance(ndim, tuple) else (ndim,)):
        return as_float_array(array, name, ndim=ndim)
    plain_array: NDArray[Any] = array
    return plain_array


def _integers_as_floats(value: Any, name: str) -> Any:
    if isinstance(value, np.ma.MaskedArray) or not isinstance(value, (np.ndarray, list, tuple)):
        return value
    try:
        array = np.asarray(value)
    except ValueError:
        return value  # ragged: worded by `as_float_array`
    if array.dtype.kind in "iu" and array.size:
        if max(abs(int(array.min())), abs(int(array.max()))) > _EXACT_INTEGERS:
            raise ValueError(
                f"`{name}` holds integers beyond 2**53, which float64 cannot tell apart; "
                "subtract a common offset first"
            )
        return array.astype(np.float64)
    return array


def _without_empty_atoms(
    array: Any, name: str, weights: NDArray[np.float64], keep_finite: bool
) -> Any:
    """Move atoms of mass zero onto the heaviest atom of their row."""
    if not isinstance(array, np.ndarray):
        array = np.array(as_float_array(array, name))
    if array.shape[: weights.ndim] != weights.shape or array.dtype.kind != "f":
        return array
    heaviest = np.argmax(weights, axis=-1)
    moved = array.copy()
    for row in np.ndindex(weights.shape[:-1]):
        empty = weights[row] == 0.0
        if keep_finite:
            empty &= ~np.isfinite(array[row]).reshape(len(empty), -1).all(axis=1)
        moved[row][empty] = array[row][heaviest[row]]
    return moved


def as_weights(
    value: ArrayLike | None, name: str, shape: tuple[int, ...], of: str, *, normalize: bool
) -> NDArray[np.float64] | None:
    """Weights divided by their totals, or None for equal weights.

    Raises
    ------
    TypeError, ValueError
        What ``as_masses`` refuses, and a shape other than ``shape``, that of the atoms ``of``.

    Examples
    --------
    >>> as_weights([1, 3], "x_weights", (2,), "x", normalize=True)
    array([0.25, 0.75])
    """
    if value is None:
        return None
    masses, totals = as_masses(value, name, normalize=normalize)
    if masses.shape != shape:
        raise ValueError(
            f"`{name}` must have one weight per atom of `{of}`, shape {shape}, got {masses.shape}"
        )
    divided: NDArray[np.float64] = masses / totals[..., None]
    return divided


def as_clouds(
    x: Any,
    y: Any,
    x_weights: ArrayLike | None,
    y_weights: ArrayLike | None,
    *,
    normalize: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Two clouds of atoms in R^d, shapes (n, d) and (m, d), and their weights.

    Points without an axis of coordinates, shape (n,), lie on the line.

    Examples
    --------
    >>> as_clouds([0.0, 1.0], [2.0], None, None)[0].shape
    (2, 1)
    """
    a = _cloud_weights(x, x_weights, "x", normalize)
    b = _cloud_weights(y, y_weights, "y", normalize)
    P = as_points(x, "x", ndim=(1, 2), weights=a, keep_finite=True)
    Q = as_points(y, "y", ndim=(1, 2), weights=b, keep_finite=True)
    if P.ndim != Q.ndim or P.shape[1:] != Q.shape[1:]:
        raise ValueError(
            f"`x` and `y` must be clouds in one space, got shapes {P.shape} and {Q.shape}; "
            "rows are atoms, columns are coordinates"
        )
    a = np.full(len(P), 1.0 / len(P)) if a is None else a
    b = np.full(len(Q), 1.0 / len(Q)) if b is None else b
    return P.reshape(len(P), -1), Q.reshape(len(Q), -1), a, b


def _cloud_weights(
    points: Any, weights: ArrayLike | None, name: str, normalize: bool
) -> NDArray[np.float64] | None:
    if weights is None:
        return None
    length = len(points) if hasattr(points, "__len__") else 1
    return as_weights(weights, f"{name}_weights", (length,), name, normalize=normalize)


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of an array not yet checked; ragged lists, worded elsewhere, have none."""
    try:
        return tuple(np.shape(value))
    except ValueError:
        return ()


def refuse_columns(value: Any, name: str, what: str) -> None:
    """A column of one entry per row is a vector that lies the wrong way.

    Examples
    --------
    >>> refuse_columns(np.ones((1, 3)), "x", "sample")
    >>> refuse_columns(np.ones((3, 1)), "x", "sample")
    Traceback (most recent call last):
    ...
    ValueError: `x` of shape (3, 1) holds one sample per distribution; pass `x[..., 0]`, samples of
    one distribution stand on the last axis
    """
    shape = shape_of(value)
    if len(shape) > 1 and shape[-1] == 1 and max(shape) > 1:
        raise ValueError(
            f"`{name}` of shape {shape} holds one {what} per distribution; pass `{name}[..., 0]`, "
            f"{what}s of one distribution stand on the last axis"
        )


def check_order(p: Any, name: str = "p") -> float:
    """The order of a Wasserstein distance: a number from 1 to infinity.

    Examples
    --------
    >>> check_order(2)
    2.0
    """
    if isinstance(p, bool) or not isinstance(p, (int, float, np.integer, np.floating)):
        raise TypeError(f"`{name}` must be a number from 1 to inf, got {p!r}")
    if not p >= 1:
        raise ValueError(
            f"`{name}` must be at least 1, got {float(p):.17g}; below 1 no root makes a distance"
        )
    return float(p)


def power_of_two_scale(largest: float) -> int:
    """Exponent by which to divide positions so that differences neither over- nor underflow.

    Zero in the ordinary range, so that nothing changes there.

    Examples
    --------
    >>> power_of_two_scale(1e10), power_of_two_scale(1e308)
    (0, 1024)
    """
    if largest == 0.0 or 1e-140 < largest < 1e140:
        return 0
    return math.frexp(largest)[1]
