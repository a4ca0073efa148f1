"""The divergence benchmark: it agrees with itself, notices what does not fit, and says why not."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import divergence_peers, divergence_rows, divergences
from benchmarks.divergence_references import disagreements, exact_js, exact_kl
from benchmarks.divergence_rows import Ask, measure_divergence
from benchmarks.divergence_tables import relative_error, unmet
from benchmarks.harness import Measurement, contradictions

ROOT = Path(__file__).resolve().parents[2]
TINY = divergence_rows.tasks(quick=True, full=False, seed=0, threads=1)


@pytest.mark.parametrize("task", TINY, ids=lambda task: task.name)
def test_every_row_agrees_with_its_peers_and_its_proof(
    task: divergence_rows.DivergenceTask,
) -> None:
    measured = [Measurement.from_dict(data) for data in measure_divergence(task)]
    assert contradictions(measured) + disagreements(measured) == []
    assert unmet(Ask(error=task.ask.error), measured) == []
    assert any(m.method == "ours" for m in measured)


def test_the_seed_fixes_the_numbers() -> None:
    task = TINY[0]
    first, second = ([m["value"] for m in measure_divergence(task)] for _ in range(2))
    assert first == second


def test_a_wrong_peer_is_a_contradiction(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(divergence_peers, "scipy_line", lambda *arrays: 1.0)
    assert divergences.main(["--quick", "--only", "equal sizes, 1e4"]) == 1
    assert "CONTRADICTION: W1 of two samples on the line, " in capsys.readouterr().err


def test_the_table_and_the_files_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tmp_path / name) for name in ("a.json", "a.csv", "a.png")]
    arguments = ["--quick", "--only", "densities"]
    options = ["--json", files[0], "--csv", files[1], "--plot", files[2]]
    assert divergences.main(arguments + options) == 0
    out = capsys.readouterr().out
    assert "KL of N(0, 1), N(1, 4)" in out
    assert max(len(line) for line in out.splitlines()) <= 100
    document = json.loads(Path(files[0]).read_text())
    assert document["contradictions"] == []
    assert {m["method"] for m in document["measurements"]} == {"balls", "ours", "scipy"}
    assert Path(files[2]).stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "no such row"], "matches no row"),
        (["--json", "no/such/folder/out.json"], "does not exist"),
        (["--quick", "--only", "densities", "--plot", "out.bmp2"], "cannot be written"),
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
    assert divergences.main(arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1


def test_running_the_file_says_how_to_run_the_module() -> None:
    path = ROOT / "benchmarks" / "divergences.py"
    wrong = subprocess.run([sys.executable, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "python -m benchmarks.divergences" in wrong.stderr


# ---- the references -----------------------------------------------------------------------------
def test_the_exact_references_are_the_definitions() -> None:
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.25, 0.5])
    assert math.log(2.0) / 4.0 in exact_kl(p, q)
    assert exact_kl(p, q).rtol < 1e-15
    # m = (3/8, 1/4, 3/8)
    expected = 0.5 * math.log(4.0 / 3.0) + 0.25 * math.log(2.0 / 3.0)
    assert exact_js(p, q).lower == pytest.approx(expected, rel=1e-14)


def test_what_was_asked_and_missed_is_named() -> None:
    def row(method: str, seconds: float, quantity: str = "distance", **named: float) -> Measurement:
        return Measurement(
            group="", instance="", quantity=quantity, method=method,
            claim="proved" if method == "balls" else "estimate", seconds=(seconds,), **named,
        )  # fmt: skip

    rows = [
        row("ours", 1.0, value=1.0),
        row("scipy", 5.0, value=1.0),
        row("limit", 0.5, "time"),
        row("balls", 9.0, lower=2.0, upper=3.0),
    ]
    assert relative_error(rows[0], rows) == 0.5
    ask = Ask(faster=(("scipy", 10.0),), within=(("limit", 1.3),), error=0.1)
    assert unmet(ask, rows) == ["scipy 10x", "limit 1.3x", "error 1e-01"]
    met = Ask(faster=(("scipy", 4.0), ("POT", 9.0)), within=(("limit", 2.0),), error=0.5)
    assert unmet(met, rows) == []
