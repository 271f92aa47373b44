"""Which column of which stream refers to which other stream: the data model, as data."""

from __future__ import annotations

from dataclasses import dataclass

from b24lake.streams.about import SPA, SPA_FIELDS


@dataclass(frozen=True, slots=True)
class Relation:
    """`column` of `stream` holds the `to_column` of a row of `to`.

    many   the column is a list
    by     the column that says which of several streams it is
    when   the setting it needs
    """

    stream: str
    column: str
    to: str
    to_column: str = "ID"
    many: bool = False
    by: str = ""
    when: str = ""


def _each(column: str, to: str, streams: str, *, to_column: str = "ID") -> tuple[Relation, ...]:
    return tuple(Relation(stream, column, to, to_column) for stream in streams.split())


RELATIONS: tuple[Relation, ...] = (
    # deals and leads belong to contacts and companies, which stand alone
    *_each("COMPANY_ID", "companies", "deals leads contacts"),
    *_each("CONTACT_ID", "contacts", "deals leads"),
    Relation("deals", "CONTACT_IDS", "contacts", many=True, when="--deal-contacts"),
    *_each("LEAD_ID", "leads", "deals contacts companies"),
    *_each("ASSIGNED_BY_ID", "users", "deals leads contacts companies"),
    *_each("STAGE_ID", "status_list", "deals deal_stage_history", to_column="STATUS_ID"),
    *_each("STATUS_ID", "status_list", "leads lead_stage_history", to_column="STATUS_ID"),
    # what hangs on deals and leads
    Relation("deal_comments", "ENTITY_ID", "deals"),
    Relation("deal_comments", "AUTHOR_ID", "users"),
    Relation("deal_products", "OWNER_ID", "deals"),
    Relation("deal_products", "PRODUCT_ID", "product"),
    Relation("deal_stage_history", "OWNER_ID", "deals"),
    Relation("lead_stage_history", "OWNER_ID", "leads"),
    # activities hang on any record of the CRM
    *(
        Relation("activities", "OWNER_ID", to, to_column, by="OWNER_TYPE_ID")
        for to, to_column in (("leads", "ID"), ("deals", "ID"), ("contacts", "ID"), ("companies", "ID"), (SPA, "id"))
    ),
    Relation("activities", "RESPONSIBLE_ID", "users"),
    # smart processes
    Relation(SPA, "companyId", "companies"),
    Relation(SPA, "contactId", "contacts"),
    Relation(SPA, "assignedById", "users"),
    Relation(SPA, "stageId", "status_list", "STATUS_ID"),
    # the company itself, and how it talks to its clients
    Relation("users", "UF_DEPARTMENT", "departments", many=True),
    Relation("departments", "PARENT", "departments"),
    Relation("departments", "UF_HEAD", "users"),
    Relation("calls", "PORTAL_USER_ID", "users"),
    *(Relation("calls", "CRM_ENTITY_ID", to, by="CRM_ENTITY_TYPE") for to in ("contacts", "companies", "leads")),
    Relation("calls", "CRM_ACTIVITY_ID", "activities"),
    Relation("open_lines", "QUEUE", "users", many=True),
)

# the stream of field definitions -> the stream whose columns it describes
DESCRIBES: dict[str, str] = {
    "activity_fields": "activities",
    "company_fields": "companies",
    "contact_fields": "contacts",
    "deal_fields": "deals",
    "lead_fields": "leads",
    "product_fields": "product",
    SPA_FIELDS: SPA,
    "spa_types": SPA,
}
