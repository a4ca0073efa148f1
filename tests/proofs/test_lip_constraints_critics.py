"""Optimal critics: unit gradient between coupled points, where it leads, and what can be asked."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.transport_certificates import check_optimal, distances

proves = pytest.mark.proves

HALF = Fraction(1, 2)


# ---- unit gradient on the segments of an optimal coupling ----------------------------------------
def check_slope(on_the_pair):
    """f rises by t r at the share t of a segment of length r on which it rises by r in all.

    ``F`` and ``R`` are the rises of f to x_t and to y: 1-Lipschitz says ``F <= t r`` and
    ``R - F <= (1 - t) r``; complementary slackness says that R is r.
    """
    check_nonnegative_combination(
        lambda t, r, F, R: F - t * r,
        lambda t, r, F, R: [1, 1],
        lambda t, r, F, R: [(1 - t) * r - (R - F), on_the_pair(R, r)],
    )


def check_gradient(multiple):
    """``|g - u|^2 <= 0`` from ``|g|^2 <= 1``, ``|u|^2 = 1`` and the slope ``<g, u> = 1``."""
    check_nonnegative_combination(
        lambda a, b, c, u, v, w: 2 - 2 * (a * u + b * v + c * w) * multiple
        - ((a - u) ** 2 + (b - v) ** 2 + (c - w) ** 2),
        lambda a, b, c, u, v, w: [1, 1],
        lambda a, b, c, u, v, w: [
            1 - (a**2 + b**2 + c**2),
            1 - (u**2 + v**2 + w**2),
        ],
    )  # fmt: skip


@proves(
    "wgan-gp-prop-1-unit-gradient",
    strength="identity",
    scope="slope along the segment",
    lemmas=("a nonnegative function |x - y| - (f(y) - f(x)) of mean 0 is 0 almost surely",),
)
def test_an_optimal_critic_rises_evenly_between_coupled_points():
    check_slope(lambda R, r: R - r)


@proves(
    "wgan-gp-prop-1-unit-gradient",
    strength="identity",
    scope="gradient",
    lemmas=("the gradient of a 1-Lipschitz function has norm at most 1", "coordinates are added"),
)
def test_a_gradient_with_slope_one_along_a_unit_vector_is_that_vector():
    check_gradient(1)


@proves("wgan-gp-prop-1-unit-gradient", role="must_fail")
def test_without_complementary_slackness_the_rise_is_not_even():
    check_slope(lambda R, r: r)


@proves("wgan-gp-prop-1-unit-gradient", role="must_fail")
def test_slope_one_half_leaves_the_gradient_free():
    check_gradient(2)


def left_and_right_slope(f, x):
    e = Fraction(1, 100)
    return (f(x) - f(x - e)) / e, (f(x + e) - f(x)) / e


@proves(
    "wgan-gp-prop-1-unit-gradient",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="differentiable",
)
def test_between_two_points_and_their_middle_every_optimal_critic_has_a_kink():
    # All mass of 0 moves to -1 and 1, so that f(+-1) - f(0) = 1 for every optimal f, which is then
    # |x| + f(0) on [-1, 1] by the even rise: no gradient at the generated point.
    check_slope(lambda R, r: R - r)
    plan = [[HALF], [HALF]]
    check_optimal([[1], [1]], [HALF, HALF], [1], plan=plan, potentials=([1, 1], [0]), value=1)
    assert left_and_right_slope(abs, 0) == (-1, 1)


@proves(
    "wgan-gp-prop-1-unit-gradient",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="apart",
)
def test_where_both_laws_agree_a_constant_is_optimal():
    check_optimal([[0]], [1], [1], plan=[[1]], potentials=([0], [0]), value=0)
    assert left_and_right_slope(lambda x: 0, 0) == (0, 0)


@proves(
    "wgan-gp-prop-1-unit-gradient",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="optimally-coupled",
)
def test_between_independent_pairs_an_optimal_critic_may_be_flat():
    # Real -1 and 1, generated -2 and 2: f = -max(|x| - 1, 0) is optimal and flat at 0, which lies
    # between 1 and -2.
    def f(x):
        return -max(abs(x) - 1, 0)

    plan = [[HALF, 0], [0, HALF]]
    prices = ([f(-1), f(1)], [-f(-2), -f(2)])
    costs = distances([-1, 1], [-2, 2])
    check_optimal(costs, [HALF, HALF], [HALF, HALF], plan=plan, potentials=prices, value=1)
    for x, y in itertools.product(range(-8, 9), repeat=2):
        assert abs(f(Fraction(x, 2)) - f(Fraction(y, 2))) <= Fraction(abs(x - y), 2)
    assert left_and_right_slope(f, 0) == (0, 0)


def unit_gradients(seed, share):
    """Random clouds in the plane: the McShane extension of optimal prices, at points between pairs.

    Returns the largest distance of its numerical gradient from the unit vector of the pair.
    """
    from scipy.optimize import linprog

    rng = np.random.default_rng(seed)
    n = 5
    real, fake = rng.standard_normal((n, 2)) + 3.0, rng.standard_normal((n, 2))
    costs = np.linalg.norm(real[:, None] - fake[None], axis=2)
    rows = [[float(i == k) for i in range(n) for _ in range(n)] for k in range(n)]
    columns = [[float(j == k) for _ in range(n) for j in range(n)] for k in range(n)]
    solution = linprog(costs.ravel(), A_eq=np.array(rows + columns), b_eq=np.ones(2 * n))
    plan = solution.x.reshape(n, n)
    prices = solution.eqlin.marginals[n:]
    values = -prices  # f at the generated points; f(x) - f(y) = |x - y| on coupled pairs

    def f(x):
        return np.min(values + np.linalg.norm(x - fake, axis=1))

    worst, h = 0.0, 1e-6
    for i, j in zip(*np.nonzero(plan > 0.5), strict=True):
        x = (1 - share) * fake[j] + share * real[i]
        gradient = [(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(2)]
        target = (real[i] - fake[j]) / costs[i, j]
        worst = max(worst, float(np.linalg.norm(gradient - target)))
    return worst


@proves("wgan-gp-prop-1-unit-gradient", strength="tested", role="supports")
def test_extensions_of_optimal_prices_have_unit_gradient_between_coupled_points():
    # Central differences are off by h^2 times third derivatives, and by rounding 1e-16 / h.
    assert max(unit_gradients(seed, 0.3) for seed in range(5)) <= 1e-7


# ---- where the gradient leads --------------------------------------------------------------------
def squared(a):
    return sum(t * t for t in a)


def minus(a, b):
    return [s - t for s, t in zip(a, b, strict=True)]


CORNERS = [[Fraction(i == j) for j in range(3)] for i in range(3)]
MIDDLE = [Fraction(1, 3)] * 3


def refute_inward(generated):
    """Every optimal critic's gradient at ``generated[i]`` is the unit vector to corner i.

    Mass 1/3 moves from each point to its corner, at the common distance r. Nothing is nearer to a
    corner, so the prices r at the corners and 0 at the points are feasible and prove the plan
    optimal; by the even rise every optimal critic has slope 1 towards the corner.
    """
    check_slope(lambda R, r: R - r)
    squares = [[squared(minus(v, z)) for z in generated] for v in CORNERS]
    r2 = squares[0][0]
    assert all(squares[i][i] == r2 for i in range(3))
    assert all(s >= r2 for row in squares for s in row)
    cosines = []
    for v, z in zip(CORNERS, generated, strict=True):
        outward, inward = minus(v, z), minus(MIDDLE, z)
        dot = sum(a * b for a, b in zip(outward, inward, strict=True))
        assert dot < 0
        cosines.append(Fraction(dot) ** 2 / (squared(outward) * squared(inward)))
    return cosines


def near_corners(share):
    """Three points inside the simplex at a share of the way from the middle to the corners."""
    return [[m + share * (a - m) for a, m in zip(v, MIDDLE, strict=True)] for v in CORNERS]


@proves("critic-gradient-into-the-simplex", strength="certificate", role="refutes")
def test_gradients_inside_the_simplex_lead_straight_out_to_its_corners(record_witness):
    assert refute_inward(near_corners(HALF)) == [1, 1, 1]
    record_witness(
        data="the corners of the 2-simplex, 1/3 each",
        generated="the middles between the barycentre and the corners, 1/3 each",
        gradient="the unit vector away from the barycentre, for every optimal critic with one",
    )


@proves("critic-gradient-into-the-simplex", role="must_fail")
def test_gradients_outside_the_simplex_do_lead_in():
    refute_inward(near_corners(2))


@proves("critic-gradient-into-the-simplex", strength="certificate", role="supports")
def test_the_barycentre_is_at_the_root_of_two_thirds_and_every_corner_pulls():
    # W_1^2 = 2/3, W_1 = 0.816497; at (.5, .3, .2) the critic -min |x - v_i| leads to the first.
    assert {squared(minus(v, MIDDLE)) for v in CORNERS} == {Fraction(2, 3)}
    assert Fraction(816496, 10**6) ** 2 < Fraction(2, 3) < Fraction(816498, 10**6) ** 2
    x = [Fraction(1, 2), Fraction(3, 10), Fraction(1, 5)]
    towards = minus(CORNERS[0], x)
    assert squared(towards) == min(squared(minus(v, x)) for v in CORNERS) == Fraction(38, 100)
    signs = [(811, 812), (-487, -486), (-325, -324)]
    for entry, (low, high) in zip(towards, signs, strict=True):
        # low / 1000 <= entry / sqrt(38 / 100) <= high / 1000
        bounds = sorted([Fraction(low, 1000) ** 2, Fraction(high, 1000) ** 2])
        assert bounds[0] <= entry**2 / Fraction(38, 100) <= bounds[1]
        assert (entry > 0) == (low > 0)


# ---- a critic with unit gradient -----------------------------------------------------------------
def check_agreement(slack):
    """The extension ``min_j (p_j + |x - y_j|)`` has the price p_k at y_k: no j is below."""
    check_nonnegative_combination(
        lambda pj, pk, D: (pj + D) - pk,
        lambda pj, pk, D: [1],
        lambda pj, pk, D: [slack(D) - (pk - pj)],
    )


def check_one_lipschitz():
    """f' = p + r' at one point for some j, f <= p + r at the other, and r <= r' + d."""
    check_nonnegative_combination(
        lambda p, r, s, f, d: d - (f - (p + s)),
        lambda p, r, s, f, d: [1, 1],
        lambda p, r, s, f, d: [(p + r) - f, (s + d) - r],
    )


def check_unit_gradient(size):
    """g = grad |x - y|: differentiating ``r^2 = |z|^2`` gives ``r g = z``, hence |g|^2 = size."""
    check_identity(
        lambda r, g, h, k, u, v, w: r**2 * (g**2 + h**2 + k**2 - size),
        lambda r, g, h, k, u, v, w: (r * g - u) * (r * g + u)
        + (r * h - v) * (r * h + v)
        + (r * k - w) * (r * k + w)
        + ((u**2 + v**2 + w**2) - r**2),
    )  # fmt: skip


@proves(
    "two-sided-penalty-does-not-constrain-too-much",
    strength="identity",
    lemmas=(
        "an optimal critic exists (Kantorovich-Rubinstein); its values on the supports are p",
        "off a null set one term of a minimum of distances is active, or those that are agree",
        "coordinates are added",
    ),
)
def test_the_extension_of_optimal_prices_is_optimal_with_unit_gradient():
    check_agreement(lambda D: D)
    check_one_lipschitz()
    check_unit_gradient(1)


@proves("two-sided-penalty-does-not-constrain-too-much", role="must_fail")
def test_steep_prices_have_no_extension():
    check_agreement(lambda D: 2 * D)


@proves("two-sided-penalty-does-not-constrain-too-much", role="must_fail")
def test_the_gradient_of_a_distance_is_not_two():
    check_unit_gradient(4)


@proves("two-sided-penalty-does-not-constrain-too-much", strength="certificate", role="supports")
def test_at_equilibrium_only_the_two_sided_penalty_fines_the_constant_critic():
    def two_sided(slope):
        return 10 * (abs(slope) - 1) ** 2

    def one_sided(slope):
        return 10 * max(abs(slope) - 1, 0) ** 2

    assert [(two_sided(s), one_sided(s)) for s in (0, 1, -1)] == [(10, 0), (0, 0), (0, 0)]
    # On the line slope 0, which separates the signs, is a maximum of height lambda.
    assert two_sided(0) > two_sided(HALF) > two_sided(1) < two_sided(2)
