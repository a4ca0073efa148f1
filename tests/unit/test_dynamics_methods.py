"""Every method's matrix, polynomial and step say the same thing."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

from dynamics.games import Bilinear, Quadratic
from dynamics.linear_games import LinearGame
from dynamics.methods import (
    GDA,
    OGD,
    CompetitiveGradient,
    ConsensusOptimization,
    Extragradient,
    HeavyBall,
    ImplicitMidpoint,
    Nesterov,
    OptimisticGDA,
    PastExtragradient,
    ProximalPoint,
    SymplecticGradientAdjustment,
)

SIGMA = sympy.Symbol("sigma", real=True)
A1, A2, B1, B2, G = sympy.symbols("alpha1 alpha2 beta1 beta2 gamma", real=True)
ORDERS = ("simultaneous", "alternating_xy", "alternating_yx")
ALTERNATING = ORDERS[1:]
SYMBOLIC = [
    *(GDA((A1, A2), order=o) for o in ORDERS),
    Extragradient((A1, A2), (B1, B2)),
    *(
        Extragradient((A1, A2), (B1, B2), order=o, alternation=v)
        for o in ALTERNATING
        for v in ("restarted", "phased")
    ),
    *(OGD((A1, A2), (B1, B2), order=o) for o in ORDERS),
    *(OptimisticGDA((A1, A2), order=o) for o in ORDERS),
    PastExtragradient((A1, A2)),
    *(HeavyBall((A1, A2), (B1, B2), order=o) for o in ORDERS),
    *(Nesterov((A1, A2), (B1, B2), order=o) for o in ORDERS),
    ProximalPoint((A1, A2)),
    ImplicitMidpoint((A1, A2)),
    CompetitiveGradient((A1, A2)),
    ConsensusOptimization((A1, A2), G),
    SymplecticGradientAdjustment((A1, A2), G),
]


def symbolic_game() -> LinearGame:
    matrix = np.array([[0, SIGMA], [-SIGMA, 0]], dtype=object)
    return LinearGame(matrix=matrix, offset=np.array([0, 0], dtype=object), dimensions=(1, 1))


@pytest.mark.parametrize("method", SYMBOLIC, ids=lambda m: f"{type(m).__name__}")
def test_the_closed_polynomial_is_the_determinant_of_the_iteration(method):
    matrix = sympy.Matrix(method.iteration_matrix(symbolic_game()))
    closed = method.characteristic_polynomial(SIGMA)
    lam = closed.gen
    determinant = (lam * sympy.eye(matrix.rows) - matrix).det(method="berkowitz")
    assert sympy.cancel(closed.as_expr() / closed.LC() - determinant) == 0


NUMERIC = [
    *(GDA((0.3, 0.2), order=o) for o in ORDERS),
    Extragradient(0.3, 0.2),
    *(
        Extragradient(0.3, (0.1, 0.2), order=o, alternation=v)
        for o in ALTERNATING
        for v in ("restarted", "phased")
    ),
    *(OGD(0.3, (0.1, 0.0), order=o) for o in ORDERS),
    *(OptimisticGDA(0.25, order=o) for o in ORDERS),
    PastExtragradient(0.25),
    *(HeavyBall(0.3, (-0.5, 0.1), order=o) for o in ORDERS),
    *(Nesterov(0.3, (-0.5, 0.1), order=o) for o in ORDERS),
    ProximalPoint((0.5, 1)),
    ImplicitMidpoint(1),
    CompetitiveGradient(0.5),
    ConsensusOptimization(0.25, 0.5),
    SymplecticGradientAdjustment(0.25, 0.5),
]
GAMES = [
    Bilinear([[1.0, 0.5, 0.0], [0.25, -1.0, 2.0]], b=[1.0, -2.0], c=[-0.5, -2.5, 4.0]),
    Quadratic([[1.0, 0.0], [0.0, 0.5]], [[1.0], [2.0]], 0.25, b=[1.0, 0.0], c=[3.0]),
]


@pytest.mark.parametrize("method", NUMERIC, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("game", GAMES, ids=("bilinear", "quadratic"))
def test_steps_of_a_batch_are_the_matrix_of_the_iteration(game, method):
    rng = np.random.default_rng(5)
    d = sum(game.dimensions)
    z0 = rng.normal(size=(4, 3, d))
    kept = z0.copy()
    state = method.initial_state(game, z0)
    frozen = [part.copy() for part in state]
    for part in state:
        part.flags.writeable = False
    for _ in range(3):
        state = method.step(game, state, 0)
    affine = method.iteration_matrix(game)
    origin = method.initial_state(game, np.zeros(d))
    zero = tuple(np.zeros_like(part) for part in origin)
    offset = np.concatenate(method.step(game, zero, 0), axis=-1)
    expected = np.concatenate(frozen, axis=-1)
    for _ in range(3):
        expected = expected @ affine.T + offset
    # Three products of at most 10 x 10 with entries of order one.
    assert np.abs(np.concatenate(state, axis=-1) - expected).max() < 3 * 100 * 2.0**-52 * 20
    assert np.array_equal(z0, kept)


@pytest.mark.parametrize("method", NUMERIC, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("game", GAMES, ids=("bilinear", "quadratic"))
def test_a_solution_that_is_not_zero_stays_put(game, method):
    start = game.equilibrium
    state = method.initial_state(game, start)
    for k in range(5):
        state = method.step(game, state, k)
    assert np.abs(state[0] - start).max() < 5 * 64 * 2.0**-52 * (1 + np.abs(start).max())


@pytest.mark.parametrize("method", NUMERIC, ids=lambda m: type(m).__name__)
def test_the_exact_matrix_rounds_to_the_float_matrix(method):
    game = GAMES[0]
    exact = method.iteration_matrix(game.rational())
    assert exact.dtype == object
    difference = np.abs(exact.astype(float) - method.iteration_matrix(game))
    assert difference.max() < 64 * 2.0**-52


def test_the_initial_state_holds_copies():
    game = GAMES[0]
    z0 = np.ones(5)
    first, second = HeavyBall(0.1, -0.5).initial_state(game, z0)
    assert not np.shares_memory(first, z0)
    assert not np.shares_memory(first, second)


def test_optimistic_parametrisations_convert_into_each_other():
    for order in ORDERS:
        one, two = OptimisticGDA(0.25, order=order), OGD(0.5, 0.25, order=order)
        assert one.as_ogd() == two
        assert two.eta == 0.25
        game = GAMES[0]
        assert np.array_equal(one.iteration_matrix(game), two.iteration_matrix(game))
    with pytest.raises(ValueError, match="not twice"):
        _ = OGD(0.5, 0.3).eta
