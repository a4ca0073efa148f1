"""The best exponents on bilinear games: Zhang and Yu's section 4, and two that are better."""

from __future__ import annotations

from typing import Any

from dynamics.methods import OGD, Extragradient, HeavyBall
from dynamics.rates.balls import enclose, method_radius
from dynamics.rates.results import Rate
from evidence.enclosure import Enclosure
from evidence.validation import positive_float

__all__ = [
    "alternating_momentum_optimum",
    "alternating_optimistic_optimum",
    "extragradient_optimum",
    "simultaneous_optimistic_optimum",
]


def _root_of_two() -> Any:
    from flint import arb

    return arb(2).sqrt()


def extragradient_optimum(smallest: float, step_size: float = 1e-3) -> Rate:
    """Theorem 4.1: extragradient with two parameters can approach ``(k^2 - 1) / (k^2 + 1)``.

    Parameters
    ----------
    smallest : float
        The smallest singular value in units of the largest, in (0, 1]; ``k`` is its inverse.
    step_size : float
        ``alpha``; the infimum is approached as it tends to 0. In (0, 1].

    Returns
    -------
    Rate
        ``computed``: the radius at the singular values 1 and ``smallest`` for this ``alpha`` and
        ``alpha gamma = 2 / (1 + smallest^2)``. The theorem's number is its limit, and a lower
        bound of it: kind ``lower``.

    Raises
    ------
    ValueError
        Arguments out of range.

    Notes
    -----
    The radius here is ``sqrt(r*^2 + alpha^2)`` at ``sigma = 1`` and smaller at the other end. The
    limit is not attained: at ``alpha = 0`` nothing couples the players.

    References
    ----------
    Zhang and Yu, *Convergence of gradient methods on bilinear zero-sum games*, ICLR 2020, Thm 4.1.

    Examples
    --------
    >>> found = extragradient_optimum(0.5)
    >>> print(found.theoretical.rtol < 1e-15, round(found.theoretical.lower, 6))
    True 0.6
    >>> round(found.computed.lower, 6), found.is_consistent
    (0.600001, True)
    """
    smallest = _share(smallest, "smallest")
    alpha = _share(step_size, "step_size")

    def look_ahead() -> Any:
        from flint import arb

        gamma = 2 / ((1 + arb(smallest) ** 2) * arb(alpha))
        return (gamma, gamma)

    middle = 2.0 / ((1.0 + smallest**2) * alpha)
    return Rate(
        computed=method_radius(
            Extragradient(alpha, middle), [1.0, smallest], extrapolation=look_ahead
        ),
        theoretical=enclose(
            lambda t: (1 - t**2) / (1 + t**2), smallest, method="(k^2 - 1) / (k^2 + 1)"
        ),
        kind="lower",
        method=Extragradient(alpha, middle),
        quantity="spectral radius over the singular values",
        theorem="Zhang and Yu, ICLR 2020, Theorem 4.1",
    )


def alternating_optimistic_optimum(smallest: float) -> Rate:
    """Theorem 4.2: alternating optimistic steps with one correction, ``sqrt((k^2-1)/(k^2+1))``.

    Parameters
    ----------
    smallest : float
        The smallest singular value in units of the largest, in (0, 1]; ``k`` is its inverse.

    Returns
    -------
    Rate
        For ``alpha = sqrt(2)``, ``beta1 = sqrt(2) / (1 + smallest^2)``, ``beta2 = 0``; kind
        ``tight``: the radius of these parameters.

    Raises
    ------
    ValueError
        An argument out of range.

    Notes
    -----
    Optimal among ``beta2 = 0`` by the theorem, not among all: with both corrections free a search
    finds 2/3 instead of 0.7746 at ``k = 2``. At ``k = 1`` the radius is 0 and the iteration
    nilpotent. The parameters are algebraic numbers, in balls; ``method`` has them rounded.

    References
    ----------
    Zhang and Yu, ICLR 2020, Theorem 4.2.

    Examples
    --------
    >>> found = alternating_optimistic_optimum(0.5)
    >>> round(found.theoretical.lower, 6), found.computed.overlaps(found.theoretical)
    (0.774597, True)
    """
    smallest = _share(smallest, "smallest")

    def steps() -> Any:
        return (_root_of_two(), _root_of_two())

    def corrections() -> Any:
        from flint import arb

        return (_root_of_two() / (1 + arb(smallest) ** 2), arb(0))

    root = 2.0**0.5
    rounded = OGD(root, (root / (1.0 + smallest**2), 0.0), order="alternating_xy")
    return Rate(
        computed=method_radius(rounded, [1.0, smallest], step_size=steps, correction=corrections),
        theoretical=enclose(
            lambda t: ((1 - t**2) / (1 + t**2)).sqrt(),
            smallest,
            method="sqrt((k^2 - 1) / (k^2 + 1))",
        ),
        kind="tight",
        method=rounded,
        quantity="spectral radius over the singular values",
        theorem="Zhang and Yu, ICLR 2020, Theorem 4.2",
    )


def simultaneous_optimistic_optimum() -> Rate:
    """Simultaneous optimistic steps reach the radius 1/2 at ``k = 1``, and no less.

    Returns
    -------
    Rate
        For ``alpha = 1 / sqrt(2)``, ``beta = sqrt(2) / 4 +- 1/4`` on ``x y``; kind ``tight``.

    Notes
    -----
    The characteristic polynomial is ``(lambda - 1/2)^4``. The four roots of every choice of
    parameters sum to 2, so that one has modulus at least 1/2. The grid in print has 0.6. All
    four roots are one: parameters rounded to floats have a radius about 1e-4 larger.

    References
    ----------
    Zhang and Yu, ICLR 2020, Appendix E.4, improved.

    Examples
    --------
    >>> found = simultaneous_optimistic_optimum()
    >>> found.theoretical.lower, found.computed.overlaps(found.theoretical)
    (0.5, True)
    """

    def steps() -> Any:
        return (1 / _root_of_two(), 1 / _root_of_two())

    def corrections() -> Any:
        return ((_root_of_two() + 1) / 4, (_root_of_two() - 1) / 4)

    root = 2.0**0.5
    rounded = OGD(1.0 / root, ((root + 1.0) / 4.0, (root - 1.0) / 4.0))
    return Rate(
        computed=method_radius(rounded, [1.0], step_size=steps, correction=corrections),
        theoretical=Enclosure.exact(0.5, "four roots that sum to 2"),
        kind="tight",
        method=rounded,
        quantity="spectral radius at sigma = 1",
        theorem="Zhang and Yu, ICLR 2020, Appendix E.4, improved from 0.6",
    )


def alternating_momentum_optimum() -> Rate:
    """Alternating momentum reaches the radius ``2 sqrt(3) - 3`` at ``k = 1``.

    Returns
    -------
    Rate
        For ``beta1 = beta2 = 4 sqrt(3) - 7`` and ``alpha^2 = 64 r / 9`` with
        ``r = 2 sqrt(3) - 3``; kind ``tight``: the radius of these parameters.

    Notes
    -----
    The characteristic polynomial is ``(lambda + r)^3 (lambda + r / 9)``. The grid in print has 1/2.
    No parameters have a radius below 0.46410161: decided by a solver, in the ledger.

    References
    ----------
    Zhang and Yu, ICLR 2020, Appendix E.4, improved.

    Examples
    --------
    >>> found = alternating_momentum_optimum()
    >>> round(found.theoretical.lower, 9), found.computed.overlaps(found.theoretical)
    (0.464101615, True)
    """

    def steps() -> Any:
        return (8 * _best_momentum_radius().sqrt() / 3,) * 2

    def weights() -> Any:
        from flint import arb

        return (4 * arb(3).sqrt() - 7, 4 * arb(3).sqrt() - 7)

    root = 3.0**0.5
    rounded = HeavyBall(
        8.0 * (2.0 * root - 3.0) ** 0.5 / 3.0, 4.0 * root - 7.0, order="alternating_xy"
    )
    return Rate(
        computed=method_radius(rounded, [1.0], step_size=steps, momentum=weights),
        theoretical=enclose(_best_momentum_radius, method="2 sqrt(3) - 3"),
        kind="tight",
        method=rounded,
        quantity="spectral radius at sigma = 1",
        theorem="Zhang and Yu, ICLR 2020, Appendix E.4, improved from 0.5",
    )


def _best_momentum_radius() -> Any:
    from flint import arb

    return 2 * arb(3).sqrt() - 3


def _share(value: float, name: str) -> float:
    number = positive_float(value, name)
    if number > 1.0:
        raise ValueError(f"`{name}` must be in (0, 1], got {number:.17g}")
    return number
