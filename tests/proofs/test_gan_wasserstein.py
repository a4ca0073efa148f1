"""The objective of a WGAN: what its critic says about the distance, and what it does not say."""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import prod

import pytest

from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves

HALF = Fraction(1, 2)


# ---- the objective -------------------------------------------------------------------------------
def check_objective(read):
    """Data at x0, x1; noise z0, z1; masses g_ij of a coupling of the data with the *noise*.

    ``E f(x) - E f(G(z))`` is at most the coupling's cost, with slacks ``|x_i - y| - (f(x_i) -
    f(y))`` for y = G(z_j); a coupling with the noise is one with the law of G(z).
    """
    check_nonnegative_combination(
        lambda g, h, k, m, c, d, e, n, r, s, u, v: (
            (g * c + h * d + k * e + m * n)
            - ((g + h) * r + (k + m) * s - (g + k) * read(u, v) - (h + m) * read(v, u))
        ),
        lambda g, h, k, m, c, d, e, n, r, s, u, v: [g, h, k, m],
        lambda g, h, k, m, c, d, e, n, r, s, u, v: [
            c - (r - u), d - (r - v), e - (s - u), n - (s - v)
        ],
    )  # fmt: skip


@proves(
    "wgan-objective",
    strength="identity",
    lemmas=(
        "two atoms and two noises are as n",
        "a coupling with G(z) is the image of one with z (disintegration)",
    ),
)
def test_no_critic_of_the_game_exceeds_the_cost_of_a_coupling():
    # That some critic attains the least cost is the other half of the duality.
    check_objective(lambda mine, others: mine)


@proves("wgan-objective", role="must_fail")
def test_the_critic_reads_the_sample_of_the_same_noise():
    check_objective(lambda mine, others: others)


# ---- the critic's sign ---------------------------------------------------------------------------
def refute_small_on_real(sign):
    """delta_1 against delta_0: the optimal D has D(1) - D(0) = +1 or -1, as the problem's sign."""
    rise = max((-1, 0, 1), key=lambda slope: sign * slope)
    real, fake = 1 * rise, 0 * rise
    assert real > fake
    return real, fake


@proves("critic-small-on-real-large-on-fake", strength="certificate", role="refutes")
def test_the_critic_that_maximises_is_large_on_real(record_witness):
    # sign * rise is largest at an end of [-1, 1], over which 1-Lipschitz critics range.
    real, fake = refute_small_on_real(1)
    record_witness(P_r="1 at 1", P_g="1 at 0", D="x", D_real=real, D_fake=fake)


@proves("critic-small-on-real-large-on-fake", role="must_fail")
def test_the_critic_that_minimises_is_small_on_real():
    refute_small_on_real(-1)


# ---- a falling loss ------------------------------------------------------------------------------
def refute_descent(before, after):
    """(w, theta): critic w x, data at 1, samples at theta; loss w (1 - theta), W = |1 - theta|."""
    losses, distances = zip(*((w * (1 - t), abs(1 - t)) for w, t in (before, after)), strict=True)
    assert losses[1] < losses[0]
    assert distances[1] > distances[0]
    return losses, distances


def training_step(w, theta, step, clip):
    """Both players move along their gradients; then the critic is clipped."""
    w, theta = w + step * (1 - theta), theta + step * w
    return max(-clip, min(clip, w)), theta


@proves("critic-loss-decrease-implies-w-decrease", strength="certificate", role="refutes")
def test_a_training_step_lowers_the_loss_and_raises_the_distance(record_witness):
    before = (1, Fraction(9, 10))
    after = training_step(*before, step=Fraction(1, 4), clip=1)
    losses, distances = refute_descent(before, after)
    record_witness(w_theta=(before, after), step=Fraction(1, 4), loss=losses, W=distances)


@proves("critic-loss-decrease-implies-w-decrease", strength="certificate", role="refutes")
def test_a_critic_that_grows_flatter_reports_less_at_six_times_the_distance(record_witness):
    states = (Fraction(1, 100), 0), (Fraction(1, 1000), -5)
    losses, distances = refute_descent(*states)
    assert distances == (1, 6)
    assert losses == (Fraction(1, 100), Fraction(6, 1000))
    record_witness(w_theta=states, loss=losses, W=distances)


@proves("critic-loss-decrease-implies-w-decrease", role="must_fail")
def test_optimal_critics_do_not_mislead():
    refute_descent((1, 0), (1, -5))


# ---- a critic that cannot tell -------------------------------------------------------------------
def tent(x, top, radius):
    """A 1-Lipschitz function."""
    return max(0, radius - abs(x - top))


def check_tent(radius):
    """Atoms at 0, 3 and 4 (a, b, c and r, s, t): the tent on 0 gains radius times a - r."""
    check_identity(
        lambda a, b, c, r, s, t: sum(
            (m - n) * tent(x, 0, radius)
            for x, m, n in zip((0, 3, 4), (a, b, c), (r, s, t), strict=True)
        ),
        lambda a, b, c, r, s, t: radius * (a - r) + 0 * (b + c + s + t),
    )


@proves(
    "critic-struggles-implies-similar",
    strength="identity",
    lemmas=(
        "max(0, r - |x - y|) is 1-Lipschitz",
        "masses that nowhere exceed others of the same total are equal to them",
        "two laws with equal expectations of every bounded Lipschitz function are equal",
    ),
)
def test_a_tent_gains_the_excess_of_mass_under_its_top():
    check_tent(3)


@proves("critic-struggles-implies-similar", role="must_fail")
def test_a_tent_over_two_atoms_does_not():
    check_tent(4)


@proves(
    "critic-struggles-implies-similar",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="all-lipschitz",
)
def test_no_linear_critic_tells_two_clouds_from_their_mean():
    # Data at -1 and 1, samples at 0, critics w x + b: no gain, although |x| gains 1.
    check_identity(lambda w, b: (-w + b) + (w + b) - 2 * b, lambda w, b: 0 * w * b)
    assert (abs(-1) + abs(1)) / 2 - abs(0) == 1


# ---- means over a batch --------------------------------------------------------------------------
def check_unbiased(n, estimate):
    """Outputs f, g with masses p, q: n E[estimate of the sum] (p + q)^(n-1), over all batches."""
    check_identity(
        lambda p, q, f, g: sum(
            prod(((p, q)[i] for i in batch), start=p**0)
            * estimate(sum(((f, g)[i] for i in batch), 0 * f))
            for batch in itertools.product(range(2), repeat=n)
        ),
        lambda p, q, f, g: n * (p * f + q * g) * (p + q) ** (n - 1),
    )


@proves(
    "minibatch-estimates",
    strength="identity",
    lemmas=("p + q = 1", "the expectation is linear: two outputs and n <= 4 are as any"),
)
def test_the_mean_over_a_batch_is_unbiased():
    for n in (1, 2, 3, 4):
        check_unbiased(n, lambda total: total)


@proves("minibatch-estimates", role="must_fail")
def test_a_function_of_the_mean_is_not_unbiased():
    check_unbiased(2, lambda total: total**2)


@proves(
    "minibatch-estimates",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="fixed-critic",
)
def test_a_critic_fitted_to_every_batch_moves_the_generators_optimum():
    """Data Bernoulli(3/10), one sample B, generator Bernoulli(t): the best critic is worth |B - t|.

    Its mean, 3/10 (1 - t) + 7/10 t = 3/10 + 4/10 t, is least at t = 0 and never 0.
    """
    p = Fraction(3, 10)
    check_identity(
        lambda t: 3 * (1 - t) + 7 * t,
        lambda t: 3 + 4 * t,
    )
    fitted = [p * abs(1 - t) + (1 - p) * abs(0 - t) for t in (0, p, 1)]
    assert fitted == [p, Fraction(42, 100), 1 - p]
    assert abs(p - p) == 0 < fitted[0]
