"""Fields of the portal come, go and change between two runs, or during one: the tables follow, and the run says so."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import deltalake
import pyarrow as pa
import pytest

import expected
from b24lake.sandbox import Server
from b24lake.streams.fields import CODE
from b24lake.sync.report import StreamReport
from running import Lake, Ran

NAME = "UF_CRM_1790000001"
MANY = 1200  # rows of which large answers are made, which are cut into columns without parsing them
sizes = pytest.mark.parametrize("deals", [260, MANY], ids=["parsed", "cut"])
most_parsed = pytest.mark.parametrize(
    "deals", [260, pytest.param(MANY, marks=pytest.mark.slow)], ids=["parsed", "cut"]
)  # where there are many cases


def post(url: str, asked: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(asked).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def set_field(server: Server, kind: str, name: str = NAME, **more: Any) -> None:
    post(f"{server.root}sandbox/field", {"table": "deals", "name": name, "type": kind, **more})


def drop(server: Server, name: str = NAME) -> None:
    post(f"{server.root}sandbox/drop", {"table": "deals", "name": name})


def touch(server: Server, count: int = 5) -> list[int]:
    """Change a few deals: an incremental read finds them."""
    ids = [int(raw["ID"]) for raw in server.portal.truth("deals")][:count]
    for id_ in ids:
        server.portal.change("deals", id_, {"TITLE": f"at {time.time_ns()}"})
    return ids


def truth(server: Server) -> dict[int, dict[str, Any]]:
    described = post(f"{server.url}crm.deal.fields", {})["result"]
    return {int(raw["ID"]): expected.row(raw, described) for raw in server.portal.truth("deals")}


def columns(lake: Lake) -> pa.Schema:
    return pa.schema(deltalake.DeltaTable(lake.table("deals")).schema().to_arrow())


def table(lake: Lake) -> dict[int, dict[str, Any]]:
    """The rows by key, their columns called as their fields."""
    held = deltalake.DeltaTable(lake.table("deals"))
    rows = pa.table(deltalake.QueryBuilder().register("t", held).execute("SELECT * FROM t").read_all())
    codes = {
        each.name: ((each.metadata or {}).get(CODE.encode()) or each.name.encode()).decode() for each in columns(lake)
    }
    return {row["ID"]: {codes[name]: value for name, value in row.items()} for row in rows.to_pylist()}


def assert_equal(lake: Lake, server: Server) -> None:
    here = table(lake)
    wanted = truth(server)
    assert here.keys() == wanted.keys()
    for id_, row in wanted.items():
        assert {name: here[id_].get(name) for name in row} == row
        others = {name: value for name, value in here[id_].items() if name not in row and name != "_synced_at"}
        assert not any(value is not None for value in others.values()), others


def run(lake: Lake, server: Server, *, full: bool = False) -> StreamReport:
    (line,) = lake.sync(server.url, "deals", full=full).streams
    assert line.status == "success", line.error
    return line


def told(line: StreamReport) -> list[tuple[str, str]]:
    return [(change["kind"], change["column"]) for change in line.schema_changes]


def types(line: StreamReport) -> list[tuple[str, str, str]]:
    return [(change["kind"], change["before"], change["after"]) for change in line.schema_changes]


# before, after, what a full read says, the column in which an incremental read puts the new values
Kind = tuple[str, bool]
RETYPES: list[tuple[Kind, Kind, tuple[str, str, str], str]] = [
    (("integer", False), ("double", False), ("widened", "long", "double"), "__DOUBLE"),
    (("integer", False), ("string", False), ("widened", "long", "string"), "__STRING"),
    (("date", False), ("datetime", False), ("widened", "date", "timestamp"), "__TIMESTAMP"),
    (("boolean", False), ("enumeration", False), ("retyped", "boolean", "long"), "__LONG"),
    (("string", False), ("integer", False), ("retyped", "string", "long"), ""),
    (("double", False), ("integer", False), ("retyped", "double", "long"), ""),
    (("datetime", False), ("date", False), ("retyped", "timestamp", "date"), ""),
    (("string", False), ("string", True), ("retyped", "string", "array<string>"), "__ARRAY"),
    (("employee", True), ("employee", False), ("retyped", "array<long>", "long"), "__LONG"),
    (("integer", True), ("double", True), ("widened", "array<long>", "array<double>"), "__ARRAY"),
]


@most_parsed
@pytest.mark.parametrize(("before", "after", "change", "_beside"), RETYPES)
def test_a_full_read_gives_a_column_its_new_type(
    serve: Callable[..., Server], lake: Lake, deals: int, before: Kind, after: Kind, change: Any, _beside: str
) -> None:
    server = serve(deals=deals, deal_fields=70)
    set_field(server, before[0], multiple=before[1])
    run(lake, server)
    drop(server)
    set_field(server, after[0], multiple=after[1])
    line = run(lake, server, full=True)
    assert types(line) == [change]
    assert_equal(lake, server)
    assert told(run(lake, server)) == []
    assert_equal(lake, server)


def in_type(value: Any, kind: pa.DataType) -> Any:
    """A value in the wider column that took it."""
    if value is None or pa.types.is_nested(kind):
        return value
    if pa.types.is_string(kind):
        return str(value)
    is_day = pa.types.is_timestamp(kind) and not isinstance(value, datetime)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if is_day else value


@most_parsed
@pytest.mark.parametrize(("before", "after", "change", "beside"), RETYPES)
def test_an_incremental_read_puts_a_new_type_beside_the_old_one_and_the_next_run_reads_in_full(
    serve: Callable[..., Server], lake: Lake, deals: int, before: Kind, after: Kind, change: Any, beside: str
) -> None:
    server = serve(deals=deals, deal_fields=70)
    set_field(server, before[0], multiple=before[1])
    run(lake, server)
    old = {id_: row[NAME] for id_, row in table(lake).items()}
    set_field(server, after[0], multiple=after[1])
    changed = touch(server)
    line = run(lake, server)
    assert (line.sync_type, line.rows_read, line.bookmark) == ("INCREMENTAL", len(changed), None)
    assert types(line) == ([("split", *change[1:])] if beside else [])
    here, wanted = table(lake), truth(server)
    home = columns(lake).field(f"{NAME}{beside}")
    assert [here[id_][home.name] for id_ in changed] == [in_type(wanted[id_][NAME], home.type) for id_ in changed]
    assert all(here[id_][NAME] == value for id_, value in old.items() if id_ not in changed)
    again = run(lake, server)
    assert again.rows_read == deals
    assert types(again) == [change, *([("dropped", change[2], "")] if beside else [])]
    assert_equal(lake, server)
    last = run(lake, server)
    assert (told(last), last.sync_type, last.rows_inserted, last.rows_updated) == ([], "INCREMENTAL", 0, 0)


def test_a_new_type_is_noticed_although_no_row_has_changed(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deal_fields=60)
    set_field(server, "integer")
    run(lake, server)
    set_field(server, "string")
    line = run(lake, server)
    assert (line.rows_read, told(line), line.bookmark) == (0, [("split", f"{NAME}__STRING")], None)
    assert told(run(lake, server)) == [("widened", NAME), ("dropped", f"{NAME}__STRING")]
    assert_equal(lake, server)


@sizes
@pytest.mark.parametrize("full", [True, False], ids=["full", "incremental"])
def test_a_field_comes_goes_and_comes_back_under_another_type(
    serve: Callable[..., Server], lake: Lake, deals: int, full: bool
) -> None:
    server = serve(deals=deals, deal_fields=70)
    run(lake, server)
    set_field(server, "integer")
    touch(server, deals)
    assert told(run(lake, server, full=full)) == [("added", NAME)]
    assert_equal(lake, server)
    drop(server)
    touch(server, deals)
    assert told(run(lake, server, full=full)) == [("removed", NAME)]
    assert_equal(lake, server)
    assert told(run(lake, server, full=full)) == []
    set_field(server, "string")
    touch(server, deals)
    told_ = told(run(lake, server, full=full))
    assert told_ == ([("returned", NAME), ("widened", NAME)] if full else [("split", f"{NAME}__STRING")])
    line = run(lake, server)
    assert told(line) == ([] if full else [("returned", NAME), ("widened", NAME), ("dropped", f"{NAME}__STRING")])
    assert_equal(lake, server)


def test_a_field_that_comes_or_goes_is_noticed_although_no_row_has_changed(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve(deal_fields=60)
    bookmark = run(lake, server).bookmark
    time.sleep(1.1)
    set_field(server, "integer", title="Weight")
    line = run(lake, server)
    assert (told(line), line.bookmark) == ([("added", NAME)], bookmark), "only a commit of rows moves the bookmark"
    assert columns(lake).field(NAME).metadata[b"comment"] == b"Weight"
    drop(server)
    line = run(lake, server)
    assert (told(line), line.rows_read) == ([("removed", NAME)], 0)
    assert line.bookmark is not None
    assert told(run(lake, server)) == []


# --- fields whose codes differ in case --------------------------------------------------------------------------------

LOW, UP = "UF_CRM_twin", "UF_CRM_TWIN"


@sizes
@pytest.mark.parametrize("full", [True, False], ids=["full", "incremental"])
def test_twins_keep_their_columns_whichever_of_them_vanishes(
    serve: Callable[..., Server], lake: Lake, deals: int, full: bool
) -> None:
    server = serve(deals=deals, deal_fields=70)
    set_field(server, "string", LOW)
    set_field(server, "string", UP)
    run(lake, server)
    assert {LOW, f"{UP}__2"} < {*columns(lake).names}
    assert_equal(lake, server)

    drop(server, LOW)
    touch(server, deals)
    assert told(run(lake, server, full=full)) == [("removed", LOW)]
    assert_equal(lake, server)

    set_field(server, "string", LOW)
    drop(server, UP)
    touch(server, deals)
    changes = told(run(lake, server, full=full))
    assert sorted(changes) == [("removed", f"{UP}__2"), ("returned", LOW)]
    assert_equal(lake, server)

    set_field(server, "string", UP, multiple=True)
    touch(server, deals)
    changes = told(run(lake, server, full=full))
    assert changes == ([("returned", f"{UP}__2"), ("retyped", f"{UP}__2")] if full else [("split", f"{UP}__2__ARRAY")])
    run(lake, server)
    assert_equal(lake, server)
    assert [name for name in columns(lake).names if name.casefold().startswith(LOW.casefold())] == [LOW, f"{UP}__2"]


def test_a_new_field_never_takes_the_column_of_a_twin_that_is_gone(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deal_fields=60)
    set_field(server, "string", LOW)
    run(lake, server)
    drop(server, LOW)
    set_field(server, "string", UP)
    touch(server)
    assert told(run(lake, server)) == [("added", f"{UP}__2"), ("removed", LOW)]
    assert told(run(lake, server, full=True)) == []
    assert_equal(lake, server)


def test_a_field_that_is_called_like_a_side_column_gets_one_of_its_own(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve(deal_fields=60)
    set_field(server, "integer")
    run(lake, server)
    set_field(server, "string")
    touch(server)
    assert told(run(lake, server)) == [("split", f"{NAME}__STRING")]
    set_field(server, "string", f"{NAME}__STRING")
    line = run(lake, server)
    assert told(line) == [("widened", NAME), ("dropped", f"{NAME}__STRING"), ("added", f"{NAME}__STRING__2")]
    assert_equal(lake, server)
    assert told(run(lake, server, full=True)) == []


# --- labels and options -----------------------------------------------------------------------------------------------


def test_a_full_read_renews_labels_and_says_so(
    serve: Callable[..., Server], lake: Lake, b24lake: Callable[..., Ran]
) -> None:
    server = serve(deal_fields=60)
    set_field(server, "string", title="Old")
    run(lake, server)
    set_field(server, "string", title="New")
    assert told(run(lake, server)) == []
    done = b24lake("sync", server.url, "-s", "deals", "--full")
    assert f"deals: column {NAME} relabeled (Old -> New)" in done.out
    assert columns(lake).field(NAME).metadata[b"comment"] == b"New"
    assert told(run(lake, server, full=True)) == []


def test_the_closing_table_says_what_happened_to_columns(
    serve: Callable[..., Server], lake: Lake, b24lake: Callable[..., Ran]
) -> None:
    server = serve(deal_fields=60)
    set_field(server, "integer")
    run(lake, server)
    set_field(server, "double")
    set_field(server, "string", "UF_CRM_2")
    touch(server)
    out = b24lake("sync", server.url, "-s", "deals").out
    assert f"deals: column {NAME}__DOUBLE split (long -> double)" in out
    assert "deals: column UF_CRM_2 added (string)" in out
    assert f"deals: column {NAME} widened (long -> double)" in b24lake("sync", server.url, "-s", "deals").out


def test_a_new_option_is_a_new_item_of_the_field(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deal_fields=60)
    set_field(server, "enumeration", options=["One", "Two"])
    lake.sync(server.url, "deals", "deal_fields")
    set_field(server, "enumeration", options=["One", "Two", "Three"])
    report = lake.sync(server.url, "deals", "deal_fields")
    rows = {line.name: (line.rows_read, line.rows_updated, told(line)) for line in report.streams}
    described = post(f"{server.url}crm.deal.fields", {})["result"]
    assert rows == {"deals": (0, 0, []), "deal_fields": (len(described), 1, [])}
    held = deltalake.DeltaTable(lake.table("deal_fields")).to_pyarrow_table().to_pylist()
    (items,) = [row["items"] for row in held if row["id"] == NAME]
    assert [item["VALUE"] for item in items] == ["One", "Two", "Three"]
    assert_equal(lake, server)


# --- during a read ----------------------------------------------------------------------------------------------------


def during(lake: Lake, server: Server, change: Callable[[], None]) -> StreamReport:
    """A full read in the middle of which something happens."""
    begun, done = server.portal.counters.requests, threading.Event()

    def wait_and_change() -> None:
        while server.portal.counters.requests < begun + 4 and not done.is_set():
            time.sleep(0.002)
        change()

    other = threading.Thread(target=wait_and_change)
    other.start()
    (line,) = lake.sync(server.url, "deals", full=True, concurrency=1).streams
    done.set()
    other.join()
    assert line.status == "success", line.error
    return line


SLOW: dict[str, Any] = {"deals": 10_000, "deal_fields": 60, "request_seconds": 0.1}


def test_a_field_that_appears_during_a_read_is_text_until_it_is_declared(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve(**SLOW)
    line = during(lake, server, lambda: set_field(server, "integer"))
    found = [row[NAME] for row in table(lake).values()]
    assert columns(lake).field(NAME).type == pa.string()
    assert any(value is not None for value in found)
    assert (line.misfits, line.rows_read) == (0, 10_000)
    assert run(lake, server).bookmark is None, "the column has another type now: the next run reads in full"
    assert told(run(lake, server)) == [("retyped", NAME)]
    assert_equal(lake, server)


def test_a_type_that_changes_during_a_read_makes_misfits_and_the_next_runs_put_it_right(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve(**SLOW)
    set_field(server, "integer")
    line = during(lake, server, lambda: set_field(server, "string"))
    assert line.misfits > 0
    kept = [dict(row["_misfits"] or ()).get(NAME) for row in table(lake).values()]
    assert sum(text is not None for text in kept) == line.misfits
    run(lake, server)
    assert told(run(lake, server)) == [("widened", NAME), ("dropped", f"{NAME}__STRING")]
    assert_equal(lake, server)
