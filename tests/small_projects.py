"""Small pytest projects with a registry of their own, for the tests of the plugin."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from evidence.verdict import Claim, Hypothesis

ROOT = Path(__file__).resolve().parents[1]
# Hypothesis' own plugin would import all of Hypothesis in every small run.
LEAN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")

PROOF = """
import pytest
proves = pytest.mark.proves

def check(n):
    assert n * n >= n

@proves("a", strength="identity")
def test_proof():
    check(2)

@proves("a", role="must_fail")
def test_twin():
    check(0.5)
"""

REFUTATION = """
import pytest
from fractions import Fraction
proves = pytest.mark.proves

def refute(n):
    assert n * n < n

@proves("b", strength="certificate", role="refutes")
def test_refutation(record_witness):
    refute(Fraction(1, 2))
    record_witness(n=Fraction(1, 2), pair=[1, "x"], nested={"k": 3})

@proves("b", role="must_fail")
def test_refutation_twin():
    refute(2)
"""


def claim_block(name, *, scope=(), hypotheses=(), uses=(), extra=""):
    claim = Claim(
        id=name,
        title=name,
        kind="theorem",
        statement=f"Claim {name}.",
        statement_hash="",
        scope=scope,
        hypotheses=tuple(Hypothesis(id=h, text=h) for h in hypotheses),
    )
    tables = ", ".join(f'{{ id = "{h}", text = "{h}" }}' for h in hypotheses)
    return (
        f'[[claim]]\nid = "{name}"\ntitle = "{name}"\nkind = "theorem"\n'
        f'statement = "Claim {name}."\nstatement_hash = "{claim.digest}"\n'
        f"scope = {json.dumps(list(scope))}\nuses = {json.dumps(list(uses))}\n"
        f"hypotheses = [{tables}]\n{extra}\n"
    )


class Project:
    """Claims a, b and u (plain; u uses a), c (two cases), h (one hypothesis), n (no tests)."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        claims = [
            claim_block("a"),
            claim_block("b"),
            claim_block("c", scope=("left", "right")),
            claim_block("h", hypotheses=("positive",)),
            claim_block("n", extra='why_not_checkable = "a matter of taste"'),
            claim_block("u", uses=("a",)),
        ]
        self.pytester = pytester
        self.path = pytester.path
        self.registry = pytester.mkdir("claims") / "notes.toml"
        head = '[document]\nname = "Notes"\nfile = "notes.pdf"\n'
        self.registry.write_text(head + "".join(claims))
        pytester.makeini("[pytest]\nclaims = claims\naddopts = --strict-markers --strict-config")
        shutil.copy(ROOT / "conftest.py", self.path / "conftest.py")
        pytester.syspathinsert(ROOT)

    def write(self, **files: str) -> None:
        """Test files by name without suffix."""
        self.pytester.makepyfile(**files)

    def edit_registry(self, old: str, new: str) -> None:
        text = self.registry.read_text()
        assert old in text
        self.registry.write_text(text.replace(old, new, 1))

    def run(self, *arguments: str, **counts: int) -> pytest.RunResult:
        result = self.pytester.runpytest_inprocess(*LEAN, *arguments)
        if counts:
            result.assert_outcomes(**counts)
        return result

    def ledger(self, *arguments: str) -> dict:
        path = self.path / "out" / "ledger.json"
        self.run("--ledger", str(path), *arguments)
        return json.loads(path.read_text())
