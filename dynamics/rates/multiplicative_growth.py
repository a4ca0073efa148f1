"""Multiplicative weights move away from an interior equilibrium: Bailey and Piliouras."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dynamics.matrix_games import MatrixGame
from dynamics.methods import MultiplicativeWeights
from dynamics.polynomials import enclosure_of_ball
from dynamics.protocols import Array, start_state
from dynamics.rates.results import Rate
from evidence.enclosure import Enclosure
from evidence.validation import positive_float, positive_int

__all__ = ["divergence_growth"]

BITS = 512


def divergence_growth(game: MatrixGame, step_size: float, start: ArrayLike, steps: int) -> Rate:
    """Simultaneous multiplicative weights: the divergence from the equilibrium never falls.

    Parameters
    ----------
    game : MatrixGame
        With an equilibrium inside both simplices whose entries are fractions with denominators up
        to 1000, checked exactly.
    step_size : float
        ``eta``, positive.
    start : array_like, shape (m + n,)
        Both strategies, strictly inside the simplices.
    steps : int
        How many.

    Returns
    -------
    Rate
        ``computed``: the least increase of ``KL(x* || x) + KL(y* || y)`` in one step, in balls of
        512 bits; the theorem says more than 0 away from the equilibrium. Kind ``lower``.

    Raises
    ------
    ValueError
        No interior equilibrium of that kind, starts on the boundary.

    Notes
    -----
    One step changes the divergence by ``log sum_i x_i e^(-eta u_i) + eta x*.u`` and the same for
    the other player with ``-v``, where ``x*.u = y*.v`` is the value of the game at each other's
    strategies; by Jensen's inequality the sum is at least 0.

    References
    ----------
    Bailey and Piliouras, *Multiplicative weights update in zero-sum games*, EC 2018, Theorem 3.1.

    Examples
    --------
    >>> pennies = MatrixGame([[1.0, -1.0], [-1.0, 1.0]])
    >>> found = divergence_growth(pennies, 0.1, [0.6, 0.4, 0.5, 0.5], 100)
    >>> found.computed.lower > 0.0, found.is_consistent
    (True, True)
    """
    from flint import arb, ctx

    eta = positive_float(step_size, "step_size")
    count = positive_int(steps, "steps")
    z = start_state(game, start)
    m = game.dimensions[0]
    if z.ndim != 1 or not (z > 0.0).all():
        raise ValueError("`start` must be one pair of strategies with positive entries")
    rest = _interior_equilibrium(game)
    with ctx.workprec(BITS):
        A = [[arb(v) for v in row] for row in game.A.tolist()]
        target = [arb(f.numerator) / f.denominator for f in rest]
        weights = [arb(v).log() for v in z.tolist()]
        before = _divergence(target, weights, m)
        rises = []
        for _ in range(count):
            x, y = _normalised(weights[:m]), _normalised(weights[m:])
            u = [_dot(row, y) for row in A]
            v = [_dot(column, x) for column in zip(*A, strict=True)]
            weights = [w - eta * c for w, c in zip(weights[:m], u, strict=True)] + [
                w + eta * c for w, c in zip(weights[m:], v, strict=True)
            ]
            after = _divergence(target, weights, m)
            rises.append(enclosure_of_ball(after - before, "balls"))
            before = after
    least = Enclosure(min(r.lower for r in rises), min(r.upper for r in rises), "balls")
    return Rate(
        computed=least,
        theoretical=Enclosure.exact(0.0, "theorem"),
        kind="lower",
        method=MultiplicativeWeights(eta, order="simultaneous"),
        quantity="least increase of the divergence in one step",
        theorem="Bailey and Piliouras, EC 2018, Theorem 3.1",
    )


def _dot(a: Any, b: Any) -> Any:
    return sum((s * t for s, t in zip(a, b, strict=True)), 0)


def _normalised(logs: list[Any]) -> list[Any]:
    masses = [w.exp() for w in logs]
    total = sum(masses)
    return [p / total for p in masses]


def _divergence(target: list[Any], weights: list[Any], m: int) -> Any:
    """``sum t log t - sum t (w - log sum e^w)`` over both players."""
    total = _dot(target, [t.log() for t in target]) - _dot(target, weights)
    for part in (weights[:m], weights[m:]):
        total = total + sum(w.exp() for w in part).log()
    return total


def _interior_equilibrium(game: MatrixGame) -> list[Fraction]:
    found: Array | None = game.equilibrium
    m = game.dimensions[0]
    if found is not None:
        guess = [Fraction(float(v)).limit_denominator(1000) for v in found]
        A = [[Fraction(v) for v in row] for row in game.A.tolist()]
        costs = [_dot(row, guess[m:]) for row in A]
        gains = [_dot(column, guess[:m]) for column in zip(*A, strict=True)]
        sums = (sum(guess[:m]), sum(guess[m:]))
        if min(guess) > 0 and sums == (1, 1) and len(set(costs)) == len(set(gains)) == 1:
            return guess
    raise ValueError(
        "`game` has no equilibrium inside both simplices with fractions up to /1000; the theorem "
        f"is on interior equilibria, found {np.round(found, 4) if found is not None else None}"
    )
