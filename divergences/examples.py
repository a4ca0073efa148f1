"""The worked examples of the courses, each computed by the functions of this package."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from divergences.continuous import js_densities
from divergences.cumulative import w1_cumulative
from divergences.discrete import kl
from divergences.gaussian import kl_normals, w1_normals, w2_normals

__all__ = [
    "EmdKldPair",
    "FourPiles",
    "ParallelLines",
    "TwoGaussians",
    "emd_kld_pairs",
    "four_piles",
    "parallel_lines",
    "two_gaussians",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FourPiles:
    """Two arrangements of ten shovelfuls of dirt in four piles.

    Parameters
    ----------
    p, q : tuple of int
        Shovelfuls in each pile, before and after.
    flows : tuple of int
        Shovelfuls carried from each pile to the next; negative: backwards.
    work : int
        Shovelfuls times piles, the sum of the absolute flows.
    distance : Fraction
        W_1 of the two as probability distributions: the work for one shovelful in total.

    Examples
    --------
    >>> four_piles().work
    5
    """

    p: tuple[int, ...]
    q: tuple[int, ...]
    flows: tuple[int, ...]
    work: int
    distance: Fraction


def four_piles() -> FourPiles:
    """Move the piles (3, 2, 1, 4) into (1, 2, 4, 3): 5 units of work, or W_1 = 1/2.

    ``delta_i = delta_{i-1} + P_i - Q_i`` and ``W = sum |delta_i|``. The result is exact.

    Returns
    -------
    FourPiles

    Notes
    -----
    The work belongs to the raw masses. ``scipy.stats.wasserstein_distance`` divides weights by
    their sum and gives 0.5, and 0.0 if the heights are passed as samples.

    References
    ----------
    EECS 182 homework, question 2(a), where the recurrence is printed with its index shifted by
    one and the last step moves dirt in Q instead of P; the value is right.

    Examples
    --------
    >>> piles = four_piles()
    >>> piles.flows, piles.work, piles.distance
    ((2, 2, -1, 0), 5, Fraction(1, 2))
    """
    p, q = (3, 2, 1, 4), (1, 2, 4, 3)
    raw = w1_cumulative(p, q)
    return FourPiles(
        p=p,
        q=q,
        flows=tuple(int(flow) for flow in raw.flows),
        work=int(raw.value),
        distance=_distance([Fraction(m, 10) for m in p], [Fraction(m, 10) for m in q]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelLines:
    """Divergences of the uniform laws on two parallel unit segments in the plane.

    Parameters
    ----------
    theta : int, Fraction or float
        The offset of the second segment.
    kl, reverse_kl, js, tv : float
        In nats (``tv`` has no unit).
    w1 : int, Fraction or float
        Of the type of ``theta``.

    Examples
    --------
    >>> parallel_lines(0).js
    0.0
    """

    theta: int | Fraction | float
    kl: float
    reverse_kl: float
    js: float
    tv: float
    w1: int | Fraction | float


def parallel_lines(theta: int | Fraction | float) -> ParallelLines:
    """Divergences of ``(0, U)`` and ``(theta, U)`` with U uniform on [0, 1]: exact.

    Both laws live on a set of area 0 and have no density in the plane, so no formula for densities
    applies. For ``theta != 0`` they are mutually singular: ``KL = inf`` both ways, ``JS = log 2``,
    ``TV = 1``. For ``theta = 0`` they are equal. ``W_1 = |theta|`` throughout: moving
    horizontally costs that, and the 1-Lipschitz function ``sign(theta) x`` shows that nothing
    costs less.

    Parameters
    ----------
    theta : int, Fraction or float
        Finite.

    Returns
    -------
    ParallelLines

    Raises
    ------
    TypeError, ValueError
        If ``theta`` is no finite real number.

    Notes
    -----
    ``W_1`` has this value for every ground norm in which (1, 0) has length 1.

    References
    ----------
    Arjovsky, Chintala and Bottou, Wasserstein GAN (2017), example 1; EECS 182 homework, question
    2(b).

    Examples
    --------
    >>> from fractions import Fraction
    >>> lines = parallel_lines(Fraction(-1, 3))
    >>> lines.kl, lines.reverse_kl, lines.js == math.log(2), lines.w1
    (inf, inf, True, Fraction(1, 3))
    >>> parallel_lines(0)
    ParallelLines(theta=0, kl=0.0, reverse_kl=0.0, js=0.0, tv=0.0, w1=0)
    """
    if isinstance(theta, bool) or not isinstance(theta, numbers.Real):
        raise TypeError(f"`theta` must be a real number, got {theta!r}; pass an int or a float")
    if not math.isfinite(theta):
        raise ValueError(f"`theta` must be finite, got {float(theta)}")
    apart = theta != 0
    return ParallelLines(
        theta=theta,
        kl=math.inf if apart else 0.0,
        reverse_kl=math.inf if apart else 0.0,
        js=math.log(2.0) if apart else 0.0,
        tv=1.0 if apart else 0.0,
        w1=abs(theta),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmdKldPair:
    """One pair of the exercise on earth mover's distances and KL divergences.

    Parameters
    ----------
    name : str
        Such as ``"1: P, Q"``, with the number of the group.
    p, q : tuple of Fraction
        Probabilities of 0, 1, 2, ...
    emd : Fraction
        W_1 on the integers, exact.
    kld : float
        KL(p || q) in nats; ``inf`` if q vanishes where p does not.

    Examples
    --------
    >>> emd_kld_pairs()[0].emd
    Fraction(1, 4)
    """

    name: str
    p: tuple[Fraction, ...]
    q: tuple[Fraction, ...]
    emd: Fraction
    kld: float


_PAIRS: tuple[tuple[dict[str, str], str], ...] = (
    ({"P": "1/2 1/2", "Q": "3/4 1/4", "R": "1/4 3/4"}, "PQ QP PP PR QR"),
    (
        {"P": "1/2 1/2 0", "Q": "1/3 1/3 1/3", "R": "1/2 1/2 0 0", "S": "0 0 1/2 1/2"},
        "PQ QP RS",
    ),
    (
        {"P": "1/4 3/4 0 0", "Q": "0 3/4 1/4 0", "R": "0 1/4 3/4 0", "S": "0 0 1/4 3/4"},
        "PQ PR QR PS RS",
    ),
)


def emd_kld_pairs() -> tuple[EmdKldPair, ...]:
    """The thirteen pairs of an exercise that compares W_1 and KL on small distributions.

    W_1 is symmetric and grows with the distance that mass has to move; KL is neither symmetric nor
    finite on disjoint supports.

    Returns
    -------
    tuple of EmdKldPair

    Notes
    -----
    Q of the second group is printed as (0.33, 0.33, 0.33), which is no distribution; thirds are
    taken. The exercise asks for the KL divergence of the first two groups only.

    References
    ----------
    Depth First Learning, Wasserstein GAN curriculum, chapter 4, questions.

    Examples
    --------
    >>> for pair in emd_kld_pairs():
    ...     print(f"{pair.name}  EMD {pair.emd!s:>3}  KLD {pair.kld:.6f}")
    1: P, Q  EMD 1/4  KLD 0.143841
    1: Q, P  EMD 1/4  KLD 0.130812
    1: P, P  EMD   0  KLD 0.000000
    1: P, R  EMD 1/4  KLD 0.143841
    1: Q, R  EMD 1/2  KLD 0.549306
    2: P, Q  EMD 1/2  KLD 0.405465
    2: Q, P  EMD 1/2  KLD inf
    2: R, S  EMD   2  KLD inf
    3: P, Q  EMD 1/2  KLD inf
    3: P, R  EMD   1  KLD inf
    3: Q, R  EMD 1/2  KLD 0.549306
    3: P, S  EMD   2  KLD inf
    3: R, S  EMD   1  KLD inf
    """
    pairs = []
    for group, (laws, names) in enumerate(_PAIRS, start=1):
        masses = {key: tuple(map(Fraction, text.split())) for key, text in laws.items()}
        for first, second in (tuple(name) for name in names.split()):
            p, q = masses[first], masses[second]
            pairs.append(
                EmdKldPair(
                    name=f"{group}: {first}, {second}",
                    p=p,
                    q=q,
                    emd=_distance(p, q),
                    kld=float(kl([float(m) for m in p], [float(m) for m in q])),
                )
            )
    return tuple(pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoGaussians:
    """Divergences of two Gaussians on the line.

    Parameters
    ----------
    kl, reverse_kl, js : float
        In nats.
    w1, w2 : float
        Wasserstein distances, in the unit of the line.

    Examples
    --------
    >>> round(two_gaussians(0, 1, 1, 1).w1, 12)
    1.0
    """

    kl: float
    reverse_kl: float
    js: float
    w1: float
    w2: float


def two_gaussians(mean_p: float, std_p: float, mean_q: float, std_q: float) -> TwoGaussians:
    """Divergences of ``N(mean_p, std_p^2)`` and ``N(mean_q, std_q^2)``.

    ``KL = log(s_q / s_p) + (s_p^2 + (m_p - m_q)^2) / (2 s_q^2) - 1/2``; JS has no closed form and
    is integrated.

    Parameters
    ----------
    mean_p, mean_q : float
    std_p, std_q : float
        Standard deviations, positive.

    Returns
    -------
    TwoGaussians

    Raises
    ------
    ValueError
        If a standard deviation is not positive or an argument not finite.

    References
    ----------
    Bishop, Pattern Recognition and Machine Learning (2006), exercise 1.30, set by Depth First
    Learning, chapter 1.

    Examples
    --------
    >>> g = two_gaussians(0, 1, 1, 2)
    >>> round(g.kl, 6), round(g.reverse_kl, 6)  # log 2 - 1/4 and 2 - log 2
    (0.443147, 1.306853)
    >>> round(g.js, 6), round(g.w1, 6), round(g.w2, 6)
    (0.128175, 1.166631, 1.414214)
    """
    p, q = (mean_p, std_p), (mean_q, std_q)
    forward, backward = float(kl_normals(*p, *q)), float(kl_normals(*q, *p))
    from scipy.stats import norm

    return TwoGaussians(
        kl=forward,
        reverse_kl=backward,
        js=js_densities(norm(*p), norm(*q)).value,
        w1=float(w1_normals(*p, *q)),
        w2=float(w2_normals(*p, *q)),
    )


def _distance(p: Any, q: Any) -> Fraction:
    """W_1 on the integers of exact masses."""
    return Fraction(w1_cumulative(p, q).value)
