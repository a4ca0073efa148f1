"""`map_tasks`: the answer does not depend on the executor, the order, or a kill on the way."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from evidence.execution import fingerprint, map_tasks

ROOT = Path(__file__).resolve().parents[2]


def slow_first(task: int) -> int:
    time.sleep(0.05 if task == 0 else 0.0)
    return task * task


def draw(task: int, *, rng: np.random.Generator) -> float:
    return task + float(rng.random())


def fail_on_two(task: int) -> int:
    if task == 2:
        raise ArithmeticError("two")
    return task


def pair(task: int) -> tuple[int, int]:
    return (task, task)


@dataclasses.dataclass(frozen=True)
class Point:
    x: float
    y: float


def test_results_come_back_in_the_order_of_the_tasks() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert map_tasks(slow_first, range(6), pool) == [0, 1, 4, 9, 16, 25]


def test_one_process_threads_and_processes_draw_the_same_numbers() -> None:
    alone = map_tasks(draw, range(5), seed=7)
    with ThreadPoolExecutor(3) as pool:
        assert map_tasks(draw, range(5), pool, seed=7) == alone
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        assert map_tasks(round, [0.4, 1.6], processes) == [0, 2]
    assert alone[3] == 3 + float(np.random.default_rng([7, 3]).random())
    assert map_tasks(draw, range(5), seed=8) != alone


def test_progress_counts_from_what_is_known_to_all() -> None:
    seen: list[tuple[int, int]] = []
    map_tasks(abs, [-1, -2], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_no_tasks_give_no_results() -> None:
    assert map_tasks(abs, []) == []


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_names_its_task(threads: int) -> None:
    with ThreadPoolExecutor(2) as pool, pytest.raises(ArithmeticError, match="two") as caught:
        map_tasks(fail_on_two, range(4), pool if threads else None)
    assert caught.value.__notes__ == ["in task 2: 2"]


def test_what_was_finished_before_an_error_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    with pytest.raises(ArithmeticError):
        map_tasks(fail_on_two, range(4), checkpoint=file)
    assert len(file.read_text().splitlines()) == 1 + 2


def test_a_checkpointed_result_is_not_computed_again(tmp_path: Path) -> None:
    file, calls = tmp_path / "run.jsonl", tmp_path / "calls"
    tasks = [(str(calls), number) for number in (3, 1, 2)]
    first = map_tasks(record, tasks, checkpoint=file)
    assert map_tasks(record, [*tasks, (str(calls), 5)], checkpoint=file) == [*first, 25.0]
    assert calls.read_text().split() == ["3", "1", "2", "5"]


def record(task: tuple[str, int]) -> float:
    with open(task[0], "a") as file:
        file.write(f"{task[1]}\n")
    return float(task[1] ** 2)


def test_another_seed_or_another_function_is_computed_again(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    one = map_tasks(draw, range(3), checkpoint=file, seed=1)
    assert map_tasks(draw, range(3), checkpoint=file, seed=2) != one
    assert map_tasks(draw, range(3), checkpoint=file, seed=1) == one
    assert map_tasks(slow_first, range(3), checkpoint=file) == [0, 1, 4]


def test_floats_return_from_the_file_bit_for_bit(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    tasks = ["0x1.fffffffffffffp-3", "nan", "-inf", "-0x0p+0", "0x0.0000000000001p-1022"]
    map_tasks(float.fromhex, tasks, checkpoint=file)
    again = map_tasks(float.fromhex, tasks, checkpoint=file)
    assert [value.hex() for value in again] == [float.fromhex(task).hex() for task in tasks]


def test_a_result_that_json_would_change_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"plain JSON.*got tuple"):
        map_tasks(pair, [1], checkpoint=tmp_path / "run.jsonl")
    assert map_tasks(pair, [1]) == [(1, 1)]


def test_a_task_without_a_stable_identity_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot tell one object from another"):
        map_tasks(str, [object()], checkpoint=tmp_path / "run.jsonl")
    with pytest.raises(TypeError, match="top of a module"):
        map_tasks(lambda task: task, [1], checkpoint=tmp_path / "run.jsonl")


def test_another_kind_of_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "thesis.txt"
    file.write_text("one line\n")
    with pytest.raises(ValueError, match="not a checkpoint"):
        map_tasks(abs, [1], checkpoint=file)
    assert file.read_text() == "one line\n"


def test_a_torn_last_line_is_computed_again(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    expected = map_tasks(slow_first, [1, 2, 3], checkpoint=file)
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert map_tasks(slow_first, [1, 2, 3], checkpoint=file) == expected
        assert sorted(file.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_damage_in_the_middle_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    map_tasks(slow_first, [1, 2, 3], checkpoint=file)
    lines = file.read_text().splitlines()
    lines[2] = lines[2][:-5]
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match="damaged in line 3"):
        map_tasks(slow_first, [1, 2, 3], checkpoint=file)


@pytest.mark.parametrize("seed", [-1, True, 1.0])
def test_a_bad_seed_is_refused(seed: object) -> None:
    with pytest.raises(ValueError, match="`seed` must be a nonnegative integer"):
        map_tasks(draw, [1], seed=seed)  # type: ignore[arg-type]


def test_different_values_have_different_fingerprints() -> None:
    a = np.arange(6.0)
    values = [
        None, True, 1, 1.0, "1", b"1", 1j, 0.0, -0.0, math.nan, math.inf, (1,), [1], (1, 2),
        ((1,), 2), ("a", "b"), ("ab",), {"a": 1}, {"a": 2}, Path("a"), a, a.reshape(2, 3),
        a.astype(np.float32), a + 1, np.float32(1), Point(1, 2), Point(1.0, 2.0), slow_first, draw,
        functools.partial(slow_first, 1), functools.partial(slow_first, 2),
    ]  # fmt: skip
    assert len({fingerprint(value) for value in values}) == len(values)


def test_layout_and_byte_order_do_not_change_a_fingerprint() -> None:
    a = np.arange(6.0).reshape(2, 3)
    assert fingerprint(a) == fingerprint(np.asfortranarray(a)) == fingerprint(a.astype(">f8"))
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


KILLED = """
    import sys, time
    from pathlib import Path
    from evidence.execution import map_tasks

    def work(task):
        time.sleep(0.02)
        with open(sys.argv[2], "a") as file:
            file.write(f"{task}\\n")
        return task / 7

    if __name__ == "__main__":
        print(map_tasks(work, range(25), checkpoint=sys.argv[1]))
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_run_that_is_killed_twice_gives_the_same_answer(tmp_path: Path) -> None:
    script, file, calls = tmp_path / "killed.py", tmp_path / "run.jsonl", tmp_path / "calls"
    script.write_text(textwrap.dedent(KILLED))
    command = [sys.executable, str(script), str(file), str(calls)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for enough in (4, 10):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            deadline = time.monotonic() + 60
            while not file.exists() or file.read_bytes().count(b"\n") < enough:
                assert time.monotonic() < deadline
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    last = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(last.stdout) == [task / 7 for task in range(25)]
    # Only the task in flight at each kill can have run twice.
    assert 25 <= len(calls.read_text().splitlines()) <= 27


@pytest.mark.filterwarnings("default")  # the cluster's own start and end, not this package
def test_a_dask_cluster_gives_what_one_process_gives() -> None:
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with (
        distributed.LocalCluster(processes=False, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = map_tasks(draw, range(6), client.get_executor(), seed=5)
    assert found == map_tasks(draw, range(6), seed=5)
