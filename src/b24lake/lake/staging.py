"""Rows of one read on disk before they are a version of their table.

    LAKE/LAYER/TABLE/
        part-RUN-00000.parquet      a full read: written where the file will stay, so that a commit moves nothing
        _staging/RUN/parts.jsonl    one line per finished part, appended and synced when the part is on disk
        _staging/RUN/00000.parquet  an incremental read: only the source of a merge
        _staging/RUN/read.json      what the read is about, so that another run can tell whether it may go on with it
        _staging/RUN/00012.held     rows that are in no part yet (`held`)

A part that has no line does not exist. A run that dies leaves its folder behind: another one goes on with it
(`unfinished`), or `sweep` removes what no version needs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from b24lake.errors import StreamError
from b24lake.lake.columns import SYSTEM_COLUMNS, UNDECLARED, conform, stored, with_notes
from b24lake.lake.files import known_files, storage_errors, synced
from b24lake.lake.held import FEWEST, Held, held, hold, release

STAGING = "_staging"
MANIFEST = "parts.jsonl"
READ = "read.json"
PART_BYTES = 16 * 1024 * 1024
"""A part is closed when its file has grown to this; a row group may carry it a little beyond."""
GROUP_ROWS = 20_000
GROUP_BYTES = 32 * 1024 * 1024
"""Rows are held back until there are this many, or this many bytes of Arrow: then they become a row group."""

_RUN = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True)
class Part:
    """One finished Parquet file.

    path       relative to the table's folder
    rows, size number of rows; bytes
    columns    fingerprint of its schema
    stats      as the Delta protocol wants them: numRecords, minValues, maxValues, nullCount (of a few columns)
    closed     stretches of ids `(after, upto)` of which, with this part, every row is on disk
    at         when it was finished, ISO 8601
    held       number of the last batch in it, of those that were held on disk meanwhile
    """

    path: str
    rows: int
    size: int
    columns: str
    stats: Mapping[str, Any]
    closed: tuple[tuple[int, int], ...]
    at: str
    held: int = 0


@dataclass(frozen=True)
class Staged:
    """A finished read: its parts and the columns of all of them together; `measured` are those with statistics."""

    path: Path
    run_id: str
    key: str
    measured: tuple[str, ...]
    schema: pa.Schema
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.parts)

    def tables(self) -> Iterator[pa.Table]:
        """The rows row group by row group, each with all columns of `schema`."""
        for part in self.parts:
            with pq.ParquetFile(self.path / part.path) as file:
                for number in range(file.num_row_groups):
                    yield conform(file.read_row_group(number), self.schema)

    def keys(self) -> pa.ChunkedArray:
        """The key of every row, in the order of the rows."""
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
        path: Path,
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
        self._held: list[pa.Table] = []
        self._held_rows = self._held_bytes = 0
        self._closed: list[tuple[int, int]] = []
        self._open: _OpenPart | None = None
        self._seen = schema
        self._holding, self._batches = facts is not None, 0
        with storage_errors(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / MANIFEST).touch()
            if facts is not None and not (self.folder / READ).exists():
                _describe(self.folder, facts, schema)

    def go_on(self, parts: Sequence[Part], batches: Iterable[Held]) -> None:
        """Take over what a run of the same id left: its finished parts, and the batches that are in none of them."""
        with storage_errors(self.path):
            for part in parts:
                self._grow(pq.read_schema(self.path / part.path))
            _rewrite(self.folder / MANIFEST, parts)
            self._parts = list(parts)
            self._batches = parts[-1].held if parts else 0
            for batch in batches:
                rows = batch.read()
                self._grow(rows.schema)
                self._batches = batch.number
                self._take(rows, batch.closed)

    def add(self, batch: pa.RecordBatch | pa.Table, closed: Sequence[tuple[int, int]] = ()) -> None:
        """Take rows; `closed` are the stretches of ids that are complete with them (and with what came before).

        New columns begin a new part. Raises StreamError where a known column comes with another type.
        """
        rows = pa.table(batch) if isinstance(batch, pa.RecordBatch) else batch
        with storage_errors(self.path):
            self._grow(rows.schema)
            if self._holding and closed and rows.num_rows >= FEWEST:
                self._batches += 1
                hold(self.folder, self._batches, rows, closed)
            self._take(rows, closed)

    def _take(self, rows: pa.Table, closed: Sequence[tuple[int, int]]) -> None:
        if rows.num_rows:
            self._held.append(conform(rows, self.schema))
            self._held_rows += rows.num_rows
            self._held_bytes += rows.nbytes
        self._closed += closed
        if self._held_rows >= GROUP_ROWS or self._held_bytes >= GROUP_BYTES:
            self._flush()

    def close(self) -> Staged:
        """Finish the last part and say what there is."""
        with storage_errors(self.path):
            self._finish()
        return Staged(self.path, self.run_id, self.key, self.measured, self.schema, tuple(self._parts))

    def leave(self) -> bool:
        """Write no more; what is on disk stays, for another run to go on with. False: nobody could."""
        self._drop()
        told = [part.closed for part in self._parts if part.closed]
        return self._holding and bool(told or next(held(self.folder), None))

    def discard(self) -> None:
        """Remove everything this run wrote, finished or not."""
        with storage_errors(self.path):
            self._drop()
            _remove(self.path, self.run_id, known_files(self.path))

    def _drop(self) -> None:
        """Close the open part without a line for it: it does not exist."""
        self._held.clear()
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
        name = f"{self._prefix}{len(self._parts):05d}.parquet"
        sink = pa.OSFile(str(self.path / name), "wb")
        writer = pq.ParquetWriter(sink, self.schema, compression="zstd", compression_level=1)
        ranges = {column: _Range() for column in self.measured if column in self.schema.names}
        return _OpenPart(name, self.schema, sink, writer, ranges=ranges)

    def _finish(self) -> None:
        """Close the open part and note it in the manifest; rows on disk first, then the line that vouches for them."""
        self._flush()
        part, self._open = self._open, None
        if part is None:
            return
        part.writer.close()
        part.sink.close()
        file = self.path / part.name
        synced(file)
        finished = Part(
            path=part.name,
            rows=part.rows,
            size=file.stat().st_size,
            columns=columns_of(part.schema),
            stats=_statistics(part),
            closed=tuple(self._closed),
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            held=self._batches,
        )
        self._closed = []
        with (self.folder / MANIFEST).open("a", encoding="utf-8") as manifest:
            manifest.write(_line(finished))
            manifest.flush()
            os.fsync(manifest.fileno())
        self._parts.append(finished)
        release(self.folder, finished.held)


def _line(part: Part) -> str:
    return json.dumps(asdict(part)) + "\n"


def _rewrite(manifest: Path, parts: Iterable[Part]) -> None:
    """The manifest without what cannot be used: half a line at its end would spoil the next one."""
    _write(manifest, "".join(map(_line, parts)))


def _describe(folder: Path, facts: Mapping[str, str], schema: pa.Schema) -> None:
    told = {**facts, "columns": columns_of(schema), "began": datetime.now(UTC).isoformat()}
    _write(folder / READ, json.dumps(told))


def _write(file: Path, text: str) -> None:
    """Write a small file: it has all of the text or is as before."""
    draft = file.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    synced(draft)
    draft.replace(file)


def forget(path: Path, run_id: str) -> None:
    """Remove a run's manifest (and spooled parts) after its commit; parts of a full read belong to the table now."""
    shutil.rmtree(path / STAGING / run_id, ignore_errors=True)
    _remove_if_empty(path / STAGING)


def remove(path: Path, run_id: str) -> None:
    """Remove everything a run wrote, but for files that a version in the table's log knows."""
    _remove(path, run_id, known_files(path))


def sweep(path: Path, *, keep_run: str | None = None, older_than: datetime | None = None) -> tuple[str, ...]:
    """Remove what dead runs left in a table's folder and return their ids; call it while holding the table's lock.

    keep_run     a run that is alive; older_than: spare runs that wrote something at or after this moment

    Files that any version in the log knows stay, also when the run died between its commit and its tidying up.
    """
    with storage_errors(path):
        stale = [each.name for each in run_folders(path) if each.name != keep_run and _untouched(each, older_than)]
        known = known_files(path) if stale else frozenset()
        for run_id in stale:
            _remove(path, run_id, known)
        return tuple(stale)


def read_column(file: Path, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    """One column of a Parquet file; nulls where the file is older than the column."""
    with pq.ParquetFile(file) as parquet:
        if name in parquet.schema_arrow.names:
            return parquet.read(columns=[name]).column(name).cast(kind)
        return pa.chunked_array([pa.nulls(parquet.metadata.num_rows, kind)])


def _as_stored(schema: pa.Schema, key: str) -> pa.Schema:
    """The types as Delta stores them; all columns but the key may be null."""
    fields = [each.with_type(stored(each.type)) for each in schema]
    return pa.schema([each if each.name == key else each.with_nullable(True) for each in fields])


def _undeclared(field: pa.Field) -> pa.Field:
    """A column that only rows brought says so of itself: other reads may come without it."""
    return field if field.name in SYSTEM_COLUMNS else with_notes(field, **{UNDECLARED: "true"})


def run_folders(path: Path) -> list[Path]:
    """The folders of all reads that have left something, oldest run id first."""
    staging = path / STAGING
    return sorted(each for each in staging.iterdir() if each.is_dir()) if staging.is_dir() else []


def _untouched(folder: Path, older_than: datetime | None) -> bool:
    if older_than is None:
        return True
    files = [folder, *folder.iterdir(), *folder.parent.parent.glob(f"part-{folder.name}-*.parquet")]
    return max(each.stat().st_mtime for each in files) < older_than.timestamp()


def _remove(path: Path, run_id: str, known: frozenset[str]) -> None:
    """Remove a run's files, its manifest last: a second sweep finds what a first one could not finish."""
    mine = re.compile(rf"part-{re.escape(run_id)}-\d+\.parquet")
    for file in path.glob(f"part-{run_id}-*.parquet"):
        if mine.fullmatch(file.name) and file.name not in known:
            file.unlink(missing_ok=True)
    forget(path, run_id)
    if not (path / "_delta_log").exists():
        _remove_if_empty(path)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def sound_parts(path: Path, folder: Path) -> Iterator[Part]:
    """The finished parts of a read, up to the first one whose file is missing or cut short.

    Later ones do not count: a stretch that they close may have had rows in the lost one.
    """
    manifest = folder / MANIFEST
    lines = manifest.read_text(encoding="utf-8").splitlines() if manifest.exists() else []
    for line in lines:
        try:
            part = Part(**json.loads(line))
            sound = (path / part.path).stat().st_size == part.size
        except (ValueError, TypeError, OSError):  # the last line of a run that was killed may be half a line
            return
        if not sound:
            return
        yield Part(**{**asdict(part), "closed": tuple((after, upto) for after, upto in part.closed)})


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
