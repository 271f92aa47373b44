"""The wizard's second step: which streams are read."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Response

from b24lake.control import choices, offers, setup, sources
from b24lake.control.models import Source
from b24lake.control.setup import STREAMS
from b24lake.control.source_settings import options_of, switched_on
from b24lake.errors import UsageError
from b24lake.portal.connection import MAX_COMMANDS
from b24lake.streams.definitions import GROUPS
from b24lake.streams.discovery import Discovery
from b24lake.sync import planning
from b24lake.sync.planning import PLANNED, RunPlan
from b24lake.web.asking import Asked, Asking, Sent, may
from b24lake.web.jobs import DONE, Job
from b24lake.web.pages import wizard_frame as frame
from b24lake.web.pages.wizard_frame import Errors

router = APIRouter(prefix="/sources/{source_id}/setup/streams", include_in_schema=False, dependencies=[may("editor")])
PER_DEAL = "children"
ISSUES = "https://github.com/b24lake/b24lake/issues/new?title=Stream:+"
"""Where people ask for a stream that there is not yet."""


@dataclass(frozen=True, slots=True)
class Line:
    """One stream as the list shows it.

    status     available, locked (`reason`, `cure`) or gone
    per_deal   it costs one call for each deal
    """

    name: str
    title: str
    status: str
    reason: str
    cure: str
    selected: bool
    key: str
    replication_key: str
    per_deal: bool


@router.get("")
def streams(asked: Asked, source_id: str, again: str = "") -> Response:
    """What there is to read; where the portal has still to be asked, that goes on in the background."""
    source = frame.look(asked, source_id)
    return frame.detour(source, STREAMS) or _shown(asked, source, frame.offer(asked, source, again=bool(again)))


@router.get("/offer")
def offer(asked: Asked, source_id: str) -> Response:
    """The list, as soon as the portal has answered."""
    source = frame.look(asked, source_id)
    job = frame.offer(asked, source)
    return asked.page("wizard/offer.html", source=source, **_values(asked, source, job))


@router.get("/sizes")
def sizes(asked: Asked, source_id: str) -> Response:
    """How many rows the streams have, as soon as that is known."""
    source = frame.look(asked, source_id)
    found = frame.discovered(asked, source)
    job = _count(asked, source, found) if found is not None else None
    planned: RunPlan | None = job.result if job is not None and job.state == DONE else None
    return asked.page("wizard/sizes.html", source=source, job=job, sizes=_sizes(planned))


@router.post("")
def save(asked: Asked, source_id: str, form: Sent) -> Response:
    """Read these streams from now on."""
    names = list(dict.fromkeys(form.texts("stream")))
    source = frame.look(asked, source_id)
    if not names:
        none = UsageError(asked.say("No stream is chosen"), fix=asked.say("tick at least one"))
        return _shown(asked, source, frame.offer(asked, source), names, {"": none})
    try:
        with asked.site.database.writing() as session:
            source = frame.get(session, asked, source_id, lock=True)
            frame.refuse_stale(asked, source, form)
            _refuse_locked(frame.discovered(asked, source), source, names)
            said = sources.edit(session, asked.site.here, asked.actor, source, {}, only=names)
            setup.mark(source, STREAMS)
    except UsageError as error:
        source = frame.look(asked, source_id)
        return _shown(asked, source, frame.offer(asked, source), names, {"": error})
    return frame.onward(asked, source, STREAMS, form, said)


def _refuse_locked(found: Discovery | None, source: Source, names: Collection[str]) -> None:
    """Raises UsageError where a stream is chosen anew that cannot be read; one chosen before may stay."""
    if found is not None:
        fresh = set(names) - set(choices.selected(source.streams))
        choices.matching(found, sorted(fresh & set(found.streams)) or ["*"], switched_on(source.options))


# --- what is shown ----------------------------------------------------------------------------------------------------


def _shown(
    asked: Asking, source: Source, job: Job, names: Collection[str] | None = None, errors: Errors | None = None
) -> Response:
    values = _values(asked, source, job, names)
    return frame.show(asked, source, STREAMS, errors=errors, issues=ISSUES, **values)


def _values(asked: Asking, source: Source, job: Job, names: Collection[str] | None = None) -> dict[str, Any]:
    """The list by groups: empty as long as the portal has not answered."""
    if job.state != DONE:
        return {"job": job, "groups": [], "sizes": {}, "counting": None}
    found: Discovery = job.result
    counting = _count(asked, source, found)
    planned: RunPlan | None = counting.result if counting.state == DONE else None
    lines = _lines(source, found, names)
    titles = _groups(asked)
    groups = [(number, titles[group], lines[group]) for number, group in enumerate(GROUPS) if lines[group]]
    return {"job": job, "groups": groups, "sizes": _sizes(planned), "counting": counting}


def _lines(source: Source, found: Discovery, names: Collection[str] | None) -> dict[str, list[Line]]:
    by_group: dict[str, list[Line]] = {group: [] for group in GROUPS}
    for one in offers.lines(source, found):
        if one["status"] == "hidden":
            continue
        stream = choices.definition(one["stream"])
        by_group[one["group"]].append(
            Line(
                one["stream"],
                one["title"],
                one["status"],
                one["reason"] or "",
                one["cure"] or "",
                one["selected"] if names is None else one["stream"] in names,
                stream.key,
                one["replication_key"] or "",
                stream.paging == PER_DEAL,
            )
        )
    return by_group


def _groups(asked: Asking) -> dict[str, str]:
    """What the groups are called, in their order."""
    titles = (
        asked.say("CRM"),
        asked.say("Field definitions"),
        asked.say("Smart processes"),
        asked.say("Users and structure"),
        asked.say("Telephony"),
        asked.say("Open lines"),
    )
    return dict(zip(GROUPS, titles, strict=True))


# --- how much there is ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a stream has: `counted` by the portal, or guessed from ids; `requests` that reading all of it takes."""

    rows: int
    counted: bool
    requests: int


def _sizes(planned: RunPlan | None) -> Mapping[str, Extent]:
    streams = planned.streams if planned is not None else ()
    return {
        one.name: Extent(one.expected.rows, one.counted, math.ceil(one.expected.commands / MAX_COMMANDS))
        for one in streams
        if one.status == PLANNED
    }


def _count(asked: Asking, source: Source, found: Discovery) -> Job:
    """Size all streams of the portal by a few probes, in the background."""
    site = asked.site
    names = [one["stream"] for one in offers.lines(source, found) if one["status"] == "available"]
    options = options_of(source, site.here.lake)
    # All rows, as if none had been read yet.
    all_ = replace(options, streams=tuple(names), full=True, tables={}, sync_types={}, replication_keys={})
    all_ = replace(all_, exclude=(), hash=())

    def work() -> RunPlan:
        return planning.plan(frame.guarded(site, source), all_, site.here.home)

    key = f"sizes:{source.id}:{frame.digest(source.webhook, source.options, names)}"
    return site.jobs.start(key, work, asked.viewer.now)
