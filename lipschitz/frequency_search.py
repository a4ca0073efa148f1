"""Searching the frequencies of a symbol: the best one so far, and the cells still open."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence.rounding import mul_up
from lipschitz.gram import GramPolynomial, RayleighPolynomial

__all__ = ["Cells", "Incumbent", "Maximum", "up_to_conjugation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maximum:
    """A maximum of ``sigma_max(F(w))``: ``lower <= maximum <= upper``, both after rounding."""

    lower: float
    upper: float
    frequency: NDArray[np.float64]
    vector: NDArray[np.complex128] | None  # on the rows of the symbol
    proofs: int


class Incumbent:
    """The best frequency so far, with its eigenvector and the Rayleigh polynomials seen."""

    def __init__(self, gram: GramPolynomial) -> None:
        self.gram = gram
        self.value = 0.0  # sigma, in floating point: a guide; certified at the end
        self.frequency = np.zeros(gram.symbol.ndim)
        self.vector: NDArray[np.complex128] | None = None
        self.polynomials: list[RayleighPolynomial] = []
        self.peaks: list[NDArray[np.float64]] = []

    def offer(
        self, value: float, frequency: NDArray[np.float64], vector: NDArray[np.complex128]
    ) -> None:
        sigma = math.sqrt(max(value, 0.0))
        if sigma > self.value or self.vector is None:
            self.value, self.frequency, self.vector = sigma, frequency.copy(), vector

    def ascend(self, start: NDArray[np.float64], tolerance: float) -> None:
        """Local ascent of the top eigenvalue by BFGS with exact gradients."""
        from scipy.optimize import minimize

        state: dict[str, NDArray[np.complex128] | None] = {"vector": None}

        def objective(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            value, vector = self.gram.top_pair(w, state["vector"])
            state["vector"] = vector
            polynomial = self.gram.rayleigh_polynomial(vector)
            self.offer(value, w, vector)
            sigma = math.sqrt(max(value, 1e-300))
            return -sigma, -polynomial.gradient(w) / (2.0 * sigma)

        options = {"gtol": tolerance, "maxiter": 25}
        end = minimize(objective, start, jac=True, method="BFGS", options=options)
        self.peaks.append(np.asarray(end.x))
        if self.vector is not None:
            self.polynomials.append(self.gram.rayleigh_polynomial(self.vector))

    def target(self, rtol: float, floor: float) -> float:
        """What is to be proved: the incumbent and a width that leaves room for rounding."""
        value = max(self.value, floor)
        square = max(value * value, 1e-300)
        room = 4.0 * (self.gram.assembly_error / square + self.gram.rows**2 * 2.0**-50)
        smallest = 3.0 * math.sqrt(self.gram.assembly_error)  # a supremum of zero, say
        return max(smallest, mul_up(value, 1.0 + max(rtol, room)))

    def exceeds(self, frequencies: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
        """Where a known vector already shows that no proof of ``<= threshold`` can succeed."""
        above = np.zeros(len(frequencies), np.bool_)
        if self.gram.is_small:  # a proof costs no more than the look
            return above
        for polynomial in self.polynomials[-4:]:
            above |= polynomial.values(frequencies) > threshold
        return above

    def maximum(self, upper: float) -> Maximum:
        """The result, its lower side certified at the incumbent."""
        lower = 0.0
        if self.vector is not None:
            lower = self.gram.symbol.norm_from_below(self.frequency, self.vector)
        return Maximum(
            lower=lower,
            upper=upper,
            frequency=self.frequency,
            vector=self.vector,
            proofs=self.gram.proofs,
        )


@dataclass(slots=True)
class Cells:
    """Cells of one size covering a part of the torus: diamonds in 2 dimensions, else boxes."""

    index: NDArray[np.int64]  # centres 2 pi index / modulus
    modulus: NDArray[np.int64]
    radius: float  # in the norm sum_i d_i |w_i|

    @property
    def centres(self) -> NDArray[np.float64]:
        return self.index * (2.0 * math.pi / self.modulus)

    @classmethod
    def cover(cls, half_degrees: NDArray[np.float64], radius: float) -> Cells:
        """Cover the torus modulo ``w -> -w`` by cells of about the given radius.

        In two dimensions the balls of the norm are diamonds, which tile the plane on a
        checkerboard; in others they are covered by boxes.
        """
        ndim = len(half_degrees)
        if ndim == 2:
            modulus = 2 * np.maximum(1, np.ceil(math.pi * half_degrees / radius)).astype(np.int64)
            reach = float(np.max(2.0 * math.pi * half_degrees / modulus))
        else:
            count = np.ceil(math.pi * ndim * half_degrees / radius)
            modulus = 2 * np.maximum(2, count).astype(np.int64)
            reach = ndim * float(np.max(2.0 * math.pi * half_degrees / modulus))
        grid = np.indices(tuple(int(n) for n in modulus)).reshape(ndim, -1).T
        grid = grid[grid.sum(axis=1) % 2 == 0] if ndim == 2 else grid[np.all(grid % 2 == 0, axis=1)]
        return cls(up_to_conjugation(grid, modulus), modulus, reach)

    def split(self) -> Cells:
        ndim = self.index.shape[1]
        modulus = 2 * self.modulus
        if ndim == 2:
            steps = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)], dtype=np.int64)
        else:
            steps = np.array(list(itertools.product((1, -1), repeat=ndim)), dtype=np.int64)
        children = (2 * self.index[:, None, :] + steps[None]).reshape(-1, ndim)
        return Cells(up_to_conjugation(children, modulus), modulus, self.radius / 2.0)

    def only(self, keep: NDArray[np.bool_]) -> Cells:
        return Cells(self.index[keep], self.modulus, self.radius)


def up_to_conjugation(index: NDArray[np.int64], modulus: NDArray[np.int64]) -> NDArray[np.int64]:
    """One of each pair ``w, -w`` modulo the grid: real kernels have ``F(-w) = conj F(w)``."""
    index = index % modulus
    shape = tuple(int(n) for n in modulus)
    keys = np.ravel_multi_index(tuple(index.T), shape)
    mirrored = np.ravel_multi_index(tuple((-index % modulus).T), shape)
    return index[np.unique(np.minimum(keys, mirrored), return_index=True)[1]]
