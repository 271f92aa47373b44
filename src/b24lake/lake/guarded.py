"""SQL over a lake with limits of time and memory, in a process of its own that can be stopped at any moment.

The engine hears no signal while it works. So a query runs in a child process (`python -m b24lake.lake.querying`), which
is killed where the query has to end.

    stdin    one JSON document: what `Request` holds
    stdout   the rows as an Arrow IPC stream
    stderr   where the exit code is REFUSED, its last line is a JSON document: an error's class, what, why, fix
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
from threading import Event, Timer
from typing import IO, TYPE_CHECKING, Any

from b24lake import errors
from b24lake.errors import B24LakeError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from b24lake.lake.place import Place

SECONDS = 300.0
"""How long a query may run."""
MEMORY_BYTES = 4 * 1024**3
"""How much memory a query may take, where the machine has at least twice as much."""
PREVIEW_ROWS = 100
MODULE = "b24lake.lake.querying"
REFUSED = 3
OUT_OF_MEMORY = 4
"""Exit codes of the child; everything else but 0 is an end it did not choose."""

_NO_MEMORY = ("memory allocation of", "Cannot allocate memory", "bad_alloc", "out of memory")


class TooLargeError(UsageError):
    """A query needed more memory than it may have."""


@dataclass(frozen=True)
class Request:
    """What the child is asked for.

    limit    most rows; None = all
    spill    a folder for what does not fit into memory
    frugal   as of `query.Means`
    parent   the process it must not outlive
    """

    lake: str
    sql: str
    limit: int | None
    seconds: float
    memory_bytes: int
    spill: str
    frugal: bool
    parent: int


@dataclass(frozen=True, eq=False)
class Answer:
    """The columns of an answer, and its rows batch by batch; errors may come while they are read."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def guarded_query(
    lake: Place, sql: str, *, limit: int | None, seconds: float = SECONDS, memory_bytes: int | None = None
) -> pa.Table:
    """As `query.query`, in a child process: at most `limit` rows, `seconds` of time and `memory_bytes` of memory.

    What does not fit into memory is tried once more, frugally. Whatever ends this call (KeyboardInterrupt too) ends the
    child at once. Raises UsageError where a limit is reached, and what `query.query` raises.
    """
    until = time.monotonic() + seconds
    try:
        return _whole(lake, sql, limit, seconds, memory_bytes, frugal=False)
    except TooLargeError:
        return _whole(lake, sql, limit, max(1.0, until - time.monotonic()), memory_bytes, frugal=True)


def _whole(
    lake: Place, sql: str, limit: int | None, seconds: float, memory_bytes: int | None, *, frugal: bool
) -> pa.Table:
    with guarded_stream(lake, sql, limit=limit, seconds=seconds, memory_bytes=memory_bytes, frugal=frugal) as answer:
        import pyarrow as pa

        return pa.Table.from_batches(answer.batches, answer.schema)


def preview(lake: Place, name: str, *, limit: int = PREVIEW_ROWS, seconds: float = 30.0) -> pa.Table:
    """Some rows of the table or view `layer.table`, with the comments of its columns; which ones is not said."""
    from b24lake.lake.columns import quoted

    sql = f"SELECT * FROM {'.'.join(map(quoted, name.split('.')))} LIMIT {limit}"  # noqa: S608
    return guarded_query(lake, sql, limit=limit, seconds=seconds)


@contextmanager
def guarded_stream(
    lake: Place,
    sql: str,
    *,
    limit: int | None,
    seconds: float = SECONDS,
    memory_bytes: int | None = None,
    frugal: bool = True,
) -> Iterator[Answer]:
    """As `guarded_query`, but batch by batch, while the block runs; the time of whoever reads them counts, too.

    Rows that have been read cannot be taken back, so there is one try, `frugal` or not.
    """
    allowed = memory_bytes or usual_memory()
    with tempfile.TemporaryDirectory(prefix="b24lake-") as spill, tempfile.TemporaryFile() as said:
        request = Request(str(lake.absolute()), sql, limit, seconds, allowed, spill, frugal, os.getpid())
        with _child(request, said) as (process, timed_out):
            # While the child does the same, for both take half a second.
            import pyarrow as pa

            try:
                rows = pa.ipc.open_stream(process.stdout)
            except (pa.ArrowException, OSError):
                raise _ended(process, said, timed_out, request) from None
            yield Answer(rows.schema, _batches(rows, process, said, timed_out, request))


def usual_memory() -> int:
    """Bytes for a query: MEMORY_BYTES, or half of what the machine has."""
    return min(MEMORY_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


@contextmanager
def _child(request: Request, said: IO[bytes]) -> Iterator[tuple[subprocess.Popen[bytes], Event]]:
    """The child, at work on the request; it is gone when the block ends. The event tells that its time was up."""
    # -P: a file in the working directory must not pass for a module.
    command = [sys.executable, "-P", "-m", MODULE]
    process = subprocess.Popen(  # noqa: S603  our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
    )
    timed_out = Event()

    def stop() -> None:
        timed_out.set()
        process.kill()

    timer = Timer(request.seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        assert process.stdin
        with suppress(BrokenPipeError), process.stdin as pipe:  # it may have ended already, and says why
            pipe.write(json.dumps(asdict(request)).encode())
        yield process, timed_out
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _batches(
    rows: pa.RecordBatchReader, process: subprocess.Popen[bytes], said: IO[bytes], timed_out: Event, request: Request
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        yield from rows
    except (pa.ArrowException, OSError):  # cut off: its exit code says why
        raise _ended(process, said, timed_out, request) from None
    if process.wait() != 0 or timed_out.is_set():
        raise _ended(process, said, timed_out, request)


def _ended(process: subprocess.Popen[bytes], said: IO[bytes], timed_out: Event, request: Request) -> B24LakeError:
    """What the end of the child means."""
    code = process.wait()
    if timed_out.is_set():
        return UsageError(
            f"The query was stopped after {math.ceil(request.seconds)} seconds",
            why="it takes longer than a query may",
            fix="make it smaller (WHERE, a join on keys), or allow more with --timeout",
        )
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
    failure: B24LakeError = kind(parts["what"], why=parts["why"], fix=parts["fix"], code=parts["code"])
    return failure
