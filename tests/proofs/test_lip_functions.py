"""Lipschitz <=> bounded gradient: both directions, what they need, and slips in the proofs."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves


# ---- Lipschitz => gradient bound -----------------------------------------------------------------
def check_direction_attains_the_gradient_norm(direction):
    """``<g, v>^2 = |g|^2 |v|^2``, so ``|g| |v| = |lim (f(x + tv) - f(x)) / t| <= K |v|``.

    In dimension n = 3 for all gradients at once; the direction is a function of the gradient.
    """

    def inner(u, v):
        return sum(a * b for a, b in zip(u, v, strict=True))

    check_identity(
        lambda a, b, c: inner((a, b, c), direction(a, b, c)) ** 2,
        lambda a, b, c: inner((a, b, c), (a, b, c)) * inner(direction(a, b, c), direction(a, b, c)),
    )


def check_gradient_bound(factor):
    """Along v = g: ``|g|^2 = factor(|g|) <= K |g|`` gives ``|g| (K - |g|) >= 0``, in any dimension.

    ``s`` is the norm of the gradient and the slack is that of the secants' limit.
    """
    check_nonnegative_combination(
        lambda K, s: s * (K - s),
        lambda K, s: [1],
        lambda K, s: [K * s - factor(s)],
    )


@proves(
    "lipschitz-implies-gradient-bound",
    strength="identity",
    lemmas=(
        "the one-sided derivative along v of a differentiable f is <grad f, v>",
        "limits preserve <=",
    ),
)
def test_secants_along_the_gradient_bound_it():
    check_direction_attains_the_gradient_norm(lambda a, b, c: (a, b, c))
    check_gradient_bound(lambda s: s * s)


@proves("lipschitz-implies-gradient-bound", role="must_fail")
def test_secants_along_an_axis_do_not_bound_the_gradient():
    check_direction_attains_the_gradient_norm(lambda a, b, c: (1, 0, 0))


@proves("lipschitz-implies-gradient-bound", role="must_fail")
def test_a_constant_does_not_bound_the_square_of_the_gradient():
    check_gradient_bound(lambda s: s**3)


# ---- the limit that the solution takes -----------------------------------------------------------
def refute_limit_along(directions):
    """f(x, y) = x at the origin, gradient (1, 0): quotients along t v, exact for every t > 0."""
    import sympy

    t = sympy.Symbol("t", positive=True)
    quotients = [sympy.Abs(t * x) / sympy.sqrt((t * x) ** 2 + (t * y) ** 2) for x, y in directions]
    limits = [sympy.cancel(q.subs(sympy.Abs(t), t)) for q in quotients]
    assert all(not limit.free_symbols for limit in limits)
    assert len(set(limits)) > 1
    return [int(limit) for limit in limits]


@proves("difference-quotient-limit-is-gradient-norm", strength="certificate", role="refutes")
def test_the_quotient_has_different_limits_along_two_axes(record_witness):
    limits = refute_limit_along([(1, 0), (0, 1)])
    assert limits == [1, 0]
    record_witness(f="f(x, y) = x", at=(0, 0), along=((1, 0), (0, 1)), limits=limits, gradient=1)


@proves("difference-quotient-limit-is-gradient-norm", role="must_fail")
def test_opposite_directions_do_not_refute_the_limit():
    refute_limit_along([(1, 0), (-1, 0)])


# ---- gradient bound => Lipschitz -----------------------------------------------------------------
def check_path(path):
    """A path from x to y: it begins at x, ends at y, and moves with the constant velocity y - x."""
    import sympy

    x, y, t = sympy.symbols("x y t")
    gamma = path(x, y, t)
    assert sympy.expand(gamma.subs(t, 0) - x) == 0
    assert sympy.expand(gamma.subs(t, 1) - y) == 0
    assert sympy.expand(sympy.diff(gamma, t) - (y - x)) == 0


def segment(x, y, t):
    return (1 - t) * x + t * y


def check_secant(constant):
    """``w = |f(y) - f(x)| = |<g, y - x>| <= s d`` with ``s = |g| <= K`` and ``d = |y - x|``."""
    check_nonnegative_combination(
        lambda K, s, d, w: constant(K) * d - w,
        lambda K, s, d, w: [1, d],
        lambda K, s, d, w: [s * d - w, K - s],
    )


MEAN_VALUE = "mean value theorem for t -> f((1 - t) x + t y) on [0, 1]"


@proves("gradient-bound-implies-lipschitz", strength="identity", lemmas=(MEAN_VALUE,))
@proves("bounded-derivative-implies-lipschitz", strength="identity", lemmas=(MEAN_VALUE,))
def test_a_bound_of_the_gradient_bounds_every_secant():
    check_path(segment)
    check_secant(lambda K: K)


@proves("gradient-bound-implies-lipschitz", role="must_fail")
def test_less_than_the_bound_of_the_gradient_does_not():
    check_secant(lambda K: K - 1)


@proves("bounded-derivative-implies-lipschitz", role="must_fail")
def test_the_square_of_the_bound_does_not():
    check_secant(lambda K: K * K)


def angle_across_the_slit(height):
    """Angle on the plane slit along the negative axis: secant between (-1, +-height), in balls.

    Its gradient (-y, x) / (x^2 + y^2) has the norm 1/r, at most 1 on r >= 1.
    """
    import sympy
    from flint import arb

    x, y = sympy.symbols("x y", real=True)
    angle = sympy.atan2(y, x)
    square = sum(sympy.diff(angle, v) ** 2 for v in (x, y))
    assert sympy.cancel(square - 1 / (x**2 + y**2)) == 0
    h = arb(height.numerator) / height.denominator
    return (arb.pi() - h.atan()) / h


@proves(
    "gradient-bound-implies-lipschitz",
    strength="enclosure",
    role="needs_hypothesis",
    hypothesis="convex",
)
@proves(
    "differentiable-1-lipschitz-iff-gradient",
    strength="enclosure",
    role="needs_hypothesis",
    hypothesis="convex",
)
def test_across_a_slit_a_gradient_below_one_has_secants_of_slope_3140():
    slope = angle_across_the_slit(Fraction(1, 1000))
    assert 100 * slope > 314059
    assert 100 * slope < 314060


def cantor_slope(n):
    """The Cantor function rises by 2^-n over each of the 2^n intervals of length 3^-n that remain.

    On the middle thirds removed it is constant, and their lengths add up to 1 - (2/3)^n.
    """
    removed = sum(Fraction(2**k, 3 ** (k + 1)) for k in range(n))
    assert removed == 1 - Fraction(2, 3) ** n
    return Fraction(1, 2**n) / Fraction(1, 3**n)


@proves(
    "gradient-bound-implies-lipschitz",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="everywhere",
)
def test_a_derivative_that_vanishes_almost_everywhere_bounds_nothing():
    # A step, and a continuous function: its secants are as steep as (3/2)^n.
    for K in (1, 10, 1000):
        assert K * Fraction(1, 2 * K) < 1
        assert cantor_slope(2 * K.bit_length()) > K


# ---- both directions with K = 1 ------------------------------------------------------------------
@proves(
    "differentiable-1-lipschitz-iff-gradient",
    strength="identity",
    scope="only if",
    lemmas=("the one-sided derivative along v of a differentiable f is <grad f, v>",),
)
def test_the_gradient_of_a_1_lipschitz_function_is_at_most_one():
    check_direction_attains_the_gradient_norm(lambda a, b, c: (a, b, c))
    check_gradient_bound(lambda s: s * s)


@proves(
    "differentiable-1-lipschitz-iff-gradient", strength="identity", scope="if", lemmas=(MEAN_VALUE,)
)
def test_a_gradient_of_at_most_one_makes_a_function_1_lipschitz():
    check_path(segment)
    check_secant(lambda K: K)


@proves("differentiable-1-lipschitz-iff-gradient", role="must_fail")
def test_one_partial_derivative_of_at_most_one_is_not_enough():
    check_direction_attains_the_gradient_norm(lambda a, b, c: (0, b, c))


@proves("differentiable-1-lipschitz-iff-gradient", role="must_fail")
def test_a_gradient_of_at_most_one_does_not_make_a_function_constant():
    check_secant(lambda K: K - 1)


# ---- the path in the printed proof ---------------------------------------------------------------
def refute_path(path, x, y):
    """f(u) = u^2: the difference along a path from x to y is that of f at x and y."""
    along, wanted = path(x, y, 1) ** 2 - path(x, y, 0) ** 2, y**2 - x**2
    assert along != wanted
    return along, wanted


@proves("mvt-path-typo", strength="certificate", role="refutes")
def test_the_printed_path_joins_other_points(record_witness):
    def printed(x, y, t):
        return (1 - x) * t + t * y

    along, wanted = refute_path(printed, 1, 2)
    assert (along, wanted) == (4, 3)
    # With f(u) = u the error is 1 for all x and y.
    check_identity(
        lambda x, y: printed(x, y, 1) - printed(x, y, 0) - (y - x), lambda x, y: 1 + 0 * x
    )
    record_witness(f="f(u) = u^2", x=1, y=2, along_the_path=along, between_x_and_y=wanted)


@proves("mvt-path-typo", role="must_fail")
def test_the_segment_is_not_refuted():
    refute_path(segment, 1, 2)


# ---- the mean value theorem ----------------------------------------------------------------------
def check_auxiliary_function(slope):
    """``g(t) = f(t) - slope t`` takes equal values at a and b, so that Rolle gives g'(c) = 0.

    ``D = 1 / (b - a)`` enters by ``D (b - a) = 1``: the difference must be a multiple of it.
    """
    check_identity(
        lambda a, b, fa, fb, D: (fb - slope(fa, fb, D) * b) - (fa - slope(fa, fb, D) * a),
        lambda a, b, fa, fb, D: (fb - fa) * (1 - D * (b - a)),
    )


@proves("mean-value-theorem-scalar-only", strength="identity", lemmas=("Rolle's theorem",))
def test_the_mean_value_theorem_follows_from_rolle():
    check_auxiliary_function(lambda fa, fb, D: (fb - fa) * D)


@proves("mean-value-theorem-scalar-only", role="must_fail")
def test_another_slope_does_not_follow():
    check_auxiliary_function(lambda fa, fb, D: fb * D)


@proves(
    "mean-value-theorem-scalar-only",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="real-valued",
)
def test_a_circle_returns_without_ever_standing_still():
    import sympy

    t = sympy.Symbol("t", real=True)
    circle = sympy.Matrix([sympy.cos(t), sympy.sin(t)])
    assert circle.subs(t, 2 * sympy.pi) - circle.subs(t, 0) == sympy.zeros(2, 1)
    velocity = circle.diff(t)
    assert sympy.trigsimp(velocity.dot(velocity)) == 1
