"""How much each version of a table holds, as its log tells: rows, and bytes of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from b24lake.lake.log import Files, LogCommit, Size, live_names, parsed, size_of, storage


def sizes(table: DeltaTable, commits: Sequence[LogCommit], files: Files) -> dict[int, Size]:
    """The size of each version; those of which the log does not tell are left out.

    commits   newest first and without gaps; the first of them is the version that `table` holds
    """
    known = {name: size for commit in commits for name, size in commit.sizes.items()}
    wanted = live_names(table).union(*(commit.removed for commit in commits))
    if wanted - known.keys() and commits:
        known = _live(table) | known
    if wanted - known.keys() and commits:
        known = dict(_before(table, commits[-1].version, files)) | known
    return dict(summed(commits, live_names(table), known))


def summed(commits: Sequence[LogCommit], live: frozenset[str], known: Mapping[str, Size]) -> Iterator[tuple[int, Size]]:
    """Version and size, in one walk: a version's files are those of the next, with its commit undone (pure).

    live    the files of the first of the commits; known: what is in files
    """
    rows = count = untold = unknown = 0

    def add(names: frozenset[str], sign: int) -> None:
        nonlocal rows, count, untold, unknown
        for size in map(known.get, names):
            unknown += sign * (size is None)
            untold += sign * (size is not None and size.rows is None)
            rows += sign * ((size.rows or 0) if size else 0)
            count += sign * (size.bytes if size else 0)

    add(live, 1)
    for commit in commits:
        if not unknown:
            yield commit.version, Size(None if untold else rows, count)
        add(commit.added, -1)
        add(commit.removed, 1)


def _live(table: DeltaTable) -> dict[str, Size]:
    """The files of the version that `table` holds."""
    held = pa.table(table.get_add_actions(flatten=True)).select(["path", "num_records", "size_bytes"])
    return {unquote(each["path"]): Size(each["num_records"], each["size_bytes"]) for each in held.to_pylist()}


def _before(table: DeltaTable, version: int, files: Files) -> Iterator[tuple[str, Size]]:
    """The files that were there when the log began, from the checkpoint that it begins with."""
    base = max((each for each in files.checkpoints if each <= version), default=None)
    for path in files.checkpoints[base] if base is not None else ():
        with storage(table).open_input_file(path) as file:
            if path.endswith(".json"):
                yield from parsed(0, file.read()).sizes.items()
                continue
            parquet = pq.ParquetFile(file)
            if "add" in parquet.schema_arrow.names:
                added = parquet.read(columns=["add.path", "add.size", "add.stats"]).column("add").to_pylist()
                yield from ((unquote(each["path"]), size_of(each)) for each in added if each and each["path"])
