"""Proofs about matrices, attacked with matrices on the wrong side by less than rounding."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from evidence import is_positive_definite, spectral_norm_enclosure
from evidence.matrices import cholesky_margin


def exact_leading_minors_positive(matrix: np.ndarray) -> bool:
    """Sylvester's criterion by fraction-free elimination on rationals."""
    a = [[Fraction(v) for v in row] for row in matrix.tolist()]
    n = len(a)
    for k in range(n):
        if a[k][k] <= 0:
            return False
        for i in range(k + 1, n):
            factor = a[i][k] / a[k][k]
            a[i] = [x - factor * y for x, y in zip(a[i], a[k], strict=True)]
    return True


def nearly_singular(rng: np.random.Generator, n: int, offset: float) -> np.ndarray:
    """A symmetric matrix whose smallest eigenvalue is about ``offset`` times its largest."""
    basis = np.linalg.qr(rng.standard_normal((n, n)))[0]
    values = np.concatenate([[offset], rng.uniform(0.1, 1.0, n - 1)])
    matrix = (basis * values) @ basis.T
    return (matrix + matrix.T) / 2


def test_no_indefinite_matrix_is_ever_accepted() -> None:
    rng = np.random.default_rng(0)
    accepted_definite = naive_errors = 0
    for _ in range(400):
        n = int(rng.integers(2, 8))
        matrix = nearly_singular(rng, n, float(rng.normal() * 10.0 ** rng.uniform(-18, -12)))
        definite = exact_leading_minors_positive(matrix)
        claimed = is_positive_definite(matrix)
        assert definite or not claimed
        accepted_definite += claimed
        naive_errors += bool(np.linalg.eigvalsh(matrix)[0] > 0) and not definite
    # The check would be idle if it refused everything or if the naive test were never wrong.
    assert accepted_definite > 20
    assert naive_errors > 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_cholesky_margin_bounds_the_smallest_eigenvalue(dtype: type) -> None:
    rng = np.random.default_rng(1)
    unit = float(np.finfo(dtype).eps) / 2
    succeeded = 0
    for _ in range(60):
        n = int(rng.integers(2, 20))
        a = rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n))
        a = a if np.issubdtype(dtype, np.complexfloating) else a.real
        gram = a @ a.conj().T / n
        values = np.linalg.eigvalsh(gram)
        shifted = gram - (values[0] + rng.normal() * n * unit) * np.eye(n)
        shifted = ((shifted + shifted.conj().T) / 2).astype(dtype)
        smallest = float(np.linalg.eigvalsh(shifted.astype(np.complex128))[0])
        margin = cholesky_margin(shifted.copy())
        if margin is not None:
            succeeded += 1
            assert smallest >= -margin - 1e-14
            assert margin < 40 * n * n * unit * max(1.0, float(values[-1]))
    assert succeeded > 10


def test_spectral_norms_contain_the_norm_in_fifty_digits() -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        m, n = rng.integers(1, 7, 2)
        scale = 10.0 ** rng.uniform(-200, 200)
        a = rng.standard_normal((m, n)) * scale
        a = a + 1j * rng.standard_normal((m, n)) * scale if rng.random() < 0.5 else a
        e = spectral_norm_enclosure(a)
        with mpmath.workdps(50):
            norm = max(mpmath.svd_c(mpmath.matrix(a.tolist()), compute_uv=False))
            assert mpmath.mpf(e.lower) <= norm <= mpmath.mpf(e.upper)
        assert e.rtol < 1e-12


def test_norm_of_a_rank_one_matrix_with_equal_entries() -> None:
    e = spectral_norm_enclosure(np.full((30, 20), 0.1))
    # sqrt(600) * fl(0.1) in rationals.
    assert Fraction(e.lower) ** 2 <= 600 * Fraction(0.1) ** 2 <= Fraction(e.upper) ** 2


def test_a_norm_beyond_the_largest_float_is_bounded_from_below() -> None:
    e = spectral_norm_enclosure(np.full((2, 2), 1.5e308))
    assert e.upper == np.inf
    assert e.lower == np.finfo(np.float64).max


def test_a_zero_matrix_has_norm_exactly_zero() -> None:
    assert spectral_norm_enclosure(np.zeros((3, 2))).upper == 0.0


def test_a_large_norm_is_as_tight_as_promised() -> None:
    a = np.random.default_rng(3).standard_normal((300, 200))
    e = spectral_norm_enclosure(a)
    assert float(np.linalg.norm(a, 2)) in e
    assert e.rtol < 1e-10


def test_an_error_larger_than_the_matrix_leaves_no_proof() -> None:
    assert not is_positive_definite([[1e-300]], error=1e10)


def test_error_ball_is_taken_into_account() -> None:
    matrix = np.diag([1.0, 2.0])
    assert is_positive_definite(matrix, error=0.999)
    assert not is_positive_definite(matrix, error=1.0)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 2.0]], "square"),
        ([[1.0, 2.0], [0.0, 1.0]], "exactly Hermitian"),
        ([[np.nan]], "finite"),
        (np.zeros((0, 0)), "empty"),
    ],
)
def test_matrices_without_the_property_in_question_are_refused(
    matrix: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        is_positive_definite(matrix)


@pytest.mark.parametrize("error", [-1.0, np.nan, np.inf])
def test_senseless_error_radii_are_refused(error: float) -> None:
    with pytest.raises(ValueError, match="`error`"):
        is_positive_definite([[1.0]], error=error)
