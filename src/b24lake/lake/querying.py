"""The child process of `guarded`: reads one request, sets its own limits, answers with rows or an error, and ends."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
from pathlib import Path

from b24lake.errors import B24LakeError, UsageError
from b24lake.lake.guarded import OUT_OF_MEMORY, REFUSED, Request

_GRACE = 5
"""Seconds after which a child ends by itself where nobody stopped it."""
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Answer the request on stdin; the exit code says how it went (`guarded`)."""
    request = Request(**json.loads(sys.stdin.buffer.read()))
    limit_process(request.memory_bytes, request.seconds, request.parent)
    try:
        _answer(request)
    except B24LakeError as error:
        parts = {"error": type(error).__name__, "what": error.what, "why": error.why, "fix": error.fix}
        told = {**parts, "code": error.code, "at": _place(request.sql, error)}
        sys.stderr.write("\n" + json.dumps(told) + "\n")
        return REFUSED
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


def _place(sql: str, error: B24LakeError) -> tuple[int, int] | None:
    """Where in the SQL the error lies."""
    from b24lake.lake.pointing import pointed

    return pointed(sql, error) if isinstance(error, UsageError) else None


def limit_process(memory_bytes: int, seconds: float, parent: int) -> None:
    """The limits that the system keeps, for the engine keeps none: memory, time, and no life without the parent."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    # Not RLIMIT_AS: libraries set aside far more address space than they use.
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.alarm(math.ceil(seconds) + _GRACE)
    if sys.platform == "linux":
        _end_with(parent)


def _end_with(parent: int) -> None:
    """Have the system kill this process when its parent dies."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _answer(request: Request) -> None:
    """Write the rows as they come."""
    import pyarrow as pa

    from b24lake.lake.place import place
    from b24lake.lake.query import Means, first, pieces, stream

    # The engine counts what sorts, groups and joins hold; batches on their way between them come to as much again.
    means = Means(request.memory_bytes // 3, Path(request.spill), frugal=request.frugal)
    reader = stream(place(request.lake), request.sql, means, tuple(map(tuple, request.limits)))
    with pa.ipc.new_stream(sys.stdout.buffer, reader.schema) as writer:
        for batch in first(reader, request.limit):
            for piece in pieces(batch, request.piece):
                writer.write_batch(piece)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    code = main()
    # Not sys.exit: threads of the engine may still be at work on rows that nobody wants.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
