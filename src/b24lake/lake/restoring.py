"""An earlier version of a table becomes its newest one.

delta-rs restores rows, columns and properties, and leaves transactions as they are. Here the bookmark goes back with
the rows, in the same commit, so that the next incremental read brings what has changed since; properties and people's
own words stay as they were before, since they are about the table and not about a version of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from deltalake import CommitProperties, DeltaTable

from b24lake.lake.bookmarks import held
from b24lake.lake.describing import describe_columns, own_comments
from b24lake.lake.files import reopened, storage_errors
from b24lake.lake.log import applications
from b24lake.lake.place import Place
from b24lake.lake.table import MARK, Bookmark, our_owner, schema_of


@dataclass(frozen=True)
class Restored:
    """What a restore did.

    version    the new one; None where the wanted version is the newest and nothing was written
    bookmark   where the next incremental read begins; None where the stream has no bookmarks; value 0: it reads in full
    """

    version: int | None
    bookmark: Bookmark | None


def restore(path: Place, table: DeltaTable, wanted: int, run_id: str) -> Restored:
    """Make the rows and columns of version `wanted`, which can be read, those of a new version.

    Raises UsageError where the table is not ours. One writer per table is the caller's care.
    """
    owner = our_owner(path, table)
    before = held(path, table)
    if wanted == table.version():
        return Restored(None, before)
    with storage_errors(path):
        then = reopened(path, wanted)
        bookmark = _then(path, table, then, before)
        was, comments = table.metadata(), own_comments(schema_of(table))
        # The owner is said here too: the properties of this version are those of the restored one.
        told = {f"{MARK}run": run_id, f"{MARK}restored": str(wanted), **owner.properties()}
        marks = bookmark.transactions if bookmark else None
        table.restore(wanted, commit_properties=CommitProperties(custom_metadata=told, app_transactions=marks))
        restored = reopened(path)
        version = restored.version()
        _keep_properties(restored, was.configuration, was.description, {f"{MARK}run": run_id})
        _keep_comments(path, comments, run_id)
        return Restored(version, bookmark)


def bookmark_of(path: Place, table: DeltaTable, wanted: int) -> Bookmark | None:
    """The bookmark as it would be after a restore, as `Restored` has it. Nothing is written."""
    before = held(path, table)
    if wanted == table.version():
        return before
    with storage_errors(path):
        return _then(path, table, reopened(path, wanted), before)


def _then(path: Place, table: DeltaTable, then: DeltaTable, before: Bookmark | None) -> Bookmark | None:
    return held(path, then, applications(table)) or (replace(before, value=0) if before else None)


def _keep_comments(path: Place, wanted: Mapping[str, str], run_id: str) -> None:
    """What people wrote of columns that are there again, and of no others: one version for each that says otherwise."""
    restored = reopened(path)
    fields = schema_of(restored)
    there = {name: text for name, text in wanted.items() if name in fields.names}
    describe_columns(path, restored, dict.fromkeys(own_comments(fields), "") | there, run_id)


def _keep_properties(
    table: DeltaTable, wanted: Mapping[str, str], description: str | None, told: dict[str, str]
) -> None:
    """Two more versions at most, and only where the restored one was described otherwise."""
    marked = CommitProperties(custom_metadata=told)
    now = table.metadata()
    changed = {name: text for name, text in wanted.items() if now.configuration.get(name) != text}
    if changed:
        table.alter.set_table_properties(changed, raise_if_not_exists=False, commit_properties=marked)
    if description and description != now.description:
        table.alter.set_table_description(description, commit_properties=marked)
