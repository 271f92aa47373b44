"""`b24lake query`: SQL over the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json, LakeDir
from b24lake.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.table import Table
    from rich.text import Text

ON_SCREEN = 100  # rows
AS_JSON = 10_000
LONGEST = 86_400  # seconds
ENOUGH = 24  # characters of a value that its column has room for
NULL = "null"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help="Run one SELECT over the lake's tables, as: SELECT count(*) FROM raw.bitrix24_deals")(query)


def query(
    sql: Annotated[str, typer.Argument(help="One statement that reads; tables are layer.table.")],
    limit: Annotated[
        int | None,
        typer.Option(help=f"Most rows to show. [default: {ON_SCREEN}, with --json {AS_JSON}]", show_default=False),
    ] = None,
    timeout: Annotated[str, typer.Option(help="Stop the query after this time, as 90s or 10m.")] = "5m",
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Run one SELECT over the lake's tables."""
    from b24lake.lake.guarded import guarded_query

    if limit is not None and limit < 1:
        raise UsageError("--limit is less than 1", fix="give the number of rows to show")
    seconds = seconds_of(timeout)
    most = limit or (AS_JSON if json else ON_SCREEN)
    rows = guarded_query(common.lake(lake, home), sql, limit=most + 1, seconds=seconds)
    cut = rows.num_rows > most
    rows = rows.slice(0, most)
    if json:
        common.print_json({"columns": _columns(rows), "rows": _values(rows), "truncated": cut})
    else:
        show(rows, cut=cut)


def seconds_of(timeout: str) -> float:
    """What `--timeout` says. Raises UsageError where it is not a duration that can be."""
    seconds = common.duration(timeout).total_seconds()
    if not 1 <= seconds <= LONGEST:
        raise UsageError("--timeout is not between a second and a day", fix="write for example 90s or 10m")
    return seconds


def _columns(rows: pa.Table) -> list[dict[str, str]]:
    from b24lake.lake.columns import type_name

    return [{"name": field.name, "type": type_name(field.type)} for field in rows.schema]


def _values(rows: pa.Table) -> list[dict[str, Any]]:
    """The rows as Python values, maps as dictionaries."""
    return list(rows.to_pylist(maps_as_pydicts="lossy"))


def show(rows: pa.Table, *, cut: bool = False) -> None:
    """Rows as a table on the terminal; one below the other where they have too many columns for it."""
    terminal = common.console()
    cells = [[cell(value) for value in row.values()] for row in _values(rows)]
    longest = [max(map(len, column)) for column in zip(rows.column_names, *cells, strict=True)]
    wide = sum(min(width, ENOUGH) + 2 for width in longest) > terminal.width
    terminal.print(_one_below_the_other(rows, cells) if wide else _side_by_side(rows, cells))
    if cut:
        common.console(stderr=True).print(f"[dim]only the first {rows.num_rows} rows; see --limit[/]")


def _side_by_side(rows: pa.Table, cells: list[list[str]]) -> Table:
    import pyarrow as pa
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for field in rows.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        table.add_column(field.name, justify="right" if number else "left")
    for row in cells:
        table.add_row(*map(_styled, row))
    return table


def _one_below_the_other(rows: pa.Table, cells: list[list[str]]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    for number, row in enumerate(cells, 1):
        table.add_row(f"row {number}", end_section=True)
        for name, text in zip(rows.column_names, row, strict=True):
            table.add_row(f"  {name}", _styled(text))
    return table


def _styled(text: str) -> Text:
    from rich.text import Text

    return Text(text, style="dim" if text == NULL else "")


def cell(value: Any) -> str:
    """A value for people."""
    from datetime import datetime
    from decimal import Decimal

    if value is None:
        return NULL
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="microseconds" if value.microsecond else "seconds")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        from b24lake.lake.texts import json_text

        return json_text(value)
    return str(value)
