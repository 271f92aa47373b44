"""Readable views say what the portal says: labels beside ids, sums beside their text, and never a row too many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from deltalake import DeltaTable
from portal_labels import truth

from b24lake.lake.query import query
from b24lake.lake.readable import MONEY, REFERS
from b24lake.lake.views import view
from b24lake.sandbox import Server
from running import Lake, Ran

Serve = Callable[..., Server]
ENTITIES = ["deals", "leads", "contacts", "companies", "spa_128", "spa_156", "spa_1032"]
PEOPLE, TITLE, NAME, SUBJECT = ("NAME", "LAST_NAME"), ("TITLE",), ("NAME",), ("SUBJECT",)
# stream, column, the portal's table of what it refers to, what these are called; None = it depends on another column
LINKS: list[tuple[str, str, str, tuple[str, ...]]] = [
    ("deals", "COMPANY_ID", "companies", TITLE),
    ("deals", "CONTACT_ID", "contacts", PEOPLE),
    ("deals", "CONTACT_IDS", "contacts", PEOPLE),
    ("deals", "LEAD_ID", "leads", TITLE),
    ("leads", "COMPANY_ID", "companies", TITLE),
    ("contacts", "COMPANY_ID", "companies", TITLE),
    ("deal_comments", "ENTITY_ID", "deals", TITLE),
    ("deal_comments", "AUTHOR_ID", "users", PEOPLE),
    ("deal_products", "OWNER_ID", "deals", TITLE),
    ("deal_products", "PRODUCT_ID", "products", NAME),
    ("deal_stage_history", "OWNER_ID", "deals", TITLE),
    ("lead_stage_history", "OWNER_ID", "leads", TITLE),
    ("activities", "RESPONSIBLE_ID", "users", PEOPLE),
    ("activities", "AUTHOR_ID", "users", PEOPLE),
    ("calls", "PORTAL_USER_ID", "users", PEOPLE),
    ("calls", "CRM_ACTIVITY_ID", "activities", SUBJECT),
    ("users", "UF_DEPARTMENT", "departments", NAME),
    ("departments", "PARENT", "departments", NAME),
    ("departments", "UF_HEAD", "users", PEOPLE),
    ("product", "CREATED_BY", "users", PEOPLE),
    ("spa_types", "createdBy", "users", PEOPLE),
    ("spa_128", "companyId", "companies", TITLE),
    ("spa_128", "parentId2", "deals", TITLE),
]
OWNERS = {1: ("leads", TITLE), 2: ("deals", TITLE), 3: ("contacts", PEOPLE), 4: ("companies", TITLE)}
CALLED = {"LEAD": ("leads", TITLE), "CONTACT": ("contacts", PEOPLE), "COMPANY": ("companies", TITLE)}


def rows(lake: Lake, stream: str, what: str = "*") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = query(lake.path, f"SELECT {what} FROM raw.bitrix24_{stream}_readable").to_pylist()
    return found


def names(server: Server, table: str, parts: tuple[str, ...]) -> dict[int, str | None]:
    """What the portal calls the rows of a table."""
    return {
        int(row["ID"]): " ".join(str(row[part]) for part in parts if row.get(part)) or None
        for row in server.portal.truth(table)
    }


def called(known: Mapping[int, str | None], value: Any) -> Any:
    return [known.get(each) for each in value] if isinstance(value, list) else known.get(value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A portal that was read as a whole, and the lake."""
    from b24lake.sandbox import Portal, Settings
    from running import SMALL

    folder = tmp_path_factory.mktemp("readable")
    lake = Lake(folder / "lake", folder / "home")
    with Server(Portal(Settings(**SMALL, threshold=0))) as server:
        done = lake.sync(server.url, deal_contacts=True, deal_comments=True, deal_products=True)
        assert done.status == "success"
        yield server, lake


@pytest.mark.parametrize("entity", ENTITIES)
def test_choices_statuses_and_people_have_the_labels_of_the_portal(whole: tuple[Server, Lake], entity: str) -> None:
    server, lake = whole
    wanted = truth(server, entity)
    found = {row.get("ID", row.get("id")): row for row in rows(lake, entity)}
    assert len(rows(lake, entity)) == len(found) == len(wanted)
    for id_, labels in wanted.items():
        assert {name: found[id_][f"{name}_LABEL"] for name in labels} == labels
    if entity != "spa_1032":  # a sandbox has no records of that smart process
        kinds = {type(label) for labels in wanted.values() for label in labels.values()}
        assert {str, list} <= kinds


@pytest.mark.parametrize(("stream", "column", "table", "parts"), LINKS, ids=[f"{one[0]}.{one[1]}" for one in LINKS])
def test_links_have_the_names_of_what_they_lead_to(
    whole: tuple[Server, Lake], stream: str, column: str, table: str, parts: tuple[str, ...]
) -> None:
    server, lake = whole
    known = names(server, table, parts)
    found = rows(lake, stream)
    assert found
    assert all(row[f"{column}_LABEL"] == called(known, row[column]) for row in found)
    if (stream, column) != ("deal_products", "PRODUCT_ID"):  # rows of the sandbox are often from no catalogue
        assert any(row[f"{column}_LABEL"] for row in found)


def test_owners_have_the_names_of_their_kind(whole: tuple[Server, Lake]) -> None:
    server, lake = whole
    for stream, column, kinds, by in (
        ("activities", "OWNER_ID", OWNERS, "OWNER_TYPE_ID"),
        ("calls", "CRM_ENTITY_ID", CALLED, "CRM_ENTITY_TYPE"),
    ):
        known = {kind: names(server, table, parts) for kind, (table, parts) in kinds.items()}
        found = rows(lake, stream)
        assert all(row[f"{column}_LABEL"] == called(known.get(row[by], {}), row[column]) for row in found)
        assert len({row[by] for row in found if row[f"{column}_LABEL"]}) >= (4 if stream == "activities" else 1)


def test_stages_in_logs_have_the_labels_of_their_funnels(whole: tuple[Server, Lake]) -> None:
    _, lake = whole
    statuses = query(lake.path, "SELECT ENTITY_ID, STATUS_ID, NAME FROM raw.bitrix24_status_list").to_pylist()
    stages = {row["STATUS_ID"]: row["NAME"] for row in statuses if row["ENTITY_ID"].startswith("DEAL_STAGE")}
    found = rows(lake, "deal_stage_history")
    assert {row["STAGE_ID"]: row["STAGE_ID_LABEL"] for row in found}.items() <= stages.items()
    assert len({row["CATEGORY_ID"] for row in found}) > 1
    leads = {row["STATUS_ID"]: row["NAME"] for row in statuses if row["ENTITY_ID"] == "STATUS"}
    assert all(row["STATUS_ID_LABEL"] == leads[row["STATUS_ID"]] for row in rows(lake, "lead_stage_history"))


@pytest.mark.parametrize("entity", ["deals", "leads", "contacts", "companies", "spa_128"])
def test_sums_are_split_and_nothing_else_is_changed(whole: tuple[Server, Lake], entity: str) -> None:
    _, lake = whole
    plain = query(lake.path, f"SELECT * FROM raw.bitrix24_{entity}").to_pylist()
    money = [name.removesuffix("_AMOUNT") for name in rows(lake, entity)[0] if name.endswith("_AMOUNT")]
    assert money
    held = {row.get("ID", row.get("id")): row for row in plain}
    for row in rows(lake, entity):
        before = held[row.get("ID", row.get("id"))]
        assert {name: row[name] for name in before} == before
        for name in money:
            assert (row[f"{name}_AMOUNT"], row[f"{name}_CURRENCY"]) == split(row[name])


def split(value: Any) -> tuple[Any, Any]:
    if isinstance(value, list):
        pairs = [split(each) for each in value]
        return [amount for amount, _ in pairs], [currency for _, currency in pairs]
    amount, _, currency = (value or "").partition("|")
    return (Decimal(amount) if amount else None), currency or None


def test_every_table_but_those_that_describe_has_a_view(
    whole: tuple[Server, Lake], b24lake: Callable[..., Ran]
) -> None:
    _, lake = whole
    document = b24lake("tables", "--json", "--lake", str(lake.path)).json
    without = {table["stream"] for table in document["tables"]} - {one["stream"] for one in document["views"]}
    assert without == {name for name in without if "fields" in name} | {"status_list"}
    assert {one["kind"] for one in document["views"]} == {"view"}


# --- from run to run --------------------------------------------------------------------------------------------------


def test_a_deleted_person_has_no_name_and_costs_no_row(serve: Serve, lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, "deals", "users")
    one = rows(lake, "deals")[0]
    server.portal.delete("users", one["ASSIGNED_BY_ID"])
    lake.sync(server.url, "deals", "users")
    found = {row["ID"]: row for row in rows(lake, "deals")}
    assert (len(found), found[one["ID"]]["ASSIGNED_BY_ID"]) == (260, one["ASSIGNED_BY_ID"])
    assert found[one["ID"]]["ASSIGNED_BY_ID_LABEL"] is None


def test_twins_have_labels_of_their_own(serve: Serve, lake: Lake) -> None:
    server = serve()
    for name, labels in (("UF_CRM_twin", ["low"]), ("UF_CRM_TWIN", ["UP"])):
        server.portal.set_field("deals", name, "enumeration", options=labels)
        assert lake.sync(server.url, "deals", "deal_fields", full=True).status == "success"
    found = rows(lake, "deals")
    assert {row["UF_CRM_twin_LABEL"] for row in found} == {"low", None}
    assert {row["UF_CRM_TWIN__2_LABEL"] for row in found} == {"UP", None}


def test_a_renamed_choice_has_its_new_label_after_the_next_run_of_its_fields(serve: Serve, lake: Lake) -> None:
    server = serve()
    server.portal.set_field("deals", "UF_CRM_1790000001", "enumeration", options=["one"])
    lake.sync(server.url, "deals", "deal_fields")
    assert {row["UF_CRM_1790000001_LABEL"] for row in rows(lake, "deals")} == {"one", None}
    server.portal.set_field("deals", "UF_CRM_1790000001", "enumeration", options=["uno"])
    lake.sync(server.url, "deal_fields")
    assert {row["UF_CRM_1790000001_LABEL"] for row in rows(lake, "deals")} == {"uno", None}


def test_a_table_from_before_learns_what_it_refers_to_without_new_data(serve: Serve, lake: Lake) -> None:
    server = serve()
    lake.sync(server.url, "deals", "users")
    table = DeltaTable(lake.table("deals"))
    table.alter.set_table_properties({REFERS: "", MONEY: ""}, raise_if_not_exists=False)
    with pytest.raises(Exception, match="has no readable view"):
        view(lake.path, "bitrix24_deals_readable")
    before = DeltaTable(lake.table("deals"))
    assert lake.sync(server.url, "deals").streams[0].sync_type == "INCREMENTAL"
    after = DeltaTable(lake.table("deals"))
    assert (after.file_uris(), after.version()) == (before.file_uris(), before.version() + 1)
    assert any(row["ASSIGNED_BY_ID_LABEL"] for row in rows(lake, "deals"))
    lake.sync(server.url, "deals")
    assert DeltaTable(lake.table("deals")).version() == after.version()


def test_each_prefix_has_its_own_labels(serve: Serve, lake: Lake) -> None:
    server = serve()
    for prefix in ("bitrix24_", "second_"):
        lake.sync(server.url, "deals", "users", prefix=prefix)
        found = view(lake.path, f"{prefix}deals_readable")
        assert found.others["users"].name == f"{prefix}users"


def test_views_of_a_lake_in_an_object_store(serve: Serve, far_lake: Lake) -> None:
    server = serve()
    far_lake.sync(server.url, "departments", "users")
    known = names(server, "users", PEOPLE)
    found = rows(far_lake, "departments", "UF_HEAD, UF_HEAD_LABEL")
    assert any(row["UF_HEAD_LABEL"] for row in found)
    assert all(row["UF_HEAD_LABEL"] == called(known, row["UF_HEAD"]) for row in found)
