"""Optimal transport in rational numbers, with a certificate that anyone can recheck.

A float solver proposes a basis; flows and potentials of that basis are recomputed as fractions,
and if they are not optimal the transportation simplex goes on from there, exactly. The result is
checked from scratch against the definition before it is returned.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from divergences.exact_simplex import optimal_basis
from divergences.masses import check_flag
from evidence import NotCertified

__all__ = ["ExactTransport", "exact_transport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactTransport:
    """An optimal plan and optimal potentials in fractions, which prove each other optimal.

    Attributes
    ----------
    value : Fraction
        The optimal cost.
    plan : tuple of (int, int, Fraction)
        Moves ``(i, j, mass)`` with positive mass; at most ``n + m - 1``.
    potentials : pair of tuples of Fraction
        ``u_i + v_j <= cost_ij`` for every pair, with equality on the plan.

    Examples
    --------
    >>> result = exact_transport([[0, 1], [1, 0]], [2, 1], [1, 2])
    >>> result.value, result.plan
    (Fraction(1, 1), ((0, 0, Fraction(1, 1)), (0, 1, Fraction(1, 1)), (1, 1, Fraction(1, 1))))
    """

    value: Fraction
    plan: tuple[tuple[int, int, Fraction], ...]
    potentials: tuple[tuple[Fraction, ...], tuple[Fraction, ...]]

    def proves(self, costs: Any, p: Any, q: Any) -> bool:
        """Whether this is an optimal solution of the problem, decided in exact arithmetic.

        The plan is nonnegative with the right marginals, the potentials are feasible, and both
        sides have the same value: by weak duality neither can be improved.

        Examples
        --------
        >>> result = exact_transport([[0, 1], [1, 0]], [2, 1], [1, 2])
        >>> result.proves([[0, 1], [1, 0]], [2, 1], [1, 2]), result.proves([[0, 2]], [1], [0, 1])
        (True, False)
        """
        C, a, b = _exact_problem(costs, p, q)
        u, v = self.potentials
        if len(u) != len(a) or len(v) != len(b):
            return False
        rows, columns = [Fraction(0)] * len(a), [Fraction(0)] * len(b)
        paid = Fraction(0)
        for i, j, mass in self.plan:
            c = C[i][j]
            if mass < 0 or c is None:
                return False
            rows[i] += mass
            columns[j] += mass
            paid += mass * c
        feasible = all(
            u[i] + v[j] <= c for i, row in enumerate(C) for j, c in enumerate(row) if c is not None
        )
        earned = sum((x * y for x, y in zip((*u, *v), (*a, *b), strict=True)), Fraction(0))
        return rows == a and columns == b and feasible and paid == earned == self.value


def exact_transport(
    costs: Any, p: Sequence[Any], q: Sequence[Any], *, normalize: bool = False
) -> ExactTransport:
    r"""The optimal cost as a fraction, with a plan and potentials that prove it.

    .. math:: \min_{\pi \ge 0,\, \pi 1 = p,\, \pi^T 1 = q} \sum c_{ij}\pi_{ij}
              = \max_{u_i + v_j \le c_{ij}} p \cdot u + q \cdot v

    Parameters
    ----------
    costs : (n, m) nested sequences or array of int, Fraction or float
        Floats are taken for the binary fractions they are; ``inf`` forbids a move.
    p, q : sequences of n and m masses of the same kinds
        Of equal totals, exactly. ``[0.1] * 10`` does not add up to one: give fractions or counts,
        or let ``normalize=True`` divide by the exact totals.
    normalize : bool

    Returns
    -------
    ExactTransport

    Raises
    ------
    TypeError, ValueError
        Entries that are no exact numbers, negative masses, totals that differ, costs that forbid
        every plan.

    Notes
    -----
    Degenerate problems cannot cycle: masses are perturbed symbolically. Meant for up to a few
    hundred atoms; every step is exact, so that the size of the numbers counts too.

    References
    ----------
    .. [1] G. B. Dantzig, "Linear Programming and Extensions" (1963), chapters 10 (perturbation)
       and 14 (transportation).

    Examples
    --------
    >>> third = Fraction(1, 3)
    >>> exact_transport([[0, 1], [1, 0]], [2 * third, third], [third, 2 * third]).value
    Fraction(1, 3)
    """
    check_flag(normalize, "normalize")
    C, a, b = _exact_problem(costs, p, q)
    if normalize:
        a, b = ([x / sum(masses) for x in masses] for masses in (a, b))
    elif sum(a) != sum(b):
        raise ValueError(
            f"`p` and `q` must have equal totals exactly, got {sum(a)} and {sum(b)}; "
            "give fractions or counts, or pass `normalize=True`"
        )
    rows = [i for i, mass in enumerate(a) if mass]
    columns = [j for j, mass in enumerate(b) if mass]
    cost_unit = math.lcm(*(c.denominator for row in C for c in row if c is not None))
    mass_unit = math.lcm(*(x.denominator for x in (*a, *b)))
    flows, v_scaled = optimal_basis(
        [[_multiple(C[i][j], cost_unit) for j in columns] for i in rows],
        [int(a[i] * mass_unit) for i in rows],
        [int(b[j] * mass_unit) for j in columns],
    )
    plan = tuple(
        (rows[i], columns[j], Fraction(flow, mass_unit)) for i, j, flow in sorted(flows) if flow
    )
    if any(C[i][j] is None for i, j, _ in plan):
        raise ValueError(
            "`costs` forbids every plan between `p` and `q`; the optimal cost is infinite"
        )
    potentials = _potentials(
        C, {columns[j]: Fraction(x, cost_unit) for j, x in enumerate(v_scaled)}
    )
    value = sum((mass * (C[i][j] or Fraction(0)) for i, j, mass in plan), Fraction(0))
    result = ExactTransport(value=value, plan=plan, potentials=potentials)
    if not result.proves([[math.inf if c is None else c for c in row] for row in C], a, b):
        raise NotCertified(
            "the exact certificate failed its own check", estimate=float(value)
        )  # pragma: no cover
    return result


def _multiple(cost: Fraction | None, unit: int) -> int | None:
    return None if cost is None else int(cost * unit)


def _potentials(
    C: list[list[Fraction | None]], v: dict[int, Fraction]
) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """Feasible potentials for all atoms, from those of the columns with mass."""
    u = [
        min((c - v[j] for j, c in enumerate(row) if j in v and c is not None), default=None)
        for row in C
    ]
    columns = []
    for j in range(len(C[0])):
        reach = [
            row[j] - u_i  # type: ignore[operator]
            for row, u_i in zip(C, u, strict=True)
            if row[j] is not None and u_i is not None
        ]
        columns.append(min(reach, default=Fraction(0)))
    # A row from which every charged column is forbidden may take any value that is low enough.
    rows = [
        min((c - columns[j] for j, c in enumerate(row) if c is not None), default=Fraction(0))
        if u_i is None
        else u_i
        for row, u_i in zip(C, u, strict=True)
    ]
    return tuple(rows), tuple(columns)


# ---- reading exact numbers -----------------------------------------------------------------------
def _exact_problem(
    costs: Any, p: Any, q: Any
) -> tuple[list[list[Fraction | None]], list[Fraction], list[Fraction]]:
    a, b = exact_masses(p, "p"), exact_masses(q, "q")
    rows = _listed(costs, "costs")
    C = [[_number(c, "costs", forbidden=True) for c in _listed(row, "costs")] for row in rows]
    if len(C) != len(a) or any(len(row) != len(b) for row in C):
        raise ValueError(
            f"`costs` must have shape ({len(a)}, {len(b)}) for these masses, "
            f"got {len(C)} rows of lengths {sorted({len(row) for row in C})}"
        )
    return C, a, b


def exact_masses(value: Any, name: str) -> list[Fraction]:
    """Nonnegative masses as fractions, some of them positive.

    Examples
    --------
    >>> exact_masses([1, 0.5], "p")
    [Fraction(1, 1), Fraction(1, 2)]
    """
    masses = []
    for index, entry in enumerate(_listed(value, name)):
        mass = _number(entry, name, forbidden=False)
        if mass is None or mass < 0:
            raise ValueError(f"`{name}` must be nonnegative, got {entry} at index {index}")
        masses.append(mass)
    if not sum(masses):
        raise ValueError(f"`{name}` must have positive total mass, got 0")
    return masses


def _listed(value: Any, name: str) -> list[Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"`{name}` must not be a masked array, since masks would be ignored")
    if isinstance(value, np.ndarray) and value.ndim:
        return list(value) if value.ndim > 1 else value.tolist()
    if isinstance(value, (list, tuple)):
        return list(value)
    raise TypeError(f"`{name}` must be a list or an array of numbers, got {type(value).__name__}")


def _number(entry: Any, name: str, *, forbidden: bool) -> Fraction | None:
    """A fraction, or None for an infinite cost."""
    if isinstance(entry, numbers.Rational) and not isinstance(entry, bool):
        return Fraction(entry)
    if isinstance(entry, (float, np.float64, np.float32)):
        if forbidden and entry == math.inf:
            return None
        if not math.isfinite(entry):
            raise ValueError(f"`{name}` must be finite, got {float(entry)}")
        return Fraction(float(entry))
    raise TypeError(f"`{name}` must hold ints, fractions or floats, got {type(entry).__name__}")
