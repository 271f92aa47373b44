"""The smart processes of a portal: which there are, from the answers to QUESTIONS. Pure.

Only CRM administrators may list them (api-reference/crm/universal/user-defined-object-types/crm-type-list.md); everyone
may see the list of all record types, among which they stand as DYNAMIC_{entityTypeId} (crm.enum.ownertype).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from b24lake.errors import LockedError
from b24lake.portal.connection import Command
from b24lake.portal.replies import Answer, listed, mapping, whole
from b24lake.streams.definitions import STREAMS, Stream, smart_fields, smart_items

TYPES, OWNERS = "types", "owners"
QUESTIONS: Mapping[str, Command] = {
    TYPES: Command("crm.type.list", {"order": {"id": "ASC"}, "start": 0}),
    OWNERS: Command("crm.enum.ownertype"),
}
FIRST = 128  # entityTypeId of the first smart process; below are the types that every portal has
GONE = "NOT_FOUND"  # the portal's code for a smart process that does not exist
_NAME = re.compile(r"spa_(?:fields_)?([0-9]{3,9})")


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


def told(answer: Answer) -> bool:
    """Whether a question was answered at all."""
    return not answer.missing and answer.error is None and answer.content is not None


def known_by_name(answers: Mapping[str, Answer]) -> list[SmartType]:
    """The smart processes among all record types."""
    rows = [row for row in listed(answers[OWNERS].result) if isinstance(row, dict)]
    return _types((row.get("ID"), row.get("NAME")) for row in rows if _is_smart(row))


def entity_type_of(name: str) -> int | None:
    """The smart process whose stream has this name: 128 for `spa_128` and `spa_fields_128`."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found and int(found[1]) >= FIRST else None


def streams_of(one: SmartType) -> tuple[Stream, Stream]:
    """The two streams of a smart process."""
    title = one.title or f"Smart process {one.entity_type}"
    return smart_items(one.entity_type, title), smart_fields(one.entity_type, title)


def fields_of(one: SmartType) -> str:
    """The name of the stream with its field definitions."""
    return f"spa_fields_{one.entity_type}"


def gone(entity_type: int) -> LockedError:
    """Why a smart process of earlier runs is not read: it was deleted."""
    return LockedError(
        f"The portal has no smart process {entity_type} any more",
        why="it was deleted there, with all its records",
        fix="nothing is to be done: its table stays as the last run left it",
        code=GONE,
    )


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
