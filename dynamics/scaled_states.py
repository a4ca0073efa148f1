"""States as floats times powers of two, so that an orbit may leave the range of floats."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ScaledStates", "largest_entries"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaledStates:
    """Vectors ``values * 2**exponents``.

    Parameters
    ----------
    values : array, shape (k, ..., d)
        Finite.
    exponents : array of int, shape (k, ...) or (k, 1, ..., 1)
        One for each vector, or one for each saved step.

    Examples
    --------
    >>> import numpy as np
    >>> large = ScaledStates(values=np.array([[3.0, 4.0]]), exponents=np.array([10000]))
    >>> bool(abs(large.log_norms()[0] - (np.log(5.0) + 10000 * np.log(2.0))) < 1e-11)
    True
    """

    values: Array
    exponents: NDArray[np.int64]

    def floats(self) -> Array:
        """The vectors themselves; what is too small becomes 0.

        Raises
        ------
        OverflowError
            If an entry exceeds the largest float.

        Examples
        --------
        >>> ScaledStates(values=np.array([[3.0, 4.0]]), exponents=np.array([1])).floats()
        array([[6., 8.]])
        """
        if not self.exponents.any():
            return self.values
        shifts = np.clip(self.exponents, -5000, 5000).astype(np.int32)[..., None]
        with np.errstate(over="ignore", under="ignore"):
            found = np.ldexp(self.values, shifts)
        overflows = np.isinf(found)
        if overflows.any():
            index = int(np.argwhere(overflows)[0][0])
            raise OverflowError(
                f"the state at saved step number {index} exceeds the largest float; "
                "read `log_norms`, or save earlier steps"
            )
        return np.asarray(found)

    def log_norms(self) -> Array:
        """Natural logarithms of the Euclidean norms, shape (k, ...); ``-inf`` for the zero vector.

        Examples
        --------
        >>> ScaledStates(values=np.zeros((1, 2)), exponents=np.array([0])).log_norms()
        array([-inf])
        """
        largest = largest_entries(self.values)
        divisor = np.where(largest > 0.0, largest, 1.0)
        squares = np.square(self.values / divisor[..., None]).sum(axis=-1)
        with np.errstate(divide="ignore"):
            logarithms = np.log(squares)
        return np.asarray(0.5 * logarithms + np.log(divisor) + self.exponents * math.log(2.0))

    def with_inner_shape(self, shape: tuple[int, ...]) -> ScaledStates:
        """The second axis unfolded into several, or into none."""
        k, n, d = self.values.shape
        inner = self.exponents.shape[1]
        unfolded = shape if inner == n else (1,) * len(shape)
        return ScaledStates(
            values=self.values.reshape(k, *shape, d),
            exponents=self.exponents.reshape(k, *unfolded),
        )

    def replaced(self, where: NDArray[np.intp], by: ScaledStates) -> ScaledStates:
        """Some vectors of the second axis exchanged for others."""
        values = self.values.copy()
        exponents = np.broadcast_to(self.exponents, values.shape[:-1]).copy()
        values[:, where], exponents[:, where] = by.values, by.exponents
        return ScaledStates(values=values, exponents=exponents)


def largest_entries(values: Array) -> Array:
    """The largest magnitude in the last axis.

    Examples
    --------
    >>> largest_entries(np.array([[3.0, -4.0]]))
    array([4.])
    """
    if values.shape[-1] > 8:
        return np.asarray(np.abs(values).max(axis=-1))
    # Reductions over a short last axis are slow; whole columns are not.
    columns = [np.abs(values[..., j]) for j in range(values.shape[-1])]
    return functools.reduce(np.maximum, columns)
