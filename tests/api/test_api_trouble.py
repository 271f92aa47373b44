"""What a program gets where something is wrong: with what it asked, with the portal, or because it stops early."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from portals import Log, Open, ids, rows

from b24lake import api
from b24lake.errors import HeldError, LockedError, StopError, StreamError, UsageError
from b24lake.portal.webhook import parse
from b24lake.reading.home import Home, portal_id
from b24lake.sandbox import Server


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    ends = time.monotonic() + 10
    while left := [one for one in threading.enumerate() if one not in before and one.name.startswith("portal")]:
        assert time.monotonic() < ends, left
        time.sleep(0.01)


# --- wrong questions


@pytest.mark.parametrize(
    ("url", "settings", "says"),
    [
        ("https://example.bitrix24.com/", {}, "not an incoming webhook URL"),
        ("token", {}, "not a webhook URL"),
        ("http://example.com/rest/1/abc/", {}, "plain http"),
        (None, {}, "No webhook URL was given"),
        ("https://a.bitrix24.com/rest/1/abc/", {"deal_contact": True}, "did you mean deal_contacts"),
        ("https://a.bitrix24.com/rest/1/abc/", {"xyz": True}, "There is no setting 'xyz'"),
        ("https://a.bitrix24.com/rest/1/abc/", {"reader": "best"}, "no reader 'best'"),
        ("https://a.bitrix24.com/rest/1/abc/", {"concurrency": 99}, "out of range"),
        ("https://a.bitrix24.com/rest/1/abc/", {"operating_threshold": -1}, "is negative"),
        ("https://a.bitrix24.com/rest/1/abc/", {"overlap": "long"}, "cannot have"),
        ("https://a.bitrix24.com/rest/1/abc/", {"deal_categories": ["a"]}, "cannot have"),
    ],
)
def test_a_wrong_url_or_setting_is_refused_before_anything_is_asked(
    url: str | None, settings: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("B24LAKE_WEBHOOK_URL", raising=False)
    with pytest.raises(UsageError, match=says) as told:
        api.streams(url, **settings)
    assert "abc" not in str(told.value)


def test_the_webhook_of_the_environment(
    serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    monkeypatch.setenv("B24LAKE_WEBHOOK_URL", server.url)
    monkeypatch.setenv("B24LAKE_HOME", str(tmp_path / "home"))
    assert rows(api.read(None, "deals").to_arrow()).keys() == ids(server)
    assert (tmp_path / "home" / "locks").is_dir()
    (one,) = api.ranges(None, "deals", 1)
    assert rows(api.read(None, "deals", within=one).to_arrow()).keys() == ids(server)
    assert dict(api.read_many(None, ["departments"]).to_arrow()).keys() == {"departments"}
    assert "***" in repr(api.Portal())
    assert server.url not in repr(api.Portal())


@pytest.mark.parametrize(
    ("stream", "says"),
    [("dels", "did you mean deals"), ("deal_comments", "set deal_comments=True"), ("*", "There is no stream")],
)
def test_a_stream_that_there_is_not(serve: Callable[..., Server], opened: Open, stream: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        opened(serve()).read(stream)


def test_a_webhook_that_does_not_work(serve: Callable[..., Server], tmp_path: Path) -> None:
    wrong = serve().url.replace("sandboxcode", "wrongcode")
    with pytest.raises(StopError) as told:
        api.read(wrong, "deals", home=tmp_path)
    assert "wrongcode" not in str(told.value)


# --- locked streams


def test_locked_and_hidden_streams_tell_why_and_what_to_do(serve: Callable[..., Server], opened: Open) -> None:
    portal = opened(serve(scopes=("crm", "user")))
    calls, comments, deals = (portal.stream(name) for name in ("calls", "deal_comments", "deals"))
    assert (calls.status, calls.lock) == ("locked", "scope")
    assert "telephony is missing" in calls.why
    assert "tick" in calls.cure
    assert (comments.status, comments.cure) == ("hidden", "set deal_comments=True")
    assert (deals.status, deals.available, deals.why, deals.cure) == ("available", True, "", "")
    with pytest.raises(LockedError, match="telephony is missing"):
        portal.read("calls")
    with pytest.raises(LockedError, match="telephony is missing"):
        portal.ranges("calls")


def test_locked_streams_are_left_out_unless_they_are_named(serve: Callable[..., Server], opened: Open) -> None:
    server = serve(scopes=("crm", "user"))
    portal = opened(server)
    readings = portal.read_many(["c*", "users"])
    assert "calls" not in readings.readings
    assert any(note.startswith("calls: is left out") for note in readings.notes)
    assert set(readings.to_arrow()) == {"companies", "company_fields", "contacts", "contact_fields", "users"}
    named = portal.read_many(["calls", "deals"])
    with pytest.raises(LockedError, match="telephony is missing"):
        named.to_arrow()
    assert (named["calls"].report.status, named["deals"].report.status) == ("locked", "success")
    assert set(named.bookmarks) == {"deals"}


def test_a_smart_process_that_is_deleted_meanwhile(serve: Callable[..., Server], opened: Open) -> None:
    server = serve()
    portal = opened(server)
    readings = portal.read_many(["spa_128", "deals"])
    server.portal.delete_type(128)
    with pytest.raises(StreamError):
        readings.to_arrow()
    assert readings["deals"].report.complete
    assert not readings["spa_128"].report.complete


# --- faults

FAULTS: list[dict[str, Any]] = [
    {"kind": "operation_limit", "method": "crm.deal.list", "next": 3},
    {"kind": "operation_limit", "method": "batch", "next": 2, "after": 2},
    {"kind": "too_many", "next": 2, "after": 2},
    {"kind": "bad_gateway", "next": 1, "after": 2},
    {"kind": "hang_up", "next": 1, "after": 2},
    {"kind": "truncated", "next": 1, "after": 2},
    {"kind": "internal_error", "method": "crm.deal.list", "next": 4, "after": 3},
    {"kind": "empty_sections", "next": 2, "after": 2},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['kind']} {fault.get('method', '')}")
def test_passing_faults_leave_no_trace_in_the_rows(
    serve: Callable[..., Server], opened: Open, fault: dict[str, Any]
) -> None:
    server = serve(deals=1_500)
    server.portal.fault(**fault)
    reading = opened(server).read("deals")
    assert rows(reading.to_arrow()).keys() == ids(server)
    assert server.portal.told()["faults"]
    assert reading.report.complete


@pytest.mark.parametrize("kind", ["ignores_id", "ignores_order", "no_access", "unauthorized"])
def test_a_read_that_cannot_be_completed_raises_and_has_no_bookmark(
    serve: Callable[..., Server], opened: Open, kind: str
) -> None:
    server = serve(deals=1_500)
    portal = opened(server)
    portal.streams()
    server.portal.fault(kind)
    reading = portal.read("deals")
    with pytest.raises((StreamError, StopError)) as told:
        list(reading)
    assert reading.bookmark is None
    assert not reading.complete_table
    assert (reading.report.status, reading.error) == ("failed", told.value)
    assert reading.report.error == str(told.value)
    server.portal.mend()
    assert rows(portal.read("deals").to_arrow()).keys() == ids(server)


def test_rows_that_the_portal_hides_are_missed(serve: Callable[..., Server], opened: Open) -> None:
    server = serve(deals=1_500)
    server.portal.fault("hidden_rows", rate=0.01)
    with pytest.raises(StreamError, match="counts 1,500 rows, but gave"):
        opened(server).read("deals").to_arrow()


# --- an early end


def test_who_leaves_the_loop_ends_the_requests(serve: Callable[..., Server], opened: Open, asked: Log) -> None:
    server = serve(deals=20_000, page_ms=2.0)
    portal = opened(server)
    reading = portal.read("deals")
    for _batch in reading:
        break
    assert reading.report.status == "canceled"
    _nothing_more_is_asked(server)
    assert reading.bookmark is None
    assert len(asked.of("crm.deal.list")) < 390
    assert rows(portal.read("departments").to_arrow())  # the lock is free again


def test_close_ends_the_requests(serve: Callable[..., Server], opened: Open) -> None:
    server = serve(deals=20_000, page_ms=2.0)
    with opened(server).read("deals") as reading:
        batches = iter(reading)
        next(batches)
    _nothing_more_is_asked(server)
    assert next(batches, None) is None
    with opened(server) as portal:
        again = iter(portal.read("deals"))
        next(again)
    assert next(again, None) is None


def test_an_interrupt_ends_the_requests(serve: Callable[..., Server], opened: Open) -> None:
    server = serve(deals=20_000, page_ms=2.0)
    reading = opened(server).read("deals")
    with pytest.raises(KeyboardInterrupt):
        for _batch in reading:
            raise KeyboardInterrupt
    reading.close()
    _nothing_more_is_asked(server)
    assert reading.report.status == "canceled"


def _nothing_more_is_asked(server: Server) -> None:
    time.sleep(0.5)  # what was on its way has come
    before = server.portal.told()["requests"]
    time.sleep(0.3)
    assert server.portal.told()["requests"] == before


# --- one reader at a time


def test_another_program_that_reads_the_portal_is_named(
    serve: Callable[..., Server], opened: Open, tmp_path: Path
) -> None:
    server = serve()
    portal = opened(server)
    home = Home(tmp_path / "home").ready()
    with home.lock(f"portal-{portal_id(server.url.split('/')[2])}", "the portal"):
        with pytest.raises(HeldError, match="Another run holds the portal"):
            list(portal.read("deals"))
        assert portal.streams()
    assert rows(portal.read("deals").to_arrow()).keys() == ids(server)


def test_readings_of_one_portal_may_overlap(serve: Callable[..., Server], opened: Open) -> None:
    server = serve()
    portal = opened(server)
    found: dict[str, list[Any]] = {"deals": [], "contacts": []}
    readings = {name: iter(portal.read(name)) for name in found}
    for name in ("deals", "contacts") * 20:
        found[name] += [batch for batch in [next(readings[name], None)] if batch is not None]
    for name, batches in found.items():
        assert {id_ for batch in batches for id_ in batch.column("ID").to_pylist()} == ids(server, name)


# --- several streams


def test_several_streams_share_requests_and_one_budget(serve: Callable[..., Server], opened: Open, asked: Log) -> None:
    server = serve(threshold=50)
    portal = opened(server)
    names = ["deals", "contacts", "companies", "leads", "users", "status_list"]
    for name in names:
        list(portal.read(name))
    alone = portal.requests
    together = opened(server)
    readings = together.read_many(names)
    seen = [name for name, _batch in readings]
    assert set(seen) == set(names)
    assert together.requests < alone
    assert server.portal.told()["refused"] == 0
    assert {name for name, one in readings.readings.items() if one.report.complete} == set(names)
    assert set(readings.bookmarks) == {"deals", "contacts", "companies", "leads"}


def test_no_streams_are_no_streams(serve: Callable[..., Server], opened: Open) -> None:
    portal = opened(serve())
    assert portal.read_many([]).to_arrow() == {}
    assert "deals" in portal.read_many().readings
    assert "deal_comments" not in portal.read_many().readings


def test_what_the_owner_may_not_see_is_noted(serve: Callable[..., Server], opened: Open) -> None:
    portal = opened(serve(admin=False))
    assert "is not an administrator" in portal.read("deals").notes[0]
    assert "is not an administrator" in portal.read_many(["deals"]).notes[0]


def test_a_moved_portal_stays_the_same_one(serve: Callable[..., Server], opened: Open, tmp_path: Path) -> None:
    server = serve()
    old = server.url.replace("127.0.0.1", "localhost")
    reading = api.read(old, "deals", home=tmp_path / "home")
    reading.to_arrow()
    with pytest.raises(UsageError, match="of another portal"):
        opened(server).read("deals", since=reading.bookmark)
    Home(tmp_path / "home").moved(parse(old), parse(server.url))
    assert opened(server).read("deals", since=reading.bookmark).incremental
    again = api.read(old, "deals", since=reading.bookmark, home=tmp_path / "home")
    assert again.incremental
    assert "has moved" in again.notes[0]
    assert server.portal.settings.code not in again.notes[0]


def test_each_stream_goes_on_from_its_own_bookmark(serve: Callable[..., Server], opened: Open) -> None:
    server = serve()
    portal = opened(server)
    first = portal.read_many(["deals", "contacts", "users"])
    first.to_arrow()
    changed = min(ids(server, "contacts"))
    server.portal.change("contacts", changed, {"NAME": "changed"})
    since = {**{name: one.to_json() for name, one in first.bookmarks.items()}, "gone": "{}"}
    second = portal.read_many(["deals", "contacts", "users"], since=since, columns={"users": ["NAME"]})
    found = second.to_arrow()
    assert [len(found[name]) for name in ("deals", "contacts", "users")] == [0, 1, len(ids(server, "users"))]
    assert found["users"].column_names == ["ID", "NAME", "_misfits"]
    with pytest.raises(UsageError, match="There is no stream 'usrs'"):
        portal.read_many(columns={"usrs": ["NAME"]})
    with pytest.raises(UsageError, match="are a text"):
        portal.read_many("deals")


def test_a_stream_that_fails_does_not_stop_the_others(serve: Callable[..., Server], opened: Open) -> None:
    server = serve()
    portal = opened(server)
    readings = portal.read_many(["deals", "contacts", "leads"])
    server.portal.fault("no_access", method="crm.contact.list")
    server.portal.fault("internal_error", method="crm.lead.list")
    with pytest.raises(StreamError, match="2 of 3 streams could not be read: contacts, leads"):
        list(readings)
    assert {name: one.report.status for name, one in readings.readings.items()} == {
        "deals": "success",
        "contacts": "failed",
        "leads": "failed",
    }
    assert set(readings.bookmarks) == {"deals"}
