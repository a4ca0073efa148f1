"""The discriminator's side of the game: its optimum, the value there, and what is missing before.

Pointwise, ``a`` and ``b`` are the masses of data and generator; sums over the support are left out
of the identities, since both sides are linear in the masses.
"""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.logarithms import LogSum, exact_js, exact_log

proves = pytest.mark.proves

HALF = Fraction(1, 2)
EPS = 2.0**-52


# ---- the optimal discriminator -------------------------------------------------------------------
def check_optimum(best):
    """d/dD (a log D + b log(1 - D)) is a positive multiple of ``best - D`` on (0, 1)."""
    import sympy

    a, b, D = sympy.symbols("a b D", positive=True)
    slope = sympy.diff(a * sympy.log(D) + b * sympy.log(1 - D), D)
    assert sympy.cancel(slope - (a + b) * (best(a, b) - D) / (D * (1 - D))) == 0


@proves(
    "optimal-discriminator-formula",
    strength="identity",
    lemmas=(
        "a function that rises before a point and falls after it is largest there and only there",
        "an integral is maximised by maximising its integrand",
    ),
)
def test_the_optimal_discriminator_is_the_share_of_the_data():
    check_optimum(lambda a, b: a / (a + b))


@proves("optimal-discriminator-formula", role="must_fail")
def test_the_share_of_the_generator_is_not_optimal():
    check_optimum(lambda a, b: b / (a + b))


def check_posterior(prior):
    """Bayes' rule with a share ``prior`` of real samples gives D*."""
    import sympy

    a, b = sympy.symbols("a b", positive=True)
    posterior = prior * a / (prior * a + (1 - prior) * b)
    assert sympy.cancel(posterior - a / (a + b)) == 0


@proves("discriminator-is-posterior-probability", strength="identity", lemmas=("Bayes' rule",))
def test_the_optimal_discriminator_is_the_posterior_of_balanced_samples():
    check_posterior(HALF)


@proves("discriminator-is-posterior-probability", role="must_fail")
def test_it_is_not_the_posterior_if_three_of_four_samples_are_real():
    check_posterior(Fraction(3, 4))


@proves(
    "discriminator-is-posterior-probability",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="balanced",
)
def test_three_real_samples_for_each_generated_one_move_the_posterior_to_three_quarters():
    p = q = HALF
    assert (3 * p) / (3 * p + q) == Fraction(3, 4) != p / (p + q) == HALF


@proves(
    "discriminator-is-posterior-probability",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="optimal",
)
def test_a_constant_discriminator_is_no_posterior():
    # Two disjoint laws: the data's own atom is real for sure, whatever D = 9/10 says.
    p, q, D = 1, 0, Fraction(9, 10)
    assert Fraction(p, p + q) == 1 != D


# ---- the value at the optimum --------------------------------------------------------------------
def check_value(offset):
    """``V(D*) = 2 JS - offset log 2``; A, B, S, T for log a, log b, log(a + b), log 2.

    The masses a + b add up to 2, so that half of ``offset`` belongs to a unit of them.
    """
    check_identity(
        lambda a, b, A, B, S, T: 2 * (a * (A - S) + b * (B - S)),
        lambda a, b, A, B, S, T: 2 * (a * (A - (S - T)) + b * (B - (S - T))) - offset * T * (a + b),
    )
    assert exact_log(4) == 2 * exact_log(2)


@proves("optimal-discriminator-loss-is-jsd", strength="identity")
def test_the_value_of_the_optimal_discriminator_is_twice_the_jsd_minus_log_four():
    check_value(2)


@proves("optimal-discriminator-loss-is-jsd", role="must_fail")
def test_the_offset_is_not_log_two():
    check_value(1)


def value(p, q, D):
    """``sum p log D + q log(1 - D)`` of a discriminator that is nowhere infinitely wrong."""
    terms = [(a, d) for a, d in zip(p, D, strict=True) if a]
    terms += [(b, 1 - d) for b, d in zip(q, D, strict=True) if b]
    return sum((a * exact_log(d) for a, d in terms), LogSum())


def random_laws(seed):
    """Two laws on a common support, with masses k / 60."""
    rng = np.random.default_rng([234, seed])
    n = int(rng.integers(2, 7))
    laws = 1 + rng.multinomial(60 - n, np.ones(n) / n, size=2)
    return [[Fraction(int(k), 60) for k in law] for law in laws]


@proves("optimal-discriminator-loss-is-jsd", strength="certificate", role="supports")
@pytest.mark.parametrize("seed", range(10))
def test_the_value_agrees_with_exact_divergences(seed):
    p, q = random_laws(seed)
    best = [a / (a + b) for a, b in zip(p, q, strict=True)]
    assert value(p, q, best) == 2 * exact_js(p, q) - exact_log(4)


@proves("optimal-discriminator-loss-is-jsd", strength="tested", role="conforms")
@pytest.mark.parametrize("name", ["minimax", "nonsaturating"])
@pytest.mark.parametrize("seed", range(10))
def test_the_shipped_losses_at_their_optimal_critic_are_log_four_minus_two_jsd(name, seed):
    import torch

    from gan_core.objectives import OBJECTIVES

    p, q = random_laws(seed)
    exact = float((exact_log(4) - 2 * exact_js(p, q)).ball().mid())
    shipped = OBJECTIVES[name]
    masses = np.array([p, q], dtype=float)
    logits = torch.from_numpy(shipped.optimal_critic(*masses))
    masses = torch.from_numpy(masses)
    terms = masses * torch.stack([shipped.real.value(logits), shipped.generated.value(logits)])
    # 2 n terms below log 60 each, a few roundings each.
    tolerance = 16 * 2 * len(p) * EPS * np.log(60)
    assert abs(float(terms.sum()) - exact) <= tolerance
    assert abs(shipped.optimal_loss(*masses.numpy()) - exact) <= tolerance


# ---- what a discriminator lacks ------------------------------------------------------------------
def check_gap(first, second):
    """``V(D*) - V(D)``: P, Q and L, M for the logs of D*, 1 - D* and of D, 1 - D; a = s d."""
    check_identity(
        lambda s, d, P, Q, L, M: (s * d * P + s * (1 - d) * Q) - (s * d * L + s * (1 - d) * M),
        lambda s, d, P, Q, L, M: s * (first(d) * (P - L) + second(d) * (Q - M)),
    )


GAP = ("(p + q) D* = p",)


@proves("undertrained-discriminator-underestimates-jsd", strength="identity", lemmas=GAP)
def test_a_discriminator_lacks_the_divergence_between_its_coins_and_the_best():
    check_gap(lambda d: d, lambda d: 1 - d)


@proves("undertrained-discriminator-underestimates-jsd", role="must_fail")
def test_the_coins_are_not_exchanged():
    check_gap(lambda d: 1 - d, lambda d: d)


@proves("undertrained-discriminator-underestimates-jsd", strength="certificate", role="supports")
@pytest.mark.parametrize("seed", range(10))
def test_every_other_discriminator_estimates_less_than_the_jsd(seed):
    p, q = random_laws(seed)
    rng = np.random.default_rng([252, seed])
    D = [Fraction(int(k), 20) for k in rng.integers(1, 20, size=len(p))]
    assert HALF * (value(p, q, D) + exact_log(4)) < exact_js(p, q)


def check_minimum(constant):
    """A constant D has the value -log 4 for every generator, and is D* only if a = b."""
    assert exact_log(constant) + exact_log(1 - constant) == -exact_log(4)
    check_identity(lambda a, b: 2 * a - (a + b), lambda a, b: a - b)


@proves("gan-global-optimum", strength="identity")
def test_the_undecided_discriminator_keeps_every_value_above_minus_log_four():
    # By the gap, max_D V - (-log 4) = E_{p+q} KL(Ber(D*) || Ber(1/2)): 0 only where 2 a = a + b.
    check_minimum(HALF)


@proves("gan-global-optimum", role="must_fail")
def test_another_constant_does_not_have_the_value_minus_log_four():
    check_minimum(Fraction(1, 3))


# ---- labels without logarithms -------------------------------------------------------------------
def check_labels(bound):
    """a = m + u and b = m + v with m = min(a, b), so that u v = 0; E is 1 - D.

    ``max(a, b) = m + u + v`` adds up to 1 + TV, since m adds up to 1 - TV and u, v to TV each.
    """
    check_nonnegative_combination(
        lambda m, u, v, D, E: bound(m, u, v) * (D + E) - ((m + u) * D + (m + v) * E),
        lambda m, u, v, D, E: [v, u],
        lambda m, u, v, D, E: [D, E],
    )
    # Attained by D = 1 where v = 0 and by E = 1 where u = 0.
    for m, u, v in [(2, 3, 0), (2, 0, 3), (2, 0, 0)]:
        assert (m + u if v == 0 else m + v) == bound(m, u, v)


LABELS = ("D and 1 - D are not negative",)


@proves(
    "discriminator-maximises-correct-labels",
    strength="identity",
    scope=("upper bound", "attained"),
    lemmas=LABELS,
)
def test_correct_labels_number_at_most_one_plus_the_total_variation():
    check_labels(lambda m, u, v: m + u + v)


@proves("discriminator-maximises-correct-labels", role="must_fail")
def test_correct_labels_are_not_bounded_by_the_common_mass():
    check_labels(lambda m, u, v: m)


def check_complement(transform):
    """``E h(D) + E h(1 - D)`` is constant: one is largest where the other is least."""
    check_identity(
        lambda b, c, D, E: b * transform(D) + c * transform(E)
        + b * transform(1 - D) + c * transform(1 - E),
        lambda b, c, D, E: b + c + 0 * D * E,
    )  # fmt: skip


@proves("generator-maximise-equals-minimise-complement", strength="identity")
def test_the_two_expectations_add_up_to_one():
    check_complement(lambda D: D)


@proves("generator-maximise-equals-minimise-complement", role="must_fail")
def test_a_function_inside_the_expectations_breaks_the_sum():
    check_complement(lambda D: D**2)


# ---- the game ------------------------------------------------------------------------------------
def check_pushforward(reads):
    """``E h(G(z)) = sum over x of P(G(z) = x) h(x)`` for every map of three z to three x."""
    for images in itertools.product(range(3), repeat=3):
        # The functions are used up before the loop goes on.
        def left(p, q, r, f, g, h):
            outputs, masses = (f, g, h), (p, q, r)
            return sum(m * outputs[reads(images, z)] for z, m in enumerate(masses))  # noqa: B023

        def right(p, q, r, f, g, h):
            law = [0 * p] * 3
            for x, mass in zip(images, (p, q, r), strict=True):  # noqa: B023
                law[x] = law[x] + mass
            return sum(m * output for m, output in zip(law, (f, g, h), strict=True))

        check_identity(left, right)


def check_attained(numerator):
    """D* lies in [0, 1]: neither its numerator nor what is left of a + b is negative."""
    check_nonnegative_combination(
        lambda a, b: (a + b) - numerator(a, b), lambda a, b: [1], lambda a, b: [b]
    )


@proves(
    "gan-objective",
    strength="identity",
    lemmas=("the change of variables for three z is that for n", "p_r and p_g are not negative"),
)
def test_the_inner_maximum_exists_and_depends_on_the_generators_law_only():
    check_pushforward(lambda images, z: images[z])
    check_attained(lambda a, b: a)


@proves("gan-objective", role="must_fail")
def test_the_generator_is_not_applied_twice():
    check_pushforward(lambda images, z: images[images[z]])


@proves(
    "gan-objective", strength="certificate", role="needs_hypothesis", hypothesis="closed-interval"
)
def test_between_disjoint_laws_no_discriminator_inside_the_open_interval_is_best():
    # The supremum is 0; a value D < 1 on the data costs log D < 0, and a larger D costs less.
    values = [value((1, 0), (0, 1), (1 - Fraction(1, k), Fraction(1, k))) for k in (2, 10, 10**9)]
    assert values[0] < values[1] < values[2] < 0
    assert values[2] > -Fraction(3, 10**9)


# ---- disjoint laws -------------------------------------------------------------------------------
def check_perfect(on_real, on_generated):
    """Both integrands vanish, so that the masses do not matter."""
    assert exact_log(on_real) == exact_log(1 - on_generated) == 0


@proves("perfect-discriminator-value-zero", strength="identity")
def test_a_perfect_discriminator_has_the_value_zero():
    check_perfect(1, 0)


@proves("perfect-discriminator-value-zero", role="must_fail")
def test_a_nearly_perfect_discriminator_has_not():
    check_perfect(Fraction(99, 100), Fraction(1, 100))


@proves("perfect-discriminator-value-zero", strength="tested", role="conforms")
@pytest.mark.parametrize(("dtype", "unit"), [("float32", 2.0**-23), ("float64", 2.0**-52)])
def test_the_shipped_loss_tends_to_zero_where_the_sigmoid_rounds_to_one(dtype, unit):
    import torch

    from gan_core.objectives import OBJECTIVES

    logits = torch.full((1, 4), 40.0, dtype=getattr(torch, dtype))
    assert float(torch.log(1 - logits.sigmoid())[0, 0]) == -np.inf
    loss = float(OBJECTIVES["minimax"].critic_loss(logits, -logits))
    # softplus(-40) = e^-40 (1 - e^-40 / 2 + ...), the exponential to a few units.
    assert abs(loss / (2 * np.exp(-40.0)) - 1) <= 8 * unit


def check_disjoint(divergence):
    assert 2 * divergence - exact_log(4) == 0


@proves("generator-loss-zero-when-disjoint", strength="identity")
def test_twice_log_two_is_log_four():
    check_disjoint(exact_js((HALF, HALF, 0), (0, 0, 1)))


@proves("generator-loss-zero-when-disjoint", role="must_fail")
def test_laws_that_share_an_atom_have_another_loss():
    check_disjoint(exact_js((HALF, HALF, 0), (0, HALF, HALF)))


def check_flat(real_mass):
    """d/dt of V(D*) where generated mass t meets ``real_mass``: log(t / (real_mass + t)) = 0."""
    import sympy

    t = sympy.Symbol("t", positive=True)
    loss = t * sympy.log(t / (real_mass + t))
    if real_mass:
        loss += real_mass * sympy.log(real_mass / (real_mass + t))
    assert sympy.simplify(sympy.diff(loss, t)) == 0


@proves("jsd-equivalence-then-saturation", strength="identity", scope="vanishing gradient")
def test_the_loss_is_flat_where_there_are_no_data():
    check_flat(0)


@proves("jsd-equivalence-then-saturation", strength="identity", scope="equivalence")
def test_the_saturating_loss_is_an_increasing_function_of_the_jsd():
    check_value(2)


@proves("jsd-equivalence-then-saturation", role="must_fail")
def test_the_loss_is_not_flat_where_there_are_data():
    check_flat(1)


@proves("jsd-equivalence-then-saturation", role="must_fail")
def test_the_saturating_loss_is_not_offset_by_log_two():
    check_value(1)
