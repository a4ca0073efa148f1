"""Exact Lipschitz constants of piecewise linear networks with one, two or three inputs.

On a convex domain the constant of a piecewise linear function is the largest norm of its Jacobians
over the linear regions that meet it. With few inputs the regions can be listed: `lipschitz.region_
mesh` covers the domain with cells in which no neuron changes its sign up to rounding, `lipschitz.
region_patterns` proves which other patterns may hide in slivers, and the largest Jacobian norm over
all of them is an upper bound. Patterns that would exceed what is attained are checked once more in
exact integer arithmetic. The lower side is a directional derivative inside a region, which
`verify_witness` proves again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence import Enclosure, NotCertified
from evidence.validation import choice, positive_float, positive_int
from lipschitz.domains import Box, as_domain, is_within
from lipschitz.lower import lower_bound, verify_witness
from lipschitz.network import Network
from lipschitz.operators import NORMS
from lipschitz.product import product_bound
from lipschitz.region_cells import ExactChain, first_cones, interior_ray
from lipschitz.region_chain import KinkedChain, kinked_chain
from lipschitz.region_mesh import Mesh
from lipschitz.region_norms import (
    common_error,
    enclose_jacobian,
    enclose_norm,
    jacobians,
    norms_upper,
)
from lipschitz.region_patterns import possible_patterns, unpacked

__all__ = ["ExactConstant", "exact_by_regions"]

Array = NDArray[np.float64]

_MOST_INPUTS = 3
_TIE = 1e-11
_CLOSE_LOOKS = 64
_CELLS_TRIED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactConstant:
    """A Lipschitz constant known up to rounding, or what is known when time was up.

    Parameters
    ----------
    bound : Enclosure
        Two-sided.
    norm : {1, 2, inf}
        On both sides of the network.
    point, direction : array, shape (*network.input_shape)
        Where the lower side is attained (up to its rounding): inside a region of the largest slope.
    regions : int
        Activation patterns found, each with at least one cell; when time was up, cells so far.
    is_complete : bool
        Whether the enumeration ended; if not, ``bound`` comes from other methods.
    seconds : float

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> found = exact_by_regions(from_arrays([[[1.0], [-1.0]], [[1.0, -1.0]]]))
    >>> found.regions, found.is_complete, found.bound.rtol < 1e-12
    (2, True, True)
    """

    bound: Enclosure
    norm: float
    point: Array
    direction: Array
    regions: int
    is_complete: bool
    seconds: float


def exact_by_regions(
    network: Network,
    *,
    norm: float = 2,
    domain: Any = None,
    time_limit: float = 60.0,
    most_cells: int = 4_000_000,
) -> ExactConstant:
    """The Lipschitz constant of a (leaky) ReLU network with at most three inputs.

    Parameters
    ----------
    network : Network
        A chain of linear layers and ``relu`` or ``leaky_relu`` activations.
    norm : {1, 2, inf}
        ``p`` in ``||f(x) - f(y)||_p <= L ||x - y||_p``.
    domain : Box or (lower, upper), optional
        With width in every axis; without it the whole space, including infinity.
    time_limit : float
        Seconds. When they are over, the bound is the product bound above and a directional
        derivative from a short search below, ``is_complete`` is False, and nothing is raised.
    most_cells : int
        Cells of the mesh (about 100 bytes each) after which the same happens.

    Returns
    -------
    ExactConstant
        ``bound.rtol`` is 1e-11 or less where regions are not too thin to be told apart in exact
        arithmetic; with rounded weights (`LinearLayer.weight_error`) as wide as these make it.

    Raises
    ------
    NotCertified
        If the network has more than three inputs, no linear regions, or is no chain.
    ValueError, TypeError
        If an argument is not as described.

    Notes
    -----
    The constant is that of real arithmetic with the network's float weights. In two dimensions the
    cells are polygons, about one for each region; in three they are tetrahedra, over a hundred
    times as many as regions.

    References
    ----------
    Hanin and Rolnick, *Complexity of linear regions in deep networks*, ICML 2019, for their number.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> tent = from_arrays([[[1.0], [1.0], [1.0]], [[2.0, -4.0, 2.0]]], [[0.0, -0.5, -1.0], None])
    >>> found = exact_by_regions(tent)
    >>> found.regions, found.bound.lower <= 2.0 <= found.bound.upper, found.bound.rtol < 1e-12
    (4, True, True)
    >>> print(exact_by_regions(tent, domain=([-1.0], [0.0])).bound.upper < 1e-300)
    True
    """
    start = time.perf_counter()
    p = float(choice(norm, "norm", NORMS))
    deadline = start + positive_float(time_limit, "time_limit")
    most = positive_int(most_cells, "most_cells")
    chain = kinked_chain(network)
    inputs = chain.widths[0]
    if inputs > _MOST_INPUTS:
        raise NotCertified(
            f"`network` has {inputs} inputs, and regions are listed for at most {_MOST_INPUTS}; "
            "use `lipschitz_enclosure`, `local_bound`, or `one_hidden_constant` for one hidden "
            "layer"
        )
    box = None if domain is None else _checked_box(domain, network.input_shape)
    corners = None if box is None else (box.lower.ravel(), box.upper.ravel())
    with np.errstate(over="ignore", invalid="ignore"):
        mesh = Mesh(chain, corners)
        is_complete = mesh.refine(deadline=deadline, most=most)
        if not is_complete:
            return _unfinished(network, p, box, mesh.cells.shape[1], start)
        search = _Search(network, chain, mesh, p, box, deadline)
        upper = search.run()
    return ExactConstant(
        bound=Enclosure(search.lower, max(search.lower, upper), "linear regions"),
        norm=p,
        point=search.point,
        direction=search.direction,
        regions=search.regions,
        is_complete=True,
        seconds=time.perf_counter() - start,
    )


def _checked_box(domain: Any, shape: tuple[int, ...]) -> Box:
    box = as_domain(domain, shape)
    if not isinstance(box, Box):
        raise TypeError(
            f"`domain` must be a Box or a pair (lower, upper), got {type(box).__name__}; pass the "
            "box around it, or use `local_bound`"
        )
    if not (box.lower < box.upper).all():
        raise ValueError(
            "`domain` must have width in every axis; a flat box holds a function of fewer inputs"
        )
    return box


def _unfinished(
    network: Network, norm: float, box: Box | None, cells: int, start: float
) -> ExactConstant:
    found = lower_bound(
        network,
        norm=norm,
        rng=np.random.default_rng(0),
        starts=16,
        steps=60,
        time_limit=1.0,
        domain=None if box is None else (box.lower, box.upper),
    )
    upper = product_bound(network, norm=norm).bound.upper
    return ExactConstant(
        bound=Enclosure(found.bound.lower, upper, "directional derivative, product of norms"),
        norm=norm,
        point=found.point,
        direction=found.direction,
        regions=cells,
        is_complete=False,
        seconds=time.perf_counter() - start,
    )


class _Search:
    """The largest norm over the possible patterns, from the largest estimate downwards."""

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
        self._exact: ExactChain | None = None
        self.regions = len(self._patterns.cells)
        self.lower = 0.0
        self.point = np.zeros(network.input_shape)
        self.direction = np.ones(network.input_shape)
        if box is not None:
            self.point = 0.5 * box.lower + 0.5 * box.upper

    def run(self) -> float:
        """An upper bound, while `lower` and its witness are improved."""
        words = np.concatenate([self._patterns.cells, self._patterns.slivers])
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
                break
            ball = enclose_jacobian(self._chain, words[i])
            proved = enclose_norm(ball, self._norm)
            if proved.upper <= self.lower:
                continue
            if proved.upper > self.lower * (1.0 + _TIE):
                if i < self.regions:
                    self._try_cells(words[i], stack[i])
                if proved.upper > self.lower * (1.0 + _TIE) and self._is_empty(words[i], proved):
                    continue
            upper = max(upper, proved.upper)
        for pattern, mask in self._patterns.crowded:
            loose = enclose_jacobian(self._chain, pattern, mask)
            upper = max(upper, enclose_norm(loose, self._norm).upper)
        return upper

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

    def _is_empty(self, pattern: NDArray[np.uint64], proved: Enclosure) -> bool:
        """Whether no point has the pattern, exactly; if one does, its norm is attained."""
        if not self._chain.is_exact or time.perf_counter() > self._deadline:
            return False
        if self._exact is None:
            self._exact = ExactChain.of(self._chain)
        box = None if self._box is None else (self._box.lower.ravel(), self._box.upper.ravel())
        cones = first_cones(self._chain.widths[0], box)
        ray = interior_ray(self._exact, unpacked(pattern[None], self._chain.hidden)[0], cones)
        if ray is None:
            return True
        if proved.lower > self.lower:
            shape = self._network.input_shape
            jacobian = jacobians(self._chain, pattern[None])[0]
            self.lower = proved.lower
            self.point = np.array([t / ray[-1] for t in ray[:-1]]).reshape(shape)
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
