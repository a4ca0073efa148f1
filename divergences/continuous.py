"""Divergences between densities on the line, by quadrature in log space."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from divergences.laws import Law, as_law, joint_nodes, log_density_on_line
from divergences.quadrature import Integral, integrate
from evidence import NotCertified

__all__ = ["hellinger_densities", "js_densities", "kl_densities", "tv_densities"]

Array = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)
LOG_TWO = math.log(2.0)
_SHORT_OF_DIGITS = 1e-306  # densities below are close to the subnormal numbers


def kl_densities(p: Any, q: Any, *, base: float | None = None) -> Integral:
    """Kullback-Leibler divergence of two densities, ``KL(p || q) = int p log(p / q)``.

    Parameters
    ----------
    p, q : distribution
        Frozen continuous distributions of ``scipy.stats``, a :class:`Density` or a
        :class:`Mixture`.
    base : float, optional
        Of the logarithm; nats if left out.

    Returns
    -------
    Integral
        ``value`` is ``inf`` where the integral diverges or ``q`` vanishes on a set that ``p``
        charges; ``error`` is an estimate. For a proof, see ``kl_enclosure``.

    Raises
    ------
    TypeError, ValueError
        If an argument is no distribution on the line with a density.
    NotCertified
        If the integral converges too slowly to tell whether it is finite, or the density of ``q``
        underflows where ``p`` still has mass.

    Notes
    -----
    With ``d = log p - log q`` the integrand is taken as ``p (d + exp(-d) - 1)``, which has the same
    integral because both densities have mass 1. It is nonnegative and of second order in ``d``, so
    that nothing cancels for nearly equal densities.

    References
    ----------
    Cover and Thomas, Elements of Information Theory (2nd ed., 2006), section 8.5 and theorem 8.6.1.

    Examples
    --------
    >>> from scipy.stats import cauchy, norm
    >>> print(kl_densities(norm(0, 1), norm(1, 2)))  # doctest: +ELLIPSIS
    0.44314718055994... +- ...
    >>> kl_densities(cauchy(0, 1), norm(0, 1)).value
    inf
    """
    P, Q = as_law(p, "p"), as_law(q, "q")
    if P.support[0] < Q.support[0] or P.support[1] > Q.support[1]:
        return Integral(value=math.inf, error=0.0)
    underflows = _Underflow(Q)

    def integrand(x: Array) -> tuple[Array, Array]:
        log_p, log_q, pdf, pdf_q, d = _logs(P, Q, x)
        values = np.where(d < -30.0, pdf_q + pdf * (d - 1.0), pdf * _bregman(d))
        values = np.where(pdf == 0.0, pdf_q, values)
        # The derivatives by log p and log q are p d and q - p.
        noise = _error(log_p, pdf, pdf * np.abs(d)) + _error(log_q, pdf_q, np.abs(pdf - pdf_q))
        noise = np.where((pdf > 0.0) & (pdf < _SHORT_OF_DIGITS), noise + pdf * np.abs(d), noise)
        lost = (pdf > 0.0) & (log_q == -math.inf)
        values = underflows.watch(x, pdf, lost, values)
        return values, np.where(np.isfinite(noise), noise, 0.0)

    result = _over_the_line(P, Q, integrand)
    underflows.refuse_if_it_matters(result)
    return _in_base(result, base)


def js_densities(p: Any, q: Any, *, base: float | None = None) -> Integral:
    """Jensen-Shannon divergence of two densities, ``(KL(p || m) + KL(q || m)) / 2``.

    Here ``m = (p + q) / 2``; no root is taken. The value lies in ``[0, log 2]`` for every pair.

    Parameters
    ----------
    p, q : distribution
        As in :func:`kl_densities`.
    base : float, optional
        Of the logarithm; nats if left out.

    Returns
    -------
    Integral

    Notes
    -----
    With ``d = log p - log q`` the integrand is ``(p + q) / 2`` times
    ``(d / 2) tanh(d / 2) - log cosh(d / 2)``, which is nonnegative and at most ``log 2``.

    References
    ----------
    Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37 (1991),
    section IV and theorem 4.

    Examples
    --------
    >>> from scipy.stats import norm, uniform
    >>> print(js_densities(norm(0, 1), norm(1, 2)))  # doctest: +ELLIPSIS
    0.12817497305439... +- ...
    >>> js_densities(uniform(0, 1), uniform(2, 1)).value == math.log(2)
    True
    """
    P, Q = as_law(p, "p"), as_law(q, "q")

    def integrand(x: Array) -> tuple[Array, Array]:
        log_p, log_q, pdf, pdf_q, d = _logs(P, Q, x)
        values = (0.5 * pdf + 0.5 * pdf_q) * _js_kernel(d)
        # The derivative by log p is p/2 log(2 p / (p + q)); the logarithm is at most |d|, and at
        # most log 2 and |d|/2 where p > q.
        near, far = np.minimum(0.5 * np.abs(d), LOG_TWO), np.abs(d)
        noise = _error(log_p, pdf, pdf * np.where(d > 0.0, near, far))
        noise = noise + _error(log_q, pdf_q, pdf_q * np.where(d < 0.0, near, far))
        return values, 0.5 * noise

    result = _over_the_line(P, Q, integrand)
    capped = Integral(
        value=min(result.value, LOG_TWO), error=result.error, evaluations=result.evaluations
    )
    return _in_base(capped, base)


def tv_densities(p: Any, q: Any) -> Integral:
    """Total variation distance of two densities, ``1/2 int |p - q|``, in ``[0, 1]``.

    Parameters
    ----------
    p, q : distribution
        As in :func:`kl_densities`.

    Returns
    -------
    Integral

    References
    ----------
    Scheffe's identity: Tsybakov, Introduction to Nonparametric Estimation (2009), lemma 2.1.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> round(float(tv_densities(norm(0, 1), norm(1, 1))), 12)  # erf(1 / (2 sqrt 2))
    0.382924922548
    """
    P, Q = as_law(p, "p"), as_law(q, "q")

    def signed(x: Array) -> tuple[Array, Array]:
        log_p, log_q, pdf, pdf_q, d = _logs(P, Q, x)
        values = np.sign(d) * np.maximum(pdf, pdf_q) * -np.expm1(-np.abs(d))
        return 0.5 * values, 0.5 * (_error(log_p, pdf, pdf) + _error(log_q, pdf_q, pdf_q))

    result = _over_the_line(P, Q, _absolute(signed), signed)
    return Integral(
        value=min(result.value, 1.0), error=result.error, evaluations=result.evaluations
    )


def hellinger_densities(p: Any, q: Any) -> Integral:
    """Hellinger distance of two densities, ``sqrt(1/2 int (sqrt p - sqrt q)^2)``, in ``[0, 1]``.

    Parameters
    ----------
    p, q : distribution
        As in :func:`kl_densities`.

    Returns
    -------
    Integral

    References
    ----------
    Tsybakov, Introduction to Nonparametric Estimation (2009), section 2.4, where the square is
    twice as large.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> h = hellinger_densities(norm(0, 1), norm(1, 1)).value
    >>> round(h * h, 12)  # 1 - exp(-1/8)
    0.117503097415
    """
    P, Q = as_law(p, "p"), as_law(q, "q")

    def integrand(x: Array) -> tuple[Array, Array]:
        log_p, log_q, pdf, pdf_q, d = _logs(P, Q, x)
        step = np.sqrt(np.maximum(pdf, pdf_q)) * -np.expm1(-0.5 * np.abs(d))
        noise = _error(log_p, pdf, np.sqrt(pdf)) + _error(log_q, pdf_q, np.sqrt(pdf_q))
        return 0.5 * step * step, 0.5 * step * noise

    square = _over_the_line(P, Q, integrand)
    root = math.sqrt(min(square.value, 1.0))
    error = square.error / (2.0 * root) if root > 0.0 else math.sqrt(square.error)
    return Integral(value=root, error=error, evaluations=square.evaluations)


# ---- pieces -------------------------------------------------------------------------------------
def _logs(P: Law, Q: Law, x: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Both log densities, both densities, and ``d = log p - log q`` (0 where both vanish)."""
    log_p, log_q = log_density_on_line(P, x), log_density_on_line(Q, x)
    d = np.where((log_p == -math.inf) & (log_q == -math.inf), 0.0, log_p - log_q)
    return log_p, log_q, np.exp(log_p), np.exp(log_q), d


def _error(log: Array, density: Array, derivative: Array) -> Array:
    """What the rounding of a log density does to an integrand, given the derivative by it."""
    return np.where(density > 0.0, EPS * (1.0 + np.abs(log)) * derivative, 0.0)


def _bregman(d: Array) -> Array:
    """``d + exp(-d) - 1``, which is nonnegative and of second order in ``d``."""
    small = np.abs(d) < 1e-2
    t = np.where(small, d, 0.0)
    # The first term left out is t^6/40320 of t^2/2: below 3e-17 for |t| < 1e-2.
    series = t * t * (1 / 2 - t * (1 / 6 - t * (1 / 24 - t * (1 / 120 - t * (1 / 720 - t / 5040)))))
    return np.where(small, series, d + np.expm1(-d))


def _js_kernel(d: Array) -> Array:
    """``(d/2) tanh(d/2) - log cosh(d/2)``: 0 at 0, ``log 2`` at infinity."""
    h = 0.5 * np.abs(d)
    small = h < 1e-2
    s = np.where(small, h * h, 0.0)
    # h tanh h - log cosh h = h^2/2 - h^4/4 + h^6/9 - 17 h^8/360 + ...
    series = s * (1 / 2 - s * (1 / 4 - s * (1 / 9 - s * 17 / 360)))
    e = np.exp(-2.0 * h)
    large = LOG_TWO - np.log1p(e) - 2.0 * h * e / (1.0 + e)
    return np.where(np.isinf(h), LOG_TWO, np.where(small, series, large))


Signed = Callable[[Array], tuple[Array, Array]]


def _absolute(signed: Signed) -> Signed:
    def integrand(x: Array) -> tuple[Array, Array]:
        values, noise = signed(x)
        return np.abs(values), noise

    return integrand


def _over_the_line(P: Law, Q: Law, integrand: Signed, signed: Signed | None = None) -> Integral:
    low, high = min(P.support[0], Q.support[0]), max(P.support[1], Q.support[1])
    walls = sorted({low, high, *P.walls, *Q.walls})
    return integrate(integrand, joint_nodes(P, Q), walls, signed=signed)


class _Underflow:
    """Tells a density that is zero from one that was too small for a float."""

    def __init__(self, law: Law) -> None:
        self.law = law
        self.lost = 0.0

    def watch(self, x: Array, pdf: Array, lost: NDArray[np.bool_], values: Array) -> Array:
        if not self.law.underflows or not lost.any():
            return values
        inside = lost & (x > self.law.support[0]) & (x < self.law.support[1])
        if inside.any():
            # -log q is at least 745 there; |x| p(x) is the mass of an octave.
            self.lost = max(self.lost, float(np.max(745.0 * pdf[inside] * np.abs(x[inside]))))
        return np.where(inside, 0.0, values)

    def refuse_if_it_matters(self, result: Integral) -> None:
        if self.lost > EPS * result.value:
            raise NotCertified(
                "the density of `q` underflows where `p` still has mass; pass "
                "Density(log_density=...) with a formula for its logarithm",
                estimate=result.value,
            )


def _in_base(result: Integral, base: float | None) -> Integral:
    if base is None:
        return result
    if isinstance(base, bool) or not 0.0 < float(base) < math.inf or float(base) == 1.0:
        raise ValueError(f"`base` must be a positive number other than 1, got {base}; try base=2")
    factor = 1.0 / math.log(base)
    return Integral(
        value=result.value * factor, error=result.error * factor, evaluations=result.evaluations
    )
