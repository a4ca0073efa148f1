"""Flows are exact or tight and report what they lose; steps follow modified flows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dynamics.dirac import R1, Clipping, DiracGAN
from dynamics.flows import LOOSEST_RTOL, flow
from dynamics.games import Bilinear, Quadratic
from dynamics.invariants import flow_invariant
from dynamics.linear_games import LinearGame
from dynamics.methods import GDA, Extragradient
from dynamics.modified_fields import ModifiedField, local_errors, modified_field
from dynamics.orbits import orbit
from dynamics.step_rules import Schedule

EPS = float(np.finfo(np.float64).eps)
PERIODS = 1000.0 * 2.0 * math.pi


def test_default_tolerances_make_a_cycle_look_convergent():
    from scipy.integrate import solve_ivp

    game = Bilinear(1.0)
    found = solve_ivp(lambda t, z: -game.field(z), (0.0, PERIODS), [1.0, 0.0])
    assert 0.062 < 1.0 - np.linalg.norm(found.y[:, -1]) < 0.065  # a twin of a spiral inwards
    with pytest.raises(ValueError, match="the cycle looks convergent"):
        flow(game, [1.0, 0.0], [PERIODS], way="solver", rtol=1e-3)


def test_the_exact_flow_of_a_thousand_periods_returns():
    circle = flow(Bilinear(1.0), [1.0, 0.0], [PERIODS])
    # The phase is a float of that size: half a unit in the last place of it, twice.
    np.testing.assert_allclose(circle.states[0], [1.0, 0.0], atol=PERIODS * EPS)
    assert circle.drift < 8 * EPS


def test_the_solver_and_the_midpoint_rule_follow_the_exact_flow():
    game = Bilinear([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]], b=[1.0, 2.0], c=[0.5, 1.0, 0.0])
    game = Bilinear(game.A, b=game.A @ [1.0, 2.0, 3.0], c=game.A.T @ [-1.0, 1.0])
    starts = np.random.default_rng(0).standard_normal((4, 5))
    times = [0.5, 1.0, 10.0]
    exact = flow(game, starts, times)
    solved = flow(game, starts, times, way="solver")
    middle = flow(game, starts, times, way="midpoint", step_size=0.01)
    assert (exact.way, solved.way, middle.way) == ("exact", "solver", "midpoint")
    np.testing.assert_allclose(solved.states, exact.states, atol=1e-8)
    # Local errors h^3 sigma^3 |z| / 12 over t / h steps, sigma < 4, |z| < 8
    np.testing.assert_allclose(middle.states, exact.states, atol=10.0 * 1e-4 * 64 * 8 / 12)
    assert exact.drift < 100 * EPS
    assert middle.drift < 1000 * 20 * EPS
    assert 0.0 < solved.drift < 1e-8


def test_a_linear_game_that_is_not_skew_takes_the_matrix_exponential():
    game = Quadratic(2.0, 0.0, 3.0, b=[2.0], c=[6.0])
    found = flow(game, [[5.0, 5.0], [0.0, 0.0]], [0.0, 1.0])
    rest = np.array([-1.0, 2.0])
    expected = rest + (np.array([[5.0, 5.0], [0.0, 0.0]]) - rest) * np.exp([-2.0, -3.0])
    np.testing.assert_allclose(found.states[1], expected, rtol=1e-13)
    assert found.drift is None


def test_a_skew_game_without_equilibrium_drifts_along_its_flat_direction():
    game = Bilinear([[1.0, 0.0]], c=[0.0, 2.0])
    assert game.equilibrium is None
    found = flow(game, [1.0, 0.0, 0.0], [math.pi])
    # y_2' = c_2, the rest turns
    np.testing.assert_allclose(found.states[0], [-1.0, 0.0, 2.0 * math.pi], atol=1e-14)
    assert found.invariant is None


def test_the_saturating_dirac_gan_keeps_its_circles_and_reports_the_loss():
    starts = np.array([[1.0, 1.0], [0.5, 0.0], [2.0, -1.0]])
    found = flow(DiracGAN("gan"), starts, [10.0, 100.0])
    assert found.way == "solver"
    assert found.drift < 1e-8
    alone = flow(DiracGAN("gan"), starts[2], [10.0, 100.0])
    np.testing.assert_allclose(alone.states, found.states[:, 2], atol=1e-7)
    middle = flow(DiracGAN("gan"), starts, [100.0], way="midpoint", step_size=0.1)
    assert middle.drift < 1000 * 8 * EPS


def test_the_non_saturating_flow_approaches_like_one_over_time():
    # On average over a turn d r^2 / dt = -r^4 / 8, so that 1 / r^2 = 1 / r_0^2 + t / 8; what the
    # average leaves out is of the relative order r^2.
    found = flow(DiracGAN("nsgan"), [1.0, 1.0], [1e3])
    squared = np.square(found.states[0]).sum()
    assert 1.0 / squared == pytest.approx(0.5 + 1e3 / 8.0, rel=squared)
    assert found.way == "solver"
    assert found.drift is None


def test_loose_tolerances_are_allowed_where_nothing_is_conserved():
    found = flow(DiracGAN(regularizer=R1(0.3)), [1.0, 1.0], [50.0], rtol=1e-4)
    assert np.linalg.norm(found.states) < 1e-2
    with pytest.raises(ValueError, match="pass at most 1e-10"):
        flow(DiracGAN("gan"), [1.0, 1.0], [1.0], rtol=2 * LOOSEST_RTOL)


def test_an_invariant_that_is_wrong_shows_in_the_drift():
    wrong = flow_invariant(Bilinear(1.0))
    found = flow(Quadratic(0.1, 1.0, 0.1), [1.0, 1.0], [1.0], invariant=wrong)
    assert found.drift == pytest.approx(1.0 - math.exp(-0.2), rel=1e-12)


@pytest.mark.parametrize(
    ("game", "start", "times", "options", "words"),
    [
        (Bilinear(1.0), [1.0], [1.0], {}, "`start` must have shape"),
        (Bilinear(1.0), [1.0, 1.0], [], {}, "`times` must not be empty"),
        (Bilinear(1.0), [1.0, 1.0], [2.0, 1.0], {}, "`times` must be nonnegative and increasing"),
        (Bilinear(1.0), [1.0, 1.0], [-1.0], {}, "`times` must be nonnegative"),
        (Bilinear(1.0), [1.0, 1.0], [1.0], {"way": "rk45"}, "`way` must be one of"),
        (Bilinear(1.0), [1.0, 1.0], [1.0], {"way": "midpoint"}, "`step_size` must be given"),
        (DiracGAN(), [1.0, 1.0], [1.0], {"way": "exact"}, "`way` = 'exact' is for linear games"),
        (Bilinear(1.0), [1.0, 1.0], [1.0], {"rtol": 0.0}, "`rtol` must be positive"),
    ],
)
def test_what_cannot_be_followed_is_one_clear_sentence(game, start, times, options, words):
    with pytest.raises(ValueError, match=words):
        flow(game, start, times, **options)


def test_what_leaves_the_floats_or_the_constraints_is_refused():
    from evidence import NotCertified

    growing = LinearGame(matrix=-np.eye(2), offset=np.zeros(2), dimensions=(1, 1))
    with pytest.raises(NotCertified, match="leaves the floats by time 1000"):
        flow(growing, [1.0, 1.0], [1.0, 1000.0])
    with pytest.raises(NotCertified, match="leaves the feasible set"):
        flow(DiracGAN("wgan", regularizer=Clipping(1.0)), [3.0, 0.0], [1.0])


# ---- modified fields ----------------------------------------------------------------------------
@pytest.mark.parametrize("order", ["simultaneous", "alternating_xy", "alternating_yx"])
@pytest.mark.parametrize("ratio", [1.0, 3.0])
@pytest.mark.parametrize(
    "game", [Bilinear([[1.0, 0.5]]), DiracGAN("gan"), DiracGAN("nsgan"), Quadratic(0.3, 1.0, 0.1)]
)
def test_one_step_is_second_order_from_the_flow_and_third_from_the_modified_flow(
    game, ratio, order
):
    starts = np.random.default_rng(3).standard_normal((5, sum(game.dimensions)))
    found = local_errors(game, starts, [0.04, 0.02, 0.01], ratio=ratio, order=order)
    assert found.plain_order == pytest.approx(2.0, abs=0.1)
    assert found.corrected_order == pytest.approx(3.0, abs=0.1)


def test_the_correction_of_the_other_order_is_only_second_order():
    game, points = DiracGAN("gan"), np.array([[1.0, 1.0], [0.5, -1.0]])
    errors = []
    for eta in (0.02, 0.01):
        (stepped,) = GDA(eta, order="alternating_xy").step(game, (points,))
        wrong = ModifiedField(game, (eta, eta), "alternating_yx")
        errors.append(np.abs(flow(wrong, points, [1.0], rtol=1e-13).states[0] - stepped).max())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)


def test_the_modified_field_of_xy_is_the_start_of_the_logarithm_of_the_step():
    from scipy.linalg import logm

    h = 1e-3
    J = np.array([[0.0, 1.0], [-1.0, 0.0]])
    # log(I - h J) = log(1 + h^2)/2 I - atan(h) J
    found = modified_field(Bilinear(1.0), GDA(h)).jacobian(np.zeros(2))
    np.testing.assert_allclose(found, h * J - 0.5 * h * h * np.eye(2), atol=1e-18)
    np.testing.assert_allclose(-found, logm(np.eye(2) - h * J), atol=h**3)


def test_the_modified_flow_keeps_company_with_the_orbit():
    game, method = DiracGAN("gan"), GDA(0.1)
    path = orbit(game, method, [1.0, 1.0], 200, save=200).states[-1]
    plain = flow(game, [1.0, 1.0], [20.0]).states[0]
    followed = flow(modified_field(game, method), [1.0, 1.0], [200.0]).states[0]
    assert np.linalg.norm(path - followed) < 0.1 * np.linalg.norm(path - plain)


@pytest.mark.parametrize("method", [Extragradient(0.1), GDA(Schedule([0.1, 0.2]))])
def test_only_constant_gradient_steps_have_a_modified_field_here(method):
    with pytest.raises(TypeError, match="must be GDA with constant steps"):
        modified_field(Bilinear(1.0), method)


def test_an_order_needs_two_steps_and_a_start_that_moves():
    with pytest.raises(ValueError, match="at least two"):
        local_errors(Bilinear(1.0), [1.0, 1.0], [0.1])
    with pytest.raises(ValueError, match="has no order"):
        local_errors(Bilinear(1.0), [0.0, 0.0], [0.1, 0.2])
