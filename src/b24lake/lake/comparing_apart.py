"""Two versions of a table compared in a process of its own: it can be stopped, and takes no more memory than it may.

This module is both sides of it: `compared_apart` starts the process (`python -m b24lake.lake.comparing_apart FD`). It
reads from stdin what is asked, and sends down a pipe the share that is done, and at last what it found, or an error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from b24lake.errors import B24LakeError, UsageError
from b24lake.lake.guarded import usual_memory
from b24lake.lake.querying import limit_process

if TYPE_CHECKING:
    from b24lake.lake.comparing import Comparison
    from b24lake.lake.place import Place

SECONDS = 600.0
"""How long a comparison may take."""
LOOK_SECONDS = 0.25
"""Between two looks whether somebody still wants it."""


class UnwantedError(UsageError):
    """Nobody waits for the comparison any more."""


@dataclass(frozen=True)
class Request:
    """What the process is asked for; `limit` rows of each kind are listed."""

    table: str
    before: int
    after: int
    limit: int
    seconds: float
    memory_bytes: int
    parent: int


def compared_apart(
    path: Place,
    before: int,
    after: int,
    *,
    limit: int,
    seconds: float = SECONDS,
    went_on: Callable[[float], object] = float,
    wanted: Callable[[], bool] = lambda: True,
) -> Comparison:
    """As `comparing.compare` with `each_kind`, of two versions that can be read.

    went_on   is told which share has been compared
    wanted    is asked several times a second whether to go on; the process is gone at once where not

    Raises UnwantedError then, UsageError where time or memory do not suffice, and what `compare` raises.
    """
    request = Request(str(path.absolute()), before, after, limit, seconds, usual_memory(), os.getpid())
    until = time.monotonic() + seconds
    ours, theirs = Pipe(duplex=False)
    command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno())]
    with (
        ours,
        subprocess.Popen(  # noqa: S603  our own module
            command, stdin=subprocess.PIPE, pass_fds=[theirs.fileno()]
        ) as process,
    ):
        theirs.close()
        try:
            assert process.stdin
            with process.stdin as pipe:
                pipe.write(json.dumps(asdict(request)).encode())
            return _heard(ours, until, went_on, wanted)
        except (EOFError, BrokenPipeError):
            raise _ended(process.wait(), request) from None
        finally:
            process.kill()


def _heard(
    ours: Connection, until: float, went_on: Callable[[float], object], wanted: Callable[[], bool]
) -> Comparison:
    """What the process says at last."""
    while True:
        if not wanted():
            raise UnwantedError("The comparison was stopped", why="nobody waited for it", fix="ask for it again")
        if time.monotonic() > until:
            raise UsageError(
                "The comparison takes longer than it may",
                why="the two versions have few files in common, and there is a lot in the others",
                fix="compare two versions that are nearer to each other, or use `b24lake diff`, which takes its time",
            )
        if not ours.poll(LOOK_SECONDS):
            continue
        said = ours.recv()
        if isinstance(said, float):
            went_on(said)
        elif isinstance(said, B24LakeError):
            raise said
        else:
            found: Comparison = said
            return found


def _ended(code: int, request: Request) -> UsageError:
    """What it means that the process ended without a word."""
    return UsageError(
        "The comparison ended before its time",
        why=f"its process needed more than {request.memory_bytes / 1024**3:.3g} GB of memory, or was stopped ({code})",
        fix="try again, or use `b24lake diff` on a machine with more memory",
    )


def main() -> None:
    """Compare what stdin asks for."""
    request = Request(**json.loads(sys.stdin.buffer.read()))
    limit_process(request.memory_bytes, request.seconds, request.parent)
    with Connection(int(sys.argv[1]), readable=False) as out:
        try:
            out.send(_found(request, out))
        except B24LakeError as error:
            out.send(error)


def _found(request: Request, out: Connection) -> Comparison:
    from b24lake.lake.comparing import compare
    from b24lake.lake.files import reopened
    from b24lake.lake.place import place

    path = place(request.table)
    before, after = reopened(path, request.before), reopened(path, request.after)
    return compare(path, before, after, limit=request.limit, each_kind=True, went_on=out.send)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
