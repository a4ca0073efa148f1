"""The constraint matrices of the bound have rank two; what an interior-point step makes of that.

``S(rho, t) = rho E + sum_j t_j A_j - B`` in ``z = (x, phi_1, ..., phi_k)`` with

    A_j = (u_j v_j^T + v_j u_j^T) / 2,   u_j = e_j - a_j g_j,   v_j = e_j - b_j g_j,

where ``g_j`` is neuron ``j``'s row of weights, ``E`` the identity of ``x`` and ``B`` the Gram
matrix of the output's weights. Hence for symmetric ``X, Z`` (Helmberg et al. 1996; Benson, Ye and
Zhang, SIAM J. Optim. 10 (2000))

    4 tr(A_j X A_k Z) = (v_j X u_k)(v_k Z u_j) + (v_j X v_k)(u_k Z u_j)
                      + (u_j X u_k)(v_k Z v_j) + (u_j X v_k)(u_k Z v_j):

all products of entries of a few matrices, one Hadamard product each instead of a semidefinite
solver's general sums.
"""

from __future__ import annotations

import numpy as np

from lipschitz.layers.contract import Array
from lipschitz.sdp.presolve import Problem

__all__ = ["Constraints"]


class Constraints:
    """``S``, its adjoint and the Schur complement of the Newton system.

    Parameters
    ----------
    problem : Problem
        With at least one hidden neuron. A wide first matrix is replaced by its triangular factor,
        which has the same Gram matrix and fewer columns.
    """

    def __init__(self, problem: Problem) -> None:
        weights = list(problem.weights)
        if weights[0].shape[1] > weights[0].shape[0]:
            triangle = np.asarray(np.linalg.qr(weights[0].T, mode="r"))
            weights[0] = np.ascontiguousarray(triangle.T)
        self.hidden = weights[:-1]
        self.inputs = weights[0].shape[1]
        ends = np.cumsum([self.inputs, *(len(w) for w in self.hidden)]).tolist()
        starts = [0, *ends[:-1]]
        self.slices = [slice(s, e) for s, e in zip(starts, ends, strict=True)]
        self.size = ends[-1]
        self.neurons = self.size - self.inputs
        self.a = np.concatenate(problem.slope_lower)
        self.b = np.concatenate(problem.slope_upper)
        self.objective = np.zeros((self.size, self.size))
        last = self.slices[-1]
        self.objective[last, last] = weights[-1].T @ weights[-1]
        self.cuts = np.cumsum([len(w) for w in self.hidden])[:-1]

    def combine(self, rho: float, t: Array) -> Array:
        """``rho E + sum_j t_j A_j``."""
        s = np.zeros((self.size, self.size))
        diagonal = s.reshape(-1)[:: self.size + 1]
        diagonal[: self.inputs] = rho
        diagonal[self.inputs :] = t
        h, q = 0.5 * t * (self.a + self.b), t * self.a * self.b
        for w, here, before, of in self._layers():
            s[here, before] = -h[of, None] * w
            s[before, here] = s[here, before].T
            if q[of].any():
                s[before, before] += w.T @ (q[of, None] * w)
        return s

    def inner(self, y: Array) -> tuple[float, Array]:
        """``(<E, Y>, <A_j, Y>)`` for a square ``Y``, symmetric or not."""
        values = np.empty(self.neurons)
        diagonal = y.diagonal()
        for w, here, before, of in self._layers():
            a, b = self.a[of], self.b[of]
            cross = (y[here, before] * w).sum(axis=1) + (y[before, here].T * w).sum(axis=1)
            values[of] = diagonal[here] - 0.5 * (a + b) * cross
            if (a * b).any():
                values[of] += a * b * np.einsum("ij,ij->i", w @ y[before, before], w)
        return float(diagonal[: self.inputs].sum()), values

    def schur(self, x: Array, z: Array) -> Array:
        """``tr(A_j X A_k Z)`` for all pairs, ``E`` first."""
        n0 = self.inputs
        xuu, xuv, xvv, x0 = self._products(x)
        zuu, zuv, zvv, z0 = self._products(z)
        m = np.empty((self.neurons + 1, self.neurons + 1))
        inner = xuv.T * zuv
        inner += inner.T
        inner += xvv * zuu
        inner += xuu * zvv
        inner *= 0.25
        m[1:, 1:] = 0.5 * (inner + inner.T)
        m[0, 0] = (x[:n0, :n0] * z[:n0, :n0]).sum()
        m[0, 1:] = 0.5 * ((x0[0] * z0[1]).sum(axis=0) + (x0[1] * z0[0]).sum(axis=0))
        m[1:, 0] = m[0, 1:]
        return m

    def times(self, rho: float, t: Array, z: Array) -> Array:
        """``(rho E + sum_j t_j A_j) Z``, block by block."""
        product = np.zeros_like(z)
        product[: self.inputs] = rho * z[: self.inputs]
        h, q = 0.5 * t * (self.a + self.b), t * self.a * self.b
        for w, here, before, of in self._layers():
            wz = w @ z[before]
            product[here] += t[of, None] * z[here] - h[of, None] * wz
            product[before] -= w.T @ (h[of, None] * z[here] - q[of, None] * wz)
        return product

    def split(self, t: Array) -> list[Array]:
        """One array for each layer."""
        return list(np.split(t, self.cuts))

    def _layers(self) -> list[tuple[Array, slice, slice, slice]]:
        """Weights, rows of the layer, rows of the one before, and its neurons."""
        n0 = self.inputs
        return [
            (w, self.slices[i + 1], self.slices[i],
             slice(self.slices[i + 1].start - n0, self.slices[i + 1].stop - n0))
            for i, w in enumerate(self.hidden)
        ]  # fmt: skip

    def _products(self, z: Array) -> tuple[Array, Array, Array, tuple[Array, Array]]:
        """``U^T Z U``, ``U^T Z V``, ``V^T Z V`` and the input's rows of ``Z U`` and ``Z V``."""
        n0 = self.inputs
        zg = np.empty((self.size, self.neurons))
        for w, _, before, of in self._layers():
            zg[:, of] = z[:, before] @ w.T
        gg = np.empty((self.neurons, self.neurons))
        for w, _, before, of in self._layers():
            gg[of] = w @ zg[before]
        ee, eg = z[n0:, n0:], zg[n0:]
        a, b = self.a, self.b
        zv0 = z[:n0, n0:] - b * zg[:n0]
        evb = ee - b * eg  # e_j Z v_k
        gvb = eg.T - b * gg  # g_j Z v_k
        vv = evb - b[:, None] * gvb
        if not a.any():
            return ee, evb, vv, (z[:n0, n0:], zv0)
        eua = ee - a * eg
        gua = eg.T - a * gg
        zu0 = z[:n0, n0:] - a * zg[:n0]
        return eua - a[:, None] * gua, evb - a[:, None] * gvb, vv, (zu0, zv0)
