"""A plan of a sandbox portal over HTTP, and what the run then takes. Service times are booked, not waited for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from b24lake.errors import StopError, UsageError
from b24lake.portal.webhook import parse
from b24lake.sandbox import Server
from b24lake.sync.home import Home, portal_id
from b24lake.sync.options import Options
from b24lake.sync.planning import LOCKED, PLANNED, UNKNOWN, RunPlan, StreamPlan, plan
from b24lake.sync.report import RunReport
from running import Lake

TIMES = {"book": True, "page_ms": 40.0, "command_ms": 20.0, "round_trip_ms": 100.0}
MIDDLING = {"deals": 3000, "contacts": 2000, "companies": 500, "leads": 1500, "activities": 4000, "products": 300}


def planned(lake: Lake, url: str, *streams: str, **options: Any) -> RunPlan:
    return plan(parse(url), Options(lake=lake.path, streams=streams, **options), Home(lake.home))


def one(found: RunPlan, name: str) -> StreamPlan:
    return next(stream for stream in found.streams if stream.name == name)


def agree(found: RunPlan, report: RunReport) -> None:
    """Within a fifth of what the run took."""
    assert report.status == "success"
    seconds = sum(line.portal_seconds for line in report.streams)
    assert found.portal_seconds == pytest.approx(seconds, rel=0.2)
    assert found.requests == pytest.approx(report.requests, rel=0.2)
    for expected, line in zip(found.streams, report.streams, strict=True):
        assert (expected.name, expected.expected.rows) == (line.name, line.rows_read)
        assert expected.expected.commands == pytest.approx(line.commands, rel=0.2, abs=2)


@pytest.mark.parametrize(
    ("settings", "streams"),
    [
        ({}, ()),
        (MIDDLING, ()),
        ({"deals": 12_000, "deal_fields": 50}, ("deals",)),
        ({"deals": 3000, "id_gap": 40.0, "id_start": 10_000_000}, ("deals", "deal_fields")),
        ({"deals": 0, "leads": 1}, ("deals", "leads", "status_list")),
        ({**MIDDLING, "operating": "absent"}, ("contacts", "leads")),
        ({**MIDDLING, "count_ms": 4000.0}, ("contacts", "leads")),
    ],
    ids=["small", "middling", "one large", "sparse ids", "empty", "no gauges", "slow counts"],
)
def test_a_run_takes_what_was_planned(
    serve: Callable[..., Server], lake: Lake, settings: dict[str, Any], streams: tuple[str, ...]
) -> None:
    server = serve(**{**TIMES, **settings})
    found = planned(lake, server.url, *streams)
    assert all(stream.counted for stream in found.streams)
    agree(found, lake.sync(server.url, *streams))


def test_an_incremental_read_is_planned_from_its_bookmark(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**TIMES, **MIDDLING)
    lake.sync(server.url, "deals", "users")
    for id_ in [int(row["ID"]) for row in server.portal.truth("deals")][:700]:
        server.portal.change("deals", id_, {"TITLE": "another"})
    found = planned(lake, server.url, "deals", "users")
    assert one(found, "deals").since is not None
    assert one(found, "deals").expected.rows == 700
    assert one(found, "users").since is None
    assert planned(lake, server.url, "deals", full=True).streams[0].expected.rows == 3000
    agree(found, lake.sync(server.url, "deals", "users"))


def test_a_full_read_for_another_question_is_announced_by_plan_and_run(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve()
    asked = {"replication_keys": {"activities": "LAST_UPDATED"}}
    assert planned(lake, server.url, "activities").streams[0].because == ""
    lake.sync(server.url, "activities")
    assert planned(lake, server.url, "activities").streams[0].because == ""
    assert "replication key" in planned(lake, server.url, "activities", **asked).streams[0].because
    assert planned(lake, server.url, "activities", full=True, **asked).streams[0].because == ""
    assert any("replication key" in note for note in lake.sync(server.url, "activities", **asked).notes)
    assert planned(lake, server.url, "activities", **asked).streams[0].because == ""


def test_a_plan_leaves_nothing_and_needs_no_lock(serve: Callable[..., Server], lake: Lake) -> None:
    server, home = serve(code="pl4ns3cr3tc0d3"), Home(lake.home).ready()
    with home.lock(f"portal-{portal_id(server.url.split('/')[2])}", "the portal"):
        found = planned(lake, server.url)
    assert found.planned
    assert not lake.path.exists()
    assert "pl4ns3cr3tc0d3" not in str(found.as_json())
    files = [file for file in lake.home.rglob("*") if file.is_file()]
    assert not [file for file in files if b"pl4ns3cr3tc0d3" in file.read_bytes()]


def test_a_plan_of_everything_takes_a_handful_of_requests(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**MIDDLING)
    assert planned(lake, server.url).asked == server.portal.counters.requests <= 7
    assert server.portal.counters.counted.total() <= 14


def test_locked_streams_are_told_and_the_others_planned(serve: Callable[..., Server], lake: Lake) -> None:
    found = planned(lake, serve(scopes=("user",)).url)
    assert {stream.name for stream in found.streams if stream.status == PLANNED} == {"users"}
    assert one(found, "deals").status == LOCKED
    assert "scope crm" in (one(found, "deals").error or "")


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "missing_keys", "method": "crm.deal.list"},
        {"kind": "internal_error", "method": "crm.deal.list"},
        {"kind": "operation_limit", "method": "crm.deal.list"},
    ],
    ids=["unanswered", "fails", "blocked"],
)
def test_a_probe_that_fails_makes_its_stream_unknown(
    serve: Callable[..., Server], lake: Lake, fault: dict[str, Any]
) -> None:
    server = serve()
    server.portal.fault(**fault)
    found = planned(lake, server.url, "deals", "leads")
    assert [stream.status for stream in found.streams] == [UNKNOWN, PLANNED]
    assert one(found, "deals").error
    assert one(found, "deals").as_json()["rows"] is None


def test_a_hiccup_of_a_probe_does_no_harm(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    server.portal.fault(kind="missing_keys", method="crm.deal.list", next=1)
    assert planned(lake, server.url, "deals").streams[0].status == PLANNED


def test_probes_that_take_too_long_are_asked_in_halves(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(**TIMES)
    server.portal.fault(kind="gateway_timeout", commands=25)
    assert planned(lake, server.url, "deals").streams[0].status == PLANNED
    server.portal.mend()
    server.portal.fault(kind="gateway_timeout", commands=6, after=1)
    found = planned(lake, server.url, "deals", "leads", "contacts", "companies")
    assert [stream.status for stream in found.streams] == [PLANNED] * 4


def test_a_filter_that_the_portal_ignores_means_that_everything_is_read(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve()
    lake.sync(server.url, "deals")
    server.portal.fault(kind="ignores_date")
    assert planned(lake, server.url, "deals").streams[0].expected.rows == 260


def test_a_wrong_webhook_and_a_foreign_table_are_refused(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    with pytest.raises(StopError, match="NO_AUTH_FOUND"):
        planned(lake, server.url.replace("sandboxcode", "wrongcode99"))
    lake.sync(server.url, "departments")
    with pytest.raises(UsageError, match="prefix"):
        planned(lake, serve().url, "departments")
    with pytest.raises(UsageError, match="deals"):
        planned(lake, server.url, "deal")


def test_the_document_names_requests_seconds_and_streams(serve: Callable[..., Server], lake: Lake) -> None:
    document = planned(lake, serve().url, "deals").as_json()
    assert {"requests", "portal_seconds", "seconds", "probe_requests", "planned_at"} < document.keys()
    (stream,) = document["streams"]
    assert (stream["name"], stream["status"], stream["read"], stream["rows"]) == ("deals", "planned", "full", 260)
    assert Path(lake.table("deals")).name == stream["table"].partition(".")[2]
