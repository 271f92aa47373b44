"""SQL over a lake with limits of time and memory, in a process of its own that can be stopped at any moment.

The engine hears no signal while it works and takes all the memory it wants. So a query runs in a child process
(`python -m b24lake.lake.querying`), which is killed where the query has to end.

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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from b24lake import errors
from b24lake.errors import B24LakeError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

SECONDS = 300.0
"""How long a query may run."""
MEMORY_BYTES = 4 * 1024**3
"""How much memory a query may take."""
MODULE = "b24lake.lake.querying"
REFUSED = 3
OUT_OF_MEMORY = 4
"""Exit codes of the child; everything else but 0 is an end it did not choose."""

_NO_MEMORY = ("memory allocation of", "Cannot allocate memory", "bad_alloc", "out of memory")


@dataclass(frozen=True)
class Request:
    """What the child is asked for; `parent` is the process it must not outlive."""

    lake: str
    sql: str
    limit: int
    seconds: float
    memory_bytes: int
    parent: int


def guarded_query(
    lake: Path, sql: str, *, limit: int, seconds: float = SECONDS, memory_bytes: int = MEMORY_BYTES
) -> pa.Table:
    """As `query.query`, in a child process: at most `limit` rows, `seconds` of time and `memory_bytes` of memory.

    Whatever ends this call (KeyboardInterrupt too) ends the child at once. Raises UsageError where a limit is
    reached, and what `query.query` raises.
    """
    request = Request(str(lake.absolute()), sql, limit, seconds, memory_bytes, os.getpid())
    asked = json.dumps(asdict(request)).encode()
    code, rows, said = _run(asked, seconds)
    if code == 0:
        import pyarrow as pa

        return pa.ipc.open_stream(rows).read_all()
    raise _failure(code, said.decode(errors="replace").strip(), memory_bytes)


def _run(asked: bytes, seconds: float) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of the child. It is gone when this returns or raises."""
    # -P: a file in the working directory must not pass for a module.
    command = [sys.executable, "-P", "-m", MODULE]
    process = subprocess.Popen(  # noqa: S603  our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        rows, said = process.communicate(asked, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"The query was stopped after {math.ceil(seconds)} seconds",
            why="it takes longer than a query may",
            fix="make it smaller (WHERE, a join on keys), or allow more with --timeout",
        ) from None
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return process.returncode, rows, said


def _failure(code: int, said: str, memory_bytes: int) -> B24LakeError:
    last = said.rpartition("\n")[2]
    if code == REFUSED:
        return _told(json.loads(last))
    # Only the system kills with SIGKILL here: it does so where memory ends.
    if code in {OUT_OF_MEMORY, -signal.SIGKILL} or any(sign in said for sign in _NO_MEMORY):
        return UsageError(
            f"The query needed more memory than there is for one: {memory_bytes / 1024**3:.3g} GB",
            why="joins, groups and sorted rows are held in memory",
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
