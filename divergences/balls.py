"""Certified enclosures of divergences between analytic densities, by ball arithmetic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from divergences.ball_laws import Component, components
from evidence import Enclosure, NotCertified

__all__ = ["js_enclosure", "kl_enclosure", "w1_enclosure"]

_PRECISIONS = (64, 128, 256)  # bits


def kl_enclosure(p: Any, q: Any, *, rtol: float = 1e-12) -> Enclosure:
    """Proved bounds of ``KL(p || q) = int p log(p / q)``, in nats.

    Parameters
    ----------
    p, q : distribution
        Frozen ``scipy.stats`` distributions out of ``norm``, ``uniform``, ``expon``, ``laplace``
        and ``logistic``, whose locations and scales are taken as the exact floats, or a
        :class:`Mixture` of them whose weights sum to exactly 1.
    rtol : float
        The working precision is raised, up to 256 bits, until the enclosure is so narrow.

    Returns
    -------
    Enclosure

    Raises
    ------
    TypeError, ValueError
        If an argument is no such distribution.
    NotCertified
        If the divergence is infinite, which no enclosure of a real number can hold
        (``estimate=inf``), or the integration did not converge.

    Notes
    -----
    Every piece of the integral is enclosed by Petras' algorithm as Arb implements it: the error
    bound of Gauss-Legendre quadrature comes from the size of the integrand on an ellipse, computed
    in balls. Tails are bounded with ``|log p| + |log q| <= c0 + c1 |x| + c2 x^2`` and the moments
    of ``p`` beyond the window.

    References
    ----------
    Johansson, Numerical integration in arbitrary-precision ball arithmetic (ICMS 2018).
    Petras, Self-validating integration and approximation of piecewise analytic functions,
    J. Comput. Appl. Math. 145 (2002), theorem 1.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> e = kl_enclosure(norm(0, 1), norm(1, 2))  # log 2 - 1/4
    >>> 0.44314718055994530 in e, e.rtol < 1e-12
    (True, True)
    """

    def integrand(piece: _Piece) -> Callable[[Any, Any], Any] | None:
        if not piece.p:
            return None
        if not piece.q:
            raise NotCertified(
                "the divergence is infinite, which no enclosure of a real number can hold: `q` "
                f"vanishes between {float(piece.low):.6g} and {float(piece.high):.6g}, where `p` "
                "has mass",
                estimate=math.inf,
            )

        def f(z: Any, _: Any) -> Any:
            log_p = piece.log_density(piece.p, z)
            return log_p.exp() * (log_p - piece.log_density(piece.q, z))

        return f

    def tail(ps: list[Component], qs: list[Component], bound: Any, side: int) -> Any:
        return _both_sides(_log_tail(ps, ps, bound, side) + _log_tail(ps, qs, bound, side))

    return _enclose(p, q, rtol, integrand, tail, ceiling=None)


def js_enclosure(p: Any, q: Any, *, rtol: float = 1e-12) -> Enclosure:
    """Proved bounds of the Jensen-Shannon divergence of two densities, in nats.

    Parameters
    ----------
    p, q, rtol
        As in :func:`kl_enclosure`.

    Returns
    -------
    Enclosure
        Within ``[0, log 2]``, ``log 2`` rounded up.

    Raises
    ------
    TypeError, ValueError, NotCertified
        As in :func:`kl_enclosure`; the value is always finite.

    Notes
    -----
    The logarithm of ``(1 + q / p) / 2`` is evaluated on complex balls away from its branch cut, or
    not at all. The integrand lies between 0 and ``log 2 (p + q) / 2``, which bounds the tails.

    References
    ----------
    As in :func:`kl_enclosure`; Lin, IEEE Trans. Inf. Theory 37 (1991), theorem 4.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> 0.12817497305439801 in js_enclosure(norm(0, 1), norm(1, 2), rtol=1e-10)
    True
    """
    from flint import arb

    def integrand(piece: _Piece) -> Callable[[Any, Any], Any] | None:
        if not piece.p and not piece.q:
            return None

        def f(z: Any, _: Any) -> Any:
            log_two = arb(2).log()
            if not piece.p or not piece.q:
                return piece.log_density(piece.p or piece.q, z).exp() * log_two / 2
            log_p, log_q = piece.log_density(piece.p, z), piece.log_density(piece.q, z)
            u = log_q - log_p
            return -(log_p.exp() * _half_softplus(u) + log_q.exp() * _half_softplus(-u)) / 2

        return f

    def tail(ps: list[Component], qs: list[Component], bound: Any, side: int) -> Any:
        mass = sum((c.weight * c.tail_moments(bound, side)[0] for c in ps + qs), arb(0))
        return _upward(mass * arb(2).log() / 2)

    return _enclose(p, q, rtol, integrand, tail, ceiling=math.nextafter(math.log(2.0), 1.0))


def w1_enclosure(p: Any, q: Any, *, rtol: float = 1e-12) -> Enclosure:
    """Proved bounds of the Wasserstein distance ``W_1 = int |F - G| dx`` on the line.

    Parameters
    ----------
    p, q, rtol
        As in :func:`kl_enclosure`.

    Returns
    -------
    Enclosure

    Raises
    ------
    TypeError, ValueError, NotCertified
        As in :func:`kl_enclosure`; the value is always finite.

    Notes
    -----
    For two laws of one family the sign of ``F - G`` is that of the linear function
    ``(x - m) / s - (x - m') / s'``, so that the integral is cut at its exact zero. Otherwise the
    absolute value is taken in balls, which are halved where they hold a zero. Beyond the window
    ``|F - G|`` integrates to at most ``E (X - b)+ + E (Y - b)+``.

    References
    ----------
    As in :func:`kl_enclosure`; Villani, Topics in Optimal Transportation (2003), theorem 2.18.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> 1.1666309411753726 in w1_enclosure(norm(0, 1), norm(1, 2))
    True
    """
    from flint import arb

    ps, qs = components(p, "p"), components(q, "q")
    one_family = _one_family(ps, qs)

    def integrand(piece: _Piece) -> Callable[[Any, Any], Any]:
        def difference(z: Any, analytic: Any) -> Any:
            upper = piece.middle > centre
            d = piece.tail(ps, z, upper=upper) - piece.tail(qs, z, upper=upper)
            return d if one_family else d.real_abs(analytic)

        return difference

    def tail(ps: list[Component], qs: list[Component], bound: Any, side: int) -> Any:
        return _upward(sum((c.weight * c.excess(bound, side) for c in ps + qs), arb(0)))

    centre = Fraction(math.fsum(c.weight * c.loc for c in ps + qs) / 2.0)
    cuts = [centre, *(_zeros(ps[0], qs[0]) if one_family else [])]
    return _enclose(p, q, rtol, integrand, tail, ceiling=None, cuts=cuts, signed=one_family)


# ---- one enclosure ------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """An interval on which both densities are analytic, and the components that live there."""

    low: Fraction
    high: Fraction
    middle: Fraction
    p: list[Component]
    q: list[Component]

    def log_density(self, parts: list[Component], z: Any) -> Any:
        """Logarithm of the sum of the components; not finite where it may not be analytic."""
        from flint import acb, arb

        logs = [
            part.log_density(z, _side(self.middle, part)) + acb(arb(part.weight).log())
            for part in parts
        ]
        if len(logs) == 1:
            return logs[0]
        largest = max(range(len(logs)), key=lambda i: float(logs[i].real.mid()))
        top = logs.pop(largest)
        return top + (1 + sum(((value - top).exp() for value in logs), acb(0))).log(True)

    def tail(self, parts: list[Component], z: Any, *, upper: bool) -> Any:
        """Distribution function, or survival function, of the weighted components."""
        from flint import acb

        total = acb(0)
        for part in parts:
            if part.covers(self.middle):
                total += part.weight * part.tail(z, _side(self.middle, part), upper=upper)
            elif (self.middle < Fraction(part.loc)) == upper:
                total += part.weight
        return total


def _side(point: Fraction, part: Component) -> int:
    return 1 if point > Fraction(part.loc) else -1


def _enclose(
    p: Any,
    q: Any,
    rtol: float,
    integrand: Callable[[_Piece], Callable[[Any, Any], Any] | None],
    tail: Callable[[list[Component], list[Component], Any, int], Any],
    *,
    ceiling: float | None,
    cuts: list[Fraction] | None = None,
    signed: bool = False,
) -> Enclosure:
    """Raise the precision until the enclosure is narrow enough, or give the narrowest."""
    from flint import ctx

    ps, qs = components(p, "p"), components(q, "q")
    best: Enclosure | None = None
    for precision in _PRECISIONS:
        with ctx.workprec(precision):
            total = _total(ps, qs, precision, integrand, tail, cuts or [], signed)
            if not total.is_finite():
                continue
            lower, upper = max(0.0, _float_below(total.lower())), _float_above(total.upper())
        if ceiling is not None:
            upper = min(upper, ceiling)
        found = Enclosure(lower, upper, f"ball arithmetic, {precision} bits")
        best = found if best is None else best & found
        if best.rtol <= rtol:
            return best
    if best is None:
        raise NotCertified(
            "the integral could not be enclosed with 256 bits; the functions *_densities give an "
            "estimate"
        )
    return best


def _total(
    ps: list[Component],
    qs: list[Component],
    precision: int,
    integrand: Callable[[_Piece], Callable[[Any, Any], Any] | None],
    tail: Callable[[list[Component], list[Component], Any, int], Any],
    cuts: list[Fraction],
    signed: bool,
) -> Any:
    from flint import acb, arb

    digits = 0.302 * precision + 3.0
    ends = {end for part in ps + qs for end in part.ends()}
    reaches = [
        Fraction(part.loc + side * k * part.scale)
        for part in ps + qs
        for k in (1.0, 3.0, 6.0, part.reach(digits))
        for side in (-1, 1)
    ]
    low, high = min([*ends, *reaches, *cuts]) - 1, max([*ends, *reaches, *cuts]) + 1
    # Points of the reaches only help the subdivision; the ends are where analyticity fails.
    points = sorted({low, high, *ends, *cuts, *reaches, *(Fraction(c.loc) for c in ps + qs)})
    total = arb(0)
    for a, b in itertools.pairwise(points):
        middle = (a + b) / 2
        piece = _Piece(
            low=a,
            high=b,
            middle=middle,
            p=[part for part in ps if part.covers(middle)],
            q=[part for part in qs if part.covers(middle)],
        )
        f = integrand(piece)
        if f is not None:
            value = acb.integral(f, acb(_ball(a)), acb(_ball(b))).real
            total += abs(value) if signed else value
    for bound, side in ((low, -1), (high, 1)):
        total += tail(ps, qs, _ball(bound), side)
    return total


def _log_tail(ps: list[Component], qs: list[Component], bound: Any, side: int) -> Any:
    """Upper bound of ``int p |log q|`` beyond the bound."""
    from flint import arb

    living = [c for c in qs if side > 0 or c.family != "expon"]
    living = [c for c in living if c.family != "uniform"]
    if not living:
        if all(c.tail_moments(bound, side)[0] == 0 for c in ps):
            return arb(0)
        raise NotCertified(
            "the divergence is infinite, which no enclosure of a real number can hold: `q` "
            "vanishes in a tail where `p` has mass",
            estimate=math.inf,
        )
    # q <= sup of its components; q >= weight times any one of them, of which one with a slowly
    # growing -log is taken.
    largest = sum((abs(c.log_bounds()[0]) for c in living), arb(0))
    slow = min(living, key=lambda c: (c.family == "norm", -c.scale))
    c0, c1, c2 = slow.log_bounds()[1]
    constant = largest + abs(c0) + abs(arb(slow.weight).log())
    total = arb(0)
    for part in ps:
        m0, m1, m2 = part.tail_moments(bound, side)
        shift = abs(_ball(Fraction(part.loc)) - _ball(Fraction(slow.loc)))
        total += part.weight * (
            constant * m0 + c1 * (m1 + shift * m0) + c2 * (m2 + 2 * shift * m1 + shift * shift * m0)
        )
    return total


def _half_softplus(u: Any) -> Any:
    """``log((1 + exp(u)) / 2)``, not finite where the ball may meet the branch cut."""
    from flint import arb

    log_two = arb(2).log()
    if float(u.real.mid()) < 0.0:
        return (1 + u.exp()).log(True) - log_two
    return u + (1 + (-u).exp()).log(True) - log_two


def _one_family(ps: list[Component], qs: list[Component]) -> bool:
    return len(ps) == len(qs) == 1 and ps[0].family == qs[0].family


def _zeros(p: Component, q: Component) -> list[Fraction]:
    """Where ``(x - m) / s = (x - m') / s'``: at most one point, exactly."""
    m, s, n, t = (Fraction(x) for x in (p.loc, p.scale, q.loc, q.scale))
    return [] if s == t else [(m * t - n * s) / (t - s)]


def _ball(x: Fraction) -> Any:
    from flint import arb, fmpq

    return arb(fmpq(x.numerator, x.denominator))


def _both_sides(bound: Any) -> Any:
    return (-bound).union(bound)


def _upward(bound: Any) -> Any:
    from flint import arb

    return arb(0).union(bound)


def _exact(x: Any) -> Fraction:
    mantissa, exponent = x.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def _float_below(x: Any) -> float:
    exact = _exact(x)
    value = float(exact)
    return math.nextafter(value, -math.inf) if Fraction(value) > exact else value


def _float_above(x: Any) -> float:
    exact = _exact(x)
    value = float(exact)
    return math.nextafter(value, math.inf) if Fraction(value) < exact else value
