"""Fields, Jacobians and equilibria of games, and what bad input is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dynamics import (
    R1,
    R2,
    Bilinear,
    Clipping,
    Consensus,
    DifferentiableGame,
    DiracGAN,
    FiniteSum,
    GradientPenalty,
    InstanceNoise,
    MatrixGame,
    Quadratic,
)

EPS = 2.0**-52
torch.set_num_threads(1)


def difference_quotient(game, z, h=1e-6):
    d = len(z)
    shifts = h * np.eye(d)
    return np.stack([(game.field(z + s) - game.field(z - s)) / (2 * h) for s in shifts], axis=-1)


RNG = np.random.default_rng(3)
PLAIN = [
    Bilinear(RNG.normal(size=(2, 3)), b=[1.0, 2.0], c=[0.5, 0.0, 1.0]),
    Quadratic(np.eye(2), RNG.normal(size=(2, 1)), 0.5, b=[1.0, 0.0], c=[2.0]),
    MatrixGame(RNG.normal(size=(3, 2))),
    FiniteSum(RNG.normal(size=(4, 2, 2))),
    *(
        DiracGAN(loss, regularizer=r)
        for loss in ("gan", "nsgan", "wgan")
        for r in (
            None,
            R1(0.3),
            R2(0.3),
            InstanceNoise(0.7),
            GradientPenalty(0.7),
            GradientPenalty(0.7, one_sided=True),
            Clipping(1.0),
            Consensus(0.8),
        )
    ),
    DifferentiableGame(lambda x, y: (x.sin() * y).sum(-1) + (x * x).sum(-1), (2, 2)),
    DifferentiableGame((lambda x, y: (x**2 * y).sum(-1), lambda x, y: (x * y**3).sum(-1)), (1, 1)),
]


@pytest.mark.parametrize("game", PLAIN, ids=lambda g: type(g).__name__)
def test_the_field_is_both_players_parts_and_its_derivative_the_jacobian(game):
    z = np.random.default_rng(1).uniform(0.2, 0.9, size=(5, 4, sum(game.dimensions)))
    kept = z.copy()
    m = game.dimensions[0]
    F = game.field(z)
    assert np.array_equal(F[..., :m], game.field_x(z))
    assert np.array_equal(F[..., m:], game.field_y(z))
    J = game.jacobian(z)
    assert J.shape == (5, 4, z.shape[-1], z.shape[-1])
    # A central difference with h = 1e-6 errs by u |F| / h and h^2 |F'''|.
    assert np.abs(J[2, 1] - difference_quotient(game, z[2, 1])).max() < 1e-7
    assert np.array_equal(z, kept)
    assert game.project(z).shape == z.shape


def torch_losses(loss, penalty):
    """The Dirac-GAN by its losses alone, differentiated by torch: the other side."""
    logsigmoid = torch.nn.functional.logsigmoid

    def f(t):
        return t if loss == "wgan" else logsigmoid(t)

    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    xi = torch.tensor(nodes if isinstance(penalty, InstanceNoise) else np.zeros(1))
    w = torch.tensor(weights / weights.sum() if isinstance(penalty, InstanceNoise) else np.ones(1))
    std = penalty.std if isinstance(penalty, InstanceNoise) else 0.0

    def value(x, y, *, generator):
        fake, real = y * (x + std * xi), y * std * xi
        if generator and loss == "nsgan":
            return -(f(-fake) @ w)
        return f(fake) @ w + f(-real) @ w

    def critic(x, y):
        extra = 0.0
        if isinstance(penalty, (R1, R2)):
            extra = 0.5 * penalty.gamma * y[..., 0] ** 2
        if isinstance(penalty, GradientPenalty):
            excess = y[..., 0].abs() - penalty.target
            excess = excess.clamp(min=0.0) if penalty.one_sided else excess
            extra = 0.5 * penalty.strength * excess**2
        return -value(x, y, generator=False) + extra

    return DifferentiableGame((lambda x, y: value(x, y, generator=True), critic), (1, 1))


@pytest.mark.parametrize("loss", ["gan", "nsgan", "wgan"])
@pytest.mark.parametrize(
    "penalty",
    [None, R1(0.3), R2(2.0), InstanceNoise(0.7), GradientPenalty(0.7),
     GradientPenalty(0.7, target=0.5, one_sided=True)],
    ids=str,
)  # fmt: skip
def test_the_dirac_gan_is_the_gradient_of_its_losses(loss, penalty):
    game, by_torch = DiracGAN(loss, regularizer=penalty), torch_losses(loss, penalty)
    z = np.random.default_rng(2).normal(size=(50, 2))
    # Sixty weighted terms of order one, summed in another order.
    assert np.abs(game.field(z) - by_torch.field(z)).max() < 200 * EPS
    assert np.abs(game.jacobian(z) - by_torch.jacobian(z)).max() < 1000 * EPS


def test_consensus_descends_the_squared_field():
    base, game = DiracGAN("nsgan"), DiracGAN("nsgan", regularizer=Consensus(0.8))
    z = np.random.default_rng(2).normal(size=(50, 2))
    F, J = base.field(z), base.jacobian(z)
    expected = F + 0.8 * np.einsum("...ji,...j->...i", J, F)
    assert np.abs(game.field(z) - expected).max() < 64 * EPS


def eigenvalues(game):
    return np.sort_complex(np.linalg.eigvals(-game.jacobian(np.zeros(2))))


@pytest.mark.parametrize(
    ("game", "expected"),
    [
        (DiracGAN("gan"), [-0.5j, 0.5j]),
        (DiracGAN("nsgan"), [-0.5j, 0.5j]),
        (DiracGAN("wgan"), [-1j, 1j]),
        (DiracGAN(regularizer=InstanceNoise(0.7)), [-0.1225 - 0.484762j, -0.1225 + 0.484762j]),
        (DiracGAN(regularizer=InstanceNoise(2.0)), [-1.866025, -0.133975]),
        (DiracGAN(regularizer=R1(0.3)), [-0.15 - 0.476970j, -0.15 + 0.476970j]),
        (DiracGAN(regularizer=R2(2.0)), [-1.866025, -0.133975]),
        (DiracGAN("wgan", regularizer=R1(2.0)), [-1.0, -1.0]),
        (DiracGAN(regularizer=Consensus(1.0)), [-0.25 - 0.5j, -0.25 + 0.5j]),
    ],
)
def test_the_eigenvalues_of_the_dirac_gan_are_those_of_its_table(game, expected):
    # Six digits are printed; the double eigenvalue loses half of the digits of a float.
    assert np.abs(eigenvalues(game) - np.array(expected)).max() < 1e-6


def test_instance_noise_is_integrated_not_sampled():
    game = DiracGAN(regularizer=InstanceNoise(0.7))
    z = np.array([0.3, 0.4])
    assert np.array_equal(game.field(z), game.field(z))
    finer = DiracGAN(regularizer=InstanceNoise(0.7, nodes=100))
    assert np.abs(game.field(z) - finer.field(z)).max() < 64 * EPS


def test_the_far_field_of_the_dirac_gan_does_not_overflow():
    z = np.array([[1e3, 1e3], [-1e3, 1e3]])
    for loss in ("gan", "nsgan"):
        assert np.isfinite(DiracGAN(loss).field(z)).all()
        assert np.isfinite(DiracGAN(loss).jacobian(z)).all()


def test_saddle_points_solve_the_game_and_nullity_counts_flat_directions():
    A = np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]])
    game = Bilinear(A, b=[1.0, 2.0], c=[1.0, 2.0, 0.0])
    z = game.equilibrium
    assert np.abs(game.field(z)).max() < 64 * EPS
    assert (game.nullity, game.nullity_is_exact, len(game.singular_values)) == (3, True, 1)
    assert np.abs(game.range_projector() @ z - z).max() < 64 * EPS  # the least-norm solution
    assert Bilinear(A, b=[1.0, 0.0]).equilibrium is None
    assert Bilinear(np.zeros((2, 2))).nullity == 4


def test_singular_value_enclosures_hold_the_exact_values():
    rng = np.random.default_rng(0)
    for shape in ((3, 3), (2, 5), (7, 4)):
        integers = rng.integers(-3, 4, size=shape).astype(float)
        game = Bilinear(integers)
        gram = integers @ integers.T if shape[0] <= shape[1] else integers.T @ integers
        # Exact: the trace and the determinant of the integer Gram matrix.
        enclosures = game.singular_value_enclosures()
        squares = [e * e for e in enclosures]
        total = squares[0]
        for square in squares[1:]:
            total = total + square
        assert int(np.trace(gram)) in total
        if len(squares) == len(gram):
            product = squares[0]
            for square in squares[1:]:
                product = product * square
            assert round(np.linalg.det(gram)) in product
        assert all(e.rtol < 1e-12 for e in enclosures)


def test_a_game_keeps_its_own_copy_of_the_matrix():
    A = np.eye(2)
    game = Bilinear(A)
    A[0, 0] = 7.0
    assert game.A[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        game.A[0, 0] = 2.0


def test_the_value_of_matching_pennies_is_zero():
    game = MatrixGame([[3.0, -1.0], [-2.0, 4.0]])
    z = game.equilibrium
    assert abs(game.value - 1.0) < 1e-9  # (3 * 4 - 2) / (3 + 1 + 2 + 4)
    assert float(game.exploitability(z)) < 1e-9
    simplex = game.project(np.array([2.0, 0.5, -1.0, 0.3]))
    assert np.allclose(simplex, [1.0, 0.0, 0.0, 1.0], atol=4 * EPS)


def test_batches_of_starts_equal_starts_one_by_one():
    game = DifferentiableGame(lambda x, y: torch.sin(x * y).sum(-1), (1, 1))
    z = np.random.default_rng(0).normal(size=(7, 2))
    one_by_one = np.stack([game.field(row) for row in z])
    assert np.array_equal(game.field(z), one_by_one)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Bilinear([[np.nan]]), ValueError, "`A` must be finite"),
        (lambda: Bilinear([1.0, 2.0]), ValueError, "`A` must have 2 dimensions"),
        (lambda: Bilinear([[1.0, 2.0], [3.0]]), ValueError, "`A` must be a rectangular"),
        (lambda: Bilinear([[1j]]), TypeError, "`A`"),
        (lambda: Bilinear(1j), TypeError, "`A`"),
        (lambda: Bilinear(np.eye(2), b=[1.0]), ValueError, r"`b` must have shape \(2,\)"),
        (lambda: Quadratic(np.eye(3), np.eye(2), np.eye(2)), ValueError, "`P` must have shape"),
        (lambda: Quadratic([[0.0, 1.0], [0.0, 0.0]], np.eye(2), np.eye(2)), ValueError,
         "`P` must be exactly symmetric"),
        (lambda: DiracGAN("lsgan"), ValueError, "`loss` must be one of"),
        (lambda: DiracGAN(regularizer=0.3), TypeError, "`regularizer`"),
        (lambda: R1(0.0), ValueError, "`gamma` must be positive"),
        (lambda: InstanceNoise(1.0, nodes=0), ValueError, "`nodes`"),
        (lambda: GradientPenalty(1.0, target=-1.0), ValueError, "`target`"),
        (lambda: GradientPenalty(1.0, one_sided=1), TypeError, "`one_sided`"),  # type: ignore
        (lambda: MatrixGame([[np.inf]]), ValueError, "`A` must be finite"),
        (lambda: DifferentiableGame(3.0, (1, 1)), TypeError, "`losses` must be a function"),
        (lambda: DifferentiableGame(lambda x, y: x, 2), TypeError, "`dimensions`"),
        (lambda: DiracGAN("wgan", regularizer=GradientPenalty(1.0)).jacobian(np.zeros(2)),
         ValueError, "not differentiable"),
    ],
)  # fmt: skip
def test_bad_games_are_refused_in_one_sentence(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_losses_that_are_no_numbers_per_start_are_refused():
    z = np.ones((3, 2))
    with pytest.raises(ValueError, match="one number per start"):
        DifferentiableGame(lambda x, y: x * y, (1, 1)).field(z)
    with pytest.raises(ValueError, match="gives nan"):
        DifferentiableGame(lambda x, y: ((x - 2).log() * y).sum(-1), (1, 1)).field(z)
    with pytest.raises(TypeError, match="must return a torch tensor"):
        DifferentiableGame(lambda x, y: 1.0, (1, 1)).field(z)
