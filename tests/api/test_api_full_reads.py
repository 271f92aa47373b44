"""What a program reads equals what a sync writes, whatever is chosen of it; and it comes in bounded batches."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import deltalake
import duckdb
import polars
import pyarrow as pa
import pytest
from portals import Log, Open, ids, rows, sorted_by

from b24lake import api
from b24lake.errors import UsageError
from b24lake.sandbox import Server
from running import Lake

OPTIONS: dict[str, Any] = {"deal_comments": True, "deal_products": True, "deal_contacts": True}
OURS = {"_synced_at"}


@pytest.mark.parametrize("settings", [{}, {"reader": "universal"}, {"deal_categories": (0, 1)}], ids=str)
def test_every_stream_equals_the_table_that_a_sync_writes(
    serve: Callable[..., Server], lake: Lake, opened: Open, settings: dict[str, Any]
) -> None:
    server = serve(spa_1032=60)
    report = lake.sync(server.url, **OPTIONS, **settings)
    assert report.status == "success"
    readings = opened(server, **OPTIONS, **settings).read_many(undeclared="columns")
    found = readings.to_arrow()
    assert set(found) == {line.name for line in report.streams}
    for line in report.streams:
        info, mine = readings[line.name].info, found[line.name]
        theirs = deltalake.DeltaTable(lake.table(line.name)).to_pyarrow_table()
        assert [name for name in theirs.column_names if name not in OURS] == mine.column_names
        mine, theirs = sorted_by(mine, info.primary_key), sorted_by(theirs, info.primary_key)
        for name in mine.column_names:
            assert mine[name].to_pylist() == theirs[name].to_pylist(), (line.name, name)
        assert readings[line.name].report.rows == line.rows_read == mine.num_rows
        assert readings[line.name].complete_table


@pytest.mark.parametrize("stream", ["deals", "deal_comments", "deal_stage_history", "spa_128", "deal_fields", "users"])
def test_one_stream_alone_is_the_same_as_with_others(serve: Callable[..., Server], opened: Open, stream: str) -> None:
    portal = opened(serve(), **OPTIONS)
    together, alone = portal.read_many([stream, "contacts"]).to_arrow()[stream], portal.read(stream).to_arrow()
    key = portal.stream(stream).primary_key
    assert sorted_by(alone, key).equals(sorted_by(together, key))
    assert alone.schema.equals(portal.stream(stream).schema, check_metadata=True)


def test_batches_have_one_schema_and_a_bounded_number_of_rows(serve: Callable[..., Server], opened: Open) -> None:
    server = serve(deals=6_000)
    reading = opened(server).read("deals")
    batches = []
    for batch in reading:
        assert gc.isenabled()
        batches.append(batch)
    assert {batch.schema.equals(reading.schema, check_metadata=True) for batch in batches} == {True}
    assert len(batches) > 2
    assert max(batch.num_rows for batch in batches) <= 10_000
    assert rows(pa.Table.from_batches(batches)).keys() == ids(server)
    assert reading.schema.field("TITLE").metadata == {b"comment": b"Title"}


def test_a_read_takes_as_many_requests_as_a_sync(serve: Callable[..., Server], lake: Lake, opened: Open) -> None:
    server = serve(deals=6_000)
    report = lake.sync(server.url, "deals")
    portal = opened(server)
    portal.read("deals").to_arrow()
    assert abs(portal.requests - report.requests) <= 1  # how the first pages are cut depends on who is quicker


# --- chosen columns


@pytest.mark.parametrize(
    ("stream", "method", "columns", "come"),
    [
        ("deals", "crm.deal.list", ["TITLE", "OPPORTUNITY"], {"ID", "TITLE", "OPPORTUNITY", "DATE_MODIFY"}),
        ("contacts", "crm.contact.list", ["PHONE"], {"ID", "PHONE", "DATE_MODIFY"}),
        ("spa_128", "crm.item.list", ["title"], {"id", "title", "updatedTime"}),
        ("deals", "crm.deal.list", [], {"ID", "DATE_MODIFY"}),
    ],
)
def test_columns_that_are_not_wanted_are_not_requested(
    serve: Callable[..., Server], opened: Open, asked: Log, stream: str, method: str, columns: list[str], come: set[str]
) -> None:
    portal = opened(serve())
    whole = portal.read(stream).to_arrow()
    asked.commands.clear()
    reading = portal.read(stream, columns=columns)
    found = reading.to_arrow()
    assert set(found.column_names) == come | {"_misfits"}
    assert asked.selected(method) == come
    names = [name for name in found.column_names if name != "_misfits"]
    key = reading.info.primary_key
    assert sorted_by(found, key).select(names).equals(sorted_by(whole, key).select(names))


@pytest.mark.parametrize("stream", ["users", "calls", "deal_fields", "deal_stage_history", "deal_products"])
def test_columns_can_be_chosen_where_the_portal_sends_all(
    serve: Callable[..., Server], opened: Open, stream: str
) -> None:
    portal = opened(serve(), **OPTIONS)
    whole = portal.read(stream).to_arrow()
    one = whole.column_names[-2]
    found = portal.read(stream, columns=[one]).to_arrow()
    assert 2 <= len(found.column_names) < len(whole.column_names)
    names = [name for name in found.column_names if name != "_misfits"]
    key = portal.stream(stream).primary_key
    assert {key, one} <= set(names)
    assert sorted_by(found, key).select(names).equals(sorted_by(whole, key).select(names))


def test_contacts_are_not_asked_for_where_nobody_wants_them(
    serve: Callable[..., Server], opened: Open, asked: Log
) -> None:
    portal = opened(serve(), deal_contacts=True)
    assert any(row["CONTACT_IDS"] for row in portal.read("deals").to_arrow().to_pylist())
    asked.commands.clear()
    portal.read("deals", columns=["TITLE"]).to_arrow()
    assert not asked.of("crm.item.list")


@pytest.mark.parametrize(
    ("columns", "says"),
    [(["TITEL"], "did you mean TITLE"), ("TITLE", "are a text"), (["nothing like it"], "tells its columns")],
)
def test_columns_that_there_are_not_are_refused(
    serve: Callable[..., Server], opened: Open, columns: Any, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        opened(serve()).read("deals", columns=columns)


# --- keys that nobody declared


@pytest.mark.parametrize("undeclared", ["misfits", "columns"])
def test_a_key_that_nobody_declared_is_kept(
    serve: Callable[..., Server], opened: Open, undeclared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    portal = opened(server)
    assert portal.stream("deals").available
    server.portal.set_field("deals", "UF_CRM_LATE", "string")  # after discovery
    deal = min(ids(server))
    server.portal.change("deals", deal, {"UF_CRM_LATE": "here"})
    reading = portal.read("deals", undeclared=undeclared)
    found = reading.to_arrow()
    row = rows(found)[deal]
    if undeclared == "misfits":
        assert found.schema.equals(reading.schema, check_metadata=True)
        assert dict(row["_misfits"])["UF_CRM_LATE"] == "here"
    else:
        assert found.column_names == [*reading.schema.names[:-1], "UF_CRM_LATE", "_misfits"]
        assert row["UF_CRM_LATE"] == "here"
    assert "UF_CRM_LATE" not in portal.read("deals", columns=["TITLE"]).to_arrow().column_names


def test_values_that_do_not_fit_are_kept(serve: Callable[..., Server], opened: Open) -> None:
    server = serve()
    deal = min(ids(server))
    server.portal.change("deals", deal, {"OPPORTUNITY": "much", "BEGINDATE": "soon"})
    reading = opened(server).read("deals")
    row = rows(reading.to_arrow())[deal]
    assert (row["OPPORTUNITY"], dict(row["_misfits"])) == (None, {"OPPORTUNITY": "much", "BEGINDATE": "soon"})
    assert reading.report.misfits == 2


def test_a_field_that_changes_its_type_is_asked_otherwise_only_by_a_new_look(
    serve: Callable[..., Server], opened: Open
) -> None:
    server = serve()
    server.portal.set_field("deals", "UF_CRM_1790000001", "integer")
    before = opened(server).read("deals")
    server.portal.set_field("deals", "UF_CRM_1790000001", "string")
    deal = min(ids(server))
    server.portal.change("deals", deal, {"UF_CRM_1790000001": "words"})
    assert dict(rows(before.to_arrow())[deal]["_misfits"]) == {"UF_CRM_1790000001": "words"}
    assert rows(opened(server).read("deals").to_arrow())[deal]["UF_CRM_1790000001"] == "words"


# --- ranges


@pytest.mark.parametrize("parts", [1, 3, 8])
@pytest.mark.parametrize("stream", ["deals", "users", "deal_stage_history"])
def test_ranges_are_the_whole_stream_together(
    serve: Callable[..., Server], opened: Open, stream: str, parts: int
) -> None:
    portal = opened(serve(id_gap=3.0), deal_contacts=True)
    found = portal.ranges(stream, parts)
    assert (len(found), found[0].after, found[-1].upto) == (parts, 0, None)
    readings = [portal.read(stream, within=one) for one in found]
    tables = [reading.to_arrow() for reading in readings]
    for one, table in zip(found, tables, strict=True):
        assert all(one.after < id_ <= (one.upto or id_) for id_ in table.column("ID").to_pylist())
        assert table.num_rows
    assert {(reading.complete_table, reading.bookmark) for reading in readings} == {(False, None)}
    whole = portal.read(stream).to_arrow()
    assert sorted_by(pa.concat_tables(tables), "ID").equals(sorted_by(whole, "ID"))


def test_ranges_of_few_and_of_no_rows(serve: Callable[..., Server], opened: Open) -> None:
    server = serve(leads=1, companies=0)
    portal = opened(server)
    for stream, count in (("leads", 1), ("companies", 0)):
        found = portal.ranges(stream, 5)
        assert sum(portal.read(stream, within=one).to_arrow().num_rows for one in found) == count
        assert len(found) == 1


@pytest.mark.parametrize("stream", ["deal_fields", "departments", "deal_products"])
def test_streams_without_pages_by_id_have_no_ranges(serve: Callable[..., Server], opened: Open, stream: str) -> None:
    portal = opened(serve(), **OPTIONS)
    assert not portal.stream(stream).ranges
    with pytest.raises(UsageError, match="cannot be cut"):
        portal.ranges(stream)
    with pytest.raises(UsageError, match="cannot be cut"):
        portal.read(stream, within=api.Range(stream))
    with pytest.raises(UsageError, match="of stream leads"):
        portal.read("deals", within=api.Range("leads"))


# --- in one line


def test_in_one_line_to_other_libraries(serve: Callable[..., Server], opened: Open) -> None:
    server = serve()
    portal, there = opened(server), ids(server)
    frame = portal.read("deals").to_polars()
    assert isinstance(frame, polars.DataFrame)
    assert set(frame["ID"]) == there
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA crm")
        relation = portal.read("deals").to_duckdb(connection, "crm.deals of 2026")
        assert relation.aggregate("count(*)").fetchall() == [(len(there),)]
        portal.read("deals", columns=["TITLE"]).to_duckdb(connection, "crm.deals of 2026")
        described = connection.execute('DESCRIBE crm."deals of 2026"').fetchall()
    assert [row[0] for row in described] == ["ID", "TITLE", "DATE_MODIFY", "_misfits"]


def test_to_pandas(serve: Callable[..., Server], opened: Open) -> None:
    pandas = pytest.importorskip("pandas")
    server = serve()
    frame = opened(server).read("deals").to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert set(frame["ID"]) == ids(server)


@pytest.mark.parametrize("library", ["pandas", "polars", "duckdb"])
def test_a_missing_library_is_named_before_anything_is_asked(
    serve: Callable[..., Server], opened: Open, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = opened(serve()).read("deals")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=f"pip install {library}"):
        {"pandas": reading.to_pandas, "polars": reading.to_polars}.get(
            library, lambda: reading.to_duckdb(None, "deals")
        )()
    assert reading.report.commands == 0


def test_a_reading_is_read_once(serve: Callable[..., Server], opened: Open) -> None:
    reading = opened(serve()).read("deals")
    reading.to_arrow()
    with pytest.raises(UsageError, match="read already"):
        list(reading)


# --- what comes with an import


@pytest.mark.parametrize("name", [name for name in __import__("b24lake").__all__ if name != "__version__"])
def test_names_can_be_imported_from_the_package_itself(name: str) -> None:
    import b24lake

    assert getattr(b24lake, name) is getattr(api, name)


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    import b24lake

    with pytest.raises(AttributeError, match="no attribute 'reed'"):
        b24lake.reed  # noqa: B018


def test_reading_loads_no_lake() -> None:
    code = "import sys, b24lake.api; print([name for name in sys.modules if 'lake.lake' in name or 'delta' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
