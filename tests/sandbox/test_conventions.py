"""How values look: strings for numbers, the many empties, dates in the server's offset, every type of custom field."""

import ast
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import b24lake.sandbox
from b24lake.sandbox.data.columns import camel_custom
from b24lake.sandbox.dispatch import methods

ENTITIES = {"deal": "deals", "lead": "leads", "contact": "contacts", "company": "companies"}
ALL_TYPES = {
    "string", "integer", "double", "boolean", "enumeration", "datetime", "date", "money", "url", "address", "file",
    "employee", "crm_status", "iblock_section", "iblock_element", "crm", "resourcebooking", "rest_3_rating",
}  # fmt: skip


def rows(hook, table):
    return list(hook.portal.truth(table))


def test_deals_have_100_columns_of_every_type(hook):
    fields = hook.result("crm.deal.fields")
    custom = {name: field for name, field in fields.items() if field["isDynamic"]}
    assert {field["type"] for field in custom.values()} == ALL_TYPES
    assert {field["type"] for field in custom.values() if field["isMultiple"]} == ALL_TYPES - {"boolean"}
    assert (
        max(len(row) for row in rows(hook, "deals")) <= 100 == len({key for row in rows(hook, "deals") for key in row})
    )
    assert "CONTACT_IDS" in fields
    assert not any("CONTACT_IDS" in row for row in rows(hook, "deals"))


@pytest.mark.parametrize("count", [50, 60, 150])
def test_the_number_of_columns_can_be_chosen(portal_with, count):
    with portal_with(deal_fields=count, deals=400) as hook:
        assert len({key for row in rows(hook, "deals") for key in row}) == count


@pytest.mark.parametrize("table", ["deals", "leads", "contacts", "companies", "activities", "products"])
def test_classic_scalars_are_strings_or_null(hook, table):
    booleans = {"leads": bool, "contacts": int}.get(table, str)
    for row in rows(hook, table):
        for name, value in row.items():
            if isinstance(value, (list, dict)) or value is None:
                continue
            if name.startswith("UF_") and value is False:
                continue  # an empty multiple field
            assert isinstance(value, (str, booleans) if name.startswith("UF_") else str), (name, value)


def test_the_empties_are_mixed_as_real_portals_mix_them(hook):
    deals = rows(hook, "deals")
    assert {row["COMPANY_ID"] for row in deals} >= {"0", None}
    assert "" in {row["CLOSEDATE"] for row in deals}
    assert {row["COMMENTS"] for row in deals} >= {"", None}
    fields = hook.result("crm.deal.fields")
    many = [name for name, field in fields.items() if field["isDynamic"] and field["isMultiple"]]
    assert {str(row[name]) for row in deals for name in many} >= {"False", "[]"}
    files = [name for name, field in fields.items() if field["type"] == "file" and not field["isMultiple"]]
    assert any(name not in row for row in deals for name in files)
    assert all(isinstance(row[name], dict) for row in deals for name in files if name in row)


def test_boolean_custom_fields_differ_by_entity(hook):
    seen = {}
    for entity, table in ENTITIES.items():
        names = [name for name, field in hook.result(f"crm.{entity}.fields").items() if field["type"] == "boolean"]
        seen[entity] = {repr(row[name]) for row in rows(hook, table) for name in names}
    assert seen == {"deal": {"'0'", "'1'"}, "lead": {"False", "True"}, "contact": {"0", "1"}, "company": {"'0'", "'1'"}}


@pytest.mark.parametrize(
    ("offset", "time"), [(180, "T03:00:00+03:00"), (-300, "T19:00:00-05:00"), (0, "T00:00:00+00:00")]
)
def test_a_date_is_midnight_utc_printed_in_the_servers_offset(portal_with, offset, time):
    with portal_with(server_offset=offset) as hook:
        assert {row["BEGINDATE"][10:] for row in rows(hook, "deals")} == {time}
        now = datetime.fromisoformat(hook.result("server.time"))
        assert now.utcoffset().total_seconds() == offset * 60
        assert abs((datetime.now(UTC) - now).total_seconds()) < 60


def test_rows_are_made_within_the_four_years_before_the_epoch(hook):
    for row in rows(hook, "deals"):
        assert "2022-01-01T00:00:00+03:00" <= row["DATE_CREATE"] <= row["DATE_MODIFY"] < "2026-01-01T03:00:00+03:00"


def test_stages_fit_their_funnels_and_the_reference_list(hook):
    statuses = {(row["ENTITY_ID"], row["STATUS_ID"]): row for row in hook.result("crm.status.list")}
    funnels = {each["id"] for each in hook.result("crm.category.list", entityTypeId=2)["categories"]}
    for row in rows(hook, "deals"):
        category = int(row["CATEGORY_ID"])
        status = statuses[f"DEAL_STAGE_{category}" if category else "DEAL_STAGE", row["STAGE_ID"]]
        assert category in funnels
        assert row["STAGE_SEMANTIC_ID"] == (status["SEMANTICS"] or "P")
        assert row["STAGE_ID"].startswith(f"C{category}:") == bool(category)
    assert len(statuses) > 60


def test_links_lead_to_rows_and_the_families_agree(hook):
    people = set(hook.portal.tables["contacts"].ids)
    items = hook.result("crm.item.list", entityTypeId=2, order={"id": "ASC"})["items"]
    counts = set()
    for item in items:
        listed = [each["CONTACT_ID"] for each in hook.result("crm.deal.contact.items.get", id=item["id"])]
        assert item["contactIds"] == listed
        assert set(listed) <= people
        counts.add(min(2, len(listed)))
    assert counts == {0, 1, 2}
    for item, row in zip(items, rows(hook, "deals"), strict=False):
        assert (item["id"], item["title"], item["updatedTime"]) == (int(row["ID"]), row["TITLE"], row["DATE_MODIFY"])
        assert item["contactId"] == (int(row["CONTACT_ID"]) if row["CONTACT_ID"] else None)
        assert (item["contactIds"] or [item["contactId"] or 0])[0] == (item["contactId"] or 0)


def test_items_are_typed_and_keep_original_names_on_demand(hook):
    fields = hook.result("crm.item.fields", entityTypeId=128)["fields"]
    original = hook.result("crm.item.fields", entityTypeId=128, useOriginalUfNames="Y")["fields"]
    items = hook.result("crm.item.list", entityTypeId=128, select=["*"])["items"]
    renamed = hook.result("crm.item.list", entityTypeId=128, select=["*"], useOriginalUfNames="Y")["items"]
    for item, other in zip(items, renamed, strict=True):
        for name, value in item.items():
            field = fields.get(name)
            if field is None or value is None:
                continue
            assert isinstance(value, list) == field["isMultiple"], name
            if (
                field["type"] in ("integer", "user", "crm_company", "enumeration", "employee")
                and not field["isMultiple"]
            ):
                assert isinstance(value, int), name
            if field["type"] == "boolean":
                assert value in ("Y", "N")
            key = field["upperName"] if field["isDynamic"] else name
            assert other[key] == value
            assert original[key]["type"] == field["type"]


@pytest.mark.parametrize(
    ("upper", "camel"),
    [
        ("UF_CRM_2_1639669411830", "ufCrm2_1639669411830"),
        ("UF_CRM_1747309879", "ufCrm_1747309879"),
        ("UF_CRM_3_DIGIT", "ufCrm3Digit"),
        ("UF_CRM_3_DIGIT10", "ufCrm_3_DIGIT10"),
        ("UF_CRM_DELIVERY_A", "ufCrmDeliveryA"),
    ],
)
def test_custom_names_are_converted_as_the_vendor_says(upper, camel):
    assert camel_custom(upper) == camel


def test_fm_and_the_type_come_with_a_star_alone(hook):
    def keys(*select):
        return {"fm", "entityTypeId"} & set(hook.result("crm.item.list", entityTypeId=3, select=select)["items"][0])

    assert keys("*") == keys() == {"fm", "entityTypeId"}
    assert keys("*", "UF_*") == keys("id", "fm", "entityTypeId") == set()
    assert hook.result("crm.item.list", entityTypeId=3, select=["*", "UF_*"])["items"][0]["hasPhone"] in ("Y", "N")


@pytest.mark.parametrize(("entity_type", "table"), [(1, "leads"), (2, "deals"), (3, "contacts"), (4, "companies")])
def test_rows_have_keys_that_are_not_described_and_lack_some_that_are(hook, entity_type, table):
    """Which ones: api-reference/crm/universal/object-fields.md, "Response only" and the system fields."""
    fields = hook.result("crm.item.fields", entityTypeId=entity_type)["fields"]
    items = hook.result("crm.item.list", entityTypeId=entity_type, order={"id": "ASC"})["items"]
    keys = {key for item in items for key in item}
    assert fields.keys() - keys == {"companies" if entity_type == 3 else "contacts"}
    beside = keys - fields.keys()
    assert {"entityTypeId", "searchContent"} <= beside
    assert ("phoneWork" in beside) == ("address" in beside) == ("fm" in fields) == (entity_type != 2)
    for item, row in zip(items, rows(hook, table), strict=False):
        told = {(each["typeId"], each["value"]) for each in item.get("fm", ())}
        kept = {
            (each["TYPE_ID"], each["VALUE"])
            for kind in ("PHONE", "EMAIL", "WEB", "IM", "LINK")
            for each in row.get(kind, ())
        }
        assert told == kept
        for file in ("photo", "logo"):
            assert file not in item or item[file] == (row[file.upper()] or {}).get("id")
    for key in beside - {"entityTypeId", "searchContent"}:
        assert {item[key] for item in items} == {None} or key.startswith(("phone", "email", "imol"))


def test_custom_fields_that_would_have_the_same_name_keep_their_own(hook):
    for name in ("UF_CRM_twin", "UF_CRM_TWIN"):
        hook.portal.set_field("deals", name, "string")
    fields = hook.result("crm.item.fields", entityTypeId=2)["fields"]
    assert {name: fields[name]["upperName"] for name in ("ufCrmTwin", "UF_CRM_TWIN")} == {
        "ufCrmTwin": "UF_CRM_twin", "UF_CRM_TWIN": "UF_CRM_TWIN",
    }  # fmt: skip
    item = hook.result("crm.item.list", entityTypeId=2, order={"id": "ASC"})["items"][0]
    row = next(hook.portal.truth("deals"))
    assert [item["ufCrmTwin"], item["UF_CRM_TWIN"]] == [row["UF_CRM_twin"], row["UF_CRM_TWIN"]]
    for name in ("UF_CRM_twin", "UF_CRM_TWIN"):
        hook.portal.drop_field("deals", name)


def test_users_lack_keys_and_have_odd_dates(hook):
    people = hook.result("user.get")
    assert len({frozenset(row) for row in people}) > 3
    for row in people:
        assert isinstance(row["ACTIVE"], bool)
        assert row["TIMESTAMP_X"] == row["LAST_ACTIVITY_DATE"] == {}
        assert all(isinstance(id_, int) for id_ in row["UF_DEPARTMENT"])


def test_the_root_department_has_no_parent(hook):
    assert ["PARENT" in row for row in hook.result("department.get")].count(False) == 1


def test_open_lines_have_empty_objects_for_dates(hook):
    for row in hook.result("imopenlines.config.list.get"):
        assert row["DATE_CREATE"] == row["DATE_MODIFY"] == {}


def test_comments_are_paged_and_files_take_three_shapes(portal_with):
    with portal_with(deals=3000, deal_fields=50) as hook:
        make = hook.portal.tables.comments["deal"]
        long = next(id_ for id_ in hook.portal.tables["deals"].ids if len(make(id_)) > 50)
        asked = {"ENTITY_TYPE": "deal", "ENTITY_ID": long}
        first = hook.ask("crm.timeline.comment.list", filter=asked, order={"ID": "ASC"})
        second = hook.ask("crm.timeline.comment.list", filter=asked, order={"ID": "ASC"}, start=first["next"])
        assert (len(first["result"]), first["total"], len(second["result"]), "next" in second) == (50, 60, 10, False)
        assert first["result"] + second["result"] == make(long)
        assert {"FILES" in row and bool(row["FILES"]) + 1 for row in make(long)} == {0, 1, 2}


def test_history_is_append_only_and_names_existing_deals_and_leads(hook):
    for entity_type, table in ((2, "deals"), (1, "leads")):
        log = hook.portal.tables.histories[entity_type]
        entries = [log.row(id_) for id_ in log.ids]
        times = [entry["CREATED_TIME"] for entry in entries]
        assert times == sorted(times)
        assert {int(entry["OWNER_ID"]) for entry in entries} <= set(hook.portal.tables[table].ids)


def test_a_million_deals_start_at_once(portal_with):
    with portal_with(deals=1_000_000, leads=0, contacts=0, companies=0, activities=0, calls=0) as hook:
        last = hook.portal.tables["deals"].ids[-1]
        asked = hook.ask("crm.deal.list", filter={">ID": last - 10, "<=ID": last}, order={"ID": "ASC"}, select=["ID"])
        assert int(asked["result"][-1]["ID"]) == last


def test_the_package_imports_nothing_of_the_reader_and_costs_little():
    root = Path(b24lake.sandbox.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                known = name.startswith("b24lake.sandbox") or name.split(".")[0] in {*sys.stdlib_module_names, "orjson"}
                assert known, f"{path.name} imports {name}"
    code = "import sys, b24lake.sandbox; print('b24lake.sandbox.portal' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert told.stdout.strip() == "False"


WORDS = st.sampled_from(["ID", "*", "ASC", "Y", ">ID", "2025-01-01"])
KEYS = st.sampled_from(
    ["ID", ">ID", "id", "@id", "%TITLE", "logic", "0", "LANG", "=ownerId", "=ownerType", "ENTITY_TYPE"]
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 400) | st.text(max_size=4) | WORDS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
NAMES = [
    "filter",
    "order",
    "select",
    "start",
    "id",
    "entityTypeId",
    "PARAMS",
    "OPTIONS",
    "SORT",
    "ORDER",
    "sort",
    "cmd",
    "halt",
    "ID",
]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_asked_is_answered_or_refused_in_words(hook, data):
    method = data.draw(st.sampled_from([*sorted(methods()), "batch"]))
    params = data.draw(st.dictionaries(st.sampled_from(NAMES), JUNK, max_size=4))
    status, body = hook.call(method, **params)
    assert ("result" in body) == (status == 200)
    assert status in (200, 400, 403)
