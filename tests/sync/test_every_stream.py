"""Every stream of the portal, fixed or dynamic: its table equals what plain GET requests, page by page, bring."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from b24lake.sandbox import Server
from b24lake.streams import declared
from expected import value
from running import Lake

OURS = {"_synced_at", "_misfits"}
Row = dict[str, Any]
Kinds = Mapping[str, str]  # column -> declared type, lists as "user[]"

HISTORY = {"deal_stage_history": (2, declared.DEAL_HISTORY), "lead_stage_history": (1, declared.LEAD_HISTORY)}
ENTITIES = {
    "activities": ("activity", ["*", "COMMUNICATIONS", "FILES"]),
    "companies": ("company", ["*", "UF_*", "PHONE", "EMAIL", "WEB", "IM", "LINK"]),
    "contacts": ("contact", ["*", "UF_*", "PHONE", "EMAIL", "WEB", "IM", "LINK"]),
    "deals": ("deal", ["*", "UF_*"]),
    "leads": ("lead", ["*", "UF_*", "PHONE", "EMAIL", "WEB", "IM", "LINK"]),
    "product": ("product", ["*", "PROPERTY_*"]),
}
FIELDS = ("activity", "company", "contact", "deal", "lead", "product")
SMART = (128, 156, 1032)
NAMES = (
    *ENTITIES, *(f"{entity}_fields" for entity in FIELDS), *HISTORY, "calls", "departments", "open_lines", "spa_types",
    "status_list", "users", *(f"{family}_{number}" for number in SMART for family in ("spa", "spa_fields")),
)  # fmt: skip


# --- by hand ----------------------------------------------------------------------------------------------------------


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Parameters as a PHP query string has them."""
    if isinstance(value, dict):
        return [pair for key, each in value.items() for pair in flat(each, f"{name}[{key}]" if name else key)]
    if isinstance(value, list):
        return [pair for key, each in enumerate(value) for pair in flat(each, f"{name}[{key}]")]
    return [(name, str(value))]


def get(server: Server, method: str, params: Row) -> Row:
    with urllib.request.urlopen(f"{server.url}{method}?{urllib.parse.urlencode(flat(params))}") as answer:
        body: Row = json.load(answer)
        return body


def paged(server: Server, method: str, params: Row, rows_at: str = "") -> list[Row]:
    """All rows, by the numbers that the portal says come next."""
    rows: list[Row] = []
    following: int | None = 0
    while following is not None:
        body = get(server, method, {**params, "start": following})
        rows += body["result"][rows_at] if rows_at else body["result"]
        following = body.get("next")
    return rows


def lines(server: Server) -> list[Row]:
    """All open lines: they have pages of their own kind."""
    rows: list[Row] = []
    while True:
        asked = {"PARAMS": {"limit": 70, "offset": len(rows)}, "OPTIONS": {"QUEUE": "Y", "CONFIG_QUEUE": "Y"}}
        page = get(server, "imopenlines.config.list.get", asked)["result"]
        if not page:
            return rows
        rows += page


def described(fields: Row) -> dict[str, str]:
    return {name: one["type"] + ("[]" if one["isMultiple"] else "") for name, one in fields.items()}


def descriptors(server: Server, fields: Row, entity_type: int = 0) -> list[Row]:
    """Field definitions; a funnel has the portal's funnels to choose from."""
    funnels = get(server, "crm.category.list", {"entityTypeId": entity_type})["result"] if entity_type else {}
    names = sorted((one["id"], one["name"]) for one in funnels.get("categories", ()))
    choices = {"crm_category": {"items": [{"ID": id_, "VALUE": name} for id_, name in names]}}
    return [{"id": name, **one, **choices.get(one["type"], {})} for name, one in fields.items()]


def labelled(fields: Row, kinds: Kinds) -> dict[str, str]:
    return {**dict.fromkeys(fields, "string"), **kinds}


def truth(server: Server, name: str) -> tuple[list[Row], Kinds, str]:
    """Rows, types and key of a stream."""
    if name in ENTITIES:
        entity, select = ENTITIES[name]
        kinds = described(get(server, f"crm.{entity}.fields", {})["result"])
        return paged(server, f"crm.{entity}.list", {"select": select}), kinds, "ID"
    if name in HISTORY:
        number, history = HISTORY[name]
        return paged(server, "crm.stagehistory.list", {"entityTypeId": number}, "items"), history, "ID"
    if name.startswith("spa_fields_"):
        number = int(name.removeprefix("spa_fields_"))
        fields = get(server, "crm.item.fields", {"entityTypeId": number, "useOriginalUfNames": "Y"})["result"]["fields"]
        return descriptors(server, fields, number), declared.ITEM_DESCRIPTOR, "id"
    if name.endswith("_fields"):
        fields = get(server, f"crm.{name[:-7]}.fields", {})["result"]
        return descriptors(server, fields, 2 if name == "deal_fields" else 0), declared.DESCRIPTOR, "id"
    return smart_truth(server, name) if name.startswith("spa_") else other_truth(server, name)


def smart_truth(server: Server, name: str) -> tuple[list[Row], Kinds, str]:
    if name == "spa_types":
        return paged(server, "crm.type.list", {}, "types"), declared.SMART_TYPE, "id"
    asked = {"entityTypeId": name.removeprefix("spa_"), "useOriginalUfNames": "Y"}
    fields = get(server, "crm.item.fields", asked)["result"]["fields"]
    return paged(server, "crm.item.list", asked, "items"), described(fields), "id"


def other_truth(server: Server, name: str) -> tuple[list[Row], Kinds, str]:
    if name == "users":
        fields = get(server, "user.fields", {})["result"]
        return paged(server, "user.get", {}), labelled(fields, declared.USER), "ID"
    if name == "departments":
        fields = get(server, "department.fields", {})["result"]
        return paged(server, "department.get", {}), labelled(fields, declared.DEPARTMENT), "ID"
    if name == "calls":
        return paged(server, "voximplant.statistic.get", {}), declared.CALL, "ID"
    if name == "open_lines":
        return lines(server), declared.OPEN_LINE, "ID"
    assert name == "status_list"
    return paged(server, "crm.status.list", {}), declared.STATUS, "ID"


def typed(raw: Any, kind: str, name: str) -> Any:
    if kind == "items":
        return [{"ID": str(one["ID"]), "VALUE": one["VALUE"]} for one in raw or []] or None
    money = "OPPORTUNITY" if name.startswith(("opportunity", "taxValue")) else name
    if kind == "boolean" and raw in ("N", "0", 0):
        return False
    return value(raw, kind.removesuffix("[]"), money, many=kind.endswith("[]") or kind == "crm_multifield")


def wanted(server: Server, name: str) -> dict[Any, Row]:
    rows, kinds, key = truth(server, name)
    found = [{column: typed(raw, kinds.get(column, ""), column) for column, raw in row.items()} for row in rows]
    return {row[key]: row for row in found}


def landed(lake: Lake, name: str) -> dict[Any, Row]:
    table = deltalake.QueryBuilder().register("t", deltalake.DeltaTable(lake.table(name))).execute("SELECT * FROM t")
    rows = pa.table(table.read_all()).to_pylist()
    assert all(not row["_misfits"] for row in rows)
    key = "id" if "id" in rows[0] else "ID"
    return {row[key]: {column: one for column, one in row.items() if column not in OURS} for row in rows}


def assert_equal(lake: Lake, server: Server, name: str) -> None:
    there = wanted(server, name)
    if not there:
        assert deltalake.DeltaTable(lake.table(name)).to_pyarrow_table().num_rows == 0
        return
    here = landed(lake, name)
    assert here.keys() == there.keys()
    for key, row in there.items():
        assert {column: here[key][column] for column in row} == row, f"{name} {key}"
        assert not any(one is not None for column, one in here[key].items() if column not in row), f"{name} {key}"


# --- the tests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [180, -300], ids=["+03:00", "-05:00"])
def test_every_stream_equals_the_portal(serve: Callable[..., Server], lake: Lake, offset: int) -> None:
    server = serve(server_offset=offset, departments=120, open_lines=230, spa_128=140)
    report = lake.sync(server.url)
    assert {line.name for line in report.streams} == {*NAMES}
    assert {line.name for line in report.streams if line.status != "success"} == {"spa_1032"}, report.as_json()
    for name in NAMES:
        assert_equal(lake, server, name)


def test_a_second_run_brings_every_change(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve()
    lake.sync(server.url)
    portal = server.portal
    for table, fields in CHANGES.items():
        ids = list(portal.tables[table].ids)
        portal.change(table, ids[len(ids) // 2], fields)
        portal.create(table, fields)
    report = lake.sync(server.url)
    lines = {line.name: line for line in report.streams}
    assert {line.status for line in report.streams} - {"success", "empty"} == set()
    assert all(lines[name].sync_type == "INCREMENTAL" for name in ("deals", "spa_128", "deal_stage_history", "calls"))
    assert (lines["spa_128"].rows_inserted, lines["spa_128"].rows_updated) == (1, 1)
    for name in NAMES:
        assert_equal(lake, server, name)


CHANGES: dict[str, Row] = {
    "deals": {"TITLE": "Changed"},
    "leads": {"TITLE": "Changed"},
    "contacts": {"NAME": "Changed"},
    "companies": {"TITLE": "Changed"},
    "products": {"NAME": "Changed"},
    "users": {"WORK_POSITION": "Changed"},
    "departments": {"NAME": "Changed"},
    "open_lines": {"LINE_NAME": "Changed"},
    "spa_128": {"TITLE": "Changed"},
    "spa_156": {"TITLE": "Changed"},
}


@pytest.mark.parametrize("pages", [False, True])
def test_a_long_list_of_statuses_is_read_whole(serve: Callable[..., Server], lake: Lake, pages: bool) -> None:
    server = serve(paged_statuses=pages)
    (line,) = lake.sync(server.url, "status_list").streams
    assert (line.status, line.rows_read) == ("success", len(server.portal.tables.statuses))
    assert line.rows_read > 100
    assert_equal(lake, server, "status_list")


def test_a_log_is_read_on_from_a_little_below_its_last_id(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(deals=1000)
    history = server.portal.tables.histories[2]
    (first,) = lake.sync(server.url, "deal_stage_history").streams
    assert (first.rows_read, first.bookmark) == (3000, str(history.last))
    born = [history.create({"OWNER_ID": "7"}, "2026-01-01T00:00:00+03:00") for _ in range(3)]
    (second,) = lake.sync(server.url, "deal_stage_history").streams
    assert (second.sync_type, second.rows_inserted, second.bookmark) == ("INCREMENTAL", 3, str(born[-1]))
    assert second.rows_read == len([id_ for id_ in history.ids if id_ > history.last - 3 - 1000])
    assert_equal(lake, server, "deal_stage_history")
    (third,) = lake.sync(server.url, "deal_stage_history").streams
    assert (third.rows_inserted, third.rows_updated) == (0, 0)


def test_calls_that_change_late_are_read_again(serve: Callable[..., Server], lake: Lake) -> None:
    server = serve(calls=200)
    calls, now = server.portal.tables["calls"], datetime.now(UTC)
    young = server.portal.create("calls", {"CALL_START_DATE": (now - timedelta(hours=40)).isoformat()})
    old = server.portal.create("calls", {"CALL_START_DATE": (now - timedelta(days=20)).isoformat()})
    lake.sync(server.url, "calls")
    for id_ in (young, old):
        server.portal.change("calls", id_, {"CALL_RECORD_URL": "https://records.example/1", "COST": "2.5000"})
    (line,) = lake.sync(server.url, "calls").streams
    assert (line.sync_type, line.rows_read, line.rows_updated) == ("INCREMENTAL", 1, 1)
    assert landed(lake, "calls")[young]["CALL_RECORD_URL"] == "https://records.example/1"
    assert landed(lake, "calls")[old]["CALL_RECORD_URL"] != "https://records.example/1"
    lake.sync(server.url, "calls", full=True)
    assert landed(lake, "calls")[old]["CALL_RECORD_URL"] == "https://records.example/1"
    assert len(calls.ids) == 202
