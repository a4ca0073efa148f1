"""Rates of the field's norm under anchored methods: Yoon and Ryu, Lee and Kim."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamics.methods import AnchoredExtragradient, Method
from dynamics.polynomials import PRECISION, enclosure_of_ball
from dynamics.rates.results import Rate
from evidence.enclosure import Enclosure
from evidence.validation import choice, positive_float, positive_int

__all__ = ["anchored_bound", "fast_bound"]

QUANTITY = "largest ratio of |F(z_k)|^2 to the squared distance of the start, scaled as the theorem"
FIRST_OF_V = 0.618


def anchored_bound(sigma: float, steps: int, *, variant: str = "EAG-C") -> Rate:
    """Extra anchored gradient: ``|F(z_k)|^2 <= 260 R^2 |z_0 - z*|^2 / (k + 1)^2``, or 27 for EAG-V.

    Parameters
    ----------
    sigma : float
        Singular value in units of the Lipschitz constant ``R = 1``, in (0, 1].
    steps : int
        The ratio is the largest over ``k = 0..steps``.
    variant : {"EAG-C", "EAG-V"}
        Constant step 1/8, with 260 and ``(k + 1)^2``; or decreasing steps from 0.618, with 27 and
        ``(k + 1)(k + 2)``.

    Returns
    -------
    Rate
        Kind ``upper``: the theorem is on all convex-concave games with an R-Lipschitz field, the
        computation on ``sigma x y``, in balls, from every start (the ratio is the same for all).

    Raises
    ------
    ValueError
        Arguments out of range.

    References
    ----------
    Yoon and Ryu, *Accelerated algorithms for smooth convex-concave minimax problems with O(1/k^2)
    rate on squared gradient norm*, ICML 2021, Theorems 1 and 2, Corollary 1.

    Examples
    --------
    >>> found = anchored_bound(1.0, 50)
    >>> found.theoretical.upper, found.computed.upper < 260.0, found.is_consistent
    (260.0, True, True)
    """
    sigma, steps = _unit_share(sigma), positive_int(steps, "steps")
    variant = choice(variant, "variant", ("EAG-C", "EAG-V"))
    if variant == "EAG-C":
        method, constant = AnchoredExtragradient(0.125, variant="EAG-C"), 260.0
        weight: Callable[[int], int] = lambda k: (k + 1) ** 2  # noqa: E731 - one of two formulas
    else:
        method = AnchoredExtragradient(FIRST_OF_V, variant="EAG-V", lipschitz=1.0)
        constant, weight = 27.0, lambda k: (k + 1) * (k + 2)
    return _rate(
        method, _anchored_orbit(sigma, steps, variant), weight, constant, "upper",
        f"Yoon and Ryu, ICML 2021, {variant}",
    )  # fmt: skip


def fast_bound(sigma: float, steps: int) -> Rate:
    """Fast extragradient: ``|F(z_k)|^2 <= 4 R^2 |z_0 - z*|^2 / k^2``.

    Parameters
    ----------
    sigma : float
        Singular value in units of the Lipschitz constant ``R = 1``, in (0, 1].
    steps : int
        The ratio is the largest over ``k = 1..steps``.

    Returns
    -------
    Rate
        Kind ``upper``; attained at ``sigma = 1`` (in ``k = 2``).

    Raises
    ------
    ValueError
        Arguments out of range.

    References
    ----------
    Lee and Kim, *Fast extra gradient methods for smooth structured nonconvex-nonconcave minimax
    problems*, NeurIPS 2021, Theorem 4.1 with rho = 0.

    Examples
    --------
    >>> found = fast_bound(1.0, 20)
    >>> 4.0 in found.computed, found.computed.rtol < 1e-15, found.is_consistent
    (True, True, True)
    """
    sigma, steps = _unit_share(sigma), positive_int(steps, "steps")
    return _rate(
        AnchoredExtragradient(1.0, variant="FEG"), _anchored_orbit(sigma, steps, "FEG"),
        lambda k: k * k, 4.0, "upper", "Lee and Kim, NeurIPS 2021, Theorem 4.1",
    )  # fmt: skip


def _unit_share(sigma: float) -> float:
    value = positive_float(sigma, "sigma")
    if value > 1.0:
        raise ValueError(f"`sigma` must be in (0, 1], in units of R, got {value:.17g}")
    return value


def _anchored_orbit(sigma: float, steps: int, variant: str) -> list[Any]:
    """``|F(z_k)|^2`` for k = 0..steps from a start of norm 1, as balls.

    With ``zeta = x + i y`` the field of ``sigma x y`` is multiplication by ``-i sigma``.
    """
    from flint import acb, arb, ctx

    with ctx.workprec(PRECISION):
        turn = acb(0, -arb(sigma))
        zeta, found = acb(1), []
        a = {"EAG-C": arb(1) / 8, "EAG-V": arb(FIRST_OF_V), "FEG": arb(1)}[variant]
        for k in range(steps + 1):
            found.append(abs(turn * zeta) ** 2)
            beta = arb(1) / (k + 1) if variant == "FEG" else arb(1) / (k + 2)
            pulled = zeta + beta * (1 - zeta)
            ahead = a * (1 - beta) if variant == "FEG" else a
            zeta = pulled - a * turn * (pulled - ahead * turn * zeta)
            if variant == "EAG-V":
                a = a * (1 - a * a / ((1 - a * a) * (k + 1) * (k + 3)))
    return found


def _rate(
    method: Method,
    squared_fields: list[Any],
    weight: Callable[[int], int],
    constant: float,
    kind: Any,
    theorem: str,
) -> Rate:
    from flint import ctx

    with ctx.workprec(PRECISION):
        ratios = [
            enclosure_of_ball(value * weight(k), "complex recursion in balls")
            for k, value in enumerate(squared_fields)
        ]
    computed = ratios[0]
    for ratio in ratios[1:]:
        computed = computed.maximum(ratio)
    return Rate(
        computed=computed,
        theoretical=Enclosure.exact(constant, "theorem"),
        kind=kind,
        method=method,
        quantity=QUANTITY,
        theorem=theorem,
    )
