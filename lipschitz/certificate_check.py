"""The checker of certificates: what a sceptic has to read besides `lipschitz.multiplier_check`.

A Lipschitz constant is at most the product of the constants of the pieces of a chain, and at least
the slope at any point in any direction. Each piece is proved by its rule:

multipliers     one Cholesky factorisation, see `lipschitz.multiplier_check`; where the network is
                too deep or too large for it, the finder's own proof in blocks
                (`lipschitz.sdp.proof`, `lipschitz.sdp.graph_proof`);
layers          the norms of its layers are enclosed and composed anew (`lipschitz.product`);
regions, sign   the enumeration is run again; it has no random or iterative part that could be
patterns        trusted less the second time.

The slope is enclosed in float64 or in Arb balls (`lipschitz.verify_witness`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evidence import NotCertified
from evidence.rounding import mul_up
from lipschitz.certificate import Certificate, Piece
from lipschitz.lower import verify_witness
from lipschitz.multiplier_check import multipliers_prove
from lipschitz.network import Network, part
from lipschitz.operators import NORMS
from lipschitz.product import product_bound
from lipschitz.sdp import feed_forward, prove_multipliers
from lipschitz.sdp.feedforward import is_chain
from lipschitz.sdp.graph_proof import prove_graph

__all__ = ["Verification", "check", "prove_piece"]

_DENSE_ROWS = 5000
_REPORTED = 1e-6  # a reported value may be this much better than the one that was proved again


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The outcome of checking a certificate.

    Parameters
    ----------
    is_valid : bool
        Whether both sides were proved.
    steps : tuple of str
        What was proved, and what was not, in order.

    Examples
    --------
    >>> from lipschitz import certify, from_arrays
    >>> certify(from_arrays([[[3.0]]])).verify().is_valid
    True
    """

    is_valid: bool
    steps: tuple[str, ...]


def check(certificate: Certificate) -> Verification:
    """Prove both sides of a certificate, see `Certificate.verify`.

    Examples
    --------
    >>> import dataclasses
    >>> from evidence import Enclosure
    >>> from lipschitz import certify, from_arrays
    >>> honest = certify(from_arrays([[[2.0], [-2.0]], [[1.0, -1.0]]]))
    >>> lie = dataclasses.replace(honest, bound=Enclosure(1.0, 1.9, "wishful thinking"))
    >>> check(lie).is_valid
    False
    """
    steps: list[str] = []
    try:
        is_valid = (
            _proves_lower(certificate, steps)
            & _proves_upper(certificate, steps)
            & _agrees_with_reports(certificate, steps)
        )
    except (NotCertified, TypeError, ValueError, OverflowError) as refusal:
        return Verification(is_valid=False, steps=(*steps, f"refused: {refusal}"))
    return Verification(is_valid=is_valid, steps=tuple(steps))


def _proves_lower(certificate: Certificate, steps: list[str]) -> bool:
    bound, witness = certificate.bound, certificate.witness
    if bound.lower <= 0.0:
        steps.append("lower side 0: a norm is not negative")
        return bound.lower == 0.0
    proved = verify_witness(
        certificate.network,
        witness.point,
        witness.direction,
        norm=certificate.norm,
        bits=witness.bits,
    )
    holds = proved >= witness.lower >= bound.lower
    steps.append(
        f"slope at the witness >= {proved:.17g}, {'as' if holds else 'BELOW what is'} stated"
    )
    return holds


def _proves_upper(certificate: Certificate, steps: list[str]) -> bool:
    if certificate.norm not in NORMS:
        steps.append(f"norm {certificate.norm} is not known")
        return False
    network, pieces = certificate.network.fold(), certificate.pieces
    ends = [0, *(piece.last for piece in pieces)]
    begins = [*(piece.first for piece in pieces), len(network.nodes)]
    if ends != begins:
        steps.append(f"the pieces end at {ends[1:]} and begin at {begins[:-1]}: not a chain")
        return False
    holds = True
    for piece in pieces:
        sub = part(network, piece.first, piece.last)
        if piece.rule == "regions" and len(pieces) == 1:
            sub = certificate.network  # exact weights, where folding would round their products
        proved = _proves_piece(sub, piece, certificate.norm)
        steps.append(
            f"values {piece.first} to {piece.last}: at most {piece.upper:.17g} by {piece.rule}, "
            f"{'proved' if proved else 'NOT proved'}"
        )
        holds &= proved
    product = list(itertools.accumulate((piece.upper for piece in pieces), mul_up))[-1]
    if not product <= certificate.bound.upper:
        steps.append(f"their product {product:.17g} EXCEEDS {certificate.bound.upper:.17g}")
        return False
    return holds


def _agrees_with_reports(certificate: Certificate, steps: list[str]) -> bool:
    """Whether the norms of the layers hold and no method claims what the proof excludes."""
    network, bound = certificate.network.fold(), certificate.bound
    stated = [(name, kind, norm) for name, kind, norm in certificate.layers]
    proved = product_bound(network, certificate.norm).layers if stated else ()
    holds = len(stated) in (0, len(proved))
    for (name, kind, norm), layer in zip(stated, proved, strict=False):
        same = (name, kind) == (layer.name, layer.kind)
        # Enclosures of one number by one method: equal but for the order of sums.
        near = math.isclose(norm.lower, layer.norm.lower, rel_tol=1e-9, abs_tol=1e-300)
        near &= math.isclose(norm.upper, layer.norm.upper, rel_tol=1e-9, abs_tol=1e-300)
        holds &= same and (near or norm == layer.norm)
    for attempt in certificate.attempts:  # comparisons with nan are false
        above, below = attempt.value * (1.0 + _REPORTED), attempt.value * (1.0 - _REPORTED)
        if attempt.side == "upper":
            holds &= not above < bound.upper  # it would be the better bound
        else:
            holds &= not below > bound.lower
    steps.append(f"the reports of layers and methods {'agree' if holds else 'DISAGREE'}")
    return holds


def _proves_piece(network: Network, piece: Piece, norm: float) -> bool:
    if not (0.0 <= piece.upper < math.inf):
        return False
    if piece.rule == "multipliers":
        return norm == 2.0 and prove_piece(network, piece.multipliers, piece.upper)
    if piece.rule == "layers":
        return product_bound(network, norm).bound.upper <= piece.upper
    if piece.rule == "regions":
        from lipschitz.regions import exact_by_regions

        return exact_by_regions(network, norm=norm).bound.upper <= piece.upper
    from lipschitz.one_hidden import one_hidden_constant

    return norm == 2.0 and one_hidden_constant(network).bound.upper <= piece.upper


def prove_piece(network: Network, multipliers: Sequence[NDArray[np.float64]], upper: float) -> bool:
    """Whether the multipliers prove the bound, by any of the checkers.

    Examples
    --------
    >>> from lipschitz import from_arrays
    >>> identity = from_arrays([[[1.0], [-1.0]], [[1.0, -1.0]]])
    >>> prove_piece(identity, [np.array([4.0, 4.0])], 2.000001)
    True
    """
    rows = math.prod(network.input_shape) + sum(np.size(t) for t in multipliers)
    if rows <= _DENSE_ROWS and multipliers_prove(network, multipliers, upper):
        return True
    if is_chain(network):
        return prove_multipliers(feed_forward(network), multipliers, upper)
    return prove_graph(network, multipliers, upper)
