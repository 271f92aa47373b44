"""What every commit has in common: run id, counts and bookmark beside the rows, parts as Delta's file actions."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from b24lake.errors import StreamError
from b24lake.lake.files import ONE_BY_ONE
from b24lake.lake.parts import Part
from b24lake.lake.place import Place, Stat
from b24lake.lake.table import KEY, MARK, Commit, Counts, Owner

ATTEMPTS = 5
"""How often a commit is tried when another writer (a vacuum, a person) commits at the same moment."""
TARGET_FILE_SIZE = {"delta.targetFileSize": "16777216"}
"""Bytes. A merge rewrites whole files: small ones keep it cheap, and it obeys this property only, no argument."""


@dataclass(frozen=True)
class Retention:
    """How long old states stay; a table gets it at its creation.

    log_days       days a version stays in the log
    deleted_days   days a file stays after a version stopped using it; Delta counts from the removal, so it must be
                   longer than the log is kept for every version in the log to be readable
    """

    log_days: int = 30
    deleted_days: int = 37

    def properties(self) -> dict[str, str]:
        """As Delta table properties."""
        return {
            "delta.logRetentionDuration": f"interval {self.log_days} days",
            "delta.deletedFileRetentionDuration": f"interval {self.deleted_days} days",
        }


def commit_properties(
    commit: Commit, extra: Mapping[str, str], *, bookmark: bool = True, retries: int | None = None
) -> CommitProperties:
    """The run id, the caller's metadata and `extra`, and the bookmark (unless it is for a later commit).

    retries   0 = fail where another commit came first
    """
    mark = commit.bookmark if bookmark else None
    return CommitProperties(
        custom_metadata={**commit.metadata, **extra, f"{MARK}run": commit.run_id},
        max_commit_retries=retries,
        app_transactions=mark.transactions if mark else None,
    )


def described(counts: Counts) -> dict[str, str]:
    """Counts and column changes as commit metadata."""
    numbers = {name: getattr(counts, name) for name in ("inserted", "updated", "deleted", "carried")}
    told = {f"{MARK}rows_{name}": str(number) for name, number in numbers.items() if number is not None}
    changes = {f"{MARK}changes": json.dumps([asdict(each) for each in counts.changes])} if counts.changes else {}
    return {f"{MARK}rows_read": str(counts.rows), **told, **changes}


def add_actions(path: Place, parts: Sequence[Part], taken: Collection[str] = ()) -> list[AddAction]:
    """Parts in a table's folder as `add` actions of the Delta protocol.

    taken   the files of the table's last version, by their paths

    Raises StreamError where a part is not there as it was written, or is one of those: two runs took the read for
    theirs, as they may without a lock that both know.
    """
    there = check_there(path, parts)
    if any(part.path in taken for part in parts):
        raise StreamError(
            f"The rows of this read are in {path} already",
            why="another run went on with the read and has committed it",
            fix=ONE_BY_ONE,
        )
    return [
        AddAction(
            part.path,
            part.size,
            {},
            int(there[part.path].st_mtime * 1000),
            data_change=True,
            stats=json.dumps(part.stats),
        )
        for part in parts
    ]


def check_there(path: Place, parts: Sequence[Part]) -> dict[str, os.stat_result | Stat]:
    """What is known of the files of parts. Raises StreamError where one is not there as it was written."""
    there = _there(path, parts)
    for part in parts:
        if part.path not in there or there[part.path].st_size != part.size:
            raise StreamError(
                f"A part of this read is gone from {path}: {part.path}",
                why="another run or program has removed it",
                fix=ONE_BY_ONE,
            )
    return there


def _there(path: Place, parts: Sequence[Part]) -> dict[str, os.stat_result | Stat]:
    """What is known of those parts that are there; of objects one listing tells."""
    if not isinstance(path, Path):
        return {each.name: each.stat() for each in path.glob("part-*.parquet")} if parts else {}
    files = {part.path: path / part.path for part in parts}
    return {name: file.stat() for name, file in files.items() if file.exists()}


def settle(table: DeltaTable, owner: Owner, commit: Commit, key: str) -> None:
    """Write owner, key and properties into the table where it says otherwise; delta-rs refuses them at creation."""
    wanted = {**owner.properties(), KEY: key, **commit.properties}
    marked = CommitProperties(custom_metadata={f"{MARK}run": commit.run_id})
    for attempt in range(1, ATTEMPTS + 1):
        held = table.metadata().configuration
        changed = {name: text for name, text in wanted.items() if held.get(name, "") != text}
        try:
            if changed:
                table.alter.set_table_properties(changed, raise_if_not_exists=False, commit_properties=marked)
        except CommitFailedError:
            if attempt == ATTEMPTS:
                raise
            table.update_incremental()
        else:
            return
