"""Where a local constant is asked for: boxes and Euclidean balls of inputs.

Both are convex, and that is what makes local constants simple: on a convex set the Lipschitz
constant of a locally Lipschitz function *equals* the supremum of the norm of its Jacobian over the
points of differentiability in it (mean value theorem along segments, and Rademacher's theorem). On
a set that is not convex the two differ, without bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence.rounding import gamma
from evidence.validation import as_float_array, positive_float
from lipschitz.layers.balls import SMALLEST, ball_of_bounds, inflate, round_down, round_up

__all__ = ["Ball", "Box", "Domain", "as_domain", "is_within"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """All ``x`` with ``lower <= x <= upper`` in every entry.

    Parameters
    ----------
    lower, upper : array_like, shape (*network.input_shape)
        Finite, ``lower <= upper``, and ``lower < upper`` somewhere: on a single point a function
        has no Lipschitz constant.

    Raises
    ------
    ValueError, TypeError
        If the corners differ in shape, are out of order, not finite, or equal.

    Examples
    --------
    >>> Box([0.0, -1.0], [1.0, 1.0]).shape
    (2,)
    >>> Box([1.0], [0.0])
    Traceback (most recent call last):
    ...
    ValueError: `lower` must not exceed `upper`, got 1 > 0 at index (0,); swap the corners?
    """

    lower: Array
    upper: Array

    def __init__(self, lower: ArrayLike, upper: ArrayLike) -> None:
        a, b = _frozen(lower, "lower"), _frozen(upper, "upper")
        if a.shape != b.shape:
            raise ValueError(
                f"`lower` and `upper` must have one shape, got {a.shape} and {b.shape}; "
                "broadcast the smaller one"
            )
        if (a > b).any():
            i = tuple(int(k) for k in np.argwhere(a > b)[0])
            raise ValueError(
                f"`lower` must not exceed `upper`, got {a[i]:.17g} > {b[i]:.17g} at index {i}; "
                "swap the corners?"
            )
        if not (a < b).any():
            raise ValueError("`lower` and `upper` must differ somewhere; widen the box")
        object.__setattr__(self, "lower", a)
        object.__setattr__(self, "upper", b)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.lower.shape

    @property
    def hull(self) -> Box:
        """The box itself."""
        return self

    @property
    def free(self) -> NDArray[np.bool_]:
        """Entries that can vary."""
        return self.lower < self.upper

    def least(self, covectors: Array) -> Array:
        """Lower bounds of ``min <a, x>`` over the box, for rows ``a`` of shape (batch, *shape).

        ``<a, c> - <|a|, r>`` for centre ``c`` and radius ``r``, less the rounding of two dot
        products.
        """
        center, radius = ball_of_bounds(self.lower.ravel(), self.upper.ravel())
        rows = covectors.reshape(len(covectors), -1)
        sizes, n = np.abs(rows), rows.shape[1]
        slack = sizes @ radius + (gamma(n + 2) * (sizes @ np.abs(center)) + n * SMALLEST)
        return round_down(rows @ center - inflate(slack, n + 4))


@dataclass(frozen=True, slots=True, eq=False)
class Ball:
    """All ``x`` with ``||x - center||_2 <= radius``.

    Parameters
    ----------
    center : array_like, shape (*network.input_shape)
    radius : float
        Positive and finite.

    Raises
    ------
    ValueError, TypeError
        If the centre is not finite or the radius not positive.

    Examples
    --------
    >>> ball = Ball([0.0, 0.0], 1.0)
    >>> bool(-5.0 - 1e-12 < ball.least(np.array([[3.0, 4.0]]))[0] <= -5.0)
    True
    >>> Ball([0.0], float("inf"))
    Traceback (most recent call last):
    ...
    ValueError: `radius` must be positive and finite, got inf
    """

    center: Array
    radius: float

    def __init__(self, center: ArrayLike, radius: float) -> None:
        object.__setattr__(self, "center", _frozen(center, "center"))
        object.__setattr__(self, "radius", positive_float(radius, "radius"))
        if (np.abs(self.center) + self.radius == np.inf).any():
            raise ValueError("`center` plus `radius` must be finite; scale the inputs")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.center.shape

    @property
    def hull(self) -> Box:
        """The smallest box around the ball, rounded outward."""
        return Box(round_down(self.center - self.radius), round_up(self.center + self.radius))

    @property
    def free(self) -> NDArray[np.bool_]:
        """Every entry can vary."""
        return np.ones(self.shape, dtype=bool)

    def least(self, covectors: Array) -> Array:
        """Lower bounds of ``min <a, x> = <a, c> - radius ||a||_2`` over the ball, row by row."""
        rows, center = covectors.reshape(len(covectors), -1), self.center.ravel()
        sizes, n = np.abs(rows), rows.shape[1]
        largest = sizes.max(axis=1, initial=0.0)
        # Squares are scaled to at most one, so that what underflows is less than n 2**-1022.
        unit = rows / np.where(largest > 0.0, largest, 1.0)[:, None]
        length = largest * np.sqrt(np.einsum("bi,bi->b", unit, unit) + n * 2.0**-1000)
        slack = self.radius * length + (gamma(n + 2) * (sizes @ np.abs(center)) + n * SMALLEST)
        return round_down(rows @ center - inflate(slack, n + 10))


Domain = Box | Ball


def as_domain(value: Any, shape: tuple[int, ...]) -> Domain:
    """A domain for inputs of the given shape; pairs ``(lower, upper)`` become boxes.

    Raises
    ------
    TypeError, ValueError
        If the value is neither, or its shape does not fit.

    Examples
    --------
    >>> as_domain((0.0, [1.0, 2.0]), (2,)).upper
    array([1., 2.])
    """
    if isinstance(value, (tuple, list)) and len(value) == 2:
        value = Box(*(_spread(corner, f"domain[{i}]", shape) for i, corner in enumerate(value)))
    if not isinstance(value, (Box, Ball)):
        raise TypeError(
            f"`domain` must be a Box, a Ball or a pair (lower, upper), got {type(value).__name__}"
        )
    if value.shape != shape:
        raise ValueError(
            f"`domain` must have the network's input shape {shape}, got {value.shape}; "
            "leave the batch axis out"
        )
    return value


def is_within(domain: Domain, point: Array, *, moving: NDArray[np.bool_]) -> bool:
    """Whether ``point + t v`` stays inside for all small ``t >= 0`` if ``v`` is zero off `moving`.

    Proved: for a box by comparisons, for a ball by an upper bound of the distance to the centre.
    """
    if isinstance(domain, Box):
        closed = (domain.lower <= point) & (point <= domain.upper)
        inside = (domain.lower < point) & (point < domain.upper)
        return bool(np.where(moving, inside, closed).all())
    offset = np.abs(point - domain.center)
    offset = round_up(offset).ravel()  # one rounding each
    largest = float(offset.max())
    if largest == 0.0:
        return True
    unit = offset / largest
    square = float(unit @ unit) * (1.0 + 2.0 * gamma(len(unit) + 6))
    return bool(largest * np.sqrt(square) * (1.0 + 2.0**-48) < domain.radius)


def _frozen(value: ArrayLike, name: str) -> Array:
    array = np.array(as_float_array(value, name), dtype=np.float64)
    array.setflags(write=False)
    return array


def _spread(corner: Any, name: str, shape: tuple[int, ...]) -> Array:
    array = np.asarray(as_float_array(corner, name))
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(
            f"`{name}` of shape {array.shape} must broadcast to the input shape {shape}"
        ) from None
