"""What runs leave in a table's folder besides its versions goes: after their commit, or when they are dead."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from deltalake import DeltaTable

from b24lake.lake.files import inside, known_files, open_table, remove_all, storage_errors
from b24lake.lake.log import live_names
from b24lake.lake.parts import STAGING, Part, sound_parts
from b24lake.lake.place import Place


def forget(path: Place, run_id: str) -> None:
    """Remove a run's manifest (and spooled parts) after its commit; parts of a full read belong to the table now."""
    remove_all(path / STAGING / run_id)
    _remove_if_empty(path / STAGING)


def remove(path: Place, *run_ids: str) -> None:
    """Remove everything these runs wrote, but for files that a version in the table's log knows."""
    _remove_all(path, run_ids, known_files(open_table(path)))


def tidy(path: Place, table: DeltaTable, run_id: str, took: Sequence[str] = (), parts: Sequence[Part] = ()) -> None:
    """After the commit of a read, remove what nobody needs any more.

    table   as it is after the commit
    took    other runs that the read took over from
    parts   those of a full read: they belong to the table now, or nobody needs them
    """
    if took or not {part.path for part in parts} <= live_names(table):
        _remove_all(path, (run_id, *took), known_files(table))
    else:
        forget(path, run_id)


def sweep(path: Place, *, keep_run: str | None = None, older_than: datetime | None = None) -> tuple[str, ...]:
    """Remove what dead runs left in a table's folder and return their ids; call it while holding the table's lock.

    keep_run     a run that is alive, or that will be gone on with; what it took over from others stays as well
    older_than   spare runs that wrote something at or after this moment

    Files that any version in the log knows stay, also when the run died between its commit and its tidying up.
    """
    with storage_errors(path):
        stale = [each.name for each in run_folders(path) if each.name != keep_run and _untouched(each, older_than)]
        if stale:
            kept = sound_parts(path, path / STAGING / keep_run) if keep_run else ()
            known = known_files(open_table(path)).union(part.path for part in kept)
            _remove_all(path, stale, known)
        return tuple(stale)


def run_folders(path: Place) -> list[Place]:
    """The folders of all reads that have left something, oldest run id first."""
    return sorted((each for each in inside(path / STAGING) if each.is_dir()), key=lambda each: each.name)


def _untouched(folder: Place, older_than: datetime | None) -> bool:
    if older_than is None:
        return True
    files = [*inside(folder), *folder.parent.parent.glob(f"part-{folder.name}-*.parquet")]
    files += [folder] if isinstance(folder, Path) else []
    return max((each.stat().st_mtime for each in files), default=0.0) < older_than.timestamp()


def _remove_all(path: Place, run_ids: Iterable[str], known: Collection[str]) -> None:
    for run_id in run_ids:
        _remove(path, run_id, known)


def _remove(path: Place, run_id: str, known: Collection[str]) -> None:
    """Remove a run's files, its manifest last: a second sweep finds what a first one could not finish."""
    mine = re.compile(rf"part-{re.escape(run_id)}-\d+\.parquet")
    for file in path.glob(f"part-{run_id}-*.parquet"):
        if mine.fullmatch(file.name) and file.name not in known:
            file.unlink(missing_ok=True)
    spooled = f"{STAGING}/{run_id}/"
    if any(each.startswith(spooled) for each in known):
        for file in inside(path / STAGING / run_id):
            if spooled + file.name not in known:
                file.unlink(missing_ok=True)
    else:
        forget(path, run_id)
    if isinstance(path, Path) and not (path / "_delta_log").exists():
        _remove_if_empty(path)


def _remove_if_empty(folder: Place) -> None:
    if isinstance(folder, Path) and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
