"""A run on the terminal: a table that moves while it reads, and one that stays when it has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from b24lake.cli.common import console
from b24lake.cli.plan import in_words
from b24lake.lake.place import Place
from b24lake.reading.reader import Reader
from b24lake.reading.schedule import Stats
from b24lake.sync.report import EMPTY, FAILED, LOCKED, SKIPPED, SUCCESS, RunReport, StreamReport
from b24lake.sync.run import Progress
from b24lake.sync.watching import seconds_left, share

_STYLES = {SUCCESS: "green", EMPTY: "cyan", LOCKED: "yellow", FAILED: "red", "partial": "yellow"}
_FEW = 5  # changes of one kind that get a line each


@contextmanager
def watch(progress: Progress) -> Iterator[None]:
    """Show a run on stderr while the block runs it; nothing where stderr is not a terminal."""
    terminal = console(stderr=True)
    if not terminal.is_terminal:
        yield
        return
    with Live(_Moving(progress), console=terminal, refresh_per_second=4, transient=True):
        yield


class _Moving:
    """Draws the run anew each time the terminal asks."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.spinner = Spinner("dots")

    def __rich__(self) -> RenderableType:
        progress = self.progress
        seconds = time.monotonic() - progress.began
        told = f"{progress.phase} {progress.portal}  {_asked(progress)}{seconds:.0f} s{_still(progress)}"
        self.spinner.update(text=told)
        if progress.report is None or progress.reader is None:
            return self.spinner
        return Group(self.spinner, _streams(progress.report, progress.reader))


def _asked(progress: Progress) -> str:
    if progress.connection is None:
        return ""
    counters = progress.connection.counters
    return f"{counters.requests} requests{', as fast as the portal allows' if counters.waited else ''}  "


def _still(progress: Progress) -> str:
    """How much longer it will take, as far as every stream tells."""
    seconds = seconds_left(progress)
    return f", about {in_words(seconds)} left" if seconds is not None and seconds >= 1 else ""


def _streams(report: RunReport, reader: Reader) -> Table:
    table = _table("stream", "state", "rows", "%", "rows/s", "pages", "portal s", "rests")
    for line in report.streams:
        stats = reader.stats.get(line.name)
        if stats is not None:
            table.add_row(*_moving_line(line, stats, reader))
    return table


def _moving_line(line: StreamReport, stats: Stats, reader: Reader) -> list[str | Text]:
    done = share(reader.schedule.active.get(line.name), stats)
    state = _state(line, stats)
    return [
        line.name,
        Text(state, style=_STYLES.get(state, "yellow" if state.startswith("rests") else "blue")),
        f"{stats.rows:,}",
        f"{int(100 * done)}" if done is not None else "",
        f"{stats.rows / (stats.ended - stats.began):,.0f}" if stats.rows and stats.ended > stats.began else "",
        f"{stats.commands:,}",
        f"{stats.portal_seconds:,.1f}",
        f"{stats.rests or ''}",
    ]


def _state(line: StreamReport, stats: Stats) -> str:
    """Reading, waiting, or resting: for how long, until when, and what for."""
    if line.status != SKIPPED:
        return line.status
    rest = stats.resting_until - time.time()
    if rest <= 0:
        return "reading" if stats.commands else "waiting"
    return f"rests {rest:.0f} s until {datetime.fromtimestamp(stats.resting_until):%H:%M:%S}: operating time"


def closing(report: RunReport, lake: Place) -> None:
    """What the run did, as a table on stdout."""
    terminal = console()
    table = _table("table", "state", "rows", "new", "changed", "gone", "pages", "portal s")
    for line in report.streams:
        table.add_row(*_closing_line(line))
    terminal.print(table)
    for error, names in _errors(report).items():
        style = _STYLES.get(next(line.status for line in report.streams if line.error == error), "")
        terminal.print(Text(f"{', '.join(names)}: {error}", style=style))
    for line in report.streams:
        _explain(terminal, line)
    for note in report.notes:
        terminal.print(Text(note, style="yellow"))
    if report.error:
        terminal.print(Text(f"The run ended early: {report.error}", style="red"))
    style = _STYLES.get(report.status, "red")
    terminal.print(
        Text.assemble(
            (report.status, f"bold {style}"),
            f"  {_summary(report)}, {report.requests} requests, {report.seconds:.1f} s, tables in {lake}",
        )
    )


def _summary(report: RunReport) -> str:
    """How many streams ended how: `3 read, 17 locked`."""
    states = ["read" if line.status in {SUCCESS, EMPTY} else line.status for line in report.streams]
    return ", ".join(f"{states.count(state)} {state}" for state in ("read", LOCKED, SKIPPED, FAILED) if state in states)


def _errors(report: RunReport) -> dict[str, list[str]]:
    """Each error once, with the streams that it hit."""
    found: dict[str, list[str]] = {}
    for line in report.streams:
        if line.error:
            found.setdefault(line.error, []).append(line.name)
    return found


def _closing_line(line: StreamReport) -> list[str | Text]:
    read = line.status in {SUCCESS, EMPTY}
    counts = [line.rows_read, line.rows_inserted, line.rows_updated, line.rows_deleted]
    shown = [("" if count is None else f"{count:,}") if read else "" for count in counts]
    pages = [f"{line.commands:,}", f"{line.portal_seconds:,.1f}"] if line.commands else ["", ""]
    return [line.table, Text(line.status, style=_STYLES.get(line.status, "")), *shown, *pages]


def _explain(terminal: Console, line: StreamReport) -> None:
    if line.filter_ignored:
        terminal.print(Text(f"{line.name}: the portal ignored the change filter, so everything was read", "yellow"))
    if line.misfits:
        terminal.print(Text(f"{line.name}: {line.misfits:,} values do not fit their type, see _misfits", "yellow"))
    _tell_changes(terminal, line)


def _tell_changes(terminal: Console, line: StreamReport) -> None:
    """What happened to the columns; many at once, as with another reader or in another language, are put together."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for change in line.schema_changes:
        kinds.setdefault(change["kind"], []).append(change)
    for kind, changes in kinds.items():
        if len(changes) > _FEW:
            names = "" if kind == "relabeled" else f": {', '.join(change['column'] for change in changes)}"
            terminal.print(Text(f"{line.name}: {len(changes)} columns {kind}{names}", "cyan"))
            continue
        for change in changes:
            told = " -> ".join(part for part in (change["before"], change["after"]) if part)
            terminal.print(Text(f"{line.name}: column {change['column']} {kind} ({told})", "cyan"))


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, heading in enumerate(headings):
        # numbers are never cut: a narrow terminal shortens the names instead
        table.add_column(
            heading,
            justify="left" if number < 2 else "right",
            no_wrap=True,
            min_width=0 if number == 0 else len(heading),
        )
    return table
