"""Many starts at once under one method: snapshots, log-norms, averages and conserved quantities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamics.invariants import Invariant, about_equilibrium
from dynamics.methods.base import stacked
from dynamics.power_orbits import apply_powers, lost_vectors
from dynamics.protocols import Array, Game
from dynamics.scaled_states import ScaledStates
from dynamics.starts import checked_starts
from dynamics.stepping import take_steps
from evidence.validation import positive_int

if TYPE_CHECKING:
    from dynamics.methods import Method

__all__ = ["Orbit", "orbit"]

_LARGEST_STORE = 2**32
_RATIONAL = 4  # dimensions up to which the iteration matrix is computed in fractions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Orbit:
    """Iterates of a method, from many starts.

    Parameters
    ----------
    steps : array of int, shape (k,)
        The saved steps, increasing; step 0 is the start.
    centre : array, shape (d,)
        The game's equilibrium; zeros if it has none.
    deviations : ScaledStates, shape (k, ..., d)
        ``z_t - centre``, which may exceed the range of floats.
    average_deviations : ScaledStates or None
        Means of ``z_0 - centre, ..., z_t - centre``, if they were asked for.
    errors : array, shape (k,), or None
        Proved: ``values[i]`` of ``deviations`` differs from that of the iterates in real
        arithmetic by at most ``errors[i] * |w|``, ``w`` the (stacked) deviation of the start.
        None where steps were taken one by one.
    invariant : Invariant or None
        What the method is known to conserve, or to multiply by a known factor in every step.
    way : str
        ``"powers"`` of the iteration matrix, or ``"steps"`` one by one.

    Examples
    --------
    >>> from dynamics.games import Bilinear
    >>> from dynamics.methods import GDA
    >>> path = orbit(Bilinear(1.0), GDA(0.1, order="simultaneous"), [1.0, 1.0], 10**6)
    >>> path.steps, path.log_norms.round(4)
    (array([1000000]), array([4975.512]))
    """

    steps: NDArray[np.int64]
    centre: Array
    deviations: ScaledStates
    average_deviations: ScaledStates | None
    errors: Array | None
    invariant: Invariant | None
    way: Literal["powers", "steps"]

    @property
    def states(self) -> Array:
        """The iterates, shape (k, ..., d), read-only.

        ``OverflowError`` if one exceeds the largest float.
        """
        return _moved(self.deviations, self.centre)

    @property
    def log_norms(self) -> Array:
        """``log |z_t - centre|``, shape (k, ...); ``-inf`` at the centre, and never overflows."""
        return self.deviations.log_norms()

    @property
    def averages(self) -> Array:
        """Means of ``z_0, ..., z_t``, shape (k, ..., d); ``ValueError`` if not asked for."""
        if self.average_deviations is None:
            raise ValueError("`averages` were not computed; call `orbit(..., average=True)`")
        return _moved(self.average_deviations, self.centre)

    @property
    def invariants(self) -> Array:
        """The invariant at the saved steps over its known growth, shape (k, ..., r).

        Constant in real arithmetic. ``ValueError`` if none is known.
        """
        if self.invariant is None:
            raise ValueError("no `invariants` of this method on this game are known")
        return self.invariant.along(self.deviations, self.steps)

    @property
    def changes(self) -> Array:
        """Relative change of the invariant since the first saved step, largest over the starts.

        Shape (k,). ``ValueError`` if none is known.
        """
        along = self.invariants
        return np.asarray(np.zeros(0) if self.invariant is None else self.invariant.changes(along))

    @property
    def drift(self) -> float | None:
        """The largest of the changes of the invariant; None if none is known."""
        return None if self.invariant is None else float(self.changes.max())


def _moved(deviations: ScaledStates, centre: Array) -> Array:
    states = deviations.floats()
    if centre.any():
        states = states + centre
    view = states.view()
    view.flags.writeable = False  # it may be the stored array itself
    return view


def orbit(
    game: Game,
    method: Method,
    starts: ArrayLike,
    steps: int,
    *,
    save: int | Sequence[int] | None = None,
    average: bool = False,
) -> Orbit:
    """Iterate a method from many starts at once.

    Parameters
    ----------
    game : Game
    method : Method
    starts : array_like, shape (..., m + n)
        Not written to.
    steps : int
        At least 1.
    save : int or sequence of int, optional
        A stride (``0, s, 2 s, ...`` and the last step), or increasing steps from 0 to ``steps``.
        By default the last step only.
    average : bool
        Also the running means of the iterates.

    Returns
    -------
    Orbit

    Raises
    ------
    TypeError, ValueError
        Starts of the wrong shape or not finite, no steps, saved steps out of order or range, more
        than 4 GiB of saved states.
    OverflowError
        If a nonlinear orbit leaves the floats.

    Notes
    -----
    Where game and method are linear with constant steps, states are matrix powers applied to the
    starts: the cost does not depend on ``steps``, and ``errors`` bounds the distance from real
    arithmetic. For games of up to four variables the iteration matrix is computed in rationals, so
    that this is the method on the given floats, rounded once; for larger ones it is the power of
    the float iteration matrix. Starts that have almost nothing in the direction that dominates
    are stepped, since powers say little of them.

    Elsewhere steps are taken one by one on chunks that stay in the cache; linear orbits are kept
    near magnitude one by powers of two, so that log-norms never overflow.

    Examples
    --------
    >>> from dynamics.games import Bilinear
    >>> from dynamics.methods import GDA
    >>> path = orbit(
    ...     Bilinear(1.0), GDA(1.0, order="alternating_yx"), [1, 1], 6, save=1, average=True
    ... )
    >>> path.states.tolist()
    [[1.0, 1.0], [-1.0, 2.0], [-2.0, 1.0], [-1.0, -1.0], [1.0, -2.0], [2.0, -1.0], [1.0, 1.0]]
    >>> path.drift
    0.0
    """
    points = checked_starts(game, starts, "starts")
    wanted = _saved_steps(steps, save)
    shape, d = points.shape[:-1], points.shape[-1]
    flat = points.reshape(-1, d)
    stored = len(wanted) * flat.nbytes * (2 if average else 1)
    if stored > _LARGEST_STORE:
        raise ValueError(
            f"`save` asks for {len(wanted)} snapshots of {len(flat)} starts, {stored / 2**30:.3g} "
            "GiB; save fewer steps"
        )
    rest = game.equilibrium
    centre = np.zeros(d) if rest is None else np.asarray(rest, dtype=np.float64)
    M = None if rest is None else _linear_iteration(game, method)
    # The iteration matrix of a random method is that of its mean.
    is_random = isinstance(getattr(method, "rng", None), np.random.Generator)
    if M is not None and method.is_stationary and not is_random:
        deviations, means, errors = _by_powers(game, method, M, flat, wanted, centre, average)
    else:
        errors = None
        deviations, means = take_steps(
            game, method, flat, wanted, centre=centre, rescale=M is not None, average=average
        )
    return Orbit(
        steps=wanted,
        centre=centre,
        deviations=deviations.with_inner_shape(shape),
        average_deviations=None if means is None else means.with_inner_shape(shape),
        errors=errors,
        invariant=None if rest is None else about_equilibrium(game, method),
        way="steps" if errors is None else "powers",
    )


def _linear_iteration(game: Game, method: Method) -> Array | None:
    """The iteration matrix, exact for small games; None where the method is not linear."""
    if not game.is_linear:
        return None
    small: Any = game if sum(game.dimensions) <= _RATIONAL else None
    try:
        return method.iteration_matrix(small.rational() if hasattr(small, "rational") else game)
    except TypeError:
        return None


def _by_powers(
    game: Game,
    method: Method,
    M: Array,
    starts: Array,
    wanted: NDArray[np.int64],
    centre: Array,
    average: bool,
) -> tuple[ScaledStates, ScaledStates | None, Array | None]:
    d = len(centre)
    if method.memory:
        state, rest = (stacked(method.initial_state(game, z)) for z in (starts, centre))
        vectors = state - rest
    else:
        vectors = starts - centre if centre.any() else starts
    deviations, errors, power = apply_powers(M, vectors, wanted, slice(0, d))
    means = _means(M, vectors, wanted, d) if average else None
    lost = lost_vectors(power, vectors, deviations)
    if not len(lost):
        return deviations, means, errors
    stepped, stepped_means = take_steps(
        game, method, starts[lost], wanted, centre=centre, rescale=True, average=average
    )
    if means is not None and stepped_means is not None:
        means = means.replaced(lost, stepped_means)
    return deviations.replaced(lost, stepped), means, None


def _means(M: Array, vectors: Array, wanted: NDArray[np.int64], d: int) -> ScaledStates:
    # The sum s of the iterates so far is part of a linear state: s+ = s + z.
    D = len(M)
    summing = np.zeros((D + d, D + d), dtype=M.dtype)
    summing[:D, :D] = M
    for i in range(d):
        summing[D + i, i] = summing[D + i, D + i] = 1
    padded = np.concatenate([vectors, np.zeros((len(vectors), d))], axis=-1)
    sums, _, _ = apply_powers(summing, padded, wanted + 1, slice(D, D + d))
    return ScaledStates(
        values=sums.values / (wanted + 1.0)[:, None, None], exponents=sums.exponents
    )


def _saved_steps(steps: int, save: int | Sequence[int] | None) -> NDArray[np.int64]:
    last = positive_int(steps, "steps")
    if save is None:
        return np.array([last], dtype=np.int64)
    if not isinstance(save, Sequence) and np.ndim(save) == 0:
        stride = positive_int(save, "save")
        regular = np.arange(0, last + 1, stride, dtype=np.int64)
        return regular if regular[-1] == last else np.append(regular, last)
    chosen = np.asarray(save)
    if chosen.ndim != 1 or not chosen.size or chosen.dtype.kind not in "iu":
        raise ValueError(f"`save` must be a stride or a list of steps, got {save!r}")
    if chosen[0] < 0 or chosen[-1] > last or (np.diff(chosen) <= 0).any():
        raise ValueError(
            f"`save` must be increasing steps from 0 to {last}, got {chosen.tolist()[:6]}"
        )
    return chosen.astype(np.int64)
