"""Rows of the universal methods -> the keys that the classic lists have. Pure.

Phones, e-mails and the like come in one list, `fm`, whose items say what they are by `typeId`
(api-reference/crm/universal/object-fields.md); the classic lists have one of each: PHONE, EMAIL, WEB, IM, LINK.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from b24lake.portal.replies import mapping
from b24lake.reading import cutting
from b24lake.reading.values import Values, is_empty
from b24lake.streams.translation import Translation

_KIND = ("typeId", "TYPE_ID")
FLAGS = ("hasPhone", "hasEmail")  # fields that say whether there is one


def translated(parts: Mapping[str, Values], translation: Translation) -> dict[str, Values]:
    """Values by key, without the keys that are left out, multi-fields told apart."""
    apart = translation.apart
    kept = {key: values for key, values in parts.items() if key not in translation.left_out and key != apart}
    return {**kept, **told_apart(parts[apart], apart)} if apart in parts else kept


def told_apart(values: Values, key: str) -> dict[str, list[Any]]:
    """Lists of multi-fields by their kind, row by row; what is no such list stays under `key`."""
    parts: dict[str, list[Any]] = {}
    for row, value in enumerate(_parsed(values)):
        for name, items in _by_kind(value, key):
            parts.setdefault(name, [None] * len(values))[row] = items
    return parts


def _parsed(values: Values) -> Iterable[Any]:
    if not isinstance(values, cutting.Column):
        return values
    different, places = values.distinct()
    return (different[place] for place in places.to_pylist())


def _by_kind(value: Any, key: str) -> list[tuple[str, Any]]:
    """The multi-fields of one row, by their kind."""
    if is_empty(value):
        return []
    items = list(mapping(value).values())  # a PHP list with gaps arrives as an object
    kinds = [next((kind for name in _KIND if (kind := mapping(item).get(name))), None) for item in items]
    if not items or not all(isinstance(kind, str) for kind in kinds):
        return [(key, value)]
    found: dict[str, list[Any]] = {}
    for kind, item in zip(kinds, items, strict=True):
        found.setdefault(str(kind), []).append(item)
    return [*found.items()]
