"""Deals, leads, contacts and companies by both readers: the same tables, whichever way they are read."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from b24lake.sandbox import Server
from b24lake.streams.fields import CODE
from b24lake.sync.report import RunReport, StreamReport
from running import Lake, Ran, command, environment

CORE = ("companies", "contacts", "deals", "leads")
PAGE = Path(__file__).parents[2] / "docs" / "readers.md"
OURS = ("_synced_at", "_misfits")
Rows = dict[int, dict[str, Any]]


def sync(lake: Lake, server: Server, reader: str, *streams: str, **options: Any) -> RunReport:
    report = lake.sync(server.url, *(streams or CORE), **{"reader": reader, "deal_contacts": True, **options})
    assert report.status == "success", report.as_json()
    return report


def schema(lake: Lake, stream: str) -> pa.Schema:
    return pa.schema(deltalake.DeltaTable(lake.table(stream)).schema().to_arrow())


def rows(lake: Lake, stream: str) -> Rows:
    held = deltalake.DeltaTable(lake.table(stream))
    found = pa.table(deltalake.QueryBuilder().register("t", held).execute("SELECT * FROM t").read_all()).to_pylist()
    assert len({row["ID"] for row in found}) == len(found)
    return {row["ID"]: row for row in found}


def plain(value: Any) -> Any:
    """A value without what each reader says in its own way: where a file lies, and how a time is printed as text."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str) and value.startswith('{"id":'):
        return str(json.loads(value)["id"])
    return value


def as_moment(text: str | None) -> str | None:
    """`26.01.2025 10:03:39` as `2025-01-26T10:03:39`."""
    if text is None:
        return None
    return f"{text[6:10]}-{text[3:5]}-{text[:2]}T{text[11:]}" if text[2] == "." else text[:19]


def documented(heading: str) -> dict[str, set[str]]:
    """stream -> the columns that the page's table under a heading names; `ADDRESS_*` stands for what begins so."""
    _, _, text = PAGE.read_text("utf-8").partition(f"## {heading}\n")
    table = text.partition("\n## ")[0]
    lines = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): set(re.findall(r"`([A-Z_*0-9]+)`", "".join(cells[1:]))) for cells in lines}


def matching(names: set[str], patterns: set[str]) -> set[str]:
    return {
        name for name in names for each in patterns if name == each or (each[-1] == "*" and name.startswith(each[:-1]))
    }


@pytest.fixture
def lakes(tmp_path: Path) -> tuple[Lake, Lake]:
    """One for each reader."""
    return Lake(tmp_path / "classic", tmp_path / "home"), Lake(tmp_path / "universal", tmp_path / "home")


# --- the same tables --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"server_offset": -300, "original_names": False},
        {"deals": 900, "leads": 800, "contacts": 700, "companies": 600},
    ],
    ids=["parsed", "old portal, west of Greenwich", "cut"],
)
def test_both_readers_give_equal_values_in_the_columns_that_both_have(
    serve: Callable[..., Server], lakes: tuple[Lake, Lake], settings: dict[str, Any]
) -> None:
    server = serve(**settings)
    for lake, reader in zip(lakes, ("classic", "universal"), strict=True):
        report = sync(lake, server, reader)
        assert [line.misfits for line in report.streams] == [0] * 4
    filled, told = documented("Columns that only the universal reader fills"), set[str]()
    for stream in CORE:
        classic, universal = (rows(lake, stream) for lake in lakes)
        types = [{each.name: each.type for each in schema(lake, stream)} for lake in lakes]
        comments = [
            {each.name: (each.metadata or {}).get(b"comment") for each in schema(lake, stream)} for lake in lakes
        ]
        shared = types[0].keys() & types[1].keys() - {*OURS}
        assert {name: types[0][name] for name in shared} == {name: types[1][name] for name in shared}
        assert {name: comments[0][name] for name in shared} == {name: comments[1][name] for name in shared}
        assert classic.keys() == universal.keys()
        for name in shared - filled.get(stream, set()):
            change = as_moment if name == "LAST_COMMUNICATION_TIME" else plain
            here, there = ({id_: change(row[name]) for id_, row in each.items()} for each in (classic, universal))
            assert here == there, f"{stream}.{name}"
            told |= {str(types[0][name])} if any(value is not None for value in here.values()) else set()
        for name in filled.get(stream, set()):
            assert {row[name] for row in classic.values()} == {None}
            assert any(row[name] for row in universal.values())
    assert {"bool", "int64", "double", "date32[day]", "timestamp[us, tz=UTC]", "decimal128(38, 9)", "string"} <= told
    assert {"list<element: int64>", "list<element: string>", "list<element: double>"} <= told
    assert any(each.startswith("list<element: struct<ID: string") for each in told)


def test_the_page_names_the_columns_that_only_one_reader_has(
    serve: Callable[..., Server], lakes: tuple[Lake, Lake]
) -> None:
    server = serve()
    for lake, reader in zip(lakes, ("classic", "universal"), strict=True):
        sync(lake, server, reader)
    only_classic, only_universal = (
        documented(f"Columns that only the {each} reader has") for each in ("classic", "universal")
    )
    assert set(only_universal) == set(CORE)
    for stream in CORE:
        classic, universal = ({*schema(lake, stream).names} for lake in lakes)
        patterns = only_classic.get(stream, set())
        assert classic - universal == matching(classic, patterns)
        assert all(matching(classic, {each}) for each in patterns)
        assert universal - classic == only_universal[stream]


def test_multi_fields_come_as_the_classic_lists_have_them(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    sync(lake, server, "universal", "contacts")
    kinds = ("PHONE", "EMAIL", "WEB", "IM", "LINK")
    here = {id_: {kind: row[kind] for kind in kinds} for id_, row in rows(lake, "contacts").items()}
    assert here == {int(raw["ID"]): {kind: raw.get(kind) for kind in kinds} for raw in server.portal.truth("contacts")}
    names = {name.casefold() for name in schema(lake, "contacts").names}
    assert not names & {"fm", "phonework", "email__2", "phone__2", "phone_work", "address", "companies", "entitytypeid"}


# --- changing one's mind ----------------------------------------------------------------------------------------------


def told(line: StreamReport) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for change in line.schema_changes:
        found.setdefault(change["kind"], set()).add(change["column"])
    return found


def test_a_switch_of_the_reader_is_a_full_read_that_changes_no_shared_column(
    serve: Callable[..., Server], lake: Lake, b24lake: Callable[..., Ran]
) -> None:
    server = serve()
    sync(lake, server, "classic")
    before = {stream: rows(lake, stream) for stream in CORE}
    classic, shared = {}, {}
    for stream in CORE:
        classic[stream] = {*schema(lake, stream).names}
    planned = b24lake(
        "plan",
        server.url,
        *(word for stream in CORE for word in ("-s", stream)),
        "--deal-contacts",
        "--reader",
        "universal",
    )
    assert planned.out.count("is read in full, since it is asked otherwise than before") == 4

    report = sync(lake, server, "universal")
    assert sum("read in full" in note for note in report.notes) == 4
    for line in report.streams:
        assert (line.rows_read, line.rows_inserted, line.rows_deleted) == (len(before[line.name]), 0, 0)
        changes = told(line)
        assert changes.keys() <= {"added", "removed"}
        assert changes.get("removed", set()) <= classic[line.name]
        assert not changes["added"] & classic[line.name]
        shared[line.name] = classic[line.name] - changes.get("removed", set()) - {*OURS}
    assert {name: row["CONTACT_IDS"] for name, row in rows(lake, "deals").items()} == contacts(server)
    assert [line.rows_read for line in sync(lake, server, "universal").streams] == [0] * 4

    report = sync(lake, server, "classic")
    for line in report.streams:
        assert (line.rows_read, line.rows_inserted, line.rows_deleted) == (len(before[line.name]), 0, 0)
        assert told(line).keys() <= {"returned", "removed"}
        assert not {name for names in told(line).values() for name in names} & shared[line.name]
        after = rows(lake, line.name)
        assert {id_: {name: row[name] for name in classic[line.name] - {*OURS}} for id_, row in after.items()} == {
            id_: {name: row[name] for name in classic[line.name] - {*OURS}} for id_, row in before[line.name].items()
        }


def contacts(server: Server) -> dict[int, list[int] | None]:
    linked = server.portal.tables.contacts["deals"]
    return {int(row["ID"]): linked(int(row["ID"])) or None for row in server.portal.truth("deals")}


def test_contacts_of_deals_come_with_the_deals_and_only_if_they_are_wanted(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve()
    sync(lake, server, "universal", "deals", deal_contacts=False)
    assert {row["CONTACT_IDS"] for row in rows(lake, "deals").values()} == {None}
    report = sync(lake, server, "universal", "deals")
    assert any("read in full" in note for note in report.notes)
    assert told(report.streams[0]) == {}
    assert {id_: row["CONTACT_IDS"] for id_, row in rows(lake, "deals").items()} == contacts(server)
    assert set(server.portal.counters.commands) & {"crm.deal.list", "crm.deal.contact.items.get"} == set()
    some, other = list(contacts(server))[:2]
    server.portal.lay("contacts", "deals", some, [9, 3, 7])
    server.portal.lay("contacts", "deals", other, [])
    (line,) = sync(lake, server, "universal", "deals", overlap=timedelta(0)).streams
    assert line.rows_read < 20
    assert {id_: row["CONTACT_IDS"] for id_, row in rows(lake, "deals").items()} == contacts(server)


def test_switching_contacts_by_the_reader_alone_needs_no_other_columns(
    serve: Callable[..., Server], lake: Lake
) -> None:
    server = serve()
    sync(lake, server, "classic", "deals", deal_contacts=False)
    (line,) = sync(lake, server, "universal", "deals", deal_contacts=False).streams
    assert "CONTACT_IDS" not in {name for names in told(line).values() for name in names}


# --- what every stream can do -----------------------------------------------------------------------------------------


def titles(lake: Lake, stream: str = "deals") -> dict[int, str]:
    return {id_: row["TITLE"] for id_, row in rows(lake, stream).items()}


def truth(server: Server, stream: str = "deals") -> dict[int, str]:
    return {int(row["ID"]): row["TITLE"] for row in server.portal.truth(stream)}


def test_an_incremental_read_brings_what_has_changed(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=3000)
    sync(lake, server, "universal")
    before = deltalake.DeltaTable(lake.table("deals")).version()
    assert [line.rows_read for line in sync(lake, server, "universal", overlap=timedelta(0)).streams] == [0] * 4
    assert deltalake.DeltaTable(lake.table("deals")).version() == before
    for id_ in list(truth(server))[::30]:
        server.portal.change("deals", id_, {"TITLE": f"Changed {id_}", "OPPORTUNITY": "12.50"})
    server.portal.create("deals", {"TITLE": "Born"})
    line = next(line for line in sync(lake, server, "universal").streams if line.name == "deals")
    assert (line.sync_type, line.rows_read, line.rows_inserted, line.rows_updated) == ("INCREMENTAL", 101, 1, 100)
    assert titles(lake) == truth(server)


def test_files_keep_the_statistics_that_merges_need(serve: Callable[..., Server], lake: Lake) -> None:
    sync(lake, serve(), "universal", "deals")
    found = pa.table(deltalake.DeltaTable(lake.table("deals")).get_add_actions(flatten=True)).to_pylist()
    held = rows(lake, "deals")
    for name in ("ID", "DATE_MODIFY"):
        values = [row[name] for row in held.values()]
        assert min(each[f"min.{name}"] for each in found) == min(values)
        assert max(each[f"max.{name}"] for each in found) == max(values)
        assert {each[f"null_count.{name}"] for each in found} == {0}


@pytest.mark.parametrize("kind", ["ignores_date", "ignores_date_offset"])
def test_a_portal_that_ignores_the_filter_is_noticed(serve: Callable[..., Server], lake: Lake, kind: str) -> None:
    server = serve(deals=400)
    sync(lake, server, "universal", "deals")
    server.portal.fault(kind, method="crm.item.list")
    server.portal.change("deals", next(iter(truth(server))), {"TITLE": "Changed"})
    (line,) = sync(lake, server, "universal", "deals", overlap=timedelta(0)).streams
    assert line.filter_ignored == (kind == "ignores_date")
    assert titles(lake) == truth(server)


@pytest.mark.parametrize("fault", [{"kind": "ignores_id"}, {"kind": "ignores_order"}], ids=["id", "order"])
def test_ids_that_do_not_rise_are_noticed(serve: Callable[..., Server], lake: Lake, fault: dict[str, Any]) -> None:
    server = serve(deals=400)
    server.portal.fault(**fault, method="crm.item.list")
    (line,) = lake.sync(server.url, "deals", reader="universal").streams
    assert line.status == "failed"
    assert "does not page by id" in (line.error or "")


def test_funnels_and_what_belongs_to_deals_follow_them(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=500)
    streams, on = ("deals", "deal_comments", "deal_products"), {"deal_comments": True, "deal_products": True}
    sync(lake, server, "universal", *streams, **on, deal_categories=(0, 3))
    chosen = {int(row["ID"]) for row in server.portal.truth("deals") if row["CATEGORY_ID"] in ("0", "3")}
    assert rows(lake, "deals").keys() == chosen
    assert owners(lake, "deal_products", "OWNER_ID") == {
        id_ for id_ in chosen if server.portal.tables.product_rows("D")(id_)
    }
    moved = min(owners(lake, "deal_products", "OWNER_ID"))
    server.portal.lay("product_rows", "deals", moved, [])
    report = sync(lake, server, "universal", *streams, **on, deal_categories=(3, 0), overlap=timedelta(0))
    assert not any("read in full" in note for note in report.notes)
    assert moved not in owners(lake, "deal_products", "OWNER_ID")
    assert "crm.deal.list" not in server.portal.counters.commands


def owners(lake: Lake, stream: str, column: str) -> set[int]:
    return set(deltalake.DeltaTable(lake.table(stream)).to_pyarrow_table(columns=[column]).column(column).to_pylist())


def test_a_portal_that_does_not_know_the_filter_on_funnels_says_so(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    server.portal.fault("unknown_filter", method="crm.item.list", field="categoryId")
    (line,) = lake.sync(server.url, "deals", reader="universal", deal_categories=(1,)).streams
    assert line.status == "failed"
    assert "'categoryId' is not allowed in filter" in (line.error or "")


LOW, UP, NAME = "UF_CRM_twin", "UF_CRM_TWIN", "UF_CRM_1790000001"


def test_fields_come_go_and_change_and_twins_keep_their_columns(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deal_fields=60)
    for name in (LOW, UP):
        server.portal.set_field("deals", name, "string")
    server.portal.set_field("deals", NAME, "integer")
    sync(lake, server, "classic", "deals")
    before = rows(lake, "deals")
    (line,) = sync(lake, server, "universal", "deals").streams
    assert told(line).keys() == {"added"}
    assert {id_: [row[LOW], row[f"{UP}__2"], row[NAME]] for id_, row in rows(lake, "deals").items()} == {
        id_: [row[LOW], row[f"{UP}__2"], row[NAME]] for id_, row in before.items()
    }
    codes = {each.name: (each.metadata or {}).get(CODE.encode()) for each in schema(lake, "deals")}
    assert codes[f"{UP}__2"] == UP.encode()

    server.portal.drop_field("deals", LOW)
    server.portal.set_field("deals", NAME, "string")
    server.portal.set_field("deals", "UF_CRM_1790000002", "double", title="Weight")
    (line,) = sync(lake, server, "universal", "deals").streams
    assert told(line) == {"added": {"UF_CRM_1790000002"}, "removed": {LOW}, "split": {f"{NAME}__STRING"}}
    assert schema(lake, "deals").field("UF_CRM_1790000002").type == pa.float64()
    (line,) = sync(lake, server, "universal", "deals").streams
    assert told(line) == {"widened": {NAME}, "dropped": {f"{NAME}__STRING"}}
    assert sync(lake, server, "universal", "deals").streams[0].rows_read == 0


def test_a_killed_run_is_gone_on_with(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=8000, deal_fields=50, page_ms=6.0, operating_limit=0)
    server.portal.set_field("deals", LOW, "string")
    server.portal.set_field("deals", UP, "string")
    words = command("sync", server.url, "-s", "deals", "--reader", "universal", "--deal-contacts", "--json")
    run = subprocess.Popen(words, env=environment(lake), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    staging = Path(lake.table("deals")) / "_staging"
    while len(list(staging.glob("*/*.held"))) < 2:
        assert run.poll() is None, "the run was too quick to be killed"
        time.sleep(0.005)
    run.kill()
    run.communicate()
    first, *_ = truth(server)
    server.portal.change("deals", first, {"TITLE": "changed meanwhile"})
    report = sync(lake, server, "universal", "deals")
    assert any("goes on behind" in note for note in report.notes)
    assert titles(lake) == truth(server)
    assert {id_: row["CONTACT_IDS"] for id_, row in rows(lake, "deals").items()} == contacts(server)
    assert {LOW, f"{UP}__2"} < {*schema(lake, "deals").names}


def test_the_replication_key_may_be_called_as_its_column(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    sync(lake, server, "universal", "deals")
    for name in ("DATE_MODIFY", "updatedTime"):
        assert sync(lake, server, "universal", "deals", replication_keys={"deals": name}).streams[0].rows_read == 0


# --- portals that have only one of the two ----------------------------------------------------------------------------


def test_the_universal_reader_takes_over_where_the_classic_list_is_gone(
    serve: Callable[..., Server], lake: Lake, b24lake: Callable[..., Ran]
) -> None:
    server = serve(missing_methods=("crm.deal.list", "crm.lead.list", "crm.lead.fields"))
    report = lake.sync(server.url, "deals", "leads", "contacts", "lead_fields", deal_contacts=True)
    assert report.status == "success", report.as_json()
    taken = {note.partition(":")[0] for note in report.notes if "is read by crm.item." in note}
    assert taken == {"deals", "leads", "lead_fields"}
    assert (titles(lake), titles(lake, "leads")) == (truth(server), truth(server, "leads"))
    assert {id_: row["CONTACT_IDS"] for id_, row in rows(lake, "deals").items()} == contacts(server)
    shown = b24lake("streams", server.url)
    assert "deals: is read by crm.item.list. The portal has no method crm.deal.list." in " ".join(shown.out.split())
    document = b24lake("streams", server.url, "--json").json
    methods = {one["name"]: (one["method"], one["reader"], one["primary_key"]) for one in document["streams"]}
    assert methods["deals"] == ("crm.item.list", "universal", ["ID"])
    assert methods["contacts"] == ("crm.contact.list", "classic", ["ID"])
    assert {one["name"] for one in document["streams"] if one["note"]} == taken
    assert not lake.sync(server.url, "users").notes
    assert "is read by crm.item.list" in b24lake("plan", server.url, "-s", "deals").out
    assert "warning" not in {one["state"] for one in b24lake("check", server.url, "--json").json["checks"]}
    (line,) = lake.sync(server.url, "deals", deal_contacts=True).streams
    assert line.rows_read == 0, "it stays with the bookmark of the universal reader"


def test_without_a_reason_the_classic_reader_reads(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, *CORE)
    assert "crm.item.list" not in server.portal.counters.commands


@pytest.mark.parametrize("missing", ["crm.item.list", "crm.item.fields"])
def test_a_portal_without_the_universal_methods_says_so_and_names_the_cure(
    serve: Callable[..., Server], lake: Lake, b24lake: Callable[..., Ran], missing: str
) -> None:
    server = serve(missing_methods=(missing,))
    report = lake.sync(server.url, "deals", "users", reader="universal")
    deals, users = report.streams
    assert (report.status, deals.status, users.status) == ("partial", "failed", "success")
    assert missing in (deals.error or "")
    assert "--reader classic" in (deals.error or "")
    globbed = lake.sync(server.url, "deal*", "users", reader="universal")
    assert {line.name: line.status for line in globbed.streams}["deals"] == "locked"
    assert "--reader classic" in " ".join(b24lake("streams", server.url, "--reader", "universal").out.split())
    assert lake.sync(server.url, "deals").status == "success"


def test_a_portal_with_neither_is_locked_as_ever(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(missing_methods=("crm.deal.list", "crm.item.list"))
    for reader in ("classic", "universal"):
        (line,) = lake.sync(server.url, "deals", reader=reader).streams
        assert line.status == "failed"
        assert "--reader" not in (line.error or "")


def test_a_reader_that_there_is_not_is_wrong_usage(serve: Callable[..., Server], b24lake: Callable[..., Ran]) -> None:
    url = serve().url
    for name in ("sync", "plan", "streams"):
        ran = b24lake(name, url, "--reader", "modern")
        assert (ran.code, "universal" in ran.err) == (2, True)
