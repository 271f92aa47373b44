"""`b24lake table …`: what people do with a table as a whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json, LakeDir
from b24lake.cli.tables import TableName
from b24lake.errors import UsageError

if TYPE_CHECKING:
    from b24lake.lake.place import Place


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Describe, group, move, rename or delete a table.", no_args_is_help=True)
    group.command(help="Write a table's description, or, with --column, that of a column.")(describe)
    group.command(help="Put a table into a folder of the catalog; its place on disk does not change.")(folder)
    group.command(help="Move a table to another layer, with its history.")(move)
    group.command(help="Give a table another name; its history stays.")(rename)
    group.command(help="Delete a table with all its versions.")(delete)
    app.add_typer(group, name="table")


def describe(
    table: TableName,
    text: Annotated[str, typer.Argument(help='What is in it; "" takes the description away.')],
    column: Annotated[
        str | None,
        typer.Option(help='A column, to be described instead; "" brings its label back.', show_default=False),
    ] = None,
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Write a table's description, or that of a column, which no run takes away."""
    from b24lake.lake import catalog, describing, moving

    with _locked(table, lake, home) as (path, run_id):
        if column is None:
            moving.describe(path, text, run_id)
        else:
            describing.describe_columns(path, catalog.opened(path), {column: text}, run_id)
    what = _name(path) if column is None else f"{column} of {_name(path)}"
    told = {"table": _name(path), "column": column, "description": text}
    common.done(f"{what} is described.", told, json=json)


def folder(
    table: TableName,
    folder: Annotated[str, typer.Argument(help='The folder\'s name; "" takes the table out of its folder.')],
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Put a table into a folder of the catalog."""
    from b24lake.lake import moving

    with _locked(table, lake, home) as (path, run_id):
        moving.put_in_folder(path, folder, run_id)
    said = f"{_name(path)} is in the folder {folder} now." if folder else f"{_name(path)} is in no folder now."
    common.done(said, {"table": _name(path), "folder": folder}, json=json)


def move(
    table: TableName,
    layer: Annotated[str, typer.Argument(help="The layer to move it to.")],
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Move a table to another layer, with its history."""
    _move(table, lake, home, json=json, layer=layer)


def rename(
    table: TableName,
    name: Annotated[str, typer.Argument(help="The new name.")],
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Give a table another name; its history stays."""
    _move(table, lake, home, json=json, name=name)


def _move(
    table: str, lake: str | None, home: Path | None, *, json: bool, layer: str | None = None, name: str | None = None
) -> None:
    from b24lake.lake import moving

    with _locked(table, lake, home) as (path, _):
        wanted = moving.target(common.lake(lake, home), path, layer=layer, name=name)
        with common.table_lock(wanted, home):
            stream = moving.stream_of(path)
            moving.move(path, wanted)
    words = [f"--layer {wanted.parent.name}"]
    words += [] if wanted.name.endswith(stream) else [f"--table {stream}={wanted.name}"]
    said = f"{_name(path)} is {_name(wanted)} now. The next sync goes on with it by {' '.join(words)}."
    common.done(said, {"table": _name(wanted), "before": _name(path), "stream": stream}, json=json)


def delete(
    table: TableName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Delete a table with all its versions."""
    from b24lake.lake import moving

    with _locked(table, lake, home) as (path, _):
        if not yes and not (sys.stdin.isatty() and typer.confirm(f"Delete {_name(path)} with all its versions?")):
            raise UsageError(
                f"{_name(path)} was not deleted", why="nobody said yes, and nothing brings it back", fix="add --yes"
            )
        moving.delete(path)
    common.done(f"{_name(path)} is deleted.", {"table": _name(path), "deleted": True}, json=json)


@contextmanager
def _locked(table: str, lake: LakeDir, home: Path | None) -> Iterator[tuple[Place, str]]:
    """The folder of a table of ours, while no run uses it, and an id for what is written."""
    from b24lake.lake.moving import ours

    place = common.lake(lake, home)
    path = ours(place, table)
    with common.table_lock(path, home) as run_id:
        yield ours(place, _name(path)), run_id  # another command may have moved it meanwhile


def _name(path: Place) -> str:
    return f"{path.parent.name}.{path.name}"
