"""Worker processes killed, frozen, and cut off from the database: nothing is lost, and nothing runs twice."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Self

import psutil
import psycopg
import pytest
from deltalake import DeltaTable
from postgres_server import Postgres

from b24lake.control import logs
from b24lake.control.moments import now
from b24lake.sandbox import Server
from running import Lake, command, environment
from service import Service, spawn, until

Serve = Callable[..., Server]
SLOW = {"deals": 3000, "page_ms": 250, "deal_fields": 50}  # some fifteen seconds of reading
WORKERS = 3


class Watch:
    """Looks all the time which runs have a process, and remembers the most that one run had at once."""

    def __init__(self) -> None:
        self.most: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._stop.wait(0.1):
            at_once = Counter(title for process in psutil.process_iter() if (title := _title(process)))
            self.most |= at_once

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _title(process: psutil.Process) -> str:
    try:
        title = " ".join(process.cmdline())
    except psutil.Error:
        return ""
    return title.strip() if title.startswith("b24lake run ") else ""


@contextmanager
def workers(address: str, service: Service, count: int = WORKERS) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Worker processes; what is left of them at the end is killed."""
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            process = stack.enter_context(spawn(address, service))
            stack.callback(process.send_signal, signal.SIGCONT)
            stack.callback(process.kill)
            started.append(process)
        yield started


def holder(service: Service, run_id: str, processes: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """The process of the worker that holds a run."""
    pid = int(service.run(run_id)["worker"].split("-")[-2])
    return next(process for process in processes if process.pid == pid)


def read_some(service: Service, run_id: str) -> Callable[[], bool]:
    return lambda: bool(service.run(run_id)["progress"].get("rows", 0) >= 500)


def rows(service: Service, name: str) -> int:
    return int(DeltaTable(str(service.lake / "raw" / f"{name}_deals")).to_pyarrow_dataset().count_rows())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_run_of_a_worker_that_is_killed_or_frozen_is_gone_on_with_by_another(
    service: Service, address: str, serve: Serve, number: signal.Signals
) -> None:
    names = [f"s{one}" for one in range(WORKERS)]
    ids = [service.request(service.source(name, serve(**SLOW).url)) for name in names]
    with workers(address, service) as processes, Watch() as watch:
        for run_id in ids:
            until(read_some(service, run_id))
        lost = holder(service, ids[1], processes)
        lost.send_signal(number)
        until(lambda: service.run(ids[1])["claims"] == 2)
        if number == signal.SIGSTOP:
            lost.send_signal(signal.SIGCONT)
        ended = [service.awaited(run_id) for run_id in ids]
    assert [(run["state"], run["claims"], run["error"]) for run in ended] == [
        ("success", 1, None),
        ("success", 2, None),
        ("success", 1, None),
    ]
    assert any("goes on behind" in note for note in ended[1]["notes"])
    assert [rows(service, name) for name in names] == [3000] * WORKERS
    assert set(watch.most.values()) == {1}
    assert [line["event"] for line in logs.read(service.database, ids[1])].count("interrupted") == 1


@pytest.mark.slow
def test_a_run_outlives_postgres_being_gone_for_longer_than_its_lease(
    postgres: Postgres, postgres_address: str, service_on_postgres: Service, serve: Serve
) -> None:
    service = service_on_postgres
    run_id = service.request(service.source("crm", serve(**SLOW).url))
    with workers(postgres_address, service, 2) as processes, Watch() as watch:
        until(read_some(service, run_id))
        postgres.stop()
        time.sleep(12)
        postgres.start()
        run = service.awaited(run_id)
        assert [process.poll() for process in processes] == [None, None]
    assert (run["state"], run["claims"], run["attempt"]) == ("success", 2, 1)
    assert any("goes on behind" in note for note in run["notes"])
    assert rows(service, "crm") == 3000
    assert set(watch.most.values()) == {1}


@pytest.mark.slow
def test_cut_connections_are_made_anew_and_the_run_does_not_notice(
    postgres_address: str, service_on_postgres: Service, serve: Serve
) -> None:
    service = service_on_postgres
    run_id = service.request(service.source("crm", serve(**SLOW).url))
    with workers(postgres_address, service, 1):
        until(read_some(service, run_id))
        for _ in range(3):
            with psycopg.connect(postgres_address, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            time.sleep(0.7)
        run = service.awaited(run_id)
    assert (run["state"], run["claims"]) == ("success", 1)


@pytest.mark.slow
def test_a_service_that_is_killed_leaves_its_schedules_and_runs_to_the_next_one(
    small: Service, serve: Serve, tmp_path: Path
) -> None:
    small.source("crm", serve(**SLOW).url)
    small.trigger("t", "crm", {"cron": "0 0 1 1 *", "zone": "UTC"}, next_at=now() + timedelta(seconds=3))
    lake = Lake(small.lake, small.home.path)
    words = command("serve", "--port", "0", "--json")
    with subprocess.Popen(words, env=environment(lake), stdout=subprocess.DEVNULL) as first:
        until(lambda: bool(small.runs()))
        [queued] = small.runs()
        until(read_some(small, queued["id"]))
        first.kill()
    with subprocess.Popen(words, env=environment(lake), stdout=subprocess.PIPE) as second:
        run = small.awaited(queued["id"])
        second.terminate()
        said, _ = second.communicate(timeout=30)
    assert second.returncode == 0
    assert json.loads(said)["worker"] == run["worker"]
    assert (run["state"], run["claims"], run["cause"]) == ("success", 2, "schedule")
    assert len(small.runs()) == 1
    assert rows(small, "crm") == 3000
