"""``python -m benchmarks.lipschitz [MODEL ...]``: certified bounds beside what the peers give.

Without a model: layers of well-known shapes, and small networks trained on scikit-learn's digits.
With models: ``.onnx`` files, ``.mat`` files of weight matrices as LipSDP writes them, or
``package.module:factory`` for a torch module. Exit status 0 if all enclosures agree with each
other and with every value that is known otherwise, 1 if they do not, 2 if a model or an option
cannot be used.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:
    # Run as a file, this folder comes first on the path, and this file would import itself in
    # place of the package `lipschitz`.
    sys.stderr.write("run `python -m benchmarks.lipschitz` from the project's folder instead\n")
    raise SystemExit(2)

import argparse
import fnmatch
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.comparison import LayerTask
from benchmarks.harness import Environment, contradictions
from benchmarks.running import (
    UsageError,
    add_common_options,
    measure_all,
    write_csv,
    write_json,
)

if TYPE_CHECKING:
    from benchmarks.networks import Task

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(options, ["python", "-m", "benchmarks.lipschitz", *given])
    except UsageError as error:
        sys.stderr.write(f"{parser.prog}: error: {error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lipschitz",
        description="Certified Lipschitz bounds of layers and networks, beside seven peers.",
    )
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="FILE.onnx, FILE.mat or package.module:factory (default: the embedded examples)",
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="safetensors, for a factory")
    parser.add_argument(
        "--input-shape", type=_shape, metavar="C,H,W", help="of one sample, for a factory"
    )
    parser.add_argument(
        "--search",
        type=_seconds,
        metavar="SECONDS",
        help="for each lower bound of a whole network (default: 10; embedded or quick: 0.5)",
    )
    add_common_options(parser)
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, got {text!r}")
    return seconds


def _shape(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError(
            f"must be positive integers with commas between them, got {text!r}"
        )
    return sizes


def _run(options: argparse.Namespace, command: Sequence[str]) -> int:
    from benchmarks.networks import measure_task
    from benchmarks.tables import print_report

    for path in (options.json, options.csv, options.plot):
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"the folder of {str(path)!r} does not exist")
    tasks = [task for task in _tasks(options) if _wanted(task, options.only)]
    if not tasks:
        raise UsageError(f"`--only` = {options.only!r} matches no row")
    measurements = measure_all(measure_task, tasks, options)
    environment = Environment.here(
        command=command, threads=options.threads, jobs=options.jobs, seed=options.seed
    )
    found = contradictions(measurements)
    print_report(measurements, environment)
    if options.json is not None:
        write_json(options.json, environment, measurements, found)
    if options.csv is not None:
        write_csv(options.csv, measurements)
    if options.plot is not None:
        from benchmarks.figures import draw

        draw(options.plot, tasks, measurements)
    for sentence in found:
        sys.stderr.write(f"CONTRADICTION: {sentence}\n")
    return 1 if found else 0


# ---- what is measured ---------------------------------------------------------------------------
def _tasks(options: argparse.Namespace) -> list[Task]:
    from benchmarks import models, shapes
    from benchmarks.networks import exact_tasks, network_tasks
    from benchmarks.sdp_rows import sdp_tasks

    repeats = 1 if options.quick else 5
    tasks: list[Task] = []
    if options.models:
        networks = {
            title: models.read(name, weights=options.weights, shape=options.input_shape)
            for name, title in _titles(options.models).items()
        }
    else:
        for option, value in (
            ("--weights", options.weights),
            ("--input-shape", options.input_shape),
        ):
            if value is not None:
                raise UsageError(f"`{option}` needs a model: `package.module:factory`")
        layers = {
            "Gaussian, ResNet-18": shapes.well_known(
                seed=options.seed, quick=options.quick, full=options.full
            ),
            "Gaussian, other kinds": shapes.kinds(seed=options.seed),
        }
        tasks += [
            LayerTask(
                group=group,
                name=name,
                layer=layer,
                repeats=repeats,
                full=options.full,
                threads=options.threads,
            )
            for group, rows in layers.items()
            for name, layer in rows.items()
        ]
        networks = models.embedded()
        tasks += sdp_tasks(full=options.full, seed=options.seed, threads=options.threads)
        tasks += exact_tasks(full=options.full, seed=options.seed, threads=options.threads)
    search = options.search or (10.0 if options.models and not options.quick else 0.5)
    for name, network in networks.items():
        tasks += network_tasks(
            name,
            network,
            repeats=repeats,
            full=options.full,
            threads=options.threads,
            search_seconds=search,
            seed=options.seed,
        )
    return tasks


def _titles(arguments: Sequence[str]) -> dict[str, str]:
    """A short title for every model: the file's name, unless two files have the same name."""
    names = {a: a if ":" in a else Path(a).name for a in arguments}
    shared = Counter(names.values())
    return {a: name if shared[name] == 1 else a for a, name in names.items()}


def _wanted(task: Task, pattern: str | None) -> bool:
    if pattern is None:
        return True
    name = f"{task.group}: {getattr(task, 'name', 'whole network')}".lower()
    return fnmatch.fnmatchcase(name, f"*{pattern.lower()}*")


if __name__ == "__main__":
    sys.exit(main())
