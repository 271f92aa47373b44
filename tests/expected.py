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
        flags = kind in {"boolean", "char"}
        return [value(item, kind, name) for item in _items(raw, flags=flags)] or None
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
    return _text(raw)


def row(raw: dict[str, Any], described: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A whole row: every described field, typed; fields that no descriptor names are text."""
    names = [*described, *(name for name in raw if name not in described)]
    return {name: _field(raw.get(name), described.get(name, {}), name) for name in names}


def _field(raw: Any, descriptor: dict[str, Any], name: str) -> Any:
    kind = descriptor.get("type", "")
    many = bool(descriptor.get("isMultiple")) or kind == "crm_multifield"
    return value(raw, kind, name, many=many)


def holds(landed: Any, raw: Any, kind: str, name: str, *, many: bool) -> bool:
    """Whether a column that took a value without a misfit says as much as the value did."""
    if many:
        items = _items(raw, flags=kind in {"boolean", "char"})
        found = landed or []
        return len(found) == len(items) and all(
            holds(one, item, kind, name, many=False) for one, item in zip(found, items, strict=True)
        )
    if landed is None:
        return _empty(raw) or (kind in LINKS and Decimal(str(raw)) == 0)
    if isinstance(landed, bool):
        return landed is (raw is True or str(raw) in {"Y", "1", "true"})
    if isinstance(landed, float):
        return landed == float(raw)
    if isinstance(landed, Decimal):
        return abs(landed - Decimal(str(raw))) <= Decimal("5E-10")
    if isinstance(landed, int):
        return landed == Decimal(str(raw))
    if isinstance(landed, dict):
        parts = {"".join(filter(str.isalpha, key)).upper(): part for key, part in raw.items()}
        return all(_is_part(part, parts.get(key.replace("_", ""))) for key, part in landed.items())
    if isinstance(landed, date):
        return kind in {"date", "datetime"} and isinstance(raw, str) and landed == value(_iso(raw, kind), kind, name)
    return same_json(str(landed), raw)


def _is_part(landed: str | None, raw: Any) -> bool:
    return same_json(landed, raw) if landed is not None else _empty(raw)


def same_json(text: str, raw: Any) -> bool:
    """Whether a text is the value itself, or its JSON."""
    return text == raw if isinstance(raw, str) else text == _text(raw) or bool(json.loads(text) == raw)


def _items(raw: Any, *, flags: bool) -> list[Any]:
    if isinstance(raw, dict) and raw and all(key.isdigit() for key in raw):
        raw = list(raw.values())
    if not isinstance(raw, list):
        return [] if _empty(raw) else [raw]
    return [item for item in raw if not _empty(item) or (flags and item is False)]


def _text(raw: Any) -> str:
    return raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, separators=(",", ":"))


def _iso(text: str, kind: str) -> str:
    """The portal's dotted times, and those without an offset, which are Moscow's, as ISO."""
    if text[2:3] == ".":
        text = f"{text[6:10]}-{text[3:5]}-{text[:2]}{text[10:]}"
    if len(text) == 10:
        return text if kind == "date" else f"{text}T00:00:00+03:00"
    return text if datetime.fromisoformat(text).tzinfo else f"{text}+03:00"


def _empty(raw: Any) -> bool:
    return raw is None or raw is False or raw in ("", [], {})


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
