"""Probabilities from counts, by the exact binomial law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from evidence.statistical_policy import CLAIM_ALPHA, CLAIM_POWER, StatisticalResult, probability
from evidence.validation import nonnegative_int, positive_float, positive_int

__all__ = [
    "ConfidenceInterval",
    "all_successes_size",
    "probability_interval",
    "probability_size",
    "probability_test",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceInterval:
    """An interval that contains the probability in ``confidence`` of all runs. Not an enclosure.

    Parameters
    ----------
    lower, upper : float
    confidence : float
    n : int

    Examples
    --------
    >>> print(ConfidenceInterval(lower=0.25, upper=0.75, confidence=0.99, n=20))
    0.25 to 0.75 with confidence 0.99 (n = 20)
    """

    lower: float
    upper: float
    confidence: float
    n: int

    def __str__(self) -> str:
        return (
            f"{self.lower:.6g} to {self.upper:.6g} with confidence {self.confidence:.12g} "
            f"(n = {self.n})"
        )


def probability_interval(
    successes: int, n: int, *, alpha: float = CLAIM_ALPHA
) -> ConfidenceInterval:
    """The interval of Clopper and Pearson for a probability: each side fails with alpha / 2.

    Parameters
    ----------
    successes, n : int
    alpha : float

    References
    ----------
    Clopper and Pearson, Biometrika 26 (1934).

    Examples
    --------
    >>> print(probability_interval(10, 10, alpha=0.05))
    0.691503 to 1 with confidence 0.95 (n = 10)
    """
    from scipy.stats import beta

    k, n = _counts(successes, n)
    half = probability(alpha, "alpha") / 2.0
    lower = 0.0 if k == 0 else float(beta.ppf(half, k, n - k + 1))
    upper = 1.0 if k == n else float(beta.isf(half, k + 1, n - k))
    return ConfidenceInterval(lower=lower, upper=upper, confidence=1.0 - alpha, n=n)


def all_successes_size(rate: float, *, alpha: float = CLAIM_ALPHA) -> int:
    """Trials that must all succeed to show "the rate is at least `rate`" with confidence 1 - alpha.

    ``rate^n <= alpha``: with a smaller rate so many successes in a row are a surprise. For claims
    about trained networks, whose trials are seeds.

    Examples
    --------
    >>> all_successes_size(0.9), all_successes_size(0.5, alpha=1e-3)
    (197, 10)
    """
    n = math.ceil(math.log(probability(alpha, "alpha")) / math.log(probability(rate, "rate")))
    return n if rate**n <= alpha else n + 1


def probability_size(
    p: float, delta: float, *, alpha: float = CLAIM_ALPHA, power: float = CLAIM_POWER
) -> int:
    """Trials with which `probability_test` sees a probability off by ``delta``.

    Parameters
    ----------
    p : float
        The probability claimed.
    delta : float
    alpha, power : float

    Notes
    -----
    The power at ``p - delta`` and ``p + delta`` is evaluated exactly for the number returned, which
    comes from a bisection: not always the smallest, since the power is no monotone function of n.

    Examples
    --------
    >>> n = probability_size(0.5, 0.1)
    >>> 2000 < n < 3000
    True
    """
    p, alpha = probability(p, "p"), probability(alpha, "alpha")
    miss, d = 1.0 - probability(power, "power"), positive_float(delta, "delta")
    if p - d < 0.0 and p + d > 1.0:
        raise ValueError(
            f"`delta` = {d:.4g} leaves no probability that differs so much from {p:.4g}"
        )
    # Enough by Hoeffding's inequality, for both errors.
    enough = math.ceil(
        (math.sqrt(math.log(2 / alpha)) + math.sqrt(-math.log(miss))) ** 2 / 2 / d**2
    )
    low, high = 1, enough + 2
    while low < high:
        n = (low + high) // 2
        if _has_power(n, p, d, alpha, miss):
            high = n
        else:
            low = n + 1
    while not _has_power(low, p, d, alpha, miss):
        low += 1
    return low


def _has_power(n: int, p: float, delta: float, alpha: float, miss: float) -> bool:
    from scipy.stats import binom

    # Accepted are the counts whose tails both exceed alpha / 2.
    first = int(binom.ppf(alpha / 2.0, n, p))
    last = int(binom.isf(alpha / 2.0, n, p))
    for q in (p - delta, p + delta):
        if 0.0 <= q <= 1.0 and binom.cdf(last, n, q) - binom.cdf(first - 1, n, q) > miss:
            return False
    return True


def probability_test(
    successes: int,
    n: int,
    p: float,
    *,
    delta: float | None = None,
    alpha: float = CLAIM_ALPHA,
    power: float = CLAIM_POWER,
) -> StatisticalResult:
    """Test "the probability is p" by a count of independent trials.

    Parameters
    ----------
    successes, n : int
    p : float
    delta : float, optional
        Smallest deviation that counts; then n must be at least `probability_size`.
    alpha, power : float

    Returns
    -------
    StatisticalResult
        With twice the smaller tail as p-value.

    Examples
    --------
    >>> probability_test(480, 1000, 0.5).refuted, probability_test(300, 1000, 0.5).refuted
    (False, True)
    """
    k, n = _counts(successes, n)
    p, alpha = probability(p, "p"), probability(alpha, "alpha")
    if delta is not None and not _has_power(n, p, delta, alpha, 1.0 - power):
        raise ValueError(
            f"`n` = {n} trials do not see a deviation of {delta:.4g} with power {power:.6g}; use "
            f"{probability_size(p, delta, alpha=alpha, power=power)}"
        )
    log_p = min(0.0, math.log(2.0) + min(_log_tail(k, n, p), _log_tail(n - k, n, 1.0 - p)))
    return StatisticalResult(
        refuted=log_p <= math.log(alpha),
        surprise=-log_p / math.log(10.0),
        alpha=alpha,
        n=n,
        law="exact binomial",
        delta=delta,
        power=None if delta is None else power,
    )


def _log_tail(k: int, n: int, p: float) -> float:
    """``log P(at most k successes)``."""
    import numpy as np
    from scipy.stats import binom

    with np.errstate(divide="ignore"):  # a tail below the smallest float
        return float(binom.logcdf(k, n, p))


def _counts(successes: Any, n: Any) -> tuple[int, int]:
    k, total = nonnegative_int(successes, "successes"), positive_int(n, "n")
    if k > total:
        raise ValueError(f"`successes` must be at most `n` = {total}, got {k}")
    return k, total
