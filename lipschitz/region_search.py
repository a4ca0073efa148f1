"""The largest Jacobian norm over the patterns of a mesh, attained below and proved above."""

from __future__ import annotations

import time
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evidence import Enclosure, NotCertified
from lipschitz.domains import Box, is_within
from lipschitz.layers.contract import Array
from lipschitz.lower import verify_witness
from lipschitz.network import Network
from lipschitz.region_cells import Cone, ExactChain, exact_regions, first_cones
from lipschitz.region_chain import KinkedChain
from lipschitz.region_mesh import Mesh
from lipschitz.region_norms import (
    common_error,
    enclose_jacobian,
    enclose_norm,
    jacobians,
    norms_upper,
)
from lipschitz.region_patterns import packed, possible_patterns, unpacked

__all__ = ["RegionSearch", "steepest_direction"]

_TIE = 1e-11
_SETTLED = 1e-9
_CLOSE_LOOKS = 64
_CELLS_TRIED = 4


class RegionSearch:
    """The largest norm over the possible patterns, from the largest estimate downwards.

    Parameters
    ----------
    network : Network
        As given: witnesses are proved on it.
    chain : KinkedChain
        Its chain.
    mesh : Mesh
        Refined to the end.
    norm : {1, 2, inf}
    box : Box or None
    deadline : float
        In the time of `time.perf_counter`; patterns not looked at by then count with their coarse
        bounds.

    Attributes
    ----------
    lower : float
        Attained at `point` along `direction`.
    regions : int
        Patterns that a cell has.
    is_settled : bool
        Whether no pattern is left that is steeper than `lower` by more than a relative 1e-9 for
        sure, or that was bounded only coarsely above that: what remains between the two sides is
        the rounding of one Jacobian and the errors of the weights.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> from lipschitz.region_chain import kinked_chain
    >>> network = from_arrays([[[1.0], [-1.0]], [[3.0, 2.0]]])
    >>> mesh = Mesh(kinked_chain(network), None)
    >>> mesh.refine(deadline=np.inf, most=100)
    True
    >>> search = RegionSearch(network, kinked_chain(network), mesh, 2.0, None, np.inf)
    >>> round(search.run(), 9), round(search.lower, 9), search.regions
    (3.0, 3.0, 2)
    """

    def __init__(
        self,
        network: Network,
        chain: KinkedChain,
        mesh: Mesh,
        norm: float,
        box: Box | None,
        deadline: float,
    ) -> None:
        self._network, self._chain, self._mesh, self._box = network, chain, mesh, box
        self._norm, self._deadline = norm, deadline
        self._patterns = possible_patterns(mesh)
        self.regions = len(self._patterns.cells)
        self._unattained = 0.0
        self.lower = 0.0
        self.point = np.zeros(network.input_shape)
        self.direction = np.ones(network.input_shape)
        if box is not None:
            self.point = 0.5 * box.lower + 0.5 * box.upper

    @property
    def is_settled(self) -> bool:
        """After `run`."""
        return self._unattained <= self.lower * (1.0 + _SETTLED)

    def run(self) -> float:
        """An upper bound, while `lower` and its witness are improved."""
        upper = 0.0
        words = [self._patterns.cells, self._patterns.slivers]
        for pattern, mask in self._patterns.crowded:
            found = self._resolved(pattern, mask)
            if found is None:
                loose = enclose_jacobian(self._chain, pattern, mask)
                upper = max(upper, enclose_norm(loose, self._norm).upper)
                self._unattained = max(self._unattained, upper)
            else:
                words.append(found)
        return max(upper, self._largest(np.concatenate(words)))

    def _largest(self, words: NDArray[np.uint64]) -> float:
        stack = jacobians(self._chain, words)
        coarse = norms_upper(stack, common_error(self._chain), self._norm)
        if not np.isfinite(coarse).all():
            raise NotCertified(
                "the Jacobian of a region overflows float64; scale the weights down by a power of "
                "two"
            )
        upper = 0.0
        for looks, i in enumerate(np.argsort(-coarse).tolist()):
            enough = self.lower * (1.0 + _TIE) if looks >= _CLOSE_LOOKS else self.lower
            if coarse[i] <= enough or time.perf_counter() > self._deadline:
                upper = max(upper, float(coarse[i]))
                self._unattained = max(self._unattained, float(coarse[i]))
                break
            ball = enclose_jacobian(self._chain, words[i])
            proved = enclose_norm(ball, self._norm)
            if proved.upper <= self.lower:
                continue
            if proved.upper > self.lower * (1.0 + _TIE):
                if i < self.regions:
                    self._try_cells(words[i], stack[i])
                if proved.upper > self.lower * (1.0 + _TIE) and self._is_idle(words[i], proved):
                    continue
            upper = max(upper, proved.upper)
            self._unattained = max(self._unattained, proved.lower)
        return upper

    def _resolved(
        self, pattern: NDArray[np.uint64], mask: NDArray[np.uint64]
    ) -> NDArray[np.uint64] | None:
        """The patterns that flips of the mask's neurons really make, or None: not known."""
        if not self._chain.is_exact:
            return None
        gates, free = unpacked(np.stack([pattern, mask]), self._chain.hidden)
        found = []
        for region in exact_regions(self._integers, self._cones, gates=gates, free=free):
            found.append(packed(np.array([region.gates]), len(pattern)))
            if time.perf_counter() > self._deadline:
                return None
        return np.concatenate([pattern[None][:0], *found])

    def _try_cells(self, pattern: NDArray[np.uint64], jacobian: Array) -> None:
        """Directional derivatives at points in the middle of the pattern's cells."""
        direction = steepest_direction(jacobian, self._norm).reshape(self._network.input_shape)
        found = np.flatnonzero((self._mesh.gates == pattern[:, None]).all(axis=0))
        for column in found[:_CELLS_TRIED]:
            ray = self._mesh.vertices[np.unique(self._mesh.cells[:, column])].sum(axis=0)
            if ray[-1] <= 0.0:
                continue
            self._offer((ray[:-1] / ray[-1]).reshape(self._network.input_shape), direction)

    def _offer(self, point: Array, direction: Array) -> None:
        if not np.isfinite(point).all():
            return
        if self._box is not None and not is_within(self._box, point, moving=direction != 0.0):
            return
        try:
            value = verify_witness(self._network, point, direction, norm=self._norm)
        except NotCertified:
            return
        if value > self.lower:
            self.lower, self.point, self.direction = value, point, direction

    @cached_property
    def _integers(self) -> ExactChain:
        return ExactChain.of(self._chain)

    @cached_property
    def _cones(self) -> list[Cone]:
        box = None if self._box is None else (self._box.lower.ravel(), self._box.upper.ravel())
        return first_cones(self._chain.widths[0], box)

    def _is_idle(self, pattern: NDArray[np.uint64], proved: Enclosure) -> bool:
        """Whether no point has the pattern, or its Jacobian is zero: exactly.

        If a point has the pattern, its norm is attained there.
        """
        if not self._chain.is_exact or time.perf_counter() > self._deadline:
            return False
        gates = unpacked(pattern[None], self._chain.hidden)[0]
        fixed = np.zeros_like(gates)
        region = next(exact_regions(self._integers, self._cones, gates=gates, free=fixed), None)
        if region is None or not any(any(row) for row in region.jacobian):
            return True
        if proved.lower > self.lower:
            shape = self._network.input_shape
            jacobian = jacobians(self._chain, pattern[None])[0]
            self.lower = proved.lower
            self.point = np.array([float(t) for t in region.point]).reshape(shape)
            self.direction = steepest_direction(jacobian, self._norm).reshape(shape)
        return False


def steepest_direction(jacobian: Array, norm: float) -> Array:
    """A vector of norm one that the matrix stretches most, in floating point.

    Examples
    --------
    >>> steepest_direction(np.array([[3.0, -4.0]]), np.inf)
    array([ 1., -1.])
    """
    if norm == 2.0:
        return np.asarray(np.linalg.svd(jacobian)[2][0])
    if norm == 1.0:
        best = int(np.argmax(np.abs(jacobian).sum(axis=0)))
        return np.asarray(np.eye(jacobian.shape[1])[best])
    row = jacobian[int(np.argmax(np.abs(jacobian).sum(axis=1)))]
    return np.where(row < 0.0, -1.0, 1.0)
