"""A portal that changes while it is read, from Python and over HTTP."""

import json

import pytest

NOW = 1_790_000_000


@pytest.fixture
def clocked(portal_with):
    with portal_with(now=lambda: NOW, deals=120) as hook:
        yield hook


def truth(hook, table):
    return {int(row["ID"]): row for row in hook.portal.truth(table)}


def read(hook, **filter_):
    rows = hook.result("crm.deal.list", order={"ID": "ASC"}, filter=filter_, start=-1)
    return {int(row["ID"]): row for row in rows}


def test_a_changed_row_shows_everywhere_with_its_new_date(clocked):
    id_ = clocked.portal.tables["deals"].ids[7]
    clocked.portal.change("deals", id_, {"TITLE": 'новое "имя"', "OPPORTUNITY": 12.5})
    row = truth(clocked, "deals")[id_]
    assert (row["TITLE"], row["OPPORTUNITY"]) == ('новое "имя"', "12.5")
    assert row["DATE_MODIFY"] == "2026-09-21T17:13:20+03:00"
    assert read(clocked, ID=id_) == {id_: row}
    assert clocked.result("crm.deal.get", id=id_) == row
    item = clocked.result("crm.item.get", entityTypeId=2, id=id_)["item"]
    assert (item["title"], item["opportunity"], item["updatedTime"]) == (row["TITLE"], 12.5, row["DATE_MODIFY"])


def test_kept_matches_follow_changes_creations_and_deletions(clocked):
    since = {">=DATE_MODIFY": "2026-01-01T00:00:00+00:00"}
    portal = clocked.portal
    assert read(clocked, **since) == {}
    first, second, third = portal.tables["deals"].ids[3:6]
    portal.change("deals", first, {"TITLE": "a"})
    portal.change("deals", second, {"TITLE": "b"})
    assert set(read(clocked, **since)) == {first, second}
    new = portal.create("deals", {"TITLE": "c", "CATEGORY_ID": "3"})
    portal.delete("deals", second)
    portal.delete("deals", third)
    assert set(read(clocked, **since)) == {first, new}
    assert new in truth(clocked, "deals")
    assert not {second, third} & set(truth(clocked, "deals"))
    assert clocked.call("crm.deal.get", id=second)[1]["error_description"] == "Not found"
    assert clocked.ask("crm.deal.list", start=0)["total"] == 119


def test_a_new_row_has_the_next_id_and_is_whole(clocked):
    last = clocked.portal.tables["deals"].ids[-1]
    id_ = clocked.portal.create("deals", {"TITLE": "x"})
    assert id_ == last + 1
    row = read(clocked, **{">ID": last})[id_]
    assert (row["TITLE"], row["DATE_CREATE"], len(row) > 95) == ("x", "2026-09-21T17:13:20+03:00", True)


def test_sorted_lists_follow_changes(clocked):
    id_ = clocked.portal.tables["deals"].ids[0]
    clocked.result("crm.deal.list", order={"DATE_MODIFY": "DESC"})
    clocked.portal.change("deals", id_, {})
    assert int(clocked.result("crm.deal.list", order={"DATE_MODIFY": "DESC"})[0]["ID"]) == id_


@pytest.mark.parametrize(
    "table", ["leads", "contacts", "companies", "activities", "products", "calls", "users", "spa_128"]
)
def test_rows_of_every_table_can_be_created_changed_and_deleted(clocked, table):
    portal = clocked.portal
    name = {"activities": "SUBJECT", "products": "NAME", "calls": "COMMENT", "contacts": "NAME", "users": "NAME"}.get(
        table, "TITLE"
    )
    new = portal.create(table, {name: "new"})
    assert truth(clocked, table)[new][name] == "new"
    portal.change(table, new, {name: "newer"})
    assert truth(clocked, table)[new][name] == "newer"
    portal.delete(table, new)
    assert new not in truth(clocked, table)


def test_users_keep_their_empty_dates_after_a_change_and_are_found_by_it(clocked):
    id_ = clocked.portal.tables["users"].ids[3]
    clocked.portal.change("users", id_, {"NAME": "Zoë"})
    (row,) = clocked.result("user.get", FILTER={">=TIMESTAMP_X": "2026-06-01T00:00:00+00:00"})
    assert (int(row["ID"]), row["NAME"], row["TIMESTAMP_X"]) == (id_, "Zoë", {})


def test_custom_fields_come_go_and_change_their_type(clocked):
    hook, name = clocked, "UF_CRM_1790000001"
    hook.portal.set_field("deals", name, "double", title="Neu")
    field = hook.result("crm.deal.fields")[name]
    assert (field["type"], field["isDynamic"], field["formLabel"]) == ("double", True, "Neu")
    values = [row[name] for row in read(hook).values()]
    assert any(isinstance(value, str) and "." in value for value in values)
    hook.portal.set_field("deals", name, "enumeration", multiple=True)
    assert hook.result("crm.deal.fields")[name]["items"]
    assert {type(row[name]) for row in read(hook).values()} <= {list, bool}
    assert hook.result("crm.item.fields", entityTypeId=2)["fields"]["ufCrm_1790000001"]["isMultiple"]
    hook.portal.drop_field("deals", name)
    assert name not in hook.result("crm.deal.fields")
    assert all(name not in row for row in read(hook).values())
    assert hook.result("crm.deal.list", order={"ID": "ASC"}) == list(hook.portal.truth("deals"))[:50]


def test_a_built_in_custom_field_can_be_dropped_too(clocked):
    name = next(each for each in clocked.result("crm.lead.fields") if each.startswith("UF_"))
    clocked.portal.drop_field("leads", name)
    assert name not in clocked.result("crm.lead.list")[0]


@pytest.mark.parametrize(
    ("lever", "asked", "text"),
    [
        ("change", {"table": "deals", "id": 1, "fields": {}}, "no row 1"),
        ("change", {"table": "nothing", "id": 2}, "no table 'nothing'"),
        ("create", {"table": "deals", "fields": {"NOPE": 1}}, "cannot set NOPE"),
        ("field", {"table": "deals", "name": "X", "type": "string"}, "UF_CRM_"),
        ("field", {"table": "users", "name": "UF_CRM_1", "type": "string"}, "no custom fields"),
        ("drop", {"table": "deals", "name": "TITLE"}, "no custom field TITLE"),
        ("create", {}, "KeyError"),
    ],
)
def test_wrong_levers_say_why(fresh, lever, asked, text):
    status, body = fresh.lever(lever, **asked)
    assert status == 400
    assert text in body["error"]


def test_everything_can_be_done_over_http(fresh):
    status, body = fresh.lever("create", table="deals", fields={"TITLE": "by hand"})
    id_ = body["id"]
    assert status == 200
    assert fresh.lever("change", table="deals", id=id_, fields={"OPPORTUNITY": "5.00"}) == (200, {})
    assert fresh.result("crm.deal.get", id=id_)["OPPORTUNITY"] == "5.00"
    assert fresh.lever("field", table="deals", name="UF_CRM_7", type="string") == (200, {})
    assert "UF_CRM_7" in fresh.result("crm.deal.fields")
    assert fresh.lever("drop", table="deals", name="UF_CRM_7") == (200, {})
    assert fresh.lever("delete", table="deals", id=id_) == (200, {})
    assert fresh.lever("reset") == (200, {})
    fresh.result("profile")
    told = fresh.counters()
    assert (told["requests"], told["refused"], told["commands"]) == (1, 0, {"profile": 1})
    assert fresh.lever("dance")[0] == 404


def test_the_truth_is_told_row_by_row(fresh):
    fresh.connection.request("GET", "/sandbox/truth/deals")
    lines = fresh.connection.getresponse().read().splitlines()
    assert [json.loads(line) for line in lines] == list(fresh.portal.truth("deals"))


def test_what_hangs_on_a_record_can_be_replaced(clocked):
    id_ = clocked.portal.tables["deals"].ids[7]
    before = truth(clocked, "deals")[id_]
    comment = {"ID": "9", "ENTITY_ID": str(id_), "ENTITY_TYPE": "deal", "COMMENT": "new", "AUTHOR_ID": "1"}
    assert clocked.lever("lay", kind="comments", table="deals", id=id_, rows=[comment]) == (200, {})
    listed = clocked.result("crm.timeline.comment.list", filter={"ENTITY_ID": id_, "ENTITY_TYPE": "deal"})
    assert listed == [comment]
    row = truth(clocked, "deals")[id_]
    assert row["DATE_MODIFY"] == before["DATE_MODIFY"]
    assert row["LAST_ACTIVITY_TIME"] == "2026-09-21T17:13:20+03:00"
    clocked.portal.lay("product_rows", "deals", id_, [], quiet=True)
    clocked.portal.lay("contacts", "deals", id_, [3, 1])
    assert clocked.result("crm.deal.productrows.get", id=id_) == []
    assert clocked.result("crm.item.get", entityTypeId=2, id=id_)["item"]["contactIds"] == [3, 1]
    assert [row["CONTACT_ID"] for row in clocked.result("crm.deal.contact.items.get", id=id_)] == [3, 1]
    assert truth(clocked, "deals")[id_]["DATE_MODIFY"] == "2026-09-21T17:13:20+03:00"
    assert clocked.lever("lay", kind="calls", table="deals", id=id_, rows=[])[0] == 400


def test_older_portals_list_funnels_in_their_own_way(clocked):
    funnels = {row["id"]: row["name"] for row in clocked.result("crm.category.list", entityTypeId=2)["categories"]}
    classic = {int(row["ID"]): row["NAME"] for row in clocked.result("crm.dealcategory.list")}
    default = clocked.result("crm.dealcategory.default.get")
    assert classic == {id_: name for id_, name in funnels.items() if id_}
    assert default["ID"] == 0
