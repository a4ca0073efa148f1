"""Alternating gradient descent on bilinear games: what it conserves, and when it stays bounded."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves


def alternating(eta, x, y):
    x = x - eta * y
    return x, y + eta * x


# ---- x y -----------------------------------------------------------------------------------------
def check_conserved(cross):
    """``x^2 + y^2 + cross eta x y`` is the same after the step, x moving first."""

    def energy(eta, x, y):
        return x**2 + y**2 + cross * eta * x * y

    check_identity(
        lambda eta, x, y: energy(eta, *alternating(eta, x, y)),
        lambda eta, x, y: energy(eta, x, y),
    )


def check_between(low, high):
    """``low (x^2 + y^2) <= 2 I <= high (x^2 + y^2)``, ``I = x^2 + y^2 - eta x y``, eta >= 0.

    The differences are eta times a square.
    """
    check_nonnegative_combination(
        lambda eta, x, y: 2 * (x**2 + y**2 - eta * x * y) - low(eta) * (x**2 + y**2),
        lambda eta, x, y: [eta],
        lambda eta, x, y: [(x - y) ** 2],
    )
    check_nonnegative_combination(
        lambda eta, x, y: high(eta) * (x**2 + y**2) - 2 * (x**2 + y**2 - eta * x * y),
        lambda eta, x, y: [eta],
        lambda eta, x, y: [(x + y) ** 2],
    )


@proves("alternating-gda-conserved-quantity", strength="identity", scope="conserved")
def test_the_quadratic_form_is_the_same_after_every_step():
    check_conserved(-1)


@proves("alternating-gda-conserved-quantity", role="must_fail")
def test_with_the_other_sign_it_is_not():
    check_conserved(1)


@proves(
    "alternating-gda-conserved-quantity",
    strength="identity",
    scope="neither converges nor diverges",
    lemmas=("a limit of the iterates would be a fixed point of the step, and that is 0 only",),
)
def test_the_iterates_stay_between_two_circles():
    check_between(lambda eta: 2 - eta, lambda eta: 2 + eta)


@proves("alternating-gda-conserved-quantity", role="must_fail")
def test_they_do_not_stay_on_one_circle():
    check_between(lambda eta: 2, lambda eta: 2)


@proves(
    "alternating-gda-conserved-quantity",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="small-step",
)
def test_at_step_two_the_iterates_grow_linearly():
    z = (1, 0)
    for k in range(1, 30):
        z = alternating(2, *z)
        assert z == ((-1) ** k * (1 - 2 * k), (-1) ** k * (-2 * k))
    # By induction, for every k: x and y change their signs and grow by 2.
    check_identity(lambda k: alternating(2, 1 - 2 * k, -2 * k)[0], lambda k: -(1 - 2 * (k + 1)))
    check_identity(lambda k: alternating(2, 1 - 2 * k, -2 * k)[1], lambda k: -(-2 * (k + 1)))


@proves(
    "alternating-gda-conserved-quantity",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="not-there-already",
)
def test_at_the_equilibrium_the_iterates_rest():
    assert alternating(Fraction(1, 2), 0, 0) == (0, 0)


@proves("alternating-gda-conserved-quantity", strength="certificate", role="supports")
def test_at_step_one_the_orbit_has_period_six():
    orbit = [(1, 1)]
    for _ in range(6):
        orbit.append(alternating(1, *orbit[-1]))
    assert orbit == [(1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1), (1, 0), (1, 1)]


# ---- any matrix ----------------------------------------------------------------------------------
def check_form(order, cross):
    """``b |x|^2 + a |y|^2 + cross a b x^T A y`` is conserved, for a matrix of any shape.

    In the inner products X = |x|^2, Y = |y|^2, P = x^T A y, N = |A w|^2, M = |A^T v|^2 with the
    ``w`` and ``v`` that the moves use.
    """

    def x_first(a, b, X, Y, P, N, M):
        # x+ = x - a A y, N = |A y|^2; then y+ = y + b A^T x+, M = |A^T x+|^2.
        new_X = X - 2 * a * P + a**2 * N
        between = P - a * N  # x+^T A y
        return new_X, Y + 2 * b * between + b**2 * M, between + b * M

    def y_first(a, b, X, Y, P, N, M):
        # y+ = y + b A^T x, M = |A^T x|^2; then x+ = x - a A y+, N = |A y+|^2.
        new_Y = Y + 2 * b * P + b**2 * M
        between = P + b * M  # x^T A y+
        return X - 2 * a * between + a**2 * N, new_Y, between - a * N

    move = {"x first": x_first, "y first": y_first}[order]

    def form(a, b, X, Y, P):
        return b * X + a * Y + cross * a * b * P

    check_identity(
        lambda a, b, X, Y, P, N, M: form(a, b, *move(a, b, X, Y, P, N, M)),
        lambda a, b, X, Y, P, N, M: form(a, b, X, Y, P),
    )


@proves("alternating-steps-conserve-a-quadratic-form", strength="identity", scope="x first")
def test_with_x_first_the_cross_term_is_subtracted():
    check_form("x first", -1)


@proves("alternating-steps-conserve-a-quadratic-form", strength="identity", scope="y first")
def test_with_y_first_it_is_added():
    check_form("y first", 1)


@proves("alternating-steps-conserve-a-quadratic-form", role="must_fail")
def test_the_order_decides_the_sign():
    check_form("y first", -1)


@proves("alternating-steps-conserve-a-quadratic-form", strength="certificate", role="conforms")
@pytest.mark.parametrize(("order", "cross"), [("alternating_xy", -1), ("alternating_yx", 1)])
def test_the_shipped_method_conserves_it_in_rational_arithmetic(order, cross):
    import numpy as np

    from dynamics import GDA, Bilinear

    a, b = Fraction(1, 4), Fraction(1, 2)
    A = np.array([[1.0, 2.0, 0.5], [-1.0, 0.25, 3.0]])
    game = Bilinear(A).rational()
    state = (np.array([Fraction(k, 3) for k in (1, -2, 4, 5, -7)], dtype=object),)
    exact = [[Fraction(v) for v in row] for row in A.tolist()]

    def form(z):
        x, y = z[:2], z[2:]
        coupling = sum(x[i] * exact[i][j] * y[j] for i in range(2) for j in range(3))
        return b * sum(x * x) + a * sum(y * y) + cross * a * b * coupling

    before = form(state[0])
    for _ in range(6):
        state = GDA((a, b), order=order).step(game, state)
    assert form(state[0]) == before


# ---- bounded or not ------------------------------------------------------------------------------
def check_ellipse(threshold):
    """``4 a Q = (2 a y - a b s x)^2 + a b (4 - a b s^2) x^2`` and so for y: x and y are bounded.

    Q is the conserved form of a singular pair with the singular value s.
    """
    check_identity(
        lambda a, b, s, x, y: 4 * a * (b * x**2 + a * y**2 - a * b * s * x * y),
        lambda a, b, s, x, y: (
            (2 * a * y - a * b * s * x) ** 2 + a * b * (threshold - a * b * s**2) * x**2
        ),
    )
    check_identity(
        lambda a, b, s, x, y: 4 * b * (b * x**2 + a * y**2 - a * b * s * x * y),
        lambda a, b, s, x, y: (
            (2 * b * x - a * b * s * y) ** 2 + a * b * (threshold - a * b * s**2) * y**2
        ),
    )


def check_at_minus_one(value):
    """With ``p(l) = l^2 + (a b s^2 - 2) l + 1`` and the step's matrix M on a singular pair:

    p is M's characteristic polynomial and ``p(-1) = 4 - a b s^2``. Where that is negative there is
    a root below -1; where it is 0, ``(M + 1)^2 = 0`` while ``M + 1`` has the entry ``-a s``, so
    that ``M^k = (-1)^k (1 - k (M + 1))`` grows linearly.
    """

    def matrix(a, b, s):
        return [[1, -a * s], [b * s, 1 - a * b * s**2]]

    def trace(m):
        return m[0][0] + m[1][1]

    def determinant(m):
        return m[0][0] * m[1][1] - m[0][1] * m[1][0]

    check_identity(lambda a, b, s: trace(matrix(a, b, s)), lambda a, b, s: 2 - a * b * s**2)
    check_identity(lambda a, b, s: determinant(matrix(a, b, s)), lambda a, b, s: a * b * s * 0 + 1)
    check_identity(lambda a, b, s: 1 - (a * b * s**2 - 2) + 1, lambda a, b, s: value - a * b * s**2)


BOUNDED = "alternating-steps-are-bounded-below-four"


@proves(
    BOUNDED,
    strength="identity",
    scope="bounded if",
    lemmas=(
        "the singular value decomposition splits x^T A y into games s x y",
        "in the kernel of A nothing moves",
    ),
)
def test_below_four_the_iterates_stay_on_ellipses():
    check_ellipse(4)


@proves(
    BOUNDED,
    strength="identity",
    scope="unbounded if not",
    lemmas=(
        "a quadratic with leading coefficient 1 that is negative at -1 has a root below -1",
        "Cayley-Hamilton: p(M) = 0",
    ),
)
def test_from_four_on_some_iterates_grow():
    check_at_minus_one(4)


@proves(BOUNDED, role="must_fail")
def test_the_ellipses_do_not_end_at_two():
    check_ellipse(2)


@proves(BOUNDED, role="must_fail")
def test_growth_does_not_begin_at_two():
    check_at_minus_one(2)


@proves(BOUNDED, strength="enclosure", role="conforms")
def test_the_shipped_verdicts_change_at_four():
    from dynamics import GDA, Bilinear, stability

    verdicts = []
    for a in (0.5, 0.49999, 0.50001):  # with b = 2 and s = 2: a b s^2 = 4, below and above
        found = stability(Bilinear(2.0), GDA((a, 2.0), order="alternating_xy"))
        verdicts.append((found.verdict, found.multiplicity))
    assert verdicts == [("marginal", 2), ("marginal", 1), ("unstable", 0)]
