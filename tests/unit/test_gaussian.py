"""Closed forms against quadrature-free references: balls, exact fractions, and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from divergences.closed_forms import (
    js_diracs,
    js_uniforms,
    kl_diracs,
    kl_exponentials,
    kl_uniforms,
    tv_diracs,
    tv_uniforms,
    w1_exponentials,
    w1_uniforms,
    wasserstein_diracs,
)
from divergences.gaussian import (
    hellinger_normals,
    kl_gaussians,
    kl_normals,
    tv_normals,
    w1_normals,
    w2_gaussians,
    w2_normals,
)

MEANS = st.floats(-5, 5)
STDS = st.floats(-3, 3).map(lambda x: 10.0**x)


def ball_kl(m, s, n, t):  # type: ignore[no-untyped-def]
    """The textbook formula with 2400 bits: means as close as 1e-150 cost 1000 of them."""
    import flint

    old, flint.ctx.prec = flint.ctx.prec, 2400
    try:
        m, s, n, t = (flint.arb(x) for x in (m, s, n, t))
        return float((t / s).log() + (s * s + (m - n) * (m - n)) / (2 * t * t) - flint.arb(0.5))
    finally:
        flint.ctx.prec = old


# ---- Gaussians on the line -----------------------------------------------------------------------
@settings(max_examples=100, deadline=None)
@given(MEANS, STDS, MEANS, STDS)
def test_kl_of_normals_is_the_formula(m, s, n, t):
    # Squares of differences below 1e-150 underflow.
    assert kl_normals(m, s, n, t) == pytest.approx(ball_kl(m, s, n, t), rel=1e-13, abs=1e-300)


@pytest.mark.parametrize("eps", [1e-1, 1e-4, 1e-8, 1e-12, 1e-15])
def test_kl_of_nearly_equal_normals_keeps_its_digits(eps):
    for arguments in [(0.0, 1.0, eps, 1.0), (0.0, 1.0 + eps, 0.0, 1.0), (eps, 2.0, 0.0, 2 - eps)]:
        assert kl_normals(*arguments) == pytest.approx(ball_kl(*arguments), rel=1e-13, abs=0)


def test_the_textbook_formula_fails_the_check_that_ours_passes():
    textbook = math.log(1.0) + (1.0 + 1e-20) / 2.0 - 0.5
    assert textbook != pytest.approx(ball_kl(0.0, 1.0, 1e-10, 1.0), rel=1e-13, abs=0)


def test_means_and_deviations_broadcast():
    values = kl_normals(np.array([[0.0], [1.0]]), 1.0, np.array([0.0, 1.0, 2.0]), 2.0)
    assert values.shape == (2, 3)
    assert values[1, 2] == kl_normals(1.0, 1.0, 2.0, 2.0)


@settings(max_examples=60, deadline=None)
@given(MEANS, STDS, MEANS, STDS)
def test_w1_of_normals_lies_between_its_bounds(m, s, n, t):
    w1, w2 = w1_normals(m, s, n, t), w2_normals(m, s, n, t)
    assert abs(m - n) * (1 - 1e-14) <= w1 <= w2 * (1 + 1e-14)
    assert w1 >= math.sqrt(2 / math.pi) * abs(s - t) * (1 - 1e-14)


def test_w1_of_normals_has_the_value_of_the_quantile_integral():
    import flint

    # 2 m Phi(m/s) - m + 2 s phi(m/s) with m = s = 1, a rewriting that shares no term.
    old, flint.ctx.prec = flint.ctx.prec, 200
    try:
        phi = (flint.arb(-1) / 2).exp() / (2 * flint.arb.pi()).sqrt()
        cdf = (1 + (flint.arb(1) / flint.arb(2).sqrt()).erf()) / 2
        exact = float(2 * cdf - 1 + 2 * phi)
    finally:
        flint.ctx.prec = old
    assert w1_normals(0, 1, 1, 2) == pytest.approx(exact, rel=1e-15)
    assert w1_normals(0, 0, 3, 0) == 3.0


@settings(max_examples=60, deadline=None)
@given(MEANS, STDS, MEANS, STDS)
def test_hellinger_of_normals_bounds_kl_and_total_variation(m, s, n, t):
    h2 = hellinger_normals(m, s, n, t) ** 2
    assert 0.0 <= h2 <= 1.0
    assert 2 * h2 <= kl_normals(m, s, n, t) * (1 + 1e-12)
    if s == t:
        assert h2 <= tv_normals(m, n, std=s) * (1 + 1e-12)


def test_hellinger_of_normals_keeps_its_digits_near_equality():
    # H^2 = eps^2 / 8 + O(eps^4) for a shift, and KL = 4 H^2 to that order.
    assert hellinger_normals(0, 1, 1e-9, 1) ** 2 == pytest.approx(1.25e-19, rel=1e-13, abs=0)
    assert tv_normals(0.0, 1e-9) == pytest.approx(1e-9 / math.sqrt(2 * math.pi), rel=1e-13, abs=0)


# ---- Gaussians in R^d ----------------------------------------------------------------------------
def random_gaussian(rng, d):  # type: ignore[no-untyped-def]
    A = rng.standard_normal((d, d))
    return rng.standard_normal(d), A @ A.T + 0.1 * np.eye(d)


@pytest.mark.parametrize("d", [1, 2, 5, 20])
def test_kl_and_w2_in_rd_are_the_textbook_formulas(d):
    rng = np.random.default_rng(d)
    (m, C), (n, D) = random_gaussian(rng, d), random_gaussian(rng, d)
    inverse = np.linalg.inv(D)
    textbook = 0.5 * (
        np.trace(inverse @ C) - d - np.linalg.slogdet(inverse @ C)[1] + (m - n) @ inverse @ (m - n)
    )
    assert kl_gaussians(m, C, n, D) == pytest.approx(textbook, rel=1e-9)
    values = np.sqrt(np.linalg.eigvals(C @ D).real)
    bures = np.trace(C) + np.trace(D) - 2 * values.sum()
    assert w2_gaussians(m, C, n, D) ** 2 == pytest.approx((m - n) @ (m - n) + bures, rel=1e-9)


@pytest.mark.parametrize("d", [2, 4])
def test_gaussians_with_diagonal_covariances_add_up_over_the_axes(d):
    rng = np.random.default_rng(d)
    m, n = rng.standard_normal((2, d))
    s, t = 10.0 ** rng.uniform(-4, 4, (2, d))
    by_axis = sum(kl_normals(m[i], s[i], n[i], t[i]) for i in range(d))
    assert kl_gaussians(m, np.diag(s**2), n, np.diag(t**2)) == pytest.approx(by_axis, rel=1e-11)
    squares = math.sqrt(sum(w2_normals(m[i], s[i], n[i], t[i]) ** 2 for i in range(d)))
    assert w2_gaussians(m, np.diag(s**2), n, np.diag(t**2)) == pytest.approx(squares, rel=1e-11)


@pytest.mark.parametrize("eps", [1e-3, 1e-6, 1e-9])
def test_nearly_equal_gaussians_in_rd_keep_their_digits(eps):
    rng = np.random.default_rng(0)
    m, C = random_gaussian(rng, 4)
    shift, E = rng.standard_normal(4), rng.standard_normal((4, 4))
    D = C + eps * (E + E.T)
    inverse = np.linalg.inv(C)
    # Second-order expansion: tr((C^-1 dC)^2)/4 + shift' C^-1 shift / 2, off by a factor 1 + O(eps).
    R = inverse @ (D - C)
    expected = np.trace(R @ R) / 4 + eps**2 * shift @ inverse @ shift / 2
    assert kl_gaussians(m, C, m + eps * shift, D) == pytest.approx(expected, rel=300 * eps + 1e-5)
    assert w2_gaussians(m, C, m, C) <= 1e-14 * np.linalg.norm(C)


def test_a_point_mass_is_a_gaussian_for_w2_and_none_for_kl():
    zero = np.zeros((2, 2))
    assert w2_gaussians([0.0, 0.0], zero, [3.0, 4.0], zero) == 5.0
    with pytest.raises(ValueError, match=r"`cov_p` must be positive definite.*0"):
        kl_gaussians([0.0, 0.0], zero, [0.0, 0.0], np.eye(2))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([0.0], [[1.0]], [0.0, 0.0], np.eye(2)), "must have one dimension, got 1 and 2"),
        (([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]], [0, 0], np.eye(2)), "`cov_p` must be symmetric"),
        (([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]], [0, 0], np.eye(2)), "`cov_p` must be positive"),
        (([0.0, 0.0], np.eye(3), [0, 0], np.eye(2)), r"`cov_p` must have shape \(d, d\)"),
        (([0.0, np.nan], np.eye(2), [0, 0], np.eye(2)), "`mean_p` must be finite"),
    ],
)
@pytest.mark.parametrize("function", [kl_gaussians, w2_gaussians])
def test_bad_gaussians_are_refused(function, arguments, text):
    with pytest.raises(ValueError, match=text):
        function(*arguments)


def test_bad_parameters_on_the_line_are_refused():
    with pytest.raises(ValueError, match="`std_p` must be positive, got 0"):
        kl_normals(0, 0, 1, 1)
    with pytest.raises(ValueError, match="`std_q` must be nonnegative, got -1"):
        w1_normals(0, 1, 0, -1)
    with pytest.raises(TypeError, match="`mean_p` must be a real number"):
        kl_normals("0", 1, 0, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shapes must broadcast"):
        kl_normals([0.0, 1.0], 1, [0.0, 1.0, 2.0], 1)
    with pytest.raises(ValueError, match="`rate_p` must be positive, got 0"):
        kl_exponentials(0, 1)
    with pytest.raises(ValueError, match="`lower_p` must be below `upper_p`, got 1 and 1"):
        kl_uniforms(1, 1, 0, 1)
    with pytest.raises(ValueError, match="two points of one space"):
        kl_diracs([0.0], [0.0, 1.0])


# ---- exponentials, uniforms, point masses --------------------------------------------------------
@settings(max_examples=60, deadline=None)
@given(STDS, STDS)
def test_exponentials_are_the_formula(a, b):
    import flint

    old, flint.ctx.prec = flint.ctx.prec, 300
    try:
        x, y = flint.arb(a), flint.arb(b)
        exact, w1 = float((x / y).log() + y / x - 1), float(abs(1 / x - 1 / y))
    finally:
        flint.ctx.prec = old
    assert kl_exponentials(a, b) == pytest.approx(exact, rel=1e-13, abs=0)
    assert w1_exponentials(a, b) == pytest.approx(w1, rel=1e-14, abs=0)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(-12, 12), min_size=4, max_size=4))
def test_uniforms_are_discrete_distributions_on_a_common_partition(ends):
    from divergences.discrete import js, kl, total_variation

    a, b, c, d = min(ends[:2]), max(ends[:2]) + 1, min(ends[2:]), max(ends[2:]) + 1
    cells = np.arange(-12, 13)
    p = np.where((cells >= a) & (cells < b), 1.0 / (b - a), 0.0)
    q = np.where((cells >= c) & (cells < d), 1.0 / (d - c), 0.0)
    # A uniform is a mixture of the uniforms of unit cells, and f-divergences see the masses only.
    assert kl_uniforms(a, b, c, d) == pytest.approx(kl(p, q), rel=1e-13, abs=1e-30)
    assert js_uniforms(a, b, c, d) == pytest.approx(js(p, q), rel=1e-13, abs=1e-15)
    assert tv_uniforms(a, b, c, d) == pytest.approx(total_variation(p, q), rel=1e-13, abs=1e-15)
    fine = 4096
    u = (np.arange(fine) + 0.5) / fine
    midpoint = np.mean(np.abs(a + (b - a) * u - c - (d - c) * u))
    # The midpoint rule is exact but for the one cell where the line changes sign.
    assert w1_uniforms(a, b, c, d) == pytest.approx(midpoint, abs=25.0 / fine**2 + 1e-12)


def test_point_masses_are_all_or_nothing():
    assert (kl_diracs(1.0, 1.0), js_diracs(1.0, 1.0), tv_diracs(1.0, 1.0)) == (0.0, 0.0, 0.0)
    assert (kl_diracs(1.0, 2.0), js_diracs(1.0, 2.0, base=2), tv_diracs(1.0, 2.0)) == (
        math.inf,
        1.0,
        1.0,
    )
    assert wasserstein_diracs(1.0, 1.0 + 2.0**-52) == 2.0**-52
    assert w1_uniforms(1, 1, 3, 3) == 2.0
