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
from lipschitz.domains import Box, as_domain
from lipschitz.lower import lower_bound
from lipschitz.network import Network
from lipschitz.operators import NORMS
from lipschitz.product import product_bound
from lipschitz.region_chain import kinked_chain
from lipschitz.region_mesh import Mesh
from lipschitz.region_search import RegionSearch

__all__ = ["ExactConstant", "exact_by_regions"]

Array = NDArray[np.float64]

_MOST_INPUTS = 3


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
        True says that all regions were listed and the steepest one was found in the domain: the two
        sides of ``bound`` differ by the rounding of one Jacobian and by the errors of the weights
        only (relative 1e-9 at most if there are none). False says that time was up, and ``bound``
        comes from other methods, or that a pattern steeper than the lower side could neither be
        found nor excluded, which happens for rounded weights in special position; ``bound`` holds
        all the same.
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
        Seconds. When they are over during the listing, the bound is the product bound above and a
        directional derivative from a short search below, ``is_complete`` is False, and nothing is
        raised.
    most_cells : int
        Cells of the mesh (about 100 bytes each) after which the same happens.

    Returns
    -------
    ExactConstant
        ``bound.rtol`` is about 1e-12 for two hidden layers and grows with depth (3e-11 for twenty);
        with rounded weights (`LinearLayer.weight_error`) it is as wide as these make it. Matrices
        one after the other are multiplied exactly where that matters: give the network, not
        ``network.fold()``, whose products are rounded.

    Raises
    ------
    NotCertified
        If the network has more than three inputs, no linear regions, or is no chain.
    ValueError, TypeError
        If an argument is not as described.

    Notes
    -----
    The constant is that of real arithmetic with the network's float weights. Neurons of one layer
    with proportional rows and biases (``relu(v)`` next to ``relu(-v)``, as in MaxMin layers) change
    their signs on one hyperplane, and together. In two dimensions the
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
    >>> exact_by_regions(tent, domain=([-1.0], [0.0])).bound.upper
    0.0
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
        if not mesh.refine(deadline=deadline, most=most):
            return _unfinished(network, p, box, mesh.cells.shape[1], start)
        search = RegionSearch(network, chain, mesh, p, box, deadline)
        upper = search.run()
    return ExactConstant(
        bound=Enclosure(search.lower, max(search.lower, upper), "linear regions"),
        norm=p,
        point=search.point,
        direction=search.direction,
        regions=search.regions,
        is_complete=search.is_settled,
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
