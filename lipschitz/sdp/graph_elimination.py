"""The best bound that given multipliers prove, and its gradient, by block elimination.

Two exact steps first. A gate with slopes in ``[a, b]`` is ``a v`` plus a gate with slopes in
``[0, b - a]`` (loop transformation), and ``a v`` belongs to the linear maps. A neuron that nothing
moves or that nobody reads is left out. With ``D = diag((b - a) t / 2)`` the form of
`lipschitz.sdp.graph_proof` then has the blocks ``diag(t_i)`` and ``-D_i M_is``, and elimination in
the network's order carries

    X_k = diag(t_k) - D_k G_kk D_k,     E_ik = M_ik + G_ik D_k   (i a later gate or the output),
    G_ij += E_ik X_k^-1 E_jk^T,         starting from G_ij = M_i0 M_j0^T.

If all ``X_k`` are positive definite, the bound is ``rho = lambda_max(G_yy)``: any ``t`` will do. A
chain has one later reader for each gate, and this is the recursion of LipSDP in its block form; a
shortcut adds a block, nothing else.

The objective is ``log rho`` with a barrier of weight ``mu`` that does not see the scale of ``t``,

    min over rho of  log rho - mu [log det(I - G_yy / rho) + sum_k log det(diag(t_k)^-1 X_k)].

Nothing here is a proof; what is found is proved afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipschitz.layers.contract import Array
from lipschitz.sdp.graph_matrices import GraphModel

__all__ = ["Elimination", "Factors", "reduced"]

_NOTHING = 2.0**-960
"""Errors below this are the underflow allowed for a sum of zeros."""

Blocks = dict[tuple[int, int], Array]
Choose = Callable[[int, Array], Array]
"""From a gate's number and its ``G_kk`` to its multipliers."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factors:
    """What an elimination leaves behind.

    Parameters
    ----------
    multipliers : tuple of arrays
    grams : dict
        ``G_ij`` for ``i >= j`` at the time gate ``j`` was eliminated; the output has the number
        of gates plus one.
    couplings : dict
        ``E_ik``.
    roots : tuple of arrays
        Lower Cholesky factors of ``X_k``.
    """

    multipliers: tuple[Array, ...]
    grams: Blocks
    couplings: Blocks
    roots: tuple[Array, ...]

    @property
    def rho(self) -> float:
        """The bound's square: the largest eigenvalue of ``G_yy``."""
        last = len(self.multipliers) + 1
        return float(np.linalg.eigvalsh(self.grams[last, last].astype(np.float64))[-1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Elimination:
    """A network after both exact steps.

    Parameters
    ----------
    halves : tuple of float
        ``(b - a) / 2`` for every gate.
    maps : tuple of mappings
        ``M_is`` from variable ``s`` to gate ``i``, and last to the output, without the input.
    inputs : mapping
        ``M_i0`` of the gates and the output that read the input.
    grams : dict
        ``M_i0 M_j0^T`` for ``i >= j``.
    alive, moved : tuples of bool arrays
        Which neurons of every gate take part, and which have an argument that is not constant.
    """

    halves: tuple[float, ...]
    maps: tuple[Mapping[int, Array], ...]
    inputs: Mapping[int, Array]
    grams: Blocks
    alive: tuple[NDArray[np.bool_], ...]
    moved: tuple[NDArray[np.bool_], ...]

    @property
    def _type(self) -> Any:
        return self.grams[self.gates + 1, self.gates + 1].dtype

    @property
    def gates(self) -> int:
        """How many."""
        return len(self.halves)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons that take part, for every gate."""
        return tuple(int(mask.sum()) for mask in self.alive)

    def single(self) -> Elimination:
        """The same in single precision, for the first steps of a search on large networks."""
        return replace(
            self,
            maps=tuple({s: m.astype(np.float32) for s, m in part.items()} for part in self.maps),
            grams={key: gram.astype(np.float32) for key, gram in self.grams.items()},
        )

    def factors(self, choose: Choose) -> Factors | None:
        """Eliminate gate after gate; None if a block is not positive definite."""
        from scipy.linalg import solve_triangular

        grams = dict(self.grams)
        couplings: Blocks = {}
        roots: list[Array] = []
        multipliers: list[Array] = []
        for k in range(1, self.gates + 1):
            gram = grams.setdefault((k, k), np.zeros((self.sizes[k - 1],) * 2, self._type))
            t = np.asarray(choose(k, gram), dtype=gram.dtype)
            d = self.halves[k - 1] * t
            root = _cholesky(np.diag(t) - d[:, None] * gram * d)
            if root is None:
                return None
            multipliers.append(t)
            roots.append(root)
            whitened = {}
            for i in range(k + 1, self.gates + 2):
                coupling = self.maps[i - 1].get(k)
                if (i, k) in grams:
                    seen = grams[i, k] * d
                    coupling = seen if coupling is None else coupling + seen
                if coupling is not None:
                    couplings[i, k] = coupling
                    whitened[i] = solve_triangular(root, coupling.T, lower=True, check_finite=False)
            for i in whitened:
                for j in whitened:
                    if i >= j:
                        part = whitened[i].T @ whitened[j]
                        old = grams.get((i, j))
                        grams[i, j] = part if old is None else old + part
        return Factors(
            multipliers=tuple(multipliers), grams=grams, couplings=couplings, roots=tuple(roots)
        )

    def objective(
        self, t: Sequence[Array], mu: float
    ) -> tuple[float, float, tuple[Array, ...]] | None:
        """``rho``, the objective and its derivatives in ``log t``; None where it is infinite."""
        factors = self.factors(lambda k, _: t[k - 1])
        if factors is None:
            return None
        last = self.gates + 1
        rho, value, slope = _smooth_largest(factors.grams[last, last].astype(np.float64), mu)
        if not math.isfinite(value):
            return None
        slope = slope.astype(self._type)
        for root, multiplier in zip(factors.roots, t, strict=True):
            value -= mu * float(2.0 * np.log(np.diag(root)).sum() - np.log(multiplier).sum())
        return rho, value, self._gradient(factors, slope, mu)

    def _gradient(self, factors: Factors, slope: Array, mu: float) -> tuple[Array, ...]:
        """Reverse mode: ``bars[i, j]`` is the derivative in ``G_ij``, one of two for ``i > j``."""
        last = self.gates + 1
        bars: Blocks = {(last, last): slope}
        gradient: list[Array] = []
        for k in range(self.gates, 0, -1):
            t, root, gram = factors.multipliers[k - 1], factors.roots[k - 1], factors.grams[k, k]
            d = self.halves[k - 1] * t
            inverse = _inverse(root)
            solved = {i: e @ inverse for (i, j), e in factors.couplings.items() if j == k}
            bar = -mu * inverse
            d_bar = np.zeros(len(t), self._type)
            for i in solved:
                # Blocks that no later gate needed have no derivative.
                images = [
                    (bars[i, j] if i >= j else bars[j, i].T) @ solved[j]
                    for j in solved
                    if (max(i, j), min(i, j)) in bars
                ]
                if not images:
                    continue
                image = images[0] if len(images) == 1 else np.sum(images, axis=0)
                bar -= solved[i].T @ image
                if (i, k) in factors.grams:
                    d_bar += 2.0 * np.einsum("ij,ij->j", image, factors.grams[i, k])
                    bars[i, k] = image * d
            d_bar -= 2.0 * (bar * gram) @ d
            bars[k, k] = -(d[:, None] * bar * d)
            total = t * (np.diag(bar) + self.halves[k - 1] * d_bar) + mu
            gradient.append(total.astype(np.float64))
        return tuple(gradient[::-1])

    def flops(self) -> float:
        """About how many operations one call of `objective` takes."""
        sizes = [*self.sizes, 0 if not self.maps else _rows(self.maps[-1], self.grams, self.gates)]
        pattern: set[tuple[int, int]] = set(self.grams)
        total = 0.0
        for k in range(1, self.gates + 1):
            later = [
                i
                for i in range(k + 1, self.gates + 2)
                if k in self.maps[i - 1] or (i, k) in pattern
            ]
            pattern |= {(i, j) for i in later for j in later if i >= j}
            n, rest = sizes[k - 1], sum(sizes[i - 1] for i in later)
            total += 1.5 * n**3 + 6.0 * n * n * rest + 3.5 * n * rest * rest
        return total + 10.0 * sizes[-1] ** 3


def _rows(maps: Mapping[int, Array], grams: Blocks, gates: int) -> int:
    if (gates + 1, gates + 1) in grams:
        return len(grams[gates + 1, gates + 1])
    return len(next(iter(maps.values()))) if maps else 0


def _cholesky(matrix: Array) -> Array | None:
    if not np.isfinite(matrix).all():
        return None
    try:
        return np.asarray(np.linalg.cholesky(matrix))
    except np.linalg.LinAlgError:
        return None


def _inverse(root: Array) -> Array:
    """``(L L^T)^-1`` from the lower factor."""
    from scipy.linalg import lapack

    inverse, _ = (lapack.spotri if root.dtype == np.float32 else lapack.dpotri)(root, lower=1)
    return np.asarray(np.tril(inverse) + np.tril(inverse, -1).T)


def _smooth_largest(gram: Array, mu: float) -> tuple[float, float, Array]:
    """The largest eigenvalue, ``min_rho log rho - mu log det(I - G / rho)``, its derivative."""
    values, vectors = np.linalg.eigh(gram)
    top = float(values[-1])
    if not top > 0.0:
        return 0.0, -math.inf, gram
    ratios = np.maximum(values / top, 0.0)
    # Increasing and convex in 1 / rho: with rho = top (1 + s) the root lies in [mu, m mu].
    low, high = 0.0, max(len(values) * mu, 1e-300)
    s = min(mu, high)
    for _ in range(60):
        excess = mu * float((ratios / (1.0 + s - ratios)).sum()) - 1.0
        low, high = (s, high) if excess > 0.0 else (low, s)
        slope = -mu * float((ratios / (1.0 + s - ratios) ** 2).sum())
        step = s - excess / slope if slope else low
        new = step if low < step < high else 0.5 * (low + high)
        if abs(new - s) <= 1e-15 * s:
            break
        s = new
    rho = top * (1.0 + s)
    weights = mu / (rho - np.maximum(values, 0.0))
    value = math.log(rho) - mu * float(np.log1p(-ratios / (1.0 + s)).sum())
    return top, value, (vectors * weights) @ vectors.T


# ---- the two exact steps ------------------------------------------------------------------------
def reduced(model: GraphModel) -> Elimination:
    """The model after loop transformation, without dead neurons, on the centres of its matrices.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> from lipschitz.sdp.graph_matrices import graph_model
    >>> network = from_arrays([[[3.0], [0.0]], [[1.0, 1.0]]])
    >>> system = reduced(graph_model(network))
    >>> system.alive, system.factors(lambda k, gram: 2.0 / np.diag(gram)).rho
    ((array([ True, False]),), 9.0)
    """
    maps: list[dict[int, Array]] = [
        {s: center for s, (center, _) in part.items() if np.any(center)} for part in model.maps
    ]
    for k, (lower, _) in enumerate(model.slopes, start=1):
        if lower != 0.0:
            for part in maps[k:]:
                through = part.get(k)
                if through is not None:
                    for s, center in maps[k - 1].items():
                        extra = lower * (through @ center)
                        part[s] = part[s] + extra if s in part else extra
    alive, moved = _alive(maps, model)
    keep = [np.flatnonzero(mask) for mask in alive]
    small = [
        {
            s: np.ascontiguousarray(
                center[:, keep[s - 1]] if i == len(alive) else center[np.ix_(keep[i], keep[s - 1])]
            )
            for s, center in part.items()
            if s > 0
        }
        for i, part in enumerate(maps)
    ]
    inputs: dict[int, Any] = {
        i + 1: part[0] if i == len(alive) else part[0][keep[i]]
        for i, part in enumerate(maps)
        if 0 in part and (i == len(alive) or keep[i].size)
    }
    grams = {(i, j): inputs[i] @ inputs[j].T for i in inputs for j in inputs if i >= j}
    last = len(alive) + 1
    grams.setdefault((last, last), np.zeros((model.outputs, model.outputs)))
    return Elimination(
        halves=tuple(0.5 * (b - a) for a, b in model.slopes),
        maps=tuple({s: m for s, m in part.items() if m.size} for part in small),
        inputs=inputs,
        grams=grams,
        alive=tuple(alive),
        moved=tuple(moved),
    )


def _alive(
    maps: Sequence[Mapping[int, Array]], model: GraphModel
) -> tuple[list[NDArray[np.bool_]], list[NDArray[np.bool_]]]:
    """Neurons that some variable moves and some reader reads, and those that are moved."""
    gates = len(model.slopes)
    moved = [np.ones(model.sizes[0], dtype=bool)]
    for k in range(gates):
        row = np.zeros(model.sizes[k + 1], dtype=bool)
        for s, center in maps[k].items():
            row |= (center[:, moved[s]] != 0.0).any(axis=1)
        for _, radius in model.maps[k].values():
            row |= (radius > _NOTHING).any(axis=1)
        moved.append(row)
    read = [np.zeros(n, dtype=bool) for n in model.sizes]
    for i in range(gates, -1, -1):
        rows = np.ones(model.outputs, dtype=bool) if i == gates else read[i + 1]
        for s, center in maps[i].items():
            read[s] |= (center[rows] != 0.0).any(axis=0)
    return [moved[k] & read[k] for k in range(1, gates + 1)], moved[1:]
