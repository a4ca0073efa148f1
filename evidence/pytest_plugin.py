"""A pytest plugin: tests carry the claims they prove, and the run ends with the ledger.

Mark a test with the claim it is about, and name the folder of the registry in the configuration::

    @pytest.mark.proves("conv-parseval-factor", strength="identity", role="refutes")
    def test_the_printed_factor_halves_a_unit_impulse(record_witness): ...

    [tool.pytest.ini_options]
    claims = ["tests/claims"]

Collection stops if a mark and the registry disagree, or if a proof has no must-fail twin in its
file. A test with ``role="must_fail"`` is inverted: it passes when its check raises
``AssertionError`` (or ``NotCertified``) and fails when the check accepts the false statement. A
test with ``role="refutes"`` must record its witness. ``--ledger PATH`` writes the ledger; the
suffix, ``.json`` or ``.md``, chooses the form.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from evidence.files import write_atomically
from evidence.ledger import Evidence, Ledger, build_ledger
from evidence.marks import Mark, check_files, read_marks
from evidence.registry import Registry, RegistryError, read_registry
from evidence.rendering import FORMATS, render_text
from evidence.verdict import NotCertified, Strength, Verdict

__all__ = ["record_odds", "record_witness"]

_MARKS: pytest.StashKey[list[Mark]] = pytest.StashKey()
_SESSION = "evidence-session"
_COLOURS = {
    Verdict.BROKEN: {"red": True, "bold": True},
    Verdict.REFUTED_AS_STATED: {"red": True},
    Verdict.CONTESTED: {"yellow": True},
    Verdict.HOLDS: {"green": True},
    Verdict.HOLDS_WITH_HYPOTHESES: {"green": True},
}
_PACKAGES = ("wasserproof", "numpy", "scipy", "sympy", "python-flint", "torch", "pytest")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("evidence", "ledger of claims")
    group.addoption(
        "--ledger",
        action="append",
        default=[],
        metavar="PATH",
        help="write the ledger of claims to PATH (.json or .md); may be repeated",
    )
    parser.addini("claims", "folders of the registry of claims (*.toml)", type="paths", default=[])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "proves(claim_id, strength=..., role='proves', scope=(), hypothesis='', lemmas=()): what "
        "the test says about a claim of the registry; roles: proves, refutes, needs_hypothesis, "
        "must_fail, supports, conforms",
    )
    for name in config.getoption("ledger"):
        if Path(name).suffix not in FORMATS:
            known = " or ".join(sorted(FORMATS))
            raise pytest.UsageError(f"--ledger {name}: the suffix must be {known}")
    config.pluginmanager.register(_Session(config), _SESSION)


@pytest.fixture
def record_witness(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Store the counterexample of a test that refutes a claim; the ledger shows it.

    Values are exact: int, Fraction, bool, str, or lists, tuples and dicts of these. Anything else
    (a sympy number, a ball) is passed as ``str(value)`` by the test, which thereby says how.
    """

    def record(**facts: Any) -> None:
        if not facts:
            raise ValueError("`record_witness` needs facts; pass record_witness(x=..., value=...)")
        exact = {name: _exact(value, name) for name, value in facts.items()}
        request.node.user_properties.append(("witness", json.dumps(exact)))

    return record


@pytest.fixture
def record_odds(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Store the alpha and the power of a statistical test; the ledger adds the alphas up.

    A test may call it several times: the alphas are added, the smallest power is kept.
    """

    def record(*, alpha: float, power: float) -> None:
        if not (0.0 <= alpha <= 1.0 and 0.0 <= power <= 1.0):
            raise ValueError(
                f"`alpha` and `power` must be probabilities, got {alpha!r} and {power!r}"
            )
        odds = json.dumps([float(alpha), float(power)])
        request.node.user_properties.append(("odds", odds))

    return record


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    marks = pyfuncitem.stash.get(_MARKS, [])
    if any(mark.role == "must_fail" for mark in marks):
        try:
            yield
        except (AssertionError, NotCertified):
            return True
        pytest.fail("the check accepted a statement known to be false", pytrace=False)
    result = yield
    if any(mark.role == "refutes" for mark in marks) and not _witness(pyfuncitem.user_properties):
        pytest.fail("a refutation stores its witness: call record_witness(...)", pytrace=False)
    is_statistical = any(mark.strength is Strength.STATISTICAL for mark in marks)
    if is_statistical and _odds(pyfuncitem.user_properties) is None:
        pytest.fail("a statistical test states its odds: call record_odds(...)", pytrace=False)
    return result


class _Session:
    """The registry and the evidence of one pytest session."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.registry = Registry.of([])
        self.evidence: dict[tuple[str, str, str], Evidence] = {}
        self.deselected = 0
        self.problems: list[str] = []

    def pytest_sessionstart(self) -> None:
        try:
            self.registry = read_registry(self.config.getini("claims"))
        except RegistryError as error:
            raise pytest.UsageError(_listed(error.problems)) from error

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        problems: list[str] = []
        marked: list[tuple[pytest.Item, Mark]] = []
        for item in items:
            marks, wrong = read_marks(item, self.registry)
            problems += wrong
            marked += [(item, mark) for mark in marks]
            if marks:
                item.stash[_MARKS] = marks
                text = json.dumps([mark.as_dict() for mark in marks])
                item.user_properties.append(("evidence", text))
        if not problems and self._collects_whole_files():
            problems = check_files(marked, self.registry)
        if problems and self._is_worker():
            # An error of a worker's collection would drown in the controller's own traceback.
            self.problems = problems
        elif problems:
            raise pytest.UsageError(_listed(problems))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        if self.problems:
            pytest.fail(_listed(self.problems), pytrace=False)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.deselected += len(items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A report from a worker process carries its properties, so this works with xdist.
        if report.when != "call" and report.outcome == "passed":
            return
        properties = dict(report.user_properties)
        for entry in json.loads(str(properties.get("evidence", "[]"))):
            item = _evidence(entry, report)
            key = (item.claim, item.role, item.test)
            if key not in self.evidence or item.outcome == "failed":
                self.evidence[key] = item

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        # A run that broke off says nothing about the claims: an older ledger is then left alone.
        finished = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if self._is_worker() or not finished or self.config.getoption("collectonly"):
            return
        for name in self.config.getoption("ledger"):
            path = Path(self.config.invocation_params.dir, name)
            text = FORMATS[path.suffix](self.ledger(), self._about(int(exitstatus)))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        width = shutil.get_terminal_size((100, 24)).columns
        lines = render_text(self.ledger(), width)
        if not lines:
            return
        terminalreporter.write_sep("=", "ledger of claims")
        for text, verdict in lines:
            colour = _COLOURS.get(verdict, {}) if verdict is not None else {}
            terminalreporter.write_line(text, **colour)

    def ledger(self) -> Ledger:
        return build_ledger(self.registry, self.evidence.values())

    def _is_worker(self) -> bool:
        return hasattr(self.config, "workerinput")

    def _collects_whole_files(self) -> bool:
        return not any("::" in arg for arg in self.config.args) and not self.config.getoption(
            "lf", False
        )

    def _about(self, exitstatus: int) -> dict[str, Any]:
        from importlib.metadata import PackageNotFoundError, version

        versions = {}
        for name in _PACKAGES:
            try:
                versions[name] = version(name)
            except PackageNotFoundError:
                continue
        return {
            "exit_status": exitstatus,
            "deselected": self.deselected,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "threads": os.environ.get("OMP_NUM_THREADS", ""),
            "versions": versions,
        }


def _evidence(entry: Mapping[str, Any], report: pytest.TestReport) -> Evidence:
    witness = _witness(report.user_properties) if entry["role"] == "refutes" else None
    alpha, power = _odds(report.user_properties) or (0.0, 1.0)
    return Evidence(
        claim=entry["claim"],
        test=report.nodeid,
        role=entry["role"],
        outcome=report.outcome,
        strength=None if entry["strength"] is None else Strength.parse(entry["strength"]),
        scope=tuple(entry["scope"]),
        hypothesis=entry["hypothesis"],
        lemmas=tuple(entry["lemmas"]),
        witness=witness,
        seconds=report.duration,
        alpha=alpha,
        power=power,
    )


def _odds(properties: list[tuple[str, object]]) -> tuple[float, float] | None:
    given = [json.loads(str(value)) for name, value in properties if name == "odds"]
    if not given:
        return None
    return min(1.0, sum(alpha for alpha, _ in given)), min(power for _, power in given)


def _witness(properties: list[tuple[str, object]]) -> dict[str, str] | None:
    facts: dict[str, str] = {}
    for name, value in properties:
        if name == "witness":
            facts.update(json.loads(str(value)))
    return facts or None


def _exact(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, Fraction)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"({', '.join(_exact(entry, name) for entry in value)})"
    if isinstance(value, dict):
        inside = ", ".join(f"{key}: {_exact(entry, name)}" for key, entry in value.items())
        return f"{{{inside}}}"
    raise TypeError(
        f"`{name}` must be exact, got {value!r} of type {type(value).__name__}; "
        "pass an int, a Fraction or a string that says it exactly"
    )


def _listed(problems: Sequence[str]) -> str:
    return "\n  ".join([f"the claims and their tests disagree ({len(problems)}):", *problems])
