"""Semidefinite bounds as pieces of a certificate, each proved by the checker before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified
from evidence.rounding import mul_up
from lipschitz.certificate import Piece
from lipschitz.certificate_check import prove_piece
from lipschitz.network import Network
from lipschitz.sdp import semidefinite_bound
from lipschitz.sdp.bound import Effort

__all__ = ["semidefinite_pieces"]

_SLACKS: Final = (0.0, 1e-12, 1e-10, 1e-8, 1e-6)


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
    whole = semidefinite_bound(network, effort=effort, time_limit=time_limit)
    upper = _proved(network, whole.multipliers, whole.bound.upper)
    piece = Piece(
        first=0,
        last=len(network.nodes),
        rule="multipliers",
        upper=upper,
        multipliers=whole.multipliers,
    )
    gap = "" if whole.gap == float("inf") else f"gap {whole.gap:.0e}"
    return (piece,), gap


def _proved(network: Network, multipliers: Sequence[NDArray[np.float64]], upper: float) -> float:
    """The smallest slightly larger bound that the checker proves."""
    for slack in _SLACKS:
        stated = upper if slack == 0.0 else mul_up(upper, 1.0 + slack)
        if prove_piece(network, multipliers, stated):
            return stated
    raise NotCertified(
        f"the checker does not prove the multipliers found for {upper:.9g}", estimate=upper
    )
