"""Rows of a read that are in no finished part yet, kept as they came, so that a killed run loses none of them.

LAKE/LAYER/TABLE/_staging/RUN/00012.held   some batches, with the stretches of ids that are complete with them
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from b24lake.lake.files import inside, synced
from b24lake.lake.place import Place

SUFFIX = ".held"
CLOSED = b"closed"
FEWEST = 500
"""Fewer rows are not worth a file: to ask for them again is cheap."""
FEWEST_IN_OBJECT = 10_000
"""An object costs three requests, a second in all where the store is far away: as long as some thousand rows take."""


@dataclass(frozen=True)
class Held:
    """One held batch and how many rows it has; batches are numbered as they came, from 1."""

    number: int
    file: Place
    count: int
    closed: tuple[tuple[int, int], ...]

    def read(self) -> pa.Table:
        """The rows."""
        with _source(self.file) as source:
            rows: pa.Table = pa.ipc.open_file(source).read_all()
        return rows.replace_schema_metadata(None)


def fewest(folder: Place) -> int:
    """How many rows make a batch that is worth being held there."""
    return FEWEST if isinstance(folder, Path) else FEWEST_IN_OBJECT


def hold(folder: Place, number: int, rows: pa.Table, closed: Sequence[tuple[int, int]]) -> None:
    """Write a batch; it is there as a whole or not at all."""
    noted = rows.replace_schema_metadata({CLOSED: json.dumps(list(closed))})
    if not isinstance(folder, Path):
        (folder / f"{number:05d}{SUFFIX}").write_bytes(_packed(noted))
        return
    draft = folder / f"{number:05d}.draft"
    with pa.OSFile(str(draft), "wb") as sink, pa.ipc.new_file(sink, noted.schema) as writer:
        writer.write_table(noted)
    synced(draft)
    draft.rename(folder / f"{number:05d}{SUFFIX}")


def _packed(rows: pa.Table) -> bytes:
    """Smaller, for the way to the store."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(rows)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def held(folder: Place, after: int = 0) -> Iterator[Held]:
    """The batches beyond number `after`, in order; those that cannot be read are left out."""
    for number, file in _files(folder):
        if number > after:
            try:
                with _source(file) as source, pa.ipc.open_file(source) as batches:
                    count = sum(batches.get_batch(one).num_rows for one in range(batches.num_record_batches))
                    closed = json.loads(batches.schema.metadata[CLOSED])
            except (OSError, ValueError, KeyError, TypeError):  # a disk that lost power; Arrow's errors are of these
                continue
            yield Held(number, file, count, tuple((low, high) for low, high in closed))


def release(folder: Place, upto: int) -> None:
    """Remove the batches that are in a finished part now."""
    for number, file in _files(folder):
        if number <= upto:
            file.unlink(missing_ok=True)


def _files(folder: Place) -> list[tuple[int, Place]]:
    """The files of the batches, by number."""
    return sorted(
        ((int(file.stem), file) for file in inside(folder) if file.name.endswith(SUFFIX)), key=lambda one: one[0]
    )


def _source(file: Place) -> pa.NativeFile:
    return pa.memory_map(str(file)) if isinstance(file, Path) else pa.BufferReader(file.read_bytes())
