"""``python -m benchmarks.gan``: training many small GANs at once, beside one at a time.

Exit status 0; 2 if an option cannot be used. Whether the times reach what was asked is printed, and
changes nothing: a loaded machine is no contradiction.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not __package__:
    sys.stderr.write("run `python -m benchmarks.gan` from the project's folder instead\n")
    raise SystemExit(2)

import argparse
import fnmatch
import itertools
from collections.abc import Sequence

from benchmarks.gan_rows import GanTask
from benchmarks.harness import Environment, Measurement
from benchmarks.running import UsageError, add_common_options, measure_all, write_csv, write_json

__all__ = ["main"]

_HOW_TO_READ = """\
Seeds times critic steps per CPU second (per second of wall time on a GPU), with data, a generator
step after every five critic steps, and all methods in turns. `product` is the share of this
machine's rate for one large float32 matrix product that our arithmetic reaches."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gan",
        description="Training of small WGAN-GPs, beside a reference loop and a careful loop.",
    )
    parser.add_argument("--device", default="cpu", help="of our ensemble (default: cpu)")
    add_common_options(parser)
    options = parser.parse_args(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(options, ["python", "-m", "benchmarks.gan", *given])
    except UsageError as error:
        sys.stderr.write(f"{parser.prog}: error: {error}\n")
        return 2


def _run(options: argparse.Namespace, command: Sequence[str]) -> int:
    from benchmarks.gan_rows import measure_training, tasks

    for path in (options.json, options.csv, options.plot):
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"the folder of {str(path)!r} does not exist")
    pattern = f"*{(options.only or '').lower()}*"
    listed = [
        task
        for task in tasks(
            quick=options.quick, device=options.device, seed=options.seed, threads=options.threads
        )
        if fnmatch.fnmatchcase(task.name, pattern)
    ]
    if not listed:
        raise UsageError(f"`--only` = {options.only!r} matches no row")
    try:
        measurements = measure_all(measure_training, listed, options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    environment = Environment.here(
        command=command, threads=options.threads, jobs=options.jobs, seed=options.seed
    )
    _print(listed, measurements, environment)
    if options.json is not None:
        write_json(options.json, environment, measurements, [])
    if options.csv is not None:
        write_csv(options.csv, measurements)
    if options.plot is not None:
        from benchmarks.divergence_figure import draw_times

        draw_times(options.plot, measurements)
    return 0


def _print(
    tasks: Sequence[GanTask], measurements: Sequence[Measurement], environment: Environment
) -> None:
    from rich.console import Console
    from rich.text import Text

    from benchmarks.divergence_tables import WIDTH
    from benchmarks.tables import plain_table, ratio_text

    console = Console(width=WIDTH, markup=False, highlight=False, emoji=False)
    console.print(Text(_HOW_TO_READ))
    table = plain_table("\nTraining WGAN-GP on the ring")
    for name in ("critic", "seeds", "ours", "reference", "careful", "over ref.", "over careful"):
        table.add_column(name, justify="left" if name == "critic" else "right")
    table.add_column("product")
    missed = []
    for (_, rows), task in zip(
        itertools.groupby(measurements, lambda m: m.instance), tasks, strict=True
    ):
        ours, *peers = list(rows)
        ratios = {m.method: m.fastest / ours.fastest for m in peers}
        table.add_row(
            task.name,
            str(task.members),
            *(f"{1.0 / m.fastest:.0f}" for m in (ours, *peers)),
            *(ratio_text(ratio) for ratio in ratios.values()),
            ours.note,
        )
        missed += [
            f"{task.name}: {ratio_text(ratios[peer])} over the {peer}, {least:g}x asked"
            for peer, least in task.faster
            if ratios[peer] < least
        ]
    console.print(table)
    if missed:
        console.print(Text("\nAsked, and not reached in this run", style="bold"))
        for sentence in missed:
            console.print(Text(f"  {sentence}"))
    console.print(Text(f"\nMeasured on {environment.sentence()}.", style="dim"))


if __name__ == "__main__":
    sys.exit(main())
