"""The versions of a table: what its log tells of them, which can still be read, and which one a person means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from deltalake import DeltaTable

from b24lake.errors import UsageError
from b24lake.lake.files import storage_errors
from b24lake.lake.log import LogCommit, Needed, Size, commits_of, files_of, live_names, needed, read_commits
from b24lake.lake.place import Place
from b24lake.lake.sizes import sizes
from b24lake.lake.table import MARK

_METRICS = {
    "inserted": "num_target_rows_inserted",
    "updated": "num_target_rows_updated",
    "deleted": "num_target_rows_deleted",
}
"""What a merge of another program says of itself."""
_CALLED = {
    "CREATE TABLE": "first read",
    "WRITE": "full read",
    "MERGE": "changes read",
    "SET TBLPROPERTIES": "properties",
    "ADD COLUMN": "new columns",
    "UPDATE FIELD METADATA": "column notes",
    "UPDATE TABLE METADATA": "description",
    "OPTIMIZE": "compaction",
    "RESTORE": "restore",
    "VACUUM START": "vacuum",
    "VACUUM END": "vacuum",
}
"""What operations of our own commits are called; those of other programs keep their names."""


@dataclass(frozen=True)
class VersionInfo:
    """A version that the log still knows; counts are None where its commit did not tell.

    did        what the commit was for, in words: `full read`, `changes read`, `compaction` …
    metadata   what b24lake wrote into the commit, without the prefix: run, sync_type, rows_read, changes (JSON) …
    readable   whether its rows can still be read
    rows, bytes   how much the version holds; None where the log does not tell
    taken      when a later version took away the first of the files that it needs; None = all are still in use
    """

    version: int
    at: datetime
    operation: str
    run_id: str
    inserted: int | None
    updated: int | None
    deleted: int | None
    metadata: Mapping[str, str] = field(default_factory=dict)
    did: str = ""
    readable: bool = True
    rows: int | None = None
    bytes: int | None = None
    taken: datetime | None = None


def history(path: Place, table: DeltaTable, limit: int | None = None) -> tuple[VersionInfo, ...]:
    """The versions up to the one that `table` holds, newest first; all that the log knows if `limit` is None."""
    with storage_errors(path):
        files = files_of(table)
        commits = commits_of(table, files, limit)
        needs, held = needed(commits, live_names(table), files), sizes(table, commits, files)
        return tuple(_with_needs(version_info(each), needs[each.version], held.get(each.version)) for each in commits)


def _with_needs(one: VersionInfo, needs: Needed, size: Size | None) -> VersionInfo:
    rows, count = size or (None, None)
    taken = None if needs.taken is None else _moment(needs.taken)
    return replace(one, readable=needs.readable, rows=rows, bytes=count, taken=taken)


def newest(path: Place, table: DeltaTable) -> VersionInfo | None:
    """The version that `table` holds; None where only a checkpoint is left of it."""
    with storage_errors(path), suppress(FileNotFoundError):
        return next(version_info(each) for each in read_commits(table, [table.version()]))
    return None


def version_info(commit: LogCommit) -> VersionInfo:
    """A commit as people read it."""
    told = {name.removeprefix(MARK): str(value) for name, value in commit.info.items() if name.startswith(MARK)}
    metrics = commit.info.get("operationMetrics") or {}
    counts = {what: _count(told, metrics, what) for what in _METRICS}
    operation = str(commit.info.get("operation", ""))
    return VersionInfo(
        version=commit.version,
        at=_moment(commit.at),
        operation=operation,
        run_id=told.get("run", ""),
        inserted=counts["inserted"],
        updated=counts["updated"],
        deleted=counts["deleted"],
        metadata=told,
        did=_did(operation, str((commit.info.get("operationParameters") or {}).get("mode", "")), told),
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _count(told: Mapping[str, str], metrics: Mapping[str, Any], what: str) -> int | None:
    found = told.get(f"rows_{what}", metrics.get(_METRICS[what]))
    return None if found is None else int(found)


def _did(operation: str, mode: str, told: Mapping[str, str]) -> str:
    """What a commit was for; an operation of another program keeps its name."""
    if "run" not in told:
        return operation
    if "restored" in told:
        return f"restore of version {told['restored']}"
    if operation == "WRITE" and mode == "Append":
        return "changes read" if "rows_inserted" in told else "bookmark"
    return _CALLED.get(operation, operation.lower())


def as_of(versions: Sequence[VersionInfo], wanted: str, name: str) -> VersionInfo:
    """The version that a person means: by its number, or by a time at which it was the newest (UTC if without zone).

    versions   newest first; name: of their table, for errors
    Raises UsageError where there is no such version, or where it cannot be read any more.
    """
    found = _numbered(versions, wanted, name) if wanted.isascii() and wanted.isdigit() else _at(versions, wanted, name)
    if not found.readable:
        raise UsageError(
            f"Version {found.version} of {name} cannot be read any more",
            why="its files or its part of the log have been removed, since they were older than the table keeps them",
            fix=f"choose one that can: {spans(one.version for one in versions if one.readable)}",
        )
    return found


def _numbered(versions: Sequence[VersionInfo], wanted: str, name: str) -> VersionInfo:
    found = next((one for one in versions if one.version == int(wanted)), None)
    if found is None:
        raise UsageError(
            f"There is no version {int(wanted)} of {name}",
            why=f"its log knows {spans(one.version for one in versions)}",
            fix="`b24lake history` lists them with their times",
        )
    return found


def _at(versions: Sequence[VersionInfo], wanted: str, name: str) -> VersionInfo:
    moment = parsed_moment(wanted)
    found = next((one for one in versions if one.at <= moment), None)
    if found is None:
        oldest = versions[-1]
        raise UsageError(
            f"The log of {name} does not go back to {shown(moment)}",
            why=f"it begins with version {oldest.version}, written {shown(oldest.at)}",
            fix="name a later time; `b24lake history` lists all versions",
        )
    return found


def parsed_moment(text: str) -> datetime:
    """A time as ISO 8601 writes it; without a zone it is UTC. Raises UsageError for anything else.

    >>> parsed_moment("2026-10-20 12:00").isoformat()
    '2026-10-20T12:00:00+00:00'
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"{text!r} is neither a version nor a time",
            fix="write a number such as 3, or a time such as 2026-10-20T12:00 (UTC) or 2026-10-20T12:00+02:00",
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def shown(moment: datetime) -> str:
    """A moment for people."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def spans(versions: Iterable[int]) -> str:
    """Versions for people.

    >>> spans([9, 3, 4, 5]), spans([7]), spans([])
    ('3 to 5, 9', '7', 'none')
    """
    runs: list[list[int]] = []
    for each in sorted(set(versions)):
        if runs and each == runs[-1][1] + 1:
            runs[-1][1] = each
        else:
            runs.append([each, each])
    return ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in runs) or "none"
