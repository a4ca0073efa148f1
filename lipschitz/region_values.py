"""Pre-activations at the vertices of a mesh, with error bounds that hold inside its simplices too.

A point ``x`` of the input space is the ray through ``(x, 1)``; biases are the weights of the last
coordinate, and a (leaky) ReLU network becomes positively homogeneous. For a simplicial cone with
vertices ``v_i``, every ``x = sum l_i v_i`` with ``l_i >= 0`` in it, and a layer whose neurons do
not change their sign on it, values ``z^`` computed at the vertices interpolate:

    | z(x) - sum_i l_i z^(v_i) |  <=  sum_i l_i R(v_i).                                        (*)

*Proof, layer by layer.* ``z = W h + b w`` is linear, so that (*) for ``h`` gives it for ``z`` with
``R_z = |W| R_h + (rounding and weight errors)``, vertex by vertex. Behind the kink, with ``Z = sum
l_i z^(v_i)``, ``|phi(z) - phi(Z)| <= max(|left|, |right|) |z - Z|``; and ``phi(Z)`` differs from
``sum l_i phi(z^(v_i))`` by at most ``|right - left| sum l_i n_i``, where ``n_i`` is how far
``z^(v_i)`` lies on the wrong side of 0. It is 0 where the sign of the float ``z^`` is the one
declared, and at most ``|z^(v_i)|`` where the sign was declared *undecided*, or was taken from a
neuron on the same hyperplane and contradicts ``z^``. So

    R_h = max(|left|, |right|) R_z + [not as declared] |right - left| |z^| + rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence.rounding import UNIT_ROUNDOFF, gamma
from lipschitz.layers.balls import SMALLEST, Ball
from lipschitz.layers.contract import Array
from lipschitz.region_chain import KinkedChain

__all__ = ["EXACT", "NEGATIVE", "POSITIVE", "UNDECIDED", "Codes", "HomogeneousChain"]

Codes = NDArray[np.uint8]

EXACT, POSITIVE, NEGATIVE, UNDECIDED = 0, 1, 2, 4
"""Signs as bits: exactly zero, positive, negative, too small for its error bound."""

_CAUTION = 4.0
"""A sign counts as decided from this multiple of the error bound on: fewer slivers."""


@dataclass(frozen=True, slots=True, eq=False)
class HomogeneousChain:
    """Layers ``(W | b)`` transposed, with their error bounds, and the slopes of the kinks.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> from lipschitz.region_chain import kinked_chain
    >>> chain = HomogeneousChain.of(kinked_chain(from_arrays([[[2.0]], [[1.0]]], [[1.0], None])))
    >>> z, error = chain.arguments(0, np.array([[3.0, 1.0]]), None)
    >>> z, bool(error[0, 0] < 1e-14)
    (array([[7.]]), True)
    """

    matrices: tuple[Ball, ...]
    left: tuple[Array, ...]
    right: tuple[Array, ...]

    @classmethod
    def of(cls, chain: KinkedChain) -> HomogeneousChain:
        """From a chain with biases."""
        pairs = zip(chain.weights, chain.biases, strict=True)
        matrices = tuple((np.vstack([w.T, b]), np.vstack([e.T, d])) for (w, e), (b, d) in pairs)
        return cls(matrices, chain.left, chain.right)

    def arguments(self, layer: int, vertices: Array, hidden: Ball | None) -> Ball:
        """``z^`` and ``R_z`` of one layer from ``h^`` and ``R_h`` of the one before."""
        weight, doubt = self.matrices[layer]
        if hidden is None:
            inputs, radius = vertices, None
        else:
            last = vertices[:, -1:]
            inputs = np.hstack([hidden[0], last])
            radius = np.hstack([hidden[1], np.zeros_like(last)])
        n = len(weight)
        center = inputs @ weight
        size = np.abs(inputs) @ np.abs(weight)
        error = gamma(n) * size + n * SMALLEST
        if radius is not None:
            error = error + radius @ np.abs(weight)
        if doubt.any():
            error = error + (np.abs(inputs) if radius is None else np.abs(inputs) + radius) @ doubt
        error = _widened(error, n + 8)
        vanishes = size == 0.0
        if vanishes.any():  # maybe by underflow only, which the counts rule out
            wide = inputs != 0.0 if radius is None else (inputs != 0.0) | (radius != 0.0)
            terms = wide.astype(np.float64) @ ((weight != 0.0) | (doubt != 0.0))
            error = np.where(vanishes & (terms == 0.0), 0.0, error)
        return center, error

    def argument(self, layer: int, neuron: int, vertices: Array) -> Array:
        """``z^`` of one neuron, in plain floating point."""
        hidden, last = vertices, vertices[:, -1:]
        for i in range(layer):
            z = hidden @ self.matrices[i][0]
            hidden = np.hstack([np.where(z > 0.0, self.right[i] * z, self.left[i] * z), last])
        return np.asarray(hidden @ self.matrices[layer][0][:, neuron])

    def is_smooth(self, layer: int) -> bool:
        """Whether no neuron of a layer has a kink."""
        return bool(np.all(self.left[layer] == self.right[layer]))

    def signs(self, layer: int, values: Ball) -> Codes:
        """The code of every sign, from the values alone."""
        z, error = values
        codes = np.where(z > 0.0, POSITIVE, NEGATIVE).astype(np.uint8)
        codes[np.abs(z) <= _CAUTION * error] = UNDECIDED
        codes[(z == 0.0) & (error == 0.0)] = EXACT
        codes[:, self.left[layer] == self.right[layer]] = POSITIVE  # no kink
        return codes

    def activate(self, layer: int, values: Ball, codes: Codes) -> Ball:
        """``h^`` and ``R_h``."""
        z, error = values
        left, right = self.left[layer], self.right[layer]
        hidden = np.where(z > 0.0, right * z, left * z)
        steepest = np.maximum(np.abs(left), np.abs(right))
        declared = np.where(z > 0.0, POSITIVE, NEGATIVE)
        doubt = (codes != declared) * (np.abs(right - left) * np.abs(z))
        # `right` is 1 and products with 0, 1 and -1 are exact.
        rounds = (z < 0.0) & (left != 0.0) & (np.abs(left) != 1.0)
        doubt = doubt + rounds * (np.abs(hidden) * UNIT_ROUNDOFF + SMALLEST)
        radius = steepest * error + doubt
        return hidden, np.where(radius > 0.0, _widened(radius, 8), 0.0)

    def sweep(self, vertices: Array, codes: list[Codes]) -> Iterator[Ball]:
        """The values of all hidden layers in turn, for codes that are known (neurons last)."""
        hidden: Ball | None = None
        for layer, known in enumerate(codes):
            values = self.arguments(layer, vertices, hidden)
            yield values
            hidden = self.activate(layer, values, known)


def _widened(radius: Array, operations: int) -> Array:
    """`lipschitz.layers.balls.inflate`, with the last roundings in the factor: twice as fast."""
    factor = 1.0 + (2.0 * gamma(operations + 2) + 8.0 * UNIT_ROUNDOFF)
    return np.asarray(radius * factor + (operations + 4) * SMALLEST)
