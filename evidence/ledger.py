"""From the outcomes of tests to verdicts: nothing here is typed in by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evidence.registry import Registry
from evidence.verdict import Claim, Strength, Verdict

__all__ = ["ROLES", "Evidence", "Ledger", "Row", "build_ledger"]

ROLES = ("proves", "refutes", "needs_hypothesis", "must_fail", "supports", "conforms")
_SUPPORTING = ("proves", "supports")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The outcome of one test about one claim.

    Parameters
    ----------
    claim, test : str
        The claim's id and the test's node id.
    role : str
        ``proves`` the claim; ``refutes`` it by a witness; ``needs_hypothesis`` (without it the
        conclusion fails); ``must_fail`` (the same check rejects a false statement); ``supports``
        (evidence short of a proof); ``conforms`` (shipped code computes the proved formula).
    outcome : {"passed", "failed", "skipped"}
        A test that errs in set-up or tear-down has failed.
    strength : Strength, optional
        The rung the test claims; twins and dropped hypotheses need none.
    scope : tuple of str
        Cases of the claim's scope that it covers; empty for all of them.
    hypothesis : str
        For ``needs_hypothesis``: which one is dropped.
    lemmas : tuple of str
        Textbook facts that the argument relies on without checking them.
    witness : mapping of str to str, optional
        For ``refutes``: the counterexample in exact numbers.
    seconds : float
        Time of the test.
    alpha, power : float
        Of a statistical test: the probability that it passes though the claim is false by as much
        as its tolerance, and that it passes though it is true; 0 and 1 for all others.

    Examples
    --------
    >>> Evidence(claim="a", test="t.py::test_a", role="proves", outcome="passed").seconds
    0.0
    """

    claim: str
    test: str
    role: str
    outcome: str
    strength: Strength | None = None
    scope: tuple[str, ...] = ()
    hypothesis: str = ""
    lemmas: tuple[str, ...] = ()
    witness: Mapping[str, str] | None = None
    seconds: float = 0.0
    alpha: float = 0.0
    power: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the ledger: the verdict first, then its warrant.

    ``strength`` is the rung of this claim's own evidence; ``chain`` the weakest rung among it and
    everything the claim uses; ``reason`` says why the verdict is not better; ``is_sharp`` that
    every hypothesis has a test in which it alone is dropped and the conclusion fails;
    ``conforms`` that a test compares shipped code with the claim.

    Examples
    --------
    >>> claim = Claim(id="a", title="A", kind="lemma", statement="A.", statement_hash="")
    >>> Row(claim=claim, verdict=Verdict.OPEN, reason="no tests").was_run
    False
    """

    claim: Claim
    verdict: Verdict
    strength: Strength | None = None
    chain: Strength | None = None
    reason: str = ""
    is_sharp: bool = False
    conforms: bool = False
    evidence: tuple[Evidence, ...] = ()

    @property
    def was_run(self) -> bool:
        """Whether at least one test about the claim ran to an outcome."""
        return any(e.outcome != "skipped" for e in self.evidence)

    @property
    def is_settled(self) -> bool:
        """Whether there is something to report: a test that ran, or nothing that could be run."""
        return self.was_run or self.verdict is Verdict.NOT_CHECKABLE

    @property
    def witnesses(self) -> tuple[Mapping[str, str], ...]:
        """The exact counterexamples, if the claim is refuted."""
        return tuple(e.witness for e in self.evidence if e.role == "refutes" and e.witness)

    @property
    def alpha(self) -> float:
        """Bound of the probability that chance decided one of its statistical tests."""
        return sum(e.alpha for e in self.evidence if e.role != "must_fail")

    @property
    def seconds(self) -> float:
        """Total time of the claim's tests."""
        return sum(e.seconds for e in self.evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The rows of one run, one per claim of the registry, each after the claims it uses.

    Examples
    --------
    >>> len(build_ledger(Registry.of([]), []).rows)
    0
    """

    rows: tuple[Row, ...]

    def counts(self) -> dict[Verdict, int]:
        """How many of the claims that were run, or cannot be, have each verdict."""
        verdicts = [row.verdict for row in self.rows if row.is_settled]
        return {verdict: verdicts.count(verdict) for verdict in Verdict}

    @property
    def alpha(self) -> float:
        """The sum over all claims: how likely it is that chance decided anything in this run."""
        return sum(row.alpha for row in self.rows)


def build_ledger(registry: Registry, evidence: Iterable[Evidence]) -> Ledger:
    """Compute every verdict from what the tests of this run did.

    A claim without tests in the run is open, and never better than the claims it uses: what
    rests on an open claim is open, what rests on a refuted, broken or contested one is contested.

    Parameters
    ----------
    registry : Registry
        The claims.
    evidence : iterable of Evidence
        The outcomes of the run, in any order; those about unknown claims are ignored.

    Returns
    -------
    Ledger
        A row for every claim.

    Examples
    --------
    >>> a = Claim(id="a", title="A", kind="theorem", statement="A.", statement_hash="")
    >>> proof = Evidence(claim="a", test="t.py::test_a", role="proves", outcome="passed",
    ...                  strength=Strength.IDENTITY)
    >>> twin = Evidence(claim="a", test="t.py::test_not_b", role="must_fail", outcome="passed")
    >>> registry = Registry.of([a], frozen=False)
    >>> build_ledger(registry, [proof, twin]).rows[0].verdict.value
    'holds'
    >>> row = build_ledger(registry, [proof]).rows[0]
    >>> row.verdict.value, row.reason
    ('open', 'its must-fail twin did not run')
    """
    by_claim: dict[str, list[Evidence]] = {name: [] for name in registry.claims}
    for item in evidence:
        if item.claim in by_claim:
            by_claim[item.claim].append(item)
    rows: dict[str, Row] = {}
    for name, claim in registry.claims.items():
        used = [rows[other] for other in claim.uses]
        rows[name] = _judge(claim, sorted(by_claim[name], key=lambda e: e.test), used)
    return Ledger(rows=tuple(rows.values()))


def _judge(claim: Claim, evidence: list[Evidence], used: list[Row]) -> Row:
    passed = [e for e in evidence if e.outcome == "passed"]
    failed = [e for e in evidence if e.outcome == "failed"]
    refutations = [
        e
        for e in passed
        if e.role == "refutes" and e.witness and (e.strength or 0) >= Strength.ENCLOSURE
    ]
    strength, uncovered = _proved_strength(claim, passed)
    is_proved = strength is not None and strength.is_proof and not uncovered
    supported = max(
        (e.strength for e in passed if e.strength is not None and e.role in _SUPPORTING),
        default=Strength.CITED if claim.sources else None,
    )
    own = max((e.strength or Strength.CITED for e in refutations), default=supported)

    def row(verdict: Verdict, reason: str = "", own: Strength | None = own) -> Row:
        chain = [other.chain or Strength.CITED for other in used]
        return Row(
            claim=claim,
            verdict=verdict,
            strength=own,
            chain=None if own is None else min([own, *chain]),
            reason=reason,
            is_sharp=_is_sharp(claim, passed),
            conforms=any(e.role == "conforms" for e in passed),
            evidence=tuple(evidence),
        )

    if failed:
        return row(Verdict.BROKEN, f"{failed[0].test} fails", own=None)
    if claim.why_not_checkable:
        return row(Verdict.NOT_CHECKABLE, claim.why_not_checkable)
    if refutations and is_proved:
        return row(Verdict.CONTESTED, "both proved and refuted: one of the two is wrong")
    if refutations:
        return row(Verdict.REFUTED_AS_STATED)
    undermined = [other for other in used if other.verdict.undermines]
    if undermined:
        other = undermined[0]
        return row(Verdict.CONTESTED, f"uses {other.claim.id} ({other.verdict.value})")
    if not is_proved:
        return row(Verdict.OPEN, _why_not_proved(evidence, strength, uncovered))
    if not any(e.role == "must_fail" for e in passed):
        return row(Verdict.OPEN, "its must-fail twin did not run")
    weak = [other for other in used if not other.verdict.is_positive]
    if weak:
        other = weak[0]
        state = other.verdict.value if other.was_run else "not run"
        return row(Verdict.OPEN, f"rests on {other.claim.id} ({state})")
    if claim.hypotheses:
        return row(Verdict.HOLDS_WITH_HYPOTHESES, own=strength)
    return row(Verdict.HOLDS, own=strength)


def _proved_strength(
    claim: Claim, passed: list[Evidence]
) -> tuple[Strength | None, tuple[str, ...]]:
    """The rung at which every case of the scope is proved, and the cases without a proof."""
    cases = claim.scope or ("",)
    best: dict[str, Strength] = {}
    for e in passed:
        if e.role == "proves" and e.strength is not None:
            for case in e.scope or cases:
                best[case] = max(best.get(case, Strength.CITED), e.strength)
    uncovered = tuple(case for case in cases if case not in best)
    covered = [best[case] for case in cases if case in best]
    return (min(covered) if covered else None), uncovered


def _why_not_proved(
    evidence: list[Evidence], strength: Strength | None, uncovered: tuple[str, ...]
) -> str:
    if not evidence:
        return "no test ran"
    if strength is None:
        return "no proof ran"
    if not strength.is_proof:
        return f"evidence of strength {strength.label} does not prove it"
    return f"not proved for: {', '.join(uncovered)}"


def _is_sharp(claim: Claim, passed: list[Evidence]) -> bool:
    dropped = {e.hypothesis for e in passed if e.role == "needs_hypothesis"}
    return bool(claim.hypotheses) and all(h.id in dropped for h in claim.hypotheses)
