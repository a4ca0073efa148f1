"""The tables of the dynamics benchmark: times beside the peers', verdicts, numbers of others."""

from __future__ import annotations

import itertools
import math
import shutil
import sys
from collections.abc import Sequence
from typing import IO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.dynamics_maps import MAPS
from benchmarks.dynamics_rows import ORBITS, DynamicsTask
from benchmarks.harness import Environment, Measurement
from benchmarks.tables import ratio_text, seconds_text

__all__ = ["print_dynamics", "unmet"]

WIDTH = 100
_HOW_TO_READ = """\
`ours` and `peer` are times for the whole work; `asked` is how many times longer the peer should
take, `is` how many times it does. `agreement` is the relative distance of the two answers. Where a
peer would take too long it was run on a part, and its time scaled: the notes say on which. `wrong`
verdicts of ours and of the peer are those that exact rational arithmetic refutes."""


def unmet(task: DynamicsTask, rows: Sequence[Measurement]) -> str:
    """What was asked of a row and not reached, in a few words; empty if nothing.

    Examples
    --------
    >>> ours = Measurement(group="", instance="", quantity="value", method="ours",
    ...                    claim="estimate", value=1.0, seconds=(1.0,))
    >>> numpy = Measurement(group="", instance="", quantity="value", method="numpy",
    ...                     claim="estimate", value=1.0, seconds=(20.0,))
    >>> unmet(DynamicsTask(group="", name="row", kind="", asked=100.0), [ours, numpy])
    'row: 100x asked, 20x reached'
    """
    ratio = _ratio(rows)
    if not task.asked or math.isnan(ratio) or ratio >= task.asked:
        return ""
    return f"{task.name}: {ratio_text(task.asked)} asked, {ratio_text(ratio)} reached"


def _ratio(rows: Sequence[Measurement]) -> float:
    ours = next((m for m in rows if m.method == "ours" and m.seconds), None)
    peer = next((m for m in rows if m.method not in ("ours", "balls") and m.seconds), None)
    return peer.fastest / ours.fastest if ours is not None and peer is not None else math.nan


def print_dynamics(
    tasks: Sequence[DynamicsTask],
    measurements: Sequence[Measurement],
    environment: Environment,
    stream: IO[str] | None = None,
) -> None:
    """Print all tables, the notes, what was not reached, and where it was measured."""
    out = sys.stdout if stream is None else stream
    width = max(WIDTH, shutil.get_terminal_size().columns) if out.isatty() else WIDTH
    console = Console(file=out, width=width, markup=False, highlight=False, emoji=False)
    console.print(Text(_HOW_TO_READ))
    by_name = {(task.group, task.name): task for task in tasks}
    missed, notes = [], []
    for group, members in itertools.groupby(measurements, lambda m: m.group):
        listed = [list(rows) for _, rows in itertools.groupby(members, lambda m: m.instance)]
        is_timed = group in (ORBITS, MAPS)
        table = _timed(group) if is_timed else _compared(group)
        for rows in listed:
            task = by_name[group, rows[0].instance]
            if is_timed:
                _add_timed(table, task, rows)
            else:
                _add_compared(table, task, rows)
            missed.append(unmet(task, rows))
            notes += [f"{m.method}: {m.note}" for m in rows if m.note and m.claim != "proved"]
        console.print(table)
    for title, sentences in (("Notes", notes), ("Asked, and not reached in this run", missed)):
        kept = list(dict.fromkeys(sentence for sentence in sentences if sentence))
        if kept:
            console.print(Text(f"\n{title}", style="bold"))
        for sentence in kept:
            console.print(Text(f"  {sentence}"))
    console.print(Text(f"\nMeasured on {environment.sentence()}.", style="dim"))


def _table(title: str) -> Table:
    return Table(
        title=Text(f"\n{title}", style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )


def _timed(title: str) -> Table:
    table = _table(title)
    table.add_column("work", width=39)
    for name, width in (
        ("ours", 8),
        ("peer", 8),
        ("is", 8),
        ("asked", 7),
        ("agreement", 9),
        ("wrong", 6),
        ("peer's", 7),
    ):
        table.add_column(name, width=width, justify="right")
    return table


def _add_timed(table: Table, task: DynamicsTask, rows: Sequence[Measurement]) -> None:
    values = {(m.method, m.quantity): m for m in rows}
    ours = next(m for m in rows if m.method == "ours")
    peer = next((m for m in rows if m.method not in ("ours", "balls")), None)
    reference = peer if peer is not None else values.get(("balls", ours.quantity))
    ratio = _ratio(rows)
    wrong = [values.get((name, "wrong verdicts")) for name in ("ours", _name(peer))]
    table.add_row(
        task.name,
        seconds_text(ours.fastest),
        _long_time(peer.fastest) if peer is not None else "",
        "" if math.isnan(ratio) else ratio_text(ratio),
        ratio_text(task.asked) if task.asked else "",
        "" if task.kind == "map" else _agreement(ours, reference),
        *("" if m is None else f"{m.value:g}" for m in wrong),
    )


def _long_time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 1000.0 else seconds_text(seconds)


def _name(m: Measurement | None) -> str:
    return "" if m is None else m.method


def _agreement(ours: Measurement, other: Measurement | None) -> str:
    if other is None or ours.quantity != other.quantity:
        return ""
    proved, value = (ours, other.value) if ours.claim == "proved" else (other, ours.value)
    if proved.claim == "proved":
        distance = max(proved.lower - value, value - proved.upper, 0.0)
        scale = abs(value)
        if distance == 0.0:
            return "inside"
    else:
        distance, scale = abs(ours.value - other.value), abs(other.value)
    if distance == 0.0:
        return "equal"
    return f"{distance / scale if scale else distance:.0e}"


def _value(m: Measurement) -> str:
    if m.claim != "proved":
        return f"{m.value:.8g}"
    if m.upper - m.lower <= 1e-8 * abs(m.upper):
        return f"{m.lower:.8g}"
    return f"{m.lower:.6g}..{m.upper:.6g}"


def _compared(title: str) -> Table:
    table = _table(title)
    table.add_column("number", width=42)
    for name, width in (("ours", 16), ("other", 13), ("by", 12), ("difference", 10)):
        table.add_column(name, width=width, justify="right")
    return table


_ORDERS = {"simultaneous": "at once", "alternating_xy": "in turn", "value": ""}


def _add_compared(table: Table, task: DynamicsTask, rows: Sequence[Measurement]) -> None:
    title = task.name
    for quantity, pair in itertools.groupby(rows, lambda m: m.quantity):
        ours, *others = list(pair)
        other = others[0] if others else None
        words = _ORDERS.get(quantity, quantity)
        table.add_row(
            f"{title}{', ' if words and title else ''}{words}",
            _value(ours),
            f"{other.value:.8g}" if other is not None else "-",
            _name(other) or "not installed",
            _agreement(ours, other),
        )
        title = "  "
