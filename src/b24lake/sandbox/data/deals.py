"""Deals. Source: api-reference/crm/deals/crm-deal-fields.md, crm-deal-get.md."""

from collections.abc import Callable

from b24lake.sandbox.data import words
from b24lake.sandbox.data.chance import one_of
from b24lake.sandbox.data.columns import Row, read_columns
from b24lake.sandbox.data.dates import DAY
from b24lake.sandbox.data.dictionaries import choices, deal_stages
from b24lake.sandbox.data.links import contacts_of
from b24lake.sandbox.data.table import Part, Table
from b24lake.sandbox.data.world import World

COLUMNS = read_columns("""
ID integer R =|ID
TITLE string . =|Title
TYPE_ID crm_status . =|Type|DEAL_TYPE
CATEGORY_ID crm_category I =|Sales Funnel
STAGE_ID crm_status . =|Deal Stage|DEAL_STAGE
STAGE_SEMANTIC_ID string R =|Stage Group
IS_NEW char R =|New Deal
IS_RECURRING char . =|Recurring Deal
IS_RETURN_CUSTOMER char . =|Repeat Deal
IS_REPEATED_APPROACH char . =|Repeated Approach
PROBABILITY integer . =|Probability
CURRENCY_ID crm_currency . =|Currency
OPPORTUNITY double . =|Amount
IS_MANUAL_OPPORTUNITY char . =|
TAX_VALUE double . =|Tax Rate
COMPANY_ID crm_company . =|Company|4
CONTACT_ID crm_contact D =|Contact
CONTACT_IDS crm_contact M- =|Contacts
QUOTE_ID crm_quote R =|Estimate|7
BEGINDATE date . =|Start Date
CLOSEDATE date . =|Close Date
OPENED char . =|Available to All
CLOSED char . =|Closed
COMMENTS string . =|Comment
ASSIGNED_BY_ID user . =|Responsible
CREATED_BY_ID user R createdBy|Created By
MODIFY_BY_ID user R updatedBy|Modified By
MOVED_BY_ID user R movedBy|
DATE_CREATE datetime R createdTime|Creation Date
DATE_MODIFY datetime R updatedTime|Modification Date
MOVED_TIME datetime R =|
SOURCE_ID crm_status . =|Source|SOURCE
SOURCE_DESCRIPTION string . =|Additional Info about Source
LEAD_ID crm_lead R =|Lead|1
ADDITIONAL_INFO string . =|Additional Information
LOCATION_ID location . =|Location
ORIGINATOR_ID string . =|External Source
ORIGIN_ID string . =|Identifier in External Source
UTM_SOURCE string . =|Advertising System
UTM_MEDIUM string . =|Traffic Type
UTM_CAMPAIGN string . =|Campaign Identifier
UTM_CONTENT string . =|Campaign Content
UTM_TERM string . =|Campaign Search Condition
LAST_ACTIVITY_TIME datetime R =|
LAST_ACTIVITY_BY user R =|
PARENT_ID_128 crm_entity . parentId128|Договоры|128
""")

FUNNEL_SHARES = (0, 0, 0, 0, 1, 1, 3, 3, 5, 8)
STAGES = {category: deal_stages(category) for category in set(FUNNEL_SHARES)}


def deals(world: World) -> Table:
    """The table of deals."""
    names = [column.name for column in COLUMNS if not column.never_sent]
    custom = world.custom("deals", world.settings.deal_fields - len(names), ("0", "1"))
    pool = world.pool("deals", _POOL)
    computed = tuple(name for name in names if name not in pool.names)
    return Table(
        "deals",
        [*COLUMNS, *custom.columns],
        world.numbering["deals"].ids(),
        [Part(computed, _maker(world)), pool, *custom.parts],
        stamps=("DATE_MODIFY",),
        born=("DATE_CREATE",),
        entity_type=2,
        raw={
            "DATE_MODIFY": world.modified("deals"),
            "DATE_CREATE": world.created("deals"),
            "CATEGORY_ID": _category(world),
        },
        user_entity="CRM_DEAL",
    )


_POOL: dict[str, tuple[object, ...]] = {
    "TYPE_ID": choices("DEAL_TYPE"),
    "IS_RECURRING": ("N",),
    "IS_RETURN_CUSTOMER": ("N", "N", "Y"),
    "IS_REPEATED_APPROACH": ("N", "N", "N", "Y"),
    "PROBABILITY": (None, None, "0", "10", "50", "99"),
    "CURRENCY_ID": ("RUB", "RUB", "EUR", "USD", "BRL"),
    "TAX_VALUE": ("0.00", "0.00", None, "190.00"),
    "QUOTE_ID": (None, "0"),
    "OPENED": ("Y", "Y", "N"),
    "COMMENTS": (None, "", "", *words.NOTES),
    "SOURCE_ID": (None, *choices("SOURCE")),
    "SOURCE_DESCRIPTION": (None, None, "", "Выставка «Мебель-2025»", 'site "b24"'),
    "ADDITIONAL_INFO": (None, None, "Additional information"),
    "LOCATION_ID": (None, None, "0", "17"),
    "UTM_SOURCE": (None, None, *words.UTM_SOURCES),
    "UTM_MEDIUM": (None, None, *words.UTM_MEDIUMS),
    "UTM_CAMPAIGN": (None, None, *words.UTM_CAMPAIGNS),
    "UTM_CONTENT": (None, None, "header_banner"),
    "UTM_TERM": (None, None, *words.UTM_TERMS),
}


def _category(world: World) -> Callable[[int], int]:
    """A function id -> funnel, without the rest of the row."""
    mix = world.hasher("deals")
    return lambda id_: FUNNEL_SHARES[(mix(id_) & 0xFFFFFFFF) % 10]


def _maker(world: World) -> Callable[[int], Row]:
    """The columns that hang on the row: names, links, stages and dates that fit together."""
    mix, show, show_day, users = world.hasher("deals"), world.show, world.show_day, world.users
    made, changed, linked = world.created("deals"), world.modified("deals"), contacts_of(world, "deals")
    companies, leads, parents = (world.numbering[name] for name in ("companies", "leads", "spa_128"))
    titles = words.TITLES

    def make(id_: int) -> Row:
        bits = mix(id_)
        low, high = bits & 0xFFFFFFFF, bits >> 32
        created, modified = made(id_), changed(id_)
        category = FUNNEL_SHARES[low % 10]
        stage = STAGES[category][low // 10 % 8]
        closed = stage.semantics != "P"
        moved = created + (modified - created) * (low // 80 % 100) // 100
        contacts = linked(id_)
        creator, amount = users[high % len(users)], low % 5000000
        return {
            "ID": str(id_),
            "TITLE": f"{titles[high % len(titles)]} {id_}",
            "CATEGORY_ID": str(category),
            "STAGE_ID": stage.code,
            "STAGE_SEMANTIC_ID": stage.semantics,
            "IS_NEW": "Y" if stage.code.endswith("NEW") else "N",
            "OPPORTUNITY": f"{amount // 100}.{amount % 100:02}",
            "IS_MANUAL_OPPORTUNITY": "Y" if high & 3 else "N",
            "COMPANY_ID": (str(companies.pick(high)) if companies.count else "0")
            if high % 5 < 2
            else ("0", None)[high & 1],
            "CONTACT_ID": str(contacts[0]) if contacts else ("0", None)[high & 1],
            "BEGINDATE": show_day(created),
            "CLOSEDATE": show_day(created + (7 + high % 60) * DAY) if high % 11 else "",
            "CLOSED": "Y" if closed else "N",
            "ASSIGNED_BY_ID": one_of(users, low // 7),
            "CREATED_BY_ID": creator,
            "MODIFY_BY_ID": one_of(users, high // 13),
            "MOVED_BY_ID": creator,
            "DATE_CREATE": show(created),
            "DATE_MODIFY": show(modified),
            "MOVED_TIME": show(moved),
            "LEAD_ID": str(leads.pick(low)) if leads.count and high % 9 == 0 else None,
            "ORIGINATOR_ID": "1C" if high % 17 == 0 else None,
            "ORIGIN_ID": f"{id_:08}" if high % 17 == 0 else None,
            "LAST_ACTIVITY_TIME": show(modified - high % 600),
            "LAST_ACTIVITY_BY": creator,
            "PARENT_ID_128": str(parents.pick(low)) if parents.count and high % 23 == 0 else None,
        }

    return make
