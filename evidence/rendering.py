"""The ledger as text for the terminal, as JSON for machines and as Markdown for pages."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from evidence.ledger import Evidence, Ledger, Row
from evidence.verdict import Verdict

__all__ = ["FORMATS", "render_json", "render_markdown", "render_text"]

# What needs attention comes first.
_ORDER = (
    Verdict.BROKEN,
    Verdict.CONTESTED,
    Verdict.REFUTED_AS_STATED,
    Verdict.OPEN,
    Verdict.NOT_CHECKABLE,
    Verdict.HOLDS_WITH_HYPOTHESES,
    Verdict.HOLDS,
)
_VERDICT, _STRENGTH, _TIME = 22, 15, 8


def render_text(ledger: Ledger, width: int = 100) -> list[tuple[str, Verdict | None]]:
    """Lines for a terminal, each with the verdict that it should be coloured by.

    Only claims whose tests ran are listed; the last line counts the rest.

    Parameters
    ----------
    ledger : Ledger
        The ledger of the run.
    width : int
        Columns; reasons and witnesses are wrapped to it.

    Returns
    -------
    list of (str, Verdict or None)
        Plain text without escape sequences; empty if no claim was run.

    Examples
    --------
    >>> from evidence.registry import Registry
    >>> render_text(Ledger(rows=()))
    []
    """
    if not any(row.was_run for row in ledger.rows):
        return []
    rows = [row for row in ledger.rows if row.is_settled]
    head = f"{'verdict':<{_VERDICT}} {'strength':<{_STRENGTH}} {'time':>{_TIME}}  claim"
    lines: list[tuple[str, Verdict | None]] = [(head, None)]
    for row in sorted(rows, key=lambda r: (_ORDER.index(r.verdict), r.claim.id)):
        lines.append((_line(row), row.verdict))
        remarks = [row.reason] if row.reason else []
        if row.verdict.is_positive and row.chain is not None and row.chain != row.strength:
            remarks.append(f"its weakest link is of strength {row.chain.label}")
        remarks += [f"witness: {_facts(witness)}" for witness in row.witnesses]
        if row.alpha:
            remarks.append(f"decided by chance with probability at most {row.alpha:.1e}")
        for remark in remarks:
            lines += [(text, None) for text in _wrapped(remark, width)]
    if any(row.is_sharp for row in rows):
        lines.append(("* without any one of its hypotheses the conclusion fails (tested)", None))
    if ledger.alpha:
        odds = f"any statistical test is wrong with probability at most {ledger.alpha:.1e}"
        lines.append((odds, None))
    lines.append((_summary(ledger), None))
    return lines


def render_json(ledger: Ledger, about: Mapping[str, Any]) -> str:
    """The whole ledger as JSON, every claim of the registry included.

    Parameters
    ----------
    ledger : Ledger
        The ledger of the run.
    about : mapping
        Facts about the run (versions, exit status, filters), stored under ``run``.

    Returns
    -------
    str
        JSON with sorted keys, ending in a newline.

    Examples
    --------
    >>> print(render_json(Ledger(rows=()), {"exit_status": 0}), end="")
    {
     "claims": {},
     "run": {
      "exit_status": 0
     },
     "schema": 1
    }
    """
    claims = {row.claim.id: _record(row) for row in ledger.rows}
    document = {"schema": 1, "run": dict(about), "claims": claims}
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def render_markdown(ledger: Ledger, about: Mapping[str, Any]) -> str:
    """The claims that were run as a Markdown table, with the witnesses under it.

    Parameters
    ----------
    ledger : Ledger
        The ledger of the run.
    about : mapping
        Facts about the run, listed at the end.

    Returns
    -------
    str
        A Markdown page.

    Examples
    --------
    >>> print(render_markdown(Ledger(rows=()), {}).splitlines()[0])
    # Ledger of claims
    """
    rows = sorted(
        (row for row in ledger.rows if row.is_settled),
        key=lambda r: (_ORDER.index(r.verdict), r.claim.id),
    )
    lines = ["# Ledger of claims", "", "| verdict | strength | claim | statement |"]
    lines.append("|---|---|---|---|")
    for row in rows:
        strength = row.strength.label if row.strength is not None else "-"
        statement = _cell(" ".join(row.claim.statement.split()))
        lines.append(
            f"| {row.verdict.value}{'*' if row.is_sharp else ''} | {strength} "
            f"| `{row.claim.id}` | {statement} |"
        )
    lines += ["", "`*` without any one of its hypotheses the conclusion fails (tested).", ""]
    for row in rows:
        details = _details(row)
        if details:
            lines += [f"## {row.claim.id}", "", *details, ""]
    lines += [_summary(ledger), ""]
    lines += [f"- {key}: {value}" for key, value in about.items()]
    return "\n".join(lines).rstrip() + "\n"


FORMATS = {".json": render_json, ".md": render_markdown}


def _line(row: Row) -> str:
    verdict = row.verdict.value + ("*" if row.is_sharp else "")
    strength = row.strength.label if row.strength is not None else "-"
    time = f"{row.seconds:.2f} s"
    return f"{verdict:<{_VERDICT}} {strength:<{_STRENGTH}} {time:>{_TIME}}  {row.claim.id}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 40), initial_indent="    ", subsequent_indent="      ")


def _facts(witness: Mapping[str, str]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} = {value}" for key, value in witness.items())


def _summary(ledger: Ledger) -> str:
    counts = ledger.counts()
    parts = [f"{counts[v]} {v.value}" for v in reversed(_ORDER) if counts[v]]
    waiting = [row.claim.id for row in ledger.rows if not row.is_settled]
    text = f"{sum(counts.values())} claims: {', '.join(parts)}"
    return f"{text}; {len(waiting)} not run" if waiting else text


def _record(row: Row) -> dict[str, Any]:
    claim = row.claim
    return {
        "verdict": row.verdict.value,
        "reason": row.reason,
        "strength": row.strength.label if row.strength is not None else None,
        "chain": row.chain.label if row.chain is not None else None,
        "was_run": row.was_run,
        "is_sharp": row.is_sharp,
        "conforms": row.conforms,
        "alpha": row.alpha,
        "title": claim.title,
        "kind": claim.kind,
        "area": claim.area,
        "statement": claim.statement,
        "statement_hash": claim.digest,
        "hypotheses": {h.id: h.text for h in claim.hypotheses},
        "scope": list(claim.scope),
        "uses": list(claim.uses),
        "corrected_by": claim.corrected_by,
        "note": claim.note,
        "sources": [
            {"document": s.document, "file": s.file, "where": s.where, "quote": s.quote}
            for s in claim.sources
        ],
        "witnesses": [dict(witness) for witness in row.witnesses],
        "evidence": [_evidence(e) for e in row.evidence],
        "seconds": round(row.seconds, 4),
    }


def _evidence(e: Evidence) -> dict[str, Any]:
    return {
        "test": e.test,
        "role": e.role,
        "outcome": e.outcome,
        "strength": e.strength.label if e.strength is not None else None,
        "scope": list(e.scope),
        "hypothesis": e.hypothesis,
        "lemmas": list(e.lemmas),
        "witness": dict(e.witness) if e.witness else None,
        "seconds": round(e.seconds, 4),
        "alpha": e.alpha,
        "power": e.power,
    }


def _details(row: Row) -> list[str]:
    claim = row.claim
    lines = [f"- {s.document}, {s.where}" for s in claim.sources if row.witnesses]
    lines += [f"- witness: {_facts(witness)}" for witness in row.witnesses]
    lines += [f"- hypothesis `{h.id}`: {h.text}" for h in claim.hypotheses]
    lemmas = sorted({lemma for e in row.evidence for lemma in e.lemmas})
    lines += [f"- relies on: {lemma}" for lemma in lemmas]
    if claim.uses:
        chain = row.chain.label if row.chain is not None else "-"
        used = ", ".join(f"`{other}`" for other in claim.uses)
        lines.append(f"- uses {used}; weakest link: {chain}")
    if claim.corrected_by:
        lines.append(f"- said correctly: `{claim.corrected_by}`")
    if row.alpha:
        lines.append(f"- decided by chance with probability at most {row.alpha:.1e}")
    if row.reason:
        lines.append(f"- {row.reason}")
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
