"""How fresh a source is, and how it is doing: from its runs alone, whatever a schedule or a screen believes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from b24lake.control import recent
from b24lake.control.models import Source, Trigger
from b24lake.control.recent import Recent

GRACE = timedelta(minutes=30)  # how long a scheduled run may take before its source is late, unless it says otherwise


@dataclass(frozen=True, slots=True)
class Health:
    """What a person wants to know about a source.

    badge      draft, paused, stopped, new (never run), running, queued, ok, partial, failing or late
    fresh_at   the data is at least as new as this: when the last successful run began; None = there is none
    due_at     the schedule that has passed without success, where it is late
    """

    badge: str
    fresh_at: datetime | None
    last_state: str | None
    last_ended_at: datetime | None
    due_at: datetime | None

    @property
    def late(self) -> bool:
        """Whether a schedule has passed without success."""
        return self.due_at is not None

    def age(self, now: datetime) -> float:
        """How many seconds old the data may be; infinite where there is none."""
        return round((now - self.fresh_at).total_seconds(), 3) if self.fresh_at is not None else math.inf


class Ran(NamedTuple):
    """What of a run counts here; `whole` = it read all streams of the source."""

    state: str
    whole: bool
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


def health(source: Source, triggers: Iterable[Trigger], runs: Sequence[Ran], now: datetime) -> Health:
    """The health of a source from its runs, newest first, and the times of its triggers.

    Of the runs it is enough to give the newest ones and the last success.
    """
    whole = [run for run in runs if run.whole]
    success = next((run for run in whole if run.state == "success"), None)
    ended = next((run for run in whole if run.ended_at is not None and run.state != "canceled"), None)
    fresh = success.started_at or success.ended_at if success is not None else None
    at_work = next((run.state for run in runs if run.state in {"running", "queued"}), None)
    first = success is None and at_work == "running"  # a first load takes as long as it takes
    due = due_without_success(source, triggers, fresh, now) if source.state == "active" and not first else None
    judged = {"success": "ok", "partial": "partial", "failed": "failing"}.get(ended.state, "ok") if ended else "new"
    badge = source.state if source.state != "active" else "late" if due else judged
    badge = at_work if badge == "new" and at_work else badge
    return Health(badge, fresh, ended.state if ended else None, ended.ended_at if ended else None, due)


def due_without_success(
    source: Source, triggers: Iterable[Trigger], fresh: datetime | None, now: datetime
) -> datetime | None:
    """The last moment at which a run should have begun that succeeded by now; None = all is well.

    Each schedule counts whose time has passed for longer than the source's `late_after_seconds`, also one that no
    scheduler has noticed: it is then still written down as the next one.
    """
    grace = GRACE if source.late_after_seconds is None else timedelta(seconds=source.late_after_seconds)
    times = [at for trigger in triggers if counts(trigger) for at in (trigger.last_due_at, trigger.next_at)]
    passed = [at for at in times if at is not None and at + grace < now]
    expected = max(passed, default=None)
    return expected if expected is not None and (fresh is None or fresh < expected) else None


def counts(trigger: Trigger) -> bool:
    """Whether a trigger promises fresh data at a certain time; the additional full sync only brings deletions in."""
    return trigger.kind == "schedule" and trigger.enabled and not trigger.full


# --- from the database ------------------------------------------------------------------------------------------------


class Looked(NamedTuple):
    """A source, how it is, and what tells it.

    runs      its newest ones, newest first
    success   the last one that read all of it; None = there is none
    """

    source: Source
    health: Health
    triggers: Sequence[Trigger]
    runs: Sequence[Recent]
    success: Recent | None


def healths(session: Session, now: datetime, *which: ColumnElement[bool]) -> Iterator[tuple[Source, Health]]:
    """Each source, by id, and its health; `which` are conditions on sources."""
    return ((one.source, one.health) for one in looked(session, now, *which))


def looked(session: Session, now: datetime, *which: ColumnElement[bool], options: Sequence[Any] = ()) -> list[Looked]:
    """Each source, by id, with all that tells how it is: in as many queries for many sources as for one.

    options   how SQLAlchemy loads the sources
    """
    triggers: dict[str, list[Trigger]] = {}
    for trigger in session.scalars(select(Trigger).join(Source).where(*which).order_by(Trigger.id)):
        triggers.setdefault(trigger.source_id, []).append(trigger)
    runs, successes = recent.newest(session, *which), recent.last_successes(session, *which)
    fresh = recent.began(session, successes.values())
    found = []
    for source in session.scalars(select(Source).where(*which).options(*options).order_by(Source.id)):
        its, success, own = runs.get(source.id, []), successes.get(source.id), triggers.get(source.id, [])
        judged = [_ran(run, fresh) for run in its]
        if success is not None and success not in its:
            judged.append(_ran(success, fresh))
        found.append(Looked(source, health(source, own, judged, now), own, its, success))
    return found


def _ran(run: Recent, fresh: Mapping[str, datetime | None]) -> Ran:
    return Ran(run.state, run.whole, run.queued_at, fresh.get(run.id, run.started_at), run.ended_at)
