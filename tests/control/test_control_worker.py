"""A worker with real runs: each in a process of its own, over a sandbox portal, into real tables."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import orjson
import psutil
import pytest
from deltalake import DeltaTable
from fleet import gone

from b24lake.control import logs, runs
from b24lake.control.models import Run, RunLog, Source, SourceStream, Worker
from b24lake.control.moments import now
from b24lake.control.performing import Performance
from b24lake.control.secrets import keyring_of, new_key
from b24lake.sandbox import Server
from service import QUICK, Service, until

Serve = Callable[..., Server]
SLOW = {"deals": 4000, "page_ms": 150, "deal_fields": 50}  # some ten seconds of reading


def children(of: int | None = None) -> list[psutil.Process]:
    """The processes of runs that a worker, or this process, has begun."""
    return [one for one in psutil.Process(of).children() if "b24lake run" in " ".join(_words(one))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def reading(service: Service, run_id: str) -> bool:
    """Whether a run has read some rows."""
    return bool(service.run(run_id)["progress"].get("rows"))


def events(service: Service, run_id: str) -> list[str]:
    return [line["event"] for line in logs.read(service.database, run_id)]


def rows(service: Service, name: str) -> int:
    return int(DeltaTable(str(service.lake / "raw" / f"{name}_deals")).to_pyarrow_dataset().count_rows())


def test_a_run_fills_the_tables_and_tells_all_about_it(service: Service, serve: Serve) -> None:
    server = serve()
    service.source("crm", server.url, "deals", "deal_fields")
    run_id = service.request("crm")
    with service.worker() as worker:
        run = service.awaited(run_id)
    assert (run["state"], run["error"], run["worker"]) == ("success", None, worker.id)
    assert rows(service, "crm") == 260
    assert [(line["stream"], line["status"]) for line in run["streams"]] == [
        ("deal_fields", "success"),
        ("deals", "success"),
    ]
    assert run["rows_read"] == sum(line["rows_read"] for line in run["streams"]) > 260
    assert run["requests"] > 0
    said = events(service, run_id)
    assert said[:2] == ["queued", "taken up"]
    assert said.count("reading") == 3  # the run, and each of its streams
    assert said[-1] == "success"
    assert DeltaTable(str(service.lake / "raw" / "crm_deals")).history(1)[0]["b24lake.run"] == run_id


def test_an_incremental_run_after_the_first_reads_little_and_a_full_one_everything(
    small: Service, serve: Serve
) -> None:
    server = serve(deals=600)
    small.source("crm", server.url)
    read = []
    with small.worker():
        for full in (False, False, True):
            read.append(small.awaited(small.request("crm", full=full))["rows_read"])
    assert (read[0], read[2]) == (600, 600)
    assert read[1] < 600


def test_the_webhook_is_in_no_process_list_no_environment_no_table_and_no_log(small: Service, serve: Serve) -> None:
    server = serve(**SLOW)
    secret = server.portal.settings.code
    small.source("crm", server.url)
    run_id = small.request("crm")
    with small.worker():
        until(lambda: reading(small, run_id))
        [child] = children()
        assert " ".join(child.cmdline()).strip() == f"b24lake run {run_id}"
        assert secret not in str(child.environ())
        small.database.engine.dispose()
    files = [file for file in small.home.path.rglob("*") if file.is_file()]
    assert any(file.name == "b24lake.db" for file in files)
    assert [file.name for file in files if secret.encode() in file.read_bytes()] == []


def test_cancel_ends_a_run_soon_and_the_next_one_goes_on_where_it_was(small: Service, serve: Serve) -> None:
    server = serve(**SLOW)
    small.source("crm", server.url)
    run_id = small.request("crm")
    with small.worker():
        until(lambda: small.run(run_id)["progress"].get("rows", 0) > 500)
        assert runs.cancel(small.database, run_id, small.clock()) == "cancelling"
        run = small.awaited(run_id)
        assert (run["state"], run["error"]) == ("canceled", None)
        assert not (small.lake / "raw" / "crm_deals" / "_delta_log").exists()
        again = small.awaited(small.request("crm"))
    assert again["state"] == "success"
    assert any("goes on behind" in note for note in again["notes"])
    assert rows(small, "crm") == 4000
    assert children() == []


def test_a_worker_that_is_stopped_gives_its_runs_back_and_another_goes_on(small: Service, serve: Serve) -> None:
    server = serve(**SLOW)
    small.source("crm", server.url)
    run_id = small.request("crm")
    with small.worker():
        until(lambda: small.run(run_id)["progress"].get("rows", 0) > 500)
    run = small.run(run_id)
    assert (run["state"], run["worker"], run["claims"]) == ("queued", None, 1)
    with small.worker():
        run = small.awaited(run_id)
    assert (run["state"], run["claims"]) == ("success", 2)
    assert any("goes on behind" in note for note in run["notes"])
    assert rows(small, "crm") == 4000
    assert events(small, run_id).count("interrupted") == 1


def test_a_run_waits_while_another_program_reads_the_portal(small: Service, serve: Serve) -> None:
    server = serve()
    small.source("crm", server.url)
    portal = small.home.ready().portal(f"127.0.0.1:{server.port}")
    run_id = small.request("crm")
    with small.worker():
        with small.home.lock(f"portal-{portal}", "the portal"):
            until(lambda: "waits" in events(small, run_id))
            small.awaited(run_id, "queued")
        with small.database.writing() as session:
            session.get_one(runs.Run, run_id).not_before = None
        run = small.awaited(run_id)
    assert (run["state"], run["claims"], run["attempt"]) == ("success", 1, 1)


def test_a_run_whose_process_dies_fails_and_says_how(small: Service, serve: Serve) -> None:
    server = serve(**SLOW)
    small.source("crm", server.url)
    run_id = small.request("crm")
    with small.worker():
        until(lambda: reading(small, run_id))
        [child] = children()
        child.send_signal(signal.SIGKILL)
        run = small.awaited(run_id)
    assert run["state"] == "failed"
    assert "signal 9" in run["error"]["what"]


def test_a_portal_that_refuses_the_webhook_is_named_as_the_cause_without_the_secret(
    small: Service, serve: Serve
) -> None:
    server = serve()
    wrong = server.url.replace(server.portal.settings.code, "anothercode123456")
    small.source("crm", wrong)
    with small.worker():
        run = small.awaited(small.request("crm"))
    assert run["state"] == "failed"
    assert run["error"]["what"]
    assert "anothercode123456" not in str(run)


def test_a_stream_that_fails_makes_the_run_partial_and_its_retry_reads_that_one_alone(
    small: Service, serve: Serve
) -> None:
    server = serve(scopes=("crm", "user"))
    small.source("crm", server.url, "deal_fields", "calls", retries=1, retry_delay_seconds=0)
    with small.worker():
        run = small.awaited(small.request("crm"))
        until(lambda: len(small.runs(states=["partial"])) == 2)
    assert run["state"] == "partial"
    assert "calls" in run["error"]["what"]
    again = small.run(small.runs()[-1]["id"])
    assert (again["retry_of"], again["attempt"], again["chosen"]) == (run["id"], 2, [])
    assert [line["stream"] for line in again["streams"]] == ["calls"]
    assert small.get("crm").failures == 0


def test_a_run_that_nobody_can_unseal_fails_with_the_cause(small: Service) -> None:
    small.source("crm")
    run_id = small.request("crm")
    small.keyring = keyring_of(new_key(), None)
    with small.worker():
        run = small.awaited(run_id)
    assert run["state"] == "failed"
    assert "key" in str(run["error"])


def test_a_worker_that_was_declared_dead_ends_its_runs_and_goes_on_under_another_name(
    small: Service, serve: Serve
) -> None:
    server = serve(**SLOW)
    small.source("crm", server.url)
    run_id = small.request("crm")
    with small.worker() as worker:
        first = worker.id
        until(lambda: reading(small, run_id))
        [child] = children()
        with small.database.writing() as session:
            session.get_one(Worker, first).state = "dead"
        until(lambda: gone(child))
        until(lambda: worker.id != first)
        assert small.run(run_id)["worker"] == first  # whoever declared it dead takes the run back


@pytest.mark.slow
def test_a_run_without_word_from_its_worker_ends_by_itself(
    small: Service, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the database is gone: the worker no longer prolongs its runs."""
    server = serve(**SLOW)
    small.source("crm", server.url)
    run_id = small.request("crm")
    with small.worker(pace=QUICK):
        until(lambda: reading(small, run_id))
        with monkeypatch.context() as patch:
            patch.setattr(Performance, "prolong", lambda *_: None)
            until(lambda: "interrupted" in events(small, run_id))
        run = small.awaited(run_id)
    assert (run["state"], run["claims"]) == ("success", 2)


def test_a_process_that_cannot_begin_says_so_on_stderr_alone() -> None:
    job: dict[str, Any] = {"webhook": "https://127.0.0.1:9/rest/1/SECRETSECRET/"}
    child = subprocess.run(
        [sys.executable, "-m", "b24lake.control.child"],
        input=str(job).encode(),
        capture_output=True,
        timeout=60,
    )
    assert child.returncode != 0
    assert child.stdout == b""
    assert b"SECRET" not in child.stderr


def test_lines_in_the_database_are_as_the_log_shows_them(small: Service) -> None:
    small.source("crm")
    run_id = small.request("crm", requested_by="ann")
    with small.database.reading() as session:
        [line] = session.query(RunLog).all()
    assert (line.run_id, line.level, line.event, line.data) == (run_id, "info", "queued", {"by": "ann"})


# --- what goes wrong in the worker itself -----------------------------------------------------------------------------


def test_a_run_that_failed_in_part_just_before_it_was_canceled_is_not_tried_again(small: Service, serve: Serve) -> None:
    server = serve(scopes=("crm", "user"))
    small.source("crm", server.url, "deal_fields", "calls", retries=1, retry_delay_seconds=0)
    run_id = small.request("crm")
    worker = small.idle_worker()
    worker.turn()
    until(lambda: worker.at_work[run_id].ended)
    runs.cancel(small.database, run_id, small.clock())
    until(lambda: worker.turn() or not worker.at_work)
    run = small.run(run_id)
    assert (run["state"], [line["status"] for line in run["streams"]]) == ("canceled", ["failed", "success"])
    assert len(small.runs()) == 1


def test_what_the_database_does_not_take_ends_neither_the_worker_nor_the_other_runs(
    service: Service, serve: Serve
) -> None:
    """As a portal might tell it, and as no version of ours should."""
    ids = [service.request(service.source(name, serve().url)) for name in ("zero", "odd", "good")]
    worker = service.idle_worker()
    worker.turn()
    until(lambda: all(one.ended for one in worker.at_work.values()))
    zero, odd, _ = (worker.at_work[run_id] for run_id in ids)
    zero._take("log", {"at": now().isoformat(), "level": "info", "event": "x", "stream": None, "data": {"text": "\0"}})
    assert odd.report is not None
    odd.report["streams"] = [{"name": "what a later version tells"}]
    until(lambda: worker.turn() or not worker.at_work)
    ended = [service.run(run_id) for run_id in ids]
    assert [run["state"] for run in ended] == ["success", "failed", "success"]
    assert "broke off" in ended[1]["error"]["what"]


def test_a_zero_in_a_text_of_the_portal_reaches_the_log(service_on_postgres: Service) -> None:
    told = {"at": now().isoformat(), "level": "info", "event": "a\0b", "stream": None, "data": {}}
    service = service_on_postgres
    run_id = service.request(service.source("crm"))
    performance = Performance(Run(), subprocess.Popen(["true"], stdout=subprocess.DEVNULL))
    performance._hear(iter([orjson.dumps({"log": told})]))  # type: ignore[arg-type]
    performance.process.wait()
    with service.database.writing() as session:
        logs.write(session, run_id, list(performance.lines))
    assert events(service, run_id) == ["queued", "a\ufffdb"]


@pytest.mark.parametrize("state", ["gone", "nonsense"])
def test_a_run_that_cannot_be_begun_fails_and_the_worker_goes_on(small: Service, serve: Serve, state: str) -> None:
    small.source("bad", serve().url, options={"overlap_seconds": "a while"} if state == "nonsense" else {})
    small.source("good", serve().url)
    bad, good = small.request("bad"), small.request("good")
    if state == "gone":
        with small.database.writing() as session:
            session.get_one(Source, "bad").webhook = None
    with small.worker():
        assert small.awaited(good)["state"] == "success"
        run = small.awaited(bad)
    assert (run["state"], bool(run["error"]["what"])) == ("failed", True)


def test_a_run_hashes_with_the_key_of_its_worker(small: Service, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers on several machines share that key by the environment; each home's own would be another one."""
    monkeypatch.setenv("B24LAKE_HASH_KEY", "shared by all")
    small.source("crm", serve().url)
    with small.database.writing() as session:
        session.get_one(SourceStream, ("crm", "deals")).hashed = ["TITLE"]
    with small.worker():
        assert small.awaited(small.request("crm"))["state"] == "success"
    assert not (small.home.path / "hash.key").exists()


def test_cancel_before_the_first_row_leaves_no_noise_in_the_log(small: Service, serve: Serve) -> None:
    small.source("crm", serve(**SLOW).url)
    run_id = small.request("crm")
    with small.worker() as worker:
        until(lambda: run_id in worker.at_work)
        runs.cancel(small.database, run_id, small.clock())
        run = small.awaited(run_id)
    assert (run["state"], run["error"]) == ("canceled", None)
    assert {line["level"] for line in logs.read(small.database, run_id)} <= {"info", "warning"}
