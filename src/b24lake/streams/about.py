"""What people should know of each stream beside its row in STREAMS: the columns to look at first, and its habits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SPA, SPA_FIELDS = "spa_{entityTypeId}", "spa_fields_{entityTypeId}"  # the two families of streams


@dataclass(frozen=True, slots=True)
class About:
    """The columns to look at first, with a blank between them, and notes in plain English."""

    columns: str
    notes: str = ""

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns as names."""
        return tuple(self.columns.split())


_DESCRIBED = "id type title isRequired isReadOnly isMultiple statusType items listLabel formLabel"
_FIELDS = About(
    _DESCRIBED,
    "One row for each field; `items` holds the choices of a list. The labels are also the comments of the columns in "
    "the entity's own table.",
)
_OWN = "The other columns are those of the portal, custom fields (`UF_*`) included."
_LOG = "A log that only grows: later runs read from 1,000 ids below the last one."

ABOUT: Mapping[str, About] = {
    "activities": About(
        "ID OWNER_TYPE_ID OWNER_ID TYPE_ID PROVIDER_ID SUBJECT START_TIME END_TIME COMPLETED RESPONSIBLE_ID CREATED "
        "LAST_UPDATED",
        f"{_OWN} By `CREATED` edits of old activities are missed until the next full sync: "
        "`--replication-key activities=LAST_UPDATED` brings them, and is recommended.",
    ),
    "activity_fields": _FIELDS,
    "calls": About(
        "ID PORTAL_USER_ID PHONE_NUMBER CALL_TYPE CALL_START_DATE CALL_DURATION CALL_RECORD_URL CRM_ENTITY_TYPE "
        "CRM_ENTITY_ID COST COST_CURRENCY",
        "Calls change after they began (recording, cost, vote, comment) and have no time of change: each run reads the "
        "last two days again (`--calls-look-back`).",
    ),
    "companies": About("ID TITLE COMPANY_TYPE INDUSTRY REVENUE PHONE EMAIL ASSIGNED_BY_ID DATE_MODIFY", _OWN),
    "company_fields": _FIELDS,
    "contact_fields": _FIELDS,
    "contacts": About("ID NAME LAST_NAME COMPANY_ID PHONE EMAIL ASSIGNED_BY_ID DATE_MODIFY", _OWN),
    "deal_comments": About(
        "ID ENTITY_ID CREATED AUTHOR_ID COMMENT FILES",
        "Hidden until `--deal-comments`. Read again, deal by deal, for the deals that have moved since the last run. "
        "An edited comment may not move its deal: a full sync once a week brings it.",
    ),
    "deal_fields": _FIELDS,
    "deal_products": About(
        "ID OWNER_ID PRODUCT_ID PRODUCT_NAME PRICE QUANTITY DISCOUNT_SUM TAX_RATE",
        "Hidden until `--deal-products`. Read again, deal by deal, for the deals that have moved since the last run.",
    ),
    "deal_stage_history": About("ID OWNER_ID TYPE_ID CATEGORY_ID STAGE_ID STAGE_SEMANTIC_ID CREATED_TIME", _LOG),
    "deals": About(
        "ID TITLE CATEGORY_ID STAGE_ID OPPORTUNITY CURRENCY_ID COMPANY_ID CONTACT_ID ASSIGNED_BY_ID DATE_CREATE "
        "DATE_MODIFY CLOSED",
        f"{_OWN} `--deal-categories` limits them to some funnels, `--deal-contacts` adds `CONTACT_IDS`, all contacts "
        "of each deal.",
    ),
    "departments": About("ID NAME SORT PARENT UF_HEAD"),
    "lead_fields": _FIELDS,
    "lead_stage_history": About("ID OWNER_ID TYPE_ID STATUS_ID STATUS_SEMANTIC_ID CREATED_TIME", _LOG),
    "leads": About("ID TITLE STATUS_ID SOURCE_ID OPPORTUNITY COMPANY_ID CONTACT_ID ASSIGNED_BY_ID DATE_MODIFY", _OWN),
    "open_lines": About(
        "ID ACTIVE LINE_NAME CRM QUEUE QUEUE_TYPE WELCOME_MESSAGE WORKTIME_ENABLE KPI_FIRST_ANSWER_TIME DATE_CREATE "
        "DATE_MODIFY",
        "All settings of a channel. Portals were seen to send `DATE_CREATE` and `DATE_MODIFY` empty.",
    ),
    "product": About(
        "ID NAME ACTIVE PRICE CURRENCY_ID CATALOG_ID SECTION_ID DATE_CREATE TIMESTAMP_X",
        "The catalogue, with its properties (`PROPERTY_*`).",
    ),
    "product_fields": _FIELDS,
    SPA: About(
        "id title categoryId stageId opportunity companyId contactId assignedById createdTime updatedTime",
        "One stream for each smart process, as `spa_128`. Standard columns have the names of the universal methods, "
        "custom fields their own (`UF_CRM_…`). When a smart process is deleted, its table stays and its "
        "stream is skipped.",
    ),
    SPA_FIELDS: About(
        f"{_DESCRIBED} upperName",
        "One stream for each smart process, as `spa_fields_128`: one row for each of its fields.",
    ),
    "spa_types": About(
        "id entityTypeId title isCategoriesEnabled isStagesEnabled createdTime updatedTime",
        "`entityTypeId` is the number in the names of the other two streams, `id` is not. Whose owner is no CRM "
        "administrator sees the smart processes they may read, at one call each.",
    ),
    "status_list": About(
        "ID ENTITY_ID STATUS_ID NAME SORT SEMANTICS CATEGORY_ID",
        "`ENTITY_ID` is the directory (`DEAL_STAGE`, `SOURCE`, …) and `STATUS_ID` the code that records hold.",
    ),
    "users": About(
        "ID NAME LAST_NAME EMAIL ACTIVE LAST_LOGIN DATE_REGISTER WORK_POSITION UF_DEPARTMENT",
        "The dismissed ones as well (`ACTIVE` is false). Which columns come depends on the scope; custom fields "
        "(`UF_USR_*`) need `user.userfield` beside it.",
    ),
}
