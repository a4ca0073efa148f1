"""Verdicts where floating point lies: margins, irrational singular values, flat directions."""

from __future__ import annotations

import numpy as np
import pytest

from dynamics import (
    GDA,
    OGD,
    R1,
    AnchoredExtragradient,
    Bilinear,
    DiracGAN,
    Extragradient,
    FiniteSum,
    GradientPenalty,
    HeavyBall,
    ImplicitMidpoint,
    MatrixGame,
    MultiplicativeWeights,
    OptimisticGDA,
    ProximalPoint,
    Quadratic,
    Schedule,
    StochasticExtragradient,
    flow_stability,
    stability,
)

XY = Bilinear(1.0)
ALTERNATING = ("alternating_xy", "alternating_yx")


@pytest.mark.parametrize("eta", [1e-8, 0.1, 1 / 3, 1.0, 1.9999999999999998])
@pytest.mark.parametrize("order", ALTERNATING)
def test_alternating_gda_is_marginal_and_bounded_below_two(eta, order):
    found = stability(XY, GDA(eta, order=order))
    assert (found.verdict, found.multiplicity, found.is_bounded) == ("marginal", 1, True)
    assert found.radius.lower == found.radius.upper == 1.0


def test_alternating_gda_grows_linearly_at_two_and_exponentially_above():
    at_two = stability(XY, GDA(2, order="alternating_xy"))
    assert (at_two.verdict, at_two.multiplicity, at_two.is_bounded) == ("marginal", 2, False)
    above = stability(XY, GDA(2.0000000000000004, order="alternating_xy"))
    assert above.verdict == "unstable"
    assert above.radius.lower > 1.0


@pytest.mark.parametrize("eta", [1e-9, 1e-3, 0.5])
def test_simultaneous_gda_is_unstable_at_every_step(eta):
    # In floats 1 + 1e-18 is 1.
    assert stability(XY, GDA(eta)).verdict == "unstable"


@pytest.mark.parametrize(
    ("method", "verdict"),
    [
        (Extragradient(1.0), "marginal"),
        (Extragradient(0.9999999999999999), "stable"),
        (Extragradient(1.0000000000000002), "unstable"),
        (Extragradient(1, order="alternating_xy", alternation="restarted"), "marginal"),
        (OptimisticGDA(0.57735026918962573), "stable"),  # below 1 / sqrt(3)
        (OptimisticGDA(0.57735026918962584), "unstable"),
        (OptimisticGDA(2 / 3, order="alternating_xy"), "stable"),  # this float is below 2/3
        (OptimisticGDA(0.66666666666666674, order="alternating_xy"), "unstable"),
        (OGD(3, (-1, -2), order="alternating_xy"), "unstable"),
        (HeavyBall(1.0, -0.5), "unstable"),
        (HeavyBall(1.0, (-0.5, 0), order="alternating_xy"), "stable"),
        (ProximalPoint(1e-7), "stable"),
        (ImplicitMidpoint(0.1), "marginal"),
    ],
)
def test_verdicts_one_float_from_the_boundary(method, verdict):
    assert stability(XY, method).verdict == verdict


def test_a_boundary_at_an_irrational_singular_value_is_decided():
    root_two = Bilinear([[1.0, 1.0], [1.0, -1.0]])
    found = stability(root_two, GDA((1, 2), order="alternating_xy"))
    assert (found.verdict, found.multiplicity) == ("marginal", 2)
    # s = (3 + sqrt 5)/2 satisfies s^2 - 3 s + 1 = 0: no rational step can hit its boundary.
    golden = Bilinear([[1.0, 1.0], [0.0, 1.0]])
    assert stability(golden, Extragradient((1.0, 0.5))).verdict == "unstable"
    assert stability(golden, Extragradient((0.5, 0.7))).verdict == "stable"


def test_the_radius_is_enclosed_also_where_eigenvalues_are_defective():
    found = stability(XY, OptimisticGDA(0.5))  # both roots double, of modulus 1/sqrt(2)
    assert found.radius.lower <= 0.5**0.5 <= found.radius.upper
    assert found.radius.width < 1e-7


@pytest.mark.parametrize("size", [(3, 3), (4, 2), (2, 5)])
def test_the_radius_is_that_of_the_iteration_off_the_flat_directions(size):
    rng = np.random.default_rng(1)
    game = Bilinear(rng.normal(size=size))
    for method in (Extragradient(0.1), OptimisticGDA(0.1), HeavyBall(0.1, -0.5), GDA(0.2)):
        found = stability(game, method)
        moduli = np.abs(np.linalg.eigvals(method.iteration_matrix(game)))
        moduli = np.sort(moduli)
        moduli = moduli[np.abs(moduli - 1.0) > 1e-7]
        # Simple eigenvalues of matrices of at most 14 x 14 entries of order one.
        assert abs(moduli.max() - found.radius.lower) < 1e-9
        assert found.nullity == abs(size[0] - size[1])


def test_a_singular_game_is_stable_on_the_range_and_says_what_is_flat():
    game = Bilinear(np.diag([1.0, 0.5, 0.0]))
    found = stability(game, Extragradient(0.25))
    assert (found.verdict, found.nullity) == ("stable", 2)
    assert 0.97 < found.radius.lower < found.radius.upper < 0.9933


def test_momentum_that_does_not_die_out_in_flat_directions_is_not_stable():
    flat = Bilinear([[0.0, 0.0]])
    for beta, verdict, block in ((-0.5, "stable", 0), (1, "marginal", 2), (1.5, "unstable", 0)):
        found = stability(flat, HeavyBall(1.0, beta))
        assert (found.verdict, found.multiplicity, found.nullity) == (verdict, block, 3)


def test_without_a_saddle_point_the_iterates_drift():
    found = stability(Bilinear([[0.0, 0.0], [0.0, 1.0]], b=[1.0, 0.0]), Extragradient(0.5))
    assert found.verdict == "unstable"
    assert "no saddle point" in found.certificate


def test_the_rank_is_numerical_and_the_certificate_says_so():
    rng = np.random.default_rng(0)
    game = Bilinear(rng.normal(size=(4, 2)) @ rng.normal(size=(2, 4)))
    found = stability(game, Extragradient(0.1))
    assert (found.verdict, found.nullity, game.nullity_is_exact) == ("stable", 4, False)
    assert "are taken for zero" in found.certificate


def test_cycles_of_steps_are_decided_by_their_product():
    swap = GDA(Schedule([(1, -1), (-1, 1)]))
    found = stability(XY, swap)
    assert (found.verdict, found.radius.upper, found.has_negative_steps) == ("stable", 0.0, True)
    assert stability(XY, GDA(Schedule([0.1, 0.2]))).verdict == "unstable"


def test_quadratic_games_are_decided_exactly():
    game = Quadratic(1.0, 10.0, 1.0)
    assert stability(game, GDA(0.0198)).verdict == "stable"  # below 2/101
    assert stability(game, GDA(0.0199)).verdict == "unstable"
    assert stability(Quadratic(1.0, 0.0, 1.0), GDA(2)).verdict == "marginal"
    flat = stability(Quadratic([[1.0, 0.0], [0.0, 0.0]], [[0.0], [0.0]], 1.0), GDA(0.5))
    assert (flat.verdict, flat.nullity) == ("stable", 1)


def test_a_marginal_linearisation_decides_nothing():
    for loss in ("gan", "nsgan", "wgan"):
        game = DiracGAN(loss)
        assert flow_stability(game).verdict == "inconclusive"
        assert stability(game, GDA(0.5)).verdict == "unstable"
        for order in ALTERNATING:
            assert stability(game, GDA(0.5, order=order)).verdict == "inconclusive"
    assert flow_stability(XY).verdict == "marginal"


def test_a_kink_at_the_equilibrium_is_inconclusive():
    game = DiracGAN("wgan", regularizer=GradientPenalty(1.0))
    found = flow_stability(game)
    assert found.verdict == "inconclusive"
    assert "not differentiable" in found.certificate


def test_the_flow_of_a_regularised_game_decays_at_its_rate():
    found = flow_stability(DiracGAN(regularizer=R1(0.3)))
    assert found.verdict == "stable"
    assert found.radius.lower <= np.exp(-0.15) <= found.radius.upper


@pytest.mark.parametrize(
    ("game", "method", "error", "words"),
    [
        (XY, AnchoredExtragradient(0.1, variant="FEG"), TypeError, "never repeats"),
        (XY, GDA(lambda k: 1 / (k + 1)), TypeError, "never repeats"),
        (MatrixGame(np.eye(2)), MultiplicativeWeights(0.1), None, "confined"),
        (FiniteSum([1.0, 2.0]),
         StochasticExtragradient(0.1, sample="same", rng=np.random.default_rng(0)),
         TypeError, "random"),
        (XY, ProximalPoint((1, -1)), ValueError, "singular"),
    ],
)  # fmt: skip
def test_what_no_spectrum_decides_is_refused(game, method, error, words):
    if error is None:
        assert stability(game, method).verdict == "inconclusive"
        return
    with pytest.raises(error, match=words):
        stability(game, method)


def test_negative_steps_are_flagged():
    assert stability(XY, Extragradient(-0.1)).has_negative_steps
    assert not stability(XY, Extragradient(0.1)).has_negative_steps


def test_a_quadratic_game_of_many_numbers_agrees_with_its_eigenvalues():
    rng = np.random.default_rng(3)
    P, A = rng.normal(size=(6, 6)), rng.normal(size=(6, 5))
    game = Quadratic(P @ P.T + (P @ P.T).T, A, np.eye(5))
    for method in (GDA(0.01), HeavyBall(0.01, -0.3), OptimisticGDA(0.01), GDA(0.2)):
        found = stability(game, method)
        largest = np.abs(np.linalg.eigvals(method.iteration_matrix(game))).max()
        assert found.verdict == ("stable" if largest < 1.0 else "unstable")
        assert abs(found.radius.lower - largest) < 1e-9  # simple eigenvalues, 22 numbers
    flat = Quadratic([[1.0, 0.0], [0.0, 0.0]], [[0.0], [0.0]], 1.0, b=[0.0, 1.0])
    assert "no equilibrium" in stability(flat, GDA(0.5)).certificate
