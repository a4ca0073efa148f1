"""The continuous limit ``z' = -F(z)``: exact where linear, tight where not, its drift reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from dynamics.invariants import Invariant, flow_invariant
from dynamics.protocols import Array, Game
from dynamics.scaled_states import ScaledStates
from dynamics.starts import checked_starts
from evidence import NotCertified
from evidence.validation import as_float_array, choice, positive_float

__all__ = ["LOOSEST_RTOL", "Flow", "flow"]

LOOSEST_RTOL = 1e-10
"""Relative tolerances above this are refused where a conserved quantity is known."""
_TIGHTEST_RTOL = 2.3e-14  # 100 roundings: below it scipy's solvers do not go
Way = Literal["exact", "midpoint", "solver"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flow:
    """States of the flow of a game at given times.

    Parameters
    ----------
    times : array, shape (k,)
    states : array, shape (k, ..., d)
    invariant : Invariant or None
        What the flow is known to conserve.
    invariant_changes : array, shape (k,), or None
        Its relative change since the start, at the given times, largest over the starts: rounding,
        and what the solver lost or won. None if no invariant is known.
    way : str
        ``"exact"`` (matrix exponential), ``"midpoint"`` (symplectic) or ``"solver"`` (DOP853).

    Examples
    --------
    >>> from dynamics.games import Bilinear
    >>> circle = flow(Bilinear(1.0), [1.0, 0.0], [0.0, 2000.0 * np.pi])
    >>> circle.way, circle.drift < 1e-15, bool(np.allclose(circle.states[1], [1.0, 0.0]))
    ('exact', True, True)
    """

    times: Array
    states: Array
    invariant: Invariant | None
    invariant_changes: Array | None
    way: Way

    @property
    def changes(self) -> Array:
        """``invariant_changes``; ``ValueError`` if no invariant is known."""
        if self.invariant_changes is None:
            raise ValueError("no invariant of this flow is known; pass one to `flow`")
        return self.invariant_changes

    @property
    def drift(self) -> float | None:
        """The largest of the changes of the invariant; None if none is known."""
        return None if self.invariant_changes is None else float(self.invariant_changes.max())


def flow(
    game: Game,
    start: ArrayLike,
    times: ArrayLike,
    *,
    way: Way | None = None,
    rtol: float = LOOSEST_RTOL,
    step_size: float | None = None,
    invariant: Invariant | None = None,
) -> Flow:
    """The solution of ``z' = -F(z)`` from a start, or from many, at the given times.

    Parameters
    ----------
    game : Game
        Anything with a field; a modified field of backward error analysis is one.
    start : array_like, shape (..., m + n)
    times : array_like, shape (k,)
        Nonnegative and increasing, in units in which a step of size ``eta`` takes ``eta``.
    way : {"exact", "midpoint", "solver"}, optional
        By default the matrix exponential for linear games, DOP853 for others. ``"midpoint"`` is
        the implicit midpoint rule with a fixed step, which conserves quadratic invariants.
    rtol : float
        Relative tolerance of the solver, for each start.
    step_size : float, optional
        Largest step of the midpoint rule; needed there.
    invariant : Invariant, optional
        A conserved quantity of deviations from the equilibrium (from 0 if there is none); by
        default what is known of the game.

    Returns
    -------
    Flow

    Raises
    ------
    TypeError, ValueError
        Misshapen starts or times; the exact way for a nonlinear game; a tolerance looser than
        1e-10 although a conserved quantity is known: scipy's default ones take 6.3 % off the radius
        of a circle in a thousand periods, and make a cycle look convergent.
    NotCertified
        If the solver gives up, or the flow leaves the floats or the feasible set.

    Notes
    -----
    For a skew-symmetric Jacobian ``J = i U diag(l) U*`` with unitary ``U``, so that rounding in
    ``exp(-t J)`` does not depend on the conditioning, and its phases err by ``t |l|`` roundings.
    Starts are integrated together by DOP853 with the tolerance divided by the root of their
    number, since scipy bounds the root mean square of all errors.

    References
    ----------
    Hairer, Lubich and Wanner, *Geometric Numerical Integration*, 2nd ed., Theorem IV.2.2.

    Examples
    --------
    >>> from dynamics.games import Bilinear
    >>> flow(Bilinear(1.0), [1.0, 0.0], [1.0], way="solver", rtol=1e-3)
    Traceback (most recent call last):
    ...
    ValueError: `rtol` = 0.001 is too loose for a game that conserves |z - z*|^2: solvers lose \
it slowly and the cycle looks convergent; pass at most 1e-10
    """
    points = checked_starts(game, start, "start")
    t = _checked_times(times)
    tolerance = positive_float(rtol, "rtol")
    known = flow_invariant(game) if invariant is None else invariant
    default: Way = "exact" if game.is_linear else "solver"
    chosen: Way = default if way is None else choice(way, "way", ("exact", "midpoint", "solver"))
    flat = points.reshape(-1, points.shape[-1])
    if chosen == "exact":
        states = _exact(game, flat, t)
    elif chosen == "midpoint":
        states = _midpoint(game, flat, t, step_size)
    else:
        if known is not None and tolerance > LOOSEST_RTOL:
            raise ValueError(
                f"`rtol` = {tolerance:g} is too loose for a game that conserves {known.formula}: "
                "solvers lose it slowly and the cycle looks convergent; pass at most 1e-10"
            )
        states = _solved(game, flat, t, tolerance)
    if not np.isfinite(states).all():
        index = int(np.argwhere(~np.isfinite(states))[0][0])
        raise NotCertified(f"the flow leaves the floats by time {t[index]:g}; ask for less time")
    if not np.array_equal(game.project(states), states):
        raise NotCertified("the flow leaves the feasible set, and no projected flow is computed")
    shaped = states.reshape(len(t), *points.shape)
    return Flow(
        times=t,
        states=shaped,
        invariant=known,
        invariant_changes=None if known is None else _changes(game, known, points, shaped),
        way=chosen,
    )


def _checked_times(times: ArrayLike) -> Array:
    t = as_float_array(times, "times", ndim=1)
    if t[0] < 0.0 or (np.diff(t) <= 0.0).any():
        raise ValueError(
            f"`times` must be nonnegative and increasing, got {t.tolist()[:6]}; sort them"
        )
    return t.copy()


def _changes(game: Game, invariant: Invariant, start: Array, states: Array) -> Array:
    rest = game.equilibrium
    centre = 0.0 if rest is None else rest
    deviations = np.concatenate([start[None], states]) - centre
    exponents = np.zeros(deviations.shape[:-1], dtype=np.int64)
    scaled = ScaledStates(values=deviations, exponents=exponents)
    along = invariant.along(scaled, np.zeros(len(deviations), dtype=np.int64))
    return invariant.changes(along)[1:]


# ---- linear -------------------------------------------------------------------------------------
def _exact(game: Game, starts: Array, times: Array) -> Array:
    if not game.is_linear:
        raise ValueError("`way` = 'exact' is for linear games; pass 'solver' or 'midpoint'")
    d = starts.shape[-1]
    origin = np.zeros(d)
    J, offset = game.jacobian(origin), game.field(origin)
    if not np.array_equal(J, -J.T):
        return _by_exponentials(J, offset, starts, times)
    values, U = np.linalg.eigh(1j * J)  # J = -i U diag(values) U*, and exp(-t J) turns by values
    phases = times[:, None] * values
    turned = (starts @ U.conj()) * np.exp(1j * phases)[:, None, :]
    # int_0^t exp(i s l) ds = t exp(i t l / 2) sinc(t l / 2), also where l = 0
    moved = times[:, None] * np.exp(0.5j * phases) * np.sinc(phases / (2.0 * np.pi))
    turned -= (moved * (offset @ U.conj()))[:, None, :]
    return np.ascontiguousarray((turned @ U.T).real)


def _by_exponentials(J: Array, offset: Array, starts: Array, times: Array) -> Array:
    from scipy.linalg import expm

    d = len(J)
    generator = np.zeros((d + 1, d + 1))
    generator[:d, :d], generator[:d, d] = -J, -offset
    states = np.empty((len(times), *starts.shape))
    with np.errstate(over="ignore", invalid="ignore"):
        for index, t in enumerate(times):
            E = expm(t * generator)
            states[index] = starts @ E[:d, :d].T + E[:d, d]
    return states


# ---- nonlinear ----------------------------------------------------------------------------------
def _solved(game: Game, starts: Array, times: Array, rtol: float) -> Array:
    # Each start keeps its tolerance: the root mean square over n starts is bounded by rtol / n^1/2.
    together = max(1, int((rtol / _TIGHTEST_RTOL) ** 2))
    states = np.empty((len(times), *starts.shape))
    for first in range(0, len(starts), together):
        part = slice(first, first + together)
        states[:, part] = _solved_together(game, starts[part], times, rtol)
    return states


def _solved_together(game: Game, starts: Array, times: Array, rtol: float) -> Array:
    from scipy.integrate import solve_ivp

    def right_side(_: float, z: Array) -> Array:
        return np.asarray(-game.field(z.reshape(starts.shape)).ravel())

    tightened = max(rtol / np.sqrt(len(starts)), _TIGHTEST_RTOL)
    scale = float(np.abs(starts).max()) or 1.0
    solution = solve_ivp(
        right_side,
        (0.0, float(times[-1]) or 1.0),
        starts.ravel(),
        method="DOP853",
        t_eval=times,
        rtol=tightened,
        atol=tightened * scale,
    )
    if not solution.success:
        raise NotCertified(f"the flow could not be followed: {solution.message}")
    return np.asarray(solution.y.T.reshape(len(times), *starts.shape))


def _midpoint(game: Game, starts: Array, times: Array, step_size: float | None) -> Array:
    if step_size is None:
        raise ValueError("`step_size` must be given for the midpoint rule; pass its largest step")
    largest = positive_float(step_size, "step_size")
    states = np.empty((len(times), *starts.shape))
    z, now = starts.copy(), 0.0
    for index, time in enumerate(times):
        steps = int(np.ceil((time - now) / largest))
        for _ in range(steps):
            z = _midpoint_step(game, z, (time - now) / steps)
        states[index], now = z, float(time)
    return states


def _midpoint_step(game: Game, z: Array, h: float) -> Array:
    """``z+ = z - h F((z + z+) / 2)`` by Newton's method for the midpoint."""
    identity = np.eye(z.shape[-1])
    middle = z - 0.5 * h * game.field(z)
    for _ in range(50):
        residual = middle - z + 0.5 * h * game.field(middle)
        slope = identity + 0.5 * h * game.jacobian(middle)
        change = np.linalg.solve(slope, residual[..., None])[..., 0]
        middle = middle - change
        if np.abs(change).max() <= 4.0 * np.finfo(np.float64).eps * np.abs(middle).max():
            return np.asarray(2.0 * middle - z)
    raise NotCertified(
        f"the midpoint rule found no solution for a step of {h:g}; take smaller ones"
    )
