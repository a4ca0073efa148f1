"""Methods that are the same on bilinear games, and their characteristic polynomials."""

from __future__ import annotations

from fractions import Fraction

import pytest

proves = pytest.mark.proves


def symbols():
    import sympy

    return sympy.symbols("eta gamma sigma x y", positive=True)


def jacobian(update, variables):
    import sympy

    return sympy.Matrix(update).jacobian(variables).applyfunc(sympy.simplify)


# ---- consensus, symplectic adjustment, extragradient ---------------------------------------------
def extragradient(objective, eta, gamma, x, y):
    """The gradients at the point that one gradient step of size gamma reaches."""
    import sympy

    fx, fy = sympy.diff(objective, x), sympy.diff(objective, y)
    ahead = {x: x - gamma * fx, y: y + gamma * fy}
    return [
        x - eta * fx.subs(ahead, simultaneous=True),
        y + eta * fy.subs(ahead, simultaneous=True),
    ]


def consensus(objective, eta, gamma, x, y):
    """Descend on half the squared field as well."""
    import sympy

    F = [sympy.diff(objective, x), -sympy.diff(objective, y)]
    H = sum(f**2 for f in F) / 2
    return [v - eta * (f + gamma * sympy.diff(H, v)) for v, f in zip((x, y), F, strict=True)]


def symplectic(objective, eta, strength, x, y):
    """Add the antisymmetric part of the Jacobian, transposed, times the field."""
    import sympy

    F = sympy.Matrix([sympy.diff(objective, x), -sympy.diff(objective, y)])
    J = F.jacobian([x, y])
    return list(sympy.Matrix([x, y]) - eta * (F + strength * ((J - J.T) / 2).T * F))


def check_equal(first, second, curvature=0):
    """On ``sigma x y``, plus a curvature of the first player if one is asked for."""
    import sympy

    eta, gamma, sigma, x, y = symbols()
    objective = sigma * x * y + curvature * x**2 / 2
    updates = [method(objective, eta, gamma, x, y) for method in (first, second)]
    assert [sympy.expand(a - b) for a, b in zip(*updates, strict=True)] == [0, 0]


SAME = "extragradient-consensus-and-sga-agree"
SPLIT = ("the singular value decomposition splits x^T A y into games sigma x y",)


@proves(SAME, strength="identity", scope="consensus", lemmas=SPLIT)
def test_extragradient_is_consensus_optimisation():
    check_equal(extragradient, consensus)


@proves(SAME, strength="identity", scope="symplectic adjustment", lemmas=SPLIT)
def test_extragradient_is_symplectic_gradient_adjustment():
    check_equal(extragradient, symplectic)


@proves(SAME, role="must_fail")
def test_with_curvature_extragradient_is_not_consensus_optimisation():
    check_equal(extragradient, consensus, curvature=1)


@proves(SAME, role="must_fail")
def test_with_curvature_extragradient_is_not_symplectic_adjustment():
    check_equal(extragradient, symplectic, curvature=1)


# ---- competitive gradients, proximal points ------------------------------------------------------
def competitive(objective, eta, _, x, y):
    """Both players solve the local bilinear game, each step with its own quadratic cost."""
    import sympy

    u, v = sympy.symbols("u v")
    fx, fy = sympy.diff(objective, x), sympy.diff(objective, y)
    mixed = sympy.diff(objective, x, y)
    local = fx * u + fy * v + u * mixed * v
    mine, other = local + u**2 / (2 * eta), local - v**2 / (2 * eta)
    found = sympy.solve([sympy.diff(mine, u), sympy.diff(other, v)], [u, v], dict=True)
    return [x + found[0][u], y + found[0][v]]


def proximal(objective, eta, _, x, y):
    """The implicit step: gradients at the new point."""
    import sympy

    X, Y = sympy.symbols("X Y")
    there = {x: X, y: Y}
    fx = sympy.diff(objective, x).subs(there, simultaneous=True)
    fy = sympy.diff(objective, y).subs(there, simultaneous=True)
    found = sympy.solve([X - x + eta * fx, Y - y - eta * fy], [X, Y], dict=True)
    return [found[0][X], found[0][Y]]


def check_equal_solutions(first, second, curvature=0):
    import sympy

    eta, gamma, sigma, x, y = symbols()
    objective = sigma * x * y + curvature * x**2 / 2
    updates = [method(objective, eta, gamma, x, y) for method in (first, second)]
    assert [sympy.simplify(a - b) for a, b in zip(*updates, strict=True)] == [0, 0]


IMPLICIT = "competitive-gradients-are-proximal-points"


@proves(IMPLICIT, strength="identity", lemmas=SPLIT)
def test_competitive_gradient_descent_is_the_proximal_point_method():
    check_equal_solutions(competitive, proximal)


@proves(IMPLICIT, role="must_fail")
def test_with_curvature_it_is_not():
    check_equal_solutions(competitive, proximal, curvature=1)


def shipped_matrices(eta, gamma):
    import numpy as np

    from dynamics import (
        Bilinear,
        CompetitiveGradient,
        ConsensusOptimization,
        Extragradient,
        ProximalPoint,
        SymplecticGradientAdjustment,
    )

    game = Bilinear(np.array([[1.0, 2.0, 0.5], [-1.0, 0.25, 3.0]])).rational()
    explicit = [
        Extragradient(eta, gamma),
        ConsensusOptimization(eta, gamma),
        SymplecticGradientAdjustment(eta, gamma),
    ]
    implicit = [CompetitiveGradient(eta), ProximalPoint(eta)]
    return [[m.iteration_matrix(game).tolist() for m in ms] for ms in (explicit, implicit)]


@proves(SAME, strength="certificate", role="conforms")
def test_the_shipped_explicit_methods_agree_in_rational_arithmetic():
    explicit, _ = shipped_matrices(Fraction(1, 3), Fraction(1, 7))
    assert explicit[0] == explicit[1] == explicit[2]


@proves(IMPLICIT, strength="certificate", role="conforms")
def test_the_shipped_implicit_methods_agree_in_rational_arithmetic():
    _, implicit = shipped_matrices(Fraction(1, 3), Fraction(1, 7))
    assert implicit[0] == implicit[1]


# ---- characteristic polynomials ------------------------------------------------------------------
def polynomials():
    """The eight of Zhang and Yu, Appendix C.1, with sigma = 1 absorbed into the steps."""
    import sympy

    lam, a1, a2, b1, b2 = sympy.symbols("lambda alpha1 alpha2 beta1 beta2")
    ogd = (lam * a1 - b1) * (lam * a2 - b2)
    momentum = (lam - 1) ** 2 * (lam - b1) * (lam - b2)
    extra = (lam - 1 + b1) * (lam - 1 + b2)
    return (lam, a1, a2, b1, b2), {
        ("gda", False): (lam - 1) ** 2 + a1 * a2,
        ("gda", True): (lam - 1) ** 2 + lam * a1 * a2,
        ("extragradient", False): extra + a1 * a2,
        ("extragradient", True): extra + lam * a1 * a2,
        ("optimistic", False): lam**2 * (lam - 1) ** 2 + ogd,
        ("optimistic", True): lam * (lam * (lam - 1) ** 2 + ogd),
        ("momentum", False): momentum + lam**2 * a1 * a2,
        ("momentum", True): momentum + lam**3 * a1 * a2,
    }


def next_state(method, in_turn, a1, a2, b1, b2):
    """One iteration on x y, of the pair and, for methods with memory, of the pair before."""
    import sympy

    x, y, p, q = sympy.symbols("x y p q")
    if method == "gda":
        new = x - a1 * y
        return [new, y + a2 * (new if in_turn else x)], [x, y]
    if method == "extragradient":
        new = x - a1 * (y + b2 / a1 * x)
        return [new, y + a2 * ((new if in_turn else x) - b1 / a2 * y)], [x, y]
    if method == "optimistic":
        new = x - a1 * y + b1 * q
        seen, before = (new, x) if in_turn else (x, p)
        return [new, y + a2 * seen - b2 * before, x, y], [x, y, p, q]
    new = x - a1 * y + b1 * (x - p)
    return [new, y + a2 * (new if in_turn else x) + b2 * (y - q), x, y], [x, y, p, q]


def check_polynomial(method, in_turn, expected):
    import sympy

    (lam, *numbers), table = polynomials()
    update, state = next_state(method, in_turn, *numbers)
    matrix = sympy.Matrix(update).jacobian(state)
    found = (lam * sympy.eye(len(state)) - matrix).det(method="berkowitz")
    assert sympy.expand(found - table[method, expected]) == 0


METHODS = ["gda", "extragradient", "optimistic", "momentum"]
POLYNOMIALS = "zhang-yu-characteristic-polynomials"


@proves(POLYNOMIALS, strength="identity")
@pytest.mark.parametrize("in_turn", [False, True], ids=["simultaneous", "alternating"])
@pytest.mark.parametrize("method", METHODS)
def test_the_published_polynomials_are_those_of_the_iterations(method, in_turn):
    check_polynomial(method, in_turn, in_turn)


@proves(POLYNOMIALS, role="must_fail")
@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_players_matters(method):
    check_polynomial(method, True, False)
