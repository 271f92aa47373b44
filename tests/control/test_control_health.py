"""Freshness and health from the runs alone, and the metrics that tell it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from b24lake.control import metrics
from b24lake.control.health import Ran, due_without_success, health
from b24lake.control.models import Source, Trigger
from b24lake.control.telling import Line, news
from service import Service, failing

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def ago(**how: float) -> datetime:
    return NOW - timedelta(**how)


def ran(state: str, minutes: float, *, whole: bool = True) -> Ran:
    """A run that began so long ago and took a minute."""
    ended = None if state in {"running", "queued"} else ago(minutes=minutes - 1)
    return Ran(state, whole, ago(minutes=minutes), ago(minutes=minutes) if state != "queued" else None, ended)


def schedule(last: float | None, following: float | None, **columns: Any) -> Trigger:
    """A schedule that was due last, and is due next, so many minutes ago."""
    at = [None if minutes is None else ago(minutes=minutes) for minutes in (last, following)]
    return Trigger(**{"kind": "schedule", "enabled": True, "full": False, **columns}, last_due_at=at[0], next_at=at[1])


DUE = [schedule(60, 0)]


@pytest.mark.parametrize(
    ("runs", "triggers", "badge", "fresh"),
    [
        ([], [], "new", None),
        ([], [schedule(None, 10)], "new", None),
        ([], [schedule(None, 31)], "late", None),  # no scheduler has noticed
        ([ran("queued", 1)], [], "queued", None),
        ([ran("running", 50)], DUE, "running", None),  # a first load takes as long as it takes
        ([ran("success", 60)], DUE, "ok", 60),
        ([ran("success", 61)], DUE, "late", 61),  # it began before the time that counts
        ([ran("success", 61)], [schedule(29, -31)], "ok", 61),
        ([ran("success", 61)], [schedule(60, 0, enabled=False)], "ok", 61),
        ([ran("success", 61)], [schedule(60, 0, full=True)], "ok", 61),
        ([ran("failed", 5), ran("success", 60)], DUE, "failing", 60),
        ([ran("failed", 5), ran("success", 90)], DUE, "late", 90),
        ([ran("partial", 5), ran("success", 60)], DUE, "partial", 60),
        ([ran("canceled", 5), ran("success", 60)], DUE, "ok", 60),
        ([ran("success", 5, whole=False), ran("failed", 50)], [], "failing", None),  # a part says nothing
        ([ran("running", 59), ran("success", 90)], DUE, "late", 90),
    ],
)
def test_health_is_what_the_runs_say(runs: list[Ran], triggers: list[Trigger], badge: str, fresh: float | None) -> None:
    found = health(Source(state="active", late_after_seconds=None), triggers, runs, NOW)
    assert (found.badge, found.fresh_at) == (badge, None if fresh is None else ago(minutes=fresh))
    assert found.late == (badge == "late")


@pytest.mark.parametrize("state", ["paused", "stopped", "draft"])
def test_a_source_that_rests_is_not_late(state: str) -> None:
    assert health(Source(state=state, late_after_seconds=None), DUE, [ran("success", 900)], NOW).badge == state


@pytest.mark.parametrize(("due", "late"), [(4, False), (6, True)])
def test_a_source_says_itself_when_it_is_late(due: float, late: bool) -> None:
    source = Source(state="active", late_after_seconds=300)
    assert (due_without_success(source, [schedule(due, -55)], ago(hours=1), NOW) is not None) == late


# --- metrics ----------------------------------------------------------------------------------------------------------

SAMPLE = re.compile(r'^([a-z0-9_]+)(\{[a-z]+="(?:[^"\\]|\\.)*"(?:,[a-z]+="(?:[^"\\]|\\.)*")*\})? (-?[0-9.e+-]+|inf)$')


def samples(text: str) -> dict[str, float]:
    """Every sample of the text format; fails where a line is none."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.match(line)
            assert match, line
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


def test_the_metrics_are_counted_from_the_runs(service: Service) -> None:
    service.source("a")
    service.source("b", state="paused")
    line = {"name": "deals", "table": "t", "status": "success", "rows_read": 70, "portal_seconds": 1.5, "rests": 2,
            "schema_changes": []}  # fmt: skip
    for _ in range(2):
        service.request("a")
        service.perform("success", requests=5, streams=[line])
    service.request("a")
    service.perform("failed", **failing())
    service.request("a")
    service.request("b")
    service.claim()
    found = samples(metrics.text(metrics.families(service.database, service.clock())))
    assert found == found | {
        'b24lake_runs_total{source="a",state="success"}': 2,
        'b24lake_runs_total{source="a",state="failed"}': 1,
        'b24lake_rows_read_total{source="a"}': 140,
        'b24lake_requests_total{source="a"}': 10,
        'b24lake_portal_seconds_total{source="a"}': 3,
        'b24lake_rests_total{source="a"}': 4,
        'b24lake_run_duration_seconds_count{source="a"}': 3,
        'b24lake_queue_length{state="queued"}': 1,
        'b24lake_queue_length{state="running"}': 1,
        'b24lake_source_health{source="a",health="failing"}': 1,
        'b24lake_source_health{source="b",health="paused"}': 1,
        "b24lake_workers": 0,
    }
    assert found['b24lake_run_duration_seconds_sum{source="a"}'] == pytest.approx(3, abs=0.01)
    assert found['b24lake_source_age_seconds{source="a"}'] > 0


# --- what a run tells -------------------------------------------------------------------------------------------------


def look(**changes: Any) -> dict[str, Any]:
    return {"phase": "reading", "notes": [], "refused": 0, "retries": 0, "streams": [], **changes}


def deals(state: str, **more: Any) -> dict[str, Any]:
    return look(streams=[{"name": "deals", "table": "raw.deals", "state": state, "error": None, **more}])


BEGUN = Line("info", "reading", "deals", {"table": "raw.deals"})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, look(phase="connecting"), [Line("info", "connecting")]),
        (look(), look(), []),
        (look(), look(notes=["n"]), [Line("warning", "note", data={"text": "n"})]),
        (look(notes=["n"]), look(notes=["n"]), []),
        (look(), look(refused=2, retries=3), [Line("warning", "the portal was asked too fast", data={"refused": 2})]),
        (look(), look(retries=1), [Line("warning", "a request was repeated", data={"retries": 1})]),
        (deals("waiting"), deals("reading", commands=3), [BEGUN]),
        (deals("reading", commands=3), deals("reading", commands=9), []),
        (
            deals("waiting"),
            deals("success", commands=3, rows=7),
            [BEGUN, Line("info", "success", "deals", {"rows": 7, "commands": 3})],
        ),
        (
            deals("reading", commands=3),
            deals("resting", commands=4, rests=1, rests_until=0),
            [Line("warning", "rests: operating time", "deals")],
        ),
        (deals("resting", rests=1), deals("reading", rests=1), []),
        (
            deals("reading", commands=3),
            deals("failed", commands=3, error="it broke"),
            [Line("error", "failed", "deals", {"commands": 3, "error": "it broke"})],
        ),
    ],
)
def test_the_log_says_what_is_new_since_the_last_look(
    before: dict[str, Any], after: dict[str, Any], expected: list[Line]
) -> None:
    assert [*news(before, after)] == expected
