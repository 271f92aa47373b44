"""Smart processes and their types.

Source: api-reference/crm/universal/crm-item-fields.md, user-defined-object-types/crm-type-list.md.
"""

from collections.abc import Callable
from typing import Any

from b24lake.sandbox.data import words
from b24lake.sandbox.data.chance import one_of
from b24lake.sandbox.data.columns import Row, read_columns
from b24lake.sandbox.data.dates import DAY, midnight
from b24lake.sandbox.data.dictionaries import SMART, choices, smart_stages
from b24lake.sandbox.data.links import contacts_of
from b24lake.sandbox.data.table import Part, Table
from b24lake.sandbox.data.world import World

FREE_TYPE = 1034  # entityTypeId of the first smart process that is added to those that are there from the start

COLUMNS = """
ID integer R =|ID
TITLE string . =|Name
XML_ID string . =|External code
CREATED_TIME datetime R =|Created at
UPDATED_TIME datetime R =|Updated at
MOVED_TIME datetime R =|Moved at
CREATED_BY user R =|Created by
UPDATED_BY user R =|Updated by
MOVED_BY user R =|Moved by
ASSIGNED_BY_ID user . =|Assigned to
OPENED boolean ! =|Publicly available
WEBFORM_ID integer . =|Created by CRM form
BEGINDATE date . =|Start date
CLOSEDATE date . =|End date
COMPANY_ID crm_company . =|Company|4
CONTACT_ID crm_contact D =|Contact
CATEGORY_ID crm_category . =|Pipeline
STAGE_ID crm_status . =|Stage|DYNAMIC_{type}_STAGE_{category}
PREVIOUS_STAGE_ID crm_status R =|Previous stage|DYNAMIC_{type}_STAGE_{category}
SOURCE_ID crm_status . =|Source|SOURCE
SOURCE_DESCRIPTION text . =|Additional source info
CURRENCY_ID crm_currency . =|Currency
IS_MANUAL_OPPORTUNITY boolean . =|Amount calculation mode
OPPORTUNITY double . =|Amount
TAX_VALUE double . =|Tax amount
OPPORTUNITY_ACCOUNT double R =|Amount in the report currency
TAX_VALUE_ACCOUNT double R =|Tax in the report currency
ACCOUNT_CURRENCY_ID crm_currency R =|Report currency
MYCOMPANY_ID crm_company . =|Your company details|4
LAST_ACTIVITY_BY user R =|Last activity by
LAST_ACTIVITY_TIME datetime R =|Last activity
PARENT_ID_2 crm_entity . parentId2|Deal|2
UTM_SOURCE string . =|Advertising System
UTM_MEDIUM string . =|Traffic Type
UTM_CAMPAIGN string . =|Campaign Identifier
UTM_CONTENT string . =|Campaign Content
UTM_TERM string . =|Campaign Search Term
"""
_FLAGS_TEXT = """
isCategoriesEnabled isStagesEnabled isBeginCloseDatesEnabled isClientEnabled isUseInUserfieldEnabled
isLinkWithProductsEnabled isMycompanyEnabled isDocumentsEnabled isSourceEnabled isObserversEnabled
isRecyclebinEnabled isAutomationEnabled isBizProcEnabled isSetOpenPermissions isPaymentsEnabled isCountersEnabled
"""
FLAGS = _FLAGS_TEXT.split()
SWITCHED_OFF = {"isPaymentsEnabled", "isCountersEnabled"}


def smart_tables(world: World) -> dict[str, Table]:
    """One table for each smart process; the last one is empty by default."""
    return {name: _table(world, *each) for each in SMART for name in [each[3]]}


def type_rows(world: World) -> list[dict[str, Any]]:
    """The rows of crm.type.list."""
    return [type_row(world, id_, entity_type, title) for id_, entity_type, title, _, _ in SMART]


def type_row(world: World, id_: int, entity_type: int, title: str) -> dict[str, Any]:
    """One row of crm.type.list."""
    made = world.show(world.begin)
    return (
        {"id": id_, "title": title, "code": "", "createdBy": 1, "entityTypeId": entity_type, "customSectionId": None}
        | {flag: "N" if flag in SWITCHED_OFF else "Y" for flag in FLAGS}
        | {"createdTime": made, "updatedTime": made, "updatedBy": 1}
    )


def empty_table(world: World, id_: int, entity_type: int) -> Table:
    """The table of a smart process that has just been made."""
    return _table(world, id_, entity_type, "", f"spa_{entity_type}", category=id_ + 3)


def _table(world: World, id_: int, entity_type: int, _title: str, name: str, category: int) -> Table:
    columns = read_columns(COLUMNS.format(type=entity_type, category=category))
    custom = world.custom(name, 26, ("0", "1"), f"{id_}_")
    computed = Part(tuple(column.name for column in columns), _maker(world, name, entity_type, category))
    return Table(
        name,
        [*columns, *custom.columns],
        world.numbering[name].ids(),
        [computed, *custom.parts],
        stamps=("UPDATED_TIME",),
        born=("CREATED_TIME",),
        entity_type=entity_type,
        raw={"UPDATED_TIME": world.modified(name), "CREATED_TIME": world.created(name)},
        user_entity=f"CRM_{id_}",
    )


def _maker(world: World, name: str, entity_type: int, category: int) -> Callable[[int], Row]:
    mix, show, users = world.hasher(name), world.show, world.users
    made, changed, linked = world.created(name), world.modified(name), contacts_of(world, name)
    stages, companies, deals = (
        smart_stages(entity_type, category),
        world.numbering["companies"],
        world.numbering["deals"],
    )

    sources = choices("SOURCE")

    def make(id_: int) -> Row:
        bits, created, modified, contacts = mix(id_), made(id_), changed(id_), linked(id_)
        amount = f"{bits % 900000 / 100:.2f}"
        return {
            "ID": str(id_),
            "TITLE": f"{one_of(words.TITLES, bits // 3)} {id_}",
            "XML_ID": "" if bits % 2 else None,
            "CREATED_TIME": show(created),
            "UPDATED_TIME": show(modified),
            "MOVED_TIME": show((created + modified) // 2),
            "CREATED_BY": one_of(users, bits // 5),
            "UPDATED_BY": one_of(users, bits // 7),
            "MOVED_BY": one_of(users, bits // 7),
            "ASSIGNED_BY_ID": one_of(users, bits // 11),
            "OPENED": ("Y", "N")[bits & 1],
            "WEBFORM_ID": "0",
            "BEGINDATE": show(midnight(created)),
            "CLOSEDATE": show(midnight(created + 7 * DAY)) if bits % 5 else None,
            "COMPANY_ID": str(companies.pick(bits >> 3)) if companies.count and bits % 3 else "0",
            "CONTACT_ID": str(contacts[0]) if contacts else "0",
            "CATEGORY_ID": str(category),
            "STAGE_ID": one_of(stages, bits // 13).code,
            "PREVIOUS_STAGE_ID": one_of(stages, bits // 17).code if bits % 2 else "",
            "SOURCE_ID": one_of(sources, bits // 19) if bits % 3 else None,
            "SOURCE_DESCRIPTION": one_of(words.NOTES, bits // 23) if bits % 4 == 0 else None,
            "CURRENCY_ID": ("RUB", "EUR")[bits // 29 % 2],
            "IS_MANUAL_OPPORTUNITY": ("N", "Y")[bits & 1],
            "OPPORTUNITY": amount,
            "TAX_VALUE": "0",
            "OPPORTUNITY_ACCOUNT": amount,
            "TAX_VALUE_ACCOUNT": "0",
            "ACCOUNT_CURRENCY_ID": "RUB",
            "MYCOMPANY_ID": None,
            "LAST_ACTIVITY_BY": one_of(users, bits // 5),
            "LAST_ACTIVITY_TIME": show(modified),
            "PARENT_ID_2": str(deals.pick(bits >> 4)) if deals.count and bits % 4 == 0 else None,
            **dict.fromkeys(("UTM_SOURCE", "UTM_MEDIUM", "UTM_CAMPAIGN", "UTM_CONTENT", "UTM_TERM")),
        }

    return make
