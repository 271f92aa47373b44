"""The form that says when a source runs: read, checked, shown in words and with its next times.

It is the same wherever a trigger is edited: the macro `editor` of `triggers/editor.html`, whose fields may have a
prefix, so that one page can hold two of them. What its fields mean is decided here, in pure functions; what may be a
trigger is decided by `control.triggers` and `control.schedules`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo, available_timezones

from babel.dates import format_datetime, get_day_names
from fastapi import APIRouter, Response
from sqlalchemy import select

from b24lake.control import schedules, triggers
from b24lake.control.database import Database
from b24lake.control.models import Source
from b24lake.errors import UsageError
from b24lake.web.asking import Asked, Asking
from b24lake.web.language import Language

router = APIRouter(include_in_schema=False)
SCHEDULE, CRON, EVENT, MANUAL = "schedule", "cron", "event", "manual"
KINDS = (SCHEDULE, CRON, EVENT, MANUAL)
NEXT = 5  # runs that are foretold
_ODD = ("Etc/", "SystemV/", "posix/", "right/")


class Fields(Protocol):
    """A form or a query, as Starlette gives them."""

    def getlist(self, key: Any) -> Sequence[Any]:
        """All values of a field."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What the fields of an editor hold, right or wrong.

    weekdays   () = every day
    full       it is an additional full sync
    """

    kind: str = SCHEDULE
    weekdays: tuple[str, ...] = ()
    times: tuple[str, ...] = ("06:00",)
    zone: str = "UTC"
    cron: str = ""
    sources: tuple[str, ...] = ()
    mode: str = "any"
    full: bool = False
    name: str = ""


def typed(fields: Fields, prefix: str = "") -> Typed:
    """What was sent: kind, weekdays, times, zone, cron, sources, mode, full and name, each after the prefix."""

    def several(name: str) -> tuple[str, ...]:
        values = (value.strip() for value in fields.getlist(prefix + name) if isinstance(value, str))
        return tuple(dict.fromkeys(value for value in values if value))

    def one(name: str) -> str:
        return next(reversed(several(name)), "")

    kind = one("kind")
    return Typed(
        kind if kind in KINDS else SCHEDULE,
        several("weekdays"),
        several("times"),
        one("zone"),
        one("cron"),
        several("sources"),
        one("mode") or "any",
        one("full") in {"on", "true", "1"},
        one("name"),
    )


def spec_of(sent: Typed) -> dict[str, Any] | None:
    """The spec that `control.triggers.add` takes; None where the source runs by hand only. Nothing is checked yet.

    >>> spec_of(Typed(weekdays=("mon",), zone="Europe/Berlin"))
    {'weekdays': ['mon'], 'times': ['06:00'], 'zone': 'Europe/Berlin'}
    """
    if sent.kind == MANUAL:
        return None
    if sent.kind == EVENT:
        return {"sources": list(sent.sources), "mode": sent.mode}
    if sent.kind == CRON:
        # A blank is kept: an empty line would be taken for weekdays and times.
        return {"cron": sent.cron or " ", "zone": sent.zone}
    return {"weekdays": list(sent.weekdays), "times": list(sent.times), "zone": sent.zone}


def typed_of(spec: Mapping[str, Any] | None, *, zone: str, full: bool = False, name: str = "") -> Typed:
    """The fields that show a spec; `zone` is suggested where the spec has none."""
    if spec is None:
        return Typed(MANUAL, zone=zone, full=full, name=name)
    if triggers.kind_of(spec) == triggers.EVENT:
        return Typed(EVENT, sources=tuple(spec["sources"]), mode=spec["mode"], zone=zone, full=full, name=name)
    if spec.get("cron"):
        return Typed(CRON, cron=spec["cron"], zone=spec["zone"], full=full, name=name)
    days, times = tuple(spec["weekdays"]), tuple(spec["times"])
    return Typed(SCHEDULE, days, times, spec["zone"], full=full, name=name)


# --- in words ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preview:
    """What a trigger will do.

    says    in words; "" where it is wrong
    times   the next runs, on the clock of its zone and, where that is another one, of the viewer's
    error   why it cannot be a trigger
    """

    says: str = ""
    times: tuple[tuple[str, str], ...] = ()
    error: UsageError | None = None


def preview(sent: Typed, asked: Asking, names: Mapping[str, str]) -> Preview:
    """What the fields mean, or what is wrong with them; `names` are those of sources, by id."""
    spec = spec_of(sent)
    try:
        if spec is None or triggers.kind_of(spec) == triggers.EVENT:
            return Preview(says(triggers.event(spec) if spec else None, asked, names))
        plan = schedules.schedule(spec)
    except UsageError as error:
        return Preview(error=error)
    times = schedules.next_times(plan, asked.viewer.now, NEXT)
    return Preview(says(plan.spec(), asked, names), tuple(_on_clocks(at, plan.zone, asked) for at in times))


def _on_clocks(at: datetime, zone: str, asked: Asking) -> tuple[str, str]:
    """A moment on the clock of a zone, and on the viewer's where that shows another time."""
    there, here = ZoneInfo(zone), asked.viewer.zone
    same = at.astimezone(there).utcoffset() == at.astimezone(here).utcoffset()
    return _clock(at, there, asked.viewer.language), "" if same else _clock(at, here, asked.viewer.language)


def _clock(at: datetime, zone: tzinfo, language: Language) -> str:
    return format_datetime(at, "EEE d MMM y, HH:mm", tzinfo=zone, locale=language.code)


def says(spec: Mapping[str, Any] | None, asked: Asking, names: Mapping[str, str]) -> str:
    """When a trigger fires, in the viewer's language."""
    if spec is None:
        return asked.say("Only when somebody starts it")
    if triggers.kind_of(spec) == triggers.EVENT:
        word = asked.say("and") if spec["mode"] == "all" else asked.say("or")
        awaited = f" {word} ".join(names.get(one, one) for one in spec["sources"])
        return asked.say("After a successful run of {sources}").format(sources=awaited)
    if spec.get("cron"):
        return asked.say("By the cron line {line} ({zone})").format(line=spec["cron"], zone=spec["zone"])
    days = dict(weekdays(asked.viewer.language))
    when = {"times": ", ".join(spec["times"]), "zone": spec["zone"]}
    chosen = spec["weekdays"]
    if not chosen or len(chosen) == len(schedules.WEEKDAYS):
        return asked.say("Every day at {times} ({zone})").format(**when)
    listed = ", ".join(days[day] for day in chosen)
    return asked.say("{days} at {times} ({zone})").format(days=listed, **when)


def weekdays(language: Language) -> list[tuple[str, str]]:
    """The days of the week, Monday first: as a spec names them, and in short as people do."""
    names = get_day_names("abbreviated", locale=language.code)
    return [(day, names[number].rstrip(".")) for number, day in enumerate(schedules.WEEKDAYS)]


@cache
def zones() -> tuple[str, ...]:
    """The zones that are offered; others may be typed."""
    return (*sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(_ODD)), "UTC")


# --- the editor -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Editor:
    """What the macro `editor` shows.

    typed    the fields
    preview  what they mean
    sources  the other sources, (id, name): an event may wait for them
    """

    typed: Typed
    preview: Preview
    sources: Sequence[tuple[str, str]]
    weekdays: Sequence[tuple[str, str]]
    zones: Sequence[str]


def editor(asked: Asking, sent: Typed | None = None, *, source_id: str = "") -> Editor:
    """The editor for these fields, or for a new trigger in the viewer's zone; `source_id` does not wait for itself."""
    shown = sent or Typed(zone=str(asked.viewer.zone))
    names = source_names(asked.site.database)
    others = sorted(((one, name) for one, name in names.items() if one != source_id), key=lambda pair: pair[1].lower())
    return Editor(shown, preview(shown, asked, names), others, weekdays(asked.viewer.language), zones())


def source_names(database: Database) -> dict[str, str]:
    """The names of all sources, by id."""
    with database.reading() as session:
        return {row.id: row.name for row in session.execute(select(Source.id, Source.name))}


@router.get("/triggers/preview")
def shown_preview(asked: Asked) -> Response:
    """What the fields of an editor mean; `prefix` is what their names begin with."""
    query = asked.request.query_params
    sent = typed(query, query.get("prefix", ""))
    names = source_names(asked.site.database) if sent.kind == EVENT else {}
    return asked.page("triggers/preview.html", preview=preview(sent, asked, names))
