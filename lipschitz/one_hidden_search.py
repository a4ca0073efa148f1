"""The largest ``||M^T s||_2`` over signs, by branch and bound with a proved bound at every node.

For any ``y`` let ``D = diag(y) - M M^T``, and ``U`` be upper triangular with ``U U^T`` close to
``D``. Then, for all signs,

    ||M^T s||^2 = sum y - s^T D s  <=  sum y + e - ||U^T s||^2,    e = sum_ij |D - U U^T|_ij,

and ``(U^T s)_j`` depends on ``s_0, ..., s_j`` only. So every prefix of signs has the bound ``sum y
+ e`` minus the squares it has collected, and a branch ends when that is below what is attained: the
sphere decoder of digital communication, with a semidefinite relaxation as its start. The proof
needs no definiteness and no optimality, just the residual ``e`` of the one factorisation and the
rounding of the sums; a node costs one dot product with signs.

References
----------
Fincke and Pohst, *Improved methods for calculating vectors of short length in a lattice*, Math.
Comp. 44 (1985), for the search; Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed.,
section 3.5, for the residual.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence.rounding import (
    TINY,
    UNIT_ROUNDOFF,
    add_up,
    gamma,
    mul_up,
    norm_upper,
    sqrt_up,
    sub_up,
    sum_up,
)
from lipschitz.layers.contract import Array

__all__ = ["SignSearch", "longest_sum"]

_BATCH = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignSearch:
    """What a search over signs found and proved.

    Parameters
    ----------
    signs : array, shape (n,)
        The best found, with first entry 1.
    square_upper : float
        No signs have a larger ``||M^T s||^2``.
    nodes : int
        Prefixes whose bound was evaluated.
    is_complete : bool
        Whether ``square_upper`` is within the tolerance of what the signs attain.

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    >>> found = longest_sum(rows, np.array([5.0, 5.0, 13.0]), np.ones(3), rtol=1e-9, deadline=1e9)
    >>> found.signs, 20.0 <= found.square_upper < 20.0000001, found.is_complete
    (array([1., 1., 1.]), True, True)
    """

    signs: Array
    square_upper: float
    nodes: int
    is_complete: bool


def longest_sum(
    rows: Array, weights: Array, start: Array, *, rtol: float, deadline: float
) -> SignSearch:
    """Search all signs.

    Parameters
    ----------
    rows : array, shape (n, d)
        ``M``; the floats are taken as exact.
    weights : array, shape (n,)
        ``y``; positive, anything, best from `lipschitz.one_hidden_relaxation`.
    start : array, shape (n,)
        Signs to begin with.
    rtol : float
        Relative width of the square that counts as complete; not less than what rounding leaves
        of it.
    deadline : float
        In the time of `time.perf_counter`.
    """
    factor, total, order = _factorised(rows, weights)
    n = len(rows)
    rtol = max(rtol, 4.0 * gamma(n + rows.shape[1]))
    best = start[order] * start[order[0]]
    best_square = _square(rows, best, order)
    # Two roundings a sign, and the growth of the sum of squares: relative errors below `loss`.
    loss = gamma(2 * n + 8)
    slack = [mul_up(gamma(n + 2), sum_up(np.abs(factor[:, j]))) for j in range(n)]
    first = np.array([[1]], np.int8)
    cost = _increment(factor[:1, 0], slack[0])
    stack: list[tuple[NDArray[np.int8], Array]] = [(first, cost)]
    nodes = 0

    def budget() -> float:
        """Costs from here on prove that nothing better lies below."""
        reach = sub_up(total, best_square * (1.0 + rtol))
        return mul_up(max(reach, 0.0), 1.0 + 2.0 * loss)

    while stack:
        prefixes, costs = stack.pop()
        keep = costs < budget()
        prefixes, costs = prefixes[keep], costs[keep]
        if len(prefixes) == 0:
            continue
        if time.perf_counter() > deadline:
            stack.append((prefixes, costs))
            break
        if len(prefixes) > _BATCH:
            stack.append((prefixes[:-_BATCH], costs[:-_BATCH]))
            prefixes, costs = prefixes[-_BATCH:], costs[-_BATCH:]
        k = prefixes.shape[1]
        if k == n:
            squares = np.array([_square(rows, p, order) for p in prefixes])
            winner = int(squares.argmax())
            if squares[winner] > best_square:
                best, best_square = prefixes[winner].astype(np.float64), float(squares[winner])
            continue
        sums = prefixes.astype(np.float64) @ factor[:k, k]
        children, grown = [], []
        for sign in (1, -1):
            children.append(np.hstack([prefixes, np.full((len(prefixes), 1), sign, np.int8)]))
            grown.append(costs + _increment(sums + sign * float(factor[k, k]), slack[k]))
        nodes += 2 * len(prefixes)
        together, price = np.concatenate(children), np.concatenate(grown)
        keep = price < budget()
        together, price = together[keep], price[keep]
        worst_first = np.argsort(-price)
        stack.append((together[worst_first], price[worst_first]))
    open_costs = [float(costs.min()) for _, costs in stack if len(costs)]
    # What was cut off is below the first, the leaves are below the second.
    upper = max(mul_up(best_square, 1.0 + rtol), _square_upper(best_square, rows))
    if open_costs:
        upper = max(upper, sub_up(total, min(open_costs) * (1.0 - 2.0 * loss)))
    signs = np.empty(n)
    signs[order] = best
    return SignSearch(
        signs=signs * signs[0],
        square_upper=min(upper, total),
        nodes=nodes,
        is_complete=not open_costs,
    )


def _increment(sums: Array, slack: float) -> Array:
    """Squares of what ``|(U^T s)_j|`` is at least, up to the rounding of the square."""
    return np.asarray(np.maximum(np.abs(sums) - slack, 0.0) ** 2)


def _square(rows: Array, signs: Array, order: NDArray[np.intp]) -> float:
    image = signs.astype(np.float64) @ rows[order]
    return float(image @ image)


def _square_upper(square: float, rows: Array) -> float:
    """At least ``||M^T s||^2`` for all signs of which `_square` makes this number, or less.

    An entry of ``M^T s`` is off by ``gamma(n)`` of the moduli it adds, however small it comes out;
    the squares are off by ``gamma(d)`` of their sum, and by underflow.
    """
    n, d = rows.shape
    if not rows.any():
        return 0.0
    off = mul_up(gamma(2 * n), norm_upper(np.abs(rows).sum(axis=0)))
    seen = sqrt_up(add_up(mul_up(square, 1.0 + 2.0 * gamma(d + 2)), TINY))
    length = add_up(seen, off)
    return mul_up(length, length)


def _factorised(rows: Array, weights: Array) -> tuple[Array, float, NDArray[np.intp]]:
    """``U``, an upper bound of ``sum y + e``, and the order of the signs: first the first."""
    gram = rows @ rows.T
    order = _order(gram)
    rows, y = rows[order], weights[order]
    gram = gram[np.ix_(order, order)]
    gram = np.tril(gram, -1) + np.tril(gram, -1).T + np.diag(np.diag(gram))
    shift = 1e-13 * float(np.abs(gram).max(initial=TINY))
    for _ in range(60):
        try:
            lower = np.linalg.cholesky((np.diag(y) - gram)[::-1, ::-1])
            break
        except np.linalg.LinAlgError:
            y, shift = y + shift, 4.0 * shift
    else:
        lower = np.zeros_like(gram)
    factor = np.ascontiguousarray(lower[::-1, ::-1])
    n, d = rows.shape
    residual = np.diag(y) - gram - factor @ factor.T
    sizes = np.abs(factor) @ np.abs(factor).T + np.abs(rows) @ np.abs(rows).T + np.diag(np.abs(y))
    # Each product is off by gamma of its length times its magnitudes, the two differences by a few
    # units of what they subtract; four times the sum of all covers these bounds' own rounding.
    bound = sum_up(np.abs(residual))
    error = mul_up(4.0 * gamma(n + d + 8), sum_up(sizes))
    tiny = mul_up(float(n) * n * (n + d), TINY)
    extra = add_up(mul_up(bound, 1.0 + 8.0 * UNIT_ROUNDOFF), add_up(error, tiny))
    return factor, add_up(sum_up(y), extra), order


def _order(gram: Array) -> NDArray[np.intp]:
    """The first sign first; then those that interact most."""
    weight = np.abs(gram).sum(axis=1)
    rest = 1 + np.argsort(-weight[1:], kind="stable")
    return np.concatenate([[0], rest]).astype(np.intp)
