"""`b24lake tables` and `b24lake show`: the catalog on the terminal."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json, LakeDir
from b24lake.cli.views import Engine
from b24lake.cli.views import show as show_view

if TYPE_CHECKING:
    from b24lake.lake.catalog import TableDetails, TableInfo
    from b24lake.lake.layers import Layer

TableName = Annotated[str, typer.Argument(help="layer.table, or the table's name alone where it is unique.")]
_LAST = "description"
# column -> the width of a screen that has room for it
_WIDTHS = {"stream": 130, "rows": 0, "size": 0, "version": 100, "last change (UTC)": 90, "by run": 155, _LAST: 0}
_VERSIONS = 10  # newest versions on the screen; --json has all


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(help="List the tables of the lake.")(tables)
    app.command(help="Show a table's columns and versions, or a readable view.")(show)


def tables(lake: LakeDir = None, home: HomeDir = None, json: Json = False) -> None:
    """List the tables of the lake."""
    from b24lake.lake import catalog, layers, views

    place = common.lake(lake, home)
    found, known = catalog.tables(place), layers.layers(place)
    seen = views.listed(found)
    if json:
        documents = {"tables": [_document(one) for one in found], "views": [_document(one) for one in seen]}
        common.print_json({"lake": str(place), "layers": [asdict(one) for one in known], **documents})
        return
    _list(known, (*found, *seen))
    if not found:
        common.console().print(f"\nThere are no tables in {place} yet: run `b24lake sync --lake {place}`.")


def _document(info: TableInfo) -> dict[str, Any]:
    return {"table": info.sql_name, **asdict(info)}


def _list(layers: tuple[Layer, ...], found: tuple[TableInfo, ...]) -> None:
    """Layers, folders and tables as a tree; what is in no folder comes first. A narrow screen has fewer columns."""
    from rich.table import Table
    from rich.text import Text

    terminal = common.console()
    columns = [name for name, least in _WIDTHS.items() if terminal.width >= least]
    tree = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", expand=True)
    for name in ("table", *columns):
        tree.add_column(name, justify="right" if name in {"rows", "size", "version"} else "left", no_wrap=True)
    tree.columns[-1].ratio, tree.columns[-1].overflow = 1, "ellipsis"
    for layer in layers:
        within = sorted((one for one in found if one.layer == layer.name), key=lambda one: (one.folder, one.name))
        tree.add_row(Text(layer.name, style="bold"), *[""] * (len(columns) - 1), Text(layer.description, style="dim"))
        for folder, tables in groupby(within, key=lambda one: one.folder):
            if folder:
                tree.add_row(Text(f"  {folder}/"))
            for one in tables:
                told, style = _told(one), "dim" if one.kind == "view" else "red" if one.error else ""
                cells = [Text(told.get(name, ""), style=style) for name in columns]
                tree.add_row(Text(f"{'    ' if folder else '  '}{one.name}"), *cells)
    terminal.print(tree)


def _told(one: TableInfo) -> dict[str, str]:
    """The cells of a line, by column."""
    if one.kind == "view" or one.error:
        return {
            "stream": one.stream,
            "rows": one.kind if one.kind == "view" else "",
            _LAST: one.error or one.description,
        }
    return {
        "stream": one.stream,
        "rows": "?" if one.rows is None else f"{one.rows:,}",
        "size": size(one.bytes),
        "version": str(one.version),
        "last change (UTC)": f"{one.committed_at:%Y-%m-%d %H:%M}" if one.committed_at else "",
        "by run": one.run_id,
        _LAST: one.description,
    }


def size(count: int) -> str:
    """Bytes for people: 1 kB = 1,000 bytes."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def show(
    table: TableName,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print a readable view as one SELECT, for another engine.")
    ] = False,
    engine: Annotated[Engine, typer.Option(help="Whose SQL.")] = Engine.DUCKDB,
    as_of: Annotated[
        str | None,
        typer.Option(help="As it was in a version, or at a time such as 2026-10-20T12:00 (UTC).", show_default=False),
    ] = None,
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Show a table's columns and versions."""
    from b24lake.lake import catalog
    from b24lake.lake.views import is_view, view

    place = common.lake(lake, home)
    if sql or is_view(place, table):
        show_view(view(place, table), engine if sql else None, json=json)
        return
    details = catalog.describe(place, table, as_of)
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
