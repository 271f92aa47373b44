"""Pages of JSON rows -> Arrow batches of one stream's schema, misfits kept beside the values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import tzinfo
from itertools import chain
from typing import Any

import pyarrow as pa

from b24lake.errors import StreamError
from b24lake.reading.values import Misfits, decode
from b24lake.streams.fields import Column, distinct, undeclared

Row = dict[str, Any]
MISFITS = "_misfits"
MISFITS_TYPE = pa.map_(pa.string(), pa.string())
SCHEMA_TAIL = (pa.field(MISFITS, MISFITS_TYPE),)  # what a batch has behind the stream's own columns
_MANY_SHAPES = 8  # more different sets of keys than this in one batch, and rows are read key by key


class Decoder:
    """Decodes the rows of one stream. Its columns grow when a row brings a key that nobody declared.

    key    primary key: a row without a readable one is an error of the stream, never a null
    zone   the server's, for times without an offset
    """

    def __init__(self, columns: Sequence[Column], key: str, zone: tzinfo) -> None:
        self.columns, self.key, self.zone = tuple(columns), key, zone
        self.misfits = 0

    def batch(self, rows: Sequence[Row]) -> pa.RecordBatch:
        """Rows -> one batch: as many rows (grouped by the keys they have), the columns, and `_misfits`."""
        parts, rows = _columns_of(rows)
        self._grow(parts)
        nothing = [None] * len(rows)
        arrays, unfit = [], {}
        for column in self.columns:
            array, misfits = decode(parts.get(column.source, nothing), column, self.zone)
            arrays.append(array)
            if misfits:
                unfit[column.name] = misfits
            if column.source == self.key and array.null_count:
                raise self._keyless(parts.get(column.source, nothing), array)
        arrays.append(self._misfits(unfit, len(rows)))
        return pa.RecordBatch.from_arrays(arrays, names=[*(c.name for c in self.columns), MISFITS])

    def _grow(self, parts: Iterable[str]) -> None:
        known = {column.source for column in self.columns}
        new = [undeclared(source) for source in parts if source not in known]
        if new:
            self.columns += distinct(new, taken=[column.name for column in self.columns])

    def _misfits(self, unfit: dict[str, Misfits], count: int) -> pa.Array:
        if not unfit:
            return pa.nulls(count, MISFITS_TYPE)
        rows: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for name, misfits in unfit.items():
            for place, text in misfits.items():
                rows[place].append((name, text))
        self.misfits += sum(map(len, unfit.values()))
        return pa.array([rows.get(place) for place in range(count)], MISFITS_TYPE)

    def _keyless(self, values: Sequence[Any], array: pa.Array) -> StreamError:
        place = array.is_null().to_pylist().index(True)
        return StreamError(
            f"A row has no readable {self.key}: {values[place]!r}",
            why="the portal sent a key that is empty or of another type than declared",
            fix="report it: rows without a key cannot be merged",
        )


def _columns_of(rows: Sequence[Row]) -> tuple[dict[str, Sequence[Any]], Sequence[Row]]:
    """Rows turned by 90 degrees: values by key. Rows of the same keys are turned together, which is much quicker."""
    shapes: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        shapes[tuple(row)].append(row)
    if len(shapes) == 1:
        keys = next(iter(shapes))
        return dict(zip(keys, zip(*[row.values() for row in rows], strict=True), strict=True)), rows
    names = dict.fromkeys(chain.from_iterable(shapes))
    if len(shapes) > _MANY_SHAPES:
        return {name: [row.get(name) for row in rows] for name in names}, rows
    return _join(shapes, names), list(chain.from_iterable(shapes.values()))


def _join(shapes: dict[tuple[str, ...], list[Row]], names: Iterable[str]) -> dict[str, Sequence[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for keys, rows in shapes.items():
        turned = dict(zip(keys, zip(*[row.values() for row in rows], strict=True), strict=True))
        nothing = [None] * len(rows)
        for name, values in columns.items():
            values.extend(turned.get(name, nothing))
    return columns  # type: ignore[return-value]
