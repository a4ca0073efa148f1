"""Verdicts by the whole iteration matrix: quadratic games, cycles of steps, linearisations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dynamics.exact_linear_algebra import as_flint_matrix, rank_of
from dynamics.games import Bilinear
from dynamics.methods.base import Method
from dynamics.methods.implicit import ImplicitMidpoint
from dynamics.polynomials import PRECISION, enclosure_of_ball, radius_enclosure
from dynamics.protocols import Array, Game
from dynamics.schur import jury_margins, schur_cohn
from dynamics.unit_circle import circle_verdict
from evidence.enclosure import Enclosure

__all__ = ["DenseVerdict", "dense_verdict", "flow_verdict", "largest_block", "null_space_side"]

_LARGEST = 120
_LINEARISATION_ERROR = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseVerdict:
    """What the whole iteration matrix says.

    Examples
    --------
    >>> from dynamics import GDA, Quadratic
    >>> dense_verdict(Quadratic(1.0, 10.0, 1.0), GDA(0.01)).verdict
    'stable'
    """

    verdict: str
    radius: Enclosure
    multiplicity: int
    nullity: int
    reason: str


def dense_verdict(game: Game, method: Method) -> DenseVerdict:
    """The verdict by the characteristic polynomial of the iteration (or of one cycle).

    Raises
    ------
    TypeError
        If no matrix describes the iteration.
    ValueError
        If the state has more than 120 numbers.

    Examples
    --------
    >>> from dynamics import GDA, Quadratic
    >>> dense_verdict(Quadratic(1.0, 10.0, 1.0), GDA(2 / 101)).verdict  # the float, not 2/101
    'unstable'
    """
    size = sum(game.dimensions) * (1 + method.memory)
    if size > _LARGEST:
        raise ValueError(
            f"`game` and `method` have a state of {size} numbers, more than {_LARGEST}; verdicts "
            "on larger games exist for Bilinear with constant steps only"
        )
    if game.is_linear:
        exact = game.rational() if hasattr(game, "rational") else game
        return _rational_verdict(method.monodromy_matrix(exact), exact)
    if not getattr(game, "is_smooth_at_equilibrium", True):
        return _inconclusive("the field is not differentiable at the equilibrium")
    if game.equilibrium is None:
        return _inconclusive("no equilibrium of the game is known")
    return _local_verdict(method.monodromy_matrix(game))


def flow_verdict(game: Game) -> DenseVerdict:
    """The verdict on ``z' = -F(z)`` by the Cayley transform of the Jacobian.

    Examples
    --------
    >>> from dynamics import Quadratic
    >>> flow_verdict(Quadratic(0.0, 1.0, 0.5)).verdict
    'stable'
    """
    step = 2
    while True:
        try:
            found = dense_verdict(game, ImplicitMidpoint(step))
            break
        except ValueError as error:  # an eigenvalue of the Jacobian at -2 / step
            if "singular" not in str(error) or step > 64:
                raise
            step += 1
    return DenseVerdict(
        verdict=found.verdict,
        radius=_flow_radius(game) if np.isfinite(found.radius.upper) else found.radius,
        multiplicity=found.multiplicity,
        nullity=found.nullity,
        reason=found.reason + " (of the Cayley transform of the flow)",
    )


def null_space_side(game: Bilinear, method: Method) -> tuple[int, int]:
    """Where the method's own eigenvalues lie in the game's flat directions, and the Jordan block.

    Besides the eigenvalue 1 of staying put: 1 all inside, 0 some on the circle, -1 some outside.

    Examples
    --------
    >>> from dynamics import HeavyBall
    >>> flat = Bilinear([[1.0, 0.0]])
    >>> null_space_side(flat, HeavyBall(1.0, -0.5)), null_space_side(flat, HeavyBall(1.0, 2.0))
    ((1, 0), (-1, 0))
    """
    from flint import fmpq_poly

    matrix = method.iteration_matrix(Bilinear(0.0).rational())
    rank, (m, n) = len(game.singular_values), game.dimensions
    side, block = 1, 0
    for player, flat in enumerate((m - rank, n - rank)):
        if flat:
            own = as_flint_matrix(matrix[player::2, player::2])
            polynomial = own.charpoly()
            found = circle_verdict((polynomial // fmpq_poly([-1, 1])).coeffs()[::-1])
            side = min(side, found.side)
            if found.side == 0:
                block = max(block, circle_verdict(own.minpoly().coeffs()[::-1]).multiplicity)
    return side, block


def largest_block(game: Game, method: Method) -> int:
    """The size of the largest Jordan block of an eigenvalue on the unit circle, exactly.

    Examples
    --------
    >>> from dynamics import GDA
    >>> largest_block(Bilinear(1.0), GDA(2.0, order="alternating_xy"))
    2
    """
    matrix = as_flint_matrix(method.monodromy_matrix(game.rational()))  # type: ignore[attr-defined]
    return circle_verdict(matrix.minpoly().coeffs()[::-1]).multiplicity


def _rational_verdict(matrix: Array, game: Game) -> DenseVerdict:
    from flint import arb, ctx, fmpq_poly

    M = as_flint_matrix(matrix)
    polynomial = M.charpoly()
    size = sum(game.dimensions)
    J, q = np.asarray(game.jacobian(np.zeros(size))), game.field(np.zeros(size, dtype=int))
    nullity = size - rank_of(J)
    staying = fmpq_poly([-1, 1])
    for _ in range(nullity):  # a fixed direction is an equilibrium, not a lack of convergence
        polynomial = polynomial // staying
    if rank_of(np.column_stack([J, q])) > size - nullity:
        return DenseVerdict(
            verdict="unstable",
            radius=Enclosure(0.0, np.inf, "unknown"),
            multiplicity=0,
            nullity=nullity,
            reason="there is no equilibrium: the iterates drift",
        )
    coefficients = polynomial.coeffs()[::-1]
    found = circle_verdict(coefficients) if len(coefficients) > 1 else None
    if found is None:
        return DenseVerdict(
            verdict="stable",
            radius=Enclosure.exact(0.0, "nothing moves"),
            multiplicity=0,
            nullity=nullity,
            reason="nothing moves",
        )
    with ctx.workprec(PRECISION + 64 * len(coefficients)):
        balls = [arb(c) for c in coefficients]
    if found.side == 0:
        minimal = M.minpoly()
        block = circle_verdict(minimal.coeffs()[::-1]).multiplicity
        return DenseVerdict(
            verdict="marginal",
            radius=Enclosure.exact(1.0, "rational characteristic polynomial"),
            multiplicity=block,
            nullity=nullity,
            reason=f"an eigenvalue of modulus 1, in a Jordan block of size {block}, by the "
            "rational characteristic polynomial",
        )
    estimate = _estimate(matrix.astype(np.float64), nullity)
    return DenseVerdict(
        verdict="stable" if found.side == 1 else "unstable",
        radius=radius_enclosure([balls], estimate),
        multiplicity=0,
        nullity=nullity,
        reason=(
            "all eigenvalues lie inside the unit circle, by the Schur-Cohn recursion in rationals"
            if found.side == 1
            else "an eigenvalue lies outside the unit circle, by the rational characteristic "
            "polynomial"
        ),
    )


def _local_verdict(matrix: Array) -> DenseVerdict:
    """All matrices within the error of a computed linearisation must agree."""
    from flint import arb, arb_mat, ctx

    size = len(matrix)
    radius = _LINEARISATION_ERROR * (1.0 + float(np.abs(matrix).max()))
    with ctx.workprec(PRECISION):
        balls = arb_mat(size, size, [arb(v, radius) for v in matrix.ravel().tolist()])
        coefficients = balls.charpoly().coeffs()[::-1]
        side = _side_of_balls(coefficients)
        enclosure = radius_enclosure([coefficients], _estimate(matrix, 0))
    if side == 0:
        found = _inconclusive(
            "the linearisation has an eigenvalue of modulus 1 as far as can be told; then it does "
            "not decide what the nonlinear game does"
        )
        return DenseVerdict(
            verdict="inconclusive",
            radius=enclosure,
            multiplicity=0,
            nullity=0,
            reason=found.reason,
        )
    return DenseVerdict(
        verdict="stable" if side == 1 else "unstable",
        radius=enclosure,
        multiplicity=0,
        nullity=0,
        reason=f"near the equilibrium: every matrix within {radius:.1g} of the computed "
        f"linearisation has {'all eigenvalues inside' if side == 1 else 'an eigenvalue outside'} "
        "the unit circle",
    )


def _side_of_balls(coefficients: list[Any]) -> int:
    """As :func:`schur_cohn`; small degrees by margins, in which balls grow less."""
    if not 2 <= len(coefficients) <= 5:
        return schur_cohn(coefficients)
    margins = jury_margins(coefficients)
    if any(m < 0 for m in margins):
        return -1
    return 1 if all(m > 0 for m in margins) else 0


def _inconclusive(reason: str) -> DenseVerdict:
    return DenseVerdict(
        verdict="inconclusive",
        radius=Enclosure(0.0, np.inf, "unknown"),
        multiplicity=0,
        nullity=0,
        reason=reason,
    )


def _estimate(matrix: Array, nullity: int) -> float:
    """The spectral radius in floats, the eigenvalue 1 of fixed directions left out."""
    moduli = np.abs(np.linalg.eigvals(matrix))
    if nullity:
        nearest = np.argsort(np.abs(np.linalg.eigvals(matrix) - 1.0))[:nullity]
        moduli = np.delete(moduli, nearest)
    return float(moduli.max(initial=0.0))


def _flow_radius(game: Game) -> Enclosure:
    """The spectral radius of the flow for one unit of time, ``exp(-min Re)`` of the Jacobian."""
    from flint import acb_mat, arb, ctx

    J = np.array(game.jacobian(game.equilibrium), dtype=np.float64)  # type: ignore[arg-type]
    size = len(J)
    with ctx.workprec(PRECISION):
        entries = [arb(v, 0.0 if game.is_linear else 1e-14 * (1 + abs(v))) for v in J.ravel()]
        try:
            eigenvalues = acb_mat(size, size, entries).eig(multiple=True)
        except (ValueError, ZeroDivisionError):
            return Enclosure(0.0, np.inf, "unknown")
        growth = [(-value.real).exp() for value in eigenvalues]
        ends = [enclosure_of_ball(g, "ball") for g in growth]
    return ends[0].maximum(*ends[1:])
