"""Runs: their states, how they are asked for, canceled and repeated, and how they are shown.

pending_events -> queued -> running -> success | partial | failed
       |             |         |
       +-> canceled <+     cancelling -> canceled        a lost or stopped worker puts a running one back to queued
"""

from __future__ import annotations

import fnmatch
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from b24lake.control import logs
from b24lake.control.database import Database
from b24lake.control.models import Run, RunStream, SchemaChange, Source, SourceStream, TriggerArrival
from b24lake.control.telling import INFO, Line
from b24lake.errors import UsageError

PENDING, QUEUED, RUNNING, CANCELLING = "pending_events", "queued", "running", "cancelling"
SUCCESS, PARTIAL, FAILED, CANCELED = "success", "partial", "failed", "canceled"
WAITING = (PENDING, QUEUED)
AT_WORK = (RUNNING, CANCELLING)
ENDED = (SUCCESS, PARTIAL, FAILED, CANCELED)
STATES = (*WAITING, *AT_WORK, *ENDED)
ACTIVE, PAUSED = "active", "paused"
MANUAL, RETRY, SCHEDULE, EVENT, FULL_SYNC = "manual", "retry", "schedule", "event", "full_sync"


def new_id(now: datetime) -> str:
    """An id that tells when the run was asked for; long enough for hundreds in the same second."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(5)}"


def add(session: Session, source: Source, now: datetime, *, cause: str, **more: Any) -> Run:
    """Put a run into the queue; `more` are columns of it."""
    columns = {"state": QUEUED, "queued_at": now, **more}
    run = Run(id=new_id(now), source_id=source.id, portal=source.portal or source.id, cause=cause, **columns)
    session.add(run)
    return run


def request(
    database: Database,
    source_id: str,
    now: datetime,
    *,
    full: bool = False,
    streams: Sequence[str] = (),
    requested_by: str = "",
) -> str:
    """Ask for a run of a source by hand. Returns the run's id.

    streams   names or globs among the selected ones; () = all

    Raises UsageError for a source that is unknown, a draft or stopped, and for streams that it does not read.
    """
    with database.writing() as session:
        source = _runnable(session, source_id)
        names = _chosen(session, source, streams)
        run = add(session, source, now, cause=MANUAL, full=full, streams=names, requested_by=requested_by)
        session.flush()
        logs.add(session, run.id, now, [Line(INFO, "queued", data={"by": requested_by} if requested_by else {})])
        return run.id


def retry(database: Database, run_id: str, now: datetime, *, requested_by: str = "") -> str:
    """Ask for a run once more, with the same streams. Returns the new run's id.

    Raises UsageError for a run that is unknown or has not ended.
    """
    with database.writing() as session:
        run = found(session, run_id)
        if run.state not in ENDED:
            raise UsageError(f"The run {run.id} has not ended", why=f"it is {run.state}", fix="wait, or cancel it")
        source = _runnable(session, run.source_id)
        again = add(
            session,
            source,
            now,
            cause=RETRY,
            retry_of=run.id,
            full=run.full,
            streams=run.streams,
            requested_by=requested_by,
        )
        session.flush()
        logs.add(session, again.id, now, [Line(INFO, "queued", data={"retry_of": run.id})])
        return again.id


def cancel(database: Database, run_id: str, now: datetime, *, requested_by: str = "") -> str:
    """End a run: at once where it waits, else its worker ends it within seconds. Returns its state.

    Raises UsageError for a run that is unknown or has ended.
    """
    with database.writing() as session:
        run = found(session, run_id, lock=True)
        if run.state in ENDED:
            raise UsageError(f"The run {run.id} has ended", why=f"it is {run.state}", fix="there is nothing to cancel")
        if run.state in WAITING:
            drop(session, run, now)
        else:
            run.state = CANCELLING
        by = {"by": requested_by} if requested_by else {}
        logs.add(session, run.id, now, [Line(INFO, run.state, data=by)])
        return run.state


def repeats_part(session: Session, run: Run) -> Run | None:
    """The run before, where this is an automatic retry of one that was partial: only what failed is read again."""
    before = session.get(Run, run.retry_of) if run.attempt > 1 and run.retry_of else None
    return before if before is not None and before.state == PARTIAL else None


def drop(session: Session, run: Run, now: datetime) -> None:
    """Take a run that waits out of the queue; the events that it waited with have to come again."""
    if run.state == PENDING and run.trigger_id is not None:
        arrivals = session.scalars(select(TriggerArrival).where(TriggerArrival.trigger_id == run.trigger_id))
        for arrival in arrivals:
            session.delete(arrival)
    run.state, run.ended_at = CANCELED, now


def found(session: Session, run_id: str, *, lock: bool = False) -> Run:
    """A run by its id, or by a beginning of it that no other has. Raises UsageError where there is none."""
    exact = session.get(Run, run_id, with_for_update=lock, populate_existing=True)
    if exact is not None:  # no index helps to find a beginning
        return exact
    query = select(Run).where(Run.id.startswith(run_id, autoescape=True)).limit(2)
    runs = session.scalars(query.with_for_update() if lock else query).all()
    if len(runs) != 1 or not run_id:
        what = f"There is no run {run_id!r}" if not runs else f"More than one run begins with {run_id!r}"
        raise UsageError(what, fix="see `b24lake run list`")
    return runs[0]


def _runnable(session: Session, source_id: str) -> Source:
    source = session.get(Source, source_id)
    if source is None:
        raise UsageError(f"There is no source {source_id!r}", fix="see `b24lake source list`")
    if source.state not in (ACTIVE, PAUSED):
        fix = "b24lake source resume" if source.state == "stopped" else "b24lake source activate"
        raise UsageError(f"The source {source.id} is {source.state}", fix=f"{fix} {source.id}")
    return source


def _chosen(session: Session, source: Source, globs: Sequence[str]) -> list[str]:
    rows = select(SourceStream.stream).where(SourceStream.source_id == source.id, SourceStream.selected)
    names = sorted(session.scalars(rows))
    chosen = {glob: fnmatch.filter(names, glob) for glob in globs}
    for glob, matched in chosen.items():
        if not matched:
            raise UsageError(
                f"The source {source.id} reads no stream {glob!r}", fix=f"choose of {', '.join(names) or 'none'}"
            )
    return sorted({name for matched in chosen.values() for name in matched})


# --- shown ------------------------------------------------------------------------------------------------------------


def listed(
    database: Database, *, source_id: str | None = None, states: Sequence[str] = (), limit: int = 50
) -> list[dict[str, Any]]:
    """The newest runs first, as JSON. Raises UsageError for a state that there is not."""
    for state in states:
        if state not in STATES:
            raise UsageError(f"There is no state {state!r}", fix=f"choose of {', '.join(STATES)}")
    query = select(Run).order_by(Run.queued_at.desc(), Run.id.desc()).limit(limit)
    query = query.where(Run.source_id == source_id) if source_id else query
    query = query.where(Run.state.in_(states)) if states else query
    with database.reading() as session:
        return [as_json(run) for run in session.scalars(query)]


def shown(database: Database, run_id: str) -> dict[str, Any]:
    """One run with its progress or its report, stream by stream, as JSON. Raises UsageError where there is none."""
    with database.reading() as session:
        run = found(session, run_id)
        streams = session.scalars(select(RunStream).where(RunStream.run_id == run.id).order_by(RunStream.stream)).all()
        changes = session.scalars(select(SchemaChange).where(SchemaChange.run_id == run.id)).all()
        return {
            **as_json(run),
            "progress": run.progress,
            "notes": run.report.get("notes", []),
            "streams": [{"stream": line.stream, "status": line.status, **line.result} for line in streams],
            "schema_changes": [
                {"stream": one.stream, "kind": one.kind, "column": one.column, **one.detail} for one in changes
            ],
        }


def as_json(run: Run) -> dict[str, Any]:
    """A run as scripts read it; times in UTC."""
    return {
        "id": run.id,
        "source": run.source_id,
        "state": run.state,
        "cause": run.cause,
        "full": run.full,
        "chosen": run.streams,
        "attempt": run.attempt,
        "retry_of": run.retry_of,
        "trigger": run.trigger_id,
        "due_at": _iso(run.due_at),
        "queued_at": _iso(run.queued_at),
        "not_before": _iso(run.not_before),
        "started_at": _iso(run.started_at),
        "ended_at": _iso(run.ended_at),
        "worker": run.worker_id,
        "claims": run.claims,
        "requested_by": run.requested_by,
        "rows_read": run.rows_read,
        "requests": run.requests,
        "portal_seconds": round(run.portal_seconds, 3),
        "rests": run.rests,
        "error": run.error,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
