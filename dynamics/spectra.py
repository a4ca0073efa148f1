"""Does a method converge on a game: a three-valued verdict with its reason, or a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dynamics.algebraic_signs import SquaredSingularValues
from dynamics.dense_spectra import DenseVerdict, dense_verdict, null_space_side
from dynamics.exact_linear_algebra import rank_of
from dynamics.finite_sums import FiniteSum
from dynamics.games import Bilinear
from dynamics.methods.base import Method
from dynamics.methods.stochastic import StochasticExtragradient
from dynamics.polynomials import (
    PRECISION,
    enclosure_of_ball,
    polynomial_in_square,
    radius_enclosure,
)
from dynamics.protocols import Array, Game
from dynamics.schur import jury_margins
from dynamics.sides import side_at
from evidence.enclosure import Enclosure

__all__ = ["Stability", "flow_stability", "stability"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """Whether the iterates of a method converge to an equilibrium, with the warrant.

    Attributes
    ----------
    verdict : {"stable", "marginal", "unstable", "inconclusive"}
        ``stable``: from every start the iterates converge linearly to an equilibrium. ``marginal``:
        some eigenvalue has modulus 1 exactly and none a larger one, so that iterates stay bounded
        (``multiplicity`` 1) or grow polynomially. ``unstable``: they grow exponentially from
        almost every start, or there is no equilibrium. ``inconclusive``: not decided, for the
        reason in ``certificate``; always so for a nonlinear game whose linearisation is marginal.
    radius : Enclosure
        The spectral radius of one iteration on the range of ``A`` (per cycle for schedules):
        the factor of ``|z|``, not of ``|z|^2``. For flows, of the flow for one unit of time.
    margins : tuple of Enclosure
        The margins of :func:`dynamics.schur.jury_margins` at the deciding singular value; empty
        where the verdict does not come from them.
    multiplicity : int
        For ``marginal``: the size of the largest Jordan block of an eigenvalue on the unit circle;
        iterates grow like ``k ** (multiplicity - 1)``. 0 otherwise.
    sigma : Enclosure or None
        The deciding singular value.
    nullity : int
        Directions in which the game is flat; iterates converge in them without moving towards
        anything, and the radius leaves them out.
    has_negative_steps : bool
        Whether a step size is negative: allowed, but seldom meant.
    certificate : str
        The reason, in words.

    Examples
    --------
    >>> from dynamics import GDA, Bilinear
    >>> found = stability(Bilinear(1.0), GDA(0.1, order="alternating_xy"))
    >>> found.verdict, found.multiplicity, found.is_bounded
    ('marginal', 1, True)
    """

    verdict: str
    radius: Enclosure
    margins: tuple[Enclosure, ...]
    multiplicity: int
    sigma: Enclosure | None
    nullity: int
    has_negative_steps: bool
    certificate: str

    @property
    def is_bounded(self) -> bool | None:
        """Whether iterates stay bounded; None where that is not decided."""
        if self.verdict == "inconclusive":
            return None
        return self.verdict == "stable" or (self.verdict == "marginal" and self.multiplicity == 1)


def stability(game: Game, method: Method) -> Stability:
    """Decide whether a method converges on a game.

    Parameters
    ----------
    game : Game
        A bilinear game is decided singular value by singular value; a quadratic one by its whole
        iteration matrix in rational arithmetic; a nonlinear one by its linearisation, whose
        verdict is local.
    method : Method
        Constant steps, or a :class:`Schedule`, whose cycle is then decided.

    Returns
    -------
    Stability
        Floats are taken for the rational numbers that they are. No verdict rests on computed
        eigenvalues; those only propose where to look.

    Raises
    ------
    TypeError
        Methods that are no linear iteration (multiplicative weights, anchored ones), step sizes
        given by a function, symbolic step sizes.
    ValueError
        Implicit methods at a step where their equation is singular.

    Notes
    -----
    The sign of each margin is decided in turn by balls, by rational arithmetic where the singular
    value is a float, and by greatest common divisors with the characteristic polynomial of
    ``A^T A`` where it is an irrational number (up to 30 x 30). A singular value below the accuracy
    of the decomposition is taken for zero, and the certificate says so unless the rank is exact.

    References
    ----------
    Zhang and Yu, *Convergence of gradient methods on bilinear zero-sum games*, ICLR 2020, section
    2 and Appendix B.

    Examples
    --------
    >>> from dynamics import GDA, Bilinear, Extragradient
    >>> game = Bilinear([[2.0, 0.0], [0.0, 1.0]])
    >>> stability(game, GDA(0.25)).verdict
    'unstable'
    >>> found = stability(game, Extragradient(0.25))
    >>> found.verdict, found.sigma
    ('stable', Enclosure(lower=1.0, upper=1.0, method='entry'))
    >>> 0.97026 < found.radius.lower < found.radius.upper < 0.97027
    True
    >>> print(stability(game, GDA(1.0, order="alternating_xy")).certificate)
    marginal: an eigenvalue of modulus 1, in a Jordan block of size 2, at sigma = 2 exactly (entry)
    """
    if isinstance(method, StochasticExtragradient):
        raise TypeError(
            "`method` is random, so that no spectral radius decides it; see its squared_growth"
        )
    if isinstance(game, FiniteSum):
        game = game.mean
    if isinstance(game, Bilinear) and method.is_stationary and _has_polynomial(method):
        return _PerSingularValue(game, method).decide()
    found = dense_verdict(game, method)
    return _from_dense(found, method.has_negative_steps)


def flow_stability(game: Game) -> Stability:
    """Decide whether the continuous flow ``z' = -F(z)`` converges to the equilibrium.

    Notes
    -----
    The Cayley transform ``(I - J)(I + J)^-1`` maps the right half plane to the inside of the unit
    circle and the imaginary axis to the circle, so that its verdict is that of the flow. It is the
    implicit midpoint rule.

    Examples
    --------
    >>> from dynamics import R1, Bilinear, DiracGAN
    >>> flow_stability(Bilinear(1.0)).verdict, flow_stability(DiracGAN()).verdict
    ('marginal', 'inconclusive')
    >>> flow_stability(DiracGAN(regularizer=R1(0.3))).verdict
    'stable'
    """
    from dynamics.dense_spectra import flow_verdict

    return _from_dense(flow_verdict(game), False)


def _from_dense(found: DenseVerdict, has_negative_steps: bool) -> Stability:
    return Stability(
        verdict=found.verdict,
        radius=found.radius,
        margins=(),
        multiplicity=found.multiplicity,
        sigma=None,
        nullity=found.nullity,
        has_negative_steps=has_negative_steps,
        certificate=f"{found.verdict}: {found.reason}",
    )


def _has_polynomial(method: Method) -> bool:
    return type(method)._polynomial is not Method._polynomial


class _PerSingularValue:
    """The verdict on a bilinear game, one singular value after the other."""

    def __init__(self, game: Bilinear, method: Method) -> None:
        self.game, self.method = game, method
        self.squares = SquaredSingularValues(game)
        self.polynomial = polynomial_in_square(method)
        self.margins = jury_margins(self.polynomial)

    def decide(self) -> Stability:
        if not _has_saddle_point(self.game):
            return self._result(
                "unstable", None, "there is no saddle point, since b or c is out of the range of "
                "A: the iterates drift along its null space",
            )  # fmt: skip
        sides = [side_at(self.polynomial, self.squares, j) for j in range(len(self.squares))]
        known = {"unstable": -1, "marginal": 0, "stable": 1}
        if self.game.nullity:
            flat, block = null_space_side(self.game, self.method)
            if flat != 1 and -1 not in sides:
                verdict = "unstable" if flat == -1 else "marginal"
                return self._result(
                    verdict, None, "the memory of the method does not die out in the directions "
                    "in which the game is flat", block if flat == 0 else 0,
                )  # fmt: skip
        order = self._by_radius()
        for verdict, side in known.items():
            found = [j for j in order if sides[j] == side]
            if verdict == "marginal" and None in sides:
                break
            if found:
                return self._explain(verdict, found[0])
        if None in sides:
            j = sides.index(None)
            return self._result(
                "inconclusive", j, "a margin is zero or too close to zero to be decided at sigma = "
                f"{self.squares.enclosures[j]}",
            )  # fmt: skip
        return self._result("stable", None, "A is zero: nothing moves")

    def _balls(self, j: int) -> list[Any]:
        from flint import arb_poly

        return [arb_poly(c)(self.squares.ball(j)) for c in self.polynomial]

    def _by_radius(self) -> list[int]:
        """Singular values, the one with the largest estimated radius first."""
        values = np.array([e.upper for e in self.squares.enclosures])
        self.estimates = np.array([_estimate(self.method, v) for v in values])
        return [int(j) for j in np.argsort(-self.estimates, kind="stable")]

    def _block(self, j: int) -> int:
        """The largest Jordan block on the unit circle at a marginal singular value."""
        exact = self.squares.rational(j)
        if exact is None:
            # Degree 2: a double eigenvalue on the circle is real, and the matrix is no multiple
            # of the identity because the players are coupled.
            ends = [self.squares.sign(m, j) for m in self.margins[2:4]]
            return 2 if 0 in ends else 1
        from dynamics.dense_spectra import largest_block

        return largest_block(Bilinear(self.squares.enclosures[j].lower), self.method)

    def _explain(self, verdict: str, j: int) -> Stability:
        at = f"at sigma = {self.squares.enclosures[j]}"
        if verdict == "marginal":
            block = self._block(j)
            text = f"an eigenvalue of modulus 1, in a Jordan block of size {block}, {at}"
            return self._result(verdict, j, text, block)
        words = {
            "stable": "every margin is positive at every singular value; the slowest decay is ",
            "unstable": "an eigenvalue lies outside the unit circle ",
        }
        return self._result(verdict, j, words[verdict] + at)

    def _result(self, verdict: str, j: int | None, reason: str, multiplicity: int = 0) -> Stability:
        from flint import arb_poly, ctx

        game = self.game
        margins: tuple[Enclosure, ...] = ()
        if len(game.singular_values) and not game.nullity_is_exact:
            reason += (
                f"; singular values up to {game.singular_system.threshold:.2g} are taken for zero"
            )
        if j is not None:
            with ctx.workprec(PRECISION):
                margins = tuple(
                    enclosure_of_ball(arb_poly(m)(self.squares.ball(j)), "ball")
                    for m in self.margins
                )
        return Stability(
            verdict=verdict,
            radius=self._radius(is_one=verdict == "marginal" and j is not None),
            margins=margins,
            multiplicity=multiplicity,
            sigma=None if j is None else self.squares.enclosures[j],
            nullity=game.nullity,
            has_negative_steps=self.method.has_negative_steps,
            certificate=f"{verdict}: {reason}",
        )

    def _radius(self, *, is_one: bool) -> Enclosure:
        from flint import ctx

        if not len(self.squares):
            return Enclosure.exact(1.0, "nothing moves")
        if is_one:
            return Enclosure.exact(1.0, "margins")
        with ctx.workprec(PRECISION):
            balls = [self._balls(j) for j in range(len(self.squares))]
        estimates = [_estimate(self.method, e.upper) for e in self.squares.enclosures]
        return radius_enclosure(balls, max(estimates))


def _estimate(method: Method, sigma: float) -> float:
    return float(np.max(np.abs(np.roots(method.characteristic_polynomial(sigma))), initial=0.0))


def _has_saddle_point(game: Bilinear) -> bool:
    """Whether ``b`` and ``c`` lie in the range of the float matrices, in rational arithmetic."""
    if not game.b.any() and not game.c.any():
        return True
    if max(game.dimensions) > 100 or not game.nullity_is_exact:
        return game.equilibrium is not None
    return _extends(game.A, game.b) and _extends(game.A.T, game.c)


def _extends(matrix: Array, column: Array) -> bool:
    return not column.any() or rank_of(np.column_stack([matrix, column])) == rank_of(matrix)
