"""A run at work, from its worker's side: the process that performs it, and what it has told so far."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import orjson

from b24lake.control.course import went_on
from b24lake.control.logs import MOST_LINES
from b24lake.control.models import Run
from b24lake.control.runs import CANCELED, FAILED
from b24lake.control.telling import ERROR, Line
from b24lake.portal.webhook import mask

LOST = 75
"""The exit code of a run whose time was over and that did not end by itself (EX_TEMPFAIL)."""
_TOLD = {"B24LAKE_HASH_KEY"}  # settings of the worker that are also for its runs
_NUL = b"\\u0000"  # as JSON writes it; PostgreSQL refuses texts with it
LONGEST_TEXT = 2_000  # characters of a line that a library prints
KILL_AFTER = 3.0  # seconds after which a run that was told to end is killed: what it read is on disk


@dataclass(slots=True)
class Performance:
    """One run in its process.

    why_ended   what its worker wanted when it ended it: cancel, release, or lost; "" = nothing
    course      its figures over time
    """

    run: Run
    process: subprocess.Popen[bytes]
    lines: deque[tuple[datetime, Line]] = field(default_factory=lambda: deque(maxlen=MOST_LINES))
    progress: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    why_ended: str = ""
    course: dict[str, Any] = field(default_factory=dict)
    told_at: float = 0.0
    _readers: list[threading.Thread] = field(default_factory=list)

    def prolong(self, until: float) -> None:
        """Let it go on until a moment of `boot_seconds`."""
        stdin = self.process.stdin
        assert stdin is not None
        with suppress(OSError, ValueError):  # it has just ended, or it is frozen and the pipe is full
            os.write(stdin.fileno(), f"{until}\n".encode())

    def end(self, why: str) -> None:
        """Have it end soon and keep what it read."""
        self.why_ended = self.why_ended or why
        if not self.told_at:
            self.told_at = time.monotonic()
            self.process.send_signal(signal.SIGINT)
        elif time.monotonic() - self.told_at > KILL_AFTER:
            self.kill()

    def kill(self) -> None:
        """Have the system end it."""
        if self.process.poll() is None:
            self.process.kill()

    @property
    def ended(self) -> bool:
        """Whether it is over, and everything it told is here."""
        return self.process.poll() is not None and not any(reader.is_alive() for reader in self._readers)

    def outcome(self) -> dict[str, Any]:
        """Its report, or what is known where it left none."""
        if self.report is not None:
            return self.report
        code = self.process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        error = {
            "what": f"The process of the run ended by itself with {how}",
            "why": "the system ends processes when memory runs out" if code == -signal.SIGKILL else "",
            "fix": "read its log",
            "code": "",
        }
        return {"status": "failed", "error": error}

    @property
    def interrupted(self) -> bool:
        """Whether it was ended before its time: by its worker, or by itself when it had no word from it."""
        if self.report is not None:
            status = self.report["status"]
            return bool(status == CANCELED or (status == FAILED and self.why_ended))
        return bool(self.why_ended) or self.process.returncode == LOST

    def close(self) -> None:
        """Let go of its pipes, when it is over."""
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _hear(self, out: IO[bytes]) -> None:
        """In a thread: take the lines of JSON."""
        for line in out:
            with suppress(orjson.JSONDecodeError):  # the last line of a process that was killed may be half a line
                for kind, told in orjson.loads(line.replace(_NUL, b"\\ufffd")).items():
                    self._take(kind, told)

    def _take(self, kind: str, told: Mapping[str, Any]) -> None:
        match kind:
            case "progress":
                self.course = went_on(self.course, told)
                self.progress = {**told, "course": self.course}
            case "report":
                self.report = {**told, "course": self.course}
            case "log":
                line = Line(told["level"], told["event"], told["stream"], told["data"])
                self.lines.append((datetime.fromisoformat(told["at"]), line))

    def _overhear(self, out: IO[bytes]) -> None:
        """In a thread: what a library prints before it dies is the only trace it leaves."""
        for text in out:
            said = mask(text.decode(errors="replace").replace("\0", "").strip())[:LONGEST_TEXT]
            if said:
                self.lines.append((datetime.now(UTC), Line(ERROR, "printed", data={"text": said})))


def start(run: Run, job: Mapping[str, Any]) -> Performance:
    """Begin to perform a run. Call it from a thread that lives as long as the run may."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("B24LAKE_") or name in _TOLD}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "b24lake.control.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=own,
        cwd=Path(job["home"]),
        start_new_session=True,  # Ctrl-C is for the worker
    )
    performance = Performance(run, process)
    assert process.stdin is not None
    try:
        process.stdin.write(orjson.dumps({**job, "parent": os.getpid()}) + b"\n")
        process.stdin.flush()
        os.set_blocking(process.stdin.fileno(), False)
    except OSError:  # it has died at once, and its outcome will say so
        pass
    for target, pipe in ((performance._hear, process.stdout), (performance._overhear, process.stderr)):
        reader = threading.Thread(target=target, args=(pipe,), daemon=True)
        reader.start()
        performance._readers.append(reader)
    return performance
