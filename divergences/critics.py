"""What a critic attains: Donsker-Varadhan, Fenchel duality, Kantorovich-Rubinstein.

Critics are arrays of their real values at the outcomes of `divergences.discrete`. Only the bound of
`critic_value` is certified; the other values are floats without an error bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from divergences.expectations import expected, quotients, shaped, values_at_outcomes
from divergences.generators import Generator, as_generator
from divergences.lipschitz_constant import largest_slope
from divergences.masses import as_mass_pair
from evidence.enclosure import Enclosure
from evidence.rounding import divide_down, gamma, mul_down, mul_up, sub_down

__all__ = ["CriticValue", "critic_value", "donsker_varadhan", "fenchel_lower_bound"]


def donsker_varadhan(p: ArrayLike, q: ArrayLike, critic: ArrayLike) -> Any:
    """``E_p T - log E_q exp(T)``, at most ``KL(p || q)``, with equality for ``T = log(p/q) + c``.

    Parameters
    ----------
    p, q : array_like, shape (..., n)
        Masses.
    critic : array_like, shape (..., n)
        Finite real values.

    References
    ----------
    Donsker and Varadhan, Comm. Pure Appl. Math. 36 (1983), theorem 2.1; Belghazi et al., *MINE*,
    ICML 2018, theorem 1.

    Examples
    --------
    >>> donsker_varadhan([0.5, 0.5], [0.25, 0.75], [math.log(2), math.log(2 / 3)])
    0.14384103622589042
    """
    p, q, shape = quotients(p, q)
    T = values_at_outcomes(critic, "critic", p.shape, shape)
    with np.errstate(divide="ignore"):
        logs = np.where(q > 0.0, T + np.log(q), -math.inf)
    top = logs.max(axis=-1, keepdims=True)
    partition = np.log(np.exp(logs - top).sum(axis=-1)) + top[..., 0]
    return shaped(expected(p, T) - partition, shape)


def fenchel_lower_bound(
    p: ArrayLike, q: ArrayLike, critic: ArrayLike, generator: Generator | str
) -> Any:
    """``E_p T - E_q f*(T)``, at most ``D_f(p || q)``, with equality for ``T = f'(p/q)``.

    Parameters
    ----------
    p, q : array_like, shape (..., n)
        Masses.
    critic : array_like, shape (..., n)
        Finite real values. Outside of the domain of ``f*`` where ``q`` has mass, the bound is the
        useless ``-inf``.
    generator : Generator or str
        One with a conjugate, or the name of one of ``GENERATORS``.

    Notes
    -----
    Values of ``T`` count under ``p`` where ``q`` has no mass, and there must not exceed
    ``f'(inf)`` for this to be a lower bound: beyond it the value is ``-inf`` too.

    References
    ----------
    Nguyen, Wainwright and Jordan, IEEE Trans. Inf. Theory 56 (2010), lemma 1; Nowozin, Cseke and
    Tomioka, *f-GAN*, NeurIPS 2016, (4) to (6).

    Examples
    --------
    >>> fenchel_lower_bound([0.75, 0.25], [0.25, 0.75], [0.5, -0.5], "total_variation")
    0.5
    """
    chosen = as_generator(generator)
    if chosen.conjugate is None:
        raise ValueError(f"`generator` {chosen.name!r} has no conjugate in closed form")
    p, q, shape = quotients(p, q)
    T = values_at_outcomes(critic, "critic", p.shape, shape)
    # f* is infinite above f'(inf); under p alone such a T would claim more than D_f.
    beyond = (chosen.slope_at_infinity < T) & ((p > 0.0) | (q > 0.0))
    with np.errstate(all="ignore"):
        conjugate = chosen.conjugate(np.where(q > 0.0, T, _harmless(chosen)))
    price = expected(q, np.where(q > 0.0, conjugate, 0.0))
    value = np.where(beyond.any(axis=-1), -math.inf, expected(p, T) - price)
    return shaped(value, shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticValue:
    """What a critic on a finite metric space says about the Wasserstein distance.

    Attributes
    ----------
    value : float
        ``E_p f - E_q f``.
    lipschitz_constant : float
        The largest slope ``|f(x) - f(y)| / d(x, y)``, rounded upward.
    w1 : Enclosure
        ``W_1 >= value / lipschitz_constant``, certified: a lower bound after rounding.

    Examples
    --------
    >>> critic_value([1, 0], [0, 1], [3.0, 0.0], [[0, 1], [1, 0]]).w1.lower > 1 - 1e-13
    True
    """

    value: float
    lipschitz_constant: float
    w1: Enclosure


def critic_value(
    p: ArrayLike, q: ArrayLike, critic: ArrayLike, distances: ArrayLike
) -> CriticValue:
    """The Kantorovich-Rubinstein value of a critic, its Lipschitz constant, and its bound of W1.

    Parameters
    ----------
    p, q : array_like, shape (n,)
        Masses on the points of a metric space.
    critic : array_like, shape (n,)
        Values ``f(x)`` at the points.
    distances : array_like, shape (n, n)
        ``d(x, y)``: symmetric, nonnegative, zero on the diagonal. Points at distance 0 of each
        other with different values make the constant infinite and the bound 0.

    Returns
    -------
    CriticValue

    Raises
    ------
    ValueError
        Distances that are not symmetric, not nonnegative or not zero on the diagonal; bad shapes.

    Notes
    -----
    ``E_p f - E_q f <= L W_1`` holds for every symmetric cost, by integrating
    ``f(x) - f(y) <= L d(x, y)`` against a coupling; the triangle inequality is needed only for
    equality. The bound is about the masses divided by their exact sums.

    References
    ----------
    Villani, *Topics in Optimal Transportation*, theorem 1.14 and remark 1.15.

    Examples
    --------
    >>> d = [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    >>> critic_value([1, 0, 0], [0, 0, 1], [2.0, 1.0, 0.0], d).value
    2.0
    """
    pair = as_mass_pair(p, q)
    if pair.shape != ():
        raise ValueError(f"`p` and `q` must be one pair of vectors, got batch {pair.shape}")
    a, b, difference = (x[0] for x in pair.normalised())
    n = a.size
    f = values_at_outcomes(critic, "critic", (1, n), ())[0]
    slope = largest_slope(f, distances)
    # A constant added to f changes nothing; the middle of its range makes the errors smallest.
    with np.errstate(over="ignore", invalid="ignore"):
        centred = f - (0.5 * float(f.max()) + 0.5 * float(f.min()))
        value = float(np.dot(centred, difference))
        weight = float(np.dot(np.abs(centred), a + b)) * (1.0 + 2.0**-20)
    # Differences of masses whose totals are near one err by at most (2 gamma(n) + 5 u)(a + b):
    # the sum of p - q, and five operations. Centring adds u, the dot product gamma(n), relative to
    # the same weight; totals within 2**-46 of one, which are left alone, a factor below.
    error = mul_up(mul_up(4.0, gamma(n + 8)), weight) + 2.0**-900
    lower = 0.0
    if value > error and 0.0 < slope < math.inf:
        surplus = mul_down(sub_down(value, error), 1.0 - 2.0**-45)
        lower = max(0.0, divide_down(surplus, slope))
    return CriticValue(value=value, lipschitz_constant=slope, w1=Enclosure.at_least(lower))


def _harmless(generator: Generator) -> float:
    low, high = generator.domain
    return min(max(0.0, low), high) if math.isfinite(high) else max(0.0, low)
