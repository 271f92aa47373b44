"""The universal methods crm.item.* over leads, deals, contacts, companies and smart processes.

Source: api-reference/crm/universal/crm-item-list.md, crm-item-get.md, crm-item-fields.md.
"""

from typing import Any

from b24lake.sandbox import errors
from b24lake.sandbox.data.columns import Column, describe
from b24lake.sandbox.data.table import Table
from b24lake.sandbox.lists.items import item_columns, item_keys, item_view, sent_name
from b24lake.sandbox.lists.pages import page, page_of
from b24lake.sandbox.lists.render import View, build_row
from b24lake.sandbox.methods.asking import check_readable, selection, strict_filter, strict_order
from b24lake.sandbox.methods.registry import method
from b24lake.sandbox.params import Params, get, items, to_int
from b24lake.sandbox.portal import Portal
from b24lake.sandbox.replies import Reply, Rows

NOT_FILTERED = {"fm", "contactIds", "companyIds", "observers", "searchContent", "contacts", "companies"}


def table_of(portal: Portal, params: Params, text: str = "SPA not found") -> Table:
    """The table of `entityTypeId`."""
    table = portal.tables.by_type.get(to_int(params.get("entityTypeId")))
    if table is None:
        raise errors.plain(text, "NOT_FOUND")
    check_readable(portal, table.entity_type)
    return table


def _original(portal: Portal, params: Params) -> bool:
    return portal.settings.original_names and str(params.get("useOriginalUfNames") or "N").upper() in {"Y", "1", "TRUE"}


def _view(portal: Portal, table: Table, *, original: bool) -> View:
    return item_view(portal.tables.contacts.get(table.name), original=original)


def _names(table: Table, given: Any, *, original: bool) -> frozenset[str] | None:
    """Selected keys; None for all."""
    if {str(name) for _, name in items(given)} <= {"*"}:
        return None
    keys = item_keys(table)
    custom = [sent_name(column, original=original) for column in item_columns(table).values() if column.dynamic]
    return selection(given, lambda: [*keys, *custom], lambda: custom, keys.union(custom))


def _filterable(table: Table, *, original: bool) -> dict[str, Column]:
    columns = {
        sent_name(column, original=original): column
        for name, column in item_columns(table).items()
        if name not in NOT_FILTERED and column.name in table.columns
    }
    return columns | {"ID": columns["id"]}  # the vendor's own SDK orders by ID before it has seen a row


@method("crm.item.list", "crm")
def item_list(portal: Portal, params: Params) -> Reply:
    """Rows of any entity type, wrapped in `items`; unknown fields in filter or order are refused."""
    table, original = table_of(portal, params), _original(portal, params)
    fields = _filterable(table, original=original)
    nodes = strict_filter(fields, params.get("filter"), portal.settings.server_offset)
    order = strict_order(fields, params.get("order"), (("ID", False),))
    found = portal.finder.find(table, nodes, order)
    ids, total, following = page(found, params.get("start"), exact=True, counted=portal.settings.count_minus_one)
    names = _names(table, params.get("select"), original=original)
    render = portal.renderer.plan(table, _view(portal, table, original=original), names)
    return Reply(Rows([render(id_) for id_ in ids], "items"), total, following)


@method("crm.item.get", "crm")
def item_get(portal: Portal, params: Params) -> Reply:
    """One row, wrapped in `item`."""
    table, id_ = table_of(portal, params), to_int(get(params, "id"))
    if id_ not in table:
        raise errors.plain("Element not found", "NOT_FOUND")
    return Reply({"item": build_row(table, _view(portal, table, original=_original(portal, params)), None, id_)})


@method("crm.item.fields", "crm")
def item_fields(portal: Portal, params: Params) -> Reply:
    """Descriptors by name, wrapped in `fields`."""
    table, original = table_of(portal, params, "Smart process not found"), _original(portal, params)
    told = {}
    for column in item_columns(table).values():
        told[sent_name(column, original=original)] = describe(column, item=True)
    return Reply({"fields": told})


@method("crm.item.productrow.list", "crm")
def productrow_list(portal: Portal, params: Params) -> Reply:
    """Product rows of the records named by `=ownerType` and `=ownerId`, one id or several."""
    given = {key.lstrip("="): value for key, value in items(params.get("filter"))}
    for required in ("ownerType", "ownerId"):
        if required not in given:
            raise errors.plain(f"Could not find value for parameter {{{required}}}", 100)
    code, owners = str(given["ownerType"]), given["ownerId"]
    ids = [to_int(each) for _, each in items(owners)] if isinstance(owners, (list, dict)) else [to_int(owners)]
    make = portal.tables.product_rows(code)
    rows = [row for owner in ids for row in make(owner)]
    low = to_int(next((value for key, value in given.items() if key == ">id"), 0))
    rows = sorted((row for row in rows if row["id"] > low), key=lambda row: row["id"])
    if any(str(way).lower() == "desc" for _, way in items(params.get("order"))):
        rows.reverse()
    return page_of(rows, params.get("start"), counted=portal.settings.count_minus_one, under="productRows")


@method("userfieldconfig.list", "userfieldconfig")
def userfieldconfig_list(portal: Portal, params: Params) -> Reply:
    """Custom fields of an entity (`CRM_7` of the smart process with type id 7), labels by language."""
    entity = str(dict(items(params.get("filter"))).get("entityId", ""))
    language = str(dict(items(params.get("select"))).get("language", ""))
    tables = [table for table in portal.tables.by_type.values() if entity in ("", table.user_entity)]
    rows = []
    for table in tables:
        dynamic = [column for column in table.columns.values() if column.dynamic]
        rows += [_config(table, number, column, language) for number, column in enumerate(dynamic)]
    return page_of(rows, params.get("start"), counted=portal.settings.count_minus_one, under="fields")


def _config(table: Table, number: int, column: Column, language: str) -> dict[str, Any]:
    label = {language: column.title} if language else None
    flags = {"mandatory": "N", "showFilter": "N", "showInList": "Y", "editInList": "Y", "isSearchable": "N"}
    return {
        "id": str(table.entity_type * 1000 + 2 * number), "entityId": table.user_entity, "fieldName": column.name,
        "userTypeId": column.type, "xmlId": None, "sort": "100", "multiple": "Y" if column.multiple else "N", **flags,
        "settings": column.settings or [], "languageId": {language: language} if language else None,
        "editFormLabel": label, "listColumnLabel": label, "listFilterLabel": None, "errorMessage": None,
        "helpMessage": None,
    }  # fmt: skip
