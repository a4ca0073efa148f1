"""Collection stops when marks and registry disagree, and says everything that is wrong."""

from __future__ import annotations

import pytest

from tests.small_projects import LEAN, PROOF, REFUTATION, ROOT, Project

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester):
    return Project(pytester)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"a", strength', '"aa", strength', "*test_proof: unknown claim 'aa'*"),
        ('"identity"', '"proved"', "*`strength` must be one of identity,*; got 'proved'*"),
        ('strength="identity"', 'role="proves"', "*`strength` is missing*"),
        ('role="must_fail"', 'role="mutant"', "*`role` must be one of *; got 'mutant'*"),
        ('strength="identity"', 'strenght="identity"', "*has no argument 'strenght'*"),
        ('"a", strength="identity"', 'strength="identity"', "*takes one claim id*"),
        ('strength="identity"', 'strength="identity", scope="left"', "*does not cover claim a*"),
        ('"a", role="must_fail"', '"b", role="must_fail"', "*claim a has no must-fail twin*"),
        ("check(0.5)", "assert 0 == 1", "*no must-fail twin of a calls a function that this test*"),
        ('"a"', '"n"', "*claim n is declared not checkable (a matter of taste)*"),
        (
            'strength="identity"',
            'strength="identity", role="needs_hypothesis"',
            "*names one of*",
        ),
        ('strength="identity"', 'strength="identity", hypothesis="x"', "*`hypothesis` = 'x'*"),
        (
            '@proves("a", role',
            '@proves("b", role="supports", strength="tested")\n@proves("a", role',
            "*a must-fail twin belongs to one claim*",
        ),
    ],
)
def test_a_mark_that_contradicts_the_registry_stops_collection(project, old, new, message):
    assert old in PROOF
    project.write(test_it=PROOF.replace(old, new))
    result = project.run()
    result.stderr.fnmatch_lines(["*the claims and their tests disagree*", message])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_weak_refutation_stops_collection(project):
    project.write(test_it=REFUTATION.replace('"certificate"', '"tested"'))
    result = project.run()
    result.stderr.fnmatch_lines(["*`strength` = 'tested' cannot refute*"])


def test_a_refutation_without_a_twin_stops_collection(project):
    project.write(test_it=REFUTATION.split('@proves("b", role="must_fail")')[0])
    result = project.run()
    result.stderr.fnmatch_lines(["*claim b has no must-fail twin*"])


def test_proving_and_refuting_one_claim_stops_collection(project):
    project.write(test_other=REFUTATION.replace('"b"', '"a"'))
    project.write(test_it=PROOF)
    result = project.run()
    result.stderr.fnmatch_lines(["*claim a: some tests prove it and others refute it*"])


def test_proofs_that_leave_out_a_case_stop_collection(project):
    source = PROOF.replace('"a"', '"c"').replace('"identity"', '"identity", scope="left"')
    project.write(test_it=source)
    result = project.run()
    result.stderr.fnmatch_lines(["*the proofs of c do not cover its scope: right is missing*"])


def test_every_problem_is_listed(project):
    source = PROOF.replace('"identity"', '"x"').replace('"must_fail"', '"y"')
    project.write(test_it=source)
    result = project.run()
    result.stderr.fnmatch_lines(["*disagree (2)*", "*test_proof*", "*test_twin*"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Claim a.", "Claim a, changed.", "*claim a: statement, scope or hypotheses changed*"),
        ('id = "u"', 'verdict = "holds"\nid = "u"', "*claim u: unknown key 'verdict'*"),
    ],
)
def test_a_registry_that_contradicts_itself_stops_the_run(project, old, new, message):
    project.edit_registry(old, new)
    project.write(test_it=PROOF)
    result = project.run()
    result.stderr.fnmatch_lines([message])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_cycle_stops_the_run(project):
    project.edit_registry("uses = []", 'uses = ["u"]')
    project.write(test_it=PROOF)
    result = project.run()
    result.stderr.fnmatch_lines(["*claims use each other in a cycle*"])


def test_worker_processes_say_what_is_wrong_too(project, monkeypatch):
    pytest.importorskip("xdist")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    project.write(test_it=PROOF.replace('"identity"', '"proved"'))
    result = project.pytester.runpytest_subprocess(*LEAN, "-n", "1", timeout=60)
    result.stdout.fnmatch_lines(["*the claims and their tests disagree*", "*got 'proved'*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
