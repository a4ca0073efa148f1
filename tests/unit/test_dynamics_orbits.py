"""Orbits: closed forms agree with steps, nothing overflows, nothing is aliased or overwritten."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dynamics
from dynamics.games import Bilinear, Quadratic
from dynamics.methods import GDA, ImplicitMidpoint
from dynamics.orbits import orbit
from dynamics.power_orbits import apply_powers
from dynamics.powers import scaled_power, spectral_norm_upper
from dynamics.step_rules import Schedule

EPS = float(np.finfo(np.float64).eps)
ORDERS = ("simultaneous", "alternating_xy", "alternating_yx")
RECTANGLE = Bilinear([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])


def stepped(game, method, start, steps):
    """The orbit by the definition, one step at a time."""
    state = method.initial_state(game, start)
    states = [state[0]]
    for k in range(steps):
        state = method.step(game, state, k)
        states.append(state[0])
    return np.array(states)


def exact_power(matrix, k):
    power = [[Fraction(int(i == j)) for j in range(len(matrix))] for i in range(len(matrix))]
    entries = [[Fraction(float(x)) for x in row] for row in matrix]
    for _ in range(k):
        power = [
            [
                sum(a * b for a, b in zip(row, column, strict=True))
                for column in zip(*entries, strict=True)
            ]
            for row in power
        ]
    return power


# ---- powers -------------------------------------------------------------------------------------
@given(st.integers(0, 2**32), st.integers(1, 12), st.sampled_from([2, 3, 9]))
def test_a_power_differs_from_the_exact_one_by_at_most_its_bound(seed, k, n):
    matrix = np.random.default_rng(seed).standard_normal((n, n))
    power = scaled_power(matrix, k)
    scale = Fraction(2) ** -power.exponent
    error = [
        [entry * scale - Fraction(float(found)) for entry, found in zip(exact, row, strict=True)]
        for exact, row in zip(exact_power(matrix, k), power.matrix, strict=True)
    ]
    # The Frobenius norm of the error is at most sqrt(n) times its spectral norm.
    squared = sum(entry * entry for row in error for entry in row)
    assert squared <= n * Fraction(power.error) ** 2
    assert np.linalg.norm(power.matrix, 2) <= power.norm * (1.0 + n * n * EPS)
    assert power.error < 1e-10


def test_every_snapshot_found_by_doubling_is_within_its_bound():
    rng = np.random.default_rng(4)
    matrix, w, steps = rng.standard_normal((2, 2)), rng.standard_normal(2), np.arange(70)
    found, errors, _ = apply_powers(matrix, w[None], steps, slice(0, 2))
    exact = [[Fraction(float(x))] for x in w]
    entries = [[Fraction(float(x)) for x in row] for row in matrix]
    length = sum(x[0] * x[0] for x in exact)
    for t in steps.tolist():
        scale = Fraction(2) ** -int(found.exponents[t, 0])
        difference = [
            x[0] * scale - Fraction(float(v))
            for x, v in zip(exact, found.values[t, 0], strict=True)
        ]
        assert sum(v * v for v in difference) <= Fraction(float(errors[t])) ** 2 * length
        exact = [[sum(a * x[0] for a, x in zip(row, exact, strict=True))] for row in entries]
    assert errors.max() < 1e-13


def test_the_bound_of_a_float_power_of_a_rotation_grows_like_its_length():
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 20)))[0]
    assert scaled_power(rotation, 10**4).error < 20 * 10**4 * 20 * EPS
    assert 1.0 <= spectral_norm_upper(rotation) * (1 + 1e-13) < 1.0 + 1e-12


def test_a_nilpotent_power_is_zero_without_error():
    power = scaled_power([[0.0, 1.0], [0.0, 0.0]], 2)
    assert not power.matrix.any()
    assert (power.exponent, power.error) == (0, 0.0)


@pytest.mark.parametrize(("matrix", "k"), [([[1.0, 2.0]], 1), ([[1.0]], -1), ([[np.nan]], 1)])
def test_what_has_no_power_is_refused(matrix, k):
    with pytest.raises(ValueError, match=r"`matrix`|`exponent`"):
        scaled_power(matrix, k)


# ---- closed forms and steps ---------------------------------------------------------------------
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("save", [None, 7, 1, [0, 3, 100]])
def test_powers_and_steps_give_the_same_orbit(order, save):
    game = Bilinear([[1.0, 2.0], [0.0, -1.0]], b=[1.0, 2.0], c=[-3.0, 0.5])
    method = GDA((0.1, 0.2), order=order)
    starts = np.random.default_rng(1).standard_normal((3, 2, 4))
    path = orbit(game, method, starts, 100, save=save, average=True)
    expected = stepped(game, method, starts, 100)
    assert path.way == "powers"
    assert path.errors.shape == path.steps.shape
    np.testing.assert_allclose(path.states, expected[path.steps], rtol=1e-11, atol=1e-11)
    means = np.cumsum(expected, axis=0) / np.arange(1, 102)[:, None, None, None]
    np.testing.assert_allclose(path.averages, means[path.steps], rtol=1e-11, atol=1e-11)


def test_every_linear_method_takes_powers_and_agrees_with_its_steps():
    game = Bilinear([[1.0, 2.0], [0.0, -1.0]], b=[1.0, 2.0], c=[-3.0, 0.5])
    start = np.array([1.0, -1.0, 0.5, 2.0])
    for method in (
        dynamics.Extragradient(0.1, 0.2),
        dynamics.OGD(0.2, 0.1),
        dynamics.HeavyBall(0.1, -0.3, order="alternating_xy"),
        dynamics.ProximalPoint(0.5),
        dynamics.CompetitiveGradient(0.2),
    ):
        path = orbit(game, method, start, 50)
        assert path.way == "powers"
        # Fifty steps of a few roundings of numbers below 10 each.
        expected = stepped(game, method, start, 50)[-1]
        np.testing.assert_allclose(path.states[0], expected, atol=50 * 20 * 10 * EPS)


def test_random_and_anchored_methods_are_stepped():
    rng = np.random.default_rng(0)
    noisy = dynamics.StochasticExtragradient(0.1, sample="independent", rng=rng)
    game = dynamics.FiniteSum([0.0, 2.0])
    path = orbit(game, noisy, np.ones((1000, 2)), 100)
    assert path.way == "steps"
    assert len(np.unique(path.log_norms)) > 100  # the mean matrix would give one
    game = Bilinear(1.0, b=[-1.0], c=[-3.0])
    path = orbit(game, dynamics.Halpern(0.1), [4.0, 1.0], 10)
    expected = stepped(game, dynamics.Halpern(0.1), np.array([4.0, 1.0]), 10)
    assert path.way == "steps"
    np.testing.assert_array_equal(path.states[0], path.centre + (expected[-1] - path.centre))


def test_multiplicative_weights_are_iterated_on_their_simplices():
    pennies = dynamics.MatrixGame([[1.0, -1.0], [-1.0, 1.0]])
    start = [0.6, 0.4, 0.6, 0.4]
    path = orbit(pennies, dynamics.MultiplicativeWeights(0.1), start, 100, save=50, average=True)
    np.testing.assert_allclose(path.states.reshape(-1, 2, 2).sum(axis=-1), 1.0)
    assert path.average_deviations.values.shape == (3, 4)


def test_a_schedule_is_stepped_and_keeps_its_log_norms():
    schedule = Schedule([1.0, 2.0])
    path = orbit(Bilinear(1.0), GDA(schedule), [1.0, 0.0], 5000, save=2500, average=True)
    assert path.way == "steps"
    # |z|^2 grows by 1 + eta^2 in every step: by 2 * 5 in two.
    np.testing.assert_allclose(path.log_norms, np.array([0, 1250, 2500]) * math.log(10.0) / 2)
    with pytest.raises(OverflowError, match="read `log_norms`"):
        _ = path.states


def test_the_average_of_a_growing_orbit_is_known_beyond_the_floats():
    by_powers = orbit(Bilinear(1.0), GDA(1.0), [1.0, 0.5], 4000, average=True)
    by_steps = orbit(Bilinear(1.0), GDA(Schedule([1.0])), [1.0, 0.5], 4000, average=True)
    a, b = (path.average_deviations.log_norms() for path in (by_powers, by_steps))
    np.testing.assert_allclose(a, b, rtol=1e-12)
    # sum z_k = J^-1 (z_0 - z_T) / eta, and |J^-1 w| = |w|
    T = 4001
    np.testing.assert_allclose(a + math.log(T), 0.5 * T * math.log(2.0) + 0.5 * math.log(1.25))


def test_the_norm_of_simultaneous_steps_is_exact_after_a_million():
    path = orbit(Bilinear(1.0), GDA(1.0), [1, 1], 10**6)
    expected = 0.5 * math.log(2.0) * (10**6 + 1)
    assert path.log_norms == pytest.approx(expected, rel=4 * EPS)
    path = orbit(Bilinear(1.0), GDA(0.1), [1, 1], 10**6)
    # The method on the float 0.1, whose square is not the float 0.01.
    eta = Fraction(0.1)
    slope = math.log1p(float(eta * eta))
    expected = 0.5 * (math.log(2.0) + 10**6 * slope)
    assert path.log_norms == pytest.approx(expected, rel=8 * EPS)


def test_a_start_without_the_dominant_direction_is_not_lost():
    game = Bilinear(np.diag([1.0, 1e-3]))
    starts = np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    path = orbit(game, GDA(1.0), starts, 10000)
    slow, fast = path.log_norms[0]
    assert slow == pytest.approx(0.5 * math.log(2.0) + 5000 * math.log1p(1e-6), rel=1e-10)
    assert fast == pytest.approx(0.5 * math.log(2.0) + 5000 * math.log(2.0), rel=1e-10)
    assert path.way == "steps"


def test_a_convergent_orbit_has_log_norms_below_the_floats():
    path = orbit(Quadratic(1.0, 0.0, 1.0), GDA(0.5), [1.0, 1.0], 10**5)
    assert path.log_norms == pytest.approx(-(10**5 - 0.5) * math.log(2.0), rel=1e-14)
    assert path.states.tolist() == [[0.0, 0.0]]


# ---- invariants ---------------------------------------------------------------------------------
@pytest.mark.parametrize("order", ORDERS)
def test_the_invariant_of_gradient_descent_ascent_hardly_drifts(order):
    starts = np.random.default_rng(2).standard_normal((4, 5))
    path = orbit(RECTANGLE, GDA((0.1, 0.3), order=order), starts, 10**4, save=1000)
    assert path.invariants.shape[:2] == (11, 4)
    # One rounding of the iteration matrix per step, of relative size EPS, at worst aligned.
    assert path.drift < 8 * 10**4 * EPS


def test_the_implicit_midpoint_conserves_the_weighted_norm():
    path = orbit(RECTANGLE, ImplicitMidpoint((0.5, 2.0)), np.ones(5), 10**4, save=1000)
    assert path.invariant.formula == "|x|^2 / a + |y|^2 / b"
    assert path.drift < 8 * 10**4 * EPS


def test_the_other_players_invariant_is_not_conserved():
    path = orbit(RECTANGLE, GDA(0.3, order="alternating_xy"), np.ones(5), 50, save=1)
    other = orbit(RECTANGLE, GDA(0.3, order="alternating_yx"), np.ones(5), 50, save=1)
    wrong = other.invariant
    assert wrong.changes(wrong.along(path.deviations, path.steps)).max() > 0.1


def test_what_is_not_known_is_not_reported():
    path = orbit(Quadratic(1.0, 1.0, 1.0), GDA(0.1), [1.0, 1.0], 3)
    assert path.drift is None
    with pytest.raises(ValueError, match="no `invariants`"):
        _ = path.invariants
    with pytest.raises(ValueError, match="average=True"):
        _ = path.averages


# ---- bad input, aliasing ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("starts", "steps", "save", "words"),
    [
        ([1.0, 1.0], 0, None, "`steps` must be at least 1"),
        ([1.0, 1.0], 5, [0, 6], "`save` must be increasing steps from 0 to 5"),
        ([1.0, 1.0], 5, [3, 3], "`save` must be increasing"),
        ([1.0, 1.0], 5, [], "`save` must be a stride or a list"),
        ([1.0, 1.0], 5, 0, "`save` must be at least 1"),
        ([1.0, 1.0, 1.0], 5, None, "`starts` must have shape"),
        (1.0, 5, None, "`starts` must have shape"),
        (np.empty((0, 2)), 5, None, "`starts` must not be empty"),
        ([1.0, np.inf], 5, None, "`starts` must be finite"),
        (np.ones((1000, 2)), 10**6, 1, "GiB; save fewer steps"),
    ],
)
def test_what_cannot_be_iterated_is_one_clear_sentence(starts, steps, save, words):
    with pytest.raises(ValueError, match=words):
        orbit(Bilinear(1.0), GDA(0.1), starts, steps, save=save)


def test_starts_must_be_real():
    with pytest.raises(TypeError, match="`starts`"):
        orbit(Bilinear(1.0), GDA(0.1), [1j, 1.0], 3)


@pytest.mark.parametrize("method", [GDA(1), GDA(Schedule([1]))])
def test_stored_states_are_neither_the_starts_nor_each_other(method):
    starts = np.array([[1.0, 1.0], [2.0, 0.0]])
    kept = starts.copy()
    path = orbit(Bilinear(1.0), method, starts, 3, save=1)
    starts[:] = 7.0
    np.testing.assert_array_equal(path.states[0], kept)
    np.testing.assert_array_equal(path.states[1], [[0.0, 2.0], [2.0, 2.0]])
    with pytest.raises(ValueError, match="read-only"):
        path.states[0] = 0.0
