"""The courses' worked examples, against numbers worked out elsewhere."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from divergences.examples import emd_kld_pairs, four_piles, parallel_lines, two_gaussians
from divergences.iris import ExactGaussian, fit_gaussian, iris_measurements

EPS = float(np.finfo(np.float64).eps)
POINT = ["7.9", "4.4", "6.9", "2.5"]


def test_the_four_piles_take_five_units_of_work() -> None:
    piles = four_piles()
    assert (piles.work, piles.distance) == (5, Fraction(1, 2))
    assert isinstance(piles.work, int)
    moved = list(piles.p)
    for i, flow in enumerate(piles.flows[:-1]):
        moved[i] -= flow
        moved[i + 1] += flow
    assert tuple(moved) == piles.q


@pytest.mark.parametrize("theta", [Fraction(1, 3), -2, 1e-300, 5])
def test_parallel_lines_are_infinitely_far_in_kl_and_theta_in_w1(theta: Any) -> None:
    lines = parallel_lines(theta)
    assert lines.kl == lines.reverse_kl == math.inf
    assert lines.js == math.log(2.0)
    assert lines.tv == 1.0
    assert lines.w1 == abs(theta)


def test_a_grid_of_parallel_lines_has_the_same_distance() -> None:
    # The n-point versions of the two segments, coupled and criticised by hand, in fractions.
    theta, n = Fraction(2, 7), 9
    left = [(Fraction(0), Fraction(i, n)) for i in range(n)]
    right = [(theta, y) for _, y in left]
    moved = sum((abs(b[0] - a[0]) for a, b in zip(left, right, strict=True)), Fraction(0)) / n
    criticised = (
        sum((b[0] for b in right), Fraction(0)) / n - sum((a[0] for a in left), Fraction(0)) / n
    )
    assert moved == criticised == parallel_lines(theta).w1


def test_one_line_is_at_distance_zero_from_itself() -> None:
    lines = parallel_lines(0.0)
    assert (lines.kl, lines.reverse_kl, lines.js, lines.tv, lines.w1) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("theta", "error"),
    [(math.nan, ValueError), (math.inf, ValueError), ("1", TypeError), (True, TypeError)],
)
def test_an_offset_that_is_no_number_is_refused(theta: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="`theta`"):
        parallel_lines(theta)


def test_the_thirteen_pairs_have_the_distances_of_the_exercise() -> None:
    pairs = emd_kld_pairs()
    half, quarter = Fraction(1, 2), Fraction(1, 4)
    assert [pair.emd for pair in pairs] == [
        quarter, quarter, 0, quarter, half,
        half, half, 2,
        half, 1, half, 2, 1,
    ]  # fmt: skip
    log = math.log
    expected = [
        log(4 / 3) / 2,
        log(3) * 0.75 - log(2),
        0.0,
        log(4 / 3) / 2,
        log(3) / 2,
        log(1.5),
        math.inf,
        math.inf,
    ]
    for pair, kld in zip(pairs[:8], expected, strict=True):
        assert pair.kld == pytest.approx(kld, rel=8 * EPS, abs=0.0)


def test_two_gaussians_have_the_values_of_the_exercise() -> None:
    g = two_gaussians(0, 1, 1, 2)
    assert g.kl == pytest.approx(math.log(2) - 0.25, rel=4 * EPS)
    assert g.reverse_kl == pytest.approx(2 - math.log(2), rel=4 * EPS)
    assert g.js == pytest.approx(0.128174973054398010424818, rel=8 * EPS)
    assert g.w1 == pytest.approx(1.16663094117537259676612547714, rel=8 * EPS)
    assert g.w2 == pytest.approx(math.sqrt(2), rel=4 * EPS)


# ---- the irises ---------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def iris() -> ExactGaussian:
    return fit_gaussian(iris_measurements())


def test_the_table_is_the_one_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    ours = np.array(iris_measurements(), dtype=np.float64)
    assert np.array_equal(ours, datasets.load_iris().data)


def test_the_two_files_differ_in_two_rows() -> None:
    pairs = zip(iris_measurements(), iris_measurements("uci"), strict=True)
    assert [i for i, (a, b) in enumerate(pairs) if a != b] == [34, 37]


def test_the_mean_and_covariance_are_those_of_numpy(iris: ExactGaussian) -> None:
    data = np.array(iris_measurements(), dtype=np.float64)
    assert iris.mean == (
        Fraction(1753, 300), Fraction(2293, 750), Fraction(1879, 500), Fraction(1799, 1500)
    )  # fmt: skip
    found = np.array(iris.covariance, dtype=np.float64)
    assert np.allclose(found, np.cov(data.T, bias=True), rtol=1e-12)


@pytest.mark.parametrize(
    ("variant", "unbiased", "density"),
    [
        ("fisher", False, 5.36987564054989083e-06),
        ("fisher", True, 5.72460213609749842e-06),
        ("uci", False, 5.264099e-06),
        ("uci", True, 5.612675e-06),
    ],
)
def test_four_answers_circulate_for_one_density(
    variant: str, unbiased: bool, density: float
) -> None:
    fit = fit_gaussian(iris_measurements(variant), unbiased=unbiased)
    digits = 1e-15 if variant == "fisher" else 1e-6
    assert fit.density(POINT) == pytest.approx(density, rel=digits)
    assert fit.density_enclosure(POINT).rtol < 1e-15


def test_the_density_is_that_of_scipy(iris: ExactGaussian) -> None:
    from scipy.stats import multivariate_normal

    mean, covariance = (np.array(a, dtype=np.float64) for a in (iris.mean, iris.covariance))
    peers = multivariate_normal(mean, covariance).pdf([7.9, 4.4, 6.9, 2.5])
    assert iris.density(POINT) == pytest.approx(peers, rel=1e-10)
    assert iris.density(iris.mean) == pytest.approx(0.586980, abs=5e-7)


def test_the_petal_width_given_the_rest_is_the_exact_conditional(iris: ExactGaussian) -> None:
    rest = iris.conditional({0: "6.3", 1: "4.8", 2: "6.0"})
    assert rest.mean == (Fraction(70124237707819, 26283525780455),)
    assert float(rest.covariance[0][0]) == pytest.approx(0.0358686511, abs=5e-11)
    given_sepal = iris.conditional({0: "6.3"})
    assert [round(float(m), 6) for m in given_sepal.mean] == [3.029073, 4.606684, 1.543166]
    diagonal = [round(float(given_sepal.covariance[i][i]), 6) for i in range(3)]
    assert diagonal == [0.186104, 0.743061, 0.191015]


def test_conditioning_in_two_steps_is_conditioning_at_once(iris: ExactGaussian) -> None:
    at_once = iris.conditional({0: "6.3", 2: "6.0"})
    in_steps = iris.conditional({0: "6.3"}).conditional({1: "6.0"})
    assert at_once == in_steps


def test_samples_have_the_distances_of_the_gaussian(iris: ExactGaussian) -> None:
    draws = iris.sample(4000, rng=np.random.default_rng(0))
    mean, covariance = (np.array(a, dtype=np.float64) for a in (iris.mean, iris.covariance))
    centred = draws - mean
    squared = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(covariance), centred)
    # chi-square with 4 degrees of freedom: mean 4, variance 8; five standard errors.
    assert abs(squared.mean() - 4.0) < 5.0 * math.sqrt(8.0 / 4000)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g: g.density(["1", "2"]), "4 entries"),
        (lambda g: g.density(["x", 1, 2, 3]), "finite real numbers"),
        (lambda g: g.density([math.nan, 1, 2, 3]), "finite real numbers"),
        (lambda g: g.conditional({4: 1}), "`known`"),
        (lambda g: g.conditional({0: 1, 1: 1, 2: 1, 3: 1}), "`known`"),
        (lambda g: g.sample(0, rng=np.random.default_rng(0)), "`count`"),
        (lambda g: fit_gaussian([[1, 2]]), "`rows` must hold at least 2"),
        (lambda g: fit_gaussian([[1, 2], [2, 4], [3, 6]]), "hyperplane"),
        (lambda g: fit_gaussian([[1, 2], [2]]), "2 entries"),
        (lambda g: iris_measurements("sklearn"), "`variant`"),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence(call: Any, words: str, iris: ExactGaussian) -> None:
    with pytest.raises(ValueError, match=words):
        call(iris)
