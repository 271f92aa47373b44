"""A table's folder: is there a Delta table, its files, how they are read and written, and what storage errors mean."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from b24lake.errors import B24LakeError, StopError, StreamError
from b24lake.lake.faults import known, told
from b24lake.lake.place import Place, options_of

_LAKE_WIDE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
ONE_BY_ONE = "let only one run at a time write the table, and run the stream again"
_NUMBER = re.compile(r"\(os error (\d+)\)")
"""How delta-rs tells what the system said."""


def open_table(path: Place) -> DeltaTable | None:
    """The Delta table in this folder; None where there is none (or one whose first commit never happened).

    Raises StreamError where there is one that cannot be read.
    """
    with storage_errors(path):
        if isinstance(path, Path):
            return DeltaTable(str(path)) if path.is_dir() and DeltaTable.is_deltatable(str(path)) else None
        try:
            return DeltaTable(str(path), storage_options=options_of(path))
        except TableNotFoundError:
            return None


def reopened(path: Place, version: int | None = None) -> DeltaTable:
    """A version, else the newest one, of a table that is there. Raises StreamError where it is not there any more."""
    table = open_table(path)
    if table is None:
        raise StreamError(f"The Delta table {path} is gone", fix="see whether somebody has moved or removed its folder")
    if version is not None:
        with storage_errors(path):
            table.load_as_version(version)
    return table


def known_files(table: DeltaTable | None) -> frozenset[str]:
    """Names of all data files that any version in the log of an open table needs; none where there is no table."""
    if table is None:
        return frozenset()
    # A rehearsed vacuum with no retention names the files of earlier versions; it touches nothing.
    earlier = table.vacuum(retention_hours=0, dry_run=True, enforce_retention_duration=False)
    return frozenset(Path(uri).name for uri in [*table.file_uris(), *earlier])


def live_files(path: Place, table: DeltaTable) -> list[Place]:
    """The data files of the version that `table` holds, in a fixed order."""
    # Not `file_uris()`: its paths are percent-encoded where the lake's path has a space or a letter beyond ASCII.
    return [path / name for name in sorted(pa.table(table.get_add_actions()).column("path").to_pylist())]


def parquet(file: Place) -> pq.ParquetFile:
    """A Parquet file for reading; close it, or use it in a `with`."""
    # Of an object, neighbouring columns come with one request.
    return pq.ParquetFile(file) if isinstance(file, Path) else pq.ParquetFile(file.open(), pre_buffer=True)


def sink(file: Place) -> pa.NativeFile:
    """A new file to write to, from the beginning; it knows how many bytes it has (`tell`)."""
    return pa.OSFile(str(file), "wb") if isinstance(file, Path) else file.sink()


@contextmanager
def at_hand(files: Sequence[Place]) -> Iterator[list[Path]]:
    """The files on this machine, for those who read them again and again: copies of objects go when the block ends."""
    with tempfile.TemporaryDirectory(prefix="b24lake-") as folder:
        yield [_near(file, Path(folder) / str(number)) for number, file in enumerate(files)]


def _near(file: Place, copy: Path) -> Path:
    if isinstance(file, Path):
        return file
    copy.write_bytes(file.read_bytes())
    return copy


def inside(folder: Place) -> list[Place]:
    """What is right in a folder; nothing where there is none."""
    return list(folder.iterdir()) if not isinstance(folder, Path) or folder.is_dir() else []


def remove_all(folder: Place) -> None:
    """Remove a folder with everything in it; nothing happens where it is not there."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        folder.remove_all()


def write_text(file: Place, text: str) -> None:
    """Write a small file: it has all of the text, on the disk itself, or is as before."""
    if not isinstance(file, Path):
        file.write_text(text)
        return
    draft = file.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    synced(draft)
    draft.replace(file)


def synced(file: Path) -> None:
    """Wait until a file that has been written is on the disk itself."""
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def storage_errors(path: Place) -> Iterator[None]:
    """Faults of disk, object store and table format, told as what they mean for the run.

    A full or read-only disk ends the run (StopError), and so does a store that does not answer or let us in; anything
    else ends this table's stream (StreamError).
    """
    try:
        yield
    except Exception as error:
        # Faults in Arrow's part of delta-rs come as plain `Exception`, its own as DeltaError or OSError.
        ours = isinstance(error, (OSError, DeltaError, pa.ArrowException)) or type(error) is Exception
        if not ours:
            raise
        raise _fault(error, path) from error


def _fault(error: Exception, path: Place) -> B24LakeError:
    text = str(error).strip()
    number = _NUMBER.search(text)
    code = getattr(error, "errno", None) or (int(number[1]) if number else None)
    if not isinstance(path, Path) and known(text):
        return told(text).error(path)
    if code in _LAKE_WIDE:
        return StopError(
            f"Cannot write to {path}",
            why=os.strerror(code),
            fix="free some space or correct the permissions of the lake, then run again",
        )
    if isinstance(error, CommitFailedError):
        return StreamError(
            f"The table {path} was changed at the same moment", why=text.partition("\n")[0], fix=ONE_BY_ONE
        )
    if isinstance(error, OSError):
        return StreamError(
            f"Cannot read or write {path}",
            why=text,
            fix="look at the disk; if files are missing, move the folder away and read the stream in full",
        )
    return StreamError(
        f"The Delta table {path} cannot be read or written",
        why=text.partition("\n")[0],
        fix="if its files are damaged or missing, move its folder away and read the stream in full",
    )
