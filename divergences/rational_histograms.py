"""Histograms of integers and fractions: read, compared and summed without rounding."""

from __future__ import annotations

import numbers
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from divergences.masses import common_shape
from evidence.validation import as_float_array

__all__ = ["exact_histograms", "exact_value", "first_difference", "gaps_between", "unequal_totals"]


def _exact_array(value: Any) -> NDArray[Any] | None:
    """Integers and fractions as int64 or object array; None if there is a float among them."""
    if isinstance(value, np.ndarray):
        array = value
    elif isinstance(value, (list, tuple)):
        try:
            array = np.asarray(value)
            if array.dtype.kind not in "iuO":
                return None
            array = np.array(value, dtype=object) if array.dtype.kind != "i" else array
        except ValueError:
            return None
    else:
        return None
    if isinstance(array, np.ma.MaskedArray) or array.ndim == 0 or array.size == 0:
        return None
    if array.dtype.kind in "iu":
        return array.astype(object) if array.dtype.kind == "u" else array.astype(np.int64)
    if array.dtype != object:
        return None
    for entry in array.flat:
        if isinstance(entry, (bool, np.bool_)) or not isinstance(entry, numbers.Rational):
            return None
    return array


def exact_histograms(p: Any, q: Any, normalize: bool) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Both histograms as int64 or object arrays of one shape; None if either holds a float.

    Raises
    ------
    ValueError
        Negative masses, no mass, different totals unless they are normalised.

    Examples
    --------
    >>> exact_histograms([1, 2], [2, 1], False)
    (array([1, 2]), array([2, 1]))
    """
    P, Q = _exact_array(p), _exact_array(q)
    if P is None or Q is None:
        return None
    shape = common_shape(P.shape, Q.shape, -1)
    for array, name in ((P, "p"), (Q, "q")):
        if (array < 0).any():
            index = tuple(int(i) for i in np.argwhere(array < 0)[0])
            raise ValueError(f"`{name}` must be nonnegative, got {array[index]} at index {index}")
    n = P.shape[-1]
    if not _fits(P, n) or not _fits(Q, n):
        P, Q = P.astype(object), Q.astype(object)
    total_p, total_q = P.sum(axis=-1), Q.sum(axis=-1)
    for total, name in ((total_p, "p"), (total_q, "q")):
        if np.any(np.asarray(total) == 0):
            raise ValueError(f"`{name}` must have positive total mass, got 0")
    if normalize:
        P, Q = _quotients(P, total_p), _quotients(Q, total_q)
    elif np.any(total_p != total_q):
        raise unequal_totals(*(v.flat[0] for v in first_difference(total_p, total_q)))
    return np.broadcast_to(P, (*shape, n)), np.broadcast_to(Q, (*shape, n))


def _fits(array: NDArray[Any], n: int) -> bool:
    """Whether sums of n entries stay below 2**61 in int64."""
    return bool(array.dtype == np.int64 and int(array.max()) * n < 2**61)


def _quotients(masses: NDArray[Any], totals: Any) -> NDArray[Any]:
    as_fraction = np.frompyfunc(lambda a, b: Fraction(a) / Fraction(b), 2, 1)
    return np.asarray(
        as_fraction(masses.astype(object), np.asarray(totals, dtype=object)[..., None])
    )


def exact_value(flows: NDArray[Any], gaps: NDArray[Any]) -> Any:
    """``sum gaps * |flows|`` along the last axis, exact unless the gaps are floats.

    Examples
    --------
    >>> exact_value(np.array([2, -1]), np.array([1, Fraction(1, 2)], dtype=object))
    Fraction(5, 2)
    """
    if gaps.dtype != object:
        flows = flows.astype(np.float64)
    elif flows.dtype != object and not _products_fit(flows, gaps):
        flows = flows.astype(object)
    if flows.dtype == np.int64:
        gaps = gaps.astype(np.int64)
    value = (np.abs(flows) * gaps).sum(axis=-1)
    if flows.ndim > 1:
        return np.asarray(value)
    return value.item() if isinstance(value, np.generic) else value


def _products_fit(flows: NDArray[Any], gaps: NDArray[Any]) -> bool:
    """Whether integer gaps times flows add up below 2**62, so that int64 is exact."""
    if not len(gaps) or not all(isinstance(gap, int) for gap in gaps):
        return False
    largest = max(int(flows.max()), -int(flows.min()))
    return bool(largest * max(gaps) * len(gaps) < 2**62)


def gaps_between(spacing: Any, n: int, *, circle: bool) -> NDArray[Any]:
    """One gap per pair of neighbours: object array of exact numbers, or floats."""
    count = n if circle else n - 1
    if isinstance(spacing, numbers.Rational) and not isinstance(spacing, bool):
        exact_gap = Fraction(spacing)
        gaps = np.full(count, int(exact_gap) if exact_gap == int(exact_gap) else exact_gap, object)
    elif isinstance(spacing, numbers.Real) and not isinstance(spacing, (bool, np.bool_)):
        gaps = np.full(count, float(spacing))
    else:
        exact = _exact_array(spacing)
        gaps = (
            exact
            if exact is not None
            else as_float_array(spacing, "spacing", ndim=1, nonempty=False)
        )
        gaps = gaps.astype(object) if exact is not None else gaps
        if gaps.shape != (count,):
            where = "circle" if circle else "line"
            raise ValueError(
                f"`spacing` must be one number or {count} gaps for {n} bins on a {where}, "
                f"got shape {gaps.shape}"
            )
    wrong = [gap for gap in gaps if not 0 < gap < float("inf")]
    if wrong:
        raise ValueError(f"`spacing` must be positive and finite, got {wrong[0]}")
    return gaps


def first_difference(p: Any, q: Any, where: Any = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """The first pair of totals that differ."""
    p, q = np.broadcast_arrays(np.asarray(p), np.asarray(q))
    chosen = np.asarray(p != q if where is None else where)
    return np.atleast_1d(p[chosen]), np.atleast_1d(q[chosen])


def unequal_totals(total_p: Any, total_q: Any) -> ValueError:
    """The error for raw masses of different totals."""
    show = [
        f"{t:.17g}" if isinstance(t, (float, np.floating)) else f"{t}" for t in (total_p, total_q)
    ]
    return ValueError(
        f"`p` and `q` must have equal total mass, got {show[0]} and {show[1]}; "
        "pass `normalize=True` to compare them as distributions"
    )
