"""The other side of every identity: what a discriminator attains, and what a generator is told.

A divergence is a supremum over functions; here and in `divergences.critics` are the values of
single functions. Distributions are masses as in `divergences.discrete`; discriminators are arrays
of their probabilities at the same outcomes. Values are floats without an error bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.critics import CriticValue, critic_value, donsker_varadhan, fenchel_lower_bound
from divergences.expectations import expected, quotients, shaped, values_at_outcomes
from divergences.masses import as_mass_pair, as_masses
from divergences.terms import KL

__all__ = [
    "CriticValue",
    "critic_value",
    "donsker_varadhan",
    "fenchel_lower_bound",
    "gan_value",
    "gan_value_gap",
    "gan_value_of_logits",
    "nonsaturating_gradient",
    "nonsaturating_loss",
    "optimal_discriminator",
    "saturating_gradient",
    "saturating_loss",
]


def optimal_discriminator(
    p: ArrayLike, q: ArrayLike, *, normalize: bool = False
) -> NDArray[np.float64]:
    """``D*(x) = p(x) / (p(x) + q(x))``, which maximises `gan_value`.

    Parameters
    ----------
    p, q : array_like, shape (..., n)
        Masses of the data and of the generator.
    normalize : bool
        Divide counts by their totals.

    Returns
    -------
    array, shape (..., n)
        In [0, 1]. Where neither has mass every value is optimal, and 1/2 is returned.

    References
    ----------
    Goodfellow et al., *Generative Adversarial Nets*, NeurIPS 2014, proposition 1.

    Examples
    --------
    >>> optimal_discriminator([0.75, 0.25, 0.0], [0.25, 0.75, 0.0])
    array([0.75, 0.25, 0.5 ])
    """
    pair = as_mass_pair(p, q, normalize=normalize)
    a, b = pair.p / pair.total_p[:, None], pair.q / pair.total_q[:, None]
    total = a + b
    best = np.where(total > 0.0, a / np.where(total > 0.0, total, 1.0), 0.5)
    return best.reshape(*pair.shape, best.shape[-1])


def gan_value(p: ArrayLike, q: ArrayLike, discriminator: ArrayLike) -> Any:
    """``V(D) = E_p log D + E_q log(1 - D)``, at most ``2 JS(p, q) - log 4``.

    Parameters
    ----------
    p, q : array_like, shape (..., n)
        Masses of the data and of the generator.
    discriminator : array_like, shape (..., n)
        Probabilities ``D(x)`` in [0, 1] that ``x`` is data.

    Returns
    -------
    float or array
        In [-inf, 0]; ``-inf`` if ``D`` is 0 on data or 1 on generated mass. Values of ``D`` within
        rounding of 1 lose ``1 - D``: pass logits to `gan_value_of_logits`.

    Raises
    ------
    ValueError
        Values outside of [0, 1], other shapes, bad masses.

    References
    ----------
    Goodfellow et al., *Generative Adversarial Nets*, NeurIPS 2014, (1) and theorem 1.

    Examples
    --------
    >>> gan_value([0.5, 0.5], [0.5, 0.5], [0.5, 0.5]) == -float(np.log(4))
    True
    """
    p, q, shape = quotients(p, q)
    D = _probabilities(discriminator, p.shape, shape)
    with np.errstate(divide="ignore"):
        value = expected(p, np.log(np.where(p > 0.0, D, 1.0)))
        value = value + expected(q, np.log1p(np.where(q > 0.0, -D, 0.0)))
    return shaped(value, shape)


def gan_value_of_logits(p: ArrayLike, q: ArrayLike, logits: ArrayLike) -> Any:
    """`gan_value` of ``D = sigmoid(logits)``: ``-E_p softplus(-a) - E_q softplus(a)``.

    Exact where the sigmoid rounds to 0 or 1 (beyond 37 in float64, 17 in float32).

    Parameters
    ----------
    p, q : array_like, shape (..., n)
        Masses of the data and of the generator.
    logits : array_like, shape (..., n)
        Finite real numbers.

    References
    ----------
    Goodfellow et al., *Generative Adversarial Nets*, NeurIPS 2014, (1).

    Examples
    --------
    >>> f"{gan_value_of_logits([1, 0], [0, 1], [50.0, -50.0]):.6e}"
    '-3.857500e-22'
    """
    p, q, shape = quotients(p, q)
    a = values_at_outcomes(logits, "logits", p.shape, shape)
    value = -expected(p, np.logaddexp(0.0, -a)) - expected(q, np.logaddexp(0.0, a))
    return shaped(value, shape)


def gan_value_gap(p: ArrayLike, q: ArrayLike, discriminator: ArrayLike) -> Any:
    """``V(D*) - V(D) = sum (p + q) KL(Ber(D*) || Ber(D))``, what a discriminator lacks.

    Parameters are those of `gan_value`.

    Returns
    -------
    float or array
        In [0, inf]; 0 iff ``D`` is ``D*`` wherever there is mass. Computed from the divergences of
        the coins, so that nearly optimal discriminators keep their digits.

    References
    ----------
    Goodfellow et al., *Generative Adversarial Nets*, NeurIPS 2014, proof of proposition 1;
    expand ``p log D* + q log(1 - D*) - p log D - q log(1 - D)``.

    Examples
    --------
    >>> gan_value_gap([0.75, 0.25], [0.25, 0.75], [0.75, 0.25])
    0.0
    >>> f"{gan_value_gap([0.75, 0.25], [0.25, 0.75], [0.5, 0.5]):.6f}"
    '0.261624'
    """
    p, q, shape = quotients(p, q)
    D = _probabilities(discriminator, p.shape, shape)
    total = p + q
    with np.errstate(all="ignore"):
        # (p + q) KL(Ber(D*) || Ber(D)) in the summands of the masses (p, q) against (p + q)(D, 1-D)
        miss = p - total * D
        gaps = KL.summand(np, p, total * D, miss) + KL.summand(np, q, total * (1.0 - D), -miss)
    return shaped(gaps.sum(axis=-1), shape)


def saturating_loss(q: ArrayLike, discriminator: ArrayLike) -> Any:
    """``E_q log(1 - D)``, what the generator minimises in the minimax game.

    Parameters
    ----------
    q : array_like, shape (..., n)
        Masses of the generator.
    discriminator : array_like, shape (..., n)
        Probabilities ``D(x)`` in [0, 1].

    Returns
    -------
    float or array
        In [-inf, 0].

    References
    ----------
    Goodfellow et al., *Generative Adversarial Nets*, NeurIPS 2014, (1) and section 3.

    Examples
    --------
    >>> saturating_loss([0.5, 0.5], [0.5, 0.5]) == -float(np.log(2))
    True
    """
    masses, shape = _single(q)
    D = _probabilities(discriminator, masses.shape, shape)
    with np.errstate(divide="ignore"):
        return shaped(expected(masses, np.log1p(np.where(masses > 0.0, -D, 0.0))), shape)


def nonsaturating_loss(q: ArrayLike, discriminator: ArrayLike) -> Any:
    """``-E_q log D``, what the generator minimises in practice; arguments as in `saturating_loss`.

    Returns
    -------
    float or array
        In [0, inf].

    References
    ----------
    Goodfellow et al., *Generative Adversarial Nets*, NeurIPS 2014, section 3.

    Examples
    --------
    >>> nonsaturating_loss([0.5, 0.5], [0.5, 0.5]) == float(np.log(2))
    True
    """
    masses, shape = _single(q)
    D = _probabilities(discriminator, masses.shape, shape)
    with np.errstate(divide="ignore"):
        return shaped(-expected(masses, np.log(np.where(masses > 0.0, D, 1.0))) + 0.0, shape)


def saturating_gradient(discriminator: ArrayLike) -> NDArray[np.float64]:
    """Derivative ``log(1 - D)`` of `saturating_loss` in the generator's masses, ``D`` frozen.

    The derivative along a path of generators is the inner product with ``dq``, a vector of sum 0,
    so that a constant added to it means nothing. At ``D = D*(p, q)`` it is that of ``2 JS(p, q)``.

    Parameters
    ----------
    discriminator : array_like, shape (..., n)
        Probabilities ``D(x)`` in [0, 1].

    Returns
    -------
    array, shape (..., n)

    References
    ----------
    Arjovsky and Bottou, *Towards principled methods for training GANs*, ICLR 2017, section 2.2.1.

    Examples
    --------
    >>> saturating_gradient([0.0, 1.0])
    array([  0., -inf])
    """
    D = _probabilities(discriminator, None, ())
    with np.errstate(divide="ignore"):
        return np.log1p(-D) + 0.0


def nonsaturating_gradient(discriminator: ArrayLike) -> NDArray[np.float64]:
    """Derivative ``-log D`` of `nonsaturating_loss` in the generator's masses, ``D`` frozen.

    Arguments and meaning as in `saturating_gradient`. At ``D = D*(p, q)`` it is that of
    ``KL(q || p) - 2 JS(p, q)`` up to a constant; the *values* of the two are different.

    References
    ----------
    Arjovsky and Bottou, *Towards principled methods for training GANs*, ICLR 2017, theorem 2.5.

    Examples
    --------
    >>> nonsaturating_gradient([1.0, 0.0])
    array([ 0., inf])
    """
    D = _probabilities(discriminator, None, ())
    with np.errstate(divide="ignore"):
        return -np.log(D) + 0.0


def _single(q: ArrayLike) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    masses, totals = as_masses(q, "q")
    return (masses / totals[..., None]).reshape(-1, masses.shape[-1]), masses.shape[:-1]


def _probabilities(
    values: ArrayLike, shape: tuple[int, ...] | None, batch: tuple[int, ...]
) -> NDArray[np.float64]:
    D = values_at_outcomes(values, "discriminator", shape, batch)
    if D.min() < 0.0 or D.max() > 1.0:
        wrong = float(D.min()) if D.min() < 0.0 else float(D.max())
        raise ValueError(
            f"`discriminator` must hold probabilities in [0, 1], got {wrong:.17g}; "
            "pass logits through a sigmoid or to `gan_value_of_logits`"
        )
    return D
