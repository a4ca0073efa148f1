"""``python -m benchmarks.dynamics``: orbits, stability maps and worst cases beside their peers.

Exit status 0 if all values agree with each other and with every proved enclosure, 1 if they do not,
2 if an option cannot be used. Whether the times reach what was asked is printed, and changes
nothing: a loaded machine is no contradiction.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:
    # Run as a file, this folder comes first on the path, and this file would import itself in
    # place of the package `dynamics`.
    sys.stderr.write("run `python -m benchmarks.dynamics` from the project's folder instead\n")
    raise SystemExit(2)

import argparse
import fnmatch
from collections.abc import Sequence

from benchmarks.harness import Environment, contradictions
from benchmarks.running import (
    UsageError,
    add_common_options,
    measure_all,
    write_csv,
    write_json,
)

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dynamics",
        description="Orbits, stability maps and worst cases of two-player games.",
    )
    add_common_options(parser)
    options = parser.parse_args(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(options, ["python", "-m", "benchmarks.dynamics", *given])
    except UsageError as error:
        sys.stderr.write(f"{parser.prog}: error: {error}\n")
        return 2


def _run(options: argparse.Namespace, command: Sequence[str]) -> int:
    from benchmarks.divergence_references import disagreements
    from benchmarks.dynamics_rows import measure_dynamics, tasks
    from benchmarks.dynamics_tables import print_dynamics

    for path in (options.json, options.csv, options.plot):
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"the folder of {str(path)!r} does not exist")
    pattern = f"*{(options.only or '').lower()}*"
    listed = [
        task
        for task in tasks(
            quick=options.quick, full=options.full, seed=options.seed, threads=options.threads
        )
        if fnmatch.fnmatchcase(f"{task.group}: {task.name}".lower(), pattern)
    ]
    if not listed:
        raise UsageError(f"`--only` = {options.only!r} matches no row")
    measurements = measure_all(measure_dynamics, listed, options)
    environment = Environment.here(
        command=command, threads=options.threads, jobs=options.jobs, seed=options.seed
    )
    found = contradictions(measurements) + disagreements(measurements)
    print_dynamics(listed, measurements, environment)
    if options.json is not None:
        write_json(options.json, environment, measurements, found)
    if options.csv is not None:
        write_csv(options.csv, measurements)
    if options.plot is not None:
        from benchmarks.dynamics_figure import draw_dynamics

        draw_dynamics(options.plot)
    for sentence in found:
        sys.stderr.write(f"CONTRADICTION: {sentence}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
