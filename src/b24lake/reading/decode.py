"""Pages of JSON rows -> Arrow batches of one stream's schema, misfits kept beside the values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw

from b24lake.errors import StreamError
from b24lake.portal.replies import parsed
from b24lake.reading import cutting
from b24lake.reading.paging import Row
from b24lake.reading.translating import FLAGS, translated
from b24lake.reading.values import Misfits, Values, decode
from b24lake.streams.fields import Column, distinct, schema, undeclared
from b24lake.streams.translation import Translation

MISFITS = "_misfits"
MISFITS_TYPE = pa.map_(pa.string(), pa.string())
SCHEMA_TAIL = (pa.field(MISFITS, MISFITS_TYPE),)  # what a batch has behind the stream's own columns
_FEW = 20  # keys that only some rows have; with more of them rows are read key by key
_MANY = 200  # rows of JSON that are cut into columns; fewer are parsed sooner


class Decoder:
    """Decodes the rows of one stream. Its columns grow when a row brings a key that nobody declared.

    key           primary key: a row without a readable one is an error of the stream, never a null
    zone          the server's, for times without an offset
    held          columns that the table has, each with the code of its field: a key that has one keeps it
    translation   of the rows' keys; None = they are the columns' own
    fixed         keys that nobody declared are left out, so that the columns stay as they are
    """

    def __init__(
        self,
        columns: Sequence[Column],
        key: str,
        zone: tzinfo,
        held: Mapping[str, str] | None = None,
        translation: Translation | None = None,
        *,
        fixed: bool = False,
    ) -> None:
        self.columns, self.key, self.zone, self.held = tuple(columns), key, zone, dict(held or {})
        self.translation, self.fixed = translation, fixed
        self.misfits = 0

    def batch(self, rows: Sequence[Row]) -> pa.RecordBatch:
        """Rows -> one batch: as many rows in the same order, the columns, and `_misfits`. The rows are used up."""
        parts = _columns_of(rows)
        if self.translation:
            self._check(parts, self.translation)
            parts = translated(parts, self.translation)
        if not self.fixed:
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
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([*schema(self.columns), *SCHEMA_TAIL]))

    def _grow(self, parts: Iterable[str]) -> None:
        known = {column.source for column in self.columns}
        new = [undeclared(source, self.translation) for source in parts if source not in known]
        if new:
            used = {column.name: column.code or column.name for column in self.columns}
            self.columns += distinct(new, self.held | used)

    def _check(self, parts: Mapping[str, Values], translation: Translation) -> None:
        """Raises StreamError where rows say that they have phones or e-mails, but no row brings any."""
        if not translation.apart or translation.apart in parts:
            return
        flags = [column for column in self.columns if column.source in FLAGS and column.source in parts]
        if any(pc.any(decode(parts[flag.source], flag, self.zone)[0]).as_py() for flag in flags):
            raise StreamError(
                f"The portal sends no phones and e-mails ({translation.apart}), but says that there are some",
                why="its version of the universal methods does not give them",
                fix="read the stream with --reader classic",
            )

    def _misfits(self, unfit: dict[str, Misfits], count: int) -> pa.Array:
        if not unfit:
            return pa.nulls(count, MISFITS_TYPE)
        rows: dict[int, list[tuple[str, str]]] = defaultdict(list)
        for name, misfits in unfit.items():
            for place, text in misfits.items():
                rows[place].append((name, text))
        self.misfits += sum(map(len, unfit.values()))
        return pa.array([rows.get(place) for place in range(count)], MISFITS_TYPE)

    def _keyless(self, values: Values, array: pa.Array) -> StreamError:
        place = array.is_null().to_pylist().index(True)
        return StreamError(
            f"A row has no readable {self.key}: {values[place]!r}",
            why="the portal sent a key that is empty or of another type than declared",
            fix="report it: rows without a key cannot be merged",
        )


def _columns_of(rows: Sequence[Row]) -> Mapping[str, Values]:
    """Rows turned by 90 degrees: values by key."""
    unread = [row for row in rows if isinstance(row, Raw)]
    if len(unread) == len(rows) >= _MANY:
        return cutting.cut(unread)
    return _turned([parsed(row) for row in rows])


def _turned(rows: Sequence[dict[str, Any]]) -> dict[str, Sequence[Any]]:
    """Rows that have the same keys in the same order turn very quickly. Keys come as they appear first."""
    shapes = dict.fromkeys(map(tuple, rows))
    names = tuple(dict.fromkeys(chain.from_iterable(shapes)))
    optional = set(names).difference(set(names).intersection(*shapes))
    usual = {tuple(name for name in shape if name not in optional) for shape in shapes}
    if len(usual) != 1 or len(optional) > _FEW:
        return {name: [row.get(name) for row in rows] for name in names}
    for name in optional:  # keys that only some rows have move to the end of all of them
        for row in rows:
            row[name] = row.pop(name, None)
    columns = dict(zip((*usual.pop(), *optional), zip(*[row.values() for row in rows], strict=True), strict=True))
    return {name: columns[name] for name in names}
