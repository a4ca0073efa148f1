"""Closed forms for Gaussians: on the line, vectorised, and in R^d.

On the line a Gaussian is given by mean and standard deviation, in R^d by mean and covariance. All
forms are arranged so that nearly equal Gaussians keep their digits: the textbook
``log(s_q / s_p) + (s_p^2 + (m_p - m_q)^2) / (2 s_q^2) - 1/2`` has none left at ``1e-10``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.masses import check_base

__all__ = [
    "hellinger_normals",
    "kl_gaussians",
    "kl_normals",
    "tv_normals",
    "w1_normals",
    "w2_gaussians",
    "w2_normals",
]

_EPS = 2.0**-52


def kl_normals(
    mean_p: ArrayLike,
    std_p: ArrayLike,
    mean_q: ArrayLike,
    std_q: ArrayLike,
    *,
    base: float | None = None,
) -> Any:
    """``KL(N(m_p, s_p^2) || N(m_q, s_q^2))`` of Gaussians on the line.

    ``log(s_q/s_p) + (s_p^2 + (m_p - m_q)^2) / (2 s_q^2) - 1/2``.

    Parameters
    ----------
    mean_p, mean_q : float or array
        Means; all four arguments broadcast.
    std_p, std_q : float or array
        Standard deviations (not variances), positive.
    base : float, optional
        Unit: nats by default, bits for ``base=2``.

    Returns
    -------
    float or array
        Relative error a few units in the last place, also for nearly equal Gaussians.

    Raises
    ------
    ValueError
        A standard deviation that is not positive, or anything not finite.

    References
    ----------
    Cover and Thomas, *Elements of Information Theory*, 2nd ed., theorem 8.4.1 and exercise 8.9.

    Examples
    --------
    >>> f"{kl_normals(0, 1, 1, 2):.15f}"
    '0.443147180559945'
    >>> f"{kl_normals(0, 1, 1e-10, 1):.12e}"
    '5.000000000000e-21'
    """
    a, s, b, t = _normals(mean_p, std_p, mean_q, std_q)
    excess = (s - t) / t * ((s + t) / t)
    value = 0.5 * (excess_minus_log(excess, 2.0 * np.log(s / t)) + ((a - b) / t) ** 2)
    return as_number(value / check_base(base))


def w1_normals(mean_p: ArrayLike, std_p: ArrayLike, mean_q: ArrayLike, std_q: ArrayLike) -> Any:
    """``W_1`` of two Gaussians on the line: ``E |m + s Z|`` with the differences ``m`` and ``s``.

    ``|s| sqrt(2/pi) exp(-m^2 / (2 s^2)) + |m| erf(|m| / (|s| sqrt 2))``. Arguments as in
    `kl_normals`, but a standard deviation may be 0 (a point mass).

    References
    ----------
    Villani, *Topics in Optimal Transportation*, theorem 2.18 (monotone coupling), since the
    difference of the two quantile functions is ``m + s Phi^{-1}(u)``.

    Examples
    --------
    >>> w1_normals(0, 1, 3, 1)
    3.0
    >>> f"{w1_normals(0, 1, 1, 2):.15f}"
    '1.166630941175373'
    """
    a, s, b, t = _normals(mean_p, std_p, mean_q, std_q, point_masses=True)
    m, spread = np.abs(a - b), np.abs(s - t)
    with np.errstate(all="ignore"):
        z = np.where(spread > 0.0, m / np.where(spread > 0.0, spread, 1.0), math.inf)
        value = spread * math.sqrt(2.0 / math.pi) * np.exp(-0.5 * z * z)
    return as_number(value + m * _erf(z / math.sqrt(2.0)))


def w2_normals(mean_p: ArrayLike, std_p: ArrayLike, mean_q: ArrayLike, std_q: ArrayLike) -> Any:
    """``W_2`` of two Gaussians on the line: ``sqrt((m_p - m_q)^2 + (s_p - s_q)^2)``.

    Arguments as in `kl_normals`, but a standard deviation may be 0 (a point mass).

    References
    ----------
    Givens and Shortt, Michigan Math. J. 31 (1984), proposition 7.

    Examples
    --------
    >>> w2_normals(0, 1, 3, 5)
    5.0
    """
    a, s, b, t = _normals(mean_p, std_p, mean_q, std_q, point_masses=True)
    return as_number(np.hypot(a - b, s - t))


def hellinger_normals(
    mean_p: ArrayLike, std_p: ArrayLike, mean_q: ArrayLike, std_q: ArrayLike
) -> Any:
    """Hellinger distance of two Gaussians on the line, in [0, 1].

    ``H^2 = 1 - sqrt(2 s t / (s^2 + t^2)) exp(-(m_p - m_q)^2 / (4 (s^2 + t^2)))``, by `expm1` and
    `log1p`. Arguments as in `kl_normals`.

    References
    ----------
    Pardo, *Statistical Inference Based on Divergence Measures*, section 1.4.

    Examples
    --------
    >>> f"{hellinger_normals(0, 1, 0, 2) ** 2:.6f}"
    '0.105573'
    """
    a, s, b, t = _normals(mean_p, std_p, mean_q, std_q)
    scale = np.hypot(s, t)
    # 2 s t / (s^2 + t^2) = 1 - ((s - t) / scale)^2, and its complement where that is near 1
    x = ((s - t) / scale) ** 2
    with np.errstate(divide="ignore"):
        logs = np.where(x < 0.5, np.log1p(-np.minimum(x, 0.5)),
                        math.log(2.0) + np.log(s / scale) + np.log(t / scale))  # fmt: skip
    return as_number(np.sqrt(-np.expm1(0.5 * logs - ((a - b) / scale) ** 2 / 4.0)))


def tv_normals(mean_p: ArrayLike, mean_q: ArrayLike, *, std: ArrayLike = 1.0) -> Any:
    """Total variation distance of two Gaussians with the same standard deviation.

    ``erf(|m_p - m_q| / (2 sqrt(2) std))``; for different deviations integrate the densities.

    References
    ----------
    Levin, Peres and Wilmer, *Markov Chains and Mixing Times*, 2nd ed., proposition 4.2, with the
    half-line on which one density is the larger.

    Examples
    --------
    >>> f"{tv_normals(0, 2):.6f}"
    '0.682689'
    """
    a, s, b, _ = _normals(mean_p, std, mean_q, std)
    return as_number(_erf(np.abs(a - b) / s / (2.0 * math.sqrt(2.0))))


def kl_gaussians(
    mean_p: ArrayLike,
    cov_p: ArrayLike,
    mean_q: ArrayLike,
    cov_q: ArrayLike,
    *,
    base: float | None = None,
) -> float:
    """``KL(N(m_p, C_p) || N(m_q, C_q))`` of Gaussians in R^d.

    ``[tr(C_q^-1 C_p) - d - log det(C_q^-1 C_p) + (m_p - m_q)' C_q^-1 (m_p - m_q)] / 2``.

    Parameters
    ----------
    mean_p, mean_q : array_like, shape (d,), or float
        Means. Numbers stand for ``d = 1``.
    cov_p, cov_q : array_like, shape (d, d), or float
        Covariance matrices, symmetric and positive definite; a number is a variance.
    base : float, optional
        Unit: nats by default, bits for ``base=2``.

    Returns
    -------
    float
        From the eigenvalues of ``L^-1 (C_p - C_q) L^-T`` with ``C_q = L L'``, so that nearly equal
        Gaussians keep their digits as far as the condition of ``C_q`` allows.

    Raises
    ------
    ValueError
        A covariance that is not symmetric or not positive definite. For singular ones KL is
        infinite or needs the common support spelled out; use `w2_gaussians`, or project first.

    References
    ----------
    Kullback, *Information Theory and Statistics*, chapter 9, (1.2).

    Examples
    --------
    >>> kl_gaussians([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], [3.0, 4.0], [[1.0, 0.0], [0.0, 1.0]])
    12.5
    >>> kl_gaussians(0.0, 1.0, 1.0, 4.0) == kl_normals(0.0, 1.0, 1.0, 2.0)
    True
    """
    m, C = _gaussian(mean_p, cov_p, "p")
    n, D = _gaussian(mean_q, cov_q, "q")
    _same_dimension(m, n)
    factor_p, factor_q = _cholesky(C, "cov_p"), _cholesky(D, "cov_q")
    if m.size == 1:
        s, t = float(np.sqrt(C[0, 0])), float(np.sqrt(D[0, 0]))
        ratio = (C[0, 0] - D[0, 0]) / D[0, 0]
        value = 0.5 * excess_minus_log(np.asarray(ratio), np.asarray(2.0 * np.log(s / t)))
        return float((value + 0.5 * ((m[0] - n[0]) / t) ** 2) / check_base(base))
    shift = np.linalg.solve(factor_q, m - n)
    half = np.linalg.solve(factor_q, C - D)
    relative = np.linalg.solve(factor_q, half.T)
    excess = np.asarray(np.linalg.eigvalsh((relative + relative.T) / 2.0), dtype=np.float64)
    # Directions in which p is far narrower are resolved by singular values, whose squares the
    # eigenvalues 1 + excess are.
    ratios = np.linalg.svd(np.linalg.solve(factor_q, factor_p), compute_uv=False)[::-1]
    logs = 2.0 * np.log(ratios)
    value = 0.5 * float(np.sum(excess_minus_log(excess, logs))) + 0.5 * float(shift @ shift)
    return max(value, 0.0) / check_base(base)


def w2_gaussians(mean_p: ArrayLike, cov_p: ArrayLike, mean_q: ArrayLike, cov_q: ArrayLike) -> float:
    """``W_2`` of two Gaussians in R^d (Euclidean ground distance).

    ``W_2^2 = |m_p - m_q|^2 + tr(C_p + C_q - 2 (C_p^{1/2} C_q C_p^{1/2})^{1/2})``.

    Parameters
    ----------
    mean_p, mean_q : array_like, shape (d,), or float
        Means.
    cov_p, cov_q : array_like, shape (d, d), or float
        Covariance matrices, symmetric and positive semidefinite; a zero matrix is a point mass, a
        number a variance.

    Returns
    -------
    float
        The Bures part is computed as ``min |A - B U|_F`` over orthogonal ``U``, where
        ``C_p = A A'`` and ``C_q = B B'``, whose error is of the size of rounding in ``A`` and not
        of its square root, as it is for the trace.

    Raises
    ------
    ValueError
        A covariance that is not symmetric, or has an eigenvalue below zero by more than rounding.

    References
    ----------
    Givens and Shortt, Michigan Math. J. 31 (1984), proposition 7; Bhatia, Jain and Lim, Expo.
    Math. 37 (2019), theorem 1, for the orthogonal factor.

    Examples
    --------
    >>> w2_gaussians([0, 0], [[4, 0], [0, 9]], [1.5, 0], [[0, 0], [0, 9]])
    2.5
    """
    m, C = _gaussian(mean_p, cov_p, "p")
    n, D = _gaussian(mean_q, cov_q, "q")
    _same_dimension(m, n)
    A, B = _square_root(C, "cov_p"), _square_root(D, "cov_q")
    left, _, right = np.linalg.svd(B.T @ A)
    return float(np.hypot(np.linalg.norm(m - n), np.linalg.norm(A - B @ (left @ right))))


def excess_minus_log(excess: NDArray[np.float64], logs: NDArray[np.float64]) -> Any:
    """``x - log(1 + x)`` for ``x > -1``; ``logs`` is ``log(1 + x)`` known otherwise."""
    # With r = x / (2 + x), log(1 + x) = 2 atanh r, and x - 2 r = x^2 / (2 + x):
    # x - log(1 + x) = r x - 2 (atanh r - r).
    x = np.asarray(excess, dtype=np.float64)
    near = np.abs(x) < 0.25
    y = np.where(near, x, 0.0)
    r = y / (2.0 + y)
    square = r * r
    series = np.zeros_like(r)
    for k in range(12, -1, -1):  # r^2 < 1/49: the remainder is below 2**-60
        series = series * square + 1.0 / (2 * k + 3)
    return np.where(near, r * y - 2.0 * r * square * series, x - logs)


def _erf(x: NDArray[np.float64]) -> NDArray[np.float64]:
    values = [math.erf(v) for v in np.ravel(x).tolist()]
    return np.array(values, dtype=np.float64).reshape(np.shape(x))


def real_numbers(**arguments: Any) -> list[NDArray[np.float64]]:
    """Finite real numbers or arrays, broadcast against each other."""
    arrays = []
    for name, value in arguments.items():
        array = np.asarray(value)
        if isinstance(value, np.ma.MaskedArray) or array.dtype.kind not in "iuf":
            raise TypeError(f"`{name}` must be a real number or an array of them, got {value!r}")
        array = array.astype(np.float64)
        if not np.all(np.isfinite(array)):
            raise ValueError(f"`{name}` must be finite, got {value!r}")
        arrays.append(array)
    try:
        return list(np.broadcast_arrays(*arrays))
    except ValueError as error:
        shapes = ", ".join(f"`{k}` {np.shape(v)}" for k, v in arguments.items())
        raise ValueError(f"the shapes must broadcast, got {shapes}") from error


def positive(name: str, array: NDArray[np.float64], *, or_zero: bool = False) -> None:
    wrong = array < 0.0 if or_zero else array <= 0.0
    if np.any(wrong):
        least = float(np.min(array))
        sign = "nonnegative" if or_zero else "positive"
        raise ValueError(f"`{name}` must be {sign}, got {least:.17g}")


def _normals(
    mean_p: Any, std_p: Any, mean_q: Any, std_q: Any, *, point_masses: bool = False
) -> list[NDArray[np.float64]]:
    arrays = real_numbers(mean_p=mean_p, std_p=std_p, mean_q=mean_q, std_q=std_q)
    positive("std_p", arrays[1], or_zero=point_masses)
    positive("std_q", arrays[3], or_zero=point_masses)
    return arrays


def as_number(values: Any) -> Any:
    return float(values) if np.ndim(values) == 0 else values


def _gaussian(mean: Any, cov: Any, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    (m,) = real_numbers(**{f"mean_{name}": mean})
    (C,) = real_numbers(**{f"cov_{name}": cov})
    m, C = np.atleast_1d(m), np.atleast_2d(C)
    if m.ndim != 1 or C.shape != (m.size, m.size) or m.size == 0:
        raise ValueError(
            f"`cov_{name}` must have shape (d, d) and `mean_{name}` shape (d,), "
            f"got {np.shape(cov)} and {np.shape(mean)}"
        )
    # A product such as X'X is symmetric up to the rounding of its dot products.
    asymmetry = float(np.max(np.abs(C - C.T)))
    if asymmetry > 64 * m.size * _EPS * float(np.max(np.abs(C))):
        raise ValueError(
            f"`cov_{name}` must be symmetric, but differs from its transpose by {asymmetry:.3g}; "
            "pass (C + C.T) / 2 if that is rounding"
        )
    return m, (C + C.T) / 2.0


def _same_dimension(m: NDArray[np.float64], n: NDArray[np.float64]) -> None:
    if m.size != n.size:
        raise ValueError(
            f"`mean_p` and `mean_q` must have one dimension, got {m.size} and {n.size}"
        )


def _cholesky(C: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    try:
        return np.asarray(np.linalg.cholesky(C), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        least = float(np.linalg.eigvalsh(C)[0])
        raise ValueError(
            f"`{name}` must be positive definite, got smallest eigenvalue {least:.3g}; "
            "a singular Gaussian has no density: project onto its support first"
        ) from error


def _square_root(C: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(C)
    floor = -64 * len(C) * _EPS * float(np.max(np.abs(values)))
    if values[0] < floor:
        raise ValueError(
            f"`{name}` must be positive semidefinite, got smallest eigenvalue {values[0]:.3g}"
        )
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root
