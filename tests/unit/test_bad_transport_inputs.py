"""Forty-seven bad inputs: every function gives the documented number or one clear sentence.

The masses ``p`` to ``q`` on the grid 0, 1, 2 are at distance 0.7 unless a case says otherwise.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from divergences.cumulative import w1_circular, w1_cumulative
from divergences.monge_maps import monge
from divergences.plans1d import kantorovich_potential_1d, transport_plan_1d
from divergences.sinkhorn import sinkhorn_divergence
from divergences.sliced import sliced_wasserstein
from divergences.transport import optimal_transport
from divergences.transport1d import wasserstein, wasserstein_cdf, wasserstein_quantile
from evidence import NotCertified

EPS = np.finfo(float).eps
P, Q = [0.6, 0.1, 0.3], [0.1, 0.4, 0.5]
RIGHT = 0.7
REFUSALS = (TypeError, ValueError, OverflowError, NotCertified)
inf, nan = math.inf, math.nan


def as_histogram(p, q, n, normalize):
    return w1_cumulative(p, q, normalize=normalize).value


def as_samples(p, q, n, normalize):
    grid = np.arange(float(n))
    return wasserstein(grid, grid, p, q, normalize=normalize)


def as_costs(p, q, n, normalize):
    costs = np.abs(np.subtract.outer(np.arange(float(n)), np.arange(float(n))))
    return optimal_transport(None, None, p, q, cost=costs, normalize=normalize).value


def as_cloud(p, q, n, normalize):
    grid = np.arange(float(n))
    return optimal_transport(grid, grid, p, q, normalize=normalize).value


FUNCTIONS = [as_histogram, as_samples, as_costs, as_cloud]


def single_sentence(error: BaseException) -> bool:
    text = str(error)
    return "`" in text and "\n" not in text and len(text) < 300


def series(values):
    """What pandas would pass: an object of its module, whose index numpy ignores."""
    kind = type("Series", (list,), {"__module__": "pandas.core.series"})
    return kind(values)


# case: masses p, masses q, what the three forms answer (a number, or the refusal)
MASSES = {
    "01 NaN in mass": ([nan, 0.4, 0.6], Q, ValueError),
    "03 inf in mass": ([inf, 0.4, 0.6], Q, ValueError),
    "05 negative mass, sum 1": ([-0.2, 0.6, 0.6], Q, ValueError),
    "06 negative mass of rounding size": ([-1e-18, 0.5, 0.5], Q, ValueError),
    "07 zero mass p": ([0.0, 0.0, 0.0], Q, ValueError),
    "08 zero mass both": ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], ValueError),
    "09 unnormalised p": ([1.2, 0.2, 0.6], Q, ValueError),
    "10 masses differ by 1e-3": ([0.6, 0.1, 0.301], Q, ValueError),
    "11 lengths 3 and 4": (P, [0.25] * 4, ValueError),
    "12 lengths 3 and 1": (P, [1.0], ValueError),
    "13 empty": ([], [], ValueError),
    "14 column vector": (np.array(P)[:, None], np.array(Q)[:, None], ValueError),
    "15 complex masses": (np.array(P) + 0j, Q, TypeError),
    "17 strings": (["0.6", "0.1", "0.3"], Q, TypeError),
    "18 integers of 400 digits": ([10**400, 0, 0], [0.5, 0.5, 0.0], (TypeError, ValueError)),
    "21 bool masses": ([True, False, False], [False, True, False], TypeError),
    "31 masked array": (np.ma.masked_array(P, [0, 0, 1]), Q, TypeError),
    "32 pandas series": (series(P), Q, TypeError),
    "36 tensor on the meta device": (torch.tensor(P, device="meta"), Q, REFUSALS),
    "47 None against an array": ([None, 0.5, 0.5], Q, TypeError),
    "30 longdouble": (np.array(P, np.longdouble), np.array(Q, np.longdouble), TypeError),
    "25 float16": (np.array(P, np.float16), np.array(Q, np.float16), TypeError),
    "27 reversed views": (np.array(P[::-1])[::-1], np.array(Q[::-1])[::-1], RIGHT),
    "29 big-endian": (np.array(P, ">f8"), np.array(Q, ">f8"), RIGHT),
    "38 more outcomes than mass": ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], 2.0),
    "46 lists": (P, Q, RIGHT),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("p", "q", "answer"), MASSES.values(), ids=MASSES)
def test_masses(function, p, q, answer):
    if isinstance(answer, float):
        assert function(p, q, 3, False) == pytest.approx(answer, abs=8 * EPS)
        return
    with pytest.raises(answer) as refusal:
        function(p, q, 3, False)
    assert single_sentence(refusal.value)


COUNTS = {
    "09 unnormalised": ([1.2, 0.2, 0.6], [0.2, 0.8, 1.0], RIGHT),
    "19 int8 counts whose sum overflows": (
        np.array([60, 10, 30], np.int8) + np.int8(0),
        np.array([10, 40, 50], np.int8),
        RIGHT,
    ),
    "20 uint8 counts": (
        np.array([240, 40, 120], np.uint8),
        np.array([40, 160, 200], np.uint8),
        RIGHT,
    ),
    "22 subnormal masses": ([3 * 5e-324, 5e-324], [5e-324, 3 * 5e-324], 0.5),
    "23 huge masses whose sum overflows": ([1e308] * 2 + [0.0], [0.0] + [1e308] * 2, 1.0),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("p", "q", "answer"), COUNTS.values(), ids=COUNTS)
def test_counts_are_normalised_on_request(function, p, q, answer):
    value = function(p, q, len(p), True)
    assert float(value) == pytest.approx(answer, abs=8 * EPS)
    if function is not as_histogram:
        with pytest.raises(ValueError, match=r"must sum to 1, got .*; pass `normalize=True`"):
            function(p, q, len(p), False)


def test_16_fractions_are_exact_where_that_is_promised_and_refused_elsewhere():
    p, q = ([Fraction(v).limit_denominator(10) for v in masses] for masses in (P, Q))
    assert w1_cumulative(p, q).value == Fraction(7, 10)
    with pytest.raises(TypeError, match="dtype object"):
        wasserstein([0, 1, 2], [0, 1, 2], p, q)


@pytest.mark.parametrize("function", [as_samples, as_cloud])
def test_28_read_only_arrays_are_left_alone(function):
    p, q = np.array(P), np.array(Q)
    p.flags.writeable = q.flags.writeable = False
    assert function(p, q, 3, False) == pytest.approx(RIGHT, abs=8 * EPS)


def test_26_float32_masses_are_added_up_in_float64():
    rng = np.random.default_rng(0)
    p, q = (rng.random(200_000).astype(np.float32) for _ in range(2))
    narrow = w1_cumulative(p, q, normalize=True).value
    wide = w1_cumulative(p.astype(float), q.astype(float), normalize=True).value
    assert narrow == wide


def test_33_to_37_tensors_of_every_kind():
    p, q = torch.tensor(P, dtype=torch.float64), torch.tensor(Q, dtype=torch.float64)
    assert w1_cumulative(p, q).value.item() == pytest.approx(RIGHT, abs=8 * EPS)
    tracked = p.clone().requires_grad_()
    assert w1_cumulative(tracked, q).value.requires_grad
    assert w1_cumulative(p.float(), q).value.dtype == torch.float64
    with pytest.raises(TypeError, match="`q` must be a tensor"):
        w1_cumulative(p, Q)
    with pytest.raises(TypeError, match="requires grad"):
        optimal_transport(None, None, tracked, q, cost=np.ones((3, 3)))


SAMPLES = {
    "02 NaN in support": ([0.0, nan, 2.0], [1.0], ValueError),
    "04 inf in support": ([0.0, inf], [0.0, 1.0], ValueError),
    "04 inf in both": ([0.0, inf], [1.0, inf], ValueError),
    "11 ragged": ([[0.0, 1.0], [2.0]], [1.0], ValueError),
    "13 empty": ([], [1.0], ValueError),
    "13 both empty": ([], [], ValueError),
    "15 complex": ([1j], [1.0], TypeError),
    "17 strings": (["0"], ["1"], TypeError),
    "21 bool": ([True], [False], TypeError),
    "30 longdouble": (np.ones(2, np.longdouble), [1.0, 1.0], TypeError),
    "25 float16": (np.ones(2, np.float16), [1.0, 1.0], TypeError),
    "31 masked": (np.ma.masked_array([0.0, 1.0], [0, 1]), [1.0], TypeError),
    "32 pandas": (series([0.0, 1.0]), [1.0, 1.0], TypeError),
    "47 None": (None, [1.0], TypeError),
    "a number": (1.0, [1.0], ValueError),
    "an array without axes": (np.array(1.0), [1.0], ValueError),
    "integers beyond 2**53": (np.array([2**53 + 1]), [1.0], ValueError),
    "18 huge integers": ([10**400], [1.0], TypeError),
}


@pytest.mark.parametrize(
    "function",
    [
        wasserstein,
        wasserstein_cdf,
        wasserstein_quantile,
        transport_plan_1d,
        kantorovich_potential_1d,
        optimal_transport,
        monge,
        lambda x, y: sinkhorn_divergence(x, y, regularisation=1.0),
        lambda x, y: sliced_wasserstein(x, y, rng=np.random.default_rng(0)),
    ],
)
@pytest.mark.parametrize(("x", "y", "error"), SAMPLES.values(), ids=SAMPLES)
def test_supports(function, x, y, error):
    with pytest.raises(error) as refusal:
        function(x, y)
    assert single_sentence(refusal.value)


@pytest.mark.parametrize("function", [wasserstein, wasserstein_cdf, wasserstein_quantile])
def test_14_samples_that_lie_the_wrong_way_are_refused(function):
    for x, y in ((np.ones((3, 1)), np.zeros((3, 1))), (np.ones((2, 3)), np.ones((3, 3)))):
        with pytest.raises(ValueError, match="`x`"):
            function(x, y)


def test_02_and_04_atoms_without_mass_may_be_anywhere():
    for bad in (nan, inf, -inf):
        assert wasserstein([0.0, bad, 3.0], [1.5], [0.5, 0.0, 0.5], [1.0]) == 1.5
        points = [[0.0, 0.0], [bad, 0.0], [3.0, 0.0]]
        assert optimal_transport(points, [[1.5, 0.0]], [0.5, 0.0, 0.5], [1.0]).value == 1.5


def test_04_weights_on_one_side_do_not_hide_the_other_from_the_check():
    for bad in (nan, inf, -inf):
        with pytest.raises(ValueError, match="`y` must be finite"):
            wasserstein([0.0, 1.0], [0.0, bad], [0.5, 0.5])
        with pytest.raises(ValueError, match="`x` must be finite"):
            wasserstein([0.0, bad], [0.0, 1.0], None, [0.5, 0.5])


def test_24_huge_supports():
    assert wasserstein([0.0, 1e308], [0.0, 1e308], [0.5, 0.5], [0.15, 0.85]) == pytest.approx(
        3.5e307, rel=1e-15
    )
    assert optimal_transport([[1e308]], [[0.0]]).value == 1e308


def test_39_and_40_order_and_repetition_of_atoms_do_not_matter():
    x, p = [2.0, 0.0, 0.0, 1.0], [0.3, 0.2, 0.4, 0.1]
    assert wasserstein(x, [0.0, 1.0, 2.0], p, Q) == pytest.approx(RIGHT, abs=8 * EPS)
    assert optimal_transport(x, [0.0, 1.0, 2.0], p, Q).value == pytest.approx(RIGHT, abs=8 * EPS)


COSTS = {
    "02 NaN in cost": ([[nan, 1.0], [1.0, 0.0]], ValueError),
    "04 -inf in cost": ([[-inf, 1.0], [1.0, 0.0]], ValueError),
    "42 wrong shape": ([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0]], ValueError),
    "43 NaN where no mass moves": ([[0.0, nan], [1.0, 0.0]], ValueError),
    "a vector": ([0.0, 1.0], ValueError),
    "ragged": ([[0.0], [1.0, 0.0]], ValueError),
    "strings": ([["0", "1"], ["1", "0"]], TypeError),
    "complex": (np.zeros((2, 2)) * 1j, TypeError),
    "masked": (np.ma.masked_array(np.zeros((2, 2)), True), TypeError),
}


@pytest.mark.parametrize(("cost", "error"), COSTS.values(), ids=COSTS)
def test_costs(cost, error):
    with pytest.raises(error) as refusal:
        optimal_transport(None, None, [0.5, 0.5], [0.5, 0.5], cost=cost)
    assert single_sentence(refusal.value)


def test_41_and_44_negative_and_int8_costs_are_costs():
    assert optimal_transport(None, None, cost=[[-1.0, 0.0], [0.0, -2.0]]).cost == -1.5
    big = np.array([[100, 120], [120, 100]], np.int8)
    assert optimal_transport(None, None, cost=big).cost == 100.0


@pytest.mark.parametrize(
    ("keywords", "error", "text"),
    [
        ({"p": 0.5}, ValueError, "`p` must be at least 1"),
        ({"p": nan}, ValueError, "`p` must be at least 1"),
        ({"p": "2"}, TypeError, "`p` must be a number"),
        ({"p": True}, TypeError, "`p` must be a number"),
        ({"normalize": 1}, TypeError, "`normalize` must be True or False"),
    ],
)
@pytest.mark.parametrize("function", [wasserstein, optimal_transport])
def test_bad_options_are_refused(function, keywords, error, text):
    with pytest.raises(error, match=text):
        function([0.0], [1.0], **keywords)


def test_options_of_transport_are_checked():
    with pytest.raises(ValueError, match="`ground` must be one of 'l2'"):
        optimal_transport([0.0], [1.0], ground="euclid")
    with pytest.raises(ValueError, match="`p` must be finite"):
        optimal_transport([0.0], [1.0], p=inf)
    with pytest.raises(ValueError, match="`p` must be 1 with `cost`"):
        optimal_transport(None, None, cost=[[1.0]], p=2)
    with pytest.raises(TypeError, match="`x` and `y` must be None when `cost` is given"):
        optimal_transport([0.0], [1.0], cost=[[1.0]])
    with pytest.raises(TypeError, match="or pass `cost`"):
        optimal_transport(None, None)
    with pytest.raises(ValueError, match="clouds in one space"):
        optimal_transport(np.ones((2, 2)), np.ones((2, 3)))
    for spacing in (0, -1.0, nan, inf, [1.0], [1.0, 0.0]):
        with pytest.raises(ValueError, match="`spacing`"):
            w1_cumulative(P, Q, spacing=spacing)
        with pytest.raises(ValueError, match="`spacing`"):
            w1_circular(P, Q, spacing=spacing)


def number_or_sentence(compute):
    """The number, or None after a refusal in one sentence; anything else propagates."""
    problem = None
    try:
        return compute()
    except REFUSALS as refusal:
        problem = refusal
    assert single_sentence(problem)
    return None


numbers = st.floats(allow_nan=True, allow_infinity=True, width=64)
arrays = hnp.arrays(np.float64, st.integers(0, 4), elements=numbers)


@settings(max_examples=200, deadline=None)
@given(arrays, arrays, st.none() | arrays, st.booleans())
def test_arbitrary_floats_give_a_nonnegative_number_or_a_refusal(x, y, weights, normalize):
    for function in (wasserstein, wasserstein_quantile):
        answer = number_or_sentence(lambda: function(x, y, weights, normalize=normalize))  # noqa: B023
        assert answer is None or 0.0 <= answer < inf
    answer = number_or_sentence(lambda: w1_cumulative(x, y, normalize=normalize).value)
    assert answer is None or 0.0 <= answer < inf


def test_the_checks_of_this_file_can_fail():
    assert not single_sentence(ValueError("bad input"))
    assert not single_sentence(ValueError("`x` is bad\nTraceback"))
