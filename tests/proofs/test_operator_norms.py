"""Operator norms of layers, and what bounding or clipping the weights does to them.

Distances are symbols here: ``d`` for the distance of two inputs, ``d1, d2, ...`` for the distance
of their images. An inequality is proved by writing its slack as a combination of the slacks of the
hypotheses with nonnegative multipliers, which holds for all networks, norms and inputs at once.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import isqrt, prod

import numpy as np
import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.oracles import exact_dot, exact_matmul

proves = pytest.mark.proves


# ---- one affine layer ----------------------------------------------------------------------------
def check_bias_cancels(layer):
    """Output coordinates at two inputs, s = <w, x> and t = <w, y>, differ as without the bias."""
    check_identity(lambda s, t, b: layer(s, b) - layer(t, b), lambda s, t, b: s - t)


@proves("bias-does-not-affect-layer-lipschitz", strength="identity")
def test_differences_of_an_affine_layer_are_those_of_its_linear_part():
    check_bias_cancels(lambda s, b: s + b)


@proves("bias-does-not-affect-layer-lipschitz", role="must_fail")
def test_a_layer_that_multiplies_by_its_bias_is_rejected():
    check_bias_cancels(lambda s, b: s * b)


@proves("bias-does-not-affect-layer-lipschitz", strength="certificate", role="supports")
def test_only_the_bias_of_a_single_layer_may_be_ignored():
    # relu(b - relu(x)) is the zero function for b = -1, and falls from 1 to 0 on [0, 1] for b = 1.
    assert relu(-1 - relu(0)) == relu(-1 - relu(1)) == 0
    assert relu(1 - relu(0)) - relu(1 - relu(1)) == 1


def relu(value):
    return max(value, 0)


# ---- compositions --------------------------------------------------------------------------------
def check_composition_bound(constant):
    """From ``d1 <= L1 d2`` and ``d2 <= L2 d`` to ``d1 <= constant d``."""
    check_nonnegative_combination(
        lambda L1, L2, d, d1, d2: constant(L1, L2) * d - d1,
        lambda L1, L2, d, d1, d2: [1, L1],
        lambda L1, L2, d, d1, d2: [L1 * d2 - d1, L2 * d - d2],
    )


@proves("composition-of-lipschitz", strength="identity")
def test_the_constants_of_a_composition_multiply():
    check_composition_bound(lambda L1, L2: L1 * L2)


@proves("composition-of-lipschitz", role="must_fail")
def test_the_constants_of_a_composition_do_not_add():
    check_composition_bound(lambda L1, L2: L1 + L2)


@proves("composition-of-lipschitz", strength="certificate", role="supports")
def test_the_product_need_not_be_attained():
    assert exact_matmul([[0, 0], [0, 1]], [[1, 0], [0, 0]]) == [[0, 0], [0, 0]]


def check_one_layer_more(step):
    """If P bounds the layers so far, ``step(P, L)`` bounds them with one more layer of constant L.

    Before the first layer the network is the identity, with P = 1.
    """
    check_nonnegative_combination(
        lambda P, L, d, inside, outside: step(P, L) * d - outside,
        lambda P, L, d, inside, outside: [1, L],
        lambda P, L, d, inside, outside: [L * inside - outside, P * d - inside],
    )


@proves("network-of-lipschitz-layers", strength="identity", lemmas=("induction over the layers",))
def test_every_layer_multiplies_the_bound_of_a_network():
    check_one_layer_more(lambda P, L: P * L)


@proves("network-of-lipschitz-layers", role="must_fail")
def test_the_largest_constant_of_the_layers_is_no_bound():
    check_one_layer_more(lambda P, L: P)


# ---- Cauchy-Schwarz and bounded weights ----------------------------------------------------------
def check_one_coordinate_more(cross_term):
    """Lagrange: ``|w|^2 |x|^2 - <w, x>^2`` stays a sum of squares with one coordinate (a, b) more.

    With ``A = |w|^2, B = |x|^2, C = <w, x>`` it grows by ``sum_i (w_i b - a x_i)^2``, that is by
    ``b^2 A - 2 a b C + a^2 B``.
    """
    check_identity(
        lambda A, B, C, a, b: (A + a**2) * (B + b**2) - (C + a * b) ** 2 - (A * B - C**2),
        lambda A, B, C, a, b: b**2 * A - cross_term * a * b * C + a**2 * B,
    )


@proves(
    "cauchy-schwarz-by-lagrange",
    strength="identity",
    lemmas=("induction over the coordinates", "the squared norm of W x is a sum over its rows"),
)
def test_every_coordinate_adds_squares_to_lagranges_identity():
    check_one_coordinate_more(2)


@proves("cauchy-schwarz-by-lagrange", role="must_fail")
def test_lagranges_identity_without_the_factor_two_is_rejected():
    check_one_coordinate_more(1)


def check_clipped_layer(entries):
    """``n_out`` rows of ``n_in`` entries at most c: ``entries(n_in, n_out) c^2`` bounds ||W||^2."""
    check_nonnegative_combination(
        lambda n_in, n_out, c2, mean: entries(n_in, n_out) * c2 - n_out * n_in * mean,
        lambda n_in, n_out, c2, mean: [n_in * n_out],
        lambda n_in, n_out, c2, mean: [c2 - mean],
    )


def all_equal_network(sizes, weight, scale=1):
    """Its output at ``scale (1, ..., 1)`` minus that at 0; all numbers positive, so relu is off."""
    signal = [scale] * sizes[0]
    for n_out in sizes[1:]:
        value = relu(weight * sum(signal))
        signal = [value] * n_out
    return signal


def squared_clipping_bound(sizes, weight):
    """``prod c^2 n_in n_out``, the square of the product of c sqrt(n_in n_out)."""
    return prod((weight**2 * a * b for a, b in itertools.pairwise(sizes)), start=1)


@proves(
    "bounded-weights-bounded-lipschitz",
    strength="identity",
    lemmas=("the squared l2 norm of W is at most the sum of its squared entries",),
)
def test_bounded_weights_bound_every_layer():
    check_clipped_layer(lambda n_in, n_out: n_in * n_out)


@proves("bounded-weights-bounded-lipschitz", role="must_fail")
def test_the_larger_side_of_a_layer_alone_does_not_bound_it():
    check_clipped_layer(lambda n_in, n_out: n_in)


@proves("bounded-weights-bounded-lipschitz", strength="certificate", role="supports")
@pytest.mark.parametrize("sizes", [(4, 5, 6, 1), (2, 3), (7, 1), (2, 64, 64, 1)])
def test_the_network_with_equal_weights_attains_the_bound(sizes):
    weight = Fraction(3, 10)
    signal = all_equal_network(sizes, weight)
    assert exact_dot(signal, signal) == squared_clipping_bound(sizes, weight) * sizes[0]


@proves(
    "bounded-weights-bounded-lipschitz",
    strength="identity",
    role="needs_hypothesis",
    hypothesis="lipschitz-activations",
)
def test_a_squaring_activation_exceeds_every_constant():
    # f(x) = x^2 with weight 1: from K to K + 1 it grows by 2 K + 1, which exceeds K.
    check_identity(lambda K: (K + 1) ** 2 - K**2 - K, lambda K: K + 1)


def check_layer_clipped_to_one(bound):
    """With entries in [-1, 1] the mean square of an entry is at most 1."""
    check_nonnegative_combination(
        lambda n_in, n_out, mean: bound(n_in, n_out) - n_out * n_in * mean,
        lambda n_in, n_out, mean: [n_in * n_out],
        lambda n_in, n_out, mean: [1 - mean],
    )


@proves(
    "pku-clip-c-equals-1",
    strength="identity",
    lemmas=("the squared l2 norm of W is at most the sum of its squared entries",),
)
def test_weights_within_one_bound_every_layer_by_its_shape():
    check_layer_clipped_to_one(lambda n_in, n_out: n_in * n_out)


@proves("pku-clip-c-equals-1", role="must_fail")
def test_weights_within_one_do_not_make_a_layer_1_lipschitz():
    check_layer_clipped_to_one(lambda n_in, n_out: 1)


@proves("pku-clip-c-equals-1", strength="certificate", role="supports")
def test_the_constant_of_a_usual_critic_exceeds_a_hundred_million():
    sizes = (2, 512, 512, 512, 1)
    (value,) = all_equal_network(sizes, 1)
    assert Fraction(value**2, 2) == squared_clipping_bound(sizes, 1) == 2 * 512**6
    assert isqrt(2 * 512**6) == 189_812_531


@proves(
    "pku-clip-c-equals-1",
    strength="identity",
    role="needs_hypothesis",
    hypothesis="lipschitz-activations",
)
def test_clipping_to_one_does_not_bound_a_squaring_network():
    check_identity(lambda K: (K + 1) ** 2 - K**2 - K, lambda K: K + 1)


# ---- clipping is not 1-Lipschitz -----------------------------------------------------------------
def refute_1_lipschitz(sizes, weight):
    """The network with all weights equal, between 0 and (1, ..., 1)."""
    signal = all_equal_network(sizes, weight)
    squared_quotient = Fraction(exact_dot(signal, signal), sizes[0])
    assert squared_quotient > 1
    return squared_quotient


@proves("weight-clipping-preserves-1-lipschitz", strength="certificate", role="refutes")
def test_one_clipped_layer_on_a_small_image_is_not_1_lipschitz(record_witness):
    squared = refute_1_lipschitz((3 * 64 * 64, 1), Fraction(1, 100))
    assert squared == Fraction(12288, 10**4)
    record_witness(
        critic="one linear layer on a 3 x 64 x 64 image, all weights 1/100",
        between="0 and (1, ..., 1)",
        squared_slope=squared,
    )


@proves("weight-clipping-preserves-1-lipschitz", strength="certificate", role="refutes")
def test_a_clipped_critic_on_the_plane_is_not_1_lipschitz(record_witness):
    squared = refute_1_lipschitz((2, 512, 512, 512, 1), Fraction(1, 100))
    assert Fraction(18981, 10**4) ** 2 < squared < Fraction(18982, 10**4) ** 2
    record_witness(
        critic="ReLU network 2-512-512-512-1, all weights 1/100",
        between="0 and (1, 1)",
        squared_slope=squared,
    )


@proves("weight-clipping-preserves-1-lipschitz", role="must_fail")
def test_a_clipped_layer_on_ten_thousand_inputs_is_not_refuted():
    refute_1_lipschitz((10**4, 1), Fraction(1, 100))


# ---- clipping is not a scaled constraint ---------------------------------------------------------
def refute_scaled_constraint(critic):
    """P = half at -1 and half at 1, Q at 0: W_1 = 1, and K |x| has the value K = c."""
    check_identity(
        lambda w, b: critic(-1, w, b) + critic(1, w, b), lambda w, b: 2 * critic(0, w, b)
    )


@proves("clipping-equivalent-to-scaled-lipschitz", strength="identity", role="refutes")
def test_no_linear_critic_sees_mass_that_leaves_the_centre(record_witness):
    refute_scaled_constraint(lambda x, w, b: w * x + b)
    transport = [Fraction(1, 2) * abs(x - 0) for x in (-1, 1)]  # the only coupling with one point
    record_witness(
        P="1/2 at -1, 1/2 at 1",
        Q="1 at 0",
        critics="w x + b with |w| <= c, so K = c",
        supremum=0,
        K_times_W="c",
        W=sum(transport),
    )


@proves("clipping-equivalent-to-scaled-lipschitz", role="must_fail")
def test_critics_with_a_kink_at_the_centre_are_not_refuted():
    refute_scaled_constraint(lambda x, w, b: w * abs(x) + b)


# ---- constraining is tractable -------------------------------------------------------------------
def refute_intractability(divisor):
    """Divide every layer by ``divisor(W)``: is the network then 1-Lipschitz, at linear cost?

    A layer is 1-Lipschitz in l2 if its squared entries sum to at most 1 (Cauchy-Schwarz), a
    network of such layers and ReLUs is 1-Lipschitz. The cost is counted in multiplications.
    """
    rng = np.random.default_rng(0)
    sizes = (4, 8, 8, 1)
    layers = [rng.integers(-99, 100, (b, a)).tolist() for a, b in itertools.pairwise(sizes)]
    multiplications = 0
    for rows in layers:
        entries = [value for row in rows for value in row]
        scale = divisor(entries)
        multiplications += 2 * len(entries)  # one for the square, one for the division
        assert sum((Fraction(v) / scale) ** 2 for v in entries) <= 1
    return multiplications


@proves(
    "constraining-lipschitz-is-intractable",
    strength="certificate",
    role="refutes",
    lemmas=("the l2 norm of W is at most the root of the sum of its squared entries",),
)
def test_dividing_by_the_frobenius_norm_constrains_in_one_pass(record_witness):
    count = refute_intractability(lambda entries: isqrt(sum(v * v for v in entries)) + 1)
    record_witness(
        method="divide every layer by its Frobenius norm, rounded up",
        guarantee="every layer and so the network is 1-Lipschitz in l2",
        multiplications_for_4_8_8_1=count,
        multiplications_in_general="2 per weight",
    )


@proves("constraining-lipschitz-is-intractable", role="must_fail")
def test_dividing_by_the_largest_weight_does_not_constrain():
    refute_intractability(lambda entries: max(map(abs, entries)))


# ---- the ground norm of duality ------------------------------------------------------------------
def refute_equal_duality(squared_dual):
    """Unit masses at (0, 0) and (1, 1): one coupling, so W_1 with the l1 cost is |1| + |1|."""
    displacement = (1, 1)
    primal = sum(map(abs, displacement))
    assert primal**2 != squared_dual(displacement)
    return primal, squared_dual(displacement)


@proves(
    "kr-duality-ground-norm-mismatch",
    strength="certificate",
    role="refutes",
    lemmas=("f(y) - f(x) <= ||y - x|| for a 1-Lipschitz f, attained by a linear function",),
)
def test_critics_lipschitz_in_l2_miss_the_l1_cost(record_witness):
    # Lipschitz in l2: |f(1, 1) - f(0, 0)|^2 <= 1^2 + 1^2.
    primal, dual = refute_equal_duality(lambda v: sum(x * x for x in v))
    assert (primal, dual) == (2, 2)
    record_witness(
        P="1 at (1, 1)", Q="1 at (0, 0)", W_with_l1_cost=primal, best_critic=f"sqrt({dual})"
    )


@proves("kr-duality-ground-norm-mismatch", role="must_fail")
def test_critics_with_gradient_entries_at_most_one_are_not_refuted():
    # Lipschitz in l1: f = x + y reaches the largest difference, |1| + |1|.
    refute_equal_duality(lambda v: sum(map(abs, v)) ** 2)
