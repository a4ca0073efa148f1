"""What counts as a proof: enclosures, directed rounding, verdicts and the ledger of claims."""

from evidence.enclosure import Enclosure
from evidence.matrices import is_positive_definite, spectral_norm_enclosure
from evidence.verdict import Claim, NotCertified, Strength, Verdict

__all__ = [
    "Claim",
    "Enclosure",
    "NotCertified",
    "Strength",
    "Verdict",
    "is_positive_definite",
    "spectral_norm_enclosure",
]
