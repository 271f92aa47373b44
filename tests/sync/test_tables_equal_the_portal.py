"""After a run every table equals the portal, row by row and value by value after typing."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import deltalake
import duckdb
import polars
import pyarrow as pa
import pytest

from b24lake.sandbox import Server
from expected import row as expected_row
from running import Lake

OURS = {"_synced_at", "_misfits"}
ENTITIES = {
    "activities": ("activities", "crm.activity.fields"),
    "companies": ("companies", "crm.company.fields"),
    "contacts": ("contacts", "crm.contact.fields"),
    "deals": ("deals", "crm.deal.fields"),
    "leads": ("leads", "crm.lead.fields"),
    "product": ("products", "crm.product.fields"),
}


def ask(server: Server, method: str, **params: Any) -> Any:
    request = urllib.request.Request(
        server.url + method, json.dumps(params).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["result"]


def rows(lake: Lake, stream: str, key: str = "ID") -> dict[Any, dict[str, Any]]:
    table = pa.table(deltalake.QueryBuilder().register("t", deltalake.DeltaTable(lake.table(stream))).execute(
        "SELECT * FROM t"
    ).read_all())  # fmt: skip
    return {row[key]: {k: v for k, v in row.items() if k not in OURS} for row in table.to_pylist()}


def truth(server: Server, stream: str) -> dict[int, dict[str, Any]]:
    name, method = ENTITIES[stream]
    described = ask(server, method)
    return {int(raw["ID"]): expected_row(raw, described) for raw in server.portal.truth(name)}


def assert_equal(lake: Lake, server: Server, stream: str) -> None:
    there, here = truth(server, stream), rows(lake, stream)
    assert here.keys() == there.keys()
    for key, wanted in there.items():
        found = here[key]
        assert {name: found.get(name) for name in wanted} == wanted, f"{stream} {key}"
        assert not any(value is not None for name, value in found.items() if name not in wanted)


@pytest.mark.parametrize("offset", [180, -300, 0], ids=["+03:00", "-05:00", "+00:00"])
def test_every_entity_equals_the_portal(serve: Callable[..., Server], lake: Lake, offset: int) -> None:
    server = serve(server_offset=offset)
    report = lake.sync(server.url, *ENTITIES)
    assert report.status == "success", report.as_json()
    for stream in ENTITIES:
        assert_equal(lake, server, stream)


def test_all_streams_of_a_portal_land_with_their_rows(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(spa_1032=10)
    report = lake.sync(server.url)
    assert {line.status for line in report.streams} == {"success"}
    counted = {line.name: line.rows_read for line in report.streams}
    assert counted["deals"] == 260
    assert counted["users"] == 60
    assert counted["status_list"] == len(ask(server, "crm.status.list"))
    totals = {line.name: line.portal_total for line in report.streams}
    assert (totals["status_list"], totals["departments"]) == (counted["status_list"], counted["departments"])
    keyset = ("deals", "leads", "contacts", "companies", "activities", "product", "users")
    assert {name: totals[name] for name in keyset} == {name: counted[name] for name in keyset}
    for entity in ("deal", "lead", "contact", "company", "activity", "product"):
        assert rows(lake, f"{entity}_fields", "id").keys() == ask(server, f"crm.{entity}.fields").keys()


def test_a_second_run_reads_what_changed_and_merges_it(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=3000)
    lake.sync(server.url, "deals")
    before = deltalake.DeltaTable(lake.table("deals")).version()
    ids = [int(raw["ID"]) for raw in server.portal.truth("deals")]
    for number in ids[::30]:
        server.portal.change("deals", number, {"TITLE": f"Changed {number}", "OPPORTUNITY": "12.50"})
    born = server.portal.create("deals", {"TITLE": "Born"})
    report = lake.sync(server.url, "deals")
    (line,) = report.streams
    assert (line.sync_type, line.rows_read, line.rows_inserted, line.rows_updated) == ("INCREMENTAL", 101, 1, 100)
    assert deltalake.DeltaTable(lake.table("deals")).version() == before + 1
    assert rows(lake, "deals")[born]["TITLE"] == "Born"
    assert_equal(lake, server, "deals")


def test_only_rows_that_changed_get_the_time_of_the_run(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    first = lake.sync(server.url, "deals")
    some = int(next(server.portal.truth("deals"))["ID"])
    server.portal.change("deals", some, {"TITLE": "Changed"})
    lake.sync(server.url, "deals")
    table = polars.read_delta(lake.table("deals"))
    assert table.filter(polars.col("_synced_at") != first.started_at)["ID"].to_list() in ([some], [])
    assert table.filter(polars.col("ID") == some)["TITLE"].item() == "Changed"


def test_a_run_with_nothing_new_writes_no_version(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, "deals", "contacts")
    before = {name: deltalake.DeltaTable(lake.table(name)).version() for name in ("deals", "contacts")}
    report = lake.sync(server.url, "deals", "contacts")
    assert [(line.status, line.rows_read) for line in report.streams] == [("success", 0), ("success", 0)]
    assert {name: deltalake.DeltaTable(lake.table(name)).version() for name in before} == before
    assert all(line.bookmark for line in report.streams)


def test_a_full_run_takes_away_what_is_gone(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, "deals")
    gone = [int(raw["ID"]) for raw in server.portal.truth("deals")][:7]
    for number in gone:
        server.portal.delete("deals", number)
    assert lake.sync(server.url, "deals").streams[0].rows_deleted == 0
    assert rows(lake, "deals").keys() >= set(gone)
    assert lake.sync(server.url, "deals", full=True).streams[0].rows_deleted == 7
    assert_equal(lake, server, "deals")


def test_an_empty_stream_makes_an_empty_table(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(leads=0)
    (line,) = lake.sync(server.url, "leads").streams
    assert (line.status, line.rows_read) == ("empty", 0)
    assert polars.read_delta(lake.table("leads")).height == 0


def test_a_new_custom_field_becomes_a_column(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, "deals")
    server.portal.set_field("deals", "UF_CRM_9999", "double", title="Discount")
    some = int(next(server.portal.truth("deals"))["ID"])
    server.portal.change("deals", some, {"UF_CRM_9999": "2.5"})
    (line,) = lake.sync(server.url, "deals").streams
    assert [change["column"] for change in line.schema_changes] == ["UF_CRM_9999"]
    assert rows(lake, "deals")[some]["UF_CRM_9999"] == 2.5


def test_columns_are_typed_and_labelled(serve: Callable[..., Server], lake: Lake) -> None:
    lake.sync(serve().url, "deals", "contacts", "users")
    deals = pa.schema(deltalake.DeltaTable(lake.table("deals")).schema().to_arrow())
    types = {
        "ID": pa.int64(),
        "TITLE": pa.string(),
        "OPPORTUNITY": pa.decimal128(38, 9),
        "CLOSED": pa.bool_(),
        "BEGINDATE": pa.date32(),
        "DATE_MODIFY": pa.timestamp("us", "UTC"),
        "_synced_at": pa.timestamp("us", "UTC"),
    }
    assert {name: deals.field(name).type for name in types} == types
    assert deals.field("TITLE").metadata[b"comment"]
    contacts = pa.schema(deltalake.DeltaTable(lake.table("contacts")).schema().to_arrow())
    assert pa.types.is_struct(contacts.field("PHONE").type.value_type)
    assert polars.read_delta(lake.table("users")).schema["ACTIVE"] == polars.Boolean


def test_other_programs_read_the_tables(serve: Callable[..., Server], lake: Lake) -> None:
    lake.sync(serve().url, "deals")
    files = deltalake.DeltaTable(lake.table("deals")).file_uris()
    counted = duckdb.sql(f"SELECT count(*), count(DISTINCT ID) FROM read_parquet({files})").fetchall()
    assert counted == [(260, 260)]
    assert polars.read_delta(lake.table("deals")).height == 260
