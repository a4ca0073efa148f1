"""Orthogonal layers: parametrisations, and what their rounding leaves of the constant 1.

If ``W^T W`` (for a wide matrix ``W W^T``) differs from the identity by ``r`` in spectral norm, all
singular values of ``W`` lie in ``[sqrt(1 - r), sqrt(1 + r)]``: an upper bound of the Lipschitz
constant, and a lower bound of the gradient that the layer passes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike

from evidence import Enclosure
from evidence.rounding import add_up, gamma, mul_up, sqrt_down, sqrt_up, sub_down
from evidence.validation import as_float_array, positive_int
from lipschitz.operators import operator_norm

__all__ = ["OrthogonalityBound", "bjorck", "cayley", "orthogonality_bound"]

T = TypeVar("T")


def bjorck(weight: T, *, iterations: int = 25) -> T:
    """Bring a matrix near the closest one with orthonormal columns (rows, if it is wide).

    First ``W <- W / sqrt(||W||_1 ||W||_inf)``, which makes the spectral norm at most 1, then

        W <- W (3 I - W^T W) / 2,

    which maps every singular value s to ``s (3 - s^2) / 2``, in ``[s, 1]`` for s in [0, 1]. Hence
    the layer is 1-Lipschitz after *any* number of iterations, up to rounding, and s tends to 1,
    finally quadratically: ``1 - s' = (1 - s)^2 (1 + s / 2)``.

    Parameters
    ----------
    weight : float array or torch tensor, shape (m, n)
        Convergence takes about ``log(1 / s) / log(1.5)`` iterations for the smallest singular
        value s after scaling; a singular value 0 stays 0.
    iterations : int

    Returns
    -------
    array or tensor of the same kind
        Differentiable in torch. `orthogonality_bound` certifies what it reached.

    References
    ----------
    Björck and Bowie, SIAM J. Numer. Anal. 8 (1971); Anil, Lucas and Grosse, *Sorting Out Lipschitz
    Function Approximation*, ICML 2019, section 4.2.

    Examples
    --------
    >>> W = bjorck(np.array([[3.0, 1.0], [0.0, 1.0], [1.0, 1.0]]))
    >>> orthogonality_bound(W).norm.upper < 1.0 + 1e-14
    True
    """
    steps = positive_int(iterations, "iterations")
    w: Any = _matrix(weight)
    if w.shape[0] < w.shape[1]:
        transposed: T = bjorck(w.T, iterations=steps).T
        return transposed
    size = abs(w).sum(0).max() * abs(w).sum(1).max()
    if not size > 0.0:
        raise ValueError("`weight` must not be zero: no orthogonal matrix is closest to it")
    w = w / size**0.5
    for _ in range(steps):
        w = 1.5 * w - 0.5 * (w @ (w.T @ w))
    result: T = w
    return result


def cayley(weight: T) -> T:
    """Orthonormal columns (rows, if wide) from any matrix, by the Cayley transform.

    Split the tall ``weight`` into a square ``U`` and the rest ``V``; with ``A = U - U^T + V^T V``

        W = [ (I - A) (I + A)^-1 ;  -2 V (I + A)^-1 ],         W^T W = I.

    ``I + A`` is invertible for every weight, since ``x^T (I + A) x >= |x|^2``.

    Parameters
    ----------
    weight : float array or torch tensor, shape (m, n)
        Unconstrained parameters.

    Returns
    -------
    array or tensor of the same kind
        Differentiable in torch. A square result has determinant 1 and no eigenvalue -1.

    References
    ----------
    Trockman and Kolter, *Orthogonalizing Convolutional Layers with the Cayley Transform*, ICLR
    2021, section 3.

    Examples
    --------
    >>> print(cayley(np.array([[0.0, 1.0], [0.0, 0.0]])))
    [[ 0. -1.]
     [ 1.  0.]]
    >>> orthogonality_bound(cayley(np.ones((5, 3)))).residual.upper < 1e-14
    True
    """
    w: Any = _matrix(weight)
    if w.shape[0] < w.shape[1]:
        transposed: T = cayley(w.T).T
        return transposed
    n = w.shape[1]
    u, v = w[:n], w[n:]
    a = u - u.T + v.T @ v
    # X (I + A)^-1 is the transpose of a solution with (I + A)^T.
    result: Any
    if isinstance(w, np.ndarray):
        eye = np.eye(n, dtype=w.dtype)
        result = np.linalg.solve((eye + a).T, np.concatenate([eye - a, -2.0 * v]).T).T
    else:
        import torch

        one = torch.eye(n, dtype=w.dtype, device=w.device)
        result = torch.linalg.solve((one + a).T, torch.cat([one - a, -2.0 * v]).T).T
    return cast(T, result)


def _matrix(weight: Any) -> Any:
    if not hasattr(weight, "shape") or not hasattr(weight, "T"):
        raise TypeError(
            f"`weight` must be a numpy array or a torch tensor, got {type(weight).__name__}"
        )
    if len(weight.shape) != 2 or 0 in weight.shape:
        raise ValueError(
            f"`weight` must be a nonempty matrix, got shape {tuple(weight.shape)}; these "
            "parametrisations are for dense layers: a reshaped kernel bounds no convolution"
        )
    return weight


@dataclass(frozen=True, slots=True, kw_only=True)
class OrthogonalityBound:
    """How far a matrix is from having orthonormal columns (rows, if it is wide).

    Parameters
    ----------
    norm : Enclosure
        Of the largest singular value: the Lipschitz constant of the layer in l2.
    smallest : Enclosure
        Of the smallest singular value: ``|W x| >= smallest |x|`` for every input of a tall layer,
        ``|W^T y| >= smallest |y|`` for every gradient that a wide one passes back.
    residual : Enclosure
        Of ``||W^T W - I||_2`` (wide: ``W W^T``).

    Examples
    --------
    >>> result = orthogonality_bound([[0.6, -0.8], [0.8, 0.6]])
    >>> result.norm.upper - 1.0 < 1e-14 and 1.0 - result.smallest.lower < 1e-14
    True
    """

    norm: Enclosure
    smallest: Enclosure
    residual: Enclosure


def orthogonality_bound(weight: ArrayLike) -> OrthogonalityBound:
    """Certify how nearly orthogonal a matrix is, and with it its Lipschitz constant.

    Parameters
    ----------
    weight : array_like, shape (m, n)

    Returns
    -------
    OrthogonalityBound
        Of the matrix with exactly these floats.

    Raises
    ------
    ValueError, TypeError
        If the matrix is empty, not two-dimensional or not finite.

    Notes
    -----
    The Gram matrix is computed in floating point; it is off by at most ``gamma(m) |W|^T |W|``
    entrywise (and half a unit of subtracting 1), which enters `operator_norm` as `error`.

    Examples
    --------
    >>> orthogonality_bound([[1.0, 0.0], [0.0, 1.5]]).norm.upper >= 1.5
    True
    """
    w = as_float_array(weight, "weight", ndim=2)
    tall = w if w.shape[0] >= w.shape[1] else np.ascontiguousarray(w.T)
    m, n = tall.shape
    if np.abs(tall).max() > 2.0**400:
        raise ValueError("`weight` is too large for its Gram matrix; an orthogonal one is not")
    difference = tall.T @ tall
    # Also covers the rounding of the subtraction below, at most u (|g| + 1), and of |W|^T |W|.
    constant = add_up(mul_up(2.0, gamma(m + 4)), 2.0**-1000)
    error = constant * (np.abs(tall).T @ np.abs(tall) + np.eye(n)) + 2.0**-1000
    difference.flat[:: n + 1] -= 1.0
    residual = operator_norm(difference, 2, 2, error=error)
    r = residual.upper
    direct = operator_norm(w, 2, 2)
    low = sqrt_down(sub_down(1.0, r)) if r < 1.0 else 0.0
    high = sqrt_up(add_up(1.0, r))
    return OrthogonalityBound(
        norm=Enclosure(max(low, direct.lower), min(high, direct.upper), "Gram residual"),
        smallest=Enclosure(low, min(high, direct.upper), "Gram residual"),
        residual=residual,
    )
