"""The smart processes of a portal: which there are, from the answers to QUESTIONS. Pure.

Only CRM administrators may list them (api-reference/crm/universal/user-defined-object-types/crm-type-list.md); everyone
may see the list of all record types, among which they stand as DYNAMIC_{entityTypeId} (crm.enum.ownertype).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from b24lake.errors import LockedError
from b24lake.portal.connection import Command
from b24lake.portal.replies import Answer, listed, mapping, whole
from b24lake.streams.definitions import STREAMS, Stream

TYPES, OWNERS = "types", "owners"
QUESTIONS: Mapping[str, Command] = {
    TYPES: Command("crm.type.list", {"order": {"id": "ASC"}, "start": 0}),
    OWNERS: Command("crm.enum.ownertype"),
}
FIRST = 128  # entityTypeId of the first smart process; below are the types that every portal has


@dataclass(frozen=True, slots=True, order=True)
class SmartType:
    """One smart process."""

    entity_type: int
    title: str


def page(answer: Answer) -> list[SmartType]:
    """The smart processes of one page of `crm.type.list`."""
    rows = listed(mapping(answer.result).get("types", answer.result))
    return _types((row.get("entityTypeId"), row.get("title")) for row in rows if isinstance(row, dict))


def next_page(answer: Answer) -> Command | None:
    """What to ask for the page behind this one; None where there is none."""
    if answer.next is None or not page(answer):
        return None
    asked = QUESTIONS[TYPES]
    return asked._replace(params={**asked.params, "start": answer.next})


def refused(answers: Mapping[str, Answer]) -> bool:
    """Whether the webhook's owner may not list smart processes, as only CRM administrators may."""
    return isinstance(answers[TYPES].error, LockedError)


def known_by_name(answers: Mapping[str, Answer]) -> list[SmartType]:
    """The smart processes among all record types."""
    rows = [row for row in listed(answers[OWNERS].result) if isinstance(row, dict)]
    return _types((row.get("ID"), row.get("NAME")) for row in rows if _is_smart(row))


def listed_one_by_one(types: Iterable[SmartType]) -> Stream:
    """`spa_types` for those who may not list them: one call per type (crm-type-get-by-entity-type-id.md)."""
    return replace(
        STREAMS["spa_types"],
        method="crm.type.getByEntityTypeId",
        params={},
        rows_at="type",
        paging="each",
        each=tuple({"entityTypeId": one.entity_type} for one in types),
    )


def _is_smart(row: Mapping[str, object]) -> bool:
    return str(row.get("SYMBOL_CODE", "")).upper().startswith("DYNAMIC_")


def _types(found: Iterable[tuple[object, object]]) -> list[SmartType]:
    known = {number: str(title or "") for number, title in ((whole(one), title) for one, title in found) if number}
    return sorted(SmartType(number, title) for number, title in known.items() if number >= FIRST)
