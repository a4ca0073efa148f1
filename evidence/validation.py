"""The only place where errors about arguments are worded: name, value, way out."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "as_float_array",
    "as_matrix",
    "choice",
    "generator",
    "int_tuple",
    "nonnegative_float",
    "nonnegative_int",
    "positive_float",
    "positive_int",
]


def as_float_array(
    value: Any, name: str, *, ndim: int | tuple[int, ...] | None = None, nonempty: bool = True
) -> NDArray[np.float64]:
    """A finite, contiguous float64 copy-or-view of ``value``, or one clear sentence.

    Parameters
    ----------
    value : array_like
        Nested lists of numbers, a numpy array of float32 or float64 (float32 is converted
        exactly), or a torch tensor on the CPU that does not require grad.
    name : str
        The argument's name in the message.
    ndim : int or tuple of int, optional
        Accepted numbers of dimensions.
    nonempty : bool
        Refuse arrays without entries.

    Raises
    ------
    TypeError
        Integer, bool, complex, object, string, float16 or longdouble arrays, masked arrays, torch
        tensors that require grad or live on another device.
    ValueError
        NaN or infinite entries, wrong number of dimensions, no entries.

    Examples
    --------
    >>> as_float_array([[1.0, 2.0]], "kernel", ndim=2)
    array([[1., 2.]])
    >>> as_float_array([1.0, float("nan")], "kernel")
    Traceback (most recent call last):
    ...
    ValueError: `kernel` must be finite, got nan at index (1,); remove NaN and infinite entries
    """
    array = _real_array(value, name)
    _check_shape(array, name, ndim, nonempty)
    _check_finite(array, name)
    return np.ascontiguousarray(array, dtype=np.float64)


def as_matrix(value: Any, name: str) -> NDArray[Any]:
    """A finite, nonempty, contiguous float64 or complex128 matrix.

    Examples
    --------
    >>> as_matrix([[1j, 0]], "matrix")
    array([[0.+1.j, 0.+0.j]])
    """
    array = value if isinstance(value, np.ndarray) else np.asarray(_detached(value, name))
    if isinstance(array, np.ma.MaskedArray) or not np.iscomplexobj(array):
        return as_float_array(array, name, ndim=2)
    if array.dtype not in (np.dtype(np.complex64), np.dtype(np.complex128)):
        raise TypeError(f"`{name}` must be complex64 or complex128, got {array.dtype}")
    _check_shape(array, name, 2, True)
    _check_finite(array, name)
    return np.ascontiguousarray(array, dtype=np.complex128)


def _real_array(value: Any, name: str) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"`{name}` must not be a masked array, since masks would be ignored; "
            "pass `.filled(...)` or drop the masked entries"
        )
    value = _detached(value, name)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must be a rectangular array of numbers, got nested sequences of different "
            "lengths; make all rows equally long"
        ) from error
    if array.dtype == np.float16:
        raise TypeError(
            f"`{name}` has dtype float16, whose rounding is not accounted for; "
            "convert it with `.astype(np.float64)` if these are the exact weights"
        )
    is_list_of_ints = array.dtype.kind == "i" and not isinstance(value, (np.ndarray, np.generic))
    if is_list_of_ints and array.dtype.kind == "i":
        array = array.astype(np.float64)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise TypeError(
            f"`{name}` must be a float32 or float64 array, got dtype {array.dtype}; "
            "convert it with `.astype(np.float64)`"
        )
    return array


def _detached(value: Any, name: str) -> Any:
    """A numpy view of a torch tensor, recognised without importing torch."""
    if type(value).__module__.split(".")[0] != "torch" or not hasattr(value, "detach"):
        return value
    if value.requires_grad:
        raise TypeError(f"`{name}` is a tensor that requires grad; pass `{name}.detach()`")
    if value.device.type != "cpu":
        raise TypeError(f"`{name}` is a tensor on device {value.device}; pass `{name}.cpu()`")
    if str(value.dtype) in ("torch.float16", "torch.bfloat16"):
        raise TypeError(
            f"`{name}` has dtype {value.dtype}, whose rounding is not accounted for; "
            f"convert it with `{name}.double()` if these are the exact weights"
        )
    return value.numpy()


def _check_shape(
    array: NDArray[Any], name: str, ndim: int | tuple[int, ...] | None, nonempty: bool
) -> None:
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and array.ndim not in allowed:
        wanted = " or ".join(str(d) for d in allowed)
        raise ValueError(f"`{name}` must have {wanted} dimensions, got shape {array.shape}")
    if nonempty and array.size == 0:
        raise ValueError(f"`{name}` must not be empty, got shape {array.shape}")


def _check_finite(array: NDArray[Any], name: str) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        index = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"`{name}` must be finite, got {array[index]} at index {index}; "
            "remove NaN and infinite entries"
        )


def positive_int(value: Any, name: str) -> int:
    """An int at least 1.

    Examples
    --------
    >>> positive_int(0, "stride")
    Traceback (most recent call last):
    ...
    ValueError: `stride` must be at least 1, got 0
    """
    return _integer(value, name, 1)


def nonnegative_int(value: Any, name: str) -> int:
    """An int at least 0."""
    return _integer(value, name, 0)


def _integer(value: Any, name: str, minimum: int) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"`{name}` must be an int, got {_show(value)}")
    if value < minimum:
        raise ValueError(f"`{name}` must be at least {minimum}, got {int(value)}")
    return int(value)


def int_tuple(value: Any, name: str, length: int, *, minimum: int = 1) -> tuple[int, ...]:
    """One int for every axis: an int is repeated, a sequence must have ``length`` entries.

    Examples
    --------
    >>> int_tuple(2, "stride", 2), int_tuple((1, 3), "stride", 2)
    ((2, 2), (1, 3))
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        return (_integer(value, name, minimum),) * length
    entries = tuple(_integer(v, f"{name}[{i}]", minimum) for i, v in enumerate(value))
    if len(entries) != length:
        raise ValueError(
            f"`{name}` must have one entry for each of the {length} spatial axes, got {entries}"
        )
    return entries


def positive_float(value: Any, name: str) -> float:
    """A finite float greater than 0."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be a number, got {_show(value)}")
    if not 0.0 < float(value) < float("inf"):
        raise ValueError(f"`{name}` must be positive and finite, got {float(value):.17g}")
    return float(value)


def nonnegative_float(value: Any, name: str) -> float:
    """A finite float that is at least 0."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be a number, got {_show(value)}")
    if not 0.0 <= float(value) < float("inf"):
        raise ValueError(f"`{name}` must be at least 0 and finite, got {float(value):.17g}")
    return float(value)


def choice(value: Any, name: str, allowed: Sequence[Any]) -> Any:
    """One of the allowed values.

    Examples
    --------
    >>> choice("same", "padding", ["circular", "zeros"])
    Traceback (most recent call last):
    ...
    ValueError: `padding` must be one of 'circular', 'zeros', got 'same'
    """
    for option in allowed:
        if type(option) is type(value) and option == value:
            return option
    for option in allowed:
        if not isinstance(value, bool) and np.isscalar(value) and option == value:
            return option
    listed = ", ".join(repr(a) for a in allowed)
    raise ValueError(f"`{name}` must be one of {listed}, got {_show(value)}")


def generator(value: Any, name: str = "rng") -> np.random.Generator:
    """A numpy random generator; integers and None are refused, so that every draw has an owner."""
    if not isinstance(value, np.random.Generator):
        raise TypeError(
            f"`{name}` must be a numpy.random.Generator, got {_show(value)}; "
            "pass np.random.default_rng(seed)"
        )
    return value


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{type(value).__name__} {text[:57]}..."
