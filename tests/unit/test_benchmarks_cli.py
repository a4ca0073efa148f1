"""The harness tells claims apart and notices contradictions; the command line does what it says."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import critics, lipschitz, models, running, shapes
from benchmarks.comparison import PEERS, LayerTask, layer_cases, measure_layer
from benchmarks.harness import Case, Measurement, contradictions, measure
from benchmarks.tables import bound_text
from evidence import Enclosure, NotCertified
from lipschitz.layers.convolution import Convolution

ROOT = Path(__file__).resolve().parents[2]
SMALL = "gaussian, other*1-d"  # one layer in one dimension: 0.1 s


def proved(method: str, lower: float, upper: float, **options: Any) -> Measurement:
    options = {"quantity": "norm", **options}
    return Measurement(
        group="g", instance="i", method=method, claim="proved", lower=lower, upper=upper, **options
    )


def valued(method: str, value: float, **options: Any) -> Measurement:
    options = {"quantity": "norm", **options}
    return Measurement(
        group="g", instance="i", method=method, claim="estimate", value=value, **options
    )


# ---- what fits together -------------------------------------------------------------------------
def test_enclosures_of_one_quantity_must_overlap() -> None:
    assert contradictions([proved("a", 1.0, 2.0), proved("b", 2.0, 3.0)]) == []
    [sentence] = contradictions([proved("a", 1.0, 2.0), proved("b", math.nextafter(2, 3), 3.0)])
    assert "a proves [1, 2]" in sentence
    assert "b proves [2.0000000000000004, 3]" in sentence


def test_enclosures_of_different_quantities_may_differ() -> None:
    a, b = proved("a", 1.0, 2.0), proved("b", 3.0, 4.0)
    assert contradictions([a, dataclasses.replace(b, quantity="another")]) == []
    assert contradictions([a, dataclasses.replace(b, instance="another")]) == []
    assert contradictions([a, dataclasses.replace(b, group="another")]) == []


@pytest.mark.parametrize(("value", "fits"), [(0.8, False), (0.95, True), (1.5, True), (2.3, False)])
def test_an_enclosure_must_contain_what_is_exact_up_to_rounding(value: float, fits: bool) -> None:
    exact = valued("svd", value, side="exact", rtol=0.1)
    assert (contradictions([proved("a", 1.0, 2.0), exact]) == []) == fits


def test_an_enclosure_may_exceed_but_not_fall_below_a_value_from_below() -> None:
    enclosure = proved("a", 1.0, 2.0)
    assert contradictions([enclosure, valued("power", 0.1, side="below", rtol=1e-12)]) == []
    assert contradictions([enclosure, valued("power", 2.1, side="below", rtol=1e-12)]) != []


def test_an_estimate_contradicts_nothing() -> None:
    assert contradictions([proved("a", 1.0, 2.0), valued("guess", 7.0)]) == []


def test_a_smaller_quantity_must_not_be_proved_larger() -> None:
    whole = proved("b", 1.0, 2.0, quantity="every size")
    assert contradictions([proved("a", 1.9, 2.5, at_most="every size"), whole]) == []
    assert contradictions([proved("a", 2.1, 2.5, at_most="every size"), whole]) != []


def test_a_refusal_is_kept_as_an_estimate() -> None:
    def refuse() -> float:
        raise NotCertified("no certificate", estimate=1.5)

    case = Case(group="", instance="", quantity="", method="a", call=refuse, claim="proved")
    measured = measure(case)
    assert (measured.claim, measured.value) == ("estimate", 1.5)
    assert "no certificate" in measured.note


def test_only_an_enclosure_is_proved_and_an_enclosure_is_nothing_less() -> None:
    case = Case(group="", instance="", quantity="", method="a", call=lambda: 1.0, claim="proved")
    with pytest.raises(TypeError, match="if and only if its `claim` is 'proved'"):
        measure(case)
    boxed = dataclasses.replace(case, call=lambda: Enclosure(1.0, 2.0), claim="estimate")
    with pytest.raises(TypeError, match="got Enclosure for 'estimate'"):
        measure(boxed)


def test_the_peak_memory_of_a_call_is_seen() -> None:
    def call() -> float:
        return float(np.ones(2**24).sum())  # 128 MiB

    case = Case(group="", instance="", quantity="", method="a", call=call)
    mebibytes = measure(case, repeats=0).mebibytes
    if sys.platform == "linux":
        assert 100.0 <= mebibytes <= 200.0
    else:
        assert math.isnan(mebibytes)


def test_repeats_stop_at_their_number_or_at_the_budget() -> None:
    case = Case(group="", instance="", quantity="", method="a", call=lambda: 1.0)
    assert len(measure(case, repeats=4, budget=10.0).seconds) == 4
    assert len(measure(case, repeats=4, budget=0.0).seconds) == 1


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_printed_bound_is_a_bound(value: float) -> None:
    assert Decimal(bound_text(value, upward=False)) <= Decimal(value)
    assert Decimal(bound_text(value, upward=True)) >= Decimal(value)


# ---- layers -------------------------------------------------------------------------------------
def test_every_kind_of_layer_agrees_with_every_peer_that_can_treat_it() -> None:
    rng = np.random.default_rng(0)

    def make(kernel: tuple[int, ...], inputs: tuple[int, ...], pad: int, **options: Any) -> Any:
        widths = ((pad, pad),) * (len(kernel) - 2)
        weights = shapes.gaussian_kernel(kernel, rng=rng)
        return Convolution(kernel=weights, input_shape=inputs, pad_width=widths, **options)

    layers = [
        make((3, 2, 3, 3), (2, 6, 6), 1),
        make((4, 3, 4, 4), (3, 8, 8), 1, stride=(2, 2)),
        make((4, 3, 4, 4), (4, 4, 4), 1, stride=(2, 2), transposed=True),
        make((6, 1, 3, 3), (6, 5, 5), 1, groups=6),
        make((2, 3, 3, 3), (3, 7, 7), 2, dilation=(2, 2)),
        make((2, 3, 3, 3), (3, 7, 7), 1, stride=(2, 2)),
        make((2, 3, 5), (3, 9), 2, padding="reflect"),
        make((2, 3, 5), (3, 9), 2, padding="circular"),
        make((2, 2, 3, 3, 3), (2, 4, 4, 4), 1),
        make((2, 2, 5, 5), (2, 3, 3), 2),
    ]
    for number, layer in enumerate(layers):
        task = LayerTask(group="layers", name=str(number), layer=layer, repeats=0)
        measured = [Measurement.from_dict(data) for data in measure_layer(task)]
        assert contradictions(measured) == []
        methods = {m.method for m in measured}
        assert {"ours", "torch sn", "4-matrix", "tensor"} <= methods
        assert ("power" in methods) == (layer.padding == "zeros")
        assert ("dense" in methods) == (number != 5)  # 7 is odd: no circle of stride 2


def test_a_peer_that_claims_too_little_is_flagged() -> None:
    # Fifty power iterations hardly tell one singular value 1 from sixty-three that are 0.999.
    kernel = np.diag([1.0, *(63 * [0.999])]).reshape(64, 64, 1)
    layer = Convolution(kernel=kernel, input_shape=(64, 4), pad_width=((0, 0),))
    task = LayerTask(group="", name="", layer=layer, repeats=0)
    measured = [Measurement.from_dict(data) for data in measure_layer(task)]
    [ours] = [m for m in measured if (m.method, m.quantity) == ("ours", "every size")]
    [four] = [m for m in measured if m.method == "4-matrix"]
    assert 0.99 < four.value < ours.lower <= 1.0
    assert four.note == "too low"


def test_the_spectrum_of_a_large_layer_is_left_to_the_full_run() -> None:
    kernel = np.zeros((1, 1, 3, 3))
    layer = Convolution(kernel=kernel, input_shape=(1, 6000, 6000), pad_width=((1, 1), (1, 1)))
    task = LayerTask(group="", name="", layer=layer)
    circular = {peer.name for peer in PEERS if peer.about == "circle"}
    assert circular.isdisjoint(case.method for case in layer_cases(task))
    full = dataclasses.replace(task, full=True)
    assert circular <= {case.method for case in layer_cases(full)}


# ---- the command --------------------------------------------------------------------------------
def test_the_table_is_at_most_100_columns_wide_and_complete(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert lipschitz.main(["--only", SMALL, "--quick"]) == 0
    out, err = capsys.readouterr()
    assert max(len(line) for line in out.splitlines()) <= 100
    assert err == ""
    for word in ["16->32 15 (1-D)", "every size", "circular 256", "zeros 256", "torus"]:
        assert word in out
    for peer in PEERS:
        assert peer.name in out
        assert peer.claim.split()[0] in out


def test_files_hold_what_the_table_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {name: tmp_path / f"out.{name}" for name in ("json", "csv", "png")}
    arguments = ["--json", paths["json"], "--csv", paths["csv"], "--plot", paths["png"]]
    assert lipschitz.main(["--only", SMALL, "--quick", *map(str, arguments)]) == 0
    document = json.loads(paths["json"].read_text(), parse_constant=pytest.fail)
    rows = list(csv.DictReader(paths["csv"].read_text().splitlines()))
    assert len(rows) == len(document["measurements"]) == 3 + len(PEERS)
    for row, measurement in zip(rows, document["measurements"], strict=True):
        assert row["method"] == measurement["method"]
        for name in ("lower", "upper", "value", "seconds_min"):
            assert (float(row[name]) if row[name] else None) == measurement[name]
    assert document["contradictions"] == []
    assert document["environment"]["seed"] == 0
    assert paths["png"].read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.json", "out.png"]
    assert "16->32 15 (1-D)" in capsys.readouterr().out


def test_a_contradiction_sets_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import lipschitz.convolution

    def wrong(*arguments: Any, **options: Any) -> Enclosure:
        return Enclosure(1.0, 1.5, "wrong on purpose")

    monkeypatch.setattr(lipschitz.convolution, "spectral_norm", wrong)
    from benchmarks.lipschitz import main

    assert main(["--only", SMALL, "--quick"]) == 1
    out, err = capsys.readouterr()
    assert "CONTRADICTION: Gaussian, other kinds, 16->32 15 (1-D), circular 256" in err
    assert "dense gives 3.68236" in err
    assert "wrong on" in out


def test_two_processes_and_one_give_the_same_numbers(tmp_path: Path) -> None:
    bounds = []
    for jobs in ("1", "2"):
        path = tmp_path / f"{jobs}.json"
        arguments = ["--only", SMALL, "--quick", "--jobs", jobs, "--json", str(path)]
        assert lipschitz.main(arguments) == 0
        rows = json.loads(path.read_text())["measurements"]
        # `half` is whichever of torch and numpy was faster in that run: its last digits may differ.
        kept = [m for m in rows if m["method"] != "half"]
        bounds.append([(m["method"], m["lower"], m["upper"], m["value"]) for m in kept])
    assert bounds[0] == bounds[1]
    assert any(method == "ours" for method, *_ in bounds[0])


def test_a_checkpoint_is_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--only", SMALL, "--quick", "--checkpoint", str(tmp_path / "run.jsonl")]
    assert lipschitz.main(arguments) == 0
    first = capsys.readouterr().out
    assert lipschitz.main(arguments) == 0
    assert capsys.readouterr().out == first  # the times too: nothing ran again


# ---- models -------------------------------------------------------------------------------------
FACTORY = """
    from torch import nn

    def critic():
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout(), nn.Flatten(), nn.Linear(8, 1))

    number = 3

    def needs(argument):
        return critic()
"""


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "user_critic.py").write_text(textwrap.dedent(FACTORY))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return "user_critic:critic"


def test_a_users_module_is_read_with_its_weights(
    factory: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from safetensors.torch import save_file

    state = {
        "0.weight": torch.ones(2, 1, 3, 3),
        "0.bias": torch.zeros(2),
        "3.weight": torch.eye(8)[:1],
        "3.bias": torch.zeros(1),
    }
    save_file(state, tmp_path / "w.safetensors")
    arguments = [factory, "--input-shape", "1,4,4", "--weights", str(tmp_path / "w.safetensors")]
    assert lipschitz.main([*arguments, "--quick"]) == 0
    out = capsys.readouterr().out
    assert "0 1->2 3x3" in out
    # A kernel of ones has norm 9 at frequency 0, and two equal output channels give sqrt(2).
    assert bound_text(9.0 * math.sqrt(2.0), upward=False, digits=6) in out
    assert "whole network" in out
    for norm in ("l2", "l1", "linf"):
        assert norm in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.onnx"], "missing.onnx"),
        (["README.md"], "is no model that can be read"),
        (["broken.onnx"], "broken.onnx"),
        (["broken.mat"], "broken.mat"),
        (["user_critic:critic"], "`--input-shape` is needed"),
        (["no_such_module:critic", "--input-shape", "1,4,4"], "cannot be imported"),
        (["user_critic:nothing", "--input-shape", "1,4,4"], "has no 'nothing'"),
        (["user_critic:number", "--input-shape", "1,4,4"], "not a function"),
        (["user_critic:needs", "--input-shape", "1,4,4"], "must take no arguments"),
        (["user_critic:critic", "--input-shape", "4,4,4"], "user_critic:critic"),
        (["user_critic:critic", "--input-shape", "1,4,4", "--weights", "x"], "is not a file"),
        (
            ["user_critic:critic", "--input-shape", "1,4,4", "--weights", "broken.onnx"],
            "not a safetensors file",
        ),
        (
            ["user_critic:critic", "--input-shape", "1,4,4", "--weights", "other.safetensors"],
            "does not fit",
        ),
        (["broken.onnx", "--weights", "x"], "belongs to a torch module"),
        (["--input-shape", "1,4,4"], "needs a model"),
        (["--only", "no such row"], "matches no row"),
        (["--json", "no/such/folder/out.json"], "does not exist"),
        (["--plot", "out.bmp2", "--only", SMALL, "--quick"], "cannot be written"),
        (["--only", SMALL, "--checkpoint", "broken.mat"], "not a checkpoint"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_status_2(
    arguments: list[str],
    words: str,
    factory: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import torch
    from safetensors.torch import save_file

    for name in ("broken.onnx", "broken.mat", "README.md"):
        (tmp_path / name).write_bytes(b"no model\n" * 20)
    save_file({"other": torch.ones(1)}, tmp_path / "other.safetensors")
    assert lipschitz.main(arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [["--jobs", "0"], ["--threads", "x"], ["--input-shape", "3,x"], ["--seed", "-1"], ["--nope"]],
)
def test_a_bad_option_ends_with_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        lipschitz.main(arguments)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_dask_without_the_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert lipschitz.main(["--only", SMALL, "--dask", "tcp://127.0.0.1:1"]) == 2
    assert "`distributed`, which is not installed" in capsys.readouterr().err


# ---- what is embedded ---------------------------------------------------------------------------
def test_the_embedded_weights_are_small_and_fit_their_networks() -> None:
    files = sorted(critics.weights_path("x").parent.iterdir())
    assert [file.stem for file in files] == sorted(critics.FACTORIES)
    assert sum(file.stat().st_size for file in files) < 200_000
    for name in critics.FACTORIES:
        assert not critics.load(name).training
    with pytest.raises(ValueError, match="`name` must be one of"):
        critics.load("critic")


def test_the_classifier_was_trained() -> None:
    import torch

    from benchmarks.train_digits import load_digits

    images, labels = load_digits()
    with torch.no_grad():
        predicted = critics.load("classifier")(images[1400:].double()).argmax(1)
    assert float((predicted == labels[1400:]).double().mean()) > 0.95


def test_rows_are_named_once() -> None:
    for network in models.embedded().values():
        assert len(models.named_layers(network)) >= 3
    assert models.short_name("a/b/MatMul+a/b/Add") == "b"


# ---- as a newcomer types it ---------------------------------------------------------------------
def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def test_the_benchmarks_are_listed() -> None:
    listed = run("-m", "benchmarks")
    assert listed.returncode == 0
    assert "python -m benchmarks.lipschitz" in listed.stdout


def test_running_the_file_says_how_to_run_the_module() -> None:
    wrong = run(str(ROOT / "benchmarks" / "lipschitz.py"))
    assert wrong.returncode == 2
    assert (
        wrong.stderr == "run `python -m benchmarks.lipschitz` from the project's folder instead\n"
    )


def test_help_costs_no_torch() -> None:
    program = (
        "import sys\n"
        "from benchmarks.lipschitz import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    shown = run("-c", program)
    assert shown.returncode == 0, shown.stderr
    assert "--input-shape" in shown.stdout


def test_limited_threads_are_restored() -> None:
    import torch

    before = torch.get_num_threads()
    with running.limited_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
