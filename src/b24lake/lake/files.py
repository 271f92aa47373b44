"""A table's folder: is there a Delta table, which files does its log know, and what storage errors mean."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from b24lake.errors import StopError, StreamError

_LAKE_WIDE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def open_table(path: Path) -> DeltaTable | None:
    """The Delta table in this folder; None where there is none (or one whose first commit never happened).

    Raises StreamError where there is one that cannot be read.
    """
    with storage_errors(path):
        return DeltaTable(str(path)) if path.is_dir() and DeltaTable.is_deltatable(str(path)) else None


def known_files(path: Path) -> frozenset[str]:
    """Names of all data files that any version in the table's log needs; none where there is no table."""
    table = open_table(path)
    if table is None:
        return frozenset()
    # A rehearsed vacuum with no retention names the files of earlier versions; it touches nothing.
    earlier = table.vacuum(retention_hours=0, dry_run=True, enforce_retention_duration=False)
    return frozenset(Path(uri).name for uri in [*table.file_uris(), *earlier])


def live_files(path: Path, table: DeltaTable) -> list[Path]:
    """The data files of the version that `table` holds, in a fixed order."""
    # Not `file_uris()`: its paths are percent-encoded where the lake's path has a space or a letter beyond ASCII.
    return sorted(path / name for name in pa.table(table.get_add_actions()).column("path").to_pylist())


def synced(file: Path) -> None:
    """Wait until a file that has been written is on the disk itself."""
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Faults of disk and table format, told as what they mean for the run.

    A full or read-only disk ends the run (StopError); anything else ends this table's stream (StreamError).
    """
    try:
        yield
    except OSError as error:
        if error.errno in _LAKE_WIDE:
            raise StopError(
                f"Cannot write to {path}",
                why=error.strerror or str(error),
                fix="free some space or correct the permissions of the lake, then run again",
            ) from error
        raise StreamError(
            f"Cannot read or write {path}",
            why=str(error),
            fix="look at the disk; if files are missing, move the folder away and read the stream in full",
        ) from error
    except Exception as error:
        # Faults in Arrow's part of delta-rs come as plain `Exception`, its own as DeltaError.
        if not isinstance(error, (DeltaError, pa.ArrowException)) and type(error) is not Exception:
            raise
        raise StreamError(
            f"The Delta table {path} cannot be read or written",
            why=str(error).strip().partition("\n")[0],
            fix="if its files are damaged or missing, move its folder away and read the stream in full",
        ) from error
