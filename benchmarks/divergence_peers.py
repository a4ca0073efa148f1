"""What others compute: scipy, POT, and the array operations that bound any implementation."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "cancelled_pot",
    "highs_transport",
    "pot_histograms",
    "pot_line",
    "pot_space",
    "quad_js",
    "quad_kl",
    "quad_w1",
    "scipy_entropy",
    "scipy_histograms",
    "scipy_jensenshannon",
    "scipy_line",
    "scipy_space",
]

Array = NDArray[np.float64]
Result = TypeVar("Result")


def _quietly(function: Callable[..., Result]) -> Callable[..., Result]:
    """Peers warn about deprecations and slow convergence; their numbers are kept as they are."""

    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Result:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*arguments, **named)

    return wrapped


# ---- the line -----------------------------------------------------------------------------------
def scipy_line(x: Array, y: Array, a: Array | None = None, b: Array | None = None) -> float:
    """``scipy.stats.wasserstein_distance`` of two samples."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(x, y, a, b))


@_quietly
def pot_line(x: Array, y: Array, a: Array | None = None, b: Array | None = None) -> float:
    """``ot.emd2_1d`` with the distance as the cost."""
    import ot

    return float(ot.emd2_1d(x, y, a, b, metric="euclidean"))


def scipy_histograms(p: Array, q: Array) -> float:
    """A loop of ``scipy.stats.wasserstein_distance`` over rows; the mean."""
    grid = np.arange(p.shape[1], dtype=np.float64)
    return float(np.mean([scipy_line(grid, grid, a, b) for a, b in zip(p, q, strict=True)]))


def pot_histograms(p: Array, q: Array) -> float:
    """A loop of ``ot.emd2_1d`` over rows; the mean."""
    grid = np.arange(p.shape[1], dtype=np.float64)
    return float(np.mean([pot_line(grid, grid, a, b) for a, b in zip(p, q, strict=True)]))


# ---- probability vectors ------------------------------------------------------------------------
def scipy_entropy(p: Array, q: Array) -> float:
    """``scipy.stats.entropy(p, q)`` of all rows; the mean."""
    from scipy.stats import entropy

    return float(np.mean(entropy(p, q, axis=-1)))


def scipy_jensenshannon(p: Array, q: Array) -> float:
    """The square of ``scipy.spatial.distance.jensenshannon`` of all rows; the mean."""
    from scipy.spatial.distance import jensenshannon

    with np.errstate(invalid="ignore"):
        return float(np.mean(jensenshannon(p, q, axis=-1) ** 2))


# ---- several dimensions -------------------------------------------------------------------------
@_quietly
def pot_space(x: Array, y: Array, a: Array, b: Array) -> float:
    """``ot.emd2`` on Euclidean distances, the matrix of distances included."""
    import ot

    return float(ot.emd2(a, b, ot.dist(x, y, metric="euclidean"), numItermax=10_000_000))


@_quietly
def scipy_space(x: Array, y: Array, a: Array, b: Array) -> float:
    """``scipy.stats.wasserstein_distance_nd``."""
    from scipy.stats import wasserstein_distance_nd

    return float(wasserstein_distance_nd(x, y, a, b))


def highs_transport(x: Array, y: Array, a: Array, b: Array) -> float:
    """The linear program by HiGHS, through ``scipy.optimize.linprog``."""
    from scipy import sparse
    from scipy.optimize import linprog
    from scipy.spatial.distance import cdist

    n, m = a.size, b.size
    rows = sparse.kron(sparse.eye(n), np.ones((1, m)))
    columns = sparse.kron(np.ones((1, n)), sparse.eye(m))
    program = linprog(
        cdist(x, y).ravel(),
        A_eq=sparse.vstack([rows, columns]).tocsr(),
        b_eq=np.concatenate([a, b]),
        method="highs",
    )
    return float(program.fun)


@_quietly
def cancelled_pot(p: Array, q: Array) -> float:
    """``ot.emd2`` with l1 costs between pixels, after what the two images share is cancelled."""
    import ot
    from scipy.spatial.distance import cdist

    excess = p - q
    more, less = np.argwhere(excess > 0.0), np.argwhere(excess < 0.0)
    a, b = excess[excess > 0.0], -excess[excess < 0.0]
    moved = float(a.sum())
    costs = cdist(more, less, "cityblock")
    return moved * float(ot.emd2(a / moved, b / b.sum(), costs, numItermax=10_000_000))


# ---- densities ----------------------------------------------------------------------------------
@_quietly
def quad_kl(p: Any, q: Any) -> float:
    """``scipy.integrate.quad`` of ``p (log p - log q)``, to 1e-12."""
    from scipy.integrate import quad

    def integrand(x: float) -> float:
        return float(p.pdf(x) * (p.logpdf(x) - q.logpdf(x)))

    return float(quad(integrand, -np.inf, np.inf, epsabs=1e-12, epsrel=1e-12, limit=200)[0])


@_quietly
def quad_js(p: Any, q: Any) -> float:
    """``scipy.integrate.quad`` of the Jensen-Shannon integrand, to 1e-12."""
    from scipy.integrate import quad

    def integrand(x: float) -> float:
        a, b = p.logpdf(x), q.logpdf(x)
        m = np.logaddexp(a, b) - np.log(2.0)
        return float(0.5 * (np.exp(a) * (a - m) + np.exp(b) * (b - m)))

    return float(quad(integrand, -np.inf, np.inf, epsabs=1e-12, epsrel=1e-12, limit=200)[0])


@_quietly
def quad_w1(p: Any, q: Any) -> float:
    """``scipy.integrate.quad`` of ``|F - G|``, to 1e-12."""
    from scipy.integrate import quad

    def integrand(x: float) -> float:
        return float(abs(p.cdf(x) - q.cdf(x)))

    return float(quad(integrand, -np.inf, np.inf, epsabs=1e-12, epsrel=1e-12, limit=200)[0])
