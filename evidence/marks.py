"""The marker ``proves(...)``: reading it from a test, and what a file of proofs must contain."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import TYPE_CHECKING, Any

from evidence.ledger import ROLES
from evidence.registry import Registry
from evidence.verdict import Strength

if TYPE_CHECKING:
    import pytest

__all__ = ["Mark", "check_files", "read_marks"]

_KEYWORDS = frozenset({"strength", "role", "scope", "hypothesis", "lemmas"})
_NEEDS_STRENGTH = frozenset({"proves", "refutes", "supports", "conforms"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What one test says about one claim.

    Examples
    --------
    >>> Mark(claim="a", role="must_fail").strength is None
    True
    """

    claim: str
    role: str = "proves"
    strength: Strength | None = None
    scope: tuple[str, ...] = ()
    hypothesis: str = ""
    lemmas: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data, which survives the way from a worker process."""
        return {
            "claim": self.claim,
            "role": self.role,
            "strength": None if self.strength is None else self.strength.label,
            "scope": list(self.scope),
            "hypothesis": self.hypothesis,
            "lemmas": list(self.lemmas),
        }


def read_marks(item: pytest.Item, registry: Registry) -> tuple[list[Mark], list[str]]:
    """The marks of a test and everything that is wrong with them.

    Parameters
    ----------
    item : pytest.Item
        A collected test.
    registry : Registry
        The claims that exist.

    Returns
    -------
    marks : list of Mark
        The well-formed ones.
    problems : list of str
        One sentence each, beginning with the test's node id.
    """
    marks: list[Mark] = []
    problems: list[str] = []
    for marker in item.iter_markers("proves"):
        try:
            marks.append(_parse(marker.args, marker.kwargs, registry))
        except ValueError as error:
            problems.append(f"{item.nodeid}: {error}")
    if len(marks) > 1 and any(mark.role == "must_fail" for mark in marks):
        problems.append(
            f"{item.nodeid}: a must-fail twin belongs to one claim; write one twin per claim"
        )
    return marks, problems


def check_files(marked: Iterable[tuple[pytest.Item, Mark]], registry: Registry) -> list[str]:
    """What is missing in files of proofs: twins, shared checks, coverage of the scope.

    A file is one complete argument: each claim proved or refuted in it has its must-fail twin
    there, the twin runs the same check function, and the proofs there cover the claim's scope.

    Parameters
    ----------
    marked : iterable of (Item, Mark)
        Every mark of every collected test, in files that were collected whole.
    registry : Registry
        The claims that exist.

    Returns
    -------
    list of str
        One sentence per problem.
    """
    problems: list[str] = []
    groups: dict[tuple[str, str], list[tuple[pytest.Item, Mark]]] = {}
    deciding: dict[str, set[str]] = {}
    for item, mark in marked:
        groups.setdefault((item.nodeid.split("::")[0], mark.claim), []).append((item, mark))
        if mark.role in ("proves", "refutes"):
            deciding.setdefault(mark.claim, set()).add(mark.role)
    for name, roles in deciding.items():
        if len(roles) == 2:
            problems.append(
                f"claim {name}: some tests prove it and others refute it; "
                "refute the statement as made and register the corrected one as another claim"
            )
    for (path, name), members in groups.items():
        decisive = [item for item, mark in members if mark.role in ("proves", "refutes")]
        twins = [item for item, mark in members if mark.role == "must_fail"]
        if not decisive:
            continue
        if not twins:
            problems.append(
                f"{path}: claim {name} has no must-fail twin; add a test with "
                'role="must_fail" that runs the same check on a statement known to be false'
            )
            continue
        checks = set().union(*map(_functions_called, twins))
        for item in decisive:
            if not checks & _functions_called(item):
                problems.append(
                    f"{item.nodeid}: no must-fail twin of {name} calls a function that this test "
                    "calls; put the check into a function that both call"
                )
        proofs = [mark for _, mark in members if mark.role == "proves"]
        cases = registry.claims[name].scope
        if proofs and cases and all(mark.scope for mark in proofs):
            covered = {case for mark in proofs for case in mark.scope}
            missing = [case for case in cases if case not in covered]
            if missing:
                problems.append(
                    f"{path}: the proofs of {name} do not cover its scope: "
                    f"{', '.join(missing)} is missing; prove it or mark them as supports"
                )
    return problems


def _parse(args: tuple[Any, ...], kwargs: Mapping[str, Any], registry: Registry) -> Mark:
    if len(args) != 1 or not isinstance(args[0], str):
        raise ValueError(f"`proves` takes one claim id, got {args!r}")
    unknown = sorted(set(kwargs) - _KEYWORDS)
    if unknown:
        raise ValueError(f"`proves` has no argument {unknown[0]!r}")
    name = args[0]
    claim = registry.claims.get(name)
    if claim is None:
        raise ValueError(f"unknown claim {name!r}; the registry knows {_nearest(name, registry)}")
    role = kwargs.get("role", "proves")
    if role not in ROLES:
        raise ValueError(f"`role` must be one of {', '.join(ROLES)}; got {role!r}")
    strength = Strength.parse(kwargs["strength"]) if "strength" in kwargs else None
    if strength is None and role in _NEEDS_STRENGTH:
        raise ValueError(f"`strength` is missing; a test that {role} says how strong it is")
    if role == "refutes" and strength is not None and strength < Strength.ENCLOSURE:
        raise ValueError(
            f"`strength` = {strength.label!r} cannot refute; a refutation needs an exact or "
            "enclosed witness (enclosure, certificate or identity)"
        )
    if claim.why_not_checkable:
        raise ValueError(f"claim {name} is declared not checkable ({claim.why_not_checkable})")
    scope = _strings(kwargs.get("scope", ()), "scope")
    strange = [case for case in scope if case not in claim.scope]
    if strange:
        cases = ", ".join(map(repr, claim.scope)) or "no separate cases"
        raise ValueError(
            f"`scope` = {strange[0]!r} does not cover claim {name}, which has {cases}; "
            'name its cases, or use role="supports" for evidence on a part'
        )
    hypothesis = kwargs.get("hypothesis", "")
    known = [h.id for h in claim.hypotheses]
    if (role == "needs_hypothesis") != bool(hypothesis) or (hypothesis and hypothesis not in known):
        raise ValueError(
            f"`hypothesis` = {hypothesis!r} with role {role!r}; a test that drops a hypothesis has "
            f'role="needs_hypothesis" and names one of {known}'
        )
    return Mark(
        claim=name,
        role=role,
        strength=strength,
        scope=scope,
        hypothesis=hypothesis,
        lemmas=_strings(kwargs.get("lemmas", ()), "lemmas"),
    )


def _strings(value: Any, name: str) -> tuple[str, ...]:
    values = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(v, str) for v in values):
        raise ValueError(f"`{name}` must be strings, got {value!r}")
    return values


def _nearest(name: str, registry: Registry) -> str:
    import difflib

    close = difflib.get_close_matches(name, registry.claims, n=2, cutoff=0.5)
    return f"{' and '.join(close)}, among others" if close else f"{len(registry.claims)} others"


def _functions_called(item: pytest.Item) -> set[str]:
    """Names of the plain functions of its module that a test refers to."""
    function = getattr(item, "function", None)
    # Hypothesis wraps the test and keeps the original here.
    function = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    if function is None:
        return set()
    function = inspect.unwrap(function)
    known = function.__globals__
    return {
        name
        for name in _names(function.__code__)
        if inspect.isfunction(known.get(name)) and not name.startswith("test_")
    }


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
