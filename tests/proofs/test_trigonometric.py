"""The inequalities for trigonometric polynomials that the torus certificate rests on.

Bernstein and Szegő follow from one interpolation formula with positive weights (Fejér's kernel),
which is an identity between rational functions of one variable and holds for every degree; the
cosine inequality of M. Riesz (Duffin and Schaeffer) follows from it by the mean value theorem.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.cyclotomic import dft, root
from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves


# ---- Parseval ------------------------------------------------------------------------------------
def check_geometric_sum(next_power):
    """If ``(r - 1) S = R - 1`` for the sum S of the powers below R, it is so one power later."""
    check_identity(
        lambda r, S, R: (r - 1) * (S + R) - (next_power(r, R) - 1),
        lambda r, S, R: (r - 1) * S - (R - 1),
    )


@proves(
    "parseval-for-the-unnormalised-dft",
    strength="identity",
    lemmas=(
        "induction over the number of points",
        "a field has no zero divisors: (r - 1) S = r^N - 1 = 0 and r != 1 give S = 0",
        "sum |x^|^2 is the double sum of x_j conj(x_l) times the sum of the powers of w^(l - j)",
    ),
)
def test_the_powers_of_a_root_of_unity_sum_to_zero():
    check_geometric_sum(lambda r, R: r * R)


@proves("parseval-for-the-unnormalised-dft", role="must_fail")
def test_the_geometric_sum_with_a_repeated_power_is_rejected():
    check_geometric_sum(lambda r, R: R)


def check_parseval(x, factor):
    transform = dft(x)
    assert sum((v * v.conjugate() for v in transform), 0) == factor * sum(v * v for v in x)


@proves("parseval-for-the-unnormalised-dft", strength="instance-proved", role="supports")
@pytest.mark.parametrize("n", range(1, 10))
def test_parseval_holds_exactly_on_small_signals(n):
    check_parseval([Fraction(3 * j * j - 7, j + 1) for j in range(n)], n)


@proves("parseval-for-the-unnormalised-dft", role="must_fail")
def test_parseval_with_the_square_of_the_factor_is_rejected():
    check_parseval([1, 2, 3], 9)


# ---- Bernstein and Szegő -------------------------------------------------------------------------
BERNSTEIN_LEMMAS = (
    "the sum of N-th roots of unity to a power l is N if N divides l, else 0",
    "Fejér's kernel sum_(|l| < N) (1 - |l|/N) z^l is |1 + z + ... + z^(N-1)|^2 / N for |z| = 1",
    "cos(a) x + sin(a) y <= M for every a is x^2 + y^2 <= M^2",
)


def check_interpolation_formula(derivative_sign):
    """The weights reproduce ``cos(a) p(0) + sin(a) p'(0) / d`` on every exponential.

    With N = 2 d nodes ``t_k = (a + k pi) / d`` and the weights ``(1/N) Fejér_N(t_k)``, the sum
    ``sum_k (-1)^k l_k exp(i j t_k)`` keeps two terms of the kernel, those whose frequency is
    -m or N - m with m = j + d. They are ``(1 - m/N) / z + (m/N) z`` with z = exp(i a), and the
    formula asks for ``cos(a) + i (j/d) sin(a)``, with j/d = (2 m - N) / N. Both sides times 2 N.
    """
    check_identity(
        lambda N, m, z, inverse: 2 * (N - m) * inverse + 2 * m * z,
        lambda N, m, z, inverse: N * (z + inverse) + derivative_sign * (2 * m - N) * (z - inverse),
    )


@proves("bernstein-szego-inequality", strength="identity", lemmas=BERNSTEIN_LEMMAS)
def test_fejer_weights_interpolate_value_and_derivative_for_every_degree():
    check_interpolation_formula(+1)


@proves("bernstein-szego-inequality", role="must_fail")
def test_the_formula_with_the_derivative_reversed_is_rejected():
    check_interpolation_formula(-1)


def check_weights_on_all_exponentials(n_nodes, order, turns, weight_degree):
    """The formula in numbers: a = 2 pi turns / order, every frequency, every weight at least 0.

    ``exp(i j t_k)`` with ``t_k = (a + k pi) / d`` and N = 2 d has the angle
    ``j (2 a + 2 k pi) / N``; in units of 2 pi / (N order) and with j = m - N/2 that is
    ``(2 m - N) (turns + k order / 2)``, an integer because the order is even.
    """
    N, unit = n_nodes, n_nodes * order

    def at_node(double_frequency, k):
        return root(unit, double_frequency * (turns + k * order // 2))

    weights = []
    for k in range(N):
        terms = (at_node(2 * f, k) * (weight_degree - abs(f)) for f in range(1 - N, N))
        weights.append(sum(terms, root(unit) * 0) * Fraction(1, N * N))
    assert sum(weights, root(unit) * 0) == 1
    z, inverse = root(order, turns), root(order, -turns)
    for m in range(N + 1):
        total = sum((weights[k] * at_node(2 * m - N, k) * (-1) ** k for k in range(N)), 0)
        wanted = ((z + inverse) + (z - inverse) * Fraction(2 * m - N, N)) * Fraction(1, 2)
        assert total == embed(wanted, unit)


def embed(value, order):
    """The same number as an element of a larger field."""
    step = order // value.n
    coefficients = [value.polynomial[j] for j in range(value.polynomial.degree() + 1)]
    return sum((root(order, step * j) * fraction(c) for j, c in enumerate(coefficients)), 0)


def fraction(rational):
    return Fraction(int(rational.p), int(rational.q))


@proves("bernstein-szego-inequality", strength="instance-proved", role="supports")
@pytest.mark.parametrize(
    ("n_nodes", "order", "turns"), [(1, 6, 1), (2, 8, 3), (3, 4, 1), (4, 6, 5)]
)
def test_the_interpolation_formula_holds_exactly_for_small_degrees(n_nodes, order, turns):
    check_weights_on_all_exponentials(n_nodes, order, turns, weight_degree=n_nodes)


@proves("bernstein-szego-inequality", role="must_fail")
def test_other_weights_do_not_interpolate():
    check_weights_on_all_exponentials(2, 8, 3, weight_degree=3)


# ---- M. Riesz, Duffin and Schaeffer --------------------------------------------------------------
def check_angle_turns_slowly(degree):
    """The angle ``arccos(p / M)`` turns at most d per unit: ``p'^2 <= d^2 (M^2 - p^2)``.

    That is Bernstein and Szegő's ``d^2 M^2 - d^2 p^2 - p'^2 >= 0``; q stands for p'.
    """
    check_nonnegative_combination(
        lambda d, M, p, q: degree(d) ** 2 * (M**2 - p**2) - q**2,
        lambda d, M, p, q: [1],
        lambda d, M, p, q: [d**2 * M**2 - d**2 * p**2 - q**2],
    )


@proves(
    "riesz-cosine-inequality",
    strength="identity",
    lemmas=(
        "mean value theorem for arccos(p / M) where |p| < M, one variable after the other",
        "the cosine decreases on [0, pi]",
    ),
)
def test_the_angle_of_a_bounded_polynomial_turns_at_most_with_its_degree():
    check_angle_turns_slowly(lambda d: d)


def check_cosine_bound(cosines, sines, centre, degree):
    """``p(w) >= M cos(a + d |w - w*|)`` in balls of 200 bits, with the sum of moduli as M."""
    from flint import arb, ctx

    def p(w):
        return sum(
            (c * (j * w).cos() + s * (j * w).sin() for j, (c, s) in enumerate(coefficients)),
            arb(0),
        )

    coefficients = list(zip(cosines, sines, strict=True))
    with ctx.workprec(200):
        bound = arb(sum(map(abs, [*cosines, *sines])))
        start = arb(centre) / 16
        angle = (p(start) / bound).acos()
        for step in range(1, 40):
            distance = arb(step) / 32
            total = angle + degree * distance
            if total < arb.pi():
                assert p(start + distance) > bound * total.cos()
                assert p(start - distance) > bound * total.cos()


@proves("riesz-cosine-inequality", strength="instance-proved", role="supports")
@pytest.mark.parametrize("degree", range(1, 7))
def test_integer_polynomials_stay_above_the_cosine(degree):
    rng = np.random.default_rng(degree)
    cosines, sines = rng.integers(-9, 10, (2, degree + 1)).tolist()
    check_cosine_bound(cosines, sines, centre=int(rng.integers(-40, 40)), degree=degree)


@proves("riesz-cosine-inequality", role="must_fail")
def test_the_second_harmonic_falls_below_the_first_cosine():
    check_cosine_bound([0, 0, 1], [0, 0, 0], centre=0, degree=1)


@proves("riesz-cosine-inequality", role="must_fail")
def test_the_angle_may_turn_faster_than_a_smaller_degree():
    check_angle_turns_slowly(lambda d: d - 1)


def check_frequencies_are_centred(double_degree):
    """Taps 0, ..., k - 1 centred at their middle have frequencies within (k - 1) / 2."""
    check_nonnegative_combination(
        lambda k, t: double_degree(k) - (2 * t - (k - 1)),
        lambda k, t: [2],
        lambda k, t: [k - 1 - t],
    )
    check_nonnegative_combination(
        lambda k, t: double_degree(k) + (2 * t - (k - 1)),
        lambda k, t: [2],
        lambda k, t: [t],
    )


@proves(
    "torus-cell-certificate",
    strength="identity",
    lemmas=(
        "sigma_max(F(w)) is the maximum of Re u* F(w) v over unit vectors u and v",
        "a factor exp(i <b, w>) changes no singular value of F(w)",
    ),
)
def test_the_symbol_seen_along_two_vectors_has_half_the_taps_as_its_degree():
    check_frequencies_are_centred(lambda k: k - 1)


@proves("torus-cell-certificate", role="must_fail")
def test_a_smaller_degree_leaves_a_tap_outside():
    check_frequencies_are_centred(lambda k: k - 2)
