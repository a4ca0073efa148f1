"""Normalisation layers have the constant max |g| / sqrt(eps); and the shipped functions conform."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lipschitz import constraints
from tests.identities import check_identity

proves = pytest.mark.proves
EPS = 2.0**-52


# ---- the Jacobian of a normalisation -------------------------------------------------------------
# N_i = n (x_i - mean) and V = n^2 (var + eps), so that the output is N_i / sqrt(V) and, in the
# direction d, its derivative is (DN_i - N_i DV / (2 V)) / sqrt(V).
def scatter(values):
    return len(values) * sum(x * x for x in values) - sum(values) ** 2


def check_derivative(half):
    """``DV = 2 <N, d>``: the part of V(x + d) that is linear in d."""
    check_identity(
        lambda x, y, z, d, e, f: scatter([x + d, y + e, z + f]) - scatter([x, y, z])
        - scatter([d, e, f]),
        lambda x, y, z, d, e, f: half * sum(
            (3 * a - (x + y + z)) * b for a, b in zip([x, y, z], [d, e, f], strict=True)
        ),
    )  # fmt: skip


def check_contraction(sign):
    """``n |u|^2 - u^T (n I - 1 1^T - z z^T) u`` is a sum of squares."""
    check_identity(
        lambda u, v, w, p, q, r: (
            3 * (u**2 + v**2 + w**2)
            - (3 * (u**2 + v**2 + w**2) - (u + v + w) ** 2 - (p * u + q * v + r * w) ** 2)
        ),
        lambda u, v, w, p, q, r: (u + v + w) ** 2 + sign * (p * u + q * v + r * w) ** 2,
    )


def check_at_constant_input(gain):
    """At x = (a, a), where z = 0, the direction (1, -1) of mean 0 is stretched by g / sqrt(eps).

    Squared norms, with eps = 1 / m^2.
    """
    check_identity(
        lambda a, g, m: (2 * a - (a + a)) ** 2 + 2 * (g * m) ** 2, lambda a, g, m: gain(g, m) * 2
    )


NORMALISATION = (
    "the chain rule",
    "the identity for 3 entries is the sum over pairs, as for n",
    "Bessel: (1.u)^2 + (z.u)^2 <= n |u|^2 for z orthogonal to 1 and |z|^2 <= n",
)


@proves(
    "normalisation-layers-have-constant-gain-over-root-eps",
    strength="identity",
    scope="upper bound",
    lemmas=NORMALISATION,
)
def test_the_jacobian_of_a_normalisation_contracts_up_to_gain_over_root_eps():
    check_derivative(2)
    check_contraction(1)


@proves(
    "normalisation-layers-have-constant-gain-over-root-eps",
    strength="identity",
    scope="attained",
    lemmas=("other entries stay 0", "eps is 1 / m^2 for a real m"),
)
def test_opposite_changes_of_a_constant_input_attain_the_constant():
    check_at_constant_input(lambda g, m: (g * m) ** 2)


@proves("normalisation-layers-have-constant-gain-over-root-eps", role="must_fail")
def test_the_deviation_does_not_change_at_half_the_rate():
    check_derivative(1)


@proves("normalisation-layers-have-constant-gain-over-root-eps", role="must_fail")
def test_the_normalised_direction_is_not_amplified():
    check_contraction(-1)


@proves("normalisation-layers-have-constant-gain-over-root-eps", role="must_fail")
def test_twice_the_gain_is_not_attained():
    check_at_constant_input(lambda g, m: (2 * g * m) ** 2)


@proves(
    "normalisation-layers-have-constant-gain-over-root-eps",
    strength="enclosure",
    role="conforms",
)
def test_the_shipped_constant_of_layer_normalisation_encloses_it():
    for eps in (Fraction(1, 4), Fraction(1, 2**20)):
        constant = constraints.layer_normalization_constant(-3.0 * np.ones(7), eps=float(eps))
        assert Fraction(constant.lower) ** 2 <= 9 / eps <= Fraction(constant.upper) ** 2
        constant = constraints.batch_normalization_constant([1.0, -3.0], eps=float(eps))
        assert Fraction(constant.lower) ** 2 <= 9 / eps <= Fraction(constant.upper) ** 2


# ---- the other functions -------------------------------------------------------------------------
@proves("largest-norm-of-a-clipped-convolution", strength="enclosure", role="conforms")
def test_the_shipped_norm_of_a_clipped_convolution_encloses_the_formula():
    for k, s, d in [(3, 1, 1), (3, 2, 1), (7, 4, 1), (4, 2, 1), (3, 4, 2), (5, 6, 3)]:
        counts = [sum(d * t % s == r for t in range(k)) for r in range(s)]
        squared = Fraction(1, 64) * 2 * 3 * sum(n * n for n in counts)
        norm = constraints.clipped_layer_norm((2, 3, k), 0.125, stride=s, dilation=d)
        assert Fraction(norm.lower) ** 2 <= squared <= Fraction(norm.upper) ** 2
        assert norm.rtol <= 4 * EPS


@proves("gradient-penalty-optimal-slope", strength="tested", role="conforms")
def test_the_shipped_slope_value_and_objective_are_the_formulas():
    for d, weight in [(1.0, 10.0), (0.3, 0.7), (20.0, 0.1)]:
        exact, lam = Fraction(d), Fraction(weight)
        slope = 1 + exact / (2 * lam)
        ours = constraints.penalized_critic(d, weight)
        # At most four roundings each.
        for float_value, value in [
            (ours.slope, slope),
            (ours.value, exact * slope),
            (ours.objective, exact + exact**2 / (4 * lam)),
        ]:
            assert abs(Fraction(float_value) - value) <= 4 * Fraction(EPS) * value


@proves("bjorck-iteration-does-not-expand", strength="tested", role="conforms")
def test_the_shipped_iteration_maps_singular_values_by_the_polynomial():
    w = np.diag([1.0, 0.5, 0.25])
    s = np.array([1.0, 0.5, 0.25])
    for iterations in range(1, 5):
        s = s * (3 - s**2) / 2
        assert np.abs(constraints.bjorck(w, iterations=iterations) - np.diag(s)).max() <= 16 * EPS


@proves("cayley-columns-are-orthonormal", strength="enclosure", role="conforms")
def test_the_shipped_transform_has_orthonormal_columns_up_to_rounding():
    for seed, shape in enumerate([(3, 3), (7, 4), (4, 7), (5, 1)]):
        w = np.random.default_rng(seed).standard_normal(shape)
        residual = constraints.orthogonality_bound(constraints.cayley(w)).residual
        assert residual.upper <= 1e3 * EPS  # a solve of condition number below 100


@proves("group-sort-does-not-expand", strength="tested", role="conforms")
def test_the_shipped_sort_orders_every_group():
    x = np.random.default_rng(0).integers(-5, 6, (20, 12)).astype(float)
    for size in (1, 2, 3, 4, 12):
        groups = [[sorted(r[i : i + size]) for i in range(0, 12, size)] for r in x.tolist()]
        expected = [[entry for group in row for entry in group] for row in groups]
        assert constraints.group_sort(x, size).tolist() == expected
