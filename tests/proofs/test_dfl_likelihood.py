"""The curriculum on likelihood: Gaussian divergence, least squares, averages, dimension.

An expectation under a Gaussian is taken of a polynomial of degree two, by its mean and variance
alone; everything else is algebra in the symbols of the source.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.identities import check_identity
from tests.logarithms import LogSum, exact_log

proves = pytest.mark.proves


def log_density(y, mean, deviation):
    """Of a Gaussian, from the density, not yet expanded."""
    import sympy

    scale = sympy.sqrt(2 * sympy.pi * deviation**2)
    return sympy.log(sympy.exp(-((y - mean) ** 2) / (2 * deviation**2)) / scale)


# ---- the divergence of two Gaussians -------------------------------------------------------------
def check_gaussian_kl(stated):
    """``E_1 log(N_1 / N_2)`` at ``x = m1 + t``, where ``E 1 = 1, E t = 0, E t^2 = s1^2``."""
    import sympy

    m1, m2, t = sympy.symbols("m1 m2 t", real=True)
    s1, s2 = sympy.symbols("s1 s2", positive=True)
    ratio = log_density(m1 + t, m1, s1) - log_density(m1 + t, m2, s2)
    polynomial = sympy.Poly(sympy.expand(sympy.expand_log(ratio, force=True)), t)
    assert polynomial.degree() == 2
    constant, square = polynomial.coeff_monomial(1), polynomial.coeff_monomial(t**2)
    expected = sympy.expand_log(stated(m1, s1, m2, s2), force=True)
    assert sympy.simplify(constant + square * s1**2 - expected) == 0


def closed_form(m1, s1, m2, s2):
    import sympy

    return sympy.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - sympy.Rational(1, 2)


@proves(
    "gaussian-kl-closed-form",
    strength="identity",
    lemmas=("mean and variance of a Gaussian",),
)
def test_the_divergence_of_two_gaussians_is_the_closed_form():
    check_gaussian_kl(closed_form)


@proves("gaussian-kl-closed-form", role="must_fail")
def test_the_closed_form_of_the_reverse_divergence_is_rejected():
    check_gaussian_kl(lambda m1, s1, m2, s2: closed_form(m2, s2, m1, s1))


@proves("gaussian-kl-closed-form", strength="enclosure", role="supports")
def test_a_ball_around_the_integral_meets_the_closed_form():
    from flint import acb, arb

    # N(0, 1) against N(1, 2): |log ratio| <= x^2 outside [-12, 12], and
    # the integral of x^2 phi over x > a is a phi(a) + P(x > a).
    def integrand(x, _):
        density = (-x * x / 2).exp() / acb(2 * arb.pi()).sqrt()
        return density * (acb(2).log() - x * x / 2 + (x - 1) ** 2 / 8)

    inside = acb.integral(integrand, acb(-12), acb(12)).real
    phi = arb(-72).exp() / (2 * arb.pi()).sqrt()
    tail = 2 * (12 * phi + (arb(12) / arb(2).sqrt()).erfc() / 2)
    value = inside + arb(0, 1) * tail
    assert value.overlaps(arb(2).log() + arb(2) / 8 - arb(1) / 2)
    assert value.rad() < 1e-12


# ---- the log-likelihood of a Gaussian ------------------------------------------------------------
def check_log_likelihood(third_term):
    """One example: ``-log(2 pi) / 2 - log(sigma) - third term``."""
    import sympy

    y, mean = sympy.symbols("y mu", real=True)
    sigma = sympy.Symbol("sigma", positive=True)
    expanded = sympy.expand_log(log_density(y, mean, sigma), force=True)
    stated = -sympy.log(2 * sympy.pi) / 2 - sympy.log(sigma) - third_term(y, mean, sigma)
    assert sympy.simplify(expanded - sympy.expand_log(stated, force=True)) == 0


@proves("gaussian-loglik-expansion", strength="identity")
def test_the_log_likelihood_of_a_gaussian_has_three_terms():
    check_log_likelihood(lambda y, mean, sigma: (y - mean) ** 2 / (2 * sigma**2))


@proves("gaussian-loglik-expansion", role="must_fail")
def test_the_second_parameter_is_the_deviation_and_not_the_variance():
    check_log_likelihood(lambda y, mean, sigma: (y - mean) ** 2 / (2 * sigma))


# ---- least squares and maximum likelihood --------------------------------------------------------
def check_least_squares(weights):
    """LL = constant - sum_n w_n r_n^2 with w_n = 1 / (2 sigma_n^2); two predictions, two examples.

    With one w the log-likelihoods differ as the sums of squares do, in the opposite order.
    """
    check_identity(
        lambda w, a1, a2, b1, b2: (
            (-weights(w)[0] * b1**2 - weights(w)[1] * b2**2)
            - (-weights(w)[0] * a1**2 - weights(w)[1] * a2**2)
        ),
        lambda w, a1, a2, b1, b2: w * ((a1**2 + a2**2) - (b1**2 + b2**2)),
    )


@proves(
    "mse-equals-gaussian-mle",
    strength="identity",
    lemmas=("the same for any number of examples: both sides are sums over them",),
)
def test_log_likelihoods_differ_as_the_mean_squared_errors_do():
    check_least_squares(lambda w: (w, w))


@proves("mse-equals-gaussian-mle", role="must_fail")
def test_examples_with_different_deviations_are_rejected():
    check_least_squares(lambda w: (w, 4 * w))


@proves(
    "mse-equals-gaussian-mle",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="one-sigma",
)
def test_with_two_deviations_the_likeliest_mean_is_not_that_of_least_squares():
    # y = (0, 1), sigma = (1, 2): the derivative of sum (y - m)^2 / (2 sigma^2) vanishes at 1/5.
    likeliest, least_squares = Fraction(1, 5), Fraction(1, 2)
    assert (likeliest - 0) / 1 + (likeliest - 1) / 4 == 0
    assert (least_squares - 0) + (least_squares - 1) == 0


@proves(
    "mse-equals-gaussian-mle",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="gaussian-residuals",
)
def test_with_laplace_residuals_the_likeliest_value_is_the_median():
    # y = (0, 0, 1): LL = constant - sum |y - m|; any m costs at least |m| + |m - 1| >= 1.
    costs = {m: sum(abs(y - m) for y in (0, 0, 1)) for m in (0, Fraction(1, 3))}
    assert costs[0] == 1 < costs[Fraction(1, 3)]
    assert sum(Fraction(1, 3) - y for y in (0, 0, 1)) == 0


def refute_minimising_every_term(data):
    """One constant prediction: the likeliest is the mean; is every term at its least, 0, there?"""
    mean = Fraction(sum(data), len(data))
    assert any((y - mean) ** 2 > 0 for y in data)
    return mean


@proves("mse-mle-missing-sum", strength="certificate", role="refutes")
def test_the_likeliest_constant_minimises_no_single_term(record_witness):
    mean = refute_minimising_every_term((0, 1))
    record_witness(
        data="(0, 1), one prediction for both", likeliest=mean, least_for_each_term="0 and 1"
    )


@proves("mse-mle-missing-sum", role="must_fail")
def test_equal_data_are_no_counterexample():
    refute_minimising_every_term((1, 1))


# ---- an average is not an expectation ------------------------------------------------------------
def refute_average(sample):
    """p = (1/2, 1/2), q = (9/10, 1/10)."""
    q = (Fraction(9, 10), Fraction(1, 10))
    average = sum((exact_log(q[x]) for x in sample), LogSum()) * Fraction(1, len(sample))
    expectation = Fraction(1, 2) * (exact_log(q[0]) + exact_log(q[1]))
    assert average != expectation
    return average, expectation


@proves("mle-average-equals-expectation", strength="certificate", role="refutes")
def test_the_average_over_one_example_is_not_the_expectation(record_witness):
    average, expectation = refute_average([0])
    assert (average, expectation) == (exact_log(Fraction(9, 10)), exact_log(Fraction(3, 10)))
    record_witness(
        p="(1/2, 1/2)",
        q="(9/10, 1/10)",
        sample="(0)",
        average=str(average),
        expectation=str(expectation),
    )


@proves("mle-average-equals-expectation", role="must_fail")
def test_a_sample_with_the_frequencies_of_p_is_no_counterexample():
    refute_average([0, 1])


# ---- likelihood and dimension --------------------------------------------------------------------
def refute_growth_with_dimension(deviation):
    """N(0, s^2 I_d): ``E log density = -(d/2) log(2 pi e s^2)`` falls with d if s is large."""
    from flint import arb, fmpq

    s = arb(fmpq(deviation.numerator, deviation.denominator))
    per_dimension = -(2 * arb.pi() * arb(1).exp() * s * s).log() / 2
    assert per_dimension < 0
    return per_dimension


@proves(
    "high-dim-data-has-higher-likelihood",
    strength="enclosure",
    role="refutes",
    lemmas=("the entropy of a Gaussian",),
)
def test_standard_gaussian_data_lose_likelihood_with_every_dimension(record_witness):
    value = refute_growth_with_dimension(Fraction(1))
    record_witness(
        data="N(0, I_d)",
        expected_log_likelihood="-(d/2) log(2 pi e)",
        per_dimension=value.str(8),
    )


@proves("high-dim-data-has-higher-likelihood", role="must_fail")
def test_data_in_smaller_units_do_gain_likelihood():
    # The sign is that of the units: s < 1 / sqrt(2 pi e) = 0.2419... turns it round.
    refute_growth_with_dimension(Fraction(24, 100))


# ---- good samples, low likelihood ----------------------------------------------------------------
def check_overfitted(model, halvings):
    """Data uniform on 4 items, training on items 0 and 1; the model's slack is e = 4 / 2^k.

    Samples are training items with probability at least 1 - e, equally often; an unseen item has
    log-likelihood at most -k log 2.
    """
    slack = Fraction(4, 2**halvings)
    law = model(slack)
    assert sum(law) == 1
    assert law[0] == law[1]
    assert law[0] + law[1] >= 1 - slack
    assert max(exact_log(law[2]), exact_log(law[3])) <= -halvings * exact_log(2)


@proves("overfit-good-samples-low-likelihood", strength="certificate")
@pytest.mark.parametrize("halvings", [3, 30, 3000])
def test_a_model_of_the_training_data_is_as_unlikely_as_one_likes(halvings):
    check_overfitted(lambda e: [(1 - e) / 2 + e / 4] * 2 + [e / 4] * 2, halvings)


@proves("overfit-good-samples-low-likelihood", role="must_fail")
def test_a_model_of_all_the_data_is_not_unlikely():
    check_overfitted(lambda e: [Fraction(1, 4)] * 4, 3)
