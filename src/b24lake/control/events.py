"""Triggers that wait for other sources: a run that succeeded may be what they waited for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control import logs, runs
from b24lake.control.models import Run, Source, Trigger, TriggerArrival
from b24lake.control.runs import ACTIVE, EVENT, FULL_SYNC, PENDING, QUEUED
from b24lake.control.telling import INFO, Line


def fire(session: Session, run: Run, now: datetime) -> None:
    """Queue the runs that waited for this one, in its own transaction."""
    waiting = select(Trigger, Source).join(Source, Source.id == Trigger.source_id)
    waiting = waiting.where(Trigger.kind == "event", Trigger.enabled, Source.state == ACTIVE).order_by(Trigger.id)
    for trigger, source in session.execute(waiting.with_for_update(of=Trigger)):
        if run.source_id in trigger.spec["sources"]:
            _arrived(session, trigger, source, run, now)


def _arrived(session: Session, trigger: Trigger, source: Source, run: Run, now: datetime) -> None:
    if trigger.spec["mode"] == "any":
        if _waiting(session, trigger, QUEUED) is None:  # one that waits for a worker will do
            _add(session, trigger, source, now, QUEUED, run)
        return
    pending = _waiting(session, trigger, PENDING)  # first: whoever cancels it takes the arrivals with it
    session.merge(TriggerArrival(trigger_id=trigger.id, source_id=run.source_id, run_id=run.id, at=now))
    session.flush()
    arrivals = session.scalars(select(TriggerArrival).where(TriggerArrival.trigger_id == trigger.id)).all()
    missing = sorted({*trigger.spec["sources"]} - {arrival.source_id for arrival in arrivals})
    pending = pending or _add(session, trigger, source, now, PENDING, run)
    pending.progress = {"waits_for": missing}
    if not missing:
        for arrival in arrivals:
            session.delete(arrival)
        pending.state, pending.queued_at = QUEUED, now
        logs.add(session, pending.id, now, [Line(INFO, QUEUED, data={"after": run.source_id, "run": run.id})])


def _waiting(session: Session, trigger: Trigger, state: str) -> Run | None:
    """A run of this trigger that has not begun."""
    waiting = select(Run).where(Run.trigger_id == trigger.id, Run.state == state, Run.claims == 0)
    return session.scalars(waiting.with_for_update()).first()  # somebody may just cancel it


def _add(session: Session, trigger: Trigger, source: Source, now: datetime, state: str, run: Run) -> Run:
    cause = FULL_SYNC if trigger.full else EVENT
    added = runs.add(session, source, now, cause=cause, state=state, trigger_id=trigger.id, full=trigger.full)
    session.flush()
    logs.add(session, added.id, now, [Line(INFO, state, data={"after": run.source_id, "run": run.id})])
    return added
