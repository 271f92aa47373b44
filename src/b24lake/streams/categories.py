"""Funnels of deals: which there are, and the streams of those that were chosen.

Source: api-reference/crm/universal/category/crm-category-list.md, and crm/deals/crm-deal-category-list.md for portals
that are too old for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from b24lake.errors import B24LakeError, UsageError
from b24lake.portal.connection import Command, Connection
from b24lake.portal.replies import Answer, listed, mapping, whole
from b24lake.streams.discovery import Found

TRIES = 3  # of the question which funnels there are
_QUESTIONS: Mapping[str, Command] = {
    "funnels": Command("crm.category.list", {"entityTypeId": 2}),
    "classic": Command("crm.dealcategory.list", {"order": {"ID": "ASC"}}),
    "default": Command("crm.dealcategory.default.get"),
}
# stream -> the parameter that keeps it to the chosen funnels, by method
_FILTERS: Mapping[str, Mapping[str, str]] = {
    "deals": {"crm.deal.list": "@CATEGORY_ID", "crm.item.list": "@categoryId"},
    "deal_stage_history": {"crm.stagehistory.list": "@CATEGORY_ID"},
}


def check(connection: Connection, chosen: Collection[int]) -> str:
    """Whether the portal has the chosen funnels; "" or, where it does not tell, a note that says so.

    Raises UsageError that lists the funnels where one is unknown.
    """
    known = _known(connection)
    unknown = [str(id_) for id_ in chosen if id_ not in known]
    if not known:
        return "The portal does not tell which funnels its deals have: those of --deal-categories were not checked"
    if unknown:
        there_are = ", ".join(f"{id_} ({name})" for id_, name in sorted(known.items()))
        raise UsageError(
            f"The portal's deals have no funnel {' or '.join(unknown)}",
            why="--deal-categories takes the ids of funnels",
            fix=f"choose among {there_are}",
        )
    return ""


def within(streams: Mapping[str, Found], chosen: Sequence[int]) -> dict[str, Found]:
    """The streams, kept to the chosen funnels where they are of deals; what belongs to deals follows them."""
    return {name: _within(found, chosen) for name, found in streams.items()}


def _within(found: Found, chosen: Sequence[int]) -> Found:
    stream = found.stream
    condition = _FILTERS.get(stream.name, {}).get(stream.method)
    if condition is None:
        return found
    filter_ = {**stream.params.get("filter", {}), condition: sorted(set(chosen))}
    return replace(found, stream=replace(stream, params={**stream.params, "filter": filter_}))


def _known(connection: Connection) -> dict[int, str]:
    """The funnels, by id; none where nothing tells."""
    answers: dict[str, Answer] = {}
    for attempt in range(TRIES):
        if attempt:
            connection.pause(attempt)
        try:
            answers = connection.batch(_QUESTIONS).answers
        except B24LakeError:
            return {}
        known = _named(answers)
        if known:
            return known
    return {}


def _named(answers: Mapping[str, Answer]) -> dict[int, str]:
    funnels = _by_id(listed(mapping(_result(answers["funnels"])).get("categories")))
    if funnels:
        return funnels
    classic = _by_id(listed(_result(answers["classic"])))
    default = _by_id([_result(answers["default"])])
    return {**(default or {0: "the default funnel"}), **classic} if classic or default else {}


def _result(answer: Answer) -> object:
    return None if answer.error or answer.missing else answer.result


def _by_id(rows: Sequence[object]) -> dict[int, str]:
    """Of the rows that are funnels: id -> name."""
    found = {}
    for row in map(mapping, rows):
        id_ = whole(row.get("id", row.get("ID")))
        if id_ is not None:
            found[id_] = str(row.get("name", row.get("NAME")) or "")
    return found
