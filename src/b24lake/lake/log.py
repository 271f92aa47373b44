"""What a table's log says that delta-rs does not tell: which files each version needs, and what has been bookmarked.

    LAKE/LAYER/TABLE/_delta_log/
        00000000000000000012.json                 one commit: files that it adds and takes away, transactions
        00000000000000000010.checkpoint.parquet   all that holds at that version: a reader begins here

Source: the Delta transaction log protocol, "Delta Log Entries" and "Checkpoints". Nothing is written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler

from b24lake.errors import StreamError

LOG = "_delta_log"
AT_ONCE = 16
"""Commits that are asked for at once: an object store takes a moment for each."""
_COMMIT = re.compile(rf"{LOG}/(\d{{20}})\.json")
_CHECKPOINT = re.compile(rf"{LOG}/(\d{{20}})\.checkpoint\.(?:.*\.)?(parquet|json)")


@dataclass(frozen=True)
class Files:
    """The files in a table's folder, by their paths within it; `commits` and `checkpoints` are those of its log."""

    data: frozenset[str]
    commits: frozenset[int]
    checkpoints: Mapping[int, tuple[str, ...]]


class Size(NamedTuple):
    """How much is in a file, or in all files of a version; `rows` is None where the log does not tell."""

    rows: int | None
    bytes: int


@dataclass(frozen=True)
class LogCommit:
    """One commit.

    at             when it was written, in milliseconds since 1970 (UTC)
    added, removed files that it added and took away
    transactions   application id -> version that it wrote down
    info           what its writer said of it: operation, run id …
    sizes          what is in the files that it added, where it says so
    """

    version: int
    at: int = 0
    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    transactions: Mapping[str, int] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, Size] = field(default_factory=dict)


@dataclass(frozen=True)
class Needed:
    """What reading a version takes: the files that it needs and are not there, and whether the log still leads to it.

    files   all that it needs; None where the log does not lead to it
    taken   when the first of them was taken away by a later commit, in milliseconds since 1970; None = all are in use
    """

    missing: frozenset[str]
    files: frozenset[str] | None
    taken: int | None = None

    @property
    def readable(self) -> bool:
        """Whether the version can be read."""
        return self.files is not None and not self.missing


def storage(table: DeltaTable) -> pafs.FileSystem:
    """The table's folder as a file system, wherever it is; paths are those within the folder."""
    return pafs.PyFileSystem(DeltaStorageHandler.from_table(table._table))


def files_of(table: DeltaTable) -> Files:
    """Everything in the table's folder, from one listing."""
    found = storage(table).get_file_info(pafs.FileSelector("", recursive=True))
    paths = [each.path for each in found if each.type == pafs.FileType.File]
    commits = frozenset(int(match[1]) for match in map(_COMMIT.fullmatch, paths) if match)
    checkpoints: dict[int, tuple[str, ...]] = {}
    for match in filter(None, map(_CHECKPOINT.fullmatch, sorted(paths))):
        checkpoints[int(match[1])] = (*checkpoints.get(int(match[1]), ()), match[0])
    return Files(frozenset(path for path in paths if not path.startswith("_")), commits, checkpoints)


def read_commits(table: DeltaTable, versions: Iterable[int], *, at_once: int = 1) -> Iterator[LogCommit]:
    """These commits, in this order; no more are read than are asked for, rounded up to `at_once`.

    Raises StreamError where one is damaged.
    """
    where, waiting = storage(table), iter(versions)

    def read(version: int) -> bytes:
        with where.open_input_stream(f"{LOG}/{version:020d}.json") as stream:
            return bytes(stream.read())

    with ThreadPoolExecutor(at_once) as pool:
        while some := list(islice(waiting, at_once)):
            for version, text in zip(some, pool.map(read, some), strict=True):
                yield _parsed(table, version, text)


def _parsed(table: DeltaTable, version: int, text: bytes) -> LogCommit:
    try:
        return parsed(version, text)
    except (ValueError, KeyError, TypeError) as error:
        raise StreamError(
            f"The Delta table {table.table_uri} cannot be read",
            why=f"commit {version} in its log is damaged: {error}",
            fix="put the log back from a copy, or move the table's folder away and read the stream in full",
        ) from error


def parsed(version: int, text: bytes) -> LogCommit:
    """A commit as it is written: one JSON object per line. Raises ValueError where it is not.

    >>> parsed(3, b'{"add":{"path":"a%20b.parquet"}}').added
    frozenset({'a b.parquet'})
    """
    actions = [orjson.loads(line) for line in text.splitlines() if line.strip()]
    if not actions:
        raise ValueError("it is empty")
    told = {kind: [each[kind] for each in actions if kind in each] for kind in ("add", "remove", "txn", "commitInfo")}
    info: dict[str, Any] = next(iter(told["commitInfo"]), {})
    # Who writes a commit need not say when; its files know.
    files = (each.get("modificationTime", 0) for each in told["add"])
    return LogCommit(
        version,
        int(info.get("timestamp") or info.get("inCommitTimestamp") or max(files, default=0)),
        frozenset(unquote(each["path"]) for each in told["add"]),
        frozenset(unquote(each["path"]) for each in told["remove"]),
        {each["appId"]: each["version"] for each in told["txn"]},
        info,
        {unquote(each["path"]): size_of(each) for each in told["add"] if "size" in each},
    )


def size_of(added: Mapping[str, Any]) -> Size:
    """What is in a file, as the action that added it says.

    >>> size_of({"size": 7, "stats": '{"numRecords": 2}'}), size_of({"size": 7})
    (Size(rows=2, bytes=7), Size(rows=None, bytes=7))
    """
    stats = orjson.loads(added.get("stats") or "{}")
    return Size(stats.get("numRecords"), int(added["size"]))


def live_names(table: DeltaTable) -> frozenset[str]:
    """The files of the version that `table` holds, by their paths within its folder."""
    return frozenset(map(unquote, pa.table(table.get_add_actions()).column("path").to_pylist()))


def needed(commits: Iterable[LogCommit], live: frozenset[str], files: Files) -> dict[int, Needed]:
    """What each of the versions needs. One walk: a version's files are those of the next, with its commit undone.

    commits   newest first and without gaps; live: the files of the first of them
    """
    open_ = _reachable(files)
    found: dict[int, Needed] = {}
    wanted, missing = set(live), set(live - files.data)
    taken: dict[str, int] = {}
    for commit in commits:
        reached = frozenset(wanted) if commit.version in open_ else None
        found[commit.version] = Needed(frozenset(missing), reached, min(taken.values(), default=None))
        wanted = (wanted - commit.added) | commit.removed
        taken = {name: at for name, at in taken.items() if name not in commit.added}
        taken |= dict.fromkeys(commit.removed, commit.at)
        missing = (missing - commit.added) | (commit.removed - files.data)
    return found


def _reachable(files: Files) -> set[int]:
    """The versions that the log leads to: from a checkpoint or from version 0 on, commit by commit."""
    reached: set[int] = set()
    for version in sorted(files.commits | files.checkpoints.keys()):
        begins = version in files.checkpoints or version == 0
        if begins or (version in files.commits and version - 1 in reached):
            reached.add(version)
    return reached


def commits_of(table: DeltaTable, files: Files, limit: int | None = None) -> list[LogCommit]:
    """The commits up to the version that `table` holds, newest first; back to the first gap if `limit` is None."""
    # Not `DeltaTable.history()`: it numbers the commits of the whole log downwards from the version that it holds.
    versions = islice(_unbroken(table.version(), files.commits), limit)
    return list(read_commits(table, versions, at_once=AT_ONCE))


def _unbroken(newest: int, commits: frozenset[int], upto: int = 0) -> Iterator[int]:
    version = newest
    while version in commits and version >= upto:
        yield version
        version -= 1


def applications(table: DeltaTable) -> frozenset[str]:
    """The application ids of all transactions that hold at an open table's version or did before."""
    files, newest = files_of(table), table.version()
    begin = max((version for version in files.checkpoints if version <= newest), default=-1)
    found = {name for path in files.checkpoints.get(begin, ()) for name in _in_checkpoint(table, path)}
    later = (version for version in _unbroken(newest, files.commits, begin + 1))
    return frozenset(found.union(*(commit.transactions for commit in read_commits(table, later, at_once=AT_ONCE))))


def _in_checkpoint(table: DeltaTable, path: str) -> Sequence[str]:
    where = storage(table)
    with where.open_input_file(path) as file:
        if path.endswith(".json"):
            return list(parsed(0, file.read()).transactions)
        parquet = pq.ParquetFile(file)
        if "txn" not in parquet.schema_arrow.names:
            return []
        rows: list[dict[str, Any] | None] = parquet.read(columns=["txn"]).column("txn").to_pylist()
    return [row["appId"] for row in rows if row]
