"""`b24lake tables` and `b24lake show`: the catalog on the terminal."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json, LakeDir

if TYPE_CHECKING:
    from b24lake.lake.catalog import TableDetails, TableInfo

TableName = Annotated[str, typer.Argument(help="layer.table, or the table's name alone where it is unique.")]
_VERSIONS = 10  # newest versions on the screen; --json has all


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(help="List the tables of the lake.")(tables)
    app.command(help="Show a table's columns and versions.")(show)


def tables(lake: LakeDir = None, home: HomeDir = None, json: Json = False) -> None:
    """List the tables of the lake."""
    from b24lake.lake import catalog

    folder = common.lake(lake, home)
    found = catalog.tables(folder)
    if json:
        common.print_json({"lake": str(folder), "tables": [_document(one) for one in found]})
        return
    if not found:
        common.console().print(f"There are no tables in {folder} yet: run `b24lake sync --lake {folder}`.")
        return
    _list(found)


def _document(info: TableInfo) -> dict[str, Any]:
    return {"table": info.sql_name, **asdict(info)}


def _list(found: tuple[TableInfo, ...]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("table", "folder", "stream", "rows", "size", "version", "last change (UTC)"):
        table.add_column(heading, justify="right" if heading in {"rows", "size", "version"} else "left", no_wrap=True)
    for one in found:
        if one.error:
            table.add_row(one.sql_name, "", f"[red]{one.error}[/]")
            continue
        rows = "?" if one.rows is None else f"{one.rows:,}"
        at = f"{one.committed_at:%Y-%m-%d %H:%M}" if one.committed_at else ""
        table.add_row(one.sql_name, one.folder, one.stream, rows, size(one.bytes), str(one.version), at)
    common.console().print(table)


def size(count: int) -> str:
    """Bytes for people: 1 kB = 1,000 bytes."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def show(table: TableName, lake: LakeDir = None, home: HomeDir = None, json: Json = False) -> None:
    """Show a table's columns and versions."""
    from b24lake.lake import catalog

    details = catalog.describe(common.lake(lake, home), table)
    if json:
        common.print_json({**asdict(details), "info": _document(details.info)})
    else:
        _show(details)


def _show(details: TableDetails) -> None:
    from rich.table import Table

    terminal, info = common.console(), details.info
    rows = "?" if info.rows is None else f"{info.rows:,}"
    terminal.print(f"[bold]{info.sql_name}[/]  {rows} rows, {size(info.bytes)}, version {info.version}")
    terminal.print(f"stream {info.stream}, portal {info.portal}, folder {info.folder or '–'}\n")
    columns = Table("column", "type", "description", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in details.columns:
        columns.add_row(column.name, column.type, column.comment)
    terminal.print(columns)
    versions = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("version", "written (UTC)", "by run", "new", "changed", "gone"):
        versions.add_column(heading, justify="left" if heading in {"written (UTC)", "by run"} else "right")
    for one in details.versions[:_VERSIONS]:
        counts = ["" if count is None else f"{count:,}" for count in (one.inserted, one.updated, one.deleted)]
        versions.add_row(str(one.version), f"{one.at:%Y-%m-%d %H:%M:%S}", one.run_id or one.operation, *counts)
    terminal.print()
    terminal.print(versions)
