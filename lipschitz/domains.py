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

__all__ = ["Ball", "BallInBox", "Box", "Domain", "as_domain", "is_within"]

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

    @property
    def reach(self) -> float:
        """Mean half side, the scale of moves inside."""
        return float(np.mean(0.5 * self.upper - 0.5 * self.lower))

    @property
    def interior(self) -> Box | None:
        """The largest box of floats in the interior; entries without any stay fixed.

        None if no entry has a float strictly between its bounds.
        """
        free = np.nextafter(self.lower, self.upper) < self.upper
        if not free.any():
            return None
        inside = np.where(free, np.nextafter(self.lower, self.upper), self.lower)
        other = np.where(free, np.nextafter(self.upper, self.lower), self.lower)
        if (inside < other).any():
            return Box(inside, other)
        return Box(inside, np.where(free, np.nextafter(inside, self.upper), self.lower))

    def sample(self, rng: np.random.Generator, count: int) -> Array:
        """Uniform points, shape (count, *shape)."""
        draws = rng.random((count, *self.shape))
        return np.clip((1.0 - draws) * self.lower + draws * self.upper, self.lower, self.upper)

    def nearest(self, points: Array) -> Array:
        """The nearest points of the box, shape (count, *shape)."""
        return np.clip(points, self.lower, self.upper)

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
        if (0.5 * np.abs(self.center) + 0.5 * self.radius > 2.0**1022).any():
            raise ValueError("`center` plus `radius` must be finite with room; scale the inputs")

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

    @property
    def reach(self) -> float:
        """Mean size of an entry of a point on the sphere, the scale of moves inside."""
        return self.radius / float(np.sqrt(self.center.size))

    @property
    def interior(self) -> Ball:
        """A ball inside, by more than the rounding of points near the sphere."""
        return Ball(self.center, self.radius * (1.0 - 2.0**-40))

    def sample(self, rng: np.random.Generator, count: int) -> Array:
        """Points with uniform directions and uniform distances from the centre."""
        moves = rng.standard_normal((count, self.center.size))
        lengths = np.sqrt(np.einsum("bi,bi->b", moves, moves))
        distance = self.radius * rng.random(count) / np.where(lengths > 0.0, lengths, 1.0)
        return self.center + (distance[:, None] * moves).reshape(count, *self.shape)

    def nearest(self, points: Array) -> Array:
        """The nearest points of the ball, up to rounding, shape (count, *shape)."""
        moves = (points - self.center).reshape(len(points), -1)
        lengths = np.sqrt(np.einsum("bi,bi->b", moves, moves))
        factor = np.minimum(1.0, self.radius / np.where(lengths > 0.0, lengths, 1.0))
        return self.center + (factor[:, None] * moves).reshape(points.shape)

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BallInBox:
    """What a box leaves of a ball: a piece of a ball that branch and bound has cut."""

    ball: Ball
    hull: Box

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.ball.shape

    @property
    def free(self) -> NDArray[np.bool_]:
        """Every entry can vary."""
        return self.ball.free

    def least(self, covectors: Array) -> Array:
        """Lower bounds of ``min <a, x>``: the better one of the ball and of the box."""
        return np.maximum(self.ball.least(covectors), self.hull.least(covectors))


Domain = Box | Ball | BallInBox


def as_domain(value: Any, shape: tuple[int, ...]) -> Box | Ball:
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


def is_within(domain: Box | Ball, point: Array, *, moving: NDArray[np.bool_]) -> bool:
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
