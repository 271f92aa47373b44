"""Descriptors of `*.fields` -> columns: Arrow types, labels, enumerations. Pure.

Source: the type tables of the vendor's docs (api-reference/data-types.md, the `*.fields` pages). The declared type
decides, never what a value looks like; an unknown type lands as text.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any

import pyarrow as pa

from b24lake.portal.replies import listed, mapping
from b24lake.streams.definitions import MULTIFIELDS, Items
from b24lake.streams.translation import Translation

TEXT, INT, SMALL, FLOAT, BOOL = pa.string(), pa.int64(), pa.int32(), pa.float64(), pa.bool_()
MONEY, DATE, MOMENT = pa.decimal128(38, 9), pa.date32(), pa.timestamp("us", "UTC")
RESERVED = ("_synced_at", "_misfits", "_deleted_at")  # columns that b24lake adds to a table
MULTIFIELD = pa.struct([(name, TEXT) for name in ("ID", "VALUE_TYPE", "VALUE", "TYPE_ID")])
ITEM = pa.struct([("ID", TEXT), ("VALUE", TEXT)])
CODE = "b24lake.code"
"""Metadata of a column that could not have its field's name: that name."""

# links hold another record's id: 0 means "none", except for funnels, where 0 is the first one
LINKS = (
    "crm_lead", "crm_deal", "crm_contact", "crm_company", "crm_quote", "crm_entity", "crm_webform", "user", "employee",
    "location", "iblock_element", "iblock_section", "department",
)  # fmt: skip
CATEGORY = "crm_category"  # the type of a field that holds a funnel
BINDING = "crm"  # the type of a custom field that holds records of one or several kinds, as `D_12`
_KINDS: Mapping[str, pa.DataType] = {
    "integer": INT,
    "double": FLOAT,
    "char": BOOL,
    "boolean": BOOL,
    "date": DATE,
    "datetime": MOMENT,
    "enumeration": INT,
    CATEGORY: INT,
    **dict.fromkeys(LINKS, INT),
}
_MONEY_NAMES = ("OPPORTUNITY", "TAX_VALUE", "REVENUE", "PRICE*", "COST", "*_ACCOUNT")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a stream's table.

    name     in the table; differs from `source` where two codes differ only in case, and for custom fields of portals
             that do not send their own names
    source   key in the portal's rows
    kind     declared type, as "crm_status"; "" for a key that nobody declared
    many     a list of values
    code     the name it would have if no other column had it; "" where it has it
    directory  of a crm_status: the directory that holds its labels, `ENTITY_ID` in status_list; "" where nobody tells
    linked   of a `crm` field: the kinds of records that it may hold, as `DEAL`, `DYNAMIC_128`; () where nobody tells
    """

    name: str
    source: str
    kind: str
    type: pa.DataType
    many: bool = False
    label: str = ""
    code: str = ""
    directory: str = ""
    linked: tuple[str, ...] = ()


def columns(
    described: Any, declared: Mapping[str, str], *, key: str, translation: Translation | None = None
) -> tuple[Column, ...]:
    """The columns of a stream: what the portal describes, then what is declared beside it, the key first.

    described     result of a `*.fields` method: code -> descriptor, or code -> label (user.fields, department.fields)
    declared      code -> type for what the portal does not describe; "integer[]" is a list of them
    translation   of codes into the names of columns; None = they have the same
    """
    codes = {code: value for code, value in mapping(described).items() if isinstance(code, str) and code}
    if translation:
        codes = {code: value for code, value in codes.items() if code not in {*translation.left_out, translation.apart}}
    built = [_column(code, value, declared.get(code, ""), translation) for code, value in codes.items()]
    built += [_column(code, None, kind, translation) for code, kind in declared.items() if code not in codes]
    if key not in {column.source for column in built}:
        built.append(_column(key, None, "integer", translation))
    built.sort(key=lambda column: column.source != key)
    return distinct(built)


def distinct(built: Iterable[Column], held: Mapping[str, str] | None = None) -> tuple[Column, ...]:
    """Columns whose names differ by more than case: Delta tables refuse `Id` beside `ID`, so the later gets `__2`.

    A field that is named like a column which b24lake adds gets `__2` as well.

    held   columns that there are already, each with the code of its field, "" for none. A field keeps its column, and
           nobody else ever gets it: not even its twin, when the portal no longer has the field.
    """
    held = held or {}
    given = {code: name for name, code in held.items() if code}
    seen = {name.casefold() for name in (*held, *RESERVED)}
    renamed = []
    for column in built:
        code = column.code or column.name
        name = given.pop(code, "") or _free(code, seen)
        seen.add(name.casefold())
        renamed.append(replace(column, name=name, code=code if name != code else ""))
    return tuple(renamed)


def _free(code: str, seen: Collection[str]) -> str:
    names = chain([code], (f"{code}__{number}" for number in count(2)))
    return next(name for name in names if name.casefold() not in seen)


def undeclared(source: str, translation: Translation | None = None) -> Column:
    """A key of a row that no descriptor names: it lands as text."""
    return Column(translation.column(source) if translation else source, source, "", TEXT)


def name_of(built: Iterable[Column], source: str) -> str:
    """The name of the column that holds a key of the portal's rows; the key itself where there is none."""
    return next((column.name for column in built if column.source == source), source)


def schema(built: Iterable[Column]) -> pa.Schema:
    """The Arrow schema of columns, their labels as comments."""
    return pa.schema([pa.field(column.name, column.type, metadata=_notes(column)) for column in built])


def _notes(column: Column) -> dict[str, str] | None:
    return {name: text for name, text in (("comment", column.label), (CODE, column.code)) if text} or None


def arrow_type(kind: str, code: str, *, many: bool) -> pa.DataType:
    """The landing type of a declared type. Money sums are decimals, other doubles floats.

    Objects and types that nobody knows are text: objects as JSON.
    """
    if kind == "crm_multifield":
        return _list(MULTIFIELD)
    if kind == "items":
        return _list(ITEM)
    if kind.startswith("crm_enum_"):
        single = SMALL
    elif kind == "double" and _is_money(code):
        single = MONEY
    else:
        single = _KINDS.get(kind, TEXT)
    return _list(single) if many else single


def _is_money(code: str) -> bool:
    """Whether a standard field holds a sum of money, by its name."""
    return not code.startswith("UF_") and any(fnmatch.fnmatchcase(code, pattern) for pattern in _MONEY_NAMES)


def _list(item: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", item))  # the item name that Delta uses


def _column(code: str, described: Any, declared: str, translation: Translation | None = None) -> Column:
    descriptor = described if isinstance(described, dict) else {}
    kind = declared.removesuffix("[]") or str(descriptor.get("type") or ("" if descriptor else "string"))
    many = declared.endswith("[]") or (not declared and _is_yes(descriptor.get("isMultiple")))
    kind = "integer" if not kind and code == "ID" else kind
    name = _name(code, descriptor, translation)
    label = described if isinstance(described, str) else _label(descriptor, {code, name})
    upper = str(descriptor.get("upperName") or code)  # the classic name: the universal methods have others
    many = many or kind in {"crm_multifield", "items"}
    landing = arrow_type(kind, upper, many=many)
    settings = mapping(descriptor.get("settings"))
    directory = str(descriptor.get("statusType") or settings.get("ENTITY_TYPE") or "")
    linked = tuple(name for name, on in settings.items() if _is_yes(on)) if kind == BINDING else ()
    return Column(name, code, kind, landing, many, label, directory=directory, linked=linked)


def _name(code: str, descriptor: Mapping[str, Any], translation: Translation | None) -> str:
    """A field's name in the table. Portals older than CRM 25.0.0 ignore useOriginalUfNames and say `ufCrm7_1`."""
    upper = str(descriptor.get("upperName") or "")
    if translation:
        return translation.column(code, upper)
    return upper if upper.startswith("UF_") else code


def _is_yes(value: Any) -> bool:
    return value is True or value in ("Y", "1", 1)


def _label(descriptor: Mapping[str, Any], codes: Collection[str]) -> str:
    """The human label: custom fields of the classic methods have only their code as title."""
    found = (descriptor.get(name) for name in ("listLabel", "formLabel", "filterLabel", "title"))
    return next((str(label) for label in found if label and label not in codes), "")


def descriptor_rows(
    described: Any, translation: Translation | None = None, choices: Mapping[str, Items] | None = None
) -> list[dict[str, Any]]:
    """The rows of a `*_fields` stream: each descriptor with its column as `id`; its choices as ID and VALUE.

    choices   items of fields of a type that have none, by that type
    """
    rows = []
    for code, descriptor in mapping(described).items():
        said = descriptor if isinstance(descriptor, dict) else {"title": descriptor}
        for id_, told in _translated(code, said, translation):
            row = {"id": id_, **{name: value for name, value in told.items() if name != "id"}}
            items = row.get("items") or (choices or {}).get(str(row.get("type")))
            if items:
                row["items"] = [item for item in listed(items) if isinstance(item, dict)]
            rows.append(row)
    return rows


def _translated(
    code: str, said: Mapping[str, Any], translation: Translation | None
) -> list[tuple[str, Mapping[str, Any]]]:
    """The columns that a field has, with what is told of each: one, none, or one for each kind of multi-field."""
    if translation and code in translation.left_out:
        return []
    if translation and code == translation.apart:
        return [(name, {key: value for key, value in said.items() if key != "title"}) for name in MULTIFIELDS]
    return [(_name(code, said, translation), said)]
