"""Options, processes and files that all benchmarks share."""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import io
import json
import math
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.harness import Environment, Measurement
from evidence.execution import CheckpointError, map_tasks
from evidence.files import write_atomically

__all__ = [
    "UsageError",
    "add_common_options",
    "limited_threads",
    "measure_all",
    "write_csv",
    "write_json",
]

Task = TypeVar("Task")


class UsageError(Exception):
    """What was asked for on the command line cannot be done; one sentence, exit status 2."""


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """The options of every benchmark."""
    parser.add_argument("--quick", action="store_true", help="smaller instances, one repeat")
    parser.add_argument("--full", action="store_true", help="also what takes minutes and gigabytes")
    parser.add_argument("--only", metavar="PATTERN", help="rows whose name contains PATTERN")
    parser.add_argument("--seed", type=_nonnegative, default=0, help="of random instances")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all measurements")
    parser.add_argument("--csv", type=Path, metavar="PATH", help="write all measurements")
    parser.add_argument("--plot", type=Path, metavar="PATH", help="draw them (.png, .svg, .pdf)")
    parser.add_argument(
        "--threads", type=_positive, default=1, help="BLAS and torch threads (default: 1)"
    )
    parser.add_argument(
        "--jobs", type=_positive, default=1, help="processes; timings then share the machine"
    )
    parser.add_argument("--dask", metavar="ADDRESS", help="run on a dask.distributed cluster")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="PATH", help="keep finished rows; resume from them"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _nonnegative(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {number}")
    return number


# ---- running ------------------------------------------------------------------------------------
def measure_all(
    function: Callable[[Task], list[dict[str, Any]]],
    tasks: Sequence[Task],
    options: argparse.Namespace,
) -> list[Measurement]:
    """Run every task where the options say, with a progress bar if someone is watching.

    Raises
    ------
    UsageError
        If ``--dask`` is given without the package or no scheduler answers there, or the checkpoint
        is another kind of file.
    """
    with _executor(options) as executor, _progress_bar() as progress:
        try:
            results = map_tasks(function, tasks, executor, options.checkpoint, progress)
        except CheckpointError as error:
            raise UsageError(str(error)) from error
    return [Measurement.from_dict(data) for result in results for data in result]


@contextlib.contextmanager
def _executor(options: argparse.Namespace) -> Iterator[Executor | None]:
    if options.dask:
        try:
            from distributed import Client
        except ImportError as error:
            raise UsageError(
                "`--dask` needs the package `distributed`, which is not installed; "
                "install the extra `dask`, or use `--jobs N` on this machine"
            ) from error
        try:
            connect: Any = Client  # untyped
            client = connect(options.dask, timeout=10)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"`--dask` = {options.dask!r}: no scheduler answers ({error}); "
                "start one, or use `--jobs N` on this machine"
            ) from error
        with client:
            yield client.get_executor()
    elif options.jobs > 1:
        # Not fork: the parent has BLAS and torch threads, which a forked child would inherit dead.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
            yield pool
    else:
        yield None


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[int, int], None] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    console = Console(stderr=True, markup=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        row = bar.add_task("", total=None)
        yield lambda done, total: bar.update(row, completed=done, total=total)


@contextlib.contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """BLAS, OpenMP and torch use at most so many threads."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(limits=threads):
            yield
    finally:
        torch.set_num_threads(before)


# ---- files --------------------------------------------------------------------------------------
def write_json(
    path: Path,
    environment: Environment,
    measurements: Sequence[Measurement],
    contradictions: Sequence[str],
) -> None:
    """Everything, as one JSON document (RFC 8259: what is not a finite number is null)."""
    document = {
        "environment": dataclasses.asdict(environment),
        "measurements": [_finite(_row(m)) for m in measurements],
        "contradictions": list(contradictions),
    }
    _replace(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def write_csv(path: Path, measurements: Sequence[Measurement]) -> None:
    """One line per measurement; times are the minimum and the median of the repeats."""
    text = io.StringIO()
    rows = [_row(m) for m in measurements]
    fields = [name for name in _row(_BLANK) if name != "seconds"]
    writer = csv.DictWriter(text, fields, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: "" if isinstance(value, float) and math.isnan(value) else value
                for name, value in row.items()
            }
        )
    _replace(path, text.getvalue())


_BLANK = Measurement(group="", instance="", quantity="", method="", claim="estimate")


def _row(m: Measurement) -> dict[str, Any]:
    return {
        **m.as_dict(),
        "gap": m.gap,
        "repeats": len(m.seconds),
        "seconds_min": m.fastest,
        "seconds_median": m.median,
    }


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def _replace(path: Path, text: str) -> None:
    """Write the file in one step: a reader sees the old file or the new one."""
    try:
        write_atomically(path, text)
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror}") from error
