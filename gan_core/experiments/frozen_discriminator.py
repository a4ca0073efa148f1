"""Theorem 2.5 of Arjovsky and Bottou: what the non-saturating loss descends, while D is held."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from gan_core.experiments.result import Experiment, prediction
from gan_core.objectives import objective

__all__ = ["frozen_discriminator_gradient"]


def frozen_discriminator_gradient(
    *, seeds: int = 32, steps: int = 1, first_seed: int = 0
) -> Experiment:
    """``grad E[-log D*(g(z))] = grad (KL(q || p) - 2 JS(p, q))`` with D held, and only then.

    ``p = N(0, 1)`` and ``q = N(t, s^2)``, with t in [1/2, 2] and s in [0.7, 1.5] drawn per seed. On
    the left, the slope of the non-saturating objective at ``log p / q``, averaged over z; on the
    right, the closed form of KL and quadratures of JS, differentiated. The values of the two sides
    are *not* equal: ``E[-log D*] - KL + 2 JS = log 4 + E_p log D* >= log 2`` by Jensen's
    inequality, and since this is not constant, the loss with the best discriminator at every t has
    another gradient.

    Parameters
    ----------
    seeds, first_seed : int
    steps : int
        Not used: nothing is trained.

    Notes
    -----
    Tolerance 1e-7: quadratures are good to 1e-13, the five-point difference with step 0.01 to
    ``1e-8 / 30`` times the fifth derivative.

    References
    ----------
    Arjovsky and Bottou, *Towards principled methods for training generative adversarial networks*,
    ICLR 2017, Theorem 2.5.

    Examples
    --------
    >>> frozen_discriminator_gradient(seeds=3).is_confirmed
    True
    """
    begin = time.process_time()
    held, gaps, moved = [], [], []
    for seed in range(first_seed, first_seed + seeds):
        rng = np.random.default_rng(seed)
        t, s = rng.uniform(0.5, 2.0), rng.uniform(0.7, 1.5)
        # d/dt KL(N(t, s^2) || N(0, 1)) = t
        derivative = t - 2.0 * _difference(_jensen_shannon, t, s)
        held.append(_held_gradient(t, s) - derivative)
        loss = _optimal_loss(t, s)
        gaps.append(
            loss - (0.5 * (s * s + t * t - 1.0) - math.log(s) - 2.0 * _jensen_shannon(t, s))
        )
        moved.append(_difference(_optimal_loss, t, s) - derivative)
    return Experiment(
        name="frozen_discriminator_gradient",
        statement="With D held at its optimum the gradients of E[-log D] and KL - 2 JS agree.",
        predictions=(
            prediction(
                "difference of the gradients",
                0.0,
                held,
                tolerance=1e-7,
                source="Arjovsky and Bottou 2017, Theorem 2.5",
            ),
            prediction(
                "difference of the values",
                math.log(2.0),
                gaps,
                tolerance=1e-9,
                relation="at least",
                source="Jensen's inequality for log (1 + q / p)",
            ),
        ),
        reported=(("difference of the gradients if D is optimal at every t", np.array(moved)),),
        seconds=time.process_time() - begin,
    )


def _difference(
    function: Callable[[float, float], float], t: float, s: float, step: float = 0.01
) -> float:
    """Derivative in t, from five points."""
    near = function(t + step, s) - function(t - step, s)
    far = function(t + 2.0 * step, s) - function(t - 2.0 * step, s)
    return (8.0 * near - far) / (12.0 * step)


def _held_gradient(t: float, s: float) -> float:
    """``E_z d/dt [-log D(t + s z)]`` for ``D = p / (p + q)`` held, by the trapezoidal rule.

    The rule converges faster than any power for such integrands: 4001 points give all digits.
    """
    import torch

    z = torch.linspace(-12.0, 12.0, 4001, dtype=torch.float64)
    x = t + s * z
    logit = -0.5 * x.square() + 0.5 * z.square() + math.log(s)
    change = -x + z / s
    weight = torch.exp(-0.5 * z.square()) * (24.0 / 4000.0) / math.sqrt(2.0 * math.pi)
    slope = objective("nonsaturating").generator.slope(logit)
    return float((slope * change * weight).sum())


def _densities(x: float, t: float, s: float) -> tuple[float, float]:
    root = math.sqrt(2.0 * math.pi)
    return math.exp(-0.5 * x * x) / root, math.exp(-0.5 * ((x - t) / s) ** 2) / (s * root)


def _integral(function: Callable[[float], float], t: float, s: float) -> float:
    from scipy.integrate import quad

    # Beyond ten standard deviations of both laws less than 1e-22 is left.
    low, high = min(-10.0, t - 10.0 * s), max(10.0, t + 10.0 * s)
    value, _ = quad(function, low, high, points=[0.0, t], epsabs=1e-13, epsrel=1e-13, limit=200)
    return float(value)


def _jensen_shannon(t: float, s: float) -> float:
    def integrand(x: float) -> float:
        p, q = _densities(x, t, s)
        return 0.5 * (p * math.log(2.0 * p / (p + q)) + q * math.log(2.0 * q / (p + q)))

    return _integral(integrand, t, s)


def _optimal_loss(t: float, s: float) -> float:
    """``E_q[-log D*]`` with the best discriminator for this t."""

    def integrand(x: float) -> float:
        p, q = _densities(x, t, s)
        return q * math.log((p + q) / p)

    return _integral(integrand, t, s)
