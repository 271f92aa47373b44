"""What makes a source run: schedules, and the success of other sources. Works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control.audit import Actor
from b24lake.control.database import take_turns
from b24lake.control.models import Source, Trigger, TriggerArrival
from b24lake.control.schedules import next_times, schedule
from b24lake.control.slugs import checked_slug, free_slug
from b24lake.errors import ConflictError, NotFoundError, UsageError

SCHEDULE, EVENT = "schedule", "event"
MODES = ("any", "all")
NAME = 100  # signs


def found(session: Session, trigger_id: str) -> Trigger:
    """The trigger with this id. Raises NotFoundError, with the nearest ones, where there is none."""
    trigger = session.get(Trigger, trigger_id)
    if trigger is None:
        known = list(session.scalars(select(Trigger.id)))
        near = get_close_matches(trigger_id, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}" if near else "`b24lake trigger list` lists what there is"
        raise NotFoundError(f"There is no trigger {trigger_id!r}", fix=hint)
    return trigger


def listed(session: Session, source_id: str = "") -> list[Trigger]:
    """All triggers, or those of one source."""
    query = select(Trigger).order_by(Trigger.source_id, Trigger.id)
    return list(session.scalars(query.where(Trigger.source_id == source_id) if source_id else query))


def add(
    session: Session,
    actor: Actor,
    source: Source,
    spec: Mapping[str, Any],
    *,
    name: str = "",
    full: bool = False,
    enabled: bool = True,
    key: str = "",
) -> Trigger:
    """A trigger of a source: {cron | weekdays, times; zone} or {sources, mode}.

    name   for people
    full   it reads everything: the additional full sync
    key    its id is SOURCE.KEY; "" = made from the name

    Raises UsageError that names what is wrong: a field of a schedule, a source that does not exist, a circle.
    """
    take_turns(session)
    kind = kind_of(spec)
    taken = {one.id.partition(".")[2] for one in listed(session, source.id)}
    part = checked_slug(key) if key else free_slug(name or ("full-sync" if full else kind), taken)
    if part in taken:
        raise ConflictError(
            f"The source {source.id} has a trigger {part!r}", fix="choose another name, or change that one"
        )
    trigger = Trigger(
        id=f"{source.id}.{part}",
        source_id=source.id,
        kind=kind,
        name=_name(name),
        spec=checked(session, source.id, spec),
        full=full,
        enabled=enabled,
        created_at=actor.at,
    )
    trigger.next_at = next(iter(following(trigger, actor.at, 1)), None)
    session.add(trigger)
    session.flush()
    actor.did(session, "created", f"trigger {trigger.id}", _told(trigger))
    return trigger


def change(session: Session, actor: Actor, trigger: Trigger, **changes: Any) -> None:
    """Change `spec`, `name`, `full` or `enabled`. Raises UsageError as `add`."""
    take_turns(session)
    if "spec" in changes:
        spec = checked(session, trigger.source_id, changes["spec"])
        trigger.kind, trigger.spec = kind_of(spec), spec
        session.execute(delete_rows(TriggerArrival).where(TriggerArrival.trigger_id == trigger.id))
    trigger.name = _name(changes.get("name", trigger.name))
    trigger.full = changes.get("full", trigger.full)
    trigger.enabled = changes.get("enabled", trigger.enabled)
    trigger.next_at = next(iter(following(trigger, actor.at, 1)), None)
    session.flush()
    actor.did(session, "changed", f"trigger {trigger.id}", _told(trigger))


def delete(session: Session, actor: Actor, trigger: Trigger) -> None:
    """Remove a trigger; what it has queued stays queued."""
    session.delete(trigger)
    actor.did(session, "deleted", f"trigger {trigger.id}", _told(trigger))


def _told(trigger: Trigger) -> dict[str, Any]:
    """For the record of who did what."""
    return {"fires": in_words(trigger.spec), "full": trigger.full, "enabled": trigger.enabled}


def following(trigger: Trigger, after: datetime, count: int = 5) -> list[datetime]:
    """The next times of a schedule that is enabled, in UTC; none of an event."""
    if trigger.kind != SCHEDULE or not trigger.enabled:
        return []
    return next_times(schedule(trigger.spec), after, count)


def next_run(source: Source, triggers: Iterable[Trigger], now: datetime) -> datetime | None:
    """When a source runs next by itself, in UTC; None where no schedule says so."""
    if source.state != "active":
        return None
    own = [one for one in triggers if one.enabled and one.kind == SCHEDULE]
    # What the scheduler wrote down is right; where it has not looked yet, the schedule itself is asked.
    known = (
        one.next_at if one.next_at and one.next_at > now else next(iter(following(one, now, 1)), None) for one in own
    )
    return min((at for at in known if at is not None), default=None)


def document(trigger: Trigger, after: datetime, count: int = 5) -> dict[str, Any]:
    """A trigger for people and scripts; `next` in UTC, `next_local` on the clock of its zone."""
    times = following(trigger, after, count)
    zone = ZoneInfo(trigger.spec.get("zone", "UTC"))
    return {
        "id": trigger.id,
        "source": trigger.source_id,
        "name": trigger.name,
        "kind": trigger.kind,
        "spec": trigger.spec,
        "says": in_words(trigger.spec),
        "full": trigger.full,
        "enabled": trigger.enabled,
        "next": times,
        "next_local": [f"{each.astimezone(zone):%a %Y-%m-%d %H:%M %Z}" for each in times],
        "last_due_at": trigger.last_due_at,
    }


def in_words(spec: Mapping[str, Any]) -> str:
    """When a trigger fires."""
    if kind_of(spec) == SCHEDULE:
        return str(schedule(spec))
    return "after " + f" {'and' if spec['mode'] == 'all' else 'or'} ".join(spec["sources"])


# --- what may be a trigger --------------------------------------------------------------------------------------------


def kind_of(spec: Mapping[str, Any]) -> str:
    """What a spec describes."""
    return EVENT if {"sources", "mode"} & set(spec) else SCHEDULE


def checked(session: Session, source_id: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec in its usual form. Raises UsageError that names what is wrong."""
    if kind_of(spec) == SCHEDULE:
        return schedule(spec).spec()
    usual, known = event(spec), set(session.scalars(select(Source.id)))
    for name in usual["sources"]:
        if name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0.5)
            raise UsageError(
                f"There is no source {name!r} to wait for",
                fix=f"did you mean {' or '.join(near)}" if near else "`b24lake source list` lists what there is",
            )
    _refuse_circles(session, source_id, usual["sources"])
    return usual


def event(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of an event in its usual form: of one source, any is all. Raises UsageError where it is none."""
    unknown = sorted(set(spec) - {"sources", "mode"})
    if unknown:
        raise UsageError(
            f"An event has no {unknown[0]!r}", fix="it has sources and a mode; put times into another trigger"
        )
    mode, awaited = str(spec.get("mode") or "any"), _sources(spec.get("sources"))
    if mode not in MODES:
        raise UsageError(f"There is no mode {mode!r}", fix="choose any (one of the sources is enough) or all")
    return {"sources": awaited, "mode": mode if len(awaited) > 1 else "any"}


def _sources(given: Any) -> list[str]:
    if not isinstance(given, list | tuple) or not given:
        raise UsageError("An event waits for no source", fix="name one or more sources")
    return list(dict.fromkeys(map(str, given)))


def _refuse_circles(session: Session, source_id: str, awaited: Sequence[str]) -> None:
    """Raises UsageError where the source would, by way of others, wait for itself; disabled triggers count, too."""
    waits: dict[str, set[str]] = {}
    for trigger in session.scalars(select(Trigger).where(Trigger.kind == EVENT)):
        waits.setdefault(trigger.source_id, set()).update(trigger.spec["sources"])
    for start in awaited:
        circle = way(start, source_id, waits)
        if circle:
            raise UsageError(
                f"{source_id} cannot wait for {start}",
                why=f"that is a circle: {' waits for '.join([source_id, *circle])}",
                fix="leave one of these triggers out, or give it a schedule",
            )


def way(start: str, end: str, waits: Mapping[str, set[str]]) -> list[str]:
    """A way from one source to another along what they wait for; [] = there is none."""
    ways, seen = [[start]], {start}
    for steps in ways:
        if steps[-1] == end:
            return steps
        further = sorted(waits.get(steps[-1], set()) - seen)
        seen.update(further)
        ways.extend([*steps, step] for step in further)
    return []


def _name(text: str) -> str:
    if len(text) > NAME or not text.isprintable():
        raise UsageError("This cannot be the name of a trigger", fix=f"write one line of at most {NAME} signs")
    return text.strip()
