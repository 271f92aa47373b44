"""A service in tests: sources over sandbox portals, workers in threads and as processes, a clock that is turned."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from b24lake.control import finishing, queue, runs
from b24lake.control.database import Database
from b24lake.control.keys import open_keyring
from b24lake.control.models import Run, Source, SourceStream, Trigger
from b24lake.control.moments import now
from b24lake.control.secrets import Keyring
from b24lake.control.worker import Worker
from b24lake.control.workers import Pace
from b24lake.errors import RetryError
from b24lake.streams.definitions import STREAMS
from b24lake.sync.home import Home

QUICK = Pace(beat=0.5, lease=4.0, grace=2.0, silent=8.0)
NOBODY = "https://acme.bitrix24.com/rest/1/SECRETSECRET/"
PATIENCE = 120  # seconds


@dataclass
class Clock:
    """A clock that goes only when it is turned."""

    at: datetime = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def turn(self, **by: float) -> datetime:
        self.at += timedelta(**by)
        return self.at


@dataclass
class Service:
    """A database with its key, a home and a lake; its workers have a clock of their own, the real one."""

    database: Database
    home: Home
    lake: Path
    clock: Clock = field(default_factory=Clock)
    keyring: Keyring = field(init=False)

    def __post_init__(self) -> None:
        self.keyring = open_keyring(self.database, self.home, {})

    def source(self, name: str, url: str = NOBODY, *streams: str, **columns: Any) -> str:
        """An active source that reads some streams."""
        made = {"created_at": now(), "updated_at": now(), "state": "active", "portal": name, "retries": 0}
        with self.database.writing() as session:
            webhook = self.keyring.seal(url, session)
            session.add(Source(id=name, name=name.upper(), webhook=webhook, prefix=f"{name}_", **{**made, **columns}))
            session.flush()
            for stream in streams or ("deals",):
                table = f"{name}_{stream}"
                sync_type = STREAMS[stream].sync_types[0]
                row = SourceStream(source_id=name, stream=stream, sync_type=sync_type, table_name=table)
                session.add(row)
        return name

    def trigger(self, name: str, source: str, spec: Mapping[str, Any], **columns: Any) -> str:
        kind = "event" if "sources" in spec else "schedule"
        with self.database.writing() as session:
            row = Trigger(id=name, source_id=source, kind=kind, spec=dict(spec), **{"created_at": now(), **columns})
            session.add(row)
        return name

    def request(self, source: str, **how: Any) -> str:
        return runs.request(self.database, source, self.clock.turn(seconds=1), **how)

    def run(self, run_id: str) -> dict[str, Any]:
        return runs.shown(self.database, run_id)

    def runs(self, **which: Any) -> list[dict[str, Any]]:
        """The oldest first."""
        return runs.listed(self.database, limit=1000, **which)[::-1]

    def get(self, source: str) -> Source:
        with self.database.reading() as session:
            return session.get_one(Source, source)

    def claim(self, worker: str = "w1") -> Run | None:
        return queue.claim(self.database, worker, self.clock.turn(seconds=1))

    def end(self, run_id: str, status: str, **report: Any) -> None:
        """As a worker that wrote down a run's report."""
        with self.database.writing() as session:
            run = session.get_one(Run, run_id)
            finishing.finish(session, run, {"status": status, **report}, self.clock.turn(seconds=1))

    def perform(self, status: str, **report: Any) -> str:
        """Take up the next run and end it. Returns its source."""
        run = self.claim()
        assert run is not None
        self.end(run.id, status, **report)
        return run.source_id

    def awaited(self, run_id: str, *states: str) -> dict[str, Any]:
        """The run as soon as it is in one of the states; any end by default."""
        found: dict[str, Any] = {}

        def there() -> bool:
            with suppress(RetryError):  # the database may be gone
                found.update(self.run(run_id))
            return found.get("state") in (states or runs.ENDED)

        until(there, lambda: str(found))
        return found

    def idle_worker(self, **how: Any) -> Worker:
        """A worker that does only what it is told."""
        return Worker(self.database, self.keyring, self.home, self.lake, now, **how)

    @contextmanager
    def worker(self, **how: Any) -> Iterator[Worker]:
        """A worker in a thread; it winds up at the end."""
        worker = self.idle_worker(**how)
        stopped = threading.Event()
        thread = threading.Thread(target=worker.work, args=(stopped.is_set,))
        thread.start()
        try:
            yield worker
        finally:
            stopped.set()
            thread.join()


def until(there: Callable[[], bool], or_say: Callable[[], str] = lambda: "") -> None:
    """Wait for something that must happen."""
    deadline = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < deadline, or_say()
        time.sleep(0.05)


def waits_for_a_lock(address: str) -> bool:
    """Whether somebody in this PostgreSQL database waits for a lock of somebody else."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(address) as connection:
        row = connection.execute(waiting).fetchone()
    return row is not None and row[0] > 0


def failing(why: str = "it is broken", **more: Any) -> dict[str, Any]:
    return {"error": {"what": "The portal failed", "why": why, "fix": "mend it", "code": "", **more}}


def spawn(address: str, service: Service, pace: Pace = QUICK, *, home: Path | None = None) -> subprocess.Popen[bytes]:
    """A worker as a process of its own; `home` where it has another one, as on another machine."""
    numbers = [str(each) for each in (pace.beat, pace.lease, pace.grace, pace.silent)]
    words = [sys.executable, str(Path(__file__).with_name("one_worker.py")), address, str(home or service.home.path)]
    return subprocess.Popen([*words, str(service.lake), *numbers])
