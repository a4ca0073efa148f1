"""What pages and docstrings say about claims and commands is true.

A page cites a claim it relies on as ``claim:some-id`` and a refuted one as ``refuted:some-id``.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from evidence.registry import read_registry

ROOT = Path(__file__).resolve().parents[1]
REGISTRY = read_registry([ROOT / "tests" / "claims"])
CITATION = re.compile(r"\b(claim|refuted):`?([a-z0-9]+(?:-[a-z0-9]+)+)")
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def refuted_claims() -> set[str]:
    """Claims that a test refutes, read from the markers without running them."""
    refuted = set()
    for path in (ROOT / "tests" / "proofs").glob("test_*.py"):
        tree = ast.parse(path.read_text())
        names = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("proves"):
                keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
                if keywords.get("role") == "'refutes'":
                    claim = node.args[0]
                    is_named = isinstance(claim, ast.Name)
                    refuted.add(names[claim.id] if is_named else ast.literal_eval(claim))
    return refuted


def wrong_citations(text: str, known: set[str], refuted: set[str]) -> list[str]:
    problems = []
    for kind, name in CITATION.findall(text):
        if name not in known:
            problems.append(f"cites {name}, which is no claim")
        elif kind == "claim" and name in refuted:
            problems.append(f"cites {name} as live, but it is refuted")
        elif kind == "refuted" and name not in refuted:
            problems.append(f"cites {name} as refuted, but no test refutes it")
    return problems


def make_targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


def missing_commands(page: str, targets: set[str]) -> list[str]:
    code = "\n".join(CODE.findall(page))
    return sorted(set(MAKE.findall(code)) - targets)


def pages() -> list[Path]:
    folders = [ROOT / "docs", ROOT / "tests", ROOT / "benchmarks"]
    return [
        *ROOT.glob("*.md"),
        *(path for folder in folders if folder.is_dir() for path in folder.rglob("*.md")),
    ]


def texts() -> list[Path]:
    packages = ("evidence", "divergences", "lipschitz", "dynamics", "gan_core", "benchmarks")
    return [*pages(), *(path for name in packages for path in (ROOT / name).rglob("*.py"))]


def test_every_cited_claim_exists_and_has_the_verdict_it_is_cited_with():
    known, refuted = set(REGISTRY.claims), refuted_claims()
    found = [
        f"{path.relative_to(ROOT)}: {problem}"
        for path in texts()
        for problem in wrong_citations(path.read_text(encoding="utf-8"), known, refuted)
    ]
    assert found == []


def test_every_command_on_a_page_is_in_the_makefile():
    targets = make_targets((ROOT / "Makefile").read_text())
    found = {path.name: missing_commands(path.read_text(), targets) for path in pages()}
    assert {name: missing for name, missing in found.items() if missing} == {}


@pytest.mark.skipif(not (ROOT / "README.md").is_file(), reason="no README.md yet")
def test_the_readme_names_the_two_commands():
    code = "\n".join(CODE.findall((ROOT / "README.md").read_text()))
    assert {"bench", "test"} <= set(MAKE.findall(code))


def test_every_refuted_claim_is_registered():
    assert refuted_claims() <= set(REGISTRY.claims)


def test_a_corrected_claim_is_not_itself_refuted():
    refuted = refuted_claims()
    corrections = {c.corrected_by for c in REGISTRY.claims.values() if c.corrected_by}
    assert corrections.isdisjoint(refuted)


# ---- the checks themselves can fail --------------------------------------------------------------
def test_wrong_citations_are_found():
    known, refuted = {"good-one", "bad-one"}, {"bad-one"}
    assert wrong_citations("see claim:good-one, refuted:`bad-one`.", known, refuted) == []
    text = "claim:bad-one refuted:good-one claim:no-such"
    assert len(wrong_citations(text, known, refuted)) == 3


def test_a_command_that_the_makefile_lacks_is_found():
    targets = make_targets("bench: x\n\techo\ntest:\n")
    assert missing_commands(
        "Run `make bench` or\n```sh\nmake fly\n```\nand make sure.", targets
    ) == ["fly"]
