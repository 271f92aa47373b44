"""What a portal's row should look like in its table, worked out value by value and on its own, from the type rules.

Deliberately slow and plain: it shares no code with the decoder that it judges.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

MONEY = ("OPPORTUNITY", "TAX_VALUE", "REVENUE", "COST")
LINKS = {
    "crm_lead", "crm_deal", "crm_contact", "crm_company", "crm_quote", "crm_entity", "user", "employee", "location",
    "iblock_element", "iblock_section", "department",
}  # fmt: skip
NUMBERS = {"integer", "enumeration", "crm_category", *LINKS}


def value(raw: Any, kind: str, name: str, *, many: bool = False) -> Any:
    """One raw value of a declared type as the table should hold it."""
    if many:
        items = [item for item in (raw if isinstance(raw, list) else [raw]) if not _empty(item)]
        return [value(item, kind, name) for item in items] or None
    if kind in {"boolean", "char"} and raw is False:
        return False
    if _empty(raw):
        return None
    if kind in NUMBERS or kind.startswith("crm_enum_"):
        number = int(raw)
        return None if number == 0 and kind in LINKS else number
    if kind == "double":
        return Decimal(str(raw)) if name in MONEY or name.startswith("PRICE") else float(raw)
    if kind in {"boolean", "char"}:
        return raw is True or str(raw) in {"Y", "1", "true"}
    if kind == "date":
        return _utc(raw).date() if len(raw) > 10 else date.fromisoformat(raw)
    if kind == "datetime":
        return _utc(raw)
    if kind == "crm_multifield":
        return {part: raw.get(part) for part in ("ID", "VALUE_TYPE", "VALUE", "TYPE_ID")}
    return raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, separators=(",", ":"))


def row(raw: dict[str, Any], described: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A whole row: every described field, typed; fields that no descriptor names are text."""
    names = [*described, *(name for name in raw if name not in described)]
    return {name: _field(raw.get(name), described.get(name, {}), name) for name in names}


def _field(raw: Any, descriptor: dict[str, Any], name: str) -> Any:
    kind = descriptor.get("type", "")
    many = bool(descriptor.get("isMultiple")) or kind == "crm_multifield"
    return value(raw, kind, name, many=many)


def _empty(raw: Any) -> bool:
    return raw is None or raw is False or raw in ("", [], {})


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
