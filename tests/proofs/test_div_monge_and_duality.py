"""Maps, couplings and critics: what the Monge problem misses, and what duality says."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.transport_certificates import cheapest_map, check_optimal, distances

proves = pytest.mark.proves

HALF = Fraction(1, 2)
THIRD = Fraction(1, 3)
QUARTER = Fraction(1, 4)


# ---- laws on the line, with an optimal plan and an optimal critic --------------------------------
# Half of the mass should move, but the only map of the one law to the other swaps the atoms.
UNEQUAL_ATOMS = {
    "x": (0, 1),
    "p": (3 * QUARTER, QUARTER),
    "y": (0, 1),
    "q": (QUARTER, 3 * QUARTER),
    "plan": [[QUARTER, HALF], [0, QUARTER]],
    "critic": lambda x: -x,
}
SPLITTING_ATOM = {
    "x": (0,),
    "p": (1,),
    "y": (-1, 1),
    "q": (HALF, HALF),
    "plan": [[HALF, HALF]],
    "critic": lambda x: -abs(x),
}
EQUAL_CLOUDS = {
    "x": (0, 1, 2),
    "p": (THIRD,) * 3,
    "y": (1, 2, 5),
    "q": (THIRD,) * 3,
    "plan": [[THIRD, 0, 0], [0, THIRD, 0], [0, 0, THIRD]],
    "critic": lambda x: -x,
}


def check_values(laws, least_over_couplings):
    """The plan shows that the least cost is at most this, the critic that it is at least this."""
    critic = laws["critic"]
    check_optimal(
        distances(laws["x"], laws["y"]),
        laws["p"],
        laws["q"],
        plan=laws["plan"],
        potentials=([critic(a) for a in laws["x"]], [-critic(b) for b in laws["y"]]),
        value=least_over_couplings,
    )


def least_over_maps(laws):
    """Every map of atoms to atoms is tried; infinite if none is feasible."""
    cost = cheapest_map(distances(laws["x"], laws["y"]), laws["p"], laws["q"])
    return math.inf if cost is None else cost


# ---- W_1 by maps ---------------------------------------------------------------------------------
def refute_maps(laws, couplings):
    check_values(laws, couplings)
    maps = least_over_maps(laws)
    assert maps != couplings
    return maps


@proves("w1-defined-by-monge", strength="certificate", role="refutes")
def test_the_only_map_between_unequal_atoms_costs_twice_the_distance(record_witness):
    maps = refute_maps(UNEQUAL_ATOMS, HALF)
    assert maps == 1
    record_witness(
        on="{0, 1}",
        p=UNEQUAL_ATOMS["p"],
        q=UNEQUAL_ATOMS["q"],
        least_over_maps=maps,
        least_over_couplings=HALF,
    )


@proves("w1-defined-by-monge", strength="certificate", role="refutes")
def test_no_map_splits_an_atom(record_witness):
    assert refute_maps(SPLITTING_ATOM, 1) == math.inf
    record_witness(
        p="1 at 0", q="1/2 at -1, 1/2 at 1", least_over_maps="none", least_over_couplings=1
    )


@proves("w1-defined-by-monge", role="must_fail")
def test_between_clouds_of_equal_weights_a_map_is_as_good_as_a_coupling():
    refute_maps(EQUAL_CLOUDS, Fraction(5, 3))


@proves("w1-defined-by-monge", strength="certificate", role="supports")
@pytest.mark.parametrize("k", [1, 2, 5, 1000])
def test_the_ratio_of_the_two_problems_is_unbounded(k):
    # (1 - e, e) to (e, 1 - e) with e < 1/2: the swap costs 1, a coupling 1 - 2 e = 1/k.
    e = HALF - Fraction(1, 2 * k)
    laws = UNEQUAL_ATOMS | {
        "p": (1 - e, e),
        "q": (e, 1 - e),
        "plan": [[e, 1 - 2 * e], [0, e]],
    }
    check_values(laws, Fraction(1, k))
    assert least_over_maps(laws) == 1


# ---- duality with maps ---------------------------------------------------------------------------
def refute_dual_of_maps(laws, best_critic):
    """The best critic has this value (the plan shows that none has more)."""
    check_values(laws, best_critic)
    maps = least_over_maps(laws)
    assert maps > best_critic
    return maps


@proves("kr-duality-with-monge-primal", strength="certificate", role="refutes")
def test_no_critic_reaches_the_cost_of_the_only_map(record_witness):
    maps = refute_dual_of_maps(UNEQUAL_ATOMS, HALF)
    record_witness(
        on="{0, 1}",
        p=UNEQUAL_ATOMS["p"],
        q=UNEQUAL_ATOMS["q"],
        least_over_maps=maps,
        best_critic=HALF,
    )


@proves("kr-duality-with-monge-primal", role="must_fail")
def test_between_clouds_of_equal_weights_a_critic_reaches_the_cost_of_a_map():
    refute_dual_of_maps(EQUAL_CLOUDS, Fraction(5, 3))


# ---- a minimum that is not attained --------------------------------------------------------------
def strip_cost(n):
    """l1 cost of a map from {0} x [0, 1] to {-1, 1} x [0, 1], whose mean shift upwards is taken.

    The segment is cut into n strips. The lower half of each goes left, the upper half right, each
    stretched to the length 1/n of its strip: a point at height s above the start of its half
    moves by (1, s) or by (1, 1/(2n) - s), and s is uniform on [0, 1/(2n)].
    """
    import sympy

    s = sympy.Symbol("s")
    width = sympy.Rational(1, 2 * n)
    lower = sympy.integrate(s, (s, 0, width)) / width
    upper = sympy.integrate(width - s, (s, 0, width)) / width
    return 1 + Fraction(str((lower + upper) / 2))


def refute_minimum(density):
    """From {0} x [0, 1] to {1} x [0, 1] with this density and {-1} x [0, 1] with the rest.

    Every map costs 1 at least, since each point moves by 1 sideways; strips come within 1/(4n).
    A map of cost 1 moves (0, y) to (1, y) for y in some set A, to (-1, y) for the others: the law
    on the right has the density 1_A, which is its own square. Is ``density``?
    """
    costs = [strip_cost(n) for n in (1, 2, 8, 1000)]
    assert costs == [1 + Fraction(1, 4 * n) for n in (1, 2, 8, 1000)]
    assert density**2 != density
    return costs


@proves(
    "monge-min-attained",
    strength="certificate",
    role="refutes",
    lemmas=(
        "a map of cost 1 moves almost every point sideways only, as the shift upwards is >= 0",
    ),
)
def test_a_segment_that_must_split_in_two_has_no_best_map(record_witness):
    costs = refute_minimum(HALF)
    record_witness(
        p="uniform on {0} x [0, 1]",
        q="uniform on {-1, 1} x [0, 1]",
        infimum=1,
        cost_of_n_strips="1 + 1/(4n)",
        for_n_1_2_8_1000=costs,
        density_of_a_map_of_cost_1="0 or 1",
        density_wanted=HALF,
    )


@proves("monge-min-attained", role="must_fail")
def test_a_segment_that_moves_as_a_whole_has_a_best_map():
    refute_minimum(1)


# ---- duality -------------------------------------------------------------------------------------
def check_no_critic_exceeds(gain):
    """A coupling pays m d for a pair of points, a 1-Lipschitz critic sees m (f(x) - f(y)).

    Summed over the coupling that is ``E_P f - E_Q f <= E d(x, y)``.
    """
    check_nonnegative_combination(
        lambda m, d, fx, fy: m * d - m * gain(fx, fy),
        lambda m, d, fx, fy: [m],
        lambda m, d, fx, fy: [d - (fx - fy)],
    )


def check_critic_from_potentials(value):
    """From optimal potentials, ``u_i + v_j <= d_ij``, to the critic f(z) = min_j d(z, y_j) - v_j.

    With j the minimiser at z' it is 1-Lipschitz: ``f(z) <= d(z, y_j) - v_j <= d(z, z') + f(z')``.
    At x_i it is some ``d_ij - v_j >= u_i``, at y_k it is at most ``d(y_k, y_k) - v_k = -v_k``, w
    for v_k below: ``E_P f - E_Q f >= sum p u + sum q v``, one atom of each law at a time.
    """
    check_nonnegative_combination(
        lambda dzz, dzj, dj, v, fz: dzz + value(dj, v) - fz,
        lambda dzz, dzj, dj, v, fz: [1, 1],
        lambda dzz, dzj, dj, v, fz: [dzz + dj - dzj, value(dzj, v) - fz],
    )
    check_nonnegative_combination(
        lambda p, q, u, v, w, d, fy: p * value(d, v) - q * fy - (p * u + q * w),
        lambda p, q, u, v, w, d, fy: [p, q],
        lambda p, q, u, v, w, d, fy: [d - u - v, value(0 * d, w) - fy],
    )


@proves("kr-duality", strength="identity", scope="no critic exceeds W_1")
def test_a_critic_gains_no_more_than_a_coupling_pays():
    check_no_critic_exceeds(lambda fx, fy: fx - fy)


@proves("kr-duality", role="must_fail")
def test_a_critic_counted_twice_gains_more():
    check_no_critic_exceeds(lambda fx, fy: 2 * (fx - fy))


@proves(
    "kr-duality",
    strength="identity",
    scope="a critic attains W_1",
    lemmas=("strong duality of linear programming", "the triangle inequality of the metric"),
)
def test_optimal_potentials_make_a_critic_that_gains_as_much():
    check_critic_from_potentials(lambda d, v: d - v)


@proves("kr-duality", role="must_fail")
def test_the_squared_distance_makes_no_lipschitz_critic():
    check_critic_from_potentials(lambda d, v: d**2 - v)


@proves("kr-duality", strength="certificate", role="needs_hypothesis", hypothesis="couplings")
def test_duality_fails_with_maps_in_place_of_couplings():
    assert refute_dual_of_maps(UNEQUAL_ATOMS, HALF) == 1


@proves("kr-duality", strength="certificate", role="needs_hypothesis", hypothesis="same-metric")
def test_duality_fails_with_another_metric_for_the_critics():
    # From (0, 0) to (1, 1) with the l1 cost 2; critics that are 1-Lipschitz in l2 gain sqrt 2.
    displacement = (1, 1)
    assert sum(map(abs, displacement)) ** 2 != sum(d * d for d in displacement)


# ---- the dual as printed -------------------------------------------------------------------------
def refute_printed_dual(integrand):
    """Unit masses at 0 and 1, one coupling: W = 1. The critics tried are 1-Lipschitz."""
    wasserstein = abs(0 - 1)
    critics = [lambda x, s=slope: s * x for slope in (-1, 0, 1)]
    supremum = max(integrand(f, 0) - integrand(f, 1) for f in critics)
    assert supremum != wasserstein
    return supremum


@proves("kr-dual-notation-d-vs-f", strength="certificate", role="refutes")
def test_a_supremum_over_f_does_not_move_the_discriminator(record_witness):
    # With D = 0 the printed objective is 0 for every f whatever.
    supremum = refute_printed_dual(lambda f, x: 0)
    record_witness(p_r="1 at 0", p_g="1 at 1", D="0", printed_supremum=supremum, W=1)


@proves("kr-dual-notation-d-vs-f", role="must_fail")
def test_with_f_in_the_integrand_the_dual_is_not_refuted():
    refute_printed_dual(lambda f, x: f(x))


# ---- objective and constraints -------------------------------------------------------------------
def check_lagrangian(reduced_cost):
    """The transport problem of two by two atoms and its dual are one function, read in two ways.

    ``L = <cost, X> + <u, p - X 1> + <v, q - X^T 1>``: its supremum over u, v is the cost if X has
    the marginals p, q, else infinite. Collected by X it is ``<u, p> + <v, q> + <X, cost - u - v>``:
    its infimum over X >= 0 is the marginals' value if u + v <= cost, else minus infinite. Read
    back from there it is the transport problem again. More atoms add terms of the same kind.
    """
    check_identity(
        lambda c00, c01, c10, c11, x00, x01, x10, x11, u0, u1, v0, v1, p0, p1, q0, q1: (
            (c00 * x00 + c01 * x01 + c10 * x10 + c11 * x11)
            + u0 * (p0 - x00 - x01)
            + u1 * (p1 - x10 - x11)
            + v0 * (q0 - x00 - x10)
            + v1 * (q1 - x01 - x11)
        ),
        lambda c00, c01, c10, c11, x00, x01, x10, x11, u0, u1, v0, v1, p0, p1, q0, q1: (
            (u0 * p0 + u1 * p1 + v0 * q0 + v1 * q1)
            + x00 * reduced_cost(c00, u0, v0)
            + x01 * reduced_cost(c01, u0, v1)
            + x10 * reduced_cost(c10, u1, v0)
            + x11 * reduced_cost(c11, u1, v1)
        ),
    )


@proves(
    "dual-swaps-objective-and-constraints",
    strength="identity",
    lemmas=("the dual of a linear program is the other reading of its Lagrangian",),
)
def test_the_lagrangian_has_marginals_and_costs_in_exchanged_places():
    check_lagrangian(lambda c, u, v: c - u - v)


@proves("dual-swaps-objective-and-constraints", role="must_fail")
def test_a_dual_with_a_sign_wrong_is_rejected():
    check_lagrangian(lambda c, u, v: c - u + v)
