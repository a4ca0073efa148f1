"""The tables in the terminal: what is proved first, then what the peers say and what that is."""

from __future__ import annotations

import itertools
import math
import shutil
import sys
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import IO, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.comparison import EVERY_SIZE, PEERS
from benchmarks.harness import Environment, Measurement

__all__ = ["bound_text", "plain_table", "print_report", "ratio_text", "seconds_text"]

WIDTH = 100
_WORTH_MENTIONING = 500.0  # mebibytes
_HOW_TO_READ = """\
Every row is proved: lower <= norm <= upper after all rounding; gap is upper / lower - 1. A layer's
norm is its Lipschitz constant in l2: for every input size at once, with circular padding, or as
padded in the layer. A whole network's lower bound is a slope at a point. `dense` and `half` say how
many times longer two peers take for the circular norm. /2 is stride 2, *2 dilation 2, T transposed,
g2 two groups."""
_ABOUT = {"circle": "circular", "every size": "any size"}


# ---- numbers ------------------------------------------------------------------------------------
def bound_text(value: float, *, upward: bool, digits: int = 7) -> str:
    """A bound in decimal, rounded away from the inside, so that what is printed is a bound too.

    Examples
    --------
    >>> bound_text(0.1 + 0.2, upward=True), bound_text(0.1 + 0.2, upward=False)
    ('0.3000001', '0.3')
    >>> bound_text(12345678.9, upward=False), bound_text(float("inf"), upward=True)
    ('1.234e+7', 'inf')
    """
    if not math.isfinite(value):
        return "-" if math.isnan(value) else str(value)
    exact = Decimal(value)
    has_exponent = exact != 0 and not -4 <= exact.adjusted() < digits
    # The exponent takes the place of three digits.
    context = Context(
        prec=max(1, digits - 3) if has_exponent else digits,
        rounding=ROUND_CEILING if upward else ROUND_FLOOR,
    )
    rounded = context.plus(exact)
    if has_exponent:
        return f"{rounded:e}"
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def value_text(value: float) -> str:
    """An uncertified value: six digits, to the nearest."""
    return "-" if math.isnan(value) else f"{value:.6g}"


def seconds_text(seconds: float) -> str:
    """A time with two or three digits.

    Examples
    --------
    >>> [seconds_text(s) for s in (1e-5, 0.000123, 0.0123, 0.123, 1.234, 123.4)]
    ['10 us', '0.12 ms', '12 ms', '123 ms', '1.23 s', '123 s']
    """
    if math.isnan(seconds):
        return "-"
    if seconds < 9.95e-5:
        return f"{1e6 * seconds:.0f} us"
    if seconds < 1.0:
        milliseconds = 1e3 * seconds
        return f"{milliseconds:.0f} ms" if milliseconds >= 9.95 else f"{milliseconds:.2g} ms"
    return f"{seconds:.3g} s"


def ratio_text(ratio: float) -> str:
    """How many times longer a peer takes.

    Examples
    --------
    >>> [ratio_text(r) for r in (531.0, 29.4, 1.26, 0.8, 0.01)]
    ['531x', '29x', '1.3x', '0.8x', '<0.1x']
    """
    if math.isnan(ratio):
        return "-"
    if ratio < 0.1:
        return "<0.1x"
    return f"{ratio:.0f}x" if ratio >= 9.95 else f"{ratio:.2g}x"


def gap_text(gap: float) -> str:
    """``upper / lower - 1`` to one or two digits."""
    if gap == 0.0:
        return "exact"
    if gap < 0.0995:
        return f"{gap:.0e}"
    if gap < 9.95:
        return f"{gap:.2g}"
    return f"{gap:.0f}" if gap < 1e4 else f"{gap:.0e}"


# ---- the report ---------------------------------------------------------------------------------
def print_report(
    measurements: Sequence[Measurement], environment: Environment, stream: IO[str] | None = None
) -> None:
    """Print the tables, the legend, and where they were measured."""
    from benchmarks.network_table import network_table, program_table

    out = sys.stdout if stream is None else stream
    width = max(WIDTH, shutil.get_terminal_size().columns) if out.isatty() else WIDTH
    console = Console(file=out, width=width, markup=False, highlight=False, emoji=False)
    console.print(Text(_HOW_TO_READ))
    for group, members in itertools.groupby(measurements, lambda m: m.group):
        table = _certified(group, list(members))
        if table.row_count:
            console.print(table)
    for extra in (network_table(measurements), program_table(measurements)):
        if extra is not None:
            console.print(extra)
    if any(_is_peer(m) for m in measurements):
        console.print(_peer_table(measurements))
        console.print(Text("\nWhat the numbers are", style="bold"))
        console.print(_legend())
    console.print(Text(f"\nMeasured on {environment.sentence()}.", style="dim"))


def plain_table(title: str) -> Table:
    """A table with a bold title and one line under its head."""
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )


def _certified(group: str, members: list[Measurement]) -> Table:
    table = plain_table(f"\n{group}")
    table.add_column("layer", width=21)
    table.add_column("norm", width=16)
    for name, width in (("lower", 9), ("upper", 9), ("gap", 5)):
        table.add_column(name, width=width, justify="right")
    table.add_column("proved by", width=13)
    for name, width in (("time", 7), ("dense", 6), ("half", 6)):
        table.add_column(name, width=width, justify="right")
    for instance, rows in itertools.groupby(members, lambda m: m.instance):
        listed = list(rows)
        title = instance
        for m in (m for m in listed if m.method == "ours" and m.quantity != "program"):
            proved = m.claim == "proved"
            table.add_row(
                title,
                m.quantity,
                bound_text(m.lower, upward=False),
                bound_text(m.upper, upward=True),
                gap_text(m.gap) if proved else "-",
                m.note.removesuffix(", Lanczos") if proved else "NOT PROVED",
                seconds_text(m.fastest),
                *(_ratio(m, listed, name) for name in ("dense", "half")),
            )
            if not proved:
                table.add_row("", "", "", value_text(m.value), "", m.note)
            title = ""
    return table


def _ratio(ours: Measurement, beside: Iterable[Measurement], name: str) -> str:
    """A peer's time over ours, where the two answer the same question or ours answers more."""
    comparable = ours.quantity == EVERY_SIZE or ours.quantity.startswith("circular")
    peer = [m.fastest for m in beside if m.method == name]
    return ratio_text(peer[0] / ours.fastest) if comparable and peer else ""


# ---- the peers ----------------------------------------------------------------------------------
def _peer_table(measurements: Sequence[Measurement]) -> Table:
    table = plain_table(
        "\nThe convolutions by the peers: value, time, memory if much, warning if too low"
    )
    table.add_column("layer", width=21)
    table.add_column("ours\nany size", width=9, justify="right")
    for peer in PEERS:
        about = _ABOUT.get(peer.about, peer.about)
        table.add_column(f"{peer.name}\n{about}", width=8, justify="right")
    groups = itertools.groupby(measurements, lambda m: m.group)
    for group, members in groups:
        layers = [list(rows) for _, rows in itertools.groupby(members, lambda m: m.instance)]
        compared = [rows for rows in layers if any(_is_peer(m) for m in rows)]
        if compared:
            table.add_section()
            table.add_row(Text(group, style="bold"))
        for rows in compared:
            ours = next((m for m in rows if (m.method, m.quantity) == ("ours", EVERY_SIZE)), None)
            cells: list[Any] = [_our_cell(ours)]
            for peer in PEERS:
                found = next((m for m in rows if m.method == peer.name), None)
                cells.append(_peer_cell(found) if found else "-")
            table.add_row(rows[0].instance, *cells)
    return table


def _is_peer(m: Measurement) -> bool:
    return any(m.method == peer.name for peer in PEERS)


def _our_cell(m: Measurement | None) -> str:
    if m is None:
        return "-"
    return f"{bound_text(m.upper, upward=True)}\n{seconds_text(m.fastest)}{_memory_line(m)}"


def _peer_cell(m: Measurement) -> Text:
    cell = Text(f"{value_text(m.value)}\n{seconds_text(m.fastest)}{_memory_line(m)}")
    if m.note:
        cell.append(f"\n{m.note}", style="bold red")
    return cell


def _memory_line(m: Measurement) -> str:
    """The peak memory of what needs much."""
    if not m.mebibytes >= _WORTH_MENTIONING:
        return ""
    gibibytes = m.mebibytes / 1024.0
    return f"\n{gibibytes:.1f} GiB" if gibibytes >= 0.95 else f"\n{m.mebibytes:.0f} MiB"


def _legend() -> Table:
    legend = Table.grid(padding=(0, 1, 0, 0))
    legend.add_column(width=8)
    legend.add_column(width=14)
    legend.add_column(width=WIDTH - 24)
    legend.add_row("ours", "proved", "an upper bound for every input size and zero padding")
    for peer in PEERS:
        legend.add_row(peer.name, peer.claim, f"{peer.meaning} ({peer.source})")
    return legend
