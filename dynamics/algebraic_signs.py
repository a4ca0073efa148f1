"""Signs of rational polynomials at squared singular values, exact also where they are irrational.

A singular value is known as a float enclosure. Where that is not enough to tell the sign of a
polynomial, the squared singular value is what it is: a root of the characteristic polynomial of
``A^T A``, which is rational. Whether another polynomial vanishes there is a question of greatest
common divisors.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dynamics.exact_linear_algebra import as_flint_matrix
from dynamics.games import Bilinear
from evidence.enclosure import Enclosure

__all__ = ["SquaredSingularValues"]

_LARGEST = 30
_PRECISIONS = (128, 512, 2048)


class SquaredSingularValues:
    """The squares ``s_j`` of a game's nonzero singular values, as far as they can be known.

    Examples
    --------
    >>> from flint import fmpq_poly
    >>> squares = SquaredSingularValues(Bilinear([[1.0, 1.0], [0.0, 1.0]]))
    >>> squares.sign(fmpq_poly([1, -3, 1]), 0)  # s_1 is a root of s^2 - 3 s + 1
    0
    >>> squares.sign(fmpq_poly([-2, 1]), 0)
    1
    """

    def __init__(self, game: Bilinear) -> None:
        self.matrix = game.A
        self.enclosures: tuple[Enclosure, ...] = game.singular_value_enclosures()
        self._roots: list[Any] | None = None
        self._minimal: Any = None

    def __len__(self) -> int:
        return len(self.enclosures)

    def rational(self, j: int) -> Any:
        """``s_j`` as a ``flint.fmpq`` if the singular value is known exactly, else None."""
        from flint import fmpq

        e = self.enclosures[j]
        if e.lower != e.upper:
            return None
        square = Fraction(e.lower) ** 2
        return fmpq(square.numerator, square.denominator)

    def ball(self, j: int) -> Any:
        """``s_j`` as a ``flint.arb``."""
        from flint import arb

        exact, e = self.rational(j), self.enclosures[j]
        if exact is not None:
            return arb(exact)
        sigma = arb(e.lower).union(arb(e.upper))
        return sigma * sigma

    def sign(self, polynomial: Any, j: int) -> int | None:
        """The sign of a rational polynomial (``flint.fmpq_poly``) at ``s_j``; None if unknown."""
        from flint import arb_poly, ctx

        exact = self.rational(j)
        if polynomial.degree() <= 0:
            exact = 0
        if exact is not None:
            value = polynomial(exact)
            return int(value > 0) - int(value < 0)
        with ctx.workprec(_PRECISIONS[0]):
            value = arb_poly(polynomial)(self.ball(j))
            if value > 0 or value < 0:
                return 1 if value > 0 else -1
        return self._algebraic_sign(polynomial, j)

    def _algebraic_sign(self, polynomial: Any, j: int) -> int | None:
        from flint import arb_poly, ctx

        if min(self.matrix.shape) > _LARGEST:
            return None
        for bits in _PRECISIONS:
            with ctx.workprec(bits):
                root = self._isolated_root(j)
                if root is None:
                    return None
                common = polynomial.gcd(self._minimal)
                if common.degree() > 0:
                    # At most one root of the divisor, a simple one, lies in the isolating ball.
                    ends = [arb_poly(common)(end) for end in (root.lower(), root.upper())]
                    if 0 in ends or _opposite(*ends):
                        return 0
                value = arb_poly(polynomial)(root)
                if value > 0 or value < 0:
                    return 1 if value > 0 else -1
        return None

    def _isolated_root(self, j: int) -> Any:
        """A ball with ``s_j`` and no other root of the characteristic polynomial of ``A^T A``."""
        if self._minimal is None:
            A = as_flint_matrix(self.matrix)
            wide = A.nrows() <= A.ncols()
            gram = A * A.transpose() if wide else A.transpose() * A
            characteristic = gram.charpoly()
            self._minimal = characteristic // characteristic.gcd(characteristic.derivative())
        near = self.ball(j)
        roots = [r.real for r, _ in self._minimal.numer().complex_roots()]
        found = [r for r in roots if r.overlaps(near)]
        return found[0] if len(found) == 1 else None


def _opposite(a: Any, b: Any) -> bool:
    return bool((a > 0 and b < 0) or (a < 0 and b > 0))
