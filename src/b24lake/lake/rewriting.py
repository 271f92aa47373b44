"""Copy on write: files of a table in which a row changes or goes are written anew, the others stay as they are.

A file is read some thousand rows at a time: once to compare the rows that came with those that are there, and if
anything differs, once more to write it. So memory depends on the rows that came, not on the table. (The engine's own
merge keeps a file's rows until it knows whether one of them changes: with keys all over a table of two million rows
that took 5 GB, though nothing differed.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from b24lake.errors import StreamError
from b24lake.lake.columns import DELETED_AT, SYNCED_AT, UTC_MICROS, conform
from b24lake.lake.differing import different
from b24lake.lake.files import at_hand, parquet
from b24lake.lake.keys import Policy
from b24lake.lake.place import Place
from b24lake.lake.staging import GROUP_ROWS, Staging, read_column


@dataclass(frozen=True, eq=False)
class Incoming:
    """What is to happen to a table.

    rows    new and changed rows, with all columns of the table and each key once
    going   keys of rows that go, none of them among the rows
    policy  "mark": rows that go stay, marked with the time `at`
    """

    rows: pa.Table
    key: str
    going: pa.Array
    policy: Policy
    at: datetime

    @cached_property
    def keys(self) -> pa.Array:
        """The keys of the rows, in their order."""
        return self.rows.column(self.key).combine_chunks()

    @cached_property
    def touched(self) -> pa.Array:
        """The keys of all rows that change or go."""
        return pa.concat_arrays([self.keys, self.going])


@dataclass(frozen=True)
class File:
    """A data file by its path in the log, and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True)
class Outcome:
    """Rows that came in, changed and went; `stale` files have been written anew."""

    inserted: int
    updated: int
    deleted: int
    stale: tuple[File, ...]


def rewrite(path: Place, table: DeltaTable, incoming: Incoming, staging: Staging) -> Outcome:
    """Write with `staging` what takes the place of the stale files, and the rows whose keys are new.

    path   the table's folder

    Nothing is committed here. Raises StreamError where the files alone do not say what the rows are.
    """
    _check_plain(path, table)
    found: list[pa.Array] = []
    stale: list[File] = []
    updated = deleted = 0
    for file in _candidates(table, incoming):
        keys = read_column(path / file.path, incoming.key, incoming.keys.type)
        places = pc.index_in(keys, value_set=incoming.keys).drop_null()
        found += places.chunks
        goes = pc.any(pc.is_in(keys, value_set=incoming.going)).as_py()
        if not goes and not len(places):
            continue
        with at_hand([path / file.path]) as (copy,):
            if goes or _differs(copy, incoming):
                stale.append(file)
                for rows in _batches(copy, incoming.rows.schema):
                    change = _Change.of(rows, incoming)
                    updated, deleted = updated + change.new.num_rows, deleted + change.gone.num_rows
                    for each in change.result(incoming):
                        staging.add(each)
    known = pa.chunked_array(found, pa.int32())
    new = pc.invert(pc.is_in(pa.array(range(len(incoming.keys)), pa.int32()), value_set=known))
    staging.add(incoming.rows.filter(new))
    return Outcome(len(incoming.keys) - len(pc.unique(known)), updated, deleted, tuple(stale))


def _check_plain(path: Place, table: DeltaTable) -> None:
    """Other programs can make a table one whose files hold more rows, or other names, than the table has."""
    metadata = table.metadata()
    oddities = {
        "it is partitioned": metadata.partition_columns,
        "its columns have other names in its files": metadata.configuration.get("delta.columnMapping.mode", "none")
        != "none",
        "some rows of its files are deleted": pa.table(table.deletion_vectors().read_all()).num_rows,
    }
    found = [oddity for oddity, there in oddities.items() if there]
    if found:
        raise StreamError(
            f"The Delta table {path} was changed by another program",
            why=found[0],
            fix="move its folder away and read the stream in full",
        )


def _candidates(table: DeltaTable, incoming: Incoming) -> list[File]:
    """Files that may hold one of the keys, as far as their statistics tell; those with small keys first."""
    added = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    least, greatest = f"min.{incoming.key}", f"max.{incoming.key}"
    added.sort(key=lambda each: (str(type(each.get(least))), each.get(least) or 0, each["path"]))
    return [
        File(each["path"], each["size_bytes"])
        for each in added
        if _between(incoming.touched, each.get(least), each.get(greatest))
    ]


def _between(keys: pa.Array, least: object, greatest: object) -> bool:
    """Tell whether a key lies in a stretch. Only whole numbers are held against it: long texts may be cut off."""
    if not (pa.types.is_integer(keys.type) and isinstance(least, int) and isinstance(greatest, int)):
        return True
    inside = pc.and_(pc.greater_equal(keys, least), pc.less_equal(keys, greatest))
    return bool(pc.any(inside).as_py())


def _batches(file: Place, schema: pa.Schema) -> Iterator[pa.Table]:
    with parquet(file) as opened:
        for batch in opened.iter_batches(GROUP_ROWS):
            yield conform(pa.table(batch), schema)


def _differs(file: Place, incoming: Incoming) -> bool:
    return any(_Change.of(rows, incoming).new.num_rows for rows in _batches(file, incoming.rows.schema))


@dataclass(frozen=True, eq=False)
class _Change:
    """Some rows of a file: which of them change, what takes their place, and which of them go."""

    rows: pa.Table
    changes: pa.Array
    new: pa.Table
    goes: pa.Array

    @classmethod
    def of(cls, rows: pa.Table, incoming: Incoming) -> _Change:
        keys = rows.column(incoming.key).combine_chunks()
        places = pc.index_in(keys, value_set=incoming.keys)
        known = pc.is_valid(places)
        came = incoming.rows.take(places.drop_null())
        differs = _different_rows(rows.filter(known), came, incoming.key)
        changes = pc.replace_with_mask(known, known, differs)
        return cls(rows, changes, came.filter(differs), pc.is_in(keys, value_set=incoming.going))

    @cached_property
    def gone(self) -> pa.Table:
        """The rows that go."""
        return self.rows.filter(self.goes)

    def result(self, incoming: Incoming) -> Iterator[pa.Table]:
        """What the file holds from now on."""
        moved = pc.or_(self.changes, self.goes)
        yield self.rows.filter(pc.invert(moved)) if pc.any(moved).as_py() else self.rows
        yield self.new
        if incoming.policy == "mark":
            yield _marked(self.gone, incoming.at)


def _different_rows(old: pa.Table, new: pa.Table, key: str) -> pa.Array:
    """Per row: does any column but `_synced_at` differ."""
    differs = pa.repeat(pa.scalar(False), old.num_rows)
    for name in old.column_names:
        if name not in {key, SYNCED_AT}:
            differs = pc.or_(differs, different(old.column(name), new.column(name)))
    return differs.combine_chunks() if isinstance(differs, pa.ChunkedArray) else differs


def _marked(rows: pa.Table, moment: datetime) -> pa.Table:
    times = pa.repeat(pa.scalar(moment, UTC_MICROS), rows.num_rows)
    for name in {DELETED_AT, SYNCED_AT} & set(rows.column_names):
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), times)
    return rows
