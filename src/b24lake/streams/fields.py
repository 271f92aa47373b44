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

TEXT, INT, SMALL, FLOAT, BOOL = pa.string(), pa.int64(), pa.int32(), pa.float64(), pa.bool_()
MONEY, DATE, MOMENT = pa.decimal128(38, 9), pa.date32(), pa.timestamp("us", "UTC")
RESERVED = ("_synced_at", "_misfits", "_deleted_at")  # columns that b24lake adds to a table
MULTIFIELD = pa.struct([(name, TEXT) for name in ("ID", "VALUE_TYPE", "VALUE", "TYPE_ID")])
ITEM = pa.struct([("ID", TEXT), ("VALUE", TEXT)])
CODE = "b24lake.code"
"""Metadata of a column that could not have its field's name: that name."""

# links hold another record's id: 0 means "none", except for funnels, where 0 is the first one
LINKS = (
    "crm_lead", "crm_deal", "crm_contact", "crm_company", "crm_quote", "crm_entity", "user", "employee",
    "location", "iblock_element", "iblock_section", "department",
)  # fmt: skip
_KINDS: Mapping[str, pa.DataType] = {
    "integer": INT,
    "double": FLOAT,
    "char": BOOL,
    "boolean": BOOL,
    "date": DATE,
    "datetime": MOMENT,
    "enumeration": INT,
    "crm_category": INT,
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
    """

    name: str
    source: str
    kind: str
    type: pa.DataType
    many: bool = False
    label: str = ""
    code: str = ""
    directory: str = ""


def columns(described: Any, declared: Mapping[str, str], *, key: str) -> tuple[Column, ...]:
    """The columns of a stream: what the portal describes, then what is declared beside it, the key first.

    described   result of a `*.fields` method: code -> descriptor, or code -> label (user.fields, department.fields)
    declared    code -> type for what the portal does not describe; "integer[]" is a list of them
    """
    codes = {code: value for code, value in mapping(described).items() if isinstance(code, str) and code}
    built = [_column(code, value, declared.get(code, "")) for code, value in codes.items()]
    built += [_column(code, None, kind) for code, kind in declared.items() if code not in codes]
    if key not in {column.source for column in built}:
        built.append(_column(key, None, "integer"))
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


def undeclared(source: str) -> Column:
    """A key of a row that no descriptor names: it lands as text."""
    return Column(source, source, "", TEXT)


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


def _column(code: str, described: Any, declared: str) -> Column:
    descriptor = described if isinstance(described, dict) else {}
    kind = declared.removesuffix("[]") or str(descriptor.get("type") or ("" if descriptor else "string"))
    many = declared.endswith("[]") or (not declared and _is_yes(descriptor.get("isMultiple")))
    kind = "integer" if not kind and code == "ID" else kind
    label = described if isinstance(described, str) else _label(descriptor, code)
    upper = str(descriptor.get("upperName") or code)  # the classic name: the universal methods have others
    many = many or kind in {"crm_multifield", "items"}
    landing = arrow_type(kind, upper, many=many)
    directory = str(descriptor.get("statusType") or mapping(descriptor.get("settings")).get("ENTITY_TYPE") or "")
    return Column(_own_name(code, descriptor), code, kind, landing, many, label, directory=directory)


def _own_name(code: str, descriptor: Mapping[str, Any]) -> str:
    """A field's name in the table. Portals older than CRM 25.0.0 ignore useOriginalUfNames and say `ufCrm7_1`."""
    upper = str(descriptor.get("upperName") or "")
    return upper if upper.startswith("UF_") else code


def _is_yes(value: Any) -> bool:
    return value is True or value in ("Y", "1", 1)


def _label(descriptor: Mapping[str, Any], code: str) -> str:
    """The human label: custom fields of the classic methods have only their code as title."""
    names = ("listLabel", "formLabel", "filterLabel", "title")
    return next((str(descriptor[name]) for name in names if descriptor.get(name) and descriptor[name] != code), "")


def descriptor_rows(described: Any) -> list[dict[str, Any]]:
    """The rows of a `*_fields` stream: each descriptor with its code as `id`; its choices as ID and VALUE."""
    rows = []
    for code, descriptor in mapping(described).items():
        said = descriptor if isinstance(descriptor, dict) else {"title": descriptor}
        row = {"id": _own_name(code, said), **{name: value for name, value in said.items() if name != "id"}}
        if "items" in row:
            row["items"] = [item for item in listed(row["items"]) if isinstance(item, dict)]
        rows.append(row)
    return rows
