"""Theorems on rates: what they say beside what is computed without them."""

from __future__ import annotations

import numpy as np
import pytest

from dynamics import (
    GDA,
    OGD,
    AnchoredExtragradient,
    Bilinear,
    Extragradient,
    HeavyBall,
    MatrixGame,
    MultiplicativeWeights,
    Schedule,
    rates,
)

ORDERS = ("simultaneous", "alternating_xy")


def parameters(seed, count, size):
    """Multiples of 1/64 with a zero now and then: exact in floats, and often on a boundary."""
    rng = np.random.default_rng([55, seed])
    return [tuple(float(v) for v in row) for row in rng.integers(-96, 128, (count, size)) / 64.0]


def extragradient(order, a, g1, g2):
    way = None if order == "simultaneous" else "restarted"
    return Extragradient(abs(a) + 1 / 64, (g1 or 0.5, g2 or 0.5), order=order, alternation=way)


def optimistic(order, a, b1, b2):
    return OGD(abs(a) + 1 / 64, (b1, b2), order=order)


def momentum(order, a, b1, b2):
    return HeavyBall(abs(a) + 1 / 64, (b1, b2), order=order)


def gradient(order, a, b, _):
    return GDA((abs(a) + 1 / 64, abs(b) + 1 / 64), order=order)


THEOREMS = {
    "3.1": (rates.gradient_descent_condition, gradient),
    "3.2": (rates.extragradient_condition, extragradient),
    "3.3": (rates.optimistic_condition, optimistic),
    "3.4": (rates.momentum_condition, momentum),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("theorem", THEOREMS)
def test_conditions_agree_with_verdicts_from_the_polynomial(theorem, order):
    condition, build = THEOREMS[theorem]
    found = [condition(Bilinear(1.0), build(order, *numbers)) for numbers in parameters(1, 60, 3)]
    assert all(c.agrees for c in found)
    assert all(c.theorem.endswith(theorem) for c in found)
    stable = sum(bool(c.holds) for c in found)
    never = theorem == "3.1" or (theorem == "3.4" and order == "simultaneous")
    assert stable == 0 if never else stable > 0


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("theorem", ["3.2", "3.3", "3.4"])
def test_conditions_are_asked_of_every_singular_value(theorem, order):
    condition, build = THEOREMS[theorem]
    game = Bilinear(np.random.default_rng(7).standard_normal((3, 3)) / 2.0)
    found = [condition(game, build(order, *numbers)) for numbers in parameters(2, 15, 3)]
    assert all(c.agrees for c in found)


@pytest.mark.parametrize(("corrections", "printed", "holds"), [
    ((-1.0, -2.0), True, False), ((0.5, 0.5), False, False),
])  # fmt: skip
def test_the_three_printed_inequalities_are_not_enough(corrections, printed, holds):
    method = OGD(3.0, corrections, order="alternating_xy")
    found = rates.optimistic_condition(Bilinear(1.0), method)
    assert (found.printed_holds, found.holds, found.agrees) == (printed, holds, True)
    missing = [m.text for m in found.margins if not m.is_printed]
    assert missing == ["R < 1", "R > -1"]


def test_a_boundary_is_decided_exactly():
    found = rates.extragradient_condition(Bilinear(1.0), Extragradient(1.0))
    assert min(m.value.lower for m in found.margins) == max(
        m.value.upper for m in found.margins if m.value.lower == 0.0
    )
    assert found.holds is False
    assert found.computed.verdict == "marginal"


@pytest.mark.parametrize("smallest", [1.0, 0.5, 0.2])
def test_published_optima_are_the_radii_of_their_parameters(smallest):
    first = rates.extragradient_optimum(smallest)
    assert first.is_consistent
    # |lambda|^2 = r*^2 + alpha^2 at sigma = 1, alpha = 1/1000.
    squared = first.theoretical * first.theoretical + 1e-3**2
    assert squared.overlaps(first.computed * first.computed)
    assert rates.alternating_optimistic_optimum(smallest).is_consistent


@pytest.mark.parametrize(
    ("rate", "grid"),
    [
        (rates.simultaneous_optimistic_optimum, 0.6),
        (rates.alternating_momentum_optimum, 0.5),
    ],
)
def test_improved_optima_are_proved_to_thirteen_digits_and_beat_the_grid_in_print(rate, grid):
    found = rate()
    assert found.is_consistent
    assert found.computed.rtol < 1e-12
    assert found.computed.upper < grid


@pytest.mark.parametrize("eta", [0.125, 0.5, 0.9])
@pytest.mark.parametrize("sigma", [0.25, 1.0])
def test_contraction_factors_are_those_of_the_iteration(sigma, eta):
    for theorem in (
        rates.simultaneous_growth,
        rates.alternating_bound,
        rates.implicit_decay,
        rates.extrapolation_decay,
        rates.optimistic_last_iterate,
    ):
        found = theorem(sigma, eta)
        assert found.kind == "tight"
        assert found.is_consistent
        assert found.theoretical.rtol < 1e-15
    bound = rates.negative_momentum_bound([sigma, 1.0], eta)
    assert bound.computed.upper <= bound.theoretical.lower


@pytest.mark.parametrize("variant", ["EAG-C", "EAG-V", "FEG"])
def test_anchored_bounds_are_those_of_the_shipped_methods(variant):
    if variant == "FEG":
        found, constant = rates.fast_bound(1.0, 40), 4.0
    else:
        found = rates.anchored_bound(1.0, 40, variant=variant)
        constant = {"EAG-C": 260.0, "EAG-V": 27.0}[variant]
    assert found.computed.upper <= found.theoretical.upper * (1.0 + 1e-15)
    assert found.theoretical.upper == constant
    assert isinstance(found.method, AnchoredExtragradient)
    # A solution that is not 0, so that an anchor at the origin would be noticed.
    game = Bilinear(1.0, b=[2.0], c=[-3.0])
    rest = game.equilibrium
    state = found.method.initial_state(game, rest + np.array([0.6, 0.8]))
    ratios = []
    for k in range(41):
        weight = {"EAG-C": (k + 1) ** 2, "EAG-V": (k + 1) * (k + 2), "FEG": k * k}[variant]
        ratios.append(weight * float(np.sum(game.field(state[0]) ** 2)))
        state = found.method.step(game, state, k)
    # 40 steps of some ten roundings each, at states of size 5.
    assert abs(max(ratios) - found.computed.upper) < 1e-11 * constant


def test_multiplicative_weights_move_away_in_every_step():
    pennies = MatrixGame([[1.0, -1.0], [-1.0, 1.0]])
    start = [0.6, 0.4, 0.5, 0.5]
    found = rates.divergence_growth(pennies, 0.1, start, 60)
    assert found.computed.lower > 0.0

    def divergence(z):
        return float(-0.5 * np.log(4.0 * z[0] * z[1]) - 0.5 * np.log(4.0 * z[2] * z[3]))

    method = MultiplicativeWeights(0.1)
    state, values = method.initial_state(pennies, start), []
    for k in range(61):
        values.append(divergence(state[0]))
        state = method.step(pennies, state, k)
    # Logarithms of numbers near 1/4, with errors of some roundings each.
    assert abs(min(np.diff(values)) - found.computed.upper) < 1e-14


def test_the_whole_table_of_the_dirac_gan_is_consistent():
    rows = rates.dirac_gan_table()
    assert [row.name for row in rows if not row.is_consistent] == []
    limits = {row.name: [e.upper for e in row.theoretical_limits] for row in rows}
    # With much damping simultaneous steps may be longer than alternating ones.
    assert limits["GAN + R1(2)"][0] > limits["GAN + R1(2)"][1]
    assert limits["GAN + R1(0.3)"][0] < limits["GAN + R1(0.3)"][1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rates.simultaneous_growth(-1.0, 0.5), "`sigma` must be"),
        (lambda: rates.alternating_bound(1.0, 2.0), "must be below 2"),
        (lambda: rates.negative_momentum_bound([], 0.5), "at least one singular value"),
        (lambda: rates.negative_momentum_bound([2.0], 0.6), "`step_size` must be at most"),
        (lambda: rates.extragradient_optimum(1.5), r"`smallest` must be in \(0, 1\]"),
        (lambda: rates.anchored_bound(2.0, 5), r"`sigma` must be in \(0, 1\]"),
        (lambda: rates.anchored_bound(1.0, 5, variant="EAG"), "`variant` must be one of"),
        (lambda: rates.dirac_gan_table(("LSGAN",)), "`names` must be among"),
        (lambda: rates.gradient_descent_condition(Bilinear(0.0), GDA(0.5)), "not zero"),
        (
            lambda: rates.gradient_descent_condition(Bilinear([[1.0, 0.0]], c=[0, 1]), GDA(0.5)),
            "no saddle point",
        ),
        (
            lambda: rates.momentum_condition(Bilinear(1.0), HeavyBall((1.0, -1.0), 0.5)),
            "steps of one sign",
        ),
        (
            lambda: rates.divergence_growth(
                MatrixGame([[1.0, 2.0], [3.0, 4.0]]), 0.1, [0.5] * 4, 5
            ),
            "no equilibrium inside",
        ),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_schedule_has_no_condition():
    with pytest.raises(TypeError, match="constant step_size"):
        rates.gradient_descent_condition(Bilinear(1.0), GDA(Schedule([0.5, 0.25])))
