"""Copy this file to ``test_<topic>.py``, change the ids, and say in one line what it is about.

One file is one complete argument: the proofs of a claim, a must-fail twin that runs the same
check, and, if the claim has hypotheses, a test for each that drops it.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

proves = pytest.mark.proves


# ---- a claim that holds: ``(a + b)^2 >= 4 a b`` --------------------------------------------------
def check_square_exceeds(factor):
    """``(a + b)^2 - factor a b`` is a square, as polynomials: true for all a and b at once."""
    import sympy

    a, b = sympy.symbols("a b")
    assert sympy.expand((a + b) ** 2 - factor * a * b - (a - b) ** 2) == 0


@proves("template-theorem", strength="identity", lemmas=("squares are not negative",))
def test_a_squared_sum_exceeds_four_products():
    check_square_exceeds(4)


@proves("template-theorem", role="must_fail")
def test_a_squared_sum_does_not_exceed_five_products():
    check_square_exceeds(5)


# ---- a claim that is false as stated: "squaring makes numbers larger" ----------------------------
def refute_growth(x):
    """The witness is a number, so the arithmetic is exact: Fraction, int, sympy, never float."""
    assert x * x <= x
    return x * x


@proves("template-mistake", strength="certificate", role="refutes")
def test_one_half_becomes_smaller_when_squared(record_witness):
    square = refute_growth(Fraction(1, 2))
    record_witness(x=Fraction(1, 2), square=square)


@proves("template-mistake", role="must_fail")
def test_two_is_no_counterexample():
    refute_growth(2)
