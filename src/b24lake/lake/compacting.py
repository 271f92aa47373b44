"""Small files made into larger ones, when it pays: merges leave one or two each, and every file costs a reader time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, WriterProperties

from b24lake.lake.files import storage_errors
from b24lake.lake.place import Place
from b24lake.lake.sweeping import run_folders
from b24lake.lake.table import MARK, our_owner

FEWEST = 24
"""As many small files are worth a version of its own."""
GAIN = 4
"""... if they become this many times fewer."""
UNSAID = 16 * 1024 * 1024
"""The target size of files where a table does not say it."""

_TARGET = "delta.targetFileSize"
_WRITER = WriterProperties(compression="ZSTD", compression_level=1)


@dataclass(frozen=True)
class Compaction:
    """Small files that would become fewer ones; `bytes` are to be read and written for it.

    limit   files below this size are small, and the new ones are not larger
    """

    files: int
    into: int
    bytes: int
    limit: int


def worth(sizes: Sequence[int], target: int) -> Compaction | None:
    """The compaction that pays for files of these sizes in bytes; None = leave them.

    Files of at least half the target size are left alone: they cost readers little, and every byte that is written
    anew also has to be kept a second time until the older version goes.

    >>> worth([100_000] * 30, 16_000_000)
    Compaction(files=30, into=1, bytes=3000000, limit=8000000)
    >>> worth([100_000] * 10 + [9_000_000] * 90, 16_000_000)
    """
    limit = target // 2
    small = [size for size in sizes if size < limit]
    into = max(1, math.ceil(sum(small) / limit))
    if len(small) < FEWEST or len(small) < GAIN * into:
        return None
    return Compaction(len(small), into, sum(small), limit)


def planned(path: Place, table: DeltaTable) -> Compaction | None:
    """The compaction that pays for a table; None = there is none, or a read of it is to be gone on with first.

    A new version of its table would have such a read begin anew.
    """
    with storage_errors(path):
        sizes = pa.table(table.get_add_actions()).column("size_bytes").to_pylist()
        found = worth(sizes, int(table.metadata().configuration.get(_TARGET, UNSAID)))
        return None if found is None or run_folders(path) else found


def compact(path: Place, table: DeltaTable, plan: Compaction, run_id: str) -> int:
    """Do it, as a version of its own with the same rows, and return that version.

    Rows keep their order, so that a file still holds neighbouring keys. Raises UsageError where the table is not ours.
    """
    our_owner(path, table)
    with storage_errors(path):
        table.optimize.compact(
            target_size=plan.limit,
            max_concurrent_tasks=1,  # each holds the rows of a new file in memory
            writer_properties=_WRITER,
            commit_properties=CommitProperties(custom_metadata={f"{MARK}run": run_id}),
        )
        table.update_incremental()
        return table.version()
