"""Where branches of a network meet: sums, residual connections and concatenation.

``d`` is the distance of two inputs, ``u`` and ``v`` the distances of the branches' outputs, with
``u <= L1 d`` and ``v <= L2 d``.
"""

from __future__ import annotations

import pytest

from tests.identities import check_identity, check_nonnegative_combination

proves = pytest.mark.proves


# ---- sums ----------------------------------------------------------------------------------------
def check_sum(constant):
    """By the triangle inequality the sum moves by ``w <= u + v``."""
    check_nonnegative_combination(
        lambda L1, L2, d, u, v, w: constant(L1, L2) * d - w,
        lambda L1, L2, d, u, v, w: [1, 1, 1],
        lambda L1, L2, d, u, v, w: [u + v - w, L1 * d - u, L2 * d - v],
    )


def check_residual(constant):
    """``x + g(x)``: the branch x moves by d itself."""
    check_nonnegative_combination(
        lambda L2, d, v, w: constant(L2) * d - w,
        lambda L2, d, v, w: [1, 1],
        lambda L2, d, v, w: [d + v - w, L2 * d - v],
    )


@proves("branches-that-add", strength="identity")
def test_constants_of_branches_that_add_add():
    check_sum(lambda L1, L2: L1 + L2)
    check_residual(lambda L2: 1 + L2)


@proves("branches-that-add", role="must_fail")
def test_a_residual_connection_is_not_free():
    check_residual(lambda L2: L2)


@proves("branches-that-add", role="must_fail")
def test_constants_of_branches_that_add_do_not_multiply():
    check_sum(lambda L1, L2: L1 * L2)


# ---- concatenation -------------------------------------------------------------------------------
def check_concatenation_l2(squared_constant):
    """``u^2 + v^2``, from ``u^2 <= L1^2 d^2`` and ``v^2 <= L2^2 d^2``."""
    check_nonnegative_combination(
        lambda L1, L2, d, u, v: squared_constant(L1, L2) * d**2 - (u**2 + v**2),
        lambda L1, L2, d, u, v: [1, 1],
        lambda L1, L2, d, u, v: [L1**2 * d**2 - u**2, L2**2 * d**2 - v**2],
    )


def check_concatenation_l1(constant):
    check_nonnegative_combination(
        lambda L1, L2, d, u, v: constant(L1, L2) * d - (u + v),
        lambda L1, L2, d, u, v: [1, 1],
        lambda L1, L2, d, u, v: [L1 * d - u, L2 * d - v],
    )


def check_concatenation_linf(constant):
    """The larger of u and v, once for each; by symmetry L1 = L2 + excess is the larger constant."""
    check_nonnegative_combination(
        lambda L2, excess, d, u, v: constant(L2, excess) * d - u,
        lambda L2, excess, d, u, v: [1],
        lambda L2, excess, d, u, v: [(L2 + excess) * d - u],
    )
    check_nonnegative_combination(
        lambda L2, excess, d, u, v: constant(L2, excess) * d - v,
        lambda L2, excess, d, u, v: [1, excess],
        lambda L2, excess, d, u, v: [L2 * d - v, d],
    )


@proves("branches-that-concatenate", strength="identity", scope="l2")
def test_squared_constants_of_concatenated_branches_add_in_l2():
    check_concatenation_l2(lambda L1, L2: L1**2 + L2**2)


@proves("branches-that-concatenate", strength="identity", scope="l1")
def test_constants_of_concatenated_branches_add_in_l1():
    check_concatenation_l1(lambda L1, L2: L1 + L2)


@proves("branches-that-concatenate", strength="identity", scope="linf")
def test_the_larger_constant_of_concatenated_branches_remains_in_linf():
    check_concatenation_linf(lambda L2, excess: L2 + excess)


@proves("branches-that-concatenate", role="must_fail")
def test_one_branch_alone_does_not_bound_a_concatenation_in_l2():
    check_concatenation_l2(lambda L1, L2: L1**2)


@proves("branches-that-concatenate", role="must_fail")
def test_one_branch_alone_does_not_bound_a_concatenation_in_l1():
    check_concatenation_l1(lambda L1, L2: L1)


@proves("branches-that-concatenate", role="must_fail")
def test_the_smaller_constant_does_not_bound_a_concatenation_in_linf():
    check_concatenation_linf(lambda L2, excess: L2)


@proves("branches-that-concatenate", strength="identity", role="supports")
def test_two_scaled_copies_attain_all_three_constants():
    # x -> (L1 x, L2 x) on the line, from 0 to 1: the outputs (L1, L2) have these very norms.
    check_identity(lambda L1, L2: (L1 * 1) ** 2 + (L2 * 1) ** 2, lambda L1, L2: L1**2 + L2**2)
