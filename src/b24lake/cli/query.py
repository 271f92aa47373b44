"""`b24lake query`: SQL over the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json, LakeDir
from b24lake.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

ON_SCREEN = 100  # rows
AS_JSON = 10_000
LONGEST = 86_400  # seconds


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
    seconds = common.duration(timeout).total_seconds()
    if not 1 <= seconds <= LONGEST:
        raise UsageError("--timeout is not between a second and a day", fix="write for example 90s or 10m")
    most = limit or (AS_JSON if json else ON_SCREEN)
    rows = guarded_query(common.lake(lake, home), sql, limit=most + 1, seconds=seconds)
    cut = rows.num_rows > most
    rows = rows.slice(0, most)
    if json:
        common.print_json({"columns": _columns(rows), "rows": rows.to_pylist(), "truncated": cut})
    else:
        show(rows, cut=cut)


def _columns(rows: pa.Table) -> list[dict[str, str]]:
    return [{"name": field.name, "type": str(field.type)} for field in rows.schema]


def show(rows: pa.Table, *, cut: bool = False) -> None:
    """Rows as a table on the terminal."""
    import pyarrow as pa
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for field in rows.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        table.add_column(field.name, justify="right" if number else "left")
    for row in rows.to_pylist():
        table.add_row(*(Text(_cell(value), style="" if value is not None else "dim") for value in row.values()))
    common.console().print(table)
    if cut:
        common.console(stderr=True).print(f"[dim]only the first {rows.num_rows} rows; see --limit[/]")


def _cell(value: Any) -> str:
    from datetime import datetime
    from decimal import Decimal

    if value is None:
        return "null"
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value.isoformat(sep=" ", timespec="seconds") if isinstance(value, datetime) else str(value)
