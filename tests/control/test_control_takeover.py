"""Worker processes killed, frozen, and cut off from the database: nothing is lost, and nothing runs twice."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from deltalake import DeltaTable
from fleet import (
    SLOW,
    WORKERS,
    Line,
    Watch,
    assert_gone_on,
    children,
    elsewhere,
    gone,
    holder,
    killed,
    read_some,
    table,
    truth,
    workers,
)
from postgres_server import Postgres

from b24lake.control import logs
from b24lake.control import workers as known_workers
from b24lake.control.models import Run, Worker
from b24lake.control.moments import now
from b24lake.control.workers import Pace, Watched, watched
from b24lake.errors import RetryError
from b24lake.sandbox import Server
from running import Lake, command, environment
from service import QUICK, Service, spawn, until

Serve = Callable[..., Server]


def test_a_lost_worker_is_noticed_long_before_a_minute_is_over_and_after_its_runs_have_ended() -> None:
    pace, at, looks = Pace(), now(), 0
    other = {"w": Watched(at)}
    while other["w"].silent <= pace.silent:
        other, looks = watched(other, {"w": at}, pace.beat, longest=2 * pace.beat), looks + 1
    assert pace.lease + pace.grace < pace.silent < looks * pace.beat < 30


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_run_of_a_worker_that_is_killed_or_frozen_is_gone_on_with_by_another(
    service: Service, address: str, serve: Serve, number: signal.Signals
) -> None:
    servers = [serve(**SLOW) for _ in range(WORKERS)]
    ids = [service.request(service.source(f"s{one}", server.url)) for one, server in enumerate(servers)]
    with workers(address, service) as processes, Watch(service) as watch:
        until(lambda: all(service.run(run_id)["progress"].get("rows") for run_id in ids))
        until(lambda: read_some(service, ids[1]))
        lost = holder(service, ids[1], processes)
        lost.send_signal(number)
        until(lambda: service.run(ids[1])["claims"] == 2)
        if number == signal.SIGSTOP:
            lost.send_signal(signal.SIGCONT)
        ended = [service.awaited(run_id) for run_id in ids]
    assert [(run["state"], run["claims"], run["error"]) for run in (ended[0], ended[2])] == [("success", 1, None)] * 2
    assert [table(service, run["source"]) for run in ended] == [truth(server) for server in servers]
    assert watch.most == {1}
    assert [line["event"] for line in logs.read(service.database, ids[1])].count("interrupted") == 1
    assert_gone_on(service, ended[1], servers[1])


@pytest.mark.slow
def test_a_frozen_machine_that_thaws_after_another_took_over_changes_nothing(
    postgres_address: str, service_on_postgres: Service, serve: Serve, tmp_path: Path
) -> None:
    """Worker and run stand still, and hold no lock that the other machine knows: what they still do comes too late."""
    service, server = service_on_postgres, serve(**SLOW)
    run_id = service.request(service.source("crm", server.url))
    with killed(spawn(postgres_address, service)) as first:
        until(lambda: read_some(service, run_id))
        [frozen] = children(first)
        first.send_signal(signal.SIGSTOP)
        frozen.suspend()
        with killed(spawn(postgres_address, service, home=elsewhere(service, tmp_path / "other"))) as second:
            until(lambda: service.run(run_id)["claims"] == 2)
            until(lambda: bool(service.run(run_id)["progress"].get("rows")))
            frozen.resume()
            first.send_signal(signal.SIGCONT)
            frozen.wait(60)
            run = service.awaited(run_id)
            assert str(second.pid) in run["worker"]
    events = [line["event"] for line in logs.read(service.database, run_id)]
    assert (events.count("interrupted"), events.count("success")) == (1, 2)  # of the run, and of its stream
    assert DeltaTable(str(service.lake / "raw" / "crm_deals")).history(1)[0]["b24lake.run"] == f"{run_id}-2"
    assert_gone_on(service, run, server)


@pytest.mark.slow
def test_a_worker_that_freezes_in_the_middle_of_a_transaction_holds_nobody_up(service_on_postgres: Service) -> None:
    service = service_on_postgres
    run_id = service.request(service.source("crm"))
    frozen = known_workers.join(service.database, now())
    assert service.claim(frozen) is not None
    with pytest.raises(RetryError), service.database.writing() as session:
        session.get_one(Run, run_id, with_for_update=True).requests = 7
        session.get_one(Worker, frozen, with_for_update=True)
        session.flush()
        with service.worker(pace=QUICK):
            until(lambda: service.run(run_id)["claims"] == 2)
        session.flush()
        session.get_one(Run, run_id, populate_existing=True)
    assert service.run(run_id)["requests"] == 0


@pytest.mark.slow
def test_a_run_outlives_postgres_being_gone_for_longer_than_its_lease(
    postgres: Postgres, postgres_address: str, service_on_postgres: Service, serve: Serve
) -> None:
    service, server = service_on_postgres, serve(**SLOW)
    run_id = service.request(service.source("crm", server.url))
    with workers(postgres_address, service) as processes, Watch(service) as watch:
        until(lambda: read_some(service, run_id))
        mine = children(holder(service, run_id, processes))
        postgres.stop()
        until(lambda: all(gone(one) for one in mine))  # by itself, when its lease is over
        postgres.start()
        run = service.awaited(run_id)
        assert [process.poll() for process in processes] == [None] * WORKERS
    assert watch.most == {1}
    assert_gone_on(service, run, server)


@pytest.mark.slow
def test_the_run_of_a_worker_that_alone_cannot_reach_postgres_goes_to_another(
    postgres_address: str, service_on_postgres: Service, serve: Serve
) -> None:
    service, server = service_on_postgres, serve(**SLOW)
    run_id = service.request(service.source("crm", server.url))
    with ExitStack() as stack:
        line = stack.enter_context(closing(Line(postgres_address)))
        watch = stack.enter_context(Watch(service))
        cut_off = stack.enter_context(killed(spawn(line.address, service)))
        until(lambda: read_some(service, run_id))
        first = service.run(run_id)["worker"]
        stack.enter_context(workers(postgres_address, service, WORKERS - 1))
        line.cut()
        run = service.awaited(run_id)
        line.mend()
        second = service.request("crm")
        until(lambda: alive(service, cut_off.pid) not in ("", first))  # back, under another name
        assert service.awaited(second)["state"] == "success"
    assert watch.most == {1}
    assert run["worker"] != first
    assert_gone_on(service, run, server)


def alive(service: Service, pid: int) -> str:
    """The name under which the worker of a process counts as alive."""
    return next((name for name in known_workers.heartbeats(service.database) if f"-{pid}-" in name), "")


@pytest.mark.slow
def test_cut_connections_are_made_anew_and_the_run_does_not_notice(
    postgres_address: str, service_on_postgres: Service, serve: Serve
) -> None:
    service = service_on_postgres
    run_id = service.request(service.source("crm", serve(**SLOW).url))
    with workers(postgres_address, service, 1):
        until(lambda: read_some(service, run_id))
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
def test_a_service_that_is_killed_leaves_its_schedules_and_runs_to_the_others(
    service: Service, address: str, serve: Serve
) -> None:
    """Two services and a worker, as commands, at the pace that they have there."""
    at_work, due = serve(**SLOW), serve()
    service.source("crm", at_work.url)
    service.source("later", due.url)
    service.trigger("t", "crm", {"cron": "0 0 1 1 *", "zone": "UTC"}, next_at=now())
    lake = Lake(service.lake, service.home.path)
    own = environment(lake, {"B24LAKE_DATABASE": address})

    def started(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command(*words, "--json"), env=own, stdout=subprocess.PIPE)

    with ExitStack() as stack:
        first = stack.enter_context(killed(started("serve", "--port", "0")))
        until(lambda: bool(service.runs()))
        [queued] = service.runs()
        until(lambda: read_some(service, queued["id"]))
        watch = stack.enter_context(Watch(service))
        others = [stack.enter_context(killed(started(*words))) for words in (("serve", "--port", "0"), ("worker",))]
        service.trigger("u", "later", {"cron": "0 0 1 1 *", "zone": "UTC"}, next_at=now() + timedelta(seconds=2))
        first.kill()
        run = service.awaited(queued["id"])
        until(lambda: bool(service.runs(source_id="later", states=["success"])))
        for other in others:
            other.terminate()
        said = [json.loads(other.communicate(timeout=60)[0]) for other in others]
        assert [other.returncode for other in others] == [0, 0]
    assert watch.most == {1}
    assert run["worker"] in [one["worker"] for one in said]
    assert [one["cause"] for one in service.runs()] == ["schedule"] * 2
    assert_gone_on(service, run, at_work)
