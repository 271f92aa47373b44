"""Two versions of a table compared on the primary key: rows that are new, gone or changed.

Files that both versions have hold the same rows, so only the others are read. Of these the keys come first; then the
columns, a few at a time, and of a column that is too large for that, some rows at a time: what is in memory stays
below a bound, whatever the size of the table. Values are kept only of the rows that are to be listed.

A column that one version does not have is null there, and an earlier value counts as what it is in its later type.
`_synced_at` says when a row was written, not what it says: a row in which nothing else differs has not changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from b24lake.errors import UsageError
from b24lake.lake.columns import SYNCED_AT, conform, type_name
from b24lake.lake.differing import different
from b24lake.lake.evolution import Change
from b24lake.lake.files import storage_errors
from b24lake.lake.log import live_names, storage
from b24lake.lake.place import Place
from b24lake.lake.table import key_of, schema_of

BOUND = 32 * 1024 * 1024
"""Bytes of values of one version that are in memory at once."""
SAMPLE = 2_000
"""Rows that tell how large the values of a column are."""

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RowChange:
    """One row that is not the same in both versions; `values` of a changed row are those that differ.

    kind     added, removed or changed
    before, after   column -> value; of a new row there is no `before`, of a row that is gone no `after`
    """

    kind: str
    key: Any
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """What became of a table from one version to another.

    columns   column -> rows that are in both versions and differ in it
    schema    columns that came, went or have another type
    rows      the first of them, by their keys
    """

    key: str
    added: int
    removed: int
    changed: int
    columns: Mapping[str, int]
    schema: tuple[Change, ...]
    rows: tuple[RowChange, ...]

    @property
    def truncated(self) -> bool:
        """Whether there are more rows than are listed."""
        return len(self.rows) < self.added + self.removed + self.changed


def compare(
    path: Place,
    before: DeltaTable,
    after: DeltaTable,
    *,
    key: str | None = None,
    limit: int = 20,
    each_kind: bool = False,
    bound: int = BOUND,
    went_on: Callable[[float], object] = float,
) -> Comparison:
    """Compare two versions of one table; at most `limit` rows are listed, or, with `each_kind`, so many of each kind.

    key       the column that tells rows apart; the table knows its own
    bound     bytes of values that may be in memory at once, of each version
    went_on   is told now and then which share of the columns has been compared

    Raises UsageError where there is no such column, a key stands for several rows, or the files cannot be read alone.
    """
    with storage_errors(path):
        name = _key(path, before, after, key)
        _check_plain(path, before, after)
        old_names, new_names = live_names(before), live_names(after)
        old = _Side(before, sorted(old_names - new_names), name)
        new = _Side(after, sorted(new_names - old_names), name)
        for side in (old, new):
            _check_unique(path, name, side.keys)
        pairs, kinds = _matched(old, new)
        fields = _fields(old.schema, new.schema)
        asked = [each for each in fields if each.name not in {name, SYNCED_AT}]
        differs, columns = pairs.changed(asked, bound, went_on)
        kinds["changed"] = np.flatnonzero(differs)
        first = _first(_keys(old, new, pairs, kinds), limit, each_kind=each_kind)
        rows = _listed(pairs, {kind: kinds[kind][at] for kind, at in first.items()}, fields, name, bound)
        counts = {kind: len(at) for kind, at in kinds.items()}
        return Comparison(name, **counts, columns=columns, schema=schema_changes(old.schema, new.schema), rows=rows)


def schema_changes(before: pa.Schema, after: pa.Schema) -> tuple[Change, ...]:
    """Columns that came, went or have another type; names that differ only in case are one column."""
    old, new = ({each.name.casefold(): each for each in schema} for schema in (before, after))
    added = [Change("added", each.name, after=type_name(each.type)) for name, each in new.items() if name not in old]
    removed = [Change("removed", each.name, type_name(each.type)) for name, each in old.items() if name not in new]
    retyped = [
        Change("retyped", each.name, type_name(old[name].type), type_name(each.type))
        for name, each in new.items()
        if name in old and old[name].type != each.type
    ]
    return (*added, *removed, *retyped)


def _key(path: Place, before: DeltaTable, after: DeltaTable, wanted: str | None) -> str:
    name = wanted or key_of(after)
    if name is None or not all(name in schema_of(table).names for table in (before, after)):
        raise UsageError(
            f"Nobody knows what tells the rows of {path} apart" if name is None else f"There is no column {name!r}",
            why="two versions are compared on a key, and both must have its column",
            fix="name the key's column with --key",
        )
    return name


def is_plain(table: DeltaTable) -> bool:
    """Tell whether the rows of a table are simply those of its files, as in tables of b24lake."""
    return not table.metadata().partition_columns and table.protocol().min_reader_version == 1


def _check_plain(path: Place, *tables: DeltaTable) -> None:
    if not all(map(is_plain, tables)):
        raise UsageError(
            f"Versions of {path} cannot be compared",
            why="it is partitioned, or was written with features that tables of b24lake do not have",
            fix="compare them with SQL",
        )


def _check_unique(path: Place, name: str, keys: pa.ChunkedArray) -> None:
    if pc.count_distinct(keys, mode="all").as_py() < len(keys):
        raise UsageError(
            f"Rows of {path} cannot be told apart by {name!r}",
            why="several rows of one version have the same value there",
            fix="name another column with --key",
        )


class _Side:
    """The rows of one version that are in files of its own; a row is known by its position in them, in their order."""

    def __init__(self, table: DeltaTable, names: Sequence[str], key: str) -> None:
        self.where, self.schema = storage(table), schema_of(table)
        self.told = {name: self._metadata(name) for name in names}
        self.groups = [
            (name, number, told.row_group(number).num_rows)
            for name, told in self.told.items()
            for number in range(told.num_row_groups)
        ]
        self.keys = self.read([self.schema.field(key)]).column(0)

    @property
    def largest(self) -> int:
        """Rows that can only be read together."""
        return max((count for _, _, count in self.groups), default=0)

    def read(self, fields: Sequence[pa.Field], at: Positions | None = None) -> pa.Table:
        """These columns, of the rows at these rising positions; of all rows if None. Null where there is no column."""
        schema = pa.schema([pa.field(each.name, each.type) for each in fields])
        pieces, start = [schema.empty_table()], 0
        for name, number, count in self.groups:
            here = None if at is None else at[np.searchsorted(at, start) : np.searchsorted(at, start + count)] - start
            start += count
            if here is None or len(here) == count:
                pieces.append(self._group(name, number, schema))
            elif len(here):
                pieces.append(self._group(name, number, schema).take(pa.array(here)))
        return pa.concat_tables(pieces)

    def widths(self, fields: Sequence[pa.Field]) -> dict[str, float]:
        """Bytes of one value of each column, as some rows of the largest file have it."""
        if not self.told:
            return {}
        name = max(self.told, key=lambda each: self.told[each].num_rows)
        with self.where.open_input_file(name) as file:
            parquet = pq.ParquetFile(file, metadata=self.told[name])
            asked = asked_for(parquet, fields)
            rows = next(parquet.iter_batches(SAMPLE, columns=list(asked)), None)
            if rows is None or not rows.num_rows:
                return {}
            return {asked[each]: rows.column(each).nbytes / rows.num_rows for each in rows.schema.names}

    def _metadata(self, name: str) -> pq.FileMetaData:
        with self.where.open_input_file(name) as file:
            return pq.read_metadata(file)

    def _group(self, name: str, number: int, schema: pa.Schema) -> pa.Table:
        with self.where.open_input_file(name) as file:
            parquet = pq.ParquetFile(file, metadata=self.told[name])
            asked = asked_for(parquet, schema)
            rows = parquet.read_row_group(number, columns=list(asked))
        return shaped(rows, asked, schema, self.told[name].row_group(number).num_rows)


def asked_for(parquet: pq.ParquetFile, fields: Iterable[pa.Field]) -> dict[str, str]:
    """Column of the file -> its name in the table, of those of the table's columns that the file has."""
    there = {each.casefold(): each for each in parquet.schema_arrow.names}
    return {there[each.name.casefold()]: each.name for each in fields if each.name.casefold() in there}


def shaped(rows: pa.Table, asked: Mapping[str, str], schema: pa.Schema, count: int) -> pa.Table:
    """Rows of a file, `count` of them, as the table shows them: with its names and types, null where there is nothing.

    asked   as `asked_for`
    """
    held = {asked[each]: rows.select([each]).rename_columns([asked[each]]) for each in asked}
    # Each by itself: a value that does not fit its later type must not turn up among the misfits of its row.
    columns = [
        conform(held[each.name], pa.schema([each])).column(0) if each.name in held else pa.nulls(count, each.type)
        for each in schema
    ]
    return pa.table(columns, schema=schema)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The rows that both versions have: their positions here and there, those of the later one rising."""

    old: _Side
    new: _Side
    old_at: Positions
    new_at: Positions

    def read(self, fields: Sequence[pa.Field], some: slice | Positions) -> tuple[pa.Table, pa.Table]:
        """These columns of some of the pairs, before and after."""
        old_at = self.old_at[some]
        if np.all(old_at[1:] > old_at[:-1]):  # reads mostly bring rows in the same order
            return self.old.read(fields, old_at), self.new.read(fields, self.new_at[some])
        order = np.argsort(old_at, kind="stable")
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        before = self.old.read(fields, old_at[order]).take(pa.array(back))
        return before, self.new.read(fields, self.new_at[some])

    def changed(
        self, fields: Sequence[pa.Field], bound: int, went_on: Callable[[float], object]
    ) -> tuple[Mask, dict[str, int]]:
        """Which pairs differ in any of the columns, and in each column how many do, where any does."""
        differs, counts = np.zeros(len(self.new_at), bool), dict.fromkeys((each.name for each in fields), 0)
        if not len(differs):
            return differs, {}
        done = 0
        for bundle, step in self._bundles(fields, bound):
            for start in range(0, len(differs), step):
                went_on((done + len(bundle) * start / len(differs)) / len(fields))
                some = slice(start, start + step)
                before, after = self.read(bundle, some)
                for each in bundle:
                    found = different(before.column(each.name), after.column(each.name)).to_numpy()
                    differs[some] |= found
                    counts[each.name] += int(found.sum())
            done += len(bundle)
        return differs, {name: count for name, count in counts.items() if count}

    def _bundles(self, fields: Sequence[pa.Field], bound: int) -> list[tuple[list[pa.Field], int]]:
        rows = max(len(self.new_at), self.old.largest, self.new.largest)
        return bundles(fields, _wider(self.old.widths(fields), self.new.widths(fields)), rows, bound)


def _wider(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in [*one, *other]}


def bundles(
    fields: Sequence[pa.Field], widths: Mapping[str, float], rows: int, bound: int
) -> list[tuple[list[pa.Field], int]]:
    """Columns to be read together, and of how many rows at once, so that their values take at most `bound` bytes.

    widths   column -> bytes of one value; where none is known, nothing is there to be read
    """
    found: list[tuple[list[pa.Field], int]] = []
    room = 0.0
    for each in fields:
        size = widths.get(each.name, 0) * rows
        if size > bound:
            found.insert(0, ([each], max(1, int(rows * bound / size))))
        elif found and size <= room:
            found[-1][0].append(each)
            room -= size
        else:
            found.append(([each], max(1, rows)))
            room = bound - size
    return found


def _matched(old: _Side, new: _Side) -> tuple[_Pairs, dict[str, Positions]]:
    """The rows that both have, and the positions of those that one has alone."""
    before, after = _same_type(old.keys, new.keys)
    places = pc.index_in(after, value_set=before)
    both = np.flatnonzero(pc.is_valid(places).to_numpy())
    pairs = _Pairs(old, new, places.take(pa.array(both)).to_numpy().astype(np.int64), both)
    added = np.flatnonzero(pc.is_null(places).to_numpy())
    return pairs, {"added": added, "removed": np.flatnonzero(pc.invert(pc.is_in(before, value_set=after)).to_numpy())}


def _same_type(before: pa.ChunkedArray, after: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Keys that can be compared."""
    return (before, after) if before.type == after.type else (before.cast(pa.string()), after.cast(pa.string()))


def _keys(old: _Side, new: _Side, pairs: _Pairs, kinds: Mapping[str, Positions]) -> dict[str, pa.ChunkedArray]:
    """The keys of the rows of each kind."""
    before, after = _same_type(old.keys, new.keys)
    held = {"added": after, "removed": before, "changed": after.take(pa.array(pairs.new_at))}
    return {kind: held[kind].take(pa.array(at)) for kind, at in kinds.items()}


def _fields(old: pa.Schema, new: pa.Schema) -> list[pa.Field]:
    """The columns of both versions, with the later types."""
    there = {name.casefold() for name in new.names}
    return [*new, *(each for each in old if each.name.casefold() not in there)]


def _first(keys: Mapping[str, pa.ChunkedArray], limit: int, *, each_kind: bool) -> dict[str, Positions]:
    """Which of each kind are among the `limit` smallest keys of all, or of their kind."""
    if each_kind:
        return {kind: _first({kind: column}, limit, each_kind=False)[kind] for kind, column in keys.items()}
    chunks = [chunk for column in keys.values() for chunk in column.chunks]
    everything = pa.chunked_array(chunks, next(iter(keys.values())).type)
    smallest = pc.sort_indices(everything).to_numpy()[:limit].astype(np.int64)
    found, start = {}, 0
    for kind, column in keys.items():
        found[kind] = np.sort(smallest[(smallest >= start) & (smallest < start + len(column))]) - start
        start += len(column)
    return found


def _listed(
    pairs: _Pairs, chosen: Mapping[str, Positions], fields: Sequence[pa.Field], key: str, bound: int
) -> tuple[RowChange, ...]:
    """The chosen rows with their values, by their keys."""
    rows = max(pairs.old.largest, pairs.new.largest)
    widths = _wider(pairs.old.widths(fields), pairs.new.widths(fields))
    before: dict[str, list[dict[str, Any]]] = {kind: [{} for _ in at] for kind, at in chosen.items()}
    after: dict[str, list[dict[str, Any]]] = {kind: [{} for _ in at] for kind, at in chosen.items()}
    for bundle, _ in bundles(fields, widths, rows, bound):
        _fill(after["added"], pairs.new.read(bundle, chosen["added"]))
        _fill(before["removed"], pairs.old.read(bundle, chosen["removed"]))
        for told, read in zip((before, after), pairs.read(bundle, chosen["changed"]), strict=True):
            _fill(told["changed"], read)
    found = [_row(kind, *values, key) for kind in chosen for values in zip(before[kind], after[kind], strict=True)]
    return tuple(sorted(found, key=lambda each: (each.key is None, each.key)))


def _fill(told: list[dict[str, Any]], rows: pa.Table) -> None:
    for one, row in zip(told, rows.to_pylist(maps_as_pydicts="lossy"), strict=True):
        one.update(row)


def _row(kind: str, before: dict[str, Any], after: dict[str, Any], key: str) -> RowChange:
    """Nulls of a row that is new or gone say nothing; of a changed row only what differs does."""
    if kind == "changed":
        names = [name for name in after if name not in {key, SYNCED_AT} and not _same(before[name], after[name])]
        told = [{name: row[name] for name in names} for row in (before, after)]
        return RowChange(kind, after[key], *told)
    there = [{name: value for name, value in row.items() if value is not None} for row in (before, after)]
    return RowChange(kind, (after if kind == "added" else before)[key], *there)


def _same(before: Any, after: Any) -> bool:
    """Tell whether two values are equal, as `different` does: NaN equals NaN."""
    return bool(before == after or (before != before and after != after))
