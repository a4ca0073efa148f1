"""Matrix powers at many steps applied to many vectors: orbits whose cost forgets their length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamics.powers import ScaledPower, scaled_power
from dynamics.protocols import Array
from dynamics.scaled_states import ScaledStates, largest_entries
from evidence.rounding import gamma

__all__ = ["apply_powers", "lost_vectors"]

_DIRECT = 64  # steps up to which each has a power of its own
_UNSCALED = 400  # exponents up to which values are stored as plain floats
_LOST = 2.0**-300


def apply_powers(
    matrix: Array, vectors: Array, wanted: NDArray[np.int64], rows: slice
) -> tuple[ScaledStates, Array, ScaledPower]:
    """Some rows of ``M**t w`` for all wanted ``t`` and all ``w``, and error bounds.

    Parameters
    ----------
    matrix : array, shape (D, D)
        Floats or fractions.
    vectors : array, shape (n, D)
    wanted : array of int, shape (k,)
        Increasing.
    rows : slice
        Which components to keep.

    Returns
    -------
    ScaledStates
        Shape (k, n, rows).
    array, shape (k,)
        Bounds of ``|values - 2**-exponents M**t w| / |w|``.
    ScaledPower
        The power at the last step.

    Notes
    -----
    Equally spaced steps are found by doubling: the vectors at the first ``B`` of them, times one
    power, are those at the next ``B``. Every factor ``P`` with error ``e`` turns vectors of norm at
    most ``v |w|`` and error ``f |w|`` into vectors of error ``||P|| f + e v + gamma(D) ||P||_F (v +
    f)``.

    Examples
    --------
    >>> import numpy as np
    >>> turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    >>> w, steps = np.array([[1.0, 2.0]]), np.array([1, 4])
    >>> found, errors, _ = apply_powers(turn, w, steps, slice(0, 2))
    >>> found.floats()[:, 0].tolist(), bool((errors < 1e-14).all())
    ([[-2.0, 1.0], [1.0, 2.0]], True)
    """
    stride = int(wanted[1] - wanted[0]) if len(wanted) > _DIRECT else 0
    regular = stride > 0 and wanted[0] == 0 and bool((np.diff(wanted[:-1]) == stride).all())
    if not regular:
        return _one_by_one(matrix, vectors, wanted, rows)
    found, errors = _by_doubling(matrix, vectors, len(wanted) - 1, stride, rows)
    # The last step need not be a multiple of the stride.
    final, error, power = _one_by_one(matrix, vectors, wanted[-1:], rows)
    together = ScaledStates(
        values=np.concatenate([found.values, final.values]),
        exponents=np.concatenate([found.exponents, final.exponents]),
    )
    return together, np.append(errors, error), power


def _one_by_one(
    matrix: Array, vectors: Array, wanted: NDArray[np.int64], rows: slice
) -> tuple[ScaledStates, Array, ScaledPower]:
    width = len(range(*rows.indices(len(matrix))))
    values = np.empty((len(wanted), len(vectors), width))
    exponents = np.zeros((len(wanted), 1), dtype=np.int64)
    errors = np.empty(len(wanted))
    power = scaled_power(matrix, 0)
    for index, step in enumerate(wanted.tolist()):
        power = scaled_power(matrix, step)
        unscaled = power.exponent if abs(power.exponent) <= _UNSCALED else 0
        exponents[index] = power.exponent - unscaled
        kept = np.ldexp(power.matrix[rows], unscaled)
        np.matmul(vectors, kept.T, out=values[index])
        errors[index] = np.ldexp(_applied(power, 1.0, 0.0), unscaled)
    return ScaledStates(values=values, exponents=exponents), errors, power


def _by_doubling(
    matrix: Array, vectors: Array, count: int, stride: int, rows: slice
) -> tuple[ScaledStates, Array]:
    values = np.empty((count, *vectors.shape))
    values[0] = vectors
    exponents = np.zeros((count, 1), dtype=np.int64)
    errors, norms = np.zeros(count), np.ones(count)
    done = 1
    while done < count:
        power = scaled_power(matrix, stride * done)
        block = slice(done, min(2 * done, count))
        before = slice(0, block.stop - done)
        np.matmul(values[before], power.matrix.T, out=values[block])
        exponents[block] = exponents[before] + power.exponent
        errors[block] = _applied(power, norms[before], errors[before])
        norms[block] = (power.norm + power.error) * norms[before] * (1.0 + gamma(4))
        done = block.stop
    found = ScaledStates(values=np.ascontiguousarray(values[..., rows]), exponents=exponents)
    return found, errors


def _applied(power: ScaledPower, norms: Array | float, errors: Array | float) -> Array:
    frobenius = float(np.sqrt(np.vdot(power.matrix, power.matrix)))
    rounding = gamma(len(power.matrix)) * frobenius * (norms + errors)
    bound = power.norm * errors + power.error * norms + rounding
    # The Frobenius norm takes n^2 + 2 roundings, the rest a few; all terms are nonnegative.
    return np.asarray(bound * (1.0 + gamma(power.matrix.size + 16)))


def lost_vectors(power: ScaledPower, vectors: Array, found: ScaledStates) -> NDArray[np.intp]:
    """Which vectors have next to nothing in the direction that dominates the powers.

    What is left of them at the last step may be nothing but rounding or underflow.

    Examples
    --------
    >>> import numpy as np
    >>> matrix, vectors = np.diag([2.0, 0.5]), np.array([[0.0, 1.0], [1.0, 1.0]])
    >>> found, _, power = apply_powers(matrix, vectors, np.array([3000]), slice(0, 2))
    >>> lost_vectors(power, vectors, found)
    array([0])
    """
    nothing = np.empty(0, dtype=np.intp)
    if not power.matrix.any():
        return nothing  # a nilpotent iteration: all vectors are at rest
    complete = found.values.shape[-1] == len(power.matrix)
    if complete and np.linalg.svd(power.matrix, compute_uv=False)[-1] >= _LOST:
        return nothing
    exponents = found.exponents[-1] - power.exponent
    left = np.ldexp(largest_entries(found.values[-1]), np.clip(exponents, -2000, 900))
    return np.flatnonzero(left < _LOST * largest_entries(vectors))
