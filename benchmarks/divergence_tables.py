"""The table of the divergence benchmark: times beside the peers', errors, and what was asked."""

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

from benchmarks.divergence_rows import Ask, DivergenceTask
from benchmarks.harness import Environment, Measurement
from benchmarks.tables import ratio_text, seconds_text

__all__ = ["print_divergences", "relative_error", "unmet"]

WIDTH = 100
_HOW_TO_READ = """\
`ours` is our time; the next columns say how many times longer a peer takes. `limit` is our time
over that of the array operation without which there is no answer: two sorts one after the other
(ours may run side by side), two argsorts, one difference, one logarithm. `error` is the relative
distance from a proved enclosure (balls). The value of many histograms is their mean."""


def relative_error(measurement: Measurement, beside: Sequence[Measurement]) -> float:
    """Distance of a value from the proved enclosure of its quantity, relative; NaN without one.

    Examples
    --------
    >>> proved = Measurement(group="", instance="", quantity="KL", method="balls", claim="proved",
    ...                      lower=2.0, upper=2.0)
    >>> ours = Measurement(group="", instance="", quantity="KL", method="ours", claim="estimate",
    ...                    value=2.5)
    >>> relative_error(ours, [proved, ours])
    0.25
    """
    for m in beside:
        if m.claim == "proved" and m.quantity == measurement.quantity:
            outside = max(m.lower - measurement.value, measurement.value - m.upper, 0.0)
            return outside / abs(m.lower) if not math.isnan(measurement.value) else math.inf
    return math.nan


def unmet(ask: Ask, rows: Sequence[Measurement]) -> list[str]:
    """What was asked of a row and not reached, in a few words each.

    Examples
    --------
    >>> ours = Measurement(group="", instance="", quantity="W1", method="ours", claim="estimate",
    ...                    value=1.0, seconds=(1.0,))
    >>> scipy = Measurement(group="", instance="", quantity="W1", method="scipy", claim="estimate",
    ...                     value=1.0, seconds=(2.0,))
    >>> unmet(Ask(faster=(("scipy", 3.0),)), [ours, scipy])
    ['scipy 3x']
    """
    missing = []
    for quantity in dict.fromkeys(m.quantity for m in rows if m.method == "ours"):
        ours = next(m for m in rows if (m.method, m.quantity) == ("ours", quantity))
        for method, least in ask.faster:
            ratio = _ratio(method, ours, rows)
            if not math.isnan(ratio) and ratio < least:
                missing.append(f"{method} {ratio_text(least)}")
        for method, most in ask.within:
            if _ratio(method, ours, rows) < 1.0 / most:
                missing.append(f"{method} {ratio_text(most)}")
        if relative_error(ours, rows) > ask.error:
            missing.append(f"error {ask.error:.0e}")
    return missing


def _ratio(method: str, ours: Measurement, rows: Sequence[Measurement]) -> float:
    for m in rows:
        if m.method == method and m.quantity in (ours.quantity, "time"):
            return m.fastest / ours.fastest
    return math.nan


def print_divergences(
    tasks: Sequence[DivergenceTask],
    measurements: Sequence[Measurement],
    environment: Environment,
    stream: IO[str] | None = None,
) -> None:
    """Print the table, what was not reached, and where it was measured."""
    out = sys.stdout if stream is None else stream
    width = max(WIDTH, shutil.get_terminal_size().columns) if out.isatty() else WIDTH
    console = Console(file=out, width=width, markup=False, highlight=False, emoji=False)
    console.print(Text(_HOW_TO_READ))
    asks = {(task.group, task.name): task.ask for task in tasks}
    missed = []
    for group, members in itertools.groupby(measurements, lambda m: m.group):
        table = _table(f"\n{group}")
        for instance, rows in itertools.groupby(members, lambda m: m.instance):
            listed = list(rows)
            for index, ours in enumerate(m for m in listed if m.method == "ours"):
                same = [m for m in listed if m.quantity in (ours.quantity, "time")]
                title = instance if index == 0 else ""
                if ours.quantity != "distance":
                    title = f"{ours.quantity}, {instance}"
                _add_row(table, title, ours, same)
            missing = unmet(asks[group, instance], listed)
            missed += [f"{instance}: {words}" for words in missing]
        console.print(table)
    if missed:
        console.print(Text("\nAsked, and not reached in this run", style="bold"))
        for sentence in missed:
            console.print(Text(f"  {sentence}"))
    console.print(Text(f"\nMeasured on {environment.sentence()}.", style="dim"))


def _table(title: str) -> Table:
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    table.add_column("work", width=32)
    for name, width in (
        ("value", 9),
        ("ours", 8),
        ("limit", 7),
        ("scipy", 7),
        ("POT", 7),
        ("HiGHS", 7),
        ("error", 7),
        ("scipy's", 8),
    ):
        table.add_column(name, width=width, justify="right")
    return table


def _add_row(table: Table, title: str, ours: Measurement, rows: Sequence[Measurement]) -> None:
    limit = _ratio("limit", ours, rows)
    scipy = next((m for m in rows if m.method == "scipy"), None)
    table.add_row(
        title,
        f"{ours.value:.4g}",
        seconds_text(ours.fastest),
        ratio_text(1.0 / limit) if not math.isnan(limit) else "",
        *(_peer(name, ours, rows) for name in ("scipy", "POT", "HiGHS")),
        _error_text(relative_error(ours, rows)),
        _error_text(relative_error(scipy, rows)) if scipy else "",
    )


def _peer(method: str, ours: Measurement, rows: Sequence[Measurement]) -> str:
    ratio = _ratio(method, ours, rows)
    return "" if math.isnan(ratio) else ratio_text(ratio)


def _error_text(error: float) -> str:
    if math.isnan(error):
        return ""
    if math.isinf(error):
        return "NaN"
    return "none" if error == 0.0 else f"{error:.0e}"
