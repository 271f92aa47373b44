"""STREAMS: one row per stream. A new stream is a new row here, not a new class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from b24lake.streams.declared import (
    CALL,
    COMMENT,
    DEAL_HISTORY,
    DEPARTMENT,
    DESCRIPTOR,
    ITEM_DESCRIPTOR,
    LEAD_HISTORY,
    OPEN_LINE,
    PRODUCT,
    PRODUCT_ROW,
    SMART_TYPE,
    STATUS,
    USER,
    Declared,
)
from b24lake.streams.translation import Translation

Paging = Literal["keyset", "offset", "limit", "whole", "fields", "each", "children"]
Spelling = Literal["crm", "user", "department", "call"]
ReaderName = Literal["classic", "universal"]

Items = Sequence[Mapping[str, str]]  # the choices of a list: ID and VALUE of each

MULTIFIELDS = ("PHONE", "EMAIL", "WEB", "IM", "LINK")
ORIGINAL_NAMES = "useOriginalUfNames"
_ALL = ("*", "UF_*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """One table a user can pick.

    name              stream name; never changed once released
    group             as the screens group it
    scopes            any one of these lets the webhook read it
    method            REST method that lists it
    params            sent with every call
    rows_at           key under `result` that holds the rows; "" = the result is the list
    key               primary key; for keyset paging the portal can filter and sort by it
    replication_keys  fields by which changes can be asked for, the default first; () = full reads only
    paging            keyset: pages by `key`, never counted; offset: pages by `start`; limit: pages by `offset`, without
                      a total; whole: everything at once; fields: one object, field code -> descriptor; each: one call
                      for each of `each`; children: one call for each record of `parent`
    each              parameters of one call each
    parent            stream of whose records these are the children, `parent_key` their column that names it
    parent_param      parameter that names the parent; "" = the filter's `parent_key`, in pages by `start`
    spelling          how the method's family spells filter, order and start
    describe          method that names the columns, with `describe_params`; "" = `declared` alone
    option            setting that must be on for the stream to be offered; "" = always
    unasked           keys that its rows have although nothing describes them
    declared          declared type by column, where the portal does not tell it (types of `*.fields` descriptors)
    translation       of fields into the names that the classic methods have for them; None = they keep their names
    choices           of *_fields: items of the fields of a type, which the portal tells elsewhere, by declared type
    docs              page of the vendor's reference this row was written from
    """

    name: str
    title: str
    group: str
    scopes: tuple[str, ...]
    method: str
    docs: str
    params: Mapping[str, Any] = field(default_factory=dict)
    rows_at: str = ""
    key: str = "ID"
    replication_keys: tuple[str, ...] = ()
    paging: Paging = "keyset"
    each: tuple[Mapping[str, Any], ...] = ()
    parent: str = ""
    parent_key: str = ""
    parent_param: str = ""
    spelling: Spelling = "crm"
    describe: str = ""
    describe_params: Mapping[str, Any] = field(default_factory=dict)
    option: str = ""
    unasked: tuple[str, ...] = ()
    declared: Mapping[str, str] = field(default_factory=dict)
    translation: Translation | None = None
    choices: Mapping[str, Items] = field(default_factory=dict)

    @property
    def reader(self) -> ReaderName:
        """Which of the two ways to read the core CRM this is."""
        return "universal" if self.translation else "classic"

    @property
    def of_keys(self) -> Translation | None:
        """What becomes of the keys of its rows: those of *_fields are not fields, but tell about them."""
        return None if self.paging == "fields" else self.translation

    @property
    def sync_types(self) -> tuple[str, ...]:
        """Sync types on offer, the preset one first."""
        return ("INCREMENTAL", "FULL_TABLE") if self.replication_keys or self.parent else ("FULL_TABLE",)

    @property
    def cost(self) -> str:
        """How many calls it takes; up to 50 of them go in one request."""
        return _COSTS[self.paging]


_COSTS: Mapping[Paging, str] = {
    "keyset": "one call per 50 rows",
    "offset": "one call per 50 rows",
    "limit": "one call per 200 rows",
    "whole": "one call",
    "fields": "one call",
    "each": "one call per row",
    "children": "one call per deal",
}
CRM, META, SMART, USERS, TELEPHONY, LINES = (
    "CRM",
    "field definitions",
    "smart processes",
    "users and structure",
    "telephony",
    "open lines",
)
GROUPS = (CRM, META, SMART, USERS, TELEPHONY, LINES)


def _fields(name: str, entity: str, method: str, docs: str) -> Stream:
    return Stream(
        name=name,
        title=f"Field definitions of {entity}",
        group=META,
        scopes=("crm",),
        method=method,
        paging="fields",
        key="id",
        declared=DESCRIPTOR,
        docs=docs,
    )


def _history(name: str, title: str, entity_type: int, declared: Declared) -> Stream:
    """A log that only grows: its bookmark is an id."""
    return Stream(
        name=name,
        title=title,
        group=CRM,
        scopes=("crm",),
        method="crm.stagehistory.list",
        params={"entityTypeId": entity_type},
        rows_at="items",
        replication_keys=("ID",),
        declared=declared,
        docs="api-reference/crm/crm-stage-history-list.md",
    )


def of_type(entity_type: int) -> Mapping[str, Any]:
    """What the universal methods need to know: the type of the records, and that custom fields keep their names."""
    return {"entityTypeId": entity_type, ORIGINAL_NAMES: "Y"}


def smart_items(entity_type: int, title: str) -> Stream:
    """The records of one smart process."""
    return Stream(
        name=f"spa_{entity_type}",
        title=title,
        group=SMART,
        scopes=("crm",),
        method="crm.item.list",
        params={**of_type(entity_type), "select": ["*"]},
        rows_at="items",
        key="id",
        replication_keys=("updatedTime",),
        describe="crm.item.fields",
        describe_params=of_type(entity_type),
        unasked=("entityTypeId",),
        docs="api-reference/crm/universal/crm-item-list.md",
    )


def smart_fields(entity_type: int, title: str) -> Stream:
    """The field definitions of one smart process."""
    return Stream(
        name=f"spa_fields_{entity_type}",
        title=f"Field definitions of {title}",
        group=SMART,
        scopes=("crm",),
        method="crm.item.fields",
        params=of_type(entity_type),
        rows_at="fields",
        key="id",
        paging="fields",
        declared=ITEM_DESCRIPTOR,
        docs="api-reference/crm/universal/crm-item-fields.md",
    )


_ROWS = (
    Stream(
        name="activities",
        title="Calls, meetings, e-mails and tasks in the CRM",
        group=CRM,
        scopes=("crm",),
        method="crm.activity.list",
        params={"select": ["*", "COMMUNICATIONS", "FILES", "STORAGE_ELEMENT_IDS"]},
        replication_keys=("CREATED", "LAST_UPDATED"),
        describe="crm.activity.fields",
        docs="api-reference/crm/timeline/activities/activity-base/crm-activity-list.md",
    ),
    _fields(
        "activity_fields",
        "activities",
        "crm.activity.fields",
        "api-reference/crm/timeline/activities/activity-base/crm-activity-fields.md",
    ),
    Stream(
        name="calls",
        title="Calls of the telephony, with duration, cost and recording",
        group=TELEPHONY,
        scopes=("telephony",),
        method="voximplant.statistic.get",
        spelling="call",
        replication_keys=("CALL_START_DATE",),
        declared=CALL,
        docs="api-reference/telephony/voximplant/voximplant-statistic-get.md",
    ),
    Stream(
        name="companies",
        title="Companies",
        group=CRM,
        scopes=("crm",),
        method="crm.company.list",
        params={"select": [*_ALL, *MULTIFIELDS]},
        replication_keys=("DATE_MODIFY",),
        describe="crm.company.fields",
        docs="api-reference/crm/companies/crm-company-list.md",
    ),
    _fields("company_fields", "companies", "crm.company.fields", "api-reference/crm/companies/crm-company-fields.md"),
    _fields("contact_fields", "contacts", "crm.contact.fields", "api-reference/crm/contacts/crm-contact-fields.md"),
    Stream(
        name="contacts",
        title="Contacts",
        group=CRM,
        scopes=("crm",),
        method="crm.contact.list",
        params={"select": [*_ALL, *MULTIFIELDS]},
        replication_keys=("DATE_MODIFY",),
        describe="crm.contact.fields",
        docs="api-reference/crm/contacts/crm-contact-list.md",
    ),
    Stream(
        name="deal_comments",
        title="Comments in the timelines of deals",
        group=CRM,
        scopes=("crm",),
        method="crm.timeline.comment.list",
        paging="children",
        params={"filter": {"ENTITY_TYPE": "deal"}},
        parent="deals",
        parent_key="ENTITY_ID",
        option="deal_comments",
        declared=COMMENT,
        docs="api-reference/crm/timeline/comments/crm-timeline-comment-list.md",
    ),
    _fields("deal_fields", "deals", "crm.deal.fields", "api-reference/crm/deals/crm-deal-fields.md"),
    Stream(
        name="deal_products",
        title="Product rows of deals",
        group=CRM,
        scopes=("crm",),
        method="crm.deal.productrows.get",
        paging="children",
        parent="deals",
        parent_key="OWNER_ID",
        parent_param="id",
        option="deal_products",
        declared=PRODUCT_ROW,
        docs="api-reference/crm/deals/crm-deal-productrows-get.md",
    ),
    _history("deal_stage_history", "Stages that deals have been in", 2, DEAL_HISTORY),
    Stream(
        name="deals",
        title="Deals",
        group=CRM,
        scopes=("crm",),
        method="crm.deal.list",
        params={"select": list(_ALL)},
        replication_keys=("DATE_MODIFY",),
        describe="crm.deal.fields",
        docs="api-reference/crm/deals/crm-deal-list.md",
    ),
    Stream(
        name="departments",
        title="Departments of the company",
        group=USERS,
        scopes=("department",),
        method="department.get",
        paging="offset",
        spelling="department",
        describe="department.fields",
        declared=DEPARTMENT,
        docs="api-reference/departments/department-get.md",
    ),
    _fields("lead_fields", "leads", "crm.lead.fields", "api-reference/crm/leads/crm-lead-fields.md"),
    _history("lead_stage_history", "Statuses that leads have been in", 1, LEAD_HISTORY),
    Stream(
        name="leads",
        title="Leads",
        group=CRM,
        scopes=("crm",),
        method="crm.lead.list",
        params={"select": [*_ALL, *MULTIFIELDS]},
        replication_keys=("DATE_MODIFY",),
        describe="crm.lead.fields",
        docs="api-reference/crm/leads/crm-lead-list.md",
    ),
    Stream(
        name="open_lines",
        title="Open lines: channels for customers to write to",
        group=LINES,
        scopes=("imopenlines",),
        method="imopenlines.config.list.get",
        params={"OPTIONS": {"QUEUE": "Y", "CONFIG_QUEUE": "Y"}},
        paging="limit",
        declared=OPEN_LINE,
        docs="api-reference/imopenlines/openlines/imopenlines-config-list-get.md",
    ),
    Stream(
        name="product",
        title="Products of the catalogue",
        group=CRM,
        scopes=("crm",),
        method="crm.product.list",
        params={"select": ["*", "PROPERTY_*"]},
        replication_keys=("TIMESTAMP_X",),
        describe="crm.product.fields",
        declared=PRODUCT,
        docs="api-reference/crm/outdated/products/crm-product-list.md",
    ),
    _fields(
        "product_fields", "products", "crm.product.fields", "api-reference/crm/outdated/products/crm-product-fields.md"
    ),
    Stream(
        name="spa_types",
        title="Smart processes: the types of records that the portal has added",
        group=SMART,
        scopes=("crm",),
        method="crm.type.list",
        rows_at="types",
        key="id",
        paging="offset",
        params={"order": {"id": "ASC"}},
        declared=SMART_TYPE,
        docs="api-reference/crm/universal/user-defined-object-types/crm-type-list.md",
    ),
    Stream(
        name="status_list",
        title="Directories: stages, sources, types and other choices",
        group=META,
        scopes=("crm",),
        method="crm.status.list",
        paging="whole",
        params={"order": {"ID": "ASC"}},
        declared=STATUS,
        docs="api-reference/crm/status/crm-status-list.md",
    ),
    Stream(
        name="users",
        title="Employees",
        group=USERS,
        scopes=("user", "user_basic", "user_brief"),
        method="user.get",
        spelling="user",
        describe="user.fields",
        declared=USER,
        docs="api-reference/user/user-get.md",
    ),
)

STREAMS: Mapping[str, Stream] = {stream.name: stream for stream in _ROWS}
