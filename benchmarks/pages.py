"""The web app's pages: how long the server takes for each, how heavy it is, and how soon the first one is there.

python -m benchmarks.pages [PATH ...]

A page of the app is a row of PAGES. Names in braces are those of `Known`.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import httpx
import psutil
from sqlalchemy import insert

from b24lake.control.course import went_on
from b24lake.control.database import Database, open_database
from b24lake.control.keys import open_keyring
from b24lake.control.models import Run, RunLog, RunStream, SchemaChange, Source, SourceStream, Trigger
from b24lake.control.moments import now
from b24lake.sync.home import Home
from benchmarks.harness import say
from benchmarks.report import Bar, Section
from benchmarks.service import cpu

SOURCES, RUNS, LINES, REQUESTS, STARTS = 200, 50_000, 5_000, 15, 3
STREAMS = ("activities", "companies", "contacts", "deal_fields", "deal_stage_history", "deals", "leads", "users")
PAGES = (
    "/sources",
    "/sources?sort=health",
    "/sources?q=berlin&state=failing",
    "/sources/{source}",
    "/sources/{source}/streams",
    "/sources/{source}/runs",
    "/sources/{source}/schema",
    "/sources/{source}/triggers",
    "/sources/{source}/settings",
    "/sources/{source}/alerts",
    "/sources/new",
    "/sources/new/bitrix24",
    "/catalog",
    "/help",
    "/api",
    "/api/v1/sources",
    "/runs",
    "/runs?state=failed",
    "/runs?state=failed&state=partial",
    "/runs?source={source}",
    "/runs?source={source}&state=partial",
    "/runs?before={cursor}",
    "/runs/{run}",
    "/runs/{live}",
    "/runs/{live}/progress",
    "/runs/{run}/log?q=page+4999",
)
MOST_MS, MOST_KB, MOST_SECONDS = 150, 400, 4.0
NOBODY = "http://127.0.0.1:9/rest/1/sandboxcode1234ab/"
COLUMNS = ("page", "median ms", "slowest ms", "processor ms", "first visit, kB")
ABOUT = (
    f"`b24lake serve` on SQLite with {SOURCES} sources of {len(STREAMS)} streams and {RUNS:,} runs, the newest of them "
    f"with {LINES:,} lines of log. One client on the same machine: the median and the slowest of {REQUESTS} requests "
    "after one that does not count, and the processor time that the service took for each. The first visit is the page "
    "with everything it loads, as it is sent (gzip). Start: from the command to the end of the first page, the median "
    f"of {STARTS}, in a new home and with all the runs."
)


@dataclass(frozen=True)
class Known:
    """What the addresses of PAGES name: a source, its last run, a run at work, and a place amid all runs."""

    source: str
    run: str
    live: str
    cursor: str


# --- what is there ----------------------------------------------------------------------------------------------------


def fill(home: Home, database: Database) -> Known:
    """Sources and their runs: one of each source every two hours or so, most of them a success."""
    keyring, at = open_keyring(database, home, {}), now()
    names = [f"s{number:03}" for number in range(SOURCES)]
    with database.writing() as session:
        webhook = keyring.seal(NOBODY, session)
        about = {"webhook": webhook, "webhook_shown": "http://127.0.0.1:9/rest/1/***/", "state": "active"}
        sources = [
            {"id": name, "name": f"Portal {name}", "portal": name, "prefix": f"{name}_", **about}
            | {"created_at": at, "updated_at": at}
            for name in names
        ]
        session.execute(insert(Source), sources)
        streams = [(name, stream) for name in names for stream in STREAMS]
        session.execute(insert(SourceStream), [_stream(*one) for one in streams])
        spec = {"cron": "30 */2 * * *", "zone": "UTC"}
        due = at + timedelta(days=1)
        trigger = {"kind": "schedule", "spec": spec, "created_at": at, "next_at": due}
        session.execute(insert(Trigger), [{"id": name, "source_id": name, **trigger} for name in names])
        runs = [_run(number, names[number % SOURCES], at) for number in range(RUNS)]
        session.execute(insert(Run), runs)
        last = runs[-2]
        session.execute(insert(RunStream), [line for run in runs[:-1] for line in _lines(run)])
        session.execute(insert(RunLog), [_said(str(last["id"]), number, at) for number in range(LINES)])
        session.execute(insert(SchemaChange), [_change(last, number, at) for number in range(20)])
    middle = runs[RUNS // 2]
    cursor = f"{middle['queued_at'].isoformat()}~{middle['id']}".replace("+", "%2B")
    return Known(str(last["source_id"]), str(last["id"]), str(runs[-1]["id"]), cursor)


def _stream(source: str, stream: str) -> dict[str, Any]:
    return {"source_id": source, "stream": stream, "sync_type": "INCREMENTAL", "table_name": f"{source}_{stream}"}


def _run(number: int, source: str, end: datetime) -> dict[str, Any]:
    """The run of a number; the last one is at work."""
    at, live = end - timedelta(seconds=36 * (RUNS - number)), number == RUNS - 1
    state = "running" if live else "failed" if number % 23 == 0 else "partial" if number % 101 == 0 else "success"
    error = {"what": "The portal did not answer", "why": "it timed out", "fix": "try again", "code": ""}
    figures: dict[str, Any] = {"requests": 0, "rows": 0, "portal_seconds": 0.0, "operating": 0.0}
    course: dict[str, Any] = {}
    for second in range(120 if live or number == RUNS - 2 else 5):
        course = went_on(course, {**figures, "seconds": float(second), "requests": 2 * second, "rows": 500 * second})
    return {
        "id": f"{at:%Y%m%dT%H%M%S}-{number:010x}",
        "source_id": source,
        "portal": source,
        "trigger_id": source,
        "due_at": at,
        "cause": "schedule",
        "state": state,
        "queued_at": at,
        "started_at": at,
        "ended_at": None if live else at + timedelta(seconds=20 + number % 60),
        "progress": {**figures, "phase": "reading", "streams": [_moving(one) for one in STREAMS], "course": course}
        if live
        else {},
        "report": {} if live else {"status": state, "notes": [], "course": course},
        "error": error if state in {"failed", "partial"} else None,
        "requests": 30 + number % 50,
        "rows_read": 1000 + number % 9000,
    }


def _moving(stream: str) -> dict[str, Any]:
    told = {"name": stream, "table": f"raw.{stream}", "state": "reading", "error": None, "share": 0.4}
    return {**told, "rows": 500, "commands": 10, "portal_seconds": 2.0, "rests": 0, "rest_seconds": 0}


def _lines(run: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for stream in STREAMS[:4] if run["state"] == "success" else STREAMS[:2]:
        result = {"table": f"raw.{stream}", "rows_read": 900, "rows_inserted": 10, "rows_updated": 5, "rows_deleted": 0}
        result |= {"misfits": 0, "commands": 18, "portal_seconds": 1.5, "rests": 0, "version": 7, "error": None}
        yield {"run_id": run["id"], "stream": stream, "status": "success", "result": result}


def _said(run_id: str, number: int, at: datetime) -> dict[str, Any]:
    told = {"run_id": run_id, "at": at, "level": "info", "stream": "deals", "event": f"page {number}"}
    return {**told, "data": {"table": "raw.deals"}}


def _change(run: dict[str, Any], number: int, at: datetime) -> dict[str, Any]:
    told = {"source_id": run["source_id"], "run_id": run["id"], "stream": "deals", "table_name": "raw.deals", "at": at}
    return {**told, "kind": "added", "column": f"UF_CRM_{number}", "detail": {"before": "", "after": "string"}}


# --- what it takes ----------------------------------------------------------------------------------------------------


class Took(NamedTuple):
    """Milliseconds of each of several times, and of the processor."""

    each: list[float]
    cpu: float

    @property
    def median(self) -> float:
        """Of the times."""
        return median(self.each)

    def row(self, name: str, weight: str) -> tuple[str, ...]:
        """A row of the table."""
        return name, f"{self.median:,.0f}", f"{max(self.each):,.0f}", f"{self.cpu:,.0f}", weight


@dataclass(frozen=True, slots=True)
class Service:
    """A service at work, and what it took until its first page had come: seconds, and those of the processor."""

    address: str
    process: psutil.Process
    seconds: float
    cpu_seconds: float


@contextmanager
def served(home: Path, lake: Path | None = None) -> Iterator[Service]:
    """A service from its first page on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {**os.environ, "B24LAKE_HOME": str(home), "B24LAKE_LAKE": str(lake or home / "lake")}
    command = [sys.executable, "-m", "b24lake", "serve", "--port", str(port)]
    address, begin = f"http://127.0.0.1:{port}", time.perf_counter()
    with subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        try:
            while not _answers(address):
                if process.poll() is not None or time.perf_counter() - begin > 60:
                    raise RuntimeError("the service does not start")
                time.sleep(0.02)
            yield Service(address, watched, time.perf_counter() - begin, cpu(watched))
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/sources").status_code == 200
    except httpx.TransportError:
        return False


def start(home: Path) -> Took:
    """What a start took, until the end of the first page."""
    with served(home) as service:
        return Took([1000 * service.seconds], 1000 * service.cpu_seconds)


def times(service: Service, client: httpx.Client, path: str) -> Took:
    """What a page took."""
    took, before = list[float](), cpu(service.process)
    for _ in range(REQUESTS + 1):
        begin = time.perf_counter()
        answer = client.get(path)
        took.append(1000 * (time.perf_counter() - begin))
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code}")
    return Took(took[1:], 1000 * (cpu(service.process) - before) / (REQUESTS + 1))


def weight(address: str, path: str) -> float:
    """Kilobytes of a page and everything it loads, as sent, for a browser that was never here."""
    with httpx.Client(base_url=address) as client:
        page = client.get(path)
        loaded = dict.fromkeys(re.findall(r'(?:src|href)="(/static/[^"#]+)', page.text))
        return (sent(client, path) + sum(sent(client, one) for one in loaded)) / 1000


def sent(client: httpx.Client, path: str) -> int:
    """Bytes of an answer on the wire, without its head."""
    with client.stream("GET", path) as answer:
        return sum(len(part) for part in answer.iter_raw())


def main() -> None:
    """Measure, print, and write the section."""
    asked = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        database = open_database(None, home)
        known = fill(home, database)
        database.close()
        say(f"{RUNS:,} runs are there")
        starts = together([start(home.path) for _ in range(STARTS)])
        fresh = together([fresh_start() for _ in range(STARTS)])
        say(f"starts: {', '.join(f'{one:,.0f}' for one in [*starts.each, *fresh.each])} ms")
        with served(home.path) as service, httpx.Client(base_url=service.address, timeout=60) as client:
            paths = {name: name.format(**asdict(known)) for name in asked or PAGES}
            took = {name: times(service, client, path) for name, path in paths.items()}
            heavy = {name: weight(service.address, path) for name, path in paths.items()}
    section = Section(
        title="Pages",
        about=ABOUT,
        command="python -m benchmarks.pages",
        columns=COLUMNS,
        rows=[
            *(one.row(name, f"{heavy[name]:.0f}") for name, one in took.items()),
            fresh.row("start in a new home", ""),
            starts.row(f"start with {RUNS:,} runs", ""),
        ],
        bars=bars(took, heavy, max(starts.median, fresh.median)),
    )
    section.show()
    if not asked:
        section.save()


def fresh_start() -> Took:
    """What a start takes where there is nothing yet."""
    with tempfile.TemporaryDirectory() as folder:
        return start(Path(folder))


def together(several: list[Took]) -> Took:
    """Several measurements of the same."""
    return Took([one for took in several for one in took.each], median(took.cpu for took in several))


def bars(took: dict[str, Took], heavy: dict[str, float], start: float) -> list[Bar]:
    """The bars; `start` in milliseconds."""
    slow, big, seconds = max(one.median for one in took.values()), max(heavy.values()), start / 1000
    return [
        Bar(asks=f"every page under {MOST_MS} ms", measured=f"{slow:.0f} ms", passed=slow < MOST_MS),
        Bar(asks=f"every first visit under {MOST_KB} kB", measured=f"{big:.0f} kB", passed=big < MOST_KB),
        Bar(
            asks=f"the first page within {MOST_SECONDS:.0f} s",
            measured=f"{seconds:.1f} s",
            passed=seconds <= MOST_SECONDS,
        ),
    ]


if __name__ == "__main__":
    main()
