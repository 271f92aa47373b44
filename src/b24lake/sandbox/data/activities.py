"""Activities, calls and products.

Source: api-reference/crm/timeline/activities/activity-base/crm-activity-fields.md,
api-reference/telephony/voximplant/voximplant-statistic-get.md,
api-reference/crm/outdated/products/crm-product-fields.md.
"""

from collections.abc import Callable

from b24lake.sandbox.data import words
from b24lake.sandbox.data.chance import one_of
from b24lake.sandbox.data.columns import Column, Row, read_columns
from b24lake.sandbox.data.dates import DAY
from b24lake.sandbox.data.table import Part, Table
from b24lake.sandbox.data.world import World

ACTIVITY = read_columns("""
ID integer R -|ID
OWNER_ID integer I -|Owner ID
OWNER_TYPE_ID crm_enum_ownertype I -|Owner Type
TYPE_ID crm_enum_activitytype !I -|Type
PROVIDER_ID string . -|Provider ID
PROVIDER_TYPE_ID string . -|Provider Type
PROVIDER_GROUP_ID string . -|Connector Type
ASSOCIATED_ENTITY_ID integer R -|Associated Entity ID
SUBJECT string ! -|Subject
START_TIME datetime . -|Start
END_TIME datetime . -|Deadline
DEADLINE datetime . -|Execution Deadline
COMPLETED char . -|Completed
STATUS crm_enum_activitystatus . -|Status
RESPONSIBLE_ID user ! -|Responsible
PRIORITY crm_enum_activitypriority . -|Priority
NOTIFY_TYPE crm_enum_activitynotifytype . -|Notification Type
NOTIFY_VALUE integer . -|Notification Parameter
DESCRIPTION string . -|Description
DESCRIPTION_TYPE crm_enum_contenttype . -|Description Type
DIRECTION crm_enum_activitydirection . -|Direction
LOCATION string . -|Location
CREATED datetime R -|Creation Date
AUTHOR_ID user R -|Created By
LAST_UPDATED datetime R -|Last Updated Date
EDITOR_ID user R -|Edited By
SETTINGS object . -|Settings
ORIGIN_ID string . -|External Code
ORIGINATOR_ID string . -|External Source
RESULT_STATUS integer . -|
RESULT_STREAM integer . -|
RESULT_SOURCE_ID string . -|
PROVIDER_PARAMS object . -|Provider Parameters
PROVIDER_DATA string . -|Provider Data
RESULT_MARK integer . -|
RESULT_VALUE double . -|
RESULT_SUM double . -|
RESULT_CURRENCY_ID string . -|
AUTOCOMPLETE_RULE integer . -|Autocomplete
BINDINGS crm_activity_binding RM- -|Bindings
COMMUNICATIONS crm_activity_communication !MN -|Communication Channel
FILES diskfile MN -|Files
WEBDAV_ELEMENTS diskfile MD- -|Added Files
IS_INCOMING_CHANNEL char R- -|
""")
_CALL_TEXT = """
ID PORTAL_USER_ID PORTAL_NUMBER PHONE_NUMBER CALL_ID EXTERNAL_CALL_ID CALL_CATEGORY CALL_LOG CALL_DURATION
CALL_START_DATE CALL_RECORD_URL CALL_VOTE COST COST_CURRENCY CALL_FAILED_CODE CALL_FAILED_REASON CRM_ENTITY_TYPE
CRM_ENTITY_ID CRM_ACTIVITY_ID REST_APP_ID REST_APP_NAME TRANSCRIPT_ID TRANSCRIPT_PENDING SESSION_ID REDIAL_ATTEMPT
COMMENT RECORD_DURATION RECORD_FILE_ID CALL_TYPE
"""
_CALL_TYPES = {"ID": "integer", "CALL_DURATION": "integer", "CALL_START_DATE": "datetime"}
CALL = tuple(Column(name=name, type=_CALL_TYPES.get(name, "string"), title=name) for name in _CALL_TEXT.split())
PRODUCT = read_columns("""
ID integer R -|ID
NAME string ! -|Name
CODE string . -|Symbolic code
ACTIVE char . -|Active
CATALOG_ID integer . -|Catalog
CURRENCY_ID string . -|Currency
DESCRIPTION string . -|Description
DESCRIPTION_TYPE string . -|Description type
DETAIL_PICTURE product_file . -|Detail picture
PREVIEW_PICTURE product_file . -|Preview picture
PRICE double . -|Price
SECTION_ID integer . -|Section
SORT integer . -|Sort
MEASURE integer . -|Unit
VAT_ID integer . -|Tax rate
VAT_INCLUDED char . -|Tax included
XML_ID string . -|External ID
CREATED_BY integer R -|Created by
MODIFIED_BY integer R -|Modified by
DATE_CREATE datetime R -|Created on
TIMESTAMP_X datetime R -|Modified on
PROPERTY_45 product_property . -|Артикул
PROPERTY_64 product_property M -|More photos
PROPERTY_98 product_property . -|Farbe
""")

# type id, provider, its type: call, meeting, e-mail, task and to-do
_KINDS = (("2", "VOXIMPLANT_CALL", "CALL"), ("1", "CRM_MEETING", "MEETING"), ("4", "CRM_EMAIL", "EMAIL"),
          ("6", "CRM_TODO", "TODO"), ("3", "TASKS", "TASK"))  # fmt: skip
_OWNERS = (("2", "deals"), ("2", "deals"), ("1", "leads"), ("3", "contacts"), ("4", "companies"))


def activities(world: World) -> Table:
    """The table of activities."""
    sent = tuple(column.name for column in ACTIVITY if not column.never_sent)
    return _table(world, "activities", ACTIVITY, Part(sent, _activity(world)), ("CREATED",), ("LAST_UPDATED",))


def calls(world: World) -> Table:
    """The call log; rows have no modification date."""
    return _table(world, "calls", CALL, Part(tuple(c.name for c in CALL), _call(world)), ("CALL_START_DATE",), ())


def products(world: World) -> Table:
    """The catalogue."""
    return _table(
        world,
        "products",
        PRODUCT,
        Part(tuple(c.name for c in PRODUCT), _product(world)),
        ("DATE_CREATE",),
        ("TIMESTAMP_X",),
    )


def _table(
    world: World, name: str, columns: tuple[Column, ...], part: Part, born: tuple[str, ...], stamps: tuple[str, ...]
) -> Table:
    raw = dict.fromkeys(born, world.created(name)) | dict.fromkeys(stamps, world.modified(name))
    return Table(name, columns, world.numbering[name].ids(), [part], stamps=stamps, born=born, raw=raw)


def _activity(world: World) -> Callable[[int], Row]:
    mix, show, users = world.hasher("activities"), world.show, world.users
    made, changed = world.created("activities"), world.modified("activities")

    def make(id_: int) -> Row:
        bits, created, modified = mix(id_), made(id_), changed(id_)
        kind, provider, provider_type = one_of(_KINDS, bits // 3)
        owner_type, owners = one_of(_OWNERS, bits // 5)
        owner, author, done = world.numbering[owners].pick(bits >> 7), one_of(users, bits // 11), bits % 3 > 0
        start = created + bits % (40 * DAY) - 20 * DAY  # so the default order by START_TIME is not the order of ids
        return {
            "ID": str(id_),
            "OWNER_ID": str(owner),
            "OWNER_TYPE_ID": owner_type,
            "TYPE_ID": kind,
            "PROVIDER_ID": provider,
            "PROVIDER_TYPE_ID": provider_type,
            "PROVIDER_GROUP_ID": None,
            "ASSOCIATED_ENTITY_ID": str(bits % 900) if kind == "3" else "0",
            "SUBJECT": f"{provider_type.capitalize()}: {one_of(words.LAST_NAMES, bits // 13)}",
            "START_TIME": show(start),
            "END_TIME": show(start + 3600),
            "DEADLINE": show(start + 3600) if bits % 5 else "",
            "COMPLETED": "Y" if done else "N",
            "STATUS": "2" if done else "1",
            "RESPONSIBLE_ID": one_of(users, bits // 17),
            "PRIORITY": ("2", "1", "3")[bits // 19 % 3],
            "NOTIFY_TYPE": ("1", "0")[bits & 1],
            "NOTIFY_VALUE": ("15", "0")[bits & 1],
            "DESCRIPTION": one_of(words.NOTES, bits // 23) if bits % 4 else "",
            "DESCRIPTION_TYPE": ("1", "2", "3")[bits // 29 % 3],
            "DIRECTION": ("2", "1", "0")[bits // 31 % 3],
            "LOCATION": one_of(words.STREETS, bits // 37) if kind == "1" else "",
            "CREATED": show(created),
            "AUTHOR_ID": author,
            "LAST_UPDATED": show(modified),
            "EDITOR_ID": author,
            "SETTINGS": {"EMAIL_META": {"from": "a@example.com", "to": "b@example.com"}} if kind == "4" else [],
            "ORIGINATOR_ID": None,
            "ORIGIN_ID": f"VI_{bits % 10**12:x}" if kind == "2" else None,
            "RESULT_STATUS": "0",
            "RESULT_STREAM": "0",
            "RESULT_SOURCE_ID": None,
            "PROVIDER_PARAMS": {"USER_PHONE": "+74950000000"} if kind == "2" and bits % 7 == 0 else [],
            "PROVIDER_DATA": None,
            "RESULT_MARK": "0",
            "RESULT_VALUE": None,
            "RESULT_SUM": None,
            "RESULT_CURRENCY_ID": None,
            "AUTOCOMPLETE_RULE": "0",
            "COMMUNICATIONS": _communications(id_, bits, owner, owner_type),
            "FILES": _files(id_, bits),
        }

    return make


def _communications(id_: int, bits: int, owner: int, owner_type: str) -> list[Row]:
    """Who was talked to; none for tasks and the like."""
    if bits % 4 == 0 or owner_type == "2":
        return []
    name = {"NAME": one_of(words.FIRST_NAMES, bits // 3), "LAST_NAME": one_of(words.LAST_NAMES, bits // 13)}
    return [{
        "ID": str(id_ * 2 + 1), "TYPE": "PHONE", "VALUE": f"+7495{bits % 10000000:07}", "ENTITY_ID": str(owner),
        "ENTITY_TYPE_ID": owner_type, "ENTITY_SETTINGS": {"HONORIFIC": "", "SECOND_NAME": None,
        "LEAD_TITLE": ""} | name,
    }]  # fmt: skip


def _files(id_: int, bits: int) -> list[Row]:
    if bits % 9:
        return []
    url = f"http://sandbox.example/bitrix/tools/crm_show_file.php?fileId={id_ * 3}&ownerTypeId=6&ownerId={id_}&auth="
    return [{"id": id_ * 3, "url": url}]


def _call(world: World) -> Callable[[int], Row]:
    mix, show, users, made = world.hasher("calls"), world.show, world.users, world.created("calls")
    persons, acts = world.numbering["contacts"], world.numbering["activities"]

    def make(id_: int) -> Row:
        bits, failed = mix(id_), mix(id_) % 5 == 0
        return {
            "ID": str(id_),
            "PORTAL_USER_ID": one_of(users, bits // 3),
            "PORTAL_NUMBER": ("reg133788", "+74951234567", "3")[bits % 3],
            "PHONE_NUMBER": f"+7916{bits % 10000000:07}",
            "CALL_ID": f"externalCall.{bits:016x}.{made(id_)}",
            "EXTERNAL_CALL_ID": None,
            "CALL_CATEGORY": "external",
            "CALL_LOG": None if bits % 2 else f"https://storage.example.com/logs/{bits:x}.log",
            "CALL_DURATION": "0" if failed else str(bits % 900),
            "CALL_START_DATE": show(made(id_)),
            "CALL_RECORD_URL": None
            if failed
            else ("", f"https://storage.example.com/records/{bits:x}.mp3")[bits // 7 % 2],
            "CALL_VOTE": (None, "0", "5")[bits // 5 % 3],
            "COST": "0.0000" if failed else f"{bits % 90000 / 10000:.4f}",
            "COST_CURRENCY": ("EUR", "RUB", "")[bits // 11 % 3],
            "CALL_FAILED_CODE": ("603-S", "304", "486")[bits // 13 % 3] if failed else "200",
            "CALL_FAILED_REASON": "Decline self" if failed else "",
            "CRM_ENTITY_TYPE": "CONTACT",
            "CRM_ENTITY_ID": str(persons.pick(bits >> 5)),
            "CRM_ACTIVITY_ID": str(acts.pick(bits >> 6)),
            "REST_APP_ID": "3" if bits // 31 % 5 == 0 else None,
            "REST_APP_NAME": "Дозвон & Co" if bits // 31 % 5 == 0 else None,
            "TRANSCRIPT_ID": str(id_) if bits // 37 % 6 == 0 else None,
            "TRANSCRIPT_PENDING": "N",
            "SESSION_ID": (None, str(bits % 10**10))[bits // 17 % 2],
            "REDIAL_ATTEMPT": None,
            "COMMENT": None if bits % 4 else one_of(words.NOTES, bits // 19),
            "RECORD_DURATION": None,
            "RECORD_FILE_ID": bits % 9000 if bits // 23 % 4 == 0 else None,
            "CALL_TYPE": ("1", "2", "3", "4")[bits // 29 % 4],
        }

    return make


def _product(world: World) -> Callable[[int], Row]:
    mix, show, users = world.hasher("products"), world.show, world.users
    made, changed = world.created("products"), world.modified("products")

    def make(id_: int) -> Row:
        bits = mix(id_)
        photos = [
            {"valueId": str(id_ * 9 + n), "value": {"id": str(id_ + n), "showUrl": f"/p/{id_ + n}"}}
            for n in range(bits % 3)
        ]
        return {
            "ID": str(id_),
            "NAME": f"{one_of(words.PRODUCTS, bits // 3)} {id_}",
            "CODE": f"tovar_{id_}" if bits % 2 else None,
            "ACTIVE": "N" if bits % 11 == 0 else "Y",
            "CATALOG_ID": "24",
            "CURRENCY_ID": ("RUB", "EUR")[bits // 5 % 2],
            "DESCRIPTION": one_of(words.NOTES, bits // 7) if bits % 3 else None,
            "DESCRIPTION_TYPE": ("text", "html")[bits // 11 % 2],
            "DETAIL_PICTURE": None,
            "PREVIEW_PICTURE": {"id": str(id_ * 5), "showUrl": f"/p/{id_ * 5}", "downloadUrl": f"/p/{id_ * 5}?d=1"}
            if bits % 6 == 0
            else None,
            "PRICE": None if bits % 13 == 0 else f"{bits % 999999 / 100:.2f}",
            "SECTION_ID": None if bits % 4 else "12",
            "SORT": "500",
            "MEASURE": ("9", None)[bits // 13 % 2],
            "VAT_ID": None,
            "VAT_INCLUDED": "N",
            "XML_ID": str(id_),
            "CREATED_BY": one_of(users, bits // 17),
            "MODIFIED_BY": one_of(users, bits // 19),
            "DATE_CREATE": show(made(id_)),
            "TIMESTAMP_X": show(changed(id_)),
            "PROPERTY_45": {"valueId": str(id_ * 9 + 5), "value": f"АРТ-{id_:05}"} if bits % 3 else None,
            "PROPERTY_64": photos or None,
            "PROPERTY_98": None,
        }

    return make
