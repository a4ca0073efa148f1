"""Divergences of probability vectors against ball arithmetic, near equality and at saturation."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from divergences.discrete import (
    chi2,
    cross_entropy,
    entropy,
    hellinger,
    js,
    js_distance,
    js_gap,
    kl,
    reverse_kl,
    total_variation,
)
from divergences.power import alpha_divergence, renyi

LOG2 = math.log(2.0)
# Summands and sums are accurate to a few dozen units of 2**-53; 1e-13 is 900 of them.
RTOL = 1e-13


def fractions(masses: NDArray[np.float64]) -> list[Fraction]:
    """The masses divided by their exact sum."""
    exact = [Fraction(float(x)) for x in masses]
    total = sum(exact, Fraction(0))
    return [x / total for x in exact]


def reference(name: str, p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """The definition in balls of 1200 bits about the exactly normalised masses."""
    import flint

    old = flint.ctx.prec
    flint.ctx.prec = 1200
    try:

        def ball(x: Fraction):  # type: ignore[no-untyped-def]
            return flint.arb(flint.fmpq(x.numerator, x.denominator))

        total = flint.arb(0)
        for a, b in zip(fractions(p), fractions(q), strict=True):
            x, y = ball(a), ball(b)
            if name == "kl" and a:
                if not b:
                    return math.inf
                total += x * ball(a / b).log()
            elif name in ("js", "js_gap"):
                if a:
                    total += x * ball(2 * a / (a + b)).log() / 2
                if b:
                    total += y * ball(2 * b / (a + b)).log() / 2
            elif name == "hellinger2":
                total += (x.sqrt() - y.sqrt()) * (x.sqrt() - y.sqrt()) / 2
            elif name == "chi2":
                if not b and a:
                    return math.inf
                total += (x - y) * (x - y) / y if b else 0
            elif name == "tv":
                total += abs(x - y) / 2
            elif name == "entropy" and a:
                total -= x * x.log()
        if name == "js_gap":
            total = flint.arb(2).log() - total
        return float(total)
    finally:
        flint.ctx.prec = old


def nearly_equal(
    n: int, eps: float, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng([seed, n])
    p = rng.dirichlet(np.ones(n))
    q = p * (1.0 + eps * rng.standard_normal(n))
    return p, q / q.sum()


@st.composite
def distributions(draw: st.DrawFn, *, count: int = 2) -> list[NDArray[np.float64]]:
    """Rounded probability vectors over the same outcomes, zeros and tiny masses among them."""
    n = draw(st.integers(1, 8))
    mass = st.one_of(
        st.just(0.0),
        st.floats(0.0, 1.0),
        st.floats(-300.0, 0.0).map(lambda x: 10.0**x),
    )
    vectors = []
    for _ in range(count):
        masses = np.array(draw(st.lists(mass, min_size=n, max_size=n)))
        assume(masses.sum() > 1e-3)
        vectors.append(masses / masses.sum())
    return vectors


@pytest.mark.parametrize("mass", [5e-324, 2.2e-313, 1e-310, 2.3e-308, 1e-300])
def test_subnormal_mass_without_support_is_infinite(mass):
    assert kl([1.0, mass], [1.0, 0.0]) == math.inf
    assert reverse_kl([1.0, 0.0], [1.0, mass]) == math.inf


# ---- values --------------------------------------------------------------------------------------
@settings(max_examples=60, deadline=None)
@given(distributions())
def test_every_divergence_is_the_definition_in_exact_arithmetic(vectors):
    p, q = vectors
    # Masses below 1e-290 underflow in products; an absolute 1e-290 is what that can cost.
    for name, computed in [
        ("kl", kl(p, q)),
        ("js", js(p, q)),
        ("js_gap", js_gap(p, q)),
        ("hellinger2", hellinger(p, q) ** 2),
        ("tv", total_variation(p, q)),
        ("entropy", entropy(p)),
    ]:
        exact = reference(name, p, q)
        # Where the vectors differ by the rounding of p / p.sum() alone, the difference of the
        # totals is itself known to 2**-53 of it only.
        assert computed == pytest.approx(exact, rel=1e-12, abs=1e-290), name


@settings(max_examples=40, deadline=None)
@given(distributions())
def test_chi2_is_the_definition_in_exact_arithmetic(vectors):
    p, q = vectors
    exact = reference("chi2", p, q)
    assume(exact < 1e300 or math.isinf(exact))
    assert chi2(p, q) == pytest.approx(exact, rel=1e-12, abs=1e-290)


@pytest.mark.parametrize("eps", [1e-1, 1e-2, 1e-3, 1e-5, 1e-7, 1e-9, 1e-11, 1e-13, 1e-15])
@pytest.mark.parametrize("n", [2, 100])
def test_nearly_equal_distributions_keep_twelve_digits(n, eps):
    p, q = nearly_equal(n, eps)
    for name, computed in [
        ("kl", kl(p, q)),
        ("js", js(p, q)),
        ("hellinger2", hellinger(p, q) ** 2),
        ("chi2", chi2(p, q)),
        ("tv", total_variation(p, q)),
    ]:
        assert computed == pytest.approx(reference(name, p, q), rel=1e-12, abs=0), name


def test_the_textbook_sum_fails_the_check_that_ours_passes():
    p, q = nearly_equal(100, 1e-9)
    textbook = float(np.sum(p * np.log(p / q)))
    assert textbook != pytest.approx(reference("kl", p, q), rel=1e-2, abs=0)


def test_distributions_rounded_to_ten_digits_are_divided_out_without_cancellation():
    p, q = nearly_equal(50, 1e-6)
    p, q = np.round(p, 11), np.round(q, 11)
    assert 1e-15 < abs(p.sum() - 1.0) < 1e-9
    assert kl(p, q) == pytest.approx(reference("kl", p, q), rel=1e-12, abs=0)
    assert js(p, q) == pytest.approx(reference("js", p, q), rel=1e-12, abs=0)


def test_no_divergence_of_nearly_equal_distributions_is_negative_or_nan():
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(5), 4000)
    for eps in (1e-8, 1e-12, 1e-16):
        q = p * (1.0 + eps * rng.standard_normal(p.shape))
        q /= q.sum(axis=1, keepdims=True)
        for divergence in (kl, reverse_kl, js, hellinger, total_variation, chi2):
            assert np.all(divergence(p, q) >= 0.0)
        assert np.all(renyi(p, q, order=0.3) >= 0.0)


@pytest.mark.parametrize("base", [None, 2, 10])
def test_js_never_exceeds_log_two_on_disjoint_distributions(base):
    rng = np.random.default_rng(2)
    p, q = np.zeros((5000, 8)), np.zeros((5000, 8))
    p[:, :4], q[:, 4:] = rng.dirichlet(np.ones(4), 5000), rng.dirichlet(np.ones(4), 5000)
    largest = LOG2 / (1.0 if base is None else math.log(base))
    values = js(p, q, base=base)
    assert np.all(values <= largest)
    assert np.all(values >= largest * (1 - RTOL))
    assert np.all(js_gap(p, q, base=base) == 0.0)


@pytest.mark.parametrize("exponent", [-1, -17, -100, -200, -300])
def test_the_gap_to_log_two_is_known_to_twelve_digits(exponent):
    tiny = 10.0**exponent
    p, q = np.array([1.0 - tiny, tiny]), np.array([0.0, 1.0])
    # p keeps tiny on q's outcome: the gap is [tiny log(1 + 1/tiny) + log(1 + tiny)] / 2.
    exact = reference("js_gap", p, q)
    assert 0.0 < exact < 1.0
    assert js_gap(p, q) == pytest.approx(exact, rel=1e-12, abs=0)


def test_the_gap_of_subnormal_masses_is_positive():
    assert 0.0 < js_gap([1.0, 5e-324], [0.0, 1.0]) < 1e-320


@settings(max_examples=40, deadline=None)
@given(distributions())
def test_js_and_its_gap_add_up_to_log_two(vectors):
    p, q = vectors
    assert js(p, q) + js_gap(p, q) == pytest.approx(LOG2, rel=RTOL, abs=0)


# ---- conventions ---------------------------------------------------------------------------------
def test_zero_masses_follow_the_conventions_exactly():
    assert kl([1.0, 0.0], [0.5, 0.5]) == LOG2
    assert kl([0.5, 0.5, 0.0], [0.5, 0.5, 0.0]) == 0.0
    assert kl([0.5, 0.5], [1.0, 0.0]) == math.inf
    assert kl([1.0], [1.0]) == 0.0
    assert cross_entropy([1.0, 0.0], [1.0, 0.0]) == 0.0
    assert cross_entropy([0.5, 0.5], [1.0, 0.0]) == math.inf
    assert math.copysign(1.0, entropy([1.0, 0.0])) == 1.0


def test_ratios_beyond_the_range_of_floats_are_logarithms_all_the_same():
    # p/q = 0.5e310 overflows; log(p/q) does not.
    exact = 0.5 * (math.log(0.5) + 310 * math.log(10.0)) + 0.5 * math.log(0.5)
    assert kl([0.5, 0.5], [1e-310, 1.0]) == pytest.approx(exact, rel=1e-12, abs=0)
    assert js([1.0, 5e-324], [5e-324, 1.0]) == pytest.approx(LOG2, rel=RTOL, abs=0)


def test_bases_are_units():
    p, q = [0.7, 0.3], [0.2, 0.8]
    for divergence in (kl, reverse_kl, js, js_gap, cross_entropy):
        assert divergence(p, q, base=2) == divergence(p, q) / math.log(2)
    assert entropy([0.25] * 4, base=2) == 2.0
    assert js_distance(p, q, base=2) == pytest.approx(math.sqrt(js(p, q, base=2)), rel=RTOL, abs=0)


def test_counts_are_divided_exactly():
    assert kl([1, 2, 4], [3, 6, 12], normalize=True) == 0.0
    assert js(np.array([100, 27], np.int8), np.array([200, 54], np.uint8), normalize=True) == 0.0
    assert total_variation([3, 2, 1, 4], [1, 2, 4, 3], normalize=True) == pytest.approx(0.3)


def test_totals_that_overflow_or_underflow_are_scaled():
    assert kl([1e308, 1e308], [1.5e308, 0.5e308], normalize=True) == pytest.approx(
        kl([0.5, 0.5], [0.75, 0.25]), rel=RTOL
    )
    assert js([5e-324, 1e-323], [1e-323, 5e-324], normalize=True) == pytest.approx(
        js([1 / 3, 2 / 3], [2 / 3, 1 / 3]), rel=RTOL
    )


# ---- batches -------------------------------------------------------------------------------------
ALL = [kl, reverse_kl, js, js_distance, js_gap, total_variation, hellinger, chi2, cross_entropy]


@pytest.mark.parametrize("divergence", ALL)
def test_a_batch_is_its_rows(divergence):
    rng = np.random.default_rng(3)
    p, q = rng.dirichlet(np.ones(30), (4, 5)), rng.dirichlet(np.ones(30), (4, 5))
    q[0] = p[0] * (1 + 1e-9 * rng.standard_normal(p[0].shape))
    q[0] /= q[0].sum(axis=-1, keepdims=True)
    q[1, 0, :3] = 0.0
    q[1, 0] /= q[1, 0].sum()
    together = divergence(p, q)
    assert together.shape == (4, 5)
    single = [[divergence(p[i, j], q[i, j]) for j in range(5)] for i in range(4)]
    np.testing.assert_allclose(together, single, rtol=RTOL)
    assert isinstance(divergence(p[0, 0], q[0, 0]), float)


@pytest.mark.parametrize("divergence", ALL)
def test_one_reference_serves_a_batch_and_any_axis_holds_the_outcomes(divergence):
    rng = np.random.default_rng(4)
    p, q = rng.dirichlet(np.ones(6), 3), rng.dirichlet(np.ones(6))
    expected = [divergence(row, q) for row in p]
    np.testing.assert_allclose(divergence(p, q), expected, rtol=RTOL)
    np.testing.assert_allclose(divergence(p.T, q, axis=0), expected, rtol=RTOL)
    pairs = divergence(p[:, None], p[None, :])
    assert pairs.shape == (3, 3)


def test_long_and_many_rows_are_blocked_without_a_seam():
    rng = np.random.default_rng(5)
    p, q = rng.dirichlet(np.ones(40000)), rng.dirichlet(np.ones(40000))
    direct = math.fsum((p * np.log(p / q)).tolist())
    assert kl(p, q) == pytest.approx(direct, rel=1e-12, abs=0)
    close = p * (1 + 1e-4 * rng.standard_normal(p.size))
    close /= close.sum()
    assert kl(p, close) == pytest.approx(0.5 * chi2(p, close), rel=1e-3)
    many = rng.dirichlet(np.ones(3), 20000)
    assert kl(many, many[::-1])[7] == pytest.approx(kl(many[7], many[-8]), rel=RTOL, abs=0)


def test_inputs_are_not_written_to():
    p, q = np.array([3.0, 1.0]), np.array([1e-200, 1e-200])
    p.flags.writeable = q.flags.writeable = False
    assert kl(p, q, normalize=True) > 0.0


# ---- inequalities --------------------------------------------------------------------------------
@settings(max_examples=60, deadline=None)
@given(distributions(count=3))
def test_the_standard_inequalities_hold(vectors):
    p, q, r = vectors
    slack = 1.0 + 1e-12
    tv, h, k, c = total_variation(p, q), hellinger(p, q), kl(p, q), chi2(p, q)
    assert h**2 <= tv * slack + 1e-300
    assert tv <= math.sqrt(2.0) * h * slack
    assert tv <= math.sqrt(k / 2.0) * slack + 1e-300  # Pinsker, with the factor 1/2 of this tv
    assert k <= math.log1p(c) * slack + 1e-300
    assert js(p, q) <= LOG2 * tv * slack + 1e-300
    assert js(p, q) == pytest.approx(js(q, p), rel=1e-12, abs=1e-300)
    assert js_distance(p, q) <= (js_distance(p, r) + js_distance(r, q)) * slack
    assert hellinger(p, q) <= (hellinger(p, r) + hellinger(r, q)) * slack


def test_pinsker_without_the_half_is_noticed_to_fail():
    p, q = [0.5, 0.5], [0.6, 0.4]
    assert 2.0 * total_variation(p, q) > math.sqrt(kl(p, q) / 2.0)


# ---- divergences of an order ---------------------------------------------------------------------
def test_special_orders_are_the_divergences_with_a_name():
    rng = np.random.default_rng(6)
    p, q = rng.dirichlet(np.ones(9), 20), rng.dirichlet(np.ones(9), 20)
    np.testing.assert_allclose(alpha_divergence(p, q, alpha=2), chi2(p, q) / 2, rtol=RTOL)
    np.testing.assert_allclose(alpha_divergence(p, q, alpha=-1), chi2(q, p) / 2, rtol=RTOL)
    np.testing.assert_allclose(
        alpha_divergence(p, q, alpha=0.5), 4 * hellinger(p, q) ** 2, rtol=RTOL
    )
    np.testing.assert_array_equal(alpha_divergence(p, q, alpha=1), kl(p, q))
    np.testing.assert_array_equal(alpha_divergence(p, q, alpha=0), kl(q, p))
    np.testing.assert_array_equal(renyi(p, q, order=1), kl(p, q))
    np.testing.assert_allclose(
        renyi(p, q, order=0.5), -2 * np.log1p(-(hellinger(p, q) ** 2)), rtol=1e-12
    )
    np.testing.assert_allclose(renyi(p, q, order=2), np.log1p(chi2(p, q)), rtol=1e-12)


@pytest.mark.parametrize("alpha", [-3.0, -0.5, 1e-9, 0.3, 0.5, 0.7, 1 - 1e-9, 1 + 1e-9, 2.5, 7.0])
@pytest.mark.parametrize("eps", [0.5, 1e-2, 1e-5, 1e-9])
def test_an_order_near_one_or_zero_and_nearly_equal_masses_lose_no_digits(alpha, eps):
    import flint

    p, q = nearly_equal(12, eps, seed=5)
    q = np.abs(q) / np.abs(q).sum()
    old, flint.ctx.prec = flint.ctx.prec, 400
    try:
        a = flint.arb(alpha)
        total = flint.arb(0)
        for x, y in zip(fractions(p), fractions(q), strict=True):
            u, v = (flint.arb(flint.fmpq(z.numerator, z.denominator)) for z in (x, y))
            total += u**a * v ** (1 - a)
        exact = float((total - 1) / (a * (a - 1)))
        exact_renyi = float(total.log() / (a - 1))
    finally:
        flint.ctx.prec = old
    assert alpha_divergence(p, q, alpha=alpha) == pytest.approx(exact, rel=1e-12, abs=0)
    if alpha > 0:
        assert renyi(p, q, order=alpha) == pytest.approx(exact_renyi, rel=1e-12, abs=0)


def test_renyi_is_nondecreasing_in_the_order():
    p, q = [0.6, 0.3, 0.1, 0.0], [0.2, 0.3, 0.1, 0.4]
    orders = [0.0, 1e-6, 0.2, 0.5, 0.99, 1.0, 1.01, 2.0, 10.0, 1000.0, math.inf]
    values = [renyi(p, q, order=a) for a in orders]
    assert all(a <= b * (1 + RTOL) for a, b in itertools.pairwise(values))
    assert values[-1] == pytest.approx(math.log(3.0))
    assert values[0] == pytest.approx(-math.log(0.6))


def test_renyi_of_disjoint_or_uncovered_distributions_is_infinite():
    for order in (0.0, 0.5, 1.0, 2.0, math.inf):
        assert renyi([1.0, 0.0], [0.0, 1.0], order=order) == math.inf
    assert renyi([0.5, 0.5], [1.0, 0.0], order=2.0) == math.inf
    assert renyi([0.5, 0.5], [1.0, 0.0], order=0.5) == pytest.approx(math.log(2.0))
    assert alpha_divergence([1.0, 0.0], [0.0, 1.0], alpha=0.5) == pytest.approx(4.0)
    assert alpha_divergence([1.0, 0.0], [0.5, 0.5], alpha=-1.0) == math.inf


@pytest.mark.parametrize("order", [-0.1, math.nan])
def test_a_renyi_order_below_zero_is_refused(order):
    with pytest.raises(ValueError, match="`order` must be"):
        renyi([1.0], [1.0], order=order)
