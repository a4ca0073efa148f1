"""What an experiment answers: predictions beside measurements, and the odds of being wrong.

A prediction is compared with one measurement per seed. What is claimed is about the law of the
seeds: *more than a share ``s`` of all seeds* measures within the tolerance. It is confirmed if
enough of the ``n`` seeds do, and then

    alpha = P(at least k of n agree | the share is s)      (exact binomial; s**n if all agree)

bounds the probability of confirming it wrongly; the *power* is the probability of confirming it
when 999 of 1000 seeds agree. Nothing is asymptotic and no normality is assumed. The tolerance is
part of the claim: a deviation larger than it, in as many seeds, would have been seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.validation import as_float_array, choice, nonnegative_float

__all__ = ["Experiment", "Prediction", "prediction"]

Relation = Literal["equals", "at most", "at least"]
RELATIONS: tuple[Relation, ...] = ("equals", "at most", "at least")

_GOOD_SHARE = 0.999


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """One number that theory predicts, and what every seed measured.

    Parameters
    ----------
    quantity : str
    predicted : float
    relation : {"equals", "at most", "at least"}
    tolerance : float
        Absolute.
    measured : array, shape (seeds,)
    misses : int
        So many seeds may disagree.
    share : float
        The claim is about more than this share of all seeds.
    alpha, power : float
        Probability of confirming the claim though it is false, and though true of 999 in 1000.
    source : str
        Whose prediction it is.

    Examples
    --------
    >>> law = prediction("value", 1.05, [1.0501, 1.0499] * 16, tolerance=1e-3)
    >>> law.is_confirmed, law.interval, law.alpha < 1e-9
    (True, (1.0499, 1.0501), True)
    """

    quantity: str
    predicted: float
    relation: Relation
    tolerance: float
    measured: NDArray[np.float64]
    misses: int
    share: float
    alpha: float
    power: float
    source: str = ""

    @property
    def agrees(self) -> NDArray[np.bool_]:
        """Which seeds measured what is predicted."""
        excess = self.measured - self.predicted
        if self.relation == "at most":
            return excess <= self.tolerance
        if self.relation == "at least":
            return excess >= -self.tolerance
        return np.abs(excess) <= self.tolerance

    @property
    def is_confirmed(self) -> bool:
        """Whether enough seeds agree; a NaN does not."""
        return int((~self.agrees).sum()) <= self.misses

    @property
    def interval(self) -> tuple[float, float]:
        """The smallest and the largest measurement."""
        return float(np.min(self.measured)), float(np.max(self.measured))

    @property
    def median(self) -> float:
        """Of the measurements."""
        return float(np.median(self.measured))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experiment:
    """All predictions of one experiment.

    Parameters
    ----------
    name : str
    statement : str
        What theory says, in one sentence.
    predictions : tuple of Prediction
    reported : tuple of (str, array)
        Numbers that no theory predicts: shown, never asserted.
    seconds : float
        CPU time.

    Examples
    --------
    >>> sure = prediction("one", 1.0, np.ones(32), tolerance=0.0)
    >>> Experiment(name="a", statement="1 = 1", predictions=(sure,), seconds=0.0).is_confirmed
    True
    """

    name: str
    statement: str
    predictions: tuple[Prediction, ...]
    seconds: float
    reported: tuple[tuple[str, NDArray[np.float64]], ...] = ()

    @property
    def is_confirmed(self) -> bool:
        """Whether every prediction is."""
        return all(p.is_confirmed for p in self.predictions)

    @property
    def alpha(self) -> float:
        """Bound of the probability that any prediction is confirmed wrongly: the alphas' sum."""
        return sum(p.alpha for p in self.predictions)


def prediction(
    quantity: str,
    predicted: float,
    measured: ArrayLike,
    *,
    tolerance: float,
    relation: str = "equals",
    misses: int = 0,
    share: float = 0.5,
    source: str = "",
) -> Prediction:
    """Compare one predicted number with one measurement per seed.

    Parameters
    ----------
    quantity : str
    predicted : float
    measured : array_like, shape (seeds,)
    tolerance : float
        Absolute, part of the claim.
    relation : {"equals", "at most", "at least"}
    misses : int
        How many seeds may disagree; fixed before the run.
    share : float
        Claimed of more than this share of seeds; 1/2 makes it a claim about the median.
    source : str

    Raises
    ------
    ValueError
        A share outside (0, 1), or as many misses as seeds.

    Examples
    --------
    >>> prediction("gap", 0.0, [0.5], tolerance=0.1).is_confirmed
    False
    """
    values = np.asarray(measured, dtype=np.float64)
    if np.isfinite(values).all():
        values = as_float_array(values, "measured", ndim=1)
    n = values.size
    if values.ndim != 1 or not 0 <= misses < n:
        raise ValueError(
            f"`misses` must be at least 0 and below the number of seeds, {n}, got {misses}"
        )
    if not 0.0 < share < 1.0:
        raise ValueError(f"`share` must lie strictly between 0 and 1, got {share}")
    return Prediction(
        quantity=quantity,
        predicted=float(predicted),
        relation=choice(relation, "relation", RELATIONS),
        tolerance=nonnegative_float(tolerance, "tolerance"),
        measured=values,
        misses=misses,
        share=share,
        alpha=_at_least(n - misses, n, share),
        power=_at_least(n - misses, n, _GOOD_SHARE),
        source=source,
    )


def _at_least(k: int, n: int, share: float) -> float:
    """``P(Bin(n, share) >= k)``."""
    return math.fsum(math.comb(n, i) * share**i * (1.0 - share) ** (n - i) for i in range(k, n + 1))
