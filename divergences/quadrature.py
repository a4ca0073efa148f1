"""Adaptive quadrature of nonnegative functions on the line: tails, walls and infinite answers.

The line is cut at *walls* (finite ends of a support, where a density may be singular). Between two
walls the integrand is resolved by Gauss-Legendre cells that are halved until they agree with their
halves; towards each wall, and towards infinity, follow octaves: cells whose distance to the end
shrinks, or grows, by factors of two. The sums over octaves decide what cells cannot: a ratio below
one gives the geometric remainder beyond the last octave that floats can hold, a ratio of one is
divergence, and the answer is ``inf``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified

__all__ = ["Integral"]

Array = NDArray[np.float64]
Integrand = Callable[[Array], tuple[Array, Array]]
"""Maps points to values and to the absolute rounding noise in them."""

EPS = float(np.finfo(np.float64).eps)
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(21)
_LEVELS = 60
_MOST_CELLS = 20_000  # of one level: more of them chase noise; their disagreement is reported
# Halving stops when a cell and its halves differ by less than this part of the whole integral.
_RTOL = 1e-16
_NEGLIGIBLE = 1e-20  # octaves below this part of the integral are not looked at
_FARTHEST = 1e300
_DIVERGENT = 1.0 - 1e-9  # ratio of consecutive octaves from which a power law has no integral


@dataclass(frozen=True, slots=True, kw_only=True)
class Integral:
    """The value of an integral with an estimate of its absolute error.

    Parameters
    ----------
    value : float
        May be ``inf``: the integral diverges, or an integrand is infinite on a set of positive
        measure. Never NaN.
    error : float
        Estimated absolute error: differences between every cell and its halves, plus the rounding
        noise of the integrand, plus the uncertainty of the remainders. An estimate and no bound:
        a feature that no node has seen is not in it. Bounds are given by the ``*_enclosure``
        functions. 0 for an infinite value.
    evaluations : int
        Number of points at which the integrand was evaluated.

    Examples
    --------
    >>> half = Integral(value=0.5, error=1e-15, evaluations=42)
    >>> print(half)
    0.5 +- 1e-15
    >>> float(half)
    0.5
    """

    value: float
    error: float
    evaluations: int = 0

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return "inf" if math.isinf(self.value) else f"{self.value:.15g} +- {self.error:.0e}"


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Cells of a quadrature and what each contributes."""

    left: Array
    right: Array
    value: Array
    error: Array
    evaluations: int


@np.errstate(all="ignore")  # infinite and vanishing densities are ordinary here
def refine(
    integrand: Integrand,
    edges: Array,
    *,
    scale: float = 0.0,
    signed: Integrand | None = None,
) -> Cells:
    """Integrate over consecutive cells, halving those that disagree with their halves.

    Parameters
    ----------
    integrand : callable
    edges : array, shape (n + 1,)
        Finite and increasing.
    scale : float
        What is already known of the whole integral; errors are relative to it.
    signed : callable, optional
        If the integrand is an absolute value: what is inside, so that cells are first cut where it
        changes sign and only smooth pieces remain.
    """
    if edges.size < 2:
        empty = np.zeros(0)
        return Cells(empty, empty, empty, empty, 0)
    evaluations = 0

    def sums(a: Array, b: Array) -> tuple[Array, Array]:
        nonlocal evaluations
        x, half = _points(a, b)
        evaluations += x.size
        values, noise = integrand(x.ravel())
        with np.errstate(invalid="ignore", over="ignore"):
            total = (values.reshape(x.shape) @ _WEIGHTS) * half
            slack = (noise.reshape(x.shape) @ _WEIGHTS) * half
        return total, slack

    if signed is not None:
        edges = _cut_at_sign_changes(signed, edges)
    a, b = edges[:-1], edges[1:]
    coarse, _ = sums(a, b)
    finite = coarse[np.isfinite(coarse)]
    whole = max(scale, float(finite.sum()))
    done: list[tuple[Array, Array, Array, Array]] = []
    for level in range(_LEVELS):
        middle = 0.5 * a + 0.5 * b
        (first, noise_first), (second, noise_second) = sums(a, middle), sums(middle, b)
        fine, noise = first + second, noise_first + noise_second
        with np.errstate(invalid="ignore"):
            difference = np.abs(coarse - fine)
        settled = (
            (difference <= np.maximum(noise + 4 * EPS * fine, _RTOL * whole))
            | (middle <= a)
            | (middle >= b)
            | ~np.isfinite(fine)
            | (level == _LEVELS - 1)
            | (a.size > _MOST_CELLS)
        )
        with np.errstate(invalid="ignore"):
            error = np.where(np.isfinite(fine), np.maximum(difference, noise + EPS * fine), 0.0)
        done.append((a[settled], b[settled], fine[settled], error[settled]))
        if settled.all():
            break
        keep = ~settled
        a, b = np.concatenate([a[keep], middle[keep]]), np.concatenate([middle[keep], b[keep]])
        coarse = np.concatenate([first[keep], second[keep]])
    left, right, value, error = (np.concatenate(column) for column in zip(*done, strict=True))
    if np.isnan(value).any():
        where = left[np.isnan(value)][0]
        raise ValueError(f"the densities must not be NaN inside their supports, near {where:.17g}")
    return Cells(left, right, value, error, evaluations)


def _points(a: Array, b: Array) -> tuple[Array, Array]:
    half = 0.5 * b - 0.5 * a
    return (0.5 * a + 0.5 * b)[:, None] + half[:, None] * _POINTS, half


def _cut_at_sign_changes(signed: Integrand, edges: Array) -> Array:
    """Edges, with the zeros between neighbouring nodes among them.

    A zero that is off by e costs the integral of the absolute value O(e^2): eight steps of
    regula falsi with the Illinois correction are plenty.
    """
    x = _points(edges[:-1], edges[1:])[0].ravel()
    h, noise = signed(x)
    h = np.where(np.abs(h) <= noise, 0.0, h)
    nonzero = np.flatnonzero(h)
    change = np.flatnonzero(np.sign(h[nonzero[:-1]]) * np.sign(h[nonzero[1:]]) < 0)
    if change.size == 0:
        return edges
    a, b = x[nonzero[change]], x[nonzero[change + 1]]
    fa, fb = h[nonzero[change]], h[nonzero[change + 1]]
    root, smallest = a, np.abs(fa)
    before = np.zeros(a.shape, dtype=bool)
    for _ in range(8):
        c = b - fb * ((b - a) / (fb - fa))
        c = np.where((c > a) & (c < b), c, 0.5 * a + 0.5 * b)
        fc = signed(c)[0]
        closer = np.abs(fc) < smallest
        root, smallest = np.where(closer, c, root), np.where(closer, np.abs(fc), smallest)
        forward = np.sign(fc) == np.sign(fa)  # the zero lies in [c, b]
        again = forward == before
        fa, fb = (
            np.where(forward, fc, np.where(again, 0.5 * fa, fa)),
            np.where(forward, np.where(again, 0.5 * fb, fb), fc),
        )
        a, b, before = np.where(forward, c, a), np.where(forward, b, c), forward
    return np.unique(np.concatenate([edges, root]))


# ---- the whole line -----------------------------------------------------------------------------
@np.errstate(all="ignore")
def integrate(
    integrand: Integrand,
    nodes: Array,
    walls: Sequence[float],
    *,
    signed: Integrand | None = None,
) -> Integral:
    """Integral of a nonnegative integrand from the first to the last wall.

    Parameters
    ----------
    integrand : callable
    nodes : array
        Points that show where the integrand lives and how wide its features are.
    walls : sequence of float
        Increasing; the first may be -inf and the last inf.
    signed : callable, optional
        See :func:`refine`.

    Raises
    ------
    NotCertified
        If the octaves neither decay nor stay, so that convergence cannot be told.
    """
    value = error = 0.0
    evaluations = 0
    pieces = []
    for a, b in itertools.pairwise(walls):
        inner = _inner_nodes(nodes, a, b)
        if inner.size == 0:  # neighbouring floats
            continue
        cells = refine(integrand, inner, signed=signed)
        pieces.append((a, b, inner, cells))
        value += float(cells.value.sum())
        error += float(cells.error.sum())
        evaluations += cells.evaluations
    if math.isinf(value):
        return Integral(value=math.inf, error=0.0, evaluations=evaluations)
    whole = value
    for a, b, inner, _ in pieces:
        gaps = np.diff(inner) if inner.size > 1 else np.ones(1)
        for end, start, gap in ((a, inner[0], gaps[0]), (b, inner[-1], gaps[-1])):
            centre = float(0.5 * inner[0] + 0.5 * inner[-1])
            tail = _tail(integrand, float(start), float(end), float(gap), centre, whole)
            value += tail.value
            error += tail.error
            evaluations += tail.evaluations
    if math.isinf(value):
        return Integral(value=math.inf, error=0.0, evaluations=evaluations)
    return Integral(value=value, error=error + EPS * value, evaluations=evaluations)


def _inner_nodes(nodes: Array, a: float, b: float) -> Array:
    """Nodes between two walls, at least one, with room for some octaves before a finite wall."""
    inner = nodes[(nodes > a) & (nodes < b)]
    if inner.size == 0:
        ends = [end for end in (a, b) if math.isfinite(end)] or [0.0]
        reach = max(1.0, abs(ends[0]))
        middle = 0.5 * a + 0.5 * b
        if not math.isfinite(middle):
            middle = ends[0] + (0.0 if len(ends) == 2 else math.copysign(reach, a + b))
        return np.array([middle]) if a < middle < b else inner
    for wall, farthest in ((a, -1), (b, 0)):
        if math.isfinite(wall):
            room = min(2.0**24 * _finest(wall), abs(inner[farthest] - wall))
            inner = inner[np.abs(inner - wall) >= room]
    return inner


def _octave_edges(start: float, end: float, gap: float, centre: float) -> tuple[Array, int]:
    """Edges from ``start`` to ``end``, outwards, and the index of the first true octave.

    Towards a wall the distance to it is halved. Towards infinity the distance to the centre is
    doubled, after steps that grow from the local scale ``gap`` to that distance.
    """
    if math.isinf(end):
        reach = max(abs(start - centre), gap, 2.0 * EPS * abs(start), 1e-300)
        steps = max(0, int(math.log2(reach / max(gap, EPS * reach))))
        near = start + math.copysign(reach, end) * np.ldexp(1.0, np.arange(-steps, 1))
        count = max(2, int(math.log2(_FARTHEST) - math.log2(reach)))
        beyond = near[-1] - centre
        far = centre + beyond * np.ldexp(1.0, np.arange(1, count))
        return np.concatenate([[start], near, far]), steps + 1
    width = start - end
    count = max(1, int(math.log2(max(abs(width) / _finest(end), 2.0))))
    return end + width * np.ldexp(1.0, -np.arange(count + 1)), 0


def _finest(end: float) -> float:
    """Distance to a wall below which the rounding of positions spoils a singular density."""
    return max(2.0**10 * float(np.spacing(abs(end))), 1e-290)


def _tail(
    integrand: Integrand, start: float, end: float, gap: float, centre: float, whole: float
) -> Integral:
    """What lies between the outermost node and a wall or infinity."""
    edges, first = _octave_edges(start, end, gap, centre)
    widths = np.abs(np.diff(edges))
    values, noise = integrand(0.5 * edges[:-1] + 0.5 * edges[1:])
    matters = ~((values - 2.0 * noise) * widths <= _NEGLIGIBLE * whole)
    last = int(np.flatnonzero(matters)[-1]) + 1 if matters.any() else 0
    last = min(last + 2, widths.size)
    outward = end > start
    chosen = edges[: last + 1] if outward else edges[: last + 1][::-1]
    towards = integrand if math.isinf(end) else _with_rounded_positions(integrand, end)
    cells = refine(towards, np.unique(chosen), scale=whole)
    evaluations = cells.evaluations + values.size
    if not np.isfinite(cells.value).all():
        return Integral(value=math.inf, error=0.0, evaluations=evaluations)
    octave = np.searchsorted(chosen, cells.left, side="right") - 1
    sums: Array = np.bincount(octave, weights=cells.value, minlength=last).astype(np.float64)
    errors: Array = np.bincount(octave, weights=cells.error, minlength=last).astype(np.float64)
    if not outward:
        sums, errors = sums[::-1], errors[::-1]
    # Octaves short of digits (underflow, cancellation, positions too close to a wall) cannot show
    # a ratio; a remainder replaces them.
    allowed = 1e-7 if math.isinf(end) else 1e-2
    doubtful = np.flatnonzero(~(errors[first:] <= allowed * sums[first:]))
    count = first + int(doubtful[0]) if doubtful.size else sums.size
    value, error = float(sums[:count].sum()), float(errors[:count].sum())
    if count - first < 9 or sums[count - 1] <= 1e-17 * (value + whole):
        value, error = float(sums.sum()), float(errors.sum())
        ignored = float(np.where(values != 0.0, noise * widths, 0.0)[last:].sum())
        if ignored > 1e-3 * (whole + value):
            raise NotCertified(
                "the rounding noise of the integrand in its tail exceeds the integral; "
                "for a Wasserstein distance use the form by quantiles",
                estimate=whole + value,
            )
        return Integral(value=value, error=error + ignored, evaluations=evaluations)
    beyond, doubt = _remainder(sums[first:count], whole + value)
    doubt += beyond * float(np.max(errors[first:count] / sums[first:count]))
    return Integral(value=value + beyond, error=error + doubt, evaluations=evaluations)


def _with_rounded_positions(integrand: Integrand, wall: float) -> Integrand:
    """Near a wall other than 0, positions are rounded, and a singular density feels it."""
    spacing = float(np.spacing(abs(wall))) if wall != 0.0 else 0.0

    def rounded(x: Array) -> tuple[Array, Array]:
        values, noise = integrand(x)
        return values, noise + values * (spacing / np.abs(x - wall))

    return rounded


def _remainder(sums: Array, estimate: float) -> tuple[float, float]:
    """What octaves beyond the last one hold, if they go on as they did, and the doubt in it.

    The sums over octaves of an algebraic tail are geometric; a logarithm in the integrand makes
    them ``(a + b k) r^k``.
    """
    n = min(16, (sums.size - 1) // 2)
    last, earlier, before = (float(sums[sums.size - 1 - k * n]) for k in range(3))
    ratio, previous = (last / earlier) ** (1.0 / n), (earlier / before) ** (1.0 / n)
    if ratio >= _DIVERGENT and previous >= _DIVERGENT:
        return math.inf, 0.0
    if ratio >= _DIVERGENT or abs(ratio - previous) > 0.5 * (1.0 - ratio):
        raise NotCertified(
            "the integral converges too slowly to tell whether it is finite: the sums over "
            f"octaves of its tail change by factors of {previous:.6g} and then {ratio:.6g}; "
            "bound the tail by hand",
            estimate=estimate,
        )
    plain = last * ratio / (1.0 - ratio)
    if abs(ratio - previous) <= 1e-6 * (1.0 - ratio):
        return plain, abs(plain - last * previous / (1.0 - previous)) + 1e-12 * plain
    fits = [_log_remainder(sums, m) for m in (n, n // 2)]
    return fits[0], abs(fits[0] - fits[1]) + 1e-12 * plain


def _log_remainder(sums: Array, n: int) -> float:
    """Sum of ``c (1 + b j) r^j`` over j >= 1, fitted to the last sum and those n and 2 n before."""
    last, earlier, before = (float(sums[sums.size - 1 - k * n]) for k in range(3))
    curvature = math.sqrt(max(0.0, 1.0 - before * last / (earlier * earlier)))
    share = curvature / (1.0 + curvature)  # b n
    r = ((1.0 - share) * last / earlier) ** (1.0 / n)
    return float(last * r / (1.0 - r) * (1.0 + share / n / (1.0 - r)))
