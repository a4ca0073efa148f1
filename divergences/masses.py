"""Masses of finite distributions: what is accepted, what is refused, and how it is normalised.

A vector of masses is a probability vector if it is finite, nonnegative and sums to one. Sums within
``1e-9`` of one (``1e-5`` for float32, whose softmax is no better) are taken for rounded
probabilities and divided out; any other sum is refused unless the caller says that the entries are
counts. Nothing is clipped, dropped or broadcast along the outcomes in silence.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "SUM_TOLERANCE",
    "SUM_TOLERANCE_FLOAT32",
    "MassPair",
    "as_mass_pair",
    "as_masses",
    "as_probabilities",
    "check_base",
    "is_tensor",
]

SUM_TOLERANCE = 1e-9
"""How far from one the sum of float64 masses may be before it is refused."""
SUM_TOLERANCE_FLOAT32 = 1e-5
"""The same for float32: the rounding of a softmax over a million outcomes stays below it."""

# Totals this close do not move a divergence by more than a relative 2**-46.
_NEGLIGIBLE = 2.0**-46
# Beyond this relative difference of two totals the difference of masses is cross-multiplied.
_FAR_TOTALS = 2.0**-10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MassPair:
    """Two checked batches of masses over the same outcomes, not yet divided by their totals.

    Attributes
    ----------
    p, q : array, shape (rows, n)
        Nonnegative masses.
    total_p, total_q : array, shape (rows,)
        Their sums, all positive.
    shape : tuple of int
        The leading axes that ``rows`` flattens.
    """

    p: NDArray[np.float64]
    q: NDArray[np.float64]
    total_p: NDArray[np.float64]
    total_q: NDArray[np.float64]
    shape: tuple[int, ...]

    def exchanged(self) -> MassPair:
        """The pair ``(q, p)``."""
        return MassPair(
            p=self.q,
            q=self.p,
            total_p=self.total_q,
            total_q=self.total_p,
            shape=self.shape,
        )

    def quotients(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``p / total_p`` and ``q / total_q``; totals within ``2**-46`` of one are left alone."""
        return _divided(self.p, self.total_p), _divided(self.q, self.total_q)

    def rows(self, chosen: NDArray[np.intp] | slice) -> MassPair:
        """Some of the rows, as a batch with one leading axis."""
        p = self.p[chosen]
        return MassPair(
            p=p,
            q=self.q[chosen],
            total_p=self.total_p[chosen],
            total_q=self.total_q[chosen],
            shape=(len(p),),
        )

    def normalised(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """``p / total_p``, ``q / total_q`` and their difference without cancellation.

        Near equality the quotients agree in all their digits but the last few, and their
        difference is noise. The masses themselves are the data, and ``p - q`` is exact when they
        are within a factor of two, so that ``(p - q - q (A - B) / B) / A``, with ``A - B`` the sum
        of ``p - q``, keeps its relative accuracy. Counts are cross-multiplied instead, which is
        exact below ``2**53``.
        """
        p, q = self.quotients()
        A, B = self.total_p[:, None], self.total_q[:, None]
        difference = self.p - self.q
        excess = difference.sum(axis=-1, keepdims=True)
        excess /= B
        if np.all(np.abs(excess) <= _FAR_TOTALS):
            difference -= self.q * excess
        else:
            difference = self.p * B - self.q * A
            difference /= B
        if p is not self.p:
            difference /= A
        return p, q, difference

    def result(self, values: NDArray[np.float64]) -> Any:
        """One number per row in the shape of the leading axes; a float if there are none."""
        return float(values[0]) if self.shape == () else values.reshape(self.shape)


def as_mass_pair(
    p: ArrayLike, q: ArrayLike, *, normalize: bool = False, axis: int = -1
) -> MassPair:
    """Check two batches of masses; leading axes broadcast, outcomes never do.

    Examples
    --------
    >>> as_mass_pair([0.5, 0.5], [1.0])
    Traceback (most recent call last):
    ...
    ValueError: `p` and `q` must have equally many outcomes, got 2 and 1 along axis -1
    """
    masses_p, total_p = as_masses(p, "p", normalize=normalize, axis=axis)
    masses_q, total_q = as_masses(q, "q", normalize=normalize, axis=axis)
    shape = common_shape(masses_p.shape, masses_q.shape, axis)
    n = masses_p.shape[-1]
    if masses_p.shape != masses_q.shape:
        masses_p, masses_q = (np.broadcast_to(m, (*shape, n)) for m in (masses_p, masses_q))
        total_p, total_q = np.broadcast_to(total_p, shape), np.broadcast_to(total_q, shape)
    rows = math.prod(shape)
    return MassPair(
        p=masses_p.reshape(rows, n),
        q=masses_q.reshape(rows, n),
        total_p=total_p.reshape(rows),
        total_q=total_q.reshape(rows),
        shape=shape,
    )


def common_shape(shape_p: tuple[int, ...], shape_q: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Leading axes of two batches whose outcomes stand last."""
    if shape_p == shape_q:
        return shape_p[:-1]
    if shape_p[-1] != shape_q[-1]:
        raise ValueError(
            f"`p` and `q` must have equally many outcomes, got {shape_p[-1]} and {shape_q[-1]} "
            f"along axis {axis}"
        )
    try:
        return np.broadcast_shapes(shape_p[:-1], shape_q[:-1])
    except ValueError as error:
        raise ValueError(
            f"`p` and `q` must have leading axes that broadcast, got {shape_p[:-1]} and "
            f"{shape_q[:-1]}"
        ) from error


def as_masses(
    value: ArrayLike, name: str, *, normalize: bool = False, axis: int = -1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Checked masses with the outcomes on the last axis, and their totals.

    Parameters
    ----------
    value : array_like, shape (..., n)
        float64, float32 (converted exactly) or integers (counts).
    name : str
        The argument's name in messages.
    normalize : bool
        Accept any positive finite total. Masses whose total would overflow, or is subnormal, are
        scaled by a power of two first.
    axis : int
        Where the outcomes are.

    Returns
    -------
    masses : array, shape (..., n)
        Nonnegative, not yet divided by the totals.
    totals : array, shape (...)

    Raises
    ------
    TypeError
        Bool, complex, object, string, float16 or longdouble entries, None, masked arrays, pandas
        objects (their index would be ignored), tensors that require grad or live elsewhere.
    ValueError
        NaN, infinite or negative masses, no outcomes, no mass, a sum that is not one.

    Examples
    --------
    >>> as_masses([3, 2, 1, 4], "p", normalize=True)
    (array([3., 2., 1., 4.]), array(10.))
    >>> as_masses([3, 2, 1, 4], "p")
    Traceback (most recent call last):
    ...
    ValueError: `p` must sum to 1, got 10; pass `normalize=True` if it holds counts
    """
    array = _as_real_array(value, name)
    tolerance = SUM_TOLERANCE_FLOAT32 if array.dtype == np.float32 else SUM_TOLERANCE
    check_flag(normalize, "normalize")
    check_axis(axis, array.ndim, array.shape, name)
    check_outcomes(array.shape, name, axis, normalize)
    if axis not in (-1, array.ndim - 1):
        array = np.moveaxis(array, axis, -1)
    masses = np.ascontiguousarray(array, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        totals = masses.sum(axis=-1)
    _check_entries(masses, totals, name)
    if normalize:
        masses, totals = _scaled(masses, totals)
    check_totals(totals, name, tolerance, normalize)
    return masses, np.asarray(totals, dtype=np.float64)


def as_probabilities(
    value: ArrayLike, name: str, *, normalize: bool = False, axis: int = -1
) -> NDArray[np.float64]:
    """Checked masses divided by their totals, with the outcomes on the last axis.

    Examples
    --------
    >>> as_probabilities([3, 1], "p", normalize=True)
    array([0.75, 0.25])
    """
    masses, totals = as_masses(value, name, normalize=normalize, axis=axis)
    return _divided(masses, totals)


def check_flag(value: Any, name: str) -> None:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`{name}` must be True or False, got {value!r}")


def check_axis(axis: Any, ndim: int, shape: tuple[int, ...], name: str) -> None:
    """The axis of the outcomes must exist."""
    if isinstance(axis, bool) or not isinstance(axis, numbers.Integral):
        raise TypeError(f"`axis` must be an int, got {axis!r}")
    if ndim == 0:
        raise ValueError(
            f"`{name}` must have an axis of outcomes, got a single number; "
            f"for a coin pass the pair [{name}, 1 - {name}]"
        )
    if not -ndim <= int(axis) < ndim:
        raise ValueError(f"`axis` must be an axis of `{name}` of shape {shape}, got {axis}")


def check_outcomes(shape: tuple[int, ...], name: str, axis: int, normalize: bool) -> None:
    """There must be outcomes, and more than one if a batch is normalised row by row."""
    if 0 in shape:
        raise ValueError(f"`{name}` must not be empty, got shape {shape}")
    if normalize and shape[axis] == 1 and len(shape) > 1 and max(shape) > 1:
        other = next(i for i, size in enumerate(shape) if size > 1)
        raise ValueError(
            f"`{name}` of shape {shape} holds one outcome per distribution along axis {axis}, "
            f"which `normalize=True` turns into 1; pass `axis={other}` or reshape it"
        )


def check_totals(totals: Any, name: str, tolerance: float, normalize: bool) -> None:
    """Totals of nonnegative masses: positive, and one unless they are divided out."""
    totals = np.asarray(totals)
    if not normalize:
        wrong = np.abs(totals - 1.0) > tolerance
        if wrong.any():
            total, where = _first(totals, wrong)
            raise ValueError(
                f"`{name}` must sum to 1, got {total:.17g}{where}; "
                "pass `normalize=True` if it holds counts"
            )
    empty = totals == 0.0
    if empty.any():
        raise ValueError(f"`{name}` must have positive total mass, got 0{_first(totals, empty)[1]}")


def check_base(base: Any) -> float:
    """Natural logarithm of the base of the units: 1 for nats, log 2 for bits.

    Examples
    --------
    >>> check_base(None), check_base(2)
    (1.0, 0.6931471805599453)
    """
    if base is None:
        return 1.0
    if isinstance(base, (bool, np.bool_)) or not isinstance(base, numbers.Real):
        raise TypeError(f"`base` must be a number or None for nats, got {base!r}")
    if not 1.0 < float(base) < float("inf"):
        raise ValueError(f"`base` must be finite and greater than 1, got {float(base):.17g}")
    return float(np.log(float(base)))


def is_tensor(value: Any) -> bool:
    """Whether this is a torch tensor, found out without importing torch."""
    return any(
        kind.__module__.split(".")[0] == "torch" and kind.__name__ == "Tensor"
        for kind in type(value).__mro__
    )


def negative_mass(name: str, value: float, where: str) -> ValueError:
    return ValueError(
        f"`{name}` must be nonnegative, got {value:.17g}{where}; "
        f"if that is rounding, pass `{name}.clip(0)`"
    )


def _as_real_array(value: Any, name: str) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"`{name}` must not be a masked array, since masks would be ignored; "
            "pass `.filled(0)` or drop the masked entries"
        )
    if type(value).__module__.split(".")[0] == "pandas":
        raise TypeError(
            f"`{name}` must be an array, got a pandas {type(value).__name__}, whose index would be "
            f"ignored; align it and pass `{name}.to_numpy()`"
        )
    value = detached(value, name)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must be a rectangular array of numbers, got nested sequences of different "
            "lengths; make all rows equally long"
        ) from error
    if array.dtype.kind in "iu" or array.dtype.type in (np.float64, np.float32):
        return array
    raise TypeError(
        f"`{name}` must hold float64, float32 or integer masses, got dtype {array.dtype}; "
        "convert it with `.astype(np.float64)` if that keeps its meaning"
    )


def detached(value: Any, name: str) -> Any:
    """The numpy view of a tensor on the CPU without a graph; anything else as it is."""
    if not is_tensor(value):
        return value
    if value.requires_grad:
        raise TypeError(f"`{name}` is a tensor that requires grad; pass `{name}.detach()`")
    if value.device.type != "cpu":
        raise TypeError(f"`{name}` is a tensor on device {value.device}; pass `{name}.cpu()`")
    if str(value.dtype) == "torch.bfloat16":
        raise TypeError(
            f"`{name}` must hold float64, float32 or integer masses, got dtype {value.dtype}; "
            f"pass `{name}.double()`"
        )
    return value.numpy()


def _check_entries(masses: NDArray[np.float64], totals: NDArray[Any], name: str) -> None:
    if not np.all(np.isfinite(totals)) and not np.all(finite := np.isfinite(masses)):
        value, where = _first(masses, ~finite)
        raise ValueError(f"`{name}` must be finite, got {value}{where}")
    if masses.min() < 0.0:
        raise negative_mass(name, *_first(masses, masses < 0.0))


def _scaled(
    masses: NDArray[np.float64], totals: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Bring totals that overflow or are tiny near one, by exact powers of two."""
    extreme = (totals > 2.0**200) | ((totals < 2.0**-200) & (totals > 0.0))
    if not extreme.any():
        return masses, totals
    exponents = np.frexp(masses.max(axis=-1))[1]
    shifts = np.where(extreme, -exponents, 0)
    # In two steps, since 2**1074 is no float; entries that underflow are below 2**-1000 of the sum.
    half = shifts // 2
    masses = np.ldexp(np.ldexp(masses, half[..., None]), (shifts - half)[..., None])
    return masses, masses.sum(axis=-1)


def _divided(masses: NDArray[np.float64], totals: NDArray[np.float64]) -> NDArray[np.float64]:
    if np.all(np.abs(totals - 1.0) <= _NEGLIGIBLE):
        return masses
    return masses / totals[..., None]


def _first(values: Any, wrong: Any) -> tuple[float, str]:
    """The first offending value, and where it stands if there is more than one place."""
    values = np.asarray(values)
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = f" at index {index if len(index) > 1 else index[0]}" if index else ""
    return float(values[index]), where
