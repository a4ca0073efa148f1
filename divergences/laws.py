"""What the quadrature needs of a distribution, read from scipy, callables and mixtures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from divergences.distributions import Density, Mixture
from divergences.inversion import invert_increasing
from divergences.quadrature import Cells, refine
from evidence.validation import as_float_array

__all__: list[str] = []

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

_MASS_TOLERANCE = 1e-9
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(21)
# Probabilities whose quantiles show where a distribution lives; symmetric, 1/2 among them.
_LEVELS = np.concatenate([np.logspace(-9.0, -1.4, 10), np.linspace(0.08, 0.5, 8)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Law:
    """What the quadrature needs of a distribution; every function maps arrays to arrays.

    ``cdf`` is accurate below the median and ``survival`` above it; likewise the two quantiles,
    the second of which takes the upper probability. ``underflows`` says that ``log_density`` may be
    ``-inf`` inside the support only because a density was too small for a float. ``clusters`` holds
    increasing points that show where each component lives.
    """

    log_density: Function
    cdf: Function
    survival: Function
    quantile: Function
    upper_quantile: Function
    support: tuple[float, float]
    walls: tuple[float, ...]
    clusters: tuple[Array, ...]
    underflows: bool = False


def as_law(value: Any, name: str) -> Law:
    """Read a distribution, or say in one sentence why it cannot be read."""
    if isinstance(value, Law):
        return value
    if isinstance(value, Density):
        return _law_of_density(value, name)
    if isinstance(value, Mixture):
        return _law_of_mixture(value, name)
    families = {cls.__name__ for cls in type(value).__mro__}
    if "DiscreteDistribution" in families or (
        hasattr(value, "pmf") and not hasattr(value, "logpdf")
    ):
        raise TypeError(
            f"`{name}` is a discrete distribution; pass its masses to the functions of "
            "probability vectors, such as kl, or its atoms and masses to wasserstein"
        )
    if all(hasattr(value, m) for m in ("logpdf", "cdf", "sf", "ppf", "isf", "support", "dist")):
        return _law_of_frozen(value, name)
    if all(hasattr(value, m) for m in ("logpdf", "cdf", "ccdf", "icdf", "iccdf", "support")):
        return _law(value, name, value.ccdf, value.icdf, value.iccdf, value.logpdf)
    raise TypeError(
        f"`{name}` must be a frozen continuous distribution of scipy.stats, a Density or a "
        f"Mixture, got {type(value).__name__}; wrap a callable as Density(log_density=..., "
        "support=(a, b))"
    )


# ---- scipy --------------------------------------------------------------------------------------
def _pareto(x: Array, b: Any) -> Array:
    return np.asarray(np.log(b) - (b + 1.0) * np.log(x))


def _laplace(x: Array) -> Array:
    return np.asarray(-np.abs(x) - math.log(2.0))


def _levy(x: Array) -> Array:
    return np.asarray(-0.5 * math.log(2.0 * math.pi) - 1.5 * np.log(x) - 0.5 / x)


def _uniform(x: Array) -> Array:
    return np.zeros_like(x)


# scipy has only log(pdf(x)) for these, which is -inf from where the density underflows.
_LOG_DENSITIES: dict[str, Callable[..., Array]] = {
    "pareto": _pareto,
    "laplace": _laplace,
    "levy": _levy,
    "uniform": _uniform,
}


def _law_of_frozen(value: Any, name: str) -> Law:
    family = value.dist.name
    if family == "rv_histogram" or type(value.dist).__name__ == "rv_histogram":
        return _law(value, name, value.sf, value.ppf, value.isf, value.logpdf)
    explicit = any(
        "_logpdf" in vars(cls)
        for cls in type(value.dist).__mro__
        if cls.__name__ != "rv_continuous"
    )
    log_density, underflows = value.logpdf, not explicit
    if family in _LOG_DENSITIES and type(value.dist).__module__.startswith("scipy."):
        shapes, loc, scale = value.dist._parse_args(*value.args, **value.kwds)
        formula = _LOG_DENSITIES[family]
        low, high = (float(end) for end in value.support())

        def log_density(x: Array) -> Array:
            with np.errstate(all="ignore"):
                inside = formula((x - loc) / scale, *shapes) - math.log(scale)
            return np.where((x >= low) & (x <= high), inside, -math.inf)

        underflows = False
    return _law(value, name, value.sf, value.ppf, value.isf, log_density, underflows)


def _law(
    value: Any,
    name: str,
    survival: Function,
    quantile: Function,
    upper_quantile: Function,
    log_density: Function,
    underflows: bool = False,
) -> Law:
    ends = [np.asarray(end, dtype=np.float64) for end in value.support()]
    if any(end.size != 1 for end in ends) or np.isnan(ends).any():
        raise ValueError(
            f"`{name}` must be one distribution with valid parameters, got {_show(value)}"
        )
    low, high = (float(end.item()) for end in ends)
    with np.errstate(all="ignore"):
        lower, upper = np.asarray(quantile(_LEVELS)), np.asarray(upper_quantile(_LEVELS))
    nodes = np.concatenate([lower, upper])
    if np.isnan(nodes).any() or not low < high:
        raise ValueError(f"`{name}` has no quantiles, got {_show(value)}; check its parameters")
    return Law(
        log_density=log_density,
        cdf=value.cdf,
        survival=survival,
        quantile=quantile,
        upper_quantile=upper_quantile,
        support=(low, high),
        walls=tuple(end for end in (low, high) if math.isfinite(end)),
        clusters=(np.unique(nodes[np.isfinite(nodes)]),),
        underflows=underflows,
    )


def _show(value: Any) -> str:
    arguments = getattr(value, "args", ())
    family = getattr(getattr(value, "dist", None), "name", type(value).__name__)
    return f"{family}{arguments}" if arguments else str(family)


def joint_nodes(p: Law, q: Law) -> Array:
    """Where both laws live; between their clusters, distances to each that double.

    A narrow component far from a wide one is not resolved by the wide one's nodes: its outskirts
    start at its own scale.
    """
    clusters = [*p.clusters, *q.clusters]
    low = min(float(nodes[0]) for nodes in clusters)
    high = max(float(nodes[-1]) for nodes in clusters)
    parts = []
    for nodes in clusters:
        parts.append(nodes)
        span = float(nodes[-1] - nodes[0])
        if span > 0.0:
            with np.errstate(over="ignore"):
                steps = span * np.ldexp(1.0, np.arange(-3, 1100))
            steps = steps[steps <= high - low]
            parts += [nodes[0] - steps, nodes[-1] + steps]
    merged = np.unique(np.concatenate(parts))
    return np.asarray(merged[(merged >= low) & (merged <= high)])


# ---- callables ----------------------------------------------------------------------------------
def _law_of_density(value: Density, name: str) -> Law:
    low, high = (float(end) for end in value.support)
    if not low < high:
        raise ValueError(
            f"`{name}.support` must be two increasing numbers, got ({low:.17g}, {high:.17g})"
        )
    points = np.sort(as_float_array(value.points, f"{name}.points", ndim=1, nonempty=False))
    inner = points[(points > low) & (points < high)]
    edges = _density_edges(inner, low, high)

    def density(x: Array) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            log_density = np.asarray(value.log_density(x), dtype=np.float64)
            if log_density.shape != x.shape:
                raise ValueError(
                    f"`{name}.log_density` must map {x.size} points to {x.size} values, got shape "
                    f"{log_density.shape}"
                )
            values = np.exp(log_density)
        return np.asarray(values), np.asarray(4e-16 * values)

    cells = refine(density, edges)
    mass = float(cells.value.sum())
    if not abs(mass - 1.0) <= _MASS_TOLERANCE:
        raise ValueError(
            f"`{name}` must integrate to 1, got {mass:.17g}; normalise it, or list in `points` "
            "where it jumps, has narrow peaks, or lives if that is far from 0"
        )
    return _law_of_cells(value.log_density, density, cells, (low, high), tuple(inner), mass)


def _density_edges(points: Array, low: float, high: float) -> Array:
    """Edges over the support: octaves around every finite end and given point, and outwards.

    Towards an end at 0, where floats are dense, and towards infinity they go on to the last float,
    because a singular or heavy-tailed density still has mass there.
    """
    ends = [end for end in (low, high) if math.isfinite(end)]
    anchors = np.array([*ends, *points.tolist()] or [0.0])
    octaves = np.ldexp(1.0, np.arange(-60, 61))
    parts = [anchors, (anchors[:, None] + octaves).ravel(), (anchors[:, None] - octaves).ravel()]
    if 0.0 in ends:
        small = np.ldexp(1.0, np.arange(-1000, -60))
        parts += [small, -small]
    if len(ends) < 2:
        large = np.ldexp(1.0, np.arange(61, 1000))
        parts += [large, -large]
    edges = np.unique(np.concatenate(parts))
    return np.asarray(edges[(edges >= low) & (edges <= high)])


def _law_of_cells(
    log_density: Function,
    density: Callable[[Array], tuple[Array, Array]],
    cells: Cells,
    support: tuple[float, float],
    points: tuple[float, ...],
    mass: float,
) -> Law:
    order = np.argsort(cells.left)
    left, right, values = cells.left[order], cells.right[order], cells.value[order] / mass
    below = np.concatenate([[0.0], np.cumsum(values)[:-1]])
    above = np.concatenate([np.cumsum(values[::-1])[:-1][::-1], [0.0]])

    def part(a: Array, b: Array) -> Array:
        half = 0.5 * (b - a)
        x = (0.5 * (a + b))[:, None] + half[:, None] * _POINTS
        values = density(np.clip(x, left[0], right[-1]).ravel())[0].reshape(x.shape)
        return np.asarray(values @ _WEIGHTS * half / mass)

    def locate(x: Array) -> tuple[Array, NDArray[np.intp]]:
        inside = np.clip(np.atleast_1d(x), left[0], right[-1])
        return inside, np.clip(np.searchsorted(left, inside, side="right") - 1, 0, left.size - 1)

    def cdf(x: Array) -> Array:
        inside, k = locate(x)
        return np.asarray(below[k] + part(left[k], inside))

    def survival(x: Array) -> Array:
        inside, k = locate(x)
        return np.asarray(above[k] + part(inside, right[k]))

    upto, beyond = np.minimum(below + values, 1.0), above + values
    carrying = values > 1e-18

    def invert(u: Array, *, upper: bool) -> Array:
        u = np.atleast_1d(np.asarray(u, dtype=np.float64))
        if upper:  # beyond decreases along the cells
            k = left.size - 1 - np.searchsorted(beyond[::-1], u)
        else:
            k = np.searchsorted(upto, u)
        k = np.clip(k, 0, left.size - 1)
        a, b = left[k], right[k]
        if upper:
            return invert_increasing(lambda x, i: u[i] - (above[k[i]] + part(x, right[k[i]])), a, b)
        return invert_increasing(lambda x, i: below[k[i]] + part(left[k[i]], x) - u[i], a, b)

    nodes = np.unique(np.concatenate([left[carrying], right[carrying], points]))
    return Law(
        log_density=log_density,
        cdf=cdf,
        survival=survival,
        quantile=lambda u: invert(u, upper=False),
        upper_quantile=lambda u: invert(u, upper=True),
        support=support,
        walls=tuple(end for end in support if math.isfinite(end)),
        clusters=(nodes,),
    )


# ---- mixtures -----------------------------------------------------------------------------------
def _law_of_mixture(value: Mixture, name: str) -> Law:
    weights = as_float_array(value.weights, f"{name}.weights", ndim=1)
    laws = [as_law(c, f"{name}.components[{i}]") for i, c in enumerate(value.components)]
    if len(laws) != weights.size:
        raise ValueError(
            f"`{name}.weights` must have one entry for each of the {len(laws)} components, got "
            f"{weights.size}"
        )
    if not (weights > 0.0).all() or abs(math.fsum(weights) - 1.0) > _MASS_TOLERANCE:
        raise ValueError(
            f"`{name}.weights` must be positive and sum to 1, got {weights.tolist()}; leave out "
            "components of weight 0"
        )
    weights = weights / math.fsum(weights)
    logs = np.log(weights)[:, None]

    def log_density(x: Array) -> Array:
        with np.errstate(all="ignore"):
            each = np.stack([log_density_on_line(law, x) for law in laws]) + logs
            top = each.max(axis=0)
            shift = np.where(np.isfinite(top), top, 0.0)
            return np.asarray(shift + np.log(np.exp(each - shift).sum(axis=0)))

    def average(functions: Sequence[Function]) -> Function:
        return lambda x: np.asarray(weights @ np.stack([np.asarray(f(x)) for f in functions]))

    cdf = average([law.cdf for law in laws])
    survival = average([law.survival for law in laws])

    def invert(u: Array, *, upper: bool) -> Array:
        u = np.atleast_1d(np.asarray(u, dtype=np.float64))
        ends = np.stack([(law.upper_quantile if upper else law.quantile)(u) for law in laws])
        if upper:
            return invert_increasing(
                lambda x, i: u[i] - survival(x), ends.min(axis=0), ends.max(axis=0)
            )
        return invert_increasing(lambda x, i: cdf(x) - u[i], ends.min(axis=0), ends.max(axis=0))

    return Law(
        log_density=log_density,
        cdf=cdf,
        survival=survival,
        quantile=lambda u: invert(u, upper=False),
        upper_quantile=lambda u: invert(u, upper=True),
        support=(min(law.support[0] for law in laws), max(law.support[1] for law in laws)),
        walls=tuple(sorted({wall for law in laws for wall in law.walls})),
        clusters=tuple(nodes for law in laws for nodes in law.clusters),
        underflows=any(law.underflows for law in laws),
    )


def log_density_on_line(law: Law, x: Array) -> Array:
    """Log density anywhere on the line; callables are only asked inside their support."""
    inside = (x >= law.support[0]) & (x <= law.support[1])
    if inside.all():
        return np.asarray(law.log_density(x), dtype=np.float64)
    values = np.full(x.shape, -math.inf)
    if inside.any():
        values[inside] = law.log_density(x[inside])
    return values
