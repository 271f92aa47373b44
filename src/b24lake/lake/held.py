"""Rows of a read that are in no finished part yet, on disk as they came, so that a killed run loses none of them.

LAKE/LAYER/TABLE/_staging/RUN/00012.held   one batch, with the stretches of ids that are complete with it
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from b24lake.lake.files import synced

SUFFIX = ".held"
CLOSED = b"closed"
FEWEST = 500
"""Batches of fewer rows are not worth a file: to ask for them again is cheap."""


@dataclass(frozen=True)
class Held:
    """One batch on disk and how many rows it has; batches are numbered as they came, from 1."""

    number: int
    file: Path
    count: int
    closed: tuple[tuple[int, int], ...]

    def read(self) -> pa.Table:
        """The rows."""
        with pa.OSFile(str(self.file), "rb") as source:
            rows: pa.Table = pa.ipc.open_file(source).read_all()
        return rows.replace_schema_metadata(None)


def hold(folder: Path, number: int, rows: pa.Table, closed: Sequence[tuple[int, int]]) -> None:
    """Write a batch; it is there as a whole or not at all."""
    noted = rows.replace_schema_metadata({CLOSED: json.dumps(list(closed))})
    draft = folder / f"{number:05d}.draft"
    with pa.OSFile(str(draft), "wb") as sink, pa.ipc.new_file(sink, noted.schema) as writer:
        writer.write_table(noted)
    synced(draft)
    draft.rename(folder / f"{number:05d}{SUFFIX}")


def held(folder: Path, after: int = 0) -> Iterator[Held]:
    """The batches beyond number `after`, in order; those that cannot be read are left out."""
    for file in sorted(folder.glob(f"*{SUFFIX}")):
        number = int(file.stem)
        if number > after:
            try:
                with pa.memory_map(str(file)) as source, pa.ipc.open_file(source) as batches:
                    count = sum(batches.get_batch(one).num_rows for one in range(batches.num_record_batches))
                    closed = json.loads(batches.schema.metadata[CLOSED])
            except (OSError, ValueError, KeyError, TypeError):  # a disk that lost power; Arrow's errors are of these
                continue
            yield Held(number, file, count, tuple((low, high) for low, high in closed))


def release(folder: Path, upto: int) -> None:
    """Remove the batches that are in a finished part now."""
    for file in folder.glob(f"*{SUFFIX}"):
        if int(file.stem) <= upto:
            file.unlink(missing_ok=True)
