"""How long old states of a table are kept, and what goes when they are older (D20).

A version can be read as long as the log leads to it and its files are there. Both have a time of their own, which are
table properties: the log's counts from when a version was written, that of the files from when they were taken away.
Which files nothing needs any more is for delta-rs to say (a rehearsed vacuum); they are removed here, since its own
vacuum writes two versions each time and takes the parts of unfinished reads as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import unquote

import pyarrow.fs as pafs
from deltalake import CommitProperties, DeltaTable

from b24lake.errors import UsageError
from b24lake.lake.commits import Retention
from b24lake.lake.files import reopened, storage_errors
from b24lake.lake.log import Files, LogCommit, Needed, commits_of, files_of, live_names, needed, read_commits, storage
from b24lake.lake.parts import sound_parts
from b24lake.lake.place import Place
from b24lake.lake.sweeping import run_folders
from b24lake.lake.table import MARK, our_owner
from b24lake.lake.versions import VersionInfo, shown, spans

LOG, FILES = "delta.logRetentionDuration", "delta.deletedFileRetentionDuration"
UNSAID = {LOG: timedelta(days=30), FILES: timedelta(days=7)}
"""What Delta takes where a table has no such property."""
BESIDE = timedelta(days=7)
"""How much longer than the log files are kept where a person names the log's time alone."""
LEAST, MOST = timedelta(days=1), timedelta(days=3660)

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400}
_INTERVAL = re.compile(r"(?:interval\s+)?(\d+)\s+(second|minute|hour|day|week)s?", re.IGNORECASE)


@dataclass(frozen=True)
class Kept:
    """How long the log and the files that no version shows any more are kept."""

    log: timedelta
    files: timedelta


@dataclass(frozen=True)
class Effect:
    """What goes when a table's retention is applied.

    files     names of data files, with `bytes` of them in all
    log_from  the version that the log will begin with; None where it stays as it is
    versions  those that can be read now and cannot afterwards; `until`: when the newest of them was written
    """

    files: tuple[str, ...] = ()
    bytes: int = 0
    log_from: int | None = None
    versions: tuple[int, ...] = ()
    until: datetime | None = None

    @property
    def nothing(self) -> bool:
        """Whether everything stays."""
        return not self.files and self.log_from is None

    def words(self) -> str:
        """The effect in a sentence.

        >>> Effect(("a",), 10, 18, (3, 4, 17), datetime(2026, 10, 20, tzinfo=UTC)).words()
        'versions 3 to 4, 17, up to 2026-10-20 00:00:00 UTC, will no longer be readable'
        """
        if self.nothing:
            return "nothing is older than the table keeps it"
        if not self.versions or self.until is None:
            return "every version that can be read stays readable"
        which = f"version{'' if len(self.versions) == 1 else 's'} {spans(self.versions)}"
        return f"{which}, up to {shown(self.until)}, will no longer be readable"


def kept(table: DeltaTable) -> Kept:
    """What a table's properties say."""
    told = table.metadata().configuration
    return Kept(*(interval(told.get(name, "")) or UNSAID[name] for name in (LOG, FILES)))


def interval(text: str) -> timedelta | None:
    """A duration as Delta writes it; None where it is not one.

    >>> interval("interval 30 days"), interval("")
    (datetime.timedelta(days=30), None)
    """
    found = _INTERVAL.fullmatch(text.strip())
    return timedelta(seconds=int(found[1]) * _UNITS[found[2].lower()]) if found else None


def changed(now: Kept, log: timedelta | None, files: timedelta | None) -> Kept:
    """What a person wants; the files follow the log where only that is named.

    Raises UsageError where a time is not a number of whole days from 1 to ten years.
    """
    for name, one in (("log", log), ("files", files)):
        if one is not None and (one % timedelta(days=1) or not LEAST <= one <= MOST):
            raise UsageError(
                f"The retention of the {name} cannot be so long",
                why="it is a number of whole days, from 1 to 3660",
                fix=f"write --{name} 30d",
            )
    log_wanted = log or now.log
    return Kept(log_wanted, files or (log_wanted + BESIDE if log else now.files))


def set_kept(path: Place, table: DeltaTable, wanted: Kept, run_id: str) -> None:
    """Write it into the table's properties, which is a version without rows. Raises UsageError for one not ours."""
    our_owner(path, table)
    with storage_errors(path):
        told = CommitProperties(custom_metadata={f"{MARK}run": run_id})
        properties = Retention(wanted.log.days, wanted.files.days).properties()
        table.alter.set_table_properties(properties, commit_properties=told)


def begin_of_log(commits: Iterable[LogCommit], cutoff: datetime) -> int | None:
    """The version that the log has to begin with so that every moment since `cutoff` can be gone back to.

    It is the one that was the newest at that moment. commits: oldest first; only as many are taken as are needed.
    """
    begin = None
    for commit in commits:
        if begin is not None and commit.at > cutoff.timestamp() * 1000:
            break
        begin = commit.version
    return begin


def effect(path: Place, table: DeltaTable, now: datetime, wanted: Kept | None = None) -> Effect:
    """What applying `wanted` would take away; what the table's properties say if None. Nothing is changed."""
    with storage_errors(path):
        want, files = wanted or kept(table), files_of(table)
        commits = commits_of(table, files)
        begin = _begin(table, files, now - want.log)
        gone = _unneeded(path, table, files, want.files)
        needs = needed(commits, live_names(table), files)
        going = unreadable(needs, begin, frozenset(gone))
        times = {commit.version: commit.at for commit in commits}
        until = datetime.fromtimestamp(times[going[-1]] / 1000, UTC) if going else None
        return Effect(tuple(gone), _size(table, gone), begin, going, until)


def ends(versions: Sequence[VersionInfo], keep: Kept) -> dict[int, datetime]:
    """From when on a run or vacuum makes each version unreadable; those that are so already are left out.

    It is when a moment at which the version was the newest lies as far back as the log is kept, or, if that is sooner,
    when the files that a later version took away may be removed. The newest version stays, whatever its age.

    versions   newest first and without gaps
    """
    return {
        one.version: min([later.at + keep.log] + ([one.taken + keep.files] if one.taken else []))
        for later, one in pairwise(versions)
        if one.readable
    }


def unreadable(needs: Mapping[int, Needed], begin: int | None, gone: frozenset[str]) -> tuple[int, ...]:
    """The versions that can be read now, but not without these files or with a log that begins later; rising."""
    can = {version: need.files for version, need in needs.items() if need.readable and need.files is not None}
    forgotten = {version for version in can if begin is not None and version < begin}
    return tuple(sorted(forgotten.union(version for version, files in can.items() if files & gone)))


def apply(path: Place, table: DeltaTable, now: datetime) -> Effect:
    """Remove what is older than the table keeps it, and say what went (`versions` are not looked for).

    Call it while holding the table's lock. Raises UsageError where the table is not ours.
    """
    our_owner(path, table)
    with storage_errors(path):
        want, files = kept(table), files_of(table)
        begin = _begin(table, files, now - want.log)
        gone = _unneeded(path, table, files, want.files)
        found = Effect(tuple(gone), _size(table, gone), begin)
        where = storage(table)
        for name in gone:
            with suppress(FileNotFoundError):
                where.delete_file(name)
        if begin is not None:
            _shorten(path, files, begin)
        return found


def due(table: DeltaTable, now: datetime) -> bool:
    """Whether anything of a table can be old enough to go: a look at its own age, which costs nothing."""
    created = datetime.fromtimestamp((table.metadata().created_time or 0) / 1000, UTC)
    return now - created >= min(kept(table).log, kept(table).files)


def _begin(table: DeltaTable, files: Files, cutoff: datetime) -> int | None:
    """The version that the log can begin with; None where it does already."""
    bases = {*files.checkpoints, *(files.commits & {0})}
    if not bases:
        return None
    base, known = min(bases), files.commits | files.checkpoints.keys()
    later = sorted(version for version in files.commits if base <= version <= table.version())
    begin = begin_of_log(read_commits(table, later), cutoff)
    return begin if begin is not None and min(known) < begin else None


def _unneeded(path: Place, table: DeltaTable, files: Files, keep: timedelta) -> list[str]:
    """The data files that no version needs since longer than `keep`, but for those of reads that are not finished."""
    hours = keep // timedelta(hours=1)
    told = table.vacuum(retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=True)
    # Files that have gone already are told as well, sometimes with the address of the table before their names.
    names = {unquote(uri).rpartition("/")[2] for uri in told} & files.data - live_names(table)
    folders = run_folders(path)
    alive = tuple(f"part-{folder.name}-" for folder in folders)
    names -= {part.path for folder in folders for part in sound_parts(path, folder)}
    return sorted(name for name in names if name.endswith(".parquet") and not name.startswith(alive))


def _shorten(path: Place, files: Files, begin: int) -> None:
    """Have the log begin with this version: delta-rs removes what is older than a checkpoint that is itself old."""
    reopened(path, begin).create_checkpoint()
    newest = reopened(path)
    newest.cleanup_metadata()
    if max(files.checkpoints, default=begin) > begin:
        # Readers begin at the checkpoint that was written last.
        newest.create_checkpoint()


def _size(table: DeltaTable, names: Sequence[str]) -> int:
    found = storage(table).get_file_info(list(names)) if names else []
    return sum(each.size or 0 for each in found if each.type == pafs.FileType.File)
