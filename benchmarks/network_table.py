"""Whole networks, method by method: what each proves, and in how many CPU seconds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from rich.table import Table

from benchmarks.harness import Measurement
from benchmarks.tables import bound_text, gap_text, plain_table, ratio_text, seconds_text

__all__ = ["COLUMNS", "network_table", "program_table"]

COLUMNS = {
    "product": ("product, upper",),
    "fast": ("closed-form multipliers, upper",),
    "SDP": ("multipliers, upper",),
    "exact": ("regions, upper", "sign patterns, upper"),
    "ascent": ("ascent, lower",),
}


def network_table(measurements: Sequence[Measurement]) -> Table | None:
    """One row for every network in l2; None without any.

    Examples
    --------
    >>> network_table([]) is None
    True
    """
    wanted = [m for m in measurements if (m.instance, m.quantity) == ("whole network", "l2")]
    if not any(m.method == "product, upper" for m in wanted):
        return None
    table = plain_table("\nWhole networks in l2, method by method: proved bound, CPU time")
    table.add_column("network", width=20, overflow="ellipsis", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, width=12, justify="right")
    for name, width in (("gap", 6), ("/product", 8), ("memory", 8)):
        table.add_column(name, width=width, justify="right")
    for group, rows in itertools.groupby(wanted, lambda m: m.group):
        listed = list(rows)
        ours = next(m for m in listed if m.method == "ours")
        product = next((m.upper for m in listed if m.method == "product, upper"), math.nan)
        table.add_row(
            group,
            *(_cell(listed, methods) for methods in COLUMNS.values()),
            gap_text(ours.gap),
            f"{ours.upper / product:.2g}",
            "-" if math.isnan(ours.mebibytes) else f"{ours.mebibytes:.0f} MiB",
        )
    return table


def _cell(rows: Sequence[Measurement], methods: Sequence[str]) -> str:
    for m in rows:
        if m.method in methods:
            is_upper = m.method.endswith("upper")
            value = bound_text(m.upper if is_upper else m.lower, upward=is_upper)
            return f"{value}\n{seconds_text(m.fastest)}"
    return "-"


def program_table(measurements: Sequence[Measurement]) -> Table | None:
    """The semidefinite program by us and by general solvers; None if it was not measured.

    Examples
    --------
    >>> program_table([]) is None
    True
    """
    wanted = [m for m in measurements if m.quantity == "program"]
    if not wanted:
        return None
    table = plain_table(
        "\nLipSDP's program: our certified optimum beside general solvers (CPU time)"
    )
    table.add_column("network", width=26)
    table.add_column("by", width=8)
    for name, width in (("value", 11), ("time", 8), ("of ours", 8)):
        table.add_column(name, width=width, justify="right")
    table.add_column("says", width=36)
    for instance, rows in itertools.groupby(wanted, lambda m: m.instance):
        listed = list(rows)
        for m in listed:
            ours = m.method == "ours"
            value = bound_text(m.upper, upward=True, digits=9) if ours else f"{m.value:.8g}"
            table.add_row(
                instance if ours else "",
                m.method,
                value,
                seconds_text(m.fastest),
                "" if ours else ratio_text(m.fastest / listed[0].fastest),
                m.note,
            )
    return table
