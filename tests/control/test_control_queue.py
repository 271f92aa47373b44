"""Which run goes next, who holds it, and what its end brings about."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from b24lake.control import logs, queue, runs, sources
from b24lake.control.health import healths
from b24lake.control.models import Run
from b24lake.errors import UsageError
from service import Service, failing

STREAM = {"name": "deals", "rows_read": 7, "portal_seconds": 1.5, "rests": 1, "schema_changes": [], "table": "raw.t"}
BROKEN = {**STREAM, "name": "leads", "status": "failed", "error": "it broke", "rows_read": 0}


def states(service: Service) -> list[tuple[str, str]]:
    return [(run["source"], run["state"]) for run in service.runs()]


# --- taking up --------------------------------------------------------------------------------------------------------


def test_the_run_that_waited_longest_goes_first_and_one_source_has_one_at_a_time(service: Service) -> None:
    service.source("a")
    service.source("b")
    first, second, other = service.request("a"), service.request("a"), service.request("b")
    assert [run.id for _ in range(3) if (run := service.claim())] == [first, other]
    service.end(first, "success")
    claimed = service.claim()
    assert claimed is not None
    assert (claimed.id, claimed.claims, claimed.started_at) == (second, 1, service.clock())


def test_two_sources_of_one_portal_take_turns(service: Service) -> None:
    service.source("a", portal="acme")
    service.source("b", portal="acme")
    first, second = service.request("a"), service.request("b")
    assert service.claim() is not None
    assert service.claim("w2") is None
    service.end(first, "failed", **failing())
    assert service.run(second)["state"] == "queued"
    claimed = service.claim("w2")
    assert claimed is not None
    assert claimed.id == second


@pytest.mark.parametrize("column", ["source_id", "portal"])
def test_the_database_itself_refuses_two_at_once(service: Service, column: str) -> None:
    service.source("a", portal="acme")
    service.source("b", portal="acme" if column == "portal" else "other")
    service.request("a")
    service.request("a" if column == "source_id" else "b")
    with pytest.raises(IntegrityError), service.database.writing() as session:
        session.execute(update(Run).values(state="running"))


def test_many_workers_at_once_take_up_each_run_once(service: Service) -> None:
    for number in range(12):
        service.source(f"s{number}", portal=f"p{number // 2}")
        service.request(f"s{number}")
    taken: list[str] = []

    def take(worker: str) -> None:
        for _ in range(12):
            run = service.claim(worker)
            if run is not None:
                taken.append(run.portal)

    threads = [threading.Thread(target=take, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [f"p{number}" for number in range(6)]


def test_a_run_that_found_a_lock_held_is_tried_again_a_little_later_and_not_counted(service: Service) -> None:
    service.source("a")
    run_id, clock = service.request("a"), service.clock
    run = service.claim()
    assert run is not None
    with service.database.writing() as session:
        queue.give_back(session, session.get_one(Run, run.id), clock(), queue.Line("warning", "waits"), held=True)
    clock.turn(seconds=28)
    assert service.claim() is None
    again = service.claim()
    assert again is not None
    assert (again.id, again.claims) == (run_id, 1)


# --- asking, canceling, repeating -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "refused"), [("active", ""), ("paused", ""), ("draft", "draft"), ("stopped", "re")])
def test_a_source_that_cannot_run_says_what_to_do(service: Service, state: str, refused: str) -> None:
    service.source("a", state=state)
    if refused:
        with pytest.raises(UsageError, match=f"a is {state}"):
            service.request("a")
    else:
        assert service.run(service.request("a", requested_by="ann"))["requested_by"] == "ann"


def test_streams_are_chosen_by_globs_among_those_that_the_source_reads(service: Service) -> None:
    service.source("a", "https://x.de/rest/1/SECRET/", "deals", "deal_fields", "leads")
    assert service.run(service.request("a", streams=["deal*"]))["chosen"] == ["deal_fields", "deals"]
    with pytest.raises(UsageError, match="reads no stream 'users'"):
        service.request("a", streams=["users"])
    with pytest.raises(UsageError, match="no source 'b'"):
        service.request("b")


def test_a_run_that_waits_is_canceled_at_once_and_one_at_work_by_its_worker(service: Service) -> None:
    service.source("a")
    first, second = service.request("a"), service.request("a")
    service.claim()
    assert runs.cancel(service.database, second, service.clock()) == "canceled"
    assert runs.cancel(service.database, first, service.clock()) == "cancelling"
    assert queue.held_by(service.database, "w1") == {first: "cancelling"}
    with pytest.raises(UsageError, match="has ended"):
        runs.cancel(service.database, second, service.clock())
    with pytest.raises(UsageError, match="has not ended"):
        runs.retry(service.database, first, service.clock())


def test_a_run_is_found_by_the_beginning_of_its_id(service: Service) -> None:
    service.source("a")
    first, second = service.request("a"), service.request("a")
    assert runs.shown(service.database, first[:-1])["id"] == first
    for wrong in (first[:8], "", "%", f"{second}x"):
        with pytest.raises(UsageError, match="run"):
            runs.shown(service.database, wrong)
    with pytest.raises(UsageError, match="no state 'done'"):
        runs.listed(service.database, states=["done"])


# --- ends -------------------------------------------------------------------------------------------------------------


def test_the_end_of_a_run_keeps_its_figures_its_streams_and_what_changed(service: Service) -> None:
    service.source("a")
    run_id = service.request("a")
    service.claim()
    change = {"kind": "added", "column": "UF_1", "before": None, "after": "string"}
    service.end(run_id, "success", requests=4, streams=[{**STREAM, "status": "success", "error": None,
                                                                   "schema_changes": [change]}])  # fmt: skip
    run = service.run(run_id)
    assert (run["rows_read"], run["requests"], run["portal_seconds"], run["rests"]) == (7, 4, 1.5, 1)
    assert [(line["stream"], line["status"], line["rows_read"]) for line in run["streams"]] == [("deals", "success", 7)]
    assert run["schema_changes"] == [{"stream": "deals", **change}]
    assert [line["event"] for line in logs.read(service.database, run_id)] == ["queued", "taken up", "success"]


@pytest.mark.parametrize(
    ("status", "report"),
    [
        ("failed", failing()),
        ("partial", {"streams": [{**STREAM, "status": "success", "error": None}, BROKEN]}),
    ],
)
def test_what_failed_is_tried_again_after_the_delay_as_often_as_asked(
    service: Service, status: str, report: dict[str, Any]
) -> None:
    service.source("a", retries=2, retry_delay_seconds=60)
    clock = service.clock
    service.request("a")
    for attempt in (1, 2, 3):
        if attempt > 1:
            assert service.claim() is None  # not before its time
            clock.turn(seconds=60)
        run = service.claim()
        assert run is not None
        assert run.attempt == attempt
        service.end(run.id, status, **report)
    assert service.claim() is None
    assert [(run["cause"], run["state"]) for run in service.runs()] == [
        ("manual", status),
        ("retry", status),
        ("retry", status),
    ]
    assert [run["retry_of"] for run in service.runs()] == [None, *[run["id"] for run in service.runs()][:2]]


def test_the_retry_of_a_partial_run_completes_it_or_leaves_it_partial(service: Service) -> None:
    service.source("a", retries=2, retry_delay_seconds=0, max_failures=1)
    service.request("a")
    service.perform("partial", streams=[{**STREAM, "status": "success", "error": None}, BROKEN])
    first = service.runs()[0]
    service.perform("failed", streams=[BROKEN])  # the other stream landed before
    assert [run["state"] for run in service.runs()] == ["partial", "partial", "queued"]
    service.perform("success", streams=[{**BROKEN, "status": "success", "error": None}])
    assert (service.get("a").state, service.get("a").failures) == ("active", 0)
    with service.database.reading() as session:
        [(_, found)] = healths(session, service.clock())
    assert found.badge == "ok"
    assert found.fresh_at is not None
    assert found.fresh_at.isoformat() == first["started_at"]  # as old as what the first of them read


def test_wrong_input_is_not_tried_again(service: Service) -> None:
    service.source("a", retries=2)
    service.request("a")
    service.perform("failed", **failing(kind="UsageError"))
    assert states(service) == [("a", "failed")]


def test_a_source_that_fails_too_often_in_a_row_is_stopped_and_what_waits_is_canceled(service: Service) -> None:
    service.source("a", max_failures=3)
    for ending in ("failed", "failed", "success", "failed", "failed"):
        service.request("a")
        service.perform(ending, **(failing() if ending == "failed" else {}))
    assert (service.get("a").state, service.get("a").failures) == ("active", 2)
    service.request("a")
    waits = service.request("a")
    service.perform("failed", **failing())
    assert service.get("a").state == "stopped"
    assert service.run(waits)["state"] == "canceled"
    with pytest.raises(UsageError, match="b24lake source resume a"):
        service.request("a")


@pytest.mark.parametrize(("ending", "chosen"), [("partial", ()), ("canceled", ()), ("failed", ("deals",))])
def test_what_says_nothing_about_the_whole_source_does_not_count_as_its_failure(
    service: Service, ending: str, chosen: tuple[str, ...]
) -> None:
    service.source("a", max_failures=1)
    service.request("a", streams=chosen)
    service.perform(ending, **(failing() if ending == "failed" else {}))
    assert (service.get("a").state, service.get("a").failures) == ("active", 0)


def test_a_log_is_as_long_as_anyone_will_read(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_LINES", 10)
    service.source("a")
    run_id = service.request("a")
    for number in range(4):
        with service.database.writing() as session:
            logs.add(session, run_id, service.clock(), [queue.Line("error", f"{number}.{line}") for line in range(3)])
    events = [line["event"] for line in logs.read(service.database, run_id)]
    assert (len(events), events[0], events[-1]) == (10, "queued", "the log ends here: it is full")
    assert len([*logs.read(service.database, run_id, level="error")]) == 8
    with pytest.raises(UsageError, match="no level 'debug'"):
        next(logs.read(service.database, run_id, level="debug"))


# --- several at once --------------------------------------------------------------------------------------------------


def test_a_run_whose_source_is_about_to_be_deleted_is_not_taken_up(service_on_postgres: Service) -> None:
    service = service_on_postgres
    service.source("a")
    service.request("a")
    with service.database.writing() as session:
        sources.found(session, "a", lock=True)
        assert service.claim() is None
    assert service.claim() is not None
