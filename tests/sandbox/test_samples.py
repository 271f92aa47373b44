"""The sandbox's answers against the vendor's printed ones: the same keys, the same JSON types.

The samples are those of the public documentation (MIT licence); captured replies are those that a public client keeps.
"""

import json
import re
from pathlib import Path

import pytest

from b24lake.portal import probe
from b24lake.streams import smart
from b24lake.streams.definitions import STREAMS
from b24lake.streams.smart import SmartType, streams_of

SAMPLES = Path(__file__).parents[1] / "samples"

# method (and number of its sample) -> parameters that bring such an answer; "$products" is a deal that has product rows
ASKED = {
    "profile": {},
    "scope": {},
    "server.time": {},
    "method.get": {"name": "crm.deal.list"},
    "methods": {},
    "feature.get": {"CODE": "rest_offline_extended"},
    "user.admin": {},
    "user.get": {},
    "user.current": {},
    "user.fields": {},
    "department.get": {"PARENT": "1"},
    "department.fields": {},
    "crm.status.list": {"filter": {"ENTITY_ID": "DEAL_STAGE"}},
    "crm.status.fields": {},
    "crm.category.list": {"entityTypeId": 2},
    "crm.type.list": {},
    "crm.type.getByEntityTypeId": {"entityTypeId": 128},
    "crm.enum.ownertype": {},
    "crm.activity.list": {},
    "crm.activity.list.3": {"select": ["ID", "FILES"], "order": {"ID": "ASC"}},
    "crm.activity.get": {"id": "$activities"},
    "crm.activity.fields": {},
    "crm.item.list": {"entityTypeId": 1},
    "crm.item.get": {"entityTypeId": 1, "id": "$leads"},
    "crm.item.fields": {"entityTypeId": 128},
    "crm.item.productrow.list": {"filter": {"=ownerType": "D", "=ownerId": "$products"}},
    "crm.stagehistory.list": {"entityTypeId": 2},
    "crm.timeline.comment.list": {"filter": {"ENTITY_TYPE": "deal", "ENTITY_ID": "$comments"}},
    "crm.deal.productrows.get": {"id": "$products"},
    "crm.deal.contact.items.get": {"id": "$contacts"},
    "voximplant.statistic.get": {},
    "imopenlines.config.list.get": {"OPTIONS": {"QUEUE": "Y", "CONFIG_QUEUE": "Y"}},
    "userfieldconfig.list": {"moduleId": "crm", "filter": {"entityId": "CRM_4"}, "select": {"language": "de"}},
} | {
    f"crm.{entity}.{part}": params
    for entity, table in {"deal": "deals", "lead": "leads", "contact": "contacts", "company": "companies"}.items()
    for part, params in {
        "list": {}, "get": {"id": f"${table}"}, "fields": {}, "userfield.list": {"filter": {"LANG": "en"}},
    }.items()
}  # fmt: skip
ASKED["crm.contact.list"] = {"select": ["*", "EMAIL"]}
ASKED["crm.company.list"] = {"select": ["ID", "TITLE", "ASSIGNED_BY_ID", "PHONE"]}

# (method, key) -> why the sandbox differs from the printed sample
DEVIATIONS = {
    ("crm.stagehistory.list", "ID"): "the sample prints integers, captured portals send strings",
    ("crm.stagehistory.list", "TYPE_ID"): "as ID",
    ("crm.stagehistory.list", "OWNER_ID"): "as ID",
    ("crm.stagehistory.list", "CATEGORY_ID"): "as ID",
    ("user.fields", "*"): "the sandbox's users have fewer columns",
    ("crm.activity.list", "operating_reset_at"): "the sample prints a text, all others an integer",
    ("crm.timeline.comment.list", "processing"): "absent in one sample only",
}
OWN = re.compile(r"^(UF_|ufCrm|PARENT_ID_|parentId)")  # columns that differ from portal to portal


def load(name):
    return json.loads((SAMPLES / name).read_text(encoding="utf-8"))


def kind(value):
    """A JSON type; whole and broken numbers are one."""
    if isinstance(value, bool):
        return "boolean"
    return {int: "number", float: "number", str: "string", type(None): "null", list: "array", dict: "object"}[
        type(value)
    ]


def rows_of(result):
    """The rows within a result, whatever wraps them; one object counts as one row."""
    if isinstance(result, dict) and len(result) == 1:
        (inner,) = result.values()
        if isinstance(inner, (list, dict)):
            return rows_of(inner) if isinstance(inner, list) else [inner]
    if isinstance(result, list):
        return [row for row in result if isinstance(row, dict)]
    return [result] if isinstance(result, dict) else []


def kinds(rows):
    """key -> the JSON types it has in the rows."""
    seen = {}
    for row in rows:
        for key, value in row.items():
            seen.setdefault(key, set()).add(kind(value))
    return seen


def differences(method, ours, theirs):
    """What the sample has and the sandbox has not. An empty array may stand for an object, null for any value."""
    told = []
    for key, types in theirs.items():
        if OWN.match(key) or (method, key) in DEVIATIONS or (method, "*") in DEVIATIONS:
            continue
        if key not in ours:
            told.append(f"{key} is missing")
        elif types - ours[key] - {"null"} and not (types <= {"object", "array"} and ours[key] & {"object", "array"}):
            told.append(f"{key} is {sorted(types)} in the sample and {sorted(ours[key])} here")
    return told


@pytest.fixture
def params_for(hook):
    portal = hook.portal
    tables = portal.tables
    deals = tables["deals"].ids
    chosen = {
        "$products": next(id_ for id_ in deals if len(tables.product_rows("D")(id_)) > 1),
        "$comments": next(
            id_ for id_ in deals if len({str(row.get("FILES")) for row in tables.comments["deal"](id_)}) > 1
        ),
        "$contacts": next(id_ for id_ in deals if len(tables.contacts["deals"](id_)) > 1),
    }

    def fill(value):
        if isinstance(value, dict):
            return {key: fill(each) for key, each in value.items()}
        if isinstance(value, str) and value.startswith("$"):
            return chosen[value] if value in chosen else tables[value[1:]].ids[0]
        return value

    return fill


def answers(hook, method, params):
    """Enough answers to see every type of a column: all rows for `get` methods, a page for lists."""
    name = re.sub(r"\.\d$", "", method)
    if (
        name.endswith(".get")
        and "id" in params
        and name.startswith(("crm.deal.get", "crm.lead", "crm.contact.get", "crm.company"))
    ):
        table = {"deal": "deals", "lead": "leads", "contact": "contacts", "company": "companies"}[name.split(".")[1]]
        return [hook.ask(name, id=id_) for id_ in hook.portal.tables[table].ids[:40]]
    if name == "crm.item.get":
        return [hook.ask(name, entityTypeId=1, id=id_) for id_ in hook.portal.tables["leads"].ids[:40]]
    return [hook.ask(name, **params)]


@pytest.mark.parametrize("method", ASKED)
def test_answers_have_the_keys_and_types_of_the_official_sample(hook, method, params_for):
    sample = load(f"official/{method}.json")
    bodies = answers(hook, method, params_for(ASKED[method]))
    assert set(sample) - {"next"} <= set(bodies[0])
    assert kind(sample["result"]) == kind(bodies[0]["result"])
    assert not differences(method, kinds([bodies[0]["time"]]), kinds([sample["time"]]))
    ours = kinds([row for body in bodies for row in rows_of(body["result"])])
    assert not differences(method, ours, kinds(rows_of(sample["result"])))


def test_a_deal_has_the_keys_and_types_that_the_official_sample_of_a_new_one_has(hook):
    """crm.item.add prints a deal as crm.item.get and crm.item.list give it."""
    items = [
        hook.ask("crm.item.get", entityTypeId=2, id=id_)["result"]["item"] for id_ in hook.portal.tables["deals"].ids
    ]
    assert not differences("crm.item.add", kinds(items), kinds([load("official/crm.item.add.json")["result"]["item"]]))


@pytest.mark.parametrize("entity", ["deal", "lead", "contact", "company", "activity"])
def test_declared_types_are_those_of_the_official_fields(hook, entity):
    ours = hook.result(f"crm.{entity}.fields")
    for name, field in load(f"official/crm.{entity}.fields.json")["result"].items():
        if not OWN.match(name):
            assert (name, ours[name]["type"], ours[name]["isMultiple"]) == (name, field["type"], field["isMultiple"])
            assert ours[name].get("statusType") == field.get("statusType")


def test_open_lines_have_every_setting_that_the_sample_of_a_single_one_has(hook):
    """The list's own sample names few: a line of it has what imopenlines.config.get prints for one line."""
    rows = hook.result("imopenlines.config.list.get", OPTIONS={"QUEUE": "Y"})
    single = load("official/imopenlines.config.get.json")["result"]
    undocumented = {"QUEUE_FULL", "QUEUE_ONLINE"}  # the page of the list does not name them
    theirs = kinds([{name: value for name, value in single.items() if name not in undocumented}])
    assert not differences("imopenlines.config.list.get", kinds(rows), theirs)


WITHOUT_SAMPLE = {
    "crm.product.list": "its page prints no answer",
    "crm.product.fields": "its page prints no answer",
    "batch": "judged below",
}


def test_every_method_that_b24lake_calls_is_judged():
    streams = [*STREAMS.values(), *streams_of(SmartType(128, ""))]
    called = {name for stream in streams for name in (stream.method, stream.describe) if name}
    called |= {command.method for command in (*probe.QUESTIONS.values(), *smart.QUESTIONS.values())}
    called |= {"method.get", "crm.type.getByEntityTypeId", "crm.category.list", "crm.deal.contact.items.get"}
    assert called - set(ASKED) - set(WITHOUT_SAMPLE) == set()


ERRORS = {
    "app.info": ("app.info", {}),
    "crm.deal.list": ("crm.deal.list", {"filter": "x"}),
    "crm.deal.productrows.get": ("crm.deal.productrows.get", {}),
    "crm.deal.contact.items.get": ("crm.deal.contact.items.get", {"id": 99999999}),
    "crm.item.list": ("crm.item.list", {"entityTypeId": 2, "filter": {"FIELD": 1}}),
    "crm.item.get": ("crm.item.get", {"entityTypeId": 2, "id": 99999999}),
    "crm.item.fields": ("crm.item.fields", {"entityTypeId": 9998}),
    "crm.category.list": ("crm.category.list", {"entityTypeId": 9998}),
    "crm.type.getByEntityTypeId": ("crm.type.getByEntityTypeId", {"entityTypeId": 9998}),
    "imopenlines.config.list.get": ("imopenlines.config.list.get", {"PARAMS": {"filter": "x"}}),
    "crm.status.list": ("crm.status.list", {"filter": "x"}),
    "crm.timeline.comment.list": ("crm.timeline.comment.list", {}),
    "crm.lead.get": ("crm.lead.get", {"id": 99999999}),
    "crm.contact.get": ("crm.contact.get", {"id": "x"}),
    "feature.get": ("feature.get", {}),
}


@pytest.mark.parametrize("name", ERRORS)
def test_refusals_are_worded_as_in_the_official_sample(hook, name):
    method, params = ERRORS[name]
    assert hook.call(method, **params)[1] == load(f"official/errors/{name}.json")


def test_a_batch_has_the_sections_of_the_official_samples(hook):
    sample = load("official/batch.json")["result"]
    done = hook.batch({"get_user": "user.current", "get_department": "department.get?ID=1"})
    assert {name: kind(value) for name, value in done.items()} == {name: kind(value) for name, value in sample.items()}
    assert set(done["result_total"]) == set(sample["result_total"])
    assert not differences("batch", kinds([done["result"]["get_user"]]), kinds([sample["result"]["get_user"]]))


def test_a_refused_batch_has_the_sections_of_the_official_samples(portal_with):
    with portal_with(scopes=()) as hook:
        for name, halt in (("batch", 0), ("batch.2", 1)):
            done = hook.batch({"get_user": "user.current", "get_department": "department.get"}, halt=halt)
            sample = load(f"official/errors/{name}.json")["result"]
            assert {key: kind(value) for key, value in done.items()} == {
                key: kind(value) for key, value in sample.items()
            }
            assert {key: each["error"] for key, each in done["result_error"].items()} == {
                key: each["error"] for key, each in sample["result_error"].items()
            }


CAPTURED = {
    "batch_list_empty": {"order0000000000": "crm.deal.list?filter[%3EID]=99999999"},
    "crm_get_batch_of_two_error": ["crm.lead.get", "crm.lead.get?id=99999999"],
    "crm_lead_get_batch_error": ["crm.lead.get"],
    "crm_dealcategory_stage_list_batch_of_one": ["crm.deal.contact.items.get?id=$deal"],
    "crm_stagehistory_list": {"order0000000000": "crm.stagehistory.list?entityTypeId=2&filter[%3CID]=21"},
}


@pytest.mark.parametrize("name", CAPTURED)
def test_batches_take_the_shapes_that_real_portals_sent(hook, name):
    captured, commands = load(f"captured/{name}.json")["result"], CAPTURED[name]
    if isinstance(commands, list):
        commands = [command.replace("$deal", str(hook.portal.tables["deals"].ids[0])) for command in commands]
    done = hook.batch(commands)
    assert {key: kind(value) for key, value in done.items()} == {key: kind(value) for key, value in captured.items()}
    assert done["result_error"] == captured["result_error"]
    assert done["result_total"] == captured["result_total"]


def test_keys_of_a_mixed_batch_are_lists_and_objects_side_by_side(hook):
    captured = load("captured/crm_get_batch_mix_success_and_errors.json")["result"]
    id_ = hook.portal.tables["leads"].ids[0]
    done = hook.batch({"0": "crm.lead.get", "1": "crm.lead.get?id=99999999", "35943": f"crm.lead.get?id={id_}"})
    assert done["result_error"] == captured["result_error"]
    assert set(done["result"]) == set(captured["result"])


def test_stage_history_and_dates_look_as_captured(hook):
    ours = hook.result("crm.stagehistory.list", entityTypeId=2)["items"]
    theirs = load("captured/crm_stagehistory_list.json")["result"]["result"]["order0000000000"]["items"]
    assert not differences("captured", kinds(ours), kinds(theirs))
    fields = hook.result("crm.item.fields", entityTypeId=128)["fields"]
    names = [
        name
        for name, field in fields.items()
        if field["type"] == "date" and field["isDynamic"] and not field["isMultiple"]
    ]
    rows = hook.result("crm.item.list", entityTypeId=128)["items"]
    dates = {row[name][10:] for row in rows for name in names if row[name]}
    assert dates == {"T03:00:00+03:00"}
