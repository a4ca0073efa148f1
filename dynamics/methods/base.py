"""What all methods share: states, matrices of one iteration, polynomials per singular value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from dynamics.linear_games import LinearGame
from dynamics.protocols import Array, Game, start_state
from dynamics.step_rules import Pair, Schedule, StepRule, pair_at

__all__ = ["ORDERS", "Method", "State", "scaled", "stacked", "steps_of"]

State = tuple[Array, ...]
ORDERS = ("simultaneous", "alternating_xy", "alternating_yx")


class Method(ABC):
    """An update of both players, from one state to the next.

    A state is a tuple of arrays of shape (..., m + n): the iterate ``z`` first, then what the
    method remembers. :meth:`step` works on any leading axes, never writes into its arguments, and
    computes in whatever numbers the arrays hold: floats, or objects such as ``Fraction`` and
    sympy expressions. The exact and the symbolic iteration matrix are therefore the same code as
    the simulation; the characteristic polynomials are closed forms of their own, and a test
    compares the two.

    Examples
    --------
    >>> from dynamics import GDA, Bilinear
    >>> method, game = GDA(0.5), Bilinear(2.0)
    >>> isinstance(method, Method), method.iteration_matrix(game)
    (True, array([[ 1., -1.],
           [ 1.,  1.]]))
    """

    __slots__ = ()

    gradient_calls: ClassVar[int]
    """Evaluations of the whole field per iteration; one for each player's part counts as one."""
    memory: ClassVar[int] = 0
    """How many arrays a state holds after the iterate."""
    palindromic: ClassVar[bool] = False
    """Whether the characteristic polynomial is its own reciprocal for every step and game."""

    @abstractmethod
    def step(self, game: Game, state: State, k: int = 0) -> State:
        """The state after iteration ``k`` (counted from 0); nothing is changed in place."""

    def initial_state(self, game: Game, z0: Any) -> State:
        """The state that starts at ``z0``, shape (..., m + n); a copy, never a view."""
        z = start_state(game, z0)
        return (z, *(part.copy() for part in self._remembered(game, z)))

    def _remembered(self, game: Game, z: Array) -> State:
        """What the method remembers at the start."""
        return ()

    @property
    def is_stationary(self) -> bool:
        """Whether every iteration is the same map."""
        return all(isinstance(rule, tuple) for rule in self._rules())

    @property
    def period(self) -> int | None:
        """After how many iterations the map repeats; None if never."""
        lengths = [len(r) if isinstance(r, Schedule) else 1 for r in self._rules()]
        if any(callable(rule) for rule in self._rules()):
            return None
        return int(np.lcm.reduce(lengths)) if lengths else 1

    @property
    def has_negative_steps(self) -> bool:
        """Whether a step size is known to be negative: allowed, and flagged in results."""
        rules = [r for r in self._rules() if isinstance(r, (tuple, Schedule))]
        pairs = [p for r in rules for p in (r.steps if isinstance(r, Schedule) else (r,))]
        return any((v < 0) is True for pair in pairs for v in pair)

    def _rules(self) -> tuple[StepRule, ...]:
        """The step sizes of the method; each a pair, a schedule or a function."""
        rule = getattr(self, "step_size", None)
        return () if rule is None else (rule,)

    # ---- linear games -------------------------------------------------------------------------
    def iteration_matrix(self, game: Game, k: int = 0) -> Array:
        """The matrix of iteration ``k`` on the stacked state, shape (D, D).

        ``D = (1 + memory) (m + n)``; the state ``(z, w)`` is stacked as ``[z; w]``. For a
        nonlinear game it is the matrix of the linearisation at the game's equilibrium. Entries
        are floats, or exact for ``game.rational()``.

        Raises
        ------
        TypeError
            A nonlinear game without an equilibrium.
        """
        linear = _homogeneous(game)
        size = sum(linear.dimensions) * (1 + self.memory)
        basis = np.eye(size)
        if linear.matrix.dtype == object:
            basis = np.array([[int(i == j) for j in range(size)] for i in range(size)], object)
        state = tuple(np.split(basis, 1 + self.memory, axis=-1))
        return stacked(self.step(linear, state, k)).T.copy()

    def monodromy_matrix(self, game: Game) -> Array:
        """The product of the iteration matrices over one period of the schedule, shape (D, D).

        Raises
        ------
        TypeError
            If the iteration never repeats.
        """
        if self.period is None:
            raise TypeError(
                f"`{type(self).__name__}` never repeats its iteration, so that no single matrix "
                "describes it; iterate it, or pass Schedule(...) as the step size"
            )
        matrix = self.iteration_matrix(game, 0)
        for k in range(1, self.period):
            matrix = self.iteration_matrix(game, k) @ matrix
        return matrix

    def characteristic_polynomial(self, sigma: Any) -> Any:
        """Characteristic polynomial of the iteration on the game ``sigma x y``.

        Parameters
        ----------
        sigma : float, int, Fraction, array or sympy expression
            A singular value of the payoff matrix.

        Returns
        -------
        array, shape (degree + 1, ...) or sympy.Poly
            Coefficients, the leading one first, in the arithmetic of ``sigma`` and the steps. A
            ``sympy.Poly`` in ``lambda`` if one of them is symbolic. The implicit methods have a
            leading coefficient other than 1.

        Raises
        ------
        TypeError
            A method without a characteristic polynomial (anchored, schedules, random ones).
        """
        coefficients = [*self._polynomial(sigma * sigma), *([0] * self._zero_roots())]
        if any(hasattr(c, "free_symbols") for c in coefficients):
            import sympy

            lam = sympy.Symbol("lambda")
            return sympy.Poly([sympy.expand(c) for c in coefficients], lam)
        is_exact = any(isinstance(c, Fraction) for c in coefficients)
        if np.ndim(sigma) or any(np.ndim(c) for c in coefficients):
            return np.stack([np.broadcast_to(c, np.shape(sum(coefficients))) for c in coefficients])
        return np.array(coefficients, dtype=object if is_exact else np.float64)

    def _polynomial(self, s: Any) -> list[Any]:
        """Coefficients, leading first, for ``s = sigma**2``, without factors of ``lambda``."""
        raise TypeError(
            f"`{type(self).__name__}` has no characteristic polynomial; "
            "use iteration_matrix(game, k) or iterate it"
        )

    def _zero_roots(self) -> int:
        """How many factors ``lambda`` the characteristic polynomial has for every step."""
        return 0

    def _constant_pair(self, rule: StepRule) -> Pair:
        """The pair of a constant step size; schedules have no characteristic polynomial."""
        if isinstance(rule, tuple):
            return rule
        raise TypeError(
            "`step_size` changes with the iteration, so that there is no characteristic "
            "polynomial; use monodromy_matrix(game)"
        )


def stacked(state: State) -> Array:
    """The arrays of a state side by side in the last axis.

    Examples
    --------
    >>> stacked((np.array([1.0, 2.0]), np.array([3.0, 4.0])))
    array([1., 2., 3., 4.])
    """
    return np.concatenate(state, axis=-1)


def steps_of(rule: StepRule, k: int, z: Array) -> Pair:
    """The step sizes of iteration ``k`` in the arithmetic of ``z``.

    Floats meet floats; among objects a float is the rational number it is.
    """
    return _converted(pair_at(rule, k), z)


def _converted(pair: Pair, z: Array) -> Pair:
    a, b = pair
    if z.dtype == object:
        return (
            Fraction(a) if isinstance(a, float) else a,
            Fraction(b) if isinstance(b, float) else b,
        )
    return (a, b) if hasattr(a, "shape") or hasattr(b, "shape") else (float(a), float(b))


def scaled(pair: Pair, v: Array, m: int) -> Array:
    """``(a v_x, b v_y)``: each player's part times that player's number."""
    a, b = pair
    if a is b or (v.dtype != object and a == b):
        return np.asarray(a * v)
    return np.concatenate([a * v[..., :m], b * v[..., m:]], axis=-1)


def _homogeneous(game: Game) -> LinearGame:
    """The linear part of the game, at its equilibrium if it is not linear."""
    dimensions = game.dimensions
    if isinstance(game, LinearGame):
        matrix = game.matrix
    elif game.is_linear:
        matrix = game.jacobian(np.zeros(sum(dimensions)))
    else:
        equilibrium = game.equilibrium
        if equilibrium is None:
            raise TypeError(
                "`game` is nonlinear and has no known equilibrium to linearise at; pass it one"
            )
        matrix = game.jacobian(equilibrium)
    offset = np.zeros(sum(dimensions), dtype=int).astype(matrix.dtype)
    return LinearGame(matrix=np.asarray(matrix), offset=offset, dimensions=dimensions)
