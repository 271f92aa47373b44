"""The bookmark of a table, seen and set by hand: where the next incremental read begins.

A run knows which bookmark it looks for; here, the log is asked which ones there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from deltalake import CommitProperties, DeltaTable

from b24lake.errors import UsageError
from b24lake.lake.files import storage_errors
from b24lake.lake.log import applications
from b24lake.lake.place import Place
from b24lake.lake.table import MARK, Bookmark, bookmark_id, bookmark_of, our_owner
from b24lake.lake.versions import parsed_moment, shown

KINDS: tuple[Literal["time", "id"], ...] = ("time", "id")


def held(path: Place, table: DeltaTable, names: Iterable[str] | None = None) -> Bookmark | None:
    """The bookmark that holds at the version of an open table; None where its stream has never had one.

    names   the application ids to look for, where they are known; the log is asked otherwise
    """
    with storage_errors(path):
        found = []
        for name in applications(table) if names is None else names:
            for kind in KINDS:
                fingerprint = name.removeprefix(bookmark_id(kind, ""))
                value = bookmark_of(table, kind, fingerprint) if fingerprint != name else None
                found += [] if value is None else [Bookmark(kind, fingerprint, value)]
        return max(found, key=lambda each: each.value, default=None)


def known(path: Place, table: DeltaTable) -> Bookmark:
    """The bookmark that holds. Raises UsageError where the table has none, or is not ours."""
    our_owner(path, table)
    found = held(path, table)
    if found is None:
        raise UsageError(
            f"{path.parent.name}.{path.name} has no bookmark",
            why="its stream is always read in full",
            fix="streams with a replication key have one: see `b24lake streams`",
        )
    return found


def put(path: Place, table: DeltaTable, where: str | None, now: datetime, run_id: str) -> Bookmark:
    """Have the next read begin at this time or id, or, for None, read everything. The caller holds the table's lock.

    Raises UsageError as `known` and `moved`.
    """
    bookmark = known(path, table)
    wanted = replace(bookmark, value=0) if where is None else moved(bookmark, where, now)
    write(path, table, wanted, run_id)
    return wanted


def moved(bookmark: Bookmark, wanted: str, now: datetime) -> Bookmark:
    """The bookmark at another place: a time or an id, as people write them.

    Raises UsageError where it is not of the bookmark's kind, in the future, or before all records.
    """
    value = _id(wanted) if bookmark.kind == "id" else _time(wanted, now)
    if value < 1:
        raise UsageError(
            f"A bookmark cannot be {wanted!r}",
            why="that is before the first record there can be",
            fix="`b24lake bookmark reset` has the next run read everything",
        )
    return replace(bookmark, value=value)


def _id(wanted: str) -> int:
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 19):
        raise UsageError(f"{wanted!r} is not an id", why="the bookmark of this table is one", fix="write a number")
    return int(wanted)


def _time(wanted: str, now: datetime) -> int:
    if wanted.isdigit() and len(wanted) != 8:  # eight digits are a day: 20261020
        raise UsageError(
            f"{wanted!r} is not a time", why="the bookmark of this table is one", fix="write 2026-10-20T12:00 (UTC)"
        )
    moment = parsed_moment(wanted)
    if moment > now:
        raise UsageError(
            f"{shown(moment)} has not come yet",
            why="changes up to then would never be read",
            fix="give a time in the past",
        )
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def write(path: Place, table: DeltaTable, bookmark: Bookmark, run_id: str) -> int:
    """Write the bookmark down, as a version without rows, and return that version.

    Raises UsageError where the table is not ours.
    """
    our_owner(path, table)
    with storage_errors(path):
        properties = CommitProperties(custom_metadata={f"{MARK}run": run_id}, app_transactions=bookmark.transactions)
        table.create_write_transaction([], mode="append", schema=table.schema(), commit_properties=properties)
        table.update_incremental()
        return table.version()


def value_shown(bookmark: Bookmark) -> str:
    """Where it stands, for people and scripts: a moment in ISO 8601, or an id; "" = the next read is a full one."""
    if not bookmark.value:
        return ""
    epoch = datetime.fromtimestamp(0, UTC)
    return (
        (epoch + timedelta(milliseconds=bookmark.value)).isoformat() if bookmark.kind == "time" else str(bookmark.value)
    )
