"""Monge's problem between finite distributions: the cheapest map, or that there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.ground import ground_distances
from divergences.points import as_clouds, check_order
from evidence import NotCertified

__all__ = ["MongeMap", "NoMongeMap", "monge"]

_LARGEST_SEARCH = 16
_MOST_NODES = 500_000
Floats = NDArray[np.float64]


class NoMongeMap(ValueError):  # noqa: N818 - a fact about the distributions
    """No map pushes the first distribution onto the second; a plan always does.

    Examples
    --------
    >>> try:
    ...     monge([0.0], [-1.0, 1.0])
    ... except NoMongeMap as none:
    ...     print(none)
    no map pushes `x` onto `y`: an atom of mass 1 must stay whole, but all of `y` are smaller
    """


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MongeMap:
    """The cheapest map between two finite distributions.

    Attributes
    ----------
    value : float
        ``(sum_i a_i d(x_i, T(x_i))^p)^(1/p)``, at least W_p.
    targets : array of int, shape (n,)
        ``T(x_i) = y[targets[i]]``.

    Examples
    --------
    >>> monge([0.0, 1.0], [1.0, 0.0]).targets
    array([1, 0])
    """

    value: float
    targets: NDArray[np.intp]


def monge(
    x: ArrayLike,
    y: ArrayLike,
    x_weights: Any = None,
    y_weights: Any = None,
    *,
    ground: str = "l2",
    p: float = 1,
) -> MongeMap:
    r"""The cheapest map ``T`` with ``T_# P = Q``, if there is a map at all.

    .. math:: \min_{T_\# P = Q} \Big(\sum_i a_i\, d(x_i, T(x_i))^p\Big)^{1/p} \ \ge\ W_p(P, Q)

    Parameters
    ----------
    x, y : array_like, shape (n, d) and (m, d), or (n,) and (m,)
        Atoms. Coinciding atoms of ``x`` are one atom, which a map cannot split.
    x_weights, y_weights : sequences of int or Fraction, optional
        Masses as counts or exact fractions, of proportional totals; None means equal weights.
        Floats are taken for the binary fractions they are, so that 1/3 matches nothing.
    ground : {"l2", "l1", "linf", "sqeuclidean"}
    p : float
        From 1, finite.

    Returns
    -------
    MongeMap

    Raises
    ------
    NoMongeMap
        If no map exists: proved by counting or by exhaustive search, never by giving up.
    TypeError, ValueError
        As ``optimal_transport``.
    NotCertified
        If masses differ and there are too many atoms for an exhaustive search (deciding whether a
        map exists contains the subset-sum problem).

    Notes
    -----
    For equally many atoms of equal weight some optimal plan is a map, and the value is W_p
    (Birkhoff); otherwise it can be larger, or there may be no map one way and one the other way.

    References
    ----------
    .. [1] C. Villani, "Topics in Optimal Transportation" (2003), Introduction, sections 1-2.

    Examples
    --------
    Kantorovich moves a third here, Monge has to move everything:

    >>> monge([0.0, 1.0], [0.0, 1.0], [2, 1], [1, 2]).value
    1.0
    >>> monge([0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [2, 1, 1], [1, 1, 2]).value
    1.5
    """
    order = check_order(p)
    if order == math.inf:
        raise ValueError("`p` must be finite for a map, got inf; use p=1 or p=2")
    X, Y, _, _ = as_clouds(x, y, None, None)
    a, b = _exact_weights(x_weights, "x_weights", len(X)), _exact_weights(
        y_weights, "y_weights", len(Y)
    )  # fmt: skip
    atoms, of_atom = _merged(X, a)
    slots, first_of_slot = _merged(Y, b)
    distances = ground_distances(
        np.array([point for point, _ in atoms]), np.array([point for point, _ in slots]), ground
    )
    masses, capacities = [m for _, m in atoms], [m for _, m in slots]
    top = float(distances.max())
    costs = (distances / top) ** order if top > 0.0 else distances
    chosen = _cheapest(masses, capacities, costs)
    mean = math.fsum(
        float(m) * costs[i, j] for i, (m, j) in enumerate(zip(masses, chosen, strict=True))
    )
    representative = np.array(
        [int(np.flatnonzero(first_of_slot == s)[0]) for s in range(len(slots))]
    )
    targets = np.zeros(len(X), dtype=np.intp)
    for k, atom in enumerate(of_atom):
        targets[k] = representative[chosen[atom]] if atom >= 0 else 0
    return MongeMap(value=float(top * mean ** (1.0 / order)), targets=targets)


def _exact_weights(value: Any, name: str, n: int) -> list[Fraction]:
    """Weights as fractions of their total."""
    if value is None:
        return [Fraction(1, n)] * n
    from divergences.certificates import exact_masses

    masses = exact_masses(value, name)
    if len(masses) != n:
        raise ValueError(f"`{name}` must have one weight per atom, {n}, got {len(masses)}")
    total = sum(masses)
    return [mass / total for mass in masses]


def _merged(
    points: Floats, weights: list[Fraction]
) -> tuple[list[tuple[Floats, Fraction]], NDArray[np.intp]]:
    """Distinct positions with positive mass, and which one every point has (-1: none)."""
    positions, inverse = np.unique(points, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    masses = [Fraction(0)] * len(positions)
    for k, weight in zip(inverse, weights, strict=True):
        masses[k] += weight
    kept = [k for k, mass in enumerate(masses) if mass]
    new = np.full(len(positions), -1, dtype=np.intp)
    new[kept] = np.arange(len(kept))
    return [(positions[k], masses[k]) for k in kept], new[inverse]


def _cheapest(masses: list[Fraction], capacities: list[Fraction], costs: Floats) -> list[int]:
    if max(masses) > max(capacities):
        raise NoMongeMap(
            f"no map pushes `x` onto `y`: an atom of mass {max(masses)} must stay whole, but all "
            "of `y` are smaller"
        )
    if len(masses) < len(capacities):
        raise NoMongeMap(
            f"no map pushes `x` onto `y`: {len(masses)} atoms cannot fill {len(capacities)}"
        )
    if min(masses) == max(masses):
        return _assigned(masses[0], capacities, costs)
    if len(masses) > _LARGEST_SEARCH:
        raise NotCertified(
            f"whether a map exists between {len(masses)} atoms of different masses was not "
            f"searched; at most {_LARGEST_SEARCH} are"
        )
    return _searched(masses, capacities, costs)


def _assigned(mass: Fraction, capacities: list[Fraction], costs: Floats) -> list[int]:
    """Equal masses: an assignment to slots repeated as often as they hold the mass."""
    from scipy.optimize import linear_sum_assignment

    for capacity in capacities:
        if (capacity / mass).denominator != 1:
            raise NoMongeMap(
                f"no map pushes `x` onto `y`: atoms of mass {mass} cannot add up to {capacity}"
            )
    slots = np.repeat(np.arange(len(capacities)), [int(c / mass) for c in capacities])
    _, columns = linear_sum_assignment(costs[:, slots])
    return [int(slots[column]) for column in columns]


def _searched(masses: list[Fraction], capacities: list[Fraction], costs: Floats) -> list[int]:
    """Branch and bound over all maps, the heaviest atoms first."""
    heaviest = sorted(range(len(masses)), key=lambda i: -masses[i])
    rest = np.zeros(len(masses) + 1)  # a lower bound of what the atoms from k on will cost
    for k in range(len(masses) - 1, -1, -1):
        i = heaviest[k]
        rest[k] = rest[k + 1] + float(masses[i]) * costs[i].min()
    left = capacities.copy()
    choice = [0] * len(masses)
    best: tuple[float, list[int]] = (math.inf, [])

    nodes = 0

    def descend(k: int, paid: float) -> None:
        nonlocal best, nodes
        nodes += 1
        if nodes > _MOST_NODES:
            raise NotCertified(
                f"the search for a cheapest map of {len(masses)} atoms was stopped after "
                f"{_MOST_NODES} steps; take fewer atoms"
            )
        if paid + rest[k] >= best[0]:
            return
        if k == len(masses):
            best = (paid, choice.copy())
            return
        i = heaviest[k]
        for j in np.argsort(costs[i], kind="stable"):
            if left[j] >= masses[i]:
                left[j] -= masses[i]
                choice[i] = int(j)
                descend(k + 1, paid + float(masses[i]) * float(costs[i, j]))
                left[j] += masses[i]

    descend(0, 0.0)
    if not best[1]:
        raise NoMongeMap("no map pushes `x` onto `y`: every way to put its atoms was tried")
    return best[1]
