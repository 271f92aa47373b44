"""Filters, orders, pages and selections of the list methods, judged by a model that looks at every row."""

import random
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from b24lake.sandbox import Portal, Settings
from b24lake.sandbox.lists.items import item_view
from b24lake.sandbox.lists.render import CLASSIC, build_row

PAGE = 50


def ids(rows, key="ID"):
    return [int(row[key]) for row in rows]


def test_offset_pages_cover_the_table_once(hook):
    seen, start = [], 0
    while start is not None:
        body = hook.ask("crm.deal.list", order={"ID": "ASC"}, select=["ID"], start=start)
        seen += ids(body["result"])
        assert body["total"] == 300
        start = body.get("next")
    assert seen == ids(hook.portal.truth("deals"))


@pytest.mark.parametrize(("start", "same"), [(49, 0), (50, 50), (77, 50), (99, 50), ("120", 100)])
def test_classic_lists_floor_start_to_full_pages(hook, start, same):
    asked = hook.result("crm.deal.list", order={"ID": "ASC"}, select=["ID"], start=start)
    assert asked == hook.result("crm.deal.list", order={"ID": "ASC"}, select=["ID"], start=same)


def test_item_lists_take_start_as_it_is(hook):
    rows = hook.result("crm.item.list", entityTypeId=2, order={"id": "ASC"}, select=["id"], start=7)["items"]
    assert rows[0]["id"] == hook.portal.tables["deals"].ids[7]


def test_start_minus_one_counts_nothing(hook, portal_with):
    body = hook.ask("crm.deal.list", start=-1)
    assert (body["total"], "next" in body, len(body["result"])) == (0, False, PAGE)
    with portal_with(count_minus_one=False) as other:
        assert "total" not in other.ask("crm.deal.list", start=-1)


def test_the_last_page_has_no_next_and_beyond_it_is_nothing(hook):
    body = hook.ask("crm.deal.list", start=250)
    assert ("next" in body, len(body["result"])) == (False, 50)
    assert hook.result("crm.deal.list", start=9999) == []


FIELDS = {
    "ID": int, "CATEGORY_ID": int, "OPPORTUNITY": float, "ASSIGNED_BY_ID": int,
    "COMPANY_ID": int, "STAGE_ID": str, "CLOSED": str, "DATE_MODIFY": str, "DATE_CREATE": str, "TITLE": str,
}  # fmt: skip
COMPARE = {
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b, "!=": lambda a, b: a != b, "!": lambda a, b: a != b, "": lambda a, b: a == b,
    "@": lambda a, b: a in b, "!@": lambda a, b: a not in b, "%": lambda a, b: str(b).lower() in str(a).lower(),
}  # fmt: skip


def model(rows, conditions):
    """The same filter by looking at every row; nothing compares with null but inequality."""
    kept = []
    for row in rows:
        fine = True
        for operator, field, value in conditions:
            kind = FIELDS[field]
            seen = row[field]
            wanted = [kind(each) for each in value] if isinstance(value, list) else kind(value)
            if seen is None:
                fine = fine and operator in ("!=", "!", "!@")
            else:
                fine = fine and COMPARE[operator](kind(seen), wanted)
        if fine:
            kept.append(int(row["ID"]))
    return kept


def some_condition(dice, rows):
    operator = dice.choice(list(COMPARE))
    field = dice.choice(["TITLE", "STAGE_ID"]) if operator == "%" else dice.choice(list(FIELDS))
    values = [row[field] for row in dice.sample(rows, 5) if row[field] is not None] or ["1"]
    if operator in ("@", "!@"):
        return operator, field, values
    if operator == "%":
        return operator, field, values[0][1:4]
    return operator, field, values[0]


@pytest.mark.parametrize("seed", range(60))
def test_filters_agree_with_a_model_that_looks_at_every_row(hook, seed):
    dice = random.Random(seed)
    rows = list(hook.portal.truth("deals"))
    conditions = {(c := some_condition(dice, rows))[0] + c[1]: c for _ in range(dice.choice((1, 1, 2, 3)))}
    given = {key: value for key, (_, _, value) in conditions.items()}
    want = model(rows, conditions.values())
    body = hook.ask("crm.deal.list", filter=given, order={"ID": "ASC"}, select=["ID"])
    assert (ids(body["result"]), body["total"]) == (want[:PAGE], len(want))


@pytest.mark.parametrize("field", ["DATE_MODIFY", "OPPORTUNITY", "TITLE", "ASSIGNED_BY_ID", "ID"])
@pytest.mark.parametrize("way", ["ASC", "DESC"])
def test_orders_sort_by_the_columns_type(hook, field, way):
    rows = hook.result("crm.deal.list", order={field: way}, select=["ID", field])
    kind = FIELDS[field]
    values = [kind(row[field]) for row in rows]
    assert values == sorted(values, reverse=way == "DESC")


def test_rows_named_by_id_are_those_that_exist_within_the_other_conditions(hook):
    have = hook.portal.tables["deals"].ids
    asked = [have[3], have[5], have[3], have[9], 99999999, "abc"]
    assert ids(hook.result("crm.deal.list", filter={"@ID": asked}, select=["ID"])) == [have[3], have[5], have[9]]
    both = {"@ID": asked, ">ID": have[3], "<ID": have[9]}
    assert ids(hook.result("crm.deal.list", filter=both, select=["ID"])) == [have[5]]
    assert ids(hook.result("crm.deal.list", filter={"ID": asked, ">ID": have[9]}, select=["ID"])) == []


def test_unknown_fields_of_a_classic_filter_and_order_are_ignored(hook):
    assert hook.ask("crm.deal.list", filter={">DATE_MODIFIED": "2099-01-01"}, order={"NOPE": "ASC"})["total"] == 300


def test_conditions_that_have_to_be_arrays_are_insisted_on(hook):
    for name in ("filter", "order"):
        status, body = hook.call("crm.deal.list", **{name: "ID"})
        assert (status, body["error"], body["error_description"]) == (400, "", f"Parameter '{name}' must be array.")


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"filter": {"DATE_MODIFY": 1}}, "Invalid filter: field 'DATE_MODIFY' is not allowed in filter"),
        ({"filter": {">id": "abc"}}, "Invalid filter: field 'id' has invalid value"),
        ({"filter": {">id": [1]}}, "Invalid filter: field 'id' has invalid value"),
        ({"filter": {">=updatedTime": "soon"}}, "Invalid filter: field 'updatedTime' has invalid value"),
        ({"order": {"nope": "ASC"}}, "Invalid order: field 'nope' is not allowed in order"),
    ],
)
def test_item_lists_refuse_what_they_do_not_know(hook, params, text):
    status, body = hook.call("crm.item.list", entityTypeId=2, **params)
    assert (status, body["error"], body["error_description"]) == (400, "INVALID_ARG_VALUE", text)


def test_item_filters_nest_with_or(hook):
    given = {"logic": "OR", "0": {"categoryId": 3}, "1": {"categoryId": 5, "closed": "Y"}}
    rows = list(hook.portal.truth("deals"))
    want = [
        int(row["ID"])
        for row in rows
        if row["CATEGORY_ID"] == "3" or (row["CATEGORY_ID"] == "5" and row["CLOSED"] == "Y")
    ]
    body = hook.ask("crm.item.list", entityTypeId=2, filter=given, order={"id": "ASC"}, select=["id"])
    assert (ids(body["result"]["items"], "id"), body["total"]) == (want[:PAGE], len(want))
    both = hook.ask(
        "crm.item.list", entityTypeId=2, filter={"0": given, ">id": want[3]}, order={"id": "ASC"}, select=["id"]
    )
    assert both["total"] == len(want) - 4


def test_dates_without_offset_are_in_the_servers_zone(portal_with):
    with portal_with(server_offset=-300) as hook:
        latest = max(row["DATE_MODIFY"] for row in hook.portal.truth("deals"))
        assert latest.endswith("-05:00")
        for text in (latest, latest[:19], latest[:19].replace("T", " ")):
            assert hook.ask("crm.deal.list", filter={">=DATE_MODIFY": text})["total"] == 1
        assert hook.ask("crm.deal.list", filter={">=DATE_MODIFY": latest[:19] + "-04:00"})["total"] >= 1
        assert hook.ask("crm.deal.list", filter={">DATE_MODIFY": latest[:19] + "-06:00"})["total"] == 0


def test_activities_come_by_start_time_unless_told_otherwise(hook):
    rows = hook.result("crm.activity.list")
    assert [row["START_TIME"] for row in rows] == sorted(row["START_TIME"] for row in rows)
    assert ids(rows) != sorted(ids(rows))
    assert ids(hook.result("crm.activity.list", order={"ID": "ASC"})) == ids(hook.portal.truth("activities"))[:PAGE]


@pytest.mark.parametrize(
    ("params", "descending"),
    [
        ({"SORT": "ID", "ORDER": "DESC"}, True),
        ({"SORT": "ID"}, False),
        ({"ORDER": {"ID": "DESC"}}, False),
        ({"SORT": "CALL_TYPE", "ORDER": "DESC"}, False),
    ],
)
def test_calls_need_sort_and_order_as_strings(hook, params, descending):
    seen = ids(hook.result("voximplant.statistic.get", **params))
    assert seen == sorted(seen, reverse=descending)


def test_calls_take_arrays_without_an_operator(hook):
    want = hook.portal.tables["calls"].ids[3:6].tolist()
    assert ids(hook.result("voximplant.statistic.get", FILTER={"ID": want})) == want


def test_users_are_read_by_keyset_and_by_activity(hook):
    everyone = hook.result("user.get", sort="ID", order="ASC")
    assert ids(hook.result("user.get", FILTER={">ID": ids(everyone)[9]}, sort="ID", order="ASC")) == ids(everyone)[10:]
    active = hook.result("user.get", FILTER={"ACTIVE": True})
    assert ids(active) == [int(row["ID"]) for row in everyone if row["ACTIVE"]]
    assert 0 < len(active) < len(everyone)


def test_departments_filter_by_equality_on_the_top_level(hook):
    assert [row["ID"] for row in hook.result("department.get", PARENT="1")] == [
        row["ID"] for row in hook.portal.truth("departments") if row.get("PARENT") == "1"
    ]
    assert ids(hook.result("department.get", sort="ID", order="DESC")) == ids(hook.portal.truth("departments"))[::-1]


def test_open_lines_go_by_limit_and_offset(hook):
    body = hook.ask("imopenlines.config.list.get", PARAMS={"limit": 2, "offset": 1})
    assert set(body) == {"result", "time"}
    assert ids(body["result"]) == [3, 5]


MASKS = [["*"], ["UF_*"], ["*", "UF_*"], ["ID"], ["TITLE", "DATE_MODIFY"], ["ID", "NOPE"], []]


@pytest.mark.parametrize("select", MASKS)
@pytest.mark.parametrize("entity", ["deal", "lead", "contact", "company"])
def test_masks_select_standard_and_custom_columns(hook, entity, select):
    name = {"deal": "deals", "lead": "leads", "contact": "contacts", "company": "companies"}[entity]
    rows = hook.result(f"crm.{entity}.list", select=select, order={"ID": "ASC"})
    multi = {"PHONE", "EMAIL", "WEB", "IM", "LINK"}
    for row, truth in zip(rows, hook.portal.truth(name), strict=False):
        wanted = select or ["*", "UF_*"]
        want = {
            key: value
            for key, value in truth.items()
            if key in wanted
            or ("*" in wanted and not key.startswith("UF_") and key not in multi)
            or ("UF_*" in wanted and key.startswith("UF_"))
        }
        assert row == want


def test_multifields_come_only_by_name_and_agree_with_the_flags(hook):
    rows = hook.result(
        "crm.contact.list", select=["ID", "HAS_PHONE", "HAS_EMAIL", "PHONE", "EMAIL", "WEB", "IM", "LINK"]
    )
    assert {"Y", "N"} == {row["HAS_PHONE"] for row in rows}
    for row in rows:
        assert ("PHONE" in row, "EMAIL" in row) == (row["HAS_PHONE"] == "Y", row["HAS_EMAIL"] == "Y")
        for value in row.get("PHONE", []):
            assert set(value) == {"ID", "VALUE_TYPE", "VALUE", "TYPE_ID"}
            assert all(isinstance(each, str) for each in value.values())


def test_files_and_communications_of_activities_come_by_name(hook):
    assert not {"FILES", "COMMUNICATIONS"} & set(hook.result("crm.activity.list", select=["*"])[0])
    row = hook.result("crm.activity.list", select=["*", "COMMUNICATIONS", "STORAGE_ELEMENT_IDS"])[0]
    assert {"FILES", "COMMUNICATIONS"} <= set(row)


VIEWS = [
    "deals",
    "leads",
    "contacts",
    "companies",
    "activities",
    "products",
    "calls",
    "users",
    "departments",
    "spa_128",
    "open_lines",
]


@pytest.mark.parametrize("name", VIEWS)
def test_rows_from_fragments_are_the_rows_built_as_dicts(hook, name):
    portal = hook.portal
    table = portal.tables[name]
    everything = frozenset(key for part in table.parts for key in part.names)
    for names in (None, everything, frozenset(sorted(everything)[::3]), frozenset({"ID"})):
        render = portal.renderer.plan(table, CLASSIC, names)
        for id_ in table.ids:
            assert orjson.loads(render(id_)) == build_row(table, CLASSIC, names, id_)


@pytest.mark.parametrize("original", [False, True])
@pytest.mark.parametrize("name", ["deals", "leads", "contacts", "companies", "spa_128"])
def test_items_from_fragments_are_the_items_built_as_dicts(hook, name, original):
    portal = hook.portal
    table = portal.tables[name]
    view = item_view(portal.tables.contacts.get(name), original=original)
    everything = sorted(build_row(table, view, None, table.ids[0]))
    for names in (None, frozenset(everything[::3]), frozenset({"id"}), frozenset({"id", "contactIds"})):
        render = portal.renderer.plan(table, view, names)
        for id_ in table.ids:
            assert orjson.loads(render(id_)) == build_row(table, view, names, id_)


def test_many_connections_get_their_own_answers(hook):
    known = hook.portal.tables["deals"].ids

    def read(number):
        other = type(hook)(hook.portal, hook.server)
        try:
            return [other.result("crm.deal.get", id=known[number + n])["ID"] for n in range(10)]
        finally:
            other.connection.close()

    with ThreadPoolExecutor(8) as pool:
        for number, answer in enumerate(pool.map(read, range(40))):
            assert answer == [str(id_) for id_ in known[number : number + 10]]


def test_the_same_seed_makes_the_same_portal_and_another_seed_another():
    def rows(seed):
        portal = Portal(Settings(deals=80, seed=seed))
        return {name: list(portal.truth(name)) for name in portal.tables.named}

    assert rows(5) == rows(5)
    assert rows(5)["deals"] != rows(6)["deals"]


def test_ids_are_sparse_as_asked():
    ids_ = Portal(Settings(deals=20000, id_start=100, id_gap=1.3)).tables["deals"].ids
    assert ids_[0] == 100
    assert 1.2 < (ids_[-1] - ids_[0]) / len(ids_) < 1.4
    assert list(Portal(Settings(deals=50, id_gap=1.0, id_start=1)).tables["deals"].ids) == list(range(1, 51))
