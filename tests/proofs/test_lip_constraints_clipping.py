"""Clipping: of the weights, which makes a compact set of simple functions, and of gradients."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from tests.identities import check_identity, check_nonnegative_combination
from tests.oracles import convolution_matrix, exact_dot
from tests.transport_certificates import check_optimal

proves = pytest.mark.proves


# ---- a compact set -------------------------------------------------------------------------------
def check_bounded(above_the_lower_end):
    """``w^2 <= c^2`` for every weight, hence ``|w|^2 <= p c^2``: both ends of the window count."""
    check_nonnegative_combination(
        lambda c, w: c**2 - w**2,
        lambda c, w: [1],
        lambda c, w: [(c - w) * above_the_lower_end(c, w)],
    )


def check_limit(edge):
    """A limit w of weights v in [-c, c], ``|w - v| <= e``, stays within ``edge`` of both ends."""
    check_nonnegative_combination(
        lambda c, e, v, w: edge(c, e) - w,
        lambda c, e, v, w: [1, 1],
        lambda c, e, v, w: [c - v, e - (w - v)],
    )
    check_nonnegative_combination(
        lambda c, e, v, w: w + edge(c, e),
        lambda c, e, v, w: [1, 1],
        lambda c, e, v, w: [v + c, (w - v) + e],
    )


@proves(
    "clipping-gives-compact-parameter-space",
    strength="identity",
    scope="bounded",
    lemmas=("Heine-Borel: closed and bounded sets of R^p are compact",),
)
def test_clipped_weights_are_bounded():
    check_bounded(lambda c, w: c + w)


@proves(
    "clipping-gives-compact-parameter-space",
    strength="identity",
    scope="closed",
    lemmas=("a number that is at most c + e for all e > 0 is at most c",),
)
def test_limits_of_clipped_weights_are_clipped():
    check_limit(lambda c, e: c + e)


@proves("clipping-gives-compact-parameter-space", role="must_fail")
def test_weights_that_are_clipped_from_above_only_are_not_bounded():
    check_bounded(lambda c, w: 1)


@proves("clipping-gives-compact-parameter-space", role="must_fail")
def test_limits_of_clipped_weights_do_not_keep_a_distance_from_the_ends():
    check_limit(lambda c, e: c - e)


# ---- simple functions ----------------------------------------------------------------------------
def check_kink(window):
    """``|a w|``, the change of slope of ``a relu(w x + b)`` at ``t = -b / w``, for all moduli.

    Near the origin from |a|, |w| <= c; far away from |a| <= c and |b| = |w t| <= c.
    """
    check_nonnegative_combination(
        lambda c, a, w, t: window(c) - a * w,
        lambda c, a, w, t: [c, a],
        lambda c, a, w, t: [c - a, c - w],
    )
    check_nonnegative_combination(
        lambda c, a, w, t: window(c) - a * w * t,
        lambda c, a, w, t: [c, a],
        lambda c, a, w, t: [c - a, c - w * t],
    )


def check_slope(per_unit):
    """By induction over the units: one more with slope u, ``|u| <= c^2``, on slopes up to S."""
    check_nonnegative_combination(
        lambda c, S, s, u: (S + per_unit(c)) - (s + u),
        lambda c, S, s, u: [1, 1],
        lambda c, S, s, u: [S - s, c**2 - u],
    )


@proves("clipping-biases-towards-simple-functions", strength="identity", scope="kinks")
def test_kinks_of_clipped_units_fade_like_one_over_their_distance():
    check_kink(lambda c: c**2)


@proves(
    "clipping-biases-towards-simple-functions",
    strength="identity",
    scope="slope",
    lemmas=("a unit adds a w or nothing to the slope", "|a w| <= c^2"),
)
def test_the_slopes_of_clipped_units_add_up_to_h_c_squared():
    check_slope(lambda c: c**2)


@proves("clipping-biases-towards-simple-functions", role="must_fail")
def test_one_weight_alone_does_not_bound_a_kink():
    check_kink(lambda c: c)


@proves("clipping-biases-towards-simple-functions", role="must_fail")
def test_units_do_not_share_one_slope():
    check_slope(lambda c: 0)


@proves(
    "clipping-biases-towards-simple-functions",
    strength="certificate",
    role="needs_hypothesis",
    hypothesis="one-hidden-layer",
)
def test_two_hidden_layers_have_steep_kinks_far_from_the_origin():
    # c = 1, hidden layers of 4 equal units each: relu(4 relu(x) - b') with b' of size 1, and then
    # a third layer that adds 4 units of slope 4; the kink of relu(sum of 4 (x - 1)+ - 1) at 5/4
    # changes the slope by 4 for one unit, where c^2 / |t| = 4/5.
    def hidden(x):
        return max(x - 1, 0)

    def unit(x):
        return max(4 * hidden(x) - 1, 0)

    t, e = Fraction(5, 4), Fraction(1, 100)
    left, right = (unit(t) - unit(t - e)) / e, (unit(t + e) - unit(t)) / e
    assert (left, right) == (0, 4)
    assert right - left > 1 / t


def relu(x):
    return max(x, 0)


def value_of_unit(w, b):
    """``E_P f - E_Q f`` of relu(w x + b) for P = {-1, 1} in halves and Q at 0."""
    return Fraction(relu(w + b) + relu(b - w), 2) - relu(b)


def check_best_unit(share):
    """``c - 2 V >= 0`` on every linear piece of V over the box, w >= 0 by symmetry."""
    check_nonnegative_combination(  # 0 <= b <= w: V = (w - b) / 2
        lambda c, w, b: share * c - (w - b), lambda c, w, b: [1, 1], lambda c, w, b: [c - w, b]
    )
    check_nonnegative_combination(  # -w <= b <= 0: V = (w + b) / 2
        lambda c, w, b: share * c - (w + b), lambda c, w, b: [1, 1], lambda c, w, b: [c - w, -b]
    )


@proves("clipping-biases-towards-simple-functions", strength="identity", role="supports")
def test_clipping_reads_half_of_its_lipschitz_constant_on_two_points_and_their_middle():
    # Elsewhere on the box V = 0, so that h units of outer weight c reach h c^2 / 2 at most, half
    # of what functions with their Lipschitz constant h c^2 reach: W_1 = 1.
    check_best_unit(1)
    half, cells = Fraction(1, 2), range(-4, 5)
    check_optimal(
        [[1], [1]], [half, half], [1], plan=[[half], [half]], potentials=([1, 1], [0]), value=1
    )
    for w, b in itertools.product(cells, cells):
        assert value_of_unit(Fraction(w, 4), Fraction(b, 4)) <= half
    assert value_of_unit(1, 0) == half


@proves("clipping-biases-towards-simple-functions", role="must_fail")
def test_clipping_does_not_read_the_whole_distance():
    check_best_unit(2)


# ---- the largest norm of a clipped convolution ---------------------------------------------------
def check_phases(term):
    """An entry of the symbol, at phase r, is a sum of n_r taps of modulus c or less.

    So ``|entry|^2 <= n^2 c^2``, and the squared norm is at most the sum over all entries. One more
    phase with entry e is added to the squared norm F <= S.
    """
    check_nonnegative_combination(
        lambda c, n, S, F, e: (S + term(n, c)) - (F + e**2),
        lambda c, n, S, F, e: [1, 1],
        lambda c, n, S, F, e: [S - F, (n * c - e) * (n * c + e)],
    )


def check_ones(k, s, squared):
    """The kernel of ones on the circle of s k points: gain of the comb of its phases."""
    ones = np.ones((2, 3, k), dtype=int)
    counts = [sum(t % s == r for t in range(k)) for r in range(s)]
    matrix = convolution_matrix(ones, s * k, stride=s, pad_width=[(0, k - 1)])
    signal = np.tile(np.array(counts), (3, k)).ravel()
    output = matrix @ signal
    assert exact_dot(output, output) == 2 * 3 * squared(counts) * exact_dot(signal, signal)


@proves(
    "largest-norm-of-a-clipped-convolution",
    strength="identity",
    scope="upper bound",
    lemmas=("||F||_2^2 is at most the sum of the squared entries", "the triangle inequality"),
)
def test_every_phase_of_a_clipped_kernel_contributes_its_taps_squared():
    check_phases(lambda n, c: n**2 * c**2)


@proves("largest-norm-of-a-clipped-convolution", role="must_fail")
def test_taps_of_a_phase_do_not_add_in_squares():
    check_phases(lambda n, c: n * c**2)


@proves(
    "largest-norm-of-a-clipped-convolution",
    strength="identity",
    scope="attained",
    lemmas=("at frequency 0 the symbol of the kernel of c's has the entries c n_r",),
)
def test_the_kernel_of_equal_weights_attains_the_largest_norm():
    # A cout x (cin s) matrix of rank one with rows c (n_1, ..., n_s, n_1, ...) maps the unit vector
    # along its rows to c sqrt(cin sum n_r^2) in every one of cout outputs.
    check_identity(
        lambda c, cin, cout, N: cout * (c * cin * N) ** 2,
        lambda c, cin, cout, N: (c**2 * cin * cout * N) * (cin * N),
    )
    for k, s in itertools.product(range(1, 6), range(1, 5)):
        check_ones(k, s, lambda counts: sum(n * n for n in counts))


@proves("largest-norm-of-a-clipped-convolution", role="must_fail")
def test_the_kernel_of_equal_weights_does_not_attain_k_times_the_window_count():
    # k = 3, s = 2: 2^2 + 1^2 = 5, but k ceil(k / s) = 6.
    check_ones(3, 2, lambda counts: sum(counts) * max(counts))


# ---- gradient clipping ---------------------------------------------------------------------------
def train(steps, project):
    """relu(w x), loss -f(1), gradient -1 of norm 1 and therefore unclipped, step size 1."""
    w = Fraction(1)
    for _ in range(steps):
        gradient = Fraction(-1) if w > 0 else Fraction(0)
        clipped = gradient / max(1, abs(gradient))
        w = project(w - clipped)
    return w


def refute_training(project):
    start, end = train(0, project), train(1, project)
    assert start <= 1
    assert end > 1
    return end


def refute_division(threshold):
    """``f / max(1, |f'|)`` for f = relu(x) + relu(x - 1), near its kink at 1."""

    def divided(x):
        slope = (x > 0) + (x > 1)
        return Fraction(relu(x) + relu(x - 1)) / max(threshold, slope)

    e = Fraction(1, 100)
    secant = abs(divided(1 + e) - divided(1 - e)) / (2 * e)
    assert secant > 1
    return secant


@proves("gradient-clipping-gives-lipschitz-1", strength="certificate", role="refutes")
def test_one_step_along_a_clipped_gradient_leaves_the_1_lipschitz_networks(record_witness):
    end = refute_training(lambda w: w)
    assert train(100, lambda w: w) == 101
    record_witness(
        network="relu(w x), w = 1", loss="-f(1)", gradient=-1, step_size=1, constant_after=end
    )


@proves("gradient-clipping-gives-lipschitz-1", role="must_fail")
def test_a_step_that_clips_the_weight_stays_1_lipschitz():
    refute_training(lambda w: min(w, 1))


@proves("gradient-clipping-gives-lipschitz-1", strength="certificate", role="refutes")
def test_dividing_by_the_gradient_norm_tears_a_network_apart(record_witness):
    secant = refute_division(1)
    record_witness(
        network="relu(x) + relu(x - 1)",
        divided="1 from the left of 1, 1/2 from the right",
        secant_between="99/100 and 101/100",
        slope=secant,
    )


@proves("gradient-clipping-gives-lipschitz-1", role="must_fail")
def test_dividing_by_the_largest_gradient_norm_is_not_refuted():
    refute_division(2)


@proves("gradient-clipping-gives-lipschitz-1", strength="tested", role="supports")
def test_torch_clips_the_gradient_and_the_constant_grows_by_one_per_step():
    import torch

    w = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=1.0)
    for _ in range(100):
        optimizer.zero_grad()
        (-torch.relu(w * 1.0)).sum().backward()
        torch.nn.utils.clip_grad_norm_([w], 1.0)
        optimizer.step()
    # torch divides by the norm + 1e-6, which takes 1e-6 off each of the hundred steps.
    assert abs(float(w.detach()) - 101.0) <= 1.01e-4
