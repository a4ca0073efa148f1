"""Strengths, verdicts and claims as objects."""

from __future__ import annotations

import dataclasses

import pytest

from evidence.verdict import Claim, Hypothesis, NotCertified, Strength, Verdict


def claim(**changes):
    fields = {
        "id": "some-claim",
        "title": "Some claim",
        "kind": "theorem",
        "statement": "Something holds.",
        "statement_hash": "",
    }
    return Claim(**{**fields, **changes})


def test_the_ladder_is_the_policys():
    ladder = [member.label for member in sorted(Strength, reverse=True)]
    assert ladder == [
        "identity",
        "certificate",
        "enclosure",
        "solver",
        "instance-proved",
        "statistical",
        "tested",
        "cited",
    ]


def test_solver_and_above_are_proofs():
    assert [member.label for member in Strength if member.is_proof] == [
        "solver",
        "enclosure",
        "certificate",
        "identity",
    ]


def test_labels_are_read_back():
    assert all(Strength.parse(member.label) is member for member in Strength)


def test_an_unknown_strength_is_refused_with_the_ladder():
    with pytest.raises(ValueError, match=r"`strength` must be one of identity, .*; got 'proved'"):
        Strength.parse("proved")


def test_only_unrefuted_claims_may_be_relied_on():
    assert {v.value for v in Verdict if v.is_positive} == {"holds", "holds-with-hypotheses"}
    assert {v.value for v in Verdict if v.undermines} == {
        "refuted-as-stated",
        "contested",
        "broken",
    }


def test_a_claim_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        claim().statement = "Something else holds."


def test_white_space_does_not_change_the_digest():
    assert claim(statement="Something\n   holds.").digest == claim().digest


@pytest.mark.parametrize(
    "changes",
    [
        {"statement": "Something does not hold."},
        {"scope": ("upper bound",)},
        {"hypotheses": (Hypothesis(id="h", text="x > 0"),)},
    ],
)
def test_statement_scope_and_hypotheses_change_the_digest(changes):
    assert claim(**changes).digest != claim().digest


def test_scope_and_hypotheses_cannot_trade_places_in_the_digest():
    as_scope = claim(scope=("h: x > 0",))
    as_hypothesis = claim(hypotheses=(Hypothesis(id="h", text="x > 0"),))
    assert as_scope.digest != as_hypothesis.digest


def test_remarks_do_not_change_the_digest():
    assert claim(note="read literally", title="T", uses=("other",)).digest == claim().digest


def test_a_claim_is_frozen_by_its_own_digest_only():
    assert claim(statement_hash=claim().digest).is_frozen
    assert not claim(statement_hash=claim().digest, statement="Another.").is_frozen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "Some Claim"}, "`id` must be lower-case words joined by hyphens, got 'Some Claim'"),
        ({"kind": "guess"}, "`kind` must be one of .*; got 'guess'"),
        ({"statement": "  "}, "`statement` must not be empty"),
        ({"scope": ("a", "a")}, r"`scope` must not repeat a name, got \['a', 'a'\]"),
        ({"uses": ("a", "a")}, "`uses` must not repeat a name"),
    ],
)
def test_a_malformed_claim_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        claim(**changes)


def test_a_definition_has_nothing_to_prove():
    assert claim(kind="definition").why_not_checkable == "a definition"


def test_a_refusal_carries_its_estimate():
    assert NotCertified("no certificate", estimate=2.0).estimate == 2.0
    assert NotCertified("no certificate").estimate is None
