"""GroupSort and MaxMin: activations that lose no gradient.

On every region where the order inside the groups does not change they permute their inputs, so
that their Jacobian is a permutation matrix there: they preserve the norm of every gradient that
passes through, in every l_p. Since they are continuous and piecewise linear they are 1-Lipschitz in
every l_p. A ReLU preserves no gradient where it is closed, which is why 1-Lipschitz ReLU networks
cannot even represent ``|x|``.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from evidence.validation import positive_int

__all__ = ["group_sort", "max_min"]

T = TypeVar("T")


def group_sort(values: T, group_size: int, *, axis: int = -1) -> T:
    """Sort the entries of every group of neighbours along an axis, smallest first.

    1-Lipschitz in every l_p norm: ``||sort(x) - sort(y)||_p <= ||x - y||_p`` (the monotone matching
    is optimal for every convex cost). With ``group_size = n`` it is a full sort.

    Parameters
    ----------
    values : float array or torch tensor
        Any shape.
    group_size : int
        Divides the length of the axis.
    axis : int

    Returns
    -------
    array or tensor of the same kind and shape

    References
    ----------
    Anil, Lucas and Grosse, *Sorting Out Lipschitz Function Approximation*, ICML 2019, section 3.

    Examples
    --------
    >>> group_sort(np.array([3.0, 1.0, 2.0, 0.0]), 2)
    array([1., 3., 0., 2.])
    """
    x: Any = values
    size = positive_int(group_size, "group_size")
    if not hasattr(x, "shape") or not hasattr(x, "reshape"):
        raise TypeError(
            f"`values` must be a numpy array or a torch tensor, got {type(values).__name__}"
        )
    dimensions = len(x.shape)
    if not -dimensions <= axis < dimensions:
        raise ValueError(f"`axis` = {axis} does not exist in an array of shape {tuple(x.shape)}")
    axis %= dimensions
    length = x.shape[axis]
    if length % size:
        raise ValueError(
            f"`group_size` = {size} must divide the length {length} of axis {axis}; pad the layer"
        )
    shape = tuple(x.shape)
    grouped = x.reshape(*shape[:axis], length // size, size, *shape[axis + 1 :])
    if isinstance(grouped, np.ndarray):
        ordered: Any = np.sort(grouped, axis=axis + 1)
    else:
        ordered = grouped.sort(axis + 1).values
    result: T = ordered.reshape(shape)
    return result


def max_min(values: T, *, axis: int = -1) -> T:
    """The larger and the smaller entry of every pair, the larger first: `group_sort` of size 2.

    ``|x|`` and a ReLU are one MaxMin and a linear map of norm 1:
    ``(max(x, -x) - min(x, -x)) / 2 = |x|``.

    Examples
    --------
    >>> max_min(np.array([3.0, 1.0, -2.0, 0.0]))
    array([ 3.,  1.,  0., -2.])
    """
    x: Any = values
    # Sorting -x is an exact way to sort x downwards.
    result: T = -group_sort(-x, 2, axis=axis)
    return result
