"""How large steps may be, and which are best."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.methods.base import Method
from dynamics.methods.extragradient import Extragradient, PastExtragradient
from dynamics.methods.gradient import GDA
from dynamics.methods.momentum import HeavyBall, Nesterov
from dynamics.methods.optimistic import OGD, OptimisticGDA
from dynamics.methods.second_order import ConsensusOptimization, SymplecticGradientAdjustment
from dynamics.polynomials import PRECISION, as_fmpq, radius_enclosure, with_numbers
from dynamics.protocols import Game
from dynamics.spectra import stability
from evidence.enclosure import Enclosure
from evidence.validation import positive_float

__all__ = ["OptimalSteps", "optimal_step_sizes", "step_size_limit"]

_INTERIOR = 15


def step_size_limit(game: Game, *, order: str = "simultaneous") -> Enclosure:
    """Up to which step gradient descent-ascent converges, near the equilibrium.

    Parameters
    ----------
    game : Game
        Linear, or nonlinear with an equilibrium.
    order : {"simultaneous", "alternating_xy", "alternating_yx"}
        Who moves first.

    Returns
    -------
    Enclosure
        Of the first step ``h`` at which :class:`GDA` stops being stable: at ``lower`` it is proved
        stable, at ``upper`` proved unstable. Exactly 0 if no small step is proved stable. Wider
        for a nonlinear game with a double eigenvalue there, because its linearisation is computed.

    Notes
    -----
    Simultaneous steps are stable exactly below ``min 2 Re(mu) / |mu|^2`` over the eigenvalues
    ``mu`` of the Jacobian (Mescheder et al. 2017, Lemma 4); the set is an interval. For
    alternating ones the first crossing found by doubling is enclosed.

    Examples
    --------
    >>> from dynamics import R1, Bilinear, DiracGAN
    >>> regularized = DiracGAN(regularizer=R1(0.3))
    >>> print(step_size_limit(regularized))
    [1.199999, 1.200001] (bisection of verdicts)
    >>> print(step_size_limit(regularized, order="alternating_yx"))
    [2.976122, 2.976123] (bisection of verdicts)
    >>> print(step_size_limit(Bilinear(1.0)))
    0 exactly (no step is proved stable)
    """

    def verdict(h: float) -> str:
        return stability(game, GDA(h, order=order)).verdict

    point = np.zeros(sum(game.dimensions)) if game.equilibrium is None else game.equilibrium
    scale = float(np.linalg.norm(game.jacobian(point), 2)) if _is_smooth(game) else 0.0
    low = 2.0**-10 / scale if scale else 0.0
    if not scale or (verdict(low) != "stable" and verdict(low := low * 2.0**-10) != "stable"):
        return Enclosure.exact(0.0, "no step is proved stable")
    high = 2.0 * low
    while verdict(high) == "stable":
        low, high = high, 2.0 * high
    lower = _last(lambda h: verdict(h) == "stable", low, high)
    while verdict(high) != "unstable":
        high *= 2.0
    upper = -_last(lambda h: verdict(-h) == "unstable", -high, -lower)
    return Enclosure(lower, upper, "bisection of verdicts")


def _is_smooth(game: Game) -> bool:
    return bool(getattr(game, "is_smooth_at_equilibrium", True))


def _last(holds: Callable[[float], bool], yes: float, no: float) -> float:
    """The largest float found, from ``yes`` towards ``no``, at which the condition holds."""
    while no - yes > 2.0**-44 * abs(no):
        middle = 0.5 * (yes + no)
        yes, no = (middle, no) if holds(middle) else (yes, middle)
    return yes


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimalSteps:
    """The best parameters found for a method, and what they are worth.

    Attributes
    ----------
    method : Method
        The method with these parameters.
    radius : Enclosure
        Proved spectral radius of *this* method over the listed singular values: an upper bound of
        the best possible one there, and no more than that unless ``kind`` says so.
    sigmas : tuple of float
        The extreme singular values, and some between them.
    optimum : float or None
        The best possible radius where a theorem gives it, in real arithmetic. Rounding the
        parameters to floats costs up to a fourth root of the rounding where the best eigenvalues
        are defective, as for OGD; ``radius`` shows it.
    kind : {"attained", "numerical"}
        Whether ``optimum`` is a theorem or the parameters come from a search.
    source : str
        The theorem, or the search.

    Examples
    --------
    >>> found = optimal_step_sizes(Extragradient(1.0), 2.0)
    >>> found.method.step_size, found.optimum in found.radius
    ((0.8944271909999159, 0.8944271909999159), True)
    """

    method: Method
    radius: Enclosure
    sigmas: tuple[float, ...]
    optimum: float | None
    kind: str
    source: str


def optimal_step_sizes(method: Method, kappa: float, *, largest: float = 1.0) -> OptimalSteps:
    """Parameters with the smallest spectral radius on games of condition number ``kappa``.

    Parameters
    ----------
    method : Method
        Says which method and order; its own numbers are ignored. Extragradient, consensus and
        symplectic adjustment are taken with one parameter (extrapolation equal to the step),
        momentum with one weight for both players, OGD with ``alpha`` and two ``beta``.
    kappa : float
        ``sigma_1 / sigma_n``, at least 1.
    largest : float
        ``sigma_1``; step sizes scale with its inverse.

    Returns
    -------
    OptimalSteps
        With a proved radius at the singular values listed.

    Raises
    ------
    ValueError
        ``kappa`` below 1; methods that converge for no step size (gradient descent-ascent) or ever
        better for larger ones (proximal point).

    Notes
    -----
    Theorems: extragradient with one parameter, ``eta^2 (s_1^2 + s_n^2) = 1``, because
    ``1 - A + A^2`` is convex in ``A = eta^2 s^2`` and symmetric about 1/2; simultaneous OGD at
    ``kappa = 1`` has four roots that sum to 2, hence radius at least 1/2, which is attained;
    alternating OGD at ``kappa = 1`` reaches 0 (Zhang and Yu 2020, Appendix E.4). With separate
    parameters extragradient has the infimum ``(kappa^2 - 1)/(kappa^2 + 1)``, which is not attained
    (their Theorem 4.1).

    Examples
    --------
    >>> found = optimal_step_sizes(OptimisticGDA(1.0), 2.0)
    >>> round(found.radius.upper, 5), round(2 * found.method.step_size[0], 4)
    (0.95602, 1.1216)
    """
    kappa = positive_float(kappa, "kappa")
    if kappa < 1.0:
        raise ValueError(f"`kappa` must be at least 1, got {kappa:.17g}")
    largest = positive_float(largest, "largest")
    build, starts = _family(method)
    sigmas = _between(kappa, largest)
    known = _theorem(method, kappa, largest)
    if known is not None:
        best, optimum, source = known
        return OptimalSteps(
            method=best,
            radius=_proved_radius(best, sigmas),
            sigmas=sigmas,
            optimum=optimum,
            kind="attained",
            source=source,
        )
    point = _search(build, starts, np.array(sigmas) / largest)
    best = build(np.r_[point[0] / largest, _weights(method, point, largest)])
    radius = _proved_radius(best, sigmas)
    if not radius.upper < 1.0 - 1e-9:
        raise ValueError(f"`method` = {method} was found to converge for no step size")
    return OptimalSteps(
        method=best,
        radius=radius,
        sigmas=sigmas,
        optimum=None,
        kind="numerical",
        source="grid and Nelder-Mead search",
    )


def _family(method: Method) -> tuple[Callable[[Any], Method], list[NDArray[np.float64]]]:
    """How parameters make a method, and the grid where the search for them starts."""
    order = getattr(method, "order", "simultaneous")
    steps, weights = np.linspace(0.1, 2.0, 20), np.linspace(-0.9, 0.9, 19)
    if isinstance(method, Extragradient):
        way = method.alternation
        return lambda p: Extragradient(p[0], p[0], order=order, alternation=way), [steps]
    if isinstance(method, OptimisticGDA):
        return lambda p: OptimisticGDA(p[0], order=order), [0.5 * steps]
    if isinstance(method, PastExtragradient):
        return lambda p: PastExtragradient(p[0]), [0.5 * steps]
    if isinstance(method, (ConsensusOptimization, SymplecticGradientAdjustment)):
        kind = type(method)
        return lambda p: kind(p[0], p[0]), [steps]
    if isinstance(method, OGD):
        betas = np.linspace(-0.5, 1.0, 7)
        return lambda p: OGD(p[0], (p[1], p[2]), order=order), [steps, betas, betas]
    if isinstance(method, (HeavyBall, Nesterov)):
        kind_of = type(method)
        return lambda p: kind_of(p[0], p[1], order=order), [steps, weights]
    raise ValueError(
        f"`method` = {type(method).__name__} has no best step size: gradient descent-ascent never "
        "converges, implicit and competitive methods improve with every larger step, and others "
        "have no characteristic polynomial; pass Extragradient, OptimisticGDA, OGD, "
        "PastExtragradient, HeavyBall, Nesterov or a consensus method"
    )


def _weights(method: Method, point: NDArray[np.float64], largest: float) -> list[float]:
    """Gradient weights scale like steps; momentum does not."""
    scale = largest if isinstance(method, OGD) else 1.0
    return [float(v) / scale for v in point[1:]]


def _between(kappa: float, largest: float) -> tuple[float, ...]:
    if kappa == 1.0:
        return (largest,)
    return tuple(float(v) for v in np.geomspace(largest / kappa, largest, _INTERIOR))


def _theorem(method: Method, kappa: float, largest: float) -> tuple[Method, float, str] | None:
    at_once = getattr(method, "order", "simultaneous") == "simultaneous"
    if isinstance(method, Extragradient) and at_once:
        eta = 1.0 / (largest * math.sqrt(1.0 + kappa**-2))
        share = kappa**2 / (1.0 + kappa**2) ** 2
        return Extragradient(eta), math.sqrt(1.0 - share), "eta^2 (s_1^2 + s_n^2) = 1"
    if isinstance(method, OGD) and kappa == 1.0:
        root = math.sqrt(2.0)
        if at_once:
            betas = ((root + 1.0) / (4.0 * largest), (root - 1.0) / (4.0 * largest))
            return OGD(1.0 / (root * largest), betas), 0.5, "the four roots sum to 2"
        best = OGD(root / largest, (1.0 / (root * largest), 0.0), order=method.order)
        return best, 0.0, "Zhang and Yu 2020, Appendix E.4: nilpotent"
    return None


def _search(
    build: Callable[[Any], Method],
    axes: list[NDArray[np.float64]],
    sigmas: NDArray[np.float64],
) -> NDArray[np.float64]:
    from scipy.optimize import minimize

    def radius(point: NDArray[np.float64]) -> float:
        if not abs(point[0]) > 1e-8:
            return 2.0
        coefficients = np.asarray(build(point).characteristic_polynomial(sigmas), dtype=np.float64)
        return float(np.max(np.abs(_roots(coefficients / coefficients[0]))))

    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    values = np.array([radius(point) for point in grid])
    best, found = math.inf, grid[0]
    for start in grid[np.argsort(values, kind="stable")[:4]]:
        point = start
        for _ in range(3):  # a fresh simplex after each, against stagnation at kinks
            solved = minimize(
                radius,
                point,
                method="Nelder-Mead",
                options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 600},
            )
            point = solved.x
        if solved.fun < best:
            best, found = float(solved.fun), point
    return np.asarray(found)


def _roots(coefficients: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Roots of monic polynomials, coefficients in the first axis, by companion matrices."""
    degree = len(coefficients) - 1
    companion = np.zeros((coefficients.shape[1], degree, degree))
    companion[:, 0, :] = -coefficients[1:].T
    companion[:, np.arange(1, degree), np.arange(degree - 1)] = 1.0
    return np.asarray(np.linalg.eigvals(companion), dtype=np.complex128)


def _proved_radius(method: Method, sigmas: tuple[float, ...]) -> Enclosure:
    from flint import arb, ctx

    exact = with_numbers(method, as_fmpq)
    estimate = float(np.max(np.abs(_roots(_monic(method, np.array(sigmas))))))
    with ctx.workprec(PRECISION):
        polynomials = [
            [arb(as_fmpq(c)) for c in exact._polynomial(as_fmpq(s) ** 2)] for s in sigmas
        ]
    return radius_enclosure(polynomials, estimate)


def _monic(method: Method, sigmas: NDArray[np.float64]) -> NDArray[np.float64]:
    coefficients = np.asarray(method.characteristic_polynomial(sigmas), dtype=np.float64)
    return np.asarray(coefficients / coefficients[0])
