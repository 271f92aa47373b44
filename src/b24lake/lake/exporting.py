"""Rows as a file: CSV, JSON, NDJSON or Parquet, written batch by batch; the file is there as a whole or not at all."""

from __future__ import annotations

import errno
import gzip
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from b24lake.errors import StopError, UsageError
from b24lake.lake.files import synced
from b24lake.lake.texts import head_of_csv, lines_of_csv, lines_of_json

Format = Literal["csv", "json", "ndjson", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
}
_BOM = b"\xef\xbb\xbf"
_PIECE_ROWS = 2_000
"""Rows that become text at once."""
_GROUP_ROWS = 50_000
_GROUP_BYTES = 64 * 1024 * 1024
"""A row group of a Parquet file has no more than so many rows and bytes of Arrow (or a batch beyond)."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Form:
    """How rows are written.

    gzipped          the file is compressed as a whole; Parquet files compress their columns themselves
    bom              CSV begins with the mark by which Excel knows UTF-8
    escape_formulas  CSV: a `'` before texts that a spreadsheet would take for a formula
    """

    format: Format
    gzipped: bool = False
    bom: bool = False
    escape_formulas: bool = False


def form_of(file: str, *, wanted: str | None = None, bom: bool = False, escape_formulas: bool = False) -> Form:
    """The form that a file's ending asks for, or `wanted`. Raises UsageError where there is none.

    >>> form_of("deals.csv.gz")
    Form(format='csv', gzipped=True, bom=False, escape_formulas=False)
    """
    name = Path(file).name.lower()
    gzipped = name.endswith(".gz")
    known = _ENDINGS.get(Path(name.removesuffix(".gz")).suffix) if wanted is None else wanted
    if known not in FORMATS:
        raise UsageError(
            f"{file!r} does not say which format it is to have" if wanted is None else f"{wanted!r} is not a format",
            fix="end it with .csv, .json, .ndjson or .parquet, or name one with --format",
        )
    if known == "parquet" and gzipped:
        raise UsageError("A Parquet file is compressed already", fix="leave out .gz")
    if known != "csv" and (bom or escape_formulas):
        raise UsageError("--bom and --escape-formulas are for CSV", fix=f"leave them out with {known}")
    return Form(known, gzipped, bom, escape_formulas)


def write(
    sink: IO[bytes], form: Form, schema: pa.Schema, batches: Iterator[pa.RecordBatch], told: Callable[[int], None]
) -> int:
    """Write the rows and return how many there were; `told` hears of it with every batch.

    Raises UsageError where the format has no such type.
    """
    rows = 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in batches:
            rows += batch.num_rows
            yield batch
            told(rows)

    if form.format == "parquet":
        _write_parquet(sink, schema, counted())
        return rows
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=sink, mtime=0) if form.gzipped else _left_open(sink) as file:
        for piece in _texts(form, schema, counted()):
            file.write(piece)
    return rows


@contextmanager
def new_file(path: Path, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """A file to write to that gets its name when the block has ended well, and vanishes otherwise.

    Raises UsageError where there is one already (unless `overwrite`) or can be none, StopError where the disk is full.
    """
    check_target(path, overwrite=overwrite)
    with ExitStack() as stack:
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.name[:80]}.", suffix=".part", dir=path.parent)
            draft = Path(name)
            stack.callback(draft.unlink, missing_ok=True)
            with os.fdopen(handle, "wb") as file:
                yield file
            _share(draft, path)
            synced(draft)
            check_target(path, overwrite=overwrite)
            draft.replace(path)
        except OSError as error:
            raise cannot_write(path, error) from error


def check_target(path: Path, *, overwrite: bool) -> None:
    """Raises UsageError where a file of this name may not be made."""
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}", fix="make it, or name another one")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file", fix="name a file")
    if path.exists() and not overwrite:
        raise UsageError(f"The file {path} is there already", fix="name another one, or replace it with --overwrite")


def cannot_write(path: Path | str, error: OSError) -> StopError:
    """The same for people."""
    fix = "free some space" if error.errno in _FULL else "correct the permissions, or name another folder"
    return StopError(
        f"Cannot write {path}", why=error.strerror or str(error), fix=f"{fix}; there is no part of it left"
    )


def _share(draft: Path, path: Path) -> None:
    """The rights that a new file usually has, or those of the one that it replaces: a draft is for its owner only."""
    mask = os.umask(0)
    os.umask(mask)
    with suppress(OSError):
        draft.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~mask)


@contextmanager
def _left_open(sink: IO[bytes]) -> Iterator[IO[bytes]]:
    yield sink


def _texts(form: Form, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[Any]:
    """The file piece by piece."""
    pieces = (batch.slice(at, _PIECE_ROWS) for batch in batches for at in range(0, batch.num_rows, _PIECE_ROWS))
    if form.format == "csv":
        head = (_BOM if form.bom else b"") + head_of_csv(schema)
        yield from chain([head], (lines_of_csv(each, escape_formulas=form.escape_formulas) for each in pieces))
    elif form.format == "ndjson":
        yield from map(lines_of_json, pieces)
    else:
        first = next(pieces, None)
        yield b"["
        if first is not None:
            yield lines_of_json(first.slice(0, 1), before="\n", after="")
            rest = chain([first.slice(1)], pieces)
            yield from (lines_of_json(each, before=",\n", after="") for each in rest)
        yield b"\n]\n"


def _write_parquet(sink: IO[bytes], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    # Few readers know the type of columns without any value.
    fields = [each.with_type(pa.string()) if pa.types.is_null(each.type) else each for each in schema]
    stored = pa.schema(fields)
    try:
        with pq.ParquetWriter(sink, stored, compression="zstd") as writer:
            for group in _groups(batches):
                writer.write_table(pa.Table.from_batches(group, schema).cast(stored), row_group_size=_GROUP_ROWS)
    except pa.ArrowNotImplementedError as error:
        raise UsageError(
            "Parquet has no type for one of the columns", why=str(error), fix="cast it in SQL, for example to VARCHAR"
        ) from error


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield held
            held, rows, size = [], 0, 0
    if held:
        yield held
