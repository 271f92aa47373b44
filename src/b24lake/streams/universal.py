"""The universal way to read leads, deals, contacts and companies: crm.item.list, into the columns of the classic lists.

The vendor has stopped developing crm.deal.list and its like; this is their successor. It calls fields otherwise, sends
phones and e-mails in one list, and tells the classic name of a field as `upperName`: no name is computed from a key.

Source: api-reference/crm/universal/crm-item-list.md, crm-item-fields.md, object-fields.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from b24lake.portal.replies import mapping
from b24lake.streams.definitions import MULTIFIELDS, STREAMS, Stream, smart_fields, smart_items
from b24lake.streams.translation import Translation

# upperName of a field, or its key where crm.item.fields does not describe it -> what the classic lists call it
_NAMES: Mapping[str, str] = {
    "id": "ID",
    "CREATED_BY": "CREATED_BY_ID",
    "UPDATED_BY": "MODIFY_BY_ID",
    "MOVED_BY": "MOVED_BY_ID",
    "CREATED_TIME": "DATE_CREATE",
    "UPDATED_TIME": "DATE_MODIFY",
}
_OWN_NAMES: Mapping[str, Mapping[str, str]] = {
    "lead": {"STAGE_ID": "STATUS_ID", "STAGE_SEMANTIC_ID": "STATUS_SEMANTIC_ID"},
    "deal": {"contactIds": "CONTACT_IDS", "orderStage": "ORDER_STAGE"},
    "contact": {},
    "company": {
        "TYPE_ID": "COMPANY_TYPE",
        "ufLogo": "UF_LOGO",
        "ufStamp": "UF_STAMP",
        "ufDirectorSign": "UF_DIRECTOR_SIGN",
        "ufAccountantSign": "UF_ACCOUNTANT_SIGN",
    },
}
_LEFT_OUT = frozenset(
    word
    for line in (
        "entityTypeId searchContent contacts companies",  # the same in all rows; the portal's own; never sent
        "phone phoneMobile phoneWork phoneMailing email emailHome emailWork emailMailing imol",  # they are in `fm`
        "dateCreateShort dateModifyShort begindateShort closedateShort",  # copies
        "isWork isWon isLose receivedAmount lostAmount hasProducts",  # as the stage, the amount, the product rows say
        # what the vendor calls legacy, mostly empty: addresses are kept elsewhere
        "address addressLegal eventDate eventDateShort eventId eventDescription icq isConvert login productId",
        "shortName skype",
    )
    for word in line.split()
)
_DECLARED: Mapping[str, Mapping[str, str]] = {
    "deal": {"contactIds": "crm_contact[]", "orderStage": "string"},
    **dict.fromkeys(("lead", "contact", "company"), dict.fromkeys(MULTIFIELDS, "crm_multifield")),
}


def described(fields: Mapping[str, Any], classic: Mapping[str, Any], translation: Translation) -> dict[str, Any]:
    """What crm.item.fields tells, in the classic method's words where that knows a field as well.

    So a column has the same type and label whichever way it is read. The two methods do not declare all fields alike:
    what is `char` for the one is `boolean` for the other.

    fields    descriptors of crm.item.fields, by key; classic: those of crm.deal.fields and its like, by name; {} where
              the portal no longer has that
    """
    told = {}
    for key, descriptor in fields.items():
        upper = str(mapping(descriptor).get("upperName") or "")
        known = mapping(classic.get(translation.column(key, upper)))
        told[key] = {**known, "upperName": upper} if known else descriptor
    return told | {name: classic[name] for name in MULTIFIELDS if translation.apart and name in classic}


def has_names(fields: Mapping[str, Any]) -> bool:
    """Whether the descriptors tell the classic names of their fields."""
    return any(mapping(descriptor).get("upperName") for descriptor in fields.values())


def _streams(entity: str, records: str, entity_type: int) -> tuple[Stream, Stream]:
    """The records of one type and their field definitions, each in the place of its classic stream."""
    translation = Translation(
        names={**_NAMES, **_OWN_NAMES[entity]}, left_out=_LEFT_OUT, apart="" if entity == "deal" else "fm"
    )
    classic, fields = STREAMS[records], STREAMS[f"{entity}_fields"]
    return (
        replace(
            smart_items(entity_type, classic.title),
            name=records,
            group=classic.group,
            declared=_DECLARED[entity],
            unasked=(),
            translation=translation,
        ),
        replace(
            smart_fields(entity_type, ""),
            name=fields.name,
            title=fields.title,
            group=fields.group,
            translation=translation,
        ),
    )


_ENTITIES = (("lead", "leads", 1), ("deal", "deals", 2), ("contact", "contacts", 3), ("company", "companies", 4))

UNIVERSAL: Mapping[str, Stream] = {stream.name: stream for entity in _ENTITIES for stream in _streams(*entity)}
"""Stream -> the same one as the universal methods give it."""
