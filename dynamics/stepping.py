"""Steps taken one by one: many starts in chunks that stay in the cache, saved where asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics.protocols import Array, Game
from dynamics.scaled_states import ScaledStates

if TYPE_CHECKING:
    from dynamics.methods import Method

__all__ = ["take_steps"]

_CHUNK_BYTES = 2**18  # one array of states; a step touches a few of them, and the cache holds those
_FAR = 2.0**100
_EVERY = 8  # steps between two looks at the size of the states


def take_steps(
    game: Game,
    method: Method,
    starts: Array,
    wanted: NDArray[np.int64],
    *,
    centre: Array,
    rescale: bool,
    average: bool,
) -> tuple[ScaledStates, ScaledStates | None]:
    """Deviations from ``centre`` at the wanted steps, and their running means.

    Parameters
    ----------
    starts : array, shape (n, d)
        Not written to.
    wanted : array of int, shape (k,)
        Increasing steps.
    centre : array, shape (d,)
        With ``rescale`` an equilibrium.
    rescale : bool
        The method is linear in deviations from the equilibrium: they are kept near magnitude one,
        by powers of two.
    average : bool
        Also the means of ``z_0, ..., z_t``.

    Raises
    ------
    OverflowError
        If a state stops being finite.

    Examples
    --------
    >>> import numpy as np
    >>> from dynamics.games import Bilinear
    >>> from dynamics.methods import GDA
    >>> found, _ = take_steps(
    ...     Bilinear(1.0), GDA(1.0), np.ones((1, 2)), np.array([1, 2000]),
    ...     centre=np.zeros(2), rescale=True, average=False,
    ... )
    >>> (found.log_norms()[:, 0] / np.log(2.0)).round(9).tolist()
    [1.0, 1000.5]
    """
    n, d = starts.shape
    shape = (len(wanted), n)
    values, exponents = np.empty((*shape, d)), np.zeros(shape, dtype=np.int64)
    means = np.empty((*shape, d)) if average else None
    mean_exponents = np.zeros(shape, dtype=np.int64)
    rows = max(1, _CHUNK_BYTES // (8 * d))
    for first in range(0, n, rows):
        part = slice(first, first + rows)
        walk = _Walk(game, method, starts[part], centre, rescale, average)
        for index, step in enumerate(wanted.tolist()):
            walk.advance_to(step)
            bad = np.flatnonzero(~np.isfinite(walk.state[0]).all(axis=-1))
            if len(bad):
                raise OverflowError(
                    f"the orbit of start {first + int(bad[0])} has left the floats by step {step}; "
                    "take fewer steps, or smaller ones"
                )
            values[index, part] = walk.deviation()
            exponents[index, part] = walk.exponents
            if means is not None:
                means[index, part] = walk.total / (step + 1.0)
                mean_exponents[index, part] = walk.total_exponents
    return (
        ScaledStates(values=values, exponents=exponents),
        None if means is None else ScaledStates(values=means, exponents=mean_exponents),
    )


class _Walk:
    """One chunk of starts on its way."""

    def __init__(
        self,
        game: Game,
        method: Method,
        starts: Array,
        centre: Array,
        rescale: bool,
        average: bool,
    ) -> None:
        self.game, self.method, self.centre = game, method, centre
        self.state = method.initial_state(game, starts)
        self.rest = method.initial_state(game, centre[None, :]) if rescale else ()
        self.step = 0
        self.exponents = np.zeros(len(starts), dtype=np.int64)
        self.average = average
        self.total = self.deviation().copy() if average else np.empty(0)
        self.total_exponents = np.zeros(len(starts), dtype=np.int64)
        self.weights: Array | None = None

    def deviation(self) -> Array:
        return np.asarray(self.state[0] - self.centre)

    def advance_to(self, step: int) -> None:
        for k in range(self.step, step):
            self.state = self.method.step(self.game, self.state, k)
            if self.rest and k % _EVERY == _EVERY - 1:
                self._rescale()
            if self.average:
                deviation = self.deviation()
                self.total += deviation if self.weights is None else deviation * self.weights
        self.step = max(step, self.step)

    def _rescale(self) -> None:
        parts = [p - rest for p, rest in zip(self.state, self.rest, strict=True)]
        size = np.max([np.abs(p).max(axis=-1) for p in parts], axis=0)
        far = (size > _FAR) | ((size < 1.0 / _FAR) & (size > 0.0))
        if not far.any():
            return
        shift = np.where(far, np.frexp(size)[1], 0)
        scale = _power_of_two(-shift)
        self.state = tuple(
            np.asarray(rest + p * scale) for p, rest in zip(parts, self.rest, strict=True)
        )
        self.exponents = self.exponents + shift
        if self.average:
            # The total keeps the largest exponent so far: what is smaller is added as a fraction.
            larger = np.maximum(self.total_exponents, self.exponents)
            self.total = self.total * _power_of_two(self.total_exponents - larger)
            self.total_exponents = larger
            self.weights = _power_of_two(self.exponents - larger)


def _power_of_two(exponents: NDArray[np.int64]) -> Array:
    """``2**e`` for ``e`` below 1024, as a column; 0 below the floats."""
    return np.asarray(np.ldexp(1.0, np.maximum(exponents, -2000).astype(np.int32))[:, None])
