"""How crm.item.* shows the same records: camelCase, typed numbers, null for empty.

Source: api-reference/crm/universal/crm-item-list.md, crm-item-get.md, object-fields.md.
"""

from collections.abc import Callable
from typing import Any

from b24lake.sandbox.data.columns import Column, Row, read_columns
from b24lake.sandbox.data.table import Table
from b24lake.sandbox.lists.render import View
from b24lake.sandbox.params import to_int

INTEGERS = {
    "integer", "user", "employee", "enumeration", "location", "crm_category", "crm_lead", "crm_deal", "crm_contact",
    "crm_company", "crm_quote", "crm_entity", "iblock_element", "iblock_section",
}  # fmt: skip

# What the family describes beside the columns of the classic lists.
_ANY = """
WEBFORM_ID crm_webform . webformId|Created by CRM form
OBSERVERS user M observers|Observers
LAST_COMMUNICATION_TIME string R lastCommunicationTime|Last communication
LAST_COMMUNICATION_CALL_TIME datetime R lastCommunicationCallTime|Last call
LAST_COMMUNICATION_EMAIL_TIME datetime R lastCommunicationEmailTime|Last e-mail
LAST_COMMUNICATION_IMOL_TIME datetime R lastCommunicationImolTime|Last message in an open channel
LAST_COMMUNICATION_WEBFORM_TIME datetime R lastCommunicationWebformTime|Last CRM form
"""
_CONTACTS = """
CONTACT_IDS crm_contact M contactIds|CONTACT_IDS
CONTACTS crm_contact M- contacts|CONTACTS
"""
_COMPANIES = """
COMPANY_IDS crm_company M companyIds|COMPANY_IDS
COMPANIES crm_company M- companies|COMPANIES
"""
_MULTI = "FM crm_multifield M fm|Multi-fields\n"
_FUNNEL = "CATEGORY_ID crm_category . categoryId|Category\n"
_DEAL = """
PREVIOUS_STAGE_ID crm_status R previousStageId|Previous stage|DEAL_STAGE
MYCOMPANY_ID crm_company . mycompanyId|Your company details|4
"""
EXTRAS = {
    1: read_columns(_ANY + _CONTACTS.strip() + "\n" + _MULTI),
    2: read_columns(_ANY + _DEAL.strip() + _CONTACTS),
    3: read_columns(_ANY + _FUNNEL + _COMPANIES.strip() + "\n" + _MULTI),
    4: read_columns(_ANY + _FUNNEL + _CONTACTS.strip() + "\n" + _MULTI),
}
_SMART_EXTRAS = read_columns("OBSERVERS user M observers|Observers" + _CONTACTS)
# Keys of rows that crm.item.fields does not describe: the vendor calls most of them legacy, and they are empty.
LEGACY = {
    1: "dateCreateShort dateModifyShort isConvert productId shortName login skype icq address",
    2: "dateCreateShort dateModifyShort productId begindateShort closedateShort eventDate eventDateShort eventId "
    "eventDescription orderStage isWork isWon isLose receivedAmount lostAmount hasProducts",
    3: "address login shortName",
    4: "address addressLegal ufLogo ufStamp ufDirectorSign ufAccountantSign",
}
_KINDS = {"phoneMobile": ("PHONE", "MOBILE"), "phoneWork": ("PHONE", "WORK"), "phoneMailing": ("PHONE", "MAILING"),
          "emailHome": ("EMAIL", "HOME"), "emailWork": ("EMAIL", "WORK"), "emailMailing": ("EMAIL", "MAILING"),
          "imol": ("LINK", ""), "email": ("EMAIL", ""), "phone": ("PHONE", "")}  # fmt: skip
_FIELDS = ("PHONE", "EMAIL", "WEB", "IM", "LINK")
ONLY_UNSELECTED = {"fm", "entityTypeId"}  # they come where no field is named, or `*` alone


def extra_columns(table: Table) -> tuple[Column, ...]:
    """Columns that only crm.item.* has."""
    return EXTRAS.get(table.entity_type, _SMART_EXTRAS)


def item_columns(table: Table) -> dict[str, Column]:
    """The columns of a table by their names in crm.item.*."""
    shared = [column for column in table.columns.values() if column.item and not column.never_sent]
    return {column.item: column for column in [*shared, *extra_columns(table)]}


def item_keys(table: Table) -> set[str]:
    """The keys of rows that can be selected, but for those of custom fields."""
    described = {column.item for column in item_columns(table).values() if not column.never_sent and not column.dynamic}
    multi = set(_KINDS) if table.entity_type in _PEOPLE else set()
    return (described | multi | {"searchContent", *LEGACY.get(table.entity_type, "").split()}) - ONLY_UNSELECTED


def item_view(contacts: Callable[[int], list[int]] | None, *, original: bool) -> View:
    """The view of crm.item.*, given links to contacts; with `original` custom fields keep their upper names."""

    def convert(table: Table, row: Row) -> Row:
        shown: Row = {}
        for name, value in row.items():
            column = table.columns.get(name)
            if column is not None and column.item and not column.never_sent:
                shown[sent_name(column, original=original)] = typed(column, value)
        return shown

    def added(table: Table, id_: int, names: frozenset[str] | None) -> Row:
        row: Row = {}
        for keys, make in _GROUPS.get(table.entity_type, _SMART_GROUPS):
            if names is None or not names.isdisjoint(keys):
                row |= make(table, id_)
        if contacts is not None:
            row["contactIds"] = contacts(id_)
        return row

    return View("item original" if original else "item", convert, added)


def sent_name(column: Column, *, original: bool) -> str:
    """The key of a column in the answers."""
    return column.name if original and column.dynamic else column.item


def typed(column: Column, value: Any) -> Any:
    """A classic value as crm.item.* types it."""
    if column.multiple:
        several = value if isinstance(value, list) else []
        return [_single(column, each) for each in several]
    return _single(column, value)


def _single(column: Column, value: Any) -> Any:
    if column.type == "boolean" and column.dynamic:
        return "Y" if value in (True, 1, "1", "Y") else "N"
    if column.type in INTEGERS:
        return None if value in (None, "") else to_int(value)
    if column.type == "double":
        return None if value in (None, "") else _number(value)
    if column.type in {"date", "datetime"}:
        return value or None
    if column.type == "file" and isinstance(value, dict):
        if not column.dynamic:
            return value["id"]
        url = f"/bitrix/services/main/ajax.php?action=crm.controller.item.getFile&fileId={value['id']}"
        return {"id": value["id"], "url": url, "urlMachine": f"/rest/crm.controller.item.getFile?fileId={value['id']}"}
    return value


def _number(value: Any) -> float:
    """PHP writes a whole float without a point."""
    number = float(value)
    return int(number) if number == int(number) else number


def _first(values: list[Row], value_type: str) -> str:
    return next((str(each["VALUE"]) for each in values if value_type in ("", each["VALUE_TYPE"])), "")


def _fm(value: Row) -> Row:
    return {
        "id": int(value["ID"]),
        "valueType": value["VALUE_TYPE"],
        "value": value["VALUE"],
        "typeId": value["TYPE_ID"],
    }


# --- what the family adds to a row, in groups of keys that are made together ------------------------------------------


def _always(table: Table, id_: int) -> Row:
    """What hangs on the kind of record, or on its id alone."""
    row: Row = {column.item: [] for column in extra_columns(table) if column.multiple and not column.never_sent}
    row |= dict.fromkeys(LEGACY.get(table.entity_type, "").split())
    row["entityTypeId"] = table.entity_type
    if table.entity_type in EXTRAS:
        row |= {"webformId": 0 if id_ % 6 else 7, "observers": [] if id_ % 4 else [1, 2]}
    if table.entity_type == 2:
        row |= {"previousStageId": None, "mycompanyId": None}
    return row


def _linked(table: Table, id_: int) -> Row:
    """Companies of a contact, and the general category."""
    row: Row = {"categoryId": 0}
    if table.entity_type == 3:
        company = to_int(table.value(id_, "COMPANY_ID"))
        row["companyIds"] = [company] if company else []
    return row


def _talked(table: Table, id_: int) -> Row:
    """When somebody last talked with the client; the classic list prints it otherwise, if at all."""
    row: Row = dict.fromkeys(_TALKED)
    said = table.value(id_, "LAST_COMMUNICATION_TIME") if table.entity_type == 4 else None
    if said:
        offset = str(table.value(id_, "DATE_CREATE"))[19:]
        row["lastCommunicationTime"] = f"{said[6:10]}-{said[3:5]}-{said[:2]}T{said[11:]}{offset}"
    elif table.entity_type != 4 and id_ % 3 == 0:
        row["lastCommunicationTime"] = row["lastCommunicationCallTime"] = table.value(id_, "LAST_ACTIVITY_TIME")
    return row


def _searched(table: Table, id_: int) -> Row:
    return {"searchContent": f"{id_} {table.value(id_, 'TITLE') or table.value(id_, 'LAST_NAME')}"}


def _reached(table: Table, id_: int) -> Row:
    """Multi-fields: all of them in one list, and the first one of some kinds by itself."""
    fields = {kind: table.value(id_, kind) or [] for kind in _FIELDS}
    row: Row = {name: _first(fields[kind], value_type) for name, (kind, value_type) in _KINDS.items()}
    return row | {"fm": [_fm(each) for several in fields.values() for each in several]}


_PEOPLE = {1, 3, 4}
_TALKED = [column.item for column in EXTRAS[1] if column.name.startswith("LAST_COMMUNICATION")]
_Group = tuple[frozenset[str], Callable[[Table, int], Row]]


def _groups(entity_type: int) -> tuple[_Group, ...]:
    columns = EXTRAS.get(entity_type, _SMART_EXTRAS)
    base = {column.item for column in columns} | {"entityTypeId", *LEGACY.get(entity_type, "").split()}
    groups = [(frozenset(base - {"fm", "categoryId", "companyIds", *_TALKED}), _always)]
    if entity_type in EXTRAS:
        groups += [(frozenset(_TALKED), _talked), (frozenset(["searchContent"]), _searched)]
    if entity_type in {3, 4}:
        groups.append((frozenset(["categoryId", "companyIds"]), _linked))
    if entity_type in _PEOPLE:
        groups.append((frozenset([*_KINDS, "fm"]), _reached))
    return tuple(groups)


_GROUPS = {entity_type: _groups(entity_type) for entity_type in EXTRAS}
_SMART_GROUPS = _groups(0)
