"""Divergences estimated from samples: what is consistent, how fast, and with what confidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.rounding import add_up, divide_up, mul_down, mul_up, sub_up, sum_down, sum_up
from evidence.validation import as_float_array, positive_int

__all__ = ["ConfidenceBand", "PlugInW1", "kl_nearest_neighbours", "w1_dkw_band", "w1_plug_in"]

Array = NDArray[np.float64]


def kl_nearest_neighbours(x: ArrayLike, y: ArrayLike, *, neighbours: int = 1) -> float:
    """Estimate ``KL(p || q)`` in nats from samples, by distances to the k-th nearest neighbours.

    ``d / n sum_i log(nu_k(i) / rho_k(i)) + log(m / (n - 1))``, where ``rho_k(i)`` is the Euclidean
    distance from ``x_i`` to its k-th neighbour among the other ``x`` and ``nu_k(i)`` that to its
    k-th neighbour among the ``y``.

    Parameters
    ----------
    x : array, shape (n,) or (n, d)
        Independent draws from ``p``; more than ``neighbours`` of them.
    y : array, shape (m,) or (m, d)
        Independent draws from ``q``, independent of ``x``.
    neighbours : int
        k: a larger one lowers the variance and raises the bias.

    Returns
    -------
    float
        An estimate without an error bound. It can be negative.

    Raises
    ------
    ValueError
        If there are too few points, the dimensions differ, or points coincide so that a distance
        is 0: the estimator needs densities, and rounded or repeated data have none.

    Notes
    -----
    Consistent, almost surely, for ``k / n -> 0`` and ``k / log n -> inf``; with fixed k in mean
    square, if both densities are smooth with light tails and bounded ratio. The bias of a fixed k
    vanishes like ``n^(-1/d)`` up to logarithms and is negative, often grossly, where ``KL`` exceeds
    about ``log m``: no sample shows densities that differ by more than its size.

    References
    ----------
    Wang, Kulkarni and Verdu, Divergence estimation for multidimensional densities via
    k-nearest-neighbor distances, IEEE Trans. Inf. Theory 55 (2009), theorems 1 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(0, 1, 20_000), rng.normal(1, 2, 20_000)
    >>> 0.39 < kl_nearest_neighbours(x, y, neighbours=10) < 0.49  # log 2 - 1/4 = 0.443
    True
    """
    from scipy.spatial import KDTree

    k = positive_int(neighbours, "neighbours")
    points, others = _points(x, "x"), _points(y, "y")
    (n, d), m = points.shape, others.shape[0]
    if others.shape[1] != d:
        raise ValueError(f"`y` must have points of dimension {d} as `x` has, got {others.shape[1]}")
    for name, size, needed in (("x", n, k + 1), ("y", m, k)):
        if size < needed:
            raise ValueError(
                f"`{name}` must hold at least {needed} points for `neighbours` = {k}, got {size}"
            )
    rho = KDTree(points).query(points, k=[k + 1])[0][:, 0]
    nu = KDTree(others).query(points, k=[k])[0][:, 0]
    for name, distances in (("x", rho), ("y", nu)):
        ties = int(np.count_nonzero(distances == 0.0))
        if ties:
            raise ValueError(
                f"`{name}` has {ties} distances of 0 to neighbour {k}, where the estimator is "
                "infinite; it needs densities: pass unrounded data, a larger `neighbours`, or "
                "compare frequencies by kl"
            )
    return float(d * np.mean(np.log(nu) - np.log(rho)) + math.log(m / (n - 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlugInW1:
    """The Wasserstein distance of two samples, and how far it may be off on average.

    Parameters
    ----------
    value : float
        ``W_1(P_n, Q_m)``, which on average is too large: ``E value >= W_1(P, Q)``.
    expected_error : float
        Estimate of the bound ``J(P) / sqrt(n) + J(Q) / sqrt(m)`` on ``E |value - W_1(P, Q)|``.

    Examples
    --------
    >>> PlugInW1(value=1.0, expected_error=0.25).value
    1.0
    """

    value: float
    expected_error: float


def w1_plug_in(x: ArrayLike, y: ArrayLike) -> PlugInW1:
    """Estimate ``W_1(P, Q)`` on the line by that of the samples, with its rate.

    ``E |W_1(P_n, Q_m) - W_1(P, Q)| <= J(P) / sqrt(n) + J(Q) / sqrt(m)`` with
    ``J(P) = int sqrt(F (1 - F)) dx``, which is finite if P has slightly more than two moments.

    Parameters
    ----------
    x : array, shape (n,)
        Independent draws from P.
    y : array, shape (m,)
        Independent draws from Q.

    Returns
    -------
    PlugInW1
        ``expected_error`` is the bound with the samples' J in place of those of P and Q.

    Raises
    ------
    TypeError, ValueError
        If an argument is no nonempty vector of finite floats.

    Notes
    -----
    The rate is n^(-1/2) on the line; in dimension d > 2 it is n^(-1/d), and the plug-in value says
    little: 1000 standard normal points against 1000 more have distance 0.05 in one dimension and
    0.35 in three, where the true value is 0. That E W_1(P_n, Q_m) is at least W_1(P, Q) follows
    from the dual form, a supremum of linear functionals, by Jensen's inequality.

    References
    ----------
    Bobkov and Ledoux, One-dimensional empirical measures, order statistics, and Kantorovich
    transport distances, Memoirs AMS 1259 (2019), theorem 3.2.

    Examples
    --------
    >>> w1_plug_in([0.0, 1.0, 2.0, 3.0], [2.0, 3.0, 4.0, 5.0]).value
    2.0
    """
    a, b = _sorted_line(x, "x"), _sorted_line(y, "y")
    gaps, f, g = _steps(a, b)
    value = float(np.abs(f - g) @ gaps)
    error = sum(
        float(np.sqrt(h * (1.0 - h)) @ gaps) / math.sqrt(size)
        for h, size in ((f, a.size), (g, b.size))
    )
    return PlugInW1(value=value, expected_error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceBand:
    """An interval that holds the unknown number with a stated probability: no enclosure.

    Parameters
    ----------
    estimate : float
        The plug-in value.
    lower, upper : float
        ``P(lower <= unknown <= upper) >= confidence``, for every pair of distributions that meets
        the hypotheses and every sample size; ``upper`` may be ``inf``.
    confidence : float
        Such as 0.95.
    method : str

    Examples
    --------
    >>> band = ConfidenceBand(estimate=1.0, lower=0.5, upper=2.0, confidence=0.95, method="DKW")
    >>> 0.7 in band, 3.0 in band
    (True, False)
    """

    estimate: float
    lower: float
    upper: float
    confidence: float
    method: str = ""

    def __contains__(self, value: float) -> bool:
        """Whether a number lies in the band."""
        return self.lower <= value <= self.upper


def w1_dkw_band(
    x: ArrayLike,
    y: Any,
    *,
    confidence: float = 0.95,
    support: tuple[float, float] | None = None,
) -> ConfidenceBand:
    """Confidence band of ``W_1(P, Q)`` on the line from samples, valid for every sample size.

    With probability at least ``confidence`` both distribution functions lie within
    ``sqrt(log(4 / alpha) / (2 n))`` of those of the samples, everywhere at once; the band is the
    range of ``int |F - G|`` over all such pairs.

    Parameters
    ----------
    x : array, shape (n,)
        Independent draws from P.
    y : array, shape (m,)
        Independent draws from Q; they may depend on ``x``.
    confidence : float
        Between 0 and 1.
    support : (float, float), optional
        An interval that is known to hold all of P and Q. Without it ``upper`` is ``inf``, because
        unseen mass may lie anywhere.

    Returns
    -------
    ConfidenceBand
        ``lower`` and ``upper`` stay valid after rounding.

    Raises
    ------
    TypeError, ValueError
        If an argument is no vector of finite floats, ``confidence`` is not between 0 and 1, or a
        point lies outside ``support``.

    Notes
    -----
    Holds for all P and Q on the interval, without moments or densities. It uses the union bound
    over the two samples, ``alpha = 1 - confidence`` shared equally, and Massart's constant 2.

    References
    ----------
    Massart, The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality, Ann. Probab. 18
    (1990), corollary 1.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> band = w1_dkw_band(rng.random(1000), rng.random(1000) ** 2, support=(0.0, 1.0))
    >>> 1 / 6 in band, band.upper - band.lower < 0.25
    (True, True)
    """
    alpha = _alpha(confidence)
    a, b = _sorted_line(x, "x"), _sorted_line(y, "y")
    low, high = _support(support, (("x", a), ("y", b)))
    ends = [] if support is None else [low, high]
    gaps, f, g = _steps(a, b, ends)
    e, h = _radius(alpha, a.size), _radius(alpha, b.size)
    # Values of the distribution functions are multiples of 1/n: one rounding each, relative 2^-53.
    ulp = 2.0**-52
    f_low, f_high = np.maximum(f - e - ulp, 0.0), np.minimum(f + e + ulp, 1.0)
    g_low, g_high = np.maximum(g - h - ulp, 0.0), np.minimum(g + h + ulp, 1.0)
    apart = np.maximum(np.maximum(f_low - g_high, g_low - f_high) - ulp, 0.0)
    reach = np.minimum(np.maximum(f_high - g_low, g_high - f_low) + ulp, 1.0)
    # A product and a difference of positions: two roundings, relative 2^-53 each.
    lower = mul_down(sum_down(np.maximum(np.nextafter(apart * gaps, -1.0), 0.0)), 1.0 - 2.0**-50)
    upper = mul_up(sum_up(np.nextafter(reach * gaps, math.inf)), 1.0 + 2.0**-50)
    return ConfidenceBand(
        estimate=float(np.abs(f - g) @ gaps),
        lower=max(0.0, lower),
        upper=math.inf if support is None else min(upper, sub_up(high, low)),
        confidence=float(confidence),
        method=f"Dvoretzky-Kiefer-Wolfowitz, n = {a.size} and {b.size}",
    )


# ---- pieces -------------------------------------------------------------------------------------
def _steps(a: Array, b: Array, ends: list[float] | None = None) -> tuple[Array, Array, Array]:
    """Lengths of the intervals between all points, and both empirical cdfs on them."""
    points = np.unique(np.concatenate([a, b, np.asarray(ends or [], dtype=np.float64)]))
    left = points[:-1]
    f = np.searchsorted(a, left, side="right") / a.size
    g = np.searchsorted(b, left, side="right") / b.size
    return np.diff(points), f, g


def _radius(alpha: float, n: int) -> float:
    """``sqrt(log(4 / alpha) / (2 n))``, rounded up: P(sup |F_n - F| > r) <= alpha / 2."""
    # math.log is within one unit in the last place (C11 gives no contract): four are added.
    logarithm = math.log(divide_up(4.0, alpha))
    logarithm = add_up(logarithm, 4.0 * math.ulp(logarithm))
    return math.nextafter(math.sqrt(divide_up(logarithm, 2.0 * n)), math.inf)


def _alpha(confidence: float) -> float:
    value = float(confidence)
    if isinstance(confidence, bool) or not 0.0 < value < 1.0:
        raise ValueError(f"`confidence` must lie between 0 and 1, got {confidence}; try 0.95")
    return math.nextafter(1.0 - value, 0.0)


def _support(
    support: tuple[float, float] | None, samples: tuple[tuple[str, Array], ...]
) -> tuple[float, float]:
    if support is None:
        return -math.inf, math.inf
    low, high = (float(end) for end in support)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(
            f"`support` must be two finite increasing numbers, got ({low:.17g}, {high:.17g}); "
            "leave it out if the support is unbounded"
        )
    for name, values in samples:
        if values[0] < low or values[-1] > high:
            outside = values[0] if values[0] < low else values[-1]
            raise ValueError(
                f"`{name}` has the point {outside:.17g} outside `support` = "
                f"({low:.17g}, {high:.17g})"
            )
    return low, high


def _sorted_line(value: ArrayLike, name: str) -> Array:
    return np.sort(as_float_array(value, name, ndim=1))


def _points(value: ArrayLike, name: str) -> Array:
    points = as_float_array(value, name, ndim=(1, 2))
    return points[:, None] if points.ndim == 1 else points
