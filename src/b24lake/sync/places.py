"""Where the streams of a run go: which table of the layer each has, and whether it has another one already."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from b24lake.errors import StreamError, UsageError
from b24lake.lake.catalog import table_folders
from b24lake.lake.files import open_table, storage_errors
from b24lake.lake.layers import existing
from b24lake.lake.place import Place
from b24lake.lake.table import Owner, owner_of, table_path
from b24lake.streams.selection import Selected
from b24lake.sync.options import Options


def check(options: Options) -> None:
    """Raises UsageError where the lake has no such layer."""
    existing(options.lake, options.layer)


def paths_of(selected: Sequence[Selected], streams: Collection[str], options: Options) -> dict[str, Place]:
    """The table of each stream.

    Raises UsageError where a name cannot be a table's, where two streams would share a table, or where the layer has a
    table whose name differs in case alone: file systems and SQL engines take the two for one.
    """
    unknown = sorted(set(options.tables) - set(streams))
    if unknown:
        raise UsageError(f"There is no stream {unknown[0]!r}", fix="see `b24lake streams` for the names")
    paths: dict[str, Place] = {
        one.name: table_path(options.lake, options.layer, options.table_of(one.name)) for one in selected
    }
    folders = [path for path in table_folders(options.lake) if path.parent.name == options.layer]
    there = {path.name.casefold(): path.name for path in folders}
    given: dict[str, str] = {}
    for name, path in paths.items():
        table = f"{options.layer}.{path.name}"
        other = given.setdefault(path.name.casefold(), name)
        if other != name:
            raise UsageError(
                f"The streams {other} and {name} would both go into {table}",
                why="a table holds one stream; names that differ in case alone are one",
                fix=f"give one of them another name: --table {name}=NAME",
            )
        taken = there.get(path.name.casefold(), path.name)
        if taken != path.name:
            raise UsageError(
                f"The table {table} cannot be made beside {options.layer}.{taken}",
                why="their names differ in case alone, and file systems and SQL engines take them for one",
                fix=f"use that name (--table {name}={taken}, or its prefix), or choose another one",
            )
    return paths


def said(lake: Place, new: Mapping[Place, Owner]) -> list[str]:
    """What people should know of the tables that a run is about to make: the lake has others of the same rows.

    new   their folders, and whose they will be
    """
    others = _by_owner(lake) if new else {}
    found = ((path, owner, others.get((owner.portal, owner.stream), ())) for path, owner in new.items())
    return [_said(path, owner, there) for path, owner, there in found if there]


def _by_owner(lake: Place) -> dict[tuple[str, str], tuple[Place, ...]]:
    """All tables of the lake by portal and stream; those that cannot be read are left out."""
    found: dict[tuple[str, str], tuple[Place, ...]] = {}
    for path in table_folders(lake):
        with suppress(StreamError), storage_errors(path):
            table = open_table(path)
            owner = owner_of(table) if table is not None else None
            if owner is not None:
                whose = (owner.portal, owner.stream)
                found[whose] = (*found.get(whose, ()), path)
    return found


def _said(path: Place, owner: Owner, others: Sequence[Place]) -> str:
    there, names = others[0], ", ".join(f"{other.parent.name}.{other.name}" for other in others)
    words = [f"--layer {there.parent.name}"] if there.parent.name != path.parent.name else []
    words += [f"--table {owner.stream}={there.name}"] if there.name != path.name else []
    return (
        f"{owner.stream}: {path.parent.name}.{path.name} is a new table, but those of this portal are also in {names}; "
        f"if it was moved or renamed, {' '.join(words)} goes on with it"
    )
