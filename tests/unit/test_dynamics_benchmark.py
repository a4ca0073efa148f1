"""The dynamics benchmark: it agrees with itself, notices what does not fit, and says why not."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks import dynamics, dynamics_maps, dynamics_peers, dynamics_rows
from benchmarks.divergence_references import disagreements
from benchmarks.dynamics_rows import DynamicsTask, measure_dynamics
from benchmarks.dynamics_tables import unmet
from benchmarks.harness import Measurement, contradictions

ROOT = Path(__file__).resolve().parents[2]
TINY = dynamics_rows.tasks(quick=True, full=False, seed=0, threads=1)
ONE_OF_A_KIND = list({task.kind: task for task in TINY}.values())


@pytest.mark.parametrize("task", ONE_OF_A_KIND, ids=lambda task: task.kind)
def test_every_kind_of_row_agrees_with_its_peers(task: DynamicsTask) -> None:
    measured = [Measurement.from_dict(data) for data in measure_dynamics(task)]
    assert contradictions(measured) + disagreements(measured) == []
    assert any(m.method == "ours" for m in measured)


def test_every_map_of_the_figure_has_the_stable_cells_of_the_conditions() -> None:
    for task in (task for task in TINY if task.kind == "figure 2"):
        measured = [Measurement.from_dict(data) for data in measure_dynamics(task)]
        assert disagreements(measured) == []


def test_a_wrong_peer_is_a_contradiction(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dynamics_peers, "stepped_in_place", lambda z, eta, steps: 2.0 * z)
    assert dynamics.main(["--quick", "--only", "steps, linear"]) == 1
    assert "CONTRADICTION: Orbits, " in capsys.readouterr().err


def test_a_wrong_verdict_of_ours_is_a_contradiction(monkeypatch: pytest.MonkeyPatch) -> None:
    task = next(task for task in TINY if task.option == "GDA alternating_xy")
    right = dynamics_maps._ours

    class Wrong:
        STABLE = 1

        def __init__(self, verdicts: np.ndarray) -> None:
            self.verdicts = verdicts

    def wrong(*arguments: object) -> Wrong:
        verdicts = right(*arguments).verdicts.copy()
        verdicts[0, 0] = 1
        return Wrong(verdicts)

    monkeypatch.setattr(dynamics_maps, "_ours", wrong)
    monkeypatch.setattr(dynamics_maps, "_CHECKED", 900)
    measured = [Measurement.from_dict(data) for data in measure_dynamics(task)]
    assert "ours gives 1, fractions gives 0" in " ".join(disagreements(measured))


def test_without_pepit_the_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamics_peers, "has_pepit", lambda: False)
    task = next(task for task in TINY if task.kind == "worst case")
    [only] = [Measurement.from_dict(data) for data in measure_dynamics(task)]
    assert only.method == "ours"
    assert "PEPit is not installed" in only.note


def test_the_table_and_the_files_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tmp_path / name) for name in ("a.json", "a.csv", "a.png")]
    arguments = ["--quick", "--only", "R1 0.3"]
    options = ["--json", files[0], "--csv", files[1], "--plot", files[2]]
    assert dynamics.main(arguments + options) == 0
    out = capsys.readouterr().out
    assert "GAN, R1 0.3: stable up to" in out
    assert max(len(line) for line in out.splitlines()) <= 100
    document = json.loads(Path(files[0]).read_text())
    assert document["contradictions"] == []
    assert {m["method"] for m in document["measurements"]} == {"ours", "formula", "notebook"}
    assert Path(files[2]).stat().st_size > 10000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "no such row"], "matches no row"),
        (["--json", "no/such/folder/out.json"], "does not exist"),
        (["--quick", "--only", "log-norm", "--plot", "out.bmp2"], "cannot be written"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_status_2(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert dynamics.main(arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1


def test_running_the_file_says_how_to_run_the_module() -> None:
    path = ROOT / "benchmarks" / "dynamics.py"
    wrong = subprocess.run([sys.executable, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "python -m benchmarks.dynamics" in wrong.stderr


# ---- the references -----------------------------------------------------------------------------
def test_the_matrices_and_the_polynomials_of_the_peers_belong_together() -> None:
    alpha, beta = np.array([0.5, 1.25]), np.array([-0.5, 0.75])
    for kind, order in dynamics_maps.FIGURE_2:
        second = alpha if kind == "GDA" else beta
        matrices = dynamics_maps.iteration_matrices(kind, order, alpha, beta)
        for cell, M in enumerate(matrices):
            a, b = (
                Fraction(float(v[i])) for v, i in zip((alpha, second), divmod(cell, 2), strict=True)
            )
            polynomial = dynamics_maps._polynomial(kind, order, a, b)
            padded = [*map(float, polynomial), *([0.0] * (len(M) + 1 - len(polynomial)))]
            np.testing.assert_allclose(np.poly(M), padded, atol=1e-12)


def test_the_exact_check_knows_the_edge_of_the_unit_circle() -> None:
    assert dynamics_peers.exactly_stable([Fraction(1), Fraction(0), Fraction(1, 4)])
    assert not dynamics_peers.exactly_stable([Fraction(1), Fraction(-2), Fraction(1)])
    assert not dynamics_peers.exactly_stable([Fraction(1), Fraction(7), Fraction(10), Fraction(2)])
    assert dynamics_peers.exactly_stable([Fraction(1), Fraction(0), Fraction(0)])


def test_what_was_asked_and_missed_is_named() -> None:
    def row(method: str, seconds: float) -> Measurement:
        return Measurement(
            group="", instance="", quantity="value", method=method, claim="estimate",
            value=1.0, seconds=(seconds,),
        )  # fmt: skip

    task = DynamicsTask(group="", name="row", kind="", asked=100.0)
    assert unmet(task, [row("ours", 1.0), row("numpy", 50.0)]) == "row: 100x asked, 50x reached"
    assert unmet(task, [row("ours", 1.0), row("numpy", 150.0)]) == ""
    assert unmet(task, [row("ours", 1.0)]) == ""
