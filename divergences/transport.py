"""W_p in R^d between weighted clouds: optimal plan, potentials and the gap between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from divergences.ground import as_costs, ground_distances
from divergences.masses import check_flag
from divergences.network_simplex import Solution, by_highs, by_network_simplex, c_transform
from divergences.points import as_clouds, as_points, as_weights, check_order, shape_of
from evidence import NotCertified
from evidence.validation import as_float_array

__all__ = ["Transport", "optimal_transport"]

_RELATIVE = 1e-9
_ABSOLUTE = 1e-13
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transport:
    """An optimal plan between two clouds, with the potentials that show it is one.

    Attributes
    ----------
    value : float
        ``cost ** (1/p)``: W_p; with a cost matrix, the cost itself.
    cost : float
        ``sum plan * costs``.
    gap : float
        ``cost`` minus the dual value of ``potentials``: the true optimum lies between, up to the
        rounding of both sums.
    plan : array, shape (n, m)
        Mass moved from ``x_i`` to ``y_j``; rows add up to the weights of ``x``.
    potentials : pair of arrays, shapes (n,) and (m,)
        ``u_i + v_j <= costs_ij``, equal where the plan moves mass.
    costs : array, shape (n, m)
    solver : str
        Who found the plan; whoever it was, the gap is checked.

    Examples
    --------
    >>> plan = optimal_transport([[0, 0]], [[1, 1]])
    >>> plan.value, plan.gap <= 1e-15
    (1.4142135623730951, True)
    """

    value: float
    cost: float
    gap: float
    plan: Floats
    potentials: tuple[Floats, Floats]
    costs: Floats
    solver: str
    _extend: Callable[[Any], Floats] | None = field(default=None, repr=False)

    @property
    def relative_gap(self) -> float:
        """``gap / cost``; zero if the gap is."""
        return self.gap / self.cost if self.gap else 0.0

    def critic(self, z: ArrayLike) -> Floats:
        """The potential of ``x`` extended to any points ``z`` of shape (k, d).

        ``f(z) = min_j c(z, y_j) - v_j`` over the atoms with mass. For a norm and ``p = 1`` it is
        1-Lipschitz in that norm, and ``E_P f - E_Q f`` is at least the dual value. (A solver's own
        duals are not: on atoms without mass they may be anything.)

        Raises
        ------
        ValueError
            If the plan was made from a cost matrix, which says nothing about other points.
        """
        if self._extend is None:
            raise ValueError(
                "`critic` needs points, but this plan was made from `cost`; "
                "use `potentials`, or pass `ground` instead of `cost`"
            )
        return self._extend(z)


def optimal_transport(
    x: ArrayLike | None,
    y: ArrayLike | None,
    x_weights: ArrayLike | None = None,
    y_weights: ArrayLike | None = None,
    *,
    ground: str = "l2",
    p: float = 1,
    cost: ArrayLike | None = None,
    normalize: bool = False,
) -> Transport:
    r"""Optimal transport between two weighted clouds, with a checked duality gap.

    .. math:: \min_{\pi \ge 0} \sum_{ij} c_{ij} \pi_{ij}, \quad \pi 1 = a,\ \pi^T 1 = b
              \qquad = \qquad \max_{u_i + v_j \le c_{ij}} a \cdot u + b \cdot v.

    Parameters
    ----------
    x, y : array_like, shape (n, d) and (m, d), or (n,) and (m,) on the line; None with ``cost``
    x_weights, y_weights : array_like, shape (n,) and (m,), optional
        Probabilities; None means equal weights.
    ground : {"l2", "l1", "linf", "sqeuclidean"}
        Norm of ``x_i - y_j``; ``"sqeuclidean"`` is ``"l2"`` with the square as the cost, so that
        with ``p = 1`` the value is W_2 squared.
    p : float
        From 1, finite: the cost is ``distance ** p`` and the value its p-th root.
    cost : array_like, shape (n, m), optional
        Costs of any sign instead of points; ``inf`` forbids a move. Takes no ``p``.
    normalize : bool
        Divide weights that are counts by their totals.

    Returns
    -------
    Transport

    Raises
    ------
    TypeError, ValueError
        What is wrong with the arguments; masses that forbidden moves keep apart.
    OverflowError
        Distances beyond the largest float.
    NotCertified
        If no solver closes the gap; the best value found travels as ``estimate``.

    Notes
    -----
    The plan is accepted if its gap is below 1e-9 of the cost, or below 1e-13 of the largest cost it
    pays, or of the median distance: potentials are floats, and the distance of nearly equal clouds
    cannot be certified further. Large entries that the plan avoids excuse nothing. POT's
    network simplex answers first, HiGHS if that gap stays open. The gap is computed in floats; for
    a proof in rational numbers see ``exact_transport``. Memory is that of a few (n, m) matrices.
    Plug-in distances of samples are biased upward, by ``n**(-1/d)`` in more than two dimensions.

    References
    ----------
    .. [1] C. Villani, "Topics in Optimal Transportation" (2003), Theorem 1.3 and Remark 1.15.
    .. [2] N. Bonneel, M. van de Panne, S. Paris, W. Heidrich, "Displacement interpolation using
       Lagrangian mass transport", ACM Trans. Graph. 30 (2011).

    Examples
    --------
    >>> result = optimal_transport([[0, 0], [2, 0]], [[1, 0], [3, 0]])
    >>> result.value, result.plan
    (1.0, array([[0.5, 0. ],
           [0. , 0.5]]))
    >>> optimal_transport(None, None, [0.25, 0.75], [0.75, 0.25], cost=[[0, 1], [1, 0]]).value
    0.5
    """
    check_flag(normalize, "normalize")
    order = check_order(p)
    if order == math.inf:
        raise ValueError("`p` must be finite in several dimensions, got inf; use p=1 or p=2")
    if cost is not None:
        a, b, costs = _given_costs(x, y, x_weights, y_weights, cost, order, normalize)
        solution = _certified(a, b, costs, geometric=False)
        return _transport(solution, costs, 1.0, None)
    if x is None or y is None:
        raise TypeError("`x` and `y` must be clouds of points, got None; or pass `cost`")
    X, Y, a, b = as_clouds(x, y, x_weights, y_weights, normalize=normalize)
    costs = _power(ground_distances(X, Y, ground), order)
    solution = _certified(a, b, costs, geometric=True)
    kept = b > 0.0
    targets, v = Y[kept], solution.v[kept]

    def extend(z: Any) -> Floats:
        Z = as_points(z, "z", ndim=(1, 2))
        Z = Z.reshape(len(Z), -1)
        if Z.shape[1] != targets.shape[1]:
            raise ValueError(
                f"`z` must have {targets.shape[1]} coordinates per point, got {Z.shape[1]}"
            )
        return c_transform(_power(ground_distances(Z, targets, ground), order), v)

    return _transport(solution, costs, order, extend)


def _given_costs(
    x: Any, y: Any, x_weights: Any, y_weights: Any, cost: Any, order: float, normalize: bool
) -> tuple[Floats, Floats, Floats]:
    if x is not None or y is not None:
        raise TypeError("`x` and `y` must be None when `cost` is given; the costs replace them")
    if order != 1.0:
        raise ValueError(f"`p` must be 1 with `cost`, got {order:.17g}; pass `cost ** p`")
    shape = shape_of(cost)
    if len(shape) != 2:
        as_float_array(cost, "cost", ndim=2)
    n, m = shape
    a = as_weights(x_weights, "x_weights", (n,), "cost's rows", normalize=normalize)
    b = as_weights(y_weights, "y_weights", (m,), "cost's columns", normalize=normalize)
    a = np.full(n, 1.0 / n) if a is None else a
    b = np.full(m, 1.0 / m) if b is None else b
    return a, b, as_costs(cost, (n, m))


def _power(distances: Floats, order: float) -> Floats:
    if order == 1.0:
        return distances
    with np.errstate(over="ignore", under="ignore"):
        powers: Floats = distances**order
    if not np.isfinite(powers).all():
        raise OverflowError(
            f"distances to the power {order:.17g} exceed the largest float; rescale the points"
        )
    return powers


def _transport(
    solution: Solution, costs: Floats, order: float, extend: Callable[[Any], Floats] | None
) -> Transport:
    cost = solution.primal
    return Transport(
        value=cost if order == 1.0 else cost ** (1.0 / order),
        cost=cost,
        gap=solution.gap,
        plan=solution.plan,
        potentials=(solution.u, solution.v),
        costs=costs,
        solver=solution.solver,
        _extend=extend,
    )


def _certified(a: Floats, b: Floats, costs: Floats, *, geometric: bool) -> Solution:
    """The first plan whose gap closes, or a refusal."""
    tried: list[Solution] = []
    for solution in _attempts(a, b, costs):
        if solution is None or not math.isfinite(solution.primal):
            continue
        if _closes(solution, costs, geometric):
            return solution
        tried.append(solution)
    if not tried and not _allows_a_plan(a, b, costs):
        raise ValueError(
            "`cost` forbids every plan between these weights; allow more moves, or take the "
            "distance for infinite"
        )
    if not tried:
        raise NotCertified(
            "no solver found a plan between `x` and `y`; rescale the costs, or use "
            "`exact_transport`"
        )
    found = min(tried, key=lambda s: s.gap)
    raise NotCertified(
        f"the optimal cost lies between {found.dual:.17g} and {found.primal:.17g}, too far apart "
        "to be called optimal; rescale `cost`, or use `exact_transport`",
        estimate=found.primal,
    )


def _attempts(a: Floats, b: Floats, costs: Floats) -> Iterator[Solution | None]:
    """Solvers in the order of their speed; every pair of potentials is completed on ``costs``.

    Entries far beyond what a plan pays drown the others in rounding, and are lowered to something
    still dear. The gap is that of the full costs: lowering can at worst fail to close it.
    """
    first = None
    if math.isfinite(costs.max()):
        first = by_network_simplex(a, b, costs, costs)
        yield first
    allowed = np.isfinite(costs)
    most = float(np.abs(costs[allowed]).max(initial=0.0))
    dear = 16.0 * sum(costs.shape)
    lowered = costs if allowed.all() else np.where(allowed, costs, dear * (most or 1.0))
    paid = most
    if not allowed.all() and math.isfinite(lowered.max()):
        first = by_network_simplex(a, b, lowered, costs)
        yield first
    if first is not None:
        paid = float(np.abs(lowered[first.plan > 0.0]).max(initial=0.0))
    limit = dear * paid
    if lowered.max() > limit > 0.0:
        yield by_network_simplex(a, b, np.minimum(lowered, limit), costs)
        yield by_highs(a, b, np.where(costs > limit, np.inf, costs), costs)
    yield by_highs(a, b, costs, costs)


def _allows_a_plan(a: Floats, b: Floats, costs: Floats) -> bool:
    """Whether some plan avoids the forbidden moves, up to the rounding of the weights."""
    forbidden = (~np.isfinite(costs)).astype(np.float64)
    if not forbidden.any():
        return True
    crossing = by_network_simplex(a, b, forbidden, forbidden)
    return crossing is None or crossing.dual <= sum(costs.shape) * 2.0**-52


def _closes(solution: Solution, costs: Floats, geometric: bool) -> bool:
    if not math.isfinite(solution.primal) or not math.isfinite(solution.dual):
        return False
    # A dual value above the primal one is as wrong as one below it.
    difference = abs(solution.primal - solution.dual)
    if difference <= _RELATIVE * abs(solution.primal):
        return True
    scale = float(np.abs(costs[solution.plan > 0.0]).max(initial=0.0))
    if geometric:
        scale = max(scale, float(np.median(costs)))
    return difference <= _ABSOLUTE * scale
