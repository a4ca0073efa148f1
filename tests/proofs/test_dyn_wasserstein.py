"""Gradients of W and of JS, what an optimal critic gives, and what no divergence cures."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.logarithms import exact_js, exact_log
from tests.transport_certificates import check_optimal, distances

proves = pytest.mark.proves

HALF = Fraction(1, 2)


# ---- two plots -----------------------------------------------------------------------------------
def descend(slope, eta, theta, steps):
    for _ in range(steps):
        theta -= eta * slope(theta)
    return theta


def refute_usable_gradient(function, slope, eta, theta):
    """No derivative at the optimum, and descent with a fixed step returns to where it began."""
    h = Fraction(1, 1000)
    assert function(h) / h != function(-h) / -h
    assert descend(slope, eta, theta, 1) != theta
    assert descend(slope, eta, theta, 2) == theta


def sign(theta):
    return (theta > 0) - (theta < 0)


@proves("em-plot-usable-gradient-everywhere", strength="certificate", role="refutes")
def test_at_the_optimum_there_is_no_gradient_and_descent_cycles(record_witness):
    eta, theta = Fraction(1, 10), Fraction(1, 20)
    refute_usable_gradient(abs, sign, eta, theta)
    # |theta| is the distance: the plan moves all mass, the prices 0 and |theta| prove it.
    check_optimal(distances([0], [theta]), [1], [1], plan=[[1]],
                  potentials=([0], [theta]), value=theta)  # fmt: skip
    # From anywhere: theta mod eta and that minus eta, here 1/30 and -1/15.
    assert descend(sign, eta, Fraction(1, 3), 4) == Fraction(-1, 15)
    assert descend(sign, eta, Fraction(1, 3), 5) == Fraction(1, 30)
    assert descend(sign, eta, Fraction(1, 3), 6) == Fraction(-1, 15)
    record_witness(at_zero="secants of slope 1 and -1", step=eta, start=theta,
                   orbit="1/20, -1/20, 1/20, ...")  # fmt: skip


@proves("em-plot-usable-gradient-everywhere", role="must_fail")
def test_a_parabola_has_a_usable_gradient():
    refute_usable_gradient(lambda t: t * t, lambda t: 2 * t, Fraction(1, 10), Fraction(1, 20))


def check_js_plot(at_zero, elsewhere):
    """One constant off 0 and another value at 0: a jump, and difference quotients that are 0."""
    assert exact_js([1], [1]) == at_zero
    assert exact_js([1, 0], [0, 1]) == elsewhere
    assert elsewhere - at_zero > 0
    h = Fraction(1, 1000)
    assert (elsewhere - elsewhere) * (1 / h) == 0


@proves("js-plot-not-continuous-no-gradient", strength="identity")
def test_js_jumps_at_zero_and_is_flat_elsewhere():
    # That the value log 2 holds for all theta != 0 is the claim on the parallel lines.
    check_js_plot(exact_log(1), exact_log(2))


@proves("js-plot-not-continuous-no-gradient", role="must_fail")
def test_js_of_separated_laws_is_not_their_total_variation():
    check_js_plot(exact_log(1), 1)


# ---- a critic or a classifier --------------------------------------------------------------------
def check_critic_slope(rise):
    """On a segment of length r, R the rise of an optimal critic, F that at the share t.

    1-Lipschitz: ``F <= t r`` and ``R - F <= (1 - t) r``; coupled: ``R = r``. Then ``F = t r``.
    """
    check_nonnegative_combination(
        lambda t, r, F, R: F - t * r,
        lambda t, r, F, R: [1, 1],
        lambda t, r, F, R: [(1 - t) * r - (R - F), rise(R, r)],
    )


def check_classifier_slope(smallest):
    """D >= ``smallest`` near a generated point with D = 0 and slope g: ``|g| <= e``, any e > 0."""
    for side in (1, -1):
        check_nonnegative_combination(
            lambda g, h, e, r, s=side: e * h - s * g * h,
            lambda g, h, e, r, s=side: [1, 1],
            lambda g, h, e, r, s=side: [e * h - r, -s * g * h + r - smallest(h)],
        )


BETTER = "lipschitz-constraint-produces-better-gradients"


@proves(
    BETTER,
    strength="identity",
    scope="the critic",
    lemmas=("a nonnegative function |x - y| - (f(y) - f(x)) of mean 0 is 0 almost surely",),
)
def test_an_optimal_critic_has_slope_one_towards_the_data():
    check_critic_slope(lambda R, r: R - r)


@proves(
    BETTER,
    strength="identity",
    scope="the classifier",
    lemmas=("D(x + h) = D(x) + g h + r with r <= e h: the definition of the derivative",),
)
def test_an_optimal_classifier_is_flat_on_the_generated_points():
    check_classifier_slope(lambda h: 0)


@proves(BETTER, role="must_fail")
def test_a_critic_that_is_not_optimal_may_be_flat():
    check_critic_slope(lambda R, r: r)


@proves(BETTER, role="must_fail")
def test_a_classifier_without_a_least_value_may_be_steep():
    check_classifier_slope(lambda h: -h)


@proves(BETTER, strength="certificate", role="needs_hypothesis", hypothesis="apart")
def test_for_equal_laws_the_critic_is_as_flat_as_the_classifier():
    check_optimal([[0]], [1], [1], plan=[[1]], potentials=([0], [0]), value=0)
    assert [HALF / (HALF + HALF)] == [HALF]  # D* = p / (p + q) is constant as well


# ---- no balancing --------------------------------------------------------------------------------
def check_envelope(lead):
    """``W(theta + h) >= F(f*, theta + h)`` with equality at h = 0: the slopes w and g agree.

    With ``W = w h + r``, ``F = g h + q`` and ``|r|, |q| <= e h`` on both sides of 0:
    ``|w - g| <= 2 e`` for every e > 0.
    """
    for side in (1, -1):
        check_nonnegative_combination(
            lambda w, g, h, e, r, q, s=side: 2 * e * h - s * (g - w) * h,
            lambda w, g, h, e, r, q, s=side: [1, 1, 1],
            lambda w, g, h, e, r, q, s=side: [
                s * w * h + r - (s * g * h + q) - lead(h),
                e * h - r,
                e * h + q,
            ],
        )


def check_two_diracs(side):
    """Data at 0, generated mass at theta of this side: ``W = |theta|``, ``f* = -side x``."""
    import sympy

    theta, x = sympy.symbols("theta x", real=True)
    W, f = side * theta, -side * x
    value = f.subs(x, 0) - f.subs(x, theta)
    assert sympy.expand(W - value) == 0
    assert sympy.diff(W, theta) == -sympy.diff(f, x)


NO_BALANCE = "no-balancing-required-in-theory"


@proves(
    NO_BALANCE,
    strength="identity",
    lemmas=("W is the largest value of all 1-Lipschitz critics (Kantorovich-Rubinstein)",),
)
def test_an_optimal_critic_gives_the_gradient_of_the_distance():
    check_envelope(lambda h: 0)
    check_two_diracs(1)
    check_two_diracs(-1)


@proves(NO_BALANCE, role="must_fail")
def test_a_critic_that_lags_behind_does_not():
    check_envelope(lambda h: -h)


@proves(NO_BALANCE, strength="identity", role="needs_hypothesis", hypothesis="optimal")
def test_five_critic_steps_for_one_of_the_generator_circle_for_ever():
    # Critic -psi x, step eta: psi + 5 eta theta, then theta - eta psi. With steps a = eta and
    # b = 5 eta it conserves b theta^2 + a psi^2 + a b theta psi, a positive form below a b = 4.
    check_identity(
        lambda e, t, p: (
            5 * e * (t - e * (p + 5 * e * t)) ** 2
            + e * (p + 5 * e * t) ** 2
            + 5 * e**2 * (t - e * (p + 5 * e * t)) * (p + 5 * e * t)
        ),
        lambda e, t, p: 5 * e * t**2 + e * p**2 + 5 * e**2 * t * p,
    )
    check_identity(
        lambda e, t, p: 4 * (5 * t**2 + p**2 + 5 * e * t * p),
        lambda e, t, p: (2 * p + 5 * e * t) ** 2 + 5 * (4 - 5 * e**2) * t**2,
    )


@proves(NO_BALANCE, strength="certificate", role="needs_hypothesis", hypothesis="differentiable")
def test_at_the_optimum_the_distance_has_no_gradient():
    h = Fraction(1, 1000)
    assert abs(h) / h != abs(-h) / -h


# ---- the root of all problems --------------------------------------------------------------------
def refute_root(objective):
    """The critic ascends and the generator descends on the WGAN objective: ``xy`` again.

    Simultaneous steps multiply the squared norm by ``1 + eta^2``, for all psi, theta and eta.
    """
    import sympy

    psi, theta, eta = sympy.symbols("psi theta eta", real=True)
    value = objective(psi, theta)
    new_psi = psi + eta * sympy.diff(value, psi)
    new_theta = theta - eta * sympy.diff(value, theta)
    growth = new_psi**2 + new_theta**2 - (1 + eta**2) * (psi**2 + theta**2)
    assert sympy.expand(growth) == 0


@proves("jsd-is-the-root-of-all-gan-problems", strength="certificate", role="refutes")
def test_a_wasserstein_gan_is_the_same_bilinear_game(record_witness):
    # E D(real) - E D(fake) with D = psi x, real 0 and fake theta.
    refute_root(lambda psi, theta: psi * 0 - psi * theta)
    record_witness(
        game="WGAN, critic psi x, data at 0, generated mass at theta: objective -psi theta",
        simultaneous_steps="multiply psi^2 + theta^2 by 1 + eta^2: no Jensen-Shannon anywhere",
    )


@proves("jsd-is-the-root-of-all-gan-problems", role="must_fail")
def test_a_critic_that_pays_for_its_slope_plays_another_game():
    refute_root(lambda psi, theta: -psi * theta - psi**2 / 2)


@proves("jsd-is-the-root-of-all-gan-problems", strength="tested", role="supports")
@pytest.mark.parametrize("c", [1.0, 0.0078125])
def test_with_clipping_the_wasserstein_gan_ends_in_a_cycle(c):
    # It cannot converge: near the only fixed point (0, 0) nothing is clipped and the norm grows.
    # The orbit for c is c times that for 1, exactly so for powers of two.
    theta, psi, peak = c, c, 0.0
    for k in range(20_000):
        theta, psi = theta + 0.05 * psi, max(-c, min(c, psi - 0.05 * theta))
        peak = max(peak, abs(theta)) if k >= 19_000 else 0.0
    assert 1.03 < peak / c < 1.05
