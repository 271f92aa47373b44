"""Classic CRM lists: deals, leads, contacts, companies, activities, products.

Source: api-reference/crm/{deals,leads,contacts,companies}/*, timeline/activities/activity-base/*, outdated/products/*.
"""

from collections.abc import Callable
from typing import Any

from b24lake.sandbox import errors
from b24lake.sandbox.data.columns import describe
from b24lake.sandbox.data.table import Table
from b24lake.sandbox.lists.find import Order
from b24lake.sandbox.lists.pages import page
from b24lake.sandbox.lists.render import CLASSIC, build_row
from b24lake.sandbox.methods.asking import array_of, loose_filter, loose_order, selection
from b24lake.sandbox.methods.registry import method
from b24lake.sandbox.params import Params, get, items, to_int
from b24lake.sandbox.portal import Portal
from b24lake.sandbox.replies import Reply, Rows

# entity -> table, its default order, extra names that bring another column
ENTITIES: dict[str, tuple[str, Order]] = {
    "deal": ("deals", (("ID", False),)),
    "lead": ("leads", (("ID", False),)),
    "contact": ("contacts", (("ID", False),)),
    "company": ("companies", (("ID", False),)),
    "activity": ("activities", (("START_TIME", False),)),
    "product": ("products", (("ID", False),)),
}
BROUGHT_ALONG = {"STORAGE_ELEMENT_IDS": "FILES"}
MULTIFIELDS = {"PHONE", "EMAIL", "WEB", "IM", "LINK"}


def standard_names(table: Table) -> list[str]:
    """What `*` selects: all but custom fields and what comes only by name."""
    names = [name for part in table.parts for name in part.names]
    hidden = {column.name for column in table.columns.values() if column.dynamic or column.by_name_only}
    return [name for name in names if name not in hidden and not name.startswith("PROPERTY_")]


def custom_names(table: Table) -> list[str]:
    """What `UF_*` selects."""
    return [column.name for column in table.columns.values() if column.dynamic]


def _selected(table: Table, given: Any) -> frozenset[str]:
    names = selection(given, lambda: standard_names(table), lambda: custom_names(table), _known(table))
    asked = {str(each) for _, each in items(given)}
    brought = {BROUGHT_ALONG[name] for name in asked if name in BROUGHT_ALONG} & set(table.columns)
    if "PROPERTY_*" in asked:
        brought |= {name for name in table.columns if name.startswith("PROPERTY_")}
    return names | brought


def _known(table: Table) -> set[str]:
    return {name for part in table.parts for name in part.names}


def _list(entity: str) -> Callable[[Portal, Params], Reply]:
    name, default = ENTITIES[entity]

    def run(portal: Portal, params: Params) -> Reply:
        table = portal.tables[name]
        nodes = loose_filter(table, array_of(params, "filter"))
        order = loose_order(table, array_of(params, "order"), default)
        found = portal.finder.find(table, nodes, order)
        ids, total, following = page(found, get(params, "start"), exact=False, counted=portal.settings.count_minus_one)
        render = portal.renderer.plan(table, CLASSIC, _selected(table, get(params, "select")))
        return Reply(Rows([render(id_) for id_ in ids]), total, following)

    return run


def _get(entity: str) -> Callable[[Portal, Params], Reply]:
    name, _ = ENTITIES[entity]

    def run(portal: Portal, params: Params) -> Reply:
        table = portal.tables[name]
        id_ = to_int(get(params, "id"))
        if id_ <= 0:
            raise errors.plain("ID is not defined or invalid.")
        if id_ not in table:
            raise errors.plain("Not found")
        names = {*_known(table)} - {"COMMUNICATIONS", "FILES"}
        return Reply(build_row(table, CLASSIC, frozenset(names), id_))

    return run


def _fields(entity: str) -> Callable[[Portal, Params], Reply]:
    name, _ = ENTITIES[entity]

    def run(portal: Portal, _: Params) -> Reply:
        return Reply({each.name: describe(each) for each in portal.tables[name].columns.values()})

    return run


for each in ENTITIES:
    method(f"crm.{each}.list", "crm")(_list(each))
    method(f"crm.{each}.get", "crm")(_get(each))
    method(f"crm.{each}.fields", "crm")(_fields(each))


def _userfields(entity: str) -> Callable[[Portal, Params], Reply]:
    """crm.{entity}.userfield.list: unpaged, labels only with filter[LANG]."""
    name, _ = ENTITIES[entity]

    def run(portal: Portal, params: Params) -> Reply:
        given = array_of(params, "filter") or {}
        table = portal.tables[name]
        rows = [userfield(table, number, labelled="LANG" in given) for number in range(len(custom_names(table)))]
        wanted = {key.lstrip("="): str(value) for key, value in items(given) if key != "LANG"}
        rows = [row for row in rows if all(str(row.get(key)) == value for key, value in wanted.items() if key in row)]
        return Reply(rows, len(rows))

    return run


def userfield(table: Table, number: int, *, labelled: bool) -> dict[str, Any]:
    """One custom field as crm.*.userfield.list describes it: all strings but the settings."""
    column = [each for each in table.columns.values() if each.dynamic][number]
    row: dict[str, Any] = {
        "ID": str(table.entity_type * 1000 + 2 * number),
        "ENTITY_ID": table.user_entity,
        "FIELD_NAME": column.name,
        "USER_TYPE_ID": column.type,
        "XML_ID": None,
        "SORT": str(100 + 10 * number),
        "MULTIPLE": "Y" if column.multiple else "N",
        "MANDATORY": "N",
        "SHOW_FILTER": "E",
        "SHOW_IN_LIST": "Y",
        "EDIT_IN_LIST": "Y",
        "IS_SEARCHABLE": "N",
        "SETTINGS": column.settings or [],
    }
    if labelled:
        labels = ("EDIT_FORM_LABEL", "LIST_COLUMN_LABEL", "LIST_FILTER_LABEL")
        message = "" if column.multiple else None
        row |= dict.fromkeys(labels, column.title) | {"ERROR_MESSAGE": message, "HELP_MESSAGE": message}
    if column.options:
        row["LIST"] = [
            {"ID": id_, "SORT": str(10 * (n + 1)), "VALUE": label, "DEF": "N", "XML_ID": f"{int(id_):032x}"}
            for n, (id_, label) in enumerate(column.options)
        ]
    return row


for each in ("deal", "lead", "contact", "company"):
    method(f"crm.{each}.userfield.list", "crm")(_userfields(each))
