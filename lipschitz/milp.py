"""Exact local constants in l1 and l-infinity: mixed-integer programs, and bounds that are proved.

The constant from l_p to l_p on a box is a maximum of l1 norms:

    p = inf    max over x and outputs i of ``sum_j |df_i/dx_j|``,
    p = 1      max over x and inputs j of ``sum_i |df_i/dx_j|``.

(Ground cost l-infinity asks for the l1 norm of a gradient, ground cost l1 for its largest entry.)
For a ReLU network each is a mixed-integer linear program (Jordan and Dimakis, *Exactly computing
the local Lipschitz constant of ReLU networks*, NeurIPS 2020).

**What is proved.** HiGHS solves such programs with tolerances: its optimum and its bound are
estimates, and weights of 1e-37 can make it call a feasible program infeasible. Here it only
proposes. The lower side is a witness, checked in ball arithmetic. The upper side is a tree of our
own, whose leaves are bounded by `lipschitz.milp_model.safe_minimum` from the multipliers of a
linear program, right or wrong. What HiGHS says about the integer program is reported beside it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence import Enclosure
from evidence.validation import choice, positive_float
from lipschitz.domains import Ball, Box, as_domain
from lipschitz.lower import lower_bound
from lipschitz.milp_chain import layered_chain
from lipschitz.milp_tree import Tree
from lipschitz.network import Network

__all__ = ["MilpConstant", "local_constant_milp"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MilpConstant:
    """A local constant from l1 to l1 or from l-infinity to l-infinity.

    Parameters
    ----------
    bound : Enclosure
        Proved on both sides.
    solver_lower, solver_upper : float
        What HiGHS reports for the integer program: estimates, exact up to its tolerances; NaN if it
        was not asked or found nothing in time.
    norm : {1, inf}
    point, direction : array, shape (*network.input_shape)
        A witness of the lower side.
    unstable : int
        ReLUs whose gate the box leaves open.
    nodes : int
        Of our tree.
    finished : bool
        Whether the asked gap was reached.
    seconds : float

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0, 2.0], [-1.0, 1.0]], [[2.0, 3.0]]])
    >>> found = local_constant_milp(
    ...     network, Box([-1.0, -1.0], [1.0, 1.0]), norm=float("inf"), rng=np.random.default_rng(0)
    ... )
    >>> 8.0 in found.bound, found.bound.rtol < 1e-5, found.unstable
    (True, True, 2)
    """

    bound: Enclosure
    solver_lower: float
    solver_upper: float
    norm: float
    point: Array
    direction: Array
    unstable: int
    nodes: int
    finished: bool
    seconds: float


def local_constant_milp(
    network: Network,
    domain: Box | tuple[ArrayLike, ArrayLike],
    *,
    norm: float,
    rtol: float = 1e-6,
    time_limit: float = 60.0,
    rng: np.random.Generator,
) -> MilpConstant:
    """Enclose the Lipschitz constant from l_p to l_p of a ReLU network on a box.

    Parameters
    ----------
    network : Network
        Linear layers, ReLUs and leaky ReLUs in a chain.
    domain : Box or (lower, upper)
    norm : {1, inf}
        ``p``, on both sides. With one output and ``p = inf`` the constant is the largest l1 norm of
        the gradient, with ``p = 1`` its largest entry.
    rtol : float
        Relative gap between the proved sides at which the search stops.
    time_limit : float
        Seconds after which what is proved so far is returned.
    rng : numpy.random.Generator
        Of the search for a witness.

    Returns
    -------
    MilpConstant

    Raises
    ------
    ValueError, TypeError
        If the domain is no box or the norm is neither 1 nor inf.
    NotCertified
        If the network is no chain, or has other activations.

    Notes
    -----
    The problem is NP-hard; some forty undecided neurons are what can be expected to finish. For
    l2 see `lipschitz.local`.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0, 2.0], [-1.0, 1.0]], [[2.0, 3.0]]])
    >>> box, rng = Box([-1.0, -1.0], [1.0, 1.0]), np.random.default_rng(0)
    >>> largest = local_constant_milp(network, box, norm=1, rng=rng).bound  # |df/dx_2| = 7
    >>> 7.0 in largest, largest.rtol < 1e-5
    (True, True)
    """
    begin = time.perf_counter()
    p = float(choice(norm, "norm", (1, math.inf)))
    rtol = positive_float(rtol, "rtol")
    deadline = begin + positive_float(time_limit, "time_limit")
    box = as_domain(domain, network.input_shape)
    if isinstance(box, Ball):
        raise TypeError("`domain` must be a Box or a pair (lower, upper), got Ball; use `box.hull`")
    chain = layered_chain(network.fold())
    found = lower_bound(
        network, norm=p, rng=rng, starts=32, steps=100, time_limit=0.1 * time_limit, domain=box
    )
    tree = Tree(network=network, chain=chain, box=box, rtol=rtol, rng=rng, lower=found)
    tree.deadline = deadline
    unstable = tree.plant()
    solver = tree.ask_solver()
    tree.grow()
    return MilpConstant(
        bound=Enclosure(tree.lower, tree.upper, f"witness & dual bounds of {tree.nodes} nodes"),
        solver_lower=solver[0],
        solver_upper=solver[1],
        norm=p,
        point=tree.point,
        direction=tree.direction,
        unstable=unstable,
        nodes=tree.nodes,
        finished=tree.upper <= tree.target,
        seconds=time.perf_counter() - begin,
    )
