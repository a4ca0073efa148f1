"""Closed forms for exponentials, uniforms and point masses on the line, vectorised.

Arguments broadcast; floats give a float, arrays an array. Infinite answers are ``inf``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.gaussian import as_number, excess_minus_log, positive, real_numbers
from divergences.masses import check_base

__all__ = [
    "js_diracs",
    "js_uniforms",
    "kl_diracs",
    "kl_exponentials",
    "kl_uniforms",
    "tv_diracs",
    "tv_uniforms",
    "w1_exponentials",
    "w1_uniforms",
    "wasserstein_diracs",
]


def kl_exponentials(rate_p: ArrayLike, rate_q: ArrayLike, *, base: float | None = None) -> Any:
    """``KL`` of exponential distributions: ``log(a/b) + b/a - 1`` for rates ``a`` and ``b``.

    Parameters
    ----------
    rate_p, rate_q : float or array
        Rates (inverse means), positive.
    base : float, optional
        Unit: nats by default.

    References
    ----------
    Cover and Thomas, *Elements of Information Theory*, 2nd ed., section 8.5 (the definition).

    Examples
    --------
    >>> f"{kl_exponentials(1, 2):.6f}"
    '0.306853'
    """
    a, b = real_numbers(rate_p=rate_p, rate_q=rate_q)
    positive("rate_p", a)
    positive("rate_q", b)
    return as_number(excess_minus_log((b - a) / a, np.log(b / a)) / check_base(base))


def w1_exponentials(rate_p: ArrayLike, rate_q: ArrayLike) -> Any:
    """``W_1`` of exponential distributions: the difference of the means ``|1/a - 1/b|``.

    The one with the smaller rate is stochastically larger, so that the monotone coupling moves all
    mass in one direction.

    References
    ----------
    Villani, *Topics in Optimal Transportation*, theorem 2.18.

    Examples
    --------
    >>> w1_exponentials(1, 2)
    0.5
    """
    a, b = real_numbers(rate_p=rate_p, rate_q=rate_q)
    positive("rate_p", a)
    positive("rate_q", b)
    return as_number(np.abs(b - a) / a / b)


def kl_uniforms(
    lower_p: ArrayLike,
    upper_p: ArrayLike,
    lower_q: ArrayLike,
    upper_q: ArrayLike,
    *,
    base: float | None = None,
) -> Any:
    """``KL`` of uniform distributions: ``log`` of the ratio of lengths, or ``inf``.

    Finite iff the interval of ``p`` lies in that of ``q``.

    Parameters
    ----------
    lower_p, upper_p, lower_q, upper_q : float or array
        Ends of the intervals, ``lower < upper``.
    base : float, optional
        Unit: nats by default.

    References
    ----------
    Cover and Thomas, *Elements of Information Theory*, 2nd ed., section 8.5 (the definition).

    Examples
    --------
    >>> kl_uniforms(0, 1, 0, 4, base=2), kl_uniforms(0, 4, 0, 1)
    (2.0, inf)
    """
    a, b, c, d = _intervals(lower_p, upper_p, lower_q, upper_q)
    inside = (c <= a) & (b <= d)
    # log1p: what q has more, relative to the length of p.
    more = np.where(inside, ((a - c) + (d - b)) / (b - a), 0.0)
    return as_number(np.where(inside, np.log1p(more), math.inf) / check_base(base))


def tv_uniforms(
    lower_p: ArrayLike, upper_p: ArrayLike, lower_q: ArrayLike, upper_q: ArrayLike
) -> Any:
    """Total variation of uniforms: ``1 - overlap / max(length)``; arguments as in `kl_uniforms`.

    References
    ----------
    Levin, Peres and Wilmer, *Markov Chains and Mixing Times*, 2nd ed., exercise 4.1.

    Examples
    --------
    >>> tv_uniforms(0, 1, 0.25, 1.25)
    0.25
    """
    a, b, c, d = _intervals(lower_p, upper_p, lower_q, upper_q)
    longest = np.maximum(b - a, d - c)
    # The longer interval less the overlap, without cancellation: its two overhangs.
    p_is_longer = (b - a) >= (d - c)
    left = np.maximum(np.where(p_is_longer, c - a, a - c), 0.0)
    right = np.maximum(np.where(p_is_longer, b - d, d - b), 0.0)
    return as_number(np.minimum((left + right) / longest, 1.0))


def js_uniforms(
    lower_p: ArrayLike,
    upper_p: ArrayLike,
    lower_q: ArrayLike,
    upper_q: ArrayLike,
    *,
    base: float | None = None,
) -> Any:
    """Jensen-Shannon divergence of uniforms; arguments as in `kl_uniforms`.

    With lengths ``l, m`` and overlap ``o`` the densities are constant on three pieces:
    ``[log 2 (2 - o/l - o/m) + (o/l) log(2m/(l+m)) + (o/m) log(2l/(l+m))] / 2``.

    References
    ----------
    Lin, IEEE Trans. Inf. Theory 37 (1991), (3.9) (the definition).

    Examples
    --------
    >>> js_uniforms(0, 1, 2, 3, base=2), js_uniforms(0, 1, 0.5, 1.5, base=2)
    (1.0, 0.5)
    """
    a, b, c, d = _intervals(lower_p, upper_p, lower_q, upper_q)
    l, m = b - a, d - c
    o = np.maximum(np.minimum(b, d) - np.maximum(a, c), 0.0)
    r = (m - l) / (l + m)
    # (o/l) log(1 + r) + (o/m) log(1 - r), and what is outside of the overlap costs log 2
    outside_p = (np.minimum(np.maximum(c - a, 0.0), l) + np.minimum(np.maximum(b - d, 0.0), l)) / l
    outside_q = (np.minimum(np.maximum(a - c, 0.0), m) + np.minimum(np.maximum(d - b, 0.0), m)) / m
    shared = o / l * np.log1p(r) + o / m * np.log1p(-r)
    value = 0.5 * (math.log(2.0) * (outside_p + outside_q) + shared)
    return as_number(np.clip(value, 0.0, math.log(2.0)) / check_base(base))


def w1_uniforms(
    lower_p: ArrayLike, upper_p: ArrayLike, lower_q: ArrayLike, upper_q: ArrayLike
) -> Any:
    """``W_1`` of uniforms: the mean of ``|x|`` between the differences of the ends.

    The quantile functions differ by a line from ``u = lower_p - lower_q`` to
    ``v = upper_p - upper_q``: ``|u + v| / 2`` if it does not change sign and
    ``(u^2 + v^2) / (2 |u - v|)`` if it does. Arguments as in `kl_uniforms`; point masses
    (``lower == upper``) are allowed.

    References
    ----------
    Villani, *Topics in Optimal Transportation*, theorem 2.18.

    Examples
    --------
    >>> w1_uniforms(0, 1, 2, 3), w1_uniforms(-1, 1, 0, 0)
    (2.0, 0.5)
    """
    a, b, c, d = _intervals(lower_p, upper_p, lower_q, upper_q, points=True)
    u, v = a - c, b - d
    crossing = (u < 0.0) & (v > 0.0) | (u > 0.0) & (v < 0.0)
    size = np.where(crossing, np.abs(u) + np.abs(v), 1.0)
    crossed = 0.5 * (np.abs(u) * (np.abs(u) / size) + np.abs(v) * (np.abs(v) / size))
    return as_number(np.where(crossing, crossed, 0.5 * np.abs(u + v)))


def kl_diracs(x: ArrayLike, y: ArrayLike) -> float:
    """``KL`` of point masses at ``x`` and ``y``: 0 if they coincide, ``inf`` otherwise.

    Parameters
    ----------
    x, y : float or array_like, shape (d,)
        The two points.

    References
    ----------
    Arjovsky, Chintala and Bottou, *Wasserstein GAN*, ICML 2017, example 1.

    Examples
    --------
    >>> kl_diracs(0.0, 0.0), kl_diracs(0.0, 1e-300)
    (0.0, inf)
    """
    return math.inf if _distinct(x, y) else 0.0


def js_diracs(x: ArrayLike, y: ArrayLike, *, base: float | None = None) -> float:
    """Jensen-Shannon divergence of point masses: 0 or ``log 2``; arguments as in `kl_diracs`.

    References
    ----------
    Arjovsky, Chintala and Bottou, *Wasserstein GAN*, ICML 2017, example 1.

    Examples
    --------
    >>> js_diracs([0.0, 0.0], [1.0, 0.0], base=2)
    1.0
    """
    return (math.log(2.0) if _distinct(x, y) else 0.0) / check_base(base)


def tv_diracs(x: ArrayLike, y: ArrayLike) -> float:
    """Total variation of point masses: 0 or 1; arguments as in `kl_diracs`.

    References
    ----------
    Arjovsky, Chintala and Bottou, *Wasserstein GAN*, ICML 2017, example 1.

    Examples
    --------
    >>> tv_diracs(0.0, 1.0)
    1.0
    """
    return 1.0 if _distinct(x, y) else 0.0


def wasserstein_diracs(x: ArrayLike, y: ArrayLike) -> float:
    """``W_p`` of point masses for every ``p >= 1``: the Euclidean distance of the points.

    Arguments as in `kl_diracs`.

    References
    ----------
    Arjovsky, Chintala and Bottou, *Wasserstein GAN*, ICML 2017, example 1.

    Examples
    --------
    >>> wasserstein_diracs([0.0, 0.0], [3.0, 4.0])
    5.0
    """
    a, b = _points(x, y)
    with np.errstate(over="ignore"):
        difference = np.abs(np.ravel(a - b))
    return math.hypot(*difference.tolist())


def _points(x: Any, y: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    (a,), (b,) = real_numbers(x=x), real_numbers(y=y)
    if a.shape != b.shape or a.ndim > 1 or a.size == 0:
        raise ValueError(
            f"`x` and `y` must be two points of one space, got shapes {np.shape(x)} and "
            f"{np.shape(y)}"
        )
    return a, b


def _distinct(x: Any, y: Any) -> bool:
    a, b = _points(x, y)
    return not np.array_equal(a, b)


def _intervals(
    lower_p: Any, upper_p: Any, lower_q: Any, upper_q: Any, *, points: bool = False
) -> list[NDArray[np.float64]]:
    ends = real_numbers(lower_p=lower_p, upper_p=upper_p, lower_q=lower_q, upper_q=upper_q)
    for name, low, high in (("p", ends[0], ends[1]), ("q", ends[2], ends[3])):
        wrong = low > high if points else low >= high
        if np.any(wrong):
            relation = "must not exceed" if points else "must be below"
            raise ValueError(
                f"`lower_{name}` {relation} `upper_{name}`, got {float(low[wrong].flat[0]):.17g} "
                f"and {float(high[wrong].flat[0]):.17g}"
            )
    return ends
