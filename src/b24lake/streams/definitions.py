"""STREAMS: one row per stream. A new stream is a new row here, not a new class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Paging = Literal["keyset", "offset", "whole", "fields"]
Spelling = Literal["crm", "user", "department"]

MULTIFIELDS = ("PHONE", "EMAIL", "WEB", "IM", "LINK")
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
    paging            keyset: pages by `key`, never counted; offset: pages by `start`; whole: everything at once;
                      fields: one object, field code -> descriptor
    spelling          how the method's family spells filter, order and start
    describe          method that names the columns; "" = `declared` alone
    declared          declared type by column, where the portal does not tell it (types of `*.fields` descriptors)
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
    spelling: Spelling = "crm"
    describe: str = ""
    declared: Mapping[str, str] = field(default_factory=dict)

    @property
    def sync_types(self) -> tuple[str, ...]:
        """Sync types on offer, the preset one first."""
        return ("INCREMENTAL", "FULL_TABLE") if self.replication_keys else ("FULL_TABLE",)


_CRM, _META, _USERS = "CRM", "field definitions", "users and structure"

_DESCRIPTOR = {
    "id": "string",
    "type": "string",
    "title": "string",
    "isRequired": "boolean",
    "isReadOnly": "boolean",
    "isImmutable": "boolean",
    "isMultiple": "boolean",
    "isDynamic": "boolean",
    "isDeprecated": "boolean",
    "statusType": "string",
    "items": "items",
    "listLabel": "string",
    "formLabel": "string",
    "filterLabel": "string",
    "settings": "object",
}
_STATUS = {
    "ID": "integer",
    "ENTITY_ID": "string",
    "STATUS_ID": "string",
    "NAME": "string",
    "NAME_INIT": "string",
    "SORT": "integer",
    "SYSTEM": "char",
    "CATEGORY_ID": "crm_category",
    "COLOR": "string",
    "SEMANTICS": "string",
    "EXTRA": "object",
}
_DEPARTMENT = {
    "ID": "integer",
    "NAME": "string",
    "SORT": "integer",
    "PARENT": "department",
    "UF_HEAD": "user",
}
_USER = {
    "ID": "integer",
    "XML_ID": "string",
    "ACTIVE": "boolean",
    "NAME": "string",
    "LAST_NAME": "string",
    "SECOND_NAME": "string",
    "TITLE": "string",
    "EMAIL": "string",
    "LAST_LOGIN": "datetime",
    "DATE_REGISTER": "date",
    "TIME_ZONE": "string",
    "IS_ONLINE": "char",
    "TIME_ZONE_OFFSET": "integer",
    "TIMESTAMP_X": "datetime",
    "LAST_ACTIVITY_DATE": "datetime",
    "PERSONAL_GENDER": "string",
    "PERSONAL_BIRTHDAY": "date",
    "PERSONAL_PHOTO": "string",
    "WORK_POSITION": "string",
    "UF_EMPLOYMENT_DATE": "date",
    "UF_DEPARTMENT": "department[]",
    "UF_PHONE_INNER": "string",
    "USER_TYPE": "string",
}
_PRODUCT = {"PREVIEW_PICTURE": "product_file", "DETAIL_PICTURE": "product_file", "TIMESTAMP_X": "datetime"}


def _fields(name: str, entity: str, method: str, docs: str) -> Stream:
    return Stream(
        name=name,
        title=f"Field definitions of {entity}",
        group=_META,
        scopes=("crm",),
        method=method,
        paging="fields",
        key="id",
        declared=_DESCRIPTOR,
        docs=docs,
    )


_ROWS = (
    Stream(
        name="activities",
        title="Calls, meetings, e-mails and tasks in the CRM",
        group=_CRM,
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
        name="companies",
        title="Companies",
        group=_CRM,
        scopes=("crm",),
        method="crm.company.list",
        params={"select": [*_ALL, *MULTIFIELDS]},
        replication_keys=("DATE_MODIFY",),
        describe="crm.company.fields",
        docs="api-reference/crm/companies/crm-company-list.md",
    ),
    _fields("company_fields", "companies", "crm.company.fields", "api-reference/crm/companies/crm-company-fields.md"),
    Stream(
        name="contacts",
        title="Contacts",
        group=_CRM,
        scopes=("crm",),
        method="crm.contact.list",
        params={"select": [*_ALL, *MULTIFIELDS]},
        replication_keys=("DATE_MODIFY",),
        describe="crm.contact.fields",
        docs="api-reference/crm/contacts/crm-contact-list.md",
    ),
    _fields("contact_fields", "contacts", "crm.contact.fields", "api-reference/crm/contacts/crm-contact-fields.md"),
    _fields("deal_fields", "deals", "crm.deal.fields", "api-reference/crm/deals/crm-deal-fields.md"),
    Stream(
        name="deals",
        title="Deals",
        group=_CRM,
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
        group=_USERS,
        scopes=("department",),
        method="department.get",
        paging="offset",
        spelling="department",
        describe="department.fields",
        declared=_DEPARTMENT,
        docs="api-reference/departments/department-get.md",
    ),
    _fields("lead_fields", "leads", "crm.lead.fields", "api-reference/crm/leads/crm-lead-fields.md"),
    Stream(
        name="leads",
        title="Leads",
        group=_CRM,
        scopes=("crm",),
        method="crm.lead.list",
        params={"select": [*_ALL, *MULTIFIELDS]},
        replication_keys=("DATE_MODIFY",),
        describe="crm.lead.fields",
        docs="api-reference/crm/leads/crm-lead-list.md",
    ),
    Stream(
        name="product",
        title="Products of the catalogue",
        group=_CRM,
        scopes=("crm",),
        method="crm.product.list",
        params={"select": ["*", "PROPERTY_*"]},
        replication_keys=("TIMESTAMP_X",),
        describe="crm.product.fields",
        declared=_PRODUCT,
        docs="api-reference/crm/outdated/products/crm-product-list.md",
    ),
    _fields(
        "product_fields", "products", "crm.product.fields", "api-reference/crm/outdated/products/crm-product-fields.md"
    ),
    Stream(
        name="status_list",
        title="Directories: stages, sources, types and other choices",
        group=_META,
        scopes=("crm",),
        method="crm.status.list",
        paging="whole",
        params={"order": {"ID": "ASC"}},
        declared=_STATUS,
        docs="api-reference/crm/status/crm-status-list.md",
    ),
    Stream(
        name="users",
        title="Employees",
        group=_USERS,
        scopes=("user", "user_basic", "user_brief"),
        method="user.get",
        spelling="user",
        describe="user.fields",
        declared=_USER,
        docs="api-reference/user/user-get.md",
    ),
)

STREAMS: Mapping[str, Stream] = {stream.name: stream for stream in _ROWS}
