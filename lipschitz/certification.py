"""From a network to its certificate: which methods to try, in which order, with what time.

effort      upper side                                             lower side
fast        composition; closed-form multipliers                   short ascent
default     and multipliers by optimisation, in pieces if need     ascent until the sides meet or
            be; exact for one or two inputs, and for one hidden    the time is up
            layer with one output
tight       and three inputs, larger enumerations, longer          a long ascent
            optimisation

Every upper bound that comes out of a method is a `Piece` that can be checked without it.
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from evidence import Enclosure, NotCertified
from evidence.rounding import mul_up
from evidence.validation import choice, generator, positive_float
from lipschitz.certificate import Attempt, Certificate, Piece, Witness
from lipschitz.layers import Activation, LinearLayer
from lipschitz.lower import lower_bound
from lipschitz.network import Network
from lipschitz.operators import NORMS
from lipschitz.pieces import semidefinite_pieces
from lipschitz.product import ProductBound, product_bound
from lipschitz.sdp.bound import Effort

__all__ = ["EFFORTS", "certify"]

EFFORTS = ("fast", "default", "tight")

_AGAIN = 1.0 + 2.0**-40
# A sum in another order may differ in the last digits when the composition is checked again.
_CLOSED = 1e-9
_PIECEWISE_LINEAR = ("relu", "leaky_relu")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """How much each method may do."""

    starts: int
    steps: int
    search_share: float
    regions_inputs: int
    regions_neurons: int


_LIMITS = {
    "fast": _Limits(starts=8, steps=60, search_share=0.1, regions_inputs=0, regions_neurons=0),
    "default": _Limits(
        starts=32, steps=200, search_share=0.2, regions_inputs=2, regions_neurons=300
    ),
    "tight": _Limits(starts=96, steps=400, search_share=0.4, regions_inputs=3, regions_neurons=600),
}


def certify(
    network: Network,
    *,
    norm: float = 2,
    effort: Effort = "default",
    time_limit: float = 60.0,
    search_seconds: float | None = None,
    rng: np.random.Generator | None = None,
) -> Certificate:
    """The best sandwich around a network's Lipschitz constant, with its proof.

    Parameters
    ----------
    network : Network
        From `from_torch`, `from_onnx`, `from_arrays` or `from_mat`.
    norm : {1, 2, inf}
        ``p`` in ``||f(x) - f(y)||_p <= L ||x - y||_p``. For one output the right side alone
        matters, and ``L = sup ||grad f||_q`` with ``1 / p + 1 / q = 1``: a ground cost in l1
        needs gradients bounded in l-infinity.
    effort : {"fast", "default", "tight"}
    time_limit : float
        Seconds after which no method is started and those that can stop early do. However short,
        the composition of the layers is always certified.
    search_seconds : float, optional
        Of that time, how much at most for the search from below; a share that depends on the
        effort if left out.
    rng : numpy.random.Generator, optional
        Of the search from below; None for the same one in every call.

    Returns
    -------
    Certificate
        Whose `verify` proves it again.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    NotCertified
        If no bound exists or none can be computed: a layer whose norm overflows.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> certificate = certify(from_arrays([[[3.0], [-2.0]], [[1.0, 1.0]]]))  # relu(3x) + relu(-2x)
    >>> certificate.bound.lower <= 3.0 <= certificate.bound.upper
    True
    >>> certificate.bound.rtol < 1e-9
    True
    """
    if not isinstance(network, Network):
        raise TypeError(
            f"`network` must be a lipschitz.Network, got {type(network).__name__}; make one with "
            "from_torch, from_onnx, from_arrays or from_mat"
        )
    p = float(choice(norm, "norm", NORMS))
    choice(effort, "effort", EFFORTS)
    limit = positive_float(time_limit, "time_limit")
    seconds = None if search_seconds is None else positive_float(search_seconds, "search_seconds")
    rng = np.random.default_rng(0) if rng is None else generator(rng)
    search = _Search(network, p, limit)
    product = search.compose()
    if p == 2.0:
        search.multipliers(effort)
    search.enumerate(_LIMITS[effort])
    search.ascend(_LIMITS[effort], rng, seconds)
    return search.certificate(product)


@dataclass(slots=True)
class _Search:
    """What has been proved so far."""

    network: Network
    norm: float
    time_limit: float
    folded: Network = field(init=False)
    begin: float = field(init=False)
    upper: float = math.inf
    pieces: tuple[Piece, ...] = ()
    method: str = ""
    witness: Witness = field(init=False)
    attempts: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begin = time.perf_counter()
        self.folded = self.network.fold()
        zero = np.zeros(self.network.input_shape)
        self.witness = Witness(point=zero, direction=zero, lower=0.0)

    @property
    def left(self) -> float:
        """Seconds until the time is up."""
        return self.time_limit - (time.perf_counter() - self.begin)

    @property
    def is_closed(self) -> bool:
        """Whether nothing is left to gain."""
        return self.upper <= self.witness.lower * (1.0 + _CLOSED)

    # ---- upper side ---------------------------------------------------------------------------
    def compose(self) -> ProductBound:
        begin = time.process_time()
        product = product_bound(self.network, self.norm)
        upper = product.bound.upper * _AGAIN
        whole = Piece(first=0, last=len(self.folded.nodes), rule="layers", upper=upper)
        self._note("product", product.plain.upper, begin, "of the layers' norms")
        self._take("composition", (whole,), begin)
        if product.bound.lower > 0.0:
            self._note("composition", product.bound.lower, begin, "one matrix", side="lower")
        return product

    def multipliers(self, effort: Effort) -> None:
        """Semidefinite bounds, whole or in pieces."""
        levels: tuple[Effort, ...] = ("fast", effort)
        for level in dict.fromkeys(levels):
            if self.left <= 0.0 or self.is_closed:
                return
            method = "closed-form multipliers" if level == "fast" else "multipliers"
            begin = time.process_time()
            try:
                pieces, note = semidefinite_pieces(
                    self.folded, effort=level, time_limit=max(self.left, 1e-3)
                )
            except NotCertified as refusal:
                self._note(method, math.nan, begin, str(refusal))
                continue
            self._take(method, pieces, begin, note)

    def enumerate(self, limits: _Limits) -> None:
        """Exact constants where they can be had."""
        inputs = math.prod(self.network.input_shape)
        gates = [n.layer for n in self.folded.nodes if not isinstance(n.layer, LinearLayer)]
        neurons = sum(math.prod(layer.output_shape) for layer in gates)
        is_piecewise_linear = all(
            isinstance(layer, Activation) and layer.kind in _PIECEWISE_LINEAR for layer in gates
        )
        if not gates or not is_piecewise_linear or self.left <= 0.0 or self.is_closed:
            return
        if inputs <= limits.regions_inputs and neurons <= limits.regions_neurons:
            self._regions()
        elif (
            len(gates) == 1
            and self.norm == 2.0
            and limits.regions_inputs
            and math.prod(self.network.output_shape) == 1
        ):
            self._sign_patterns()

    def _regions(self) -> None:
        from lipschitz.regions import exact_by_regions

        begin = time.process_time()
        try:
            exact = exact_by_regions(self.network, norm=self.norm, time_limit=self.left)
        except (NotCertified, ValueError) as refusal:
            self._note("regions", math.nan, begin, str(refusal))
            return
        if exact.is_complete:
            whole = Piece(
                first=0,
                last=len(self.folded.nodes),
                rule="regions",
                upper=exact.bound.upper * _AGAIN,
            )
            self._take("regions", (whole,), begin, f"{exact.regions} regions")
        self._climb("regions", exact.point, exact.direction, begin)

    def _sign_patterns(self) -> None:
        from lipschitz.one_hidden import one_hidden_constant

        begin = time.process_time()
        try:
            exact = one_hidden_constant(self.folded, time_limit=self.left)
        except (NotCertified, ValueError) as refusal:
            self._note("sign patterns", math.nan, begin, str(refusal))
            return
        if exact.is_complete:
            whole = Piece(
                first=0,
                last=len(self.folded.nodes),
                rule="sign patterns",
                upper=exact.bound.upper * _AGAIN,
            )
            self._take("sign patterns", (whole,), begin, f"{exact.nodes} nodes")
        self._climb("sign patterns", exact.point, exact.direction, begin)

    def _take(self, method: str, pieces: tuple[Piece, ...], begin: float, note: str = "") -> None:
        upper = list(itertools.accumulate((piece.upper for piece in pieces), mul_up))[-1]
        self._note(method, upper, begin, note)
        if upper < self.upper or not self.pieces:
            self.upper, self.pieces, self.method = upper, pieces, method

    # ---- lower side ---------------------------------------------------------------------------
    def ascend(
        self, limits: _Limits, rng: np.random.Generator, at_most: float | None = None
    ) -> None:
        """Search for a steep point, unless the sides have met."""
        if self.is_closed:
            return
        begin = time.process_time()
        seconds = max(self.left, 0.02 * self.time_limit, 1e-3) * limits.search_share
        if at_most is not None:
            seconds = min(seconds, at_most)
        found = lower_bound(
            self.network,
            norm=self.norm,
            rng=rng,
            starts=limits.starts,
            steps=limits.steps,
            time_limit=seconds,
        )
        self._note("ascent", found.bound.lower, begin, side="lower")
        if found.bound.lower > self.witness.lower:
            self.witness = Witness(
                point=found.point,
                direction=found.direction,
                bits=found.bits,
                lower=found.bound.lower,
            )

    def _climb(self, method: str, point: ArrayLike, direction: ArrayLike, begin: float) -> None:
        """Prove the slope that an exact method found."""
        from lipschitz.lower import verify_witness

        x = np.asarray(point, dtype=np.float64).reshape(self.network.input_shape)
        v = np.asarray(direction, dtype=np.float64).reshape(self.network.input_shape)
        for bits in (None, 128):
            try:
                lower = verify_witness(self.network, x, v, norm=self.norm, bits=bits)
            except (NotCertified, ValueError):
                continue
            self._note(method, lower, begin, side="lower")
            if lower > self.witness.lower:
                self.witness = Witness(point=x, direction=v, bits=bits, lower=lower)
            if self.is_closed:
                return

    # ---- result -------------------------------------------------------------------------------
    def _note(
        self, method: str, value: float, begin: float, note: str = "", side: str = "upper"
    ) -> None:
        self.attempts.append(
            Attempt(
                method=method,
                side="lower" if side == "lower" else "upper",
                value=value,
                seconds=time.process_time() - begin,
                note=note,
            )
        )

    def certificate(self, product: ProductBound) -> Certificate:
        return Certificate(
            network=self.network,
            norm=self.norm,
            bound=Enclosure(self.witness.lower, self.upper, self.method),
            pieces=self.pieces,
            witness=self.witness,
            attempts=tuple(self.attempts),
            layers=tuple((layer.name, layer.kind, layer.norm) for layer in product.layers),
        )
