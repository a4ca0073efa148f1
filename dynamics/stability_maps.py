"""Which step sizes converge: a verdict for every cell of a grid, none of them a guess."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamics.algebraic_signs import SquaredSingularValues
from dynamics.closed_disk import sides_of_integers
from dynamics.games import Bilinear
from dynamics.grid_margins import margin_error, smallest_margin
from dynamics.majorants import Majorant
from dynamics.methods.base import Method
from dynamics.polynomials import polynomial_in_square, with_numbers
from dynamics.rational_columns import RationalColumn, over_one_denominator
from dynamics.sides import side_at
from evidence.enclosure import Enclosure
from evidence.validation import as_float_array

__all__ = ["RegionMap", "stability_region"]

_MAY_BE_ZERO = ("correction", "momentum", "strength")
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionMap:
    """A verdict for every cell of a grid of parameters.

    Attributes
    ----------
    verdicts : array of int8
        ``STABLE``, ``MARGINAL``, ``UNSTABLE`` or ``INCONCLUSIVE`` for each cell.
    parameters : dict of arrays
        The values of each varied parameter, broadcastable to the grid.
    sigmas : tuple of Enclosure
        The singular values that all had to converge; the verdict of a cell is the worst of theirs.
    decided_exactly : int
        Cells (times singular values) that floating point left open and exact arithmetic decided.

    Examples
    --------
    >>> import numpy as np
    >>> from dynamics import GDA
    >>> grid = stability_region(
    ...     GDA(1.0, order="alternating_xy"),
    ...     {"step_size_x": np.array([1.0, 2.0]), "step_size_y": np.array([1.0, 2.0, 3.0])},
    ... )
    >>> grid.verdicts
    array([[ 0,  0,  0],
           [ 0,  0, -1]], dtype=int8)
    >>> grid.share(RegionMap.STABLE), grid.decided_exactly
    (0.0, 1)
    """

    STABLE: ClassVar[int] = 1
    MARGINAL: ClassVar[int] = 0
    UNSTABLE: ClassVar[int] = -1
    INCONCLUSIVE: ClassVar[int] = 2

    verdicts: NDArray[np.int8]
    parameters: dict[str, Array]
    sigmas: tuple[Enclosure, ...]
    decided_exactly: int

    def share(self, verdict: int) -> float:
        """The share of cells with this verdict."""
        return float(np.count_nonzero(self.verdicts == verdict) / self.verdicts.size)


def stability_region(
    method: Method, parameters: Mapping[str, ArrayLike], *, sigma: Any = 1.0
) -> RegionMap:
    """The stability of a method on bilinear games, over a grid of its parameters.

    Parameters
    ----------
    method : Method
        With constant steps and a characteristic polynomial; gives the parameters that do not vary.
    parameters : mapping from names to arrays
        Fields of the method, such as ``step_size`` and ``momentum``, or one player's number,
        ``step_size_x``. Two one-dimensional arrays span rows and columns; other arrays are
        broadcast against each other.
    sigma : float, array_like of float, or Bilinear
        The singular values: exactly these floats, or those of a game, which are enclosed.

    Returns
    -------
    RegionMap
        Verdicts about exactly these floats.

    Raises
    ------
    ValueError, TypeError
        Unknown names, zero step sizes, entries that are not finite, symbolic methods.

    Notes
    -----
    The margins of :func:`jury_margins` are evaluated in floating point, with one bound of their
    rounding errors for the whole grid (:class:`Majorant`). Cells whose smallest margin is below it
    are decided without rounding: all at once in integers, or, at a singular value that is no float,
    one by one through the characteristic polynomial of ``A^T A``. They are few unless the method is
    marginal by construction, which is seen in its coefficients.

    References
    ----------
    Zhang and Yu, ICLR 2020, Figure 2.

    Examples
    --------
    >>> import numpy as np
    >>> from dynamics import HeavyBall
    >>> found = stability_region(
    ...     HeavyBall(1.0, 0.0, order="alternating_xy"),
    ...     {"step_size": 0.01 * np.arange(1, 201), "momentum": np.linspace(-1.0, 1.5, 200)},
    ... )
    >>> found.verdicts.shape, round(found.share(RegionMap.STABLE), 5)
    ((200, 200), 0.1975)
    """
    if not method.is_stationary or type(method)._polynomial is Method._polynomial:
        raise TypeError(
            f"`method` must have constant steps and a characteristic polynomial, got {method}"
        )
    values = _grid_values(method, parameters)
    shape = np.broadcast_shapes(*(v.shape for v in values.values()))
    game = sigma if isinstance(sigma, Bilinear) else _game_of(sigma)
    squares = SquaredSingularValues(game)
    if not len(squares):
        raise ValueError("`sigma` must hold a singular value that is not 0; nothing moves at 0")
    worst, exactly = _one_square(method, values, squares, 0, shape)
    alive, columns = np.arange(worst.size if len(squares) > 1 else 0), values
    for j in range(1, len(squares)):
        # A cell that one singular value makes unstable needs no second look.
        if j == 1 or 2 * np.count_nonzero(worst.flat[alive] != RegionMap.UNSTABLE) < len(alive):
            alive = alive[worst.flat[alive] != RegionMap.UNSTABLE]
            columns = {n: np.broadcast_to(v, shape).ravel()[alive] for n, v in values.items()}
        if not len(alive):
            break
        found, counted = _one_square(method, columns, squares, j, alive.shape)
        worst.flat[alive] = _worse(worst.flat[alive], found)
        exactly += counted
    return RegionMap(
        verdicts=worst,
        parameters=values,
        sigmas=squares.enclosures,
        decided_exactly=exactly,
    )


def _one_square(
    method: Method,
    values: Mapping[str, Array],
    squares: SquaredSingularValues,
    j: int,
    shape: tuple[int, ...],
) -> tuple[NDArray[np.int8], int]:
    """Verdicts at one squared singular value, and how many needed exact arithmetic."""
    upper, lower = squares.enclosures[j].upper, squares.enclosures[j].lower
    s = upper * upper
    spread = Majorant(s, (upper - lower) * (upper + lower) * (1 + 2.0**-40) + 2.0**-52 * s)
    on_grid = _placed(with_numbers(method, _float), values)
    sizes = {name: Majorant(float(np.max(np.abs(v)))) for name, v in values.items()}
    bounds = _placed(with_numbers(method, _majorant), sizes)
    coefficients, majorants = on_grid._polynomial(s), bounds._polynomial(spread)

    smallest = smallest_margin(coefficients, palindromic=method.palindromic)
    error = margin_error(majorants, palindromic=method.palindromic)
    if not np.isfinite(error):
        smallest, error = np.zeros(shape), 0.0
    above, below = smallest > error, smallest < -error
    verdicts = np.empty(shape, dtype=np.int8)
    # The degree of a palindromic polynomial is 2 here: its other margins decide all.
    np.subtract(np.int8(0 if method.palindromic else 1) * above.view(np.int8),
                below.view(np.int8), out=verdicts)  # fmt: skip
    is_open = ~(above | below)
    if isinstance(majorants[0], Majorant):
        is_open = is_open | (coefficients[0] <= majorants[0].error)
    if not np.any(is_open):
        return verdicts, 0
    cells = np.flatnonzero(np.broadcast_to(is_open, shape))
    columns = {name: np.broadcast_to(v, shape).ravel()[cells] for name, v in values.items()}
    verdicts.flat[cells] = _exact_sides(method, columns, squares, j)
    return verdicts, len(cells)


def _exact_sides(
    method: Method, columns: Mapping[str, Array], squares: SquaredSingularValues, j: int
) -> Any:
    """The verdicts of one singular value on columns of parameters, without rounding."""
    enclosure = squares.enclosures[j]
    if enclosure.lower != enclosure.upper:
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [_exact_side(method, dict(zip(columns, r, strict=True)), squares, j) for r in rows]
    sigma = RationalColumn.of_number(enclosure.lower)
    exact = {name: RationalColumn.of_floats(column) for name, column in columns.items()}
    twin = _placed(with_numbers(method, RationalColumn.of_number), exact)
    coefficients = over_one_denominator(twin._polynomial(sigma * sigma))
    leading = coefficients[0]
    if np.any(leading < 0):
        flip = np.asarray(1 - 2 * (leading < 0)).astype(object)  # Python integers do not overflow
        coefficients = [flip * c for c in coefficients]
    # Where the leading coefficient vanishes, an implicit equation is singular.
    return np.where(leading == 0, RegionMap.INCONCLUSIVE, sides_of_integers(coefficients))


def _exact_side(
    method: Method, numbers: Mapping[str, float], squares: SquaredSingularValues, j: int
) -> int:
    """The same for one cell, at a singular value that no float is equal to."""
    try:
        side = side_at(polynomial_in_square(_placed(method, numbers)), squares, j)
    except ValueError:  # the implicit equation is singular: there is no next iterate
        side = None
    return RegionMap.INCONCLUSIVE if side is None else side


def _worse(a: NDArray[np.int8], b: NDArray[np.int8]) -> NDArray[np.int8]:
    """Unstable before inconclusive before marginal before stable."""
    rank = np.array([1, 0, 3, 2], dtype=np.int8)  # of 0, 1, 2, -1
    return np.where(rank[a] >= rank[b], a, b)


# ---- parameters on the grid ----------------------------------------------------------------------
def _grid_values(method: Method, parameters: Mapping[str, ArrayLike]) -> dict[str, Array]:
    if not parameters:
        raise ValueError("`parameters` must name at least one field of the method")
    known = [f.name for f in dataclasses.fields(method)]  # type: ignore[arg-type]
    pairs = [n for n in known if isinstance(getattr(method, n), tuple)]
    numeric = [*pairs, *(n for n in known if isinstance(getattr(method, n), (int, float)))]
    allowed = [*numeric, *(f"{n}_{player}" for n in pairs for player in "xy")]
    values = {}
    for name, raw in parameters.items():
        if name not in allowed:
            listed = ", ".join(repr(a) for a in allowed)
            raise ValueError(f"`parameters` may name {listed}, got {name!r}")
        integers = np.asarray(raw)
        raw = integers.astype(np.float64) if integers.dtype.kind in "iu" else raw
        values[name] = as_float_array(raw, f"parameters[{name!r}]")
        if not name.startswith(_MAY_BE_ZERO) and np.any(values[name] == 0.0):
            raise ValueError(f"`parameters[{name!r}]` must not hold 0; the method would not move")
    if len(values) == 2 and all(v.ndim == 1 for v in values.values()):
        first, second = values
        values = {first: values[first][:, None], second: values[second][None, :]}
    return values


def _placed(method: Any, values: Mapping[str, Any]) -> Any:
    """A copy of the method with arrays, or other numbers, in the place of parameters."""
    replaced: dict[str, Any] = {}
    for name, value in values.items():
        field, _, player = name.rpartition("_")
        if player in ("x", "y") and field:
            pair = replaced.get(field, getattr(method, field))
            replaced[field] = (value, pair[1]) if player == "x" else (pair[0], value)
        else:
            old = getattr(method, name)
            replaced[name] = (value, value) if isinstance(old, tuple) else value
    return with_numbers(method, lambda number: number, **replaced)


def _game_of(sigma: Any) -> Bilinear:
    integers = np.asarray(sigma)
    sigma = integers.astype(np.float64) if integers.dtype.kind in "iu" else sigma
    numbers = np.atleast_1d(as_float_array(sigma, "sigma", ndim=(0, 1)))
    if np.any(numbers <= 0.0):
        raise ValueError("`sigma` must be positive; pass a Bilinear game for a singular matrix")
    return Bilinear(np.diag(numbers))


def _float(value: Any) -> float:
    try:
        return float(value)
    except TypeError as error:
        raise TypeError(f"`method` must have numbers for steps, got {value!r}") from error


def _majorant(value: Any) -> Majorant:
    rounded = _float(value)
    # A fraction is rounded to a float for the grid; a float is itself.
    return Majorant(abs(rounded), 0.0 if value == rounded else 2.0**-52 * abs(rounded))
