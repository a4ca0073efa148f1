"""On which side of the unit circle the roots are, for one method at one singular value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynamics.algebraic_signs import SquaredSingularValues
from dynamics.schur import jury_margins
from dynamics.unit_circle import circle_verdict

__all__ = ["rational_side", "side_at"]


def rational_side(coefficients: Sequence[Any]) -> int | None:
    """1 inside, 0 some on the circle, -1 some outside, for rational coefficients.

    Parameters
    ----------
    coefficients : sequence of int or flint.fmpq
        Leading coefficient first, degree 1 to 4.

    Returns
    -------
    int or None
        None if the leading coefficient is 0: an implicit equation is singular then.

    Examples
    --------
    >>> rational_side([1, -1, 1]), rational_side([1, 4, 4, 1]), rational_side([0, 1, 1])
    (0, -1, None)
    """
    if coefficients[0] == 0:
        return None
    if coefficients[0] < 0:
        coefficients = [-c for c in coefficients]
    smallest = min(jury_margins(coefficients))
    if smallest != 0:
        return 1 if smallest > 0 else -1
    # In degree 2 the closed inequalities describe the closed disk.
    return 0 if len(coefficients) <= 3 else circle_verdict(coefficients).side


def side_at(polynomial: Sequence[Any], squares: SquaredSingularValues, j: int) -> int | None:
    """The same at the ``j``-th squared singular value, for coefficients in ``Q[s]``.

    Returns
    -------
    int or None
        None where the sign of a margin could not be decided.

    Raises
    ------
    ValueError
        If the leading coefficient vanishes there.

    Examples
    --------
    >>> from dynamics import GDA, Bilinear
    >>> from dynamics.polynomials import polynomial_in_square
    >>> root_two = SquaredSingularValues(Bilinear([[1.0, 1.0], [1.0, -1.0]]))
    >>> side_at(polynomial_in_square(GDA((1, 2), order="alternating_xy")), root_two, 0)
    0
    """
    exact = squares.rational(j)
    if exact is not None:
        side = rational_side([c(exact) for c in polynomial])
        if side is None:
            raise ValueError(singular_at(squares, j))
        return side
    leading = squares.sign(polynomial[0], j)
    if leading == 0:
        raise ValueError(singular_at(squares, j))
    if leading is None:
        return None
    signs = [squares.sign(m, j) for m in jury_margins([leading * c for c in polynomial])]
    if -1 in signs:
        return -1
    if None in signs:
        return None
    if 0 not in signs:
        return 1
    return 0 if len(polynomial) <= 3 else None


def singular_at(squares: SquaredSingularValues, j: int) -> str:
    """The sentence about an implicit equation without a solution."""
    return (
        "`step_size` makes the implicit equation singular at sigma = "
        f"{squares.enclosures[j]}; use another step size"
    )
