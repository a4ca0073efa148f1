"""Weight clipping: how long a weight takes to the edge of its window, and what passes a layer."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves


# ---- the edge of the window ----------------------------------------------------------------------
def check_edge(best):
    """``g c sign(g) - g w >= 0`` on [-c, c], with equality only at the edge if g is not 0.

    For g > 0 the difference is ``g (c - w)``, for g < 0 it is ``|g| (c + w)``.
    """
    check_nonnegative_combination(
        lambda g, c, w: g * best(c) - g * w, lambda g, c, w: [g], lambda g, c, w: [c - w]
    )
    check_nonnegative_combination(
        lambda g, c, w: -g * -best(c) - -g * w, lambda g, c, w: [g], lambda g, c, w: [c + w]
    )


EDGE = "clipping-pushes-weights-to-the-boundary"


@proves(
    EDGE,
    strength="identity",
    lemmas=("a function linear in w is g w plus a constant",),
)
def test_the_best_weight_of_a_linear_objective_is_at_the_edge():
    check_edge(lambda c: c)


@proves(EDGE, role="must_fail")
def test_it_is_not_inside():
    check_edge(lambda c: c * 0)


def mean(function, points):
    return sum(function(x) for x in points) / Fraction(len(points))


@proves(EDGE, strength="certificate", role="needs_hypothesis", hypothesis="linear")
def test_the_best_hidden_weight_may_be_zero():
    # D = relu(w x), data at 0 and generated mass at -1 and 1: -|w| / 2, best at w = 0.
    def objective(w):
        def D(x):
            return max(w * x, Fraction(0))

        return mean(D, [0]) - mean(D, [-1, 1])

    grid = [Fraction(k, 10) for k in range(-10, 11)]
    assert [objective(w) for w in grid] == [-abs(w) / 2 for w in grid]


@proves(EDGE, strength="certificate", role="needs_hypothesis", hypothesis="some-slope")
def test_without_slope_every_weight_is_best():
    real, fake = [Fraction(-1), Fraction(3)], [Fraction(0), Fraction(2)]
    g = mean(lambda x: x, real) - mean(lambda x: x, fake)
    assert [g * w for w in (-1, 0, 1)] == [0, 0, 0]


def rmsprop_steps(decay, distance):
    """How many steps of ``alpha / sqrt(1 - decay^t)`` reach ``distance`` times alpha, by balls."""
    from flint import arb, ctx

    bits = ctx.prec
    try:
        ctx.prec = 128
        gone, t = arb(0), 0
        gamma = arb(decay.numerator) / decay.denominator
        while not gone >= distance:
            assert gone < distance  # decided: neither ball straddles the edge
            t += 1
            gone += 1 / (1 - gamma**t).sqrt()
        return t
    finally:
        ctx.prec = bits


@proves(EDGE, strength="enclosure", role="supports")
def test_a_constant_gradient_needs_98_or_191_steps():
    # c = .01, step .00005: a distance of 200 steps without RMSProp's start.
    assert rmsprop_steps(Fraction(99, 100), 200) == 98
    assert rmsprop_steps(Fraction(9, 10), 200) == 191


# ---- features that predict nothing ---------------------------------------------------------------
def linear_critic(differences, start, c, step, steps):
    """Sign ascent with clipping on ``sum_i w_i d_i``, as RMSProp does for constant gradients."""
    w = list(start)
    for _ in range(steps):
        moves = [step * ((d > 0) - (d < 0)) for d in differences]
        w = [max(-c, min(c, v + m)) for v, m in zip(w, moves, strict=True)]
    return w


def refute_most_negative(difference, start):
    """The weight of a feature whose mean does not differ stays where it started."""
    c = Fraction(1, 100)
    w = linear_critic([1, Fraction(-1, 2), difference], start, c, Fraction(1, 20000), 2000)
    assert w[:2] == [c, -c]
    assert w[2] == start[2] != -c
    return w


def logistic_gradient(w, agreement):
    """Exact gradient of the logistic loss at ``w = (log(ratio), 0)``, given as its sigmoid.

    Labels +-1, x1 agrees with the label with probability ``agreement``, x2 is a fair coin of its
    own. At the first weight's sigmoid s the residual of an example is ``1 - s`` or ``s``.
    """
    total = [Fraction(0), Fraction(0)]
    for label, agrees, coin in itertools.product((1, -1), (True, False), (1, -1)):
        mass = Fraction(1, 4) * (agreement if agrees else 1 - agreement)
        x1 = label if agrees else -label
        residual = 1 - w if agrees else w  # sigma(-label w1 x1)
        for i, x in enumerate((x1, coin)):
            total[i] -= mass * residual * label * x
    return total


USELESS = "non-predictive-feature-most-negative"


@proves(USELESS, strength="certificate", role="refutes")
def test_its_weight_stays_or_is_zero(record_witness):
    start = [Fraction(3, 1000), Fraction(-2, 1000), Fraction(4, 1000)]
    w = refute_most_negative(Fraction(0), start)
    # Logistic regression: the gradient vanishes at (log 3, 0), where the sigmoid is 3/4; the loss
    # is strictly convex, since x takes values that span the plane: no other minimum.
    assert logistic_gradient(Fraction(3, 4), Fraction(3, 4)) == [0, 0]
    assert logistic_gradient(Fraction(1, 2), Fraction(3, 4))[1] == 0
    record_witness(
        clipped_linear_critic=f"mean differences (1, -1/2, 0) from {tuple(map(str, start))}: "
        f"weights {tuple(map(str, w))}",
        logistic_regression="weights (log 3, 0) for a feature right 3 times in 4 and a fair coin",
    )


@proves(USELESS, role="must_fail")
def test_a_feature_of_the_other_class_does_get_the_most_negative_weight():
    start = [Fraction(3, 1000), Fraction(-2, 1000), Fraction(4, 1000)]
    refute_most_negative(Fraction(-1, 3), start)


# ---- the width of the window ---------------------------------------------------------------------
def check_time(longest):
    """After t steps of length at most ``longest`` from v: ``|w| <= |v| + t longest``.

    So w is at c after ``(c - |v|) / longest`` steps at the earliest: by induction over the steps.
    """
    check_nonnegative_combination(
        lambda v, t, s, w, m: v + (t + 1) * longest(s) - (w + m),
        lambda v, t, s, w, m: [1, 1],
        lambda v, t, s, w, m: [v + t * s - w, s - m],
    )


def check_rmsprop(power):
    """``m^2 <= s^2 = alpha^2 / (1 - gamma)``: the running mean is at least ``(1 - gamma) g^2``.

    ``m^2 V = alpha^2 g^2`` with ``V = gamma U + (1 - gamma) g^2`` and ``U >= 0``.
    """
    check_identity(
        lambda gamma, U, g: gamma * U + (1 - gamma) * g**power - (1 - gamma) * g**2,
        lambda gamma, U, g: gamma * U,
    )


def check_gain(per_layer):
    """``|W^T d|^2 <= n^2 c^2 |d|^2``, hence after one more layer ``(n c)^(2 L + 2)``, n = 3.

    ``A^2 <= S Q`` is the Cauchy-Schwarz inequality for one column of squared norm S <= 3 c^2.
    """
    check_nonnegative_combination(
        lambda c, A, S, Q: per_layer(c) * Q - A * A,
        lambda c, A, S, Q: [1, Q],
        lambda c, A, S, Q: [S * Q - A * A, 3 * c**2 - S],
    )


WINDOW = "clip-window-too-large-slow-too-small-vanishing"


@proves(WINDOW, strength="identity", scope="too large")
def test_the_time_to_the_edge_grows_in_proportion_to_the_window():
    check_time(lambda s: s)
    check_rmsprop(2)


@proves(
    WINDOW,
    strength="identity",
    scope="too small",
    lemmas=("the n columns of a layer add up: |W^T d|^2 <= n (n c^2) |d|^2, for every n as for 3",),
)
def test_below_one_over_n_every_layer_shrinks_the_gradient():
    check_gain(lambda c: 3 * c**2)


@proves(WINDOW, role="must_fail")
def test_steps_do_not_add_up_to_less():
    check_time(lambda s: s * 0)


@proves(WINDOW, role="must_fail")
def test_a_layer_may_shrink_less_than_its_weights():
    check_gain(lambda c: c**2)


@proves(WINDOW, strength="certificate", role="needs_hypothesis", hypothesis="far-optimum")
def test_where_the_optimum_is_inside_a_larger_window_costs_nothing():
    # Descent on (w - 1/8)^2 / 2 from 0 with step 1/2, clipped: the same orbit for c = 1 and 1000.
    orbits = []
    for c in (1, 1000):
        w, orbit = Fraction(0), []
        for _ in range(20):
            w = max(-c, min(c, w - (w - Fraction(1, 8)) / 2))
            orbit.append(w)
        orbits.append(orbit)
    assert orbits[0] == orbits[1]


@proves(WINDOW, strength="enclosure", role="supports")
def test_a_window_a_hundred_times_as_wide_takes_a_hundred_times_as_long():
    steps = rmsprop_steps(Fraction(9, 10), 20_000)
    assert 100 * 191 < steps <= 20_000


# ---- depth ---------------------------------------------------------------------------------------
def check_random_signs(half):
    """Signs s of n = 3 weights c, a tangent u: the mean of ``mask (c s.u)^2`` is ``c^2 |u|^2 / 2``.

    Turning all signs turns the pre-activation and leaves the square, so that the two masks add up
    to 1, if the pre-activation is not 0; the cross terms of ``(s.u)^2`` cancel over all signs.
    """
    signs = list(itertools.product((1, -1), repeat=3))

    def total(c, u, v, w):
        return sum((c * (a * u + b * v + d * w)) ** 2 for a, b, d in signs)

    check_identity(lambda c, u, v, w: total(c, u, v, w),
                   lambda c, u, v, w: 8 * c**2 * (u**2 + v**2 + w**2))  # fmt: skip
    x, u = (Fraction(3), Fraction(5), Fraction(11)), (Fraction(2), Fraction(-7), Fraction(4))
    masked = Fraction(0)
    for s in signs:
        ahead = sum(a * b for a, b in zip(s, x, strict=True))
        assert ahead != 0
        masked += (ahead > 0) * sum(a * b for a, b in zip(s, u, strict=True)) ** 2
    assert masked / 8 == half * sum(b * b for b in u)


DEPTH = "clipping-vanishing-exploding-with-depth"
SIGNS = (
    "n signs as three: all cross terms of independent fair signs cancel",
    "the rows of a layer are independent of what came before; n rows add up",
    "a power (n c^2 / 2)^L tends to 0 or to infinity",
)


@proves(DEPTH, strength="identity", lemmas=SIGNS)
def test_every_layer_multiplies_the_mean_square_by_n_c_squared_over_two():
    check_random_signs(Fraction(1, 2))


@proves(DEPTH, role="must_fail")
def test_rectifiers_do_not_pass_everything():
    check_random_signs(Fraction(1))


@proves(DEPTH, strength="certificate", role="needs_hypothesis", hypothesis="fair-signs")
def test_equal_signs_explode_below_the_threshold_and_opposite_ones_vanish_above():
    n = 8
    for c in (Fraction(3, 8), Fraction(5, 8)):  # sqrt(2 / n) = 1/2 lies between
        assert (c**2 < Fraction(2, n)) == (c < Fraction(1, 2))
    # All weights c on a positive input: a gain of n c = 3 in every layer, though c < 1/2.
    assert n * Fraction(3, 8) == 3
    # All weights -c: every rectifier is shut behind the first layer, though c > 1/2.
    assert max(Fraction(0), -n * Fraction(5, 8)) == 0


def check_critical_variance(numerator):
    """Variance v: the factor ``n v / 2`` is 1 at ``v = numerator / n``; uniform on [-c, c]: c^2/3.

    ``c^2 = 6 / n`` then, and ``c^2 = 2 / n`` for weights +-c.
    """
    import sympy

    c, n, w = sympy.symbols("c n w", positive=True)
    uniform = sympy.integrate(w**2 / (2 * c), (w, -c, c))
    assert uniform == c**2 / 3
    critical = numerator / n
    assert n * critical / 2 == 1
    assert uniform.subs(c, sympy.sqrt(6 / n)) == critical
    assert (c**2).subs(c, sympy.sqrt(2 / n)) == critical


@proves(
    "xavier-he-relation",
    strength="identity",
    lemmas=("He et al. 2015, (10): variance 2 / n keeps the mean square through a rectifier",),
)
def test_the_critical_window_is_the_scale_of_he_initialisation():
    check_critical_variance(2)


@proves("xavier-he-relation", role="must_fail")
def test_it_is_not_that_of_layers_without_rectifiers():
    check_critical_variance(1)


@proves("xavier-he-relation", strength="certificate", role="supports")
def test_for_512_units_the_window_is_one_sixteenth():
    assert Fraction(1, 16) ** 2 == Fraction(2, 512)
