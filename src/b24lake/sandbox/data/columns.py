"""Columns of the portal's tables: what `*.fields` tells about them, and their names in both families of methods."""

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]

NUMBERS = {
    "integer", "double", "user", "employee", "enumeration", "location", "crm_category", "crm_lead", "crm_deal",
    "crm_contact", "crm_company", "crm_quote", "crm_entity", "iblock_element", "iblock_section", "crm_enum_ownertype",
    "crm_enum_activitytype", "crm_enum_activitystatus", "crm_enum_activitypriority", "crm_enum_activitynotifytype",
    "crm_enum_contenttype", "crm_enum_activitydirection",
}  # fmt: skip
DATES = {"date", "datetime"}
FLAGS = {"R": "read_only", "!": "required", "I": "immutable", "M": "multiple", "D": "deprecated"}
FLAGS |= {"-": "never_sent", "N": "by_name_only"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. `item` is its name in crm.item.*; "" where that family does not have it."""

    name: str
    type: str
    title: str
    item: str = ""
    read_only: bool = False
    required: bool = False
    immutable: bool = False
    multiple: bool = False
    deprecated: bool = False
    dynamic: bool = False  # a custom field
    never_sent: bool = False  # listed by *.fields, never in a row (CONTACT_IDS)
    by_name_only: bool = False  # no mask selects it (PHONE, COMMUNICATIONS)
    status_type: str = ""
    settings: Any = None
    options: tuple[tuple[str, str], ...] = field(default=())  # of an enumeration: (id, label)

    @property
    def upper(self) -> str:
        """Its `upperName` in crm.item.fields."""
        return self.name if self.dynamic else upper(self.item)


def read_columns(table: str) -> tuple[Column, ...]:
    """Lines `NAME type flags item|Title|statusType or parent type` -> columns; flags as in FLAGS, "." for none.

    The item name is "=" for the usual conversion, "-" for none.
    """
    return tuple(_column(line) for line in table.strip().splitlines())


def _column(line: str) -> Column:
    head, title, detail = [*line.split("|"), "", ""][:3]
    name, kind, flags, item = head.split()
    item = {"=": camel(name), "-": ""}.get(item, item)
    marks = {FLAGS[flag]: True for flag in flags if flag != "."}
    settings = {"parentEntityTypeId": int(detail)} if detail.isdigit() else None
    status = "" if detail.isdigit() else detail
    return Column(name=name, type=kind, title=title or name, item=item, status_type=status, settings=settings, **marks)  # type: ignore[arg-type]


def camel(name: str) -> str:
    """`DATE_CREATE` -> `dateCreate`; numbers keep no underscore: `PARENT_ID_2` -> `parentId2`."""
    first, *rest = name.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)


def upper(name: str) -> str:
    """`movedTime` -> `MOVED_TIME`; the number of a parent type is set apart."""
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])", "_", name).upper()


def camel_custom(name: str) -> str:
    """The crm.item.* name of a custom field.

    Source: api-reference/crm/universal/index.md.

    >>> [camel_custom(f"UF_CRM_{rest}") for rest in ("174", "2_163", "3_DIGIT", "3_DIGIT10")]
    ['ufCrm_174', 'ufCrm2_163', 'ufCrm3Digit', 'ufCrm_3_DIGIT10']
    """
    words = name.removeprefix("UF_CRM_").split("_")
    if any(not word.isdigit() and not word.isalpha() for word in words):
        return "ufCrm_" + "_".join(words)
    if len(words) == 1 and words[0].isdigit():
        return "ufCrm_" + words[0]
    if all(word.isdigit() for word in words):
        return "ufCrm" + "_".join(words)
    return "ufCrm" + "".join(word.capitalize() for word in words)


def describe(column: Column, *, item: bool = False) -> dict[str, Any]:
    """A column's entry in `crm.*.fields`, or with `item` in `crm.item.fields`."""
    kind = {"char": "boolean"}.get(column.type, column.type) if item else column.type
    told: dict[str, Any] = {
        "type": kind,
        "isRequired": column.required,
        "isReadOnly": column.read_only,
        "isImmutable": column.immutable,
        "isMultiple": column.multiple,
        "isDynamic": column.dynamic,
    }
    if column.status_type:
        told["statusType"] = column.status_type
    if column.deprecated:
        told["isDeprecated"] = True
    if column.options:
        told["items"] = [{"ID": id_, "VALUE": label} for id_, label in column.options]
    told["title"] = column.name if column.dynamic and not item else column.title
    if column.dynamic:
        told |= dict.fromkeys(("listLabel", "formLabel", "filterLabel"), column.title)
    if column.dynamic or column.settings is not None:
        told["settings"] = column.settings or []
    if item:
        told["upperName"] = column.upper
    return told
