"""Tests of statistical claims by exact finite-sample laws, without asymptotics and without reruns.

==================================  ===================  =========================================
claim                               test                 law
==================================  ===================  =========================================
a bounded variable has this mean    `bounded_mean_test`  betting e-process (Ville), anytime-valid
samples follow this distribution    `distribution_test`  Dvoretzky-Kiefer-Wolfowitz with Massart's
an event has this probability       `probability_test`   exact binomial; `probability_interval`
two groups have the same law        `permutation_test`   exchangeability
==================================  ===================  =========================================

The policy (levels, power, streams) is in `evidence.statistical_policy`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.betting import bounded_mean_size, bounded_mean_test
from evidence.binomial import (
    ConfidenceInterval,
    all_successes_size,
    probability_interval,
    probability_size,
    probability_test,
)
from evidence.statistical_policy import (
    CLAIM_ALPHA,
    CLAIM_POWER,
    SLOTS,
    SUITE_ALPHA,
    StatisticalResult,
    claim_stream,
    probability,
    total_alpha,
)
from evidence.validation import as_float_array, generator, positive_float, positive_int

__all__ = [
    "CLAIM_ALPHA",
    "CLAIM_POWER",
    "SLOTS",
    "SUITE_ALPHA",
    "ConfidenceInterval",
    "StatisticalResult",
    "all_successes_size",
    "bounded_mean_size",
    "bounded_mean_test",
    "claim_stream",
    "distribution_size",
    "distribution_test",
    "permutation_test",
    "probability_interval",
    "probability_size",
    "probability_test",
    "total_alpha",
]


# ---- a distribution ------------------------------------------------------------------------------
def distribution_size(
    delta: float, *, alpha: float = CLAIM_ALPHA, power: float = CLAIM_POWER
) -> int:
    """Samples that show a distribution function off by ``delta`` somewhere.

    ``(sqrt(log(2 / alpha)) + sqrt(log(2 / (1 - power))))^2 / (2 delta^2)``: the empirical function
    is near the true one, with probability ``power``, and then far from the claimed one.

    Examples
    --------
    >>> distribution_size(0.01)
    272674
    """
    d = positive_float(delta, "delta")
    miss = 1.0 - probability(power, "power")
    roots = math.sqrt(math.log(2.0 / probability(alpha, "alpha"))) + math.sqrt(math.log(2.0 / miss))
    return math.ceil((roots / d) ** 2 / 2.0)


def distribution_test(
    samples: ArrayLike,
    cdf: Callable[[NDArray[np.float64]], Any],
    *,
    delta: float,
    alpha: float = CLAIM_ALPHA,
    power: float = CLAIM_POWER,
) -> StatisticalResult:
    """Test "independent samples have this distribution function", with or without atoms.

    Parameters
    ----------
    samples : array_like, shape (n,)
        At least `distribution_size` numbers.
    cdf : callable
        ``P(X <= t)`` for an array t, right-continuous.
    delta : float
        Smallest distance of distribution functions that counts.
    alpha, power : float

    Returns
    -------
    StatisticalResult
        ``p = 2 exp(-2 n D^2)`` for the largest distance D from the empirical function.

    Raises
    ------
    ValueError, TypeError
        Too few samples, NaN, or a `cdf` that is no distribution function at them.

    References
    ----------
    Massart, *The Tight Constant in the Dvoretzky-Kiefer-Wolfowitz Inequality*, Ann. Probab. 18
    (1990), Corollary 1.

    Examples
    --------
    >>> x = np.random.default_rng(0).random(3000)
    >>> distribution_test(x, lambda t: np.clip(t, 0, 1), delta=0.1).refuted
    False
    >>> distribution_test(x, lambda t: np.clip(t, 0, 1) ** 2, delta=0.1).refuted
    True
    """
    x = np.sort(as_float_array(samples, "samples", ndim=1))
    n, needed = len(x), distribution_size(delta, alpha=alpha, power=power)
    if n < needed:
        raise ValueError(
            f"`samples` must hold at least {needed} numbers to see a distance of {delta:.4g} with "
            f"power {power:.6g} at alpha = {alpha:.3g}, got {n}"
        )
    points, counts = np.unique(x, return_counts=True)
    # The limit from the left, at the next float: exact for atoms at floats.
    at = np.asarray(cdf(points), dtype=np.float64)
    before = np.asarray(cdf(np.nextafter(points, -math.inf)), dtype=np.float64)
    values = np.concatenate([before, at])
    if values.shape != (2 * len(points),) or not ((values >= 0.0) & (values <= 1.0)).all():
        raise ValueError("`cdf` must map an array to probabilities, entry by entry")
    if (at < before).any() or (np.diff(at) < 0.0).any():
        raise ValueError("`cdf` must not decrease; pass P(X <= t)")
    reached = np.cumsum(counts) / n
    below = reached - counts / n
    distance = max(float(np.max(np.abs(reached - at))), float(np.max(np.abs(before - below))))
    log_p = min(0.0, math.log(2.0) - 2.0 * n * distance**2)
    return StatisticalResult(
        refuted=log_p <= math.log(alpha),
        surprise=-log_p / math.log(10.0),
        alpha=alpha,
        n=n,
        law="Dvoretzky-Kiefer-Wolfowitz-Massart",
        delta=delta,
        power=power,
    )


# ---- two groups ----------------------------------------------------------------------------------
def permutation_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    rng: np.random.Generator,
    alpha: float,
    permutations: int = 99_999,
) -> StatisticalResult:
    """Test "both groups are drawn from one law" by the difference of their means.

    Parameters
    ----------
    first, second : array_like, shape (m,), (n,)
    rng : numpy.random.Generator
    alpha : float
        At least ``1 / (permutations + 1)``, or ``1 / C(m + n, m)`` if that is larger: no smaller
        p-value can occur. There is no default, since groups of 10 cannot reach the usual one.
    permutations : int
        Regroupings drawn; if there are no more of them in all, each is taken once.

    Returns
    -------
    StatisticalResult
        Two-sided, on values rounded to 30 bits so that ties are ties. Exact: with the observed
        grouping counted, the p-value is at most ``t`` with probability at most ``t``. Nothing is
        known about its power.

    References
    ----------
    Phipson and Smyth, *Permutation p-values Should Never Be Zero*, SAGMB 9 (2010).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal(10), rng.standard_normal(10)
    >>> permutation_test(x, y, rng=rng, alpha=1e-4).refuted
    False
    >>> permutation_test(x, y + 5.0, rng=rng, alpha=1e-4).refuted
    True
    """
    x, y = (as_float_array(g, name, ndim=1) for g, name in ((first, "first"), (second, "second")))
    draws, alpha = positive_int(permutations, "permutations"), probability(alpha, "alpha")
    stream = generator(rng)
    pooled, m = np.concatenate([x, y]), len(x)
    splits = math.comb(len(pooled), m)
    smallest = 1.0 / min(draws + 1, splits)
    if smallest > alpha:
        raise ValueError(
            f"`alpha` = {alpha:.3g} cannot be reached by {min(draws + 1, splits)} regroupings; "
            "raise `permutations`, or take larger groups"
        )
    # Sums of integers of this size are exact in float64, so that ties are seen as ties.
    ranks = _fixed_point(pooled)
    centre = 2.0 * m * ranks.sum()

    def distances(sums: Any) -> Any:
        return np.abs(2.0 * len(pooled) * sums - centre)

    observed = distances(ranks[:m].sum())
    if splits <= draws + 1:
        groups = np.array(list(itertools.combinations(range(len(pooled)), m)))
        sums = ranks[groups].sum(axis=1)
        p = float(np.mean(distances(sums) >= observed))
        count = splits
    else:
        sums = np.array([ranks[stream.permutation(len(pooled))[:m]].sum() for _ in range(draws)])
        p = float((1 + np.count_nonzero(distances(sums) >= observed)) / (draws + 1))
        count = draws
    return StatisticalResult(
        refuted=p <= alpha,
        surprise=-math.log10(p),
        alpha=alpha,
        n=len(pooled),
        law=f"{count} regroupings",
    )


def _fixed_point(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values as integers of at most 30 bits, in steps of a power of two."""
    largest = float(np.abs(values).max())
    if largest == 0.0:
        return values
    rounded: NDArray[np.float64] = np.rint(np.ldexp(values, 30 - math.frexp(largest)[1]))
    return rounded
