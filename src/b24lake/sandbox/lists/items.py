"""How crm.item.* shows the same records: camelCase, typed numbers, null for empty.

Source: api-reference/crm/universal/crm-item-list.md, crm-item-get.md.
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

# What the family adds to each entity type: columns the classic lists do not have.
_CLIENT = """
PHONE_MOBILE string R phoneMobile|Mobile phone
PHONE_WORK string R phoneWork|Work phone
PHONE_MAILING string R phoneMailing|Mailing phone
EMAIL_HOME string R emailHome|Home e-mail
EMAIL_WORK string R emailWork|Work e-mail
EMAIL_MAILING string R emailMailing|Mailing e-mail
IMOL string R imol|Open channel
EMAIL string R email|E-mail
PHONE string R phone|Phone
OBSERVERS user M observers|Observers
FM crm_multifield M fm|Multi-fields
"""
_DEAL = """
PRODUCT_ID integer . productId|Product
WEBFORM_ID integer . webformId|Created by CRM form
SEARCH_CONTENT string R searchContent|Search content
OBSERVERS user M observers|Observers
CONTACT_IDS crm_contact M contactIds|Contacts
"""
_LEAD = """
SKYPE string R skype|Skype
ICQ string R icq|ICQ
WEBFORM_ID integer . webformId|Created by CRM form
CONTACT_IDS crm_contact M contactIds|Contacts
"""
_CONTACT = """
CATEGORY_ID crm_category . categoryId|Category
COMPANY_IDS crm_company M companyIds|Companies
SEARCH_CONTENT string R searchContent|Search content
"""
_COMPANY = """
CATEGORY_ID crm_category . categoryId|Category
CONTACT_IDS crm_contact M contactIds|Contacts
SEARCH_CONTENT string R searchContent|Search content
"""
_SMART = """
OBSERVERS user M observers|Observers
CONTACT_IDS crm_contact M contactIds|Contacts
"""
EXTRAS = {
    1: read_columns(_LEAD.strip() + _CLIENT),
    2: read_columns(_DEAL),
    3: read_columns(_CONTACT.strip() + _CLIENT),
    4: read_columns(_COMPANY.strip() + _CLIENT),
}  # fmt: skip
_SMART_EXTRAS = read_columns(_SMART)
_KINDS = {"phoneMobile": ("PHONE", "MOBILE"), "phoneWork": ("PHONE", "WORK"), "phoneMailing": ("PHONE", "MAILING"),
          "emailHome": ("EMAIL", "HOME"), "emailWork": ("EMAIL", "WORK"), "emailMailing": ("EMAIL", "MAILING"),
          "imol": ("LINK", ""), "email": ("EMAIL", ""), "phone": ("PHONE", "")}  # fmt: skip


def extra_columns(table: Table) -> tuple[Column, ...]:
    """Columns that only crm.item.* has."""
    return EXTRAS.get(table.entity_type, _SMART_EXTRAS)


def item_columns(table: Table) -> dict[str, Column]:
    """The columns of a table by their names in crm.item.*."""
    shared = [column for column in table.columns.values() if column.item and not column.never_sent]
    return {column.item: column for column in [*shared, *extra_columns(table)]}


def item_view(contacts: Callable[[int], list[int]] | None, *, original: bool) -> View:
    """The view of crm.item.*, given links to contacts; with `original` custom fields keep their upper names."""

    def convert(table: Table, row: Row) -> Row:
        shown: Row = {}
        for name, value in row.items():
            column = table.columns.get(name)
            if column is not None and column.item and not column.never_sent:
                shown[sent_name(column, original=original)] = typed(column, value)
        return shown

    def added(table: Table, id_: int) -> Row:
        row: Row = {column.item: [] if column.multiple else None for column in extra_columns(table)}
        row |= _told(table, id_, row)
        if contacts is not None:
            row["contactIds"] = contacts(id_)
        return row | {"entityTypeId": table.entity_type}

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
        url = f"/bitrix/services/main/ajax.php?action=crm.controller.item.getFile&fileId={value['id']}"
        return {"id": value["id"], "url": url, "urlMachine": f"/rest/crm.controller.item.getFile?fileId={value['id']}"}
    return value


def _number(value: Any) -> float:
    """PHP writes a whole float without a point."""
    number = float(value)
    return int(number) if number == int(number) else number


def _told(table: Table, id_: int, row: Row) -> Row:
    """Values of the extra columns that follow from the record: multi-fields, companies, defaults."""
    told: Row = {"webformId": 0} if "webformId" in row else {}
    if table.entity_type in {3, 4}:
        told["categoryId"] = 0
    if table.entity_type == 3:
        company = to_int(table.value(id_, "COMPANY_ID"))
        told["companyIds"] = [company] if company else []
    if "fm" in row:
        fields = {kind: table.value(id_, kind) or [] for kind in ("PHONE", "EMAIL", "WEB", "IM", "LINK")}
        told |= {name: _first(fields[kind], value_type) for name, (kind, value_type) in _KINDS.items()}
        told["fm"] = [_fm(each) for several in fields.values() for each in several]
    return told


def _first(values: list[Row], value_type: str) -> str:
    return next((str(each["VALUE"]) for each in values if value_type in ("", each["VALUE_TYPE"])), "")


def _fm(value: Row) -> Row:
    return {
        "id": int(value["ID"]),
        "valueType": value["VALUE_TYPE"],
        "value": value["VALUE"],
        "typeId": value["TYPE_ID"],
    }
