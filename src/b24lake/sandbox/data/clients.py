"""Leads, contacts and companies.

Source: api-reference/crm/leads/crm-lead-fields.md, contacts/crm-contact-fields.md, companies/crm-company-fields.md.
"""

from collections.abc import Callable

from b24lake.sandbox.data import words
from b24lake.sandbox.data.chance import one_of
from b24lake.sandbox.data.columns import Column, Row, read_columns
from b24lake.sandbox.data.dates import DAY, midnight
from b24lake.sandbox.data.dictionaries import choices, lead_stages
from b24lake.sandbox.data.links import MULTIFIELDS, contacts_of, has_flags, multifields
from b24lake.sandbox.data.table import Part, Table
from b24lake.sandbox.data.world import World

ADDRESS = """
ADDRESS string . -|Address
ADDRESS_2 string . -|Address (Line 2)
ADDRESS_CITY string . -|City
ADDRESS_POSTAL_CODE string . -|Postal Code
ADDRESS_REGION string . -|Region
ADDRESS_PROVINCE string . -|Province
ADDRESS_COUNTRY string . -|Country
ADDRESS_COUNTRY_CODE string . -|Country Code
ADDRESS_LOC_ADDR_ID integer . -|Location Address ID
"""
TAIL = """
ORIGINATOR_ID string . =|External Source
ORIGIN_ID string . =|Identifier in External Source
UTM_SOURCE string . =|Advertising System
UTM_MEDIUM string . =|Traffic Type
UTM_CAMPAIGN string . =|Campaign Identifier
UTM_CONTENT string . =|Campaign Content
UTM_TERM string . =|Campaign Search Term
LAST_ACTIVITY_TIME datetime R =|
LAST_ACTIVITY_BY user R =|
"""
WHO = """
OPENED char . =|Available to All
HAS_PHONE char R =|Phone Set
HAS_EMAIL char R =|E-mail Set
HAS_IMOL char R =|Open Line Set
ASSIGNED_BY_ID user . =|Responsible Person
CREATED_BY_ID user R createdBy|Created By
MODIFY_BY_ID user R updatedBy|Modified By
DATE_CREATE datetime R createdTime|Creation Date
DATE_MODIFY datetime R updatedTime|Modification Date
COMMENTS string . =|Comments
"""
MULTI = """
PHONE crm_multifield MN -|Phone
EMAIL crm_multifield MN -|E-mail
WEB crm_multifield MN -|Website
IM crm_multifield MN -|Messenger
LINK crm_multifield MN -|LINK
"""


def _columns(*tables: str) -> tuple[Column, ...]:
    return read_columns("\n".join(table.strip() for table in tables))


LEAD = _columns(
    """
ID integer R =|ID
TITLE string . =|Lead Title
HONORIFIC crm_status . =|Salutation|HONORIFIC
NAME string . =|First Name
SECOND_NAME string . =|Middle Name
LAST_NAME string . =|Last Name
BIRTHDATE date . =|Birthdate
COMPANY_TITLE string . =|Company Name
SOURCE_ID crm_status . =|Source|SOURCE
SOURCE_DESCRIPTION string . =|Source Description
STATUS_ID crm_status . stageId|Stage|STATUS
STATUS_DESCRIPTION string . =|Stage Description
STATUS_SEMANTIC_ID string R stageSemanticId|Status Semantic
POST string . =|Position
CURRENCY_ID crm_currency . =|Currency
OPPORTUNITY double . =|Amount
IS_MANUAL_OPPORTUNITY char . =|
MOVED_BY_ID user R movedBy|
MOVED_TIME datetime R =|
COMPANY_ID crm_company . =|Company|4
CONTACT_ID crm_contact D =|Contact
CONTACT_IDS crm_contact M- =|
IS_RETURN_CUSTOMER char R =|Returning Lead
DATE_CLOSED datetime R =|Closing Date
""",
    ADDRESS,
    WHO,
    TAIL,
    MULTI,
)
CONTACT = _columns(
    """
ID integer R =|ID
HONORIFIC crm_status . =|Salutation|HONORIFIC
NAME string ! =|First Name
SECOND_NAME string ! =|Middle Name
LAST_NAME string ! =|Last Name
PHOTO file . =|Photo
BIRTHDATE date . =|Birthdate
TYPE_ID crm_status . =|Contact Type|CONTACT_TYPE
SOURCE_ID crm_status . =|Source|SOURCE
SOURCE_DESCRIPTION string . =|Additional Source Information
POST string . =|Position
EXPORT char . =|Participates in Contact Export
COMPANY_ID crm_company D =|Company
COMPANY_IDS crm_company M- =|
LEAD_ID crm_lead R =|Lead|1
ORIGIN_VERSION string . =|Original Version
""",
    ADDRESS,
    WHO,
    TAIL,
    MULTI,
)
COMPANY = _columns(
    """
ID integer R =|ID
TITLE string ! =|Company Name
COMPANY_TYPE crm_status . typeId|Company Type|COMPANY_TYPE
LOGO file . =|Logo
ADDRESS_LEGAL string . -|Legal Address
BANKING_DETAILS string . =|Banking Details
INDUSTRY crm_status . =|Industry|INDUSTRY
EMPLOYEES crm_status . =|Number of Employees|EMPLOYEES
CURRENCY_ID crm_currency . =|Currency
REVENUE double . =|Annual Revenue
IS_MY_COMPANY char . =|My Company
CONTACT_ID crm_contact M- -|Contact
LEAD_ID crm_lead R =|Lead|1
ORIGIN_VERSION string . =|Original Version
LAST_COMMUNICATION_TIME string R -|Last Communication Date
PARENT_ID_156 crm_entity . parentId156|Purchase|156
""",
    ADDRESS,
    ADDRESS.replace("ADDRESS", "REG_ADDRESS").replace("Address", "Legal Address"),
    WHO,
    TAIL,
    MULTI,
)

USER_ENTITIES = {"leads": "CRM_LEAD", "contacts": "CRM_CONTACT", "companies": "CRM_COMPANY"}

Specific = Callable[[int, int, int], Row]  # id, its bits, created -> the columns only this table has

_UTM: dict[str, tuple[object, ...]] = {
    "ADDRESS": (None, None, *words.STREETS),
    "ADDRESS_2": (None, None, None, "кв. 7"),
    "ADDRESS_CITY": (None, None, *words.CITIES),
    "ADDRESS_POSTAL_CODE": (None, None, "101000", "01310-200"),
    "ADDRESS_REGION": (None,),
    "ADDRESS_PROVINCE": (None, None, "Московская область"),
    "ADDRESS_COUNTRY": (None, *words.COUNTRIES),
    "ADDRESS_COUNTRY_CODE": (None,),
    "ADDRESS_LOC_ADDR_ID": (None, "1", "22", "333"),
    "COMMENTS": (None, "", "", *words.NOTES),
    "OPENED": ("Y", "N"),
    "UTM_SOURCE": (None, None, *words.UTM_SOURCES),
    "UTM_MEDIUM": (None, None, *words.UTM_MEDIUMS),
    "UTM_CAMPAIGN": (None, None, *words.UTM_CAMPAIGNS),
    "UTM_CONTENT": (None, None, "header_banner"),
    "UTM_TERM": (None, None, *words.UTM_TERMS),
}
_PERSON: dict[str, tuple[object, ...]] = {
    "HONORIFIC": (None, None, *choices("HONORIFIC")),
    "SECOND_NAME": (None, "", "Петрович", "Maria", "J."),
    "POST": (None, "", *words.POSTS),
    "SOURCE_ID": (None, *choices("SOURCE")),
    "SOURCE_DESCRIPTION": (None, "", "*from the fair*", "Визитка"),
}
LEAD_POOL = _UTM | _PERSON | {
    "STATUS_DESCRIPTION": (None, None, "Дубль", "Wrong number"),
    "CURRENCY_ID": ("RUB", "EUR", "USD", "BRL"),
    "IS_MANUAL_OPPORTUNITY": ("Y", "N"),
    "IS_RETURN_CUSTOMER": ("N", "N", "Y"),
}  # fmt: skip
CONTACT_POOL = _UTM | _PERSON | {
    "TYPE_ID": (None, *choices("CONTACT_TYPE")),
    "PHOTO": (None, None, {"id": 912, "showUrl": "/crm/photo/912", "downloadUrl": "/crm/photo/912?download=1"}),
    "EXPORT": ("Y", "Y", "N"),
    "ORIGIN_VERSION": (None,),
    "FACE_ID": (None,),  # comes in rows, though crm.contact.fields does not know it
}  # fmt: skip
COMPANY_POOL = _UTM | {f"REG_{name}": _UTM[name] for name in _UTM if name.startswith("ADDRESS")} | {
    "COMPANY_TYPE": choices("COMPANY_TYPE"),
    "LOGO": (None, None, {"id": 87, "showUrl": "/crm/logo/87", "downloadUrl": "/crm/logo/87?download=1"}),
    "ADDRESS_LEGAL": (None, *words.STREETS),
    "BANKING_DETAILS": (None, "", "7736050003", "IBAN DE02 1203 0000 0000 2020 51"),
    "INDUSTRY": choices("INDUSTRY"),
    "EMPLOYEES": choices("EMPLOYEES"),
    "CURRENCY_ID": ("RUB", "EUR", "USD"),
    "REVENUE": ("0", "0.00", "1500000.00", None),
    "IS_MY_COMPANY": ("N",),
    "ORIGIN_VERSION": (None,),
    "LAST_COMMUNICATION_TIME": (None, None, "26.01.2025 10:03:39"),
}  # fmt: skip


def leads(world: World) -> Table:
    """The table of leads; their custom booleans are JSON true and false."""
    return _table(world, "leads", 1, LEAD, LEAD_POOL, _lead(world), (False, True))


def contacts(world: World) -> Table:
    """The table of contacts; custom booleans 0 and 1."""
    return _table(world, "contacts", 3, CONTACT, CONTACT_POOL, _contact(world), (0, 1))


def companies(world: World) -> Table:
    """The table of companies; custom booleans "0" and "1"."""
    return _table(world, "companies", 4, COMPANY, COMPANY_POOL, _company(world), ("0", "1"))


def _table(
    world: World, name: str, kind: int, columns: tuple[Column, ...], pool_of: dict[str, tuple[object, ...]],
    specific: Specific, booleans: tuple[object, object],
) -> Table:  # fmt: skip
    """A table of clients: what hangs on the row, a pool, multi-fields, a dozen custom fields or more."""
    custom = world.custom(name, 24, booleans)
    pool = world.pool(name, pool_of)
    fields = multifields(world, name, kind)
    sent = [column.name for column in columns if not column.never_sent and column.name not in MULTIFIELDS]
    computed = Part(tuple(each for each in sent if each not in pool_of), _common(world, name, specific, fields))
    return Table(
        name,
        [*columns, *custom.columns],
        world.numbering[name].ids(),
        [computed, pool, *custom.parts, Part(MULTIFIELDS, fields)],
        stamps=("DATE_MODIFY",),
        born=("DATE_CREATE",),
        entity_type=kind,
        raw={"DATE_MODIFY": world.modified(name), "DATE_CREATE": world.created(name)},
        user_entity=USER_ENTITIES[name],
    )


def _common(world: World, name: str, specific: Specific, fields: Callable[[int], Row]) -> Callable[[int], Row]:
    mix, show, users = world.hasher(name), world.show, world.users
    made, changed = world.created(name), world.modified(name)

    def make(id_: int) -> Row:
        bits, created, modified = mix(id_), made(id_), changed(id_)
        return {
            "ID": str(id_),
            **specific(id_, bits, created),
            **has_flags(fields(id_)),
            "ASSIGNED_BY_ID": one_of(users, bits // 7),
            "CREATED_BY_ID": one_of(users, bits // 11),
            "MODIFY_BY_ID": one_of(users, bits // 13),
            "DATE_CREATE": show(created),
            "DATE_MODIFY": show(modified),
            "ORIGINATOR_ID": "1C" if bits % 17 == 0 else None,
            "ORIGIN_ID": f"{id_:08}" if bits % 17 == 0 else None,
            "LAST_ACTIVITY_TIME": show(modified - bits % 600),
            "LAST_ACTIVITY_BY": one_of(users, bits // 11),
        }

    return make


def _lead(world: World) -> Specific:
    stages, linked = lead_stages(), contacts_of(world, "leads")
    companies_, show, users, changed = world.numbering["companies"], world.show, world.users, world.modified("leads")

    def make(id_: int, bits: int, created: int) -> Row:
        stage, persons, closed = one_of(stages, bits // 3), linked(id_), changed(id_)
        return {
            "TITLE": f"{one_of(words.TITLES, bits // 5)} {id_}",
            "NAME": one_of(words.FIRST_NAMES, bits // 17),
            "LAST_NAME": one_of(words.LAST_NAMES, bits // 19),
            "BIRTHDATE": show(midnight(created - (9000 + bits % 9000) * DAY)) if bits % 6 == 0 else "",
            "COMPANY_TITLE": one_of(words.COMPANY_NAMES, bits // 23) if bits % 3 == 0 else (None, "")[bits & 1],
            "STATUS_ID": stage.code,
            "STATUS_SEMANTIC_ID": stage.semantics,
            "OPPORTUNITY": f"{bits % 200000}.00",
            "MOVED_BY_ID": one_of(users, bits // 29),
            "MOVED_TIME": show((created + closed) // 2),
            "COMPANY_ID": str(companies_.pick(bits >> 9))
            if companies_.count and bits % 4 == 0
            else ("0", None)[bits & 1],
            "CONTACT_ID": str(persons[0]) if persons else None,
            "DATE_CLOSED": show(closed) if stage.semantics != "P" else "",
        }

    return make


def _contact(world: World) -> Specific:
    companies_, leads_, show = world.numbering["companies"], world.numbering["leads"], world.show

    def make(_: int, bits: int, created: int) -> Row:
        return {
            "NAME": one_of(words.FIRST_NAMES, bits // 3),
            "LAST_NAME": one_of(words.LAST_NAMES, bits // 5),
            "BIRTHDATE": show(midnight(created - (9000 + bits % 9000) * DAY)) if bits % 3 == 0 else "",
            "COMPANY_ID": str(companies_.pick(bits >> 9))
            if companies_.count and bits % 5 < 2
            else ("0", None)[bits & 1],
            "LEAD_ID": str(leads_.pick(bits >> 5)) if leads_.count and bits % 7 == 0 else None,
        }

    return make


def _company(world: World) -> Specific:
    leads_, parents = world.numbering["leads"], world.numbering["spa_156"]

    def make(id_: int, bits: int, _: int) -> Row:
        return {
            "TITLE": f"{one_of(words.COMPANY_NAMES, bits // 3)} {id_}",
            "LEAD_ID": str(leads_.pick(bits >> 5)) if leads_.count and bits % 7 == 0 else None,
            "PARENT_ID_156": str(parents.pick(bits >> 3)) if parents.count and bits % 9 == 0 else None,
        }

    return make
