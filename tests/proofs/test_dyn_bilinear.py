"""Simultaneous gradient descent on ``min_x max_y x y``: it grows, whatever the step sizes."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from tests.identities import check_identity

proves = pytest.mark.proves

HALF = Fraction(1, 2)


def simultaneous(eta, x, y):
    return x - eta * y, y + eta * x


def extragradient(eta, x, y):
    ahead_x, ahead_y = simultaneous(eta, x, y)
    return x - eta * ahead_y, y + eta * ahead_x


def alternating(eta, x, y):
    x = x - eta * y
    return x, y + eta * x


def squared(x, y):
    return x * x + y * y


def check_growth(step, factor):
    """The squared norm is multiplied by ``factor(eta)`` in every step, from every point."""
    check_identity(
        lambda eta, x, y: squared(*step(eta, x, y)),
        lambda eta, x, y: factor(eta) * squared(x, y),
    )


# ---- the updates ---------------------------------------------------------------------------------
def check_update(step):
    """``x - eta df/dx`` and ``y - eta dg/dy`` for ``f = x y`` and ``g = -x y``."""
    import sympy

    eta, x, y = sympy.symbols("eta x y", real=True)
    f, g = x * y, -x * y
    expected = (x - eta * sympy.diff(f, x), y - eta * sympy.diff(g, y))
    difference = [sympy.expand(a - b) for a, b in zip(step(eta, x, y), expected, strict=True)]
    assert difference == [0, 0]


@proves("bilinear-gda-update-signs", strength="identity")
def test_one_player_descends_and_the_other_ascends():
    check_update(simultaneous)


@proves("bilinear-gda-update-signs", role="must_fail")
def test_in_turn_the_second_player_answers_another_x():
    check_update(alternating)


@proves("bilinear-gda-update-signs", strength="tested", role="conforms")
def test_the_shipped_method_makes_these_updates():
    import numpy as np

    from dynamics import GDA, Bilinear

    eta, x, y = 0.25, 3.0, -5.0  # exact in binary
    (z,) = GDA(eta, order="simultaneous").step(Bilinear(1.0), (np.array([x, y]),))
    assert tuple(z) == simultaneous(eta, x, y)


# ---- constant steps ------------------------------------------------------------------------------
@proves(
    "bilinear-simultaneous-gda-diverges",
    strength="identity",
    lemmas=("1 + eta^2 > 1 for eta != 0", "(1 + eta^2)^t grows beyond every bound"),
)
def test_every_step_multiplies_the_squared_norm_by_one_plus_eta_squared():
    check_growth(simultaneous, lambda eta: 1 + eta**2)


@proves("bilinear-simultaneous-gda-diverges", role="must_fail")
def test_extragradient_does_not_grow_by_this_factor():
    check_growth(extragradient, lambda eta: 1 + eta**2)


def check_rest(eta, start):
    """Nothing moves, so that the iterates converge."""
    assert simultaneous(eta, *start) == start


@proves(
    "bilinear-simultaneous-gda-diverges",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="moves",
)
def test_a_step_size_of_zero_stays_where_it_is():
    check_rest(0, (1, 1))


@proves(
    "bilinear-simultaneous-gda-diverges",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="not-there-already",
)
def test_at_the_equilibrium_nothing_moves():
    check_rest(HALF, (0, 0))


@proves("bilinear-simultaneous-gda-diverges", role="must_fail")
def test_elsewhere_something_moves():
    check_rest(HALF, (1, 1))


def orbit(eta, steps, start=(Fraction(1), Fraction(1))):
    z = start
    for _ in range(steps):
        z = simultaneous(eta, *z)
    return z


@proves("bilinear-simultaneous-gda-diverges", strength="certificate", role="supports")
def test_two_orbits_in_exact_numbers():
    assert squared(*orbit(HALF, 10)) == Fraction(9765625, 524288)
    # Step 1: an eighth of a turn and a factor sqrt(2), so that 8 steps multiply by 16.
    assert orbit(1, 8) == (16, 16)


@proves("bilinear-simultaneous-gda-diverges", strength="enclosure", role="supports")
def test_a_turn_takes_63_steps_and_grows_by_37_percent_at_a_step_of_one_tenth():
    from flint import arb, ctx

    bits = ctx.prec
    try:
        ctx.prec = 100
        eta = arb(1) / 10
        turn = 2 * arb.pi() / eta.atan()
        growth = ((1 + eta**2).log() * turn / 2).exp()
        assert 63.04 < turn < 63.05
        assert 1.3683 < growth < 1.3684
    finally:
        ctx.prec = bits


# ---- steps that change ---------------------------------------------------------------------------
@proves(
    "bilinear-decreasing-steps-limit-not-equilibrium",
    strength="identity",
    lemmas=("a sequence of norms that never decreases from r > 0 does not tend to 0",),
)
def test_no_step_of_any_size_brings_the_iterates_nearer():
    # |z+|^2 - |z|^2 = (eta |z|)^2: a square, for the step of every iteration.
    check_growth(simultaneous, lambda eta: 1 + eta**2)


@proves("bilinear-decreasing-steps-limit-not-equilibrium", role="must_fail")
def test_a_step_of_extragradient_may_bring_them_nearer():
    check_growth(extragradient, lambda eta: 1 + eta**2)


def check_telescope(c):
    """``3 prod_(t <= N) (1 + 4^-t) <= 6 - c 4^-N`` by induction, u = 4^-(N+1)."""
    assert 6 - c >= 3  # the empty product, N = 0
    check_identity(
        lambda u: (6 - c * u) - (6 - 4 * c * u) * (1 + u),
        lambda u: 8 * u**2,
    )


def limit_of_halving_steps(last):
    """From (1, 0) with steps 2^-1, 2^-2, ...: a point and how far the limit is from it at most.

    ``|z_t|^2 <= prod (1 + 4^-t) <= 2`` and ``|z_(t+1) - z_t| = 2^-t |z_t|``, so that what is left
    after the last step is at most ``sqrt(2) 2^-last < 2^(1 - last)``.
    """
    z = (Fraction(1), Fraction(0))
    for t in range(1, last + 1):
        z = simultaneous(Fraction(1, 2**t), *z)
    return z, Fraction(2, 2**last)


def check_limit(point, radius, last=40):
    (x, y), rest = limit_of_halving_steps(last)
    assert squared(x - point[0], y - point[1]) <= (radius - rest) ** 2


@proves(
    "bilinear-decreasing-steps-limit-not-equilibrium",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="to-the-equilibrium",
)
def test_halving_steps_converge_to_another_point():
    check_telescope(2)
    check_identity(
        lambda eta, x, y: squared(*(a - b for a, b in zip(simultaneous(eta, x, y), (x, y),
                                                          strict=True))),
        lambda eta, x, y: eta**2 * squared(x, y),
    )  # fmt: skip
    there = (Fraction(66983964, 10**8), Fraction(95248335, 10**8))
    check_limit(there, radius=Fraction(1, 10**7))


@proves("bilinear-decreasing-steps-limit-not-equilibrium", role="must_fail")
def test_the_limit_of_halving_steps_is_not_the_equilibrium():
    check_limit((0, 0), radius=1)


@proves(
    "bilinear-decreasing-steps-limit-not-equilibrium",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="not-there-already",
)
def test_at_the_equilibrium_every_schedule_rests():
    for eta in (Fraction(1, t) for t in range(1, 10)):
        check_rest(eta, (0, 0))


def check_product(factor_times_t, total):
    """With squared steps u_t the factors ``1 + u_t`` telescope to ``total(T)``, all T at once."""
    check_identity(lambda t: factor_times_t(t), lambda t: t + 1)
    assert all(total(T) * Fraction(T + 2, T + 1) == total(T + 1) for T in range(50))


@proves(
    "simultaneous-steps-of-every-schedule-grow",
    strength="identity",
    scope="equal steps",
    lemmas=("squares are not negative",),
)
def test_equal_steps_multiply_the_squared_norm():
    check_growth(simultaneous, lambda eta: 1 + eta**2)


def check_weighted_growth(weight_x, weight_y):
    """Steps a, b on ``s x y``: ``weight_x x^2 + weight_y y^2`` is multiplied by ``1 + a b s^2``."""
    check_identity(
        lambda a, b, s, x, y: (
            weight_x(a, b) * (x - a * s * y) ** 2 + weight_y(a, b) * (y + b * s * x) ** 2
        ),
        lambda a, b, s, x, y: (1 + a * b * s**2) * (weight_x(a, b) * x**2 + weight_y(a, b) * y**2),
    )


@proves(
    "simultaneous-steps-of-every-schedule-grow",
    strength="identity",
    scope="a singular pair, unequal steps",
    lemmas=("the singular value decomposition splits x^T A y into games s x y",),
)
def test_unequal_steps_multiply_a_weighted_norm_of_each_singular_pair():
    check_weighted_growth(lambda a, b: b, lambda a, b: a)


@proves("simultaneous-steps-of-every-schedule-grow", role="must_fail")
def test_steps_in_turn_do_not():
    check_growth(alternating, lambda eta: 1 + eta**2)


@proves("simultaneous-steps-of-every-schedule-grow", role="must_fail")
def test_with_the_weights_exchanged_there_is_no_common_factor():
    check_weighted_growth(lambda a, b: a, lambda a, b: b)


@proves("simultaneous-steps-of-every-schedule-grow", strength="certificate", role="supports")
def test_steps_one_over_the_root_of_k_grow_to_exactly_t_plus_one():
    # (1 + 1/t) t = t + 1, hence prod_(t = 1..T) (1 + 1/t) = T + 1.
    check_product(lambda t: t + 1, lambda T: T + 1)


@proves("simultaneous-steps-of-every-schedule-grow", strength="enclosure", role="supports")
def test_steps_one_over_k_grow_to_the_hyperbolic_sine_of_pi_over_pi():
    from flint import arb, ctx

    bits = ctx.prec
    try:
        ctx.prec = 100
        # prod_(t > N) (1 + t^-2) lies between 1 and exp(sum t^-2) < exp(1/N).
        N = 2000
        head = math.prod((Fraction(t * t + 1, t * t) for t in range(1, N + 1)), start=Fraction(1))
        low = arb(head.numerator) / head.denominator
        limit = arb.pi().sinh() / arb.pi()
        assert low < limit < low * (arb(1) / N).exp()
        assert 1.917310 < limit.sqrt() < 1.917311
    finally:
        ctx.prec = bits


# ---- opposite signs ------------------------------------------------------------------------------
def refute_that_opposite_signs_prevent_convergence(step, factor, eta, steps=200):
    """Signs differ time and again, and the squared norm is multiplied by a number below 1."""
    check_growth(step, factor)
    assert 0 <= factor(eta) < 1
    z = (Fraction(1), Fraction(1))
    negative = []
    for _ in range(steps):
        z = step(eta, *z)
        negative.append(z[0] * z[1] < 0)
    assert squared(*z) == 2 * factor(eta) ** steps
    flips = sum(a != b for a, b in zip([False, *negative], negative, strict=False))
    assert flips > 10
    return flips, squared(*z)


@proves("bilinear-opposite-signs-imply-nonconvergence", strength="certificate", role="refutes")
def test_extragradient_crosses_quadrants_and_converges(record_witness):
    flips, last = refute_that_opposite_signs_prevent_convergence(
        extragradient, lambda eta: 1 - eta**2 + eta**4, HALF
    )
    assert flips == 75
    assert last == 2 * Fraction(13, 16) ** 200 < Fraction(1, 10**17)
    record_witness(
        method="extragradient, step 1/2, from (1, 1)",
        sign_changes_in_200_steps=flips,
        factor_of_the_squared_norm="13/16 in every step",
    )


@proves("bilinear-opposite-signs-imply-nonconvergence", role="must_fail")
def test_simultaneous_steps_are_no_counterexample():
    refute_that_opposite_signs_prevent_convergence(simultaneous, lambda eta: 1 + eta**2, HALF)


@proves("bilinear-opposite-signs-imply-nonconvergence", strength="certificate", role="refutes")
def test_the_steps_after_a_change_of_signs_neither_oscillate_nor_grow_faster(record_witness):
    # The source's own method and step: signs first differ at step 8 and next agree at step 24.
    z, signs = (Fraction(1), Fraction(1)), []
    for _ in range(1000):
        before, z = z, simultaneous(Fraction(1, 10), *z)
        assert squared(*z) == Fraction(101, 100) * squared(*before)
        signs.append(z[0] * z[1] > 0)
    assert signs.index(False) + 1 == 8
    assert signs.index(True, 8) + 1 == 24
    assert sum(a != b for a, b in zip([True, *signs], signs, strict=False)) == 63
    record_witness(
        growth="a factor 101/100 of the squared norm in every step, also before step 8",
        signs="agree in step 24 again, and about half of the time",
    )


# ---- can the equilibrium be reached --------------------------------------------------------------
def check_equilibrium(x0, y0):
    """No player gains by leaving alone: ``f(x, y0) - f(x0, y0) = 0 = f(x0, y0) - f(x0, y)``."""
    check_identity(lambda x, y: x * y0 - x0 * y0, lambda x, y: x * 0)
    check_identity(lambda x, y: x0 * y0 - x0 * y, lambda x, y: x * 0)


def refute_that_no_method_reaches_it(step, factor, eta):
    check_equilibrium(0, 0)
    check_growth(step, factor)
    assert 0 <= factor(eta) < 1
    return factor(eta)


@proves("bilinear-no-nash-can-be-achieved", strength="certificate", role="refutes")
def test_extragradient_reaches_the_equilibrium(record_witness):
    factor = refute_that_no_method_reaches_it(extragradient, lambda eta: 1 - eta**2 + eta**4, HALF)
    # The best step has eta^2 = 1/2: (2 eta^2 - 1)^2 / 4 + 3/4.
    check_identity(lambda eta: 4 * (1 - eta**2 + eta**4), lambda eta: (2 * eta**2 - 1) ** 2 + 3)
    record_witness(method="extragradient, step 1/2", factor_of_the_squared_norm=factor,
                   best_factor="3/4 at eta = 1/sqrt(2)")  # fmt: skip


@proves("bilinear-no-nash-can-be-achieved", role="must_fail")
def test_simultaneous_steps_do_not_reach_it():
    refute_that_no_method_reaches_it(simultaneous, lambda eta: 1 + eta**2, HALF)


@proves("bilinear-no-nash-can-be-achieved", strength="certificate", role="refutes")
def test_implicit_steps_reach_the_equilibrium_at_every_step_size(record_witness):
    # z = z+ + eta F(z+): the simultaneous step backwards, so that the old norm is the larger one.
    check_identity(
        lambda eta, x, y: squared(*simultaneous(-eta, x, y)),
        lambda eta, x, y: (1 + eta**2) * squared(x, y),
    )
    record_witness(method="implicit (proximal point)", factor_of_the_squared_norm="1/(1 + eta^2)")


@proves("bilinear-no-nash-can-be-achieved", strength="certificate", role="supports")
def test_optimistic_steps_converge_below_one_over_the_root_of_three():
    from dynamics import Bilinear, OptimisticGDA, stability

    verdicts = [stability(Bilinear(1.0), OptimisticGDA(eta)).verdict for eta in (0.577, 0.578)]
    assert verdicts == ["stable", "unstable"]
