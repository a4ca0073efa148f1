"""What a critic learns under a gradient penalty: not slope 1, and by how much not.

All mass of ``P_r`` and ``P_g`` at distance d, as for two points, translated copies or spheres
about a point: the best critic is linear along the segments, and its slope s maximises

    d s - lambda (s - 1)^2,      s* = 1 + d / (2 lambda),      value d + d^2 / (4 lambda).

So the critic reports ``d s* = d (1 + d / (2 lambda))`` where the Wasserstein distance is ``d``. For
any two laws with finite second moments, independent samples x, y of them, and every critic D that
is continuously differentiable,

    E D(x) - E D(y) - penalty <= E|x - y| + E|x - y|^2 / (4 lambda),

by the same parabola along every segment: the penalised loss is bounded from below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from evidence.validation import nonnegative_float, positive_float

__all__ = [
    "PenalizedCritic",
    "debiased_distance",
    "gradient_penalty_slope",
    "misprinted_penalty_slope",
    "penalized_critic",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PenalizedCritic:
    """The best critic under a gradient penalty, for mass transported over one distance.

    Parameters
    ----------
    slope : float
        Norm of its gradient along the segments.
    value : float
        ``E D(x) - E D(y)``: what the critic reports as the distance.
    objective : float
        The value less the penalty.

    Examples
    --------
    >>> penalized_critic(1.0, 10.0)
    PenalizedCritic(slope=1.05, value=1.05, objective=1.025)
    """

    slope: float
    value: float
    objective: float


def penalized_critic(distance: float, weight: float) -> PenalizedCritic:
    """The best critic of ``E D(x) - E D(y) - weight E (|grad D| - 1)^2`` at one distance.

    Parameters
    ----------
    distance : float
        ``|x - y|`` of all pairs; positive.
    weight : float
        lambda; positive, in units of the distance (10 in the paper).

    Returns
    -------
    PenalizedCritic

    Notes
    -----
    The one-sided penalty ``max(0, |grad D| - 1)^2`` has the same optimum, since the slope exceeds
    1. The formula is exact for pairs at equal distance on lines that do not meet; where segments
    cross or differ in length, other critics win.

    References
    ----------
    Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville, *Improved Training of Wasserstein GANs*,
    NeurIPS 2017, eq. (3); Petzka, Fischer and Lukovnikov, ICLR 2018 (one-sided).

    Examples
    --------
    With lambda = 0.1, which published toy examples use, a distance of 1 is read as 6:

    >>> penalized_critic(1.0, 0.1).value
    6.0
    """
    d, lam = nonnegative_float(distance, "distance"), positive_float(weight, "weight")
    slope = gradient_penalty_slope(d, lam)
    return PenalizedCritic(slope=slope, value=d * slope, objective=d + d * d / (4.0 * lam))


def gradient_penalty_slope(distance: float, weight: float) -> float:
    """``1 + d / (2 lambda)``, the gradient norm of the best penalised critic.

    It maximises ``d s - lambda (s - 1)^2``, a concave parabola in s.

    Examples
    --------
    >>> gradient_penalty_slope(1.0, 10.0), gradient_penalty_slope(20.0, 10.0)
    (1.05, 2.0)
    """
    return 1.0 + nonnegative_float(distance, "distance") / (2.0 * positive_float(weight, "weight"))


def misprinted_penalty_slope(distance: float, weight: float) -> float:
    """``1 - d / (2 lambda)``: where ``+ lambda`` stands under a maximum, the slope flees from here.

    ``d s + lambda (|s| - 1)^2`` is convex for s > 0 with its minimum at this slope. Ascent from
    below ends at slope 0, a dead critic, and ascent from above diverges; from the usual
    initialisations it dies. If ``d > 2 lambda`` the slope is negative and every positive one
    diverges.

    Examples
    --------
    >>> misprinted_penalty_slope(1.0, 10.0)
    0.95
    """
    return 1.0 - nonnegative_float(distance, "distance") / (2.0 * positive_float(weight, "weight"))


def debiased_distance(value: float, weight: float) -> float:
    """The distance d whose best penalised critic reports ``value = d (1 + d / (2 lambda))``.

    An estimate where the distances of the transported pairs differ.

    Parameters
    ----------
    value : float
        ``E D(x) - E D(y)``, without the penalty; at least 0.
    weight : float
        lambda.

    Examples
    --------
    >>> debiased_distance(1.05, 10.0), debiased_distance(6.0, 0.1)
    (1.0, 1.0)
    """
    v, lam = nonnegative_float(value, "value"), positive_float(weight, "weight")
    # lambda (sqrt(1 + 2 v / lambda) - 1), without the cancellation for small v / lambda.
    return 2.0 * v / (1.0 + math.sqrt(1.0 + 2.0 * v / lam))
