"""A full read becomes all there is in its table: the first version, or one that replaces the last.

The rows are on disk before (`staging`), so the commit is short, and a crash before it leaves the table as it was.
Small tables are compared row by row: unchanged rows keep their `_synced_at`, and where all is as before, nothing is
written (`differing`).
One writer per table is the caller's care.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import create_table_with_add_actions

from b24lake.lake.columns import (
    DELETED_AT,
    DELETED_AT_FIELD,
    MISFITS,
    SYNCED_AT,
    UTC_MICROS,
    conform,
    note,
    with_notes,
)
from b24lake.lake.commits import (
    ATTEMPTS,
    TARGET_FILE_SIZE,
    Retention,
    add_actions,
    check_there,
    commit_properties,
    described,
    settle,
)
from b24lake.lake.differing import Changes, changes, small
from b24lake.lake.evolution import SPLIT_FROM, Evolution, evolve, ordered
from b24lake.lake.files import at_hand, live_files, parquet, reopened, storage_errors
from b24lake.lake.keys import Deletions, Difference, check_keys, compare
from b24lake.lake.log import live_names
from b24lake.lake.parts import Part
from b24lake.lake.place import Place, options_of
from b24lake.lake.staging import GROUP_ROWS, Staged, Staging, read_column
from b24lake.lake.sweeping import forget, remove, tidy
from b24lake.lake.table import Commit, Counts, Owner, bookmark_of, open_owned, schema_of

OFTEN = {"delta.checkpointInterval": "10"}
"""Commits. Whoever opens a table reads all of them since the last checkpoint: of an object store, one by one."""


def commit_full(
    path: Place,
    owner: Owner,
    staged: Staged,
    commit: Commit,
    *,
    deletions: Deletions | None = None,
    retention: Retention | None = None,
) -> Counts:
    """Make the staged rows the table's next version, and its only rows but for those that `deletions` carries over.

    Raises UsageError where the table belongs to someone else, StreamError where a key is null or repeated or too many
    rows would go. Nothing is committed then; the parts stay until they are discarded.
    """
    with storage_errors(path):
        check_there(path, staged.parts)
        check_keys(staged.keys(), staged.key, unique=True)
        counts, table = _commit(path, owner, staged, commit, deletions or Deletions(), retention or Retention())
        settle(table, owner, commit, staged.key)
        tidy(path, table, staged.run_id, staged.took, staged.parts)
    return counts


def _commit(
    path: Place, owner: Owner, staged: Staged, commit: Commit, deletions: Deletions, retention: Retention
) -> tuple[Counts, DeltaTable]:
    """Create or replace, tried again on the newest version where another commit came in between."""
    for attempt in range(1, ATTEMPTS + 1):
        table = open_owned(path, owner)
        try:
            if table is None:
                return _create(path, owner, staged, commit, retention), reopened(path)
            return _replace(table, staged, commit, deletions), table
        except DeltaError as error:
            overtaken = isinstance(error, CommitFailedError) or "already exists at that location" in str(error)
            if not overtaken or attempt == ATTEMPTS:
                raise
            remove(path, _second(staged))
    raise AssertionError("the last attempt returns or raises")


def _create(path: Place, owner: Owner, staged: Staged, commit: Commit, retention: Retention) -> Counts:
    evolution = evolve(None, staged.schema, full=True)
    counts = Counts(staged.rows, inserted=staged.rows, updated=None, deleted=0, carried=0, version=0)
    create_table_with_add_actions(
        str(path),
        Schema.from_arrow(evolution.schema),
        add_actions(path, staged.parts),
        mode="error",
        partition_by=[],
        description=commit.title or None,
        configuration=TARGET_FILE_SIZE | retention.properties() | ({} if isinstance(path, Path) else OFTEN),
        # Who owns the table is said here too: a run that dies before the properties are set leaves no stranger.
        # No retries: delta-rs would add the rows to those of another first version.
        commit_properties=commit_properties(commit, described(counts) | owner.properties(), retries=0),
        storage_options=options_of(path),
    )
    return counts


def _replace(table: DeltaTable, staged: Staged, commit: Commit, deletions: Deletions) -> Counts:
    old = schema_of(table)
    evolution = evolve(old, _wanted(staged.schema, deletions), full=True)
    files = live_files(staged.path, table)
    difference = _compare(files, old, staged)
    deletions.check(difference.deleted, difference.before)
    found = None
    if small(len(difference.keys), staged):
        with at_hand(files) as before, at_hand([staged.path / part.path for part in staged.parts]) as after:
            found = changes(before, old, after, staged, evolution.schema, difference)
    carried = 0 if deletions.policy == "remove" else int(pc.sum(difference.missing).as_py() or 0)
    counts = Counts(
        rows=staged.rows,
        inserted=difference.inserted,
        updated=found.updated if found else None,
        deleted=0 if deletions.policy == "keep" else difference.deleted,
        carried=carried,
        version=None,
        changes=evolution.changes,
    )
    if found and _same_rows(found, difference, deletions) and _same_table(table, old, evolution, commit):
        return counts
    vanished = _vanished(files, old, evolution, difference, deletions) if carried else None
    kept = _timed(staged, found.synced_at) if found and found.carrying else None
    parts = _parts(staged, kept, vanished, evolution.schema)
    table.create_write_transaction(
        [*add_actions(staged.path, parts, live_names(table))],
        mode="overwrite",
        schema=Schema.from_arrow(evolution.schema),
        # No retries: delta-rs would leave rows that another commit appended meanwhile beside these.
        commit_properties=commit_properties(commit, described(counts), retries=0),
    )
    forget(staged.path, _second(staged))
    table.update_incremental()
    return replace(counts, version=table.version())


def _same_rows(found: Changes, difference: Difference, deletions: Deletions) -> bool:
    """Tell whether the next version would hold the rows of the last one."""
    going = {"remove": difference.missing, "mark": difference.gone}.get(deletions.policy)
    stay = going is None or not pc.any(going).as_py()
    return stay and bool(pc.all(found.unchanged, min_count=0).as_py())


def _same_table(table: DeltaTable, old: pa.Schema, evolution: Evolution, commit: Commit) -> bool:
    """Tell whether columns and bookmark may stay as they are; 0 as a bookmark asked for this full read.

    Of a log without rows it is 0 again.
    """
    mark = commit.bookmark
    held = bookmark_of(table, mark.kind, mark.fingerprint) if mark else None
    marked = mark is None or bool(held) or held == mark.value
    return marked and _as_delta(old) == _as_delta(evolution.schema)


def _as_delta(schema: pa.Schema) -> Schema:
    """The columns with everything a version says of them, without notes that were taken away."""
    return Schema.from_arrow(pa.schema([with_notes(each) for each in schema]))


def _parts(
    staged: Staged, kept: Iterator[pa.Table] | None, vanished: Iterator[pa.Table] | None, schema: pa.Schema
) -> tuple[Part, ...]:
    """The files of the next version: `kept` stands for the staged rows where they had to be written again.

    What is written here goes under a run id of its own, so that a sweep finds it if this run dies.
    """
    if kept is None and vanished is None:
        return staged.parts
    staging = Staging(staged.path, _second(staged), staged.key, staged.measured, schema=schema)
    for each in chain(kept or (), vanished or ()):
        staging.add(each)
    return (*(staged.parts if kept is None else ()), *staging.close().parts)


def _second(staged: Staged) -> str:
    return f"{staged.run_id}-carried"


def _timed(staged: Staged, moments: pa.ChunkedArray) -> Iterator[pa.Table]:
    """The staged rows with `_synced_at` of the run that last changed them."""
    start = 0
    for rows in staged.tables():
        at = rows.schema.get_field_index(SYNCED_AT)
        times = moments.slice(start, rows.num_rows)
        start += rows.num_rows
        yield rows.set_column(at, rows.schema.field(at), times)


def _wanted(schema: pa.Schema, deletions: Deletions) -> pa.Schema:
    marking = deletions.policy == "mark" and DELETED_AT not in schema.names
    return ordered([*schema, DELETED_AT_FIELD]) if marking else schema


def _compare(files: list[Place], old: pa.Schema, staged: Staged) -> Difference:
    """Old keys against new ones; only the key column is read (and the marks, where there are any)."""
    key = next((name for name in old.names if name.casefold() == staged.key.casefold()), staged.key)
    kind = old.field(key).type if key in old.names else staged.schema.field(staged.key).type
    keys = _column(files, key, kind)
    live = pc.is_null(_column(files, DELETED_AT, UTC_MICROS)) if DELETED_AT in old.names else pc.is_valid(keys)
    return compare(keys, live, staged.keys())


def _column(files: list[Place], name: str, kind: pa.DataType) -> pa.ChunkedArray:
    chunks = [chunk for file in files for chunk in read_column(file, name, kind).chunks]
    return pa.chunked_array(chunks, kind)


def _vanished(
    files: list[Place], old: pa.Schema, evolution: Evolution, difference: Difference, deletions: Deletions
) -> Iterator[pa.Table]:
    """The old rows whose keys are gone, in the new columns, a few at a time; marked where that is the policy."""
    moment = pa.scalar(deletions.at or datetime.now(UTC), UTC_MICROS)
    names = {name.casefold(): name for name in evolution.schema.names}
    sides = {each.name: names[note(each, SPLIT_FROM).casefold()] for each in old if each.name.casefold() not in names}
    start = 0
    for file in files:
        with parquet(file) as opened:
            for batch in opened.iter_batches(GROUP_ROWS):
                # The masks run along the same files in the same order as the keys they were made of.
                missing = difference.missing.slice(start, batch.num_rows)
                gone = difference.gone.slice(start, batch.num_rows)
                start += batch.num_rows
                if not pc.any(missing).as_py():
                    continue
                renames = {name: names.get(name.casefold(), name) for name in batch.schema.names}
                rows = _without_sides(conform(pa.table(batch), evolution.schema, renames), pa.table(batch), sides)
                if deletions.policy == "mark":
                    rows = _marked(rows, gone, moment)
                yield rows.filter(missing)


def _without_sides(rows: pa.Table, before: pa.Table, sides: Mapping[str, str]) -> pa.Table:
    """The rows with what stood in side columns, which go, in the columns that these were beside.

    sides   side column -> that column
    """
    for side, name in sides.items():
        if side not in before.column_names or before.column(side).null_count == before.num_rows:
            continue
        fields = [rows.schema.field(each) for each in (name, MISFITS) if each in rows.column_names]
        given = {each.name: rows.column(each.name) for each in fields} | {name: before.column(side)}
        moved = conform(pa.table(given), pa.schema(fields))
        here = pc.is_valid(before.column(side))
        for field in fields:
            at = rows.schema.get_field_index(field.name)
            rows = rows.set_column(at, field, pc.if_else(here, moved.column(field.name), rows.column(at)))
    return rows


def _marked(rows: pa.Table, gone: pa.ChunkedArray, moment: pa.Scalar) -> pa.Table:
    """Rows that are gone get the mark, which is a change of the row; those that were marked before keep theirs."""
    for name in {DELETED_AT, SYNCED_AT} & set(rows.column_names):
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), pc.if_else(gone, moment, rows.column(at)))
    return rows
