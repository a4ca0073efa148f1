"""W_p on the line: four formulas, one number; exact where the data are; no trap of the peers."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from divergences.circular import wasserstein_circular
from divergences.cumulative import w1_circular, w1_cumulative
from divergences.plans1d import kantorovich_potential_1d, transport_plan_1d
from divergences.samples1d import monotone_coupling
from divergences.sorting import sorted_with_order
from divergences.transport1d import wasserstein, wasserstein_cdf, wasserstein_quantile

EPS = np.finfo(float).eps
counts = st.integers(0, 20)
positions = st.lists(st.integers(-50, 50), min_size=1, max_size=12)


@st.composite
def piles(draw):
    """Two histograms of equal total, as counts."""
    n = draw(st.integers(1, 10))
    p = draw(st.lists(counts, min_size=n, max_size=n).filter(any))
    steps = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=20))
    q = list(p)
    for source, target in steps:
        if q[source]:
            q[source] -= 1
            q[target] += 1
    return p, q


@st.composite
def weighted_samples(draw):
    x, y = draw(positions), draw(positions)
    a = draw(st.lists(counts, min_size=len(x), max_size=len(x)).filter(any))
    b = draw(st.lists(counts, min_size=len(y), max_size=len(y)).filter(any))
    return x, y, a, b


def exact_w1(x, y, a, b):
    """The area between two distribution functions, by the definition, in fractions."""
    p = [Fraction(w, sum(a)) for w in a]
    q = [Fraction(w, sum(b)) for w in b]
    knots = sorted({*x, *y})
    area = Fraction(0)
    for left, right in itertools.pairwise(knots):
        F = sum((w for z, w in zip(x, p, strict=True) if z <= left), Fraction(0))
        G = sum((w for z, w in zip(y, q, strict=True) if z <= left), Fraction(0))
        area += abs(F - G) * (right - left)
    return area


def exact_wp(x, y, p):
    """``W_p^p`` of equally weighted samples by repeating both to one size, in fractions."""
    size = math.lcm(len(x), len(y))
    xs = [z for z in sorted(x) for _ in range(size // len(x))]
    ys = [z for z in sorted(y) for _ in range(size // len(y))]
    return Fraction(sum(abs(s - t) ** p for s, t in zip(xs, ys, strict=True)), size)


# ---- histograms ----------------------------------------------------------------------------------
def test_the_four_piles_are_five_raw_and_one_half_normalised():
    p, q = [3, 2, 1, 4], [1, 2, 4, 3]
    result = w1_cumulative(p, q)
    assert result.value == 5
    assert isinstance(result.value, int)
    assert result.flows.tolist() == [2, 2, -1, 0]
    assert w1_cumulative(p, q, normalize=True).value == Fraction(1, 2)
    assert w1_cumulative(np.array(p) / 10, np.array(q) / 10).value == pytest.approx(0.5, abs=EPS)


@given(piles())
def test_counts_give_the_exact_area_between_distribution_functions(pair):
    p, q = pair
    grid = list(range(len(p)))
    assert w1_cumulative(p, q).value == exact_w1(grid, grid, p, q) * sum(p)
    assert w1_cumulative(p, q, normalize=True).value == exact_w1(grid, grid, p, q)


@given(piles(), st.integers(1, 5))
def test_floats_and_gaps_agree_with_fractions(pair, seed):
    p, q = pair
    gaps = [Fraction(k % 7 + 1, seed) for k in range(len(p) - 1)]
    exact = w1_cumulative(p, q, spacing=gaps).value
    floats = w1_cumulative(
        np.array(p, float), np.array(q, float), spacing=[float(g) for g in gaps]
    ).value
    # Integers below 2**53 add up exactly; one rounding per gap and product, n in the sum.
    assert abs(floats - float(exact)) <= 4 * len(p) * EPS * (float(exact) + 1e-300)


def test_counts_beyond_int64_and_small_integers_do_not_overflow():
    assert w1_cumulative([10**30, 0], [0, 10**30]).value == 10**30
    assert w1_cumulative([2**62, 2**62], [0, 2**63]).value == 2**62
    small = np.array([100, 100, 0], np.int8), np.array([0, 100, 100], np.int8)
    assert w1_cumulative(*small).value == 200


def test_unequal_totals_are_refused_since_the_formula_depends_on_the_direction():
    p, q = [3, 2, 1, 5], [1, 2, 4, 3]
    with pytest.raises(ValueError, match="equal total mass, got 11 and 10; pass `normalize=True`"):
        w1_cumulative(p, q)
    with pytest.raises(ValueError, match="equal total mass"):
        w1_cumulative(np.array(p, float), q)


@pytest.mark.parametrize("n", [2, 3, 79, 80, 200, 213, 1000])
def test_batches_of_any_width_equal_their_rows(n):
    rng = np.random.default_rng(n)
    p, q = rng.dirichlet(np.ones(n), 7), rng.dirichlet(np.ones(n), 7)
    batch = w1_cumulative(p, q)
    assert batch.flows.shape == (7, n)
    for k in range(7):
        row = w1_cumulative(p[k], q[k])
        # Two orders of summation, each within n u of masses that add up to two.
        np.testing.assert_allclose(batch.flows[k], row.flows, atol=2 * n * EPS)
        assert abs(batch.value[k] - row.value) <= 2 * n * n * EPS
    one = w1_cumulative(p, q[0])
    assert one.value[3] == pytest.approx(w1_cumulative(p[3], q[0]).value, abs=2 * n * n * EPS)


@given(piles())
def test_the_circle_is_the_best_of_all_places_to_cut_it(pair):
    p, q = pair
    n = len(p)
    circle = w1_circular(p, q)
    # A circle with no flow across one gap is a line; some optimal flow has such a gap.
    cuts = [w1_cumulative(p[k:] + p[:k], q[k:] + q[:k]).value for k in range(n)]
    assert circle.value == min(cuts)
    flows = circle.flows.tolist()
    assert [flows[i] - flows[i - 1] for i in range(n)] == [a - b for a, b in zip(p, q, strict=True)]


def test_the_circle_respects_its_gaps():
    assert w1_circular([1, 0, 0, 0], [0, 0, 0, 1], spacing=[1, 1, 1, 9]).value == 3
    assert w1_circular([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], spacing=0.5).value == 0.5


# ---- samples -------------------------------------------------------------------------------------
@given(weighted_samples())
def test_every_formula_gives_the_exact_number(instance):
    x, y, a, b = instance
    exact = float(exact_w1(x, y, a, b))
    # Masses carry n + m roundings, distances are integers below 100.
    bound = 8 * (len(x) + len(y)) * EPS * 100
    plan = transport_plan_1d(x, y, a, b, normalize=True)
    for value in (
        wasserstein(x, y, a, b, normalize=True),
        wasserstein_cdf(x, y, a, b, normalize=True),
        wasserstein_quantile(x, y, a, b, normalize=True),
        kantorovich_potential_1d(x, y, a, b, normalize=True).value,
        plan.value,
    ):
        assert abs(value - exact) <= bound


@given(positions, positions, st.sampled_from([1, 2, 3]))
def test_samples_of_any_sizes_are_exact_to_a_few_units(x, y, p):
    exact = float(exact_wp(x, y, p)) ** (1 / p)
    for value in (
        wasserstein(x, y, p=p),
        wasserstein_quantile(x, y, p=p),
        transport_plan_1d(x, y, p=p).value,
    ):
        assert abs(value - exact) <= 64 * EPS * exact


@given(positions, positions)
def test_the_supremum_distance_is_the_largest_step_of_the_plan(x, y):
    size = math.lcm(len(x), len(y))
    xs, ys = np.repeat(np.sort(x), size // len(x)), np.repeat(np.sort(y), size // len(y))
    largest = float(np.abs(xs - ys).max())
    assert wasserstein(x, y, p=math.inf) == largest
    assert wasserstein_quantile(x, y, p=math.inf) == largest
    weights = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    assert wasserstein(x, y, *weights, p=math.inf) == largest


@given(positions, st.integers(1, 4))
def test_repeating_every_sample_changes_nothing_at_all(x, times):
    assert wasserstein(x, np.repeat(x, times)) == 0.0


@pytest.mark.parametrize(("n", "m"), [(50_000, 50_000), (40_000, 27_001), (16_385, 16_384)])
def test_blocks_join_without_a_seam(n, m):
    rng = np.random.default_rng(n)
    x, y = rng.standard_normal(n), rng.standard_normal(m)
    size = math.lcm(n, m)
    if size < 10**6:
        xs, ys = np.repeat(np.sort(x), size // n), np.repeat(np.sort(y), size // m)
        assert wasserstein(x, y) == pytest.approx(np.abs(xs - ys).mean(), rel=1e-13)
    a, b = np.full(n, 1 / n), np.full(m, 1 / m)
    area = wasserstein_cdf(x, y)
    # n + m roundings of masses over a range below 12.
    assert abs(wasserstein(x, y) - area) <= 2 * (n + m) * EPS * 12
    assert abs(wasserstein(x, y, a, b) - area) <= 2 * (n + m) * EPS * 12


def test_a_batch_equals_its_rows_with_and_without_weights():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 3, 8)), rng.standard_normal((2, 3, 5))
    a, b = rng.dirichlet(np.ones(8), (2, 3)), rng.dirichlet(np.ones(5), (2, 3))
    plain, weighted = wasserstein(x, y), wasserstein(x, y, a, b, p=2)
    for row in np.ndindex(2, 3):
        assert plain[row] == wasserstein(x[row], y[row])
        assert weighted[row] == wasserstein(x[row], y[row], a[row], b[row], p=2)


# ---- traps of the peers --------------------------------------------------------------------------
def test_integer_samples_are_not_cast_to_zero():
    x, y = np.array([100, 100], np.int8), np.array([-100, -100], np.int8)
    assert wasserstein(x, y) == 200.0
    assert wasserstein(np.array([0, 10], np.uint8), np.array([20, 30], np.uint8)) == 20.0


def test_float32_samples_are_added_up_in_float64():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(300_000).astype(np.float32)
    y = (rng.standard_normal(300_000) + 1e-3).astype(np.float32)
    assert wasserstein(x, y) == wasserstein(x.astype(np.float64), y.astype(np.float64))


def test_huge_and_tiny_positions_neither_overflow_nor_vanish():
    assert wasserstein([1e308, -1e308], [-1e308, 1e308]) == 0.0
    assert wasserstein([1e308], [0.0]) == 1e308
    assert wasserstein([5e-324], [0.0]) == 5e-324
    assert wasserstein([3e-200, 0.0], [0.0, 0.0], p=2) == pytest.approx(3e-200 / math.sqrt(2))
    with pytest.raises(OverflowError, match="exceeds the largest float"):
        wasserstein([1.7e308], [-1.7e308])


def test_atoms_without_mass_do_not_matter_even_at_nan():
    assert wasserstein([0.0, math.nan, 3.0], [1.5], [0.5, 0.0, 0.5], [1.0]) == 1.5
    assert wasserstein([0.0, math.inf], [1.0], [1.0, 0.0]) == 1.0


def test_samples_are_not_heights():
    """The four piles read as samples are the same set: a distance of zero, not of five."""
    assert wasserstein([3, 2, 1, 4], [1, 2, 4, 3]) == 0.0


def test_nearly_equal_samples_keep_their_digits():
    x = np.random.default_rng(0).standard_normal(1001)
    shift = 2.0**-40
    moved = x + shift
    exact = math.fsum((np.sort(moved) - np.sort(x)).tolist()) / len(x)
    assert wasserstein(moved, x) == pytest.approx(exact, rel=8 * EPS)


# ---- plans and critics ---------------------------------------------------------------------------
@given(weighted_samples())
def test_the_plan_has_the_right_masses_and_never_crosses(instance):
    x, y, a, b = instance
    plan = transport_plan_1d(x, y, a, b, normalize=True)
    dense = plan.dense(len(x), len(y))
    bound = 4 * (len(x) + len(y)) * EPS
    np.testing.assert_allclose(dense.sum(axis=1), np.array(a) / sum(a), atol=bound)
    np.testing.assert_allclose(dense.sum(axis=0), np.array(b) / sum(b), atol=bound)
    assert len(plan.mass) < len(x) + len(y)
    order = np.argsort(np.array(x)[plan.source], kind="stable")
    assert (np.diff(np.maximum.accumulate(np.array(y)[plan.target])) >= 0).all()
    assert (np.diff(np.array(x)[plan.source][order]) >= 0).all()


@given(weighted_samples())
def test_the_critic_is_lipschitz_exactly_and_attains_the_distance(instance):
    x, y, a, b = instance
    f = kantorovich_potential_1d(x, y, a, b, normalize=True)
    assert set(f.slopes.tolist()) <= {-1.0, 0.0, 1.0}
    # Integer knots: the running sum of the values is exact.
    assert (np.abs(np.diff(f.values)) <= np.diff(f.knots)).all()
    value = f(x) @ (np.array(a) / sum(a)) - f(y) @ (np.array(b) / sum(b))
    exact = float(exact_w1(x, y, a, b))
    assert abs(value - exact) <= 8 * (len(x) + len(y)) * EPS * 200


def test_a_critic_with_a_slope_too_steep_is_noticed():
    """The must-fail twin: twice the critic attains more than the distance."""
    f = kantorovich_potential_1d([0.0, 1.0], [1.0, 3.0])
    steep = 2.0 * f.values
    assert not (np.abs(np.diff(steep)) <= np.diff(f.knots)).all()


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["spread", "clustered", "equal", "signed zeros"]))
def test_the_packed_sort_sorts_whatever_the_data(seed, kind):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(9000)
    if kind == "clustered":
        x = 1.0 + x * 2.0**-50
    elif kind == "equal":
        x = np.round(x)
    elif kind == "signed zeros":
        x = np.where(rng.random(9000) < 0.5, -0.0, 0.0)
    values, order = sorted_with_order(x)
    np.testing.assert_array_equal(values, np.sort(x))
    np.testing.assert_array_equal(values, x[order])
    assert np.array_equal(np.sort(order), np.arange(9000))


def test_the_corner_rule_never_leaves_the_atoms():
    a = np.full(10, 0.1)
    rows, columns, mass = monotone_coupling(a, np.array([1.0]))
    assert rows.max() == 9
    assert columns.max() == 0
    assert mass.sum() == pytest.approx(1.0, abs=16 * EPS)


# ---- samples on a circle -------------------------------------------------------------------------
@given(weighted_samples(), st.integers(1, 40))
def test_samples_on_a_circle_cost_what_their_histograms_do(instance, period):
    x, y, a, b = instance
    p, q = [Fraction(0)] * period, [Fraction(0)] * period
    for z, w in zip(x, a, strict=True):
        p[z % period] += Fraction(w, sum(a))
    for z, w in zip(y, b, strict=True):
        q[z % period] += Fraction(w, sum(b))
    exact = float(w1_circular(p, q).value)
    value = wasserstein_circular(x, y, a, b, period=period, normalize=True)
    assert abs(value - exact) <= 8 * (len(x) + len(y)) * EPS * period
    assert value <= period / 2 * (1 + 8 * EPS)


def test_turning_the_circle_changes_nothing_and_a_bad_period_is_refused():
    assert wasserstein_circular([0.9375], [0.0625]) == 0.125
    assert wasserstein_circular([0.9375 - 3.0], [0.0625 + 5.0]) == 0.125
    with pytest.raises(ValueError, match="`period` must be positive"):
        wasserstein_circular([0.0], [1.0], period=0.0)


@given(piles())
def test_batches_of_counts_are_exact_whatever_their_size(pair):
    p, q = pair
    if len(p) > 1:
        batch = w1_cumulative([p, q], [q, q], spacing=3)
        assert batch.value.tolist() == [3 * w1_cumulative(p, q).value, 0]
    huge = w1_cumulative([k * 10**15 for k in p], [k * 10**15 for k in q], spacing=10**6)
    assert huge.value == w1_cumulative(p, q).value * 10**21
