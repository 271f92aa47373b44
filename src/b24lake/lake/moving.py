"""What people do with a table as a whole: describe it, put it in a folder of the catalog, move, rename, delete it.

A moved table keeps its versions, its bookmark, and what an unfinished read has left: all of it lies in its folder.
Locks are the caller's care. A table that b24lake did not make is left alone.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from deltalake import CommitProperties

from b24lake.errors import UsageError
from b24lake.lake import layers
from b24lake.lake.catalog import find, opened, table_folders
from b24lake.lake.files import remove_all, storage_errors
from b24lake.lake.log import LOG
from b24lake.lake.place import Place
from b24lake.lake.table import MARK, PLACED, checked_name, owner_of

LONGEST_FOLDER = 128
"""Signs."""


def ours(lake: Place, name: str) -> Place:
    """The folder of a table that b24lake made. Raises UsageError where it is another program's, or as `find`."""
    path = find(lake, name)
    table = opened(path)
    with storage_errors(path):
        owner = owner_of(table)
    if owner is None:
        raise UsageError(
            f"The table {path.parent.name}.{path.name} was not made by b24lake",
            why="its properties name no portal and stream",
            fix="change it with the program that made it; b24lake never touches it",
        )
    return path


def describe(path: Place, text: str, run_id: str) -> None:
    """Write a table's description; "" takes it away. Raises UsageError where it is too long.

    run_id   what the version is to tell of where it came from
    """
    if len(text) > layers.LONGEST:
        raise UsageError(f"A description has at most {layers.LONGEST:,} signs", fix="write a shorter one")
    table = opened(path)
    with storage_errors(path):
        if (table.metadata().description or "") != text:
            table.alter.set_table_description(text, commit_properties=_by(run_id))


def put_in_folder(path: Place, folder: str, run_id: str, *, placed: bool = True) -> None:
    """Put a table into a folder of the catalog; "" takes it out. Raises UsageError as `check_folder`.

    placed   runs of its source leave it there (`table.PLACED`); False = where the source's setting says
    """
    check_folder(folder)
    table = opened(path)
    with storage_errors(path):
        held = table.metadata().configuration
        if held.get(f"{MARK}folder", "") != folder:
            wanted = {f"{MARK}folder": folder}
            if placed != bool(held.get(PLACED)):
                wanted[PLACED] = "by hand" if placed else ""
            table.alter.set_table_properties(wanted, raise_if_not_exists=False, commit_properties=_by(run_id))


def _by(run_id: str) -> CommitProperties:
    return CommitProperties(custom_metadata={f"{MARK}run": run_id})


def check_folder(folder: str) -> None:
    """Raises UsageError where a folder of the catalog cannot be named like this."""
    if len(folder) > LONGEST_FOLDER or not folder.isprintable() or folder != folder.strip():
        raise UsageError(
            "A folder cannot be named like this",
            why=f"its name has up to {LONGEST_FOLDER} signs, no control characters, and no blanks at its ends",
            fix="choose another name",
        )


def target(lake: Place, path: Place, *, layer: str | None = None, name: str | None = None) -> Place:
    """Where a table would be in another layer, or under another name.

    Raises UsageError where there is no such layer, or where the name cannot be a table's or is taken there, were it in
    other cases.
    """
    layer = layers.existing(lake, layer).name if layer is not None else path.parent.name
    wanted = lake / layer / checked_name(name if name is not None else path.name)
    folders = [*table_folders(lake), *((lake / layer).iterdir() if (lake / layer).is_dir() else ())]
    names = (each.name for each in folders if each.parent.name == layer and each != path)
    taken = next((each for each in names if each.casefold() == wanted.name.casefold()), None)
    if wanted == path or taken is not None:
        raise UsageError(
            f"The layer {layer!r} has {taken or path.name!r} already",
            why="it is the table itself" if taken is None else "names differ by more than upper and lower case",
            fix="choose another layer or name, or rename or delete that one first",
        )
    return wanted


def move(path: Place, wanted: Place) -> None:
    """Move a table's folder in one step. Raises UsageError where that is not possible between these places."""
    if not isinstance(path, Path) or not isinstance(wanted, Path):
        raise UsageError(
            f"The table {path} cannot be moved",
            why="an object store has no folders: each object would be copied, and a reader would see half of a table",
            fix="keep its place; `b24lake table folder` groups tables in the catalog without moving them",
        )
    with storage_errors(path):
        wanted.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.rename(wanted)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            raise UsageError(
                f"The table {path} cannot be moved to {wanted}",
                why="the two are on different file systems, so it would not be done in one step",
                fix="copy the folder while nothing runs, or keep both layers on one file system",
            ) from error


def delete(path: Place) -> None:
    """Remove a table with all its versions: out of the lake in one step, then from the disk.

    In an object store its log goes first: without it there is no table.
    """
    with storage_errors(path):
        if isinstance(path, Path):
            gone = path.parent.parent / f".deleted-{path.parent.name}-{path.name}-{os.getpid()}"
            path.rename(gone)
            shutil.rmtree(gone)
        else:
            remove_all(path / LOG)
            remove_all(path)


def stream_of(path: Place) -> str:
    """The stream whose rows a table holds."""
    owner = owner_of(opened(path))
    return owner.stream if owner else ""
