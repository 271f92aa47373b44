"""Where a reading ended, the next one goes on; and a bookmark that does not fit is refused, or leads to a full read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from portals import Open, ids, rows

from b24lake.api import Bookmark, Portal
from b24lake.errors import UsageError
from b24lake.sandbox import Server

CHILDREN: dict[str, Any] = {"deal_comments": True, "deal_products": True}


def bookmark_of(portal: Portal, stream: str = "deals", **asked: Any) -> Bookmark:
    reading = portal.read(stream, **asked)
    for _batch in reading:
        assert reading.bookmark is None
    assert reading.bookmark is not None
    return reading.bookmark


# --- going on


@pytest.mark.parametrize("form", [lambda one: one, Bookmark.to_json, Bookmark.as_dict], ids=["object", "json", "dict"])
def test_what_changed_since_the_last_reading_comes(serve: Callable[..., Server], opened: Open, form: Any) -> None:
    server = serve()
    portal = opened(server)
    before = rows(portal.read("deals").to_arrow())
    bookmark = bookmark_of(portal)
    changed, gone = sorted(ids(server))[7], sorted(ids(server))[11]
    server.portal.change("deals", changed, {"TITLE": "changed"})
    server.portal.delete("deals", gone)
    new = server.portal.create("deals", {"TITLE": "new"})
    reading = opened(server).read("deals", since=form(bookmark))
    after = rows(reading.to_arrow())
    assert {id_: row["TITLE"] for id_, row in after.items()} == {changed: "changed", new: "new"}
    assert (reading.incremental, reading.complete_table, reading.notes) == (True, False, ())
    assert reading.report.status == "success"
    assert reading.bookmark is not None
    assert reading.bookmark.value >= bookmark.value
    whole = portal.read("deals")
    assert rows(whole.to_arrow()).keys() == (before.keys() | {new}) - {gone}
    assert whole.complete_table


def test_the_bookmark_is_the_portals_clock_and_not_the_maximum_seen(serve: Callable[..., Server], opened: Open) -> None:
    server = serve()
    server.portal.fault("clock_off", skew=-7200.0)
    now = datetime.now(UTC) - timedelta(hours=2)
    portal = opened(server, overlap=600)
    bookmark = bookmark_of(portal)
    assert bookmark.at is not None
    assert abs(bookmark.at - (now - timedelta(minutes=10))) < timedelta(minutes=2)
    newest = max(row["DATE_MODIFY"] for row in portal.read("deals").to_arrow().to_pylist())
    assert newest < bookmark.at
    calls = bookmark_of(portal, "calls").at
    assert calls is not None
    assert abs(calls - (now - timedelta(days=2))) < timedelta(minutes=2)


def test_what_changes_while_it_is_read_comes_again(serve: Callable[..., Server], opened: Open) -> None:
    server = serve(deals=3_000)
    first, last = min(ids(server)), max(ids(server))
    server.portal.plan("change", "deals", id=first, fields={"TITLE": "late"}, after=20, unit="page")
    server.portal.plan("delete", "deals", id=last, after=21, unit="page")
    portal = opened(server, overlap=0)
    reading = portal.read("deals")
    seen = rows(reading.to_arrow())
    assert seen.keys() - {last} == ids(server)
    again = rows(portal.read("deals", since=reading.bookmark).to_arrow())
    assert {**seen, **again}[first]["TITLE"] == "late"


def test_a_log_goes_on_from_an_id(serve: Callable[..., Server], opened: Open) -> None:
    server = serve(deals=900)
    portal = opened(server)
    bookmark = bookmark_of(portal, "deal_stage_history")
    assert (bookmark.kind, bookmark.at) == ("id", None)
    assert bookmark.value == max(rows(portal.read("deal_stage_history").to_arrow()))
    reading = portal.read("deal_stage_history", since=bookmark)
    found = rows(reading.to_arrow())
    assert found
    assert min(found) > bookmark.value - 1000
    assert reading.bookmark == bookmark
    assert not reading.report.filter_ignored


@pytest.mark.parametrize("stream", [*CHILDREN])
def test_children_come_for_the_records_that_have_moved(serve: Callable[..., Server], opened: Open, stream: str) -> None:
    server = serve()
    portal = opened(server, **CHILDREN)
    column = {"deal_comments": "ENTITY_ID", "deal_products": "OWNER_ID"}[stream]
    reading = portal.read(stream)
    before = rows(reading.to_arrow())
    assert reading.replaced is not None
    assert (reading.replaced.column, set(reading.replaced.ids.to_pylist())) == (column, ids(server))
    deal = next(iter(before.values()))[column]
    server.portal.lay({"deal_comments": "comments", "deal_products": "product_rows"}[stream], "deals", deal, [])
    again = portal.read(stream, since=reading.bookmark)
    assert again.to_arrow().num_rows == 0
    assert again.replaced is not None
    assert again.replaced.ids.to_pylist() == [deal]
    assert not again.complete_table
    assert again.report.status == "success"


def test_another_replication_key_can_be_chosen(serve: Callable[..., Server], opened: Open) -> None:
    server = serve()
    portal = opened(server)
    assert portal.stream("activities").replication_keys == ("CREATED", "LAST_UPDATED")
    bookmark = bookmark_of(portal, "activities", replication_key="LAST_UPDATED")
    one = min(ids(server, "activities"))
    server.portal.change("activities", one, {"SUBJECT": "edited"})
    reading = portal.read("activities", replication_key="LAST_UPDATED", since=bookmark)
    assert set(rows(reading.to_arrow())) == {one}
    by_default = portal.read("activities", since=bookmark)
    assert "asked otherwise" in by_default.notes[0]
    assert not by_default.incremental
    with pytest.raises(UsageError, match="no replication key NOTHING"):
        portal.read("activities", replication_key="NOTHING")


@pytest.mark.parametrize("since", ["2020-06-01", "2020-06-01T02:00:00+02:00", datetime(2020, 6, 1)], ids=str)
def test_a_time_is_where_to_begin(serve: Callable[..., Server], opened: Open, since: Any) -> None:
    server = serve(epoch=1609459200)  # dates lie in 2017 to 2020
    portal = opened(server)
    whole = rows(portal.read("deals").to_arrow())
    begin = datetime(2020, 6, 1, tzinfo=UTC)
    wanted = {id_ for id_, row in whole.items() if row["DATE_MODIFY"] >= begin}
    reading = portal.read("deals", since=since)
    assert rows(reading.to_arrow()).keys() == wanted
    assert 0 < len(wanted) < len(whole)
    assert reading.bookmark is not None


# --- a filter that is ignored


@pytest.mark.parametrize("kind", ["ignores_date_offset", "ignores_date"])
def test_rows_begin_anew_where_the_portal_ignores_the_filter(
    serve: Callable[..., Server], opened: Open, kind: str
) -> None:
    server = serve()
    portal = opened(server)
    bookmark = bookmark_of(portal)
    changed = max(ids(server))
    server.portal.change("deals", changed, {"TITLE": "changed"})
    server.portal.fault(kind)
    reading = portal.read("deals", since=bookmark)
    found = rows(reading.to_arrow())
    assert reading.restarts >= 1
    assert reading.report.filter_ignored is (kind == "ignores_date")
    assert found.keys() == (ids(server) if kind == "ignores_date" else {changed})
    assert reading.report.rows == len(found)


# --- bookmarks that do not fit


def test_what_is_asked_otherwise_is_read_in_full_and_says_so(serve: Callable[..., Server], opened: Open) -> None:
    server = serve()
    bookmark = bookmark_of(opened(server))
    cases: list[tuple[Portal, dict[str, Any]]] = [
        (opened(server), {"columns": ["TITLE"]}),
        (opened(server, reader="universal"), {}),
        (opened(server, deal_contacts=True), {}),
        (opened(server, deal_categories=(0,)), {}),
    ]
    for portal, asked in cases:
        reading = portal.read("deals", since=bookmark, **asked)
        (note,) = reading.notes
        assert note.startswith("deals: is read in full, since it is asked otherwise than before")
        reading.to_arrow()
        assert reading.complete_table
        assert reading.bookmark is not None
        assert reading.bookmark.fingerprint != bookmark.fingerprint
    server.portal.set_field("deals", "UF_CRM_NEW", "string")  # what is wanted has not changed by that
    chosen = bookmark_of(opened(server), columns=["TITLE", "STAGE_ID"])
    server.portal.set_field("deals", "UF_CRM_NEWER", "string")
    assert opened(server).read("deals", since=chosen, columns=["STAGE_ID", "TITLE"]).incremental


REFUSED: Mapping[str, tuple[Callable[[Bookmark], Any], str]] = {
    "stream": (lambda one: replace(one, stream="leads"), "of stream leads, not of deals"),
    "portal": (lambda one: replace(one, portal="0" * 16), "of another portal"),
    "future": (lambda one: replace(one, value=one.value + 86_400_000), "has not come yet"),
    "version": (lambda one: {**one.as_dict(), "version": 2}, "of version 2"),
    "no version": (lambda _one: json.dumps({"replication_key_value": "2026"}), "of version None"),
    "cut": (lambda one: one.to_json()[:-5], "is not JSON"),
    "not an object": (lambda _one: b"[1]", "is not an object"),
    "value": (lambda one: {**one.as_dict(), "value": "soon"}, "missing or changed"),
    "true": (lambda one: {**one.as_dict(), "value": True}, "missing or changed"),
    "kind": (lambda one: {**one.as_dict(), "kind": "page"}, "missing or changed"),
    "nothing in it": (lambda _one: {"version": 1}, "missing or changed"),
    "words": (lambda _one: "last week", "neither a time nor a bookmark"),
    "later": (lambda _one: "2199-01-01", "has not come yet"),
    "before time": (lambda _one: "1969-12-31", "before the first record"),
}


@pytest.mark.parametrize("case", [*REFUSED])
def test_a_wrong_bookmark_is_refused_and_nothing_is_read(serve: Callable[..., Server], opened: Open, case: str) -> None:
    made, says = REFUSED[case]
    portal = opened(serve())
    bookmark = bookmark_of(portal)
    before = portal.requests
    with pytest.raises(UsageError, match=says):
        portal.read("deals", since=made(bookmark))
    assert portal.requests == before


@pytest.mark.parametrize(
    ("stream", "says"), [("users", "no field by which"), ("deal_fields", "no field"), ("deal_stage_history", "are ids")]
)
def test_a_time_is_refused_where_there_is_none(
    serve: Callable[..., Server], opened: Open, stream: str, says: str
) -> None:
    portal = opened(serve())
    with pytest.raises(UsageError, match=says):
        portal.read(stream, since="2026-01-01")
    assert portal.read(stream, since=None).to_arrow().num_rows
    assert portal.read(stream, since="").to_arrow().num_rows


def test_json_keeps_everything() -> None:
    bookmark = Bookmark("0123456789abcdef", "deals", "time", 1795412143000, "a48df055583071d1")
    assert Bookmark.from_json(bookmark.to_json()) == Bookmark.from_json(bookmark.as_dict()) == bookmark
    assert json.loads(bookmark.to_json()) == bookmark.as_dict()
