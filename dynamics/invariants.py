"""What a method conserves, or multiplies by a known factor in every step; what a flow conserves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics.dirac import DiracGAN
from dynamics.games import Bilinear
from dynamics.protocols import Array, Game
from dynamics.scaled_states import ScaledStates

if TYPE_CHECKING:
    from dynamics.methods import Method

__all__ = ["Invariant", "flow_invariant", "orbit_invariant"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Invariant:
    """Functions of the state that are conserved, or grow by known factors.

    Parameters
    ----------
    formula : str
        In words or symbols, of the deviation ``z - z*`` from the equilibrium.
    value : callable
        Deviations of shape (..., d) to values of shape (..., r).
    log_growth : array, shape (r,)
        Natural logarithms of the factors by which the values grow in one step (0 if conserved).
    is_quadratic : bool
        Whether ``value(c w) = c**2 value(w)``, so that scaled states have a value.

    Examples
    --------
    >>> from dynamics.games import Bilinear
    >>> energy = flow_invariant(Bilinear(2.0))
    >>> energy.formula, energy.value(np.array([3.0, 4.0]))
    ('|z - z*|^2', array([25.]))
    """

    formula: str
    value: Callable[[Array], Array]
    log_growth: Array
    is_quadratic: bool = True

    def along(self, deviations: ScaledStates, steps: NDArray[np.int64]) -> Array:
        """Values over their known growth, shape (k, ..., r): constant in real arithmetic."""
        values = self.value(deviations.values)
        inner = (1,) * (values.ndim - 2)
        time = np.asarray(steps, dtype=np.float64).reshape(-1, *inner, 1)
        exponents = deviations.exponents[..., None]
        logarithms = 2.0 * math.log(2.0) * exponents - time * self.log_growth
        return np.asarray(values * np.exp(logarithms))

    def changes(self, along: Array) -> Array:
        """Largest change over the starts since the first row, relative to it; shape (k,).

        Examples
        --------
        >>> energy = flow_invariant(Bilinear(2.0))
        >>> energy.changes(np.array([[2.0], [2.5], [1.9]]))
        array([0.  , 0.25, 0.05])
        """
        scale = np.abs(along[0]).sum(axis=-1)
        change = np.abs(along - along[0]).max(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.where(change > 0.0, change / scale, 0.0)
        return np.asarray(relative.reshape(len(along), -1).max(axis=1))


def flow_invariant(game: Game) -> Invariant | None:
    """What the continuous-time flow ``z' = -F(z)`` of a game is known to conserve.

    Returns
    -------
    Invariant or None
        The squared distance from the equilibrium for linear games whose Jacobian is exactly
        skew-symmetric, and for the Dirac-GAN with the saturating or the Wasserstein loss and no
        regulariser; None elsewhere.

    Notes
    -----
    ``d/dt |z - z*|^2 = -2 (z - z*) . F(z)`` vanishes for ``F(z) = J (z - z*)`` with skew-symmetric
    ``J``, and for ``F = f'(theta psi) (psi, -theta)``.

    References
    ----------
    Mescheder, Geiger and Nowozin, *Which training methods for GANs do actually converge?*, ICML
    2018, section 2.1.

    Examples
    --------
    >>> from dynamics.games import Quadratic
    >>> flow_invariant(Quadratic(0.1, 1.0, 0.0)) is None
    True
    """
    if isinstance(game, DiracGAN) and game.loss != "nsgan" and game.regularizer is None:
        return squared_distance()
    if not game.is_linear or game.equilibrium is None:
        return None
    J = game.jacobian(np.zeros(sum(game.dimensions)))
    return squared_distance() if np.array_equal(J, -J.T) else None


def squared_distance() -> Invariant:
    """``|z - z*|^2``, conserved."""
    return Invariant(
        formula="|z - z*|^2",
        value=lambda w: np.square(w).sum(axis=-1, keepdims=True),
        log_growth=np.zeros(1),
    )


def orbit_invariant(game: Game, method: Method) -> Invariant | None:
    """What a method is known to conserve on a bilinear game, or to multiply in every step.

    Returns
    -------
    Invariant or None
        Alternating gradient descent-ascent with steps ``(a, b)``: ``|x|^2 / a + |y|^2 / b -+ x^T A
        y``, minus if ``x`` moves first, conserved. Simultaneous: ``b (u . x)^2 + a (v . y)^2`` for
        the first singular pair, times ``1 + a b sigma_1^2`` in every step (so it is for every pair,
        but rounding carries the fastest into the others). Implicit midpoint:
        ``|x|^2 / a + |y|^2 / b``, conserved. None elsewhere.

    References
    ----------
    Bailey, Gidel and Piliouras, *Finite regret and cycles with fixed step-size via alternating
    gradient descent-ascent*, COLT 2020, for the alternating energy.

    Examples
    --------
    >>> from dynamics.methods import GDA
    >>> orbit_invariant(Bilinear(1.0), GDA(0.5, order="alternating_xy")).value(np.ones(2))
    array([3.])
    """
    return None if game.equilibrium is None else about_equilibrium(game, method)


def about_equilibrium(game: Game, method: Method) -> Invariant | None:
    """:func:`orbit_invariant` of a game that is known to have an equilibrium."""
    if not isinstance(game, Bilinear) or not method.is_stationary:
        return None
    pair = getattr(method, "step_size", None)
    if not isinstance(pair, tuple):
        return None
    a, b = float(pair[0]), float(pair[1])
    order = getattr(method, "order", "")
    name = type(method).__name__
    if name == "GDA":
        if order == "simultaneous":
            return _first_pair_energy(game, a, b)
        return _energy(game, a, b, -1.0 if order == "alternating_xy" else 1.0)
    if name == "ImplicitMidpoint":
        # (z + z+)/2 . D^-1 (z+ - z) = -w . J w = 0 for w = (z + z+)/2 and skew-symmetric J.
        return _energy(game, a, b, 0.0)
    return None


def _energy(game: Bilinear, a: float, b: float, sign: float) -> Invariant:
    A, m = game.A, game.dimensions[0]

    def energy(w: Array) -> Array:
        x, y = w[..., :m], w[..., m:]
        cross = np.einsum("...i,...i->...", x, y @ A.T)
        value = np.square(x).sum(axis=-1) / a + np.square(y).sum(axis=-1) / b + sign * cross
        return np.asarray(value[..., None])

    cross_term = {-1.0: " - x^T A y", 0.0: "", 1.0: " + x^T A y"}[sign]
    formula = f"|x|^2 / a + |y|^2 / b{cross_term}"
    return Invariant(formula=formula, value=energy, log_growth=np.zeros(1))


def _first_pair_energy(game: Bilinear, a: float, b: float) -> Invariant | None:
    # Only the pair that grows fastest: rounding puts some of it into all others, and drowns them.
    system, m = game.singular_system, game.dimensions[0]
    if a * b <= 0.0 or not len(system.values):
        return None  # steps of opposite sign: the form is indefinite, and its factor may vanish
    left, right = system.left[:, :1], system.right[:, :1]

    def energy(w: Array) -> Array:
        return np.asarray(b * np.square(w[..., :m] @ left) + a * np.square(w[..., m:] @ right))

    return Invariant(
        formula="b (u_1 . x)^2 + a (v_1 . y)^2 over (1 + a b sigma_1^2)^t",
        value=energy,
        log_growth=np.log1p(a * b * np.square(system.values[:1])),
    )
