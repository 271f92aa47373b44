"""The service: what it costs when there is nothing to do, whether it keeps up, and what more workers bring.

python -m benchmarks.service
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
from sqlalchemy import func, select, update
from tests.control.postgres_server import Postgres, missing

from b24lake.control import runs
from b24lake.control.database import Database, open_database
from b24lake.control.keys import open_keyring
from b24lake.control.models import Run, Source, SourceStream, Trigger
from b24lake.control.moments import now
from b24lake.control.runs import ENDED
from b24lake.sandbox import Portal, Server, Settings
from b24lake.sync.home import Home
from benchmarks.harness import say
from benchmarks.report import Bar, Section

SOURCES = 500
IDLE_SECONDS, ROUNDS = 60, 5
PORTALS, WORKERS = 20, 3
SLEEPING = {"deals": 100, "deal_fields": 50, "threshold": 0, "round_trip_ms": 2500.0}
NOBODY = "http://127.0.0.1:9/rest/1/sandboxcode1234ab/"
COLUMNS = ("what", "measured", "unit")
ABOUT = (
    f"Idle: `b24lake serve` on SQLite with {SOURCES} sources and hourly schedules, none of them due, for "
    f"{IDLE_SECONDS} seconds. Keeping up: all {SOURCES} due at the same second, {ROUNDS} times; from that second until "
    "the last run is in the queue for everybody to see, while a worker takes up runs. Workers: "
    f"{PORTALS} portals that take their time ({SLEEPING['round_trip_ms']:.0f} ms for each request), read by one worker "
    f"process on PostgreSQL and by {WORKERS}, each with one run at once; start-up of the workers is not counted."
)


@contextmanager
def service(address: str | None) -> Iterator[tuple[Path, Database]]:
    """A home and its database."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(address, Home(Path(folder)))
        try:
            yield Path(folder), database
        finally:
            database.close()


def fill(home: Path, database: Database, urls: list[str], *, hourly: bool) -> None:
    """Active sources that read deals, one for each address."""
    keyring = open_keyring(database, Home(home), {})
    with database.writing() as session:
        for number, url in enumerate(urls):
            name = f"s{number}"
            about = {"state": "active", "portal": name, "prefix": f"{name}_", "retries": 0, "max_failures": 0}
            webhook = keyring.seal(url, session)
            session.add(Source(id=name, name=name, webhook=webhook, created_at=now(), updated_at=now(), **about))
            session.flush()
            session.add(
                SourceStream(source_id=name, stream="deals", sync_type="INCREMENTAL", table_name=f"{name}_deals")
            )
            if hourly:
                spec = {"cron": f"{(now().minute + 30) % 60} * * * *", "zone": "UTC"}
                session.add(Trigger(id=name, source_id=name, kind="schedule", spec=spec, created_at=now()))


@contextmanager
def started(home: Path, address: str | None, *words: str) -> Iterator[psutil.Process]:
    """A command of the service, from when it says that it is ready until it is told to end."""
    own = {**os.environ, "B24LAKE_HOME": str(home), "B24LAKE_LAKE": str(home / "lake")}
    own |= {"B24LAKE_DATABASE": address} if address else {}
    command = [sys.executable, "-m", "b24lake", *words]
    with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def cpu(process: psutil.Process) -> float:
    """Seconds, of the process alone."""
    times = process.cpu_times()
    return float(times.user + times.system)


def idle() -> tuple[float, float]:
    """Megabytes of 10^6 bytes, and the share of a core, of a service that has nothing to do."""
    with service(None) as (home, database):
        fill(home, database, [NOBODY] * SOURCES, hourly=True)
        with started(home, None, "serve", "--port", "0") as process:
            time.sleep(10)
            before, begin = cpu(process), time.perf_counter()
            time.sleep(IDLE_SECONDS)
            share = (cpu(process) - before) / (time.perf_counter() - begin)
            memory = sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
    return memory / 1e6, share


def keeps_up() -> list[float]:
    """Seconds from the time that all schedules are due until all their runs are queued, for each round."""
    took = []
    with service(None) as (home, database):
        fill(home, database, [NOBODY] * SOURCES, hourly=True)
        with started(home, None, "serve", "--port", "0", "--runs", "2"):
            for _ in range(ROUNDS):
                with database.writing() as session:
                    session.execute(update(Run).where(Run.state == "queued").values(state="canceled", ended_at=now()))
                    due = now() + timedelta(seconds=3)
                    session.execute(update(Trigger).values(next_at=due))
                while count(database, Run.due_at == due) < SOURCES:
                    time.sleep(0.02)
                took.append((now() - due).total_seconds())
    return took


def count(database: Database, condition: object) -> int:
    """How many runs there are of a kind."""
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Run).where(condition)) or 0  # type: ignore[arg-type]


def throughput(address: str, urls: list[str], workers: int) -> float:
    """Seconds in which so many workers read all portals, all of them with success."""
    with service(address) as (home, database), ExitStack() as stack:
        fill(home, database, urls, hourly=False)
        for _ in range(workers):
            stack.enter_context(started(home, address, "worker", "--runs", "1"))
        begin = time.perf_counter()
        for number in range(len(urls)):
            runs.request(database, f"s{number}", now())
        while count(database, Run.state.in_(ENDED)) < len(urls):
            time.sleep(0.1)
        seconds = time.perf_counter() - begin
        if count(database, Run.state == "success") < len(urls):
            raise RuntimeError("not every run was a success")
    return seconds


def main() -> None:
    """Measure, print, and write the section."""
    if missing():
        raise SystemExit("PostgreSQL is needed: on Debian and Ubuntu, apt-get install postgresql")
    memory, share = idle()
    say(f"idle: {memory:.0f} MB, {share:.1%} of a core")
    took = keeps_up()
    say(f"{SOURCES} due at once: {', '.join(f'{seconds:.2f}' for seconds in took)} s")
    postgres = Postgres()
    with ExitStack() as stack:
        stack.callback(postgres.close)
        urls = [stack.enter_context(Server(Portal(Settings(**SLEEPING)))).url for _ in range(PORTALS)]  # type: ignore[arg-type]
        one = throughput(postgres.database(), urls, 1)
        say(f"one worker: {one:.0f} s")
        several = throughput(postgres.database(), urls, WORKERS)
        say(f"{WORKERS} workers: {several:.0f} s, {one / several:.2f}x")
    section = Section(
        title="Service",
        about=ABOUT,
        command="python -m benchmarks.service",
        columns=COLUMNS,
        rows=[
            ("idle: memory", f"{memory:.0f}", "MB"),
            ("idle: processor", f"{share:.1%}", "of a core"),
            (f"{SOURCES} due at once: median", f"{sorted(took)[len(took) // 2]:.2f}", "s"),
            (f"{SOURCES} due at once: worst", f"{max(took):.2f}", "s"),
            (f"{PORTALS} portals: one worker", f"{one:.0f}", "s"),
            (f"{PORTALS} portals: {WORKERS} workers", f"{several:.0f}", "s"),
            ("ratio", f"{one / several:.2f}", "x"),
        ],
        bars=[
            Bar(asks="under 300 MB when idle", measured=f"{memory:.0f} MB", passed=memory < 300),
            Bar(asks="under 3 % of a core when idle", measured=f"{share:.1%}", passed=share < 0.03),
            Bar(asks="each due run queued within 2 s", measured=f"{max(took):.2f} s", passed=max(took) <= 2),
            Bar(
                asks=f"at least 2.5x with {WORKERS} workers",
                measured=f"{one / several:.2f}x",
                passed=one / several >= 2.5,
            ),
        ],
    )
    section.show()
    section.save()


if __name__ == "__main__":
    main()
