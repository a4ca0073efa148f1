"""Normalisation layers: the constants of those that act on one sample, and the one that does not.

All of them map a vector x of length n to ``g (x - mean) / sqrt(var + eps)``; they differ in what x
is: the features of one sample (layer norm), one channel (instance norm), one feature over the batch
(batch norm in training mode). With ``z = (x - mean) / sqrt(var + eps)`` and ``P = I - 1 1^T / n``
the Jacobian is

    J = diag(g) (P - z z^T / n) / sqrt(var + eps).

``P - z z^T / n`` has the eigenvalues 0 on constants, ``eps / (var + eps)`` on z, and 1 otherwise.
So ``||J|| <= ||diag(g) P|| / sqrt(eps)``, attained where x is constant: with the default eps = 1e-5
a factor of 316 for gains of 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence import Enclosure
from evidence.rounding import UNIT_ROUNDOFF, divide_down, divide_up, sqrt_down, sqrt_up
from evidence.validation import as_float_array, positive_float
from lipschitz.operators import operator_norm

__all__ = [
    "batch_normalization_constant",
    "batch_normalization_jacobian",
    "layer_normalization_constant",
]

_DENSE = 4096


def layer_normalization_constant(gain: ArrayLike, *, eps: float = 1e-5) -> Enclosure:
    """The l2 constant of layer normalisation, ``||diag(g) (I - 1 1^T / n)||_2 / sqrt(eps)``.

    For equal gains of at least two features it is ``|g| / sqrt(eps)``; in general it lies between
    ``sqrt(1 - 1 / n)`` times and once ``max |g| / sqrt(eps)``. Instance and group normalisation are
    the same map on the pixels of a channel (whose gain is one number) or group.

    Parameters
    ----------
    gain : array_like, shape (n,)
        The learned ``gamma``; ones if there is none.
    eps : float
        Positive: with ``eps = 0`` there is no constant.

    Returns
    -------
    Enclosure
        Exactly 0 for one feature, whose output is constant.

    Notes
    -----
    RMS normalisation ``g x / sqrt(mean(x^2) + eps)`` has ``max |g| / sqrt(eps)``: its Jacobian
    lacks the projection P. The gain of a whole layer with several instances is the largest of them.

    References
    ----------
    Ba, Kiros and Hinton, *Layer Normalization*, 2016, eq. (3)-(4), for the map.

    Examples
    --------
    >>> layer_normalization_constant(np.ones(64)).lower > 316.22
    True
    >>> print(layer_normalization_constant([1.0, 0.0], eps=0.5))
    [0.9999999, 1.000001] (constant input)
    """
    g = as_float_array(gain, "gain", ndim=1)
    root = sqrt_down(positive_float(eps, "eps")), sqrt_up(positive_float(eps, "eps"))
    n = len(g)
    if n == 1 or not g.any():
        return Enclosure.exact(0.0, "constant output")
    if n <= _DENSE and not np.all(np.abs(g) == abs(g[0])):
        # Entries g_i (delta_ij - 1 / n), each with two roundings.
        matrix = g[:, None] * (np.eye(n) - 1.0 / n)
        error = 4.0 * UNIT_ROUNDOFF * np.abs(g)[:, None] * np.ones(n) + 2.0**-1000
        middle = operator_norm(matrix, 2, 2, error=error)
        lower, upper = middle.lower, min(middle.upper, float(np.abs(g).max()))
    else:
        upper = float(np.abs(g).max())
        lower = upper if np.all(np.abs(g) == upper) else 0.0
        # ||g_i (e_i - 1/n)|| = |g_i| sqrt(1 - 1/n) is the length of a row.
        lower = max(lower, upper * sqrt_down(1.0 - 1.0 / n) * (1.0 - 2.0**-50))
    return Enclosure(divide_down(lower, root[1]), divide_up(upper, root[0]), "constant input")


def batch_normalization_constant(gain: ArrayLike, *, eps: float = 1e-5) -> Enclosure:
    """The l2 constant of batch normalisation in training mode, as a map of the *whole batch*.

    ``max |g| / sqrt(eps)``, for batches of two samples or more. It is not a constant of a function
    of one sample: there is none. The output at x_i depends on the other samples, so that a
    gradient penalty on ``grad D(x_i)`` has nothing to penalise; see `batch_normalization_jacobian`.

    Parameters
    ----------
    gain : array_like, shape (features,)
        The learned ``gamma``.
    eps : float

    References
    ----------
    Ioffe and Szegedy, ICML 2015, Algorithm 1; Gulrajani et al., NeurIPS 2017, section 4, "No
    critic batch normalization".

    Examples
    --------
    >>> print(batch_normalization_constant([1.0, -2.0], eps=0.25))
    4 exactly (batch of equal samples)
    """
    g = as_float_array(gain, "gain", ndim=1)
    largest, eps = float(np.abs(g).max()), positive_float(eps, "eps")
    return Enclosure(
        divide_down(largest, sqrt_up(eps)),
        divide_up(largest, sqrt_down(eps)),
        "batch of equal samples",
    )


def batch_normalization_jacobian(
    batch: ArrayLike, *, gain: float = 1.0, eps: float = 1e-5
) -> NDArray[np.float64]:
    """Derivatives of all outputs of one feature with respect to all samples of the batch.

    Column j holds the effect of sample j on everybody. Every row and every column adds up to 0: a
    shift of the whole batch changes nothing, and, in front of a linear layer, the gradient of the
    *sum* of the critic's values is 0 at every sample. That sum is what code differentiates to get
    all gradients at once: it sees gradient norms of 0.

    Parameters
    ----------
    batch : array_like, shape (n,)
        The feature's values, at least two.
    gain, eps : float

    Returns
    -------
    float array, shape (n, n)
        In floating point, not certified.

    Examples
    --------
    >>> J = batch_normalization_jacobian([-1.0, 0.0, 1.0], eps=1.0 / 3.0)
    >>> print(J.round(12) + 0.0)
    [[ 0.33333333 -0.33333333  0.        ]
     [-0.33333333  0.66666667 -0.33333333]
     [ 0.         -0.33333333  0.33333333]]
    """
    x = as_float_array(batch, "batch", ndim=1)
    n = len(x)
    if n < 2:
        raise ValueError(f"`batch` must have at least 2 samples, got {n}")
    centred = x - x.mean()
    scale = np.sqrt(np.mean(centred**2) + positive_float(eps, "eps"))
    z = centred / scale
    jacobian: NDArray[np.float64] = gain * (np.eye(n) - 1.0 / n - np.outer(z, z) / n) / scale
    return jacobian
