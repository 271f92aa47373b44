"""Lists of runs: page by page, each run once, at the same cost however many there are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert

from b24lake.control import logs, runs, waiting
from b24lake.control.database import Database
from b24lake.control.models import Run
from b24lake.control.telling import Line
from b24lake.errors import UsageError
from service import NOBODY, Service, failing

STATES = ("success", "success", "failed", "canceled", "partial")


def fill(service: Service, *names: str, count: int = 40) -> list[str]:
    """Ended runs of some sources, several in each second; the newest first."""
    rows: list[dict[str, Any]] = []
    for number in range(count):
        at = service.clock.at + timedelta(seconds=number // 3)
        name, state = names[number % len(names)], STATES[number % len(STATES)]
        rows.append(
            {"id": f"r{number % 7}-{number:04}", "source_id": name, "portal": name, "cause": "manual", "state": state}
            | {"queued_at": at, "started_at": at, "ended_at": at}
        )
    with service.database.writing() as session:
        session.execute(insert(Run), rows)
    return [row["id"] for row in sorted(rows, key=lambda row: (row["queued_at"], row["id"]), reverse=True)]


def pages(database: Database, **which: Any) -> list[str]:
    found, before = [], ""
    while page := runs.listed(database, limit=7, before=before, **which):
        found += [run["id"] for run in page]
        before = page[-1]["cursor"]
    return found


def test_pages_hold_every_run_once_and_the_newest_first(service: Service) -> None:
    for name in ("a", "b"):
        service.source(name)
    ids = fill(service, "a", "b")
    assert pages(service.database) == ids
    of_a = pages(service.database, source_id="a")
    assert len(of_a) == 20
    assert of_a == [one for one in ids if one in of_a]
    some = pages(service.database, states=["failed", "partial", "failed"])
    assert len(some) == 16
    assert some == [one for one in ids if one in some]
    assert pages(service.database, source_id="b", states=["canceled"]) == [
        run["id"] for run in runs.listed(service.database, source_id="b", states=["canceled"])
    ]


@pytest.mark.parametrize(
    "which", [{"states": ["broken"]}, {"before": "x"}, {"before": "2026-13-01~r"}, {"before": "~"}]
)
def test_what_there_is_not_is_told(small: Service, which: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        runs.listed(small.database, **which)


@pytest.mark.parametrize(
    "which", [{}, {"source_id": "a"}, {"states": ["failed", "success"]}, {"source_id": "a", "states": ["failed"]}]
)
def test_no_list_sorts_or_reads_all_runs(small: Service, which: dict[str, Any]) -> None:
    small.source("a")
    fill(small, "a", count=20)
    small_page = runs.listed(small.database, limit=3, **which)
    asked: list[tuple[str, Any]] = []
    engine = small.database.engine
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, sql, given, *_: asked.append((sql, given)))
    runs.listed(small.database, limit=3, before=small_page[-1]["cursor"], **which)
    steps = []
    with engine.connect() as connection:
        for sql, given in [one for one in asked if "FROM runs" in one[0]]:
            steps += [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given)]
    assert steps
    # Runs of the same moment may be sorted by id, but nothing else.
    assert not [step for step in steps if step.startswith(("SCAN runs", "USE TEMP B-TREE FOR ORDER BY"))], steps


def test_a_retry_that_is_asked_for_twice_is_made_once(service: Service) -> None:
    service.source("a", retries=0)
    run_id = service.request("a")
    service.perform("failed", **failing())
    again = runs.retry(service.database, run_id, service.clock.turn(seconds=1))
    assert runs.retry(service.database, run_id, service.clock.turn(seconds=1)) == again
    assert service.run(run_id)["repeated_by"] == again
    service.perform("success")
    assert runs.retry(service.database, run_id, service.clock.turn(seconds=1)) != again


def test_why_a_run_waits(service: Service) -> None:
    def why(run_id: str) -> Any:
        told = waiting.reason(service.database, run_id, service.clock.at)
        return told and (told["why"], told["run"])

    for name in ("a", "b", "c"):
        service.source(name, NOBODY, portal="c" if name == "c" else "shared")
    first, same, shared, other = (service.request(name) for name in ("a", "a", "b", "c"))
    assert why(first) == ("nobody", None)
    service.claim()
    assert [why(one) for one in (first, same, shared)] == [None, ("source", first), ("portal", first)]
    with service.worker():
        service.awaited(other)
    service.end(first, "failed", **failing())
    with service.database.writing() as session:
        session.get_one(Run, same).not_before = service.clock.at + timedelta(minutes=5)
        session.get_one(Run, shared).state = "pending_events"
    assert [why(one) for one in (same, shared)] == [("later", None), ("events", None)]


def test_the_last_lines_of_a_log(service: Service) -> None:
    service.source("a")
    run_id = service.request("a")
    lines = [Line("warning" if number % 10 == 0 else "info", f"line {number}", "deals") for number in range(2_500)]
    with service.database.writing() as session:
        logs.add(session, run_id, service.clock.at, [*lines, Line("error", "end", data={"why": "Сбой"})])

    def said(**which: Any) -> list[str]:
        return [line["event"] for line in logs.tail(service.database, run_id, **which)]

    assert said(most=3) == ["line 2498", "line 2499", "end"]
    assert said(most=2, words="LINE 12") == ["line 1298", "line 1299"]
    assert said(words="сбой") == ["end"]
    assert said(most=2, level="warning") == ["line 2490", "end"]
    last = logs.tail(service.database, run_id, most=2)[0]
    assert said(after=last["id"]) == ["end"]
    assert said(before=last["id"], most=1) == ["line 2498"]
    assert said(words="nothing of it") == []
    with pytest.raises(UsageError):
        said(level="loud")
