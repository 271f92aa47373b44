"""A readable view on the terminal: what it has, where its labels come from, and its SQL for other engines."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

from b24lake.cli import common

if TYPE_CHECKING:
    from b24lake.lake.views import View


class Engine(StrEnum):
    """Whose SQL."""

    DUCKDB = "duckdb"
    SPARK = "spark"


def show(view: View, engine: Engine | None, *, json: bool) -> None:
    """Its columns and sources, or the SQL alone."""
    from b24lake.lake.readable import DIALECTS

    sql = view.sql(DIALECTS[engine or Engine.DUCKDB])
    if json:
        common.print_json({**document(view), "sql": sql})
    elif engine is not None:
        typer.echo(sql)
    else:
        _show(view)


def document(view: View) -> dict[str, Any]:
    """For scripts."""
    return {
        "view": view.name,
        "table": f"{view.table.layer}.{view.table.name}",
        "labels_from": {stream: f"{one.layer}.{one.name}" for stream, one in sorted(view.others.items())},
        "labels_missing": list(view.missing),
        "columns": [asdict(column) for column in view.columns],
    }


def _show(view: View) -> None:
    from rich.table import Table

    terminal, told = common.console(), document(view)
    terminal.print(f"[bold]{view.name}[/]  view of {told['table']}")
    terminal.print(f"labels from {', '.join(told['labels_from'].values()) or 'no table'}")
    if view.missing:
        terminal.print(f"not in the lake, so these labels are null: {', '.join(view.missing)}")
    columns = Table("column", "type", "description", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in view.columns:
        columns.add_row(column.name, column.type, column.comment)
    terminal.print()
    terminal.print(columns)
