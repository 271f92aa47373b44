"""The types of columns, and what becomes of a value whose column gets another type: worked out value by value.

A value takes the new type where it means the same in it: 5 is 5.0 and "5", midnight is a day. Everything is text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import pyarrow as pa

from expected import LINKS, MONEY

TEXT, LONG, INTEGER, DOUBLE, FLAG = pa.string(), pa.int64(), pa.int32(), pa.float64(), pa.bool_()
DAY, MOMENT, SUM = pa.date32(), pa.timestamp("us", "UTC"), pa.decimal128(38, 9)
PLAIN = {
    "integer": LONG, "enumeration": LONG, "crm_category": LONG, **dict.fromkeys(LINKS, LONG), "double": DOUBLE,
    "char": FLAG, "boolean": FLAG, "date": DAY, "datetime": MOMENT,
}  # fmt: skip
SUFFIX = {
    "string": "STRING", "int64": "LONG", "int32": "INTEGER", "double": "DOUBLE", "bool": "BOOLEAN",
    "date32[day]": "DATE", "timestamp[us, tz=UTC]": "TIMESTAMP", "decimal128(38, 9)": "DECIMAL",
}  # fmt: skip


def listed(type_: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", type_))


SUFFIX |= {str(listed(type_)): "ARRAY" for type_ in (TEXT, LONG, DOUBLE, FLAG, DAY, MOMENT)}
LISTS = [(LONG, DOUBLE), (LONG, TEXT), (DOUBLE, TEXT), (DAY, MOMENT), (DAY, TEXT), (MOMENT, TEXT)]
FITS = {*LISTS, (FLAG, TEXT), *((listed(one), listed(other)) for one, other in LISTS)}
"""New types whose every value fits into a column of the other type, so that a merge needs no column beside it."""


BY_TEXT: dict[pa.DataType, Callable[[str], Any]] = {
    LONG: int, INTEGER: int, DOUBLE: float, SUM: Decimal,
    FLAG: {"0": False, "1": True, "false": False, "true": True}.__getitem__,
}  # fmt: skip


def arrow_type(kind: str, code: str) -> pa.DataType:
    """The type of the column of a field with this declared type."""
    plain = kind.removesuffix("[]")
    if plain == "crm_multifield":
        return listed(pa.struct([(name, TEXT) for name in ("ID", "VALUE_TYPE", "VALUE", "TYPE_ID")]))
    if plain == "items":
        return listed(pa.struct([("ID", TEXT), ("VALUE", TEXT)]))
    if plain.startswith("crm_enum_"):
        found = INTEGER
    elif plain == "double" and is_sum(code):
        found = SUM
    else:
        found = PLAIN.get(plain, TEXT)
    return listed(found) if kind.endswith("[]") else found


def is_sum(code: str) -> bool:
    """Whether a standard field holds money; universal methods say `opportunityAccount`."""
    upper = "".join(f"_{sign}" if sign.isupper() else sign.upper() for sign in code) if code[0].islower() else code
    return not code.startswith("UF_") and (upper in MONEY or fnmatchcase(upper, "*_ACCOUNT") or upper[:5] == "PRICE")


def recast(value: Any, type_: pa.DataType) -> tuple[Any, str | None]:
    """A value in another type; null, and its text, where it would not mean the same."""
    if pa.types.is_list(type_) and isinstance(value, list):
        found = [recast(one, type_.value_type)[0] for one in value]
        return (None, written(value)) if None in found else (found, None)
    try:
        return _plain(value, type_), None
    except (ValueError, ArithmeticError, LookupError):
        return None, written(value)


def _plain(value: Any, type_: pa.DataType) -> Any:
    if type_ == TEXT:
        return written(value)
    if type_ in {DAY, MOMENT}:
        return _moment(value, type_)
    return BY_TEXT[type_](written(int(value) if isinstance(value, bool) else value))


def _moment(value: Any, type_: pa.DataType) -> Any:
    if isinstance(value, str):
        value = date.fromisoformat(value) if type_ == DAY else datetime.fromisoformat(value)
        if type_ == MOMENT and value.tzinfo is None:
            raise ValueError(value)
    at_midnight = isinstance(value, datetime) and value.time() == time()
    if not isinstance(value, date) or (type_ == DAY and isinstance(value, datetime) and not at_midnight):
        raise ValueError(value)
    if type_ == DAY:
        return date(value.year, value.month, value.day)
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)


def written(value: Any) -> str:
    """A value as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%fZ")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=written)
    return json.dumps(value) if isinstance(value, bool) else str(value)
