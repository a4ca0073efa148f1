"""The gradient penalty: two places of its square, its optimum, its lower bound, its samples."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from tests.identities import check_identity

proves = pytest.mark.proves


# ---- where the square stands ---------------------------------------------------------------------
def refute_same_penalty(slopes):
    """Gradient norms with equal probabilities; both penalties in exact arithmetic."""
    n = len(slopes)
    outside = (Fraction(sum(slopes), n) - 1) ** 2
    inside = Fraction(sum((s - 1) ** 2 for s in slopes), n)
    assert outside != inside
    return outside, inside


@proves("square-inside-expectation", strength="certificate", role="refutes")
def test_slopes_0_and_2_are_free_in_one_penalty_and_cost_lambda_in_the_other(record_witness):
    outside, inside = refute_same_penalty([0, 2])
    assert (outside, inside) == (0, 1)
    record_witness(slopes="0 or 2 with probability 1/2", square_outside=outside, inside=inside)


@proves("square-inside-expectation", role="must_fail")
def test_one_slope_does_not_tell_the_penalties_apart():
    refute_same_penalty([2, 2])


def check_variance(cross):
    """Pointwise, with m = E s; the expectation of ``s - m`` is 0."""
    check_identity(
        lambda s, m: (s - 1) ** 2,
        lambda s, m: (m - 1) ** 2 + (s - m) ** 2 + cross(m) * (s - m),
    )


@proves("penalties-differ-by-the-variance", strength="identity", lemmas=("E is linear",))
def test_the_penalties_differ_by_the_variance():
    check_variance(lambda m: 2 * (m - 1))


@proves("penalties-differ-by-the-variance", role="must_fail")
def test_the_cross_term_is_needed_pointwise():
    check_variance(lambda m: 0)


# ---- the parabola --------------------------------------------------------------------------------
def check_parabola(scale):
    """``4 L (d + d^2/(4L) - (d s - L (s - 1)^2)) = (2 L (s - 1) - d)^2``, L for lambda.

    Along the segment at distance d from x to y, ``D(x) - D(y) <= mean of d s`` over it.
    """
    check_identity(
        lambda L, d, s: scale * (L * d - L * d * s + L**2 * (s - 1) ** 2) + d**2,
        lambda L, d, s: (2 * L * (s - 1) - d) ** 2,
    )


def check_optimum(slope_above_one):
    """With ``s = 1 + u``, ``2 L u = d``: the square is 0 there and nowhere else."""
    check_identity(
        lambda L, u, w: 2 * L * (slope_above_one(u, w)) - 2 * L * u, lambda L, u, w: 2 * L * w
    )


SEGMENT = (
    "D(x) - D(y) is the integral of <grad D, x - y> along the segment",
    "Cauchy-Schwarz",
    "squares are not negative",
)


@proves("gradient-penalty-optimal-slope", strength="identity", scope="upper bound", lemmas=SEGMENT)
def test_no_critic_exceeds_the_vertex_of_the_parabola():
    check_parabola(4)


@proves(
    "gradient-penalty-optimal-slope",
    strength="identity",
    scope=("attained", "only there"),
    lemmas=("a continuous square with integral 0 vanishes",),
)
def test_only_the_slope_1_plus_d_over_2_lambda_reaches_the_vertex():
    # A slope s = 1 + u + w leaves the square (2 L w)^2: zero for w = 0 only.
    check_parabola(4)
    check_optimum(lambda u, w: u + w)


@proves("gradient-penalty-optimal-slope", role="must_fail")
def test_half_the_excess_is_not_a_bound():
    check_parabola(8)


@proves("gradient-penalty-optimal-slope", role="must_fail")
def test_slope_one_does_not_reach_the_vertex():
    check_optimum(lambda u, w: w)


def objective(slope, distance, weight):
    return distance * slope - weight * (slope - 1) ** 2


def refute_enforcement(distance, weight):
    """The only optimal slope, by the parabola; its critic is linear on the segment."""
    check_parabola(4)
    slope = 1 + Fraction(distance) / (2 * weight)
    vertex = distance + Fraction(distance) ** 2 / (4 * weight)
    assert objective(slope, distance, weight) == vertex
    assert slope > 1
    return slope


def refute_reach(height):
    """``D = x + height y^2``: gradient (1, 0) on the segment from (0, 0) to (1, 0)."""
    on_segment = [(1, 2 * height * 0)] * 2
    assert all(a * a + b * b == 1 for a, b in on_segment)
    rise = height * 1**2 - 0
    assert rise > 1  # from (0, 0) to (0, 1), at distance 1
    return rise


@proves("gp-enforces-1-lipschitz", strength="certificate", role="refutes")
def test_the_optimal_penalised_critic_of_two_points_has_slope_1_05(record_witness):
    slope = refute_enforcement(1, 10)
    assert objective(slope, 1, 10) == Fraction(41, 40) > objective(1, 1, 10) == 1
    record_witness(P_r="1 at x", P_g="1 at y, |x - y| = 1", penalty_weight=10, slope=slope)


@proves("gp-enforces-1-lipschitz", role="must_fail")
def test_coinciding_points_do_not_push_the_slope_above_one():
    refute_enforcement(0, 10)


@proves("gp-enforces-1-lipschitz", strength="certificate", role="refutes")
def test_a_critic_without_penalty_is_steep_off_the_sampled_segment(record_witness):
    rise = refute_reach(100)
    record_witness(D="x + 100 y^2", segment="(0, 0) to (1, 0)", penalty=0, rise_over_1=rise)


@proves("gp-enforces-1-lipschitz", role="must_fail")
def test_a_linear_critic_is_not_steep_off_the_segment():
    refute_reach(0)


@proves("gp-enforces-1-lipschitz", strength="tested", role="supports")
def test_a_critic_trained_by_torch_ends_at_slope_1_05():
    import torch

    critic = torch.nn.Linear(1, 1, dtype=torch.float64)
    torch.nn.init.constant_(critic.weight, 0.5)
    real, fake = torch.ones(8, 1, dtype=torch.float64), torch.zeros(8, 1, dtype=torch.float64)
    optimizer = torch.optim.SGD(critic.parameters(), lr=0.02)
    share = torch.linspace(0, 1, 8, dtype=torch.float64)[:, None]
    for _ in range(100):
        x = (share * real + (1 - share) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        penalty = ((gradient.norm(dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # Descent contracts by 1 - 0.02 * 20 = 0.6 per step: 0.6^100 is below 1e-22.
    assert abs(float(critic.weight.detach()) - 1.05) <= 1e-14
    assert abs(float(loss.detach()) + 1.025) <= 1e-14


# ---- the lower bound of the loss -----------------------------------------------------------------
def refute_unboundedness(distance, weight, bound):
    """``L (s - 1)^2 - d s >= bound`` for all s, by the discriminant of the quadratic in s."""
    a, b, c = weight, -(2 * weight + distance), weight - bound
    assert a > 0
    assert b * b - 4 * a * c <= 0
    return bound


@proves("gp-loss-has-no-lower-bound", strength="certificate", role="refutes")
def test_the_loss_of_two_points_at_distance_1_stays_above_minus_1_025(record_witness):
    check_parabola(4)
    bound = refute_unboundedness(Fraction(1), Fraction(10), Fraction(-41, 40))
    assert -objective(Fraction(21, 20), 1, 10) == bound
    record_witness(P_r="1 at x", P_g="1 at y, |x - y| = 1", penalty_weight=10, infimum=bound)


@proves("gp-loss-has-no-lower-bound", role="must_fail")
def test_the_loss_without_penalty_is_not_bounded():
    refute_unboundedness(Fraction(1), Fraction(0), Fraction(-41, 40))


@proves("gp-loss-has-no-lower-bound", role="must_fail")
def test_minus_one_is_no_lower_bound():
    refute_unboundedness(Fraction(1), Fraction(10), Fraction(-1))


@proves(
    "penalised-loss-is-bounded-below",
    strength="identity",
    lemmas=(*SEGMENT, "E|x - y| and E|x - y|^2 are finite", "expectations are monotone"),
)
def test_the_parabola_bounds_the_loss_along_every_segment():
    # d = |x - y| is random and s = ||grad D(x^)||: the inequality is pointwise in (x, y, e).
    check_parabola(4)


@proves("penalised-loss-is-bounded-below", role="must_fail")
def test_the_loss_is_not_bounded_by_half_of_that():
    check_parabola(8)


def random_law(rng):
    """Four atoms on the line with masses in twelfths."""
    atoms = rng.choice(12, 4, replace=False)
    cuts = np.sort(rng.choice(np.arange(1, 12), 3, replace=False))
    masses = np.diff([0, *cuts, 12])
    return [(Fraction(int(a)), Fraction(int(m), 12)) for a, m in zip(atoms, masses, strict=True)]


def best_penalised_value(p, q, weight):
    """W_1 and the supremum over slopes g(t), one per gap between atoms, in exact arithmetic.

    With ``c = F_q - F_p`` and the density r of x^ on a gap, ``c g - weight r (|g| - 1)^2`` is
    largest at ``|g| = 1 + |c| / (2 weight r)``, with the value ``|c| + c^2 / (4 weight r)``.
    """
    points = sorted({a for a, _ in [*p, *q]})
    distance = supremum = Fraction(0)
    for left, right in itertools.pairwise(points):
        gap = right - left
        c = sum(m for a, m in q if a <= left) - sum(m for a, m in p if a <= left)
        r = sum(
            m * n / abs(a - b)
            for a, m in p
            for b, n in q
            if min(a, b) <= left and right <= max(a, b)
        )
        distance += gap * abs(c)
        supremum += gap * (abs(c) + (c * c / (4 * weight * r) if c else 0))
    return distance, supremum


def check_between(factor):
    rng = np.random.default_rng(4)
    for _ in range(60):
        p, q = random_law(rng), random_law(rng)
        weight = Fraction(int(rng.integers(1, 30)), 3)
        distance, supremum = best_penalised_value(p, q, weight)
        pairs = [(abs(a - b), m * n) for a, m in p for b, n in q]
        linear = sum((d * m for d, m in pairs), Fraction(0))
        square = sum((d * d * m for d, m in pairs), Fraction(0))
        assert distance <= supremum <= factor * (linear + square / (4 * weight))


@proves("penalised-loss-is-bounded-below", strength="instance-proved", role="supports")
def test_random_laws_on_the_line_lie_between_the_distance_and_the_bound():
    check_between(1)


@proves("penalised-loss-is-bounded-below", role="must_fail")
def test_random_laws_exceed_a_tenth_of_the_bound():
    check_between(Fraction(1, 10))


# ---- the samples ---------------------------------------------------------------------------------
def check_place(place):
    """The point at the share e of the way from y to x: its distance to y is e times the whole."""
    check_identity(lambda e, x, y: place(e, x, y) - y, lambda e, x, y: e * (x - y))


@proves(
    "interpolates-uniform-on-lines",
    strength="identity",
    lemmas=("a uniform e has P(a <= e <= b) = b - a, the share of the segment between",),
)
def test_interpolates_stand_at_the_drawn_share_of_the_segment():
    check_place(lambda e, x, y: e * x + (1 - e) * y)


@proves("interpolates-uniform-on-lines", role="must_fail")
def test_the_square_of_a_uniform_share_is_not_uniform():
    check_place(lambda e, x, y: e**2 * x + (1 - e**2) * y)


def check_gap_masses(pairs):
    """Mass of x^ on [3, 4], [4, 6], [6, 7]: each pair spreads its own evenly over its segment."""
    gaps = [(3, 4), (4, 6), (6, 7)]
    masses = [
        sum(Fraction(max(0, min(b, max(x, y)) - max(a, min(x, y))), abs(x - y)) for x, y in pairs)
        / len(pairs)
        for a, b in gaps
    ]
    assert masses == [Fraction(1, 3)] * 3


@proves("interpolates-uniform-on-lines", strength="certificate", role="supports")
def test_independent_pairs_give_each_gap_of_the_example_a_third():
    check_gap_masses([(3, 4), (3, 6), (7, 4), (7, 6)])


@proves("interpolates-uniform-on-lines", role="must_fail")
def test_optimally_coupled_pairs_leave_the_middle_gap_empty():
    check_gap_masses([(3, 4), (7, 6)])


def refine(pairs, share):
    return [x * share + y * (1 - share) for x, y in pairs]


@proves("interpolates-uniform-on-lines", strength="certificate", role="supports")
def test_one_share_for_all_pairs_is_uniform_on_each_segment_as_well():
    # The marginal law of each interpolate is the same; only their independence is lost.
    pairs = [(Fraction(3), Fraction(4)), (Fraction(7), Fraction(6))]
    for k in range(5):
        share = Fraction(k, 4)
        assert refine(pairs, share) == [4 - share, 6 + share]
