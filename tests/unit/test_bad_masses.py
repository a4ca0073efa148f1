"""Inputs that are not distributions: the documented number or one clear sentence, never a guess."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from divergences.discrete import (
    chi2,
    cross_entropy,
    hellinger,
    js,
    js_distance,
    js_gap,
    kl,
    reverse_kl,
    total_variation,
)
from divergences.generators import f_divergence
from divergences.power import alpha_divergence, renyi
from divergences.variational import donsker_varadhan, gan_value, optimal_discriminator

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "kl": kl,
    "reverse_kl": reverse_kl,
    "js": js,
    "js_distance": js_distance,
    "js_gap": js_gap,
    "total_variation": total_variation,
    "hellinger": hellinger,
    "chi2": chi2,
    "cross_entropy": cross_entropy,
    "f_divergence": lambda p, q, **k: f_divergence(p, q, "kl", **k),
    "generic f_divergence": lambda p, q, **k: f_divergence(p, q, "jeffreys", **k),
    "alpha_divergence": lambda p, q, **k: alpha_divergence(p, q, alpha=0.3, **k),
    "renyi": lambda p, q, **k: renyi(p, q, order=0.5, **k),
}
P, Q = [0.2, 0.3, 0.5], [0.5, 0.3, 0.2]
COUNTS_P, COUNTS_Q = [2, 3, 5], [5, 3, 2]


class Named:
    """Stands for a pandas object, which need not be installed."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.values, dtype=dtype)


Named.__module__ = "pandas.core.series"

# What the number in front means is the row of the survey of what other libraries do.
REFUSED: list[tuple[str, Any, Any, type[Exception], str]] = [
    ("01 NaN", [np.nan, 0.5, 0.5], Q, ValueError, "`p` must be finite, got nan at index 0"),
    ("03 inf", [np.inf, 0.0, 0.0], Q, ValueError, "`p` must be finite, got inf at index 0"),
    ("05 negative", [-0.2, 0.7, 0.5], Q, ValueError, "`p` must be nonnegative, got -0.2"),
    ("06 rounding", P, [0.5, 0.5, -1e-18], ValueError, "`q` must be nonnegative.*clip"),
    ("07 no mass", [0.0, 0.0, 0.0], Q, ValueError, "`p` must"),
    ("08 no mass at all", [0.0] * 3, [0.0] * 3, ValueError, "`p` must"),
    ("11 lengths", P, [0.25] * 4, ValueError, "equally many outcomes, got 3 and 4"),
    ("12 broadcast", P, [1.0], ValueError, "equally many outcomes, got 3 and 1"),
    ("13 empty", [], [], ValueError, "`p` must not be empty"),
    ("13 empty batch", np.zeros((0, 3)), np.zeros((0, 3)), ValueError, "must not be empty"),
    ("15 complex", np.array(P) + 0.3j, Q, TypeError, "got dtype complex128"),
    ("16 fractions", [Fraction(1, 2)] * 2, [0.5] * 2, TypeError, "got dtype object"),
    ("17 strings", ["0.2", "0.3", "0.5"], Q, TypeError, "got dtype <U3"),
    ("18 long integers", [10**400, 0], [0.5, 0.5], TypeError, "got dtype object"),
    ("21 bool", [True, False], [True, False], TypeError, "got dtype bool"),
    ("25 float16", np.float16([0.5, 0.5]), [0.5, 0.5], TypeError, "got dtype float16"),
    ("30 longdouble", np.longdouble([0.5, 0.5]), [0.5] * 2, TypeError, "got dtype"),
    ("31 masked", np.ma.array(P, mask=[0, 1, 0]), Q, TypeError, "must not be a masked array"),
    ("32 pandas", Named(P), Q, TypeError, "whose index would be ignored"),
    ("47 None", None, Q, TypeError, "got dtype object"),
    ("a number", 0.5, 0.5, ValueError, "must have an axis of outcomes"),
    ("ragged", [[0.5, 0.5], [1.0]], Q, ValueError, "must be a rectangular array"),
    ("batches", np.tile(P, (2, 1)), np.tile(Q, (3, 1)), ValueError, "leading axes"),
    ("a dictionary", {"a": 1.0}, Q, TypeError, "got dtype object"),
]
NOT_NORMALISED: list[tuple[str, Any, Any, str]] = [
    ("09 sum 2", [0.4, 0.6, 1.0], Q, "`p` must sum to 1, got 2; pass `normalize=True`"),
    ("10 sum .999", [0.2, 0.3, 0.499], Q, "`p` must sum to 1, got 0.999"),
    ("14 column", np.reshape(P, (3, 1)), np.reshape(Q, (3, 1)), "`p` must sum to 1"),
    ("19 int8", np.int8([100, 27, 0]), Q, "`p` must sum to 1, got 127"),
    ("20 uint8", P, np.uint8([200, 100, 0]), "`q` must sum to 1, got 300"),
    ("22 subnormal", [5e-324, 0.0, 0.0], Q, "`p` must sum to 1, got 4.94"),
    ("23 huge", [1e308, 1e308, 0.0], Q, "`p` must sum to 1, got inf"),
    ("second row", [P, [0.2, 0.3, 0.4]], Q, "got 0.9.* at index 1; pass"),
]


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("p", "q", "error", "text"), [r[1:] for r in REFUSED],
                         ids=[r[0] for r in REFUSED])  # fmt: skip
def test_what_is_no_distribution_is_refused_by_one_sentence(function, normalize, p, q, error, text):
    with pytest.raises(error, match=text) as caught:
        function(p, q, normalize=normalize)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize(("p", "q", "text"), [r[1:] for r in NOT_NORMALISED],
                         ids=[r[0] for r in NOT_NORMALISED])  # fmt: skip
def test_masses_that_do_not_sum_to_one_are_refused(function, p, q, text):
    with pytest.raises(ValueError, match=text):
        function(p, q)


ACCEPTED: list[tuple[str, Any, Any, bool]] = [
    ("09 unnormalised", [0.4, 0.6, 1.0], Q, True),
    ("19 int8", np.int8([40, 60, 100]), np.int8([100, 60, 40]), True),
    ("20 uint8", np.uint8([100, 150, 250]), np.uint8([250, 150, 100]), True),
    ("22 subnormal", np.array([20, 30, 50]) * 5e-324, np.array([50, 30, 20]) * 5e-324, True),
    ("23 huge", [0.4e308, 0.6e308, 1e308], [1e308, 0.6e308, 0.4e308], True),
    ("26 float32", np.float32(P), np.float32(Q), False),
    ("27 reversed views", np.array(Q)[::-1], np.array(P)[::-1], False),
    ("29 big-endian", np.array(P, dtype=">f8"), np.array(Q, dtype=">f8"), False),
    ("46 lists", P, Q, False),
    ("tuples", tuple(P), tuple(Q), False),
    ("counts", COUNTS_P, COUNTS_Q, True),
    ("uint64", np.uint64(COUNTS_P), np.uint64(COUNTS_Q), True),
]


@pytest.mark.parametrize(("name", "function"), FUNCTIONS.items(), ids=FUNCTIONS)
@pytest.mark.parametrize(("p", "q", "normalize"), [r[1:] for r in ACCEPTED],
                         ids=[r[0] for r in ACCEPTED])  # fmt: skip
def test_every_accepted_form_of_the_same_masses_gives_the_same_number(
    name, function, p, q, normalize
):
    expected = function(np.array(P), np.array(Q))
    # float32 moves the masses by 2**-25 of themselves; the divergences here by less than 20 times.
    single = isinstance(p, np.ndarray) and p.dtype == np.float32
    # A subnormal has no digits beyond its count, and counts are exact.
    assert function(p, q, normalize=normalize) == pytest.approx(
        expected, rel=1e-6 if single else 1e-13, abs=0
    )


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_one_outcome_is_a_distribution_and_a_column_of_them_is_a_mistake(function):
    one = np.array([1.0])
    value = function(one, one)
    assert value in (0.0, pytest.approx(np.log(2.0)))
    with pytest.raises(ValueError, match=r"one outcome per distribution.*`axis=0`"):
        function(np.reshape(COUNTS_P, (3, 1)), np.reshape(COUNTS_Q, (3, 1)), normalize=True)


@pytest.mark.parametrize(
    ("keywords", "error", "text"),
    [
        ({"base": 1}, ValueError, "`base` must be finite and greater than 1, got 1"),
        ({"base": -2.0}, ValueError, "`base`"),
        ({"base": np.nan}, ValueError, "`base`"),
        ({"base": "2"}, TypeError, "`base` must be a number or None"),
        ({"base": True}, TypeError, "`base`"),
        ({"axis": 1}, ValueError, r"`axis` must be an axis of `p` of shape \(3,\), got 1"),
        ({"axis": 0.0}, TypeError, "`axis` must be an int"),
        ({"axis": True}, TypeError, "`axis` must be an int"),
        ({"normalize": "yes"}, TypeError, "`normalize` must be True or False"),
    ],
)
@pytest.mark.parametrize("function", [kl, js, js_gap, cross_entropy])
def test_bad_options_are_refused(function, keywords, error, text):
    with pytest.raises(error, match=text):
        function(P, Q, **keywords)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_rounded_sums_are_accepted_up_to_the_tolerance_of_the_type(dtype, tolerance):
    inside, outside = (np.array([0.5, 0.5 + f * tolerance], dtype) for f in (0.9, 1.1))
    # The masses are divided out: what is left is the divergence of (1 - t, 1 + t)/2 from (1, 1)/2.
    exact = (0.9 * tolerance) ** 2 / 2
    assert kl(inside, [0.5, 0.5]) == pytest.approx(exact, rel=0.1, abs=0)
    with pytest.raises(ValueError, match=r"`p` must sum to 1, got 1\.0000"):
        kl(outside, [0.5, 0.5])


def test_the_order_and_the_generator_must_make_sense():
    with pytest.raises(TypeError, match="`alpha` must be a number"):
        alpha_divergence(P, Q, alpha="1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`alpha` must be a finite number"):
        alpha_divergence(P, Q, alpha=np.inf)
    with pytest.raises(ValueError, match=r"`generator` must be a Generator or one of 'kl'.*'kI'"):
        f_divergence(P, Q, "kI")


@pytest.mark.parametrize(
    "bad", [[np.nan, 0, 1], [0.5, 1.0 + 1e-15, 0], ["a", "b", "c"], [0.5, 0.5], 0.5]
)
def test_bad_discriminators_are_refused(bad):
    with pytest.raises((ValueError, TypeError), match="`discriminator`"):
        gan_value(P, Q, bad)


def test_variational_functions_refuse_what_the_divergences_refuse():
    for function in (
        lambda p, q: gan_value(p, q, [0.5] * 3),
        lambda p, q: donsker_varadhan(p, q, [0.5] * 3),
        optimal_discriminator,
    ):
        with pytest.raises(ValueError, match="`p` must sum to 1"):
            function(COUNTS_P, Q)
        with pytest.raises(TypeError, match="`q` must hold"):
            function(P, [True, False, True])


def outcome(function: Callable[..., Any], p: Any, q: Any, normalize: bool) -> Any:
    """The value, or infinity for a refusal that quotes the argument; warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return function(p, q, normalize=normalize)
        except (ValueError, TypeError) as error:
            return np.inf if str(error).startswith("`") else np.nan


@settings(max_examples=300, deadline=None)
@given(
    p=hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int8, np.int64]),
        st.integers(0, 4),
        elements=None,
    ),
    q=hnp.arrays(np.float64, st.integers(0, 4), elements=st.floats(width=64)),
    normalize=st.booleans(),
    name=st.sampled_from(sorted(FUNCTIONS)),
)
def test_arbitrary_arrays_give_a_nonnegative_number_or_a_refusal(p, q, normalize, name):
    assert outcome(FUNCTIONS[name], p, q, normalize) >= 0.0


@settings(max_examples=200, deadline=None)
@given(
    masses=st.lists(
        st.tuples(*[st.one_of(st.just(0.0), st.floats(0.0, 1.7e308))] * 2), min_size=1, max_size=5
    ),
    name=st.sampled_from(sorted(FUNCTIONS)),
)
def test_masses_of_any_magnitude_give_a_nonnegative_number(masses, name):
    p, q = np.array(masses).T
    if p.max() == 0.0 or q.max() == 0.0:
        return
    assert FUNCTIONS[name](p, q, normalize=True) >= 0.0
