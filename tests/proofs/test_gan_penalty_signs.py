"""The gradient penalty with either sign, and with the wrong norms: what the best critic is then.

Between two points at distance d only the slope s along the segment counts: its gain is ``s d``.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves


# ---- + lambda under max --------------------------------------------------------------------------
def refute_maximum(sign):
    """At the slope 1 + k the objective of points at distance 1 exceeds k, for every k >= 0."""
    check_nonnegative_combination(
        lambda k, L: (1 + k) + sign * L * ((1 + k) - 1) ** 2 - k,
        lambda k, L: [1, L * k * k],
        lambda k, L: [1 + 0 * k, 1 + 0 * k],
    )
    return {s: s + sign * 10 * (s - 1) ** 2 for s in (10, 100)}


@proves("gp-sign-error-in-minmax", strength="identity", role="refutes")
def test_under_the_maximum_of_the_slides_the_penalty_is_unbounded(record_witness):
    values = refute_maximum(1)
    assert values == {10: 820, 100: 98110}
    record_witness(
        P_r="1 at 1", P_g="1 at 0", f="s x", penalty_weight=10, s_10=820, s_100=98110, limit="inf"
    )


@proves("gp-sign-error-in-minmax", role="must_fail")
def test_with_a_minus_the_maximum_of_the_slides_is_not_refuted():
    refute_maximum(-1)


@proves("eecs-gp-objective-sign", strength="identity", role="refutes")
def test_as_a_supremum_the_homeworks_objective_is_unbounded(record_witness):
    values = refute_maximum(1)
    record_witness(P_r="1 at 1", P_g="1 at 0", D="s x", penalty_weight=10, s_10=values[10])


@proves("eecs-gp-objective-sign", role="must_fail")
def test_with_a_minus_the_homeworks_supremum_is_not_refuted():
    refute_maximum(-1)


def refute_unit_slope(sign):
    """Over slopes in [-1, 1] the constant critic is the best; distance 1, lambda = 1 + m.

    Slopes s >= 0 with r = 1 - s, then slopes -s; the constant's value is ``sign lambda``.
    """
    check_nonnegative_combination(
        lambda s, r, m: (
            sign * (1 + m) * (s + r) ** 2 - (s * (s + r) + sign * (1 + m) * (s - (s + r)) ** 2)
        ),
        lambda s, r, m: [s * r * (1 + 2 * m), s * s * m],
        lambda s, r, m: [1 + 0 * s, 1 + 0 * s],
    )
    check_nonnegative_combination(
        lambda s, r, m: (
            sign * (1 + m) * (s + r) ** 2 - (-s * (s + r) + sign * (1 + m) * (s - (s + r)) ** 2)
        ),
        lambda s, r, m: [s * (s + r), (1 + m) * s * (s + 2 * r)],
        lambda s, r, m: [1 + 0 * s, 1 + 0 * s],
    )
    return sign * 10, 1


@proves(
    "iisc-gp-objective-three-errors",
    strength="identity",
    role="refutes",
    lemmas=("D(1) - D(0) is the mean of the slopes on the segment", "s + r = 1"),
)
def test_among_1_lipschitz_critics_the_constant_is_the_best(record_witness):
    constant, steepest = refute_unit_slope(1)
    record_witness(
        P_r="1 at 1", P_g="1 at 0", penalty_weight=10, D_constant=constant, D_equal_to_x=steepest
    )


@proves("iisc-gp-objective-three-errors", role="must_fail")
def test_with_a_minus_the_constant_is_not_the_best():
    refute_unit_slope(-1)


# ---- the right signs -----------------------------------------------------------------------------
def check_loss(sign):
    """``4 L (loss + d) + d^2 = (2 L (s - 1) - d)^2`` with ``loss = -s d + sign L (s - 1)^2``.

    So the loss is at least -(d + d^2 / (4 L)), where 2 L (s - 1) = d only. Slopes below 0 are
    fined as their mirror images and gain less.
    """
    check_identity(
        lambda L, d, s: 4 * L * (-s * d + sign * L * (s - 1) ** 2 + d) + d**2,
        lambda L, d, s: (2 * L * (s - 1) - d) ** 2,
    )


@proves(
    "wgan-gp-algorithm-sign-consistent", strength="identity", lemmas=("squares are not negative",)
)
def test_the_algorithms_loss_is_a_parabola_with_its_vertex_at_the_known_slope():
    check_loss(1)
    assert -(1 + Fraction(1, 40)) == Fraction(-41, 40)


@proves("wgan-gp-algorithm-sign-consistent", role="must_fail")
def test_the_misprinted_loss_is_not():
    check_loss(-1)


@proves("wgan-gp-algorithm-sign-consistent", strength="tested", role="conforms")
@pytest.mark.parametrize(("d", "weight"), [(1.0, 10.0), (0.5, 0.25), (2.0, 1.0)])
def test_the_shipped_critic_rests_at_that_slope_with_that_loss(d, weight):
    import torch

    from gan_core.gradients import critic_gradient
    from gan_core.networks import StackedMLP
    from gan_core.objectives import OBJECTIVES
    from gan_core.penalties import one_centered

    critic = StackedMLP([1, 1], dtype="float64")
    critic.weights[0][:] = 1 + d / (2 * weight)
    real = torch.full((1, 4, 1), d, dtype=torch.float64)
    mix = torch.tensor([0.1, 0.2, 0.6, 0.9], dtype=torch.float64).reshape(1, 4, 1)
    step = critic_gradient(
        critic, real, 0 * real, OBJECTIVES["wgan"], penalty=one_centered(weight), mix=mix
    )
    loss = float(step.loss + step.penalty)
    # A dozen roundings of numbers below 2 lambda + d.
    tolerance = 16 * 2.0**-52 * (2 * weight + d + 1 / weight)
    assert abs(loss + d + d * d / (4 * weight)) <= tolerance
    assert abs(float(critic.weight_gradients[0])) <= tolerance
    assert float(step.real.mean() - step.generated.mean()) > d


def check_mirror(slope_sign):
    """``4 L loss + 4 L d + d^2 = (2 L (s - 1) - d)^2`` at the slope ``slope_sign s``, s > 0."""
    check_identity(
        lambda L, d, s: 4 * L * (slope_sign * s * d + L * (s - 1) ** 2) + 4 * L * d + d**2,
        lambda L, d, s: (2 * L * (s - 1) - d) ** 2,
    )


@proves("mirrored-penalised-critic", strength="identity", lemmas=("squares are not negative",))
def test_the_minimised_objective_has_the_mirrored_critic():
    check_mirror(-1)


@proves("mirrored-penalised-critic", role="must_fail")
def test_the_minimised_objective_does_not_have_the_critic_itself():
    check_mirror(1)


# ---- training with the misprinted sign -----------------------------------------------------------
def check_escape(sign):
    """One step from s; ``d = 2 L (1 - t)`` for the threshold t = 1 - d / (2 L)."""
    check_identity(
        lambda L, eta, s, t: s + eta * (2 * L * (1 - t) + sign * 2 * L * (s - 1)) - t,
        lambda L, eta, s, t: (1 + 2 * L * eta) * (s - t),
    )


@proves("misprinted-penalty-is-bistable", strength="identity")
def test_steps_lead_away_from_the_threshold_on_both_sides():
    check_escape(1)


@proves("misprinted-penalty-is-bistable", role="must_fail")
def test_with_the_right_sign_they_do_not():
    check_escape(-1)


@proves("misprinted-penalty-is-bistable", strength="tested", role="conforms")
def test_the_shipped_threshold_is_this():
    from lipschitz.gradient_penalty import misprinted_penalty_slope

    assert misprinted_penalty_slope(1.0, 10.0) == 0.95
    assert misprinted_penalty_slope(1.0, 1.0) == 0.5


@proves("misprinted-penalty-is-bistable", strength="certificate", role="supports")
@pytest.mark.parametrize(("start", "end"), [(Fraction(94, 100), 0), (Fraction(96, 100), 10)])
def test_a_slope_on_either_side_of_0_95_dies_or_explodes(start, end):
    s, eta = start, Fraction(1, 100)
    for _ in range(40):
        s = s + eta * (1 + 20 * (s - 1))
        if s <= 0 or s >= 10:
            break
    assert (s <= 0) if end == 0 else (s >= 10)


# ---- wrong norms ---------------------------------------------------------------------------------
def check_best_slope(penalty, stationary, half_gain=lambda e, b: e):
    """The derivative of ``s d - L penalty(s)`` vanishes at ``stationary``, where d = 2 L e.

    Before it the derivative is positive and after it negative: there is one maximum.
    """
    import sympy

    s, L, e, b = sympy.symbols("s L e b", positive=True)
    derivative = sympy.diff(s * 2 * L * half_gain(e, b) - L * penalty(s, b), s)
    assert sympy.simplify(derivative.subs(s, stationary(e, b))) == 0


ONE_ROOT = ("a concave function is largest where its derivative vanishes",)
WRONG = "popular-wrong-penalties"


@proves(WRONG, strength="identity", scope="whole batch", lemmas=ONE_ROOT)
def test_one_norm_for_the_whole_batch_divides_the_slope_by_its_root():
    # b = sqrt B: B gradients of norm s have together the norm b s.
    check_best_slope(lambda s, b: (b * s - 1) ** 2, lambda e, b: (e + b) / b**2)
    assert (Fraction(1, 20) + 8) / 64 == Fraction(161, 1280)  # 0.12578125


@proves(WRONG, strength="identity", scope="per coordinate", lemmas=ONE_ROOT)
def test_a_norm_for_each_coordinate_doubles_the_excess():
    # The other coordinate's slope costs nothing at 1 or -1.
    check_best_slope(lambda s, b: ((s - 1) ** 2 + (1 - 1) ** 2) / 2, lambda e, b: 1 + 2 * e)


@proves(WRONG, strength="identity", scope="zero-centred", lemmas=ONE_ROOT)
def test_a_penalty_centred_at_zero_leaves_the_excess_only():
    check_best_slope(lambda s, b: s**2, lambda e, b: e)


@proves(
    WRONG,
    strength="identity",
    scope="squared norm",
    lemmas=("s (s^2 - 1) increases from s = 1 on and is negative before",),
)
def test_a_squared_norm_leaves_the_root_of_a_cubic():
    # With the root b, d = 4 L b (b^2 - 1).
    check_best_slope(
        lambda s, b: (s**2 - 1) ** 2, lambda e, b: b, half_gain=lambda e, b: 2 * b * (b**2 - 1)
    )
    low, high = Fraction(101225, 10**5), Fraction(101235, 10**5)
    assert 40 * low * (low**2 - 1) < 1 < 40 * high * (high**2 - 1)


@proves(WRONG, role="must_fail")
def test_one_norm_for_the_whole_batch_does_not_leave_the_slope_alone():
    check_best_slope(lambda s, b: (b * s - 1) ** 2, lambda e, b: 1 + e)


@proves(WRONG, strength="tested", role="conforms")
@pytest.mark.parametrize("shape", [(2,), (3, 4, 4), (1, 8, 8)])
def test_the_shipped_penalty_takes_one_norm_per_sample_whatever_the_shape(shape):
    import torch

    from gan_core.penalties import one_centered

    # 64 gradients of norm 1: free. One norm for all would be 8 and cost 10 (8 - 1)^2 = 490.
    gradient = torch.zeros(1, 64, *shape, dtype=torch.float64)
    gradient[(0, slice(None), *(0,) * len(shape))] = 1.0
    assert float(one_centered(10.0).value(gradient)) == 0.0
    assert float(gradient.norm()) == 8.0
    # Norm 5 from two coordinates; each alone would cost 10 ((3 - 1)^2 + (4 - 1)^2) / 2 = 65.
    gradient[(0, slice(None), *(0,) * len(shape))] = 3.0
    gradient[(0, slice(None), *(0,) * (len(shape) - 1), 1)] = 4.0
    assert float(one_centered(10.0).value(gradient)) == 160.0
