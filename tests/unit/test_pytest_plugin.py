"""The plugin, run on small projects of its own: verdicts, twins, witnesses, the ledger."""

from __future__ import annotations

import json
import os

import pytest

from tests.small_projects import LEAN, PROOF, REFUTATION, ROOT, Project, claim_block

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester):
    return Project(pytester)


# ---- verdicts of a run ---------------------------------------------------------------------------
def test_a_proof_and_its_twin_make_the_claim_hold(project):
    project.write(test_it=PROOF)
    result = project.run(passed=2)
    result.stdout.fnmatch_lines(
        ["*ledger of claims*", "holds *identity *s  a", "2 claims: 1 holds, 1 not-checkable*"]
    )
    assert result.ret == 0


def test_a_refutation_shows_its_witness(project):
    project.write(test_it=REFUTATION)
    result = project.run(passed=2)
    result.stdout.fnmatch_lines(
        ["refuted-as-stated *certificate*  b", "*witness: n = 1/2, pair = (1, x), nested = {k: 3}"]
    )


def test_a_failing_proof_breaks_the_claim_and_the_run(project):
    project.write(test_it=PROOF.replace("check(2)", "check(0.25)"))
    result = project.run(passed=1, failed=1)
    result.stdout.fnmatch_lines(["broken *a", "*test_it.py::test_proof fails"])
    assert result.ret == 1


def test_an_error_in_setup_breaks_the_claim(project):
    source = PROOF.replace("def test_proof():", "def test_proof(no_such_fixture):")
    project.write(test_it=source)
    assert project.ledger()["claims"]["a"]["verdict"] == "broken"


def test_an_error_in_teardown_breaks_the_claim(project):
    source = PROOF.replace("def test_proof():", "def test_proof(falling):") + (
        "\n@pytest.fixture\ndef falling():\n    yield\n    raise RuntimeError\n"
    )
    project.write(test_it=source)
    assert project.ledger()["claims"]["a"]["verdict"] == "broken"


def test_a_skipped_proof_leaves_the_claim_open(project):
    source = PROOF.replace("    check(2)", "    pytest.skip()\n    check(2)")
    project.write(test_it=source)
    assert project.ledger()["claims"]["a"]["verdict"] == "open"


def test_an_expected_failure_is_no_proof(project):
    source = PROOF.replace('@proves("a", strength', '@pytest.mark.xfail\n@proves("a", strength')
    source = source.replace("check(2)", "check(0.25)")
    project.write(test_it=source)
    assert project.ledger()["claims"]["a"]["verdict"] == "open"


def test_a_parametrised_proof_must_pass_for_every_parameter(project):
    source = PROOF.replace("def test_proof():", "def test_proof(n):").replace(
        "check(2)", "check(n)"
    )
    source = source.replace(
        '@proves("a", strength', '@pytest.mark.parametrize("n", [1, 2, 0.5])\n@proves("a", strength'
    )
    project.write(test_it=source)
    assert project.ledger()["claims"]["a"]["verdict"] == "broken"


def test_a_dropped_hypothesis_is_recorded_as_sharp(project):
    source = PROOF.replace('"a"', '"h"') + (
        '\n@proves("h", role="needs_hypothesis", hypothesis="positive")\n'
        "def test_without():\n    assert 0.25 < 0.5\n"
    )
    project.write(test_it=source)
    claim = project.ledger()["claims"]["h"]
    assert (claim["verdict"], claim["is_sharp"]) == ("holds-with-hypotheses", True)


def test_tests_without_marks_are_left_alone(project):
    project.write(test_it="def test_plain():\n    assert True\n")
    result = project.run(passed=1)
    result.stdout.no_fnmatch_line("*ledger*")


# ---- the inverted twin ---------------------------------------------------------------------------
def test_a_twin_whose_check_accepts_the_false_statement_fails(project):
    project.write(test_it=PROOF.replace("check(0.5)", "check(3)"))
    result = project.run(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*the check accepted a statement known to be false*", "broken *a"])


def test_an_empty_twin_is_rejected(project):
    project.write(test_it=PROOF.replace("check(0.5)", "check"))
    result = project.run(passed=1, failed=1)
    assert result.ret == 1


@pytest.mark.parametrize("error", ["ValueError('x')", "ZeroDivisionError", "pytest.fail('x')"])
def test_a_twin_that_dies_of_something_else_fails(project, error):
    failure = error if error.startswith("pytest") else f"raise {error}"
    source = PROOF.replace("    check(0.5)", f"    {failure}\n    check(0.5)")
    project.write(test_it=source)
    project.run(passed=1, failed=1)


def test_a_check_may_reject_by_refusing_to_certify(project):
    source = "from evidence.verdict import NotCertified\n" + PROOF.replace(
        "assert n * n >= n", "\n    if n * n < n:\n        raise NotCertified('no')"
    )
    project.write(test_it=source)
    project.run(passed=2)


def test_a_twin_may_be_a_property_test(project):
    source = "from hypothesis import given, settings, strategies\n" + PROOF.replace(
        '@proves("a", role="must_fail")\ndef test_twin():\n    check(0.5)',
        '@proves("a", role="must_fail")\n@settings(database=None)\n'
        "@given(strategies.floats(0, 1, exclude_max=True, exclude_min=True))\n"
        "def test_twin(n):\n    check(n)",
    )
    project.write(test_it=source)
    project.run(passed=2)


# ---- witnesses -----------------------------------------------------------------------------------
def test_a_refutation_without_a_witness_fails(project):
    source = "\n".join(line for line in REFUTATION.splitlines() if "record_witness(n" not in line)
    project.write(test_it=source)
    result = project.run(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*a refutation stores its witness*"])


def test_a_rounded_witness_is_refused(project):
    source = REFUTATION.replace("record_witness(n=Fraction(1, 2)", "record_witness(n=0.5")
    project.write(test_it=source)
    result = project.run(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*`n` must be exact, got 0.5 of type float*"])


# ---- filtered runs -------------------------------------------------------------------------------
def test_a_filtered_run_reports_only_what_ran_and_nothing_false(project):
    project.write(test_other=REFUTATION)
    project.write(test_it=PROOF)
    result = project.run("-k", "test_proof")
    result.stdout.fnmatch_lines(
        [
            "open *identity *a",
            "*its must-fail twin did not run",
            "2 claims: 1 not-checkable, 1 open; 4 not run",
        ]
    )
    result.stdout.no_fnmatch_line("*refuted*")


def test_one_test_by_its_node_id_needs_no_twin_and_proves_nothing(project):
    project.write(test_it=PROOF)
    result = project.run("test_it.py::test_proof")
    result.stdout.fnmatch_lines(["open *a"])
    assert result.ret == 0


def test_what_uses_a_claim_that_was_not_run_is_open(project):
    project.write(test_it=PROOF, test_u=PROOF.replace('"a"', '"u"'))
    alone = project.run("test_u.py")
    alone.stdout.fnmatch_lines(["open *u*", "*rests on a (not run)"])
    together = project.run()
    together.stdout.fnmatch_lines(["holds *a", "holds *u"])


# ---- writing the ledger --------------------------------------------------------------------------
def test_the_ledger_is_written_in_every_form_asked_for(project):
    project.write(test_it=PROOF)
    result = project.run("--ledger", "one.json", "--ledger", "deep/two.md", passed=2)
    assert json.loads((project.path / "one.json").read_text())["claims"]["a"]["verdict"] == "holds"
    assert "| holds | identity | `a` |" in (project.path / "deep" / "two.md").read_text()
    assert result.ret == 0


def test_the_json_ledger_marks_claims_that_were_not_run(project):
    project.write(test_it=PROOF)
    claims = project.ledger()["claims"]
    assert (claims["b"]["verdict"], claims["b"]["was_run"]) == ("open", False)


def test_the_json_ledger_says_what_it_ran_on(project):
    project.write(test_it=PROOF)
    run = project.ledger("-k", "proof")["run"]
    assert (run["exit_status"], run["deselected"]) == (0, 1)
    assert "numpy" in run["versions"]


def test_a_ledger_of_unknown_form_is_refused_before_the_run(project):
    project.write(test_it=PROOF)
    result = project.run("--ledger", "ledger.html")
    result.stderr.fnmatch_lines(["*--ledger ledger.html: the suffix must be .json or .md*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("source", "arguments"),
    [(PROOF, ["--collect-only"]), ("import no_such_module", []), (PROOF, ["-k", "nothing"])],
)
def test_a_run_that_decided_nothing_leaves_the_old_ledger(project, source, arguments):
    path = project.path / "ledger.json"
    path.write_text("old")
    project.write(test_it=source)
    project.run("--ledger", "ledger.json", *arguments)
    assert path.read_text() == "old"


# ---- how the plugin is loaded --------------------------------------------------------------------
def test_naming_the_plugin_twice_registers_it_once(project):
    project.write(test_it=PROOF)
    project.run("-p", "evidence.pytest_plugin", passed=2)


@pytest.mark.parametrize("installed", [True, False])
def test_the_plugin_loads_with_and_without_installation(project, installed, monkeypatch):
    paths = [str(ROOT)]
    if installed:
        distribution = project.pytester.mkdir("site") / "wasserproof-0.dist-info"
        distribution.mkdir()
        (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: wasserproof\n")
        (distribution / "entry_points.txt").write_text(
            "[pytest11]\nevidence.pytest_plugin = evidence.pytest_plugin\n"
        )
        paths.append(str(distribution.parent))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    project.write(test_it=PROOF)
    result = project.pytester.runpytest_subprocess(*LEAN, timeout=60)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["holds *a"])


def test_worker_processes_report_to_one_ledger(project, monkeypatch):
    pytest.importorskip("xdist")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    project.write(test_it=PROOF, test_other=REFUTATION)
    result = project.pytester.runpytest_subprocess(
        *LEAN, "-n", "2", "--ledger", "ledger.json", timeout=60
    )
    result.stdout.fnmatch_lines(["refuted-as-stated *b", "*witness: n = 1/2*", "holds *a"])
    claims = json.loads((project.path / "ledger.json").read_text())["claims"]
    assert (claims["a"]["verdict"], claims["b"]["verdict"]) == ("holds", "refuted-as-stated")


# ---- the template --------------------------------------------------------------------------------
def test_the_template_is_a_complete_file_of_proofs(project):
    blocks = claim_block("template-theorem") + claim_block("template-mistake")
    project.registry.write_text(project.registry.read_text() + blocks)
    template = (ROOT / "tests" / "proofs" / "_template.py").read_text()
    project.write(test_it=template)
    result = project.run(passed=4)
    result.stdout.fnmatch_lines(["refuted-as-stated *template-mistake", "holds *template-theorem"])


# ---- statistical tests ---------------------------------------------------------------------------
STATISTICAL = """
import pytest

def check(n):
    assert n > 1

@pytest.mark.proves("a", strength="statistical", role="supports")
def test_support(record_odds):
    record_odds(alpha=1e-9, power=0.9)
    record_odds(alpha=2e-9, power=0.8)
    check(2)

@pytest.mark.proves("a", role="must_fail")
def test_twin():
    check(0)
"""


def test_the_ledger_adds_the_odds_up(project):
    project.write(test_it=STATISTICAL)
    result = project.run(passed=2)
    result.stdout.fnmatch_lines(["*decided by chance with probability at most 3.0e-09*"])
    result.stdout.fnmatch_lines(["any statistical test is wrong *at most 3.0e-09"])
    (row,) = [c for c in project.ledger()["claims"].values() if c["alpha"]]
    (evidence,) = [e for e in row["evidence"] if e["role"] == "supports"]
    assert evidence["alpha"] == pytest.approx(3e-9)
    assert evidence["power"] == 0.8


def test_a_statistical_test_without_odds_fails(project):
    lines = STATISTICAL.replace("(record_odds)", "()").splitlines()
    project.write(test_it="\n".join(line for line in lines if "record_odds" not in line))
    result = project.run(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*a statistical test states its odds*"])


def test_odds_are_probabilities(project):
    project.write(test_it=STATISTICAL.replace("alpha=1e-9", "alpha=2.0"))
    result = project.run(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*must be probabilities*"])
