"""`b24lake bookmark`: where the next incremental read of a table begins."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json, LakeDir
from b24lake.cli.history import sql_name
from b24lake.cli.tables import TableName

if TYPE_CHECKING:
    from b24lake.lake.place import Place
    from b24lake.lake.table import Bookmark

_app = typer.Typer(help="See and set where the next incremental read of a table begins.", no_args_is_help=True)
Where = Annotated[str, typer.Argument(metavar="WHERE", help="A time such as 2026-10-20T12:00 (UTC); of a log, an id.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_app, name="bookmark")


@_app.command()
def show(table: TableName, lake: LakeDir = None, home: HomeDir = None, json: Json = False) -> None:
    """Show where the next incremental read begins."""
    from b24lake.lake import catalog
    from b24lake.lake.bookmarks import held

    path = catalog.find(common.lake(lake, home), table)
    _tell(path, held(path, catalog.opened(path)), json=json)


@_app.command("set")
def set_(table: TableName, where: Where, lake: LakeDir = None, home: HomeDir = None, json: Json = False) -> None:
    """Have the next incremental read begin at this time or id."""
    _put(table, where, lake, home, json=json)


@_app.command()
def reset(table: TableName, lake: LakeDir = None, home: HomeDir = None, json: Json = False) -> None:
    """Have the next run read everything."""
    _put(table, None, lake, home, json=json)


def _put(table: str, where: str | None, lake: str | None, home: Path | None, *, json: bool) -> None:
    from b24lake.lake import bookmarks, catalog

    path = catalog.find(common.lake(lake, home), table)
    with common.table_lock(path, home) as run_id:
        wanted = bookmarks.put(path, catalog.opened(path), where, datetime.now(UTC), run_id)
    _tell(path, wanted, json=json)


def _tell(path: Place, bookmark: Bookmark | None, *, json: bool) -> None:
    from b24lake.lake.bookmarks import value_shown

    value = value_shown(bookmark) if bookmark else ""
    if json:
        kind = bookmark.kind if bookmark else None
        common.print_json({"table": sql_name(path), "kind": kind, "bookmark": value or None})
        return
    begins = f"begins at {'id ' if bookmark and bookmark.kind == 'id' else ''}{value}" if value else "is a full one"
    typer.echo(f"The next read of {sql_name(path)} {begins}.")
