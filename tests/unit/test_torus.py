"""The certificate over all frequencies: against dense sampling and high precision."""

import math

import mpmath
import numpy as np
import pytest

from lipschitz import gram as gram_module
from lipschitz.frequency_grid import grid_maximum
from lipschitz.gram import GramPolynomial
from lipschitz.symbol import Symbol, polyphase_symbols
from lipschitz.torus import torus_supremum


def symbol_of(kernel: np.ndarray) -> Symbol:
    ones = (1,) * (kernel.ndim - 2)
    [symbol] = polyphase_symbols(kernel, ones, ones, 1)
    return symbol.reduced().symbol


def random_symbol(rng: np.random.Generator, rows: int, columns: int, size: int) -> Symbol:
    return symbol_of(rng.standard_normal((rows, columns, size, size)) / size)


def largest_eigenvalue(symbol: Symbol, frequency: np.ndarray) -> mpmath.mpf:
    """``lambda_max(F F*)`` at a float frequency, in fifty digits, from the definition."""
    total = mpmath.zeros(symbol.rows, symbol.columns)
    for offset, c in zip(symbol.offsets, symbol.coefficients, strict=True):
        angle = sum(int(a) * mpmath.mpf(float(w)) for a, w in zip(offset, frequency, strict=True))
        total += mpmath.expj(angle) * mpmath.matrix(c.tolist())
    return max(mpmath.eighe(total * total.H, eigvals_only=True))


def test_tables_give_the_gram_matrix_within_the_stated_error() -> None:
    rng = np.random.default_rng(0)
    for rows, columns, size in [(1, 1, 2), (2, 3, 3), (3, 3, 5), (4, 7, 2), (5, 40, 4)]:
        symbol = random_symbol(rng, rows, columns, size)
        gram = GramPolynomial(symbol)
        w = rng.uniform(0, 2 * math.pi, 2)
        with mpmath.workdps(50):
            total = mpmath.zeros(rows, columns)
            for offset, c in zip(symbol.offsets, symbol.coefficients, strict=True):
                angle = int(offset[0]) * mpmath.mpf(w[0]) + int(offset[1]) * mpmath.mpf(w[1])
                total += mpmath.expj(angle) * mpmath.matrix(c.tolist())
            difference = total * total.H - mpmath.matrix(gram.evaluate(w[None])[0].tolist())
            assert mpmath.mnorm(difference, "f") <= gram.assembly_error
        assert gram.assembly_error < 1e-8 * np.linalg.norm(gram.evaluate(w[None])[0])


@pytest.mark.parametrize("method", ["vectorized", "double", "single"])
def test_no_threshold_below_the_eigenvalue_is_ever_proved(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gram_module, "_VECTORIZED_ROWS", 99 if method == "vectorized" else 0)
    monkeypatch.setattr(gram_module, "_SINGLE_ROWS", 0 if method == "single" else 10**9)
    rng = np.random.default_rng(1)
    slack = 10.0 if method == "single" else 0.0  # with slack single precision alone decides
    proofs = 0
    for _ in range(25):
        symbol = random_symbol(rng, int(rng.integers(1, 5)), int(rng.integers(5, 9)), 3)
        gram = GramPolynomial(symbol)
        w = rng.uniform(0, 2 * math.pi, 2)
        with mpmath.workdps(50):
            truth = largest_eigenvalue(symbol, w)
            for distance in (1e-3, 1e-6, 1e-9, 1e-12, 1e-14, 1e-15, 3e-16):
                below = float(truth * (1 - mpmath.mpf(distance)))
                if mpmath.mpf(below) < truth:
                    assert not gram.at_most(w[None], below, slack=slack)[0]
            proofs += bool(gram.at_most(w[None], float(truth) * 1.001, slack=slack)[0])
            if method != "single":
                assert gram.at_most(w[None], float(truth) * (1 + 1e-9), slack=slack)[0]
    assert proofs == 25


def test_lower_side_lies_below_the_value_at_its_frequency() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        symbol = random_symbol(rng, int(rng.integers(1, 5)), int(rng.integers(5, 9)), 3)
        found = torus_supremum(symbol, 1e-8)
        with mpmath.workdps(50):
            value = mpmath.sqrt(largest_eigenvalue(symbol, found.frequency))
            assert found.lower <= value
            assert value <= found.upper
            assert found.lower >= value * (1 - mpmath.mpf(1e-10))


@pytest.mark.parametrize(
    "shape", [(3, 3, 4), (2, 5, 7), (2, 2, 3, 3), (3, 2, 5, 2), (2, 2, 2, 3, 2)]
)
@pytest.mark.parametrize("rtol", [1e-1, 1e-3, 1e-6, 1e-9])
def test_supremum_is_enclosed_to_the_width_asked_for(shape: tuple[int, ...], rtol: float) -> None:
    kernel = np.random.default_rng(sum(shape)).standard_normal(shape)
    symbol = symbol_of(kernel)
    found = torus_supremum(symbol, rtol)
    ndim = len(shape) - 2
    per_axis = {1: 20_000, 2: 160, 3: 30}[ndim]
    grid = np.indices((per_axis,) * ndim).reshape(ndim, -1).T * (2 * math.pi / per_axis)
    seen = float(np.linalg.svd(symbol.evaluate(grid), compute_uv=False).max())
    # The grid misses the supremum by at most a factor cos(sum_i pi d_i / N).
    missed = math.cos(math.pi * float(symbol.half_degrees.sum()) / per_axis)
    assert found.upper >= seen * (1 - 1e-13)
    assert found.lower * missed <= seen * (1 + 1e-13)
    assert found.upper <= found.lower * (1 + 1.01 * rtol)


def test_riesz_bound_with_the_degree_halved_would_be_wrong() -> None:
    # The must-fail twin of the certificate: with half the half degrees, cells that hold the
    # maximum would be excluded. cos(2 w) drops to cos(2 r) at distance r, not to cos(r).
    symbol = Symbol(np.array([[0], [4]]), np.array([[[0.5]], [[0.5]]]))  # |cos(2 w)|
    r = 0.3
    value = abs(symbol.evaluate(np.array([[r]])))[0, 0, 0]
    assert value >= math.cos(2 * r) - 1e-15
    assert value < math.cos(r)


def test_flat_symbols_are_proved_at_once() -> None:
    # Haar analysis filters: F(w) is unitary at every frequency.
    haar = np.array([[[1.0, 1.0]], [[1.0, -1.0]]]) / math.sqrt(2.0)
    [symbol] = polyphase_symbols(haar, (1,), (1,), 1)
    found = torus_supremum(symbol.reduced().symbol, 1e-6)
    assert found.lower <= math.sqrt(2.0) <= found.upper
    assert found.upper <= found.lower * (1 + 1.1e-6)
    assert found.proofs < 100


def test_nearly_flat_symbols_come_out_wider_but_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    from lipschitz import torus

    monkeypatch.setattr(torus, "_CELL_BUDGET", 400)
    rng = np.random.default_rng(3)
    kernel = np.zeros((1, 1, 3, 3))
    kernel[0, 0, 1, 1] = 1.0
    kernel += 1e-3 * rng.standard_normal(kernel.shape)
    symbol = symbol_of(kernel)
    found = torus_supremum(symbol, 1e-9)
    grid = np.indices((64, 64)).reshape(2, -1).T * (2 * math.pi / 64)
    seen = float(np.abs(symbol.evaluate(grid)).max())
    assert found.lower <= found.upper
    assert found.upper >= seen * (1 - 1e-13)
    assert found.upper <= found.lower * 1.01


@pytest.mark.parametrize("grid", [(3, 3), (8, 8), (31, 17), (64, 64), (200, 3), (150, 151)])
def test_grid_maximum_equals_the_largest_value_on_the_grid(grid: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    for rows, columns, size in [(1, 1, 3), (2, 3, 3), (3, 3, 2)]:
        symbol = random_symbol(rng, rows, columns, size)
        w = np.indices(grid).reshape(2, -1).T * (2 * math.pi / np.array(grid))
        exact = float(np.linalg.svd(symbol.evaluate(w), compute_uv=False).max())
        found = grid_maximum(symbol, grid, 1e-6)
        assert found.lower <= exact * (1 + 1e-13)
        assert exact * (1 - 1e-13) <= found.upper
        assert found.upper <= found.lower * (1 + 1.01e-6)


def test_a_symbol_that_vanishes_at_a_sampled_frequency_is_no_trap() -> None:
    symbol = symbol_of(np.stack([np.eye(100)] * 2, axis=2))  # I + I exp(i w): zero at pi
    found = torus_supremum(symbol, 1e-6)
    assert found.lower <= 2.0 <= found.upper


def test_a_floor_only_relaxes_the_upper_side() -> None:
    symbol = random_symbol(np.random.default_rng(5), 3, 3, 3)
    free = torus_supremum(symbol, 1e-6)
    relaxed = torus_supremum(symbol, 1e-6, floor=2.0 * free.upper)
    assert free.lower <= relaxed.upper <= 2.0 * free.upper * (1 + 2e-6)
    assert relaxed.proofs < free.proofs
