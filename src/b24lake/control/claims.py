"""Which table each stream of each source writes: no table has two writers, and none is taken from its owner."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control.models import Source
from b24lake.control.source_settings import lake_of
from b24lake.errors import B24LakeError, UsageError
from b24lake.lake import moving
from b24lake.lake.catalog import table_folders
from b24lake.lake.place import Place
from b24lake.lake.table import Owner, inspect, table_path
from b24lake.sync.home import Home, lock_name

Spot = tuple[str, str, str]
"""A table, so that two spellings of one place are equal: lake, layer, name."""


@dataclass(frozen=True)
class Installation:
    """Where this installation is: its home, and the lake of sources that name none."""

    home: Home
    lake: Place


def tables_of(source: Source, here: Installation) -> dict[str, Place]:
    """The table of each selected stream. Raises UsageError where a name cannot be one."""
    lake = lake_of(source, here.lake)
    return {one.stream: table_path(lake, source.layer, one.table_name) for one in source.streams if one.selected}


def check_claims(session: Session, source: Source, here: Installation) -> None:
    """Raises UsageError where two streams would write one table, of this source or of another one."""
    taken = _writers(session, source, here)
    for stream, path in tables_of(source, here).items():
        _claim(taken, source, stream, path)


def problems(
    session: Session, source: Source, here: Installation, layer: str, names: Mapping[str, str]
) -> dict[str, UsageError]:
    """All that is wrong with names that tables are to have, by stream. Nothing is changed.

    It is what `check_claims`, `check_owners` and the run itself would refuse, one after the other.

    layer   that the tables are to be in
    names   stream -> name of its table
    """
    found: dict[str, UsageError] = {}
    taken, lake = _writers(session, source, here), lake_of(source, here.lake)
    there = {path.name.casefold(): path.name for path in table_folders(lake) if path.parent.name == layer}
    for stream, name in names.items():
        try:
            path = table_path(lake, layer, name)
            _claim(taken, source, stream, path)
            _refuse_other_case(path, there)
            inspect(path, owner_of(source, stream))
        except UsageError as error:
            found[stream] = error
    return found


def free_prefix(session: Session, source: Source, here: Installation) -> str:
    """What the tables of a new source may begin with: as usual, or with the source's id where that is in use.

    A prefix is in use where another source has it in the same lake and layer, or tables there of another portal do.
    """
    lake = lake_of(source, here.lake)
    others = session.scalars(select(Source).where(Source.id != source.id, Source.layer == source.layer))
    used = {one.prefix.casefold() for one in others if lake_of(one, here.lake) == lake}
    paths = [path for path in table_folders(lake) if path.parent.name == source.layer]
    own = source.id.replace("-", "_")
    own = own if own[0].isalpha() else f"portal_{own}"  # SQL wants names that begin with a digit in quotes
    prefix, number = source.prefix, 1
    while prefix.casefold() in used or any(_is_foreign(path, prefix, source) for path in paths):
        prefix = f"{own}_" if number == 1 else f"{own}_{number}_"
        number += 1
    return prefix


def _is_foreign(path: Place, prefix: str, source: Source) -> bool:
    """Whether a table with such a name is not this source's."""
    if not path.name.casefold().startswith(prefix.casefold()):
        return False
    try:
        inspect(path, owner_of(source, path.name[len(prefix) :]))
    except B24LakeError:
        return True
    return False


def _writers(session: Session, source: Source, here: Installation) -> dict[Spot, tuple[str, str]]:
    """Which source and stream writes each table of the other sources."""
    taken: dict[Spot, tuple[str, str]] = {}
    for other in session.scalars(select(Source).where(Source.id != source.id)):
        taken.update({_place(path): (other.id, stream) for stream, path in tables_of(other, here).items()})
    return taken


def _claim(taken: dict[Spot, tuple[str, str]], source: Source, stream: str, path: Place) -> None:
    writer = taken.setdefault(_place(path), (source.id, stream))
    if writer != (source.id, stream):
        whose = "of this source" if writer[0] == source.id else f"of the source {writer[0]}"
        raise UsageError(
            f"The table {shown(path)} has a writer already",
            why=f"{writer[1]} {whose} goes there; upper and lower case do not tell tables apart",
            fix=f"give {stream} another table name, or the source another prefix",
        )


def _refuse_other_case(path: Place, there: Mapping[str, str]) -> None:
    name = there.get(path.name.casefold(), path.name)
    if name != path.name:
        raise UsageError(
            f"The table {shown(path)} cannot be made beside {path.parent.name}.{name}",
            why="their names differ in case alone, and file systems and SQL engines take them for one",
            fix=f"use the name {name}, or choose another one",
        )


def _place(path: Place) -> Spot:
    lake = path.parent.parent
    return str(lake.resolve() if isinstance(lake, Path) else lake), path.parent.name.casefold(), path.name.casefold()


def owner_of(source: Source, stream: str) -> Owner:
    """Whose rows a stream's table holds."""
    return Owner(source.portal, stream, source.portal_address, source.folder)


def check_owners(source: Source, here: Installation, but: Collection[Place] = ()) -> None:
    """Raises UsageError where a table belongs to another stream, portal or program. It is never touched.

    but   tables that need no look
    """
    for stream, path in tables_of(source, here).items():
        if path not in but:
            inspect(path, owner_of(source, stream))


def effects(source: Source, before: Mapping[str, Place], here: Installation) -> list[str]:
    """What a change of names, layer or lake means for the tables that are there, in words.

    before   the tables of the selected streams as they were
    """
    said = []
    for stream, old, path in displaced(source, before, here):
        there = inspect(path, owner_of(source, stream)) is not None
        goes_on = "goes on with the table that is there" if there else f"reads {stream} in full"
        here_now, there_then = told_apart(old, path)
        said.append(f"{here_now} stays as it is; the next run {goes_on}, into {there_then}")
    return said


def displaced(source: Source, before: Mapping[str, Place], here: Installation) -> list[tuple[str, Place, Place]]:
    """The tables that are there, and that the source writes elsewhere from now on: stream, old place, new place."""
    places = [(stream, before.get(stream, path), path) for stream, path in tables_of(source, here).items()]
    return [
        (stream, old, path)
        for stream, old, path in places
        if old != path and inspect(old, owner_of(source, stream)) is not None
    ]


def hiding(source: Source, before: Mapping[str, tuple[list[str], list[str]]], here: Installation) -> list[str]:
    """What another choice of hidden columns means for the tables that are there, in words.

    before   the columns that were left out and hashed, by stream
    """
    said = []
    for one in source.streams:
        if not one.selected or before.get(one.stream) in (None, (one.excluded, one.hashed)):
            continue
        path = table_path(lake_of(source, here.lake), source.layer, one.table_name)
        if inspect(path, owner_of(source, one.stream)) is not None:
            said.append(
                f"the next run reads {one.stream} in full; earlier versions of {shown(path)} stay as they are, with "
                "what was in their columns"
            )
    return said


def shown(path: Place) -> str:
    """As SQL knows it: `layer.table`."""
    return f"{path.parent.name}.{path.name}"


def told_apart(old: Place, new: Place) -> tuple[str, str]:
    """Two places of a table in words: as SQL knows them, with their folders where the lakes differ."""
    same = old.parent.parent == new.parent.parent
    return (shown(old), shown(new)) if same else (str(old), str(new))


def owned_tables(source: Source, here: Installation) -> list[Place]:
    """The tables of the source that are there and hold its own rows."""
    found = []
    for one in source.streams:
        path = table_path(lake_of(source, here.lake), source.layer, one.table_name)
        try:
            if inspect(path, owner_of(source, one.stream)) is not None:
                found.append(path)
        except UsageError:
            continue  # somebody else's
    return found


def remove(paths: Iterable[Place], home: Home) -> None:
    """Delete tables with all their versions, each out of the lake in one step.

    Raises StopError where a run holds one of them.
    """
    for path in paths:
        with home.ready().lock(f"table-{lock_name(path)}", f"the table {shown(path)}"):
            moving.delete(path)
