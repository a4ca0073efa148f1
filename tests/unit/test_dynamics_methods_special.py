"""Anchored, multiplicative, stochastic, implicit and clipped methods keep their promises."""

from __future__ import annotations

import numpy as np
import pytest

from dynamics import (
    GDA,
    AnchoredExtragradient,
    Bilinear,
    Clipping,
    CompetitiveGradient,
    ConsensusOptimization,
    DiracGAN,
    Extragradient,
    FiniteSum,
    Halpern,
    ImplicitMidpoint,
    MatrixGame,
    MultiplicativeWeights,
    OptimisticMultiplicativeWeights,
    ProximalPoint,
    Quadratic,
    StochasticExtragradient,
    SymplecticGradientAdjustment,
)
from evidence import NotCertified

EPS = 2.0**-52
# The solution is not 0 and not the start: an anchor at the origin would break every bound.
GAMES = [
    Bilinear(np.diag([1.0, 0.3]), b=[-1.0, 0.6], c=[3.0, 0.3]),
    Bilinear([[0.5, 0.5], [0.5, -0.5]], b=[2.0, 0.0], c=[0.0, -1.0]),
    Quadratic(0.1, 0.9, 0.0, b=[1.0], c=[2.0]),
]


def run(game, method, start, steps):
    """Squared fields and iterates at steps 0, 1, ..., steps."""
    state = method.initial_state(game, start)
    states = [state[0]]
    for k in range(steps):
        state = method.step(game, state, k)
        states.append(state[0])
    return np.array(states)


@pytest.mark.parametrize("game", GAMES, ids=("diagonal", "rotated", "quadratic"))
@pytest.mark.parametrize(
    ("variant", "step", "constant", "shifts"),
    [
        ("EAG-C", 1 / 8, 260.0, (1, 1)),  # Yoon and Ryu 2021, Theorem 1
        ("EAG-V", 0.618, 27.0, (1, 2)),  # Theorem 2
        ("FEG", 1.0, 4.0, (0, 0)),  # Lee and Kim 2021, Theorem 4.1
    ],
)
def test_anchored_methods_keep_their_rate_from_a_start_near_the_solution(
    game, variant, step, constant, shifts
):
    solution = game.equilibrium
    R = float(np.linalg.norm(game.jacobian(solution), 2))
    start = solution + 0.1 * np.ones(len(solution)) / np.arange(1, len(solution) + 1)
    method = AnchoredExtragradient(step / R, variant=variant, lipschitz=R)
    z = run(game, method, start, 500)
    k = np.arange(1, 501)
    squared = np.sum(game.field(z[1:]) ** 2, axis=-1)
    distance = np.sum((start - solution) ** 2)
    bound = constant * R**2 * distance / ((k + shifts[0]) * (k + shifts[1]))
    # The bound of FEG is attained: allow the rounding of 500 steps.
    assert np.all(squared <= bound * (1 + 1e-9))


@pytest.mark.parametrize("game", GAMES, ids=("diagonal", "rotated", "quadratic"))
def test_halpern_keeps_its_rate(game):
    solution, method = game.equilibrium, Halpern(1.0)
    start = solution + 1.0
    z = run(game, method, start, 300)
    moved = ProximalPoint(1.0).step(game, (z,), 0)[0]
    k = np.arange(len(z))
    bound = 2 * np.linalg.norm(start - solution) / (k + 1)
    assert np.all(np.linalg.norm(z - moved, axis=-1) <= bound * (1 + 1e-12))


def test_an_anchor_at_the_origin_would_break_the_bound():
    game = Bilinear(1.0, b=[1.0], c=[-3.0])  # the solution is (3, -1)
    start = np.array([3.1, -1.0])
    z = anchor = start
    worst = 0.0
    for k in range(100):
        pulled = z + (0.0 * anchor - z) / (k + 1)
        look = pulled - (1 - 1 / (k + 1)) * game.field(z)
        z = pulled - game.field(look)
        worst = max(worst, np.sum(game.field(z) ** 2) * (k + 1) ** 2 / (4 * 0.01))
    assert worst > 100.0


@pytest.mark.parametrize("eta", [0.1, 0.5])
def test_methods_that_agree_on_bilinear_games_agree(eta):
    game = Bilinear(np.random.default_rng(0).normal(size=(3, 2)))
    look_ahead = Extragradient(eta, 0.3).iteration_matrix(game)
    for other in (ConsensusOptimization(eta, 0.3), SymplecticGradientAdjustment(eta, 0.3)):
        assert np.abs(other.iteration_matrix(game) - look_ahead).max() < 32 * EPS
    implicit = ProximalPoint(eta).iteration_matrix(game)
    assert np.abs(CompetitiveGradient(eta).iteration_matrix(game) - implicit).max() < 64 * EPS


def test_the_midpoint_rule_conserves_the_norm_of_nonlinear_rotations_too():
    z = run(DiracGAN("gan"), ImplicitMidpoint(0.5), [1.0, 1.0], 200)
    assert np.ptp(np.sum(z**2, axis=-1)) < 200 * 64 * EPS


def test_newton_solves_the_implicit_step_of_a_nonlinear_game_to_rounding():
    game, method = DiracGAN("nsgan"), ProximalPoint((0.7, 0.3))
    z = np.random.default_rng(0).normal(size=(20, 2))
    w = method.step(game, (z,))[0]
    residual = w + game.field(w) * np.array([0.7, 0.3]) - z
    assert np.abs(residual).max() < 64 * EPS
    with pytest.raises(NotCertified, match="unsolved"):
        ProximalPoint(1e9).step(game, (1e3 * z,))


def test_competitive_steps_solve_the_local_game():
    game = Quadratic(1.0, 2.0, 0.5, b=[1.0])
    z, eta = np.array([0.3, -0.7]), 0.4
    dx, dy = CompetitiveGradient(eta).step(game, (z,))[0] - z
    F = game.field(z)
    # Each player's step answers the other's: dx = -eta (f_x + f_xy dy), dy = eta (f_y + f_yx dx).
    assert abs(dx + eta * (F[0] + 2.0 * dy)) < 8 * EPS
    assert abs(dy + eta * (F[1] - 2.0 * dx)) < 8 * EPS


def divergence(p, q):
    return np.sum(p * np.log(p / q), axis=-1)


def test_multiplicative_weights_leave_the_equilibrium_and_optimism_returns():
    pennies = MatrixGame([[1.0, -1.0], [-1.0, 1.0]])
    start, half = [0.6, 0.4, 0.5, 0.5], np.full(4, 0.5)
    away = divergence(half, run(pennies, MultiplicativeWeights(0.1), start, 2000))
    assert np.all(np.diff(away) > 0.0)
    for order in ("alternating_xy", "alternating_yx"):
        method = MultiplicativeWeights(0.1, order=order)
        around = divergence(half, run(pennies, method, start, 2000))
        assert around.max() < 1.2 * around.min()
    back = divergence(half, run(pennies, OptimisticMultiplicativeWeights(0.1), start, 5000))
    assert back[-1] < 1e-6


def test_multiplicative_weights_survive_the_boundary():
    pennies = MatrixGame([[1.0, -1.0], [-1.0, 1.0]])
    method = MultiplicativeWeights(5.0)
    state = method.initial_state(pennies, [0.6, 0.4, 0.5, 0.5])
    for k in range(2000):
        state = method.step(pennies, state, k)
    assert np.isfinite(state[1]).all()
    assert np.abs(state[0][:2].sum() - 1.0) < 4 * EPS


@pytest.mark.parametrize(
    ("game", "start", "error", "words"),
    [
        (Bilinear(np.eye(2)), [0.5] * 4, TypeError, "must be a MatrixGame"),
        (MatrixGame(np.eye(2)), [0.5, 0.6, 0.5, 0.5], ValueError, "does not sum to 1"),
        (MatrixGame(np.eye(2)), [1.0, 0.0, 0.5, 0.5], ValueError, "stays 0 for ever"),
    ],
)
def test_starts_off_the_open_simplex_are_refused(game, start, error, words):
    with pytest.raises(error, match=words):
        MultiplicativeWeights(0.1).initial_state(game, start)


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_independent_samples_can_diverge_where_the_same_sample_converges(spread):
    terms, eta = np.array([1.0 - spread, 1.0 + spread]), 0.1
    game = FiniteSum(terms)
    rng = np.random.default_rng(0)
    # E |z+|^2 = E[(1 - eta^2 s_i s_j)^2 + eta^2 s_j^2] |z|^2 for every start.
    pairs = np.stack(np.meshgrid(terms, terms, indexing="ij"))
    growth = (1 - eta**2 * pairs[0] * pairs[1]) ** 2 + eta**2 * pairs[1] ** 2
    apart = StochasticExtragradient(eta, sample="independent", rng=rng).squared_growth(game)
    same = StochasticExtragradient(eta, sample="same", rng=rng).squared_growth(game)
    assert abs(apart - growth.mean()) < 16 * EPS
    assert abs(same - np.diag(growth).mean()) < 16 * EPS
    assert same < 1.0 < apart


def test_stochastic_steps_use_one_term_for_each_start():
    game = FiniteSum(np.random.default_rng(1).normal(size=(3, 2, 2)))
    method = StochasticExtragradient(0.1, sample="same", rng=np.random.default_rng(7))
    z = np.random.default_rng(2).normal(size=(5, 4))
    index = np.random.default_rng(7).integers(3, size=5)
    moved = method.step(game, (z,))[0]
    for start, i, end in zip(z, index, moved, strict=True):
        one = Extragradient(0.1).step(Bilinear(game.matrices[i]), (start,))[0]
        assert np.abs(one - end).max() < 16 * EPS
    with pytest.raises(TypeError, match=r"numpy\.random\.Generator"):
        StochasticExtragradient(0.1, sample="same", rng=0)


def test_clipping_keeps_the_critic_in_its_box_in_every_order():
    game = DiracGAN("wgan", regularizer=Clipping(0.5))
    for order in ("simultaneous", "alternating_xy", "alternating_yx"):
        z = run(game, GDA(0.2, order=order), [1.0, 0.5], 100)
        assert np.abs(z[:, 1]).max() <= 0.5


def test_eag_v_needs_the_lipschitz_constant():
    with pytest.raises(ValueError, match="`lipschitz` must be given"):
        AnchoredExtragradient(0.5, variant="EAG-V")
    with pytest.raises(ValueError, match="must be one number in"):
        AnchoredExtragradient(2.0, variant="EAG-V", lipschitz=1.0)
