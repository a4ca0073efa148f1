"""Verdicts on claims, the strength of their evidence, and the refusal to certify."""

from __future__ import annotations

import enum
import hashlib
import re
from dataclasses import dataclass

__all__ = ["Claim", "Hypothesis", "NotCertified", "Source", "Strength", "Verdict"]

KINDS = (
    "algorithm",
    "complexity",
    "definition",
    "derivation-step",
    "derived-theorem",
    "empirical",
    "exercise",
    "folklore",
    "formula",
    "informal",
    "lemma",
    "meta",
    "proof-step",
    "terminology",
    "theorem",
)
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class NotCertified(ArithmeticError):  # noqa: N818 - a refusal, not a malfunction
    """The number asked for could not be proved; the uncertified estimate travels along.

    Parameters
    ----------
    message : str
        What could not be certified, why, and what to do instead.
    estimate : float, optional
        The best uncertified value, if there is one.

    Examples
    --------
    >>> try:
    ...     raise NotCertified("no certificate within 10 steps", estimate=1.5)
    ... except NotCertified as refusal:
    ...     print(refusal, refusal.estimate)
    no certificate within 10 steps 1.5
    """

    def __init__(self, message: str, *, estimate: float | None = None) -> None:
        super().__init__(message)
        self.estimate = estimate


class Strength(enum.IntEnum):
    """The ladder of evidence, weakest first; members compare by strength.

    ======================  =====================================================================
    ``cited``               the literature only
    ``tested``              examples or properties in floating point, with a tolerance
    ``statistical``         not refuted by an exact finite-sample law of stated size and power
    ``instance-proved``     every tested instance is proved; that it holds for all is sampled
    ``solver``              an SMT or LP solver decided it
    ``enclosure``           balls, intervals or error-bounded floats about one object or box
    ``certificate``         an object anyone can recheck in exact arithmetic (a witness, a dual,
                            a sum of squares, nonnegative multipliers)
    ``identity``            a universal claim reduced to polynomial or rational identities
    ======================  =====================================================================

    Examples
    --------
    >>> Strength.parse("instance-proved") < Strength.SOLVER
    True
    >>> Strength.ENCLOSURE.is_proof, Strength.TESTED.is_proof, Strength.IDENTITY.label
    (True, False, 'identity')
    """

    CITED = 0
    TESTED = 1
    STATISTICAL = 2
    INSTANCE_PROVED = 3
    SOLVER = 4
    ENCLOSURE = 5
    CERTIFICATE = 6
    IDENTITY = 7

    @property
    def label(self) -> str:
        """The name in files and tables, such as ``instance-proved``."""
        return self.name.lower().replace("_", "-")

    @property
    def is_proof(self) -> bool:
        """Whether evidence of this strength decides a claim: ``solver`` or stronger."""
        return self >= Strength.SOLVER

    @classmethod
    def parse(cls, label: str) -> Strength:
        """The member with this label.

        Raises
        ------
        ValueError
            If there is no such rung; the message lists the ladder.
        """
        for member in cls:
            if member.label == label:
                return member
        ladder = ", ".join(member.label for member in sorted(cls, reverse=True))
        raise ValueError(f"`strength` must be one of {ladder}; got {label!r}")


class Verdict(enum.Enum):
    """What the tests of a run say about a claim: computed from them, never typed in.

    ``holds`` and ``holds-with-hypotheses`` need a proof of strength ``solver`` or more whose scope
    covers the claim, a must-fail twin, and a chain of proved claims below it; ``refuted-as-stated``
    needs an exact or enclosed witness; ``contested`` means that it rests on a refuted, broken or
    contested claim, or is both proved and refuted; ``broken`` means that one of its tests failed;
    everything else is ``open``.

    Examples
    --------
    >>> Verdict("refuted-as-stated").name, Verdict.HOLDS.is_positive
    ('REFUTED_AS_STATED', True)
    """

    HOLDS = "holds"
    HOLDS_WITH_HYPOTHESES = "holds-with-hypotheses"
    REFUTED_AS_STATED = "refuted-as-stated"
    CONTESTED = "contested"
    OPEN = "open"
    NOT_CHECKABLE = "not-checkable"
    BROKEN = "broken"

    @property
    def is_positive(self) -> bool:
        """Whether the claim may be relied on (under its hypotheses, if it has any)."""
        return self in (Verdict.HOLDS, Verdict.HOLDS_WITH_HYPOTHESES)

    @property
    def undermines(self) -> bool:
        """Whether a claim that uses this one becomes contested."""
        return self in (Verdict.REFUTED_AS_STATED, Verdict.BROKEN, Verdict.CONTESTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """A condition under which a claim is made, with a name that tests can drop it by.

    Examples
    --------
    >>> Hypothesis(id="circular", text="the padding is circular").id
    'circular'
    """

    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a claim is made: the document, its published file, the place in it, its own words.

    Examples
    --------
    >>> Source(document="Term paper", file="003.txt", where="Proof 1, l.119").where
    'Proof 1, l.119'
    """

    document: str
    file: str
    where: str
    quote: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A statement of record. Its verdict is not part of it: tests compute that.

    Parameters
    ----------
    id : str
        Lower-case words joined by hyphens; never reused for another statement.
    statement : str
        The claim as its source makes it, in one sentence.
    statement_hash : str
        ``digest`` at the time the statement was frozen; collection stops when they differ.
    title, kind, area, note, corrected_by : str
        A short title; one of the kinds of the registry; the area; remarks on the reading; the id
        of the claim that says it correctly.
    hypotheses : tuple of Hypothesis
        Conditions under which the claim is checked; with any, the best verdict is
        ``holds-with-hypotheses``.
    sources : tuple of Source
        Every document that makes the claim.
    scope : tuple of str
        The cases the claim consists of, if it has several; the proofs of the claim in one file
        must cover all of them.
    uses : tuple of str
        Ids of the claims that its proof rests on.
    why_not_checkable : str
        A reason, if no computation could decide the claim; it must then have no tests.

    Raises
    ------
    ValueError
        If the id, kind or statement is malformed, or names repeat.

    Examples
    --------
    >>> claim = Claim(id="one-is-one", title="1 = 1", kind="theorem", statement="1 = 1.",
    ...               statement_hash="")
    >>> claim.is_frozen, claim.digest[:12]
    (False, 'd490bb380e2c')
    """

    id: str
    title: str
    kind: str
    statement: str
    statement_hash: str
    area: str = ""
    hypotheses: tuple[Hypothesis, ...] = ()
    sources: tuple[Source, ...] = ()
    scope: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    corrected_by: str = ""
    note: str = ""
    why_not_checkable: str = ""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(
                f"`id` must be lower-case words joined by hyphens, got {self.id!r}; "
                "write it like conv-parseval-factor"
            )
        if self.kind not in KINDS:
            raise ValueError(f"`kind` must be one of {', '.join(KINDS)}; got {self.kind!r}")
        if not self.statement.strip():
            raise ValueError("`statement` must not be empty; say in one sentence what is claimed")
        names = [hypothesis.id for hypothesis in self.hypotheses]
        for what, values in (("hypotheses", names), ("scope", self.scope), ("uses", self.uses)):
            if len(set(values)) != len(values):
                raise ValueError(f"`{what}` must not repeat a name, got {list(values)}")
        if self.kind == "definition" and not self.why_not_checkable:
            object.__setattr__(self, "why_not_checkable", "a definition")

    @property
    def digest(self) -> str:
        """SHA-256 of what is claimed: statement, scope and hypotheses, white space normalised."""
        parts = ["statement: " + self.statement]
        parts += ["scope: " + case for case in self.scope]
        parts += [f"hypothesis {h.id}: {h.text}" for h in self.hypotheses]
        canonical = "\n".join(" ".join(part.split()) for part in parts)
        return hashlib.sha256(canonical.encode("utf-8")).hexdigest()

    @property
    def is_frozen(self) -> bool:
        """Whether the recorded hash is that of the statement as it stands."""
        return self.statement_hash == self.digest
