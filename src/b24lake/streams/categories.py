"""Deals of chosen funnels: whether the portal has these, and the streams kept to them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from b24lake.errors import UsageError
from b24lake.streams.discovery import Found
from b24lake.streams.funnels import Funnels

# stream -> the parameter that keeps it to the chosen funnels, by method
_FILTERS: Mapping[str, Mapping[str, str]] = {
    "deals": {"crm.deal.list": "@CATEGORY_ID", "crm.item.list": "@categoryId"},
    "deal_stage_history": {"crm.stagehistory.list": "@CATEGORY_ID"},
}


def check(known: Funnels, chosen: Collection[int]) -> str:
    """Whether the chosen funnels are among the known ones; "" or, where none are known, a note that says so.

    Raises UsageError that lists the funnels where one is unknown.
    """
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
