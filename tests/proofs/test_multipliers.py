"""Which multipliers bound a network, and which published ones do not."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest

from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves


# ---- one multiplier for each neuron --------------------------------------------------------------
def check_sector(quadratic):
    """With ``p = s v``: the quadratic is ``-(s - a)(b - s) v^2``, not positive."""
    check_identity(
        lambda a, b, s, v: -quadratic(a, b, s * v, v),
        lambda a, b, s, v: (s - a) * (b - s) * v * v,
    )


def check_sum_of_sectors(sign):
    """``rho |dx|^2 - |dy|^2`` is the form, at least 0, plus multiples of what `check_sector` found.

    ``X = |dx|^2, Y = |dy|^2``, two neurons ``q1, q2 <= 0`` with ``t1, t2 >= 0``: more neurons add
    more terms of the same kind.
    """
    check_nonnegative_combination(
        lambda t1, t2, rho, X, Y, q1, q2: rho * X - Y,
        lambda t1, t2, rho, X, Y, q1, q2: [1, t1, t2],
        lambda t1, t2, rho, X, Y, q1, q2: [
            rho * X - Y + t1 * q1 + t2 * q2,
            sign * q1,
            sign * q2,
        ],
    )


@proves("diagonal-multipliers-bound-networks", strength="identity")
def test_a_slope_between_a_and_b_makes_the_product_negative_and_the_terms_add_up():
    check_sector(lambda a, b, p, v: (p - a * v) * (p - b * v))
    check_sum_of_sectors(-1)


@proves("diagonal-multipliers-bound-networks", role="must_fail")
def test_the_product_has_no_sign_with_sums_in_place_of_differences():
    check_sector(lambda a, b, p, v: (p + a * v) * (p - b * v))


@proves("diagonal-multipliers-bound-networks", role="must_fail")
def test_terms_of_the_wrong_sign_do_not_add_up():
    check_sum_of_sectors(1)


# ---- the output as one more block ----------------------------------------------------------------
def check_output_block(cross):
    """``y^2 - cross c y`` is least where ``y = c``, and there it is ``-c^2``."""
    check_identity(
        lambda y, c: y * y - cross * c * y,
        lambda y, c: (y - c) ** 2 - c * c,
    )


@proves("the-output-is-one-more-block", strength="identity")
def test_a_block_for_the_output_takes_away_its_square():
    check_output_block(2)


@proves("the-output-is-one-more-block", role="must_fail")
def test_half_the_coupling_takes_away_less():
    check_output_block(1)


# ---- diagonally dominant matrices ----------------------------------------------------------------
def check_dominance(weight):
    """``F = [[d1, f, g], [f, d2, h], [g, h, d3]]`` with ``d_i`` = excess + ``|.|`` of the others.

    With signs ``u, v, w`` of ``f = u F`` etc. and ``u^2 = 1``, every pair is a square; larger
    matrices have one square for each pair.
    """
    for u in (-1, 1):
        for v in (-1, 1):
            for w in (-1, 1):

                def form(e1, e2, e3, F, G, H, x, y, z, u=u, v=v, w=w):
                    squares = (weight * (F + G) + e1) * x**2 + (F + H + e2) * y**2
                    squares = squares + (G + H + e3) * z**2
                    return squares + 2 * (u * F * x * y + v * G * x * z + w * H * y * z)

                def positive(e1, e2, e3, F, G, H, x, y, z, u=u, v=v, w=w):
                    own = e1 * x**2 + e2 * y**2 + e3 * z**2
                    pairs = F * (x + u * y) ** 2 + G * (x + v * z) ** 2 + H * (y + w * z) ** 2
                    return own + pairs

                form.__signature__ = positive.__signature__ = SIGNATURE
                check_identity(form, positive)


def _signature():
    from inspect import signature

    return signature(lambda e1, e2, e3, F, G, H, x, y, z: None)


SIGNATURE = _signature()


@proves(
    "diagonal-dominance-is-semidefinite",
    strength="identity",
    lemmas=("one square for each pair of rows, as for three rows",),
)
def test_a_diagonally_dominant_form_is_a_sum_of_squares():
    check_dominance(1)


@proves("diagonal-dominance-is-semidefinite", role="must_fail")
def test_twice_the_diagonal_is_another_form():
    check_dominance(2)


# ---- coupled multipliers -------------------------------------------------------------------------
def relu(x):
    return max(x, Fraction(0))


def network(x):
    """``relu(x) - relu(x - 1)``: weights ``(1, 1)`` and ``(1, -1)``."""
    return relu(x) - relu(x - 1)


def form_of(T, rho):
    """``rho x^2 - (p1 - p2)^2 + 2 p^T T (p - W x)`` in ``(x, p1, p2)``, with ``W = (1, 1)``."""
    rows = [sum(T[i]) for i in range(2)]
    return [
        [rho, -rows[0], -rows[1]],
        [-rows[0], 2 * T[0][0] - 1, 2 * T[0][1] + 1],
        [-rows[1], 2 * T[1][0] + 1, 2 * T[1][1] - 1],
    ]


def determinant(matrix):
    if not matrix:
        return Fraction(1)
    first, *others = matrix
    minors = ([row[:j] + row[j + 1 :] for row in others] for j in range(len(first)))
    return sum(
        (-1) ** j * value * determinant(minor)
        for j, (value, minor) in enumerate(zip(first, minors, strict=True))
    )


def is_semidefinite(matrix):
    """All principal minors are at least 0."""
    return all(
        determinant([[matrix[i][j] for j in rows] for i in rows]) >= 0
        for size in range(1, len(matrix) + 1)
        for rows in combinations(range(len(matrix)), size)
    )


def refute_multipliers(T, rho):
    """The inequality of LipSDP holds for ``rho``, and the network's slope exceeds its root."""
    assert is_semidefinite(form_of(T, rho))
    slope = (network(Fraction(1)) - network(Fraction(0))) / (Fraction(1) - Fraction(0))
    assert slope**2 > rho
    return slope


def coupled(weight):
    """``weight (e1 - e2)(e1 - e2)^T``."""
    return [[weight, -weight], [-weight, weight]]


@proves("coupled-multipliers-bound-networks", strength="certificate", role="refutes")
def test_coupled_multipliers_prove_that_an_increasing_network_is_constant(record_witness):
    slope = refute_multipliers(coupled(Fraction(1, 2)), Fraction(0))
    record_witness(f="relu(x) - relu(x - 1)", weight=Fraction(1, 2), rho=0, slope=slope)


@proves("coupled-multipliers-bound-networks", role="must_fail")
def test_diagonal_multipliers_do_not_prove_that():
    weight = Fraction(1, 2)
    refute_multipliers([[weight, Fraction(0)], [Fraction(0), weight]], Fraction(0))


# ---- the shipped checker -------------------------------------------------------------------------
def check_checker_accepts(upper):
    """``relu(x) - relu(-x)``, the identity in two neurons: 2 is what slopes can prove."""
    import numpy as np

    from lipschitz.sdp import FeedForward, prove_multipliers

    net = FeedForward.exact(
        [[[1.0], [-1.0]], [[1.0, -1.0]]],
        slope_lower=[np.zeros(2)],
        slope_upper=[np.ones(2)],
    )
    for scale in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0):
        if prove_multipliers(net, [np.full(2, 4.0 * scale)], upper):
            return
    raise AssertionError(f"no multipliers prove {upper}")


@proves("diagonal-multipliers-bound-networks", strength="certificate", role="conforms")
def test_the_checker_accepts_two_for_the_identity_in_two_neurons():
    check_checker_accepts(2.0 * (1.0 + 2.0**-40))


@proves("diagonal-multipliers-bound-networks", role="must_fail")
def test_the_checker_accepts_nothing_less():
    check_checker_accepts(2.0 * (1.0 - 2.0**-40))
