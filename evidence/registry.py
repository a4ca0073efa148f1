"""The registry of claims: TOML files written by people, one per source document."""

from __future__ import annotations

import graphlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from evidence.verdict import Claim, Hypothesis, Source

__all__ = ["Registry", "RegistryError", "read_registry"]

# A longer quotation belongs to its author's page, not to a registry.
LONGEST_QUOTE = 25

_DOCUMENT_KEYS = frozenset({"name", "file"})
_CLAIM_KEYS = frozenset(
    {
        "id",
        "title",
        "kind",
        "area",
        "statement",
        "statement_hash",
        "hypotheses",
        "sources",
        "scope",
        "uses",
        "corrected_by",
        "note",
        "why_not_checkable",
    }
)
_SOURCE_KEYS = frozenset({"document", "where", "quote"})
_HYPOTHESIS_KEYS = frozenset({"id", "text"})


class RegistryError(ValueError):
    """The registry of claims contradicts itself; ``problems`` lists everything that is wrong.

    Examples
    --------
    >>> print(RegistryError(["one thing", "another"]))
    one thing
    another
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Claims by id, each after the claims it uses.

    Examples
    --------
    >>> registry = Registry.of([
    ...     Claim(id="b", title="B", kind="theorem", statement="B.", statement_hash="",
    ...           uses=("a",)),
    ...     Claim(id="a", title="A", kind="lemma", statement="A.", statement_hash=""),
    ... ], frozen=False)
    >>> list(registry.claims)
    ['a', 'b']
    """

    claims: Mapping[str, Claim]

    @classmethod
    def of(cls, claims: Iterable[Claim], *, frozen: bool = True) -> Registry:
        """Check claims against each other and order them.

        Parameters
        ----------
        claims : iterable of Claim
            In any order.
        frozen : bool
            Whether every statement must carry its recorded hash.

        Raises
        ------
        RegistryError
            For a repeated id, an unknown id, a cycle or a statement that differs from its hash.
        """
        by_id: dict[str, Claim] = {}
        problems: list[str] = []
        for claim in claims:
            if claim.id in by_id:
                problems.append(f"claim {claim.id}: the id is used twice; ids are never reused")
            by_id[claim.id] = claim
        for claim in by_id.values():
            for other in (*claim.uses, *filter(None, [claim.corrected_by])):
                if other not in by_id:
                    problems.append(f"claim {claim.id}: refers to the unknown claim {other!r}")
            if frozen and not claim.is_frozen:
                problems.append(_changed(claim))
        graph = {c.id: [u for u in c.uses if u in by_id] for c in by_id.values()}
        try:
            order = list(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as error:
            cycle = " -> ".join(reversed(error.args[1]))
            problems.append(f"claims use each other in a cycle: {cycle}")
            order = []
        if problems:
            raise RegistryError(problems)
        return cls(claims=MappingProxyType({name: by_id[name] for name in order}))


def read_registry(folders: Iterable[Path]) -> Registry:
    """Read every ``*.toml`` file in the folders into one registry.

    Parameters
    ----------
    folders : iterable of Path
        Folders of registry files; their format is described in ``tests/README.md``.

    Returns
    -------
    Registry
        The claims, each after those it uses.

    Raises
    ------
    RegistryError
        With every problem found: a missing folder, malformed TOML, an unknown or missing key, a
        repeated or unknown id, a cycle, a quotation of more than 25 words, a changed statement.

    Examples
    --------
    >>> read_registry([]).claims
    mappingproxy({})
    """
    problems: list[str] = []
    contents: dict[Path, dict[str, Any]] = {}
    for folder in folders:
        if not folder.is_dir():
            problems.append(f"`claims` names {folder}, which is not a folder")
            continue
        for path in sorted(folder.glob("*.toml")):
            try:
                contents[path] = tomllib.loads(path.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                problems.append(f"{path.name}: not valid TOML: {error}")
    documents = {
        path.stem: _document(path, content, problems) for path, content in contents.items()
    }
    claims: list[Claim] = []
    for path, content in contents.items():
        for block in content.get("claim", []):
            label = f"{path.name}: claim {block.get('id', '?')}"
            try:
                claims.append(_claim(block, path.stem, documents))
            except (KeyError, TypeError, ValueError) as error:
                problems.append(f"{label}: {_words(error)}")
    try:
        registry = Registry.of(claims)
    except RegistryError as error:
        problems.extend(error.problems)
    if problems:
        raise RegistryError(problems)
    return registry


def _document(path: Path, content: dict[str, Any], problems: list[str]) -> tuple[str, str]:
    unknown = content.keys() - {"document", "claim"}
    if unknown:
        problems.append(f"{path.name}: unknown table {sorted(unknown)[0]!r}; use [[claim]]")
    table = content.get("document", {})
    if not isinstance(table, dict) or set(table) != _DOCUMENT_KEYS:
        problems.append(f"{path.name}: [document] must have exactly `name` and `file`")
        return ("", "")
    return (str(table["name"]), str(table["file"]))


def _claim(block: dict[str, Any], stem: str, documents: Mapping[str, tuple[str, str]]) -> Claim:
    _known(block, _CLAIM_KEYS)
    for required in ("id", "title", "kind", "statement"):
        if required not in block:
            raise ValueError(f"`{required}` is missing")
    sources = []
    for entry in block.get("sources", []):
        _known(entry, _SOURCE_KEYS)
        key = entry.get("document", stem)
        if key not in documents:
            raise ValueError(f"`document` = {key!r} is no registry file; use the name of one")
        quote = entry.get("quote", "")
        if len(quote.split()) > LONGEST_QUOTE:
            raise ValueError(f"`quote` has {len(quote.split())} words; at most {LONGEST_QUOTE}")
        name, file = documents[key]
        sources.append(Source(document=name, file=file, where=entry["where"], quote=quote))
    hypotheses = []
    for entry in block.get("hypotheses", []):
        _known(entry, _HYPOTHESIS_KEYS)
        hypotheses.append(Hypothesis(id=entry["id"], text=entry["text"]))
    plain = {key: block[key] for key in block.keys() & (_CLAIM_KEYS - _LISTS)}
    for key, value in plain.items():
        if not isinstance(value, str):
            raise TypeError(f"`{key}` must be a string, got {value!r}")
    return Claim(
        **{"statement_hash": "", **plain},
        hypotheses=tuple(hypotheses),
        sources=tuple(sources),
        scope=tuple(block.get("scope", ())),
        uses=tuple(block.get("uses", ())),
    )


_LISTS = frozenset({"hypotheses", "sources", "scope", "uses"})


def _known(table: Mapping[str, Any], allowed: frozenset[str]) -> None:
    unknown = sorted(set(table) - allowed)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; known are {', '.join(sorted(allowed))}")


def _changed(claim: Claim) -> str:
    if not claim.statement_hash:
        return (
            f"claim {claim.id}: the statement is not frozen; when it says what you mean, add\n"
            f'    statement_hash = "{claim.digest}"'
        )
    return (
        f"claim {claim.id}: statement, scope or hypotheses changed after they were frozen "
        f"({claim.statement_hash[:12]} recorded, {claim.digest[:12]} now); another statement is "
        "another claim with another id, and a mere correction of words is frozen again by\n"
        f'    statement_hash = "{claim.digest}"'
    )


def _words(error: Exception) -> str:
    return f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
