"""Divergences of densities: closed forms, infinite answers, honest errors, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from divergences.continuous import (
    hellinger_densities,
    js_densities,
    kl_densities,
    tv_densities,
)
from divergences.continuous_transport import (
    wasserstein_cdf_continuous,
    wasserstein_quantile_continuous,
)
from divergences.distributions import Density, Mixture
from divergences.quadrature import Integral
from evidence import NotCertified

EPS = float(np.finfo(np.float64).eps)
norm, uniform, cauchy, pareto = stats.norm, stats.uniform, stats.cauchy, stats.pareto
# The closed forms below are evaluated in floats: a few roundings each.
CLOSED = 16 * EPS


def close(found: Integral, exact: float) -> bool:
    """Whether the value is within its own error estimate, and some roundings, of the exact one."""
    return abs(found.value - exact) <= found.error + CLOSED * abs(exact)


def kl_of_normals(m: float, s: float, n: float, t: float) -> float:
    """In fifty digits: the formula in floats has none left for nearly equal laws."""
    from mpmath import mp, mpf

    with mp.workdps(50):
        a, b, c, d = map(mpf, (m, s, n, t))
        return float(mp.log(d / b) + (b * b + (a - c) ** 2) / (2 * d * d) - mpf(1) / 2)


@pytest.mark.parametrize(
    ("m", "s", "n", "t"),
    [
        (0.0, 1.0, 1.0, 2.0),
        (100.0, 0.01, 0.0, 1.0),
        (0.0, 1.0, 50.0, 1.0),
        (0.0, 1.0, 0.0, 1e4),
        (0.0, 1e4, 0.0, 1.0),
        (0.0, 1.0, 0.0, 1.0000001),
        (0.0, 1.0, 1e-8, 1.0),
        (3.0, 2.0, 3.0, 2.0),
    ],
)
def test_kl_of_normals_is_the_closed_form(m: float, s: float, n: float, t: float) -> None:
    found = kl_densities(norm(m, s), norm(n, t))
    exact = kl_of_normals(m, s, n, t)
    assert close(found, exact)
    # Nearly equal laws lose digits of log p - log q before the quadrature sees them.
    assert found.error <= (1e-12 if exact > 1e-10 else 1e-6) * exact + 1e-300


@pytest.mark.parametrize(
    ("p", "q", "exact"),
    [
        (uniform(0, 1), uniform(0, 2), math.log(2.0)),
        (pareto(2), pareto(1), math.log(2.0) - 0.5),
        (pareto(1), pareto(2), 1.0 - math.log(2.0)),
        (cauchy(0, 1), cauchy(0, 2), math.log(9.0 / 8.0)),
        (cauchy(0, 1), cauchy(5, 1), math.log(1.0 + 25.0 / 4.0)),
        (stats.expon(), stats.expon(scale=2), math.log(2.0) - 0.5),
        (stats.lognorm(1), stats.lognorm(2), math.log(2.0) + 0.125 - 0.5),
        (stats.laplace(), stats.laplace(0, 2), math.log(2.0) - 0.5),
        (stats.beta(0.5, 0.5), uniform(), math.log(4.0) - math.log(math.pi)),
        (uniform(), stats.beta(0.5, 0.5), math.log(math.pi) - 1.0),
        (stats.levy(), stats.levy(), 0.0),
    ],
)
def test_kl_of_other_families_is_the_closed_form(p: Any, q: Any, exact: float) -> None:
    found = kl_densities(p, q)
    assert abs(found.value - exact) <= 3 * found.error + CLOSED * abs(exact)


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (uniform(0, 2), uniform(0, 1)),
        (norm(), stats.beta(2, 2)),
        (norm(), stats.expon()),
        (cauchy(), norm()),
        (cauchy(), stats.laplace()),
        (stats.t(2), norm()),
        (pareto(1), norm()),
        (stats.t(30), stats.gumbel_l(0, 1000)),
        (uniform(0, 3), Mixture(components=[uniform(0, 1), uniform(2, 1)], weights=[0.5, 0.5])),
    ],
)
def test_an_infinite_divergence_is_inf(p: Any, q: Any) -> None:
    assert kl_densities(p, q).value == math.inf


@pytest.mark.parametrize(
    ("p", "q"), [(stats.t(3), norm()), (stats.t(2.1), norm()), (stats.laplace(), norm())]
)
def test_a_heavy_tail_with_enough_moments_is_finite(p: Any, q: Any) -> None:
    found = kl_densities(p, q)
    assert 0.0 < found.value < 10.0
    assert found.error < 1e-12


def test_kl_to_a_normal_agrees_with_moments() -> None:
    # KL(p || N(0, 1)) = -h(p) + E x^2 / 2 + log(2 pi) / 2; h and E x^2 = 3 of t(3) by scipy.
    exact = -float(stats.t(3).entropy()) + 1.5 + 0.5 * math.log(2.0 * math.pi)
    assert kl_densities(stats.t(3), norm()).value == pytest.approx(exact, rel=1e-12)


def test_js_of_disjoint_supports_is_log_two() -> None:
    assert js_densities(uniform(0, 1), uniform(2, 1)).value == math.log(2.0)
    assert js_densities(uniform(0, 1), uniform(2, 1), base=2).value == 1.0
    assert js_densities(norm(), norm(100)).value <= math.log(2.0)


def test_js_of_nearly_equal_normals_is_an_eighth_of_the_square() -> None:
    # JS(N(0,1), N(d,1)) = d^2/8 - d^4/64 + O(d^6)
    found = js_densities(norm(), norm(1e-6))
    assert close(found, 1e-12 / 8)


@pytest.mark.parametrize("d", [1e-3, 0.5, 1.0, 3.0])
def test_tv_and_hellinger_of_shifted_normals_are_the_closed_forms(d: float) -> None:
    assert close(tv_densities(norm(), norm(d)), math.erf(d / (2.0 * math.sqrt(2.0))))
    square = -math.expm1(-d * d / 8.0)
    assert close(hellinger_densities(norm(), norm(d)), math.sqrt(square))


@pytest.mark.parametrize("p", [norm(), cauchy(), uniform(), stats.levy(), stats.beta(0.5, 0.5)])
def test_equal_laws_are_at_distance_zero(p: Any) -> None:
    for function in (kl_densities, js_densities, tv_densities, hellinger_densities):
        assert function(p, p).value == 0.0
    assert wasserstein_cdf_continuous(p, p).value == 0.0
    assert wasserstein_quantile_continuous(p, p).value == 0.0


@pytest.mark.parametrize(
    ("p", "q", "exact"),
    [
        (norm(), norm(1, 2), 1.16663094117537259676612547714),
        (norm(), norm(1), 1.0),
        (norm(), norm(0, 2), math.sqrt(2.0 / math.pi)),
        (cauchy(), cauchy(1), 1.0),
        (stats.t(1.5), stats.t(1.5, 2), 2.0),
        (pareto(1.5), pareto(3), 1.5),
        (pareto(1.1), pareto(2), 9.0),
        (stats.expon(), stats.expon(0, 2), 1.0),
        (uniform(), uniform(2), 2.0),
        (uniform(), uniform(10, 1e-3), 9.5005),
    ],
)
def test_w1_is_known_and_both_forms_give_it(p: Any, q: Any, exact: float) -> None:
    # scipy's distribution functions, and pareto's 1.1 - 1, carry some units in the last place.
    tolerance = 64 * EPS * exact
    by_cdf, by_quantile = (
        f(p, q) for f in (wasserstein_cdf_continuous, wasserstein_quantile_continuous)
    )
    assert abs(by_cdf.value - exact) <= by_cdf.error + tolerance
    assert abs(by_quantile.value - exact) <= by_quantile.error + tolerance


def test_w1_with_a_tail_that_scipy_loses_is_still_found() -> None:
    # t(1.05).sf is 0 from 1.3e154 on, where 2e-8 of the integral still lie.
    found = wasserstein_cdf_continuous(stats.t(1.05), norm())
    assert found.value == pytest.approx(12.6956421618656, rel=1e-13)


def test_a_slowly_decaying_tail_is_extrapolated() -> None:
    assert wasserstein_cdf_continuous(pareto(1.01), pareto(2)).value == pytest.approx(99, rel=1e-12)


@pytest.mark.parametrize(
    ("p", "q"),
    [(cauchy(), norm()), (cauchy(), cauchy(0, 2)), (pareto(1), pareto(2)), (cauchy(), uniform())],
)
def test_an_infinite_distance_is_inf(p: Any, q: Any) -> None:
    assert wasserstein_cdf_continuous(p, q).value == math.inf
    assert wasserstein_quantile_continuous(p, q).value == math.inf


def test_the_distance_of_shifted_levy_laws_is_the_shift_or_refused_never_wrong() -> None:
    assert wasserstein_quantile_continuous(stats.levy(), stats.levy(2)).value == pytest.approx(2.0)
    try:
        found = wasserstein_cdf_continuous(stats.levy(), stats.levy(2))
    except NotCertified:
        return
    assert abs(found.value - 2.0) <= found.error


@pytest.mark.parametrize("order", [1.5, 2.0, 4.0])
def test_the_map_and_the_quantiles_give_one_distance(order: float) -> None:
    p, q = norm(), norm(1, 2)
    by_map = wasserstein_cdf_continuous(p, q, order=order)
    by_quantile = wasserstein_quantile_continuous(p, q, order=order)
    assert by_map.value == pytest.approx(by_quantile.value, rel=1e-12)
    if order == 2.0:
        assert by_map.value == pytest.approx(math.sqrt(2.0), rel=1e-13)


def test_w2_is_infinite_without_second_moments() -> None:
    assert wasserstein_quantile_continuous(stats.t(2), norm(), order=2).value == math.inf


# ---- other kinds of distributions ---------------------------------------------------------------
def standard(x: Any) -> Any:
    return -0.5 * x * x - 0.5 * math.log(2.0 * math.pi)


def test_a_callable_gives_what_scipy_gives() -> None:
    p = Density(log_density=standard, support=(-math.inf, math.inf))
    q = norm(1, 2)
    for function in (kl_densities, js_densities, tv_densities, wasserstein_cdf_continuous):
        assert function(p, q).value == pytest.approx(function(norm(), q).value, rel=1e-13)
    assert wasserstein_quantile_continuous(p, q).value == pytest.approx(1.1666309411753726)


def test_a_mixture_of_disjoint_parts_is_between_its_parts() -> None:
    mixture = Mixture(components=[uniform(0, 1), uniform(5, 1)], weights=[0.25, 0.75])
    assert close(kl_densities(uniform(5, 1), mixture), math.log(4.0 / 3.0))
    assert close(tv_densities(mixture, uniform(5, 1)), 0.25)
    assert close(wasserstein_cdf_continuous(mixture, uniform(5, 1)), 1.25)
    assert kl_densities(mixture, uniform(5, 1)).value == math.inf


def test_a_narrow_component_far_away_keeps_its_tails() -> None:
    # The tail beyond its last node is a bump in a gap 100 000 times as wide.
    left, right = norm(-118.25, 0.03125), norm(2.75, 0.5)
    found = wasserstein_cdf_continuous(Mixture(components=[left, right], weights=[0.5, 0.5]), right)
    exact = 121.0 / 2.0  # half of the mass moves by the difference of the means
    assert abs(found.value - exact) <= 8 * EPS * exact


@pytest.mark.parametrize("power", [0.5, 0.9])
def test_a_callable_with_a_pole_at_zero_keeps_its_mass(power: float) -> None:
    pole = Density(log_density=lambda x: math.log1p(-power) - power * np.log(x), support=(0.0, 1.0))
    # KL(U || p) = -log(1 - power) + power E log x = -log(1 - power) - power
    exact = -math.log1p(-power) - power
    found = kl_densities(uniform(), pole)
    assert abs(found.value - exact) <= found.error + 64 * EPS * abs(exact)


def test_a_callable_may_have_a_heavy_tail() -> None:
    heavy = Density(
        log_density=lambda x: -math.log(math.pi) - np.log1p(np.square(x)),
        support=(-math.inf, math.inf),
    )
    assert kl_densities(heavy, cauchy(0, 2)).value == pytest.approx(math.log(9 / 8), rel=1e-13)
    assert kl_densities(heavy, norm()).value == math.inf


def test_scipys_own_mixture_is_read() -> None:
    scipys = stats.Mixture([stats.Normal(mu=-3), stats.Normal(mu=3)], weights=[0.5, 0.5])
    ours = Mixture(components=[norm(-3), norm(3)], weights=[0.5, 0.5])
    assert js_densities(scipys, ours).value < 1e-15
    assert kl_densities(scipys, norm()).value == pytest.approx(kl_densities(ours, norm()).value)


def test_a_histogram_has_walls_and_true_zeros() -> None:
    hole = stats.rv_histogram((np.array([1.0, 0.0, 1.0]), np.array([0.0, 1.0, 2.0, 3.0])))()
    assert kl_densities(uniform(0, 3), hole).value == math.inf
    assert close(kl_densities(hole, uniform(0, 3)), math.log(1.5))


# ---- refusals -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        (stats.poisson(3), TypeError, "discrete"),
        (norm(0, 0), ValueError, "`p`"),
        (norm([0, 1]), ValueError, "one distribution"),
        (stats.norm, TypeError, "frozen"),
        ("norm", TypeError, "frozen"),
        (None, TypeError, "frozen"),
        (np.ones(3), TypeError, "frozen"),
        (Density(log_density=lambda x: 0 * x, support=(0.0, 2.0)), ValueError, "integrate to 1"),
        (Density(log_density=lambda x: 0 * x, support=(1.0, 0.0)), ValueError, "increasing"),
        (Density(log_density=lambda x: np.zeros(3), support=(0.0, 1.0)), ValueError, "must map"),
        (Density(log_density=lambda x: x * math.nan, support=(0.0, 1.0)), ValueError, "NaN"),
        (Mixture(components=[norm()], weights=[0.9]), ValueError, "sum to 1"),
        (Mixture(components=[norm()], weights=[0.5, 0.5]), ValueError, "one entry for each"),
        (Mixture(components=[norm(), norm(1)], weights=[1.5, -0.5]), ValueError, "positive"),
        (Mixture(components=["x"], weights=[1.0]), TypeError, r"components\[0\]"),
    ],
)
def test_what_is_no_density_on_the_line_is_one_sentence(
    bad: Any, error: type[Exception], words: str
) -> None:
    for function in (kl_densities, js_densities, wasserstein_cdf_continuous):
        with pytest.raises(error, match=words):
            function(bad, norm())


def test_a_peak_that_no_node_sees_is_refused_and_found_with_its_point() -> None:
    def peak(x: Any) -> Any:
        return standard((x - 1234.5) / 1e-3) - math.log(1e-3)

    lost = Density(log_density=peak, support=(-math.inf, math.inf))
    with pytest.raises(ValueError, match="`points`"):
        kl_densities(lost, norm(1234.5, 1e-3))
    found = Density(log_density=peak, support=(-math.inf, math.inf), points=[1234.5])
    assert kl_densities(found, norm(1234.5, 1e-3)).value < 1e-9


def test_an_underflowing_density_is_refused_not_called_infinite() -> None:
    class Quartic(stats.rv_continuous):
        """Density proportional to exp(-x^4), without a formula for the logarithm."""

        def _pdf(self, x: Any) -> Any:
            return np.exp(-(x**4)) / (2.0 * math.gamma(1.25))

        def _ppf(self, u: Any) -> Any:
            tail = np.minimum(u, 1 - np.asarray(u))
            return np.sign(np.asarray(u) - 0.5) * stats.gamma(0.25).isf(2 * tail) ** 0.25

        def _cdf(self, x: Any) -> Any:
            return 0.5 + 0.5 * np.sign(x) * stats.gamma(0.25).cdf(np.asarray(x) ** 4)

    # E x^4 of a normal law with standard deviation 10 is finite: KL is, too.
    with pytest.raises(NotCertified, match="underflows"):
        kl_densities(norm(0, 10), Quartic()())


@pytest.mark.parametrize("order", [0.5, math.inf, math.nan, True])
def test_an_order_below_one_is_refused(order: float) -> None:
    for function in (wasserstein_cdf_continuous, wasserstein_quantile_continuous):
        with pytest.raises(ValueError, match="`order`"):
            function(norm(), norm(), order=order)


@pytest.mark.parametrize("base", [1, 0, -2.0, math.inf, math.nan])
def test_a_base_that_is_none_is_refused(base: float) -> None:
    with pytest.raises(ValueError, match="`base`"):
        kl_densities(norm(), norm(), base=base)


def test_a_base_changes_the_unit() -> None:
    assert kl_densities(uniform(0, 1), uniform(0, 2), base=2).value == pytest.approx(1.0, rel=4e-16)


def test_no_value_is_negative_and_no_error_is_missing() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        m, n = rng.normal(size=2) * 10.0 ** rng.integers(-9, 3)
        s = 10.0 ** rng.uniform(-2, 2)
        p, q = norm(m, s), norm(n, s * (1 + 10.0 ** rng.integers(-9, 1)))
        for function in (kl_densities, js_densities, tv_densities, hellinger_densities):
            found = function(p, q)
            assert found.value >= 0.0
            assert math.isfinite(found.error)


def test_an_integral_prints_its_error() -> None:
    assert str(Integral(value=0.5, error=1e-15)) == "0.5 +- 1e-15"
    assert str(Integral(value=math.inf, error=0.0)) == "inf"
