"""Verdicts as functions of test outcomes, and the ledger in its three forms."""

from __future__ import annotations

import json

import pytest

from evidence.files import write_atomically
from evidence.ledger import Evidence, build_ledger
from evidence.registry import Registry
from evidence.rendering import render_json, render_markdown, render_text
from evidence.verdict import Claim, Hypothesis, Source, Strength, Verdict

WITNESS = {"x": "1/2"}


def claim(name="a", **changes):
    fields = {"title": name, "kind": "theorem", "statement": f"{name} | holds."}
    return Claim(id=name, statement_hash="", **{**fields, **changes})


def proof(name="a", strength="identity", **changes):
    return evidence(name, "proves", strength, **changes)


def twin(name="a", **changes):
    return evidence(name, "must_fail", None, **changes)


def refutation(name="a", strength="certificate", witness=WITNESS, **changes):
    return evidence(name, "refutes", strength, witness=witness, **changes)


def evidence(name, role, strength, outcome="passed", **changes):
    return Evidence(
        claim=name,
        test=f"tests/proofs/test_{name}.py::test_{role}",
        role=role,
        outcome=outcome,
        strength=None if strength is None else Strength.parse(strength),
        **changes,
    )


def rows(claims, *outcomes):
    ledger = build_ledger(Registry.of(claims, frozen=False), outcomes)
    return {row.claim.id: row for row in ledger.rows}


def row(*outcomes, **changes):
    return rows([claim(**changes)], *outcomes)["a"]


# ---- one claim -----------------------------------------------------------------------------------
@pytest.mark.parametrize("strength", ["solver", "enclosure", "certificate", "identity"])
def test_a_proof_with_its_twin_makes_a_claim_hold(strength):
    result = row(proof(strength=strength), twin())
    assert (result.verdict, result.strength.label, result.reason) == (Verdict.HOLDS, strength, "")


@pytest.mark.parametrize("strength", ["instance-proved", "statistical", "tested", "cited"])
def test_weaker_evidence_leaves_a_claim_open_and_is_shown(strength):
    result = row(proof(strength=strength), twin())
    assert (result.verdict, result.strength.label) == (Verdict.OPEN, strength)
    assert result.reason == f"evidence of strength {strength} does not prove it"


def test_a_claim_with_hypotheses_holds_with_them():
    hypotheses = (Hypothesis(id="h", text="x > 0"),)
    result = row(proof(), twin(), hypotheses=hypotheses)
    assert (result.verdict, result.is_sharp) == (Verdict.HOLDS_WITH_HYPOTHESES, False)


def test_hypotheses_are_sharp_when_each_is_dropped_in_some_test():
    hypotheses = (Hypothesis(id="h", text="x > 0"), Hypothesis(id="k", text="x < 1"))
    drops_h = evidence("a", "needs_hypothesis", None, hypothesis="h")
    drops_k = evidence("a", "needs_hypothesis", None, hypothesis="k")
    assert not row(proof(), twin(), drops_h, hypotheses=hypotheses).is_sharp
    assert row(proof(), twin(), drops_h, drops_k, hypotheses=hypotheses).is_sharp


def test_a_proof_without_its_twin_leaves_a_claim_open():
    assert row(proof()).reason == "its must-fail twin did not run"
    assert row(proof(), twin(outcome="skipped")).verdict is Verdict.OPEN


def test_a_twin_alone_proves_nothing():
    result = row(twin())
    assert (result.verdict, result.reason) == (Verdict.OPEN, "no proof ran")


def test_a_skipped_proof_proves_nothing():
    assert row(proof(outcome="skipped"), twin()).verdict is Verdict.OPEN


def test_support_never_decides_whatever_its_strength():
    result = row(evidence("a", "supports", "identity"), twin())
    assert (result.verdict, result.strength) == (Verdict.OPEN, Strength.IDENTITY)


def test_a_conforming_test_is_recorded_but_does_not_decide():
    result = row(evidence("a", "conforms", "tested"), twin())
    assert (result.verdict, result.conforms, result.strength) == (Verdict.OPEN, True, None)


def test_a_claim_without_tests_is_open():
    result = row()
    assert (result.verdict, result.reason, result.was_run) == (Verdict.OPEN, "no test ran", False)


def test_a_published_claim_without_tests_is_at_least_cited():
    source = Source(document="Notes", file="notes.pdf", where="p. 1")
    assert row(sources=(source,)).strength is Strength.CITED


@pytest.mark.parametrize("role", ["proves", "refutes", "must_fail", "supports", "conforms"])
def test_any_failing_test_breaks_a_claim(role):
    result = row(proof(), twin(), evidence("a", role, "identity", outcome="failed"))
    assert (result.verdict, result.strength) == (Verdict.BROKEN, None)
    assert result.reason.endswith(f"test_{role} fails")


def test_a_verified_witness_refutes():
    result = row(refutation(), twin())
    assert result.verdict is Verdict.REFUTED_AS_STATED
    assert result.witnesses == (WITNESS,)


def test_a_refutation_without_a_witness_does_not_count():
    assert row(refutation(witness=None), twin()).verdict is Verdict.OPEN


def test_a_weak_refutation_does_not_count():
    assert row(refutation(strength="tested"), twin()).verdict is Verdict.OPEN


def test_a_failed_refutation_breaks_rather_than_refutes():
    assert row(refutation(outcome="failed")).verdict is Verdict.BROKEN


def test_a_claim_both_proved_and_refuted_is_contested():
    assert row(proof(), twin(), refutation()).verdict is Verdict.CONTESTED


def test_a_claim_declared_uncheckable_is_not_checkable():
    result = row(why_not_checkable="a matter of taste")
    assert (result.verdict, result.reason) == (Verdict.NOT_CHECKABLE, "a matter of taste")


# ---- scope ---------------------------------------------------------------------------------------
def test_a_claim_holds_only_when_all_its_cases_are_proved():
    result = row(proof(scope=("1-D",)), twin(), scope=("1-D", "2-D"))
    assert (result.verdict, result.reason) == (Verdict.OPEN, "not proved for: 2-D")


def test_the_weakest_case_gives_the_strength():
    outcomes = [proof(scope=("1-D",)), proof(scope=("2-D",), strength="solver"), twin()]
    result = row(*outcomes, scope=("1-D", "2-D"))
    assert (result.verdict, result.strength) == (Verdict.HOLDS, Strength.SOLVER)


def test_the_strongest_proof_of_a_case_counts():
    outcomes = [proof(strength="solver"), proof(scope=("2-D",)), proof(scope=("1-D",)), twin()]
    assert row(*outcomes, scope=("1-D", "2-D")).strength is Strength.IDENTITY


def test_one_weakly_proved_case_leaves_the_claim_open():
    outcomes = [proof(scope=("1-D",)), proof(scope=("2-D",), strength="tested"), twin()]
    assert row(*outcomes, scope=("1-D", "2-D")).verdict is Verdict.OPEN


# ---- chains --------------------------------------------------------------------------------------
CHAIN = (claim("a"), claim("b", uses=("a",)), claim("c", uses=("b",)))


def test_a_chain_is_as_strong_as_its_weakest_link():
    result = rows(CHAIN, proof("a", "solver"), twin("a"), proof("b"), twin("b"), proof("c"),
                  twin("c"))["c"]  # fmt: skip
    assert (result.verdict, result.strength, result.chain) == (
        Verdict.HOLDS,
        Strength.IDENTITY,
        Strength.SOLVER,
    )


def test_a_proof_that_rests_on_a_claim_not_run_is_open():
    result = rows(CHAIN, proof("b"), twin("b"))["b"]
    assert (result.verdict, result.reason) == (Verdict.OPEN, "rests on a (not run)")


def test_a_proof_that_rests_on_an_open_claim_is_open_all_the_way_down():
    results = rows(CHAIN, proof("a", "tested"), proof("b"), twin("b"), proof("c"), twin("c"))
    assert results["b"].reason == "rests on a (open)"
    assert results["c"].reason == "rests on b (open)"
    assert results["c"].chain is Strength.TESTED


def test_what_uses_a_refuted_claim_is_contested_all_the_way_down():
    results = rows(CHAIN, refutation("a"), twin("a"), proof("b"), twin("b"), proof("c"), twin("c"))
    assert results["b"].verdict is results["c"].verdict is Verdict.CONTESTED
    assert results["b"].reason == "uses a (refuted-as-stated)"


def test_what_uses_a_broken_claim_is_contested():
    results = rows(CHAIN, proof("a", outcome="failed"), proof("b"), twin("b"))
    assert results["b"].reason == "uses a (broken)"


def test_a_refutation_does_not_depend_on_what_the_claim_used():
    results = rows(CHAIN, refutation("a"), refutation("b"))
    assert results["b"].verdict is Verdict.REFUTED_AS_STATED


def test_evidence_about_unknown_claims_is_ignored():
    assert rows([claim()], proof("z"), proof(), twin())["a"].verdict is Verdict.HOLDS


# ---- the three forms -----------------------------------------------------------------------------
def ledger():
    claims = [
        claim("holding"),
        claim("refuted-one", sources=(Source(document="Notes", file="n.pdf", where="p. 1"),)),
        claim("waiting"),
        claim("broken-one"),
    ]
    outcomes = [
        proof("holding", seconds=0.25, lemmas=("induction",)),
        twin("holding"),
        refutation("refuted-one", witness={"x": "1/2", "long_name": "y " * 80}),
        twin("refuted-one"),
        proof("broken-one", outcome="failed"),
    ]
    return build_ledger(Registry.of(claims, frozen=False), outcomes)


def test_the_terminal_lists_what_was_run_worst_first():
    text = [line for line, _ in render_text(ledger(), 100)]
    assert text[0].split() == ["verdict", "strength", "time", "claim"]
    order = [line.split()[0] for line in text if not line.startswith(" ")][1:4]
    assert order == ["broken", "refuted-as-stated", "holds"]
    assert text[-1] == "3 claims: 1 holds, 1 refuted-as-stated, 1 broken; 1 not run"
    assert not any("waiting" in line for line in text)


def test_the_terminal_shows_the_witness_of_a_refutation():
    text = "\n".join(line for line, _ in render_text(ledger(), 100))
    assert "    witness: x = 1/2, long name = y y" in text


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_keeps_to_its_width(width):
    assert all(len(line) <= width for line, _ in render_text(ledger(), width))


def test_the_terminal_names_a_weaker_link_of_the_chain():
    outcomes = [proof("a", "solver"), twin("a"), proof("b"), twin("b")]
    result = build_ledger(Registry.of(CHAIN, frozen=False), outcomes)
    text = [line for line, _ in render_text(result)]
    assert text[2].startswith("holds                  identity ")
    assert text[3] == "    its weakest link is of strength solver"


def test_lines_of_text_carry_no_escape_sequences():
    assert not any("\x1b" in line for line, _ in render_text(ledger()))


def test_json_holds_every_claim_and_its_evidence():
    document = json.loads(render_json(ledger(), {"exit_status": 1}))
    assert sorted(document["claims"]) == ["broken-one", "holding", "refuted-one", "waiting"]
    holding = document["claims"]["holding"]
    assert (holding["verdict"], holding["strength"], holding["seconds"]) == (
        "holds",
        "identity",
        0.25,
    )
    assert holding["evidence"][1]["lemmas"] == ["induction"]
    assert document["claims"]["waiting"]["was_run"] is False
    assert document["claims"]["refuted-one"]["witnesses"][0]["x"] == "1/2"
    assert document["run"] == {"exit_status": 1}


def test_markdown_escapes_bars_and_lists_witnesses():
    page = render_markdown(ledger(), {"python": "3.11"})
    assert r"| holds | identity | `holding` | holding \| holds. |" in page
    assert "- witness: x = 1/2" in page
    assert "- relies on: induction" in page
    assert "- Notes, p. 1" in page
    assert "waiting" not in page


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "ledger.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
