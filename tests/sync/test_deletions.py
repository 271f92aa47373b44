"""Rows that are gone at the portal: what each policy and sync type makes of them, and what stops a read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import deltalake
import pytest

from b24lake.sandbox import Server
from b24lake.sync.report import StreamReport
from running import Lake, Ran

POLICIES = ("remove", "mark", "keep")
WHOLE = {"sync_types": {"contacts": "FULL_TABLE"}}


def run(lake: Lake, server: Server, stream: str = "contacts", **options: Any) -> StreamReport:
    (line,) = lake.sync(server.url, stream, deal_comments=True, **options).streams
    return line


def full(lake: Lake, server: Server, stream: str = "contacts", **options: Any) -> StreamReport:
    return run(lake, server, stream, full=True, **options)


def ids(server: Server, table: str = "contacts") -> list[int]:
    return list(server.portal.tables[table].ids)


def delete(server: Server, some: list[int], table: str = "contacts") -> None:
    for id_ in some:
        server.portal.delete(table, id_)


def marks(lake: Lake, stream: str = "contacts", version: int | None = None) -> dict[int, datetime | None]:
    """The rows of a table by key, each with the time at which it was marked as deleted."""
    table = deltalake.DeltaTable(lake.table(stream), version=version).to_pyarrow_table()
    found = {row["ID"]: row.get("_deleted_at") for row in table.to_pylist()}
    assert len(found) == table.num_rows
    return found


def version(lake: Lake, stream: str = "contacts") -> int:
    return deltalake.DeltaTable(lake.table(stream)).version()


@pytest.mark.parametrize("policy", POLICIES)
def test_deleted_rows_stay_until_a_full_sync_which_does_as_the_policy_says(
    serve: Callable[..., Server], lake: Lake, policy: str
) -> None:
    server = serve()
    run(lake, server, deleted=policy)
    before, gone = ids(server), ids(server)[:7]
    delete(server, gone)
    assert run(lake, server, deleted=policy).rows_deleted == 0
    assert marks(lake) == dict.fromkeys(before)

    report = lake.sync(server.url, "contacts", full=True, deleted=policy)
    (line,) = report.streams
    assert (line.sync_type, line.rows_read, line.rows_inserted) == ("INCREMENTAL", 113, 0)
    assert line.rows_deleted == (0 if policy == "keep" else 7)
    found = marks(lake)
    assert found.keys() == set(ids(server) if policy == "remove" else before)
    at = report.started_at if policy == "mark" else None
    assert {id_: found[id_] for id_ in gone if id_ in found} == ({} if policy == "remove" else dict.fromkeys(gone, at))

    last = version(lake)
    again = full(lake, server, deleted=policy)
    assert (again.rows_deleted, version(lake)) == (0, last)


# policy of one full sync, of the next one, rows it deletes, what has become of rows that were gone at the first one
SWITCHES = [
    ("remove", "mark", 0, "away"),
    ("remove", "keep", 0, "away"),
    ("keep", "remove", 5, "away"),
    ("keep", "mark", 5, "marked by the second"),
    ("mark", "remove", 0, "away"),
    ("mark", "keep", 0, "marked by the first"),
]


@pytest.mark.parametrize(("first", "second", "deleted", "become"), SWITCHES)
def test_another_policy_holds_from_the_next_full_sync_on(
    serve: Callable[..., Server], lake: Lake, first: str, second: str, deleted: int, become: str
) -> None:
    server = serve()
    run(lake, server)
    gone = ids(server)[::25]
    delete(server, gone)
    begun = lake.sync(server.url, "contacts", full=True, deleted=first).started_at
    report = lake.sync(server.url, "contacts", full=True, deleted=second)
    assert (len(gone), report.streams[0].rows_deleted) == (5, deleted)
    times = {"marked by the first": begun, "marked by the second": report.started_at}
    found = marks(lake)
    assert {id_: found[id_] for id_ in gone if id_ in found} == (
        {} if become == "away" else dict.fromkeys(gone, times[become])
    )
    assert {found[id_] for id_ in ids(server)} == {None}


@pytest.mark.parametrize("way", [run, full], ids=["incremental", "full"])
def test_a_marked_row_that_is_back_is_marked_no_more(
    serve: Callable[..., Server], lake: Lake, way: Callable[..., StreamReport]
) -> None:
    """A deal that leaves the chosen funnels is gone; later it comes back to them."""
    server = serve()
    options: dict[str, Any] = {"deal_categories": (0,), "deleted": "mark"}
    run(lake, server, "deals", **options)
    chosen = list(marks(lake, "deals"))
    for id_ in chosen[:3]:
        server.portal.change("deals", id_, {"CATEGORY_ID": "1"})
    assert full(lake, server, "deals", **options).rows_deleted == 3
    assert [id_ for id_, at in marks(lake, "deals").items() if at] == chosen[:3]
    for id_ in chosen[1:3]:
        server.portal.change("deals", id_, {"CATEGORY_ID": "0"})
    line = way(lake, server, "deals", **options)
    assert (line.rows_inserted, line.rows_updated) == ((0, 2) if way is run else (2, 0))
    assert [id_ for id_, at in marks(lake, "deals").items() if at] == chosen[:1]
    assert deltalake.DeltaTable(lake.table("deals")).to_pyarrow_table().num_rows == len(chosen)


@pytest.mark.parametrize("policy", POLICIES)
def test_rows_that_belong_to_deals_follow_the_policy_at_a_full_sync_as_well(
    serve: Callable[..., Server], lake: Lake, policy: str
) -> None:
    server = serve()
    run(lake, server, "deal_comments", deleted=policy)
    before = marks(lake, "deal_comments")
    tables = server.portal.tables
    some = [deal for deal in ids(server, "deals") if tables.comments["deal"](deal)][:6]
    gone = {int(row["ID"]) for deal in some for row in tables.comments["deal"](deal)}
    delete(server, some[3:], "deals")
    for deal in some[:3]:
        server.portal.lay("comments", "deals", deal, [], quiet=True)
    assert run(lake, server, "deal_comments", deleted=policy).rows_deleted == 0
    line = full(lake, server, "deal_comments", deleted=policy)
    assert line.rows_deleted == (0 if policy == "keep" else len(gone))
    found = marks(lake, "deal_comments")
    assert found.keys() == (before.keys() - gone if policy == "remove" else before.keys())
    assert {id_ for id_, at in found.items() if at} == (gone if policy == "mark" else set())


@pytest.mark.parametrize("policy", POLICIES)
def test_a_full_table_shows_the_current_state_whatever_the_policy(
    serve: Callable[..., Server], lake: Lake, policy: str
) -> None:
    server = serve()
    run(lake, server, deleted=policy)
    delete(server, ids(server)[:4])
    full(lake, server, deleted=policy)
    delete(server, ids(server)[:2])
    run(lake, server, deleted=policy, **WHOLE)
    assert marks(lake) == dict.fromkeys(ids(server))


def test_a_stream_goes_on_from_its_bookmark_when_it_is_incremental_again(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve()
    reports = [run(lake, server), run(lake, server, **WHOLE)]
    server.portal.change("contacts", ids(server)[3], {"NAME": "Changed"})
    reports += [run(lake, server, **WHOLE), run(lake, server)]
    server.portal.change("contacts", ids(server)[4], {"NAME": "Changed"})
    reports += [run(lake, server)]
    assert [line.rows_read for line in reports] == [120, 120, 120, 1, 2]
    assert [line.rows_updated for line in reports] == [None, 0, 1, 0, 1]
    assert reports[0].bookmark == reports[1].bookmark, "nothing was new: no version, and the bookmark is where it was"


def test_a_refresh_is_one_new_version_and_no_version_is_ever_empty(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    run(lake, server)
    before, old = version(lake), marks(lake)
    for id_ in ids(server)[:50]:
        server.portal.change("contacts", id_, {"NAME": "Changed"})
    delete(server, ids(server)[60:70])
    line = full(lake, server)
    assert (line.rows_read, line.rows_updated, line.rows_deleted, version(lake)) == (110, 50, 10, before + 1)
    assert [len(marks(lake, version=number)) for number in range(before + 2)] == [*[120] * (before + 1), 110]
    assert marks(lake, version=before) == old


# --- the guard --------------------------------------------------------------------------------------------------------

# rows before, rows that go, policy, more options, is it stopped
GUARDED: list[tuple[int, int, str, dict[str, Any], bool]] = [
    (1001, 501, "remove", {}, True),
    (1001, 500, "remove", {}, False),
    (1000, 999, "remove", {}, False),
    (21, 21, "remove", {}, True),
    (20, 20, "remove", {}, False),
    (21, 21, "mark", {}, True),
    (21, 21, "keep", {}, False),
    (21, 21, "keep", WHOLE, True),
    (21, 21, "mark", {"accept_deletions": True}, False),
]


@pytest.mark.parametrize(("before", "gone", "policy", "options", "stopped"), GUARDED)
def test_a_full_read_that_would_lose_too_much_is_stopped(
    serve: Callable[..., Server], lake: Lake, before: int, gone: int, policy: str, options: Any, *, stopped: bool
) -> None:
    server = serve(contacts=before)
    run(lake, server)
    delete(server, ids(server)[:gone])
    line = full(lake, server, deleted=policy, **options)
    assert (line.status == "failed") is stopped
    if stopped:
        assert f"would delete {gone:,} of {before:,} rows" in (line.error or "")
        assert len(marks(lake)) == before
        assert not (Path(lake.table("contacts")) / "_staging").exists()
        assert not [file for file in Path(lake.table("contacts")).glob("part-*") if file.name not in live(lake)]
        options = {**options, "accept_deletions": True}
        assert full(lake, server, deleted=policy, **options).rows_deleted == gone


def live(lake: Lake) -> set[str]:
    return {Path(uri).name for uri in deltalake.DeltaTable(lake.table("contacts")).file_uris()}


def test_rows_that_were_marked_before_do_not_count(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(contacts=40)
    run(lake, server)
    delete(server, ids(server)[:20])
    full(lake, server, deleted="mark")
    delete(server, ids(server))
    assert full(lake, server, deleted="mark").rows_deleted == 20
    assert full(lake, server).status == "empty"
    assert marks(lake) == {}


@pytest.mark.parametrize("stream", ["deals", "deal_comments", "deal_stage_history"])
def test_where_other_funnels_are_asked_for_the_guard_says_so(
    serve: Callable[..., Server], lake: Lake, b24lake: Callable[..., Ran], stream: str
) -> None:
    server = serve()
    run(lake, server, stream, deal_categories=(0,))
    words = ["sync", server.url, "-s", stream, "--deal-comments", "--deal-categories", "1"]
    stopped = b24lake(*words)
    assert stopped.code == 1
    assert "only deals of --deal-categories 1 are asked for, and the last run asked for something else" in stopped.said
    assert b24lake(*words, "--accept-deletions").code == 0


def test_where_the_same_funnels_have_lost_their_deals_the_guard_does_not_blame_the_choice(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve()
    run(lake, server, "deals", deal_categories=(0,))
    delete(server, list(marks(lake, "deals")), "deals")
    error = full(lake, server, "deals", deal_categories=(0,)).error or ""
    assert "so many rows rarely go at once" in error
