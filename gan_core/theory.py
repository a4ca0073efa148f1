"""Closed forms of what training should measure.

The *law of the gradient penalty*: let all optimal transport segments between the two distributions
have the same length ``d`` and point along the gradient of a function ``u`` with ``|u'| = 1``
(translations, radial expansions). Along a segment a critic of slope ``s`` gains ``s d`` and is
fined ``lambda (s - 1)^2``, so that the best slope is ``s = 1 + d / (2 lambda)`` and the critic's
value ``d (1 + d / (2 lambda))``: more than ``W1 = d``, by a factor that depends on the scale of the
data.
"""

from __future__ import annotations

import math

from evidence.validation import nonnegative_float, positive_float, positive_int

__all__ = [
    "clipping_ceiling",
    "penalized_objective",
    "penalized_slope",
    "penalized_value",
    "unpenalized_distance",
    "wrong_sign_slope",
]


def penalized_slope(distance: float, coefficient: float) -> float:
    """Slope ``1 + d / (2 lambda)`` of the optimal critic under a gradient penalty centred at 1.

    Parameters
    ----------
    distance : float
        ``d``, in the unit of the data.
    coefficient : float
        ``lambda``; it has that unit too.

    Notes
    -----
    The one-sided penalty has the same optimum, since the slope is above 1.

    Examples
    --------
    >>> penalized_slope(1.0, 10.0)
    1.05
    """
    d, weight = nonnegative_float(distance, "distance"), positive_float(coefficient, "coefficient")
    return 1.0 + d / (2.0 * weight)


def penalized_value(distance: float, coefficient: float) -> float:
    """``E f(real) - E f(generated) = d (1 + d / (2 lambda))`` of the optimal critic.

    Examples
    --------
    >>> penalized_value(1.0, 0.1)  # the default of published toy code reads W1 = 1 as 6
    6.0
    """
    return distance * penalized_slope(distance, coefficient)


def penalized_objective(distance: float, coefficient: float) -> float:
    """``max_s s d - lambda (s - 1)^2 = d + d^2 / (4 lambda)``.

    Examples
    --------
    >>> penalized_objective(1.0, 10.0)
    1.025
    """
    d, weight = nonnegative_float(distance, "distance"), positive_float(coefficient, "coefficient")
    return d + d * d / (4.0 * weight)


def unpenalized_distance(value: float, coefficient: float) -> float:
    """The distance whose penalised critic has this value: ``lambda (sqrt(1 + 2 V / lambda) - 1)``.

    Exact where the law of the gradient penalty holds, an estimate elsewhere: for optimal segments
    that differ from those the interpolates are drawn on it may be 1.3 times too large.

    Examples
    --------
    >>> unpenalized_distance(6.0, 0.1)
    1.0
    """
    v, weight = nonnegative_float(value, "value"), positive_float(coefficient, "coefficient")
    # lambda (sqrt(1 + r) - 1) without cancellation for small r.
    ratio = 2.0 * v / weight
    return 2.0 * v / (math.sqrt(1.0 + ratio) + 1.0)


def wrong_sign_slope(distance: float, coefficient: float) -> float:
    """The unstable slope ``1 - d / (2 lambda)`` when the penalty's sign is wrong.

    The critic then climbs ``s d + lambda (s - 1)^2``: from steeper slopes it explodes, from flatter
    ones it descends to the kink at 0 and dies. A common initialisation is flatter.

    Examples
    --------
    >>> wrong_sign_slope(1.0, 10.0)
    0.95
    """
    return 2.0 - penalized_slope(distance, coefficient)


def clipping_ceiling(width: int, layers: int, clip: float) -> float:
    """Largest value ``h^(L - 1) c^L`` of a clipped critic per unit shift along one axis.

    Parameters
    ----------
    width : int
        ``h``, of every hidden layer.
    layers : int
        ``L``, affine layers; ReLU between them.
    clip : float
        ``c``.

    Notes
    -----
    Attained where all weights are ``c`` and all gates open.

    Examples
    --------
    >>> round(clipping_ceiling(64, 4, 0.01), 9)
    0.00262144
    """
    h, depth = positive_int(width, "width"), positive_int(layers, "layers")
    c = positive_float(clip, "clip")
    return c * float((h * c) ** (depth - 1))
