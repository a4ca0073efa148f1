"""Statistical evidence: what a result states, how much error a claim may spend, and its stream.

A test of a claim states three numbers: ``alpha``, the probability of refuting it although it is
true; ``delta``, the smallest deviation that counts; ``power``, the probability of refuting it if
it is wrong by ``delta`` or more. The sample size is computed from them by an exact finite-sample
law. One run of all tests refutes any true claim with probability `SUITE_ALPHA` at most: there are
`SLOTS` shares of it, each claim takes one and looks once, so that a new test moves no threshold.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from evidence.validation import nonnegative_int

__all__ = [
    "CLAIM_ALPHA",
    "CLAIM_POWER",
    "SLOTS",
    "SUITE_ALPHA",
    "StatisticalResult",
    "claim_stream",
    "probability",
    "total_alpha",
]

SUITE_ALPHA = 1e-6
"""Probability that a run of all tests refutes a true claim, at most."""

SLOTS = 1000
"""Shares of it, fixed for ever."""

CLAIM_ALPHA = SUITE_ALPHA / SLOTS
"""What one claim may spend in one run."""

CLAIM_POWER = 1.0 - 1e-3
"""Probability with which a deviation of ``delta`` is seen, unless stated otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticalResult:
    """What a sample says about a claim.

    Parameters
    ----------
    refuted : bool
        Whether the sample refutes the claim at level ``alpha``. That it does not is evidence only
        as far as a deviation of ``delta`` would have been seen with probability ``power``.
    surprise : float
        ``-log10 p`` of a p-value, ``log10 e`` of an e-value; refuted if it reaches
        ``-log10 alpha``. ``inf`` if an impossible sample occurred.
    alpha : float
    n : int
        Sample size.
    law : str
        The finite-sample law behind the numbers.
    delta, power : float or None
        None for tests that know no deviation to look for.

    Examples
    --------
    >>> result = StatisticalResult(refuted=False, surprise=0.3, alpha=1e-9, n=100, law="binomial")
    >>> print(result)
    not refuted at alpha = 1e-09 (surprise 0.3 of 9, n = 100: binomial)
    """

    refuted: bool
    surprise: float
    alpha: float
    n: int
    law: str
    delta: float | None = None
    power: float | None = None

    def __str__(self) -> str:
        verdict = "refuted" if self.refuted else "not refuted"
        seen = (
            ""
            if self.delta is None or self.power is None
            else f"; would have seen {self.delta:.4g} with probability {self.power:.6g}"
        )
        return (
            f"{verdict} at alpha = {self.alpha:.3g} (surprise {self.surprise:.3g} of "
            f"{-math.log10(self.alpha):.3g}, n = {self.n}: {self.law}{seen})"
        )


def claim_stream(claim_id: str, seed: int = 0) -> np.random.Generator:
    """The random generator of one claim: ``default_rng([seed, crc32(claim id)])``.

    Independent of the order of the tests, of which of them run, and of worker processes.

    Parameters
    ----------
    claim_id : str
    seed : int
        Of the whole run, at least 0.

    Examples
    --------
    >>> a, b = claim_stream("kr-duality"), claim_stream("kr-duality")
    >>> bool(a.random() == b.random()), bool(a.random() == claim_stream("other").random())
    (True, False)
    """
    if not isinstance(claim_id, str) or not claim_id:
        raise TypeError(f"`claim_id` must be the id of a claim, got {claim_id!r}")
    return np.random.default_rng([nonnegative_int(seed, "seed"), zlib.crc32(claim_id.encode())])


def total_alpha(results: Iterable[StatisticalResult]) -> float:
    """Probability, at most, that any of these results refutes a true claim: the alphas add up.

    Examples
    --------
    >>> result = StatisticalResult(refuted=False, surprise=0.0, alpha=1e-9, n=1, law="")
    >>> total_alpha([result, result])
    2e-09
    """
    return math.fsum(result.alpha for result in results)


def probability(value: float, name: str) -> float:
    """A number strictly between 0 and 1.

    Examples
    --------
    >>> probability(1.0, "alpha")
    Traceback (most recent call last):
    ...
    ValueError: `alpha` must be a probability strictly between 0 and 1, got 1
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)):
        raise TypeError(f"`{name}` must be a number, got {value!r}")
    if not 0.0 < value < 1.0:
        raise ValueError(
            f"`{name}` must be a probability strictly between 0 and 1, got {value:.17g}"
        )
    return float(value)
