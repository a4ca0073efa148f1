"""The problem that the optimisers see: no dead neurons, and numbers near one.

Multiplying a neuron's row by ``2**p`` and its column by ``2**-p`` changes no float but its
exponent, and none of the slopes: ``phi' = 2**p phi`` and ``v' = 2**p v``. A neuron whose row or
column vanishes adds nothing to the output's change. Nothing here has to be trusted, since the
multipliers found are translated back and proved for the whole network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lipschitz.layers.contract import Array
from lipschitz.sdp.feedforward import FeedForward

__all__ = ["Problem", "balanced", "presolved"]

Indices = NDArray[np.int64]

_NARROWEST = 1e-4
"""Half the width of the slopes of a linear neuron, relative to them: its optimal multiplier is
infinite. What is proved for wider slopes holds for narrower ones, at a price of this size."""

_FAR, _TINIEST = 2.0**50, 2.0**-1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Matrices with slopes, and how they came from a network's.

    Parameters
    ----------
    weights : tuple of arrays
    slope_lower, slope_upper : tuple of arrays
    kept : tuple of int arrays
        Indices of the neurons of each hidden layer in the network.
    powers : tuple of int arrays
        Neuron ``j`` was multiplied by ``2**powers[j]``.
    dead_by_row : tuple of bool arrays
        Which of the network's neurons never change: their rows, or both slopes, vanish.
    output_power : int
        The output was multiplied by ``2**output_power``.
    """

    weights: tuple[Array, ...]
    slope_lower: tuple[Array, ...]
    slope_upper: tuple[Array, ...]
    kept: tuple[Indices, ...]
    powers: tuple[Indices, ...]
    dead_by_row: tuple[NDArray[np.bool_], ...]
    output_power: int = 0

    def lifted(self, net: FeedForward, multipliers: list[Array], upper: float) -> tuple[Array, ...]:
        """Multipliers of the network for ``rho = upper**2``, from the problem's for ``rho = 1``.

        A neuron without a row, or with slopes 0, never changes: its multiplier may be as large as
        its readers need. One without readers gets a multiplier so small that what it reads does
        not notice.
        """
        mantissa, exponent = math.frexp(upper)
        lifted: list[Array] = []
        for t, kept, powers, width in zip(
            multipliers, self.kept, self.powers, net.widths[1:-1], strict=True
        ):
            full = np.zeros(width)
            with np.errstate(over="ignore", under="ignore"):
                full[kept] = np.ldexp(t * mantissa**2, 2 * powers + 2 * exponent)
            lifted.append(full)
        if any(len(kept) < len(t) for kept, t in zip(self.kept, lifted, strict=True)):
            with np.errstate(all="ignore"):
                self._fill_dead(net, lifted, np.float64(upper) ** 2)
        return tuple(np.clip(t, _TINIEST, 1.0 / _TINIEST) for t in lifted)

    def _fill_dead(self, net: FeedForward, lifted: list[Array], rho: np.float64) -> None:
        slopes = [
            np.maximum(np.abs(a), np.abs(b))
            for a, b in zip(net.slope_lower, net.slope_upper, strict=True)
        ]
        for i in range(len(lifted) - 1, -1, -1):
            w = net.weights[i + 1]
            is_last = i == len(lifted) - 1
            reading = np.ones(len(w)) if is_last else lifted[i + 1] * slopes[i + 1] ** 2
            needed = (reading @ (w * w)) * _FAR + rho
            lifted[i][self.dead_by_row[i]] = needed[self.dead_by_row[i]]
        for i, t in enumerate(lifted):
            w, a = net.weights[i], slopes[i]
            before = np.full(w.shape[1], rho) if i == 0 else lifted[i - 1]
            cost = (w * w) @ (1.0 / np.maximum(before, _TINIEST)) * a * a
            unread = t == 0.0
            t[unread] = 1.0 / (_FAR * (cost[unread] + 1.0 / rho))

    def norm_of_network(self, value: float) -> float:
        """The network's constant, from the problem's."""
        with np.errstate(over="ignore", under="ignore"):
            return float(np.ldexp(value, -self.output_power))


def presolved(net: FeedForward) -> Problem:
    """Without neurons whose rows, slopes or columns vanish (errors included), and scaled.

    Examples
    --------
    >>> weights = [[[8.0], [0.0], [4.0]], [[1.0, 1.0, 0.0]]]
    >>> zero, one = np.zeros(3), np.ones(3)
    >>> problem = presolved(FeedForward.exact(weights, slope_lower=[zero], slope_upper=[one]))
    >>> problem.kept, problem.weights
    ((array([0]),), (array([[1.]]), array([[1.]])))
    """
    weights, errors = list(net.weights), list(net.errors)
    kept = [np.arange(n, dtype=np.int64) for n in net.widths[1:-1]]
    dead_by_row = [np.zeros(n, dtype=bool) for n in net.widths[1:-1]]
    changed = True
    while changed:
        changed = False
        for i in range(len(kept)):
            row = weights[i].any(axis=1) | errors[i].any(axis=1)
            row &= (net.slope_lower[i][kept[i]] != 0.0) | (net.slope_upper[i][kept[i]] != 0.0)
            live = row & (weights[i + 1].any(axis=0) | errors[i + 1].any(axis=0))
            if not live.all():
                dead_by_row[i][kept[i][~row]] = True
                kept[i], changed = kept[i][live], True
                weights[i], errors[i] = weights[i][live], errors[i][live]
                weights[i + 1], errors[i + 1] = weights[i + 1][:, live], errors[i + 1][:, live]
    lower, upper = [], []
    for a, b, k in zip(net.slope_lower, net.slope_upper, kept, strict=True):
        room = np.maximum(_NARROWEST * np.maximum(np.abs(a[k]), np.abs(b[k])) - 0.5 * (b - a)[k], 0)
        lower.append(a[k] - room)
        upper.append(b[k] + room)
    problem = Problem(
        weights=tuple(weights),
        slope_lower=tuple(lower),
        slope_upper=tuple(upper),
        kept=tuple(kept),
        powers=tuple(np.zeros(len(k), dtype=np.int64) for k in kept),
        dead_by_row=tuple(dead_by_row),
    )
    powers, power = [], 0
    for w in weights:
        power -= _exponent(w)
        powers.append(np.full(len(w), power))
    return _multiplied(problem, powers[:-1], power)


def balanced(problem: Problem, multipliers: list[Array], value: float) -> Problem:
    """The same problem, scaled so that these multipliers (for ``rho = 1``) are near one.

    Parameters
    ----------
    problem : Problem
    multipliers : list of arrays
    value : float
        The bound that they prove; the output is scaled so that it is near one too.
    """
    powers = [np.round(0.5 * np.log2(t)).astype(np.int64) for t in multipliers]
    return _multiplied(problem, powers, -math.frexp(value)[1])


def _multiplied(problem: Problem, powers: list[Indices], output_power: int) -> Problem:
    weights = []
    for i, w in enumerate(problem.weights):
        rows = powers[i][:, None] if i < len(powers) else output_power
        columns = powers[i - 1][None, :] if i > 0 else 0
        weights.append(np.ldexp(w, rows - columns))
    return replace(
        problem,
        weights=tuple(weights),
        powers=tuple(p + q for p, q in zip(problem.powers, powers, strict=True)),
        output_power=problem.output_power + output_power,
    )


def _exponent(w: Array) -> int:
    """Of the matrix' Frobenius norm over the root of its smaller side, a typical singular value."""
    largest = float(np.abs(w).max(initial=0.0))
    if largest == 0.0:
        return 0
    exponent = math.frexp(largest)[1]
    size = float(np.linalg.norm(np.ldexp(w, -exponent))) / math.sqrt(min(w.shape))
    return exponent + round(math.log2(size))
