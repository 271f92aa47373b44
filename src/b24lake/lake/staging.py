"""Rows of one read on disk before they are a version of their table.

    LAKE/LAYER/TABLE/
        part-RUN-00000.parquet      a full read: written where the file will stay, so that a commit moves nothing
        _staging/RUN/parts.jsonl    one line per finished part, appended and synced when the part is on disk
        _staging/RUN/00000.parquet  an incremental read: only the source of a merge
        _staging/RUN/read.json      what the read is about, so that another run can tell whether it may go on with it
        _staging/RUN/00012.held     rows that are in no part yet (`held`)

A part that has no line does not exist. A run that dies leaves its folder behind: another one goes on with it
(`unfinished`), or `sweeping` removes what no version needs. Who goes on writes under a name of its own and changes
nothing of what it takes over, so that two who believe each other dead cannot spoil each other's files. Who commits
looks whether all of its parts are there, and no version has them yet (`commits.add_actions`).

In an object store the same objects are written, each as a whole: the manifest is replaced, not appended to.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from b24lake.errors import StreamError
from b24lake.lake.columns import SYSTEM_COLUMNS, UNDECLARED, conform, stored, with_notes
from b24lake.lake.files import parquet, sink, storage_errors, synced, write_text
from b24lake.lake.held import Held, fewest, held, hold, release
from b24lake.lake.parts import MANIFEST, READ, STAGING, Part, owners, vouch, vouch_for
from b24lake.lake.place import Place
from b24lake.lake.sweeping import remove

PART_BYTES = 16 * 1024 * 1024
"""A part is closed when its file has grown to this; a row group may carry it a little beyond."""
TOOK = "took"
"""Fact of a read that went on with others: their ids."""
GROUP_ROWS = 20_000
GROUP_BYTES = 32 * 1024 * 1024
"""Rows are held back until there are this many, or this many bytes of Arrow: then they become a row group."""

_RUN = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True)
class Staged:
    """A finished read: its parts and the columns of all of them together.

    measured   columns with statistics; took: ids of the runs whose reads this one went on with
    """

    path: Place
    run_id: str
    key: str
    measured: tuple[str, ...]
    schema: pa.Schema
    parts: tuple[Part, ...]
    took: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.parts)

    def tables(self) -> Iterator[pa.Table]:
        """The rows row group by row group, each with all columns of `schema`."""
        for part in self.parts:
            with parquet(self.path / part.path) as file:
                for number in range(file.num_row_groups):
                    yield conform(file.read_row_group(number), self.schema)

    def keys(self) -> pa.ChunkedArray:
        """The key of every row, in the order of the rows."""
        return self._keys

    @cached_property
    def _keys(self) -> pa.ChunkedArray:
        kind = self.schema.field(self.key).type
        chunks = [read_column(self.path / part.path, self.key, kind) for part in self.parts]
        return pa.chunked_array([chunk for column in chunks for chunk in column.chunks], kind)


@dataclass
class _Range:
    """Least and greatest value and number of nulls of one column, as Delta statistics write them."""

    least: Any = None
    greatest: Any = None
    nulls: int = 0

    def widen(self, column: pa.ChunkedArray) -> None:
        self.nulls += column.null_count
        found = pc.min_max(column) if _has_order(column.type) else None
        if found is None or not found["min"].is_valid:
            return
        least, greatest = found["min"].as_py(), found["max"].as_py()
        self.least = least if self.least is None else min(self.least, least)
        self.greatest = greatest if self.greatest is None else max(self.greatest, greatest)


@dataclass
class _OpenPart:
    """The part being written."""

    name: str
    schema: pa.Schema
    sink: Any
    writer: Any
    rows: int = 0
    ranges: dict[str, _Range] = field(default_factory=dict)


class Staging:
    """Takes batches of one read and writes them as parts; holds at most one row group of rows in memory.

    path     the table's folder, made if missing; whose table it is has been asked before (`table.inspect`)
    run_id   letters, digits, `_`, `-`
    key      the key column; `stats` names more columns to keep statistics of (the replication key)
    schema   the declared columns; batches may bring more, which are nullable and noted as undeclared
    spool    the parts are only the source of a merge
    facts    what the read is about; with them another run can go on with it if this one dies (`Staging.go_on`)
    """

    def __init__(
        self,
        path: Place,
        run_id: str,
        key: str,
        stats: Sequence[str] = (),
        *,
        schema: pa.Schema,
        spool: bool = False,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        if not _RUN.fullmatch(run_id):
            raise ValueError(f"not a run id: {run_id!r}")
        self.path, self.run_id, self.key, self.schema = path, run_id, key, _as_stored(schema, key)
        self.measured = tuple(dict.fromkeys([key, *stats]))
        self.folder = path / STAGING / run_id
        self._prefix = f"{STAGING}/{run_id}/" if spool else f"part-{run_id}-"
        self._parts: list[Part] = []
        self._took = facts.get(TOOK, "").split() if facts else []
        self._held: list[pa.Table] = []
        self._held_rows = self._held_bytes = 0
        self._closed: list[tuple[int, int]] = []
        self._open: _OpenPart | None = None
        self._seen = schema
        self._about = None if facts is None else _described(facts, schema)
        self._announced = self._over = False
        self._unheld: list[tuple[pa.Table, Sequence[tuple[int, int]]]] = []
        self._batches = 0
        if isinstance(self.folder, Path):
            with storage_errors(path):
                self.folder.mkdir(parents=True, exist_ok=True)
                (self.folder / MANIFEST).touch()

    def go_on(self, run_id: str, parts: Sequence[Part], batches: Iterable[Held]) -> None:
        """Take over what another run left: its finished parts, and the batches that are in none of them.

        The parts stay where they are; nobody else goes on with that run from now on.
        """
        self._took = sorted({run_id, *owners(parts), *self._took})
        self._about = {**(self._about or {}), TOOK: " ".join(self._took)}
        with storage_errors(self.path):
            for part in parts:
                with parquet(self.path / part.path) as file:
                    self._grow(file.schema_arrow)
            self._announce()
            vouch_for(self.folder, parts)
            self._parts = list(parts)
            self._batches = parts[-1].held if parts else 0
            for batch in batches:
                self._add(batch.read(), batch.closed)
            self._hold()
            (self.path / STAGING / run_id / READ).unlink(missing_ok=True)

    def add(self, batch: pa.RecordBatch | pa.Table, closed: Sequence[tuple[int, int]] = ()) -> None:
        """Take rows; `closed` are the stretches of ids that are complete with them (and with what came before).

        New columns begin a new part. Raises StreamError where a known column comes with another type.
        """
        rows = pa.table(batch) if isinstance(batch, pa.RecordBatch) else batch
        with storage_errors(self.path):
            self._add(rows, closed)

    def _add(self, rows: pa.Table, closed: Sequence[tuple[int, int]]) -> None:
        self._grow(rows.schema)
        if self._about is not None and closed:
            self._unheld.append((rows, closed))
            if sum(each.num_rows for each, _ in self._unheld) >= fewest(self.folder):
                self._hold()
        if rows.num_rows:
            self._held.append(conform(rows, self.schema))
            self._held_rows += rows.num_rows
            self._held_bytes += rows.nbytes
        self._closed += closed
        if self._held_rows >= GROUP_ROWS or self._held_bytes >= GROUP_BYTES:
            self._flush()

    def _hold(self) -> None:
        """Write down what came since the last batch was held; nothing where nothing came.

        Whoever is interrupted in the middle of it and does it again (`leave`) writes the same batch, not one more.
        """
        if self._unheld:
            self._announce()
            number = self._batches + 1
            rows = pa.concat_tables([rows for rows, _ in self._unheld], promote_options="default")
            hold(self.folder, number, rows, [one for _, closed in self._unheld for one in closed])
            self._unheld.clear()
            self._batches = number

    def _announce(self) -> None:
        """Before anything is written: say that there is this read, so that nothing of it is left lying about."""
        if not self._announced:
            if self._about is not None:
                write_text(self.folder / READ, json.dumps(self._about))
            elif not isinstance(self.folder, Path):
                vouch_for(self.folder, ())  # there are no empty folders
            self._announced = True

    def close(self) -> Staged:
        """Finish the last part and say what there is."""
        with storage_errors(self.path):
            self._finish(last=True)
        self._over = True
        return Staged(
            self.path, self.run_id, self.key, self.measured, self.schema, tuple(self._parts), tuple(self._took)
        )

    def leave(self) -> bool:
        """Write no more; what is on disk stays, for another run to go on with. False: nobody could."""
        with storage_errors(self.path):
            self._hold()
            self._drop()
            told = [part.closed for part in self._parts if part.closed]
            return self._about is not None and bool(told or next(held(self.folder), None))

    def discard(self) -> None:
        """Remove everything this run wrote, finished or not.

        In an object store a commit whose answer was lost may still come true: what it needs stays until a sweep.
        """
        with storage_errors(self.path):
            self._drop()
            if self._over and not isinstance(self.folder, Path):
                (self.folder / READ).unlink(missing_ok=True)
            else:
                remove(self.path, self.run_id, *(self._took if isinstance(self.folder, Path) else ()))

    def _drop(self) -> None:
        """Close the open part without a line for it: it does not exist."""
        self._held.clear()
        self._unheld.clear()
        part, self._open = self._open, None
        if part is not None:
            for file in (part.writer, part.sink):
                with suppress(OSError):  # a full disk, which is why the part is given up
                    file.close()

    def _grow(self, schema: pa.Schema) -> None:
        if schema.equals(self._seen):
            return
        self._seen, schema = schema, _as_stored(schema, self.key)
        for each in schema:
            if each.name in self.schema.names and self.schema.field(each.name).type != each.type:
                raise StreamError(
                    f"Column {each.name!r} changed its type within one read",
                    why=f"{self.schema.field(each.name).type} came as {each.type}",
                    fix="run the stream again: its columns are asked for anew",
                )
        added = [_undeclared(each) for each in schema if each.name not in self.schema.names]
        if added:
            self._finish()
            self.schema = pa.schema([*self.schema, *added])

    def _flush(self) -> None:
        """Write the held rows as row groups of at most GROUP_ROWS; close the part when its file is large enough."""
        if not self._held:
            return
        rows = pa.concat_tables(self._held)
        self._held.clear()
        self._held_rows = self._held_bytes = 0
        part = self._open = self._open or self._begin()
        part.writer.write_table(rows, row_group_size=GROUP_ROWS)
        part.rows += rows.num_rows
        for name, found in part.ranges.items():
            found.widen(rows.column(name))
        if part.sink.tell() >= PART_BYTES:
            self._finish()

    def _begin(self) -> _OpenPart:
        self._announce()
        name = f"{self._prefix}{len(self._parts):05d}.parquet"
        opened = sink(self.path / name)
        writer = pq.ParquetWriter(opened, self.schema, compression="zstd", compression_level=1)
        ranges = {column: _Range() for column in self.measured if column in self.schema.names}
        return _OpenPart(name, self.schema, opened, writer, ranges=ranges)

    def _finish(self, *, last: bool = False) -> None:
        """Close the open part and note it in the manifest; rows on disk first, then the line that vouches for them.

        The last one is about to be committed: in a store, three requests are too many for the moment in between, and
        what was held of its rows is still there.
        """
        self._flush()
        part, self._open = self._open, None
        if part is None:
            return
        part.writer.close()
        size = part.sink.tell()
        part.sink.close()
        file = self.path / part.name
        if isinstance(file, Path):
            synced(file)
        finished = Part(
            path=part.name,
            rows=part.rows,
            size=size,
            columns=columns_of(part.schema),
            stats=_statistics(part),
            closed=tuple(self._closed),
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            held=self._batches,
        )
        self._closed = []
        self._unheld.clear()
        self._parts.append(finished)
        if not last or isinstance(self.folder, Path):
            vouch(self.folder, self._parts)
            release(self.folder, finished.held)


def _described(facts: Mapping[str, str], schema: pa.Schema) -> dict[str, str]:
    """What a read is about; one that is gone on with began when its first rows came."""
    return {"began": datetime.now(UTC).isoformat(), **facts, "columns": columns_of(schema)}


def read_column(file: Place, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    """One column of a Parquet file; nulls where the file is older than the column."""
    with parquet(file) as opened:
        if name in opened.schema_arrow.names:
            return opened.read(columns=[name]).column(name).cast(kind)
        return pa.chunked_array([pa.nulls(opened.metadata.num_rows, kind)])


def _as_stored(schema: pa.Schema, key: str) -> pa.Schema:
    """The types as Delta stores them; all columns but the key may be null."""
    fields = [each.with_type(stored(each.type)) for each in schema]
    return pa.schema([each if each.name == key else each.with_nullable(True) for each in fields])


def _undeclared(field: pa.Field) -> pa.Field:
    """A column that only rows brought says so of itself: other reads may come without it."""
    return field if field.name in SYSTEM_COLUMNS else with_notes(field, **{UNDECLARED: "true"})


def columns_of(schema: pa.Schema) -> str:
    """Fingerprint of names and types: rows of reads with different ones do not go together."""
    described = "\n".join(f"{each.name}\t{each.type}\t{each.nullable}" for each in schema)
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _has_order(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_temporal(kind))


def _statistics(part: _OpenPart) -> dict[str, Any]:
    """Delta protocol, "Per-file statistics": without them a merge cannot tell which files hold its keys."""
    known = {name: found for name, found in part.ranges.items() if found.least is not None}
    return {
        "numRecords": part.rows,
        "minValues": {name: _plain(found.least) for name, found in known.items()},
        "maxValues": {name: _plain(found.greatest) for name, found in known.items()},
        "nullCount": {name: found.nulls for name, found in part.ranges.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value if isinstance(value, int | str) else str(value)
