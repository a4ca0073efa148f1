"""Objectives as they are printed, taken literally: which are finite, which say what they should."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from tests.identities import check_identity
from tests.logarithms import LogSum, exact_js, exact_log

proves = pytest.mark.proves

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)


def expected_log(masses, values):
    """``sum m log v`` over positive masses, -inf if a value there is 0."""
    pairs = [(m, v) for m, v in zip(masses, values, strict=True) if m]
    if not all(v for _, v in pairs):
        return -math.inf
    return sum((m * exact_log(v) for m, v in pairs), LogSum())


def value(p, q, D):
    """The GAN's value; -inf for a discriminator that is infinitely wrong somewhere."""
    terms = expected_log(p, D), expected_log(q, [1 - d for d in D])
    return -math.inf if -math.inf in terms else terms[0] + terms[1]


def below(first, second):
    """Whether one value is less than another, finite one."""
    return first == -math.inf or first < second


# ---- the generator applied twice -----------------------------------------------------------------
def refute_generator_term(generator, discriminator):
    """The noise is 0 for sure."""
    correct = exact_log(1 - discriminator(generator(0)))
    printed = exact_log(1 - discriminator(generator(generator(0))))
    assert printed != correct
    return printed, correct


def late_suspicion(x):
    return HALF if x >= Fraction(3, 2) else 0


@proves("gan-objective-double-generator-typo", strength="certificate", role="refutes")
def test_a_generator_that_adds_one_is_judged_at_two_instead_of_one(record_witness):
    printed, correct = refute_generator_term(lambda z: z + 1, late_suspicion)
    assert (printed, correct) == (-exact_log(2), 0)
    record_witness(z=0, G="z + 1", D="1/2 from 3/2 on, else 0", printed=str(printed), correct=0)


@proves("gan-objective-double-generator-typo", role="must_fail")
def test_a_generator_that_repeats_itself_does_not_show_the_slip():
    refute_generator_term(lambda z: 2, late_suspicion)


# ---- signs and letters ---------------------------------------------------------------------------
def refute_finite_maximum(sign):
    """Between equal laws, D = 1 - 1/k everywhere is worth log(D / (1 - D)) = log(k - 1)."""
    worth = []
    for k in (10, 10**3, 10**9):
        D = 1 - Fraction(1, k)
        worth.append(exact_log(D) + sign * exact_log(1 - D))
        assert worth[-1] == exact_log(k - 1)
    assert worth[0] > 2
    assert worth[2] > 20
    return worth


@proves("iisc-gan-objective-sign", strength="certificate", role="refutes")
def test_with_a_minus_the_value_is_unbounded_even_between_equal_laws(record_witness):
    worth = refute_finite_maximum(-1)
    record_witness(laws="P_r = P_g", D="1 - 1/k", value="log(k - 1)", k_10=str(worth[0]))


@proves("iisc-gan-objective-sign", role="must_fail")
def test_with_a_plus_it_is_not():
    refute_finite_maximum(1)


def refute_shift(second):
    """``E D - second`` when a constant c is added to D, which stays 1-Lipschitz: it rises by c."""
    check_identity(
        lambda r, f, g, c: ((r + c) - second(f + c, g)) - (r - second(f, g)),
        lambda r, f, g, c: c + 0 * r,
    )


@proves("iisc-wgan-objective-generator-instead-of-critic", strength="identity", role="refutes")
def test_with_g_for_d_a_constant_critic_is_worth_any_amount(record_witness):
    # r, f and g: the expectations of D(x), D(x^) and G(x^).
    refute_shift(lambda f, g: g)
    record_witness(D="c", value="c - E G(x^), unbounded in c", laws="any")


@proves("iisc-wgan-objective-generator-instead-of-critic", role="must_fail")
def test_with_d_in_its_place_constants_cancel():
    refute_shift(lambda f, g: f)


def refute_optimal(p, q, D):
    """Some other discriminator, the undecided one, is worth more."""
    undecided = value(p, q, (HALF, HALF))
    assert undecided == -exact_log(4)
    assert below(value(p, q, D), undecided)
    return value(p, q, D)


@proves("optimal-d-convention-swapped", strength="certificate", role="refutes")
def test_a_discriminator_that_takes_all_data_for_fake_is_the_worst(record_witness):
    worth = refute_optimal((1, 0), (0, 1), (0, 1))
    assert worth == -math.inf
    record_witness(P_r=(1, 0), P_g=(0, 1), D=(0, 1), value="-inf", value_of_one_half="-log 4")


@proves("optimal-d-convention-swapped", role="must_fail")
def test_the_other_way_round_it_is_not_refuted():
    refute_optimal((1, 0), (0, 1), (1, 0))


def refute_value_function(D):
    """V at p_d = p_g with a constant D, against the number min max V = -log 4."""
    assert value((HALF, HALF), (HALF, HALF), (D, D)) != -exact_log(4)
    return value((HALF, HALF), (HALF, HALF), (D, D))


@proves("value-function-defined-as-minmax", strength="certificate", role="refutes")
def test_v_depends_on_d_and_its_min_max_does_not(record_witness):
    V = refute_value_function(Fraction(9, 10))
    record_witness(p_d="p_g", D=Fraction(9, 10), V=str(V), min_max="-log 4")


@proves("value-function-defined-as-minmax", role="must_fail")
def test_at_the_saddle_point_the_two_agree():
    refute_value_function(HALF)


# ---- taking logs ---------------------------------------------------------------------------------
def labels(p, q, D):
    return sum(a * d + b * (1 - d) for a, b, d in zip(p, q, D, strict=True))


def refute_equal_discriminators(p, q):
    """Each game's best discriminator is not the other's."""
    counting = [int(a > b) for a, b in zip(p, q, strict=True)]
    weighing = [Fraction(a) / (a + b) for a, b in zip(p, q, strict=True)]
    assert labels(p, q, counting) > labels(p, q, weighing)
    assert below(value(p, q, counting), value(p, q, weighing))
    return labels(p, q, counting), value(p, q, weighing)


@proves("taking-logs-does-not-change-the-game", strength="certificate", role="refutes")
def test_the_two_games_have_different_optimal_discriminators(record_witness):
    p, q = (3 * QUARTER, QUARTER), (QUARTER, 3 * QUARTER)
    best, logarithmic = refute_equal_discriminators(p, q)
    assert best == Fraction(3, 2)
    assert value(p, q, (1, 0)) == -math.inf
    record_witness(
        p_d=p, p_g=q, linear="D* = (1, 0), value 3/2", log=f"D* = (3/4, 1/4), value {logarithmic}"
    )


@proves("taking-logs-does-not-change-the-game", role="must_fail")
def test_between_disjoint_laws_the_two_optima_agree():
    refute_equal_discriminators((1, 0), (0, 1))


def total_variation(p, q):
    return sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


def refute_equal_generators(p, first, second):
    """The linear game's value is 1 + TV, the logarithmic one's 2 JS - log 4."""
    assert total_variation(p, first) < total_variation(p, second)
    assert exact_js(p, first) > exact_js(p, second)


def tilted(t):
    """The law proportional to (t, t^2, 1)."""
    return tuple(Fraction(v) / (t + t * t + 1) for v in (t, t * t, 1))


DATA = tuple(Fraction(k, 10) for k in (6, 3, 1))


@proves("taking-logs-does-not-change-the-game", strength="certificate", role="refutes")
def test_the_two_games_prefer_different_generators(record_witness):
    A, B = tilted(Fraction(1)), tilted(Fraction(7, 5))
    refute_equal_generators(DATA, A, B)
    record_witness(p_d=DATA, A=A, B=B, linear="prefers A", logarithmic="prefers B")


@proves("taking-logs-does-not-change-the-game", role="must_fail")
def test_the_two_games_agree_on_worse_generators():
    refute_equal_generators(DATA, tilted(Fraction(2)), tilted(Fraction(3)))


# ---- constants and words -------------------------------------------------------------------------
def refute_dropped_constant(K):
    """delta_1 against delta_0: W_1 = 1; K x attains K, and D(1) - D(0) <= K |1 - 0| for all D."""
    distance, attained = abs(1 - 0), K * 1 - K * 0
    assert attained != distance
    return attained, distance


@proves("drop-one-over-k", strength="certificate", role="refutes")
def test_with_lipschitz_constant_two_the_maximum_is_twice_the_distance(record_witness):
    attained, distance = refute_dropped_constant(2)
    record_witness(P_r="1 at 1", P_g="1 at 0", K=2, D="2 x", maximum=attained, W=distance)


@proves("drop-one-over-k", role="must_fail")
def test_with_lipschitz_constant_one_nothing_is_lost():
    refute_dropped_constant(1)


def refute_source(sample_a, sample_b):
    """Data at 0, one and the same critic -|x|: it reports what the generator makes."""
    reports = [(-abs(0)) - (-abs(sample)) for sample in (sample_a, sample_b)]
    distances = [abs(0 - sample) for sample in (sample_a, sample_b)]
    assert reports == distances
    assert distances[0] != distances[1]
    return distances


@proves("quality-from-the-discriminator", strength="certificate", role="refutes")
def test_one_discriminator_goes_with_samples_of_any_quality(record_witness):
    distances = refute_source(0, 1)
    record_witness(P_r="1 at 0", D="-|x|", generators="1 at 0, 1 at 1", W=distances)


@proves("quality-from-the-discriminator", role="must_fail")
def test_mirrored_generators_are_equally_good():
    refute_source(-1, 1)
