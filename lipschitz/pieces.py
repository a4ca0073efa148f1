"""Semidefinite bounds as pieces of a certificate, each proved by the checker before it is used."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified
from evidence.rounding import mul_up
from lipschitz.certificate import Piece
from lipschitz.certificate_check import prove_piece
from lipschitz.layers import Activation, LinearLayer
from lipschitz.network import Network, part
from lipschitz.sdp import semidefinite_bound
from lipschitz.sdp.bound import Effort
from lipschitz.sdp.feedforward import is_chain
from lipschitz.sdp.split import split_bound

__all__ = ["semidefinite_pieces"]

_SLACKS: Final = (0.0, 1e-12, 1e-10, 1e-8, 1e-6)
_AGAIN = 1.0 + 2.0**-40
_WHOLE = 3000
"""Values up to which a chain is not split."""


def semidefinite_pieces(
    network: Network, *, effort: Effort, time_limit: float
) -> tuple[tuple[Piece, ...], str]:
    """The best semidefinite bound of the network or of its parts, and a note on how it came about.

    Parameters
    ----------
    network : Network
        Folded.
    effort, time_limit
        As `lipschitz.sdp.semidefinite_bound`.

    Raises
    ------
    NotCertified
        If no multipliers could be proved; the message says why.

    Examples
    --------
    >>> from lipschitz.readers.read_arrays import from_arrays
    >>> identity = from_arrays([[[1.0], [-1.0]], [[1.0, -1.0]]])
    >>> pieces, note = semidefinite_pieces(identity, effort="default", time_limit=10.0)
    >>> len(pieces), round(pieces[0].upper, 6)
    (1, 2.0)
    """
    begin = time.perf_counter()
    size = sum(math.prod(shape) for shape in network.shapes)
    has_slopes = all(isinstance(n.layer, (LinearLayer, Activation)) for n in network.nodes)
    if has_slopes and (effort == "fast" or (is_chain(network) and size <= _WHOLE)):
        whole = semidefinite_bound(network, effort=effort, time_limit=time_limit)
        gap = "" if math.isinf(whole.gap) else f"gap {whole.gap:.0e}"
        if not whole.multipliers:
            raise NotCertified(
                "no multipliers were found at this scale", estimate=whole.bound.upper
            )
        return (_proved(network, 0, len(network.nodes), whole.multipliers, whole.bound.upper),), gap
    if effort == "fast":
        raise NotCertified("the network has layers without slopes; other efforts split it there")
    found = split_bound(network, time_limit=time_limit)
    pieces = []
    for piece in found.pieces:
        if piece.rule == "multipliers":
            sub = part(network, piece.first, piece.last)
            pieces.append(_proved(sub, piece.first, piece.last, piece.multipliers, piece.upper))
        else:
            upper = mul_up(piece.upper, _AGAIN)
            pieces.append(Piece(first=piece.first, last=piece.last, rule="layers", upper=upper))
    seconds = time.perf_counter() - begin
    return tuple(pieces), f"{len(pieces)} pieces" if len(pieces) > 1 else f"{seconds:.1f} s"


def _proved(
    network: Network,
    first: int,
    last: int,
    multipliers: Sequence[NDArray[np.float64]],
    upper: float,
) -> Piece:
    """The piece with the smallest slightly larger bound that the checker proves."""
    for slack in _SLACKS:
        stated = upper if slack == 0.0 else mul_up(upper, 1.0 + slack)
        # Multipliers belong to rho = upper^2 and grow with it.
        scaled = tuple(np.asarray(t) * (1.0 + slack) ** 2 for t in multipliers)
        if prove_piece(network, scaled, stated):
            return Piece(
                first=first, last=last, rule="multipliers", upper=stated, multipliers=scaled
            )
    raise NotCertified(
        f"the checker does not prove the multipliers found for {upper:.9g}", estimate=upper
    )
