"""MaxMin in layers that every bound of `lipschitz` knows: two linear maps around a ReLU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evidence.validation import positive_int

if TYPE_CHECKING:
    from lipschitz.layers import Activation, Dense

__all__ = ["max_min_layers"]


def max_min_layers(size: int) -> tuple[Dense, Activation, Dense]:
    """The layers that map ``(a, b)`` to ``(max(a, b), min(a, b))``, half by half.

    ``max(a, b) = relu(a - b) + b`` and ``min(a, b) = a - relu(a - b)`` with
    ``x = relu(x) - relu(-x)``: weights of 0 and 1, so that nothing is rounded but the sums.

    Parameters
    ----------
    size : int
        Even; of the features.

    Notes
    -----
    The function is exact, but the product of the three layers' norms is more than its constant, 1.
    Planar critics get their constant from `lipschitz.exact_by_regions`; networks of orthonormal
    weights are bounded by `lipschitz.orthogonality_bound` of each.

    Raises
    ------
    ValueError
        If ``size`` is odd.

    Examples
    --------
    >>> first, relu, last = max_min_layers(2)
    >>> hidden = first.apply(np.array([[3.0, 5.0]]))
    >>> last.apply(np.maximum(hidden, 0.0))
    array([[5., 3.]])
    """
    from lipschitz.layers import Activation, Dense

    if positive_int(size, "size") % 2:
        raise ValueError(f"`size` must be even, got {size}")
    half = size // 2
    one, none = np.eye(half), np.zeros((half, half))
    first = np.block([[one, -one], [one, none], [-one, none], [none, one], [none, -one]])
    last = np.block([[one, none, none, one, -one], [-one, one, -one, none, none]])
    return (
        Dense(weight=first),
        Activation(kind="relu", input_shape=(5 * half,)),
        Dense(weight=last),
    )
