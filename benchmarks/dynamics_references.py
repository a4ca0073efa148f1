"""What the literature says, with the numbers of our own re-derivation where it gives none."""

from __future__ import annotations

import math

__all__ = ["DIRAC_FINALS", "DIRAC_LIMITS", "FIGURE_2", "half_printed"]

FIGURE_2 = {
    ("GDA", "simultaneous"): 0,
    ("GDA", "alternating_xy"): 0,
    ("extragradient", "simultaneous"): 10042,
    ("extragradient", "alternating_xy"): 14909,
    ("optimistic", "simultaneous"): 3073,
    ("optimistic", "alternating_xy"): 7980,
    ("momentum", "simultaneous"): 0,
    ("momentum", "alternating_xy"): 7900,
}
"""Stable cells of the 200 x 200 grid of Zhang and Yu (2020), Figure 2, from their conditions.

``alpha`` in (0, 2] in steps of 0.01, ``beta_1 = beta_2`` in 200 values from -1 to 1.5, sigma 1; the
conditions with the one that is missing for alternating optimistic steps.
"""


def _penalty_limits(gamma: float, slope: float) -> tuple[float, float]:
    """Largest stable steps of gradient descent-ascent, at once and in turn, under R1 or R2.

    The eigenvalues are ``gamma/2 +- sqrt(gamma^2/4 - slope^2)``; at once the limit is the smallest
    ``2 Re / |.|^2``, in turn ``(sqrt(gamma^2 + 4 slope^2) - gamma) / slope^2``.
    """
    root = gamma * gamma / 4.0 - slope * slope
    fastest = gamma / 2.0 + math.sqrt(root) if root > 0.0 else 0.0
    at_once = 2.0 / fastest if fastest else gamma / (slope * slope)
    in_turn = (math.sqrt(gamma * gamma + 4.0 * slope * slope) - gamma) / (slope * slope)
    return at_once, in_turn


DIRAC_LIMITS = {
    "GAN": (0.0, 0.0),
    "NSGAN": (0.0, 0.0),
    "WGAN": (0.0, 0.0),
    "GAN, R1 0.3": _penalty_limits(0.3, 0.5),
    "GAN, R1 1": _penalty_limits(1.0, 0.5),
    "GAN, R1 2": _penalty_limits(2.0, 0.5),
    "GAN, noise 0.7": _penalty_limits(0.7**2 / 2.0, 0.5),
    "GAN, noise 2": _penalty_limits(2.0, 0.5),
    "WGAN, R1 0.3": _penalty_limits(0.3, 1.0),
    "WGAN, R1 2": _penalty_limits(2.0, 1.0),
    "GAN, consensus 1": (1.6, 8.0 / 3.0),
}
"""Largest step sizes below which the equilibrium is stable, at once and in turn; 0 for never.

The games of Mescheder, Geiger and Nowozin (2018), Table 1, at ``f'(0) = 1/2`` (WGAN: 1).
"""

DIRAC_FINALS = {
    "GAN": ("3.097", "1.421"),
    "NSGAN": ("0.640", "0.284"),
    "WGAN, clipped at 1": ("1.002", "1.024"),
    "WGAN-GP 0.7": ("1.802", "1.221"),
    "GAN, R1 0.3": ("2.6e-06", "2.3e-07"),
    "GAN, R1 1": ("9.5e-22", "7.5e-17"),
}
"""``|z|`` after 500 steps of 0.2 from (1, 1), at once and in turn, to the digits printed.

The settings of the notebook of GAN_stability (Mescheder et al.), run apart from this package.
"""


def half_printed(text: str) -> float:
    """Half a unit of the last printed digit.

    Examples
    --------
    >>> half_printed("3.097"), half_printed("2.6e-06")
    (0.0005, 5e-08)
    """
    mantissa, _, exponent = text.partition("e")
    digits = len(mantissa.partition(".")[2])
    return 0.5 * 10.0 ** (int(exponent or 0) - digits)
