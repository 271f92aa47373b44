"""SQL over a lake with limits of time and memory, in a process of its own that can be stopped at any moment.

The engine hears no signal while it works. So a query runs in a child process (`python -m b24lake.lake.querying`), which
is killed where the query has to end.

    stdin    one JSON document: what `Request` holds
    stdout   the rows as an Arrow IPC stream
    stderr   where the exit code is REFUSED, its last line is a JSON document: an error's class, what, why, fix, code,
             and at (where in the SQL it lies)
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from threading import Event, Thread
from typing import IO, TYPE_CHECKING, Any, Literal

from b24lake import errors
from b24lake.errors import B24LakeError, NotFoundError, SqlError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from b24lake.lake.place import Place
    from b24lake.lake.reach import Limits

SECONDS = 300.0
"""How long a query may run."""
MEMORY_BYTES = 4 * 1024**3
"""How much memory a query may take, where the machine has at least twice as much."""
MODULE = "b24lake.lake.querying"
REFUSED = 3
OUT_OF_MEMORY = 4
"""Exit codes of the child; everything else but 0 is an end it did not choose."""

_NO_MEMORY = ("memory allocation of", "Cannot allocate memory", "bad_alloc", "out of memory")


TIME_IS_UP, STOPPED = "time_is_up", "stopped"
"""Codes of errors: the query took too long, or somebody stopped it."""
_LOOK_SECONDS = 0.1
"""How soon a query ends that is to be stopped."""


class TooLargeError(UsageError):
    """A query needed more memory than it may have."""


@dataclass(frozen=True)
class Request:
    """What the child is asked for.

    limit    most rows; None = all
    spill    a folder for what does not fit into memory
    frugal   as of `query.Means`
    parent   the process it must not outlive
    limits   as of `query.stream`
    piece    as of `query.pieces`
    """

    lake: str
    sql: str
    limit: int | None
    seconds: float
    memory_bytes: int
    spill: str
    frugal: bool
    parent: int
    limits: Limits = ()
    piece: int | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """The columns of an answer, and its rows batch by batch; errors may come while they are read."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def guarded_query(
    lake: Place,
    sql: str,
    *,
    limit: int | None,
    seconds: float = SECONDS,
    memory_bytes: int | None = None,
    limits: Limits = (),
) -> pa.Table:
    """As `query.query`, in a child process: at most `limit` rows, `seconds` of time and `memory_bytes` of memory.

    What does not fit into memory is tried once more, frugally. Whatever ends this call (KeyboardInterrupt too) ends the
    child at once. Raises UsageError where a limit is reached, and what `query.query` raises.
    """
    until = time.monotonic() + seconds
    try:
        return _whole(lake, sql, limit, seconds, memory_bytes, limits, frugal=False)
    except TooLargeError:
        return _whole(lake, sql, limit, max(1.0, until - time.monotonic()), memory_bytes, limits, frugal=True)


def _whole(
    lake: Place, sql: str, limit: int | None, seconds: float, memory_bytes: int | None, limits: Limits, *, frugal: bool
) -> pa.Table:
    with guarded_stream(
        lake, sql, limit=limit, seconds=seconds, memory_bytes=memory_bytes, frugal=frugal, limits=limits
    ) as answer:
        import pyarrow as pa

        return pa.Table.from_batches(answer.batches, answer.schema)


Cut = Literal["", "rows", "bytes"]


@dataclass(frozen=True, eq=False)
class Beginning:
    """The first rows of an answer, and why there are no more of them: "rows", "bytes", or "" where these are all."""

    rows: pa.Table
    cut: Cut


def guarded_beginning(
    lake: Place,
    sql: str,
    *,
    limit: int,
    most_bytes: int,
    seconds: float,
    memory_bytes: int | None = None,
    limits: Limits = (),
    stop: Event | None = None,
) -> Beginning:
    """As `guarded_query`, at most `limit` rows and about `most_bytes` of them; the rest as of `guarded_stream`."""
    until = time.monotonic() + seconds
    for frugal in (False, True):
        left = max(1.0, until - time.monotonic())
        try:
            with guarded_stream(
                lake,
                sql,
                limit=limit + 1,
                seconds=left,
                memory_bytes=memory_bytes,
                frugal=frugal,
                limits=limits,
                piece_bytes=most_bytes // 4,
                stop=stop,
            ) as answer:
                return _beginning(answer, limit, most_bytes)
        except TooLargeError:
            if frugal:
                raise
    raise AssertionError("unreachable")


def _beginning(answer: Answer, limit: int, most_bytes: int) -> Beginning:
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    size = 0
    cut: Cut = ""
    for batch in answer.batches:
        held.append(batch)
        size += batch.nbytes
        if size >= most_bytes:
            cut = "bytes"
            break
    rows = pa.Table.from_batches(held, answer.schema)
    return Beginning(rows.slice(0, limit), "rows" if rows.num_rows > limit else cut)


@contextmanager
def guarded_stream(
    lake: Place,
    sql: str,
    *,
    limit: int | None,
    seconds: float = SECONDS,
    memory_bytes: int | None = None,
    frugal: bool = True,
    limits: Limits = (),
    piece_bytes: int | None = None,
    stop: Event | None = None,
) -> Iterator[Answer]:
    """As `guarded_query`, but batch by batch, while the block runs; the time of whoever reads them counts, too.

    limits        as of `query.stream`
    piece_bytes   as of `query.pieces`
    stop          ends the query when another thread sets it

    Rows that have been read cannot be taken back, so there is one try, `frugal` or not.
    """
    allowed = memory_bytes or usual_memory()
    with tempfile.TemporaryDirectory(prefix="b24lake-") as spill, tempfile.TemporaryFile() as said:
        where, parent = str(lake.absolute()), os.getpid()
        request = Request(where, sql, limit, seconds, allowed, spill, frugal, parent, limits, piece_bytes)
        with _child(request, said, stop or Event()) as (process, causes):
            # While the child does the same, for both take half a second.
            import pyarrow as pa

            try:
                rows = pa.ipc.open_stream(process.stdout)
            except (pa.ArrowException, OSError):
                raise _ended(process, said, causes, request) from None
            yield Answer(rows.schema, _batches(rows, process, said, causes, request))


def usual_memory() -> int:
    """Bytes for a query: MEMORY_BYTES, or half of what the machine has."""
    return min(MEMORY_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


@contextmanager
def _child(
    request: Request, said: IO[bytes], stop: Event
) -> Iterator[tuple[subprocess.Popen[bytes], list[B24LakeError]]]:
    """The child, at work on the request; it is gone when the block ends. Where it was killed, the list says why."""
    # -P: a file in the working directory must not pass for a module.
    command = [sys.executable, "-P", "-m", MODULE]
    process = subprocess.Popen(  # noqa: S603  our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
    )
    causes: list[B24LakeError] = []
    ended = Event()
    watch = Thread(target=_watch, args=(process, request, stop, ended, causes), daemon=True)
    watch.start()
    try:
        assert process.stdin
        with suppress(BrokenPipeError), process.stdin as pipe:  # it may have ended already, and says why
            pipe.write(json.dumps(asdict(request)).encode())
        yield process, causes
    finally:
        ended.set()
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _watch(
    process: subprocess.Popen[bytes], request: Request, stop: Event, ended: Event, causes: list[B24LakeError]
) -> None:
    """Kill the child when its time is up, or when it is to stop."""
    until = time.monotonic() + request.seconds
    while not ended.wait(min(_LOOK_SECONDS, max(0.0, until - time.monotonic()))):
        if not stop.is_set() and time.monotonic() < until:
            continue
        causes.append(_stopped() if stop.is_set() else _too_slow(request.seconds))
        process.kill()
        return


def _stopped() -> UsageError:
    return UsageError("The query was stopped", why="somebody cancelled it, or left the page", code=STOPPED)


def _too_slow(seconds: float) -> UsageError:
    return UsageError(
        f"The query was stopped after {math.ceil(seconds)} seconds",
        why="it takes longer than a query may",
        fix="make it smaller (WHERE, a join on keys), or allow more with --timeout",
        code=TIME_IS_UP,
    )


def _batches(
    rows: pa.RecordBatchReader,
    process: subprocess.Popen[bytes],
    said: IO[bytes],
    causes: list[B24LakeError],
    request: Request,
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        yield from rows
    except (pa.ArrowException, OSError):  # cut off: its exit code says why
        raise _ended(process, said, causes, request) from None
    if process.wait() != 0 or causes:
        raise _ended(process, said, causes, request)


def _ended(
    process: subprocess.Popen[bytes], said: IO[bytes], causes: list[B24LakeError], request: Request
) -> B24LakeError:
    """What the end of the child means."""
    code = process.wait()
    if causes:
        return causes[0]
    said.seek(0)
    return _failure(code, said.read().decode(errors="replace").strip(), request.memory_bytes)


def _failure(code: int, said: str, memory_bytes: int) -> B24LakeError:
    last = said.rpartition("\n")[2]
    if code == REFUSED:
        return _told(json.loads(last))
    # Only the system kills with SIGKILL here: it does so where memory ends.
    if code in {OUT_OF_MEMORY, -signal.SIGKILL} or any(sign in said for sign in _NO_MEMORY):
        return TooLargeError(
            f"The query needed more memory than there is for one: {memory_bytes / 1024**3:.3g} GB",
            why="joins, groups and lists of values are held in memory, and not all of them can go to disk",
            fix="read fewer columns and rows, or join on keys",
        )
    ended = f"signal {-code}" if code < 0 else f"exit code {code}"
    return UsageError(
        f"The query ended its process ({ended})",
        why=last or "the engine did not say why",
        fix="write the query in another way, with fewer nested parts",
    )


def _told(parts: dict[str, Any]) -> B24LakeError:
    """The child's error as what it was there."""
    kind = getattr(errors, parts["error"], B24LakeError)
    told = {name: parts[name] for name in ("why", "fix", "code")}
    if parts["at"] and kind in {UsageError, NotFoundError, SqlError}:
        return SqlError(parts["what"], **told, at=tuple(parts["at"]))
    failure: B24LakeError = kind(parts["what"], **told)
    return failure
