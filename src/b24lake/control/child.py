"""The process of one run: its job comes by stdin, what happens goes by stdout, and it ends with its worker.

    stdin    one line of JSON, the job (`job.py`); after that lines with a number: it may go on until that moment
    stdout   lines of JSON: {"progress": …}, {"log": …}, and at last {"report": …} or {"error": …}

The webhook comes by stdin, so that no list of processes and no environment ever holds it. A worker that cannot tell the
database that it lives stops prolonging the run's time, and so does one that is frozen or dead: the run ends by itself
before another worker may take it up. SIGINT ends it at once and keeps what was read.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

import orjson
import setproctitle

from b24lake.control.moments import boot_seconds
from b24lake.control.telling import ERROR, WARNING, Line, news
from b24lake.errors import B24LakeError
from b24lake.portal.webhook import Webhook, mask, parse

if TYPE_CHECKING:  # the rest takes a second to import: in `_perform`, where the lease runs and a signal does no harm
    from b24lake.sync.options import Options
    from b24lake.sync.run import Progress

LOOK_SECONDS = 0.5  # between two looks at the run
LOST = 75  # the exit code of one that did not; `performing` knows it
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Teller:
    """Tells the worker what happens, as lines of JSON without a secret."""

    out: IO[bytes]
    webhook: Webhook | None = None
    seen: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, kind: str, told: Mapping[str, Any]) -> None:
        """One line."""
        line = orjson.dumps({kind: told}, default=str).decode()
        line = self.webhook.scrub(line) if self.webhook else mask(line)
        with self.lock:
            self.out.write(line.encode() + b"\n")
            self.out.flush()

    def log(self, line: Line) -> None:
        """One line of the log."""
        self.tell("log", {"at": datetime.now(UTC).isoformat(), **line._asdict()})

    def look(self, progress: Progress) -> None:
        """Tell what is new since the last look."""
        from b24lake.sync.watching import figures

        seen = figures(progress, time.time())
        for line in news(self.seen, seen):
            self.log(line)
        if {**seen, "seconds": 0} != {**self.seen, "seconds": 0}:
            self.tell("progress", {name: value for name, value in seen.items() if name != "notes"})
        self.seen = seen


class _ToTeller(logging.Handler):
    """Warnings of libraries go into the run's log."""

    def __init__(self, teller: Teller) -> None:
        super().__init__(logging.WARNING)
        self.teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        level = ERROR if record.levelno >= logging.ERROR else WARNING
        self.teller.log(Line(level, record.getMessage()[:2000], data={"logger": record.name}))


def main() -> int:
    """Perform the job on stdin."""
    teller = Teller(_own_stdout())
    job = orjson.loads(sys.stdin.buffer.readline())
    setproctitle.setproctitle(f"b24lake run {job['run_id']}")
    _end_with(job["parent"])
    signal.signal(signal.SIGINT, _interrupt_once)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # for the worker, who tells what to do
    logging.getLogger().addHandler(_ToTeller(teller))
    threading.Thread(target=_Lease(job["until"], job["grace"]).keep, daemon=True).start()
    try:
        _perform(job, teller)
    except BrokenPipeError:
        return LOST
    return 0


def _perform(job: Mapping[str, Any], teller: Teller) -> None:
    done = threading.Event()
    seen: list[Progress] = []
    ticker = threading.Thread(target=_tick, args=(teller, seen, done), daemon=True)
    told: dict[str, Any] | None = None
    try:
        try:
            teller.webhook = parse(job["webhook"], allow_http=True)
            ticker.start()
            _sync(job, teller.webhook, seen)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is over: the report must get out
    except KeyboardInterrupt:
        told = {}
    except B24LakeError as error:
        told = {**error.as_json(), "kind": type(error).__name__}
    except Exception as error:  # noqa: BLE001  the run must say what became of it
        teller.log(Line(ERROR, "traceback", data={"text": traceback.format_exc()[-8000:]}))
        told = {
            "what": f"The run broke off: {type(error).__name__}",
            "why": str(error)[:500],
            "fix": "read its log",
            "code": "",
            "kind": "",
        }
    done.set()
    if ticker.ident:
        ticker.join()
    for progress in seen:
        teller.look(progress)
    _say_the_end(seen, told, teller)


def _sync(job: Mapping[str, Any], webhook: Webhook, seen: list[Progress]) -> None:
    """The run itself; whoever looks at its progress finds that in `seen`."""
    from b24lake.sync.home import Home
    from b24lake.sync.run import Progress, sync

    seen.append(Progress())
    sync(webhook, options_of(job["options"]), Home(Path(job["home"])), seen[0], run_id=job["read_as"])


def _say_the_end(seen: list[Progress], error: dict[str, Any] | None, teller: Teller) -> None:
    """The report, and what ended the run before its time; {} = it was interrupted."""
    report = seen[0].report if seen else None
    if report is not None and error is not None:
        report.status = "failed" if error else "canceled"
    document = report.as_json() if report is not None else {"status": "canceled" if error == {} else "failed"}
    teller.tell("report", {**document, "error": error or document.get("error")})


def _tick(teller: Teller, seen: list[Progress], done: threading.Event) -> None:
    try:
        while not done.wait(LOOK_SECONDS):
            for progress in seen:
                teller.look(progress)
    except BrokenPipeError:
        os._exit(LOST)


def options_of(told: Mapping[str, Any]) -> Options:
    """The options as JSON brought them."""
    from b24lake.lake.place import place
    from b24lake.sync.options import Options

    made: dict[str, Any] = {**told, "lake": place(told["lake"])}
    for name in ("overlap", "calls_look_back"):
        if name in made:
            made[name] = timedelta(seconds=made[name])
    for name in ("streams", "deal_categories", "exclude", "hash"):
        if name in made:
            made[name] = tuple(made[name])
    return Options(**made)


# --- whose process this is --------------------------------------------------------------------------------------------


class _Lease:
    """The time that the worker gives: without word from it, the run ends.

    until   by `boot_seconds`, which all processes of a machine share
    grace   seconds that the run then has to end by itself
    """

    def __init__(self, until: float, grace: float) -> None:
        self.until, self.grace = until, grace

    def keep(self) -> None:
        """Take what the worker says, and end the run when its time is over or the worker is gone."""
        threading.Thread(target=self._watch, daemon=True).start()
        for line in sys.stdin.buffer:
            self.until = max(self.until, float(line))
        self.until = 0.0

    def _watch(self) -> None:
        while boot_seconds() < self.until:
            time.sleep(0.2)
        late = threading.Timer(self.grace, os._exit, (LOST,))
        late.daemon = True
        late.start()
        os.kill(os.getpid(), signal.SIGINT)


def _own_stdout() -> IO[bytes]:
    """Stdout for the worker alone: what anything else prints goes to stderr."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return out


def _interrupt_once(_number: int, _frame: FrameType | None) -> None:
    """The first signal ends the run; another one must not disturb what keeps its rows."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with(parent: int) -> None:
    """Have the system kill this process when its worker dies; where it cannot, the closed pipe tells."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(LOST)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # threads that still wait for the portal must not hold up the end
