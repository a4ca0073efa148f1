"""When the generator's gradient vanishes, how fast, and which published reasons are none."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.identities import check_nonnegative_combination
from tests.logarithms import exact_log

proves = pytest.mark.proves

HALF = Fraction(1, 2)


# ---- a perfect discriminator ---------------------------------------------------------------------
def check_loss(on_real, on_fake):
    """``E log D + E log(1 - D) = 0``, with these values of D on all real and generated data."""
    assert exact_log(on_real) + exact_log(1 - on_fake) == 0


def check_slope_at_zero(smallest):
    """Fermat: D >= ``smallest`` near a point with D = 0 and slope g has ``|g| <= e``, any e > 0.

    ``D(x +- h) = +-g h + r`` with ``r <= e h``, by the definition of the derivative.
    """
    for sign in (1, -1):
        check_nonnegative_combination(
            lambda g, h, e, r, s=sign: e * h - s * g * h,
            lambda g, h, e, r, s=sign: [1, 1],
            lambda g, h, e, r, s=sign: [e * h - r, -s * g * h + r - smallest(h)],
        )


ZERO_LOSS = "zero-loss-implies-zero-generator-gradient"


@proves(ZERO_LOSS, strength="identity", scope="loss")
def test_the_loss_of_a_perfect_discriminator_is_zero():
    check_loss(Fraction(1), Fraction(0))


@proves(ZERO_LOSS, role="must_fail")
def test_the_loss_of_a_good_one_is_not():
    check_loss(Fraction(9, 10), Fraction(1, 10))


@proves(
    ZERO_LOSS,
    strength="identity",
    scope="gradient",
    lemmas=("the chain rule: the gradient is -E J^T grad D / (1 - D)", "along every direction"),
)
def test_at_its_least_value_the_discriminator_is_flat():
    check_slope_at_zero(lambda h: 0)


@proves(ZERO_LOSS, role="must_fail")
def test_where_values_below_zero_are_allowed_it_may_be_steep():
    check_slope_at_zero(lambda h: -h)


@proves(ZERO_LOSS, strength="certificate", role="needs_hypothesis", hypothesis="differentiable")
def test_a_perfect_discriminator_with_a_kink_has_slopes_that_do_not_vanish():
    def D(x):
        return min(abs(x), Fraction(1))

    h = Fraction(1, 1000)
    assert D(0) == 0
    assert ((D(h) - D(0)) / h, (D(-h) - D(0)) / -h) == (1, -1)


def wave(k):
    """``D = (1 + sin(k^2 x)) / (2 k)``, at most 1/k: value and slope at 0, and the gradient there.

    For the generator ``g_theta = theta`` at theta = 0.
    """
    import sympy

    x = sympy.Symbol("x", real=True)
    D = (1 + sympy.sin(k**2 * x)) / (2 * k)
    gradient = sympy.diff(sympy.log(1 - D), x).subs(x, 0)
    return D.subs(x, 0), abs(gradient)


@proves(ZERO_LOSS, strength="certificate", role="needs_hypothesis", hypothesis="exactly")
def test_nearly_perfect_discriminators_have_gradients_that_grow():
    found = [wave(k) for k in (10, 100, 1000)]
    assert [value for value, _ in found] == [Fraction(1, 2 * k) for k in (10, 100, 1000)]
    assert [slope for _, slope in found] == [Fraction(k**2, 2 * k - 1) for k in (10, 100, 1000)]


# ---- theorem 2.4 ---------------------------------------------------------------------------------
def check_bound(distance):
    """``b / (1 - a) <= e`` where ``a = |D|``, ``b = |grad D|``, and e is the distance from D*.

    D* and its gradient vanish at the generated points. Then ``|E J^T grad D / (1 - D)|`` is at most
    ``e E |J| <= e M``, and ``e M < M eps <= M eps / (1 - eps)`` for M > 0.
    """
    check_nonnegative_combination(
        lambda a, b, e: e * (1 - a) - b,
        lambda a, b, e: [1, a],
        lambda a, b, e: [distance(a, b, e), 1 - e],
    )
    # e M -> eps M / (1 - eps): M (eps - e (1 - eps)) = M (eps - e) + M e eps.
    check_nonnegative_combination(
        lambda M, e, eps: M * eps - M * e * (1 - eps),
        lambda M, e, eps: [M, M * e],
        lambda M, e, eps: [eps - e, eps],
    )


THEOREM = "theorem-2-4-vanishing-generator-gradient"


@proves(
    THEOREM,
    strength="identity",
    lemmas=(
        "the gradient is -E J^T grad D / (1 - D)",
        "E |J| <= (E |J|^2)^(1/2) <= M (Jensen)",
    ),
)
def test_the_gradient_is_smaller_than_m_times_epsilon():
    check_bound(lambda a, b, e: e - a - b)


@proves(THEOREM, role="must_fail")
def test_a_distance_of_values_alone_bounds_nothing():
    check_bound(lambda a, b, e: e - a)


@proves(THEOREM, strength="certificate", role="needs_hypothesis", hypothesis="norm-of-slopes")
def test_discriminators_that_are_close_in_value_break_the_bound():
    # D* = 0 at the generated point, sup |D - D*| = 1/k < eps = 2/k, M = 1.
    for k in (10, 100, 1000):
        _, gradient = wave(k)
        eps = Fraction(2, k)
        assert gradient > eps / (1 - eps)


@proves(THEOREM, strength="certificate", role="needs_hypothesis", hypothesis="perfect")
def test_where_the_laws_overlap_the_optimal_discriminator_leaves_a_gradient():
    # D = D* and M = 1: the gradient is log 3 for every eps, here 1/10.
    eps = Fraction(1, 10)
    check_overlapping_laws()
    assert exact_log(3) > eps / (1 - eps)


@proves(THEOREM, strength="certificate", role="needs_hypothesis", hypothesis="moves")
def test_a_generator_that_never_moves_has_no_gradient_below_zero():
    M, eps = 0, Fraction(1, 10)
    slope = 0 / (1 - eps)
    assert not slope < M * eps / (1 - eps)


def check_overlapping_laws():
    """p_r = 2 x, p_g = 1 on [0, 1], ``g = z + theta``: ``-grad E log(1 - D*(g))`` is log 3 at 0."""
    import sympy

    x = sympy.Symbol("x", positive=True)
    D = 2 * x / (2 * x + 1)  # p_r / (p_r + p_g)
    slope = sympy.simplify(-sympy.diff(sympy.log(1 - D), x))
    assert sympy.integrate(slope, (x, 0, 1)) == sympy.log(3)


# ---- a discriminator that is too good ------------------------------------------------------------
def check_two_points(numerator):
    """Data at 1 and -1, ``D = sigma(w x)``: the gradient ``w N / (1 + E)`` is at most ``2 / w``.

    E stands for ``e^w``; N is 1 for the saturating loss.
    """
    check_nonnegative_combination(
        lambda w, E: 2 * (1 + E) - w**2 * numerator(E),
        lambda w, E: [1, 1],
        lambda w, E: [2 * E - 2 - 2 * w - w**2, 4 + 2 * w],
    )


TOO_GOOD = "vanishing-gradient-when-discriminator-too-good"


@proves(
    TOO_GOOD,
    strength="identity",
    scope="two points",
    lemmas=("e^w >= 1 + w + w^2 / 2 for w >= 0", "ascent in log sigma(w) increases w for ever"),
)
def test_the_gradient_between_two_points_fades():
    check_two_points(lambda E: 1)


@proves(TOO_GOOD, strength="identity", scope="near a perfect discriminator")
def test_the_gradient_is_at_most_a_constant_times_the_distance_from_the_optimum():
    check_bound(lambda a, b, e: e - a - b)


@proves(TOO_GOOD, role="must_fail")
def test_the_gradient_of_the_other_loss_does_not_fade():
    check_two_points(lambda E: E)


@proves(TOO_GOOD, role="must_fail")
def test_close_values_are_not_close_enough():
    check_bound(lambda a, b, e: e - a)


@proves(TOO_GOOD, strength="certificate", role="needs_hypothesis", hypothesis="saturating")
def test_the_non_saturating_gradient_is_at_least_half_of_w():
    # w E / (1 + E) >= w / 2 since E >= 1.
    check_nonnegative_combination(
        lambda w, E: 2 * w * E - w * (1 + E), lambda w, E: [w], lambda w, E: [E - 1]
    )


@proves(TOO_GOOD, strength="certificate", role="needs_hypothesis", hypothesis="apart")
def test_for_laws_that_overlap_the_optimum_keeps_its_gradient():
    check_overlapping_laws()


@proves(TOO_GOOD, strength="enclosure", role="supports")
def test_the_gradient_first_rises_and_then_fades_like_w_exp_minus_w():
    from flint import arb, ctx

    def gradient(w):
        return w / (1 + w.exp())

    bits = ctx.prec
    try:
        ctx.prec = 100
        peak = 1 + (arb(-1).exp()).lambertw()  # 1 + W(1/e)
        assert 1.278464 < peak < 1.278465
        assert 0.278464 < gradient(peak) < 0.278465
        assert gradient(peak) > gradient(peak * 0.99)
        assert gradient(peak) > gradient(peak * 1.01)
        assert 3.346e-2 < gradient(arb(5)) < 3.347e-2
        assert 4.539e-4 < gradient(arb(10)) < 4.540e-4
        assert 4.122e-8 < gradient(arb(20)) < 4.123e-8
    finally:
        ctx.prec = bits


# ---- two losses ----------------------------------------------------------------------------------
def check_larger(known_positive):
    """``x (1 - x) (1/x - 1/(1-x)) = (1 - x) - x`` is positive."""
    check_nonnegative_combination(
        lambda x: (1 - x) - x, lambda x: [1], lambda x: [known_positive(x)]
    )


@proves("ns-gradient-significantly-larger", strength="identity")
def test_the_logarithm_is_steeper_below_one_half():
    check_larger(lambda x: 1 - 2 * x)


@proves("ns-gradient-significantly-larger", role="must_fail")
def test_it_is_not_steeper_below_one():
    check_larger(lambda x: 1 - x)


@proves(
    "ns-gradient-significantly-larger",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="rejected",
)
def test_where_the_discriminator_believes_it_is_less_steep():
    x = Fraction(9, 10)
    assert 1 / x < abs(1 / (x - 1))


# ---- with respect to what ------------------------------------------------------------------------
def refute_gradient_in_x(theta, gradient):
    """``D(x) = x`` on (0, 1) and ``g_theta(z) = theta z``, z = 1: no x is left after E_z."""
    import sympy

    t, x = sympy.symbols("theta x")
    value = sympy.log(1 - t)
    assert sympy.diff(value, x) == 0
    assert sympy.diff(value, t).subs(t, theta) == gradient != 0


@proves("gradient-taken-with-respect-to-x", strength="certificate", role="refutes")
def test_the_printed_gradient_is_zero_while_the_generators_is_not(record_witness):
    refute_gradient_in_x(Fraction(1, 2), -2)
    record_witness(D="D(x) = x", g="theta z, z = 1, theta = 1/2", in_x=0, in_theta=-2)


@proves("gradient-taken-with-respect-to-x", role="must_fail")
def test_they_do_not_agree():
    refute_gradient_in_x(Fraction(1, 2), 0)


# ---- second order --------------------------------------------------------------------------------
def bump(u):
    """``u (1 - 2 |u|)`` on [-1/2, 1/2], continued with period 1: once continuously differentiable.

    ``|bump| <= 1/8`` and ``|bump'| = |1 - 4 |u|| <= 1``.
    """
    u = u - round(u)
    return u * (1 - 2 * abs(u))


def difference_quotient(mass, K, eps):
    """A lower bound of ``-(F(1 + h) - F(1)) / h``, ``F(theta) = E log(1 - D(theta z))``, h = 2^-K.

    z = 2^k with probability ``mass(k)``; ``D = (eps / 8) (1 + bump)``, so that
    ``|D| + |D'| <= (eps / 8) (9/8 + 1) < eps`` while ``D* = 0``. Terms with k >= K are 0 since
    both arguments are integers; the others are at least ``D(theta z) - D(z)``, as
    ``log(1-s) - log(1-t) >= t - s`` for t >= s.
    """
    h = Fraction(1, 2**K)
    rises = [bump(h * 2**k) for k in range(1, K)]
    assert min(rises) >= 0
    return sum(mass(k) * eps / 8 * rise for k, rise in enumerate(rises, 1)) / h


def refute_second_order(mass, eps=Fraction(1, 100), target=1):
    """The generator ``theta z`` has no second derivative; does its gradient vanish with eps?"""
    K = 4 + 16 * int(target / eps)
    quotients = [difference_quotient(mass, n, eps) for n in (K // 4, K // 2, K)]
    assert quotients[0] < quotients[1] < quotients[2]
    assert quotients[2] > target
    return quotients[2]


@proves("second-order-lipschitz-paraphrase", strength="certificate", role="refutes")
def test_a_generator_without_second_derivative_keeps_an_unbounded_gradient(record_witness):
    # The sum is (eps / 8) sum_(j = 1)^(K-1) (1 - 2^(1-j)) >= (eps / 8) (K - 3), for every eps.
    quotient = refute_second_order(lambda k: Fraction(1, 2**k))
    assert all(
        difference_quotient(lambda k: Fraction(1, 2**k), K, Fraction(1))
        == Fraction(1, 8) * (K - 3 + Fraction(4, 2**K))
        for K in range(2, 40)
    )
    record_witness(
        generator="theta z, z = 2^k with probability 2^-k: linear, E z^2 infinite",
        discriminator="eps / 8 (1 + bump): within eps of D* = 0 in value and slope together",
        eps=Fraction(1, 100),
        slope_of_a_secant=f"below -{quotient.numerator // quotient.denominator}, without bound",
    )


@proves("second-order-lipschitz-paraphrase", role="must_fail")
def test_with_a_second_moment_the_gradient_vanishes():
    refute_second_order(lambda k: 7 * Fraction(1, 8**k))
