"""Training objectives of generative adversarial networks, as pure functions of critic outputs.

Every objective is three terms, all *minimised*: the critic's loss is the mean of one term over the
outputs on data plus the mean of another over the outputs on generated samples, the generator's loss
the mean of a third. Outputs are logits where the literature speaks of probabilities, so that
``log(1 - D)`` is ``-softplus`` and never ``log(1 - sigmoid)``.

``minimax`` and ``nonsaturating`` share the critic's loss and differ in the generator's: the slope
of the first vanishes where the critic rejects a sample (``-sigmoid(f)``), that of the second is
largest there (``-sigmoid(-f)``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.validation import choice

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["OBJECTIVES", "Objective", "Term", "objective"]

Array = NDArray[np.float64]
Optimum = Callable[[Array, Array], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A function of one output and its derivative, both entry by entry on tensors.

    Parameters
    ----------
    value, slope : callable, Tensor -> Tensor

    Examples
    --------
    >>> import torch
    >>> OBJECTIVES["wgan"].generated.slope(torch.tensor([3.0]))
    tensor([1.])
    """

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A pair of losses.

    Parameters
    ----------
    name : str
    real, generated : Term
        The critic minimises ``mean real(f(x)) + mean generated(f(G(z)))``.
    generator : Term
        The generator minimises ``mean generator(f(G(z)))``.
    optimal_critic : callable or None
        ``(p, q) -> f*`` for probability vectors on one finite support; None where the critic is
        constrained (WGAN).
    optimal_loss : callable or None
        ``(p, q) ->`` the critic's smallest loss, in nats where it is a divergence.
    meaning : str
        What the smallest loss is.

    Examples
    --------
    >>> import torch
    >>> gan = OBJECTIVES["minimax"]
    >>> gan.critic_loss(torch.zeros(1, 4), torch.zeros(1, 4))  # 2 log 2: D = 1/2 everywhere
    tensor([1.3863])
    """

    name: str
    real: Term
    generated: Term
    generator: Term
    optimal_critic: Optimum | None
    optimal_loss: Callable[[Array, Array], float] | None
    meaning: str

    def critic_loss(self, real: Tensor, generated: Tensor) -> Tensor:
        """The critic's loss; shapes (members, batch), (members, batch) -> (members,)."""
        return self.real.value(real).mean(-1) + self.generated.value(generated).mean(-1)

    def generator_loss(self, generated: Tensor) -> Tensor:
        """The generator's loss; shape (members, batch) -> (members,)."""
        return self.generator.value(generated).mean(-1)


def objective(name: str) -> Objective:
    """The objective of a name.

    Parameters
    ----------
    name : str
        ``minimax``, ``nonsaturating``, ``least_squares``, ``hinge``, ``wgan``, or an f-GAN:
        ``f_gan_kl``, ``f_gan_reverse_kl``, ``f_gan_js``, ``f_gan_squared_hellinger``,
        ``f_gan_pearson``.

    Raises
    ------
    ValueError
        Another name.

    References
    ----------
    Goodfellow et al., *Generative adversarial nets*, NeurIPS 2014, equation 1 and section 3; Mao et
    al., *Least squares GAN*, ICCV 2017, equation 9; Lim and Ye, *Geometric GAN*, 2017 (hinge);
    Arjovsky et al., *Wasserstein GAN*, ICML 2017, equation 2; Nowozin et al., *f-GAN*, NeurIPS
    2016, table 2.

    Examples
    --------
    >>> objective("hinge").meaning
    '2 sum min(p, q) = 2 - 2 TV(p, q)'
    """
    return OBJECTIVES[choice(name, "name", tuple(OBJECTIVES))]


# ---- terms --------------------------------------------------------------------------------------
def _softplus(x: Tensor) -> Tensor:
    from torch.nn.functional import softplus

    # Without a threshold: torch's default replaces softplus by the identity above 20.
    return softplus(x, threshold=40.0 if x.dtype.itemsize == 8 else 20.0)


_REJECT = Term(value=_softplus, slope=lambda x: x.sigmoid())  # -log(1 - D)
_ACCEPT = Term(value=lambda x: _softplus(-x), slope=lambda x: -(-x).sigmoid())  # -log D
_SATURATING = Term(value=lambda x: -_softplus(x), slope=lambda x: -x.sigmoid())  # log(1 - D)
_PLUS = Term(value=lambda x: x, slope=lambda x: x.new_ones(x.shape))
_MINUS = Term(value=lambda x: -x, slope=lambda x: -x.new_ones(x.shape))


def _square_to(target: float) -> Term:
    return Term(value=lambda x: 0.5 * (x - target) ** 2, slope=lambda x: x - target)


def _hinge(sign: float) -> Term:
    """``max(0, 1 + sign x)``."""
    return Term(
        value=lambda x: (1.0 + sign * x).relu(),
        slope=lambda x: sign * (1.0 + sign * x > 0.0).to(x.dtype),
    )


# ---- optima on finite supports ------------------------------------------------------------------
def _pair(p: ArrayLike, q: ArrayLike) -> tuple[Array, Array]:
    return np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)


def _log_ratio(p: Array, q: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(p) - np.log(q))


def _x_log(x: Array, ratio: Array) -> float:
    """``sum x log ratio`` with 0 log 0 = 0."""
    inside = x > 0.0
    with np.errstate(divide="ignore"):
        return float(np.sum(x[inside] * np.log(ratio[inside])))


def _gan_loss(p: Array, q: Array) -> float:
    p, q = _pair(p, q)
    total = p + q
    with np.errstate(divide="ignore", invalid="ignore"):
        return _x_log(p, total / p) + _x_log(q, total / q)


def _least_squares_loss(p: Array, q: Array) -> float:
    p, q = _pair(p, q)
    inside = p + q > 0.0
    return 0.5 * float(np.sum(p[inside] * q[inside] / (p + q)[inside]))


# ---- f-GAN --------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class _Conjugate:
    """Output activation ``g``, conjugate ``f*``, their composition's slopes, and the optimum.

    ``D_f(p, q) = sum q f(p / q) = max_T E_p T - E_q f*(T)`` with ``T = g(output)``.
    """

    activation: Term
    composed: Term
    output: Callable[[Array], Array]
    divergence: Callable[[Array, Array], float]
    meaning: str


def _exp(x: Any) -> Any:
    return x.exp()


_CONJUGATES: dict[str, _Conjugate] = {
    # T = v, f*(t) = exp(t - 1), T* = 1 + log(p / q)
    "f_gan_kl": _Conjugate(
        activation=_PLUS,
        composed=Term(value=lambda v: _exp(v - 1.0), slope=lambda v: _exp(v - 1.0)),
        output=lambda r: 1.0 + np.log(r),
        divergence=lambda p, q: _x_log(p, p / q),
        meaning="KL(p || q)",
    ),
    # T = -exp(-v), f*(t) = -1 - log(-t), T* = -q / p
    "f_gan_reverse_kl": _Conjugate(
        activation=Term(value=lambda v: -_exp(-v), slope=lambda v: _exp(-v)),
        composed=Term(value=lambda v: v - 1.0, slope=lambda v: v.new_ones(v.shape)),
        output=lambda r: np.log(r),
        divergence=lambda p, q: _x_log(q, q / p),
        meaning="KL(q || p)",
    ),
    # T = log 2 - softplus(-v), f*(t) = -log(2 - exp(t)), T* = log(2 p / (p + q)); D_f = 2 JS
    "f_gan_js": _Conjugate(
        activation=Term(
            value=lambda v: math.log(2.0) - _softplus(-v), slope=lambda v: (-v).sigmoid()
        ),
        composed=Term(value=lambda v: _softplus(v) - math.log(2.0), slope=lambda v: v.sigmoid()),
        output=lambda r: np.log(r),
        divergence=lambda p, q: 2.0 * math.log(2.0) - _gan_loss(p, q),
        meaning="2 JS(p, q)",
    ),
    # T = 1 - exp(-v), f*(t) = t / (1 - t), T* = 1 - sqrt(q / p)
    "f_gan_squared_hellinger": _Conjugate(
        activation=Term(value=lambda v: 1.0 - _exp(-v), slope=lambda v: _exp(-v)),
        composed=Term(value=lambda v: _exp(v) - 1.0, slope=_exp),
        output=lambda r: 0.5 * np.log(r),
        divergence=lambda p, q: float(np.sum((np.sqrt(p) - np.sqrt(q)) ** 2)),
        meaning="sum (sqrt p - sqrt q)^2",
    ),
    # T = v, f*(t) = t^2 / 4 + t, T* = 2 (p / q - 1)
    "f_gan_pearson": _Conjugate(
        activation=_PLUS,
        composed=Term(value=lambda v: 0.25 * v * v + v, slope=lambda v: 0.5 * v + 1.0),
        output=lambda r: 2.0 * (r - 1.0),
        divergence=lambda p, q: float(np.sum((p - q) ** 2 / q)),
        meaning="sum (p - q)^2 / q",
    ),
}


def _negative(term: Term) -> Term:
    return Term(value=lambda x: -term.value(x), slope=lambda x: -term.slope(x))


def _f_gan(name: str, parts: _Conjugate) -> Objective:
    def critic(p: Array, q: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return parts.output(np.divide(*_pair(p, q)))

    def loss(p: Array, q: Array) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            return -parts.divergence(*_pair(p, q))

    return Objective(
        name=name,
        real=_negative(parts.activation),
        generated=parts.composed,
        generator=_negative(parts.composed),
        optimal_critic=critic,
        optimal_loss=loss,
        meaning=f"-{parts.meaning}" if " " not in parts.meaning else f"-({parts.meaning})",
    )


OBJECTIVES: dict[str, Objective] = {
    "minimax": Objective(
        name="minimax",
        real=_ACCEPT,
        generated=_REJECT,
        generator=_SATURATING,
        optimal_critic=lambda p, q: _log_ratio(*_pair(p, q)),
        optimal_loss=_gan_loss,
        meaning="2 log 2 - 2 JS(p, q)",
    ),
    "nonsaturating": Objective(
        name="nonsaturating",
        real=_ACCEPT,
        generated=_REJECT,
        generator=_ACCEPT,
        optimal_critic=lambda p, q: _log_ratio(*_pair(p, q)),
        optimal_loss=_gan_loss,
        meaning="2 log 2 - 2 JS(p, q)",
    ),
    "least_squares": Objective(
        name="least_squares",
        real=_square_to(1.0),
        generated=_square_to(0.0),
        generator=_square_to(1.0),
        optimal_critic=lambda p, q: np.divide(p, np.add(p, q)),
        optimal_loss=_least_squares_loss,
        meaning="1/2 sum p q / (p + q)",
    ),
    "hinge": Objective(
        name="hinge",
        real=_hinge(-1.0),
        generated=_hinge(1.0),
        generator=_MINUS,
        optimal_critic=lambda p, q: np.sign(np.subtract(p, q)),
        optimal_loss=lambda p, q: 2.0 * float(np.minimum(p, q).sum()),
        meaning="2 sum min(p, q) = 2 - 2 TV(p, q)",
    ),
    "wgan": Objective(
        name="wgan",
        real=_MINUS,
        generated=_PLUS,
        generator=_MINUS,
        optimal_critic=None,
        optimal_loss=None,
        meaning="-W1(p, q) over 1-Lipschitz critics, -inf without a constraint",
    ),
    **{name: _f_gan(name, parts) for name, parts in _CONJUGATES.items()},
}
"""Every objective by its name."""
