"""An incremental read is merged into its table on the key: new rows come in, rows in which something differs change.

Of children, which are read record by record, rows that did not come again go (`children`). Files in which nothing
changes stay as they are (`rewriting`).

A run in which nothing differs writes no version; its bookmark then stays where it was, and the next read only begins
earlier.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import RemoveAction

from b24lake.errors import B24LakeError, StreamError
from b24lake.lake.children import Replaced, gone
from b24lake.lake.columns import DELETED_AT, DELETED_AT_FIELD, UNDECLARED, conform, note, only_last
from b24lake.lake.commits import ATTEMPTS, add_actions, commit_properties, described, settle
from b24lake.lake.evolution import REMOVED, Evolution, evolve, ordered
from b24lake.lake.files import reopened, storage_errors
from b24lake.lake.keys import Policy, check_keys
from b24lake.lake.place import Place
from b24lake.lake.rewriting import Incoming, Outcome, rewrite
from b24lake.lake.staging import Staged, Staging
from b24lake.lake.sweeping import forget, tidy
from b24lake.lake.table import MARK, Commit, Counts, Owner, open_owned, schema_of

CHUNK_ROWS = 250_000
CHUNK_BYTES = 256 * 1024 * 1024
"""A merge holds its source in memory: no more than this many rows and bytes of Arrow at once."""


def commit_merge(
    path: Place, owner: Owner, staged: Staged, commit: Commit, *, replaced: Replaced | None = None
) -> Counts:
    """Merge the staged rows; of rows with the same key the last one counts.

    Updated are rows in which any column but `_synced_at` differs. New columns are a commit of their own before the
    rows; large reads take several commits, with the bookmark in the last. Where a column has another type than before,
    the bookmark becomes 0: the next run reads in full. Descriptions of columns are renewed by full reads only.

    replaced   records whose rows were read as a whole: those of their rows that are not staged go

    Raises UsageError where the table belongs to someone else, StreamError where there is none or a key is null.
    """
    table = open_owned(path, owner)
    if table is None:
        raise StreamError(
            f"There is no table {path} to merge into",
            why="its first version comes from a full read",
            fix="run the stream with --full",
        )
    with storage_errors(path):
        distinct = check_keys(staged.keys(), staged.key, unique=False)
        going = _going(path, table, staged, replaced)
        counts = _merge_all(table, staged, commit, distinct, going)
        table = table if counts.version is None else reopened(path)
        settle(table, owner, commit, staged.key)
        tidy(path, table, staged.run_id, staged.took)
    return counts


@dataclass(frozen=True, eq=False)
class _Going:
    """Keys of the rows that go, and how."""

    keys: pa.Array
    policy: Policy = "remove"
    at: datetime | None = None


def _going(path: Place, table: DeltaTable, staged: Staged, replaced: Replaced | None) -> _Going:
    key = next((name for name in schema_of(table).names if name.casefold() == staged.key.casefold()), staged.key)
    if replaced is None:
        return _Going(pa.array([], pa.int64()))
    return _Going(gone(path, table, staged, key, replaced), replaced.policy, replaced.moment)


def _merge_all(table: DeltaTable, staged: Staged, commit: Commit, distinct: int, going: _Going) -> Counts:
    before = table.version()
    marking = len(going.keys) > 0 and going.policy == "mark" and DELETED_AT not in staged.schema.names
    schema = ordered([*staged.schema, DELETED_AT_FIELD]) if marking else staged.schema
    evolution = evolve(schema_of(table), schema, full=False)
    key = _key_column(staged.key, evolution)
    if evolution.refresh and commit.bookmark:
        commit = replace(commit, bookmark=replace(commit.bookmark, value=0))
    _alter(table, evolution, commit)
    table, inserted, updated, deleted = _merge_rows(table, staged, evolution, commit, key, distinct, going)
    version = table.version()
    return Counts(
        rows=distinct,
        inserted=inserted,
        updated=updated,
        deleted=deleted,
        carried=0,
        version=version if version > before else None,
        changes=evolution.changes,
        refresh=evolution.refresh,
    )


def _merge_rows(
    table: DeltaTable, staged: Staged, evolution: Evolution, commit: Commit, key: str, distinct: int, going: _Going
) -> tuple[DeltaTable, int, int, int]:
    """Merge piece by piece; the table as it is then, the rows inserted, updated and gone: these with the last piece."""
    inserted = updated = deleted = 0
    bookmarked = False
    for rows, last in _chunks(staged) if distinct or len(going.keys) else ():
        source = only_last(conform(rows, schema_of(table), evolution.renames), key)
        keys = (going.keys if last else going.keys[:0]).cast(source.schema.field(key).type)
        incoming = Incoming(source, key, keys, going.policy, going.at or datetime.now(UTC))
        version = table.version()
        table, outcome = _merge(table, staged, incoming, distinct, commit, bookmark=last or evolution.refresh)
        inserted, updated = inserted + outcome.inserted, updated + outcome.updated
        deleted += outcome.deleted
        bookmarked = last and table.version() > version
    if (inserted + updated + deleted or evolution.refresh) and commit.bookmark and not bookmarked:
        # The last rows were all as before: the bookmark moves by a commit of its own.
        properties = commit_properties(commit, {f"{MARK}rows_read": str(distinct)})
        table.create_write_transaction([], mode="append", schema=table.schema(), commit_properties=properties)
        table.update_incremental()
    return table, inserted, updated, deleted


def _key_column(key: str, evolution: Evolution) -> str:
    column = evolution.renames.get(key, key)
    if column.casefold() != key.casefold():
        raise StreamError(
            f"The key {key!r} changed its type",
            why="rows with the new type cannot be found among the old ones",
            fix="run the stream with --full",
        )
    return column


def _alter(table: DeltaTable, evolution: Evolution, commit: Commit) -> None:
    """Add the new columns, and note at the others which the source stopped or began to fill again."""
    told = {f"{MARK}changes": json.dumps([asdict(each) for each in evolution.changes])}
    new = [evolution.schema.field(each.column) for each in evolution.changes if each.kind in {"added", "split"}]
    if new:
        # After a split the next run must read in full, whatever happens to this one: the bookmark is reset right here.
        properties = commit_properties(commit, told, bookmark=evolution.refresh)
        table.alter.add_columns(list(Schema.from_arrow(pa.schema(new)).fields), commit_properties=properties)
        told = {}
    for before in schema_of(table):
        after = evolution.schema.field(before.name)
        noted = {name: note(after, name) for name in (REMOVED, UNDECLARED) if note(before, name) != note(after, name)}
        if noted:
            properties = commit_properties(commit, told, bookmark=False)
            table.alter.set_column_metadata(before.name, noted, commit_properties=properties)
            told = {}


def _chunks(staged: Staged) -> Iterator[tuple[pa.Table, bool]]:
    """The staged rows in pieces that a merge can hold, at least one, each with: is it the last."""
    held: list[pa.Table] = []
    rows = size = 0
    for each in staged.tables():
        if held and (rows + each.num_rows > CHUNK_ROWS or size + each.nbytes > CHUNK_BYTES):
            yield pa.concat_tables(held), False
            held, rows, size = [], 0, 0
        held.append(each)
        rows, size = rows + each.num_rows, size + each.nbytes
    yield pa.concat_tables(held or [staged.schema.empty_table()]), True


def _merge(
    table: DeltaTable, staged: Staged, incoming: Incoming, distinct: int, commit: Commit, *, bookmark: bool
) -> tuple[DeltaTable, Outcome]:
    """One merge, tried again on the newest version where another commit came in between."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return table, _merge_once(table, staged, incoming, distinct, commit, bookmark)
        except CommitFailedError:
            if attempt == ATTEMPTS:
                raise
            table = reopened(staged.path)
            # The other commit may have added columns.
            incoming = replace(incoming, rows=conform(incoming.rows, schema_of(table)))
    raise AssertionError("the last attempt returns or raises")


def _merge_once(
    table: DeltaTable, staged: Staged, incoming: Incoming, distinct: int, commit: Commit, bookmark: bool
) -> Outcome:
    """Write the files and commit them in the place of those they were made of; no commit where nothing differs."""
    # Named after the version, too: a read that is gone on with has the run id of one that may have committed already.
    run_id = f"{staged.run_id}-after-{table.version()}"
    staging = Staging(staged.path, run_id, incoming.key, staged.measured, schema=schema_of(table))
    try:
        outcome = rewrite(staged.path, table, incoming, staging)
        files = staging.close()
        if files.parts or outcome.stale:
            counts = Counts(distinct, outcome.inserted, outcome.updated, outcome.deleted, carried=0, version=None)
            # No retries: what was written is true of this version only.
            properties = commit_properties(commit, described(counts), bookmark=bookmark, retries=0)
            _commit_files(table, files, outcome, properties)
    except Exception:
        with suppress(B24LakeError):
            staging.discard()
        raise
    forget(staged.path, run_id)
    return outcome


def _commit_files(table: DeltaTable, files: Staged, outcome: Outcome, properties: CommitProperties) -> None:
    now = int(datetime.now(UTC).timestamp() * 1000)
    added = add_actions(files.path, files.parts)
    gone = [RemoveAction(each.path, True, now, each.size) for each in outcome.stale]
    table.create_write_transaction([*added, *gone], mode="append", schema=table.schema(), commit_properties=properties)
    table.update_incremental()
