"""Local Lipschitz constants: between a witness and a proof, on a box or a ball of inputs.

On a convex set the constant is the supremum of the Jacobian's norm. `local_bound` covers the domain
with pieces, bounds the Jacobian on each (`lipschitz.local_pieces`) and cuts the worst piece in two
until the largest bound is close to a slope that is attained. It can be stopped at any time: what
has been proved until then is an enclosure, only wider.

A global bound is often far above what the network does where data live; what a local one says ends
at the border of its domain.
"""

from __future__ import annotations

import heapq
import math
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evidence import Enclosure, NotCertified
from evidence.validation import choice, generator, positive_float
from lipschitz.domains import Ball, Box, as_domain, is_within
from lipschitz.linear_bounds import ValueBounds, bound_values
from lipschitz.local_pieces import Piece, halves, piece_of
from lipschitz.lower import LowerBound, lower_bound, verify_witness
from lipschitz.network import Network
from lipschitz.operators import NORMS
from lipschitz.product import product_bound
from lipschitz.sweeps import HardGates

__all__ = ["LocalBound", "local_bound"]

Array = NDArray[np.float64]

_REGIONS = 0.5  # share of the time for the exact constant by linear regions
_BELOW = 0.3  # share of the time for the search from below
_BETTER = 1e-4
_NOTHING = 2.0**-1000  # rounding of a Jacobian that is zero


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBound:
    """The Lipschitz constant of a network on a domain, between two proofs.

    Parameters
    ----------
    bound : Enclosure
    norm : {1, 2, inf}
        On both sides of the network.
    domain : Box or Ball
    point, direction : array, shape (*network.input_shape)
        A witness of the lower side, for `verify_witness`.
    pieces : int
        How many pieces of the domain were bounded.
    finished : bool
        Whether the asked gap was reached.
    seconds : float
        Wall time.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> network = from_arrays([[[1.0], [-1.0]], [[2.0, 3.0]]])
    >>> found = local_bound(network, Box([1.0], [2.0]), rng=np.random.default_rng(0))
    >>> found.pieces, found.finished
    (1, True)
    """

    bound: Enclosure
    norm: float
    domain: Box | Ball
    point: Array
    direction: Array
    pieces: int
    finished: bool
    seconds: float


def local_bound(
    network: Network,
    domain: Box | Ball | tuple[ArrayLike, ArrayLike],
    *,
    norm: float = 2,
    rtol: float = 0.05,
    time_limit: float = 10.0,
    rng: np.random.Generator,
) -> LocalBound:
    """Enclose ``sup ||f(x) - f(y)||_p / ||x - y||_p`` over all ``x, y`` in a box or a ball.

    Parameters
    ----------
    network : Network
    domain : Box, Ball or (lower, upper)
        Convex, so that the constant is the supremum of the Jacobian's norm.
    norm : {1, 2, inf}
        ``p``. For one output and ``p = inf`` it is the largest l1 norm of the gradient.
    rtol : float
        Cutting stops when the upper side is at most ``1 + rtol`` times the lower one.
    time_limit : float
        Seconds after which the enclosure reached so far is returned. The bounds of the whole
        domain without any cut are always evaluated.
    rng : numpy.random.Generator
        Of the search from below; both sides are theorems whatever is drawn.

    Returns
    -------
    LocalBound

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.

    Notes
    -----
    With at most three inputs and piecewise linear activations the constant of a box comes from the
    linear regions themselves (`lipschitz.regions`) if they can be enumerated in half of the time.
    In l2 the pieces are bounded semidefinitely, with the slopes that linear bounds of the
    pre-activations leave; it is far tighter than interval arithmetic on the Jacobian. A network of
    more than about 1500 undecided neurons gets intervals, or the bound of `product_bound`.

    References
    ----------
    Branch and bound on gates: Bhowmick, D'Souza, Raghavan, *LipBaB: computing exact Lipschitz
    constant of ReLU networks*, ICANN 2021. Local semidefinite bounds: Fazlyab et al., NeurIPS 2019,
    section 3.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> network = from_arrays([[[1.0], [-1.0]], [[2.0, 3.0]]])  # 2 relu(x) + 3 relu(-x)
    >>> right = local_bound(network, Box([0.5], [2.0]), rng=np.random.default_rng(0))
    >>> 2.0 in right.bound, right.bound.rtol < 1e-9
    (True, True)
    >>> both = local_bound(network, Ball([0.0], 1.0), rng=np.random.default_rng(0))
    >>> 3.0 in both.bound, both.bound.rtol < 0.05
    (True, True)
    """
    begin = time.perf_counter()
    p = float(choice(norm, "norm", NORMS))
    rtol = positive_float(rtol, "rtol")
    deadline = begin + positive_float(time_limit, "time_limit")
    where = as_domain(domain, network.input_shape)
    lower = lower_bound(
        network,
        norm=p,
        rng=generator(rng),
        starts=32,
        steps=100,
        time_limit=_BELOW * time_limit,
        domain=where,
    )
    search = _Search(network=network, domain=where, norm=p, rtol=rtol, lower=lower)
    search.add_root(deadline)
    if search.upper > search.target and time.perf_counter() < deadline:
        search.try_regions(_REGIONS * (deadline - time.perf_counter()))
    while search.upper > search.target and time.perf_counter() < deadline:
        if not search.cut_worst(deadline):
            break
    found, upper = search.lower, search.upper
    many = f" on {search.pieces} pieces" if search.pieces > 1 else ""
    many = "" if search.method == "linear regions" else many
    return LocalBound(
        bound=Enclosure(found.bound.lower, upper, f"witness & {search.method}{many}"),
        norm=p,
        domain=where,
        point=found.point,
        direction=found.direction,
        pieces=search.pieces,
        finished=upper <= search.target,
        seconds=time.perf_counter() - begin,
    )


class _Search:
    """Best first: the piece with the largest bound is the next to be cut."""

    def __init__(
        self,
        *,
        network: Network,
        domain: Box | Ball,
        norm: float,
        rtol: float,
        lower: LowerBound,
    ) -> None:
        self.network, self.folded, self.domain = network, network.fold(), domain
        self.norm, self.rtol, self.lower = norm, rtol, lower
        self.pieces, self.method, self.cap = 0, "composition", math.inf
        self.heap: list[tuple[float, int, Piece | None]] = []

    @property
    def target(self) -> float:
        """The upper bound that is close enough to the witness."""
        return max(self.lower.bound.lower * (1.0 + self.rtol), _NOTHING)

    @property
    def upper(self) -> float:
        """The largest bound of a piece, which is one of the domain."""
        return min(self.cap, -self.heap[0][0] if self.heap else self.cap)

    def add_root(self, deadline: float) -> None:
        """The domain as one piece; the product of norms where that fails, or may be smaller."""
        upper = math.inf
        try:
            bounds = bound_values(self.folded, self.domain, deadline=deadline)
        except NotCertified:
            bounds = None
        if bounds is not None:
            upper = self.add(bounds, math.inf, deadline)
        if math.isinf(upper) or (self.norm != 2 and time.perf_counter() < deadline):
            self.cap = product_bound(self.network, self.norm, rtol=1e-3).bound.upper
            if self.cap < upper:
                self.method = "composition"
        self.pieces = max(self.pieces, 1)

    def add(self, bounds: ValueBounds, at_most: float, deadline: float) -> float:
        """Bound one piece, which lies in another one that is bounded by ``at_most``."""
        piece = piece_of(
            bounds,
            self.norm,
            enough=self.target,
            rtol=min(0.2 * self.rtol, 1e-2),
            deadline=deadline,
        )
        self.pieces += 1
        upper = min(piece.upper, at_most)
        if self.pieces == 1 or piece.method == "semidefinite bound":
            self.method = piece.method
        kept = None if upper <= self.target else replace(piece, upper=upper)
        heapq.heappush(self.heap, (-upper, self.pieces, kept))
        return upper

    def cut_worst(self, deadline: float) -> bool:
        """Replace the piece with the largest bound by its halves; False if that is impossible."""
        if not self.heap:
            return False  # not even the domain as a whole could be bounded: the cap stays
        negative, _, piece = self.heap[0]
        parts = None if piece is None else halves(piece, deadline=deadline)
        if parts is None or (not parts and len(self.heap) == 1):
            return False  # all of a domain cannot be empty: the bound of the piece stays
        heapq.heappop(self.heap)
        for part in parts:
            self.try_middle(part)
            self.add(part, -negative, deadline)
        return True

    def try_regions(self, time_limit: float) -> None:
        """With two or three inputs and ReLUs the exact constant of a box may be at hand."""
        box, size = self.domain, math.prod(self.network.input_shape)
        if size > 3 or not isinstance(box, Box) or not box.free.all():
            return
        from lipschitz.regions import exact_by_regions

        try:
            exact = exact_by_regions(
                self.network, norm=self.norm, domain=box, time_limit=time_limit
            )
        except NotCertified:
            return
        if exact.bound.upper < self.upper:
            self.cap, self.method = exact.bound.upper, "linear regions"
            self.pieces += exact.regions
        if exact.bound.lower > self.lower.bound.lower:
            self.lower = replace(
                self.lower,
                bound=Enclosure.at_least(exact.bound.lower, "linear regions"),
                point=exact.point,
                direction=exact.direction,
                bits=None,
            )

    def try_middle(self, bounds: ValueBounds) -> None:
        """The middle of a piece may be a better witness."""
        box = bounds.domain.hull
        x = 0.5 * box.lower + 0.5 * box.upper
        gates = HardGates(self.folded, x[None], bounds.domain.free.astype(np.float64))
        with np.errstate(all="ignore"):
            values, v, _ = gates.power(self.norm, self.lower.direction[None], 8)
        if not values[0] > self.lower.bound.lower * (1.0 + _BETTER):
            return
        if not v[0].any() or not is_within(self.domain, x, moving=v[0] != 0.0):
            return
        try:
            proved = verify_witness(self.network, x, v[0], norm=self.norm)
        except NotCertified:
            return
        if proved > self.lower.bound.lower:
            bound = Enclosure.at_least(proved, "directional derivative")
            self.lower = replace(self.lower, bound=bound, point=x, direction=v[0], bits=None)
