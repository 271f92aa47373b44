"""`b24lake layer …`: the layers of the lake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from b24lake.cli import common
from b24lake.cli.common import HomeDir, Json, LakeDir

if TYPE_CHECKING:
    from b24lake.lake.place import Place

LayerName = Annotated[str, typer.Argument(help="The layer's name.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The layers of the lake: list, add, describe, delete them.", no_args_is_help=True)
    group.command("list", help="List the layers, with how many tables each has.")(list_)
    group.command(help="Add a layer.")(add)
    group.command(help="Write a layer's description.")(describe)
    group.command(help="Delete an empty layer.")(delete)
    app.add_typer(group, name="layer")


def list_(lake: LakeDir = None, home: HomeDir = None, json: Json = False) -> None:
    """List the layers."""
    from b24lake.lake import layers
    from b24lake.lake.catalog import table_folders

    place = common.lake(lake, home)
    tables = [path.parent.name for path in table_folders(place)]
    found = [{**asdict(each), "tables": tables.count(each.name)} for each in layers.layers(place)]
    if json:
        common.print_json({"lake": str(place), "layers": found})
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("layer", no_wrap=True)
    table.add_column("tables", justify="right")
    table.add_column("description")
    for each in found:
        table.add_row(str(each["name"]), str(each["tables"]), str(each["description"]))
    common.console().print(table)


def add(
    name: LayerName,
    description: Annotated[str, typer.Option(help="What its tables are for.")] = "",
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Add a layer."""
    from b24lake.lake import layers

    place = common.lake(lake, home)
    with _locked(place, home):
        made = layers.add(place, name, description)
    common.done(f"The lake {place} has a layer {made.name} now.", asdict(made), json=json)


def describe(
    name: LayerName,
    text: Annotated[str, typer.Argument(help='What its tables are for; "" takes the description away.')],
    lake: LakeDir = None,
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """Write a layer's description."""
    from b24lake.lake import layers

    place = common.lake(lake, home)
    with _locked(place, home):
        changed = layers.describe(place, name, text)
    common.done(f"The layer {name} is described.", asdict(changed), json=json)


def delete(name: LayerName, lake: LakeDir = None, home: HomeDir = None, json: Json = False) -> None:
    """Delete an empty layer."""
    from b24lake.lake import layers

    place = common.lake(lake, home)
    with _locked(place, home):
        layers.delete(place, name)
    common.done(f"The layer {name} is deleted.", {"name": name, "deleted": True}, json=json)


@contextmanager
def _locked(lake: Place, home: Path | None) -> Iterator[None]:
    """While the list of layers changes."""
    from b24lake.sync.home import lock_name

    with common.home(home).ready().lock(f"layers-{lock_name(lake)}", f"the layers of the lake {lake}"):
        yield
