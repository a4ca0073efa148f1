"""The Dirac-GAN: one number for the generator, one for the critic, every usual regulariser."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dynamics.protocols import Array, Game
from evidence.validation import choice, positive_float, positive_int

__all__ = [
    "Clipping",
    "Consensus",
    "DiracGAN",
    "GradientPenalty",
    "InstanceNoise",
    "R1",
    "R2",
    "Regularizer",
]


@dataclass(frozen=True, slots=True)
class R1:
    """Penalty ``gamma/2 E |grad D|^2`` on real data: adds ``gamma psi`` to the critic's field.

    Examples
    --------
    >>> DiracGAN(regularizer=R1(0.3)).jacobian(np.zeros(2))
    array([[ 0. ,  0.5],
           [-0.5,  0.3]])
    """

    gamma: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", positive_float(self.gamma, "gamma"))


@dataclass(frozen=True, slots=True)
class R2:
    """Penalty ``gamma/2 E |grad D|^2`` on generated data; equal to R1 since the critic is linear.

    Examples
    --------
    >>> DiracGAN(regularizer=R2(0.3)).field(np.array([0.0, 1.0]))
    array([0.5, 0.3])
    """

    gamma: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", positive_float(self.gamma, "gamma"))


@dataclass(frozen=True, slots=True)
class InstanceNoise:
    """Gaussian noise of standard deviation ``std`` on real and generated data.

    Expectations are Gauss-Hermite sums with ``nodes`` points, not samples: 60 are exact to
    rounding for the losses here and moderate ``std``.

    Examples
    --------
    >>> game = DiracGAN(regularizer=InstanceNoise(0.7))
    >>> np.round(game.jacobian(np.zeros(2)), 12)
    array([[ 0.   ,  0.5  ],
           [-0.5  ,  0.245]])
    """

    std: float
    nodes: int = 60

    def __post_init__(self) -> None:
        object.__setattr__(self, "std", positive_float(self.std, "std"))
        object.__setattr__(self, "nodes", positive_int(self.nodes, "nodes"))


@dataclass(frozen=True, slots=True)
class GradientPenalty:
    """The WGAN-GP penalty ``strength/2 (|psi| - target)^2``, two- or one-sided.

    One-sided penalises only ``|psi| > target``. Gulrajani et al. write ``lambda (|grad D| - 1)^2``,
    which is ``strength = 2 lambda``, ``target = 1``. Two-sided with a positive target it is not
    differentiable at ``psi = 0``; the field takes ``sign(0) = 0`` there.

    Examples
    --------
    >>> game = DiracGAN("wgan", regularizer=GradientPenalty(0.5))
    >>> game.field(np.array([0.0, 3.0])), game.is_smooth_at_equilibrium
    (array([3., 1.]), False)
    """

    strength: float
    target: float = 1.0
    one_sided: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", positive_float(self.strength, "strength"))
        target = self.target
        is_number = isinstance(target, numbers.Real) and not isinstance(target, bool)
        if not is_number or not 0.0 <= float(target) < np.inf:
            raise ValueError(f"`target` must be a finite number at least 0, got {target!r}")
        object.__setattr__(self, "target", float(target))
        if not isinstance(self.one_sided, bool):
            raise TypeError(f"`one_sided` must be True or False, got {self.one_sided!r}")


@dataclass(frozen=True, slots=True)
class Clipping:
    """Weight clipping: after each step ``psi`` is moved into ``[-bound, bound]``.

    Examples
    --------
    >>> DiracGAN("wgan", regularizer=Clipping(1.0)).project(np.array([3.0, -2.0]))
    array([ 3., -1.])
    """

    bound: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "bound", positive_float(self.bound, "bound"))


@dataclass(frozen=True, slots=True)
class Consensus:
    """Consensus optimisation as a field: ``F + gamma J^T F``, which descends ``|F|^2`` as well.

    Examples
    --------
    >>> DiracGAN(regularizer=Consensus(1.0)).jacobian(np.zeros(2))
    array([[ 0.25,  0.5 ],
           [-0.5 ,  0.25]])
    """

    gamma: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", positive_float(self.gamma, "gamma"))


Regularizer = R1 | R2 | InstanceNoise | GradientPenalty | Clipping | Consensus
_LOSSES = ("gan", "nsgan", "wgan")


@dataclass(frozen=True, slots=True, init=False)
class DiracGAN(Game):
    """The Dirac-GAN: real data at 0, generated data at ``theta``, critic ``D(x) = psi x``.

    The state is ``z = (theta, psi)``. With ``f(t) = -log(1 + exp(-t))`` (``gan``) or ``f(t) = t``
    (``wgan``) the generator minimises and the critic maximises ``f(psi theta) + f(0)``; the
    non-saturating generator (``nsgan``) maximises ``f(-psi theta)`` instead. Everything is smooth
    with the one equilibrium 0, where the unregularised eigenvalues are ``+-i f'(0)``.

    Parameters
    ----------
    loss : {"gan", "nsgan", "wgan"}
        The loss.
    regularizer : R1, R2, InstanceNoise, GradientPenalty, Clipping or Consensus, optional
        One regulariser.

    Notes
    -----
    Jacobians are complex-step derivatives of the field, exact to rounding (Squire and Trapp, SIAM
    Rev. 40 (1998)).

    References
    ----------
    Mescheder, Geiger and Nowozin, *Which training methods for GANs do actually converge?*, ICML
    2018, section 2.

    Examples
    --------
    >>> DiracGAN("nsgan").field(np.array([1.0, 0.0]))
    array([ 0. , -0.5])
    >>> np.linalg.eigvals(DiracGAN("gan").jacobian(np.zeros(2))).imag
    array([ 0.5, -0.5])
    """

    loss: str
    regularizer: Regularizer | None

    def __init__(self, loss: str = "gan", *, regularizer: Regularizer | None = None) -> None:
        object.__setattr__(self, "loss", choice(loss, "loss", _LOSSES))
        if regularizer is not None and not isinstance(regularizer, Regularizer):
            raise TypeError(
                "`regularizer` must be an R1, R2, InstanceNoise, GradientPenalty, Clipping or "
                f"Consensus, got {regularizer!r}"
            )
        object.__setattr__(self, "regularizer", regularizer)

    @property
    def dimensions(self) -> tuple[int, int]:
        """One generator parameter, one critic parameter."""
        return 1, 1

    @property
    def equilibrium(self) -> Array:
        """The origin: generated data on the real ones, a critic that sees no difference."""
        return np.zeros(2)

    @property
    def is_smooth_at_equilibrium(self) -> bool:
        """Whether the field is differentiable at the equilibrium."""
        penalty = self.regularizer
        has_kink = isinstance(penalty, GradientPenalty) and penalty.target > 0.0
        return not (has_kink and not penalty.one_sided)  # type: ignore[union-attr]

    def field(self, z: Array) -> Array:
        """``F(z)``, shape (..., 2)."""
        return np.stack(self._parts(z[..., 0], z[..., 1]), axis=-1)

    def field_x(self, z: Array) -> Array:
        """The generator's part of the field, shape (..., 1)."""
        return self._parts(z[..., 0], z[..., 1])[0][..., None]

    def field_y(self, z: Array) -> Array:
        """The critic's part of the field, shape (..., 1)."""
        return self._parts(z[..., 0], z[..., 1])[1][..., None]

    def jacobian(self, z: Array) -> Array:
        """The Jacobian of the field, shape (..., 2, 2).

        Raises
        ------
        ValueError
            At a point where the field has a kink or a jump.
        """
        penalty = self.regularizer
        if isinstance(penalty, GradientPenalty) and penalty.target > 0.0:
            kink = penalty.target if penalty.one_sided else 0.0
            if np.any(np.abs(z[..., 1]) == kink):
                raise ValueError(
                    f"`z` has |psi| = {kink:.17g}, where the gradient penalty is not "
                    "differentiable; linearise at another point"
                )
        theta, psi = z[..., 0].astype(complex), z[..., 1].astype(complex)
        columns = []
        for shift in ((1e-30j, 0.0), (0.0, 1e-30j)):
            parts = self._parts(theta + shift[0], psi + shift[1])
            columns.append(np.stack([part.imag for part in parts], axis=-1) * 1e30)
        return np.stack(columns, axis=-1)

    def project(self, z: Array) -> Array:
        """The state with ``psi`` clipped, if clipping is the regulariser."""
        if not isinstance(self.regularizer, Clipping):
            return z
        bound = self.regularizer.bound
        return np.concatenate([z[..., :1], np.clip(z[..., 1:], -bound, bound)], axis=-1)

    # ---- the field, for real and complex numbers ----------------------------------------------
    def _parts(self, theta: Array, psi: Array) -> tuple[Array, Array]:
        penalty = self.regularizer
        if isinstance(penalty, InstanceNoise):
            return self._noisy(theta, psi, penalty)
        first, second = self._plain(theta, psi)
        if isinstance(penalty, (R1, R2)):
            second = second + penalty.gamma * psi
        elif isinstance(penalty, GradientPenalty):
            sign = np.sign(psi.real)
            excess = sign * psi - penalty.target
            if penalty.one_sided:
                excess = np.where(excess.real > 0.0, excess, 0.0)
            second = second + penalty.strength * sign * excess
        elif isinstance(penalty, Consensus):
            (a, b), (c, d) = self._plain_jacobian(theta, psi)
            first, second = (
                first + penalty.gamma * (a * first + c * second),
                second + penalty.gamma * (b * first + d * second),
            )
        return first, second

    def _plain(self, theta: Array, psi: Array) -> tuple[Array, Array]:
        t = theta * psi
        own = self._slope(-t) if self.loss == "nsgan" else self._slope(t)
        return own * psi, -self._slope(t) * theta

    def _plain_jacobian(self, theta: Array, psi: Array) -> tuple[tuple[Array, Array], ...]:
        t = theta * psi
        own, sign = (-t, -1.0) if self.loss == "nsgan" else (t, 1.0)
        bend = sign * self._bend(own)
        return (
            (bend * psi * psi, self._slope(own) + bend * t),
            (-self._slope(t) - self._bend(t) * t, -self._bend(t) * theta * theta),
        )

    def _noisy(self, theta: Array, psi: Array, noise: InstanceNoise) -> tuple[Array, Array]:
        nodes, weights = _gauss_hermite(noise.nodes)
        real = noise.std * nodes
        fake = theta[..., None] + real
        slope = psi[..., None]
        seen = self._slope(slope * fake)
        own = self._slope(-slope * fake) if self.loss == "nsgan" else seen
        return (
            (own * slope) @ weights,
            -(seen * fake - self._slope(-slope * real) * real) @ weights,
        )

    def _slope(self, t: Array) -> Any:
        """``f'(t)``, without overflow."""
        if self.loss == "wgan":
            return np.ones_like(t)
        sign = np.where(t.real > 0.0, 1.0, -1.0)
        small = np.exp(-sign * t)
        return np.where(sign > 0.0, small, 1.0) / (1.0 + small)

    def _bend(self, t: Array) -> Any:
        """``f''(t) = -f'(t) (1 - f'(t))``."""
        if self.loss == "wgan":
            return np.zeros_like(t)
        return -self._slope(t) * self._slope(-t)


@lru_cache(maxsize=8)
def _gauss_hermite(nodes: int) -> tuple[Array, Array]:
    """Nodes and weights of ``E g(xi)`` for a standard normal ``xi``."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return points, weights / weights.sum()
