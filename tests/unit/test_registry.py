"""Reading the registry: everything that is wrong with it is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence.registry import RegistryError, read_registry
from evidence.verdict import Claim

ROOT = Path(__file__).resolve().parents[2]
HEAD = '[document]\nname = "Notes"\nfile = "notes.pdf"\n'


def block(name, extra="", statement="Something holds."):
    digest = Claim(
        id=name, title=name, kind="theorem", statement=statement, statement_hash=""
    ).digest
    return (
        f'[[claim]]\nid = "{name}"\ntitle = "{name}"\nkind = "theorem"\n'
        f'statement = "{statement}"\nstatement_hash = "{digest}"\n{extra}\n'
    )


@pytest.fixture
def read(tmp_path):
    def write_and_read(**files):
        for stem, text in files.items():
            (tmp_path / f"{stem}.toml").write_text(text, encoding="utf-8")
        return read_registry([tmp_path])

    return write_and_read


def test_the_registry_of_this_repository_is_consistent():
    assert len(read_registry([ROOT / "tests" / "claims"]).claims) >= 30


def test_a_claim_knows_its_document(read):
    registry = read(notes=HEAD + block("a", 'sources = [{ where = "p. 1", quote = "so it is" }]'))
    (source,) = registry.claims["a"].sources
    assert (source.document, source.file, source.where) == ("Notes", "notes.pdf", "p. 1")


def test_a_claim_may_be_made_by_another_document_too(read):
    other = '[document]\nname = "Slides"\nfile = "slides.pdf"\n'
    sources = 'sources = [{ where = "p. 1" }, { document = "slides", where = "p. 2" }]'
    registry = read(notes=HEAD + block("a", sources), slides=other)
    assert [s.document for s in registry.claims["a"].sources] == ["Notes", "Slides"]


def test_claims_stand_after_the_claims_they_use(read):
    text = HEAD + block("b", 'uses = ["c"]') + block("c", 'uses = ["a"]') + block("a")
    assert list(read(notes=text).claims) == ["a", "c", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[claim", "notes.toml: not valid TOML"),
        (block("a"), r"notes.toml: \[document\] must have exactly `name` and `file`"),
        (HEAD + block("a") + block("a"), "claim a: the id is used twice"),
        (HEAD + block("a", 'verdict = "holds"'), "notes.toml: claim a: unknown key 'verdict'"),
        (HEAD + '[[claim]]\nid = "a"\n', "notes.toml: claim a: `title` is missing"),
        (HEAD + block("a", 'uses = ["b"]'), "claim a: refers to the unknown claim 'b'"),
        (HEAD + block("a", 'corrected_by = "b"'), "claim a: refers to the unknown claim 'b'"),
        (HEAD + block("a", "note = 1"), "claim a: `note` must be a string, got 1"),
        (HEAD + block("a", 'sources = [{ quote = "x" }]'), "claim a: `where` is missing"),
        (
            HEAD + block("a", 'sources = [{ document = "b", where = "x" }]'),
            "claim a: `document` = 'b' is no registry file",
        ),
        (
            HEAD + block("a", f'sources = [{{ where = "x", quote = "{"word " * 26}" }}]'),
            "claim a: `quote` has 26 words; at most 25",
        ),
        (HEAD + "[[claims]]\nid = 'a'", "notes.toml: unknown table 'claims'"),
    ],
)
def test_a_malformed_registry_is_refused(read, text, message):
    with pytest.raises(RegistryError, match=message):
        read(notes=text)


def test_a_cycle_is_refused_and_shown(read):
    text = HEAD + block("a", 'uses = ["b"]') + block("b", 'uses = ["a"]')
    with pytest.raises(RegistryError, match=r"in a cycle: (a -> b -> a|b -> a -> b)"):
        read(notes=text)


def test_a_changed_statement_is_refused_with_its_new_hash(read):
    text = HEAD + block("a").replace("Something holds.", "Something else holds.")
    with pytest.raises(RegistryError, match="claim a: statement, scope or hypotheses changed"):
        read(notes=text)


def test_an_unfrozen_statement_is_refused_with_the_line_to_add(read):
    text = HEAD + "".join(
        line for line in block("a").splitlines(keepends=True) if "statement_hash" not in line
    )
    with pytest.raises(RegistryError, match=r'not frozen.*add\n +statement_hash = "[0-9a-f]{64}"'):
        read(notes=text)


def test_every_problem_is_reported_at_once(read):
    with pytest.raises(RegistryError) as caught:
        read(notes=HEAD + block("a", "x = 1") + block("b", 'uses = ["c"]'), slides="=")
    assert len(caught.value.problems) == 3


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(RegistryError, match="not a folder"):
        read_registry([tmp_path / "nowhere"])
