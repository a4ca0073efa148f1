"""Ball arithmetic: the enclosures hold what is known otherwise, and exclude what is false."""

from __future__ import annotations

import math
from typing import Any

import pytest
from scipy import stats

from divergences.balls import js_enclosure, kl_enclosure, w1_enclosure
from divergences.continuous import js_densities, kl_densities
from divergences.continuous_transport import wasserstein_cdf_continuous
from divergences.distributions import Mixture
from evidence import Enclosure, NotCertified

norm, uniform, laplace = stats.norm, stats.uniform, stats.laplace
expon, logistic = stats.expon, stats.logistic
TWO = Mixture(components=[norm(-3, 1), norm(3, 1)], weights=[0.5, 0.5])
PAIRS = [
    (norm(0, 1), norm(1, 2)),
    (norm(0, 1), norm(1e-6, 1)),
    (norm(-3, 2), norm(40, 0.7)),
    (laplace(0, 1), norm(0, 1)),
    (norm(), laplace(1, 0.5)),
    (uniform(0, 1), uniform(0, 2)),
    (uniform(0, 1), norm()),
    (expon(), expon(0, 2)),
    (expon(), laplace()),
    (logistic(), norm(0, 2)),
    (TWO, norm(0, 3)),
]


def closed_kl_of_normals(m: Any, s: Any, n: Any, t: Any) -> Enclosure:
    """``log(t/s) + (s^2 + (m - n)^2) / (2 t^2) - 1/2`` in balls, sharing no code."""
    from flint import arb, ctx

    with ctx.workprec(200):
        a, b, c, d = map(arb, (m, s, n, t))
        value = (d / b).log() + (b * b + (a - c) ** 2) / (2 * d * d) - arb(1) / 2
        middle = float(value.mid())
        return Enclosure(math.nextafter(middle, -math.inf), math.nextafter(middle, math.inf))


@pytest.mark.parametrize(
    ("m", "s", "n", "t"), [(0, 1, 1, 2), (0, 1, 1e-6, 1), (-3, 2, 40, 0.7), (0, 1, 0, 100)]
)
def test_kl_of_normals_overlaps_its_closed_form(m: Any, s: Any, n: Any, t: Any) -> None:
    found = kl_enclosure(norm(m, s), norm(n, t))
    assert found.overlaps(closed_kl_of_normals(m, s, n, t))
    assert found.rtol <= 1e-12


def test_a_wrong_closed_form_is_excluded() -> None:
    # log(s/t) for log(t/s)
    wrong = closed_kl_of_normals(0, 1, 1, 2) + (-2.0 * math.log(2.0))
    assert not kl_enclosure(norm(0, 1), norm(1, 2)).overlaps(wrong)


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_the_quadrature_agrees_with_the_enclosure(p: Any, q: Any) -> None:
    for enclose, estimate in (
        (kl_enclosure, kl_densities),
        (js_enclosure, js_densities),
        (w1_enclosure, wasserstein_cdf_continuous),
    ):
        e, v = enclose(p, q), estimate(p, q)
        assert e.lower - v.error <= v.value <= e.upper + v.error
        assert e.rtol <= 1e-12


@pytest.mark.parametrize(
    ("p", "q", "exact"),
    [
        (norm(0, 1), norm(5, 1), 5),
        (norm(0, 1), norm(1, 2), 1.16663094117537259676612547714),
        (expon(), expon(0, 2), 1),
        (laplace(0, 1), laplace(0, 3), 2),
        (uniform(0, 1), uniform(0.25, 0.5), 0.125),
        (uniform(0, 1), uniform(2, 1), 2),
    ],
)
def test_w1_holds_the_exact_value(p: Any, q: Any, exact: float) -> None:
    assert exact in w1_enclosure(p, q)


def test_narrow_components_in_a_wide_window_are_enclosed() -> None:
    p = uniform(-0.75, 65.5)
    q = Mixture(components=[laplace(-0.25, 0.0123), logistic(-14.125, 0.0237)], weights=[0.5, 0.5])
    e = kl_enclosure(p, q)
    assert e.rtol <= 1e-12
    assert kl_densities(p, q).value == pytest.approx(e.upper, rel=1e-12)


def test_js_of_disjoint_supports_holds_log_two_and_nothing_above() -> None:
    e = js_enclosure(uniform(0, 1), uniform(2, 1))
    assert e.upper <= math.nextafter(math.log(2.0), 1.0)
    assert e.rtol < 1e-15


def test_js_five_deviations_apart_is_proved_below_log_two() -> None:
    assert js_enclosure(norm(0, 1), norm(5, 1)).upper < 0.69


def test_equal_laws_are_proved_to_be_close_to_zero() -> None:
    for enclose in (kl_enclosure, js_enclosure, w1_enclosure):
        e = enclose(norm(1, 3), norm(1, 3))
        assert e.lower == 0.0
        assert e.upper < 1e-70


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (uniform(0, 2), uniform(1, 1)),
        (norm(), expon()),
        (laplace(), uniform()),
        (norm(), uniform(-100, 200)),
        (uniform(0, 3), Mixture(components=[uniform(0, 1), uniform(2, 1)], weights=[0.5, 0.5])),
    ],
)
def test_an_infinite_divergence_is_refused_with_inf(p: Any, q: Any) -> None:
    with pytest.raises(NotCertified, match="infinite") as refusal:
        kl_enclosure(p, q)
    assert refusal.value.estimate == math.inf


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        (stats.t(3), TypeError, "norm, uniform"),
        ("norm", TypeError, "norm, uniform"),
        (norm(0, 0), ValueError, "positive scale"),
        (norm(math.inf, 1), ValueError, "finite location"),
        (norm([0, 1], 1), TypeError, "one distribution"),
        (Mixture(components=[norm(), norm(1)], weights=[0.1, 0.8]), ValueError, "exactly 1"),
        (Mixture(components=[TWO, norm(1)], weights=[0.5, 0.5]), TypeError, "one mixture"),
    ],
)
def test_what_has_no_enclosure_is_one_sentence(
    bad: Any, error: type[Exception], words: str
) -> None:
    for enclose in (kl_enclosure, js_enclosure, w1_enclosure):
        with pytest.raises(error, match=words):
            enclose(bad, norm())


def test_the_precision_of_flint_is_left_as_it_was() -> None:
    from flint import ctx

    before = ctx.prec
    kl_enclosure(norm(), norm(1))
    with pytest.raises(NotCertified):
        kl_enclosure(norm(), expon())
    assert ctx.prec == before
