"""What every commit has in common: run id, counts and bookmark beside the rows, parts as Delta's file actions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction

from b24lake.lake.staging import Part
from b24lake.lake.table import MARK, Commit, Counts, Owner

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


def commit_properties(commit: Commit, extra: Mapping[str, str], *, bookmark: bool = True) -> CommitProperties:
    """The run id, the caller's metadata and `extra`, and the bookmark (unless it is for a later commit)."""
    mark = commit.bookmark if bookmark else None
    return CommitProperties(
        custom_metadata={**commit.metadata, **extra, f"{MARK}run": commit.run_id},
        app_transactions=mark.transactions if mark else None,
    )


def described(counts: Counts) -> dict[str, str]:
    """Counts and column changes as commit metadata."""
    numbers = {name: getattr(counts, name) for name in ("inserted", "updated", "deleted", "carried")}
    told = {f"{MARK}rows_{name}": str(number) for name, number in numbers.items() if number is not None}
    changes = {f"{MARK}changes": json.dumps([asdict(each) for each in counts.changes])} if counts.changes else {}
    return {f"{MARK}rows_read": str(counts.rows), **told, **changes}


def add_action(folder: Path, part: Part) -> AddAction:
    """A part as an `add` action of the Delta protocol."""
    modified = int((folder / part.path).stat().st_mtime * 1000)
    return AddAction(part.path, part.size, {}, modified, data_change=True, stats=json.dumps(part.stats))


def settle(table: DeltaTable, owner: Owner, run_id: str) -> None:
    """Write the owner into the table's properties where they say otherwise; delta-rs refuses them at creation."""
    held = table.metadata().configuration
    changed = {name: text for name, text in owner.properties().items() if held.get(name, "") != text}
    if changed:
        marked = CommitProperties(custom_metadata={f"{MARK}run": run_id})
        table.alter.set_table_properties(changed, raise_if_not_exists=False, commit_properties=marked)
