"""`b24lake export`: a table, or the answer of a query, as a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json, LakeDir
from b24lake.cli.query import seconds_of
from b24lake.errors import UsageError

if TYPE_CHECKING:
    from b24lake.lake.exporting import Form

STDOUT = "-"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Write a table, or the answer of a query (--sql), to a file.")(export)


def export(
    what: Annotated[str, typer.Argument(metavar="[TABLE]", help="layer.table; leave it out with --sql.")],
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="Ends with .csv, .json, .ndjson (one object per line) or .parquet; .gz at its end "
            "compresses text. - is stdout.",
            show_default=False,
        ),
    ] = None,
    sql: Annotated[str | None, typer.Option(help="Export the rows of this SELECT.", show_default=False)] = None,
    as_of: Annotated[
        str | None, typer.Option(help="The table as of a version or time: 3, 2026-11-20T12:00.", show_default=False)
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="These columns of the table, as ID,TITLE. [default: all]", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="Most rows; 0 = all.", min=0)] = 0,
    format: Annotated[  # noqa: A002  the option's name
        str | None,
        typer.Option(
            help="csv, json, ndjson or parquet. [default: what the file's name says]",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    bom: Annotated[
        bool, typer.Option("--bom", help="Begin a CSV file with the mark by which Excel knows UTF-8.")
    ] = False,
    escape_formulas: Annotated[
        bool,
        typer.Option("--escape-formulas", help="CSV: put ' before texts that a spreadsheet would take for a formula."),
    ] = False,
    timeout: Annotated[str, typer.Option(help="Stop after this time, as 90s or 10m.")] = "1h",
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Write a table, or the answer of a query, to a file."""
    from b24lake.lake import exporting
    from b24lake.lake.guarded import guarded_stream
    from b24lake.lake.selecting import select_of

    table, target = _what_and_where(what, file, sql)
    form = exporting.form_of(target, wanted=format, bom=bom, escape_formulas=escape_formulas)
    _check(target, form, json=json, overwrite=overwrite)
    seconds = seconds_of(timeout)
    place = common.lake(lake, home)
    total = None
    if sql is None:
        wanted = [each.strip() for each in (columns or "").split(",") if each.strip()]
        sql, total = select_of(place, table, at=as_of, columns=wanted)
    elif as_of or columns:
        raise UsageError("--as-of and --columns are for a table", fix="say it in the SQL: … FROM t VERSION AS OF 3")
    began = time.monotonic()
    with (
        guarded_stream(place, sql, limit=limit or None, seconds=seconds) as answer,
        _progress(total, limit) as told,
        _sink(target, overwrite=overwrite) as sink,
    ):
        rows = exporting.write(sink, form, answer.schema, answer.batches, told)
    if target != STDOUT:
        _done(Path(target), form, rows, time.monotonic() - began, json=json)


def _what_and_where(what: str, file: str | None, sql: str | None) -> tuple[str, str]:
    """The table ("" with --sql) and the file."""
    if (file is None) == (sql is None):
        missing = "Name a table (or --sql), then the file" if sql is None else "With --sql there is no table to name"
        raise UsageError(missing, fix='as: b24lake export raw.bitrix24_deals deals.csv, or --sql "SELECT …" deals.csv')
    return ("", what) if file is None else (what, file)


def _check(target: str, form: Form, *, json: bool, overwrite: bool) -> None:
    """Everything about the target that can be wrong before a row has been read."""
    from b24lake.lake.exporting import check_target

    if target != STDOUT:
        check_target(Path(target), overwrite=overwrite)
    elif json:
        raise UsageError("--json and the rows cannot both go to stdout", fix="leave out --json, or name a file")
    elif form.format == "parquet" and sys.stdout.isatty():
        raise UsageError("A Parquet file is nothing for a terminal", fix="name a file, or lead it into a pipe")


@contextmanager
def _sink(target: str, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """Where the rows go."""
    from b24lake.lake.exporting import cannot_write, new_file

    if target != STDOUT:
        with new_file(Path(target), overwrite=overwrite) as file:
            yield file
        return
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_write("to stdout", error) from error


@contextmanager
def _progress(total: int | None, limit: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where that is a terminal; it is told how many rows are written."""
    terminal = common.console(stderr=True)
    if not terminal.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    expected = min(total, limit) if total is not None and limit else total
    known = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn()) if expected is not None else ()
    rows = TextColumn("{task.completed:,} rows")
    with Progress(SpinnerColumn(), *known, rows, console=terminal, transient=True) as progress:
        task = progress.add_task("", total=expected)
        yield lambda count: progress.update(task, completed=count)


def _done(path: Path, form: Form, rows: int, seconds: float, *, json: bool) -> None:
    from b24lake.cli.tables import size

    bytes_ = path.stat().st_size
    document = {"file": str(path), "format": form.format, "rows": rows, "bytes": bytes_, "seconds": round(seconds, 1)}
    common.done(f"{path}: {rows:,} rows, {size(bytes_)}, {seconds:.1f} s", document, json=json)
