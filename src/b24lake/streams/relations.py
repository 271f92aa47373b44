"""Which column of which stream refers to which other stream: the data model, as data."""

from __future__ import annotations

from dataclasses import dataclass

from b24lake.streams import smart
from b24lake.streams.about import SPA, SPA_FIELDS


@dataclass(frozen=True, slots=True)
class Relation:
    """`column` of `stream` holds the `to_column` of a row of `to`.

    many   the column is a list
    by     the column that says which of several streams it is, and what it says then; "" = the entityTypeId
    when   the setting it needs
    """

    stream: str
    column: str
    to: str
    to_column: str = "ID"
    many: bool = False
    by: str = ""
    says: str = ""
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
    *_each("CREATED_BY", "users", "product"),
    *_each("MODIFIED_BY", "users", "product"),
    # activities hang on any record of the CRM
    *(
        Relation("activities", "OWNER_ID", to, by="OWNER_TYPE_ID", says=says)
        for to, says in (("leads", "1"), ("deals", "2"), ("contacts", "3"), ("companies", "4"))
    ),
    Relation("activities", "OWNER_ID", SPA, "id", by="OWNER_TYPE_ID"),
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
    *(
        Relation("calls", "CRM_ENTITY_ID", to, by="CRM_ENTITY_TYPE", says=says)
        for to, says in (("contacts", "CONTACT"), ("companies", "COMPANY"), ("leads", "LEAD"))
    ),
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

# streams as a diagram places them from left to right: what hangs on others, what links them, what stands alone
PLACES: tuple[tuple[str, ...], ...] = (
    ("activities", "calls", "deal_comments", "deal_products", "deal_stage_history", "lead_stage_history"),
    (SPA,),
    ("deals", "leads"),
    ("contacts", "companies", "product"),
    ("users", "departments", "status_list", "open_lines"),
    tuple(DESCRIBES),
)

# stream -> the columns that say what to call one of its rows
NAMES: dict[str, tuple[str, ...]] = {
    "activities": ("SUBJECT",),
    "companies": ("TITLE",),
    "contacts": ("NAME", "LAST_NAME"),
    "deals": ("TITLE",),
    "departments": ("NAME",),
    "leads": ("TITLE",),
    "product": ("NAME",),
    "status_list": ("NAME",),
    "users": ("NAME", "LAST_NAME"),
    SPA: ("title",),
}

# declared type of a column -> the stream whose rows it refers to
BY_TYPE: dict[str, str] = {
    "user": "users",
    "employee": "users",
    "department": "departments",
    "crm_company": "companies",
    "crm_contact": "contacts",
    "crm_deal": "deals",
    "crm_lead": "leads",
}

# entityTypeId of the records that every portal has -> their stream
BY_ENTITY_TYPE: dict[int, str] = {1: "leads", 2: "deals", 3: "contacts", 4: "companies"}

# kind of record in a field of the type `crm` -> its stream, and what stands before its id where several may be held
BOUND: dict[str, tuple[str, str]] = {
    "LEAD": ("leads", "L_"),
    "DEAL": ("deals", "D_"),
    "CONTACT": ("contacts", "C_"),
    "COMPANY": ("companies", "CO_"),
}


def bound(kind: str) -> tuple[str, str] | None:
    """The same for smart processes as well; None for records that no stream reads, as invoices.

    >>> bound("DEAL"), bound("DYNAMIC_128"), bound("SMART_INVOICE")
    (('deals', 'D_'), ('spa_128', 'T80_'), None)
    """
    family, _, number = kind.partition("_")
    if family == "DYNAMIC" and number.isdecimal() and int(number) >= smart.FIRST:
        return f"spa_{number}", f"T{int(number):x}_"
    return BOUND.get(kind)


# (stream, column) -> the directory in status_list, where the portal does not name it
DIRECTORIES: dict[tuple[str, str], str] = {
    ("deals", "STAGE_ID"): "DEAL_STAGE",
    ("deal_stage_history", "STAGE_ID"): "DEAL_STAGE",
    ("leads", "STATUS_ID"): "STATUS",
    ("lead_stage_history", "STATUS_ID"): "STATUS",
}
