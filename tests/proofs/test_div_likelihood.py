"""Maximum likelihood and KL: the limit of the loss, its minimisers, and where KL is infinite.

Logarithms of densities are symbols here (``lp``, ``lq``): what is proved about them is linear, so
it holds for all laws at once. Numbers with logarithms are exact sums of logarithms of primes.
"""

from __future__ import annotations

import math
from fractions import Fraction

import flint
import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.logarithms import LogSum, exact_kl, exact_log

proves = pytest.mark.proves

HALF = Fraction(1, 2)


# ---- the average loss tends to the cross-entropy -------------------------------------------------
def check_fourth_moment(formula):
    """``E S_n^4 = formula(n, v, m)`` for n independent centred terms with E X^2 = v, E X^4 = m.

    One term more: ``E (S + X)^4 = E S^4 + 6 E S^2 E X^2 + E X^4``, because the terms with E X or
    E S vanish, and ``E S_n^2 = n v``. The loss is centred by the cross-entropy.
    """
    check_identity(
        lambda S, X: (S + X) ** 4,
        lambda S, X: S**4 + 4 * S**3 * X + 6 * S**2 * X**2 + 4 * S * X**3 + X**4,
    )
    check_identity(lambda n, v, m: formula(0, v, m) + 0 * n, lambda n, v, m: 0 * n)
    check_identity(
        lambda n, v, m: formula(n, v, m) + 6 * (n * v) * v + m,
        lambda n, v, m: formula(n + 1, v, m),
    )


@proves(
    "mle-loss-limit-is-cross-entropy",
    strength="identity",
    lemmas=(
        "induction over the samples",
        "Markov: P(|S_n / n| > e) <= E S_n^4 / (n e)^4",
        "v^2 <= m (Jensen), and the sum of 1/n^2 converges",
        "Borel-Cantelli",
    ),
)
def test_the_fourth_moment_of_the_average_loss_is_summable():
    check_fourth_moment(lambda n, v, m: n * m + 3 * n * (n - 1) * v**2)
    # E S_n^4 <= 3 n^2 m, here with n = k + 1: then P(|S_n / n| > e) <= 3 m / (n^2 e^4).
    check_nonnegative_combination(
        lambda k, v, m: 3 * (k + 1) ** 2 * m - ((k + 1) * m + 3 * (k + 1) * k * v**2),
        lambda k, v, m: [3 * (k + 1) * k, 2 * (k + 1)],
        lambda k, v, m: [m - v**2, m],
    )


@proves("mle-loss-limit-is-cross-entropy", role="must_fail")
def test_fourth_moments_do_not_simply_add():
    check_fourth_moment(lambda n, v, m: n * m)


@proves(
    "mle-loss-limit-is-cross-entropy",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="independent",
)
def test_one_sample_repeated_keeps_its_own_loss():
    # P = (1/2, 1/2), P_theta = (1/4, 3/4): the loss stays log 4 or log 4/3, whatever n is.
    losses = [-exact_log(Fraction(1, 4)), -exact_log(Fraction(3, 4))]
    assert HALF * losses[0] + HALF * losses[1] not in losses


@proves(
    "mle-loss-limit-is-cross-entropy",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="moments",
)
def test_without_moments_there_may_be_no_cross_entropy():
    # Disjoint intervals A_k, k != 0, of length 2^(-k - |k| - 1), with P(A_k) proportional to 1/k^2
    # and density 2^k of P_theta: its masses 2^(-|k| - 1) sum to 1. The loss on A_k is -k log 2, so
    # both halves of its expectation are harmonic series, and a block of one is 1/2 at least.
    assert 2 * Fraction(1, 4) / (1 - HALF) == 1
    for k in (*range(-9, 0), *range(1, 10)):
        length = Fraction(2) ** (-k - abs(k) - 1)
        assert Fraction(2) ** k * length == Fraction(1, 2 ** (abs(k) + 1))
        assert abs(k) * Fraction(1, k**2) == Fraction(1, abs(k))
    for m in range(8):
        assert sum(Fraction(1, k) for k in range(2**m + 1, 2 ** (m + 1) + 1)) >= HALF


# ---- the same minimisers -------------------------------------------------------------------------
def check_same_ranking(divergence):
    """At one point, with masses p, q, r and their logarithms: do two models q and r compare alike?

    ``D(P || Q) - D(P || R)`` against the difference of the cross-entropies, term by term.
    """
    check_identity(
        lambda p, q, r, lp, lq, lr: divergence(p, q, lp, lq) - divergence(p, r, lp, lr),
        lambda p, q, r, lp, lq, lr: -p * lq - (-p * lr),
    )


@proves(
    "mle-argmin-equals-kl-argmin",
    strength="identity",
    lemmas=("integrals of finite functions are linear", "log(p / q) = log p - log q"),
)
def test_kl_and_cross_entropy_differ_by_the_entropy_alone():
    check_same_ranking(lambda p, q, lp, lq: p * (lp - lq))


@proves("mle-argmin-equals-kl-argmin", role="must_fail")
def test_reverse_kl_ranks_models_otherwise():
    check_same_ranking(lambda p, q, lp, lq: q * (lq - lp))


@proves("mle-argmin-equals-kl-argmin", strength="certificate", role="supports")
def test_the_empirical_loss_is_kl_from_the_empirical_law_plus_a_constant():
    # Counts (7, 2, 1) against five models: the loss minus KL is the same number.
    law = [Fraction(c, 10) for c in (7, 2, 1)]
    models = [
        [Fraction(a, 9), Fraction(b, 9), Fraction(9 - a - b, 9)]
        for a, b in [(7, 1), (3, 3), (1, 7), (4, 4), (6, 2)]
    ]
    constants = set()
    for model in models:
        loss = sum((-c * exact_log(m) for c, m in zip(law, model, strict=True)), LogSum())
        constants.add(loss - exact_kl(law, model))
    assert len(constants) == 1


@proves(
    "mle-argmin-equals-kl-argmin",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="finite-entropy",
)
def test_with_infinite_entropy_every_model_has_the_same_loss():
    # P: block j = 1, 2, ... holds 2^(2^j) points of equal mass and the mass 2^-j. Its share of the
    # entropy is 2^-j log(2^(2^j) 2^j) >= log 2, so the entropy, and with it every cross-entropy, is
    # infinite. Yet KL(P || P) = 0, and the model with the block masses 3 4^-j has a positive KL.
    for j in range(1, 12):
        assert Fraction(2**j + j, 2**j) >= 1
    masses = sum(3 * Fraction(1, 4**j) for j in range(1, 40))
    assert masses == 1 - Fraction(1, 4**39)
    # KL = sum_j 2^-j (j log 2 - log 3) = 2 log 2 - log 3: the series of 2^-j is 1, of j 2^-j is 2.
    assert sum(Fraction(j, 2**j) for j in range(1, 40)) == 2 - Fraction(39 + 2, 2**39)
    assert 2 * exact_log(2) - exact_log(3) > 0


# ---- the limit and the minimum -------------------------------------------------------------------
def mean_loss(samples, mean, digits):
    """Ball with the mean of -log density for N(0, 1) / 2 + N(mean, s^2) / 2, s = 10^-digits."""
    s = flint.arb(10) ** -digits
    total = flint.arb(0)
    for x in samples:
        wide = (-(_ball(x) ** 2) / 2).exp()
        narrow = (-(((_ball(x) - _ball(mean)) / s) ** 2) / 2).exp() / s
        total -= ((wide + narrow) / (2 * (2 * flint.arb.pi()).sqrt())).log()
    return total / len(samples)


def _ball(value):
    exact = Fraction(value)
    return flint.arb(flint.fmpq(exact.numerator, exact.denominator))


def refute_exchange(samples, mean):
    """A model whose loss on these samples is far below every cross-entropy with P = N(0, 1).

    The least cross-entropy is the entropy of P, log(2 pi e) / 2 > 1.41, by Gibbs' inequality. The
    loss must lie below -10 with 10^-(30 n), and fall by log 10 at least with n more digits.
    """
    n = len(samples)
    population = (2 * flint.arb.pi() * flint.arb(1).exp()).log() / 2
    assert population > _ball("1.41")
    loss, later = mean_loss(samples, mean, 30 * n), mean_loss(samples, mean, 31 * n)
    assert loss < -10
    assert later <= loss - flint.arb(10).log() + _ball(Fraction(1, 10**6))
    return loss


@proves(
    "mle-limit-argmin-exchange-kiefer-wolfowitz",
    strength="enclosure",
    role="refutes",
    lemmas=("Gibbs: no cross-entropy with P is below the entropy of P",),
)
def test_a_component_that_collapses_onto_one_sample_has_no_least_loss(record_witness):
    loss = refute_exchange((0, 1), mean=0)
    record_witness(
        model="N(0, 1) / 2 + N(x_1, s^2) / 2 with s -> 0",
        P="N(0, 1)",
        infimum_of_the_loss="-inf for every n",
        samples=(0, 1),
        loss=f"{loss.str(8, radius=True)} at s = 1e-60",
        least_cross_entropy="log(2 pi e) / 2 > 1.41",
    )


@proves("mle-limit-argmin-exchange-kiefer-wolfowitz", strength="enclosure", role="supports")
@pytest.mark.parametrize("samples", [(0, 1, -1), tuple(range(-4, 5)), tuple(range(10))])
def test_more_samples_do_not_prevent_the_collapse(samples):
    refute_exchange(samples, mean=samples[0])


@proves("mle-limit-argmin-exchange-kiefer-wolfowitz", role="must_fail")
def test_a_component_that_collapses_between_the_samples_gains_nothing():
    refute_exchange((0, 1), mean=HALF)


@proves("mle-limit-argmin-exchange-kiefer-wolfowitz", strength="identity", role="supports")
def test_for_every_sample_the_loss_falls_without_end():
    # n loss <= -log narrow(x_1) - sum_{i > 1} log(wide(x_i) / 2) = log s + C with C free of s:
    # n t less in log s is t less in the bound of the loss, for all n, C and t.
    check_identity(lambda n, C, ls, t: (ls - n * t) + C, lambda n, C, ls, t: (ls + C) - n * t)


# ---- where the model vanishes --------------------------------------------------------------------
def check_one_set_bounds_kl(rest):
    """``KL >= a L + rest(a, b)`` for a set A with P(A) = a, Q(A) = b and L = log(a / b).

    Inside A, ``log t <= t - 1`` with t = q a / (p b) gives ``int p log(p / q) >= a L``, because
    ``a - (a / b) b`` is 0. Outside, with t = q / p, it gives ``int p log(p / q) >= (1 - a) -
    (1 - b)``. So what is outside A never compensates an infinite part inside.
    """
    check_identity(lambda a, b: b * a - a * b, lambda a, b: 0 * a * b)
    check_nonnegative_combination(
        lambda a, b, L, inside, outside: inside + outside - (a * L + rest(a, b)),
        lambda a, b, L, inside, outside: [1, 1],
        lambda a, b, L, inside, outside: [inside - a * L, outside - ((1 - a) - (1 - b))],
    )


@proves(
    "kl-infinite-where-model-vanishes",
    strength="identity",
    lemmas=("log t <= t - 1", "p log(p / 0) = +inf, the limit of a log(a / b) as b falls to 0"),
)
def test_an_infinite_term_cannot_be_compensated():
    check_one_set_bounds_kl(lambda a, b: b - a)
    assert exact_kl([HALF, HALF], [1, 0]) == math.inf


@proves("kl-infinite-where-model-vanishes", role="must_fail")
def test_the_other_terms_may_be_negative():
    check_one_set_bounds_kl(lambda a, b: 0 * a)


@proves(
    "kl-infinite-where-model-vanishes",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="atom",
)
def test_a_density_may_vanish_at_one_point_for_free():
    # The uniform density on [0, 1] against itself with the value 0 at 1/2: P > 0 = P_theta there,
    # and the integrand is 1 log(1 / 1) on either side of that point.
    assert exact_kl([HALF, 0, HALF], [HALF, 0, HALF]) == 0


@proves(
    "kl-infinite-low-dim-support",
    strength="identity",
    lemmas=(
        "a set of lower dimension has Lebesgue measure 0",
        "a law with a density gives such sets, here A with a = 1, probability b = 0",
        "log t <= t - 1",
    ),
)
def test_a_null_set_that_carries_the_data_makes_kl_infinite():
    check_one_set_bounds_kl(lambda a, b: b - a)


@proves("kl-infinite-low-dim-support", role="must_fail")
def test_the_bound_for_a_set_that_carries_the_data_cannot_be_raised():
    check_one_set_bounds_kl(lambda a, b: 2 * b - a)


@proves("kl-infinite-low-dim-support", strength="certificate", role="supports")
@pytest.mark.parametrize("n", [1, 3, 5, 9])
def test_on_cells_of_size_1_over_n_kl_grows_like_the_codimension_times_log_n(n):
    # P uniform on a coordinate plane of dimension 2 - c of the unit square, the model on all of it.
    for codimension in (1, 2):
        filled = n ** (2 - codimension)
        data = [Fraction(1, filled)] * filled + [Fraction(0)] * (n**2 - filled)
        assert exact_kl(data, [Fraction(1, n**2)] * n**2) == codimension * exact_log(n)
