"""An incremental read is merged into its table on the key: new rows come in, rows in which something differs change.

A run in which nothing differs writes no version; its bookmark then stays where it was, and the next read only begins
earlier.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, WriterProperties
from deltalake.exceptions import CommitFailedError

from b24lake.errors import StreamError
from b24lake.lake.columns import SYNCED_AT, UNDECLARED, conform, note, only_last, quoted
from b24lake.lake.commits import commit_properties, settle
from b24lake.lake.evolution import REMOVED, Evolution, evolve
from b24lake.lake.files import storage_errors
from b24lake.lake.keys import check_keys
from b24lake.lake.staging import Staged, forget
from b24lake.lake.table import MARK, Commit, Counts, Owner, open_owned, schema_of

CHUNK_ROWS = 250_000
CHUNK_BYTES = 256 * 1024 * 1024
"""A merge holds its source in memory: no more than this many rows and bytes of Arrow at once."""
ATTEMPTS = 5
"""How often a merge is tried when another writer (a vacuum, a person) commits at the same moment."""

_WRITER = WriterProperties(compression="ZSTD", compression_level=1)
_NOTHING = Counts(rows=0, inserted=0, updated=0, deleted=0, carried=0, version=None)


def commit_merge(path: Path, owner: Owner, staged: Staged, commit: Commit) -> Counts:
    """Merge the staged rows; of rows with the same key the last one counts.

    Updated are rows in which any column but `_synced_at` differs. New columns are a commit of their own before the
    rows; large reads take several commits, with the bookmark in the last. Where a new type opened a side column, the
    bookmark becomes 0: the next run reads in full. Descriptions of columns are renewed by full reads only.

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
        counts = _merge_all(table, staged, commit, distinct) if distinct else _NOTHING
        settle(DeltaTable(str(path)), owner, commit.run_id)
        forget(path, staged.run_id)
    return counts


def _merge_all(table: DeltaTable, staged: Staged, commit: Commit, distinct: int) -> Counts:
    before = table.version()
    evolution = evolve(schema_of(table), staged.schema, full=False)
    key = _key_column(staged.key, evolution)
    if evolution.refresh and commit.bookmark:
        commit = replace(commit, bookmark=replace(commit.bookmark, value=0))
    _alter(table, evolution, commit)
    table, inserted, updated = _merge_rows(table, staged, evolution, commit, key, distinct)
    version = table.version()
    return Counts(
        rows=distinct,
        inserted=inserted,
        updated=updated,
        deleted=0,
        carried=0,
        version=version if version > before else None,
        changes=evolution.changes,
        refresh=evolution.refresh,
    )


def _merge_rows(
    table: DeltaTable, staged: Staged, evolution: Evolution, commit: Commit, key: str, distinct: int
) -> tuple[DeltaTable, int, int]:
    """Merge piece by piece; the table as it is then, the rows inserted and updated."""
    told = {f"{MARK}rows_read": str(distinct)}
    inserted = updated = 0
    bookmarked = False
    for rows, last in _chunks(staged):
        source = only_last(conform(rows, schema_of(table), evolution.renames), key)
        version = table.version()
        properties = commit_properties(commit, told, bookmark=last or evolution.refresh)
        table, metrics = _merge(table, source, key, properties)
        inserted += metrics["num_target_rows_inserted"]
        updated += metrics["num_target_rows_updated"]
        bookmarked = last and table.version() > version
    if inserted + updated and commit.bookmark and not bookmarked:
        # The last rows were all as before: the bookmark moves by a commit of its own.
        properties = commit_properties(commit, told)
        table.create_write_transaction([], mode="append", schema=table.schema(), commit_properties=properties)
        table.update_incremental()
    return table, inserted, updated


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
        # After a split the next run must read in full, whether or not a row differs: the bookmark is reset right here.
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
    """The staged rows in pieces that a merge can hold, each with: is it the last."""
    held: list[pa.Table] = []
    rows = size = 0
    for each in staged.tables():
        if held and (rows + each.num_rows > CHUNK_ROWS or size + each.nbytes > CHUNK_BYTES):
            yield pa.concat_tables(held), False
            held, rows, size = [], 0, 0
        held.append(each)
        rows, size = rows + each.num_rows, size + each.nbytes
    if held:
        yield pa.concat_tables(held), True


def _merge(
    table: DeltaTable, source: pa.Table, key: str, properties: CommitProperties
) -> tuple[DeltaTable, dict[str, int]]:
    """One merge, tried again on the newest version where another commit came in between."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return table, _merge_once(table, source, key, properties)
        except CommitFailedError:
            if attempt == ATTEMPTS:
                raise
            table = DeltaTable(table.table_uri)
    raise AssertionError("the last attempt returns or raises")


def _merge_once(table: DeltaTable, source: pa.Table, key: str, properties: CommitProperties) -> dict[str, int]:
    compared = [name for name in source.column_names if name not in {key, SYNCED_AT}]
    # Each term needs its own parentheses, else the type coercion of the engine fails.
    differs = " OR ".join(f"(s.{quoted(name)} IS DISTINCT FROM t.{quoted(name)})" for name in compared)
    merger = table.merge(
        source,
        predicate=f"s.{quoted(key)} = t.{quoted(key)}",
        source_alias="s",
        target_alias="t",
        # Streaming switches off the pruning of files by the source's keys: eight times the work for recent rows.
        streamed_exec=False,
        writer_properties=_WRITER,
        commit_properties=properties,
    )
    if compared:
        merger = merger.when_matched_update_all(predicate=differs)
    return dict(merger.when_not_matched_insert_all().execute())
