"""``python -m benchmarks.divergences``: distances and divergences beside scipy and POT.

Exit status 0 if all values agree with each other and with every proved enclosure, 1 if they do not,
2 if an option cannot be used. Whether the times reach what was asked is printed, and changes
nothing: a loaded machine is no contradiction.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:
    # Run as a file, this folder comes first on the path, and this file would import itself in
    # place of the package `divergences`.
    sys.stderr.write("run `python -m benchmarks.divergences` from the project's folder instead\n")
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
        prog="python -m benchmarks.divergences",
        description="KL, JS and Wasserstein distances, beside scipy and POT.",
    )
    add_common_options(parser)
    options = parser.parse_args(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(options, ["python", "-m", "benchmarks.divergences", *given])
    except UsageError as error:
        sys.stderr.write(f"{parser.prog}: error: {error}\n")
        return 2


def _run(options: argparse.Namespace, command: Sequence[str]) -> int:
    from benchmarks.divergence_references import disagreements
    from benchmarks.divergence_rows import measure_divergence, tasks
    from benchmarks.divergence_tables import print_divergences

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
    measurements = measure_all(measure_divergence, listed, options)
    environment = Environment.here(
        command=command, threads=options.threads, jobs=options.jobs, seed=options.seed
    )
    found = contradictions(measurements) + disagreements(measurements)
    print_divergences(listed, measurements, environment)
    if options.json is not None:
        write_json(options.json, environment, measurements, found)
    if options.csv is not None:
        write_csv(options.csv, measurements)
    if options.plot is not None:
        from benchmarks.divergence_figure import draw_times

        draw_times(options.plot, measurements)
    for sentence in found:
        sys.stderr.write(f"CONTRADICTION: {sentence}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
