"""The mean of bounded random variables, tested by betting against it.

Somebody who may bet at fair odds on ``E X = mean`` multiplies a capital of 1 by
``1 + b (x - mean)`` with each sample. If the claim is true the expected capital stays at most 1,
whatever the bets, and by Ville's inequality it ever reaches ``1 / alpha`` with probability at most
``alpha``: one may look after every sample. Here the capital is spread over bets of both signs and
of many sizes, which adapts to the variance, and over two players whose capital is multiplied by
``exp(l (x - mean) - l^2 / 8)`` (x scaled to [0, 1]), at most fair by Hoeffding's lemma. They make
the power provable: if the mean is off by ``delta``, one of them reaches ``4 / alpha`` by

    n = (width / delta)^2 (sqrt(log(4 / alpha)) + sqrt(log(1 / (1 - power))))^2 / 2

samples with probability ``power``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.statistical_policy import CLAIM_ALPHA, CLAIM_POWER, StatisticalResult, probability
from evidence.validation import as_float_array, positive_float

__all__ = ["bounded_mean_size", "bounded_mean_test"]

_SIZES = np.geomspace(0.005, 0.9, 12)
_CHUNK = 65_536
_LAW = "betting e-process"


def bounded_mean_size(
    delta: float,
    low: float,
    high: float,
    *,
    alpha: float = CLAIM_ALPHA,
    power: float = CLAIM_POWER,
) -> int:
    """Samples that show a mean off by ``delta`` with the given power.

    Parameters
    ----------
    delta : float
        Positive, in the unit of the variable.
    low, high : float
        Its bounds.
    alpha, power : float

    Examples
    --------
    >>> bounded_mean_size(0.01, 0.0, 1.0)
    268670
    """
    d = positive_float(delta, "delta") / _width(low, high)
    miss = 1.0 - probability(power, "power")
    roots = math.sqrt(math.log(4.0 / probability(alpha, "alpha"))) + math.sqrt(-math.log(miss))
    return math.ceil((roots / d) ** 2 / 2.0)


def bounded_mean_test(
    samples: ArrayLike,
    mean: float,
    low: float,
    high: float,
    *,
    delta: float,
    alpha: float = CLAIM_ALPHA,
    power: float = CLAIM_POWER,
) -> StatisticalResult:
    """Test ``E X = mean`` for independent samples in ``[low, high]``.

    Parameters
    ----------
    samples : array_like, shape (n,)
        In the order in which they were drawn; n at least `bounded_mean_size`.
    mean, low, high : float
        ``low < mean < high``. A sample outside ``[low, high]`` refutes the claim: the support is
        part of it.
    delta : float
        Smallest deviation of the mean that counts.
    alpha, power : float

    Returns
    -------
    StatisticalResult
        With ``log10`` of the largest capital on the way.

    Raises
    ------
    ValueError, TypeError
        Too few samples for ``delta`` (the number needed is named), NaN, or bounds out of order.

    Notes
    -----
    Valid for dependent samples too, if each has conditional mean ``mean`` given those before. The
    two Hoeffding players start with 1/4 each, the other bets share 1/2.

    References
    ----------
    Waudby-Smith and Ramdas, *Estimating Means of Bounded Random Variables by Betting*, JRSS B 86
    (2024), Theorem 1 and Proposition 2; Hoeffding, JASA 58 (1963), eq. (4.16); Ville (1939).

    Examples
    --------
    >>> x = np.random.default_rng(0).random(5000)
    >>> bounded_mean_test(x, 0.5, 0.0, 1.0, delta=0.1).refuted
    False
    >>> bounded_mean_test(x, 0.6, 0.0, 1.0, delta=0.1).refuted
    True
    """
    x = as_float_array(samples, "samples", ndim=1)
    needed = bounded_mean_size(delta, low, high, alpha=alpha, power=power)
    width = _width(low, high)
    if not low < mean < high:
        raise ValueError(f"`mean` must lie between {low:.17g} and {high:.17g}, got {mean:.17g}")
    if len(x) < needed:
        raise ValueError(
            f"`samples` must hold at least {needed} numbers to see a deviation of {delta:.4g} with "
            f"power {power:.6g} at alpha = {alpha:.3g}, got {len(x)}"
        )
    if x.min() < low or x.max() > high:
        best, law = math.inf, f"{_LAW}: a sample left [{low:.6g}, {high:.6g}]"
    else:
        # The size for which the capital at `needed` is largest if the sum is as small as feared.
        worst = delta / width - math.sqrt(-math.log(1.0 - power) / (2.0 * needed))
        best, law = _largest_capital((x - low) / width, (mean - low) / width, 4.0 * worst), _LAW
    return StatisticalResult(
        refuted=best >= -math.log(alpha),
        surprise=best / math.log(10.0),
        alpha=alpha,
        n=len(x),
        law=law,
        delta=delta,
        power=power,
    )


def _width(low: float, high: float) -> float:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"`low` must be below `high`, both finite, got {low!r} and {high!r}")
    return high - low


def _largest_capital(x: NDArray[np.float64], m: float, tilt: float) -> float:
    """Logarithm of the largest capital after any sample; x in [0, 1]."""
    bets = np.concatenate([_SIZES / m, -_SIZES / (1.0 - m)])
    weights = np.log([*[0.5 / len(bets)] * len(bets), 0.25, 0.25])[:, None]
    logs, best = np.zeros((len(bets) + 2, 1)), 0.0
    for begin in range(0, len(x), _CHUNK):
        change = x[begin : begin + _CHUNK] - m
        steps = np.vstack(
            [
                np.log1p(bets[:, None] * change),
                tilt * change - tilt**2 / 8.0,
                -tilt * change - tilt**2 / 8.0,
            ]
        )
        paths = logs + np.cumsum(steps, axis=1)
        logs = paths[:, -1:]
        weighted = paths + weights
        top = weighted.max(axis=0)
        capital = top + np.log(np.exp(weighted - top).sum(axis=0))
        best = max(best, float(capital.max()))
    return best
