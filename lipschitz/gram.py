"""The Gram polynomial ``G(w) = F(w) F(w)*`` of a symbol, with proofs of ``lambda_max(G(w)) <= t``.

With real coefficients ``G(w) = S_0 + sum_q (cos<q,w> S_q + i sin<q,w> K_q)``, ``S_q`` symmetric
and ``K_q`` antisymmetric, over the lags ``q`` of one half space. The tables are made once, from
``G`` at the nodes of a small DFT; a frequency then costs two thin matrix products, and a proof one
Cholesky factorisation of ``t I - G(w)`` on the smaller channel side.

Rounding (u = 2^-53, Frobenius norms, first order). Write P for the number of taps, M for the
columns, n for the DFT nodes, ``c = sum_p ||C_p||``, ``s = sum_p ||C_p||^2``, ``f`` for the
largest ``||F||`` at a node, so that ``s`` is the mean of ``||F||^2`` over the nodes (Parseval).

- ``F`` at a node: phases to 15 D u, dot products of length P:      ``(3 P + 16 + 30 D) u c``
- its Gram matrix: real dot products of length 2 M, and the above:       ``e = 3 (M + 4) u f^2 +
  2 (3 P + 16 + 30 D) u c f``
- coefficients: an exact inverse DFT turns errors ``e`` at the nodes into coefficient errors whose
  squares add up to at most ``e^2``, so that they add up to ``sqrt(n) e``; its own dot products of
  length n round by ``(3 n + 16 + 30 D) u s`` in each of the n coefficients
- assembly at any frequency: the sum of these, and dot products of length n and angles computed
  with relative error ``(D + 1) u``, both relative to ``sum_q (||S_q|| + ||K_q||)``.

``assembly_error`` is their sum with one per cent for the higher orders.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence.matrices import cholesky_margin
from evidence.rounding import UNIT_ROUNDOFF
from lipschitz.symbol import Symbol

__all__ = ["GramPolynomial"]

_SINGLE_ROUNDOFF = 2.0**-24
_VECTORIZED_ROWS = 12  # below, many factorisations at once in numpy beat one LAPACK call each
_SINGLE_ROWS = 192  # from here on, single precision pays
_BATCH_BYTES = 2**25
_BLOCK = 2**16  # columns at a time, so that products stay in the cache


class GramPolynomial:
    """Tables, evaluation and certificates for ``G(w) = F(w) F(w)*``, shape (rows, rows).

    Parameters
    ----------
    symbol : Symbol
        Scaled so that its largest coefficient has magnitude about one.
    """

    def __init__(self, symbol: Symbol) -> None:
        self.symbol = symbol
        self.rows = symbol.rows
        offsets = symbol.offsets
        extents = [int(e) for e in offsets.max(axis=0, initial=0) + 1]
        nodes_per_axis = [2 * e - 1 for e in extents]
        n = math.prod(nodes_per_axis)
        nodes = _half_space(extents)
        self.lags: NDArray[np.float64] = nodes[1:].astype(np.float64)
        even, odd = _node_grams(symbol, nodes, nodes_per_axis)
        angles = _angles(nodes, nodes, nodes_per_axis)
        weights = np.cos(angles) * (2.0 / n)
        weights[:, 0] = 1.0 / n
        weights[1:] *= 2.0
        m = self.rows
        self.cosine_table: NDArray[Any] = weights @ even
        self.sine_table: NDArray[Any] = (np.sin(angles[1:, 1:]) * (4.0 / n)) @ odd
        self._tables = {np.dtype(np.float64): (self.cosine_table, self.sine_table)}

        self.assembly_error = _assembly_error(
            symbol, n, float(np.max(even[:, :: m + 1].sum(axis=1))), self._table_size()
        )
        self._single_error: float | None = None
        self._single_margin = 0.0
        self.batch = max(1, _BATCH_BYTES // (16 * max(m * m, len(self.lags))))
        self.proofs = 0

    def _table_size(self) -> float:
        """``||S_0|| + sum_q (||S_q|| + ||K_q||)`` in the Frobenius norm."""
        even = np.linalg.norm(self.cosine_table, axis=1).sum()
        return float(even + np.linalg.norm(self.sine_table, axis=1).sum())

    @property
    def is_small(self) -> bool:
        """Whether many proofs are made at once in numpy."""
        return self.rows <= _VECTORIZED_ROWS

    # ---- evaluation ---------------------------------------------------------------------------
    def evaluate(self, frequencies: NDArray[np.float64], dtype: Any = np.float64) -> NDArray[Any]:
        """``G`` at frequencies of shape (B, D); complex array of shape (B, rows, rows)."""
        matrices = self._combine(frequencies, dtype, 1.0)
        return matrices.reshape(len(frequencies), self.rows, self.rows)

    def _combine(self, frequencies: NDArray[np.float64], dtype: Any, sign: float) -> NDArray[Any]:
        kind = np.dtype(dtype)
        if kind not in self._tables:
            self._tables[kind] = (self.cosine_table.astype(kind), self.sine_table.astype(kind))
        cosine_table, sine_table = self._tables[kind]
        cosines, sines = self._phases(frequencies)
        out = np.empty((len(frequencies), self.rows**2), np.result_type(kind, np.complex64))
        cosines, sines = (sign * cosines).astype(kind), (sign * sines).astype(kind)
        for first in range(0, out.shape[1], _BLOCK):
            block = slice(first, first + _BLOCK)
            out.real[:, block] = cosines @ cosine_table[:, block]
            out.imag[:, block] = sines @ sine_table[:, block]
        return out

    def _phases(
        self, frequencies: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        angles = frequencies @ self.lags.T
        cosines = np.ones((len(frequencies), len(self.lags) + 1))
        np.cos(angles, out=cosines[:, 1:])
        return cosines, np.sin(angles)

    def rayleigh_polynomial(self, vector: NDArray[np.complex128]) -> RayleighPolynomial:
        """The scalar trigonometric polynomial ``w -> u* G(w) u`` of a unit vector ``u``."""
        m, a, b = self.rows, vector.real, vector.imag
        symmetric, antisymmetric = (
            table.reshape(-1, m) for table in (self.cosine_table, self.sine_table)
        )
        both = np.stack([a, b], axis=1)
        images = (symmetric @ both).reshape(-1, m, 2)
        even = images[:, :, 0] @ a + images[:, :, 1] @ b
        # u* (i K) u = -2 a.(K b) for antisymmetric K and u = a + i b.
        odd = -2.0 * ((antisymmetric @ b).reshape(-1, m) @ a)
        return RayleighPolynomial(self.lags, even, odd)

    def top_pair(
        self, frequency: NDArray[np.float64], start: NDArray[np.complex128] | None = None
    ) -> tuple[float, NDArray[np.complex128]]:
        """The largest eigenvalue of ``G(w)`` and its unit eigenvector, in floating point."""
        gram = self.evaluate(frequency[None])[0]
        if self.rows <= 96:
            values, vectors = np.linalg.eigh(gram)
            return float(values[-1]), vectors[:, -1].copy()
        from scipy.sparse.linalg import ArpackNoConvergence, eigsh

        first = np.random.default_rng(0).standard_normal(self.rows) if start is None else start
        try:
            values, vectors = eigsh(
                gram, k=1, which="LA", v0=first.astype(complex), tol=1e-9, ncv=24
            )
        except ArpackNoConvergence:
            values, vectors = np.linalg.eigh(gram)
        return float(values[-1]), vectors[:, -1].copy()

    def top_values(self, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Largest eigenvalues at several frequencies, good to a few per mille (a guide only)."""
        values = np.empty(len(frequencies))
        for i in range(0, len(frequencies), self.batch):
            grams = self.evaluate(frequencies[i : i + self.batch])
            if self.rows <= 96:
                values[i : i + self.batch] = np.linalg.eigvalsh(grams)[:, -1]
            else:
                values[i : i + self.batch] = [_lanczos_value(g) for g in grams]
        return values

    def curvature_bound(self) -> float:
        """``sum_q 2 ||G_q|| max_i(|q_i| / d_i)^2``, which bounds second derivatives of u* G u.

        Lengths are measured by ``sum_i d_i |w_i|``, ``d`` the half degrees of the symbol.
        """
        m = self.rows
        even = np.linalg.norm(self.cosine_table[1:].reshape(-1, m * m), axis=1)
        odd = np.linalg.norm(self.sine_table.reshape(-1, m * m), axis=1)
        # cos<q,w> S + i sin<q,w> K has second derivative at most ||S|| + ||K|| along unit <q,.>.
        reach = np.max(np.abs(self.lags) / self.symbol.half_degrees, axis=1, initial=0.0)
        slack = 1.0 + 4.0 * m * m * UNIT_ROUNDOFF
        total = float(np.sum((even + odd) * reach**2)) * slack
        return total + self.assembly_error * float(np.sum(reach**2))

    # ---- proofs -------------------------------------------------------------------------------
    def at_most(
        self, frequencies: NDArray[np.float64], threshold: float, *, slack: float | None
    ) -> NDArray[np.bool_]:
        """Where ``lambda_max(G(w)) <= threshold`` is proved; False proves nothing.

        Parameters
        ----------
        frequencies : float array, shape (B, D)
        threshold : float
        slack : float or None
            How far below the threshold the eigenvalues are expected, None if unknown: single
            precision is tried first where its rounding is small against that.
        """
        proved = np.empty(len(frequencies), np.bool_)
        single, double_after = False, False
        if self.rows >= _SINGLE_ROWS:
            rounding = self._single_shift(threshold)
            single = slack is None or slack > 1.5 * rounding
            double_after = slack is None or slack < 6.0 * rounding
        for i in range(0, len(frequencies), self.batch):
            part = frequencies[i : i + self.batch]
            if self.is_small:
                done = self._at_most_vectorized(part, threshold)
            elif single:
                done = self._at_most_single(part, threshold)
                if double_after and not done.all():
                    done[~done] = self._at_most_double(part[~done], threshold)
            else:
                done = self._at_most_double(part, threshold)
            proved[i : i + self.batch] = done
        self.proofs += len(frequencies)
        return proved

    def _double_shift(self, threshold: float) -> float:
        """Success on ``S`` proves ``S >= -gamma tr(S)`` (Rump 2006), and ``tr(S) <= m t``."""
        m = self.rows
        growth = (3 * m + 16) * UNIT_ROUNDOFF
        return self.assembly_error + threshold * (1.01 * m * growth + 4.0 * UNIT_ROUNDOFF)

    def _shifted(
        self, frequencies: NDArray[np.float64], diagonal: float, dtype: Any
    ) -> NDArray[Any]:
        """``diagonal I - G(w)`` in the given precision."""
        matrices = self._combine(frequencies, dtype, -1.0)
        matrices[:, :: self.rows + 1] += matrices.real.dtype.type(diagonal)
        return matrices.reshape(len(frequencies), self.rows, self.rows)

    def _at_most_vectorized(
        self, frequencies: NDArray[np.float64], threshold: float
    ) -> NDArray[np.bool_]:
        """Outer-product Cholesky of a whole batch: the same rounding theorem, any order of sums."""
        a = self._shifted(frequencies, threshold - self._double_shift(threshold), np.float64)
        positive = np.ones(len(a), np.bool_)
        for j in range(self.rows):
            pivot = a[:, j, j].real
            positive &= pivot > 0.0
            column = a[:, j + 1 :, j] / np.sqrt(np.where(pivot > 0.0, pivot, 1.0))[:, None]
            a[:, j + 1 :, j + 1 :] -= column[:, :, None] * column[:, None, :].conj()
        return positive

    def _at_most_double(
        self, frequencies: NDArray[np.float64], threshold: float
    ) -> NDArray[np.bool_]:
        from scipy.linalg.lapack import zpotrf

        diagonal = threshold - self._double_shift(threshold)
        if diagonal <= 0.0:
            return np.zeros(len(frequencies), np.bool_)
        matrices = self._shifted(frequencies, diagonal, np.float64)
        return np.array([zpotrf(a.T, lower=1, clean=0, overwrite_a=1)[1] == 0 for a in matrices])

    def _single_shift(self, threshold: float) -> float:
        """What single precision is expected to cost; ``_at_most_single`` verifies it each time."""
        if self._single_error is None:
            m = self.rows
            # || sum of products || <= gamma || sum_q |table_q| ||_inf, the tables being symmetric
            # or antisymmetric in modulus; 12 more roundings for the tables and the phases.
            total = np.abs(self.cosine_table).sum(axis=0) + np.abs(self.sine_table).sum(axis=0)
            row_sum = float(total.reshape(m, m).sum(axis=1).max())
            terms = len(self.cosine_table) + len(self.sine_table) + 12
            self._single_error = self.assembly_error + 1.01 * terms * _SINGLE_ROUNDOFF * row_sum
            trial = self._shifted(np.zeros((1, self.symbol.ndim)), 2.0 * threshold, np.float32)[0]
            margin = cholesky_margin(trial)
            self._single_margin = math.inf if margin is None else 4.0 * margin
        return self._single_error + self._single_margin + 4.0 * _SINGLE_ROUNDOFF * threshold

    def _at_most_single(
        self, frequencies: NDArray[np.float64], threshold: float
    ) -> NDArray[np.bool_]:
        shift = self._single_shift(threshold)
        room, largest = self._single_margin, 0.0
        matrices = self._shifted(frequencies, threshold - shift, np.float32)
        proved = np.zeros(len(frequencies), np.bool_)
        for i, a in enumerate(matrices):
            margin = cholesky_margin(a)
            if margin is not None:
                proved[i] = margin <= room
                largest = max(largest, margin)
        if largest > 0.0:
            self._single_margin = 1.08 * largest
        return proved


class RayleighPolynomial:
    """``w -> u* G(w) u``: a lower estimate of the largest eigenvalue at every frequency at once."""

    def __init__(
        self, lags: NDArray[np.float64], even: NDArray[np.float64], odd: NDArray[np.float64]
    ) -> None:
        self.lags, self.even, self.odd = lags, even, odd

    def values(self, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
        """At frequencies of shape (B, D)."""
        angles = frequencies @ self.lags.T
        return np.asarray(self.even[0] + np.cos(angles) @ self.even[1:] + np.sin(angles) @ self.odd)

    def gradient(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gradient in ``w``, which is the gradient of the eigenvalue if ``u`` is its vector."""
        angles = self.lags @ frequency
        slopes = -np.sin(angles) * self.even[1:] + np.cos(angles) * self.odd
        return np.asarray(self.lags.T @ slopes)


def _assembly_error(symbol: Symbol, n: int, largest_trace: float, table_size: float) -> float:
    """The error of an assembled Gram matrix in the spectral norm, see the head of this file."""
    taps, columns = len(symbol.offsets), symbol.columns
    c, f = symbol.size_bound(), math.sqrt(largest_trace)
    s = float(np.sum(symbol.coefficients**2))
    reach = 2.0 * math.pi * float(np.sum(symbol.offsets.max(axis=0, initial=0) + 1))
    phases = 16.0 + 30.0 * symbol.ndim  # angles up to 2 pi on each axis, cosines and sines
    at_nodes = 3.0 * (columns + 4) * f * f + 2.0 * (3 * taps + phases) * c * f
    inverse = n * (3.0 * n + phases) * s
    assembly = (3.0 * n + 2.0 * (symbol.ndim + 1) * (reach + 1.0) + 32.0) * table_size
    return 1.01 * UNIT_ROUNDOFF * (math.sqrt(n) * at_nodes + inverse + assembly)


def _half_space(extents: list[int]) -> NDArray[np.int64]:
    """Zero first, then one of each pair ``q, -q`` of lags with ``|q_i| < extents[i]``."""
    lags = itertools.product(*(range(-e + 1, e) for e in extents))
    origin = (0,) * len(extents)
    return np.array([origin, *(q for q in lags if q > origin)], dtype=np.int64)


def _angles(
    left: NDArray[np.int64], right: NDArray[np.int64], nodes_per_axis: list[int]
) -> NDArray[np.float64]:
    """``2 pi sum_i left_i right_i / N_i``, reduced modulo 2 pi in integers axis by axis."""
    total = np.zeros((len(left), len(right)))
    for i, n in enumerate(nodes_per_axis):
        total += (np.outer(left[:, i], right[:, i]) % n) * (2.0 * math.pi / n)
    return total


def _node_grams(
    symbol: Symbol, nodes: NDArray[np.int64], nodes_per_axis: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Real and imaginary part of ``G`` at the DFT nodes; the imaginary one without node zero."""
    m = symbol.rows
    angles = _angles(nodes, symbol.offsets, nodes_per_axis)
    flat = symbol.coefficients.reshape(len(symbol.coefficients), -1)
    even = np.empty((len(nodes), m * m))
    odd = np.empty((len(nodes) - 1, m * m))
    step = max(1, _BATCH_BYTES // (16 * flat.shape[1]))
    for first in range(0, len(nodes), step):
        part = angles[first : first + step]
        real = (np.cos(part) @ flat).reshape(-1, m, symbol.columns)
        imaginary = (np.sin(part) @ flat).reshape(-1, m, symbol.columns)
        for i, (re, im) in enumerate(zip(real, imaginary, strict=True), start=first):
            stacked = np.concatenate([re, im], axis=1)
            even[i] = (stacked @ stacked.T).ravel()
            if i > 0:
                cross = im @ re.T
                odd[i - 1] = (cross - cross.T).ravel()
    return even, odd


def _lanczos_value(gram: NDArray[np.complex128], steps: int = 20) -> float:
    """Largest Ritz value after a few Lanczos steps: a lower estimate, good to a few per mille."""
    m = len(gram)
    basis = np.empty((steps, m), np.complex128)
    vector = np.random.default_rng(m).standard_normal(m) + 0j
    basis[0] = vector / np.linalg.norm(vector)
    diagonal, off = [], []
    for j in range(steps):
        image = gram @ basis[j]
        diagonal.append(float(np.vdot(basis[j], image).real))
        image -= basis[: j + 1].T @ (basis[: j + 1].conj() @ image)
        length = float(np.linalg.norm(image))
        if j + 1 == steps or length <= 1e-12 * abs(diagonal[0]):
            break
        off.append(length)
        basis[j + 1] = image / length
    tridiagonal = np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1)
    return float(np.linalg.eigvalsh(tridiagonal)[-1])
