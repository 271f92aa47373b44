"""Funnels of deals and of smart processes: what to ask for them, and the names by id. Pure.

Source: api-reference/crm/universal/category/crm-category-list.md, and crm/deals/crm-deal-category-list.md for portals
that are too old for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from b24lake.portal.connection import Command
from b24lake.portal.replies import Answer, listed, mapping, whole
from b24lake.streams.definitions import Items

Funnels = Mapping[int, str]  # id -> name


def of_type(entity_type: int) -> Command:
    """What to ask for the funnels of records of one type."""
    return Command("crm.category.list", {"entityTypeId": entity_type})


OF_DEALS: Mapping[str, Command] = {
    "funnels": of_type(2),
    "old_funnels": Command("crm.dealcategory.list", {"order": {"ID": "ASC"}}),
    "old_default": Command("crm.dealcategory.default.get"),
}


def of_deals(answers: Mapping[str, Answer]) -> Funnels:
    """The funnels of deals, from the answers to OF_DEALS; none where nothing tells."""
    funnels = told(answers["funnels"])
    if funnels:
        return funnels
    old, default = (_result(answers[name]) for name in ("old_funnels", "old_default"))
    others, first = _by_id(listed(old)), _by_id([default])
    return {**(first or {0: "the default funnel"}), **others} if others or first else {}


def told(answer: Answer) -> Funnels:
    """The funnels in an answer of crm.category.list; none where it is no answer."""
    return _by_id(listed(mapping(_result(answer)).get("categories")))


def items(funnels: Funnels) -> Items:
    """Funnels as the choices of a list."""
    return [{"ID": str(id_), "VALUE": name} for id_, name in sorted(funnels.items())]


def _result(answer: Answer) -> object:
    return None if answer.error or answer.missing else answer.result


def _by_id(rows: Iterable[object]) -> Funnels:
    """Of the rows that are funnels: id -> name."""
    found = {}
    for row in map(mapping, rows):
        id_ = whole(row.get("id", row.get("ID")))
        if id_ is not None:
            found[id_] = str(row.get("name", row.get("NAME")) or "")
    return found
