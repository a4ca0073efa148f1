"""The summands of the divergences, written so that nothing cancels, and their derivatives.

Each rule maps masses ``p``, ``q`` and their difference ``d = p - q`` to a nonnegative summand and
to its two partial derivatives. The difference is an argument of its own since it is known better
than ``p - q`` of rounded quotients would be. The first argument ``xp`` is numpy or torch: the
functions used are spelled alike in both.

Near equality the textbook summand ``p log(p/q)`` is first order in ``d`` while the sum is second
order: all digits cancel. The summands here are of the Bregman form ``q g(p/q)`` with
``g(1) = g'(1) = 0``, expanded in ``r = d / (p + q)``:

    p log(p/q) - d                   = s [r atanh r + (atanh r - r)],           s = p + q,
    p log(2p/s)/2 + q log(2q/s)/2    = s/2 [r atanh r + log(1 - r^2)/2].

References
----------
.. [1] N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 1.14.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = [
    "CHI2",
    "CROSS_ENTROPY",
    "ENTROPY",
    "HELLINGER",
    "JS",
    "JS_GAP",
    "KL",
    "TOTAL_VARIATION",
    "Rule",
    "power_rule",
]

_LOG2 = 0.6931471805599453
_NEAR = 0.25
# r^2 <= 1/16: sixteen terms leave a remainder below 2**-60 of the sum.
_ATANH = tuple(1.0 / (2 * k + 3) for k in range(16))  # (atanh r - r) / r^3 in powers of r^2
_BALANCED = tuple(1.0 / ((2 * k + 2) * (2 * k + 1)) for k in range(16))  # of h(r) / r^2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """A divergence that is a sum over the outcomes.

    Attributes
    ----------
    name : str
    summand : callable (xp, p, q, d) -> array
        Nonnegative; 0 where both masses are 0.
    partials : callable (xp, p, q, d) -> (array, array)
        Derivatives with respect to ``p`` and ``q``, 0 where both masses are 0, and infinite where
        the slope is.
    """

    name: str
    summand: Callable[[Any, Any, Any, Any], Any]
    partials: Callable[[Any, Any, Any, Any], tuple[Any, Any]]


def _horner(coefficients: tuple[float, ...], x: Any, largest: float) -> Any:
    """The power series at ``|x| <= largest``, with as many terms as that needs."""
    terms = 2
    while terms < len(coefficients) and largest**terms > 2.0**-58:
        terms += 1
    total = x * coefficients[terms - 1]
    total += coefficients[terms - 2]
    for coefficient in coefficients[terms - 3 :: -1] if terms > 2 else ():
        total *= x
        total += coefficient
    return total


def _relative(xp: Any, p: Any, q: Any, d: Any) -> tuple[Any, Any]:
    """``s = p + q`` and ``r = d / s`` in [-1, 1], 0 where both masses are 0."""
    s = p + q
    # Not the sum clipped at the normal range: p > 0 = q must give exactly 1 there too.
    return s, d / _positive(xp, s)


def _squared(xp: Any, r: Any) -> tuple[Any, Any, float]:
    """``r`` and ``r^2`` where ``|r|`` is small and 0 elsewhere, and the largest such square."""
    x = r * r
    largest = float(x.max())
    if largest > _NEAR**2:
        r = xp.where(x <= _NEAR**2, r, 0.0)
        x = r * r
        largest = _NEAR**2
    return r, x, largest


def _positive(xp: Any, x: Any) -> Any:
    """The masses, with a harmless 1 where there is none."""
    return xp.where(x > 0.0, x, 1.0)


def log_ratio(xp: Any, p: Any, q: Any, d: Any) -> Any:
    """``log(p/q)`` for positive masses, of full relative accuracy near equality; 0 elsewhere."""
    both = (p > 0.0) & (q > 0.0)
    a, b = xp.where(both, p, 1.0), xp.where(both, q, 1.0)
    t = xp.where(both, d, 0.0) / b
    # Ratios up to two or so come from the difference; wide ones could overflow as a quotient.
    near = abs(t) < 0.5
    wide = (t > 2.0**1000) | (t < -1.0 + 2.0**-50)
    quotient = xp.where(wide, 1.0, a) / xp.where(wide, 1.0, b)
    far = xp.where(wide, xp.log(a) - xp.log(b), xp.log(quotient))
    return xp.where(near, xp.log1p(xp.where(near, t, 0.0)), far)


def _kl(xp: Any, p: Any, q: Any, d: Any) -> Any:
    s, relative = _relative(xp, p, q, d)
    r, x, largest = _squared(xp, relative)
    # s [r atanh r + (atanh r - r)] = s x (1 + r (1 + r) A(x)),  A(x) = (atanh r - r) / r^3
    summand = _horner(_ATANH, x, largest)
    summand *= r * r + r
    summand += 1.0
    summand *= s * x
    near = r == relative
    if bool(near.all()):
        return summand
    far = xp.where(p > 0.0, p * log_ratio(xp, p, q, d) - d, q)
    far = xp.where((p > 0.0) & (q <= 0.0), float("inf"), far)
    return xp.where(near, summand, far)


def _kl_partials(xp: Any, p: Any, q: Any, d: Any) -> tuple[Any, Any]:
    inf = float("inf")
    with_p = xp.where(q > 0.0, log_ratio(xp, p, q, d), inf)
    by_p = xp.where(p > 0.0, with_p, xp.where(q > 0.0, -inf, 0.0))
    by_q = xp.where(q > 0.0, -d / _positive(xp, q), xp.where(p > 0.0, -inf, 0.0))
    return by_p, by_q


def _js(xp: Any, p: Any, q: Any, d: Any) -> Any:
    s, relative = _relative(xp, p, q, d)
    r, x, largest = _squared(xp, relative)
    summand = _horner(_BALANCED, x, largest)
    summand *= 0.5 * s * x
    near = r == relative
    if bool(near.all()):
        return summand
    far = 0.5 * (p * _log_share(xp, p, s, relative) + q * _log_share(xp, q, s, -relative))
    return xp.where(near, summand, far)


def _log_share(xp: Any, p: Any, s: Any, r: Any) -> Any:
    """``log(2 p / s) = log(1 + r)`` for positive ``p``, and 0 elsewhere."""
    close = r > -0.5
    far = xp.log(_positive(xp, p)) - xp.log(_positive(xp, s)) + _LOG2
    share = xp.where(close, xp.log1p(xp.where(close, r, 0.0)), far)
    return xp.where(p > 0.0, share, 0.0)


def _js_partials(xp: Any, p: Any, q: Any, d: Any) -> tuple[Any, Any]:
    s, r = _relative(xp, p, q, d)
    slope = xp.where(s > 0.0, -float("inf"), 0.0)
    by_p = xp.where(p > 0.0, 0.5 * _log_share(xp, p, s, r), slope)
    by_q = xp.where(q > 0.0, 0.5 * _log_share(xp, q, s, -r), slope)
    return by_p, by_q


def _js_gap(xp: Any, p: Any, q: Any, d: Any) -> Any:
    # [p log(1 + q/p) + q log(1 + p/q)] / 2 with the smaller mass over the larger one:
    # both logarithms come from x = low / high <= 1, and log(1 + 1/x) = log(1 + x) - log x.
    low, high = xp.where(d < 0.0, p, q), xp.where(d < 0.0, q, p)
    top = _positive(xp, high)
    ratio = low / top
    wide = ratio < 2.0**-1000
    log_x = xp.where(
        wide,
        xp.log(_positive(xp, low)) - xp.log(top),
        xp.log(xp.where(wide, 1.0, ratio)),
    )
    summand = 0.5 * ((high + low) * xp.log1p(ratio) - low * log_x)
    return xp.where(low > 0.0, summand, 0.0)


def _js_gap_partials(xp: Any, p: Any, q: Any, d: Any) -> tuple[Any, Any]:
    s = _positive(xp, p + q)
    slope = xp.where(p + q > 0.0, float("inf"), 0.0)
    by_p = xp.where(p > 0.0, 0.5 * (xp.log(s) - xp.log(_positive(xp, p))), slope)
    by_q = xp.where(q > 0.0, 0.5 * (xp.log(s) - xp.log(_positive(xp, q))), slope)
    return by_p, by_q


def _total_variation(xp: Any, p: Any, q: Any, d: Any) -> Any:
    return 0.5 * abs(d)


def _total_variation_partials(xp: Any, p: Any, q: Any, d: Any) -> tuple[Any, Any]:
    return 0.5 * xp.sign(d), -0.5 * xp.sign(d)


def _hellinger(xp: Any, p: Any, q: Any, d: Any) -> Any:
    root = xp.sqrt(p) + xp.sqrt(q)
    return 0.5 * (d / xp.where(root > 0.0, root, 1.0)) ** 2


def _hellinger_partials(xp: Any, p: Any, q: Any, d: Any) -> tuple[Any, Any]:
    # (1 - sqrt(q/p)) / 2 = d / (2 sqrt p (sqrt p + sqrt q))
    a, b = xp.sqrt(p), xp.sqrt(q)
    root = a + b
    slope = xp.where(root > 0.0, -float("inf"), 0.0)
    by_p = xp.where(p > 0.0, 0.5 * d / _positive(xp, a * root), slope)
    by_q = xp.where(q > 0.0, -0.5 * d / _positive(xp, b * root), slope)
    return by_p, by_q


def _chi2(xp: Any, p: Any, q: Any, d: Any) -> Any:
    summand = d * (d / _positive(xp, q))
    return xp.where(q > 0.0, summand, xp.where(p > 0.0, float("inf"), 0.0))


def _chi2_partials(xp: Any, p: Any, q: Any, d: Any) -> tuple[Any, Any]:
    b = _positive(xp, q)
    edge = xp.where(p > 0.0, float("inf"), 0.0)
    by_p = xp.where(q > 0.0, 2.0 * d / b, edge)
    by_q = xp.where(q > 0.0, -(d / b) * (1.0 + p / b), -edge)
    return by_p, by_q


def _cross_entropy(xp: Any, p: Any, q: Any, d: Any) -> Any:
    return -p * xp.log(xp.where(p > 0.0, q, 1.0))


def _cross_entropy_partials(xp: Any, p: Any, q: Any, d: Any) -> tuple[Any, Any]:
    edge = xp.where(p > 0.0, float("inf"), 0.0)
    by_p = xp.where(q > 0.0, -xp.log(_positive(xp, q)), edge)
    by_q = xp.where(q > 0.0, -p / _positive(xp, q), -edge)
    return by_p, by_q


def _entropy(xp: Any, p: Any, q: Any, d: Any) -> Any:
    return -p * xp.log(_positive(xp, p))


def _entropy_partials(xp: Any, p: Any, q: Any, d: Any) -> tuple[Any, Any]:
    by_p = xp.where(p > 0.0, -xp.log(_positive(xp, p)) - 1.0, float("inf"))
    return by_p, xp.zeros_like(by_p)


CROSS_ENTROPY = Rule(name="cross_entropy", summand=_cross_entropy, partials=_cross_entropy_partials)
ENTROPY = Rule(name="entropy", summand=_entropy, partials=_entropy_partials)
KL = Rule(name="kl", summand=_kl, partials=_kl_partials)
JS = Rule(name="js", summand=_js, partials=_js_partials)
JS_GAP = Rule(name="js_gap", summand=_js_gap, partials=_js_gap_partials)
TOTAL_VARIATION = Rule(
    name="total_variation", summand=_total_variation, partials=_total_variation_partials
)
HELLINGER = Rule(name="hellinger", summand=_hellinger, partials=_hellinger_partials)
CHI2 = Rule(name="chi2", summand=_chi2, partials=_chi2_partials)


def reversed_rule(rule: Rule) -> Rule:
    """The same divergence with ``p`` and ``q`` exchanged."""

    def summand(xp: Any, p: Any, q: Any, d: Any) -> Any:
        return rule.summand(xp, q, p, -d)

    def partials(xp: Any, p: Any, q: Any, d: Any) -> tuple[Any, Any]:
        by_first, by_second = rule.partials(xp, q, p, -d)
        return by_second, by_first

    return Rule(name=f"reverse_{rule.name}", summand=summand, partials=partials)


def power_rule(alpha: float) -> Rule:
    """Cressie and Read's ``q (x^a - 1 - a (x - 1)) / (a (a - 1))``, ``x = p / q``.

    The limits at 1 and 0 are KL and its reverse. For ``|x - 1|`` small the binomial series
    ``t^2 / 2 + (a - 2) t^3 / 6 + ...`` is summed; elsewhere the quotient by whichever of ``a`` and
    ``a - 1`` is near zero is taken inside `expm1`, so that no exponent is special.
    """
    if alpha == 1.0:
        return KL
    if alpha == 0.0:
        return reversed_rule(KL)
    # Successive terms have ratio t (a - 2 - k) / (k + 3), at most 0.1 for these t if a is large and
    # at most t itself otherwise.
    reach = 0.3 / max(2.0, abs(alpha) + 2.0)
    coefficients = [0.5]
    for k in range(25):
        coefficients.append(coefficients[-1] * (alpha - 2 - k) / (k + 3))
    series = tuple(coefficients)

    infinite = float("inf")

    def summand(xp: Any, p: Any, q: Any, d: Any) -> Any:
        both = (p > 0.0) & (q > 0.0)
        b, d = xp.where(both, q, 1.0), xp.where(both, d, 0.0)
        t = d / b
        near = abs(t) <= reach
        t = xp.where(near, t, 0.0)
        L = log_ratio(xp, p, q, d)
        if alpha > 0.5:
            wide = (p * xp.expm1((alpha - 1.0) * L) / (alpha - 1.0) - d) / alpha
        else:
            wide = (q * xp.expm1(alpha * L) / alpha - d) / (alpha - 1.0)
        inside = xp.where(near, b * t * t * _horner(series, t, reach), wide)
        only_p = p / (1.0 - alpha) if alpha < 1.0 else xp.where(p > 0.0, infinite, 0.0)
        only_q = q / alpha if alpha > 0.0 else xp.where(q > 0.0, infinite, 0.0)
        return xp.where(both, inside, xp.where(p > 0.0, only_p, only_q))

    def partials(xp: Any, p: Any, q: Any, d: Any) -> tuple[Any, Any]:
        return _power_partials(alpha, xp, p, q, d)

    return Rule(name=f"alpha_{alpha:.17g}", summand=summand, partials=partials)


def _power_partials(alpha: float, xp: Any, p: Any, q: Any, d: Any) -> tuple[Any, Any]:
    # by p: (x^(a-1) - 1) / (a - 1);  by q: -(x^a - 1) / a
    L = log_ratio(xp, p, q, d)
    by_p = xp.expm1((alpha - 1) * L) / (alpha - 1)
    by_q = -xp.expm1(alpha * L) / alpha
    infinite = float("inf")
    # x = 0 where only q has mass, x = infinity where only p has.
    zero_p = 1.0 / (1.0 - alpha) if alpha > 1.0 else -infinite
    zero_q = 1.0 / alpha if alpha > 0.0 else infinite
    far_p = 1.0 / (1.0 - alpha) if alpha < 1.0 else infinite
    far_q = 1.0 / alpha if alpha < 0.0 else -infinite
    only_q, only_p = (p <= 0.0) & (q > 0.0), (p > 0.0) & (q <= 0.0)
    by_p = xp.where(only_q, zero_p, xp.where(only_p, far_p, by_p))
    by_q = xp.where(only_q, zero_q, xp.where(only_p, far_q, by_q))
    return by_p, by_q
