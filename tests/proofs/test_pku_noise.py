"""The Peking slides on noise: what it fills, the bound of Arjovsky and Bottou, and whose variance.

The bound is ``W <= 2 V^(1/2) + 2 C JSD^(1/2)``. With V the variance of a coordinate it is broken
by two lattices in R^4 whose smoothed laws nearly agree while their points stay 1 apart.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import isqrt

import pytest

from tests.identities import check_nonnegative_combination
from tests.logarithms import exact_js, exact_log

proves = pytest.mark.proves


# ---- noise fills the space -----------------------------------------------------------------------
def check_overlap(bound):
    """Atoms of masses w1, w2, noise of density h: ``w1 h(z - x1) + w2 h(z - x2)`` at any z.

    It is at least the smaller of h1, h2 (here m <= h1, h2 <= M), hence positive where h is.
    """
    check_nonnegative_combination(
        lambda w1, w2, h1, h2, m, M: w1 * h1 + w2 * h2 - (w1 + w2) * bound(m, M),
        lambda w1, w2, h1, h2, m, M: [w1, w2],
        lambda w1, w2, h1, h2, m, M: [h1 - m, h2 - m],
    )


@proves(
    "noise-makes-manifolds-full-dimensional",
    strength="identity",
    lemmas=("X + noise has the density E h(z - X) (Fubini)", "means of positive numbers are so"),
)
def test_a_mean_of_positive_densities_is_positive():
    check_overlap(lambda m, M: m)


@proves("noise-makes-manifolds-full-dimensional", role="must_fail")
def test_a_mean_of_densities_is_not_the_largest_of_them():
    check_overlap(lambda m, M: M)


@proves(
    "noise-makes-manifolds-full-dimensional",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="density",
)
def test_noise_of_two_values_fills_nothing():
    # 0 and 1/2, each shifted by -1 or 1: on the points -1, -1/2, 1, 3/2.
    half = Fraction(1, 2)
    assert exact_js([half, 0, half, 0], [0, half, 0, half]) == exact_log(2)


@proves(
    "noise-makes-manifolds-full-dimensional",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="everywhere",
)
def test_noise_in_small_balls_leaves_the_laws_separated():
    # 0 and 1 with uniform noise of radius 1/4: two disjoint intervals, so JS stays at log 2.
    (_, right), (left, _) = ((x - Fraction(1, 4), x + Fraction(1, 4)) for x in (0, 1))
    assert right < left
    assert exact_js([1, 0], [0, 1]) == exact_log(2)


def check_support_is_unbounded(density):
    """Positive everywhere, so that no ball contains the noise and C is infinite."""
    import sympy

    x = sympy.Symbol("x", real=True)
    assert density(sympy, x).is_positive is True


@proves(
    "theorem-3-3-gaussian-noise-vacuous",
    strength="identity",
    lemmas=("a set with positive volume has positive mass under a positive density",),
)
def test_no_ball_contains_gaussian_noise():
    check_support_is_unbounded(lambda sympy, x: sympy.exp(-(x**2) / 2) / sympy.sqrt(2 * sympy.pi))


@proves("theorem-3-3-gaussian-noise-vacuous", role="must_fail")
def test_a_ball_does_contain_noise_with_a_parabola_for_density():
    check_support_is_unbounded(lambda sympy, x: 3 * (1 - x**2) / 4)


# ---- the bound -----------------------------------------------------------------------------------
def check_noise_bound(constant):
    """W <= w1 + w2 + w3 by way of the noisy laws: w1, w3 <= V^(1/2) = v, w2 <= C t, t <= r s.

    w1 and w3 are at most ``E |eps| <= (E |eps|^2)^(1/2)``, by the plan (X, X + eps); t is the total
    variation, s = JSD^(1/2) and r = sqrt(2), so that the constant must be at least r.
    """
    assert constant**2 >= 2
    check_nonnegative_combination(
        lambda W, w1, w2, w3, v, C, t, s, r: 2 * v + constant * C * s - W,
        lambda W, w1, w2, w3, v, C, t, s, r: [1, 1, 1, 1, C, C * s],
        lambda W, w1, w2, w3, v, C, t, s, r: [
            w1 + w2 + w3 - W,
            v - w1,
            v - w3,
            C * t - w2,
            r * s - t,
            constant - r,
        ],
    )


@proves(
    "theorem-3-3-noise-bound",
    strength="identity",
    lemmas=("(E |eps|)^2 <= E |eps|^2",),
)
def test_the_bound_follows_from_the_triangle_by_the_noisy_laws():
    check_noise_bound(2)


@proves("theorem-3-3-noise-bound", role="must_fail")
def test_the_argument_does_not_give_the_constant_one():
    check_noise_bound(1)


# ---- the variance of a coordinate ----------------------------------------------------------------
def taper(n, parity):
    """Masses ``(1 - (j / 2n)^2)^5`` at the points j / 2 of one parity, |j| < 2 n, normalised."""
    weights = {j: (4 * n * n - j * j) ** 5 for j in range(1 - 2 * n, 2 * n) if j % 2 == parity}
    total = sum(weights.values())
    return {j: Fraction(w, total) for j, w in weights.items()}


def smoothed_divergence_upper(n):
    """A bound of the JS divergence of the two tapers on the line after the noise.

    The noise is the sum of two uniform variables on (-1/2, 1/2); the smoothed densities
    interpolate the masses linearly between the points j / 2. By ``log x <= x - 1``,
    ``JS <= (1/2) integral (p - q)^2 / (p + q)``. On a cell p - q is linear, and p + q at least its
    smaller end; where that is 0, ``(p - q)^2 <= (p + q)^2``.
    """
    p, q = taper(n, 0), taper(n, 1)
    nodes = range(-2 * n - 2, 2 * n + 3)

    def at_nodes(law):
        near = {j: law.get(j - 1, 0) + law.get(j + 1, 0) for j in nodes}
        return {j: law[j] if j in law else near[j] / 2 for j in nodes}

    p, q = at_nodes(p), at_nodes(q)
    total = Fraction(0)
    for i, j in itertools.pairwise(nodes):
        a, b = p[i] - q[i], p[j] - q[j]
        low, high = sorted((p[i] + q[i], p[j] + q[j]))
        total += (a * a + a * b + b * b) / (3 * low) if low else (low + high) / 2
    return total / 2 / 2  # the cells have the length 1/2


def refute_variance_per_coordinate(dimension, n=150):
    """Integer points against half-integer points in R^d, d a square: every distance >= sqrt(d)/2.

    The noise has independent coordinates of variance 1/6; the JS divergence is at most the sum of
    those of the coordinates; the smoothed laws live in a box with the diagonal C.
    """
    root = isqrt(dimension)
    nearest = Fraction(root, 2)
    diagonal = root * (2 * n + 1)
    squared = 4 * diagonal**2 * dimension * smoothed_divergence_upper(n)
    noise, spread = Fraction(8165, 10**4), Fraction(isqrt(int(squared * 10**8)) + 1, 10**4)
    assert noise**2 > 4 * Fraction(1, 6)  # 2 V^(1/2) < noise
    assert spread**2 > squared  # 2 C JSD^(1/2) < spread
    assert noise + spread < nearest
    return nearest, noise + spread


SUBADDITIVE = ("the JS divergence of products is at most the sum (mutual information)",)


@proves(
    "theorem-3-3-variance-convention", strength="certificate", role="refutes", lemmas=SUBADDITIVE
)
def test_two_lattices_in_four_dimensions_exceed_the_bound(record_witness):
    nearest, bound = refute_variance_per_coordinate(4)
    assert nearest == 1
    record_witness(
        P_r="product of the masses (1 - (k/150)^2)^5 at the integers |k| < 150 of R^4",
        P_g="the same at the half-integers",
        noise="coordinates U + U', uniform on (-1/2, 1/2), of variance 1/6 each",
        W_at_least=nearest,
        bound_at_most=bound,
    )


@proves("theorem-3-3-variance-convention", role="must_fail")
def test_on_the_line_the_two_conventions_agree():
    refute_variance_per_coordinate(1)


@proves(
    "theorem-3-3-noise-bound",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="total-variance",
    lemmas=SUBADDITIVE,
)
def test_the_bound_fails_with_the_variance_of_a_coordinate():
    nearest, bound = refute_variance_per_coordinate(4)
    assert bound < nearest
