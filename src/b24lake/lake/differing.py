"""Which rows of a full read differ from those the table holds: columns one after another, so memory stays modest.

A row that does not differ keeps its `_synced_at`, and a read in which nothing differs writes no version. Both would
cost too much on large tables: those are replaced without a look at the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from b24lake.lake.columns import SYNCED_AT, UTC_MICROS, conform
from b24lake.lake.keys import Difference
from b24lake.lake.staging import Staged, read_column

COMPARED_ROWS = 100_000
"""Tables and reads of up to this many rows are compared; of one column, all these rows are in memory twice."""
COMPARED_BYTES = 256 * 1024 * 1024
"""... and reads whose parts are not larger than this on disk."""
PIECE_ROWS = 5_000
"""Lists, structs and maps are compared as Python values, this many rows at once."""


@dataclass(frozen=True)
class Changes:
    """A full read against the rows before; what runs along the rows runs along those of the read, in their order.

    updated     rows that were there, not marked as deleted, and differ in any column but `_synced_at`
    unchanged   which rows differ in nothing
    synced_at   what `_synced_at` of every row is to be; None where table or read do not have that column
    """

    updated: int
    unchanged: pa.ChunkedArray
    synced_at: pa.ChunkedArray | None

    @property
    def carrying(self) -> bool:
        """Tell whether a row keeps an older time than that of this read."""
        return self.synced_at is not None and bool(pc.any(self.unchanged).as_py())


def small(old_rows: int, staged: Staged) -> bool:
    """Tell whether table and read are small enough to be compared."""
    size = sum(part.size for part in staged.parts)
    return max(old_rows, staged.rows) <= COMPARED_ROWS and size <= COMPARED_BYTES


def changes(
    files: list[Path], old: pa.Schema, parts: list[Path], staged: Staged, schema: pa.Schema, difference: Difference
) -> Changes:
    """Compare the staged rows, which are in `parts`, with those in `files`; both are read once for each column.

    schema   what the table's columns will be

    A column that one side does not have is null there, and an old value counts as what it is in its new type: one that
    is nothing in it differs.
    """
    rows = _Pairs(files, old, parts, staged, difference)
    differs = pc.is_null(rows.places)
    known = pc.invert(differs)
    kept = {name.casefold() for name in schema.names}
    for field in (*schema, *(each for each in old if each.name.casefold() not in kept)):
        if field.name not in {SYNCED_AT, staged.key}:
            differs = pc.or_(differs, rows.differs(field))
    unchanged = pc.invert(differs)
    live = pc.fill_null(_taken(difference.live, rows.places), False)
    updated = pc.and_(pc.and_(known, live), differs)
    return Changes(int(pc.sum(updated).as_py() or 0), unchanged, rows.synced_at(unchanged))


class _Pairs:
    """Old and new rows with the same key; `places` says for each new row which old one, null where there is none."""

    def __init__(
        self, files: list[Path], old: pa.Schema, parts: list[Path], staged: Staged, difference: Difference
    ) -> None:
        self.files, self.parts, self.staged = files, parts, staged
        self.old = {each.name.casefold(): each for each in old}
        before, after = difference.keys, staged.keys()
        if before.type != after.type:
            before, after = before.cast(pa.string()), after.cast(pa.string())
        self.places = pc.index_in(after, value_set=before)

    def differs(self, field: pa.Field) -> pa.ChunkedArray:
        """Per new row: does its value differ from that of its old row; one that does not fit its new type does."""
        before, lost = self._before(field)
        differs = different(before, self._after(field))
        return differs if lost is None else pc.or_(differs, lost)

    def synced_at(self, unchanged: pa.ChunkedArray) -> pa.ChunkedArray | None:
        """The old time where a row is unchanged and has one, else the new one."""
        if SYNCED_AT not in self.old or SYNCED_AT not in self.staged.schema.names:
            return None
        field = pa.field(SYNCED_AT, UTC_MICROS)
        (before, _), after = self._before(field), self._after(field)
        return pc.if_else(unchanged, pc.coalesce(before, after), after)

    def _before(self, field: pa.Field) -> tuple[pa.ChunkedArray, pa.ChunkedArray | None]:
        """Per new row: the old value in the column's new type, and was there one that has none in it."""
        held = self.old.get(field.name.casefold())
        if held is None:
            return _nulls(len(self.places), field.type), None
        chunks = [chunk for file in self.files for chunk in read_column(file, held.name, held.type).chunks]
        old = pa.chunked_array(chunks, held.type)
        if held.type == field.type:
            return _taken(old, self.places), None
        bare = pa.schema([pa.field(field.name, field.type)])
        column = conform(pa.table([old], names=[field.name]), bare).column(0)
        lost = pc.and_(pc.is_valid(old), pc.is_null(column))
        return _taken(column, self.places), pc.fill_null(_taken(lost, self.places), False)

    def _after(self, field: pa.Field) -> pa.ChunkedArray:
        if field.name not in self.staged.schema.names:
            return _nulls(len(self.places), field.type)
        parts = [read_column(each, field.name, field.type) for each in self.parts]
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks], field.type)


def different(before: pa.ChunkedArray, after: pa.ChunkedArray) -> pa.ChunkedArray:
    """Per row: are the values of these columns of one type distinct; null equals null, and NaN equals NaN."""
    if pa.types.is_nested(before.type):
        return _different_values(before, after)
    nulls = pc.xor(pc.is_null(before), pc.is_null(after))
    unequal = pc.fill_null(pc.not_equal(before, after), False)
    if pa.types.is_floating(before.type):
        neither = pc.fill_null(pc.and_(pc.is_nan(before), pc.is_nan(after)), False)
        unequal = pc.and_(unequal, pc.invert(neither))
    return pc.or_(nulls, unequal)


def _different_values(before: pa.ChunkedArray, after: pa.ChunkedArray) -> pa.ChunkedArray:
    pieces = []
    for start in range(0, len(before), PIECE_ROWS):
        old, new = before.slice(start, PIECE_ROWS), after.slice(start, PIECE_ROWS)
        if old.equals(new):
            pieces.append(pa.repeat(pa.scalar(False), len(old)))
            continue
        pairs = zip(_values(old), _values(new), strict=True)
        pieces.append(pa.array([one != other for one, other in pairs], pa.bool_()))
    return pa.chunked_array(pieces, pa.bool_())


def _values(column: pa.ChunkedArray) -> list[object]:
    """Python values; the order within a map means nothing."""
    return list(column.to_pylist(maps_as_pydicts="lossy"))


def _taken(column: pa.ChunkedArray, places: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.take(places) if len(column) else _nulls(len(places), column.type)


def _nulls(count: int, kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(count, kind)])
