"""The generator's two losses: where they come from, what they are at D*, and that they differ."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from tests.identities import check_identity
from tests.logarithms import LogSum, exact_js, exact_kl, exact_log

proves = pytest.mark.proves

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)
EQUAL = (HALF, HALF), (HALF, HALF)
CROSSED = (QUARTER, 3 * QUARTER), (3 * QUARTER, QUARTER)


def optimal(p, q):
    return [Fraction(a) / (a + b) for a, b in zip(p, q, strict=True)]


def expectation(masses, values):
    """``sum m log v`` over positive masses."""
    pairs = zip(masses, values, strict=True)
    return sum((m * exact_log(v) for m, v in pairs if m), LogSum())


def saturating(q, D):
    return expectation(q, [1 - d for d in D])


def nonsaturating(q, D):
    return -expectation(q, D)


# ---- where the losses come from ------------------------------------------------------------------
def check_losses(discriminator_loss, generator_loss):
    """Derivatives of ``V = p log D + q log(1 - D)`` and of the losses, in D and in the mass q."""
    import sympy

    p, q, D = sympy.symbols("p q D", positive=True)
    V = p * sympy.log(D) + q * sympy.log(1 - D)
    assert sympy.simplify(sympy.diff(V + discriminator_loss(sympy.log, p, q, D), D)) == 0
    assert sympy.simplify(sympy.diff(V - generator_loss(sympy.log, q, D), q)) == 0


def discriminator_loss(log, p, q, D):
    return -p * log(D) - q * log(1 - D)


@proves("vanilla-losses-from-minmax", strength="identity", scope=("discriminator", "generator"))
def test_the_losses_descend_where_the_game_ascends_and_descends():
    check_losses(discriminator_loss, lambda log, q, D: q * log(1 - D))


@proves("vanilla-losses-from-minmax", role="must_fail")
def test_the_improved_loss_does_not_follow_from_the_game():
    check_losses(discriminator_loss, lambda log, q, D: -q * log(D))


@proves("vanilla-losses-from-minmax", strength="tested", role="conforms")
def test_the_shipped_minimax_losses_are_these():
    import torch

    from gan_core.objectives import OBJECTIVES

    # D = 1/2 and 3/4 on data, 1/2 and 1/4 on generated samples.
    third = math.log(3.0)
    real, fake = (torch.tensor([[0.0, sign * third]], dtype=torch.float64) for sign in (1, -1))
    shipped = OBJECTIVES["minimax"]
    exact = -expectation((HALF, HALF), (HALF, 3 * QUARTER))
    assert math.isclose(float(shipped.critic_loss(real, fake)), 2 * float(exact.ball()))
    assert math.isclose(float(shipped.generator_loss(fake)), -float(exact.ball()))


# ---- values at the optimum -----------------------------------------------------------------------
def refute_value(loss, p, q):
    formula = 2 * exact_js(p, q) - exact_log(4)
    assert loss(p, q) != formula
    return loss(p, q), formula


def both_terms(p, q):
    D = optimal(p, q)
    return expectation(p, D) + saturating(q, D)


@proves("lg-equals-2js-minus-log4", strength="certificate", role="refutes")
@pytest.mark.parametrize(("p", "q"), [EQUAL, CROSSED])
def test_the_generators_term_is_not_the_value_of_the_game(p, q, record_witness):
    loss, formula = refute_value(lambda p, q: saturating(q, optimal(p, q)), p, q)
    # It is the divergence from the midpoint, less log 2.
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    assert loss == exact_kl(q, middle) - exact_log(2)
    assert loss == formula * HALF
    record_witness(P_r=p, P_g=q, L_G=str(loss), stated=str(formula))


@proves("lg-equals-2js-minus-log4", role="must_fail")
@pytest.mark.parametrize(("p", "q"), [EQUAL, CROSSED])
def test_the_value_of_both_terms_is_not_refuted(p, q):
    refute_value(both_terms, p, q)


@proves("ld-sign-inconsistent", strength="certificate", role="refutes")
@pytest.mark.parametrize(("p", "q"), [EQUAL, CROSSED])
def test_the_discriminators_loss_has_the_other_sign(p, q, record_witness):
    loss, formula = refute_value(lambda p, q: -both_terms(p, q), p, q)
    assert loss == -formula > 0
    record_witness(P_r=p, P_g=q, L_D=str(loss), stated=str(formula))


@proves("ld-sign-inconsistent", role="must_fail")
def test_between_disjoint_laws_the_sign_does_not_show():
    refute_value(lambda p, q: -both_terms(p, q), (1, 0), (0, 1))


# ---- taking the improved loss apart --------------------------------------------------------------
def check_decomposition(last):
    """Pointwise; P, Q, S, T for the logs of p, q, p + q and 2, and log 4 = (p + q) T in the sum."""
    check_identity(
        lambda p, q, P, Q, S, T: q * (S - P),
        lambda p, q, P, Q, S, T: (
            q * (Q - P) - (p * (P - S + T) + q * (Q - S + T)) + (p + q) * T + last(p, q) * (P - S)
        ),
    )


@proves("ns-loss-decomposition", strength="identity", lemmas=("p and q add up to 1 each",))
def test_the_improved_loss_is_kl_minus_2_js_and_a_rest():
    check_decomposition(lambda p, q: p)


@proves("ns-loss-decomposition", role="must_fail")
def test_the_rest_is_not_an_expectation_under_the_generator():
    check_decomposition(lambda p, q: q)


def difference(p, q):
    return exact_kl(q, p) - 2 * exact_js(p, q)


def refute_order(first, second, p, better, worse):
    """``first`` prefers one generator, ``second`` the other."""
    assert first(p, better) < first(p, worse)
    assert second(p, better) > second(p, worse)
    return [[str(f(p, q)) for q in (better, worse)] for f in (first, second)]


def improved(p, q):
    return nonsaturating(q, optimal(p, q))


SIXTHS = tuple(Fraction(k, 6) for k in (1, 2, 3))
FEW_MODES = (Fraction(0), Fraction(5, 6), Fraction(1, 6))
ONE_MODE = (Fraction(0), Fraction(0), Fraction(1))


@proves("min-lg-equals-min-kl-minus-2js", strength="certificate", role="refutes")
def test_the_loss_and_the_difference_rank_two_generators_differently(record_witness):
    loss, rest = refute_order(improved, difference, SIXTHS, FEW_MODES, ONE_MODE)
    record_witness(P_r=SIXTHS, A=FEW_MODES, B=ONE_MODE, L_G_of_A_B=loss, KL_minus_2JS_of_A_B=rest)


@proves("min-lg-equals-min-kl-minus-2js", strength="certificate", role="refutes")
def test_over_all_laws_the_least_values_differ_by_log_two(record_witness):
    # Both are least at P_g = P_r (gan-global-optimum; kl-minus-2js-is-a-divergence).
    assert improved(SIXTHS, SIXTHS) == exact_log(2) != difference(SIXTHS, SIXTHS) == 0
    refute_order(improved, difference, SIXTHS, FEW_MODES, ONE_MODE)
    record_witness(P_r=SIXTHS, P_g=SIXTHS, L_G="log 2", KL_minus_2JS=0)


@proves("min-lg-equals-min-kl-minus-2js", role="must_fail")
def test_the_loss_less_what_was_dropped_ranks_as_the_difference_does():
    def completed(p, q):
        return improved(p, q) - expectation(p, optimal(p, q)) - exact_log(4)

    refute_order(completed, difference, SIXTHS, FEW_MODES, ONE_MODE)


# ---- not equivalent ------------------------------------------------------------------------------
SEVENTH = (Fraction(1, 7), Fraction(6, 7))
DOUBLED, DROPPED = (Fraction(3, 7), Fraction(4, 7)), (Fraction(0), Fraction(1))


@proves("ns-equivalent-to-saturating-objective", strength="certificate", role="refutes")
@pytest.mark.parametrize("minimax", [both_terms, lambda p, q: saturating(q, optimal(p, q))])
def test_the_improved_loss_prefers_a_dropped_mode_to_an_exaggerated_one(minimax, record_witness):
    values = refute_order(minimax, improved, SEVENTH, DOUBLED, DROPPED)
    record_witness(P_r=SEVENTH, A=DOUBLED, B=DROPPED, minimax_A_B=values[0], improved_A_B=values[1])


@proves("ns-equivalent-to-saturating-objective", role="must_fail")
def test_a_generator_between_another_and_the_data_is_preferred_by_both():
    near = (Fraction(2, 7), Fraction(5, 7))
    refute_order(both_terms, improved, SEVENTH, near, DOUBLED)


def refute_best(A, B):
    """Values of D that two generators hit with equal probability: which one is better?"""
    logs = expectation((HALF, HALF), A), expectation((HALF, HALF), B)
    assert logs[0] > logs[1]  # A maximises E log D
    caught = saturating((HALF, HALF), A), saturating((HALF, HALF), B)
    assert caught[1] < caught[0]  # B minimises E log(1 - D)
    return logs, caught


@proves("argmax-elogd-equals-argmin-elog1md", strength="certificate", role="refutes")
def test_a_gambler_is_caught_less_and_a_steady_generator_is_believed_more(record_witness):
    steady, gambler = (HALF, HALF), (Fraction(1, 10), Fraction(17, 20))
    refute_best(steady, gambler)
    # Twice the expectations are logs of products.
    assert QUARTER > gambler[0] * gambler[1] == Fraction(17, 200)
    assert QUARTER > (1 - gambler[0]) * (1 - gambler[1]) == Fraction(27, 200)
    record_witness(
        D_of_A=steady,
        D_of_B=gambler,
        products_of_D=(QUARTER, Fraction(17, 200)),
        products_of_1_minus_D=(QUARTER, Fraction(27, 200)),
    )


@proves("argmax-elogd-equals-argmin-elog1md", role="must_fail")
def test_generators_on_single_points_are_ranked_alike():
    refute_best((Fraction(3, 5),) * 2, (Fraction(2, 5),) * 2)


# ---- gradients -----------------------------------------------------------------------------------
def check_frozen(functional, integrand):
    """d/dq of a functional's integrand minus the frozen integrand is one constant for all p, q."""
    import sympy

    p, q = sympy.symbols("p q", positive=True)
    log = sympy.log
    rest = sympy.diff(functional(log, p, q), q) - integrand(log, p, q)
    for symbol in (p, q):
        assert sympy.cancel(sympy.diff(rest, symbol)) == 0


def two_js(log, p, q):
    return p * log(2 * p / (p + q)) + q * log(2 * q / (p + q))


@proves("frozen-discriminator-gradients", strength="identity", scope="non-saturating")
def test_the_frozen_improved_loss_has_the_gradient_of_kl_minus_2_js():
    check_frozen(
        lambda log, p, q: q * log(q / p) - two_js(log, p, q),
        lambda log, p, q: -log(p / (p + q)),
    )


@proves("frozen-discriminator-gradients", strength="identity", scope="saturating")
def test_the_frozen_minimax_loss_has_the_gradient_of_2_js():
    check_frozen(two_js, lambda log, p, q: log(q / (p + q)))


@proves("frozen-discriminator-gradients", role="must_fail")
def test_a_discriminator_that_follows_changes_the_gradient():
    check_frozen(lambda log, p, q: -q * log(p / (p + q)), lambda log, p, q: -log(p / (p + q)))


@proves("frozen-discriminator-gradients", strength="tested", role="conforms")
def test_the_shipped_gradient_is_that_of_the_difference_and_not_of_the_loss():
    from divergences.variational import nonsaturating_gradient, optimal_discriminator

    # Generators proportional to (t, t^2, 1) at t = 17/10.
    t, total = Fraction(17, 10), Fraction(559, 100)
    p = [Fraction(k, 10) for k in (6, 3, 1)]
    q = [t / total, t**2 / total, 1 / total]
    slope = 1 + 2 * t
    moves = [(1 - q[0] * slope) / total, (2 * t - q[1] * slope) / total, -q[2] * slope / total]
    assert sum(moves) == 0
    frozen = expectation(moves, [(a + b) / a for a, b in zip(p, q, strict=True)])
    rest = sum(m * b / (a + b) for m, a, b in zip(moves, p, q, strict=True))
    assert round(float(frozen.ball()), 6) == 0.032444
    assert round(float((frozen + rest).ball()), 6) == 0.049158
    D = optimal_discriminator([float(a) for a in p], [float(b) for b in q])
    shipped = sum(float(m) * g for m, g in zip(moves, nonsaturating_gradient(D), strict=True))
    # Three terms below 1, some ten roundings each.
    assert abs(shipped - float(frozen.ball())) <= 64 * 2.0**-52


def check_slopes(saturating_slope, nonsaturating_slope):
    import sympy

    f = sympy.Symbol("f", real=True)
    D = 1 / (1 + sympy.exp(-f))
    first = sympy.diff(sympy.log(1 - D), f) - saturating_slope(D)
    second = sympy.diff(-sympy.log(D), f) - nonsaturating_slope(D)
    # In E = exp(-f), both are rational.
    E = sympy.Symbol("E", positive=True)
    for difference_ in (first, second):
        assert sympy.cancel(difference_.subs(sympy.exp(-f), E)) == 0
    check_identity(lambda D: -D + (1 - D), lambda D: -(2 * D - 1))


@proves(
    "minimax-and-nonsaturating-slopes",
    strength="identity",
    scope=("slopes", "equal at zero only"),
    lemmas=("sigmoid(f) = 1/2 at f = 0 only",),
)
def test_the_slopes_are_the_two_probabilities():
    check_slopes(lambda D: -D, lambda D: -(1 - D))


@proves("minimax-and-nonsaturating-slopes", role="must_fail")
def test_the_slopes_are_not_exchanged():
    check_slopes(lambda D: -(1 - D), lambda D: -D)


@proves("minimax-and-nonsaturating-slopes", strength="tested", role="conforms")
def test_the_shipped_slopes_are_these_far_into_both_tails():
    import torch

    from gan_core.objectives import OBJECTIVES

    f = torch.linspace(-700, 700, 141, dtype=torch.float64)
    D = 1 / (1 + torch.exp(-f))
    other = 1 / (1 + torch.exp(f))
    torch.testing.assert_close(OBJECTIVES["minimax"].generator.slope(f), -D, rtol=1e-14, atol=0)
    shipped = OBJECTIVES["nonsaturating"].generator.slope(f)
    torch.testing.assert_close(shipped, -other, rtol=1e-14, atol=0)
