"""Penalties on the gradient of a critic with respect to its input.

A penalty is a function of one gradient per sample, *over all input dimensions*, whatever the
sample's shape: the norm is taken after flattening. Where a gradient is zero, its norm has no
derivative; the subgradient 0 is used, so that a dead critic gives zeros and no NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evidence.validation import choice, nonnegative_float

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["GradientPenalty", "one_centered", "r1", "r2"]

Points = Literal["interpolates", "real", "generated"]
POINTS: tuple[Points, ...] = ("interpolates", "real", "generated")


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientPenalty:
    """``coefficient * mean (||grad f|| - center)^2`` over the points of a batch.

    Parameters
    ----------
    coefficient : float
        ``lambda`` of WGAN-GP; ``gamma / 2`` of R1 and R2.
    center : float
        1 for WGAN-GP, 0 for R1 and R2.
    one_sided : bool
        Only norms above the centre are fined.
    points : {"interpolates", "real", "generated"}
        Where the gradient is taken. Interpolates are ``t x + (1 - t) G(z)`` with one ``t`` per
        sample, uniform on [0, 1].

    Raises
    ------
    ValueError
        A negative or infinite coefficient or centre.

    References
    ----------
    Gulrajani et al., *Improved training of Wasserstein GANs*, NeurIPS 2017, equation 3; Mescheder
    et al., *Which training methods for GANs do actually converge?*, ICML 2018, equations 9 and 10.

    Examples
    --------
    >>> import torch
    >>> gradient = torch.tensor([[[3.0, 4.0], [0.0, 0.0]]])  # norms 5 and 0
    >>> one_centered(10.0).value(gradient)  # 10 (16 + 1) / 2
    tensor([85.])
    """

    coefficient: float
    center: float = 1.0
    one_sided: bool = False
    points: Points = "interpolates"

    def __post_init__(self) -> None:
        nonnegative_float(self.coefficient, "coefficient")
        nonnegative_float(self.center, "center")
        choice(self.points, "points", POINTS)

    def value(self, gradient: Tensor, coefficient: Tensor | None = None) -> Tensor:
        """The penalty of every member.

        Parameters
        ----------
        gradient : Tensor, shape (members, batch, ...)
        coefficient : Tensor, shape (members,), optional
            In place of the one coefficient.

        Returns
        -------
        Tensor, shape (members,)
        """
        excess, _ = self._excess(gradient)
        weight = self.coefficient if coefficient is None else coefficient
        return weight * excess.square().mean(-1)

    def slope(self, gradient: Tensor, coefficient: Tensor | None = None) -> Tensor:
        """The derivative of `value` with respect to every gradient, of the gradient's shape.

        Examples
        --------
        >>> import torch
        >>> one_centered(10.0).slope(torch.tensor([[[3.0, 4.0]]]))  # 20 (5 - 1) (3, 4) / 5
        tensor([[[48., 64.]]])
        """
        excess, norm = self._excess(gradient)
        weight = self.coefficient if coefficient is None else coefficient.reshape(-1, 1)
        scale = weight * (2.0 / norm.shape[-1]) * excess
        inverse = norm.reciprocal().nan_to_num_(posinf=0.0)
        return gradient * (scale * inverse).reshape(*norm.shape, *(1,) * (gradient.ndim - 2))

    def _excess(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        import torch

        norm = torch.linalg.vector_norm(gradient.flatten(2), dim=2)
        excess = norm - self.center
        return (excess.clamp_min(0.0) if self.one_sided else excess), norm


def one_centered(coefficient: float = 10.0, *, one_sided: bool = False) -> GradientPenalty:
    """The penalty of WGAN-GP at interpolates.

    Examples
    --------
    >>> one_centered().coefficient
    10.0
    """
    return GradientPenalty(coefficient=coefficient, one_sided=one_sided)


def r1(gamma: float) -> GradientPenalty:
    """``gamma / 2 E ||grad f||^2`` at real points.

    Examples
    --------
    >>> r1(1.0).coefficient, r1(1.0).points
    (0.5, 'real')
    """
    return GradientPenalty(coefficient=0.5 * gamma, center=0.0, points="real")


def r2(gamma: float) -> GradientPenalty:
    """``gamma / 2 E ||grad f||^2`` at generated points.

    Examples
    --------
    >>> r2(1.0).points
    'generated'
    """
    return GradientPenalty(coefficient=0.5 * gamma, center=0.0, points="generated")
