"""Comments and product rows of deals, read deal by deal: equal to the portal, replaced per deal as a whole."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from b24lake.portal.limits import PLANS, Plan
from b24lake.portal.webhook import parse
from b24lake.sandbox import Server
from b24lake.sandbox.data.children import classic_product_row
from b24lake.streams.declared import COMMENT, PRODUCT_ROW
from b24lake.sync.home import Home
from b24lake.sync.options import Options
from b24lake.sync.planning import PLANNED, UNKNOWN, StreamPlan, plan
from b24lake.sync.report import RunReport, StreamReport
from expected import row as expected_row
from running import Lake, command, environment

BOTH = {"deal_comments": True, "deal_products": True}
STREAMS = ("deal_comments", "deal_products")
SOON = {"overlap": timedelta(0)}
DESCRIBED = {
    name: {code: {"type": kind} for code, kind in declared.items()}
    for name, declared in (("deal_comments", COMMENT), ("deal_products", PRODUCT_ROW))
}


def sync(lake: Lake, server: Server, *streams: str, **options: Any) -> RunReport:
    return lake.sync(server.url, *(streams or STREAMS), **{**BOTH, **options})


def line(report: RunReport, name: str) -> StreamReport:
    return next(one for one in report.streams if one.name == name)


def deal_ids(server: Server) -> list[int]:
    return [int(row["ID"]) for row in server.portal.truth("deals")]


def truth(server: Server, stream: str) -> dict[int, dict[str, Any]]:
    """What the portal has of all deals, typed."""
    tables = server.portal.tables
    if stream == "deal_comments":
        raw = [row for id_ in deal_ids(server) for row in tables.comments["deal"](id_)]
    else:
        raw = [classic_product_row(row) for id_ in deal_ids(server) for row in tables.product_rows("D")(id_)]
    rows = [expected_row(row, DESCRIBED[stream]) for row in raw]
    return {row["ID"]: row for row in rows}


def here(lake: Lake, stream: str) -> dict[int, dict[str, Any]]:
    rows = deltalake.DeltaTable(lake.table(stream)).to_pyarrow_table().to_pylist()
    found = {row["ID"]: {name: value for name, value in row.items() if name[0] != "_"} for row in rows}
    assert len(found) == len(rows)
    return found


def version(lake: Lake, stream: str) -> int:
    return deltalake.DeltaTable(lake.table(stream)).version()


def assert_equal(lake: Lake, server: Server, *streams: str) -> None:
    for stream in streams or STREAMS:
        there, found = truth(server, stream), here(lake, stream)
        assert found.keys() == there.keys()
        for key, row in there.items():
            assert {name: found[key][name] for name in row} == row


def comment(server: Server, deal: int, number: int, text: str = "hello") -> dict[str, Any]:
    return {
        "ID": str(deal * 64 + number),
        "ENTITY_ID": str(deal),
        "ENTITY_TYPE": "deal",
        "CREATED": server.portal.world.show(server.portal.world.begin),
        "COMMENT": f"{text} {number}",
        "AUTHOR_ID": "1",
    }


def lay_comments(server: Server, deal: int, count: int, **how: Any) -> None:
    server.portal.lay("comments", "deals", deal, [comment(server, deal, number) for number in range(count)], **how)


def test_every_comment_and_product_row_equals_the_portal(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(server_offset=-300)
    for deal, count in zip(deal_ids(server)[::20], (50, 51, 63, 0, 49), strict=False):
        lay_comments(server, deal, count)
    report = sync(lake, server)
    assert report.status == "success", report.as_json()
    assert_equal(lake, server)
    for name in STREAMS:
        assert line(report, name).rows_read == line(report, name).rows_inserted == len(truth(server, name)) > 100
        assert line(report, name).sync_type == "INCREMENTAL"
        assert line(report, name).bookmark
    assert pa.schema(deltalake.DeltaTable(lake.table("deal_products")).schema()).field("PRICE").type == pa.decimal128(
        38, 9
    )


def test_without_the_option_there_is_no_such_stream(serve: Callable[..., Server], lake: Lake) -> None:
    report = lake.sync(serve().url, "deal*")
    assert not {one.name for one in report.streams} & set(STREAMS)


def test_only_deals_that_moved_are_read_again_and_replaced_as_a_whole(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=1000)
    ids = deal_ids(server)
    for deal in ids[:3]:
        lay_comments(server, deal, 3, quiet=True)
    sync(lake, server)
    before = truth(server, "deal_comments")
    server.portal.reset_counters()
    server.portal.lay("comments", "deals", ids[0], [comment(server, ids[0], 1, "edited"), comment(server, ids[0], 9)])
    server.portal.lay("comments", "deals", ids[1], [])
    lay_comments(server, ids[2], 60)
    server.portal.lay("product_rows", "deals", ids[3], [])
    server.portal.lay("product_rows", "deals", ids[4], server.portal.tables.product_rows("D")(ids[4])[:1])
    report = sync(lake, server)
    assert_equal(lake, server)
    after = truth(server, "deal_comments")
    told = line(report, "deal_comments")
    assert (told.rows_inserted, told.rows_deleted) == (len(after.keys() - before), len(before.keys() - after))
    assert told.rows_updated == sum(after[key] != before[key] for key in after.keys() & before)
    commands = server.portal.counters.commands
    assert commands["crm.timeline.comment.list"] < 5 + 2 + len(ids) / 10
    assert told.rows_deleted == 2 + 3


def test_a_run_with_nothing_new_writes_no_version(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    sync(lake, server)
    server.portal.change("deals", deal_ids(server)[5], {"TITLE": "Changed"})
    before = [version(lake, name) for name in STREAMS]
    report = sync(lake, server)
    assert {one.status for one in report.streams} == {"success"}
    assert [version(lake, name) for name in STREAMS] == before
    assert all(one.bookmark for one in report.streams)


def test_quiet_edits_and_deleted_deals_come_in_with_a_full_sync(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    sync(lake, server)
    ids = deal_ids(server)
    lay_comments(server, ids[0], 2, quiet=True)
    for deal in ids[10:40]:
        server.portal.delete("deals", deal)
    sync(lake, server, **SOON)
    assert here(lake, "deal_comments") != truth(server, "deal_comments")
    report = sync(lake, server, full=True)
    assert line(report, "deal_comments").rows_deleted > 0
    assert_equal(lake, server)


def test_a_deal_that_is_deleted_while_it_is_read_has_no_rows(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=600)
    server.portal.plan("delete", "deals", count=7, after=14, unit="page", method="crm.deal.list")
    report = sync(lake, server)
    assert {one.status for one in report.streams} == {"success"}
    assert_equal(lake, server)
    assert any("deals gave nothing" in note for note in report.notes)


def test_rows_of_a_deal_that_is_refused_stay_until_a_full_sync(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    sync(lake, server)
    before = here(lake, "deal_comments")
    for deal in deal_ids(server):
        server.portal.change("deals", deal, {})
    server.portal.fault("no_access", method="crm.timeline.comment.list", after=50, next=60)
    report = sync(lake, server)
    assert any("deal_comments: 60 deals gave nothing" in note for note in report.notes)
    assert (line(report, "deal_comments").status, line(report, "deal_comments").rows_deleted) == ("success", 0)
    assert here(lake, "deal_comments") == before


def test_where_every_deal_is_refused_the_stream_is_locked(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    server.portal.fault("no_access", method="crm.timeline.comment.list")
    report = sync(lake, server, "deal_*")
    assert (line(report, "deal_comments").status, line(report, "deal_products").status) == ("locked", "success")
    assert "for each of" in (line(report, "deal_comments").error or "")
    assert server.portal.counters.commands["crm.timeline.comment.list"] <= 250


def test_deals_that_are_refused_for_once_keep_what_they_had(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    ids = deal_ids(server)[:4]
    for deal in ids:
        lay_comments(server, deal, 3)
    sync(lake, server)
    for deal in ids:
        lay_comments(server, deal, 4)
    server.portal.fault("no_access", method="crm.timeline.comment.list", next=2)
    report = sync(lake, server, **SOON)
    server.portal.mend()
    assert (line(report, "deal_comments").rows_inserted, line(report, "deal_comments").rows_deleted) == (2, 0)
    assert any("2 deals gave nothing" in note for note in report.notes)
    sync(lake, server, full=True)
    assert_equal(lake, server)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "missing_keys", "rate": 0.2},
        {"kind": "internal_error", "rate": 0.1},
        {"kind": "operation_limit", "method": "crm.timeline.comment.list", "next": 30},
        {"kind": "empty_sections", "every": 3, "next": 4},
        {"kind": "bad_gateway", "every": 4, "next": 3},
        {"kind": "short_pages", "method": "crm.timeline.comment.list", "rate": 0.1, "next": 20},
    ],
    ids=lambda fault: str(fault["kind"]),
)
def test_what_is_not_answered_is_asked_again(serve: Callable[..., Server], lake: Lake, fault: dict[str, Any]) -> None:
    server = serve(deals=400, operating_window=10)  # for as long a method may rest
    lay_comments(server, deal_ids(server)[3], 63)
    sync_once(server, lake, fault)
    assert_equal(lake, server)


def sync_once(server: Server, lake: Lake, fault: dict[str, Any]) -> None:
    server.portal.fault(**fault)
    report = sync(lake, server)
    server.portal.mend()
    assert report.status == "success", report.as_json()


def test_a_portal_that_stops_answering_leaves_no_half_table(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=300)
    server.portal.fault("internal_error", method="crm.deal.productrows.get", after=100)
    report = sync(lake, server)
    assert (line(report, "deal_products").status, line(report, "deal_comments").status) == ("failed", "success")
    assert not deltalake.DeltaTable.is_deltatable(lake.table("deal_products"))
    server.portal.mend()
    assert sync(lake, server).status == "success"
    assert_equal(lake, server)


@pytest.mark.parametrize("later", [False, True], ids=["the first read", "a later one"])
@pytest.mark.slow
def test_a_killed_run_commits_nothing_and_is_begun_anew(
    serve: Callable[..., Server], lake: Lake, *, later: bool
) -> None:
    server = serve(deals=1000, operating_limit=0)
    if later:
        sync(lake, server)
        for deal in deal_ids(server)[:900]:
            lay_comments(server, deal, 2)
    server.portal.set(command_ms=4.0)
    before = version(lake, "deal_comments") if later else None
    words = command("sync", server.url, "-s", "deal_comments", "--deal-comments", "--json")
    asked = server.portal.counters.commands["crm.timeline.comment.list"]
    run = subprocess.Popen(words, env=environment(lake), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while server.portal.counters.commands["crm.timeline.comment.list"] < asked + 300:
        assert run.poll() is None, "the run was too quick to be killed"
        time.sleep(0.005)
    run.kill()
    run.communicate()
    assert (version(lake, "deal_comments") if later else None) == before
    assert later or not deltalake.DeltaTable.is_deltatable(lake.table("deal_comments"))
    server.portal.set(command_ms=0.0)
    assert sync(lake, server).status == "success"
    assert_equal(lake, server)


def test_comments_that_come_and_go_between_two_pages_are_read_anew(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=5)
    deal = deal_ids(server)[0]
    rows = [comment(server, deal, number) for number in range(60)]
    asked = iter([rows, rows[1:], rows[1:], rows[1:]])
    server.portal.tables.comments["deal"] = lambda id_: next(asked, rows[1:]) if id_ == deal else []
    assert sync(lake, server, "deal_comments").status == "success"
    assert here(lake, "deal_comments").keys() == {int(row["ID"]) for row in rows[1:]}


def test_the_bookmark_is_from_before_the_first_deal_was_asked_for(serve: Callable[..., Server], lake: Lake) -> None:
    server, began = serve(), datetime.now(UTC)
    report = sync(lake, server, **SOON)
    for one in report.streams:
        assert abs(datetime.fromisoformat(one.bookmark or "") - began) < timedelta(seconds=10)


def test_deleted_rows_are_marked_or_kept_where_the_policy_says_so(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=40)
    deal = deal_ids(server)[0]
    lay_comments(server, deal, 3)
    sync(lake, server, "deal_comments")
    lay_comments(server, deal, 1)
    assert line(sync(lake, server, "deal_comments", deleted="keep"), "deal_comments").rows_deleted == 0
    assert len(here(lake, "deal_comments")) == len(truth(server, "deal_comments")) + 2
    assert line(sync(lake, server, "deal_comments", deleted="mark"), "deal_comments").rows_deleted == 2
    assert line(sync(lake, server, "deal_comments"), "deal_comments").rows_deleted == 2
    assert_equal(lake, server, "deal_comments")


def test_as_full_tables_they_always_are_read_as_a_whole(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    types = {"sync_types": dict.fromkeys(STREAMS, "FULL_TABLE")}
    sync(lake, server, **types)
    lay_comments(server, deal_ids(server)[0], 7, quiet=True)
    sync(lake, server, **types)
    assert_equal(lake, server)


@pytest.mark.slow
def test_twenty_thousand_deals_take_fifty_of_them_a_request(
    serve: Callable[..., Server], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PLANS, "enterprise", Plan(100_000, 1_000.0))  # no waiting for room in the bucket
    server = serve(deals=20_000, operating_limit=0)
    options = {"threshold": 0.0, "portal_plan": "enterprise"}
    assert sync(lake, server, **options).status == "success"
    assert server.portal.counters.requests <= 20_000 / 50 * 2 + 100
    assert_equal(lake, server)


TIMES = {"book": True, "page_ms": 40.0, "command_ms": 20.0, "round_trip_ms": 100.0}


def planned(lake: Lake, server: Server, *streams: str, **options: Any) -> dict[str, StreamPlan]:
    asked = Options(lake=lake.path, streams=streams or STREAMS, **{**BOTH, **options})
    return {one.name: one for one in plan(parse(server.url), asked, Home(lake.home)).streams}


@pytest.mark.slow
def test_a_plan_knows_what_the_children_take(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=1500, **TIMES)
    streams = {"deals", *STREAMS}
    for _run in ("in full", "incremental"):
        found = planned(lake, server, *streams, deal_contacts=True)
        report = sync(lake, server, *streams, deal_contacts=True)
        assert {one.status for one in found.values()} == {PLANNED}
        for one in report.streams:
            expected = found[one.name].expected
            assert expected.commands == pytest.approx(one.commands, rel=0.2, abs=5)
            assert expected.portal_seconds == pytest.approx(one.portal_seconds, rel=0.25, abs=0.5)
        for deal in deal_ids(server)[:200]:
            server.portal.change("deals", deal, {"TITLE": "another"})


def test_a_plan_says_which_children_cannot_be_sized(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    server.portal.fault("no_access", method="crm.timeline.comment.list")
    found = planned(lake, server)
    assert (found["deal_comments"].status, found["deal_products"].status) == (UNKNOWN, PLANNED)
    assert not planned(lake, serve(deals=0))["deal_products"].expected.rows
