"""The curriculum's exercise: a Gaussian fitted to the Iris measurements, in exact arithmetic.

The measurements are decimals, so mean, covariance, conditional laws and Mahalanobis distances are
rational numbers; only densities need balls.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from functools import cache

import pytest

proves = pytest.mark.proves


@cache
def flowers():
    """Sepal length and width, petal length and width in cm: Fisher's table, as tenths."""
    from sklearn.datasets import load_iris

    tenths = [[round(10 * float(value)) for value in row] for row in load_iris().data]
    return [[Fraction(value, 10) for value in row] for row in tenths]


def flowers_of_uci():
    """The copy of the UCI repository, whose own notes list the two wrong rows."""
    rows = [list(row) for row in flowers()]
    rows[34][3] = Fraction(1, 10)
    rows[37][1:3] = [Fraction(31, 10), Fraction(15, 10)]
    return rows


def fitted(rows, divisor=None):
    """Mean and covariance; the divisor is N unless given."""
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    deviations = [[a - m for a, m in zip(row, mean, strict=True)] for row in rows]
    scatter = [
        [sum(d[i] * d[j] for d in deviations) / (divisor or len(rows)) for j in range(4)]
        for i in range(4)
    ]
    return mean, scatter


def matrix(rows):
    from flint import fmpq, fmpq_mat

    return fmpq_mat([[fmpq(v.numerator, v.denominator) for v in row] for row in rows])


def distance(x, mean, covariance):
    """``(x - mean)^T covariance^-1 (x - mean)``, exactly."""
    deviation = matrix([[a - m] for a, m in zip(x, mean, strict=True)])
    value = (deviation.transpose() * matrix(covariance).inv() * deviation)[0, 0]
    return Fraction(int(value.p), int(value.q))


# ---- maximum likelihood --------------------------------------------------------------------------
def check_stationary(rows, mean, covariance):
    """The derivatives of the log-likelihood by the mean and by the inverse covariance vanish.

    They are ``inverse sum (x - mean)`` and ``sum (covariance - (x - mean)(x - mean)^T) / 2``.
    """
    precision = matrix(covariance).inv()
    deviations = [[a - m for a, m in zip(row, mean, strict=True)] for row in rows]
    total = matrix([[sum(column)] for column in zip(*deviations, strict=True)])
    assert precision * total == matrix([[Fraction(0)]] * 4)
    for i, j in itertools.product(range(4), repeat=2):
        assert sum(covariance[i][j] - d[i] * d[j] for d in deviations) == 0


STATED_MEAN = [Fraction(1753, 300), Fraction(2293, 750), Fraction(1879, 500), Fraction(1799, 1500)]


@proves(
    "iris-gaussian-mle",
    strength="certificate",
    lemmas=("the Gaussian log-likelihood is concave in (inverse, inverse * mean)",),
)
def test_the_mean_and_the_covariance_with_divisor_n_are_the_likeliest():
    mean, covariance = fitted(flowers())
    assert mean == STATED_MEAN
    check_stationary(flowers(), mean, covariance)


@proves("iris-gaussian-mle", role="must_fail")
def test_the_covariance_with_divisor_n_minus_one_is_not_the_likeliest():
    check_stationary(flowers(), *fitted(flowers(), divisor=149))


@proves("iris-gaussian-mle", strength="enclosure", role="supports")
def test_the_divisor_n_minus_one_costs_seven_thousandths_of_a_nat():
    from flint import arb, fmpq

    # With c S for the covariance, LL = constant - (N/2) (4 log c + 4 / c).
    c = arb(fmpq(150, 149))
    loss = 75 * (4 * c.log() + 4 / c - 4)
    assert arb("0.00669") < loss < arb("0.0067")


@proves(
    "iris-gaussian-mle", strength="certificate", role="needs_hypothesis", hypothesis="fishers-table"
)
def test_the_copy_with_two_wrong_rows_has_another_mean():
    assert fitted(flowers_of_uci())[0] != STATED_MEAN


def refute_uniqueness(rows, others):
    """Two tables called Fisher's Iris data set, with different fitted means."""
    mean, other = fitted(rows)[0], fitted(others)[0]
    assert mean != other
    return mean, other


@proves("iris-dataset-variants", strength="certificate", role="refutes")
def test_two_different_tables_are_called_the_iris_dataset(record_witness):
    mean, other = refute_uniqueness(flowers(), flowers_of_uci())
    record_witness(
        rows="35 and 38",
        fisher=[str(v) for i in (34, 37) for v in flowers()[i]],
        uci=[str(v) for i in (34, 37) for v in flowers_of_uci()[i]],
        mean_of_fisher=mean,
        mean_of_uci=other,
    )


@proves("iris-dataset-variants", role="must_fail")
def test_one_table_has_one_mean():
    refute_uniqueness(flowers(), flowers())


# ---- a density is not a probability --------------------------------------------------------------
def refute_being_a_probability(unit_in_cm):
    """The fitted density at (7.9, 4.4, 6.9, 2.5) cm, per unit^4; a probability is at most 1."""
    from flint import arb, fmpq

    point = [Fraction(79, 10), Fraction(44, 10), Fraction(69, 10), Fraction(25, 10)]
    mean, covariance = fitted(flowers())
    square = distance(point, mean, covariance)
    exponent = arb(fmpq(square.numerator, square.denominator)) / -2
    per_cm = exponent.exp() / ((2 * arb.pi()) ** 2 * arb(matrix(covariance).det()).sqrt())
    assert arb("5.36987e-6") < per_cm < arb("5.36988e-6")
    density = per_cm * unit_in_cm**4
    assert density > 1
    return per_cm, density


@proves("iris-density-at-point", strength="enclosure", role="refutes")
def test_in_metres_the_probability_of_a_flower_exceeds_five_hundred(record_witness):
    per_cm, per_metre = refute_being_a_probability(100)
    record_witness(
        flower="(7.9, 4.4, 6.9, 2.5) cm",
        density_in_centimetres=per_cm.str(12, radius=False),
        density_in_metres=per_metre.str(12, radius=False),
    )


@proves("iris-density-at-point", role="must_fail")
def test_in_centimetres_the_mistake_does_not_show():
    refute_being_a_probability(1)


# ---- conditional laws ----------------------------------------------------------------------------
def check_conditional(known, mean, covariance):
    """Joint exponent = exponent of the known coordinates + exponent of the stated law.

    All three are quadratic in the free coordinates; they are compared on 0, e_i, 2 e_i, e_i + e_j,
    which determine a quadratic polynomial. Exponents determine Gaussian laws.
    """
    joint_mean, joint = fitted(flowers())
    free = [i for i in range(4) if i not in known]
    given = sorted(known)
    values = [known[i] for i in given]
    block = [[joint[i][j] for j in given] for i in given]
    marginal = distance(values, [joint_mean[i] for i in given], block)
    for pair in itertools.combinations_with_replacement([None, *free], 2):
        x = [Fraction(pair.count(i)) for i in free]
        whole = [known[i] if i in known else x[free.index(i)] for i in range(4)]
        assert distance(whole, joint_mean, joint) - marginal == distance(x, mean, covariance)


PETAL_WIDTH = [Fraction(70124237707819, 26283525780455)]
PETAL_VARIANCE = Fraction(1767664906688663, 49281610838353125)
PARTS = {0: Fraction(63, 10), 1: Fraction(48, 10), 2: Fraction(6)}


@proves("iris-conditional-petal-width", strength="certificate")
def test_the_petal_width_given_the_rest_is_normal_with_a_rational_mean():
    check_conditional(PARTS, PETAL_WIDTH, [[PETAL_VARIANCE]])


@proves("iris-conditional-petal-width", role="must_fail")
def test_the_variance_with_divisor_n_minus_one_is_rejected():
    check_conditional(PARTS, PETAL_WIDTH, [[PETAL_VARIANCE * Fraction(150, 149)]])


GIVEN_MEAN = [Fraction(9284259, 3065050), Fraction(7059859, 1532525), Fraction(472988, 306505)]
GIVEN_COVARIANCE = [
    [
        Fraction(427814413, 2298787500),
        Fraction(-1145364673, 4597575000),
        Fraction(-3413398, 38313125),
    ],
    [
        Fraction(-1145364673, 4597575000),
        Fraction(1708139417, 2298787500),
        Fraction(51173137, 153252500),
    ],
    [Fraction(-3413398, 38313125), Fraction(51173137, 153252500), Fraction(109775728, 574696875)],
]


@proves("iris-sample-20-given-sepal-length", strength="certificate")
def test_the_other_lengths_given_the_sepal_length_are_normal():
    check_conditional({0: Fraction(63, 10)}, GIVEN_MEAN, GIVEN_COVARIANCE)


@proves("iris-sample-20-given-sepal-length", role="must_fail")
def test_the_unconditional_covariance_of_the_other_lengths_is_rejected():
    block = [row[1:] for row in fitted(flowers())[1][1:]]
    check_conditional({0: Fraction(63, 10)}, GIVEN_MEAN, block)


# ---- sampling ------------------------------------------------------------------------------------
def factor(covariance):
    """Unit lower triangular L and diagonal D with ``L D L^T = covariance``, exactly."""
    size = range(len(covariance))
    L = [[Fraction(int(i == j)) for j in size] for i in size]
    D = [Fraction(0) for _ in size]
    for j in size:
        D[j] = covariance[j][j] - sum(L[j][k] ** 2 * D[k] for k in range(j))
        for i in range(j + 1, len(covariance)):
            rest = sum(L[i][k] * L[j][k] * D[k] for k in range(j))
            L[i][j] = (covariance[i][j] - rest) / D[j]
    return L, D


def check_sampler(transform, variances):
    """``mean + transform z`` with independent z_k of the given variances: positive, and Sigma."""
    covariance = fitted(flowers())[1]
    assert all(value > 0 for value in variances)
    for i, j in itertools.product(range(4), repeat=2):
        produced = sum(transform[i][k] * transform[j][k] * variances[k] for k in range(4))
        assert produced == covariance[i][j]


@proves(
    "iris-sample-20",
    strength="certificate",
    lemmas=("an affine image of a Gaussian vector is Gaussian",),
)
def test_a_triangular_factor_turns_standard_normals_into_flowers():
    check_sampler(*factor(fitted(flowers())[1]))


@proves("iris-sample-20", role="must_fail")
def test_the_transposed_factor_gives_another_covariance():
    L, D = factor(fitted(flowers())[1])
    check_sampler([list(row) for row in zip(*L, strict=True)], D)


@proves("iris-sample-20", strength="enclosure", role="supports")
def test_one_sampled_flower_in_eighteen_has_a_negative_petal_width():
    from flint import arb, fmpq

    mean, covariance = fitted(flowers())
    square = mean[3] ** 2 / covariance[3][3]
    chance = (arb(fmpq(square.numerator, square.denominator)) / 2).sqrt().erfc() / 2
    assert arb(1) / 18 < chance < arb(1) / 17
