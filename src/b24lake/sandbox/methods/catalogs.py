"""Reference lists: statuses, funnels, types of smart processes.

Source: api-reference/crm/status/*.md, crm/universal/category/crm-category-list.md, user-defined-object-types/*.md,
crm/auxiliary/enum/crm-enum-owner-type.md.
"""

from typing import Any

from b24lake.sandbox import errors
from b24lake.sandbox.data.columns import Column, describe
from b24lake.sandbox.data.dictionaries import STATUS_COLUMNS, categories
from b24lake.sandbox.data.smart import type_row
from b24lake.sandbox.lists.conditions import Condition, freeze, split, test
from b24lake.sandbox.lists.pages import page_of
from b24lake.sandbox.methods.asking import check_readable, strict_filter, strict_order
from b24lake.sandbox.methods.registry import method
from b24lake.sandbox.params import Params, get, items, to_int
from b24lake.sandbox.portal import Portal
from b24lake.sandbox.replies import Reply

OWNER_TYPES = (
    (1, "Lead", "LEAD", "L"), (2, "Deal", "DEAL", "D"), (3, "Contact", "CONTACT", "C"), (4, "Company", "COMPANY", "CO"),
    (5, "Invoice (old version)", "INVOICE", "I"), (31, "Invoice", "SMART_INVOICE", "SI"), (7, "Quote", "QUOTE", "Q"),
    (8, "Billing Details", "REQUISITE", "RQ"), (36, "Document", "SMART_DOCUMENT", "DO"),
    (39, "Company Document", "SMART_B2E_DOC", "SBD"),
)  # fmt: skip
_TYPE_KINDS = {"id": "integer", "entityTypeId": "integer", "createdBy": "integer", "updatedBy": "integer",
"createdTime": "datetime",
               "updatedTime": "datetime", "customSectionId": "integer"}  # fmt: skip


@method("crm.status.list", "crm")
def status_list(portal: Portal, params: Params) -> Reply:
    """All rows at once: this list is not paged, unless a setting says so."""
    given, order = get(params, "filter"), get(params, "order")
    if any(value not in (None, "") and not isinstance(value, (dict, list)) for value in (given, order)):
        raise errors.plain("Incorrect parameters passed.", "Invalid parameters.")
    kinds = {column.name: column.type for column in STATUS_COLUMNS}
    rows = sift(portal.tables.statuses, given, kinds)
    for field, way in reversed(items(order) or [("SORT", "ASC")]):
        if field in kinds:
            rows = ranked(rows, field, kinds[field], descending=str(way).upper() == "DESC")
    if portal.settings.paged_statuses:
        return page_of(rows, get(params, "start"), counted=portal.settings.count_minus_one)
    return Reply(rows, len(rows))


@method("crm.status.fields", "crm")
def status_fields(_: Portal, __: Params) -> Reply:
    """Descriptors of its columns."""
    return Reply({column.name: describe(column) for column in STATUS_COLUMNS})


@method("crm.category.list", "crm")
def category_list(portal: Portal, params: Params) -> Reply:
    """Funnels of an entity type, all at once."""
    entity_type = to_int(params.get("entityTypeId"))
    known = {each[0] for each in OWNER_TYPES} | {row["entityTypeId"] for row in portal.tables.types}
    if entity_type not in known:
        raise errors.plain("Smart process not found", "NOT_FOUND")
    rows = categories(entity_type)
    if rows is None:
        raise errors.plain("Entity type is not supported", "ENTITY_TYPE_NOT_SUPPORTED")
    return Reply({"categories": rows}, len(rows))


@method("crm.dealcategory.list", "crm")
def deal_categories(_: Portal, __: Params) -> Reply:
    """Funnels of deals but for the default one, as older portals list them."""
    made = {"IS_LOCKED": "N", "CREATED_DATE": "2024-01-15T10:00:00+03:00"}
    funnels = [row for row in categories(2) or [] if row["id"]]
    rows = [{"ID": str(row["id"]), "NAME": row["name"], "SORT": str(row["sort"]), **made} for row in funnels]
    return Reply(rows, len(rows))


@method("crm.dealcategory.default.get", "crm")
def default_deal_category(_: Portal, __: Params) -> Reply:
    """The default funnel of deals, which is number 0."""
    return Reply({"ID": 0, "NAME": "General"})


@method("crm.type.list", "crm")
def type_list(portal: Portal, params: Params) -> Reply:
    """Smart processes; for CRM administrators only."""
    if not portal.settings.admin:
        raise errors.plain("Access denied", "ACCESS_DENIED")
    kinds = {name: _TYPE_KINDS.get(name, "string") for name in type_row(portal.world, 0, 0, "")}
    columns = {name: Column(name=name, type=kind, title=name) for name, kind in kinds.items()}
    strict_filter(columns, params.get("filter"), portal.settings.server_offset)
    rows = sift(portal.tables.types, params.get("filter"), kinds)
    for field, descending in reversed(strict_order(columns, params.get("order"), (("id", False),))):
        rows = ranked(rows, field, kinds[field], descending=descending)
    return page_of(rows, params.get("start"), counted=portal.settings.count_minus_one, under="types")


@method("crm.type.getByEntityTypeId", "crm")
def type_by_entity(portal: Portal, params: Params) -> Reply:
    """One smart process; read access to it is enough."""
    wanted = to_int(params.get("entityTypeId"))
    for row in portal.tables.types:
        if row["entityTypeId"] == wanted:
            check_readable(portal, wanted)
            relations = {
                "parent": [{"entityTypeId": 2, "isChildrenListEnabled": "Y", "isPredefined": "N"}],
                "child": [],
            }
            fields = {"CALENDAR_EVENT|UF_CRM_CAL_EVENT": "Y", "TASKS_TASK|UF_CRM_TASK": "Y"}
            return Reply({"type": row | {"relations": relations, "linkedUserFields": fields, "customSections": []}})
    raise errors.plain("Smart process not found", 0)


@method("crm.enum.ownertype", "crm")
def ownertype(portal: Portal, _: Params) -> Reply:
    """All entity types, for any user."""
    smart = ((row["entityTypeId"], row["title"]) for row in portal.tables.types)
    rows = [*OWNER_TYPES, *((id_, title, f"DYNAMIC_{id_}", f"T{id_:x}") for id_, title in smart)]
    return Reply([dict(zip(("ID", "NAME", "SYMBOL_CODE", "SYMBOL_CODE_SHORT"), row, strict=True)) for row in rows])


def sift(rows: list[dict[str, Any]], given: Any, kinds: dict[str, str]) -> list[dict[str, Any]]:
    """Rows at hand that meet a flat filter; unknown fields are ignored."""
    kept = list(rows)
    for key, value in items(given):
        operator, field = split(key)
        if field in kinds:
            check = test(Condition(field, operator, freeze(value)), kinds[field], 0)
            kept = [row for row in kept if check(row.get(field))]
    return kept


def ranked(rows: list[dict[str, Any]], field: str, kind: str, *, descending: bool) -> list[dict[str, Any]]:
    """Rows by a field; nothing comes first."""

    def rank(row: dict[str, Any]) -> tuple[bool, Any]:
        value = row.get(field)
        if value is None:
            return (False, 0)
        return (True, to_int(value) if kind == "integer" else str(value))

    return sorted(rows, key=rank, reverse=descending)
