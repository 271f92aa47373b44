"""What people do to the catalog of the installation's lake, its layers and folders of tables: all of it is audited.

A folder is where its tables say that they are. Runs put tables into the folder of their source's setting, so both are
changed; a table that is put elsewhere alone says that it stays there (`lake.table.PLACED`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control.audit import Actor
from b24lake.control.claims import Installation, shown, tables_of
from b24lake.control.database import Database, take_turns
from b24lake.control.models import Source
from b24lake.control.source_settings import lake_of, read
from b24lake.errors import NotFoundError, UsageError
from b24lake.lake import layers, moving
from b24lake.lake.catalog import TableInfo
from b24lake.lake.layers import Layer
from b24lake.lake.place import Place
from b24lake.sync.home import lock_name

# --- layers -----------------------------------------------------------------------------------------------------------


def add_layer(database: Database, here: Installation, actor: Actor, name: str, description: str = "") -> Layer:
    """A new layer. Raises UsageError as `layers.add`."""
    with database.writing() as session, _layers_locked(here):
        made = layers.add(here.lake, name, description)
        actor.did(session, "added", f"layer {name}", {"description": description})
    return made


def describe_layer(database: Database, here: Installation, actor: Actor, name: str, description: str) -> Layer:
    """Write a layer's description. Raises UsageError as `layers.describe`."""
    with database.writing() as session, _layers_locked(here):
        changed = layers.describe(here.lake, name, description)
        actor.did(session, "changed", f"layer {name}", {"description": description})
    return changed


def delete_layer(database: Database, here: Installation, actor: Actor, name: str) -> None:
    """Delete an empty layer. Raises UsageError as `layers.delete`, and where sources write there."""
    with database.writing() as session, _layers_locked(here):
        take_turns(session)
        writers = [one.id for one in _sources(session, here, name)]
        if writers:
            raise UsageError(
                f"The layer {name!r} cannot be deleted",
                why=f"it is the layer of the source {', '.join(writers)}",
                fix="give these sources another layer first",
            )
        layers.delete(here.lake, name)
        actor.did(session, "deleted", f"layer {name}")


@contextmanager
def _layers_locked(here: Installation) -> Iterator[None]:
    with here.home.ready().lock(f"layers-{lock_name(here.lake)}", f"the layers of the lake {here.lake}"):
        yield


# --- folders ----------------------------------------------------------------------------------------------------------


def put_in_folder(database: Database, here: Installation, actor: Actor, name: str, folder: str) -> None:
    """Put the table `layer.table` into a folder of the catalog; "" takes it out of its folder.

    Raises UsageError where it cannot be (`moving.ours`, `moving.check_folder`), StopError while a run holds it.
    """
    moving.check_folder(folder)
    path = moving.ours(here.lake, name)
    with database.reading() as session:
        source = _writers(_sources(session, here, path.parent.name), here).get(path)
    with _held(here, [path]):
        moving.put_in_folder(path, folder, _by(actor), placed=source is None or source.folder != folder)
        with database.writing() as session:
            actor.did(session, "changed", f"table {shown(path)}", {"folder": folder})


def rename_folder(
    database: Database, here: Installation, actor: Actor, tables: Sequence[TableInfo], layer: str, old: str, new: str
) -> None:
    """Give a folder of a layer another name, for its tables and for the sources that put tables there.

    tables   those of the lake, as the catalog lists them

    Raises UsageError where there is no such folder or the name cannot be one, StopError while a run holds one of its
    tables: then nothing was changed.
    """
    moving.check_folder(new)
    if not read("folder", new):
        raise UsageError("A folder needs a name", fix="write one")
    with database.reading() as session:
        sources = _sources(session, here, layer)
    within = [moving.ours(here.lake, one.sql_name) for one in tables if (one.layer, one.folder) == (layer, old)]
    if not old or not (within or any(one.folder == old for one in sources)):
        raise NotFoundError(f"The layer {layer!r} has no folder {old!r}", fix="load the catalog again")
    writers = _writers([one for one in sources if one.folder == old], here)
    # The tables first: each takes a moment, and the database has other things to do meanwhile.
    with _held(here, within):
        for path in within:
            moving.put_in_folder(path, new, _by(actor), placed=path not in writers)
        with database.writing() as session:
            take_turns(session)
            for source in _sources(session, here, layer):
                if source.folder == old:
                    source.folder, source.updated_at = new, actor.at
                    actor.did(session, "changed", f"source {source.id}", {"folder": new})
            actor.did(session, "changed", f"folder {layer}/{old}", {"name": new, "tables": len(within)})


def folders(tables: Sequence[TableInfo], layer: str) -> list[str]:
    """The folders of a layer that tables are in, by name."""
    return sorted({one.folder for one in tables if one.layer == layer and one.folder})


@contextmanager
def _held(here: Installation, paths: Sequence[Place]) -> Iterator[None]:
    """While no run of this machine uses these tables."""
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(here.home.ready().lock(f"table-{lock_name(path)}", f"the table {shown(path)}"))
        yield


def _sources(session: Session, here: Installation, layer: str) -> list[Source]:
    """The sources whose tables are in a layer of this lake."""
    found = session.scalars(select(Source).where(Source.layer == layer).order_by(Source.id))
    return [one for one in found if lake_of(one, here.lake) == here.lake]


def _writers(sources: Sequence[Source], here: Installation) -> dict[Place, Source]:
    """Which source writes each table."""
    return {path: one for one in sources for path in tables_of(one, here).values()}


def _by(actor: Actor) -> str:
    """What a version tells of where it came from, as a run's id."""
    return f"{actor.at:%Y%m%dT%H%M%S}-catalog"
