"""A Lipschitz certificate: a sandwich, what proves it, and the network it is about.

It can be sent to someone who trusts nobody: `Certificate.to_json` writes everything that is needed,
`Certificate.from_json` reads it, `Certificate.verify` proves both sides again, without the searches
and solvers that found them (`lipschitz.certificate_check`).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from evidence import Enclosure
from evidence.files import write_atomically
from lipschitz.network import Network
from lipschitz.plain_data import (
    array_data,
    network_data,
    network_of_data,
    read_array,
    read_float,
)

if TYPE_CHECKING:
    from lipschitz.certificate_check import Verification

__all__ = ["Attempt", "Certificate", "Piece", "Witness"]

Rule = Literal["layers", "multipliers", "regions", "sign patterns"]
RULES: tuple[Rule, ...] = ("layers", "multipliers", "regions", "sign patterns")

_FORMAT = "wasserproof certificate 1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piece:
    """A part of the network through which everything passes, with an upper bound of its constant.

    Parameters
    ----------
    first, last : int
        The values of the folded network (`Network.fold`) that it leads from and to; 0 is the
        input, ``j + 1`` the output of node ``j``.
    rule : {"layers", "multipliers", "regions", "sign patterns"}
        What proves the bound: composition of the layers' norms, a semidefinite certificate
        (`lipschitz.multiplier_check`), enumeration of linear regions, branch and bound over the
        sign patterns of one hidden layer.
    upper : float
    multipliers : tuple of arrays
        One for each activation layer of the piece; empty for the other rules.

    Examples
    --------
    >>> Piece(first=0, last=3, rule="layers", upper=6.0).upper
    6.0
    """

    first: int
    last: int
    rule: Rule
    upper: float
    multipliers: tuple[NDArray[np.float64], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Witness:
    """A point and a direction whose slope is a lower bound; see `lipschitz.verify_witness`.

    Parameters
    ----------
    point, direction : array, shape (*network.input_shape)
    bits : int or None
        Precision of the balls that prove it; None for float64.
    lower : float

    Examples
    --------
    >>> Witness(point=np.zeros(1), direction=np.ones(1), lower=6.0).lower
    6.0
    """

    point: NDArray[np.float64]
    direction: NDArray[np.float64]
    lower: float
    bits: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one method gave, whether or not its value is the one certified.

    Parameters
    ----------
    method : str
    side : {"upper", "lower"}
    value : float
        A proved bound of that side; nan if the method was refused or gave none.
    seconds : float
        CPU time.
    note : str
        Why it was refused or stopped, or a figure of its own such as the duality gap.

    Examples
    --------
    >>> Attempt(method="composition", side="upper", value=6.0, seconds=0.001).method
    'composition'
    """

    method: str
    side: Literal["upper", "lower"]
    value: float
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Certificate:
    """Proof that a network's Lipschitz constant lies in ``bound``.

    Parameters
    ----------
    network : Network
    norm : {1, 2, inf}
        On both sides of the network.
    bound : Enclosure
    pieces : tuple of Piece
        From the input to the output without gaps; the product of their bounds is the upper side.
    witness : Witness
        Of the lower side.
    attempts : tuple of Attempt
        Every method tried: a report of the run. Values that contradict the proof are refused by
        `verify`; times and notes are beyond any check.
    layers : tuple of (str, str, Enclosure)
        Name, kind and norm of every layer of the folded network; `verify` encloses them anew.

    Examples
    --------
    >>> from lipschitz import certify, from_arrays
    >>> network = from_arrays([[[2.0], [-2.0]], [[1.0, -1.0]]])  # 2 x, in disguise
    >>> certificate = certify(network)
    >>> certificate.bound.contains(Enclosure(2.0, 2.0, "known")), certificate.bound.rtol < 1e-9
    (True, True)
    >>> sent = certificate.to_json()
    >>> Certificate.from_json(sent).verify().is_valid
    True
    """

    network: Network
    norm: float
    bound: Enclosure
    pieces: tuple[Piece, ...]
    witness: Witness
    attempts: tuple[Attempt, ...] = ()
    layers: tuple[tuple[str, str, Enclosure], ...] = ()

    def verify(self) -> Verification:
        """Prove both sides again from the network, the pieces and the witness alone.

        Returns
        -------
        Verification
            ``is_valid`` and, step by step, what was proved or what failed.
        """
        from lipschitz.certificate_check import check

        return check(self)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """The certificate as JSON text, every float with all its bits; written to ``path`` too.

        Parameters
        ----------
        path : path, optional
            Replaced as a whole or not at all.
        """
        body = {
            "format": _FORMAT,
            "norm": "inf" if math.isinf(self.norm) else str(int(self.norm)),
            "lower": self.bound.lower.hex(),
            "upper": self.bound.upper.hex(),
            "method": self.bound.method,
            "pieces": [_piece_data(piece) for piece in self.pieces],
            "witness": {
                "point": array_data(self.witness.point),
                "direction": array_data(self.witness.direction),
                "bits": self.witness.bits,
                "lower": self.witness.lower.hex(),
            },
            "attempts": [
                {
                    **{k: getattr(a, k) for k in ("method", "side", "note")},
                    "value": a.value.hex(),
                    "seconds": a.seconds.hex(),
                }
                for a in self.attempts
            ],
            "layers": [
                {
                    "name": name,
                    "kind": kind,
                    "lower": norm.lower.hex(),
                    "upper": norm.upper.hex(),
                    "method": norm.method,
                }
                for name, kind, norm in self.layers
            ],
            "network": network_data(self.network),
        }
        text = json.dumps({**body, "sha256": _digest(body)}, indent=1, allow_nan=False)
        if path is not None:
            write_atomically(Path(path), text)
        return text

    @classmethod
    def from_json(cls, text: str) -> Certificate:
        """The certificate that `to_json` wrote.

        Raises
        ------
        ValueError
            If the text is no certificate, or differs from what was written: the SHA-256 of its
            contents is part of it. That protects against damage, not against a liar, who can
            compute it anew: `verify` is for him.

        Examples
        --------
        >>> Certificate.from_json("{}")
        Traceback (most recent call last):
            ...
        ValueError: `text` must be a certificate ('wasserproof certificate 1'), got format None
        """
        if not isinstance(text, str):
            raise TypeError(f"`text` must be a str, got {type(text).__name__}; decode it as UTF-8")
        try:
            body = json.loads(text, parse_constant=_refused_constant)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"`text` must be JSON, got {text[:40]!r}... ({error})") from error
        form = body.get("format") if isinstance(body, dict) else None
        if form != _FORMAT:
            raise ValueError(f"`text` must be a certificate ({_FORMAT!r}), got format {form!r}")
        stated = body.pop("sha256", None)
        if stated != _digest(body):
            raise ValueError(
                f"`text` was changed after it was written: its SHA-256 is {_digest(body)}, the "
                f"one it states is {stated}; ask for the file again"
            )
        try:
            return cls._of_data(body)
        except KeyError as error:
            raise ValueError(f"`text` lacks the key {error}; ask for the file again") from error
        except (TypeError, ValueError, AttributeError, OverflowError, IndexError) as error:
            raise ValueError(
                f"`text` describes no certificate ({error}); ask for the file again"
            ) from error

    @classmethod
    def _of_data(cls, body: dict[str, Any]) -> Certificate:
        witness = body["witness"]
        return cls(
            network=network_of_data(body["network"]),
            norm=float(body["norm"]),
            bound=Enclosure(
                read_float(body["lower"], "lower"),
                read_float(body["upper"], "upper"),
                str(body["method"]),
            ),
            pieces=tuple(_read_piece(piece) for piece in body["pieces"]),
            witness=Witness(
                point=read_array(witness["point"], "witness.point"),
                direction=read_array(witness["direction"], "witness.direction"),
                bits=None if witness["bits"] is None else _bits(witness["bits"]),
                lower=read_float(witness["lower"], "witness.lower"),
            ),
            attempts=tuple(
                Attempt(
                    method=a["method"],
                    side=a["side"],
                    note=a["note"],
                    value=read_float(a["value"], "attempts.value"),
                    seconds=read_float(a["seconds"], "attempts.seconds"),
                )
                for a in body["attempts"]
            ),
            layers=tuple(
                (
                    layer["name"],
                    layer["kind"],
                    Enclosure(
                        read_float(layer["lower"], "layers.lower"),
                        read_float(layer["upper"], "layers.upper"),
                        layer["method"],
                    ),
                )
                for layer in body["layers"]
            ),
        )


# ---- plain data ---------------------------------------------------------------------------------
def _piece_data(piece: Piece) -> dict[str, Any]:
    return {
        "first": piece.first,
        "last": piece.last,
        "rule": piece.rule,
        "upper": piece.upper.hex(),
        "multipliers": [array_data(t) for t in piece.multipliers],
    }


def _read_piece(data: Any) -> Piece:
    if data["rule"] not in RULES:
        raise ValueError(f"`rule` must be one of {RULES}, got {data['rule']!r}")
    return Piece(
        first=_integer(data["first"], "first"),
        last=_integer(data["last"], "last"),
        rule=data["rule"],
        upper=read_float(data["upper"], "pieces.upper"),
        multipliers=tuple(read_array(t, "multipliers") for t in data["multipliers"]),
    )


def _refused_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _bits(data: Any) -> int:
    bits = _integer(data, "witness.bits")
    if not 64 <= bits <= 4096:
        raise ValueError(f"`witness.bits` must lie between 64 and 4096, got {bits}")
    return bits


def _integer(data: Any, name: str) -> int:
    if isinstance(data, bool) or not isinstance(data, int) or not 0 <= data < 2**31:
        raise ValueError(f"`{name}` must be an integer from 0 to 2**31 - 1, got {data!r}")
    return data


def _digest(body: dict[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
