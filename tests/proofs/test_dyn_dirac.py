"""Two points, one number for each player: the trap of the gradient penalty, noise, oscillation."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves

HALF = Fraction(1, 2)


# ---- the two-sided penalty -----------------------------------------------------------------------
def two_sided(lam, psi):
    """The derivative of ``lam (psi - 1)^2``, the penalty where psi > 0."""
    return 2 * lam * (psi - 1)


def one_sided(lam, psi):
    """The derivative of ``lam max(psi - 1, 0)^2`` where psi < 1."""
    return 0 * lam * psi


def step(penalty, lam, eta, theta, psi):
    """Simultaneous steps on ``-psi theta - penalty``: the critic ascends, theta descends."""
    return theta + eta * psi, psi + eta * (-theta - penalty(lam, psi))


def check_trap(penalty):
    """The cone ``v > 0, 0 < psi < v``, ``v = 2 lambda - theta``, is mapped into itself, v falls.

    With ``s = v - psi``, ``lambda = 1 + m`` and ``2 eta lambda <= 1``, where everything named is
    nonnegative: ``v+ = s + (1 - eta) psi``, ``psi+ = (1 - 2 eta lambda) psi + eta v`` and
    ``s+ = (1 - eta) s + 2 eta m psi``. So v converges, hence psi = (v - v+) / eta tends to 0,
    hence eta v = psi+ - (1 - 2 eta lambda) psi tends to 0.
    """

    def moved(eta, m, s, psi):
        lam, v = 1 + m, s + psi
        theta, new_psi = step(penalty, lam, eta, 2 * lam - v, psi)
        return 2 * lam - theta, new_psi

    check_nonnegative_combination(
        lambda eta, m, s, psi: moved(eta, m, s, psi)[0],
        lambda eta, m, s, psi: [1, psi],
        lambda eta, m, s, psi: [s, 1 - eta],
    )
    check_nonnegative_combination(
        lambda eta, m, s, psi: moved(eta, m, s, psi)[1],
        lambda eta, m, s, psi: [psi, eta],
        lambda eta, m, s, psi: [1 - 2 * eta * (1 + m), s + psi],
    )
    check_nonnegative_combination(
        lambda eta, m, s, psi: moved(eta, m, s, psi)[0] - moved(eta, m, s, psi)[1],
        lambda eta, m, s, psi: [s, 2 * eta * m],
        lambda eta, m, s, psi: [1 - eta, psi],
    )
    check_identity(
        lambda eta, m, s, psi: (s + psi) - moved(eta, m, s, psi)[0],
        lambda eta, m, s, psi: eta * psi,
    )


TRAP = "wgan-gp-1d-trap"


@proves(
    TRAP,
    strength="identity",
    lemmas=(
        "bounded monotone sequences converge",
        "(theta, psi) -> (-theta, -psi) exchanges the two halves",
    ),
)
def test_every_start_in_the_cone_ends_at_twice_lambda():
    check_trap(two_sided)


@proves(TRAP, role="must_fail")
def test_the_one_sided_penalty_has_no_such_trap():
    check_trap(one_sided)


@proves(TRAP, strength="certificate", role="needs_hypothesis", hypothesis="strong-penalty")
def test_under_a_weak_penalty_the_iterates_spiral_out_of_the_half_plane():
    theta, psi = Fraction(0), HALF
    for _ in range(60):
        theta, psi = step(two_sided, HALF, Fraction(1, 10), theta, psi)
        if psi < 0:
            break
    assert psi < 0


@proves(TRAP, strength="certificate", role="needs_hypothesis", hypothesis="its-own-side")
def test_on_the_other_side_of_zero_the_critic_is_driven_away():
    # At theta = 2 lambda with psi just below 0 the derivative is -2 lambda (psi + 1): psi falls.
    lam, psi = 10, Fraction(-1, 1000)
    assert -2 * lam - 2 * lam * (psi + 1) < -3 * lam


@proves(TRAP, strength="identity", role="supports")
def test_the_flow_near_the_trap_is_a_stable_node():
    # In (v, psi): v' = -psi, psi' = v - 2 lambda psi. Eigenvalues -lambda +- sqrt(lambda^2 - 1).
    check_identity(
        lambda lam, s: (0 - s) * (-2 * lam - s) - (-1) * 1, lambda lam, s: s**2 + 2 * lam * s + 1
    )


@proves("gp-does-not-suffer-the-same-problems", strength="certificate", role="refutes")
def test_the_penalty_holds_the_generator_far_away_with_a_critic_that_fades(record_witness):
    check_trap(two_sided)
    theta, psi = Fraction(1), Fraction(1)
    assert 0 < psi < 20 - theta  # the start is in the cone for lambda = 10
    for _ in range(40):
        theta, psi = step(two_sided, 10, Fraction(1, 32), theta, psi)
        assert 0 < psi < 20 - theta
    record_witness(
        game="data at 0, generated mass at theta, critic psi x, lambda = 10",
        start="theta = 1, psi = 1, any step up to 1/20",
        limit="theta = 20, psi = 0: the critic's gradient vanishes at distance 20 from the data",
    )


@proves("gp-does-not-suffer-the-same-problems", role="must_fail")
def test_the_one_sided_penalty_is_no_counterexample():
    check_trap(one_sided)


@proves(TRAP, strength="tested", role="conforms")
@pytest.mark.parametrize(("start", "limit"), [((1.0, -1.0), 20.0), ((1.0, 1.0), -20.0)])
def test_the_shipped_game_runs_into_the_trap(start, limit):
    from dynamics import GDA, DiracGAN, GradientPenalty
    from dynamics.orbits import orbit

    # Its objective is psi theta plus the penalty with half its strength: psi with the other sign.
    game = DiracGAN("wgan", regularizer=GradientPenalty(20.0))
    path = orbit(game, GDA(1 / 32), list(start), 12_000)
    # |theta| - 20 shrinks from 19 at the rate 1 / (2 lambda) of time, here to 19 exp(-375 / 20).
    assert abs(path.states[0, 0] - limit) < 1e-6


# ---- the improved loss ---------------------------------------------------------------------------
def check_two_modes(eta):
    """Real masses 1/2 and 1/2, generated q and 1 - q, the discriminator at its optimum.

    The gradient of ``-E log D*`` in q, D* fixed, is ``L = log((1 + 2 q) / (3 - 2 q))``. It is 0 at
    q = 1/2, and ``L' = 8 / (4 - (2 q - 1)^2)`` is in [2, 8/3], so that by the mean value theorem a
    step multiplies q - 1/2 by a number in [1 - 8 eta / 3, 1 - 2 eta]: inside [0, 1).
    """
    import sympy

    q = sympy.Symbol("q", positive=True)
    half = sympy.Rational(1, 2)
    D = [half / (half + g) for g in (q, 1 - q)]
    gradient = -sympy.log(D[0]) + sympy.log(D[1])
    assert gradient.subs(q, half) == 0
    slope = sympy.diff(gradient, q)
    assert sympy.simplify(slope - 8 / (4 - (2 * q - 1) ** 2)) == 0
    least, most = slope.subs(q, half), slope.subs(q, 0)
    assert (least, most) == (2, sympy.Rational(8, 3))
    assert 0 <= 1 - most * eta <= 1 - least * eta < 1
    return 1 - most * eta, 1 - least * eta


IMPROVED = "improved-gan-oscillation-and-mode-collapse"


@proves(IMPROVED, strength="certificate", role="refutes")
def test_with_the_optimal_discriminator_both_modes_are_found_without_oscillation(record_witness):
    low, high = check_two_modes(Fraction(1, 4))
    record_witness(
        real=(HALF, HALF),
        generated="(q, 1 - q), from any q, also from q = 0: one mode dropped",
        each_step=f"multiplies q - 1/2 by a number from {low} to {high}: no change of sign",
    )


@proves(IMPROVED, role="must_fail")
def test_steps_that_are_too_long_are_no_counterexample():
    check_two_modes(1)


@proves(IMPROVED, strength="identity", role="supports")
def test_with_both_players_moving_the_game_turns_and_simultaneous_steps_recede():
    # Dirac-GAN, f'(0) = 1/2: the step's matrix is [[1, -h/2], [h/2, 1]] near (0, 0), whose
    # eigenvalues 1 +- i h / 2 have the squared modulus 1 + h^2 / 4.
    check_identity(lambda h, s: (2 * s - 2) ** 2 + h**2, lambda h, s: 4 * s**2 - 8 * s + (4 + h**2))


# ---- noise ---------------------------------------------------------------------------------------
def check_integrand(factor):
    """p = N(0, 1), q = N(d, 1): ``q dlog(2 q / (p + q))/dx = factor d p q / (p + q)``.

    ``dJS/dd = 1/2 integral of dq/dd log(2 q / (p + q))`` and ``dq/dd = -dq/dx``; by parts, JS has
    the derivative ``(d / 2) integral of p q / (p + q)``. Times p + q, with p' = -x p and
    q' = -(x - d) q.
    """
    check_identity(
        lambda p, q, x, d: q * (-(x - d) * (p + q) + x * p + (x - d) * q),
        lambda p, q, x, d: factor * d * p * q,
    )


def check_overlap(share):
    """``p q / (p + q) >= min(p, q) / 2``: ``a (b - a) >= 0`` for the smaller a, the larger b."""
    check_nonnegative_combination(
        lambda a, b: 2 * a * b - share * a * (a + b), lambda a, b: [a], lambda a, b: [b - a]
    )


NOISE = "noise-solves-vanishing-gradient"


@proves(
    NOISE,
    strength="identity",
    lemmas=(
        "differentiation under the integral and integration by parts",
        "the integral of min(p, q) is 2 Phi(-d / 2), at least 2 Phi(-1/2) for d <= 1",
    ),
)
def test_the_gradient_of_smoothed_points_is_at_least_the_overlap():
    # dJS/dt = (d / 2 s) integral of p q / (p + q) >= t Phi(-1/2) / (2 s^2), d = t / s.
    check_integrand(1)
    check_overlap(1)


@proves(NOISE, role="must_fail")
def test_the_derivative_is_not_twice_as_large():
    check_integrand(2)


@proves(NOISE, role="must_fail")
def test_the_overlap_is_not_twice_as_large():
    check_overlap(2)


def tail(x):
    """``Phi(-x)`` as a ball."""
    from flint import arb

    return (x / arb(2).sqrt()).erfc() / 2


@proves(NOISE, strength="enclosure", role="needs_hypothesis", hypothesis="scale")
def test_noise_of_a_twentieth_of_the_distance_leaves_no_gradient():
    from flint import arb

    # p q / (p + q) <= min(p, q): with t = 1, s = 1/20 the gradient is at most (d / s) Phi(-d / 2).
    assert arb(20) * 20 * tail(arb(10)) < 1e-20


def js_slope(d):
    """``(d / 2) integral of p q / (p + q)`` as a ball."""
    from flint import acb, arb

    def density(x, _):
        return (-x * x / 2).exp() / (1 + (d * d / 2 - d * x).exp())

    far = 20
    inside = acb.integral(density, acb(-far), acb(far + d), rel_tol=2**-60).real
    scale = (2 * arb.pi()).sqrt()
    # Outside, the integrand is at most p and at most q.
    return d / 2 * (inside / scale + arb(0, 2 * tail(arb(far)).upper()))


@proves(NOISE, strength="enclosure", role="supports")
@pytest.mark.parametrize(
    ("d", "low", "high"),
    [(1, 0.19898, 0.19900), (5, 0.02368, 0.02370), (10, 2.231e-6, 2.233e-6)],
)
def test_the_gradient_fades_like_a_gaussian_in_the_ratio(d, low, high):
    from flint import arb

    assert low < js_slope(arb(d)) < high
