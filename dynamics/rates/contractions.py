"""Exact factors of one iteration on ``sigma x y``: Gidel et al., Daskalakis et al."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynamics.methods import GDA, Extragradient, HeavyBall, OptimisticGDA, ProximalPoint
from dynamics.rates.balls import enclose, method_radius
from dynamics.rates.results import Rate
from evidence.enclosure import Enclosure
from evidence.validation import positive_float

__all__ = [
    "alternating_bound",
    "extrapolation_decay",
    "implicit_decay",
    "negative_momentum_bound",
    "optimistic_last_iterate",
    "simultaneous_growth",
]

SQUARED = "factor of the squared distance per iteration"
VARIATIONAL = "Gidel et al., ICLR 2019 (variational inequalities), "


def simultaneous_growth(sigma: float, step_size: float) -> Rate:
    """Simultaneous steps multiply the squared norm by exactly ``1 + eta^2 sigma^2``.

    Parameters
    ----------
    sigma : float
        Singular value, positive.
    step_size : float
        ``eta``, positive.

    Returns
    -------
    Rate
        Kind ``tight``, from every start and in every step.

    Raises
    ------
    ValueError
        Numbers that are not positive.

    References
    ----------
    Gidel, Berard, Vignoud, Vincent and Lacoste-Julien, *A variational inequality perspective on
    generative adversarial networks*, ICLR 2019, Proposition 1.

    Examples
    --------
    >>> found = simultaneous_growth(2.0, 0.25)
    >>> 1.25 in found.theoretical, found.is_consistent
    (True, True)
    """
    sigma, eta = positive_float(sigma, "sigma"), positive_float(step_size, "step_size")
    method = GDA(eta, order="simultaneous")
    return Rate(
        computed=method_radius(method, [sigma], power=2),
        theoretical=enclose(lambda s, e: 1 + (e * s) ** 2, sigma, eta, method="1 + A"),
        kind="tight",
        method=method,
        quantity=SQUARED,
        theorem=VARIATIONAL + "Proposition 1",
    )


def alternating_bound(sigma: float, step_size: float) -> Rate:
    """Alternating steps neither converge nor diverge: the spectral radius is exactly 1.

    Parameters
    ----------
    sigma : float
        Singular value, positive.
    step_size : float
        ``eta``, with ``eta sigma < 2``.

    Returns
    -------
    Rate
        Kind ``tight``.

    Raises
    ------
    ValueError
        ``eta sigma`` of 2 or more, where the iterates grow; numbers that are not positive.

    Notes
    -----
    The conserved form ``|x|^2 + |y|^2 - eta sigma x y`` keeps the squared norm within a factor
    ``(2 + eta sigma) / (2 - eta sigma)``.

    References
    ----------
    Gidel et al., ICLR 2019, Proposition 1.

    Examples
    --------
    >>> found = alternating_bound(1.0, 0.5)
    >>> found.theoretical.lower, found.computed.upper
    (1.0, 1.0)
    >>> alternating_bound(1.0, 2.0)
    Traceback (most recent call last):
    ...
    ValueError: `step_size` times `sigma` must be below 2, got 2; the iterates grow from there on
    """
    from dynamics.games import Bilinear
    from dynamics.spectra import stability

    sigma, eta = positive_float(sigma, "sigma"), positive_float(step_size, "step_size")
    if not eta * sigma < 2.0:
        raise ValueError(
            f"`step_size` times `sigma` must be below 2, got {eta * sigma:.17g}; the iterates grow "
            "from there on"
        )
    method = GDA(eta, order="alternating_xy")
    return Rate(
        computed=stability(Bilinear(sigma), method).radius,
        theoretical=Enclosure.exact(1.0, "conserved form"),
        kind="tight",
        method=method,
        quantity="spectral radius",
        theorem=VARIATIONAL + "Proposition 1",
    )


def implicit_decay(sigma: float, step_size: float) -> Rate:
    """Implicit steps divide the squared norm by exactly ``1 + eta^2 sigma^2``.

    Parameters
    ----------
    sigma, step_size : float
        Positive.

    Returns
    -------
    Rate
        Kind ``tight``.

    Raises
    ------
    ValueError
        Numbers that are not positive.

    References
    ----------
    Gidel et al., ICLR 2019, Proposition 3.

    Examples
    --------
    >>> found = implicit_decay(1.0, 1.0)
    >>> 0.5 in found.theoretical, 0.5 in found.computed
    (True, True)
    """
    sigma, eta = positive_float(sigma, "sigma"), positive_float(step_size, "step_size")
    method = ProximalPoint(eta)
    return Rate(
        computed=method_radius(method, [sigma], power=2),
        theoretical=enclose(lambda s, e: 1 / (1 + (e * s) ** 2), sigma, eta, method="1 / (1 + A)"),
        kind="tight",
        method=method,
        quantity=SQUARED,
        theorem=VARIATIONAL + "Proposition 3",
    )


def extrapolation_decay(sigma: float, step_size: float) -> Rate:
    """Extragradient steps multiply the squared norm by exactly ``1 - A + A^2``.

    Parameters
    ----------
    sigma, step_size : float
        Positive; ``A = eta^2 sigma^2``. The factor is below 1 for ``A < 1``.

    Returns
    -------
    Rate
        Kind ``tight``. Per iteration, which costs two gradients.

    Raises
    ------
    ValueError
        Numbers that are not positive.

    References
    ----------
    Gidel et al., ICLR 2019, Proposition 3.

    Examples
    --------
    >>> found = extrapolation_decay(1.0, 0.5)
    >>> 0.8125 in found.theoretical, 0.8125 in found.computed
    (True, True)
    """
    sigma, eta = positive_float(sigma, "sigma"), positive_float(step_size, "step_size")
    method = Extragradient(eta)
    return Rate(
        computed=method_radius(method, [sigma], power=2),
        theoretical=enclose(
            lambda s, e: 1 - (e * s) ** 2 + (e * s) ** 4, sigma, eta, method="1 - A + A^2"
        ),
        kind="tight",
        method=method,
        quantity=SQUARED,
        theorem=VARIATIONAL + "Proposition 3",
    )


def negative_momentum_bound(sigmas: Sequence[float], step_size: float) -> Rate:
    """Alternating momentum (-1/2, 0): squared radius at most ``max(1/2, 1 - eta^2 s_n^2 / 16)``.

    Parameters
    ----------
    sigmas : sequence of float
        Singular values, positive.
    step_size : float
        ``eta``, at most ``1 / max(sigmas)``.

    Returns
    -------
    Rate
        Kind ``upper``; not attained (on ``x y`` the true rate is about ``1 - (2/9) eta^2``).

    Raises
    ------
    ValueError
        A step that is too long; numbers that are not positive.

    References
    ----------
    Gidel, Askari Hemmat, Pezeshki, Le Priol, Huang, Lacoste-Julien and Mitliagkas, *Negative
    momentum for improved game dynamics*, AISTATS 2019, the theorem on alternating updates.

    Examples
    --------
    >>> found = negative_momentum_bound([1.0], 1.0)
    >>> round(found.computed.upper, 4), found.theoretical.upper, found.is_consistent
    (0.7607, 0.9375, True)
    """
    values = [positive_float(s, "sigmas") for s in sigmas]
    eta = positive_float(step_size, "step_size")
    if not values:
        raise ValueError("`sigmas` must hold at least one singular value")
    if eta * max(values) > 1.0:
        raise ValueError(
            f"`step_size` must be at most 1 / max(`sigmas`) = {1.0 / max(values):.17g}, "
            f"got {eta:.17g}"
        )
    method = HeavyBall(eta, (-0.5, 0.0), order="alternating_xy")
    slow = enclose(lambda s, e: 1 - (e * s) ** 2 / 16, min(values), eta, method="1 - A / 16")
    return Rate(
        computed=method_radius(method, values, power=2),
        theoretical=slow.maximum(0.5),
        kind="upper",
        method=method,
        quantity="squared spectral radius",
        theorem="Gidel et al., AISTATS 2019 (negative momentum), alternating updates",
    )


def optimistic_last_iterate(sigma: float, step_size: float) -> Rate:
    """Optimistic steps converge in the last iterate for ``eta sigma < 1 / sqrt(3)``.

    Parameters
    ----------
    sigma, step_size : float
        Positive.

    Returns
    -------
    Rate
        With ``u = 2 eta sigma``: the radius ``sqrt((1 + sqrt(1 - u^2)) / 2)`` for ``u <= 1``, else
        ``(u + sqrt(u^2 - 1)) / 2`` and 1/2 as the two legs of a right triangle. Kind ``tight``.

    Raises
    ------
    ValueError
        Numbers that are not positive.

    Notes
    -----
    The published theorem says that iterates enter a ball about the solution for small steps; on a
    bilinear game they converge linearly, at this rate. ``alpha = 2 eta`` in Zhang and Yu.

    References
    ----------
    Daskalakis, Ilyas, Syrgkanis and Zeng, *Training GANs with optimism*, ICLR 2018, Theorem 1.

    Examples
    --------
    >>> found = optimistic_last_iterate(1.0, 0.25)
    >>> round(found.theoretical.upper, 6), found.is_consistent
    (0.965926, True)
    >>> [optimistic_last_iterate(1.0, e).computed.upper < 1.0 for e in (0.577, 0.578)]
    [True, False]
    """
    sigma, eta = positive_float(sigma, "sigma"), positive_float(step_size, "step_size")
    method = OptimisticGDA(eta, order="simultaneous")

    def radius(s: Any, e: Any) -> Any:
        u = 2 * e * s
        if 2.0 * eta * sigma <= 1.0:
            return ((1 + (1 - u**2).sqrt()) / 2).sqrt()
        return ((1 + (u + (u**2 - 1).sqrt()) ** 2) / 4).sqrt()

    return Rate(
        computed=method_radius(method, [sigma]),
        theoretical=enclose(radius, sigma, eta, method="closed form"),
        kind="tight",
        method=method,
        quantity="spectral radius",
        theorem="Daskalakis et al., ICLR 2018, Theorem 1 (its bilinear rate)",
    )
